/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM oxtcp

#if !defined(OXTCP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define OXTCP_TRACE_H

#include <linux/tracepoint.h>

#include "helpers.h"

TRACE_EVENT(oxtcp_set_state,
	TP_PROTO(u32 ns, const struct ox_tuple *t, int oldstate, int newstate),
	TP_ARGS(ns, t, oldstate, newstate),
	TP_STRUCT__entry(
		__field(u32, ns)
		__field(int, oldstate)
		__field(int, newstate)
		__field(u16, sport)
		__field(u16, dport)
		__field(__be32, saddr)
		__field(__be32, daddr)
	),
	TP_fast_assign(
		__entry->ns = ns;
		__entry->oldstate = oldstate;
		__entry->newstate = newstate;
		__entry->sport = ntohs(t->sport);
		__entry->dport = ntohs(t->dport);
		__entry->saddr = t->saddr;
		__entry->daddr = t->daddr;
	),
	TP_printk("netns=%u sport=%hu dport=%hu saddr=%pI4 daddr=%pI4 oldstate=%d newstate=%d",
		  __entry->ns, __entry->sport, __entry->dport,
		  &__entry->saddr, &__entry->daddr,
		  __entry->oldstate, __entry->newstate)
);

TRACE_EVENT(oxtcp_retransmit,
	TP_PROTO(u32 ns, const struct ox_tuple *t, int state, u32 seq, u32 len),
	TP_ARGS(ns, t, state, seq, len),
	TP_STRUCT__entry(
		__field(u32, ns)
		__field(int, state)
		__field(u32, seq)
		__field(u32, len)
		__field(u16, sport)
		__field(u16, dport)
		__field(__be32, saddr)
		__field(__be32, daddr)
	),
	TP_fast_assign(
		__entry->ns = ns;
		__entry->state = state;
		__entry->seq = seq;
		__entry->len = len;
		__entry->sport = ntohs(t->sport);
		__entry->dport = ntohs(t->dport);
		__entry->saddr = t->saddr;
		__entry->daddr = t->daddr;
	),
	TP_printk("netns=%u sport=%hu dport=%hu saddr=%pI4 daddr=%pI4 state=%d seq=%u len=%u",
		  __entry->ns, __entry->sport, __entry->dport,
		  &__entry->saddr, &__entry->daddr, __entry->state,
		  __entry->seq, __entry->len)
);

TRACE_EVENT(oxtcp_drop,
	TP_PROTO(u32 ns, const struct ox_tuple *t, const char *reason),
	TP_ARGS(ns, t, reason),
	TP_STRUCT__entry(
		__field(u32, ns)
		__field(u16, sport)
		__field(u16, dport)
		__field(__be32, saddr)
		__field(__be32, daddr)
		__string(reason, reason)
	),
	TP_fast_assign(
		__entry->ns = ns;
		__entry->sport = ntohs(t->sport);
		__entry->dport = ntohs(t->dport);
		__entry->saddr = t->saddr;
		__entry->daddr = t->daddr;
		__assign_str(reason);
	),
	TP_printk("netns=%u sport=%hu dport=%hu saddr=%pI4 daddr=%pI4 reason=%s",
		  __entry->ns, __entry->sport, __entry->dport,
		  &__entry->saddr, &__entry->daddr, __get_str(reason))
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
