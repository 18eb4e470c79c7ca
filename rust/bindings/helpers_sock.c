// SPDX-License-Identifier: GPL-2.0
/* Locks, struct sock, inet_sock and timers. */
#include <linux/capability.h>
#include <linux/jiffies.h>
#include <linux/sched/signal.h>
#include <linux/sock_diag.h>
#include <net/inet_common.h>
#include <net/ip.h>
#include <net/sock.h>

#include "helpers.h"

void ox_spin_lock_init(spinlock_t *lock)
{
	spin_lock_init(lock);
}

void ox_spin_lock_bh(spinlock_t *lock)
{
	spin_lock_bh(lock);
}

bool ox_spin_trylock_bh(spinlock_t *lock)
{
	return spin_trylock_bh(lock);
}

void ox_spin_unlock_bh(spinlock_t *lock)
{
	spin_unlock_bh(lock);
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

void ox_bh_lock_sock(struct sock *sk)
{
	spin_lock_bh(&sk->sk_lock.slock);
}

void ox_bh_lock_sock_nested(struct sock *sk)
{
	local_bh_disable();
	bh_lock_sock_nested(sk);
}

void ox_bh_unlock_sock(struct sock *sk)
{
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
	sk_set_txhash(sk);
	sk->sk_txrehash = READ_ONCE(net->core.sysctl_txrehash);
	sk->sk_rcvbuf = READ_ONCE(net->ipv4.sysctl_tcp_rmem[1]);
	sk->sk_sndbuf = READ_ONCE(net->ipv4.sysctl_tcp_wmem[1]);
	/* Segments in a qdisc do not count as room that a writer waits for. */
	sock_set_flag(sk, SOCK_USE_WRITE_QUEUE);
}

/* What a connection takes over from the listener that made it. */
void ox_sock_inherit(struct sock *sk, const struct sock *from)
{
	static const enum sock_flags flags[] = {
		SOCK_KEEPOPEN, SOCK_LINGER, SOCK_URGINLINE, SOCK_BROADCAST,
		SOCK_ZEROCOPY, SOCK_RCVTSTAMP, SOCK_RCVTSTAMPNS,
		SOCK_TSTAMP_NEW, SOCK_LOCALROUTE, SOCK_DBG,
	};
	const struct inet_sock *linet = inet_sk(from);
	struct inet_sock *inet = inet_sk(sk);
	int i;

	for (i = 0; i < ARRAY_SIZE(flags); i++)
		if (sock_flag(from, flags[i]))
			sock_set_flag(sk, flags[i]);

	sk->sk_rcvbuf = READ_ONCE(from->sk_rcvbuf);
	sk->sk_sndbuf = READ_ONCE(from->sk_sndbuf);
	sk->sk_userlocks = from->sk_userlocks &
			   (SOCK_SNDBUF_LOCK | SOCK_RCVBUF_LOCK);
	sk->sk_rcvlowat = READ_ONCE(from->sk_rcvlowat);
	sk->sk_rcvtimeo = READ_ONCE(from->sk_rcvtimeo);
	sk->sk_sndtimeo = READ_ONCE(from->sk_sndtimeo);
	sk->sk_lingertime = READ_ONCE(from->sk_lingertime);
	sk->sk_priority = READ_ONCE(from->sk_priority);
	sk->sk_mark = READ_ONCE(from->sk_mark);
	sk->sk_uid = sk_uid(from);
	sk->sk_bound_dev_if = READ_ONCE(from->sk_bound_dev_if);
	sk->sk_reuse = from->sk_reuse;
	sk->sk_reuseport = from->sk_reuseport;
	sk->sk_max_pacing_rate = READ_ONCE(from->sk_max_pacing_rate);
	sk->sk_pacing_rate = READ_ONCE(from->sk_pacing_rate);

	inet->tos = READ_ONCE(linet->tos);
	inet->uc_ttl = READ_ONCE(linet->uc_ttl);
	inet->min_ttl = READ_ONCE(linet->min_ttl);
	inet->pmtudisc = READ_ONCE(linet->pmtudisc);
	inet_assign_bit(TRANSPARENT, sk, inet_test_bit(TRANSPARENT, from));
	inet_assign_bit(FREEBIND, sk, inet_test_bit(FREEBIND, from));
	inet_assign_bit(RECVERR, sk, inet_test_bit(RECVERR, from));
}

/* The numbers of /proc/net/protocols and of memory pressure. */
void ox_sock_account(struct sock *sk, int n)
{
	local_bh_disable();
	if (n > 0)
		sk_sockets_allocated_inc(sk);
	else
		sk_sockets_allocated_dec(sk);
	sock_prot_inuse_add(sock_net(sk), sk->sk_prot, n);
	local_bh_enable();
}

/*
 * From an active reference of the namespace to a passive one: the namespace may
 * die from now on, and then it ends the socket.
 */
void ox_sock_net_downgrade(struct sock *sk)
{
	struct net *net = sock_net(sk);

	if (!sk->sk_net_refcnt)
		return;
	net_passive_inc(net);
	sk->sk_net_refcnt = 0;
	sock_inuse_add(net, -1);
	put_net_track(net, &sk->ns_tracker);
	__netns_tracker_alloc(net, &sk->ns_tracker, false, GFP_ATOMIC);
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
	inet_sock_destruct(sk);
}

struct net *ox_sock_net(const struct sock *sk)
{
	return sock_net(sk);
}

u8 ox_sk_state(const struct sock *sk)
{
	return READ_ONCE(sk->sk_state);
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

int ox_sk_bound_dev_if(const struct sock *sk)
{
	return READ_ONCE(sk->sk_bound_dev_if);
}

bool ox_sk_reuse(const struct sock *sk)
{
	return sk->sk_reuse;
}

bool ox_sk_reuseport(const struct sock *sk)
{
	return sk->sk_reuseport;
}

void ox_sk_set_reuseport(struct sock *sk, bool on)
{
	lock_sock(sk);
	sk->sk_reuseport = on;
	release_sock(sk);
}

int ox_sk_err(const struct sock *sk)
{
	return READ_ONCE(sk->sk_err);
}

int ox_sock_error(struct sock *sk)
{
	return sock_error(sk);
}

int ox_sk_shutdown(const struct sock *sk)
{
	return READ_ONCE(sk->sk_shutdown);
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
 * One sleep with the lock released. An event between the look at the condition,
 * under the lock, and the sleep marks the entry woken, so it is not lost.
 */
int ox_sk_wait(struct sock *sk, long *timeo, bool exclusive, bool write)
{
	DEFINE_WAIT_FUNC(wait, woken_wake_function);

	if (!*timeo)
		return -EAGAIN;
	if (signal_pending(current))
		return sock_intr_errno(*timeo);

	if (exclusive)
		add_wait_queue_exclusive(sk_sleep(sk), &wait);
	else
		add_wait_queue(sk_sleep(sk), &wait);
	if (write) {
		ox_sk_set_nospace(sk);
		sk->sk_write_pending++;
	}
	release_sock(sk);
	*timeo = wait_woken(&wait, TASK_INTERRUPTIBLE, *timeo);
	lock_sock(sk);
	if (write)
		sk->sk_write_pending--;
	remove_wait_queue(sk_sleep(sk), &wait);
	return 0;
}

long ox_sock_rcvtimeo(const struct sock *sk, bool noblock)
{
	return sock_rcvtimeo(sk, noblock);
}

long ox_sock_sndtimeo(const struct sock *sk, bool noblock)
{
	return sock_sndtimeo(sk, noblock);
}

int ox_sock_rcvlowat(const struct sock *sk, int waitall, int len)
{
	return sock_rcvlowat(sk, waitall, len);
}

bool ox_sk_may_bind(const struct sock *sk, u16 port)
{
	struct net *net = sock_net(sk);

	return !port || !inet_port_requires_bind_service(net, port) ||
	       ns_capable(net->user_ns, CAP_NET_BIND_SERVICE);
}

/* A filter may cut the text, but not into the header. */
int ox_sk_filter(struct sock *sk, struct sk_buff *skb, u32 header)
{
	return sk_filter_trim_cap(sk, skb, header);
}

__be32 ox_inet_rcv_saddr(const struct sock *sk)
{
	return READ_ONCE(sk->sk_rcv_saddr);
}

__be32 ox_inet_daddr(const struct sock *sk)
{
	return READ_ONCE(sk->sk_daddr);
}

u16 ox_inet_num(const struct sock *sk)
{
	return READ_ONCE(sk->sk_num);
}

u16 ox_inet_dport(const struct sock *sk)
{
	return ntohs(READ_ONCE(sk->sk_dport));
}

void ox_inet_set_local(struct sock *sk, __be32 addr, u16 port)
{
	struct inet_sock *inet = inet_sk(sk);

	sk_rcv_saddr_set(sk, addr);
	inet->inet_saddr = ipv4_is_multicast(addr) || ipv4_is_lbcast(addr) ?
			   0 : addr;
	WRITE_ONCE(inet->inet_num, port);
	inet->inet_sport = htons(port);
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

bool ox_inet_nonlocal_ok(const struct sock *sk)
{
	return inet_can_nonlocal_bind(sock_net(sk),
				      (struct inet_sock *)inet_sk(sk));
}

/* The IP options that are plain fields; the others have no place in a stream. */
int ox_inet_getsockopt(const struct sock *sk, int name, int *value)
{
	const struct inet_sock *inet = inet_sk(sk);
	struct net *net = sock_net(sk);

	switch (name) {
	case IP_TOS:
		*value = READ_ONCE(inet->tos);
		return 0;
	case IP_TTL:
		*value = READ_ONCE(inet->uc_ttl);
		if (*value == -1)
			*value = READ_ONCE(net->ipv4.sysctl_ip_default_ttl);
		return 0;
	case IP_MINTTL:
		*value = READ_ONCE(inet->min_ttl);
		return 0;
	case IP_MTU_DISCOVER:
		*value = READ_ONCE(inet->pmtudisc);
		return 0;
	case IP_RECVERR:
		*value = inet_test_bit(RECVERR, sk);
		return 0;
	case IP_FREEBIND:
		*value = inet_test_bit(FREEBIND, sk);
		return 0;
	case IP_TRANSPARENT:
		*value = inet_test_bit(TRANSPARENT, sk);
		return 0;
	case IP_BIND_ADDRESS_NO_PORT:
		*value = inet_test_bit(BIND_ADDRESS_NO_PORT, sk);
		return 0;
	case IP_LOCAL_PORT_RANGE:
		*value = READ_ONCE(inet->local_port_range);
		return 0;
	case IP_MTU: {
		struct dst_entry *dst = sk_dst_get((struct sock *)sk);

		if (!dst)
			return -ENOTCONN;
		*value = dst_mtu(dst);
		dst_release(dst);
		return 0;
	}
	default:
		return -ENOPROTOOPT;
	}
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

int ox_sk_set_zerocopy(struct sock *sk, int value)
{
	if (value < 0 || value > 1)
		return -EINVAL;
	lock_sock(sk);
	sock_valbool_flag(sk, SOCK_ZEROCOPY, value);
	release_sock(sk);
	return 0;
}

size_t ox_msg_left(const struct msghdr *msg)
{
	return msg_data_left(msg);
}

int ox_copy_from_sockptr(void *to, sockptr_t from, size_t len)
{
	return copy_from_sockptr(to, from, len);
}
