// SPDX-License-Identifier: GPL-2.0

//! Round-trip time and the retransmission timeout (RFC 6298).

use super::time::Duration;

/// Timeout before there is a measurement (RFC 6298 2.1).
pub const INITIAL_RTO: Duration = Duration::from_secs(1);

/// The estimator. Times fit in 32 bits of microseconds: measurements beyond 71 minutes are cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RttEstimator {
    /// Smoothed round-trip time, µs; 0 before the first measurement.
    srtt_us: u32,
    /// Variation, µs.
    rttvar_us: u32,
    /// Least measurement, µs.
    min_us: u32,
}

impl RttEstimator {
    /// Takes a measurement (RFC 6298 2.2, 2.3; alpha 1/8, beta 1/4).
    pub fn sample(&mut self, rtt: Duration) {
        let r = u32::try_from(rtt.us()).unwrap_or(u32::MAX).max(1);
        if self.srtt_us == 0 {
            self.srtt_us = r;
            self.rttvar_us = r / 2;
            self.min_us = r;
            return;
        }
        let error = self.srtt_us.abs_diff(r);
        self.rttvar_us = self.rttvar_us - self.rttvar_us / 4 + error / 4;
        self.srtt_us = (self.srtt_us - self.srtt_us / 8)
            .saturating_add(r / 8)
            .max(1);
        self.min_us = self.min_us.min(r);
    }

    /// Takes a measurement for the least alone.
    pub(super) fn note_least(&mut self, rtt: Duration) {
        let r = u32::try_from(rtt.us()).unwrap_or(u32::MAX).max(1);
        self.min_us = self.min_us.min(r);
    }

    /// Smoothed round-trip time, if one was measured.
    pub fn srtt(&self) -> Option<Duration> {
        (self.srtt_us != 0).then(|| Duration::from_us(u64::from(self.srtt_us)))
    }

    /// Variation.
    pub fn rttvar(&self) -> Duration {
        Duration::from_us(u64::from(self.rttvar_us))
    }

    /// Least round-trip time measured.
    pub fn min(&self) -> Duration {
        Duration::from_us(u64::from(self.min_us))
    }

    /// The timeout, before backoff: SRTT + max(G, 4 RTTVAR), where as in Linux the second part is
    /// at least `min`, and the whole at most `max`.
    pub fn rto(&self, min: Duration, max: Duration) -> Duration {
        match self.srtt() {
            None => INITIAL_RTO.min(max),
            Some(srtt) => {
                let var = Duration::from_us(u64::from(self.rttvar_us) * 4).max(min);
                (srtt + var).min(max)
            }
        }
    }
}

#[cfg_attr(MODULE, kernel::prelude::kunit_tests(oxtcp_rtt))]
#[cfg_attr(not(MODULE), cfg(test))]
mod tests {
    use super::*;

    const MIN: Duration = Duration::from_ms(200);
    const MAX: Duration = Duration::from_secs(120);

    #[test]
    fn the_first_measurement_sets_both() {
        let mut rtt = RttEstimator::default();
        assert!(rtt.rto(MIN, MAX) == INITIAL_RTO);
        rtt.sample(Duration::from_ms(100));
        assert!(rtt.srtt() == Some(Duration::from_ms(100)));
        assert!(rtt.rttvar() == Duration::from_ms(50));
        assert!(rtt.rto(MIN, MAX) == Duration::from_ms(300));
    }

    #[test]
    fn steady_measurements_bring_it_down_to_the_least() {
        let mut rtt = RttEstimator::default();
        for _ in 0..200 {
            rtt.sample(Duration::from_ms(80));
        }
        assert!(rtt.rto(MIN, MAX) == Duration::from_us(280_000));
    }

    #[test]
    fn it_stays_in_its_bounds_whatever_is_measured() {
        let mut rtt = RttEstimator::default();
        for us in [0, 1, u64::MAX, 0, 7, u64::MAX, 1 << 40, 0] {
            rtt.sample(Duration::from_us(us));
            let rto = rtt.rto(MIN, MAX);
            assert!(rto >= MIN && rto <= MAX);
        }
    }
}
