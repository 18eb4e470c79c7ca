// SPDX-License-Identifier: GPL-2.0

//! Sequence numbers: arithmetic modulo 2^32 (RFC 9293 section 3.4).

use core::ops::{Add, AddAssign, Sub};

/// A sequence or acknowledgment number, host order.
///
/// There is no total order on a circle, hence no `Ord`: ask [`before`](Self::before) or
/// [`after`](Self::after), which are right for numbers less than 2^31 apart.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[repr(transparent)]
pub struct SeqNumber(u32);

impl SeqNumber {
    /// The number `raw`, host order.
    pub const fn new(raw: u32) -> Self {
        Self(raw)
    }

    /// The number as it is written in a header, host order.
    pub const fn raw(self) -> u32 {
        self.0
    }

    /// Signed distance from `other` to `self` in bytes: positive when `self` is after `other`.
    pub const fn distance(self, other: Self) -> i32 {
        self.0.wrapping_sub(other.0) as i32
    }

    /// Bytes from `other` up to `self`, 0 when `self` is not after `other`.
    pub const fn bytes_since(self, other: Self) -> u32 {
        let d = self.distance(other);
        if d > 0 {
            d as u32
        } else {
            0
        }
    }

    /// Whether `self` is strictly before `other`.
    pub const fn before(self, other: Self) -> bool {
        self.distance(other) < 0
    }

    /// Whether `self` is before `other` or equal to it.
    pub const fn before_eq(self, other: Self) -> bool {
        self.distance(other) <= 0
    }

    /// Whether `self` is strictly after `other`.
    pub const fn after(self, other: Self) -> bool {
        self.distance(other) > 0
    }

    /// Whether `self` is after `other` or equal to it.
    pub const fn after_eq(self, other: Self) -> bool {
        self.distance(other) >= 0
    }

    /// Whether `self` lies in `start .. start + len` bytes.
    pub const fn in_window(self, start: Self, len: u32) -> bool {
        self.0.wrapping_sub(start.0) < len
    }

    /// The later of the two.
    pub const fn later(self, other: Self) -> Self {
        if self.before(other) {
            other
        } else {
            self
        }
    }

    /// The earlier of the two.
    pub const fn earlier(self, other: Self) -> Self {
        if self.after(other) {
            other
        } else {
            self
        }
    }
}

impl Add<u32> for SeqNumber {
    type Output = Self;

    fn add(self, bytes: u32) -> Self {
        Self(self.0.wrapping_add(bytes))
    }
}

impl AddAssign<u32> for SeqNumber {
    fn add_assign(&mut self, bytes: u32) {
        *self = *self + bytes;
    }
}

impl Sub<u32> for SeqNumber {
    type Output = Self;

    fn sub(self, bytes: u32) -> Self {
        Self(self.0.wrapping_sub(bytes))
    }
}

impl Sub<SeqNumber> for SeqNumber {
    type Output = i32;

    /// [`SeqNumber::distance`] from `other` to `self`, bytes.
    fn sub(self, other: Self) -> i32 {
        self.distance(other)
    }
}

#[cfg_attr(MODULE, kernel::prelude::kunit_tests(oxtcp_seq))]
#[cfg_attr(not(MODULE), cfg(test))]
mod tests {
    use super::*;

    const EDGES: [u32; 9] =
        [0, 1, 2, 0x7fff_fffe, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, u32::MAX - 1, u32::MAX];

    #[test]
    fn addition_wraps() {
        assert_eq!((SeqNumber::new(u32::MAX) + 1).raw(), 0);
        assert_eq!((SeqNumber::new(u32::MAX) + u32::MAX).raw(), u32::MAX - 1);
        assert_eq!((SeqNumber::new(0) - 1).raw(), u32::MAX);
    }

    #[test]
    fn add_assign_wraps() {
        let mut s = SeqNumber::new(u32::MAX - 2);
        s += 5;
        assert_eq!(s.raw(), 2);
    }

    #[test]
    fn order_holds_across_the_wrap() {
        for edge in EDGES {
            let a = SeqNumber::new(edge);
            for step in [1u32, 2, 1460, 65535, 0x7fff_ffff] {
                let b = a + step;
                assert!(a.before(b) && b.after(a));
                assert!(!b.before(a) && !a.after(b));
                assert!(a.before_eq(b) && b.after_eq(a));
            }
        }
    }

    #[test]
    fn equal_is_neither_before_nor_after() {
        for edge in EDGES {
            let a = SeqNumber::new(edge);
            assert!(!a.before(a) && !a.after(a));
            assert!(a.before_eq(a) && a.after_eq(a));
        }
    }

    #[test]
    fn distance_is_signed() {
        assert_eq!(SeqNumber::new(5) - SeqNumber::new(u32::MAX), 6);
        assert_eq!(SeqNumber::new(u32::MAX) - SeqNumber::new(5), -6);
        assert_eq!(SeqNumber::new(0x8000_0000) - SeqNumber::new(0), i32::MIN);
    }

    #[test]
    fn bytes_since_is_never_negative() {
        assert_eq!(SeqNumber::new(3).bytes_since(SeqNumber::new(u32::MAX)), 4);
        assert_eq!(SeqNumber::new(3).bytes_since(SeqNumber::new(4)), 0);
        assert_eq!(SeqNumber::new(3).bytes_since(SeqNumber::new(3)), 0);
    }

    #[test]
    fn window_has_a_first_and_no_last() {
        let start = SeqNumber::new(u32::MAX - 1);
        assert!(start.in_window(start, 1));
        assert!(!start.in_window(start, 0));
        assert!((start + 3).in_window(start, 4));
        assert!(!(start + 4).in_window(start, 4));
        assert!(!(start - 1).in_window(start, 4));
    }

    #[test]
    fn later_and_earlier_across_the_wrap() {
        let a = SeqNumber::new(u32::MAX);
        let b = SeqNumber::new(1);
        assert_eq!(a.later(b), b);
        assert_eq!(b.later(a), b);
        assert_eq!(a.earlier(b), a);
        assert_eq!(b.earlier(a), a);
    }
}
