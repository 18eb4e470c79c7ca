// SPDX-License-Identifier: GPL-2.0

//! What the controls that rule a window have in common. Windows are bytes, and move by whole
//! segments, as Linux's do.

use crate::tcp::pack::{Pack, Packer};
use crate::tcp::time::Duration;

/// The initial window (RFC 6928): ten segments.
pub fn initial_window(mss: u32) -> u32 {
    mss.saturating_mul(10).min(14600.max(mss.saturating_mul(2)))
}

/// Slow start (RFC 5681 3.1): the window grows by what arrived, up to the threshold. Returns it, and
/// the bytes that are left for congestion avoidance.
///
/// Bytes are counted, not acknowledgments (RFC 3465), so that neither many small acknowledgments
/// nor a few large ones change how it grows. As in Linux that RFC's limit L is not applied: a
/// receiver that merges segments acknowledges 64 KiB at once, and what L is there for after a
/// timeout, an acknowledgment of what had arrived long before, does not count as delivered now.
pub(super) fn slow_start(cwnd: u32, ssthresh: u32, acked: u32) -> (u32, u32) {
    let grow = acked.min(ssthresh.saturating_sub(cwnd));
    (cwnd.saturating_add(grow), acked.saturating_sub(grow))
}

/// Bytes acknowledged that the window has not grown for yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Credit(u32);

impl Pack for Credit {
    fn pack<P: Packer>(&mut self, by: &mut P) {
        self.0.pack(by);
    }
}

impl Credit {
    /// Adds `acked` bytes; returns by how many bytes the window grows if `price` bytes are worth a
    /// segment. What was saved up while that was dearer gives one segment at most, as in Linux.
    pub(super) fn earn(&mut self, acked: u32, price: u32, mss: u32) -> u32 {
        let price = price.max(1);
        let mut segments = 0u32;
        if self.0 >= price {
            self.0 = 0;
            segments = 1;
        }
        self.0 = self.0.saturating_add(acked);
        segments = segments.saturating_add(self.0 / price);
        self.0 %= price;
        segments.saturating_mul(mss)
    }
}

/// `bytes` as whole segments, rounded down.
pub(super) fn whole(bytes: u32, mss: u32) -> u32 {
    bytes.saturating_sub(bytes % mss.max(1))
}

/// The window and the threshold after nothing was sent for `idle`: half for each `rto` of it, not
/// below the initial window (RFC 2861's way, as Linux has it; RFC 5681 4.1). The threshold
/// remembers three quarters of the window.
pub(super) fn after_idle(
    (cwnd, ssthresh): (u32, u32),
    idle: Duration,
    rto: Duration,
    mss: u32,
) -> (u32, u32) {
    let floor = initial_window(mss).min(cwnd).max(1);
    let periods = idle.us().saturating_sub(1) / rto.us().max(1);
    let halved = match u32::try_from(periods) {
        Ok(n) => cwnd.checked_shr(n).unwrap_or(0),
        Err(_) => 0,
    };
    (halved.max(floor), remembered(cwnd, ssthresh))
}

/// The window and the threshold when for `periods` of five minutes each no more than half of the
/// window was used: half of it is given up for each, not below the initial window (RFC 7661 4.4.3).
pub(super) fn after_disuse((cwnd, ssthresh): (u32, u32), periods: u32, mss: u32) -> (u32, u32) {
    let floor = initial_window(mss).min(cwnd).max(1);
    let halved = cwnd.checked_shr(periods).unwrap_or(0);
    (halved.max(floor), remembered(cwnd, ssthresh))
}

/// The threshold after congestion when no more than `used` bytes of the window were used, though more
/// was allowed (RFC 7661 4.4.1; RFC 5681's least).
pub(super) fn half_of_used(used: u32, mss: u32) -> u32 {
    whole(used / 2, mss).max(mss.saturating_mul(2))
}

/// The window and the threshold at the end of a reduction, which leaves no more than `most` bytes if
/// there is such a bound.
pub(super) fn after_recovery(
    (cwnd, ssthresh): (u32, u32),
    most: Option<u32>,
    mss: u32,
) -> (u32, u32) {
    let cwnd = cwnd.min(ssthresh);
    let Some(most) = most else {
        return (cwnd.max(mss), ssthresh);
    };
    let cwnd = cwnd.min(whole(most, mss)).max(mss);
    (cwnd, ssthresh.min(cwnd.max(mss.saturating_mul(2))))
}

