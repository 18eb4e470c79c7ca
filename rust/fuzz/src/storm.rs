// SPDX-License-Identifier: GPL-2.0

//! A storm of segments into one connection, in each state: whatever a peer or an attacker who
//! knows all numbers sends, the connection stays sane.

use crate::draw::{Draw, Known};
use crate::support::endpoint::{Conn, Endpoint, Packet};
use arbitrary::Unstructured;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::congestion::Algorithm;
use oxtcp_core::tcp::options::Timestamps;
use oxtcp_core::tcp::segment::{Flags, Segment};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::small_queue::DeviceQueue;
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::tcb::TxLimits;
use oxtcp_core::tcp::time::Instant;

/// Steps that one input makes.
const STEPS: usize = 200;

/// Text that may wait to be sent, bytes.
const SEND_BUFFER: usize = 60_000;

/// The peer's numbers.
const IRS: u32 = 0xffff_ff00;

const START: [State; 10] = [
    State::Listen,
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

pub fn storm(data: &[u8]) {
    let mut draw = Draw(Unstructured::new(data));
    let config = draw.config();
    let state = draw.pick(&START);
    let limits = TxLimits {
        mss: draw.pick(&[48, 536, 1460]),
        max_run: draw.pick(&[1, 1460, 65_535]),
        queue: DeviceQueue::default(),
    };
    let room = draw.pick(&[0, 100, 4000, 100_000]);
    let mut now = Instant::from_us(1_000_000);
    let mut end = Endpoint::new(config, limits, draw.iss(), room);
    bring_to(&mut end, state, draw.bit(), now);
    end.fast_open = draw.fast_open();
    for _ in 0..STEPS {
        if draw.is_empty() {
            break;
        }
        step(&mut end, &mut draw, &mut now);
        if let Some(fault) = end.fault {
            panic!("{fault}: {:?}", end.conn);
        }
        end.outbox.clear();
    }
}

/// A segment of a peer that plays by the rules.
fn polite(config: &Config, flags: Flags, seq: u32, ack: SeqNumber, syn: bool) -> Packet {
    let mut seg = Segment {
        seq: SeqNumber(IRS) + seq,
        ack,
        flags,
        wnd: 8000,
        ..Segment::default()
    };
    seg.options.timestamps = config.timestamps.then_some(Timestamps { val: 100, ecr: 0 });
    if syn {
        seg.options.mss = Some(1000);
        seg.options.sack_permitted = config.sack;
        seg.options.window_scale = config.window_scaling.then_some(2);
    }
    Packet {
        seg,
        text: Vec::new(),
    }
}

/// Leads an end to a state, as an active or a passive opener.
fn bring_to(end: &mut Endpoint, state: State, active: bool, now: Instant) {
    let config = end.config;
    let iss = end.iss;
    let peer = |flags, seq, acks| polite(&config, flags, seq, iss + acks, flags.has(Flags::SYN));
    let fin = Flags::FIN | Flags::ACK;
    match (state, active) {
        (State::Listen, _) => return end.listen(),
        (State::SynSent, _) => return end.connect(now),
        (State::SynReceived, true) => {
            end.connect(now);
            end.arrive(&peer(Flags::SYN, 0, 0), now);
            return;
        }
        (_, true) => {
            end.connect(now);
            end.arrive(&peer(Flags::SYN | Flags::ACK, 0, 1), now);
        }
        (_, false) => {
            end.listen();
            end.arrive(&peer(Flags::SYN, 0, 0), now);
            if state == State::SynReceived {
                return;
            }
            end.arrive(&peer(Flags::ACK, 1, 1), now);
        }
    }
    if matches!(state, State::CloseWait | State::LastAck) {
        end.arrive(&peer(fin, 1, 1), now);
    }
    if !matches!(state, State::Established | State::CloseWait) {
        end.shutdown(now);
    }
    if matches!(state, State::FinWait2 | State::TimeWait) {
        end.arrive(&peer(Flags::ACK, 1, 2), now);
    }
    if matches!(state, State::Closing | State::TimeWait) {
        end.arrive(&peer(fin, 1, 1), now);
    }
    end.outbox.clear();
    assert_eq!(end.state(), state);
}

fn step(end: &mut Endpoint, draw: &mut Draw<'_>, now: &mut Instant) {
    match draw.byte() {
        0..=139 => arrive(end, draw, *now),
        140..=149 => seldom(end, draw, *now),
        150..=179 => {
            *now = *now + draw.duration();
            end.timer(*now);
        }
        180..=199 => {
            if let Some(at) = end.deadline() {
                *now = at.max(*now);
                end.timer(*now);
            }
        }
        200..=224 => {
            let n = draw.below(256) * draw.pick(&[1, 20]);
            if end.queued() + n <= SEND_BUFFER {
                let more = draw.bit();
                end.write(&vec![1; n], more, *now);
            }
        }
        225..=239 => {
            let n = draw.below(256) * 16;
            end.read(n, *now);
        }
        240..=243 => end.shutdown(*now),
        244..=246 => end.close(*now),
        247 => end.abort(*now),
        248..=250 => end.rx.fail = !end.rx.fail,
        251..=252 => end.limits.mss = draw.pick(&[48, 536, 1460]),
        253 => end.full = !end.full,
        _ => end.rx.renege(),
    }
}

/// What does not happen to most connections.
fn seldom(end: &mut Endpoint, draw: &mut Draw<'_>, now: Instant) {
    match draw.below(8) {
        0..=2 => {
            let n = draw.below(256);
            if end.queued() + n <= SEND_BUFFER {
                end.write_urgent(&vec![1; n], now);
            }
        }
        3 => {
            let una = end.tcb().map_or(end.iss, |tcb| tcb.snd_una());
            end.icmp(una + draw.word() % 2000, now);
        }
        4 | 5 => end.path_changes(draw.pick(&[48, 100, 536, 1000, 1460]), now),
        6 => end.set_congestion(draw.pick(&Algorithm::ALL)),
        _ => end.stop_reading(),
    }
}

fn arrive(end: &mut Endpoint, draw: &mut Draw<'_>, now: Instant) {
    let known = end.tcb().map(Known::of).unwrap_or(Known {
        rcv_nxt: SeqNumber(IRS) + 1,
        rcv_wnd: 1000,
        snd_una: end.iss,
        snd_nxt: end.iss + 1,
    });
    let packet = draw.segment(known);
    let synchronized = matches!(end.conn, Conn::Open(_)) && end.state().is_synchronized();
    let fin_taken = matches!(
        end.state(),
        State::CloseWait | State::Closing | State::LastAck
    );
    end.arrive(&packet, now);
    // RFC 5961: neither a SYN nor a RST that is not exact ends what is synchronized; where the FIN was
    // taken its number is as good.
    let seg = &packet.seg;
    let blind = if seg.has_rst() {
        seg.seq != known.rcv_nxt && !(fin_taken && seg.seq + 1 == known.rcv_nxt)
    } else {
        seg.has_syn()
    };
    if synchronized && blind {
        let alive = end.state().is_synchronized();
        end.expect(alive, "a forged SYN or RST ended the connection");
    }
    let answered = end.outbox.iter().any(|out| out.seg.has_rst());
    end.expect(!(seg.has_rst() && answered), "a RST answers a RST");
}
