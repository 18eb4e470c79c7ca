// SPDX-License-Identifier: GPL-2.0

//! Proportional rate reduction (RFC 9937) through the whole of a connection: a path that delivers a
//! segment every two milliseconds, forty after it was sent, twenty on it, some of them lost.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::congestion::CongestionControl;
use std::collections::VecDeque;

const MSS: u32 = harness::MSS as u32;
/// The first segment of the flight in which losses happen, and the first behind it.
const FIRST: u32 = 10;
const BEHIND: u32 = 30;
const FLIGHT: u32 = BEHIND - FIRST;
/// Segments that the user sends in all.
const ALL: u32 = 90;

/// The sender, the segments on their way to a peer, and what that has.
struct Path {
    end: End,
    /// Each with the time of its sending, ms.
    on_way: VecDeque<(u64, u32)>,
    lost: Vec<u32>,
    got: Vec<bool>,
    /// The segment that arrived last.
    latest: u32,
    /// When, ms.
    arrived_at: u64,
    /// Segments that a timer sent before it.
    by_timer: u32,
    /// The congestion window before the recovery, segments.
    prior: u32,
}

/// What an arrival at the peer brought about, in segments.
#[derive(Debug)]
struct Arrival {
    delivered: u32,
    sent: u32,
    advanced: bool,
    /// The recovery's state before and after the acknowledgment.
    states: (u8, u8),
    /// What was in the network before anything was sent.
    pipe: u32,
}

impl Path {
    /// A flight of twenty segments; of them `lost` will be.
    fn new(lost: &[u32]) -> Self {
        let mut path = Self {
            end: End::established_in(with_sack(), 40),
            on_way: VecDeque::new(),
            lost: lost.iter().map(|i| FIRST + i).collect(),
            got: vec![false; ALL as usize],
            latest: 0,
            arrived_at: 0,
            by_timer: 0,
            prior: 0,
        };
        path.end.send(ALL * MSS);
        path.send();
        for _ in 0..FIRST {
            path.arrival();
        }
        assert_eq!(path.on_way.len(), FLIGHT as usize);
        assert_eq!(path.end.tcb.cwnd(), FLIGHT * MSS);
        path
    }

    fn send(&mut self) -> u32 {
        let sent = self.end.sent();
        self.put(&sent)
    }

    /// Puts what was sent on its way; returns the number of segments.
    fn put(&mut self, sent: &[Sent]) -> u32 {
        for (ms, seq, len, _) in sent {
            assert_eq!(len % MSS, 0);
            let first = (seq - ISS - 1) / MSS;
            let run = first..first + len / MSS;
            self.on_way.extend(run.map(|i| (*ms, i)));
        }
        sent.iter().map(|s| s.2 / MSS).sum()
    }

    /// Segments up to which the peer has all.
    fn una(&self) -> u32 {
        self.got.iter().take_while(|got| **got).count() as u32
    }

    /// The peer's blocks, the one with the latest segment first.
    fn blocks(&self) -> Vec<(u32, u32)> {
        let mut all = Vec::new();
        let mut i = self.una();
        while i < ALL {
            let run = self.got[i as usize..].iter().take_while(|got| **got);
            let len = run.count() as u32;
            if len > 0 {
                all.push((i, i + len));
            }
            i += len + 1;
        }
        all.sort_by_key(|b| !(b.0..b.1).contains(&self.latest));
        all.truncate(4);
        all.into_iter()
            .map(|(a, b)| (ISS + 1 + a * MSS, ISS + 1 + b * MSS))
            .collect()
    }

    /// The next segment on the way arrives, unless it is to be lost.
    fn next(&mut self) -> Option<Arrival> {
        let (sent_at, i) = self.on_way.pop_front().expect("something is on its way");
        self.arrived_at = (sent_at + 40).max(self.arrived_at + 2);
        if self.end.tcb.recovery_number() != 3 {
            self.prior = self.end.tcb.cwnd() / MSS;
        }
        let early = self.end.until(self.arrived_at);
        self.by_timer += self.put(&early);
        if let Some(at) = self.lost.iter().position(|lost| *lost == i) {
            self.lost.remove(at);
            return None;
        }
        let una = self.una();
        assert!(!self.got[i as usize], "{i} was sent again needlessly");
        self.got[i as usize] = true;
        self.latest = i;
        let before = self.end.tcb.recovery_number();
        let ack = seg(ACK, IRS + 1, ISS + 1 + self.una() * MSS, 0);
        self.end.arrive(with_blocks(ack, &self.blocks()));
        let board = self.end.tcb.scoreboard();
        let pipe = board.out().bytes + board.resent().bytes;
        let pipe = (pipe - board.sacked().bytes - board.lost().bytes) / MSS;
        let after = self.end.tcb.recovery_number();
        let sent = self.send() + core::mem::take(&mut self.by_timer);
        Some(Arrival {
            delivered: 1,
            sent,
            advanced: self.una() > una,
            states: (before, after),
            pipe,
        })
    }

    fn arrival(&mut self) -> Arrival {
        loop {
            if let Some(arrival) = self.next() {
                return arrival;
            }
        }
    }

