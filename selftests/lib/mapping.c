// SPDX-License-Identifier: GPL-2.0
/* What TCP_ZEROCOPY_RECEIVE answers in a trial. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>

#include "env.h"
#include "mapping.h"
#include "sockets.h"
#include "trial.h"

unsigned char *area;
unsigned char copies[2 * PAGE];
char control[256];

int begins(void)
{
	int fd = connected();

	area = map_socket(fd, AREA);
	return fd;
}

struct mapping asks(void)
{
	struct mapping m = { .address = (uintptr_t)area, .length = AREA * PAGE };

	return m;
}

void shows_area(const void *address, size_t len)
{
	size_t at;

	for (at = 0; at < len; at += PAGE)
		shows_bytes("page", (const char *)address + at, 8);
}

/* Of a listener there is nothing to be said. */
static int trial_unread(int fd)
{
	int bytes = -1;

	ioctl(fd, FIONREAD, &bytes);
	return bytes;
}

void calls(int fd, const char *what, struct mapping m, socklen_t len)
{
	const void *address = (const void *)(uintptr_t)m.address;
	uint64_t begin = m.msg_control;
	socklen_t answered = len;

	says("%s", what);
	memset(copies, 0, sizeof(copies));
	memset(control, 0, sizeof(control));
	if (!did(getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &m, &answered)))
		shows_area(address, m.length);
	says("length %u skip %u inq %u err %d copied %d flags %u, option %u", m.length,
	     m.recv_skip_hint, m.inq, m.err, m.copybuf_len, m.msg_flags, answered);
	says("control %d left %d", (int)(m.msg_control - begin), (int)m.msg_controllen);
	shows_bytes("copies", copies, 8);
	if (m.copybuf_len > 8 && m.copybuf_len <= sizeof(copies))
		shows_bytes("last copies", copies + m.copybuf_len - 8, 8);
	says("unread %d", trial_unread(fd));
}

void asks_for(int fd, const char *what, struct mapping m)
{
	calls(fd, what, m, sizeof(m));
}

void comes(int fd, size_t pages, size_t rest)
{
	static unsigned char block[(AREA + 1) * PAGE];
	static size_t at;

	page_text(block, at, pages * PAGE + rest);
	deliver(trial_peer, fd, block, pages, rest);
	at += pages * PAGE + rest;
}

void reads_all(int fd)
{
	did(recv(fd, NULL, 1 << 20, MSG_TRUNC | MSG_DONTWAIT));
}
