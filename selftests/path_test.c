// SPDX-License-Identifier: GPL-2.0
/*
 * What lies between a connection and its wire: firewall rules, connection
 * tracking, routes, the queue of the device.
 */
#include <net/if.h>
#include <poll.h>

#include "lib/selftest.h"
#include "lib/stream.h"

#include <linux/ethtool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/sock_diag.h>

VETH_PAIR_FIXTURE(path)

/* Runs a command of the machine's; false when it fails or is not there. */
static bool run(const char *command)
{
	char line[300];

	snprintf(line, sizeof(line), "%s >/dev/null 2>&1", command);
	return system(line) == 0;
}

static bool reaches_server(struct pair *p, const char *text, int ms)
{
	char have[20] = "";

	if (!wait_events(p->server, POLLIN, ms))
		return false;
	return recv(p->server, have, sizeof(have) - 1, 0) == strlen(text) && !strcmp(have, text);
}

/*
 * Nothing reaches the server. Not looked at for longer on a slow machine: AF_INET
 * gives a connection up when its own device has dropped 15 probes, in 7.5 s.
 */
static bool stays_away(struct pair *p, int ms)
{
	struct pollfd server = { .fd = p->server, .events = POLLIN };

	return poll(&server, 1, ms) == 0;
}

/* Packets that a device of this namespace has sent. */
static long sent_by(const char *device)
{
	FILE *file = fopen("/proc/net/dev", "r");
	char line[300], name[20];
	long packets = -1, n;

	if (!file)
		die("open /proc/net/dev");
	while (packets < 0 && fgets(line, sizeof(line), file))
		if (sscanf(line, " %15[^:]: %*d %*d %*d %*d %*d %*d %*d %*d %*d %ld", name, &n) == 2 &&
		    !strcmp(name, device))
			packets = n;
	fclose(file);
	return packets;
}

/* A counter of /proc/net/netstat or snmp: names in one line, numbers in the next. */
static long counter(const char *path, const char *name)
{
	FILE *file = fopen(path, "r");
	char names[8192], numbers[8192], *a, *b, *at, *bt;
	long found = -1;

	if (!file)
		die("open %s", path);
	while (found < 0 && fgets(names, sizeof(names), file) &&
	       fgets(numbers, sizeof(numbers), file)) {
		a = strtok_r(names, "\n ", &at);
		b = strtok_r(numbers, "\n ", &bt);
		for (; a && b; a = strtok_r(NULL, "\n ", &at), b = strtok_r(NULL, "\n ", &bt))
			if (!strcmp(a, name))
				found = atol(b);
	}
	fclose(file);
	return found;
}

/* What IP delivered to this end while the other sent that many segments, one by one. */
static long delivered(struct pair *p, int segments)
{
	long before = counter("/proc/net/snmp", "InDelivers");
	char byte = 'x';
	int i;

	for (i = 0; i < segments; i++) {
		send_all(p->client, &byte, 1);
		recv_all(p->server, &byte, 1);
		send_all(p->server, &byte, 1);
		recv_all(p->client, &byte, 1);
	}
	return counter("/proc/net/snmp", "InDelivers") - before;
}

#define CHAIN(name, hook, rule) \
	"chain " name " { type filter hook " hook " priority 0; " rule "; }; "
#define DROP(hook) "table ip t { " CHAIN("c", hook, "tcp flags & syn == 0 drop") "}"

/* A rule that comes after the connection is obeyed by its next segment, and forgotten with it. */
static void rule_holds(struct __test_metadata *_metadata, struct pair *p, const char *hook)
{
	char chain[200];

	send_all(p->client, "before", 6);
	EXPECT_TRUE(reaches_server(p, "before", 5000));
	snprintf(chain, sizeof(chain), "nft '" DROP("%s") "'", hook);
	if (!run(chain))
		SKIP(return, "no nft");
	send_all(p->client, "behind", 6);
	EXPECT_TRUE(stays_away(p, 300));
	EXPECT_TRUE(run("nft delete table ip t"));
	EXPECT_TRUE(reaches_server(p, "behind", 10000));
}

