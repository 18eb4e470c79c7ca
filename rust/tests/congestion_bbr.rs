// SPDX-License-Identifier: GPL-2.0

//! BBR over a bottleneck: it uses it, and keeps the queue before it short.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod path;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use oxtcp_core::tcp::congestion::{Algorithm, CongestionControl};
use path::{jain, Link, Loss, Net, MSS};

/// A flow alone for a minute, after ten seconds that do not count: percent of the path used, mean
/// time in the queue (percent of the round-trip time), packets lost per 10,000.
fn alone(algorithm: Algorithm, link: Link) -> (u64, u64, u64) {
    let mut net = Net::new(link);
    net.start(algorithm);
    net.run_ms(10_000);
    net.flows[0].reset_counts();
    net.run_ms(60_000);
    let flow = &net.flows[0];
    let used = flow.total * 100 / (link.rate * 60);
    let queue = (flow.mean_rtt_us() - link.rtt.us()) * 100 / link.rtt.us();
    let lost = flow.losses * 10_000 / (flow.total / u64::from(MSS));
    (used, queue, lost)
}

#[test]
fn it_uses_nine_tenths_of_a_path_and_keeps_the_queue_short() {
    for (mbit, ms) in [(20, 40), (100, 20), (100, 100), (500, 10)] {
        let (used, queue, lost) = alone(Algorithm::Bbr, Link::new(mbit, ms, 1000));
        println!("{mbit} Mbit/s, {ms} ms: {used} % used, {queue} % queue, {lost} lost");
        assert!(used >= 90, "{mbit} Mbit/s, {ms} ms: {used} %");
        assert!(queue <= 50, "{mbit} Mbit/s, {ms} ms: {queue} %");
        assert_eq!(lost, 0, "{mbit} Mbit/s, {ms} ms");
    }
}

#[test]
fn a_path_of_a_few_packets_is_probed_often_and_used() {
    for (mbit, ms) in [(2, 40), (10, 10)] {
        let (used, queue, lost) = alone(Algorithm::Bbr, Link::new(mbit, ms, 1000));
        println!("{mbit} Mbit/s, {ms} ms: {used} % used, {queue} % queue, {lost} lost");
        assert!(used >= 90, "{mbit} Mbit/s, {ms} ms: {used} %");
        assert!(queue <= 150, "{mbit} Mbit/s, {ms} ms: {queue} %");
        assert_eq!(lost, 0, "{mbit} Mbit/s, {ms} ms");
    }
}

#[test]
fn a_deep_queue_stays_empty_where_cubic_fills_it() {
    let link = Link::new(50, 40, 800);
    let (_, bbr, _) = alone(Algorithm::Bbr, link);
    let (_, cubic, _) = alone(Algorithm::Cubic, link);
    assert!(bbr * 5 < cubic, "{bbr} % {cubic} %");
}

#[test]
fn one_percent_of_random_loss_does_not_stop_it() {
    for (mbit, ms) in [(10, 20), (50, 40), (100, 100)] {
        let link = Link::new(mbit, ms, 200).with_loss(Loss::Random(100));
        let (used, queue, _) = alone(Algorithm::Bbr, link);
        let (cubic, ..) = alone(Algorithm::Cubic, link);
        println!("{mbit} Mbit/s, {ms} ms: {used} %, {queue} % queue, cubic {cubic} %");
        assert!(used >= 70, "{mbit} Mbit/s, {ms} ms: {used} %");
        assert!(used > cubic);
    }
}

#[test]
fn a_shallow_queue_loses_little() {
    let (used, _, lost) = alone(Algorithm::Bbr, Link::new(50, 40, 20));
    assert!(used >= 80, "{used} %");
    assert!(lost <= 200, "{lost} of 10,000");
}

#[test]
fn two_flows_share_a_path() {
    let mut net = Net::new(Link::new(50, 40, 200));
    net.start(Algorithm::Bbr);
    net.run_ms(10_000);
    net.start(Algorithm::Bbr);
    net.run_ms(30_000);
    net.flows.iter_mut().for_each(path::Flow::reset_counts);
    net.run_ms(60_000);
    let shares: Vec<u64> = net.flows.iter().map(|f| f.total).collect();
    assert!(jain(&shares) >= 0.9, "{shares:?}");
}

#[test]
fn more_bandwidth_is_found() {
    let slow = Link::new(10, 40, 400);
    let fast = Link::new(40, 40, 400);
    let mut net = Net::new(slow);
    net.start(Algorithm::Bbr);
    net.run_ms(20_000);
    net.set_link(fast);
    net.run_ms(15_000);
    net.flows[0].reset_counts();
    net.run_ms(20_000);
    let used = net.flows[0].total * 100 / (fast.rate * 20);
    assert!(used >= 85, "{used} %");
}

#[test]
fn less_bandwidth_is_accepted() {
    let fast = Link::new(40, 40, 400);
    let slow = Link::new(10, 40, 400);
    let mut net = Net::new(fast);
    net.start(Algorithm::Bbr);
    net.run_ms(20_000);
    net.set_link(slow);
    net.run_ms(15_000);
    net.flows[0].reset_counts();
    net.run_ms(20_000);
    let flow = &net.flows[0];
    let used = flow.total * 100 / (slow.rate * 20);
    assert!(used >= 90, "{used} %");
    assert!(flow.mean_rtt_us() < 80_000, "{}", flow.mean_rtt_us());
}

#[test]
fn a_user_that_sends_little_does_not_spoil_the_estimate() {
    let link = Link::new(50, 40, 400);
    let mut net = Net::new(link);
    net.start(Algorithm::Bbr);
    net.run_ms(10_000);
    net.flows[0].app_window = Some(4 * MSS);
    net.run_ms(1_500);
    net.flows[0].app_window = None;
    net.flows[0].reset_counts();
    net.run_ms(2_000);
    let used = net.flows[0].total * 100 / (link.rate * 2);
    assert!(used >= 80, "{used} %");
}

#[test]
fn the_round_trip_time_is_probed_every_five_seconds() {
    let mut net = Net::new(Link::new(20, 40, 400));
    net.start(Algorithm::Bbr);
    net.run_ms(5_000);
    let mut low = 0;
    let mut was_low = false;
    for _ in 0..6000 {
        net.run_ms(5);
        let is_low = net.flows[0].cc.window() < 60_000;
        low += u32::from(is_low && !was_low);
        was_low = is_low;
    }
    assert!((3..=7).contains(&low), "{low} times in 30 s");
}

#[test]
fn a_path_that_grows_longer_is_noticed() {
    let mut net = Net::new(Link::new(20, 20, 2000));
    net.start(Algorithm::Bbr);
    net.run_ms(10_000);
    let long = Link::new(20, 80, 500);
    net.set_link(long);
    net.run_ms(20_000);
    net.flows[0].reset_counts();
    net.run_ms(20_000);
    let used = net.flows[0].total * 100 / (long.rate * 20);
    assert!(used >= 85, "{used} %");
}
