// SPDX-License-Identifier: GPL-2.0

//! The send buffer: text the user gave, in page fragments, until the peer has it.
//!
//! It is `sk_write_queue`, a list of skbs without headers. Text is addressed by its offset from the
//! oldest byte not released (SND.UNA). What is sent is the clone of such an skb, or a fresh skb of
//! headers that refers to the same pages, so text is copied once, into the buffer, and a
//! retransmission sends the same pages.

use super::bindings as b;
use super::msg::Take;
use super::*;
use core::marker::PhantomData;
use core::ptr::null_mut;
use kernel::error::to_result;
use kernel::prelude::*;

/// Most text in one skb of the buffer, bytes: what one super-segment takes.
const MAX_TEXT: u32 = 64 * 1024;

/// The send buffer's own state in the socket: zero is empty.
///
/// Positions are counts of bytes since the beginning, modulo 2^32; each skb notes that of its first
/// byte.
#[derive(Default)]
#[repr(C)]
pub(super) struct State {
    /// Position of the first byte not released.
    pub(super) start: u32,
    /// Bytes held.
    len: u32,
    /// The skb that was last sent from, or null: where the next search begins.
    pub(super) cursor: Cursor,
    /// A packet whose memory a segment without text may have, or null ([`SendBuffer::lend`]).
    pub(super) lent: Cursor,
}

#[derive(Clone, Copy)]
pub(super) struct Cursor(pub(super) *mut b::sk_buff);

impl Default for Cursor {
    fn default() -> Self {
        Self(null_mut())
    }
}

/// The send buffer of a locked socket.
pub struct SendBuffer<'a, F> {
    sk: *mut b::sock,
    state: *mut State,
    pub(super) gfp: b::gfp_t,
    _locked: PhantomData<&'a mut State>,
    _family: PhantomData<fn() -> F>,
}

