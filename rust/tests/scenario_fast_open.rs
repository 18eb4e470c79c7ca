// SPDX-License-Identifier: GPL-2.0

//! TCP Fast Open (RFC 7413): text in the SYN, from both ends.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::events::{Error, Events};
use oxtcp_core::tcp::fast_open::{judge, Cookie, Judgement, Opening, Policy};
use oxtcp_core::tcp::segment::{Flags, Segment, Transmit};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::time::Instant;
use oxtcp_core::tcp::user::IcmpVerdict;
use oxtcp_core::tcp::Tcb;

fn cookie(n: u8) -> Cookie {
    Cookie::new(&[n; 8]).expect("a cookie")
}

/// The peer's SYN with text.
fn syn_with(len: u32) -> Segment {
    seg(SYN, IRS, 0, len)
}

/// A server's end that took a SYN with `len` bytes of text; the SYN-ACK is not yet fetched.
fn passive(config: Config, len: u32) -> (End, Events) {
    let mut end = End::connecting(config);
    end.rx.segment = vec![7; len as usize];
    let mut syn = syn_with(len);
    syn.options = syn_options(&config);
    let (tcb, events) = Tcb::accept_fast(&config, &syn, ids(), &mut end.rx, end.now);
    end.tcb = tcb;
    (end, events)
}

/// A client's end whose SYN was sent with `text` bytes queued.
fn active(config: Config, opening: Opening, text: u32) -> (End, Transmit) {
    let mut end = End::connecting(config);
    end.send(text);
    let limits = end.limits;
    let syn = end
        .tcb
        .open_fast(&config, opening, u32::MAX, &limits, end.now);
    (end, syn)
}

/// The server's SYN-ACK that acknowledges `ack`.
fn syn_ack(ack: u32) -> Segment {
    seg(SYN | ACK, IRS, ack, 0)
}

#[test]
fn a_syn_is_judged_by_its_cookie() {
    let policy = |cookieless| Policy {
        cookieless,
        cookies: [Some(cookie(1)), Some(cookie(2))],
    };
    let judged = |option: Option<Cookie>, len, cookieless| {
        let mut syn = syn_with(len);
        syn.options.fast_open = option;
        judge(&syn, &policy(cookieless))
    };
    let verdict = |accept, offer| Judgement { accept, offer };
    // No option: an ordinary SYN, whatever text it has.
    assert_eq!(judged(None, 0, false), verdict(false, None));
    assert_eq!(judged(None, 10, false), verdict(false, None));
    // A request is answered with a cookie.
    let given = verdict(false, Some(cookie(1)));
    assert_eq!(judged(Some(Cookie::REQUEST), 0, false), given);
    assert_eq!(judged(Some(Cookie::REQUEST), 10, false), given);
    // A good cookie opens, with and without text.
    for len in [0, 10] {
        let opened = judged(Some(cookie(1)), len, false);
        assert_eq!(opened, verdict(true, None));
        // One under the key before is renewed.
        let renewed = judged(Some(cookie(2)), len, false);
        assert_eq!(renewed, verdict(true, Some(cookie(1))));
        // A bad one is too, but opens nothing.
        assert_eq!(judged(Some(cookie(3)), len, false), given);
    }
}

#[test]
fn where_no_cookie_is_wanted_text_alone_opens() {
    let policy = Policy {
        cookieless: true,
        cookies: [Some(cookie(1)), None],
    };
    for (option, len, accept) in [
        (None, 0, false),
        (None, 10, true),
        (Some(Cookie::REQUEST), 0, true),
        (Some(cookie(9)), 10, true),
    ] {
        let mut syn = syn_with(len);
        syn.options.fast_open = option;
        let judged = judge(&syn, &policy);
        let offer = None;
        assert_eq!(judged, Judgement { accept, offer }, "{option:?} {len}");
    }
}

#[test]
fn a_listener_without_a_key_opens_nothing() {
    let policy = Policy {
        cookieless: false,
        cookies: [None, None],
    };
    for option in [None, Some(Cookie::REQUEST), Some(cookie(1))] {
        let mut syn = syn_with(10);
        syn.options.fast_open = option;
        let judged = judge(&syn, &policy);
        assert!(!judged.accept && judged.offer.is_none());
    }
}

