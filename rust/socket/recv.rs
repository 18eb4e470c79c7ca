// SPDX-License-Identifier: GPL-2.0

//! recvmsg(2) and the other reads.

use super::apply::{publish_readable, show_readable};
use super::flush::{flush, flush_ack};
use super::receive_queue::Queues;
use super::sock_state::{Conn, Life};
use super::{urgent, Oxtcp};
use crate::net::{Locked, Msg, MsgFlags, Pipe, RecvBuffer, Sock, Timeout};
use crate::tcp::state::State;
use kernel::prelude::*;

/// Reads up to `len` bytes of text, blocking as the flags and `SO_RCVTIMEO` say until `SO_RCVLOWAT`
/// bytes, or all with `MSG_WAITALL`, are there.
///
/// Errors as recv(2) and tcp(7): `EAGAIN`, `EFAULT`, `EINTR`, `ENOTCONN` when it listens or was
/// never connected, `EPIPE` when another thread has dissolved the connection, the pending error of it
/// once; 0 is the end of the stream.
pub fn recvmsg(
    sock: &Sock<Oxtcp>,
    msg: &mut Msg<'_>,
    len: usize,
    flags: MsgFlags,
) -> Result<usize> {
    if sock.wants_stamps() {
        return receive_with_stamp(sock, msg, len, flags);
    }
    let mut locked = sock.lock();
    let done = match receive_at_once(&mut locked, msg, len, flags)? {
        Some(done) => done,
        None => receive(&mut locked, msg, len, flags)?,
    };
    let wanted = locked.chosen.inq;
    if !wanted && !msg.wants_unread() {
        return Ok(done);
    }
    let unread = unread(&mut locked);
    drop(locked);
    msg.tell_unread(unread, wanted);
    Ok(done)
}

/// The same where it is to be told when the text came.
#[inline(never)]
fn receive_with_stamp(
    sock: &Sock<Oxtcp>,
    msg: &mut Msg<'_>,
    len: usize,
    flags: MsgFlags,
) -> Result<usize> {
    msg.ask_stamp();
    let mut locked = sock.lock();
    let done = receive(&mut locked, msg, len, flags)?;
    let (unread, wanted) = (unread(&mut locked), locked.chosen.inq);
    drop(locked);
    msg.tell_stamp(sock);
    if wanted || msg.wants_unread() {
        msg.tell_unread(unread, wanted);
    }
    Ok(done)
}

/// What most reads are: there is as much as is asked for, or as is waited for, in the first skb, and
/// nothing urgent. `None`, and nothing done, for others.
#[inline]
fn receive_at_once(
    locked: &mut Locked<'_, Oxtcp>,
    msg: &mut Msg<'_>,
    len: usize,
    flags: MsgFlags,
) -> Result<Option<usize>> {
    let target = locked.rcv_target(false, len);
    let (state, _send, mut recv) = locked.parts();
    let Conn::Tcb(Life::Open, tcb) = &mut state.conn else {
        return Ok(None);
    };
    let first = recv.first_len() as usize;
    let whole = first >= len || (first >= target && first == recv.readable() as usize);
    if first == 0 || !whole || !flags.only_how_to_wait() || tcb.has_mark() {
        return Ok(None);
    }
    let max = u32::try_from(len).unwrap_or(u32::MAX);
    let taken = recv.take_first(msg, max)?;
    if taken == 0 {
        return Ok(None);
    }
    let readable = recv.readable();
    let records = &mut state.records;
    let due = tcb.on_receive(&state.config, &Queues { recv, records });
    let done = taken as usize;
    show_readable(locked, readable);
    locked.move_peek_offset(taken, false);
    if due {
        flush_ack(locked);
    }
    super::buffers::adjust_receive(locked, done);
    Ok(Some(done))
}

/// Bytes that another read would find. The peer's FIN counts as one, so that whoever reads until
/// there is nothing more reads the end of the stream too (`tcp_inq_hint`).
pub(super) fn unread(locked: &mut Locked<'_, Oxtcp>) -> u32 {
    let readable = locked.recv_buffer().readable();
    if locked.done {
        readable.saturating_add(1)
    } else {
        readable
    }
}

