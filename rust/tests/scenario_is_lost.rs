// SPDX-License-Identifier: GPL-2.0

//! Loss detection by number (RFC 6675), where the peer gives no timestamps: beside RACK's, or alone
//! where that is asked for. Round trips take 40 ms.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::config::{Config, LossDetection};

const UNA: u32 = ISS + 1;
const FAST: u8 = 3;
const LOSS: u8 = 4;

/// Bits of `tcp_recovery`.
const ALONE: u8 = 0;
const BESIDE_RACK: u8 = 1;
const NO_NUMBER: u8 = 1 | 4;

/// Segments of the length that the connection's options leave.
struct Flight {
    end: End,
    stamps: bool,
    mss: u32,
}

impl Flight {
    /// With `n` segments in flight, a round trip ago.
    fn new(recovery: u8, stamps: bool, n: u32) -> Self {
        let config = Config {
            recovery: LossDetection::from_bits(recovery),
            timestamps: stamps,
            ..with_sack()
        };
        let mut flight = Self {
            end: End::established_in(config, 40),
            stamps,
            mss: u32::from(MSS) - if stamps { 12 } else { 0 },
        };
        flight.send(n);
        flight.end.until(80);
        flight
    }

    fn send(&mut self, n: u32) {
        self.end.send(n * self.mss);
        assert_eq!(self.end.sent().len(), n as usize);
    }

    /// The peer has what is before `ack`, and the ranges of segments in `blocks`.
    fn sack(&mut self, ack: u32, blocks: &[(u32, u32)]) {
        let at = |n: u32| UNA + n * self.mss;
        let blocks: Vec<_> = blocks.iter().map(|&(f, t)| (at(f), at(t))).collect();
        let seg = seg(ACK, self.end.tcb.rcv_nxt().0, at(ack), 0);
        let seg = with_blocks(seg, &blocks);
        self.end.arrive(if self.stamps {
            with_stamp(seg, 100)
        } else {
            seg
        });
    }

    fn numbers(&self, sent: &[Sent]) -> Vec<u32> {
        sent.iter().map(|s| (s.1 - UNA) / self.mss).collect()
    }

    fn sent(&mut self) -> Vec<u32> {
        let sent = self.end.sent();
        self.numbers(&sent)
    }
}

#[test]
fn three_later_segments_show_a_loss_and_two_do_not() {
    let mut flight = Flight::new(ALONE, false, 6);
    flight.sack(0, &[(1, 2), (3, 4)]);
    assert_eq!(flight.end.tcb.recovery_number(), 1);
    flight.sack(0, &[(1, 2), (3, 5)]);
    assert_eq!(flight.end.tcb.recovery_number(), FAST);
    assert_eq!(flight.sent(), [0]);
    // By number the third has but two behind it.
    assert_eq!(flight.end.tcb.scoreboard().lost().segments, 1);
}

/// RACK has a timer for this.
#[test]
fn no_time_shows_a_loss() {
    let mut flight = Flight::new(ALONE, false, 3);
    flight.sack(0, &[(1, 3)]);
    let ms = flight.end.ms();
    let sent = flight.end.until(1000);
    assert!(sent[0].0 >= ms + 200, "{sent:?}");
    assert_eq!(flight.end.tcb.recovery_number(), LOSS);
}

/// RACK waits for its window on such a path, whatever has arrived.
#[test]
fn on_a_path_that_reorders_the_number_counts_still() {
    for (recovery, stamps, by_number) in [
        (ALONE, false, true),
        (BESIDE_RACK, false, true),
        (NO_NUMBER, false, false),
        (ALONE, true, false),
        (BESIDE_RACK, true, false),
    ] {
        let mut flight = Flight::new(recovery, stamps, 2);
        flight.sack(0, &[(1, 2)]);
        flight.sack(2, &[]);
        assert_eq!(flight.end.tcb.rack().times_reordered(), 1);
        flight.send(8);
        flight.end.until(120);
        flight.sack(2, &[(3, 6)]);
        let what = format!("tcp_recovery {recovery}, timestamps: {stamps}");
        assert_eq!(flight.sent() == [2], by_number, "{what}");
        if !by_number {
            let late = flight.end.until(200);
            assert_eq!((late[0].0, flight.numbers(&late)[0]), (132, 2), "{what}");
        }
    }
}

