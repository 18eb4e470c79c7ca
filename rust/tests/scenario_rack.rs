// SPDX-License-Identifier: GPL-2.0

//! Loss detection by time (RFC 8985): the reordering window, its timer, repetitions that are lost.
//! Round trips take 40 ms, so the window is 10 ms, and its timer 2 ms late.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::congestion::CongestionControl;

const UNA: u32 = ISS + 1;

/// An end with `n` segments in flight, which were sent at 40 ms.
fn in_flight(n: u32) -> End {
    let mut end = End::established_in(with_sack(), 40);
    end.send(n * u32::from(MSS));
    assert_eq!(end.sent().len(), n as usize);
    end
}

/// The peer has segments `from..to` of those in flight beside what it acknowledges.
fn sack(end: &mut End, ack: u32, blocks: &[(u32, u32)]) -> bool {
    let at = |n: u32| UNA + n * u32::from(MSS);
    let blocks: Vec<_> = blocks.iter().map(|&(f, t)| (at(f), at(t))).collect();
    let seg = seg(ACK, end.tcb.rcv_nxt().0, at(ack), 0);
    end.arrive(with_blocks(seg, &blocks)).fast_retransmit
}

/// When what was sent: ms, number of the segment.
fn short(sent: &[Sent]) -> Vec<(u64, u32)> {
    sent.iter()
        .map(|s| (s.0, (s.1 - UNA) / u32::from(MSS)))
        .collect()
}

#[test]
fn one_segment_behind_a_gap_is_enough_when_the_window_has_passed() {
    let mut end = in_flight(2);
    end.until(80);
    assert!(!sack(&mut end, 0, &[(1, 2)]));
    assert_eq!(end.tcb.recovery_number(), 1);
    assert_eq!(short(&end.until(200)), [(92, 0)]);
    assert_eq!(end.tcb.recovery_number(), 3);
}

#[test]
fn three_segments_behind_a_gap_need_no_window() {
    let mut end = in_flight(5);
    end.until(80);
    assert!(!sack(&mut end, 0, &[(1, 2)]));
    assert!(end.sent().is_empty());
    assert!(!sack(&mut end, 0, &[(1, 3)]));
    assert!(sack(&mut end, 0, &[(1, 4)]));
    assert_eq!(short(&end.sent()), [(80, 0)]);
}

#[test]
fn what_arrives_within_the_window_was_reordered() {
    let mut end = in_flight(4);
    end.until(80);
    sack(&mut end, 0, &[(1, 2)]);
    end.until(85);
    sack(&mut end, 2, &[]);
    assert!(end.until(95).is_empty());
    assert_eq!(end.tcb.recovery_number(), 0);
    assert_eq!(end.tcb.rack().times_reordered(), 1);
}

#[test]
fn all_that_was_sent_before_is_lost_at_once() {
    let mut end = in_flight(10);
    end.until(80);
    assert!(sack(&mut end, 0, &[(5, 8)]));
    // The threshold is half of ten, and three of five lost may go.
    let first = end.sent();
    assert_eq!(short(&first)[0], (80, 0));
    assert_eq!(end.tcb.scoreboard().lost().segments, 5);
    assert_eq!(end.tcb.scoreboard().sacked().segments, 3);
    assert_eq!(end.tcb.scoreboard().out().segments, 10);
}

#[test]
fn a_repetition_that_is_lost_is_repeated_without_a_timeout() {
    let mut end = in_flight(6);
    end.until(80);
    assert!(sack(&mut end, 0, &[(1, 4)]));
    assert_eq!(short(&end.sent()), [(80, 0)]);
    end.send(4000);
    end.until(85);
    sack(&mut end, 0, &[(1, 6)]);
    let new = end.sent();
    assert!(new.iter().all(|s| s.1 >= UNA + 6000), "new text: {new:?}");
    assert!(!new.is_empty());
    // That new text arrives, which was sent after the repetition: that one must be lost.
    end.until(125);
    sack(&mut end, 0, &[(1, 7)]);
    assert_eq!(short(&end.sent())[0], (125, 0));
}

#[test]
fn a_repetition_under_way_is_left_alone() {
    let mut end = in_flight(6);
    end.until(80);
    assert!(sack(&mut end, 0, &[(1, 4)]));
    assert_eq!(short(&end.sent()), [(80, 0)]);
    end.until(90);
    sack(&mut end, 0, &[(1, 6)]);
    assert!(end.sent().is_empty(), "what came was sent before it");
}

