// SPDX-License-Identifier: GPL-2.0

//! What holds of ECN whatever the network marks and whatever a peer says.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod ecn_support;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use ecn_support::*;
use harness::*;
use oxtcp_core::tcp::accecn_option::{AccEcnOption, EcnBytes};
use oxtcp_core::tcp::congestion::CongestionControl;
use oxtcp_core::tcp::ecn::{Ecn, Feedback};
use oxtcp_core::tcp::options::{Options, Timestamps};
use oxtcp_core::tcp::segment::{Flags, Segment, Transmit};
use oxtcp_core::tcp::time::Duration;
use proptest::collection::vec;
use proptest::prelude::*;

fn any_ecn() -> impl Strategy<Value = Ecn> {
    (0u8..4).prop_map(Ecn::from_tos)
}

/// What the other end sees of a segment.
fn across(out: &Transmit, ecn: Ecn) -> Segment {
    let mut buf = [0; 60];
    let len = out.header(1, 2, &mut buf);
    let mut seg = Segment::parse(&buf[..len], out.len).expect("a header");
    seg.ecn = ecn;
    seg
}

/// Two ends that have agreed on what mode 3 asks for: a client and a server.
fn pair(number: u8) -> (End, End) {
    let config = mode(number);
    let mut client = End::connecting(config);
    let syn = across(&client.out()[0], Ecn::NotEct);
    let half = oxtcp_core::tcp::syn_received::SynReceived::new(&config, &syn, ids(), client.now);
    let syn_ack = across(&half.syn_ack(&config, client.now), Ecn::NotEct);
    client.arrive(syn_ack);
    let last = across(&client.out()[0], Ecn::Ect0);
    (client, accept(config, half, last))
}

