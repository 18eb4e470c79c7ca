// SPDX-License-Identifier: GPL-2.0
/*
 * The protocol's memory accounting: how much all sockets together may hold.
 * TCP's own variables are not exported, so the family has its own, of the same
 * size.
 */
#include <linux/mm.h>
#include <linux/percpu_counter.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <net/proto_memory.h>
#include <net/sock.h>

#include "helpers.h"

static struct kmem_cache *ox_states;
static DEFINE_PER_CPU(int, ox_fw_alloc);
static atomic_long_t ox_allocated;
static struct percpu_counter ox_sockets;
static unsigned long ox_pressure;
static long ox_mem[3];

static void ox_enter_pressure(struct sock *sk)
{
	if (!READ_ONCE(ox_pressure))
		WRITE_ONCE(ox_pressure, max(1UL, jiffies));
}

static void ox_leave_pressure(struct sock *sk)
{
	if (READ_ONCE(ox_pressure))
		WRITE_ONCE(ox_pressure, 0);
}

/*
 * The limits are tcp_mem's at boot, in pages. What a socket keeps has state_size
 * bytes.
 */
int ox_memory_init(unsigned int state_size)
{
	unsigned long limit = max(nr_free_buffer_pages() / 16, 128UL);
	int err;

	ox_mem[0] = limit / 4 * 3;
	ox_mem[1] = limit;
	ox_mem[2] = ox_mem[0] * 2;
	ox_states = kmem_cache_create("oxtcp_state", state_size, 0,
				      SLAB_ACCOUNT, NULL);
	if (!ox_states)
		return -ENOMEM;
	err = percpu_counter_init(&ox_sockets, 0, GFP_KERNEL);
	if (err)
		kmem_cache_destroy(ox_states);
	return err;
}

/*
 * Charged to whom the socket is charged to, whoever asks; if to nobody, as one
 * that was accepted, to who asks.
 */
void *ox_state_alloc(struct sock *sk, gfp_t gfp)
{
	struct mem_cgroup *old;
	void *state;

	if (!sk)
		return kmem_cache_alloc(ox_states, gfp);
	old = set_active_memcg(mem_cgroup_from_sk(sk));
	state = kmem_cache_alloc(ox_states, gfp);
	set_active_memcg(old);
	return state;
}

/* The same for what a state is packed into, where there is memory without effort. */
void *ox_packed_alloc(struct sock *sk, size_t len)
{
	struct mem_cgroup *old = set_active_memcg(mem_cgroup_from_sk(sk));
	void *packed = kmalloc(len, GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT);

	set_active_memcg(old);
	return packed;
}

void ox_packed_free(void *packed)
{
	kfree(packed);
}

void ox_state_free(void *state)
{
	kmem_cache_free(ox_states, state);
}

/* No socket is left, so none of its memory must be. */
void ox_memory_exit(void)
{
	long left = atomic_long_read(&ox_allocated);
	int cpu;

	for_each_possible_cpu(cpu)
		left += per_cpu(ox_fw_alloc, cpu);
	WARN(left, "oxtcp: %ld pages of socket memory left\n", left);
	percpu_counter_destroy(&ox_sockets);
	kmem_cache_destroy(ox_states);
}

/* What tcp_under_memory_pressure() says of AF_INET's. */
bool ox_sk_under_pressure(const struct sock *sk)
{
	return sk_under_memory_pressure(sk);
}

/* Not even the first of the limits is reached. */
bool ox_sk_has_plenty(const struct sock *sk)
{
	return !sk_under_memory_pressure(sk) &&
	       sk_memory_allocated(sk) < sk_prot_mem_limits(sk, 0);
}

/*
 * As sk_rmem_schedule(), but beyond the limits of the family, for a reader who
 * has nothing to read: else what others keep would hold it up for ever.
 */
bool ox_sk_rmem_force(struct sock *sk, int size)
{
	int delta = size - sk->sk_forward_alloc;
	bool bypass = sk->sk_bypass_prot_mem, done;

	if (delta <= 0)
		return true;
	/* The control group is asked still. */
	sk->sk_bypass_prot_mem = true;
	done = __sk_mem_schedule(sk, delta, SK_MEM_RECV);
	sk->sk_bypass_prot_mem = bypass;
	if (done && !bypass)
		sk_memory_allocated_add(sk, sk_mem_pages(delta));
	return done;
}

void ox_memory_fill(struct proto *prot)
{
	prot->enter_memory_pressure = ox_enter_pressure;
	prot->leave_memory_pressure = ox_leave_pressure;
	prot->memory_allocated = &ox_allocated;
	prot->per_cpu_fw_alloc = &ox_fw_alloc;
	prot->sockets_allocated = &ox_sockets;
	prot->memory_pressure = &ox_pressure;
	prot->sysctl_mem = ox_mem;
	prot->sysctl_wmem_offset = offsetof(struct net, ipv4.sysctl_tcp_wmem);
	prot->sysctl_rmem_offset = offsetof(struct net, ipv4.sysctl_tcp_rmem);
	prot->max_header = MAX_TCP_HEADER;
	prot->no_autobind = true;
}
