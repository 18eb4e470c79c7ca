// SPDX-License-Identifier: GPL-2.0
/*
 * What `make bench` runs in the virtual machine: each row on either family, in
 * turn, in one boot. The counts go to standard output, one sample a line.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *words;
} commands[] = {
	{ "rows", main_rows, "lo|veth|nic ROUNDS PERCENT pure|all|inet [ROW...]" },
	{ "memory", main_memory, "PAIRS" },
	{ "flood", main_flood, "ROUNDS" },
	{ "scale", main_scale, "CONNECTIONS" },
	{ "goodput", main_goodput, "RTT-MS LOSS-PERCENT BYTES ROUNDS" },
	{ "latency", main_latency, "RTT-MS LOSS-PERCENT alone|beside REQUESTS ROUNDS" },
	{ "wall", main_wall, "FLOWS ROUNDS" },
	{ "share", main_share, "RTT-MS FLOWS-EACH ROUNDS" },
};

int main(int argc, char **argv)
{
	size_t i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	/* A page fault waits for the host's file system, and the clock of counted time with it. */
	if (mlockall(MCL_CURRENT | MCL_FUTURE))
		die("mlockall");
	for (i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 2, argv + 2);
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(stderr, "bench %s %s\n", commands[i].name, commands[i].words);
	return 2;
}
