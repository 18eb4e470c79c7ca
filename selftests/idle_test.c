// SPDX-License-Identifier: GPL-2.0
/*
 * Connections to which nothing happens. Their state is packed into less memory
 * meanwhile, of which a program is to see nothing but the counters.
 */
#include <poll.h>
#include <sys/epoll.h>

#include "lib/selftest.h"
#include "lib/stream.h"
#include "lib/wire.h"

#define PORT 4000
#define PEER_PORT 5000

FIXTURE(idle) {
	struct pair p;
};

FIXTURE_VARIANT(idle) {
	struct combo combo;
};

COMBO_VARIANT(idle, oxtcp_server_inet_client, LOOPBACK, OWN, INET);
COMBO_VARIANT(idle, inet_server_oxtcp_client, LOOPBACK, INET, OWN);
COMBO_VARIANT(idle, oxtcp_both, LOOPBACK, OWN, OWN);

static void pack_after(const char *ms)
{
	if (!own_is_inet())
		set_sysctl("net/oxtcp/idle_pack_ms", ms);
}

static long packed(void)
{
	return own_counter("IdlePacked") - own_counter("IdleUnpacked");
}

/* Waits until the state of @n sockets is packed; AF_INET packs none. */
static bool are_packed(long n)
{
	return own_is_inet() || wait_until(packed() == n, 10000);
}

static void expect_unpacked_states(struct __test_metadata *_metadata, long n)
{
	if (!own_is_inet())
		EXPECT_LE(n, own_counter("IdleUnpacked"));
}

FIXTURE_SETUP(idle)
{
	make_network(LOOPBACK);
	pack_after("50");
	self->p = make_pair(&variant->combo);
}

FIXTURE_TEARDOWN(idle)
{
	close_pair(&self->p);
}

/* How many of the connection's ends are of the family under test. */
static long ends(const struct combo *c)
{
	return (c->server == OWN) + (c->client == OWN);
}

static void transact(struct __test_metadata *_metadata, const struct pair *p)
{
	char got[6];

	send_all(p->client, "hello", 6);
	recv_all(p->server, got, 6);
	EXPECT_STREQ("hello", got);
	send_all(p->server, "world", 6);
	recv_all(p->client, got, 6);
	EXPECT_STREQ("world", got);
}

TEST_F(idle, it_goes_on_where_it_stopped)
{
	long n = ends(&variant->combo);
	int i;

	for (i = 0; i < 5; i++) {
		EXPECT_TRUE(are_packed(n));
		transact(_metadata, &self->p);
	}
	expect_unpacked_states(_metadata, 5 * n);
}

TEST_F(idle, a_stream_after_it_is_exact)
{
	EXPECT_TRUE(are_packed(ends(&variant->combo)));
	EXPECT_TRUE(exchange_both(self->p.server, self->p.client, amount(4 << 20, 256 << 10)));
}

TEST_F(idle, it_is_packed_again_after_a_burst)
{
	static char block[30000];
	int fd[] = { self->p.client, self->p.server }, i, k;

	for (k = 0; k < 2; k++) {
		set_option(fd[k], IPPROTO_TCP, TCP_NODELAY, 1);
		for (i = 0; i < 3; i++) {
			send_all(fd[k], block, 1);
			send_all(fd[k], block, sizeof(block));
		}
		/* Where a message ends is remembered of what is not acknowledged. */
		ASSERT_EQ(1, send(fd[k], block, 1, MSG_EOR));
	}
	for (k = 0; k < 2; k++) {
		for (i = 0; i < 3; i++) {
			recv_all(fd[k], block, 1);
			recv_all(fd[k], block, sizeof(block));
		}
		recv_all(fd[k], block, 1);
	}
	EXPECT_TRUE(are_packed(ends(&variant->combo)));
	transact(_metadata, &self->p);
}

TEST_F(idle, a_look_at_all_sockets_leaves_it_packed)
{
	bool serves = variant->combo.server == OWN;
	uint16_t ours = local_port(serves ? self->p.server : self->p.client);
	uint16_t peers = local_port(serves ? self->p.client : self->p.server);

	EXPECT_TRUE(are_packed(ends(&variant->combo)));
	EXPECT_EQ(TCP_ESTABLISHED, connection_state(own_family(), ours, peers));
	if (!own_is_inet())
		EXPECT_EQ(ends(&variant->combo), packed());
}

