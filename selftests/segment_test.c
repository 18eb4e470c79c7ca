// SPDX-License-Identifier: GPL-2.0
/* Data and acknowledgements of an established connection, segment by segment. */
#include <netinet/ip_icmp.h>
#include <poll.h>

#include "lib/selftest.h"
#include "lib/wire.h"

#include <linux/sock_diag.h>

#define PORT 4000
#define PEER_PORT 5000
/* The MSS that the peer offers. */
#define PEER_MSS 1000

FIXTURE(segment) {
	struct wire w;
	int listener;
	int fd;
};

FIXTURE_SETUP(segment)
{
	make_network(LOOPBACK);
	wire_open();
	self->listener = own_socket(0);
	ASSERT_EQ(0, bind_to(self->listener, STACK_ADDR, PORT));
	ASSERT_EQ(0, listen(self->listener, 8));
	wire_connect(&self->w, PEER_PORT, PORT);
	self->fd = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(segment)
{
}

static bool reads(int fd, const char *expected)
{
	size_t len = strlen(expected);
	char got[64] = "";

	recv_all(fd, got, len);
	return !memcmp(got, expected, len);
}

static int state(void)
{
	return connection_state(own_family(), PORT, PEER_PORT);
}

TEST_F(segment, data_are_acknowledged)
{
	wire_send(&self->w, ACK | PSH, "hello", 5);
	EXPECT_EQ(self->w.snd_nxt, wire_expect(&self->w, ACK).ack);
	EXPECT_TRUE(reads(self->fd, "hello"));
}

TEST_F(segment, sent_data_start_at_the_next_number_and_are_pushed)
{
	struct segment s;

	send_all(self->fd, "hello", 5);
	s = wire_expect(&self->w, PSH);
	EXPECT_EQ(self->w.rcv_nxt, s.seq);
	EXPECT_EQ(self->w.snd_nxt, s.ack);
	EXPECT_EQ(5, s.len);
	EXPECT_EQ(0, memcmp(s.data, "hello", 5));
}

TEST_F(segment, data_acknowledged_in_part_give_their_memory_back)
{
	char text[3 * PEER_MSS] = {};
	long whole;

	send_all(self->fd, text, sizeof(text));
	wire_expect(&self->w, PSH);
	whole = memory_of(self->fd, SK_MEMINFO_WMEM_QUEUED);
	self->w.rcv_nxt += PEER_MSS;
	wire_send(&self->w, ACK, NULL, 0);
	EXPECT_TRUE(wait_until(memory_of(self->fd, SK_MEMINFO_WMEM_QUEUED) ==
			       whole - PEER_MSS, 5000));
	/* What is left is whole. */
	self->w.rcv_nxt += 2 * PEER_MSS;
	wire_send(&self->w, ACK, NULL, 0);
	EXPECT_TRUE(wait_until(memory_of(self->fd, SK_MEMINFO_WMEM_QUEUED) == 0, 5000));
}

/* tcpi_busy_time or what is part of it, µs; newer than the C library. */
#define BUSY_TIME 168
#define SNDBUF_LIMITED 184

static uint64_t time_at(int fd, size_t offset)
{
	unsigned char info[512] = {};
	socklen_t len = sizeof(info);
	uint64_t us;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &len))
		die("TCP_INFO");
	memcpy(&us, info + offset, sizeof(us));
	return us;
}

TEST_F(segment, the_send_buffer_holds_back_only_while_it_is_full)
{
	uint64_t busy, limited;
	struct segment s;
	uint32_t end;

	set_option(self->fd, SOL_SOCKET, SO_SNDBUF, 5000);
	set_nonblocking(self->fd, true);
	end = self->w.rcv_nxt + fill(self->fd);
	EXPECT_EQ(EAGAIN, errno);
	while (self->w.rcv_nxt != end) {
		s = wire_expect(&self->w, ACK);
		wire_ack(&self->w, &s);
	}
	EXPECT_EQ(POLLOUT, wait_events(self->fd, POLLOUT, 5000));

	busy = time_at(self->fd, BUSY_TIME);
	limited = time_at(self->fd, SNDBUF_LIMITED);
	send_all(self->fd, "x", 1);
	pause_ms(60);
	EXPECT_LE(busy + 50000, time_at(self->fd, BUSY_TIME));
	EXPECT_EQ(limited, time_at(self->fd, SNDBUF_LIMITED));
}

