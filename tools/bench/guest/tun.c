// SPDX-License-Identifier: GPL-2.0
/* Segments written by hand. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "topology.h"
#include "tun.h"

struct syn {
	struct iphdr ip;
	struct tcphdr tcp;
	uint8_t options[20];
};

int tun_make(void)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI, .ifr_name = "flood" };
	int fd;

	enter_new_namespace();
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr))
		die("TUN device");
	device_address("flood", TUN_ADDR, 16);
	device_up("flood");
	return fd;
}

static uint32_t sum(const void *data, size_t len, uint32_t from)
{
	const uint8_t *at = data;

	for (; len > 1; at += 2, len -= 2)
		from += at[0] << 8 | at[1];
	return from;
}

static uint16_t folded(uint32_t s)
{
	s = (s & 0xffff) + (s >> 16);
	s = (s & 0xffff) + (s >> 16);
	return htons(~s);
}

void tun_syn(int tun, unsigned int n, uint16_t port)
{
	/* MSS 1460, SACK, timestamps, window scale 7 */
	static const uint8_t options[20] = {
		2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7,
	};
	struct syn s = {
		.ip = {
			.version = 4, .ihl = 5, .tot_len = htons(sizeof(s)),
			.ttl = 64, .protocol = IPPROTO_TCP,
			.saddr = htonl(0x0a090100 + n % 60000),
			.daddr = inet_addr(TUN_ADDR),
		},
		.tcp = {
			.source = htons(1024 + n / 60000), .dest = htons(port),
			.seq = htonl(n * 2654435761u), .doff = 10, .syn = 1,
			.window = htons(64240),
		},
	};
	uint32_t pseudo;

	memcpy(s.options, options, sizeof(options));
	s.ip.check = folded(sum(&s.ip, sizeof(s.ip), 0));
	pseudo = sum(&s.ip.saddr, 8, IPPROTO_TCP + sizeof(s) - sizeof(s.ip));
	s.tcp.check = folded(sum(&s.tcp, sizeof(s) - sizeof(s.ip), pseudo));
	if (write(tun, &s, sizeof(s)) != sizeof(s))
		die("write to TUN");
}

int tun_drain(int tun)
{
	char packet[2048];
	const struct syn *s = (void *)packet;
	int answers = 0;
	ssize_t n;

	while ((n = read(tun, packet, sizeof(packet))) > 0)
		answers += n >= 40 && s->ip.protocol == IPPROTO_TCP && s->tcp.syn && s->tcp.ack;
	return answers;
}

int tun_listen(int family, uint16_t port, int backlog)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = inet_addr(TUN_ADDR),
	};
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sin, sizeof(sin)) || listen(fd, backlog))
		die("listener");
	return fd;
}
