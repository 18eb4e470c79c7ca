// SPDX-License-Identifier: GPL-2.0
/* Locks, struct sock and timers. */
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/sock_diag.h>
#include <net/inet_common.h>
#include <net/ip.h>
#include <net/sock.h>
#include <net/sock_reuseport.h>
#include <net/xfrm.h>

#include "helpers.h"

void ox_spin_lock_init(spinlock_t *lock)
{
	spin_lock_init(lock);
}

/* A softirq has BH off already, and need not look for others when it unlocks. */
void ox_spin_lock_bh(spinlock_t *lock)
{
	if (in_serving_softirq())
		spin_lock(lock);
	else
		spin_lock_bh(lock);
}

bool ox_spin_trylock_bh(spinlock_t *lock)
{
	return in_serving_softirq() ? spin_trylock(lock) : spin_trylock_bh(lock);
}

void ox_spin_unlock_bh(spinlock_t *lock)
{
	if (in_serving_softirq())
		spin_unlock(lock);
	else
		spin_unlock_bh(lock);
}

/* Has BH off, as in a softirq; true when ox_bh_on() is to end that. */
bool ox_bh_off(void)
{
	if (in_softirq())
		return false;
	local_bh_disable();
	return true;
}

void ox_bh_on(void)
{
	local_bh_enable();
}

void ox_assert_spin_locked(spinlock_t *lock)
{
	lockdep_assert_held(lock);
}

void ox_sock_hold(struct sock *sk)
{
	sock_hold(sk);
}

void ox_sock_put(struct sock *sk)
{
	sock_put(sk);
}

void ox_lock_sock(struct sock *sk)
{
	lock_sock(sk);
}

void ox_release_sock(struct sock *sk)
{
	release_sock(sk);
}

/* A softirq has BH off already, and need not look for others when it unlocks. */
void ox_bh_lock_sock(struct sock *sk)
{
	if (in_serving_softirq())
		bh_lock_sock(sk);
	else
		spin_lock_bh(&sk->sk_lock.slock);
}

void ox_bh_lock_sock_nested(struct sock *sk)
{
	if (!in_serving_softirq())
		local_bh_disable();
	bh_lock_sock_nested(sk);
}

void ox_bh_unlock_sock(struct sock *sk)
{
	if (in_serving_softirq())
		bh_unlock_sock(sk);
	else
		spin_unlock_bh(&sk->sk_lock.slock);
}

bool ox_sock_owned_by_user(const struct sock *sk)
{
	return sock_owned_by_user(sk);
}

/*
 * The limit is Linux's: what may be queued and what may be in flight, and some
 * more, since the headroom of truesize over text is large.
 */
int ox_sk_add_backlog(struct sock *sk, struct sk_buff *skb)
{
	u64 limit = (u64)READ_ONCE(sk->sk_rcvbuf) + READ_ONCE(sk->sk_sndbuf) +
		    64 * 1024;

	return sk_add_backlog(sk, skb, min_t(u64, limit, UINT_MAX));
}

bool ox_sock_flag(const struct sock *sk, enum sock_flags flag)
{
	return sock_flag(sk, flag);
}

void ox_sock_set_flag(struct sock *sk, enum sock_flags flag)
{
	sock_set_flag(sk, flag);
}

void ox_sock_orphan(struct sock *sk)
{
	sock_orphan(sk);
}

void ox_sock_graft(struct sock *sk, struct socket *sock)
{
	sock_graft(sk, sock);
	sock->state = SS_CONNECTED;
}

void ox_sock_accept_flags(struct socket *sock)
{
	set_bit(SOCK_CUSTOM_SOCKOPT, &sock->flags);
	set_bit(SOCK_SUPPORT_ZC, &sock->flags);
}

/*
 * The numbers of memory pressure and of /proc/net/protocols. Both may be changed
 * in any context. The latter go with their namespace, which a socket outlives whose
 * last segment waits in a queue of another: one that has begun to die is not told,
 * and one that has not keeps them for a grace period.
 */
void ox_sock_account(struct sock *sk, int n)
{
	struct net *net = sock_net(sk);

	if (n > 0)
		sk_sockets_allocated_inc(sk);
	else
		sk_sockets_allocated_dec(sk);
	rcu_read_lock();
	if (check_net(net))
		sock_prot_inuse_add(net, sk->sk_prot, n);
	rcu_read_unlock();
}

