// SPDX-License-Identifier: GPL-2.0
/* Network namespaces and the devices in them. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "env.h"
#include "netlink.h"
#include "topology.h"

static int near_ns = -1;
static int far_ns = -1;

int enter_new_namespace(void)
{
	int fd;

	if (unshare(CLONE_NEWNET))
		die("unshare");
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("open namespace");
	device_up("lo");
	return fd;
}

void enter_namespace(int fd)
{
	if (setns(fd, CLONE_NEWNET))
		die("setns");
}

void enter_near(void)
{
	enter_namespace(near_ns);
}

void enter_far(void)
{
	enter_namespace(far_ns);
}

static int device_ioctl(const char *name, unsigned long request, struct ifreq *ifr)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int rc, error;

	if (fd < 0)
		die("socket");
	snprintf(ifr->ifr_name, sizeof(ifr->ifr_name), "%s", name);
	rc = ioctl(fd, request, ifr);
	error = errno;
	close(fd);
	return rc ? -error : 0;
}

void device_up(const char *name)
{
	struct ifreq ifr = {};

	if (device_ioctl(name, SIOCGIFFLAGS, &ifr))
		die("SIOCGIFFLAGS %s", name);
	ifr.ifr_flags |= IFF_UP;
	if (device_ioctl(name, SIOCSIFFLAGS, &ifr))
		die("SIOCSIFFLAGS %s", name);
}

static void device_sockaddr(const char *name, unsigned long request, in_addr_t address)
{
	struct ifreq ifr = {};
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = address,
	};

	memcpy(&ifr.ifr_addr, &sin, sizeof(sin));
	if (device_ioctl(name, request, &ifr))
		die("address of %s", name);
}

void device_address(const char *name, const char *address, int prefix_len)
{
	device_sockaddr(name, SIOCSIFADDR, inet_addr(address));
	device_sockaddr(name, SIOCSIFNETMASK, htonl(~0U << (32 - prefix_len)));
}

int device_offload(const char *name, unsigned int command, bool on)
{
	struct ethtool_value value = { .cmd = command, .data = on };
	struct ifreq ifr = { .ifr_data = (void *)&value };

	return device_ioctl(name, SIOCETHTOOL, &ifr);
}

/* A veth pair: @name in the current namespace, @peer in namespace @peer_ns. */
static void make_veth(const char *name, const char *peer, int peer_ns)
{
	struct ifinfomsg nothing = {};
	struct request r = request_begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &nothing,
					 sizeof(nothing));
	struct rtattr *info, *data, *end;

	request_put(&r, IFLA_IFNAME, name, strlen(name) + 1);
	info = request_put(&r, IFLA_LINKINFO, NULL, 0);
	request_put(&r, IFLA_INFO_KIND, "veth", 4);
	data = request_put(&r, IFLA_INFO_DATA, NULL, 0);
	end = request_put(&r, VETH_INFO_PEER, &nothing, sizeof(nothing));
	request_put(&r, IFLA_IFNAME, peer, strlen(peer) + 1);
	request_put(&r, IFLA_NET_NS_FD, &peer_ns, sizeof(peer_ns));
	request_nest(&r, end);
	request_nest(&r, data);
	request_nest(&r, info);
	request_transact(&r);
}

void device_to_namespace(const char *name, int ns)
{
	struct ifinfomsg device = { .ifi_index = if_nametoindex(name) };
	struct request r = request_begin(RTM_NEWLINK, 0, &device, sizeof(device));

	request_put(&r, IFLA_NET_NS_FD, &ns, sizeof(ns));
	request_transact(&r);
}

/*
 * The kernel makes a device whose carrier comes usable
 * within a second; asking for the state of its link makes it do that at once.
 */
void device_await_carrier(const char *name)
{
	struct ethtool_value value = { .cmd = ETHTOOL_GLINK };
	struct ifreq ifr = { .ifr_data = (void *)&value };

	if (!wait_until(!device_ioctl(name, SIOCETHTOOL, &ifr) && value.data, 5000))
		die("no carrier on %s", name);
}

void make_network(enum path path)
{
	if (path == VETH)
		far_ns = enter_new_namespace();
	near_ns = enter_new_namespace();
	if (path == LOOPBACK)
		return;
	make_veth(NEAR_DEV, FAR_DEV, far_ns);
	device_address(NEAR_DEV, NEAR_ADDR, 24);
	device_up(NEAR_DEV);
	enter_far();
	device_address(FAR_DEV, FAR_ADDR, 24);
	device_up(FAR_DEV);
	device_await_carrier(FAR_DEV);
	enter_near();
	device_await_carrier(NEAR_DEV);
}
