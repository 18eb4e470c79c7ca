// SPDX-License-Identifier: GPL-2.0
/* IPv4: replies, routes, ICMP and settings. */
#include <linux/icmp.h>
#include <linux/seq_file_net.h>
#include <net/icmp.h>
#include <net/inet_ecn.h>
#include <net/inet_common.h>
#include <net/ip.h>
#include <net/ip_fib.h>
#include <net/nexthop.h>
#include <net/route.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "helpers.h"

static bool ox_has_xfrm_out(const struct net *net)
{
#ifdef CONFIG_XFRM
	return READ_ONCE(net->xfrm.policy_count[XFRM_POLICY_OUT]) ||
	       net->xfrm.policy_default[XFRM_POLICY_OUT] == XFRM_USERPOLICY_BLOCK;
#else
	return false;
#endif
}

/*
 * The entry that IP keeps with a route, where there is one way to go and nothing
 * is known of the destination in particular: what ip_route_output_key() finds
 * then, if it has been this way before. NULL where that is to decide.
 */
static struct rtable *ox_route_kept(struct net *net, struct flowi4 *fl4)
{
	struct fib_nh_common *nhc;
	struct fib_result res;
	struct rtable *rt = NULL;

	if (fl4->flowi4_oif || ipv4_is_multicast(fl4->daddr) ||
	    ipv4_is_lbcast(fl4->daddr) || ipv4_is_zeronet(fl4->daddr) ||
	    ipv4_is_multicast(fl4->saddr) || ipv4_is_lbcast(fl4->saddr))
		return NULL;
	rcu_read_lock();
	if (fib_lookup(net, fl4, &res, 0))
		goto out;
	if (res.type == RTN_UNICAST ? ipv4_is_loopback(fl4->saddr) :
				      res.type != RTN_LOCAL)
		goto out;
	if (fib_info_num_path(res.fi) != 1 ||
	    (!res.prefixlen && res.table->tb_num_default > 1))
		goto out;
	nhc = FIB_RES_NHC(res);
	if (rcu_access_pointer(nhc->nhc_exceptions))
		goto out;
	rt = rcu_dereference(*raw_cpu_ptr(nhc->nhc_pcpu_rth_output));
	if (rt && (READ_ONCE(rt->dst.obsolete) != DST_OBSOLETE_FORCE_CHK ||
		   rt->rt_genid != rt_genid_ipv4(net) || !dst_hold_safe(&rt->dst)))
		rt = NULL;
out:
	rcu_read_unlock();
	return rt;
}

/* The route of segments without a socket, with a reference, if there is one. */
struct dst_entry *ox_route_back(struct net *net, const struct ox_path *path)
{
	u8 scope = path->on_link ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
	struct flowi4 fl4;
	struct rtable *rt;
	kuid_t uid;

	uid = path->uid == OX_NO_UID ? sock_net_uid(net, NULL) :
				       KUIDT_INIT(path->uid);
	flowi4_init_output(&fl4, path->oif, path->mark, path->tos & INET_DSCP_MASK,
			   scope, IPPROTO_TCP, FLOWI_FLAG_ANYSRC, path->daddr,
			   path->saddr, path->dport, path->sport, uid);
	if (ox_has_xfrm_out(net))
		rt = ip_route_output_flow(net, &fl4, NULL);
	else
		rt = ox_route_kept(net, &fl4) ?: __ip_route_output_key(net, &fl4);
	return IS_ERR(rt) ? NULL : &rt->dst;
}

bool ox_dst_holds(struct dst_entry *dst)
{
	return !READ_ONCE(dst->obsolete) || dst->ops->check(dst, 0);
}

/* Whether a packet's memory is one piece that nobody else has. */
static bool ox_skb_is_plain(const struct sk_buff *skb)
{
	return !skb_shared(skb) && !skb_cloned(skb) && !skb->fclone && !skb->pfmemalloc &&
	       !skb_is_nonlinear(skb) && !skb_zcopy((struct sk_buff *)skb);
}

/*
 * Makes of a packet something that may be kept for long. False, and unchanged, when
 * it would keep more than the memory of a segment without text.
 */
bool ox_skb_keep(struct sk_buff *skb)
{
	if (skb->head_frag || skb->pp_recycle || !ox_skb_is_plain(skb) ||
	    skb_end_offset(skb) > 2 * MAX_TCP_HEADER)
		return false;
	ox_skb_detach(skb);
	return true;
}

/*
 * Makes a packet that came in an empty one, as alloc_skb() gives it, with room
 * for a TCP header of len bytes and those before it. False, and unchanged, when
 * somebody else has it too, or it is not of one piece.
 */
