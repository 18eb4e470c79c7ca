// SPDX-License-Identifier: GPL-2.0

//! Time, as an argument: the core has no clock.

use core::ops::{Add, Sub};

/// A point of monotonic time, in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Instant(u64);

/// A span of time, in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Duration(u64);

impl Instant {
    /// Later than any other.
    pub(super) const NEVER: Self = Self(u64::MAX);

    /// The point `us` microseconds after the clock's start.
    pub const fn from_us(us: u64) -> Self {
        Self(us)
    }

    /// Microseconds since the clock's start.
    pub const fn us(self) -> u64 {
        self.0
    }

    /// Milliseconds since the clock's start, as timestamp options count them (wraps).
    pub const fn ms_wrapped(self) -> u32 {
        (self.0 / 1000) as u32
    }

    /// Time from `earlier` to here, zero if that is later.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

impl Duration {
    /// No time.
    pub const ZERO: Self = Self(0);

    /// `us` microseconds.
    pub const fn from_us(us: u64) -> Self {
        Self(us)
    }

    /// `ms` milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms.saturating_mul(1000))
    }

    /// `s` seconds.
    pub const fn from_secs(s: u64) -> Self {
        Self::from_ms(s.saturating_mul(1000))
    }

    /// In microseconds.
    pub const fn us(self) -> u64 {
        self.0
    }

    /// In milliseconds, rounded down.
    pub const fn ms(self) -> u64 {
        self.0 / 1000
    }

    /// Less `other`, at least zero.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// `2^shift` times as long, at most `max`.
    pub fn backed_off(self, shift: u8, max: Self) -> Self {
        let factor = 1u64.checked_shl(u32::from(shift)).unwrap_or(u64::MAX);
        Self(self.0.saturating_mul(factor)).min(max)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, d: Duration) -> Self {
        Self(self.0.saturating_add(d.0))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, d: Duration) -> Self {
        Self(self.0.saturating_sub(d.0))
    }
}

impl Add for Duration {
    type Output = Self;

    fn add(self, d: Self) -> Self {
        Self(self.0.saturating_add(d.0))
    }
}
