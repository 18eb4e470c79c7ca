// SPDX-License-Identifier: GPL-2.0

//! When text is acknowledged (RFC 9293 3.8.6.3, RFC 5681 4.2), with Linux's heuristics: at once
//! while the peer is in slow start; else an acknowledgment waits for a second segment, for text of
//! ours to ride on, or for a time that follows the spacing of the peer's segments.

use super::config::Config;
use super::pack::packed;
use super::receive::Arrived;
use super::segment::Flags;
use super::tcb::DEFAULT_MSS;
use super::time::{Duration, Instant};

/// Segments that are acknowledged at once when a connection begins, or begins anew, so that the
/// peer's window opens quickly (`TCP_MAX_QUICKACKS`).
pub(super) const QUICK_ACKS: u8 = 16;

/// Least wait, ms (`TCP_ATO_MIN`).
const LEAST: u8 = 40;

/// Longest wait, ms (`TCP_DELACK_MAX`).
const MOST: u8 = 200;

/// Least segment size that may be estimated, bytes (`TCP_MIN_MSS`).
const LEAST_MSS: u16 = 88;

/// Whether the peer has pushed what it sent, since it was last acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Pushed {
    #[default]
    No,
    Once,
    Again,
}

packed!(enum Pushed { 0 => No, 1 => Once, 2 => Again });

/// What decides on when to acknowledge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct DelayedAck {
    /// When text last came.
    pub(super) last_text: Instant,
    /// An estimate of the peer's segment size, bytes.
    pub(super) rcv_mss: u16,
    /// Size of the last segment that was shorter than that.
    last_len: u16,
    /// How long an acknowledgment waits, ms; 0 before text came.
    wait: u8,
    /// Acknowledgments that are still to be sent at once.
    pub(super) quick: u8,
    /// Answers that were sent soon after text came: acknowledgments can ride on them.
    answers: u8,
    pub(super) pushed: Pushed,
}

packed!(struct DelayedAck { last_text, rcv_mss, last_len, wait, quick, answers, pushed });

impl DelayedAck {
    pub(super) fn new(mss: u16, now: Instant) -> Self {
        Self {
            last_text: now,
            rcv_mss: DEFAULT_MSS.min(mss).max(LEAST_MSS),
            last_len: 0,
            wait: 0,
            quick: 0,
            answers: 0,
            pushed: Pushed::No,
        }
    }

    /// Text goes both ways in turn.
    pub(super) fn is_interactive(&self, config: &Config) -> bool {
        self.answers >= config.pingpong_threshold
    }

    /// Acknowledgments are to ride on what the user answers, as far as that is to be seen.
    pub(super) fn expect_answers(&mut self, config: &Config) {
        self.answers = config.pingpong_threshold;
    }

    /// Whether segments are acknowledged one by one.
    pub(super) fn is_quick(&self, config: &Config) -> bool {
        self.quick > 0 && !self.is_interactive(config)
    }

    /// At least so many acknowledgments at once, or as many as half of the window (bytes) takes.
    fn more_quick(&mut self, window: u32, most: u8) {
        let segments = window / (2 * u32::from(self.rcv_mss).max(1));
        let segments = u8::try_from(segments).unwrap_or(u8::MAX);
        let segments = if segments == 0 { 2 } else { segments };
        self.quick = self.quick.max(segments.min(most));
    }

    /// The peer has to hear quickly (`tcp_enter_quickack_mode`).
    pub(super) fn hurry(&mut self, window: u32, most: u8) {
        self.more_quick(window, most);
        self.answers = 0;
        self.wait = LEAST;
    }

    /// The window may grow: the peer should know.
    pub(super) fn at_least_one(&mut self) {
        self.quick |= 1;
    }

    /// Whether so many bytes of text, whatever they were merged from, say nothing of the peer's segment
    /// size to [`DelayedAck::measure`].
    #[inline]
    pub(super) fn is_short(&self, bytes: u32) -> bool {
        bytes < u32::from(LEAST_MSS.min(self.rcv_mss))
    }

    /// Estimates the peer's segment size from a segment with text (`tcp_measure_rcv_mss`). Returns
    /// whether it is as large as ever, but of another size than the last such.
    #[inline(always)]
    pub(super) fn measure(
        &mut self,
        config: &Config,
        (bytes, flags): (u32, Flags),
        arrived: &Arrived,
    ) -> bool {
        let last = core::mem::take(&mut self.last_len);
        let len = match arrived.segment {
            0 => bytes,
            one => one,
        };
        let len = u16::try_from(len).unwrap_or(u16::MAX);
        if len >= self.rcv_mss {
            let other = len != self.rcv_mss;
            self.rcv_mss = len.min(config.mss);
            if flags.has(Flags::PSH) {
                self.pushed = self.pushed.max_once();
            }
            return other;
        }
        let remnant = Flags::PSH | Flags::FIN | Flags::URG | Flags::SYN;
        let whole = flags.without(remnant) == flags;
        if len >= DEFAULT_MSS || (len >= LEAST_MSS && whole) {
            self.last_len = len;
            if len == last {
                self.rcv_mss = len;
                return false;
            }
        }
        self.pushed = match self.pushed {
            Pushed::No => Pushed::Once,
            Pushed::Once | Pushed::Again => Pushed::Again,
        };
        false
    }

