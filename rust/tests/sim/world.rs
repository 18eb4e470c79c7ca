// SPDX-License-Identifier: GPL-2.0

//! The run of one connection, from connect() to both ends CLOSED.

use super::host::{Conn, Host};
use super::link::{Fate, Link};
use super::params::Params;
use super::trace::{show, Trace};
use crate::support::bytes;
use crate::support::rng::Rng;
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::time::Instant;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Events after which a run counts as one that never ends.
const MOST_EVENTS: u64 = 3_000_000;
/// Virtual time after which it does, µs: two days.
const MOST_TIME: u64 = 2 * 86_400 * 1_000_000;
/// Timers that may fire at one moment of one host.
const MOST_TIMERS: u32 = 20;

/// What happens at a time.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrival { to: usize, bytes: Vec<u8> },
    MssChange,
}

/// What a run came to.
#[derive(Debug, Default)]
pub struct Outcome {
    pub segments: u64,
    pub retransmissions: u64,
    pub fast_retransmits: u64,
    pub bytes: u64,
    /// How long it took, µs of virtual time.
    pub took: u64,
}

/// The two hosts and what is between them.
pub struct World {
    params: Params,
    now: u64,
    hosts: [Host; 2],
    links: [Link; 2],
    queue: BinaryHeap<Reverse<(u64, u64, Event)>>,
    order: u64,
    trace: Trace,
    states: [State; 2],
    /// The host that lost its connection first, without an error.
    first_over: Option<usize>,
}

impl World {
    pub fn new(params: Params, trace: bool) -> Self {
        let mut rng = Rng::new(params.seed ^ 0x5eed);
        let hosts = [0, 1].map(|id| Host::new(id, &params, rng.fork()));
        let links = [0, 1].map(|i| Link::new(params.links[i], rng.fork()));
        Self {
            params,
            now: params.start,
            hosts,
            links,
            queue: BinaryHeap::new(),
            order: 0,
            trace: Trace::new(trace),
            states: [State::Closed; 2],
            first_over: None,
        }
    }

    /// The trace, and what both ends know at the end.
    pub fn report(&self) -> String {
        let [a, b] = [0, 1].map(|i| self.hosts[i].dump());
        format!("{}A {a}\nB {b}\n", self.trace.text())
    }

    fn push(&mut self, at: u64, event: Event) {
        self.order += 1;
        self.queue.push(Reverse((at, self.order, event)));
    }

    /// Runs to the end; panics where something does not hold.
    pub fn run(&mut self) -> Outcome {
        let begin = self.now;
        let now = Instant::from_us(self.now);
        if self.params.mss != self.params.mss_at_first {
            self.push(begin + self.params.mss_changes_at, Event::MssChange);
        }
        if self.params.simultaneous_open {
            self.hosts[1].connect(now);
        } else {
            self.hosts[1].listen();
        }
        self.hosts[0].connect(now);
        self.after(0);
        self.after(1);

        let mut timers = 0;
        let mut last = (0, 0);
        for events in 0.. {
            assert!(events < MOST_EVENTS, "it never ends");
            assert!(self.now - begin < MOST_TIME, "it takes for ever");
            let Some((at, who)) = self.next() else { break };
            let moved = (at.max(self.now), who.unwrap_or(2));
            timers = if moved == last && who.is_some() {
                timers + 1
            } else {
                0
            };
            assert!(timers < MOST_TIMERS, "timers fire without end");
            last = moved;
            self.now = at.max(self.now);
            self.step(who);
        }
        self.check_end();
        self.outcome(begin)
    }

    /// The time of the next event, and the host whose timer or application it is, if it is one.
    fn next(&self) -> Option<(u64, Option<usize>)> {
        let queued = self.queue.peek().map(|Reverse((at, _, _))| (*at, None));
        let own = (0..2).filter_map(|i| self.wakes_at(i).map(|at| (at, Some(i))));
        let next = queued.into_iter().chain(own).min_by_key(|(at, _)| *at);
        next.filter(|_| !self.all_over())
    }

    fn all_over(&self) -> bool {
        let over = |h: &Host| h.over && h.app.closed;
        self.hosts.iter().all(over) && self.queue.is_empty()
    }

    fn wakes_at(&self, i: usize) -> Option<u64> {
        let host = &self.hosts[i];
        let timer = host.deadline().map(|at| at.us() + host.params.slack);
        let app = host.app.wakes_at();
        timer.into_iter().chain(app).min()
    }