#[test]
fn a_shorter_cookie_is_another_cookie() {
    let short = Cookie::new(&[1; 4]);
    let policy = Policy {
        cookieless: false,
        cookies: [Some(cookie(1)), None],
    };
    let mut syn = syn_with(10);
    syn.options.fast_open = short;
    assert!(!judge(&syn, &policy).accept);
}

#[test]
fn text_of_the_syn_is_readable_before_the_third_segment() {
    let (mut end, events) = passive(plain(), 100);
    assert!(events.readable);
    assert_eq!(end.rx.readable(), 100);
    assert_eq!(end.tcb.state(), State::SynReceived);
    assert!(end.tcb.is_passive_fast_open());
    let out = end.out();
    assert_eq!(out.len(), 1, "the SYN-ACK acknowledges the text: {out:?}");
    assert_eq!(out[0].flags, SYN | ACK);
    assert_eq!((out[0].seq.0, out[0].ack.0), (ISS, IRS + 101));
}

#[test]
fn the_third_segment_completes_it() {
    let (mut end, _) = passive(plain(), 100);
    end.out();
    let events = end.arrive(seg(ACK, IRS + 101, ISS + 1, 0));
    assert!(events.connected);
    assert_eq!(end.tcb.state(), State::Established);
    assert!(end.tcb.is_syn_text_taken());
    assert_eq!(end.tcb.deadline(), None, "nothing is left to wait for");
}

#[test]
fn a_good_cookie_without_text_opens_too() {
    let (mut end, events) = passive(plain(), 0);
    assert!(!events.readable);
    end.send(10);
    let sent = end.sent();
    assert_eq!((sent[0].3, sent[1].1, sent[1].2), (SYN | ACK, ISS + 1, 10));
    end.arrive(seg(ACK, IRS + 1, ISS + 11, 0));
    assert_eq!(end.tcb.state(), State::Established);
    assert!(!end.tcb.is_syn_text_taken());
}

#[test]
fn the_server_answers_before_the_third_segment() {
    let (mut end, _) = passive(plain(), 100);
    end.send(300);
    let sent = end.sent();
    assert_eq!(
        sent,
        [(0, ISS, 0, SYN | ACK), (0, ISS + 1, 300, ACK | Flags::PSH)]
    );
    assert_eq!(end.tcb.unacked(), 300);
    assert_eq!(end.tcb.unsent(), 0);
    // Both are acknowledged by one segment.
    let events = end.arrive(seg(ACK, IRS + 101, ISS + 301, 0));
    assert!(events.connected);
    assert_eq!(events.acked, 300);
    assert_eq!(end.tcb.unacked(), 0);
    assert_eq!(end.tcb.deadline(), None);
}

#[test]
fn text_begins_at_the_front_of_the_send_buffer_in_every_state() {
    let (mut end, _) = passive(plain(), 100);
    end.send(300);
    let out = end.out();
    assert_eq!(end.tcb.text_offset(out[0].seq), 0);
    assert_eq!(end.tcb.text_offset(out[1].seq), 0);
    end.send(50);
    let more = end.out();
    assert_eq!(more.len(), 0, "Nagle");
    end.arrive(seg(ACK, IRS + 101, ISS + 301, 0));
    let more = end.out();
    assert_eq!((more[0].seq.0, more[0].len), (ISS + 301, 50));
    assert_eq!(end.tcb.text_offset(more[0].seq), 0);
}

#[test]
fn text_that_the_third_segment_does_not_acknowledge_is_still_looked_after() {
    let (mut end, _) = passive(plain(), 100);
    end.send(300);
    end.out();
    let events = end.arrive(seg(ACK, IRS + 101, ISS + 1, 0));
    assert!(events.connected);
    assert_eq!(events.acked, 0);
    let again = end.wait(3000);
    assert!(
        again.iter().any(|s| (s.1, s.2) == (ISS + 1, 300)),
        "{again:?}"
    );
}

