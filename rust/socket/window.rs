// SPDX-License-Identifier: GPL-2.0

//! `TCP_WINDOW_CLAMP`: the largest window that is offered.

use super::sock_state::{Conn, Life, SockState};
use super::Oxtcp;
use crate::net::Locked;
use crate::tcp::state::State;
use kernel::prelude::*;

/// Least clamp but 0, which takes it away; Linux's `SOCK_MIN_RCVBUF / 2`.
const MIN_CLAMP: u32 = crate::net::MIN_RCVBUF / 2;

/// Sets the clamp, bytes. Errors: `EINVAL` for 0 unless the socket is closed.
pub(super) fn set_clamp(locked: &mut Locked<'_, Oxtcp>, value: i32) -> Result {
    if value == 0 && locked.state() != State::Closed {
        return Err(EINVAL);
    }
    let size = locked.rcvbuf();
    let net = locked.net();
    let state: &mut SockState = locked;
    state.config.window_clamp = match value {
        0 => u32::MAX,
        bytes => u32::try_from(bytes).unwrap_or(0).max(MIN_CLAMP),
    };
    match &mut state.conn {
        Conn::Tcb(Life::Open, tcb) => tcb.on_window_clamp(&state.config, size),
        // The scale of those to come was chosen for the clamp before.
        Conn::Listening(_) => state.read_settings(net),
        Conn::Closed | Conn::Tcb(Life::Ended, _) => {}
    }
    Ok(())
}

/// The user has chosen a receive buffer of `size` bytes of memory: the window is to fill it.
pub(super) fn fit(locked: &mut Locked<'_, Oxtcp>, size: u32) {
    let state: &mut SockState = locked;
    if let Conn::Tcb(Life::Open, tcb) = &mut state.conn {
        tcb.on_window_clamp(&state.config, size);
    }
}

/// The clamp, or the largest window that the connection offers by itself.
pub(super) fn clamp(locked: &Locked<'_, Oxtcp>) -> i32 {
    let bytes = match (locked.config.window_clamp, &locked.conn) {
        (u32::MAX, Conn::Tcb(_, tcb)) => tcb.window_clamp(),
        (u32::MAX, _) => 0,
        (clamp, _) => clamp,
    };
    i32::try_from(bytes).unwrap_or(i32::MAX)
}
