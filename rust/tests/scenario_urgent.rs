// SPDX-License-Identifier: GPL-2.0

//! Urgent data (RFC 9293 3.8.5, RFC 6093), both ways.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::config::{Config, Identity};
use oxtcp_core::tcp::segment::{Flags, Segment, Transmit};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::time::Duration;
use oxtcp_core::tcp::urgent::{Urgent, UrgentNews};
use oxtcp_core::tcp::Tcb;

const URG: Flags = Flags::URG;

/// Sequence number, length, and the pointer if there is one.
fn pointers(sent: &[Transmit]) -> Vec<(u32, u32, Option<u16>)> {
    let pointer = |o: &Transmit| o.flags.has(URG).then_some(o.urg);
    sent.iter().map(|o| (o.seq.0, o.len, pointer(o))).collect()
}

/// The user sends, and the last byte is urgent.
fn send_urgent(end: &mut End, bytes: u32) {
    end.send(bytes);
    end.tcb.on_send_urgent();
}

/// A hundred bytes from `at` whose pointer is `pointer`.
fn urgent(at: u32, pointer: u16) -> Segment {
    let mut seg = seg(ACK | URG, IRS + 1 + at, ISS + 1, 100);
    seg.urg = pointer;
    seg
}

fn news(replaced: Option<u32>) -> Option<UrgentNews> {
    Some(UrgentNews {
        replaced: replaced.map(|at| SeqNumber(IRS + 1 + at)),
    })
}

/// A connection on which our text begins with the number `ours` and the peer's with `theirs`.
fn numbered(ours: u32, theirs: u32) -> End {
    let mut end = End::connecting(plain());
    let iss = SeqNumber(ours) - 1;
    end.tcb = Tcb::connect(&end.config, Identity { iss, ..ids() }, end.now);
    end.sent();
    let mut syn = seg(SYN | ACK, theirs.wrapping_sub(1), ours, 0);
    syn.options = syn_options(&end.config);
    end.arrive(syn);
    end.sent();
    assert_eq!(end.tcb.state(), State::Established);
    end
}

/// First numbers from which the numbers wrap `bytes` later.
fn wrapping_after<const N: usize>(bytes: [u32; N]) -> [u32; N] {
    bytes.map(u32::wrapping_neg)
}

/// The peer's urgent byte, with all unread that is readable.
fn mark(end: &End) -> Option<(u32, Urgent)> {
    end.tcb.peer_urgent(end.rx.readable() as u32)
}

#[test]
fn the_pointer_is_that_behind_the_urgent_byte() {
    let mut end = End::established(plain());
    send_urgent(&mut end, 1);
    assert_eq!(pointers(&end.out()), [(ISS + 1, 1, Some(1))]);
}

#[test]
fn each_segment_before_it_has_a_pointer_of_its_own() {
    let mut end = End::established(plain());
    end.limits.max_run = 50_000;
    send_urgent(&mut end, 2500);
    let sent = [
        (ISS + 1, 1000, Some(2500)),
        (ISS + 1001, 1000, Some(1500)),
        (ISS + 2001, 500, Some(500)),
    ];
    assert_eq!(pointers(&end.out()), sent);
    end.send(1000);
    assert_eq!(pointers(&end.out()), [(ISS + 2501, 1000, None)]);
}

#[test]
fn a_pointer_does_not_reach_beyond_64_kilobytes() {
    let mut end = End::established(plain());
    end.arrive(with_window(seg(ACK, IRS + 1, ISS + 1, 0), 65_535));
    end.send(70_000);
    end.tcb.on_send_urgent();
    let sent = end.out();
    // Nothing behind 64 KiB was sent: the pointer says "further on".
    assert!(sent.iter().all(|o| o.flags.has(URG) && o.urg >= 60_000));
    assert_eq!(sent[0].urg, u16::MAX);
}

#[test]
fn the_urgent_byte_does_not_wait_for_company() {
    let mut end = End::established(plain());
    end.send(10);
    assert_eq!(end.out().len(), 1);
    end.send(10);
    assert!(end.out().is_empty(), "Nagle");
    send_urgent(&mut end, 1);
    assert_eq!(pointers(&end.out()), [(ISS + 11, 11, Some(11))]);
    let mut corked = End::established(Config {
        cork: true,
        ..plain()
    });
    send_urgent(&mut corked, 1);
    assert_eq!(corked.out().len(), 1);
}

