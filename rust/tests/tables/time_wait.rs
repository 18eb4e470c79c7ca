// SPDX-License-Identifier: GPL-2.0

//! TIME-WAIT: each kind of segment, with and without timestamps (RFC 9293 3.10.7.4, 1337, 6191).

use crate::harness::*;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::segment::{Flags, Segment};
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::time::{Duration, Instant};
use oxtcp_core::tcp::time_wait::{TimeWait, Verdict};

const RST_ACK: Flags = Flags::from_bits(0x14);
/// Our and the peer's next number.
const OURS: u32 = ISS + 2;
const NEXT: u32 = IRS + 2;
/// The newest timestamp of the peer.
const STAMP: u32 = 100;

fn entry(config: Config) -> (TimeWait, Instant) {
    let mut end = End::in_state(config, State::FinWait2);
    let mut fin = seg(FIN | ACK, NEXT - 1, OURS, 0);
    if config.timestamps {
        fin = with_stamp(fin, STAMP);
    }
    let events = end.arrive(fin);
    (events.time_wait.expect("TIME-WAIT"), end.now)
}

/// What becomes of a segment, ten seconds later, and whether the time starts anew.
fn outcome(config: Config, seg: Segment) -> (&'static str, bool) {
    let (mut tw, now) = entry(config);
    let before = tw.deadline();
    let verdict = tw.on_segment(&seg, config.time_wait, config.rfc1337, now + ms(10_000));
    let name = match verdict {
        Verdict::Ignore => "",
        Verdict::Ack(out) => {
            assert_eq!((out.seq.0, out.ack.0, out.flags), (OURS, NEXT, ACK));
            "ack"
        }
        Verdict::End => "end",
        Verdict::Reopen(floor) => {
            assert!(floor.0 > OURS, "old numbers for a new connection");
            "new"
        }
    };
    (name, tw.deadline() != before)
}

