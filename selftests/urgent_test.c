// SPDX-License-Identifier: GPL-2.0
/* Urgent data: MSG_OOB, SO_OOBINLINE, sockatmark(), SIGURG, POLLPRI. */
#include <poll.h>

#include "lib/selftest.h"
#include "lib/wire.h"

#define PORT 4000
#define PEER_PORT 5000

PAIR_FIXTURE(urgent)

static bool at_mark(int fd)
{
	int there;

	if (ioctl(fd, SIOCATMARK, &there))
		die("SIOCATMARK");
	return there;
}

static int oob_errno(int fd, int flags)
{
	char byte;

	return recv(fd, &byte, 1, MSG_OOB | MSG_DONTWAIT | flags) < 0 ? errno : 0;
}

/* Sends text, an urgent byte and text, and waits until all is there. */
static void send_parts(struct pair *p)
{
	send_all(p->client, "before", 6);
	if (send(p->client, "!", 1, MSG_OOB) != 1)
		die("MSG_OOB");
	send_all(p->client, "after", 5);
	if (!wait_until(wait_events(p->server, POLLPRI, 0) & POLLPRI, 5000))
		die("no POLLPRI");
	/* The text behind it may come later. */
	pause_ms(limit_ms(50));
}

static ssize_t read_some(int fd, char *text, size_t len, int flags)
{
	memset(text, 0, len);
	return recv(fd, text, len - 1, flags | MSG_DONTWAIT);
}

TEST_F(urgent, byte_is_read_apart_from_the_stream)
{
	char text[32];
	char byte = 0;

	send_parts(&self->p);
	EXPECT_EQ(1, recv(self->p.server, &byte, 1, MSG_OOB));
	EXPECT_EQ('!', byte);
	EXPECT_EQ(0, wait_events(self->p.server, POLLPRI, 0));
	EXPECT_EQ(EINVAL, oob_errno(self->p.server, 0));
	EXPECT_EQ(6, read_some(self->p.server, text, sizeof(text), 0));
	EXPECT_STREQ("before", text);
	EXPECT_TRUE(at_mark(self->p.server));
	EXPECT_EQ(5, read_some(self->p.server, text, sizeof(text), 0));
	EXPECT_STREQ("after", text);
	EXPECT_FALSE(at_mark(self->p.server));
}

TEST_F(urgent, byte_that_nobody_reads_is_passed_over)
{
	char text[32];

	send_parts(&self->p);
	EXPECT_EQ(6, read_some(self->p.server, text, sizeof(text), 0));
	EXPECT_EQ(5, read_some(self->p.server, text, sizeof(text), 0));
	EXPECT_STREQ("after", text);
	EXPECT_EQ(EINVAL, oob_errno(self->p.server, 0));
	EXPECT_EQ(0, wait_events(self->p.server, POLLPRI, 0));
}

TEST_F(urgent, byte_is_passed_over_when_the_connection_has_ended_too)
{
	struct linger hard = { .l_onoff = 1 };
	char text[32];

	send_parts(&self->p);
	EXPECT_EQ(0, setsockopt(self->p.client, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)));
	close(self->p.client);
	EXPECT_TRUE(wait_until(wait_events(self->p.server, 0, 0) & POLLERR, 5000));
	EXPECT_EQ(ENOTCONN, oob_errno(self->p.server, 0));
	EXPECT_EQ(6, read_some(self->p.server, text, sizeof(text), 0));
	EXPECT_STREQ("before", text);
	EXPECT_EQ(5, read_some(self->p.server, text, sizeof(text), 0));
	EXPECT_STREQ("after", text);
}

TEST_F(urgent, byte_can_lie_in_the_stream)
{
	char text[32];

	set_option(self->p.server, SOL_SOCKET, SO_OOBINLINE, 1);
	send_parts(&self->p);
	EXPECT_EQ(EINVAL, oob_errno(self->p.server, 0));
	EXPECT_EQ(6, read_some(self->p.server, text, sizeof(text), 0));
	EXPECT_TRUE(at_mark(self->p.server));
	EXPECT_EQ(6, read_some(self->p.server, text, sizeof(text), 0));
	EXPECT_STREQ("!after", text);
}

TEST_F(urgent, peeking_leaves_it)
{
	char text[32];
	char byte = 0;

	send_parts(&self->p);
	EXPECT_EQ(1, recv(self->p.server, &byte, 1, MSG_OOB | MSG_PEEK));
	EXPECT_EQ(1, recv(self->p.server, &byte, 1, MSG_OOB));
	EXPECT_EQ('!', byte);
	EXPECT_EQ(6, read_some(self->p.server, text, sizeof(text), MSG_PEEK));
	EXPECT_EQ(6, read_some(self->p.server, text, sizeof(text), 0));
	EXPECT_EQ(5, read_some(self->p.server, text, sizeof(text), MSG_PEEK));
	EXPECT_STREQ("after", text);
}

