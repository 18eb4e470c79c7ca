// SPDX-License-Identifier: GPL-2.0

//! From the send buffer to IP: segments that refer to the buffer's pages.

use super::bindings as b;
use super::recv_buffer;
use super::send_buffer::{Cursor, SendBuffer};
use core::ops::RangeInclusive;
use core::ptr::null_mut;
use kernel::prelude::*;

/// Lengths a TCP header can have, bytes.
pub(super) const HEADER_LEN: RangeInclusive<usize> = 20..=60;
const MAX_FRAGS: usize = b::OX_MAX_SKB_FRAGS;
/// FIN, which belongs to the end of the text. (PSH is at the end of each super-segment, as in Linux.)
const FIN: u8 = 0x01;
const CWR: u8 = 0x80;

/// One or more segments to send in one go.
#[derive(Clone, Copy, Debug)]
pub struct Segments<'h> {
    /// The TCP header with options, ports included, checksum zero; 20 to 60 bytes.
    pub header: &'h [u8],
    /// Offset of the text from the front of the buffer, bytes.
    pub offset: u32,
    /// Bytes of text, 0 for a segment without.
    pub len: u32,
    /// Text bytes in each segment on the wire when `len` is larger; else ignored.
    pub mss: u16,
    /// The ECN field of the IP header (0 to 3).
    pub ecn: u8,
    /// AE, CWR and ECE belong to each segment (RFC 9768), else CWR to the first alone (RFC 3168).
    pub accurate_ecn: bool,
    /// How much later sch_fq is to let them go, µs.
    pub delay: u32,
}

/// What the queues below did with a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Queued {
    /// They took it.
    Taken,
    /// They took it, and had to drop something for that (`NET_XMIT_CN`).
    Crowded,
    /// They had no room for it (`NET_XMIT_DROP`).
    Refused,
}

impl Queued {
    /// From what the functions of IP and of devices return: one of `NET_XMIT_*`, or an error.
    fn from_result(result: core::ffi::c_int) -> Result<Self> {
        match u32::try_from(result) {
            Ok(0) => Ok(Self::Taken),
            Ok(b::NET_XMIT_CN) => Ok(Self::Crowded),
            Ok(_) => Ok(Self::Refused),
            Err(_) => Err(Error::from_errno(result)),
        }
    }
}

