// SPDX-License-Identifier: GPL-2.0

//! Congestion control behind one trait; windows are in bytes.

mod newreno;

pub use newreno::NewReno;

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
    /// Bytes found lost since the last sample.
    pub lost: u32,
    /// Bytes in flight when what is now acknowledged was sent.
    pub tx_in_flight: u32,
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

/// What told of congestion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signal {
    /// A segment was lost.
    Loss,
    /// A segment was marked (RFC 3168).
    Ecn,
}

/// What congestion control hears of congestion.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Congested {
    /// What told of it.
    pub signal: Signal,
    /// Bytes outstanding.
    pub flight: u32,
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
    /// Congestion: a recovery begins.
    fn on_congestion(&mut self, congested: &Congested);
    /// The recovery that [`CongestionControl::on_congestion`] began is over.
    fn on_recovered(&mut self, mss: u32, now: Instant);
    /// The retransmission timer expired with `flight` bytes outstanding; `first` unless it is a
    /// backed-off repetition.
    fn on_timeout(&mut self, flight: u32, mss: u32, first: bool, now: Instant);
    /// The last reduction was a mistake, nothing was lost: as if it had not been (RFC 4015).
    fn on_undo(&mut self, now: Instant);
    /// Nothing was sent for `idle`, longer than `rto`.
    fn on_idle(&mut self, idle: Duration, rto: Duration, mss: u32);
    /// The rate to send at, bytes a second, if it is this that the control rules; else it follows
    /// from the window.
    fn pacing_rate(&self) -> Option<u64> {
        None
    }
}

/// A congestion control by its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Algorithm {
    /// NewReno.
    #[default]
    Reno,
}

impl Algorithm {
    /// Linux's name for it (`TCP_CONGESTION`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reno => "reno",
        }
    }
}

/// The congestion control of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Congestion {
    /// NewReno.
    Reno(NewReno),
}

impl Congestion {
    /// A connection's start.
    pub fn new(algorithm: Algorithm, mss: u32) -> Self {
        match algorithm {
            Algorithm::Reno => Self::Reno(NewReno::new(mss)),
        }
    }

    /// Which it is.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Reno(_) => Algorithm::Reno,
        }
    }
}

/// Calls the control that there is.
macro_rules! dispatch {
    ($self:ident, $control:ident => $call:expr) => {
        match $self {
            Congestion::Reno($control) => $call,
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

    fn on_congestion(&mut self, congested: &Congested) {
        dispatch!(self, c => c.on_congestion(congested))
    }

    fn on_recovered(&mut self, mss: u32, now: Instant) {
        dispatch!(self, c => c.on_recovered(mss, now))
    }

    fn on_timeout(&mut self, flight: u32, mss: u32, first: bool, now: Instant) {
        dispatch!(self, c => c.on_timeout(flight, mss, first, now))
    }

    fn on_undo(&mut self, now: Instant) {
        dispatch!(self, c => c.on_undo(now))
    }

    fn on_idle(&mut self, idle: Duration, rto: Duration, mss: u32) {
        dispatch!(self, c => c.on_idle(idle, rto, mss))
    }

    fn pacing_rate(&self) -> Option<u64> {
        dispatch!(self, c => c.pacing_rate())
    }
}

/// The initial window (RFC 6928): ten segments.
pub fn initial_window(mss: u32) -> u32 {
    mss.saturating_mul(10).min(14600.max(mss.saturating_mul(2)))
}
