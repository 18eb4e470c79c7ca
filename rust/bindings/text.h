/* SPDX-License-Identifier: GPL-2.0 */
/* Between our files in C alone. */
#ifndef OXTCP_TEXT_H
#define OXTCP_TEXT_H

#include <linux/skbuff.h>
#include <net/ip.h>

/*
 * All of a buffer's skb as a segment that shares its head. NULL while a former
 * one has its headers there, and without memory.
 */
static __always_inline struct sk_buff *ox_text_clone_inline(struct sk_buff *skb,
							    gfp_t gfp)
{
	struct skb_shared_info *shinfo = skb_shinfo(skb);
	struct sk_buff *seg;

	if (skb_cloned(skb))
		return NULL;
	seg = skb_clone(skb, gfp);
	if (unlikely(!seg))
		return NULL;
	memset(seg->cb, 0, sizeof(struct inet_skb_parm));
	shinfo->gso_size = 0;
	shinfo->gso_segs = 0;
	shinfo->gso_type = 0;
	return seg;
}

#endif
