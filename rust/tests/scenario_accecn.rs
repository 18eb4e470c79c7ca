// SPDX-License-Identifier: GPL-2.0

//! Accurate ECN (RFC 9768): what is counted, the option, and what the peer's counters tell.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod ecn_support;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use ecn_support::accurate::*;
use ecn_support::*;
use harness::*;
use oxtcp_core::tcp::accecn_option::EcnBytes;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::congestion::CongestionControl;
use oxtcp_core::tcp::ecn::{Ecn, OptionUse};
use oxtcp_core::tcp::options::SeqRange;
use oxtcp_core::tcp::time::{Duration, Instant};

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

/// A peer may announce segments so small that options leave nothing of them.
#[test]
fn a_segment_has_text_however_little_room_options_leave() {
    let mut end = accurate_server(option(OptionUse::Always), true);
    end.limits.mss = 48;
    end.limits.max_run = 64_000;
    for n in [2000, 4000, 6000, 8000] {
        end.arrive(with_counters(text(n, Ecn::Ect0), &[1, 0, 1]));
        end.out();
    }
    end.send(5000);
    let sizes: Vec<_> = end.out().iter().map(|o| (o.len, o.mss)).collect();
    assert!(!sizes.is_empty());
    assert!(
        sizes.iter().all(|(len, mss)| *len > 0 && *mss >= 8),
        "{sizes:?}"
    );
}
