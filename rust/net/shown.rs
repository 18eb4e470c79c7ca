// SPDX-License-Identifier: GPL-2.0

//! What a socket's lock protects and others may see without it, by a load and a store as of the
//! kernel's `READ_ONCE` and `WRITE_ONCE`: its `Atomic` has a call for each.

use core::cell::UnsafeCell;

/// A word that one may write at a time, and all may read.
pub struct Shown<T>(UnsafeCell<T>);

// SAFETY: All accesses are volatile ones of a word, which is never seen half written.
unsafe impl Sync for Shown<u32> {}
// SAFETY: As above.
unsafe impl Sync for Shown<bool> {}

impl<T: Copy> Shown<T>
where
    Self: Sync,
{
    /// With a value to begin with.
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// The value last shown.
    #[inline]
    pub fn get(&self) -> T {
        // SAFETY: The pointer is valid.
        unsafe { self.0.get().read_volatile() }
    }

    /// Shows `value`.
    #[inline]
    pub fn set(&self, value: T) {
        // SAFETY: The pointer is valid; by the type a word.
        unsafe { self.0.get().write_volatile(value) }
    }
}
