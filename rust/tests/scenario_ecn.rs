// SPDX-License-Identifier: GPL-2.0

//! ECN with classic feedback (RFC 3168): negotiation, echo, reduction.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod ecn_support;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use ecn_support::*;
use harness::*;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::congestion::CongestionControl;
use oxtcp_core::tcp::ecn::{Ecn, EcnConfig, Feedback};
use oxtcp_core::tcp::segment::{Flags, Transmit};
use oxtcp_core::tcp::time::Instant;
use oxtcp_core::tcp::Tcb;

const ECE: u8 = 1;
const CWR: u8 = 2;

/// A server that has negotiated it.
fn classic_server() -> End {
    let config = mode(2);
    accept(
        config,
        entry(&config, ECE | CWR, Ecn::NotEct),
        last_ack(0, Ecn::NotEct),
    )
}

fn feedback(end: &End) -> Feedback {
    end.tcb.ecn().feedback
}

fn ecn_of(sent: &[Transmit]) -> Vec<(Ecn, u8)> {
    sent.iter().map(|o| (o.ecn, o.flags.ace())).collect()
}

fn bits_of_first_syn(config: Config) -> u8 {
    let mut end = End::connecting(config);
    end.out()[0].flags.ace()
}

#[test]
fn the_mode_says_what_a_syn_asks_for() {
    let asked = [0, 1, 2, 3, 4, 5].map(|number| bits_of_first_syn(mode(number)));
    assert_eq!(asked, [0, ECE | CWR, 0, 7, ECE | CWR, 0]);
}

#[test]
fn the_mode_says_what_a_listener_grants() {
    for (number, classic, accurate) in [
        (0, 0, 0),
        (1, ECE, ECE),
        (2, ECE, ECE),
        (3, ECE, CWR),
        (4, ECE, CWR),
        (5, ECE, CWR),
    ] {
        let config = mode(number);
        let granted = |ace| {
            let entry = entry(&config, ace, Ecn::NotEct);
            entry.syn_ack(&config, Instant::default()).flags.ace()
        };
        assert_eq!(granted(0), 0, "mode {number}");
        assert_eq!(granted(ECE | CWR), classic, "mode {number}");
        assert_eq!(granted(7), accurate, "mode {number}");
    }
}

#[test]
fn a_capable_path_adds_classic_ecn() {
    let config = |number| Config {
        ecn: EcnConfig::default().with_mode(number).with_capable_path(),
        ..with_sack()
    };
    assert_eq!(bits_of_first_syn(config(0)), ECE | CWR);
    assert_eq!(bits_of_first_syn(config(2)), ECE | CWR);
    assert_eq!(bits_of_first_syn(config(3)), 7);
    let entry = entry(&config(0), ECE | CWR, Ecn::NotEct);
    let syn_ack = entry.syn_ack(&config(0), Instant::default());
    assert_eq!(syn_ack.flags.ace(), ECE);
}

#[test]
fn neither_syn_nor_syn_ack_is_ecn_capable() {
    let mut end = End::connecting(mode(1));
    assert_eq!(end.out()[0].ecn, Ecn::NotEct);
    let config = mode(2);
    let entry = entry(&config, ECE | CWR, Ecn::NotEct);
    assert_eq!(entry.syn_ack(&config, Instant::default()).ecn, Ecn::NotEct);
}

#[test]
fn a_syn_that_is_ecn_capable_gets_no_classic_ecn() {
    for ecn in [Ecn::Ect0, Ecn::Ect1, Ecn::Ce] {
        let config = mode(2);
        let entry = entry(&config, ECE | CWR, ecn);
        assert_eq!(entry.syn_ack(&config, Instant::default()).flags.ace(), 0);
    }
}

#[test]
fn a_syn_of_an_extension_may_be_ecn_capable() {
    let config = mode(2);
    let mut syn = syn(&config, 7, Ecn::Ect0);
    let granted = |syn| {
        let entry = oxtcp_core::tcp::syn_received::SynReceived::new(
            &config,
            &syn,
            ids(),
            Instant::default(),
        );
        entry.syn_ack(&config, Instant::default()).flags.ace()
    };
    assert_eq!(granted(syn), ECE);
    syn.flags = SYN | Flags::from_ace(ECE | CWR) | Flags::from_bits(0x400);
    assert_eq!(granted(syn), ECE);
}

