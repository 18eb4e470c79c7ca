// SPDX-License-Identifier: GPL-2.0

//! The store of what the protocol core remembers of sent text. A connection with one run on its
//! way, or none, has no memory for it beside the socket's own.

use crate::tcp::seq::SeqNumber;
use crate::tcp::{NoRoom, Record, RecordStore};
use kernel::prelude::*;

/// Most records: they fit into an allocation of 32 KiB, which is likely to be had in an interrupt.
const MOST: usize = 768;
/// Records that there is room for when there are two.
const FIRST: usize = 6;

/// The records of a connection, in order.
pub(super) struct SentRecords {
    /// The only record, if `many` holds none.
    one: [Record; 1],
    /// How many of the one.
    ones: usize,
    /// The records, behind `head` that are gone.
    many: KVec<Record>,
    head: usize,
    /// Where messages end, if the user ever ended one.
    ends: Option<KBox<MessageEnds>>,
}

/// Most ends of messages that are remembered: of more, some messages go together.
const MOST_ENDS: usize = 16;

/// The numbers behind the last messages that the user ended (`MSG_EOR`), the oldest first.
#[derive(Default)]
struct MessageEnds {
    numbers: [u32; MOST_ENDS],
    count: usize,
}

impl MessageEnds {
    fn all(&self) -> impl Iterator<Item = SeqNumber> + '_ {
        let count = self.count.min(MOST_ENDS);
        let numbers = self.numbers.iter().take(count);
        numbers.map(|number| SeqNumber(*number))
    }

    /// Forgets those up to `una`, and takes `end`, if there is room.
    fn push(&mut self, end: SeqNumber, una: SeqNumber) {
        let mut kept = Self::default();
        let later = self.all().filter(|old| old.after(una));
        let all = Iterator::chain(later, [end]);
        for (slot, number) in kept.numbers.iter_mut().zip(all) {
            *slot = number.0;
            kept.count = kept.count.saturating_add(1);
        }
        *self = kept;
    }
}

impl SentRecords {
    /// None, and no memory taken.
    pub(super) fn new() -> Self {
        Self {
            one: [Record::default()],
            ones: 0,
            many: KVec::new(),
            head: 0,
            ends: None,
        }
    }

    /// A message of the user ends before `end`; all before `una` is acknowledged. Process context.
    /// Without memory it is not remembered: the message goes together with what follows.
    pub(super) fn end_message(&mut self, end: SeqNumber, una: SeqNumber) {
        if self.ends.is_none() {
            self.ends = KBox::new(MessageEnds::default(), GFP_KERNEL).ok();
        }
        if let Some(ends) = &mut self.ends {
            ends.push(end, una);
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.ones = 0;
        self.head = 0;
        if self.many.capacity() > 0 {
            self.many = KVec::new();
        }
    }

    fn is_many(&self) -> bool {
        self.many.len() > self.head
    }

    /// Makes room for one more in `many`.
    fn reserve(&mut self) -> Result<(), NoRoom> {
        let count = self.many.len().saturating_sub(self.head);
        if count >= MOST {
            return Err(NoRoom);
        }
        if self.many.len() < self.many.capacity() {
            return Ok(());
        }
        if self.head > 0 {
            self.close_gap(0, self.head);
            self.head = 0;
            return Ok(());
        }
        let more = count.max(FIRST).min(MOST.saturating_sub(count));
        self.many.reserve(more, GFP_ATOMIC).map_err(|_| NoRoom)
    }

    /// Puts a record beside those that there are.
    #[inline(never)]
    fn insert_more(&mut self, at: usize, record: Record) -> Result<(), NoRoom> {
        if !self.is_many() {
            self.reserve()?;
            let [only] = self.one;
            self.many.push_within_capacity(only).map_err(|_| NoRoom)?;
            self.ones = 0;
        }
        self.reserve()?;
        self.many
            .insert_within_capacity(self.head.saturating_add(at), record)
            .map_err(|_| NoRoom)
    }

    /// Forgets `count` of several. Room for a few stays until one is enough, as a stream's writes need
    /// it time and again.
    #[inline(never)]
    fn remove_more(&mut self, at: usize, count: usize) {
        if at == 0 {
            self.head = self.head.saturating_add(count).min(self.many.len());
        } else {
            self.close_gap(self.head.saturating_add(at), count);
        }
        if self.is_many() {
            return;
        }
        self.head = 0;
        if self.many.capacity() > 2 * FIRST {
            self.many = KVec::new();
        } else {
            self.many.clear();
        }
    }

    /// Moves what follows the `count` records at `at` to their place.
    fn close_gap(&mut self, at: usize, count: usize) {
        let len = self.many.len();
        let records = self.many.as_mut_slice();
        if let Some(from) = at.checked_add(count).filter(|from| *from <= len) {
            records.copy_within(from..len, at);
            self.many.truncate(len.saturating_sub(count));
        }
    }
}

impl RecordStore for SentRecords {
    fn records(&self) -> &[Record] {
        if self.is_many() {
            self.many.get(self.head..).unwrap_or(&[])
        } else {
            self.one.get(..self.ones).unwrap_or(&[])
        }
    }

