// SPDX-License-Identifier: GPL-2.0
/* struct sk_buff: received segments, queues and receive memory. */
#include <linux/netfilter.h>
#include <linux/skbuff.h>
#include <net/ip.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/sock.h>
#include <net/tcp.h>
#include <net/xfrm.h>

#include "helpers.h"

u32 ox_skb_headlen(const struct sk_buff *skb)
{
	return skb_headlen(skb);
}

bool ox_pskb_may_pull(struct sk_buff *skb, unsigned int len)
{
	return pskb_may_pull(skb, len);
}

const struct iphdr *ox_ip_hdr(const struct sk_buff *skb)
{
	return ip_hdr(skb);
}

void ox_iph_addrs(const struct iphdr *iph, __be32 *saddr, __be32 *daddr)
{
	*saddr = iph->saddr;
	*daddr = iph->daddr;
}

/* All headers of a segment: from the link's, if it has one, or from IP's on. */
u32 ox_skb_headers(const struct sk_buff *skb, bool link, const u8 **begin)
{
	*begin = link && skb_mac_header_was_set(skb) ? skb_mac_header(skb) :
						       skb_network_header(skb);
	return skb_transport_header(skb) + __tcp_hdrlen(tcp_hdr(skb)) - *begin;
}

void ox_skb_unset_tcp_header(struct sk_buff *skb, unsigned int ihl)
{
	__skb_push(skb, ihl);
}

int ox_skb_segs(const struct sk_buff *skb)
{
	return max_t(int, 1, skb_shinfo(skb)->gso_segs);
}

int ox_skb_iif(const struct sk_buff *skb)
{
	return skb->skb_iif;
}

u32 ox_skb_mark(const struct sk_buff *skb)
{
	return skb->mark;
}

bool ox_skb_is_host(const struct sk_buff *skb)
{
	return skb->pkt_type == PACKET_HOST;
}

bool ox_skb_to_host(const struct sk_buff *skb)
{
	const struct rtable *rt = skb_rtable(skb);

	return skb->pkt_type == PACKET_HOST &&
	       !(rt && rt->rt_flags & (RTCF_BROADCAST | RTCF_MULTICAST));
}

/*
 * The pages of a zero-copy sender on this machine are still the sender's at
 * LOCAL_IN: take copies before anything is believed or kept.
 */
static int ox_skb_orphan_frags_rx(struct sk_buff *skb)
{
	return skb_orphan_frags_rx(skb, GFP_ATOMIC);
}

static bool ox_skb_tcp_csum_bad(struct sk_buff *skb)
{
	return skb_checksum_init(skb, IPPROTO_TCP, inet_compute_pseudo) ||
	       skb_checksum_complete(skb);
}

bool ox_skb_icmp_csum_ok(struct sk_buff *skb, u32 ihl)
{
	bool ok;

	__skb_pull(skb, ihl);
	ok = !skb_checksum_simple_validate(skb);
	__skb_push(skb, ihl);
	return ok;
}

/* What IPsec asks of a packet that comes in; TCP's own way does not see it. */
static bool ox_skb_policy_ok(struct sk_buff *skb)
{
	return xfrm4_policy_check(NULL, XFRM_POLICY_IN, skb);
}

/* A stolen packet never reaches conntrack's own confirm. NF_ACCEPT, or not. */
static int ox_skb_ct_confirm(struct sk_buff *skb)
{
#if IS_ENABLED(CONFIG_NF_CONNTRACK)
	const struct nf_ct_hook *hook;
	enum ip_conntrack_info ci;
	struct nf_conn *ct;

	ct = nf_ct_get(skb, &ci);
	if (!ct || nf_ct_is_confirmed(ct))
		return NF_ACCEPT;
	hook = rcu_dereference(nf_ct_hook);
	if (hook)
		return hook->confirm(skb);
#endif
	return NF_ACCEPT;
}

/*
 * Makes sure that a packet at LOCAL_IN may be taken: from its IP header, where
 * LOCAL_IN has skb->data, to the TCP header behind ihl bytes.
 */
enum ox_admission ox_skb_admit(struct sk_buff *skb, unsigned int ihl)
{
	if (ox_skb_orphan_frags_rx(skb))
		return OX_NO_MEMORY;
	if (!ox_skb_policy_ok(skb))
		return OX_POLICY;
	if (ox_skb_ct_confirm(skb) != NF_ACCEPT)
		return OX_NETFILTER;
	__skb_pull(skb, ihl);
	skb_reset_transport_header(skb);
	return ox_skb_tcp_csum_bad(skb) ? OX_BAD_CHECKSUM : OX_ADMITTED;
}