TEST_F(segment, later_data_wait_for_the_missing)
{
	uint32_t start = self->w.snd_nxt;
	int have = -1;

	wire_send_at(&self->w, start + 5, ACK | PSH, "later", 5);
	/* The acknowledgement asks for the missing at once. */
	EXPECT_EQ(start, wire_expect(&self->w, ACK).ack);
	EXPECT_EQ(0, ioctl(self->fd, FIONREAD, &have));
	EXPECT_EQ(0, have);
	EXPECT_EQ(0, wait_events(self->fd, POLLIN, 0));
	wire_send_at(&self->w, start, ACK, "first", 5);
	EXPECT_EQ(start + 10, wire_expect(&self->w, ACK).ack);
	EXPECT_TRUE(reads(self->fd, "firstlater"));
}

TEST_F(segment, many_gaps_are_filled_in_any_order)
{
	static const char text[] = "abcdefghijklmnopqrst";
	static const int order[] = { 7, 3, 9, 5, 1, 8, 2, 6, 4, 0 };
	uint32_t start = self->w.snd_nxt;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(order); i++)
		wire_send_at(&self->w, start + 2 * order[i], ACK, text + 2 * order[i], 2);
	EXPECT_TRUE(reads(self->fd, text));
}

/* The peer opens one more connection, on which both sides tell of gaps (RFC 2018). */
static int connect_with_sack(int listener, struct wire *w)
{
	static const uint8_t options[] = { TCPOPT_MAXSEG, 4, PEER_MSS >> 8, PEER_MSS & 255,
					   TCPOPT_SACK_PERMITTED, 2, TCPOPT_NOP, TCPOPT_NOP };
	struct segment s = {
		.sport = PEER_PORT + 1, .dport = PORT, .flags = SYN, .window = 60000,
		.options = options, .options_len = sizeof(options),
	};

	*w = (struct wire){
		.port = PEER_PORT + 1, .stack_port = PORT, .snd_nxt = 1, .window = 60000,
	};
	wire_inject(&s);
	s = wire_expect(w, SYN | ACK);
	wire_ack(w, &s);
	return accept(listener, NULL, NULL);
}

/* No option has room for so many gaps, and the last one to be filled is the first one told of. */
TEST_F(segment, more_gaps_than_can_be_told_of_are_filled)
{
	static const int order[] = { 9, 7, 5, 3, 1, 0, 2, 4, 6, 8 };
	static const char text[] = "abcdefghijklmnopqrst";
	struct wire w;
	int fd = connect_with_sack(self->listener, &w);
	uint32_t start = w.snd_nxt;
	size_t i;

	ASSERT_LE(0, fd);
	for (i = 0; i < ARRAY_SIZE(order); i++)
		wire_send_at(&w, start + 2 * order[i], ACK, text + 2 * order[i], 2);
	EXPECT_TRUE(wait_until(wire_expect(&w, ACK).ack == start + 20, 5000));
	EXPECT_TRUE(reads(fd, text));
}

/* What others took the place of in the option is told of again when they are filled. */
TEST_F(segment, gap_that_others_took_the_place_of_is_told_of_again)
{
	static const int order[] = { 9, 7, 5, 3, 1, 0, 2, 4, 6 };
	struct segment s;
	struct wire w;
	int fd = connect_with_sack(self->listener, &w);
	uint32_t start = w.snd_nxt, block[2];
	size_t i;

	if (own_family() == AF_INET)
		SKIP(return, "Linux does not");
	ASSERT_LE(0, fd);
	for (i = 0; i < ARRAY_SIZE(order); i++)
		wire_send_at(&w, start + 2 * order[i], ACK, "xy", 2);
	do {
		s = wire_expect(&w, ACK);
	} while (s.ack != start + 16);
	ASSERT_EQ(12, s.options_len);
	EXPECT_EQ(TCPOPT_SACK, s.options[2]);
	memcpy(block, s.options + 4, sizeof(block));
	EXPECT_EQ(start + 18, ntohl(block[0]));
	EXPECT_EQ(start + 20, ntohl(block[1]));
}

