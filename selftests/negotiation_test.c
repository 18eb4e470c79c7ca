// SPDX-License-Identifier: GPL-2.0
/* Options of the SYN and what follows from them (RFC 7323, RFC 2018), and the path MTU. */
#include <netinet/ip_icmp.h>
#include <poll.h>

#include "lib/busy.h"
#include "lib/selftest.h"
#include "lib/wire.h"

#define PORT 4000
#define PEER_PORT 5000
#define TCPOPT_USER_TIMEOUT 28

/* What the peer offers: MSS 1000, SACK, timestamps, a window scale of 5. */
static const uint8_t all_options[] = {
	2, 4, 1000 >> 8, 1000 & 255, 4, 2, 8, 10, 0, 0, 0x10, 0, 0, 0, 0, 0, 1, 3, 3, 5,
};

FIXTURE(negotiation) {
	struct wire w;
	struct segment syn_ack;
	uint8_t options[40];	/* of the SYN-ACK */
	uint32_t echo;		/* the stack's last timestamp */
	int fd;
};

/* The value of option @kind; NULL when it is not there. */
static const uint8_t *find_option(const uint8_t *options, size_t len, uint8_t kind)
{
	size_t i = 0;

	while (i < len && options[i] != TCPOPT_EOL) {
		if (options[i] == TCPOPT_NOP) {
			i++;
			continue;
		}
		if (i + 1 >= len || options[i + 1] < 2 || i + options[i + 1] > len)
			die("malformed option %d", options[i]);
		if (options[i] == kind)
			return options + i + 2;
		i += options[i + 1];
	}
	return NULL;
}

