// SPDX-License-Identifier: GPL-2.0
/*
 * Every socket option with every length, many values and bad pointers, in every
 * state of a socket: the family under test answers as AF_INET does.
 */
#include "lib/selftest.h"
#include "lib/trial.h"
#include "lib/wire.h"

struct option_name {
	int name;
	const char *text;
};

static const struct option_name socket_options[] = {
	{ 1, "SO_DEBUG" }, { 2, "SO_REUSEADDR" }, { 3, "SO_TYPE" }, { 4, "SO_ERROR" },
	{ 5, "SO_DONTROUTE" }, { 6, "SO_BROADCAST" }, { 7, "SO_SNDBUF" }, { 8, "SO_RCVBUF" },
	{ 9, "SO_KEEPALIVE" }, { 10, "SO_OOBINLINE" }, { 11, "SO_NO_CHECK" },
	{ 12, "SO_PRIORITY" }, { 13, "SO_LINGER" }, { 14, "SO_BSDCOMPAT" },
	{ 15, "SO_REUSEPORT" }, { 16, "SO_PASSCRED" }, { 17, "SO_PEERCRED" },
	{ 18, "SO_RCVLOWAT" }, { 19, "SO_SNDLOWAT" }, { 20, "SO_RCVTIMEO" },
	{ 21, "SO_SNDTIMEO" }, { 22, "SO_SECURITY_AUTHENTICATION" }, { 25, "SO_BINDTODEVICE" },
	{ 26, "SO_ATTACH_FILTER" }, { 27, "SO_DETACH_FILTER" }, { 28, "SO_PEERNAME" },
	{ 29, "SO_TIMESTAMP" }, { 30, "SO_ACCEPTCONN" }, { 31, "SO_PEERSEC" },
	{ 32, "SO_SNDBUFFORCE" }, { 33, "SO_RCVBUFFORCE" }, { 34, "SO_PASSSEC" },
	{ 35, "SO_TIMESTAMPNS" }, { 36, "SO_MARK" }, { 37, "SO_TIMESTAMPING" },
	{ 38, "SO_PROTOCOL" }, { 39, "SO_DOMAIN" }, { 40, "SO_RXQ_OVFL" },
	{ 41, "SO_WIFI_STATUS" }, { 42, "SO_PEEK_OFF" }, { 43, "SO_NOFCS" },
	{ 44, "SO_LOCK_FILTER" }, { 45, "SO_SELECT_ERR_QUEUE" }, { 46, "SO_BUSY_POLL" },
	{ 47, "SO_MAX_PACING_RATE" }, { 48, "SO_BPF_EXTENSIONS" },
	{ 49, "SO_INCOMING_CPU" }, { 50, "SO_ATTACH_BPF" },
	{ 51, "SO_ATTACH_REUSEPORT_CBPF" }, { 52, "SO_ATTACH_REUSEPORT_EBPF" },
	{ 53, "SO_CNX_ADVICE" }, { 54, "SCM_TIMESTAMPING_OPT_STATS" },
	{ 55, "SO_MEMINFO" }, { 56, "SO_INCOMING_NAPI_ID" },
	{ 57, "SO_COOKIE" }, { 58, "SCM_TIMESTAMPING_PKTINFO" }, { 59, "SO_PEERGROUPS" },
	{ 60, "SO_ZEROCOPY" }, { 61, "SO_TXTIME" }, { 62, "SO_BINDTOIFINDEX" },
	{ 63, "SO_TIMESTAMP_NEW" }, { 64, "SO_TIMESTAMPNS_NEW" }, { 65, "SO_TIMESTAMPING_NEW" },
	{ 66, "SO_RCVTIMEO_NEW" }, { 67, "SO_SNDTIMEO_NEW" }, { 68, "SO_DETACH_REUSEPORT_BPF" },
	{ 69, "SO_PREFER_BUSY_POLL" }, { 70, "SO_BUSY_POLL_BUDGET" }, { 71, "SO_NETNS_COOKIE" },
	{ 72, "SO_BUF_LOCK" }, { 73, "SO_RESERVE_MEM" }, { 74, "SO_TXREHASH" },
	{ 75, "SO_RCVMARK" }, { 76, "SO_PASSPIDFD" }, { 77, "SO_PEERPIDFD" },
	{ 78, "SO_DEVMEM_LINEAR" }, { 80, "SO_DEVMEM_DONTNEED" }, { 82, "SO_RCVPRIORITY" },
	{ 83, "SO_PASSRIGHTS" }, { 84, "SO_INQ" }, { 85, "SO_RIGHTS_NOTRUNC" }, { 9999, "SO_9999" },
	{}
};

