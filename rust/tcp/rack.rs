// SPDX-License-Identifier: GPL-2.0

//! RACK (RFC 8985): what was sent before something that has arrived, and does not arrive within a
//! reordering window of it, is lost.

use super::pack::packed;
use super::records::{Fate, Record, RecordStore};
use super::seq::SeqNumber;
use super::time::{Duration, Instant};

/// Segments of later text that must have arrived before earlier text is taken for lost
/// (RFC 5681 3.2), until the path is seen to reorder more.
#[cfg(test)]
const DUP_THRESH: u16 = 3;
/// Recoveries that a wider reordering window outlives (RFC 8985 6.2, step 4).
const PERSIST: u8 = 16;

/// What RACK remembers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rack {
    /// When the latest sent of what has arrived was sent, and its end.
    xmit: Instant,
    end: SeqNumber,
    /// Round-trip time of what arrived last, µs.
    rtt_us: u32,
    /// Width of the reordering window in quarters of the least round-trip time.
    steps: u8,
    /// Recoveries that the width still has to outlive.
    persist: u8,
    /// Something arrived since losses were last looked for.
    advanced: bool,
    /// How often reordering was seen.
    reordered: u32,
    /// A duplicate was reported that reordering may have brought about.
    dsack: bool,
    /// How far apart, in segments, text was seen to be reordered.
    reordering: u16,
    /// The connection's count of delivered bytes when the width last changed.
    changed_at: u32,
}

packed!(struct Rack {
    xmit, end, rtt_us, steps, persist, advanced, reordered, dsack, reordering, changed_at,
});

impl Rack {
    /// With the distance of reordering that is assumed at first.
    pub(super) fn new(reordering: u16) -> Self {
        Self {
            xmit: Instant::default(),
            end: SeqNumber::default(),
            rtt_us: 0,
            steps: 1,
            persist: 0,
            advanced: false,
            reordered: 0,
            dsack: false,
            reordering,
            changed_at: 0,
        }
    }
}

/// Whether what was sent at `at` and ends with `end` was sent after the other.
pub(super) fn sent_after(
    at: Instant,
    end: SeqNumber,
    other: Instant,
    other_end: SeqNumber,
) -> bool {
    at > other || (at == other && end.after(other_end))
}

/// What has to be known of the connection to judge a loss.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judge {
    /// A recovery is under way.
    pub(super) recovering: bool,
    /// The number of segments that arrived tells too.
    pub(super) by_number: bool,
    /// Segments selectively acknowledged.
    pub(super) sacked: u32,
    pub(super) min_rtt: Duration,
    pub(super) srtt: Duration,
}

impl Rack {
    /// Step 3: `record` has arrived.
    pub(super) fn arrived(&mut self, record: &Record, min_rtt: Duration, now: Instant) {
        let rtt = now.since(record.sent);
        if record.resent && rtt < min_rtt {
            // Too early for the repetition: it was the original that arrived.
            return;
        }
        self.advanced = true;
        self.rtt_us = u32::try_from(rtt.us()).unwrap_or(u32::MAX);
        if sent_after(record.sent, record.end, self.xmit, self.end) {
            self.xmit = record.sent;
            self.end = record.end;
        }
    }

    /// The next look for losses is not to be left out.
    pub(super) fn look_again(&mut self) {
        self.advanced = true;
    }

    /// Something arrived since losses were last looked for.
    pub(super) fn take_advanced(&mut self) -> bool {
        core::mem::take(&mut self.advanced)
    }

    /// Text was seen to arrive in another order than it was sent in, `distance` bytes apart.
    /// `most` segments are remembered.
    pub(super) fn reordered(&mut self, distance: u32, mss: u32, most: u16) {
        let segments = distance.div_ceil(mss.max(1));
        let segments = u16::try_from(segments).unwrap_or(u16::MAX);
        self.reordering = self.reordering.max(segments.min(most));
        self.reordered = self.reordered.saturating_add(1);
    }

    /// As [`Rack::reordered`], where only duplicate acknowledgments tell: more of them came than
    /// the `segments` outstanding explain.
    pub(super) fn reordered_segments(&mut self, segments: u32, most: u16) {
        self.reordered(segments, 1, most);
    }

