// SPDX-License-Identifier: GPL-2.0

//! Time as the core sees it: microseconds of a clock that never goes back.

use core::ops::{Add, Sub};

/// A span of time in microseconds. Arithmetic saturates.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Duration(u64);

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// `us` microseconds.
    pub const fn from_micros(us: u64) -> Self {
        Self(us)
    }

    /// `ms` milliseconds.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms.saturating_mul(1000))
    }

    /// `s` seconds.
    pub const fn from_secs(s: u64) -> Self {
        Self(s.saturating_mul(1_000_000))
    }

    /// Microseconds.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Whole milliseconds.
    pub const fn millis(self) -> u64 {
        self.0 / 1000
    }

    /// Whether this is no time at all.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// This span doubled `shift` times, at most `max`.
    pub const fn backed_off(self, shift: u8, max: Self) -> Self {
        let factor = if shift >= 32 { 1u64 << 32 } else { 1u64 << shift };
        let us = self.0.saturating_mul(factor);
        if us > max.0 {
            max
        } else {
            Self(us)
        }
    }

    /// This span `n` times.
    pub const fn times(self, n: u64) -> Self {
        Self(self.0.saturating_mul(n))
    }

    /// Half of this span.
    pub const fn half(self) -> Self {
        Self(self.0 / 2)
    }
}

impl Add for Duration {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Duration {
    type Output = Self;

    /// Never less than nothing.
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// A point in time: microseconds since some fixed start, such as boot.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Instant(u64);

impl Instant {
    /// `us` microseconds after the clock's start.
    pub const fn from_micros(us: u64) -> Self {
        Self(us)
    }

    /// Microseconds since the clock's start.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Milliseconds since the clock's start, modulo 2^32: the timestamp option's clock.
    pub const fn millis32(self) -> u32 {
        (self.0 / 1000) as u32
    }

    /// Time from `earlier` to this, nothing when that lies ahead.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, d: Duration) -> Self {
        Self(self.0.saturating_add(d.0))
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.since(earlier)
    }
}

#[cfg(all(test, not(MODULE)))]
mod tests {
    use super::*;

    #[test]
    fn backing_off_doubles_up_to_a_limit() {
        let max = Duration::from_secs(120);
        let base = Duration::from_millis(200);
        assert_eq!(base.backed_off(0, max), base);
        assert_eq!(base.backed_off(3, max), Duration::from_millis(1600));
        assert_eq!(base.backed_off(10, max), max);
        assert_eq!(base.backed_off(255, max), max);
    }

    #[test]
    fn time_saturates() {
        let end = Instant::from_micros(u64::MAX);
        assert_eq!(end + Duration::from_secs(1), end);
        assert_eq!(Instant::from_micros(1).since(end), Duration::ZERO);
        assert_eq!(Duration::from_secs(u64::MAX).micros(), u64::MAX);
        assert_eq!(Duration::from_micros(1) - Duration::from_micros(2), Duration::ZERO);
    }

    #[test]
    fn millis32_wraps() {
        assert_eq!(Instant::from_micros((1u64 << 32) * 1000 + 5000).millis32(), 5);
    }
}
