// SPDX-License-Identifier: GPL-2.0

//! Pacing: text waits for its time where the rate is ruled and nobody below keeps it, and runs are
//! as long as the rate says.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::congestion::Algorithm;
use oxtcp_core::tcp::pacing::Runs;
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::time::Duration;

const UNA: u32 = ISS + 1;

/// At most 100 segments a second, timers that are never late.
fn limited() -> Config {
    Config {
        max_pacing_rate: 100_000,
        timer_tick: Duration::ZERO,
        ..with_sack()
    }
}

/// A connection on which ten segments, which are free, have been acknowledged.
fn begun(config: Config) -> End {
    let mut end = End::established_in(config, 40);
    end.send(10_000);
    assert_eq!(end.sent().len(), 10, "the first ten do not count");
    end.until(80);
    end.acked(UNA + 10_000);
    assert!(end.sent().is_empty());
    end
}

/// When each went out.
fn times(sent: &[Sent]) -> Vec<u64> {
    sent.iter().map(|s| s.0).collect()
}

#[test]
fn segments_are_sent_at_the_rate() {
    let mut end = begun(limited());
    end.send(5000);
    assert_eq!(times(&end.until(140)), [80, 90, 100, 110, 120]);
}

#[test]
fn nothing_is_held_without_a_limit() {
    let mut end = begun(Config {
        max_pacing_rate: u64::MAX,
        ..limited()
    });
    end.send(5000);
    assert_eq!(times(&end.sent()), [80; 5]);
}

#[test]
fn nothing_is_held_when_the_discipline_below_keeps_the_rate() {
    let mut end = begun(Config {
        paced_below: true,
        ..limited()
    });
    end.send(5000);
    assert_eq!(times(&end.sent()), [80; 5]);
    assert_eq!(end.tcb.pacing_rate(&end.config), 100_000);
}

#[test]
fn there_is_no_timer_for_nothing_to_send() {
    let mut end = begun(limited());
    end.send(1000);
    assert_eq!(end.sent().len(), 1);
    end.until(85);
    end.acked(UNA + 11_000);
    assert!(end.sent().is_empty());
    assert_eq!(end.tcb.deadline(), None);
}

#[test]
fn acknowledgments_are_not_held() {
    let mut end = begun(limited());
    end.send(2000);
    assert_eq!(end.sent().len(), 1);
    let twice = seg(ACK, end.tcb.rcv_nxt().0, UNA + 10_000, 1000);
    end.arrive(twice);
    end.tcb.set_quick_ack(&end.config, true);
    let sent = end.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].2, 0, "without text");
}

#[test]
fn the_fin_waits_for_its_text() {
    let mut end = begun(limited());
    end.send(2000);
    end.tcb.shutdown_write();
    let sent = end.until(95);
    assert_eq!(times(&sent), [80, 90]);
    assert!(sent[1].3.has(FIN));
}

#[test]
fn what_is_lost_is_sent_again_at_the_rate() {
    let mut end = begun(limited());
    end.send(5000);
    assert_eq!(end.until(121).len(), 5);
    end.until(160);
    let last = seg(ACK, end.tcb.rcv_nxt().0, UNA + 10_000, 0);
    end.arrive(with_blocks(last, &[(UNA + 12_000, UNA + 15_000)]));
    let sent = end.until(200);
    assert_eq!(times(&sent), [160, 170]);
    assert_eq!(end.tcb.totals().resent, 2);
}

#[test]
fn nothing_is_timed_when_all_has_arrived_after_all() {
    let mut end = begun(limited());
    end.send(5000);
    end.tcb.shutdown_write();
    assert_eq!(end.until(121).len(), 5);
    end.until(160);
    let last = seg(ACK, end.tcb.rcv_nxt().0, UNA + 10_000, 0);
    end.arrive(with_blocks(last, &[(UNA + 12_000, UNA + 15_001)]));
    assert_eq!(times(&end.sent()), [160], "the second waits");
    end.acked(UNA + 15_001);
    end.until(200);
    assert_eq!(end.tcb.state(), State::FinWait2);
    assert_eq!(end.tcb.deadline(), None);
}

