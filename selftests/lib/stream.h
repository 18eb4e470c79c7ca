/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SELFTEST_STREAM_H
#define SELFTEST_STREAM_H

#include <stdbool.h>
#include <stddef.h>

/* Large enough that a lost, doubled or exchanged piece of it changes the SHA-256. */
struct digest {
	unsigned char sha256[32];
};

/* SHA-256 of the first @len bytes of the test stream number @seed. */
struct digest stream_digest(unsigned int seed, size_t len);

/*
 * Sends stream @seed on @fd and receives from @fd at once, in one process, until
 * both directions are through. False when what came is not stream @expected, or
 * when end of file does not follow it. Shuts its own direction down at the end.
 */
bool exchange(int fd, unsigned int seed, unsigned int expected, size_t len);

/* The same on both ends of a connection, in two processes. */
bool exchange_both(int server, int client, size_t len);

#endif
