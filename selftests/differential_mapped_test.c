// SPDX-License-Identifier: GPL-2.0
/*
 * What TCP_ZEROCOPY_RECEIVE maps, copies and leaves of text of all kinds, and what else a read
 * does: the family under test answers as AF_INET does.
 */
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "lib/mapping.h"
#include "lib/selftest.h"
#include "lib/trial.h"

FIXTURE(mapped) {
	int unused;
};

FIXTURE_SETUP(mapped)
{
	make_network(LOOPBACK);
}

FIXTURE_TEARDOWN(mapped)
{
}

static void amounts(const void *unused)
{
	static const unsigned int lengths[] = {
		0, 1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE - 1, 100 * PAGE, -1U, -PAGE,
	};
	int fd = begins();
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct mapping m = asks();

		comes(fd, 4, 0);
		m.length = lengths[i];
		asks_for(fd, "at the begin", m);
		m.address += (AREA - 2) * PAGE;
		asks_for(fd, "at the end", m);
		m.address = (uintptr_t)area;
		m.copybuf_address = (uintptr_t)copies;
		m.copybuf_len = 100;
		asks_for(fd, "with few copies", m);
		reads_all(fd);
	}
}

static void places_for_copies(const void *unused)
{
	static const int room[] = { -1, 0, 1, 99, 100, 101, 4096, INT32_MIN, INT32_MAX };
	static const uint64_t places[] = { 0, 8, 1ULL << 47, 1ULL << 63, -1ULL };
	int fd = begins();
	struct mapping m;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(room); i++) {
		m = asks();
		m.copybuf_address = (uintptr_t)copies;
		m.copybuf_len = room[i];
		asks_for(fd, "nothing", m);
		comes(fd, 0, 100);
		asks_for(fd, "less than a page", m);
		reads_all(fd);
		comes(fd, 2, 100);
		asks_for(fd, "pages and more", m);
		reads_all(fd);
		comes(fd, 0, 100);
		comes(fd, 2, 0);
		asks_for(fd, "text before pages", m);
		asks_for(fd, "what is left", m);
		reads_all(fd);
	}
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		m = asks();
		m.copybuf_address = places[i];
		m.copybuf_len = 100;
		comes(fd, 0, 100);
		asks_for(fd, "bad place", m);
		comes(fd, 1, 0);
		asks_for(fd, "bad place, and a page", m);
		did(recv(fd, NULL, 100, MSG_TRUNC | MSG_DONTWAIT));
		asks_for(fd, "bad place for nothing", m);
	}
}

static void hints(const void *unused)
{
	static const size_t steps[] = { 1, 99, PAGE, 10, PAGE + 10, 50 };
	int fd = begins();
	size_t i;

	comes(fd, 0, 100);
	comes(fd, 2, 100);
	comes(fd, 1, 0);
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		struct mapping m = asks();

		m.length = PAGE;
		asks_for(fd, "a page", m);
		m.copybuf_address = (uintptr_t)copies;
		m.copybuf_len = 7;
		asks_for(fd, "with copies", m);
		did(recv(fd, NULL, steps[i], MSG_TRUNC | MSG_DONTWAIT));
	}
}

