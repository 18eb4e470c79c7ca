// SPDX-License-Identifier: GPL-2.0

//! BBR over a bottleneck: it uses it, and keeps the queue before it short. And what a connection
//! tells it.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod ecn_support;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod path;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use ecn_support::{accept, entry, last_ack, mode, with_ace};
use harness::{seg, with_blocks, with_sack, End, ACK, ISS};
use oxtcp_core::tcp::config::{Config, LossDetection};
use oxtcp_core::tcp::congestion::{Algorithm, CongestionControl};
use oxtcp_core::tcp::ecn::Ecn;
use oxtcp_core::tcp::time::Duration;
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

/// BBR, with somebody below who keeps its rate.
fn bbr(config: Config) -> Config {
    Config {
        congestion: Algorithm::Bbr,
        paced_below: true,
        frto: false,
        ..config
    }
}

/// An acknowledgment of `n` segments arrives, and of `blocks` of them.
fn acked(end: &mut End, n: u32, blocks: &[(u32, u32)]) {
    let at = |n: u32| ISS + 1 + n * u32::from(harness::MSS);
    let blocks: Vec<_> = blocks.iter().map(|&(f, t)| (at(f), at(t))).collect();
    let ack = seg(ACK, end.tcb.rcv_nxt().0, at(n), 0);
    end.arrive(with_blocks(ack, &blocks));
}

/// A connection over a path of 40 ms on which ten segments were acknowledged, and as many as `more`
/// are sent.
fn begun(config: Config, more: u32) -> End {
    let mut end = End::established_in(bbr(config), 40);
    for (n, ms) in [(10, 80), (more, 80)] {
        end.send(n * u32::from(harness::MSS));
        assert_eq!(end.sent().len(), n as usize);
        end.until(ms);
        if end.tcb.snd_una().0 == ISS + 1 {
            acked(&mut end, 10, &[]);
        }
    }
    end
}

fn rate(end: &End) -> u64 {
    end.tcb.congestion().pacing_rate().expect("a rate")
}

/// RFC 3168 6.1.2: in Startup it is its end.
#[test]
fn an_echo_of_a_mark_is_heard() {
    let rates = [0, 1].map(|ece| {
        let config = bbr(mode(2));
        let ask = entry(&config, 3, Ecn::NotEct);
        let mut end = accept(config, ask, last_ack(0, Ecn::NotEct));
        end.send(20_000);
        assert!(end.out().iter().any(|out| out.ecn == Ecn::Ect0));
        end.now = end.now + Duration::from_ms(10);
        end.arrive(with_ace(seg(ACK, end.tcb.rcv_nxt().0, ISS + 2001, 0), ece));
        rate(&end)
    });
    assert!(rates[1] * 4 < rates[0], "{rates:?}");
}

/// A loss below the threshold has no answer, but a mark beside it has.
#[test]
fn an_echo_of_a_mark_in_a_recovery_is_heard() {
    let rates = [0, 1].map(|ece| {
        let config = bbr(mode(2));
        let ask = entry(&config, 3, Ecn::NotEct);
        let mut end = accept(config, ask, last_ack(0, Ecn::NotEct));
        end.send(20_000);
        end.out();
        end.now = end.now + Duration::from_ms(10);
        acked(&mut end, 0, &[(1, 5)]);
        assert_eq!(end.tcb.recovery_number(), 3);
        end.out();
        let ack = seg(ACK, end.tcb.rcv_nxt().0, ISS + 1, 0);
        end.arrive(with_blocks(with_ace(ack, ece), &[(ISS + 1001, ISS + 6001)]));
        rate(&end)
    });
    assert!(rates[1] * 4 < rates[0], "{rates:?}");
}

/// Six holes, found by time alone, are too many for Startup when a round trip of recovery is over.
#[test]
fn what_the_reordering_timer_finds_lost_is_heard() {
    let mut end = begun(
        Config {
            recovery: LossDetection {
                no_threshold: true,
                ..LossDetection::default()
            },
            ..with_sack()
        },
        20,
    );
    end.until(120);
    let holes = [(11, 12), (13, 14), (15, 16), (17, 18)];
    acked(&mut end, 10, &holes[1..]);
    acked(&mut end, 10, &[(11, 12), (19, 20), (21, 30)]);
    assert!(end.tcb.recovery_number() < 3, "nothing is lost yet");
    end.until(150);
    assert_eq!(end.tcb.recovery_number(), 3);
    let before = rate(&end);
    end.until(190);
    acked(&mut end, 13, &[(13, 14), (15, 16), (17, 18)]);
    assert!(rate(&end) < before, "{before}");
}

/// All are lost; the window comes back when they are acknowledged.
#[test]
fn the_window_before_a_timeout_comes_back() {
    let mut end = begun(with_sack(), 3);
    let before = end.tcb.cwnd();
    while end.tcb.recovery_number() != 4 {
        end.wait(1);
    }
    assert_eq!(end.tcb.cwnd(), u32::from(harness::MSS));
    acked(&mut end, 11, &[]);
    assert!(end.tcb.cwnd() < before / 2, "{}", end.tcb.cwnd());
    end.wait(1);
    acked(&mut end, 13, &[]);
    assert_eq!(end.tcb.recovery_number(), 0);
    assert!(end.tcb.cwnd() >= before);
}
