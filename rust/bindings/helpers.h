/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Plain functions around the kernel's static inlines and macros, which bindgen
 * cannot see, and around fields whose place depends on the configuration.
 */
#ifndef OXTCP_HELPERS_H
#define OXTCP_HELPERS_H

#include <linux/llist.h>
#include <linux/skbuff.h>
#include <linux/netfilter.h>
#include <linux/seq_file.h>
#include <linux/siphash.h>
#include <linux/sock_diag.h>
#include <linux/inet_diag.h>
#include <linux/tcp.h>
#include <net/inet_sock.h>
#include <net/ip.h>
#include <net/netns/generic.h>
#include <net/route.h>
#include <net/sock.h>
#include <net/tcp.h>

/*
 * What a socket of the family begins with: inet_sock, as the kernel's code for
 * socket options and sock_diag expects it, but for its last member, cork, which
 * is for datagrams and for ip_queue_xmit().
 */
struct ox_sock {
	unsigned long inet[offsetof(struct inet_sock, cork) / sizeof(long)];
	struct llist_node tsq_node;	/* waits for ox_tsq_work() */
	bool stamps;			/* were asked for, of anything sent or received */
	u16 too_big_mtu;		/* see ox_icmp_defer(); under the spin lock */
	u32 too_big_seq;
};

/* The note on an skb that holds text, in skb->cb. */
struct ox_text_cb {
	u32 seq;	/* of the first byte kept */
	u32 off;	/* where it is in the skb */
	u32 len;	/* how many bytes are kept */
	bool sealed;	/* nothing is appended any more */
	bool stamp_ack;	/* the acknowledgment of the last byte is reported */
};

static inline struct ox_text_cb *ox_text_cb(struct sk_buff *skb)
{
	BUILD_BUG_ON(sizeof(struct ox_text_cb) > sizeof(skb->cb));
	return (struct ox_text_cb *)skb->cb;
}

/* Settings of net.ipv4 as they are now. */
struct ox_ipv4_sysctls {
	u8 syn_linear_timeouts, thin_linear_timeouts;
	u8 syn_retries, synack_retries, retries1, retries2, orphan_retries;
	u8 keepalive_probes, window_scaling, timestamps, sack, rfc1337;
	u8 min_tso_segs, tso_rtt_log, tso_win_divisor;
	u8 mtu_probing, slow_start_after_idle, shrink_window, pingpong_thresh;
	u8 recovery, early_retrans, frto, dsack;
	u8 stdurg, ecn, ecn_fallback, ecn_option, ecn_option_beacon;
	int fin_timeout_ms, keepalive_time_ms, keepalive_intvl_ms;
	int pacing_ss_ratio, pacing_ca_ratio;
	int mtu_probe_floor, probe_threshold, probe_interval_s, base_mss;
	int rmem_max, rmem[3];
	int invalid_ratelimit_ms, rto_min_us, rto_max_ms;
	int reordering, max_reordering, min_rtt_wlen;
	char congestion[TCP_CA_NAME_MAX]; /* with its NUL */
};

/* Where an IPv4 segment goes that has no socket. */
struct ox_path {
	__be32 saddr, daddr;
	__be16 sport, dport;
	int oif;
	u32 mark;
	u32 uid;	/* by which rules choose; OX_NO_UID: the namespace's root */
	u8 tos;
	u8 ttl;		/* 0: the route's */
	bool on_link;	/* SO_DONTROUTE */
};

#define OX_NO_UID ((u32)-1)

/* The ends of a connection as the wire has them; sport is ours. */
struct ox_tuple {
	__be32 saddr, daddr;
	__be16 sport, dport;
};

/* The ends as struct sock has them: two words to compare. */
struct ox_ends {
	__addrpair addrs;
	__portpair ports;
};

static inline struct ox_ends ox_ends(const struct ox_tuple *t)
{
	struct sock_common c = {
		.skc_daddr = t->daddr,
		.skc_rcv_saddr = t->saddr,
		.skc_dport = t->dport,
		.skc_num = ntohs(t->sport),
	};

	return (struct ox_ends){ c.skc_addrpair, c.skc_portpair };
}

