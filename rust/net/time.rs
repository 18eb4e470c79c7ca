// SPDX-License-Identifier: GPL-2.0

//! The clock.

/// How often timers look at the clock, µs: one may fire so late.
pub const TICK_US: u64 = super::bindings::OX_TICK_US;

/// Monotonic time in microseconds since boot (`ktime_get`).
pub fn now() -> u64 {
    // SAFETY: Callable in any context.
    let ns = unsafe { kernel::bindings::ktime_get() };
    // The monotonic clock starts at 0 and never goes negative.
    ns.unsigned_abs() / 1000
}