impl<F> SendBuffer<'_, F> {
    /// # Safety
    ///
    /// `sk` is locked as long as this lives; `state` is its state, and nobody else uses that or
    /// the write queue meanwhile.
    pub(super) unsafe fn new(sk: *mut b::sock, state: *mut State, gfp: b::gfp_t) -> Self {
        Self {
            sk,
            state,
            gfp,
            _locked: PhantomData,
            _family: PhantomData,
        }
    }

    pub(super) fn sk(&self) -> *mut b::sock {
        self.sk
    }

    pub(super) fn state(&mut self) -> &mut State {
        // SAFETY: By the contract of `new`.
        unsafe { &mut *self.state }
    }

    /// Until [`SendBuffer::end_loan`], the first segment without text may be made in the memory of
    /// `skb`, which came in and is done with.
    pub fn lend(&mut self, skb: RxSkb) {
        self.state().lent = Cursor(skb.into_raw());
    }

    /// Frees what was lent, if no segment was made of it.
    pub fn end_loan(&mut self) {
        let skb = core::mem::take(&mut self.state().lent).0;
        if !skb.is_null() {
            // SAFETY: It is that of `lend`.
            drop(unsafe { RxSkb::from_raw(skb) });
        }
    }

    pub(super) fn queue(&self) -> *mut b::sk_buff_head {
        // SAFETY: The socket is alive.
        unsafe { &raw mut (*self.sk).sk_write_queue }
    }

    /// Copies up to `max` bytes of `msg` behind the text (or takes its pages, when it was spliced),
    /// if there is any room; returns how many. The memory is accounted; process context.
    ///
    /// With `MSG_ZEROCOPY` and `SO_ZEROCOPY` the user's own pages are taken, and reported free on
    /// the error queue.
    ///
    /// Errors, only when nothing was taken: `EAGAIN` when there is no room, or no memory for now
    /// (wait by [`Locked::wait_writable`]); `EFAULT` when the user's memory cannot be read;
    /// `ENOBUFS` when a zero-copy send cannot be accounted.
    pub fn append(&mut self, msg: &mut Msg<'_>, max: usize) -> Result<usize> {
        if msg.remaining() > 0 && self.free_space() == 0 {
            return Err(EAGAIN);
        }
        self.append_beyond(msg, max)
    }

    /// Copies up to `max` bytes of `msg` behind the text, as many as one fragment takes; returns how
    /// many, 0 where [`SendBuffer::append`] has an error, or is to be asked.
    pub fn append_plain(&mut self, msg: &mut Msg<'_>, max: u16) -> u32 {
        if self.free_space() == 0 {
            return 0;
        }
        let end = self.end();
        // SAFETY: The socket is locked by a process; the message is the call's.
        let n = unsafe { b::ox_text_write(self.sk, msg.iter(), max.into(), end) };
        let n = n.max(0).unsigned_abs();
        self.state().len = self.len().wrapping_add(n);
        n
    }

    /// As [`SendBuffer::append`], whether there is room or not: what completes a run of segments is
    /// worth the memory.
    pub fn append_beyond(&mut self, msg: &mut Msg<'_>, max: usize) -> Result<usize> {
        let wanted = max.min(msg.remaining());
        let mut done = 0;
        let mut error = EAGAIN;
        while done < wanted {
            match self.append_some(msg, wanted - done) {
                Ok(n) => done += n,
                Err(e) => {
                    error = e;
                    break;
                }
            }
        }
        if done > 0 || wanted == 0 {
            Ok(done)
        } else {
            Err(error)
        }
    }

    /// Takes into the last skb as much as one fragment takes, or into a new one.
    fn append_some(&mut self, msg: &mut Msg<'_>, max: usize) -> Result<usize> {
        let max = max.min(MAX_TEXT as usize);
        // SAFETY: The socket is locked by a process; the message is the call's.
        let n = unsafe {
            match msg.take(self.sk)? {
                Take::Copy => {
                    let end = self.end();
                    b::ox_text_write(self.sk, msg.iter(), max as i32, end)
                }
                how => self.take_pages(msg, &how, max)?,
            }
        };
        to_result(n.min(0))?;
        let n = n.unsigned_abs();
        self.state().len += n;
        msg.taken();
        Ok(n as usize)
    }

    /// The position behind the text.
    fn end(&mut self) -> u32 {
        self.state().start.wrapping_add(self.state().len)
    }

    /// As [`SendBuffer::append_some`], of pages that are not copied.
    fn take_pages(&mut self, msg: &mut Msg<'_>, how: &Take, max: usize) -> Result<i32> {
        let sk = self.sk;
        // SAFETY: The socket is locked; all skbs are those of its write queue.
        unsafe {
            let tail = b::ox_skb_peek_tail(self.queue());
            if !tail.is_null() && (*tail).len < MAX_TEXT && b::ox_text_is_open(tail) {
                let most = max.min((MAX_TEXT - (*tail).len) as usize);
                let n = self.fill(tail, msg, how, most)?;
                if n > 0 {
                    return Ok(n);
                }
            }
            let skb = b::ox_alloc_text_skb(sk);
            if skb.is_null() {
                return Err(EAGAIN);
            }
            *b::ox_text_cb(skb) = b::ox_text_cb {
                seq: self.end(),
                ..Default::default()
            };
            match self.fill(skb, msg, how, max) {
                Ok(n) if n > 0 => {
                    b::ox_skb_queue_tail(self.queue(), skb);
                    Ok(n)
                }
                result => {
                    b::ox_free_text_skb(sk, skb);
                    result.and(Err(EFAULT))
                }
            }
        }
    }

    /// # Safety
    ///
    /// `skb` is one of the buffer's, the last one.
    unsafe fn fill(
        &mut self,
        skb: *mut b::sk_buff,
        msg: &mut Msg<'_>,
        how: &Take,
        max: usize,
    ) -> Result<i32> {
        let sk = self.sk;
        let max = max as i32;
        // SAFETY: By the function's contract; the socket is locked by a process.
        let n = unsafe {
            match how {
                Take::Copy => 0,
                Take::Splice { shared } => b::ox_text_splice(sk, skb, msg.iter(), max, *shared),
                Take::ZeroCopy(report) => {
                    b::ox_text_zerocopy(sk, skb, msg.raw(), max, report.as_ptr())
                }
            }
        };
        to_result(n.min(0))?;
        Ok(n)
    }

    /// Has it reported on the error queue when the last byte of text is sent and acknowledged, as
    /// far as `SO_TIMESTAMPING`, or a control message of `msg`, asks for it. Call it when a message
    /// was appended.
    pub fn stamp(&mut self, msg: &Msg<'_>) {
        let tsflags = msg.tsflags();
        // SAFETY: The socket is locked; the skb is one of the buffer's.
        unsafe {
            let tail = b::ox_skb_peek_tail(self.queue());
            if tsflags != 0 && !tail.is_null() {
                b::ox_text_stamp(self.sk, tail, tsflags);
            }
        }
    }

    /// The byte from which on reports number the stream: the next one written, or the first one not
    /// released.
    pub(super) fn number_stamps(&mut self, from_next: bool) {
        let ahead = if from_next { self.len() } else { 0 };
        let base = self.state().start.wrapping_add(ahead);
        // SAFETY: The socket is locked.
        unsafe { b::ox_sk_set_stamp_base(self.sk, base) }
    }

    /// Bytes of text held.
    pub fn len(&self) -> u32 {
        // SAFETY: By the contract of `new`.
        unsafe { (*self.state).len }
    }

    /// Whether no text is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that may still be filled (`sk_sndbuf` less what is in use).
    pub fn free_space(&self) -> u32 {
        // SAFETY: The socket is locked.
        unsafe { b::ox_sk_wspace(self.sk) }.max(0).unsigned_abs()
    }

    /// Drops `bytes` of text from the front: the peer has them. No more than there are.
    pub fn release(&mut self, bytes: u32) {
        if bytes > 0 {
            // SAFETY: The socket is locked.
            unsafe { b::ox_sk_path_works(self.sk) };
        }
        self.drop_front(bytes, true);
    }

    fn drop_front(&mut self, bytes: u32, acked: bool) {
        let bytes = bytes.min(self.len());
        let state = self.state();
        state.start = state.start.wrapping_add(bytes);
        state.len -= bytes;
        let (start, cursor) = (state.start, &raw mut state.cursor.0);
        // SAFETY: The socket is locked; what is dropped are skbs of its write queue.
        unsafe { b::ox_text_release(self.sk, start, acked, cursor) }
    }

    /// Drops everything.
    pub fn purge(&mut self) {
        self.drop_front(self.len(), false);
    }
}

