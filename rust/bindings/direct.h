/* SPDX-License-Identifier: GPL-2.0 */
/* Between our files in C alone. */
#ifndef OXTCP_DIRECT_H
#define OXTCP_DIRECT_H

#include <net/neighbour.h>
#include <net/sock.h>

int ox_neigh_direct(struct sock *sk, struct neighbour *neigh, struct sk_buff *seg);

#endif