TEST_F(path, segments_are_counted_as_delivered_by_ip)
{
	long n = delivered(&self->p, 20);

	EXPECT_LE(20, n);
	/* No more than an acknowledgment for each besides. */
	EXPECT_GE(40, n);
}

TEST_F(path, segments_behind_a_rule_are_counted_as_delivered_by_ip)
{
	long n;

	if (!run("nft 'table ip t { " CHAIN("c", "input", "accept") "}'"))
		SKIP(return, "no nft");
	n = delivered(&self->p, 20);
	EXPECT_LE(20, n);
	EXPECT_GE(40, n);
}

TEST_F(path, output_rule_drops_from_now_on)
{
	rule_holds(_metadata, &self->p, "output");
}

TEST_F(path, postrouting_rule_drops_from_now_on)
{
	rule_holds(_metadata, &self->p, "postrouting");
}

TEST_F(path, input_rule_drops_from_now_on)
{
	enter_far();
	if (!run("nft '" DROP("input") "'"))
		SKIP(return, "no nft");
	send_all(self->p.client, "behind", 6);
	EXPECT_TRUE(stays_away(&self->p, 300));
	EXPECT_TRUE(run("nft delete table ip t"));
	EXPECT_TRUE(reaches_server(&self->p, "behind", 10000));
}

/* Whether a tap of the near device has seen a packet of ours that ends with @text. */
static bool tap_saw(int tap, const char *text)
{
	size_t len = strlen(text);
	struct sockaddr_ll from;
	socklen_t size = sizeof(from);
	char packet[2000];
	ssize_t n;

	while ((n = recvfrom(tap, packet, sizeof(packet), MSG_DONTWAIT, (struct sockaddr *)&from,
			     &size)) > 0) {
		if (from.sll_pkttype == PACKET_OUTGOING && (size_t)n > len &&
		    !memcmp(packet + n - len, text, len))
			return true;
		size = sizeof(from);
	}
	return false;
}

/* A tap of the near device, or -1. */
static int open_tap(void)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int tap = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)), room = 16 << 20;

	at.sll_ifindex = if_nametoindex(NEAR_DEV);
	if (tap < 0)
		return -1;
	/* Else it may miss some. */
	(void)setsockopt(tap, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	if (!bind(tap, (struct sockaddr *)&at, sizeof(at)))
		return tap;
	close(tap);
	return -1;
}

TEST_F(path, tap_sees_what_is_sent_from_now_on)
{
	int tap;

	send_all(self->p.client, "before", 6);
	EXPECT_TRUE(reaches_server(&self->p, "before", 5000));
	tap = open_tap();
	if (tap < 0)
		SKIP(return, "no packet sockets");
	send_all(self->p.client, "behind", 6);
	EXPECT_TRUE(reaches_server(&self->p, "behind", 5000));
	EXPECT_TRUE(tap_saw(tap, "behind"));
}

/* Bytes of the longest packet of ours that a tap has seen. */
static ssize_t longest_sent(int tap)
{
	struct sockaddr_ll from;
	socklen_t size = sizeof(from);
	ssize_t n, longest = 0;
	char byte;

	while ((n = recvfrom(tap, &byte, 1, MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&from,
			     &size)) >= 0) {
		if (from.sll_pkttype == PACKET_OUTGOING && n > longest)
			longest = n;
		size = sizeof(from);
	}
	return longest;
}

TEST_F(path, long_write_is_cut_where_an_IP_packet_is_full)
{
	/* Headers of Ethernet, IP and TCP with timestamps. */
	const ssize_t headers = 14 + 20 + 32, mss = 1500 - 20 - 32;
	int tap = open_tap();

	if (tap < 0)
		SKIP(return, "no packet sockets");
	/* Runs are long however long the round trip. */
	set_sysctl("net/ipv4/tcp_tso_rtt_log", "31");
	ASSERT_TRUE(exchange_both(self->p.server, self->p.client, 4 << 20));
	EXPECT_EQ(longest_sent(tap), headers + (65535 - 20 - 32) / mss * mss);
}

