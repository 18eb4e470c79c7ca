// SPDX-License-Identifier: GPL-2.0
/* Runs a sequence of calls on two families and compares what they answered. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "env.h"
#include "sockets.h"
#include "trial.h"
#include "wire.h"

#define LOG_SIZE (1 << 20)
/* Lines that are printed of a sequence. */
#define SHOWN 6

static int family;
static char *text;
static size_t text_len;

int trial_peer = -1, trial_listener = -1;

int trial_family(void)
{
	return family;
}

int trial_socket(int type)
{
	int fd = socket(family, SOCK_STREAM | type, 0);

	if (fd < 0)
		die("socket(%d)", family);
	return fd;
}

void says(const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text + text_len, LOG_SIZE - text_len - 1, fmt, args);
	va_end(args);
	if (n < 0 || text_len + n + 2 >= LOG_SIZE)
		die("too much was said");
	text_len += n;
	text[text_len++] = '\n';
}

const char *error_name(int error)
{
	return error ? strerrorname_np(error) : "0";
}

long did_at(const char *call, long answer)
{
	int error = errno;

	if (answer == -1)
		says("%s = -1 %s", call, error_name(error));
	else
		says("%s = %ld", call, answer);
	errno = error;
	return answer;
}

void shows_bytes(const char *what, const void *data, size_t len)
{
	const unsigned char *bytes = data;
	char hex[3 * 64 + 1] = "";
	size_t i;

	for (i = 0; i < len && i < 64; i++)
		sprintf(hex + 3 * i, " %02x", bytes[i]);
	says("%s: %zu:%s", what, len, hex);
}

/* Ports that the kernel chose differ: each is named by when it was seen first. */
static const char *port_name(unsigned int port)
{
	static unsigned int seen[16];
	static char name[16];
	size_t i;

	if (!port)
		return "0";
	for (i = 0; i < 16 && seen[i] && seen[i] != port; i++)
		;
	if (i == 16)
		die("too many ports");
	seen[i] = port;
	snprintf(name, sizeof(name), "port%zu", i);
	return name;
}

void shows_address(const char *what, const void *address, size_t len)
{
	struct sockaddr_in sin = {};
	char ip[32];

	memcpy(&sin, address, len < sizeof(sin) ? len : sizeof(sin));
	inet_ntop(AF_INET, &sin.sin_addr, ip, sizeof(ip));
	says("%s: length %zu family %d %s:%s", what, len, sin.sin_family, ip,
	     port_name(ntohs(sin.sin_port)));
}

void shows_names(int fd)
{
	struct sockaddr_in sin = {};
	socklen_t len = sizeof(sin);

	if (!did(getsockname(fd, (struct sockaddr *)&sin, &len)))
		shows_address("name", &sin, len);
	len = sizeof(sin);
	if (!did(getpeername(fd, (struct sockaddr *)&sin, &len)))
		shows_address("peer", &sin, len);
}

void shows_poll(int fd)
{
	struct pollfd p = {
		.fd = fd,
		.events = POLLIN | POLLPRI | POLLOUT | POLLRDHUP | POLLRDNORM | POLLRDBAND |
			  POLLWRNORM | POLLWRBAND | POLLMSG,
	};

	if (poll(&p, 1, 0) < 0)
		die("poll");
	says("poll: %#x", p.revents);
}

static void on_signal(int signal)
{
	says("signal %s", sigabbrev_np(signal));
}

void shows_signals(void)
{
	static const int signals[] = { SIGPIPE, SIGURG, SIGIO, SIGUSR1 };
	struct sigaction action = { .sa_handler = on_signal };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &action, NULL);
}

void settles(int fd, short events)
{
	if ((wait_events(fd, events, 5000) & events) == 0)
		die("nothing of %#x comes", events);
}

int connected(void)
{
	struct sockaddr_in sin;
	int fd;

	trial_listener = trial_socket(0);
	if (bind_to(trial_listener, "127.0.0.1", 0) || listen(trial_listener, 8))
		die("listen");
	sin = local_address(trial_listener);
	fd = trial_socket(0);
	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)))
		die("connect");
	trial_peer = accept(trial_listener, NULL, NULL);
	if (trial_peer < 0)
		die("accept");
	return fd;
}

const char *const trial_states[] = {
	"fresh", "bound", "listening", "connecting", "connected", "accepted", "peer_closed",
	"write_shut", "both_shut", "closed", "reset", "refused", "dissolved", NULL
};

