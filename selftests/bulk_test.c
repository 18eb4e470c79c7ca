// SPDX-License-Identifier: GPL-2.0
/* Much data and many connections, also over a network that loses and garbles. */
#include <poll.h>
#include <sys/resource.h>

#include "lib/selftest.h"
#include "lib/stream.h"

#include <linux/ethtool.h>

PAIR_FIXTURE(bulk)
VETH_PAIR_FIXTURE(device)
COMBO_FIXTURE(many)

/* Both directions of the veth lose, delay, reorder, double and garble packets. */
static bool emulate(const char *how)
{
	static const char *const device[] = { NEAR_DEV, FAR_DEV };
	char command[200];
	bool works = true;
	int i;

	for (i = 0; i < 2; i++) {
		snprintf(command, sizeof(command),
			 "tc qdisc replace dev %s root netem %s 2>/dev/null", device[i], how);
		if (i)
			enter_far();
		works = works && system(command) == 0;
	}
	enter_near();
	return works;
}

/* Offloads of both ends of the veth. */
static void set_offloads(bool on)
{
	static const unsigned int features[] = {
		ETHTOOL_STXCSUM, ETHTOOL_SSG, ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO,
	};
	static const char *const device[] = { NEAR_DEV, FAR_DEV };
	size_t i, j;

	for (i = 0; i < 2; i++) {
		if (i)
			enter_far();
		for (j = 0; j < ARRAY_SIZE(features); j++)
			if (device_offload(device[i], features[j], on))
				die("ETHTOOL %#x of %s", features[j], device[i]);
	}
	enter_near();
}

TEST_F_TIMEOUT(bulk, sixty_four_MiB_both_ways_at_once, 120)
{
	EXPECT_TRUE(exchange_both(self->p.server, self->p.client, amount(64 << 20, 0)));
}

TEST_F_TIMEOUT(bulk, with_small_buffers, 120)
{
	/* Loopback's segments are larger than these buffers, so that timers move the data. */
	size_t len = variant->combo.path == VETH ? 1 << 20 : 128 << 10;

	set_option(self->p.server, SOL_SOCKET, SO_RCVBUF, 4096);
	set_option(self->p.server, SOL_SOCKET, SO_SNDBUF, 4096);
	set_option(self->p.client, SOL_SOCKET, SO_RCVBUF, 8192);
	set_option(self->p.client, SOL_SOCKET, SO_SNDBUF, 8192);
	EXPECT_TRUE(exchange_both(self->p.server, self->p.client, amount(len, 64 << 10)));
}

TEST_F_TIMEOUT(device, without_offloads, 120)
{
	set_offloads(false);
	EXPECT_TRUE(exchange_both(self->p.server, self->p.client, amount(8 << 20, 0)));
}

TEST_F_TIMEOUT(device, with_offloads_and_GRO, 120)
{
	set_offloads(true);
	EXPECT_TRUE(exchange_both(self->p.server, self->p.client, amount(8 << 20, 0)));
}

TEST_F_TIMEOUT(device, over_loss_delay_reordering_duplication_and_corruption, 400)
{
	/* All of it once, and enough of it in the other combinations. */
	bool all = variant->combo.server == OWN && variant->combo.client == OWN;

	if (!emulate("delay 10ms 2ms loss 2% reorder 25% duplicate 1% corrupt 1%"))
		SKIP(return, "needs netem");
	EXPECT_TRUE(exchange_both(self->p.server, self->p.client,
				  amount((all ? 64 : 4) << 20, 64 << 10)));
}

TEST_F_TIMEOUT(device, over_heavy_loss, 120)
{
	if (!emulate("delay 1ms loss 10%"))
		SKIP(return, "needs netem");
	EXPECT_TRUE(exchange_both(self->p.server, self->p.client, amount(512 << 10, 64 << 10)));
}

