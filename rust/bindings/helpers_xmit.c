// SPDX-License-Identifier: GPL-2.0
/* A connection's way out: its route, the IPv4 header, the neighbour. */
#include <linux/netdevice.h>
#include <net/inet_ecn.h>
#include <net/ip.h>
#include <net/l3mdev.h>
#include <net/neighbour.h>
#include <net/route.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "direct.h"
#include "helpers.h"
#include "text.h"

/*
 * What the device of the route can do. As for AF_INET's TCP segmentation may be
 * left to the last moment also where the device cannot do it: sk_setup_caps()
 * allows that only to AF_INET.
 */
static void ox_setup_caps(struct sock *sk, struct dst_entry *dst)
{
	const struct net_device *dev = dst->dev;

	sk_setup_caps(sk, dst);
	if (sk_can_gso(sk) || sk->sk_gso_disabled || dst->header_len)
		return;
	sk->sk_route_caps |= NETIF_F_GSO | NETIF_F_GSO_SOFTWARE | NETIF_F_SG |
			     NETIF_F_HW_CSUM;
	sk->sk_gso_max_size = min_t(u32, READ_ONCE(dev->gso_ipv4_max_size),
				    GSO_LEGACY_MAX_SIZE) - (MAX_TCP_HEADER + 1);
	sk->sk_gso_max_segs = max_t(u32, READ_ONCE(dev->gso_max_segs), 1);
}

static noinline struct dst_entry *ox_sk_reroute(struct sock *sk)
{
	struct flowi4 fl4;
	struct rtable *rt;

	if (!inet_sk(sk)->inet_daddr)
		return NULL;
	inet_sk_init_flowi4(inet_sk(sk), &fl4);
	rt = ip_route_output_flow(sock_net(sk), &fl4, sk);
	if (IS_ERR(rt))
		return NULL;
	ox_setup_caps(sk, &rt->dst);
	return &rt->dst;
}

/*
 * Whether the route is IP's own, without a tunnel or a policy, and what a look-up
 * would still give: what its check says, without the call.
 */
static __always_inline bool ox_dst_is_plain(const struct net *net,
					    const struct dst_entry *dst)
{
	return dst->output == ip_output && !dst->lwtstate &&
	       READ_ONCE(dst->obsolete) == DST_OBSOLETE_FORCE_CHK &&
	       dst_rtable(dst)->rt_genid == rt_genid_ipv4(net);
}

static noinline struct dst_entry *ox_sk_dst_checked(struct sock *sk)
{
	return __sk_dst_check(sk, 0) ?: ox_sk_reroute(sk);
}

/* The socket's route, looked up when there is none that holds. */
static __always_inline struct dst_entry *ox_sk_dst(struct sock *sk)
{
	struct dst_entry *dst = __sk_dst_get(sk);

	if (likely(dst && ox_dst_is_plain(sock_net(sk), dst)))
		return dst;
	return ox_sk_dst_checked(sk);
}

/* dst_mtu() of a plain route, without the call. */
static __always_inline u32 ox_plain_mtu(const struct dst_entry *dst)
{
	u32 mtu = dst_rtable(dst)->rt_pmtu;

	if (unlikely(mtu) || unlikely(ip_mtu_locked(dst)))
		return ip_dst_mtu_maybe_forward(dst, false);
	mtu = dst_metric_raw(dst, RTAX_MTU) ?: READ_ONCE(dst_dev_rcu(dst)->mtu);
	return min_t(u32, mtu, IP_MAX_MTU);
}

/* The MTU to keep to over the route, which is plain or not. */
static __always_inline u32 ox_dst_mtu_for(const struct sock *sk,
					  const struct dst_entry *dst, bool plain)
{
	if (unlikely(!ip_sk_use_pmtu(sk)))
		return READ_ONCE(dst_dev_rcu(dst)->mtu);
	return plain ? ox_plain_mtu(dst) : dst_mtu(dst);
}

/* Takes over the reference of dst. */
void ox_sk_set_route(struct sock *sk, struct dst_entry *dst)
{
	sk_set_txhash(sk);
	ox_setup_caps(sk, dst);
}

/* Whether the socket's route stays on this host. */
bool ox_sk_is_by_loopback(const struct sock *sk)
{
	const struct dst_entry *dst;
	bool is;

	rcu_read_lock();
	dst = __sk_dst_get(sk);
	is = dst && dst_dev_rcu(dst)->flags & IFF_LOOPBACK;
	rcu_read_unlock();
	return is;
}

