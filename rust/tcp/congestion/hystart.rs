// SPDX-License-Identifier: GPL-2.0

//! HyStart++ (RFC 9406): slow start ends when the round-trip time says that a queue builds, before
//! it overflows.

use crate::tcp::pack::packed;
use crate::tcp::seq::SeqNumber;
use crate::tcp::time::Duration;

/// Bounds of the growth of the round-trip time that tells of a queue, µs.
const MIN_RTT_THRESH: u32 = 4_000;
const MAX_RTT_THRESH: u32 = 16_000;
/// Part of the round-trip time that its growth is measured against.
const MIN_RTT_DIVISOR: u32 = 8;
/// Measurements that make a round's least round-trip time a fact.
const N_RTT_SAMPLE: u8 = 8;
/// How much slower conservative slow start grows.
const CSS_GROWTH_DIVISOR: u32 = 4;
/// Rounds of conservative slow start before congestion avoidance begins.
const CSS_ROUNDS: u8 = 5;

/// No measurement.
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    SlowStart,
    /// Conservative slow start, with `baseline` as the round-trip time that began it, µs: a lesser
    /// one says that the queue was a passing one.
    Conservative {
        baseline: u32,
        rounds: u8,
    },
}

packed!(enum Phase { 0 => SlowStart, 1 => Conservative { baseline, rounds } });

/// How slow start goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Advice {
    /// By a segment for each `divisor` segments that are acknowledged.
    Grow {
        /// 1, or 4 in conservative slow start.
        divisor: u32,
    },
    /// It is over.
    Leave,
}

/// What is measured in a connection's first slow start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct HyStart {
    phase: Phase,
    samples: u8,
    /// The round ends when this is acknowledged; `None` before the first.
    window_end: Option<SeqNumber>,
    last_round_min: u32,
    this_round_min: u32,
}

packed!(struct HyStart { phase, samples, window_end, last_round_min, this_round_min });