TEST_F_TIMEOUT(many, thousand_connections_at_once, 120)
{
	int listener = server_listen(&variant->combo, 1024), got;
	int n = amount(1000, 64), i, *client, *server;
	struct rlimit files = { 4096, 4096 };

	setrlimit(RLIMIT_NOFILE, &files);
	client = calloc(n, sizeof(*client));
	server = calloc(n, sizeof(*server));
	for (i = 0; i < n; i++)
		client[i] = client_connect(&variant->combo, listener);
	for (i = 0; i < n; i++) {
		server[i] = accept(listener, NULL, NULL);
		ASSERT_LE(0, server[i]);
	}
	for (i = 0; i < n; i++)
		send_all(client[i], &i, sizeof(i));
	/* Accepted in the order of connecting: each gets its own number, and sends it back. */
	for (i = 0; i < n; i++) {
		recv_all(server[i], &got, sizeof(got));
		ASSERT_EQ(i, got);
		send_all(server[i], &got, sizeof(got));
	}
	for (i = 0; i < n; i++) {
		recv_all(client[i], &got, sizeof(got));
		ASSERT_EQ(i, got);
		close(client[i]);
	}
	for (i = 0; i < n; i++)
		ASSERT_EQ(-1, recv_errno(server[i]));
}

OWN_FIXTURE(memory)

#define HOARDERS 60

/* Sockets of the stack that do not read have all the memory that its family may have. */
static void hoard(int listener, const struct sockaddr_in *to)
{
	static char text[65536];
	int fd, peer[HOARDERS], i, full = 0;

	for (i = 0; i < HOARDERS; i++) {
		fd = own_socket(0);
		set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20);
		if (connect(fd, (const void *)to, sizeof(*to)))
			die("connect");
		peer[i] = accept(listener, NULL, NULL);
		set_nonblocking(peer[i], true);
	}
	while (full < 20) {
		bool sent = false;

		for (i = 0; i < HOARDERS; i++)
			sent |= send(peer[i], text, sizeof(text), MSG_NOSIGNAL) > 0;
		full = sent ? 0 : full + 1;
		if (!sent)
			poll(NULL, 0, 50);
	}
}

/* Else what others keep would hold it up for ever. */
TEST_F_TIMEOUT(memory, a_reader_with_nothing_gets_on, 120)
{
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd, peer;
	struct sockaddr_in to = address("127.0.0.1", 4001);
	char text[2000] = "";

	ASSERT_EQ(0, bind(listener, (void *)&to, sizeof(to)));
	ASSERT_EQ(0, listen(listener, 8));
	hoard(listener, &to);
	fd = own_socket(0);
	ASSERT_EQ(0, connect(fd, (void *)&to, sizeof(to)));
	peer = accept(listener, NULL, NULL);
	ASSERT_EQ(sizeof(text), send(peer, text, sizeof(text), 0));
	EXPECT_EQ(POLLIN, wait_events(fd, POLLIN, 3000));
}

TEST_F(many, writers_to_one_socket_do_not_mix_their_pieces)
{
	struct pair p = make_pair(&variant->combo);
	/* So few that no writer ever sleeps in the middle of a piece, where another may come. */
	int n = 50, count[2] = {}, i, j;
	unsigned char piece[64];
	pid_t child[2];

	for (i = 0; i < 2; i++) {
		child[i] = start_child();
		if (child[i])
			continue;
		memset(piece, i, sizeof(piece));
		for (j = 0; j < n; j++)
			if (send(p.client, piece, sizeof(piece), 0) != sizeof(piece))
				_exit(1);
		_exit(0);
	}
	for (i = 0; i < 2 * n; i++) {
		recv_all(p.server, piece, sizeof(piece));
		for (j = 1; j < sizeof(piece); j++)
			ASSERT_EQ(piece[0], piece[j]);
		ASSERT_GT(2, piece[0]);
		count[piece[0]]++;
	}
	EXPECT_EQ(n, count[0]);
	EXPECT_EQ(n, count[1]);
	for (i = 0; i < 2; i++)
		EXPECT_EQ(0, end_of_child(child[i]));
}
