// SPDX-License-Identifier: GPL-2.0

//! Loss detection by number (RFC 6675): what was not lost before is when as many segments of later
//! text as DupThresh have arrived. Time does not matter, so that it need not be known which copy of
//! a segment arrived; a repetition is not found to be lost.
//!
//! Segments are counted, as in Linux before it had RACK, whether they are contiguous or not: that
//! holds wherever IsLost does, and where three duplicate acknowledgments begin a recovery
//! (RFC 6675 5). DupThresh is as far as what was sent once was seen to be late. What NextSeg's rules 3
//! and 4 repeat without a sign of loss, so that the end of a flight needs no timeout, RACK's timer and
//! the tail loss probe find.

use super::records::{Fate, RecordStore};

/// Calls `lost(store, i)` for each record that is lost, in order. `sacked`: segments selectively
/// acknowledged; `dup_thresh`: how many of them must be later ones. Looks at each record once.
pub(super) fn detect<S: RecordStore>(
    store: &mut S,
    sacked: u32,
    dup_thresh: u16,
    mut lost: impl FnMut(&mut S, usize),
) {
    let mut above = sacked;
    let mut i = 0usize;
    while let Some(record) = store.records().get(i) {
        if above < u32::from(dup_thresh) {
            return;
        }
        let at = i;
        i = i.saturating_add(1);
        match record.fate {
            Fate::Sacked => above = above.saturating_sub(record.segments()),
            Fate::Sent => lost(store, at),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::records::testing::{record, Store};
    use super::super::records::Record;
    use super::*;

    /// Segments of ten bytes: `.` is on its way, `s` has arrived, `r` was sent again, `p` too, as a
    /// probe, `l` is lost.
    fn flight(fates: &str) -> Store {
        let mut store = Store::new(99);
        for (i, fate) in fates.chars().enumerate() {
            let start = i as u32 * 10;
            store.all.push(Record {
                fate: match fate {
                    's' => Fate::Sacked,
                    'r' => Fate::Resent,
                    'l' => Fate::Lost,
                    _ => Fate::Sent,
                },
                resent: matches!(fate, 'r' | 'p'),
                ..record(start, start + 10, 0)
            });
        }
        store
    }

    fn lost(store: &mut Store, dup_thresh: u16) -> Vec<usize> {
        let sacked = |r: &&Record| r.fate == Fate::Sacked;
        let sacked = store.all.iter().filter(sacked).map(Record::segments).sum();
        let mut all = Vec::new();
        detect(store, sacked, dup_thresh, |_, i| all.push(i));
        all
    }

    #[test]
    fn dup_thresh_later_segments_show_a_loss() {
        for (fates, all) in [
            ("", vec![]),
            ("....", vec![]),
            (".ss", vec![]),
            (".sss", vec![0]),
            (".s.s.s", vec![0]),
            ("..sss.", vec![0, 1]),
            (".s.sss.s", vec![0, 2]),
            (".s.ss.s", vec![0, 2]),
        ] {
            assert_eq!(lost(&mut flight(fates), 3), all, "{fates}");
        }
    }

    #[test]
    fn what_was_lost_is_left_alone_but_not_a_probe() {
        assert_eq!(lost(&mut flight("rpl.sss"), 3), [1, 3]);
    }

    #[test]
    fn a_path_that_reorders_has_a_higher_threshold() {
        assert_eq!(lost(&mut flight(".ssss"), 5), [0usize; 0]);
        assert_eq!(lost(&mut flight(".sssss"), 5), [0]);
    }

    #[test]
    fn a_run_counts_for_its_segments() {
        let mut store = flight(".s.");
        store.all[1].segments = 3;
        assert_eq!(lost(&mut store, 3), [0]);
    }
}
