/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SELFTEST_TOPOLOGY_H
#define SELFTEST_TOPOLOGY_H

/*
 * The network a test runs in. It belongs to the test's process alone and ends
 * with it: one namespace with a loopback device ("near"), or two, joined by a
 * veth pair:
 *
 *	near: va 10.1.1.1/24 <-> far: vb 10.1.1.2/24
 */
#define NEAR_ADDR "10.1.1.1"
#define FAR_ADDR "10.1.1.2"
#define NEAR_DEV "va"
#define FAR_DEV "vb"

#include <stdbool.h>

enum path {
	LOOPBACK,
	VETH,
};

/* Makes the network and enters the near namespace. */
void make_network(enum path path);

/* Makes the calling process a member of one of the two namespaces. */
void enter_near(void);
void enter_far(void);

/* Enters a new namespace, with loopback up, and returns a descriptor of it. */
int enter_new_namespace(void);
void enter_namespace(int fd);

/* Settings of a network device of the current namespace. */
void device_up(const char *name);
void device_await_carrier(const char *name);
void device_address(const char *name, const char *address, int prefix_len);

/* Sets one of ethtool's old on/off offloads (ETHTOOL_STSO...); 0 or -errno. */
int device_offload(const char *name, unsigned int command, bool on);

/* Hands a device of the current namespace to another one. */
void device_to_namespace(const char *name, int ns);

#endif
