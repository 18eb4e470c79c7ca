// SPDX-License-Identifier: GPL-2.0

//! A receive buffer over vectors, with the ways of the kernel's: text costs more memory than its
//! length, storing may fail, and text that came early may be given up again. The records of what
//! was sent are here too, as many as there may be.

use oxtcp_core::tcp::options::{SackBlocks, SeqRange};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::{Arrived, Memory, NoRoom, ReceiveQueue, Record, RecordStore};
use std::collections::VecDeque;

/// Text that waits for what is before it.
#[derive(Clone, Debug)]
struct Early {
    start: SeqNumber,
    text: Vec<u8>,
    /// When it last changed.
    stamp: u64,
}

impl Early {
    fn end(&self) -> SeqNumber {
        self.start + self.text.len() as u32
    }
}

/// The buffer.
#[derive(Clone, Debug)]
pub struct Rx {
    /// Bytes of text that it holds when it is empty.
    pub capacity: u32,
    /// Bytes that a segment in the buffer costs beside its text.
    overhead: u32,
    readable: VecDeque<u8>,
    /// Lengths of the segments in `readable`.
    segments: VecDeque<u32>,
    /// Ascending and disjoint.
    early: Vec<Early>,
    changes: u64,
    /// The text of the segment that is being processed.
    pub segment: Vec<u8>,
    /// Bytes of text in each of the segments that it was merged from, 0 if it is one.
    pub merged_from: u32,
    /// Whether storing fails.
    pub fail: bool,
    /// Whether memory is short for all.
    pub under_pressure: bool,
    /// What was sent.
    pub records: Vec<Record>,
    /// Where messages of our user end.
    pub ends: Vec<SeqNumber>,
    /// Most records there may be, at least one.
    pub most_records: usize,
}

impl Rx {
    pub fn new(capacity: u32, overhead: u32) -> Self {
        Self {
            capacity,
            overhead,
            readable: VecDeque::new(),
            segments: VecDeque::new(),
            early: Vec::new(),
            changes: 0,
            segment: Vec::new(),
            merged_from: 0,
            fail: false,
            under_pressure: false,
            records: Vec::new(),
            ends: Vec::new(),
            most_records: 1024,
        }
    }

    /// Bytes that can be read.
    pub fn readable(&self) -> usize {
        self.readable.len()
    }

    fn cost(&self) -> u32 {
        self.readable.len() as u32 + self.overhead * self.segments.len() as u32
    }

    /// Bytes of text that the buffer still has room for.
    pub fn space(&self) -> u32 {
        self.capacity.saturating_sub(self.cost())
    }

    /// Bytes that came early.
    pub fn early(&self) -> usize {
        self.early.iter().map(|e| e.text.len()).sum()
    }

    /// Takes up to `n` bytes.
    pub fn read(&mut self, n: usize) -> Vec<u8> {
        let n = n.min(self.readable.len());
        let mut left = n as u32;
        while left > 0 {
            let front = self.segments.front_mut().expect("text has a segment");
            let taken = left.min(*front);
            *front -= taken;
            left -= taken;
            if *front == 0 {
                self.segments.pop_front();
            }
        }
        self.readable.drain(..n).collect()
    }

    /// Gives up all that came early, selectively acknowledged or not.
    pub fn renege(&mut self) {
        self.early.clear();
    }

    fn keep_early(&mut self, start: SeqNumber, text: &[u8]) {
        self.changes += 1;
        let mut merged = Early {
            start,
            text: text.to_vec(),
            stamp: self.changes,
        };
        let mut rest = Vec::new();
        for old in self.early.drain(..) {
            if old.end().before(merged.start) || merged.end().before(old.start) {
                rest.push(old);
                continue;
            }
            let start = merged.start.min(old.start);
            let end = merged.end().max(old.end());
            let mut text = vec![0; end.since(start) as usize];
            // What was here first stays.
            for part in [&merged, &old] {
                let at = part.start.since(start) as usize;
                text[at..at + part.text.len()].copy_from_slice(&part.text);
            }
            merged.start = start;
            merged.text = text;
        }
        rest.push(merged);
        rest.sort_by_key(|e| e.start - rest_base(start));
        self.early = rest;
    }

    fn take_contiguous(&mut self, mut next: SeqNumber) -> SeqNumber {
        while self
            .early
            .first()
            .is_some_and(|e| e.start.at_or_before(next))
        {
            let e = self.early.remove(0);
            let old = next.since(e.start) as usize;
            if let Some(new) = e.text.get(old..).filter(|new| !new.is_empty()) {
                self.readable.extend(new);
                self.segments.push_back(new.len() as u32);
                next = e.end();
            }
        }
        next
    }
}

/// Early text is within 2^30 of any of it.
fn rest_base(near: SeqNumber) -> SeqNumber {
    near - (1 << 30)
}

impl ReceiveQueue for Rx {
    fn store(
        &mut self,
        rcv_nxt: SeqNumber,
        seq: SeqNumber,
        skip: u32,
        len: u32,
    ) -> Result<SeqNumber, NoRoom> {
        assert!(len > 0 && seq.at_or_after(rcv_nxt));
        let text = self.segment[skip as usize..(skip + len) as usize].to_vec();
        if self.fail {
            return Err(NoRoom);
        }
        if seq == rcv_nxt {
            self.readable.extend(&text);
            self.segments.push_back(len);
            return Ok(self.take_contiguous(seq + len));
        }
        self.keep_early(seq, &text);
        Ok(rcv_nxt)
    }

    fn memory(&self) -> Memory {
        Memory {
            size: self.capacity.saturating_mul(2),
            used: self.cost().saturating_mul(2),
            backlog: 0,
        }
    }

    fn arrived(&self) -> Arrived {
        let memory = (self.segment.len() as u32 + self.overhead) * 2;
        Arrived {
            memory,
            added: memory,
            segment: self.merged_from,
        }
    }

    fn is_under_pressure(&self) -> bool {
        self.under_pressure
    }

    fn is_empty(&self) -> bool {
        self.readable.is_empty()
    }

    fn sack_blocks(&self) -> SackBlocks {
        let mut ranges: Vec<_> = self.early.iter().collect();
        ranges.sort_by_key(|e| std::cmp::Reverse(e.stamp));
        let mut blocks = SackBlocks::NONE;
        for e in ranges {
            blocks.push(SeqRange {
                start: e.start,
                end: e.end(),
            });
        }
        blocks
    }
}

impl RecordStore for Rx {
    fn records(&self) -> &[Record] {
        &self.records
    }

    fn records_mut(&mut self) -> &mut [Record] {
        &mut self.records
    }

    fn insert_record(&mut self, at: usize, record: Record) -> Result<(), NoRoom> {
        if self.records.len() >= self.most_records.max(1) {
            return Err(NoRoom);
        }
        self.records.insert(at, record);
        Ok(())
    }

    fn remove_records(&mut self, at: usize, count: usize) {
        self.records.drain(at..at + count);
    }

    fn message_end(&self, after: SeqNumber) -> Option<SeqNumber> {
        self.ends.iter().copied().find(|end| end.after(after))
    }
}
