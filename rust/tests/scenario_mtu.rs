// SPDX-License-Identifier: GPL-2.0

//! The path's MTU: found by probing (RFC 4821, 8899), by what a black hole swallows, and told by
//! ICMP (RFC 1191). The peer acknowledges each segment that the path carries, 10 ms later. Sizes are
//! bytes of text, without options; the peer takes 1460.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::config::{Config, Identity};
use oxtcp_core::tcp::congestion::CongestionControl;
use oxtcp_core::tcp::mtu_probe::{Settings, When};
use oxtcp_core::tcp::segment::{Flags, Segment, Transmit};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::Tcb;

const UNA: u32 = ISS + 1;
const PEER: u16 = 1460;

fn probing(when: When) -> Config {
    Config {
        mss: PEER,
        mtu: Settings {
            when,
            base_mss: 512,
            ..Settings::default()
        },
        ..with_sack()
    }
}

/// A connection and a path that carries segments of no more than `carries` bytes of text, and tells
/// nobody.
struct Path {
    end: End,
    carries: u32,
    /// What arrived, beyond `acked`.
    early: Vec<(u32, u32)>,
    acked: u32,
    /// Its numbers are so far ahead of those that are noted here.
    shift: u32,
    /// Each segment that went out: length, whether again.
    segments: Vec<(u32, bool)>,
}

impl Path {
    fn new(config: Config, carries: u32) -> Self {
        Self::shifted(config, carries, 0)
    }

    fn shifted(config: Config, carries: u32, shift: u32) -> Self {
        let mut end = End::connecting(config);
        let iss = SeqNumber(ISS) + shift;
        end.tcb = Tcb::connect(&config, Identity { iss, ..ids() }, end.now);
        assert_eq!(end.sent().len(), 1);
        let mut syn = seg(SYN | ACK, IRS, (iss + 1).0, 0);
        syn.options = syn_options(&config);
        syn.options.mss = Some(config.mss);
        end.limits.mss = config.mss;
        end.limits.max_run = 20_000;
        end.until(10);
        end.arrive(syn);
        end.sent();
        assert_eq!(end.tcb.state(), State::Established);
        Self {
            end,
            carries,
            early: Vec::new(),
            acked: UNA,
            shift,
            segments: Vec::new(),
        }
    }

    fn mss(&self) -> u16 {
        self.end.tcb.mss()
    }

    fn largest(&self) -> u32 {
        self.segments.iter().map(|s| s.0).max().unwrap_or(0)
    }

    fn carry(&mut self, all: Vec<Transmit>) {
        for run in all {
            let mut at = 0;
            while at < run.len {
                let len = (run.len - at).min(u32::from(run.mss));
                self.segments.push((len, run.retransmission));
                if len <= self.carries {
                    let start = run.seq.0.wrapping_sub(self.shift) + at;
                    self.early.push((start, start + len));
                }
                at += len;
            }
        }
        self.early.sort_unstable();
    }

    /// The peer acknowledges all that arrived.
    fn acknowledge(&mut self) {
        if self.early.is_empty() {
            return;
        }
        for (start, end) in std::mem::take(&mut self.early) {
            if start <= self.acked {
                self.acked = self.acked.max(end);
            } else {
                match self.early.last_mut() {
                    Some(last) if last.1 == start => last.1 = end,
                    _ => self.early.push((start, end)),
                }
            }
        }
        let next = self.end.tcb.rcv_nxt().0;
        let number = |seen: u32| seen.wrapping_add(self.shift);
        let plain: Segment = seg(Flags::ACK, next, number(self.acked), 0);
        let latest = self.early.iter().rev().take(3);
        let blocks: Vec<_> = latest.map(|&(s, e)| (number(s), number(e))).collect();
        self.end.arrive(with_blocks(plain, &blocks));
    }

    fn is_all_acked(&self) -> bool {
        self.end.tcb.unacked() == 0
    }

    /// Sends `bytes`, until all are acknowledged or `ms` have passed.
    fn send(&mut self, bytes: u32, ms: u64) {
        self.end.send(bytes);
        let end = self.end.ms() + ms;
        while !self.is_all_acked() && self.end.ms() < end {
            let out = self.end.out();
            self.carry(out);
            let then = self.end.ms() + 10;
            self.tick(then);
            self.acknowledge();
        }
    }

    /// Lets time pass, with the timers.
    fn tick(&mut self, ms: u64) {
        let then = oxtcp_core::tcp::time::Instant::from_us(ms * 1000);
        while let Some(at) = self.end.tcb.deadline().filter(|at| *at <= then) {
            self.end.now = self.end.now.max(at);
            let end = &mut self.end;
            end.tcb.on_timer(&end.config, &mut end.rx, end.now);
            let out = self.end.out();
            self.carry(out);
        }
        self.end.now = self.end.now.max(then);
    }
}

