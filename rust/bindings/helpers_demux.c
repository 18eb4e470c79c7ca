// SPDX-License-Identifier: GPL-2.0
/* From a packet to its connection, before IP looks for a route. */
#include <linux/jhash.h>
#include <linux/netfilter.h>
#include <linux/rculist_nulls.h>
#include <net/dst_metadata.h>
#include <net/ip.h>
#include <net/route.h>
#include <net/sock.h>
#include <net/tcp.h>
#include <net/xfrm.h>

#include "helpers.h"

/*
 * Under RCU. The object may be another one by the time it is counted, and in
 * the table of another namespace.
 */
static __always_inline struct sock *
ox_lookup(const struct net *net, struct hlist_nulls_head *head, u32 end,
	  struct ox_ends ends)
{
	struct hlist_nulls_node *node;
	struct sock *sk;

begin:
	sk_nulls_for_each_rcu(sk, node, head) {
		if (!ox_sk_has_ends(sk, ends) || !net_eq(sock_net(sk), net))
			continue;
		if (unlikely(!refcount_inc_not_zero(&sk->sk_refcnt)))
			return NULL;
		if (likely(ox_sk_has_ends(sk, ends) && net_eq(sock_net(sk), net)))
			return sk;
		sock_put(sk);
		goto begin;
	}
	/* The walk may have strayed into another bucket's list. */
	if (get_nulls_value(node) != end)
		goto begin;
	return NULL;
}

struct sock *ox_ehash_lookup(const struct net *net, struct hlist_nulls_head *head,
			     u32 end, const struct ox_tuple *t)
{
	return ox_lookup(net, head, end, ox_ends(t));
}

/* Whether AF_INET listens for what comes from the far end. */
bool ox_inet_listens(const struct net *net, const struct ox_tuple *t, int iif)
{
	bool listens;

	rcu_read_lock();
	listens = __inet_lookup_listener(net, NULL, 0, t->daddr, t->dport, t->saddr,
					 ntohs(t->sport), iif, 0);
	rcu_read_unlock();
	return listens;
}

/* Whether AF_INET has a connection between the ends, if only in TIME-WAIT. */
bool ox_inet_connects(const struct net *net, const struct ox_tuple *t, int iif)
{
	struct sock *sk;

	rcu_read_lock();
	sk = __inet_lookup_established(net, t->daddr, t->dport, t->saddr,
				       ntohs(t->sport), iif, 0);
	rcu_read_unlock();
	if (!sk)
		return false;
	sock_gen_put(sk);
	return true;
}

/* As Ehash::hash(). */
static __always_inline u32 ox_hash(u32 a, u32 b, u32 c, u32 secret)
{
	secret += JHASH_INITVAL + (3 << 2);
	a += secret;
	b += secret;
	c += secret;
	__jhash_final(a, b, c);
	return c;
}

/*
 * Whether nothing is asked of a packet of ours between our hook at PRE_ROUTING,
 * priv, and that at LOCAL_IN: that is the only one there, this the last, and no
 * policy of IPsec is in force.
 */
static __always_inline bool ox_way_is_free(const struct net *net, const void *priv)
{
	const struct nf_hook_entries *pre, *in;

	pre = rcu_dereference(net->nf.hooks_ipv4[NF_INET_PRE_ROUTING]);
	in = rcu_dereference(net->nf.hooks_ipv4[NF_INET_LOCAL_IN]);
	if (!pre || pre->hooks[pre->num_hook_entries - 1].priv != priv ||
	    !in || in->num_hook_entries != 1 || in->hooks[0].priv != priv)
		return false;
#ifdef CONFIG_XFRM
	return !READ_ONCE(net->xfrm.policy_count[XFRM_POLICY_IN]) &&
	       READ_ONCE(net->xfrm.policy_default[XFRM_POLICY_IN]) ==
	       XFRM_USERPOLICY_ACCEPT;
#else
	return true;
#endif
}

/*
 * Whether ip_rcv_finish() would do nothing with the packet, which has no
 * options, but bring it to LOCAL_IN, and there is nothing to be done with it
 * before it is queued. One that a bridge shows to netfilter has an extension.
 */
static __always_inline bool ox_skb_is_plain(struct sk_buff *skb)
{
	const struct dst_entry *dst = skb_dst(skb);

	if (!skb_valid_dst(skb) || dst->input != ip_local_deliver ||
	    skb_rtable(skb)->rt_type != RTN_LOCAL)
		return false;
#ifdef CONFIG_IP_ROUTE_CLASSID
	if (dst->tclassid)
		return false;
#endif
#ifdef CONFIG_SKB_EXTENSIONS
	if (skb->active_extensions)
		return false;
#endif
	return !skb_nfct(skb) && !skb_zcopy(skb) &&
	       !(skb->dev->priv_flags & (IFF_L3MDEV_SLAVE | IFF_L3MDEV_MASTER |
					 IFF_L3MDEV_RX_HANDLER));
}

