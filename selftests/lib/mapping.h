/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SELFTEST_MAPPING_H
#define SELFTEST_MAPPING_H

#include <sys/socket.h>

#include "pages.h"

/* Trials of TCP_ZEROCOPY_RECEIVE: an area of so many pages, and room for copies and control. */
#define AREA 8
extern unsigned char *area;
extern unsigned char copies[2 * PAGE];
extern char control[256];

/* A connection, connected() of the trial, with an area of it. */
int begins(void);

/* What a call asks for: pages into the area. The tests change what they are about. */
struct mapping asks(void);

/* Makes a call with @len bytes of @m, or all of it, and says what was answered. */
void calls(int fd, const char *what, struct mapping m, socklen_t len);
void asks_for(int fd, const char *what, struct mapping m);

/* The beginning of each page of an area, which are there. */
void shows_area(const void *address, size_t len);

/* Text from the peer: whole pages, then bytes that are no page; all is there afterwards. */
void comes(int fd, size_t pages, size_t rest);

/* Throws away all that is there. */
void reads_all(int fd);

#endif
