// SPDX-License-Identifier: GPL-2.0

//! When text may go, and how much at once, so that a window is spread over its round trip: by a
//! clock of our own where the rate is ruled and nobody below us keeps it, and always by runs that
//! are no longer than what goes in a millisecond (as Linux does both).

use super::config::Config;
use super::congestion::pacing::pacing_rate;
use super::congestion::CongestionControl;
use super::pack::packed;
use super::tcb::Tcb;
use super::time::{Duration, Instant};

const NS_IN_US: u64 = 1000;
const NS_IN_SECOND: u64 = 1_000_000_000;

/// Segments that are sent without being counted, at the start of a connection (as sch_fq does).
const FREE_SEGMENTS: u32 = 10;

/// Below this rate a control that rules it sends single segments, bytes a second (1.2 Mbit/s).
const SINGLE_SEGMENTS_BELOW: u64 = 150_000;

/// How long runs of segments may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Runs {
    /// Segments that a run may always have (`tcp_min_tso_segs`).
    pub min_segments: u8,
    /// A run is what goes in 1/2^shift s (`sk_pacing_shift`).
    pub shift: u8,
    /// A run may be longer by the largest one halved for each 2^rtt_log µs of the least round trip
    /// (`tcp_tso_rtt_log`).
    pub rtt_log: u8,
    /// A run that is not full waits for an acknowledgment that is near, unless this part of the
    /// window is free for it (`tcp_tso_win_divisor`); 0: unless three segments are.
    pub win_divisor: u8,
}

packed!(struct Runs { min_segments, shift, rtt_log, win_divisor });

impl Default for Runs {
    fn default() -> Self {
        Self {
            min_segments: 2,
            shift: 10,
            rtt_log: 9,
            win_divisor: 3,
        }
    }
}

/// The clock of one connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pacer {
    /// The rate that follows from the window, bytes a second; `u64::MAX` before there is one.
    rate: u64,
    /// When the next run is due, ns: fast links send a segment in less than a microsecond.
    due: u64,
    /// Something waits for that.
    waiting: bool,
}

packed!(struct Pacer { rate, due, waiting });

impl Default for Pacer {
    fn default() -> Self {
        Self {
            rate: u64::MAX,
            due: 0,
            waiting: false,
        }
    }
}

impl Pacer {
    fn is_due(&self, now: Instant) -> bool {
        self.due <= now.us().saturating_mul(NS_IN_US)
    }

    /// `len` bytes go at `rate`. A timer that fired late is made up for, as far as `tick`, what a
    /// timer may be late by; what was not used for longer is forgone.
    fn on_sent(&mut self, len: u32, rate: u64, tick: Duration, now: Instant) {
        let takes = u64::from(len).saturating_mul(NS_IN_SECOND) / rate.max(1);
        let from = (now - tick).us().saturating_mul(NS_IN_US);
        self.due = self.due.max(from).saturating_add(takes);
    }

    /// `len` bytes were not sent after all.
    fn on_refused(&mut self, len: u32, rate: u64) {
        let takes = u64::from(len).saturating_mul(NS_IN_SECOND) / rate.max(1);
        self.due = self.due.saturating_sub(takes);
    }

    /// Time has passed: what waited may go, and says so if it has to wait again.
    pub(super) fn on_timer(&mut self, now: Instant) {
        self.waiting = self.waiting && !self.is_due(now);
    }

    /// Nothing waits.
    pub(super) fn rest(&mut self) {
        self.waiting = false;
    }

    /// When to look again, if something waits.
    fn deadline(&self) -> Option<Instant> {
        self.waiting
            .then(|| Instant::from_us(self.due.div_ceil(NS_IN_US)))
    }
}

impl Tcb {
    /// The rate of sending, bytes a second; `u64::MAX` for none.
    pub fn pacing_rate(&self, config: &Config) -> u64 {
        let rate = self.congestion.pacing_rate().unwrap_or(self.pacer.rate);
        rate.min(config.max_pacing_rate)
    }

    /// The window or the round-trip time has changed.
    pub(super) fn update_pacing(&mut self, config: &Config) {
        if self.rules_itself() {
            return;
        }
        let srtt = self.rtt.srtt().unwrap_or(Duration::ZERO);
        let rate = pacing_rate(&self.congestion, self.flight(), srtt, config.pacing);
        self.pacer.rate = rate.unwrap_or(u64::MAX);
    }

    /// Whether it is for us to keep the rate: the control rules it or the user has set a limit, and
    /// the queueing discipline does not.
    pub(super) fn paces(&self, config: &Config) -> bool {
        !config.paced_below && (self.rules_itself() || config.max_pacing_rate != u64::MAX)
    }

    /// Whether text, new or not, has to wait for its time.
    pub(super) fn is_paced_out(&mut self, config: &Config, now: Instant) -> bool {
        let early = self.paces(config) && !self.pacer.is_due(now);
        self.pacer.waiting = early && self.has_more_to_send();
        early
    }

    pub(super) fn has_more_to_send(&self) -> bool {
        let fin = self.fin_seq().is_some_and(|f| f.at_or_after(self.snd_nxt));
        fin || self.unsent() > 0 || self.scoreboard.waiting() > 0
    }

