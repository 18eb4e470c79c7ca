// SPDX-License-Identifier: GPL-2.0

//! Retransmission: timeouts with exact times, fast retransmit, recovery, giving up.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::congestion::CongestionControl;
use oxtcp_core::tcp::events::Error;
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::time::Duration;

/// An end with `n` segments in flight that were sent at 0 ms, with a timeout of 200 ms.
fn in_flight(config: Config, n: u32) -> End {
    let mut end = End::established(config);
    end.send(n * u32::from(MSS));
    assert_eq!(end.sent().len(), n as usize);
    end
}

fn times(sent: &[Sent]) -> Vec<u64> {
    sent.iter().map(|s| s.0).collect()
}

fn seqs(sent: &[Sent]) -> Vec<u32> {
    sent.iter().map(|s| s.1).collect()
}

#[test]
fn a_syn_is_repeated_with_doubled_times_and_given_up() {
    let mut end = End::connecting(plain());
    let sent = end.until(1_000_000);
    assert_eq!(times(&sent), [0, 1000, 3000, 7000, 15_000, 31_000, 63_000]);
    assert!(sent.iter().all(|s| s.1 == ISS && s.3 == SYN));
    assert_eq!(end.ended_at, Some(127_000));
    assert_eq!(end.last.error, Some(Error::TimedOut));
}

#[test]
fn a_syn_is_repeated_at_even_intervals_at_first() {
    let mut end = End::connecting(Config {
        syn_retries: 3,
        syn_linear_timeouts: 4,
        ..plain()
    });
    let sent = end.until(1_000_000);
    assert_eq!(
        times(&sent),
        [0, 1000, 2000, 3000, 4000, 5000, 7000, 11_000]
    );
    assert_eq!(end.ended_at, Some(19_000));
    assert_eq!(end.last.error, Some(Error::TimedOut));
}

#[test]
fn text_is_repeated_with_doubled_times_and_given_up() {
    let mut end = End::established(Config {
        retries: 4,
        ..plain()
    });
    end.send(10);
    let sent = end.until(1_000_000);
    assert_eq!(times(&sent), [0, 200, 600, 1400, 3000]);
    assert!(sent.iter().all(|s| s.1 == ISS + 1 && s.2 == 10));
    assert_eq!(end.ended_at, Some(6200));
    assert_eq!(end.last.error, Some(Error::TimedOut));
    assert_eq!(end.tcb.state(), State::Closed);
}

#[test]
fn a_thin_stream_is_repeated_at_even_intervals_at_first() {
    let config = Config {
        thin_linear: true,
        ..plain()
    };
    let mut end = End::established(config);
    end.send(10);
    let sent = end.until(4000);
    assert_eq!(
        times(&sent),
        [0, 200, 400, 600, 800, 1000, 1200, 1400, 1800, 2600]
    );
    let mut end = in_flight(config, 4);
    assert_eq!(times(&end.until(2000)), [200, 600, 1400]);
}

#[test]
fn the_timeout_is_never_more_than_two_minutes() {
    let mut end = End::established(Config {
        retries: 13,
        ..plain()
    });
    end.send(10);
    let times = times(&end.until(10_000_000));
    let gaps: Vec<u64> = times.windows(2).map(|w| w[1] - w[0]).collect();
    assert_eq!(gaps.len(), 13);
    assert_eq!(gaps[8..], [51_200, 102_401, 120_000, 120_000, 120_000]);
}

/// RFC 9293 3.8.3, SHLD-11, wants 100 s at least; Linux's `tcp_retries2` of 15 makes 924.6 s of a
/// least timeout: ten that double from 200 ms on, and six of two minutes.
#[test]
fn by_default_a_silent_peer_is_given_up_when_linux_does() {
    let mut end = End::established(Config {
        loss_probes: false,
        ..Config::default()
    });
    end.send(10);
    assert_eq!(end.until(10_000_000).len(), 1 + 15);
    let at = end.ended_at.expect("it is given up");
    assert!((924_600..924_610).contains(&at), "{at}");
    assert_eq!(end.last.error, Some(Error::TimedOut));
}

/// In place of the number of retransmissions, by which it would end after 924 s.
#[test]
fn a_user_timeout_ends_it_earlier_or_later() {
    for timeout in [1000, 900_000, 2_000_000] {
        let mut end = End::established(Config {
            user_timeout: ms(timeout),
            ..plain()
        });
        end.send(10);
        end.until(10_000_000);
        assert_eq!(end.ended_at, Some(timeout));
        assert_eq!(end.last.error, Some(Error::TimedOut));
    }
}

