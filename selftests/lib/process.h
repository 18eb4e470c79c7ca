/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SELFTEST_PROCESS_H
#define SELFTEST_PROCESS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/*
 * A child that ends with its parent. Use as
 *	child = start_child();
 *	if (!child) { ...; _exit(0); }
 */
pid_t start_child(void);

/* Exit status of a child (0..255), or 256 + the signal that killed it. */
int end_of_child(pid_t child);

/* Installs a handler that only counts; @flags as sa_flags. */
void count_signal(int signal, int flags);
int signals_seen(void);

/* A child that sends @signal to this process after @ms, then again each @ms until it is stopped. */
pid_t signal_after(int signal, int ms);
void stop_child(pid_t child);

/* Waits until the process sleeps in a system call, so that what follows finds it blocked. */
bool sleeps(pid_t process, int ms);

#endif
