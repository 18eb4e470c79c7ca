// SPDX-License-Identifier: GPL-2.0
/* What a socket tells beside the data: TCP_INQ, SO_TIMESTAMPING. */
#include <poll.h>
#include <time.h>

#include "lib/selftest.h"

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>

#ifndef TCP_INQ
#define TCP_INQ 36
#define TCP_CM_INQ TCP_INQ
#endif
/* 6.2, not yet in the headers of Debian 12 */
#define OPT_ID_TCP (1 << 16)

PAIR_FIXTURE(report)

#define client (self->p.client)
#define server (self->p.server)

/* Reads up to @len bytes; what TCP_CM_INQ said, -1 when it was not there. */
static int inq_after(int fd, size_t len)
{
	char data[100], control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { data, len };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;

	if (recvmsg(fd, &m, 0) < 0)
		return -errno;
	c = CMSG_FIRSTHDR(&m);
	if (!c || c->cmsg_level != SOL_TCP || c->cmsg_type != TCP_CM_INQ)
		return -1;
	return *(int *)CMSG_DATA(c);
}

TEST_F(report, inq_is_off_until_asked_for)
{
	send_all(client, "x", 1);
	EXPECT_EQ(0, get_option(server, SOL_TCP, TCP_INQ));
	EXPECT_EQ(-1, inq_after(server, 1));
}

TEST_F(report, inq_counts_what_is_left)
{
	int have;

	set_option(server, SOL_TCP, TCP_INQ, 1);
	EXPECT_EQ(1, get_option(server, SOL_TCP, TCP_INQ));
	send_all(client, "0123456789", 10);
	ASSERT_TRUE(wait_until(!ioctl(server, FIONREAD, &have) && have == 10, 5000));
	EXPECT_EQ(7, inq_after(server, 3));
	EXPECT_EQ(0, inq_after(server, 7));
}

TEST_F(report, inq_counts_the_end_of_file)
{
	set_option(server, SOL_TCP, TCP_INQ, 1);
	send_all(client, "ab", 2);
	shutdown(client, SHUT_WR);
	ASSERT_EQ(POLLRDHUP, wait_events(server, POLLRDHUP, 5000));
	EXPECT_EQ(2, inq_after(server, 1));
	EXPECT_EQ(1, inq_after(server, 1));
}

TEST_F(report, inq_takes_0_and_1_alone)
{
	int two = 2;

	EXPECT_EQ(-1, setsockopt(server, SOL_TCP, TCP_INQ, &two, sizeof(two)));
	EXPECT_EQ(EINVAL, errno);
}

/* The next report of SO_TIMESTAMPING. */
struct stamp {
	uint32_t kind;	/* SCM_TSTAMP_* */
	uint32_t key;
	bool timed;
};

static struct stamp next_stamp(int fd)
{
	char control[512];
	struct msghdr m = { .msg_control = control, .msg_controllen = sizeof(control) };
	struct stamp stamp = {};
	struct cmsghdr *c;

	if (wait_events(fd, POLLERR, 5000) != POLLERR || recvmsg(fd, &m, MSG_ERRQUEUE) < 0)
		die("no report");
	for (c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR) {
			struct sock_extended_err *e = (void *)CMSG_DATA(c);

			if (e->ee_errno != ENOMSG || e->ee_origin != SO_EE_ORIGIN_TIMESTAMPING)
				die("another error");
			stamp.kind = e->ee_info;
			stamp.key = e->ee_data;
		} else if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPING) {
			struct scm_timestamping *t = (void *)CMSG_DATA(c);

			stamp.timed = t->ts[0].tv_sec || t->ts[0].tv_nsec;
		}
	}
	return stamp;
}

#define EXPECT_STAMP(fd, expected_kind, expected_key) ({	\
	struct stamp s_ = next_stamp(fd);			\
	EXPECT_EQ(expected_kind, s_.kind);			\
	EXPECT_EQ(expected_key, s_.key);			\
	EXPECT_TRUE(s_.timed);					\
})

TEST_F(report, acknowledgments_are_stamped_and_numbered_by_bytes)
{
	char data[1000] = {};

	send_all(client, data, 10);
	recv_all(server, data, 10);
	set_option(client, SOL_SOCKET, SO_TIMESTAMPING,
		   SOF_TIMESTAMPING_TX_ACK | SOF_TIMESTAMPING_SOFTWARE |
		   SOF_TIMESTAMPING_OPT_ID | OPT_ID_TCP);
	send_all(client, data, 1000);
	EXPECT_STAMP(client, SCM_TSTAMP_ACK, 999);
	send_all(client, data, 500);
	EXPECT_STAMP(client, SCM_TSTAMP_ACK, 1499);
	EXPECT_EQ(0, wait_events(client, POLLERR, 50));
}

TEST_F(report, the_way_out_is_stamped)
{
	char c;

	set_option(client, SOL_SOCKET, SO_TIMESTAMPING,
		   SOF_TIMESTAMPING_TX_SCHED | SOF_TIMESTAMPING_SOFTWARE |
		   SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY);
	send_all(client, "abc", 3);
	EXPECT_STAMP(client, SCM_TSTAMP_SCHED, 2);
	recv_all(server, &c, 1);
}

