// SPDX-License-Identifier: GPL-2.0

//! The handshake of Accurate ECN (RFC 9768 3.1, 3.2.2): what both ends agree on, and what middleboxes
//! do to it.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod ecn_support;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use ecn_support::accurate::*;
use ecn_support::*;
use harness::*;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::congestion::CongestionControl;
use oxtcp_core::tcp::ecn::{Ecn, Feedback};
use oxtcp_core::tcp::segment::Flags;
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::syn_received::Verdict;
use oxtcp_core::tcp::time::Instant;
use oxtcp_core::tcp::Tcb;

/// A server whose Fast Open was begun by a SYN with `ace`; its SYN-ACK was sent.
fn fast_open(config: Config, ace: u8) -> End {
    let mut end = End::connecting(config);
    let first = syn(&config, ace, Ecn::NotEct);
    let (tcb, _) = Tcb::accept_fast(&config, &first, ids(), &mut end.rx, end.now);
    end.tcb = tcb;
    end.out();
    end
}

/// What text is sent with, when these `failures` were noticed.
fn capable(failures: u8) -> Ecn {
    if failures == 0 {
        Ecn::Ect0
    } else {
        Ecn::NotEct
    }
}

/// RFC 9768 table 2, with its host A being us.
#[test]
fn what_a_client_makes_of_each_syn_ack() {
    for (ace, expected) in [
        (0b010, Feedback::Accurate),
        (0b011, Feedback::Accurate),
        (0b100, Feedback::Accurate),
        (0b110, Feedback::Accurate),
        (0b101, Feedback::Accurate),
        (0b001, Feedback::Classic),
        (0b000, Feedback::None),
        (0b111, Feedback::None),
    ] {
        let end = client(accurate(), ace, Ecn::NotEct);
        assert_eq!(feedback(&end), expected, "{ace:03b}");
    }
}

/// RFC 9768 table 2, with its host B being us, and 3.1.3: what has no meaning yet asks for it too.
#[test]
fn what_a_server_makes_of_each_syn() {
    for (ace, answer) in [
        (0b000, 0b000),
        (0b011, 0b001),
        (0b111, 0b010),
        (0b001, 0b010),
        (0b010, 0b010),
        (0b100, 0b010),
        (0b101, 0b010),
        (0b110, 0b010),
    ] {
        let config = accurate();
        let syn_ack = entry(&config, ace, Ecn::NotEct).syn_ack(&config, Instant::default());
        assert_eq!(syn_ack.flags.ace(), answer, "{ace:03b}");
    }
}

/// RFC 9768 table 3.
#[test]
fn a_syn_ack_tells_with_which_field_the_syn_came() {
    for (ecn, ace) in [
        (Ecn::NotEct, 0b010),
        (Ecn::Ect1, 0b011),
        (Ecn::Ect0, 0b100),
        (Ecn::Ce, 0b110),
    ] {
        let config = accurate();
        let syn_ack = entry(&config, 7, ecn).syn_ack(&config, Instant::default());
        assert_eq!(look(&syn_ack), (Ecn::NotEct, ace, vec![1, 0, 1]));
    }
}

/// RFC 9768 3.2.2.1: in the same way.
#[test]
fn the_last_ack_tells_with_which_field_the_syn_ack_came() {
    for (ecn, ace) in [
        (Ecn::NotEct, 0b010),
        (Ecn::Ect1, 0b011),
        (Ecn::Ect0, 0b100),
        (Ecn::Ce, 0b110),
    ] {
        let mut end = client(accurate(), 0b010, ecn);
        assert_eq!(looks(&end.out()), [(Ecn::Ect0, ace, vec![])]);
    }
}

#[test]
fn text_that_goes_with_the_last_ack_has_the_counter() {
    let mut end = client(accurate(), 0b010, Ecn::Ect0);
    end.send(100);
    assert_eq!(looks(&end.out()), [(Ecn::Ect0, 5, vec![])]);
}

/// RFC 9768 3.2.2.2: whatever it says of our SYN.
#[test]
fn a_marked_syn_ack_is_counted() {
    for ace in 2..7 {
        let mut end = client(accurate(), ace, Ecn::Ce);
        end.out();
        end.send(100);
        assert_eq!(look(&end.out()[0]).1, 6, "{ace:03b}");
        assert_eq!(end.tcb.ecn().received_ce, 1);
    }
}

