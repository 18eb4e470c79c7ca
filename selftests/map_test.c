// SPDX-License-Identifier: GPL-2.0
/*
 * Received text that is mapped, not copied: mmap() of a socket and TCP_ZEROCOPY_RECEIVE. Over
 * loopback, where pages stay whole.
 */
#include <linux/sock_diag.h>
#include <poll.h>
#include <sys/mman.h>
#include <time.h>

#include "lib/pages.h"
#include "lib/selftest.h"

/* Most pages that a test of single steps sends. */
#define SOME 8

LO_PAIR_FIXTURE(map)

/* Sends text from byte @at on: @pages whole pages, then @rest bytes; all is there afterwards. */
static void sends(struct pair *p, size_t at, size_t pages, size_t rest)
{
	static unsigned char block[SOME * PAGE + PAGE];

	page_text(block, at, pages * PAGE + rest);
	deliver(p->client, p->server, block, pages, rest);
}

/* Whether there is a page: the kernel cannot read what is none either. */
static bool has_page(const unsigned char *area, size_t page)
{
	int p[2], error;

	if (pipe(p))
		die("pipe");
	error = write(p[1], area + page * PAGE, 1) == 1 ? 0 : errno;
	close(p[0]);
	close(p[1]);
	if (error && error != EFAULT)
		die("write");
	return !error;
}

#define client (self->p.client)
#define server (self->p.server)

TEST_F(map, whole_pages_are_mapped)
{
	unsigned char *area = map_socket(server, 2 * SOME);
	struct mapping m;

	sends(&self->p, 0, SOME, 0);
	m = map_pages(server, area, 2 * SOME);
	EXPECT_EQ(SOME * PAGE, m.length);
	EXPECT_EQ(0, m.recv_skip_hint);
	EXPECT_EQ(0, m.inq);
	EXPECT_EQ(0, m.err);
	EXPECT_TRUE(is_page_text(area, 0, SOME * PAGE));
	EXPECT_FALSE(has_page(area, SOME));
	EXPECT_EQ(0, unread(server));
	/* The pages are the reader's now, not the receive buffer's. */
	EXPECT_EQ(0, memory_of(server, SK_MEMINFO_RMEM_ALLOC));
}

TEST_F(map, no_more_than_is_asked_for_is_taken)
{
	unsigned char *area = map_socket(server, SOME);
	struct mapping m;

	sends(&self->p, 0, SOME, 0);
	m = map_pages(server, area, 3);
	EXPECT_EQ(3 * PAGE, m.length);
	EXPECT_EQ((SOME - 3) * PAGE, m.inq);
	EXPECT_EQ((SOME - 3) * PAGE, unread(server));
	EXPECT_FALSE(has_page(area, 3));
	m = map_pages(server, area + 3 * PAGE, SOME - 3);
	EXPECT_EQ((SOME - 3) * PAGE, m.length);
	EXPECT_TRUE(is_page_text(area, 0, SOME * PAGE));
}

TEST_F(map, text_that_is_no_page_is_to_be_read)
{
	unsigned char *area = map_socket(server, SOME), got[100];
	struct mapping m;

	sends(&self->p, 0, 0, sizeof(got));
	sends(&self->p, sizeof(got), 2, 0);
	m = map_pages(server, area, SOME);
	EXPECT_EQ(0, m.length);
	EXPECT_EQ(sizeof(got), m.recv_skip_hint);
	EXPECT_EQ(sizeof(got) + 2 * PAGE, m.inq);
	EXPECT_FALSE(has_page(area, 0));
	recv_all(server, got, sizeof(got));
	EXPECT_TRUE(is_page_text(got, 0, sizeof(got)));
	m = map_pages(server, area, SOME);
	EXPECT_EQ(2 * PAGE, m.length);
	EXPECT_TRUE(is_page_text(area, sizeof(got), 2 * PAGE));
}