#[test]
fn half_a_request_gets_nothing() {
    for ace in [ECE, CWR, 4, 5, 6] {
        let config = mode(2);
        let entry = entry(&config, ace, Ecn::NotEct);
        assert_eq!(entry.syn_ack(&config, Instant::default()).flags.ace(), 0);
    }
}

#[test]
fn only_ece_alone_grants_it() {
    for (ace, granted) in [
        (0, Feedback::None),
        (ECE, Feedback::Classic),
        (CWR, Feedback::None),
        (ECE | CWR, Feedback::None),
        (4, Feedback::None),
        (4 | ECE, Feedback::Classic),
        (7, Feedback::None),
    ] {
        assert_eq!(
            feedback(&client(mode(1), ace, Ecn::NotEct)),
            granted,
            "{ace}"
        );
    }
}

#[test]
fn who_did_not_ask_gets_none() {
    for ace in 0..8 {
        assert_eq!(feedback(&client(mode(2), ace, Ecn::NotEct)), Feedback::None);
    }
}

#[test]
fn a_syn_sent_again_gives_it_up() {
    let mut end = End::connecting(mode(1));
    let sent = end.until(1100);
    let bits: Vec<u8> = sent.iter().map(|s| s.3.ace()).collect();
    assert_eq!(bits, [ECE | CWR, 0]);
}

#[test]
fn without_fallback_a_syn_sent_again_still_asks() {
    let mut config = mode(1);
    config.ecn.fallback = false;
    let mut end = End::connecting(config);
    let bits: Vec<u8> = end.until(3100).iter().map(|s| s.3.ace()).collect();
    assert_eq!(bits, [ECE | CWR; 3]);
}

#[test]
fn a_syn_ack_that_answers_the_first_syn_late_still_grants_it() {
    let mut end = End::connecting(mode(1));
    end.until(1100);
    end.arrive(syn_ack(&mode(1), ECE, Ecn::NotEct));
    assert_eq!(feedback(&end), Feedback::Classic);
    // But the peer may go by the second (RFC 3168 6.1.1).
    end.out();
    end.send(10);
    assert_eq!(ecn_of(&end.out()), [(Ecn::NotEct, 0)]);
}

/// RFC 3168 6.1.1: the peer may have heard the one alone that says nothing of it, or have meant that.
#[test]
fn a_syn_or_syn_ack_without_it_leaves_text_that_is_not_capable() {
    let config = mode(2);
    for (timeouts, again, capable) in [
        (0, None, true),
        (0, Some(ECE | CWR), true),
        (0, Some(0), false),
        (1, None, true),
        (2, None, false),
    ] {
        let mut entry = entry(&config, ECE | CWR, Ecn::NotEct);
        for _ in 0..timeouts {
            let at = entry.deadline();
            entry.on_timer(&config, at);
        }
        if let Some(ace) = again {
            entry.on_syn_again(&syn(&config, ace, Ecn::NotEct));
        }
        let mut end = End::established(config);
        end.tcb = entry.into_tcb(&config, &last_ack(0, Ecn::NotEct), end.now);
        assert_eq!(feedback(&end), Feedback::Classic);
        end.send(10);
        let field = if capable { Ecn::Ect0 } else { Ecn::NotEct };
        assert_eq!(ecn_of(&end.out()), [(field, 0)], "{timeouts} {again:?}");
    }
}

/// The peer may have gone by the other, and echoes a mark until it is told (RFC 3168 6.1.3).
#[test]
fn text_that_is_not_capable_tells_of_a_reduction_too() {
    let config = mode(2);
    let mut entry = entry(&config, ECE | CWR, Ecn::NotEct);
    entry.on_syn_again(&syn(&config, 0, Ecn::NotEct));
    let mut end = accept(config, entry, last_ack(0, Ecn::NotEct));
    end.send(1000);
    let next = end.out()[0].seq + 1000;
    end.arrive(seg(ACK | Flags::ECE, IRS + 1, next.0, 0));
    end.send(10);
    assert_eq!(ecn_of(&end.out()), [(Ecn::NotEct, CWR)]);
}

