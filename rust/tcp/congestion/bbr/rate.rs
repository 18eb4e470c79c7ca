// SPDX-License-Identifier: GPL-2.0

//! Rates, in half of the room that bytes a second would take.

use crate::tcp::pack::{Pack, Packer};

/// Bytes a second that a unit is: the largest rate is 34 GB/s.
const UNIT: u64 = 8;

/// A rate of sending or of delivery.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Rate(u32);

impl Pack for Rate {
    fn pack<P: Packer>(&mut self, by: &mut P) {
        self.0.pack(by);
    }
}

impl Rate {
    pub(super) const ZERO: Self = Self(0);
    /// No bound; larger than every rate.
    pub(super) const NONE: Self = Self(u32::MAX);

    /// `bytes` in `us` microseconds.
    pub(super) fn new(bytes: u64, us: u64) -> Self {
        let rate = bytes.saturating_mul(1_000_000 / UNIT) / us.max(1);
        Self(u32::try_from(rate).unwrap_or(u32::MAX).min(u32::MAX - 1))
    }

    /// Bytes a second.
    pub(super) fn bytes(self) -> u64 {
        u64::from(self.0).saturating_mul(UNIT)
    }

    /// Bytes in `us` microseconds.
    pub(super) fn over(self, us: u64) -> u64 {
        self.bytes().saturating_mul(us) / 1_000_000
    }

    /// `percent` of it.
    pub(super) fn percent(self, percent: u64) -> Self {
        let rate = u64::from(self.0).saturating_mul(percent) / 100;
        Self(u32::try_from(rate).unwrap_or(u32::MAX).min(u32::MAX - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_bytes_by_time() {
        assert_eq!(Rate::new(1000, 1_000_000).bytes(), 1000);
        assert_eq!(Rate::new(1500, 12).bytes(), 125_000_000);
        assert_eq!(Rate::new(1500, 12).over(1_000), 125_000);
        assert_eq!(Rate::new(7, 1_000_000), Rate::ZERO);
    }

    #[test]
    fn no_rate_is_as_large_as_no_bound() {
        assert!(Rate::new(u64::MAX, 0) < Rate::NONE);
        assert!(Rate::NONE.percent(277) < Rate::NONE);
    }

    #[test]
    fn a_hundred_gigabits_fit() {
        let rate = Rate::new(12_500_000_000, 1_000_000);
        assert_eq!(rate.bytes(), 12_500_000_000);
        assert_eq!(rate.percent(125).bytes(), 15_625_000_000);
    }
}
