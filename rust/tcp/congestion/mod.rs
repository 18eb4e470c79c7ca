// SPDX-License-Identifier: GPL-2.0

//! Congestion control behind one trait; windows are in bytes.

mod bbr;
mod cube;
mod cubic;
mod hystart;
mod newreno;
pub mod pacing;
pub mod pipe_ack;
pub mod validation;
mod window;

pub use bbr::Bbr;
pub use cubic::Cubic;
pub use newreno::NewReno;
pub use window::initial_window;

use super::pack::{packed, Pack, Packer};
use super::seq::SeqNumber;
use super::time::{Duration, Instant};

/// How fast the path delivers, by what one acknowledgment says (draft-cheng-iccrg-delivery-rate-
/// estimation): `delivered` bytes in `interval`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RateSample {
    /// Bytes delivered between the sending of what is now acknowledged and the acknowledgment.
    pub delivered: u32,
    /// Time that took: the longer of the intervals of sending and of acknowledging.
    pub interval: Duration,
    /// The connection's count of delivered bytes when what is now acknowledged was sent (wraps).
    pub prior_delivered: u32,
    /// What is now acknowledged was sent while the user had nothing more to send: the rate is a
    /// lower bound.
    pub app_limited: bool,
    /// Bytes in flight when what is now acknowledged was sent.
    pub tx_in_flight: u32,
}

/// What congestion control hears of a run that was found lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lost {
    /// Bytes of it.
    pub bytes: u32,
    /// What was before it was not found lost with it.
    pub apart: bool,
    /// The connection's count of delivered bytes when it was sent (wraps).
    pub delivered: u32,
    /// Bytes in flight when it was sent, if that is known.
    pub tx_in_flight: Option<u32>,
    /// The user had nothing more to send then.
    pub app_limited: bool,
    /// The peer tells what it has (SACK).
    pub sack: bool,
    /// Bytes of text in a full segment.
    pub mss: u32,
    /// When it was found.
    pub now: Instant,
}

/// What congestion control hears of an acknowledgment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ack {
    /// Bytes newly delivered, cumulatively or selectively.
    pub acked: u32,
    /// Bytes of text in a full segment.
    pub mss: u32,
    /// The window was what held the sender back (RFC 7661: else it must not grow).
    pub limited: bool,
    /// Bytes in the network after this acknowledgment.
    pub flight: u32,
    /// SND.UNA after this acknowledgment.
    pub snd_una: SeqNumber,
    /// SND.NXT.
    pub snd_nxt: SeqNumber,
    /// A round-trip time that this acknowledgment measured.
    pub rtt: Option<Duration>,
    /// Smoothed round-trip time, zero before the first measurement.
    pub srtt: Duration,
    /// The connection's count of delivered bytes (wraps).
    pub delivered: u32,
    /// The rate of delivery, when it could be measured.
    pub rate: Option<RateSample>,
    /// When it came.
    pub now: Instant,
}

/// What of an [`Ack`] matters while the window is not what holds the sender back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct IdleAck {
    /// SND.UNA after this acknowledgment.
    pub(super) snd_una: SeqNumber,
    /// SND.NXT.
    pub(super) snd_nxt: SeqNumber,
    /// A round-trip time that this acknowledgment measured.
    pub(super) rtt: Option<Duration>,
    /// When it came.
    pub(super) now: Instant,
}

/// What told of congestion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// A segment was lost.
    Loss,
    /// A segment was marked (RFC 3168), or our own host's queue was full.
    Ecn,
}

/// What congestion control hears of congestion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Congested {
    /// What told of it.
    pub signal: Signal,
    /// Bytes outstanding.
    pub flight: u32,
    /// Bytes of the window that were used of late, when that is less than the path was allowed: then
    /// it is this that is halved (RFC 7661 4.4.1).
    pub used: Option<u32>,
    /// Bytes of text in a full segment.
    pub mss: u32,
    /// When it was seen.
    pub now: Instant,
}