/* CVE-2018-5390: many tiny segments, each of which is a gap, take no more than the buffer. */
TEST_F(segment, segment_smack_takes_no_more_memory_than_the_buffer)
{
	uint32_t start = self->w.snd_nxt, i;
	long most;

	set_option(self->fd, SOL_SOCKET, SO_RCVBUF, 32768);
	most = get_option(self->fd, SOL_SOCKET, SO_RCVBUF) + 4096;
	for (i = 1; i <= 4000; i++) {
		wire_send_at(&self->w, start + 2 * i, ACK, "x", 1);
		if (i % 100)
			continue;
		EXPECT_LE(memory_of(self->fd, SK_MEMINFO_RMEM_ALLOC), most);
		wire_count(&self->w, 0, 0);
	}
	/* What is next in turn is taken all the same. */
	wire_send_at(&self->w, start, ACK | PSH, "good", 4);
	EXPECT_TRUE(reads(self->fd, "good"));
}

TEST_F(segment, overlapping_data_count_once)
{
	uint32_t start = self->w.snd_nxt;

	wire_send_at(&self->w, start, ACK, "abcd", 4);
	wire_send_at(&self->w, start + 2, ACK, "cdef", 4);
	wire_send_at(&self->w, start + 8, ACK, "ij", 2);
	wire_send_at(&self->w, start + 7, ACK, "hijkl", 5);
	wire_send_at(&self->w, start + 4, ACK, "efghij", 6);
	EXPECT_TRUE(reads(self->fd, "abcdefghijkl"));
	EXPECT_EQ(0, wait_events(self->fd, POLLIN, 0));
}

TEST_F(segment, repeated_data_are_acknowledged_again_and_dropped)
{
	uint32_t start = self->w.snd_nxt;

	wire_send(&self->w, ACK | PSH, "hello", 5);
	wire_expect(&self->w, ACK);
	wire_send_at(&self->w, start, ACK | PSH, "hello", 5);
	EXPECT_EQ(start + 5, wire_expect(&self->w, ACK).ack);
	EXPECT_TRUE(reads(self->fd, "hello"));
	EXPECT_EQ(0, wait_events(self->fd, POLLIN, 0));
}

TEST_F(segment, data_far_outside_the_window_are_dropped)
{
	wire_send_at(&self->w, self->w.snd_nxt + 0x10000000, ACK | PSH, "x", 1);
	EXPECT_EQ(self->w.snd_nxt, wire_expect(&self->w, ACK).ack);
	wire_send(&self->w, ACK | PSH, "good", 4);
	EXPECT_TRUE(reads(self->fd, "good"));
}

TEST_F(segment, wrong_checksum_is_dropped_without_an_answer)
{
	struct segment s = {
		.sport = PEER_PORT, .dport = PORT, .seq = self->w.snd_nxt,
		.ack = self->w.rcv_nxt, .flags = ACK | PSH, .window = 1000,
		.data = "evil", .len = 4, .corrupt = true,
	};

	wire_inject(&s);
	EXPECT_EQ(0, wire_count(&self->w, 0xff, 50));
	wire_send(&self->w, ACK | PSH, "good", 4);
	EXPECT_TRUE(reads(self->fd, "good"));
}

TEST_F(segment, without_ack_is_dropped)
{
	wire_send_at(&self->w, self->w.snd_nxt, PSH, "evil", 4);
	wire_send(&self->w, ACK | PSH, "good", 4);
	EXPECT_TRUE(reads(self->fd, "good"));
}

TEST_F(segment, malformed_options_do_no_harm)
{
	static const uint8_t options[][8] = {
		{ 2, 0, 1, 1 }, { 8, 255, 1, 1 }, { 5, 3, 1, 1 }, { 1, 1, 1, 8 },
		{ 254, 1, 254, 1 }, { 3, 40, 200, 200 }, { 8, 10, 0, 0 }, { 0, 0, 0, 0 },
	};
	struct segment s = {
		.sport = PEER_PORT, .dport = PORT, .ack = self->w.rcv_nxt, .flags = ACK,
		.window = 1000, .options_len = 8, .len = 1,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(options); i++) {
		s.seq = self->w.snd_nxt++;
		s.options = options[i];
		s.data = &"abcdefgh"[i];
		/* Whether it is taken or dropped: what follows in good form must be. */
		wire_inject(&s);
		wire_send_at(&self->w, s.seq, ACK, s.data, 1);
	}
	EXPECT_TRUE(reads(self->fd, "abcdefgh"));
}

