// SPDX-License-Identifier: GPL-2.0

//! What became of what was sent (RFC 2018, 6675): counts over the records, and the changes to
//! them, each of which keeps the counts right.
//!
//! Bound: a SACK block splits at most two records, at its ends, and walks those that it touches; an
//! acknowledgment walks those that it removes. With `n` records and four blocks in a segment that
//! is less than `20 n` looks at a record, whatever the peer sends.

use super::options::SeqRange;
use super::pack::packed;
use super::records::{coalesce, find, make_room, push, split, Fate, Record, RecordStore};
use super::seq::SeqNumber;

/// Bytes, and the segments they were sent in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Count {
    /// Bytes.
    pub bytes: u32,
    /// Segments.
    pub segments: u32,
}

packed!(struct Count { bytes, segments });

impl Count {
    fn add(&mut self, record: &Record) {
        self.bytes = self.bytes.wrapping_add(record.len());
        self.segments = self.segments.wrapping_add(record.segments());
    }

    fn sub(&mut self, record: &Record) {
        self.bytes = self.bytes.wrapping_sub(record.len());
        self.segments = self.segments.wrapping_sub(record.segments());
    }
}

/// The counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Scoreboard {
    out: Count,
    sacked: Count,
    lost: Count,
    resent: Count,
    /// Bytes that are lost and not sent again.
    waiting: u32,
    /// The end of what is selectively acknowledged; means something only while there is any.
    fack: SeqNumber,
    /// Nothing that waits to be sent again begins before it; means something only while there is.
    hint: SeqNumber,
}

packed!(struct Scoreboard { out, sacked, lost, resent, waiting, fack, hint });

impl Scoreboard {
    /// All that is outstanding.
    pub fn out(&self) -> Count {
        self.out
    }

    /// The connection has ended: what became of the text is known no more.
    pub(super) fn forget_outstanding(&mut self) {
        self.out = Count::default();
    }

    /// What is selectively acknowledged.
    pub fn sacked(&self) -> Count {
        self.sacked
    }

    /// What is taken for lost, sent again or not.
    pub fn lost(&self) -> Count {
        self.lost
    }

    /// What was sent again and is in flight.
    pub fn resent(&self) -> Count {
        self.resent
    }

    /// Bytes that are lost and not sent again.
    pub fn waiting(&self) -> u32 {
        self.waiting
    }

    /// Whether all that is outstanding was sent once and is taken to be on its way.
    pub(super) fn is_calm(&self) -> bool {
        self.sacked.bytes | self.lost.bytes | self.resent.bytes == 0
    }

    /// The end of what is selectively acknowledged, or `una` if nothing is.
    pub(super) fn fack(&self, una: SeqNumber) -> SeqNumber {
        if self.sacked.bytes > 0 {
            self.fack.max(una)
        } else {
            una
        }
    }

    fn add(&mut self, record: &Record) {
        self.out.add(record);
        match record.fate {
            Fate::Sent => {}
            Fate::Sacked => {
                if self.sacked.bytes == 0 || self.fack.before(record.end) {
                    self.fack = record.end;
                }
                self.sacked.add(record);
            }
            Fate::Twice => self.resent.add(record),
            Fate::Resent => {
                self.resent.add(record);
                self.lost.add(record);
            }
            Fate::Lost => {
                if self.waiting == 0 || record.start.before(self.hint) {
                    self.hint = record.start;
                }
                self.lost.add(record);
                self.waiting = self.waiting.wrapping_add(record.len());
            }
        }
    }

    fn sub(&mut self, record: &Record) {
        self.out.sub(record);
        match record.fate {
            Fate::Sent => {}
            Fate::Sacked => self.sacked.sub(record),
            Fate::Twice => self.resent.sub(record),
            Fate::Resent => {
                self.resent.sub(record);
                self.lost.sub(record);
            }
            Fate::Lost => {
                self.lost.sub(record);
                self.waiting = self.waiting.wrapping_sub(record.len());
            }
        }
    }

