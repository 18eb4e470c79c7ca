// SPDX-License-Identifier: GPL-2.0
/* Netlink: the answers of sock_diag. */
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <net/netlink.h>
#include <net/sock.h>

#include "helpers.h"

int ox_netlink_dump_start(struct sk_buff *skb, const struct nlmsghdr *nlh,
			  int (*dump)(struct sk_buff *, struct netlink_callback *))
{
	struct netlink_dump_control c = { .dump = dump };

	if (!(nlh->nlmsg_flags & NLM_F_DUMP))
		return -EOPNOTSUPP;
	return netlink_dump_start(sock_net(skb->sk)->diag_nlsk, skb, nlh, &c);
}

struct net *ox_skb_net(const struct sk_buff *skb)
{
	return sock_net(skb->sk);
}

/* Whether a message's sender administers its network namespace. */
bool ox_skb_net_admin(const struct sk_buff *skb)
{
	return netlink_net_capable(skb, CAP_NET_ADMIN);
}

void *ox_nlmsg_data(const struct nlmsghdr *nlh)
{
	return nlmsg_data(nlh);
}

int ox_nlmsg_len(const struct nlmsghdr *nlh)
{
	return nlmsg_len(nlh);
}

void ox_nlmsg_end(struct sk_buff *skb, struct nlmsghdr *nlh)
{
	nlmsg_end(skb, nlh);
}

void ox_nlmsg_cancel(struct sk_buff *skb, struct nlmsghdr *nlh)
{
	nlmsg_cancel(skb, nlh);
}

/* Begins a zeroed struct inet_diag_msg; NULL when the buffer is full. */
struct nlmsghdr *ox_diag_put(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct nlmsghdr *nlh;

	nlh = nlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
			cb->nlh->nlmsg_type, sizeof(struct inet_diag_msg),
			NLM_F_MULTI);
	if (nlh)
		memset(nlmsg_data(nlh), 0, sizeof(struct inet_diag_msg));
	return nlh;
}

/* What the core can tell of a socket: owner, memory, options. */
int ox_diag_sk_attrs(struct sk_buff *skb, struct nlmsghdr *nlh,
		     struct netlink_callback *cb, struct sock *sk, int ext)
{
	struct inet_diag_msg *r = nlmsg_data(nlh);
	bool net_admin = netlink_net_capable(cb->skb, CAP_NET_ADMIN);

	sock_diag_save_cookie(sk, r->id.idiag_cookie);
	r->id.idiag_if = READ_ONCE(sk->sk_bound_dev_if);
	if (inet_diag_msg_attrs_fill(sk, skb, r, ext,
				     sk_user_ns(NETLINK_CB(cb->skb).sk),
				     net_admin))
		return -EMSGSIZE;
	if (ext & (1 << (INET_DIAG_SKMEMINFO - 1)))
		return sock_diag_put_meminfo(sk, skb, INET_DIAG_SKMEMINFO);
	return 0;
}