impl<F> SendBuffer<'_, F> {
    /// The skb that holds the byte at `position`, and the byte's offset in it.
    fn find(&mut self, position: u32) -> Option<(*mut b::sk_buff, u32)> {
        // SAFETY: The socket is locked; all skbs are those of its write queue.
        unsafe {
            let mut skb = self.state().cursor.0;
            if skb.is_null() || recv_buffer::before(position, (*b::ox_text_cb(skb)).seq) {
                skb = b::ox_skb_peek(self.queue());
            }
            while !skb.is_null() {
                let at = position.wrapping_sub((*b::ox_text_cb(skb)).seq);
                if at < (*skb).len {
                    self.state().cursor = Cursor(skb);
                    return Some((skb, at));
                }
                skb = b::ox_skb_peek_next(skb, self.queue());
            }
            None
        }
    }

    /// How many of the `len` bytes at `offset` one skb of segments can refer to: all, or as many
    /// as there are places for fragments and as belong to one zero-copy send, then cut to whole
    /// segments of `mss`.
    pub fn coverable(&mut self, offset: u32, len: u32, mss: u16) -> u32 {
        let len = len.min(self.len().saturating_sub(offset));
        let mut covered = 0;
        let mut places = MAX_FRAGS;
        let mut report = None;
        self.walk(offset, len, |skb, _, _, n| {
            // SAFETY: The skb is one of the buffer's.
            let own = unsafe { b::ox_skb_zcopy(skb) };
            if places == 0 || *report.get_or_insert(own) != own {
                return false;
            }
            places -= 1;
            covered += n;
            true
        });
        let mss = u32::from(mss).max(1);
        if covered < len && covered > mss {
            covered -= covered % mss;
        }
        covered
    }

    /// Calls `f(skb, fragment, offset in it, bytes)` for the fragments of the `len` bytes at
    /// `offset`, until it returns false.
    fn walk(
        &mut self,
        offset: u32,
        len: u32,
        mut f: impl FnMut(*mut b::sk_buff, u32, u32, u32) -> bool,
    ) {
        if len == 0 {
            return;
        }
        let position = self.state().start.wrapping_add(offset);
        let Some((mut skb, mut at)) = self.find(position) else {
            return;
        };
        let mut left = len;
        // SAFETY: The socket is locked; all skbs are those of its write queue.
        unsafe {
            while !skb.is_null() {
                for i in 0..b::ox_skb_nr_frags(skb) {
                    let size = b::ox_skb_frag_size(skb, i);
                    if at >= size {
                        at -= size;
                        continue;
                    }
                    let n = (size - at).min(left);
                    if !f(skb, i, at, n) {
                        return;
                    }
                    at = 0;
                    left -= n;
                    if left == 0 {
                        return;
                    }
                }
                skb = b::ox_skb_peek_next(skb, self.queue());
            }
        }
    }

    /// The text as a segment, if it is just that of one skb, whose head is free.
    pub(super) fn whole(&mut self, offset: u32, len: u32) -> Option<*mut b::sk_buff> {
        if len == 0 {
            return None;
        }
        let position = self.state().start.wrapping_add(offset);
        let (skb, at) = self.find(position)?;
        // SAFETY: The skb is one of the buffer's, and the socket is locked.
        let segment = unsafe {
            if at != 0 || (*skb).len != len {
                return None;
            }
            b::ox_text_clone(skb, self.gfp)
        };
        (!segment.is_null()).then_some(segment)
    }

    /// A segment that refers to the text, as far as [`SendBuffer::coverable`], and how far that is.
    fn gather(&mut self, offset: u32, len: u32, mss: u16) -> Result<(*mut b::sk_buff, u32)> {
        let covered = self.coverable(offset, len, mss);
        if covered == 0 && len > 0 {
            return Err(EINVAL);
        }
        // SAFETY: The segment is ours until it is sent; the fragments are those of the buffer.
        let segment = unsafe {
            match len {
                0 => b::ox_new_segment(self.sk(), self.gfp, &mut self.state().lent.0),
                _ => b::ox_alloc_segment(self.gfp),
            }
        };
        if segment.is_null() {
            return Err(ENOMEM);
        }
        let mut complete = true;
        self.walk(offset, covered, |skb, i, at, n| {
            // SAFETY: As above.
            complete = unsafe { b::ox_segment_add_frag(segment, skb, i, at, n) };
            complete
        });
        if !complete {
            // SAFETY: As above; cannot be, as `coverable` counted the places.
            unsafe { b::consume_skb(segment) };
            return Err(EINVAL);
        }
        Ok((segment, covered))
    }

    /// Sends the `len` bytes of text at `offset`, or none, as one segment by the short way: for
    /// what is over a route that nobody watches, with no ECN.
    ///
    /// `header` is as for [`Segments`], of 20 or 32 bytes.
    ///
    /// Errors: `EAGAIN`, with nothing done, where that cannot be had: then [`SendBuffer::transmit`]
    /// does it; others as there.
    #[inline(always)]
    pub fn send_plain(&mut self, offset: u32, len: u32, header: &[u8]) -> Result<Queued> {
        if !matches!(header.len(), 20 | 32) {
            return Err(EAGAIN);
        }
        // SAFETY: The socket is locked; the skb is the last of its write queue.
        unsafe {
            let mut text = null_mut();
            if len > 0 {
                text = b::ox_skb_peek_tail(self.queue());
                let at = self.state().start.wrapping_add(offset);
                if text.is_null() || (*text).len != len || (*b::ox_text_cb(text)).seq != at {
                    return Err(EAGAIN);
                }
                self.state().cursor = Cursor(text);
            }
            let header_len = header.len() as u32;
            Queued::from_result(b::ox_send_plain(
                self.sk(),
                text,
                header.as_ptr().cast(),
                header_len,
                &mut self.state().lent.0,
            ))
        }
    }

    /// Sends. The text is not copied: the segment refers to the buffer's pages. Returns how many
    /// bytes of text were covered ([`SendBuffer::coverable`]): when fewer than `len`, FIN
    /// is left out, and the caller calls again with the rest, with a header that says so; and what
    /// the queues below did with them. Sequential calls cost O(1).
    ///
    /// Errors: `ENOMEM` (nothing was sent), `EINVAL` when the text is not there, `EHOSTUNREACH` and
    /// others when there is no route.
    pub fn transmit(&mut self, segments: &Segments<'_>) -> Result<(u32, Queued)> {
        let Segments {
            header,
            offset,
            len,
            mss,
            ecn,
            accurate_ecn,
            delay,
        } = *segments;
        if !HEADER_LEN.contains(&header.len()) {
            return Err(EINVAL);
        }
        let (segment, covered) = match self.whole(offset, len) {
            Some(segment) => (segment, len),
            None => self.gather(offset, len, mss)?,
        };
        let end = if covered < len { FIN } else { 0 };
        let cwr = header[13] & CWR != 0;
        // SAFETY: The segment is ours until it is sent; the header fits its headroom.
        let queued = Queued::from_result(unsafe {
            b::ox_segment_set_gso(segment, mss.into(), cwr, accurate_ecn);
            b::ox_segment_push_header(segment, header.as_ptr().cast(), header.len() as u32, end);
            if delay > 0 {
                b::ox_segment_delay(segment, delay);
            }
            b::ox_segment_xmit(self.sk(), segment, ecn & 0x3)
        })?;
        Ok((covered, queued))
    }
}
