// SPDX-License-Identifier: GPL-2.0
/* shutdown() and close(): how a connection ends, as both programs see it. */
#include <poll.h>

#include "lib/selftest.h"

PAIR_FIXTURE(end)

static void close_with_linger(int fd, int seconds)
{
	struct linger linger = { .l_onoff = 1, .l_linger = seconds };

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)))
		die("SO_LINGER");
	close(fd);
}

/* States are shown in the namespace of the socket. */
static int server_state(const struct combo *c, uint16_t local, uint16_t remote)
{
	int state;

	if (c->path == VETH)
		enter_far();
	state = connection_state(family_of(c->server), local, remote);
	if (c->path == VETH)
		enter_near();
	return state;
}

static int client_state(const struct combo *c, uint16_t local, uint16_t remote)
{
	return connection_state(family_of(c->client), local, remote);
}

#define client (self->p.client)
#define server (self->p.server)

#define SERVER_STATE server_state(&variant->combo, server_port, client_port)
#define CLIENT_STATE client_state(&variant->combo, client_port, server_port)
#define PORTS \
	uint16_t client_port = local_port(client), server_port = local_port(server)

TEST_F(end, half_close_of_the_client_leaves_the_other_direction)
{
	char got[6] = "";

	EXPECT_EQ(0, shutdown(client, SHUT_WR));
	EXPECT_EQ(-1, recv_errno(server));
	send_all(server, "still", 5);
	recv_all(client, got, 5);
	EXPECT_STREQ("still", got);
	close(server);
	EXPECT_EQ(-1, recv_errno(client));
}

TEST_F(end, half_close_of_the_server_leaves_the_other_direction)
{
	char got[6] = "";

	EXPECT_EQ(0, shutdown(server, SHUT_WR));
	EXPECT_EQ(-1, recv_errno(client));
	send_all(client, "still", 5);
	recv_all(server, got, 5);
	EXPECT_STREQ("still", got);
}

TEST_F(end, end_of_file_comes_after_all_queued_data)
{
	size_t sent = fill(client);

	close(client);
	EXPECT_EQ(sent, drain(server));
	EXPECT_EQ(-1, recv_errno(server));
}

TEST_F(end, end_of_file_is_reported_again_and_again)
{
	EXPECT_EQ(0, shutdown(client, SHUT_WR));
	EXPECT_EQ(-1, recv_errno(server));
	EXPECT_EQ(-1, recv_errno(server));
}

TEST_F(end, sending_after_shutdown_is_EPIPE)
{
	EXPECT_EQ(0, shutdown(client, SHUT_WR));
	EXPECT_EQ(-1, send(client, "x", 1, MSG_NOSIGNAL));
	EXPECT_EQ(EPIPE, errno);
	count_signal(SIGPIPE, 0);
	EXPECT_EQ(-1, send(client, "x", 1, 0));
	EXPECT_EQ(EPIPE, errno);
	EXPECT_EQ(1, signals_seen());
}

TEST_F(end, receiving_after_shutdown_for_reading_is_end_of_file)
{
	EXPECT_EQ(0, shutdown(server, SHUT_RD));
	EXPECT_EQ(-1, recv_errno(server));
	EXPECT_EQ(POLLIN | POLLOUT | POLLRDHUP, wait_events(server, POLLIN | POLLOUT | POLLRDHUP,
							    0));
	/* The peer is not told and goes on. */
	send_all(client, "x", 1);
	EXPECT_EQ(POLLOUT, wait_events(client, POLLIN | POLLOUT, 50));
}

TEST_F(end, shutdown_wakes_a_sleeping_reader)
{
	pid_t child = start_child();

	if (!child)
		_exit(recv_errno(server) != -1);
	EXPECT_TRUE(sleeps(child, 5000));
	EXPECT_EQ(0, shutdown(server, SHUT_RD));
	EXPECT_EQ(0, end_of_child(child));
}

TEST_F(end, shutdown_of_both_directions)
{
	EXPECT_EQ(0, shutdown(client, SHUT_RDWR));
	EXPECT_EQ(-1, recv_errno(client));
	EXPECT_EQ(-1, send(client, "x", 1, MSG_NOSIGNAL));
	EXPECT_EQ(EPIPE, errno);
	EXPECT_EQ(-1, recv_errno(server));
}

