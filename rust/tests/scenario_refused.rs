// SPDX-License-Identifier: GPL-2.0

//! What the queues of our own host have no room for: it was not sent, so it is not lost.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::congestion::CongestionControl;
use oxtcp_core::tcp::events::Error;
use oxtcp_core::tcp::refused::Taken;
use oxtcp_core::tcp::segment::Transmit;
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::statistics::Statistic;
use oxtcp_core::tcp::time::Duration;
use oxtcp_core::tcp::timer::TimerKind;

const UNA: u32 = ISS + 1;
/// Timers are late by the round trip of the handshake and its multiples.
const LATE: u64 = 1;

/// What is to be sent next, and what the queues say of it.
fn offer(end: &mut End, taken: Taken) -> Transmit {
    let out = end
        .tcb
        .poll_transmit(&end.config, &mut end.rx, &end.limits, end.now)
        .expect("something to send");
    end.tcb
        .on_taken(&end.config, &mut end.rx, (&out, taken), end.now);
    if end.tcb.state().is_synchronized() {
        let (una, nxt) = (end.tcb.snd_una(), end.tcb.snd_nxt());
        assert!(end.tcb.scoreboard().agrees(&end.rx, una, nxt));
    }
    out
}

fn run_of(config: Config, segments: u32) -> End {
    let mut end = End::established_in(config, 40);
    end.limits.max_run = 10 * u32::from(MSS);
    end.send(segments * u32::from(MSS));
    end
}

#[test]
fn what_had_no_room_counts_as_never_sent() {
    let mut end = run_of(plain(), 2);
    offer(&mut end, Taken::Part(0));
    assert_eq!(end.tcb.flight(), 0);
    assert_eq!(end.tcb.unsent(), 2000);
    assert_eq!(end.tcb.timer().map(|t| t.0), Some(TimerKind::Persist));
    let sent = end.sent();
    assert_eq!(
        sent.iter().map(|s| (s.1, s.2)).collect::<Vec<_>>(),
        [(UNA, 2000)]
    );
    assert_eq!(end.tcb.timer().map(|t| t.0), Some(TimerKind::Retransmit));
}

#[test]
fn of_a_run_that_had_room_in_part_the_part_is_on_its_way() {
    let mut end = run_of(with_sack(), 4);
    offer(&mut end, Taken::Part(3000));
    assert_eq!(end.tcb.flight(), 3000);
    assert_eq!(end.tcb.unsent(), 1000);
    assert_eq!(end.tcb.timer().map(|t| t.0), Some(TimerKind::Retransmit));
    end.acked(UNA + 3000);
    let sent = end.sent();
    assert_eq!(
        sent.iter().map(|s| (s.1, s.2)).collect::<Vec<_>>(),
        [(UNA + 3000, 1000)]
    );
}

#[test]
fn the_window_comes_down_once_and_nothing_is_lost() {
    let mut end = run_of(with_sack(), 8);
    offer(&mut end, Taken::Part(4000));
    let ssthresh = end.tcb.congestion().ssthresh();
    assert_eq!(ssthresh, 2000, "half of what is in flight");
    assert_eq!(end.tcb.recovery_number(), 2, "CWR");
    assert_eq!(end.tcb.scoreboard().lost().bytes, 0);
    offer(&mut end, Taken::Part(0));
    assert_eq!(end.tcb.congestion().ssthresh(), ssthresh);
}

/// With nothing else on its way it is tried again after more than a timeout, which is not a rest.
#[test]
fn what_is_refused_again_and_again_reduces_the_window_once() {
    let mut end = End::established_in(with_sack(), 20);
    while end.tcb.congestion().window() < 40_000 {
        end.send(end.tcb.cwnd());
        for out in end.out() {
            end.acked(out.seq.0 + out.len);
        }
    }
    end.send(1000);
    let mut seen = Vec::new();
    for _ in 0..8 {
        offer(&mut end, Taken::Part(0));
        seen.push(end.tcb.congestion().ssthresh());
        end.expire();
    }
    assert!(seen.iter().all(|ssthresh| *ssthresh == seen[0]), "{seen:?}");
}

