// SPDX-License-Identifier: GPL-2.0
/* TCP Fast Open (RFC 7413): both ends against AF_INET, and segment by segment. */
#include <poll.h>

#include "lib/selftest.h"
#include "lib/stream.h"
#include "lib/wire.h"

#define PORT 4000
#define COOKIE_LEN 8
#define KIND 34
#define TEXT "text of the SYN"
#define TEXT_LEN (sizeof(TEXT) - 1)

#ifndef TCP_FASTOPEN_CONNECT
#define TCP_FASTOPEN_CONNECT 30
#define TCP_FASTOPEN_KEY 33
#define TCP_FASTOPEN_NO_COOKIE 34
#endif
#ifndef TCPI_OPT_SYN_DATA
#define TCPI_OPT_SYN_DATA 32
#endif

#define FAST_OPEN "net/ipv4/tcp_fastopen"
#define CLIENT_AND_SERVER "3"

static int took_text_of_syn(int fd)
{
	return info_of(fd).tcpi_options & TCPI_OPT_SYN_DATA ? 1 : 0;
}

COMBO_FIXTURE(fast_open)

/* A listener at the server's end with Fast Open. */
static int fast_listen(const struct combo *c)
{
	int fd = server_listen(c, 8);

	set_option(fd, SOL_TCP, TCP_FASTOPEN, 8);
	return fd;
}

static ssize_t send_to(int fd, const struct sockaddr_in *to, const void *data, size_t len)
{
	return sendto(fd, data, len, MSG_FASTOPEN, (const struct sockaddr *)to, sizeof(*to));
}

static void set_at_both(const struct combo *c, const char *name, const char *value)
{
	set_sysctl(name, value);
	if (c->path == VETH) {
		enter_far();
		set_sysctl(name, value);
		enter_near();
	}
}

static void switch_both_on(const struct combo *c)
{
	set_at_both(c, FAST_OPEN, CLIENT_AND_SERVER);
}

/* Beside timestamps and the option of Accurate ECN, which gives way, there is room for a cookie. */
TEST_F(fast_open, ends_with_accurate_ECN_have_it_too)
{
	const struct combo *c = &variant->combo;
	struct sockaddr_in to;
	int listener, i;

	switch_both_on(c);
	set_at_both(c, "net/ipv4/tcp_ecn", "3");
	listener = fast_listen(c);
	to = local_address(listener);
	for (i = 0; i < 2; i++) {
		int client = client_socket(c, 0), server;
		char text[TEXT_LEN];

		ASSERT_EQ(TEXT_LEN, send_to(client, &to, TEXT, TEXT_LEN));
		server = accept(listener, NULL, NULL);
		ASSERT_LE(0, server);
		recv_all(server, text, TEXT_LEN);
		EXPECT_EQ(i, took_text_of_syn(client));
		EXPECT_EQ(i, took_text_of_syn(server));
		close(client);
		close(server);
	}
}

TEST_F(fast_open, the_second_connection_has_text_in_its_syn)
{
	const struct combo *c = &variant->combo;
	struct sockaddr_in to;
	int listener, i;

	switch_both_on(c);
	listener = fast_listen(c);
	to = local_address(listener);
	for (i = 0; i < 3; i++) {
		int client = client_socket(c, 0), server;
		char text[TEXT_LEN];

		ASSERT_EQ(TEXT_LEN, send_to(client, &to, TEXT, TEXT_LEN));
		server = accept(listener, NULL, NULL);
		ASSERT_LE(0, server);
		recv_all(server, text, TEXT_LEN);
		EXPECT_EQ(0, memcmp(text, TEXT, TEXT_LEN));
		EXPECT_EQ(i > 0, took_text_of_syn(client));
		EXPECT_EQ(i > 0, took_text_of_syn(server));
		EXPECT_TRUE(exchange_both(server, client, 100000));
		close(server);
	}
}

