// SPDX-License-Identifier: GPL-2.0

//! Which congestion windows the path is known to carry (RFC 7661 4.2, 4.3), as a loss shows: of those
//! that are not validated it leaves half of what was used, whatever the window was (4.4.1).

#[allow(dead_code, reason = "each test program uses a part of it")]
mod bottleneck;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use bottleneck::{Flow, Path};
use harness::*;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::congestion::Algorithm;
use oxtcp_core::tcp::pacing::Runs;

const FAST: u8 = 3;
const LOSS: u8 = 4;
const RULE_WINDOWS: [Algorithm; 2] = [Algorithm::Reno, Algorithm::Cubic];

fn with(congestion: Algorithm) -> Config {
    Config {
        congestion,
        ..with_sack()
    }
}

/// The first recovery of a bulk transfer.
#[derive(Debug)]
struct First {
    /// Segments outstanding when it began.
    flight: u32,
    /// The window that it left, in segments.
    left: u32,
}

impl First {
    fn of(flow: &mut Flow) -> Self {
        flow.end.send(30_000 * u32::from(flow.end.limits.mss));
        assert!(flow.run(|end| end.tcb.recovery_number() == FAST));
        let mss = u32::from(flow.end.limits.mss);
        let flight = flow.end.tcb.flight() / mss;
        assert!(flow.run(|end| end.tcb.recovery_number() != FAST));
        assert_eq!(flow.end.tcb.recovery_number(), 0);
        let left = flow.end.tcb.cwnd() / mss;
        Self { flight, left }
    }

    /// The same, per cent of what was outstanding.
    fn share(&self) -> u32 {
        100 * self.left / self.flight
    }
}

/// The window is 60 segments, of which `n` were used for more than a second.
fn underused(config: Config, n: u32) -> End {
    let path = Path {
        rtt: 40_000,
        each: 10,
        buffer: 1000,
        every: 1,
    };
    let mut flow = Flow::new(End::established_in(config, 40), path);
    flow.end.send(50_000);
    flow.run(|_| false);
    for _ in 0..40 {
        flow.end.send(n * 1000);
        flow.run(|_| false);
    }
    assert_eq!(flow.end.tcb.cwnd(), 60_000);
    flow.end
}

/// A round trip later the peer has all that was sent before `ack`, and `blocks` besides.
fn heard(end: &mut End, ack: u32, blocks: &[(u32, u32)]) {
    end.until(end.ms() + 40);
    let next = end.tcb.rcv_nxt().0;
    let seg = with_window(seg(ACK, next, ack, 0), u16::MAX);
    end.arrive(with_blocks(seg, blocks));
}

fn all_heard(end: &mut End) {
    heard(end, end.tcb.snd_nxt().0, &[]);
}

/// Of `n` segments the first `lost` are lost. Returns the window that is left in the end.
fn loses(end: &mut End, n: u32, lost: u32) -> u32 {
    let mss = u32::from(end.limits.mss);
    let first = end.tcb.snd_nxt().0;
    end.send(n * mss);
    end.sent();
    assert_eq!(end.tcb.snd_nxt().0, first + n * mss);
    heard(end, first, &[(first + lost * mss, first + n * mss)]);
    assert_eq!(end.tcb.recovery_number(), FAST);
    while end.tcb.recovery_number() == FAST {
        assert!(!end.sent().is_empty(), "repeats what is lost");
        heard(end, end.tcb.snd_una().0, &[(first, first + n * mss)]);
        all_heard(end);
    }
    end.tcb.cwnd()
}

/// In slow start all that a round trip acknowledges is half of the window that it leaves: to ask for
/// more would leave a window non-validated that is always full (RFC 7661 4.3).
#[test]
fn a_bulk_transfer_after_a_small_first_write_is_validated() {
    for algorithm in RULE_WINDOWS {
        for every in [1, 2, 3] {
            let after = |write| {
                let path = Path {
                    rtt: 40_000,
                    each: 2000,
                    buffer: 10,
                    every,
                };
                let mut flow = Flow::new(End::established_in(with(algorithm), 40), path);
                flow.end.send(write);
                flow.transmit();
                First::of(&mut flow)
            };
            let without = after(0);
            for write in [200, 1000] {
                let first = after(write);
                let about = format!("{algorithm:?} {every} {write}: {first:?}, {without:?}");
                assert!(first.share().abs_diff(without.share()) <= 5, "{about}");
                assert!(first.left + 2 >= without.left, "{about}");
            }
        }
    }
}