/*
 * A connection that goes on without a user does so with a passive reference of the
 * namespace: that may die from now on, and then it ends the connection, which is in
 * its table. What is closed keeps its active one, as nobody waits for it there, and
 * lives no longer than its last segment; and so does what somebody else has locked.
 */
void ox_sock_net_downgrade(struct sock *sk)
{
	struct net *net = sock_net(sk);

	spin_lock_bh(&sk->sk_lock.slock);
	if (sk->sk_net_refcnt && sk->sk_state != TCP_CLOSE && !sock_owned_by_user(sk)) {
		net_passive_inc(net);
		sk->sk_net_refcnt = 0;
		sock_inuse_add(net, -1);
		put_net_track(net, &sk->ns_tracker);
		__netns_tracker_alloc(net, &sk->ns_tracker, false, GFP_ATOMIC);
	}
	spin_unlock_bh(&sk->sk_lock.slock);
}

void ox_sock_destruct(struct sock *sk)
{
	ox_sock_account(sk, -1);
	if (sk->sk_state != TCP_CLOSE)
		inet_sk_set_state(sk, TCP_CLOSE);
	/* A connection that nobody accepted never had a file. */
	sock_set_flag(sk, SOCK_DEAD);
	if (sk->sk_frag.page) {
		put_page(sk->sk_frag.page);
		sk->sk_frag.page = NULL;
	}
	xfrm_sk_free_policy(sk);
	inet_sock_destruct(sk);
}

struct net *ox_sock_net(const struct sock *sk)
{
	return sock_net(sk);
}

u64 ox_sk_cookie(struct sock *sk)
{
	u32 cookie[2];

	sock_diag_save_cookie(sk, cookie);
	return (u64)cookie[1] << 32 | cookie[0];
}

u64 ox_sk_ino(struct sock *sk)
{
	return sock_i_ino(sk);
}

u32 ox_sk_uid(const struct sock *sk)
{
	return from_kuid_munged(&init_user_ns, sk_uid(sk));
}

bool ox_sk_reuse(const struct sock *sk)
{
	return sk->sk_reuse;
}

bool ox_sk_reuseport(const struct sock *sk)
{
	return sk->sk_reuseport;
}

/* From now on somebody may want to know when what came, or went. */
void ox_sk_expect_stamps(struct sock *sk)
{
	WRITE_ONCE(((struct ox_sock *)sk)->stamps, true);
}

/* Whether it brings a program of its own, or is in a group already. */
bool ox_sk_has_reuseport_cb(const struct sock *sk)
{
	return rcu_access_pointer(sk->sk_reuseport_cb);
}

void ox_sk_set_reuseport(struct sock *sk, bool on)
{
	lock_sock(sk);
	sk->sk_reuseport = on;
	release_sock(sk);
}

void ox_reuseport_leave(struct sock *sk)
{
	if (rcu_access_pointer(sk->sk_reuseport_cb))
		reuseport_detach_sock(sk);
}

/* The answer is for comparison alone. */
struct sock *ox_reuseport_select(struct sock *sk, u32 hash, struct sk_buff *skb)
{
	struct sock *chosen;

	rcu_read_lock();
	chosen = reuseport_select_sock(sk, hash, skb, tcp_hdrlen(skb));
	rcu_read_unlock();
	return IS_ERR(chosen) ? NULL : chosen;
}

int ox_sk_set_txrehash(struct sock *sk, int value)
{
	if (value < -1 || value > 1)
		return -EINVAL;
	if ((u8)value == SOCK_TXREHASH_DEFAULT)
		value = READ_ONCE(sock_net(sk)->core.sysctl_txrehash);
	WRITE_ONCE(sk->sk_txrehash, (u8)value);
	return 0;
}

int ox_sock_error(struct sock *sk)
{
	return sock_error(sk);
}

void ox_sk_set_shutdown(struct sock *sk, int bits)
{
	WRITE_ONCE(sk->sk_shutdown, bits);
}

bool ox_sk_has_error_queue(const struct sock *sk)
{
	return !skb_queue_empty_lockless(&sk->sk_error_queue);
}