/// Where the text of a read goes.
trait Sink {
    /// Whether a read that begins at an urgent byte goes on behind it, as recv(2) does.
    const PASSES_URGENT: bool;

    /// Takes up to `max` readable bytes, from `offset` behind the first unread one on, and says how
    /// many.
    fn take(&mut self, text: &mut RecvBuffer<'_, Oxtcp>, offset: u32, max: usize) -> Result<usize>;

    /// The same for text that the reader does not want to see (`MSG_TRUNC`).
    fn pass(&mut self, text: &mut RecvBuffer<'_, Oxtcp>, offset: u32, max: usize) -> Result<usize>;
}

impl Sink for Msg<'_> {
    const PASSES_URGENT: bool = true;

    fn take(&mut self, text: &mut RecvBuffer<'_, Oxtcp>, offset: u32, max: usize) -> Result<usize> {
        text.copy_to(self, offset, max)
    }

    fn pass(&mut self, text: &mut RecvBuffer<'_, Oxtcp>, offset: u32, max: usize) -> Result<usize> {
        text.pass_by(self, offset, max)
    }
}

impl Sink for Pipe<'_> {
    const PASSES_URGENT: bool = false;

    fn take(&mut self, text: &mut RecvBuffer<'_, Oxtcp>, offset: u32, max: usize) -> Result<usize> {
        text.splice_to(self, offset, max)
    }

    fn pass(&mut self, _: &mut RecvBuffer<'_, Oxtcp>, _: u32, max: usize) -> Result<usize> {
        Ok(max)
    }
}

/// splice(2) from the socket: moves what is there, up to `len` bytes, waiting only for the first.
///
/// Errors as [`recvmsg`], and `EAGAIN` when the pipe is full.
pub fn splice_read(
    sock: &Sock<Oxtcp>,
    pipe: &mut Pipe<'_>,
    len: usize,
    nonblock: bool,
) -> Result<usize> {
    let mut locked = sock.lock();
    let timeout = locked.rcv_timeout(nonblock);
    read(&mut locked, pipe, len, len.min(1), timeout, MsgFlags::NONE)
}

/// As [`recvmsg`], of a locked socket, without what is told besides.
pub(super) fn receive(
    locked: &mut Locked<'_, Oxtcp>,
    msg: &mut Msg<'_>,
    len: usize,
    flags: MsgFlags,
) -> Result<usize> {
    if flags.oob() && locked.state() != State::Listen {
        return urgent::recv(locked, msg, len, flags);
    }
    let target = locked.rcv_target(flags.waitall(), len);
    let timeout = locked.rcv_timeout(flags.dontwait());
    read(locked, msg, len, target, timeout, flags)
}