TEST_F(segment, acknowledgement_of_what_was_not_sent_is_answered)
{
	struct wire ahead = self->w;

	ahead.rcv_nxt += 5000;
	wire_send_at(&ahead, ahead.snd_nxt, ACK, NULL, 0);
	EXPECT_EQ(self->w.rcv_nxt, wire_expect(&self->w, ACK).seq);
	EXPECT_EQ(TCP_ESTABLISHED, state());
	send_all(self->fd, "hello", 5);
	EXPECT_EQ(self->w.rcv_nxt, wire_expect(&self->w, PSH).seq);
}

/* RFC 6633: it once asked for less to be sent. */
TEST_F(segment, source_quench_is_ignored)
{
	int error = -1;
	socklen_t len = sizeof(error);
	struct segment s;
	unsigned int cwnd;

	send_all(self->fd, "hello", 5);
	s = wire_expect(&self->w, PSH);
	cwnd = info_of(self->fd).tcpi_snd_cwnd;
	wire_icmp(&self->w, ICMP_SOURCE_QUENCH, 0, s.seq, 0);
	EXPECT_EQ(cwnd, 0 + info_of(self->fd).tcpi_snd_cwnd);
	EXPECT_EQ(0, getsockopt(self->fd, SOL_SOCKET, SO_ERROR, &error, &len));
	EXPECT_EQ(0, error);
	wire_ack(&self->w, &s);
	send_all(self->fd, "again", 5);
	do {
		s = wire_expect(&self->w, PSH);
	} while (s.seq != self->w.rcv_nxt);
}

TEST_F(segment, time_to_live_is_as_the_user_chose)
{
	int ttl = 7;

	/* The second write is not to wait for the acknowledgment of the first. */
	set_option(self->fd, IPPROTO_TCP, TCP_NODELAY, 1);
	send_all(self->fd, "hello", 5);
	EXPECT_EQ(64, wire_expect(&self->w, PSH).ttl);
	EXPECT_EQ(0, setsockopt(self->fd, SOL_IP, IP_TTL, &ttl, sizeof(ttl)));
	send_all(self->fd, "again", 5);
	EXPECT_EQ(7, wire_expect(&self->w, PSH).ttl);
}

/* Of a connection that is open, too (RFC 9293 3.9.1.9). */
TEST_F(segment, diffserv_field_is_as_the_user_chose)
{
	static const uint8_t chosen[] = { 0x28, 0xb8, 0 };
	struct segment s;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(chosen); i++) {
		set_option(self->fd, IPPROTO_IP, IP_TOS, chosen[i]);
		send_all(self->fd, "hello", 5);
		s = wire_expect(&self->w, PSH);
		EXPECT_EQ(chosen[i], s.tos);
		wire_ack(&self->w, &s);
	}
}

TEST_F(segment, syn_to_many_is_dropped_without_an_answer)
{
	static const char * const many[] = { "10.7.0.255", "255.255.255.255", "224.0.0.1" };
	struct segment s = { .sport = PEER_PORT, .dport = PORT + 1, .flags = SYN, .window = 1000 };
	int listener = own_socket(0);
	struct segment answer;
	size_t i;

	ASSERT_EQ(0, bind_to(listener, "0.0.0.0", PORT + 1));
	ASSERT_EQ(0, listen(listener, 8));
	for (i = 0; i < ARRAY_SIZE(many); i++) {
		s.to = many[i];
		wire_inject(&s);
		EXPECT_FALSE(wire_next(&answer, 50));
	}
	s.to = NULL;
	wire_inject(&s);
	EXPECT_EQ(SYN | ACK, wire_any(SYN).flags);
}

TEST_F(segment, very_old_acknowledgement_is_ignored)
{
	struct wire old = self->w;

	old.rcv_nxt -= 0x30000000;
	wire_send_at(&old, old.snd_nxt, ACK, NULL, 0);
	wire_send(&self->w, ACK | PSH, "good", 4);
	EXPECT_TRUE(reads(self->fd, "good"));
	EXPECT_EQ(TCP_ESTABLISHED, state());
}

