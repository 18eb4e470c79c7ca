// SPDX-License-Identifier: GPL-2.0

//! What must hold of a whole run when it is over, and what it came to.

use super::endpoint::Endpoint;
use super::packet::HEADERS;
use super::params::Flow;
use super::world::World;

/// What a run came to.
#[derive(Debug, Default, Clone, Copy)]
pub struct Outcome {
    pub connections: u64,
    pub segments: u64,
    pub retransmissions: u64,
    pub fast_retransmits: u64,
    pub bytes: u64,
    pub too_big: u64,
    pub overflows: u64,
    pub marked: u64,
    /// How long it took, µs of virtual time.
    pub took: u64,
}

impl std::ops::AddAssign for Outcome {
    fn add_assign(&mut self, one: Self) {
        self.connections += one.connections;
        self.segments += one.segments;
        self.retransmissions += one.retransmissions;
        self.fast_retransmits += one.fast_retransmits;
        self.bytes += one.bytes;
        self.too_big += one.too_big;
        self.overflows += one.overflows;
        self.marked += one.marked;
        self.took += one.took;
    }
}

impl World {
    pub(super) fn check_end(&self) {
        for host in &self.hosts {
            for end in &host.ends {
                assert!(
                    end.is_finished(),
                    "side {} of connection {} is stuck in {:?}, written {} of {}, read {} of {}",
                    end.side,
                    end.flow,
                    end.state(),
                    end.app.written,
                    end.app.params.bytes,
                    end.app.read,
                    end.app.expected
                );
                let limit = 20 + 10 * (self.now - self.plan.start) / 1_000_000;
                let answers = end.oracle.idle_answers;
                assert!(answers <= limit, "answered {answers} segments without text");
            }
        }
        for flow in 0..self.plan.flows.len() {
            self.check_flow(flow);
        }
    }

    fn check_flow(&self, flow: usize) {
        let f = &self.plan.flows[flow];
        let sides = [0, 1].map(|side| {
            let end = self.courses[flow].ends[side];
            end.map(|id| &self.hosts[f.hosts[side]].ends[id])
        });
        assert!(sides[0].is_some(), "connection {flow} never began");
        if f.is_clean() {
            for end in &sides {
                let end = end.expect("a clean connection has two ends");
                assert_eq!(
                    end.app.read, end.app.expected,
                    "side {} of connection {flow} has not read all",
                    end.side
                );
            }
        }
        let sum = |of: fn(&Endpoint) -> u64| -> u64 { sides.iter().flatten().map(|e| of(e)).sum() };
        let again = sum(|e| e.oracle.retransmissions);
        // What is on its way to a window that shrinks is lost.
        let shrinks = f.sides.iter().any(|side| side.config.shrink_window);
        if self.plan.perfect && !shrinks {
            let probes = sum(|e| e.oracle.probes);
            assert!(again <= probes, "retransmissions on a perfect network");
        }
        let segments = sum(|e| e.oracle.segments);
        let most = self.most_segments(f, sum(|e| e.app.written));
        assert!(
            segments <= most,
            "{segments} segments of connection {flow}, {most} are enough"
        );
    }

    /// A bound on the segments of a connection: twenty times what a perfect network needs, and what
    /// keepalive and probes take. Without timestamps forty times: where a third is lost, and queues
    /// are long, an old copy that arrives may pass for the last one, and what was sent in between
    /// for lost (RFC 8985 6.2, step 2).
    fn most_segments(&self, flow: &Flow, written: u64) -> u64 {
        let changed = self.plan.mss_changes.iter().map(|(_, mss)| *mss);
        let mss = changed.fold(self.plan.mss, u16::min);
        let least = self.plan.lines.iter().map(|l| l.link.least_mtu()).min();
        let path = least.unwrap_or(u16::MAX).saturating_sub(HEADERS);
        let mss = u64::from(mss.min(path).clamp(50, 536)) - 40;
        let seconds = (self.now - self.plan.start) / 1_000_000;
        let stamped = flow.sides.iter().all(|side| side.config.timestamps);
        let copies = if stamped { 20 } else { 40 };
        300 + copies * written.div_ceil(mss) + 4 * seconds + 20 * flow.pieces()
    }

    pub(super) fn outcome(&self) -> Outcome {
        let ends = || self.hosts.iter().flat_map(|h| h.ends.iter());
        Outcome {
            connections: self.plan.flows.len() as u64,
            segments: ends().map(|e| e.oracle.segments).sum(),
            retransmissions: ends().map(|e| e.oracle.retransmissions).sum(),
            fast_retransmits: ends().map(|e| e.oracle.fast_retransmits).sum(),
            bytes: ends().map(|e| e.app.read).sum(),
            too_big: self.too_big,
            overflows: self.hosts.iter().map(|h| h.listener.overflows).sum(),
            marked: self.links.iter().map(|l| l.marked).sum(),
            took: self.now - self.plan.start,
        }
    }
}
