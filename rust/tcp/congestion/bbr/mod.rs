// SPDX-License-Identifier: GPL-2.0

//! BBR, version 3 (draft-ietf-ccwg-bbr): a model of the path, made of how fast it delivers, how long
//! a round trip takes and how much it loses, rules the rate of sending, and the window bounds what
//! may be in flight beside that. The draft leaves the answer to marks (ECN) open but for that there
//! is one: here a mark means what loss beyond the threshold does.
//!
//! The model is [`model`]; what state the control is in, and when it goes on to the next, are
//! [`startup`], [`probe_bw`] and [`probe_rtt`]. What follows from both is here.

mod model;
mod probe_bw;
mod probe_rtt;
mod rate;
mod startup;

use super::window::initial_window;
use super::{Ack, Congested, CongestionControl, Lost, RateSample, Signal};
use crate::tcp::pack::packed;
use crate::tcp::seq::SeqNumber;
use crate::tcp::time::{Duration, Instant};
use probe_bw::{Cut, Excess, Probing};
use rate::Rate;

/// Gains, percent.
const STARTUP_PACING_GAIN: u64 = 277;
const DRAIN_PACING_GAIN: u64 = 50;
const CWND_GAIN: u64 = 200;
const UP_CWND_GAIN: u64 = 225;
/// What is left of the rate, so that the queue does not stay where it is: percent.
const PACING_MARGIN: u64 = 99;
/// What congestion leaves of a short-term bound, percent.
const BETA: u64 = 70;
/// Loss beyond this part of the flight says that there is too much of it, percent.
const LOSS_THRESH: u64 = 2;
/// What of the flight is left to others while cruising, percent.
const HEADROOM: u64 = 15;
/// The window never goes below this, so that the path is kept busy: segments.
const MIN_PIPE: u32 = 4;
/// No bound.
const NONE: u32 = u32::MAX;

/// What the control is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    /// The rate doubles each round, until the path delivers no faster.
    Startup,
    /// The queue that this made runs dry.
    Drain,
    /// Below the rate of the path, to leave room.
    Down,
    /// At the rate of the path.
    Cruise,
    /// At the rate of the path, to fill it before it is probed.
    Refill,
    /// Above it, to see whether there is more.
    Up,
    /// With little in flight, to see the path's round-trip time without a queue.
    ProbeRtt,
}

packed!(enum Mode {
    0 => Startup, 1 => Drain, 2 => Down, 3 => Cruise, 4 => Refill, 5 => Up, 6 => ProbeRtt,
});

impl Mode {
    fn is_probe_bw(self) -> bool {
        matches!(self, Self::Down | Self::Cruise | Self::Refill | Self::Up)
    }

    /// Whether loss is looked for: what it says then belongs to the long-term bounds.
    fn is_probing(self) -> bool {
        matches!(self, Self::Startup | Self::Refill | Self::Up)
    }

    fn pacing_gain(self) -> u64 {
        match self {
            Self::Startup => STARTUP_PACING_GAIN,
            Self::Drain => DRAIN_PACING_GAIN,
            Self::Down => 90,
            Self::Up => 125,
            Self::Cruise | Self::Refill | Self::ProbeRtt => 100,
        }
    }

    fn cwnd_gain(self) -> u64 {
        match self {
            Self::Up => UP_CWND_GAIN,
            Self::ProbeRtt => probe_rtt::CWND_GAIN,
            _ => CWND_GAIN,
        }
    }
}

/// Why what was lost is being sent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Repair {
    /// It is not.
    None,
    /// It is not yet, or need not be: loss was found in this round.
    Found,
    /// Fast recovery.
    Fast,
    /// A timeout.
    Timeout,
}

packed!(enum Repair { 0 => None, 1 => Found, 2 => Fast, 3 => Timeout });

/// What congestion changes, to be restored when it was a mistake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Undo {
    bw_lo: Rate,
    inflight_lo: u32,
    inflight_hi: u32,
}

packed!(struct Undo { bw_lo, inflight_lo, inflight_hi });

