// SPDX-License-Identifier: GPL-2.0
/* Opening a connection, segment by segment. */
#include <netinet/ip_icmp.h>
#include <poll.h>

#include "lib/selftest.h"
#include "lib/wire.h"

#define PORT 4000

FIXTURE(handshake) {
	int unused;
};

FIXTURE_SETUP(handshake)
{
	make_network(LOOPBACK);
	wire_open();
}

FIXTURE_TEARDOWN(handshake)
{
}

static int start_connect(void)
{
	int fd = own_socket(SOCK_NONBLOCK), error = connect_to(fd, PEER_ADDR, 80);

	if (error != EINPROGRESS)
		die("connect: %s", strerror(error));
	return fd;
}

static int listener(int backlog)
{
	int fd = own_socket(0);

	errno = bind_to(fd, STACK_ADDR, PORT);
	if (errno || listen(fd, backlog))
		die("listen");
	return fd;
}

/* A socket that shares its port with others, as long as none of them listens. */
static int sharing_socket(int type)
{
	int fd = own_socket(type);

	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	errno = bind_to(fd, STACK_ADDR, PORT);
	if (errno)
		die("bind");
	return fd;
}

static int wire_state(const struct wire *w)
{
	return connection_state(own_family(), w->stack_port, w->port);
}

TEST_F(handshake, active_open)
{
	int fd = start_connect();
	struct wire w;

	wire_await_syn(&w);
	EXPECT_EQ(TCP_SYN_SENT, wire_state(&w));
	EXPECT_EQ(0, wait_events(fd, POLLIN | POLLOUT, 0));
	wire_send(&w, SYN | ACK, NULL, 0);
	wire_expect(&w, ACK);
	EXPECT_EQ(POLLOUT, wait_events(fd, POLLOUT, 5000));
	EXPECT_EQ(TCP_ESTABLISHED, wire_state(&w));
}

TEST_F(handshake, passive_open)
{
	int fd = listener(1);
	struct segment s;
	struct wire w;

	wire_syn(&w, 5000, PORT);
	s = wire_expect(&w, SYN | ACK);
	EXPECT_EQ(SYN | ACK, s.flags);
	EXPECT_EQ(w.snd_nxt, s.ack);
	EXPECT_EQ(TCP_SYN_RECV, wire_state(&w));
	EXPECT_EQ(0, wait_events(fd, POLLIN, 0));
	wire_ack(&w, &s);
	EXPECT_EQ(POLLIN, wait_events(fd, POLLIN, 5000));
	EXPECT_EQ(TCP_ESTABLISHED, wire_state(&w));
}

TEST_F(handshake, mss_is_offered_from_the_mtu)
{
	struct segment s;
	struct wire w;

	start_connect();
	s = wire_any(SYN);
	EXPECT_EQ(1460, s.mss);
	listener(1);
	wire_syn(&w, 5000, PORT);
	EXPECT_EQ(1460, wire_expect(&w, SYN | ACK).mss);
}

/*
 * By more than what the clock counts meanwhile, which ticks every 4 us (RFC 9293
 * 3.4.1): 0x1000000 are 67 s. By chance one of 128 differs by less.
 */
TEST_F(handshake, initial_numbers_differ_from_connection_to_connection)
{
	uint32_t first, seq;
	int i, far = 0;

	start_connect();
	first = wire_any(SYN).seq;
	for (i = 0; i < 8; i++) {
		start_connect();
		seq = wire_any(SYN).seq;
		far += seq - first > 0x1000000 && first - seq > 0x1000000;
	}
	EXPECT_LE(4, far);
}

TEST_F(handshake, connect_while_connecting_is_EALREADY)
{
	int fd = start_connect();

	EXPECT_EQ(EALREADY, connect_to(fd, PEER_ADDR, 80));
	EXPECT_EQ(0, take_error(fd));
}

