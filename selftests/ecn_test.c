// SPDX-License-Identifier: GPL-2.0
/* Explicit congestion notification: RFC 3168 and RFC 9768. */
#include <stdlib.h>

#include "lib/selftest.h"
#include "lib/wire.h"

#define PORT 4000
#define PEER_PORT 5000

/* The ECN field of IP. */
#define NOT_ECT 0
#define ECT_1 1
#define ECT_0 2
#define CE 3

/* The three bits of ACE. */
#define ACE (AE | CWR | ECE)

/* What of struct tcp_info is newer than the C library's. */
#define INFO_OPTIONS 5
#define INFO_DELIVERED_CE 196
#define INFO_RECEIVED_CE 248
#define INFO_ECN_MODE 276

#define OPTION_ECN 8
#define OPTION_ECN_SEEN 16

struct info {
	uint8_t options;
	uint32_t delivered_ce, received_ce;
	int mode;	/* 1 for RFC 3168, 2 for RFC 9768 */
};

static struct info ecn_info_of(int fd)
{
	uint8_t bytes[INFO_ECN_MODE + 4] = {};
	socklen_t len = sizeof(bytes);
	struct info info = {};

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, bytes, &len) || len != sizeof(bytes))
		die("TCP_INFO");
	info.options = bytes[INFO_OPTIONS];
	memcpy(&info.delivered_ce, bytes + INFO_DELIVERED_CE, 4);
	memcpy(&info.received_ce, bytes + INFO_RECEIVED_CE, 4);
	info.mode = bytes[INFO_ECN_MODE] & 3;
	return info;
}

/* A peer made of single segments. */
FIXTURE(ecn) {
	struct wire w;
	int listener, fd;
};

FIXTURE_SETUP(ecn)
{
	make_network(LOOPBACK);
	wire_open();
	self->listener = own_socket(0);
	ASSERT_EQ(0, bind_to(self->listener, STACK_ADDR, PORT));
}

FIXTURE_TEARDOWN(ecn)
{
}

/* The mode is read when listening begins. */
static void begin(int listener, const char *mode)
{
	set_sysctl("net/ipv4/tcp_ecn", mode);
	if (listen(listener, 8))
		die("listen");
}

/* A SYN with such bits and such a field; what answers it. */
static struct segment open_with(struct wire *w, uint16_t bits, uint8_t tos)
{
	static const uint8_t options[] = { 2, 4, 1000 >> 8, 1000 & 255 };
	struct segment syn = {
		.sport = PEER_PORT, .dport = PORT, .seq = 1000, .flags = SYN | bits, .tos = tos,
		.window = 60000, .options = options, .options_len = sizeof(options),
	};
	struct segment s;

	*w = (struct wire){
		.port = PEER_PORT, .stack_port = PORT, .snd_nxt = 1001, .window = 60000,
	};
	wire_inject(&syn);
	s = wire_expect(w, SYN | ACK);
	w->rcv_nxt = s.seq + 1;
	return s;
}

/* A segment of the peer's with such bits and such a field. */
static void send_with(struct wire *w, uint16_t bits, uint8_t tos, const void *data, size_t len)
{
	struct segment s = {
		.sport = w->port, .dport = w->stack_port, .seq = w->snd_nxt, .ack = w->rcv_nxt,
		.flags = ACK | bits, .tos = tos, .window = w->window, .data = data, .len = len,
	};

	wire_inject(&s);
	w->snd_nxt += len;
}

TEST_F(ecn, classic_request_is_granted_as_the_mode_says)
{
	begin(self->listener, "2");
	EXPECT_EQ(ECE, open_with(&self->w, ECE | CWR, NOT_ECT).flags & ACE);
}

TEST_F(ecn, nothing_is_granted_in_mode_0)
{
	begin(self->listener, "0");
	EXPECT_EQ(0, open_with(&self->w, ECE | CWR, NOT_ECT).flags & ACE);
}

