// SPDX-License-Identifier: GPL-2.0

//! The round trip as a receiver sees it, who sends nothing that could be timed (dynamic
//! right-sizing): how long the peer takes to fill a window, and how old the timestamps are that it
//! echoes. As in Linux (`tcp_rcv_rtt_measure` and around it).
//!
//! A window is filled in a round trip at the least: that is an upper bound, and only the least
//! counts. An echo is exact but for the millisecond of our clock either way, and for what the peer
//! waited before it sent; where that was for us to read, it is not believed to be the path.

use super::options::Timestamps;
use super::pack::packed;
use super::rtt::INITIAL_RTO;
use super::seq::SeqNumber;
use super::tcb::Tcb;
use super::time::{Duration, Instant};

/// Measurements are cut here, µs: 268 s.
const MOST: u32 = (1 << 28) - 1;

/// Echoes that seem to be older say nothing, ms.
const OLDEST: u32 = 1 << 20;

/// The estimator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ReceiverRtt {
    /// Where the window ends that is being timed, once one is, and since when.
    edge: Option<SeqNumber>,
    begun: Instant,
    /// µs times 8; 0 before the first measurement.
    rtt: u32,
    /// The last echo.
    echo: u32,
}

packed!(struct ReceiverRtt { edge, begun, rtt, echo });

impl ReceiverRtt {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            edge: None,
            begun: now,
            rtt: 0,
            echo: 0,
        }
    }

    /// The round trip, if it was measured.
    fn get(&self) -> Option<Duration> {
        (self.rtt != 0).then(|| Duration::from_us(u64::from(self.rtt / 8)))
    }

    /// Whether there is something to measure.
    #[inline]
    fn is_due(&self, next: SeqNumber, echo: u32) -> bool {
        echo != self.echo || self.edge.is_none_or(|edge| next.at_or_after(edge))
    }

    /// A measurement: one that is less than all before counts at once, and of the others an eighth
    /// if it is an echo's, with nothing unread.
    fn take(&mut self, sample: Duration, is_smoothed: bool) {
        let sample = u32::try_from(sample.us()).map_or(MOST, |us| us.clamp(1, MOST));
        let whole = sample.saturating_mul(8);
        if self.rtt == 0 || whole < self.rtt {
            self.rtt = whole;
        } else if is_smoothed {
            self.rtt = self.rtt.saturating_sub(self.rtt / 8).saturating_add(sample);
        }
    }

    /// The window being timed is full, if `next` is behind it: the next one begins, of `window`
    /// bytes.
    fn on_window(&mut self, next: SeqNumber, window: u32, now: Instant) {
        if let Some(edge) = self.edge {
            if next.before(edge) {
                return;
            }
            self.take(now.since(self.begun), false);
        }
        self.edge = Some(next + window);
        self.begun = now;
    }

    /// The peer echoes a timestamp, with a segment that is `full`. `stamp`: what our clock for
    /// timestamps shows.
    fn on_echo(&mut self, (echo, stamp): (u32, u32), full: bool, alone: bool) {
        if echo == self.echo {
            return;
        }
        self.echo = echo;
        let age = stamp.wrapping_sub(echo);
        if full && age > 0 && age < OLDEST {
            self.take(Duration::from_ms(age.into()), alone);
        }
    }
}

impl Tcb {
    /// The round trip as what we receive tells it, if it does.
    #[inline]
    pub fn receiver_rtt(&self) -> Option<Duration> {
        self.receiver_rtt.get()
    }

    /// The round trip in which what the user reads is counted: before what we receive tells one, that
    /// of what we sent, be it of the handshake alone.
    #[inline]
    pub fn reading_round(&self) -> Duration {
        let rtt = self.receiver_rtt.get().or(self.rtt.srtt());
        rtt.unwrap_or(INITIAL_RTO)
    }

