// SPDX-License-Identifier: GPL-2.0
/* bind(): which names a socket may get, and whose they already are. */
#include "lib/selftest.h"

OWN_FIXTURE(bind)

static int bind_errno(int fd, const void *addr, socklen_t len)
{
	return bind(fd, addr, len) ? errno : 0;
}

static int inet_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		die("socket");
	return fd;
}

static int inet_listen(const char *addr)
{
	int fd = inet_socket();

	errno = bind_to(fd, addr, 4000);
	if (errno || listen(fd, 5))
		die("listen");
	return fd;
}

static int reusing(int fd)
{
	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	return fd;
}

TEST_F(bind, explicit_address_and_port)
{
	int fd = own_socket(0);
	struct sockaddr_in sin;

	EXPECT_EQ(0, bind_to(fd, "127.0.0.1", 4000));
	sin = local_address(fd);
	EXPECT_EQ(AF_INET, sin.sin_family);
	EXPECT_EQ(htons(4000), sin.sin_port);
	EXPECT_EQ(htonl(INADDR_LOOPBACK), sin.sin_addr.s_addr);
}

TEST_F(bind, wildcard_address)
{
	int fd = own_socket(0);

	EXPECT_EQ(0, bind_to(fd, "0.0.0.0", 4000));
	EXPECT_EQ(0, local_address(fd).sin_addr.s_addr);
	EXPECT_EQ(4000, local_port(fd));
}

TEST_F(bind, any_loopback_address_is_local)
{
	EXPECT_EQ(0, bind_to(own_socket(0), "127.1.2.3", 4000));
}

TEST_F(bind, port_0_gets_a_free_port)
{
	int a = own_socket(0), b = own_socket(0);

	EXPECT_EQ(0, bind_to(a, "127.0.0.1", 0));
	EXPECT_EQ(0, bind_to(b, "127.0.0.1", 0));
	EXPECT_LE(1024, local_port(a));
	EXPECT_NE(local_port(a), local_port(b));
}

TEST_F(bind, short_address_is_EINVAL)
{
	struct sockaddr_in sin = address("127.0.0.1", 4000);
	int fd = own_socket(0);

	EXPECT_EQ(EINVAL, bind_errno(fd, &sin, 0));
	EXPECT_EQ(EINVAL, bind_errno(fd, &sin, 2));
	EXPECT_EQ(EINVAL, bind_errno(fd, &sin, sizeof(sin) - 1));
	EXPECT_EQ(EINVAL, bind_errno(fd, &sin, -1));
	EXPECT_EQ(EINVAL, bind_errno(fd, &sin, 4096));
}

TEST_F(bind, bad_pointer_is_EFAULT)
{
	EXPECT_EQ(EFAULT, bind_errno(own_socket(0), (void *)8, sizeof(struct sockaddr_in)));
}

TEST_F(bind, other_address_family_is_EAFNOSUPPORT)
{
	struct sockaddr_in sin = address("127.0.0.1", 4000);
	int fd = own_socket(0);

	sin.sin_family = AF_INET6;
	EXPECT_EQ(EAFNOSUPPORT, bind_errno(fd, &sin, sizeof(sin)));
	sin.sin_family = 200;
	EXPECT_EQ(EAFNOSUPPORT, bind_errno(fd, &sin, sizeof(sin)));
}

TEST_F(bind, unspecified_family_is_taken_for_the_wildcard_only)
{
	struct sockaddr_in sin = address("127.0.0.1", 4000);
	int fd = own_socket(0);

	sin.sin_family = AF_UNSPEC;
	EXPECT_EQ(EAFNOSUPPORT, bind_errno(fd, &sin, sizeof(sin)));
	sin.sin_addr.s_addr = INADDR_ANY;
	EXPECT_EQ(0, bind_errno(fd, &sin, sizeof(sin)));
	EXPECT_EQ(4000, local_port(fd));
}

