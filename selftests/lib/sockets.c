// SPDX-License-Identifier: GPL-2.0
/* Sockets, and connections between the two ends of a test's network. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "env.h"
#include "sockets.h"

#include <linux/sock_diag.h>

int family_of(enum stack stack)
{
	return stack == OWN ? own_family() : AF_INET;
}

static int open_socket(int family, int type)
{
	int fd = socket(family, SOCK_STREAM | type, 0);

	if (fd < 0)
		die("socket(%d)", family);
	return fd;
}

int own_socket(int type)
{
	return open_socket(own_family(), type);
}

int server_socket(const struct combo *c, int type)
{
	int fd;

	if (c->path == VETH)
		enter_far();
	fd = open_socket(family_of(c->server), type);
	if (c->path == VETH)
		enter_near();
	return fd;
}

int client_socket(const struct combo *c, int type)
{
	return open_socket(family_of(c->client), type);
}

struct sockaddr_in address(const char *ip, uint16_t port)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = inet_addr(ip),
	};

	return sin;
}

struct sockaddr_in local_address(int fd)
{
	struct sockaddr_in sin = {};
	socklen_t len = sizeof(sin);

	if (getsockname(fd, (struct sockaddr *)&sin, &len))
		die("getsockname");
	return sin;
}

struct sockaddr_in peer_address(int fd)
{
	struct sockaddr_in sin = {};
	socklen_t len = sizeof(sin);

	if (getpeername(fd, (struct sockaddr *)&sin, &len))
		die("getpeername");
	return sin;
}

uint16_t local_port(int fd)
{
	return ntohs(local_address(fd).sin_port);
}

int bind_to(int fd, const char *ip, uint16_t port)
{
	struct sockaddr_in sin = address(ip, port);

	return bind(fd, (struct sockaddr *)&sin, sizeof(sin)) ? errno : 0;
}

int connect_to(int fd, const char *ip, uint16_t port)
{
	struct sockaddr_in sin = address(ip, port);

	return connect(fd, (struct sockaddr *)&sin, sizeof(sin)) ? errno : 0;
}

static void start_listening(int fd, const char *ip, int backlog)
{
	errno = bind_to(fd, ip, 0);
	if (errno)
		die("bind");
	if (listen(fd, backlog))
		die("listen");
}

int own_listen(const char *ip, int backlog)
{
	int fd = own_socket(0);

	start_listening(fd, ip, backlog);
	return fd;
}

int server_listen(const struct combo *c, int backlog)
{
	int fd = server_socket(c, 0);

	start_listening(fd, c->path == VETH ? FAR_ADDR : "127.0.0.1", backlog);
	return fd;
}

int client_connect(const struct combo *c, int listener)
{
	struct sockaddr_in sin = local_address(listener);
	int fd = client_socket(c, 0);

	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)))
		die("connect");
	return fd;
}

struct pair make_pair(const struct combo *c)
{
	struct pair p;

	p.listener = server_listen(c, 16);
	p.client = client_connect(c, p.listener);
	p.server = accept(p.listener, NULL, NULL);
	if (p.server < 0)
		die("accept");
	return p;
}

void close_pair(struct pair *p)
{
	close(p->client);
	close(p->server);
	close(p->listener);
}

void set_option(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)))
		die("setsockopt(%d, %d)", level, name);
}

int get_option(int fd, int level, int name)
{
	int value = -1;
	socklen_t len = sizeof(value);

	if (getsockopt(fd, level, name, &value, &len))
		die("getsockopt(%d, %d)", level, name);
	return value;
}

int take_error(int fd)
{
	return get_option(fd, SOL_SOCKET, SO_ERROR);
}

long memory_of(int fd, int what)
{
	unsigned int meminfo[SK_MEMINFO_VARS];
	socklen_t len = sizeof(meminfo);

	if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, meminfo, &len))
		die("SO_MEMINFO");
	return meminfo[what];
}

struct tcp_info info_of(int fd)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	if (getsockopt(fd, SOL_TCP, TCP_INFO, &info, &len))
		die("TCP_INFO");
	return info;
}

void set_nonblocking(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK))
		die("fcntl");
}

void set_timeout(int fd, int name, int ms)
{
	struct timeval t = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	if (setsockopt(fd, SOL_SOCKET, name, &t, sizeof(t)))
		die("setsockopt(timeout)");
}

short wait_events(int fd, short events, int ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	do
		n = poll(&p, 1, limit_ms(ms));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		die("poll");
	return p.revents;
}

void send_all(int fd, const void *data, size_t len)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = send(fd, (const char *)data + done, len - done, MSG_NOSIGNAL);
		if (n <= 0)
			die("send after %zu of %zu bytes", done, len);
		done += n;
	}
}

void recv_all(int fd, void *data, size_t len)
{
	size_t done = 0;
	ssize_t n;

	while (done < len) {
		n = recv(fd, (char *)data + done, len - done, 0);
		if (n == 0)
			errno = 0;
		if (n <= 0)
			die("recv after %zu of %zu bytes", done, len);
		done += n;
	}
}

/* Sends what the socket takes now. */
static size_t send_some(int fd)
{
	static const char block[65536];
	size_t done = 0;
	ssize_t n;

	while ((n = send(fd, block, sizeof(block), MSG_NOSIGNAL)) > 0)
		done += n;
	if (n == 0 || errno != EAGAIN)
		die("send after %zu bytes", done);
	return done;
}

size_t fill(int fd)
{
	size_t done, more;

	set_nonblocking(fd, true);
	done = send_some(fd);
	/*
	 * The peer goes on taking bytes until its own buffer is full, too; and what
	 * is left may be packed anew, so that it has room which poll() does not tell.
	 */
	do {
		wait_events(fd, POLLOUT, 50);
		more = send_some(fd);
		done += more;
	} while (more);
	return done;
}

size_t drain(int fd)
{
	static char block[65536];
	size_t done = 0;
	ssize_t n;

	for (;;) {
		n = recv(fd, block, sizeof(block), 0);
		if (n < 0)
			die("recv after %zu bytes", done);
		if (n == 0)
			return done;
		done += n;
	}
}

int recv_errno(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	if (n < 0)
		return errno;
	return n ? 0 : -1;
}

static FILE *open_table(int family)
{
	const char *path = family == AF_INET ? "/proc/net/tcp" : "/proc/net/oxtcp";
	FILE *file = fopen(path, "r");

	if (!file)
		die("open %s", path);
	return file;
}

int connections_in_state(int family, uint16_t local, int wanted)
{
	FILE *file = open_table(family);
	unsigned int lport, state;
	char line[512];
	int found = 0;

	while (fgets(line, sizeof(line), file))
		found += sscanf(line, " %*u: %*8X:%X %*8X:%*X %X", &lport, &state) == 2 &&
			 lport == local && state == wanted;
	fclose(file);
	return found;
}

int connection_state(int family, uint16_t local, uint16_t remote)
{
	FILE *file = open_table(family);
	unsigned int lport, rport, state;
	char line[512];
	int found = 0;

	while (!found && fgets(line, sizeof(line), file)) {
		if (sscanf(line, " %*u: %*8X:%X %*8X:%X %X", &lport, &rport, &state) == 3 &&
		    lport == local && rport == remote)
			found = state;
	}
	fclose(file);
	return found;
}

bool reaches_state(int family, uint16_t local, uint16_t remote, int state, int ms)
{
	return wait_until(connection_state(family, local, remote) == state, ms);
}