#[test]
fn once_acknowledged_nothing_is_urgent() {
    let mut end = End::established(plain());
    send_urgent(&mut end, 1);
    end.out();
    end.acked(ISS + 2);
    end.send(10);
    assert_eq!(pointers(&end.out()), [(ISS + 2, 10, None)]);
}

#[test]
fn what_is_sent_again_has_the_pointer_too() {
    let mut end = End::established(plain());
    end.limits.max_run = 50_000;
    send_urgent(&mut end, 1500);
    end.out();
    end.expire();
    assert_eq!(pointers(&end.out())[0], (ISS + 1, 1000, Some(1500)));
}

/// A recovery that the urgent byte's own segment lets repeat two segments at once.
#[test]
fn what_is_lost_is_sent_again_each_segment_with_its_pointer() {
    let mut end = End::established_in(with_sack(), 40);
    end.limits.max_run = 50_000;
    end.send(5000);
    end.out();
    send_urgent(&mut end, 1);
    end.out();
    end.now = end.now + Duration::from_ms(40);
    for arrived in [3001, 4001, 5002] {
        assert!(end.out().is_empty());
        let ack = seg(ACK, IRS + 1, ISS + 1, 0);
        end.arrive(with_blocks(ack, &[(ISS + 2001, ISS + arrived)]));
    }
    let sent = [(ISS + 1, 1000, Some(5001)), (ISS + 1001, 1000, Some(4001))];
    assert_eq!(pointers(&end.out()), sent);
}

#[test]
fn a_probe_tells_of_what_is_urgent_behind_a_closed_window() {
    let mut end = End::established(plain());
    end.arrive(with_window(seg(ACK, IRS + 1, ISS + 1, 0), 0));
    send_urgent(&mut end, 5);
    assert!(end.out().is_empty());
    end.expire();
    assert_eq!(pointers(&end.out()), [(ISS, 0, Some(6))]);
}

#[test]
fn an_announced_byte_is_found_in_the_stream() {
    let mut end = End::established(plain());
    let events = end.arrive(urgent(0, 51));
    assert_eq!(events.urgent, news(None));
    assert_eq!(mark(&end), Some((50, Urgent::Here)));
    end.rx.read(20);
    assert_eq!(mark(&end), Some((30, Urgent::Here)));
}

#[test]
fn without_the_bsds_meaning_the_pointer_is_the_byte() {
    let mut end = End::established(Config {
        urgent_is_last: true,
        ..plain()
    });
    end.arrive(urgent(0, 51));
    assert_eq!(mark(&end), Some((51, Urgent::Here)));
}

#[test]
fn a_byte_may_be_announced_before_it_comes() {
    let mut end = End::established(plain());
    end.arrive(urgent(0, 151));
    assert_eq!(mark(&end), Some((150, Urgent::Awaited)));
    let again = end.arrive(urgent(100, 51));
    assert_eq!(again.urgent, None, "the same byte");
    assert_eq!(mark(&end), Some((150, Urgent::Here)));
}

#[test]
fn a_byte_read_apart_stays_a_mark_in_the_stream() {
    let mut end = End::established(plain());
    end.arrive(urgent(0, 51));
    end.tcb.on_read_urgent();
    assert_eq!(mark(&end), Some((50, Urgent::Read)));
    end.rx.read(50);
    end.tcb.forget_passed_urgent(50);
    assert_eq!(mark(&end), Some((0, Urgent::Read)), "at the mark");
    end.rx.read(1);
    end.tcb.forget_passed_urgent(49);
    assert_eq!(mark(&end), None);
}

#[test]
fn a_pointer_to_what_was_received_before_is_ignored() {
    let mut end = End::established(plain());
    end.arrive(seg(ACK, IRS + 1, ISS + 1, 100));
    let mut old = urgent(0, 51);
    assert_eq!(end.arrive(old).urgent, None);
    old = seg(ACK | URG, IRS + 101, ISS + 1, 100);
    old.urg = 0;
    assert_eq!(
        end.arrive(old).urgent,
        news(None),
        "a pointer of 0 is its first byte"
    );
    assert_eq!(mark(&end), Some((100, Urgent::Here)));
}