#[kunit_tests(oxtcp_send_buffer)]
mod tests {
    use super::*;
    use crate::net::testing::{KernelSocket, Source};

    fn buffer<'a>(socket: &'a KernelSocket, state: &'a mut State) -> SendBuffer<'a, ()> {
        // SAFETY: Nobody else knows the socket; its write queue is empty.
        unsafe { SendBuffer::new(socket.sk(), state, b::GFP_KERNEL) }
    }

    fn fill(buffer: &mut SendBuffer<'_, ()>, bytes: usize) -> Result {
        let mut source = Source::new(bytes)?;
        let mut msg = source.msg();
        let mut done = 0;
        while done < bytes {
            done += buffer.append(&mut msg, bytes - done)?;
        }
        Ok(())
    }

    #[test]
    fn empty_covers_nothing() -> Result {
        let (socket, mut state) = (KernelSocket::new()?, State::default());
        let mut buffer = buffer(&socket, &mut state);
        assert!(buffer.is_empty());
        assert_eq!(buffer.coverable(0, 100, 10), 0);
        buffer.release(1);
        assert_eq!(buffer.len(), 0);
        Ok(())
    }

    #[test]
    fn what_is_appended_is_covered() -> Result {
        let (socket, mut state) = (KernelSocket::new()?, State::default());
        let mut buffer = buffer(&socket, &mut state);
        for bytes in [1, 100, 5000, 1] {
            fill(&mut buffer, bytes)?;
        }
        assert_eq!(buffer.len(), 5102);
        assert_eq!(buffer.coverable(0, 5102, 1460), 5102);
        assert_eq!(buffer.coverable(5101, 100, 1460), 1);
        assert_eq!(buffer.coverable(5102, 100, 1460), 0);
        buffer.purge();
        Ok(())
    }

