// SPDX-License-Identifier: GPL-2.0
/*
 * With -icount shift=0 the time stamp counter is the number of instructions
 * executed, plus the time that the processor slept. The no-ops tell the plugin
 * (plugin/count.c), where there is one, that the same stretch begins and ends.
 */
#include <stdio.h>
#include <x86intrin.h>

#include "bench.h"

/* Each is nopl DISPLACEMENT(%rax): the event, 'X', 'O', 'o'. */
static inline void mark_start(void)
{
	asm volatile(".byte 0x0f, 0x1f, 0x80, 1, 0x58, 0x4f, 0x6f" ::: "memory");
}

static inline void mark_stop(void)
{
	asm volatile(".byte 0x0f, 0x1f, 0x80, 2, 0x58, 0x4f, 0x6f" ::: "memory");
}

static inline void mark_end(void)
{
	asm volatile(".byte 0x0f, 0x1f, 0x80, 3, 0x58, 0x4f, 0x6f" ::: "memory");
}

static uint64_t begun, total;

void count_start(void)
{
	mark_start();
	begun = __rdtsc();
}

void count_stop(void)
{
	total += __rdtsc() - begun;
	mark_stop();
}

void count_end(const char *row, const char *sides, uint64_t units, const char *unit)
{
	mark_end();
	printf("sample %s %s %llu %llu %s\n", row, sides, (unsigned long long)total,
	       (unsigned long long)units, unit);
	total = 0;
}