#[test]
fn the_syn_ack_is_repeated_and_given_up() {
    let (mut end, _) = passive(plain(), 100);
    let sent = end.until(100_000);
    let at: Vec<_> = sent.iter().map(|s| s.0 / 1000).collect();
    assert_eq!(at, [0, 1, 3, 7, 15, 31]);
    assert!(sent.iter().all(|s| s.3 == SYN | ACK));
    assert_eq!(end.last.error, Some(Error::TimedOut));
}

#[test]
fn the_syn_that_comes_again_gets_the_syn_ack_again() {
    for len in [0, 100] {
        let (mut end, _) = passive(plain(), 100);
        end.out();
        end.arrive(syn_with(len));
        let sent = end.sent();
        assert_eq!(sent, [(0, ISS, 0, SYN | ACK)], "{len}");
        assert_eq!(end.tcb.state(), State::SynReceived);
        assert_eq!(end.rx.readable(), 100);
    }
}

#[test]
fn a_storm_of_syns_is_not_answered_by_one() {
    let (mut end, _) = passive(plain(), 100);
    end.out();
    let mut answers = 0;
    for _ in 0..1000 {
        end.arrive(syn_with(100));
        answers += end.sent().len();
    }
    assert!(answers <= 10, "{answers}");
}

#[test]
fn a_wrong_acknowledgment_is_reset_and_changes_nothing() {
    let (mut end, _) = passive(plain(), 100);
    end.out();
    for ack in [ISS, ISS + 2, ISS + 5000] {
        let events = end.arrive(seg(ACK, IRS + 101, ack, 0));
        let reset = events.reply.expect("a RST");
        assert_eq!((reset.flags, reset.seq.0), (RST, ack));
        assert_eq!(end.tcb.state(), State::SynReceived);
    }
}

#[test]
fn an_exact_rst_ends_it_with_a_reset_and_another_does_not() {
    let (mut end, _) = passive(plain(), 100);
    end.out();
    end.arrive(seg(RST, IRS + 150, 0, 0));
    assert_eq!(end.tcb.state(), State::SynReceived);
    let events = end.arrive(seg(RST, IRS + 101, 0, 0));
    assert_eq!(events.error, Some(Error::Reset));
    assert!(events.closed);
}

#[test]
fn an_icmp_error_does_not_end_what_may_be_in_use() {
    let (mut end, _) = passive(plain(), 100);
    end.out();
    let (verdict, events) = end.tcb.on_icmp(SeqNumber(ISS), true);
    assert_eq!(verdict, IcmpVerdict::Remember);
    assert!(!events.closed);
}

#[test]
fn the_user_may_close_before_the_third_segment() {
    let (mut end, _) = passive(plain(), 100);
    end.out();
    end.tcb.shutdown_write();
    end.arrive(seg(ACK, IRS + 101, ISS + 1, 0));
    assert_eq!(end.tcb.state(), State::FinWait1);
    let sent = end.sent();
    assert_eq!(sent, [(0, ISS + 1, 0, FIN | ACK)]);
}

#[test]
fn text_of_the_third_segment_is_taken_too() {
    let (mut end, _) = passive(plain(), 100);
    end.out();
    let events = end.arrive(seg(ACK, IRS + 101, ISS + 1, 50));
    assert!(events.connected && events.readable);
    assert_eq!(end.rx.readable(), 150);
}

#[test]
fn options_of_the_syn_hold_for_a_fast_open_too() {
    let config = Config {
        mss: MSS,
        initial_window: 20_000,
        ..Config::default()
    };
    let (mut end, _) = passive(config, 100);
    let out = end.out();
    assert!(out[0].options.timestamps.is_some() && out[0].options.sack_permitted);
    assert_eq!(out[0].options.window_scale, Some(config.window_scale));
    let ack = with_stamp(seg(ACK, IRS + 101, ISS + 1, 0), 100);
    assert!(end.arrive(ack).connected);
    assert_eq!(end.tcb.snd_wnd(), u32::from(WND));
}