/// What congestion control hears of, and what it answers.
pub trait CongestionControl {
    /// Congestion window, bytes.
    fn window(&self) -> u32;
    /// Slow start threshold, bytes.
    fn ssthresh(&self) -> u32;
    /// An acknowledgment outside of recovery, or after a timeout.
    fn on_ack(&mut self, ack: &Ack);
    /// Something was found lost: before the acknowledgment that it was found by is heard, or by a
    /// timer; before what follows from it for the recovery.
    fn on_lost(&mut self, lost: &Lost) {
        let _ = lost;
    }
    /// Congestion: a recovery begins.
    fn on_congestion(&mut self, congested: &Congested);
    /// The recovery that [`CongestionControl::on_congestion`] began is over; for a control that rules
    /// its rate that after a timeout too. `most`: bytes to be left at most, if what was lost counts
    /// (RFC 7661 4.4.1).
    fn on_recovered(&mut self, most: Option<u32>, mss: u32, now: Instant);
    /// The retransmission timer expired with `flight` bytes outstanding, of which those that may still
    /// arrive are all that count for a control that rules its rate; `first` unless it is a backed-off
    /// repetition.
    fn on_timeout(&mut self, flight: u32, mss: u32, first: bool, now: Instant);
    /// The last reduction was a mistake, nothing was lost: as if it had not been (RFC 4015).
    fn on_undo(&mut self, now: Instant);
    /// Nothing was outstanding, and nothing sent for `idle`: longer than `rto`, or for any time if the
    /// control rules the rate.
    fn on_idle(&mut self, idle: Duration, rto: Duration, mss: u32, now: Instant);
    /// Text is sent with none outstanding: time in which nothing was does not count (RFC 9438 5.8).
    fn on_start(&mut self, now: Instant) {
        let _ = now;
    }
    /// The last `bytes` by which a window grew that was not full are not used: it is as if it had not.
    fn on_unused(&mut self, bytes: u32) {
        let _ = bytes;
    }
    /// For so many [non-validated periods](pipe_ack::NON_VALIDATED_PERIOD) half of the window or less
    /// was used, since the user or the peer's window allowed no more (RFC 7661 4.4.3).
    fn on_disuse(&mut self, periods: u32, mss: u32) {
        let _ = (periods, mss);
    }
    /// The rate to send at, bytes a second, if it is this that the control rules; else it follows
    /// from the window.
    fn pacing_rate(&self) -> Option<u64> {
        None
    }
}

/// A congestion control by its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Algorithm {
    /// CUBIC.
    #[default]
    Cubic,
    /// NewReno.
    Reno,
    /// BBR.
    Bbr,
}

packed!(enum Algorithm { 0 => Cubic, 1 => Reno, 2 => Bbr });

impl Algorithm {
    /// All that there are.
    pub const ALL: [Self; 3] = [Self::Cubic, Self::Reno, Self::Bbr];

    /// Linux's name for it (`TCP_CONGESTION`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cubic => "cubic",
            Self::Reno => "reno",
            Self::Bbr => "bbr",
        }
    }

    /// The name filled up with NUL, to compare all of it at once.
    const fn padded(self) -> u128 {
        let (name, mut padded) = (self.name().as_bytes(), [0; 16]);
        let mut i = 0;
        while i < name.len() && i < padded.len() {
            padded[i] = name[i];
            i += 1;
        }
        u128::from_ne_bytes(padded)
    }

    /// The one whose name, filled up with NUL, is `name`; `None` when there is none such.
    #[inline]
    pub fn from_padded(name: &[u8; 16]) -> Option<Self> {
        let name = u128::from_ne_bytes(*name);
        let all = [
            (Self::Cubic, const { Self::Cubic.padded() }),
            (Self::Reno, const { Self::Reno.padded() }),
            (Self::Bbr, const { Self::Bbr.padded() }),
        ];
        all.into_iter().find(|(_, n)| *n == name).map(|(a, _)| a)
    }

    /// The one that Linux calls so; `None` when there is none such.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.name().as_bytes() == name)
    }
}

/// The congestion control of a connection.
// It lies in the connection's block, which has no second allocation.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Congestion {
    /// CUBIC.
    Cubic(Cubic),
    /// NewReno.
    Reno(NewReno),
    /// BBR.
    Bbr(Bbr),
}