#[test]
fn a_late_timer_is_made_up_for() {
    let mut end = begun(Config {
        timer_tick: ms(30),
        ..limited()
    });
    end.send(10_000);
    // Three that a tick may have kept, and the one that is due.
    assert_eq!(end.sent().len(), 4);
    end.now = end.now + ms(30);
    assert_eq!(end.sent().len(), 3);
}

#[test]
fn bbr_spreads_its_window() {
    let mut end = begun(Config {
        congestion: Algorithm::Bbr,
        max_pacing_rate: u64::MAX,
        ..limited()
    });
    end.send(20_000);
    let sent = end.until(119);
    assert!(sent.len() > 3, "{sent:?}");
    let at_once = sent.iter().filter(|s| s.0 == 80).count();
    assert!(at_once < sent.len(), "{sent:?}");
}

#[test]
fn newreno_sends_its_window_at_once() {
    let mut end = begun(Config {
        max_pacing_rate: u64::MAX,
        ..limited()
    });
    end.send(20_000);
    assert!(times(&end.sent()).iter().all(|ms| *ms == 80));
}

fn runs(config: Config) -> Vec<u32> {
    let config = Config {
        runs: Runs::default(),
        max_pacing_rate: u64::MAX,
        ..config
    };
    let mut end = End::established_in(config, 40);
    end.limits.max_run = 60_000;
    end.send(10_000);
    end.out().iter().map(|o| o.len).collect()
}

#[test]
fn a_run_takes_a_millisecond_but_has_two_segments() {
    // 10,000 bytes in 40 ms, twice as fast: 488 bytes in 1/1024 s.
    assert_eq!(runs(limited()), [2000; 5]);
}

#[test]
fn a_run_is_as_long_as_the_rate_says() {
    let config = Config {
        pacing: oxtcp_core::tcp::congestion::pacing::Ratios {
            slow_start: 1300,
            ..Default::default()
        },
        ..limited()
    };
    assert_eq!(runs(config), [3000, 3000, 3000, 1000]);
}

#[test]
fn a_near_peer_gets_long_runs_but_half_a_window() {
    let config = Config {
        runs: Runs::default(),
        ..with_sack()
    };
    let mut end = End::established(config);
    end.limits.max_run = 60_000;
    end.send(10_000);
    let lens: Vec<_> = end.out().iter().map(|o| o.len).collect();
    assert_eq!(lens, [5000, 5000]);
}

#[test]
fn the_limit_of_the_user_bounds_the_rate_that_is_shown() {
    let end = begun(Config {
        max_pacing_rate: 1234,
        timer_tick: Duration::from_secs(100),
        ..limited()
    });
    assert_eq!(end.tcb.pacing_rate(&end.config), 1234);
}

/// A connection with a round trip of `ms` that has much to send, in runs, all of its window in
/// flight.
fn window_full(ms: u64) -> End {
    let mut end = End::established_in(plain(), ms);
    end.limits.max_run = 20_000;
    end.send(200_000);
    let sent: u32 = end.sent().iter().map(|(_, _, len, _)| len).sum();
    assert_eq!(sent, 10_000);
    end
}

#[test]
fn a_run_waits_for_an_acknowledgment_that_is_near() {
    let mut end = window_full(1);
    end.until(end.ms() + 1);
    // Two segments may go of a window of ten: the next acknowledgment makes more of them.
    end.acked(UNA + 1000);
    assert!(end.sent().is_empty());
    end.acked(UNA + 3000);
    assert_eq!(end.sent().len(), 1);
}

#[test]
fn a_run_does_not_wait_for_an_acknowledgment_that_is_far() {
    let mut end = window_full(100);
    end.until(end.ms() + 100);
    end.acked(UNA + 1000);
    assert_eq!(end.sent().len(), 1);
}
