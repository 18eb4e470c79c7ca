// SPDX-License-Identifier: GPL-2.0

//! poll(2), select(2), epoll(7): what a socket is ready for, as `tcp_poll` says it.
//!
//! It takes no lock: what it looks at is either published by the socket core or kept in
//! [`Shared`] by those who hold the lock.

use super::Oxtcp;
use crate::net::{poll, Shown, Sock};
use crate::tcp::state::State;

/// What of a socket can be seen without its lock.
pub struct Shared {
    /// Bytes to read; for a listener connections to accept.
    readable: Shown<u32>,
    /// The peer may send hardly more before some of it is read.
    spent: Shown<bool>,
    /// Text may go although the handshake is not complete (Fast Open).
    early: Shown<bool>,
    /// Whether there is an urgent byte to read.
    urgent: Shown<bool>,
    /// Bytes not sent with which a writer waits; `u32::MAX` for no limit.
    notsent_lowat: Shown<u32>,
    /// Bytes not sent, kept as long as there is a limit to them.
    unsent: Shown<u32>,
}

impl Shared {
    /// Nothing to read; a writer waits with `notsent_lowat` bytes not sent.
    pub(super) fn new(notsent_lowat: u32) -> Self {
        Self {
            readable: Shown::new(0),
            spent: Shown::new(false),
            early: Shown::new(false),
            urgent: Shown::new(false),
            notsent_lowat: Shown::new(notsent_lowat),
            unsent: Shown::new(0),
        }
    }

    /// Publishes how much there is to read; `spent`: what `SO_RCVLOWAT` waits for has no room to come.
    pub(super) fn set_readable(&self, count: u32, spent: bool) {
        self.spent.set(spent);
        self.readable.set(count);
    }

    /// Publishes whether text may go before the handshake is complete.
    pub(super) fn set_early(&self, early: bool) {
        self.early.set(early);
    }

    /// Whether text may go before the handshake is complete.
    pub(super) fn is_early(&self) -> bool {
        self.early.get()
    }

    /// Publishes whether there is an urgent byte.
    pub(super) fn set_urgent(&self, urgent: bool) {
        self.urgent.set(urgent);
    }

    /// Sets with how many bytes not sent a writer waits; `u32::MAX` for no limit.
    pub(super) fn set_notsent_lowat(&self, bytes: u32) {
        self.notsent_lowat.set(bytes);
    }

    /// Bytes not sent with which a writer waits; `u32::MAX` for no limit.
    pub(super) fn notsent_lowat(&self) -> u32 {
        self.notsent_lowat.get()
    }

    /// Publishes how much is not sent.
    pub(super) fn set_unsent(&self, bytes: u32) {
        self.unsent.set(bytes);
    }

    /// Bytes not sent.
    pub(super) fn unsent(&self) -> u32 {
        self.unsent.get()
    }

    /// How much there is to read.
    pub(super) fn readable(&self) -> u32 {
        self.readable.get()
    }
}

/// The `EPOLL*` mask of the socket's present state.
pub fn poll(sock: &Sock<Oxtcp>) -> u32 {
    let state = sock.state();
    let readable = sock.shared().readable();
    if state == State::Listen.number() {
        return if readable > 0 {
            poll::IN | poll::RDNORM
        } else {
            0
        };
    }

    let shut = sock.shutdown_state();
    let mut mask = 0;
    if (shut.read && shut.write) || state == State::Closed.number() {
        mask |= poll::HUP;
    }
    if shut.read {
        mask |= poll::IN | poll::RDNORM | poll::RDHUP;
    }
    let opening = state == State::SynSent.number() || state == State::SynReceived.number();
    if !opening || sock.shared().is_early() {
        let enough = readable >= sock.rcvlowat() || sock.shared().spent.get();
        if readable > 0 && enough {
            mask |= poll::IN | poll::RDNORM;
        }
        if sock.shared().urgent.get() {
            mask |= poll::PRI;
        }
        if shut.write || writable(sock) {
            mask |= poll::OUT | poll::WRNORM;
        }
    }
    if sock.pending_error() != 0 || sock.has_error_queue() {
        mask |= poll::ERR;
    }
    mask
}

/// Whether there is room to write; if not, whoever makes room is asked to tell.
fn writable(sock: &Sock<Oxtcp>) -> bool {
    if has_room(sock) {
        return true;
    }
    sock.want_write();
    // Room may have come between the look and the wish.
    has_room(sock)
}

/// Room enough that it is worth to tell: of what may wait unsent, half.
fn has_room(sock: &Sock<Oxtcp>) -> bool {
    let lowat = sock.shared().notsent_lowat();
    sock.is_writable()
        && (lowat == u32::MAX || u64::from(sock.shared().unsent()) * 2 < u64::from(lowat))
}
