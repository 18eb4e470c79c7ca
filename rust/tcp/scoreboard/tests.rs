// SPDX-License-Identifier: GPL-2.0

use super::super::records::testing::{ranges, record, Store};
use super::*;
use crate::tcp::receive::NoRoom;
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::VecDeque;

const S: SeqNumber = SeqNumber(0);

fn range(start: u32, end: u32) -> SeqRange {
    SeqRange {
        start: SeqNumber(start),
        end: SeqNumber(end),
    }
}

/// Segments of 10 bytes each in a record of their own.
fn flight(segments: u32, most: usize) -> (Scoreboard, Store) {
    let (mut board, mut store) = (Scoreboard::default(), Store::new(most));
    for i in 0..segments {
        board.push(&mut store, record(i * 10, i * 10 + 10, u64::from(i)));
    }
    (board, store)
}

/// All of them in one record.
fn run(segments: u32) -> (Scoreboard, Store) {
    let (mut board, mut store) = (Scoreboard::default(), Store::new(99));
    board.push(&mut store, record(0, segments * 10, 1));
    (board, store)
}

fn sack(board: &mut Scoreboard, store: &mut Store, start: u32, end: u32) -> Vec<(u32, u32)> {
    let mut seen = Vec::new();
    board.sack(store, range(start, end), |r| {
        seen.push((r.start.0, r.end.0))
    });
    seen
}

#[test]
fn blocks_are_told_once_and_merge() {
    let (mut board, mut store) = flight(6, 99);
    assert_eq!(sack(&mut board, &mut store, 20, 30), [(20, 30)]);
    assert_eq!(sack(&mut board, &mut store, 20, 30), []);
    assert_eq!(sack(&mut board, &mut store, 10, 40), [(10, 20), (30, 40)]);
    assert_eq!(ranges(&store), [(0, 10), (10, 40), (40, 50), (50, 60)]);
    assert_eq!((board.sacked().bytes, board.sacked().segments), (30, 3));
    assert_eq!(board.fack(S), SeqNumber(40));
    assert!(board.agrees(&store, S, SeqNumber(60)));
}

#[test]
fn a_run_is_split_at_segments() {
    for (block, seen) in [
        ((30, 50), vec![(30, 50)]),
        ((31, 50), vec![(40, 50)]),
        ((31, 49), vec![]),
        ((29, 51), vec![(30, 50)]),
        ((0, 9), vec![]),
        ((91, 100), vec![]),
        ((85, 100), vec![(90, 100)]),
        ((0, 100), vec![(0, 100)]),
    ] {
        let (mut board, mut store) = run(10);
        assert_eq!(sack(&mut board, &mut store, block.0, block.1), seen);
        assert!(board.agrees(&store, S, SeqNumber(100)), "{block:?}");
    }
}

#[test]
fn the_short_last_segment_of_a_run_can_be_covered() {
    let (mut board, mut store) = (Scoreboard::default(), Store::new(9));
    board.push(&mut store, record(0, 25, 1));
    assert_eq!(sack(&mut board, &mut store, 20, 25), [(20, 25)]);
    assert_eq!(board.out().segments, 3);
}

#[test]
fn an_acknowledgment_within_a_run_removes_a_part() {
    let (mut board, mut store) = run(10);
    let mut seen = Vec::new();
    board.advance(&mut store, SeqNumber(35), |r| {
        seen.push((r.start.0, r.end.0, r.segments()))
    });
    assert_eq!(seen, [(0, 35, 4)]);
    assert_eq!(ranges(&store), [(35, 100)]);
    assert_eq!(board.out().bytes, 65);
    board.advance(&mut store, SeqNumber(100), |_| ());
    assert_eq!(
        board,
        Scoreboard {
            fack: board.fack,
            hint: board.hint,
            ..Scoreboard::default()
        }
    );
}

