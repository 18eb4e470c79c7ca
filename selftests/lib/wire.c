// SPDX-License-Identifier: GPL-2.0
/* A peer made of single segments. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "env.h"
#include "topology.h"
#include "wire.h"

static int tun = -1;

void wire_open(void)
{
	struct ifreq ifr = { .ifr_name = "wire", .ifr_flags = IFF_TUN | IFF_NO_PI };

	tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (tun < 0 || ioctl(tun, TUNSETIFF, &ifr))
		die("tun");
	device_address("wire", STACK_ADDR, 24);
	device_up("wire");
}

static uint32_t sum(const void *data, size_t len, uint32_t total)
{
	const uint8_t *p = data;
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		total += p[i] << 8 | p[i + 1];
	if (len & 1)
		total += p[len - 1] << 8;
	return total;
}

static uint16_t fold(uint32_t total)
{
	while (total >> 16)
		total = (total & 0xffff) + (total >> 16);
	return htons(~total);
}

static uint16_t tcp_checksum(in_addr_t from, in_addr_t to, const void *tcp, size_t len)
{
	uint32_t total = IPPROTO_TCP + len;

	total = sum(&from, 4, total);
	total = sum(&to, 4, total);
	return fold(sum(tcp, len, total));
}

static void ip_header(struct iphdr *ip, uint8_t protocol, size_t len)
{
	ip->version = 4;
	ip->ihl = 5;
	ip->ttl = 64;
	ip->protocol = protocol;
	ip->tot_len = htons(len);
	ip->saddr = inet_addr(PEER_ADDR);
	ip->daddr = inet_addr(STACK_ADDR);
	ip->check = fold(sum(ip, sizeof(*ip), 0));
}

static void inject(const void *packet, size_t len)
{
	if (write(tun, packet, len) != (ssize_t)len)
		die("write to tun");
}

void wire_inject(const struct segment *s)
{
	struct {
		struct iphdr ip;
		struct tcphdr tcp;
		uint8_t rest[40 + 1460];
	} p = {};
	size_t tcp_len = sizeof(p.tcp) + s->options_len + s->len;

	if (s->options_len > 40 || s->len > 1460)
		die("segment too large");
	ip_header(&p.ip, IPPROTO_TCP, sizeof(p.ip) + tcp_len);
	p.tcp.source = htons(s->sport);
	p.tcp.dest = htons(s->dport);
	p.tcp.seq = htonl(s->seq);
	p.tcp.ack_seq = htonl(s->ack);
	p.tcp.doff = (sizeof(p.tcp) + s->options_len) / 4;
	p.ip.tos = s->tos;
	if (s->to)
		p.ip.daddr = inet_addr(s->to);
	p.ip.check = 0;
	p.ip.check = fold(sum(&p.ip, sizeof(p.ip), 0));
	((uint8_t *)&p.tcp)[12] |= s->flags >> 8;
	((uint8_t *)&p.tcp)[13] = s->flags;
	p.tcp.urg_ptr = htons(s->urgent);
	p.tcp.window = htons(s->window);
	if (s->options_len)
		memcpy(p.rest, s->options, s->options_len);
	if (s->len)
		memcpy(p.rest + s->options_len, s->data, s->len);
	p.tcp.check = tcp_checksum(p.ip.saddr, p.ip.daddr, &p.tcp, tcp_len);
	if (s->corrupt)
		p.tcp.check ^= 0x1111;
	inject(&p, sizeof(p.ip) + tcp_len);
}

void wire_icmp(const struct wire *w, uint8_t type, uint8_t code, uint32_t seq, uint16_t mtu)
{
	struct {
		struct iphdr ip;
		struct icmphdr icmp;
		struct iphdr quoted;
		struct {
			uint16_t sport, dport;
			uint32_t seq;
		} tcp;
	} p = {};

	ip_header(&p.ip, IPPROTO_ICMP, sizeof(p));
	ip_header(&p.quoted, IPPROTO_TCP, 40);
	p.quoted.saddr = p.ip.daddr;
	p.quoted.daddr = p.ip.saddr;
	p.tcp.sport = htons(w->stack_port);
	p.tcp.dport = htons(w->port);
	p.tcp.seq = htonl(seq);
	p.icmp.type = type;
	p.icmp.code = code;
	p.icmp.un.frag.mtu = htons(mtu);
	p.icmp.checksum = fold(sum(&p.icmp, sizeof(p) - sizeof(p.ip), 0));
	inject(&p, sizeof(p));
}

static uint16_t mss_option(const uint8_t *option, const uint8_t *end)
{
	while (option + 1 < end && *option != TCPOPT_EOL) {
		if (*option == TCPOPT_NOP) {
			option++;
			continue;
		}
		if (*option == TCPOPT_MAXSEG && option + 4 <= end)
			return option[2] << 8 | option[3];
		if (option[1] < 2)
			break;
		option += option[1];
	}
	return 0;
}

/* Takes a packet apart; false when it is no TCP segment from the stack to the peer. */
static bool parse(const uint8_t *packet, size_t len, struct segment *s)
{
	const struct iphdr *ip = (const void *)packet;
	const struct tcphdr *tcp;
	size_t ip_len, tcp_len;

	if (len < sizeof(*ip) + sizeof(*tcp) || ip->version != 4 || ip->protocol != IPPROTO_TCP)
		return false;
	ip_len = ip->ihl * 4;
	tcp = (const void *)(packet + ip_len);
	tcp_len = ntohs(ip->tot_len) - ip_len;
	if (tcp_checksum(ip->saddr, ip->daddr, tcp, tcp_len))
		die("a segment of the stack has a wrong checksum");
	s->sport = ntohs(tcp->source);
	s->dport = ntohs(tcp->dest);
	s->seq = ntohl(tcp->seq);
	s->ack = ntohl(tcp->ack_seq);
	s->flags = (((const uint8_t *)tcp)[12] & 0xf) << 8 | ((const uint8_t *)tcp)[13];
	s->tos = ip->tos;
	s->ttl = ip->ttl;
	s->urgent = ntohs(tcp->urg_ptr);
	s->window = ntohs(tcp->window);
	s->options = (const uint8_t *)(tcp + 1);
	s->options_len = tcp->doff * 4 - sizeof(*tcp);
	s->data = s->options + s->options_len;
	s->len = tcp_len - tcp->doff * 4;
	s->mss = s->flags & SYN ? mss_option(s->options, s->data) : 0;
	return true;
}