    fn step(&mut self, who: Option<usize>) {
        let now = Instant::from_us(self.now);
        if let Some(i) = who {
            let host = &mut self.hosts[i];
            if host.deadline().is_some_and(|at| at <= now) {
                self.trace
                    .line(self.now, || format!("{} timer", ['A', 'B'][i]));
                host.on_timer(now);
            } else {
                host.work(now);
            }
            self.after(i);
            return;
        }
        let Some(Reverse((_, _, event))) = self.queue.pop() else {
            return;
        };
        match event {
            Event::MssChange => {
                for host in &mut self.hosts {
                    host.limits.mss = self.params.mss;
                }
            }
            Event::Arrival { to, bytes } => {
                let Some((seg, text)) = bytes::read(&bytes) else {
                    self.trace.line(self.now, || "corrupted".into());
                    return;
                };
                self.trace.line(self.now, || {
                    format!("  -> {} {}", ['A', 'B'][to], show(&seg))
                });
                self.hosts[to].on_segment(&seg, text, now);
                self.after(to);
                if let Some(forged) = self.hosts[to].forged() {
                    self.trace
                        .line(self.now, || format!("forged -> {to} {}", show(&forged)));
                    self.hosts[to].on_segment(&forged, Vec::new(), now);
                    self.after(to);
                }
            }
        }
    }

    /// Sends what host `i` has put out, and notes its changes.
    fn after(&mut self, i: usize) {
        let runs = self.links[i].carries_runs();
        for bytes in self.hosts[i].take_outbox(runs) {
            let line = bytes::read(&bytes).map(|(seg, _)| show(&seg));
            let fate = self.links[i].send(bytes, self.now);
            let lost = match &fate {
                Fate::Lost(why) => why,
                Fate::Arrives(_) => "",
            };
            let name = ['A', 'B'][i];
            let line = line.expect("what is sent can be read");
            self.trace
                .line(self.now, || format!("{name} {line} {lost}"));
            if let Fate::Arrives(arrivals) = fate {
                for (at, bytes) in arrivals {
                    self.push(at, Event::Arrival { to: 1 - i, bytes });
                }
            }
        }
        let state = self.hosts[i].state();
        if state != self.states[i] {
            let error = self.hosts[i].error;
            self.trace.line(self.now, || {
                format!("{} {:?} {error:?}", ['A', 'B'][i], state)
            });
            self.states[i] = state;
        }
        self.check_error(i);
    }

    /// An error is right only where an application was rude, or the other end is over already.
    fn check_error(&mut self, i: usize) {
        let host = &self.hosts[i];
        if host.over && self.first_over.is_none() {
            assert!(
                host.error.is_none() || !self.params.is_clean(),
                "host {i} failed: {:?}",
                host.error
            );
            self.first_over = Some(i);
        }
    }

    fn check_end(&self) {
        for (i, host) in self.hosts.iter().enumerate() {
            assert!(
                matches!(host.conn, Conn::Closed) && host.app.closed,
                "host {i} is stuck in {:?}, written {} of {}, read {} of {}",
                host.state(),
                host.app.written,
                host.app.params.bytes,
                host.app.read,
                host.app.expected
            );
            if self.params.is_clean() {
                assert_eq!(
                    host.app.read, host.app.expected,
                    "host {i} has not read all"
                );
            }
            let limit = 20 + 10 * (self.now - self.params.start) / 1_000_000;
            let answers = host.oracle.idle_answers;
            assert!(
                answers <= limit,
                "host {i} answered {answers} segments without text"
            );
        }
        if self.params.is_perfect() {
            let again: u64 = self.hosts.iter().map(|h| h.oracle.retransmissions).sum();
            let probes: u64 = self.hosts.iter().map(|h| h.oracle.probes).sum();
            assert!(again <= probes, "retransmissions on a perfect network");
        }
        let (segments, most) = (self.segments(), self.most_segments());
        assert!(segments <= most, "{segments} segments, {most} are enough");
    }

    fn segments(&self) -> u64 {
        self.hosts.iter().map(|h| h.oracle.segments).sum()
    }

    /// A bound on the segments of the whole run: twenty times what a perfect network needs, and what
    /// keepalive and probes take.
    fn most_segments(&self) -> u64 {
        let mss = u64::from(self.params.mss.clamp(50, 536)) - 40;
        let written: u64 = self.hosts.iter().map(|h| h.app.written).sum();
        let seconds = (self.now - self.params.start) / 1_000_000;
        300 + 20 * written.div_ceil(mss) + 4 * seconds + 20 * self.pieces()
    }

    /// Writes and reads: each may make a segment.
    fn pieces(&self) -> u64 {
        let of = |h: &Host| {
            h.app.params.bytes / (h.app.params.write_size / 2).max(1)
                + h.app.expected / (h.app.params.read_size / 2).max(1)
        };
        self.hosts.iter().map(of).sum()
    }

    fn outcome(&self, begin: u64) -> Outcome {
        let sum = |f: fn(&Host) -> u64| self.hosts.iter().map(f).sum();
        Outcome {
            segments: self.segments(),
            retransmissions: sum(|h| h.oracle.retransmissions),
            fast_retransmits: sum(|h| h.oracle.fast_retransmits),
            bytes: sum(|h| h.app.read),
            took: self.now - begin,
        }
    }
}
