// SPDX-License-Identifier: GPL-2.0
/*
 * sendmsg and recvmsg with all their flags, ioctl, splice, poll and epoll: right and wrong, in each
 * state of a socket. The family under test answers as AF_INET does.
 */
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>

#include "lib/selftest.h"
#include "lib/trial.h"
#include "lib/wire.h"

#include <linux/sockios.h>

FIXTURE(messages) {
	int unused;
};

FIXTURE_SETUP(messages)
{
	make_network(LOOPBACK);
	wire_open();
}

FIXTURE_TEARDOWN(messages)
{
}

struct use {
	const char *name;
	void (*make)(int fd);
};

struct use_in_state {
	const struct use *use;
	const char *state;
};

static void use_in(const void *arg)
{
	const struct use_in_state *u = arg;
	int fd;

	shows_signals();
	fd = socket_in(u->state);
	set_nonblocking(fd, true);
	u->use->make(fd);
	shows_poll(fd);
	did(take_error(fd));
	if (trial_peer >= 0 && fcntl(trial_peer, F_GETFD) >= 0)
		shows_poll(trial_peer);
}

static bool uses_alike(const struct use *uses, size_t count)
{
	const char *const *state;
	size_t i, different = 0, sequences = 0;
	char name[128];

	for (i = 0; i < count; i++) {
		for (state = trial_states; *state; state++, sequences++) {
			struct use_in_state arg = { &uses[i], *state };
			struct sequence s = { name, use_in, &arg };

			snprintf(name, sizeof(name), "%s.%s", uses[i].name, *state);
			different += !alike(&s);
		}
	}
	printf("# %zu sequences, %zu differ\n", sequences, different);
	return !different;
}

#define USE(name) { #name, name }

static void send_plain(int fd)
{
	did(send(fd, "abc", 3, 0));
	did(send(fd, "", 0, 0));
	did(send(fd, NULL, 0, 0));
	did(write(fd, "d", 1));
	did(send(fd, "x", 1, MSG_NOSIGNAL));
}