    /// When something that waits may go. It may be gone by now: acknowledged, as it was not lost.
    pub(super) fn pacing_deadline(&self) -> Option<Instant> {
        let at = self.pacer.deadline()?;
        (self.state.may_transmit() && self.has_more_to_send()).then_some(at)
    }

    /// `len` bytes are sent.
    pub(super) fn pace(&mut self, config: &Config, len: u32, now: Instant) {
        let rate = self.pacing_rate(config);
        let free = self.totals.text_segments_out <= FREE_SEGMENTS;
        if self.paces(config) && rate != u64::MAX && !free {
            self.pacer.on_sent(len, rate, config.timer_tick, now);
        }
    }

    /// As if [`Tcb::pace`] had not been told of `len` bytes.
    pub(super) fn unpace(&mut self, config: &Config, len: u32) {
        let rate = self.pacing_rate(config);
        let free = self.totals.text_segments_out <= FREE_SEGMENTS;
        if self.paces(config) && rate != u64::MAX && !free {
            self.pacer.on_refused(len, rate);
        }
    }

    /// Most bytes of a run, of which the path lets `most`.
    pub(super) fn run_at_rate(&self, config: &Config, most: u32) -> u32 {
        let mss = self.mss32();
        if most <= mss {
            return mss;
        }
        let Runs {
            min_segments,
            shift,
            rtt_log,
            ..
        } = config.runs;
        let rate = self.pacing_rate(config);
        let in_time = rate.checked_shr(shift.into()).unwrap_or(0);
        let near = match self.rtt.min().us() {
            0 => 0,
            us => {
                let halvings = us.checked_shr(rtt_log.into()).unwrap_or(0);
                let halvings = u32::try_from(halvings).unwrap_or(u32::MAX);
                most.checked_shr(halvings).unwrap_or(0)
            }
        };
        let bytes = in_time.saturating_add(near.into()).min(most.into());
        let min = match self.rules_itself() {
            true if rate < SINGLE_SEGMENTS_BELOW => 1,
            true => 2,
            false => u32::from(min_segments.max(1)),
        };
        let bytes = u32::try_from(bytes).unwrap_or(most);
        bytes.max(mss.saturating_mul(min)).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_ms(4);

    fn at(us: u64) -> Instant {
        Instant::from_us(us)
    }

    /// Sends runs of `len` whenever a timer that fires every `tick` µs finds one due; returns the
    /// bytes sent in a second.
    fn in_a_second(len: u32, rate: u64, tick: u64) -> u64 {
        let mut pacer = Pacer::default();
        let mut sent = 0;
        for now in (0..1_000_000).step_by(tick as usize) {
            while pacer.is_due(at(1_000_000 + now)) {
                pacer.on_sent(len, rate, Duration::from_us(tick), at(1_000_000 + now));
                sent += u64::from(len);
            }
        }
        sent
    }

    #[test]
    fn coarse_timers_keep_the_rate() {
        for (len, rate, tick) in [
            (1448, 1_000_000, 1000),
            (1448, 1_000_000, 4000),
            (2896, 125_000_000, 4000),
            (65_160, 1_250_000_000, 4000),
            (1448, 20_000, 4000),
        ] {
            let sent = in_a_second(len, rate, tick);
            // A tick's worth more at the start, and the last run may be on its way.
            let slack = rate * tick / 1_000_000 + u64::from(len);
            assert!(
                sent.abs_diff(rate) <= slack,
                "{len} at {rate} every {tick}: {sent}"
            );
        }
    }

    #[test]
    fn the_second_run_waits_for_the_time_that_the_first_takes() {
        let mut pacer = Pacer::default();
        pacer.on_sent(1000, 1_000_000, Duration::ZERO, at(50_000));
        assert!(!pacer.is_due(at(50_999)));
        assert!(pacer.is_due(at(51_000)));
    }

    #[test]
    fn part_of_a_microsecond_is_not_lost() {
        let mut pacer = Pacer::default();
        for _ in 0..10 {
            pacer.on_sent(100, 1_000_000_000, Duration::ZERO, at(50_000));
        }
        assert!(!pacer.is_due(at(50_000)));
        assert!(pacer.is_due(at(50_001)));
    }

    #[test]
    fn an_idle_time_saves_up_no_more_than_a_tick() {
        let mut pacer = Pacer::default();
        pacer.on_sent(1000, 1_000_000, TICK, at(0));
        let later = at(10_000_000);
        let mut burst = 0;
        while pacer.is_due(later) {
            pacer.on_sent(1000, 1_000_000, TICK, later);
            burst += 1;
        }
        assert_eq!(burst, 5, "four of the tick, and the one that is due");
    }

    #[test]
    fn there_is_a_deadline_only_while_something_waits() {
        let mut pacer = Pacer::default();
        pacer.on_sent(1001, 1_000_000_000, Duration::ZERO, at(7));
        assert_eq!(pacer.deadline(), None);
        pacer.waiting = true;
        assert_eq!(pacer.deadline(), Some(at(9)), "rounded up");
    }

    #[test]
    fn no_rate_and_no_end_of_time_overflow() {
        let mut pacer = Pacer::default();
        pacer.on_sent(u32::MAX, 0, TICK, at(u64::MAX));
        assert_eq!(pacer.due, u64::MAX);
        assert!(!pacer.is_due(at(1 << 50)));
    }
}