/// The same where Fast Open has the connection open by then.
#[test]
fn a_syn_without_it_leaves_text_of_a_fast_open_that_is_not_capable() {
    for (again, field) in [(ECE | CWR, Ecn::Ect0), (0, Ecn::NotEct)] {
        let config = mode(2);
        let mut end = End::connecting(config);
        let first = syn(&config, ECE | CWR, Ecn::NotEct);
        let (tcb, _) = Tcb::accept_fast(&config, &first, ids(), &mut end.rx, end.now);
        end.tcb = tcb;
        end.out();
        end.arrive(syn(&config, again, Ecn::NotEct));
        end.out();
        end.arrive(last_ack(0, Ecn::NotEct));
        end.send(10);
        assert_eq!(ecn_of(&end.out()), [(field, 0)]);
    }
}

#[test]
fn a_syn_ack_sent_again_twice_gives_it_up() {
    let config = mode(2);
    let mut entry = entry(&config, ECE | CWR, Ecn::NotEct);
    let mut bits = vec![];
    for _ in 0..3 {
        bits.push(entry.syn_ack(&config, entry.deadline()).flags.ace());
        let at = entry.deadline();
        entry.on_timer(&config, at);
    }
    assert_eq!(bits, [ECE, ECE, 0]);
}

#[test]
fn simultaneous_opens_agree() {
    let mut end = End::connecting(mode(1));
    end.out();
    end.arrive(syn(&mode(1), ECE | CWR, Ecn::NotEct));
    assert_eq!(end.out()[0].flags, SYN | ACK | Flags::ECE);
    assert_eq!(feedback(&end), Feedback::Classic);
    end.arrive(last_ack(0, Ecn::NotEct));
    end.send(10);
    assert_eq!(ecn_of(&end.out()), [(Ecn::Ect0, 0)]);
}

#[test]
fn a_crossing_syn_without_ecn_ends_it() {
    for ace in [0, ECE, CWR] {
        let mut end = End::connecting(mode(1));
        end.out();
        end.arrive(syn(&mode(1), ace, Ecn::NotEct));
        assert_eq!(feedback(&end), Feedback::None);
    }
}

#[test]
fn new_text_is_capable_and_nothing_else() {
    let mut end = classic_server();
    end.send(3000);
    let sent = end.out();
    assert_eq!(ecn_of(&sent), [(Ecn::Ect0, 0)]);
    let again = end.wait(1500);
    assert!(!again.is_empty());
    end.arrive(seg(ACK, IRS + 1, ISS + 1, 100));
    let mut end2 = classic_server();
    end2.send(1000);
    end2.out();
    end2.expire();
    let retransmitted = end2.out();
    assert!(retransmitted[0].retransmission);
    assert_eq!(ecn_of(&retransmitted), [(Ecn::NotEct, 0)]);
}

#[test]
fn an_acknowledgment_is_not_capable() {
    let mut end = classic_server();
    end.arrive(seg(ACK, IRS + 1, ISS + 1, 1000));
    end.tcb.set_quick_ack(&end.config, true);
    assert_eq!(ecn_of(&end.out()), [(Ecn::NotEct, 0)]);
}

#[test]
fn a_fin_alone_is_not_capable() {
    let mut end = classic_server();
    end.tcb.shutdown_write();
    assert_eq!(ecn_of(&end.out()), [(Ecn::NotEct, 0)]);
}

#[test]
fn a_window_probe_is_not_capable() {
    let mut end = classic_server();
    end.arrive(with_window(seg(ACK, IRS + 1, ISS + 1, 0), 0));
    end.send(10);
    assert!(end.out().is_empty());
    end.expire();
    assert_eq!(ecn_of(&end.out()), [(Ecn::NotEct, 0)]);
}

#[test]
fn a_mark_is_echoed_until_cwr() {
    let mut end = classic_server();
    end.arrive(with_ecn(seg(ACK, IRS + 1, ISS + 1, 1000), Ecn::Ce));
    assert_eq!(ecn_of(&end.out()), [(Ecn::NotEct, ECE)], "at once");
    end.send(10);
    assert_eq!(ecn_of(&end.out()), [(Ecn::Ect0, ECE)]);
    end.arrive(with_ecn(seg(ACK, IRS + 1001, ISS + 1, 1000), Ecn::Ect0));
    assert_eq!(end.wait(50)[0].3, ACK | Flags::ECE);
    let cwr = with_ecn(seg(ACK, IRS + 2001, ISS + 11, 1000), Ecn::Ect0);
    end.arrive(with_ace(cwr, CWR));
    assert_eq!(ecn_of(&end.out()), [(Ecn::NotEct, 0)], "at once");
}