static inline bool ox_sk_has_ends(const struct sock *sk, struct ox_ends ends)
{
	return READ_ONCE(sk->sk_addrpair) == ends.addrs &&
	       READ_ONCE(sk->sk_portpair) == ends.ports;
}

/* The ports and the connections of a namespace, as ox_skb_early() looks at them. */
struct ox_demux {
	const struct net *net;
	const u32 *users;		/* of each port */
	struct hlist_nulls_head *heads;
	u32 mask;			/* of their number, a power of two */
	u32 first_end, secret;
};

/* What ox_skb_admit() says. */
enum ox_admission {
	OX_ADMITTED,
	OX_NOT_HOST,
	OX_NO_MEMORY,
	OX_POLICY,
	OX_NETFILTER,
	OX_BAD_CHECKSUM,
};

/* What ox_sk_enter() says. */
enum ox_entry {
	OX_ENTRY_FREE,
	OX_ENTRY_BUSY,
	OX_ENTRY_REFUSED,
};

/* The memory of a segment that arrived, see Arrived of the core. */
struct ox_arrived {
	u32 memory, added, segment;
};

struct ox_port_reservation;

/* spin locks */
void ox_spin_lock_init(spinlock_t *lock);
void ox_spin_lock_bh(spinlock_t *lock);
bool ox_spin_trylock_bh(spinlock_t *lock);
void ox_spin_unlock_bh(spinlock_t *lock);
void ox_assert_spin_locked(spinlock_t *lock);
bool ox_bh_off(void);
void ox_bh_on(void);

/* sock */
void ox_sock_hold(struct sock *sk);
void ox_sock_put(struct sock *sk);
void ox_lock_sock(struct sock *sk);
void ox_release_sock(struct sock *sk);
void ox_bh_lock_sock(struct sock *sk);
void ox_bh_lock_sock_nested(struct sock *sk);
void ox_bh_unlock_sock(struct sock *sk);
bool ox_sock_owned_by_user(const struct sock *sk);
int ox_sk_add_backlog(struct sock *sk, struct sk_buff *skb);
bool ox_sock_flag(const struct sock *sk, enum sock_flags flag);
void ox_sock_set_flag(struct sock *sk, enum sock_flags flag);
void ox_sock_orphan(struct sock *sk);
void ox_sock_graft(struct sock *sk, struct socket *sock);
void ox_sock_accept_flags(struct socket *sock);
void ox_sock_init_inet(struct sock *sk);
void ox_sock_init_child(struct sock *sk, const struct sock *from);
void ox_sock_inherit(struct sock *sk, const struct sock *from);
bool ox_sock_inherit_filter(struct sock *sk, const struct sock *from);
void ox_sock_account(struct sock *sk, int n);
void ox_sock_net_downgrade(struct sock *sk);
void ox_sock_destruct(struct sock *sk);
struct net *ox_sock_net(const struct sock *sk);
u64 ox_sk_cookie(struct sock *sk);
u64 ox_sk_ino(struct sock *sk);
u32 ox_sk_uid(const struct sock *sk);
bool ox_sk_reuse(const struct sock *sk);
bool ox_sk_reuseport(const struct sock *sk);
void ox_sk_expect_stamps(struct sock *sk);
bool ox_sk_has_reuseport_cb(const struct sock *sk);
void ox_reuseport_leave(struct sock *sk);
struct sock *ox_reuseport_select(struct sock *sk, u32 hash, struct sk_buff *skb);
int ox_sk_set_txrehash(struct sock *sk, int value);
void ox_sk_set_reuseport(struct sock *sk, bool on);
int ox_sock_error(struct sock *sk);
void ox_sk_set_shutdown(struct sock *sk, int bits);
bool ox_sk_has_error_queue(const struct sock *sk);
bool ox_sk_stream_is_writeable(const struct sock *sk);
void ox_sk_set_nospace(struct sock *sk);
bool ox_sk_wants_room(const struct sock *sk);
void ox_sk_stream_write_space(struct sock *sk);
void ox_sk_wake_async(struct sock *sk, int how, int band);
void ox_sk_set_socket_state(struct sock *sk, int state);
int ox_sk_wait(struct sock *sk, long *timeo, bool exclusive, bool write);
long ox_sock_rcvtimeo(const struct sock *sk, bool noblock);
long ox_sock_sndtimeo(const struct sock *sk, bool noblock);
void ox_sk_move_peek_offset(struct sock *sk, int bytes);
bool ox_sk_may_bind(const struct sock *sk, u16 port);
enum ox_entry ox_sk_enter(struct sock *sk, struct sk_buff *skb);

