// SPDX-License-Identifier: GPL-2.0
/* setsockopt() and getsockopt(). */
#include <poll.h>

#include "lib/selftest.h"

#include <linux/sockios.h>

/* Newer than the C library: linux/in.h. */
#ifndef IP_LOCAL_PORT_RANGE
#define IP_LOCAL_PORT_RANGE 51
#endif

OWN_FIXTURE(option)

TEST_F(option, booleans_read_back_as_set)
{
	static const struct {
		int level, name;
	} options[] = {
		{ SOL_SOCKET, SO_REUSEADDR },
		{ SOL_SOCKET, SO_KEEPALIVE },
		{ IPPROTO_TCP, TCP_NODELAY },
	};
	int fd = own_socket(0);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(options); i++) {
		EXPECT_EQ(0, get_option(fd, options[i].level, options[i].name));
		set_option(fd, options[i].level, options[i].name, 7);
		EXPECT_EQ(1, get_option(fd, options[i].level, options[i].name));
		set_option(fd, options[i].level, options[i].name, 0);
		EXPECT_EQ(0, get_option(fd, options[i].level, options[i].name));
	}
}

TEST_F(option, buffer_sizes_are_doubled_and_have_a_floor)
{
	int fd = own_socket(0);

	set_option(fd, SOL_SOCKET, SO_RCVBUF, 50000);
	EXPECT_EQ(100000, get_option(fd, SOL_SOCKET, SO_RCVBUF));
	set_option(fd, SOL_SOCKET, SO_SNDBUF, 60000);
	EXPECT_EQ(120000, get_option(fd, SOL_SOCKET, SO_SNDBUF));
	set_option(fd, SOL_SOCKET, SO_RCVBUF, 1);
	EXPECT_LT(2000, get_option(fd, SOL_SOCKET, SO_RCVBUF));
	set_option(fd, SOL_SOCKET, SO_SNDBUF, 1);
	EXPECT_LT(4000, get_option(fd, SOL_SOCKET, SO_SNDBUF));
}

TEST_F(option, initial_buffer_sizes_follow_tcp_rmem_and_tcp_wmem)
{
	int fd;

	set_sysctl("net/ipv4/tcp_rmem", "4096 77777 1000000");
	set_sysctl("net/ipv4/tcp_wmem", "4096 55555 1000000");
	fd = own_socket(0);
	EXPECT_EQ(77777, get_option(fd, SOL_SOCKET, SO_RCVBUF));
	EXPECT_EQ(55555, get_option(fd, SOL_SOCKET, SO_SNDBUF));
}

TEST_F(option, linger_reads_back_as_set)
{
	struct linger set = { .l_onoff = 1, .l_linger = 17 }, got = {};
	socklen_t len = sizeof(got);
	int fd = own_socket(0);

	EXPECT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_LINGER, &set, sizeof(set)));
	EXPECT_EQ(0, getsockopt(fd, SOL_SOCKET, SO_LINGER, &got, &len));
	EXPECT_EQ(1, got.l_onoff);
	EXPECT_EQ(17, got.l_linger);
}

TEST_F(option, acceptconn_tells_a_listener)
{
	EXPECT_EQ(0, get_option(own_socket(0), SOL_SOCKET, SO_ACCEPTCONN));
	EXPECT_EQ(1, get_option(own_listen("127.0.0.1", 1), SOL_SOCKET, SO_ACCEPTCONN));
}

TEST_F(option, unknown_option_is_ENOPROTOOPT)
{
	int fd = own_socket(0), v = 1;
	socklen_t len = sizeof(v);

	EXPECT_EQ(-1, setsockopt(fd, SOL_SOCKET, 9999, &v, sizeof(v)));
	EXPECT_EQ(ENOPROTOOPT, errno);
	EXPECT_EQ(-1, setsockopt(fd, IPPROTO_TCP, 9999, &v, sizeof(v)));
	EXPECT_EQ(ENOPROTOOPT, errno);
	EXPECT_EQ(-1, getsockopt(fd, IPPROTO_TCP, 9999, &v, &len));
	EXPECT_EQ(ENOPROTOOPT, errno);
}