#[test]
fn the_window_s_timer_leaves_the_timeout_where_it_was() {
    let mut end = in_flight(2);
    end.until(80);
    sack(&mut end, 0, &[(1, 2)]);
    let sent = end.until(1000);
    // 92 ms: the window. Then the timeout, which the repetition began anew; it doubles.
    assert_eq!(short(&sent[..1]), [(92, 0)]);
    let rto = end.tcb.rtt().rto(end.config.rto_min, end.config.rto_max);
    assert_eq!(short(&sent[1..2]), [(92 + rto.ms(), 0)]);
}

#[test]
fn what_the_peer_reports_twice_widens_the_window() {
    let mut end = in_flight(4);
    end.until(80);
    // Reordering is seen, then taken for a loss, which the report then denies.
    sack(&mut end, 0, &[(1, 2)]);
    sack(&mut end, 2, &[]);
    sack(&mut end, 2, &[(3, 4)]);
    let sent = end.until(100);
    assert_eq!(short(&sent), [(92, 2)]);
    end.until(105);
    sack(&mut end, 4, &[]);
    end.send(2000);
    end.sent();
    // The original came late: of the repetition the peer says that it came twice.
    let una = UNA + 4000;
    let seg1 = seg(ACK, end.tcb.rcv_nxt().0, una, 0);
    end.arrive(with_blocks(seg1, &[(UNA + 2000, UNA + 3000)]));
    end.until(145);
    sack(&mut end, 4, &[(5, 6)]);
    let late = short(&end.until(300))[0];
    assert_eq!(late.1, 4);
    assert!(late.0 > 145 + 12, "wider than a quarter: {late:?}");
}

/// The peer's reports show that repetitions are needless, and no timestamp tells the copies apart:
/// what arrives of a segment sent twice says nothing of what was sent in between.
#[test]
fn a_copy_that_may_be_the_older_one_proves_nothing_lost() {
    for stamps in [false, true] {
        let mut end = End::established_in(
            Config {
                timestamps: stamps,
                ..with_sack()
            },
            40,
        );
        // Timestamps take 12 bytes of a segment.
        let mss = u32::from(MSS) - if stamps { 12 } else { 0 };
        let at = |n: u32| UNA + n * mss;
        let arrive = |end: &mut End, ack: u32, blocks: &[(u32, u32)]| {
            let blocks: Vec<_> = blocks.iter().map(|&(f, t)| (at(f), at(t))).collect();
            let seg = with_blocks(seg(ACK, end.tcb.rcv_nxt().0, at(ack), 0), &blocks);
            end.arrive(if stamps { with_stamp(seg, 100) } else { seg });
        };
        let number = |s: &Sent| (s.1 - UNA) / mss;
        // The window is wide enough for all that follows.
        for n in 1..=4 {
            end.send(10 * mss);
            end.sent();
            arrive(&mut end, 10 * n, &[]);
        }
        end.send(20 * mss);
        end.sent();
        end.until(80);
        // As above: the window is twice what it was.
        arrive(&mut end, 40, &[(41, 42)]);
        arrive(&mut end, 42, &[]);
        arrive(&mut end, 42, &[(43, 60)]);
        end.until(105);
        arrive(&mut end, 60, &[]);
        end.send(6 * mss);
        assert_eq!(end.sent().len(), 6);
        arrive(&mut end, 60, &[(42, 43)]);
        end.until(145);
        // Both of these are repeated, and an older copy of the second comes more than a round trip
        // after its repetition.
        arrive(&mut end, 60, &[(62, 66)]);
        let again = end.until(190);
        assert_eq!(again.iter().map(number).collect::<Vec<_>>(), [60, 61]);
        end.until(215);
        arrive(&mut end, 60, &[(61, 66)]);
        let again: Vec<_> = end.until(300).iter().map(number).collect();
        assert_eq!(again, if stamps { vec![60] } else { vec![] });
    }
}