#[test]
fn what_is_lost_is_sent_again_in_order_and_in_one_run() {
    let (mut board, mut store) = flight(8, 99);
    for i in [2, 3, 6, 1] {
        assert!(board.mark_lost(&mut store, i).is_some());
    }
    assert!(board.mark_lost(&mut store, 1).is_none(), "no news");
    assert_eq!(board.waiting(), 40);
    let (i, lost) = board.next_lost(&store).expect("lost");
    assert_eq!((i, lost), (1, range(10, 40)));
    let mut again = record(0, 0, 100);
    again.fate = Fate::Resent;
    again.resent = true;
    board.resend(&mut store, i, SeqNumber(30), &again);
    assert_eq!(board.next_lost(&store), Some((2, range(30, 40))));
    board.resend(&mut store, 2, SeqNumber(40), &again);
    assert_eq!(
        ranges(&store),
        [(0, 10), (10, 40), (40, 50), (50, 60), (60, 70), (70, 80)]
    );
    assert_eq!(board.next_lost(&store), Some((4, range(60, 70))));
    assert_eq!(
        (board.lost().bytes, board.resent().bytes, board.waiting()),
        (40, 30, 10)
    );
    assert!(board.agrees(&store, S, SeqNumber(80)));
}

#[test]
fn a_repetition_may_be_lost_too() {
    let (mut board, mut store) = flight(2, 99);
    board.mark_lost(&mut store, 0);
    let mut again = record(0, 0, 100);
    again.fate = Fate::Resent;
    board.resend(&mut store, 0, SeqNumber(10), &again);
    assert_eq!(board.next_lost(&store), None);
    let was = board.mark_lost(&mut store, 0).map(|r| r.fate);
    assert_eq!(was, Some(Fate::Resent));
    assert_eq!(board.next_lost(&store), Some((0, range(0, 10))));
    assert_eq!((board.resent().bytes, board.lost().bytes), (0, 10));
}

#[test]
fn what_has_arrived_cannot_be_lost() {
    let (mut board, mut store) = flight(2, 99);
    sack(&mut board, &mut store, 10, 20);
    assert!(board.mark_lost(&mut store, 1).is_none());
    board.forget_sacked(&mut store);
    assert!(board.mark_lost(&mut store, 1).is_some());
    assert_eq!(board.sacked(), Count::default());
    assert_eq!(board.fack(S), S);
}

#[test]
fn what_was_not_lost_after_all_is_on_its_way() {
    let (mut board, mut store) = flight(3, 99);
    board.mark_lost(&mut store, 0);
    board.mark_lost(&mut store, 1);
    let mut again = record(0, 0, 100);
    again.fate = Fate::Resent;
    board.resend(&mut store, 0, SeqNumber(10), &again);
    board.forget_lost(&mut store);
    let fates: Vec<_> = store.all.iter().map(|r| r.fate).collect();
    assert_eq!(fates, [Fate::Twice, Fate::Sent, Fate::Sent]);
    assert_eq!((board.lost().bytes, board.resent().bytes), (0, 10));
}

#[test]
fn without_sack_the_first_segment_is_lost_alone() {
    let (mut board, mut store) = run(5);
    assert!(board.mark_first_lost(&mut store).is_some());
    assert_eq!(board.next_lost(&store), Some((0, range(0, 10))));
    assert!(board.mark_first_lost(&mut store).is_none());
    assert_eq!(ranges(&store), [(0, 10), (10, 50)]);
}

#[test]
fn the_last_segment_is_found() {
    let (mut board, mut store) = (Scoreboard::default(), Store::new(9));
    assert_eq!(board.last_segment(&mut store), None);
    board.push(&mut store, record(0, 45, 1));
    assert_eq!(board.last_segment(&mut store), Some((1, range(40, 45))));
    assert_eq!(board.last_segment(&mut store), Some((1, range(40, 45))));
    sack(&mut board, &mut store, 40, 45);
    assert_eq!(board.last_segment(&mut store), None);
}

#[test]
fn a_full_store_forgets_what_arrived_and_nothing_else() {
    let (mut board, mut store) = flight(1, 1);
    sack(&mut board, &mut store, 0, 10);
    board.push(&mut store, record(10, 20, 5));
    assert_eq!(board.sacked().bytes, 0);
    board.mark_lost(&mut store, 0);
    board.push(&mut store, record(20, 30, 6));
    assert_eq!(board.next_lost(&store), Some((0, range(0, 30))));
    assert!(board.agrees(&store, S, SeqNumber(30)));
}

/// A store that counts how often records are moved.
struct Counting {
    inner: Store,
    moves: Cell<usize>,
}

impl RecordStore for Counting {
    fn records(&self) -> &[Record] {
        self.inner.records()
    }

    fn records_mut(&mut self) -> &mut [Record] {
        self.inner.records_mut()
    }