/*
 * The most text of a run of segments of mss bytes; 0 when it cannot be cut up
 * below us.
 */
u32 ox_sk_gso_max(const struct sock *sk, u32 mss)
{
	if (!sk_can_gso(sk))
		return 0;
	/* Room for headers is taken off of it already. */
	return min_t(u64, READ_ONCE(sk->sk_gso_max_size),
		     (u64)READ_ONCE(sk->sk_gso_max_segs) * mss);
}

/* The path's MTU, less IP options. */
u32 ox_sk_path_mtu(struct sock *sk)
{
	const struct ip_options_rcu *opt;
	struct dst_entry *dst;
	u32 mtu = ETH_DATA_LEN;

	rcu_read_lock();
	dst = __sk_dst_get(sk);
	if (likely(dst && ox_dst_is_plain(sock_net(sk), dst))) {
		mtu = ox_dst_mtu_for(sk, dst, true);
	} else {
		dst = ox_sk_dst_checked(sk);
		if (dst)
			mtu = ox_dst_mtu_for(sk, dst, false);
	}
	/* IP options take their place from the text. */
	opt = rcu_dereference(inet_sk(sk)->inet_opt);
	if (opt)
		mtu -= opt->opt.optlen;
	rcu_read_unlock();
	return mtu;
}

/* The route learns that the path carries no more, and keeps it for others too. */
void ox_sk_update_pmtu(struct sock *sk, u32 mtu)
{
	struct dst_entry *dst;

	rcu_read_lock();
	dst = ox_sk_dst(sk);
	if (dst && dst->ops->update_pmtu)
		dst->ops->update_pmtu(dst, sk, NULL, mtu, true);
	rcu_read_unlock();
}

u32 ox_sk_advmss(struct sock *sk)
{
	struct dst_entry *dst;
	u32 mss = TCP_MSS_DEFAULT;

	rcu_read_lock();
	dst = ox_sk_dst(sk);
	if (dst)
		mss = dst_metric_advmss(dst);
	rcu_read_unlock();
	return mss;
}

/* The IPv4 header of one packet of len bytes, or of segs, but for the checksum. */
static __always_inline void ox_fill_iphdr(struct sock *sk, struct iphdr *iph,
					  const struct dst_entry *dst, u8 tos,
					  u32 len, u16 segs)
{
	struct inet_sock *inet = inet_sk(sk);
	int ttl = READ_ONCE(inet->uc_ttl);
	u16 id = atomic_read(&inet->inet_id);

	if (ttl < 0)
		ttl = dst_metric_raw(dst, RTAX_HOPLIMIT) ?:
		      READ_ONCE(sock_net(sk)->ipv4.sysctl_ip_default_ttl);
	*(__be16 *)iph = htons(4 << 12 | 5 << 8 | tos);
	iph_set_totlen(iph, len);
	iph->id = htons(id);
	iph->frag_off = ip_dont_fragment(sk, dst) ? htons(IP_DF) : 0;
	iph->ttl = ttl;
	iph->protocol = IPPROTO_TCP;
	iph->check = 0;
	iph->saddr = inet->inet_saddr;
	iph->daddr = inet->inet_daddr;
	/* The socket's lock is held: none of it needs to be atomic. */
	atomic_set(&inet->inet_id, id + segs);
}

/* What of the socket the packet shows to those below. */
static __always_inline void ox_mark_segment(const struct sock *sk,
					    struct sk_buff *seg)
{
	seg->protocol = htons(ETH_P_IP);
	seg->priority = READ_ONCE(sk->sk_priority);
	seg->mark = READ_ONCE(sk->sk_mark);
}

static void ox_push_iphdr(struct sock *sk, struct sk_buff *seg,
			  struct dst_entry *dst, u8 tos)
{
	struct iphdr *iph = __skb_push(seg, sizeof(*iph));

	skb_reset_network_header(seg);
	ox_fill_iphdr(sk, iph, dst, tos, seg->len,
		      max_t(u16, skb_shinfo(seg)->gso_segs, 1));
	ox_mark_segment(sk, seg);
}

static __always_inline bool ox_is_hooked(const struct net *net)
{
	return rcu_access_pointer(net->nf.hooks_ipv4[NF_INET_LOCAL_OUT]) ||
	       rcu_access_pointer(net->nf.hooks_ipv4[NF_INET_POST_ROUTING]);
}

