// SPDX-License-Identifier: GPL-2.0

//! NewReno's window (RFC 5681 3, RFC 6582): slow start with appropriate byte counting (RFC 3465),
//! congestion avoidance, and half of the flight after a loss.

use super::window::{
    after_disuse, after_idle, after_recovery, half_of_used, initial_window, slow_start, whole,
    Credit,
};
use super::{Ack, Congested, CongestionControl};
use crate::tcp::pack::packed;
use crate::tcp::time::{Duration, Instant};

/// NewReno.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewReno {
    cwnd: u32,
    ssthresh: u32,
    credit: Credit,
    /// Window and threshold before the last reduction.
    prior: Option<(u32, u32)>,
}

packed!(struct NewReno { cwnd, ssthresh, credit, prior });

impl NewReno {
    /// A connection's start.
    pub fn new(mss: u32) -> Self {
        Self::with_window(initial_window(mss), u32::MAX)
    }

    /// With a window and a threshold that another control left, bytes.
    pub(super) fn with_window(cwnd: u32, ssthresh: u32) -> Self {
        Self {
            cwnd,
            ssthresh,
            credit: Credit::default(),
            prior: None,
        }
    }

    /// RFC 5681's equation 4. What limited transmit sent beyond the window does not count, and a
    /// segment that is not full counts as one, as in Linux.
    fn halve(&mut self, flight: u32, mss: u32) {
        self.prior = Some((self.cwnd, self.ssthresh));
        let mss = mss.max(1);
        let flight = whole(flight.saturating_add(mss - 1), mss).min(self.cwnd);
        self.ssthresh = whole(flight / 2, mss).max(mss.saturating_mul(2));
        self.credit = Credit::default();
    }
}

impl CongestionControl for NewReno {
    fn window(&self) -> u32 {
        self.cwnd
    }

    fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    fn on_ack(&mut self, ack: &Ack) {
        if !ack.limited {
            return;
        }
        let (cwnd, rest) = slow_start(self.cwnd, self.ssthresh, ack.acked);
        self.cwnd = cwnd;
        if cwnd >= self.ssthresh && rest > 0 {
            let grow = self.credit.earn(rest, cwnd, ack.mss);
            self.cwnd = cwnd.saturating_add(grow);
        }
    }

    fn on_congestion(&mut self, congested: &Congested) {
        self.halve(congested.flight, congested.mss);
        if let Some(used) = congested.used {
            self.ssthresh = half_of_used(used.min(self.cwnd), congested.mss);
        }
        self.cwnd = self.ssthresh;
    }

    fn on_recovered(&mut self, most: Option<u32>, mss: u32, _now: Instant) {
        (self.cwnd, self.ssthresh) = after_recovery((self.cwnd, self.ssthresh), most, mss);
    }

    fn on_timeout(&mut self, flight: u32, mss: u32, first: bool, _now: Instant) {
        if first {
            self.halve(flight, mss);
        }
        self.credit = Credit::default();
        self.cwnd = mss;
    }

    fn on_undo(&mut self, _now: Instant) {
        if let Some((cwnd, ssthresh)) = self.prior.take() {
            self.cwnd = self.cwnd.max(cwnd);
            self.ssthresh = ssthresh;
        }
    }

    fn on_idle(&mut self, idle: Duration, rto: Duration, mss: u32, _now: Instant) {
        (self.cwnd, self.ssthresh) = after_idle((self.cwnd, self.ssthresh), idle, rto, mss);
        self.credit = Credit::default();
    }

    fn on_unused(&mut self, bytes: u32) {
        self.cwnd = self.cwnd.saturating_sub(bytes).max(1);
    }