TEST_F(handshake, signal_ends_connect_with_EINTR_and_it_goes_on)
{
	int fd = own_socket(0);
	struct wire w;
	pid_t child;

	count_signal(SIGUSR1, 0);
	child = signal_after(SIGUSR1, 50);
	EXPECT_EQ(EINTR, connect_to(fd, PEER_ADDR, 80));
	stop_child(child);
	set_nonblocking(fd, true);
	EXPECT_EQ(EALREADY, connect_to(fd, PEER_ADDR, 80));
	wire_accept(&w);
	EXPECT_EQ(POLLOUT, wait_events(fd, POLLOUT, 5000));
	EXPECT_EQ(0, take_error(fd));
}

TEST_F(handshake, sndtimeo_ends_connect_with_EINPROGRESS)
{
	int fd = own_socket(0);

	set_timeout(fd, SO_SNDTIMEO, 100);
	EXPECT_EQ(EINPROGRESS, connect_to(fd, PEER_ADDR, 80));
}

TEST_F(handshake, nobody_answers_is_ETIMEDOUT_after_the_last_syn)
{
	int fd = own_socket(0), syns = 0;
	int64_t start = now_ms(), took;
	struct segment s;

	set_sysctl("net/ipv4/tcp_syn_retries", "1");
	set_sysctl("net/ipv4/tcp_syn_linear_timeouts", "0");
	EXPECT_EQ(ETIMEDOUT, connect_to(fd, PEER_ADDR, 80));
	took = now_ms() - start;
	while (wire_next(&s, 0))
		syns += s.flags == SYN;
	EXPECT_EQ(2, syns);
	/* One second, then two. */
	EXPECT_LE(2500, took);
	EXPECT_GT(limit_ms(6000), took);
	EXPECT_EQ(0, take_error(fd));
}

TEST_F(handshake, close_while_connecting_leaves_nothing)
{
	int fd = start_connect();
	struct wire w;

	wire_await_syn(&w);
	close(fd);
	EXPECT_EQ(0, wire_state(&w));
	wire_send(&w, SYN | ACK, NULL, 0);
	EXPECT_EQ(w.rcv_nxt, wire_expect(&w, RST).seq);
}

TEST_F(handshake, wrong_acknowledgement_of_the_syn_is_answered_with_rst)
{
	int fd = start_connect();
	struct wire w, wrong;

	wire_await_syn(&w);
	wrong = w;
	wrong.rcv_nxt += 5;
	wire_send_at(&wrong, w.snd_nxt, SYN | ACK, NULL, 0);
	EXPECT_EQ(wrong.rcv_nxt, wire_expect(&w, RST).seq);
	EXPECT_EQ(0, wait_events(fd, POLLOUT, 0));
	wire_send(&w, SYN | ACK, NULL, 0);
	EXPECT_EQ(POLLOUT, wait_events(fd, POLLOUT, 5000));
}

TEST_F(handshake, simultaneous_open)
{
	int fd = start_connect();
	struct segment s;
	struct wire w;

	wire_await_syn(&w);
	wire_send(&w, SYN, NULL, 0);
	s = wire_expect(&w, SYN | ACK);
	EXPECT_EQ(w.snd_nxt, s.ack);
	EXPECT_EQ(w.rcv_nxt - 1, s.seq);
	EXPECT_EQ(TCP_SYN_RECV, wire_state(&w));
	wire_send(&w, ACK, NULL, 0);
	EXPECT_EQ(POLLOUT, wait_events(fd, POLLOUT, 5000));
	EXPECT_EQ(TCP_ESTABLISHED, wire_state(&w));
	wire_send(&w, ACK | PSH, "hello", 5);
	EXPECT_EQ(POLLIN, wait_events(fd, POLLIN, 5000));
}