proptest! {
    /// Each segment is acknowledged, nothing is lost: then the sender's counters are the
    /// receiver's.
    #[test]
    fn accurate_feedback_is_accurate(marks in vec(any::<bool>(), 1..200)) {
        let (mut client, mut server) = pair(3);
        for (n, mark) in marks.iter().enumerate() {
            client.now = client.now + Duration::from_ms(1);
            server.now = client.now;
            client.send(500);
            let sent = client.out();
            prop_assert_eq!(sent.len(), 1, "{}", n);
            prop_assert_eq!(sent[0].ecn, Ecn::Ect0);
            let ecn = if *mark { Ecn::Ce } else { Ecn::Ect0 };
            server.arrive(across(&sent[0], ecn));
            server.rx.read(usize::MAX);
            server.tcb.set_quick_ack(&server.config, true);
            for answer in server.out() {
                client.arrive(across(&answer, answer.ecn));
            }
        }
        let expected = marks.iter().filter(|m| **m).count() as u32;
        let (ours, theirs) = (client.tcb.ecn(), server.tcb.ecn());
        prop_assert_eq!(theirs.received_ce, expected);
        prop_assert_eq!(ours.delivered_ce, expected);
        prop_assert_eq!(theirs.received.ce, expected * 500);
        prop_assert_eq!(ours.delivered, theirs.received);
        prop_assert_eq!((ours.failures, theirs.failures), (0, 0));
    }

    /// Even if all is marked, acknowledgments of acknowledgments die out.
    #[test]
    fn acknowledgments_of_acknowledgments_are_damped(bytes in 1u32..60_000) {
        let (mut client, mut server) = pair(3);
        client.send(bytes);
        let (mut texts, mut bare) = (0, 0);
        for round in 0.. {
            prop_assert!(round < 1000, "no end of acknowledgments");
            client.now = client.now + Duration::from_ms(1);
            server.now = client.now;
            let sent = client.out();
            for out in &sent {
                texts += u32::from(out.len > 0);
                bare += u32::from(out.len == 0);
                server.tcb.set_quick_ack(&server.config, true);
                server.arrive(across(out, Ecn::Ce));
                server.rx.read(usize::MAX);
            }
            let answers = server.out();
            for out in &answers {
                bare += u32::from(out.len == 0);
                client.arrive(across(out, Ecn::Ce));
            }
            if sent.is_empty() && answers.is_empty() {
                break;
            }
        }
        prop_assert_eq!(client.tcb.flight(), 0);
        prop_assert!(bare <= texts * 3 / 2, "{} for {}", bare, texts);
        let (ours, theirs) = (client.tcb.ecn(), server.tcb.ecn());
        prop_assert_eq!((ours.failures, theirs.failures), (0, 0));
    }

    /// Classic feedback: a mark is answered by a reduction, and by CWR, which ends the echo.
    #[test]
    fn classic_feedback_ends(marks in vec(any::<bool>(), 1..100)) {
        let (mut client, mut server) = pair(1);
        let mut echoed = false;
        let quiet = [false; 4];
        for mark in marks.iter().chain(&quiet) {
            client.now = client.now + Duration::from_ms(1);
            server.now = client.now;
            client.send(500);
            echoed = false;
            for out in client.out() {
                let ecn = if *mark { Ecn::Ce } else { out.ecn };
                server.arrive(across(&out, ecn));
            }
            server.rx.read(usize::MAX);
            server.tcb.set_quick_ack(&server.config, true);
            for answer in server.out() {
                echoed |= answer.flags.has(Flags::ECE);
                client.arrive(across(&answer, answer.ecn));
            }
        }
        prop_assert!(!echoed);
        let marked = marks.iter().any(|m| *m);
        prop_assert_eq!(client.tcb.congestion().ssthresh() < u32::MAX, marked);
        prop_assert_eq!(client.tcb.ecn().delivered_ce > 0, marked);
    }

    /// A peer may say anything: sizes stay right, and what was negotiated stays.
    #[test]
    fn no_peer_confuses_an_end(
        number in 1u8..4,
        segments in vec((0u8..8, any_ecn(), vec(any::<u8>(), 0..12), any::<bool>(), 0u32..3, 0u32..2000, 0u16..50), 1..60),
    ) {
        let (mut end, _) = pair(number);
        let before = end.tcb.ecn().feedback;
        prop_assert_eq!(before, if number == 3 { Feedback::Accurate } else if number == 1 { Feedback::Classic } else { Feedback::None });
        for (ace, ecn, body, e1_first, texts, ack, merged) in segments {
            end.now = end.now + Duration::from_ms(7);
            end.send(700);
            for out in end.out() {
                let mut buf = [0; 60];
                let header = out.header(1, 2, &mut buf) as u32;
                prop_assert!(out.len.min(u32::from(out.mss)) + header <= u32::from(MSS) + 20);
            }
            let next = end.tcb.rcv_nxt().0;
            let una = end.tcb.snd_una().0;
            let ack = una + ack.min(end.tcb.flight());
            let mut seg = with_ecn(with_ace(seg(ACK, next, ack, texts * 500), ace), ecn);
            seg.merged = merged;
            seg.options.accecn = (!body.is_empty()).then(|| AccEcnOption::parse(&body, e1_first));
            let known = end.tcb.ecn().delivered_ce;
            let flight = end.tcb.flight();
            end.arrive(seg);
            let more = end.tcb.ecn().delivered_ce.wrapping_sub(known);
            prop_assert!(more <= flight.div_ceil(400).max(7), "more marks than segments");
            // A segment at least, of which options take up to 40 bytes.
            prop_assert!(end.tcb.congestion().window() >= u32::from(MSS) - 40);
            prop_assert_eq!(end.tcb.ecn().feedback, before);
            end.rx.read(usize::MAX);
        }
    }

    /// Options with the counters of bytes are read as they were written, and fit the header.
    #[test]
    fn counters_of_bytes_cross_the_wire(
        ect1: u32, ect0: u32, ce: u32, fields in 0u8..=3, stamps: bool, scale: bool, sack: bool,
    ) {
        let option = AccEcnOption::new(&EcnBytes { ect1, ect0, ce }).truncated(fields);
        let options = Options {
            timestamps: stamps.then_some(Timestamps { val: 1, ecr: 2 }),
            window_scale: scale.then_some(7),
            sack_permitted: sack,
            accecn: Some(option),
            ..Options::default()
        };
        let mut buf = [0; 40];
        let len = options.write(&mut buf);
        prop_assert_eq!(len % 4, 0);
        prop_assert_eq!(Options::parse(&buf[..len]), options);
        let expected = [(Ecn::Ect1, ect1), (Ecn::Ce, ce), (Ecn::Ect0, ect0)];
        for (read, (ecn, count)) in option.counters().zip(expected) {
            prop_assert_eq!(read, (ecn, count & 0xff_ffff));
        }
    }

    /// A counter that moved by less than half of its range is followed, whatever it was.
    #[test]
    fn a_counter_is_followed(known: u32, by in -0x80_0000i32..0x80_0000) {
        let counted = known.wrapping_add(by as u32) & 0xff_ffff;
        prop_assert_eq!(AccEcnOption::movement(known, counted), by);
    }

    /// Any field of IP survives the TOS byte.
    #[test]
    fn the_field_is_the_low_bits_of_tos(tos: u8) {
        prop_assert_eq!(Ecn::from_tos(tos).bits(), tos & 3);
    }
}