/// BBR.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bbr {
    mode: Mode,
    repair: Repair,
    cwnd: u32,
    /// The window before recovery or ProbeRTT.
    prior_cwnd: u32,
    pacing_rate: Rate,
    has_seen_rtt: bool,
    idle_restart: bool,
    undo: Undo,
    path: model::Path,
    full_bw: startup::FullBandwidth,
    probing: Probing,
    probe_rtt: probe_rtt::ProbeRtt,
}

packed!(struct Bbr {
    mode, repair, cwnd, prior_cwnd, pacing_rate, has_seen_rtt, idle_restart, undo, path,
    full_bw, probing, probe_rtt,
});

/// An acknowledgment with a rate, as the model hears it.
struct Sample {
    rate: Rate,
    sample: RateSample,
}

impl Sample {
    fn new(ack: &Ack) -> Option<Self> {
        let sample = ack.rate.filter(|s| s.interval != Duration::ZERO)?;
        let rate = Rate::new(sample.delivered.into(), sample.interval.us());
        Some(Self { rate, sample })
    }
}

impl Bbr {
    /// A connection's start.
    pub fn new(mss: u32) -> Self {
        Self::with_window(initial_window(mss), mss)
    }

    /// With a window that another control left, bytes.
    pub(super) fn with_window(cwnd: u32, mss: u32) -> Self {
        let cwnd = cwnd.max(MIN_PIPE.saturating_mul(mss));
        let mut bbr = Self {
            mode: Mode::Startup,
            repair: Repair::None,
            cwnd,
            prior_cwnd: 0,
            pacing_rate: Rate::ZERO,
            has_seen_rtt: false,
            idle_restart: false,
            undo: Undo {
                bw_lo: Rate::NONE,
                inflight_lo: NONE,
                inflight_hi: NONE,
            },
            path: model::Path::new(),
            full_bw: startup::FullBandwidth::default(),
            probing: Probing::new(),
            probe_rtt: probe_rtt::ProbeRtt::default(),
        };
        bbr.pacing_rate = bbr.initial_rate(Duration::from_ms(1));
        bbr
    }

    /// The rate of the window in `rtt`, with Startup's gain.
    fn initial_rate(&self, rtt: Duration) -> Rate {
        Rate::new(self.cwnd.into(), rtt.us()).percent(STARTUP_PACING_GAIN)
    }

    /// The window's rate is spread over the first round-trip time that is known.
    fn see_rtt(&mut self, ack: &Ack) {
        if !self.has_seen_rtt && ack.srtt != Duration::ZERO {
            self.has_seen_rtt = true;
            self.pacing_rate = self.initial_rate(ack.srtt);
        }
        self.probing.seed(ack);
    }

    fn update_model(&mut self, ack: &Ack, sample: Option<&Sample>) {
        self.path.begin_ack(ack, sample);
        if let Some(sample) = sample {
            self.path.learn_rate(sample);
            if self.path.loss_round_start && !self.mode.is_probing() {
                let marked = self.path.adapt_lower_bounds(self.cwnd);
                if marked {
                    self.save_bounds();
                }
            }
            let rounds = if self.full_bw.reached { 10 } else { 1 };
            self.path.learn_aggregation(ack, self.cwnd, rounds);
            self.full_bw.look(sample, self.path.round_start);
            self.heed_mark(ack, sample);
            self.leave_startup_or_drain(ack, sample);
            self.update_cycle(ack, sample);
        }
        self.path.learn_min_rtt(ack);
        self.check_probe_rtt(ack);
        if let Some(sample) = sample {
            if self.path.loss_round_start && self.repair == Repair::Found {
                self.repair = Repair::None;
            }
            self.path.end_ack(sample);
        }
    }

    /// The path was marked (RFC 3168 6.1.2). While it is probed there is too much in flight; else it
    /// is the end of the round that sets the short-term bounds, as for loss. A mark is no mistake: what
    /// it changes stays so.
    fn heed_mark(&mut self, ack: &Ack, sample: &Sample) {
        if !self.mode.is_probing() || !self.path.take_mark() {
            return;
        }
        if self.mode == Mode::Startup {
            self.fill_startup(ack.mss);
        } else {
            self.lower_long_term(&Excess::of(ack, sample));
            self.start_down(ack.now);
        }
        self.save_bounds();
    }

