// SPDX-License-Identifier: GPL-2.0
/* Children and signals. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "env.h"
#include "process.h"

static int seen;

pid_t start_child(void)
{
	pid_t parent = getpid(), child;

	fflush(NULL);
	child = fork();
	if (child < 0)
		die("fork");
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	return child;
}

int end_of_child(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			die("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

static void count(int signal)
{
	(void)signal;
	__atomic_fetch_add(&seen, 1, __ATOMIC_SEQ_CST);
}

void count_signal(int signal, int flags)
{
	struct sigaction action = { .sa_handler = count, .sa_flags = flags };

	__atomic_store_n(&seen, 0, __ATOMIC_SEQ_CST);
	if (sigaction(signal, &action, NULL))
		die("sigaction");
}

int signals_seen(void)
{
	return __atomic_load_n(&seen, __ATOMIC_SEQ_CST);
}

pid_t signal_after(int signal, int ms)
{
	pid_t target = getpid();
	pid_t child = start_child();

	if (child)
		return child;
	/* Again and again: one that comes before the call blocks would be lost. */
	for (;;) {
		pause_ms(ms);
		kill(target, signal);
	}
}

void stop_child(pid_t child)
{
	kill(child, SIGKILL);
	end_of_child(child);
}

static char process_state(pid_t process)
{
	char path[64], line[512], *name_end;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", process);
	file = fopen(path, "r");
	if (!file)
		return 0;
	if (!fgets(line, sizeof(line), file))
		line[0] = 0;
	fclose(file);
	name_end = strrchr(line, ')');
	return name_end ? name_end[2] : 0;
}

bool sleeps(pid_t process, int ms)
{
	return wait_until(process_state(process) == 'S', ms);
}
