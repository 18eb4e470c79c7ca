// SPDX-License-Identifier: GPL-2.0
/* poll(), select() and epoll: what they report, and when. */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "lib/selftest.h"

PAIR_FIXTURE(poll)

#define client (self->p.client)
#define server (self->p.server)
#define ALL (POLLIN | POLLOUT | POLLRDHUP | POLLPRI)

static int watch(int fd, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.fd = fd };
	int ep = epoll_create1(EPOLL_CLOEXEC);

	if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e))
		die("epoll");
	return ep;
}

/* The events epoll reports within @ms; 0 when it reports nothing. */
static uint32_t report(int ep, int ms)
{
	struct epoll_event e = {};
	int n = epoll_wait(ep, &e, 1, limit_ms(ms));

	if (n < 0)
		die("epoll_wait");
	return n ? e.events : 0;
}

TEST_F(poll, idle_connection_is_writable_only)
{
	EXPECT_EQ(POLLOUT, wait_events(client, ALL, 0));
	EXPECT_EQ(POLLOUT, wait_events(server, ALL, 0));
}

TEST_F(poll, data_makes_it_readable_until_it_is_read)
{
	char got[3];

	send_all(client, "abc", 3);
	EXPECT_EQ(POLLIN, wait_events(server, POLLIN | POLLRDHUP, 5000));
	recv_all(server, got, 2);
	EXPECT_EQ(POLLIN, wait_events(server, POLLIN, 0));
	recv_all(server, got, 1);
	EXPECT_EQ(0, wait_events(server, POLLIN, 0));
}

TEST_F(poll, peers_half_close_is_readable_and_RDHUP)
{
	EXPECT_EQ(0, shutdown(client, SHUT_WR));
	EXPECT_EQ(POLLRDHUP, wait_events(server, POLLRDHUP, 5000));
	EXPECT_EQ(POLLIN | POLLOUT | POLLRDHUP, wait_events(server, ALL, 0));
}

TEST_F(poll, own_half_close_is_writable_without_blocking)
{
	EXPECT_EQ(0, shutdown(client, SHUT_WR));
	/* Writing fails at once, which is "without blocking". */
	EXPECT_EQ(POLLOUT, wait_events(client, ALL, 0));
}

TEST_F(poll, both_directions_closed_is_HUP)
{
	EXPECT_EQ(0, shutdown(client, SHUT_WR));
	EXPECT_EQ(POLLRDHUP, wait_events(server, POLLRDHUP, 5000));
	EXPECT_EQ(0, shutdown(server, SHUT_WR));
	EXPECT_EQ(POLLHUP, wait_events(client, 0, 5000));
	EXPECT_EQ(POLLHUP, wait_events(server, 0, 5000));
	EXPECT_EQ(POLLIN | POLLOUT | POLLHUP | POLLRDHUP, wait_events(server, ALL, 0));
}

