// SPDX-License-Identifier: GPL-2.0
/* Transactions, connections and streams, the families taking turns. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define PORT 20000
#define LARGE 65536
#define SMALL 1024

/* One row at work for one pair of families. */
struct work {
	const struct sides *sides;
	uint16_t port;
	int listener, client, server;
	unsigned int times;
	pid_t child;
};

struct row {
	const char *name;
	unsigned int times;	/* in a sample */
	double units;		/* each time */
	const char *unit;
	void (*open)(struct work *w);
	void (*run)(struct work *w, unsigned int times);
	bool leaves_time_wait;
	bool roads[3];
};

static char data[LARGE], sink[LARGE];

static void listening(struct work *w)
{
	w->listener = serve(w->sides, w->port, 64);
	w->client = -1;
	w->server = -1;
}

static void connected(struct work *w)
{
	listening(w);
	w->client = call(w->sides, w->port);
	w->server = answer(w->listener);
	no_delay(w->client);
	no_delay(w->server);
}

static bool in_child(struct work *w)
{
	w->child = fork();
	if (w->child < 0)
		die("fork");
	if (w->child)
		return false;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return true;
}

static void request_response(struct work *w, unsigned int times)
{
	while (times--) {
		write_all(w->client, data, 1);
		read_all(w->server, sink, 1);
		write_all(w->server, data, 1);
		read_all(w->client, sink, 1);
	}
}

static void connected_to_echo(struct work *w)
{
	connected(w);
	if (!in_child(w))
		return;
	for (;;) {
		read_all(w->server, sink, 1);
		write_all(w->server, sink, 1);
	}
}

static void request_response_processes(struct work *w, unsigned int times)
{
	while (times--) {
		write_all(w->client, data, 1);
		read_all(w->client, sink, 1);
	}
}

static void whole_connection(struct work *w, unsigned int times)
{
	int client, server;

	while (times--) {
		client = call(w->sides, w->port);
		server = answer(w->listener);
		write_all(client, data, 1);
		read_all(server, sink, 1);
		write_all(server, data, 1);
		read_all(client, sink, 1);
		close(client);
		close(server);
	}
}

static void reset_connection(struct work *w, unsigned int times)
{
	int client, server;

	while (times--) {
		client = call(w->sides, w->port);
		server = answer(w->listener);
		close_reset(client);
		close(server);
	}
}

static void take_completions(int fd)
{
	char control[128];
	struct msghdr m = { .msg_control = control, .msg_controllen = sizeof(control) };

	if (recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0 && errno != EAGAIN)
		die("completions");
}

/* Writes @piece and reads it at the other end, in one thread. */
static void through(struct work *w, size_t piece, int flags)
{
	size_t sent = 0, got = 0;
	ssize_t n, m;

	while (got < piece) {
		n = 0;
		if (sent < piece) {
			n = send(w->client, data, piece - sent, MSG_DONTWAIT | flags);
			if (n > 0)
				sent += n;
			else if (errno != EAGAIN && errno != ENOBUFS)
				die("send");
		}
		m = recv(w->server, sink, LARGE, MSG_DONTWAIT);
		if (m > 0)
			got += m;
		else if (!m || errno != EAGAIN)
			die("recv");
		if (flags & MSG_ZEROCOPY)
			take_completions(w->client);
		if (n <= 0 && m <= 0) {
			struct pollfd ends[] = {
				{ w->server, POLLIN, 0 },
				{ w->client, sent < piece ? POLLOUT : 0, 0 },
			};

			poll(ends, 2, -1);
		}
	}
}

static void stream_large(struct work *w, unsigned int times)
{
	while (times--)
		through(w, LARGE, 0);
}

static void stream_small(struct work *w, unsigned int times)
{
	while (times--)
		through(w, SMALL, 0);
}

static void connected_zerocopy(struct work *w)
{
	connected(w);
	set_int(w->client, SOL_SOCKET, SO_ZEROCOPY, 1);
}

static void stream_zerocopy(struct work *w, unsigned int times)
{
	while (times--)
		through(w, LARGE, MSG_ZEROCOPY);
}

/* The other process reads all, and says so when it has a sample's bytes. */
static void sinking(struct work *w, size_t piece)
{
	size_t left;
	ssize_t n;

	if (!in_child(w))
		return;
	for (;;) {
		for (left = piece * w->times; left; left -= n) {
			n = recv(w->server, sink, left < LARGE ? left : LARGE, 0);
			if (n <= 0)
				_exit(1);
		}
		write_all(w->server, data, 1);
	}
}

static void connected_to_sink_large(struct work *w)
{
	connected(w);
	sinking(w, LARGE);
}

static void connected_to_sink_small(struct work *w)
{
	connected(w);
	sinking(w, SMALL);
}