    /// The rate that the model allows.
    fn bw(&self) -> Rate {
        self.path.max_bw().min(self.path.bw_lo)
    }

    fn set_pacing_rate(&mut self, gain: u64) {
        let rate = self.bw().percent(gain).percent(PACING_MARGIN);
        if rate > Rate::ZERO && (self.full_bw.reached || rate > self.pacing_rate) {
            self.pacing_rate = rate;
        }
    }

    /// Bytes in flight at `bw` with `gain`; the initial window while there is no round-trip time.
    fn bdp(&self, bw: Rate, gain: u64, mss: u32) -> u32 {
        self.path
            .bdp(bw, gain)
            .unwrap_or_else(|| initial_window(mss))
    }

    /// [`Bbr::bdp`], with room for a batch at the sender, one on its way and one at the receiver.
    fn inflight(&self, bw: Rate, gain: u64, mss: u32) -> u32 {
        self.with_budget(self.bdp(bw, gain, mss), mss)
    }

    fn with_budget(&self, bytes: u32, mss: u32) -> u32 {
        let budget = self.send_quantum(mss).saturating_mul(3);
        let bytes = bytes.max(budget).max(min_pipe(mss));
        if self.mode == Mode::Up {
            bytes.saturating_add(mss.saturating_mul(2))
        } else {
            bytes
        }
    }

    /// Bytes that are sent in one go: what a millisecond's worth of the rate is, up to 64 KiB.
    fn send_quantum(&self, mss: u32) -> u32 {
        let rate = self.pacing_rate.bytes();
        let least = if rate < 150_000 {
            mss
        } else {
            mss.saturating_mul(2)
        };
        let quantum = (rate / 1000).min(65_536);
        u32::try_from(quantum).unwrap_or(65_536).max(least)
    }

    fn inflight_with_headroom(&self, mss: u32) -> u32 {
        let hi = self.path.inflight_hi;
        if hi == NONE {
            return NONE;
        }
        let headroom = percent(hi, HEADROOM).max(mss);
        hi.saturating_sub(headroom).max(min_pipe(mss))
    }

    fn set_cwnd(&mut self, ack: &Ack) {
        let mss = ack.mss;
        let bdp = self.bdp(self.bw(), self.mode.cwnd_gain(), mss);
        let most = self.with_budget(bdp.saturating_add(self.path.extra_acked()), mss);
        let grown = self.cwnd.saturating_add(ack.acked);
        if self.full_bw.reached {
            self.cwnd = grown.min(most);
        } else if self.cwnd < most || self.cwnd < initial_window(mss).saturating_mul(2) {
            self.cwnd = grown;
        }
        self.cwnd = self.cwnd.max(min_pipe(mss));

        let bound = match self.mode {
            Mode::ProbeRtt => self
                .inflight_with_headroom(mss)
                .min(self.probe_rtt_cwnd(mss)),
            Mode::Cruise => self.inflight_with_headroom(mss),
            Mode::Down | Mode::Refill | Mode::Up => self.path.inflight_hi,
            Mode::Startup | Mode::Drain => NONE,
        };
        let bound = bound.min(self.path.inflight_lo).max(min_pipe(mss));
        self.cwnd = self.cwnd.min(bound);
    }

    /// Remembers the window that recovery or ProbeRTT must not cost.
    fn save_cwnd(&mut self) {
        self.prior_cwnd = if self.repair == Repair::None && self.mode != Mode::ProbeRtt {
            self.cwnd
        } else {
            self.prior_cwnd.max(self.cwnd)
        };
    }

    /// What was lost is to be sent again. What that loss has changed already was saved when it was
    /// found.
    fn begin_repair(&mut self, repair: Repair) {
        self.save_cwnd();
        if self.repair == Repair::None {
            self.save_bounds();
        }
        self.repair = repair;
    }