/* RFC 9293 3.9.1.1, MUST-41 and MUST-42: neither knows of the other. */
TEST_F(handshake, port_of_a_connection_that_is_being_opened_may_listen)
{
	int fd = sharing_socket(SOCK_NONBLOCK), listener = sharing_socket(0);
	struct wire w, other;

	EXPECT_EQ(EINPROGRESS, connect_to(fd, PEER_ADDR, 80));
	wire_await_syn(&w);
	EXPECT_EQ(0, listen(listener, 1));
	EXPECT_EQ(TCP_SYN_SENT, wire_state(&w));
	wire_connect(&other, 5000, PORT);
	EXPECT_EQ(POLLIN, wait_events(listener, POLLIN, 5000));
	wire_send(&w, SYN | ACK, NULL, 0);
	EXPECT_EQ(POLLOUT, wait_events(fd, POLLOUT, 5000));
	EXPECT_EQ(TCP_ESTABLISHED, wire_state(&w));
}

TEST_F(handshake, port_of_a_connection_in_SYN_RECEIVED_may_listen)
{
	int fd = sharing_socket(SOCK_NONBLOCK), listener = sharing_socket(0);
	struct wire w, other;

	EXPECT_EQ(EINPROGRESS, connect_to(fd, PEER_ADDR, 80));
	wire_await_syn(&w);
	wire_send(&w, SYN, NULL, 0);
	wire_expect(&w, SYN | ACK);
	EXPECT_EQ(0, listen(listener, 1));
	EXPECT_EQ(TCP_SYN_RECV, wire_state(&w));
	wire_connect(&other, 5000, PORT);
	EXPECT_EQ(POLLIN, wait_events(listener, POLLIN, 5000));
	wire_send(&w, ACK, NULL, 0);
	EXPECT_EQ(POLLOUT, wait_events(fd, POLLOUT, 5000));
	EXPECT_EQ(TCP_ESTABLISHED, wire_state(&w));
}

TEST_F(handshake, syn_ack_is_repeated_and_given_up)
{
	struct wire w;

	set_sysctl("net/ipv4/tcp_synack_retries", "1");
	listener(1);
	wire_syn(&w, 5000, PORT);
	wire_expect(&w, SYN | ACK);
	wire_expect(&w, SYN | ACK);
	EXPECT_TRUE(wait_until(wire_state(&w) == 0, 8000));
}

TEST_F(handshake, repeated_syn_gets_the_same_syn_ack)
{
	struct segment first, second;
	struct wire w;

	listener(1);
	wire_syn(&w, 5000, PORT);
	first = wire_expect(&w, SYN | ACK);
	wire_syn(&w, 5000, PORT);
	second = wire_expect(&w, SYN | ACK);
	EXPECT_EQ(first.seq, second.seq);
	EXPECT_EQ(first.ack, second.ack);
}

TEST_F(handshake, third_segment_may_carry_data_and_fin)
{
	struct segment s;
	struct wire w;
	int fd = listener(1);
	char got[5];

	wire_syn(&w, 5000, PORT);
	s = wire_expect(&w, SYN | ACK);
	w.rcv_nxt = s.seq + 1;
	wire_send(&w, ACK | FIN | PSH, "hello", 5);
	fd = accept(fd, NULL, NULL);
	ASSERT_LE(0, fd);
	recv_all(fd, got, 5);
	EXPECT_EQ(0, memcmp(got, "hello", 5));
	EXPECT_EQ(-1, recv_errno(fd));
}

TEST_F(handshake, wrong_third_segment_is_answered_with_rst_and_survived)
{
	struct segment s;
	struct wire w, wrong;
	int fd = listener(1);

	wire_syn(&w, 5000, PORT);
	s = wire_expect(&w, SYN | ACK);
	wrong = w;
	wrong.rcv_nxt = s.seq + 1000;
	wire_send_at(&wrong, w.snd_nxt, ACK, NULL, 0);
	EXPECT_EQ(wrong.rcv_nxt, wire_expect(&w, RST).seq);
	wire_ack(&w, &s);
	EXPECT_EQ(POLLIN, wait_events(fd, POLLIN, 5000));
}

