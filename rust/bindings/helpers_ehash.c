// SPDX-License-Identifier: GPL-2.0
/* The established table: nulls lists under RCU, objects typesafe by RCU. */
#include <net/sock.h>
#include <linux/once.h>
#include <linux/rculist_nulls.h>
#include <linux/siphash.h>

#include <net/tcp.h>

#include "helpers.h"

static siphash_aligned_key_t ox_hash_key;

u64 ox_tuple_siphash(const struct ox_tuple *t, u32 salt)
{
	net_get_random_once(&ox_hash_key, sizeof(ox_hash_key));
	return siphash_4u32((__force u32)t->saddr, (__force u32)t->daddr,
			    (__force u32)t->sport << 16 | (__force u32)t->dport,
			    salt, &ox_hash_key);
}

static siphash_aligned_key_t ox_cookie_key;

/* For SYN cookies: it must tell nothing of the other hash, nor that of it. */
u32 ox_cookie_hash(const struct ox_tuple *t, u32 count)
{
	net_get_random_once(&ox_cookie_key, sizeof(ox_cookie_key));
	return siphash_4u32((__force u32)t->saddr, (__force u32)t->daddr,
			    (__force u32)t->sport << 16 | (__force u32)t->dport,
			    count, &ox_cookie_key);
}

/* As tcp_fastopen.c hashes, so that a cookie of one family is good for the other. */
u64 ox_fastopen_hash(__be32 client, __be32 server, const u64 *key)
{
	siphash_aligned_key_t aligned = { .key = { key[0], key[1] } };
	__be32 ends[2] __aligned(8) = { client, server };

	return siphash(ends, sizeof(ends), (const siphash_key_t *)&aligned);
}

static u64 ox_fastopen_key[2];

/* The namespace's tcp_fastopen_key, two words each; one of our own while it has none. */
int ox_fastopen_keys(struct net *net, u64 *keys)
{
	struct tcp_fastopen_context *ctx;
	int n = 0;

	rcu_read_lock();
	ctx = rcu_dereference(net->ipv4.tcp_fastopen_ctx);
	if (ctx)
		for (; n < ctx->num && n < 2; n++)
			memcpy(keys + 2 * n, ctx->key[n].key, sizeof(ctx->key[n].key));
	rcu_read_unlock();
	if (n)
		return n;
	net_get_random_once(ox_fastopen_key, sizeof(ox_fastopen_key));
	memcpy(keys, ox_fastopen_key, sizeof(ox_fastopen_key));
	return 1;
}

void ox_sk_tuple(const struct sock *sk, struct ox_tuple *t)
{
	t->saddr = sk->sk_rcv_saddr;
	t->daddr = sk->sk_daddr;
	t->sport = htons(sk->sk_num);
	t->dport = sk->sk_dport;
}

void ox_ehash_init(struct hlist_nulls_head *head, u32 end)
{
	INIT_HLIST_NULLS_HEAD(head, (unsigned long)end);
}

/*
 * Under the bucket's lock. One that is in has meaningful ends and none that it
 * shares with another.
 */
int ox_ehash_insert(struct sock *sk, struct hlist_nulls_head *head, u32 hash)
{
	struct ox_ends ends = { sk->sk_addrpair, sk->sk_portpair };
	struct hlist_nulls_node *node;
	struct sock *other;

	if (sk_hashed(sk))
		return -EALREADY;
	sk_nulls_for_each(other, node, head)
		if (ox_sk_has_ends(other, ends))
			return -EADDRNOTAVAIL;
	sk->sk_hash = hash;
	sock_hold(sk);
	__sk_nulls_add_node_rcu(sk, head);
	return 0;
}

/* Under the bucket's lock; the reference of the table is the caller's then. */
bool ox_ehash_del(struct sock *sk)
{
	return __sk_nulls_del_node_init_rcu(sk);
}

bool ox_sk_hashed(const struct sock *sk)
{
	return sk_hashed(sk);
}

u32 ox_sk_hash(const struct sock *sk)
{
	return sk->sk_hash;
}

/* Under RCU; the answer is that of a moment. */
bool ox_ehash_contains(const struct net *net, struct hlist_nulls_head *head,
		       u32 end, const struct ox_tuple *t)
{
	struct ox_ends ends = ox_ends(t);
	struct hlist_nulls_node *node;
	struct sock *sk;

begin:
	sk_nulls_for_each_rcu(sk, node, head)
		if (ox_sk_has_ends(sk, ends) && net_eq(sock_net(sk), net))
			return true;
	if (get_nulls_value(node) != end)
		goto begin;
	return false;
}

/* Under the bucket's lock: references of up to max sockets behind the first skip. */
u32 ox_ehash_collect(struct hlist_nulls_head *head, u32 skip, struct sock **out,
		     u32 max)
{
	struct hlist_nulls_node *node;
	struct sock *sk;
	u32 n = 0;

	sk_nulls_for_each(sk, node, head) {
		if (skip) {
			skip--;
			continue;
		}
		if (n == max)
			break;
		sock_hold(sk);
		out[n++] = sk;
	}
	return n;
}
