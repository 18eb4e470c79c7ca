// SPDX-License-Identifier: GPL-2.0
/* What a listener does when too much comes: SYN cookies, limits, errors about SYN-ACKs. */
#include <linux/filter.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/ip_icmp.h>
#include <poll.h>

#include "lib/busy.h"
#include "lib/selftest.h"
#include "lib/stream.h"
#include "lib/wire.h"

#define PORT 4000
#define BACKLOG 4
#define LENGTH (256 * 1024)

FIXTURE(syn_queue) {
	int unused;
};

FIXTURE_SETUP(syn_queue)
{
	make_network(LOOPBACK);
	wire_open();
}

FIXTURE_TEARDOWN(syn_queue)
{
}

#define EXPECT_COUNTER(value, name) do { \
	if (!own_is_inet()) \
		EXPECT_EQ(value, own_counter(name)); \
} while (0)

static int listen_anywhere(int backlog)
{
	int fd = own_socket(0);

	errno = bind_to(fd, "0.0.0.0", PORT);
	if (errno || listen(fd, backlog))
		die("listen");
	return fd;
}

/* SYNs from as many ports, whose SYN-ACKs nobody answers. */
static void flood(int count)
{
	struct wire w;
	int i;

	for (i = 0; i < count; i++) {
		wire_syn(&w, 10000 + i, PORT);
		wire_expect(&w, SYN | ACK);
	}
}

static int connect_from_inet(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	errno = connect_to(fd, "127.0.0.1", PORT);
	if (errno)
		die("connect");
	return fd;
}

TEST_F(syn_queue, a_cookie_keeps_window_scale_and_SACK)
{
	const int all = TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE;
	int fd = listen_anywhere(BACKLOG), client, server;
	struct tcp_info near, far;

	flood(BACKLOG);
	client = connect_from_inet();
	EXPECT_COUNTER(1, "SyncookiesSent");
	server = accept(fd, NULL, NULL);
	ASSERT_LE(0, server);
	EXPECT_COUNTER(1, "SyncookiesRecv");
	EXPECT_COUNTER(0, "SyncookiesFailed");
	near = info_of(server);
	far = info_of(client);
	EXPECT_EQ(all, near.tcpi_options & all);
	EXPECT_EQ(all, far.tcpi_options & all);
	EXPECT_EQ(0 + far.tcpi_snd_wscale, 0 + near.tcpi_rcv_wscale);
	EXPECT_EQ(0 + far.tcpi_rcv_wscale, 0 + near.tcpi_snd_wscale);
	EXPECT_TRUE(exchange_both(server, client, LENGTH));
}

TEST_F(syn_queue, a_cookie_without_timestamps_makes_a_plain_connection)
{
	const int any = TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE;
	int fd = listen_anywhere(BACKLOG), client, server;

	set_sysctl("net/ipv4/tcp_timestamps", "0");
	flood(BACKLOG);
	client = connect_from_inet();
	server = accept(fd, NULL, NULL);
	ASSERT_LE(0, server);
	EXPECT_EQ(0, info_of(server).tcpi_options & any);
	EXPECT_EQ(0, info_of(client).tcpi_options & any);
	EXPECT_TRUE(exchange_both(server, client, LENGTH));
}

TEST_F(syn_queue, tcp_syncookies_2_sends_nothing_but_cookies)
{
	int fd, client, server;

	set_sysctl("net/ipv4/tcp_syncookies", "2");
	fd = listen_anywhere(BACKLOG);
	client = connect_from_inet();
	server = accept(fd, NULL, NULL);
	ASSERT_LE(0, server);
	EXPECT_COUNTER(1, "SyncookiesSent");
	EXPECT_TRUE(exchange_both(server, client, LENGTH));
}

TEST_F(syn_queue, without_cookies_a_full_queue_refuses)
{
	struct wire w;

	set_sysctl("net/ipv4/tcp_syncookies", "0");
	listen_anywhere(BACKLOG);
	flood(BACKLOG);
	wire_syn(&w, 5000, PORT);
	EXPECT_EQ(0, wire_count(&w, SYN | ACK | RST, 200));
	EXPECT_COUNTER(1, "SynQueueFull");
	EXPECT_COUNTER(1, "ListenDrops");
}

TEST_F(syn_queue, a_forged_cookie_is_reset)
{
	struct wire w;

	listen_anywhere(BACKLOG);
	flood(BACKLOG);
	wire_syn(&w, 4999, PORT);
	wire_expect(&w, SYN | ACK);
	w.rcv_nxt = 1234;
	wire_send(&w, ACK, NULL, 0);
	EXPECT_EQ(1234, wire_expect(&w, RST).seq);
	EXPECT_COUNTER(1, "SyncookiesFailed");
}

TEST_F(syn_queue, no_cookie_is_looked_for_when_none_was_sent)
{
	struct wire w = { .port = 5000, .stack_port = PORT, .snd_nxt = 77, .rcv_nxt = 1234,
			  .window = 1000 };

	listen_anywhere(BACKLOG);
	wire_send(&w, ACK, NULL, 0);
	wire_expect(&w, RST);
	EXPECT_COUNTER(0, "SyncookiesFailed");
}

