// SPDX-License-Identifier: GPL-2.0

//! The receive buffer: text in order, ready to read (`sk_receive_queue`), and text that came early,
//! in a tree by sequence number ([`ooo`](super::ooo)). Segments are moved into it, never copied.
//!
//! An skb is never trimmed: its note in `skb->cb` says which of its bytes are kept.

use super::bindings as b;
use super::*;
use core::marker::PhantomData;
use kernel::prelude::*;

/// Least `SO_RCVBUF`, bytes of memory.
pub const MIN_RCVBUF: u32 = b::OX_MIN_RCVBUF;

/// The receive buffer's own state in the socket: zero is empty.
#[derive(Default)]
#[repr(C)]
pub(super) struct State {
    pub(super) early: ooo::Tree,
    /// Bytes that can be read.
    readable: u32,
}

/// Text could not be kept: no memory within `SO_RCVBUF`, or the kernel's. Treat it as not received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unstored;

/// The receive buffer of a locked socket, with the segment that is being processed, if any.
pub struct RecvBuffer<'a, F: Family> {
    sock: &'a Sock<F>,
    state: *mut State,
    segment: Option<RxSkb>,
    _locked: PhantomData<&'a mut State>,
}

/// Whether sequence number `a` is before `b` (RFC 9293 3.4).
pub(super) fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}

impl<'a, F: Family> RecvBuffer<'a, F> {
    /// # Safety
    ///
    /// `sock` is locked for `'a`; `state` is its state, and nobody else uses that or the receive
    /// queue meanwhile.
    pub(super) unsafe fn new(sock: &'a Sock<F>, state: *mut State, segment: Option<RxSkb>) -> Self {
        Self {
            sock,
            state,
            segment,
            _locked: PhantomData,
        }
    }

    fn state(&mut self) -> &mut State {
        // SAFETY: By the contract of `new`.
        unsafe { &mut *self.state }
    }

    fn sk(&self) -> *mut b::sock {
        self.sock.sk()
    }

    fn queue(&self) -> *mut b::sk_buff_head {
        // SAFETY: The socket is alive.
        unsafe { &raw mut (*self.sk()).sk_receive_queue }
    }

    /// Keeps `len` bytes of the text of the segment being processed, from its byte `skip` on, whose
    /// sequence number is `seq`. At `seq == rcv_nxt` they become readable, with what then is
    /// contiguous; else they wait. What is already held is not held twice. The segment is used up,
    /// kept or not.
    ///
    /// Returns the new RCV.NXT, up to which text is contiguous.
    pub fn store(&mut self, rcv_nxt: u32, seq: u32, skip: u32, len: u32) -> Result<u32, Unstored> {
        if len == 0 {
            return Ok(rcv_nxt);
        }
        let segment = self.segment.take().ok_or(Unstored)?;
        if skip
            .checked_add(len)
            .is_none_or(|end| end > segment.payload_len())
        {
            return Err(Unstored);
        }
        let old = if before(seq, rcv_nxt) {
            rcv_nxt.wrapping_sub(seq)
        } else {
            0
        };
        if old >= len {
            segment.discard(self.sock.net(), DropReason::OldData);
            return Ok(rcv_nxt);
        }
        let (seq, skip, len) = (seq.wrapping_add(old), skip + old, len - old);
        let header = segment.header().len() as u32;
        if let Err(reason) = self.make_room(&segment, seq == rcv_nxt) {
            segment.discard(self.sock.net(), reason);
            return Err(Unstored);
        }
        segment.detach();
        let skb = segment.into_raw();
        // SAFETY: The skb is ours; its header is linear.
        unsafe {
            b::skb_pull(skb, header);
            *b::ox_text_cb(skb) = b::ox_text_cb {
                seq,
                off: skip,
                len,
                ..Default::default()
            };
        }
        if seq == rcv_nxt {
            // SAFETY: The skb is ours, noted and paid for.
            unsafe { self.enqueue(skb) };
            Ok(self.take_contiguous(rcv_nxt.wrapping_add(len)))
        } else {
            self.sock.net().count(Counter::OfoQueue);
            // SAFETY: As above.
            unsafe {
                b::ox_skb_set_owner_r(skb, self.sk());
                self.state().early.insert(skb);
            }
            Ok(rcv_nxt)
        }
    }

