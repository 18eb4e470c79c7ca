// SPDX-License-Identifier: GPL-2.0
/*
 * socket, bind, listen, connect, accept, getsockname, shutdown, close: in each state of a socket,
 * right and wrong. The family under test answers as AF_INET does.
 */
#include <netinet/in.h>
#include <poll.h>
#include <sys/mman.h>

#include "lib/selftest.h"
#include "lib/trial.h"
#include "lib/wire.h"

FIXTURE(calls) {
	int unused;
};

FIXTURE_SETUP(calls)
{
	make_network(LOOPBACK);
	wire_open();
}

FIXTURE_TEARDOWN(calls)
{
}

/* A call on a socket in some state. */
struct call {
	const char *name;
	void (*make)(int fd);
};

struct call_in_state {
	const struct call *call;
	const char *state;
};

static void call_in(const void *arg)
{
	const struct call_in_state *c = arg;
	int fd;

	shows_signals();
	fd = socket_in(c->state);
	set_nonblocking(fd, true);
	c->call->make(fd);
	shows_poll(fd);
	shows_names(fd);
	did(take_error(fd));
}

static bool calls_alike(const struct call *calls, size_t count)
{
	const char *const *state;
	size_t i, different = 0, sequences = 0;
	char name[128];

	for (i = 0; i < count; i++) {
		for (state = trial_states; *state; state++, sequences++) {
			struct call_in_state arg = { &calls[i], *state };
			struct sequence s = { name, call_in, &arg };

			snprintf(name, sizeof(name), "%s.%s", calls[i].name, *state);
			different += !alike(&s);
		}
	}
	printf("# %zu sequences, %zu differ\n", sequences, different);
	return !different;
}

static struct sockaddr_in sin_of(const char *ip, int port, int family)
{
	struct sockaddr_in sin = address(ip, port);

	sin.sin_family = family;
	return sin;
}

#define BIND(fd, ip, port, family, len) ({ \
	struct sockaddr_in sin_ = sin_of(ip, port, family); \
	did(bind(fd, (struct sockaddr *)&sin_, len)); \
})
#define CONNECT(fd, ip, port, family, len) ({ \
	struct sockaddr_in sin_ = sin_of(ip, port, family); \
	did(connect(fd, (struct sockaddr *)&sin_, len)); \
})

static void bind_any(int fd)
{
	BIND(fd, "0.0.0.0", 0, AF_INET, 16);
	BIND(fd, "127.0.0.1", 0, AF_INET, 16);
}

static void bind_wrong_family(int fd)
{
	BIND(fd, "127.0.0.1", 0, AF_INET6, 16);
	BIND(fd, "127.0.0.1", 0, AF_UNIX, 16);
	BIND(fd, "127.0.0.1", 0, AF_UNSPEC, 16);
	BIND(fd, "0.0.0.0", 0, AF_UNSPEC, 16);
}

static void bind_wrong_length(int fd)
{
	BIND(fd, "127.0.0.1", 0, AF_INET, 0);
	BIND(fd, "127.0.0.1", 0, AF_INET, 1);
	BIND(fd, "127.0.0.1", 0, AF_INET, 2);
	BIND(fd, "127.0.0.1", 0, AF_INET, 15);
	BIND(fd, "127.0.0.1", 0, AF_INET, -1);
	BIND(fd, "127.0.0.1", 0, AF_INET, 129);
	BIND(fd, "127.0.0.1", 0, AF_INET, 128);
}

static void bind_wrong_address(int fd)
{
	BIND(fd, "192.0.2.1", 0, AF_INET, 16);
	BIND(fd, "224.0.0.1", 0, AF_INET, 16);
	BIND(fd, "255.255.255.255", 0, AF_INET, 16);
	BIND(fd, "127.255.255.255", 0, AF_INET, 16);
}

static void bind_bad_pointer(int fd)
{
	did(bind(fd, BAD_POINTER, 16));
	did(bind(fd, NULL, 16));
	did(bind(fd, NULL, 0));
}

static void listen_then_listen(int fd)
{
	did(listen(fd, 0));
	did(listen(fd, -1));
	did(listen(fd, INT32_MAX));
	did(listen(fd, 1));
}

static void connect_refused(int fd)
{
	/* Nobody listens on port 1. */
	CONNECT(fd, "127.0.0.1", 1, AF_INET, 16);
	CONNECT(fd, "127.0.0.1", 1, AF_INET, 16);
	shows_poll(fd);
	CONNECT(fd, "127.0.0.1", 1, AF_INET, 16);
}

static void connect_port_0(int fd)
{
	CONNECT(fd, "127.0.0.1", 0, AF_INET, 16);
	CONNECT(fd, "127.0.0.1", 0, AF_INET, 16);
}

static void connect_wrong_family(int fd)
{
	CONNECT(fd, "127.0.0.1", 1, AF_INET6, 16);
	CONNECT(fd, "127.0.0.1", 1, AF_UNIX, 16);
}

