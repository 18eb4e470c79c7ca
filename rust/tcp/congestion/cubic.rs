// SPDX-License-Identifier: GPL-2.0

//! CUBIC's window (RFC 9438), with HyStart++ (RFC 9406) in the first slow start and Linux's
//! parameters.

use super::cube::Curve;
use super::hystart::{Advice, HyStart};
use super::window::{
    after_disuse, after_idle, after_recovery, half_of_used, initial_window, slow_start, whole,
    Credit,
};
use super::{Ack, Congested, CongestionControl, IdleAck};
use crate::tcp::pack::packed;
use crate::tcp::time::{Duration, Instant};

/// Beta, the part of the window that is left by a reduction, in 1024ths: 0.7.
const BETA: u64 = 717;
const BETA_UNIT: u64 = 1024;

/// What is measured from one reduction to the next, while the window is in congestion avoidance.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Epoch {
    /// When it began, moved on by the time in which the window was not used (RFC 9438 4.2, 5.8).
    start: Instant,
    curve: Curve,
    /// The window that Reno would have: W_est, bytes (RFC 9438 4.3).
    w_est: u32,
    est_credit: Credit,
}

packed!(struct Epoch { start, curve, w_est, est_credit });

/// What a reduction changes, to be restored when it was a mistake (RFC 9438 4.9).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Prior {
    cwnd: u32,
    ssthresh: u32,
    w_max: u32,
    cwnd_prior: u32,
    epoch: Option<Epoch>,
}

packed!(struct Prior { cwnd, ssthresh, w_max, cwnd_prior, epoch });

/// CUBIC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cubic {
    cwnd: u32,
    ssthresh: u32,
    credit: Credit,
    /// W_max: where the curve is flat, bytes; 0 for unknown.
    w_max: u32,
    /// The window before the last reduction, bytes.
    cwnd_prior: u32,
    epoch: Option<Epoch>,
    prior: Option<Prior>,
    last_ack: Instant,
    hystart: HyStart,
}

packed!(struct Cubic {
    cwnd, ssthresh, credit, w_max, cwnd_prior, epoch, prior, last_ack, hystart,
});