/// The first of seven arrived last.
#[test]
fn a_path_that_reorders_further_needs_a_larger_number() {
    let mut flight = Flight::new(BESIDE_RACK, false, 7);
    flight.sack(0, &[(5, 6)]);
    flight.sack(7, &[]);
    assert_eq!(flight.end.tcb.rack().reordering(), 7);
    flight.send(8);
    flight.end.wait(40);
    flight.sack(7, &[(8, 14)]);
    assert_eq!(flight.sent(), []);
    flight.sack(7, &[(8, 15)]);
    assert_eq!(flight.sent(), [7]);
}

#[test]
fn beside_rack_time_shows_a_loss_too() {
    let mut flight = Flight::new(BESIDE_RACK, false, 3);
    flight.sack(0, &[(1, 3)]);
    assert_eq!(flight.sent(), []);
    let sent = flight.end.until(200);
    assert_eq!((sent[0].0, flight.numbers(&sent)[0]), (92, 0));
    assert_eq!(flight.end.tcb.recovery_number(), FAST);
}

#[test]
fn a_repetition_is_lost_when_the_timer_says_so() {
    let mut flight = Flight::new(ALONE, false, 6);
    flight.sack(0, &[(1, 4)]);
    assert_eq!(flight.sent(), [0]);
    flight.end.send(4000);
    flight.end.until(85);
    flight.sack(0, &[(1, 6)]);
    assert!(!flight.sent().contains(&0));
    flight.end.until(125);
    flight.sack(0, &[(1, 8)]);
    assert!(!flight.sent().contains(&0));
    assert_eq!(flight.end.tcb.recovery_number(), FAST);
    let sent = flight.end.until(1000);
    assert!(flight.numbers(&sent).contains(&0), "{sent:?}");
    assert_eq!(flight.end.tcb.recovery_number(), LOSS);
}

/// A probe repeats what was sent last, so that all later text is behind it (RFC 8985 7.3, RFC 6675 4).
#[test]
fn a_loss_probe_is_lost_when_three_later_segments_have_arrived() {
    let mut flight = Flight::new(ALONE, false, 5);
    flight.sack(4, &[]);
    let probe = flight.end.until(370);
    assert_eq!(flight.numbers(&probe), [4]);
    assert_eq!(flight.end.tcb.recovery_number(), 0);
    flight.send(4);
    flight.end.wait(40);
    flight.sack(4, &[(5, 7)]);
    assert!(!flight.sent().contains(&4));
    flight.sack(4, &[(5, 8)]);
    assert_eq!(flight.end.tcb.recovery_number(), FAST);
    assert_eq!(flight.sent(), [4]);
}

#[test]
fn a_recovery_ends_when_all_is_acknowledged() {
    let mut flight = Flight::new(ALONE, false, 10);
    flight.sack(0, &[(1, 3), (4, 8)]);
    assert_eq!(flight.sent(), [0, 3]);
    flight.end.until(120);
    flight.sack(3, &[(4, 8)]);
    assert_eq!(flight.end.tcb.recovery_number(), FAST);
    assert!(flight.sent().is_empty());
    flight.sack(10, &[]);
    assert_eq!(flight.end.tcb.recovery_number(), 0);
    assert_eq!(flight.end.tcb.totals().resent, 2);
}

/// Of what was sent again nobody knows how late it was: the number would not learn.
#[test]
fn where_duplicates_are_reported_time_alone_shows_a_loss() {
    for (recovery, by_number) in [(BESIDE_RACK, false), (ALONE, true)] {
        let mut flight = Flight::new(recovery, false, 2);
        flight.sack(0, &[(1, 2)]);
        flight.sack(2, &[]);
        flight.send(8);
        flight.end.wait(40);
        flight.sack(2, &[(3, 6)]);
        assert_eq!(flight.sent(), [2]);
        // The original was late, and the repetition is reported.
        flight.sack(10, &[]);
        flight.end.wait(40);
        flight.sack(10, &[(2, 3)]);
        flight.send(8);
        flight.end.wait(40);
        flight.sack(10, &[(11, 14)]);
        assert_eq!(flight.sent() == [10], by_number, "tcp_recovery {recovery}");
    }
}
