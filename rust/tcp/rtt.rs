// SPDX-License-Identifier: GPL-2.0

//! Round-trip time and the retransmission timeout (RFC 6298).

use super::pack::packed;
use super::seq::SeqNumber;
use super::time::{Duration, Instant};
use super::windowed_min::WindowedMin;

/// Timeout before there is a measurement (RFC 6298 2.1).
pub const INITIAL_RTO: Duration = Duration::from_secs(1);

/// The same after a handshake without one, µs (RFC 6298 5.7).
const FALLBACK_RTO_US: u32 = 3_000_000;

/// Measurements are cut here, µs: 268 s.
const MOST: u32 = (1 << 28) - 1;

/// The estimator, with Linux's refinement of RFC 6298: what the timeout is computed from is the
/// largest deviation of the last round trip, not of the last measurement, so that many measurements
/// in a round trip do not make it forget; and a round trip that becomes shorter, which deviates too,
/// makes the timeout hardly longer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RttEstimator {
    /// Smoothed round-trip time, µs times 8; 0 before the first measurement.
    srtt: u32,
    /// Mean deviation, µs times 4.
    mdev: u32,
    /// Largest mean deviation of this round trip, and the least retransmission timeout at least; µs
    /// times 4.
    mdev_max: u32,
    /// That of the round trips before, with decay: µs times 4.
    rttvar: u32,
    /// SND.NXT when this round trip began.
    round: SeqNumber,
    least: WindowedMin,
}

packed!(struct RttEstimator { srtt, mdev, mdev_max, rttvar, round, least });

impl RttEstimator {
    /// Takes a measurement (RFC 6298 2.2, 2.3; alpha 1/8, beta 1/4), with SND.UNA and SND.NXT as
    /// they are now, and the least timeout.
    pub fn sample(&mut self, rtt: Duration, una: SeqNumber, nxt: SeqNumber, rto_min: Duration) {
        let r = microseconds(rtt);
        let floor = u32::try_from(rto_min.us()).unwrap_or(u32::MAX);
        if self.srtt == 0 {
            self.srtt = r.saturating_mul(8);
            self.mdev = r.saturating_mul(2);
            self.rttvar = self.mdev.max(floor);
            self.mdev_max = self.rttvar;
            self.round = nxt;
            return;
        }
        let old = self.srtt / 8;
        self.srtt = self.srtt.saturating_sub(old).saturating_add(r).max(1);
        let (error, share) = (r.abs_diff(old), self.mdev / 4);
        self.mdev = match error.checked_sub(share) {
            Some(more) if r < old => self.mdev.saturating_add(more / 8),
            Some(more) => self.mdev.saturating_add(more),
            None => self.mdev.saturating_sub(share.saturating_sub(error)),
        };
        self.mdev_max = self.mdev_max.max(self.mdev);
        self.rttvar = self.rttvar.max(self.mdev_max);
        if una.after(self.round) {
            let calmer = self.rttvar.saturating_sub(self.mdev_max);
            self.rttvar = self.rttvar.saturating_sub(calmer / 4);
            self.round = nxt;
            self.mdev_max = floor;
        }
    }

    /// The handshake gave no measurement: its timer may have been too short (RFC 6298 5.7).
    pub(super) fn fall_back(&mut self) {
        if self.srtt == 0 {
            self.rttvar = FALLBACK_RTO_US;
        }
    }

    /// Takes a measurement for the least of the last `window`.
    pub(super) fn note_least(&mut self, rtt: Duration, window: Duration, now: Instant) {
        self.least.update(microseconds(rtt), window, now);
    }

    /// Smoothed round-trip time, if one was measured.
    pub fn srtt(&self) -> Option<Duration> {
        (self.srtt != 0).then(|| Duration::from_us(u64::from(self.srtt / 8)))
    }

    /// Variation.
    pub fn rttvar(&self) -> Duration {
        Duration::from_us(u64::from(self.mdev / 4))
    }

    /// Least round-trip time measured of late; zero before the first.
    pub fn min(&self) -> Duration {
        Duration::from_us(self.least.get().unwrap_or(0).into())
    }

    /// The timeout, before backoff: SRTT + max(G, 4 RTTVAR), where as in Linux the second part is
    /// at least `min`, and the whole at most `max`.
    pub fn rto(&self, min: Duration, max: Duration) -> Duration {
        match self.srtt() {
            None => INITIAL_RTO
                .max(Duration::from_us(self.rttvar.into()))
                .min(max),
            Some(srtt) => {
                let var = Duration::from_us(self.rttvar.into()).max(min);
                (srtt + var).min(max)
            }
        }
    }
}

