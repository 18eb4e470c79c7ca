// SPDX-License-Identifier: GPL-2.0
/* The network between the two ends, and their sockets. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/pkt_sched.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "netlink.h"
#include "topology.h"

#define OXTCP 25

/* TCA_NETEM_PRNG_SEED of Linux 6.6 */
#define NETEM_PRNG_SEED 14

const struct sides all_sides[SIDES_ALL] = {
	{ "oxtcp", OXTCP, OXTCP },
	{ "inet", AF_INET, AF_INET },
	{ "oxtcp-serves-inet", OXTCP, AF_INET },
	{ "inet-serves-oxtcp", AF_INET, OXTCP },
};

static enum road road;
static char card[2][16] = { NEAR_DEV, FAR_DEV };
/* Of the near end's netem. */
static struct tc_netem_qopt losses;
static int64_t delay;	/* ns */

/* The two cards that QEMU put on one wire. */
static void find_cards(void)
{
	DIR *dir = opendir("/sys/class/net");
	struct dirent *entry;
	char path[300];
	int n = 0;

	while (dir && n < 2 && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/class/net/%s/device", entry->d_name);
		if (!access(path, F_OK))
			snprintf(card[n++], sizeof(card[0]), "%.15s", entry->d_name);
	}
	if (dir)
		closedir(dir);
	if (n < 2)
		die("no two network cards (run --nic)");
}

static int namespace_now(void)
{
	int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die("namespace");
	return fd;
}

void road_make(enum road r)
{
	int first = namespace_now(), near, far;

	road = r;
	if (road == ROAD_NIC)
		find_cards();
	make_network(road == ROAD_LO ? LOOPBACK : VETH);
	if (road != ROAD_NIC)
		return;
	near = namespace_now();
	enter_far();
	far = namespace_now();
	enter_namespace(first);
	device_to_namespace(card[0], near);
	device_to_namespace(card[1], far);
	enter_far();
	device_address(card[1], "10.2.2.2", 24);
	device_up(card[1]);
	enter_near();
	device_address(card[0], "10.2.2.1", 24);
	device_up(card[0]);
	device_await_carrier(card[0]);
	enter_far();
	device_await_carrier(card[1]);
	enter_near();
}

void road_server(void)
{
	if (road != ROAD_LO)
		enter_far();
}

void road_client(void)
{
	if (road != ROAD_LO)
		enter_near();
}

struct sockaddr_in road_address(uint16_t port)
{
	static const char *const server[] = { "127.0.0.1", FAR_ADDR, "10.2.2.2" };

	return (struct sockaddr_in) {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = inet_addr(server[road]),
	};
}

static void emulate(const char *device, const char *how)
{
	char text[200];

	snprintf(text, sizeof(text), "tc qdisc replace dev %s root netem %s", device, how);
	if (system(text))
		die("%s", text);
	/*
	 * So that a packet is a segment, and what is lost not 64 KiB. Without the
	 * device's offloads TCP would still leave segmentation to what follows netem.
	 */
	snprintf(text, sizeof(text), "ip link set dev %s gso_max_segs 1", device);
	if (system(text))
		die("%s", text);
	/* What one connection learnt of the path is not to help or harm the next. */
	set_sysctl("net/ipv4/tcp_no_metrics_save", "1");
}

void road_lossy(double rtt_ms, double loss, int queue)
{
	char how[100];

	losses = (struct tc_netem_qopt) { .limit = queue, .loss = loss / 100 * UINT32_MAX };
	delay = rtt_ms / 2 * 1e6;
	snprintf(how, sizeof(how), "limit %d delay %.3fms loss %.3f%% rate 100mbit", queue,
		 rtt_ms / 2, loss);
	emulate(card[0], how);
	snprintf(how, sizeof(how), "limit 100000 delay %.3fms", rtt_ms / 2);
	road_server();
	emulate(card[1], how);
	road_client();
}

/* tc(8) has no word for the seed before 6.5. What is not said anew netem forgets, but for the rate. */
void road_seed(uint64_t seed)
{
	struct tcmsg device = {
		.tcm_ifindex = if_nametoindex(card[0]),
		.tcm_parent = TC_H_ROOT,
	};
	struct request r = request_begin(RTM_NEWQDISC, 0, &device, sizeof(device));
	struct rtattr *options;

	request_put(&r, TCA_KIND, "netem", sizeof("netem"));
	options = request_put(&r, TCA_OPTIONS, &losses, sizeof(losses));
	request_put(&r, TCA_NETEM_LATENCY64, &delay, sizeof(delay));
	request_put(&r, NETEM_PRNG_SEED, &seed, sizeof(seed));
	request_nest(&r, options);
	request_transact(&r);
}

void set_int(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)))
		die("setsockopt %d %d", level, name);
}

void no_delay(int fd)
{
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

static int stream_socket(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket of family %d", family);
	return fd;
}

int serve(const struct sides *s, uint16_t port, int backlog)
{
	struct sockaddr_in sin = road_address(port);
	int fd;

	road_server();
	fd = stream_socket(s->server);
	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)))
		die("bind to %d", port);
	if (listen(fd, backlog))
		die("listen");
	road_client();
	return fd;
}

int call(const struct sides *s, uint16_t port)
{
	struct sockaddr_in sin = road_address(port);
	int fd = stream_socket(s->client);

	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)))
		die("connect to %d, %s", port, s->name);
	return fd;
}

int answer(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		die("accept");
	return fd;
}

void close_reset(int fd)
{
	struct linger now = { .l_onoff = 1 };

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)))
		die("SO_LINGER");
	close(fd);
}

void write_all(int fd, const void *data, size_t len)
{
	const char *at = data;
	ssize_t n;

	for (; len; at += n, len -= n) {
		n = send(fd, at, len, 0);
		if (n < 0)
			die("send");
	}
}

void read_all(int fd, void *data, size_t len)
{
	char *at = data;
	ssize_t n;

	for (; len; at += n, len -= n) {
		n = recv(fd, at, len, 0);
		if (n <= 0)
			die(n ? "recv" : "unexpected end of the stream");
	}
}

void transaction(int client, int server)
{
	char byte = 0;

	write_all(client, &byte, 1);
	read_all(server, &byte, 1);
	write_all(server, &byte, 1);
	read_all(client, &byte, 1);
}

void raise_limits(int files)
{
	struct rlimit limit = { files, files };

	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("RLIMIT_NOFILE");
}

int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

void settle(int seconds)
{
	struct timespec t = { .tv_sec = seconds };

	nanosleep(&t, NULL);
}
