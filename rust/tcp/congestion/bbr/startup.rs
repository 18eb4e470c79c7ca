// SPDX-License-Identifier: GPL-2.0

//! Startup and Drain: the rate of the path is found by doubling, and what that queued runs dry.

use super::probe_bw::Cut;
use super::rate::Rate;
use super::{Bbr, Mode, Repair, Sample};
use crate::tcp::congestion::Ack;
use crate::tcp::pack::packed;

/// Rounds without growth that say that the path is full.
const FULL_BW_ROUNDS: u8 = 3;
/// Growth that counts, percent.
const FULL_BW_GROWTH: u64 = 125;
/// Runs lost in a round that say that Startup goes too far.
const LOSS_EVENTS: u8 = 6;

/// Rounds after which Drain ends whatever is in flight: then the rate was taken for more than it is.
const DRAIN_ROUNDS: u8 = 3;

/// Whether the path delivers no faster however fast it is sent into.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct FullBandwidth {
    /// The rate that is to be exceeded.
    bw: Rate,
    rounds: u8,
    /// It was so in this probe.
    pub(super) now: bool,
    /// It was so once.
    pub(super) reached: bool,
    /// Rounds that Drain has lasted.
    draining: u8,
}

packed!(struct FullBandwidth { bw, rounds, now, reached, draining });

impl FullBandwidth {
    pub(super) fn look(&mut self, sample: &Sample, round_start: bool) {
        let rate = sample.rate;
        if self.now || sample.sample.app_limited {
            return;
        }
        if rate >= self.bw.percent(FULL_BW_GROWTH) {
            self.start(rate);
            return;
        }
        if !round_start {
            return;
        }
        self.rounds = self.rounds.saturating_add(1);
        if self.rounds >= FULL_BW_ROUNDS {
            self.now = true;
            self.reached = true;
        }
    }

    /// Looks for more than `rate`.
    pub(super) fn start(&mut self, rate: Rate) {
        self.forget();
        self.bw = rate;
    }

    pub(super) fn forget(&mut self) {
        self.bw = Rate::ZERO;
        self.rounds = 0;
        self.now = false;
    }
}

impl Bbr {
    pub(super) fn enter_startup(&mut self) {
        self.mode = Mode::Startup;
    }

    pub(super) fn leave_startup_or_drain(&mut self, ack: &Ack, sample: &Sample) {
        if self.mode == Mode::Startup {
            self.leave_startup_by_loss(ack, sample);
            if self.full_bw.reached {
                self.mode = Mode::Drain;
                self.full_bw.draining = 0;
            }
        } else if self.path.round_start {
            self.full_bw.draining = self.full_bw.draining.saturating_add(1);
        }
        if self.mode == Mode::Drain {
            let target = self.inflight(self.path.max_bw(), 100, ack.mss);
            if ack.flight <= target || self.full_bw.draining > DRAIN_ROUNDS {
                self.start_down(ack.now);
            }
        }
    }

    /// A whole round of recovery with much loss, here and there as far as that can be seen: the path
    /// is more than full.
    fn leave_startup_by_loss(&mut self, ack: &Ack, sample: &Sample) {
        let lossy = self.path.loss_round_start
            && self.repair == Repair::Fast
            && (self.path.loss_events >= LOSS_EVENTS || self.path.blind)
            && self.path.is_inflight_too_high(sample);
        if lossy && !self.full_bw.reached {
            self.fill_startup(ack.mss);
            self.probing.cut = Cut::Startup;
        }
    }

    /// What is in flight is as much as the path bears, though it may deliver faster.
    pub(super) fn fill_startup(&mut self, mss: u32) {
        self.full_bw.reached = true;
        let bdp = self.bdp(self.path.max_bw(), 100, mss);
        self.path.inflight_hi = bdp.max(self.path.inflight_latest);
    }
}