/// A SYN is sent as often as it is allowed to be.
#[test]
fn a_user_timeout_does_not_prolong_an_open() {
    for (timeout, ended) in [(200, 1000), (5000, 5000), (2_000_000, 127_000)] {
        let mut end = End::connecting(Config {
            user_timeout: ms(timeout),
            ..plain()
        });
        end.until(10_000_000);
        assert_eq!(end.ended_at, Some(ended));
    }
}

/// RFC 6069: each report of a router takes one doubling back.
#[test]
fn an_unreachable_peer_is_tried_no_less_often() {
    let report = |end: &mut End, seq: u32| {
        let (config, now) = (end.config, end.now);
        end.tcb
            .on_unreachable(&config, SeqNumber(seq), &end.rx, now);
    };
    let mut end = in_flight(plain(), 2);
    report(&mut end, ISS + 1);
    assert_eq!(times(&end.until(650)), [200, 600], "nothing was doubled");
    // Two timeouts, and two reports, of which the second finds that it is time already.
    report(&mut end, ISS + 1);
    assert_eq!(times(&end.until(1001)), [1000], "not at 1400");
    for other in [ISS, ISS + 2, ISS + 1001] {
        report(&mut end, other);
    }
    assert_eq!(times(&end.until(1900)), [1800], "another segment's");
    report(&mut end, ISS + 1);
    report(&mut end, ISS + 1);
    report(&mut end, ISS + 1);
    assert_eq!(times(&end.until(2100)), [2000], "no sooner than at first");
    assert_eq!(times(&end.until(2450)), [2400]);
}

/// A router says so every 50 ms, until the peer is given up.
fn be_unreachable(end: &mut End) {
    while end.ended_at.is_none() {
        end.wait(50);
        let (config, now) = (end.config, end.now);
        end.tcb
            .on_unreachable(&config, SeqNumber(ISS + 1), &end.rx, now);
    }
}

/// However often it is tried: R2 is a time (RFC 9293 3.8.3), that of retransmissions which double.
#[test]
fn an_unreachable_peer_is_given_up_no_sooner_than_a_silent_one() {
    let mut end = End::established(Config {
        retries: 8,
        ..plain()
    });
    end.send(10);
    end.sent();
    be_unreachable(&mut end);
    assert_eq!(end.last.error, Some(Error::TimedOut));
    // 0.2 s times 2^9 - 1, and up to one timeout more.
    let at = end.ended_at.expect("it is given up");
    assert!((102_200..=102_500).contains(&at), "{at}");
}

/// Nor sooner where timeouts are short.
#[test]
fn a_least_timeout_does_not_shorten_patience() {
    for rto_min in [1, 5, 200] {
        let mut end = End::established(Config {
            retries: 8,
            rto_min: Duration::from_ms(rto_min),
            ..plain()
        });
        end.send(10);
        end.until(1_000_000);
        let at = end.ended_at.expect("it is given up");
        assert!((102_200..=205_000).contains(&at), "{at}");
    }
}

/// Nor sooner for having been full for long before it was out of reach.
#[test]
fn a_peer_that_was_full_is_given_up_no_sooner_when_it_is_unreachable() {
    let mut end = End::established(Config {
        retries: 8,
        ..plain()
    });
    end.send(10);
    end.sent();
    end.peer_is_full_until(200_000);
    end.peer_makes_room();
    let start = end.ms();
    be_unreachable(&mut end);
    let after = end.ended_at.expect("it is given up") - start;
    assert!(after >= 102_200, "{after}");
}

#[test]
fn an_orphan_gives_up_by_its_own_limit() {
    let mut end = End::established(Config {
        orphan_retries: 2,
        ..plain()
    });
    end.tcb.close(&end.config.clone(), false, end.now);
    let sent = end.until(1_000_000);
    assert_eq!(times(&sent), [0, 200, 600]);
    assert!(sent.iter().all(|s| s.3 == FIN | ACK));
    assert_eq!(end.ended_at, Some(1400));
}

#[test]
fn an_acknowledgment_of_new_text_restarts_the_timer() {
    let mut end = in_flight(plain(), 3);
    assert!(end.until(150).is_empty());
    end.acked(ISS + 1001);
    // The measurement of 150 ms sets the timeout: 150 + 4 * 75 at least.
    let sent = end.until(600);
    let rto = end.tcb.rtt().rto(end.config.rto_min, end.config.rto_max);
    assert_eq!(seqs(&sent), [ISS + 1001]);
    assert_eq!(sent[0].0, 150 + rto.ms());
}

#[test]
fn all_acknowledged_stops_the_timer() {
    let mut end = in_flight(plain(), 2);
    end.acked(ISS + 2001);
    assert_eq!(end.tcb.deadline(), None);
}

