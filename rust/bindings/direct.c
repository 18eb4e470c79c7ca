// SPDX-License-Identifier: GPL-2.0
/*
 * Straight to the driver of a device that has no queue, as loopback and veth,
 * where dev_queue_xmit() would do nothing else with the packet.
 */
#include <linux/bpf_mprog.h>
#include <linux/netdevice.h>
#include <linux/tracepoint.h>
#include <net/neighbour.h>
#include <net/sch_generic.h>
#include <net/sock.h>

#include "direct.h"
#include "helpers.h"

/* What a device must be able to do so that nothing is done for it. */
#define OX_DIRECT_FEATURES (NETIF_F_HW_CSUM | NETIF_F_SG | NETIF_F_HIGHDMA)

/* The tracepoints that a packet passes in dev_queue_xmit(). */
static const char *const ox_point_names[] = {
	"net_dev_queue", "net_dev_start_xmit", "net_dev_xmit",
};

static struct tracepoint *ox_points[ARRAY_SIZE(ox_point_names)];

static void ox_note_point(struct tracepoint *point, void *unused)
{
	int i = match_string(ox_point_names, ARRAY_SIZE(ox_point_names),
			     point->name);

	if (i >= 0)
		ox_points[i] = point;
}

void ox_direct_init(void)
{
	for_each_kernel_tracepoint(ox_note_point, NULL);
}

/* Whether somebody listens at one of them, or one is not known. */
static __always_inline bool ox_is_traced(void)
{
	for (int i = 0; i < ARRAY_SIZE(ox_points); i++) {
		if (IS_ENABLED(CONFIG_TRACEPOINTS) &&
		    (!ox_points[i] || rcu_access_pointer(ox_points[i]->funcs)))
			return true;
	}
	return false;
}

/* Whether somebody looks at what the device sends, or has a say in it. */
static __always_inline bool ox_is_watched(const struct net_device *dev)
{
#ifdef CONFIG_NETFILTER_EGRESS
	if (rcu_access_pointer(dev->nf_hooks_egress))
		return true;
#endif
#ifdef CONFIG_NET_XGRESS
	if (rcu_access_pointer(dev->tcx_egress))
		return true;
#endif
#if IS_ENABLED(CONFIG_CGROUP_NET_PRIO)
	if (rcu_access_pointer(dev->priomap))
		return true;
#endif
	return !list_empty(&dev_net(dev)->ptype_all) ||
	       !list_empty(&dev->ptype_all) || ox_is_traced();
}

/*
 * Whether dev_queue_xmit() would only call the driver: the device is up and has
 * one queue without discipline or lock, and can do what the packet needs, which
 * is one segment, without a VLAN, of which the checksum is left to the device.
 */
static __always_inline bool ox_is_direct(const struct net_device *dev,
					 const struct netdev_queue *txq,
					 const struct sock *sk,
					 const struct sk_buff *seg)
{
	const struct net_device_ops *ops = dev->netdev_ops;

	if (rcu_dereference_bh(txq->qdisc)->enqueue || !dev->lltx ||
	    dev->real_num_tx_queues != 1 || !(dev->flags & IFF_UP) ||
	    netif_xmit_stopped(txq) || dev_xmit_recursion())
		return false;
	if ((dev->features & OX_DIRECT_FEATURES) != OX_DIRECT_FEATURES ||
	    (ops->ndo_features_check &&
	     ops->ndo_features_check != passthru_features_check))
		return false;
#ifdef CONFIG_SOCK_VALIDATE_XMIT
	if (sk->sk_validate_xmit_skb)
		return false;
#endif
	return skb_frags_readable(seg) &&
	       !(skb_shinfo(seg)->tx_flags & (SKBTX_SCHED_TSTAMP | SKBTX_BPF)) &&
	       !ox_is_watched(dev);
}

/* Puts the link's header before the packet; false when it is not known. */
static __always_inline bool ox_push_link(struct neighbour *neigh,
					 struct sk_buff *seg)
{
	const struct hh_cache *hh = &neigh->hh;
	unsigned int seq, len;

	if (!(READ_ONCE(neigh->nud_state) & NUD_CONNECTED))
		return false;
	do {
		seq = read_seqbegin(&hh->hh_lock);
		len = READ_ONCE(hh->hh_len);
		if (!len || len > HH_DATA_MOD || skb_headroom(seg) < HH_DATA_MOD)
			return false;
		memcpy(seg->data - HH_DATA_MOD, hh->hh_data, HH_DATA_MOD);
	} while (read_seqretry(&hh->hh_lock, seq));
	__skb_push(seg, len);
	return true;
}

/*
 * Gives a segment to the neighbour by the device's driver. -EAGAIN when it is to
 * go by neigh_output(), and nothing is done; else as dev_queue_xmit().
 */
int ox_neigh_direct(struct sock *sk, struct neighbour *neigh, struct sk_buff *seg)
{
	struct net_device *dev = seg->dev;
	struct netdev_queue *txq = netdev_get_tx_queue(dev, 0);
	int rc;

	rcu_read_lock_bh();
	if (!ox_is_direct(dev, txq, sk, seg) || !ox_push_link(neigh, seg)) {
		rcu_read_unlock_bh();
		return -EAGAIN;
	}
	skb_reset_mac_header(seg);
	if (dev->priv_flags & IFF_XMIT_DST_RELEASE)
		skb_dst_drop(seg);
	else
		skb_dst_force(seg);
	skb_set_queue_mapping(seg, 0);
	dev_xmit_recursion_inc();
	rc = netdev_start_xmit(seg, dev, txq, false);
	dev_xmit_recursion_dec();
	if (unlikely(!dev_xmit_complete(rc))) {
		dev_core_stats_tx_dropped_inc(dev);
		kfree_skb_reason(seg, SKB_DROP_REASON_RECURSION_LIMIT);
		rc = -ENETDOWN;
	}
	rcu_read_unlock_bh();
	return rc;
}
