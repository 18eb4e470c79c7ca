// SPDX-License-Identifier: GPL-2.0

//! `struct msghdr`: where sendmsg's bytes come from and recvmsg's go.

use super::bindings as b;
use core::marker::PhantomData;
use kernel::iov::IovIterDest;
use kernel::prelude::*;

/// `MSG_ERRQUEUE` (`linux/socket.h`).
pub(super) const MSG_ERRQUEUE: u32 = 0x2000;
const MSG_SPLICE_PAGES: u32 = 0x0800_0000;
const MSG_NO_SHARED_FRAGS: u32 = 0x0008_0000;

/// The `MSG_*` flags of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsgFlags(pub(super) u32);

impl MsgFlags {
    /// The bits.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// `MSG_OOB`.
    pub fn oob(self) -> bool {
        self.0 & 0x1 != 0
    }

    /// `MSG_PEEK`.
    pub fn peek(self) -> bool {
        self.0 & 0x2 != 0
    }

    /// `MSG_TRUNC`: drop the bytes instead of copying them.
    pub fn trunc(self) -> bool {
        self.0 & 0x20 != 0
    }

    /// `MSG_DONTWAIT`.
    pub fn dontwait(self) -> bool {
        self.0 & 0x40 != 0
    }

    /// `MSG_EOR`.
    pub fn eor(self) -> bool {
        self.0 & 0x80 != 0
    }

    /// `MSG_WAITALL`.
    pub fn waitall(self) -> bool {
        self.0 & 0x100 != 0
    }

    /// `MSG_NOSIGNAL`.
    pub fn nosignal(self) -> bool {
        self.0 & 0x4000 != 0
    }

    /// `MSG_MORE`.
    pub fn more(self) -> bool {
        self.0 & 0x8000 != 0
    }
}

/// The message of a sendmsg or recvmsg call.
pub struct Msg<'a> {
    ptr: *mut b::msghdr,
    _call: PhantomData<&'a mut b::msghdr>,
}

impl Msg<'_> {
    /// # Safety
    ///
    /// `msg` is valid and ours for as long as this lives.
    pub(super) unsafe fn from_raw(msg: *mut b::msghdr) -> Self {
        Self {
            ptr: msg,
            _call: PhantomData,
        }
    }

    /// The flags given (`msg_flags`).
    pub fn flags(&self) -> MsgFlags {
        // SAFETY: The message is valid.
        MsgFlags(unsafe { (*self.ptr).msg_flags })
    }

    /// Bytes left to be taken or room left to be filled.
    pub fn remaining(&self) -> usize {
        // SAFETY: The message is valid.
        unsafe { b::ox_msg_left(self.ptr) }
    }

    /// Whether a destination address was given, which a stream socket ignores unless it is a
    /// connect by `MSG_FASTOPEN`.
    pub fn has_name(&self) -> bool {
        // SAFETY: The message is valid.
        unsafe { !(*self.ptr).msg_name.is_null() }
    }

    /// Copies `bytes` to the user; returns how many could be.
    pub fn copy_out(&mut self, bytes: &[u8]) -> usize {
        // SAFETY: The iterator is a destination in recvmsg and a source in sendmsg; the core stops
        // a copy in the wrong direction.
        unsafe { IovIterDest::from_raw(self.iter()) }.copy_to_iter(bytes)
    }

    /// Adds to the flags that recvmsg returns (`MSG_TRUNC`, `MSG_OOB`, ...).
    pub fn add_flags(&mut self, bits: u32) {
        // SAFETY: The message is valid and ours.
        unsafe { (*self.ptr).msg_flags |= bits }
    }

    /// The error of a write after the end: `EPIPE`, with `SIGPIPE` unless `MSG_NOSIGNAL`.
    pub fn broken_pipe(&self) -> Error {
        // SAFETY: Process context, as all calls with a message.
        Error::from_errno(unsafe { b::ox_broken_pipe(self.flags().nosignal()) })
    }

    pub(super) fn iter(&mut self) -> *mut b::iov_iter {
        // SAFETY: The message is valid.
        unsafe { &raw mut (*self.ptr).msg_iter }
    }

    /// Whether the caller's pages are to be taken instead of copied, and whether they may still
    /// be written by others.
    pub(super) fn splice(&self) -> Option<Shared> {
        let bits = self.flags().bits();
        (bits & MSG_SPLICE_PAGES != 0).then_some(Shared(bits & MSG_NO_SHARED_FRAGS == 0))
    }
}

/// Whether others may still write to spliced pages.
pub(super) struct Shared(pub(super) bool);