static void send_bad(int fd)
{
	struct iovec iov[2] = { { "ab", 2 }, { BAD_POINTER, 5 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	did(send(fd, BAD_POINTER, 10, 0));
	did(send(fd, NULL, 1, 0));
	did(sendmsg(fd, &msg, 0));
	did(sendmsg(fd, BAD_POINTER, 0));
	msg.msg_iovlen = 2000;
	did(sendmsg(fd, &msg, 0));
	msg.msg_iovlen = 0;
	did(sendmsg(fd, &msg, 0));
}

static void send_flags(int fd)
{
	static const int flags[] = {
		MSG_OOB, MSG_DONTROUTE, MSG_DONTWAIT, MSG_EOR, MSG_CONFIRM, MSG_MORE, 0,
		MSG_ZEROCOPY, MSG_PROXY, MSG_TRUNC, MSG_PEEK, MSG_ERRQUEUE, MSG_BATCH,
		MSG_CMSG_CLOEXEC, 0x10000000, INT32_MIN, 0x7fffffff & ~MSG_FASTOPEN,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		says("flags %#x", flags[i]);
		did(send(fd, "abc", 3, flags[i] | MSG_NOSIGNAL));
	}
}

static void send_to_address(int fd)
{
	struct sockaddr_in sin = address("127.0.0.1", 1);

	did(sendto(fd, "a", 1, MSG_NOSIGNAL, (struct sockaddr *)&sin, sizeof(sin)));
	did(sendto(fd, "a", 1, MSG_NOSIGNAL, (struct sockaddr *)&sin, 3));
	did(sendto(fd, "a", 1, MSG_NOSIGNAL, (struct sockaddr *)&sin, -1));
	did(sendto(fd, "a", 1, MSG_NOSIGNAL, BAD_POINTER, sizeof(sin)));
}

static void send_control(int fd)
{
	union {
		char bytes[128];
		struct cmsghdr head;
	} c = {};
	struct iovec iov = { "ab", 2 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c.bytes };
	static const int kinds[][2] = {
		{ SOL_SOCKET, SCM_RIGHTS }, { SOL_SOCKET, SO_MARK }, { SOL_SOCKET, SO_TIMESTAMPING },
		{ SOL_SOCKET, 61 }, { SOL_SOCKET, 82 }, { SOL_SOCKET, 1000 }, { SOL_IP, IP_TOS },
		{ SOL_IP, IP_TTL }, { SOL_IP, IP_PKTINFO }, { IPPROTO_TCP, 1 }, { 5000, 1 },
	};
	size_t i, len;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		for (len = 0; len <= 16; len += 4) {
			c.head.cmsg_level = kinds[i][0];
			c.head.cmsg_type = kinds[i][1];
			c.head.cmsg_len = CMSG_LEN(len);
			memset(CMSG_DATA(&c.head), 0, 32);
			msg.msg_controllen = CMSG_SPACE(len);
			says("control %d %d length %zu", kinds[i][0], kinds[i][1], len);
			did(sendmsg(fd, &msg, MSG_NOSIGNAL));
		}
	}
	c.head.cmsg_len = 3;
	did(sendmsg(fd, &msg, MSG_NOSIGNAL));
	c.head.cmsg_len = 1000;
	did(sendmsg(fd, &msg, MSG_NOSIGNAL));
	msg.msg_control = BAD_POINTER;
	did(sendmsg(fd, &msg, MSG_NOSIGNAL));
	msg.msg_controllen = INT32_MAX;
	did(sendmsg(fd, &msg, MSG_NOSIGNAL));
}

static void fast_open(int fd)
{
	struct sockaddr_in sin = address("127.0.0.1", 1);

	did(send(fd, "a", 1, MSG_FASTOPEN | MSG_NOSIGNAL));
	did(sendto(fd, "a", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&sin, 3));
	sin.sin_family = AF_UNIX;
	did(sendto(fd, "a", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&sin, sizeof(sin)));
}

static void recv_plain(int fd)
{
	char bytes[16] = "";

	did(recv(fd, bytes, 0, 0));
	did(recv(fd, bytes, sizeof(bytes), 0));
	did(recv(fd, bytes, sizeof(bytes), 0));
	did(read(fd, bytes, 0));
	did(read(fd, bytes, 1));
	shows_bytes("got", bytes, sizeof(bytes));
}

static void recv_bad(int fd)
{
	struct iovec iov[2] = { { BAD_POINTER, 5 }, { BAD_POINTER, 5 } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	did(recv(fd, BAD_POINTER, 10, 0));
	did(recvmsg(fd, &msg, 0));
	did(recvmsg(fd, BAD_POINTER, 0));
	msg.msg_iovlen = 5000;
	did(recvmsg(fd, &msg, 0));
}

static void recv_flags(int fd)
{
	static const int flags[] = {
		MSG_PEEK, MSG_WAITALL, MSG_TRUNC, MSG_PEEK | MSG_TRUNC, MSG_DONTWAIT, MSG_OOB,
		MSG_OOB | MSG_PEEK, MSG_ERRQUEUE, MSG_ERRQUEUE | MSG_PEEK, MSG_CMSG_CLOEXEC, MSG_EOR,
		MSG_MORE, 0x10000000,
	};
	char bytes[8];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		struct sockaddr_in sin = {};
		struct iovec iov = { bytes, 2 };
		struct msghdr msg = {
			.msg_iov = &iov, .msg_iovlen = 1, .msg_name = &sin, .msg_namelen = sizeof(sin),
		};

		says("flags %#x", flags[i]);
		memset(bytes, 0, sizeof(bytes));
		did(recvmsg(fd, &msg, flags[i]));
		says("flags %#x name %u control %zu", msg.msg_flags, msg.msg_namelen,
		     msg.msg_controllen);
		shows_bytes("got", bytes, sizeof(bytes));
	}
}

static void text_from_peer(int fd)
{
	if (trial_peer < 0 || fcntl(trial_peer, F_GETFD) < 0)
		return;
	did(send(trial_peer, "abcdefgh", 8, MSG_NOSIGNAL));
}

static void recv_text_with_flags(int fd)
{
	text_from_peer(fd);
	recv_flags(fd);
	recv_plain(fd);
}

static void recv_text_then_end(int fd)
{
	text_from_peer(fd);
	if (trial_peer >= 0)
		close(trial_peer);
	shows_poll(fd);
	recv_plain(fd);
	send_plain(fd);
}

static void recv_text_then_reset(int fd)
{
	struct linger hard = { .l_onoff = 1 };

	text_from_peer(fd);
	if (trial_peer >= 0) {
		setsockopt(trial_peer, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		close(trial_peer);
	}
	shows_poll(fd);
	recv_plain(fd);
	send_plain(fd);
	recv_plain(fd);
}

static void recv_end_then_reset(int fd)
{
	struct linger hard = { .l_onoff = 1 };

	text_from_peer(fd);
	if (trial_peer >= 0) {
		shutdown(trial_peer, SHUT_WR);
		setsockopt(trial_peer, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		close(trial_peer);
	}
	shows_poll(fd);
	recv_plain(fd);
	shows_poll(fd);
	did(recv(fd, NULL, 0, MSG_OOB));
	did(recv(fd, NULL, 1, MSG_PEEK));
	did(take_error(fd));
	recv_plain(fd);
}

static void recv_after_shutdown(int fd)
{
	text_from_peer(fd);
	did(shutdown(fd, SHUT_RD));
	shows_poll(fd);
	recv_plain(fd);
	text_from_peer(fd);
	shows_poll(fd);
	recv_plain(fd);
}

static void peeks(int fd)
{
	int offset = 2, lowat = 3;
	char bytes[16] = "";

	text_from_peer(fd);
	did(setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset)));
	did(recv(fd, bytes, 2, MSG_PEEK));
	shows_bytes("peeked", bytes, sizeof(bytes));
	did(get_option(fd, SOL_SOCKET, SO_PEEK_OFF));
	did(recv(fd, bytes, 9, MSG_PEEK));
	shows_bytes("peeked", bytes, sizeof(bytes));
	did(recv(fd, bytes, 2, MSG_PEEK));
	did(recv(fd, bytes, 3, 0));
	shows_bytes("read", bytes, sizeof(bytes));
	did(get_option(fd, SOL_SOCKET, SO_PEEK_OFF));
	offset = -1;
	did(setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset)));
	did(recv(fd, bytes, 2, MSG_PEEK));
	shows_bytes("peeked", bytes, sizeof(bytes));
	did(setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof(lowat)));
	did(recv(fd, bytes, 3, 0));
	shows_poll(fd);
	did(recv(fd, bytes, 3, 0));
	shows_bytes("read", bytes, sizeof(bytes));
}