impl Cubic {
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
            w_max: 0,
            cwnd_prior: 0,
            epoch: None,
            prior: None,
            last_ack: Instant::default(),
            hystart: HyStart::new(),
        }
    }

    /// Slow start; returns what is left for congestion avoidance.
    fn slow_start(&mut self, ack: &Ack) -> u32 {
        let advice = if self.ssthresh == u32::MAX {
            self.hystart.on_ack(ack.snd_una, ack.snd_nxt, ack.rtt)
        } else {
            Advice::Grow { divisor: 1 }
        };
        match advice {
            Advice::Leave => self.ssthresh = self.cwnd,
            Advice::Grow { divisor: 1 } => {
                let (cwnd, rest) = slow_start(self.cwnd, self.ssthresh, ack.acked);
                self.cwnd = cwnd;
                return rest;
            }
            Advice::Grow { divisor } => {
                let price = ack.mss.saturating_mul(divisor);
                let grow = self.credit.earn(ack.acked, price, ack.mss);
                self.cwnd = self.cwnd.saturating_add(grow);
                return 0;
            }
        }
        ack.acked
    }

    /// An acknowledgment while the window is not what holds the sender back: it does not grow, but the
    /// time counts, and what was measured.
    #[inline]
    pub(super) fn on_idle_ack(&mut self, ack: &IdleAck) {
        self.on_start(ack.now);
        if self.cwnd < self.ssthresh && self.ssthresh == u32::MAX {
            let rtt = ack.rtt;
            if self.hystart.on_ack(ack.snd_una, ack.snd_nxt, rtt) == Advice::Leave {
                self.ssthresh = self.cwnd;
            }
        }
    }

    /// The window was given up for want of use: Reno's, had it been that, would be as well.
    fn lower_estimate(&mut self) {
        if let Some(epoch) = &mut self.epoch {
            epoch.w_est = epoch.w_est.min(self.cwnd);
        }
    }

    /// Congestion avoidance: `acked` bytes arrived.
    #[inline(never)]
    fn avoid(&mut self, acked: u32, ack: &Ack) {
        let (cwnd, mss) = (self.cwnd, ack.mss.max(1));
        let w_max = self.w_max;
        let epoch = self.epoch.get_or_insert_with(|| Epoch {
            start: ack.now,
            curve: Curve::new(cwnd, w_max, mss),
            w_est: cwnd,
            est_credit: Credit::default(),
        });

        epoch.start = epoch.start.min(ack.now);
        let t = ack.now.since(epoch.start) + ack.srtt;
        let mut price = price(cwnd, epoch.curve.at(t, mss), mss);
        if w_max == 0 {
            // As in Linux: from a start that is not known to be near the path's limit, grow by 5 %
            // for each round trip at least.
            price = price.min(mss.saturating_mul(20));
        }
        // By half of the window for each round trip at most (RFC 9438 4.2).
        let grow = self
            .credit
            .earn(acked, price.max(mss.saturating_mul(2)), mss);

        // Reno with beta grows by alpha = 3 (1 - beta) / (1 + beta) of a segment for each window,
        // and by a whole one once it is back where it was (RFC 9438 4.3).
        let est_price = if epoch.w_est < self.cwnd_prior {
            u64::from(cwnd).saturating_mul(BETA_UNIT + BETA) / (3 * (BETA_UNIT - BETA))
        } else {
            u64::from(cwnd)
        };
        let est_price = u32::try_from(est_price).unwrap_or(u32::MAX);
        let est_grow = epoch.est_credit.earn(acked, est_price, mss);
        epoch.w_est = epoch.w_est.saturating_add(est_grow);

        self.cwnd = cwnd.saturating_add(grow).max(epoch.w_est);
    }

    /// `used`: bytes of the window that were used, if it was not all of it that was tried.
    fn reduce(&mut self, used: Option<u32>, mss: u32) {
        self.prior = Some(Prior {
            cwnd: self.cwnd,
            ssthresh: self.ssthresh,
            w_max: self.w_max,
            cwnd_prior: self.cwnd_prior,
            epoch: self.epoch.take(),
        });
        let tried = used.unwrap_or(u32::MAX).min(self.cwnd);
        let cwnd = u64::from(tried);
        // Fast convergence: a flow that did not come back to its old window makes room for those
        // that are on their way up (RFC 9438 4.7).
        let w_max = if tried < self.w_max {
            cwnd.saturating_mul(BETA_UNIT + BETA) / (2 * BETA_UNIT)
        } else {
            cwnd
        };
        self.w_max = u32::try_from(w_max).unwrap_or(u32::MAX);
        self.cwnd_prior = tried;
        let left = cwnd.saturating_mul(BETA) / BETA_UNIT;
        let left = whole(u32::try_from(left).unwrap_or(u32::MAX), mss);
        self.ssthresh = match used {
            Some(_) => half_of_used(tried, mss),
            None => left.max(mss.saturating_mul(2)),
        };
        self.credit = Credit::default();
    }

    /// Time in which the window was not used does not count.
    fn pause(&mut self, time: Duration) {
        if let Some(epoch) = &mut self.epoch {
            epoch.start = epoch.start + time;
        }
    }
}

/// Bytes to be acknowledged for a segment more, so that the window is `target` after a window of
/// them.
fn price(cwnd: u32, target: u32, mss: u32) -> u32 {
    let price = match target.checked_sub(cwnd) {
        None | Some(0) => u64::from(cwnd).saturating_mul(100),
        Some(gap) => u64::from(cwnd).saturating_mul(u64::from(mss)) / u64::from(gap),
    };
    u32::try_from(price).unwrap_or(u32::MAX)
}