TEST_F(bind, own_family_number_in_the_address_is_taken_too)
{
	struct sockaddr_in sin = address("127.0.0.1", 4000);
	int fd = own_socket(0);

	sin.sin_family = own_family();
	EXPECT_EQ(0, bind_errno(fd, &sin, sizeof(sin)));
	EXPECT_EQ(AF_INET, local_address(fd).sin_family);
}

TEST_F(bind, second_time_is_EINVAL)
{
	int fd = own_socket(0);

	EXPECT_EQ(0, bind_to(fd, "127.0.0.1", 4000));
	EXPECT_EQ(EINVAL, bind_to(fd, "127.0.0.1", 4001));
	EXPECT_EQ(4000, local_port(fd));
}

TEST_F(bind, address_of_another_host_is_EADDRNOTAVAIL)
{
	EXPECT_EQ(EADDRNOTAVAIL, bind_to(own_socket(0), "10.99.99.99", 4000));
}

TEST_F(bind, failed_attempt_leaves_the_socket_free)
{
	int fd = own_socket(0);

	EXPECT_EQ(EADDRNOTAVAIL, bind_to(fd, "10.99.99.99", 4000));
	EXPECT_EQ(0, local_port(fd));
	EXPECT_EQ(0, bind_to(fd, "127.0.0.1", 4000));
}

TEST_F(bind, privileged_port_is_EACCES_without_privilege)
{
	int fd = own_socket(0), low = own_socket(0);

	EXPECT_EQ(0, bind_to(low, "127.0.0.1", 81));
	ASSERT_EQ(0, setresuid(65534, 65534, 65534));
	EXPECT_EQ(EACCES, bind_to(fd, "127.0.0.1", 80));
	EXPECT_EQ(EACCES, bind_to(fd, "127.0.0.1", 1023));
	EXPECT_EQ(0, bind_to(fd, "127.0.0.1", 1024));
}

TEST_F(bind, unprivileged_port_start_is_obeyed)
{
	int fd = own_socket(0);

	set_sysctl("net/ipv4/ip_unprivileged_port_start", "80");
	ASSERT_EQ(0, setresuid(65534, 65534, 65534));
	EXPECT_EQ(EACCES, bind_to(fd, "127.0.0.1", 79));
	EXPECT_EQ(0, bind_to(fd, "127.0.0.1", 80));
}

TEST_F(bind, taken_port_is_EADDRINUSE)
{
	int first = own_socket(0), second = own_socket(0);

	EXPECT_EQ(0, bind_to(first, "127.0.0.1", 4000));
	EXPECT_EQ(EADDRINUSE, bind_to(second, "127.0.0.1", 4000));
	EXPECT_EQ(EADDRINUSE, bind_to(second, "0.0.0.0", 4000));
	close(first);
	EXPECT_EQ(0, bind_to(second, "127.0.0.1", 4000));
}

TEST_F(bind, wildcard_takes_the_port_of_each_address)
{
	int first = own_socket(0), second = own_socket(0);

	EXPECT_EQ(0, bind_to(first, "0.0.0.0", 4000));
	EXPECT_EQ(EADDRINUSE, bind_to(second, "127.0.0.1", 4000));
}

TEST_F(bind, same_port_of_two_addresses_is_free)
{
	EXPECT_EQ(0, bind_to(own_socket(0), "127.0.0.1", 4000));
	EXPECT_EQ(0, bind_to(own_socket(0), "127.0.0.2", 4000));
}

TEST_F(bind, port_of_an_inet_socket_is_EADDRINUSE)
{
	int inet = inet_socket(), fd = own_socket(0);

	EXPECT_EQ(0, bind_to(inet, "127.0.0.1", 4000));
	EXPECT_EQ(EADDRINUSE, bind_to(fd, "127.0.0.1", 4000));
	EXPECT_EQ(EADDRINUSE, bind_to(fd, "0.0.0.0", 4000));
	close(inet);
	EXPECT_EQ(0, bind_to(fd, "127.0.0.1", 4000));
}

