// SPDX-License-Identifier: GPL-2.0

//! What BBR knows of the path: rate of delivery, round-trip time, aggregation of acknowledgments,
//! and the bounds that loss has set.

use super::rate::Rate;
use super::{percent, reached, Sample, Undo, BETA, LOSS_THRESH, NONE};
use crate::tcp::congestion::{Ack, Lost};
use crate::tcp::pack::packed;
use crate::tcp::seq::SeqNumber;
use crate::tcp::time::Instant;

/// How long a least round-trip time holds, ms.
const MIN_RTT_FILTER: u32 = 10_000;
/// How long it holds before ProbeRTT looks for a lesser one, ms.
const PROBE_RTT_INTERVAL: u32 = 5_000;

/// Whether the path was marked in this round.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mark {
    /// It was not.
    None,
    /// It was, and the answer to that is still to come.
    New,
    /// It was, and that is answered.
    Heard,
}

packed!(enum Mark { 0 => None, 1 => New, 2 => Heard });

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Path {
    /// Highest rates of the last cycle of ProbeBW and of this one.
    bw: [Rate; 2],
    /// Bound of the rate that loss has set since the path was last probed.
    pub(super) bw_lo: Rate,
    /// Highest rate of this round of looking for loss.
    bw_latest: Rate,
    /// Most bytes delivered at once in this round.
    pub(super) inflight_latest: u32,
    /// Bound of the flight, from probing: long-term.
    pub(super) inflight_hi: u32,
    /// Bound of the flight that loss has set since the path was last probed: short-term.
    pub(super) inflight_lo: u32,

    /// Bytes delivered in all, as last heard (wraps).
    pub(super) delivered: u32,
    /// The round ends when what is sent from here on arrives.
    next_round: u32,
    /// Where the round before began.
    last_round: u32,
    /// A round of looking for loss ends when what is sent from here on arrives: it begins with the
    /// first loss.
    next_loss_round: u32,
    /// There was a sample: the rounds are counted.
    begun: bool,
    pub(super) round_start: bool,
    pub(super) loss_round_start: bool,
    /// Runs lost in this round of looking for loss.
    pub(super) loss_events: u8,
    mark: Mark,
    /// Without SACK no more than one loss in a round trip is seen.
    pub(super) blind: bool,
    /// Bytes lost in this round, and in the one before.
    lost: u32,
    last_lost: u32,

    /// µs.
    min_rtt: u32,
    /// Least of [`PROBE_RTT_INTERVAL`], µs.
    probe_rtt_min: u32,
    /// When they were measured, ms (wraps).
    min_rtt_at: u32,
    probe_rtt_min_at: u32,
    pub(super) probe_rtt_due: bool,

    /// Acknowledgments more than the rate would have, in the last rounds and in those before.
    extra: [u32; 2],
    extra_rounds: u8,
    /// µs (wraps).
    extra_since: u32,
    extra_delivered: u32,
}

packed!(struct Path {
    bw, bw_lo, bw_latest, inflight_latest, inflight_hi, inflight_lo, delivered, next_round,
    last_round, next_loss_round, begun, round_start, loss_round_start, loss_events, mark, blind,
    lost, last_lost, min_rtt,
    probe_rtt_min, min_rtt_at, probe_rtt_min_at, probe_rtt_due, extra, extra_rounds, extra_since,
    extra_delivered,
});

impl Path {
    pub(super) fn new() -> Self {
        Self {
            bw: [Rate::ZERO; 2],
            bw_lo: Rate::NONE,
            bw_latest: Rate::ZERO,
            inflight_latest: 0,
            inflight_hi: NONE,
            inflight_lo: NONE,
            delivered: 0,
            next_round: 0,
            last_round: 0,
            next_loss_round: 0,
            begun: false,
            round_start: false,
            loss_round_start: false,
            loss_events: 0,
            mark: Mark::None,
            blind: false,
            lost: 0,
            last_lost: 0,
            min_rtt: NONE,
            probe_rtt_min: NONE,
            min_rtt_at: 0,
            probe_rtt_min_at: 0,
            probe_rtt_due: false,
            extra: [0; 2],
            extra_rounds: 0,
            extra_since: 0,
            extra_delivered: 0,
        }
    }

    /// The highest rate of the last two cycles.
    pub(super) fn max_bw(&self) -> Rate {
        let [last, this] = self.bw;
        last.max(this)
    }

    /// A cycle ends: what was highest in the one before is forgotten.
    pub(super) fn next_cycle(&mut self) {
        let [_, this] = self.bw;
        if this > Rate::ZERO {
            self.bw = [this, Rate::ZERO];
        }
    }

