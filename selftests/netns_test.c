// SPDX-License-Identifier: GPL-2.0
/* Network namespaces and processes: what belongs together, and what ends with what. */
#include <poll.h>

#include "lib/selftest.h"
#include "lib/stream.h"

OWN_FIXTURE(netns)
PAIR_FIXTURE(process)

TEST_F(netns, same_port_in_two_namespaces)
{
	int first, second, client, here;

	here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	first = own_socket(0);
	EXPECT_EQ(0, bind_to(first, "127.0.0.1", 4000));
	EXPECT_EQ(0, listen(first, 1));
	enter_new_namespace();
	second = own_socket(0);
	EXPECT_EQ(0, bind_to(second, "127.0.0.1", 4000));
	EXPECT_EQ(0, listen(second, 1));
	client = own_socket(0);
	EXPECT_EQ(0, connect_to(client, "127.0.0.1", 4000));
	EXPECT_EQ(POLLIN, wait_events(second, POLLIN, 5000));
	EXPECT_EQ(0, wait_events(first, POLLIN, 0));
	enter_namespace(here);
	client = own_socket(0);
	EXPECT_EQ(0, connect_to(client, "127.0.0.1", 4000));
	EXPECT_EQ(POLLIN, wait_events(first, POLLIN, 5000));
}

TEST_F(netns, listener_of_another_namespace_is_not_reached)
{
	int listener = own_listen("127.0.0.1", 1);
	uint16_t port = local_port(listener);

	enter_new_namespace();
	EXPECT_EQ(ECONNREFUSED, connect_to(own_socket(0), "127.0.0.1", port));
}

TEST_F(netns, socket_stays_in_the_namespace_it_was_made_in)
{
	int listener = own_listen("127.0.0.1", 1), client = own_socket(0);

	enter_new_namespace();
	EXPECT_EQ(0, connect_to(client, "127.0.0.1", local_port(listener)));
}

TEST_F(netns, settings_are_each_namespaces_own)
{
	int fd;

	set_sysctl("net/ipv4/tcp_rmem", "4096 77777 1000000");
	enter_new_namespace();
	fd = own_socket(0);
	EXPECT_NE(77777, get_option(fd, SOL_SOCKET, SO_RCVBUF));
}

TEST_F(netns, many_come_and_go_with_connections_in_them)
{
	size_t i;

	for (i = 0; i < amount(20, 5); i++) {
		int listener, client, server;

		close(enter_new_namespace());
		listener = own_listen("127.0.0.1", 1);
		client = own_socket(0);
		ASSERT_EQ(0, connect_to(client, "127.0.0.1", local_port(listener)));
		server = accept(listener, NULL, NULL);
		ASSERT_LE(0, server);
		/* One closes actively and leaves TIME-WAIT, one leaves data nobody takes. */
		if (i & 1)
			fill(client);
		close(client);
		close(server);
		close(listener);
	}
}

TEST_F(netns, proc_shows_listeners_and_connections_of_the_namespace)
{
	int listener = own_listen("127.0.0.1", 1), client = own_socket(0);
	uint16_t port = local_port(listener);

	EXPECT_EQ(TCP_LISTEN, connection_state(own_family(), port, 0));
	EXPECT_EQ(0, connect_to(client, "127.0.0.1", port));
	EXPECT_EQ(TCP_ESTABLISHED, connection_state(own_family(), local_port(client), port));
	EXPECT_EQ(TCP_ESTABLISHED, connection_state(own_family(), port, local_port(client)));
	enter_new_namespace();
	EXPECT_EQ(0, connection_state(own_family(), port, 0));
	EXPECT_EQ(0, connection_state(own_family(), local_port(client), port));
}

#define client (self->p.client)
#define server (self->p.server)

TEST_F(process, killed_client_is_end_of_file_for_the_server)
{
	pid_t child = start_child();

	if (!child) {
		send_all(client, "last words", 10);
		pause();
	}
	close(client);
	EXPECT_TRUE(wait_events(server, POLLIN, 5000));
	EXPECT_EQ(0, kill(child, SIGKILL));
	EXPECT_EQ(256 + SIGKILL, end_of_child(child));
	EXPECT_EQ(10, drain(server));
}

TEST_F(process, killed_server_is_end_of_file_for_the_client)
{
	pid_t child = start_child();

	if (!child)
		pause();
	close(server);
	EXPECT_EQ(0, kill(child, SIGKILL));
	EXPECT_EQ(256 + SIGKILL, end_of_child(child));
	EXPECT_EQ(-1, recv_errno(client));
}

TEST_F(process, killed_reader_with_unread_data_resets_the_sender)
{
	pid_t child = start_child();

	if (!child)
		pause();
	send_all(client, "unread", 6);
	EXPECT_EQ(POLLIN, wait_events(server, POLLIN, 5000));
	close(server);
	EXPECT_EQ(0, kill(child, SIGKILL));
	EXPECT_EQ(256 + SIGKILL, end_of_child(child));
	EXPECT_EQ(ECONNRESET, recv_errno(client));
}

TEST_F(process, killed_while_asleep_in_recv)
{
	pid_t child = start_child();

	if (!child)
		_exit(recv_errno(server));
	EXPECT_TRUE(sleeps(child, 5000));
	EXPECT_EQ(0, kill(child, SIGKILL));
	EXPECT_EQ(256 + SIGKILL, end_of_child(child));
	/* The connection is the parent's as well, and lives. */
	send_all(client, "x", 1);
	EXPECT_EQ(0, recv_errno(server));
}

TEST_F(process, killed_while_asleep_in_send)
{
	static const char block[65536];
	pid_t child = start_child();

	if (!child) {
		while (send(client, block, sizeof(block), 0) > 0)
			;
		_exit(errno);
	}
	EXPECT_EQ(POLLIN, wait_events(server, POLLIN, 5000));
	EXPECT_TRUE(sleeps(child, 5000));
	EXPECT_EQ(0, kill(child, SIGKILL));
	EXPECT_EQ(256 + SIGKILL, end_of_child(child));
	/* What it had sent comes, and then the parent's end. */
	close(client);
	EXPECT_LT(0, drain(server));
}

TEST_F(process, child_goes_on_with_its_parents_connection)
{
	pid_t child = start_child();
	char got[5];

	if (!child) {
		send_all(client, "child", 5);
		_exit(0);
	}
	EXPECT_EQ(0, end_of_child(child));
	recv_all(server, got, 5);
	/* The child's end was not the connection's. */
	send_all(client, "alive", 5);
	recv_all(server, got, 5);
	EXPECT_EQ(0, memcmp(got, "alive", 5));
}

TEST_F(process, connection_can_be_passed_to_another_process)
{
	char control[CMSG_SPACE(sizeof(int))] = "";
	struct iovec byte = { "x", 1 };
	struct msghdr m = {
		.msg_iov = &byte, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int channel[2], fd;
	char got[4];
	pid_t child;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, channel));
	child = start_child();
	if (!child) {
		char one;

		byte.iov_base = &one;
		if (recvmsg(channel[1], &m, 0) != 1)
			_exit(1);
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
		send_all(fd, "sent", 4);
		_exit(0);
	}
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &client, sizeof(int));
	EXPECT_EQ(1, sendmsg(channel[0], &m, 0));
	recv_all(server, got, 4);
	EXPECT_EQ(0, memcmp(got, "sent", 4));
	EXPECT_EQ(0, end_of_child(child));
}
