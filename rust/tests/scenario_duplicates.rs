// SPDX-License-Identifier: GPL-2.0

//! What the receiver reports of text that came twice (RFC 2883), and the round trip of a SYN that
//! was repeated.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::segment::Flags;
use oxtcp_core::tcp::state::State;

const NEXT: u32 = IRS + 1;

/// Text of the peer, counted from its first byte.
fn text(from: u32, to: u32) -> oxtcp_core::tcp::segment::Segment {
    seg(ACK, NEXT + from, ISS + 1, to - from)
}

/// Blocks of the acknowledgment that goes out, from the peer's first byte of text.
fn blocks(end: &mut End) -> Vec<(u32, u32)> {
    let out = end.out();
    let last = out.last().expect("an acknowledgment");
    last.options
        .sack
        .as_slice()
        .iter()
        .map(|b| (b.start.0 - NEXT, b.end.0 - NEXT))
        .collect()
}

#[test]
fn text_that_was_acknowledged_is_reported() {
    let mut end = End::established(with_sack());
    end.arrive(text(0, 1000));
    end.arrive(text(1000, 2000));
    end.sent();
    end.arrive(text(0, 1000));
    assert_eq!(blocks(&mut end), [(0, 1000)]);
    end.arrive(text(2000, 3000));
    end.arrive(text(3000, 4000));
    assert_eq!(blocks(&mut end), [], "once");
}

#[test]
fn text_that_is_old_in_part_is_reported_in_part() {
    let mut end = End::established(with_sack());
    end.tcb.set_quick_ack(&end.config, true);
    end.arrive(text(0, 1000));
    end.arrive(text(500, 1500));
    end.arrive(text(1500, 2500));
    assert_eq!(blocks(&mut end), [(500, 1000)]);
}

#[test]
fn text_that_waits_is_reported_before_the_block_it_is_in() {
    let mut end = End::established(with_sack());
    end.arrive(text(1000, 3000));
    assert_eq!(blocks(&mut end), [(1000, 3000)]);
    end.arrive(text(2000, 3000));
    assert_eq!(blocks(&mut end), [(2000, 3000), (1000, 3000)]);
}

#[test]
fn text_that_waits_in_part_is_reported_in_part() {
    let mut end = End::established(with_sack());
    end.arrive(text(1000, 3000));
    end.sent();
    end.arrive(text(2500, 4000));
    assert_eq!(blocks(&mut end), [(2500, 3000), (1000, 4000)]);
}

#[test]
fn without_sack_nothing_is_reported() {
    let mut end = End::established(plain());
    end.arrive(text(0, 1000));
    end.arrive(text(0, 1000));
    assert_eq!(blocks(&mut end), []);
}

#[test]
fn four_blocks_are_the_most() {
    let mut end = End::established(with_sack());
    for i in 1..6 {
        end.arrive(text(i * 2000, i * 2000 + 1000));
    }
    end.sent();
    end.arrive(text(2000, 3000));
    let all = blocks(&mut end);
    assert_eq!(all.len(), 4);
    assert_eq!(all[1..3], [(10_000, 11_000), (8000, 9000)]);
}

#[test]
fn blocks_ride_on_text() {
    let mut end = End::established(with_sack());
    end.arrive(text(1000, 2000));
    end.send(100);
    let out = end.out();
    assert_eq!(out.len(), 1, "no acknowledgment beside");
    assert_eq!(out[0].len, 100);
    let block = out[0].options.sack.as_slice()[0];
    assert_eq!((block.start.0, block.end.0), (IRS + 1001, IRS + 2001));
}

#[test]
fn segments_are_shorter_by_the_blocks_that_they_carry() {
    let mut end = End::established(with_sack());
    end.arrive(text(1000, 2000));
    end.send(2000);
    let lens: Vec<_> = end.sent().iter().map(|s| s.2).collect();
    assert_eq!(lens, [988, 988, 24]);
    assert_eq!(end.tcb.mss(), MSS, "the path has room for more");
    end.arrive(text(0, 1000));
    end.acked(ISS + 2001);
    end.send(1000);
    assert_eq!(end.sent()[0].2, 1000);
}

#[test]
fn a_duplicate_is_reported_on_text_once() {
    let mut end = End::established(with_sack());
    end.arrive(text(0, 1000));
    end.sent();
    end.arrive(text(0, 1000));
    end.send(1500);
    let out = end.out();
    let first = out[0].options.sack.as_slice()[0];
    assert_eq!((first.start.0, first.end.0), (IRS + 1, IRS + 1001));
    assert_eq!(out[0].len, 988);
    assert!(out[1].options.sack.is_empty());
}

