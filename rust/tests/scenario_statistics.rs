// SPDX-License-Identifier: GPL-2.0

//! What is counted of loss recovery, and what the settings of it change.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::statistics::Statistic::{self, *};

/// Ten segments are on their way, for 40 ms, which is the round trip.
fn in_flight(config: Config) -> End {
    let mut end = End::established_in(config, 40);
    end.send(20_000);
    assert_eq!(end.sent().len(), 10);
    end.tcb.take_statistics();
    assert!(end.wait(40).is_empty());
    end
}

/// An acknowledgment of so many segments, with blocks of segments; what is counted of it and of
/// what goes out in answer.
fn ack(end: &mut End, una: u32, blocks: &[(u32, u32)]) -> Vec<(Statistic, u32)> {
    let number = |n: u32| ISS + 1 + n * 1000;
    let blocks: Vec<_> = blocks.iter().map(|b| (number(b.0), number(b.1))).collect();
    let next = end.tcb.rcv_nxt().0;
    let events = end.arrive(with_blocks(seg(ACK, next, number(una), 0), &blocks));
    end.sent();
    let sent = end.tcb.take_statistics();
    events.statistics.iter().chain(sent.iter()).collect()
}

#[test]
fn a_recovery_with_sack() {
    let mut end = in_flight(with_sack());
    assert_eq!(ack(&mut end, 0, &[(1, 2)]), [(Delivered, 1)]);
    assert_eq!(ack(&mut end, 0, &[(1, 3)]), [(Delivered, 1)]);
    let third = ack(&mut end, 0, &[(1, 4)]);
    assert_eq!(third, [(SackRecovery, 1), (Delivered, 1), (FastRetrans, 1)]);
    end.wait(40);
    assert_eq!(ack(&mut end, 10, &[]), [(Delivered, 7)]);
}

#[test]
fn a_recovery_without_sack() {
    let mut end = in_flight(plain());
    ack(&mut end, 0, &[]);
    ack(&mut end, 0, &[]);
    let third = ack(&mut end, 0, &[]);
    assert_eq!(third, [(RenoRecovery, 1), (Delivered, 1), (FastRetrans, 1)]);
}

#[test]
fn a_repetition_that_is_lost_too() {
    let mut end = in_flight(with_sack());
    ack(&mut end, 0, &[(1, 4)]);
    end.wait(40);
    end.send(1000);
    ack(&mut end, 0, &[(1, 10)]);
    end.wait(45);
    let all = ack(&mut end, 0, &[(1, 11)]);
    assert!(all.contains(&(LostRetransmit, 1)), "{all:?}");
}

#[test]
fn a_duplicate_received_and_the_undoing() {
    let mut end = in_flight(with_sack());
    ack(&mut end, 0, &[(1, 4)]);
    end.wait(20);
    let late = ack(&mut end, 10, &[(0, 1)]);
    for what in [DsackRecv, DsackRecvSegs, FullUndo, Delivered] {
        assert!(late.iter().any(|s| s.0 == what), "{what:?} {late:?}");
    }
}

#[test]
fn more_duplicates_than_repetitions_are_dubious() {
    let mut end = in_flight(with_sack());
    let all = ack(&mut end, 1, &[(0, 1)]);
    assert_eq!(
        all,
        [(DsackRecv, 1), (DsackIgnoredDubious, 1), (Delivered, 1)]
    );
}

#[test]
fn blocks_of_what_was_never_sent_are_discarded() {
    let mut end = in_flight(with_sack());
    assert_eq!(ack(&mut end, 0, &[(40, 41)]), [(SackDiscard, 1)]);
}

#[test]
fn a_timeout_and_the_repetitions_after_it() {
    let mut end = in_flight(Config {
        loss_probes: false,
        ..with_sack()
    });
    let at = end.tcb.deadline().expect("a timer");
    end.now = at;
    let events = end.tcb.on_timer(&end.config, &mut end.rx, at);
    assert!(events.timed_out && events.statistics.is_empty());
    end.sent();
    let sent: Vec<_> = end.tcb.take_statistics().iter().collect();
    assert_eq!(sent, [(SlowStartRetrans, 1)]);
}

#[test]
fn a_loss_probe_is_counted_and_can_be_left_out() {
    for loss_probes in [true, false] {
        let mut end = in_flight(Config {
            loss_probes,
            ..with_sack()
        });
        let at = end.tcb.deadline().expect("a timer");
        end.now = at;
        end.tcb.on_timer(&end.config, &mut end.rx, at);
        end.sent();
        let sent = end.tcb.take_statistics();
        assert_eq!(sent.has(LossProbes), loss_probes);
        assert_eq!(sent.has(SlowStartRetrans), !loss_probes);
    }
}

