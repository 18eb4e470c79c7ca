// SPDX-License-Identifier: GPL-2.0
//! One end of the connection: its state, and what the segments that it sends mean.

use super::row::human_bytes;
use crate::observe::{Segment, Tracepoint};
use crate::state::State;

/// What is known of an end, and of the segments that it sent.
#[derive(Default)]
pub struct End {
    /// Its state, once there was one.
    pub state: Option<State>,
    /// The states that it has gone through.
    pub history: Vec<State>,
    isn: Option<u32>,
    wscale: Option<u8>,
    /// One past the highest relative sequence number sent.
    sent: u32,
}

impl End {
    /// Enters a state; `false` when it is no step forward. The observers tell of the same step,
    /// and some of them late.
    pub fn enter(&mut self, state: State) -> bool {
        if self
            .state
            .is_some_and(|now| progress(state) <= progress(now))
        {
            return false;
        }
        self.state = Some(state);
        self.history.push(state);
        true
    }

    /// Enters a state that a tracepoint tells of; `false` when it is no step forward.
    pub fn is_told(&mut self, by: Tracepoint, state: State) -> bool {
        let closing = matches!(
            self.state,
            Some(State::FinWait1 | State::FinWait2 | State::Closing | State::TimeWait)
        );
        match (state, by) {
            // Its socket ends, but an entry in TIME-WAIT takes its place.
            (State::Closed, Tracepoint::Socket) if closing => false,
            // The entry of a SYN queue ends when it becomes a socket.
            (State::Closed, Tracepoint::Entry) if self.state != Some(State::TimeWait) => false,
            _ => self.enter(state),
        }
    }

    /// A sequence number of this end, relative to its first.
    pub fn relative(&self, seq: u32) -> u32 {
        seq.wrapping_sub(self.isn.unwrap_or(0))
    }

    /// Notes a segment; whether it was sent before.
    pub fn sends(&mut self, segment: &Segment) -> bool {
        let flags = segment.flags;
        if flags.syn && self.isn.is_none() {
            self.isn = Some(segment.seq);
            self.wscale = segment.wscale;
        }
        let length = segment.len + u32::from(flags.syn) + u32::from(flags.fin);
        let start = segment.seq.wrapping_sub(self.isn.unwrap_or(segment.seq));
        let again = length > 0 && start < self.sent;
        self.sent = self.sent.max(start.wrapping_add(length));
        again
    }

    /// The flags and numbers of a segment that this end sent: relative to the initial ones, the window scaled.
    pub fn describe(&self, receiver: &End, segment: &Segment, again: bool) -> String {
        let sender = self;
        let flags = segment.flags;
        let mut text = flags.names().join(",");
        if again {
            text += " again";
        }
        text += &format!(" seq={}", sender.relative(segment.seq));
        if flags.ack {
            text += &format!(" ack={}", receiver.relative(segment.ack));
        }
        if segment.len > 0 || !(flags.syn || flags.fin || flags.rst) {
            text += &format!(" len={}", segment.len);
        }
        let shift = match (flags.syn, sender.wscale, receiver.wscale) {
            (false, Some(shift), Some(_)) => shift,
            _ => 0,
        };
        text += &format!(" win={}", human_bytes(u64::from(segment.window) << shift));
        if let (true, Some(mss)) = (flags.syn, segment.mss) {
            text += &format!(" mss={mss}");
        }
        text
    }
}

/// How far a state is on the way from SYN to CLOSED.
fn progress(state: State) -> u8 {
    match state {
        State::Listen => 0,
        State::SynSent => 1,
        State::SynReceived => 2,
        State::Established => 3,
        State::FinWait1 | State::CloseWait => 4,
        State::FinWait2 | State::Closing | State::LastAck => 5,
        State::TimeWait => 6,
        State::Closed => 7,
    }
}
