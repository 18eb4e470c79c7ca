/* SPDX-License-Identifier: GPL-2.0 */
/* Requests to rtnetlink(7), for what ip(8) and tc(8) cannot say or are not there for. */
#ifndef SELFTESTS_NETLINK_H
#define SELFTESTS_NETLINK_H

#include <linux/rtnetlink.h>
#include <stddef.h>

struct request {
	struct nlmsghdr n;
	char rest[1024];
};

/* One of @type, with NLM_F_* @flags, that begins with @header. */
struct request request_begin(unsigned short type, unsigned short flags, const void *header,
			     size_t len);

/* Adds an attribute; of one without data a nest may be made. */
struct rtattr *request_put(struct request *r, unsigned short type, const void *data, size_t len);

/* The attributes since @a were put into it. */
void request_nest(struct request *r, struct rtattr *a);

/* Ends the program if the kernel refuses. */
void request_transact(struct request *r);

#endif
