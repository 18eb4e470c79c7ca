// SPDX-License-Identifier: GPL-2.0

//! TIME-WAIT (RFC 9293 3.6.1), as a small entry that outlives the connection.

use super::config::Config;
use super::options::{Options, Timestamps};
use super::rate_limit::RateLimit;
use super::segment::{Flags, Segment, Transmit};
use super::seq::SeqNumber;
use super::time::{Duration, Instant};

/// A connection in TIME-WAIT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeWait {
    /// When it ends.
    deadline: Instant,
    snd_nxt: SeqNumber,
    rcv_nxt: SeqNumber,
    /// Window as on the wire.
    wnd: u16,
    timestamps: bool,
    ts_recent: u32,
    ts_offset: u32,
    /// Of the answers to segments without text or FIN: two ends in TIME-WAIT that both find the
    /// other's acknowledgments old would else answer each other for ever.
    answered: RateLimit,
    /// How often they are answered at most, ms.
    answer_interval: u32,
}

/// What to do with a segment for a connection in TIME-WAIT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Drop it.
    Ignore,
    /// Drop it and send this acknowledgment.
    Ack(Transmit),
    /// The connection is over (a RST).
    End,
    /// It is a SYN for a new connection: end this one and hand the SYN to the listener; the new
    /// connection's ISS has to come after this number (RFC 9293 3.10.7.4, MAY-2).
    Reopen(SeqNumber),
}

/// What a connection knows when it enters TIME-WAIT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Last {
    pub(super) snd_nxt: SeqNumber,
    pub(super) rcv_nxt: SeqNumber,
    pub(super) wnd: u16,
    /// TS.Recent, if timestamps are in use.
    pub(super) ts_recent: Option<u32>,
    pub(super) ts_offset: u32,
}

impl TimeWait {
    pub(super) fn new(last: Last, config: &Config, now: Instant) -> Self {
        Self {
            deadline: now + config.time_wait,
            snd_nxt: last.snd_nxt,
            rcv_nxt: last.rcv_nxt,
            wnd: last.wnd,
            timestamps: last.ts_recent.is_some(),
            ts_recent: last.ts_recent.unwrap_or(0),
            ts_offset: last.ts_offset,
            answered: RateLimit::default(),
            answer_interval: config.invalid_ratelimit.ms() as u32,
        }
    }

    /// When it ends.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether a new connection between the same ends may take its place when it is opened from
    /// here: timestamps protect it once their clock has moved on (RFC 6191, `tcp_tw_reuse`).
    /// `length` is how long TIME-WAIT lasts.
    pub fn may_reuse(&self, length: Duration, now: Instant) -> bool {
        self.timestamps && now.since(self.deadline - length) >= Duration::from_secs(1)
    }

    /// The ISS of a new connection between the same ends has to come after this number, so that old
    /// duplicates are not taken for its segments (RFC 9293 3.10.7.4, MAY-2).
    pub fn floor(&self) -> SeqNumber {
        self.snd_nxt + 65535 + 2
    }

    /// The acknowledgment that the peer should have.
    pub fn ack(&self, now: Instant) -> Transmit {
        let mut ack = Transmit::bare(self.snd_nxt, self.rcv_nxt, Flags::ACK, self.wnd);
        if self.timestamps {
            let val = now.ms_wrapped().wrapping_add(self.ts_offset);
            let timestamps = Some(Timestamps {
                val,
                ecr: self.ts_recent,
            });
            ack.options = Options {
                timestamps,
                ..Options::default()
            };
        }
        ack
    }

