// SPDX-License-Identifier: GPL-2.0
/* Sockets as files among files: sendfile(), splice(), dup(). */
#include <sys/mman.h>
#include <sys/sendfile.h>

#include "lib/selftest.h"

PAIR_FIXTURE(file)

#define client (self->p.client)
#define server (self->p.server)

/* A file of @len bytes, each the low byte of its offset times 7. */
static int counting_file(size_t len)
{
	int fd = memfd_create("source", 0);
	unsigned char block[4096];
	size_t i, j;

	for (i = 0; i < len; i += sizeof(block)) {
		for (j = 0; j < sizeof(block); j++)
			block[j] = (i + j) * 7;
		if (write(fd, block, sizeof(block)) != sizeof(block))
			die("write");
	}
	return fd;
}

static bool counts(const unsigned char *data, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (data[i] != (unsigned char)(i * 7))
			return false;
	return true;
}

TEST_F(file, sendfile_sends_the_file)
{
	size_t len = 256 << 10, done = 0;
	unsigned char *got = malloc(len);
	int file = counting_file(len);
	pid_t child = start_child();
	off_t offset = 0;
	ssize_t n;

	if (!child) {
		recv_all(server, got, len);
		_exit(!counts(got, len));
	}
	while (done < len) {
		n = sendfile(client, file, &offset, len - done);
		ASSERT_LT(0, n);
		done += n;
	}
	EXPECT_EQ(0, end_of_child(child));
}

/* It says that more follows until it has seen the end of the file: what it sent goes then. */
TEST_F(file, sendfile_of_more_than_the_file_has_keeps_nothing_back)
{
	int file = counting_file(4096), shortest = 1000, i;
	char got[96];
	int64_t start;
	off_t offset;

	/* A timer would send it, after 200 ms at least. */
	for (i = 0; i < 10; i++) {
		start = now_ms();
		offset = 4000;
		ASSERT_EQ(96, sendfile(client, file, &offset, 1 << 20));
		recv_all(server, got, sizeof(got));
		if (now_ms() - start < shortest)
			shortest = now_ms() - start;
	}
	EXPECT_GT(100, shortest);
}

TEST_F(file, splice_into_and_out_of_a_socket)
{
	size_t len = 32 << 10, out = 0, in = 0;
	unsigned char *got = malloc(len);
	int file = counting_file(len), to[2], from[2];
	ssize_t n;

	ASSERT_EQ(0, pipe(to));
	ASSERT_EQ(0, pipe(from));
	lseek(file, 0, SEEK_SET);
	while (out < len) {
		n = splice(file, NULL, to[1], NULL, len - out, 0);
		ASSERT_LT(0, n);
		EXPECT_EQ(n, splice(to[0], NULL, client, NULL, n, 0));
		out += n;
	}
	while (in < len) {
		n = splice(server, NULL, from[1], NULL, len - in, 0);
		ASSERT_LT(0, n);
		EXPECT_EQ(n, read(from[0], got + in, n));
		in += n;
	}
	EXPECT_TRUE(counts(got, len));
}

TEST_F(file, duplicated_descriptor_is_the_same_stream)
{
	int copy = dup(client);
	char got[6] = "";

	send_all(client, "abc", 3);
	close(client);
	send_all(copy, "def", 3);
	recv_all(server, got, 6);
	EXPECT_EQ(0, memcmp(got, "abcdef", 6));
	close(copy);
	EXPECT_EQ(-1, recv_errno(server));
}