bool ox_skb_renew(struct sk_buff *skb, const struct dst_entry *dst, u32 len)
{
	u32 room, reserved, head_frag = skb->head_frag, pp_recycle = skb->pp_recycle;
	void *rest;

	if (!dst || !ox_skb_is_plain(skb))
		return false;
	rcu_read_lock();
	reserved = LL_RESERVED_SPACE(dst_dev_rcu(dst));
	rcu_read_unlock();
	room = reserved + dst->header_len + sizeof(struct iphdr) + len;
	if (room + dst->trailer_len > skb_end_offset(skb))
		return false;

	skb_orphan(skb);
	skb_dst_drop(skb);
	nf_reset_ct(skb);
	skb_ext_reset(skb);
	/* In two, of which each is short enough to be done in place. */
	memset(skb, 0, offsetof(struct sk_buff, headers));
	rest = &skb->headers;
	OPTIMIZER_HIDE_VAR(rest);
	memset(rest, 0, sizeof(skb->headers));
	BUILD_BUG_ON(offsetofend(struct sk_buff, headers) !=
		     offsetof(struct sk_buff, tail));
	skb->head_frag = head_frag;
	skb->pp_recycle = pp_recycle;
	skb->alloc_cpu = raw_smp_processor_id();
	skb_unset_mac_header(skb);
	skb->transport_header = (typeof(skb->transport_header))~0U;
	memset(skb_shinfo(skb), 0, offsetof(struct skb_shared_info, dataref));
	atomic_set(&skb_shinfo(skb)->dataref, 1);

	skb->data = skb->head + room;
	skb_reset_tail_pointer(skb);
	return true;
}

/* The checksum: now, where the device would leave it to the CPU after all. */
static void ox_segment_check(struct sk_buff *seg, const struct net_device *dev,
			     __be32 saddr, __be32 daddr)
{
	struct tcphdr *th = tcp_hdr(seg);

	if (dev->features & (NETIF_F_HW_CSUM | NETIF_F_IP_CSUM)) {
		__tcp_v4_send_check(seg, saddr, daddr);
		return;
	}
	th->check = tcp_v4_check(seg->len, saddr, daddr,
				 csum_partial(th, seg->len, 0));
	seg->ip_summed = CHECKSUM_NONE;
}

/* By dst, of which the caller keeps its reference, or by a route of its own. */
int ox_segment_reply(struct net *net, struct sk_buff *seg,
		     const struct ox_path *path, struct dst_entry *dst)
{
	bool kept = dst;
	struct iphdr *iph;
	int err;

	if (!kept) {
		dst = ox_route_back(net, path);
		if (!dst) {
			kfree_skb_reason(seg, SKB_DROP_REASON_IP_OUTNOROUTES);
			return -EHOSTUNREACH;
		}
	}
	rcu_read_lock();
	if (kept)
		skb_dst_set_noref(seg, dst);
	else
		skb_dst_set(seg, dst);
	seg->protocol = htons(ETH_P_IP);
	seg->mark = path->mark;
	ox_segment_check(seg, dst_dev_rcu(dst), path->saddr, path->daddr);

	iph = skb_push(seg, sizeof(*iph));
	skb_reset_network_header(seg);
	iph->version = 4;
	iph->ihl = 5;
	iph->tos = path->tos;
	iph_set_totlen(iph, seg->len);
	iph->id = 0;
	iph->frag_off = htons(IP_DF);
	iph->ttl = path->ttl ?: ip4_dst_hoplimit(dst);
	iph->protocol = IPPROTO_TCP;
	iph->saddr = path->saddr;
	iph->daddr = path->daddr;
	err = ox_ip_output(net, NULL, seg);
	rcu_read_unlock();
	return err > 0 ? net_xmit_errno(err) : err;
}

/*
 * As ip_route_connect(), which looks the route up once to learn the source
 * address and once more with it. That finds another only where rules depend on
 * the source, or the choice of a next hop does.
 */
static struct rtable *ox_route_output(struct flowi4 *fl4, __be32 daddr,
				      __be32 saddr, __be16 sport, __be16 dport,
				      const struct sock *sk)
{
	const struct netns_ipv4 *ipv4 = &sock_net(sk)->ipv4;
	int oif = READ_ONCE(sk->sk_bound_dev_if);
	bool twice = false;

#ifdef CONFIG_IP_MULTIPLE_TABLES
	twice |= ipv4->fib_has_custom_rules;
#endif
#ifdef CONFIG_IP_ROUTE_MULTIPATH
	twice |= READ_ONCE(ipv4->sysctl_fib_multipath_hash_policy);
#endif
	if (twice)
		return ip_route_connect(fl4, daddr, saddr, oif, IPPROTO_TCP,
					sport, dport, sk);
	ip_route_connect_init(fl4, daddr, saddr, oif, IPPROTO_TCP, sport, dport,
			      sk);
	security_sk_classify_flow(sk, flowi4_to_flowi_common(fl4));
	return ip_route_output_flow(sock_net(sk), fl4, sk);
}

