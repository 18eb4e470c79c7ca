// SPDX-License-Identifier: GPL-2.0
/*
 * mmap of a socket and TCP_ZEROCOPY_RECEIVE with right and wrong arguments, in each state of a
 * socket: the family under test answers as AF_INET does.
 */
#include <sys/mman.h>

#include "lib/mapping.h"
#include "lib/selftest.h"
#include "lib/trial.h"
#include "lib/wire.h"

FIXTURE(area_calls) {
	int unused;
};

FIXTURE_SETUP(area_calls)
{
	make_network(LOOPBACK);
	wire_open();
}

FIXTURE_TEARDOWN(area_calls)
{
}

static void in_state(const void *state)
{
	struct mapping m;
	int fd;

	fd = socket_in(state);
	set_nonblocking(fd, true);
	area = mmap(NULL, AREA * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	says("area %d", area != MAP_FAILED);
	if (!strcmp(state, "connected") || !strcmp(state, "write_shut"))
		comes(fd, 2, 0);
	asks_for(fd, "map", asks());
	asks_for(fd, "map again", asks());
	m = asks();
	m.copybuf_address = (uintptr_t)copies;
	m.copybuf_len = sizeof(copies);
	asks_for(fd, "with copies", m);
	m.address++;
	asks_for(fd, "wrong address", m);
	shows_poll(fd);
	did(take_error(fd));
}

static void lengths(const void *unused)
{
	int fd = begins();
	socklen_t len;

	comes(fd, 0, 10);
	for (len = 0; len <= 96; len++) {
		unsigned char bytes[160] = {};
		struct mapping m = asks();
		socklen_t answered = len;

		memset(bytes + len, 0x5a, sizeof(bytes) - len);
		memcpy(bytes, &m, len < sizeof(m) ? len : sizeof(m));
		says("%u", len);
		did(getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, bytes, &answered));
		says("%u", answered);
		memset(bytes, 0, 8);
		shows_bytes("answer", bytes, 64);
		shows_bytes("behind", bytes + 64, 64);
		if (len <= sizeof(m))
			continue;
		bytes[len - 1] = 1;
		memcpy(bytes, &m, sizeof(m));
		answered = len;
		did(getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, bytes, &answered));
		says("%u", answered);
	}
}

static void bad_pointers(const void *unused)
{
	void *edge = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	socklen_t len = sizeof(struct mapping), *const_len;
	struct mapping *at_edge, m;
	int fd = begins();

	comes(fd, 0, 10);
	m = asks();
	did(getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, BAD_POINTER, &len));
	did(getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &m, BAD_POINTER));
	len = -1;
	did(getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &m, &len));
	/* It ends in the middle, or where the known part ends. */
	munmap(edge + PAGE, PAGE);
	at_edge = edge + PAGE - 32;
	len = sizeof(m);
	did(getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, at_edge, &len));
	at_edge = edge + PAGE - sizeof(m);
	len = sizeof(m) + 8;
	did(getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, at_edge, &len));
	len = sizeof(m);
	did(getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, at_edge, &len));
	/* It can be read, not written. */
	*at_edge = asks();
	const_len = edge;
	*const_len = sizeof(m);
	mprotect(edge, PAGE, PROT_READ);
	did(getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, at_edge, &len));
	m = asks();
	did(getsockopt(fd, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &m, const_len));
	says("skip %u inq %u", m.recv_skip_hint, m.inq);
}

static void wrong_values(const void *unused)
{
	int fd = begins(), round;

	for (round = 0; round < 2; round++) {
		struct mapping m = asks();
		unsigned int bit;

		m.reserved = 1;
		asks_for(fd, "reserved", m);
		for (bit = 1; bit; bit <<= 1) {
			m = asks();
			m.length = 0;
			m.msg_flags = bit;
			asks_for(fd, "msg_flags", m);
			m.msg_flags = 0;
			m.flags = bit;
			asks_for(fd, "flags", m);
		}
		m = asks();
		m.length = 0;
		m.address = (uintptr_t)area + 1;
		asks_for(fd, "unaligned", m);
		m.address = 0;
		asks_for(fd, "nothing", m);
		m.address = (uintptr_t)copies / PAGE * PAGE;
		asks_for(fd, "no area", m);
		m.address = (uintptr_t)area + AREA * PAGE;
		asks_for(fd, "behind the area", m);
		m.address = 1ULL << 63;
		asks_for(fd, "the kernel's", m);
		m.address = -4096ULL;
		asks_for(fd, "the last page", m);
		m = asks();
		m.inq = 77;
		m.err = 77;
		m.recv_skip_hint = 77;
		m.length = 0;
		asks_for(fd, "answers that are there", m);
		if (!round)
			comes(fd, 2, 0);
	}
}