    /// Changes the record at `i`; returns what it was.
    fn change<S: RecordStore>(
        &mut self,
        store: &mut S,
        i: usize,
        change: impl FnOnce(&mut Record),
    ) -> Option<Record> {
        let slot = store.records_mut().get_mut(i)?;
        let was = *slot;
        self.sub(&was);
        change(slot);
        self.add(slot);
        Some(was)
    }

    fn split<S: RecordStore>(&mut self, store: &mut S, i: usize, seq: SeqNumber) -> bool {
        let Some(&whole) = store.records().get(i) else {
            return false;
        };
        if !split(store, i, seq) {
            return false;
        }
        self.sub(&whole);
        for part in store.records().iter().skip(i).take(2) {
            self.add(part);
        }
        true
    }

    fn recount<S: RecordStore>(&mut self, store: &S) {
        *self = Self::default();
        for record in store.records() {
            self.add(record);
        }
    }

    /// Text is sent for the first time.
    #[inline]
    pub(super) fn push<S: RecordStore>(&mut self, store: &mut S, record: Record) {
        if store.records().is_empty() {
            // A store takes one record always.
            self.out.add(&record);
            let _ = store.insert_record(0, record);
            return;
        }
        self.push_behind(store, record);
    }

    #[inline(never)]
    fn push_behind<S: RecordStore>(&mut self, store: &mut S, record: Record) {
        let last = store.records().last().copied();
        let count = store.records().len();
        push(store, record);
        if store.records().len() == count && last.is_some_and(|r| r.fate == Fate::Sacked) {
            // It had to be forgotten, and may have been the end of all that had arrived.
            self.recount(store);
            return;
        }
        if let Some(last) = last {
            self.sub(&last);
        }
        for changed in store.records().iter().skip(count.saturating_sub(1)) {
            self.add(changed);
        }
    }

    /// What `block` covers has arrived; `seen` is told of each record that was not known to have,
    /// as it was. A segment that is covered in part has not arrived.
    pub(super) fn sack<S: RecordStore>(
        &mut self,
        store: &mut S,
        block: SeqRange,
        mut seen: impl FnMut(&Record),
    ) {
        let from = find(store, block.start);
        let mut i = from;
        while let Some(&record) = store.records().get(i) {
            if !record.start.before(block.end) {
                break;
            }
            if record.fate == Fate::Sacked {
                i = i.saturating_add(1);
                continue;
            }
            let mss = u32::from(record.mss).max(1);
            if record.start.before(block.start) {
                let before = block.start.since(record.start).div_ceil(mss);
                let before = before.saturating_mul(mss);
                if before < record.len() {
                    self.split(store, i, record.start + before);
                }
                i = i.saturating_add(1);
                continue;
            }
            if record.end.after(block.end) {
                let covered = block.end.since(record.start);
                let covered = covered.saturating_sub(covered % mss);
                if covered == 0 || !self.split(store, i, record.start + covered) {
                    break;
                }
            }
            if let Some(was) = self.change(store, i, |r| r.fate = Fate::Sacked) {
                seen(&was);
            }
            i = i.saturating_add(1);
        }
        coalesce_counted(self, store, from, i);
    }

    /// All before `una` has arrived; `seen` is told of it, record by record.
    pub(super) fn advance<S: RecordStore>(
        &mut self,
        store: &mut S,
        una: SeqNumber,
        mut seen: impl FnMut(&Record),
    ) {
        let gone = find(store, una);
        for record in store.records().iter().take(gone) {
            self.sub(record);
            seen(record);
        }
        store.remove_records(0, gone);
        if let Some(first) = store.records_mut().first_mut() {
            if first.start.before(una) {
                self.sub(first);
                let (gone, left) = first.cut(una);
                seen(&gone);
                *first = left;
                self.add(first);
            }
        }
    }