    /// [`RecvBuffer::store`] of all of the segment's text, while that is next and none waits.
    #[inline]
    pub fn append(&mut self, seq: u32, len: u32) -> Result<(), Unstored> {
        let segment = self.segment.take().ok_or(Unstored)?;
        let header = segment.header().len() as u32;
        // SAFETY: The socket is locked; the skb is ours, with so much of header in the linear part, and
        // the queue's if that takes it.
        if unsafe { b::ox_sk_append(self.sk(), segment.raw(), header, seq) } {
            let _ = segment.into_raw();
            self.state().readable += len;
            return Ok(());
        }
        self.segment = Some(segment);
        self.store(seq, seq, 0, len).map(|_| ())
    }

    /// More memory is used than the buffer has: it may have as much, up to `tcp_rmem`, unless the
    /// user chose its size, or the family has little left (`tcp_clamp_window`).
    fn stretch(&mut self) {
        let most = self.sock.net().settings().rmem_max();
        let size = i32::try_from(self.used().min(most)).unwrap_or(i32::MAX);
        let sk = self.sk();
        // SAFETY: The socket is locked; readers without the lock use `READ_ONCE`.
        unsafe {
            let chosen = u32::from((*sk).sk_userlocks) & b::SOCK_RCVBUF_LOCK != 0;
            if !chosen && (*sk).sk_rcvbuf < size && b::ox_sk_has_plenty(sk) {
                (&raw mut (*sk).sk_rcvbuf).write_volatile(size);
            }
        }
    }

    /// Sees that the segment's memory is within bounds and paid for, at the cost of early text.
    fn make_room(&mut self, segment: &RxSkb, in_order: bool) -> Result<(), DropReason> {
        let sk = self.sk();
        let skb = segment.raw();
        // SAFETY: The socket is locked; the skb is ours.
        unsafe {
            let over = || b::ox_sk_rmem_alloc(sk) > (*sk).sk_rcvbuf;
            if over() {
                self.stretch();
            }
            if over() {
                if !in_order {
                    return Err(DropReason::OfoFull);
                }
                self.prune();
                // A reader who has taken everything must not wait for ever.
                if over() && self.readable() > 0 {
                    return Err(DropReason::RcvbufFull);
                }
            }
            let size = (*skb).truesize as i32;
            if b::ox_sk_rmem_schedule(sk, skb, size) {
                return Ok(());
            }
            self.prune();
            if b::ox_sk_rmem_schedule(sk, skb, size) {
                return Ok(());
            }
            // As in Linux each reader gets on, whatever others keep.
            if in_order && self.readable() == 0 && b::ox_sk_rmem_force(sk, size) {
                Ok(())
            } else {
                Err(DropReason::NoMemory)
            }
        }
    }

    /// Gives up all early text: the peer has it still (RFC 2018 8).
    fn prune(&mut self) {
        let sock = self.sock;
        self.state()
            .early
            .clear(|_| sock.net().count_drop(DropReason::OfoPrune));
    }

    /// Puts text at the end of the readable, merged with the last skb if that can be.
    ///
    /// # Safety
    ///
    /// `skb` is ours, noted; its memory is paid for but not charged.
    unsafe fn enqueue(&mut self, skb: *mut b::sk_buff) {
        let sk = self.sk();
        // SAFETY: By the function's contract; the socket is locked.
        unsafe {
            let note = *b::ox_text_cb(skb);
            self.state().readable += note.len;
            let tail = b::ox_skb_peek_tail(self.queue());
            if !tail.is_null() && note.off == 0 && note.len == (*skb).len {
                let last = b::ox_text_cb(tail);
                let (mut stolen, mut delta) = (false, 0);
                if (*last).off + (*last).len == (*tail).len
                    && b::ox_skb_coalesce(sk, tail, skb, &mut stolen, &mut delta)
                {
                    (*last).len += note.len;
                    b::ox_sk_rmem_charge(sk, delta);
                    b::ox_kfree_skb_partial(skb, stolen);
                    return;
                }
            }
            b::ox_skb_set_owner_r(skb, sk);
            b::ox_skb_queue_tail(self.queue(), skb);
        }
    }

    /// Moves early text that has become contiguous; returns the new RCV.NXT.
    fn take_contiguous(&mut self, mut rcv_nxt: u32) -> u32 {
        let queue = self.queue();
        while let Some(skb) = self.state().early.pop_until(rcv_nxt) {
            // SAFETY: The skb is ours, out of the tree; already charged.
            unsafe {
                let note = b::ox_text_cb(skb);
                let old = rcv_nxt.wrapping_sub((*note).seq);
                if old >= (*note).len {
                    b::consume_skb(skb);
                    continue;
                }
                (*note).seq = rcv_nxt;
                (*note).off += old;
                (*note).len -= old;
                rcv_nxt = rcv_nxt.wrapping_add((*note).len);
                self.state().readable += (*note).len;
                b::ox_skb_queue_tail(queue, skb);
            }
        }
        self.state().early.forget_until(rcv_nxt);
        rcv_nxt
    }

