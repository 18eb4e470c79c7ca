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

#[test]
fn a_retransmission_that_had_no_room_is_still_to_be_sent() {
    let mut end = run_of(with_sack(), 4);
    end.limits.max_run = u32::from(MSS);
    assert_eq!(end.sent().len(), 4);
    while end.tcb.recovery_number() != 4 {
        end.expire();
        if end.tcb.recovery_number() != 4 {
            end.sent();
        }
    }
    let backoff = end.tcb.backoff();
    let out = offer(&mut end, Taken::Part(0));
    assert!(out.retransmission);
    assert_eq!(
        end.tcb.backoff(),
        backoff - 1,
        "the path has not been asked"
    );
    assert_eq!(end.tcb.scoreboard().resent().bytes, 0);
    let counted: Vec<_> = end.tcb.take_statistics().iter().collect();
    assert!(
        counted.contains(&(Statistic::RetransFail, 1)),
        "{counted:?}"
    );
    let sent = end.sent();
    assert_eq!(sent[0].1, UNA);
    end.acked(UNA + 4000);
    assert_eq!(end.tcb.flight(), 0);
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
