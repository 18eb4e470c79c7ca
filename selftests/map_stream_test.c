// SPDX-License-Identifier: GPL-2.0
/* Much text that is mapped: none is lost nor changed, no page is kept, whatever becomes of the area. */
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>

#include "lib/pages.h"
#include "lib/selftest.h"

/* Most pages that are sent at once. */
#define SOME 8

LO_PAIR_FIXTURE(map_stream)

static long available_pages(void)
{
	long kilobytes = -1;
	FILE *f = fopen("/proc/meminfo", "r");
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %ld kB", &kilobytes) == 1)
			break;
	if (f)
		fclose(f);
	return kilobytes * 1024 / PAGE;
}

/* Maps pages into an area that then ends: by munmap(), or with the process that had it. */
static void maps_and_ends(struct pair *p, bool exits)
{
	pid_t child = exits ? start_child() : 0;
	static char block[SOME * PAGE];
	void *area;

	if (child) {
		if (end_of_child(child))
			die("child");
		return;
	}
	area = map_socket(p->server, SOME);
	deliver(p->client, p->server, block, SOME, 0);
	if (map_pages(p->server, area, SOME).length != SOME * PAGE)
		die("not mapped");
	if (exits)
		_exit(0);
	munmap(area, SOME * PAGE);
}

#define client (self->p.client)
#define server (self->p.server)

/* Text of @len bytes, in pieces: as many pages as @seed says, and bytes that are no page. */
static void send_mixed(int fd, size_t len)
{
	static unsigned char block[SOME * PAGE];
	unsigned int seed = 1;
	size_t at = 0, n;

	while (at < len) {
		seed = seed * 1103515245 + 12345;
		n = (seed >> 16) % 4 ? ((seed >> 18) % SOME + 1) * PAGE : (seed >> 18) % 5000 + 1;
		if (n > len - at)
			n = len - at;
		page_text(block, at, n);
		if (n % PAGE)
			send_all(fd, block, n);
		else
			send_pages(fd, block, n / PAGE);
		at += n;
	}
	shutdown(fd, SHUT_WR);
}

TEST_F(map_stream, stream_of_pages_and_others_is_exact)
{
	size_t len = amount(16 << 20, 1 << 20), at = 0, mapped = 0, copied = 0, calls = 0;
	unsigned char *area = map_socket(server, 64), got[3000];
	pid_t child = start_child();
	bool exact = true;

	if (!child) {
		close(server);
		send_mixed(client, len);
		_exit(0);
	}
	close(client);
	while (at < len) {
		struct mapping m = {
			.address = (uintptr_t)area, .length = 64 * PAGE,
			.copybuf_address = (uintptr_t)got,
			/* With and without, and with the pages of the former call still there. */
			.copybuf_len = calls % 3 ? sizeof(got) : 0,
			.flags = calls % 2 ? MAPPING_CLEAN : 0,
		};
		ssize_t n;

		calls++;
		ASSERT_NE(0, wait_events(server, POLLIN, 10000));
		ASSERT_EQ(0, receive_mapped(server, &m));
		exact = exact && is_page_text(area, at, m.length);
		at += m.length;
		mapped += m.length;
		ASSERT_LE(0, m.copybuf_len);
		exact = exact && is_page_text(got, at, m.copybuf_len);
		at += m.copybuf_len;
		copied += m.copybuf_len;
		while (m.recv_skip_hint) {
			n = m.recv_skip_hint < sizeof(got) ? m.recv_skip_hint : sizeof(got);
			n = recv(server, got, n, 0);
			ASSERT_LT(0, n);
			exact = exact && is_page_text(got, at, n);
			at += n;
			m.recv_skip_hint -= n;
		}
	}
	EXPECT_TRUE(exact);
	EXPECT_EQ(len, at);
	EXPECT_EQ(-1, recv_errno(server));
	EXPECT_LT(0, mapped);
	EXPECT_LT(0, copied);
	printf("# %zu of %zu bytes mapped, %zu copied, in %zu calls\n", mapped, len, copied, calls);
	EXPECT_EQ(0, end_of_child(child));
}

TEST_F_TIMEOUT(map_stream, pages_are_given_back, 180)
{
	size_t i, times = amount(2048, 1024), round;
	bool given_back = false;
	long before;

	/*
	 * Caches of allocators, and KASAN's quarantine, keep what they are given at
	 * first. What leaks is missing after each round.
	 */
	for (round = 0; round < 6 && !given_back; round++) {
		before = available_pages();
		for (i = 0; i < times; i++)
			maps_and_ends(&self->p, i % 2);
		given_back = wait_until(before - available_pages() < (long)times * SOME / 4, 500);
	}
	EXPECT_TRUE(given_back);
}

struct changes {
	int fd;
	void *area;
	bool over;
	unsigned long times;
};

/* The area of a socket is no such area, or another one, or part of it is gone: time and again. */
static void *changes_area(void *arg)
{
	int none = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
	struct changes *c = arg;

	while (!__atomic_load_n(&c->over, __ATOMIC_ACQUIRE)) {
		if (mmap(c->area, SOME * PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, c->fd, 0) !=
		    c->area)
			die("mmap");
		madvise(c->area, PAGE, MADV_DONTNEED);
		munmap(c->area + 2 * PAGE, 3 * PAGE);
		if (mmap(c->area, SOME * PAGE, PROT_READ, none, -1, 0) != c->area)
			die("mmap");
		__atomic_add_fetch(&c->times, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

TEST_F(map_stream, area_may_change_meanwhile)
{
	size_t len = amount(8 << 20, 1 << 20), at = 0, mapped = 0, refused = 0;
	struct changes c = { .fd = server };
	pid_t child = start_child();
	char byte[4096];
	pthread_t thread;

	if (!child) {
		close(server);
		send_mixed(client, len);
		_exit(0);
	}
	close(client);
	c.area = map_socket(server, SOME);
	ASSERT_EQ(0, pthread_create(&thread, NULL, changes_area, &c));
	while (at < len) {
		struct mapping m = { .address = (uintptr_t)c.area, .length = SOME * PAGE };
		ssize_t n = 0;
		int error;

		ASSERT_NE(0, wait_events(server, POLLIN, 10000));
		error = receive_mapped(server, &m);
		if (!error) {
			mapped += m.length;
			at += m.length;
			n = m.recv_skip_hint;
		} else {
			/* There is no area at this moment. */
			ASSERT_EQ(EINVAL, error);
			refused++;
			/* Now and then, so that it does not last. */
			n = refused % 64 ? 0 : 1;
		}
		while (n > 0) {
			ssize_t got = recv(server, byte, n < sizeof(byte) ? n : sizeof(byte), 0);

			ASSERT_LT(0, got);
			ASSERT_TRUE(is_page_text(byte, at, got));
			at += got;
			n -= got;
		}
	}
	__atomic_store_n(&c.over, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	EXPECT_EQ(len, at);
	EXPECT_EQ(-1, recv_errno(server));
	EXPECT_LT(0, mapped);
	EXPECT_LT(0, refused);
	EXPECT_LT(0, c.times);
	EXPECT_EQ(0, end_of_child(child));
}