/* inet_sock */
void ox_sk_way(const struct sock *sk, struct ox_path *path);
u16 ox_inet_sport(const struct sock *sk);
bool ox_inet_binds_address_only(const struct sock *sk);
u32 ox_inet_port_range(const struct sock *sk);
void ox_inet_set_local(struct sock *sk, __be32 addr, u16 port);
void ox_inet_set_saddr(struct sock *sk, __be32 addr);
void ox_inet_set_remote(struct sock *sk, __be32 addr, u16 port);
u32 ox_inet_addr_type(const struct sock *sk, __be32 addr);
bool ox_inet_nonlocal_ok(const struct sock *sk);
bool ox_inet_recverr(const struct sock *sk);

/* timer */
bool ox_timer_pending(const struct timer_list *timer);
void ox_timer_setup(struct timer_list *timer, void (*fn)(struct timer_list *));
void ox_sk_timer_setup(struct sock *sk, void (*fn)(struct timer_list *));
void ox_sk_timer_reset(struct sock *sk, u64 usecs);
void ox_sk_timer_stop(struct sock *sk);
bool ox_sk_timer_pending(const struct sock *sk);
struct sock *ox_sk_of_timer(struct timer_list *timer);
void ox_timer_reduce(struct timer_list *timer, u64 usecs);
unsigned long ox_usecs_to_jiffies(u64 usecs);

/* sk_buff */
u32 ox_skb_headlen(const struct sk_buff *skb);
bool ox_pskb_may_pull(struct sk_buff *skb, unsigned int len);
const struct iphdr *ox_ip_hdr(const struct sk_buff *skb);
u32 ox_skb_headers(const struct sk_buff *skb, bool link, const u8 **begin);
void ox_iph_addrs(const struct iphdr *iph, __be32 *saddr, __be32 *daddr);
void ox_skb_unset_tcp_header(struct sk_buff *skb, unsigned int ihl);
int ox_skb_segs(const struct sk_buff *skb);
void ox_skb_arrived(const struct sk_buff *skb, u32 header, struct ox_arrived *a);
bool ox_sk_append(struct sock *sk, struct sk_buff *skb, u32 header, u32 seq);
bool ox_skb_coalesce(const struct sock *sk, struct sk_buff *to, struct sk_buff *from,
		     bool *stolen, int *delta);

/* When a segment came: by the clock of the host, and by that of the device. */
struct ox_rx_stamp {
	ktime_t soft, hard;
};

void ox_skb_note_stamp(const struct sk_buff *skb, struct ox_rx_stamp *stamp);
void ox_msg_tell_stamp(struct msghdr *msg, const struct sock *sk,
		       const struct ox_rx_stamp *stamp);
int ox_copy_text(const struct sk_buff *skb, int offset, struct iov_iter *to,
		 int len);
int ox_skb_iif(const struct sk_buff *skb);
bool ox_skb_is_host(const struct sk_buff *skb);
bool ox_skb_to_host(const struct sk_buff *skb);
bool ox_skb_icmp_csum_ok(struct sk_buff *skb, u32 ihl);
void ox_kfree_skb_partial(struct sk_buff *skb, bool stolen);
enum ox_admission ox_skb_admit(struct sk_buff *skb, unsigned int ihl);
void ox_skb_detach(struct sk_buff *skb);
bool ox_skb_keep(struct sk_buff *skb);
struct sock *ox_skb_carried_sock(struct sk_buff *skb, int family);
void ox_skb_disown(struct sk_buff *skb, int family);
u32 ox_skb_mark(const struct sk_buff *skb);
void ox_sk_note_rx_dst(struct sock *sk, struct sk_buff *skb);
void ox_skb_consume(struct sk_buff *skb);
void ox_kfree_skb_reason(struct sk_buff *skb, enum skb_drop_reason reason);
void ox_skb_queue_tail(struct sk_buff_head *list, struct sk_buff *skb);
void ox_skb_unlink(struct sk_buff *skb, struct sk_buff_head *list);
struct sk_buff *ox_rb_to_skb(struct rb_node *node);
struct rb_node *ox_skb_rbnode(struct sk_buff *skb);
struct rb_node *ox_rb_first(const struct rb_root *root);
void ox_rb_link(struct rb_node *node, struct rb_node *parent,
		struct rb_node **link);