TEST_F(fast_open, connect_waits_for_the_first_write)
{
	const struct combo *c = &variant->combo;
	struct sockaddr_in to;
	int listener, i;

	switch_both_on(c);
	listener = fast_listen(c);
	to = local_address(listener);
	for (i = 0; i < 2; i++) {
		int client = client_socket(c, 0), server;
		char text[TEXT_LEN];

		set_option(client, SOL_TCP, TCP_FASTOPEN_CONNECT, 1);
		ASSERT_EQ(0, connect(client, (struct sockaddr *)&to, sizeof(to)));
		if (i) {
			EXPECT_EQ(POLLOUT, wait_events(client, POLLIN | POLLOUT, 0));
			EXPECT_EQ(0, wait_events(listener, POLLIN, 50));
		}
		ASSERT_EQ(TEXT_LEN, send(client, TEXT, TEXT_LEN, 0));
		server = accept(listener, NULL, NULL);
		ASSERT_LE(0, server);
		recv_all(server, text, TEXT_LEN);
		EXPECT_EQ(i, took_text_of_syn(client));
		EXPECT_TRUE(exchange_both(server, client, 100000));
		close(server);
	}
}

TEST_F(fast_open, more_than_a_segment_is_all_sent)
{
	const struct combo *c = &variant->combo;
	static char out[200000], in[200000];
	struct sockaddr_in to;
	int listener, i;

	switch_both_on(c);
	listener = fast_listen(c);
	to = local_address(listener);
	for (i = 0; i < sizeof(out); i++)
		out[i] = i * 7 >> 3;
	for (i = 0; i < 2; i++) {
		int client = client_socket(c, 0), server;
		pid_t child = start_child();

		if (!child)
			_exit(send_to(client, &to, out, sizeof(out)) != sizeof(out));
		close(client);
		server = accept(listener, NULL, NULL);
		ASSERT_LE(0, server);
		recv_all(server, in, sizeof(in));
		EXPECT_EQ(0, memcmp(in, out, sizeof(in)));
		EXPECT_EQ(0, end_of_child(child));
		close(server);
	}
}

TEST_F(fast_open, a_server_that_does_not_know_it_is_reached_all_the_same)
{
	const struct combo *c = &variant->combo;
	int listener = server_listen(c, 8), i;
	struct sockaddr_in to = local_address(listener);

	switch_both_on(c);
	for (i = 0; i < 2; i++) {
		int client = client_socket(c, 0), server;
		char text[TEXT_LEN];

		ASSERT_EQ(TEXT_LEN, send_to(client, &to, TEXT, TEXT_LEN));
		server = accept(listener, NULL, NULL);
		ASSERT_LE(0, server);
		recv_all(server, text, TEXT_LEN);
		EXPECT_EQ(0, took_text_of_syn(client));
		close(client);
		close(server);
	}
}

TEST_F(fast_open, nobody_listens_is_ECONNREFUSED)
{
	const struct combo *c = &variant->combo;
	int client, listener = server_listen(c, 8);
	struct sockaddr_in to = local_address(listener);

	switch_both_on(c);
	close(listener);
	client = client_socket(c, 0);
	EXPECT_EQ(-1, send_to(client, &to, TEXT, TEXT_LEN));
	EXPECT_EQ(ECONNREFUSED, errno);
}

FIXTURE(fast_open_wire) {
	int listener;
	uint8_t option[12];	/* with the cookie */
};

static const uint8_t request[4] = { KIND, 2, 1, 1 };

/* The cookie in the options of @s; NULL when there is none. */
static const uint8_t *cookie_of(const struct segment *s)
{
	size_t i = 0;

	while (i < s->options_len && s->options[i]) {
		if (s->options[i] == 1) {
			i++;
			continue;
		}
		if (s->options[i] == KIND && s->options[i + 1] == 2 + COOKIE_LEN)
			return s->options + i + 2;
		i += s->options[i + 1];
	}
	return NULL;
}

/* The peer's SYN from @port, with @option and @len bytes of text. */
static struct wire fast_syn(uint16_t port, const uint8_t *option, uint8_t option_len, size_t len)
{
	struct segment s = {
		.sport = port, .dport = PORT, .seq = 1000, .flags = SYN, .window = 60000,
		.options = option, .options_len = option_len, .data = TEXT, .len = len,
	};
	struct wire w = {
		.port = port, .stack_port = PORT, .snd_nxt = 1001 + len, .window = 60000,
	};

	wire_inject(&s);
	return w;
}

FIXTURE_SETUP(fast_open_wire)
{
	const uint8_t *cookie;
	struct segment s;
	struct wire w;

	make_network(LOOPBACK);
	wire_open();
	set_sysctl(FAST_OPEN, CLIENT_AND_SERVER);
	self->listener = own_socket(0);
	errno = bind_to(self->listener, STACK_ADDR, PORT);
	if (errno || listen(self->listener, 8))
		die("listen");
	set_option(self->listener, SOL_TCP, TCP_FASTOPEN, 2);
	w = fast_syn(4999, request, sizeof(request), 0);
	s = wire_expect(&w, SYN | ACK);
	cookie = cookie_of(&s);
	if (!cookie)
		die("no cookie");
	/* Nor is the SYN-ACK to be repeated. */
	wire_send(&w, RST, NULL, 0);
	self->option[0] = KIND;
	self->option[1] = 2 + COOKIE_LEN;
	memcpy(self->option + 2, cookie, COOKIE_LEN);
	self->option[10] = 1;
	self->option[11] = 1;
}