static const struct option_name tcp_options[] = {
	{ 0, "TCP_0" }, { 1, "TCP_NODELAY" }, { 2, "TCP_MAXSEG" }, { 3, "TCP_CORK" },
	{ 4, "TCP_KEEPIDLE" }, { 5, "TCP_KEEPINTVL" }, { 6, "TCP_KEEPCNT" }, { 7, "TCP_SYNCNT" },
	{ 8, "TCP_LINGER2" }, { 9, "TCP_DEFER_ACCEPT" }, { 10, "TCP_WINDOW_CLAMP" },
	{ 11, "TCP_INFO" }, { 12, "TCP_QUICKACK" }, { 13, "TCP_CONGESTION" },
	{ 14, "TCP_MD5SIG" }, { 15, "TCP_15" }, { 16, "TCP_THIN_LINEAR_TIMEOUTS" },
	{ 17, "TCP_THIN_DUPACK" }, { 18, "TCP_USER_TIMEOUT" }, { 19, "TCP_REPAIR" },
	{ 20, "TCP_REPAIR_QUEUE" }, { 21, "TCP_QUEUE_SEQ" }, { 22, "TCP_REPAIR_OPTIONS" },
	{ 23, "TCP_FASTOPEN" }, { 24, "TCP_TIMESTAMP" }, { 25, "TCP_NOTSENT_LOWAT" },
	{ 26, "TCP_CC_INFO" }, { 27, "TCP_SAVE_SYN" }, { 28, "TCP_SAVED_SYN" },
	{ 29, "TCP_REPAIR_WINDOW" }, { 30, "TCP_FASTOPEN_CONNECT" }, { 31, "TCP_ULP" },
	{ 32, "TCP_MD5SIG_EXT" }, { 33, "TCP_FASTOPEN_KEY" }, { 34, "TCP_FASTOPEN_NO_COOKIE" },
	{ 35, "TCP_ZEROCOPY_RECEIVE" }, { 36, "TCP_INQ" }, { 37, "TCP_TX_DELAY" },
	{ 38, "TCP_AO_ADD_KEY" }, { 39, "TCP_AO_DEL_KEY" }, { 40, "TCP_AO_INFO" },
	{ 41, "TCP_AO_GET_KEYS" }, { 42, "TCP_AO_REPAIR" }, { 43, "TCP_IS_MPTCP" },
	{ 44, "TCP_RTO_MAX_MS" }, { 45, "TCP_RTO_MIN_US" }, { 46, "TCP_DELACK_MAX_US" },
	{ 47, "TCP_47" }, { 9999, "TCP_9999" },
	{}
};

