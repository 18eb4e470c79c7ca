// SPDX-License-Identifier: GPL-2.0

//! The congestion window and its use (RFC 7661): it grows only where it was full, is kept for a while
//! where it is not used, though a loss shows it to be too wide then, and begins anew after idling.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::congestion::{Algorithm, CongestionControl};

const UNA: u32 = ISS + 1;

fn idle_counts() -> Config {
    Config {
        slow_start_after_idle: true,
        ..with_sack()
    }
}

/// A connection of 40 ms that has sent `n` segments, and what is acknowledged of it so far.
struct Sender {
    end: End,
    acked: u32,
}

impl Sender {
    fn new(config: Config) -> Self {
        Self {
            end: End::established_in(config, 40),
            acked: 0,
        }
    }

    /// Sends `n` segments, all acknowledged a round trip later.
    fn round(&mut self, n: u32) {
        self.end.send(n * 1000);
        assert_eq!(self.end.sent().len(), n as usize);
        self.end.until(self.end.ms() + 40);
        self.acked += n * 1000;
        self.end.acked(UNA + self.acked);
        self.end.sent();
    }

    /// Sends `n` segments, of which the first two are lost and the others arrive.
    fn loses_two(&mut self, n: u32) {
        let first = UNA + self.acked;
        self.end.send(n * 1000);
        assert_eq!(self.end.sent().len(), n as usize);
        self.end.until(self.end.ms() + 40);
        for n in 3..=n {
            let ack = seg(ACK, self.end.tcb.rcv_nxt().0, first, 0);
            let block = (first + 2000, first + n * 1000);
            self.end.arrive(with_blocks(ack, &[block]));
            self.end.sent();
        }
    }

    /// What was sent again of them arrives too.
    fn repaired(&mut self, n: u32) {
        self.end.until(self.end.ms() + 40);
        self.acked += n * 1000;
        self.end.acked(UNA + self.acked);
    }

    /// The window, in segments.
    fn cwnd(&self) -> u32 {
        self.end.tcb.cwnd() / 1000
    }
}

#[test]
fn a_full_window_grows_in_slow_start() {
    let mut s = Sender::new(with_sack());
    s.round(10);
    assert_eq!(s.cwnd(), 20);
}

#[test]
fn a_window_more_than_half_full_grows_in_slow_start() {
    let mut s = Sender::new(with_sack());
    s.round(6);
    assert_eq!(s.cwnd(), 16);
}

/// By all that was acknowledged, but what that is more than twice of what was used is given up if it
/// is not used either: it would not be validated.
#[test]
fn what_it_grows_by_beyond_twice_what_was_used_is_given_up() {
    for (next, left) in [(6, 12), (3, 12), (12, 12), (13, 16), (16, 16)] {
        let mut s = Sender::new(with_sack());
        s.round(6);
        s.end.send(next * 1000);
        assert_eq!(s.end.sent().len(), next as usize);
        assert_eq!(s.cwnd(), left, "{next}");
    }
}

#[test]
fn a_window_half_full_does_not_grow() {
    let mut s = Sender::new(with_sack());
    s.round(5);
    assert_eq!(s.cwnd(), 10);
}

#[test]
fn a_window_that_was_full_grows_with_the_acknowledgment_of_all_that_was_sent_then() {
    let mut s = Sender::new(with_sack());
    s.end.send(10_000);
    assert_eq!(s.end.sent().len(), 10);
    s.end.until(80);
    for acked in 1..=10 {
        // The last ones come when little is outstanding; the window was full when they were sent.
        s.end.acked(UNA + acked * 1000);
        s.end.sent();
    }
    assert_eq!(s.cwnd(), 20);
}

#[test]
fn in_congestion_avoidance_only_a_full_window_grows() {
    for (n, grown) in [(9, 0), (10, 1)] {
        let mut s = Sender::new(with_sack());
        s.round(10);
        // Half of 20, by a mark.
        let flight = s.end.tcb.flight();
        s.end.tcb.enter_cwr(flight, 0, s.end.now);
        s.round(1);
        s.round(1);
        let before = s.cwnd();
        assert!(before < 20);
        let all = before * n / 10;
        for _ in 0..3 {
            s.round(all.min(s.cwnd()));
        }
        assert_eq!(s.cwnd() > before, grown == 1, "{before}: {n}");
    }
}