    /// Whether the family's sockets, or those of the control group, hold so much memory that none
    /// should want more (`tcp_under_memory_pressure`).
    pub fn is_under_pressure(&self) -> bool {
        // SAFETY: The socket is alive.
        unsafe { b::ox_sk_under_pressure(self.sk()) }
    }

    /// Bytes of memory in use by text.
    pub fn used(&self) -> u32 {
        // SAFETY: The socket is locked.
        unsafe { b::ox_sk_rmem_alloc(self.sk()) }
            .max(0)
            .unsigned_abs()
    }

    /// Bytes of memory in use by segments that wait while the socket is locked.
    pub fn backlog(&self) -> u32 {
        self.sock.backlog_len()
    }

    /// Whether nothing waits to be read, in the way of `skb_queue_len`.
    pub fn is_empty(&self) -> bool {
        // SAFETY: The socket is locked.
        unsafe { b::ox_skb_peek(self.queue()) }.is_null()
    }

    /// Memory of the segment being processed, as it came, and as it would be merged with what is
    /// there; bytes of text in each of the segments that were merged into it, 0 if it is one.
    #[inline]
    pub fn arrived(&self) -> (u32, u32, u32) {
        let mut arrived = b::ox_arrived::default();
        if let Some(segment) = &self.segment {
            let header = segment.header().len() as u32;
            // SAFETY: The skb is ours.
            unsafe { b::ox_skb_arrived(segment.raw(), header, &mut arrived) }
        }
        (arrived.memory, arrived.added, arrived.segment)
    }

    /// `SO_RCVBUF`, bytes of memory.
    pub fn size(&self) -> u32 {
        // SAFETY: The socket is locked.
        unsafe { (*self.sk()).sk_rcvbuf }.max(0).unsigned_abs()
    }

    /// The ranges `[start, end)` that wait beyond RCV.NXT, the one that changed last first
    /// (RFC 2018 4); returns how many of `out` are set.
    pub fn sack_ranges(&self, out: &mut [(u32, u32); 4]) -> usize {
        // SAFETY: By the contract of `new`.
        unsafe { (*self.state).early.ranges(out) }
    }

    /// Whether any text waits beyond RCV.NXT.
    pub fn has_gaps(&self) -> bool {
        // SAFETY: By the contract of `new`.
        unsafe { !(*self.state).early.is_empty() }
    }

    /// Bytes that can be read now.
    pub fn readable(&self) -> u32 {
        // SAFETY: By the contract of `new`.
        unsafe { (*self.state).readable }
    }

    /// Copies up to `max` bytes of text to the user, from `offset` bytes behind the first unread
    /// one on; nothing is consumed. Returns how many.
    ///
    /// Errors: `EFAULT` when the user's memory cannot be written and nothing was copied.
    pub fn copy_to(&mut self, msg: &mut Msg<'_>, offset: u32, max: usize) -> Result<usize> {
        self.walk(offset, max, |skb, at, len| {
            // SAFETY: The skb is one of the receive queue and has these bytes.
            if unsafe { b::ox_copy_text(skb, at as i32, msg.iter(), len as i32) } != 0 {
                return Err(EFAULT);
            }
            // SAFETY: The skb is one of the receive queue; the socket is locked.
            unsafe { msg.note_stamp(skb) };
            Ok(len)
        })
    }

    /// As [`RecvBuffer::copy_to`], but that nothing is copied: only when it came is noted.
    pub fn pass_by(&mut self, msg: &mut Msg<'_>, offset: u32, max: usize) -> Result<usize> {
        self.walk(offset, max, |skb, _, len| {
            // SAFETY: The skb is one of the receive queue; the socket is locked.
            unsafe { msg.note_stamp(skb) };
            Ok(len)
        })
    }

    /// Bytes that can be read of what came first, in one piece.
    #[inline]
    pub fn first_len(&self) -> u32 {
        // SAFETY: The socket is locked; all skbs in the queue have a note.
        unsafe {
            let skb = b::ox_skb_peek(self.queue());
            if skb.is_null() {
                0
            } else {
                (*b::ox_text_cb(skb)).len
            }
        }
    }

