// SPDX-License-Identifier: GPL-2.0

//! Senders that are nothing but their congestion control, over one bottleneck with a queue: every
//! packet is acknowledged for itself, and what was overtaken by three others is lost.

use crate::support::rng::Rng;
use oxtcp_core::tcp::congestion::{
    Ack, Algorithm, Congested, Congestion, CongestionControl, Lost, RateSample, Signal,
};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::time::{Duration, Instant};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

pub const MSS: u32 = 1448;

/// Which packets are lost beside those that the queue has no room for.
#[derive(Clone, Copy, Debug)]
pub enum Loss {
    None,
    /// One in so many, evenly.
    Every(u64),
    /// In so many of 10,000 cases, at random.
    Random(u64),
}

#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Bytes a second; `u64::MAX` for no bottleneck.
    pub rate: u64,
    /// Round-trip time without a queue.
    pub rtt: Duration,
    /// Packets that the queue holds.
    pub queue: u64,
    pub loss: Loss,
}

impl Link {
    /// `mbit` million bits a second, `ms` of round-trip time, a queue of `bdps` per cent of what
    /// the path holds.
    pub fn new(mbit: u64, ms: u64, bdps: u64) -> Self {
        let rate = mbit * 1_000_000 / 8;
        Self {
            rate,
            rtt: Duration::from_ms(ms),
            queue: rate * ms / 1000 * bdps / 100 / u64::from(MSS),
            loss: Loss::None,
        }
    }

    pub fn with_loss(self, loss: Loss) -> Self {
        Self { loss, ..self }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Outstanding,
    Acked,
    Lost,
}

struct Packet {
    sent: u64,
    first_sent: u64,
    delivered: u32,
    delivered_at: u64,
    tx_in_flight: u32,
    app_limited: bool,
    fate: Fate,
}

impl Packet {
    /// It is lost. Whatever is lost beside it counts for itself.
    fn lost(&self, now: u64) -> Lost {
        Lost {
            bytes: MSS,
            apart: true,
            delivered: self.delivered,
            tx_in_flight: Some(self.tx_in_flight),
            app_limited: self.app_limited,
            sack: true,
            mss: MSS,
            now: instant(now),
        }
    }
}

pub struct Flow {
    pub cc: Congestion,
    packets: VecDeque<Packet>,
    /// Number of the first packet of `packets`.
    base: u64,
    next: u64,
    pipe: u32,
    delivered: u32,
    delivered_at: u64,
    first_sent: u64,
    recovery_end: Option<u64>,
    srtt: u64,
    next_send: u64,
    wakes: bool,
    last_progress: u64,
    last_arrival: u64,
    /// The user has no more than this to send at a time, if so.
    pub app_window: Option<u32>,
    /// Bytes delivered in all.
    pub total: u64,
    /// Packets lost in all.
    pub losses: u64,
    pub reductions: u64,
    /// Largest round-trip time of late, µs.
    pub worst_rtt: u64,
    /// Sums of the round-trip times and of how many there were.
    pub rtt_sum: u64,
    pub rtt_count: u64,
}

impl Flow {
    fn new(algorithm: Algorithm, now: u64) -> Self {
        Self {
            cc: Congestion::new(algorithm, MSS),
            packets: VecDeque::new(),
            base: 0,
            next: 0,
            pipe: 0,
            delivered: 0,
            delivered_at: now,
            first_sent: now,
            recovery_end: None,
            srtt: 0,
            next_send: now,
            wakes: false,
            last_progress: now,
            last_arrival: 0,
            app_window: None,
            total: 0,
            losses: 0,
            reductions: 0,
            worst_rtt: 0,
            rtt_sum: 0,
            rtt_count: 0,
        }
    }

    /// Forgets what was measured so far.
    pub fn reset_counts(&mut self) {
        self.total = 0;
        self.losses = 0;
        self.reductions = 0;
        self.worst_rtt = 0;
        self.rtt_sum = 0;
        self.rtt_count = 0;
    }

    pub fn mean_rtt_us(&self) -> u64 {
        self.rtt_sum / self.rtt_count.max(1)
    }

    fn room(&self) -> u32 {
        let window = self.cc.window().max(MSS);
        window.min(self.app_window.unwrap_or(u32::MAX))
    }