#[test]
fn cwr_on_a_marked_segment_begins_another_echo() {
    let mut end = classic_server();
    end.arrive(with_ecn(seg(ACK, IRS + 1, ISS + 1, 1000), Ecn::Ce));
    end.out();
    let both = with_ecn(seg(ACK, IRS + 1001, ISS + 1, 1000), Ecn::Ce);
    end.arrive(with_ace(both, CWR));
    assert_eq!(ecn_of(&end.out()), [(Ecn::NotEct, ECE)]);
}

#[test]
fn cwr_on_a_bare_acknowledgment_counts_too() {
    let mut end = classic_server();
    end.arrive(with_ecn(seg(ACK, IRS + 1, ISS + 1, 1000), Ecn::Ce));
    end.out();
    end.arrive(with_ace(seg(ACK, IRS + 1001, ISS + 1, 0), CWR));
    end.arrive(with_ecn(seg(ACK, IRS + 1001, ISS + 1, 2000), Ecn::Ect0));
    assert!(end.wait(100).iter().all(|s| s.3 == ACK));
}

#[test]
fn a_mark_on_a_segment_without_text_is_not_echoed() {
    let mut end = classic_server();
    end.arrive(with_ecn(seg(ACK, IRS + 1, ISS + 1, 0), Ecn::Ce));
    end.send(10);
    assert_eq!(ecn_of(&end.out()), [(Ecn::Ect0, 0)]);
}

#[test]
fn a_mark_on_text_that_was_here_before_is_not_echoed() {
    let mut end = classic_server();
    end.arrive(seg(ACK, IRS + 1, ISS + 1, 1000));
    end.wait(100);
    end.arrive(with_ecn(seg(ACK, IRS + 1, ISS + 1, 1000), Ecn::Ce));
    assert_eq!(ecn_of(&end.out()), [(Ecn::NotEct, 0)]);
}

#[test]
fn text_of_a_capable_peer_that_is_not_is_acknowledged_at_once() {
    let mut end = classic_server();
    end.arrive(with_ecn(seg(ACK, IRS + 1, ISS + 1, 1000), Ecn::Ect0));
    assert!(end.out().is_empty(), "delayed");
    end.wait(50);
    end.arrive(seg(ACK, IRS + 1001, ISS + 1, 1000));
    assert_eq!(end.out().len(), 1);
    assert!(end.tcb.ecn().seen);
}

/// With `segments` in flight.
fn sender(segments: u32) -> End {
    let mut end = classic_server();
    end.send(segments * 1000);
    let sent = ecn_of(&end.out());
    assert!(!sent.is_empty());
    assert!(sent.iter().all(|ecn| *ecn == (Ecn::Ect0, 0)), "{sent:?}");
    end
}

#[test]
fn an_echo_reduces_the_window_once_a_window_of_data() {
    let mut end = sender(10);
    let before = end.tcb.cwnd();
    end.arrive(with_ace(seg(ACK, IRS + 1, ISS + 1001, 0), ECE));
    let threshold = end.tcb.congestion().ssthresh();
    assert!(threshold < before);
    for n in 2..=9 {
        end.arrive(with_ace(seg(ACK, IRS + 1, ISS + n * 1000 + 1, 0), ECE));
        assert_eq!(end.tcb.congestion().ssthresh(), threshold);
    }
    end.send(20_000);
    assert!(!end.out().is_empty());
    end.arrive(with_ace(seg(ACK, IRS + 1, ISS + 11_001, 0), ECE));
    assert!(end.tcb.congestion().ssthresh() < threshold);
}

/// What was in flight is halved (RFC 3168 6.1.2), not what an acknowledgment of all leaves of it.
#[test]
fn an_echo_that_acknowledges_all_halves_the_window() {
    for acked in [1000, 5000, 9000, 10_000] {
        let mut end = sender(10);
        end.arrive(with_ace(seg(ACK, IRS + 1, ISS + 1 + acked, 0), ECE));
        assert_eq!(end.tcb.congestion().ssthresh(), 5000, "{acked}");
    }
}

#[test]
fn the_window_does_not_grow_in_the_round_trip_after() {
    let mut end = sender(10);
    end.arrive(with_ace(seg(ACK, IRS + 1, ISS + 1001, 0), ECE));
    let reduced = end.tcb.congestion().window();
    for n in 2..=9 {
        end.arrive(seg(ACK, IRS + 1, ISS + n * 1000 + 1, 0));
        assert!(end.tcb.congestion().window() <= reduced);
    }
}