    /// What [`DelayedAck::on_text`] does where text came before, a moment ago; false, and nothing done,
    /// where it did not.
    #[inline]
    pub(super) fn on_text_soon(&mut self, now: Instant) -> bool {
        let soon = self.wait != 0 && now.since(self.last_text).ms() <= u64::from(LEAST / 2);
        if soon {
            self.last_text = now;
            self.wait = self.wait / 2 + LEAST / 2;
        }
        soon
    }

    /// Text in order came (`tcp_event_data_recv`). `window`: last offered, bytes.
    pub(super) fn on_text(&mut self, window: u32, rto: Duration, now: Instant) {
        let since = now.since(self.last_text);
        self.last_text = now;
        let half = u64::from(LEAST / 2);
        if self.wait == 0 {
            self.more_quick(window, QUICK_ACKS);
            self.wait = LEAST;
        } else if since.ms() <= half {
            self.wait = self.wait / 2 + LEAST / 2;
        } else if since.ms() < u64::from(self.wait) {
            let wait = u64::from(self.wait / 2) + since.ms();
            self.wait = shorter(wait, rto);
        } else if since > rto {
            // The sender should have restarted its window, and did not.
            self.more_quick(window, QUICK_ACKS);
        }
    }

    /// Text of ours goes out.
    pub(super) fn on_sent(&mut self, now: Instant) {
        if now.since(self.last_text) < Duration::from_ms(u64::from(self.wait)) {
            self.answers = self.answers.saturating_add(1);
        }
    }

    /// An acknowledgment goes out, with or without text; `owed`: of text.
    pub(super) fn on_acknowledged(&mut self, owed: bool) {
        self.pushed = Pushed::No;
        if self.quick > 0 && owed {
            self.quick = self.quick.saturating_sub(1);
            if self.quick == 0 {
                self.wait = LEAST;
            }
        }
    }

    /// The wait was in vain (`tcp_delack_timer_handler`).
    pub(super) fn on_timer(&mut self, config: &Config, rto: Duration) {
        if self.is_interactive(config) {
            self.answers = 0;
            self.wait = LEAST;
        } else {
            self.wait = shorter(u64::from(self.wait) * 2, rto);
        }
    }

    /// How long an acknowledgment waits unless more is known.
    pub(super) fn usual_wait(&self) -> Duration {
        Duration::from_ms(self.wait.into())
    }

    /// How long an acknowledgment may wait now (`tcp_send_delayed_ack`).
    #[inline(always)]
    pub(super) fn wait(&self, config: &Config, srtt: Option<Duration>) -> Duration {
        let mut wait = Duration::from_ms(u64::from(self.wait));
        let least = Duration::from_ms(u64::from(LEAST));
        if wait > least {
            let patient = self.is_interactive(config) || self.pushed != Pushed::No;
            let most = Duration::from_ms(if patient { MOST.into() } else { 500 });
            let most = srtt.map_or(most, |rtt| most.min(rtt.max(least)));
            wait = wait.min(most);
        }
        let tick = Duration::from_ms(1);
        wait.min(config.delayed_ack_max)
            .min((config.rto_min.max(tick + tick)).saturating_sub(tick))
    }
}

impl Pushed {
    fn max_once(self) -> Self {
        match self {
            Self::No => Self::Once,
            other => other,
        }
    }
}