TEST_F(segment, mss_of_the_peer_is_kept)
{
	static const char block[5000];
	size_t total = 0;
	struct segment s;

	send_all(self->fd, block, sizeof(block));
	while (total < sizeof(block)) {
		s = wire_expect(&self->w, ACK);
		EXPECT_GE(PEER_MSS, s.len);
		total += s.len;
		wire_ack(&self->w, &s);
	}
}

TEST_F(segment, window_of_the_peer_is_kept)
{
	static const char block[5000];
	struct segment s;
	size_t total = 0;

	/* With a newer number: the same one with a smaller window could be an old segment. */
	wire_send(&self->w, ACK | PSH, "x", 1);
	self->w.window = 1500;
	wire_send(&self->w, ACK | PSH, "y", 1);
	EXPECT_TRUE(reads(self->fd, "xy"));
	wire_count(&self->w, 0, 0);
	send_all(self->fd, block, sizeof(block));
	while (wire_next(&s, 100))
		total += s.len;
	EXPECT_LE(PEER_MSS, total);
	EXPECT_GE(1500, total);
}

TEST_F(segment, sequence_numbers_wrap)
{
	/* The peer's numbers start at 0x7ffffff0, ours where the stack chose. */
	static char block[1000];
	int i;

	for (i = 0; i < 20; i++) {
		memset(block, i, sizeof(block));
		wire_send(&self->w, ACK | PSH, block, sizeof(block));
		recv_all(self->fd, block, sizeof(block));
		EXPECT_EQ(i, block[999]);
	}
	EXPECT_EQ(0x7ffffff1u + 20000, self->w.snd_nxt);
}

TEST_F(segment, fin_before_missing_data_is_not_the_end)
{
	uint32_t start = self->w.snd_nxt;

	wire_send_at(&self->w, start + 4, ACK | FIN, NULL, 0);
	EXPECT_EQ(start, wire_expect(&self->w, ACK).ack);
	EXPECT_EQ(0, wait_events(self->fd, POLLIN | POLLRDHUP, 0));
	EXPECT_EQ(TCP_ESTABLISHED, state());
	wire_send_at(&self->w, start, ACK, "data", 4);
	EXPECT_EQ(start + 5, wire_expect(&self->w, ACK).ack);
	EXPECT_TRUE(reads(self->fd, "data"));
	EXPECT_EQ(-1, recv_errno(self->fd));
	EXPECT_EQ(TCP_CLOSE_WAIT, state());
}

TEST_F(segment, repeated_fin_is_acknowledged_again)
{
	uint32_t start = self->w.snd_nxt;

	wire_send(&self->w, ACK | FIN, NULL, 0);
	EXPECT_EQ(start + 1, wire_expect(&self->w, ACK).ack);
	wire_send_at(&self->w, start, ACK | FIN, NULL, 0);
	EXPECT_EQ(start + 1, wire_expect(&self->w, ACK).ack);
	EXPECT_EQ(TCP_CLOSE_WAIT, state());
}

TEST_F(segment, close_takes_all_four_segments)
{
	struct segment fin;

	close(self->fd);
	fin = wire_expect(&self->w, FIN);
	EXPECT_EQ(self->w.rcv_nxt, fin.seq);
	EXPECT_EQ(TCP_FIN_WAIT1, state());
	wire_ack(&self->w, &fin);
	EXPECT_TRUE(wait_until(state() == TCP_FIN_WAIT2, 5000));
	wire_send(&self->w, FIN | ACK, NULL, 0);
	EXPECT_EQ(self->w.snd_nxt, wire_expect(&self->w, ACK).ack);
	EXPECT_TRUE(wait_until(state() == TCP_TIME_WAIT, 5000));
}

TEST_F(segment, fin_with_acknowledgement_goes_straight_to_time_wait)
{
	struct segment fin;

	close(self->fd);
	fin = wire_expect(&self->w, FIN);
	self->w.rcv_nxt = fin.seq + 1;
	wire_send(&self->w, FIN | ACK, NULL, 0);
	EXPECT_EQ(self->w.snd_nxt, wire_expect(&self->w, ACK).ack);
	EXPECT_TRUE(wait_until(state() == TCP_TIME_WAIT, 5000));
}

TEST_F(segment, simultaneous_close)
{
	struct segment fin;

	close(self->fd);
	fin = wire_expect(&self->w, FIN);
	wire_send(&self->w, FIN | ACK, NULL, 0);
	EXPECT_EQ(self->w.snd_nxt, wire_expect(&self->w, ACK).ack);
	EXPECT_TRUE(wait_until(state() == TCP_CLOSING, 5000));
	wire_ack(&self->w, &fin);
	EXPECT_TRUE(wait_until(state() == TCP_TIME_WAIT, 5000));
}

