// SPDX-License-Identifier: GPL-2.0

//! A host: the ends of its connections by their addresses and ports, and its listener.

use super::endpoint::{self, Endpoint, Place};
use super::listener::{Listener, Outcome};
use super::packet::{self, Arrival, Ends, Packet, HEADERS};
use super::params::{Plan, Side, Start};
use super::pcap::Pcap;
use super::trace::{show, Trace};
use crate::support::rng::Rng;
use oxtcp_core::tcp::config::Identity;
use oxtcp_core::tcp::segment::{Flags, Segment, Transmit};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::time::Instant;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Where servers listen.
pub const SERVER_PORT: u16 = 80;
/// The first port of clients.
const FIRST_PORT: u16 = 20_000;

/// How much later the ISS of a connection is than all of the one before.
const ISS_STEP: u32 = 1_000_000;

/// The address of a node.
pub fn address_of(node: usize) -> Ipv4Addr {
    let [high, low] = (node as u16 + 1).to_be_bytes();
    Ipv4Addr::new(10, 0, high, low)
}

/// The node that has an address.
pub fn node_of(address: Ipv4Addr) -> usize {
    let [_, _, high, low] = address.octets();
    usize::from(u16::from_be_bytes([high, low])) - 1
}

/// A host. What it sends waits in `outbox`.
pub struct Host {
    pub id: usize,
    pub ends: Vec<Endpoint>,
    pub listener: Listener,
    pub outbox: Vec<Packet>,
    /// Ends whose ports another connection has taken.
    pub replaced: Vec<usize>,
    /// What its interface sees, if that is wanted.
    pub capture: Option<Pcap>,
    /// The wake-up of the listener that is on its way, µs.
    pub scheduled: Option<u64>,
    table: BTreeMap<Ends, usize>,
    /// The last sequence number that was sent between these ends: the ISS of another connection
    /// comes after it, lest old segments fit (RFC 6528).
    highest: BTreeMap<Ends, SeqNumber>,
    /// What is added to the clock in timestamps between these ends: always the same, so that those
    /// of the next connection are later (RFC 7323 5.4).
    offsets: BTreeMap<Ends, u32>,
    /// Path MTUs less fixed headers that routers have told of.
    paths: BTreeMap<Ipv4Addr, u16>,
    mss: u16,
    runs: bool,
    id_of_next: u16,
}

impl Host {
    pub fn new(id: usize, plan: &Plan, runs: bool, rng: Rng) -> Self {
        Self {
            id,
            ends: Vec::new(),
            listener: Listener::new(plan.listener, rng),
            outbox: Vec::new(),
            replaced: Vec::new(),
            capture: None,
            scheduled: None,
            table: BTreeMap::new(),
            highest: BTreeMap::new(),
            offsets: BTreeMap::new(),
            paths: BTreeMap::new(),
            mss: plan.mss,
            runs,
            id_of_next: 0,
        }
    }

    fn place(&self, ends: Ends) -> Place {
        let path = self.paths.get(&ends.peer.0).copied();
        Place {
            ends,
            runs: self.runs,
            mss: path.unwrap_or(u16::MAX).min(self.mss),
        }
    }

    /// The ends of connection `flow` as its client has them: the ports of the connection before,
    /// where those are free again, else ports of its own.
    fn choose_ends(&mut self, plan: &Plan, flow: usize, now: Instant) -> Ends {
        let f = &plan.flows[flow];
        let server = (address_of(f.hosts[1]), SERVER_PORT);
        if let Start::After { flow: before, .. } = f.start {
            let is_old = |e: &Endpoint| e.flow == before && e.side == 0;
            if let Some(id) = self.ends.iter().position(is_old) {
                let old = &mut self.ends[id];
                if old.place.ends.peer == server && old.may_reuse(now) {
                    old.replace(now);
                    self.replaced.push(id);
                    return old.place.ends;
                }
            }
        }
        let port = FIRST_PORT + flow as u16;
        Ends {
            local: (address_of(self.id), port),
            peer: server,
        }
    }

    /// What a connection between `ends` begins with: what its side wants the first time.
    fn identity(&mut self, ends: &Ends, side: &Side) -> Identity {
        let last = self.highest.get(ends);
        let offset = self.offsets.entry(*ends).or_insert(side.ts_offset);
        Identity {
            iss: last.map_or(SeqNumber(side.iss), |last| *last + ISS_STEP),
            ts_offset: *offset,
        }
    }

    /// Notes that `seq` was sent.
    fn sent(&mut self, ends: &Ends, seq: SeqNumber) {
        let highest = self.highest.entry(*ends).or_insert(seq);
        *highest = highest.max(seq);
    }

    /// The client of connection `flow` opens it; returns the end and the ends' names.
    pub fn connect(&mut self, plan: &Plan, flow: usize, now: Instant) -> (usize, Ends) {
        let ends = self.choose_ends(plan, flow, now);
        let id = self.open(plan, flow, 0, ends, now);
        (id, ends)
    }

    /// The other end of a simultaneous open.
    pub fn connect_back(&mut self, plan: &Plan, flow: usize, ends: Ends, now: Instant) -> usize {
        self.open(plan, flow, 1, ends, now)
    }