#[test]
fn a_timeout_sends_one_segment_and_slow_starts() {
    let mut end = in_flight(plain(), 8);
    assert_eq!(seqs(&end.until(200)), [ISS + 1]);
    assert_eq!(end.tcb.congestion().window(), 1000);
    assert_eq!(end.tcb.congestion().ssthresh(), 4000);
    end.acked(ISS + 1001);
    assert_eq!(seqs(&end.sent()), [ISS + 1001, ISS + 2001]);
    end.acked(ISS + 8001);
    assert_eq!(end.tcb.flight(), 0);
    assert_eq!(end.tcb.recovery_number(), 0);
}

#[test]
fn duplicates_after_a_timeout_let_nothing_out() {
    let mut end = in_flight(plain(), 8);
    end.until(200);
    for _ in 0..7 {
        end.acked(ISS + 1);
        assert!(end.sent().is_empty());
    }
}

#[test]
fn karn_keeps_the_timeout_until_something_is_measured() {
    let mut end = in_flight(plain(), 1);
    end.until(600);
    assert_eq!(end.tcb.backoff(), 2);
    end.acked(ISS + 1001);
    assert_eq!((end.tcb.backoff(), end.tcb.retransmits()), (2, 0));
    end.send(1000);
    assert_eq!(end.sent().len(), 1);
    end.wait(10);
    end.acked(ISS + 2001);
    assert_eq!(end.tcb.backoff(), 0);
}

#[test]
fn two_duplicates_let_new_text_out_and_the_third_retransmits() {
    let mut end = in_flight(plain(), 8);
    end.send(5000);
    assert_eq!(seqs(&end.sent()), [ISS + 8001, ISS + 9001]);
    for n in 1..=2 {
        let events = end.acked(ISS + 1);
        assert!(!events.fast_retransmit);
        assert_eq!(
            seqs(&end.sent()),
            [ISS + 9001 + n * 1000],
            "limited transmit"
        );
    }
    assert!(end.acked(ISS + 1).fast_retransmit);
    // What limited transmit sent does not count (RFC 5681 3.2).
    assert_eq!(end.tcb.congestion().ssthresh(), 5000);
    assert_eq!(seqs(&end.sent()), [ISS + 1]);
    assert_eq!(end.tcb.recovery_number(), 3);
}

#[test]
fn a_partial_acknowledgment_retransmits_the_next_hole() {
    let mut end = in_flight(plain(), 8);
    for _ in 0..3 {
        end.acked(ISS + 1);
    }
    assert_eq!(seqs(&end.sent()), [ISS + 1]);
    end.acked(ISS + 4001);
    assert_eq!(seqs(&end.sent()), [ISS + 4001]);
    assert_eq!(end.tcb.recovery_number(), 3);
    end.acked(ISS + 8001);
    assert_eq!(end.tcb.recovery_number(), 0);
    // The threshold, and a segment for the whole window that this acknowledges.
    assert_eq!(end.tcb.congestion().ssthresh(), 4000);
    assert_eq!(end.tcb.congestion().window(), 5000);
}

/// The peer has part of a segment, of when it was sent in smaller ones: the rest is on its way.
#[test]
fn a_partial_acknowledgment_within_a_retransmission_retransmits_nothing() {
    let mut end = in_flight(plain(), 8);
    for _ in 0..3 {
        end.acked(ISS + 1);
    }
    assert_eq!(seqs(&end.sent()), [ISS + 1]);
    for n in [1, 400, 999] {
        end.acked(ISS + 1 + n);
        assert_eq!(seqs(&end.sent()), [], "{n}");
    }
    end.acked(ISS + 1001);
    assert_eq!(seqs(&end.sent()), [ISS + 1001]);
}

#[test]
fn what_is_no_duplicate_does_not_count() {
    let next = IRS + 1;
    let una = ISS + 1;
    for other in [
        with_window(seg(ACK, next, una, 0), WND - 1),
        seg(ACK, next, una, 10),
        seg(ACK, next, una - 1, 0),
    ] {
        let mut end = in_flight(plain(), 8);
        for _ in 0..4 {
            let wnd = other.wnd - u16::from(other.wnd != WND) * (end.tcb.snd_wnd() as u16 % 7);
            let mut seg = with_window(other, wnd);
            seg.seq = end.tcb.rcv_nxt();
            assert!(!end.arrive(seg).fast_retransmit, "{other:?}");
        }
    }
}

#[test]
fn nothing_in_flight_has_no_duplicates() {
    let mut end = End::established(plain());
    for _ in 0..5 {
        assert!(!end.acked(ISS + 1).fast_retransmit);
    }
}

#[test]
fn duplicates_of_go_back_n_begin_no_recovery() {
    let mut end = in_flight(plain(), 8);
    end.until(200);
    end.acked(ISS + 8001);
    end.send(8000);
    end.sent();
    // RFC 6582 3.2: only what was sent after the timeout may tell of a loss after it.
    let mut end = in_flight(plain(), 8);
    end.until(200);
    end.send(4000);
    end.acked(ISS + 7001);
    end.sent();
    end.acked(ISS + 8001);
    for _ in 0..4 {
        assert!(!end.acked(ISS + 8001).fast_retransmit);
    }
}

