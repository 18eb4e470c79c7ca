// SPDX-License-Identifier: GPL-2.0

//! `TCP_WINDOW_CLAMP`: the largest window that is offered.

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
    let clamp = match value {
        0 => 0,
        bytes => u32::try_from(bytes).unwrap_or(0).max(MIN_CLAMP),
    };
    locked.chosen.window_clamp = clamp;
    locked.recv_buffer().set_clamp(clamp);
    Ok(())
}

/// The clamp, or the window that an empty buffer of the connection gives.
pub(super) fn clamp(locked: &mut Locked<'_, Oxtcp>) -> i32 {
    let bytes = match locked.chosen.window_clamp {
        0 if matches!(locked.state(), State::Closed | State::Listen) => 0,
        0 => locked.recv_buffer().capacity(),
        clamp => clamp,
    };
    i32::try_from(bytes).unwrap_or(i32::MAX)
}
