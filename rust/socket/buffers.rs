// SPDX-License-Identifier: GPL-2.0

//! Buffers that grow with the path, within `tcp_wmem` and `tcp_rmem`, as long as the user has not
//! set their size.

use super::apply::publish_readable;
use super::sock_state::{Conn, Life, SockState};
use super::Oxtcp;
use crate::net::Locked;
use crate::tcp::buffer_space::{send_buffer, ReceiveSpace};
use crate::tcp::congestion::CongestionControl;

/// A writer waits for room: the send buffer may grow, but not where the window is full of what it
/// holds, or memory is short (`tcp_should_expand_sndbuf`).
pub(super) fn adjust_send(locked: &mut Locked<'_, Oxtcp>) {
    let Conn::Tcb(Life::Open, tcb) = &locked.conn else {
        return;
    };
    if !tcb.fills_window() && locked.has_plenty() {
        expand_send(locked);
    }
}

/// Gives the send buffer room for what the congestion window allows.
pub(super) fn expand_send(locked: &mut Locked<'_, Oxtcp>) {
    let Conn::Tcb(Life::Open, tcb) = &locked.conn else {
        return;
    };
    let wanted = send_buffer(tcb.congestion().window(), tcb.mss().into());
    if wanted <= locked.sndbuf() {
        return;
    }
    let most = locked.net().settings().wmem_max();
    let size = wanted.min(most);
    if size > locked.sndbuf() {
        locked.set_sndbuf(size);
    }
}

/// Begins to offer windows, and to watch how much the user reads.
pub(super) fn start(locked: &mut Locked<'_, Oxtcp>) {
    let size = locked.rcvbuf();
    let state: &mut SockState = locked;
    let Conn::Tcb(Life::Open, tcb) = &mut state.conn else {
        return;
    };
    let first = tcb.begin_receiving(&state.config, size);
    let (heard, _) = tcb.last_times();
    state.receive_space = ReceiveSpace::new(first, heard);
}

/// The user has read `bytes`: the receive buffer may have to grow.
#[inline]
pub(super) fn adjust_receive(locked: &mut Locked<'_, Oxtcp>, bytes: usize) {
    let Conn::Tcb(Life::Open, tcb) = &locked.conn else {
        return;
    };
    let rtt = tcb.reading_round();
    let mss = u32::from(locked.config.mss);
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    // A round trip is counted by the segments that come in it: no need to look at the clock.
    let (heard, _) = tcb.last_times();
    let Some(window) = locked.receive_space.on_read(bytes, mss, rtt, heard) else {
        return;
    };
    grow(locked, window);
}

/// Text came early, up to so many bytes behind what is next: it must not hold back what is before.
pub(super) fn grow_for_early(locked: &mut Locked<'_, Oxtcp>, bytes: u32) {
    if locked.has_file() {
        let window = locked.receive_space.space().saturating_mul(2);
        grow(locked, window.saturating_add(bytes));
    }
}

/// Gives the receive buffer memory for a window of `window` bytes.
fn grow(locked: &mut Locked<'_, Oxtcp>, window: u32) {
    let net = locked.net();
    let settings = net.settings();
    if !settings.moderate_rcvbuf() || locked.is_rcvbuf_chosen() {
        return;
    }
    let old = locked.rcvbuf();
    let Conn::Tcb(Life::Open, tcb) = &locked.conn else {
        return;
    };
    let size = tcb.memory_for(window).min(settings.rmem_max());
    if size > old {
        enlarge(locked, size);
    }
}

/// The receive buffer is to have `size` bytes of memory, more than it has.
fn enlarge(locked: &mut Locked<'_, Oxtcp>, size: u32) {
    locked.set_rcvbuf(size);
    let size = locked.rcvbuf();
    let state: &mut SockState = locked;
    if let Conn::Tcb(Life::Open, tcb) = &mut state.conn {
        tcb.on_buffer_grown(&state.config, size);
    }
}

/// `SO_RCVLOWAT`: no more than the receive buffer may hold, and that may have to grow.
pub(super) fn set_rcvlowat(locked: &mut Locked<'_, Oxtcp>, bytes: u32) {
    let most = if locked.is_rcvbuf_chosen() {
        locked.rcvbuf()
    } else {
        locked.net().settings().rmem_max()
    };
    let bytes = bytes.min(most / 2);
    locked.set_rcvlowat(bytes.max(1));
    publish_readable(locked);
    locked.wake_readable();
    let size = match &locked.conn {
        Conn::Tcb(Life::Open, tcb) => tcb.memory_for(bytes),
        _ => bytes.saturating_mul(2),
    };
    if size > locked.rcvbuf() && !locked.is_rcvbuf_chosen() {
        enlarge(locked, size);
    }
}