    #[test]
    fn plain_bytes_are_appended_as_far_as_there_is_room() -> Result {
        let (socket, mut state) = (KernelSocket::new()?, State::default());
        let mut buffer = buffer(&socket, &mut state);
        let mut source = Source::new(4 << 20)?;
        let mut msg = source.msg();
        let mut len = 0;
        loop {
            match buffer.append_plain(&mut msg, 1000) {
                0 => break,
                n => len += n,
            }
            assert_eq!(buffer.len(), len);
        }
        assert!(len > 0 && len < 4 << 20);
        assert_eq!(buffer.free_space(), 0);
        assert_eq!(buffer.coverable(len - 10, 100, 1), 10);
        buffer.release(len);
        assert_eq!(buffer.append_plain(&mut msg, 7), 7);
        buffer.purge();
        Ok(())
    }

    #[test]
    fn release_frees_memory() -> Result {
        let (socket, mut state) = (KernelSocket::new()?, State::default());
        let mut buffer = buffer(&socket, &mut state);
        let free = buffer.free_space();
        fill(&mut buffer, 10_000)?;
        assert!(buffer.free_space() <= free - 10_000);
        let held = buffer.free_space();
        buffer.release(4_000);
        assert_eq!(buffer.len(), 6_000);
        assert_eq!(buffer.free_space(), held + 4_000);
        assert_eq!(buffer.coverable(0, 9_999, 1460), 6_000);
        buffer.release(u32::MAX);
        assert_eq!(buffer.len(), 0);
        assert_eq!(buffer.free_space(), free);
        Ok(())
    }

    #[test]
    fn text_survives_any_walk() -> Result {
        let (socket, mut state) = (KernelSocket::new()?, State::default());
        let mut buffer = buffer(&socket, &mut state);
        // Positions wrap in the middle of the text.
        buffer.state().start = 0u32.wrapping_sub(40_000);
        fill(&mut buffer, 60_000)?;
        let mut left = 60_000;
        for step in [1, 1459, 1460, 20_000, 17, 30_000] {
            for offset in [0, 1, left / 2, left - 1, 0] {
                assert_eq!(buffer.coverable(offset, left, 1), left - offset);
            }
            buffer.release(step);
            left -= step;
        }
        buffer.purge();
        Ok(())
    }

    #[test]
    fn a_segment_under_way_shares_its_skb_with_nothing_new() -> Result {
        let (socket, mut state) = (KernelSocket::new()?, State::default());
        let mut buffer = buffer(&socket, &mut state);
        fill(&mut buffer, 100)?;
        let first = buffer.whole(0, 100).ok_or(EINVAL)?;
        assert!(buffer.whole(0, 100).is_none());
        fill(&mut buffer, 50)?;
        assert!(buffer.whole(0, 150).is_none());
        let second = buffer.whole(100, 50).ok_or(EINVAL)?;
        // SAFETY: The segments are ours, and not sent.
        unsafe {
            assert_eq!((*first).len, 100);
            b::consume_skb(first);
            b::consume_skb(second);
        }
        fill(&mut buffer, 7)?;
        let third = buffer.whole(100, 57).ok_or(EINVAL)?;
        // SAFETY: As above.
        unsafe { b::consume_skb(third) };
        buffer.purge();
        Ok(())
    }

    #[test]
    fn room_is_the_limit() -> Result {
        let (socket, mut state) = (KernelSocket::new()?, State::default());
        let mut buffer = buffer(&socket, &mut state);
        let mut source = Source::new(4 << 20)?;
        let mut msg = source.msg();
        let mut done = 0;
        while let Ok(n) = buffer.append(&mut msg, 10_000) {
            done += n;
        }
        assert!(done > 0 && done < 4 << 20);
        assert_eq!(buffer.free_space(), 0);
        assert_eq!(buffer.append(&mut msg, 1), Err(EAGAIN));
        assert_eq!(buffer.append_beyond(&mut msg, 1), Ok(1));
        buffer.purge();
        assert_eq!(buffer.append(&mut msg, 1), Ok(1));
        buffer.purge();
        Ok(())
    }
}