static void urgent(int fd)
{
	char bytes[16] = "";
	int mark = -1;

	if (trial_peer >= 0) {
		did(send(trial_peer, "abc", 3, MSG_OOB | MSG_NOSIGNAL));
		did(send(trial_peer, "de", 2, MSG_NOSIGNAL));
	}
	shows_poll(fd);
	did(recv(fd, bytes, 9, MSG_OOB | MSG_PEEK));
	did(ioctl(fd, SIOCATMARK, &mark));
	says("mark %d", mark);
	did(recv(fd, bytes, 9, 0));
	shows_bytes("read", bytes, sizeof(bytes));
	did(ioctl(fd, SIOCATMARK, &mark));
	says("mark %d", mark);
	did(recv(fd, bytes, 9, MSG_OOB));
	shows_bytes("read", bytes, sizeof(bytes));
	shows_poll(fd);
	did(recv(fd, bytes, 9, MSG_OOB));
	did(recv(fd, bytes, 9, 0));
	shows_bytes("read", bytes, sizeof(bytes));
}

static void ioctls(int fd)
{
	static const unsigned int requests[] = {
		FIONREAD, TIOCOUTQ, SIOCOUTQNSD, SIOCATMARK, SIOCGSTAMP, SIOCGSTAMPNS, FIOGETOWN,
		SIOCGPGRP, SIOCGIFCONF, SIOCGIFNAME, SIOCADDRT, SIOCDARP, 0, 0x12345678, TCGETS,
	};
	size_t i;

	text_from_peer(fd);
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		int value[32] = { -1 };

		says("request %#x", requests[i]);
		did(ioctl(fd, requests[i], value));
		says("value %d", value[0]);
		did(ioctl(fd, requests[i], BAD_POINTER));
	}
	/* The time of a segment differs. */
}