TEST_F(path, egress_filter_drops_from_now_on)
{
	send_all(self->p.client, "before", 6);
	EXPECT_TRUE(reaches_server(&self->p, "before", 5000));
	if (!run("tc qdisc add dev " NEAR_DEV " clsact") ||
	    !run("tc filter add dev " NEAR_DEV " egress matchall action drop"))
		SKIP(return, "no tc with clsact");
	send_all(self->p.client, "behind", 6);
	EXPECT_TRUE(stays_away(&self->p, 300));
	EXPECT_TRUE(run("tc qdisc del dev " NEAR_DEV " clsact"));
	EXPECT_TRUE(reaches_server(&self->p, "behind", 10000));
}

TEST_F(path, connection_tracking_may_come_later)
{
	send_all(self->p.client, "before", 6);
	EXPECT_TRUE(reaches_server(&self->p, "before", 5000));
	if (!run("nft 'table ip t { " CHAIN("c", "output", "ct state invalid drop")
		 CHAIN("d", "input", "ct state invalid drop") "}'"))
		SKIP(return, "no nft");
	EXPECT_TRUE(exchange_both(self->p.server, self->p.client, 1 << 20));
}

/* A second pair of devices, by which the far end is reached as well. */
static bool second_way(void)
{
	return run("ip link add vc type veth peer name vd") && run("ip link set vc up");
}

TEST_F(path, changed_route_is_followed)
{
	long before;
	int far;

	send_all(self->p.client, "before", 6);
	EXPECT_TRUE(reaches_server(&self->p, "before", 5000));
	enter_far();
	far = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	enter_near();
	if (!second_way())
		SKIP(return, "no ip");
	device_to_namespace("vd", far);
	enter_far();
	device_up("vd");
	enter_near();
	ASSERT_TRUE(run("ip route add " FAR_ADDR "/32 dev vc src " NEAR_ADDR));
	before = sent_by("vc");
	send_all(self->p.client, "behind", 6);
	EXPECT_TRUE(reaches_server(&self->p, "behind", 10000));
	EXPECT_LT(before, sent_by("vc"));
	EXPECT_TRUE(exchange_both(self->p.server, self->p.client, 100000));
}

#define BEHIND_ADDR "10.1.2.2"

/*
 * A listener in a third namespace, to which the far end forwards, but no packet of
 * more than 700 bytes; -1 when that cannot be had.
 */
static int listen_behind(const struct combo *c)
{
	int behind, fd;

	behind = enter_new_namespace();
	enter_far();
	set_sysctl("net/ipv4/ip_forward", "1");
	if (!run("ip link add vc type veth peer name vd"))
		return -1;
	device_to_namespace("vd", behind);
	device_address("vc", "10.1.2.1", 24);
	device_up("vc");
	if (!run("ip route add " BEHIND_ADDR "/32 dev vc mtu 700"))
		return -1;
	enter_namespace(behind);
	device_address("vd", BEHIND_ADDR, 24);
	device_up("vd");
	device_await_carrier("vd");
	if (!run("ip route add default via 10.1.2.1"))
		return -1;
	fd = socket(family_of(c->server), SOCK_STREAM, 0);
	if (fd < 0 || bind_to(fd, BEHIND_ADDR, 0) || listen(fd, 1))
		die("listen behind");
	enter_far();
	device_await_carrier("vc");
	enter_near();
	if (!run("ip route add 10.1.2.0/24 via " FAR_ADDR))
		return -1;
	return fd;
}

/*
 * Here a router answers in the call that sends, while the sender has its socket: what
 * it says is heard when the sender lets go (TCP_MTU_REDUCED_DEFERRED), not by a timer.
 */