#[test]
fn a_queue_that_is_crowded_has_taken_all() {
    let mut end = run_of(with_sack(), 4);
    offer(&mut end, Taken::Crowded);
    assert_eq!(end.tcb.flight(), 4000);
    assert_eq!(end.tcb.recovery_number(), 2, "CWR");
}

#[test]
fn a_fin_that_had_no_room_goes_with_the_text() {
    let mut end = run_of(plain(), 1);
    end.tcb.shutdown_write();
    offer(&mut end, Taken::Part(0));
    assert_eq!((end.tcb.flight(), end.tcb.state()), (0, State::FinWait1));
    let sent = end.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].2, 1000);
    assert!(sent[0].3.has(FIN));
    assert_eq!(end.tcb.flight(), 1001);
}

#[test]
fn a_short_segment_that_had_no_room_does_not_hold_the_next_back() {
    let mut end = End::established(plain());
    end.send(10);
    offer(&mut end, Taken::Part(0));
    end.send(10);
    assert_eq!(
        end.sent().len(),
        1,
        "Nagle waits for what is in flight only"
    );
}

/// Every half second, without growing more patient.
#[test]
fn it_is_tried_again_by_a_short_timer() {
    let mut end = End::established_in(plain(), 40);
    end.send(10);
    offer(&mut end, Taken::Part(0));
    let mut tries = Vec::new();
    for _ in 0..5 {
        end.expire();
        tries.push(end.ms());
        offer(&mut end, Taken::Part(0));
        assert_eq!(end.tcb.backoff(), 0);
    }
    let waits: Vec<_> = tries.windows(2).map(|w| w[1] - w[0]).collect();
    assert_eq!(waits, [500; 4]);
    assert_eq!(end.tcb.probes(), 5);
    end.acked(UNA);
    assert_eq!(end.sent().len(), 1);
}

#[test]
fn it_is_given_up_after_as_many_tries_as_retransmissions() {
    let mut end = End::established_in(plain(), 40);
    end.config.retries = 3;
    end.send(10);
    offer(&mut end, Taken::Part(0));
    for _ in 0..3 {
        end.expire();
        offer(&mut end, Taken::Part(0));
    }
    end.expire();
    assert_eq!(end.last.error, Some(Error::TimedOut));
}

#[test]
fn the_user_timeout_counts_from_the_first_try() {
    let mut end = End::established_in(plain(), 40);
    end.config.user_timeout = ms(1000);
    end.send(10);
    offer(&mut end, Taken::Part(0));
    end.expire();
    let first = end.ms();
    while end.last.error.is_none() {
        offer(&mut end, Taken::Part(0));
        end.expire();
    }
    assert_eq!(end.last.error, Some(Error::TimedOut));
    assert!(end.ms() - first <= 1000 + LATE, "{}", end.ms() - first);
}

#[test]
fn a_window_that_closes_meanwhile_is_probed() {
    let mut end = End::established_in(plain(), 40);
    end.send(10);
    offer(&mut end, Taken::Part(0));
    end.arrive(with_window(seg(ACK, IRS + 1, UNA, 0), 0));
    assert!(end.sent().is_empty());
    end.expire();
    let sent = end.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].1, sent[0].2), (UNA - 1, 0));
}

/// A connection whose first segment is to be sent again after a timeout, which is refused.
fn refused_again(config: Config) -> End {
    let mut end = run_of(config, 4);
    end.limits.max_run = u32::from(MSS);
    assert_eq!(end.sent().len(), 4);
    while end.tcb.recovery_number() != 4 {
        end.sent();
        end.expire();
    }
    end.tcb.take_statistics();
    let out = offer(&mut end, Taken::Part(0));
    assert!(out.retransmission);
    end
}