impl CongestionControl for Cubic {
    fn window(&self) -> u32 {
        self.cwnd
    }

    fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    fn on_ack(&mut self, ack: &Ack) {
        if !ack.limited {
            return self.on_idle_ack(&IdleAck {
                snd_una: ack.snd_una,
                snd_nxt: ack.snd_nxt,
                rtt: ack.rtt,
                now: ack.now,
            });
        }
        self.last_ack = ack.now;
        let rest = if self.cwnd < self.ssthresh {
            self.slow_start(ack)
        } else {
            ack.acked
        };
        if self.cwnd >= self.ssthresh && rest > 0 {
            self.avoid(rest, ack);
        }
    }

    /// As in Linux it is the window that is reduced, not the flight, if it was used (RFC 9438 4.6).
    fn on_congestion(&mut self, congested: &Congested) {
        self.reduce(congested.used, congested.mss);
        self.cwnd = self.ssthresh;
    }

    fn on_recovered(&mut self, most: Option<u32>, mss: u32, _now: Instant) {
        (self.cwnd, self.ssthresh) = after_recovery((self.cwnd, self.ssthresh), most, mss);
    }

    fn on_timeout(&mut self, _flight: u32, mss: u32, first: bool, _now: Instant) {
        if first {
            self.reduce(None, mss);
        }
        // What was known of the path is void (RFC 9438 4.8).
        self.w_max = 0;
        self.epoch = None;
        self.credit = Credit::default();
        self.cwnd = mss;
    }

    fn on_undo(&mut self, _now: Instant) {
        if let Some(prior) = self.prior.take() {
            self.cwnd = self.cwnd.max(prior.cwnd);
            self.ssthresh = prior.ssthresh;
            self.w_max = prior.w_max;
            self.cwnd_prior = prior.cwnd_prior;
            self.epoch = prior.epoch;
        }
    }

    fn on_idle(&mut self, idle: Duration, rto: Duration, mss: u32, _now: Instant) {
        (self.cwnd, self.ssthresh) = after_idle((self.cwnd, self.ssthresh), idle, rto, mss);
        self.lower_estimate();
        self.credit = Credit::default();
        // The next acknowledgment must not count this time once more.
        self.pause(idle);
        self.last_ack = self.last_ack + idle;
    }

    #[inline]
    fn on_start(&mut self, now: Instant) {
        let step = now.since(self.last_ack);
        self.last_ack = now;
        self.pause(step);
    }

    fn on_unused(&mut self, bytes: u32) {
        self.cwnd = self.cwnd.saturating_sub(bytes).max(1);
    }

    fn on_disuse(&mut self, periods: u32, mss: u32) {
        (self.cwnd, self.ssthresh) = after_disuse((self.cwnd, self.ssthresh), periods, mss);
        self.lower_estimate();
    }
}

#[cfg(test)]
mod tests {
    use super::super::Signal;
    use super::*;
    use crate::tcp::seq::SeqNumber;

    const MSS: u32 = 1000;

    fn at(ms: u64) -> Instant {
        Instant::from_us(ms * 1000)
    }

    fn ack(segments: u32, now: Instant) -> Ack {
        Ack {
            acked: segments * MSS,
            mss: MSS,
            limited: true,
            flight: 0,
            snd_una: SeqNumber(0),
            snd_nxt: SeqNumber(0),
            rtt: None,
            srtt: Duration::ZERO,
            delivered: 0,
            rate: None,
            now,
        }
    }

    fn loss() -> Congested {
        Congested {
            signal: Signal::Loss,
            flight: 0,
            used: None,
            mss: MSS,
            now: Instant::default(),
        }
    }

    /// In congestion avoidance, `segments` wide after a reduction from `from`.
    fn reduced(from: u32) -> Cubic {
        let mut cc = Cubic::with_window(from * MSS, from * MSS);
        cc.on_congestion(&loss());
        cc.on_recovered(None, MSS, Instant::default());
        cc
    }