TEST_F(option, unknown_level_is_ENOPROTOOPT)
{
	int fd = own_socket(0), v = 1;

	EXPECT_EQ(-1, setsockopt(fd, 12345, 1, &v, sizeof(v)));
	EXPECT_EQ(ENOPROTOOPT, errno);
}

TEST_F(option, short_value_is_EINVAL)
{
	int fd = own_socket(0);
	char v = 1;

	EXPECT_EQ(-1, setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &v, sizeof(v)));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &v, sizeof(v)));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(option, bad_pointer_is_EFAULT)
{
	int fd = own_socket(0);
	socklen_t len = sizeof(int);

	EXPECT_EQ(-1, setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, (void *)8, sizeof(int)));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, (void *)8, sizeof(int)));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, (void *)8, &len));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F(option, short_buffer_of_getsockopt_is_filled_and_its_length_returned)
{
	int fd = own_socket(0);
	char v[4] = { 'a', 'b', 'c', 'd' };
	socklen_t len = 2;

	set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	EXPECT_EQ(0, getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, v, &len));
	EXPECT_EQ(2, len);
	EXPECT_EQ(1, v[0]);
	EXPECT_EQ('c', v[2]);
}

TEST_F(option, negative_length_of_getsockopt_is_EINVAL)
{
	int fd = own_socket(0), v;
	socklen_t len = -1;

	EXPECT_EQ(-1, getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &v, &len));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(option, error_is_0_and_cannot_be_set)
{
	int fd = own_socket(0), v = 1;

	EXPECT_EQ(0, take_error(fd));
	EXPECT_EQ(-1, setsockopt(fd, SOL_SOCKET, SO_ERROR, &v, sizeof(v)));
	EXPECT_EQ(ENOPROTOOPT, errno);
}

TEST_F(option, accepted_socket_inherits_from_the_listener)
{
	struct linger linger = { .l_onoff = 1, .l_linger = 3 };
	socklen_t len = sizeof(linger);
	int listener, client, fd;

	listener = own_listen("127.0.0.1", 1);
	set_option(listener, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_option(listener, IPPROTO_TCP, TCP_NODELAY, 1);
	set_option(listener, SOL_SOCKET, SO_SNDBUF, 30000);
	set_option(listener, SOL_SOCKET, SO_LOCK_FILTER, 1);
	set_option(listener, SOL_SOCKET, SO_PRIORITY, 5);
	EXPECT_EQ(0, setsockopt(listener, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));

	client = own_socket(0);
	EXPECT_EQ(0, connect_to(client, "127.0.0.1", local_port(listener)));
	fd = accept(listener, NULL, NULL);
	ASSERT_LE(0, fd);
	EXPECT_EQ(1, get_option(fd, SOL_SOCKET, SO_KEEPALIVE));
	EXPECT_EQ(1, get_option(fd, IPPROTO_TCP, TCP_NODELAY));
	EXPECT_EQ(60000, get_option(fd, SOL_SOCKET, SO_SNDBUF));
	EXPECT_EQ(1, get_option(fd, SOL_SOCKET, SO_LOCK_FILTER));
	/* As sk_clone() has it. */
	EXPECT_EQ(0, get_option(fd, SOL_SOCKET, SO_PRIORITY));
	linger.l_linger = 0;
	EXPECT_EQ(0, getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len));
	EXPECT_EQ(3, linger.l_linger);
}

TEST_F(option, listener_and_accepted_socket_are_set_apart)
{
	int listener = own_listen("127.0.0.1", 1), client = own_socket(0), fd;

	EXPECT_EQ(0, connect_to(client, "127.0.0.1", local_port(listener)));
	fd = accept(listener, NULL, NULL);
	ASSERT_LE(0, fd);
	set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	EXPECT_EQ(0, get_option(listener, SOL_SOCKET, SO_KEEPALIVE));
	set_option(listener, IPPROTO_TCP, TCP_NODELAY, 1);
	EXPECT_EQ(0, get_option(fd, IPPROTO_TCP, TCP_NODELAY));
}

