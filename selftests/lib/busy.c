// SPDX-License-Identifier: GPL-2.0
/* Sockets that are in use. */
#include <linux/filter.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "busy.h"
#include "env.h"
#include "process.h"

/*
 * A long filter is translated with the lock held. It takes every segment, and
 * differs from instruction to instruction, so that nothing of it is folded.
 */
pid_t keep_busy(int fd)
{
	static struct sock_filter code[BPF_MAXINSNS];
	const struct sock_fprog filter = { .len = BPF_MAXINSNS, .filter = code };
	const struct sched_param first = { .sched_priority = 1 };
	int ready[2], i;
	pid_t child;
	char c = 0;

	if (pipe(ready))
		die("pipe");
	child = start_child();
	if (child) {
		close(ready[1]);
		if (read(ready[0], &c, 1) != 1)
			die("a child that keeps a socket busy");
		close(ready[0]);
		/* Not so the next child, which would not let this process run again. */
		if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &first))
			die("sched_setscheduler");
		return child;
	}
	for (i = 0; i < BPF_MAXINSNS - 1; i++)
		code[i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, i);
	code[i] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, ~0U);
	for (i = 0;; i = 1) {
		if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)))
			die("SO_ATTACH_FILTER");
		if (!i && write(ready[1], &c, 1) != 1)
			die("write");
	}
}
