// SPDX-License-Identifier: GPL-2.0

//! The windows of NewReno and CUBIC against what is published: how large they are for a rate of
//! loss, how they share a path, how slow start ends.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod path;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use oxtcp_core::tcp::congestion::{Algorithm, CongestionControl};
use oxtcp_core::tcp::time::Duration;
use path::{jain, Link, Loss, Net, MSS};

/// The average window in segments, on a path without a bottleneck that loses every `n`-th packet.
fn average_window(algorithm: Algorithm, n: u64, rtt_ms: u64, seconds: u64) -> f64 {
    let mut net = Net::new(Link {
        rate: u64::MAX,
        rtt: Duration::from_ms(rtt_ms),
        queue: 0,
        loss: Loss::Every(n),
    });
    net.start(algorithm);
    net.run_ms(seconds * 200);
    net.flows[0].reset_counts();
    net.run_ms(seconds * 1000);
    let packets = net.flows[0].total as f64 / f64::from(MSS);
    packets * rtt_ms as f64 / 1000.0 / seconds as f64
}

fn near(got: f64, published: f64, percent: f64) {
    let off = (got / published - 1.0).abs() * 100.0;
    assert!(
        off <= percent,
        "{got:.1}, not {published}: off by {off:.1} %"
    );
}

#[test]
fn newreno_at_one_in_100() {
    near(average_window(Algorithm::Reno, 100, 100, 200), 12.2, 15.0);
}

#[test]
fn newreno_at_one_in_1000() {
    near(average_window(Algorithm::Reno, 1000, 100, 400), 38.6, 10.0);
}

#[test]
fn newreno_at_one_in_10000() {
    near(
        average_window(Algorithm::Reno, 10_000, 100, 900),
        122.0,
        10.0,
    );
}

#[test]
fn newreno_does_not_depend_on_the_round_trip_time() {
    let short = average_window(Algorithm::Reno, 1000, 10, 60);
    let long = average_window(Algorithm::Reno, 1000, 200, 800);
    near(short, long, 5.0);
}

#[test]
fn cubic_at_one_in_100_is_renos_equal() {
    near(average_window(Algorithm::Cubic, 100, 100, 200), 12.0, 15.0);
}

#[test]
fn cubic_at_one_in_1000_is_renos_equal() {
    near(average_window(Algorithm::Cubic, 1000, 100, 400), 38.0, 15.0);
}

#[test]
fn cubic_at_one_in_10000() {
    near(
        average_window(Algorithm::Cubic, 10_000, 100, 600),
        187.0,
        15.0,
    );
}

#[test]
fn cubic_at_one_in_100000() {
    // Far from Reno's 386: the window goes with the fourth root of C, so that half of it or twice
    // would be off by more than this.
    near(
        average_window(Algorithm::Cubic, 100_000, 100, 600),
        1054.0,
        8.0,
    );
}

#[test]
fn cubic_on_a_short_path_is_renos_equal() {
    // RFC 9438 5.1, table 2: 10 ms.
    near(
        average_window(Algorithm::Cubic, 10_000, 10, 60),
        120.0,
        15.0,
    );
}

fn shares(algorithm: Algorithm, link: Link, head_start_ms: u64, seconds: u64) -> Vec<u64> {
    let mut net = Net::new(link);
    net.start(algorithm);
    net.run_ms(head_start_ms);
    net.start(algorithm);
    net.run_ms(seconds * 1000);
    net.flows.iter_mut().for_each(path::Flow::reset_counts);
    net.run_ms(seconds * 1000);
    net.flows.iter().map(|f| f.total).collect()
}

#[test]
fn two_newreno_flows_share_a_path_evenly() {
    let shares = shares(Algorithm::Reno, Link::new(20, 40, 100), 5000, 120);
    assert!(jain(&shares) >= 0.95, "{shares:?}");
}

