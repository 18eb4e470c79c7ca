// SPDX-License-Identifier: GPL-2.0

//! How fast the path delivers (draft-cheng-iccrg-delivery-rate-estimation): each record notes when
//! it is sent how much had been delivered by then; when it arrives, the difference was delivered
//! in the time since, or in the time that sending took, whichever is longer.

use super::congestion::RateSample;
use super::pack::packed;
use super::rack::sent_after;
use super::records::Record;
use super::seq::SeqNumber;
use super::time::{Duration, Instant};

/// The connection's counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rate {
    /// Bytes delivered, cumulatively or selectively (wraps).
    delivered: u32,
    /// Bytes found lost, each time (wraps).
    lost: u32,
    /// When the first was last increased.
    delivered_at: Instant,
    /// When the latest sent of what has arrived was sent: an interval of sending begins.
    first_sent: Instant,
    /// Until the count of delivered bytes has passed this, what is sent is limited by the user.
    limited_until: Option<u32>,
}

packed!(struct Rate { delivered, lost, delivered_at, first_sent, limited_until });

/// What the acknowledgment being processed says of the rate.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sampler {
    /// The latest sent of what has arrived.
    latest: Option<Record>,
}

impl Sampler {
    /// The count of delivered bytes when the latest sent was sent.
    pub(super) fn prior_delivered(&self) -> Option<u32> {
        self.latest.map(|l| l.delivered)
    }
}

fn before(at: Instant, earlier: Instant) -> u32 {
    u32::try_from(at.since(earlier).us()).unwrap_or(u32::MAX)
}

fn earlier(at: Instant, us: u32) -> Instant {
    at - Duration::from_us(u64::from(us))
}

impl Rate {
    /// Bytes delivered (wraps).
    pub fn delivered(&self) -> u32 {
        self.delivered
    }

    /// Bytes found lost (wraps).
    pub fn lost(&self) -> u32 {
        self.lost
    }

    /// Whether what is sent now is limited by the user.
    pub fn is_app_limited(&self) -> bool {
        self.limited_until.is_some()
    }

    /// Text is sent; `idle`: with none outstanding. Notes in `record` what has to be known when it
    /// arrives.
    pub(super) fn on_sent(&mut self, record: &mut Record, idle: bool, now: Instant) {
        if idle {
            self.first_sent = now;
            self.delivered_at = now;
        }
        record.sent = now;
        record.delivered = self.delivered;
        record.delivered_before = before(now, self.delivered_at);
        record.first_sent_before = before(now, self.first_sent);
        record.app_limited = self.is_app_limited();
    }

    /// `record` has arrived; it is one of several for the acknowledgment.
    pub(super) fn on_arrived(&mut self, record: &Record, sampler: &mut Sampler) {
        let later = sampler
            .latest
            .is_none_or(|latest| sent_after(record.sent, record.end, self.first_sent, latest.end));
        if !later {
            return;
        }
        self.first_sent = record.sent;
        sampler.latest = Some(*record);
    }

    /// [`Rate::on_arrived`] of the only one for the acknowledgment.
    #[inline]
    pub(super) fn on_whole(&mut self, record: &Record) {
        self.first_sent = record.sent;
    }

    /// `bytes` have been delivered.
    pub(super) fn on_delivered(&mut self, bytes: u32) {
        self.delivered = self.delivered.wrapping_add(bytes);
    }

    /// `bytes` have been found lost.
    pub(super) fn on_lost(&mut self, bytes: u32) {
        self.lost = self.lost.wrapping_add(bytes);
    }

    /// The user has nothing more to send, and `pipe` bytes are in the network.
    pub(super) fn on_app_limited(&mut self, pipe: u32) {
        self.limited_until = Some(self.delivered.wrapping_add(pipe));
    }

    /// An acknowledgment that began with `prior` bytes delivered is taken in.
    pub(super) fn progress(&mut self, prior: u32, now: Instant) {
        if self
            .limited_until
            .is_some_and(|end| SeqNumber(self.delivered).after(SeqNumber(end)))
        {
            self.limited_until = None;
        }
        if self.delivered != prior {
            self.delivered_at = now;
        }
    }

