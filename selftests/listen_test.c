// SPDX-License-Identifier: GPL-2.0
/* listen() and accept(): listeners, their queues, and the sockets they give. */
#include <poll.h>
#include <sys/stat.h>

#include "lib/selftest.h"

OWN_FIXTURE(listen)
COMBO_FIXTURE(accept)

static int accept_errno(int fd)
{
	int new = accept(fd, NULL, NULL);

	if (new < 0)
		return errno;
	close(new);
	return 0;
}

/* A non-blocking connect from the client end, not awaited. */
static int start_connect(const struct combo *c, int listener)
{
	struct sockaddr_in sin = local_address(listener);
	int fd = client_socket(c, SOCK_NONBLOCK);

	if (!connect(fd, (struct sockaddr *)&sin, sizeof(sin)) || errno != EINPROGRESS)
		die("connect");
	return fd;
}

static int inet_listen(const char *addr)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	errno = bind_to(fd, addr, 4000);
	if (errno || listen(fd, 5))
		die("listen");
	return fd;
}

/* The cgroup of this process, below where they are mounted. */
static void cgroup_path(char *path, size_t size)
{
	FILE *file = fopen("/proc/self/cgroup", "r");
	char own[256];

	if (!file || fscanf(file, "0::%255s", own) != 1)
		die("/proc/self/cgroup");
	fclose(file);
	snprintf(path, size, "/sys/fs/cgroup%s", own);
}

static void enter_cgroup(const char *path)
{
	char file[600];
	FILE *procs;

	snprintf(file, sizeof(file), "%s/cgroup.procs", path);
	procs = fopen(file, "w");
	if (!procs || fputs("0", procs) < 0 || fclose(procs))
		die("%s", file);
}

/* Connections of the listener's side of @port that belong to the cgroup. */
static int connections_in(const char *cgroup, uint16_t port)
{
	char line[900];
	int found = 0;
	FILE *ss;

	snprintf(line, sizeof(line), "%s -tH state established sport = :%u cgroup %s",
		 own_is_inet() ? "ss" : "oxtcp ss", port, cgroup);
	ss = popen(line, "r");
	if (!ss)
		die("%s", line);
	while (fgets(line, sizeof(line), ss))
		found++;
	if (pclose(ss))
		die("ss");
	return found;
}

TEST_F(listen, connections_are_in_the_cgroup_of_the_listener)
{
	char old[400], new[500];
	int fd, client, server;

	cgroup_path(old, sizeof(old));
	snprintf(new, sizeof(new), "%s/listener", old);
	if (mkdir(new, 0755) && errno != EEXIST)
		die("mkdir %s", new);
	enter_cgroup(new);
	fd = own_listen("127.0.0.1", 1);
	enter_cgroup(old);
	client = own_socket(0);
	EXPECT_EQ(0, connect_to(client, "127.0.0.1", local_port(fd)));
	server = accept(fd, NULL, NULL);
	EXPECT_LE(0, server);
	EXPECT_EQ(1, connections_in(new, local_port(fd)));
	EXPECT_EQ(0, connections_in(old, local_port(fd)));
	EXPECT_EQ(0, rmdir(new));
}

TEST_F(listen, unbound_socket_gets_a_port)
{
	int fd = own_socket(0);

	EXPECT_EQ(0, listen(fd, 1));
	EXPECT_LE(1024, local_port(fd));
}

TEST_F(listen, inet_listens_beside_it_on_another_address)
{
	int fd = own_socket(0), client = socket(AF_INET, SOCK_STREAM, 0), inet;

	EXPECT_EQ(0, bind_to(fd, "127.0.0.1", 4000));
	EXPECT_EQ(0, listen(fd, 1));
	inet = inet_listen("127.0.0.2");
	EXPECT_EQ(0, connect_to(client, "127.0.0.2", 4000));
	EXPECT_EQ(0, accept_errno(inet));
}

/* A server starts anew with the other family while connections of the old one live. */
static void take_over(int *client, int *server, int *old)
{
	int i, inet = inet_listen("127.0.0.1"), fd = own_socket(0);

	for (i = 0; i < 2; i++) {
		client[i] = socket(AF_INET, SOCK_STREAM, 0);
		errno = connect_to(client[i], "127.0.0.1", 4000);
		if (errno)
			die("connect");
		server[i] = accept(inet, NULL, NULL);
		if (server[i] < 0)
			die("accept");
		set_timeout(server[i], SO_RCVTIMEO, 1000);
	}
	close(inet);
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	errno = bind_to(fd, "127.0.0.1", 4000);
	if (errno)
		die("bind");
	*old = fd;
}