TEST_F(bind, inet_gets_EADDRINUSE_for_our_port)
{
	int inet = inet_socket(), fd = own_socket(0);

	EXPECT_EQ(0, bind_to(fd, "127.0.0.1", 4000));
	EXPECT_EQ(EADDRINUSE, bind_to(inet, "127.0.0.1", 4000));
	EXPECT_EQ(EADDRINUSE, bind_to(inet, "0.0.0.0", 4000));
	close(fd);
	EXPECT_EQ(0, bind_to(inet, "127.0.0.1", 4000));
}

TEST_F(bind, listening_inet_socket_keeps_its_port_even_from_reuse)
{
	int inet = reusing(inet_socket()), fd = reusing(own_socket(0));

	EXPECT_EQ(0, bind_to(inet, "127.0.0.1", 4000));
	EXPECT_EQ(0, listen(inet, 1));
	EXPECT_EQ(EADDRINUSE, bind_to(fd, "127.0.0.1", 4000));
}

TEST_F(bind, listening_socket_keeps_its_port_even_from_reusing_inet)
{
	int inet = reusing(inet_socket()), fd = reusing(own_socket(0));

	EXPECT_EQ(0, bind_to(fd, "127.0.0.1", 4000));
	EXPECT_EQ(0, listen(fd, 1));
	EXPECT_EQ(EADDRINUSE, bind_to(inet, "127.0.0.1", 4000));
}

TEST_F(bind, address_of_a_listening_inet_socket_is_EADDRINUSE_beside_another_of_ours)
{
	int inet = inet_listen("127.0.0.2"), fd = own_socket(0);

	EXPECT_EQ(0, bind_to(own_socket(0), "127.0.0.1", 4000));
	EXPECT_EQ(EADDRINUSE, bind_to(fd, "127.0.0.2", 4000));
	EXPECT_EQ(EADDRINUSE, bind_to(own_socket(0), "0.0.0.0", 4000));
	close(inet);
	EXPECT_EQ(0, bind_to(fd, "127.0.0.2", 4000));
}

TEST_F(bind, sharing_with_another_of_ours_takes_nothing_from_a_listening_inet_socket)
{
	int inet = inet_listen("127.0.0.2"), fd = reusing(own_socket(0));

	EXPECT_EQ(0, bind_to(reusing(own_socket(0)), "127.0.0.1", 4000));
	EXPECT_EQ(EADDRINUSE, bind_to(fd, "0.0.0.0", 4000));
	close(inet);
	EXPECT_EQ(0, bind_to(fd, "0.0.0.0", 4000));
}

TEST_F(bind, shared_port_is_kept_from_inet_by_who_is_left)
{
	int first = reusing(own_socket(0)), second = reusing(own_socket(0)), inet = inet_socket();

	EXPECT_EQ(0, bind_to(first, "0.0.0.0", 4000));
	EXPECT_EQ(0, bind_to(second, "127.0.0.1", 4000));
	close(first);
	EXPECT_EQ(EADDRINUSE, bind_to(inet, "127.0.0.1", 4000));
	EXPECT_EQ(0, bind_to(inet, "127.0.0.2", 4000));
}

TEST_F(bind, shared_port_is_kept_from_inet_by_the_listener_that_is_left)
{
	int first = reusing(own_socket(0)), second = reusing(own_socket(0));

	EXPECT_EQ(0, bind_to(first, "127.0.0.1", 4000));
	EXPECT_EQ(0, bind_to(second, "127.0.0.1", 4000));
	EXPECT_EQ(0, listen(first, 1));
	close(second);
	EXPECT_EQ(EADDRINUSE, bind_to(inet_socket(), "127.0.0.1", 4000));
}