    /// As [`RecvBuffer::copy_to`] from the first unread byte on, but no further than what came in one
    /// piece, and what was copied is consumed.
    ///
    /// Errors: `EFAULT`, and nothing is consumed.
    #[inline]
    pub fn take_first(&mut self, msg: &mut Msg<'_>, max: u32) -> Result<u32> {
        // SAFETY: The socket is locked; the skb is one of its receive queue, whose note is within its
        // length, and freed once.
        unsafe {
            let skb = b::ox_skb_peek(self.queue());
            if skb.is_null() {
                return Ok(0);
            }
            let note = b::ox_text_cb(skb);
            let len = (*note).len.min(max);
            if b::ox_copy_text(skb, (*note).off as i32, msg.iter(), len as i32) != 0 {
                return Err(EFAULT);
            }
            self.state().readable -= len;
            if len == (*note).len {
                b::ox_skb_unlink(skb, self.queue());
                b::consume_skb(skb);
            } else {
                (*note).seq = (*note).seq.wrapping_add(len);
                (*note).off += len;
                (*note).len -= len;
            }
            Ok(len)
        }
    }

    /// Calls `f(skb, offset in it, bytes)` for up to `max` bytes of text, from `offset` bytes behind
    /// the first unread one on, until it takes fewer than it was offered. Returns how many it took.
    ///
    /// Errors: `f`'s, when nothing was taken.
    pub(super) fn walk(
        &mut self,
        offset: u32,
        max: usize,
        mut f: impl FnMut(*mut b::sk_buff, u32, u32) -> Result<u32>,
    ) -> Result<usize> {
        let mut skip = offset;
        let mut done = 0;
        // SAFETY: The socket is locked; all skbs are those of its receive queue, and their notes
        // are within their length.
        unsafe {
            let mut skb = b::ox_skb_peek(self.queue());
            while !skb.is_null() && done < max {
                let note = *b::ox_text_cb(skb);
                if skip >= note.len {
                    skip -= note.len;
                } else {
                    let n = ((note.len - skip) as usize).min(max - done) as u32;
                    let taken = match f(skb, note.off + skip, n) {
                        Err(e) if done == 0 => return Err(e),
                        result => result.unwrap_or(0),
                    };
                    done += taken as usize;
                    if taken < n {
                        break;
                    }
                    skip = 0;
                }
                skb = b::ox_skb_peek_next(skb, self.queue());
            }
        }
        Ok(done)
    }

    /// Moves up to `max` bytes of text into a pipe, as [`RecvBuffer::copy_to`] copies them; nothing
    /// is consumed. Returns how many.
    ///
    /// Errors: those of [`Pipe::put`], when nothing was moved.
    pub fn splice_to(&mut self, pipe: &mut Pipe<'_>, offset: u32, max: usize) -> Result<usize> {
        let sk = self.sk();
        self.walk(offset, max, |skb, at, len| {
            // SAFETY: The skb is one of the receive queue and has these bytes; the socket is
            // locked.
            unsafe { pipe.put(sk, skb, at, len) }
        })
    }

    /// Frees the first `bytes` of readable text (read, or skipped by `MSG_TRUNC`).
    pub fn consume(&mut self, bytes: u32) {
        let mut left = bytes.min(self.readable());
        self.state().readable -= left;
        while left > 0 {
            // SAFETY: The socket is locked; the skb is one of its receive queue, and freed once.
            unsafe {
                let skb = b::ox_skb_peek(self.queue());
                if skb.is_null() {
                    return;
                }
                let note = b::ox_text_cb(skb);
                let n = (*note).len.min(left);
                left -= n;
                (*note).seq = (*note).seq.wrapping_add(n);
                (*note).off += n;
                (*note).len -= n;
                if (*note).len == 0 {
                    b::ox_skb_unlink(skb, self.queue());
                    b::consume_skb(skb);
                }
            }
        }
    }

    /// Frees everything, readable or waiting.
    pub fn purge(&mut self) {
        self.consume(self.readable());
        self.state().early.clear(|_| ());
    }

    /// The segment being processed, as long as its text was not stored.
    pub fn segment(&self) -> Option<&RxSkb> {
        self.segment.as_ref()
    }

    /// Takes the segment being processed out, if its text was not stored.
    pub fn take_segment(&mut self) -> Option<RxSkb> {
        self.segment.take()
    }
}