TEST_F(listen, connections_of_inet_outlive_a_server_that_takes_over)
{
	struct linger hard = { .l_onoff = 1 };
	int client[2], server[2], fd, i;

	take_over(client, server, &fd);
	/* Bound, and listening then. */
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(1, send(client[0], "x", 1, MSG_NOSIGNAL));
		EXPECT_EQ(0, recv_errno(server[0]));
		EXPECT_EQ(1, send(server[0], "y", 1, MSG_NOSIGNAL));
		EXPECT_EQ(0, recv_errno(client[0]));
		EXPECT_EQ(0, listen(fd, 1));
	}
	/* A reset comes through as well, and what ends a connection. */
	EXPECT_EQ(0, setsockopt(client[1], SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)));
	close(client[1]);
	EXPECT_EQ(ECONNRESET, recv_errno(server[1]));
	close(client[0]);
	EXPECT_EQ(-1, recv_errno(server[0]));
	client[0] = socket(AF_INET, SOCK_STREAM, 0);
	EXPECT_EQ(0, connect_to(client[0], "127.0.0.1", 4000));
	EXPECT_EQ(0, accept_errno(fd));
}

TEST_F(listen, connected_socket_is_EINVAL)
{
	int listener = own_listen("127.0.0.1", 1), client = own_socket(0);

	EXPECT_EQ(0, connect_to(client, "127.0.0.1", local_port(listener)));
	EXPECT_EQ(-1, listen(client, 1));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(listen, again_changes_the_backlog)
{
	int fd = own_listen("127.0.0.1", 1);

	EXPECT_EQ(0, listen(fd, 10));
	EXPECT_EQ(0, listen(fd, 0));
	EXPECT_EQ(0, listen(fd, -1));
}

TEST_F(listen, connect_of_a_listener_is_EISCONN)
{
	int fd = own_listen("127.0.0.1", 1), other = own_listen("127.0.0.1", 1);

	EXPECT_EQ(EISCONN, connect_to(fd, "127.0.0.1", local_port(other)));
}

TEST_F(listen, transfer_on_a_listener_fails)
{
	int fd = own_listen("127.0.0.1", 1), n;

	EXPECT_EQ(ENOTCONN, recv_errno(fd));
	EXPECT_EQ(-1, send(fd, "x", 1, MSG_NOSIGNAL));
	EXPECT_EQ(EPIPE, errno);
	EXPECT_EQ(-1, ioctl(fd, FIONREAD, &n));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(listen, accept_of_no_listener_is_EINVAL)
{
	EXPECT_EQ(EINVAL, accept_errno(own_socket(0)));
}

TEST_F(listen, accept4_of_unknown_flag_is_EINVAL)
{
	EXPECT_EQ(-1, accept4(own_listen("127.0.0.1", 1), NULL, NULL, 1));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(listen, accept_of_an_empty_queue_is_EAGAIN_when_nonblocking)
{
	int fd = own_listen("127.0.0.1", 1);

	set_nonblocking(fd, true);
	EXPECT_EQ(EAGAIN, accept_errno(fd));
}

TEST_F(listen, accept_ends_with_EAGAIN_after_SO_RCVTIMEO)
{
	int fd = own_listen("127.0.0.1", 1);
	int64_t start = now_ms();

	set_timeout(fd, SO_RCVTIMEO, 150);
	EXPECT_EQ(EAGAIN, accept_errno(fd));
	EXPECT_LE(150 - TICKS_MS, now_ms() - start);
}

TEST_F(listen, accept_ends_with_EINTR_at_a_signal)
{
	int fd = own_listen("127.0.0.1", 1);
	pid_t child;

	count_signal(SIGUSR1, 0);
	child = signal_after(SIGUSR1, 50);
	EXPECT_EQ(EINTR, accept_errno(fd));
	stop_child(child);
}

TEST_F(listen, accept_goes_on_after_a_signal_with_SA_RESTART)
{
	int fd = own_listen("127.0.0.1", 1), client = own_socket(0);
	pid_t signaller, child;

	count_signal(SIGUSR1, SA_RESTART);
	signaller = signal_after(SIGUSR1, 20);
	child = start_child();
	if (!child) {
		pause_ms(200);
		_exit(connect_to(client, "127.0.0.1", local_port(fd)));
	}
	EXPECT_EQ(0, accept_errno(fd));
	stop_child(signaller);
	EXPECT_EQ(0, end_of_child(child));
	EXPECT_LT(0, signals_seen());
}

TEST_F(listen, shutdown_wakes_accept_and_ends_the_listener)
{
	int fd = own_listen("127.0.0.1", 1), client = own_socket(0);
	uint16_t port = local_port(fd);
	pid_t child = start_child();

	if (!child)
		_exit(accept_errno(fd));
	EXPECT_TRUE(sleeps(child, 5000));
	EXPECT_EQ(0, shutdown(fd, SHUT_RD));
	EXPECT_EQ(EINVAL, end_of_child(child));
	EXPECT_EQ(EINVAL, accept_errno(fd));
	EXPECT_EQ(ECONNREFUSED, connect_to(client, "127.0.0.1", port));
}

TEST_F(listen, shutdown_for_writing_changes_nothing)
{
	int fd = own_listen("127.0.0.1", 1), client = own_socket(0);

	EXPECT_EQ(0, shutdown(fd, SHUT_WR));
	EXPECT_EQ(0, connect_to(client, "127.0.0.1", local_port(fd)));
	EXPECT_EQ(0, accept_errno(fd));
}

TEST_F(listen, port_is_refused_after_close)
{
	int fd = own_listen("127.0.0.1", 1), client = own_socket(0);
	uint16_t port = local_port(fd);

	close(fd);
	EXPECT_EQ(ECONNREFUSED, connect_to(client, "127.0.0.1", port));
}

TEST_F(accept, gives_the_names_of_both_ends)
{
	int listener = server_listen(&variant->combo, 1);
	int client = client_connect(&variant->combo, listener), fd;
	struct sockaddr_in peer, local;
	socklen_t len = sizeof(peer);

	fd = accept(listener, (struct sockaddr *)&peer, &len);
	ASSERT_LE(0, fd);
	EXPECT_EQ(sizeof(peer), len);
	local = local_address(client);
	EXPECT_EQ(AF_INET, peer.sin_family);
	EXPECT_EQ(local.sin_port, peer.sin_port);
	EXPECT_EQ(local.sin_addr.s_addr, peer.sin_addr.s_addr);
	EXPECT_EQ(local_port(listener), local_port(fd));
	local = local_address(fd);
	peer = peer_address(client);
	EXPECT_EQ(local.sin_port, peer.sin_port);
	EXPECT_EQ(local.sin_addr.s_addr, peer.sin_addr.s_addr);
}

TEST_F(accept, name_is_cut_to_the_callers_buffer)
{
	int listener = server_listen(&variant->combo, 1), fd;
	struct sockaddr_in peer = {};
	socklen_t len = 4;

	client_connect(&variant->combo, listener);
	fd = accept(listener, (struct sockaddr *)&peer, &len);
	ASSERT_LE(0, fd);
	EXPECT_EQ(sizeof(peer), len);
	EXPECT_EQ(AF_INET, peer.sin_family);
	EXPECT_NE(0, peer.sin_port);
	EXPECT_EQ(0, peer.sin_addr.s_addr);
}

TEST_F(accept, flags_are_the_calls_own)
{
	int listener = server_listen(&variant->combo, 2), fd;

	set_nonblocking(listener, true);
	client_connect(&variant->combo, listener);
	client_connect(&variant->combo, listener);
	EXPECT_EQ(POLLIN, wait_events(listener, POLLIN, 5000));
	fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(O_NONBLOCK, fcntl(fd, F_GETFL) & O_NONBLOCK);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD) & FD_CLOEXEC);
	EXPECT_EQ(POLLIN, wait_events(listener, POLLIN, 5000));
	fd = accept(listener, NULL, NULL);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, fcntl(fd, F_GETFL) & O_NONBLOCK);
	EXPECT_EQ(0, fcntl(fd, F_GETFD) & FD_CLOEXEC);
}

