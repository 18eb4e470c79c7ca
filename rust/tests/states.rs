// SPDX-License-Identifier: GPL-2.0

//! Each state × each kind of segment: the next state and the answer that RFC 9293 3.10.7 wants, with
//! RFC 5961's challenges and RFC 7323's PAWS.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::segment::{Flags, Segment, Transmit};
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::time_wait::Verdict;

/// What a segment acknowledges.
#[derive(Clone, Copy)]
enum Acks {
    /// SND.UNA and so much more.
    Una(i32),
    /// SND.NXT and so much more.
    Nxt(i32),
}

/// A kind of segment: flags, sequence number from RCV.NXT, what it acknowledges, text.
type Kind = (Flags, i32, Acks, u32);

const NONE: Flags = Flags::from_bits(0);
const SYN_ACK: Flags = Flags::from_bits(0x12);
const FIN_ACK: Flags = Flags::from_bits(0x11);
const SYN_FIN: Flags = Flags::from_bits(0x03);
const RST_ACK: Flags = Flags::from_bits(0x14);

const COLUMNS: [State; 9] = [
    State::SynSent,
    State::SynReceived,
    State::Established,
    State::FinWait1,
    State::FinWait2,
    State::CloseWait,
    State::Closing,
    State::LastAck,
    State::TimeWait,
];