#[test]
fn cwr_goes_on_the_next_new_text_alone() {
    let mut end = sender(10);
    end.arrive(with_ace(seg(ACK, IRS + 1, ISS + 9001, 0), ECE));
    end.send(2000);
    let first = end.out();
    assert_eq!(first[0].flags.ace(), CWR);
    assert!(!first[0].accurate_ecn, "once in a run");
    end.send(1000);
    assert!(end.out().iter().all(|o| o.flags.ace() == 0));
}

#[test]
fn cwr_does_not_go_on_an_acknowledgment() {
    let mut end = sender(10);
    end.arrive(with_ace(seg(ACK, IRS + 1, ISS + 9001, 0), ECE));
    end.arrive(seg(ACK, IRS + 1, ISS + 9001, 2000));
    assert!(end.wait(50).iter().all(|s| s.3 == ACK));
    end.send(1000);
    assert_eq!(end.out()[0].flags.ace(), CWR);
}

#[test]
fn cwr_tells_of_a_reduction_for_loss_too() {
    let mut end = sender(10);
    for n in [2, 3, 4] {
        let block = (ISS + 1001, ISS + n * 1000 + 1);
        end.arrive(with_blocks(seg(ACK, IRS + 1, ISS + 1, 0), &[block]));
    }
    let again = end.out();
    assert!(again[0].retransmission && again[0].flags.ace() == 0);
    end.acked(ISS + 10_001);
    end.send(1000);
    assert_eq!(end.out()[0].flags.ace(), CWR);
}

#[test]
fn cwr_tells_of_a_timeout_too() {
    let mut end = sender(2);
    end.wait(2000);
    end.acked(ISS + 2001);
    end.send(1000);
    assert_eq!(end.out()[0].flags.ace(), CWR);
}

#[test]
fn a_loss_in_the_same_window_does_not_reduce_it_again() {
    let mut end = sender(10);
    end.arrive(with_ace(seg(ACK, IRS + 1, ISS + 1001, 0), ECE));
    let threshold = end.tcb.congestion().ssthresh();
    for n in [3, 4, 5] {
        let block = (ISS + 2001, ISS + n * 1000 + 1);
        end.arrive(with_blocks(seg(ACK, IRS + 1, ISS + 1001, 0), &[block]));
    }
    assert!(end.out()[0].retransmission);
    assert_eq!(end.tcb.congestion().ssthresh(), threshold);
}

#[test]
fn an_echo_while_loss_is_recovered_from_does_not_reduce_again() {
    let mut end = sender(10);
    for n in [2, 3, 4] {
        let block = (ISS + 1001, ISS + n * 1000 + 1);
        end.arrive(with_blocks(seg(ACK, IRS + 1, ISS + 1, 0), &[block]));
    }
    let threshold = end.tcb.congestion().ssthresh();
    end.arrive(with_ace(seg(ACK, IRS + 1, ISS + 1001, 0), ECE));
    assert_eq!(end.tcb.congestion().ssthresh(), threshold);
}

#[test]
fn an_echo_with_nothing_in_flight_means_nothing() {
    let mut end = classic_server();
    let before = end.tcb.congestion().window();
    end.arrive(with_ace(seg(ACK, IRS + 1, ISS + 1, 0), ECE));
    assert_eq!(end.tcb.congestion().window(), before);
}

#[test]
fn delivered_segments_with_an_echo_are_counted() {
    let mut end = sender(10);
    end.arrive(seg(ACK, IRS + 1, ISS + 1001, 0));
    assert_eq!(end.tcb.ecn().delivered_ce, 0);
    end.arrive(with_ace(seg(ACK, IRS + 1, ISS + 3001, 0), ECE));
    assert_eq!(end.tcb.ecn().delivered_ce, 2);
}

#[test]
fn without_it_bits_and_marks_mean_nothing() {
    let mut end = End::established(mode(0));
    end.send(5000);
    end.limits.max_run = 5000;
    assert_eq!(ecn_of(&end.out()), [(Ecn::NotEct, 0)]);
    let before = end.tcb.congestion().ssthresh();
    end.arrive(with_ace(seg(ACK, IRS + 1, ISS + 1001, 0), 7));
    assert_eq!(end.tcb.congestion().ssthresh(), before);
    end.arrive(with_ecn(seg(ACK, IRS + 1, ISS + 1001, 2000), Ecn::Ce));
    assert!(end.wait(100).iter().all(|s| s.3.ace() == 0));
}