#[test]
fn a_super_segment_is_split_where_the_peer_says() {
    let mut end = End::established_in(with_sack(), 40);
    end.limits.max_run = 60_000;
    end.send(8000);
    // A run is at most half a window.
    assert_eq!(end.sent().len(), 2);
    assert_eq!(end.rx.records.len(), 1);
    end.until(80);
    assert!(sack(&mut end, 0, &[(2, 3), (4, 7)]));
    let sent = end.out();
    // Two that are lost, then one: the segment between them has arrived.
    let sent: Vec<_> = sent.iter().map(|o| (o.seq.0 - UNA, o.len)).collect();
    assert_eq!(sent, [(0, 2000), (3000, 1000)]);
    assert_eq!(end.tcb.scoreboard().sacked().segments, 4);
    assert_eq!(end.tcb.scoreboard().lost().segments, 3);
    end.until(85);
    sack(&mut end, 8, &[]);
    assert_eq!(end.rx.records.len(), 0);
}

#[test]
fn a_block_within_a_segment_covers_nothing() {
    let mut end = in_flight(4);
    end.until(80);
    let seg = seg(ACK, IRS + 1, UNA, 0);
    end.arrive(with_blocks(seg, &[(UNA + 1500, UNA + 1900)]));
    end.arrive(with_blocks(seg, &[(UNA + 1500, UNA + 3999)]));
    assert_eq!(end.tcb.sacked(), 1000);
}

#[test]
fn blocks_that_make_no_sense_are_passed_over() {
    let mut end = in_flight(4);
    end.until(80);
    let seg = seg(ACK, IRS + 1, UNA + 1000, 0);
    for block in [
        (UNA + 3000, UNA + 2000),
        (UNA + 2000, UNA + 2000),
        (UNA + 2000, UNA + 4001),
        (UNA - 1000, UNA + 3000),
        (UNA + 1000, UNA + 2000),
        (UNA.wrapping_add(1 << 31), UNA + 3000),
    ] {
        end.arrive(with_blocks(seg, &[block]));
        assert_eq!(end.tcb.sacked(), 0, "{block:?}");
    }
}

#[test]
fn an_old_acknowledgment_still_tells_what_has_arrived() {
    let mut end = in_flight(6);
    end.until(80);
    sack(&mut end, 2, &[]);
    sack(&mut end, 1, &[(3, 4)]);
    assert_eq!(end.tcb.sacked(), 1000);
    assert_eq!(end.tcb.snd_una().0, UNA + 2000);
}

#[test]
fn limited_transmit_sends_new_text_for_each_segment_that_arrives() {
    let mut end = in_flight(10);
    end.send(5000);
    assert!(end.sent().is_empty(), "the window is full");
    end.until(80);
    for n in 1..=2 {
        sack(&mut end, 0, &[(1, 1 + n)]);
        assert_eq!(short(&end.sent()), [(80, 9 + n)]);
    }
}

#[test]
fn recovery_ends_when_all_is_acknowledged_that_was_outstanding() {
    let mut end = in_flight(10);
    end.until(80);
    assert!(sack(&mut end, 0, &[(1, 4)]));
    end.sent();
    end.until(100);
    sack(&mut end, 4, &[]);
    assert_eq!(end.tcb.recovery_number(), 3);
    sack(&mut end, 10, &[]);
    assert_eq!(end.tcb.recovery_number(), 0);
    // Half of ten, and a segment for the window that this acknowledged.
    assert_eq!(end.tcb.congestion().ssthresh(), 5000);
    assert_eq!(end.tcb.cwnd(), 6000);
}

#[test]
fn the_rate_of_delivery_is_measured() {
    let mut end = in_flight(10);
    end.until(80);
    sack(&mut end, 10, &[]);
    assert_eq!(end.tcb.rate().delivered(), 10_000);
    assert_eq!(end.tcb.totals().delivered, 10);
    assert_eq!(end.tcb.rate().lost(), 0);
}

#[test]
fn totals_count_what_was_sent_and_what_for() {
    let mut end = in_flight(5);
    end.until(80);
    assert!(sack(&mut end, 0, &[(1, 4)]));
    end.sent();
    sack(&mut end, 5, &[]);
    let totals = end.tcb.totals();
    assert_eq!((totals.bytes_sent, totals.bytes_resent), (6000, 1000));
    assert_eq!((totals.bytes_acked, totals.resent), (5000, 1));
    assert_eq!(totals.text_segments_out, 6);
    assert_eq!(end.tcb.rate().lost(), 1000);
}
