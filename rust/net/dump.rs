// SPDX-License-Identifier: GPL-2.0

//! One row of the sockets table, as `/proc/net/oxtcp` and sock_diag show it.

use super::*;

/// `struct tcp_info`, as the user sees it; all zero by `TcpInfo::default()`.
pub type TcpInfo = super::bindings::tcp_info;

/// The timer column (`tr tm->when`, `idiag_timer`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryTimer {
    /// No timer.
    None,
    /// Retransmission (1), in ms.
    Retransmit(u32),
    /// Keepalive, or SYN-ACK of a SYN queue entry (2), in ms.
    Keepalive(u32),
    /// TIME-WAIT (3), in ms.
    TimeWait(u32),
    /// Zero-window probe (4), in ms.
    Probe(u32),
}

/// One row of the sockets table.
pub struct Entry<'a, F: Family> {
    /// Linux's `TCP_*` number; a SYN queue entry is `TCP_SYN_RECV` (3).
    pub state: u8,
    /// The two ends; a listener's remote is `0.0.0.0:0`.
    pub tuple: FourTuple,
    /// Bytes to read; for a listener the length of the accept queue.
    pub rx_queue: u32,
    /// Bytes unacknowledged; for a listener the limit of the accept queue.
    pub tx_queue: u32,
    /// For a listener: length of the SYN queue.
    pub syn_queue: u32,
    /// The timer that is running.
    pub timer: EntryTimer,
    /// Retransmissions, or probes, without an answer so far.
    pub retransmits: u8,
    /// The socket, unless the row is a small entry (SYN queue, TIME-WAIT).
    pub sock: Option<&'a Sock<F>>,
    /// What `ss -i` shows.
    pub info: Option<&'a TcpInfo>,
    /// Name of the congestion control.
    pub congestion: Option<&'static str>,
}

impl EntryTimer {
    /// Its number as `inet_diag` has it, and the ms until it fires.
    pub(super) fn parts(self) -> (u8, u32) {
        match self {
            Self::None => (0, 0),
            Self::Retransmit(ms) => (1, ms),
            Self::Keepalive(ms) => (2, ms),
            Self::TimeWait(ms) => (3, ms),
            Self::Probe(ms) => (4, ms),
        }
    }
}