#[test]
fn without_a_cookie_the_syn_asks_for_one_and_has_no_text() {
    let (mut end, syn) = active(plain(), Opening::Ask, 500);
    assert_eq!(syn.flags, SYN);
    assert_eq!(syn.len, 0);
    assert_eq!(syn.options.fast_open, Some(Cookie::REQUEST));
    assert!(end.tcb.is_active_fast_open());
    let events = end.arrive(syn_ack(ISS + 1));
    assert!(events.connected);
    assert_eq!(events.acked, 0);
    assert_eq!(end.sent(), [(0, ISS + 1, 500, ACK | Flags::PSH)]);
}

#[test]
fn with_a_cookie_the_syn_has_text() {
    let (mut end, syn) = active(plain(), Opening::Cookie(cookie(1)), 500);
    assert_eq!((syn.seq.0, syn.len), (ISS, 500));
    assert_eq!(syn.options.fast_open, Some(cookie(1)));
    assert_eq!(end.tcb.text_offset(syn.seq), 0);
    assert_eq!(end.tcb.unacked(), 500);
    assert_eq!(end.tcb.unsent(), 0);
    assert!(end.sent().is_empty(), "nothing more before the answer");
    let events = end.arrive(syn_ack(ISS + 501));
    assert!(events.connected);
    assert_eq!(events.acked, 500);
    assert!(end.tcb.is_syn_text_taken());
    assert_eq!(end.sent(), [(0, ISS + 501, 0, ACK)]);
    assert_eq!(end.tcb.deadline(), None);
}

#[test]
fn a_server_without_cookies_gets_text_without_one() {
    let (_, syn) = active(plain(), Opening::Cookieless, 500);
    assert_eq!(syn.options.fast_open, None);
    assert_eq!(syn.len, 500);
}

#[test]
fn text_beyond_a_segment_less_options_waits_for_the_syn_ack() {
    let (mut end, syn) = active(plain(), Opening::Cookie(cookie(1)), 5000);
    assert_eq!(syn.len, u32::from(MSS) - 40);
    let mut answer = syn_ack(ISS + 1 + syn.len);
    answer.options = syn_options(&plain());
    end.arrive(answer);
    let next = end.sent();
    assert_eq!((next[0].1, next[0].2), (ISS + 1 + syn.len, 1000));
}

#[test]
fn what_the_send_buffer_cannot_give_at_once_is_not_in_the_syn() {
    let mut end = End::connecting(plain());
    end.send(500);
    let limits = end.limits;
    let opening = Opening::Cookie(cookie(1));
    let syn = end
        .tcb
        .open_fast(&plain(), opening, 100, &limits, Instant::default());
    assert_eq!(syn.len, 100);
    assert_eq!(end.tcb.unsent(), 400);
}

#[test]
fn text_that_is_not_taken_goes_out_at_once_after_the_handshake() {
    let (mut end, _) = active(plain(), Opening::Cookie(cookie(1)), 500);
    let events = end.arrive(syn_ack(ISS + 1));
    assert!(events.connected);
    assert_eq!(events.acked, 0);
    assert!(!end.tcb.is_syn_text_taken());
    assert_eq!(end.sent(), [(0, ISS + 1, 500, ACK | Flags::PSH)]);
    let events = end.acked(ISS + 501);
    assert_eq!(events.acked, 500);
    assert_eq!(end.tcb.deadline(), None);
}

#[test]
fn text_of_which_a_part_is_taken_goes_on_behind_it() {
    let (mut end, _) = active(plain(), Opening::Cookie(cookie(1)), 500);
    let events = end.arrive(syn_ack(ISS + 201));
    assert_eq!(events.acked, 200);
    assert_eq!(end.sent(), [(0, ISS + 201, 300, ACK | Flags::PSH)]);
}

#[test]
fn a_syn_that_is_repeated_is_bare() {
    let (mut end, _) = active(plain(), Opening::Cookie(cookie(1)), 500);
    end.now = end.tcb.deadline().expect("the RTO");
    let events = end.tcb.on_timer(&end.config, &mut end.rx, end.now);
    assert!(events.timed_out);
    let out = end.out();
    assert_eq!(out.len(), 1);
    assert_eq!((out[0].flags, out[0].seq.0, out[0].len), (SYN, ISS, 0));
    assert_eq!(out[0].options.fast_open, None);
    assert!(out[0].retransmission);
    // The answer to the first may still come.
    let events = end.arrive(syn_ack(ISS + 501));
    assert!(events.connected);
    assert_eq!(events.acked, 500);
}