TEST_F(syn_queue, a_cookie_meets_a_full_accept_queue_and_is_dropped)
{
	struct wire first, second, late;
	struct segment s;

	listen_anywhere(1);
	set_sysctl("net/ipv4/tcp_syncookies", "2");
	wire_syn(&late, 5002, PORT);
	s = wire_expect(&late, SYN | ACK);
	wire_connect(&first, 5000, PORT);
	wire_connect(&second, 5001, PORT);
	wire_ack(&late, &s);
	EXPECT_EQ(0, wire_count(&late, RST | ACK, 200));
	EXPECT_COUNTER(1, "ListenOverflows");
}

TEST_F(syn_queue, a_syn_that_comes_again_is_answered_within_the_limit)
{
	struct wire w;
	int i;

	listen_anywhere(BACKLOG);
	wire_syn(&w, 5000, PORT);
	wire_expect(&w, SYN | ACK);
	for (i = 0; i < 20; i++)
		wire_send_at(&w, w.snd_nxt - 1, SYN, NULL, 0);
	/* One of the twenty is answered. */
	wire_expect(&w, SYN | ACK);
	EXPECT_COUNTER(19, "AckSkippedSynRecv");
}

TEST_F(syn_queue, host_unreachable_ends_a_half_open_connection)
{
	struct segment s;
	struct wire w;

	listen_anywhere(BACKLOG);
	wire_syn(&w, 5000, PORT);
	s = wire_expect(&w, SYN | ACK);
	EXPECT_EQ(TCP_SYN_RECV, connection_state(own_family(), PORT, 5000));
	wire_icmp(&w, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, s.seq + 1, 0);
	wire_icmp(&w, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, s.seq, 0);
	EXPECT_EQ(TCP_SYN_RECV, connection_state(own_family(), PORT, 5000));
	wire_icmp(&w, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, s.seq, 0);
	EXPECT_EQ(0, connection_state(own_family(), PORT, 5000));
}

TEST_F(syn_queue, all_half_open_connections_are_shown)
{
	listen_anywhere(300);
	flood(300);
	EXPECT_EQ(300, connections_in_state(own_family(), PORT, TCP_SYN_RECV));
}

TEST_F(syn_queue, an_accepted_socket_has_the_filter_of_the_listener)
{
	/* Refuses segments of more than 60 bytes, header and text. */
	struct sock_filter code[] = {
		{ BPF_LD | BPF_W | BPF_LEN, 0, 0, 0 },
		{ BPF_JMP | BPF_JGT | BPF_K, 0, 1, 60 },
		{ BPF_RET | BPF_K, 0, 0, 0 },
		{ BPF_RET | BPF_K, 0, 0, 0xffffffff },
	};
	struct sock_fprog filter = { .len = 4, .filter = code };
	int fd = listen_anywhere(BACKLOG), server;
	static const char text[200];
	struct wire w;

	ASSERT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)));
	wire_connect(&w, 5000, PORT);
	server = accept(fd, NULL, NULL);
	ASSERT_LE(0, server);
	wire_send_at(&w, w.snd_nxt, ACK, text, sizeof(text));
	EXPECT_EQ(0, wait_events(server, POLLIN, 200));
	wire_send(&w, ACK, text, 10);
	EXPECT_EQ(POLLIN, wait_events(server, POLLIN, 5000));
}

TEST_F(syn_queue, one_connection_too_many_without_a_user_is_reset)
{
	int fd = listen_anywhere(BACKLOG), server;
	struct wire w;

	if (own_is_inet())
		SKIP(return, "AF_INET's limit is not a namespace's");
	set_sysctl("net/oxtcp/max_orphans", "0");
	wire_connect(&w, 5000, PORT);
	server = accept(fd, NULL, NULL);
	ASSERT_LE(0, server);
	close(server);
	wire_expect(&w, RST);
	EXPECT_EQ(1, own_counter("AbortOnMemory"));
}

TEST_F(syn_queue, TCP_DEFER_ACCEPT_waits_for_text)
{
	int fd = listen_anywhere(BACKLOG), server;
	struct wire w;
	char c;

	set_option(fd, SOL_TCP, TCP_DEFER_ACCEPT, 5);
	EXPECT_EQ(7, get_option(fd, SOL_TCP, TCP_DEFER_ACCEPT));
	wire_connect(&w, 5000, PORT);
	EXPECT_EQ(0, wait_events(fd, POLLIN, 200));
	EXPECT_EQ(TCP_SYN_RECV, connection_state(own_family(), PORT, 5000));
	wire_send(&w, ACK, "x", 1);
	EXPECT_EQ(POLLIN, wait_events(fd, POLLIN, 1000));
	server = accept(fd, NULL, NULL);
	ASSERT_LE(0, server);
	recv_all(server, &c, 1);
	EXPECT_EQ('x', c);
}