/* Only whether it succeeds: where is not alike. */
#define MMAP(len, prot, flags, offset) did(mmap(NULL, len, prot, flags, fd, offset) == MAP_FAILED)

static void areas(const void *unused)
{
	void *moved, *private, *none;
	struct mapping m;
	int fd = begins(), i;

	MMAP(0, PROT_READ, MAP_SHARED, 0);
	MMAP(PAGE, PROT_READ, 0, 0);
	MMAP(PAGE, PROT_READ, MAP_SHARED, 1);
	MMAP(PAGE, PROT_READ, MAP_SHARED, PAGE);
	MMAP(PAGE, PROT_READ, MAP_SHARED | MAP_POPULATE, 0);
	MMAP(PAGE, PROT_WRITE, MAP_SHARED, 0);
	MMAP(PAGE, PROT_WRITE, MAP_PRIVATE, 0);
	MMAP(PAGE, PROT_EXEC, MAP_SHARED, 0);
	MMAP(PAGE, PROT_READ, MAP_SHARED | MAP_HUGETLB, 0);
	MMAP(PAGE, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, 0);
	private = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, fd, PAGE);
	none = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_SHARED, fd, 0);
	for (i = 0; i < 3; i++) {
		static const int protections[] = { PROT_READ, PROT_NONE, PROT_READ | PROT_WRITE };

		did(mprotect(area, PAGE, protections[i]));
		did(mprotect(private, PAGE, protections[i]));
		did(mprotect(none, PAGE, protections[i]));
	}
	did(mprotect(area, PAGE, PROT_READ));
	did(mlock(area, PAGE));
	did(msync(area, PAGE, MS_SYNC));
	comes(fd, 4, 0);
	m = asks();
	m.address = (uintptr_t)private;
	m.length = PAGE;
	asks_for(fd, "private", m);
	m.address = (uintptr_t)area;
	asks_for(fd, "part of another protection", m);
	moved = mremap(area, AREA * PAGE, AREA * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		       area + 64 * PAGE);
	did(moved == MAP_FAILED);
	asks_for(fd, "where it was", m);
	m.address = (uintptr_t)moved;
	asks_for(fd, "where it went", m);
	did(munmap(moved + PAGE, PAGE));
	m.address = (uintptr_t)moved + PAGE;
	asks_for(fd, "a hole", m);
	m.address = (uintptr_t)moved + 2 * PAGE;
	asks_for(fd, "behind it", m);
}

static void other_sockets(const void *unused)
{
	struct mapping m;
	int fd = begins(), other;

	/* An area is of any socket of the family. */
	other = trial_socket(0);
	area = map_socket(other, AREA);
	close(other);
	comes(fd, 2, 0);
	m = asks();
	m.length = PAGE;
	asks_for(fd, "of a closed socket", m);
	close(trial_listener);
	area = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, open("/proc/self/exe", O_RDONLY), 0);
	m.address = (uintptr_t)area;
	asks_for(fd, "of a file", m);
}

TEST_F_TIMEOUT(area_calls, in_every_state, LIMIT)
{
	const char *const *state;
	char name[64];

	for (state = trial_states; *state; state++) {
		struct sequence s = { name, in_state, *state };

		snprintf(name, sizeof(name), "map.%s", *state);
		EXPECT_TRUE(alike(&s));
	}
}

TEST_F_TIMEOUT(area_calls, right_and_wrong_arguments, LIMIT)
{
	static const struct sequence sequences[] = {
		{ "map.lengths", lengths, NULL }, { "map.bad_pointers", bad_pointers, NULL },
		{ "map.wrong_values", wrong_values, NULL }, { "map.areas", areas, NULL },
		{ "map.other_sockets", other_sockets, NULL },
	};

	EXPECT_TRUE(all_alike(sequences, ARRAY_SIZE(sequences)));
}
