// SPDX-License-Identifier: GPL-2.0
/* SO_REUSEPORT: listeners that share a port, and which of them a connection goes to. */
#include <linux/filter.h>

#include "lib/selftest.h"
#include "lib/wire.h"

#define LISTENERS 4
#define CONNECTIONS 64

FIXTURE(reuseport) {
	int listener[LISTENERS];
	uint16_t port;
};

/* Listeners on one port of 127.0.0.1, each with the options that it needs. */
FIXTURE_SETUP(reuseport)
{
	int i;

	make_network(LOOPBACK);
	self->port = 0;
	for (i = 0; i < LISTENERS; i++) {
		self->listener[i] = own_socket(SOCK_NONBLOCK);
		set_option(self->listener[i], SOL_SOCKET, SO_REUSEPORT, 1);
		ASSERT_EQ(0, bind_to(self->listener[i], "127.0.0.1", self->port));
		ASSERT_EQ(0, listen(self->listener[i], CONNECTIONS));
		self->port = local_port(self->listener[i]);
	}
}

FIXTURE_TEARDOWN(reuseport)
{
}


static int accept_all(int listener)
{
	int n = 0, fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		close(fd);
		n++;
	}
	return n;
}

static int connect_many(uint16_t port, int count)
{
	int i, fd, failed = 0;

	for (i = 0; i < count; i++) {
		fd = own_socket(0);
		failed += connect_to(fd, "127.0.0.1", port) != 0;
		close(fd);
	}
	return failed;
}

TEST_F(reuseport, each_listener_gets_some)
{
	int i, n, sum = 0;

	EXPECT_EQ(0, connect_many(self->port, CONNECTIONS));
	for (i = 0; i < LISTENERS; i++) {
		n = accept_all(self->listener[i]);
		EXPECT_LT(0, n);
		EXPECT_GT(CONNECTIONS / 2, n);
		sum += n;
	}
	EXPECT_EQ(CONNECTIONS, sum);
}

TEST_F(reuseport, one_that_closes_leaves_it_to_the_others)
{
	int i, sum = 0;

	close(self->listener[1]);
	EXPECT_EQ(0, connect_many(self->port, CONNECTIONS));
	for (i = 0; i < LISTENERS; i++)
		if (i != 1)
			sum += accept_all(self->listener[i]);
	EXPECT_EQ(CONNECTIONS, sum);
}

TEST_F(reuseport, one_that_comes_gets_some)
{
	int fd = own_socket(SOCK_NONBLOCK);

	set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	EXPECT_EQ(0, bind_to(fd, "127.0.0.1", self->port));
	EXPECT_EQ(0, listen(fd, CONNECTIONS));
	EXPECT_EQ(0, connect_many(self->port, CONNECTIONS));
	EXPECT_LT(0, accept_all(fd));
}

TEST_F(reuseport, without_it_the_port_is_in_use)
{
	int fd = own_socket(0);

	EXPECT_EQ(EADDRINUSE, bind_to(fd, "127.0.0.1", self->port));
	EXPECT_EQ(EADDRINUSE, bind_to(fd, "0.0.0.0", self->port));
}

TEST_F(reuseport, a_program_chooses)
{
	struct sock_filter third[] = { BPF_STMT(BPF_RET | BPF_K, 2) };
	struct sock_fprog program = { .len = ARRAY_SIZE(third), .filter = third };
	int i;

	ASSERT_EQ(0, setsockopt(self->listener[0], SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program,
				sizeof(program)));
	EXPECT_EQ(0, connect_many(self->port, CONNECTIONS));
	for (i = 0; i < LISTENERS; i++)
		EXPECT_EQ(i == 2 ? CONNECTIONS : 0, accept_all(self->listener[i]));
}

/* Whoever brings a program begins a group, and has no part in another's. */
TEST_F(reuseport, a_group_has_one_program)
{
	struct sock_filter first[] = { BPF_STMT(BPF_RET | BPF_K, 0) };
	struct sock_fprog program = { .len = ARRAY_SIZE(first), .filter = first };
	int fd[3], i;

	for (i = 0; i < 3; i++) {
		fd[i] = own_socket(0);
		set_option(fd[i], SOL_SOCKET, SO_REUSEPORT, 1);
		if (i < 2)
			ASSERT_EQ(0, setsockopt(fd[i], SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF,
						&program, sizeof(program)));
	}
	EXPECT_EQ(0, bind_to(fd[0], "127.0.0.1", 4321));
	EXPECT_EQ(EADDRINUSE, bind_to(fd[1], "127.0.0.1", 4321));
	EXPECT_EQ(0, bind_to(fd[2], "127.0.0.1", 4321));
	EXPECT_EQ(-1, listen(fd[0], 1));
	EXPECT_EQ(EADDRINUSE, errno);
	close(fd[2]);
	EXPECT_EQ(0, listen(fd[0], 1));
}

static int bound(bool reuseport)
{
	int fd = own_socket(0);

	set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	set_option(fd, SOL_SOCKET, SO_REUSEPORT, reuseport);
	errno = bind_to(fd, "127.0.0.1", 4321);
	if (errno)
		die("bind");
	return fd;
}