#[test]
fn a_retransmission_that_had_no_room_is_still_to_be_sent() {
    let mut end = refused_again(with_sack());
    assert_eq!(end.tcb.scoreboard().resent().bytes, 0);
    let counted: Vec<_> = end.tcb.take_statistics().iter().collect();
    assert_eq!(counted, [(Statistic::RetransFail, 1)]);
    let sent = end.sent();
    assert_eq!(sent[0].1, UNA);
    assert!(end.tcb.take_statistics().has(Statistic::SlowStartRetrans));
    end.acked(UNA + 4000);
    assert_eq!(end.tcb.flight(), 0);
}

#[test]
fn a_fin_behind_a_whole_segment_is_none_of_its_own() {
    let mut end = run_of(with_sack(), 1);
    end.tcb.close(&end.config.clone(), false, end.now);
    while end.tcb.recovery_number() != 4 {
        end.sent();
        end.expire();
    }
    end.tcb.take_statistics();
    let out = offer(&mut end, Taken::Part(0));
    assert!(out.flags.has(FIN) && out.len == u32::from(MSS));
    let counted: Vec<_> = end.tcb.take_statistics().iter().collect();
    assert_eq!(counted, [(Statistic::RetransFail, 1)]);
}

#[test]
fn a_loss_probe_that_had_no_room_is_not_counted() {
    let mut end = run_of(with_sack(), 2);
    assert_eq!(end.sent().len(), 1);
    end.tcb.take_statistics();
    end.expire();
    let out = offer(&mut end, Taken::Part(0));
    assert!(out.retransmission);
    let counted: Vec<_> = end.tcb.take_statistics().iter().collect();
    assert_eq!(counted, [(Statistic::RetransFail, 1)]);
}

/// The path was not asked: it does not become less trusted.
#[test]
fn what_is_to_be_sent_again_is_tried_every_half_second_and_is_no_timeout() {
    let mut end = refused_again(with_sack());
    let (backoff, retries) = (end.tcb.backoff(), end.tcb.retransmits());
    let ssthresh = end.tcb.congestion().ssthresh();
    for _ in 0..40 {
        let before = end.ms();
        end.expire();
        assert_eq!(end.ms() - before, 500);
        offer(&mut end, Taken::Part(0));
        // The user's own tries change nothing either.
        offer(&mut end, Taken::Part(0));
        assert_eq!(
            (end.tcb.backoff(), end.tcb.retransmits()),
            (backoff, retries)
        );
        assert_eq!(end.tcb.congestion().ssthresh(), ssthresh);
    }
    assert_eq!(end.tcb.timer().map(|t| t.0), Some(TimerKind::Retransmit));
    assert_eq!(end.sent()[0].1, UNA);
}

#[test]
fn what_turns_out_not_to_be_lost_is_waited_for() {
    let mut end = refused_again(with_sack());
    // The original of the second arrives late: by F-RTO nothing was lost.
    let mut late = seg(ACK, IRS + 1, UNA, 0);
    late = with_blocks(late, &[(UNA + 1000, UNA + 2000)]);
    end.arrive(late);
    assert_eq!(end.tcb.scoreboard().lost().bytes, 0);
    assert!(end.sent().is_empty());
    let mut again = Vec::new();
    while again.is_empty() {
        end.expire();
        again = end.sent();
        assert!(end.ms() < 2_000, "no timeout");
    }
    assert_eq!(again[0].1, UNA);
}

/// Though not before it would have been, had the path been asked.
#[test]
fn what_can_never_be_sent_again_is_given_up() {
    let mut config = with_sack();
    config.retries = 5;
    let mut end = refused_again(config);
    while end.last.error.is_none() {
        offer(&mut end, Taken::Part(0));
        end.expire();
    }
    assert_eq!(end.last.error, Some(Error::TimedOut));
    // 200 ms, and five times twice as long.
    assert!((12_600..13_400).contains(&end.ms()), "{}", end.ms());
}

