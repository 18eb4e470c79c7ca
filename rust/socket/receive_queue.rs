// SPDX-License-Identifier: GPL-2.0

//! A socket's queues as the protocol core sees them: the receive buffer of skbs, and the records of
//! what was sent.

use super::sent_records::SentRecords;
use super::Oxtcp;
use crate::net::{RecvBuffer, RxSkb};
use crate::tcp::options::{SackBlocks, SeqRange};
use crate::tcp::seq::SeqNumber;
use crate::tcp::{Arrived, Memory, NoRoom, ReceiveQueue, Record, RecordStore};

/// A socket's queues.
pub(super) struct Queues<'a> {
    /// The receive buffer, with the segment that is being processed.
    pub(super) recv: RecvBuffer<'a, Oxtcp>,
    pub(super) records: &'a mut SentRecords,
}

impl Queues<'_> {
    /// The segment, if none of its text was kept.
    pub(super) fn take_segment(&mut self) -> Option<RxSkb> {
        self.recv.take_segment()
    }
}

impl RecordStore for Queues<'_> {
    fn records(&self) -> &[Record] {
        self.records.records()
    }

    fn records_mut(&mut self) -> &mut [Record] {
        self.records.records_mut()
    }

    fn insert_record(&mut self, at: usize, record: Record) -> Result<(), NoRoom> {
        self.records.insert_record(at, record)
    }

    fn remove_records(&mut self, at: usize, count: usize) {
        self.records.remove_records(at, count);
    }

    fn message_end(&self, after: SeqNumber) -> Option<SeqNumber> {
        self.records.message_end(after)
    }
}

impl ReceiveQueue for Queues<'_> {
    fn store(
        &mut self,
        rcv_nxt: SeqNumber,
        seq: SeqNumber,
        skip: u32,
        len: u32,
    ) -> Result<SeqNumber, NoRoom> {
        self.recv
            .store(rcv_nxt.0, seq.0, skip, len)
            .map(SeqNumber)
            .map_err(|_| NoRoom)
    }

    #[inline]
    fn append(&mut self, seq: SeqNumber, len: u32) -> Result<(), NoRoom> {
        self.recv.append(seq.0, len).map_err(|_| NoRoom)
    }

    #[inline]
    fn memory(&self) -> Memory {
        Memory {
            size: self.recv.size(),
            used: self.recv.used(),
            backlog: self.recv.backlog(),
        }
    }

    #[inline]
    fn arrived(&self) -> Arrived {
        let (memory, added, segment) = self.recv.arrived();
        Arrived {
            memory,
            added,
            segment,
        }
    }

    fn is_under_pressure(&self) -> bool {
        self.recv.is_under_pressure()
    }

    fn is_empty(&self) -> bool {
        self.recv.is_empty()
    }

    #[inline]
    fn has_gaps(&self) -> bool {
        self.recv.has_gaps()
    }

    fn sack_blocks(&self) -> SackBlocks {
        let mut ranges = [(0, 0); 4];
        let count = self.recv.sack_ranges(&mut ranges);
        let mut blocks = SackBlocks::NONE;
        for &(start, end) in ranges.iter().take(count) {
            blocks.push(SeqRange {
                start: SeqNumber(start),
                end: SeqNumber(end),
            });
        }
        blocks
    }
}
