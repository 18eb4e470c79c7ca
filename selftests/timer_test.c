// SPDX-License-Identifier: GPL-2.0
/* What happens when nothing comes: retransmission, probes, timeouts. */
#include <linux/sockios.h>
#include <poll.h>

#include "lib/selftest.h"
#include "lib/wire.h"

#define PORT 4000
#define PEER_PORT 5000

FIXTURE(timer) {
	struct wire w;
	int fd;
};

/* A connection that the peer has opened. */
static int accepted(struct wire *w)
{
	int listener;

	wire_open();
	listener = own_socket(0);
	if (bind_to(listener, STACK_ADDR, PORT) || listen(listener, 8))
		die("listen");
	wire_connect(w, PEER_PORT, PORT);
	return accept(listener, NULL, NULL);
}

FIXTURE_SETUP(timer)
{
	make_network(LOOPBACK);
	/* Short, so that a test of giving up ends soon. */
	set_sysctl("net/ipv4/tcp_retries2", "3");
	set_sysctl("net/ipv4/tcp_orphan_retries", "2");
	self->fd = accepted(&self->w);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(timer)
{
}

static int state(void)
{
	return connection_state(own_family(), PORT, PEER_PORT);
}

TEST_F(timer, lost_data_are_sent_again_after_doubling_times)
{
	int64_t sent[4], wait[3];
	struct segment s;
	int i, n;

	send_all(self->fd, "hello", 5);
	for (i = 0; i < 4; i++) {
		s = wire_expect(&self->w, PSH);
		sent[i] = now_ms();
		EXPECT_EQ(self->w.rcv_nxt, s.seq);
		EXPECT_EQ(5, s.len);
		EXPECT_EQ(0, memcmp(s.data, "hello", 5));
	}
	for (i = 0; i < 3; i++)
		wait[i] = sent[i + 1] - sent[i];
	/* 200 ms at least; a tail loss probe may come before. */
	n = wait[0] < 200 - TICKS_MS;
	EXPECT_LE(200 - TICKS_MS, wait[n]);
	EXPECT_LE(wait[n] * 3 / 2, wait[n + 1]);
	wire_ack(&self->w, &s);
	EXPECT_EQ(0, wire_count(&self->w, PSH, 1000));
}

TEST_F(timer, unacknowledged_data_end_in_ETIMEDOUT)
{
	int64_t start = now_ms();

	send_all(self->fd, "hello", 5);
	EXPECT_EQ(POLLERR | POLLHUP, wait_events(self->fd, 0, 15000));
	EXPECT_LE(1000, now_ms() - start);
	EXPECT_EQ(ETIMEDOUT, take_error(self->fd));
	EXPECT_EQ(0, state());
}

TEST_F(timer, lost_segment_is_sent_again_after_three_duplicate_acknowledgements)
{
	static const char block[10000];
	struct segment s, lost;
	int64_t start;
	int i;

	send_all(self->fd, block, sizeof(block));
	lost = wire_expect(&self->w, ACK);
	self->w.rcv_nxt = lost.seq;
	start = now_ms();
	for (i = 0; i < 4; i++)
		wire_send(&self->w, ACK, NULL, 0);
	do {
		s = wire_expect(&self->w, ACK);
	} while (s.seq != lost.seq);
	/* Before the retransmission timer. */
	if (slowness() == 1)
		EXPECT_GT(190, now_ms() - start);
}

TEST_F(timer, closed_window_is_probed_and_opens)
{
	struct segment s;
	char got[5];

	self->w.window = 0;
	wire_send(&self->w, ACK | PSH, "x", 1);
	recv_all(self->fd, got, 1);
	wire_expect(&self->w, ACK);
	send_all(self->fd, "hello", 5);
	/* A probe has an old number or one byte of the new. */
	s = wire_expect(&self->w, ACK);
	EXPECT_GE(1, s.len);
	EXPECT_TRUE(s.seq == self->w.rcv_nxt || s.seq == self->w.rcv_nxt - 1);
	wire_send(&self->w, ACK, NULL, 0);
	wire_expect(&self->w, ACK);
	self->w.window = 5000;
	wire_send(&self->w, ACK, NULL, 0);
	s = wire_expect(&self->w, PSH);
	EXPECT_EQ(self->w.rcv_nxt, s.seq);
	EXPECT_EQ(0, memcmp(s.data, "hello", 5));
}

/* How many segments the device's queue holds. */
static void set_queue(int segments)
{
	char command[64];

	snprintf(command, sizeof(command), "tc qdisc replace dev wire root pfifo limit %d",
		 segments);
	if (system(command))
		die("%s", command);
}

/* The device's queue is closed for as long as a slow machine takes: nothing is given up. */
FIXTURE(full) {
	struct wire w;
	int fd;
};

FIXTURE_SETUP(full)
{
	make_network(LOOPBACK);
	self->fd = accepted(&self->w);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(full)
{
}

TEST_F(full, what_the_device_had_no_room_for_was_not_sent)
{
	struct tcp_info info;
	struct segment s;
	int waiting;

	set_queue(0);
	send_all(self->fd, "hello", 5);
	EXPECT_EQ(0, wire_count(&self->w, PSH, 100));
	EXPECT_EQ(0, ioctl(self->fd, SIOCOUTQNSD, &waiting));
	EXPECT_EQ(5, waiting);
	EXPECT_EQ(0, info_of(self->fd).tcpi_unacked);
	set_queue(10);
	s = wire_expect(&self->w, PSH);
	EXPECT_EQ(self->w.rcv_nxt, s.seq);
	EXPECT_EQ(0, memcmp(s.data, "hello", 5));
	wire_ack(&self->w, &s);
	info = info_of(self->fd);
	EXPECT_EQ(0, info.tcpi_total_retrans);
	EXPECT_EQ(0, info.tcpi_backoff);
}

TEST_F(timer, what_the_device_never_has_room_for_ends_in_ETIMEDOUT)
{
	set_queue(0);
	send_all(self->fd, "hello", 5);
	EXPECT_TRUE(wait_until(info_of(self->fd).tcpi_probes >= 2, 10000));
	EXPECT_EQ(2, info_of(self->fd).tcpi_probes);
	EXPECT_EQ(0, info_of(self->fd).tcpi_backoff);
	EXPECT_EQ(POLLERR | POLLHUP, wait_events(self->fd, 0, 15000));
	EXPECT_EQ(ETIMEDOUT, take_error(self->fd));
	EXPECT_EQ(0, info_of(self->fd).tcpi_total_retrans);
	EXPECT_EQ(0, state());
}

TEST_F(full, what_the_device_has_no_room_for_again_is_not_counted_as_lost)
{
	struct tcp_info full;
	struct segment s;

	send_all(self->fd, "hello", 5);
	s = wire_expect(&self->w, PSH);
	set_queue(0);
	full = info_of(self->fd);
	/* With the path asked no more often, the timeout does not grow. */
	EXPECT_TRUE(wait_until(info_of(self->fd).tcpi_total_retrans >= full.tcpi_total_retrans + 3,
			       10000));
	EXPECT_GE(full.tcpi_backoff + 1, info_of(self->fd).tcpi_backoff);
	set_queue(10);
	s = wire_expect(&self->w, PSH);
	wire_ack(&self->w, &s);
	EXPECT_EQ(0, take_error(self->fd));
}

TEST_F(timer, closed_window_is_not_given_up_while_the_peer_answers)
{
	int i;

	self->w.window = 0;
	wire_send(&self->w, ACK | PSH, "x", 1);
	wire_expect(&self->w, ACK);
	send_all(self->fd, "hello", 5);
	/* More probes than tcp_retries2. */
	for (i = 0; i < 5; i++) {
		wire_expect(&self->w, ACK);
		wire_send(&self->w, ACK, NULL, 0);
	}
	EXPECT_EQ(TCP_ESTABLISHED, state());
}

TEST_F(timer, own_window_closes_and_opens_when_the_program_reads)
{
	int listener = own_socket(0), fd, limit = 100;
	static char block[1000];
	size_t sent = 0, got = 0;
	struct segment s;
	struct wire w;

	set_option(listener, SOL_SOCKET, SO_RCVBUF, 16000);
	ASSERT_EQ(0, bind_to(listener, STACK_ADDR, PORT + 1));
	ASSERT_EQ(0, listen(listener, 1));
	wire_connect(&w, PEER_PORT, PORT + 1);
	fd = accept(listener, NULL, NULL);
	ASSERT_LE(0, fd);
	do {
		wire_send(&w, ACK | PSH, block, sizeof(block));
		sent += sizeof(block);
		do {
			s = wire_expect(&w, ACK);
		} while (s.ack != w.snd_nxt);
	} while (s.window >= sizeof(block) && --limit);
	EXPECT_LT(0, limit);
	EXPECT_LT(4, 100 - limit);
	while (got < sent)
		got += recv(fd, block, sizeof(block), 0);
	/* The new room is told without being asked. */
	do {
		s = wire_expect(&w, ACK);
	} while (s.window < sizeof(block));
}

TEST_F(timer, keepalive_ends_the_connection_of_a_dead_peer)
{
	struct segment s;

	set_sysctl("net/ipv4/tcp_keepalive_time", "1");
	set_sysctl("net/ipv4/tcp_keepalive_intvl", "1");
	set_sysctl("net/ipv4/tcp_keepalive_probes", "2");
	set_option(self->fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	s = wire_expect(&self->w, ACK);
	EXPECT_EQ(self->w.rcv_nxt - 1, s.seq);
	EXPECT_GE(1, s.len);
	EXPECT_EQ(POLLERR | POLLHUP, wait_events(self->fd, 0, 10000));
	EXPECT_EQ(ETIMEDOUT, take_error(self->fd));
}

TEST_F(timer, keepalive_leaves_a_peer_that_answers)
{
	int i;

	set_option(self->fd, IPPROTO_TCP, TCP_KEEPIDLE, 1);
	set_option(self->fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
	set_option(self->fd, IPPROTO_TCP, TCP_KEEPCNT, 1);
	set_option(self->fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	for (i = 0; i < 3; i++) {
		wire_expect(&self->w, ACK);
		wire_send(&self->w, ACK, NULL, 0);
	}
	EXPECT_EQ(TCP_ESTABLISHED, state());
	EXPECT_EQ(0, take_error(self->fd));
}

TEST_F(timer, lost_fin_is_sent_again_and_given_up)
{
	close(self->fd);
	wire_expect(&self->w, FIN);
	wire_expect(&self->w, FIN);
	EXPECT_EQ(TCP_FIN_WAIT1, state());
	EXPECT_TRUE(wait_until(state() == 0, 15000));
}

TEST_F(timer, last_ack_is_given_up)
{
	wire_send(&self->w, FIN | ACK, NULL, 0);
	EXPECT_EQ(-1, recv_errno(self->fd));
	close(self->fd);
	EXPECT_EQ(TCP_LAST_ACK, state());
	EXPECT_TRUE(wait_until(state() == 0, 15000));
}

TEST_F(timer, acknowledgement_of_a_lone_segment_is_not_delayed_for_long)
{
	int64_t start;
	int i;

	for (i = 0; i < 30; i++) {
		start = now_ms();
		wire_send(&self->w, ACK | PSH, "x", 1);
		EXPECT_EQ(self->w.snd_nxt, wire_expect(&self->w, ACK).ack);
		EXPECT_GE(limit_ms(250), now_ms() - start);
	}
}

TEST_F(timer, small_data_wait_for_the_acknowledgement_of_small_data)
{
	struct segment s;

	send_all(self->fd, "a", 1);
	s = wire_expect(&self->w, PSH);
	send_all(self->fd, "b", 1);
	send_all(self->fd, "c", 1);
	/* Less than any retransmission. */
	EXPECT_EQ(0, wire_count(&self->w, PSH, 5));
	wire_ack(&self->w, &s);
	s = wire_expect(&self->w, PSH);
	EXPECT_EQ(2, s.len);
}

TEST_F(timer, nodelay_sends_small_data_at_once)
{
	struct segment s;

	set_option(self->fd, IPPROTO_TCP, TCP_NODELAY, 1);
	send_all(self->fd, "a", 1);
	s = wire_expect(&self->w, PSH);
	send_all(self->fd, "b", 1);
	do {
		s = wire_expect(&self->w, PSH);
	} while (s.seq == self->w.rcv_nxt);
	EXPECT_EQ(self->w.rcv_nxt + 1, s.seq);
	EXPECT_EQ(1, s.len);
}

TEST_F(timer, time_wait_lasts_as_long_as_it_is_set_to)
{
	struct segment fin;
	int64_t start;

	if (own_is_inet())
		SKIP(return, "AF_INET has no setting for it");
	set_sysctl("net/oxtcp/time_wait_ms", "700");
	close(self->fd);
	fin = wire_expect(&self->w, FIN);
	self->w.rcv_nxt = fin.seq + 1;
	wire_send(&self->w, FIN | ACK, NULL, 0);
	start = now_ms();
	EXPECT_TRUE(wait_until(state() == TCP_TIME_WAIT, 5000));
	EXPECT_TRUE(wait_until(state() == 0, 5000));
	EXPECT_LE(700 - TICKS_MS, now_ms() - start);
	EXPECT_GT(limit_ms(3000), now_ms() - start);
}
