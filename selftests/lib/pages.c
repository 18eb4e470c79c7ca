// SPDX-License-Identifier: GPL-2.0
/* Whole pages on their way, and TCP_ZEROCOPY_RECEIVE. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "env.h"
#include "pages.h"
#include "sockets.h"

void send_pages(int fd, const void *data, size_t pages)
{
	size_t n, done, len;
	ssize_t moved;
	int p[2];

	for (done = 0; done < pages; done += n) {
		n = pages - done < 4 ? pages - done : 4;
		len = n * PAGE;
		/* A pipe that was not used yet fills its pages from their beginning. */
		if (pipe(p) || write(p[1], (const char *)data + done * PAGE, len) != len)
			die("pipe");
		for (; len; len -= moved) {
			moved = splice(p[0], NULL, fd, NULL, len, 0);
			if (moved <= 0)
				die("splice");
		}
		close(p[0]);
		close(p[1]);
	}
}

void *map_socket(int fd, size_t pages)
{
	void *area = mmap(NULL, pages * PAGE, PROT_READ, MAP_SHARED, fd, 0);

	if (area == MAP_FAILED)
		die("mmap of a socket");
	return area;
}

int receive_mapped(int fd, struct mapping *m)
{
	socklen_t len = sizeof(*m);

	return getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, m, &len) ? errno : 0;
}

struct mapping map_pages(int fd, void *area, size_t pages)
{
	struct mapping m = { .address = (uintptr_t)area, .length = pages * PAGE };

	if (receive_mapped(fd, &m))
		die("TCP_ZEROCOPY_RECEIVE");
	return m;
}

int unread(int fd)
{
	int bytes = -1;

	if (ioctl(fd, FIONREAD, &bytes))
		die("FIONREAD");
	return bytes;
}

bool all_acknowledged(int fd)
{
	int left = -1;

	return wait_until(!ioctl(fd, SIOCOUTQ, &left) && left == 0, 5000);
}

static void await_all(int from, int to, int bytes)
{
	if (!wait_until(unread(to) == bytes, 5000) || !all_acknowledged(from))
		die("%d bytes do not come", bytes);
}

void deliver(int from, int to, const void *data, size_t pages, size_t rest)
{
	int before = unread(to);

	set_option(from, IPPROTO_TCP, TCP_NODELAY, 1);
	send_pages(from, data, pages);
	await_all(from, to, before + pages * PAGE);
	send_all(from, (const char *)data + pages * PAGE, rest);
	await_all(from, to, before + pages * PAGE + rest);
}

static unsigned char byte_at(size_t at)
{
	return (at * 7 + at / 251) ^ at >> 12;
}

void page_text(void *to, size_t at, size_t len)
{
	unsigned char *bytes = to;
	size_t i;

	for (i = 0; i < len; i++)
		bytes[i] = byte_at(at + i);
}

bool is_page_text(const void *got, size_t at, size_t len)
{
	const unsigned char *bytes = got;
	size_t i;

	for (i = 0; i < len; i++)
		if (bytes[i] != byte_at(at + i))
			return false;
	return true;
}