#[test]
fn after_a_repeated_syn_the_text_follows_the_handshake() {
    let (mut end, _) = active(plain(), Opening::Cookie(cookie(1)), 500);
    end.wait(1100);
    let events = end.arrive(syn_ack(ISS + 1));
    assert_eq!(events.acked, 0);
    let sent = end.sent();
    assert_eq!((sent[0].1, sent[0].2), (ISS + 1, 500));
}

#[test]
fn a_syn_ack_beyond_the_text_is_reset() {
    let (mut end, _) = active(plain(), Opening::Cookie(cookie(1)), 500);
    let events = end.arrive(syn_ack(ISS + 502));
    assert!(events.reply.is_some_and(|r| r.flags == RST));
    assert_eq!(end.tcb.state(), State::SynSent);
}

#[test]
fn a_refused_connection_is_refused_with_text_too() {
    let (mut end, _) = active(plain(), Opening::Cookie(cookie(1)), 500);
    let events = end.arrive(seg(RST | ACK, 0, ISS + 501, 0));
    assert_eq!(events.error, Some(Error::Refused));
}

#[test]
fn syns_with_text_may_cross() {
    let (mut end, _) = active(plain(), Opening::Cookie(cookie(1)), 500);
    end.arrive(seg(SYN, IRS, 0, 0));
    assert_eq!(end.tcb.state(), State::SynReceived);
    assert!(!end.tcb.is_passive_fast_open());
    let sent = end.sent();
    assert_eq!(sent, [(0, ISS, 0, SYN | ACK)]);
    let events = end.arrive(seg(ACK, IRS + 1, ISS + 1, 0));
    assert!(events.connected);
    assert_eq!(end.sent(), [(0, ISS + 1, 500, ACK | Flags::PSH)]);
}

#[test]
fn the_close_of_a_client_follows_the_text() {
    let (mut end, _) = active(plain(), Opening::Cookie(cookie(1)), 500);
    end.arrive(syn_ack(ISS + 501));
    end.tcb.shutdown_write();
    assert_eq!(end.sent(), [(0, ISS + 501, 0, FIN | ACK)]);
}

/// A client's and a server's end, joined by hand.
#[test]
fn both_ends_exchange_text_in_one_round_trip() {
    let config = plain();
    let (mut client, syn) = active(config, Opening::Cookie(cookie(1)), 400);
    let mut server = End::connecting(config);
    server.rx.segment = vec![7; 400];
    let arrived = Segment {
        len: syn.len,
        wnd: syn.wnd,
        options: syn.options,
        ..seg(SYN, syn.seq.0, 0, 0)
    };
    let judged = judge(
        &arrived,
        &Policy {
            cookieless: false,
            cookies: [Some(cookie(1)), None],
        },
    );
    assert!(judged.accept);
    let (tcb, _) = Tcb::accept_fast(&config, &arrived, ids(), &mut server.rx, server.now);
    server.tcb = tcb;
    server.send(700);
    for out in server.out() {
        client.arrive(Segment {
            wnd: out.wnd,
            options: out.options,
            ..seg(out.flags, out.seq.0, out.ack.0, out.len)
        });
    }
    assert_eq!(client.tcb.state(), State::Established);
    assert_eq!(client.tcb.unacked(), 0);
    assert_eq!(client.rx.readable(), 700);
    for out in client.out() {
        server.arrive(seg(out.flags, out.seq.0, out.ack.0, out.len));
    }
    assert_eq!(server.tcb.state(), State::Established);
    assert_eq!(server.tcb.unacked(), 0);
}

#[test]
fn a_fin_behind_the_text_of_the_syn_is_acknowledged_at_once() {
    let (mut end, _) = passive(plain(), 10);
    end.sent();
    end.arrive(seg(FIN | ACK, IRS + 11, ISS + 1, 0));
    assert_eq!(end.tcb.state(), State::CloseWait);
    let sent = end.sent();
    assert_eq!(sent.iter().map(|s| s.3).collect::<Vec<_>>(), [ACK]);
}
