/* SPDX-License-Identifier: GPL-2.0 */
#ifndef BENCH_TUN_H
#define BENCH_TUN_H

#include <stdbool.h>
#include <stdint.h>

#define TUN_ADDR "10.9.0.1"	/* this machine's; all of 10.9.0.0/16 is behind the device */

/* A new namespace with a TUN device; what is written to it arrives from outside. */
int tun_make(void);

/* Sends the @n-th SYN, each from an address and port of its own, to @port. */
void tun_syn(int tun, unsigned int n, uint16_t port);

/* Takes all that was sent to the device away; how many of it were SYN-ACKs. */
int tun_drain(int tun);

/* A listener on TUN_ADDR. */
int tun_listen(int family, uint16_t port, int backlog);

#endif
