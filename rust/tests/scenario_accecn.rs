// SPDX-License-Identifier: GPL-2.0

//! Accurate ECN (RFC 9768): negotiation, the counter in the header, the option, what middleboxes
//! do to them.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod ecn_support;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use ecn_support::*;
use harness::*;
use oxtcp_core::tcp::accecn_option::EcnBytes;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::congestion::CongestionControl;
use oxtcp_core::tcp::ecn::{Ecn, Feedback, OptionUse};
use oxtcp_core::tcp::options::SeqRange;
use oxtcp_core::tcp::segment::{Flags, Segment};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::syn_received::Verdict;
use oxtcp_core::tcp::time::{Duration, Instant};

const ACE_FAIL_SEND: u8 = 1;
const ACE_FAIL_RECV: u8 = 2;
const OPT_FAIL_SEND: u8 = 4;
const OPT_FAIL_RECV: u8 = 8;

fn accurate() -> Config {
    mode(3)
}

/// With the option used in such a way.
fn option(use_: OptionUse) -> Config {
    let mut config = accurate();
    config.ecn.option = use_;
    config
}

fn feedback(end: &End) -> Feedback {
    end.tcb.ecn().feedback
}

fn delivered_ce(end: &End) -> u32 {
    end.tcb.ecn().delivered_ce
}

/// A segment without text that acknowledges up to `ack`.
fn ack(ack: u32, ace: u8) -> Segment {
    with_ecn(
        with_ace(seg(ACK, IRS + 1, ISS + 1 + ack, 0), ace),
        Ecn::Ect0,
    )
}

