// SPDX-License-Identifier: GPL-2.0
/* io_uring: accept, connect, send, recv, their multishot forms, and sends without a copy. */
#include <linux/io_uring.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "lib/selftest.h"

#define ENTRIES 64
#define BUFFERS 16
#define BUFFER_LEN 64

/* A ring, with the system calls themselves. */
struct ring {
	int fd;
	unsigned int *sq_head, *sq_tail, *sq_mask, *sq_array;
	unsigned int *cq_head, *cq_tail, *cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

static void *map(int fd, size_t len, off_t what)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, what);

	if (p == MAP_FAILED)
		die("mmap of the ring");
	return p;
}

static struct ring make_ring(void)
{
	struct io_uring_params p = {};
	struct ring r;
	char *sq, *cq;

	r.fd = syscall(SYS_io_uring_setup, ENTRIES, &p);
	if (r.fd < 0)
		die("io_uring_setup");
	sq = map(r.fd, p.sq_off.array + p.sq_entries * sizeof(int), IORING_OFF_SQ_RING);
	cq = map(r.fd, p.cq_off.cqes + p.cq_entries * sizeof(*r.cqes), IORING_OFF_CQ_RING);
	r.sqes = map(r.fd, p.sq_entries * sizeof(*r.sqes), IORING_OFF_SQES);
	r.sq_head = (void *)(sq + p.sq_off.head);
	r.sq_tail = (void *)(sq + p.sq_off.tail);
	r.sq_mask = (void *)(sq + p.sq_off.ring_mask);
	r.sq_array = (void *)(sq + p.sq_off.array);
	r.cq_head = (void *)(cq + p.cq_off.head);
	r.cq_tail = (void *)(cq + p.cq_off.tail);
	r.cq_mask = (void *)(cq + p.cq_off.ring_mask);
	r.cqes = (void *)(cq + p.cq_off.cqes);
	return r;
}

/* Hands one request to the kernel. */
static void submit(struct ring *r, const struct io_uring_sqe *sqe)
{
	unsigned int tail = *r->sq_tail, i = tail & *r->sq_mask;

	r->sqes[i] = *sqe;
	r->sq_array[i] = i;
	__atomic_store_n(r->sq_tail, tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, r->fd, 1, 0, 0, NULL, 0) != 1)
		die("io_uring_enter");
}

static bool is_complete(const struct ring *r)
{
	return *r->cq_head != __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE);
}

/* What a request came to. */
struct outcome {
	int res;
	unsigned int flags;
};

/* The next completion. */
static struct outcome completion(struct ring *r)
{
	const struct io_uring_cqe *cqe;
	struct outcome outcome;

	if (!is_complete(r))
		wait_events(r->fd, POLLIN, 5000);
	if (!is_complete(r))
		die("nothing completes");
	cqe = &r->cqes[*r->cq_head & *r->cq_mask];
	outcome = (struct outcome){ cqe->res, cqe->flags };
	__atomic_store_n(r->cq_head, *r->cq_head + 1, __ATOMIC_RELEASE);
	return outcome;
}

static int result(struct ring *r)
{
	return completion(r).res;
}

static struct io_uring_sqe request(int op, int fd, const void *data, size_t len)
{
	struct io_uring_sqe sqe = {
		.opcode = op, .fd = fd, .addr = (unsigned long)data, .len = len,
	};

	return sqe;
}

PAIR_FIXTURE(uring)

TEST_F(uring, connect_and_accept)
{
	struct sockaddr_in sin = local_address(self->p.listener);
	struct io_uring_sqe sqe;
	struct ring r = make_ring();
	int fd = client_socket(&variant->combo, 0), got[2];

	sqe = request(IORING_OP_ACCEPT, self->p.listener, NULL, 0);
	submit(&r, &sqe);
	sqe = request(IORING_OP_CONNECT, fd, &sin, 0);
	sqe.off = sizeof(sin);
	submit(&r, &sqe);
	got[0] = result(&r);
	got[1] = result(&r);
	/* One is 0, the other a descriptor. */
	EXPECT_EQ(0, got[0] < got[1] ? got[0] : got[1]);
	EXPECT_LT(2, got[0] < got[1] ? got[1] : got[0]);
}

TEST_F(uring, connect_that_is_refused)
{
	struct sockaddr_in sin = local_address(self->p.listener);
	struct io_uring_sqe sqe;
	struct ring r = make_ring();
	int fd = client_socket(&variant->combo, 0);

	sin.sin_port = htons(1);
	sqe = request(IORING_OP_CONNECT, fd, &sin, 0);
	sqe.off = sizeof(sin);
	submit(&r, &sqe);
	EXPECT_EQ(-ECONNREFUSED, result(&r));
}

/* SOCKET_URING_OP_*, which a header may be too old for. */
enum { OP_SIOCINQ, OP_SIOCOUTQ };

TEST_F(uring, ioctls_say_how_much_there_is)
{
	struct io_uring_sqe sqe;
	struct ring r = make_ring();

	send_all(self->p.client, "hello", 5);
	EXPECT_EQ(POLLIN, wait_events(self->p.server, POLLIN, 5000));
	sqe = request(IORING_OP_URING_CMD, self->p.server, NULL, 0);
	sqe.cmd_op = OP_SIOCINQ;
	submit(&r, &sqe);
	EXPECT_EQ(5, result(&r));
	sqe.cmd_op = OP_SIOCOUTQ;
	submit(&r, &sqe);
	EXPECT_EQ(0, result(&r));
}

