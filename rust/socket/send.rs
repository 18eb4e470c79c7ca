// SPDX-License-Identifier: GPL-2.0

//! sendmsg(2) and the other writes.

use super::flush::{flush, flush_run, flush_within, limits_within, path_mss, tx_limits};
use super::sock_state::{Conn, Life, SockState};
use super::{fast_connect, now, small_send, Oxtcp};
use crate::net::{Counter, Locked, Msg, Sock, Timeout};
use crate::tcp::state::State;
use kernel::prelude::*;

/// Takes the bytes of `msg` into the send buffer, blocking as the flags and `SO_SNDTIMEO` say, and
/// sends what may be sent.
///
/// Errors as send(2) and tcp(7): `EAGAIN`, `EFAULT`, `EINTR`, `EINVAL` for a control message,
/// `EPIPE` with `SIGPIPE` when it was shut down, never connected or dissolved by another thread, the
/// pending error of the connection once. When some bytes were taken, their number is the answer and
/// the error waits.
pub fn sendmsg(sock: &Sock<Oxtcp>, msg: &mut Msg<'_>) -> Result<usize> {
    let mut locked = sock.lock();
    let done = small_send::sendmsg(&mut locked, msg);
    if done > 0 && msg.remaining() == 0 {
        return Ok(done);
    }
    send_rest(&mut locked, msg, done)
}

/// As [`sendmsg`], when `done` bytes were taken.
fn send_rest(locked: &mut Locked<'_, Oxtcp>, msg: &mut Msg<'_>, mut done: usize) -> Result<usize> {
    let flags = msg.flags();
    let mut timeout = locked.snd_timeout(flags.dontwait());
    let opened = if flags.fast_open() || fast_connect::is_deferred(locked) {
        fast_connect::sendmsg(locked, msg, &mut timeout, &mut done)
    } else {
        wait_connected(locked, &mut timeout)
    };
    let result = match opened {
        Ok(()) => take(locked, msg, &mut timeout, &mut done),
        Err(e) => Err(e),
    };
    if result.is_err() {
        if let Conn::Tcb(Life::Open, tcb) = &mut locked.conn {
            if !msg.flags().more() {
                // What was to follow does not.
                tcb.on_send(0, false);
            }
            flush(locked);
        }
    }
    if result.is_err() && done > 0 {
        locked.send_buffer().stamp(msg);
    }
    msg.end();
    match result {
        Err(e) if done == 0 => Err(failed(locked, msg, e)),
        _ => Ok(done),
    }
}

/// sendfile(2) has said that more follows, and came to the end of its file: what waits goes
/// (`tcp_splice_eof`).
pub fn splice_eof(sock: &Sock<Oxtcp>) {
    let mut locked = sock.lock();
    if let Conn::Tcb(Life::Open, tcb) = &mut locked.conn {
        tcb.on_send(0, false);
        flush(&mut locked);
    }
}

/// The error to give: a pending one goes before `EPIPE`, and only `EPIPE` raises `SIGPIPE`
/// (`sk_stream_error`).
fn failed(locked: &mut Locked<'_, Oxtcp>, msg: &Msg<'_>, error: Error) -> Error {
    if error != EPIPE {
        return error;
    }
    match locked.take_error() {
        Err(pending) if pending != EPIPE => pending,
        _ => msg.broken_pipe(),
    }
}

/// Waits until a connection that is being opened is open. Errors: `EPIPE` when none is being
/// opened, and why the opening failed.
fn wait_connected(locked: &mut Locked<'_, Oxtcp>, timeout: &mut Timeout) -> Result {
    loop {
        match locked.state() {
            State::Established | State::CloseWait => return Ok(()),
            State::SynReceived if locked.sock().shared().is_early() => return Ok(()),
            State::SynSent | State::SynReceived => {}
            _ => return Err(EPIPE),
        }
        if locked.sock().pending_error() != 0 {
            return Err(EPIPE);
        }
        locked.wait(timeout)?;
    }
}

/// Takes as much as completes the run of segments at the end of the queue, whether there is room for
/// it or not, as Linux does; or as much as a run holds, if there is any room and `TCP_NOTSENT_LOWAT`
/// permits.
fn append(locked: &mut Locked<'_, Oxtcp>, path_mss: u16, msg: &mut Msg<'_>) -> Result<usize> {
    let lowat = locked.sock().shared().notsent_lowat();
    if lowat != u32::MAX && unsent(locked) >= lowat {
        return Err(EAGAIN);
    }
    let (goal, begun) = match &locked.conn {
        Conn::Tcb(Life::Open, tcb) => {
            let most = limits_within(locked, path_mss).max_run;
            let goal = tcb.size_goal(most).max(1);
            (goal, tcb.unsent() % goal)
        }
        // Nobody would send it, but the next connection.
        _ => return Err(EPIPE),
    };
    let max = goal.saturating_sub(begun) as usize;
    if begun > 0 {
        locked.send_buffer().append_beyond(msg, max)
    } else {
        locked.send_buffer().append(msg, max)
    }
}

