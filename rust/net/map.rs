// SPDX-License-Identifier: GPL-2.0

//! mmap(2) of a socket: pages of received text appear in the reader's memory, not copies of them.

use super::bindings as b;
use super::*;
use core::mem::{offset_of, size_of};
use kernel::error::to_result;
use kernel::prelude::*;
use kernel::types::NotThreadSafe;

/// Bytes of a page.
pub const PAGE_SIZE: u32 = kernel::page::PAGE_SIZE as u32;

/// Pages that are put into the reader's memory at once.
const BATCH: usize = 32;

/// `struct tcp_zerocopy_receive` (`linux/tcp.h`): what the user asks for, and the answer.
pub type MapRequest = b::tcp_zerocopy_receive;

const _: () = assert!(size_of::<MapRequest>() == 64, "no padding");

impl MapRequest {
    /// Least bytes of one: the struct has grown since it had no more.
    pub const END_OF_LENGTH: usize = offset_of!(MapRequest, recv_skip_hint);
    /// Bytes of one that has `inq` too.
    pub const END_OF_INQ: usize = offset_of!(MapRequest, err);
    /// Bytes of those that have `err` too, and are of the times before `msg_flags`.
    pub const WITH_ERR: [usize; 6] = [
        offset_of!(MapRequest, copybuf_address),
        offset_of!(MapRequest, copybuf_len),
        offset_of!(MapRequest, flags),
        offset_of!(MapRequest, msg_control),
        offset_of!(MapRequest, msg_controllen),
        offset_of!(MapRequest, msg_flags),
    ];
    /// Bytes of one that has `msg_flags` too.
    pub const END_OF_MSG_FLAGS: usize = offset_of!(MapRequest, reserved);

    /// Says when the text came, as `sock` wants it, by control messages where the user asks for
    /// them; `msg_control`, `msg_controllen` and `msg_flags` become the answer.
    pub fn tell_stamp<F: Family>(&mut self, sock: &Sock<F>, stamp: &Stamp) {
        // SAFETY: The socket is alive, and not locked; the helper treats the address as a user's.
        self.msg_flags = unsafe {
            b::ox_tell_stamp_at(
                &mut self.msg_control,
                &mut self.msg_controllen,
                sock.sk(),
                stamp.raw(),
            )
        };
    }
}

/// Where pages go: a range of an area of the calling process's memory that is of a socket's mmap(2).
///
/// The area cannot change meanwhile. No memory of the user's may be touched either: that can need the
/// same lock.
pub struct Mapping {
    area: *mut b::vm_area_struct,
    /// All areas are locked, not this one alone.
    broad: bool,
    /// Where the next page goes.
    next: usize,
    /// The end of the range.
    end: usize,
    /// Pages of former text may be in the range still.
    stale: bool,
    _not_send: NotThreadSafe,
}

impl Mapping {
    /// The rest of the area that has `address`, the beginning of a page; `None` if no socket's has.
    pub fn at(address: usize) -> Option<Self> {
        let mut broad = false;
        // SAFETY: A process makes the call, with memory of its own.
        let area = unsafe { b::ox_area_lock(address, &mut broad) };
        if area.is_null() {
            return None;
        }
        // SAFETY: The area is locked.
        let end = unsafe { (*area).__bindgen_anon_1.__bindgen_anon_1.vm_end };
        Some(Self {
            area,
            broad,
            next: address,
            end,
            stale: true,
            _not_send: NotThreadSafe,
        })
    }

    /// Bytes to which no page was put yet.
    pub fn room(&self) -> usize {
        self.end - self.next
    }

    /// Confines it to its first `bytes`, which are whole pages. Former text is taken away: at once, or,
    /// `lazy`, only if it turns out to be in the way, as the user says that it is not.
    pub fn confine(&mut self, bytes: u32, lazy: bool) {
        let bytes = self.room().min(bytes as usize) / PAGE_SIZE as usize * PAGE_SIZE as usize;
        self.end = self.next + bytes;
        if !lazy {
            self.clear();
        }
    }

    /// Takes away what is in the rest of the range.
    fn clear(&mut self) {
        if self.stale && self.room() > 0 {
            // SAFETY: The area is locked, and has the range.
            unsafe { b::zap_vma_range(self.area, self.next, self.room()) }
        }
        self.stale = false;
    }