fn is(flags: Flags, seq: u32, len: u32, expected: (&'static str, bool)) {
    assert_eq!(outcome(plain(), seg(flags, seq, OURS, len)), expected);
}

fn stamped(flags: Flags, seq: u32, stamp: u32, expected: (&'static str, bool)) {
    let seg = with_stamp(seg(flags, seq, OURS, 0), stamp);
    assert_eq!(outcome(with_timestamps(), seg), expected);
}

fn with_rfc1337(flags: Flags, seq: u32, expected: (&'static str, bool)) {
    let config = Config {
        rfc1337: true,
        ..plain()
    };
    assert_eq!(outcome(config, seg(flags, seq, OURS, 0)), expected);
}

fn reusable(config: Config, after_ms: u64) -> bool {
    let (tw, now) = entry(config);
    tw.may_reuse(config.time_wait, now + ms(after_ms))
}

cases! {
    it_lasts_as_long_as_it_is_set: {
        let config = Config { time_wait: Duration::from_secs(7), ..plain() };
        let (tw, now) = entry(config);
        assert_eq!(tw.deadline(), now + Duration::from_secs(7))
    };
    the_fin_again_is_acknowledged_and_starts_it_anew: is(FIN | ACK, NEXT - 1, 0, ("ack", true));
    another_fin_behind_it_does_not_start_it_anew: is(FIN | ACK, NEXT, 0, ("ack", false));
    an_older_fin_does_not_start_it_anew: is(FIN | ACK, NEXT - 9, 0, ("ack", false));
    a_fin_with_text_again_starts_it_anew: is(FIN | ACK, NEXT - 6, 5, ("ack", true));
    an_ack_in_turn_is_dropped: is(ACK, NEXT, 0, ("", false));
    an_old_ack_is_answered: is(ACK, NEXT - 1, 0, ("ack", false));
    an_ack_ahead_is_answered: is(ACK, NEXT + 9, 0, ("ack", false));
    old_text_is_answered: is(ACK, NEXT - 9, 8, ("ack", false));
    new_text_is_answered: is(ACK, NEXT, 8, ("ack", false));
    a_syn_ahead_opens_anew: is(SYN, NEXT + 1, 0, ("new", false));
    a_syn_far_ahead_opens_anew: is(SYN, NEXT + 0x7fff_ffff, 0, ("new", false));
    a_syn_in_turn_does_not_open: is(SYN, NEXT, 0, ("ack", false));
    an_old_syn_does_not_open: is(SYN, NEXT - 50, 0, ("ack", false));
    a_syn_ack_does_not_open: is(SYN | ACK, NEXT + 1, 0, ("ack", false));
    an_exact_rst_ends_it: is(RST, NEXT, 0, ("end", false));
    an_exact_rst_with_ack_ends_it: is(RST_ACK, NEXT, 0, ("end", false));
    an_old_rst_does_nothing: is(RST, NEXT - 1, 0, ("", false));
    a_rst_ahead_does_nothing: is(RST, NEXT + 1, 0, ("", false));
    a_rst_with_syn_does_not_open: is(RST | SYN, NEXT + 1, 0, ("", false));
    with_rfc1337_an_exact_rst_does_nothing: with_rfc1337(RST, NEXT, ("", false));
    with_rfc1337_a_syn_opens_anew: with_rfc1337(SYN, NEXT + 1, ("new", false));
    with_rfc1337_a_fin_starts_it_anew: with_rfc1337(FIN | ACK, NEXT - 1, ("ack", true));

    a_newer_stamp_lets_an_old_syn_open: stamped(SYN, NEXT - 50, STAMP + 1, ("new", false));
    the_same_stamp_lets_no_old_syn_open: stamped(SYN, NEXT - 50, STAMP, ("ack", false));
    the_same_stamp_lets_a_syn_ahead_open: stamped(SYN, NEXT + 1, STAMP, ("new", false));
    an_older_stamp_lets_no_syn_open: stamped(SYN, NEXT + 1, STAMP - 1, ("ack", false));
    an_older_stamp_keeps_a_rst_out: stamped(RST, NEXT, STAMP - 1, ("", false));
    an_older_stamp_keeps_a_fin_from_starting_it_anew: stamped(FIN | ACK, NEXT - 1, STAMP - 1, ("ack", false));
    an_older_stamp_makes_an_ack_in_turn_an_old_one: stamped(ACK, NEXT, STAMP - 1, ("ack", false));
    a_newer_stamp_in_turn_is_dropped: stamped(ACK, NEXT, STAMP + 5, ("", false));
    stamps_wrap: stamped(SYN, NEXT - 50, STAMP + 0x7fff_ffff, ("new", false));
    a_stamp_half_a_circle_ahead_is_old: stamped(SYN, NEXT + 1, STAMP + 0x8000_0001, ("ack", false));
    without_stamps_in_use_one_says_nothing: {
        let old = with_stamp(seg(SYN, NEXT - 50, 0, 0), u32::MAX);
        assert_eq!(outcome(plain(), old), ("ack", false))
    };
    a_newer_stamp_is_remembered_and_echoed: {
        let (mut tw, now) = entry(with_timestamps());
        let newer = with_stamp(seg(ACK, NEXT, OURS, 0), STAMP + 50);
        tw.on_segment(&newer, Duration::from_secs(60), false, now);
        assert_eq!(tw.ack(now).options.timestamps.map(|ts| ts.ecr), Some(STAMP + 50))
    };
    a_stamp_ahead_of_the_text_is_not_remembered: {
        let (mut tw, now) = entry(with_timestamps());
        let ahead = with_stamp(seg(ACK, NEXT + 1, OURS, 0), STAMP + 50);
        tw.on_segment(&ahead, Duration::from_secs(60), false, now);
        assert_eq!(tw.ack(now).options.timestamps.map(|ts| ts.ecr), Some(STAMP))
    };
    our_stamp_goes_on: {
        let (tw, now) = entry(with_timestamps());
        let val = |at| tw.ack(at).options.timestamps.map(|ts| ts.val);
        assert_eq!(val(now + ms(500)), val(now).map(|v| v.wrapping_add(500)))
    };
    without_stamps_none_is_sent: assert!(entry(plain()).0.ack(Instant::default()).options.timestamps.is_none());

    // RFC 6191.
    stamps_allow_reuse_after_a_second: assert!(reusable(with_timestamps(), 1000));
    stamps_allow_no_reuse_within_a_second: assert!(!reusable(with_timestamps(), 999));
    without_stamps_there_is_no_reuse: assert!(!reusable(plain(), 59_000));
}
