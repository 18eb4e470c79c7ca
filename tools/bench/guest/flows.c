// SPDX-License-Identifier: GPL-2.0
/* Several streams at once: on several processors, or through one narrow road. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define PORT 20000
#define MOST 64

/* Bytes that came, of each flow; a cache line each. */
static struct {
	uint64_t bytes;
	char pad[56];
} *done;

static char data[65536];

static pid_t in_process(void (*what)(int fd, int flow), int fd, int flow)
{
	pid_t child = fork();

	if (child < 0)
		die("fork");
	if (!child) {
		what(fd, flow);
		_exit(0);
	}
	return child;
}

static void send_forever(int fd, int flow)
{
	for (;;)
		write_all(fd, data, sizeof(data));
}

static void receive(int fd, int flow)
{
	ssize_t n;

	while ((n = recv(fd, data, sizeof(data), 0)) > 0)
		__atomic_fetch_add(&done[flow].bytes, n, __ATOMIC_RELAXED);
}

static uint64_t came(int flow)
{
	return __atomic_load_n(&done[flow].bytes, __ATOMIC_RELAXED);
}

/*
 * Flow i is of @sides[i]; all run for @seconds, after @lead seconds that do not
 * count. Gives the bytes of each, and the microseconds they took.
 */
static int64_t run(const struct sides *const *sides, int flows, int lead, int seconds,
		   uint64_t *bytes)
{
	pid_t child[2 * MOST];
	int listener, client, server, i;
	int64_t took;

	for (i = 0; i < flows; i++) {
		listener = serve(sides[i], PORT + i, 1);
		client = call(sides[i], PORT + i);
		server = answer(listener);
		child[2 * i] = in_process(receive, server, i);
		child[2 * i + 1] = in_process(send_forever, client, i);
		close(client);
		close(server);
		close(listener);
	}
	settle(lead);
	for (i = 0; i < flows; i++)
		bytes[i] = came(i);
	took = now_us();
	settle(seconds);
	for (i = 0; i < flows; i++)
		bytes[i] = came(i) - bytes[i];
	took = now_us() - took;
	for (i = 0; i < 2 * flows; i++)
		kill(child[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	settle(1);
	return took;
}

static void count_in_shared_memory(void)
{
	done = mmap(NULL, MOST * sizeof(*done), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		    -1, 0);
	if (done == MAP_FAILED)
		die("mmap");
}

/* By the clock on the wall: how well the processors get on is not in counted instructions. */
int main_wall(int argc, char **argv)
{
	const struct sides *sides[MOST];
	uint64_t bytes[MOST], sum;
	int flows, rounds, i, j, k;
	int64_t took;

	if (argc != 2)
		die("FLOWS ROUNDS");
	flows = atoi(argv[0]);
	rounds = atoi(argv[1]);
	if (flows < 1 || flows > MOST)
		die("1 to %d flows", MOST);
	count_in_shared_memory();
	road_make(ROAD_LO);
	for (i = 0; i < rounds; i++) {
		for (k = 0; k < SIDES_PURE; k++) {
			for (j = 0; j < flows; j++)
				sides[j] = &all_sides[k];
			took = run(sides, flows, 1, 2, bytes);
			for (sum = 0, j = 0; j < flows; j++)
				sum += bytes[j];
			printf("wall %d %s %llu %lld\n", flows, all_sides[k].name,
			       (unsigned long long)sum, (long long)took);
		}
	}
	return 0;
}

/* Who gets how much of 100 Mbit/s, of as many flows of each family. */
int main_share(int argc, char **argv)
{
	const struct sides *sides[MOST];
	int each, rounds, i, j;
	uint64_t bytes[MOST];
	double rtt;

	if (argc != 3)
		die("RTT FLOWS-EACH ROUNDS");
	rtt = strtod(argv[0], NULL);
	each = atoi(argv[1]);
	rounds = atoi(argv[2]);
	if (each < 1 || 2 * each > MOST)
		die("1 to %d flows", MOST / 2);
	count_in_shared_memory();
	road_make(ROAD_VETH);
	/* What is on its way, and as much again in the queue */
	road_lossy(rtt, 0, 2 * rtt * 100e3 / 8 / 1514 + 20);
	for (i = 0; i < rounds; i++) {
		/* Who starts first takes turns. */
		for (j = 0; j < 2 * each; j++)
			sides[j] = &all_sides[(i + j) % 2];
		run(sides, 2 * each, 5, 15, bytes);
		printf("share %s", argv[0]);
		for (j = 0; j < 2 * each; j++)
			printf(" %s %llu", sides[j]->name, (unsigned long long)bytes[j]);
		printf("\n");
	}
	return 0;
}