bool wire_next(struct segment *s, int ms)
{
	static uint8_t packet[65536];
	int64_t until = now_ms() + ms;
	struct pollfd p = { .fd = tun, .events = POLLIN };
	int64_t left;
	ssize_t n;

	memset(s, 0, sizeof(*s));
	for (;;) {
		n = read(tun, packet, sizeof(packet));
		if (n > 0 && parse(packet, n, s))
			return true;
		if (n > 0)
			continue;
		if (errno != EAGAIN)
			die("read from tun");
		left = until - now_ms();
		if (left <= 0)
			return false;
		poll(&p, 1, left);
	}
}

struct segment wire_any(uint8_t flags)
{
	int64_t until = now_ms() + limit_ms(5000);
	struct segment s;

	while (wire_next(&s, until - now_ms()))
		if ((s.flags & flags) == flags)
			return s;
	errno = 0;
	die("no segment with flags %#x came", flags);
}

struct segment wire_expect(const struct wire *w, uint8_t flags)
{
	struct segment s;

	do {
		s = wire_any(flags);
	} while (s.dport != w->port);
	return s;
}

int wire_count(const struct wire *w, uint8_t flags, int ms)
{
	int64_t until = now_ms() + limit_ms(ms);
	struct segment s;
	int n = 0;

	while (wire_next(&s, until - now_ms()))
		n += (s.flags & flags) != 0 && s.dport == w->port;
	return n;
}

static struct segment outgoing(const struct wire *w, uint32_t seq, uint8_t flags)
{
	struct segment s = {
		.sport = w->port,
		.dport = w->stack_port,
		.seq = seq,
		.ack = flags & ACK ? w->rcv_nxt : 0,
		.flags = flags,
		.window = w->window,
	};

	return s;
}

void wire_send_at(const struct wire *w, uint32_t seq, uint8_t flags, const void *data, size_t len)
{
	struct segment s = outgoing(w, seq, flags);

	s.data = data;
	s.len = len;
	wire_inject(&s);
}

void wire_send(struct wire *w, uint8_t flags, const void *data, size_t len)
{
	static const uint8_t mss_1000[] = { TCPOPT_MAXSEG, 4, 1000 >> 8, 1000 & 255 };
	struct segment s = outgoing(w, w->snd_nxt, flags);

	s.data = data;
	s.len = len;
	if (flags & SYN) {
		s.options = mss_1000;
		s.options_len = sizeof(mss_1000);
	}
	wire_inject(&s);
	w->snd_nxt += len + !!(flags & SYN) + !!(flags & FIN);
}

void wire_ack(struct wire *w, const struct segment *s)
{
	w->rcv_nxt = s->seq + s->len + !!(s->flags & SYN) + !!(s->flags & FIN);
	wire_send(w, ACK, NULL, 0);
}

void wire_syn(struct wire *w, uint16_t peer_port, uint16_t port)
{
	*w = (struct wire){
		.port = peer_port,
		.stack_port = port,
		.snd_nxt = 0x7ffffff0,
		.window = 60000,
	};
	wire_send(w, SYN, NULL, 0);
}

void wire_connect(struct wire *w, uint16_t peer_port, uint16_t port)
{
	struct segment s;

	wire_syn(w, peer_port, port);
	s = wire_expect(w, SYN | ACK);
	if (s.ack != w->snd_nxt)
		die("SYN-ACK acknowledges something else");
	wire_ack(w, &s);
}

void wire_await_syn(struct wire *w)
{
	struct segment s = wire_any(SYN);

	*w = (struct wire){
		.port = s.dport,
		.stack_port = s.sport,
		.snd_nxt = 0xfffffff0,
		.rcv_nxt = s.seq + 1,
		.window = 60000,
	};
}

void wire_accept(struct wire *w)
{
	struct segment s;

	wire_await_syn(w);
	wire_send(w, SYN | ACK, NULL, 0);
	s = wire_expect(w, ACK);
	if (s.seq != w->rcv_nxt || s.ack != w->snd_nxt)
		die("the handshake's last segment is wrong");
}