    /// A segment arrived; `length` is how long TIME-WAIT lasts, `rfc1337` whether RSTs do not end
    /// it.
    pub fn on_segment(
        &mut self,
        seg: &Segment,
        length: Duration,
        rfc1337: bool,
        now: Instant,
    ) -> Verdict {
        let stamp = seg.options.timestamps.filter(|_| self.timestamps);
        let old_stamp = stamp.is_some_and(|ts| ts.is_older_than(self.ts_recent));

        if seg.has_rst() {
            // RFC 1337's hazard: a RST of an old duplicate must not end it, an exact one may.
            let exact = seg.seq == self.rcv_nxt && !old_stamp;
            return if exact && !rfc1337 {
                Verdict::End
            } else {
                Verdict::Ignore
            };
        }
        if seg.has_syn() && !seg.has_ack() && !old_stamp {
            let newer = seg.seq.after(self.rcv_nxt)
                || stamp.is_some_and(|ts| SeqNumber(ts.val).after(SeqNumber(self.ts_recent)));
            if newer {
                return Verdict::Reopen(self.floor());
            }
        }
        if seg.has_fin() && !old_stamp && seg.seq_end() == self.rcv_nxt {
            // The peer has not seen our ACK of its FIN: start 2 MSL anew.
            self.deadline = now + length;
        }
        // RFC 7323 5.3: only what is acceptable moves it, or a blind segment could make a new SYN old.
        let acceptable =
            seg.seq == self.rcv_nxt || (seg.has_fin() && seg.seq_end() == self.rcv_nxt);
        if let Some(ts) = stamp.filter(|_| acceptable && !old_stamp) {
            self.ts_recent = ts.val;
        }
        if seg.seq_len() == 0 && seg.seq == self.rcv_nxt && !old_stamp {
            return Verdict::Ignore;
        }
        // A FIN is no part of such a conversation: its sender waits for this acknowledgment.
        if seg.seq_len() == 0 || seg.has_syn() {
            let interval = Duration::from_ms(self.answer_interval.into());
            if !self.answered.allows(interval, now) {
                return Verdict::Ignore;
            }
        }
        Verdict::Ack(self.ack(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LENGTH: Duration = Duration::from_secs(60);

    fn entry(ts_recent: Option<u32>) -> TimeWait {
        entry_with(&Config::default(), ts_recent)
    }

    fn entry_with(config: &Config, ts_recent: Option<u32>) -> TimeWait {
        let last = Last {
            snd_nxt: SeqNumber(100),
            rcv_nxt: SeqNumber(500),
            wnd: 9,
            ts_recent,
            ts_offset: 0,
        };
        TimeWait::new(last, config, Instant::default())
    }

    fn segment(flags: Flags, seq: u32) -> Segment {
        Segment {
            flags,
            seq: SeqNumber(seq),
            ..Segment::default()
        }
    }

    #[test]
    fn a_fin_again_is_acknowledged_and_starts_the_time_anew() {
        let mut tw = entry(None);
        let later = Instant::from_us(5_000_000);
        let fin = segment(Flags::FIN | Flags::ACK, 499);
        let Verdict::Ack(ack) = tw.on_segment(&fin, LENGTH, false, later) else {
            panic!()
        };
        assert_eq!(
            (ack.seq, ack.ack, ack.wnd),
            (SeqNumber(100), SeqNumber(500), 9)
        );
        assert_eq!(tw.deadline(), later + LENGTH);
    }

    #[test]
    fn a_new_syn_reopens_and_an_old_one_does_not() {
        let now = Instant::default();
        let new = entry(None).on_segment(&segment(Flags::SYN, 501), LENGTH, false, now);
        assert_eq!(new, Verdict::Reopen(SeqNumber(100 + 65537)));
        let old = entry(None).on_segment(&segment(Flags::SYN, 400), LENGTH, false, now);
        assert!(matches!(old, Verdict::Ack(_)));
        let mut by_stamp = segment(Flags::SYN, 400);
        by_stamp.options.timestamps = Some(Timestamps { val: 11, ecr: 0 });
        let verdict = entry(Some(10)).on_segment(&by_stamp, LENGTH, false, now);
        assert!(matches!(verdict, Verdict::Reopen(_)));
    }

    #[test]
    fn only_an_exact_rst_ends_it_and_none_with_rfc1337() {
        let now = Instant::default();
        let rst = |seq| segment(Flags::RST, seq);
        assert_eq!(
            entry(None).on_segment(&rst(500), LENGTH, false, now),
            Verdict::End
        );
        assert_eq!(
            entry(None).on_segment(&rst(501), LENGTH, false, now),
            Verdict::Ignore
        );
        assert_eq!(
            entry(None).on_segment(&rst(500), LENGTH, true, now),
            Verdict::Ignore
        );
    }

    #[test]
    fn segments_without_text_are_answered_as_often_as_is_set() {
        for (interval, expected) in [(500, 10), (100, 50), (0, 5000)] {
            let config = Config {
                invalid_ratelimit: Duration::from_ms(interval),
                ..Config::default()
            };
            let mut tw = entry_with(&config, None);
            let mut is_answered = |flags, ms: u64| {
                let now = Instant::from_us(ms * 1000);
                let verdict = tw.on_segment(&segment(flags, 400), LENGTH, false, now);
                matches!(verdict, Verdict::Ack(_))
            };
            let kinds = [Flags::ACK, Flags::SYN].iter().cycle();
            let answered = (1..=5000)
                .zip(kinds)
                .filter(|(ms, flags)| is_answered(**flags, *ms));
            assert_eq!(answered.count(), expected, "{interval} ms");
        }
    }

    #[test]
    fn what_is_out_of_the_window_does_not_make_a_new_syn_old() {
        for (flags, seq, old) in [
            (Flags::ACK, 499, false),
            (Flags::ACK, 500u32.wrapping_sub(1 << 30), false),
            (Flags::FIN | Flags::ACK, 498, false),
            (Flags::ACK, 500, true),
            (Flags::FIN | Flags::ACK, 499, true),
        ] {
            let mut tw = entry(Some(10));
            let stamped = |flags, seq, val| {
                let mut seg = segment(flags, seq);
                seg.options.timestamps = Some(Timestamps { val, ecr: 0 });
                seg
            };
            let now = Instant::default();
            tw.on_segment(&stamped(flags, seq, 1 << 30), LENGTH, false, now);
            let verdict = tw.on_segment(&stamped(Flags::SYN, 700, 2000), LENGTH, false, now);
            assert_eq!(
                matches!(verdict, Verdict::Reopen(_)),
                !old,
                "{flags:?} {seq}"
            );
        }
    }

    #[test]
    fn every_fin_is_acknowledged_whatever_was_answered_before() {
        let mut tw = entry(None);
        // Its sender tries again after 200 ms and after 400 more.
        for ms in [1000, 1200, 1600] {
            let now = Instant::from_us(ms * 1000);
            tw.on_segment(&segment(Flags::ACK, 400), LENGTH, false, now);
            let fin = segment(Flags::FIN | Flags::ACK, 499);
            let verdict = tw.on_segment(&fin, LENGTH, false, now);
            assert!(matches!(verdict, Verdict::Ack(_)), "{ms} ms");
        }
    }

    #[test]
    fn a_bare_ack_in_order_is_not_answered() {
        let verdict =
            entry(None).on_segment(&segment(Flags::ACK, 500), LENGTH, false, Instant::default());
        assert_eq!(verdict, Verdict::Ignore);
    }
}