TEST_F(uring, a_recv_waits_for_the_send)
{
	struct io_uring_sqe sqe;
	struct ring r = make_ring();
	char text[16] = "";

	sqe = request(IORING_OP_RECV, self->p.server, text, sizeof(text));
	submit(&r, &sqe);
	EXPECT_FALSE(is_complete(&r));
	send_all(self->p.client, "hello", 5);
	EXPECT_EQ(5, result(&r));
	EXPECT_EQ(0, memcmp(text, "hello", 5));

	sqe = request(IORING_OP_SEND, self->p.server, "world", 5);
	submit(&r, &sqe);
	EXPECT_EQ(5, result(&r));
	recv_all(self->p.client, text, 5);
	EXPECT_EQ(0, memcmp(text, "world", 5));
}

TEST_F(uring, a_recv_ends_with_the_stream_and_with_a_shutdown)
{
	struct io_uring_sqe sqe;
	struct ring r = make_ring();
	char text[16];

	sqe = request(IORING_OP_RECV, self->p.server, text, sizeof(text));
	submit(&r, &sqe);
	sqe = request(IORING_OP_SHUTDOWN, self->p.client, NULL, SHUT_WR);
	submit(&r, &sqe);
	EXPECT_EQ(0, result(&r));
	EXPECT_EQ(0, result(&r));
}

TEST_F(uring, a_large_send_goes_on_until_all_is_taken)
{
	static char data[4 << 20], got[4 << 20];
	struct io_uring_sqe sqe;
	struct ring r = make_ring();
	size_t len = amount(sizeof(data), 1 << 16), i;

	for (i = 0; i < len; i++)
		data[i] = i % 251;
	sqe = request(IORING_OP_SEND, self->p.client, data, len);
	sqe.msg_flags = MSG_WAITALL;
	submit(&r, &sqe);
	recv_all(self->p.server, got, len);
	EXPECT_EQ(len, result(&r));
	EXPECT_EQ(0, memcmp(data, got, len));
}

TEST_F(uring, one_accept_for_many_connections)
{
	struct io_uring_sqe sqe = request(IORING_OP_ACCEPT, self->p.listener, NULL, 0);
	struct outcome cqe;
	struct ring r = make_ring();
	int i;

	sqe.ioprio = IORING_ACCEPT_MULTISHOT;
	submit(&r, &sqe);
	for (i = 0; i < 5; i++) {
		client_connect(&variant->combo, self->p.listener);
		cqe = completion(&r);
		EXPECT_LT(2, cqe.res);
		EXPECT_NE(0, cqe.flags & IORING_CQE_F_MORE);
	}
}

TEST_F(uring, one_recv_for_many_messages)
{
	static char buffers[BUFFERS][BUFFER_LEN];
	struct io_uring_sqe sqe;
	struct outcome cqe;
	struct ring r = make_ring();
	char byte;
	int i;

	sqe = request(IORING_OP_PROVIDE_BUFFERS, BUFFERS, buffers, BUFFER_LEN);
	sqe.buf_group = 7;
	submit(&r, &sqe);
	EXPECT_EQ(0, result(&r));
	sqe = request(IORING_OP_RECV, self->p.server, NULL, 0);
	sqe.ioprio = IORING_RECV_MULTISHOT;
	sqe.flags = IOSQE_BUFFER_SELECT;
	sqe.buf_group = 7;
	submit(&r, &sqe);
	for (i = 0; i < 8; i++) {
		byte = 'a' + i;
		send_all(self->p.client, &byte, 1);
		cqe = completion(&r);
		EXPECT_EQ(1, cqe.res);
		EXPECT_NE(0, cqe.flags & IORING_CQE_F_MORE);
		EXPECT_EQ(byte, buffers[cqe.flags >> IORING_CQE_BUFFER_SHIFT][0]);
	}
	shutdown(self->p.client, SHUT_WR);
	cqe = completion(&r);
	EXPECT_EQ(0, cqe.res);
	EXPECT_EQ(0, cqe.flags & IORING_CQE_F_MORE);
}

TEST_F(uring, a_send_without_a_copy_tells_when_its_memory_is_free)
{
	static char data[1 << 16], got[1 << 16];
	struct io_uring_sqe sqe = request(IORING_OP_SEND_ZC, self->p.client, data, sizeof(data));
	struct outcome cqe;
	struct ring r = make_ring();

	memset(data, 'z', sizeof(data));
	sqe.msg_flags = MSG_WAITALL;
	submit(&r, &sqe);
	cqe = completion(&r);
	EXPECT_EQ(sizeof(data), cqe.res);
	EXPECT_NE(0, cqe.flags & IORING_CQE_F_MORE);
	recv_all(self->p.server, got, sizeof(got));
	EXPECT_EQ(0, memcmp(data, got, sizeof(got)));
	cqe = completion(&r);
	EXPECT_NE(0, cqe.flags & IORING_CQE_F_NOTIF);
}
