// SPDX-License-Identifier: GPL-2.0
/* The ways to send and to receive, and their flags. */
#include <poll.h>
#include <sys/mman.h>

#include "lib/selftest.h"

#include <linux/sockios.h>

PAIR_FIXTURE(data)

#define client (self->p.client)
#define server (self->p.server)

/* Waits until @n bytes can be read from @fd. */
static bool readable_bytes(int fd, int n)
{
	int have;

	return wait_until(!ioctl(fd, FIONREAD, &have) && have == n, 5000);
}

TEST_F(data, send_and_recv_both_ways)
{
	char got[6] = "";

	EXPECT_EQ(5, send(client, "there", 5, 0));
	recv_all(server, got, 5);
	EXPECT_STREQ("there", got);
	EXPECT_EQ(5, send(server, "again", 5, 0));
	recv_all(client, got, 5);
	EXPECT_STREQ("again", got);
}

TEST_F(data, read_and_write)
{
	char got[100] = "";

	EXPECT_EQ(5, write(client, "write", 5));
	ASSERT_TRUE(readable_bytes(server, 5));
	EXPECT_EQ(5, read(server, got, sizeof(got)));
	EXPECT_STREQ("write", got);
}

TEST_F(data, vectors_are_gathered_and_scattered)
{
	char a[2], b[3], c[100];
	struct iovec out[] = {
		{ "ab", 2 }, { "", 0 }, { "cdef", 4 }, { "g", 1 },
	}, in[] = {
		{ a, 2 }, { b, 3 }, { NULL, 0 }, { c, 100 },
	};

	EXPECT_EQ(7, writev(client, out, 4));
	ASSERT_TRUE(readable_bytes(server, 7));
	EXPECT_EQ(7, readv(server, in, 4));
	EXPECT_EQ(0, memcmp(a, "ab", 2));
	EXPECT_EQ(0, memcmp(b, "cde", 3));
	EXPECT_EQ(0, memcmp(c, "fg", 2));
}

TEST_F(data, sendmsg_and_recvmsg)
{
	char a[3], b[10];
	struct iovec out[] = { { "sendmsg", 7 }, { "!", 1 } }, in[] = { { a, 3 }, { b, 10 } };
	struct sockaddr_in name = {};
	struct msghdr m = { .msg_iov = out, .msg_iovlen = 2 };

	EXPECT_EQ(8, sendmsg(client, &m, 0));
	ASSERT_TRUE(readable_bytes(server, 8));
	m.msg_iov = in;
	m.msg_name = &name;
	m.msg_namelen = sizeof(name);
	m.msg_flags = -1;
	EXPECT_EQ(8, recvmsg(server, &m, 0));
	EXPECT_EQ(0, memcmp(a, "sen", 3));
	EXPECT_EQ(0, memcmp(b, "dmsg!", 5));
	/* A stream has no sender's name and no records. */
	EXPECT_EQ(0, m.msg_namelen);
	EXPECT_EQ(0, m.msg_flags & ~MSG_CMSG_CLOEXEC);
}

TEST_F(data, sendmmsg_and_recvmmsg)
{
	char got[2][4] = {};
	struct iovec out[] = { { "one", 3 }, { "two", 3 } };
	struct iovec in[] = { { got[0], 3 }, { got[1], 3 } };
	struct mmsghdr m[] = {
		{ .msg_hdr = { .msg_iov = &out[0], .msg_iovlen = 1 } },
		{ .msg_hdr = { .msg_iov = &out[1], .msg_iovlen = 1 } },
	};

	EXPECT_EQ(2, sendmmsg(client, m, 2, 0));
	ASSERT_TRUE(readable_bytes(server, 6));
	m[0].msg_hdr.msg_iov = &in[0];
	m[1].msg_hdr.msg_iov = &in[1];
	EXPECT_EQ(2, recvmmsg(server, m, 2, 0, NULL));
	EXPECT_STREQ("one", got[0]);
	EXPECT_STREQ("two", got[1]);
}