/// So many ms, but no longer than the timeout, nor than anybody waits.
fn shorter(ms: u64, rto: Duration) -> u8 {
    u8::try_from(ms.min(rto.ms())).unwrap_or(MOST).min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_us(ms * 1000)
    }

    fn new() -> DelayedAck {
        DelayedAck::new(1460, at(0))
    }

    const RTO: Duration = Duration::from_ms(300);

    #[test]
    fn the_first_text_is_acknowledged_quickly_for_half_a_window() {
        for (window, quick) in [(60_000, 16), (5360, 5), (100, 2)] {
            let mut acks = new();
            acks.on_text(window, RTO, at(1));
            assert_eq!(acks.quick, quick, "{window}");
            assert!(acks.is_quick(&Config::default()));
        }
    }

    #[test]
    fn a_pause_begins_it_anew() {
        let mut acks = new();
        acks.on_text(60_000, RTO, at(1));
        for _ in 0..16 {
            acks.on_acknowledged(true);
        }
        acks.on_text(60_000, RTO, at(100));
        assert!(!acks.is_quick(&Config::default()));
        acks.on_text(60_000, RTO, at(500));
        assert!(acks.is_quick(&Config::default()));
    }

    #[test]
    fn what_is_acknowledged_without_text_counts_for_nothing() {
        let mut acks = new();
        acks.on_text(100, RTO, at(1));
        acks.on_acknowledged(false);
        assert_eq!(acks.quick, 2);
        acks.on_acknowledged(true);
        assert_eq!(acks.quick, 1);
    }

    #[test]
    fn an_answer_makes_acknowledgments_wait_for_the_next() {
        let config = Config::default();
        let mut acks = new();
        acks.on_text(60_000, RTO, at(1));
        acks.on_sent(at(41));
        assert!(acks.is_quick(&config), "that was no answer");
        acks.on_sent(at(40));
        assert!(acks.is_interactive(&config) && !acks.is_quick(&config));
        acks.on_timer(&config, RTO);
        assert!(!acks.is_interactive(&config));
    }

    #[test]
    fn the_wait_follows_the_spacing_of_segments() {
        let config = Config {
            rto_min: Duration::from_ms(200),
            ..Config::default()
        };
        let mut acks = new();
        acks.on_text(60_000, RTO, at(1));
        assert_eq!(acks.wait(&config, None).ms(), 40);
        acks.on_timer(&config, RTO);
        assert_eq!(acks.usual_wait().ms(), 80);
        // It may be longer than the least only as far as the round trip is.
        assert_eq!(acks.wait(&config, Some(Duration::from_ms(10))).ms(), 40);
        assert_eq!(acks.wait(&config, Some(Duration::from_ms(60))).ms(), 60);
        acks.on_text(60_000, RTO, at(71));
        assert_eq!(acks.usual_wait().ms(), 110);
        for _ in 0..4 {
            acks.on_timer(&config, RTO);
        }
        assert_eq!(acks.usual_wait().ms(), 200);
        acks.on_text(60_000, RTO, at(75));
        assert_eq!(acks.usual_wait().ms(), 120);
    }

    #[test]
    fn the_user_and_the_least_timeout_bound_the_wait() {
        let mut acks = new();
        acks.on_text(60_000, RTO, at(1));
        let short = Config {
            delayed_ack_max: Duration::from_ms(5),
            ..Config::default()
        };
        assert_eq!(acks.wait(&short, None).ms(), 5);
        let quick = Config {
            rto_min: Duration::from_ms(20),
            ..Config::default()
        };
        assert_eq!(acks.wait(&quick, None).ms(), 19);
    }

    #[test]
    fn the_segment_size_is_that_of_full_segments() {
        let config = Config::default();
        let one = Arrived::default();
        let mut acks = new();
        assert!(acks.measure(&config, (1000, Flags::ACK), &one));
        assert_eq!(acks.rcv_mss, 1000);
        assert!(!acks.measure(&config, (1000, Flags::ACK), &one));
        // Of what was merged the size of one counts; never more than we announced.
        let merged = Arrived {
            segment: 1200,
            ..one
        };
        assert!(acks.measure(&config, (9000, Flags::ACK), &merged));
        assert_eq!(acks.rcv_mss, 1200);
        acks.measure(&config, (9000, Flags::ACK), &one);
        assert_eq!(acks.rcv_mss, 1460);
        // Two of a smaller size in turn are full segments of that size.
        acks.measure(&config, (700, Flags::ACK), &one);
        assert_eq!(acks.rcv_mss, 1460);
        acks.measure(&config, (700, Flags::ACK), &one);
        assert_eq!(acks.rcv_mss, 700);
        // A short one that is pushed is none.
        acks.measure(&config, (100, Flags::ACK | Flags::PSH), &one);
        acks.measure(&config, (100, Flags::ACK | Flags::PSH), &one);
        assert_eq!(acks.rcv_mss, 700);
    }

    #[test]
    fn short_segments_are_pushed() {
        let config = Config::default();
        let one = Arrived::default();
        let mut acks = new();
        acks.measure(&config, (1000, Flags::ACK), &one);
        assert_eq!(acks.pushed, Pushed::No);
        acks.measure(&config, (1000, Flags::ACK | Flags::PSH), &one);
        acks.measure(&config, (1000, Flags::ACK | Flags::PSH), &one);
        assert_eq!(acks.pushed, Pushed::Once);
        acks.measure(&config, (10, Flags::ACK), &one);
        assert_eq!(acks.pushed, Pushed::Again);
        acks.on_acknowledged(true);
        assert_eq!(acks.pushed, Pushed::No);
    }
}
