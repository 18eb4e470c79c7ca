// SPDX-License-Identifier: GPL-2.0

//! Urgent data at a socket: one byte that is read by `MSG_OOB`, or in the stream by `SO_OOBINLINE`,
//! and at which a read stops (sockatmark(3)).

use super::apply::publish_readable;
use super::sock_state::{Conn, Life};
use super::Oxtcp;
use crate::net::{Locked, Msg, MsgFlags};
use crate::tcp::state::State;
use crate::tcp::urgent::{Urgent, UrgentNews};
use kernel::prelude::*;

const MSG_OOB: u32 = 0x1;
const MSG_TRUNC: u32 = 0x20;

/// The peer's urgent byte, and how many bytes are to be read before it. It stays what it is when
/// the connection ends before it is read.
pub(super) fn mark(locked: &mut Locked<'_, Oxtcp>) -> Option<(u32, Urgent)> {
    let readable = locked.recv_buffer().readable();
    match &locked.conn {
        Conn::Tcb(_, tcb) => tcb.peer_urgent(readable),
        _ => None,
    }
}

/// An urgent byte was announced: its owner hears of it. That before is not to be met in the stream
/// by a reader who has come up to it.
pub(super) fn announced(locked: &mut Locked<'_, Oxtcp>, news: UrgentNews) {
    let readable = locked.recv_buffer().readable();
    let at_replaced = match (&locked.conn, news.replaced) {
        (Conn::Tcb(Life::Open, tcb), Some(seq)) => tcb.offset_of(seq, readable) == Some(0),
        _ => false,
    };
    if at_replaced && !locked.urginline() {
        locked.recv_buffer().consume(1);
    }
    publish_readable(locked);
    locked.send_sigurg();
}

/// recvmsg(2) with `MSG_OOB`.
///
/// Errors: `EINVAL` when there is no urgent byte, it was read or lies in the stream; `ENOTCONN`
/// when the connection has ended without the peer's FIN; `EAGAIN` when it was announced and is not
/// here.
pub(super) fn recv(
    locked: &mut Locked<'_, Oxtcp>,
    msg: &mut Msg<'_>,
    len: usize,
    flags: MsgFlags,
) -> Result<usize> {
    if locked.urginline() {
        return Err(EINVAL);
    }
    let closed = locked.state() == State::Closed;
    let offset = match mark(locked) {
        None | Some((_, Urgent::Read)) => return Err(EINVAL),
        Some(_) if closed && !locked.done => return Err(ENOTCONN),
        Some((offset, Urgent::Here)) => offset,
        Some((_, Urgent::Awaited)) => {
            let over = locked.sock().shutdown_state().read || closed;
            return if over { Ok(0) } else { Err(EAGAIN) };
        }
    };
    if !flags.peek() {
        if let Conn::Tcb(_, tcb) = &mut locked.conn {
            tcb.on_read_urgent();
        }
        publish_readable(locked);
    }
    msg.add_flags(MSG_OOB);
    if len == 0 {
        msg.add_flags(MSG_TRUNC);
        return Ok(0);
    }
    if !flags.trunc() {
        locked.recv_buffer().copy_to(msg, offset, 1)?;
    }
    Ok(1)
}

/// Passes the urgent byte, at which the reader is, if it is here; it stays for one who only peeks.
pub(super) fn skip(locked: &mut Locked<'_, Oxtcp>, peek: bool) -> bool {
    if !matches!(mark(locked), Some((0, Urgent::Here | Urgent::Read))) {
        return false;
    }
    if !peek {
        locked.recv_buffer().consume(1);
        passed(locked);
    }
    true
}

/// The stream was read.
pub(super) fn passed(locked: &mut Locked<'_, Oxtcp>) {
    let readable = locked.recv_buffer().readable();
    if let Conn::Tcb(_, tcb) = &mut locked.conn {
        tcb.forget_passed_urgent(readable);
    }
}

/// Bytes that a read may give at once (`FIONREAD`): up to the urgent byte.
pub(super) fn readable(locked: &mut Locked<'_, Oxtcp>) -> u32 {
    let readable = locked.recv_buffer().readable();
    match mark(locked) {
        Some((offset, Urgent::Here | Urgent::Read)) if !locked.urginline() => offset,
        _ => readable,
    }
}
