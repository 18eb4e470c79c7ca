/* SPDX-License-Identifier: GPL-2.0 */
#ifndef SELFTEST_WIRE_H
#define SELFTEST_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A TUN device whose other side is the test itself: a peer that sends exactly
 * the segments it is told, and sees each segment of the stack under test.
 *
 *	stack: 10.7.0.1/24, peer: 10.7.0.2 (the test)
 */
#define STACK_ADDR "10.7.0.1"
#define PEER_ADDR "10.7.0.2"

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define PSH 0x08
#define ACK 0x10
#define URG 0x20
#define ECE 0x40
#define CWR 0x80
#define AE 0x100

/* A TCP segment; numbers in host order. */
struct segment {
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint16_t flags;
	uint8_t tos;		/* of the IP header, with its ECN field */
	uint8_t ttl;		/* of a received segment */
	const char *to;		/* where to send it; NULL for the stack's address */
	uint16_t urgent;	/* the urgent pointer */
	uint16_t window;	/* as in the header, not scaled */
	const uint8_t *options;	/* padded to a multiple of four bytes */
	uint8_t options_len;
	const void *data;
	uint16_t len;
	bool corrupt;		/* send with a wrong checksum */
	uint16_t mss;		/* of a received SYN; 0 when it has no such option */
};

/* The peer's view of one connection. */
struct wire {
	uint16_t port;		/* the peer's */
	uint16_t stack_port;
	uint32_t snd_nxt;
	uint32_t rcv_nxt;
	uint16_t window;	/* what the peer offers */
};

/* Makes the device in the current namespace. */
void wire_open(void);

/* Sends a segment to the stack. */
void wire_inject(const struct segment *s);

/*
 * Sends an ICMP error about a segment that the stack sent with @seq on @w. @mtu is
 * that of the next hop, for "fragmentation needed".
 */
void wire_icmp(const struct wire *w, uint8_t type, uint8_t code, uint32_t seq, uint16_t mtu);

/*
 * The next TCP segment from the stack, within @ms; false when none comes. Its
 * data stay valid until the next call.
 */
bool wire_next(struct segment *s, int ms);

/* Waits for a segment with all of @flags, skipping others, or ends the test as failed. */
struct segment wire_expect(const struct wire *w, uint8_t flags);

/* The same, of whatever connection. */
struct segment wire_any(uint8_t flags);

/* The segments of @w with any of @flags that come within @ms. */
int wire_count(const struct wire *w, uint8_t flags, int ms);

/* Sends from the connection's state; data advance snd_nxt, and so do SYN and FIN. */
void wire_send(struct wire *w, uint8_t flags, const void *data, size_t len);

/* Sends a segment with @seq in place of snd_nxt, and changes nothing. */
void wire_send_at(const struct wire *w, uint32_t seq, uint8_t flags, const void *data, size_t len);

/* Acknowledges everything up to and including @s. */
void wire_ack(struct wire *w, const struct segment *s);

/* The peer opens a connection to @port of the stack. SYN only, or the whole handshake. */
void wire_syn(struct wire *w, uint16_t peer_port, uint16_t port);
void wire_connect(struct wire *w, uint16_t peer_port, uint16_t port);

/* The peer answers the SYN of a connecting socket. */
void wire_await_syn(struct wire *w);
void wire_accept(struct wire *w);

#endif
