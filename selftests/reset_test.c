// SPDX-License-Identifier: GPL-2.0
/* RST segments: in each state, at each place (RFC 9293 3.10.7, RFC 5961 3). */
#include <poll.h>

#include "lib/selftest.h"
#include "lib/wire.h"

#define PORT 4000
#define PEER_PORT 5000

FIXTURE(reset) {
	struct wire w;
	int listener;
	int fd;
};

/* Each test starts with an established connection that the peer has opened. */
FIXTURE_SETUP(reset)
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

FIXTURE_TEARDOWN(reset)
{
}

static int state(void)
{
	return connection_state(own_family(), PORT, PEER_PORT);
}

static bool becomes(int wanted)
{
	return reaches_state(own_family(), PORT, PEER_PORT, wanted, 5000);
}

/* A RST where the stack expects the next byte. */
static void reset_exactly(struct wire *w)
{
	wire_send_at(w, w->snd_nxt, RST, NULL, 0);
}

/* The stack sends its FIN, the peer does not acknowledge it yet. */
static struct segment half_close(int fd, struct wire *w)
{
	if (shutdown(fd, SHUT_WR))
		die("shutdown");
	return wire_expect(w, FIN);
}

TEST_F(reset, established)
{
	reset_exactly(&self->w);
	EXPECT_EQ(POLLERR | POLLHUP, wait_events(self->fd, 0, 5000));
	EXPECT_EQ(ECONNRESET, recv_errno(self->fd));
	EXPECT_EQ(0, state());
}

TEST_F(reset, what_was_known_of_the_connection_is_told_on)
{
	struct tcp_info before, after;

	send_all(self->fd, "hello", 5);
	wire_expect(&self->w, PSH);
	before = info_of(self->fd);
	EXPECT_EQ(1, before.tcpi_unacked);
	reset_exactly(&self->w);
	EXPECT_EQ(POLLERR | POLLHUP, wait_events(self->fd, 0, 5000));
	after = info_of(self->fd);
	EXPECT_EQ(TCP_CLOSE, after.tcpi_state);
	EXPECT_EQ(0, after.tcpi_unacked);
	EXPECT_LT(0, after.tcpi_rtt);
	EXPECT_EQ(before.tcpi_rtt, after.tcpi_rtt);
	EXPECT_EQ(before.tcpi_snd_mss, after.tcpi_snd_mss);
	EXPECT_EQ(before.tcpi_snd_cwnd, after.tcpi_snd_cwnd);
	EXPECT_EQ(before.tcpi_options, after.tcpi_options);
}

TEST_F(reset, established_with_acknowledgement)
{
	wire_send_at(&self->w, self->w.snd_nxt, RST | ACK, NULL, 0);
	EXPECT_EQ(POLLERR | POLLHUP, wait_events(self->fd, 0, 5000));
	EXPECT_EQ(ECONNRESET, take_error(self->fd));
}

TEST_F(reset, inside_the_window_is_challenged_and_survived)
{
	struct segment s;

	wire_send_at(&self->w, self->w.snd_nxt + 100, RST, NULL, 0);
	s = wire_expect(&self->w, ACK);
	EXPECT_EQ(ACK, s.flags);
	EXPECT_EQ(self->w.snd_nxt, s.ack);
	EXPECT_EQ(self->w.rcv_nxt, s.seq);
	EXPECT_EQ(TCP_ESTABLISHED, state());
	wire_send(&self->w, ACK | PSH, "alive", 5);
	EXPECT_EQ(POLLIN, wait_events(self->fd, POLLIN, 5000));
}

TEST_F(reset, outside_the_window_is_ignored)
{
	wire_send_at(&self->w, self->w.snd_nxt - 1, RST, NULL, 0);
	wire_send_at(&self->w, self->w.snd_nxt + 0x20000000, RST, NULL, 0);
	wire_send_at(&self->w, self->w.snd_nxt - 0x20000000, RST, NULL, 0);
	wire_send(&self->w, ACK | PSH, "alive", 5);
	EXPECT_EQ(POLLIN, wait_events(self->fd, POLLIN, 5000));
	EXPECT_EQ(TCP_ESTABLISHED, state());
}

TEST_F(reset, with_a_wrong_checksum_is_ignored)
{
	struct segment s = {
		.sport = PEER_PORT, .dport = PORT, .seq = self->w.snd_nxt, .flags = RST,
		.corrupt = true,
	};

	wire_inject(&s);
	wire_send(&self->w, ACK | PSH, "alive", 5);
	EXPECT_EQ(POLLIN, wait_events(self->fd, POLLIN, 5000));
	EXPECT_EQ(TCP_ESTABLISHED, state());
}

TEST_F(reset, of_another_connection_is_ignored)
{
	struct wire other = self->w;

	other.port = PEER_PORT + 1;
	reset_exactly(&other);
	wire_send(&self->w, ACK | PSH, "alive", 5);
	EXPECT_EQ(POLLIN, wait_events(self->fd, POLLIN, 5000));
	EXPECT_EQ(TCP_ESTABLISHED, state());
}

