// SPDX-License-Identifier: GPL-2.0
//! What the kernel tells while it happens: tracepoints, and segments on the way.

mod capture;
mod order;
mod tracefs;

use std::net::SocketAddrV4;
use std::time::Duration;

use nix::time::{clock_gettime, ClockId};

use crate::state::State;
pub use capture::{Capture, Captured};
pub use order::Order;
pub use tracefs::{Buffer, Line, Record};

/// Something that a tracepoint tells of, at a time of `CLOCK_MONOTONIC`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace {
    /// When.
    pub at: Duration,
    /// The socket's end.
    pub local: SocketAddrV4,
    /// The other end.
    pub peer: SocketAddrV4,
    /// Inode of the network namespace, where it is told.
    pub netns: Option<u32>,
    /// What.
    pub what: Told,
}

/// What a tracepoint tells of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Told {
    /// Another state is entered.
    State {
        /// Who tells it.
        by: Tracepoint,
        /// The state left.
        old: State,
        /// The state entered.
        new: State,
    },
    /// Bytes are sent again.
    Retransmit {
        /// First sequence number, where it is told.
        seq: Option<u32>,
        /// How many, where it is told.
        len: Option<u32>,
    },
    /// A segment is dropped.
    Drop {
        /// Name of the reason.
        reason: String,
    },
}

/// A change of state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Change {
    /// Who tells it.
    pub by: Tracepoint,
    /// The socket's end.
    pub local: SocketAddrV4,
    /// The other end.
    pub peer: SocketAddrV4,
    /// The state entered.
    pub new: State,
}

impl Trace {
    /// The change of state, if it is one.
    pub fn change(&self) -> Option<Change> {
        match self.what {
            Told::State { by, new, .. } => Some(Change {
                by,
                local: self.local,
                peer: self.peer,
                new,
            }),
            _ => None,
        }
    }
}

/// Which tracepoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tracepoint {
    /// `sock:inet_sock_set_state`: a socket.
    Socket,
    /// `oxtcp:oxtcp_set_state`: an entry of the SYN queue or in TIME-WAIT.
    Entry,
}

/// A segment, its numbers as on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Who sent it.
    pub source: SocketAddrV4,
    /// Whom to.
    pub destination: SocketAddrV4,
    /// SEG.SEQ
    pub seq: u32,
    /// SEG.ACK
    pub ack: u32,
    /// Payload, in bytes.
    pub len: u32,
    /// SEG.WND, not scaled.
    pub window: u16,
    /// Control bits.
    pub flags: Flags,
    /// Maximum segment size option, in bytes.
    pub mss: Option<u16>,
    /// Window scale option.
    pub wscale: Option<u8>,
}

/// Control bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags {
    /// SYN
    pub syn: bool,
    /// ACK
    pub ack: bool,
    /// FIN
    pub fin: bool,
    /// RST
    pub rst: bool,
    /// PSH
    pub psh: bool,
}

impl Flags {
    /// Names of those that are set.
    pub fn names(self) -> Vec<&'static str> {
        [
            (self.syn, "SYN"),
            (self.fin, "FIN"),
            (self.rst, "RST"),
            (self.psh, "PSH"),
            (self.ack, "ACK"),
        ]
        .iter()
        .filter_map(|&(set, name)| set.then_some(name))
        .collect()
    }
}

/// Now, of `CLOCK_MONOTONIC`.
pub fn now() -> Duration {
    read(ClockId::CLOCK_MONOTONIC)
}

/// What must be taken from a time of `CLOCK_REALTIME` to get one of `CLOCK_MONOTONIC`.
pub fn realtime_offset() -> Duration {
    // The clocks cannot be read at once: the closest of some readings counts.
    let reading = |_| {
        let before = now();
        let real = read(ClockId::CLOCK_REALTIME);
        let after = now();
        (after.saturating_sub(before), real.saturating_sub(before))
    };
    (0..50)
        .map(reading)
        .min()
        .map_or(Duration::ZERO, |(_, offset)| offset)
}

fn read(clock: ClockId) -> Duration {
    clock_gettime(clock).map_or(Duration::ZERO, Duration::from)
}