TEST_F(ecn, accurate_request_is_granted_in_mode_3_with_the_syns_field)
{
	struct segment s;

	begin(self->listener, "3");
	s = open_with(&self->w, ACE, ECT_0);
	EXPECT_EQ(AE, s.flags & ACE);
	EXPECT_EQ(NOT_ECT, s.tos & 3);
	EXPECT_EQ(4 + 12, s.options_len);
	EXPECT_EQ(174, s.options[4]);
	EXPECT_EQ(11, s.options[5]);
}

TEST_F(ecn, syn_that_is_capable_gets_no_classic_feedback)
{
	begin(self->listener, "2");
	EXPECT_EQ(0, open_with(&self->w, ECE | CWR, ECT_0).flags & ACE);
}

TEST_F(ecn, connect_asks_as_the_mode_says)
{
	static const struct {
		const char *mode;
		uint16_t bits;
	} cases[] = {
		{ "0", 0 }, { "1", ECE | CWR }, { "2", 0 }, { "3", ACE }, { "4", ECE | CWR },
		{ "5", 0 },
	};
	struct segment s;
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		set_sysctl("net/ipv4/tcp_ecn", cases[i].mode);
		fd = own_socket(SOCK_NONBLOCK);
		EXPECT_EQ(EINPROGRESS, connect_to(fd, PEER_ADDR, 80 + i));
		do {
			s = wire_any(SYN);
		} while (s.dport != 80 + i);
		EXPECT_EQ(cases[i].bits, s.flags & ACE);
		EXPECT_EQ(NOT_ECT, s.tos & 3);
	}
}

TEST_F(ecn, syn_sent_again_gives_up_classic_feedback)
{
	struct segment s;
	int fd;

	set_sysctl("net/ipv4/tcp_ecn", "1");
	fd = own_socket(SOCK_NONBLOCK);
	EXPECT_EQ(EINPROGRESS, connect_to(fd, PEER_ADDR, 80));
	s = wire_any(SYN);
	EXPECT_EQ(ECE | CWR, s.flags & ACE);
	s = wire_any(SYN);
	EXPECT_EQ(0, s.flags & ACE);
}

TEST_F(ecn, route_with_the_feature_asks_and_grants)
{
	struct segment s;
	int fd;

	begin(self->listener, "0");
	if (system("ip route change 10.7.0.0/24 dev wire src " STACK_ADDR " features ecn"))
		SKIP(return, "no ip route");
	fd = own_socket(SOCK_NONBLOCK);
	EXPECT_EQ(EINPROGRESS, connect_to(fd, PEER_ADDR, 80));
	do {
		s = wire_any(SYN);
	} while (s.dport != 80);
	EXPECT_EQ(ECE | CWR, s.flags & ACE);
	EXPECT_EQ(ECE, open_with(&self->w, ECE | CWR, NOT_ECT).flags & ACE);
}

/* An accepted connection with such feedback. */
static int accepted(struct wire *w, int listener, const char *mode, uint16_t syn, uint16_t ack)
{
	int fd;

	begin(listener, mode);
	open_with(w, syn, NOT_ECT);
	send_with(w, ack, ack ? ECT_0 : NOT_ECT, NULL, 0);
	fd = accept(listener, NULL, NULL);
	if (fd < 0)
		die("accept");
	return fd;
}

TEST_F(ecn, classic_text_is_capable_and_an_acknowledgment_is_not)
{
	struct segment s;

	self->fd = accepted(&self->w, self->listener, "2", ECE | CWR, 0);
	EXPECT_EQ(5, send(self->fd, "hello", 5, 0));
	s = wire_expect(&self->w, PSH);
	EXPECT_EQ(ECT_0, s.tos & 3);
	EXPECT_EQ(0, s.flags & ACE);
	/* The tail may come again. */
	wire_ack(&self->w, &s);
	send_with(&self->w, PSH, ECT_0, "hi", 2);
	do {
		s = wire_expect(&self->w, ACK);
	} while (s.len);
	EXPECT_EQ(NOT_ECT, s.tos & 3);
	EXPECT_EQ(1, ecn_info_of(self->fd).mode);
	EXPECT_EQ(OPTION_ECN | OPTION_ECN_SEEN,
		  ecn_info_of(self->fd).options & (OPTION_ECN | OPTION_ECN_SEEN));
}