FIXTURE_TEARDOWN(fast_open_wire)
{
}

TEST_F(fast_open_wire, text_is_read_and_answered_before_the_third_segment)
{
	struct wire w = fast_syn(5000, self->option, 12, TEXT_LEN);
	struct segment s = wire_expect(&w, SYN | ACK);
	char text[TEXT_LEN];
	int server;

	EXPECT_EQ(1001 + TEXT_LEN, s.ack);
	server = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, server);
	EXPECT_EQ(TCP_SYN_RECV, connection_state(own_family(), PORT, 5000));
	EXPECT_EQ(POLLIN | POLLOUT, wait_events(server, POLLIN | POLLOUT, 0));
	recv_all(server, text, TEXT_LEN);
	EXPECT_EQ(0, memcmp(text, TEXT, TEXT_LEN));
	send_all(server, "answer", 6);
	s = wire_expect(&w, PSH);
	EXPECT_EQ(6, s.len);
	EXPECT_EQ(TCP_SYN_RECV, connection_state(own_family(), PORT, 5000));
	wire_ack(&w, &s);
	EXPECT_TRUE(reaches_state(own_family(), PORT, 5000, TCP_ESTABLISHED, 1000));
	EXPECT_EQ(1, took_text_of_syn(server));
}

TEST_F(fast_open_wire, a_wrong_cookie_is_corrected_and_its_text_not_taken)
{
	struct segment s;
	struct wire w;

	self->option[5] ^= 1;
	w = fast_syn(5000, self->option, 12, TEXT_LEN);
	s = wire_expect(&w, SYN | ACK);
	EXPECT_EQ(1001, s.ack);
	self->option[5] ^= 1;
	ASSERT_NE(NULL, cookie_of(&s));
	EXPECT_EQ(0, memcmp(cookie_of(&s), self->option + 2, COOKIE_LEN));
	EXPECT_EQ(0, wait_events(self->listener, POLLIN, 50));
}

TEST_F(fast_open_wire, text_without_a_cookie_is_not_taken)
{
	struct wire w = fast_syn(5000, NULL, 0, TEXT_LEN);
	struct segment s = wire_expect(&w, SYN | ACK);

	EXPECT_EQ(1001, s.ack);
	EXPECT_EQ(NULL, cookie_of(&s));
}

TEST_F(fast_open_wire, text_without_a_cookie_is_taken_with_TCP_FASTOPEN_NO_COOKIE)
{
	struct wire w;

	set_option(self->listener, SOL_TCP, TCP_FASTOPEN_NO_COOKIE, 1);
	w = fast_syn(5000, NULL, 0, TEXT_LEN);
	EXPECT_EQ(1001 + TEXT_LEN, wire_expect(&w, SYN | ACK).ack);
	EXPECT_EQ(POLLIN, wait_events(self->listener, POLLIN, 1000));
}

TEST_F(fast_open_wire, no_more_are_pending_than_TCP_FASTOPEN_says)
{
	struct segment first, s;
	struct wire w, v;

	w = fast_syn(5000, self->option, 12, TEXT_LEN);
	first = wire_expect(&w, SYN | ACK);
	EXPECT_EQ(1001 + TEXT_LEN, first.ack);
	v = fast_syn(5001, self->option, 12, TEXT_LEN);
	EXPECT_EQ(1001 + TEXT_LEN, wire_expect(&v, SYN | ACK).ack);
	v = fast_syn(5002, self->option, 12, TEXT_LEN);
	EXPECT_EQ(1001, wire_expect(&v, SYN | ACK).ack);
	wire_ack(&w, &first);
	EXPECT_TRUE(reaches_state(own_family(), PORT, 5000, TCP_ESTABLISHED, 1000));
	v = fast_syn(5003, self->option, 12, TEXT_LEN);
	s = wire_expect(&v, SYN | ACK);
	EXPECT_EQ(1001 + TEXT_LEN, s.ack);
}