/// The user waits for room in the send buffer.
fn note_full(locked: &mut Locked<'_, Oxtcp>) {
    if let Conn::Tcb(Life::Open, tcb) = &mut locked.conn {
        // What is there is to go, full segment or not: there may be none for long.
        tcb.on_send(0, false);
        flush(locked);
    }
    if let Conn::Tcb(Life::Open, tcb) = &mut locked.conn {
        tcb.on_buffer_full(now());
    }
}

/// There may be room in the send buffer: if there is, a writer who waits for it is told, and the
/// connection that the buffer holds it back no more.
#[inline(never)]
pub(super) fn wake_writer(locked: &mut Locked<'_, Oxtcp>) {
    locked.wake_writable();
    if !locked.is_room_wanted() {
        note_room(locked);
    }
}

#[inline(never)]
fn note_room(locked: &mut Locked<'_, Oxtcp>) {
    if let Conn::Tcb(Life::Open, tcb) = &mut locked.conn {
        tcb.on_buffer_room(now());
    }
}

/// Whether what was written waits for more as the device is busy: it is sent, with what was written
/// meanwhile, when the device has sent some of what it has.
#[inline]
pub(super) fn autocork(locked: &mut Locked<'_, Oxtcp>) -> bool {
    locked.send_buffer().queued() > 0 && autocork_behind(locked)
}

#[inline(never)]
fn autocork_behind(locked: &mut Locked<'_, Oxtcp>) -> bool {
    if !locked.send_buffer().autocorks() || !gathers(locked) {
        return false;
    }
    if locked.send_buffer().throttle() {
        locked.net().count(Counter::AutoCorking);
    }
    // It may have been sent before we said that we wait for that.
    gathers(locked)
}

fn gathers(locked: &mut Locked<'_, Oxtcp>) -> bool {
    let mut limits = tx_limits(locked);
    limits.queue.held = locked.send_buffer().queued();
    matches!(&locked.conn, Conn::Tcb(Life::Open, tcb) if tcb.gathers(&limits))
}

fn take(
    locked: &mut Locked<'_, Oxtcp>,
    msg: &mut Msg<'_>,
    timeout: &mut Timeout,
    done: &mut usize,
) -> Result {
    msg.read_control(locked)?;
    let mut mss = path_mss(locked);
    while msg.remaining() > 0 {
        if locked.sock().pending_error() != 0 || locked.sock().shutdown_state().write {
            return Err(EPIPE);
        }
        match append(locked, mss, msg) {
            Ok(bytes) => {
                *done = done.saturating_add(bytes);
                if msg.remaining() == 0 {
                    locked.send_buffer().stamp(msg);
                }
                let ended = msg.flags().eor() && msg.remaining() == 0;
                let state: &mut SockState = locked;
                if let Conn::Tcb(Life::Open, tcb) = &mut state.conn {
                    let more = msg.remaining() > 0 || msg.flags().more();
                    tcb.on_send(u32::try_from(bytes).unwrap_or(u32::MAX), more);
                    if msg.flags().oob() && msg.remaining() == 0 {
                        tcb.on_send_urgent();
                    }
                    if ended {
                        let una = tcb.snd_una();
                        state.records.end_message(tcb.on_message_end(), una);
                    }
                }
                if !autocork(locked) {
                    match msg.remaining() {
                        0 => flush_within(locked, mss),
                        _ => flush_run(locked, mss),
                    }
                }
            }
            Err(e) if e == EAGAIN => {
                note_full(locked);
                locked.wait_writable(timeout)?;
                mss = path_mss(locked);
                note_room(locked);
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

fn unsent(locked: &Locked<'_, Oxtcp>) -> u32 {
    match &locked.conn {
        Conn::Tcb(Life::Open, tcb) => tcb.unsent(),
        _ => 0,
    }
}

/// `TCP_NOTSENT_LOWAT` is set, bytes; 0 for what `tcp_notsent_lowat` says.
pub(super) fn set_notsent_lowat(locked: &mut Locked<'_, Oxtcp>, bytes: u32) {
    locked.chosen.notsent_lowat = bytes;
    let lowat = match bytes {
        0 => locked.net().notsent_lowat(),
        bytes => bytes,
    };
    locked.sock().shared().set_notsent_lowat(lowat);
    publish_unsent(locked);
    wake_writer(locked);
}

/// Text was sent: tells a writer who waits for that.
pub(super) fn publish_unsent(locked: &mut Locked<'_, Oxtcp>) {
    let lowat = locked.sock().shared().notsent_lowat();
    if lowat == u32::MAX {
        return;
    }
    let unsent = unsent(locked);
    locked.sock().shared().set_unsent(unsent);
    if unsent < lowat && locked.is_room_wanted() {
        wake_writer(locked);
    }
}
