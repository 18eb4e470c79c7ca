/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BENCH_H
#define BENCH_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "env.h"

/* What lies between the two ends. */
enum road {
	ROAD_LO,
	ROAD_VETH,
	ROAD_NIC,
};

/* Whose TCP the two ends have, as the results call it. */
struct sides {
	const char *name;
	int server;	/* socket family */
	int client;
};

/*
 * Counting. What lies between count_start() and count_stop() belongs to the
 * sample that count_end() ends, and which is then printed.
 */
void count_start(void);
void count_stop(void);
void count_end(const char *row, const char *sides, uint64_t units, const char *unit);

/* The network. The client end is the calling process's namespace. */
void road_make(enum road road);
void road_server(void);
void road_client(void);

/*
 * Turns a veth pair into a road of 100 Mbit/s: half of the time each way, data loses
 * so many percent and waits with at most @queue packets, those that travel among them.
 */
void road_lossy(double rtt_ms, double loss, int queue);

/* Which packets it loses from now on: of as many sent, the same for the same seed. */
void road_seed(uint64_t seed);

struct sockaddr_in road_address(uint16_t port);

/* Sockets with what both families are given: no delay for small segments. */
int serve(const struct sides *s, uint16_t port, int backlog);
int call(const struct sides *s, uint16_t port);
int answer(int listener);
void no_delay(int fd);
void close_reset(int fd);
void set_int(int fd, int level, int name, int value);
void write_all(int fd, const void *data, size_t len);
void read_all(int fd, void *data, size_t len);
/* A byte from the client, and one back. */
void transaction(int client, int server);
void raise_limits(int files);

/* Seconds: longer than any timer of a connection that is open, and than net.oxtcp.idle_pack_ms. */
#define IDLE 15

/* The machine's own clock. */
int64_t now_us(void);

/* Lets timers run out: TIME-WAIT ends, what is freed late is freed. */
void settle(int seconds);

/* The subcommands; each has its words after its name. */
int main_rows(int argc, char **argv);
int main_memory(int argc, char **argv);
int main_flood(int argc, char **argv);
int main_scale(int argc, char **argv);
int main_goodput(int argc, char **argv);
int main_latency(int argc, char **argv);
int main_wall(int argc, char **argv);
int main_share(int argc, char **argv);

extern const struct sides all_sides[];
#define SIDES_PURE 2	/* the first two are of one family */
#define SIDES_ALL 4

#endif
