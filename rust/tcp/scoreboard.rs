// SPDX-License-Identifier: GPL-2.0

//! What the peer has selectively acknowledged (RFC 2018, 6675), in bounded space.
//!
//! Sixteen disjoint ranges are remembered; what would be a seventeenth is forgotten, and thereby
//! taken for not received: it costs a needless retransmission, never correctness. Every operation
//! looks at each range at most a few times, whatever the peer sends.

use super::options::SeqRange;
use super::seq::SeqNumber;

const CAPACITY: usize = 16;

/// Segments' worth of later text that must have arrived before earlier text is taken for lost
/// (RFC 5681 3.2, RFC 6675 2).
pub const DUP_THRESH: u32 = 3;

/// The ranges, ascending, disjoint and not touching.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Scoreboard {
    ranges: [SeqRange; CAPACITY],
    count: u8,
}

impl Scoreboard {
    /// The ranges, ascending.
    pub fn ranges(&self) -> &[SeqRange] {
        self.ranges.get(..usize::from(self.count)).unwrap_or(&[])
    }

    /// Whether nothing is selectively acknowledged.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// Adds a range; returns whether anything in it is new.
    pub fn add(&mut self, range: SeqRange) -> bool {
        if !range.start.before(range.end) || self.covers(range) {
            return false;
        }
        let mut merged = range;
        let mut kept = 0;
        let mut at = 0;
        for i in 0..usize::from(self.count) {
            let Some(&old) = self.ranges.get(i) else {
                break;
            };
            if old.end.before(merged.start) {
                at = kept + 1;
            } else if !merged.end.before(old.start) {
                merged.start = merged.start.min(old.start);
                merged.end = merged.end.max(old.end);
                continue;
            }
            if let Some(slot) = self.ranges.get_mut(kept) {
                *slot = old;
            }
            kept += 1;
        }
        self.count = kept as u8;
        self.insert(at, merged)
    }

    fn insert(&mut self, at: usize, range: SeqRange) -> bool {
        let count = usize::from(self.count);
        if count >= CAPACITY {
            return false;
        }
        self.ranges
            .copy_within(at.min(count)..count, at.min(count) + 1);
        if let Some(slot) = self.ranges.get_mut(at.min(count)) {
            *slot = range;
        }
        self.count += 1;
        true
    }

    fn covers(&self, range: SeqRange) -> bool {
        self.ranges()
            .iter()
            .any(|r| r.start.at_or_before(range.start) && r.end.at_or_after(range.end))
    }

    /// Everything before `una` is cumulatively acknowledged: forgets it here.
    pub fn advance(&mut self, una: SeqNumber) {
        let mut kept = 0;
        for i in 0..usize::from(self.count) {
            let Some(&old) = self.ranges.get(i) else {
                break;
            };
            if old.end.at_or_before(una) {
                continue;
            }
            if let Some(slot) = self.ranges.get_mut(kept) {
                *slot = SeqRange {
                    start: old.start.max(una),
                    end: old.end,
                };
            }
            kept += 1;
        }
        self.count = kept as u8;
    }

    /// Bytes selectively acknowledged.
    pub fn sacked(&self) -> u32 {
        self.ranges()
            .iter()
            .fold(0u32, |n, r| n.wrapping_add(r.end.since(r.start)))
    }

    /// Bytes in `[start, end)` that are not.
    pub fn unsacked(&self, start: SeqNumber, end: SeqNumber) -> u32 {
        let covered = self.ranges().iter().fold(0u32, |n, r| {
            n.wrapping_add(r.end.min(end).since(r.start.max(start)))
        });
        end.since(start).saturating_sub(covered)
    }

    /// The first range at or behind `from` and before `limit` that is not acknowledged.
    pub fn next_hole(&self, from: SeqNumber, limit: SeqNumber) -> Option<SeqRange> {
        let mut start = from;
        for r in self.ranges() {
            if start.before(r.start) {
                break;
            }
            start = start.max(r.end);
        }
        let next = self.ranges().iter().find(|r| r.start.after(start));
        let end = next.map_or(limit, |r| r.start.min(limit));
        start.before(end).then_some(SeqRange { start, end })
    }