TEST_F(fast_open_wire, a_reset_does_not_make_room)
{
	struct wire w, v;
	int server;

	w = fast_syn(5000, self->option, 12, TEXT_LEN);
	wire_expect(&w, SYN | ACK);
	v = fast_syn(5001, self->option, 12, TEXT_LEN);
	wire_expect(&v, SYN | ACK);
	wire_send(&w, RST, NULL, 0);
	v = fast_syn(5002, self->option, 12, TEXT_LEN);
	EXPECT_EQ(1001, wire_expect(&v, SYN | ACK).ack);
	server = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, server);
	EXPECT_EQ(ECONNRESET, take_error(server));
}

TEST_F(fast_open_wire, the_syn_ack_is_repeated_for_the_syn_that_comes_again)
{
	struct wire w = fast_syn(5000, self->option, 12, TEXT_LEN);

	wire_expect(&w, SYN | ACK);
	fast_syn(5000, self->option, 12, TEXT_LEN);
	EXPECT_EQ(1001 + TEXT_LEN, wire_expect(&w, SYN | ACK).ack);
}

TEST_F(fast_open_wire, a_listener_s_own_key_makes_other_cookies_and_the_former_holds)
{
	static const uint8_t one[16] = "first key......", two[32] = "other key......first key.....";
	uint8_t keys[32];
	socklen_t len = sizeof(keys);
	struct segment s;
	struct wire w;

	ASSERT_EQ(0, setsockopt(self->listener, SOL_TCP, TCP_FASTOPEN_KEY, one, 16));
	ASSERT_EQ(0, getsockopt(self->listener, SOL_TCP, TCP_FASTOPEN_KEY, keys, &len));
	EXPECT_EQ(16, len);
	EXPECT_EQ(0, memcmp(keys, one, 16));
	w = fast_syn(5000, self->option, 12, TEXT_LEN);
	s = wire_expect(&w, SYN | ACK);
	EXPECT_EQ(1001, s.ack);
	ASSERT_NE(NULL, cookie_of(&s));
	memcpy(self->option + 2, cookie_of(&s), COOKIE_LEN);

	memcpy(keys, two, 16);
	memcpy(keys + 16, one, 16);
	ASSERT_EQ(0, setsockopt(self->listener, SOL_TCP, TCP_FASTOPEN_KEY, keys, 32));
	w = fast_syn(5001, self->option, 12, TEXT_LEN);
	s = wire_expect(&w, SYN | ACK);
	EXPECT_EQ(1001 + TEXT_LEN, s.ack);
	ASSERT_NE(NULL, cookie_of(&s));
	EXPECT_NE(0, memcmp(self->option + 2, cookie_of(&s), COOKIE_LEN));
}

/* The SYN-ACK of a connection that is open already has both options too. */
TEST_F(fast_open_wire, a_renewed_cookie_has_room_beside_timestamps_and_accurate_ECN)
{
	static const uint8_t one[16] = "first key......", two[32] = "other key......first key.....";
	uint8_t keys[32], options[32] = {
		2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7,
	};
	struct segment s = {
		.sport = 5000, .dport = PORT, .seq = 1000, .flags = SYN | ECE | CWR | AE,
		.window = 60000, .options = options, .options_len = 32, .data = TEXT,
		.len = TEXT_LEN,
	}, answer;
	struct wire w;

	close(self->listener);
	set_sysctl("net/ipv4/tcp_ecn", "3");
	self->listener = own_socket(0);
	ASSERT_EQ(0, bind_to(self->listener, STACK_ADDR, PORT));
	ASSERT_EQ(0, listen(self->listener, 8));
	set_option(self->listener, SOL_TCP, TCP_FASTOPEN, 2);
	ASSERT_EQ(0, setsockopt(self->listener, SOL_TCP, TCP_FASTOPEN_KEY, one, 16));
	w = fast_syn(4998, request, sizeof(request), 0);
	answer = wire_expect(&w, SYN | ACK);
	ASSERT_NE(NULL, cookie_of(&answer));
	memcpy(self->option + 2, cookie_of(&answer), COOKIE_LEN);
	memcpy(keys, two, 16);
	memcpy(keys + 16, one, 16);
	ASSERT_EQ(0, setsockopt(self->listener, SOL_TCP, TCP_FASTOPEN_KEY, keys, 32));
	memcpy(options + 20, self->option, 12);
	wire_inject(&s);
	w = (struct wire){ .port = 5000, .stack_port = PORT };
	s = wire_expect(&w, SYN | ACK);
	EXPECT_EQ(1001 + TEXT_LEN, s.ack);
	EXPECT_EQ(40, s.options_len);
	EXPECT_NE(NULL, cookie_of(&s));
}

