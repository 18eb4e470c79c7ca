// SPDX-License-Identifier: GPL-2.0

//! `struct msghdr`: where sendmsg's bytes come from and recvmsg's go.

use super::bindings as b;
use super::{addr, Destination, Family, Locked, Sock};
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use kernel::error::to_result;
use kernel::iov::IovIterDest;
use kernel::prelude::*;

/// `MSG_ERRQUEUE` (`linux/socket.h`).
pub(super) const MSG_ERRQUEUE: u32 = 0x2000;
const MSG_DONTWAIT: u32 = 0x40;
const MSG_NOSIGNAL: u32 = 0x4000;
const MSG_CMSG_CLOEXEC: u32 = 0x4000_0000;
const MSG_SPLICE_PAGES: u32 = 0x0800_0000;
const MSG_NO_SHARED_FRAGS: u32 = 0x0008_0000;
const MSG_ZEROCOPY: u32 = 0x0400_0000;

/// The `MSG_*` flags of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsgFlags(pub(super) u32);

impl MsgFlags {
    /// None.
    pub const NONE: Self = Self(0);
    /// `MSG_DONTWAIT`.
    pub const DONTWAIT: Self = Self(MSG_DONTWAIT);

    /// The bits.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Whether they say nothing but how to wait: neither that other bytes than the next are wanted, nor
    /// that more than are there, nor that they are to stay or to be thrown away.
    pub fn only_how_to_wait(self) -> bool {
        self.0 & !(MSG_DONTWAIT | MSG_NOSIGNAL | MSG_CMSG_CLOEXEC) == 0
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

    /// `MSG_FASTOPEN`.
    pub fn fast_open(self) -> bool {
        self.0 & 0x2000_0000 != 0
    }

    /// `MSG_MORE`.
    pub fn more(self) -> bool {
        self.0 & 0x8000 != 0
    }
}

/// The message of a sendmsg or recvmsg call.
pub struct Msg<'a> {
    ptr: *mut b::msghdr,
    /// `SOF_TIMESTAMPING_*` of what is sent.
    tsflags: u32,
    zero_copy: Option<ZeroCopy>,
    /// When what is read came, if the user asks for it.
    stamp: Option<Stamp>,
    _call: PhantomData<&'a mut b::msghdr>,
}

/// When text came, as far as that is known.
#[derive(Clone, Copy, Default)]
pub struct Stamp(b::ox_rx_stamp);

impl Stamp {
    /// Whether anything is known of it.
    pub fn is_known(&self) -> bool {
        self.0.soft != 0 || self.0.hard != 0
    }

    /// What is read comes from `skb`.
    ///
    /// # Safety
    ///
    /// `skb` is one of the receive queue of a locked socket.
    pub(super) unsafe fn note(&mut self, skb: *mut b::sk_buff) {
        // SAFETY: By the function's contract.
        unsafe { b::ox_skb_note_stamp(skb, &mut self.0) }
    }

    pub(super) fn raw(&self) -> &b::ox_rx_stamp {
        &self.0
    }
}

/// How a sendmsg with `MSG_ZEROCOPY` reports that its pages are free again.
struct ZeroCopy {
    report: NonNull<b::ubuf_info>,
    /// Whether the pages themselves are taken; else they are copied, and the report says so.
    direct: bool,
    /// Whether any byte was taken: without, there is nothing to report.
    used: bool,
}

impl Drop for ZeroCopy {
    fn drop(&mut self) {
        // SAFETY: Our reference, which ends here; skbs that hold pages have their own.
        unsafe { b::ox_zerocopy_end(self.report.as_ptr(), self.used) }
    }
}

/// Where the bytes of a sendmsg come from.
pub(super) enum Take {
    /// They are copied.
    Copy,
    /// The pages of a pipe or file are taken; whether others may still write to them.
    Splice { shared: bool },
    /// The user's pages are taken, and given back by this report.
    ZeroCopy(NonNull<b::ubuf_info>),
}

