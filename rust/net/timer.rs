// SPDX-License-Identifier: GPL-2.0

//! Timers: one for a socket (`sk_timer`), lazily moved, and one for a namespace.

use super::bindings as b;
use super::held::{Held, LOOK_AGAIN_US};
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
    /// Nobody has looked yet whether the connection is idle, and the namespace is to.
    unseen: bool,
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
        let Some(at) = at else {
            self.deadline = 0;
            return;
        };
        let at = at.max(1);
        if self.keep(Some(at)) {
            return;
        }
        self.deadline = at;
        self.look_by(sock, at);
    }

    /// Has the timer fire by `at`, µs, whether or not that is when the family wants to be called.
    pub(super) fn look_by<F: Family>(&mut self, sock: &Sock<F>, at: u64) {
        if self.fires_at == 0 || self.fires_at > at {
            self.fires_at = at;
            // SAFETY: The socket is alive and its timer was set up.
            unsafe { b::ox_sk_timer_reset(sock.sk(), at.saturating_sub(now())) };
        }
    }

    /// Has somebody look in a while whether the connection is idle: what is open may be already. The
    /// timer does, if it runs.
    #[inline]
    pub(super) fn look_soon<F: Family>(&mut self, sock: &Sock<F>) {
        if self.fires_at == 0 {
            self.unseen = true;
            // SAFETY: The socket is alive; what is open is in the table of connections.
            let hash = unsafe { b::ox_sk_hash(sock.sk()) };
            sock.net().look_soon(hash % ehash::BUCKETS);
        }
    }

    /// No deadline, and no pending timer that would keep the socket.
    pub(super) fn stop<F: Family>(&mut self, sock: &Sock<F>) {
        self.deadline = 0;
        if self.fires_at == 0 {
            return;
        }
        self.fires_at = 0;
        // SAFETY: The socket is alive, by a reference that is not the timer's.
        unsafe { b::ox_sk_timer_stop(sock.sk()) };
    }
}

/// Calls the family if its deadline has come, else waits for it again; what is idle is packed.
fn run<F: Family>(held: &mut Held<'_, F>) {
    let sock = held.sock();
    let timer = held.timer_state();
    timer.fires_at = 0;
    let at = timer.deadline;
    if at != 0 && now() >= at {
        let Some(locked) = held.try_unpacked() else {
            let again = now().saturating_add(LOOK_AGAIN_US);
            return held.timer_state().look_by(sock, again);
        };
        locked.timer_state().deadline = 0;
        F::timer(locked);
    }
    held.pack_if_idle();
    let timer = held.timer_state();
    if timer.deadline != 0 {
        timer.look_by(sock, timer.deadline);
    }
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
    // SAFETY: We hold the spin lock, which `by_softirq` takes over.
    let mut held = unsafe { Held::by_softirq(sock) };
    // SAFETY: We hold the spin lock.
    if unsafe { b::ox_sock_owned_by_user(sk) } {
        let kept = !core::mem::replace(&mut held.timer_state().deferred, true);
        drop(held);
        if kept {
            return;
        }
    } else {
        run(&mut held);
        drop(held);
    }
    // SAFETY: The timer's reference, which nobody kept.
    unsafe { b::ox_sock_put(sk) };
}

/// Looks whether a connection is idle at which nobody has looked. Returns false when that has to wait,
/// as a process has the socket. Softirq.
pub(super) fn first_look<F: Family>(sock: &Sock<F>) -> bool {
    // SAFETY: The socket is alive; the read is that of `READ_ONCE`.
    if !unsafe { (&raw const (*sock.raw()).timer.unseen).read_volatile() } {
        return true;
    }
    let sk = sock.sk();
    // SAFETY: The socket is alive; the guard ends this.
    unsafe { b::ox_bh_lock_sock(sk) };
    // SAFETY: We hold the spin lock, which `by_softirq` takes over.
    let mut held = unsafe { Held::by_softirq(sock) };
    // SAFETY: We hold the spin lock.
    if unsafe { b::ox_sock_owned_by_user(sk) } {
        return false;
    }
    held.timer_state().unseen = false;
    held.pack_if_idle();
    true
}

/// A process lets go of the socket: what the timer deferred is done now.
pub(super) fn release<F: Family>(held: &mut Held<'_, F>) {
    if held.timer_state().deferred {
        held.timer_state().deferred = false;
        run(held);
        // SAFETY: The reference that `fire` kept; who holds the lock has another.
        unsafe { b::ox_sock_put(held.sock().sk()) };
    }
}