/// A thousand bytes from `at`, that come with `ecn`.
fn text(at: u32, ecn: Ecn) -> Segment {
    with_ecn(with_ace(seg(ACK, IRS + 1 + at, ISS + 1, 1000), 5), ecn)
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
        let capable = if failures == 0 {
            Ecn::Ect0
        } else {
            Ecn::NotEct
        };
        assert_eq!(end.out()[0].ecn, capable, "{ace:03b}");
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
        let capable = if failures == 0 {
            Ecn::Ect0
        } else {
            Ecn::NotEct
        };
        assert_eq!(look(&end.out()[0]), (capable, 5, vec![]));
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
fn every_segment_is_capable_retransmissions_and_acknowledgments_too() {
    let mut end = accurate_server(accurate(), false);
    end.send(1000);
    assert_eq!(looks(&end.out()), [(Ecn::Ect0, 5, vec![])]);
    end.expire();
    let again = end.out();
    assert!(again[0].retransmission && again[0].accurate_ecn);
    assert_eq!(looks(&again), [(Ecn::Ect0, 5, vec![])]);
    end.tcb.set_quick_ack(&end.config, true);
    end.arrive(text(0, Ecn::Ect0));
    end.arrive(text(1000, Ecn::Ect0));
    let answers = end.out();
    assert_eq!(look(&answers[0]), (Ecn::Ect0, 5, vec![]));
}

#[test]
fn the_counter_counts_marked_segments_modulo_8() {
    let mut end = accurate_server(option(OptionUse::Never), false);
    for n in 0..20 {
        end.arrive(text(n * 1000, Ecn::Ce));
        end.rx.read(usize::MAX);
        end.tcb.set_quick_ack(&end.config, true);
        let expected = ((5 + n + 1) % 8) as u8;
        assert_eq!(look(&end.out()[0]), (Ecn::Ect0, expected, vec![]));
    }
    assert_eq!(end.tcb.ecn().received_ce, 20);
}

#[test]
fn each_segment_of_a_merged_one_counts() {
    let mut end = accurate_server(accurate(), false);
    let mut merged = text(0, Ecn::Ce);
    merged.len = 4000;
    merged.merged = 4;
    end.arrive(merged);
    assert_eq!(look(&end.out()[0]).1, 1);
    assert_eq!(end.tcb.ecn().received_ce, 4);
    assert_eq!(end.tcb.ecn().received.ce, 4000);
}

#[test]
fn marks_on_acknowledgments_count_but_have_no_bytes() {
    let mut end = accurate_server(accurate(), false);
    end.arrive(with_ecn(ack(0, 5), Ecn::Ce));
    assert_eq!(end.tcb.ecn().received_ce, 1);
    assert_eq!(end.tcb.ecn().received, EcnBytes::default());
    assert!(
        end.out().is_empty(),
        "no acknowledgment of an acknowledgment"
    );
}

#[test]
fn a_change_of_the_field_is_acknowledged_at_once() {
    let mut end = accurate_server(accurate(), true);
    end.arrive(text(0, Ecn::Ect0));
    end.wait(100);
    end.arrive(text(1000, Ecn::Ect0));
    assert!(end.out().is_empty(), "no change: delayed");
    let mut at = 2000;
    for ecn in [Ecn::Ce, Ecn::Ect0, Ecn::Ect1, Ecn::NotEct] {
        end.wait(100);
        end.arrive(text(at, ecn));
        end.rx.read(usize::MAX);
        assert_eq!(end.out().len(), 1, "{ecn:?}");
        at += 1000;
    }
}

#[test]
fn a_change_that_came_without_text_speeds_the_next_acknowledgment_up() {
    let mut end = client(accurate(), 0b010, Ecn::Ect0);
    end.out();
    end.send(100);
    end.out();
    end.arrive(ack(100, 5));
    assert!(
        end.out().is_empty(),
        "no acknowledgment of an acknowledgment"
    );
    end.arrive(with_ace(seg(ACK, IRS + 1, ISS + 101, 100), 5));
    assert_eq!(end.out().len(), 1, "another change");
    let mut end = client(accurate(), 0b010, Ecn::Ect0);
    end.out();
    end.send(100);
    end.out();
    end.arrive(ack(100, 5));
    let text = with_ace(seg(ACK, IRS + 1, ISS + 101, 100), 5);
    end.arrive(with_ecn(text, Ecn::Ect0));
    assert_eq!(looks(&end.out()), [(Ecn::Ect0, 5, vec![])]);
}

/// A segment of `len` bytes from `at`, that comes with a mark.
fn marked(at: u32, len: u32) -> Segment {
    with_ecn(with_ace(seg(ACK, IRS + 1 + at, ISS + 1, len), 5), Ecn::Ce)
}

/// How many segments go out after each of `segments`.
fn answers(end: &mut End, segments: &[Segment]) -> Vec<usize> {
    let answer = |seg: &Segment| {
        end.arrive(*seg);
        end.out().len()
    };
    segments.iter().map(answer).collect()
}

/// RFC 9768 3.2.2.5.1: n is 2 while text waits for its acknowledgment.
#[test]
fn two_marks_are_not_left_untold_while_text_waits() {
    let mut end = accurate_server(option(OptionUse::Never), false);
    let texts = [0, 1, 2, 3, 4].map(|at| marked(at, 1));
    // The first is a change.
    assert_eq!(answers(&mut end, &texts), [1, 0, 1, 0, 1]);
    let waiting = [text(5, Ecn::Ect0), text(1005, Ecn::Ect0)];
    assert_eq!(answers(&mut end, &waiting), [1, 0]);
    let acks = [marked(2005, 0); 4];
    assert_eq!(answers(&mut end, &acks), [0, 1, 0, 0]);
}

/// The same: n is 3 while none does, so that the acknowledgments of acknowledgments are damped.
#[test]
fn every_third_marked_acknowledgment_is_acknowledged() {
    let mut end = accurate_server(option(OptionUse::Never), false);
    for ace in [0, 3, 6] {
        assert_eq!(answers(&mut end, &[marked(0, 0); 2]), [0, 0]);
        end.arrive(marked(0, 0));
        assert_eq!(looks(&end.out()), [(Ecn::Ect0, ace, vec![])]);
    }
    let plain = [with_ecn(marked(0, 0), Ecn::Ect0); 9];
    assert_eq!(answers(&mut end, &plain), [0; 9]);
}

/// The same: the peer must be able to tell it from a duplicate acknowledgment, by its having no SACK
/// block.
#[test]
fn the_acknowledgment_of_acknowledgments_is_no_duplicate() {
    let config = Config {
        sack: false,
        ..accurate()
    };
    let mut end = accurate_server(config, false);
    assert_eq!(answers(&mut end, &[marked(0, 0); 7]), [0; 7]);
    assert_eq!(answers(&mut end, &[marked(0, 1)]), [1]);

    let mut end = accurate_server(accurate(), false);
    end.arrive(text(2000, Ecn::Ect0));
    let blocks = |end: &mut End| end.out()[0].options.sack.len();
    assert_eq!(blocks(&mut end), 1);
    for _ in 0..3 {
        end.arrive(marked(0, 0));
    }
    assert_eq!(blocks(&mut end), 0);
    for _ in 0..3 {
        end.arrive(marked(0, 0));
    }
    end.arrive(text(2000, Ecn::Ect0));
    assert_eq!(blocks(&mut end), 2, "what came twice is told");
    for _ in 0..3 {
        end.arrive(marked(0, 0));
    }
    end.arrive(text(4000, Ecn::Ect0));
    assert_eq!(blocks(&mut end), 2, "text out of order is told of");
    end.arrive(text(6000, Ecn::Ect0));
    for _ in 0..3 {
        end.arrive(marked(0, 0));
    }
    assert_eq!(blocks(&mut end), 3);

    let mut end = accurate_server(accurate(), false);
    end.arrive(text(0, Ecn::Ect0));
    end.arrive(text(1000, Ecn::Ect0));
    assert_eq!(blocks(&mut end), 0);
    for _ in 0..3 {
        end.arrive(marked(2000, 0));
    }
    end.arrive(text(0, Ecn::Ect0));
    assert_eq!(blocks(&mut end), 1, "old text came twice");
}

#[test]
fn the_option_tells_of_bytes_by_field() {
    let mut end = accurate_server(accurate(), true);
    let mut expected = vec![1, 0, 1];
    for (n, ecn) in [Ecn::Ce, Ecn::Ect0, Ecn::Ce, Ecn::Ect1, Ecn::Ce]
        .into_iter()
        .enumerate()
    {
        end.arrive(with_counters(text(n as u32 * 1000, ecn), &[1, 0, 1]));
        end.rx.read(usize::MAX);
        match ecn {
            Ecn::Ect1 => expected[0] += 1000,
            Ecn::Ce => expected[1] += 1000,
            _ => expected[2] += 1000,
        }
        assert_eq!(look(&end.out()[0]).2, expected);
    }
}

#[test]
fn no_option_goes_to_a_peer_that_sent_none() {
    let mut end = accurate_server(accurate(), false);
    end.arrive(text(0, Ecn::Ce));
    assert_eq!(look(&end.out()[0]).2, [0; 0]);
    end.send(100);
    end.out();
    let late = with_ace(seg(ACK, IRS + 1001, ISS + 101, 0), 5);
    end.arrive(with_counters(with_ecn(late, Ecn::Ect0), &[101, 0, 1]));
    end.send(100);
    assert_eq!(look(&end.out()[0]).2, [1, 1000, 1]);
}

#[test]
fn the_option_is_never_sent_where_the_user_said_so() {
    let config = option(OptionUse::Never);
    let syn_ack = entry(&config, 7, Ecn::NotEct).syn_ack(&config, Instant::default());
    assert_eq!(look(&syn_ack).2, [0; 0]);
    let mut end = accurate_server(config, true);
    end.arrive(text(0, Ecn::Ce));
    assert_eq!(look(&end.out()[0]).2, [0; 0]);
}

#[test]
fn with_least_use_the_option_follows_changes_and_the_beacon() {
    let mut config = option(OptionUse::Least);
    config.ecn.beacon = 0;
    let mut end = accurate_server(config, true);
    let mut had = vec![];
    for n in 0..6 {
        let ecn = if n == 3 { Ecn::Ce } else { Ecn::Ect0 };
        end.arrive(text(n * 1000, ecn));
        end.rx.read(usize::MAX);
        end.tcb.set_quick_ack(&end.config, true);
        had.push(!look(&end.out()[0]).2.is_empty());
    }
    // After the last acknowledgment of the handshake, which had another field than the SYN, two;
    // after a change two, and the field changes back.
    assert_eq!(had, [true, true, false, true, true, true]);
    end.arrive(text(6000, Ecn::Ect0));
    end.tcb.set_quick_ack(&end.config, true);
    assert_eq!(look(&end.out()[0]).2, [0; 0]);
}

#[test]
fn the_beacon_sends_the_option_some_times_a_round_trip() {
    let mut config = option(OptionUse::Least);
    config.ecn.beacon = 3;
    let mut end = accurate_server(config, true);
    end.send(100);
    end.out();
    end.now = end.now + Duration::from_ms(90);
    end.arrive(ack(100, 5));
    let srtt = end.tcb.rtt().srtt().expect("measured").ms();
    end.config.nodelay = true;
    let had: Vec<_> = (0..3 * srtt)
        .filter(|_| {
            end.now = end.now + Duration::from_ms(1);
            end.send(10);
            let sent = end.out();
            sent.iter().any(|o| o.options.accecn.is_some())
        })
        .collect();
    let pauses: Vec<_> = had.windows(2).map(|w| w[1] - w[0]).collect();
    assert!(
        had.len() >= 8
            && pauses[1..]
                .iter()
                .all(|p| *p == srtt / 3 || *p == srtt / 3 + 1)
    );
}

#[test]
fn the_option_takes_its_room_of_the_text() {
    let mut end = accurate_server(accurate(), true);
    end.send(5000);
    let sent = end.out();
    assert_eq!(u32::from(sent[0].mss), u32::from(MSS) - 12);
    let mut without = accurate_server(option(OptionUse::Never), true);
    without.send(5000);
    assert_eq!(without.out()[0].mss, MSS);
}

#[test]
fn delivered_marks_and_bytes_follow_the_peers_counters() {
    let mut end = accurate_server(accurate(), true);
    let mut acked = 0;
    for (ace, counters, ce, delivered) in [
        (6, [1, 1000, 1], 1, (0, 1000, 0)),
        (6, [1001, 1000, 1], 1, (1000, 1000, 0)),
        (7, [1001, 2000, 1], 2, (1000, 2000, 0)),
        (7, [1001, 2000, 1001], 2, (1000, 2000, 1000)),
        (0, [1001, 3000, 1001], 3, (1000, 3000, 1000)),
    ] {
        end.send(1000);
        end.out();
        acked += 1000;
        end.arrive(with_counters(ack(acked, ace), &counters));
        let info = end.tcb.ecn();
        let bytes = (info.delivered.ect0, info.delivered.ce, info.delivered.ect1);
        assert_eq!((info.delivered_ce, bytes), (ce, delivered));
    }
}

#[test]
fn an_acknowledgment_without_progress_says_nothing() {
    let mut end = accurate_server(accurate(), true);
    end.send(1000);
    end.out();
    end.arrive(with_counters(ack(0, 6), &[1, 1000, 1]));
    assert_eq!(delivered_ce(&end), 0);
    assert_eq!(end.tcb.ecn().delivered.ce, 0);
}

#[test]
fn progress_of_timestamps_is_progress() {
    let config = Config {
        timestamps: true,
        ..accurate()
    };
    for (stamp, expected) in [(101, 0), (102, 1)] {
        let last = with_stamp(last_ack(2, Ecn::Ect0), 101);
        let mut end = accept(config, entry(&config, 7, Ecn::NotEct), last);
        assert_eq!(delivered_ce(&end), 0, "no counter in the last ACK");
        end.send(1000);
        end.out();
        end.arrive(with_stamp(ack(0, 6), stamp));
        assert_eq!(delivered_ce(&end), expected);
    }
}

/// Ten segments of a thousand bytes in flight.
fn ten(config: Config, with_option: bool) -> End {
    let mut end = accurate_server(config, with_option);
    end.send(10_000);
    end.out();
    end
}

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
fn without_an_option_bytes_count_for_the_field_that_moved_last() {
    let mut end = ten(accurate(), true);
    end.arrive(with_counters(ack(1000, 5), &[1001, 0, 1]));
    end.arrive(ack(3000, 5));
    assert_eq!(end.tcb.ecn().delivered.ect0, 3000);
    end.arrive(with_counters(ack(5000, 5), &[5001, 0, 1]));
    assert_eq!(end.tcb.ecn().delivered.ect0, 5000);
}

#[test]
fn when_two_counters_moved_there_is_no_guess() {
    let mut end = ten(accurate(), true);
    end.arrive(with_counters(ack(2000, 6), &[1001, 1000, 1]));
    end.arrive(ack(3000, 6));
    let delivered = end.tcb.ecn().delivered;
    assert_eq!((delivered.ect0, delivered.ce), (1000, 1000));
}

#[test]
fn marks_reduce_the_window_once_a_round_trip() {
    let mut end = ten(accurate(), true);
    let before = end.tcb.congestion().window();
    end.arrive(ack(1000, 6));
    let reduced = end.tcb.congestion().window();
    assert!(reduced < before);
    end.arrive(ack(2000, 7));
    end.arrive(ack(3000, 0));
    assert_eq!(end.tcb.congestion().window(), reduced);
    assert_eq!(delivered_ce(&end), 3);
    end.arrive(ack(10_000, 0));
    end.send(1000);
    let next = end.out();
    assert_eq!(next[0].flags.ace(), 5, "no CWR");
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

#[test]
fn what_options_were_seen_is_told_as_in_linux() {
    let seen = |last| {
        let end = accept(accurate(), entry(&accurate(), 7, Ecn::NotEct), last);
        end.tcb.ecn().option_seen
    };
    assert_eq!(seen(last_ack(2, Ecn::Ect0)), 0);
    assert_eq!(seen(with_counters(last_ack(2, Ecn::Ect0), &[])), 1);
    assert_eq!(seen(with_counters(last_ack(2, Ecn::Ect0), &[1])), 2);
    assert_eq!(seen(with_counters(last_ack(2, Ecn::Ect0), &[1, 0, 1])), 2);
}

#[test]
fn without_an_option_in_eight_megabytes_there_will_be_none() {
    let mut end = accurate_server(accurate(), false);
    let mut acked = 0;
    while acked < (1 << 23) {
        assert_eq!(end.tcb.ecn().failures, 0);
        end.send(20_000);
        end.out();
        acked = end.tcb.snd_nxt().0 - ISS - 1;
        end.arrive(ack(acked, 5));
    }
    assert_eq!(end.tcb.ecn().failures, OPT_FAIL_RECV);
    end.send(1000);
    end.out();
    end.arrive(with_counters(ack(acked + 1000, 5), &[1, 77, 1]));
    assert_eq!(end.tcb.ecn().delivered, EcnBytes::default());
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

#[test]
fn the_last_acknowledgment_of_an_orphan_has_no_counters() {
    for orphan in [false, true] {
        let mut end = accurate_server(option(OptionUse::Never), false);
        end.tcb.shutdown_write();
        if orphan {
            end.tcb.orphan(&end.config, end.now);
        }
        assert_eq!(looks(&end.out()), [(Ecn::Ect0, 5, vec![])]);
        end.arrive(ack(1, 5));
        let mut fin = ack(1, 5);
        fin.flags = fin.flags | FIN;
        let reply = end.arrive(fin).reply.expect("an acknowledgment");
        let ace = if orphan { 0 } else { 5 };
        assert_eq!(look(&reply), (Ecn::Ect0, ace, vec![]));
    }
}

#[test]
fn our_option_stops_when_it_does_not_arrive() {
    let mut end = accurate_server(accurate(), true);
    end.arrive(text(0, Ecn::Ect0));
    end.rx.read(usize::MAX);
    end.wait(100);
    for n in 0..2 {
        assert_eq!(end.tcb.ecn().failures, 0, "{n}");
        end.arrive(text(0, Ecn::Ect0));
        let answer = end.out()[0];
        assert!(!answer.options.sack.is_empty(), "it tells of the duplicate");
        assert_eq!(answer.options.accecn.is_some(), n == 0);
    }
    assert_eq!(end.tcb.ecn().failures, OPT_FAIL_SEND);
    end.send(100);
    assert_eq!(look(&end.out()[0]), (Ecn::Ect0, 5, vec![]));
}

/// RFC 9768 3.2.3.2.2: it may be for the option that the first text does not arrive.
#[test]
fn first_text_that_is_lost_is_sent_again_without_the_option() {
    for (use_, sacked, had) in [
        (OptionUse::Always, false, false),
        (OptionUse::Always, true, true),
        (OptionUse::Persistent, false, true),
    ] {
        let config = option(use_);
        let mut end = End::connecting(config);
        end.out();
        end.now = end.now + Duration::from_ms(10);
        end.arrive(with_counters(syn_ack(&config, 2, Ecn::Ect0), &[1, 0, 1]));
        end.out();
        end.send(2000);
        let sent = end.out();
        assert!(sent.iter().all(|out| out.options.accecn.is_some()));
        if sacked {
            let mut dup = ack(0, 5);
            dup.options.sack.push(SeqRange {
                start: sent[1].seq,
                end: sent[1].seq + sent[1].len,
            });
            end.arrive(dup);
        }
        end.expire();
        let again = end.out();
        assert!(again[0].retransmission);
        assert_eq!(again[0].options.accecn.is_some(), had, "{use_:?} {sacked}");
        let len = again[0].len;
        end.arrive(ack(len, 5));
        end.send(100);
        let more = end.out();
        assert!(more.iter().all(|out| out.options.accecn.is_some()));
    }
}
