// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "env.h"
#include "netlink.h"

struct request request_begin(unsigned short type, unsigned short flags, const void *header,
			     size_t len)
{
	struct request r = {
		.n.nlmsg_len = NLMSG_LENGTH(len),
		.n.nlmsg_type = type,
		.n.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags,
	};

	memcpy(NLMSG_DATA(&r.n), header, len);
	return r;
}

struct rtattr *request_put(struct request *r, unsigned short type, const void *data, size_t len)
{
	struct rtattr *a = (void *)((char *)r + NLMSG_ALIGN(r->n.nlmsg_len));

	a->rta_type = type;
	a->rta_len = RTA_LENGTH(len);
	if (len)
		memcpy(RTA_DATA(a), data, len);
	r->n.nlmsg_len = NLMSG_ALIGN(r->n.nlmsg_len) + RTA_ALIGN(a->rta_len);
	return a;
}

void request_nest(struct request *r, struct rtattr *a)
{
	a->rta_len = (char *)r + r->n.nlmsg_len - (char *)a;
}

void request_transact(struct request *r)
{
	struct {
		struct nlmsghdr n;
		struct nlmsgerr e;
		char rest[sizeof(struct request)];
	} answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (fd < 0)
		die("netlink socket");
	if (send(fd, r, r->n.nlmsg_len, 0) < 0)
		die("netlink send");
	if (recv(fd, &answer, sizeof(answer), 0) < (ssize_t)NLMSG_LENGTH(sizeof(answer.e)))
		die("netlink receive");
	close(fd);
	errno = -answer.e.error;
	if (answer.e.error)
		die("netlink request");
}