impl HyStart {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::SlowStart,
            samples: 0,
            window_end: None,
            last_round_min: NONE,
            this_round_min: NONE,
        }
    }

    /// An acknowledgment in slow start, up to `snd_una`, with `snd_nxt` sent and `rtt` measured.
    #[inline]
    pub(super) fn on_ack(
        &mut self,
        snd_una: SeqNumber,
        snd_nxt: SeqNumber,
        rtt: Option<Duration>,
    ) -> Advice {
        let ended = self.window_end.is_none_or(|end| snd_una.after(end));
        if ended && self.begin_round(snd_nxt) {
            return Advice::Leave;
        }
        if let Some(rtt) = rtt {
            let us = u32::try_from(rtt.us()).unwrap_or(NONE);
            self.this_round_min = self.this_round_min.min(us);
            self.samples = self.samples.saturating_add(1);
            self.judge();
        }
        let divisor = match self.phase {
            Phase::SlowStart => 1,
            Phase::Conservative { .. } => CSS_GROWTH_DIVISOR,
        };
        Advice::Grow { divisor }
    }

    /// Returns whether the last round of conservative slow start is over.
    fn begin_round(&mut self, snd_nxt: SeqNumber) -> bool {
        self.window_end = Some(snd_nxt);
        self.last_round_min = self.this_round_min;
        self.this_round_min = NONE;
        self.samples = 0;
        match &mut self.phase {
            Phase::SlowStart => false,
            Phase::Conservative { rounds, .. } => {
                *rounds = rounds.saturating_add(1);
                *rounds >= CSS_ROUNDS
            }
        }
    }

    fn judge(&mut self) {
        if self.samples < N_RTT_SAMPLE {
            return;
        }
        match self.phase {
            Phase::SlowStart if self.last_round_min != NONE => {
                let growth =
                    (self.last_round_min / MIN_RTT_DIVISOR).clamp(MIN_RTT_THRESH, MAX_RTT_THRESH);
                if self.this_round_min >= self.last_round_min.saturating_add(growth) {
                    self.phase = Phase::Conservative {
                        baseline: self.this_round_min,
                        rounds: 0,
                    };
                }
            }
            Phase::Conservative { baseline, .. } if self.this_round_min < baseline => {
                self.phase = Phase::SlowStart;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds rounds of ten segments with the given round-trip times, in ms; returns the advices at
    /// their ends.
    fn rounds(hystart: &mut HyStart, from: u32, times: &[u64]) -> Vec<Advice> {
        let mut out = Vec::new();
        for (n, ms) in times.iter().enumerate() {
            let start = from + n as u32 * 10;
            let mut advice = Advice::Leave;
            for i in 0..10 {
                advice = hystart.on_ack(
                    SeqNumber(start + i + 1),
                    SeqNumber(start + 10),
                    Some(Duration::from_ms(*ms)),
                );
                if advice == Advice::Leave {
                    break;
                }
            }
            out.push(advice);
        }
        out
    }

    const FAST: Advice = Advice::Grow { divisor: 1 };
    const SLOW: Advice = Advice::Grow { divisor: 4 };

    #[test]
    fn an_even_round_trip_time_changes_nothing() {
        let mut h = HyStart::new();
        assert_eq!(rounds(&mut h, 0, &[50; 20]), [FAST; 20]);
    }

    #[test]
    fn a_growing_one_slows_down_and_after_five_rounds_it_is_over() {
        let mut h = HyStart::new();
        let got = rounds(&mut h, 0, &[50, 50, 57, 58, 59, 60, 61, 62]);
        assert_eq!(
            got,
            [FAST, FAST, SLOW, SLOW, SLOW, SLOW, SLOW, Advice::Leave]
        );
    }

    #[test]
    fn a_queue_that_passes_lets_slow_start_go_on() {
        let mut h = HyStart::new();
        let got = rounds(&mut h, 0, &[50, 57, 57, 50, 50]);
        assert_eq!(got, [FAST, SLOW, SLOW, FAST, FAST]);
    }

    #[test]
    fn the_growth_that_counts_is_an_eighth_between_4_and_16_ms() {
        for (before, after, advice) in [
            (10, 13, FAST),
            (10, 14, SLOW),
            (80, 89, FAST),
            (80, 90, SLOW),
            (400, 415, FAST),
            (400, 416, SLOW),
        ] {
            let mut h = HyStart::new();
            let got = rounds(&mut h, 0, &[before, after]);
            assert_eq!(got, [FAST, advice], "{before} {after}");
        }
    }

    #[test]
    fn fewer_than_eight_measurements_say_nothing() {
        let mut h = HyStart::new();
        rounds(&mut h, 0, &[50]);
        for i in 11..18 {
            let advice = h.on_ack(SeqNumber(i), SeqNumber(20), Some(Duration::from_ms(100)));
            assert_eq!(advice, FAST);
        }
        let eighth = h.on_ack(SeqNumber(18), SeqNumber(20), Some(Duration::from_ms(100)));
        assert_eq!(eighth, SLOW);
    }

    #[test]
    fn acknowledgments_that_measure_nothing_say_nothing() {
        let mut h = HyStart::new();
        for i in 0..1000 {
            assert_eq!(h.on_ack(SeqNumber(i), SeqNumber(i + 10), None), FAST);
        }
    }

    #[test]
    fn rounds_go_on_across_the_wrap_of_sequence_numbers() {
        let mut h = HyStart::new();
        let mut seq = SeqNumber(u32::MAX - 25);
        let mut last = FAST;
        for ms in [50u64, 50, 57, 58] {
            let edge = seq + 10;
            for _ in 0..10 {
                seq += 1;
                last = h.on_ack(seq, edge, Some(Duration::from_ms(ms)));
            }
        }
        assert_eq!(last, SLOW);
    }

    #[test]
    fn one_late_measurement_does_not_end_it() {
        let mut h = HyStart::new();
        rounds(&mut h, 0, &[50, 50]);
        h.on_ack(SeqNumber(21), SeqNumber(30), Some(Duration::from_ms(900)));
        assert_eq!(rounds(&mut h, 20, &[50]), [FAST]);
    }
}