void ox_skb_rb_erase(struct sk_buff *skb, struct rb_root *root);

/* receive memory */
bool ox_sk_rmem_schedule(struct sock *sk, struct sk_buff *skb, int size);
void ox_skb_set_owner_r(struct sk_buff *skb, struct sock *sk);
void ox_sk_rmem_charge(struct sock *sk, int delta);
void ox_sk_mem_reclaim(struct sock *sk);

/* send memory and segments */
struct sk_buff *ox_alloc_text_skb(struct sock *sk);
void ox_free_text_skb(struct sock *sk, struct sk_buff *skb);
int ox_text_write(struct sock *sk, struct iov_iter *from, int max, u32 seq);
int ox_text_splice(struct sock *sk, struct sk_buff *skb, struct iov_iter *from,
		   int max, bool shared);
int ox_text_zerocopy(struct sock *sk, struct sk_buff *skb, struct msghdr *msg,
		     int max, struct ubuf_info *uarg);
struct ubuf_info *ox_zerocopy_begin(struct sock *sk, size_t size, bool *direct);
void ox_zerocopy_end(struct ubuf_info *uarg, bool used);
int ox_msg_tsflags(struct sock *sk, struct msghdr *msg, u32 *tsflags);
void ox_text_stamp(struct sock *sk, struct sk_buff *skb, u32 tsflags);
void ox_text_release(struct sock *sk, u32 start, bool acked,
		     struct sk_buff **cursor);
bool ox_sk_numbers_stamps(const struct sock *sk);
void ox_sk_set_stamp_base(struct sock *sk, u32 base);
struct ubuf_info *ox_skb_zcopy(struct sk_buff *skb);
u32 ox_skb_nr_frags(const struct sk_buff *skb);
u32 ox_skb_frag_size(const struct sk_buff *skb, u32 i);
bool ox_text_is_open(struct sk_buff *skb);
struct sk_buff *ox_text_clone(struct sk_buff *skb, gfp_t gfp);
struct sk_buff *ox_alloc_segment(gfp_t gfp);
struct sk_buff *ox_new_segment(struct sock *sk, gfp_t gfp, struct sk_buff **lent);
bool ox_segment_add_frag(struct sk_buff *seg, struct sk_buff *from, u32 i, u32 off,
			 u32 len);
void ox_segment_push_header(struct sk_buff *seg, const void *header, u32 len,
			    u8 without);
void ox_segment_set_gso(struct sk_buff *seg, u32 mss, bool cwr, bool accecn);
void ox_segment_delay(struct sk_buff *seg, u32 usecs);
int ox_send_plain(struct sock *sk, struct sk_buff *text, const void *header,
		  u32 len, struct sk_buff **lent);
void ox_direct_init(void);
int ox_segment_xmit(struct sock *sk, struct sk_buff *seg, u8 ecn);
int ox_ip_output(struct net *net, struct sock *sk, struct sk_buff *seg);
bool ox_skb_renew(struct sk_buff *skb, const struct dst_entry *dst, u32 len);
int ox_segment_reply(struct net *net, struct sk_buff *seg,
		     const struct ox_path *path, struct dst_entry *dst);
bool ox_sk_memory_free(const struct sock *sk);

/* small queues */
void ox_tsq_init(void (*serve)(struct sock *sk));
void ox_tsq_exit(void);
void ox_wfree(struct sk_buff *seg);

/*
 * A qdisc that delays a segment lets it go from its socket, unless it knows the
 * destructor: who wants to hear when it is sent gets a known one. The socket is not
 * told of the room then, but will be by the acknowledgment.
 */