static void end_of_stream(const void *arg)
{
	struct linger hard = { .l_onoff = 1 };
	bool reset = arg;
	struct mapping m;
	int fd = begins();

	comes(fd, 1, 30);
	if (reset)
		setsockopt(trial_peer, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(trial_peer);
	settles(fd, POLLRDHUP);
	m = asks();
	m.length = 0;
	asks_for(fd, "nothing", m);
	asks_for(fd, "a page", asks());
	asks_for(fd, "what is left", asks());
	m = asks();
	m.copybuf_address = (uintptr_t)copies;
	m.copybuf_len = 100;
	asks_for(fd, "copies", m);
	asks_for(fd, "the end", m);
	asks_for(fd, "the end", asks());
	did(recv(fd, copies, 10, MSG_DONTWAIT));
	shows_poll(fd);
}

static void shut_for_reading(const void *unused)
{
	int fd = begins();

	comes(fd, 1, 30);
	did(shutdown(fd, SHUT_RD));
	asks_for(fd, "shut", asks());
	asks_for(fd, "shut", asks());
	shows_poll(fd);
}

static void urgent(const void *inlined)
{
	struct mapping m;
	int fd = begins(), mark = -1, i;

	if (inlined)
		set_option(fd, SOL_SOCKET, SO_OOBINLINE, 1);
	comes(fd, 2, 0);
	did(send(trial_peer, "!", 1, MSG_OOB));
	settles(fd, POLLPRI);
	send_all(trial_peer, "behind", 6);
	if (!all_acknowledged(trial_peer))
		die("not acknowledged");
	m = asks();
	m.length = PAGE;
	asks_for(fd, "a page", m);
	for (i = 0; i < 3; i++) {
		asks_for(fd, "the rest", asks());
		m = asks();
		m.copybuf_address = (uintptr_t)copies;
		m.copybuf_len = 3;
		asks_for(fd, "copies", m);
		did(ioctl(fd, SIOCATMARK, &mark));
		says("mark %d", mark);
		did(recv(fd, copies, 1, MSG_DONTWAIT));
		shows_bytes("read", copies, 1);
	}
	shows_poll(fd);
}

static void low_water(const void *unused)
{
	int fd = begins();

	set_option(fd, SOL_SOCKET, SO_RCVLOWAT, 2 * PAGE);
	comes(fd, 1, 0);
	shows_poll(fd);
	comes(fd, 1, 0);
	shows_poll(fd);
	asks_for(fd, "pages", asks());
	shows_poll(fd);
	comes(fd, 0, 100);
	asks_for(fd, "pages", asks());
}

static void peek_offset(const void *unused)
{
	int fd = begins();
	struct mapping m;

	set_option(fd, SOL_SOCKET, SO_PEEK_OFF, 0);
	comes(fd, 2, 20);
	did(recv(fd, copies, PAGE + 5, MSG_PEEK | MSG_DONTWAIT));
	m = asks();
	m.length = PAGE;
	asks_for(fd, "a page", m);
	did(get_option(fd, SOL_SOCKET, SO_PEEK_OFF));
}

static void stamps(const void *arg)
{
	static const unsigned int rooms[] = { sizeof(control), 32, 31, 16, 15, 1, 0 };
	int option = *(const int *)arg, fd = begins();
	struct mapping m;
	size_t i;

	set_option(fd, SOL_SOCKET, option, 1);
	/* What comes is stamped a moment after the first socket has asked for it. */
	do {
		comes(fd, 1, 0);
		m = asks();
		m.msg_control = (uintptr_t)control;
		m.msg_controllen = sizeof(control);
		if (receive_mapped(fd, &m) || m.length != PAGE)
			die("not mapped");
	} while (m.msg_controllen == sizeof(control));
	for (i = 0; i < ARRAY_SIZE(rooms); i++) {
		m = asks();
		m.msg_control = (uintptr_t)control;
		m.msg_controllen = rooms[i];
		m.msg_flags = MAPPING_STAMP;
		asks_for(fd, "nothing came", m);
		comes(fd, 1, 0);
		asks_for(fd, "a page", m);
		shows_bytes("control", control, 16);
		comes(fd, 0, 20);
		asks_for(fd, "less", m);
		m.copybuf_address = (uintptr_t)copies;
		m.copybuf_len = sizeof(copies);
		asks_for(fd, "copies", m);
		shows_bytes("control", control, 16);
		comes(fd, 1, 0);
		calls(fd, "no room for it", m, offsetof(struct mapping, msg_flags));
		shows_bytes("control", control, 16);
	}
	m.msg_control = 8;
	m.msg_controllen = 100;
	comes(fd, 1, 0);
	asks_for(fd, "bad control", m);
}

/* Pages that are of a file, or of somebody's memory, are not lent. */
static void pages_of_others(const void *unused)
{
	int file = memfd_create("pages", 0), fd = begins(), p[2];
	void *block = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	struct iovec iov = { block, 4 * PAGE };
	off_t offset = 0;

	page_text(block, 0, 4 * PAGE);
	if (write(file, block, 4 * PAGE) != 4 * PAGE || pipe(p))
		die("pages");
	if (sendfile(trial_peer, file, &offset, 4 * PAGE) != 4 * PAGE)
		die("sendfile");
	if (!wait_until(unread(fd) == 4 * PAGE, 5000))
		die("nothing comes");
	asks_for(fd, "of a file", asks());
	reads_all(fd);
	if (vmsplice(p[1], &iov, 1, 0) != 4 * PAGE ||
	    splice(p[0], NULL, trial_peer, NULL, 4 * PAGE, 0) != 4 * PAGE)
		die("vmsplice");
	if (!wait_until(unread(fd) == 4 * PAGE, 5000))
		die("nothing comes");
	asks_for(fd, "of memory", asks());
	reads_all(fd);
	set_option(trial_peer, SOL_SOCKET, SO_ZEROCOPY, 1);
	if (send(trial_peer, block, 4 * PAGE, MSG_ZEROCOPY) != 4 * PAGE)
		die("MSG_ZEROCOPY");
	if (!wait_until(unread(fd) == 4 * PAGE, 5000))
		die("nothing comes");
	asks_for(fd, "copies of memory", asks());
}

/* TCP_INQ is for recvmsg(); nothing of it is told here. */
static void with_inq(const void *unused)
{
	int fd = begins();
	struct mapping m = asks();

	set_option(fd, IPPROTO_TCP, TCP_INQ, 1);
	m.msg_control = (uintptr_t)control;
	m.msg_controllen = sizeof(control);
	m.copybuf_address = (uintptr_t)copies;
	m.copybuf_len = sizeof(copies);
	comes(fd, 0, 20);
	asks_for(fd, "copies", m);
	comes(fd, 2, 20);
	asks_for(fd, "pages", m);
	calls(fd, "the end", m, sizeof(m));
}

static void stale_pages(const void *flags)
{
	int fd = begins(), i;

	for (i = 0; i < 4; i++) {
		struct mapping m = asks();

		comes(fd, AREA - i, 0);
		m.flags = flags ? MAPPING_CLEAN : 0;
		asks_for(fd, "all", m);
		shows_area(area, (AREA - i) * PAGE);
		did(madvise(area + i * PAGE, PAGE, MADV_DONTNEED));
	}
}

TEST_F_TIMEOUT(mapped, pages_and_other_text, LIMIT)
{
	static const struct sequence sequences[] = {
		{ "map.amounts", amounts, NULL }, { "map.places_for_copies", places_for_copies, NULL },
		{ "map.hints", hints, NULL }, { "map.pages_of_others", pages_of_others, NULL },
		{ "map.stale", stale_pages, NULL }, { "map.clean", stale_pages, "" },
	};

	EXPECT_TRUE(all_alike(sequences, ARRAY_SIZE(sequences)));
}

TEST_F_TIMEOUT(mapped, what_a_read_does, LIMIT)
{
	static const int timestamp = SO_TIMESTAMP, timestamp_ns = SO_TIMESTAMPNS;
	static const struct sequence sequences[] = {
		{ "map.fin", end_of_stream, NULL }, { "map.reset", end_of_stream, "" },
		{ "map.shut_for_reading", shut_for_reading, NULL }, { "map.urgent", urgent, NULL },
		{ "map.urgent_inline", urgent, "" }, { "map.low_water", low_water, NULL },
		{ "map.peek_offset", peek_offset, NULL }, { "map.with_inq", with_inq, NULL },
		{ "map.timestamp", stamps, &timestamp }, { "map.timestamp_ns", stamps, &timestamp_ns },
	};

	EXPECT_TRUE(all_alike(sequences, ARRAY_SIZE(sequences)));
}