/* The peer as a server: gives a cookie to the first connection of the stack. */
static void teach_cookie(void)
{
	static const uint8_t option[12] = { KIND, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1 };
	struct sockaddr_in to = address(PEER_ADDR, 80);
	int fd = own_socket(SOCK_NONBLOCK);
	struct segment s, answer = {
		.sport = 80, .flags = SYN | ACK, .seq = 7000, .window = 60000,
		.options = option, .options_len = 12,
	};

	if (send_to(fd, &to, TEXT, TEXT_LEN) >= 0 || (errno != EINPROGRESS && errno != EAGAIN))
		die("the first sendto");
	s = wire_any(SYN);
	if (s.len)
		die("text without a cookie");
	answer.dport = s.sport;
	answer.ack = s.seq + 1;
	wire_inject(&answer);
	wire_any(ACK);
	answer.flags = RST;
	answer.seq++;
	wire_inject(&answer);
	close(fd);
}

TEST_F(fast_open_wire, text_that_the_server_does_not_take_is_sent_again)
{
	struct sockaddr_in to = address(PEER_ADDR, 80);
	struct segment s;
	struct wire w;
	int fd;

	teach_cookie();
	fd = own_socket(SOCK_NONBLOCK);
	ASSERT_EQ(TEXT_LEN, send_to(fd, &to, TEXT, TEXT_LEN));
	do {
		s = wire_any(SYN);
	} while (!s.len);
	EXPECT_EQ(TEXT_LEN, s.len);
	EXPECT_EQ(0, memcmp(s.data, TEXT, TEXT_LEN));
	ASSERT_NE(NULL, cookie_of(&s));
	EXPECT_EQ(9, cookie_of(&s)[0]);
	w = (struct wire){
		.port = 80, .stack_port = s.sport, .snd_nxt = 9000, .rcv_nxt = s.seq + 1,
		.window = 60000,
	};
	wire_send(&w, SYN | ACK, NULL, 0);
	s = wire_expect(&w, PSH);
	EXPECT_EQ(w.rcv_nxt, s.seq);
	EXPECT_EQ(TEXT_LEN, s.len);
	EXPECT_EQ(0, took_text_of_syn(fd));
}

TEST_F(fast_open_wire, a_syn_that_is_repeated_is_bare)
{
	struct sockaddr_in to = address(PEER_ADDR, 80);
	struct segment s;
	int fd;

	teach_cookie();
	fd = own_socket(SOCK_NONBLOCK);
	ASSERT_EQ(TEXT_LEN, send_to(fd, &to, TEXT, TEXT_LEN));
	do {
		s = wire_any(SYN);
	} while (!s.len);
	s = wire_any(SYN);
	EXPECT_EQ(0, s.len);
	EXPECT_EQ(NULL, cookie_of(&s));
}

/* A connection whose text the server, the peer, never sees: three timeouts. */
static void be_dropped(void)
{
	struct sockaddr_in to = address(PEER_ADDR, 80);
	int fd = own_socket(SOCK_NONBLOCK), again = 0;

	if (send_to(fd, &to, TEXT, TEXT_LEN) != TEXT_LEN)
		die("no text in the SYN");
	while (!wire_any(SYN).len)
		;
	while (again < 3)
		again += !wire_any(SYN).len;
	close(fd);
}

/* One whose text the server takes, and answers. */
static void be_answered(void)
{
	struct sockaddr_in to = address(PEER_ADDR, 80);
	int fd = own_socket(SOCK_NONBLOCK);
	struct segment s;
	struct wire w;
	char c;

	if (send_to(fd, &to, TEXT, TEXT_LEN) != TEXT_LEN)
		die("no text in the SYN");
	do {
		s = wire_any(SYN);
	} while (!s.len);
	w = (struct wire){
		.port = 80, .stack_port = s.sport, .snd_nxt = 9000,
		.rcv_nxt = s.seq + 1 + TEXT_LEN, .window = 60000,
	};
	wire_send(&w, SYN | ACK, NULL, 0);
	wire_expect(&w, ACK);
	wire_send(&w, PSH | ACK, "a", 1);
	wire_expect(&w, ACK);
	if (recv(fd, &c, 1, 0) != 1)
		die("no answer");
	wire_send(&w, RST, NULL, 0);
	wait_events(fd, 0, 5000);
	if (take_error(fd) != ECONNRESET)
		die("no end");
	close(fd);
}