/* Lets go of all that must not wait in a queue. */
void ox_skb_detach(struct sk_buff *skb)
{
	skb_orphan(skb);
	skb_dst_drop(skb);
	nf_reset_ct(skb);
	skb_ext_reset(skb);
	skb_clear_delivery_time(skb);
	skb->dev = NULL;
}

/* The socket that the early demux attached, with its reference. */
struct sock *ox_skb_carried_sock(struct sk_buff *skb, int family)
{
	struct sock *sk = skb->sk;

	if (!sk || skb->destructor != sock_efree || sk->sk_family != family)
		return NULL;
	skb->sk = NULL;
	skb->destructor = NULL;
	return sk;
}

void ox_skb_carry_sock(struct sk_buff *skb, struct sock *sk)
{
	skb->sk = sk;
	skb->destructor = sock_efree;
}

bool ox_skb_is_routed(const struct sk_buff *skb)
{
	return skb_dst(skb) || skb->sk;
}

/* Gives the packet the route that the last one of the connection had. */
bool ox_skb_use_rx_dst(struct sk_buff *skb, struct sock *sk)
{
	struct dst_entry *dst = rcu_dereference(sk->sk_rx_dst);

	if (!dst || READ_ONCE(sk->sk_rx_dst_ifindex) != skb->skb_iif)
		return false;
	if (READ_ONCE(dst->obsolete) && !dst->ops->check(dst, 0))
		return false;
	skb_dst_set_noref(skb, dst);
	return true;
}

void ox_sk_note_rx_dst(struct sock *sk, struct sk_buff *skb)
{
	struct dst_entry *dst = skb_dst(skb);
	struct dst_entry *old = rcu_dereference_protected(sk->sk_rx_dst, 1);

	if (!dst || dst == old)
		return;
	/* Over loopback the packet has the sender's route, which is no input. */
	if (skb_rtable(skb)->rt_is_input == 0 || !dst_hold_safe(dst))
		return;
	rcu_assign_pointer(sk->sk_rx_dst, dst);
	WRITE_ONCE(sk->sk_rx_dst_ifindex, skb->skb_iif);
	dst_release(old);
}

void ox_kfree_skb_reason(struct sk_buff *skb, enum skb_drop_reason reason)
{
	kfree_skb_reason(skb, reason);
}

void ox_kfree_skb_partial(struct sk_buff *skb, bool stolen)
{
	kfree_skb_partial(skb, stolen);
}

void ox_skb_queue_tail(struct sk_buff_head *list, struct sk_buff *skb)
{
	__skb_queue_tail(list, skb);
}

void ox_skb_unlink(struct sk_buff *skb, struct sk_buff_head *list)
{
	__skb_unlink(skb, list);
}

struct sk_buff *ox_rb_to_skb(struct rb_node *node)
{
	return rb_to_skb(node);
}

struct rb_node *ox_skb_rbnode(struct sk_buff *skb)
{
	return &skb->rbnode;
}

struct rb_node *ox_rb_first(const struct rb_root *root)
{
	return rb_first(root);
}

void ox_rb_link(struct rb_node *node, struct rb_node *parent,
		struct rb_node **link)
{
	rb_link_node(node, parent, link);
}

/* rbnode shares its place with dev, which code below expects to be sane. */
void ox_skb_rb_erase(struct sk_buff *skb, struct rb_root *root)
{
	rb_erase(&skb->rbnode, root);
	skb->next = NULL;
	skb->prev = NULL;
	skb->dev = NULL;
}

/* What a segment adds to the memory of a queue, once its header is off, when
 * it can be merged with what is there: its head is not kept then.
 */
u32 ox_skb_added_truesize(const struct sk_buff *skb, u32 header)
{
	u32 head = SKB_TRUESIZE(skb_end_offset(skb));

	if (skb_headlen(skb) > header || skb->truesize < head + skb->len)
		return skb->truesize;
	return skb->truesize - head;
}

u32 ox_skb_gso_size(const struct sk_buff *skb)
{
	return skb_shinfo(skb)->gso_size;
}

bool ox_sk_rmem_schedule(struct sock *sk, struct sk_buff *skb, int size)
{
	return sk_rmem_schedule(sk, skb, size);
}

void ox_skb_set_owner_r(struct sk_buff *skb, struct sock *sk)
{
	skb_set_owner_r(skb, sk);
}

void ox_sk_rmem_charge(struct sock *sk, int delta)
{
	atomic_add(delta, &sk->sk_rmem_alloc);
	sk_mem_charge(sk, delta);
}

void ox_sk_mem_reclaim(struct sock *sk)
{
	sk_mem_reclaim(sk);
}
