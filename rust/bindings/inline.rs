// SPDX-License-Identifier: GPL-2.0

//! Those of the kernel's static inlines that only read or write a field and are on the way of every
//! segment: here, so that they are inlined, where a helper in C would be a call.
//!
//! Each is as the C function it is named after, and as unsafe: the pointer is valid, and whoever
//! calls it may look at, or change, what it points to.

use super::{msghdr, ox_sock, ox_text_cb as Note, sk_buff, sk_buff_head, sock};
use kernel::ffi;

/// The note on an skb that holds text.
#[inline]
pub unsafe fn ox_text_cb(skb: *mut sk_buff) -> *mut Note {
    // SAFETY: By the function's contract.
    unsafe { (&raw mut (*skb).cb).cast() }
}

/// `skb_peek`.
#[inline]
pub unsafe fn ox_skb_peek(list: *const sk_buff_head) -> *mut sk_buff {
    // SAFETY: By the function's contract; a list's head is at the end of the list.
    unsafe { none_at_end((*list).__bindgen_anon_1.list.next, list) }
}

/// `skb_peek_tail`.
#[inline]
pub unsafe fn ox_skb_peek_tail(list: *const sk_buff_head) -> *mut sk_buff {
    // SAFETY: As above.
    unsafe { none_at_end((*list).__bindgen_anon_1.list.prev, list) }
}

/// `skb_peek_next`.
#[inline]
pub unsafe fn ox_skb_peek_next(skb: *mut sk_buff, list: *const sk_buff_head) -> *mut sk_buff {
    // SAFETY: As above; the skb is in the list.
    unsafe { none_at_end((*skb).__bindgen_anon_1.__bindgen_anon_1.next, list) }
}

#[inline]
fn none_at_end(skb: *mut sk_buff, list: *const sk_buff_head) -> *mut sk_buff {
    if core::ptr::eq(skb.cast_const().cast(), list) {
        core::ptr::null_mut()
    } else {
        skb
    }
}

/// `atomic_read(&sk->sk_rmem_alloc)`.
#[inline]
pub unsafe fn ox_sk_rmem_alloc(sk: *const sock) -> ffi::c_int {
    // SAFETY: By the function's contract; read as `READ_ONCE` does.
    unsafe { (&raw const (*sk).sk_backlog.rmem_alloc.counter).read_volatile() }
}

/// `msg_data_left`.
#[inline]
pub unsafe fn ox_msg_left(msg: *const msghdr) -> usize {
    // SAFETY: By the function's contract; whatever kind of iterator it is, the count is there.
    unsafe {
        (*msg)
            .msg_iter
            .__bindgen_anon_1
            .__bindgen_anon_1
            .as_ref()
            .count
    }
}

/// `sk_wmem_alloc_get`.
#[inline]
pub unsafe fn ox_sk_queued(sk: *const sock) -> u32 {
    // SAFETY: As above. The socket itself counts as one byte.
    unsafe { (&raw const (*sk).sk_wmem_alloc.refs.counter).read_volatile() as u32 }.wrapping_sub(1)
}

/// `sk_stream_wspace`.
#[inline]
pub unsafe fn ox_sk_wspace(sk: *const sock) -> ffi::c_int {
    // SAFETY: As above.
    unsafe {
        let all = (&raw const (*sk).sk_sndbuf).read_volatile();
        all.wrapping_sub((&raw const (*sk).sk_wmem_queued).read_volatile())
    }
}

/// `READ_ONCE(sk->sk_backlog.len)`.
#[inline]
pub unsafe fn ox_sk_backlog_len(sk: *const sock) -> u32 {
    // SAFETY: As above.
    unsafe { (&raw const (*sk).sk_backlog.len).read_volatile() as u32 }
}

/// `sock_rcvlowat`.
#[inline]
pub unsafe fn ox_sock_rcvlowat(sk: *const sock, waitall: bool, len: ffi::c_int) -> ffi::c_int {
    // SAFETY: As above.
    let least = unsafe { (&raw const (*sk).sk_rcvlowat).read_volatile() };
    match if waitall { len } else { least.min(len) } {
        0 => 1,
        bytes => bytes,
    }
}

/// `READ_ONCE(sk->sk_state)`.
#[inline]
pub unsafe fn ox_sk_state(sk: *const sock) -> u8 {
    // SAFETY: As above.
    unsafe { (&raw const (*sk).__sk_common.skc_state).read_volatile() }
}

/// `READ_ONCE(sk->sk_shutdown)`.
#[inline]
pub unsafe fn ox_sk_shutdown(sk: *const sock) -> ffi::c_int {
    // SAFETY: As above.
    unsafe { (&raw const (*sk).sk_shutdown).read_volatile().into() }
}

/// Whether the user may want to know when text came.
#[inline]
pub unsafe fn ox_sk_wants_stamps(sk: *const sock) -> bool {
    // SAFETY: As above; a socket of the family begins with an `ox_sock`.
    unsafe { (&raw const (*sk.cast::<ox_sock>()).stamps).read_volatile() }
}

/// Whether anything is said in `sk_tsq_flags`.
#[inline]
pub unsafe fn ox_sk_has_tsq_flags(sk: *const sock) -> bool {
    // SAFETY: As above.
    unsafe { (&raw const (*sk).sk_tsq_flags).read_volatile() != 0 }
}

/// `sk_dst_confirm`: the peer answers what we send, so that its neighbour entry needs no probe.
#[inline]
pub unsafe fn ox_sk_path_works(sk: *mut sock) {
    // SAFETY: As above; written as `WRITE_ONCE` does.
    unsafe {
        let pending = &raw mut (*sk).sk_dst_pending_confirm;
        if pending.read_volatile() == 0 {
            pending.write_volatile(1);
        }
    }
}

/// `READ_ONCE(sk->sk_err)`.
#[inline]
pub unsafe fn ox_sk_err(sk: *const sock) -> ffi::c_int {
    // SAFETY: As above.
    unsafe { (&raw const (*sk).sk_err).read_volatile() }
}