bool ox_sk_stream_is_writeable(const struct sock *sk)
{
	return sk_stream_is_writeable(sk);
}

void ox_sk_set_nospace(struct sock *sk)
{
	struct socket *sock = READ_ONCE(sk->sk_socket);

	if (!sock)
		return;
	sk_set_bit(SOCKWQ_ASYNC_NOSPACE, sk);
	set_bit(SOCK_NOSPACE, &sock->flags);
	/* Pairs with the barrier of the waker, see tcp_poll(). */
	smp_mb__after_atomic();
}

/* See tcp_check_space(). */
bool ox_sk_wants_room(const struct sock *sk)
{
	const struct socket *sock = READ_ONCE(sk->sk_socket);

	/* Pairs with ox_sk_set_nospace(). */
	smp_mb();
	return sock && test_bit(SOCK_NOSPACE, &sock->flags);
}

/* sk_stream_write_space() is not exported. */
void ox_sk_stream_write_space(struct sock *sk)
{
	struct socket *sock = READ_ONCE(sk->sk_socket);
	struct socket_wq *wq;

	if (!sock || !sk_stream_is_writeable(sk))
		return;
	/* Pairs with ox_sk_set_nospace(): room is seen, or the bit is. */
	smp_mb();
	if (!test_bit(SOCK_NOSPACE, &sock->flags))
		return;
	clear_bit(SOCK_NOSPACE, &sock->flags);

	rcu_read_lock();
	wq = rcu_dereference(sk->sk_wq);
	if (skwq_has_sleeper(wq))
		wake_up_interruptible_poll(&wq->wait, EPOLLOUT | EPOLLWRNORM |
					   EPOLLWRBAND);
	if (wq && wq->fasync_list && !(sk->sk_shutdown & SEND_SHUTDOWN))
		sock_wake_async(wq, SOCK_WAKE_SPACE, POLL_OUT);
	rcu_read_unlock();
}

void ox_sk_wake_async(struct sock *sk, int how, int band)
{
	sk_wake_async(sk, how, band);
}

void ox_sk_set_socket_state(struct sock *sk, int state)
{
	if (sk->sk_socket)
		sk->sk_socket->state = state;
}

/*
 * A writer that does not wait is to be told of room all the same: epoll's edges
 * come of that alone. With nothing on its way nobody would tell.
 */
static void want_room(struct sock *sk)
{
	ox_sk_set_nospace(sk);
	if (skb_queue_empty(&sk->sk_write_queue))
		ox_sk_stream_write_space(sk);
}

/*
 * One sleep with the lock released. An event between the look at the condition,
 * under the lock, and the sleep marks the entry woken, so it is not lost. A
 * writer for whom there is room lacks memory, of which nobody tells: it looks
 * again soon. A process that exits does not linger. Who waited for a connection
 * that another thread has dissolved meanwhile has no part in what the socket is
 * now, as sk_wait_event() has it; who accepts waits for the socket alone.
 */
int ox_sk_wait(struct sock *sk, long *timeo, bool exclusive, bool write)
{
	DEFINE_WAIT_FUNC(wait, woken_wake_function);
	int disconnects = sk->sk_disconnects;
	long sleep = *timeo, left;

	if (!*timeo) {
		if (write)
			want_room(sk);
		return -EAGAIN;
	}
	if (signal_pending(current) || current->flags & PF_EXITING)
		return sock_intr_errno(*timeo);

	if (exclusive)
		add_wait_queue_exclusive(sk_sleep(sk), &wait);
	else
		add_wait_queue(sk_sleep(sk), &wait);
	if (write) {
		ox_sk_set_nospace(sk);
		sk->sk_write_pending++;
		if (sk_stream_memory_free(sk))
			sleep = min(sleep, HZ / 10);
	}
	release_sock(sk);
	left = wait_woken(&wait, TASK_INTERRUPTIBLE, sleep);
	if (*timeo != MAX_SCHEDULE_TIMEOUT)
		*timeo -= sleep - left;
	lock_sock(sk);
	if (write)
		sk->sk_write_pending--;
	remove_wait_queue(sk_sleep(sk), &wait);
	return exclusive || disconnects == sk->sk_disconnects ? 0 : -EPIPE;
}

