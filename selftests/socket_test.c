// SPDX-License-Identifier: GPL-2.0
/* socket() itself, and what a socket answers before it is bound or connected. */
#include <poll.h>

#include "lib/selftest.h"

#include <linux/sockios.h>

OWN_FIXTURE(socket)

static int socket_errno(int type, int protocol)
{
	int fd = socket(own_family(), type, protocol);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

TEST_F(socket, stream_with_protocol_0_is_tcp)
{
	int fd = own_socket(0);

	EXPECT_EQ(SOCK_STREAM, get_option(fd, SOL_SOCKET, SO_TYPE));
	EXPECT_EQ(IPPROTO_TCP, get_option(fd, SOL_SOCKET, SO_PROTOCOL));
	EXPECT_EQ(own_family(), get_option(fd, SOL_SOCKET, SO_DOMAIN));
}

TEST_F(socket, stream_with_protocol_tcp)
{
	EXPECT_EQ(0, socket_errno(SOCK_STREAM, IPPROTO_TCP));
}

TEST_F(socket, stream_with_another_protocol_is_EPROTONOSUPPORT)
{
	EXPECT_EQ(EPROTONOSUPPORT, socket_errno(SOCK_STREAM, IPPROTO_UDP));
	EXPECT_EQ(EPROTONOSUPPORT, socket_errno(SOCK_STREAM, IPPROTO_ICMP));
	EXPECT_EQ(EPROTONOSUPPORT, socket_errno(SOCK_STREAM, 250));
}

TEST_F(socket, impossible_protocol_is_EINVAL)
{
	EXPECT_EQ(EINVAL, socket_errno(SOCK_STREAM, -1));
	EXPECT_EQ(EINVAL, socket_errno(SOCK_STREAM, 100000));
}

TEST_F(socket, other_type_is_ESOCKTNOSUPPORT)
{
	EXPECT_EQ(ESOCKTNOSUPPORT, socket_errno(SOCK_SEQPACKET, 0));
	EXPECT_EQ(ESOCKTNOSUPPORT, socket_errno(SOCK_RDM, 0));
	/* Types that AF_INET has, with other protocols than TCP. */
	if (!own_is_inet()) {
		EXPECT_EQ(ESOCKTNOSUPPORT, socket_errno(SOCK_DGRAM, 0));
		EXPECT_EQ(ESOCKTNOSUPPORT, socket_errno(SOCK_RAW, IPPROTO_TCP));
	}
}

TEST_F(socket, impossible_type_is_EINVAL)
{
	EXPECT_EQ(EINVAL, socket_errno(15, 0));
	EXPECT_EQ(EINVAL, socket_errno(SOCK_STREAM | 0x100000, 0));
}

TEST_F(socket, pair_is_EOPNOTSUPP)
{
	int fd[2];

	EXPECT_EQ(-1, socketpair(own_family(), SOCK_STREAM, 0, fd));
	EXPECT_EQ(EOPNOTSUPP, errno);
}

TEST_F(socket, nonblock_and_cloexec_flags)
{
	int plain = own_socket(0), both = own_socket(SOCK_NONBLOCK | SOCK_CLOEXEC);

	EXPECT_EQ(0, fcntl(plain, F_GETFL) & O_NONBLOCK);
	EXPECT_EQ(0, fcntl(plain, F_GETFD) & FD_CLOEXEC);
	EXPECT_EQ(O_NONBLOCK, fcntl(both, F_GETFL) & O_NONBLOCK);
	EXPECT_EQ(FD_CLOEXEC, fcntl(both, F_GETFD) & FD_CLOEXEC);
}

TEST_F(socket, unbound_name_is_all_zero)
{
	int fd = own_socket(0);
	struct sockaddr_in sin = local_address(fd);

	EXPECT_EQ(AF_INET, sin.sin_family);
	EXPECT_EQ(0, sin.sin_port);
	EXPECT_EQ(0, sin.sin_addr.s_addr);
}

TEST_F(socket, unconnected_peer_name_is_ENOTCONN)
{
	int fd = own_socket(0);
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	EXPECT_EQ(-1, getpeername(fd, (struct sockaddr *)&sin, &len));
	EXPECT_EQ(ENOTCONN, errno);
}

TEST_F(socket, unconnected_recv_is_ENOTCONN)
{
	EXPECT_EQ(ENOTCONN, recv_errno(own_socket(0)));
}

TEST_F(socket, unconnected_send_is_EPIPE)
{
	int fd = own_socket(0);

	EXPECT_EQ(-1, send(fd, "x", 1, MSG_NOSIGNAL));
	EXPECT_EQ(EPIPE, errno);
}

TEST_F(socket, unconnected_send_raises_SIGPIPE)
{
	int fd = own_socket(0);

	count_signal(SIGPIPE, 0);
	EXPECT_EQ(-1, write(fd, "x", 1));
	EXPECT_EQ(EPIPE, errno);
	EXPECT_EQ(1, signals_seen());
}

TEST_F(socket, unconnected_shutdown_is_ENOTCONN)
{
	int fd = own_socket(0);

	EXPECT_EQ(-1, shutdown(fd, SHUT_RDWR));
	EXPECT_EQ(ENOTCONN, errno);
}

TEST_F(socket, shutdown_of_unknown_direction_is_EINVAL)
{
	int fd = own_socket(0);

	EXPECT_EQ(-1, shutdown(fd, 3));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, shutdown(fd, -1));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(socket, unconnected_poll_is_writable_and_hung_up)
{
	EXPECT_EQ(POLLOUT | POLLHUP, wait_events(own_socket(0), POLLIN | POLLOUT, 0));
}

TEST_F(socket, unconnected_has_no_bytes_to_read_or_to_send)
{
	int fd = own_socket(0), n = -1;

	EXPECT_EQ(0, ioctl(fd, FIONREAD, &n));
	EXPECT_EQ(0, n);
	n = -1;
	EXPECT_EQ(0, ioctl(fd, SIOCOUTQ, &n));
	EXPECT_EQ(0, n);
}

TEST_F(socket, unknown_ioctl_is_ENOTTY)
{
	int fd = own_socket(0), n;

	EXPECT_EQ(-1, ioctl(fd, 0x4242, &n));
	EXPECT_EQ(ENOTTY, errno);
}

TEST_F(socket, ioctl_with_a_bad_pointer_is_EFAULT)
{
	EXPECT_EQ(-1, ioctl(own_socket(0), FIONREAD, (void *)8));
	EXPECT_EQ(EFAULT, errno);
}

TEST_F(socket, read_and_write_at_an_offset_are_ESPIPE)
{
	int fd = own_socket(0);
	char c = 0;

	EXPECT_EQ(-1, pread(fd, &c, 1, 1));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-1, lseek(fd, 0, SEEK_SET));
	EXPECT_EQ(ESPIPE, errno);
}

TEST_F(socket, thousand_opened_and_closed)
{
	size_t i;

	for (i = 0; i < amount(1000, 50); i++)
		close(own_socket(0));
}
