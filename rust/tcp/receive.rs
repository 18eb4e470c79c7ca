// SPDX-License-Identifier: GPL-2.0

//! What the core asks of the caller's queues.

use super::options::SackBlocks;
use super::records::RecordStore;
use super::seq::SeqNumber;

/// Something could not be kept for want of memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoRoom;

/// The memory of a receive buffer, bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Memory {
    /// What there may be (`SO_RCVBUF`).
    pub size: u32,
    /// What is used, by text that can be read or came early.
    pub used: u32,
    /// What is used by segments that wait to be processed.
    pub backlog: u32,
}

impl Memory {
    /// What may still be used.
    pub fn free(&self) -> u32 {
        self.size
            .saturating_sub(self.used)
            .saturating_sub(self.backlog)
    }
}

/// The memory of a segment that arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Arrived {
    /// Bytes of memory, of a buffer as it came.
    pub memory: u32,
    /// Bytes of memory that it adds when it can be merged with what is there.
    pub added: u32,
    /// Bytes of text in each of the segments that were merged into it, 0 if it is one.
    pub segment: u32,
}

/// The receive buffer of a connection, with the segment that is being processed.
pub trait ReceiveQueue {
    /// Keeps `len` bytes of the segment's text, from its byte `skip` on; the first has the number
    /// `seq`. In order (`seq == rcv_nxt`) they become readable, with what then is contiguous; else
    /// they wait. Returns the new RCV.NXT, up to which text is contiguous.
    ///
    /// # Errors
    ///
    /// [`NoRoom`]: nothing was kept; the peer will send it again.
    fn store(
        &mut self,
        rcv_nxt: SeqNumber,
        seq: SeqNumber,
        skip: u32,
        len: u32,
    ) -> Result<SeqNumber, NoRoom>;

    /// Keeps all of the segment's text, `len` bytes of which the first has the number `seq`, while
    /// that is next and no other text waits.
    ///
    /// # Errors
    ///
    /// As [`ReceiveQueue::store`].
    fn append(&mut self, seq: SeqNumber, len: u32) -> Result<(), NoRoom> {
        self.store(seq, seq, 0, len).map(|_| ())
    }

    /// The buffer's memory.
    fn memory(&self) -> Memory;

    /// The memory of the segment that is being processed; asked for before it is stored.
    fn arrived(&self) -> Arrived;

    /// Whether the connections hold so much memory, all together, that none should want more.
    fn is_under_pressure(&self) -> bool {
        false
    }

    /// Whether nothing can be read.
    fn is_empty(&self) -> bool;

    /// The ranges that wait, the one that changed last first (RFC 2018 4).
    fn sack_blocks(&self) -> SackBlocks;

    /// Whether any range waits.
    fn has_gaps(&self) -> bool {
        !self.sack_blocks().is_empty()
    }
}

/// All that the caller lends: the receive buffer and the records of what was sent.
pub trait Queues: ReceiveQueue + RecordStore {}

impl<Q: ReceiveQueue + RecordStore> Queues for Q {}