    /// The arrivals of the recovery: from the one that begins it to the one before its end.
    fn recovery(&mut self) -> Vec<Arrival> {
        let mut all = Vec::new();
        loop {
            let arrival = self.arrival();
            match arrival.states {
                (_, 3) => all.push(arrival),
                (3, _) => return all,
                _ => assert!(all.is_empty()),
            }
        }
    }

    fn ssthresh(&self) -> u32 {
        self.end.tcb.congestion().ssthresh() / MSS
    }
}

#[test]
fn the_first_repetition_goes_out_at_once() {
    let mut path = Path::new(&[0]);
    let first = loop {
        let arrival = path.arrival();
        if arrival.states.1 == 3 {
            break arrival;
        }
    };
    assert_eq!(first.states, (1, 3));
    assert_eq!(first.sent, 1);
    assert_eq!(path.on_way.back().map(|s| s.1), Some(FIRST));
}

#[test]
fn before_the_third_duplicate_each_lets_one_new_segment_out() {
    let mut path = Path::new(&[0]);
    for _ in 0..2 {
        let arrival = path.arrival();
        assert_eq!((arrival.states.1, arrival.sent), (1, 1));
    }
    assert_eq!(path.on_way.back().map(|s| s.1), Some(BEHIND + 1));
}

#[test]
fn one_loss_lets_out_half_of_what_arrives() {
    let mut path = Path::new(&[0]);
    let all = path.recovery();
    assert_eq!(path.ssthresh(), FLIGHT / 2);
    let delivered: u32 = all.iter().map(|a| a.delivered).sum();
    let sent: u32 = all.iter().map(|a| a.sent).sum();
    assert!(
        sent.abs_diff(delivered.div_ceil(2)) <= 1,
        "{sent} {delivered}"
    );
    // It is even: three arrivals in turn let out one segment, or two.
    let above = all.iter().take_while(|a| a.pipe > FLIGHT / 2).count();
    assert!(above > 10);
    for three in all[1..above].windows(3) {
        let sent: u32 = three.iter().map(|a| a.sent).sum();
        assert!((1..=2).contains(&sent), "{three:?}");
    }
}

#[test]
fn the_window_is_the_threshold_when_it_ends() {
    for lost in [
        &[0][..],
        &[3],
        &[0, 1],
        &[0, 5, 9],
        &[2, 3, 4, 5, 6, 7, 8, 9, 10],
    ] {
        let mut path = Path::new(lost);
        path.recovery();
        let threshold = path.end.tcb.congestion().ssthresh();
        assert_eq!(threshold, path.prior / 2 * MSS);
        let window = path.end.tcb.cwnd();
        assert!((threshold..=threshold + MSS).contains(&window), "{lost:?}");
    }
}

/// The bound of PRR: never more than in proportion to what was delivered as long as there is more
/// in the network than the threshold.
#[test]
fn above_the_threshold_what_is_sent_is_in_proportion() {
    for lost in [&[0][..], &[5], &[0, 1, 2], &[0, 4, 8, 12]] {
        let mut path = Path::new(lost);
        let (mut delivered, mut sent) = (0, 0);
        let all = path.recovery();
        let threshold = path.ssthresh();
        for arrival in all {
            delivered += arrival.delivered;
            sent += arrival.sent;
            if arrival.pipe > threshold {
                let most = (delivered * threshold).div_ceil(path.prior).max(1);
                assert!(sent <= most, "{lost:?} {arrival:?}: {sent} of {most}");
            }
        }
    }
}

/// The slow-start reduction bound: when most is lost, each arrival lets out what it delivered, and
/// one segment more only where it shows progress.
#[test]
fn below_the_threshold_a_heavy_loss_is_repaired_without_a_burst() {
    let lost: Vec<u32> = (0..14).collect();
    let mut path = Path::new(&lost);
    let all = path.recovery();
    assert!(all.iter().any(|a| a.pipe < FLIGHT / 2));
    let mut progress = 0;
    let (mut delivered, mut sent) = (0, 0);
    for arrival in &all {
        let most = arrival.delivered + u32::from(arrival.advanced);
        delivered += arrival.delivered;
        sent += arrival.sent;
        progress += u32::from(arrival.advanced);
        if arrival.pipe <= FLIGHT / 2 {
            // What arrived before the recovery was noticed may be made up for.
            assert!(sent <= delivered + progress, "{arrival:?}");
        }
        assert!(arrival.sent <= most.max(2), "a burst: {arrival:?}");
        assert!(arrival.pipe + arrival.sent <= FLIGHT, "{arrival:?}");
    }
}

/// Packets are conserved: whatever is lost, there is never more in the network than before, and the
/// recovery ends.
#[test]
fn whatever_is_lost_there_is_never_more_in_the_network() {
    for pattern in 1u32..300 {
        // The last three arrive, else nobody would tell of the loss.
        let bits = pattern.wrapping_mul(0x9e37_79b9) >> 15;
        let lost: Vec<u32> = (0..17).filter(|i| bits & (1 << i) != 0).collect();
        if lost.is_empty() {
            continue;
        }
        let mut path = Path::new(&lost);
        for arrival in path.recovery() {
            let after = arrival.pipe + arrival.sent;
            assert!(after <= path.prior, "{lost:?} {arrival:?}");
        }
        assert!(path.una() >= BEHIND, "{lost:?}");
        assert!(path.end.tcb.cwnd() >= path.ssthresh() * MSS);
    }
}
