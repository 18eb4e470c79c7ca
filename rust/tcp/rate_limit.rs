// SPDX-License-Identifier: GPL-2.0

//! A limit on the answers to segments that should not be: two confused ends, or an attacker who
//! forges one of them, would else keep each other busy for ever (`tcp_invalid_ratelimit`).

use super::time::{Duration, Instant};

/// When the last answer was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RateLimit {
    /// Milliseconds of the clock, wrapped; 0 for never.
    last_ms: u32,
}

impl RateLimit {
    /// Whether an answer may be given now, which is noted: at most one in `interval`.
    pub fn allows(&mut self, interval: Duration, now: Instant) -> bool {
        let now_ms = now.ms_wrapped();
        let elapsed = u64::from(now_ms.wrapping_sub(self.last_ms));
        if self.last_ms != 0 && elapsed < interval.ms() {
            return false;
        }
        // A millisecond earlier where that would be "never".
        self.last_ms = if now_ms == 0 { u32::MAX } else { now_ms };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Duration = Duration::from_ms(500);

    fn at(ms: u64) -> Instant {
        Instant::from_us(ms * 1000)
    }

    #[test]
    fn the_first_is_always_answered() {
        for ms in [0, 1, 499, 1 << 32] {
            assert!(RateLimit::default().allows(HALF, at(ms)));
        }
    }

    #[test]
    fn one_in_the_interval_is_answered() {
        let mut limit = RateLimit::default();
        let answered = (0..5000).filter(|ms| limit.allows(HALF, at(1000 + ms)));
        assert_eq!(answered.count(), 10);
    }

    #[test]
    fn those_not_answered_do_not_prolong_the_wait() {
        let mut limit = RateLimit::default();
        assert!(limit.allows(HALF, at(1000)));
        assert!(!limit.allows(HALF, at(1499)));
        assert!(limit.allows(HALF, at(1500)));
    }

    #[test]
    fn zero_is_no_limit() {
        let mut limit = RateLimit::default();
        assert!((0..100).all(|_| limit.allows(Duration::ZERO, at(7))));
    }

    #[test]
    fn the_clock_may_show_zero() {
        for zero in [0, 1 << 32] {
            let mut limit = RateLimit::default();
            assert!(limit.allows(HALF, at(zero)));
            assert!(!limit.allows(HALF, at(zero)));
            assert!(!limit.allows(HALF, at(zero + 498)));
        }
    }

    #[test]
    fn the_clock_may_wrap() {
        let mut limit = RateLimit::default();
        assert!(limit.allows(HALF, at((1 << 32) - 10)));
        assert!(!limit.allows(HALF, at((1 << 32) + 10)));
        assert!(limit.allows(HALF, at((1 << 32) + 490)));
    }
}