/// `=` the state stays; after the slash the answer: nothing, an ACK, a RST, a SYN-ACK (`both`).
#[rustfmt::skip]
const TABLE: &[(&str, Kind, [&str; 9])] = &[
    // SYN-SENT    SYN-RCVD    ESTAB     FIN-WAIT1 FIN-WAIT2 CLOSE-WAIT CLOSING  LAST-ACK  TIME-WAIT
    ("the SYN again", (SYN, -1, Acks::Una(0), 0),
    ["RCVD/both", "=/both",    "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack"]),
    ("SYN in the window", (SYN, 10, Acks::Una(0), 0),
    ["RCVD/both", "=/ack",     "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "new/"]),
    ("SYN beyond the window", (SYN, 30_000, Acks::Una(0), 0),
    ["RCVD/both", "=/ack",     "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "new/"]),
    ("SYN-ACK", (SYN_ACK, -1, Acks::Nxt(0), 0),
    ["EST/ack",   "EST/ack",   "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack"]),
    ("SYN-ACK of what was not sent", (SYN_ACK, -1, Acks::Nxt(5), 0),
    ["=/rst",     "=/rst",     "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack"]),
    ("SYN and FIN", (SYN_FIN, 0, Acks::Una(0), 0),
    ["RCVD/both", "=/ack",     "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack"]),

    ("ACK of all", (ACK, 0, Acks::Nxt(0), 0),
    ["=/",        "EST/",      "=/",     "FW2/",   "=/",     "=/",     "TW/",    "END/",   "=/"]),
    ("ACK of nothing new", (ACK, 0, Acks::Una(0), 0),
    ["=/rst",     "=/rst",     "=/",     "=/",     "=/",     "=/",     "=/",     "=/",     "=/"]),
    ("old ACK", (ACK, 0, Acks::Una(-1), 0),
    ["=/rst",     "=/rst",     "=/",     "=/",     "=/",     "=/",     "=/",     "=/",     "=/"]),
    ("ACK too old", (ACK, 0, Acks::Una(-60_000), 0),
    ["=/rst",     "=/rst",     "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/"]),
    ("ACK older than the connection", (ACK, 0, Acks::Una(-2), 0),
    ["=/rst",     "=/rst",     "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/"]),
    ("ACK of what was not sent", (ACK, 0, Acks::Nxt(1), 0),
    ["=/rst",     "=/rst",     "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/"]),
    ("keepalive probe", (ACK, -1, Acks::Una(0), 0),
    ["=/rst",     "=/ack",     "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack"]),
    ("ACK beyond the window", (ACK, 30_000, Acks::Nxt(0), 0),
    ["=/",        "=/ack",     "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack"]),

    ("text", (ACK, 0, Acks::Una(0), 100),
    ["=/rst",     "=/rst",     "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack"]),
    ("text, and all acknowledged", (ACK, 0, Acks::Nxt(0), 100),
    ["=/",        "EST/ack",   "=/ack",  "FW2/ack", "=/ack", "=/ack",  "TW/",    "END/",   "=/ack"]),
    ("text, and what was not sent acknowledged", (ACK, 0, Acks::Nxt(1), 100),
    ["=/rst",     "=/rst",     "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack"]),
    ("old text", (ACK, -100, Acks::Una(0), 50),
    ["=/rst",     "=/ack",     "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack"]),
    ("text partly old", (ACK, -50, Acks::Nxt(0), 100),
    ["=/",        "EST/ack",   "=/ack",  "FW2/ack", "=/ack", "=/ack",  "TW/",    "END/",   "=/ack"]),
    ("text behind a gap", (ACK, 100, Acks::Nxt(0), 100),
    ["=/",        "EST/ack",   "=/ack",  "FW2/ack", "=/ack", "=/ack",  "TW/",    "END/",   "=/ack"]),
    ("text beyond the window", (ACK, 30_000, Acks::Nxt(0), 100),
    ["=/",        "=/ack",     "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack"]),
    ("text without ACK", (NONE, 0, Acks::Una(0), 100),
    ["=/",        "=/",        "=/",     "=/",     "=/",     "=/",     "=/",     "=/",     "=/ack"]),

    ("FIN", (FIN_ACK, 0, Acks::Una(0), 0),
    ["=/rst",     "=/rst",     "CW/ack", "CLG/ack", "TW/ack", "=/ack", "=/ack",  "=/ack",  "=/ack"]),
    ("FIN, and all acknowledged", (FIN_ACK, 0, Acks::Nxt(0), 0),
    ["=/",        "CW/ack",    "CW/ack", "TW/ack", "TW/ack", "=/ack",  "TW/",    "END/",   "=/ack"]),
    ("FIN with text", (FIN_ACK, 0, Acks::Nxt(0), 100),
    ["=/",        "CW/ack",    "CW/ack", "TW/ack", "TW/ack", "=/ack",  "TW/",    "END/",   "=/ack"]),
    ("FIN before RCV.NXT", (FIN_ACK, -1, Acks::Una(0), 0),
    ["=/rst",     "=/rst",     "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack"]),
    ("FIN behind a gap", (FIN_ACK, 100, Acks::Una(0), 0),
    ["=/rst",     "=/rst",     "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack"]),
    ("FIN beyond the window", (FIN_ACK, 30_000, Acks::Nxt(0), 0),
    ["=/",        "=/ack",     "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack"]),
    ("FIN without ACK", (FIN, 0, Acks::Una(0), 0),
    ["=/",        "=/",        "=/",     "=/",     "=/",     "=/",     "=/",     "=/",     "=/ack"]),

    ("RST", (RST, 0, Acks::Una(0), 0),
    ["=/",        "END/",      "END/",   "END/",   "END/",   "END/",   "END/",   "END/",   "END/"]),
    ("RST with text", (RST, 0, Acks::Una(0), 100),
    ["=/",        "END/",      "END/",   "END/",   "END/",   "END/",   "END/",   "END/",   "END/"]),
    ("RST with text that acknowledges all", (RST_ACK, 0, Acks::Nxt(0), 100),
    ["END/",      "END/",      "END/",   "END/",   "END/",   "END/",   "END/",   "END/",   "END/"]),
    ("RST in the window", (RST, 10, Acks::Una(0), 0),
    ["=/",        "=/ack",     "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/"]),
    ("RST beyond the window", (RST, 30_000, Acks::Una(0), 0),
    ["=/",        "=/",        "=/",     "=/",     "=/",     "=/",     "=/",     "=/",     "=/"]),
    ("RST of the number that a FIN may have", (RST, -1, Acks::Una(0), 0),
    ["=/",        "=/",        "=/",     "=/",     "=/",     "END/",   "END/",   "END/",   "=/"]),
    ("old RST", (RST, -2, Acks::Una(0), 0),
    ["=/",        "=/",        "=/",     "=/",     "=/",     "=/",     "=/",     "=/",     "=/"]),
    ("RST that acknowledges all", (RST_ACK, 0, Acks::Nxt(0), 0),
    ["END/",      "END/",      "END/",   "END/",   "END/",   "END/",   "END/",   "END/",   "END/"]),
    ("RST that acknowledges what was not sent", (RST_ACK, 30_000, Acks::Nxt(9), 0),
    ["=/",        "=/",        "=/",     "=/",     "=/",     "=/",     "=/",     "=/",     "=/"]),
    ("no flags", (NONE, 0, Acks::Una(0), 0),
    ["=/",        "=/",        "=/",     "=/",     "=/",     "=/",     "=/",     "=/",     "=/"]),
];

/// With timestamps in use: segments whose timestamp is older than the last.
#[rustfmt::skip]
const PAWS: &[(&str, Kind, [&str; 9])] = &[
    ("old ACK of all", (ACK, 0, Acks::Nxt(0), 0),
    ["-",         "=/ack",     "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack"]),
    ("old text", (ACK, 0, Acks::Nxt(0), 100),
    ["-",         "=/ack",     "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack"]),
    ("old FIN", (FIN_ACK, 0, Acks::Nxt(0), 0),
    ["-",         "=/ack",     "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack"]),
    ("old SYN", (SYN, 10, Acks::Una(0), 0),
    ["-",         "=/ack",     "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack",  "=/ack"]),
    ("old RST", (RST, 0, Acks::Una(0), 0),
    ["-",         "END/",      "END/",   "END/",   "END/",   "END/",   "END/",   "END/",   "=/"]),
];

fn offset(base: u32, by: i32) -> u32 {
    base.wrapping_add(by as u32)
}

fn segment(kind: Kind, rcv_nxt: u32, snd_una: u32, snd_nxt: u32) -> Segment {
    let (flags, seq, acks, len) = kind;
    let ack = match acks {
        Acks::Una(by) => offset(snd_una, by),
        Acks::Nxt(by) => offset(snd_nxt, by),
    };
    seg(flags, offset(rcv_nxt, seq), ack, len)
}

fn answer_name(out: Option<&Transmit>) -> &'static str {
    match out.map(|o| o.flags) {
        None => "",
        Some(f) if f.has(RST) => "rst",
        Some(f) if f == SYN_ACK => "both",
        Some(f) if f == ACK => "ack",
        Some(_) => "odd",
    }
}

fn state_name(state: State) -> &'static str {
    match state {
        State::Closed => "END",
        State::SynReceived => "RCVD",
        State::Established => "EST",
        State::FinWait1 => "FW1",
        State::FinWait2 => "FW2",
        State::CloseWait => "CW",
        State::Closing => "CLG",
        State::LastAck => "LA",
        State::TimeWait => "TW",
        State::SynSent => "SENT",
        State::Listen => "LISTEN",
    }
}

/// What an end in `state` makes of the kind.
fn outcome(config: Config, state: State, kind: Kind, stamp: Option<u32>) -> String {
    let stamped = |seg| stamp.map_or(seg, |val| with_stamp(seg, val));
    if state == State::TimeWait {
        return time_wait(config, kind, stamp);
    }
    let mut end = End::in_state(config, state);
    end.tcb.set_quick_ack(&end.config, true);
    let rcv_nxt = if state == State::SynSent {
        IRS + 1
    } else {
        end.tcb.rcv_nxt().0
    };
    let seg = segment(kind, rcv_nxt, end.tcb.snd_una().0, end.tcb.snd_nxt().0);
    let events = end.arrive(stamped(seg));
    let mut out: Vec<Transmit> = events.reply.into_iter().collect();
    out.extend(end.out());
    if out.is_empty() && state != State::CloseWait && end.tcb.state() == State::CloseWait {
        // The acknowledgment of a FIN may wait for our own.
        end.expire();
        out.extend(end.out());
    }
    assert!(out.len() <= 1, "{state:?}: more than one answer: {out:?}");
    let now = end.tcb.state();
    assert_eq!(events.closed, now == State::Closed);
    assert_eq!(events.time_wait.is_some(), now == State::TimeWait);
    let next = if now == state { "=" } else { state_name(now) };
    format!("{next}/{}", answer_name(out.first()))
}

fn time_wait(config: Config, kind: Kind, stamp: Option<u32>) -> String {
    let mut end = End::in_state(config, State::FinWait2);
    let mut fin = seg(FIN_ACK, IRS + 1, ISS + 2, 0);
    if config.timestamps {
        fin = with_stamp(fin, 100);
    }
    let mut tw = end.arrive(fin).time_wait.expect("TIME-WAIT");
    let mut seg = segment(kind, IRS + 2, ISS + 2, ISS + 2);
    if let Some(val) = stamp {
        seg = with_stamp(seg, val);
    }
    match tw.on_segment(&seg, config.time_wait, false, end.now) {
        Verdict::Ignore => "=/".into(),
        Verdict::Ack(out) => format!("=/{}", answer_name(Some(&out))),
        Verdict::End => "END/".into(),
        Verdict::Reopen(_) => "new/".into(),
    }
}

fn check(config: Config, table: &[(&str, Kind, [&str; 9])], stamp: Option<u32>) -> usize {
    let mut wrong = Vec::new();
    let mut rows = 0;
    for (name, kind, cells) in table {
        for (state, expected) in COLUMNS.into_iter().zip(cells) {
            if *expected == "-" {
                continue;
            }
            rows += 1;
            let got = outcome(config, state, *kind, stamp);
            if got != *expected {
                wrong.push(format!("{name} in {state:?}: {got}, expected {expected}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    rows
}

#[test]
fn every_state_and_every_kind() {
    assert_eq!(check(plain(), TABLE, None), 39 * 9);
}

#[test]
fn every_state_and_old_timestamps() {
    assert_eq!(check(with_timestamps(), PAWS, Some(50)), 5 * 8);
}

/// A timestamp that is as new as the last changes nothing of the first table, where SYNs are
/// concerned only in TIME-WAIT.
#[test]
fn every_state_and_every_kind_with_timestamps() {
    let stamped = TABLE.iter().filter(|(_, kind, _)| !kind.0.has(SYN));
    let rows: Vec<_> = stamped.copied().collect();
    check(with_timestamps(), &rows, Some(100));
}

/// CLOSED: all but a RST is answered by a RST (RFC 9293 3.10.7.1).
#[test]
fn no_connection_answers_with_a_reset() {
    for (name, kind, _) in TABLE {
        let seg = segment(*kind, IRS, ISS, ISS);
        let reset = Transmit::reset_for(&seg);
        assert_eq!(reset.is_none(), seg.has_rst(), "{name}");
        if let Some(reset) = reset.filter(|_| seg.has_ack()) {
            assert_eq!((reset.flags, reset.seq), (RST, seg.ack), "{name}");
        } else if let Some(reset) = reset {
            assert_eq!((reset.flags, reset.ack), (RST_ACK, seg.seq_end()), "{name}");
        }
    }
}