#[test]
fn a_later_pointer_replaces_an_earlier_one_and_not_the_reverse() {
    let mut end = End::established(plain());
    end.arrive(urgent(0, 51));
    let events = end.arrive(urgent(100, 91));
    assert_eq!(events.urgent, news(Some(50)));
    assert_eq!(mark(&end), Some((190, Urgent::Here)));
    let mut ahead = urgent(200, 60_000);
    assert_eq!(end.arrive(ahead).urgent, news(Some(190)));
    ahead = urgent(300, 50);
    assert_eq!(end.arrive(ahead).urgent, None);
}

#[test]
fn the_peers_fin_is_no_byte() {
    let mut end = End::established(plain());
    let mut last = urgent(0, 100);
    last.flags = last.flags | FIN;
    end.arrive(last);
    assert_eq!(end.tcb.state(), State::CloseWait);
    assert_eq!(mark(&end), Some((99, Urgent::Here)));
}

#[test]
fn a_pointer_without_its_flag_or_after_the_end_means_nothing() {
    let mut end = End::established(plain());
    let mut plain_segment = urgent(0, 51);
    plain_segment.flags = ACK;
    assert_eq!(end.arrive(plain_segment).urgent, None);
    let mut closed = End::in_state(plain(), State::CloseWait);
    let mut late = seg(ACK | URG, IRS + 2, ISS + 1, 0);
    late.urg = 9;
    assert_eq!(closed.arrive(late).urgent, None);
}

#[test]
fn the_pointers_go_on_where_our_numbers_wrap() {
    for first in wrapping_after([0, 1, 999, 1500, 2499, 2500, 2501]) {
        let mut end = numbered(first, IRS + 1);
        let at = |n| first.wrapping_add(n);
        end.limits.max_run = 50_000;
        send_urgent(&mut end, 2500);
        let sent = [
            (at(0), 1000, Some(2500)),
            (at(1000), 1000, Some(1500)),
            (at(2000), 500, Some(500)),
        ];
        assert_eq!(pointers(&end.out()), sent, "{first}");
        end.send(1000);
        assert_eq!(pointers(&end.out()), [(at(2500), 1000, None)], "{first}");
        end.acked(at(1000));
        end.expire();
        assert_eq!(pointers(&end.out())[0], sent[1], "{first}");
        end.acked(at(3500));
        end.send(10);
        assert_eq!(pointers(&end.out()), [(at(3500), 10, None)], "{first}");
    }
}

#[test]
fn a_pointer_that_does_not_reach_wraps_too() {
    for first in wrapping_after([1, 5000, 40_000, 69_999]) {
        let mut end = numbered(first, IRS + 1);
        end.arrive(with_window(seg(ACK, IRS + 1, first, 0), 65_535));
        end.send(70_000);
        end.tcb.on_send_urgent();
        let sent = end.out();
        assert!(
            sent.iter().all(|o| o.flags.has(URG) && o.urg >= 60_000),
            "{first}"
        );
    }
}

#[test]
fn an_urgent_byte_is_found_where_the_peers_numbers_wrap() {
    for first in wrapping_after([0, 1, 50, 51, 100, 150, 190, 200, 20_000]) {
        let mut end = numbered(ISS + 1, first);
        let at = |n| first.wrapping_add(n);
        let urgent = |n, pointer| Segment {
            seq: SeqNumber(at(n)),
            ..urgent(0, pointer)
        };
        let news = |replaced: u32| {
            Some(UrgentNews {
                replaced: Some(SeqNumber(at(replaced))),
            })
        };
        let events = end.arrive(urgent(0, 51));
        assert_eq!(events.urgent, Some(UrgentNews { replaced: None }));
        assert_eq!(mark(&end), Some((50, Urgent::Here)), "{first}");
        assert_eq!(end.arrive(urgent(0, 61)).urgent, None, "passed: {first}");
        assert_eq!(end.arrive(urgent(100, 91)).urgent, news(50), "{first}");
        assert_eq!(mark(&end), Some((190, Urgent::Here)), "{first}");
        assert_eq!(end.arrive(urgent(200, 60_000)).urgent, news(190), "{first}");
        assert_eq!(mark(&end), Some((60_199, Urgent::Awaited)), "{first}");
        let earlier = end.arrive(urgent(300, 50));
        assert_eq!(earlier.urgent, None, "{first}");
    }
}