    /// The first record, `first`, has arrived, as a whole; [`Scoreboard::is_calm`], so that it was sent
    /// once.
    #[inline]
    pub(super) fn first_arrived<S: RecordStore>(&mut self, store: &mut S, first: &Record) {
        self.out.sub(first);
        store.remove_records(0, 1);
    }

    /// The record at `i` is lost, or its repetition is; returns what it was, if that is news.
    pub(super) fn mark_lost<S: RecordStore>(&mut self, store: &mut S, i: usize) -> Option<Record> {
        let fate = store.records().get(i)?.fate;
        if matches!(fate, Fate::Sacked | Fate::Lost) {
            return None;
        }
        self.change(store, i, |r| r.fate = Fate::Lost)
    }

    /// The first segment is lost (RFC 6582 3.2), unless it was sent again already, as a part of what
    /// has been acknowledged by now.
    pub(super) fn mark_first_lost<S: RecordStore>(&mut self, store: &mut S) -> Option<Record> {
        let first = store.records().first()?;
        let (fate, mss, len) = (first.fate, u32::from(first.mss), first.len());
        if matches!(fate, Fate::Lost | Fate::Resent) {
            return None;
        }
        let seq = first.start + mss;
        if mss > 0 && len > mss {
            self.split(store, 0, seq);
        }
        self.mark_lost(store, 0)
    }

    /// The peer has dropped what it had selectively acknowledged (RFC 2018 8).
    pub(super) fn forget_sacked<S: RecordStore>(&mut self, store: &mut S) {
        for record in store.records_mut() {
            if record.fate == Fate::Sacked {
                record.fate = Fate::Sent;
                record.resent = true;
            }
        }
        self.recount(store);
    }

    /// Nothing was lost after all.
    pub(super) fn forget_lost<S: RecordStore>(&mut self, store: &mut S) {
        for record in store.records_mut() {
            record.fate = match record.fate {
                Fate::Lost => Fate::Sent,
                Fate::Resent => Fate::Twice,
                fate => fate,
            };
        }
        self.recount(store);
    }

    /// What is lost and to be sent again next: the first of its records, and the whole run.
    pub(super) fn next_lost<S: RecordStore>(&mut self, store: &S) -> Option<(usize, SeqRange)> {
        if self.waiting == 0 {
            return None;
        }
        let from = find(store, self.hint);
        let mut behind = store.records().iter().enumerate().skip(from);
        let (i, first) = behind.find(|(_, r)| r.fate == Fate::Lost)?;
        self.hint = first.start;
        let end = behind
            .map(|(_, r)| r)
            .take_while(|r| r.fate == Fate::Lost)
            .last()
            .map_or(first.end, |r| r.end);
        let run = SeqRange {
            start: first.start,
            end,
        };
        Some((i, run))
    }

    /// Everything from the record at `i` up to `end` is sent once more: `again` says how, but for
    /// the range. A record that cannot be split for want of room counts as sent again whole.
    pub(super) fn resend<S: RecordStore>(
        &mut self,
        store: &mut S,
        i: usize,
        end: SeqNumber,
        again: &Record,
    ) {
        let mut at = i;
        let mut from = i;
        while let Some(&record) = store.records().get(at) {
            if !record.start.before(end) {
                break;
            }
            if record.end.after(end) && !self.split(store, at, end) {
                if let Some(moved) = make_room(store, at) {
                    self.recount(store);
                    from = from.min(moved);
                    at = moved;
                    self.split(store, at, end);
                }
            }
            self.change(store, at, |r| {
                let segments = if r.mss == again.mss {
                    r.segments
                } else {
                    let count = r.len().div_ceil(u32::from(again.mss).max(1));
                    u16::try_from(count).unwrap_or(u16::MAX)
                };
                *r = Record {
                    start: r.start,
                    end: r.end,
                    segments,
                    ..*again
                }
            });
            at = at.saturating_add(1);
        }
        coalesce_counted(self, store, from, at);
    }

