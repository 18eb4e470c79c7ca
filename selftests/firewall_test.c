// SPDX-License-Identifier: GPL-2.0
/* Rules of the firewall, connection tracking and NAT are in force for the family's sockets. */
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdarg.h>

#include "lib/selftest.h"
#include "lib/stream.h"

/* Of linux/netfilter_ipv4.h, which does not go with the C library's headers. */
#define SO_ORIGINAL_DST 80
/* Of linux/netfilter.h, which does not either. */
#define NF_ACCEPT 1

FIXTURE(firewall) {
	int listener;
	uint16_t port;
};

VETH_VARIANTS(firewall);

FIXTURE_SETUP(firewall)
{
	make_network(VETH);
	self->listener = server_listen(&variant->combo, 8);
	self->port = local_port(self->listener);
}

FIXTURE_TEARDOWN(firewall)
{
}

/* Gives rules of nft(8) to the current namespace. */
static void __printf(1, 2) rules(const char *fmt, ...)
{
	FILE *nft = popen("nft -f -", "w");
	va_list args;

	if (!nft)
		die("nft");
	va_start(args, fmt);
	vfprintf(nft, fmt, args);
	va_end(args);
	if (pclose(nft))
		die("nft refuses the rules");
}

/* A connection that is being opened to @port of the server. */
static int connecting(const struct combo *combo, uint16_t port)
{
	int fd = client_socket(combo, SOCK_NONBLOCK);

	if (connect_to(fd, FAR_ADDR, port) != EINPROGRESS)
		die("connect");
	return fd;
}

static bool opens(int fd, int ms)
{
	return wait_events(fd, POLLOUT, ms) == POLLOUT && take_error(fd) == 0;
}

TEST_F(firewall, input_rule_drops_until_it_is_taken_away)
{
	int fd;

	enter_far();
	rules("table ip t { chain in { type filter hook input priority 0; tcp dport %u drop; }\n}\n",
	      self->port);
	enter_near();
	fd = connecting(&variant->combo, self->port);
	EXPECT_FALSE(opens(fd, 300));
	enter_far();
	rules("flush ruleset\n");
	enter_near();
	EXPECT_TRUE(opens(fd, 5000));
}

/* Whether the next byte comes to @fd within @ms. */
static bool comes(int fd, int ms)
{
	char byte;

	return wait_events(fd, POLLIN, ms) == POLLIN && read(fd, &byte, 1) == 1;
}

TEST_F(firewall, rules_see_a_connection_that_was_open_before_them)
{
	static const char *const hooks[] = {
		"input priority 0",
		"input priority 2147483647",
		"prerouting priority -300",
		"prerouting priority 2147483647",
	};
	int fd, server;
	size_t i;

	fd = client_socket(&variant->combo, 0);
	EXPECT_EQ(0, connect_to(fd, FAR_ADDR, self->port));
	server = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, server);
	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		/* What was learnt of the way before is of no use to what comes then. */
		EXPECT_TRUE(write(fd, "a", 1) == 1 && comes(server, 5000));
		EXPECT_TRUE(write(server, "b", 1) == 1 && comes(fd, 5000));
		enter_far();
		rules("table ip t { chain c { type filter hook %s; tcp dport %u drop; }\n}\n",
		      hooks[i], self->port);
		enter_near();
		EXPECT_EQ(1, write(fd, "c", 1));
		EXPECT_FALSE(comes(server, 300));
		enter_far();
		rules("flush ruleset\n");
		enter_near();
		EXPECT_TRUE(comes(server, 5000));
	}
}

/* Number of the queue by which a test gives its verdict. */
#define QUEUE 7

/* Sends nfnetlink_queue a message with one attribute. */
static void tell_queue(int nl, int type, int attribute, const void *data, size_t len)
{
	struct {
		struct nlmsghdr nlh;
		struct nfgenmsg nfg;
		struct nlattr attr;
		char data[16];
	} msg = {
		.nlh.nlmsg_len = offsetof(typeof(msg), data) + NLA_ALIGN(len),
		.nlh.nlmsg_type = NFNL_SUBSYS_QUEUE << 8 | type,
		.nlh.nlmsg_flags = NLM_F_REQUEST,
		.nfg.version = NFNETLINK_V0,
		.nfg.res_id = htons(QUEUE),
		.attr.nla_len = NLA_HDRLEN + len,
		.attr.nla_type = attribute,
	};

	memcpy(msg.data, data, len);
	if (send(nl, &msg, msg.nlh.nlmsg_len, 0) < 0)
		die("send to nfnetlink_queue");
}

/* What rules put into the queue comes to the socket that is returned. */
static int queue_open(void)
{
	const struct nfqnl_msg_config_cmd bind = { .command = NFQNL_CFG_CMD_BIND };
	const struct nfqnl_msg_config_params heads = { .copy_mode = NFQNL_COPY_META };
	int nl = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);

	if (nl < 0)
		die("netlink");
	tell_queue(nl, NFQNL_MSG_CONFIG, NFQA_CFG_CMD, &bind, sizeof(bind));
	tell_queue(nl, NFQNL_MSG_CONFIG, NFQA_CFG_PARAMS, &heads, sizeof(heads));
	return nl;
}

/* Waits for a packet, and returns its number. */
static __be32 queue_next(int nl)
{
	struct {
		struct nlmsghdr nlh;
		struct nfgenmsg nfg;
		/* The first attribute, always. */
		struct nlattr attr;
		struct nfqnl_msg_packet_hdr packet;
		char rest[4096];
	} msg;

	if (wait_events(nl, POLLIN, 5000) != POLLIN || recv(nl, &msg, sizeof(msg), 0) < 0 ||
	    msg.nlh.nlmsg_type != (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET))
		die("no packet in the queue");
	return msg.packet.packet_id;
}

