// SPDX-License-Identifier: GPL-2.0

//! What an event at a connection means to those around it.

use super::segment::Transmit;
use super::statistics::Statistics;
use super::time_wait::TimeWait;
use super::urgent::UrgentNews;

/// Why a connection ended or could not be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The peer refused it (`ECONNREFUSED`).
    Refused,
    /// The peer reset it (`ECONNRESET`).
    Reset,
    /// The peer reset it after its own FIN (`EPIPE`).
    BrokenPipe,
    /// No answer (`ETIMEDOUT`).
    TimedOut,
}

/// Why a segment was of no use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drop {
    /// Timestamp older than the last (RFC 7323 5).
    Paws,
    /// Outside of the window.
    OutOfWindow,
    /// Text beyond the window.
    BeyondWindow,
    /// Text while the window is closed.
    ZeroWindow,
    /// A SYN or RST that may be forged (RFC 5961).
    Challenge,
    /// It acknowledges what was never sent, or too long ago (RFC 5961 5.2).
    BadAck,
    /// Flags that make no sense in the state.
    BadFlags,
    /// Its text was here before.
    OldText,
    /// No room for its text.
    NoRoom,
    /// Text for a user who has closed.
    Closed,
}

/// What happened, for the caller to act on. The queues it speaks of are the caller's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Events {
    /// Bytes of text that the peer has now: drop them from the front of the send buffer.
    pub acked: u32,
    /// Text became readable.
    pub readable: bool,
    /// The connection is open.
    pub connected: bool,
    /// The peer's FIN came in order: nothing follows what is readable.
    pub peer_closed: bool,
    /// The connection is over, why.
    pub error: Option<Error>,
    /// The state became CLOSED.
    pub closed: bool,
    /// The state became TIME-WAIT: this is what is left to do.
    pub time_wait: Option<TimeWait>,
    /// A segment to be sent at once, outside of the stream: a RST or a challenge ACK.
    pub reply: Option<Transmit>,
    /// The segment, or its text, was dropped.
    pub dropped: Option<Drop>,
    /// The retransmission timer expired.
    pub timed_out: bool,
    /// The peer has announced an urgent byte.
    pub urgent: Option<UrgentNews>,
    /// Text came early and is kept: it ends so many bytes behind what is next in turn.
    pub early: Option<u32>,
    /// Fast retransmit began.
    pub fast_retransmit: bool,
    /// What is to be counted.
    pub statistics: Statistics,
}

impl Events {
    /// Whether there is nothing but text that has arrived, here or at the peer, and what is to be
    /// counted.
    pub fn is_plain(&self) -> bool {
        !(self.connected || self.peer_closed || self.closed || self.timed_out)
            && self.error.is_none()
            && self.time_wait.is_none()
            && self.reply.is_none()
            && self.urgent.is_none()
    }
}
