/* SPDX-License-Identifier: GPL-2.0 */
/* What bindgen reads. */
#include <linux/mm.h>
#include <linux/proc_fs.h>
#include <linux/sock_diag.h>
#include <linux/sysctl.h>
#include <linux/icmp.h>
#include <linux/tcp.h>
#include <net/inet_common.h>
#include <net/net_namespace.h>
#include <net/rtnetlink.h>
#include <net/sock_reuseport.h>

#include "helpers.h"

/* bindgen sees no macro that casts. */
const gfp_t RUST_CONST_HELPER_GFP_ATOMIC = GFP_ATOMIC;
const gfp_t RUST_CONST_HELPER_GFP_KERNEL = GFP_KERNEL;
const gfp_t RUST_CONST_HELPER_OX_GFP_MUST = GFP_KERNEL | __GFP_NOFAIL;
const slab_flags_t RUST_CONST_HELPER_SLAB_TYPESAFE_BY_RCU = SLAB_TYPESAFE_BY_RCU;
const size_t RUST_CONST_HELPER_OX_FREEPTR_OFFSET = offsetof(struct sock, sk_freeptr);
const size_t RUST_CONST_HELPER_OX_MAX_SKB_FRAGS = MAX_SKB_FRAGS;
const u32 RUST_CONST_HELPER_OX_MIN_RCVBUF = SOCK_MIN_RCVBUF;
const size_t RUST_CONST_HELPER_OX_SIZE_SOCK = sizeof(struct sock);
const u64 RUST_CONST_HELPER_OX_TICK_US = USEC_PER_SEC / HZ;
const u32 RUST_CONST_HELPER_OX_SK_PACING_FQ = SK_PACING_FQ;
const size_t RUST_CONST_HELPER_OX_SIZE_INET_SOCK = sizeof(struct inet_sock);