    /// What is from `from` on was not sent after all.
    pub(super) fn retract<S: RecordStore>(&mut self, store: &mut S, from: SeqNumber) {
        let mut at = find(store, from);
        let cut = |r: &mut Record| *r = r.cut(from).0;
        if store
            .records()
            .get(at)
            .is_some_and(|r| r.start.before(from))
        {
            self.change(store, at, cut);
            at = at.saturating_add(1);
        }
        for gone in store.records().iter().skip(at) {
            self.sub(gone);
        }
        let count = store.records().len().saturating_sub(at);
        store.remove_records(at, count);
    }

    /// What is lost from `from` to `end` was not sent again after all. A record that begins before
    /// and cannot be split for want of room counts as not sent again whole.
    pub(super) fn take_back<S: RecordStore>(
        &mut self,
        store: &mut S,
        from: SeqNumber,
        end: SeqNumber,
    ) {
        let first = find(store, from);
        let mut at = first;
        if store
            .records()
            .get(at)
            .is_some_and(|r| r.start.before(from))
        {
            let split = self.split(store, at, from);
            at = at.saturating_add(split.into());
        }
        while let Some(&record) = store.records().get(at) {
            if !record.start.before(end) {
                break;
            }
            if record.fate == Fate::Resent {
                self.change(store, at, |r| r.fate = Fate::Lost);
            }
            at = at.saturating_add(1);
        }
        coalesce_counted(self, store, first, at);
    }

    /// The last segment, with the index of its record, to be sent again as a probe; `None` if it
    /// has arrived, or is lost already.
    pub(super) fn last_segment<S: RecordStore>(
        &mut self,
        store: &mut S,
    ) -> Option<(usize, SeqRange)> {
        let i = store.records().len().checked_sub(1)?;
        let last = store.records().get(i)?;
        if !matches!(last.fate, Fate::Sent | Fate::Twice) {
            return None;
        }
        let mut run = SeqRange {
            start: last.start,
            end: last.end,
        };
        let mss = u32::from(last.mss).max(1);
        let whole = last.len().saturating_sub(1) / mss;
        let before = whole.min(last.segments().saturating_sub(1));
        let before = before.saturating_mul(mss);
        if before == 0 {
            return Some((i, run));
        }
        run.start += before;
        let index = if self.split(store, i, run.start) {
            i.saturating_add(1)
        } else {
            i
        };
        Some((index, run))
    }

    /// Whether the counts are right, and the records without gaps from `una` to `nxt`.
    #[cfg(not(MODULE))]
    pub fn agrees<S: RecordStore>(&self, store: &S, una: SeqNumber, nxt: SeqNumber) -> bool {
        let mut fresh = Self::default();
        fresh.recount(store);
        let mut end = una;
        for record in store.records() {
            if record.start != end || !record.start.before(record.end) {
                return false;
            }
            end = record.end;
        }
        let found = self.waiting == 0 || !fresh.hint.before(self.hint);
        end == nxt
            && found
            && fresh.fack(una) == self.fack(una)
            && Self {
                fack: self.fack,
                hint: self.hint,
                ..fresh
            } == *self
    }
}

/// As [`coalesce`]: it may change how many segments a record counts for.
fn coalesce_counted<S: RecordStore>(board: &mut Scoreboard, store: &mut S, from: usize, to: usize) {
    let count = store.records().len();
    let low = from.saturating_sub(1);
    let high = to.saturating_add(1).min(count);
    let touched = high.saturating_sub(low);
    for record in store.records().iter().skip(low).take(touched) {
        board.sub(record);
    }
    coalesce(store, from, to);
    let left = touched.saturating_sub(count.saturating_sub(store.records().len()));
    for record in store.records().iter().skip(low).take(left) {
        board.add(record);
    }
}

#[cfg(test)]
mod tests;