TEST_F(bind, connection_of_an_inet_socket_on_another_address_lives_on)
{
	int inet = inet_listen("127.0.0.2"), client = inet_socket(), server;

	EXPECT_EQ(0, connect_to(client, "127.0.0.2", 4000));
	server = accept(inet, NULL, NULL);
	ASSERT_LE(0, server);
	set_timeout(server, SO_RCVTIMEO, 1000);
	EXPECT_EQ(0, bind_to(own_socket(0), "127.0.0.1", 4000));
	EXPECT_EQ(1, send(client, "x", 1, MSG_NOSIGNAL));
	EXPECT_EQ(0, recv_errno(server));
}

TEST_F(bind, both_reusing_may_share_a_port_while_none_listens)
{
	int first = reusing(own_socket(0)), second = reusing(own_socket(0));

	EXPECT_EQ(0, bind_to(first, "127.0.0.1", 4000));
	EXPECT_EQ(0, bind_to(second, "127.0.0.1", 4000));
}

TEST_F(bind, one_reusing_socket_is_not_enough)
{
	int first = own_socket(0), second = reusing(own_socket(0));

	EXPECT_EQ(0, bind_to(first, "127.0.0.1", 4000));
	EXPECT_EQ(EADDRINUSE, bind_to(second, "127.0.0.1", 4000));
	close(first);

	first = reusing(own_socket(0));
	second = own_socket(0);
	EXPECT_EQ(0, bind_to(first, "127.0.0.1", 4000));
	EXPECT_EQ(EADDRINUSE, bind_to(second, "127.0.0.1", 4000));
}

TEST_F(bind, port_0_shares_a_port_only_when_none_is_free_and_that_is_allowed)
{
	int first = reusing(own_socket(0)), second = reusing(own_socket(0));

	if (own_is_inet()) {
		set_sysctl("net/ipv4/ip_local_port_range", "40000 40001");
	} else {
		set_sysctl("net/oxtcp/local_port_min", "40000");
		set_sysctl("net/oxtcp/local_port_max", "40001");
	}
	EXPECT_EQ(0, bind_to(own_socket(0), "127.0.0.1", 0));
	EXPECT_EQ(0, bind_to(first, "127.0.0.1", 0));
	EXPECT_EQ(EADDRINUSE, bind_to(second, "127.0.0.1", 0));
	set_sysctl("net/ipv4/ip_autobind_reuse", "1");
	EXPECT_EQ(0, bind_to(second, "127.0.0.1", 0));
	EXPECT_EQ(local_port(first), local_port(second));
	EXPECT_EQ(0, listen(first, 1));
	EXPECT_EQ(EADDRINUSE, bind_to(reusing(own_socket(0)), "127.0.0.1", 0));
}

TEST_F(bind, listener_shares_with_nobody)
{
	int first = reusing(own_socket(0)), second = reusing(own_socket(0));
	int third = reusing(own_socket(0));

	EXPECT_EQ(0, bind_to(first, "127.0.0.1", 4000));
	EXPECT_EQ(0, bind_to(second, "127.0.0.1", 4000));
	EXPECT_EQ(0, listen(first, 1));
	EXPECT_EQ(EADDRINUSE, bind_to(third, "127.0.0.1", 4000));
	EXPECT_EQ(-1, listen(second, 1));
	EXPECT_EQ(EADDRINUSE, errno);
}

/* A connection between @listener's port and itself whose server end closed first. */
static void leave_time_wait(int listener)
{
	uint16_t port = local_port(listener), remote;
	int client = own_socket(0), server;

	errno = connect_to(client, "127.0.0.1", port);
	if (errno)
		die("connect");
	remote = local_port(client);
	server = accept(listener, NULL, NULL);
	close(server);
	if (recv_errno(client) != -1)
		die("no end of file");
	close(client);
	close(listener);
	if (!reaches_state(own_family(), port, remote, TCP_TIME_WAIT, 5000))
		die("no TIME-WAIT");
}

TEST_F(bind, port_in_time_wait_is_EADDRINUSE)
{
	int listener = own_listen("127.0.0.1", 1);
	uint16_t port = local_port(listener);

	leave_time_wait(listener);
	EXPECT_EQ(EADDRINUSE, bind_to(own_socket(0), "127.0.0.1", port));
}

