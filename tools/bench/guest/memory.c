// SPDX-License-Identifier: GPL-2.0
/* Memory for connections that do nothing. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "tun.h"

#define PORT 20000
#define LISTENERS 8

/* Gives back what the caches of the slab allocator hold without need. */
static void shrink_slabs(void)
{
	DIR *dir = opendir("/sys/kernel/slab");
	struct dirent *entry;
	char path[300];
	int fd;

	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", entry->d_name);
		fd = open(path, O_WRONLY);
		if (fd < 0)
			continue;
		if (write(fd, "1", 1) < 0)
			die("%s", path);
		close(fd);
	}
	if (dir)
		closedir(dir);
}

/* All the slab allocator's pages, in bytes. */
static long long slab_bytes(void)
{
	char line[128];
	long long kib = -1;
	FILE *f;

	shrink_slabs();
	f = fopen("/proc/meminfo", "r");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "Slab:", 5))
			kib = atoll(line + 5);
	if (kib < 0)
		die("/proc/meminfo");
	fclose(f);
	return kib * 1024;
}

static void print(const char *row, const struct sides *s, long long bytes, long n, const char *unit)
{
	printf("sample memory/%s %s %lld %ld %s\n", row, s->name, bytes, n, unit);
}

static void open_pairs(const struct sides *s, int *listener, int *fd, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		fd[2 * i] = call(s, PORT + i % LISTENERS);
		fd[2 * i + 1] = answer(listener[i % LISTENERS]);
	}
}

static void established(const struct sides *s, int n)
{
	int listener[LISTENERS], *fd = calloc(2 * n, sizeof(*fd)), i;
	long long before;

	road_make(ROAD_LO);
	for (i = 0; i < LISTENERS; i++)
		listener[i] = serve(s, PORT + i, 64);
	/* The table of descriptors is not the connections' part. */
	if (dup2(1, 2 * n + 100) < 0)
		die("dup2");
	open_pairs(s, listener, fd, LISTENERS);
	settle(2);
	before = slab_bytes();
	open_pairs(s, listener, fd, n);
	settle(IDLE);
	print("established", s, slab_bytes() - before, 2L * n, "socket");
	count_start();
	for (i = 0; i < n; i++)
		transaction(fd[2 * i], fd[2 * i + 1]);
	count_stop();
	count_end("memory/after-idle", s->name, n, "transaction");
}

static void time_wait(const struct sides *s, int n)
{
	int listener[LISTENERS], *fd = calloc(2 * n, sizeof(*fd)), i;
	long long before;

	road_make(ROAD_LO);
	for (i = 0; i < LISTENERS; i++)
		listener[i] = serve(s, PORT + i, 64);
	if (dup2(1, 2 * n + 100) < 0)
		die("dup2");
	/* What the sockets themselves leave behind in the allocator is there before. */
	open_pairs(s, listener, fd, n);
	for (i = 0; i < 2 * n; i++)
		close_reset(fd[i]);
	settle(2);
	before = slab_bytes();
	open_pairs(s, listener, fd, n);
	for (i = 0; i < 2 * n; i++)
		close(fd[i]);
	settle(2);
	print("time-wait", s, slab_bytes() - before, n, "connection");
}

static void half_open(const struct sides *s, int n)
{
	int tun = tun_make(), i, answers = 0;
	long long before;

	set_sysctl("net/core/somaxconn", "65536");
	set_sysctl("net/ipv4/tcp_max_syn_backlog", "65536");
	tun_listen(s->server, PORT, 65536);
	for (i = 0; i < 64; i++)
		tun_syn(tun, i, PORT);
	tun_drain(tun);
	before = slab_bytes();
	for (; i < 64 + n; i++) {
		tun_syn(tun, i, PORT);
		if (i % 64 == 0)
			answers += tun_drain(tun);
	}
	answers += tun_drain(tun);
	if (answers < n)
		die("%d of %d SYNs answered", answers, n);
	/* At once, before retransmitted answers wait in the device. */
	print("half-open", s, slab_bytes() - before, n, "connection");
}

/* In a process of its own: what is left over ends with its namespace. */
static void apart(void (*measure)(const struct sides *, int), const struct sides *s, int n)
{
	pid_t child = fork();
	int status;

	if (!child) {
		measure(s, n);
		fflush(stdout);
		_exit(0);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0 || status)
		die("measurement of %s", s->name);
	settle(70);
	shrink_slabs();
}

int main_memory(int argc, char **argv)
{
	int n, round, k;

	if (argc != 1)
		die("PAIRS");
	n = atoi(argv[0]);
	raise_limits(2 * n + 1000);
	for (round = 0; round < 2; round++) {
		for (k = 0; k < SIDES_PURE; k++) {
			apart(established, &all_sides[k], n);
			apart(time_wait, &all_sides[k], n);
			apart(half_open, &all_sides[k], 2 * n);
		}
	}
	return 0;
}