/* Gives the packet the route that the last one of the connection had. */
static bool ox_skb_use_rx_dst(struct sk_buff *skb, struct sock *sk)
{
	struct dst_entry *dst = rcu_dereference(sk->sk_rx_dst);

	if (!dst || READ_ONCE(sk->sk_rx_dst_ifindex) != skb->skb_iif)
		return false;
	if (READ_ONCE(dst->obsolete) && !dst->ops->check(dst, 0))
		return false;
	skb_dst_set_noref(skb, dst);
	return true;
}

/* A checksum that the device has found right, or that is not made yet. */
static __always_inline bool ox_csum_is_known(const struct sk_buff *skb)
{
	return skb->ip_summed == CHECKSUM_UNNECESSARY ||
	       (skb->ip_summed == CHECKSUM_PARTIAL &&
		skb_checksum_start_offset(skb) >= 0);
}

/*
 * Makes of a packet the segment in it, as ox_skb_admit() does. One that is bad is
 * left as it is: it is counted at LOCAL_IN.
 */
static __always_inline bool ox_skb_open(struct sk_buff *skb)
{
	const struct tcphdr *th = (const void *)(skb->data + sizeof(struct iphdr));
	u32 len = __tcp_hdrlen(th);

	if (len < sizeof(*th) || skb_headlen(skb) < sizeof(struct iphdr) + len)
		return false;
	__skb_pull(skb, sizeof(struct iphdr));
	skb_reset_transport_header(skb);
	if (ox_csum_is_known(skb) ||
	    (!skb_checksum_init(skb, IPPROTO_TCP, inet_compute_pseudo) &&
	     !skb_checksum_complete(skb)))
		return true;
	__skb_push(skb, sizeof(struct iphdr));
	return false;
}

/* What is taken here or at LOCAL_IN is delivered as far as IP is concerned. */
void ox_count_delivered(const struct net *net)
{
	/* A verdict of user space may have brought the packet, outside of softirq. */
	IP_INC_STATS(net, IPSTATS_MIB_INDELIVERS);
}

/*
 * A packet at PRE_ROUTING, seen by the hook priv. If it is for a connection it
 * gets the route that the last one had, so that IP does not look it up, and
 * carries the socket on to LOCAL_IN: OX_CARRIED. Or, where nobody wants to see it
 * on the way there, it is made a segment that may be taken at once, for the
 * socket that is returned with a reference.
 */
static noinline struct sock *ox_skb_demux(struct sk_buff *skb,
					  const struct ox_demux *d,
					  const void *priv)
{
	const struct iphdr *iph = (const void *)skb->data;
	const struct tcphdr *th = (const void *)(iph + 1);
	struct ox_ends ends;
	struct sock *sk;
	bool free, routed;
	u32 hash;

	free = ox_way_is_free(d->net, priv);
	routed = skb_dst(skb);
	if (routed && !free)
		return NULL;

	ends = ox_ends(&(struct ox_tuple){
		.saddr = iph->daddr,
		.daddr = iph->saddr,
		.sport = th->dest,
		.dport = th->source,
	});
	hash = ox_hash((__force u32)iph->daddr, (__force u32)iph->saddr,
		       (__force u32)th->dest << 16 | (__force u32)th->source,
		       d->secret) & d->mask;
	sk = ox_lookup(d->net, &d->heads[hash], d->first_end + hash, ends);
	if (!sk)
		return NULL;
	if (!routed && !ox_skb_use_rx_dst(skb, sk))
		goto put;
	if (free && ox_skb_is_plain(skb) && ox_skb_open(skb)) {
		ox_count_delivered(d->net);
		return sk;
	}
	if (routed)
		goto put;
	skb->sk = sk;
	skb->destructor = sock_efree;
	return OX_CARRIED;
put:
	sock_put(sk);
	return NULL;
}

/* ox_skb_demux() for what is to one of our ports, and no SYN. */
struct sock *ox_skb_early(struct sk_buff *skb, const struct ox_demux *d,
			  const void *priv)
{
	const struct iphdr *iph = (const void *)skb->data;
	const struct tcphdr *th = (const void *)(iph + 1);

	if (iph->protocol != IPPROTO_TCP || iph->ihl != 5 || ip_is_fragment(iph))
		return NULL;
	if (skb_headlen(skb) < sizeof(*iph) + sizeof(*th)) {
		if (!pskb_may_pull(skb, sizeof(*iph) + sizeof(*th)))
			return NULL;
		th = (const void *)(skb->data + sizeof(*iph));
	}
	if (!READ_ONCE(d->users[ntohs(th->dest)]) || th->syn || skb->sk ||
	    skb->pkt_type != PACKET_HOST)
		return NULL;
	return ox_skb_demux(skb, d, priv);
}
