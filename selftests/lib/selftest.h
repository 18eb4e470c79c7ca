/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SELFTEST_H
#define SELFTEST_H

/*
 * What every test program includes: the kernel's kselftest harness, the helpers,
 * and fixtures for both ends of a connection in every combination.
 */
#include "kselftest_harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "env.h"
#include "process.h"
#include "sockets.h"
#include "topology.h"

/*
 * main(): "--list" prints the names of all cases as -r takes them; anything
 * else goes to the harness, with its time limits stretched on a slow kernel.
 */
int main(int argc, char **argv)
{
	struct __fixture_variant_metadata none = { .name = "" }, *v;
	bool list = argc == 2 && !strcmp(argv[1], "--list");
	struct __fixture_metadata *f;
	struct __test_metadata *t;

	for (f = __fixture_list; f; f = f->next) {
		for (t = f->tests; t; t = t->next)
			t->timeout *= slowness();
		if (!list)
			continue;
		for (v = f->variant ?: &none; v; v = v->next)
			for (t = f->tests; t; t = t->next)
				printf("%s%s%s.%s\n", f->name, v->name[0] ? "." : "", v->name,
				       t->name);
	}
	return list ? 0 : test_harness_run(argc, argv);
}

/*
 * The macros below define things. Each begins with a declaration, from which
 * checkpatch sees that it is no statement.
 */

/* A namespace with loopback, and sockets of the family under test in it. */
#define OWN_FIXTURE(name) \
	struct combo; \
	FIXTURE(name) { \
		int unused; \
	}; \
	FIXTURE_SETUP(name) \
	{ \
		make_network(LOOPBACK); \
	} \
	FIXTURE_TEARDOWN(name) \
	{ \
	}

#define COMBO_VARIANT(fixture, variant, p, s, c) \
	struct combo; \
	FIXTURE_VARIANT_ADD(fixture, variant) { \
		.combo = { .path = p, .server = s, .client = c }, \
	}

#define VETH_VARIANTS(fixture) \
	struct combo; \
	FIXTURE_VARIANT(fixture) { \
		struct combo combo; \
	}; \
	COMBO_VARIANT(fixture, oxtcp_server_inet_client_veth, VETH, OWN, INET); \
	COMBO_VARIANT(fixture, inet_server_oxtcp_client_veth, VETH, INET, OWN); \
	COMBO_VARIANT(fixture, oxtcp_both_veth, VETH, OWN, OWN)

#define LO_VARIANTS(fixture) \
	struct combo; \
	FIXTURE_VARIANT(fixture) { \
		struct combo combo; \
	}; \
	COMBO_VARIANT(fixture, oxtcp_server_inet_client_lo, LOOPBACK, OWN, INET); \
	COMBO_VARIANT(fixture, oxtcp_both_lo, LOOPBACK, OWN, OWN)

#define COMBO_VARIANTS(fixture) \
	struct combo; \
	VETH_VARIANTS(fixture); \
	COMBO_VARIANT(fixture, oxtcp_server_inet_client_lo, LOOPBACK, OWN, INET); \
	COMBO_VARIANT(fixture, inet_server_oxtcp_client_lo, LOOPBACK, INET, OWN); \
	COMBO_VARIANT(fixture, oxtcp_both_lo, LOOPBACK, OWN, OWN)

/* The network of each combination, without a connection. */
#define COMBO_FIXTURE(name) \
	struct combo; \
	FIXTURE(name) { \
		int unused; \
	}; \
	COMBO_VARIANTS(name); \
	FIXTURE_SETUP(name) \
	{ \
		make_network(variant->combo.path); \
	} \
	FIXTURE_TEARDOWN(name) \
	{ \
	}

#define PAIR_FIXTURE_OF(name, variants) \
	struct pair; \
	FIXTURE(name) { \
		struct pair p; \
	}; \
	variants(name); \
	FIXTURE_SETUP(name) \
	{ \
		make_network(variant->combo.path); \
		self->p = make_pair(&variant->combo); \
	} \
	FIXTURE_TEARDOWN(name) \
	{ \
		close_pair(&self->p); \
	}

/* An established connection in each combination: self->p. */
#define PAIR_FIXTURE(name) PAIR_FIXTURE_OF(name, COMBO_VARIANTS)

/* The same where the family under test receives, over loopback. */
#define LO_PAIR_FIXTURE(name) PAIR_FIXTURE_OF(name, LO_VARIANTS)

/* The same where only a real device will do. */
#define VETH_PAIR_FIXTURE(name) PAIR_FIXTURE_OF(name, VETH_VARIANTS)

#endif