    /// A timeout although much had arrived: the distance was too large an estimate.
    pub(super) fn doubt_reordering(&mut self, initial: u16) {
        self.reordering = self.reordering.min(initial);
    }

    /// How far apart, in segments, text may be reordered.
    pub fn reordering(&self) -> u16 {
        self.reordering
    }

    /// How often reordering was seen.
    pub fn times_reordered(&self) -> u32 {
        self.reordered
    }

    /// The peer reported a duplicate of what was not a loss probe.
    pub(super) fn duplicate_reported(&mut self) {
        self.dsack = self.dsack || self.reordered > 0;
    }

    /// Step 4: the window grows with reported duplicates, once in a round trip: what is now
    /// acknowledged was sent at the count `prior` of delivered bytes, which is `delivered` now.
    pub(super) fn adapt(&mut self, prior: u32, delivered: u32) {
        if self.steps > 1 {
            let changed_at = SeqNumber(self.changed_at);
            if SeqNumber(prior).before(changed_at) {
                self.dsack = false;
            }
            // Long past it must not come to be ahead, on the circle of numbers.
            self.changed_at = changed_at.max(SeqNumber(delivered) - (1 << 30)).0;
        }
        if self.dsack {
            self.dsack = false;
            self.steps = self.steps.saturating_add(1);
            self.persist = PERSIST;
            self.changed_at = delivered;
        } else if self.persist == 0 {
            self.steps = 1;
        }
    }

    /// Whether duplicates were reported of late, up to [`PERSIST`] recoveries ago.
    pub(super) fn saw_needless_repetitions(&self) -> bool {
        self.steps > 1
    }

    /// A recovery has ended; `undone` if it was found needless.
    pub(super) fn recovered(&mut self, undone: bool) {
        self.persist = if undone {
            self.persist.saturating_add(1).min(PERSIST)
        } else {
            self.persist.saturating_sub(1)
        };
    }

    /// The reordering window.
    fn window(&self, judge: &Judge) -> Duration {
        let enough = judge.by_number && judge.sacked >= u32::from(self.reordering);
        if self.reordered == 0 && (judge.recovering || enough) {
            return Duration::ZERO;
        }
        let wide = (judge.min_rtt.us() / 4).saturating_mul(u64::from(self.steps));
        Duration::from_us(wide.min(judge.srtt.us()))
    }

    /// How long it still is until `record` is lost if it does not arrive.
    fn remaining(&self, record: &Record, window: Duration, now: Instant) -> Duration {
        let rtt = Duration::from_us(u64::from(self.rtt_us));
        (record.sent + rtt + window).since(now)
    }

    /// Whether `record` could still be on its way when the retransmission timer expires.
    pub(super) fn may_arrive(&self, record: &Record, now: Instant) -> bool {
        self.remaining(record, Duration::ZERO, now) > Duration::ZERO
    }

    /// Step 5: calls `lost(store, i)` for each record that is lost, in order; returns how long to
    /// wait for those that may yet be.
    pub(super) fn detect<S: RecordStore>(
        &self,
        store: &mut S,
        judge: &Judge,
        now: Instant,
        mut lost: impl FnMut(&mut S, usize),
    ) -> Option<Duration> {
        let window = self.window(judge);
        let mut longest = Duration::ZERO;
        let mut i = 0;
        while let Some(&record) = store.records().get(i) {
            let at = i;
            i = i.saturating_add(1);
            if matches!(record.fate, Fate::Sacked | Fate::Lost) {
                continue;
            }
            if !sent_after(self.xmit, self.end, record.sent, record.end) {
                if record.resent {
                    continue;
                }
                // All that follows was sent later still.
                break;
            }
            let remaining = self.remaining(&record, window, now);
            if remaining == Duration::ZERO {
                lost(store, at);
            } else {
                longest = longest.max(remaining);
            }
        }
        (longest > Duration::ZERO).then_some(longest)
    }
}

#[cfg(test)]
mod tests {
    use super::super::records::testing::{record, Store};
    use super::*;

    fn at(us: u64) -> Instant {
        Instant::from_us(us)
    }

    fn us(us: u64) -> Duration {
        Duration::from_us(us)
    }

