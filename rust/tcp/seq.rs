// SPDX-License-Identifier: GPL-2.0

//! Sequence numbers (RFC 9293 3.4): a circle of 2^32, compared modulo 2^32.

use core::fmt;
use core::ops::{Add, AddAssign, Sub};

/// A sequence or acknowledgment number. There is deliberately no `Ord`: the order is that of a
/// circle and not transitive; it means something only for numbers less than 2^31 apart.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct SeqNumber(pub u32);

impl SeqNumber {
    /// Whether `self` comes before `other`.
    pub const fn before(self, other: Self) -> bool {
        (self.0.wrapping_sub(other.0) as i32) < 0
    }

    /// Whether `self` comes after `other`.
    pub const fn after(self, other: Self) -> bool {
        other.before(self)
    }

    /// Whether `self` is `other` or comes before it.
    pub const fn at_or_before(self, other: Self) -> bool {
        !other.before(self)
    }

    /// Whether `self` is `other` or comes after it.
    pub const fn at_or_after(self, other: Self) -> bool {
        !self.before(other)
    }

    /// Whether `start <= self < end`.
    pub const fn in_range(self, start: Self, end: Self) -> bool {
        self.0.wrapping_sub(start.0) < end.0.wrapping_sub(start.0)
    }

    /// How far `self` is behind `start`: numbers from `start` to `self`, 0 when it is before.
    pub const fn since(self, start: Self) -> u32 {
        if self.before(start) {
            0
        } else {
            self.0.wrapping_sub(start.0)
        }
    }

    /// The later of both.
    pub const fn max(self, other: Self) -> Self {
        if self.before(other) {
            other
        } else {
            self
        }
    }

    /// The earlier of both.
    pub const fn min(self, other: Self) -> Self {
        if self.before(other) {
            self
        } else {
            other
        }
    }
}

impl Add<u32> for SeqNumber {
    type Output = Self;

    fn add(self, n: u32) -> Self {
        Self(self.0.wrapping_add(n))
    }
}

impl AddAssign<u32> for SeqNumber {
    fn add_assign(&mut self, n: u32) {
        *self = *self + n;
    }
}

impl Sub<u32> for SeqNumber {
    type Output = Self;

    fn sub(self, n: u32) -> Self {
        Self(self.0.wrapping_sub(n))
    }
}

/// The signed distance on the circle.
impl Sub<SeqNumber> for SeqNumber {
    type Output = i32;

    fn sub(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0) as i32
    }
}

impl fmt::Debug for SeqNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg_attr(MODULE, kernel::prelude::kunit_tests(oxtcp_seq))]
#[cfg_attr(not(MODULE), cfg(test))]
mod tests {
    use super::*;

    #[test]
    fn order_holds_across_the_wrap() {
        for start in [0u32, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
            let a = SeqNumber(start);
            for distance in [1u32, 2, 1000, 0x7fff_ffff] {
                let b = a + distance;
                assert!(a.before(b) && b.after(a) && !b.before(a));
                assert!(a.at_or_before(b) && b.at_or_after(a));
                assert!(b.since(a) == distance && a.since(b) == 0);
                assert!(a.max(b) == b && a.min(b) == a);
                assert!(b - distance == a);
            }
            assert!(a.at_or_before(a) && a.at_or_after(a) && !a.before(a));
        }
    }

    #[test]
    fn ranges_are_half_open_and_may_wrap() {
        let start = SeqNumber(0xffff_fff0);
        let end = start + 0x20;
        assert!(start.in_range(start, end));
        assert!((end - 1).in_range(start, end));
        assert!(!end.in_range(start, end));
        assert!(!(start - 1).in_range(start, end));
        assert!(!start.in_range(start, start));
    }
}
