// SPDX-License-Identifier: GPL-2.0
//! What the observers report, and when it happened.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use nix::time::{clock_gettime, ClockId};

use crate::diag::Socket;
use crate::state::State;

/// One of the two ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The end that connects.
    Client,
    /// The end that listens.
    Server,
}

impl Side {
    /// The opposite end.
    pub fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }

    /// Its word, which is also the name of its network namespace.
    pub fn name(self) -> &'static str {
        match self {
            Side::Client => "client",
            Side::Server => "server",
        }
    }

    /// Its address on the link.
    pub fn address(self) -> Ipv4Addr {
        match self {
            Side::Client => Ipv4Addr::new(10, 0, 0, 1),
            Side::Server => Ipv4Addr::new(10, 0, 0, 2),
        }
    }
}

/// Something that happened, at a time of `CLOCK_MONOTONIC`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// When.
    pub at: Duration,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// A program called the kernel, or learnt something from it.
    Call(Side, String),
    /// A tracepoint fired.
    Trace(Trace),
    /// The list of sockets changed.
    Sockets(Side, Vec<Socket>),
    /// A segment arrived.
    Segment(Segment),
}

/// A change of state as a tracepoint tells it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Trace {
    /// Who tells it.
    pub by: Tracepoint,
    /// The socket's end.
    pub local: SocketAddrV4,
    /// The other end.
    pub peer: SocketAddrV4,
    /// The state entered.
    pub new: State,
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
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Segment {
    /// Whether the client sent it.
    pub from_client: bool,
    /// The client's port.
    pub client_port: u16,
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