/// RFC 9768 table 4, for our SYN-ACK, which is not ECN-capable.
#[test]
fn what_a_server_makes_of_each_last_ack() {
    for (ace, failures) in [
        (0b000, ACE_FAIL_RECV | OPT_FAIL_RECV),
        (0b001, 0),
        (0b010, 0),
        (0b011, ACE_FAIL_RECV),
        (0b100, ACE_FAIL_RECV),
        (0b101, 0),
        (0b110, ACE_FAIL_RECV),
        (0b111, 0),
    ] {
        let config = accurate();
        let first = entry(&config, 7, Ecn::NotEct);
        let mut end = accept(config, first, last_ack(ace, Ecn::Ect0));
        assert_eq!(end.tcb.ecn().failures, failures, "{ace:03b}");
        assert_eq!(delivered_ce(&end), u32::from(ace == 6), "{ace:03b}");
        end.send(100);
        assert_eq!(end.out()[0].ecn, capable(failures), "{ace:03b}");
    }
}

#[test]
fn without_fallback_a_marked_syn_ack_is_believed() {
    let mut config = accurate();
    config.ecn.fallback = false;
    let end = accept(
        config,
        entry(&config, 7, Ecn::NotEct),
        last_ack(6, Ecn::Ect0),
    );
    assert_eq!((delivered_ce(&end), end.tcb.ecn().failures), (1, 0));
}

#[test]
fn a_marked_last_ack_is_counted() {
    let mut last = last_ack(2, Ecn::Ce);
    last = with_counters(last, &[1, 0, 1]);
    let mut end = accept(accurate(), entry(&accurate(), 7, Ecn::NotEct), last);
    end.send(1000);
    assert_eq!(look(&end.out()[0]), (Ecn::Ect0, 6, vec![1, 0, 1]));
}

#[test]
fn a_last_ack_that_is_lost_leaves_it_to_the_text() {
    let config = accurate();
    let first = with_counters(text(0, Ecn::Ce), &[1, 0, 1]);
    let mut end = accept(config, entry(&config, 7, Ecn::NotEct), first);
    assert_eq!(looks(&end.out()), [(Ecn::Ect0, 6, vec![1, 1000, 1])]);
    end.arrive(with_counters(text(1000, Ecn::Ce), &[1, 0, 1]));
    assert_eq!(end.tcb.ecn().received_ce, 2);
    assert_eq!((delivered_ce(&end), end.tcb.ecn().failures), (0, 0));
}

#[test]
fn later_text_may_complete_the_handshake() {
    let config = accurate();
    let second = with_counters(text(1000, Ecn::Ce), &[1, 0, 1]);
    let mut end = accept(config, entry(&config, 7, Ecn::NotEct), second);
    assert_eq!(looks(&end.out()), [(Ecn::Ect0, 6, vec![1, 1000, 1])]);
    end.arrive(with_counters(text(0, Ecn::Ce), &[1, 0, 1]));
    assert_eq!(looks(&end.out()), [(Ecn::Ect0, 7, vec![1, 2000, 1])]);
}

#[test]
fn the_last_ack_again_is_no_counter() {
    let mut end = accurate_server(accurate(), true);
    end.arrive(with_counters(last_ack(2, Ecn::Ect0), &[1, 0, 1]));
    assert_eq!((delivered_ce(&end), end.tcb.ecn().failures), (0, 0));
}

#[test]
fn a_syn_gives_up_ecn_the_second_time_it_is_sent_again() {
    let mut end = End::connecting(accurate());
    let bits: Vec<u8> = end.until(7100).iter().map(|s| s.3.ace()).collect();
    assert_eq!(bits, [7, 7, 0, 0]);
    end.arrive(syn_ack(&accurate(), 2, Ecn::NotEct));
    assert_eq!(feedback(&end), Feedback::Accurate, "an answer to the first");
}

#[test]
fn a_syn_ack_sent_again_has_no_option_and_then_no_ecn() {
    let config = accurate();
    let mut entry = entry(&config, 7, Ecn::NotEct);
    let mut seen = vec![];
    for _ in 0..4 {
        let at = entry.deadline();
        seen.push(look(&entry.syn_ack(&config, at)));
        entry.on_timer(&config, at);
    }
    let plain = |ace| (Ecn::NotEct, ace, vec![]);
    assert_eq!(seen[1..], [plain(2), plain(0), plain(0)]);
    assert_eq!(seen[0], (Ecn::NotEct, 2, vec![1, 0, 1]));
}

#[test]
fn syn_acks_that_do_not_arrive_with_it_end_our_capability() {
    let config = accurate();
    for (times, failures) in [(1, 0), (2, ACE_FAIL_SEND)] {
        let mut entry = entry(&config, 7, Ecn::NotEct);
        for _ in 0..times {
            let at = entry.deadline();
            entry.on_timer(&config, at);
        }
        let mut end = accept(config, entry, last_ack(2, Ecn::NotEct));
        assert_eq!(end.tcb.ecn().failures, failures);
        end.send(100);
        assert_eq!(look(&end.out()[0]), (capable(failures), 5, vec![]));
    }
}

