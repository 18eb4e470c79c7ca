// SPDX-License-Identifier: GPL-2.0

//! Tail loss probes (RFC 8985 7): when they go out, what they are, and what their acknowledgment
//! means. Round trips take 40 ms; the timeout is 240 ms.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::congestion::CongestionControl;

const UNA: u32 = ISS + 1;

fn flight_of(config: Config, n: u32) -> End {
    let mut end = End::established_in(config, 40);
    end.send(n * u32::from(MSS));
    assert_eq!(end.sent().len(), n as usize);
    end
}

fn in_flight(n: u32) -> End {
    flight_of(with_sack(), n)
}

/// When what was sent: ms, first number counted from UNA, length.
fn short(sent: &[Sent]) -> Vec<(u64, u32, u32)> {
    sent.iter().map(|s| (s.0, s.1 - UNA, s.2)).collect()
}

fn ack(end: &mut End, bytes: u32, blocks: &[(u32, u32)]) {
    let blocks: Vec<_> = blocks.iter().map(|&(f, t)| (UNA + f, UNA + t)).collect();
    let seg = seg(ACK, end.tcb.rcv_nxt().0, UNA + bytes, 0);
    end.arrive(with_blocks(seg, &blocks));
}

#[test]
fn the_last_segment_goes_out_again_after_two_round_trips() {
    let mut end = in_flight(3);
    assert_eq!(short(&end.until(200)), [(122, 2000, 1000)]);
    assert_eq!(end.tcb.recovery_number(), 0, "it is no recovery");
}

#[test]
fn a_single_segment_is_given_time_for_a_delayed_acknowledgment() {
    // Two round trips and 200 ms would be later than the timeout, which is the limit.
    let mut end = in_flight(1);
    assert_eq!(short(&end.until(300)), [(280, 0, 1000)]);
    assert_eq!(end.tcb.recovery_number(), 0);
}

#[test]
fn without_sack_there_is_none() {
    let mut end = flight_of(plain(), 3);
    assert_eq!(short(&end.until(300)), [(280, 0, 1000)]);
    assert_eq!(end.tcb.recovery_number(), 4, "a timeout");
}

#[test]
fn one_probe_and_then_the_timeout() {
    let mut end = in_flight(3);
    let sent = end.until(400);
    assert_eq!(short(&sent), [(122, 2000, 1000), (362, 0, 1000)]);
    assert_eq!(end.tcb.recovery_number(), 4);
    assert_eq!(end.tcb.totals().probes, 1);
}

#[test]
fn new_text_is_the_better_probe() {
    let mut end = in_flight(10);
    end.send(500);
    assert!(end.sent().is_empty(), "the window is full");
    assert_eq!(short(&end.until(130)), [(122, 10_000, 500)]);
    let sent = end.until(130);
    assert!(sent.is_empty());
    assert_eq!(end.tcb.totals().resent, 0);
}

#[test]
fn the_peer_s_window_is_respected() {
    let mut end = End::established_in(with_sack(), 40);
    end.send(2000);
    end.sent();
    end.until(60);
    let next = end.tcb.rcv_nxt().0;
    end.arrive(with_window(seg(ACK, next, UNA + 1000, 0), 1000));
    end.send(5000);
    assert!(end.sent().is_empty());
    // 2 * srtt + 200 ms, or the timeout.
    let sent = end.until(400);
    assert_eq!(
        short(&sent)[0].1,
        1000,
        "the last segment, for want of a window"
    );
}

#[test]
fn acknowledgments_put_it_off() {
    let mut end = in_flight(4);
    end.until(80);
    ack(&mut end, 2000, &[]);
    let sent = end.until(200);
    assert_eq!(short(&sent), [(162, 3000, 1000)]);
}

#[test]
fn a_lost_tail_is_repaired_without_a_timeout() {
    let mut end = in_flight(5);
    end.until(80);
    ack(&mut end, 2000, &[]);
    assert_eq!(short(&end.until(170)), [(162, 4000, 1000)]);
    // The probe arrives: what was sent before it and did not arrive is lost.
    end.until(202);
    ack(&mut end, 2000, &[(4000, 5000)]);
    let sent = end.until(230);
    assert_eq!(short(&sent)[0].1, 2000);
    assert!(sent[0].0 <= 214, "{sent:?}");
    assert_eq!(end.tcb.recovery_number(), 3);
}

