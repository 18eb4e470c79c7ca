// SPDX-License-Identifier: GPL-2.0

//! Reductions that were a mistake: F-RTO (RFC 5682), Eifel detection (RFC 3522), duplicates
//! reported (RFC 3708), and the response to them (RFC 4015).

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::congestion::CongestionControl;

const UNA: u32 = ISS + 1;

fn with_both() -> Config {
    Config {
        sack: true,
        ..with_timestamps()
    }
}

fn flight_of(config: Config, n: u32) -> End {
    let mut end = End::established_in(config, 40);
    end.limits.mss = MSS;
    end.send(n * u32::from(end.tcb.mss()));
    assert_eq!(end.sent().len(), n as usize);
    end
}

/// Numbers of the segments sent.
fn segments(end: &End, sent: &[Sent]) -> Vec<u32> {
    let mss = u32::from(end.tcb.mss());
    sent.iter().map(|s| (s.1 - UNA) / mss).collect()
}

/// The peer acknowledges `n` segments, has `blocks` besides, and echoes the timestamp `ecr`.
fn ack(end: &mut End, n: u32, blocks: &[(u32, u32)], ecr: Option<u32>) {
    let mss = u32::from(end.tcb.mss());
    let at = |n: u32| UNA + n * mss;
    let blocks: Vec<_> = blocks.iter().map(|&(f, t)| (at(f), at(t))).collect();
    let mut seg = seg(ACK, end.tcb.rcv_nxt().0, at(n), 0);
    if let Some(ecr) = ecr {
        seg = with_stamp(seg, 200);
        seg.options.timestamps = seg.options.timestamps.map(|mut ts| {
            ts.ecr = ecr;
            ts
        });
    }
    end.arrive(with_blocks(seg, &blocks));
}

/// A timeout of the first segment.
fn time_out(end: &mut End) {
    let mut sent = Vec::new();
    while end.tcb.recovery_number() != 4 {
        sent = end.wait(1);
    }
    assert_eq!(segments(end, &sent), [0]);
}

#[test]
fn f_rto_sends_new_text_instead_of_what_it_took_for_lost() {
    let mut end = flight_of(plain(), 4);
    time_out(&mut end);
    assert_eq!(end.tcb.cwnd(), 1000);
    end.send(5000);
    ack(&mut end, 1, &[], None);
    let sent = end.sent();
    assert_eq!(segments(&end, &sent), [4, 5]);
}

#[test]
fn f_rto_undoes_when_the_original_is_acknowledged() {
    let mut end = flight_of(plain(), 4);
    end.send(9000);
    let sent = end.sent();
    assert_eq!(sent.len(), 6, "the window is ten");
    let cwnd = end.tcb.cwnd();
    time_out(&mut end);
    ack(&mut end, 1, &[], None);
    assert_eq!(end.sent().len(), 2);
    ack(&mut end, 2, &[], None);
    assert!(end.tcb.cwnd() >= cwnd, "restored");
    assert_eq!(end.tcb.recovery_number(), 0);
    let sent = end.sent();
    assert!(sent.iter().all(|s| s.1 > UNA + 11_000), "{sent:?}");
    assert_eq!(end.tcb.backoff(), 0, "so is the timeout");
}

#[test]
fn f_rto_goes_on_as_usual_when_a_duplicate_comes() {
    let mut end = flight_of(plain(), 4);
    time_out(&mut end);
    end.send(5000);
    ack(&mut end, 1, &[], None);
    assert_eq!(end.sent().len(), 2);
    ack(&mut end, 1, &[], None);
    let sent = end.sent();
    assert_eq!(segments(&end, &sent), [1]);
    assert_eq!(end.tcb.recovery_number(), 4);
    assert_eq!(end.tcb.congestion().ssthresh(), 2000);
}

#[test]
fn f_rto_without_new_text_goes_on_as_usual() {
    let mut end = flight_of(plain(), 4);
    time_out(&mut end);
    ack(&mut end, 1, &[], None);
    let sent = end.sent();
    assert_eq!(segments(&end, &sent), [1, 2]);
}

#[test]
fn f_rto_with_sack_undoes_when_something_older_is_selectively_acknowledged() {
    let mut end = flight_of(with_sack(), 4);
    let cwnd = end.tcb.cwnd();
    time_out(&mut end);
    ack(&mut end, 0, &[(2, 3)], None);
    assert_eq!(end.tcb.cwnd(), cwnd);
    assert_eq!(end.tcb.congestion().ssthresh(), u32::MAX);
}

#[test]
fn f_rto_with_sack_is_not_deceived_by_what_was_sent_after_the_timeout() {
    let mut end = flight_of(with_sack(), 4);
    time_out(&mut end);
    end.send(5000);
    ack(&mut end, 1, &[], None);
    let sent = end.sent();
    assert_eq!(segments(&end, &sent), [4, 5]);
    end.wait(40);
    ack(&mut end, 1, &[(4, 5)], None);
    assert_eq!(end.tcb.recovery_number(), 4);
    assert_eq!(end.tcb.congestion().ssthresh(), 2000);
    let sent = end.sent();
    assert_eq!(segments(&end, &sent)[0], 1);
}