/// The same where Fast Open has the connection open by then.
#[test]
fn a_syn_ack_of_a_fast_open_sent_again_twice_says_nothing_of_ecn() {
    for (asked, granted, failures) in [(7, 2, ACE_FAIL_SEND), (3, 1, 0)] {
        let mut end = fast_open(accurate(), asked);
        let bits: Vec<u8> = end.until(7100).iter().map(|s| s.3.ace()).collect();
        assert_eq!(bits, [granted, 0, 0]);
        end.arrive(last_ack(granted & 2, Ecn::NotEct));
        assert_eq!(end.tcb.ecn().failures, failures);
        end.send(100);
        assert_eq!(end.out()[0].ecn, Ecn::NotEct);
    }
}

#[test]
fn a_syn_that_comes_again_without_ecn_was_mangled_or_gave_up() {
    let config = accurate();
    let mut entry = entry(&config, 7, Ecn::Ect0);
    entry.on_syn_again(&syn(&config, 0, Ecn::NotEct));
    let again = entry.syn_ack(&config, Instant::default());
    assert_eq!(look(&again), (Ecn::NotEct, 2, vec![]));
    let last = with_counters(last_ack(2, Ecn::NotEct), &[1, 0, 1]);
    let mut end = accept(config, entry, last);
    assert_eq!(end.tcb.ecn().failures, ACE_FAIL_RECV);
    end.send(100);
    assert_eq!(look(&end.out()[0]), (Ecn::NotEct, 5, vec![1, 0, 1]));
}

/// The same where Fast Open has the connection open by then (RFC 9768 3.1.5).
#[test]
fn a_syn_that_comes_again_without_ecn_ends_our_capability_after_a_fast_open_too() {
    for (again, ecn, answer, failures) in [
        (7, Ecn::Ect0, 0b100, 0),
        (0, Ecn::NotEct, 0b010, ACE_FAIL_RECV),
    ] {
        let mut end = fast_open(accurate(), 7);
        end.arrive(syn(&accurate(), again, ecn));
        assert_eq!(end.out()[0].flags.ace(), answer, "the field of the latest");
        end.arrive(last_ack(2, Ecn::Ect0));
        assert_eq!(end.tcb.ecn().failures, failures);
        end.send(100);
        assert_eq!(end.out()[0].ecn, capable(failures));
    }
}

#[test]
fn ecn_on_a_syn_that_comes_again_is_too_late() {
    let config = accurate();
    let mut entry = entry(&config, 0, Ecn::NotEct);
    entry.on_syn_again(&syn(&config, 7, Ecn::Ect0));
    assert_eq!(entry.syn_ack(&config, Instant::default()).flags.ace(), 0);
    let end = accept(config, entry, last_ack(0, Ecn::NotEct));
    assert_eq!(feedback(&end), Feedback::None);
}

/// RFC 9768 3.1.5: nobody could know what was agreed on.
#[test]
fn syns_for_classic_and_for_accurate_feedback_reset_the_connection() {
    for (number, first, second, reset) in [
        (3, 7, 3, true),
        (3, 3, 7, true),
        (3, 3, 5, true),
        (3, 5, 3, true),
        (3, 7, 5, false),
        (3, 7, 0, false),
        (3, 3, 0, false),
        (3, 0, 3, false),
        (3, 0, 7, false),
        // Who has no accurate feedback knows no such SYN.
        (1, 3, 7, false),
        (1, 7, 3, false),
    ] {
        let config = mode(number);
        let entry = entry(&config, first, Ecn::NotEct);
        let again = syn(&config, second, Ecn::NotEct);
        let verdict = entry.on_segment(&config, &again, Instant::default());
        if let Verdict::Reply(out) = verdict {
            let (seq, ack) = (SeqNumber(ISS + 1), SeqNumber(IRS + 1));
            assert_eq!((out.flags, out.seq, out.ack), (RST | ACK, seq, ack));
        }
        let expected = matches!(verdict, Verdict::Reply(_));
        assert_eq!(expected, reset, "{first:03b} {second:03b} {verdict:?}");
    }
}

/// The same where Fast Open has the connection open by then.
#[test]
fn syns_for_two_kinds_of_feedback_reset_a_fast_open_too() {
    for (first, second, reset) in [
        (7, 3, true),
        (3, 7, true),
        (7, 5, false),
        (7, 0, false),
        (3, 0, false),
        (0, 7, false),
    ] {
        let mut end = fast_open(accurate(), first);
        let events = end.arrive(syn(&accurate(), second, Ecn::NotEct));
        let reply = events.reply.map(|out| (out.flags, out.ack));
        let expected = reset.then_some((RST | ACK, SeqNumber(IRS + 1)));
        assert_eq!(reply, expected, "{first:03b} {second:03b}");
    }
}