TEST_F(poll, reset_is_ERR_and_HUP)
{
	struct linger now = { .l_onoff = 1 };

	EXPECT_EQ(0, setsockopt(client, SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
	close(client);
	EXPECT_EQ(POLLERR | POLLHUP, wait_events(server, 0, 5000));
	EXPECT_EQ(POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP, wait_events(server, ALL, 0));
	EXPECT_EQ(ECONNRESET, take_error(server));
	EXPECT_EQ(POLLIN | POLLOUT | POLLHUP | POLLRDHUP, wait_events(server, ALL, 0));
}

TEST_F(poll, full_send_buffer_is_not_writable_until_the_peer_reads)
{
	static char block[65536];

	fill(client);
	EXPECT_EQ(0, wait_events(client, POLLOUT, 0));
	while (!wait_events(client, POLLOUT, 0)) {
		ASSERT_EQ(POLLIN, wait_events(server, POLLIN, 5000));
		ASSERT_LT(0, recv(server, block, sizeof(block), 0));
	}
	EXPECT_LT(0, send(client, block, sizeof(block), MSG_DONTWAIT));
}

TEST_F(poll, sleeper_is_woken)
{
	pid_t child = start_child();

	if (!child)
		_exit(wait_events(server, POLLIN, 10000) != POLLIN);
	EXPECT_TRUE(sleeps(child, 5000));
	send_all(client, "x", 1);
	EXPECT_EQ(0, end_of_child(child));
}

TEST_F(poll, select_agrees)
{
	struct timeval t = { .tv_sec = 5 };
	fd_set in, out, except;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&except);
	FD_SET(server, &in);
	FD_SET(server, &out);
	FD_SET(server, &except);
	EXPECT_EQ(1, select(server + 1, &in, &out, &except, &t));
	EXPECT_FALSE(FD_ISSET(server, &in));
	EXPECT_TRUE(FD_ISSET(server, &out));
	EXPECT_FALSE(FD_ISSET(server, &except));

	send_all(client, "x", 1);
	FD_SET(server, &in);
	EXPECT_EQ(1, select(server + 1, &in, NULL, NULL, &t));
	EXPECT_TRUE(FD_ISSET(server, &in));
}

TEST_F(poll, epoll_level_reports_while_it_lasts)
{
	int ep = watch(server, EPOLLIN);
	char got[2];

	EXPECT_EQ(0, report(ep, 0));
	send_all(client, "ab", 2);
	EXPECT_EQ(EPOLLIN, report(ep, 5000));
	EXPECT_EQ(EPOLLIN, report(ep, 0));
	recv_all(server, got, 1);
	EXPECT_EQ(EPOLLIN, report(ep, 0));
	recv_all(server, got, 1);
	EXPECT_EQ(0, report(ep, 0));
}

TEST_F(poll, epoll_edge_reports_each_arrival_once)
{
	int ep = watch(server, EPOLLIN | EPOLLET);

	send_all(client, "a", 1);
	EXPECT_EQ(EPOLLIN, report(ep, 5000));
	EXPECT_EQ(0, report(ep, 50));
	send_all(client, "b", 1);
	EXPECT_EQ(EPOLLIN, report(ep, 5000));
	EXPECT_EQ(0, report(ep, 50));
}

TEST_F(poll, epoll_edge_reports_new_room_to_write)
{
	int ep = watch(client, EPOLLOUT | EPOLLET);
	static char block[65536];

	EXPECT_EQ(EPOLLOUT, report(ep, 5000));
	EXPECT_EQ(0, report(ep, 0));
	fill(client);
	report(ep, 0);
	EXPECT_EQ(0, report(ep, 0));
	set_nonblocking(server, true);
	do {
		while (recv(server, block, sizeof(block), 0) > 0)
			;
	} while (wait_events(server, POLLIN, 50));
	EXPECT_EQ(EPOLLOUT, report(ep, 5000));
	EXPECT_EQ(0, report(ep, 50));
}

/*
 * The write itself asks to be told of room, not the poll after it: a server that
 * waits by edges has been told once that the socket is writable, and then writes
 * until less is taken than it gave.
 */
TEST_F(poll, epoll_edge_reports_room_after_a_short_write)
{
	int ep = watch(client, EPOLLOUT | EPOLLET);
	size_t len = 64 << 20;
	char *block = calloc(1, len);

	ASSERT_NE(NULL, block);
	EXPECT_EQ(EPOLLOUT, report(ep, 5000));
	ASSERT_GT(len, send(client, block, len, MSG_DONTWAIT));
	set_nonblocking(server, true);
	do {
		while (recv(server, block, len, 0) > 0)
			;
	} while (wait_events(server, POLLIN, 50));
	EXPECT_EQ(EPOLLOUT, report(ep, 5000));
	EXPECT_LT(0, send(client, block, len, MSG_DONTWAIT));
	free(block);
}

TEST_F(poll, epoll_oneshot_reports_once_until_it_is_rearmed)
{
	int ep = watch(server, EPOLLIN | EPOLLONESHOT);
	struct epoll_event e = { .events = EPOLLIN | EPOLLONESHOT };

	send_all(client, "a", 1);
	EXPECT_EQ(EPOLLIN, report(ep, 5000));
	EXPECT_EQ(0, report(ep, 0));
	EXPECT_EQ(0, epoll_ctl(ep, EPOLL_CTL_MOD, server, &e));
	EXPECT_EQ(EPOLLIN, report(ep, 5000));
}

TEST_F(poll, epoll_reports_half_close_and_full_close)
{
	int ep = watch(server, EPOLLRDHUP);

	EXPECT_EQ(0, shutdown(client, SHUT_WR));
	EXPECT_EQ(EPOLLRDHUP, report(ep, 5000));
	EXPECT_EQ(0, shutdown(server, SHUT_WR));
	EXPECT_EQ(EPOLLRDHUP | EPOLLHUP, report(ep, 5000));
}

TEST_F(poll, epoll_edge_reports_the_end_of_a_connection)
{
	int ep = watch(server, EPOLLIN | EPOLLRDHUP | EPOLLET);
	uint32_t seen = 0;

	send_all(client, "last", 4);
	close(client);
	while (!(seen & EPOLLRDHUP)) {
		uint32_t now = report(ep, 5000);

		ASSERT_NE(0, now);
		seen |= now;
	}
	EXPECT_EQ(EPOLLIN | EPOLLRDHUP, seen);
}

TEST_F(poll, epoll_forgets_a_closed_socket)
{
	int ep = watch(server, EPOLLIN);

	close(server);
	EXPECT_EQ(0, report(ep, 0));
}
