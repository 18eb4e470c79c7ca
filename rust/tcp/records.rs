// SPDX-License-Identifier: GPL-2.0

//! What is remembered of sent text: one record for each run, in the order of sequence numbers,
//! without gaps, from SND.UNA to SND.NXT.
//!
//! The store is the caller's, for the core does not allocate. It may refuse to grow, down to a
//! single record: then neighbours become one, and of what they said the part is kept that costs a
//! needless retransmission at worst.
//!
//! Bound: with `n` records (the store's limit), each function here looks at each of them at most
//! once and moves each at most once.

use super::receive::NoRoom;
use super::seq::SeqNumber;
use super::time::Instant;

/// What became of a run, as far as is known. The order is that in which one outweighs another when
/// both become one record: what has to be sent again is never forgotten, what arrived may be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) enum Fate {
    /// Selectively acknowledged.
    Sacked,
    /// On its way.
    #[default]
    Sent,
    /// On its way twice: it was sent again, and then found not to be lost.
    Twice,
    /// Lost, and sent again.
    Resent,
    /// Lost, and to be sent again.
    Lost,
}

/// A run of sent text, our FIN included. 40 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Record {
    /// First number.
    pub(super) start: SeqNumber,
    /// The number behind the last.
    pub(super) end: SeqNumber,
    /// When it was last sent.
    pub(super) sent: Instant,
    /// The connection's count of delivered bytes when it was last sent (wraps).
    pub(super) delivered: u32,
    /// How long before `sent` that count had last changed, µs.
    pub(super) delivered_before: u32,
    /// How long before `sent` the interval of sending had begun, µs.
    pub(super) first_sent_before: u32,
    /// Bytes in flight when it was last sent, its own included.
    pub(super) in_flight: u32,
    /// Bytes of text in each of its segments but the last.
    pub(super) mss: u16,
    /// Segments it was sent in.
    pub(super) segments: u16,
    pub(super) fate: Fate,
    /// It was sent more than once, or is of several runs: it measures no round-trip time
    /// (Karn's algorithm).
    pub(super) resent: bool,
    /// The user had nothing more to send when it was last sent.
    pub(super) app_limited: bool,
}

impl Record {
    /// One that is told from others by its number, for tests of a store.
    #[cfg(CONFIG_KUNIT)]
    pub fn numbered(number: u32) -> Self {
        Self {
            start: SeqNumber(number),
            ..Self::default()
        }
    }

    /// Numbers in it.
    pub(super) fn len(&self) -> u32 {
        self.end.since(self.start)
    }

    /// Segments it was sent in, at least one.
    pub(super) fn segments(&self) -> u32 {
        u32::from(self.segments).max(1)
    }

    /// It as two, the second beginning with `seq`.
    pub(super) fn cut(&self, seq: SeqNumber) -> (Self, Self) {
        let len = seq.since(self.start);
        let first = len.div_ceil(u32::from(self.mss).max(1));
        let first = u16::try_from(first).unwrap_or(u16::MAX);
        let first = first.min(self.segments.saturating_sub(1)).max(1);
        let head = Self {
            end: seq,
            segments: first,
            ..*self
        };
        let tail = Self {
            start: seq,
            segments: self.segments.saturating_sub(first).max(1),
            ..*self
        };
        (head, tail)
    }

    /// Whether it and `next`, which follows, can be one record without anything being forgotten.
    fn joins(&self, next: &Self) -> bool {
        if self.fate == Fate::Sacked || next.fate == Fate::Sacked {
            return self.fate == next.fate && self.resent == next.resent;
        }
        self.fate == next.fate
            && self.sent == next.sent
            && self.delivered == next.delivered
            && self.mss == next.mss
            && self.resent == next.resent
            && self.app_limited == next.app_limited
            && self.len() % u32::from(self.mss).max(1) == 0
    }

    /// Takes `next`, which follows, in.
    fn join(&mut self, next: &Self) {
        let exact = self.joins(next);
        self.end = next.end;
        self.sent = self.sent.max(next.sent);
        self.delivered = next.delivered;
        self.delivered_before = next.delivered_before;
        self.first_sent_before = next.first_sent_before;
        self.in_flight = next.in_flight;
        self.mss = self.mss.min(next.mss);
        self.segments = self.segments.saturating_add(next.segments);
        self.fate = self.fate.max(next.fate);
        self.resent = self.resent || next.resent || !exact;
        self.app_limited = self.app_limited || next.app_limited;
    }
}

/// The caller's store of records: a sequence, empty when the connection begins.
pub trait RecordStore {
    /// The records.
    fn records(&self) -> &[Record];

    /// The records, to be changed.
    fn records_mut(&mut self) -> &mut [Record];

    /// Puts a record before that at `at`, or at the end.
    ///
    /// # Errors
    ///
    /// [`NoRoom`]: there is a limit, or no memory. Never when there was no record.
    fn insert_record(&mut self, at: usize, record: Record) -> Result<(), NoRoom>;

    /// Takes out `count` records from that at `at` on.
    fn remove_records(&mut self, at: usize, count: usize);