    /// The sample of an acknowledgment that began with `prior` bytes delivered; `None` if it measures
    /// nothing.
    pub(super) fn sample(
        &mut self,
        sampler: &Sampler,
        prior: u32,
        min_rtt: Duration,
        now: Instant,
    ) -> Option<RateSample> {
        self.progress(prior, now);
        let latest = sampler.latest?;
        let sending = Duration::from_us(u64::from(latest.first_sent_before));
        let delivered_at = earlier(latest.sent, latest.delivered_before);
        let interval = sending.max(now.since(delivered_at));
        if interval == Duration::ZERO || interval < min_rtt {
            // Faster than light: a repetition was taken for the original.
            return None;
        }
        Some(RateSample {
            delivered: self.delivered.wrapping_sub(latest.delivered),
            interval,
            prior_delivered: latest.delivered,
            app_limited: latest.app_limited,
            tx_in_flight: latest.in_flight,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::records::testing::record;
    use super::*;

    fn at(us: u64) -> Instant {
        Instant::from_us(us)
    }

    /// Sends `len` bytes at `us`.
    fn send(rate: &mut Rate, start: u32, len: u32, idle: bool, us: u64) -> Record {
        let mut r = record(start, start + len, 0);
        rate.on_sent(&mut r, idle, at(us));
        r
    }

    /// All of `records` are acknowledged at `us`.
    fn ack(rate: &mut Rate, records: &[Record], us: u64) -> Option<RateSample> {
        let prior = rate.delivered();
        let mut sampler = Sampler::default();
        for r in records {
            rate.on_delivered(r.len());
            rate.on_arrived(r, &mut sampler);
        }
        rate.sample(&sampler, prior, Duration::from_us(1), at(us))
    }

    #[test]
    fn a_window_in_a_round_trip_is_the_rate() {
        let mut rate = Rate::default();
        let first = send(&mut rate, 0, 1000, true, 0);
        let second = send(&mut rate, 1000, 1000, false, 0);
        let one = ack(&mut rate, &[first], 10_000).expect("a sample");
        assert_eq!((one.delivered, one.interval.us()), (1000, 10_000));
        let two = ack(&mut rate, &[second], 11_000).expect("a sample");
        assert_eq!((two.delivered, two.interval.us()), (2000, 11_000));
        assert_eq!((two.prior_delivered, two.app_limited), (0, false));
    }

    #[test]
    fn acknowledgments_in_a_bunch_count_the_time_of_sending() {
        let mut rate = Rate::default();
        let records: Vec<_> = (0..5)
            .map(|i| send(&mut rate, i * 10, 10, i == 0, u64::from(i) * 1000))
            .collect();
        let _ = ack(&mut rate, &records[..1], 10_000);
        let later = send(&mut rate, 50, 10, false, 30_000);
        let sample = ack(&mut rate, &records[1..], 10_001).expect("a sample");
        assert_eq!(sample.delivered, 50);
        assert_eq!(sample.interval.us(), 10_001);
        // Sent 26 ms after what arrived last, acknowledged at once: the rate is not infinite.
        let sample = ack(&mut rate, &[later], 30_001).expect("a sample");
        assert!(sample.interval.us() >= 20_000, "{sample:?}");
    }

    #[test]
    fn what_the_user_limits_is_marked_until_the_bubble_is_gone() {
        let mut rate = Rate::default();
        let first = send(&mut rate, 0, 10, true, 0);
        rate.on_app_limited(10);
        let second = send(&mut rate, 10, 10, false, 5);
        assert!(!ack(&mut rate, &[first], 100).expect("a sample").app_limited);
        assert!(rate.is_app_limited());
        assert!(
            ack(&mut rate, &[second], 105)
                .expect("a sample")
                .app_limited
        );
        assert!(!rate.is_app_limited());
    }

    #[test]
    fn nothing_new_is_no_sample() {
        let mut rate = Rate::default();
        assert_eq!(ack(&mut rate, &[], 5), None);
    }

    #[test]
    fn a_rate_beyond_the_least_round_trip_is_no_sample() {
        let mut rate = Rate::default();
        let first = send(&mut rate, 0, 10, true, 0);
        let mut sampler = Sampler::default();
        rate.on_delivered(10);
        rate.on_arrived(&first, &mut sampler);
        let least = Duration::from_us(50);
        assert_eq!(rate.sample(&sampler, 0, least, at(49)), None);
    }
}