TEST_F(data, stream_has_no_record_boundaries)
{
	char got[10] = "";

	send_all(client, "abc", 3);
	send_all(client, "defgh", 5);
	ASSERT_TRUE(readable_bytes(server, 8));
	EXPECT_EQ(4, recv(server, got, 4, 0));
	EXPECT_STREQ("abcd", got);
	EXPECT_EQ(4, recv(server, got, 10, 0));
	EXPECT_STREQ("efgh", got);
}

TEST_F(data, dontwait_of_an_empty_queue_is_EAGAIN)
{
	char c;

	EXPECT_EQ(-1, recv(server, &c, 1, MSG_DONTWAIT));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, fcntl(server, F_GETFL) & O_NONBLOCK);
}

TEST_F(data, nonblocking_empty_queue_is_EAGAIN)
{
	int on = 1;

	set_nonblocking(server, true);
	EXPECT_EQ(EAGAIN, recv_errno(server));
	set_nonblocking(server, false);
	EXPECT_EQ(0, ioctl(server, FIONBIO, &on));
	EXPECT_EQ(EAGAIN, recv_errno(server));
}

TEST_F(data, peek_leaves_the_data)
{
	char got[10] = "";

	send_all(client, "peeks", 5);
	ASSERT_TRUE(readable_bytes(server, 5));
	EXPECT_EQ(3, recv(server, got, 3, MSG_PEEK));
	EXPECT_EQ(0, memcmp(got, "pee", 3));
	EXPECT_EQ(5, recv(server, got, 10, MSG_PEEK));
	EXPECT_EQ(5, recv(server, got, 10, 0));
	EXPECT_STREQ("peeks", got);
	EXPECT_EQ(-1, recv(server, got, 10, MSG_PEEK | MSG_DONTWAIT));
	EXPECT_EQ(EAGAIN, errno);
}

TEST_F(data, waitall_waits_for_all)
{
	char got[7] = "";
	pid_t child = start_child();

	if (!child) {
		if (recv(server, got, 6, MSG_WAITALL) != 6)
			_exit(1);
		_exit(strcmp(got, "abcdef") ? 2 : 0);
	}
	send_all(client, "abc", 3);
	/* Whether the child is asleep with three bytes or has not read yet, it must go on. */
	EXPECT_TRUE(sleeps(child, 5000));
	send_all(client, "def", 3);
	EXPECT_EQ(0, end_of_child(child));
}

TEST_F(data, waitall_ends_at_end_of_file)
{
	char got[10];

	send_all(client, "abc", 3);
	EXPECT_EQ(0, shutdown(client, SHUT_WR));
	EXPECT_EQ(3, recv(server, got, 10, MSG_WAITALL));
	EXPECT_EQ(0, recv(server, got, 10, MSG_WAITALL));
}

TEST_F(data, trunc_throws_away_without_copying)
{
	char got[10] = "untouched";

	send_all(client, "abcdefgh", 8);
	ASSERT_TRUE(readable_bytes(server, 8));
	EXPECT_EQ(6, recv(server, got, 6, MSG_TRUNC));
	EXPECT_STREQ("untouched", got);
	EXPECT_EQ(2, recv(server, got, 10, 0));
	EXPECT_EQ(0, memcmp(got, "gh", 2));
}

TEST_F(data, zero_length_is_0_and_sends_nothing)
{
	int have = -1;
	char c;

	EXPECT_EQ(0, send(client, "", 0, 0));
	EXPECT_EQ(0, write(client, "", 0));
	EXPECT_EQ(0, read(server, &c, 0));
	/* Unlike read(), recv() of no bytes waits for some. */
	EXPECT_EQ(-1, recv(server, &c, 0, MSG_DONTWAIT));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, ioctl(server, FIONREAD, &have));
	EXPECT_EQ(0, have);
	EXPECT_EQ(0, wait_events(server, POLLIN, 0));
}

