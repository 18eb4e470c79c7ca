// SPDX-License-Identifier: GPL-2.0

//! A FIN that comes before text that precedes it: it takes a sequence number, so it is acknowledged
//! selectively like text (RFC 2018 3), and the peer need not send it again.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::segment::{Flags, Segment, Transmit};
use oxtcp_core::tcp::state::State;

const NEXT: u32 = IRS + 1;

/// Text of the peer, counted from its first byte.
fn text(flags: Flags, from: u32, to: u32) -> Segment {
    seg(flags, NEXT + from, ISS + 1, to - from)
}

fn blocks(out: &Transmit) -> Vec<(u32, u32)> {
    let all = out.options.sack.as_slice().iter();
    all.map(|b| (b.start.0 - NEXT, b.end.0 - NEXT)).collect()
}

/// The blocks of the one acknowledgment that goes out at once.
fn answer(end: &mut End) -> Vec<(u32, u32)> {
    let out = end.out();
    assert_eq!(out.len(), 1);
    blocks(&out[0])
}

#[test]
fn it_is_in_the_block_of_the_text_before_it() {
    let mut end = End::established(with_sack());
    end.arrive(text(FIN | ACK, 1000, 2000));
    assert_eq!(answer(&mut end), [(1000, 2001)]);
    end.arrive(text(ACK, 0, 1000));
    assert_eq!(end.tcb.rcv_nxt().0, NEXT + 2001);
    assert_eq!(end.tcb.state(), State::CloseWait);
    assert_eq!(answer(&mut end), []);
}

#[test]
fn alone_it_is_a_block_of_its_own() {
    let mut end = End::established(with_sack());
    end.arrive(text(FIN | ACK, 2000, 2000));
    assert_eq!(answer(&mut end), [(2000, 2001)]);
    end.arrive(text(ACK, 500, 700));
    assert_eq!(answer(&mut end), [(500, 700), (2000, 2001)]);
    // What fills a part of the gap is acknowledged at once (RFC 5681 4.2), and the text next to it
    // joins it.
    end.arrive(text(ACK, 0, 500));
    assert_eq!(answer(&mut end), [(2000, 2001)]);
    end.arrive(text(ACK, 1000, 2000));
    assert_eq!(answer(&mut end), [(1000, 2001)]);
    end.arrive(text(ACK, 700, 1000));
    assert_eq!(end.tcb.state(), State::CloseWait);
    assert_eq!(end.tcb.rcv_nxt().0, NEXT + 2001);
}

#[test]
fn where_there_is_no_room_it_gives_way() {
    let mut end = End::established(with_sack());
    end.arrive(text(FIN | ACK, 9000, 9000));
    for i in 1..=4 {
        end.arrive(text(ACK, i * 1000, i * 1000 + 100));
    }
    assert_eq!(
        answer(&mut end),
        [(4000, 4100), (3000, 3100), (2000, 2100), (1000, 1100)]
    );
}

#[test]
fn our_text_tells_of_it_too() {
    let mut end = End::established(with_sack());
    end.arrive(text(FIN | ACK, 2000, 2000));
    end.out();
    end.send(100);
    end.arrive(text(ACK, 0, 100));
    let out = end.out();
    assert_eq!(out.iter().map(|o| o.len).sum::<u32>(), 100);
    assert!(out.iter().all(|o| blocks(o) == [(2000, 2001)]), "{out:?}");
}

#[test]
fn without_sack_it_brings_about_a_duplicate() {
    let mut end = End::established(plain());
    end.arrive(text(FIN | ACK, 2000, 2000));
    let out = end.out();
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].ack.0, NEXT);
    assert_eq!(blocks(&out[0]), []);
}