static const char *congestion(int fd)
{
	static char name[17];
	socklen_t len = 16;

	if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len))
		return "none";
	name[len] = '\0';
	return name;
}

static int set_congestion(int fd, const char *name)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, strlen(name)) ? errno : 0;
}

TEST_F(option, congestion_control_reads_back_as_set)
{
	static const char *const names[] = { "bbr", "reno", "cubic" };
	int fd = own_socket(0);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		EXPECT_EQ(0, set_congestion(fd, names[i]));
		EXPECT_STREQ(names[i], congestion(fd));
	}
}

TEST_F(option, congestion_control_follows_tcp_congestion_control)
{
	set_sysctl("net/ipv4/tcp_congestion_control", "reno");
	EXPECT_STREQ("reno", congestion(own_socket(0)));
	set_sysctl("net/ipv4/tcp_congestion_control", "bbr");
	EXPECT_STREQ("bbr", congestion(own_socket(0)));
	set_sysctl("net/ipv4/tcp_congestion_control", "cubic");
	EXPECT_STREQ("cubic", congestion(own_socket(0)));
}

TEST_F(option, an_accepted_socket_has_the_congestion_control_of_its_own_time)
{
	const struct combo own = { LOOPBACK, OWN, OWN };
	int listener, client;

	set_sysctl("net/ipv4/tcp_congestion_control", "reno");
	listener = own_listen("127.0.0.1", 1);
	set_sysctl("net/ipv4/tcp_congestion_control", "bbr");
	client = client_connect(&own, listener);
	EXPECT_STREQ("bbr", congestion(accept(listener, NULL, NULL)));
	close(client);
	EXPECT_EQ(0, set_congestion(listener, "cubic"));
	client = client_connect(&own, listener);
	EXPECT_STREQ("cubic", congestion(accept(listener, NULL, NULL)));
	close(client);
}

TEST_F(option, congestion_control_that_there_is_not_is_ENOENT)
{
	int fd = own_socket(0);

	EXPECT_EQ(0, set_congestion(fd, "reno"));
	EXPECT_EQ(ENOENT, set_congestion(fd, "nonesuch"));
	EXPECT_EQ(ENOENT, set_congestion(fd, "cubicle"));
	EXPECT_EQ(ENOENT, set_congestion(fd, "cub"));
	EXPECT_EQ(ENOENT, set_congestion(fd, "a name that is far too long"));
	EXPECT_STREQ("reno", congestion(fd));
}

TEST_F(option, congestion_control_without_a_name_is_EINVAL)
{
	int fd = own_socket(0);

	EXPECT_EQ(-1, setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "", 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, (void *)8, 5));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F(option, congestion_controls_name_is_cut_to_the_room)
{
	char name[4] = "????";
	socklen_t len = 2;
	int fd = own_socket(0);

	EXPECT_EQ(0, set_congestion(fd, "reno"));
	EXPECT_EQ(0, getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len));
	EXPECT_EQ(2, len);
	EXPECT_EQ(0, memcmp(name, "re??", 4));
}

TEST_F(option, congestion_control_is_inherited_and_changes_while_text_flows)
{
	static const char *const names[] = { "bbr", "cubic", "reno", "bbr" };
	int listener = own_listen("127.0.0.1", 1), client = own_socket(0), fd;
	char text[1000] = {};
	size_t i, n;

	EXPECT_EQ(0, set_congestion(listener, "reno"));
	EXPECT_EQ(0, connect_to(client, "127.0.0.1", local_port(listener)));
	fd = accept(listener, NULL, NULL);
	ASSERT_LE(0, fd);
	EXPECT_STREQ("reno", congestion(fd));
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		EXPECT_EQ(0, set_congestion(fd, names[i]));
		EXPECT_STREQ(names[i], congestion(fd));
		for (n = 0; n < 20; n++) {
			EXPECT_EQ((ssize_t)sizeof(text), send(fd, text, sizeof(text), 0));
			EXPECT_EQ((ssize_t)sizeof(text),
				  recv(client, text, sizeof(text), MSG_WAITALL));
		}
	}
	EXPECT_STREQ("reno", congestion(listener));
}