TEST_F(end, shutdown_twice_is_allowed_while_open)
{
	EXPECT_EQ(0, shutdown(client, SHUT_WR));
	EXPECT_EQ(0, shutdown(client, SHUT_WR));
}

TEST_F(end, shutdown_of_a_finished_connection_is_ENOTCONN)
{
	EXPECT_EQ(0, shutdown(client, SHUT_WR));
	EXPECT_EQ(-1, recv_errno(server));
	EXPECT_EQ(0, shutdown(server, SHUT_WR));
	EXPECT_EQ(POLLHUP, wait_events(server, 0, 5000));
	EXPECT_TRUE(wait_until(shutdown(server, SHUT_WR) == -1 && errno == ENOTCONN, 5000));
}

TEST_F(end, names_of_a_reset_connection)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	close_with_linger(client, 0);
	EXPECT_EQ(ECONNRESET, recv_errno(server));
	EXPECT_EQ(-1, getpeername(server, (struct sockaddr *)&sin, &len));
	EXPECT_EQ(ENOTCONN, errno);
	EXPECT_EQ(local_port(self->p.listener), local_port(server));
}

TEST_F(end, unread_data_at_close_resets_the_peer)
{
	send_all(client, "unread", 6);
	EXPECT_EQ(POLLIN, wait_events(server, POLLIN, 5000));
	close(server);
	EXPECT_LT(0, wait_events(client, POLLIN, 5000));
	EXPECT_EQ(ECONNRESET, recv_errno(client));
}

TEST_F(end, sending_to_a_closed_peer_is_a_reset_and_then_EPIPE)
{
	close(server);
	EXPECT_EQ(-1, recv_errno(client));
	send_all(client, "x", 1);
	EXPECT_EQ(POLLERR | POLLHUP, wait_events(client, 0, 5000));
	/* Its end was read before: the error is the broken pipe of CLOSE-WAIT. */
	EXPECT_EQ(EPIPE, take_error(client));
	EXPECT_EQ(-1, send(client, "x", 1, MSG_NOSIGNAL));
	EXPECT_EQ(EPIPE, errno);
}

TEST_F(end, linger_0_resets_the_peer)
{
	PORTS;

	close_with_linger(client, 0);
	EXPECT_TRUE(wait_until(wait_events(server, 0, 0) & POLLERR, 5000));
	EXPECT_EQ(0, CLIENT_STATE);
	EXPECT_EQ(0, SERVER_STATE);
	EXPECT_EQ(ECONNRESET, recv_errno(server));
}

TEST_F(end, reset_leaves_what_has_been_received)
{
	char got[4];

	send_all(client, "kept", 4);
	EXPECT_EQ(POLLIN, wait_events(server, POLLIN, 5000));
	close_with_linger(client, 0);
	EXPECT_TRUE(wait_until(wait_events(server, 0, 0) & POLLERR, 5000));
	EXPECT_EQ(4, recv(server, got, 4, 0));
	EXPECT_EQ(ECONNRESET, recv_errno(server));
}

TEST_F(end, reset_is_reported_once_and_then_end_of_file)
{
	close_with_linger(client, 0);
	EXPECT_EQ(ECONNRESET, recv_errno(server));
	EXPECT_EQ(-1, recv_errno(server));
	EXPECT_EQ(-1, send(server, "x", 1, MSG_NOSIGNAL));
	EXPECT_EQ(EPIPE, errno);
}

TEST_F(end, reset_wakes_a_sleeping_reader)
{
	pid_t child = start_child();

	if (!child) {
		close(client);
		_exit(recv_errno(server));
	}
	EXPECT_TRUE(sleeps(child, 5000));
	close_with_linger(client, 0);
	EXPECT_EQ(ECONNRESET, end_of_child(child));
}

