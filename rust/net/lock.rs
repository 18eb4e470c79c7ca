// SPDX-License-Identifier: GPL-2.0

//! A spin lock that keeps softirqs off while it is held: for what both contexts use.

use super::bindings as b;
use kernel::ffi::c_char;
use kernel::prelude::*;
use kernel::sync::lock::{Backend, Guard, Lock};
use kernel::types::NotThreadSafe;

/// A spin lock with BH disabled. Make one with [`new_bh_spinlock!`](crate::new_bh_spinlock).
pub type BhSpinLock<T> = Lock<T, BhBackend>;
/// Guard of a [`BhSpinLock`].
pub type BhSpinLockGuard<'a, T> = Guard<'a, T, BhBackend>;

/// Initialiser of a [`BhSpinLock`] with a lock class of its own, named for lockdep.
#[macro_export]
macro_rules! new_bh_spinlock {
    ($value:expr, $name:expr) => {
        $crate::net::lock::BhSpinLock::new($value, $name, ::kernel::static_lock_class!())
    };
}

/// `spin_lock_bh`.
pub struct BhBackend;

// SAFETY: `spin_lock_bh` gives exclusive ownership until `spin_unlock_bh`; the guard is not `Send`,
// so the unlock happens on the same CPU's context.
unsafe impl Backend for BhBackend {
    type State = kernel::bindings::spinlock_t;
    type GuardState = ();

    unsafe fn init(
        ptr: *mut Self::State,
        name: *const c_char,
        key: *mut kernel::bindings::lock_class_key,
    ) {
        // SAFETY: The caller gives valid pointers.
        unsafe { kernel::bindings::__spin_lock_init(ptr, name, key) }
    }

    unsafe fn lock(ptr: *mut Self::State) -> Self::GuardState {
        // SAFETY: The caller promises an initialised lock.
        unsafe { b::ox_spin_lock_bh(ptr.cast()) }
    }

    unsafe fn try_lock(ptr: *mut Self::State) -> Option<Self::GuardState> {
        // SAFETY: The caller promises an initialised lock.
        unsafe { b::ox_spin_trylock_bh(ptr.cast()) }.then_some(())
    }

    unsafe fn unlock(ptr: *mut Self::State, _state: &Self::GuardState) {
        // SAFETY: The caller holds the lock.
        unsafe { b::ox_spin_unlock_bh(ptr.cast()) }
    }

    unsafe fn assert_is_held(ptr: *mut Self::State) {
        // SAFETY: The caller promises an initialised lock.
        unsafe { b::ox_assert_spin_locked(ptr.cast()) }
    }
}

/// BH is off as long as this lives: for what is done in softirq mostly, and may not sleep elsewhere.
pub(super) struct BhOff {
    ends: bool,
    _not_send: NotThreadSafe,
}

impl BhOff {
    pub(super) fn new() -> Self {
        Self {
            // SAFETY: Callable in any context but that of an interrupt; undone when dropped.
            ends: unsafe { b::ox_bh_off() },
            _not_send: NotThreadSafe,
        }
    }
}

impl Drop for BhOff {
    fn drop(&mut self) {
        if self.ends {
            // SAFETY: It was switched off by `new`, on this CPU.
            unsafe { b::ox_bh_on() }
        }
    }
}

#[kunit_tests(oxtcp_bh_lock)]
mod tests {
    use super::*;

    #[test]
    fn excludes_and_releases() -> Result {
        let lock = KBox::pin_init(new_bh_spinlock!(1, c"oxtcp_test"), GFP_KERNEL)?;
        let mut guard = lock.lock();
        *guard += 1;
        assert!(lock.try_lock().is_none());
        drop(guard);
        assert_eq!(lock.try_lock().map(|guard| *guard), Some(2));
        Ok(())
    }
}
