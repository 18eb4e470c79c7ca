// SPDX-License-Identifier: GPL-2.0

//! Sockets that wait for what they have in the queues below them.

use super::bindings as b;
use super::held::Held;
use super::*;

/// Some of what waited below is sent. BH off.
///
/// # Safety
///
/// `sk` is a socket of `F`, alive for the length of this call.
pub(super) unsafe extern "C" fn serve<F: Family>(sk: *mut b::sock) {
    // SAFETY: By the function's contract.
    let sock = unsafe { Sock::<F>::from_sk(sk) };
    // SAFETY: The socket is alive; the guard below ends this.
    unsafe { b::ox_bh_lock_sock(sk) };
    // SAFETY: We hold the spin lock, which `by_softirq` takes over.
    let mut held = unsafe { Held::by_softirq(sock) };
    // SAFETY: We hold the spin lock.
    unsafe {
        if b::ox_sock_owned_by_user(sk) {
            b::ox_tsq_defer(sk);
        } else {
            drained(&mut held);
        }
    }
}

/// Tells the family; a socket whose state is packed has nothing to send.
fn drained<F: Family>(held: &mut Held<'_, F>) {
    if let Some(locked) = held.if_unpacked() {
        F::drained(locked);
    }
}

/// A process lets go of the socket: serves it if it had to wait for that.
pub(super) fn release<F: Family>(held: &mut Held<'_, F>) {
    let sk = held.sock().sk();
    // SAFETY: The socket is alive.
    if unsafe { b::ox_sk_has_tsq_flags(sk) && b::ox_tsq_deferred(sk) } {
        drained(held);
    }
}

impl<F> SendBuffer<'_, F> {
    /// Bytes of memory of the socket's segments with text in the queues of the queueing discipline
    /// and the device.
    pub fn queued(&self) -> u32 {
        // SAFETY: The socket is alive.
        unsafe { b::ox_sk_queued(self.sk()) }
    }

    /// The most that is to be there, bytes (`tcp_limit_output_bytes`).
    pub fn queue_limit(&self) -> u32 {
        // SAFETY: The socket is alive.
        unsafe { b::ox_sk_queue_limit(self.sk()) }
    }

    /// Has [`Family::drained`] called when some of that is sent. When true, look at
    /// [`SendBuffer::queued`] once more: it may have been sent before.
    pub fn throttle(&mut self) -> bool {
        // SAFETY: The socket is alive.
        unsafe { b::ox_sk_throttle(self.sk()) }
    }

    /// Whether small writes may wait for the device (`tcp_autocorking`).
    pub fn autocorks(&self) -> bool {
        // SAFETY: The socket is alive.
        unsafe { b::ox_sk_autocorks(self.sk()) }
    }
}
