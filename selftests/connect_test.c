// SPDX-License-Identifier: GPL-2.0
/* connect(), as far as no particular peer is needed. */
#include <poll.h>

#include "lib/selftest.h"

OWN_FIXTURE(connect)
COMBO_FIXTURE(connection)

static int connect_raw(int fd, const void *addr, socklen_t len)
{
	return connect(fd, addr, len) ? errno : 0;
}

/* A port of the server end that nobody listens on. */
static struct sockaddr_in closed_port(const struct combo *c)
{
	int fd = server_listen(c, 1);
	struct sockaddr_in sin = local_address(fd);

	close(fd);
	return sin;
}

TEST_F(connect, short_address_is_EINVAL)
{
	struct sockaddr_in sin = address("127.0.0.1", 4000);
	int fd = own_socket(0);

	EXPECT_EQ(EINVAL, connect_raw(fd, &sin, 0));
	EXPECT_EQ(EINVAL, connect_raw(fd, &sin, 1));
	EXPECT_EQ(EINVAL, connect_raw(fd, &sin, sizeof(sin) - 1));
	EXPECT_EQ(EINVAL, connect_raw(fd, &sin, -1));
}

TEST_F(connect, bad_pointer_is_EFAULT)
{
	EXPECT_EQ(EFAULT, connect_raw(own_socket(0), (void *)8, sizeof(struct sockaddr_in)));
}

TEST_F(connect, other_address_family_is_EAFNOSUPPORT)
{
	struct sockaddr_in sin = address("127.0.0.1", 4000);

	sin.sin_family = AF_INET6;
	EXPECT_EQ(EAFNOSUPPORT, connect_raw(own_socket(0), &sin, sizeof(sin)));
}

TEST_F(connect, own_family_number_in_the_address_is_taken_too)
{
	int listener = own_listen("127.0.0.1", 1), fd = own_socket(0);
	struct sockaddr_in sin = local_address(listener);

	sin.sin_family = own_family();
	EXPECT_EQ(0, connect_raw(fd, &sin, sizeof(sin)));
	EXPECT_EQ(AF_INET, peer_address(fd).sin_family);
}

TEST_F(connect, without_a_route_is_ENETUNREACH)
{
	EXPECT_EQ(ENETUNREACH, connect_to(own_socket(0), "10.250.0.1", 4000));
}

TEST_F(connect, to_multicast_and_broadcast_is_ENETUNREACH)
{
	enter_new_namespace();
	make_network(VETH);
	EXPECT_EQ(ENETUNREACH, connect_to(own_socket(0), "10.1.1.255", 4000));
	EXPECT_EQ(ENETUNREACH, connect_to(own_socket(0), "224.0.0.1", 4000));
}

TEST_F(connect, to_the_wildcard_is_to_this_host)
{
	int listener = own_listen("0.0.0.0", 1), fd = own_socket(0);

	EXPECT_EQ(0, connect_to(fd, "0.0.0.0", local_port(listener)));
	EXPECT_EQ(htonl(INADDR_LOOPBACK), peer_address(fd).sin_addr.s_addr);
}

/* What goes by loopback comes in by the interface that has the address. */
TEST_F(connect, to_this_host_finds_a_listener_bound_to_the_interface_of_the_address)
{
	int listener, other;

	enter_new_namespace();
	make_network(VETH);
	listener = own_socket(0);
	other = own_socket(0);
	EXPECT_EQ(0, setsockopt(listener, SOL_SOCKET, SO_BINDTODEVICE, NEAR_DEV, sizeof(NEAR_DEV)));
	EXPECT_EQ(0, bind_to(listener, "0.0.0.0", 4000));
	EXPECT_EQ(0, listen(listener, 1));
	EXPECT_EQ(0, setsockopt(other, SOL_SOCKET, SO_BINDTODEVICE, "lo", sizeof("lo")));
	EXPECT_EQ(0, bind_to(other, "0.0.0.0", 4001));
	EXPECT_EQ(0, listen(other, 1));
	EXPECT_EQ(0, connect_to(own_socket(0), NEAR_ADDR, 4000));
	EXPECT_EQ(ECONNREFUSED, connect_to(own_socket(0), NEAR_ADDR, 4001));
	EXPECT_EQ(0, connect_to(own_socket(0), "127.0.0.1", 4001));
}