TEST_F(idle, its_options_stay)
{
	static const struct {
		int level, name, value;
	} options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 }, { IPPROTO_TCP, TCP_KEEPIDLE, 77 },
		{ IPPROTO_TCP, TCP_KEEPINTVL, 7 }, { IPPROTO_TCP, TCP_KEEPCNT, 5 },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, 12345 }, { IPPROTO_TCP, TCP_LINGER2, 33 },
		{ IPPROTO_TCP, TCP_NOTSENT_LOWAT, 4321 }, { IPPROTO_TCP, TCP_INQ, 1 },
		{ IPPROTO_TCP, TCP_WINDOW_CLAMP, 30000 }, { SOL_SOCKET, SO_KEEPALIVE, 1 },
	};
	int fd[] = { self->p.client, self->p.server }, k;
	char name[16] = "";
	socklen_t len = sizeof(name);
	size_t i;

	for (k = 0; k < 2; k++) {
		for (i = 0; i < ARRAY_SIZE(options); i++)
			set_option(fd[k], options[i].level, options[i].name, options[i].value);
		ASSERT_EQ(0, setsockopt(fd[k], IPPROTO_TCP, TCP_CONGESTION, "reno", 4));
	}
	EXPECT_TRUE(are_packed(ends(&variant->combo)));
	for (k = 0; k < 2; k++) {
		for (i = 0; i < ARRAY_SIZE(options); i++)
			EXPECT_EQ(options[i].value,
				  get_option(fd[k], options[i].level, options[i].name));
		ASSERT_EQ(0, getsockopt(fd[k], IPPROTO_TCP, TCP_CONGESTION, name, &len));
		EXPECT_STREQ("reno", name);
	}
}

TEST_F(idle, TCP_INFO_tells_the_same)
{
	int fd[] = { self->p.client, self->p.server }, k;
	struct tcp_info before[2], after;

	transact(_metadata, &self->p);
	/* Whether an acknowledgment is owed is to be over. */
	for (k = 0; k < 2; k++)
		EXPECT_TRUE(wait_until(info_of(fd[k]).tcpi_unacked == 0, 1000));
	EXPECT_TRUE(are_packed(ends(&variant->combo)));
	for (k = 0; k < 2; k++)
		before[k] = info_of(fd[k]);
	EXPECT_TRUE(are_packed(ends(&variant->combo)));
	for (k = 0; k < 2; k++) {
		after = info_of(fd[k]);
		EXPECT_LE(before[k].tcpi_last_data_sent, after.tcpi_last_data_sent);
		EXPECT_LE(before[k].tcpi_last_data_recv, after.tcpi_last_data_recv);
		EXPECT_LE(before[k].tcpi_last_ack_recv, after.tcpi_last_ack_recv);
		after.tcpi_last_data_sent = before[k].tcpi_last_data_sent;
		after.tcpi_last_data_recv = before[k].tcpi_last_data_recv;
		after.tcpi_last_ack_recv = before[k].tcpi_last_ack_recv;
		EXPECT_EQ(0, memcmp(&before[k], &after, sizeof(after)));
		EXPECT_EQ(TCP_ESTABLISHED, after.tcpi_state);
	}
}

TEST_F(idle, who_waits_is_woken)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET };
	int epoll = epoll_create1(0);
	pid_t child;
	char got[6];

	ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, self->p.client, &event));
	child = start_child();
	if (!child) {
		recv_all(self->p.server, got, 6);
		send_all(self->p.server, got, 6);
		_exit(strcmp(got, "hello"));
	}
	/* In recv(), with the lock let go. */
	EXPECT_TRUE(sleeps(child, 5000));
	EXPECT_TRUE(are_packed(ends(&variant->combo)));
	send_all(self->p.client, "hello", 6);
	EXPECT_EQ(1, epoll_wait(epoll, &event, 1, limit_ms(5000)));
	EXPECT_EQ(EPOLLIN, event.events);
	recv_all(self->p.client, got, 6);
	EXPECT_EQ(0, end_of_child(child));
	EXPECT_TRUE(are_packed(ends(&variant->combo)));
	EXPECT_EQ(0, shutdown(self->p.server, SHUT_WR));
	EXPECT_EQ(1, epoll_wait(epoll, &event, 1, limit_ms(5000)));
	EXPECT_EQ(EPOLLIN | EPOLLRDHUP, event.events);
}

TEST_F(idle, what_was_not_read_stays)
{
	char got[6];

	send_all(self->p.client, "hello", 6);
	EXPECT_EQ(POLLIN, wait_events(self->p.server, POLLIN, 5000));
	EXPECT_TRUE(are_packed(ends(&variant->combo)));
	EXPECT_EQ(POLLIN, wait_events(self->p.server, POLLIN, 0));
	recv_all(self->p.server, got, 6);
	EXPECT_STREQ("hello", got);
}