    /// Acknowledges whole windows, one for each `rtt` ms, from `from` to `to` ms.
    fn run(cc: &mut Cubic, rtt: u64, from: u64, to: u64) {
        let mut now = from;
        while now < to {
            let segments = (cc.window() / MSS).max(1);
            for n in 0..segments {
                let at =
                    Instant::from_us(now * 1000 + rtt * 1000 * u64::from(n) / u64::from(segments));
                cc.on_ack(&Ack {
                    srtt: Duration::from_ms(rtt),
                    ..ack(1, at)
                });
            }
            now += rtt;
        }
    }

    #[test]
    fn it_starts_with_ten_segments_and_doubles() {
        let mut cc = Cubic::new(MSS);
        assert_eq!(cc.window(), 10 * MSS);
        cc.on_ack(&ack(10, at(0)));
        assert_eq!((cc.window(), cc.ssthresh()), (20 * MSS, u32::MAX));
    }

    #[test]
    fn a_loss_leaves_seven_tenths_in_whole_segments() {
        for (before, after) in [
            (10, 7),
            (11, 7),
            (20, 14),
            (100, 70),
            (3, 2),
            (2, 2),
            (1, 2),
        ] {
            let cc = reduced(before);
            assert_eq!(cc.window(), after * MSS, "{before}");
            assert_eq!(cc.ssthresh(), after * MSS, "{before}");
        }
    }

    #[test]
    fn the_window_that_was_lost_at_is_where_the_curve_is_flat() {
        assert_eq!(reduced(100).w_max, 100 * MSS);
    }

    #[test]
    fn fast_convergence_gives_way_below_the_old_window() {
        let mut cc = reduced(100);
        cc.on_congestion(&loss());
        // 70 * 0.85.
        assert_eq!(cc.w_max / 100, 595);
    }

    #[test]
    #[cfg_attr(miri, ignore = "a million acknowledgments, which take hours")]
    fn the_window_follows_the_curve_within_a_segment() {
        for (from, rtt) in [(1000u32, 20u64), (1000, 100), (5000, 50), (400, 100)] {
            let mut cc = reduced(from);
            let start = f64::from(cc.window() / MSS);
            let k = ((f64::from(from) - start) / 0.4).cbrt();
            let mut now = 0;
            while now < 9_000 {
                run(&mut cc, rtt, now, now + rtt);
                now += rtt;
                let t = now as f64 / 1000.0;
                let exact = 0.4 * (t - k).powi(3) + f64::from(from);
                let got = f64::from(cc.window()) / f64::from(MSS);
                // The window moves in the middle of a round trip to where the curve is at its end.
                let slope = 0.4 * ((t + rtt as f64 / 1000.0 - k).powi(3) - (t - k).powi(3));
                assert!(
                    (got - exact).abs() <= 1.0 + slope.abs() / 2.0,
                    "{from} {rtt}: {got} {exact} at {t}"
                );
            }
        }
    }

    #[test]
    fn on_a_short_path_it_is_as_fast_as_reno_at_least() {
        let mut cc = reduced(20);
        assert_eq!(cc.window(), 14 * MSS);
        run(&mut cc, 1, 0, 10);
        // 0.529 segments for each round trip, where the curve has hardly begun.
        assert!((18..=20).contains(&(cc.window() / MSS)), "{}", cc.window());
    }

    #[test]
    fn back_at_the_old_window_it_grows_by_a_segment_each_round_trip() {
        let mut cc = reduced(20);
        run(&mut cc, 1, 0, 14);
        let before = cc.window();
        assert!(before >= 20 * MSS, "{before}");
        run(&mut cc, 1, 14, 24);
        let grown = (cc.window() - before) / MSS;
        assert!((9..=11).contains(&grown), "{grown}");
    }