TEST_F(connect, to_port_0_is_refused)
{
	EXPECT_EQ(ECONNREFUSED, connect_to(own_socket(0), "127.0.0.1", 0));
}

TEST_F(connect, to_its_own_port_opens_simultaneously)
{
	int fd = own_socket(0);
	char got[4];

	EXPECT_EQ(0, bind_to(fd, "127.0.0.1", 4000));
	EXPECT_EQ(0, connect_to(fd, "127.0.0.1", 4000));
	send_all(fd, "self", 4);
	recv_all(fd, got, 4);
	EXPECT_EQ(0, memcmp("self", got, 4));
	EXPECT_EQ(0, shutdown(fd, SHUT_WR));
	EXPECT_EQ(-1, recv_errno(fd));
}

TEST_F(connect, unanswered_host_on_the_link_is_EHOSTUNREACH)
{
	enter_new_namespace();
	make_network(VETH);
	EXPECT_EQ(EHOSTUNREACH, connect_to(own_socket(0), "10.1.1.77", 4000));
}

TEST_F(connect, each_connection_has_a_port_of_its_own)
{
	int listener = own_listen("127.0.0.1", 64), fd[32], i, j;

	for (i = 0; i < 32; i++) {
		fd[i] = own_socket(0);
		ASSERT_EQ(0, connect_to(fd[i], "127.0.0.1", local_port(listener)));
		for (j = 0; j < i; j++)
			EXPECT_NE(local_port(fd[j]), local_port(fd[i]));
	}
}

TEST_F(connect, bound_tuple_in_use_is_EADDRNOTAVAIL)
{
	int listener = own_listen("127.0.0.1", 4), first = own_socket(0), second = own_socket(0);

	set_option(first, SOL_SOCKET, SO_REUSEADDR, 1);
	set_option(second, SOL_SOCKET, SO_REUSEADDR, 1);
	EXPECT_EQ(0, bind_to(first, "127.0.0.1", 4000));
	EXPECT_EQ(0, bind_to(second, "127.0.0.1", 4000));
	EXPECT_EQ(0, connect_to(first, "127.0.0.1", local_port(listener)));
	EXPECT_EQ(EADDRNOTAVAIL, connect_to(second, "127.0.0.1", local_port(listener)));
}

TEST_F(connect, without_a_free_port_is_EADDRNOTAVAIL)
{
	int listener = own_listen("127.0.0.1", 64), fd[4], i;

	if (own_is_inet()) {
		set_sysctl("net/ipv4/ip_local_port_range", "40000 40003");
	} else {
		set_sysctl("net/oxtcp/local_port_min", "40000");
		set_sysctl("net/oxtcp/local_port_max", "40003");
	}
	for (i = 0; i < 4; i++) {
		fd[i] = own_socket(0);
		ASSERT_EQ(0, connect_to(fd[i], "127.0.0.1", local_port(listener)));
		EXPECT_LE(40000, local_port(fd[i]));
		EXPECT_GE(40003, local_port(fd[i]));
	}
	EXPECT_EQ(EADDRNOTAVAIL, connect_to(own_socket(0), "127.0.0.1", local_port(listener)));
	close(fd[1]);
	/* The listener's end has not closed: that port waits for it in FIN-WAIT-2. */
	EXPECT_EQ(EADDRNOTAVAIL, connect_to(own_socket(0), "127.0.0.1", local_port(listener)));
}

TEST_F(connection, blocking_is_established_on_return)
{
	int listener = server_listen(&variant->combo, 1);
	int fd = client_connect(&variant->combo, listener);
	struct sockaddr_in sin = local_address(fd);

	EXPECT_NE(0, sin.sin_port);
	EXPECT_EQ(inet_addr(variant->combo.path == VETH ? NEAR_ADDR : "127.0.0.1"),
		  sin.sin_addr.s_addr);
	EXPECT_EQ(TCP_ESTABLISHED,
		  connection_state(family_of(variant->combo.client), local_port(fd),
				   local_port(listener)));
}