    /// Puts `pages` to where the next go; returns how many could be.
    ///
    /// # Safety
    ///
    /// The pages are of an skb that the caller holds.
    unsafe fn put(&mut self, pages: &mut [*mut b::page]) -> (usize, Result) {
        let mut done = 0;
        while let Some(rest) = pages.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let mut left = rest.len();
            // SAFETY: The area is locked, and was made for it by `ox_sock_mmap`; the core takes
            // references of its own. By the function's contract.
            let result = to_result(unsafe {
                b::vm_insert_pages(self.area, self.next, rest.as_mut_ptr(), &mut left)
            });
            let put = rest.len() - left.min(rest.len());
            done += put;
            self.next += put * PAGE_SIZE as usize;
            match result {
                Err(e) if e == EBUSY && self.stale => self.clear(),
                Err(e) => return (done, Err(e)),
                Ok(()) => break,
            }
        }
        (done, Ok(()))
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: Locked in `at`, by this process, and unlocked once.
        unsafe { b::ox_area_unlock(self.area, self.broad) }
    }
}

/// What came of [`RecvBuffer::map_to`].
#[derive(Default)]
pub struct Mapped {
    /// Bytes that were mapped, from the first unread one on.
    pub bytes: u32,
    /// Bytes behind them, of the same segment, that cannot be, before some that may.
    pub skip: u32,
    /// Why a page could not be put into the reader's memory.
    pub failed: Option<Error>,
}

impl<F: Family> RecvBuffer<'_, F> {
    /// Maps text as far as it is whole pages and there is room; nothing is consumed.
    pub fn map_to(&mut self, mapping: &mut Mapping, stamp: &mut Stamp) -> Mapped {
        let mut mapped = Mapped::default();
        let bytes = self.walk(0, usize::MAX, |skb, at, len| {
            // SAFETY: The skb is one of the receive queue and has these bytes; the socket is locked.
            Ok(unsafe { map_skb(skb, at, len, mapping, stamp, &mut mapped) })
        });
        // The closure has no errors.
        mapped.bytes = bytes.unwrap_or(0) as u32;
        mapped
    }

    /// Bytes, of the segment that is next, that can only be read before some that can be mapped.
    pub fn bytes_before_page(&mut self) -> u32 {
        let mut bytes = 0;
        let _ = self.walk(0, usize::MAX, |skb, at, len| {
            // SAFETY: The skb is one of the receive queue and has these bytes; the socket is locked.
            bytes = unsafe { b::ox_skb_before_page(skb, at, len) };
            Ok(0)
        });
        bytes
    }
}

/// Maps what can be of `len` bytes of `skb` from byte `at` on; returns how many.
///
/// # Safety
///
/// `skb` is one of the receive queue of a locked socket, and has these bytes.
unsafe fn map_skb(
    skb: *mut b::sk_buff,
    at: u32,
    len: u32,
    mapping: &mut Mapping,
    stamp: &mut Stamp,
    mapped: &mut Mapped,
) -> u32 {
    let mut pages = [core::ptr::null_mut(); BATCH];
    let mut taken = 0;
    if mapping.room() > 0 {
        // SAFETY: By the function's contract.
        unsafe { stamp.note(skb) }
    }
    loop {
        let max = (mapping.room() / PAGE_SIZE as usize).min(BATCH) as u32;
        if max == 0 {
            return taken;
        }
        let to = pages.as_mut_ptr();
        // SAFETY: By the function's contract; there is room for `max` pages.
        let n = unsafe { b::ox_skb_pages(skb, at + taken, len - taken, to, max, &mut mapped.skip) };
        // SAFETY: They are pages of the skb, which the queue holds.
        let (put, result) = unsafe { mapping.put(&mut pages[..n as usize]) };
        taken += put as u32 * PAGE_SIZE;
        if let Err(e) = result {
            mapped.skip += (n - put as u32) * PAGE_SIZE;
            mapped.failed = Some(e);
            return taken;
        }
        if n < max || mapped.skip == 0 {
            return taken;
        }
    }
}
