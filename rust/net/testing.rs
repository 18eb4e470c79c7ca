// SPDX-License-Identifier: GPL-2.0

//! What the tests of the wrappers need: a `struct sock`, and bytes to send.

use super::bindings as b;
use super::Msg;
use kernel::alloc::KVVec;
use kernel::error::to_result;
use kernel::prelude::*;

/// Room in the send buffer, bytes.
const SNDBUF: i32 = 1 << 20;

/// A TCP socket of the kernel's, which nobody uses: its queues and accounts are as good as ours.
pub(super) struct KernelSocket(*mut b::socket);

impl KernelSocket {
    pub(super) fn new() -> Result<Self> {
        let mut socket = core::ptr::null_mut();
        // SAFETY: The initial namespace is always there.
        to_result(unsafe {
            b::sock_create_kern(
                &raw mut b::init_net,
                2,
                b::sock_type_SOCK_STREAM as i32,
                b::IPPROTO_TCP as i32,
                &mut socket,
            )
        })?;
        let socket = Self(socket);
        // SAFETY: The socket is ours alone.
        unsafe { (*socket.sk()).sk_sndbuf = SNDBUF };
        Ok(socket)
    }

    pub(super) fn sk(&self) -> *mut b::sock {
        // SAFETY: The socket is ours.
        unsafe { (*self.0).sk }
    }
}

impl Drop for KernelSocket {
    fn drop(&mut self) {
        // SAFETY: Made by `new`.
        unsafe { b::sock_release(self.0) }
    }
}

/// Bytes for sendmsg.
pub(super) struct Source {
    _bytes: KVVec<u8>,
    _vec: KBox<kernel::bindings::kvec>,
    msg: b::msghdr,
}

impl Source {
    pub(super) fn new(len: usize) -> Result<Self> {
        let mut bytes = KVVec::from_elem(0x5au8, len, GFP_KERNEL)?;
        let vec = KBox::new(
            kernel::bindings::kvec {
                iov_base: bytes.as_mut_ptr().cast(),
                iov_len: len,
            },
            GFP_KERNEL,
        )?;
        // SAFETY: All zero is a valid `msghdr`: an empty one.
        let mut msg: b::msghdr = unsafe { core::mem::zeroed() };
        // SAFETY: Bytes and vector live as long as the message, and do not move.
        unsafe { kernel::bindings::iov_iter_kvec(&mut msg.msg_iter, ITER_SOURCE, &*vec, 1, len) };
        Ok(Self {
            _bytes: bytes,
            _vec: vec,
            msg,
        })
    }

    pub(super) fn msg(&mut self) -> Msg<'_> {
        // SAFETY: The message is valid, and borrowed.
        unsafe { Msg::from_raw(&mut self.msg) }
    }
}

/// `ITER_SOURCE` (`linux/uio.h`).
const ITER_SOURCE: u32 = 1;
