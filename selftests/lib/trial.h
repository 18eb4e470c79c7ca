/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SELFTEST_TRIAL_H
#define SELFTEST_TRIAL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "kselftest.h"

/*
 * A sequence of calls that is run on AF_INET and on the family under test, each
 * time in a process of its own. What every call answers becomes a line of text;
 * the two texts have to be the same, but for what differences.c lists.
 */
struct sequence {
	const char *name;
	void (*run)(const void *arg);
	const void *arg;
};

/* A difference that is meant to be: where, which line of the family under test, and why. */
struct difference {
	const char *sequence;	/* patterns of fnmatch() */
	const char *line;
	const char *reason;
};

/* Ends with an entry without a sequence. */
extern const struct difference differences[];

/* Whether @s goes alike on both families; prints what does not. */
bool alike(const struct sequence *s);

/* The same for @count of them; prints how many there were. */
bool all_alike(const struct sequence *s, size_t count);

/* Time limit of a test of many sequences, in s. */
#define LIMIT 180

/* Whose turn it is: the family of the sockets of the sequence that runs. */
int trial_family(void);
int trial_socket(int type);

/* Adds a line. */
__printf(1, 2)
void says(const char *fmt, ...);

/* Makes a call that returns -1 and sets errno, or not; the line has its text and its answer. */
#define did(call) did_at(#call, (errno = 0, (long)(call)))
long did_at(const char *call, long answer);

/* Lines of what is in memory, of an address (its port by a name), of what poll() says. */
void shows_bytes(const char *what, const void *data, size_t len);
void shows_address(const char *what, const void *address, size_t len);
void shows_names(int fd);
void shows_poll(int fd);
const char *error_name(int error);

/* Signals from now on make lines, and do not end the process. */
void shows_signals(void);

/*
 * A socket of the trial's family in one of the states whose names are in
 * @trial_states; its peer, if it has one, and the listener.
 */
extern const char *const trial_states[];
int socket_in(const char *state);
extern int trial_peer, trial_listener;

/* A connection: client, with the accepted socket as trial_peer. */
int connected(void);

/* Waits for @events on @fd, so that what was sent is there. */
void settles(int fd, short events);

/* An address that cannot be read nor written. */
#define BAD_POINTER ((void *)8)

#endif