impl Pack for Congestion {
    fn pack<P: Packer>(&mut self, by: &mut P) {
        let mut algorithm = self.algorithm();
        algorithm.pack(by);
        if algorithm != self.algorithm() {
            *self = Self::new(algorithm, 0);
        }
        match self {
            Self::Cubic(control) => control.pack(by),
            Self::Reno(control) => control.pack(by),
            Self::Bbr(control) => control.pack(by),
        }
    }
}

impl Congestion {
    /// A connection's start.
    pub fn new(algorithm: Algorithm, mss: u32) -> Self {
        match algorithm {
            Algorithm::Cubic => Self::Cubic(Cubic::new(mss)),
            Algorithm::Reno => Self::Reno(NewReno::new(mss)),
            Algorithm::Bbr => Self::Bbr(Bbr::new(mss)),
        }
    }

    /// Which it is.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Cubic(_) => Algorithm::Cubic,
            Self::Reno(_) => Algorithm::Reno,
            Self::Bbr(_) => Algorithm::Bbr,
        }
    }

    /// Whether it is the rate that it rules, and not a window: then
    /// [`CongestionControl::pacing_rate`] names one.
    pub const fn rules_rate(&self) -> bool {
        matches!(self, Self::Bbr(_))
    }

    /// [`CongestionControl::on_ack`] of CUBIC, for an acknowledgment that is not `limited`; false, and
    /// nothing done, for other controls.
    #[inline]
    pub(super) fn on_idle_ack(&mut self, ack: &IdleAck) -> bool {
        match self {
            Self::Cubic(cubic) => {
                cubic.on_idle_ack(ack);
                true
            }
            _ => false,
        }
    }

    /// Goes on with another control, which takes the window and the threshold over.
    pub fn change(&mut self, algorithm: Algorithm, mss: u32) {
        if algorithm == self.algorithm() {
            return;
        }
        let (cwnd, ssthresh) = (self.window(), self.ssthresh());
        *self = match algorithm {
            Algorithm::Cubic => Self::Cubic(Cubic::with_window(cwnd, ssthresh)),
            Algorithm::Reno => Self::Reno(NewReno::with_window(cwnd, ssthresh)),
            Algorithm::Bbr => Self::Bbr(Bbr::with_window(cwnd, mss)),
        };
    }
}

/// Calls the control that there is.
macro_rules! dispatch {
    ($self:ident, $control:ident => $call:expr) => {
        match $self {
            Congestion::Cubic($control) => $call,
            Congestion::Reno($control) => $call,
            Congestion::Bbr($control) => $call,
        }
    };
}

impl CongestionControl for Congestion {
    fn window(&self) -> u32 {
        dispatch!(self, c => c.window())
    }

    fn ssthresh(&self) -> u32 {
        dispatch!(self, c => c.ssthresh())
    }

    fn on_ack(&mut self, ack: &Ack) {
        dispatch!(self, c => c.on_ack(ack))
    }

    fn on_lost(&mut self, lost: &Lost) {
        dispatch!(self, c => c.on_lost(lost))
    }

    fn on_congestion(&mut self, congested: &Congested) {
        dispatch!(self, c => c.on_congestion(congested))
    }

    fn on_recovered(&mut self, most: Option<u32>, mss: u32, now: Instant) {
        dispatch!(self, c => c.on_recovered(most, mss, now))
    }

    fn on_timeout(&mut self, flight: u32, mss: u32, first: bool, now: Instant) {
        dispatch!(self, c => c.on_timeout(flight, mss, first, now))
    }

    fn on_undo(&mut self, now: Instant) {
        dispatch!(self, c => c.on_undo(now))
    }

    fn on_idle(&mut self, idle: Duration, rto: Duration, mss: u32, now: Instant) {
        dispatch!(self, c => c.on_idle(idle, rto, mss, now))
    }

    #[inline]
    fn on_start(&mut self, now: Instant) {
        // Of the others none has a clock.
        if let Self::Cubic(cubic) = self {
            cubic.on_start(now);
        }
    }

    fn on_unused(&mut self, bytes: u32) {
        dispatch!(self, c => c.on_unused(bytes))
    }

    fn on_disuse(&mut self, periods: u32, mss: u32) {
        dispatch!(self, c => c.on_disuse(periods, mss))
    }

    fn pacing_rate(&self) -> Option<u64> {
        dispatch!(self, c => c.pacing_rate())
    }
}