    fn open(&mut self, plan: &Plan, flow: usize, side: usize, ends: Ends, now: Instant) -> usize {
        let place = self.place(ends);
        let ids = self.identity(&ends, &plan.flows[flow].sides[side]);
        let f = (flow, &plan.flows[flow]);
        let end = Endpoint::connect(plan.seed, f, side, place, ids, now);
        self.add(end)
    }

    fn add(&mut self, end: Endpoint) -> usize {
        let id = self.ends.len();
        self.table.insert(end.place.ends, id);
        self.ends.push(end);
        id
    }

    /// A packet arrived; returns the end that it changed, if it changed one.
    pub fn on_packet(
        &mut self,
        plan: &Plan,
        packet: &Packet,
        now: Instant,
        trace: &mut Trace,
    ) -> Option<usize> {
        if let Some(capture) = &mut self.capture {
            capture.record(now.us(), &packet.bytes);
        }
        let id = self.id;
        match packet::read(packet) {
            None => {
                trace.line(now.us(), || format!("  -> {id} corrupted"));
                None
            }
            Some(Arrival::TooBig { ends, seq, mtu }) => {
                trace.line(now.us(), || format!("  -> {id} too big: {seq}, MTU {mtu}"));
                let mss = mtu.saturating_sub(HEADERS);
                let end = *self.table.get(&ends)?;
                let believed = self.ends[end].on_too_big(SeqNumber(seq), mss, now);
                if believed {
                    self.paths.insert(ends.peer.0, mss);
                }
                Some(end)
            }
            Some(Arrival::Segment { ends, seg, text }) => {
                trace.line(now.us(), || {
                    format!("  -> {id}:{} {}", ends.peer.1, show(&seg))
                });
                self.on_segment(plan, ends, &seg, text, now)
            }
        }
    }

    fn on_segment(
        &mut self,
        plan: &Plan,
        ends: Ends,
        seg: &Segment,
        text: &[u8],
        now: Instant,
    ) -> Option<usize> {
        let mut floor = None;
        if let Some(id) = self.table.get(&ends).copied() {
            let end = &mut self.ends[id];
            match end.on_segment(seg, text, now) {
                endpoint::Outcome::Reopen(_) if self.listener.expected(&ends) == Some(end.flow) => {
                    panic!("an old SYN reopened the connection");
                }
                endpoint::Outcome::Reopen(after) => {
                    end.replace(now);
                    self.replaced.push(id);
                    floor = Some(after);
                }
                endpoint::Outcome::Taken => return Some(id),
            }
        }
        let flow = self.listener.expected(&ends);
        let Some(flow) = flow.filter(|_| ends.local.1 == SERVER_PORT) else {
            if let Some(out) = Transmit::reset_for(seg) {
                self.reply(&ends, &out);
            }
            return None;
        };
        let mut ids = self.identity(&ends, &plan.flows[flow].sides[1]);
        ids.iss = floor.map_or(ids.iss, |floor: SeqNumber| ids.iss.max(floor));
        match self.listener.on_segment(plan, &ends, seg, ids, now) {
            Outcome::Nothing => None,
            Outcome::Reply(out) => {
                self.reply(&ends, &out);
                None
            }
            Outcome::Complete { flow, half } => {
                let place = self.place(ends);
                let f = (flow, &plan.flows[flow]);
                let end = Endpoint::accept(plan.seed, f, place, half, seg, text, now);
                let id = self.add(end);
                self.listener.accept_queue.push_back(id);
                Some(id)
            }
        }
    }

    /// A segment of an attacker may follow one that end `id` has taken.
    pub fn attack(&mut self, id: usize, now: Instant, trace: &mut Trace) {
        let end = &mut self.ends[id];
        if let Some(forged) = end.forged() {
            trace.line(now.us(), || format!("forged -> {}", show(&forged)));
            end.on_segment(&forged, &[], now);
            end.check_blind_icmp();
        }
    }

    /// The listener's timers and its accept().
    pub fn wake_listener(&mut self, plan: &Plan, now: Instant) {
        for (ends, out) in self.listener.on_timer(plan, now) {
            self.reply(&ends, &out);
        }
    }

    /// accept(): the end that an application has now.
    pub fn accept(&mut self, now: Instant) -> Option<usize> {
        let id = self.listener.accept(now)?;
        self.ends[id].accepted = true;
        self.ends[id].work(now);
        Some(id)
    }

    fn reply(&mut self, ends: &Ends, out: &Transmit) {
        let none = [&[][..]; 2];
        let id = &mut self.id_of_next;
        packet::emit(ends, out, none, self.runs, id, &mut self.outbox);
        if out.flags.has(Flags::SYN) {
            self.sent(ends, out.seq + 1);
        }
    }

    /// What end `id` has put out goes to the interface; whether it is over, its ports are free.
    pub fn collect(&mut self, id: usize) {
        let end = &mut self.ends[id];
        self.outbox.append(&mut end.outbox);
        let (ends, last) = (end.place.ends, end.last_sent);
        if end.over && self.table.get(&end.place.ends) == Some(&id) {
            self.table.remove(&ends);
        }
        if let Some(last) = last {
            self.sent(&ends, last);
        }
    }

    /// The MTU of the interface has changed.
    pub fn set_mss(&mut self, mss: u16) {
        self.mss = mss;
        for end in &mut self.ends {
            end.set_mss(mss);
        }
    }
}
