// SPDX-License-Identifier: GPL-2.0

//! One direction of the path between two hosts.

use super::params::Link as Params;
use crate::support::rng::Rng;

/// What becomes of a segment on its way.
pub enum Fate {
    /// It arrives at these times, µs, as these bytes.
    Arrives(Vec<(u64, Vec<u8>)>),
    Lost(&'static str),
}

/// A direction's state.
pub struct Link {
    params: Params,
    rng: Rng,
    /// When the line is free again, µs.
    free_at: u64,
    /// Segments still to be lost of a burst.
    burst: u64,
    /// Arrival of the last that was not reordered, µs: those stay in order.
    last: u64,
}

impl Link {
    pub fn new(params: Params, rng: Rng) -> Self {
        Self {
            params,
            rng,
            free_at: 0,
            burst: 0,
            last: 0,
        }
    }

    pub fn carries_runs(&self) -> bool {
        self.params.runs
    }

    pub fn send(&mut self, bytes: Vec<u8>, now: u64) -> Fate {
        let p = self.params;
        let rng = &mut self.rng;
        if self.burst > 0 {
            self.burst -= 1;
            return Fate::Lost("burst");
        }
        if rng.chance(p.burst) {
            self.burst = rng.range(1, p.burst_len);
        }
        if rng.chance(p.loss) {
            return Fate::Lost("loss");
        }
        let mut sent = now;
        if p.rate > 0 {
            let begin = self.free_at.max(now);
            let waiting = (begin - now) * p.rate / 1000;
            if waiting > p.queue {
                return Fate::Lost("queue full");
            }
            sent = begin + (bytes.len() as u64 + 40) * 1000 / p.rate;
            self.free_at = sent;
        }
        let mut arrivals = Vec::new();
        let copies = if rng.chance(p.duplicate) {
            rng.range(2, 3)
        } else {
            1
        };
        for _ in 0..copies {
            let mut at = sent + p.delay;
            if rng.chance(p.reorder) {
                at += rng.range(0, p.jitter);
            } else {
                at = at.max(self.last);
                self.last = at;
            }
            let mut copy = bytes.clone();
            if rng.chance(p.corrupt) {
                flip(&mut copy, rng);
            }
            arrivals.push((at, copy));
        }
        Fate::Arrives(arrivals)
    }
}

/// A burst of wrong bits that every checksum of 16 bits finds.
fn flip(bytes: &mut [u8], rng: &mut Rng) {
    let at = rng.range(0, bytes.len() as u64 - 1) as usize;
    bytes[at] ^= rng.range(1, 255) as u8;
}