/*
 * The route of a connection to *daddr. What IP chose comes back in *saddr and
 * *daddr.
 */
int ox_route_connect(struct sock *sk, __be32 *saddr, __be32 *daddr,
		     __be16 sport, __be16 dport, struct dst_entry **dst)
{
	struct flowi4 fl4;
	struct rtable *rt;

	rt = ox_route_output(&fl4, *daddr, *saddr, sport, dport, sk);
	if (IS_ERR(rt)) {
		if (PTR_ERR(rt) == -ENETUNREACH)
			IP_INC_STATS(sock_net(sk), IPSTATS_MIB_OUTNOROUTES);
		return PTR_ERR(rt);
	}
	if (rt->rt_flags & (RTCF_MULTICAST | RTCF_BROADCAST)) {
		ip_rt_put(rt);
		return -ENETUNREACH;
	}
	*saddr = fl4.saddr;
	*daddr = fl4.daddr;
	*dst = &rt->dst;
	return 0;
}

bool ox_sk_rethink_txhash(struct sock *sk)
{
	return sk_rethink_txhash(sk);
}

/* Under the socket's lock. */
void ox_sk_route_suspect(struct sock *sk)
{
	__dst_negative_advice(sk);
}

/* Under the socket's lock: the way to the peer, and that back. */
void ox_sk_forget_route(struct sock *sk)
{
	__sk_dst_reset(sk);
	dst_release(unrcu_pointer(xchg(&sk->sk_rx_dst, NULL)));
}

u32 ox_dst_mtu(const struct dst_entry *dst)
{
	return dst_mtu(dst);
}

u32 ox_dst_advmss(const struct dst_entry *dst)
{
	return dst_metric_advmss(dst);
}

bool ox_dst_ecn(const struct dst_entry *dst)
{
	return dst_feature(dst, RTAX_FEATURE_ECN);
}

/* The errno of an ICMP error, as tcp_v4_err() has it; 0 for none. */
int ox_icmp_errno(u8 type, u8 code, bool *fatal)
{
	*fatal = false;
	switch (type) {
	case ICMP_PARAMETERPROB:
		return -EPROTO;
	case ICMP_TIME_EXCEEDED:
		return -EHOSTUNREACH;
	case ICMP_DEST_UNREACH:
		if (code > NR_ICMP_UNREACH)
			return 0;
		if (code == ICMP_FRAG_NEEDED)
			return -EMSGSIZE;
		*fatal = icmp_err_convert[code].fatal;
		return -icmp_err_convert[code].errno;
	default:
		return 0;
	}
}

/*
 * Puts an ICMP error that quotes a segment, @at bytes behind the skb's data, into the
 * error queue, and tells who polls.
 */
void ox_icmp_report(struct sock *sk, struct sk_buff *skb, int err, u32 at)
{
	const struct icmphdr *icmp = icmp_hdr(skb);
	struct tcphdr *th = (struct tcphdr *)(skb->data + at);
	u32 info = 0;

	if (icmp->type == ICMP_PARAMETERPROB)
		info = ntohl(icmp->un.gateway) >> 24;
	ip_icmp_error(sk, skb, err, th->dest, info, (u8 *)th);
}

/*
 * A process has the socket: it hears of a "fragmentation needed" when it lets go, of
 * the last one if there are several. With the spin lock.
 */
void ox_icmp_defer(struct sock *sk, u32 seq, u16 mtu)
{
	struct ox_sock *ox = (struct ox_sock *)sk;

	ox->too_big_seq = seq;
	ox->too_big_mtu = mtu;
	set_bit(TCP_MTU_REDUCED_DEFERRED, &sk->sk_tsq_flags);
}

/* Whether there is one, once. */
bool ox_icmp_deferred(struct sock *sk, u32 *seq, u16 *mtu)
{
	const struct ox_sock *ox = (const struct ox_sock *)sk;

	if (!(READ_ONCE(sk->sk_tsq_flags) & TCPF_MTU_REDUCED_DEFERRED))
		return false;
	clear_bit(TCP_MTU_REDUCED_DEFERRED, &sk->sk_tsq_flags);
	*seq = ox->too_big_seq;
	*mtu = ox->too_big_mtu;
	return true;
}

