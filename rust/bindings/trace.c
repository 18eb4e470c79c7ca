// SPDX-License-Identifier: GPL-2.0
/* The tracepoints; sport and saddr are ours. */
#define CREATE_TRACE_POINTS
#include "trace.h"

void ox_trace_set_state(u32 ns, const struct ox_tuple *t, int oldstate,
			int newstate)
{
	trace_oxtcp_set_state(ns, t, oldstate, newstate);
}

void ox_trace_retransmit(u32 ns, const struct ox_tuple *t, int state, u32 seq,
			 u32 len)
{
	trace_oxtcp_retransmit(ns, t, state, seq, len);
}

void ox_trace_drop(u32 ns, const struct ox_tuple *t, const char *reason)
{
	trace_oxtcp_drop(ns, t, reason);
}

bool ox_trace_drop_enabled(void)
{
	return trace_oxtcp_drop_enabled();
}
