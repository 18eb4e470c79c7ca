// SPDX-License-Identifier: GPL-2.0

//! An application: writes its stream in pieces, reads the other's, and ends as its parameters say.

use super::params::{App as Params, Ending, Pace};
use crate::support::rng::Rng;

/// What the application does to its socket next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Call {
    /// Send so many bytes.
    Send(usize),
    ShutdownWrite,
    Close,
    Abort,
    /// Nothing until something happens.
    Wait,
}

/// The state of an application.
pub struct App {
    pub params: Params,
    pub rng: Rng,
    /// Bytes written and read so far.
    pub written: u64,
    pub read: u64,
    /// What the other will write in all.
    pub expected: u64,
    pub shut: bool,
    pub closed: bool,
    pub at_end: bool,
    /// When it may write and read again, µs.
    pub write_at: u64,
    pub read_at: u64,
    /// When it was last asked, µs.
    pub asked_at: u64,
}

impl App {
    pub fn new(params: Params, expected: u64, rng: Rng) -> Self {
        Self {
            params,
            rng,
            written: 0,
            read: 0,
            expected,
            shut: false,
            closed: false,
            at_end: false,
            write_at: 0,
            read_at: 0,
            asked_at: 0,
        }
    }

    /// How much it may have written by now.
    fn allowed(&self) -> u64 {
        let by_pace = match self.params.pace {
            Pace::Free => u64::MAX,
            Pace::Ask { request, response } => (self.read / response + 1) * request,
            Pace::Answer { request, response } => self.read / request * response,
        };
        by_pace.min(self.params.bytes)
    }

    /// The next call on the writing side, with `room` bytes in the send buffer.
    pub fn next_call(&mut self, room: usize, now: u64) -> Call {
        if self.closed {
            return Call::Wait;
        }
        if let Ending::Abort(after) = self.params.ending {
            if self.written >= after && self.write_at <= now {
                return Call::Abort;
            }
        }
        if self.written < self.params.bytes && !self.shut {
            let left = self.allowed() - self.written;
            if room == 0 || left == 0 || self.write_at > now {
                return Call::Wait;
            }
            let size = self.rng.range(1, self.params.write_size);
            return Call::Send(size.min(left).min(room as u64) as usize);
        }
        match self.params.ending {
            Ending::CloseEarly if self.write_at <= now => Call::Close,
            Ending::HalfClose if !self.shut && self.write_at <= now => Call::ShutdownWrite,
            Ending::HalfClose if self.shut && self.at_end => Call::Close,
            Ending::ReadThenClose if self.read == self.expected || self.at_end => Call::Close,
            _ => Call::Wait,
        }
    }

    pub fn wrote(&mut self, n: usize, now: u64) {
        self.written += n as u64;
        self.write_at = now + self.rng.range(0, self.params.write_pause);
    }

    /// How much to read now, 0 for not now.
    pub fn wants_to_read(&mut self, now: u64) -> usize {
        if self.closed || self.read_at > now {
            return 0;
        }
        self.rng.range(1, self.params.read_size) as usize
    }

    pub fn took(&mut self, n: usize, now: u64) {
        self.read += n as u64;
        self.read_at = now + self.rng.range(0, self.params.read_pause);
    }

    /// When it wants to be asked again, if that is only a matter of time.
    pub fn wakes_at(&self) -> Option<u64> {
        let later = |at: &u64| *at > self.asked_at && !self.closed;
        [self.write_at, self.read_at]
            .into_iter()
            .filter(later)
            .min()
    }
}