TEST_F(map, text_that_is_no_page_is_copied_where_there_is_room)
{
	unsigned char *area = map_socket(server, SOME), got[PAGE];
	struct mapping m = {
		.address = (uintptr_t)area, .length = SOME * PAGE,
		.copybuf_address = (uintptr_t)got, .copybuf_len = 60,
	};

	/* All of it at once. */
	sends(&self->p, 0, 0, 50);
	ASSERT_EQ(0, receive_mapped(server, &m));
	EXPECT_EQ(0, m.length);
	EXPECT_EQ(0, m.recv_skip_hint);
	EXPECT_EQ(50, m.copybuf_len);
	EXPECT_TRUE(is_page_text(got, 0, 50));
	EXPECT_EQ(0, unread(server));

	/* What is before pages, in two pieces; then pages. */
	sends(&self->p, 50, 0, 100);
	sends(&self->p, 150, 2, 0);
	m.length = SOME * PAGE;
	m.copybuf_len = 60;
	ASSERT_EQ(0, receive_mapped(server, &m));
	EXPECT_EQ(0, m.length);
	EXPECT_EQ(60, m.copybuf_len);
	EXPECT_EQ(40, m.recv_skip_hint);
	EXPECT_TRUE(is_page_text(got, 50, 60));
	m.length = SOME * PAGE;
	m.copybuf_len = 40;
	ASSERT_EQ(0, receive_mapped(server, &m));
	EXPECT_EQ(0, m.length);
	EXPECT_EQ(40, m.copybuf_len);
	EXPECT_TRUE(is_page_text(got, 110, 40));
	m.length = SOME * PAGE;
	ASSERT_EQ(0, receive_mapped(server, &m));
	EXPECT_EQ(2 * PAGE, m.length);
	EXPECT_EQ(0, m.copybuf_len);
	EXPECT_TRUE(is_page_text(area, 150, 2 * PAGE));
}

TEST_F(map, bad_place_for_copies_loses_nothing)
{
	unsigned char *area = map_socket(server, SOME), got[100];
	struct mapping m = {
		.address = (uintptr_t)area, .length = SOME * PAGE,
		.copybuf_address = 8, .copybuf_len = sizeof(got),
	};

	sends(&self->p, 0, 0, sizeof(got));
	EXPECT_EQ(EFAULT, receive_mapped(server, &m));
	EXPECT_EQ(sizeof(got), unread(server));
	sends(&self->p, sizeof(got), 1, 0);
	ASSERT_EQ(0, receive_mapped(server, &m));
	EXPECT_EQ(-EFAULT, m.copybuf_len);
	EXPECT_EQ(0, m.length);
	EXPECT_EQ(sizeof(got), m.recv_skip_hint);
	EXPECT_EQ(sizeof(got) + PAGE, unread(server));
	recv_all(server, got, sizeof(got));
	EXPECT_TRUE(is_page_text(got, 0, sizeof(got)));
	EXPECT_EQ(PAGE, map_pages(server, area, 1).length);
	EXPECT_TRUE(is_page_text(area, sizeof(got), PAGE));
}

TEST_F(map, pages_are_replaced_by_those_of_the_next_call)
{
	unsigned char *area = map_socket(server, 4);
	struct mapping m = {
		.address = (uintptr_t)area, .length = 4 * PAGE, .flags = MAPPING_CLEAN,
	};

	sends(&self->p, 0, 4, 0);
	EXPECT_EQ(4 * PAGE, map_pages(server, area, 4).length);
	sends(&self->p, 4 * PAGE, 2, 0);
	EXPECT_EQ(2 * PAGE, map_pages(server, area, 4).length);
	EXPECT_TRUE(is_page_text(area, 4 * PAGE, 2 * PAGE));
	/* Those in whose place nothing came stay. */
	EXPECT_TRUE(is_page_text(area + 2 * PAGE, 2 * PAGE, 2 * PAGE));

	/* The user says that there are none, which is wrong. */
	sends(&self->p, 6 * PAGE, 3, 0);
	ASSERT_EQ(0, receive_mapped(server, &m));
	EXPECT_EQ(3 * PAGE, m.length);
	EXPECT_TRUE(is_page_text(area, 6 * PAGE, 3 * PAGE));
	EXPECT_TRUE(is_page_text(area + 3 * PAGE, 3 * PAGE, PAGE));

	/* Which is right. */
	EXPECT_EQ(0, madvise(area, 4 * PAGE, MADV_DONTNEED));
	EXPECT_FALSE(has_page(area, 0));
	sends(&self->p, 9 * PAGE, 1, 0);
	m.length = 4 * PAGE;
	ASSERT_EQ(0, receive_mapped(server, &m));
	EXPECT_EQ(PAGE, m.length);
	EXPECT_TRUE(is_page_text(area, 9 * PAGE, PAGE));
}

TEST_F(map, area_is_read_only_for_ever)
{
	int writable = PROT_READ | PROT_WRITE, executable = PROT_READ | PROT_EXEC;
	unsigned char *area;

	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, writable, MAP_SHARED, server, 0));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, executable, MAP_SHARED, server, 0));
	EXPECT_EQ(EPERM, errno);
	area = map_socket(server, 1);
	EXPECT_EQ(-1, mprotect(area, PAGE, writable));
	EXPECT_EQ(EACCES, errno);
	EXPECT_EQ(-1, mprotect(area, PAGE, executable));
	EXPECT_EQ(EACCES, errno);
}