#[test]
fn sack_retransmits_the_holes_only() {
    let mut end = in_flight(with_sack(), 8);
    end.wait(10);
    let una = ISS + 1;
    let blocks = [(una + 1000, una + 3000), (una + 4000, una + 5000)];
    let ack = seg(ACK, IRS + 1, una, 0);
    assert!(end.arrive(with_blocks(ack, &blocks)).fast_retransmit);
    assert_eq!(seqs(&end.sent()), [una]);
    end.wait(5);
    let more = [(una + 4000, una + 8000)];
    end.arrive(with_blocks(ack, &more));
    assert_eq!(seqs(&end.sent()), [una + 3000]);
    end.acked(una + 8000);
    assert_eq!(end.tcb.recovery_number(), 0);
}

#[test]
fn three_small_segments_are_enough_for_sack() {
    let config = Config {
        nodelay: true,
        ..with_sack()
    };
    let mut end = End::established_in(config, 40);
    for _ in 0..4 {
        end.send(10);
        end.sent();
    }
    let una = ISS + 1;
    let mut fast = false;
    for n in 1..=3 {
        end.wait(1);
        assert!(!fast);
        let ack = seg(ACK, IRS + 1, una, 0);
        fast = end
            .arrive(with_blocks(ack, &[(una + 10, una + 10 + 10 * n)]))
            .fast_retransmit;
    }
    assert!(fast);
    assert_eq!(seqs(&end.sent())[0], una);
}

/// The first acknowledged is what was selectively acknowledged: the peer no longer has it.
#[test]
fn a_timeout_forgets_what_the_peer_has_dropped() {
    let mut end = in_flight(with_sack(), 4);
    let una = ISS + 1;
    end.wait(20);
    end.arrive(with_blocks(
        seg(ACK, IRS + 1, una, 0),
        &[(una + 1000, una + 2000)],
    ));
    assert_eq!(end.tcb.sacked(), 1000);
    assert_eq!(seqs(&end.wait(10)), [una]);
    end.wait(20);
    end.acked(una + 1000);
    assert_eq!(end.tcb.sacked(), 1000, "it may be a mistake of the peer's");
    assert_eq!(seqs(&end.wait(30))[0], una + 1000);
    assert_eq!((end.tcb.sacked(), end.tcb.recovery_number()), (0, 4));
}

#[test]
fn a_timeout_remembers_what_was_selectively_acknowledged() {
    let mut end = in_flight(with_sack(), 4);
    let una = ISS + 1;
    end.wait(20);
    end.arrive(with_blocks(
        seg(ACK, IRS + 1, una, 0),
        &[(una + 1000, una + 2000)],
    ));
    end.wait(300);
    assert_eq!(end.tcb.sacked(), 1000);
    end.acked(una + 1000);
    assert_eq!(end.tcb.sacked(), 1000);
}

#[test]
fn a_fin_is_repeated_with_its_text() {
    let mut end = End::established(plain());
    end.send(10);
    end.tcb.shutdown_write();
    let sent = end.until(200);
    assert_eq!(sent.len(), 2);
    assert_eq!((sent[0].1, sent[0].2), (ISS + 1, 10));
    assert_eq!(sent[0].1, sent[1].1);
    assert_eq!(sent[0].3, sent[1].3);
    end.acked(ISS + 11);
    assert_eq!(end.tcb.state(), State::FinWait1);
    let fin = end.wait(2000);
    assert!(fin
        .iter()
        .all(|s| s.1 == ISS + 11 && s.2 == 0 && s.3 == FIN | ACK));
    assert!(!fin.is_empty());
    end.acked(ISS + 12);
    assert_eq!(end.tcb.state(), State::FinWait2);
}

#[test]
fn a_smaller_path_is_used_at_once() {
    let mut end = in_flight(plain(), 1);
    end.limits.mss = 600;
    let sent = end.until(200);
    assert_eq!(sent.iter().map(|s| s.2).collect::<Vec<_>>(), [600]);
    end.acked(ISS + 601);
    assert_eq!(end.sent().iter().map(|s| s.2).collect::<Vec<_>>(), [400]);
}

#[test]
fn a_peer_s_tiny_mss_is_not_followed_all_the_way() {
    let mut end = End::connecting(plain());
    end.sent();
    let mut syn = seg(SYN | ACK, IRS, ISS + 1, 0);
    syn.options.mss = Some(1);
    end.arrive(syn);
    end.sent();
    assert_eq!(end.tcb.mss(), 48);
}
