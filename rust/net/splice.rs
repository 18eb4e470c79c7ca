// SPDX-License-Identifier: GPL-2.0

//! splice(2) from a socket: the pages of received segments go to a pipe, not copies of them.

use super::bindings as b;
use super::*;
use core::marker::PhantomData;
use kernel::error::to_result;
use kernel::ffi::c_uint;
use kernel::prelude::*;

/// The pipe that a splice(2) fills.
pub struct Pipe<'a> {
    ptr: *mut b::pipe_inode_info,
    flags: c_uint,
    _call: PhantomData<&'a mut b::pipe_inode_info>,
}

impl Pipe<'_> {
    /// Puts up to `len` bytes of `skb` into the pipe, from its byte `at` on; returns how many.
    ///
    /// Errors: `EAGAIN` when the pipe is full, `EPIPE` when nobody reads it, `ENOMEM`.
    ///
    /// # Safety
    ///
    /// `skb` has these bytes and is in the receive queue of `sk`, which the caller has locked.
    pub(super) unsafe fn put(
        &mut self,
        sk: *mut b::sock,
        skb: *mut b::sk_buff,
        at: u32,
        len: u32,
    ) -> Result<u32> {
        // SAFETY: By the function's contract; the pipe is valid during the call.
        let n = unsafe { b::skb_splice_bits(skb, sk, at, self.ptr, len, self.flags) };
        to_result(n.min(0))?;
        match n.unsigned_abs() {
            // For a page that could not be had.
            0 => Err(ENOMEM),
            n => Ok(n),
        }
    }
}

/// `proto_ops.splice_read`.
///
/// # Safety
///
/// Called by the core only, for a socket of `F`.
pub(super) unsafe extern "C" fn read<F: Family>(
    sock: *mut b::socket,
    pos: *mut b::loff_t,
    pipe: *mut b::pipe_inode_info,
    len: usize,
    flags: c_uint,
) -> isize {
    let mut pipe = Pipe {
        ptr: pipe,
        flags,
        _call: PhantomData,
    };
    // SAFETY: The call holds the file; `pos` is valid.
    let result = unsafe {
        if *pos != 0 {
            return ESPIPE.to_errno() as isize;
        }
        let nonblock = b::ox_sock_is_nonblock(sock);
        F::splice_read(ops::of(sock), &mut pipe, len, nonblock)
    };
    match result {
        Ok(n) => n as isize,
        Err(e) => e.to_errno() as isize,
    }
}