TEST_F(report, numbering_stamps_needs_a_connection)
{
	int flags = SOF_TIMESTAMPING_TX_ACK | SOF_TIMESTAMPING_OPT_ID;

	EXPECT_EQ(-1, setsockopt(self->p.listener, SOL_SOCKET, SO_TIMESTAMPING, &flags,
				 sizeof(flags)));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(report, a_control_message_asks_for_one_stamp)
{
	char control[CMSG_SPACE(sizeof(uint32_t))] = {}, c;
	struct iovec iov = { "abc", 3 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&m);

	set_option(client, SOL_SOCKET, SO_TIMESTAMPING,
		   SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_OPT_ID);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SO_TIMESTAMPING;
	cmsg->cmsg_len = CMSG_LEN(sizeof(uint32_t));
	*(uint32_t *)CMSG_DATA(cmsg) = SOF_TIMESTAMPING_TX_ACK;
	send_all(client, "x", 1);
	EXPECT_EQ(3, sendmsg(client, &m, 0));
	EXPECT_STAMP(client, SCM_TSTAMP_ACK, 3);
	EXPECT_EQ(0, wait_events(client, POLLERR, 50));
	recv_all(server, &c, 1);
}

/*
 * When the bytes of a read came, ns, by a control message of @type; 0 if there is none. The three
 * types begin with a time of seconds and something smaller.
 */
static int64_t came_at(int fd, int type, int flags)
{
	char data[10], control[200];
	struct iovec iov = { data, sizeof(data) };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int64_t at = 0, time[2];
	struct cmsghdr *c;

	if (recvmsg(fd, &m, flags) != sizeof(data))
		die("recvmsg");
	for (c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != type)
			die("control message %d", c->cmsg_type);
		memcpy(time, CMSG_DATA(c), sizeof(time));
		at = time[0] * 1000000000 + time[1] * (type == SO_TIMESTAMP ? 1000 : 1);
	}
	return at;
}

static int64_t wall_clock(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* The kernel begins to look at its clock for each packet some time after it was asked to. */
#define EXPECT_STAMPS(type) ({							\
	int64_t before_, at_ = 0;						\
										\
	EXPECT_TRUE(wait_until(({						\
		before_ = wall_clock();						\
		send_all(client, "0123456789", 10);				\
		at_ = came_at(server, type, 0);					\
	}), 5000));								\
	EXPECT_LE(before_ / 1000, at_ / 1000);					\
	EXPECT_GE(wall_clock() / 1000, at_ / 1000);				\
})

TEST_F(report, reads_tell_when_the_text_came)
{
	send_all(client, "0123456789", 10);
	EXPECT_EQ(0, came_at(server, SO_TIMESTAMP, 0));
	set_option(server, SOL_SOCKET, SO_TIMESTAMP, 1);
	EXPECT_STAMPS(SO_TIMESTAMP);
	set_option(server, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	EXPECT_STAMPS(SO_TIMESTAMPNS);
	set_option(server, SOL_SOCKET, SO_TIMESTAMPNS, 0);
	send_all(client, "0123456789", 10);
	EXPECT_EQ(0, came_at(server, SO_TIMESTAMPNS, 0));
	set_option(server, SOL_SOCKET, SO_TIMESTAMPING,
		   SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_RX_SOFTWARE);
	EXPECT_STAMPS(SO_TIMESTAMPING);
}

TEST_F(report, what_is_merged_came_when_its_last_part_did)
{
	int64_t first, last;
	int have;

	set_option(server, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	EXPECT_STAMPS(SO_TIMESTAMPNS);
	send_all(client, "01234", 5);
	ASSERT_TRUE(wait_until(!ioctl(server, FIONREAD, &have) && have == 5, 5000));
	last = wall_clock();
	send_all(client, "56789", 5);
	ASSERT_TRUE(wait_until(!ioctl(server, FIONREAD, &have) && have == 10, 5000));
	first = came_at(server, SO_TIMESTAMPNS, MSG_PEEK);
	EXPECT_LE(last, first);
	EXPECT_EQ(first, came_at(server, SO_TIMESTAMPNS, 0));
}

TEST_F(report, what_is_thrown_away_came_too)
{
	int64_t before;

	set_option(server, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	EXPECT_STAMPS(SO_TIMESTAMPNS);
	before = wall_clock();
	send_all(client, "0123456789", 10);
	EXPECT_LE(before, came_at(server, SO_TIMESTAMPNS, MSG_TRUNC | MSG_WAITALL));
}

TEST_F(report, an_accepted_socket_stamps_as_its_listener_does)
{
	set_option(self->p.listener, SOL_SOCKET, SO_TIMESTAMPNS, 1);
	close(client);
	client = client_connect(&variant->combo, self->p.listener);
	close(server);
	server = accept(self->p.listener, NULL, NULL);
	ASSERT_LE(0, server);
	EXPECT_EQ(1, get_option(server, SOL_SOCKET, SO_TIMESTAMPNS));
	EXPECT_STAMPS(SO_TIMESTAMPNS);
}

TEST_F(report, a_connection_knows_the_processor_that_its_segments_come_to)
{
	char data[10];

	EXPECT_LE(0, get_option(server, SOL_SOCKET, SO_INCOMING_CPU));
	send_all(server, "0123456789", 10);
	recv_all(client, data, 10);
	EXPECT_LE(0, get_option(client, SOL_SOCKET, SO_INCOMING_CPU));
}