TEST_F(accept, sleeper_is_woken_by_a_connection)
{
	int listener = server_listen(&variant->combo, 1);
	pid_t child = start_child();

	if (!child)
		_exit(accept_errno(listener));
	EXPECT_TRUE(sleeps(child, 5000));
	client_connect(&variant->combo, listener);
	EXPECT_EQ(0, end_of_child(child));
}

TEST_F(accept, first_come_first_served)
{
	int listener = server_listen(&variant->combo, 16), client[8], i, fd;

	for (i = 0; i < 8; i++)
		client[i] = client_connect(&variant->combo, listener);
	for (i = 0; i < 8; i++) {
		fd = accept(listener, NULL, NULL);
		ASSERT_LE(0, fd);
		EXPECT_EQ(local_port(client[i]), ntohs(peer_address(fd).sin_port));
	}
}

TEST_F(accept, data_sent_before_accept_is_there)
{
	int listener = server_listen(&variant->combo, 1), fd;
	int client = client_connect(&variant->combo, listener);
	char got[6] = "";

	send_all(client, "early", 5);
	close(client);
	fd = accept(listener, NULL, NULL);
	ASSERT_LE(0, fd);
	recv_all(fd, got, 5);
	EXPECT_STREQ("early", got);
	EXPECT_EQ(-1, recv_errno(fd));
}

