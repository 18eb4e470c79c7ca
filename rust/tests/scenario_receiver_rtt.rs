// SPDX-License-Identifier: GPL-2.0

//! The receive buffer of an end that only receives: it has nothing to time but what comes, and must
//! not count what the user reads in round trips that the path does not have any more.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::buffer_space::ReceiveSpace;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::options::Timestamps;
use support::rx::Rx;

/// What the peer keeps in flight: all of the window.
const FLIGHT: u32 = 50_000;

/// A receiver whose handshake took 10 ms, and a peer that sends a window in each round trip, evenly.
struct Receiver {
    end: End,
    space: ReceiveSpace,
    /// Bytes that came.
    received: u32,
    /// When we sent which timestamp, ms.
    stamps: Vec<(u64, u32)>,
    /// The largest window that reading asked for.
    wanted: u32,
    /// Bytes that the user leaves unread.
    left: usize,
}

impl Receiver {
    fn new(config: Config) -> Self {
        let config = Config {
            initial_window: FLIGHT,
            window_clamp: FLIGHT,
            // Else nothing is predicted.
            sack: true,
            ..config
        };
        let mut end = End::established_in(config, 10);
        end.rx = Rx::new(200_000, 0);
        let first = end.tcb.begin_receiving(&config, 400_000);
        assert_eq!(first, 10_000);
        let mut new = Self {
            space: ReceiveSpace::new(first, end.now),
            end,
            received: 0,
            stamps: vec![(0, 0)],
            wanted: 0,
            left: 0,
        };
        new.end.tcb.set_quick_ack(&new.end.config, true);
        new
    }

    /// A segment of `len` bytes comes, in answer to what was sent `rtt` ms ago at the latest.
    fn text(&mut self, len: u32, rtt: u64) {
        let ms = self.end.ms();
        let mut text = seg(ACK, IRS + 1 + self.received, ISS + 1, len);
        self.received += len;
        if self.end.config.timestamps {
            let heard = |sent: &&(u64, u32)| sent.0 + rtt <= ms;
            let echo = self.stamps.iter().rev().find(heard);
            let val = 100 + ms as u32;
            let ecr = echo.map_or(0, |sent| sent.1);
            text.options.timestamps = Some(Timestamps { val, ecr });
        }
        self.end.arrive(text);
        self.read();
        for ack in self.end.out() {
            let stamp = ack.options.timestamps.map_or(0, |ts| ts.val);
            self.stamps.push((ms, stamp));
        }
    }

    fn read(&mut self) {
        let bytes = self.end.rx.readable().saturating_sub(self.left);
        let read = self.end.rx.read(bytes).len() as u32;
        let End { tcb, now, .. } = &self.end;
        let window = self
            .space
            .on_read(read, MSS.into(), tcb.reading_round(), *now);
        self.wanted = self.wanted.max(window.unwrap_or(0));
    }

    /// Round trips of `rtt` ms, up to `ms`, with segments of `len` bytes.
    fn rounds(&mut self, rtt: u64, len: u32, ms: u64) {
        let gap = rtt * u64::from(len) * 1000 / u64::from(FLIGHT);
        let mut at = self.end.now.us();
        while at < ms * 1000 {
            at += gap;
            self.end.until(at / 1000);
            self.text(len, rtt);
        }
    }

    fn rtt(&self) -> Option<u64> {
        self.end.tcb.receiver_rtt().map(|rtt| rtt.ms())
    }
}

#[test]
fn the_window_grows_although_the_path_is_longer_than_the_handshake_was() {
    for config in [plain(), with_timestamps()] {
        let mut r = Receiver::new(config);
        r.rounds(100, 1000, 1000);
        let rtt = r.rtt().expect("it is measured");
        assert!((98..=102).contains(&rtt), "{rtt} ms");
        assert!(r.wanted >= 2 * FLIGHT, "{}", r.wanted);
    }
}

#[test]
fn a_path_that_becomes_longer_later_is_followed_by_what_is_echoed() {
    let mut r = Receiver::new(with_timestamps());
    r.rounds(20, 1000, 500);
    let rtt = r.rtt().expect("it is measured");
    assert!((18..=22).contains(&rtt), "{rtt} ms");
    r.rounds(100, 1000, 3000);
    let rtt = r.rtt().expect("it is measured");
    assert!((90..=102).contains(&rtt), "{rtt} ms");
}

#[test]
fn a_path_that_becomes_shorter_is_followed_at_once() {
    for config in [plain(), with_timestamps()] {
        let mut r = Receiver::new(config);
        r.rounds(100, 1000, 1000);
        let ms = r.end.ms();
        r.rounds(20, 1000, ms + 50);
        let rtt = r.rtt().expect("it is measured");
        assert!((18..=22).contains(&rtt), "{rtt} ms");
    }
}

#[test]
fn short_segments_say_nothing_of_the_path() {
    let mut r = Receiver::new(with_timestamps());
    r.rounds(100, 100, 1000);
    assert_eq!(r.rtt(), None);
    assert_eq!(r.end.tcb.reading_round(), r.end.tcb.rtt().srtt().unwrap());
}

#[test]
fn what_is_left_unread_makes_no_path_longer() {
    for (left, longer) in [(1, false), (0, true)] {
        let mut r = Receiver::new(with_timestamps());
        r.left = left;
        r.rounds(20, 1000, 500);
        let before = r.rtt();
        for _ in 0..20 {
            r.end.wait(200);
            r.text(1000, 200);
        }
        assert_eq!(r.rtt() > before, longer, "{:?}", r.rtt());
        assert!(longer || r.rtt() == before);
    }
}
