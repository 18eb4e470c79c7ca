// SPDX-License-Identifier: GPL-2.0

//! ProbeBW: a cycle of leaving room, cruising, filling the path and probing it for more.

use super::{percent, Bbr, Mode, Sample, BETA, LOSS_THRESH, NONE};
use crate::tcp::congestion::{Ack, Lost};
use crate::tcp::pack::packed;
use crate::tcp::time::Instant;

/// Time from one probe to the next: this, and up to a second more, ms.
const WAIT: u16 = 2_000;
/// Rounds after which the path is probed anyway: as Reno would have made up for a loss.
const MOST_ROUNDS: u32 = 63;

/// What the acknowledgments that come tell of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Feedback {
    /// Nothing in particular.
    None,
    /// The filling of the path.
    Refilling,
    /// Still that; the probe itself is on its way.
    Starting,
    /// The probe.
    Probe,
    /// The last of the probe.
    Stopping,
}

packed!(enum Feedback { 0 => None, 1 => Refilling, 2 => Starting, 3 => Probe, 4 => Stopping });

/// The phase that loss has cut short: if that was a mistake, it is gone back to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cut {
    None,
    Startup,
    Up,
}

packed!(enum Cut { 0 => None, 1 => Startup, 2 => Up });

/// How careful the next probe has to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Caution {
    None,
    /// The last one went too high: this one ends where that one did.
    TooHigh,
    /// It has ended there; if that was not too much, the next comes at once.
    Tried,
}

packed!(enum Caution { 0 => None, 1 => TooHigh, 2 => Tried });

/// Where the cycle is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Probing {
    feedback: Feedback,
    /// Loss that is seen may set the long-term bound.
    samples: bool,
    /// ms (wraps).
    cycle_start: u32,
    /// ms.
    wait: u16,
    pub(super) cut: Cut,
    caution: Caution,
    rounds_since_probe: u8,
    /// Rounds in which the long-term bound was raised.
    up_rounds: u8,
    /// Bytes to be acknowledged for each byte that the bound is raised by.
    up_cnt: u32,
    up_acks: u32,
    rng: u32,
}

packed!(struct Probing {
    feedback, samples, cycle_start, wait, cut, caution, rounds_since_probe, up_rounds, up_cnt,
    up_acks, rng,
});

impl Probing {
    pub(super) fn new() -> Self {
        Self {
            feedback: Feedback::None,
            samples: false,
            cycle_start: 0,
            wait: WAIT,
            cut: Cut::None,
            caution: Caution::None,
            rounds_since_probe: 0,
            up_rounds: 0,
            up_cnt: NONE,
            up_acks: 0,
            rng: 0,
        }
    }

    /// Flows that share a path must not probe it in step: each starts from its own numbers.
    pub(super) fn seed(&mut self, ack: &Ack) {
        if self.rng == 0 {
            let us = ack.now.us();
            self.rng = (ack.snd_nxt.0 ^ us as u32 ^ (us >> 32) as u32) | 1;
        }
    }

    /// Xorshift: the timing of probes is no secret.
    fn random(&mut self) -> u32 {
        let mut x = self.rng.max(1);
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        self.rng = x;
        x
    }

    fn pick_wait(&mut self) {
        self.rounds_since_probe = (self.random() & 1) as u8;
        self.wait = WAIT.saturating_add((self.random() % 1_000) as u16);
    }

    pub(super) fn stop_feedback(&mut self) {
        self.feedback = Feedback::Stopping;
    }
}

/// There is more in flight than the path bears.
pub(super) struct Excess {
    /// Bytes that were when it showed.
    flight: u32,
    /// The user held them back.
    app_limited: bool,
    mss: u32,
    now: Instant,
}

impl Excess {
    pub(super) fn of(ack: &Ack, sample: &Sample) -> Self {
        Self {
            flight: sample.sample.tx_in_flight,
            app_limited: sample.sample.app_limited,
            mss: ack.mss,
            now: ack.now,
        }
    }
}