TEST_F(segment, passive_close_ends_with_the_last_acknowledgement)
{
	struct segment fin;

	wire_send(&self->w, FIN | ACK, NULL, 0);
	EXPECT_EQ(-1, recv_errno(self->fd));
	close(self->fd);
	fin = wire_expect(&self->w, FIN);
	EXPECT_EQ(TCP_LAST_ACK, state());
	wire_ack(&self->w, &fin);
	EXPECT_TRUE(wait_until(state() == 0, 5000));
}

TEST_F(segment, fin_repeated_in_time_wait_is_acknowledged)
{
	struct segment fin;

	close(self->fd);
	fin = wire_expect(&self->w, FIN);
	self->w.rcv_nxt = fin.seq + 1;
	wire_send(&self->w, FIN | ACK, NULL, 0);
	wire_expect(&self->w, ACK);
	wire_send_at(&self->w, self->w.snd_nxt - 1, FIN | ACK, NULL, 0);
	EXPECT_EQ(self->w.snd_nxt, wire_expect(&self->w, ACK).ack);
	EXPECT_EQ(TCP_TIME_WAIT, state());
}

TEST_F(segment, new_syn_in_time_wait_opens_again)
{
	struct segment s;
	uint32_t end;

	close(self->fd);
	s = wire_expect(&self->w, FIN);
	self->w.rcv_nxt = s.seq + 1;
	wire_send(&self->w, FIN | ACK, NULL, 0);
	EXPECT_TRUE(wait_until(state() == TCP_TIME_WAIT, 5000));
	wire_expect(&self->w, ACK);
	end = self->w.snd_nxt;
	self->w.snd_nxt = end + 100000;
	wire_send(&self->w, SYN, NULL, 0);
	s = wire_expect(&self->w, SYN | ACK);
	EXPECT_EQ(self->w.snd_nxt, s.ack);
	wire_ack(&self->w, &s);
	EXPECT_TRUE(wait_until(state() == TCP_ESTABLISHED, 5000));
}

/* A connection from an ephemeral port that has ended here first, and a SYN for a new one. */
static struct wire syn_in_time_wait(bool listen_there)
{
	int fd = own_socket(SOCK_NONBLOCK), listener = socket(AF_INET, SOCK_STREAM, 0);
	struct segment fin;
	struct wire w;

	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	set_option(listener, SOL_SOCKET, SO_REUSEADDR, 1);
	if (connect_to(fd, PEER_ADDR, PEER_PORT + 1) != EINPROGRESS)
		die("connect");
	wire_accept(&w);
	close(fd);
	fin = wire_expect(&w, FIN);
	w.rcv_nxt = fin.seq + 1;
	wire_send(&w, FIN | ACK, NULL, 0);
	wire_expect(&w, ACK);
	if (listen_there && (bind_to(listener, STACK_ADDR, w.stack_port) || listen(listener, 1)))
		die("listen");
	w.snd_nxt += 100000;
	wire_send(&w, SYN, NULL, 0);
	return w;
}

/* Linux looks for a listener before it ends TIME-WAIT (TCP_TW_SYN in tcp_v4_rcv). */
TEST_F(segment, new_syn_in_time_wait_without_a_listener_is_acknowledged)
{
	struct wire w = syn_in_time_wait(false);
	struct segment s;

	do {
		ASSERT_TRUE(wire_next(&s, limit_ms(5000)));
	} while (s.dport != w.port);
	EXPECT_EQ(ACK, s.flags);
	EXPECT_EQ(w.rcv_nxt, s.seq);
	EXPECT_EQ(w.snd_nxt - 100001, s.ack);
	EXPECT_EQ(TCP_TIME_WAIT, connection_state(own_family(), w.stack_port, w.port));
}

/* To a port that the family has for connections only AF_INET may listen. */
TEST_F(segment, new_syn_in_time_wait_opens_where_AF_INET_listens)
{
	struct wire w = syn_in_time_wait(true);

	EXPECT_EQ(w.snd_nxt, wire_expect(&w, SYN | ACK).ack);
}