static __always_inline void (*ox_wfree_of(const struct sk_buff *seg))(struct sk_buff *)
{
	const struct ox_sock *ox = (const struct ox_sock *)seg->sk;

	if (unlikely(READ_ONCE(ox->stamps) && skb_shinfo(seg)->tx_flags & SKBTX_ANY_TSTAMP))
		return sock_wfree;
	return ox_wfree;
}

void ox_segment_own(struct sock *sk, struct sk_buff *seg);
u32 ox_sk_queue_limit(const struct sock *sk);
bool ox_sk_autocorks(const struct sock *sk);
bool ox_sk_throttle(struct sock *sk);
void ox_tsq_defer(struct sock *sk);
bool ox_tsq_deferred(struct sock *sk);

/* routes */
int ox_route_connect(struct sock *sk, __be32 *saddr, __be32 *daddr,
		     __be16 sport, __be16 dport, struct dst_entry **dst);
void ox_sk_set_route(struct sock *sk, struct dst_entry *dst);
u32 ox_sk_path_mtu(struct sock *sk);
bool ox_sk_is_by_loopback(const struct sock *sk);
void ox_sk_update_pmtu(struct sock *sk, u32 mtu);
u32 ox_sk_gso_max(const struct sock *sk, u32 mss);
u32 ox_sk_advmss(struct sock *sk);
bool ox_sk_rethink_txhash(struct sock *sk);
void ox_sk_route_suspect(struct sock *sk);
void ox_sk_forget_route(struct sock *sk);
u32 ox_dst_mtu(const struct dst_entry *dst);
u32 ox_dst_advmss(const struct dst_entry *dst);
struct dst_entry *ox_route_back(struct net *net, const struct ox_path *path);
bool ox_dst_holds(struct dst_entry *dst);
bool ox_dst_ecn(const struct dst_entry *dst);

/* namespaces */
void *ox_net_generic(const struct net *net, unsigned int id);
u32 ox_net_ino(const struct net *net);
bool ox_net_dying(const struct net *net);
struct net *ox_seq_net(const struct seq_file *m);
struct proc_dir_entry *ox_net_proc(const struct net *net);
void ox_net_mib_add(struct net *net, u32 field, u64 n);
void ox_read_ipv4_sysctls(struct net *net, struct ox_ipv4_sysctls *out);
void ox_read_congestion(struct net *net, char name[TCP_CA_NAME_MAX]);
u32 ox_read_notsent_lowat(struct net *net);
bool ox_read_autobind_reuse(struct net *net);

/* icmp */
int ox_icmp_errno(u8 type, u8 code, bool *fatal);
void ox_icmp_report(struct sock *sk, struct sk_buff *skb, int err, u32 at);
void ox_icmp_defer(struct sock *sk, u32 seq, u16 mtu);
bool ox_icmp_deferred(struct sock *sk, u32 *seq, u16 *mtu);

/* established table */
u64 ox_tuple_siphash(const struct ox_tuple *t, u32 salt);
u32 ox_cookie_hash(const struct ox_tuple *t, u32 count);
u64 ox_fastopen_hash(__be32 client, __be32 server, const u64 *key);
int ox_fastopen_keys(struct net *net, u64 *keys);
void ox_sk_tuple(const struct sock *sk, struct ox_tuple *t);
void ox_ehash_init(struct hlist_nulls_head *head, u32 end);
int ox_ehash_insert(struct sock *sk, struct hlist_nulls_head *head, u32 hash);
bool ox_ehash_del(struct sock *sk);
bool ox_sk_hashed(const struct sock *sk);
u32 ox_sk_hash(const struct sock *sk);
void ox_count_delivered(const struct net *net);
/* No socket: the packet has it. */
#define OX_CARRIED ((struct sock *)1)
struct sock *ox_skb_early(struct sk_buff *skb, const struct ox_demux *d,
			  const void *priv);
struct sock *ox_ehash_lookup(const struct net *net, struct hlist_nulls_head *head,
			     u32 end, const struct ox_tuple *t);
bool ox_inet_listens(const struct net *net, const struct ox_tuple *t, int iif);
bool ox_inet_connects(const struct net *net, const struct ox_tuple *t, int iif);
bool ox_ehash_contains(const struct net *net, struct hlist_nulls_head *head,
		       u32 end, const struct ox_tuple *t);