    fn records_mut(&mut self) -> &mut [Record] {
        if self.is_many() {
            self.many.get_mut(self.head..).unwrap_or(&mut [])
        } else {
            self.one.get_mut(..self.ones).unwrap_or(&mut [])
        }
    }

    #[inline]
    fn insert_record(&mut self, at: usize, record: Record) -> Result<(), NoRoom> {
        if !self.is_many() && self.ones == 0 {
            self.one = [record];
            self.ones = 1;
            return Ok(());
        }
        self.insert_more(at, record)
    }

    #[inline]
    fn remove_records(&mut self, at: usize, count: usize) {
        if self.is_many() {
            return self.remove_more(at, count);
        }
        self.ones = self.ones.saturating_sub(count);
        if self.many.capacity() > 0 {
            // One was enough again: what there was room for is over.
            self.many = KVec::new();
        }
    }

    fn message_end(&self, after: SeqNumber) -> Option<SeqNumber> {
        self.ends.as_ref()?.all().find(|end| end.after(after))
    }
}

#[kernel::macros::kunit_tests(oxtcp_sent_records)]
mod tests {
    use super::*;

    /// A record that is told from others by what it was first sent with.
    fn same(store: &SentRecords, model: &KVec<Record>) -> bool {
        store.records() == model.as_slice()
    }

    /// Against a plain vector, whatever is done.
    #[test]
    fn is_a_sequence() -> Result {
        let mut store = SentRecords::new();
        let mut model = KVec::new();
        let mut dice = 7u64;
        let mut below = |limit: usize| {
            dice = dice
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (dice >> 33) as usize % limit
        };
        for step in 0..4000u32 {
            let len = model.len();
            if below(100) < 55 {
                let at = below(len + 1);
                let record = Record::numbered(step);
                if store.insert_record(at, record).is_ok() {
                    model.push(record, GFP_KERNEL)?;
                    let n = model.len();
                    model.as_mut_slice()[at..n].rotate_right(1);
                } else {
                    assert!(len == MOST);
                }
            } else if len > 0 {
                let at = if below(2) == 0 { 0 } else { below(len) };
                let count = 1 + below((len - at).min(5));
                store.remove_records(at, count);
                for _ in 0..count {
                    model.remove(at).map_err(|_| EINVAL)?;
                }
            }
            assert!(same(&store, &model));
        }
        Ok(())
    }

    #[test]
    fn one_record_takes_no_memory_and_many_are_bounded() -> Result {
        let mut store = SentRecords::new();
        assert!(store.insert_record(0, Record::numbered(1)).is_ok());
        assert_eq!(store.many.capacity(), 0);
        let mut count = 1;
        while store.insert_record(count, Record::numbered(2)).is_ok() {
            count += 1;
        }
        assert_eq!(count, MOST);
        assert!(store.many.capacity() * core::mem::size_of::<Record>() <= 32 << 10);
        store.remove_records(0, count);
        assert_eq!(store.many.capacity(), 0);
        assert_eq!(store.records().len(), 0);
        Ok(())
    }

    #[test]
    fn room_for_a_few_stays_until_one_is_enough() -> Result {
        let mut store = SentRecords::new();
        for _ in 0..3 {
            for at in 0..2 {
                assert!(store.insert_record(at, Record::numbered(1)).is_ok());
            }
            store.remove_records(0, 2);
            assert_eq!(store.records().len(), 0);
            assert!((2..=2 * FIRST).contains(&store.many.capacity()));
        }
        assert!(store.insert_record(0, Record::numbered(1)).is_ok());
        store.remove_records(0, 1);
        assert_eq!(store.many.capacity(), 0);
        Ok(())
    }
}
