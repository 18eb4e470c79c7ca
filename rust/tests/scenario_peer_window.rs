// SPDX-License-Identifier: GPL-2.0

//! The peer's window (RFC 9293 3.8.6): too small to be worth it, shrunk, closed for good, and the
//! largest that there was.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::events::{Drop, Error};
use oxtcp_core::tcp::state::State;

const UNA: u32 = ISS + 1;

/// A connection on which the peer has sent a byte, so that a window with the next one is news.
fn established(config: Config) -> End {
    let mut end = End::established(config);
    end.arrive(seg(ACK, IRS + 1, UNA, 1));
    end
}

/// The text of what was sent: where it begins, from our first byte on, and its length.
fn text(sent: Vec<Sent>) -> Vec<(u32, u32)> {
    let text = sent.into_iter().filter(|s| s.2 > 0);
    text.map(|s| (s.1 - UNA, s.2)).collect()
}

/// The peer acknowledges so much, and has room for so much behind it. It is news.
fn tell(end: &mut End, acked: u32, wnd: u16) {
    let next = end.tcb.rcv_nxt().0;
    end.arrive(with_window(seg(ACK, next, UNA + acked, 1), wnd));
    assert_eq!(end.tcb.snd_wnd(), u32::from(wnd));
}

/// RFC 9293 3.8.6 (MUST-34): what lies beyond the window would be dropped with the acknowledgment in
/// it.
#[test]
fn what_is_said_to_a_peer_that_took_its_window_back_is_within_it() {
    for (wnd, seq) in [(0, 0), (1500, 1500), (4999, 4999), (5000, 5000)] {
        let mut end = established(plain());
        end.send(5000);
        assert_eq!(text(end.sent()).last(), Some(&(4000, 1000)));
        end.tcb.set_quick_ack(&end.config.clone(), true);
        let next = end.tcb.rcv_nxt().0;
        end.arrive(with_window(seg(ACK, next, UNA, 1000), wnd));
        let acks: Vec<_> = end.sent().iter().map(|s| (s.1 - UNA, s.2)).collect();
        assert_eq!(acks, [(seq, 0)], "{wnd}");
        let inexact = end.tcb.rcv_nxt().0 + 100;
        let challenge = end.arrive(with_window(seg(RST, inexact, 0, 0), wnd)).reply;
        assert_eq!(challenge.map(|r| r.seq.0 - UNA), Some(seq), "{wnd}");
        let reset = end.tcb.abort(end.now).reply;
        assert_eq!(reset.map(|r| r.seq.0 - UNA), Some(seq), "{wnd}");
    }
}

/// It may be how the peer rounds its windows.
#[test]
fn a_window_that_shrank_by_less_than_its_unit_is_as_before() {
    for (short, seq) in [(127, 5000), (128, 4872)] {
        let config = Config {
            window_scaling: true,
            ..plain()
        };
        let mut end = End::connecting(config);
        end.sent();
        let mut syn = seg(SYN | ACK, IRS, UNA, 0);
        syn.options = syn_options(&config);
        syn.options.window_scale = Some(7);
        end.arrive(syn);
        end.send(5000);
        end.sent();
        end.tcb.set_quick_ack(&end.config.clone(), true);
        // Of what is outstanding so much is acknowledged that a whole number of units is missing.
        let (acked, units) = ((5000 - short) % 128, (5000 - short) / 128);
        let segment = seg(ACK, end.tcb.rcv_nxt().0, UNA + acked, 1000);
        end.arrive(with_window(segment, units as u16));
        let acks: Vec<_> = end.sent().iter().map(|s| (s.1 - UNA, s.2)).collect();
        assert_eq!(acks, [(seq, 0)], "{short}");
    }
}

/// RFC 9293 3.8.6.2.1 (3): less than a segment is used when it is half of the largest window.
#[test]
fn half_of_the_largest_window_is_worth_a_segment() {
    for (largest, wnd, used) in [
        (1800, 899, false),
        (1800, 900, true),
        (1000, 499, false),
        (1000, 500, true),
    ] {
        let mut end = End::connecting(plain());
        end.sent();
        let mut syn = with_window(seg(SYN | ACK, IRS, UNA, 0), largest);
        syn.options = syn_options(&plain());
        end.arrive(syn);
        tell(&mut end, 0, wnd);
        end.send(5000);
        let expected = used.then_some((0, u32::from(wnd)));
        assert_eq!(
            text(end.sent()),
            Vec::from_iter(expected),
            "{wnd} of {largest}"
        );
    }
}