static void connect_wrong_length(int fd)
{
	CONNECT(fd, "127.0.0.1", 1, AF_INET, 0);
	CONNECT(fd, "127.0.0.1", 1, AF_INET, 1);
	CONNECT(fd, "127.0.0.1", 1, AF_INET, 2);
	CONNECT(fd, "127.0.0.1", 1, AF_INET, 15);
	CONNECT(fd, "127.0.0.1", 1, AF_INET, -1);
	CONNECT(fd, "127.0.0.1", 1, AF_INET, 129);
}

static void connect_unreachable(int fd)
{
	CONNECT(fd, "192.0.2.1", 1, AF_INET, 16);
	CONNECT(fd, "224.0.0.1", 1, AF_INET, 16);
	CONNECT(fd, "255.255.255.255", 1, AF_INET, 16);
}

static void connect_unspec(int fd)
{
	CONNECT(fd, "0.0.0.0", 0, AF_UNSPEC, 16);
	shows_names(fd);
	shows_poll(fd);
	CONNECT(fd, "0.0.0.0", 0, AF_UNSPEC, 2);
	CONNECT(fd, "0.0.0.0", 0, AF_UNSPEC, 1);
}

static void connect_unspec_then_connect(int fd)
{
	CONNECT(fd, "0.0.0.0", 0, AF_UNSPEC, 16);
	CONNECT(fd, "127.0.0.1", 1, AF_INET, 16);
	CONNECT(fd, "127.0.0.1", 1, AF_INET, 16);
}

static void connect_unspec_then_listen(int fd)
{
	CONNECT(fd, "0.0.0.0", 0, AF_UNSPEC, 16);
	did(listen(fd, 1));
}

static void connect_bad_pointer(int fd)
{
	did(connect(fd, BAD_POINTER, 16));
	did(connect(fd, NULL, 16));
	did(connect(fd, NULL, 0));
}

static void connect_to_itself(int fd)
{
	struct sockaddr_in sin = local_address(fd);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	did(connect(fd, (struct sockaddr *)&sin, sizeof(sin)));
	did(connect(fd, (struct sockaddr *)&sin, sizeof(sin)));
}

static void accept_nothing(int fd)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);

	did(accept(fd, NULL, NULL));
	did(accept(fd, (struct sockaddr *)&sin, &len));
	did(accept(fd, (struct sockaddr *)&sin, NULL));
	did(accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
	did(accept4(fd, NULL, NULL, 1));
}

static void names_wrong(int fd)
{
	struct sockaddr_in sin = {};
	socklen_t len = 3;

	did(getsockname(fd, (struct sockaddr *)&sin, &len));
	says("length %u", len);
	len = -1;
	did(getsockname(fd, (struct sockaddr *)&sin, &len));
	len = 16;
	did(getsockname(fd, NULL, &len));
	did(getsockname(fd, (struct sockaddr *)&sin, NULL));
	did(getsockname(fd, (struct sockaddr *)&sin, BAD_POINTER));
	len = 3;
	did(getpeername(fd, (struct sockaddr *)&sin, &len));
	says("length %u", len);
	len = 0;
	did(getpeername(fd, (struct sockaddr *)&sin, &len));
	len = 16;
	did(getpeername(fd, NULL, &len));
	did(getpeername(fd, (struct sockaddr *)&sin, NULL));
}

static void shutdown_read(int fd)
{
	char byte;

	did(shutdown(fd, SHUT_RD));
	shows_poll(fd);
	did(recv(fd, &byte, 1, 0));
	did(send(fd, "x", 1, 0));
	did(shutdown(fd, SHUT_RD));
}

static void shutdown_write(int fd)
{
	char byte;

	did(shutdown(fd, SHUT_WR));
	shows_poll(fd);
	did(recv(fd, &byte, 1, 0));
	did(send(fd, "x", 1, 0));
	did(shutdown(fd, SHUT_WR));
}

static void shutdown_both(int fd)
{
	char byte;

	did(shutdown(fd, SHUT_RDWR));
	shows_poll(fd);
	did(recv(fd, &byte, 1, 0));
	did(send(fd, "x", 1, 0));
	did(shutdown(fd, SHUT_RDWR));
}

static void shutdown_wrong(int fd)
{
	did(shutdown(fd, 3));
	did(shutdown(fd, -1));
}

static void shutdown_then_use(int fd)
{
	did(shutdown(fd, SHUT_RDWR));
	did(listen(fd, 1));
	CONNECT(fd, "127.0.0.1", 1, AF_INET, 16);
	CONNECT(fd, "127.0.0.1", 1, AF_INET, 16);
}

static void pair_and_mmap(int fd)
{
	did(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	did(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0));
}

static void fsync_and_seek(int fd)
{
	did(lseek(fd, 0, SEEK_CUR));
	did(fsync(fd));
	did(ftruncate(fd, 0));
	did(pread(fd, NULL, 0, 0));
}

#define CALL(name) { #name, name }

