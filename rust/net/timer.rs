// SPDX-License-Identifier: GPL-2.0

//! Timers: one for a socket (`sk_timer`), lazily moved, and one for a namespace.

use super::bindings as b;
use super::*;

/// The socket timer's own state; zero is idle. Protected by the socket's spin lock.
#[derive(Default)]
#[repr(C)]
pub(super) struct State {
    /// When the family wants to be called, µs of [`now`]; 0 for never.
    deadline: u64,
    /// What the pending timer was set for, µs; 0 when there is none.
    fires_at: u64,
    /// It fired while a process had the socket; holds the timer's reference.
    deferred: bool,
}

impl State {
    /// Takes the deadline `at`, if the timer need not be touched for it; returns whether that is so.
    #[inline]
    pub(super) fn keep(&mut self, at: Option<u64>) -> bool {
        let Some(at) = at else {
            return false;
        };
        let kept = self.fires_at != 0 && self.fires_at <= at;
        if kept {
            self.deadline = at;
        }
        kept
    }

    /// Moves the deadline. The timer itself is touched only when it would fire too late: one that
    /// fires too early looks again.
    pub(super) fn set<F: Family>(&mut self, sock: &Sock<F>, at: Option<u64>) {
        let sk = sock.sk();
        let Some(at) = at else {
            self.deadline = 0;
            return;
        };
        let at = at.max(1);
        if self.keep(Some(at)) {
            return;
        }
        self.deadline = at;
        self.fires_at = at;
        // SAFETY: The socket is alive and its timer was set up.
        unsafe { b::ox_sk_timer_reset(sk, at.saturating_sub(now())) };
    }

    /// No deadline, and no pending timer that would keep the socket.
    pub(super) fn stop<F: Family>(&mut self, sock: &Sock<F>) {
        self.deadline = 0;
        self.fires_at = 0;
        // SAFETY: The socket is alive, by a reference that is not the timer's.
        unsafe { b::ox_sk_timer_stop(sock.sk()) };
    }
}

/// Calls the family if its deadline has come; else waits for it again.
fn run<F: Family>(locked: &mut Locked<'_, F>) {
    locked.timer_state().fires_at = 0;
    let at = locked.timer_state().deadline;
    if at == 0 {
        return;
    }
    if now() < at {
        locked.set_deadline(Some(at));
        return;
    }
    locked.timer_state().deadline = 0;
    F::timer(locked);
}

/// `sk_timer` fired. Softirq.
///
/// # Safety
///
/// `timer` is the `sk_timer` of a socket of `F`, and its reference is ours.
pub(super) unsafe extern "C" fn fire<F: Family>(timer: *mut b::timer_list) {
    // SAFETY: By the function's contract.
    let sk = unsafe { b::ox_sk_of_timer(timer) };
    // SAFETY: The timer's reference keeps it alive until the end of this function, or until
    // `release`.
    let sock = unsafe { Sock::<F>::from_sk(sk) };
    // SAFETY: The socket is alive; the guard below, or the unlock, ends this.
    unsafe { b::ox_bh_lock_sock(sk) };
    // SAFETY: We hold the spin lock, which `take_bh` takes over.
    let mut locked = unsafe { Locked::take_bh(sock) };
    // SAFETY: We hold the spin lock.
    if unsafe { b::ox_sock_owned_by_user(sk) } {
        let kept = !core::mem::replace(&mut locked.timer_state().deferred, true);
        drop(locked);
        if kept {
            return;
        }
    } else {
        run(&mut locked);
        drop(locked);
    }
    // SAFETY: The timer's reference, which nobody kept.
    unsafe { b::ox_sock_put(sk) };
}

/// A process lets go of the socket: what the timer deferred is done now.
pub(super) fn release<F: Family>(locked: &mut Locked<'_, F>) {
    if locked.timer_state().deferred {
        locked.timer_state().deferred = false;
        run(locked);
        // SAFETY: The reference that `fire` kept; who holds the lock has another.
        unsafe { b::ox_sock_put(locked.sock().sk()) };
    }
}