#define READ_IPV4(field, name) \
	(out->field = READ_ONCE(net->ipv4.sysctl_##name))

void ox_read_ipv4_sysctls(struct net *net, struct ox_ipv4_sysctls *out)
{
	int i;

	READ_IPV4(syn_retries, tcp_syn_retries);
	READ_IPV4(syn_linear_timeouts, tcp_syn_linear_timeouts);
	READ_IPV4(thin_linear_timeouts, tcp_thin_linear_timeouts);
	READ_IPV4(synack_retries, tcp_synack_retries);
	READ_IPV4(retries1, tcp_retries1);
	READ_IPV4(retries2, tcp_retries2);
	READ_IPV4(orphan_retries, tcp_orphan_retries);
	READ_IPV4(keepalive_probes, tcp_keepalive_probes);
	READ_IPV4(window_scaling, tcp_window_scaling);
	READ_IPV4(timestamps, tcp_timestamps);
	READ_IPV4(sack, tcp_sack);
	READ_IPV4(rfc1337, tcp_rfc1337);
	READ_IPV4(pacing_ss_ratio, tcp_pacing_ss_ratio);
	READ_IPV4(pacing_ca_ratio, tcp_pacing_ca_ratio);
	READ_IPV4(min_tso_segs, tcp_min_tso_segs);
	READ_IPV4(tso_rtt_log, tcp_tso_rtt_log);
	READ_IPV4(tso_win_divisor, tcp_tso_win_divisor);
	READ_IPV4(mtu_probing, tcp_mtu_probing);
	READ_IPV4(mtu_probe_floor, tcp_mtu_probe_floor);
	READ_IPV4(probe_threshold, tcp_probe_threshold);
	READ_IPV4(probe_interval_s, tcp_probe_interval);
	READ_IPV4(slow_start_after_idle, tcp_slow_start_after_idle);
	READ_IPV4(shrink_window, tcp_shrink_window);
	READ_IPV4(pingpong_thresh, tcp_pingpong_thresh);
	out->rmem_max = READ_ONCE(sysctl_rmem_max);
	READ_IPV4(base_mss, tcp_base_mss);
	READ_IPV4(rto_min_us, tcp_rto_min_us);
	READ_IPV4(rto_max_ms, tcp_rto_max_ms);
	READ_IPV4(recovery, tcp_recovery);
	READ_IPV4(early_retrans, tcp_early_retrans);
	READ_IPV4(frto, tcp_frto);
	READ_IPV4(dsack, tcp_dsack);
	READ_IPV4(reordering, tcp_reordering);
	READ_IPV4(max_reordering, tcp_max_reordering);
	READ_IPV4(min_rtt_wlen, tcp_min_rtt_wlen);
	READ_IPV4(stdurg, tcp_stdurg);
	READ_IPV4(ecn, tcp_ecn);
	READ_IPV4(ecn_fallback, tcp_ecn_fallback);
	READ_IPV4(ecn_option, tcp_ecn_option);
	READ_IPV4(ecn_option_beacon, tcp_ecn_option_beacon);
	for (i = 0; i < 3; i++)
		READ_IPV4(rmem[i], tcp_rmem[i]);
	out->fin_timeout_ms =
		jiffies_to_msecs(READ_ONCE(net->ipv4.sysctl_tcp_fin_timeout));
	out->keepalive_time_ms =
		jiffies_to_msecs(READ_ONCE(net->ipv4.sysctl_tcp_keepalive_time));
	out->keepalive_intvl_ms =
		jiffies_to_msecs(READ_ONCE(net->ipv4.sysctl_tcp_keepalive_intvl));
	out->invalid_ratelimit_ms =
		jiffies_to_msecs(READ_ONCE(net->ipv4.sysctl_tcp_invalid_ratelimit));
	ox_read_congestion(net, out->congestion);
}

/* The name of the namespace's congestion control, with its NUL. */
void ox_read_congestion(struct net *net, char name[TCP_CA_NAME_MAX])
{
	const struct tcp_congestion_ops *ca;

	rcu_read_lock();
	ca = rcu_dereference(net->ipv4.tcp_congestion_control);
	memcpy(name, ca->name, TCP_CA_NAME_MAX);
	rcu_read_unlock();
}

u32 ox_read_notsent_lowat(struct net *net)
{
	return READ_ONCE(net->ipv4.sysctl_tcp_notsent_lowat);
}

bool ox_read_autobind_reuse(struct net *net)
{
	return READ_ONCE(net->ipv4.sysctl_ip_autobind_reuse);
}

struct net *ox_seq_net(const struct seq_file *m)
{
	return seq_file_single_net((struct seq_file *)m);
}

struct proc_dir_entry *ox_net_proc(const struct net *net)
{
	return net->proc_net;
}

void *ox_net_generic(const struct net *net, unsigned int id)
{
	return net_generic(net, id);
}

void ox_net_mib_add(struct net *net, u32 field, u64 n)
{
	NET_ADD_STATS(net, field, n);
}

u32 ox_net_ino(const struct net *net)
{
	return net->ns.inum;
}

bool ox_net_dying(const struct net *net)
{
	return !check_net(net);
}