#[test]
fn a_window_that_is_not_used_is_kept() {
    for config in [with_sack(), idle_counts()] {
        let mut s = Sender::new(config);
        s.round(10);
        s.round(20);
        for _ in 0..100 {
            s.round(12);
        }
        assert_eq!(s.cwnd(), 40);
    }
}

#[test]
fn it_is_given_back_by_halves_after_five_minutes_each() {
    for config in [with_sack(), idle_counts()] {
        let mut s = Sender::new(config);
        s.round(10);
        s.round(20);
        let mut windows = vec![(0, s.cwnd())];
        while s.end.ms() < 1_000_000 {
            s.round(3);
            if windows.last().unwrap().1 != s.cwnd() {
                windows.push((s.end.ms() / 60_000, s.cwnd()));
            }
        }
        assert_eq!(windows, [(0, 40), (5, 20), (10, 10)]);
        let ssthresh = s.end.tcb.congestion().ssthresh();
        assert!(ssthresh >= 30_000, "the threshold remembers it: {ssthresh}");
    }
}

#[test]
fn idling_gives_it_back_likewise_where_the_window_does_not_begin_anew() {
    for (minutes, window) in [(4, 40), (6, 20), (11, 10), (1000, 10)] {
        let mut s = Sender::new(with_sack());
        s.round(10);
        s.round(20);
        s.end.until(s.end.ms() + minutes * 60_000);
        s.end.send(40_000);
        assert_eq!(s.end.sent().len(), window, "{minutes}");
    }
}

/// Half of what is used, if the window was wider than the path is known to carry: then, and less by
/// half of what was lost, when the recovery ends (RFC 7661 4.4.1).
#[test]
fn a_loss_halves_what_was_used_of_it() {
    for algorithm in [Algorithm::Reno, Algorithm::Cubic] {
        let mut s = Sender::new(Config {
            congestion: algorithm,
            ..with_sack()
        });
        s.round(10);
        s.round(20);
        for _ in 0..30 {
            s.round(12);
        }
        assert_eq!(s.cwnd(), 40);
        s.loses_two(12);
        assert_eq!(s.end.tcb.congestion().ssthresh(), 6000, "{algorithm:?}");
        s.repaired(12);
        assert_eq!(s.cwnd(), 5, "{algorithm:?}");
        assert_eq!(s.end.tcb.congestion().ssthresh(), 5000);
    }
}

#[test]
fn a_loss_reduces_a_window_that_was_used_as_usual() {
    let mut s = Sender::new(with_sack());
    s.round(10);
    s.round(20);
    s.loses_two(30);
    s.repaired(30);
    assert_eq!((s.cwnd(), s.end.tcb.congestion().ssthresh()), (15, 15_000));
}

#[test]
fn a_loss_that_a_probe_repairs_counts_as_one_segment_of_what_was_used() {
    let mut s = Sender::new(with_sack());
    s.round(10);
    s.round(20);
    for _ in 0..30 {
        s.round(9);
    }
    assert_eq!(s.cwnd(), 40);
    let first = UNA + s.acked;
    s.end.send(9_000);
    assert_eq!(s.end.sent().len(), 9);
    s.end.until(s.end.ms() + 40);
    s.end.acked(first + 8000);
    // The ninth was lost, and is sent again as a probe.
    s.end.expire();
    assert_eq!(s.end.sent().len(), 1);
    assert_eq!(s.end.tcb.recovery_number(), 0, "not a timeout");
    s.end.until(s.end.ms() + 40);
    s.end.acked(first + 9000);
    s.end.send(1000);
    assert_eq!(s.end.sent().len(), 1);
    s.end.acked(first + 10_000);
    assert_eq!(s.cwnd(), 4);
}

#[test]
fn after_idling_the_window_begins_anew() {
    let mut s = Sender::new(idle_counts());
    s.round(10);
    s.round(20);
    s.end.until(s.end.ms() + 10_000);
    s.end.send(40_000);
    assert_eq!(s.end.sent().len(), 10);
}

#[test]
fn bbr_hears_of_idling_whatever_the_setting_for_windows() {
    let mut s = Sender::new(Config {
        congestion: Algorithm::Bbr,
        paced_below: true,
        ..with_sack()
    });
    for _ in 0..4 {
        s.round(10);
    }
    let format = |s: &Sender| format!("{:?}", s.end.tcb.congestion());
    assert!(format(&s).contains("idle_restart: false"), "{}", format(&s));
    s.end.until(s.end.ms() + 10_000);
    s.end.send(1000);
    s.end.sent();
    assert!(format(&s).contains("idle_restart: true"), "{}", format(&s));
}
