// SPDX-License-Identifier: GPL-2.0

//! The congestion window and its use (RFC 7661): it grows only where it was full, is given back
//! where it is not needed, and begins anew after idling.

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
fn a_window_that_is_not_needed_is_given_back() {
    let mut s = Sender::new(idle_counts());
    s.round(10);
    s.round(20);
    assert_eq!(s.cwnd(), 40);
    let before = s.end.tcb.congestion().ssthresh();
    for _ in 0..10 {
        s.round(12);
    }
    // Half of what was not used: (40 + 12) / 2.
    assert_eq!(s.cwnd(), 26);
    assert!(s.end.tcb.congestion().ssthresh() >= before.min(30_000));
}

#[test]
fn it_is_kept_where_idling_does_not_count() {
    let mut s = Sender::new(with_sack());
    s.round(10);
    s.round(20);
    for _ in 0..10 {
        s.round(12);
    }
    assert_eq!(s.cwnd(), 40);
}

#[test]
fn it_comes_down_once_for_each_timeout() {
    let mut s = Sender::new(idle_counts());
    s.round(10);
    s.round(20);
    let mut windows = vec![s.cwnd()];
    for _ in 0..60 {
        s.round(5);
        if windows.last() != Some(&s.cwnd()) {
            windows.push(s.cwnd());
        }
    }
    assert_eq!(windows, [40, 25, 17, 13, 11, 10]);
}

#[test]
fn a_window_that_fills_at_the_end_of_a_batch_is_needed() {
    let mut s = Sender::new(idle_counts());
    s.round(10);
    s.round(20);
    // Ten timeouts' worth of nothing but small flights would give it back; this comes first.
    s.end.until(s.end.ms() + 150);
    s.round(40);
    assert_eq!(s.cwnd(), 80);
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