#[test]
fn beside_timestamps_text_carries_three_blocks() {
    let config = Config {
        sack: true,
        ..with_timestamps()
    };
    let mut end = End::established(config);
    for i in 1..6 {
        end.arrive(with_stamp(text(i * 2000, i * 2000 + 1000), 100));
    }
    end.send(1000);
    let out = end.out();
    assert_eq!(out[0].options.sack.as_slice().len(), 3);
    assert_eq!(out[0].mss, MSS - 12 - 4 - 3 * 8);
    assert_eq!(out[0].len, 1000, "a run of two");
}

#[test]
fn a_repetition_in_shorter_segments_is_whole() {
    let mut end = End::established(with_sack());
    end.send(3000);
    end.sent();
    end.arrive(text(1000, 2000));
    end.sent();
    let at = end.tcb.deadline().map_or(0, |at| at.us() / 1000);
    let again = end.until(at + 3000);
    assert!(again.iter().all(|s| s.2 <= 1000), "{again:?}");
    end.acked(ISS + 3001);
    assert_eq!(end.tcb.flight(), 0);
}

/// A SYN that is repeated measures nothing by itself, but its echo tells which one was answered.
#[test]
fn a_repeated_syn_is_measured_by_its_echo() {
    let mut end = End::connecting(with_timestamps());
    assert_eq!(end.until(1000).len(), 2);
    end.until(1030);
    let mut syn = seg(SYN | ACK, IRS, ISS + 1, 0);
    syn.options = syn_options(&end.config);
    syn.options.timestamps = syn.options.timestamps.map(|mut ts| {
        ts.ecr = 1000;
        ts
    });
    end.arrive(syn);
    assert_eq!(end.tcb.state(), State::Established);
    assert_eq!(end.tcb.rtt().srtt(), Some(ms(30)));
}

#[test]
fn a_repeated_syn_without_timestamps_measures_nothing() {
    let mut end = End::connecting(plain());
    assert_eq!(end.until(1000).len(), 2);
    end.until(1030);
    let mut syn = seg(SYN | ACK, IRS, ISS + 1, 0);
    syn.options = syn_options(&end.config);
    end.arrive(syn);
    assert_eq!(end.tcb.rtt().srtt(), None);
}

#[test]
fn a_peer_that_shrinks_its_window_gets_the_first_segment_alone() {
    let mut end = End::established_in(
        Config {
            slow_start_after_idle: false,
            ..with_sack()
        },
        40,
    );
    end.send(5000);
    assert_eq!(end.sent().len(), 5);
    end.until(80);
    // Two were taken, and for the rest there is no room any more: the edge moves left.
    let shrunk = with_window(seg(ACK, NEXT, ISS + 2001, 0), 500);
    end.arrive(shrunk);
    let sent = end.until(2000);
    assert!(!sent.is_empty());
    assert!(
        sent.iter().all(|s| s.1 == ISS + 2001 && s.2 <= 1000),
        "{sent:?}"
    );
    assert_eq!(end.tcb.state(), State::Established);
    // Room again: all goes on.
    let next = end.tcb.rcv_nxt().0;
    end.arrive(with_window(seg(ACK, next, ISS + 3001, 0), 20_000));
    let sent = end.sent();
    assert_eq!(sent[0].1, ISS + 3001);
    assert!(sent.iter().all(|s| s.3.has(Flags::ACK)));
}

#[test]
fn zero_window_probes_leave_the_congestion_window_alone() {
    let mut end = End::established_in(with_sack(), 40);
    let cwnd = end.tcb.cwnd();
    let next = end.tcb.rcv_nxt().0;
    end.arrive(with_window(seg(ACK, next, ISS + 1, 0), 0));
    end.send(5000);
    let probes = end.until(5000);
    assert!(probes.len() >= 3, "{probes:?}");
    assert!(probes.iter().all(|s| s.2 == 0));
    assert_eq!(end.tcb.cwnd(), cwnd);
    assert_eq!(end.tcb.recovery_number(), 0);
    end.arrive(with_window(seg(ACK, next, ISS + 1, 0), WND));
    assert_eq!(end.sent().len(), 5);
}

#[test]
fn text_in_order_that_covers_what_waits_reports_the_first_of_it() {
    let mut end = End::established(with_sack());
    end.arrive(text(1000, 3000));
    end.arrive(text(4000, 5000));
    end.arrive(text(7000, 8000));
    end.sent();
    end.arrive(text(0, 6000));
    assert_eq!(blocks(&mut end), [(1000, 3000), (7000, 8000)]);
}

#[test]
fn text_that_came_twice_with_a_fin_is_not_reported() {
    let mut end = End::established(with_sack());
    end.arrive(text(0, 1000));
    end.sent();
    let mut last = text(0, 1000);
    last.flags = last.flags | Flags::FIN;
    end.arrive(last);
    assert_eq!(end.tcb.state(), State::CloseWait);
    end.send(10);
    assert_eq!(blocks(&mut end), []);
}