TEST_F(accept, listener_becomes_readable)
{
	int listener = server_listen(&variant->combo, 1);

	EXPECT_EQ(0, wait_events(listener, POLLIN | POLLOUT, 0));
	client_connect(&variant->combo, listener);
	EXPECT_EQ(POLLIN, wait_events(listener, POLLIN | POLLOUT, 5000));
	EXPECT_EQ(0, accept_errno(listener));
	EXPECT_EQ(0, wait_events(listener, POLLIN | POLLOUT, 0));
}

/* The queue takes one more than the backlog says; the rest come in when it is drained. */
TEST_F(accept, connections_over_the_backlog_wait_for_accept)
{
	int listener = server_listen(&variant->combo, 2), client[5], i;

	for (i = 0; i < 3; i++) {
		client[i] = start_connect(&variant->combo, listener);
		ASSERT_EQ(POLLOUT, wait_events(client[i], POLLOUT, 5000));
	}
	for (; i < 5; i++)
		client[i] = start_connect(&variant->combo, listener);
	EXPECT_EQ(0, wait_events(client[3], POLLOUT, 300));
	EXPECT_EQ(0, wait_events(client[4], POLLOUT, 0));
	for (i = 0; i < 5; i++)
		EXPECT_EQ(0, accept_errno(listener));
	EXPECT_EQ(POLLOUT, wait_events(client[3], POLLOUT, 5000) & POLLOUT);
	EXPECT_EQ(POLLOUT, wait_events(client[4], POLLOUT, 5000) & POLLOUT);
}

TEST_F(accept, backlog_0_takes_one_connection)
{
	int listener = server_listen(&variant->combo, 0);
	int first = start_connect(&variant->combo, listener), second;

	EXPECT_EQ(POLLOUT, wait_events(first, POLLOUT, 5000));
	second = start_connect(&variant->combo, listener);
	EXPECT_EQ(0, wait_events(second, POLLOUT, 300));
}

TEST_F(accept, backlog_is_limited_by_somaxconn)
{
	int listener, client[3], i;

	if (variant->combo.path == VETH)
		enter_far();
	set_sysctl("net/core/somaxconn", "1");
	if (variant->combo.path == VETH)
		enter_near();
	listener = server_listen(&variant->combo, 1000);
	for (i = 0; i < 2; i++) {
		client[i] = start_connect(&variant->combo, listener);
		EXPECT_EQ(POLLOUT, wait_events(client[i], POLLOUT, 5000));
	}
	client[2] = start_connect(&variant->combo, listener);
	EXPECT_EQ(0, wait_events(client[2], POLLOUT, 300));
}

TEST_F(accept, closing_the_listener_resets_connections_in_its_queue)
{
	int listener = server_listen(&variant->combo, 4), client[3], i;

	for (i = 0; i < 3; i++)
		client[i] = client_connect(&variant->combo, listener);
	/* The last acknowledgement may still be on its way. */
	EXPECT_EQ(POLLIN, wait_events(listener, POLLIN, 5000));
	close(listener);
	for (i = 0; i < 3; i++) {
		EXPECT_LT(0, wait_events(client[i], POLLIN, 5000));
		EXPECT_EQ(ECONNRESET, recv_errno(client[i]));
	}
}

TEST_F(accept, closing_the_listener_leaves_accepted_connections)
{
	struct pair p = make_pair(&variant->combo);
	char got[4];

	close(p.listener);
	send_all(p.client, "ping", 4);
	recv_all(p.server, got, 4);
	send_all(p.server, "pong", 4);
	recv_all(p.client, got, 4);
	EXPECT_EQ(0, memcmp("pong", got, 4));
}

TEST_F(accept, closing_an_accepted_connection_leaves_the_listener)
{
	struct pair p = make_pair(&variant->combo);
	int again;

	close(p.server);
	EXPECT_EQ(-1, recv_errno(p.client));
	again = client_connect(&variant->combo, p.listener);
	EXPECT_EQ(0, accept_errno(p.listener));
	EXPECT_EQ(-1, recv_errno(again));
}