TEST_F(urgent, fionread_counts_up_to_it)
{
	int have = -1;

	send_parts(&self->p);
	EXPECT_EQ(0, ioctl(self->p.server, FIONREAD, &have));
	EXPECT_EQ(6, have);
}

TEST_F(urgent, its_owner_gets_SIGURG)
{
	count_signal(SIGURG, 0);
	EXPECT_EQ(0, fcntl(self->p.server, F_SETOWN, getpid()));
	EXPECT_EQ(1, send(self->p.client, "!", 1, MSG_OOB));
	EXPECT_TRUE(wait_until(signals_seen() > 0, 5000));
}

TEST_F(urgent, none_is_an_error)
{
	send_all(self->p.client, "x", 1);
	EXPECT_NE(0, wait_events(self->p.server, POLLIN, 5000));
	EXPECT_EQ(EINVAL, oob_errno(self->p.server, 0));
	EXPECT_FALSE(at_mark(self->p.server));
	EXPECT_EQ(0, wait_events(self->p.server, POLLPRI, 0));
}

TEST_F(urgent, alone_it_is_nothing_to_read)
{
	char byte = 0;

	EXPECT_EQ(1, send(self->p.client, "!", 1, MSG_OOB));
	EXPECT_EQ(POLLPRI, wait_events(self->p.server, POLLPRI, 5000));
	EXPECT_EQ(0, wait_events(self->p.server, POLLIN, 0));
	EXPECT_TRUE(at_mark(self->p.server));
	EXPECT_EQ(1, recv(self->p.server, &byte, 1, MSG_OOB));
	EXPECT_EQ(-1, recv(self->p.server, &byte, 1, MSG_DONTWAIT));
	EXPECT_EQ(EAGAIN, errno);
}

/* A peer made of single segments. */
FIXTURE(urgent_wire) {
	struct wire w;
	int fd;
};

FIXTURE_SETUP(urgent_wire)
{
	int listener;

	make_network(LOOPBACK);
	wire_open();
	listener = own_socket(0);
	ASSERT_EQ(0, bind_to(listener, STACK_ADDR, PORT));
	ASSERT_EQ(0, listen(listener, 8));
	wire_connect(&self->w, PEER_PORT, PORT);
	self->fd = accept(listener, NULL, NULL);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(urgent_wire)
{
}

TEST_F(urgent_wire, pointer_is_that_behind_the_byte)
{
	struct segment s;

	EXPECT_EQ(5, send(self->fd, "hello", 5, MSG_OOB));
	s = wire_expect(&self->w, URG);
	EXPECT_EQ(self->w.rcv_nxt, s.seq);
	EXPECT_EQ(5, s.len);
	EXPECT_EQ(5, s.urgent);
}

TEST_F(urgent_wire, each_segment_has_its_own_pointer)
{
	static const char block[3500];
	struct segment s;
	uint32_t end;
	int i;

	EXPECT_EQ(sizeof(block), send(self->fd, block, sizeof(block), MSG_OOB));
	end = self->w.rcv_nxt + sizeof(block);
	for (i = 0; i < 4; i++) {
		s = wire_expect(&self->w, ACK);
		EXPECT_EQ(self->w.rcv_nxt + i * 1000, s.seq);
		/* What goes out before all is queued knows nothing of it. */
		if (s.flags & URG)
			EXPECT_EQ(end - s.seq, s.urgent);
	}
	EXPECT_TRUE(s.flags & URG);
}

TEST_F(urgent_wire, announced_byte_is_awaited)
{
	struct segment s = {
		.sport = PEER_PORT, .dport = PORT, .seq = self->w.snd_nxt, .ack = self->w.rcv_nxt,
		.flags = ACK | URG, .urgent = 10, .window = 60000, .data = "hello", .len = 5,
	};
	char byte = 0;

	wire_inject(&s);
	EXPECT_NE(0, wait_events(self->fd, POLLIN, 5000));
	EXPECT_EQ(EAGAIN, oob_errno(self->fd, 0));
	EXPECT_EQ(0, wait_events(self->fd, POLLPRI, 0));
	self->w.snd_nxt += 5;
	wire_send(&self->w, ACK | PSH, "there", 5);
	EXPECT_EQ(POLLPRI, wait_events(self->fd, POLLPRI, 5000));
	EXPECT_EQ(1, recv(self->fd, &byte, 1, MSG_OOB));
	EXPECT_EQ('e', byte);
}
