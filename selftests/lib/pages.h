/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SELFTEST_PAGES_H
#define SELFTEST_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE 4096

/* TCP_RECEIVE_ZEROCOPY_FLAG_TLB_CLEAN_HINT of linux/tcp.h */
#define MAPPING_CLEAN 0x1
/* TCP_CMSG_TS: the only bit of msg_flags that may be given */
#define MAPPING_STAMP 0x2

/*
 * struct tcp_zerocopy_receive of linux/tcp.h, which does not go together with
 * netinet/tcp.h; that has an older, shorter one.
 */
struct mapping {
	uint64_t address;
	uint32_t length;
	uint32_t recv_skip_hint;
	uint32_t inq;
	int32_t err;
	uint64_t copybuf_address;
	int32_t copybuf_len;
	uint32_t flags;
	uint64_t msg_control;
	uint64_t msg_controllen;
	uint32_t msg_flags;
	uint32_t reserved;
};

/*
 * Sends @pages pages so that they stay whole on loopback: those of a pipe, four at
 * a time, which are a segment of their own when nothing waits to be acknowledged.
 */
void send_pages(int fd, const void *data, size_t pages);

/*
 * The same from @from to @to, then @rest bytes that follow in @data; all of it is
 * there to be read, and acknowledged, when it returns.
 */
void deliver(int from, int to, const void *data, size_t pages, size_t rest);

/* Text from byte @at on of a stream in which no page is like another; whether it is that. */
void page_text(void *to, size_t at, size_t len);
bool is_page_text(const void *got, size_t at, size_t len);

/* Room for @pages pages of received text; ends the test as failed when there is none. */
void *map_socket(int fd, size_t pages);

/* TCP_ZEROCOPY_RECEIVE; 0 or the errno. */
int receive_mapped(int fd, struct mapping *m);

/* The same into the first @pages pages of @area, with nothing else asked for. */
struct mapping map_pages(int fd, void *area, size_t pages);

/* Bytes that can be read. */
int unread(int fd);

/* Waits until all that was sent is acknowledged. */
bool all_acknowledged(int fd);

#endif