    fn insert_record(&mut self, at: usize, record: Record) -> Result<(), NoRoom> {
        self.moves.set(self.moves.get() + 1);
        self.inner.insert_record(at, record)
    }

    fn remove_records(&mut self, at: usize, count: usize) {
        self.moves.set(self.moves.get() + 1);
        self.inner.remove_records(at, count);
    }
}

/// CVE-2019-11478 (SACK slowness): a peer that acknowledges every other segment, a byte at a time
/// or backwards, costs three moves of the records for each block, and no more records than there may
/// be.
#[test]
fn sack_slowness_each_block_has_its_bound() {
    let blocks: Vec<(u32, u32)> = (0..2000u32)
        .map(|i| i.wrapping_mul(2_654_435_761) % 60_000)
        .map(|at| (at, at + 1 + at % 37))
        .chain((0..3000).rev().map(|i| (i * 20, i * 20 + 10)))
        .chain((0..6000).map(|i| (i * 10 + 3, i * 10 + 14)))
        .step_by(if cfg!(miri) { 100 } else { 1 })
        .collect();
    for one in [true, false] {
        let mut board = Scoreboard::default();
        let mut store = Counting {
            inner: Store::new(1024),
            moves: Cell::new(0),
        };
        if one {
            board.push(&mut store, record(0, 60_000, 1));
        } else {
            for i in 0..1000 {
                board.push(&mut store, record(i * 60, i * 60 + 60, u64::from(i)));
            }
        }
        for &(start, end) in &blocks {
            store.moves.set(0);
            board.sack(&mut store, range(start, end), |_| ());
            assert!(store.moves.get() <= 3, "{start} {end}");
            assert!(store.inner.all.len() <= 1024);
        }
        assert!(board.agrees(&store, S, SeqNumber(60_000)));
    }
}

/// CVE-2019-11477 (SACK panic): so many small segments merge that a 16-bit count of them overflows.
#[test]
#[cfg_attr(
    miri,
    ignore = "fewer than 65,536 show nothing, and so many take hours"
)]
fn sack_panic_a_count_of_segments_stays_at_its_limit() {
    let (mut board, mut store) = (Scoreboard::default(), Store::new(1024));
    for i in 0..80_000u32 {
        let mut small = record(i, i + 1, u64::from(i));
        small.mss = 8;
        board.push(&mut store, small);
        board.sack(&mut store, range(i, i + 1), |_| ());
    }
    assert_eq!(board.sacked().bytes, 80_000);
    assert_eq!(board.sacked().segments, 65_535);
    assert!(board.agrees(&store, S, SeqNumber(80_000)));
    board.advance(&mut store, SeqNumber(79_999), |_| ());
    board.advance(&mut store, SeqNumber(80_000), |_| ());
    assert_eq!((board.out(), board.sacked()), Default::default());
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Push(u32),
    Sack(u32, u32),
    Lose(usize),
    LoseFirst,
    Resend(u32),
    Probe,
    Advance(u32),
    ForgetLost,
    ForgetSacked,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (1u32..60).prop_map(Op::Push),
        6 => (0u32..300, 1u32..80).prop_map(|(a, n)| Op::Sack(a, n)),
        4 => (0usize..20).prop_map(Op::Lose),
        1 => Just(Op::LoseFirst),
        4 => (1u32..60).prop_map(Op::Resend),
        1 => Just(Op::Probe),
        2 => (0u32..60).prop_map(Op::Advance),
        1 => Just(Op::ForgetLost),
        1 => Just(Op::ForgetSacked),
    ]
}

/// What is outstanding, segment by segment of 10 bytes, and the number of the first.
struct Segments {
    una: SeqNumber,
    fates: VecDeque<Fate>,
}

impl Segments {
    fn of(una: SeqNumber, records: &[Record]) -> Vec<Fate> {
        assert!(records.iter().all(|r| (r.start - una) % 10 == 0));
        let each = |r: &Record| vec![r.fate; r.len() as usize / 10];
        records.iter().flat_map(each).collect()
    }

    fn count(&self, fates: &[Fate]) -> Count {
        let segments = self.fates.iter().filter(|f| fates.contains(f)).count() as u32;
        Count {
            bytes: segments * 10,
            segments,
        }
    }