    /// The number behind the first message that ends behind `after` (`MSG_EOR`). Only for a
    /// connection that was told of one by [`Tcb::on_message_end`](super::Tcb::on_message_end).
    fn message_end(&self, after: SeqNumber) -> Option<SeqNumber> {
        let _ = after;
        None
    }
}

/// The first record that ends behind `seq`; as many as there are if none does.
pub(super) fn find<S: RecordStore>(store: &S, seq: SeqNumber) -> usize {
    store.records().partition_point(|r| r.end.at_or_before(seq))
}

/// Makes two records of that at `i`, the second beginning with `seq`. False if there is no room.
pub(super) fn split<S: RecordStore>(store: &mut S, i: usize, seq: SeqNumber) -> bool {
    let Some(&whole) = store.records().get(i) else {
        return false;
    };
    let (head, rest) = whole.cut(seq);
    if store.insert_record(i.saturating_add(1), rest).is_err() {
        return false;
    }
    if let Some(first) = store.records_mut().get_mut(i) {
        *first = head;
    }
    true
}

/// Makes neighbours among `from..to`, and those right outside, one record where nothing is lost by
/// that.
pub(super) fn coalesce<S: RecordStore>(store: &mut S, from: usize, to: usize) {
    let from = from.saturating_sub(1);
    let all = store.records_mut();
    let to = to.saturating_add(1).min(all.len());
    let mut kept = from;
    for next in from.saturating_add(1)..to {
        let Some(&record) = all.get(next) else { break };
        match all.get_mut(kept) {
            Some(last) if last.joins(&record) => last.join(&record),
            _ => {
                kept = kept.saturating_add(1);
                if let Some(slot) = all.get_mut(kept) {
                    *slot = record;
                }
            }
        }
    }
    let first = kept.saturating_add(1);
    let gone = to.saturating_sub(first);
    if gone > 0 {
        store.remove_records(first, gone);
    }
}

/// Makes one of two neighbours, neither of them that at `i`, whatever they say. Returns the index
/// of that at `i` afterwards, `None` if there are no such neighbours.
pub(super) fn make_room<S: RecordStore>(store: &mut S, i: usize) -> Option<usize> {
    let count = store.records().len();
    let behind = count.saturating_sub(2);
    let at = if i < behind {
        behind
    } else if i >= 2 {
        0
    } else {
        return None;
    };
    let second = at.saturating_add(1);
    let next = *store.records().get(second)?;
    store.records_mut().get_mut(at)?.join(&next);
    store.remove_records(second, 1);
    Some(if at < i { i.saturating_sub(1) } else { i })
}