#[test]
fn probing_starts_small_and_finds_a_wide_path() {
    let mut path = Path::new(probing(When::Always), 1460);
    assert_eq!(path.mss(), 512);
    path.send(400_000, 5000);
    assert!(path.is_all_acked());
    assert!(path.mss() > 1460 - 8, "{}", path.mss());
    assert!(path.segments.iter().all(|s| !s.1), "nothing is sent again");
}

#[test]
fn probing_finds_what_a_narrow_path_carries() {
    for carries in [600, 900, 1000, 1234, 1400] {
        let mut path = Path::new(probing(When::Always), carries);
        path.send(400_000, 20_000);
        assert!(path.is_all_acked(), "{carries}");
        let mss = u32::from(path.mss());
        assert!(mss <= carries && mss + 8 >= carries, "{carries}: {mss}");
    }
}

/// The numbers wrap somewhere in what is sent until the search is over.
#[test]
fn the_search_goes_on_where_numbers_wrap() {
    for wrap in (0..20).map(|n| n * 1000) {
        let shift = 0u32.wrapping_sub(UNA + wrap);
        for carries in [900, 1460] {
            let mut path = Path::shifted(probing(When::Always), carries, shift);
            path.send(400_000, 20_000);
            assert!(path.is_all_acked(), "{wrap}");
            let mss = u32::from(path.mss());
            let found = mss <= carries && mss + 8 >= carries;
            assert!(found, "{wrap}: {mss} of {carries}");
        }
    }
}

#[test]
fn a_lost_probe_is_no_congestion() {
    let mut path = Path::new(probing(When::Always), 900);
    path.send(400_000, 20_000);
    assert!(path.segments.iter().any(|s| s.0 > 900), "it was tried");
    let lost = path.segments.iter().filter(|s| s.0 > 900).count();
    let again = path.segments.iter().filter(|s| s.1).count();
    assert!(again <= 3 * lost, "only the probes are sent again");
    assert_eq!(path.end.tcb.congestion().ssthresh(), u32::MAX);
}

#[test]
fn a_probe_is_one_segment_that_is_larger() {
    let mut path = Path::new(probing(When::Always), 1460);
    path.send(40_000, 5000);
    path.end.send(40_000);
    let mss = path.mss();
    let out = path.end.out();
    let probes: Vec<_> = out.iter().filter(|o| o.mss != mss).collect();
    assert_eq!(probes.len(), 1, "one at a time");
    assert_eq!(probes[0].len, u32::from(probes[0].mss));
    assert!(probes[0].mss > mss);
}

#[test]
fn a_small_window_is_not_probed() {
    let mut path = Path::new(probing(When::Always), 1460);
    path.end.send(20_000);
    let out = path.end.out();
    assert!(out.iter().all(|o| o.mss == 512), "ten segments are too few");
}

#[test]
fn little_text_is_not_probed() {
    let mut path = Path::new(probing(When::Always), 1460);
    path.send(100_000, 5000);
    path.end.config.mtu.threshold = 2;
    path.segments.clear();
    path.send(1400, 500);
    assert_eq!(path.segments.len(), 1);
}

#[test]
fn without_probing_the_path_is_believed() {
    let mut path = Path::new(probing(When::Never), 1000);
    assert_eq!(path.mss(), PEER);
    path.send(5000, 20_000);
    assert!(!path.is_all_acked());
    assert_eq!(
        path.acked, UNA,
        "for all that is known, nothing gets through"
    );
}

#[test]
fn a_black_hole_is_found_after_some_timeouts() {
    let mut path = Path::new(probing(When::BlackHole), 1000);
    path.send(5000, 10_000);
    assert!(path.is_all_acked());
    let large = path.segments.iter().filter(|s| s.0 > 1000).count();
    assert!(large > 4, "it took a while: {:?}", path.segments);
    assert!(path.mss() <= 1000, "{}", path.mss());
}

#[test]
fn a_black_hole_is_not_suspected_before_retries1_timeouts() {
    let mut config = probing(When::BlackHole);
    config.retries1 = 5;
    let mut path = Path::new(config, 1000);
    path.send(5000, 4000);
    assert_eq!(path.mss(), PEER);
    path.send(0, 60_000);
    assert!(path.is_all_acked());
    assert_eq!(path.mss(), 512);
}

#[test]
fn behind_a_black_hole_larger_segments_are_tried_again() {
    let mut path = Path::new(probing(When::BlackHole), 1000);
    path.send(5000, 10_000);
    path.send(400_000, 60_000);
    assert!(path.is_all_acked());
    let mss = path.mss();
    assert!((992..=1000).contains(&mss), "{mss}");
}

#[test]
fn a_very_narrow_black_hole_is_found_by_halves() {
    let mut path = Path::new(probing(When::BlackHole), 200);
    path.send(3000, 120_000);
    assert!(path.is_all_acked());
    assert_eq!(path.mss(), 128);
}

