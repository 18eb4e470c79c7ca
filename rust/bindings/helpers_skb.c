// SPDX-License-Identifier: GPL-2.0
/* struct sk_buff: received segments, queues, text and memory. */
#include <linux/netfilter.h>
#include <linux/skbuff.h>
#include <linux/skbuff_ref.h>
#include <net/ip.h>
#include <net/netfilter/nf_conntrack.h>
#include <net/sock.h>
#include <net/tcp.h>

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

/* From the IP header, where LOCAL_IN has skb->data, to the TCP header. */
void ox_skb_set_tcp_header(struct sk_buff *skb, unsigned int ihl)
{
	__skb_pull(skb, ihl);
	skb_reset_transport_header(skb);
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
int ox_skb_orphan_frags_rx(struct sk_buff *skb)
{
	return skb_orphan_frags_rx(skb, GFP_ATOMIC);
}

bool ox_skb_tcp_csum_bad(struct sk_buff *skb)
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

/* A stolen packet never reaches conntrack's own confirm. NF_ACCEPT, or not. */
int ox_skb_ct_confirm(struct sk_buff *skb)
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

/* Lets go of all that must not wait in a queue. */
void ox_skb_detach(struct sk_buff *skb)
{
	skb_orphan(skb);
	skb_dst_drop(skb);
	nf_reset_ct(skb);
	skb_ext_reset(skb);
	skb_clear_delivery_time(skb);
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

struct ox_text_cb *ox_text_cb(struct sk_buff *skb)
{
	BUILD_BUG_ON(sizeof(struct ox_text_cb) > sizeof(skb->cb));
	return (struct ox_text_cb *)skb->cb;
}

struct sk_buff *ox_skb_peek(const struct sk_buff_head *list)
{
	return skb_peek(list);
}

struct sk_buff *ox_skb_peek_tail(const struct sk_buff_head *list)
{
	return skb_peek_tail(list);
}

struct sk_buff *ox_skb_peek_next(struct sk_buff *skb,
				 const struct sk_buff_head *list)
{
	return skb_peek_next(skb, list);
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

int ox_sk_rmem_alloc(const struct sock *sk)
{
	return atomic_read(&sk->sk_rmem_alloc);
}

u32 ox_sk_backlog_len(const struct sock *sk)
{
	return READ_ONCE(sk->sk_backlog.len);
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

/* An skb of the send buffer: fragments only, accounted to the socket. */
struct sk_buff *ox_alloc_text_skb(struct sock *sk)
{
	struct sk_buff *skb = alloc_skb(0, sk->sk_allocation);

	if (!skb)
		return NULL;
	if (!sk_wmem_schedule(sk, skb->truesize)) {
		__kfree_skb(skb);
		return NULL;
	}
	/* No checksum is wanted while text is spliced in. */
	skb->ip_summed = CHECKSUM_PARTIAL;
	sk_wmem_queued_add(sk, skb->truesize);
	sk_mem_charge(sk, skb->truesize);
	return skb;
}

void ox_free_text_skb(struct sock *sk, struct sk_buff *skb)
{
	sk_wmem_queued_add(sk, -skb->truesize);
	sk_mem_uncharge(sk, skb->truesize);
	__kfree_skb(skb);
}

/*
 * Copies up to max bytes behind the skb's text, within one page fragment.
 * Returns how many; 0 when the skb is full; -EAGAIN without memory; -EFAULT.
 */
int ox_text_append(struct sock *sk, struct sk_buff *skb, struct iov_iter *from,
		   int max)
{
	struct page_frag *pfrag = sk_page_frag(sk);
	int i = skb_shinfo(skb)->nr_frags;
	bool merge = true;
	int copy, err;

	if (!sk_page_frag_refill(sk, pfrag))
		return -EAGAIN;
	if (!skb_can_coalesce(skb, i, pfrag->page, pfrag->offset)) {
		if (i >= MAX_SKB_FRAGS)
			return 0;
		merge = false;
	}

	copy = min_t(int, max, pfrag->size - pfrag->offset);
	if (!sk_wmem_schedule(sk, copy))
		return -EAGAIN;
	err = skb_copy_to_page_nocache(sk, from, skb, pfrag->page,
				       pfrag->offset, copy);
	if (err)
		return err;

	if (merge) {
		skb_frag_size_add(&skb_shinfo(skb)->frags[i - 1], copy);
	} else {
		skb_fill_page_desc(skb, i, pfrag->page, pfrag->offset, copy);
		page_ref_inc(pfrag->page);
	}
	pfrag->offset += copy;
	return copy;
}

/* Takes up to max bytes of the caller's pages themselves. */
int ox_text_splice(struct sock *sk, struct sk_buff *skb, struct iov_iter *from,
		   int max, bool shared)
{
	ssize_t n;

	if (!sk_wmem_schedule(sk, max))
		return -EAGAIN;
	n = skb_splice_from_iter(skb, from, max);
	if (n == -EMSGSIZE)
		return 0;
	if (n <= 0)
		return n;
	if (shared)
		skb_shinfo(skb)->flags |= SKBFL_SHARED_FRAG;
	sk_wmem_queued_add(sk, n);
	sk_mem_charge(sk, n);
	return n;
}

u32 ox_skb_nr_frags(const struct sk_buff *skb)
{
	return skb_shinfo(skb)->nr_frags;
}

u32 ox_skb_frag_size(const struct sk_buff *skb, u32 i)
{
	return skb_frag_size(&skb_shinfo(skb)->frags[i]);
}

struct sk_buff *ox_alloc_segment(gfp_t gfp)
{
	struct sk_buff *seg = alloc_skb(MAX_TCP_HEADER, gfp);

	if (seg)
		skb_reserve(seg, MAX_TCP_HEADER);
	return seg;
}

/*
 * Lets the segment refer to len bytes at off of fragment i. False when it has
 * no place for one more fragment.
 */
bool ox_segment_add_frag(struct sk_buff *seg, const struct sk_buff *from, u32 i,
			 u32 off, u32 len)
{
	skb_frag_t *frag = &skb_shinfo(from)->frags[i];
	int n = skb_shinfo(seg)->nr_frags;
	struct page *page = skb_frag_page(frag);
	int start = skb_frag_off(frag) + off;

	if (skb_can_coalesce(seg, n, page, start)) {
		skb_frag_size_add(&skb_shinfo(seg)->frags[n - 1], len);
	} else {
		if (n >= MAX_SKB_FRAGS)
			return false;
		__skb_frag_ref(frag);
		skb_fill_page_desc(seg, n, page, start, len);
	}
	skb_shinfo(seg)->flags |= skb_shinfo(from)->flags & SKBFL_SHARED_FRAG;
	skb_len_add(seg, len);
	return true;
}

void ox_segment_push_header(struct sk_buff *seg, const void *header, u32 len)
{
	memcpy(skb_push(seg, len), header, len);
	skb_reset_transport_header(seg);
	seg->ip_summed = CHECKSUM_PARTIAL;
}

void ox_segment_set_gso(struct sk_buff *seg, u32 mss)
{
	u32 text = seg->data_len;

	if (!mss || text <= mss)
		return;
	skb_shinfo(seg)->gso_size = mss;
	skb_shinfo(seg)->gso_segs = DIV_ROUND_UP(text, mss);
	skb_shinfo(seg)->gso_type = SKB_GSO_TCPV4;
}

bool ox_sk_memory_free(const struct sock *sk)
{
	return sk_stream_memory_free(sk);
}

int ox_sk_wspace(const struct sock *sk)
{
	return sk_stream_wspace(sk);
}