TEST_F(handshake, acknowledgement_to_a_listener_is_answered_with_rst)
{
	struct wire w = { .port = 5000, .stack_port = PORT, .rcv_nxt = 12345 };

	listener(1);
	wire_send_at(&w, 1, ACK, NULL, 0);
	EXPECT_EQ(12345, wire_expect(&w, RST).seq);
}

TEST_F(handshake, segments_without_syn_ack_or_rst_are_dropped_by_a_listener)
{
	struct wire w = { .port = 5000, .stack_port = PORT };

	listener(1);
	wire_send_at(&w, 1, FIN, NULL, 0);
	wire_send_at(&w, 1, 0, "x", 1);
	wire_send_at(&w, 1, SYN | FIN, NULL, 0);
	wire_send_at(&w, 1, SYN | RST, NULL, 0);
	EXPECT_EQ(0, wire_count(&w, 0xff, 50));
}

TEST_F(handshake, syn_to_a_closed_port_is_refused)
{
	struct segment s;
	struct wire w;

	wire_syn(&w, 5000, PORT);
	s = wire_expect(&w, RST | ACK);
	EXPECT_EQ(0, s.seq);
	EXPECT_EQ(w.snd_nxt, s.ack);
}

/* Two half-open ones wait while others fill the accept queue of five. */
TEST_F(handshake, full_accept_queue_drops_the_third_segment_and_later_syns)
{
	int fd = listener(4), i;
	struct wire late, more, w;
	struct segment s;

	wire_syn(&late, 5000, PORT);
	s = wire_expect(&late, SYN | ACK);
	for (i = 0; i < 5; i++)
		wire_connect(&w, 5010 + i, PORT);
	EXPECT_EQ(POLLIN, wait_events(fd, POLLIN, 5000));

	wire_ack(&late, &s);
	wire_syn(&more, 5020, PORT);
	EXPECT_EQ(0, wire_count(&more, 0xff, 100));
	EXPECT_EQ(TCP_SYN_RECV, wire_state(&late));
	EXPECT_EQ(0, wire_state(&more));

	/* The SYN-ACK comes again; with room in the queue its acknowledgement counts. */
	for (i = 0; i < 5; i++)
		ASSERT_LE(0, accept(fd, NULL, NULL));
	s = wire_expect(&late, SYN | ACK);
	wire_ack(&late, &s);
	EXPECT_EQ(POLLIN, wait_events(fd, POLLIN, 5000));
	EXPECT_EQ(TCP_ESTABLISHED, wire_state(&late));
}

TEST_F(handshake, closing_the_listener_forgets_half_open_connections)
{
	int fd = listener(4);
	struct segment s;
	struct wire w;

	wire_syn(&w, 5000, PORT);
	s = wire_expect(&w, SYN | ACK);
	close(fd);
	EXPECT_TRUE(wait_until(wire_state(&w) == 0, 5000));
	wire_ack(&w, &s);
	EXPECT_EQ(w.rcv_nxt, wire_expect(&w, RST).seq);
}

TEST_F(handshake, icmp_port_unreachable_refuses)
{
	int fd = start_connect();
	struct wire w;

	wire_await_syn(&w);
	wire_icmp(&w, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, w.rcv_nxt - 1, 0);
	EXPECT_EQ(POLLERR | POLLHUP, wait_events(fd, 0, 5000));
	EXPECT_EQ(ECONNREFUSED, take_error(fd));
}

TEST_F(handshake, icmp_about_a_number_never_sent_is_ignored)
{
	int fd = start_connect();
	struct wire w;

	wire_await_syn(&w);
	wire_icmp(&w, ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, w.rcv_nxt + 5000, 0);
	EXPECT_EQ(0, wait_events(fd, POLLOUT, 50));
	wire_send(&w, SYN | ACK, NULL, 0);
	EXPECT_EQ(POLLOUT, wait_events(fd, POLLOUT, 5000));
}