TEST_F(path, router_that_answers_while_the_socket_is_in_use_is_heard)
{
	long asked = counter("/proc/net/snmp", "InDestUnreachs");
	int listener = listen_behind(&variant->combo), client, server;
	static char text[1400], got[1400];
	struct sockaddr_in sin;

	if (listener < 0)
		SKIP(return, "no ip");
	sin = local_address(listener);
	client = client_socket(&variant->combo, 0);
	ASSERT_EQ(0, connect(client, (struct sockaddr *)&sin, sizeof(sin)));
	server = accept(listener, NULL, NULL);
	ASSERT_LE(0, server);
	memset(text, 'x', sizeof(text));
	send_all(client, text, sizeof(text));
	recv_all(server, got, sizeof(got));
	EXPECT_EQ(0, memcmp(text, got, sizeof(text)));
	EXPECT_EQ(1, counter("/proc/net/snmp", "InDestUnreachs") - asked);
	EXPECT_EQ(0, counter("/proc/net/netstat", "TCPTimeouts"));
	EXPECT_EQ(0, counter("/proc/net/netstat", "TCPLossProbes"));
	EXPECT_TRUE(exchange_both(server, client, 1 << 20));
}

#define OTHER_ADDR "10.1.1.3"

/* From now on IP chooses a second address of the near end for what goes to the far one. */
static bool change_source(void)
{
	return run("ip address add " OTHER_ADDR "/24 dev " NEAR_DEV) &&
	       run("ip route add " FAR_ADDR "/32 dev " NEAR_DEV " src " OTHER_ADDR);
}

TEST_F(path, source_of_the_route_is_that_of_a_new_connection)
{
	int fd = client_socket(&variant->combo, 0), server;
	struct sockaddr_in sin = local_address(self->p.listener);

	if (!change_source())
		SKIP(return, "no ip");
	ASSERT_EQ(0, bind_to(fd, "0.0.0.0", 4000));
	ASSERT_EQ(0, connect(fd, (struct sockaddr *)&sin, sizeof(sin)));
	server = accept(self->p.listener, NULL, NULL);
	ASSERT_LE(0, server);
	EXPECT_EQ(inet_addr(OTHER_ADDR), local_address(fd).sin_addr.s_addr);
	EXPECT_EQ(inet_addr(OTHER_ADDR), peer_address(server).sin_addr.s_addr);
	EXPECT_EQ(htons(4000), peer_address(server).sin_port);
}

/* RFC 9293 3.9.1.1, MUST-45: that of what was sent before. */
TEST_F(path, connection_keeps_its_address_when_the_route_has_another)
{
	if (!change_source())
		SKIP(return, "no ip");
	send_all(self->p.client, "behind", 6);
	EXPECT_TRUE(reaches_server(&self->p, "behind", 10000));
	EXPECT_EQ(inet_addr(NEAR_ADDR), local_address(self->p.client).sin_addr.s_addr);
	EXPECT_TRUE(exchange_both(self->p.server, self->p.client, 100000));
}

TEST_F(path, route_is_looked_up_again_by_a_retransmission)
{
	if (!run("ip route add blackhole " FAR_ADDR "/32"))
		SKIP(return, "no ip");
	send_all(self->p.client, "behind", 6);
	EXPECT_TRUE(stays_away(&self->p, 1000));
	EXPECT_TRUE(run("ip route del blackhole " FAR_ADDR "/32"));
	EXPECT_TRUE(reaches_server(&self->p, "behind", 20000));
}

/* A timeout: what hashes of the socket choose on the way is chosen anew (tcp_write_timeout). */
TEST_F(path, timeout_has_another_hash_chosen)
{
	long before = counter("/proc/net/netstat", "TcpTimeoutRehash");

	enter_far();
	if (!run("nft '" DROP("input") "'"))
		SKIP(return, "no nft");
	enter_near();
	send_all(self->p.client, "behind", 6);
	EXPECT_TRUE(wait_until(counter("/proc/net/netstat", "TcpTimeoutRehash") > before, 5000));
	enter_far();
	EXPECT_TRUE(run("nft delete table ip t"));
	EXPECT_TRUE(reaches_server(&self->p, "behind", 10000));
}

TEST_F(path, device_that_goes_away_and_comes_back)
{
	send_all(self->p.client, "before", 6);
	EXPECT_TRUE(reaches_server(&self->p, "before", 5000));
	if (!run("ip link set " NEAR_DEV " down"))
		SKIP(return, "no ip");
	send_all(self->p.client, "behind", 6);
	EXPECT_TRUE(stays_away(&self->p, 300));
	device_up(NEAR_DEV);
	EXPECT_TRUE(reaches_server(&self->p, "behind", 20000));
}