#[test]
fn a_syn_ack_that_comes_again_is_answered_as_the_first_was() {
    let mut end = client(accurate(), 2, Ecn::NotEct);
    assert_eq!(looks(&end.out()), [(Ecn::Ect0, 2, vec![])]);
    for ecn in [Ecn::NotEct, Ecn::Ect0] {
        let late = with_counters(syn_ack(&accurate(), 2, ecn), &[1, 0, 1]);
        let answer = end.arrive(late).reply.expect("a challenge ACK");
        let ace = if ecn == Ecn::NotEct { 2 } else { 4 };
        assert_eq!(look(&answer), (Ecn::Ect0, ace, vec![1, 0, 1]));
    }
    end.send(100);
    assert_eq!(look(&end.out()[0]).1, 5);
}

/// RFC 9768 3.2.2.2.
#[test]
fn a_syn_ack_that_comes_again_marked_is_counted_once() {
    for first in [Ecn::NotEct, Ecn::Ce] {
        let mut end = client(accurate(), 2, first);
        end.out();
        for _ in 0..2 {
            let late = syn_ack(&accurate(), 2, Ecn::Ce);
            let answer = end.arrive(late).reply.expect("a challenge ACK");
            assert_eq!(answer.flags.ace(), 6);
        }
        end.send(100);
        assert_eq!(end.out()[0].flags.ace(), 6);
        assert_eq!(end.tcb.ecn().received_ce, 1);
    }
}

/// RFC 9768 3.2.2.1: none but a SYN-ACK is answered so.
#[test]
fn a_late_syn_is_answered_with_the_counter() {
    let mut end = accurate_server(accurate(), true);
    let late = syn(&accurate(), 7, Ecn::Ect0);
    let answer = end.arrive(late).reply.expect("a challenge ACK");
    assert_eq!(answer.flags.ace(), 5);
}

#[test]
fn simultaneous_opens_agree() {
    let mut end = End::connecting(accurate());
    end.out();
    end.arrive(syn(&accurate(), 7, Ecn::Ect1));
    let sent = end.out();
    assert_eq!(sent[0].flags, SYN | ACK | Flags::from_ace(3));
    assert_eq!(look(&sent[0]).2, [1, 0, 1]);
    end.arrive(last_ack(2, Ecn::Ect0));
    assert_eq!(feedback(&end), Feedback::Accurate);
    end.send(10);
    assert_eq!(end.out()[0].ecn, Ecn::Ect0);
}

#[test]
fn a_crossing_syn_decides() {
    for (ace, expected) in [
        (0, Feedback::None),
        (3, Feedback::Classic),
        (7, Feedback::Accurate),
        (5, Feedback::Accurate),
    ] {
        let mut end = End::connecting(accurate());
        end.out();
        end.arrive(syn(&accurate(), ace, Ecn::NotEct));
        assert_eq!(feedback(&end), expected, "{ace:03b}");
    }
}

#[test]
fn bits_that_are_cleared_on_the_way_are_not_marks() {
    let config = accurate();
    let last = with_counters(last_ack(0, Ecn::Ect0), &[1, 0, 1]);
    let mut end = accept(config, entry(&config, 7, Ecn::NotEct), last);
    end.send(1000);
    assert_eq!(look(&end.out()[0]), (Ecn::NotEct, 5, vec![1, 0, 1]));
    end.arrive(ack(1000, 0));
    assert_eq!(delivered_ce(&end), 0);
}

/// RFC 9768 3.1.5, 3.2.2.3: only what was said not to be marked cannot be.
#[test]
fn marks_are_answered_although_we_are_not_capable() {
    let config = accurate();
    let first = || entry(&config, 7, Ecn::NotEct);
    let mut gave_up = first();
    gave_up.on_syn_again(&syn(&config, 0, Ecn::NotEct));
    let mut unheard = first();
    for _ in 0..2 {
        let at = unheard.deadline();
        unheard.on_timer(&config, at);
    }
    for (entry, ace, failures) in [
        (gave_up, 2, ACE_FAIL_RECV),
        (unheard, 2, ACE_FAIL_SEND),
        (first(), 3, ACE_FAIL_RECV),
        (first(), 4, ACE_FAIL_RECV),
    ] {
        let mut end = accept(config, entry, last_ack(ace, Ecn::Ect0));
        assert_eq!(end.tcb.ecn().failures, failures);
        end.send(2000);
        assert_eq!(end.out()[0].ecn, Ecn::NotEct);
        end.arrive(ack(1000, 6));
        assert_eq!(delivered_ce(&end), 1, "{ace:03b} {failures}");
        assert!(end.tcb.congestion().ssthresh() < u32::MAX);
    }
}