    /// Rounds and signals of an acknowledgment.
    pub(super) fn begin_ack(&mut self, ack: &Ack, sample: Option<&Sample>) {
        self.delivered = ack.delivered;
        self.round_start = false;
        self.loss_round_start = false;
        let Some(Sample { rate, sample }) = sample else {
            return;
        };
        if !core::mem::replace(&mut self.begun, true) {
            self.next_round = sample.prior_delivered;
            self.last_round = sample.prior_delivered;
            self.next_loss_round = sample.prior_delivered;
        }
        if reached(sample.prior_delivered, self.next_round) {
            self.start_round();
            self.round_start = true;
        }
        if reached(sample.prior_delivered, self.next_loss_round) {
            self.next_loss_round = ack.delivered;
            self.loss_round_start = true;
        }
        self.bw_latest = self.bw_latest.max(*rate);
        self.inflight_latest = self.inflight_latest.max(sample.delivered);
    }

    /// The round begins anew, with what is sent from now on.
    pub(super) fn start_round(&mut self) {
        if self.next_round != self.delivered {
            self.last_round = self.next_round;
            self.last_lost = core::mem::take(&mut self.lost);
            self.next_round = self.delivered;
        }
    }

    /// A rate that the user held back counts if it is the highest even so.
    pub(super) fn learn_rate(&mut self, sample: &Sample) {
        if sample.rate >= self.max_bw() || !sample.sample.app_limited {
            let [_, this] = &mut self.bw;
            *this = (*this).max(sample.rate);
        }
    }

    /// Neither loss nor a mark in this round.
    fn is_calm(&self) -> bool {
        self.loss_events == 0 && self.mark != Mark::New
    }

    /// The first loss of a round, or mark, begins it: what comes of it shows a round trip later.
    fn note_loss(&mut self) {
        if self.is_calm() {
            self.next_loss_round = self.delivered;
        }
    }

    /// The path was marked. Once in a round that is enough.
    pub(super) fn mark(&mut self) {
        if self.mark == Mark::None {
            self.note_loss();
            self.mark = Mark::New;
        }
    }

    /// Whether a mark is still to be answered: it is, from now on.
    pub(super) fn take_mark(&mut self) -> bool {
        let new = self.mark == Mark::New;
        if new {
            self.mark = Mark::Heard;
        }
        new
    }

    /// Something is lost.
    pub(super) fn lose(&mut self, lost: &Lost) {
        self.note_loss();
        self.blind = !lost.sack;
        self.lost = self.lost.saturating_add(lost.bytes);
        if lost.apart || self.loss_events == 0 {
            self.loss_events = self.loss_events.saturating_add(1);
        }
    }

    /// Bytes lost since something was sent, with `delivered` bytes delivered by then. What was lost
    /// in the round before is taken to be spread evenly over it, for records have no room to note
    /// the count.
    pub(super) fn lost_since(&self, delivered: u32) -> u32 {
        let since = SeqNumber(self.next_round).since(SeqNumber(delivered));
        if reached(delivered, self.next_round) {
            return self.lost;
        }
        let round = self.next_round.wrapping_sub(self.last_round).max(1);
        let share = u64::from(self.last_lost) * u64::from(since.min(round)) / u64::from(round);
        self.lost
            .saturating_add(u32::try_from(share).unwrap_or(u32::MAX))
    }

    /// A round has ended in which the path was not probed: loss in it, or a mark, sets the short-term
    /// bounds. Returns whether a mark did.
    pub(super) fn adapt_lower_bounds(&mut self, cwnd: u32) -> bool {
        if self.is_calm() {
            return false;
        }
        if self.bw_lo == Rate::NONE {
            self.bw_lo = self.max_bw();
        }
        if self.inflight_lo == NONE {
            self.inflight_lo = cwnd;
        }
        self.bw_lo = self.bw_latest.max(self.bw_lo.percent(BETA));
        self.inflight_lo = self.inflight_latest.max(percent(self.inflight_lo, BETA));
        self.mark == Mark::New
    }

    /// The path is probed again.
    pub(super) fn reset_lower_bounds(&mut self) {
        self.bw_lo = Rate::NONE;
        self.inflight_lo = NONE;
    }

    /// What was heard of congestion is dealt with.
    pub(super) fn reset_signals(&mut self) {
        self.loss_events = 0;
        self.bw_latest = Rate::ZERO;
        self.inflight_latest = 0;
    }

    /// Whether `lost` bytes of `flight` are more than a path at its limit loses.
    pub(super) fn is_too_much(&self, lost: u32, flight: u32) -> bool {
        lost > percent(flight, LOSS_THRESH) || (lost > 0 && self.blind)
    }

    /// Whether that is so of what was lost since that was sent which `sample` is of.
    pub(super) fn is_inflight_too_high(&self, sample: &Sample) -> bool {
        let sample = &sample.sample;
        self.is_too_much(self.lost_since(sample.prior_delivered), sample.tx_in_flight)
    }

    /// The signals of the round that has ended make place for those of the next.
    pub(super) fn end_ack(&mut self, sample: &Sample) {
        if self.loss_round_start {
            self.bw_latest = sample.rate;
            self.inflight_latest = sample.sample.delivered;
            self.loss_events = 0;
            self.mark = Mark::None;
        }
    }