TEST_F(idle, it_ends_as_any_other)
{
	char byte;

	EXPECT_TRUE(are_packed(ends(&variant->combo)));
	EXPECT_EQ(0, shutdown(self->p.client, SHUT_WR));
	EXPECT_EQ(0, recv(self->p.server, &byte, 1, 0));
	/* In CLOSE-WAIT the other end may be idle for long. */
	EXPECT_TRUE(are_packed(variant->combo.server == OWN));
	send_all(self->p.server, "x", 1);
	recv_all(self->p.client, &byte, 1);
	EXPECT_EQ(0, shutdown(self->p.server, SHUT_WR));
	EXPECT_EQ(0, recv(self->p.client, &byte, 1, 0));
}

TEST_F(idle, a_reset_ends_it)
{
	struct linger at_once = { .l_onoff = 1 };

	EXPECT_TRUE(are_packed(ends(&variant->combo)));
	ASSERT_EQ(0, setsockopt(self->p.client, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)));
	close(self->p.client);
	self->p.client = -1;
	EXPECT_EQ(POLLIN | POLLHUP | POLLERR, wait_events(self->p.server, POLLIN, 5000));
	EXPECT_EQ(ECONNRESET, take_error(self->p.server));
}

OWN_FIXTURE(many)

TEST_F(many, they_are_closed_while_packed)
{
	struct combo both = { LOOPBACK, OWN, OWN };
	int n = amount(300, 50), i;
	struct pair p[300];

	pack_after("50");
	for (i = 0; i < n; i++)
		p[i] = make_pair(&both);
	EXPECT_TRUE(are_packed(2 * n));
	for (i = 0; i < n; i++)
		close_pair(&p[i]);
}

TEST_F(many, none_is_packed_where_that_is_not_wanted)
{
	struct combo both = { LOOPBACK, OWN, OWN };
	struct pair first, second;

	pack_after("0");
	first = make_pair(&both);
	transact(_metadata, &first);
	/* Timers of 200 ms have run out by then. */
	EXPECT_TRUE(wait_until(info_of(first.client).tcpi_last_data_sent >= 1500, 5000));
	if (!own_is_inet())
		EXPECT_EQ(0, own_counter("IdlePacked"));
	pack_after("50");
	second = make_pair(&both);
	EXPECT_TRUE(are_packed(2));
	close_pair(&second);
	close_pair(&first);
}

TEST_F(many, one_that_waits_to_be_accepted_is_packed)
{
	struct combo both = { LOOPBACK, OWN, OWN };
	int listener = server_listen(&both, 4), client, server;
	char got[6];

	pack_after("50");
	client = client_connect(&both, listener);
	EXPECT_TRUE(are_packed(2));
	server = accept(listener, NULL, NULL);
	ASSERT_LE(0, server);
	send_all(client, "hello", 6);
	recv_all(server, got, 6);
	EXPECT_STREQ("hello", got);
}

FIXTURE(probed) {
	struct wire w;
	int fd;
	int64_t start;	/* ms; the peer was last heard after that */
};

FIXTURE_SETUP(probed)
{
	int listener;

	make_network(LOOPBACK);
	pack_after("50");
	wire_open();
	listener = own_socket(0);
	ASSERT_EQ(0, bind_to(listener, STACK_ADDR, PORT));
	ASSERT_EQ(0, listen(listener, 8));
	self->start = now_ms();
	wire_connect(&self->w, PEER_PORT, PORT);
	self->fd = accept(listener, NULL, NULL);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(probed)
{
}

TEST_F(probed, keepalive_wakes_it)
{
	struct segment s;
	int i;

	set_option(self->fd, IPPROTO_TCP, TCP_KEEPIDLE, 1);
	set_option(self->fd, IPPROTO_TCP, TCP_KEEPINTVL, 1);
	set_option(self->fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	for (i = 1; i <= 3; i++) {
		EXPECT_TRUE(are_packed(1));
		s = wire_expect(&self->w, ACK);
		EXPECT_EQ(self->w.rcv_nxt - 1, s.seq);
		EXPECT_LE(1000 * i - TICKS_MS, now_ms() - self->start);
		wire_send(&self->w, ACK, NULL, 0);
	}
	EXPECT_EQ(TCP_ESTABLISHED, connection_state(own_family(), PORT, PEER_PORT));
}

TEST_F(probed, keepalive_does_not_wait_for_it)
{
	int64_t asked;

	pack_after("5000");
	set_option(self->fd, IPPROTO_TCP, TCP_KEEPIDLE, 1);
	asked = now_ms();
	set_option(self->fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	wire_expect(&self->w, ACK);
	EXPECT_GT(limit_ms(4000), now_ms() - asked);
}

TEST_F(probed, a_segment_out_of_its_window_is_answered)
{
	struct segment s;

	EXPECT_TRUE(are_packed(1));
	wire_send_at(&self->w, self->w.snd_nxt + (1 << 30), ACK, "x", 1);
	s = wire_expect(&self->w, ACK);
	EXPECT_EQ(self->w.rcv_nxt, s.seq);
	EXPECT_EQ(0, s.len);
}
