// SPDX-License-Identifier: GPL-2.0

//! A listener: its SYN queue of the core's entries, and its accept queue.

use super::packet::Ends;
use super::params::{Listener as Params, Plan, Side};
use crate::support::rng::Rng;
use oxtcp_core::tcp::config::Identity;
use oxtcp_core::tcp::segment::{Segment, Transmit};
use oxtcp_core::tcp::syn_received::{on_listen, ListenVerdict, SynReceived, TimerVerdict, Verdict};
use oxtcp_core::tcp::time::Instant;
use std::collections::{BTreeMap, VecDeque};

/// A connection that is being opened.
struct Entry {
    half: SynReceived,
    flow: usize,
}

/// What came of a segment.
pub enum Outcome {
    Nothing,
    Reply(Transmit),
    /// The connection is open.
    Complete {
        flow: usize,
        half: SynReceived,
    },
}

/// The listener of a host, for all of its clients.
pub struct Listener {
    params: Params,
    rng: Rng,
    entries: BTreeMap<Ends, Entry>,
    /// The connection that a client opens at present.
    expected: BTreeMap<Ends, usize>,
    /// Ends that wait for accept().
    pub accept_queue: VecDeque<usize>,
    accept_at: u64,
    /// SYNs and ACKs that were ignored for want of room.
    pub overflows: u64,
}

impl Listener {
    pub fn new(params: Params, rng: Rng) -> Self {
        Self {
            params,
            rng,
            entries: BTreeMap::new(),
            expected: BTreeMap::new(),
            accept_queue: VecDeque::new(),
            accept_at: 0,
            overflows: 0,
        }
    }

    /// From now on a SYN between these ends is that of connection `flow`.
    pub fn expect(&mut self, ends: Ends, flow: usize) {
        self.expected.insert(ends, flow);
    }

    /// The connection that a SYN between these ends would begin.
    pub fn expected(&self, ends: &Ends) -> Option<usize> {
        self.expected.get(ends).copied()
    }

    pub fn is_idle(&self) -> bool {
        self.entries.is_empty() && self.accept_queue.is_empty()
    }

    fn side<'a>(&self, plan: &'a Plan, flow: usize) -> &'a Side {
        &plan.flows[flow].sides[1]
    }

    fn is_full(&self) -> bool {
        self.accept_queue.len() >= self.params.backlog
    }

    /// A segment for no connection. `ids`: what a new one begins with.
    pub fn on_segment(
        &mut self,
        plan: &Plan,
        ends: &Ends,
        seg: &Segment,
        ids: Identity,
        now: Instant,
    ) -> Outcome {
        let full = self.is_full();
        let Some(entry) = self.entries.get_mut(ends) else {
            return self.on_first(plan, ends, seg, ids, now);
        };
        let config = plan.flows[entry.flow].sides[1].config;
        match entry.half.on_segment(&config, seg, now) {
            Verdict::Ignore => Outcome::Nothing,
            Verdict::SynAck => {
                entry.half.on_syn_again(seg);
                Outcome::Reply(entry.half.syn_ack(&config, now))
            }
            Verdict::Reply(out) => Outcome::Reply(out),
            Verdict::Remove => {
                self.entries.remove(ends);
                Outcome::Nothing
            }
            Verdict::Complete if full || self.rng.chance(self.params.accept_full) => {
                self.overflows += 1;
                Outcome::Nothing
            }
            Verdict::Complete => {
                let Entry { half, flow } = self.entries.remove(ends).expect("it was there");
                Outcome::Complete { flow, half }
            }
        }
    }

    fn on_first(
        &mut self,
        plan: &Plan,
        ends: &Ends,
        seg: &Segment,
        ids: Identity,
        now: Instant,
    ) -> Outcome {
        match on_listen(seg) {
            ListenVerdict::Ignore => return Outcome::Nothing,
            ListenVerdict::Reset(out) => return Outcome::Reply(out),
            ListenVerdict::Open => {}
        }
        let flow = self.expected(ends).expect("a SYN that nobody sent");
        if self.is_full() || self.entries.len() >= self.params.syn_queue {
            self.overflows += 1;
            return Outcome::Nothing;
        }
        let side = self.side(plan, flow);
        let half = SynReceived::new(&side.config, seg, ids, now);
        let out = half.syn_ack(&side.config, now);
        self.entries.insert(*ends, Entry { half, flow });
        Outcome::Reply(out)
    }

    /// When [`Listener::wake`] wants to be called, µs.
    pub fn wakes_at(&self, plan: &Plan) -> Option<u64> {
        let late = |e: &Entry| e.half.deadline().us() + self.side(plan, e.flow).slack;
        let timer = self.entries.values().map(late).min();
        let accept = (!self.accept_queue.is_empty()).then_some(self.accept_at);
        timer.into_iter().chain(accept).min()
    }

    /// SYN-ACKs that are due, each for its ends.
    pub fn on_timer(&mut self, plan: &Plan, now: Instant) -> Vec<(Ends, Transmit)> {
        let mut out = Vec::new();
        self.entries.retain(|ends, entry| {
            let config = plan.flows[entry.flow].sides[1].config;
            match entry.half.on_timer(&config, now) {
                TimerVerdict::NotYet => true,
                TimerVerdict::SynAck => {
                    out.push((*ends, entry.half.syn_ack(&config, now)));
                    true
                }
                TimerVerdict::GiveUp => false,
            }
        });
        out
    }

    /// accept(): the oldest connection in the queue, if the server takes one now.
    pub fn accept(&mut self, now: Instant) -> Option<usize> {
        if self.accept_at > now.us() {
            return None;
        }
        let end = self.accept_queue.pop_front()?;
        self.accept_at = now.us() + self.rng.range(0, self.params.accept_pause);
        Some(end)
    }
}