    /// `len` bytes of text came in order, and are kept; `alone`: nothing else waits to be read.
    #[inline(always)]
    pub(super) fn time_text(
        &mut self,
        (len, stamp): (u32, Option<Timestamps>),
        alone: bool,
        now: Instant,
    ) {
        let stamp = stamp.filter(|_| self.timestamps);
        let echo = stamp.map_or(self.receiver_rtt.echo, |ts| ts.ecr);
        if self.receiver_rtt.is_due(self.rcv_nxt, echo) {
            self.measure_round(len, echo, alone, now);
        }
    }

    #[inline(never)]
    fn measure_round(&mut self, len: u32, echo: u32, alone: bool, now: Instant) {
        let full = len >= u32::from(self.acks.rcv_mss);
        let stamp = now.ms_wrapped().wrapping_add(self.ts_offset);
        let window = self.last_offer();
        self.receiver_rtt.on_echo((echo, stamp), full, alone);
        self.receiver_rtt.on_window(self.rcv_nxt, window, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_us(ms * 1000)
    }

    fn ms(rtt: &ReceiverRtt) -> Option<u64> {
        rtt.get().map(|rtt| rtt.ms())
    }

    /// The rows: RCV.NXT and when it came to be that, ms; what is measured then, ms. Windows of 1000
    /// bytes.
    #[test]
    fn a_window_is_filled_in_a_round_trip_at_the_least() {
        let mut rtt = ReceiverRtt::new(at(0));
        for (next, when, measured) in [
            (u32::MAX - 100, 10, None),
            (500, 30, None),
            (898, 40, None),
            (899, 60, Some(50)),
            (1898, 160, Some(50)),
            (1899, 161, Some(50)),
            // More than a window at once: the next is counted from here.
            (5000, 191, Some(30)),
            (5999, 192, Some(30)),
            (6000, 192, Some(1)),
        ] {
            rtt.on_window(SeqNumber(next), 1000, at(when));
            assert_eq!(ms(&rtt), measured, "{next} at {when}");
        }
        rtt.on_window(SeqNumber(7000), 1000, at(192));
        assert_eq!(rtt.get(), Some(Duration::from_us(1)), "no time is some");
    }

    /// The rows: the echo, what our clock shows, whether the segment is full and nothing else waits to
    /// be read; what is measured then, µs.
    #[test]
    fn an_echo_is_as_old_as_the_round_trip() {
        let mut rtt = ReceiverRtt::new(at(0));
        for (echo, stamp, full, alone, measured) in [
            (0, 40, true, true, None),
            (5, 45, false, true, None),
            (5, 45, true, true, None),
            (6, 6, true, true, None),
            (7, 6, true, true, None),
            (8, 8 + OLDEST, true, true, None),
            (10, 110, true, false, Some(100_000)),
            (11, 191, true, true, Some(110_000)),
            (11, 999, true, true, Some(110_000)),
            (12, 999, true, false, Some(110_000)),
            (13, 999, false, true, Some(110_000)),
            (u32::MAX, 49, true, false, Some(50_000)),
        ] {
            rtt.on_echo((echo, stamp), full, alone);
            let us = rtt.get().map(|rtt| rtt.us());
            assert_eq!(us, measured, "{echo} at {stamp}");
        }
    }

    #[test]
    fn a_path_that_becomes_longer_is_followed() {
        let mut rtt = ReceiverRtt::new(at(0));
        rtt.on_echo((10, 20), true, true);
        for round in 1..=40 {
            rtt.on_echo((round * 1000, round * 1000 + 100), true, true);
        }
        assert!(ms(&rtt).is_some_and(|ms| (95..=100).contains(&ms)));
    }

    #[test]
    fn nothing_overflows() {
        let mut rtt = ReceiverRtt::new(at(0));
        rtt.on_window(SeqNumber(0), u32::MAX, at(1));
        rtt.on_window(SeqNumber(u32::MAX), 0, Instant::NEVER);
        for _ in 0..100 {
            rtt.take(Duration::from_us(u64::MAX), true);
        }
        assert_eq!(rtt.get(), Some(Duration::from_us(MOST.into())));
    }
}