    const CALM: Judge = Judge {
        recovering: false,
        by_number: true,
        sacked: 1,
        min_rtt: Duration::from_us(400),
        srtt: Duration::from_us(1000),
    };

    /// Records of ten bytes, sent at the times given.
    fn sent(times: &[u64]) -> Store {
        let mut store = Store::new(99);
        for (i, us) in times.iter().enumerate() {
            let start = i as u32 * 10;
            store.all.push(record(start, start + 10, *us));
        }
        store
    }

    /// The indices that are lost, and the time to wait.
    fn lost(rack: &Rack, store: &mut Store, judge: &Judge, now: u64) -> (Vec<usize>, Option<u64>) {
        let mut all = Vec::new();
        let wait = rack.detect(store, judge, at(now), |_, i| all.push(i));
        (all, wait.map(|d| d.us()))
    }

    #[test]
    fn what_was_sent_before_what_arrived_is_lost_after_the_window() {
        let mut store = sent(&[0, 10, 20, 30]);
        let mut rack = Rack::new(DUP_THRESH);
        rack.arrived(&store.all[2], CALM.min_rtt, at(420));
        store.all[2].fate = Fate::Sacked;
        // The round trip took 400, the window is a quarter of the least: 100.
        assert_eq!(lost(&rack, &mut store, &CALM, 420), (vec![], Some(90)));
        assert_eq!(lost(&rack, &mut store, &CALM, 499), (vec![], Some(11)));
        assert_eq!(lost(&rack, &mut store, &CALM, 500), (vec![0], Some(10)));
        assert_eq!(lost(&rack, &mut store, &CALM, 510), (vec![0, 1], None));
        assert_eq!(lost(&rack, &mut store, &CALM, 9999), (vec![0, 1], None));
    }

    #[test]
    fn nothing_is_lost_before_anything_arrived() {
        let mut store = sent(&[5, 10]);
        let found = lost(&Rack::new(DUP_THRESH), &mut store, &CALM, 10_000);
        assert_eq!(found, (vec![], None));
    }

    #[test]
    fn without_reordering_three_segments_or_a_recovery_leave_no_window() {
        for judge in [
            Judge { sacked: 3, ..CALM },
            Judge {
                recovering: true,
                ..CALM
            },
        ] {
            let mut store = sent(&[0, 0, 0, 0]);
            let mut rack = Rack::new(DUP_THRESH);
            rack.arrived(&store.all[3], CALM.min_rtt, at(400));
            store.all[3].fate = Fate::Sacked;
            assert_eq!(lost(&rack, &mut store, &judge, 400).0, [0, 1, 2]);
            rack.reordered(10, 10, 300);
            assert_eq!(
                lost(&rack, &mut store, &judge, 400),
                (vec![], Some(100)),
                "a path that reorders has its window"
            );
        }
    }

    #[test]
    fn the_number_of_segments_may_be_told_not_to_matter() {
        let mut store = sent(&[0, 0, 0, 0]);
        let mut rack = Rack::new(DUP_THRESH);
        rack.arrived(&store.all[3], CALM.min_rtt, at(400));
        store.all[3].fate = Fate::Sacked;
        let judge = Judge {
            by_number: false,
            sacked: 3,
            ..CALM
        };
        assert_eq!(lost(&rack, &mut store, &judge, 400), (vec![], Some(100)));
    }

    #[test]
    fn a_repetition_is_judged_by_its_own_time() {
        let mut store = sent(&[0, 10, 20, 30]);
        store.all[0].sent = at(500);
        store.all[0].resent = true;
        store.all[0].fate = Fate::Resent;
        let mut rack = Rack::new(DUP_THRESH);
        rack.arrived(&store.all[3], CALM.min_rtt, at(600));
        store.all[3].fate = Fate::Sacked;
        let judge = Judge {
            recovering: true,
            ..CALM
        };
        assert_eq!(lost(&rack, &mut store, &judge, 600).0, [1, 2]);
        // Something sent later than the repetition arrives, and the repetition has not.
        rack.arrived(&record(40, 50, 550), CALM.min_rtt, at(950));
        assert_eq!(lost(&rack, &mut store, &judge, 950).0, [0, 1, 2]);
    }

