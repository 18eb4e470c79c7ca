// SPDX-License-Identifier: GPL-2.0
/* struct inet_sock: what sockets of IPv4 have, ends and options. */
#include <linux/capability.h>
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/security.h>
#include <net/ip.h>
#include <net/l3mdev.h>
#include <net/route.h>
#include <net/sock.h>

#include "helpers.h"

/* What inet_create() sets in a fresh socket. */
void ox_sock_init_inet(struct sock *sk)
{
	struct inet_sock *inet = inet_sk(sk);
	struct net *net = sock_net(sk);

	inet->pmtudisc = READ_ONCE(net->ipv4.sysctl_ip_no_pmtu_disc) ?
			 IP_PMTUDISC_DONT : IP_PMTUDISC_WANT;
	atomic_set(&inet->inet_id, get_random_u16());
	inet->uc_ttl = -1;
	inet->mc_ttl = 1;
	inet_set_bit(MC_LOOP, sk);
	inet_set_bit(MC_ALL, sk);

	sk->sk_type = SOCK_STREAM;
	sk->sk_protocol = IPPROTO_TCP;
	sk->sk_gso_type = SKB_GSO_TCPV4;
	sk->sk_txrehash = READ_ONCE(net->core.sysctl_txrehash);
	sk->sk_rcvbuf = READ_ONCE(net->ipv4.sysctl_tcp_rmem[1]);
	sk->sk_sndbuf = READ_ONCE(net->ipv4.sysctl_tcp_wmem[1]);
	/* Segments in a qdisc do not count as room that a writer waits for. */
	sock_set_flag(sk, SOCK_USE_WRITE_QUEUE);
}

/*
 * As cgroup_sk_clone() does it, which is not exported: a socket that is made in
 * a softirq is nobody's at first.
 */
static void ox_sock_inherit_cgroup(struct sock *sk, const struct sock *from)
{
#ifdef CONFIG_SOCK_CGROUP_DATA
	struct cgroup *old = sk->sk_cgrp_data.cgroup;
	struct cgroup *cgroup = from->sk_cgrp_data.cgroup;

	if (cgroup != old) {
		cgroup_get(cgroup);
		cgroup_bpf_get(cgroup);
		cgroup_bpf_put(old);
		cgroup_put(old);
	}
	sk->sk_cgrp_data = from->sk_cgrp_data;
#endif
}

/* sock_init_data() for a connection that a listener makes: its user is that one's. */
void ox_sock_init_child(struct sock *sk, const struct sock *from)
{
	sock_init_data_uid(NULL, sk, sk_uid(from));
}