static uint32_t number(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

/* The user timeout (RFC 5482) that @s tells, as on the wire; 0 when it tells none. */
static int user_timeout(const struct segment *s)
{
	const uint8_t *p = find_option(s->options, s->options_len, TCPOPT_USER_TIMEOUT);

	return p ? p[0] << 8 | p[1] : 0;
}

static void put_number(uint8_t *p, uint32_t n)
{
	p[0] = n >> 24;
	p[1] = n >> 16;
	p[2] = n >> 8;
	p[3] = n;
}

/* A segment with @flags and a timestamp of the peer's clock at @clock. */
static void send_stamped_as(const struct wire *w, uint16_t flags, uint32_t seq, uint32_t clock,
			    uint32_t echo, const void *data, size_t len)
{
	uint8_t options[12] = { TCPOPT_NOP, TCPOPT_NOP, TCPOPT_TIMESTAMP, 10 };
	struct segment s = {
		.sport = w->port, .dport = w->stack_port, .seq = seq, .ack = w->rcv_nxt,
		.flags = flags, .window = 1000, .options = options, .options_len = 12,
		.data = data, .len = len,
	};

	put_number(options + 4, clock);
	put_number(options + 8, echo);
	wire_inject(&s);
}

static void send_stamped(const struct wire *w, uint32_t seq, uint32_t clock, uint32_t echo,
			 const void *data, size_t len)
{
	send_stamped_as(w, ACK, seq, clock, echo, data, len);
}

FIXTURE_SETUP(negotiation)
{
	struct segment syn = {
		.sport = PEER_PORT, .dport = PORT, .seq = 1000, .flags = SYN, .window = 60000,
		.options = all_options, .options_len = sizeof(all_options),
	};
	struct wire w = { .port = PEER_PORT, .stack_port = PORT, .snd_nxt = 1001 };
	int listener;

	make_network(LOOPBACK);
	wire_open();
	listener = own_socket(0);
	ASSERT_EQ(0, bind_to(listener, STACK_ADDR, PORT));
	ASSERT_EQ(0, listen(listener, 1));
	wire_inject(&syn);
	self->syn_ack = wire_expect(&w, SYN | ACK);
	memcpy(self->options, self->syn_ack.options, self->syn_ack.options_len);
	ASSERT_TRUE(find_option(self->options, self->syn_ack.options_len, TCPOPT_TIMESTAMP));
	self->echo = number(find_option(self->options, self->syn_ack.options_len,
					TCPOPT_TIMESTAMP));
	w.rcv_nxt = self->syn_ack.seq + 1;
	send_stamped(&w, w.snd_nxt, 0x1001, self->echo, NULL, 0);
	self->fd = accept(listener, NULL, NULL);
	ASSERT_LE(0, self->fd);
	self->w = w;
}

FIXTURE_TEARDOWN(negotiation)
{
}

TEST_F(negotiation, answers_each_option_that_was_offered)
{
	size_t len = self->syn_ack.options_len;

	EXPECT_EQ(1460, self->syn_ack.mss);
	EXPECT_TRUE(find_option(self->options, len, TCPOPT_SACK_PERMITTED));
	EXPECT_TRUE(find_option(self->options, len, TCPOPT_WINDOW));
	EXPECT_EQ(0x1000, number(find_option(self->options, len, TCPOPT_TIMESTAMP) + 4));
}

TEST_F(negotiation, answers_no_option_that_was_not_offered)
{
	int listener = own_socket(0);
	struct segment s;
	struct wire w;

	EXPECT_EQ(0, bind_to(listener, STACK_ADDR, PORT + 1));
	EXPECT_EQ(0, listen(listener, 1));
	wire_syn(&w, PEER_PORT + 1, PORT + 1);
	s = wire_expect(&w, SYN | ACK);
	EXPECT_NE(0, s.mss);
	EXPECT_FALSE(find_option(s.options, s.options_len, TCPOPT_SACK_PERMITTED));
	EXPECT_FALSE(find_option(s.options, s.options_len, TCPOPT_WINDOW));
	EXPECT_FALSE(find_option(s.options, s.options_len, TCPOPT_TIMESTAMP));
}

TEST_F(negotiation, switched_off_options_are_not_offered)
{
	struct segment s;
	int fd;

	set_sysctl("net/ipv4/tcp_sack", "0");
	set_sysctl("net/ipv4/tcp_timestamps", "0");
	set_sysctl("net/ipv4/tcp_window_scaling", "0");
	fd = own_socket(SOCK_NONBLOCK);
	EXPECT_EQ(EINPROGRESS, connect_to(fd, PEER_ADDR, 80));
	do {
		s = wire_any(SYN);
	} while (s.dport != 80);
	EXPECT_NE(0, s.mss);
	EXPECT_FALSE(find_option(s.options, s.options_len, TCPOPT_SACK_PERMITTED));
	EXPECT_FALSE(find_option(s.options, s.options_len, TCPOPT_WINDOW));
	EXPECT_FALSE(find_option(s.options, s.options_len, TCPOPT_TIMESTAMP));
}

TEST_F(negotiation, every_segment_carries_and_echoes_timestamps)
{
	const uint8_t *stamp;
	struct segment s;

	send_stamped(&self->w, self->w.snd_nxt, 0x2000, self->echo, "hello", 5);
	s = wire_expect(&self->w, ACK);
	stamp = find_option(s.options, s.options_len, TCPOPT_TIMESTAMP);
	ASSERT_TRUE(stamp);
	EXPECT_EQ(0x2000, number(stamp + 4));
	EXPECT_LE(0, (int32_t)(number(stamp) - self->echo));
}

/* RFC 9293 3.1, MUST-5 and MUST-6. */
TEST_F(negotiation, unknown_options_of_any_segment_are_passed_over)
{
	static const uint8_t unknown[] = { 200, 6, 1, 2, 3, 4, 201, 2 };
	struct segment s = {
		.sport = PEER_PORT, .dport = PORT + 1, .seq = 1000, .flags = SYN, .window = 1000,
		.options = unknown, .options_len = sizeof(unknown), .data = "hello",
	};
	int listener = own_socket(0), fd;
	char got[5];

	ASSERT_EQ(0, bind_to(listener, STACK_ADDR, PORT + 1));
	ASSERT_EQ(0, listen(listener, 1));
	wire_inject(&s);
	s.ack = wire_any(SYN | ACK).seq + 1;
	s.seq++;
	s.flags = ACK;
	wire_inject(&s);
	fd = accept(listener, NULL, NULL);
	ASSERT_LE(0, fd);
	s.flags = ACK | PSH;
	s.len = 5;
	wire_inject(&s);
	recv_all(fd, got, 5);
	EXPECT_EQ(0, memcmp(got, "hello", 5));
	s.flags = ACK | FIN;
	s.seq += 5;
	s.len = 0;
	wire_inject(&s);
	EXPECT_EQ(-1, recv_errno(fd));
	s.flags = RST;
	s.seq++;
	wire_inject(&s);
	EXPECT_TRUE(wait_until(!connection_state(own_family(), PORT + 1, PEER_PORT), 5000));
}

TEST_F(negotiation, window_is_scaled_both_ways)
{
	static const char block[40000];
	struct segment s;
	size_t total = 0;

	/* 1,000 times 32: more than one would be without the scale. */
	EXPECT_EQ(sizeof(block), send(self->fd, block, sizeof(block), 0));
	while (total < 5000) {
		s = wire_expect(&self->w, ACK);
		total += s.len;
	}
	/* And ours: about the 64 KiB of a new socket, in units of its scale. */
	EXPECT_GT(65535 >> 2, s.window);
	EXPECT_LT(0, s.window);
}

TEST_F(negotiation, old_timestamp_is_dropped_and_answered)
{
	char got[4];

	send_stamped(&self->w, self->w.snd_nxt, 0x2000, self->echo, "good", 4);
	EXPECT_EQ(self->w.snd_nxt + 4, wire_expect(&self->w, ACK).ack);
	send_stamped(&self->w, self->w.snd_nxt + 4, 0x1800, self->echo, "evil", 4);
	EXPECT_EQ(self->w.snd_nxt + 4, wire_expect(&self->w, ACK).ack);
	recv_all(self->fd, got, 4);
	EXPECT_EQ(0, wait_events(self->fd, POLLIN, 0));
}

TEST_F(negotiation, gap_is_reported_by_sack)
{
	uint32_t start = self->w.snd_nxt;
	const uint8_t *sack;
	struct segment s;

	send_stamped(&self->w, start + 10, 0x2000, self->echo, "0123456789", 10);
	s = wire_expect(&self->w, ACK);
	EXPECT_EQ(start, s.ack);
	sack = find_option(s.options, s.options_len, TCPOPT_SACK);
	ASSERT_TRUE(sack);
	EXPECT_EQ(start + 10, number(sack));
	EXPECT_EQ(start + 20, number(sack + 4));

	/* A second gap: the newest comes first. */
	send_stamped(&self->w, start + 30, 0x2000, self->echo, "0123456789", 10);
	s = wire_expect(&self->w, ACK);
	sack = find_option(s.options, s.options_len, TCPOPT_SACK);
	ASSERT_TRUE(sack);
	EXPECT_EQ(start + 30, number(sack));
	EXPECT_EQ(start + 40, number(sack + 4));
	EXPECT_EQ(start + 10, number(sack + 8));
	EXPECT_EQ(start + 20, number(sack + 12));

	/* Filled: nothing to report. */
	send_stamped(&self->w, start, 0x2000, self->echo, "0123456789", 10);
	send_stamped(&self->w, start + 20, 0x2000, self->echo, "0123456789", 10);
	do {
		s = wire_expect(&self->w, ACK);
	} while (s.ack != start + 40);
	EXPECT_FALSE(find_option(s.options, s.options_len, TCPOPT_SACK));
}

/* Both headers are as long as they can be, and nothing is lent room by what came in. */
TEST_F(negotiation, answer_to_a_fin_behind_gaps_takes_all_options)
{
	uint32_t start = self->w.snd_nxt;
	uint8_t ip_options[40];
	struct segment s;
	int i;

	memset(ip_options, IPOPT_NOP, sizeof(ip_options));
	ASSERT_EQ(0, setsockopt(self->fd, IPPROTO_IP, IP_OPTIONS, ip_options, sizeof(ip_options)));
	for (i = 1; i <= 3; i++) {
		send_stamped(&self->w, start + 20 * i, 0x2000, self->echo, "0123456789", 10);
		s = wire_expect(&self->w, ACK);
	}
	send_stamped_as(&self->w, ACK | FIN, start + 80, 0x2000, self->echo, NULL, 0);
	s = wire_expect(&self->w, ACK);
	EXPECT_EQ(start, s.ack);
	EXPECT_EQ(40, s.options_len);
	EXPECT_TRUE(find_option(s.options, s.options_len, TCPOPT_SACK));
}

TEST_F(negotiation, fragmentation_needed_makes_segments_smaller)
{
	static const char block[2000];
	struct segment s;

	EXPECT_EQ(sizeof(block), send(self->fd, block, sizeof(block), 0));
	s = wire_expect(&self->w, ACK);
	EXPECT_EQ(1000 - 12, s.len);
	wire_icmp(&self->w, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, s.seq, 700);
	do {
		s = wire_expect(&self->w, ACK);
	} while (s.seq != self->w.rcv_nxt);
	EXPECT_EQ(700 - 20 - 20 - 12, s.len);
}

/* RFC 1191 5: an old router does not say what the next hop carries. */
TEST_F(negotiation, fragmentation_needed_without_a_size_makes_segments_smaller)
{
	static const char block[2000];
	struct segment s;

	set_sysctl("net/ipv4/route/min_pmtu", "600");
	EXPECT_EQ(sizeof(block), send(self->fd, block, sizeof(block), 0));
	s = wire_expect(&self->w, ACK);
	EXPECT_EQ(1000 - 12, s.len);
	wire_icmp(&self->w, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, s.seq, 0);
	do {
		s = wire_expect(&self->w, ACK);
	} while (s.seq != self->w.rcv_nxt);
	EXPECT_EQ(600 - 20 - 20 - 12, s.len);
}

TEST_F(negotiation, fragmentation_needed_without_a_size_does_not_refuse_a_connection)
{
	int fd = own_socket(SOCK_NONBLOCK);
	struct wire w;

	EXPECT_EQ(EINPROGRESS, connect_to(fd, PEER_ADDR, PEER_PORT + 1));
	wire_await_syn(&w);
	wire_icmp(&w, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, w.rcv_nxt - 1, 0);
	EXPECT_EQ(0, wait_events(fd, POLLOUT, 50));
	wire_send(&w, SYN | ACK, NULL, 0);
	EXPECT_EQ(POLLOUT, wait_events(fd, POLLOUT, 5000));
	EXPECT_EQ(0, take_error(fd));
}

TEST_F(negotiation, fragmentation_needed_for_what_was_never_sent_is_ignored)
{
	static const char block[2000];
	struct segment s;

	wire_icmp(&self->w, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, self->w.rcv_nxt + 100000, 700);
	EXPECT_EQ(sizeof(block), send(self->fd, block, sizeof(block), 0));
	s = wire_expect(&self->w, ACK);
	EXPECT_EQ(1000 - 12, s.len);
}

/* What waits until the user lets go of the socket is judged like all others (RFC 5927 4.1). */
TEST_F(negotiation, fragmentation_needed_that_waits_is_ignored_for_what_was_never_sent)
{
	static const char block[2000];
	long before = own_counter("LockDroppedIcmps");
	struct segment s;
	pid_t child;
	int i = 0;

	child = keep_busy(self->fd);
	/* Until the other error, which does not wait, shows that both find the socket in use. */
	do {
		pause_ms(2);
		wire_icmp(&self->w, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, self->w.rcv_nxt + 100000,
			  700);
		wire_icmp(&self->w, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH,
			  self->w.rcv_nxt + 100000, 0);
	} while (++i < 20 || (!own_is_inet() && i < 1000 &&
			      own_counter("LockDroppedIcmps") == before));
	stop_child(child);
	if (!own_is_inet())
		EXPECT_LT(before, own_counter("LockDroppedIcmps"));
	EXPECT_EQ(sizeof(block), send(self->fd, block, sizeof(block), 0));
	s = wire_expect(&self->w, ACK);
	EXPECT_EQ(1000 - 12, s.len);
}

/* Between the same ports each time. Returns the SYN. */
static struct segment connect_again(int *fd, struct wire *w)
{
	struct segment s;

	*fd = own_socket(SOCK_NONBLOCK);
	set_option(*fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (bind_to(*fd, STACK_ADDR, PORT + 1))
		die("bind");
	if (!wait_until(connect_to(*fd, PEER_ADDR, PEER_PORT + 1) == EINPROGRESS, 5000))
		die("connect");
	s = wire_any(SYN);
	*w = (struct wire){
		.port = s.dport, .stack_port = s.sport, .snd_nxt = 5000, .rcv_nxt = s.seq + 1,
	};
	return s;
}

/* Sends @len bytes on @fd, which the peer acknowledges; returns how many it has. */
static size_t acknowledged(int fd, struct wire *w, size_t len)
{
	static const char block[100000];
	uint32_t start = w->rcv_nxt;
	struct segment s;
	size_t sent = 0;
	ssize_t n;

	while (w->rcv_nxt - start < len) {
		n = send(fd, block, len - sent < sizeof(block) ? len - sent : sizeof(block), 0);
		sent += n > 0 ? n : 0;
		if (!wire_next(&s, limit_ms(5000)))
			break;
		if (!s.len || s.seq != w->rcv_nxt)
			continue;
		w->rcv_nxt += s.len;
		send_stamped(w, w->snd_nxt, 0x1001,
			     number(find_option(s.options, s.options_len, TCPOPT_TIMESTAMP)), NULL, 0);
	}
	return w->rcv_nxt - start;
}

/*
 * More has been sent than the clock of initial numbers goes on meanwhile: those of
 * the connection that takes the place in TIME-WAIT come behind all the same, so that
 * no old duplicate is one of its segments (tcp_twsk_unique).
 */
TEST_F(negotiation, connection_in_place_of_one_in_time_wait_begins_behind_it)
{
	size_t len = 4 << 20;
	uint8_t options[sizeof(all_options)];
	struct segment s;
	struct wire w;
	uint32_t end;
	int fd;

	set_sysctl("net/ipv4/tcp_tw_reuse", "1");
	s = connect_again(&fd, &w);
	memcpy(options, all_options, sizeof(options));
	memcpy(options + 12, find_option(s.options, s.options_len, TCPOPT_TIMESTAMP), 4);
	s = (struct segment){
		.sport = w.port, .dport = w.stack_port, .seq = w.snd_nxt++, .ack = w.rcv_nxt,
		.flags = SYN | ACK, .window = 60000,
		.options = options, .options_len = sizeof(options),
	};
	wire_inject(&s);
	wire_expect(&w, ACK);
	ASSERT_EQ(len, acknowledged(fd, &w, len));
	close(fd);
	s = wire_expect(&w, FIN);
	end = w.rcv_nxt = s.seq + 1;
	send_stamped_as(&w, FIN | ACK, w.snd_nxt++, 0x1002,
			number(find_option(s.options, s.options_len, TCPOPT_TIMESTAMP)), NULL, 0);
	EXPECT_TRUE(reaches_state(own_family(), PORT + 1, PEER_PORT + 1, TCP_TIME_WAIT, 5000));
	wire_count(&w, 0, 0);
	pause_ms(1100);
	s = connect_again(&fd, &w);
	EXPECT_LE(0, (int32_t)(s.seq - (end + 65535 + 2)));
}

TEST_F(negotiation, user_timeout_is_not_told_by_default)
{
	struct segment s;

	EXPECT_FALSE(find_option(self->options, self->syn_ack.options_len, TCPOPT_USER_TIMEOUT));
	ASSERT_EQ(1, send(self->fd, "x", 1, 0));
	s = wire_expect(&self->w, PSH);
	EXPECT_EQ(0, user_timeout(&s));
}

/* RFC 5482 3: in the SYN, the first segment behind it, and when there is another. */
TEST_F(negotiation, user_timeout_is_told_where_that_is_asked_for)
{
	uint8_t options[] = { 2, 4, 1000 >> 8, 1000 & 255, TCPOPT_USER_TIMEOUT, 4, 0x80, 1 };
	struct segment s;
	struct wire w;
	int fd;

	set_sysctl("net/oxtcp/tcp_user_timeout_option", "300");
	s = connect_again(&fd, &w);
	w.window = 60000;
	EXPECT_EQ(300, user_timeout(&s));
	s = (struct segment){
		.sport = w.port, .dport = w.stack_port, .seq = w.snd_nxt++, .ack = w.rcv_nxt,
		.flags = SYN | ACK, .window = 60000,
		.options = options, .options_len = sizeof(options),
	};
	wire_inject(&s);
	s = wire_expect(&w, ACK);
	EXPECT_EQ(300, user_timeout(&s));

	ASSERT_EQ(1, send(fd, "x", 1, 0));
	s = wire_expect(&w, PSH);
	EXPECT_EQ(0, user_timeout(&s));
	wire_ack(&w, &s);

	set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 4001);
	ASSERT_EQ(1, send(fd, "x", 1, 0));
	s = wire_expect(&w, PSH);
	EXPECT_EQ(5, user_timeout(&s));
	wire_ack(&w, &s);
	ASSERT_EQ(1, send(fd, "x", 1, 0));
	s = wire_expect(&w, PSH);
	EXPECT_EQ(0, user_timeout(&s));
}

/* The first segment behind the SYN has it, too: the entry of a half-open connection keeps none. */
TEST_F(negotiation, user_timeout_is_told_in_the_syn_ack)
{
	struct wire w = {
		.port = PEER_PORT + 1, .stack_port = PORT + 1, .snd_nxt = 1001, .window = 60000,
	};
	struct segment syn = {
		.sport = PEER_PORT + 1, .dport = PORT + 1, .seq = 1000, .flags = SYN, .window = 60000,
	};
	struct segment s;
	int listener, fd;

	set_sysctl("net/oxtcp/tcp_user_timeout_option", "300");
	listener = own_socket(0);
	ASSERT_EQ(0, bind_to(listener, STACK_ADDR, PORT + 1));
	ASSERT_EQ(0, listen(listener, 1));
	wire_inject(&syn);
	s = wire_expect(&w, SYN | ACK);
	EXPECT_EQ(300, user_timeout(&s));
	w.rcv_nxt = s.seq + 1;
	wire_send(&w, ACK, NULL, 0);
	fd = accept(listener, NULL, NULL);
	ASSERT_LE(0, fd);
	ASSERT_EQ(1, send(fd, "x", 1, 0));
	s = wire_expect(&w, PSH);
	EXPECT_EQ(300, user_timeout(&s));
}
