// SPDX-License-Identifier: GPL-2.0

//! Time limits of blocking calls.

use kernel::ffi::c_long;

/// What is left of a blocking call's time, in jiffies; `c_long::MAX` is for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout(pub(super) c_long);

impl Timeout {
    /// No time: the call must not block.
    pub const NONE: Self = Self(0);
    /// No limit.
    pub const FOREVER: Self = Self(c_long::MAX);

    /// Whether the time is used up.
    pub fn is_over(self) -> bool {
        self.0 <= 0
    }
}