    /// Where loss ends: text before it that is not acknowledged has three segments' worth of
    /// acknowledged text behind it (RFC 6675's IsLost).
    pub fn lost_before(&self, mss: u32) -> Option<SeqNumber> {
        let needed = (DUP_THRESH - 1).saturating_mul(mss);
        let mut above = 0u32;
        for r in self.ranges().iter().rev() {
            above = above.saturating_add(r.end.since(r.start));
            if above > needed {
                return Some(r.start);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u32, end: u32) -> SeqRange {
        SeqRange {
            start: SeqNumber(start),
            end: SeqNumber(end),
        }
    }

    fn board(ranges: &[(u32, u32)]) -> Scoreboard {
        let mut board = Scoreboard::default();
        for &(start, end) in ranges {
            board.add(range(start, end));
        }
        board
    }

    #[test]
    fn ranges_merge_in_any_order() {
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [2, 0, 1]] {
            let parts = [(10, 20), (20, 30), (40, 50)];
            let mut b = Scoreboard::default();
            for i in order {
                let (s, e) = parts[i];
                assert!(b.add(range(s, e)));
            }
            assert_eq!(b.ranges(), [range(10, 30), range(40, 50)]);
        }
        let mut b = board(&[(10, 20), (30, 40), (50, 60)]);
        assert!(b.add(range(15, 55)));
        assert_eq!(b.ranges(), [range(10, 60)]);
        assert!(!b.add(range(20, 30)) && !b.add(range(30, 30)) && !b.add(range(5, 1)));
    }

    #[test]
    fn holes_are_found_in_order() {
        let b = board(&[(10, 20), (30, 40)]);
        let hole = |from| b.next_hole(SeqNumber(from), SeqNumber(50));
        assert_eq!(hole(0), Some(range(0, 10)));
        assert_eq!(hole(10), Some(range(20, 30)));
        assert_eq!(hole(25), Some(range(25, 30)));
        assert_eq!(hole(35), Some(range(40, 50)));
        assert_eq!(hole(50), None);
        assert_eq!(b.next_hole(SeqNumber(0), SeqNumber(5)), Some(range(0, 5)));
        assert_eq!(b.next_hole(SeqNumber(10), SeqNumber(20)), None);
        assert_eq!(b.unsacked(SeqNumber(0), SeqNumber(50)), 30);
        assert_eq!(b.unsacked(SeqNumber(15), SeqNumber(35)), 10);
    }

    #[test]
    fn loss_needs_three_segments_behind() {
        assert_eq!(board(&[(10, 30)]).lost_before(10), None);
        assert_eq!(board(&[(10, 31)]).lost_before(10), Some(SeqNumber(10)));
        assert_eq!(
            board(&[(10, 20), (30, 40), (50, 60)]).lost_before(10),
            Some(SeqNumber(10))
        );
        assert_eq!(
            board(&[(10, 20), (30, 60)]).lost_before(10),
            Some(SeqNumber(30))
        );
    }

    #[test]
    fn it_holds_sixteen_ranges_and_forgets_more() {
        let mut b = Scoreboard::default();
        for i in 0..16 {
            assert!(b.add(range(i * 10, i * 10 + 5)));
        }
        assert!(!b.add(range(1000, 1005)));
        assert!(b.add(range(5, 10)));
        assert_eq!(b.ranges().len(), 15);
        b.advance(SeqNumber(52));
        assert_eq!(b.ranges().first(), Some(&range(52, 55)));
        assert_eq!(b.sacked(), 3 + 10 * 5);
    }

    /// Against a set of bytes, over the wrap.
    #[test]
    fn it_agrees_with_a_set_of_bytes() {
        let base = 0xffff_ff80u32;
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        };
        for _ in 0..2000 {
            let mut b = Scoreboard::default();
            let mut set = [false; 256];
            for _ in 0..10 {
                let (s, l) = (next() % 200, 1 + next() % 50);
                b.add(range(base.wrapping_add(s), base.wrapping_add(s + l)));
                set[s as usize..(s + l) as usize].fill(true);
            }
            let una = next() % 256;
            b.advance(SeqNumber(base.wrapping_add(una)));
            set[..una as usize].fill(false);
            assert_eq!(b.sacked() as usize, set.iter().filter(|x| **x).count());
        }
    }
}