TEST_F(ecn, classic_text_sent_again_is_not_capable)
{
	struct segment s;

	self->fd = accepted(&self->w, self->listener, "2", ECE | CWR, 0);
	EXPECT_EQ(5, send(self->fd, "hello", 5, 0));
	s = wire_expect(&self->w, PSH);
	EXPECT_EQ(ECT_0, s.tos & 3);
	s = wire_expect(&self->w, PSH);
	EXPECT_EQ(NOT_ECT, s.tos & 3);
}

TEST_F(ecn, ip_tos_keeps_its_other_bits)
{
	struct segment s;

	self->fd = accepted(&self->w, self->listener, "2", ECE | CWR, 0);
	set_option(self->fd, IPPROTO_IP, IP_TOS, 0x28);
	EXPECT_EQ(5, send(self->fd, "hello", 5, 0));
	s = wire_expect(&self->w, PSH);
	EXPECT_EQ(0x28 | ECT_0, s.tos);
	EXPECT_EQ(0x28, get_option(self->fd, IPPROTO_IP, IP_TOS) & ~3);
}

TEST_F(ecn, classic_mark_is_echoed_until_cwr)
{
	self->fd = accepted(&self->w, self->listener, "2", ECE | CWR, 0);
	send_with(&self->w, PSH, CE, "one", 3);
	EXPECT_EQ(ECE, wire_expect(&self->w, ACK).flags & ACE);
	send_with(&self->w, PSH, ECT_0, "two", 3);
	EXPECT_EQ(ECE, wire_expect(&self->w, ACK).flags & ACE);
	send_with(&self->w, PSH | CWR, ECT_0, "three", 5);
	EXPECT_EQ(0, wire_expect(&self->w, ACK).flags & ACE);
}

TEST_F(ecn, cwr_is_on_the_first_segment_of_a_run_alone)
{
	static const char block[8000];
	int with = 0, n = 0;
	struct segment s;

	self->fd = accepted(&self->w, self->listener, "2", ECE | CWR, 0);
	EXPECT_EQ(1000, send(self->fd, block, 1000, 0));
	s = wire_expect(&self->w, PSH);
	self->w.rcv_nxt = s.seq + s.len;
	send_with(&self->w, ECE, NOT_ECT, NULL, 0);
	EXPECT_EQ(sizeof(block), send(self->fd, block, sizeof(block), 0));
	while (wire_next(&s, limit_ms(100))) {
		if (s.seq == self->w.rcv_nxt && !n)
			EXPECT_EQ(CWR, s.flags & ACE);
		with += !!(s.flags & CWR);
		n++;
	}
	EXPECT_LT(1, n);
	EXPECT_EQ(1, with);
}

TEST_F(ecn, accurate_marks_are_counted)
{
	struct segment s;

	self->fd = accepted(&self->w, self->listener, "3", ACE, CWR);
	send_with(&self->w, PSH | AE | ECE, CE, "one", 3);
	s = wire_expect(&self->w, ACK);
	EXPECT_EQ(AE | CWR, s.flags & ACE);
	EXPECT_EQ(ECT_0, s.tos & 3);
	send_with(&self->w, PSH | AE | ECE, ECT_1, "two", 3);
	EXPECT_EQ(AE | CWR, wire_expect(&self->w, ACK).flags & ACE);
	send_with(&self->w, PSH | AE | ECE, CE, "three", 5);
	EXPECT_EQ(ACE, wire_expect(&self->w, ACK).flags & ACE);
	EXPECT_EQ(2, ecn_info_of(self->fd).received_ce);
	EXPECT_EQ(2, ecn_info_of(self->fd).mode);
}

TEST_F(ecn, accurate_counter_is_on_each_segment_of_a_run)
{
	static const char block[8000];
	struct segment s;
	int n = 0;

	self->fd = accepted(&self->w, self->listener, "3", ACE, CWR);
	send_with(&self->w, PSH | AE | ECE, CE, "one", 3);
	wire_expect(&self->w, ACK);
	EXPECT_EQ(sizeof(block), send(self->fd, block, sizeof(block), 0));
	while (wire_next(&s, limit_ms(100))) {
		EXPECT_EQ(AE | CWR, s.flags & ACE);
		EXPECT_EQ(ECT_0, s.tos & 3);
		n++;
	}
	EXPECT_LT(1, n);
}