    #[test]
    fn it_never_grows_by_more_than_half_in_a_round_trip() {
        let mut cc = reduced(10);
        cc.on_ack(&ack(1, at(0)));
        let mut now = 3_600_000;
        for _ in 0..5 {
            let before = cc.window();
            run(&mut cc, 10, now, now + 10);
            now += 10;
            assert!(cc.window() <= before / 2 * 3 + MSS, "{}", cc.window());
        }
    }

    #[test]
    fn without_a_known_limit_it_grows_by_a_twentieth_at_least() {
        let mut cc = Cubic::with_window(400 * MSS, 400 * MSS);
        run(&mut cc, 1, 0, 1);
        assert!(
            (419..=421).contains(&(cc.window() / MSS)),
            "{}",
            cc.window()
        );
    }

    #[test]
    fn time_in_which_the_window_is_not_used_does_not_count() {
        let mut cc = reduced(1000);
        run(&mut cc, 100, 0, 2000);
        let mut rested = cc;
        run(&mut cc, 100, 2000, 4000);
        for n in 20..=620 {
            rested.on_ack(&Ack {
                limited: false,
                ..ack(1, at(n * 100))
            });
        }
        run(&mut rested, 100, 62_000, 64_000);
        let off = cc.window().abs_diff(rested.window());
        assert!(off <= 2 * MSS, "{} {}", cc.window(), rested.window());
    }