/// A run that is held back is outstanding as good as the others, when a round trip begins. (Segments
/// are small, for the peer's window is 64 KiB.)
#[test]
fn a_bulk_transfer_in_runs_is_validated() {
    for algorithm in RULE_WINDOWS {
        for (each, every) in [6, 8, 10]
            .map(|each| [1, 2, 3, 5].map(|n| (each, n)))
            .concat()
        {
            let [singly, in_runs] = [1, 64].map(|segments| {
                let mut config = with(algorithm);
                if segments > 1 {
                    config.runs = Runs::default();
                }
                let path = Path {
                    rtt: 1000,
                    each,
                    buffer: 250,
                    every,
                };
                let mut flow = Flow::new(End::established_in(config, 1), path);
                flow.end.limits.mss = 100;
                flow.end.limits.max_run = 100 * segments;
                First::of(&mut flow)
            });
            let about = format!("{algorithm:?} {each} {every}: {in_runs:?}, {singly:?}");
            assert!(10 * in_runs.left >= 9 * singly.left, "{about}");
        }
    }
}

/// The window that idling for a timeout leaves is no more than before: what is known of it holds,
/// until it has come down to the initial window.
#[test]
fn idling_for_a_timeout_makes_no_window_validated() {
    for algorithm in RULE_WINDOWS {
        let [short, long] = [100, 300].map(|pause| {
            let config = Config {
                slow_start_after_idle: true,
                ..with(algorithm)
            };
            let mut end = underused(config, 5);
            let cwnd = end.tcb.cwnd();
            end.until(end.ms() + pause);
            end.send(1000);
            end.sent();
            assert_eq!(end.tcb.cwnd() < cwnd, pause == 300, "it began anew");
            loses(&mut end, 12, 1)
        });
        assert!(long <= short, "{algorithm:?} {long} {short}");
    }
}

/// RFC 7661 4.2: what a timeout repairs is no measure, and nothing else of before is.
#[test]
fn a_repair_after_a_timeout_is_no_sample() {
    for algorithm in RULE_WINDOWS {
        let mut end = underused(with(algorithm), 30);
        let mut ack = end.tcb.snd_nxt().0;
        let last = ack + 40_000;
        end.send(40_000);
        assert_eq!(end.sent().len(), 40);
        end.until(end.ms() + 400);
        assert_eq!(end.tcb.recovery_number(), LOSS);
        while end.tcb.recovery_number() == LOSS {
            ack = last.min(ack + end.tcb.cwnd());
            heard(&mut end, ack, &[]);
            end.sent();
        }
        assert_eq!(ack, last);
        assert!(end.tcb.cwnd() > 20_000, "it has grown");
        // In its first round trip it uses little, in its second one it loses.
        end.send(3000);
        end.sent();
        all_heard(&mut end);
        let left = loses(&mut end, 5, 1);
        assert!(left <= 2000, "{algorithm:?} {left}");
    }
}

/// Segments that are too large for a smaller MTU are sent again, in the middle of a reduction of 20
/// segments that were used.
fn repaired_in_cwr() -> End {
    let mut end = underused(with(Algorithm::Cubic), 20);
    let mut ack = end.tcb.snd_nxt().0;
    let last = ack + 20_000;
    end.send(20_000);
    assert_eq!(end.sent().len(), 20);
    end.tcb.enter_cwr(20_000, 0, end.now);
    end.limits.mss = 500;
    end.tcb.on_mtu_reduced(&mut end.rx, 500);
    assert_eq!(end.tcb.recovery_number(), LOSS);
    while end.tcb.recovery_number() == LOSS {
        ack = last.min(ack + end.sent().iter().map(|s| s.2).sum::<u32>());
        heard(&mut end, ack, &[]);
    }
    assert_eq!(ack, last);
    let cwnd = end.tcb.cwnd();
    assert!(cwnd >= 10_000, "half of what was used, {cwnd}");
    end
}

/// Such a reduction does not end as others do. The next one has nothing to do with it: what it leaves
/// is not half of what was used before, less what is lost now (RFC 7661 4.4.1).
#[test]
fn a_smaller_mtu_ends_a_reduction() {
    let mut end = repaired_in_cwr();
    let cwnd = end.tcb.cwnd();
    let left = loses(&mut end, 20, 17);
    assert!(left >= cwnd * 7 / 10 / 500 * 500, "{left} of {cwnd}");
}

#[test]
fn a_repair_after_a_smaller_mtu_is_no_sample() {
    let mut end = repaired_in_cwr();
    end.send(1500);
    end.sent();
    all_heard(&mut end);
    let left = loses(&mut end, 5, 1);
    assert!(left <= 1000, "{left}");
}

/// What was not validated is not by being sent again in smaller segments.
#[test]
fn a_smaller_mtu_makes_no_window_validated() {
    let mut end = underused(with(Algorithm::Cubic), 20);
    let mut ack = end.tcb.snd_nxt().0;
    let last = ack + 20_000;
    end.send(20_000);
    assert_eq!(end.sent().len(), 20);
    end.limits.mss = 500;
    end.tcb.on_mtu_reduced(&mut end.rx, 500);
    while end.tcb.recovery_number() == LOSS {
        ack = last.min(ack + end.sent().iter().map(|s| s.2).sum::<u32>());
        heard(&mut end, ack, &[]);
    }
    assert_eq!(ack, last);
    let left = loses(&mut end, 20, 1);
    assert!(left <= 10_000, "half of what was used, {left}");
}