/// With how much in flight the loss came to the threshold, if `bytes` are lost that `flight` bytes
/// were in flight with, and with those `all` since they were sent: somewhere among them.
fn inflight_at_loss(bytes: u32, all: u32, flight: u32) -> u32 {
    let before = flight.saturating_sub(bytes);
    let borne = percent(before, LOSS_THRESH).saturating_sub(all.saturating_sub(bytes));
    let part = u64::from(borne) * 100 / (100 - LOSS_THRESH);
    before.saturating_add(u32::try_from(part).unwrap_or(u32::MAX))
}

impl Bbr {
    pub(super) fn start_down(&mut self, now: Instant) {
        self.path.reset_signals();
        self.probing.up_cnt = NONE;
        self.probing.pick_wait();
        self.probing.cycle_start = now.ms_wrapped();
        self.probing.feedback = Feedback::Stopping;
        self.path.start_round();
        self.mode = Mode::Down;
    }

    pub(super) fn start_cruise(&mut self) {
        self.mode = Mode::Cruise;
    }

    pub(super) fn start_refill(&mut self) {
        self.path.reset_lower_bounds();
        if self.probing.caution == Caution::Tried {
            self.probing.caution = Caution::None;
        }
        self.probing.up_rounds = 0;
        self.probing.up_acks = 0;
        self.probing.feedback = Feedback::Refilling;
        self.path.start_round();
        self.mode = Mode::Refill;
    }

    fn start_up(&mut self, ack: &Ack, sample: &Sample) {
        self.probing.feedback = Feedback::Starting;
        self.path.start_round();
        self.full_bw.start(sample.rate);
        self.mode = Mode::Up;
        self.raise_slope(ack);
    }

    pub(super) fn update_cycle(&mut self, ack: &Ack, sample: &Sample) {
        if !self.full_bw.reached {
            return;
        }
        if self.path.round_start {
            self.probing.rounds_since_probe = self.probing.rounds_since_probe.saturating_add(1);
        }
        if self.adapt_long_term(ack, sample) {
            return;
        }
        let mode = self.mode;
        match mode {
            Mode::Down if self.is_time_to_probe(ack) => self.start_refill(),
            Mode::Down if self.is_time_to_cruise(ack) => self.start_cruise(),
            Mode::Cruise if self.is_time_to_probe(ack) => self.start_refill(),
            Mode::Refill if self.path.round_start => {
                self.probing.samples = true;
                self.start_up(ack, sample);
            }
            Mode::Up if self.is_time_to_go_down(ack, sample) => self.start_down(ack.now),
            _ => {}
        }
    }

    fn is_time_to_probe(&self, ack: &Ack) -> bool {
        let rounds = (self.target_inflight(ack.mss) / ack.mss.max(1)).min(MOST_ROUNDS);
        let elapsed = ack.now.ms_wrapped().wrapping_sub(self.probing.cycle_start);
        elapsed > u32::from(self.probing.wait)
            || u32::from(self.probing.rounds_since_probe) >= rounds
    }

    fn is_time_to_cruise(&self, ack: &Ack) -> bool {
        ack.flight <= self.inflight_with_headroom(ack.mss)
            && ack.flight <= self.inflight(self.path.max_bw(), 100, ack.mss)
    }

    /// The flight is where the last probe found it to be too much; or there is no more to be had, and
    /// it is not the bound that holds the flight back.
    fn is_time_to_go_down(&mut self, ack: &Ack, sample: &Sample) -> bool {
        let prior = ack.flight.saturating_add(ack.acked);
        let next = prior.saturating_add(ack.mss);
        if self.probing.caution == Caution::TooHigh && next > self.path.inflight_hi {
            self.probing.caution = Caution::Tried;
            return true;
        }
        if ack.limited && self.cwnd >= self.path.inflight_hi {
            self.full_bw.start(sample.rate);
            return false;
        }
        if self.full_bw.now {
            self.probing.caution = Caution::None;
        }
        self.full_bw.now
    }