    fn on_disuse(&mut self, periods: u32, mss: u32) {
        (self.cwnd, self.ssthresh) = after_disuse((self.cwnd, self.ssthresh), periods, mss);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Signal;
    use super::*;
    use crate::tcp::seq::SeqNumber;

    const MSS: u32 = 1000;

    fn ack(acked: u32, limited: bool) -> Ack {
        Ack {
            acked,
            mss: MSS,
            limited,
            flight: 0,
            snd_una: SeqNumber(0),
            snd_nxt: SeqNumber(0),
            rtt: None,
            srtt: Duration::ZERO,
            delivered: 0,
            rate: None,
            now: Instant::default(),
        }
    }

    fn loss(flight: u32) -> Congested {
        Congested {
            signal: Signal::Loss,
            flight,
            used: None,
            mss: MSS,
            now: Instant::default(),
        }
    }

    #[test]
    fn slow_start_doubles_and_avoidance_adds_one_segment_a_window() {
        let mut cc = NewReno::new(MSS);
        assert_eq!(cc.window(), 10 * MSS);
        cc.on_ack(&ack(10 * MSS, true));
        assert_eq!(cc.window(), 20 * MSS);
        cc.on_congestion(&loss(20 * MSS));
        assert_eq!((cc.window(), cc.ssthresh()), (10 * MSS, 10 * MSS));
        for _ in 0..10 {
            cc.on_ack(&ack(MSS, true));
        }
        assert_eq!(cc.window(), 11 * MSS);
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow() {
        let mut cc = NewReno::new(MSS);
        cc.on_ack(&ack(10 * MSS, false));
        assert_eq!(cc.window(), 10 * MSS);
    }

    #[test]
    fn a_timeout_leaves_one_segment_and_repetitions_keep_the_threshold() {
        let mut cc = NewReno::new(MSS);
        cc.on_timeout(10 * MSS, MSS, true, Instant::default());
        assert_eq!((cc.window(), cc.ssthresh()), (MSS, 5 * MSS));
        cc.on_timeout(MSS, MSS, false, Instant::default());
        assert_eq!(cc.ssthresh(), 5 * MSS);
    }

    #[test]
    fn the_threshold_is_never_below_two_segments() {
        let mut cc = NewReno::new(MSS);
        cc.on_congestion(&loss(1));
        assert_eq!(cc.ssthresh(), 2 * MSS);
    }

    #[test]
    fn of_a_window_that_was_not_used_what_was_used_is_halved() {
        for (used, left, most, end) in [(8, 4, 3, 3), (30, 10, 9, 9), (3, 2, 0, 1)] {
            let mut cc = NewReno::with_window(20 * MSS, MSS);
            cc.on_congestion(&Congested {
                used: Some(used * MSS),
                ..loss(MSS)
            });
            assert_eq!((cc.window(), cc.ssthresh()), (left * MSS, left * MSS));
            cc.on_recovered(Some(most * MSS), MSS, Instant::default());
            assert_eq!(cc.window(), end * MSS, "{used}");
            cc.on_undo(Instant::default());
            assert_eq!((cc.window(), cc.ssthresh()), (20 * MSS, MSS));
        }
    }

    #[test]
    fn a_reduction_that_was_a_mistake_is_taken_back_once() {
        let mut cc = NewReno::new(MSS);
        cc.on_ack(&ack(10 * MSS, true));
        cc.on_timeout(20 * MSS, MSS, true, Instant::default());
        cc.on_undo(Instant::default());
        assert_eq!((cc.window(), cc.ssthresh()), (20 * MSS, u32::MAX));
        cc.on_congestion(&loss(20 * MSS));
        cc.on_undo(Instant::default());
        cc.on_undo(Instant::default());
        assert_eq!(cc.window(), 20 * MSS);
    }

    #[test]
    fn idling_halves_the_window_down_to_the_initial_one() {
        let mut cc = NewReno::new(MSS);
        cc.on_ack(&ack(70 * MSS, true));
        assert_eq!(cc.window(), 80 * MSS);
        let rto = Duration::from_ms(200);
        cc.on_idle(Duration::from_ms(500), rto, MSS, Instant::default());
        assert_eq!(cc.window(), 20 * MSS);
        cc.on_idle(Duration::from_secs(500), rto, MSS, Instant::default());
        assert_eq!(cc.window(), 10 * MSS);
    }
}