/// Reads up to `len` bytes, and waits until `target` are there.
fn read<S: Sink>(
    locked: &mut Locked<'_, Oxtcp>,
    sink: &mut S,
    len: usize,
    target: usize,
    mut timeout: Timeout,
    flags: MsgFlags,
) -> Result<usize> {
    if locked.state() == State::Listen {
        return Err(ENOTCONN);
    }
    let mut done = 0usize;
    let start = if flags.peek() {
        locked.peek_offset() as usize
    } else {
        0
    };
    // An urgent byte that was passed over, when the reader only peeks.
    let mut hole = 0;
    let result = loop {
        let seen = if flags.peek() {
            start.saturating_add(done).saturating_add(hole)
        } else {
            0
        };
        let mut max = len.saturating_sub(done);
        match urgent_ahead(locked, seen) {
            Some(0) if done > 0 => break Ok(()),
            Some(0) if !S::PASSES_URGENT => {
                if locked.recv_buffer().readable() > 0 {
                    break Ok(());
                }
            }
            Some(0) if !locked.urginline() && urgent::skip(locked, flags.peek()) => {
                hole = 1;
                continue;
            }
            Some(bytes) if bytes > 0 => max = max.min(bytes),
            _ => {}
        }
        match take(locked, sink, max, seen, flags) {
            Ok(n) => done = done.saturating_add(n),
            Err(e) => break Err(e),
        }
        if done >= target {
            break Ok(());
        }
        // There is more, but the user's memory did not take it; the next look says why.
        let seen = if flags.peek() { start + done + hole } else { 0 };
        if locked.recv_buffer().readable() as usize > seen {
            if done == len {
                break Ok(());
            }
            continue;
        }
        match wait(locked, done, &mut timeout) {
            Ok(true) => {}
            Ok(false) => break Ok(()),
            // What was read was another connection's: this one has nothing to do for it.
            Err(e) if e == EPIPE && done > 0 => return Ok(done),
            Err(e) => break Err(e),
        }
    };
    if done > 0 {
        let bytes = u32::try_from(done).unwrap_or(u32::MAX);
        locked.move_peek_offset(bytes, flags.peek());
    }
    if done > 0 && !flags.peek() {
        was_read(locked, done);
    }
    match result {
        Err(e) if done == 0 => Err(e),
        _ => Ok(done),
    }
}

/// Bytes before the peer's urgent byte, at which a read stops; `seen` were peeked at before.
fn urgent_ahead(locked: &mut Locked<'_, Oxtcp>, seen: usize) -> Option<usize> {
    let (offset, _) = urgent::mark(locked)?;
    (offset as usize).checked_sub(seen)
}

/// Moves what is there, up to `max` bytes, to the user; `seen` bytes were peeked at before.
fn take(
    locked: &mut Locked<'_, Oxtcp>,
    sink: &mut impl Sink,
    max: usize,
    seen: usize,
    flags: MsgFlags,
) -> Result<usize> {
    let mut buffer = locked.recv_buffer();
    let offset = if flags.peek() {
        u32::try_from(seen).unwrap_or(u32::MAX)
    } else {
        0
    };
    let there = buffer.readable().saturating_sub(offset);
    let max = max.min(there as usize);
    if max == 0 {
        return Ok(0);
    }
    let taken = if flags.trunc() {
        sink.pass(&mut buffer, offset, max)?
    } else {
        sink.take(&mut buffer, offset, max)?
    };
    if !flags.peek() {
        buffer.consume(taken as u32);
    }
    Ok(taken)
}

/// Waits for more text. `Ok(false)`: no more is to be waited for, what was read is the answer.
fn wait(locked: &mut Locked<'_, Oxtcp>, done: usize, timeout: &mut Timeout) -> Result<bool> {
    let over = locked.sock().shutdown_state().read;
    if done > 0 {
        let error = locked.sock().pending_error() != 0;
        if error || over || locked.state() == State::Closed || timeout.is_over() {
            return Ok(false);
        }
    } else {
        if locked.done {
            return Ok(false);
        }
        locked.take_error()?;
        if over {
            return Ok(false);
        }
        if locked.state() == State::Closed {
            return Err(ENOTCONN);
        }
        if timeout.is_over() {
            return Err(EAGAIN);
        }
    }
    if done > 0 {
        // The reader makes room while it waits: the peer has to hear of it.
        consumed(locked);
    }
    locked.wait(timeout)?;
    Ok(true)
}

/// `bytes` were read, and are no more in the receive buffer.
pub(super) fn was_read(locked: &mut Locked<'_, Oxtcp>, bytes: usize) {
    consumed(locked);
    super::buffers::adjust_receive(locked, bytes);
}

/// Text was read: there may be a window to announce.
fn consumed(locked: &mut Locked<'_, Oxtcp>) {
    urgent::passed(locked);
    publish_readable(locked);
    let (state, _send, recv) = locked.parts();
    if let Conn::Tcb(Life::Open, tcb) = &mut state.conn {
        let records = &mut state.records;
        let queues = Queues { recv, records };
        if tcb.on_receive(&state.config, &queues) {
            flush(locked);
        }
    }
}
