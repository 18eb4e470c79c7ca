// SPDX-License-Identifier: GPL-2.0

//! Whether the path is known to carry the congestion window (RFC 7661): whether half of it or more
//! was acknowledged within a round trip of late. A window of which less was used is kept for a
//! while, but a loss shows then that it was too wide, and by how much.

use crate::tcp::pack::packed;
use crate::tcp::seq::SeqNumber;
use crate::tcp::time::{Duration, Instant};

/// For how long a window is kept that is not validated: the RFC's most (its NVP).
pub const NON_VALIDATED_PERIOD: Duration = Duration::from_secs(300);

/// Least time for which a sample counts.
const SAMPLING_PERIOD: Duration = Duration::from_secs(1);

/// Times are counted by 1024 µs, for which nothing has to be divided, and wrap.
const fn ticks(us: u64) -> u32 {
    (us >> 10) as u32
}

/// RFC 7661 4.3.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Validated, as there is no sample: at the start, and after congestion.
    Undefined,
    /// Validated by what was acknowledged.
    Validated,
    /// Less than half of the window was acknowledged within a round trip.
    NonValidated,
    /// Such a window is being reduced.
    Reduced,
}

packed!(enum Phase { 0 => Undefined, 1 => Validated, 2 => NonValidated, 3 => Reduced });

/// The RFC's pipeACK, and what is known by it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PipeAck {
    phase: Phase,
    /// A round trip is measured from SND.UNA at its begin until all is acknowledged that was
    /// outstanding then or might be; equal between two.
    begin: SeqNumber,
    edge: SeqNumber,
    /// The largest sample in the half of a sampling period that began at `since`, and in the half
    /// before, bytes. In a reduction the first is what was used, less what was lost.
    latest: u32,
    earlier: u32,
    since: u32,
    /// When the window was last known to be carried, while it is not.
    entered: u32,
    /// Bytes by which the window is wider than twice what was used when it last grew.
    excess: u32,
}

packed!(struct PipeAck { phase, begin, edge, latest, earlier, since, entered, excess });

impl PipeAck {
    /// Nothing was sent yet, or what was known is void.
    pub fn new(snd_una: SeqNumber) -> Self {
        Self {
            phase: Phase::Undefined,
            begin: snd_una,
            edge: snd_una,
            latest: 0,
            earlier: 0,
            since: 0,
            entered: 0,
            excess: 0,
        }
    }

    /// Whether the window may grow without being full, and is reduced as usual.
    pub fn is_validated(&self) -> bool {
        self.phase != Phase::NonValidated
    }

    /// Most bytes that were acknowledged in a round trip of late.
    fn bytes(&self) -> u32 {
        self.latest.max(self.earlier)
    }

    /// Text is outstanding from SND.UNA on, up to `edge` by what is sent or about to be: a round trip
    /// begins, if none is being measured.
    #[inline]
    pub fn sent(&mut self, snd_una: SeqNumber, edge: SeqNumber) {
        if self.begin == self.edge {
            self.begin = snd_una;
            self.edge = edge;
        }
    }

    /// A window that was not full has grown by an acknowledgment, as in Linux by all of it: by `bytes`
    /// more than to twice what was used. It would not be validated then.
    pub fn grew_beyond(&mut self, bytes: u32) {
        self.excess = bytes;
    }

    /// Those bytes, once: they are to be given up, if what is sent next does not need them.
    #[inline]
    pub fn take_excess(&mut self) -> u32 {
        core::mem::take(&mut self.excess)
    }

    /// Nothing is outstanding: samples that are too old count no more, though nothing has come that
    /// says so. `srtt` is zero while it is unknown.
    pub fn rested(&mut self, srtt: Duration, now: Instant) {
        let period = sampling_period(srtt);
        let measured = matches!(self.phase, Phase::Validated | Phase::NonValidated);
        if !measured || ticks(now.us()).wrapping_sub(self.since) < period {
            return;
        }
        (self.latest, self.earlier) = (0, 0);
        if self.phase == Phase::Validated {
            self.phase = Phase::NonValidated;
            self.entered = self.since.wrapping_add(period);
        }
    }