    /// The segments that `range` covers whole.
    fn covered(&self, range: SeqRange) -> std::ops::Range<usize> {
        let start = range.start.since(self.una).div_ceil(10) as usize;
        let end = (range.end.since(self.una) / 10) as usize;
        start..end.max(start)
    }

    /// The first that are lost, one after the other.
    fn lost(&self) -> Option<SeqRange> {
        let start = self.fates.iter().position(|f| *f == Fate::Lost)?;
        let behind = self.fates.iter().skip(start);
        let run = behind.take_while(|f| **f == Fate::Lost).count();
        let start = self.una + start as u32 * 10;
        Some(SeqRange {
            start,
            end: start + run as u32 * 10,
        })
    }

    /// Changes those of `range` that `change` has something else for; how many.
    fn change(
        &mut self,
        range: std::ops::Range<usize>,
        change: impl Fn(Fate) -> Option<Fate>,
    ) -> usize {
        let mut changed = 0;
        for fate in self.fates.range_mut(range) {
            if let Some(new) = change(*fate) {
                *fate = new;
                changed += 1;
            }
        }
        changed
    }
}

fn lose(fate: Fate) -> Option<Fate> {
    (!matches!(fate, Fate::Sacked | Fate::Lost)).then_some(Fate::Lost)
}