/* What a connection takes over from the listener that made it. */
void ox_sock_inherit(struct sock *sk, const struct sock *from)
{
	static const unsigned long flags =
		BIT(SOCK_KEEPOPEN) | BIT(SOCK_LINGER) | BIT(SOCK_URGINLINE) |
		BIT(SOCK_BROADCAST) | BIT(SOCK_ZEROCOPY) | BIT(SOCK_RCVTSTAMP) |
		BIT(SOCK_RCVTSTAMPNS) | BIT(SOCK_TSTAMP_NEW) |
		BIT(SOCK_TIMESTAMP) | BIT(SOCK_TIMESTAMPING_RX_SOFTWARE) |
		BIT(SOCK_LOCALROUTE) | BIT(SOCK_DBG) | BIT(SOCK_FILTER_LOCKED) |
		BIT(SOCK_SELECT_ERR_QUEUE) | BIT(SOCK_RXQ_OVFL) |
		BIT(SOCK_RCVMARK) | BIT(SOCK_RCVPRIORITY);
	const struct inet_sock *linet = inet_sk(from);
	struct inet_sock *inet = inet_sk(sk);

	sk->sk_flags |= READ_ONCE(from->sk_flags) & flags;
	/* The end of a socket with either flag takes that back. */
	if (sk->sk_flags & SK_FLAGS_TIMESTAMP)
		net_enable_timestamp();
	WRITE_ONCE(sk->sk_tsflags, READ_ONCE(from->sk_tsflags));
	((struct ox_sock *)sk)->stamps = READ_ONCE(((const struct ox_sock *)from)->stamps);
	sk->sk_incoming_cpu = raw_smp_processor_id();

	sk->sk_rcvbuf = READ_ONCE(from->sk_rcvbuf);
	sk->sk_sndbuf = READ_ONCE(from->sk_sndbuf);
	sk->sk_userlocks = from->sk_userlocks &
			   (SOCK_SNDBUF_LOCK | SOCK_RCVBUF_LOCK);
	sk->sk_rcvlowat = READ_ONCE(from->sk_rcvlowat);
	sk->sk_rcvtimeo = READ_ONCE(from->sk_rcvtimeo);
	sk->sk_sndtimeo = READ_ONCE(from->sk_sndtimeo);
	sk->sk_lingertime = READ_ONCE(from->sk_lingertime);
	sk->sk_mark = READ_ONCE(from->sk_mark);
	sk->sk_bound_dev_if = READ_ONCE(from->sk_bound_dev_if);
	sk->sk_reuse = from->sk_reuse;
	sk->sk_reuseport = from->sk_reuseport;
	sk->sk_max_pacing_rate = READ_ONCE(from->sk_max_pacing_rate);
	sk->sk_pacing_rate = READ_ONCE(from->sk_pacing_rate);
	sk->sk_txrehash = READ_ONCE(from->sk_txrehash);
	ox_sock_inherit_cgroup(sk, from);
	/* A connection made in a softirq has no label of its own. */
	security_sk_clone(from, sk);

	inet->tos = READ_ONCE(linet->tos);
	inet->uc_ttl = READ_ONCE(linet->uc_ttl);
	inet->min_ttl = READ_ONCE(linet->min_ttl);
	inet->pmtudisc = READ_ONCE(linet->pmtudisc);
	inet_assign_bit(TRANSPARENT, sk, inet_test_bit(TRANSPARENT, from));
	inet_assign_bit(FREEBIND, sk, inet_test_bit(FREEBIND, from));
	inet_assign_bit(RECVERR, sk, inet_test_bit(RECVERR, from));
}

/*
 * The filter too: sk_filter_charge() is not exported. False when there is no
 * memory left for it, and the connection must not be without.
 */
bool ox_sock_inherit_filter(struct sock *sk, const struct sock *from)
{
	struct sk_filter *filter;
	bool ok = true;

	rcu_read_lock();
	filter = rcu_dereference(from->sk_filter);
	if (filter) {
		u32 size = bpf_prog_size(filter->prog->len);

		ok = size < READ_ONCE(sock_net(sk)->core.sysctl_optmem_max) &&
		     refcount_inc_not_zero(&filter->refcnt);
		if (ok) {
			atomic_add(size, &sk->sk_omem_alloc);
			RCU_INIT_POINTER(sk->sk_filter, filter);
		}
	}
	rcu_read_unlock();
	return ok;
}

/* All of a path but the ends; the user by the kernel's own number. */
void ox_sk_way(const struct sock *sk, struct ox_path *path)
{
	int ttl = READ_ONCE(inet_sk(sk)->uc_ttl);

	path->tos = READ_ONCE(inet_sk(sk)->tos);
	path->ttl = ttl > 0 ? ttl : 0;
	path->oif = READ_ONCE(sk->sk_bound_dev_if);
	path->mark = READ_ONCE(sk->sk_mark);
	path->uid = __kuid_val(sk_uid(sk));
	path->on_link = sock_flag(sk, SOCK_LOCALROUTE);
}

bool ox_sk_may_bind(const struct sock *sk, u16 port)
{
	struct net *net = sock_net(sk);

	return !port || !inet_port_requires_bind_service(net, port) ||
	       ns_capable(net->user_ns, CAP_NET_BIND_SERVICE);
}

u16 ox_inet_sport(const struct sock *sk)
{
	return ntohs(READ_ONCE(inet_sk(sk)->inet_sport));
}