#[test]
fn duplicates_are_counted_when_they_are_reported() {
    for dsack in [true, false] {
        let mut end = End::established(Config {
            dsack,
            ..with_sack()
        });
        end.arrive(seg(ACK, IRS + 1, ISS + 1, 100));
        end.sent();
        let twice = end.arrive(seg(ACK, IRS + 1, ISS + 1, 100));
        assert_eq!(twice.statistics.has(DsackOldSent), dsack);
        assert_eq!(end.out()[0].options.sack.is_empty(), !dsack);
        end.arrive(seg(ACK, IRS + 201, ISS + 1, 100));
        end.sent();
        let twice = end.arrive(seg(ACK, IRS + 201, ISS + 1, 100));
        assert_eq!(twice.statistics.has(DsackOfoSent), dsack);
    }
}

#[test]
fn a_path_that_is_known_to_reorder_is_given_more_time() {
    let mut end = in_flight(Config {
        reordering: 6,
        ..with_sack()
    });
    let third = ack(&mut end, 0, &[(1, 4)]);
    assert_eq!(third, [(Delivered, 3)]);
    let sixth = ack(&mut end, 0, &[(1, 7)]);
    assert!(sixth.contains(&(SackRecovery, 1)), "{sixth:?}");
}

#[test]
fn reordering_is_counted_and_bounded() {
    let mut end = in_flight(Config {
        max_reordering: 5,
        ..with_sack()
    });
    ack(&mut end, 0, &[(8, 9)]);
    let all = ack(&mut end, 1, &[(8, 9)]);
    assert!(all.contains(&(SackReorder, 1)), "{all:?}");
    assert_eq!(end.tcb.rack().reordering(), 5);
}

#[test]
fn syns_in_a_connection_are_challenged_up_to_a_limit() {
    let mut end = End::established(plain());
    let mut skipped = 0;
    for _ in 0..12 {
        let events = end.arrive(seg(SYN, IRS + 1, ISS + 1, 0));
        assert!(events.statistics.has(SynChallenge));
        assert_ne!(
            events.statistics.has(AckSkippedChallenge),
            events.reply.is_some()
        );
        skipped += u32::from(events.reply.is_none());
    }
    assert!((2..=7).contains(&skipped), "{skipped} of 12");
}

#[test]
fn keepalive_probes_are_counted() {
    let mut end = End::established(Config {
        keepalive: true,
        ..plain()
    });
    let at = end.tcb.deadline().expect("a timer");
    end.now = at;
    let events = end.tcb.on_timer(&end.config, &mut end.rx, at);
    assert_eq!(
        events.statistics.iter().collect::<Vec<_>>(),
        [(KeepAlive, 1)]
    );
}

/// What the host below has merged counts for what was on the wire, predicted or not.
#[test]
fn merged_segments_count_each() {
    for config in [with_sack(), plain()] {
        let mut end = End::established(config);
        let before = *end.tcb.totals();
        let mut next = IRS + 1;
        for (len, from, merged) in [(3000, 1000, 3), (2500, 1000, 3), (1000, 0, 1), (0, 0, 1)] {
            let mut seg = seg(ACK, next, ISS + 1, len);
            seg.merged = merged;
            end.rx.merged_from = from;
            end.arrive(seg);
            next += len;
        }
        let totals = end.tcb.totals();
        assert_eq!(totals.segments_in - before.segments_in, 8);
        assert_eq!(totals.text_segments_in - before.text_segments_in, 7);
    }
}

/// Segments outside of the stream, too: an acknowledgment that was owed, and a probe.
#[test]
fn probes_and_challenges_count_as_sent() {
    let mut end = End::established(plain());
    let before = end.tcb.totals().segments_out;
    assert!(end.arrive(seg(SYN, IRS + 1, 0, 0)).reply.is_some());
    assert_eq!(end.tcb.totals().segments_out - before, 1);
    let next = end.tcb.rcv_nxt().0;
    end.arrive(with_window(seg(ACK, next, ISS + 1, 1), 0));
    assert_eq!(end.wait(500).len(), 1);
    end.send(10);
    assert_eq!(end.until(end.ms() + 250).len(), 1, "a probe");
    assert_eq!(end.tcb.totals().segments_out - before, 3);
}