/// Appends a record; if there is no room it becomes part of the last one.
pub(super) fn push<S: RecordStore>(store: &mut S, record: Record) {
    let count = store.records().len();
    if let Some(last) = store.records_mut().last_mut() {
        if last.joins(&record) {
            last.join(&record);
            return;
        }
    }
    if store.insert_record(count, record).is_err() {
        if let Some(last) = store.records_mut().last_mut() {
            last.join(&record);
        }
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// A store with a limit.
    pub struct Store {
        pub all: Vec<Record>,
        pub most: usize,
    }

    impl Store {
        pub fn new(most: usize) -> Self {
            Self {
                all: Vec::new(),
                most,
            }
        }
    }

    impl RecordStore for Store {
        fn records(&self) -> &[Record] {
            &self.all
        }

        fn records_mut(&mut self) -> &mut [Record] {
            &mut self.all
        }

        fn insert_record(&mut self, at: usize, record: Record) -> Result<(), NoRoom> {
            if self.all.len() >= self.most {
                return Err(NoRoom);
            }
            self.all.insert(at, record);
            Ok(())
        }

        fn remove_records(&mut self, at: usize, count: usize) {
            self.all.drain(at..at + count);
        }
    }

    /// A record `[start, end)` of segments of 10 bytes, sent at `us`.
    pub fn record(start: u32, end: u32, us: u64) -> Record {
        Record {
            start: SeqNumber(start),
            end: SeqNumber(end),
            sent: Instant::from_us(us),
            mss: 10,
            segments: (end.wrapping_sub(start).div_ceil(10)) as u16,
            ..Record::default()
        }
    }

    /// First and last number of each.
    pub fn ranges(store: &Store) -> Vec<(u32, u32)> {
        store.all.iter().map(|r| (r.start.0, r.end.0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::testing::*;
    use super::*;

    #[test]
    fn a_record_is_small() {
        assert!(core::mem::size_of::<Record>() <= 40);
    }

    #[test]
    fn parts_have_the_segments_of_the_whole() {
        for (len, at, head, tail) in [
            (20, 10, 1, 1),
            (95, 10, 1, 9),
            (95, 90, 9, 1),
            (95, 45, 5, 5),
            (95, 91, 9, 1),
            (10, 5, 1, 1),
        ] {
            let (a, b) = record(0, len, 0).cut(SeqNumber(at));
            assert_eq!((a.segments(), b.segments()), (head, tail), "{len} {at}");
            assert_eq!((a.end, b.start), (SeqNumber(at), SeqNumber(at)));
        }
    }

    #[test]
    fn small_segments_count_each_when_joined() {
        let mut store = Store::new(9);
        for i in 0..3 {
            let mut small = record(i, i + 1, 1);
            small.fate = Fate::Sacked;
            store.all.push(small);
        }
        coalesce(&mut store, 0, 3);
        assert_eq!(ranges(&store), [(0, 3)]);
        assert_eq!(store.all[0].segments(), 3);
    }

    #[test]
    fn runs_sent_at_once_are_one_record() {
        let mut store = Store::new(9);
        push(&mut store, record(0, 20, 1));
        push(&mut store, record(20, 45, 1));
        assert_eq!(ranges(&store), [(0, 45)]);
        // The last segment of the first was not full: where segments begin would be forgotten.
        push(&mut store, record(45, 50, 1));
        push(&mut store, record(50, 60, 2));
        assert_eq!(ranges(&store), [(0, 45), (45, 50), (50, 60)]);
        assert!(store.all.iter().all(|r| !r.resent));
    }

    #[test]
    fn a_full_store_takes_new_text_into_the_last_record() {
        let mut store = Store::new(1);
        push(&mut store, record(0, 10, 1));
        push(&mut store, record(10, 30, 2));
        assert_eq!(ranges(&store), [(0, 30)]);
        let one = store.all[0];
        assert_eq!((one.fate, one.sent.us()), (Fate::Sent, 2));
        assert!(one.resent, "it measures nothing any more");
    }

    #[test]
    fn what_is_lost_outweighs_what_is_not_and_what_arrived_is_forgotten() {
        use Fate::*;
        let join = |a, b| {
            let mut first = Record {
                fate: a,
                ..record(0, 10, 1)
            };
            first.join(&Record {
                fate: b,
                ..record(10, 20, 2)
            });
            first.fate
        };
        for (a, b, both) in [
            (Sacked, Sacked, Sacked),
            (Sacked, Sent, Sent),
            (Sent, Lost, Lost),
            (Lost, Resent, Lost),
            (Resent, Sent, Resent),
            (Twice, Sent, Twice),
        ] {
            assert_eq!(join(a, b), both);
            assert_eq!(join(b, a), both);
        }
    }

    #[test]
    fn splitting_and_coalescing_are_inverse() {
        let mut store = Store::new(9);
        push(&mut store, record(0, 100, 1));
        assert!(split(&mut store, 0, SeqNumber(30)));
        assert!(split(&mut store, 1, SeqNumber(50)));
        assert_eq!(ranges(&store), [(0, 30), (30, 50), (50, 100)]);
        coalesce(&mut store, 1, 2);
        assert_eq!(ranges(&store), [(0, 100)]);
    }

    #[test]
    fn coalescing_keeps_what_differs() {
        let mut store = Store::new(9);
        for (start, fate) in [
            (0, Fate::Sacked),
            (10, Fate::Sacked),
            (20, Fate::Lost),
            (30, Fate::Lost),
            (40, Fate::Sent),
        ] {
            store.all.push(Record {
                fate,
                ..record(start, start + 10, 1)
            });
        }
        coalesce(&mut store, 0, 5);
        assert_eq!(ranges(&store), [(0, 20), (20, 40), (40, 50)]);
        coalesce(&mut store, 0, 0);
        coalesce(&mut store, 3, 9);
        assert_eq!(ranges(&store).len(), 3);
    }

    #[test]
    fn a_full_store_cannot_split() {
        let mut store = Store::new(1);
        push(&mut store, record(0, 100, 1));
        assert!(!split(&mut store, 0, SeqNumber(30)));
        assert!(!split(&mut store, 7, SeqNumber(30)));
        assert_eq!(ranges(&store), [(0, 100)]);
    }

    #[test]
    fn room_is_made_of_others() {
        let filled = || {
            let mut store = Store::new(4);
            for i in 0..4 {
                push(&mut store, record(i * 10, i * 10 + 10, u64::from(i)));
            }
            store
        };
        for i in 0..4 {
            let mut store = filled();
            let at = make_room(&mut store, i).expect("four records have a pair without the one");
            assert_eq!(store.all[at].start.0, i as u32 * 10);
            assert_eq!(store.all[at].len(), 10);
            assert_eq!(store.all.len(), 3);
        }
        let mut store = filled();
        store.all.truncate(2);
        assert_eq!(make_room(&mut store, 0), None);
        assert_eq!(make_room(&mut store, 1), None);
    }

    #[test]
    fn a_number_is_found() {
        let mut store = Store::new(9);
        push(&mut store, record(0xffff_fff0, 0xffff_fffa, 1));
        push(&mut store, record(0xffff_fffa, 5, 2));
        for (seq, i) in [(0xffff_fff0, 0), (0xffff_fffa, 1), (4, 1), (5, 2), (99, 2)] {
            assert_eq!(find(&store, SeqNumber(seq)), i, "{seq}");
        }
    }
}