TEST_F(bind, port_in_time_wait_is_free_for_reuse)
{
	int listener = reusing(own_socket(0)), again = reusing(own_socket(0));

	EXPECT_EQ(0, bind_to(listener, "127.0.0.1", 4000));
	EXPECT_EQ(0, listen(listener, 1));
	leave_time_wait(listener);
	EXPECT_EQ(0, bind_to(again, "127.0.0.1", 4000));
	EXPECT_EQ(0, listen(again, 1));
}

/* The socket was bound to all addresses, of which its connection has one. */
TEST_F(bind, address_beside_one_in_time_wait_is_free)
{
	int listener = own_listen("127.0.0.1", 1), client = own_socket(0), server;
	uint16_t port = local_port(listener);

	EXPECT_EQ(0, bind_to(client, "0.0.0.0", 4000));
	EXPECT_EQ(0, connect_to(client, "127.0.0.1", port));
	server = accept(listener, NULL, NULL);
	ASSERT_LE(0, server);
	close(client);
	EXPECT_EQ(-1, recv_errno(server));
	close(server);
	ASSERT_TRUE(reaches_state(own_family(), 4000, port, TCP_TIME_WAIT, 5000));
	EXPECT_EQ(0, bind_to(own_socket(0), "127.0.0.2", 4000));
	EXPECT_EQ(EADDRINUSE, bind_to(own_socket(0), "127.0.0.1", 4000));
}

TEST_F(bind, port_stays_taken_while_an_accepted_connection_lives)
{
	int listener = own_listen("127.0.0.1", 1), client = own_socket(0), server;
	uint16_t port = local_port(listener);

	EXPECT_EQ(0, connect_to(client, "127.0.0.1", port));
	server = accept(listener, NULL, NULL);
	ASSERT_LE(0, server);
	close(listener);
	EXPECT_EQ(EADDRINUSE, bind_to(own_socket(0), "127.0.0.1", port));
}

TEST_F(bind, bound_port_is_the_source_of_a_connection)
{
	int listener = own_listen("127.0.0.1", 1), client = own_socket(0), server;

	EXPECT_EQ(0, bind_to(client, "127.0.0.5", 4567));
	EXPECT_EQ(0, connect_to(client, "127.0.0.1", local_port(listener)));
	server = accept(listener, NULL, NULL);
	ASSERT_LE(0, server);
	EXPECT_EQ(htons(4567), peer_address(server).sin_port);
	EXPECT_EQ(inet_addr("127.0.0.5"), peer_address(server).sin_addr.s_addr);
}

TEST_F(bind, connected_socket_is_EINVAL)
{
	int listener = own_listen("127.0.0.1", 1), client = own_socket(0);

	EXPECT_EQ(0, connect_to(client, "127.0.0.1", local_port(listener)));
	EXPECT_EQ(EINVAL, bind_to(client, "127.0.0.1", 4000));
}

TEST_F(bind, name_is_cut_to_the_callers_buffer)
{
	int fd = own_socket(0);
	struct {
		sa_family_t family;
		char rest[14];
	} name = { .rest = "unchanged" };
	socklen_t len = 2;

	EXPECT_EQ(0, bind_to(fd, "127.0.0.1", 4000));
	EXPECT_EQ(0, getsockname(fd, (struct sockaddr *)&name, &len));
	EXPECT_EQ(sizeof(struct sockaddr_in), len);
	EXPECT_EQ(AF_INET, name.family);
	EXPECT_STREQ("unchanged", name.rest);

	len = -1;
	EXPECT_EQ(-1, getsockname(fd, (struct sockaddr *)&name, &len));
	EXPECT_EQ(EINVAL, errno);
	len = sizeof(struct sockaddr_in);
	EXPECT_EQ(-1, getsockname(fd, (struct sockaddr *)8, &len));
	EXPECT_EQ(EFAULT, errno);
}