TEST_F(ecn, accurate_feedback_is_believed_once)
{
	struct segment s;

	self->fd = accepted(&self->w, self->listener, "3", ACE, CWR);
	EXPECT_EQ(5, send(self->fd, "hello", 5, 0));
	s = wire_expect(&self->w, PSH);
	self->w.rcv_nxt = s.seq + s.len;
	send_with(&self->w, AE | CWR, ECT_0, NULL, 0);
	EXPECT_TRUE(wait_until(ecn_info_of(self->fd).delivered_ce == 1, 1000));
	send_with(&self->w, AE | CWR, ECT_0, NULL, 0);
	send_with(&self->w, PSH | AE | CWR, ECT_0, "x", 1);
	wire_expect(&self->w, ACK);
	EXPECT_EQ(1, ecn_info_of(self->fd).delivered_ce);
}

/* Both ends real, and a network between them that marks where it would drop. */
FIXTURE(ecn_marking) {
	int unused;
};

VETH_VARIANTS(ecn_marking);

FIXTURE_SETUP(ecn_marking)
{
	make_network(VETH);
}

FIXTURE_TEARDOWN(ecn_marking)
{
}

static void set_mode(const char *mode)
{
	enter_far();
	set_sysctl("net/ipv4/tcp_ecn", mode);
	enter_near();
	set_sysctl("net/ipv4/tcp_ecn", mode);
}

/* Packets of the client's side are marked where they would be lost. */
static bool mark_packets(void)
{
	enter_near();
	return !system("tc qdisc replace dev " NEAR_DEV " root netem loss 10% ecn 2>/dev/null");
}

/* Reads @len bytes of a pattern and the end of file. */
static bool reads_pattern(int fd, size_t len)
{
	unsigned char block[65536];
	size_t at = 0, i;
	ssize_t n;

	while ((n = recv(fd, block, sizeof(block), 0)) > 0) {
		for (i = 0; i < n; i++)
			if (block[i] != (at + i) % 251)
				return false;
		at += n;
	}
	return !n && at == len;
}

/* Much data from the client to the server; marks are told to the client. */
static void send_marked(struct __test_metadata *_metadata, const struct combo *combo,
			const char *number, int mode)
{
	static unsigned char pattern[251 * 256];
	size_t len = amount(256, 16) * sizeof(pattern), i;
	struct pair p;
	pid_t child;

	set_mode(number);
	p = make_pair(combo);
	if (!mark_packets())
		SKIP(return, "no netem");
	for (i = 0; i < sizeof(pattern); i++)
		pattern[i] = i % 251;
	child = start_child();
	if (!child) {
		close(p.client);
		_exit(!reads_pattern(p.server, len));
	}
	for (i = 0; i < len; i += sizeof(pattern))
		send_all(p.client, pattern, sizeof(pattern));
	EXPECT_EQ(0, shutdown(p.client, SHUT_WR));
	EXPECT_EQ(0, end_of_child(child));
	EXPECT_EQ(mode, ecn_info_of(p.client).mode);
	EXPECT_EQ(mode, ecn_info_of(p.server).mode);
	EXPECT_TRUE(wait_until(ecn_info_of(p.client).delivered_ce > 0, 1000));
	if (mode == 2)
		EXPECT_TRUE(wait_until(ecn_info_of(p.client).delivered_ce ==
				       ecn_info_of(p.server).received_ce, 1000));
	close_pair(&p);
}

TEST_F_TIMEOUT(ecn_marking, classic_feedback_reaches_the_sender, 120)
{
	send_marked(_metadata, &variant->combo, "1", 1);
}

TEST_F_TIMEOUT(ecn_marking, accurate_feedback_reaches_the_sender, 120)
{
	send_marked(_metadata, &variant->combo, "3", 2);
}