    #[test]
    fn idle_time_does_not_count_and_is_not_counted_twice() {
        let mut cc = reduced(1000);
        run(&mut cc, 100, 0, 2000);
        let mut rested = cc;
        run(&mut cc, 100, 2000, 4000);
        let window = rested.window();
        rested.on_idle(
            Duration::from_secs(60),
            Duration::from_secs(60),
            MSS,
            Instant::default(),
        );
        assert_eq!(rested.window(), window);
        run(&mut rested, 100, 62_000, 64_000);
        let off = cc.window().abs_diff(rested.window());
        assert!(off <= 2 * MSS, "{} {}", cc.window(), rested.window());
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow() {
        for ssthresh in [10, u32::MAX] {
            let mut cc = Cubic::with_window(10 * MSS, ssthresh);
            for n in 0..1000 {
                cc.on_ack(&Ack {
                    limited: false,
                    ..ack(10, at(n * 100))
                });
            }
            assert_eq!(cc.window(), 10 * MSS);
        }
    }

    #[test]
    fn a_timeout_leaves_one_segment_and_forgets_the_curve() {
        let mut cc = reduced(100);
        cc.on_timeout(0, MSS, true, at(0));
        assert_eq!((cc.window(), cc.ssthresh()), (MSS, 49 * MSS));
        cc.on_timeout(0, MSS, false, at(0));
        assert_eq!((cc.window(), cc.ssthresh()), (MSS, 49 * MSS));
        assert_eq!(cc.w_max, 0);
        cc.on_ack(&ack(200, at(0)));
        assert!(cc.window() >= 49 * MSS);
    }

    #[test]
    fn a_reduction_that_was_a_mistake_leaves_no_trace() {
        let mut cc = reduced(1000);
        run(&mut cc, 100, 0, 3000);
        let before = cc;
        cc.on_congestion(&loss());
        cc.on_undo(at(3000));
        assert_eq!(cc.window(), before.window());
        assert_eq!(cc.ssthresh(), before.ssthresh());
        let mut undisturbed = before;
        run(&mut cc, 100, 3000, 6000);
        run(&mut undisturbed, 100, 3000, 6000);
        assert!(cc.window().abs_diff(undisturbed.window()) <= MSS);
    }

    #[test]
    fn a_timeout_that_was_a_mistake_is_taken_back_once() {
        let mut cc = Cubic::new(MSS);
        cc.on_ack(&ack(10, at(0)));
        cc.on_timeout(0, MSS, true, at(0));
        cc.on_undo(at(0));
        assert_eq!((cc.window(), cc.ssthresh()), (20 * MSS, u32::MAX));
        cc.on_undo(at(0));
        assert_eq!((cc.window(), cc.ssthresh()), (20 * MSS, u32::MAX));
    }

    #[test]
    fn recovering_after_an_undo_does_not_open_the_window_without_bounds() {
        let mut cc = Cubic::new(MSS);
        cc.on_congestion(&loss());
        cc.on_undo(at(0));
        cc.on_recovered(None, MSS, at(0));
        assert_eq!(cc.window(), 10 * MSS);
    }

    #[test]
    fn a_queue_that_builds_ends_the_first_slow_start() {
        let mut cc = Cubic::new(MSS);
        let mut seq = SeqNumber(0);
        let mut edge = SeqNumber(cc.window());
        for round in 0..12u64 {
            let end = edge;
            while seq.before(end) && cc.window() < cc.ssthresh() {
                seq += MSS;
                let rtt = Duration::from_ms(40 + 6 * round.saturating_sub(3));
                cc.on_ack(&Ack {
                    snd_una: seq,
                    snd_nxt: edge,
                    rtt: Some(rtt),
                    ..ack(1, at(round * 100))
                });
                edge = seq + cc.window();
            }
        }
        assert!(cc.ssthresh() < u32::MAX, "{}", cc.window());
        assert_eq!(cc.ssthresh(), whole(cc.ssthresh(), MSS));
        // Four rounds double, five grow by a quarter each.
        assert!(cc.window() < 10 * MSS * 16 * 4, "{}", cc.window());
    }

    #[test]
    fn a_later_slow_start_goes_up_to_its_threshold_whatever_the_round_trip_time() {
        let mut cc = Cubic::with_window(10 * MSS, 80 * MSS);
        for n in 0..70u64 {
            cc.on_ack(&Ack {
                rtt: Some(Duration::from_ms(10 + n * 10)),
                snd_una: SeqNumber(n as u32),
                snd_nxt: SeqNumber(n as u32 + 1),
                ..ack(1, at(n))
            });
        }
        assert_eq!(cc.window(), 80 * MSS);
    }

    #[test]
    fn of_a_window_that_was_not_used_what_was_used_is_halved_and_where_the_curve_is_flat() {
        let mut cc = Cubic::with_window(100 * MSS, 50 * MSS);
        cc.on_congestion(&Congested {
            used: Some(30 * MSS),
            ..loss()
        });
        assert_eq!((cc.window(), cc.ssthresh()), (15 * MSS, 15 * MSS));
        assert_eq!((cc.w_max, cc.cwnd_prior), (30 * MSS, 30 * MSS));
        cc.on_recovered(Some(12 * MSS), MSS, at(0));
        assert_eq!((cc.window(), cc.ssthresh()), (12 * MSS, 12 * MSS));
        cc.on_undo(at(0));
        assert_eq!((cc.window(), cc.ssthresh()), (100 * MSS, 50 * MSS));
    }

    #[test]
    fn a_window_long_not_used_is_given_up_by_halves() {
        let mut cc = Cubic::with_window(100 * MSS, 50 * MSS);
        cc.on_disuse(1, MSS);
        assert_eq!((cc.window(), cc.ssthresh()), (50 * MSS, 75 * MSS));
    }

    #[test]
    fn what_was_given_up_does_not_come_back_at_once() {
        let give_up: [fn(&mut Cubic); 2] = [
            |cc| cc.on_disuse(1, MSS),
            |cc| cc.on_idle(Duration::from_secs(10), Duration::from_ms(200), MSS, at(0)),
        ];
        for give_up in give_up {
            let mut cc = Cubic::with_window(100 * MSS, 50 * MSS);
            cc.on_ack(&ack(1, at(0)));
            give_up(&mut cc);
            let left = cc.window();
            assert!(left < 80 * MSS);
            // Above the threshold, where Reno's window counts.
            cc.ssthresh = left;
            cc.on_ack(&ack(1, at(1)));
            assert!(cc.window() <= left + MSS, "{left} {}", cc.window());
        }
    }
}
