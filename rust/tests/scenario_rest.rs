// SPDX-License-Identifier: GPL-2.0

//! What becomes of the congestion window while nothing is outstanding (RFC 5681 4.1, RFC 9438 5.8).
//! Round trips take 20 ms.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::congestion::{Algorithm, CongestionControl};

const UNA: u32 = ISS + 1;
const CWR: u8 = 2;

struct Flow {
    end: End,
}

impl Flow {
    fn new(config: Config) -> Self {
        Self {
            end: End::established_in(config, 20),
        }
    }

    fn window(&self) -> u32 {
        self.end.tcb.congestion().window()
    }

    /// All that may go goes, and is acknowledged a round trip later, segment by segment. Returns
    /// whether there was any.
    fn round(&mut self) -> bool {
        let sent = self.end.out();
        self.end.wait(20);
        for out in &sent {
            self.end.acked(out.seq.0 + out.len);
        }
        !sent.is_empty()
    }

    /// A round trip of a user who has always more to say.
    fn busy_round(&mut self) {
        if self.end.tcb.unsent() < 100_000 {
            self.end.send(100_000);
        }
        self.round();
    }

    /// With a window of so much, and nothing outstanding.
    fn grown(config: Config, window: u32) -> Self {
        let mut flow = Self::new(config);
        while flow.window() < window {
            flow.busy_round();
        }
        flow.drain();
        flow
    }

    fn drain(&mut self) {
        while self.round() {}
        assert_eq!(self.end.tcb.flight(), 0);
    }
}

fn restarting(congestion: Algorithm) -> Config {
    Config {
        slow_start_after_idle: true,
        congestion,
        ..with_sack()
    }
}

/// A segment that is held until there is more of it does not end the rest.
#[test]
fn a_rest_counts_once_in_however_many_pieces_the_user_speaks() {
    for congestion in [Algorithm::Reno, Algorithm::Cubic] {
        let left = [1, 5].map(|pieces| {
            let mut flow = Flow::grown(restarting(congestion), 40_000);
            let before = flow.window();
            let rto = flow.end.tcb.rto(&flow.end.config).ms();
            flow.end.wait(rto + rto / 2);
            for n in 0..pieces {
                assert_eq!(flow.end.tcb.flight(), 0);
                flow.end.tcb.on_send(500 / pieces, n + 1 < pieces);
                flow.end.out();
            }
            assert!(flow.end.tcb.flight() > 0);
            assert!(flow.window() < before);
            (before, flow.window())
        });
        assert_eq!(left[0], left[1], "{congestion:?}");
    }
}

/// Whatever `tcp_slow_start_after_idle` says, and be the rest shorter than a timeout.
#[test]
fn cubic_s_clock_stands_still_in_a_rest() {
    for rests in [vec![60_000], vec![150; 4]] {
        let windows = [0, 1].map(|n| {
            let mut flow = Flow::new(Config {
                congestion: Algorithm::Cubic,
                ..with_sack()
            });
            while flow.window() < 30_000 {
                flow.busy_round();
            }
            flow.end.tcb.enter_cwr(30_000, 0, flow.end.now);
            for _ in 0..10 {
                flow.busy_round();
            }
            for rest in &rests {
                flow.drain();
                flow.end.wait(rest * n);
                for _ in 0..4 {
                    flow.busy_round();
                }
            }
            flow.window()
        });
        assert!(windows[1] <= windows[0] + 2000, "{}: {windows:?}", rests[0]);
    }
}

/// All that was outstanding when the mark came is acknowledged, and nothing later is, so that the
/// state is still that of a reduction.
#[test]
fn after_a_mark_a_rest_ends_with_the_initial_window_too() {
    for mark in [false, true] {
        let mut flow = Flow::grown(restarting(Algorithm::Cubic), 40_000);
        flow.end.send(40_000);
        let sent = flow.end.out();
        flow.end.wait(20);
        for (n, out) in sent.iter().enumerate() {
            flow.end.acked(out.seq.0 + out.len);
            if n == 0 && mark {
                flow.end.tcb.enter_cwr(39_000, 1000, flow.end.now);
            }
        }
        assert_eq!(flow.end.tcb.recovery_number() == CWR, mark);
        flow.end.wait(3_600_000);
        flow.end.send(100_000);
        let burst: u32 = flow.end.out().iter().map(|o| o.len).sum();
        assert_eq!(burst, 10_000, "mark: {mark}");
        assert!(flow.end.tcb.snd_una().0 > UNA);
    }
}