/*
 * Whether IP would only pass the packet on to the neighbour: no hook wants to
 * see it, nothing lies between IP and the device, and it need not be cut.
 */
static bool ox_goes_straight(struct net *net, struct sock *sk,
			     const struct sk_buff *seg)
{
	const struct dst_entry *dst = skb_dst(seg);
	const struct net_device *dev = dst_dev_rcu(dst);
	u16 type = dst_rtable(dst)->rt_type;
	u32 len = seg->len;

	if (ox_is_hooked(net))
		return false;
	if (dst->output != ip_output || dst->lwtstate || netif_is_l3_slave(dev))
		return false;
	if (type != RTN_UNICAST && type != RTN_LOCAL)
		return false;
	if (skb_headroom(seg) < LL_RESERVED_SPACE(dev))
		return false;
	if (skb_is_gso(seg))
		len = skb_transport_offset(seg) + tcp_hdrlen(seg) +
		      skb_shinfo(seg)->gso_size;
	/* What every link carries (RFC 791) needs no look at what this one does. */
	return len <= IPV4_MIN_MTU || len <= ip_skb_dst_mtu(sk, seg);
}

/*
 * What ip_local_out() does when ox_goes_straight(). One segment of the socket
 * direct, if that is no null, may go to a driver itself.
 */
static __always_inline int ox_to_neighbour(struct net *net, struct sk_buff *seg,
					   struct rtable *rt, struct sock *direct)
{
	struct neighbour *neigh;
	bool is_v6gw = false;
	int err;

	seg->dev = dst_dev_rcu(&rt->dst);
	IP_INC_STATS(net, IPSTATS_MIB_OUTREQUESTS);
	IP_UPD_PO_STATS(net, IPSTATS_MIB_OUT, seg->len);

	neigh = ip_neigh_for_gw(rt, seg, &is_v6gw);
	if (IS_ERR(neigh)) {
		kfree_skb_reason(seg, SKB_DROP_REASON_NEIGH_CREATEFAIL);
		return PTR_ERR(neigh);
	}
	sock_confirm_neigh(seg, neigh);
	if (direct && !is_v6gw) {
		err = ox_neigh_direct(direct, neigh, seg);
		if (likely(err != -EAGAIN))
			return err;
	}
	return neigh_output(neigh, seg, is_v6gw);
}

/*
 * Sends a packet that has its route and its IPv4 header, but for the checksum.
 * Under RCU. As the functions of IP, it may return an NET_XMIT_*.
 */
int ox_ip_output(struct net *net, struct sock *sk, struct sk_buff *seg)
{
	if (ox_goes_straight(net, sk, seg)) {
		ip_send_check(ip_hdr(seg));
		return ox_to_neighbour(net, seg, skb_rtable(seg), NULL);
	}
	return ip_local_out(net, sk, seg);
}

/* The socket's own segment, counted as what waits below it. */
static __always_inline void ox_own_text(struct sock *sk, struct sk_buff *seg)
{
	int before;

	seg->sk = sk;
	seg->destructor = ox_wfree_of(seg);
	skb_set_hash_from_sk(seg, sk);
	__refcount_add(seg->truesize, &sk->sk_wmem_alloc, &before);
	seg->ooo_okay = before == SK_WMEM_ALLOC_BIAS;
}

/*
 * Sends all of a buffer's skb behind a TCP header of 20 or 32 bytes, or that
 * header alone, by the short way: over a plain route that nobody watches, as one
 * packet, marked with no ECN. -EAGAIN when it cannot go there; then nothing is done.
 * Else as ox_segment_xmit(). A header alone is made of *lent, if that serves; it is
 * null then.
 */
