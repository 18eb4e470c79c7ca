// SPDX-License-Identifier: GPL-2.0

//! The run of a plan: hosts, lines and what happens on them, in virtual time.

use super::host::{address_of, node_of, Host};
use super::link::{Dropped, Link};
use super::packet::{self, Packet};
use super::params::{Flow, Plan, Start};
use super::pcap::Pcap;
use super::schedule::{Event, Schedule};
use super::trace::{show, Trace};
use super::verdict::Outcome;
use crate::support::rng::Rng;
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::time::Instant;

/// Events of a connection after which a run counts as one that never ends.
const MOST_EVENTS: u64 = 3_000_000;
/// Virtual time after which it does, µs: two days.
const MOST_TIME: u64 = 2 * 86_400 * 1_000_000;

/// A connection in the run.
#[derive(Clone, Copy, Default)]
pub(super) struct Course {
    /// The ends of client and server, once they are there.
    pub(super) ends: [Option<usize>; 2],
    /// The end that lost its connection first.
    first_over: Option<usize>,
    /// The connection that waits for this one has been told of its end.
    followed: bool,
    states: [Option<State>; 2],
    began: u64,
    ended: u64,
}

/// The hosts and what is between them.
pub struct World {
    pub(super) plan: Plan,
    pub(super) now: u64,
    pub(super) hosts: Vec<Host>,
    pub(super) links: Vec<Link>,
    routes: Vec<Vec<Option<usize>>>,
    schedule: Schedule,
    trace: Trace,
    pub(super) courses: Vec<Course>,
    /// Packets under way, connections not begun, ends not finished.
    under_way: usize,
    waiting: usize,
    unfinished: usize,
    pub(super) too_big: u64,
    arrivals: Vec<(u64, Packet)>,
}