TEST_F(reuseport, a_refused_listen_joins_no_group)
{
	int listener = bound(false), fd = bound(false), other;

	EXPECT_EQ(0, listen(listener, 1));
	set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
	EXPECT_EQ(-1, listen(fd, 1));
	EXPECT_EQ(EADDRINUSE, errno);
	close(listener);
	other = bound(true);
	EXPECT_EQ(0, listen(other, 1));
	EXPECT_EQ(0, listen(fd, 1));
}

TEST_F(reuseport, a_program_that_changes_its_mind_between_SYN_and_ACK)
{
	/* By a random number. */
	struct sock_filter random[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, SKF_AD_OFF + SKF_AD_RANDOM),
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, LISTENERS),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	struct sock_fprog program = { .len = ARRAY_SIZE(random), .filter = random };
	int i, sum = 0;

	ASSERT_EQ(0, setsockopt(self->listener[0], SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program,
				sizeof(program)));
	EXPECT_EQ(0, connect_many(self->port, CONNECTIONS));
	for (i = 0; i < LISTENERS; i++)
		sum += accept_all(self->listener[i]);
	EXPECT_EQ(CONNECTIONS, sum);
}

FIXTURE(reuseport_wire) {
	int listener[LISTENERS];
};

/* The same at the end of a wire. */
FIXTURE_SETUP(reuseport_wire)
{
	int i;

	make_network(LOOPBACK);
	wire_open();
	for (i = 0; i < LISTENERS; i++) {
		self->listener[i] = own_socket(SOCK_NONBLOCK);
		set_option(self->listener[i], SOL_SOCKET, SO_REUSEPORT, 1);
		ASSERT_EQ(0, bind_to(self->listener[i], STACK_ADDR, 4000));
		ASSERT_EQ(0, listen(self->listener[i], CONNECTIONS));
	}
}

FIXTURE_TEARDOWN(reuseport_wire)
{
}

/* The group of @listener sends all to its member @number. */
static void choose(int listener, int number)
{
	struct sock_filter filter[] = { BPF_STMT(BPF_RET | BPF_K, number) };
	struct sock_fprog program = { .len = ARRAY_SIZE(filter), .filter = filter };

	if (setsockopt(listener, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof(program)))
		die("SO_ATTACH_REUSEPORT_CBPF");
}

TEST_F(reuseport_wire, a_SYN_that_comes_again_finds_the_handshake_that_is_under_way)
{
	struct segment first, again;
	struct wire w, v;

	choose(self->listener[0], 0);
	wire_syn(&w, 5000, 4000);
	first = wire_expect(&w, SYN | ACK);
	choose(self->listener[0], 1);
	wire_syn(&v, 5000, 4000);
	again = wire_expect(&v, SYN | ACK);
	EXPECT_EQ(first.seq, again.seq);
	choose(self->listener[0], 2);
	wire_ack(&v, &again);
	EXPECT_TRUE(reaches_state(own_family(), 4000, 5000, TCP_ESTABLISHED, 1000));
	EXPECT_EQ(1, accept_all(self->listener[0]));
	EXPECT_EQ(0, accept_all(self->listener[1]));
	EXPECT_EQ(0, accept_all(self->listener[2]));
}

TEST_F(reuseport_wire, a_handshake_that_is_given_up_is_forgotten)
{
	struct segment s;
	struct wire w;

	choose(self->listener[0], 0);
	wire_syn(&w, 5000, 4000);
	wire_ack(&w, &(struct segment){ .seq = wire_expect(&w, SYN | ACK).seq, .flags = SYN });
	EXPECT_TRUE(reaches_state(own_family(), 4000, 5000, TCP_ESTABLISHED, 1000));
	wire_syn(&w, 5001, 4000);
	s = wire_expect(&w, SYN | ACK);
	w.rcv_nxt = s.seq + 1;
	wire_send(&w, RST, NULL, 0);
	choose(self->listener[0], 1);
	wire_syn(&w, 5001, 4000);
	s = wire_expect(&w, SYN | ACK);
	wire_ack(&w, &s);
	EXPECT_TRUE(reaches_state(own_family(), 4000, 5001, TCP_ESTABLISHED, 1000));
	EXPECT_EQ(1, accept_all(self->listener[0]));
	EXPECT_EQ(1, accept_all(self->listener[1]));
}

TEST_F(reuseport_wire, a_member_that_closes_takes_its_handshakes_with_it)
{
	struct segment s;
	struct wire w;

	choose(self->listener[0], 3);
	wire_syn(&w, 5000, 4000);
	wire_expect(&w, SYN | ACK);
	close(self->listener[3]);
	choose(self->listener[0], 1);
	wire_syn(&w, 5000, 4000);
	s = wire_expect(&w, SYN | ACK);
	wire_ack(&w, &s);
	EXPECT_TRUE(reaches_state(own_family(), 4000, 5000, TCP_ESTABLISHED, 1000));
	EXPECT_EQ(1, accept_all(self->listener[1]));
}

TEST_F(reuseport_wire, an_ICMP_error_finds_the_handshake_that_it_is_about)
{
	struct segment s;
	struct wire w;

	choose(self->listener[0], 0);
	wire_syn(&w, 5000, 4000);
	s = wire_expect(&w, SYN | ACK);
	choose(self->listener[0], 1);
	/* No way to the host. */
	wire_icmp(&w, 3, 1, s.seq, 0);
	wire_ack(&w, &s);
	wire_expect(&w, RST);
}