fn microseconds(rtt: Duration) -> u32 {
    u32::try_from(rtt.us()).unwrap_or(MOST).clamp(1, MOST)
}

#[cfg_attr(MODULE, kernel::prelude::kunit_tests(oxtcp_rtt))]
#[cfg_attr(not(MODULE), cfg(test))]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_ms(200);
    const MAX: Duration = Duration::from_secs(120);

    /// A path on which each measurement is of a round trip of its own.
    struct Path {
        rtt: RttEstimator,
        next: SeqNumber,
    }

    impl Path {
        fn new() -> Self {
            Self {
                rtt: RttEstimator::default(),
                next: SeqNumber(u32::MAX),
            }
        }

        /// A round trip with several measurements, in µs.
        fn round(&mut self, all: &[u64]) {
            for us in all {
                self.rtt
                    .sample(Duration::from_us(*us), self.next, self.next + 9, MIN);
            }
            self.next += 10;
        }

        fn rto(&self) -> u64 {
            self.rtt.rto(MIN, MAX).us()
        }
    }

    #[test]
    fn the_first_measurement_sets_both() {
        let mut path = Path::new();
        assert!(path.rto() == INITIAL_RTO.us());
        path.round(&[100_000]);
        assert!(path.rtt.srtt() == Some(Duration::from_ms(100)));
        assert!(path.rtt.rttvar() == Duration::from_ms(50));
        assert!(path.rto() == 300_000);
    }

    #[test]
    fn steady_measurements_bring_it_down_to_the_least() {
        let mut path = Path::new();
        for _ in 0..200 {
            path.round(&[800_000]);
        }
        assert!((1_000_000..1_000_010).contains(&path.rto()));
    }

    #[test]
    fn many_measurements_in_a_round_trip_count_by_their_largest_deviation() {
        let mut path = Path::new();
        path.round(&[100_000]);
        let mut round = [200_000; 50];
        round[0] = 900_000;
        path.round(&round);
        assert!(path.rtt.mdev < 1000);
        assert!(path.rtt.rttvar == 950_000);
    }

    #[test]
    fn a_calmer_round_trip_takes_a_quarter_of_the_difference() {
        let mut path = Path::new();
        path.round(&[400_000]);
        assert!(path.rtt.rttvar == 800_000);
        path.round(&[400_000]);
        // The first round trip's deviation counts for the second.
        assert!(path.rtt.rttvar == 800_000);
        path.round(&[400_000]);
        // What is left of it after two calm measurements is 9/16.
        assert!(path.rtt.mdev == 450_000);
        assert!(path.rtt.rttvar == 800_000 - (800_000 - 450_000) / 4);
    }

    #[test]
    fn a_shorter_round_trip_makes_the_timeout_hardly_longer() {
        let (mut up, mut down) = (Path::new(), Path::new());
        for path in [&mut up, &mut down] {
            for _ in 0..100 {
                path.round(&[1_000_000]);
            }
        }
        up.round(&[1_900_000]);
        down.round(&[100_000]);
        assert!(up.rtt.mdev > 800_000);
        assert!(down.rtt.mdev < 120_000);
    }

    #[test]
    fn a_tiny_measurement_is_one() {
        let mut path = Path::new();
        path.round(&[0]);
        assert!(path.rtt.srtt() == Some(Duration::from_us(1)));
    }

    #[test]
    fn the_least_is_of_the_last_while() {
        let mut rtt = RttEstimator::default();
        let wlen = Duration::from_secs(300);
        for (secs, ms, least) in [(0, 5, 5), (1, 9, 5), (200, 9, 5), (299, 9, 5), (301, 9, 9)] {
            let now = Instant::default() + Duration::from_secs(secs);
            rtt.note_least(Duration::from_ms(ms), wlen, now);
            assert!(rtt.min() == Duration::from_ms(least));
        }
    }

    #[test]
    fn it_stays_in_its_bounds_whatever_is_measured() {
        let mut path = Path::new();
        for us in [0, 1, u64::MAX, 0, 7, u64::MAX, 1 << 40, 0] {
            path.round(&[us, us / 2]);
            let rto = path.rtt.rto(MIN, MAX);
            assert!(rto >= MIN && rto <= MAX);
        }
    }
}
