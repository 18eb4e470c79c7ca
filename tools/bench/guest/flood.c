// SPDX-License-Identifier: GPL-2.0
/* A listener whose queue is full of SYNs that nobody follows up, and cookies on. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench.h"
#include "tun.h"

#define PORT 20000
#define BATCH 100	/* the device holds so many answers, and more */

int main_flood(int argc, char **argv)
{
	int tun = tun_make(), rounds, i, j, k, answers;
	unsigned int n = 0;

	if (argc != 1)
		die("ROUNDS");
	rounds = atoi(argv[0]);
	set_sysctl("net/ipv4/tcp_syncookies", "1");
	for (k = 0; k < SIDES_PURE; k++) {
		tun_listen(all_sides[k].server, PORT + k, 16);
		for (i = 0; i < 1000; i++) {
			tun_syn(tun, n++, PORT + k);
			if (i % BATCH == 0)
				tun_drain(tun);
		}
	}
	for (i = 0; i < rounds; i++) {
		for (k = 0; k < SIDES_PURE; k++) {
			answers = 0;
			tun_drain(tun);
			for (j = 0; j < 2000; j++) {
				if (j % BATCH == 0)
					count_start();
				tun_syn(tun, n++, PORT + k);
				if (j % BATCH < BATCH - 1)
					continue;
				count_stop();
				answers += tun_drain(tun);
			}
			/* One that is not answered costs nothing to speak of, and does not count. */
			if (answers >= 1900) {
				count_end("tun/syn-cookie", all_sides[k].name, 2000, "SYN");
			} else {
				count_end("tun/syn-not-answered", all_sides[k].name, 2000, "SYN");
				printf("note %s answered %d of 2000 SYNs\n", all_sides[k].name,
				       answers);
			}
		}
	}
	return 0;
}
