// SPDX-License-Identifier: GPL-2.0

//! What oxtcp keeps for a network namespace, and the integers of `net.oxtcp.*`.

use super::fast_connect::Cookies;
use super::ports::PortTable;
use super::time_wait_table::TimeWaitTable;
use super::Oxtcp;
use crate::net::{BhSpinLock, NetNs, Reservation, Sock, Tunable};
use crate::new_bh_spinlock;
use crate::tcp::user_timeout::MOST_SECONDS;
use kernel::prelude::*;
use kernel::sync::aref::ARef;
use kernel::sync::atomic::Atomic;
use kernel::sync::{new_mutex, Mutex};

/// A namespace of oxtcp.
pub type Net = NetNs<Oxtcp>;

/// Indices of [`TUNABLES`].
#[derive(Clone, Copy)]
pub enum Setting {
    /// `time_wait_ms`: how long TIME-WAIT lasts, ms.
    TimeWaitMs,
    /// `local_port_min`: first port that is chosen where the program names none.
    LocalPortMin,
    /// `local_port_max`: last such port.
    LocalPortMax,
    /// `max_orphans`: most connections without a user. Linux's `tcp_max_orphans` is not for modules.
    MaxOrphans,
    /// `idle_pack_ms`: how long nothing has to happen to a connection for its state to be packed, ms;
    /// 0 for never.
    IdlePackMs,
    /// `tcp_user_timeout_option`: what a peer is told of how long text is kept, s (RFC 5482); 0 for
    /// nothing, and not to hear it either.
    UserTimeoutOption,
}

/// `net.oxtcp.*`: what Linux has no setting for. The ports lie beyond `ip_local_port_range`'s
/// default, so that `AF_INET` does not choose them.
pub const TUNABLES: &[Tunable] = &[
    Tunable {
        name: c"time_wait_ms",
        default: 60_000,
        min: 0,
        max: 600_000,
    },
    Tunable {
        name: c"local_port_min",
        default: 61_000,
        min: 1,
        max: 65_535,
    },
    Tunable {
        name: c"local_port_max",
        default: 65_535,
        min: 1,
        max: 65_535,
    },
    Tunable {
        name: c"max_orphans",
        default: 32_768,
        min: 0,
        max: i32::MAX.unsigned_abs(),
    },
    Tunable {
        name: c"idle_pack_ms",
        default: 10_000,
        min: 0,
        max: 86_400_000,
    },
    Tunable {
        name: c"tcp_user_timeout_option",
        default: 0,
        min: 0,
        max: MOST_SECONDS,
    },
];

/// The state of a namespace.
#[pin_data]
pub struct Namespace {
    /// Who holds which port.
    #[pin]
    pub(super) bind_table: BhSpinLock<PortTable<ARef<Sock<Oxtcp>>, Reservation>>,
    /// Connections in TIME-WAIT.
    pub(super) time_wait: TimeWaitTable,
    /// One bind at a time, since a reservation in `AF_INET`'s tables sleeps.
    #[pin]
    pub(super) binding: Mutex<()>,
    /// Moves the choice of ephemeral ports on (RFC 6056 3.3.3).
    pub(super) next_port: Atomic<u32>,
    /// Connections without a user.
    pub(super) orphans: Atomic<u32>,
    /// Fast Open cookies of servers.
    #[pin]
    pub(super) cookies: BhSpinLock<Cookies>,
    /// How often Fast Open was given up for a while, and when it last was, µs.
    pub(super) blackholes: Atomic<u32>,
    pub(super) blackhole_at: Atomic<u64>,
}

impl Namespace {
    /// The state of a new namespace.
    pub fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            bind_table <- new_bh_spinlock!(PortTable::new()?, c"oxtcp_bind_table"),
            time_wait: TimeWaitTable::new()?,
            binding <- new_mutex!((), "oxtcp_binding"),
            next_port: Atomic::new(0),
            orphans: Atomic::new(0),
            cookies <- new_bh_spinlock!(Cookies::new(), c"oxtcp_cookies"),
            blackholes: Atomic::new(0),
            blackhole_at: Atomic::new(0),
        })
    }
}

/// The value of a setting in `net`.
pub fn setting(net: &Net, which: Setting) -> u32 {
    net.tunable(which as usize)
}

/// The ports that are chosen where the program names none: first and last.
pub fn local_ports(net: &Net) -> (u16, u16) {
    let bound = |s| u16::try_from(setting(net, s)).unwrap_or(u16::MAX).max(1);
    let (min, max) = (bound(Setting::LocalPortMin), bound(Setting::LocalPortMax));
    (min, max.max(min))
}