#[test]
fn a_keepalive_probe_that_had_no_room_does_not_count() {
    let mut config = plain();
    config.keepalive = true;
    config.keepalive_time = ms(10_000);
    config.keepalive_interval = ms(1000);
    config.keepalive_probes = 2;
    let mut end = End::established(config);
    end.tcb.set_keepalive(&end.config, end.now);
    for n in 0..10 {
        end.expire();
        assert_eq!(end.ms(), 10_000 + 500 * n);
        offer(&mut end, Taken::Part(0));
    }
    end.expire();
    assert_eq!(end.sent().len(), 1);
    end.expire();
    assert_eq!(end.sent().len(), 1);
    assert_eq!(end.last.error, None);
}

#[test]
fn a_probe_of_a_closed_window_that_had_no_room_makes_us_no_more_patient() {
    let mut end = End::established_in(plain(), 40);
    end.arrive(with_window(seg(ACK, IRS + 1, UNA, 0), 0));
    end.send(10);
    assert!(end.sent().is_empty());
    end.expire();
    for _ in 0..5 {
        offer(&mut end, Taken::Part(0));
        let before = end.ms();
        end.expire();
        assert_eq!(end.ms() - before, 500);
    }
    assert_eq!(end.tcb.backoff(), 1);
}

#[test]
fn a_lone_acknowledgment_that_had_no_room_changes_nothing() {
    let mut end = End::established(plain());
    end.tcb.set_quick_ack(&end.config, true);
    end.arrive(seg(ACK, IRS + 1, UNA, 1000));
    let out = offer(&mut end, Taken::Part(0));
    assert_eq!(out.len, 0);
    assert_eq!(end.tcb.recovery_number(), 0);
}

#[test]
fn what_had_no_room_does_not_count_as_paced() {
    let mut config = with_sack();
    config.max_pacing_rate = 10_000;
    let mut end = run_of(config, 30);
    end.limits.max_run = u32::from(MSS);
    assert_eq!(end.sent().len(), 10, "the first segments are free");
    end.acked(UNA + 10_000);
    for _ in 0..5 {
        offer(&mut end, Taken::Part(0));
    }
    assert!(!end.sent().is_empty());
}

#[test]
fn a_syn_that_had_no_room_keeps_to_its_own_timer() {
    let mut end = End::connecting(plain());
    let before = end.tcb;
    let out = offer(&mut end, Taken::Part(0));
    assert!(out.flags.has(SYN));
    assert_eq!(end.tcb.snd_nxt() - 1, before.snd_una());
    assert_eq!(end.tcb.timer().map(|t| t.0), Some(TimerKind::Retransmit));
}

/// The peer answers, and what it has no room for may wait (RFC 9293 3.8.6.1): a refusal of our own
/// queues is no reason to give up.
#[test]
fn a_full_peer_that_answers_is_not_given_up_for_a_refusal() {
    let mut end = End::established(Config {
        retries: 3,
        ..plain()
    });
    end.send(1000);
    assert_eq!(end.sent().len(), 1);
    end.peer_is_full_until(10_000);
    end.expire();
    end.peer_is_full();
    offer(&mut end, Taken::Part(0));
    end.expire();
    assert_eq!(end.tcb.state(), State::Established);
    assert_eq!(end.sent().len(), 1);
}

/// Nor is the time that it had no room, once it has.
#[test]
fn a_peer_that_was_full_and_makes_room_is_not_given_up_for_a_refusal() {
    let mut end = End::established(Config {
        retries: 8,
        rto_max: Duration::from_secs(1),
        ..plain()
    });
    end.send(1000);
    assert_eq!(end.sent().len(), 1);
    end.peer_is_full_until(10_000);
    end.peer_makes_room();
    end.expire();
    offer(&mut end, Taken::Part(0));
    end.expire();
    assert_eq!(end.tcb.state(), State::Established);
    assert_eq!(end.sent().len(), 1);
}