TEST_F(end, reset_wakes_a_sleeping_writer)
{
	static const char block[65536];
	pid_t child = start_child();

	if (!child) {
		close(server);
		while (send(client, block, sizeof(block), MSG_NOSIGNAL) > 0)
			;
		_exit(errno);
	}
	/* Asleep for good only when all buffers are full: the peer's does not grow any more. */
	EXPECT_EQ(POLLIN, wait_events(server, POLLIN, 5000));
	EXPECT_TRUE(sleeps(child, 5000));
	close_with_linger(server, 0);
	EXPECT_EQ(ECONNRESET, end_of_child(child));
}

TEST_F(end, linger_waits_for_the_peer_to_take_the_data)
{
	bool *closed = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	size_t sent = fill(client);
	int ready[2];
	pid_t child;
	char c;

	set_nonblocking(client, false);
	ASSERT_EQ(0, pipe(ready));
	child = start_child();
	if (!child) {
		close(client);
		if (write(ready[1], "", 1) != 1)
			_exit(3);
		pause_ms(300);
		if (__atomic_load_n(closed, __ATOMIC_SEQ_CST))
			_exit(2);
		_exit(drain(server) != sent);
	}
	close(server);
	EXPECT_EQ(1, read(ready[0], &c, 1));
	close_with_linger(client, 20);
	__atomic_store_n(closed, true, __ATOMIC_SEQ_CST);
	EXPECT_EQ(0, end_of_child(child));
}

/* Though the peer does not close. */
TEST_F(end, linger_ends_when_the_peer_has_all)
{
	int64_t start;

	send_all(client, "all", 3);
	start = now_ms();
	close_with_linger(client, 20);
	EXPECT_GT(limit_ms(5000), now_ms() - start);
}

TEST_F(end, linger_gives_up_after_its_time)
{
	int64_t start;

	fill(client);
	set_nonblocking(client, false);
	start = now_ms();
	close_with_linger(client, 1);
	EXPECT_LE(1000 - TICKS_MS, now_ms() - start);
	EXPECT_GT(limit_ms(5000), now_ms() - start);
}

TEST_F(end, active_closer_stays_in_time_wait_and_the_passive_one_is_gone)
{
	PORTS;

	EXPECT_EQ(TCP_ESTABLISHED, CLIENT_STATE);
	close(client);
	EXPECT_EQ(-1, recv_errno(server));
	EXPECT_EQ(TCP_CLOSE_WAIT, SERVER_STATE);
	EXPECT_TRUE(wait_until(CLIENT_STATE == TCP_FIN_WAIT2, 5000));
	close(server);
	EXPECT_TRUE(wait_until(CLIENT_STATE == TCP_TIME_WAIT, 5000));
	EXPECT_TRUE(wait_until(SERVER_STATE == 0, 5000));
}

TEST_F(end, server_may_close_first)
{
	PORTS;

	close(server);
	EXPECT_EQ(-1, recv_errno(client));
	EXPECT_EQ(TCP_CLOSE_WAIT, CLIENT_STATE);
	close(client);
	EXPECT_TRUE(wait_until(SERVER_STATE == TCP_TIME_WAIT, 5000));
	EXPECT_TRUE(wait_until(CLIENT_STATE == 0, 5000));
}

TEST_F(end, both_close_at_once)
{
	PORTS;

	close(client);
	close(server);
	EXPECT_TRUE(wait_until(CLIENT_STATE == TCP_TIME_WAIT || SERVER_STATE == TCP_TIME_WAIT,
			       5000));
	EXPECT_TRUE(wait_until(CLIENT_STATE == 0 || CLIENT_STATE == TCP_TIME_WAIT, 5000));
	EXPECT_TRUE(wait_until(SERVER_STATE == 0 || SERVER_STATE == TCP_TIME_WAIT, 5000));
}

TEST_F(end, fin_wait2_of_a_closed_socket_ends_by_itself)
{
	PORTS;

	set_sysctl("net/ipv4/tcp_fin_timeout", "1");
	close(client);
	EXPECT_EQ(-1, recv_errno(server));
	EXPECT_TRUE(wait_until(CLIENT_STATE == TCP_FIN_WAIT2, 5000));
	EXPECT_TRUE(wait_until(CLIENT_STATE == 0, 8000));
	/* Nobody is there any more. */
	send_all(server, "x", 1);
	EXPECT_EQ(POLLERR | POLLHUP, wait_events(server, 0, 5000));
}