TEST_F(connection, again_is_EISCONN)
{
	int listener = server_listen(&variant->combo, 1);
	int fd = client_connect(&variant->combo, listener);
	struct sockaddr_in sin = local_address(listener);

	EXPECT_EQ(EISCONN, connect_raw(fd, &sin, sizeof(sin)));
}

TEST_F(connection, nonblocking_is_told_by_poll_and_SO_ERROR)
{
	int listener = server_listen(&variant->combo, 1);
	int fd = client_socket(&variant->combo, SOCK_NONBLOCK);
	struct sockaddr_in sin = local_address(listener);

	EXPECT_EQ(EINPROGRESS, connect_raw(fd, &sin, sizeof(sin)));
	EXPECT_EQ(POLLOUT, wait_events(fd, POLLIN | POLLOUT, 5000));
	EXPECT_EQ(0, take_error(fd));
	/* The first connect() after it tells the success, later ones that it is old. */
	EXPECT_EQ(0, connect_raw(fd, &sin, sizeof(sin)));
	EXPECT_EQ(EISCONN, connect_raw(fd, &sin, sizeof(sin)));
}

TEST_F(connection, closed_port_is_ECONNREFUSED)
{
	struct sockaddr_in sin = closed_port(&variant->combo);
	int fd = client_socket(&variant->combo, 0);

	EXPECT_EQ(ECONNREFUSED, connect_raw(fd, &sin, sizeof(sin)));
	EXPECT_EQ(0, take_error(fd));
}

TEST_F(connection, refused_is_told_by_poll_and_SO_ERROR_when_nonblocking)
{
	struct sockaddr_in sin = closed_port(&variant->combo);
	int fd = client_socket(&variant->combo, SOCK_NONBLOCK);

	EXPECT_EQ(EINPROGRESS, connect_raw(fd, &sin, sizeof(sin)));
	EXPECT_EQ(POLLIN | POLLOUT | POLLERR | POLLHUP, wait_events(fd, POLLIN | POLLOUT, 5000));
	EXPECT_EQ(ECONNREFUSED, take_error(fd));
	EXPECT_EQ(0, take_error(fd));
}

TEST_F(connection, refused_socket_can_connect_elsewhere)
{
	struct sockaddr_in sin = closed_port(&variant->combo);
	int listener = server_listen(&variant->combo, 1);
	int fd = client_socket(&variant->combo, 0);

	EXPECT_EQ(ECONNREFUSED, connect_raw(fd, &sin, sizeof(sin)));
	sin = local_address(listener);
	EXPECT_EQ(0, connect_raw(fd, &sin, sizeof(sin)));
}

TEST_F(connection, unspecified_family_disconnects_with_a_reset)
{
	struct pair p = make_pair(&variant->combo);
	struct sockaddr nothing = { .sa_family = AF_UNSPEC };
	struct sockaddr_in sin = local_address(p.listener);

	EXPECT_EQ(0, connect_raw(p.client, &nothing, sizeof(nothing)));
	EXPECT_EQ(ECONNRESET, recv_errno(p.server));
	EXPECT_EQ(ECONNRESET, recv_errno(p.client));
	EXPECT_EQ(ENOTCONN, recv_errno(p.client));
	EXPECT_EQ(0, connect_raw(p.client, &sin, sizeof(sin)));
	EXPECT_EQ(POLLIN, wait_events(p.listener, POLLIN, 5000));
}

TEST_F(connection, hundred_one_after_the_other)
{
	int listener = server_listen(&variant->combo, 4), client, server;
	char got[4];
	size_t i;

	for (i = 0; i < amount(100, 10); i++) {
		client = client_connect(&variant->combo, listener);
		server = accept(listener, NULL, NULL);
		ASSERT_LE(0, server);
		send_all(client, "ping", 4);
		recv_all(server, got, 4);
		close(i & 1 ? client : server);
		close(i & 1 ? server : client);
	}
}