#[test]
fn two_cubic_flows_share_a_path_evenly() {
    let shares = shares(Algorithm::Cubic, Link::new(20, 40, 100), 5000, 120);
    assert!(jain(&shares) >= 0.95, "{shares:?}");
}

#[test]
fn two_cubic_flows_share_a_fast_path_evenly() {
    let shares = shares(Algorithm::Cubic, Link::new(100, 40, 50), 10_000, 120);
    assert!(jain(&shares) >= 0.95, "{shares:?}");
}

#[test]
fn cubic_lets_newreno_live_on_a_slow_path() {
    let mut net = Net::new(Link::new(10, 20, 100));
    net.start(Algorithm::Cubic);
    net.start(Algorithm::Reno);
    net.run_ms(20_000);
    net.flows.iter_mut().for_each(path::Flow::reset_counts);
    net.run_ms(120_000);
    let shares: Vec<u64> = net.flows.iter().map(|f| f.total).collect();
    assert!(jain(&shares) >= 0.9, "{shares:?}");
}

#[test]
fn cubic_fills_a_path_with_a_queue_of_what_it_holds() {
    let link = Link::new(100, 50, 100);
    let mut net = Net::new(link);
    net.start(Algorithm::Cubic);
    net.run_ms(10_000);
    net.flows[0].reset_counts();
    net.run_ms(60_000);
    let used = net.flows[0].total * 100 / (link.rate * 60);
    assert!(used >= 95, "{used} %");
}

/// Packets lost, and the window, when slow start has ended.
fn slow_start(algorithm: Algorithm, link: Link) -> (u64, u32) {
    let mut net = Net::new(link);
    net.start(algorithm);
    net.run_until(|net| net.flows[0].cc.ssthresh() < u32::MAX);
    // What was on its way to the queue then is acknowledged or lost.
    net.run_ms(2 * link.rtt.ms());
    (net.overflows, net.flows[0].cc.window())
}

/// Rates and round-trip times of paths for slow start.
const PATHS: [(u64, u64); 4] = [(20, 40), (100, 50), (100, 100), (50, 200)];

#[test]
fn hystart_leaves_slow_start_before_a_deep_queue_overflows() {
    for (mbit, ms) in PATHS {
        let link = Link::new(mbit, ms, 1600);
        let (lost, _) = slow_start(Algorithm::Cubic, link);
        assert_eq!(lost, 0, "{mbit} Mbit/s, {ms} ms");
        let (lost, _) = slow_start(Algorithm::Reno, link);
        assert!(lost > 0, "{mbit} Mbit/s, {ms} ms");
    }
}

#[test]
fn hystart_loses_less_than_half_of_what_slow_start_loses() {
    let mut sums = (0, 0);
    for (mbit, ms) in PATHS {
        for queue in [200, 400, 800] {
            let link = Link::new(mbit, ms, queue);
            sums.0 += slow_start(Algorithm::Cubic, link).0;
            sums.1 += slow_start(Algorithm::Reno, link).0;
        }
    }
    let (cubic, reno) = sums;
    assert!(cubic * 2 < reno, "{cubic} {reno}");
}

#[test]
fn hystart_does_not_leave_slow_start_before_the_path_is_full() {
    for (mbit, ms) in PATHS {
        let link = Link::new(mbit, ms, 200);
        let (_, window) = slow_start(Algorithm::Cubic, link);
        let holds = link.rate * ms / 1000;
        assert!(
            u64::from(window) >= holds,
            "{mbit} Mbit/s, {ms} ms: {window}"
        );
    }
}

#[test]
fn newreno_and_cubic_outlive_heavy_loss() {
    for algorithm in [Algorithm::Reno, Algorithm::Cubic] {
        let mut net = Net::new(Link::new(10, 20, 100).with_loss(Loss::Random(2000)));
        net.start(algorithm);
        net.run_ms(60_000);
        let flow = &net.flows[0];
        assert!(flow.total > 500 * u64::from(MSS), "{}", flow.total);
        assert!(flow.cc.window() < 100 * MSS);
    }
}
