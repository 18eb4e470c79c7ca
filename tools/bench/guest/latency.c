// SPDX-License-Identifier: GPL-2.0
/* How long a request takes over a long road that loses packets, or that a stream fills. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define PORT 20000
/* Seven segments, so that some losses are seen by what comes behind, and some only by a timer. */
#define REQUEST 10240

static char data[65536];

static pid_t in_process(void (*what)(int fd), int fd)
{
	pid_t child = fork();

	if (child < 0)
		die("fork");
	if (!child) {
		what(fd);
		_exit(0);
	}
	close(fd);
	return child;
}

static void end(pid_t child)
{
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

static void answer_all(int fd)
{
	size_t got = 0;
	ssize_t n;

	while ((n = recv(fd, data, sizeof(data), 0)) > 0) {
		for (got += n; got >= REQUEST; got -= REQUEST)
			write_all(fd, data, 1);
	}
}

static void drain(int fd)
{
	while (recv(fd, data, sizeof(data), 0) > 0)
		;
}

static void fill(int fd)
{
	for (;;)
		write_all(fd, data, sizeof(data));
}

static void requests(const struct sides *s, int times, const char *const *words)
{
	int listener = serve(s, PORT, 1), client, server;
	int64_t start;
	pid_t child;

	client = call(s, PORT);
	server = answer(listener);
	no_delay(client);
	child = in_process(answer_all, server);
	printf("latency %s %s %s %s", words[0], words[1], words[2], s->name);
	while (times--) {
		start = now_us();
		write_all(client, data, REQUEST);
		read_all(client, data, 1);
		printf(" %lld", (long long)(now_us() - start));
	}
	printf("\n");
	end(child);
	close_reset(client);
	close(listener);
}

int main_latency(int argc, char **argv)
{
	int listener, client, times, rounds, i, k;
	pid_t stream[2] = {};
	double rtt, loss;
	bool beside;

	if (argc != 5)
		die("RTT LOSS alone|beside REQUESTS ROUNDS");
	rtt = strtod(argv[0], NULL);
	loss = strtod(argv[1], NULL);
	beside = !strcmp(argv[2], "beside");
	times = atoi(argv[3]);
	rounds = atoi(argv[4]);

	road_make(ROAD_VETH);
	/* What is on its way, and as much again in the queue */
	road_lossy(rtt, loss, 2 * rtt * 100e3 / 8 / 1514 + 20);
	if (beside) {
		listener = serve(&all_sides[1], PORT + 1, 1);
		client = call(&all_sides[1], PORT + 1);
		stream[0] = in_process(drain, answer(listener));
		stream[1] = in_process(fill, client);
		settle(5);
	}
	for (i = 0; i < rounds; i++) {
		for (k = 0; k < SIDES_PURE; k++) {
			if (!beside)
				road_seed(i + 1);
			requests(&all_sides[k], times, (const char *const *)argv);
		}
	}
	for (i = 0; i < 2; i++)
		if (stream[i])
			end(stream[i]);
	return 0;
}