static const struct option_name ip_options[] = {
	{ 0, "IP_0" }, { 1, "IP_TOS" }, { 2, "IP_TTL" }, { 3, "IP_HDRINCL" }, { 4, "IP_OPTIONS" },
	{ 5, "IP_ROUTER_ALERT" }, { 6, "IP_RECVOPTS" }, { 7, "IP_RETOPTS" }, { 8, "IP_PKTINFO" },
	{ 9, "IP_PKTOPTIONS" }, { 10, "IP_MTU_DISCOVER" }, { 11, "IP_RECVERR" },
	{ 12, "IP_RECVTTL" }, { 13, "IP_RECVTOS" }, { 14, "IP_MTU" }, { 15, "IP_FREEBIND" },
	{ 16, "IP_IPSEC_POLICY" }, { 17, "IP_XFRM_POLICY" }, { 18, "IP_PASSSEC" },
	{ 19, "IP_TRANSPARENT" }, { 20, "IP_RECVORIGDSTADDR" }, { 21, "IP_MINTTL" },
	{ 22, "IP_NODEFRAG" }, { 23, "IP_CHECKSUM" }, { 24, "IP_BIND_ADDRESS_NO_PORT" },
	{ 25, "IP_RECVFRAGSIZE" }, { 26, "IP_RECVERR_RFC4884" }, { 32, "IP_MULTICAST_IF" },
	{ 33, "IP_MULTICAST_TTL" }, { 34, "IP_MULTICAST_LOOP" }, { 35, "IP_ADD_MEMBERSHIP" },
	{ 36, "IP_DROP_MEMBERSHIP" }, { 37, "IP_UNBLOCK_SOURCE" }, { 38, "IP_BLOCK_SOURCE" },
	{ 39, "IP_ADD_SOURCE_MEMBERSHIP" }, { 40, "IP_DROP_SOURCE_MEMBERSHIP" },
	{ 41, "IP_MSFILTER" }, { 42, "MCAST_JOIN_GROUP" }, { 43, "MCAST_BLOCK_SOURCE" },
	{ 44, "MCAST_UNBLOCK_SOURCE" }, { 45, "MCAST_LEAVE_GROUP" },
	{ 46, "MCAST_JOIN_SOURCE_GROUP" }, { 47, "MCAST_LEAVE_SOURCE_GROUP" },
	{ 48, "MCAST_MSFILTER" }, { 49, "IP_MULTICAST_ALL" }, { 50, "IP_UNICAST_IF" },
	{ 51, "IP_LOCAL_PORT_RANGE" }, { 52, "IP_PROTOCOL" }, { 64, "IPT_SO_SET_REPLACE" },
	{ 80, "SO_ORIGINAL_DST" }, { 200, "MRT_INIT" }, { 9999, "IP_9999" },
	{}
};

/* Levels at which a stream of TCP has no options, or whose options need more than a socket. */
static const struct option_name other_levels[] = {
	{ 2, "level_2" }, { 17, "SOL_UDP" }, { 41, "SOL_IPV6" }, { 58, "SOL_ICMPV6" },
	{ 132, "SOL_SCTP" }, { 255, "SOL_RAW" }, { 263, "SOL_PACKET" }, { 282, "SOL_TLS" },
	{ 284, "SOL_MPTCP" }, { 54321, "level_54321" }, { -1, "level_minus_1" },
	{}
};

/* Options whose value is the connection's own: only its length is compared. */
static const char *const own_values[] = {
	"SO_INCOMING_CPU", "SO_MEMINFO", "SO_INCOMING_NAPI_ID", "SO_COOKIE", "SO_PEERPIDFD",
	"TCP_INFO", "TCP_QUEUE_SEQ", "TCP_TIMESTAMP", "TCP_CC_INFO", "TCP_SAVED_SYN", NULL
};

static bool has_own_value(const struct option_name *option)
{
	const char *const *name;

	for (name = own_values; *name; name++)
		if (!strcmp(*name, option->text))
			return true;
	return false;
}

struct subject {
	int level;
	const struct option_name *option;
	const char *state;
};

static void gets(int fd, const struct subject *s, int room)
{
	static unsigned char value[8192];
	socklen_t len = room;
	int rc;

	memset(value, 0, sizeof(value));
	if (room >= 0 && room < sizeof(value))
		value[room] = 0x5a;
	rc = getsockopt(fd, s->level, s->option->name, value, &len);
	if (rc) {
		says("get %d: %s, length %d", room, error_name(errno), (int)len);
		return;
	}
	says("get %d: 0, length %d%s", room, (int)len,
	     room < (int)sizeof(value) && value[room] != 0x5a ? ", and more" : "");
	if (!has_own_value(s->option))
		shows_bytes("value", value, len < sizeof(value) ? len : sizeof(value));
}

static void sets(int fd, const struct subject *s, const void *value, unsigned int len)
{
	int rc = setsockopt(fd, s->level, s->option->name, value, len);

	says("set %d: %s", (int)len, rc ? error_name(errno) : "0");
}

static void sets_int(int fd, const struct subject *s, int value, unsigned int len)
{
	static unsigned char block[1 << 17];

	memset(block, 0, sizeof(block));
	memcpy(block, &value, sizeof(value));
	says("value %d", value);
	sets(fd, s, block, len);
	gets(fd, s, sizeof(value));
}

