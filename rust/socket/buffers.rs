// SPDX-License-Identifier: GPL-2.0

//! Buffers that grow with the path, within `tcp_wmem` and `tcp_rmem`, as long as the user has not
//! set their size.

use super::sock_state::Conn;
use super::{now, Oxtcp};
use crate::net::Locked;
use crate::tcp::buffer_space::{send_buffer, ReceiveSpace};
use crate::tcp::congestion::CongestionControl;
use crate::tcp::rtt::INITIAL_RTO;

/// Gives the send buffer room for what the congestion window allows.
pub(super) fn expand_send(locked: &mut Locked<'_, Oxtcp>) {
    let Conn::Open(tcb) = &locked.conn else {
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

/// Begins to watch how much the user reads.
pub(super) fn start(locked: &mut Locked<'_, Oxtcp>) {
    let window = locked.config.initial_window;
    locked.receive_space = ReceiveSpace::new(window, now());
}

/// The user has read `bytes`: the receive buffer may have to grow.
pub(super) fn adjust_receive(locked: &mut Locked<'_, Oxtcp>, bytes: usize) {
    let Conn::Open(tcb) = &locked.conn else {
        return;
    };
    let rtt = tcb.rtt().srtt().unwrap_or(INITIAL_RTO);
    let mss = u32::from(locked.config.mss);
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    // A round trip is counted by the segments that come in it: no need to look at the clock.
    let (heard, _) = tcb.last_times();
    let Some(window) = locked.receive_space.on_read(bytes, mss, rtt, heard) else {
        return;
    };
    let net = locked.net();
    let settings = net.settings();
    // The buffer's memory is twice the text that it is meant to hold.
    let size = window.saturating_mul(2).min(settings.rmem_max());
    if settings.moderate_rcvbuf() && size > locked.rcvbuf() {
        locked.set_rcvbuf(size);
    }
}

/// `SO_RCVLOWAT`: no more than the receive buffer may hold, and that may have to grow.
pub(super) fn set_rcvlowat(locked: &mut Locked<'_, Oxtcp>, bytes: u32) {
    let most = if locked.is_rcvbuf_locked() {
        locked.rcvbuf()
    } else {
        locked.net().ipv4().rmem[2]
    };
    let bytes = bytes.min(most / 2);
    locked.set_rcvlowat(bytes.max(1));
    if locked.recv_buffer().readable() >= bytes {
        locked.wake_readable();
    }
    let size = bytes.saturating_mul(2);
    if size > locked.rcvbuf() {
        locked.set_rcvbuf(size);
    }
}
