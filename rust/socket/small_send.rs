// SPDX-License-Identifier: GPL-2.0

//! Small writes, of which there are most: no more than a segment, with nothing said about it, on an
//! open connection that has sent all there was. Of what [`send`](super::send) asks for each write
//! little matters then.

use super::flush::{flush_text, path_mss};
use super::send::autocork;
use super::sock_state::{Conn, Life};
use super::Oxtcp;
use crate::net::{Locked, Msg};
use crate::tcp::state::State;

/// Takes the bytes of `msg`, and sends what may be sent, if it is such a write. Returns how many
/// bytes it took; what is left is to go the long way.
#[inline]
pub(super) fn sendmsg(locked: &mut Locked<'_, Oxtcp>, msg: &mut Msg<'_>) -> usize {
    let Some(wanted) = small(locked, msg) else {
        return 0;
    };
    let mss = path_mss(locked);
    let bytes = locked.send_buffer().append_plain(msg, wanted);
    if bytes == 0 {
        // The long way meets what kept us, and knows what to do about it.
        return 0;
    }
    if let Conn::Tcb(Life::Open, tcb) = &mut locked.conn {
        tcb.on_send(bytes, bytes < wanted.into());
    }
    if !autocork(locked) {
        flush_text(locked, mss);
    }
    bytes as usize
}

/// The bytes of `msg`, if it is a small write.
fn small(locked: &Locked<'_, Oxtcp>, msg: &Msg<'_>) -> Option<u16> {
    let Conn::Tcb(Life::Open, tcb) = &locked.conn else {
        return None;
    };
    let bytes = u16::try_from(msg.remaining()).ok()?;
    let open = tcb.state() == State::Established && tcb.unsent() == 0;
    let small = bytes > 0 && bytes <= tcb.mss() && msg.is_plain();
    let free = locked.fast_open.is_none()
        && locked.sock().shared().notsent_lowat() > 0
        && locked.may_write_plainly();
    (open && small && free).then_some(bytes)
}
