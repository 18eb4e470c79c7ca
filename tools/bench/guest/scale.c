// SPDX-License-Identifier: GPL-2.0
/* What a transaction costs with many connections open. */
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

#define PORT 20000
#define LISTENERS 128
#define FEW 100
#define TIMES 2000

static int listener[LISTENERS], *client, *server;

/*
 * On FEW connections, whatever @open: a connection that is long idle between two
 * transactions has its timers run out, which is no matter of how many there are.
 */
static void transactions(const struct sides *s, int open, const char *row)
{
	uint32_t x = 12345;
	int i, k;

	count_start();
	for (i = 0; i < TIMES; i++) {
		x = x * 1664525 + 1013904223;
		k = ((uint64_t)x * FEW >> 32) * (open / FEW);
		transaction(client[k], server[k]);
	}
	count_stop();
	count_end(row, s->name, TIMES, "transaction");
}

static void several(const struct sides *s, int open, const char *row)
{
	int i, k;

	/* A connection's first transactions are dearer: each side acknowledges at once. */
	for (i = 0; i < 4 * FEW; i++) {
		k = i % FEW * (open / FEW);
		transaction(client[k], server[k]);
	}
	for (i = 0; i < 5; i++)
		transactions(s, open, row);
}

int main_scale(int argc, char **argv)
{
	int n, i, k;

	if (argc != 1)
		die("CONNECTIONS");
	n = atoi(argv[0]);
	if (n < FEW)
		die("at least %d", FEW);
	client = calloc(n, sizeof(*client));
	server = calloc(n, sizeof(*server));
	raise_limits(2 * n + 1000);
	road_make(ROAD_LO);
	for (k = 0; k < SIDES_PURE; k++) {
		for (i = 0; i < LISTENERS; i++)
			listener[i] = serve(&all_sides[k], PORT + i, 64);
		for (i = 0; i < n; i++) {
			client[i] = call(&all_sides[k], PORT + i % LISTENERS);
			server[i] = answer(listener[i % LISTENERS]);
			no_delay(client[i]);
			no_delay(server[i]);
			if (i == FEW - 1)
				several(&all_sides[k], FEW, "scale/few-connections");
		}
		/* What the opening of so many leaves to timers is no part of a transaction. */
		settle(IDLE);
		several(&all_sides[k], n, "scale/many-connections");
		for (i = 0; i < n; i++) {
			close_reset(client[i]);
			close(server[i]);
		}
		for (i = 0; i < LISTENERS; i++)
			close(listener[i]);
		settle(2);
	}
	return 0;
}