proptest! {
    /// With room enough the records say of each segment what a list of them says.
    #[test]
    fn each_segment_has_its_fate(
        base in prop_oneof![Just(0u32), Just(u32::MAX - 100), Just(0x7fff_ffc0)],
        ops in proptest::collection::vec(op(), 1..80),
    ) {
        let (mut board, mut store) = (Scoreboard::default(), Store::new(4096));
        let mut model = Segments { una: SeqNumber(base), fates: VecDeque::new() };
        for (time, op) in ops.into_iter().enumerate() {
            let una = model.una;
            let all = model.fates.len();
            let nxt = una + all as u32 * 10;
            let mut again = record(0, 0, time as u64);
            match op {
                Op::Push(n) => {
                    let n = n % 8 + 1;
                    let mut new = record(nxt.0, (nxt + n * 10).0, time as u64);
                    new.segments = n as u16;
                    board.push(&mut store, new);
                    model.fates.extend(vec![Fate::Sent; n as usize]);
                }
                Op::Sack(at, len) => {
                    let end = (una + (at + len)).min(nxt);
                    let block = SeqRange { start: una + at, end };
                    if block.start.before(end) {
                        let mut seen = 0;
                        board.sack(&mut store, block, |r| seen += r.len() as usize / 10);
                        let arrive = |f| (f != Fate::Sacked).then_some(Fate::Sacked);
                        prop_assert_eq!(model.change(model.covered(block), arrive), seen);
                    }
                }
                Op::Lose(i) => {
                    let whole = store.all.get(i).map(|r| SeqRange { start: r.start, end: r.end });
                    let was = board.mark_lost(&mut store, i);
                    let lost = whole.map_or(0, |r| model.change(model.covered(r), lose));
                    prop_assert_eq!(lost > 0, was.is_some());
                }
                Op::LoseFirst => {
                    let was = board.mark_first_lost(&mut store);
                    let first = |f| lose(f).filter(|_| f != Fate::Resent);
                    let lost = model.change(0..all.min(1), first);
                    prop_assert_eq!(lost > 0, was.is_some());
                }
                Op::Resend(n) => {
                    let next = board.next_lost(&store);
                    prop_assert_eq!(next.map(|(_, run)| run), model.lost());
                    if let Some((i, mut run)) = next {
                        run.end = (run.start + (n % 8 + 1) * 10).min(run.end);
                        again.fate = Fate::Resent;
                        board.resend(&mut store, i, run.end, &again);
                        model.change(model.covered(run), |_| Some(Fate::Resent));
                    }
                }
                Op::Probe => {
                    let last = board.last_segment(&mut store);
                    let fate = model.fates.back();
                    let goes = matches!(fate, Some(Fate::Sent | Fate::Twice));
                    prop_assert_eq!(last.map(|(_, r)| r), goes.then_some(SeqRange {
                        start: nxt - 10,
                        end: nxt,
                    }));
                    if let Some((i, run)) = last {
                        again.fate = Fate::Twice;
                        board.resend(&mut store, i, run.end, &again);
                        model.change(all - 1..all, |_| Some(Fate::Twice));
                    }
                }
                Op::Advance(n) => {
                    let n = all.min(n as usize / 10);
                    model.una += n as u32 * 10;
                    model.fates.drain(..n);
                    let mut seen = 0;
                    board.advance(&mut store, model.una, |r| seen += r.len() as usize / 10);
                    prop_assert_eq!(seen, n);
                }
                Op::ForgetLost => {
                    board.forget_lost(&mut store);
                    model.change(0..all, |f| match f {
                        Fate::Lost => Some(Fate::Sent),
                        Fate::Resent => Some(Fate::Twice),
                        _ => None,
                    });
                }
                Op::ForgetSacked => {
                    board.forget_sacked(&mut store);
                    model.change(0..all, |f| (f == Fate::Sacked).then_some(Fate::Sent));
                }
            }
            prop_assert_eq!(&model.fates, &Segments::of(model.una, &store.all), "{:?}", op);
            prop_assert_eq!(board.out().bytes, model.fates.len() as u32 * 10);
            prop_assert_eq!(board.sacked(), model.count(&[Fate::Sacked]));
            prop_assert_eq!(board.lost(), model.count(&[Fate::Lost, Fate::Resent]));
            prop_assert_eq!(board.resent(), model.count(&[Fate::Resent, Fate::Twice]));
            prop_assert_eq!(board.waiting(), model.count(&[Fate::Lost]).bytes);
        }
    }

    /// Whatever happens, and however little room there is: the counts are right, nothing is
    /// forgotten but what arrived, and what is lost is found.
    #[test]
    fn counts_agree_with_records(
        most in 1usize..12,
        base in prop_oneof![Just(0u32), Just(u32::MAX - 100), Just(0x7fff_ffc0)],
        ops in proptest::collection::vec(op(), 1..80),
    ) {
        let (mut board, mut store) = (Scoreboard::default(), Store::new(most));
        let (mut una, mut nxt) = (SeqNumber(base), SeqNumber(base));
        // Bytes from the base that the peer is known to have told of.
        let mut told = std::collections::HashSet::new();
        for (time, op) in ops.into_iter().enumerate() {
            let lost = board.lost().bytes;
            match op {
                Op::Push(len) => {
                    let mut new = record(nxt.0, (nxt + len).0, time as u64);
                    new.segments = len.div_ceil(10) as u16;
                    board.push(&mut store, new);
                    nxt += len;
                }
                Op::Sack(at, len) => {
                    let end = (una + (at + len)).min(nxt);
                    let block = SeqRange { start: una + at, end };
                    if block.start.before(end) {
                        board.sack(&mut store, block, |r| {
                            for i in 0..r.len() {
                                told.insert((r.start + i).0);
                            }
                        });
                    }
                }
                Op::Lose(i) => {
                    board.mark_lost(&mut store, i);
                    prop_assert!(board.lost().bytes >= lost);
                }
                Op::LoseFirst => {
                    board.mark_first_lost(&mut store);
                }
                Op::Resend(len) => {
                    if let Some((i, run)) = board.next_lost(&store) {
                        let end = (run.start + len).min(run.end);
                        let mut again = record(0, 0, time as u64);
                        again.fate = Fate::Resent;
                        again.resent = true;
                        board.resend(&mut store, i, end, &again);
                        let next = board.next_lost(&store).map(|n| n.1.start);
                        prop_assert_ne!(next, Some(run.start), "it is sent for ever");
                    }
                }
                Op::Probe => {
                    if let Some((i, run)) = board.last_segment(&mut store) {
                        prop_assert_eq!(run.end, nxt);
                        let again = record(0, 0, time as u64);
                        board.resend(&mut store, i, run.end, &again);
                    }
                }
                Op::Advance(n) => {
                    una = (una + n).min(nxt);
                    board.advance(&mut store, una, |_| ());
                }
                Op::ForgetLost => board.forget_lost(&mut store),
                Op::ForgetSacked => board.forget_sacked(&mut store),
            }
            prop_assert!(board.agrees(&store, una, nxt), "{:?} {:?}", op, store.all);
            prop_assert_eq!(board.next_lost(&store).is_some(), board.waiting() > 0);
            for r in store.all.iter().filter(|r| r.fate == Fate::Sacked) {
                for i in 0..r.len() {
                    prop_assert!(told.contains(&(r.start + i).0), "never told of");
                }
            }
        }
    }
}
