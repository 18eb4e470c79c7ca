// SPDX-License-Identifier: GPL-2.0
/* setsockopt() and getsockopt(). */
#include "lib/selftest.h"

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
	EXPECT_EQ(0, setsockopt(listener, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));

	client = own_socket(0);
	EXPECT_EQ(0, connect_to(client, "127.0.0.1", local_port(listener)));
	fd = accept(listener, NULL, NULL);
	ASSERT_LE(0, fd);
	EXPECT_EQ(1, get_option(fd, SOL_SOCKET, SO_KEEPALIVE));
	EXPECT_EQ(1, get_option(fd, IPPROTO_TCP, TCP_NODELAY));
	EXPECT_EQ(60000, get_option(fd, SOL_SOCKET, SO_SNDBUF));
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
