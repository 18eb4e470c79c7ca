// SPDX-License-Identifier: GPL-2.0

//! What is going to happen, in order of time.

use super::packet::Packet;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// What happens.
pub enum Event {
    Arrival { node: usize, packet: Packet },
    Wake { host: usize, end: usize },
    Listener { host: usize },
    Start { flow: usize },
    MssChange { mss: u16 },
}

/// An event in its turn; of two at the same time the one planned first comes first.
struct Planned {
    at: u64,
    order: u64,
    event: Event,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// The events to come.
#[derive(Default)]
pub struct Schedule {
    heap: BinaryHeap<Reverse<Planned>>,
    order: u64,
}

impl Schedule {
    /// `event` happens at `at`, µs.
    pub fn push(&mut self, at: u64, event: Event) {
        self.order += 1;
        let order = self.order;
        self.heap.push(Reverse(Planned { at, order, event }));
    }

    /// The next event and its time.
    pub fn pop(&mut self) -> Option<(u64, Event)> {
        self.heap.pop().map(|Reverse(p)| (p.at, p.event))
    }

    /// The time of the next event.
    pub fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(p)| p.at)
    }
}
