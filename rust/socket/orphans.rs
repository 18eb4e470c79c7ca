// SPDX-License-Identifier: GPL-2.0

//! Connections that go on without a user: they cost memory, and nobody waits for them, so there may
//! be only so many (`max_orphans`).

use super::close::abort;
use super::namespace::{setting, Net, Setting};
use super::sock_state::{Conn, Life};
use super::Oxtcp;
use crate::net::{Counter, Locked};
use kernel::sync::atomic::Relaxed;

fn too_many(net: &Net) -> bool {
    net.orphans.load(Relaxed) > setting(net, Setting::MaxOrphans)
}

/// The user of the connection is gone; one too many is reset at once.
pub(super) fn begin(locked: &mut Locked<'_, Oxtcp>) {
    if !matches!(locked.conn, Conn::Tcb(Life::Open, _)) {
        return;
    }
    let net = locked.net();
    if !core::mem::replace(&mut locked.counted, true) {
        net.orphans.fetch_add(1, Relaxed);
    }
    end_if_too_many(locked);
}

/// The peer does not answer a connection without a user: it goes first when there are too many.
pub(super) fn end_if_too_many(locked: &mut Locked<'_, Oxtcp>) {
    let net = locked.net();
    if locked.counted && too_many(net) {
        net.count(Counter::AbortOnMemory);
        abort(locked);
    }
}

/// The connection has ended.
pub(super) fn end(locked: &mut Locked<'_, Oxtcp>) {
    if core::mem::replace(&mut locked.counted, false) {
        locked.net().orphans.fetch_sub(1, Relaxed);
    }
}
