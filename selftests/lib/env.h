/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SELFTEST_ENV_H
#define SELFTEST_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kselftest.h"

/* Number of the family under test: SELFTEST_FAMILY of the environment, else 25. */
int own_family(void);

/* Whether the family under test is AF_INET, by which the tests themselves are checked. */
bool own_is_inet(void);

/* A counter of the family under test in the current network namespace; AF_INET has others. */
long own_counter(const char *name);

/*
 * How much slower than usual the kernel is: SELFTEST_SLOW of the environment,
 * else 1. Time limits are multiplied by it; amounts of work shrink with it.
 */
unsigned int slowness(void);

/* A time limit in ms, stretched on a slow kernel. */
int limit_ms(int ms);

/*
 * By how many ms a kernel's timer may seem early: it counts ticks, and the last
 * ones may not have been counted when it starts.
 */
#define TICKS_MS 20

/* An amount of work, smaller on a slow kernel, never below @least. */
size_t amount(size_t plain, size_t least);

/*
 * Milliseconds of the clock that moves with the tick. Time limits of sockets
 * are counted in ticks, which come late in a virtual machine that had to wait
 * for its processor: by a finer clock a limit may seem to end early.
 */
int64_t now_ms(void);

/* Ends the test as failed, with a diagnostic line. */
#define die(fmt, ...) die_at(__FILE__, __LINE__, fmt, ##__VA_ARGS__)
__noreturn __printf(3, 4)
void die_at(const char *file, int line, const char *fmt, ...);

/* Sets a sysctl of the current network namespace ("net/ipv4/tcp_syn_retries"). */
void set_sysctl(const char *name, const char *value);

/* Reads a small file; the number in it, or @otherwise when there is none. */
long read_number(const char *path, long otherwise);

/*
 * Evaluates @condition until it holds, for at most @ms. For what has no file
 * descriptor to poll, such as a state shown in procfs.
 */
#define wait_until(condition, ms) ({				\
	int64_t until_ = now_ms() + limit_ms(ms);		\
	bool held_;						\
	while (!(held_ = (condition)) && now_ms() < until_)	\
		pause_ms(2);					\
	held_;							\
})
void pause_ms(int ms);

#endif