bool ox_inet_binds_address_only(const struct sock *sk)
{
	return inet_test_bit(BIND_ADDRESS_NO_PORT, sk);
}

/* IP_LOCAL_PORT_RANGE: 0 where it sets no bound. */
u32 ox_inet_port_range(const struct sock *sk)
{
	return READ_ONCE(inet_sk(sk)->local_port_range);
}

/* A port that is given back is shown on, as AF_INET does it. */
void ox_inet_set_local(struct sock *sk, __be32 addr, u16 port)
{
	struct inet_sock *inet = inet_sk(sk);

	sk_rcv_saddr_set(sk, addr);
	inet->inet_saddr = ipv4_is_multicast(addr) || ipv4_is_lbcast(addr) ?
			   0 : addr;
	WRITE_ONCE(inet->inet_num, port);
	if (port)
		WRITE_ONCE(inet->inet_sport, htons(port));
}

void ox_inet_set_saddr(struct sock *sk, __be32 addr)
{
	inet_sk(sk)->inet_saddr = addr;
}

void ox_inet_set_remote(struct sock *sk, __be32 addr, u16 port)
{
	sk_daddr_set(sk, addr);
	WRITE_ONCE(inet_sk(sk)->inet_dport, htons(port));
}

/* Whose segment a router could not forward is the peer's, and the offender the router. */
static void put_ends(struct msghdr *msg, const struct sk_buff *skb, struct sockaddr_in *offender)
{
	const struct sock_exterr_skb *serr = SKB_EXT_ERR(skb);
	struct sockaddr_in *sin = msg->msg_name;

	offender->sin_family = AF_INET;
	offender->sin_addr.s_addr = ip_hdr(skb)->saddr;
	if (!sin)
		return;
	*sin = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = serr->port };
	memcpy(&sin->sin_addr, skb_network_header(skb) + serr->addr_offset, sizeof(sin->sin_addr));
	msg->msg_namelen = sizeof(*sin);
}

/*
 * MSG_ERRQUEUE, as ip_recv_error() has it, which is not for modules. What zero-copy
 * and time stamps report has no offender, but room for its address all the same:
 * programs know the message by its length.
 */
int ox_recv_errqueue(struct sock *sk, struct msghdr *msg, size_t len)
{
	struct {
		struct sock_extended_err ee;
		struct sockaddr_in offender;
	} report = {};
	struct sk_buff *skb;
	int copied, err;

	skb = sock_dequeue_err_skb(sk);
	if (!skb)
		return -EAGAIN;
	copied = min_t(size_t, skb->len, len);
	if (copied < skb->len)
		msg->msg_flags |= MSG_TRUNC;
	err = skb_copy_datagram_msg(skb, 0, msg, copied);
	if (!err) {
		sock_recv_timestamp(msg, sk, skb);
		report.ee = SKB_EXT_ERR(skb)->ee;
		if (report.ee.ee_origin == SO_EE_ORIGIN_ICMP)
			put_ends(msg, skb, &report.offender);
		put_cmsg(msg, SOL_IP, IP_RECVERR, sizeof(report), &report);
		msg->msg_flags |= MSG_ERRQUEUE;
	}
	consume_skb(skb);
	return err ?: copied;
}

/* Whether IP_RECVERR is set. */
bool ox_inet_recverr(const struct sock *sk)
{
	return inet_test_bit(RECVERR, sk);
}

/* RTN_*: of an address in the VRF that the socket is bound to, or in none. */
u32 ox_inet_addr_type(const struct sock *sk, __be32 addr)
{
	struct net *net = sock_net(sk);
	u32 table;

	table = l3mdev_fib_table_by_index(net, READ_ONCE(sk->sk_bound_dev_if));
	return inet_addr_type_table(net, addr, table ?: RT_TABLE_LOCAL);
}

bool ox_inet_nonlocal_ok(const struct sock *sk)
{
	return inet_can_nonlocal_bind(sock_net(sk),
				      (struct inet_sock *)inet_sk(sk));
}