long ox_sock_rcvtimeo(const struct sock *sk, bool noblock)
{
	return sock_rcvtimeo(sk, noblock);
}

long ox_sock_sndtimeo(const struct sock *sk, bool noblock)
{
	return sock_sndtimeo(sk, noblock);
}

void ox_sk_move_peek_offset(struct sock *sk, int bytes)
{
	if (bytes < 0)
		sk_peek_offset_bwd(sk, -bytes);
	else
		sk_peek_offset_fwd(sk, bytes);
}

/*
 * Whether it is bound to another interface (SO_BINDTODEVICE) than its segment came by.
 * One that has waited for the listener was let in there, and has no route any more to
 * tell whose address it came to.
 */
static bool ox_sk_is_elsewhere(const struct sock *sk, const struct sk_buff *skb)
{
	int dev = READ_ONCE(sk->sk_bound_dev_if);

	return unlikely(dev) && skb_dst(skb) && dev != inet_iif(skb) &&
	       dev != inet_sdif(skb);
}

/*
 * What the socket's owner set: an interface, a filter (which may refuse a segment,
 * but not shorten it, since its length was told already) and a least TTL (RFC 5082).
 */
static bool ox_sk_admits(struct sock *sk, struct sk_buff *skb)
{
	return !ox_sk_is_elsewhere(sk, skb) &&
	       ip_hdr(skb)->ttl >= READ_ONCE(inet_sk(sk)->min_ttl) &&
	       !sk_filter_trim_cap(sk, skb, skb->len);
}

/* Keeps the route of a segment that came in for those that follow. */
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

/* Takes the spin lock for a segment, if it is let in. */
enum ox_entry ox_sk_enter(struct sock *sk, struct sk_buff *skb)
{
	int cpu = raw_smp_processor_id();

	if (!ox_sk_admits(sk, skb))
		return OX_ENTRY_REFUSED;
	/* A listener's says which it wants. */
	if (unlikely(READ_ONCE(sk->sk_incoming_cpu) != cpu) && sk->sk_state != TCP_LISTEN)
		WRITE_ONCE(sk->sk_incoming_cpu, cpu);
	ox_bh_lock_sock(sk);
	if (sock_owned_by_user(sk))
		return OX_ENTRY_BUSY;
	if (skb_dst(skb) != rcu_access_pointer(sk->sk_rx_dst) &&
	    sk->sk_state != TCP_LISTEN)
		ox_sk_note_rx_dst(sk, skb);
	return OX_ENTRY_FREE;
}

void ox_timer_setup(struct timer_list *timer, void (*fn)(struct timer_list *))
{
	timer_setup(timer, fn, 0);
}

void ox_sk_timer_setup(struct sock *sk, void (*fn)(struct timer_list *))
{
	timer_setup(&sk->sk_timer, fn, 0);
}

struct sock *ox_sk_of_timer(struct timer_list *timer)
{
	return timer_container_of((struct sock *)NULL, timer, sk_timer);
}

/* Rounded up, and at most what a timer takes. */
unsigned long ox_usecs_to_jiffies(u64 usecs)
{
	u64 j = DIV_ROUND_UP_ULL(usecs, USEC_PER_SEC / HZ);

	return min_t(u64, j, MAX_JIFFY_OFFSET);
}

void ox_sk_timer_reset(struct sock *sk, u64 usecs)
{
	sk_reset_timer(sk, &sk->sk_timer, jiffies + ox_usecs_to_jiffies(usecs));
}

void ox_sk_timer_stop(struct sock *sk)
{
	sk_stop_timer(sk, &sk->sk_timer);
}

bool ox_sk_timer_pending(const struct sock *sk)
{
	return timer_pending(&sk->sk_timer);
}

bool ox_timer_pending(const struct timer_list *timer)
{
	return timer_pending(timer);
}

void ox_timer_reduce(struct timer_list *timer, u64 usecs)
{
	timer_reduce(timer, jiffies + ox_usecs_to_jiffies(usecs));
}

int ox_broken_pipe(bool nosignal)
{
	if (!nosignal)
		send_sig(SIGPIPE, current, 0);
	return -EPIPE;
}