    #[test]
    fn a_repetition_that_arrives_too_soon_is_the_original() {
        let mut rack = Rack::new(DUP_THRESH);
        let mut early = record(0, 10, 500);
        early.resent = true;
        rack.arrived(&early, us(400), at(600));
        assert!(!rack.take_advanced());
        rack.arrived(&early, us(400), at(900));
        assert!(rack.take_advanced());
        assert!(!rack.take_advanced());
    }

    #[test]
    fn of_two_sent_at_once_the_later_number_is_later() {
        let (one, two) = (SeqNumber(10), SeqNumber(20));
        assert!(sent_after(at(5), two, at(5), one));
        assert!(!sent_after(at(5), one, at(5), two));
        assert!(!sent_after(at(5), one, at(5), one));
        assert!(sent_after(at(6), one, at(5), two));
    }

    #[test]
    fn the_window_grows_with_duplicates_once_in_a_round_trip_and_shrinks_after_sixteen() {
        let mut rack = Rack::new(DUP_THRESH);
        rack.duplicate_reported();
        rack.adapt(0, 100);
        assert_eq!(rack.steps, 1, "without reordering it was something else");
        rack.reordered(10, 10, 300);
        rack.duplicate_reported();
        rack.adapt(0, 100);
        assert_eq!(rack.steps, 2);
        rack.duplicate_reported();
        rack.adapt(99, 120);
        assert_eq!(rack.steps, 2, "in the same round trip");
        rack.duplicate_reported();
        rack.adapt(100, 200);
        assert_eq!(rack.steps, 3);
        for _ in 0..16 {
            rack.adapt(300, 300);
            assert_eq!(rack.steps, 3);
            rack.recovered(false);
        }
        rack.adapt(300, 300);
        assert_eq!(rack.steps, 1);
    }

    #[test]
    fn a_needless_recovery_prolongs_the_wide_window() {
        let mut rack = Rack {
            persist: 16,
            steps: 4,
            ..Rack::new(DUP_THRESH)
        };
        rack.recovered(true);
        assert_eq!(rack.persist, 16);
        rack.recovered(false);
        rack.recovered(true);
        assert_eq!(rack.persist, 16);
    }

    #[test]
    fn the_window_is_never_wider_than_the_round_trip() {
        let rack = Rack {
            steps: 255,
            reordered: 1,
            ..Rack::new(DUP_THRESH)
        };
        assert_eq!(rack.window(&CALM), CALM.srtt);
    }

    #[test]
    fn the_distance_has_a_limit() {
        let mut rack = Rack::new(DUP_THRESH);
        rack.reordered(25, 10, 300);
        assert_eq!(rack.reordering(), 3);
        rack.reordered(95, 10, 300);
        assert_eq!(rack.reordering(), 10);
        rack.reordered(u32::MAX, 1, 300);
        assert_eq!(rack.reordering(), 300);
        rack.doubt_reordering(3);
        assert_eq!(rack.reordering(), 3);
    }

    #[test]
    fn the_walk_ends_at_what_was_sent_last() {
        let mut store = sent(&[0; 50]);
        for (i, r) in store.all.iter_mut().enumerate() {
            r.sent = at(i as u64);
        }
        let mut rack = Rack::new(DUP_THRESH);
        rack.arrived(&store.all[1], CALM.min_rtt, at(400));
        store.all[1].fate = Fate::Sacked;
        // Were it looked at, it would be found lost.
        store.all[40].sent = at(0);
        assert_eq!(lost(&rack, &mut store, &CALM, 9999).0, [0]);
    }

    /// Bytes are counted on a circle.
    #[test]
    fn the_window_grows_however_much_was_delivered() {
        let mut rack = Rack::new(DUP_THRESH);
        rack.reordered(10, 10, 300);
        let mut delivered = 1u32 << 31;
        for steps in 2..6 {
            for _ in 0..3 {
                delivered = delivered.wrapping_add(1 << 29);
                rack.adapt(delivered.wrapping_sub(5000), delivered);
            }
            rack.duplicate_reported();
            rack.adapt(delivered.wrapping_sub(5000), delivered);
            assert_eq!(rack.steps, steps);
            // The same round trip.
            rack.duplicate_reported();
            rack.adapt(delivered.wrapping_sub(1), delivered.wrapping_add(10));
            assert_eq!(rack.steps, steps);
        }
    }
}
