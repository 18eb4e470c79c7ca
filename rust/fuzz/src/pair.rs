// SPDX-License-Identifier: GPL-2.0

//! Two connections and an adversary who holds the network between them: segments are lost, repeated,
//! put in another order, delayed, and blind forgeries put among them. Afterwards the network is
//! good, and both have to end, with the text where it belongs.

use crate::draw::{Draw, COOKIE};
use crate::support::endpoint::{Endpoint, Packet};
use crate::support::pair::Pair;
use arbitrary::Unstructured;
use oxtcp_core::tcp::congestion::Algorithm;
use oxtcp_core::tcp::fast_open::{Cookie, Opening};
use oxtcp_core::tcp::segment::{Flags, Segment};
use oxtcp_core::tcp::small_queue::DeviceQueue;
use oxtcp_core::tcp::tcb::TxLimits;

/// Steps of the adversary.
const STEPS: usize = 300;

/// Text that may wait to be sent, bytes.
const SEND_BUFFER: usize = 20_000;

pub fn pair(data: &[u8]) {
    let mut draw = Draw(Unstructured::new(data));
    let end = |draw: &mut Draw<'_>| {
        let limits = TxLimits {
            mss: draw.pick(&[48, 536, 1460]),
            max_run: draw.pick(&[1, 1460, 65_535]),
            queue: DeviceQueue::default(),
        };
        let room = draw.pick(&[1, 100, 4000, 100_000]);
        let config = draw.config();
        Endpoint::new(config, limits, draw.iss(), room)
    };
    let mut pair = Pair::new([end(&mut draw), end(&mut draw)]);
    let now = pair.now;
    if draw.below(4) == 0 {
        pair.ends[1].connect(now);
    } else {
        pair.ends[1].listen();
    }
    let fast = [None, Some(Opening::Ask), Some(Opening::Cookieless)];
    let cookie = Cookie::new(&COOKIE).map(Opening::Cookie);
    match draw.pick(&[fast[0], fast[0], fast[1], fast[2], cookie]) {
        None => pair.ends[0].connect(now),
        Some(opening) => {
            let text: Vec<u8> = (0..draw.below(256) * 8).map(|i| (i * 7) as u8).collect();
            pair.ends[1].fast_open = draw.fast_open();
            pair.ends[0].connect_fast(opening, &text, now);
        }
    }
    pair.collect();
    for _ in 0..STEPS {
        if draw.is_empty() {
            break;
        }
        step(&mut pair, &mut draw);
        check(&pair);
    }
    pair.settle();
    check(&pair);
}

fn check(pair: &Pair) {
    if let Some(fault) = pair.fault() {
        panic!("{fault}: {:?}", pair.states());
    }
}

fn step(pair: &mut Pair, draw: &mut Draw<'_>) {
    let count = pair.net.len();
    let who = draw.below(2);
    let now = pair.now;
    match draw.byte() {
        0..=69 => pair.deliver(0, false),
        70..=79 => seldom(pair, draw, who),
        80..=109 => {
            let index = draw.below(count);
            pair.deliver(index, false);
        }
        110..=129 => {
            let index = draw.below(count);
            pair.deliver(index, true);
        }
        130..=149 => {
            let index = draw.below(count);
            pair.lose(index);
        }
        150..=169 => {
            pair.fire();
        }
        170..=179 => {
            let time = draw.duration();
            pair.pass(time);
            let now = pair.now;
            for end in &mut pair.ends {
                end.timer(now);
            }
        }
        180..=214 => {
            let n = draw.below(256) * draw.pick(&[1, 20]);
            let more = draw.bit();
            let end = pair.end(who);
            if end.queued() + n <= SEND_BUFFER {
                let at = end.written.len();
                let text: Vec<u8> = (at..at + n).map(|i| (i * 7 + who) as u8).collect();
                end.write(&text, more, now);
            }
        }
        215..=229 => {
            let n = draw.below(256) * 16;
            pair.end(who).read(n, now);
        }
        230..=235 => pair.end(who).shutdown(now),
        236..=237 => pair.end(who).close(now),
        238 => pair.end(who).abort(now),
        239..=245 => forge(pair, draw, who),
        246..=248 => pair.end(who).rx.fail ^= true,
        249..=251 => pair.end(who).full ^= true,
        _ => pair.end(who).rx.renege(),
    }
    pair.collect();
}

/// What does not happen to most connections.
fn seldom(pair: &mut Pair, draw: &mut Draw<'_>, who: usize) {
    let now = pair.now;
    let count = pair.net.len();
    match draw.below(8) {
        // A router is busy, or clears the field.
        0..=3 => {
            let (index, ecn) = (draw.below(count), draw.ip_ecn());
            if let Some((_, packet)) = pair.net.get_mut(index) {
                packet.seg.ecn = ecn;
            }
            pair.deliver(index, false);
        }
        4 | 5 => {
            let end = pair.end(who);
            let at = end.written.len();
            let text: Vec<u8> = (at..at + draw.below(64))
                .map(|i| (i * 7 + who) as u8)
                .collect();
            if end.queued() + text.len() <= SEND_BUFFER {
                end.write_urgent(&text, now);
            }
        }
        6 => {
            let mss = draw.pick(&[48, 100, 536, 1000, 1460]);
            pair.end(who).path_changes(mss, now);
        }
        _ => {
            let algorithm = draw.pick(&Algorithm::ALL);
            pair.end(who).set_congestion(algorithm);
        }
    }
}

/// A RST or SYN in the window, but not at RCV.NXT: who does not see the segments guesses no better
/// (RFC 5961).
fn forge(pair: &mut Pair, draw: &mut Draw<'_>, who: usize) {
    let end = pair.end(who);
    let Some(tcb) = end.tcb().filter(|tcb| tcb.state().is_synchronized()) else {
        return;
    };
    let ahead = 1 + draw.word() % tcb.rcv_wnd().max(1);
    let seg = Segment {
        seq: tcb.rcv_nxt() + ahead,
        ack: tcb.snd_una(),
        flags: draw.pick(&[Flags::RST, Flags::SYN, Flags::SYN | Flags::ACK]),
        ..Segment::default()
    };
    let text = Vec::new();
    pair.net.insert(0, (who, Packet { seg, text }));
    pair.deliver(0, false);
    let alive = pair.end(who).state().is_synchronized();
    pair.end(who)
        .expect(alive, "a blind forgery ended the connection");
}
