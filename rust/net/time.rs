// SPDX-License-Identifier: GPL-2.0

//! The clock.

/// Monotonic time in microseconds since boot (`ktime_get`).
pub fn now() -> u64 {
    // SAFETY: Callable in any context.
    let ns = unsafe { kernel::bindings::ktime_get() };
    // The monotonic clock starts at 0 and never goes negative.
    ns.unsigned_abs() / 1000
}