static int no_listener(void)
{
	int fd = trial_socket(0), port, other;

	if (bind_to(fd, "127.0.0.1", 0))
		die("bind");
	port = local_port(fd);
	other = trial_socket(0);
	if (connect_to(other, "127.0.0.1", port) != ECONNREFUSED)
		die("not refused");
	close(fd);
	return other;
}

int socket_in(const char *state)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	struct linger hard = { .l_onoff = 1 };
	int fd;

	if (!strcmp(state, "refused"))
		return no_listener();
	if (!strcmp(state, "fresh"))
		return trial_socket(0);
	if (!strcmp(state, "bound") || !strcmp(state, "listening")) {
		fd = trial_socket(0);
		if (bind_to(fd, "127.0.0.1", 0))
			die("bind");
		if (!strcmp(state, "listening") && listen(fd, 5))
			die("listen");
		return fd;
	}
	if (!strcmp(state, "connecting")) {
		fd = trial_socket(SOCK_NONBLOCK);
		if (connect_to(fd, PEER_ADDR, 9) != EINPROGRESS)
			die("connect");
		return fd;
	}

	fd = connected();
	if (!strcmp(state, "connected"))
		return fd;
	if (!strcmp(state, "accepted")) {
		int server = trial_peer;

		trial_peer = fd;
		return server;
	}
	if (!strcmp(state, "peer_closed")) {
		close(trial_peer);
		settles(fd, POLLRDHUP);
	} else if (!strcmp(state, "write_shut")) {
		shutdown(fd, SHUT_WR);
		settles(trial_peer, POLLRDHUP);
	} else if (!strcmp(state, "both_shut")) {
		shutdown(fd, SHUT_RDWR);
		settles(trial_peer, POLLRDHUP);
	} else if (!strcmp(state, "closed")) {
		shutdown(fd, SHUT_WR);
		settles(trial_peer, POLLRDHUP);
		close(trial_peer);
		settles(fd, POLLHUP);
	} else if (!strcmp(state, "reset")) {
		setsockopt(trial_peer, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
		close(trial_peer);
		settles(fd, POLLHUP);
	} else if (!strcmp(state, "dissolved")) {
		if (connect(fd, &unspec, sizeof(unspec)))
			die("connect(AF_UNSPEC)");
	} else {
		die("no state %s", state);
	}
	return fd;
}

/* What one family says. */
static char *run_on(const struct sequence *s, int on)
{
	char *log = mmap(NULL, LOG_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;
	pid_t child;

	if (log == MAP_FAILED)
		die("mmap");
	fflush(NULL);
	child = fork();
	if (child < 0)
		die("fork");
	if (!child) {
		family = on;
		text = log;
		alarm(20 * slowness());
		s->run(s->arg);
		_exit(0);
	}
	if (waitpid(child, &status, 0) != child)
		die("waitpid");
	if (status) {
		printf("# %s on family %d: ended with status %#x\n", s->name, on, status);
		strcat(log, status == SIGALRM ? "hangs\n" : "ends early\n");
	}
	return log;
}

static const char *reason_of(const char *sequence, const char *line)
{
	const struct difference *d;

	for (d = differences; d->sequence; d++)
		if (!fnmatch(d->sequence, sequence, 0) && !fnmatch(d->line, line, 0))
			return d->reason;
	return NULL;
}

bool alike(const struct sequence *s)
{
	char *inet = run_on(s, AF_INET), *own = run_on(s, own_family());
	char *i_rest = inet, *o_rest = own;
	char nothing[] = "";
	size_t different = 0;

	while (*i_rest || *o_rest) {
		const char *i = strsep(&i_rest, "\n"), *o = strsep(&o_rest, "\n");

		i_rest = i_rest ?: nothing;
		o_rest = o_rest ?: nothing;
		if (!strcmp(i, o))
			continue;
		if (reason_of(s->name, o))
			continue;
		if (++different <= SHOWN)
			printf("# %s\n#   AF_INET %s\n#   own     %s\n", s->name, i, o);
	}
	if (different > SHOWN)
		printf("# %s: %zu more\n", s->name, different - SHOWN);
	munmap(inet, LOG_SIZE);
	munmap(own, LOG_SIZE);
	return !different;
}

bool all_alike(const struct sequence *s, size_t count)
{
	size_t i, different = 0;

	for (i = 0; i < count; i++)
		if (!alike(&s[i]))
			different++;
	printf("# %zu sequences, %zu differ\n", count, different);
	return !different;
}