TEST_F(reset, syn_in_established_is_challenged)
{
	struct segment s;

	wire_send_at(&self->w, self->w.snd_nxt + 10, SYN, NULL, 0);
	s = wire_expect(&self->w, ACK);
	EXPECT_EQ(ACK, s.flags);
	EXPECT_EQ(self->w.snd_nxt, s.ack);
	EXPECT_EQ(TCP_ESTABLISHED, state());
}

TEST_F(reset, fin_wait1)
{
	half_close(self->fd, &self->w);
	EXPECT_EQ(TCP_FIN_WAIT1, state());
	reset_exactly(&self->w);
	EXPECT_EQ(POLLERR | POLLHUP, wait_events(self->fd, 0, 5000));
	EXPECT_EQ(ECONNRESET, recv_errno(self->fd));
	EXPECT_EQ(0, state());
}

TEST_F(reset, fin_wait2)
{
	struct segment fin = half_close(self->fd, &self->w);

	wire_ack(&self->w, &fin);
	EXPECT_TRUE(becomes(TCP_FIN_WAIT2));
	reset_exactly(&self->w);
	EXPECT_EQ(ECONNRESET, recv_errno(self->fd));
	EXPECT_EQ(0, state());
}

TEST_F(reset, close_wait)
{
	wire_send(&self->w, FIN | ACK, NULL, 0);
	EXPECT_TRUE(becomes(TCP_CLOSE_WAIT));
	reset_exactly(&self->w);
	EXPECT_EQ(POLLERR | POLLHUP, wait_events(self->fd, 0, 5000));
	/* The peer was done before: what is broken is our direction. */
	EXPECT_EQ(EPIPE, take_error(self->fd));
	EXPECT_EQ(0, state());
}

TEST_F(reset, closing)
{
	half_close(self->fd, &self->w);
	/* A FIN that does not acknowledge ours. */
	wire_send(&self->w, FIN | ACK, NULL, 0);
	EXPECT_TRUE(becomes(TCP_CLOSING));
	reset_exactly(&self->w);
	EXPECT_TRUE(becomes(0));
}

TEST_F(reset, last_ack)
{
	wire_send(&self->w, FIN | ACK, NULL, 0);
	EXPECT_TRUE(becomes(TCP_CLOSE_WAIT));
	close(self->fd);
	wire_expect(&self->w, FIN);
	EXPECT_EQ(TCP_LAST_ACK, state());
	reset_exactly(&self->w);
	EXPECT_TRUE(becomes(0));
}

TEST_F(reset, time_wait)
{
	struct segment fin = half_close(self->fd, &self->w);

	close(self->fd);
	wire_ack(&self->w, &fin);
	wire_send(&self->w, FIN | ACK, NULL, 0);
	EXPECT_TRUE(becomes(TCP_TIME_WAIT));
	reset_exactly(&self->w);
	EXPECT_TRUE(becomes(0));
}

TEST_F(reset, time_wait_is_kept_with_rfc1337)
{
	struct segment fin = half_close(self->fd, &self->w);

	set_sysctl("net/ipv4/tcp_rfc1337", "1");
	close(self->fd);
	wire_ack(&self->w, &fin);
	wire_send(&self->w, FIN | ACK, NULL, 0);
	EXPECT_TRUE(becomes(TCP_TIME_WAIT));
	reset_exactly(&self->w);
	/* What comes after the RST shows that it has been handled: a FIN is acknowledged again. */
	wire_count(&self->w, 0, 0);
	wire_send_at(&self->w, self->w.snd_nxt - 1, FIN | ACK, NULL, 0);
	wire_expect(&self->w, ACK);
	EXPECT_EQ(TCP_TIME_WAIT, state());
}

TEST_F(reset, orphaned_fin_wait2)
{
	struct segment fin;

	close(self->fd);
	fin = wire_expect(&self->w, FIN);
	wire_ack(&self->w, &fin);
	EXPECT_TRUE(becomes(TCP_FIN_WAIT2));
	reset_exactly(&self->w);
	EXPECT_TRUE(becomes(0));
}

/* No time for FIN-WAIT-2: the peer hears that it talks to nobody. */
TEST_F(reset, negative_linger2)
{
	struct segment fin;

	set_option(self->fd, IPPROTO_TCP, TCP_LINGER2, -1);
	close(self->fd);
	fin = wire_expect(&self->w, FIN);
	wire_ack(&self->w, &fin);
	wire_expect(&self->w, RST);
	EXPECT_TRUE(becomes(0));
}

TEST_F(reset, syn_received)
{
	struct wire w;
	struct segment s;

	wire_syn(&w, PEER_PORT + 1, PORT);
	s = wire_expect(&w, SYN | ACK);
	w.rcv_nxt = s.seq + 1;
	reset_exactly(&w);
	EXPECT_TRUE(reaches_state(own_family(), PORT, PEER_PORT + 1, 0, 5000));
	/* Half open no more: its last acknowledgement is answered with RST. */
	wire_send(&w, ACK, NULL, 0);
	s = wire_expect(&w, RST);
	EXPECT_EQ(w.rcv_nxt, s.seq);
	EXPECT_EQ(0, wait_events(self->listener, POLLIN, 0));
}

