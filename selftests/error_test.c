// SPDX-License-Identifier: GPL-2.0
/* What an ICMP error means to a connection, open for the most part. */
#include <netinet/ip_icmp.h>
#include <poll.h>

#include "lib/selftest.h"
#include "lib/wire.h"

#include <linux/errqueue.h>

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

struct report {
	struct sock_extended_err ee;
	struct sockaddr_in offender;
};

TEST_F(error, about_the_syn_is_in_the_error_queue)
{
	char control[512], data[128];
	struct iovec iov = { data, sizeof(data) };
	struct sockaddr_in to = {};
	struct msghdr m = {
		.msg_name = &to, .msg_namelen = sizeof(to), .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int fd = own_socket(SOCK_NONBLOCK);
	struct report *r = NULL;
	struct cmsghdr *c;
	struct wire w;

	set_option(fd, SOL_IP, IP_RECVERR, 1);
	ASSERT_EQ(EINPROGRESS, connect_to(fd, PEER_ADDR, 80));
	wire_await_syn(&w);
	wire_icmp(&w, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, w.rcv_nxt - 1, 0);
	EXPECT_EQ(POLLERR | POLLHUP, wait_events(fd, 0, 1000));
	/* The quoted segment, of which eight bytes are enough. */
	ASSERT_LE(8, recvmsg(fd, &m, MSG_ERRQUEUE));
	EXPECT_EQ(80, ntohs(*(uint16_t *)(data + 2)));
	EXPECT_EQ(MSG_ERRQUEUE, m.msg_flags);
	EXPECT_EQ(sizeof(to), m.msg_namelen);
	EXPECT_EQ(AF_INET, to.sin_family);
	EXPECT_EQ(80, ntohs(to.sin_port));
	EXPECT_EQ(inet_addr(PEER_ADDR), to.sin_addr.s_addr);
	for (c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c))
		if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR)
			r = (struct report *)CMSG_DATA(c);
	ASSERT_TRUE(r);
	EXPECT_EQ(ECONNREFUSED, r->ee.ee_errno);
	EXPECT_EQ(SO_EE_ORIGIN_ICMP, r->ee.ee_origin);
	EXPECT_EQ(ICMP_DEST_UNREACH, r->ee.ee_type);
	EXPECT_EQ(ICMP_PORT_UNREACH, r->ee.ee_code);
	EXPECT_EQ(0, r->ee.ee_info);
	EXPECT_EQ(AF_INET, r->offender.sin_family);
	EXPECT_EQ(inet_addr(PEER_ADDR), r->offender.sin_addr.s_addr);
	EXPECT_EQ(-1, recvmsg(fd, &m, MSG_ERRQUEUE));
	EXPECT_EQ(EAGAIN, errno);
	/* Who has read that has been told. */
	EXPECT_EQ(0, take_error(fd));
}
