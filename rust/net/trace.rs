// SPDX-License-Identifier: GPL-2.0

//! Tracepoints of the group `oxtcp`. Each costs a call and a branch when nobody listens.

use super::bindings as b;
use super::*;

/// `oxtcp:oxtcp_set_state`: a connection without a socket (SYN queue, TIME-WAIT) changed its state;
/// numbers are Linux's `TCP_*`. Sockets have `sock:inet_sock_set_state`, by [`Locked::set_state`].
pub fn set_state<F: Family>(net: &NetNs<F>, tuple: &FourTuple, old: u8, new: u8) {
    // SAFETY: The tuple is valid.
    unsafe { b::ox_trace_set_state(net.inode(), &tuple.wire(), old.into(), new.into()) }
}

/// `oxtcp:oxtcp_retransmit`: bytes `[seq, seq + len)` are sent again, in `state`.
pub fn retransmit<F: Family>(net: &NetNs<F>, tuple: &FourTuple, state: u8, seq: u32, len: u32) {
    // SAFETY: The tuple is valid.
    unsafe { b::ox_trace_retransmit(net.inode(), &tuple.wire(), state.into(), seq, len) }
}

/// `oxtcp:oxtcp_drop`, for what is no received segment (those have [`RxSkb::discard`]): counted too.
pub fn drop<F: Family>(net: &NetNs<F>, tuple: &FourTuple, reason: DropReason) {
    net.count_drop(reason);
    drop_wire(net, &tuple.wire(), reason);
}

pub(super) fn drop_wire<F: Family>(net: &NetNs<F>, tuple: &b::ox_tuple, reason: DropReason) {
    // SAFETY: The tuple is valid, the name ends with a NUL.
    unsafe { b::ox_trace_drop(net.inode(), tuple, reason.c_name()) }
}