    fn target_inflight(&self, mss: u32) -> u32 {
        self.bdp(self.bw(), 100, mss).min(self.cwnd)
    }

    /// Returns whether a probe begins by this.
    fn adapt_long_term(&mut self, ack: &Ack, sample: &Sample) -> bool {
        if self.path.round_start {
            match self.probing.feedback {
                Feedback::Starting => self.probing.feedback = Feedback::Probe,
                Feedback::Stopping => {
                    self.probing.samples = false;
                    self.probing.feedback = Feedback::None;
                    if self.mode.is_probe_bw() && !sample.sample.app_limited {
                        self.path.next_cycle();
                    }
                    if self.mode.is_probe_bw() && self.probing.caution == Caution::Tried {
                        self.start_refill();
                        return true;
                    }
                }
                _ => {}
            }
        }
        if self.path.is_inflight_too_high(sample) || self.path.inflight_hi == NONE {
            return false;
        }
        self.path.inflight_hi = self.path.inflight_hi.max(sample.sample.tx_in_flight);
        if self.mode == Mode::Up {
            self.raise_long_term(ack);
        }
        false
    }

    /// Loss beyond the threshold: what was in flight is too much. Once for each probe.
    pub(super) fn lower_long_term(&mut self, excess: &Excess) {
        self.probing.samples = false;
        self.probing.caution = Caution::TooHigh;
        if !excess.app_limited {
            let least = percent(self.target_inflight(excess.mss), BETA);
            self.path.inflight_hi = excess.flight.max(least);
        }
        if self.mode == Mode::Up {
            self.probing.cut = Cut::Up;
            self.start_down(excess.now);
        }
    }

    /// Something that was sent while the path was probed is lost: if that is too much, the bound is
    /// what had been in flight when it became too much. What the loss is found by was sent later,
    /// when there may have been far less in flight.
    pub(super) fn look_at_loss(&mut self, lost: &Lost) {
        if !self.probing.samples {
            return;
        }
        let unknown = self.path.inflight_latest.saturating_add(lost.bytes);
        let flight = lost.tx_in_flight.unwrap_or(unknown);
        let all = self.path.lost_since(lost.delivered).max(lost.bytes);
        if self.path.is_too_much(all, flight) {
            self.lower_long_term(&Excess {
                flight: inflight_at_loss(lost.bytes, all, flight),
                app_limited: lost.app_limited,
                mss: lost.mss,
                now: lost.now,
            });
        }
    }

    /// The bound holds the flight back and there is no loss: it rises, twice as fast each round.
    fn raise_long_term(&mut self, ack: &Ack) {
        if !ack.limited || self.cwnd < self.path.inflight_hi {
            return;
        }
        self.probing.up_acks = self.probing.up_acks.saturating_add(ack.acked);
        let cnt = self.probing.up_cnt.max(1);
        let grow = self.probing.up_acks / cnt;
        self.probing.up_acks %= cnt;
        self.path.inflight_hi = self.path.inflight_hi.saturating_add(grow);
        if self.path.round_start {
            self.raise_slope(ack);
        }
    }

    fn raise_slope(&mut self, ack: &Ack) {
        let growth = u64::from(ack.mss.max(1)) << self.probing.up_rounds.min(30);
        self.probing.up_rounds = self.probing.up_rounds.saturating_add(1).min(30);
        let cnt = u64::from(self.cwnd) / growth.max(1);
        self.probing.up_cnt = u32::try_from(cnt).unwrap_or(NONE).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_between_two_and_three_seconds_and_differ() {
        let mut probing = Probing::new();
        probing.rng = 7;
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..100 {
            probing.pick_wait();
            assert!((2_000..3_000).contains(&probing.wait));
            assert!(probing.rounds_since_probe <= 1);
            seen.insert(probing.wait);
        }
        assert!(seen.len() > 80);
    }
}