int ox_send_plain(struct sock *sk, struct sk_buff *text, const void *header,
		  u32 len, struct sk_buff **lent)
{
	gfp_t gfp = sk_gfp_mask(sk, GFP_ATOMIC);
	struct inet_sock *inet = inet_sk(sk);
	const struct net_device *dev;
	struct net *net = sock_net(sk);
	struct dst_entry *dst;
	struct sk_buff *seg;
	struct iphdr *iph;
	struct tcphdr *th;
	u32 room;
	u16 type;
	int err;

	rcu_read_lock();
	dst = __sk_dst_get(sk);
	if (unlikely(!dst || !ox_dst_is_plain(net, dst) || ox_is_hooked(net) ||
		     rcu_access_pointer(inet->inet_opt)))
		goto no;
	dev = dst_dev_rcu(dst);
	type = dst_rtable(dst)->rt_type;
	room = LL_RESERVED_SPACE(dev) + sizeof(struct iphdr) + len;
	if (unlikely(netif_is_l3_slave(dev) || room > MAX_TCP_HEADER ||
		     (type != RTN_UNICAST && type != RTN_LOCAL)))
		goto no;
	if (text) {
		if (sizeof(struct iphdr) + len + text->len >
		    ox_dst_mtu_for(sk, dst, true))
			goto no;
		seg = ox_text_clone_inline(text, gfp);
		if (unlikely(!seg))
			goto no;
	} else {
		seg = ox_new_segment(sk, gfp, lent);
		if (unlikely(!seg))
			goto no;
	}

	iph = __skb_push(seg, sizeof(*iph) + len);
	th = (struct tcphdr *)(iph + 1);
	seg->network_header = (unsigned char *)iph - seg->head;
	seg->transport_header = seg->network_header + sizeof(*iph);
	seg->csum_start = seg->transport_header;
	seg->csum_offset = offsetof(struct tcphdr, check);
	seg->ip_summed = CHECKSUM_PARTIAL;
	if (likely(len == TCPOLEN_TSTAMP_ALIGNED + sizeof(*th)))
		memcpy(th, header, TCPOLEN_TSTAMP_ALIGNED + sizeof(*th));
	else
		memcpy(th, header, sizeof(*th));
	th->check = ~tcp_v4_check(seg->len - sizeof(*iph), inet->inet_saddr,
				  inet->inet_daddr, 0);
	ox_fill_iphdr(sk, iph, dst, READ_ONCE(inet->tos) & ~INET_ECN_MASK,
		      seg->len, 1);
	iph->check = ip_fast_csum(iph, sizeof(*iph) / 4);
	if (text)
		ox_own_text(sk, seg);
	else
		ox_segment_own(sk, seg);
	skb_set_dst_pending_confirm(seg, READ_ONCE(sk->sk_dst_pending_confirm));
	skb_dst_set_noref(seg, dst);
	ox_mark_segment(sk, seg);
	err = ox_to_neighbour(net, seg, dst_rtable(dst), sk);
	rcu_read_unlock();
	return err;
no:
	rcu_read_unlock();
	return -EAGAIN;
}

/* The user has set IP options: IP writes its header itself. */
static noinline int ox_xmit_options(struct sock *sk, struct sk_buff *seg, u8 tos)
{
	struct flowi fl;

	inet_sk_init_flowi4(inet_sk(sk), &fl.u.ip4);
	return __ip_queue_xmit(sk, seg, &fl, tos);
}

static int ox_ip_xmit(struct sock *sk, struct sk_buff *seg, u8 tos)
{
	struct net *net = sock_net(sk);
	struct dst_entry *dst;

	if (unlikely(rcu_access_pointer(inet_sk(sk)->inet_opt)))
		return ox_xmit_options(sk, seg, tos);
	dst = ox_sk_dst(sk);
	if (unlikely(!dst)) {
		IP_INC_STATS(net, IPSTATS_MIB_OUTNOROUTES);
		kfree_skb_reason(seg, SKB_DROP_REASON_IP_OUTNOROUTES);
		return -EHOSTUNREACH;
	}
	skb_dst_set_noref(seg, dst);
	ox_push_iphdr(sk, seg, dst, tos);
	return ox_ip_output(net, sk, seg);
}

/* TCP_TX_DELAY; a qdisc other than fq takes no notice. */
void ox_segment_delay(struct sk_buff *seg, u32 usecs)
{
	skb_set_delivery_time(seg, ktime_get_ns() + (u64)usecs * NSEC_PER_USEC,
			      SKB_CLOCK_MONOTONIC);
}

/*
 * ecn is the ECN field of the IP header, of which the socket's TOS says nothing.
 * Returns an NET_XMIT_* or an error.
 */
int ox_segment_xmit(struct sock *sk, struct sk_buff *seg, u8 ecn)
{
	struct inet_sock *inet = inet_sk(sk);
	int err;

	ox_segment_own(sk, seg);
	skb_set_dst_pending_confirm(seg, READ_ONCE(sk->sk_dst_pending_confirm));
	__tcp_v4_send_check(seg, inet->inet_saddr, inet->inet_daddr);
	rcu_read_lock();
	err = ox_ip_xmit(sk, seg, (READ_ONCE(inet->tos) & ~INET_ECN_MASK) | ecn);
	rcu_read_unlock();
	return err;
}