    fn is_limited(&self) -> bool {
        let (used, cwnd) = (self.pipe.saturating_add(MSS), self.cc.window());
        if cwnd < self.cc.ssthresh() {
            used.saturating_mul(2) > cwnd
        } else {
            used > cwnd
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Ack { flow: usize, packet: u64 },
    Wake { flow: usize },
    Check { flow: usize },
}

pub struct Net {
    /// ns.
    now: u64,
    link: Link,
    pub flows: Vec<Flow>,
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    serial: u64,
    busy_until: u64,
    sent: u64,
    /// Packets the queue had no room for.
    pub overflows: u64,
    rng: Rng,
}

const CHECK: u64 = 50_000_000;
const RTO: u64 = 1_000_000_000;
/// Part of the round-trip time that acknowledgments may be late.
const NOISE: u64 = 50;

fn instant(ns: u64) -> Instant {
    Instant::from_us(ns / 1000)
}

impl Net {
    pub fn new(link: Link) -> Self {
        Self {
            now: 1_000_000_000,
            link,
            flows: Vec::new(),
            events: BinaryHeap::new(),
            serial: 0,
            busy_until: 0,
            sent: 0,
            overflows: 0,
            rng: Rng::new(1),
        }
    }

    /// A flow begins.
    pub fn start(&mut self, algorithm: Algorithm) -> usize {
        let flow = self.flows.len();
        self.flows.push(Flow::new(algorithm, self.now));
        self.at(self.now, Event::Wake { flow });
        self.at(self.now + CHECK, Event::Check { flow });
        flow
    }

    /// The path changes.
    pub fn set_link(&mut self, link: Link) {
        self.link = link;
    }

    fn at(&mut self, time: u64, event: Event) {
        self.serial += 1;
        self.events.push(Reverse((time, self.serial, event)));
    }

    /// Time since the start of all, µs.
    pub fn now_us(&self) -> u64 {
        self.now / 1000 - 1_000_000
    }

    /// Runs for `ms`.
    pub fn run_ms(&mut self, ms: u64) {
        let end = self.now + ms * 1_000_000;
        self.run_until(|net| net.next_at() > end);
        self.now = end;
    }

    fn next_at(&self) -> u64 {
        self.events.peek().map_or(u64::MAX, |Reverse((at, ..))| *at)
    }

    /// Runs until `done` says so, asked before each event.
    pub fn run_until(&mut self, mut done: impl FnMut(&Self) -> bool) {
        while !done(self) {
            let Some(Reverse((at, _, event))) = self.events.pop() else {
                return;
            };
            self.now = at;
            match event {
                Event::Ack { flow, packet } => self.on_ack(flow, packet),
                Event::Wake { flow } => self.flows[flow].wakes = false,
                Event::Check { flow } => self.check(flow),
            }
            let (Event::Ack { flow, .. } | Event::Wake { flow } | Event::Check { flow }) = event;
            self.send(flow);
        }
    }

    /// Time that a packet would wait in the queue now, µs.
    pub fn queue_us(&self) -> u64 {
        self.busy_until.saturating_sub(self.now) / 1000
    }

    fn check(&mut self, f: usize) {
        let now = self.now;
        let flow = &mut self.flows[f];
        if flow.pipe > 0 && now - flow.last_progress > RTO {
            flow.last_progress = now;
            let pipe = flow.pipe;
            for packet in &mut flow.packets {
                if packet.fate == Fate::Outstanding {
                    packet.fate = Fate::Lost;
                    flow.losses += 1;
                    flow.cc.on_lost(&packet.lost(now));
                }
            }
            flow.pipe = 0;
            flow.recovery_end = None;
            let out = if flow.cc.rules_rate() { 0 } else { pipe };
            flow.cc.on_timeout(out, MSS, true, instant(now));
            flow.reductions += 1;
        }
        self.at(now + CHECK, Event::Check { flow: f });
    }

    fn is_lost(&mut self) -> bool {
        self.sent += 1;
        match self.link.loss {
            Loss::None => false,
            Loss::Every(n) => self.sent % n == 0,
            Loss::Random(p) => self.rng.range(0, 9999) < p,
        }
    }

    /// Hosts are not clockwork: without some noise it is always the same flow that meets the full
    /// queue, the one that grows.
    fn noise(&mut self) -> u64 {
        if self.link.rate == u64::MAX {
            return 0;
        }
        self.rng.range(0, self.link.rtt.us() * 1000 / NOISE)
    }

    fn send(&mut self, f: usize) {
        loop {
            let now = self.now;
            let flow = &self.flows[f];
            if flow.pipe.saturating_add(MSS) > flow.room() {
                return;
            }
            let rate = flow.cc.pacing_rate();
            if rate.is_some() && flow.next_send > now {
                let at = flow.next_send;
                if !std::mem::replace(&mut self.flows[f].wakes, true) {
                    self.at(at, Event::Wake { flow: f });
                }
                return;
            }
            let lost = self.is_lost();
            let wait = self.busy_until.saturating_sub(now);
            let each = u64::from(MSS) * 1_000_000_000 / self.link.rate.min(1 << 50);
            let full = self.link.rate != u64::MAX && wait / each.max(1) >= self.link.queue;
            let flow = &mut self.flows[f];
            if flow.pipe == 0 {
                flow.first_sent = now;
                flow.delivered_at = now;
                flow.last_progress = now;
            }
            let number = flow.next;
            flow.next += 1;
            flow.pipe += MSS;
            flow.packets.push_back(Packet {
                sent: now,
                first_sent: flow.first_sent,
                delivered: flow.delivered,
                delivered_at: flow.delivered_at,
                tx_in_flight: flow.pipe,
                app_limited: flow.app_window.is_some_and(|w| w < flow.cc.window()),
                fate: Fate::Outstanding,
            });
            if let Some(rate) = rate {
                let gap = u64::from(MSS) * 1_000_000_000 / rate.max(1);
                flow.next_send = now.max(flow.next_send) + gap;
            }
            if full {
                self.overflows += 1;
            }
            if full || lost {
                continue;
            }
            if self.link.rate == u64::MAX {
                self.busy_until = now;
            } else {
                self.busy_until = self.busy_until.max(now) + each;
            }
            let arrives = self.busy_until + self.link.rtt.us() * 1000 + self.noise();
            let flow = &mut self.flows[f];
            let arrives = arrives.max(flow.last_arrival);
            flow.last_arrival = arrives;
            self.at(
                arrives,
                Event::Ack {
                    flow: f,
                    packet: number,
                },
            );
        }
    }

    fn on_ack(&mut self, f: usize, number: u64) {
        let now = self.now;
        let flow = &mut self.flows[f];
        let limited = flow.is_limited();
        let Some(index) = number.checked_sub(flow.base) else {
            return;
        };
        let packet = &mut flow.packets[index as usize];
        if packet.fate != Fate::Outstanding {
            return;
        }
        packet.fate = Fate::Acked;
        flow.pipe -= MSS;
        flow.delivered = flow.delivered.wrapping_add(MSS);
        flow.delivered_at = now;
        flow.last_progress = now;
        flow.total += u64::from(MSS);
        let rtt = (now - packet.sent) / 1000;
        flow.srtt = if flow.srtt == 0 {
            rtt
        } else {
            (7 * flow.srtt + rtt) / 8
        };
        flow.worst_rtt = flow.worst_rtt.max(rtt);
        flow.rtt_sum += rtt;
        flow.rtt_count += 1;

        let sending = packet.sent - packet.first_sent;
        let acking = now - packet.delivered_at;
        let sample = RateSample {
            delivered: flow.delivered.wrapping_sub(packet.delivered),
            interval: Duration::from_us(sending.max(acking) / 1000),
            prior_delivered: packet.delivered,
            app_limited: packet.app_limited,
            tx_in_flight: packet.tx_in_flight,
        };
        flow.first_sent = packet.sent;

        let mut congested = None;
        for (i, old) in flow.packets.iter_mut().enumerate().take(index as usize) {
            if old.fate == Fate::Outstanding && i as u64 + 3 <= index {
                old.fate = Fate::Lost;
                flow.pipe -= MSS;
                flow.losses += 1;
                flow.cc.on_lost(&old.lost(now));
                let number = flow.base + i as u64;
                if flow.recovery_end.is_none_or(|end| number >= end) {
                    congested = congested.or(Some((flow.next - number) as u32 * MSS));
                }
            }
        }
        while flow
            .packets
            .front()
            .is_some_and(|p| p.fate != Fate::Outstanding)
        {
            flow.packets.pop_front();
            flow.base += 1;
        }
        if congested.is_none() && flow.recovery_end.is_some_and(|end| number >= end) {
            flow.recovery_end = None;
            flow.cc.on_recovered(None, MSS, instant(now));
        }
        if let Some(flight) = congested {
            flow.recovery_end = Some(flow.next);
            flow.reductions += 1;
            flow.cc.on_congestion(&Congested {
                signal: Signal::Loss,
                flight,
                used: None,
                mss: MSS,
                now: instant(now),
            });
        }
        if flow.recovery_end.is_none() || flow.cc.pacing_rate().is_some() {
            flow.cc.on_ack(&Ack {
                acked: MSS,
                mss: MSS,
                limited,
                flight: flow.pipe,
                snd_una: SeqNumber((flow.base as u32).wrapping_mul(MSS)),
                snd_nxt: SeqNumber((flow.next as u32).wrapping_mul(MSS)),
                rtt: Some(Duration::from_us(rtt)),
                srtt: Duration::from_us(flow.srtt),
                delivered: flow.delivered,
                rate: Some(sample),
                now: instant(now),
            });
        }
    }
}

/// Jain's index: 1 when all have the same.
pub fn jain(shares: &[u64]) -> f64 {
    let sum: f64 = shares.iter().map(|s| *s as f64).sum();
    let squares: f64 = shares.iter().map(|s| (*s as f64).powi(2)).sum();
    sum * sum / (shares.len() as f64 * squares)
}
