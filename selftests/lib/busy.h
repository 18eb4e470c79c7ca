/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SELFTEST_BUSY_H
#define SELFTEST_BUSY_H

#include <sys/types.h>

/*
 * A child that has the lock of the socket @fd most of the time, until stop_child().
 * The caller gets a real-time priority: whenever it wakes, it comes in between.
 */
pid_t keep_busy(int fd);

#endif