static void gets_and_sets(const void *arg)
{
	static const int rooms[] = { 0, 1, 2, 3, 4, 8, 16, 64, 300, 4096, -1, INT32_MIN };
	static const unsigned int lengths[] = { 0, 1, 2, 3, 5, 8, 16, 24, 100, 65536, 100000, -1 };
	static const int values[] = {
		0, 1, 2, -1, 3, 7, 44, 88, 100, 127, 128, 255, 256, 1000, 32767, 32768, 65535, 65536,
		120001, 1000000, INT32_MAX, INT32_MIN, 0,
	};
	const struct subject *s = arg;
	int fd = socket_in(s->state), v = 1;
	socklen_t len = sizeof(v);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rooms); i++)
		gets(fd, s, rooms[i]);
	len = sizeof(v);
	did(getsockopt(fd, s->level, s->option->name, BAD_POINTER, &len));
	len = sizeof(v);
	did(getsockopt(fd, s->level, s->option->name, NULL, &len));
	did(getsockopt(fd, s->level, s->option->name, &v, BAD_POINTER));
	did(getsockopt(fd, s->level, s->option->name, NULL, NULL));

	for (i = 0; i < ARRAY_SIZE(lengths); i++)
		sets_int(fd, s, 1, lengths[i]);
	sets(fd, s, BAD_POINTER, sizeof(v));
	sets(fd, s, NULL, sizeof(v));
	sets(fd, s, BAD_POINTER, 16);
	sets(fd, s, NULL, 0);
	for (i = 0; i < ARRAY_SIZE(values); i++)
		sets_int(fd, s, values[i], sizeof(int));
}

/* Each option of a level in one state. */
static bool options_alike(int level, const struct option_name *options, const char *state)
{
	const struct option_name *o;
	size_t different = 0, count = 0;
	char name[128];

	/* A slow kernel is asked for some of them alone. */
	for (o = options; o->text; o++) {
		if (slowness() > 4 && (o - options) % 4)
			continue;
		count++;
		struct subject subject = { level, o, state };
		struct sequence sequence = { name, gets_and_sets, &subject };

		snprintf(name, sizeof(name), "%s.%s", o->text, state);
		different += !alike(&sequence);
	}
	printf("# %zu sequences, %zu differ\n", count, different);
	return !different;
}

FIXTURE(options) {
	int unused;
};

FIXTURE_VARIANT(options) {
	const char *state;
};

#define STATE(name_) \
	struct combo; \
	FIXTURE_VARIANT_ADD(options, name_) { \
		.state = #name_, \
	}

STATE(fresh);
STATE(bound);
STATE(listening);
STATE(connecting);
STATE(connected);
STATE(accepted);
STATE(peer_closed);
STATE(write_shut);
STATE(both_shut);
STATE(closed);
STATE(reset);
STATE(refused);
STATE(dissolved);

FIXTURE_SETUP(options)
{
	make_network(LOOPBACK);
	wire_open();
}

FIXTURE_TEARDOWN(options)
{
}

TEST_F_TIMEOUT(options, of_tcp, LIMIT)
{
	EXPECT_TRUE(options_alike(IPPROTO_TCP, tcp_options, variant->state));
}

TEST_F_TIMEOUT(options, of_ip, LIMIT)
{
	EXPECT_TRUE(options_alike(IPPROTO_IP, ip_options, variant->state));
}

TEST_F_TIMEOUT(options, of_socket, LIMIT)
{
	EXPECT_TRUE(options_alike(SOL_SOCKET, socket_options, variant->state));
}

TEST_F_TIMEOUT(options, of_other_levels, LIMIT)
{
	static const int names[] = { 1, 2, 3, 18, 100 };
	const struct option_name *l;
	char name[128];
	size_t i;

	for (l = other_levels; l->text; l++) {
		for (i = 0; i < ARRAY_SIZE(names); i++) {
			struct option_name option = { names[i], "" };
			struct subject subject = { l->name, &option, variant->state };
			struct sequence sequence = { name, gets_and_sets, &subject };

			snprintf(name, sizeof(name), "%s.%d.%s", l->text, names[i], variant->state);
			EXPECT_TRUE(alike(&sequence));
		}
	}
}
