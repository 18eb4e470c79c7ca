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
	pid_t child = start_child();
	int i;

	if (child) {
		if (sched_setscheduler(0, SCHED_FIFO, &first))
			die("sched_setscheduler");
		return child;
	}
	for (i = 0; i < BPF_MAXINSNS - 1; i++)
		code[i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, i);
	code[i] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, ~0U);
	for (;;)
		(void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
}