    /// Acknowledgments that come in bursts need a larger window: how much more arrives at once
    /// than the rate says, as the most of about `rounds` rounds.
    pub(super) fn learn_aggregation(&mut self, ack: &Ack, cwnd: u32, rounds: u8) {
        if self.round_start {
            self.extra_rounds = self.extra_rounds.saturating_add(1);
            if self.extra_rounds >= rounds / 2 {
                let [_, this] = self.extra;
                self.extra = [this, 0];
                self.extra_rounds = 0;
            }
        }
        let now = ack.now.us() as u32;
        let us = now.wrapping_sub(self.extra_since);
        let mut expected = self.bw_lo.min(self.max_bw()).over(us.into());
        if u64::from(self.extra_delivered) <= expected {
            self.extra_delivered = 0;
            self.extra_since = now;
            expected = 0;
        }
        self.extra_delivered = self.extra_delivered.saturating_add(ack.acked);
        let extra = u64::from(self.extra_delivered).saturating_sub(expected);
        let extra = u32::try_from(extra).unwrap_or(u32::MAX).min(cwnd);
        let [_, this] = &mut self.extra;
        *this = (*this).max(extra);
    }

    pub(super) fn extra_acked(&self) -> u32 {
        let [last, this] = self.extra;
        last.max(this)
    }

    /// The time in which nothing was sent is not one in which something was expected.
    pub(super) fn forget_aggregation(&mut self) {
        self.extra_delivered = 0;
    }

    pub(super) fn learn_min_rtt(&mut self, ack: &Ack) {
        let now = ack.now.ms_wrapped();
        self.probe_rtt_due =
            self.min_rtt != NONE && now.wrapping_sub(self.probe_rtt_min_at) > PROBE_RTT_INTERVAL;
        if let Some(rtt) = ack.rtt {
            let us = u32::try_from(rtt.us()).unwrap_or(NONE).max(1);
            if us < self.probe_rtt_min || self.probe_rtt_due {
                self.probe_rtt_min = us;
                self.probe_rtt_min_at = now;
            }
        }
        let expired = now.wrapping_sub(self.min_rtt_at) > MIN_RTT_FILTER;
        if self.probe_rtt_min < self.min_rtt || expired {
            self.min_rtt = self.probe_rtt_min;
            self.min_rtt_at = self.probe_rtt_min_at;
        }
    }

    /// The least round-trip time was looked for, and is `now` as good as it gets.
    pub(super) fn min_rtt_is_fresh(&mut self, now: Instant) {
        self.probe_rtt_min_at = now.ms_wrapped();
    }

    /// Bytes in flight at `bw`, times `gain` percent; `None` while the round-trip
    /// time or the rate is unknown.
    pub(super) fn bdp(&self, bw: Rate, gain: u64) -> Option<u32> {
        if self.min_rtt == NONE || bw == Rate::ZERO {
            return None;
        }
        let bytes = bw.over(self.min_rtt.into()).saturating_mul(gain) / 100;
        Some(u32::try_from(bytes).unwrap_or(u32::MAX))
    }

    /// Congestion was a mistake: bounds are what they were, or better.
    pub(super) fn restore(&mut self, undo: &Undo) {
        self.loss_events = 0;
        self.lost = 0;
        self.last_lost = 0;
        self.bw_lo = self.bw_lo.max(undo.bw_lo);
        self.inflight_lo = self.inflight_lo.max(undo.inflight_lo);
        self.inflight_hi = self.inflight_hi.max(undo.inflight_hi);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::congestion::RateSample;
    use crate::tcp::time::Duration;

    fn lost(bytes: u32) -> Lost {
        Lost {
            bytes,
            apart: true,
            delivered: 0,
            tx_in_flight: None,
            app_limited: false,
            sack: true,
            mss: 1,
            now: Instant::default(),
        }
    }

    #[test]
    fn marks_of_one_round_are_answered_once() {
        let mut path = Path::new();
        let sample = RateSample {
            delivered: 0,
            interval: Duration::ZERO,
            prior_delivered: 0,
            app_limited: false,
            tx_in_flight: 0,
        };
        let rate = Rate::ZERO;
        for _ in 0..2 {
            for answer in [true, false] {
                path.mark();
                assert_eq!(path.take_mark(), answer);
            }
            path.loss_round_start = true;
            path.end_ack(&Sample { rate, sample });
        }
    }

    /// Two rounds of 100 bytes each, 10 lost in the first and 6 so far in the second.
    #[test]
    fn loss_is_counted_since_the_sending() {
        let mut path = Path::new();
        for (delivered, bytes) in [(100, 10), (200, 6)] {
            path.delivered = delivered;
            path.start_round();
            path.lose(&lost(bytes));
        }
        for (delivered, all) in [(0, 16), (100, 16), (150, 11), (199, 6), (200, 6), (250, 6)] {
            assert_eq!(path.lost_since(delivered), all, "{delivered}");
        }
    }

    #[test]
    fn a_round_of_looking_for_loss_begins_with_the_first() {
        let mut path = Path::new();
        for (delivered, begins) in [(100, 100), (120, 100), (130, 100)] {
            path.delivered = delivered;
            path.lose(&lost(1));
            assert_eq!(path.next_loss_round, begins);
        }
    }
}
