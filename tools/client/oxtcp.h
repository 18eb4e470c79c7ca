/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * AF_OXTCP for C programs.
 *
 *	int fd = socket(oxtcp_family(), SOCK_STREAM, 0);
 *
 * Everything else is as for AF_INET: addresses are struct sockaddr_in with
 * sin_family = AF_INET, options are those of tcp(7), ip(7) and socket(7).
 */
#ifndef OXTCP_H
#define OXTCP_H

#include <stdio.h>
#include <stdlib.h>

/* The family's number, unless the module was loaded with family=. */
#define AF_OXTCP 25
#define PF_OXTCP AF_OXTCP

/*
 * The number that the loaded module has: from the environment variable
 * OXTCP_FAMILY if it is set, else as the module publishes it, else AF_OXTCP.
 * Reads files: call it once and keep the answer.
 */
static inline int oxtcp_family(void)
{
	const char *set = getenv("OXTCP_FAMILY");
	int family = set ? atoi(set) : 0;
	FILE *f;

	if (family > 0)
		return family;
	f = fopen("/sys/module/oxtcp/parameters/family", "re");
	if (f) {
		if (fscanf(f, "%d", &family) != 1)
			family = 0;
		fclose(f);
	}
	if (family > 0)
		return family;
	return AF_OXTCP;
}

#endif /* OXTCP_H */