static void splices(int fd)
{
	char bytes[16] = "";
	int p[2], file;

	if (pipe2(p, O_NONBLOCK))
		die("pipe");
	text_from_peer(fd);
	did(splice(fd, NULL, p[1], NULL, 3, SPLICE_F_NONBLOCK));
	did(splice(fd, NULL, p[1], NULL, 100, SPLICE_F_NONBLOCK));
	did(read(p[0], bytes, sizeof(bytes)));
	shows_bytes("through the pipe", bytes, sizeof(bytes));
	did(write(p[1], "xyz", 3));
	did(splice(p[0], NULL, fd, NULL, 3, SPLICE_F_NONBLOCK | SPLICE_F_MORE));
	did(tee(fd, p[1], 3, 0));
	file = open("/proc/self/exe", O_RDONLY);
	did(sendfile(fd, file, NULL, 4000));
	did(sendfile(fd, fd, NULL, 10));
	did(splice(fd, NULL, p[1], NULL, 0, 0));
}

static void epolls(int fd)
{
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET };
	int ep = epoll_create1(0), i;

	did(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
	for (i = 0; i < 4; i++) {
		e.events = 0;
		did(epoll_wait(ep, &e, 1, 0));
		says("events %#x", e.events);
		if (i == 1)
			text_from_peer(fd);
		if (i == 2 && trial_peer >= 0)
			shutdown(trial_peer, SHUT_WR);
	}
	e.events = EPOLLIN | EPOLLEXCLUSIVE;
	did(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &e));
	did(epoll_ctl(ep, EPOLL_CTL_DEL, fd, &e));
	did(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e));
	did(epoll_wait(ep, &e, 1, 0));
	says("events %#x", e.events);
}

static void signals(int fd)
{
	did(fcntl(fd, F_SETOWN, getpid()));
	did(fcntl(fd, F_GETOWN) == getpid());
	did(fcntl(fd, F_SETSIG, SIGUSR1));
	did(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC));
	text_from_peer(fd);
	if (trial_peer >= 0) {
		did(send(trial_peer, "u", 1, MSG_OOB | MSG_NOSIGNAL));
		did(shutdown(trial_peer, SHUT_WR));
	}
}

static void fills(int fd)
{
	static char block[1 << 16];
	int lowat = 20000, unsent = -1, size = 30000;

	did(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)));
	did(setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat)));
	while (send(fd, block, sizeof(block), MSG_NOSIGNAL) > 0)
		;
	says("in the end %s", error_name(errno));
	ioctl(fd, SIOCOUTQNSD, &unsent);
	says("unsent: %d", unsent > lowat + 65536);
}

TEST_F_TIMEOUT(messages, sent_in_every_state, LIMIT)
{
	static const struct use uses[] = {
		USE(send_plain), USE(send_bad), USE(send_flags), USE(send_to_address),
		USE(send_control), USE(fast_open), USE(fills),
	};

	EXPECT_TRUE(uses_alike(uses, ARRAY_SIZE(uses)));
}

TEST_F_TIMEOUT(messages, received_in_every_state, LIMIT)
{
	static const struct use uses[] = {
		USE(recv_plain), USE(recv_bad), USE(recv_flags), USE(recv_text_with_flags),
		USE(recv_text_then_end), USE(recv_text_then_reset), USE(recv_end_then_reset),
		USE(recv_after_shutdown), USE(peeks), USE(urgent),
	};

	EXPECT_TRUE(uses_alike(uses, ARRAY_SIZE(uses)));
}

TEST_F_TIMEOUT(messages, other_ways_in_every_state, LIMIT)
{
	static const struct use uses[] = {
		USE(ioctls), USE(splices), USE(epolls), USE(signals),
	};

	EXPECT_TRUE(uses_alike(uses, ARRAY_SIZE(uses)));
}