    fn restore_cwnd(&mut self) {
        self.cwnd = self.cwnd.max(self.prior_cwnd);
    }

    fn save_bounds(&mut self) {
        self.probing.cut = Cut::None;
        self.undo = Undo {
            bw_lo: self.path.bw_lo,
            inflight_lo: self.path.inflight_lo,
            inflight_hi: self.path.inflight_hi,
        };
    }
}

/// `percent` of `bytes`.
fn percent(bytes: u32, percent: u64) -> u32 {
    u32::try_from(u64::from(bytes).saturating_mul(percent) / 100).unwrap_or(u32::MAX)
}

fn min_pipe(mss: u32) -> u32 {
    mss.saturating_mul(MIN_PIPE).max(1)
}

impl CongestionControl for Bbr {
    fn window(&self) -> u32 {
        self.cwnd
    }

    /// It has none: it is not by a threshold that it leaves Startup.
    fn ssthresh(&self) -> u32 {
        u32::MAX
    }

    fn on_ack(&mut self, ack: &Ack) {
        self.see_rtt(ack);
        let mut sample = Sample::new(ack);
        if let Some(Sample { sample, .. }) = &mut sample {
            sample.app_limited |= self.is_held_back(sample.prior_delivered);
        }
        self.update_model(ack, sample.as_ref());
        self.set_pacing_rate(self.mode.pacing_gain());
        self.set_cwnd(ack);
    }

    fn on_lost(&mut self, lost: &Lost) {
        if self.repair == Repair::None {
            self.begin_repair(Repair::Found);
        }
        self.path.lose(lost);
        self.look_at_loss(lost);
    }

    /// As in Linux loss alone does not shrink the window: the rate is what counts, and how much was
    /// lost in a round is for the model to judge.
    fn on_congestion(&mut self, congested: &Congested) {
        match congested.signal {
            Signal::Loss => self.begin_repair(Repair::Fast),
            Signal::Ecn => self.path.mark(),
        }
    }

    fn on_recovered(&mut self, _most: Option<u32>, mss: u32, _now: Instant) {
        if core::mem::replace(&mut self.repair, Repair::None) != Repair::None {
            self.restore_cwnd();
        }
        self.cwnd = self.cwnd.max(mss);
    }

    fn on_timeout(&mut self, flight: u32, mss: u32, first: bool, _now: Instant) {
        if first {
            self.begin_repair(Repair::Timeout);
        }
        // The short-term bound must not begin at the window that a timeout leaves.
        if !self.mode.is_probing() && self.path.inflight_lo == NONE {
            self.path.inflight_lo = self.prior_cwnd.max(self.cwnd);
        }
        self.cwnd = flight.saturating_add(mss);
    }

    fn on_undo(&mut self, _now: Instant) {
        self.repair = Repair::None;
        self.restore_cwnd();
        self.full_bw.forget();
        self.path.restore(&self.undo);
        match core::mem::replace(&mut self.probing.cut, Cut::None) {
            Cut::Startup if self.mode != Mode::Startup => {
                self.full_bw.reached = false;
                if self.mode != Mode::ProbeRtt {
                    self.enter_startup();
                }
            }
            Cut::Up if !matches!(self.mode, Mode::Up | Mode::ProbeRtt) => self.start_refill(),
            _ => {}
        }
    }

    fn on_idle(&mut self, _idle: Duration, _rto: Duration, _mss: u32, now: Instant) {
        self.idle_restart = true;
        self.path.forget_aggregation();
        if self.mode.is_probe_bw() {
            self.set_pacing_rate(100);
        } else if self.mode == Mode::ProbeRtt {
            self.end_probe_rtt_if_long(now, 0);
        }
    }

    fn pacing_rate(&self) -> Option<u64> {
        Some(self.pacing_rate.bytes())
    }
}

/// `a` is at or behind `b` on the circle of the counts of what is delivered.
fn reached(a: u32, b: u32) -> bool {
    SeqNumber(a).at_or_after(SeqNumber(b))
}

#[cfg(test)]
mod tests;
