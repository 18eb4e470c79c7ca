// SPDX-License-Identifier: GPL-2.0
/* What an ICMP error means to a connection that is open. */
#include <netinet/ip_icmp.h>
#include <poll.h>

#include "lib/selftest.h"
#include "lib/wire.h"

#define PORT 4000
#define PEER_PORT 5000

FIXTURE(error) {
	struct wire w;
	int fd;
};

FIXTURE_SETUP(error)
{
	int listener;

	make_network(LOOPBACK);
	/* Short, so that a connection is given up soon. */
	set_sysctl("net/ipv4/tcp_retries2", "3");
	set_sysctl("net/ipv4/tcp_syn_retries", "1");
	set_sysctl("net/ipv4/tcp_syn_linear_timeouts", "0");
	wire_open();
	listener = own_socket(0);
	ASSERT_EQ(0, bind_to(listener, STACK_ADDR, PORT));
	ASSERT_EQ(0, listen(listener, 8));
	wire_connect(&self->w, PEER_PORT, PORT);
	self->fd = accept(listener, NULL, NULL);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(error)
{
}

/* Sends text, and has a router say that the host cannot be reached; what was sent. */
static struct segment send_to_nowhere(const struct wire *w, int fd)
{
	struct segment s;

	send_all(fd, "abc", 3);
	s = wire_expect(w, PSH);
	wire_icmp(w, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, s.seq, 0);
	pause_ms(20);
	return s;
}

TEST_F(error, is_why_the_connection_is_given_up)
{
	send_to_nowhere(&self->w, self->fd);
	EXPECT_EQ(0, wait_events(self->fd, 0, 0));
	EXPECT_EQ(POLLERR | POLLHUP, wait_events(self->fd, 0, 15000));
	EXPECT_EQ(EHOSTUNREACH, recv_errno(self->fd));
}

TEST_F(error, is_told_when_asked_for)
{
	send_to_nowhere(&self->w, self->fd);
	EXPECT_EQ(EHOSTUNREACH, take_error(self->fd));
	EXPECT_EQ(0, take_error(self->fd));
}

TEST_F(error, is_forgotten_once_text_is_acknowledged)
{
	struct segment s = send_to_nowhere(&self->w, self->fd);

	wire_ack(&self->w, &s);
	wire_send(&self->w, ACK, NULL, 0);
	pause_ms(50);
	EXPECT_EQ(0, take_error(self->fd));
}

TEST_F(error, is_not_why_a_later_loss_ends_the_connection)
{
	struct segment s = send_to_nowhere(&self->w, self->fd);

	wire_ack(&self->w, &s);
	wire_send(&self->w, ACK, NULL, 0);
	send_all(self->fd, "def", 3);
	EXPECT_EQ(POLLERR | POLLHUP, wait_events(self->fd, 0, 15000));
	EXPECT_EQ(ETIMEDOUT, recv_errno(self->fd));
}

/* Off the way that is foreseen for segments: one with text that is old, too. */
TEST_F(error, is_forgotten_once_an_old_segment_acknowledges)
{
	struct segment s;

	wire_send(&self->w, ACK | PSH, "old", 3);
	s = send_to_nowhere(&self->w, self->fd);
	wire_ack(&self->w, &s);
	wire_send_at(&self->w, self->w.snd_nxt - 3, ACK | PSH, "oldnew", 6);
	pause_ms(50);
	EXPECT_EQ(0, take_error(self->fd));
}

TEST_F(error, is_not_that_of_the_next_connection)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct wire w;

	send_to_nowhere(&self->w, self->fd);
	ASSERT_EQ(0, connect(self->fd, &none, sizeof(none)));
	EXPECT_EQ(ECONNRESET, take_error(self->fd));
	set_nonblocking(self->fd, true);
	EXPECT_EQ(EINPROGRESS, connect_to(self->fd, PEER_ADDR, 80));
	wire_await_syn(&w);
	wire_accept(&w);
	EXPECT_EQ(POLLOUT, wait_events(self->fd, POLLOUT, 5000));
	EXPECT_EQ(0, take_error(self->fd));
}

TEST_F(error, is_told_at_once_to_who_wants_that)
{
	struct segment s;

	set_option(self->fd, SOL_IP, IP_RECVERR, 1);
	s = send_to_nowhere(&self->w, self->fd);
	EXPECT_EQ(POLLERR, wait_events(self->fd, 0, 1000));
	EXPECT_EQ(EHOSTUNREACH, recv_errno(self->fd));
	EXPECT_EQ(0, wait_events(self->fd, 0, 0));
	/* The connection goes on. */
	wire_ack(&self->w, &s);
	wire_send(&self->w, ACK | PSH, "x", 1);
	EXPECT_EQ(0, recv_errno(self->fd));
	send_all(self->fd, "def", 3);
	EXPECT_EQ(self->w.rcv_nxt, wire_expect(&self->w, PSH).seq);
}

TEST_F(error, is_told_at_once_to_who_writes)
{
	struct segment s;

	set_option(self->fd, SOL_IP, IP_RECVERR, 1);
	s = send_to_nowhere(&self->w, self->fd);
	EXPECT_EQ(-1, send(self->fd, "def", 3, MSG_NOSIGNAL));
	EXPECT_EQ(EHOSTUNREACH, errno);
	wire_ack(&self->w, &s);
	EXPECT_EQ(3, send(self->fd, "def", 3, MSG_NOSIGNAL));
}