/* SOCK_DESTROY of the listener on PORT; 0 or the errno. */
static int destroy_listener(void)
{
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 request;
	} message = {
		.head = {
			.nlmsg_len = sizeof(message), .nlmsg_type = SOCK_DESTROY,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		},
		.request = {
			.sdiag_family = own_family(), .sdiag_protocol = IPPROTO_TCP,
			.idiag_states = 1 << TCP_LISTEN,
			.id = {
				.idiag_sport = htons(PORT),
				.idiag_cookie = { INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE },
			},
		},
	};
	struct {
		struct nlmsghdr head;
		struct nlmsgerr error;
		char rest[256];
	} answer;
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG);

	if (send(fd, &message, sizeof(message), 0) < 0 || recv(fd, &answer, sizeof(answer), 0) < 0)
		die("sock_diag");
	close(fd);
	return -answer.error.error;
}

TEST_F(syn_queue, SOCK_DESTROY_ends_a_listener_and_what_it_queued)
{
	int fd = listen_anywhere(BACKLOG), error;
	struct wire half, whole;

	wire_syn(&half, 5000, PORT);
	wire_expect(&half, SYN | ACK);
	wire_connect(&whole, 5001, PORT);
	ASSERT_TRUE(reaches_state(own_family(), PORT, 5001, TCP_ESTABLISHED, 1000));
	error = destroy_listener();
	if (error == EOPNOTSUPP && own_is_inet())
		SKIP(return, "AF_INET without CONFIG_INET_DIAG_DESTROY");
	ASSERT_EQ(0, error);
	wire_expect(&whole, RST);
	EXPECT_EQ(0, connection_state(own_family(), PORT, 5000));
	EXPECT_EQ(ECONNABORTED, take_error(fd));
	EXPECT_EQ(-1, accept(fd, NULL, NULL));
	EXPECT_EQ(EINVAL, errno);
	wire_syn(&half, 5002, PORT);
	wire_expect(&half, RST);
	EXPECT_EQ(ENOENT, destroy_listener());
}

/* A connection from @port that has ended here, and is in TIME-WAIT. */
static struct wire ended(int listener, uint16_t port)
{
	struct segment fin;
	struct wire w;
	int fd;

	wire_connect(&w, port, PORT);
	fd = accept(listener, NULL, NULL);
	if (fd < 0)
		die("accept");
	close(fd);
	fin = wire_expect(&w, FIN);
	wire_ack(&w, &fin);
	wire_send(&w, FIN | ACK, NULL, 0);
	if (!reaches_state(own_family(), PORT, port, TCP_TIME_WAIT, 5000))
		die("no TIME-WAIT");
	return w;
}

/* How many segments waited for their socket; AF_INET does not lock a listener. */
static long waited(void)
{
	return own_is_inet() ? 0 : own_counter("Backlog");
}

/*
 * RFC 9293 3.10.7.4, MAY-2: old duplicates are none of the new connection's, also when
 * its SYN had to wait for the listener. The clock of initial numbers alone needs 262 ms
 * to be that far.
 */
TEST_F(syn_queue, syn_that_waits_reopens_behind_the_connection_in_time_wait)
{
	int fd = listen_anywhere(BACKLOG), port = 5000;
	long before = waited();
	struct segment s;
	struct wire w;
	pid_t child;

	do {
		w = ended(fd, ++port);
		w.snd_nxt += 100000;
		child = keep_busy(fd);
		pause_ms(5);
		wire_send(&w, SYN, NULL, 0);
		s = wire_expect(&w, SYN | ACK);
		stop_child(child);
		EXPECT_LE(0, (int32_t)(s.seq - (w.rcv_nxt + 65535 + 2)));
		/* There is room for the next one. */
		wire_send(&w, RST, NULL, 0);
	} while (!own_is_inet() && waited() == before && port < 5050);
	if (!own_is_inet())
		EXPECT_LT(before, waited());
}

/* A SYN for which there is no room leaves TIME-WAIT as it is, for when it comes again. */
TEST_F(syn_queue, syn_without_room_does_not_end_time_wait)
{
	int fd = listen_anywhere(0), port = 5000;
	struct wire w = ended(fd, port), other;
	struct segment s;

	wire_connect(&other, port + 1, PORT);
	EXPECT_TRUE(reaches_state(own_family(), PORT, port + 1, TCP_ESTABLISHED, 5000));
	w.snd_nxt += 100000;
	wire_send_at(&w, w.snd_nxt, SYN, NULL, 0);
	EXPECT_EQ(0, wire_count(&w, SYN, 50));
	/* AF_INET ends it first, and then finds that there is no room. */
	if (!own_is_inet())
		EXPECT_EQ(TCP_TIME_WAIT, connection_state(own_family(), PORT, port));
	ASSERT_LE(0, accept(fd, NULL, NULL));
	wire_send(&w, SYN, NULL, 0);
	s = wire_expect(&w, SYN | ACK);
	EXPECT_LE(0, (int32_t)(s.seq - (w.rcv_nxt + 65535 + 2)));
	EXPECT_EQ(w.snd_nxt, s.ack);
	wire_ack(&w, &s);
	EXPECT_TRUE(reaches_state(own_family(), PORT, port, TCP_ESTABLISHED, 5000));
}
