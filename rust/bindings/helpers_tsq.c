// SPDX-License-Identifier: GPL-2.0
/*
 * TCP small queues: a socket that waits for what it has in the queues below is
 * told when some of that is sent. The one who tells may hold the lock of a
 * queueing discipline, so the socket is served later, by a work item of the CPU.
 */
#include <linux/llist.h>
#include <linux/percpu.h>
#include <linux/workqueue.h>
#include <net/sock.h>
#include <net/tcp.h>

#include "helpers.h"

struct ox_tsq {
	struct llist_head list;
	struct work_struct work;
};

static DEFINE_PER_CPU(struct ox_tsq, ox_tsq);
static void (*ox_tsq_serve)(struct sock *sk);

static void ox_tsq_work(struct work_struct *work)
{
	struct ox_tsq *tsq = container_of(work, struct ox_tsq, work);
	struct ox_sock *ox, *next;

	llist_for_each_entry_safe(ox, next, llist_del_all(&tsq->list), tsq_node) {
		struct sock *sk = (struct sock *)ox;

		/* The node is free before anybody can see that it is. */
		smp_mb__before_atomic();
		clear_bit(TSQ_QUEUED, &sk->sk_tsq_flags);
		ox_tsq_serve(sk);
		sk_free(sk);
	}
}

void ox_tsq_init(void (*serve)(struct sock *sk))
{
	int cpu;

	ox_tsq_serve = serve;
	for_each_possible_cpu(cpu) {
		struct ox_tsq *tsq = per_cpu_ptr(&ox_tsq, cpu);

		init_llist_head(&tsq->list);
		INIT_WORK(&tsq->work, ox_tsq_work);
	}
}

/* No socket is left, but who freed the last one may not have returned yet. */
void ox_tsq_exit(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		flush_work(&per_cpu_ptr(&ox_tsq, cpu)->work);
}

/* The destructor of a segment with text. */
void ox_wfree(struct sk_buff *seg)
{
	struct sock *sk = seg->sk;
	unsigned long flags, queued;
	struct ox_tsq *tsq;

	/* One byte stays, as a reference for the work item, or until sk_free(). */
	WARN_ON(refcount_sub_and_test(seg->truesize - 1, &sk->sk_wmem_alloc));

	/* Pairs with ox_sk_throttle(): the flag is seen, or the bytes sent are. */
	flags = smp_load_acquire(&sk->sk_tsq_flags);
	do {
		if (!(flags & TSQF_THROTTLED) || flags & TSQF_QUEUED) {
			sk_free(sk);
			return;
		}
		queued = (flags & ~TSQF_THROTTLED) | TSQF_QUEUED;
	} while (!try_cmpxchg(&sk->sk_tsq_flags, &flags, queued));

	tsq = raw_cpu_ptr(&ox_tsq);
	if (llist_add(&((struct ox_sock *)sk)->tsq_node, &tsq->list))
		queue_work(system_bh_wq, &tsq->work);
}

/*
 * A bare acknowledgment is no load: it counts for next to nothing, by which the
 * kernel knows its kind (skb_is_tcp_pure_ack()).
 */
void ox_segment_own(struct sock *sk, struct sk_buff *seg)
{
	if (!seg->data_len && !(tcp_flag_word(tcp_hdr(seg)) &
				(TCP_FLAG_SYN | TCP_FLAG_FIN | TCP_FLAG_RST)))
		skb_set_tcp_pure_ack(seg);
	skb_set_owner_w(seg, sk);
	if (seg->data_len)
		seg->destructor = ox_wfree_of(seg);
}

/* The most that is to be there. */
u32 ox_sk_queue_limit(const struct sock *sk)
{
	return READ_ONCE(sock_net(sk)->ipv4.sysctl_tcp_limit_output_bytes);
}

bool ox_sk_autocorks(const struct sock *sk)
{
	return READ_ONCE(sock_net(sk)->ipv4.sysctl_tcp_autocorking);
}

/*
 * The socket wants to be served when some of that is sent. When true, look once
 * more at how much there is: it may have been sent before we said so.
 */
bool ox_sk_throttle(struct sock *sk)
{
	return !test_bit(TSQ_THROTTLED, &sk->sk_tsq_flags) &&
	       !test_and_set_bit(TSQ_THROTTLED, &sk->sk_tsq_flags);
}

/* A process has the socket: it serves it when it lets go. */
void ox_tsq_defer(struct sock *sk)
{
	set_bit(TCP_TSQ_DEFERRED, &sk->sk_tsq_flags);
}

bool ox_tsq_deferred(struct sock *sk)
{
	return READ_ONCE(sk->sk_tsq_flags) & TCPF_TSQ_DEFERRED &&
	       test_and_clear_bit(TCP_TSQ_DEFERRED, &sk->sk_tsq_flags);
}