#[test]
fn an_echo_of_the_original_undoes_a_timeout() {
    let mut end = flight_of(with_both(), 4);
    let cwnd = end.tcb.cwnd();
    time_out(&mut end);
    assert_eq!(
        end.tcb.congestion().ssthresh(),
        2 * u32::from(end.tcb.mss())
    );
    // Sent at 40 ms, and repeated much later.
    ack(&mut end, 1, &[], Some(40));
    assert!(end.tcb.cwnd() >= cwnd);
    assert_eq!(end.tcb.congestion().ssthresh(), u32::MAX);
    assert_eq!(end.tcb.recovery_number(), 0);
    assert!(end.sent().is_empty());
}

/// What was sent again in a recovery that is over says nothing of a later one.
#[test]
fn an_echo_of_the_original_undoes_a_timeout_after_another_recovery() {
    let mut end = flight_of(with_both(), 8);
    end.until(80);
    ack(&mut end, 0, &[(1, 8)], Some(40));
    assert_eq!(end.sent().len(), 1);
    end.wait(40);
    ack(&mut end, 8, &[], Some(80));
    assert_eq!(end.tcb.recovery_number(), 0);

    let ssthresh = end.tcb.congestion().ssthresh();
    end.send(2 * u32::from(end.tcb.mss()));
    assert_eq!(end.sent().len(), 2, "at 120 ms");
    while end.tcb.recovery_number() != 4 {
        end.wait(1);
    }
    ack(&mut end, 9, &[], Some(120));
    assert_eq!(end.tcb.recovery_number(), 0);
    assert_eq!(end.tcb.congestion().ssthresh(), ssthresh);
}

#[test]
fn an_echo_of_the_repetition_undoes_nothing() {
    let mut end = flight_of(with_both(), 4);
    time_out(&mut end);
    let stamp = u32::try_from(end.ms()).unwrap();
    end.wait(40);
    ack(&mut end, 1, &[], Some(stamp));
    assert_eq!(end.tcb.recovery_number(), 4);
    assert_ne!(end.tcb.congestion().ssthresh(), u32::MAX);
}

#[test]
fn an_echo_of_the_original_undoes_fast_recovery() {
    let mut end = flight_of(with_both(), 8);
    let cwnd = end.tcb.cwnd();
    end.until(80);
    ack(&mut end, 0, &[(1, 4)], Some(40));
    assert_eq!(end.tcb.recovery_number(), 3);
    assert_eq!(end.sent().len(), 1);
    end.wait(5);
    ack(&mut end, 8, &[], Some(40));
    assert_eq!(end.tcb.recovery_number(), 0);
    assert!(end.tcb.cwnd() >= cwnd);
    assert_eq!(end.tcb.congestion().ssthresh(), u32::MAX);
}

#[test]
fn a_report_of_the_repetition_undoes_fast_recovery() {
    let mut end = flight_of(with_sack(), 8);
    let cwnd = end.tcb.cwnd();
    end.until(80);
    ack(&mut end, 0, &[(1, 4)], None);
    assert_eq!(end.sent().len(), 1);
    assert!(end.tcb.cwnd() < cwnd);
    // The original arrives, and is acknowledged; then the repetition, which is reported.
    end.wait(5);
    ack(&mut end, 4, &[], None);
    assert_eq!(end.tcb.recovery_number(), 3);
    end.wait(5);
    ack(&mut end, 4, &[(0, 1)], None);
    assert_eq!(end.tcb.recovery_number(), 0);
    assert!(end.tcb.cwnd() >= cwnd);
    assert_eq!(end.tcb.congestion().ssthresh(), u32::MAX);
    assert_eq!(end.tcb.totals().duplicates, 1);
}

#[test]
fn a_report_after_the_recovery_undoes_it_still() {
    let mut end = flight_of(with_sack(), 8);
    end.until(80);
    ack(&mut end, 0, &[(1, 4)], None);
    assert_eq!(end.sent().len(), 1);
    end.wait(5);
    ack(&mut end, 8, &[], None);
    assert_eq!(end.tcb.recovery_number(), 0);
    assert_ne!(end.tcb.congestion().ssthresh(), u32::MAX);
    ack(&mut end, 8, &[(0, 1)], None);
    assert_eq!(end.tcb.congestion().ssthresh(), u32::MAX);
}

#[test]
fn a_report_of_what_was_never_repeated_is_ignored() {
    let mut end = flight_of(with_sack(), 8);
    end.until(80);
    ack(&mut end, 4, &[(0, 1)], None);
    ack(&mut end, 4, &[(0, 1)], None);
    assert_eq!(end.tcb.recovery_number(), 0);
    assert_eq!(end.tcb.congestion().ssthresh(), u32::MAX);
    assert!(!end.arrive(seg(ACK, IRS + 1, UNA + 4000, 0)).fast_retransmit);
}

