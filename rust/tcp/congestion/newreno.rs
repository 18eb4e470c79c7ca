// SPDX-License-Identifier: GPL-2.0

//! NewReno's window (RFC 5681 3, RFC 6582): slow start with appropriate byte counting (RFC 3465),
//! congestion avoidance, and half of the flight after a loss.

use super::{initial_window, CongestionControl};
use crate::tcp::time::{Duration, Instant};

/// NewReno.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewReno {
    cwnd: u32,
    ssthresh: u32,
    /// Bytes acknowledged in congestion avoidance since the window last grew.
    credit: u32,
}

impl NewReno {
    /// A connection's start.
    pub fn new(mss: u32) -> Self {
        Self {
            cwnd: initial_window(mss),
            ssthresh: u32::MAX,
            credit: 0,
        }
    }

    fn halve(&mut self, flight: u32, mss: u32) {
        self.ssthresh = (flight / 2).max(mss.saturating_mul(2));
        self.credit = 0;
    }
}

impl CongestionControl for NewReno {
    fn window(&self) -> u32 {
        self.cwnd
    }

    fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    fn on_ack(&mut self, acked: u32, mss: u32, limited: bool, _now: Instant) {
        if !limited {
            return;
        }
        let mut rest = acked;
        if self.cwnd < self.ssthresh {
            let grow = rest.min(self.ssthresh - self.cwnd);
            self.cwnd = self.cwnd.saturating_add(grow);
            rest -= grow;
        }
        if self.cwnd >= self.ssthresh && rest > 0 {
            self.credit = self.credit.saturating_add(rest);
            if self.credit >= self.cwnd {
                self.credit -= self.cwnd;
                self.cwnd = self.cwnd.saturating_add(mss);
            }
        }
    }

    fn on_loss(&mut self, flight: u32, mss: u32, _now: Instant) {
        self.halve(flight, mss);
        self.cwnd = self.ssthresh;
    }

    fn on_recovered(&mut self, mss: u32) {
        self.cwnd = self.ssthresh.max(mss);
    }

    fn on_timeout(&mut self, flight: u32, mss: u32, first: bool) {
        if first {
            self.halve(flight, mss);
        }
        self.cwnd = mss;
    }

    fn on_idle(&mut self, idle: Duration, rto: Duration, mss: u32) {
        // RFC 7661's spirit and Linux's way: halve for each timeout spent idle.
        let floor = initial_window(mss).min(self.cwnd);
        let mut left = idle.us();
        let step = rto.us().max(1);
        self.ssthresh = self.ssthresh.max(self.cwnd / 4 * 3);
        while left > step && self.cwnd > floor {
            left -= step;
            self.cwnd /= 2;
        }
        self.cwnd = self.cwnd.max(floor);
        self.credit = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u32 = 1000;

    #[test]
    fn slow_start_doubles_and_avoidance_adds_one_segment_a_window() {
        let mut cc = NewReno::new(MSS);
        assert_eq!(cc.window(), 10 * MSS);
        cc.on_ack(10 * MSS, MSS, true, Instant::default());
        assert_eq!(cc.window(), 20 * MSS);
        cc.on_loss(20 * MSS, MSS, Instant::default());
        assert_eq!((cc.window(), cc.ssthresh()), (10 * MSS, 10 * MSS));
        for _ in 0..10 {
            cc.on_ack(MSS, MSS, true, Instant::default());
        }
        assert_eq!(cc.window(), 11 * MSS);
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow() {
        let mut cc = NewReno::new(MSS);
        cc.on_ack(10 * MSS, MSS, false, Instant::default());
        assert_eq!(cc.window(), 10 * MSS);
    }

    #[test]
    fn a_timeout_leaves_one_segment_and_repetitions_keep_the_threshold() {
        let mut cc = NewReno::new(MSS);
        cc.on_timeout(10 * MSS, MSS, true);
        assert_eq!((cc.window(), cc.ssthresh()), (MSS, 5 * MSS));
        cc.on_timeout(MSS, MSS, false);
        assert_eq!(cc.ssthresh(), 5 * MSS);
    }

    #[test]
    fn the_threshold_is_never_below_two_segments() {
        let mut cc = NewReno::new(MSS);
        cc.on_loss(1, MSS, Instant::default());
        assert_eq!(cc.ssthresh(), 2 * MSS);
    }

    #[test]
    fn idling_halves_the_window_down_to_the_initial_one() {
        let mut cc = NewReno::new(MSS);
        cc.on_ack(70 * MSS, MSS, true, Instant::default());
        assert_eq!(cc.window(), 80 * MSS);
        let rto = Duration::from_ms(200);
        cc.on_idle(Duration::from_ms(500), rto, MSS);
        assert_eq!(cc.window(), 20 * MSS);
        cc.on_idle(Duration::from_secs(500), rto, MSS);
        assert_eq!(cc.window(), 10 * MSS);
    }
}