fn remembered(cwnd: u32, ssthresh: u32) -> u32 {
    ssthresh.max((cwnd / 4).saturating_mul(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u32 = 1000;

    #[test]
    fn the_initial_window_is_that_of_rfc_6928() {
        for (mss, window) in [
            (536, 5360),
            (1000, 10_000),
            (1460, 14_600),
            (2190, 14_600),
            (9000, 18_000),
        ] {
            assert_eq!(initial_window(mss), window, "{mss}");
        }
    }

    #[test]
    fn slow_start_stops_at_the_threshold_and_leaves_the_rest() {
        assert_eq!(slow_start(1000, 5000, 3000), (4000, 0));
        assert_eq!(slow_start(4000, 5000, 3000), (5000, 2000));
        assert_eq!(slow_start(6000, 5000, 3000), (6000, 3000));
        assert_eq!(slow_start(u32::MAX - 1, u32::MAX, 9), (u32::MAX, 8));
    }

    #[test]
    fn a_segment_costs_its_price() {
        let mut credit = Credit::default();
        assert_eq!(credit.earn(4000, 10_000, MSS), 0);
        assert_eq!(credit.earn(5999, 10_000, MSS), 0);
        assert_eq!(credit.earn(1, 10_000, MSS), MSS);
        assert_eq!(credit.earn(35_000, 10_000, MSS), 3 * MSS);
        assert_eq!(credit.earn(5_000, 10_000, MSS), MSS);
    }

    #[test]
    fn credit_saved_at_a_high_price_buys_one_segment_at_a_low_one() {
        let mut credit = Credit::default();
        assert_eq!(credit.earn(99_000, 100_000, MSS), 0);
        assert_eq!(credit.earn(0, 2_000, MSS), MSS);
        assert_eq!(credit.earn(0, 2_000, MSS), 0);
    }

    #[test]
    fn a_price_of_nothing_does_not_divide_by_zero() {
        assert_eq!(Credit::default().earn(5, 0, MSS), 5 * MSS);
        assert_eq!(Credit::default().earn(u32::MAX, 0, u32::MAX), u32::MAX);
    }

    #[test]
    fn idling_halves_for_each_timeout_down_to_the_initial_window() {
        let rto = Duration::from_ms(200);
        for (idle_ms, window) in [
            (200, 80),
            (201, 40),
            (400, 40),
            (401, 20),
            (601, 10),
            (9000, 10),
        ] {
            let (cwnd, ssthresh) =
                after_idle((80 * MSS, 20 * MSS), Duration::from_ms(idle_ms), rto, MSS);
            assert_eq!((cwnd, ssthresh), (window * MSS, 60 * MSS), "{idle_ms}");
        }
    }

    #[test]
    fn idling_for_ages_or_with_no_timeout_is_bounded_and_never_raises_the_window() {
        let ages = Duration::from_us(u64::MAX);
        assert_eq!(after_idle((MSS, MSS), ages, Duration::ZERO, MSS).0, MSS);
        assert_eq!(after_idle((0, 0), ages, Duration::ZERO, MSS).0, 1);
    }

    #[test]
    fn half_of_an_unused_window_is_given_up_for_each_period_but_never_the_initial_one() {
        let before = (100 * MSS, 40 * MSS);
        for (periods, window) in [(1, 50), (2, 25), (3, 12), (4, 10), (u32::MAX, 10)] {
            let left = after_disuse(before, periods, MSS);
            assert_eq!(left.0 / MSS, window, "{periods}");
            assert_eq!(left.1, 75 * MSS);
        }
        assert_eq!(after_disuse((8 * MSS, 9 * MSS), 3, MSS), (8 * MSS, 9 * MSS));
        assert_eq!(after_disuse((0, 0), 1, MSS).0, 1);
    }

    #[test]
    fn a_reduction_ends_at_its_threshold_or_at_what_is_known_to_have_been_used() {
        let before = (9 * MSS, 7 * MSS);
        for (most, after) in [
            (None, (7 * MSS, 7 * MSS)),
            (Some(20 * MSS), (7 * MSS, 7 * MSS)),
            (Some(5_999), (5 * MSS, 5 * MSS)),
            (Some(MSS), (MSS, 2 * MSS)),
            (Some(0), (MSS, 2 * MSS)),
        ] {
            assert_eq!(after_recovery(before, most, MSS), after, "{most:?}");
        }
        assert_eq!(after_recovery((1, 1), None, MSS), (MSS, 1));
    }

    #[test]
    fn half_of_what_was_used_is_two_segments_at_least() {
        assert_eq!(half_of_used(9 * MSS + 1, MSS), 4 * MSS);
        assert_eq!(half_of_used(3 * MSS, MSS), 2 * MSS);
    }
}