static void queue_accept(int nl, __be32 id)
{
	const struct nfqnl_msg_verdict_hdr verdict = { .verdict = htonl(NF_ACCEPT), .id = id };

	tell_queue(nl, NFQNL_MSG_VERDICT, NFQA_VERDICT_HDR, &verdict, sizeof(verdict));
}

TEST_F(firewall, segment_in_a_queue_outlives_its_connection_and_the_port)
{
	const struct linger abort = { .l_onoff = 1 };
	int fd, server, nl;
	__be32 id;

	fd = client_socket(&variant->combo, 0);
	EXPECT_EQ(0, connect_to(fd, FAR_ADDR, self->port));
	server = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, server);
	/* The way is known. */
	EXPECT_TRUE(write(server, "a", 1) == 1 && comes(fd, 5000));
	nl = queue_open();
	rules("table ip t { chain in { type filter hook input priority 0;\n"
	      "tcp sport %u queue num %d; }\n}\n", self->port, QUEUE);
	EXPECT_EQ(1, write(server, "b", 1));
	id = queue_next(nl);
	EXPECT_EQ(0, setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort)));
	close(fd);
	EXPECT_EQ(ECONNRESET, recv_errno(server));
	/* Nobody has the port any more, least of all AF_INET. */
	queue_accept(nl, id);
	rules("flush ruleset\n");
	close(nl);
	fd = client_socket(&variant->combo, 0);
	EXPECT_EQ(0, connect_to(fd, FAR_ADDR, self->port));
}

TEST_F(firewall, output_rule_drops_until_it_is_taken_away)
{
	int fd;

	rules("table ip t { chain out { type filter hook output priority 0; tcp dport %u drop; }\n}\n",
	      self->port);
	fd = connecting(&variant->combo, self->port);
	EXPECT_FALSE(opens(fd, 300));
	rules("flush ruleset\n");
	EXPECT_TRUE(opens(fd, 5000));
}

TEST_F(firewall, answers_are_dropped_by_the_servers_output_rule)
{
	int fd;

	enter_far();
	rules("table ip t { chain out { type filter hook output priority 0; tcp sport %u drop; }\n}\n",
	      self->port);
	enter_near();
	fd = connecting(&variant->combo, self->port);
	EXPECT_FALSE(opens(fd, 300));
	enter_far();
	rules("flush ruleset\n");
	enter_near();
	EXPECT_TRUE(opens(fd, 5000));
}

TEST_F(firewall, rejected_by_a_reset_is_refused)
{
	int fd;

	enter_far();
	rules("table ip t { chain in { type filter hook input priority 0;\n"
	      "tcp dport %u reject with tcp reset; }\n}\n", self->port);
	enter_near();
	fd = client_socket(&variant->combo, 0);
	EXPECT_EQ(ECONNREFUSED, connect_to(fd, FAR_ADDR, self->port));
}

TEST_F(firewall, destination_nat_leads_to_the_listener)
{
	struct sockaddr_in original = {};
	socklen_t len = sizeof(original);
	int fd, server;

	enter_far();
	rules("table ip t { chain pre { type nat hook prerouting priority -100;\n"
	      "tcp dport 7777 redirect to :%u; }\n}\n", self->port);
	enter_near();
	fd = client_socket(&variant->combo, 0);
	EXPECT_EQ(0, connect_to(fd, FAR_ADDR, 7777));
	EXPECT_EQ(7777, ntohs(peer_address(fd).sin_port));
	server = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, server);
	EXPECT_EQ(self->port, local_port(server));
	EXPECT_EQ(0, getsockopt(server, SOL_IP, SO_ORIGINAL_DST, &original, &len));
	EXPECT_EQ(7777, ntohs(original.sin_port));
	EXPECT_EQ(inet_addr(FAR_ADDR), original.sin_addr.s_addr);
	EXPECT_TRUE(exchange_both(server, fd, amount(1 << 20, 1 << 14)));
}

TEST_F(firewall, source_nat_is_what_the_server_sees)
{
	int fd, server;

	rules("table ip t { chain post { type nat hook postrouting priority 100;\n"
	      "tcp dport %u snat to " NEAR_ADDR ":4321; }\n}\n", self->port);
	fd = client_socket(&variant->combo, 0);
	EXPECT_EQ(0, connect_to(fd, FAR_ADDR, self->port));
	server = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, server);
	EXPECT_EQ(4321, ntohs(peer_address(server).sin_port));
	EXPECT_NE(4321, local_port(fd));
	EXPECT_TRUE(exchange_both(server, fd, amount(1 << 20, 1 << 14)));
}

TEST_F(firewall, stateful_filter_lets_a_connection_through_and_nothing_else)
{
	static const char filter[] =
		"table ip t { chain in { type filter hook input priority 0; policy drop;\n"
		"ct state invalid drop; ct state established,related accept;\n"
		"tcp dport %u ct state new accept; }\n}\n";
	int fd, server, other;

	/* The client's side lets in only what answers. */
	rules(filter, 1);
	enter_far();
	rules(filter, self->port);
	enter_near();
	other = server_listen(&variant->combo, 1);
	fd = client_socket(&variant->combo, 0);
	EXPECT_EQ(0, connect_to(fd, FAR_ADDR, self->port));
	server = accept(self->listener, NULL, NULL);
	ASSERT_LE(0, server);
	EXPECT_TRUE(exchange_both(server, fd, amount(1 << 20, 1 << 14)));
	EXPECT_FALSE(opens(connecting(&variant->combo, local_port(other)), 300));
}