u32 ox_ehash_collect(struct hlist_nulls_head *head, u32 skip, struct sock **out,
		     u32 max);

/* msg and sockopt */
void ox_msg_tell_unread(struct msghdr *msg, int bytes, bool wanted);
bool ox_sock_is_nonblock(const struct socket *sock);
int ox_copy_from_sockptr(void *to, sockptr_t from, size_t len);
int ox_broken_pipe(bool nosignal);
void ox_sock_poll_wait(struct file *file, struct socket *sock,
		       struct poll_table_struct *wait);
int ox_recv_errqueue(struct sock *sk, struct msghdr *msg, size_t len);
int ox_put_user_int(int value, unsigned long arg);
int ox_get_user_int(int *to, int __user *from);
int ox_copy_to_user(void __user *to, const void *from, size_t len);
int ox_sk_set_zerocopy(struct sock *sk, int value);
bool ox_in_bpf(void);

/* received pages in the user's memory */
int ox_sock_mmap(struct file *file, struct socket *sock, struct vm_area_struct *vma);
struct vm_area_struct *ox_area_lock(unsigned long address, bool *broad);
void ox_area_unlock(struct vm_area_struct *vma, bool broad);
u32 ox_skb_before_page(const struct sk_buff *skb, u32 at, u32 len);
u32 ox_skb_pages(const struct sk_buff *skb, u32 at, u32 len, struct page **pages,
		 u32 max, u32 *skip);
int ox_msg_to_user(struct msghdr *msg, unsigned long address, size_t len);
u32 ox_tell_stamp_at(u64 *control, u64 *len, const struct sock *sk,
		     const struct ox_rx_stamp *stamp);
int ox_get_user_struct(void *to, size_t size, const void __user *from, size_t len);

/* memory_allocated and its like */
int ox_memory_init(unsigned int state_size);
void ox_memory_exit(void);
void ox_memory_fill(struct proto *prot);
bool ox_sk_under_pressure(const struct sock *sk);
bool ox_sk_has_plenty(const struct sock *sk);
bool ox_sk_rmem_force(struct sock *sk, int size);
void *ox_state_alloc(struct sock *sk, gfp_t gfp);
void *ox_packed_alloc(struct sock *sk, size_t len);
void ox_packed_free(void *packed);
void ox_state_free(void *state);

/* the parameter family= */
unsigned int ox_param_family(void);

/* reserved ports */
int ox_reserve_init(void);
void ox_reserve_exit(void);
void ox_reserve_flush(void);
struct ox_port_reservation *ox_reserve(struct net *net, __be32 addr, u16 port,
				       bool reuse, int dev);
void ox_unreserve(struct ox_port_reservation *r);

/* netlink */
int ox_netlink_dump_start(struct sk_buff *skb, const struct nlmsghdr *nlh,
			  int (*dump)(struct sk_buff *, struct netlink_callback *));
struct net *ox_skb_net(const struct sk_buff *skb);
bool ox_skb_net_admin(const struct sk_buff *skb);
void *ox_nlmsg_data(const struct nlmsghdr *nlh);
int ox_nlmsg_len(const struct nlmsghdr *nlh);
void ox_nlmsg_end(struct sk_buff *skb, struct nlmsghdr *nlh);
void ox_nlmsg_cancel(struct sk_buff *skb, struct nlmsghdr *nlh);
struct nlmsghdr *ox_diag_put(struct sk_buff *skb, struct netlink_callback *cb);
int ox_diag_sk_attrs(struct sk_buff *skb, struct nlmsghdr *nlh,
		     struct netlink_callback *cb, struct sock *sk, int ext);

/* tracepoints */
void ox_trace_set_state(u32 ns, const struct ox_tuple *t, int oldstate,
			int newstate);
void ox_trace_retransmit(u32 ns, const struct ox_tuple *t, int state, u32 seq,
			 u32 len);
void ox_trace_drop(u32 ns, const struct ox_tuple *t, const char *reason);
bool ox_trace_drop_enabled(void);

#endif