/* Whether a connection of now begins with text. */
static bool begins_with_text(void)
{
	struct sockaddr_in to = address(PEER_ADDR, 80);
	int fd = own_socket(SOCK_NONBLOCK);
	bool began = send_to(fd, &to, TEXT, TEXT_LEN) == TEXT_LEN;

	close(fd);
	return began;
}

TEST_F(fast_open_wire, a_pause_after_a_success_is_as_short_as_the_first)
{
	set_sysctl("net/ipv4/tcp_fastopen_blackhole_timeout_sec", "1");
	teach_cookie();
	be_dropped();
	teach_cookie();
	EXPECT_FALSE(begins_with_text());
	usleep(1100000);
	be_answered();
	be_dropped();
	teach_cookie();
	EXPECT_FALSE(begins_with_text());
	usleep(1100000);
	EXPECT_TRUE(begins_with_text());
	/* Without one it is twice as long. */
	be_dropped();
	teach_cookie();
	usleep(1100000);
	EXPECT_FALSE(begins_with_text());
	usleep(1000000);
	EXPECT_TRUE(begins_with_text());
}

OWN_FIXTURE(fast_open_option)

TEST_F(fast_open_option, values_out_of_range_are_EINVAL)
{
	int fd = own_socket(0), value;
	uint8_t key[20] = "";

	value = -1;
	EXPECT_EQ(-1, setsockopt(fd, SOL_TCP, TCP_FASTOPEN, &value, sizeof(value)));
	EXPECT_EQ(EINVAL, errno);
	value = 2;
	EXPECT_EQ(-1, setsockopt(fd, SOL_TCP, TCP_FASTOPEN_CONNECT, &value, sizeof(value)));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, setsockopt(fd, SOL_TCP, TCP_FASTOPEN_NO_COOKIE, &value, sizeof(value)));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, setsockopt(fd, SOL_TCP, TCP_FASTOPEN_KEY, key, sizeof(key)));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(fast_open_option, values_are_given_back)
{
	int fd = own_socket(0);

	set_option(fd, SOL_TCP, TCP_FASTOPEN, 5);
	EXPECT_EQ(5, get_option(fd, SOL_TCP, TCP_FASTOPEN));
	set_option(fd, SOL_TCP, TCP_FASTOPEN_CONNECT, 1);
	EXPECT_EQ(1, get_option(fd, SOL_TCP, TCP_FASTOPEN_CONNECT));
	set_option(fd, SOL_TCP, TCP_FASTOPEN_NO_COOKIE, 1);
	EXPECT_EQ(1, get_option(fd, SOL_TCP, TCP_FASTOPEN_NO_COOKIE));
}

TEST_F(fast_open_option, MSG_FASTOPEN_is_EOPNOTSUPP_when_switched_off)
{
	struct sockaddr_in to = address("127.0.0.1", 9);
	int fd = own_socket(0);

	set_sysctl(FAST_OPEN, "0");
	EXPECT_EQ(-1, send_to(fd, &to, "x", 1));
	EXPECT_EQ(EOPNOTSUPP, errno);
}

TEST_F(fast_open_option, MSG_FASTOPEN_of_a_connected_socket_is_EISCONN)
{
	int listener = own_listen("127.0.0.1", 1), fd = own_socket(0);
	struct sockaddr_in to = local_address(listener);

	EXPECT_EQ(0, connect_to(fd, "127.0.0.1", local_port(listener)));
	EXPECT_EQ(-1, send_to(fd, &to, "x", 1));
	EXPECT_EQ(EISCONN, errno);
}

TEST_F(fast_open_option, MSG_FASTOPEN_goes_on_with_a_connect_that_has_begun)
{
	int listener = own_listen("127.0.0.1", 1), fd = own_socket(SOCK_NONBLOCK);
	struct sockaddr_in to = local_address(listener);

	EXPECT_EQ(EINPROGRESS, connect_to(fd, "127.0.0.1", local_port(listener)));
	EXPECT_EQ(POLLOUT, wait_events(fd, POLLOUT, 5000));
	EXPECT_EQ(1, send_to(fd, &to, "x", 1));
	EXPECT_EQ(-1, send_to(fd, &to, "x", 1));
	EXPECT_EQ(EISCONN, errno);
}
