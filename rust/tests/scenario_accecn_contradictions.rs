// SPDX-License-Identifier: GPL-2.0

//! Counters of Accurate ECN (RFC 9768) that are not believed: one that may have wrapped, some that
//! were cleared, two that contradict each other.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod ecn_support;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use ecn_support::accurate::*;
use ecn_support::*;
use harness::*;
use oxtcp_core::tcp::ecn::{Ecn, OptionUse};
use oxtcp_core::tcp::options::SeqRange;
use oxtcp_core::tcp::seq::SeqNumber;

#[test]
fn a_large_acknowledgment_may_hide_a_wrap_of_the_counter() {
    for (ace, marks) in [(5, 0), (6, 1), (4, 7)] {
        let mut end = ten(option(OptionUse::Never), false);
        end.arrive(ack(10_000, ace));
        assert_eq!(delivered_ce(&end), marks, "thinned: {ace}");
    }
}

#[test]
fn after_small_acknowledgments_a_large_one_is_taken_for_the_worst() {
    let mut end = ten(option(OptionUse::Never), false);
    end.arrive(ack(1000, 5));
    end.arrive(ack(10_000, 5));
    assert_eq!(delivered_ce(&end), 8);
}

#[test]
fn counters_of_bytes_tell_that_it_did_not_wrap() {
    let mut end = accurate_server(accurate(), true);
    end.config.ecn.option = OptionUse::Never;
    end.limits.mss = MSS + 12;
    end.send(10_000);
    end.out();
    end.arrive(with_counters(ack(1000, 5), &[1001, 0, 1]));
    end.arrive(with_counters(ack(10_000, 5), &[10_001, 0, 1]));
    assert_eq!(delivered_ce(&end), 0);
    assert_eq!(end.tcb.ecn().delivered.ect0, 10_000);
}

#[test]
fn counters_that_were_cleared_are_not_believed() {
    for counters in [&[0u32, 0, 1][..], &[0], &[1, 0, 0]] {
        let last = with_counters(last_ack(2, Ecn::Ect0), counters);
        let mut end = accept(accurate(), entry(&accurate(), 7, Ecn::NotEct), last);
        assert_eq!(end.tcb.ecn().failures, OPT_FAIL_RECV, "{counters:?}");
        assert_eq!(end.tcb.ecn().option_seen, 3);
        end.send(1000);
        end.out();
        end.arrive(with_counters(ack(1000, 5), &[1001, 0, 1]));
        assert_eq!(end.tcb.ecn().delivered.ect0, 0);
    }
}

/// What the peer says, and whether our capability ends with it: acknowledged bytes, ACE, and the
/// counters of ECT(0) and CE as on the wire.
type Said = (u32, u8, Option<[u32; 2]>, bool);

fn hear(end: &mut End, said: &[Said]) {
    for (acked, ace, counters, ends) in said {
        let ack = ack(*acked, *ace);
        end.arrive(match counters {
            Some([ect0, ce]) => with_counters(ack, &[*ect0, *ce, 1]),
            None => ack,
        });
        let failures = if *ends { ACE_FAIL_RECV } else { 0 };
        assert_eq!(end.tcb.ecn().failures, failures, "{acked} {counters:?}");
    }
}

/// RFC 9768 3.2.3.2.5: the counters of marked segments and of marked bytes contradict each other.
#[test]
fn marked_bytes_without_a_marked_segment_end_our_capability() {
    let mut end = ten(accurate(), true);
    hear(
        &mut end,
        &[
            // Its counters may begin with whatever the peer likes (3.2.3.2.4).
            (1000, 5, Some([1, 1000]), false),
            (2000, 5, Some([1001, 1000]), false),
            // An option may tell later of what ACE has told already.
            (3000, 6, None, false),
            (4000, 6, Some([2001, 2000]), false),
            (5000, 6, Some([3001, 2000]), false),
            (6000, 6, Some([3001, 3000]), true),
        ],
    );
    end.arrive(with_counters(ack(7000, 7), &[3001, 4000, 1]));
    assert_eq!(delivered_ce(&end), 2, "but what is told counts");
    end.send(1000);
    assert_eq!(look(&end.out()[0]), (Ecn::NotEct, 5, vec![1, 0, 1]));
}

/// The same, where the counter of segments may have wrapped.
#[test]
fn a_counter_of_segments_that_may_have_wrapped_contradicts_nothing() {
    let begin = (1000, 5, Some([1001, 0]), false);
    let mut end = ten(accurate(), true);
    hear(&mut end, &[begin, (9000, 5, Some([1001, 8000]), false)]);

    let mut end = ten(accurate(), true);
    let (few, more) = ((5000, 5, None, false), (9000, 5, Some([1001, 8000]), false));
    hear(&mut end, &[begin, few, more]);

    // Behind a gap more may have come than is told of.
    let mut end = ten(accurate(), true);
    hear(&mut end, &[begin]);
    let mut gap = with_counters(ack(1000, 5), &[1001, 1000, 1]);
    gap.options.sack.push(SeqRange {
        start: SeqNumber(ISS + 2965),
        end: SeqNumber(ISS + 5929),
    });
    end.arrive(gap);
    assert_eq!(end.tcb.ecn().delivered.ce, 1000);
    assert_eq!(end.tcb.ecn().failures, 0);

    // Our acknowledgments may have been marked too.
    let mut end = ten(accurate(), true);
    end.config.nodelay = true;
    end.out();
    hear(&mut end, &[begin]);
    for n in 0..7 {
        end.arrive(text(n * 1000, Ecn::Ect0));
        end.rx.read(usize::MAX);
        end.tcb.set_quick_ack(&end.config, true);
        assert_eq!(end.out().len(), 1);
    }
    let late = |acked, ace, counters| {
        let late = with_ace(seg(ACK, IRS + 7001, ISS + 1 + acked, 0), ace);
        with_counters(with_ecn(late, Ecn::Ect0), counters)
    };
    end.arrive(late(2000, 5, &[1001, 1000, 1]));
    end.arrive(late(3000, 5, &[1001, 2000, 1]));
    assert_eq!(end.tcb.ecn().failures, 0);
    // Behind text that was sent after them they are of the past.
    end.send(1000);
    end.out();
    end.arrive(late(10_000, 5, &[9001, 2000, 1]));
    end.arrive(late(11_000, 5, &[9001, 2000, 1]));
    end.send(1000);
    end.out();
    end.arrive(late(12_000, 5, &[9001, 3000, 1]));
    assert_eq!(end.tcb.ecn().failures, ACE_FAIL_RECV);

    // And what is sent again may come twice.
    let mut end = ten(accurate(), true);
    hear(&mut end, &[begin]);
    end.expire();
    assert!(end.out()[0].retransmission);
    hear(&mut end, &[(2000, 5, Some([1001, 1000]), false)]);
}