TEST_F(map, end_of_stream_is_told_after_the_text)
{
	struct mapping m = { .length = 2 * PAGE };
	unsigned char *area = map_socket(server, 2);

	m.address = (uintptr_t)area;
	sends(&self->p, 0, 2, 0);
	ASSERT_EQ(0, shutdown(client, SHUT_WR));
	ASSERT_EQ(POLLRDHUP, wait_events(server, POLLRDHUP, 5000));
	ASSERT_EQ(0, receive_mapped(server, &m));
	EXPECT_EQ(2 * PAGE, m.length);
	/* The FIN counts, so that whoever reads while there is something meets it. */
	EXPECT_EQ(1, m.inq);
	EXPECT_EQ(EIO, receive_mapped(server, &m));
	EXPECT_EQ(-1, recv_errno(server));
	EXPECT_TRUE(is_page_text(area, 0, 2 * PAGE));
}

TEST_F(map, error_of_the_connection_is_told_once)
{
	struct mapping m = { .length = PAGE };
	struct linger hard = { .l_onoff = 1 };

	m.address = (uintptr_t)map_socket(server, 1);
	setsockopt(client, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	close(client);
	ASSERT_NE(0, wait_events(server, POLLERR, 5000) & POLLERR);
	EXPECT_EQ(0, receive_mapped(server, &m));
	EXPECT_EQ(-ECONNRESET, m.err);
	EXPECT_EQ(0, receive_mapped(server, &m));
	EXPECT_EQ(0, m.err);
	EXPECT_EQ(0, take_error(server));
}

TEST_F(map, pages_and_socket_outlive_the_descriptor)
{
	uint16_t here = local_port(server), there = local_port(client);
	unsigned char *area = map_socket(server, SOME);

	sends(&self->p, 0, SOME, 0);
	EXPECT_EQ(SOME * PAGE, map_pages(server, area, SOME).length);
	close(server);
	EXPECT_EQ(TCP_ESTABLISHED, connection_state(own_family(), here, there));
	EXPECT_TRUE(is_page_text(area, 0, SOME * PAGE));
	munmap(area, SOME * PAGE);
	EXPECT_EQ(POLLRDHUP, wait_events(client, POLLRDHUP, 5000));
	EXPECT_TRUE(reaches_state(own_family(), here, there, TCP_FIN_WAIT2, 5000));
}

TEST_F(map, mapping_stops_at_the_urgent_byte)
{
	unsigned char *area = map_socket(server, 4);
	struct mapping m;

	sends(&self->p, 0, 2, 0);
	ASSERT_EQ(1, send(client, "!", 1, MSG_OOB));
	ASSERT_TRUE(wait_until(wait_events(server, POLLPRI, 0) & POLLPRI, 5000));
	m = map_pages(server, area, 1);
	EXPECT_EQ(PAGE, m.length);
	m = map_pages(server, area + PAGE, 3);
	EXPECT_EQ(PAGE, m.length);
	EXPECT_TRUE(is_page_text(area, 0, 2 * PAGE));
	m = map_pages(server, area, 4);
	EXPECT_EQ(0, m.length);
	EXPECT_EQ(0, m.recv_skip_hint);
}

TEST_F(map, time_of_arrival_is_told_with_the_pages)
{
	union {
		char bytes[256];
		struct cmsghdr head;
	} control = {};
	struct mapping m = {
		.address = (uintptr_t)map_socket(server, 2), .length = 2 * PAGE,
		.msg_control = (uintptr_t)&control, .msg_controllen = sizeof(control),
		.msg_flags = MAPPING_STAMP,
	};
	struct timespec now, came;

	set_option(server, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	/* What comes is stamped a moment after the first socket has asked for it. */
	do {
		sends(&self->p, 0, 2, 0);
		m.length = 2 * PAGE;
		m.msg_control = (uintptr_t)&control;
		m.msg_controllen = sizeof(control);
		m.msg_flags = MAPPING_STAMP;
		ASSERT_EQ(0, receive_mapped(server, &m));
		ASSERT_EQ(2 * PAGE, m.length);
	} while (m.msg_controllen == sizeof(control));
	EXPECT_EQ(0, m.msg_flags);
	EXPECT_EQ(sizeof(control) - CMSG_SPACE(sizeof(came)), m.msg_controllen);
	EXPECT_EQ((uintptr_t)&control + CMSG_SPACE(sizeof(came)), m.msg_control);
	EXPECT_EQ(SOL_SOCKET, control.head.cmsg_level);
	EXPECT_EQ(SO_TIMESTAMPNS, control.head.cmsg_type);
	memcpy(&came, CMSG_DATA(&control.head), sizeof(came));
	clock_gettime(CLOCK_REALTIME, &now);
	EXPECT_LE(came.tv_sec, now.tv_sec);
	EXPECT_GE(came.tv_sec, now.tv_sec - 10 * slowness());
}