    /// SND.UNA has moved, outside of any recovery, and the window is `cwnd` bytes now.
    #[inline]
    pub fn acknowledged(
        &mut self,
        (snd_una, snd_nxt): (SeqNumber, SeqNumber),
        cwnd: u32,
        srtt: Duration,
        now: Instant,
    ) {
        if snd_una.before(self.edge) && snd_una != snd_nxt {
            return;
        }
        let measured = self.begin != self.edge;
        let sample = snd_una.since(self.begin);
        self.begin = snd_una;
        self.edge = snd_una;
        if measured {
            self.take(sample, sampling_period(srtt), now);
            self.judge(cwnd.saturating_sub(self.excess), now);
        }
    }

    /// A sample, for which there are two halves of a period: none counts for longer than the whole.
    fn take(&mut self, sample: u32, period: u32, now: Instant) {
        let now = ticks(now.us());
        let age = now.wrapping_sub(self.since);
        if self.phase == Phase::Undefined || age >= period / 2 {
            self.earlier = if age < period { self.latest } else { 0 };
            self.latest = 0;
            self.since = now;
        }
        self.latest = self.latest.max(sample);
    }

    /// RFC 7661 4.3. Half of the window is enough to end the phase too: in slow start no more than
    /// that was acknowledged of a window that is always full.
    fn judge(&mut self, cwnd: u32, now: Instant) {
        if self.bytes() >= cwnd.div_ceil(2) {
            self.phase = Phase::Validated;
        } else if self.phase != Phase::NonValidated {
            self.phase = Phase::NonValidated;
            self.entered = ticks(now.us());
        }
    }

    /// How many whole non-validated periods have passed since this was last asked (RFC 7661 4.4.3,
    /// 4.5.2).
    #[inline]
    pub fn take_periods(&mut self, now: Instant) -> u32 {
        const PERIOD: u32 = ticks(NON_VALIDATED_PERIOD.us());
        if self.phase != Phase::NonValidated {
            return 0;
        }
        let now = ticks(now.us());
        let elapsed = now.wrapping_sub(self.entered);
        if elapsed < PERIOD {
            return 0;
        }
        self.entered = now.wrapping_sub(elapsed % PERIOD);
        elapsed / PERIOD
    }

    /// Congestion is found with `flight` bytes outstanding, of which `lost` are known to be lost.
    /// Returns how much of the window was used, if it was not validated (RFC 7661 4.4.1).
    pub fn congested(&mut self, flight: u32, lost: u32) -> Option<u32> {
        self.excess = 0;
        if self.phase != Phase::NonValidated {
            return None;
        }
        let used = self.bytes().max(flight);
        self.phase = Phase::Reduced;
        self.latest = used.saturating_sub(lost);
        Some(used)
    }

    /// `bytes` more are found lost that had been sent once: at the end, when all of it was sent again,
    /// that is the RFC's R.
    pub fn lost(&mut self, bytes: u32) {
        if self.phase == Phase::Reduced {
            self.latest = self.latest.saturating_sub(bytes);
        }
    }

    /// A repair is over, during which nothing was to be measured. If it has cut a reduction short,
    /// nothing is known of the path any more.
    pub fn repaired(&mut self, snd_una: SeqNumber) {
        if self.phase == Phase::Reduced {
            *self = Self::new(snd_una);
        }
        self.begin = snd_una;
        self.edge = snd_una;
    }

    /// A reduction was a mistake: the window is as wide as before, and as little validated.
    pub fn withdrawn(&mut self, snd_una: SeqNumber) {
        if self.phase == Phase::Reduced {
            self.phase = Phase::NonValidated;
        }
        self.begin = snd_una;
        self.edge = snd_una;
    }