impl World {
    /// `record`: with a trace and captures.
    pub fn new(plan: Plan, record: bool) -> Self {
        let mut rng = Rng::new(plan.seed ^ 0x5eed);
        let links: Vec<_> = plan
            .lines
            .iter()
            .map(|l| Link::new(l.link, plan.start, rng.fork()))
            .collect();
        let routes = plan.routes();
        let hosts = (0..plan.hosts).map(|id| {
            let first = plan.lines.iter().position(|l| l.from == id);
            let runs = first.is_some_and(|l| links[l].carries_runs());
            let mut host = Host::new(id, &plan, runs, rng.fork());
            host.capture = record.then(Pcap::new);
            host
        });
        let hosts = hosts.collect();
        let mut world = Self {
            now: plan.start,
            hosts,
            links,
            routes,
            schedule: Schedule::default(),
            trace: Trace::new(record),
            courses: vec![Course::default(); plan.flows.len()],
            under_way: 0,
            waiting: plan.flows.len(),
            unfinished: 0,
            too_big: 0,
            arrivals: Vec::new(),
            plan,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        let start = self.plan.start;
        for flow in 0..self.plan.flows.len() {
            if let Start::At(at) = self.plan.flows[flow].start {
                self.schedule.push(start + at, Event::Start { flow });
            }
        }
        for &(at, mss) in &self.plan.mss_changes {
            self.schedule.push(start + at, Event::MssChange { mss });
        }
    }

    /// The trace, and what all ends know that are not finished.
    pub fn report(&self) -> String {
        let mut text = self.trace.text();
        for host in &self.hosts {
            for (i, end) in host.ends.iter().enumerate() {
                if !end.is_finished() {
                    text += &format!("host {} end {i} {}\n", host.id, end.dump());
                }
            }
        }
        text
    }

    /// The captures, by host.
    pub fn captures(&self) -> impl Iterator<Item = (usize, &Pcap)> {
        let of = |h: &Host| h.id;
        self.hosts
            .iter()
            .filter_map(move |h| h.capture.as_ref().map(|c| (of(h), c)))
    }

    /// Runs to the end; panics where something does not hold.
    pub fn run(&mut self) -> Outcome {
        let most = MOST_EVENTS * self.plan.flows.len() as u64;
        for events in 0.. {
            assert!(events < most, "it never ends");
            assert!(self.now - self.plan.start < MOST_TIME, "it takes for ever");
            if self.is_over() || !self.step() {
                break;
            }
        }
        self.check_end();
        self.outcome()
    }

    /// Runs for `us` of virtual time.
    pub fn run_for(&mut self, us: u64) {
        let end = self.now + us;
        while self.schedule.next_at().is_some_and(|at| at <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Bytes that the end of `flow` on `side` has read so far.
    pub fn read_by(&self, flow: usize, side: usize) -> u64 {
        let host = &self.hosts[self.plan.flows[flow].hosts[side]];
        self.courses[flow].ends[side].map_or(0, |end| host.ends[end].app.read)
    }

    /// How long a connection lasted at its client, µs.
    pub fn lasted(&self, flow: usize) -> u64 {
        self.courses[flow].ended - self.courses[flow].began
    }

    fn is_over(&self) -> bool {
        self.under_way == 0
            && self.waiting == 0
            && self.unfinished == 0
            && self.hosts.iter().all(|h| h.listener.is_idle())
    }

    fn step(&mut self) -> bool {
        let Some((at, event)) = self.schedule.pop() else {
            return false;
        };
        self.now = self.now.max(at);
        let now = Instant::from_us(self.now);
        match event {
            Event::Arrival { node, packet } => {
                self.under_way -= 1;
                self.arrive(node, packet);
            }
            Event::Wake { host, end } => self.wake(host, end, at),
            Event::Listener { host } => {
                let h = &mut self.hosts[host];
                if h.scheduled == Some(at) {
                    h.scheduled = None;
                    h.wake_listener(&self.plan, now);
                    self.after(host, None);
                }
            }
            Event::Start { flow } => self.start(flow),
            Event::MssChange { mss } => self.hosts.iter_mut().for_each(|h| h.set_mss(mss)),
        }
        true
    }

    fn start(&mut self, flow: usize) {
        let now = Instant::from_us(self.now);
        let Flow {
            hosts: [client, server],
            simultaneous,
            ..
        } = self.plan.flows[flow];
        self.waiting -= 1;
        let (end, ends) = self.hosts[client].connect(&self.plan, flow, now);
        self.unfinished += 1;
        self.courses[flow].ends[0] = Some(end);
        self.courses[flow].began = self.now;
        let back = ends.reversed();
        if simultaneous {
            let other = self.hosts[server].connect_back(&self.plan, flow, back, now);
            self.unfinished += 1;
            self.courses[flow].ends[1] = Some(other);
            self.after(server, Some(other));
        } else {
            self.hosts[server].listener.expect(back, flow);
        }
        self.after(client, Some(end));
    }

    fn arrive(&mut self, node: usize, packet: Packet) {
        if node >= self.plan.hosts {
            if packet::is_sound(&packet) {
                self.send(node, packet);
            }
            return;
        }
        let now = Instant::from_us(self.now);
        let host = &mut self.hosts[node];
        let known = host.ends.len();
        let touched = host.on_packet(&self.plan, &packet, now, &mut self.trace);
        if let Some(new) = touched.filter(|id| *id == known) {
            self.unfinished += 1;
            let course = &mut self.courses[self.hosts[node].ends[new].flow];
            assert!(course.ends[1].is_none(), "a connection was accepted twice");
            course.ends[1] = Some(new);
        }
        self.after(node, touched);
        if let Some(id) = touched {
            self.hosts[node].attack(id, now, &mut self.trace);
            self.after(node, touched);
        }
    }

    fn wake(&mut self, host: usize, end: usize, at: u64) {
        let now = Instant::from_us(self.now);
        let e = &mut self.hosts[host].ends[end];
        if e.scheduled != Some(at) {
            return;
        }
        e.scheduled = None;
        if e.wakes_at().is_some_and(|at| at <= self.now) {
            self.trace
                .line(self.now, || format!("{host} end {end} wakes"));
            e.wake(now);
        }
        self.after(host, Some(end));
    }

    /// Sends what a host has put out, plans when it is called next, and notes what has changed.
    fn after(&mut self, host: usize, touched: Option<usize>) {
        let now = Instant::from_us(self.now);
        while let Some(end) = self.hosts[host].replaced.pop() {
            self.settle(host, end);
        }
        if let Some(end) = touched {
            self.settle(host, end);
        }
        while let Some(end) = self.hosts[host].accept(now) {
            self.settle(host, end);
        }
        let h = &mut self.hosts[host];
        let wanted = h.listener.wakes_at(&self.plan);
        if let Some(at) = wanted.filter(|at| h.scheduled.is_none_or(|s| *at < s)) {
            h.scheduled = Some(at);
            self.schedule.push(at, Event::Listener { host });
        }
        let mut outbox = std::mem::take(&mut self.hosts[host].outbox);
        for packet in outbox.drain(..) {
            self.send(host, packet);
        }
        self.hosts[host].outbox = outbox;
    }

    fn settle(&mut self, host: usize, end: usize) {
        self.hosts[host].collect(end);
        let e = &mut self.hosts[host].ends[end];
        if let Some(at) = e.wakes_at() {
            let at = at.max(self.now);
            if e.scheduled.is_none_or(|s| at < s) {
                e.scheduled = Some(at);
                self.schedule.push(at, Event::Wake { host, end });
            }
        }
        self.note(host, end);
    }

    /// Notes the progress of a connection. An error is right only where an application was rude, or
    /// the other end is over already.
    fn note(&mut self, host: usize, end: usize) {
        let e = &mut self.hosts[host].ends[end];
        let (flow, side) = (e.flow, e.side);
        let course = &mut self.courses[flow];
        let state = e.state();
        if course.states[side] != Some(state) {
            let error = e.error;
            self.trace.line(self.now, || {
                format!(
                    "flow {flow} {} {state:?} {error:?}",
                    ["client", "server"][side]
                )
            });
            course.states[side] = Some(state);
        }
        if e.over && course.first_over.is_none() {
            assert!(
                e.error.is_none() || !self.plan.flows[flow].is_clean(),
                "side {side} of connection {flow} failed: {:?}",
                e.error
            );
            course.first_over = Some(side);
        }
        if e.is_finished() && !e.counted {
            e.counted = true;
            self.unfinished -= 1;
        }
        let ended = e.app.closed && matches!(state, State::Closed | State::TimeWait);
        if side == 0 && ended && !course.followed {
            course.followed = true;
            course.ended = self.now;
            self.follow(flow);
        }
    }

    /// Begins the connections that have waited for the end of `ended`.
    fn follow(&mut self, ended: usize) {
        for flow in 0..self.plan.flows.len() {
            match self.plan.flows[flow].start {
                Start::After {
                    flow: before,
                    pause,
                } if before == ended => {
                    self.schedule.push(self.now + pause, Event::Start { flow });
                }
                _ => {}
            }
        }
    }

    /// A node sends a packet towards its destination.
    fn send(&mut self, node: usize, packet: Packet) {
        let to = node_of(packet.dst());
        let link = self.routes[node][to].expect("every host can be reached");
        let line = self.plan.lines[link];
        if let Some(capture) = self.hosts.get_mut(node).and_then(|h| h.capture.as_mut()) {
            capture.record(self.now, &packet.bytes);
        }
        let copy = self.trace.is_on().then(|| packet.clone());
        let quoted = (packet.largest > line.link.least_mtu()).then(|| packet.clone());
        let mut arrivals = std::mem::take(&mut self.arrivals);
        let fate = self.links[link].send(packet, self.now, &mut arrivals);
        if let Some(copy) = copy {
            self.trace_sent(node, &copy, fate);
        }
        for (at, packet) in arrivals.drain(..) {
            self.under_way += 1;
            let node = line.to;
            self.schedule.push(at, Event::Arrival { node, packet });
        }
        self.arrivals = arrivals;
        if let (Err(Dropped::TooBig(mtu)), Some(packet)) = (fate, quoted) {
            self.too_big += 1;
            let error = packet::too_big(address_of(line.to), &packet, mtu);
            self.send(line.to, error);
        }
    }

    fn trace_sent(&mut self, node: usize, packet: &Packet, fate: Result<(), Dropped>) {
        self.trace.line(self.now, || {
            let text = match packet::read(packet) {
                Some(packet::Arrival::Segment { ends, seg, .. }) => {
                    format!("{}->{} {}", ends.peer.1, ends.local.1, show(&seg))
                }
                _ => "ICMP".into(),
            };
            let lost = fate.err().map_or(String::new(), |why| format!(" {why:?}"));
            format!("{node} {text}{lost}")
        });
    }
}