TEST_F(reset, outside_the_window_in_syn_received_is_ignored)
{
	struct wire w;
	struct segment s;

	wire_syn(&w, PEER_PORT + 1, PORT);
	s = wire_expect(&w, SYN | ACK);
	wire_send_at(&w, w.snd_nxt - 1000, RST, NULL, 0);
	wire_ack(&w, &s);
	EXPECT_EQ(POLLIN, wait_events(self->listener, POLLIN, 5000));
}

TEST_F(reset, syn_sent_is_refused)
{
	int fd = own_socket(SOCK_NONBLOCK);
	struct wire w;

	EXPECT_EQ(EINPROGRESS, connect_to(fd, PEER_ADDR, 80));
	wire_await_syn(&w);
	wire_send_at(&w, 0, RST | ACK, NULL, 0);
	EXPECT_EQ(POLLERR | POLLHUP, wait_events(fd, 0, 5000));
	EXPECT_EQ(ECONNREFUSED, take_error(fd));
}

TEST_F(reset, without_the_right_acknowledgement_in_syn_sent_is_ignored)
{
	int fd = own_socket(SOCK_NONBLOCK);
	struct wire w, wrong;

	EXPECT_EQ(EINPROGRESS, connect_to(fd, PEER_ADDR, 80));
	wire_await_syn(&w);
	wire_send_at(&w, 0, RST, NULL, 0);
	wrong = w;
	wrong.rcv_nxt += 1000;
	wire_send_at(&wrong, 0, RST | ACK, NULL, 0);
	wire_send(&w, SYN | ACK, NULL, 0);
	wire_expect(&w, ACK);
	EXPECT_EQ(POLLOUT, wait_events(fd, POLLOUT, 5000));
}

TEST_F(reset, is_not_answered_without_a_connection)
{
	struct wire w = { .port = 7000, .stack_port = PORT };

	wire_send_at(&w, 1, RST, NULL, 0);
	wire_send_at(&w, 1, RST | ACK, NULL, 0);
	/* While an acknowledgement is. */
	w.rcv_nxt = 4711;
	wire_send_at(&w, 1, ACK, NULL, 0);
	EXPECT_EQ(4711, wire_expect(&w, RST).seq);
	EXPECT_EQ(0, wire_count(&w, 0xff, 50));
}

/* A server of AF_INET is gone, one of ours has its port, and a connection of it lives. */
TEST_F(reset, is_no_answer_to_what_is_for_a_connection_of_inet)
{
	int inet = socket(AF_INET, SOCK_STREAM, 0), server, fd = own_socket(0);
	struct segment s;
	struct wire w;

	set_option(inet, SOL_SOCKET, SO_REUSEADDR, 1);
	EXPECT_EQ(0, bind_to(inet, STACK_ADDR, PORT + 1));
	EXPECT_EQ(0, listen(inet, 1));
	wire_connect(&w, PEER_PORT, PORT + 1);
	server = accept(inet, NULL, NULL);
	ASSERT_LE(0, server);
	close(inet);
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	EXPECT_EQ(0, bind_to(fd, STACK_ADDR, PORT + 1));
	wire_send(&w, ACK | PSH, "bound", 5);
	s = wire_expect(&w, ACK);
	EXPECT_EQ(0, s.flags & RST);
	EXPECT_EQ(0, listen(fd, 1));
	wire_send(&w, ACK | PSH, "listens", 7);
	s = wire_expect(&w, ACK);
	EXPECT_EQ(0, s.flags & RST);
	reset_exactly(&w);
	EXPECT_TRUE(reaches_state(AF_INET, PORT + 1, PEER_PORT, 0, 5000));
	/* And then there is none. */
	wire_send(&w, ACK, NULL, 0);
	wire_expect(&w, RST);
}

TEST_F(reset, by_close_with_unread_data_has_the_right_number)
{
	struct segment s;

	wire_send(&self->w, ACK | PSH, "unread", 6);
	EXPECT_EQ(POLLIN, wait_events(self->fd, POLLIN, 5000));
	close(self->fd);
	s = wire_expect(&self->w, RST);
	EXPECT_EQ(self->w.rcv_nxt, s.seq);
	EXPECT_EQ(0, state());
}

TEST_F(reset, answers_data_after_close)
{
	struct segment s;

	close(self->fd);
	s = wire_expect(&self->w, FIN);
	wire_ack(&self->w, &s);
	wire_send(&self->w, ACK | PSH, "late", 4);
	s = wire_expect(&self->w, RST);
	EXPECT_EQ(self->w.rcv_nxt, s.seq);
	EXPECT_TRUE(becomes(0));
}