#[test]
fn after_the_interval_the_search_begins_again() {
    let mut path = Path::new(probing(When::Always), 900);
    path.send(400_000, 20_000);
    path.carries = 1460;
    path.send(100_000, 20_000);
    assert!(path.mss() <= 900);
    let later = path.end.ms() + 600_000;
    path.tick(later);
    path.send(400_000, 20_000);
    assert!(path.mss() > 1450, "{}", path.mss());
}

#[test]
fn icmp_makes_segments_smaller_without_congestion() {
    let mut path = Path::new(probing(When::Never), 1000);
    path.end.send(10_000);
    let out = path.end.out();
    path.carry(out);
    path.end.limits.mss = 1000;
    let end = &mut path.end;
    end.tcb.on_mtu_reduced(&mut end.rx, 1000);
    path.segments.clear();
    path.send(0, 2000);
    assert!(path.is_all_acked());
    assert_eq!(path.largest(), 1000);
    assert_eq!(path.end.tcb.congestion().ssthresh(), u32::MAX);
}

#[test]
fn icmp_that_says_nothing_new_loses_nothing() {
    let mut path = Path::new(probing(When::Never), 1460);
    path.end.send(10_000);
    assert!(!path.end.out().is_empty());
    for size in [1460, 1500, u16::MAX] {
        let end = &mut path.end;
        end.tcb.on_mtu_reduced(&mut end.rx, size);
        assert_eq!(path.end.tcb.recovery_number(), 0);
        assert!(path.end.out().is_empty());
    }
}

#[test]
fn icmp_leaves_alone_what_is_small_enough() {
    let mut path = Path::new(probing(When::Never), 1460);
    path.end.config.nodelay = true;
    path.end.send(300);
    path.end.out();
    path.end.send(1460);
    path.end.out();
    let end = &mut path.end;
    end.limits.mss = 800;
    end.tcb.on_mtu_reduced(&mut end.rx, 800);
    let again: Vec<_> = path
        .end
        .out()
        .iter()
        .map(|o| (o.seq.0 - UNA, o.len))
        .collect();
    assert_eq!(again, [(300, 1460)]);
    assert_eq!(path.mss(), 800);
}

#[test]
fn icmp_bounds_the_search() {
    let mut path = Path::new(probing(When::Always), 1460);
    path.end.limits.mss = 1000;
    path.send(400_000, 20_000);
    assert!(path.is_all_acked());
    assert!(path.largest() <= 1000);
    assert!(path.mss() > 992 - 8);
}

#[test]
fn a_black_hole_does_not_end_the_connection() {
    let mut path = Path::new(probing(When::BlackHole), 1000);
    path.send(100_000, 60_000);
    assert_eq!(path.end.tcb.state(), State::Established);
    assert_eq!(path.acked, UNA + 100_000);
}

/// A connection whose window had `window` bytes when it came to rest, an hour ago. No probe has been
/// sent so far; the next text may begin with one.
fn rested(peer: u16, window: u32) -> Path {
    let mut config = Config {
        mss: peer,
        slow_start_after_idle: true,
        ..probing(When::Always)
    };
    let threshold = config.mtu.threshold;
    config.mtu.threshold = u16::MAX;
    let mut path = Path::new(config, u32::from(peer));
    let round = |path: &mut Path, bytes: u32| {
        path.end.send(bytes);
        let all = path.end.out();
        path.carry(all);
        path.end.wait(10);
        path.acknowledge();
    };
    while path.end.tcb.cwnd() < window {
        let cwnd = path.end.tcb.cwnd();
        round(&mut path, cwnd);
    }
    while !path.is_all_acked() {
        round(&mut path, 0);
    }
    path.end.wait(3_600_000);
    path.end.config.mtu.threshold = threshold;
    path
}

/// A rest counts whatever is sent first behind it (RFC 5681 4.1).
#[test]
fn a_rest_that_a_probe_ends_leaves_the_initial_window() {
    let mut path = rested(PEER, 20_000);
    let mss = u32::from(path.mss());
    path.end.send(30_000);
    let out = path.end.out();
    assert!(out[0].len > mss, "a probe");
    let burst: u32 = out.iter().map(|out| out.len).sum();
    assert!(burst <= 10 * mss, "{burst}");
}

/// The probe fits the window of before the rest, and not the one behind it.
#[test]
fn a_probe_that_a_rest_left_no_window_for_is_text_instead() {
    let mut path = rested(40_000, 40_000);
    let mss = u32::from(path.mss());
    path.end.send(40_000);
    let out = path.end.out();
    assert!(out.iter().all(|out| u32::from(out.mss) == mss));
    let burst: u32 = out.iter().map(|out| out.len).sum();
    assert_eq!(burst, 10 * mss);
}
