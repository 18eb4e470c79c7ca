// SPDX-License-Identifier: GPL-2.0

//! Congestion control behind one trait; windows are in bytes.

mod newreno;

pub use newreno::NewReno;

use super::time::{Duration, Instant};

/// What congestion control hears of, and what it answers.
pub trait CongestionControl {
    /// Congestion window, bytes.
    fn window(&self) -> u32;
    /// Slow start threshold, bytes.
    fn ssthresh(&self) -> u32;
    /// `acked` bytes were acknowledged outside of recovery; `limited` tells whether the window was
    /// what held the sender back (RFC 7661: else it must not grow).
    fn on_ack(&mut self, acked: u32, mss: u32, limited: bool, now: Instant);
    /// A loss was seen with `flight` bytes outstanding: fast retransmit begins.
    fn on_loss(&mut self, flight: u32, mss: u32, now: Instant);
    /// The recovery that [`CongestionControl::on_loss`] began is over.
    fn on_recovered(&mut self, mss: u32);
    /// The retransmission timer expired with `flight` bytes outstanding; `first` unless it is a
    /// backed-off repetition.
    fn on_timeout(&mut self, flight: u32, mss: u32, first: bool);
    /// Nothing was sent for `idle`, longer than `rto`.
    fn on_idle(&mut self, idle: Duration, rto: Duration, mss: u32);
}

/// The initial window (RFC 6928): ten segments.
pub fn initial_window(mss: u32) -> u32 {
    mss.saturating_mul(10).min(14600.max(mss.saturating_mul(2)))
}