#[test]
fn a_probe_that_repairs_a_loss_reduces_the_window() {
    let mut end = in_flight(10);
    end.until(80);
    ack(&mut end, 9000, &[]);
    let before = end.tcb.cwnd();
    assert_eq!(end.until(320).len(), 1);
    ack(&mut end, 10_000, &[]);
    // What is acknowledged is the probe's end: only what is beyond tells.
    end.send(1000);
    end.sent();
    end.until(340);
    ack(&mut end, 11_000, &[]);
    assert!(end.tcb.cwnd() < before, "{before} {}", end.tcb.cwnd());
    assert_eq!(end.tcb.recovery_number(), 0);
}

/// What was in flight is halved, not what the acknowledgment that tells of it leaves of that.
#[test]
fn a_probe_that_repairs_a_loss_halves_the_window() {
    for acked in [11_000, 15_000, 20_000] {
        let mut end = in_flight(10);
        end.until(80);
        ack(&mut end, 9000, &[]);
        assert_eq!(end.until(320).len(), 1);
        ack(&mut end, 10_000, &[]);
        end.send(10_000);
        end.sent();
        end.until(340);
        ack(&mut end, acked, &[]);
        assert_eq!(end.tcb.congestion().ssthresh(), 5000, "{acked}");
    }
}

#[test]
fn a_probe_that_came_twice_was_needless() {
    let mut end = in_flight(3);
    end.until(80);
    ack(&mut end, 2000, &[]);
    let (cwnd, ssthresh) = (end.tcb.cwnd(), end.tcb.congestion().ssthresh());
    assert_eq!(end.until(320).len(), 1);
    ack(&mut end, 3000, &[]);
    ack(&mut end, 3000, &[(2000, 3000)]);
    end.send(1000);
    end.sent();
    end.until(340);
    ack(&mut end, 4000, &[]);
    assert!(end.tcb.cwnd() >= cwnd);
    assert_eq!(end.tcb.congestion().ssthresh(), ssthresh);
}

/// RFC 8985 7.4.2: without D-SACK a second acknowledgment without news says so.
#[test]
fn a_probe_that_came_twice_was_needless_though_nothing_is_in_flight() {
    let mut end = in_flight(1);
    let (cwnd, ssthresh) = (end.tcb.cwnd(), end.tcb.congestion().ssthresh());
    assert_eq!(end.until(290).len(), 1);
    ack(&mut end, 1000, &[]);
    ack(&mut end, 1000, &[]);
    end.send(1000);
    end.sent();
    end.until(340);
    ack(&mut end, 2000, &[]);
    assert!(end.tcb.cwnd() >= cwnd);
    assert_eq!(end.tcb.congestion().ssthresh(), ssthresh);
}

#[test]
fn an_acknowledged_probe_makes_room_for_the_next() {
    let mut end = in_flight(2);
    assert_eq!(end.until(130).len(), 1);
    end.until(160);
    ack(&mut end, 2000, &[(1000, 2000)]);
    end.send(2000);
    assert_eq!(end.sent().len(), 2);
    let sent = end.until(300);
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(end.tcb.totals().probes, 2);
}

#[test]
fn the_probe_is_the_last_segment_of_a_run() {
    let mut end = End::established_in(with_sack(), 40);
    end.limits.max_run = 60_000;
    end.send(4500);
    end.tcb.shutdown_write();
    assert_eq!(end.sent().len(), 1);
    let sent = end.until(200);
    assert_eq!(short(&sent), [(122, 4000, 500)]);
    assert_eq!(sent[0].3, FIN | ACK | oxtcp_core::tcp::segment::Flags::PSH);
}

#[test]
fn a_probe_measures_no_round_trip() {
    let mut end = in_flight(2);
    let before = end.tcb.rtt().srtt();
    end.until(130);
    end.until(135);
    ack(&mut end, 2000, &[]);
    // Two were acknowledged, one of them sent again: neither measures.
    assert_eq!(end.tcb.rtt().srtt(), before);
}

#[test]
fn the_timeout_follows_where_it_would_have_been() {
    let mut end = in_flight(10);
    end.send(500);
    end.sent();
    // The probe is new text; the timeout then counts from the probe.
    let sent = end.until(400);
    assert_eq!(short(&sent), [(122, 10_000, 500), (362, 0, 1000)]);
}