impl Msg<'_> {
    /// # Safety
    ///
    /// `msg` is valid and ours for as long as this lives.
    pub(super) unsafe fn from_raw(msg: *mut b::msghdr) -> Self {
        Self {
            ptr: msg,
            tsflags: 0,
            zero_copy: None,
            stamp: None,
            _call: PhantomData,
        }
    }

    /// Lends `f` a message that is received into `len` bytes of the user's memory at `address`, for a
    /// call that is no recvmsg.
    ///
    /// Errors: `EFAULT` when there cannot be memory of the user's, and `f` is not called.
    pub fn to_user<R>(address: usize, len: usize, f: impl FnOnce(&mut Msg<'_>) -> R) -> Result<R> {
        let mut msg = MaybeUninit::<b::msghdr>::uninit();
        // SAFETY: The helper fills the message, and treats the address as a user's.
        to_result(unsafe { b::ox_msg_to_user(msg.as_mut_ptr(), address, len) })?;
        // SAFETY: The message is filled, and ours until the end of this function.
        Ok(f(&mut unsafe { Msg::from_raw(msg.as_mut_ptr()) }))
    }

    /// The flags given (`msg_flags`).
    pub fn flags(&self) -> MsgFlags {
        // SAFETY: The message is valid.
        MsgFlags(unsafe { (*self.ptr).msg_flags })
    }

    /// Whether it is of bytes to be copied, with nothing said about them: neither by flags, but those
    /// that say what to do when it fails, nor by control messages.
    pub fn is_plain(&self) -> bool {
        const INDIFFERENT: u32 = 0x4040;
        // SAFETY: The message is valid.
        unsafe { (*self.ptr).msg_flags & !INDIFFERENT == 0 && (*self.ptr).msg_controllen == 0 }
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

    /// The destination address, for a connect by `MSG_FASTOPEN`.
    ///
    /// Errors: `EINVAL` when there is none, or one too short.
    pub fn destination(&self) -> Result<Destination> {
        // SAFETY: The message is valid; the core copied as many bytes of address as it says.
        unsafe {
            let (name, len) = ((*self.ptr).msg_name, (*self.ptr).msg_namelen);
            if name.is_null() {
                return Err(EINVAL);
            }
            addr::for_connect(name.cast(), len)
        }
    }

    /// Copies `bytes` to the user; returns how many could be.
    pub fn copy_out(&mut self, bytes: &[u8]) -> usize {
        // SAFETY: The iterator is a destination in recvmsg and a source in sendmsg; the core stops
        // a copy in the wrong direction.
        unsafe { IovIterDest::from_raw(self.iter()) }.copy_to_iter(bytes)
    }

    /// Reads the control messages of a sendmsg on `sock`: what they say goes before what the socket
    /// says.
    ///
    /// Errors: `EINVAL` when one is not understood.
    pub fn read_control<F: Family>(&mut self, sock: &Locked<'_, F>) -> Result {
        // SAFETY: The message and the socket are valid.
        to_result(unsafe { b::ox_msg_tsflags(sock.sock().sk(), self.ptr, &mut self.tsflags) })
    }

    pub(super) fn tsflags(&self) -> u32 {
        self.tsflags
    }

    /// Whether io_uring asks how many bytes a further read would find.
    #[inline]
    pub fn wants_unread(&self) -> bool {
        // SAFETY: The message is valid.
        unsafe { (*self.ptr).msg_get_inq() }
    }

    /// Says how many bytes a further read would find: to io_uring when it asks, and by a control
    /// message (`TCP_CM_INQ`) when the user has `wanted` that.
    pub fn tell_unread(&mut self, bytes: u32, wanted: bool) {
        let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
        // SAFETY: The message is valid and ours; process context, with no lock held.
        unsafe { b::ox_msg_tell_unread(self.ptr, bytes, wanted) }
    }

    /// What is copied from now on is to be told when it came.
    pub fn ask_stamp(&mut self) {
        self.stamp = Some(Stamp::default());
    }

    /// When that came, after [`Msg::ask_stamp`].
    pub fn stamp(&self) -> Stamp {
        self.stamp.unwrap_or_default()
    }

    /// What is read comes from `skb`.
    ///
    /// # Safety
    ///
    /// `skb` is one of the receive queue of a locked socket.
    pub(super) unsafe fn note_stamp(&mut self, skb: *mut b::sk_buff) {
        if let Some(stamp) = &mut self.stamp {
            // SAFETY: By the function's contract.
            unsafe { stamp.note(skb) }
        }
    }

    /// Says when what was read came, as `sock` wants it (`SO_TIMESTAMP`, `SO_TIMESTAMPING`), after
    /// [`Msg::ask_stamp`].
    pub fn tell_stamp<F: Family>(&mut self, sock: &Sock<F>) {
        if let Some(stamp) = &self.stamp {
            // SAFETY: The message is valid and ours, the socket alive; process context, with no lock
            // held.
            unsafe { b::ox_msg_tell_stamp(self.ptr, sock.sk(), stamp.raw()) }
        }
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

    /// How the bytes are to be taken into the send buffer of `sk`.
    ///
    /// Errors: `ENOBUFS` when there is no memory for the report of a zero-copy send.
    ///
    /// # Safety
    ///
    /// `sk` is a socket that the calling process has locked.
    pub(super) unsafe fn take(&mut self, sk: *mut b::sock) -> Result<Take> {
        let bits = self.flags().bits();
        if bits & MSG_SPLICE_PAGES != 0 {
            let shared = bits & MSG_NO_SHARED_FRAGS == 0;
            return Ok(Take::Splice { shared });
        }
        // SAFETY: The message is valid; by the function's contract. A `msg_ubuf` is io_uring's,
        // which reports by itself that we have copied.
        let wanted = unsafe {
            bits & MSG_ZEROCOPY != 0
                && (*self.ptr).msg_ubuf.is_null()
                && b::ox_sock_flag(sk, b::sock_flags_SOCK_ZEROCOPY)
        };
        if !wanted {
            return Ok(Take::Copy);
        }
        if self.zero_copy.is_none() {
            let mut direct = false;
            // SAFETY: By the function's contract.
            let report = unsafe { b::ox_zerocopy_begin(sk, self.remaining(), &mut direct) };
            let report = NonNull::new(report).ok_or(ENOBUFS)?;
            self.zero_copy = Some(ZeroCopy {
                report,
                direct,
                used: false,
            });
        }
        match &self.zero_copy {
            Some(zero_copy) if zero_copy.direct => Ok(Take::ZeroCopy(zero_copy.report)),
            _ => Ok(Take::Copy),
        }
    }

    /// No more of it will be taken: what there is to report of `MSG_ZEROCOPY` is. With the socket
    /// locked, as a report of nothing gives its number back, which nobody may have gone beyond.
    pub fn end(&mut self) {
        self.zero_copy = None;
    }

    /// Bytes were taken.
    pub(super) fn taken(&mut self) {
        if let Some(zero_copy) = &mut self.zero_copy {
            zero_copy.used = true;
        }
    }

    pub(super) fn raw(&self) -> *mut b::msghdr {
        self.ptr
    }
}