TEST_F(path, stream_through_a_device_without_scatter_gather)
{
	static const unsigned int features[] = { ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SSG, ETHTOOL_STXCSUM };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(features); i++)
		EXPECT_EQ(0, device_offload(NEAR_DEV, features[i], false));
	EXPECT_TRUE(exchange_both(self->p.server, self->p.client, 1 << 20));
}

/* A queue before the device, of which the segments are the socket's until they leave it. */
static bool slow_device(const char *rate)
{
	char command[200];

	snprintf(command, sizeof(command),
		 "tc qdisc replace dev " NEAR_DEV " root tbf rate %s burst 4kb latency 20s", rate);
	return run(command);
}

/* Writes small pieces one after the other, and how often one waited for the device. */
static long small_writes(int fd, int pieces)
{
	long before = counter("/proc/net/netstat", "TCPAutoCorking");
	char piece[100] = "piece";
	int i;

	set_option(fd, SOL_TCP, TCP_NODELAY, 1);
	for (i = 0; i < pieces; i++)
		send_all(fd, piece, sizeof(piece));
	return counter("/proc/net/netstat", "TCPAutoCorking") - before;
}

TEST_F(path, small_writes_gather_while_the_device_is_busy)
{
	long before = sent_by(NEAR_DEV), corked;
	char text[20000];

	/* Slower than anything that writes; then fast, for what has gathered. */
	if (!slow_device("16kbit"))
		SKIP(return, "no tbf");
	corked = small_writes(self->p.client, 200);
	/* On a slow machine an acknowledgment had the socket wait before a write could. */
	if (slowness() == 1)
		EXPECT_LT(0, corked);
	EXPECT_TRUE(slow_device("100mbit"));
	recv_all(self->p.server, text, sizeof(text));
	EXPECT_EQ(0, memcmp(text + 100 * 199, "piece", 6));
	/* The first few go alone, while the device still takes them at once. */
	EXPECT_GT(100, sent_by(NEAR_DEV) - before);
}

TEST_F(path, small_writes_do_not_gather_when_that_is_off)
{
	char text[20000];

	if (!slow_device("2mbit"))
		SKIP(return, "no tbf");
	set_sysctl("net/ipv4/tcp_autocorking", "0");
	EXPECT_EQ(0, small_writes(self->p.client, 200));
	recv_all(self->p.server, text, sizeof(text));
}

/* Memory of the segments that wait in the queues below. */
static long queued(int fd)
{
	return memory_of(fd, SK_MEMINFO_WMEM_ALLOC);
}

TEST_F(path, queue_of_the_device_has_no_more_than_the_limit)
{
	static char text[65536];
	long most = 0;
	size_t i;

	/* Slower than the test writes. */
	if (!slow_device(slowness() == 1 ? "20mbit" : "1mbit"))
		SKIP(return, "no tbf");
	set_sysctl("net/ipv4/tcp_limit_output_bytes", "32768");
	/* Slow start fills whatever it may. */
	for (i = 0; i < amount(50, 5); i++) {
		while (send(self->p.client, text, sizeof(text), MSG_DONTWAIT) > 0)
			;
		if (queued(self->p.client) > most)
			most = queued(self->p.client);
		while (recv(self->p.server, text, sizeof(text), MSG_DONTWAIT) > 0)
			;
		pause_ms(5);
	}
	/* One segment may go beyond it, and is large. */
	EXPECT_GT(200000, most);
	EXPECT_LT(0, most);
}

TEST_F_TIMEOUT(path, stream_through_a_slow_device_is_whole, 60)
{
	if (!slow_device("200mbit"))
		SKIP(return, "no tbf");
	set_sysctl("net/ipv4/tcp_limit_output_bytes", "16384");
	EXPECT_TRUE(exchange_both(self->p.server, self->p.client, amount(4 << 20, 256 << 10)));
}
