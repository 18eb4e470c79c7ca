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

/*
 * What this host sends to itself comes in by the interface that has the address,
 * and what comes by an interface of a VRF, by the VRF.
 */
int ox_skb_iif(const struct sk_buff *skb)
{
	return inet_sdif(skb) ? skb->skb_iif : inet_iif(skb);
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

/* A short one, of which the card said nothing. */
static noinline bool ox_skb_short_csum_bad(struct sk_buff *skb)
{
	const struct iphdr *iph = ip_hdr(skb);

	skb->csum_valid = !tcp_v4_check(skb->len, iph->saddr, iph->daddr,
					csum_partial(skb->data, skb->len, 0));
	return !skb->csum_valid;
}

static bool ox_skb_tcp_csum_bad(struct sk_buff *skb)
{
	if (skb->ip_summed == CHECKSUM_NONE && !skb->csum_valid &&
	    skb->len <= CHECKSUM_BREAK && !skb_is_nonlinear(skb))
		return ox_skb_short_csum_bad(skb);
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
	if (skb->pkt_type != PACKET_HOST)
		return OX_NOT_HOST;
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
static __always_inline void __ox_skb_detach(struct sk_buff *skb)
{
	skb_orphan(skb);
	skb_dst_drop(skb);
	nf_reset_ct(skb);
	skb_ext_reset(skb);
	skb_clear_delivery_time(skb);
	skb->dev = NULL;
}

void ox_skb_detach(struct sk_buff *skb)
{
	__ox_skb_detach(skb);
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

/*
 * A packet at LOCAL_IN that is left to AF_INET. One that the early demux gave a
 * socket of ours, whose port was given back since, must not keep it: AF_INET takes
 * what a packet carries for a tcp_sock.
 */
void ox_skb_disown(struct sk_buff *skb, int family)
{
	if (skb->destructor == sock_efree && skb->sk->sk_family == family)
		skb_orphan(skb);
}

/*
 * One that came in and is done with. A softirq puts its head by, where
 * ox_alloc_segment() finds it.
 */
void ox_skb_consume(struct sk_buff *skb)
{
	if (in_serving_softirq())
		napi_consume_skb(skb, 1);
	else
		consume_skb(skb);
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
static u32 ox_skb_added_truesize(const struct sk_buff *skb, u32 header)
{
	u32 head = SKB_TRUESIZE(skb_end_offset(skb));

	if (skb_headlen(skb) > header || skb->truesize < head + skb->len)
		return skb->truesize;
	return skb->truesize - head;
}

/* What is to be known of a segment's memory before it is queued. */
void ox_skb_arrived(const struct sk_buff *skb, u32 header, struct ox_arrived *a)
{
	a->memory = skb->truesize;
	a->added = ox_skb_added_truesize(skb, header);
	a->segment = skb_shinfo(skb)->gso_size;
}

/* When the text came, if that is known; else what was known of other text stays. */
void ox_skb_note_stamp(const struct sk_buff *skb, struct ox_rx_stamp *stamp)
{
	ktime_t hard = skb_hwtstamps((struct sk_buff *)skb)->hwtstamp;

	if (skb->tstamp || hard)
		*stamp = (struct ox_rx_stamp){ skb->tstamp, hard };
}

/* As skb_try_coalesce(): the whole came when its last part did. */
static __always_inline bool __ox_skb_coalesce(const struct sock *sk, struct sk_buff *to,
					      struct sk_buff *from, bool *stolen, int *delta)
{
	struct ox_rx_stamp stamp = {};

	if (!skb_try_coalesce(to, from, stolen, delta))
		return false;
	if (unlikely(READ_ONCE(((const struct ox_sock *)sk)->stamps))) {
		ox_skb_note_stamp(to, &stamp);
		ox_skb_note_stamp(from, &stamp);
		to->tstamp = stamp.soft;
		skb_hwtstamps(to)->hwtstamp = stamp.hard;
	}
	return true;
}

bool ox_skb_coalesce(const struct sock *sk, struct sk_buff *to, struct sk_buff *from,
		     bool *stolen, int *delta)
{
	return __ox_skb_coalesce(sk, to, from, stolen, delta);
}

/*
 * Puts all the text of a segment, behind its header, at the end of what can be
 * read, merged with the last skb if that can be. False, and nothing done, when
 * there is no memory for it without further ado.
 */
bool ox_sk_append(struct sock *sk, struct sk_buff *skb, u32 header, u32 seq)
{
	struct sk_buff_head *list = &sk->sk_receive_queue;
	struct sk_buff *tail = skb_peek_tail(list);
	struct ox_text_cb *last;
	bool stolen;
	int delta;

	if (atomic_read(&sk->sk_rmem_alloc) > sk->sk_rcvbuf ||
	    !sk_rmem_schedule(sk, skb, skb->truesize))
		return false;
	__ox_skb_detach(skb);
	__skb_pull(skb, header);
	last = tail ? ox_text_cb(tail) : NULL;
	if (last && last->off + last->len == tail->len &&
	    __ox_skb_coalesce(sk, tail, skb, &stolen, &delta)) {
		last->len += skb->len;
		ox_sk_rmem_charge(sk, delta);
		kfree_skb_partial(skb, stolen);
		return true;
	}
	*ox_text_cb(skb) = (struct ox_text_cb){ .seq = seq, .len = skb->len };
	skb_set_owner_r(skb, sk);
	__skb_queue_tail(list, skb);
	return true;
}

/*
 * skb_copy_datagram_iter() for what is most: text in one piece, in the linear
 * part or the only page.
 */
int ox_copy_text(const struct sk_buff *skb, int offset, struct iov_iter *to,
		 int len)
{
	const skb_frag_t *frag = skb_shinfo(skb)->frags;
	int at = offset - (int)skb_headlen(skb);
	const void *from;
	size_t n;

	if (at + len <= 0)
		from = skb->data + offset;
	else if (at >= 0 && skb_shinfo(skb)->nr_frags &&
		 at + len <= skb_frag_size(frag) && skb_frags_readable(skb) &&
		 !skb_frag_must_loop(skb_frag_page(frag)))
		from = skb_frag_address(frag) + at;
	else
		return skb_copy_datagram_iter(skb, offset, to, len);
	n = copy_to_iter(from, len, to);
	if (likely(n == len))
		return 0;
	iov_iter_revert(to, n);
	return -EFAULT;
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