/// The network has duplicated a segment that was sent once only.
#[test]
fn a_report_of_what_was_sent_once_does_not_stand_for_the_repetition() {
    let mut end = flight_of(with_sack(), 8);
    end.until(80);
    ack(&mut end, 0, &[(1, 4)], None);
    assert_eq!(end.sent().len(), 1);
    let (cwnd, ssthresh) = (end.tcb.cwnd(), end.tcb.congestion().ssthresh());
    ack(&mut end, 0, &[(3, 4), (1, 4)], None);
    assert_eq!(end.tcb.recovery_number(), 3);
    assert_eq!(end.tcb.cwnd(), cwnd);
    assert_eq!(end.tcb.congestion().ssthresh(), ssthresh);
}

#[test]
fn a_report_of_a_repetition_that_arrived_out_of_order_undoes_fast_recovery() {
    let mut end = flight_of(with_sack(), 8);
    end.until(80);
    // The first two are missing, and are sent again. The second arrives twice before the first does.
    ack(&mut end, 0, &[(2, 7)], None);
    let sent = end.sent();
    assert_eq!(segments(&end, &sent), [0, 1]);
    end.wait(5);
    ack(&mut end, 0, &[(1, 7)], None);
    ack(&mut end, 0, &[(1, 2), (1, 7)], None);
    assert_eq!(end.tcb.recovery_number(), 3, "the first was repeated too");
    ack(&mut end, 7, &[], None);
    ack(&mut end, 7, &[(0, 1)], None);
    assert_eq!(end.tcb.recovery_number(), 0);
    assert_eq!(end.tcb.congestion().ssthresh(), u32::MAX);
}

#[test]
fn a_real_loss_is_not_undone() {
    let mut end = flight_of(with_both(), 8);
    end.until(80);
    ack(&mut end, 0, &[(1, 4)], Some(40));
    assert_eq!(end.sent().len(), 1);
    end.wait(40);
    ack(&mut end, 8, &[], Some(80));
    assert_eq!(end.tcb.recovery_number(), 0);
    assert_ne!(end.tcb.congestion().ssthresh(), u32::MAX);
}

#[test]
fn a_needless_timeout_ends_with_a_timeout_that_fits_the_path() {
    let mut end = flight_of(with_both(), 4);
    time_out(&mut end);
    end.wait(300);
    // The path has become slow: the acknowledgment of the original measures it.
    ack(&mut end, 1, &[], Some(40));
    assert_eq!(end.tcb.backoff(), 0);
    assert!(end.tcb.rto(&end.config) > ms(400));
}

/// Without SACK a recovery is held until something later is acknowledged (RFC 6582 3.2); the window
/// has been restored by then, and an earlier threshold has nothing to do with it (RFC 4015 3).
#[test]
fn a_restored_window_stays_when_the_recovery_is_held_no_more() {
    let mut end = flight_of(with_timestamps(), 10);
    let mss = u32::from(end.tcb.mss());
    // A mark halves the window, which then grows beyond the threshold.
    let flight = end.tcb.flight();
    end.tcb.enter_cwr(flight, 0, end.now);
    let (mut acked, mut sent, mut stamp) = (0, 10, 40);
    while end.tcb.recovery_number() != 0 || end.tcb.cwnd() < 8 * mss {
        end.wait(40);
        acked += sent;
        ack(&mut end, acked, &[], Some(stamp));
        stamp += 40;
        sent = end.tcb.cwnd() / mss;
        end.send(sent * mss);
        assert_eq!(end.sent().len(), sent as usize);
    }
    let (cwnd, ssthresh) = (end.tcb.cwnd(), end.tcb.congestion().ssthresh());
    assert!(ssthresh < cwnd);

    end.wait(40);
    end.send(6 * mss);
    let mut recover = 0;
    for n in 1..sent {
        ack(&mut end, acked, &[], Some(stamp - 40));
        if n == 3 {
            assert_eq!(end.tcb.recovery_number(), 3);
            recover = (end.tcb.snd_nxt().0 - UNA) / mss;
        }
        end.sent();
    }
    assert!(end.tcb.cwnd() < cwnd);
    assert!(end.tcb.snd_nxt().0 > UNA + recover * mss, "new text too");
    // The first was only late.
    ack(&mut end, recover, &[], Some(stamp));
    assert_eq!(end.tcb.recovery_number(), 3, "held");
    assert!(end.tcb.congestion().window() >= cwnd, "restored");
    assert_eq!(end.tcb.cwnd(), end.tcb.congestion().window());
    end.sent();

    end.wait(40);
    ack(&mut end, recover + 1, &[], Some(stamp + 40));
    assert_eq!(end.tcb.recovery_number(), 0);
    assert!(end.tcb.cwnd() >= cwnd, "{} {cwnd}", end.tcb.cwnd());
    assert_eq!(end.tcb.congestion().ssthresh(), ssthresh);
}