void ox_sock_poll_wait(struct file *file, struct socket *sock,
		       struct poll_table_struct *wait)
{
	sock_poll_wait(file, sock, wait);
}

int ox_put_user_int(int value, unsigned long arg)
{
	return put_user(value, (int __user *)arg);
}

int ox_get_user_int(int *to, int __user *from)
{
	return get_user(*to, from);
}

int ox_copy_to_user(void __user *to, const void *from, size_t len)
{
	return copy_to_user(to, from, len) ? -EFAULT : 0;
}

/* Whether it is a BPF program that calls, in place of a system call. */
bool ox_in_bpf(void)
{
	return has_current_bpf_ctx();
}

int ox_sk_set_zerocopy(struct sock *sk, int value)
{
	if (value < 0 || value > 1)
		return -EINVAL;
	lock_sock(sk);
	sock_valbool_flag(sk, SOCK_ZEROCOPY, value);
	release_sock(sk);
	return 0;
}

static void ox_put_stamp(struct msghdr *msg, const struct sock *sk, ktime_t stamp)
{
	struct timespec64 ts = ktime_to_timespec64(stamp);
	bool is_new = sock_flag(sk, SOCK_TSTAMP_NEW);

	if (sock_flag(sk, SOCK_RCVTSTAMPNS)) {
		struct __kernel_old_timespec old = { ts.tv_sec, ts.tv_nsec };
		struct __kernel_timespec now = { ts.tv_sec, ts.tv_nsec };

		if (is_new)
			put_cmsg(msg, SOL_SOCKET, SO_TIMESTAMPNS_NEW, sizeof(now), &now);
		else
			put_cmsg(msg, SOL_SOCKET, SO_TIMESTAMPNS_OLD, sizeof(old), &old);
	} else {
		long us = ts.tv_nsec / NSEC_PER_USEC;
		struct __kernel_old_timeval old = { ts.tv_sec, us };
		struct __kernel_sock_timeval now = { ts.tv_sec, us };

		if (is_new)
			put_cmsg(msg, SOL_SOCKET, SO_TIMESTAMP_NEW, sizeof(now), &now);
		else
			put_cmsg(msg, SOL_SOCKET, SO_TIMESTAMP_OLD, sizeof(old), &old);
	}
}

/* Whether those of received text that were asked for, by report, are told too. */
static bool ox_tells(u32 tsflags, u32 report, u32 generate)
{
	return tsflags & report &&
	       (tsflags & generate || !(tsflags & SOF_TIMESTAMPING_OPT_RX_FILTER));
}

/* What tcp_recv_timestamp() does, which is not exported. */
void ox_msg_tell_stamp(struct msghdr *msg, const struct sock *sk,
		       const struct ox_rx_stamp *stamp)
{
	u32 tsflags = READ_ONCE(sk->sk_tsflags);
	struct scm_timestamping_internal tss = {};

	if (stamp->soft && sock_flag(sk, SOCK_RCVTSTAMP))
		ox_put_stamp(msg, sk, stamp->soft);
	if (ox_tells(tsflags, SOF_TIMESTAMPING_SOFTWARE, SOF_TIMESTAMPING_RX_SOFTWARE))
		tss.ts[0] = stamp->soft;
	if (ox_tells(tsflags, SOF_TIMESTAMPING_RAW_HARDWARE, SOF_TIMESTAMPING_RX_HARDWARE))
		tss.ts[2] = stamp->hard;
	if (!tss.ts[0] && !tss.ts[2])
		return;
	if (sock_flag(sk, SOCK_TSTAMP_NEW))
		put_cmsg_scm_timestamping64(msg, &tss);
	else
		put_cmsg_scm_timestamping(msg, &tss);
}

void ox_msg_tell_unread(struct msghdr *msg, int bytes, bool wanted)
{
	if (msg->msg_get_inq)
		msg->msg_inq = bytes;
	if (wanted)
		put_cmsg(msg, SOL_TCP, TCP_CM_INQ, sizeof(bytes), &bytes);
}

bool ox_sock_is_nonblock(const struct socket *sock)
{
	return sock->file->f_flags & O_NONBLOCK;
}

int ox_copy_from_sockptr(void *to, sockptr_t from, size_t len)
{
	return copy_from_sockptr(to, from, len);
}