/* A connection to @listener; the accepted socket. */
static int accepted_from(int listener)
{
	int client = own_socket(0), fd;

	if (connect_to(client, "127.0.0.1", local_port(listener)))
		die("connect");
	fd = accept(listener, NULL, NULL);
	if (fd < 0)
		die("accept");
	return fd;
}

TEST_F(option, saved_syn_has_the_headers_of_the_syn_once)
{
	int listener = own_listen("127.0.0.1", 1), fd;
	unsigned char syn[100] = {};
	socklen_t len = 10;

	set_option(listener, IPPROTO_TCP, TCP_SAVE_SYN, 1);
	fd = accepted_from(listener);
	EXPECT_EQ(-1, getsockopt(fd, IPPROTO_TCP, TCP_SAVED_SYN, syn, &len));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(60, len);
	len = sizeof(syn);
	EXPECT_EQ(0, getsockopt(fd, IPPROTO_TCP, TCP_SAVED_SYN, syn, &len));
	EXPECT_EQ(60, len);
	EXPECT_EQ(0x45, syn[0]);
	EXPECT_EQ(IPPROTO_TCP, syn[9]);
	EXPECT_EQ(local_port(listener), syn[22] << 8 | syn[23]);
	EXPECT_EQ(0x02, syn[33] & 0x3f);
	len = sizeof(syn);
	EXPECT_EQ(0, getsockopt(fd, IPPROTO_TCP, TCP_SAVED_SYN, syn, &len));
	EXPECT_EQ(0, len);
}

TEST_F(option, saved_syn_from_the_link_header_on)
{
	int listener = own_listen("127.0.0.1", 1);
	unsigned char syn[100] = {};
	socklen_t len = sizeof(syn);

	set_option(listener, IPPROTO_TCP, TCP_SAVE_SYN, 2);
	EXPECT_EQ(0, getsockopt(accepted_from(listener), IPPROTO_TCP, TCP_SAVED_SYN, syn, &len));
	EXPECT_EQ(74, len);
	EXPECT_EQ(0x08, syn[12]);
	EXPECT_EQ(0x45, syn[14]);
}

TEST_F(option, nothing_is_saved_of_a_syn_unless_asked_for)
{
	unsigned char syn[100];
	socklen_t len = sizeof(syn);
	int fd = accepted_from(own_listen("127.0.0.1", 1));

	EXPECT_EQ(0, getsockopt(fd, IPPROTO_TCP, TCP_SAVED_SYN, syn, &len));
	EXPECT_EQ(0, len);
}

/* The window that the peer of @fd offers it: tcpi_snd_wnd, newer than the C library. */
static unsigned int offered_window(int fd)
{
	unsigned char info[512] = {};
	socklen_t len = sizeof(info);
	unsigned int window;

	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &len))
		die("TCP_INFO");
	memcpy(&window, info + 228, sizeof(window));
	return window;
}

TEST_F(option, window_clamp_bounds_the_window)
{
	int listener = own_listen("127.0.0.1", 1), client = own_socket(0), fd;
	char text[1000] = {};
	int i;

	set_option(listener, IPPROTO_TCP, TCP_WINDOW_CLAMP, 8000);
	EXPECT_EQ(0, connect_to(client, "127.0.0.1", local_port(listener)));
	fd = accept(listener, NULL, NULL);
	ASSERT_LE(0, fd);
	EXPECT_EQ(8000, get_option(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP));
	for (i = 0; i < 20; i++) {
		send_all(client, text, sizeof(text));
		recv_all(fd, text, sizeof(text));
		EXPECT_LT(1000, offered_window(client));
		/* Rounded up to the unit of the window's scale. */
		EXPECT_GE(8000 + 127, offered_window(client));
	}
}

TEST_F(option, a_larger_buffer_opens_the_window_of_a_connection)
{
	int listener = own_listen("127.0.0.1", 1), client = own_socket(0), fd;
	char text[1000] = {};
	int i;

	set_option(listener, SOL_SOCKET, SO_RCVBUF, 8000);
	EXPECT_EQ(0, connect_to(client, "127.0.0.1", local_port(listener)));
	fd = accept(listener, NULL, NULL);
	ASSERT_LE(0, fd);
	set_option(fd, SOL_SOCKET, SO_RCVBUF, 40000);
	for (i = 0; i < 40; i++) {
		send_all(client, text, sizeof(text));
		recv_all(fd, text, sizeof(text));
	}
	EXPECT_LT(16000, offered_window(client));
}

