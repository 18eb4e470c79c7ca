// SPDX-License-Identifier: GPL-2.0
/*
 * A port reserved in AF_INET's tables by a bound kernel socket, which never
 * listens. A process frees it at once, so that the port is free when close()
 * returns; a softirq leaves that to a worker, since freeing a socket may sleep.
 */
#include <linux/net.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <net/inet_sock.h>
#include <net/sock.h>

#include "helpers.h"

struct ox_port_reservation {
	struct socket *sock;
	struct work_struct work;
};

static struct workqueue_struct *ox_reserve_wq;

int ox_reserve_init(void)
{
	ox_reserve_wq = alloc_workqueue("oxtcp_reserve", WQ_UNBOUND, 0);
	return ox_reserve_wq ? 0 : -ENOMEM;
}

void ox_reserve_exit(void)
{
	destroy_workqueue(ox_reserve_wq);
}

/* Waits for those given up so far. */
void ox_reserve_flush(void)
{
	flush_workqueue(ox_reserve_wq);
}

static void ox_reserve_free(struct ox_port_reservation *r)
{
	sock_release(r->sock);
	kfree(r);
}

static void ox_reserve_work(struct work_struct *work)
{
	ox_reserve_free(container_of(work, struct ox_port_reservation, work));
}

struct ox_port_reservation *ox_reserve(struct net *net, __be32 addr, u16 port,
				       bool reuse, int dev)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = addr,
	};
	struct ox_port_reservation *r;
	int err;

	r = kmalloc_obj(*r);
	if (!r)
		return ERR_PTR(-ENOMEM);
	INIT_WORK(&r->work, ox_reserve_work);

	err = sock_create_kern(net, AF_INET, SOCK_STREAM, IPPROTO_TCP, &r->sock);
	if (err)
		goto free;
	/* Whether the address is right was the caller's to say. */
	inet_set_bit(FREEBIND, r->sock->sk);
	/*
	 * Nor do reservations keep each other away, as those that nobody's user has:
	 * whose the port is among sockets of the family its own table says.
	 */
	r->sock->sk->sk_reuseport = 1;
	WRITE_ONCE(r->sock->sk->sk_uid, INVALID_UID);
	if (dev) {
		err = sock_bindtoindex(r->sock->sk, dev, true);
		if (err)
			goto release;
	}
	err = kernel_bind(r->sock, (struct sockaddr_unsized *)&sin, sizeof(sin));
	if (err == -EADDRINUSE && reuse) {
		sock_set_reuseaddr(r->sock->sk);
		err = kernel_bind(r->sock, (struct sockaddr_unsized *)&sin,
				  sizeof(sin));
	}
	if (err)
		goto release;
	return r;

release:
	sock_release(r->sock);
free:
	kfree(r);
	return ERR_PTR(err);
}

void ox_unreserve(struct ox_port_reservation *r)
{
	/* Our spin locks are all taken with BH off: in_interrupt() sees them. */
	if (in_interrupt() || irqs_disabled())
		queue_work(ox_reserve_wq, &r->work);
	else
		ox_reserve_free(r);
}