/// SHLD-15.
#[test]
fn no_new_text_goes_beyond_a_window_that_shrank() {
    let mut end = established(plain());
    end.send(5000);
    assert_eq!(text(end.sent()).len(), 5);
    end.send(5000);
    assert_eq!(text(end.sent()).len(), 5);
    end.send(3000);
    for (acked, wnd) in [(0, 9000), (2000, 7999), (6000, 1000), (6000, 3999)] {
        tell(&mut end, acked, wnd);
        assert_eq!(text(end.sent()), [], "{acked} {wnd}");
    }
    tell(&mut end, 6000, 6000);
    assert_eq!(text(end.sent()), [(10_000, 1000), (11_000, 1000)]);
}

/// SHLD-16, and SHLD-17: what is beyond its edge is no reason to give up.
#[test]
fn old_text_within_a_window_that_shrank_is_sent_again() {
    let mut end = established(plain());
    end.send(5000);
    assert_eq!(text(end.sent()).len(), 5);
    tell(&mut end, 0, 2500);
    assert_eq!(text(end.until(250)), [(0, 1000)]);
    tell(&mut end, 1000, 1500);
    // The congestion window has room for two.
    assert_eq!(text(end.sent()), [(1000, 1000)]);
    tell(&mut end, 2000, 500);
    // A whole one, of which the peer takes what it has room for.
    assert_eq!(text(end.sent()), [(2000, 1000)]);
    tell(&mut end, 2500, 500);
    assert_eq!(text(end.sent()), []);
    tell(&mut end, 3000, 20_000);
    assert_eq!(text(end.sent()), [(3000, 1000), (4000, 1000)]);
    tell(&mut end, 5000, 20_000);
    assert_eq!(end.tcb.flight(), 0);
    assert_eq!(end.tcb.state(), State::Established);
}

/// RFC 9293 3.8.6.1 has us wait for a peer that answers. One that is silent for more than twice the
/// largest timeout is gone, as in Linux (`tcp_rtx_probe0_timed_out`): that is seen by the first
/// timeout after it.
#[test]
fn a_full_peer_that_is_silent_is_given_up() {
    for (heard, given_up) in [(0, 324), (80, 324), (100, 444)] {
        let mut end = End::established(Config {
            retries: 3,
            ..plain()
        });
        end.send(1000);
        end.sent();
        for at in [0, heard * 1000] {
            end.until(at);
            end.arrive(with_window(seg(ACK, IRS + 1, UNA, 0), 0));
        }
        assert!(end.until(10_000_000).iter().all(|s| s.1 == UNA));
        assert_eq!(end.ended_at.map(|at| at / 1000), Some(given_up), "{heard}");
        assert_eq!(end.last.error, Some(Error::TimedOut));
    }
}

/// However long it was full, and however often it was asked.
#[test]
fn a_full_peer_that_makes_room_at_last_is_not_given_up() {
    let mut end = End::established(Config {
        retries: 3,
        ..plain()
    });
    end.send(1000);
    assert_eq!(text(end.sent()), [(0, 1000)]);
    end.peer_is_full_until(1_000_000);
    end.peer_makes_room();
    assert_eq!(text(end.wait(120_000)), [(0, 1000)]);
    assert_eq!(end.ended_at, None);
    end.acked(UNA + 1000);
    assert_eq!(end.tcb.flight(), 0);
}

/// RFC 5961 5.2: what was overtaken is older by the largest window at most, which this one no
/// longer is; of a connection that has had as much acknowledged.
#[test]
fn text_is_taken_with_an_acknowledgment_as_old_as_the_largest_window() {
    let largest = u32::from(WND);
    for (old, taken) in [(0, true), (2, true), (largest, true), (largest + 1, false)] {
        let mut end = established(plain());
        for n in 1..60 {
            end.send(1000);
            end.sent();
            end.acked(UNA + n * 1000);
        }
        end.send(1000);
        end.sent();
        tell(&mut end, 60_000, 500);
        let events = end.arrive(seg(ACK, IRS + 3, UNA + 60_000 - old, 100));
        assert_eq!(end.rx.readable(), if taken { 102 } else { 2 }, "{old}");
        assert_eq!(events.dropped, (!taken).then_some(Drop::BadAck), "{old}");
        assert_eq!(events.reply.is_some(), !taken, "{old}");
    }
}