TEST_F(option, notsent_lowat_bounds_what_waits_to_be_sent)
{
	const struct combo own = { LOOPBACK, OWN, OWN };
	struct pair p = make_pair(&own);
	int unsent = -1;

	set_option(p.client, SOL_SOCKET, SO_SNDBUF, 1 << 20);
	set_option(p.server, SOL_SOCKET, SO_RCVBUF, 4000);
	set_option(p.client, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 10000);
	fill(p.client);
	EXPECT_EQ(0, ioctl(p.client, SIOCOUTQNSD, &unsent));
	EXPECT_LE(10000, unsent);
	EXPECT_GT(10000 + 70000, unsent);
	EXPECT_EQ(0, wait_events(p.client, POLLOUT, 0));
	/* Writable again when half of it is left, and not before. */
	set_nonblocking(p.server, true);
	EXPECT_TRUE(wait_until(({
		char block[4096];

		while (recv(p.server, block, sizeof(block), 0) > 0)
			;
		wait_events(p.client, POLLOUT, 0) == POLLOUT;
	}), 5000));
	EXPECT_EQ(0, ioctl(p.client, SIOCOUTQNSD, &unsent));
	EXPECT_GT(5000, unsent);
}

TEST_F(option, bind_address_no_port_leaves_the_port_to_connect)
{
	int listener = own_listen("127.0.0.1", 1), fd = own_socket(0);

	set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	EXPECT_EQ(0, bind_to(fd, "127.0.0.9", 0));
	EXPECT_EQ(0, local_port(fd));
	EXPECT_EQ(0, connect_to(fd, "127.0.0.1", local_port(listener)));
	EXPECT_EQ(inet_addr("127.0.0.9"), local_address(fd).sin_addr.s_addr);
	EXPECT_NE(0, local_port(fd));
}

TEST_F(option, local_port_range_is_where_ports_are_chosen)
{
	int listener = own_listen("127.0.0.1", 8), fd, i;

	for (i = 0; i < 4; i++) {
		fd = own_socket(0);
		set_option(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, 45003 << 16 | 45000);
		if (i & 1)
			EXPECT_EQ(0, bind_to(fd, "127.0.0.1", 0));
		EXPECT_EQ(0, connect_to(fd, "127.0.0.1", local_port(listener)));
		EXPECT_LE(45000, local_port(fd));
		EXPECT_GE(45003, local_port(fd));
	}
	fd = own_socket(0);
	set_option(fd, IPPROTO_IP, IP_LOCAL_PORT_RANGE, 45003 << 16 | 45000);
	EXPECT_EQ(EADDRINUSE, bind_to(fd, "127.0.0.1", 0));
}

TEST_F(option, peek_off_moves_with_what_is_peeked_at_and_read)
{
	const struct combo own = { LOOPBACK, OWN, OWN };
	struct pair p = make_pair(&own);
	char c[4] = "";

	send_all(p.client, "abcdef", 6);
	EXPECT_EQ(POLLIN, wait_events(p.server, POLLIN, 1000));
	set_option(p.server, SOL_SOCKET, SO_PEEK_OFF, 1);
	EXPECT_EQ(2, recv(p.server, c, 2, MSG_PEEK));
	EXPECT_EQ(0, memcmp(c, "bc", 2));
	EXPECT_EQ(2, recv(p.server, c, 2, MSG_PEEK));
	EXPECT_EQ(0, memcmp(c, "de", 2));
	EXPECT_EQ(2, recv(p.server, c, 2, 0));
	EXPECT_EQ(0, memcmp(c, "ab", 2));
	EXPECT_EQ(3, get_option(p.server, SOL_SOCKET, SO_PEEK_OFF));
	EXPECT_EQ(1, recv(p.server, c, 2, MSG_PEEK));
	EXPECT_EQ('f', c[0]);
}
