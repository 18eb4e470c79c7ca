// SPDX-License-Identifier: GPL-2.0
/* How fast a file arrives over a long road that loses packets, by the machine's own clock. */
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define PORT 20000

/* Microseconds until all of @len was read at the other end, into @into. */
static int64_t transfer(const struct sides *s, const char *from, char *into, size_t len)
{
	int listener = serve(s, PORT, 1), client, server;
	int64_t start, end;
	size_t got = 0;
	pid_t writer;
	ssize_t n;

	client = call(s, PORT);
	server = answer(listener);
	start = now_us();
	writer = fork();
	if (writer < 0)
		die("fork");
	if (!writer) {
		write_all(client, from, len);
		_exit(0);
	}
	/* The last one to close is the writer, by its end. */
	close(client);
	memset(into, 0, len);
	while ((n = recv(server, into + got, len - got + 1, 0)) > 0)
		got += n;
	end = now_us();
	if (n < 0)
		die("recv, %s", s->name);
	if (got != len)
		die("%zu of %zu bytes came, %s", got, len, s->name);
	waitpid(writer, NULL, 0);
	close_reset(server);
	close(listener);
	return end - start;
}

int main_goodput(int argc, char **argv)
{
	unsigned char want[SHA256_DIGEST_LENGTH], got[SHA256_DIGEST_LENGTH];
	double rtt, loss;
	int rounds, i, k;
	char *from, *into;
	size_t len, j;
	int64_t us;

	if (argc != 4)
		die("RTT LOSS BYTES ROUNDS");
	rtt = strtod(argv[0], NULL);
	loss = strtod(argv[1], NULL);
	len = strtoul(argv[2], NULL, 0);
	rounds = atoi(argv[3]);
	from = malloc(len);
	into = malloc(len + 1);
	if (!from || !into)
		die("malloc");
	srandom(1);
	for (j = 0; j < len; j++)
		from[j] = random() >> 7;
	SHA256((unsigned char *)from, len, want);

	road_make(ROAD_VETH);
	road_lossy(rtt, loss, 1000);
	for (i = 0; i < rounds; i++) {
		for (k = 0; k < SIDES_PURE; k++) {
			/* What is lost decides more than who sends: it is the same for both. */
			road_seed(i + 1);
			us = transfer(&all_sides[k], from, into, len);
			SHA256((unsigned char *)into, len, got);
			printf("goodput %s %s %s %zu %lld %s\n", argv[0], argv[1], all_sides[k].name,
			       len, (long long)us,
			       memcmp(want, got, sizeof(want)) ? "WRONG" : "exact");
		}
	}
	return 0;
}