    /// A reduction ends. Returns the most bytes that the window may have now, if it was not validated
    /// before; nothing is known of the path any more.
    pub fn recovered(&mut self, snd_una: SeqNumber) -> Option<u32> {
        let most = (self.phase == Phase::Reduced).then_some(self.latest / 2);
        *self = Self::new(snd_una);
        most
    }
}

/// The time for which a sample counts, ticks (RFC 7661 4.2).
fn sampling_period(srtt: Duration) -> u32 {
    let three = u32::try_from(srtt.us().saturating_mul(3) >> 10).unwrap_or(u32::MAX);
    three.max(const { ticks(SAMPLING_PERIOD.us()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u32 = 1000;
    const SRTT: Duration = Duration::from_ms(100);
    const CWND: u32 = 20 * MSS;

    fn at(ms: u64) -> Instant {
        Instant::from_us(ms * 1000)
    }

    fn seqs(una: u32, nxt: u32) -> (SeqNumber, SeqNumber) {
        (SeqNumber(una * MSS), SeqNumber(nxt * MSS))
    }

    /// A connection that sends `n` segments at once, a round trip after the last ones.
    struct Rounds {
        pipe: PipeAck,
        una: u32,
        ms: u64,
    }

    impl Rounds {
        fn new() -> Self {
            Self {
                pipe: PipeAck::new(SeqNumber(0)),
                una: 0,
                ms: 0,
            }
        }

        fn round(&mut self, n: u32) -> bool {
            self.pipe.rested(SRTT, at(self.ms));
            let nxt = self.una + n;
            self.pipe
                .sent(SeqNumber(self.una * MSS), SeqNumber(nxt * MSS));
            self.ms += 100;
            for _ in 0..n {
                self.una += 1;
                let range = seqs(self.una, nxt);
                self.pipe.acknowledged(range, CWND, SRTT, at(self.ms));
            }
            self.pipe.is_validated()
        }
    }

    #[test]
    fn half_of_the_window_validates_it_and_less_does_not() {
        for (n, validated) in [(1, false), (9, false), (10, true), (20, true)] {
            let mut rounds = Rounds::new();
            assert!(rounds.pipe.is_validated());
            assert_eq!(rounds.round(n), validated, "{n}");
            assert_eq!(rounds.pipe.bytes(), n * MSS);
        }
    }

    #[test]
    fn a_window_that_was_not_validated_is_by_half_of_it() {
        let mut rounds = Rounds::new();
        assert!(!rounds.round(3));
        assert!(!rounds.round(9));
        assert!(rounds.round(10));
    }

    #[test]
    fn before_all_of_a_round_trip_is_acknowledged_nothing_is_known() {
        let mut pipe = PipeAck::new(SeqNumber(0));
        pipe.sent(SeqNumber(0), SeqNumber(4 * MSS));
        pipe.acknowledged(seqs(3, 4), CWND, SRTT, at(100));
        assert!(pipe.is_validated());
        pipe.acknowledged(seqs(4, 4), CWND, SRTT, at(100));
        assert!(!pipe.is_validated());
    }

    /// In slow start the window is twice what was acknowledged in the last round trip.
    #[test]
    fn a_full_window_stays_validated_while_it_doubles() {
        for stretch in [1, 2, 3, 7] {
            let mut pipe = PipeAck::new(SeqNumber(0));
            let (mut una, mut cwnd) = (0, 10);
            pipe.sent(SeqNumber(0), SeqNumber(cwnd * MSS));
            for n in 0..200 {
                let nxt = una + cwnd;
                una += stretch;
                cwnd += stretch;
                pipe.acknowledged(seqs(una, nxt), cwnd * MSS, SRTT, at(n));
                pipe.sent(SeqNumber(una * MSS), SeqNumber((una + cwnd) * MSS));
                assert!(pipe.is_validated(), "{stretch}: {una}");
            }
        }
    }

    #[test]
    fn the_largest_sample_of_a_second_counts_and_none_for_longer() {
        let mut rounds = Rounds::new();
        assert!(rounds.round(10));
        let first = rounds.ms;
        let mut last = first;
        while rounds.round(2) {
            last = rounds.ms;
            assert_eq!(rounds.pipe.bytes(), 10 * MSS);
        }
        let kept = last - first;
        assert!((500..1000).contains(&kept), "{kept}");
        assert_eq!(rounds.pipe.bytes(), 2 * MSS);
    }

    #[test]
    fn on_a_long_path_samples_count_for_three_round_trips() {
        let long = Duration::from_secs(2);
        let mut pipe = PipeAck::new(SeqNumber(0));
        pipe.sent(SeqNumber(0), SeqNumber(10 * MSS));
        pipe.acknowledged(seqs(10, 10), CWND, long, at(2000));
        pipe.rested(long, at(7_999));
        assert_eq!(pipe.bytes(), 10 * MSS);
        pipe.rested(long, at(8_000));
        assert_eq!(pipe.bytes(), 0);
        assert!(!pipe.is_validated());
    }

    #[test]
    fn idling_ends_validation_when_the_samples_are_too_old() {
        let mut rounds = Rounds::new();
        assert!(rounds.round(10));
        rounds.pipe.rested(SRTT, at(1095));
        assert!(rounds.pipe.is_validated());
        rounds.pipe.rested(SRTT, at(1100));
        assert!(!rounds.pipe.is_validated());
        // As if the phase had been entered when the samples became too old.
        assert_eq!(rounds.pipe.take_periods(at(301_090)), 0);
        assert_eq!(rounds.pipe.take_periods(at(301_100)), 1);
    }

    #[test]
    fn idling_before_anything_was_measured_says_nothing() {
        let mut pipe = PipeAck::new(SeqNumber(0));
        pipe.rested(SRTT, at(1_000_000));
        assert!(pipe.is_validated());
        assert_eq!(pipe.take_periods(at(2_000_000)), 0);
    }

    #[test]
    fn each_five_minutes_are_told_once() {
        let mut rounds = Rounds::new();
        assert!(!rounds.round(2));
        let minutes = |m: u64| at(100 + m * 60_000);
        assert_eq!(rounds.pipe.take_periods(minutes(4)), 0);
        assert_eq!(rounds.pipe.take_periods(minutes(5)), 1);
        assert_eq!(rounds.pipe.take_periods(minutes(9)), 0);
        assert_eq!(rounds.pipe.take_periods(minutes(21)), 3);
        assert_eq!(rounds.pipe.take_periods(minutes(24)), 0);
        assert_eq!(rounds.pipe.take_periods(minutes(25)), 1);
    }

    #[test]
    fn congestion_leaves_half_of_what_was_used_and_not_lost() {
        for (acked, flight, lost, more, used, left) in [
            (4, 2, 1, 0, 4, 1500),
            (4, 9, 1, 2, 9, 3000),
            (4, 4, 4, 0, 4, 0),
            (4, 4, 9, u32::MAX / MSS, 4, 0),
        ] {
            let mut rounds = Rounds::new();
            rounds.round(acked);
            let told = rounds.pipe.congested(flight * MSS, lost * MSS);
            assert_eq!(told, Some(used * MSS));
            rounds.pipe.lost(more * MSS);
            assert_eq!(rounds.pipe.recovered(SeqNumber(0)), Some(left));
            assert!(rounds.pipe.is_validated());
            assert_eq!(rounds.pipe.recovered(SeqNumber(0)), None);
        }
    }

    #[test]
    fn a_window_is_as_little_validated_after_a_mistake_and_after_a_repair() {
        for reduced in [false, true] {
            let mut rounds = Rounds::new();
            rounds.round(4);
            if reduced {
                rounds.pipe.congested(4 * MSS, 0);
                rounds.pipe.withdrawn(SeqNumber(0));
            } else {
                rounds.pipe.sent(SeqNumber(0), SeqNumber(20 * MSS));
                rounds.pipe.repaired(SeqNumber(0));
            }
            assert!(!rounds.pipe.is_validated());
            rounds.pipe.acknowledged(seqs(20, 20), CWND, SRTT, at(200));
            assert!(!rounds.pipe.is_validated(), "not measured");
            assert_eq!(rounds.pipe.congested(0, 0), Some(4 * MSS));
        }
    }

    #[test]
    fn a_reduction_that_a_repair_cuts_short_leaves_nothing() {
        let mut rounds = Rounds::new();
        rounds.round(4);
        rounds.pipe.congested(4 * MSS, 0);
        rounds.pipe.repaired(SeqNumber(0));
        assert!(rounds.pipe.is_validated());
        assert_eq!(rounds.pipe.recovered(SeqNumber(0)), None);
    }

    #[test]
    fn what_a_window_has_grown_too_far_does_not_count_and_is_told_once() {
        let mut rounds = Rounds::new();
        rounds.pipe.grew_beyond(4 * MSS);
        assert!(rounds.round(8));
        assert_eq!(rounds.pipe.take_excess(), 4 * MSS);
        assert!(!rounds.round(8));
        assert_eq!(rounds.pipe.take_excess(), 0);
        rounds.pipe.grew_beyond(4 * MSS);
        rounds.pipe.congested(8 * MSS, MSS);
        assert_eq!(rounds.pipe.take_excess(), 0);
    }

    #[test]
    fn a_validated_window_is_reduced_as_usual() {
        let mut rounds = Rounds::new();
        assert_eq!(rounds.pipe.congested(9 * MSS, MSS), None);
        rounds.pipe.lost(MSS);
        assert_eq!(rounds.pipe.recovered(SeqNumber(0)), None);
        rounds.round(10);
        assert_eq!(rounds.pipe.congested(9 * MSS, MSS), None);
    }

    #[test]
    fn time_and_numbers_may_wrap() {
        let at = |ms: u64| at((1 << 32) * 1024 / 1000 - 50 + ms);
        let start = SeqNumber(u32::MAX - 5 * MSS);
        let mut pipe = PipeAck::new(start);
        pipe.sent(start, start + 10 * MSS);
        pipe.acknowledged((start + 9 * MSS, start + 10 * MSS), CWND, SRTT, at(100));
        assert_eq!(pipe.bytes(), 0);
        pipe.acknowledged((start + 10 * MSS, start + 10 * MSS), CWND, SRTT, at(100));
        assert_eq!(pipe.bytes(), 10 * MSS);
        pipe.rested(SRTT, at(1095));
        assert_eq!(pipe.bytes(), 10 * MSS);
        pipe.rested(SRTT, at(1100));
        assert_eq!(pipe.take_periods(at(301_090)), 0);
        assert_eq!(pipe.take_periods(at(301_100)), 1);
    }

    #[test]
    fn a_round_trip_ends_when_all_is_acknowledged_though_more_might_have_been_sent() {
        let mut pipe = PipeAck::new(SeqNumber(0));
        pipe.sent(SeqNumber(0), SeqNumber(20 * MSS));
        pipe.acknowledged(seqs(8, 9), CWND, SRTT, at(100));
        assert_eq!(pipe.bytes(), 0);
        pipe.acknowledged(seqs(9, 9), CWND, SRTT, at(100));
        assert_eq!(pipe.bytes(), 9 * MSS);
    }

    #[test]
    fn what_was_sent_without_a_round_trips_begin_is_not_measured() {
        let mut pipe = PipeAck::new(SeqNumber(0));
        pipe.acknowledged(seqs(1, 9), CWND, SRTT, at(100));
        pipe.acknowledged(seqs(9, 9), CWND, SRTT, at(200));
        assert_eq!(pipe.bytes(), 0);
        assert!(pipe.is_validated());
    }
}