TEST_F_TIMEOUT(calls, bind_in_every_state, LIMIT)
{
	static const struct call calls[] = {
		CALL(bind_any), CALL(bind_wrong_family), CALL(bind_wrong_length),
		CALL(bind_wrong_address), CALL(bind_bad_pointer),
	};

	EXPECT_TRUE(calls_alike(calls, ARRAY_SIZE(calls)));
}

TEST_F_TIMEOUT(calls, listen_and_accept_in_every_state, LIMIT)
{
	static const struct call calls[] = {
		CALL(listen_then_listen), CALL(accept_nothing), CALL(names_wrong),
		CALL(pair_and_mmap), CALL(fsync_and_seek),
	};

	EXPECT_TRUE(calls_alike(calls, ARRAY_SIZE(calls)));
}

TEST_F_TIMEOUT(calls, connect_in_every_state, LIMIT)
{
	static const struct call calls[] = {
		CALL(connect_refused), CALL(connect_port_0), CALL(connect_wrong_family),
		CALL(connect_wrong_length), CALL(connect_unreachable), CALL(connect_bad_pointer),
		CALL(connect_to_itself),
	};

	EXPECT_TRUE(calls_alike(calls, ARRAY_SIZE(calls)));
}

TEST_F_TIMEOUT(calls, disconnect_in_every_state, LIMIT)
{
	static const struct call calls[] = {
		CALL(connect_unspec), CALL(connect_unspec_then_connect),
		CALL(connect_unspec_then_listen),
	};

	EXPECT_TRUE(calls_alike(calls, ARRAY_SIZE(calls)));
}

TEST_F_TIMEOUT(calls, shutdown_in_every_state, LIMIT)
{
	static const struct call calls[] = {
		CALL(shutdown_read), CALL(shutdown_write), CALL(shutdown_both),
		CALL(shutdown_wrong), CALL(shutdown_then_use),
	};

	EXPECT_TRUE(calls_alike(calls, ARRAY_SIZE(calls)));
}

/* Two sockets and a port: which of them may have it. */
struct sharing {
	int reuse1, reuseport1, reuse2, reuseport2;
	const char *ip1, *ip2;
	bool listen1;
};

static void share_port(const void *arg)
{
	const struct sharing *s = arg;
	int a = trial_socket(0), b = trial_socket(0), port;

	did(setsockopt(a, SOL_SOCKET, SO_REUSEADDR, &s->reuse1, 4));
	did(setsockopt(a, SOL_SOCKET, SO_REUSEPORT, &s->reuseport1, 4));
	did(setsockopt(b, SOL_SOCKET, SO_REUSEADDR, &s->reuse2, 4));
	did(setsockopt(b, SOL_SOCKET, SO_REUSEPORT, &s->reuseport2, 4));
	BIND(a, s->ip1, 0, AF_INET, 16);
	if (s->listen1)
		did(listen(a, 1));
	port = local_port(a);
	BIND(b, s->ip2, port, AF_INET, 16);
	did(listen(b, 1));
	if (!s->listen1)
		did(listen(a, 1));
	shows_names(a);
	shows_names(b);
	/* What a closed socket leaves. */
	close(a);
	a = trial_socket(0);
	BIND(a, s->ip1, port, AF_INET, 16);
	did(listen(b, 1));
}

TEST_F_TIMEOUT(calls, ports_shared_or_not, LIMIT)
{
	static const char *const ips[] = { "0.0.0.0", "127.0.0.1", "127.0.0.2" };
	size_t different = 0, sequences = 0;
	unsigned int bits, i, j;
	char name[128];

	for (bits = 0; bits < 32; bits++) {
		for (i = 0; i < ARRAY_SIZE(ips); i++) {
			for (j = 0; j < ARRAY_SIZE(ips); j++, sequences++) {
				struct sharing sharing = {
					!!(bits & 1), !!(bits & 2), !!(bits & 4), !!(bits & 8),
					ips[i], ips[j], !!(bits & 16),
				};
				struct sequence s = { name, share_port, &sharing };

				snprintf(name, sizeof(name), "share.%u.%s.%s", bits, ips[i],
					 ips[j]);
				different += !alike(&s);
			}
		}
	}
	printf("# %zu sequences, %zu differ\n", sequences, different);
	EXPECT_EQ(0, different);
}

static void sockets(const void *arg)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_RDM, 0, 11, -1, 0x100001 };
	static const int protocols[] = { 0, IPPROTO_TCP, IPPROTO_UDP, 99, 255, 256, 262, -1, 100000 };
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		for (j = 0; j < ARRAY_SIZE(protocols); j++) {
			long fd;

			/* An own number of MPTCP is not the family's. */
			if (protocols[j] == 262)
				continue;
			says("type %d protocol %d", types[i], protocols[j]);
			fd = did(socket(trial_family(), types[i], protocols[j]));
			if (fd >= 0)
				close(fd);
		}
	}
}

TEST_F_TIMEOUT(calls, socket_itself, LIMIT)
{
	static const struct sequence s[] = { { "socket", sockets, NULL } };

	EXPECT_TRUE(all_alike(s, ARRAY_SIZE(s)));
}