TEST_F(data, recv_into_a_bad_pointer_is_EFAULT_and_loses_nothing)
{
	char got[4] = "";

	send_all(client, "abc", 3);
	ASSERT_TRUE(readable_bytes(server, 3));
	EXPECT_EQ(-1, recv(server, (void *)8, 3, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(3, recv(server, got, 3, MSG_DONTWAIT));
	EXPECT_STREQ("abc", got);
}

TEST_F(data, send_from_a_bad_pointer_is_EFAULT_and_sends_nothing)
{
	int have = -1;

	EXPECT_EQ(-1, send(client, (void *)8, 3, 0));
	EXPECT_EQ(EFAULT, errno);
	send_all(client, "x", 1);
	EXPECT_EQ(POLLIN, wait_events(server, POLLIN, 5000));
	EXPECT_EQ(0, ioctl(server, FIONREAD, &have));
	EXPECT_EQ(1, have);
}

TEST_F(data, send_from_a_half_bad_range_keeps_stream_and_count_together)
{
	size_t page = sysconf(_SC_PAGESIZE);
	char *memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
	char got[200];
	ssize_t sent;

	memset(memory, 'm', page);
	EXPECT_EQ(0, munmap(memory + page, page));
	sent = send(client, memory + page - 100, 200, 0);
	EXPECT_EQ(sent < 0 ? EFAULT : 0, sent < 0 ? errno : 0);
	EXPECT_EQ(sent < 0 ? -1 : 100, sent);
	send_all(client, "end", 3);
	EXPECT_EQ(0, shutdown(client, SHUT_WR));
	EXPECT_EQ((sent < 0 ? 0 : sent) + 3, recv(server, got, 200, MSG_WAITALL));
	EXPECT_EQ(sent < 0 ? 'e' : 'm', got[0]);
}

TEST_F(data, fionread_counts_what_can_be_read)
{
	char got[4];
	int have;

	send_all(client, "abcdefgh", 8);
	ASSERT_TRUE(readable_bytes(server, 8));
	recv_all(server, got, 3);
	EXPECT_EQ(0, ioctl(server, SIOCINQ, &have));
	EXPECT_EQ(5, have);
}

TEST_F(data, outq_falls_to_0_when_acknowledged)
{
	int left;

	send_all(client, "abcdefgh", 8);
	EXPECT_TRUE(wait_until(!ioctl(client, SIOCOUTQ, &left) && left == 0, 5000));
}

TEST_F(data, outq_counts_what_the_peer_has_not_taken)
{
	size_t sent = fill(client);
	int left = 0, have = 0;

	/* What has arrived is still counted until its acknowledgement comes. */
	EXPECT_TRUE(wait_until(!ioctl(client, SIOCOUTQ, &left) &&
			       !ioctl(server, FIONREAD, &have) && (size_t)left + have == sent,
			       5000));
	EXPECT_LT(0, left);
	EXPECT_LT(0, have);
}

TEST_F(data, recv_wakes_when_data_comes)
{
	pid_t child = start_child();
	char got[4] = "";

	if (!child) {
		recv_all(server, got, 3);
		_exit(strcmp(got, "abc") != 0);
	}
	EXPECT_TRUE(sleeps(child, 5000));
	send_all(client, "abc", 3);
	EXPECT_EQ(0, end_of_child(child));
}

TEST_F(data, rcvlowat_holds_recv_and_poll_back)
{
	char got[20];

	set_option(server, SOL_SOCKET, SO_RCVLOWAT, 10);
	send_all(client, "123456789", 9);
	ASSERT_TRUE(readable_bytes(server, 9));
	EXPECT_EQ(0, wait_events(server, POLLIN, 50));
	send_all(client, "0", 1);
	EXPECT_EQ(POLLIN, wait_events(server, POLLIN, 5000));
	EXPECT_EQ(10, recv(server, got, 20, 0));
}

/* What is waited for has no room to come: small segments need more memory than text. */
TEST_F(data, rcvlowat_gives_way_to_a_closed_window)
{
	static const char piece[50];
	int64_t end = now_ms() + 5000;

	set_option(server, SOL_SOCKET, SO_RCVBUF, 4096);
	set_option(server, SOL_SOCKET, SO_RCVLOWAT, 4096);
	set_option(client, IPPROTO_TCP, TCP_NODELAY, 1);
	while (!wait_events(server, POLLIN, 0) && now_ms() < end)
		send(client, piece, sizeof(piece), MSG_DONTWAIT);
	EXPECT_EQ(POLLIN, wait_events(server, POLLIN, 0));
}

TEST_F(data, rcvtimeo_ends_recv_with_EAGAIN)
{
	int64_t start = now_ms();

	set_timeout(server, SO_RCVTIMEO, 120);
	EXPECT_EQ(EAGAIN, recv_errno(server));
	EXPECT_LE(120 - TICKS_MS, now_ms() - start);
}

/* More than a connection with an idle reader takes. */
static char *too_much(size_t *len)
{
	*len = 64 << 20;
	return calloc(1, *len);
}

TEST_F(data, sndtimeo_ends_send_with_EAGAIN_or_what_was_taken)
{
	int64_t start;
	size_t len;
	char *block = too_much(&len);
	ssize_t sent;

	set_timeout(client, SO_SNDTIMEO, 120);
	start = now_ms();
	sent = send(client, block, len, 0);
	EXPECT_LT(0, sent);
	EXPECT_GT(len, sent);
	EXPECT_LE(120 - TICKS_MS, now_ms() - start);
	/* Now that all is full, little or nothing goes. */
	do {
		sent = send(client, block, len, 0);
	} while (sent > 0);
	EXPECT_EQ(-1, sent);
	EXPECT_EQ(EAGAIN, errno);
}

TEST_F(data, signal_ends_recv_with_EINTR)
{
	pid_t child;

	count_signal(SIGUSR1, 0);
	child = signal_after(SIGUSR1, 50);
	EXPECT_EQ(EINTR, recv_errno(server));
	stop_child(child);
}

TEST_F(data, signal_with_SA_RESTART_does_not_end_recv)
{
	pid_t signaller, sender;

	count_signal(SIGUSR1, SA_RESTART);
	signaller = signal_after(SIGUSR1, 20);
	sender = start_child();
	if (!sender) {
		pause_ms(200);
		send_all(client, "x", 1);
		_exit(0);
	}
	EXPECT_EQ(0, recv_errno(server));
	stop_child(signaller);
	end_of_child(sender);
	EXPECT_LT(0, signals_seen());
}

TEST_F(data, signal_ends_send_with_EINTR_or_what_was_taken)
{
	size_t len;
	char *block = too_much(&len);
	ssize_t sent;
	pid_t child;

	count_signal(SIGUSR1, 0);
	child = signal_after(SIGUSR1, 50);
	sent = send(client, block, len, 0);
	EXPECT_GT(len, sent);
	do {
		sent = send(client, block, len, 0);
	} while (sent > 0);
	EXPECT_EQ(-1, sent);
	EXPECT_EQ(EINTR, errno);
	stop_child(child);
}

TEST_F(data, nonblocking_send_takes_a_part_and_then_nothing)
{
	size_t len, got;
	char *block = too_much(&len);
	ssize_t sent, all = 0;

	set_nonblocking(client, true);
	while ((sent = send(client, block, len, 0)) > 0)
		all += sent;
	EXPECT_EQ(-1, sent);
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_LT(0, all);
	EXPECT_GT(len, all);
	EXPECT_EQ(0, shutdown(client, SHUT_WR));
	got = drain(server);
	EXPECT_EQ(all, got);
}

TEST_F(data, blocking_send_larger_than_all_buffers)
{
	size_t len = amount(16 << 20, 1 << 20), got;
	char *block = calloc(1, len);
	pid_t child = start_child();

	if (!child) {
		close(client);
		got = drain(server);
		_exit(got != len);
	}
	EXPECT_EQ(len, send(client, block, len, 0));
	close(client);
	close(server);
	EXPECT_EQ(0, end_of_child(child));
}

TEST_F(data, thousand_single_bytes_stay_in_order)
{
	size_t i, n = amount(1000, 100);
	unsigned char c;

	for (i = 0; i < n; i++) {
		c = i;
		send_all(client, &c, 1);
	}
	for (i = 0; i < n; i++) {
		recv_all(server, &c, 1);
		ASSERT_EQ(i & 255, c);
	}
}

TEST_F(data, destination_given_to_sendto_is_ignored)
{
	struct sockaddr_in sin = address("10.9.9.9", 9);
	char got[3];

	EXPECT_EQ(3, sendto(client, "abc", 3, 0, (struct sockaddr *)&sin, sizeof(sin)));
	recv_all(server, got, 3);
}
