// SPDX-License-Identifier: GPL-2.0
/*
 * Where the family under test answers otherwise than AF_INET, and is meant to.
 * docs/differences.md says the same in prose.
 */
#include "trial.h"

#define REPAIR "moving a connection to another host is not offered"
#define SIGNED "signed segments are not offered; as in a kernel without the option"
#define FIN_ACK "it turns when the acknowledgment of a FIN has waited its time"
#define PEEKED "a read that maps moves it as any read does; AF_INET leaves it"
#define GROUPS "a stream is in no multicast group, and could not leave one when it is closed"

const struct difference differences[] = {
	{ "SO_DOMAIN.*", "value: *: 19*", "the family is another one" },
	{ "SO_PEERNAME.*", "value: *", "each has its own port" },
	{ "IP_PROTOCOL.*", "value: *", "AF_INET tells its port there, and each has its own" },
	{ "IP_MULTICAST_TTL.accepted", "value: *", "a stream sends to no group" },
	{ "TCP_QUICKACK.peer_closed", "value: *", FIN_ACK },
	{ "TCP_QUICKACK.*_shut", "value: *", FIN_ACK },
	{ "SO_TXREHASH.*", "*", "the socket core tells it of AF_INET's TCP alone" },
	{ "SO_DEVMEM_*", "*", "the socket core has it for AF_INET's TCP alone" },
	{ "TCP_ULP.*", "*", "there is no protocol on top" },
	{ "TCP_MAXSEG.*", "value: *", "a segment may fill the peer's window; AF_INET halves it" },
	{ "TCP_WINDOW_CLAMP.*", "value: *", "the buffers differ" },
	{ "fills.dissolved", "poll: *", "AF_INET takes the leap of a number for text not sent" },
	{ "ioctls.refused", "value 0", "AF_INET counts numbers of the connection that was" },
	{ "ioctls.dissolved", "value 0", "AF_INET counts numbers of the connection that was" },
	{ "urgent.both_shut", "*", "after a reset AF_INET still tells of the urgent byte" },
	{ "TCP_REPAIR*", "*", REPAIR },
	{ "TCP_QUEUE_SEQ.*", "*", REPAIR },
	{ "TCP_TIMESTAMP.*", "*", REPAIR },
	{ "TCP_MD5SIG*", "*", SIGNED },
	{ "TCP_AO_*", "*", SIGNED },
	{ "map.peek_offset", "get_option(fd, SOL_SOCKET, SO_PEEK_OFF) = *", PEEKED },
	{ "IP_*MEMBERSHIP.*", "set *: EPROTO", GROUPS },
	{ "IP_*BLOCK_SOURCE.*", "set *: EPROTO", GROUPS },
	{ "IP_*BLOCK_SOURCE.*", "setsockopt*", GROUPS },
	{ "IP_MSFILTER.*", "set *: EPROTO", GROUPS },
	{ "MCAST_*", "set *: EPROTO", GROUPS },
	{ "IP_IPSEC_POLICY.*", "*", "IPsec knows no policies of the family's sockets" },
	{ "IP_XFRM_POLICY.*", "*", "IPsec knows no policies of the family's sockets" },
	{}
};
