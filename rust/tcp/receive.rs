// SPDX-License-Identifier: GPL-2.0

//! What the core asks of the caller's queues.

use super::options::SackBlocks;
use super::records::RecordStore;
use super::seq::SeqNumber;

/// Something could not be kept for want of memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoRoom;

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

    /// Bytes of text that may still come.
    fn space(&self) -> u32;

    /// Bytes of text that fit into an empty buffer.
    fn capacity(&self) -> u32;

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