static void connected_to_sink_zerocopy(struct work *w)
{
	connected_zerocopy(w);
	sinking(w, LARGE);
}

static void stream_large_processes(struct work *w, unsigned int times)
{
	while (times--)
		write_all(w->client, data, LARGE);
	read_all(w->client, sink, 1);
}

static void stream_small_processes(struct work *w, unsigned int times)
{
	while (times--)
		write_all(w->client, data, SMALL);
	read_all(w->client, sink, 1);
}

static void stream_zerocopy_processes(struct work *w, unsigned int times)
{
	size_t left;
	ssize_t n;

	while (times--) {
		for (left = LARGE; left; left -= n) {
			n = send(w->client, data, left, MSG_ZEROCOPY);
			if (n < 0 && errno != ENOBUFS)
				die("send");
			if (n < 0)
				n = 0;
			take_completions(w->client);
		}
	}
	read_all(w->client, sink, 1);
}

static const struct row rows[] = {
	{ "request-response", 2000, 1, "transaction", connected, request_response,
	  .roads = { 1, 1, 1 } },
	{ "request-response-2p", 2000, 1, "transaction", connected_to_echo,
	  request_response_processes, .roads = { 1, 1, 1 } },
	{ "connect-request-close", 500, 1, "connection", listening, whole_connection,
	  .leaves_time_wait = true, .roads = { 1, 1, 1 } },
	{ "connect-reset", 500, 1, "connection", listening, reset_connection,
	  .roads = { 1, 1, 1 } },
	{ "stream-64k", 2048, LARGE / 1024, "KiB", connected, stream_large, .roads = { 1, 1, 0 } },
	{ "stream-1k", 4000, SMALL / 1024, "KiB", connected, stream_small, .roads = { 1, 1, 0 } },
	{ "stream-64k-zerocopy", 2048, LARGE / 1024, "KiB", connected_zerocopy, stream_zerocopy,
	  .roads = { 1, 1, 0 } },
	{ "stream-64k-2p", 2048, LARGE / 1024, "KiB", connected_to_sink_large,
	  stream_large_processes, .roads = { 1, 1, 1 } },
	{ "stream-1k-2p", 8000, SMALL / 1024, "KiB", connected_to_sink_small,
	  stream_small_processes, .roads = { 1, 1, 1 } },
	{ "stream-64k-zerocopy-2p", 2048, LARGE / 1024, "KiB", connected_to_sink_zerocopy,
	  stream_zerocopy_processes, .roads = { 0, 1, 1 } },
};

static const char *const road_names[] = { "lo", "veth", "nic" };

static void one_row(const struct row *r, enum road way, int rounds, int percent,
		    int from, int to)
{
	struct work work[SIDES_ALL] = {};
	unsigned int times = r->times * percent / 100;
	char name[64];
	int i, k;

	/* A wire that QEMU emulates takes its time. */
	if (way == ROAD_NIC)
		times = times / 8;
	if (!times)
		times = 1;
	snprintf(name, sizeof(name), "%s/%s", road_names[way], r->name);
	for (k = from; k < to; k++) {
		work[k].sides = &all_sides[k];
		work[k].port = PORT + (r - rows) * SIDES_ALL + k;
		work[k].times = times;
		r->open(&work[k]);
		r->run(&work[k], times);
	}
	for (i = 0; i < rounds; i++) {
		if (r->leaves_time_wait)
			settle(61);
		for (k = from; k < to; k++) {
			count_start();
			r->run(&work[k], times);
			count_stop();
			count_end(name, work[k].sides->name, times * r->units, r->unit);
		}
	}
	for (k = from; k < to; k++) {
		if (work[k].child)
			kill(work[k].child, SIGKILL);
		if (work[k].client >= 0) {
			close_reset(work[k].client);
			close(work[k].server);
		}
		close(work[k].listener);
	}
	if (r->leaves_time_wait)
		settle(61);
}

static bool chosen(const char *name, int argc, char **argv)
{
	int i;

	for (i = 0; i < argc; i++)
		if (!strcmp(name, argv[i]))
			return true;
	return !argc;
}

int main_rows(int argc, char **argv)
{
	int road, rounds, percent, from = 0, to = SIDES_PURE;
	size_t i;

	if (argc < 4)
		die("ROAD ROUNDS PERCENT SIDES");
	for (road = 0; road < ROAD_NIC && strcmp(argv[0], road_names[road]); road++)
		;
	rounds = atoi(argv[1]);
	percent = atoi(argv[2]);
	if (!strcmp(argv[3], "all"))
		to = SIDES_ALL;
	else if (!strcmp(argv[3], "inet"))
		from = 1;
	road_make(road);
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].roads[road] && chosen(rows[i].name, argc - 4, argv + 4))
			one_row(&rows[i], road, rounds, percent, from, to);
	return 0;
}
