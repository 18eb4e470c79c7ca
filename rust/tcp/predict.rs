// SPDX-License-Identifier: GPL-2.0

//! Header prediction (Van Jacobson's, as in Linux's `tcp_rcv_established`): almost every segment of
//! an open connection is the next in turn, with nothing but an acknowledgment and timestamps, while
//! nothing is lost. Of all the steps of RFC 9293 3.10.7.4 few do anything then.
//!
//! Whatever is done here has to leave the connection as [`Tcb::on_segment_by_steps`] would.

use super::ack::is_older;
use super::config::Config;
use super::congestion::{CongestionControl, IdleAck};
use super::ecn::Mode;
use super::events::{Drop, Events};
use super::options::{Options, Timestamps};
use super::rate::Sampler;
use super::receive::{Arrived, Queues, ReceiveQueue};
use super::records::{Record, RecordStore};
use super::segment::{Flags, Segment, HEADER_LEN};
use super::seq::SeqNumber;
use super::state::State;
use super::statistics::Statistic;
use super::tcb::{AckDue, Recovery, RetransmitTimer, Tcb};
use super::text::LEAST_TO_GROW;
use super::time::Instant;
use super::tlp::Probe;

/// Flags of a segment that is nothing special.
const PLAIN: u16 = Flags::ACK.bits();
/// Flags that make no difference.
const IGNORED: u16 = Flags::PSH.bits();

/// A segment with nothing but an acknowledgment, timestamps and text: no other is ever predicted, and
/// to read it takes a fraction of what a [`Segment`] takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    seq: SeqNumber,
    ack: SeqNumber,
    /// ACK, and PSH perhaps.
    flags: Flags,
    wnd: u16,
    stamp: Option<Timestamps>,
    len: u32,
}

impl Candidate {
    /// Reads a header with its options; `len` is the text behind it, bytes. `None` when it says
    /// something else, too.
    #[inline]
    pub fn read(header: &[u8], len: u32) -> Option<Self> {
        let (fixed, options) = header.split_first_chunk::<HEADER_LEN>()?;
        let &[_, _, _, _, q0, q1, q2, q3, a0, a1, a2, a3, offset, low, w0, w1, _, _, _, _] = fixed;
        let flags = Flags::from_bits(u16::from_be_bytes([offset, low]));
        if flags.bits() & !IGNORED != PLAIN {
            return None;
        }
        let stamp = match options {
            [] => None,
            options => Some(Options::read_stamp_alone(options)?),
        };
        Some(Self {
            seq: SeqNumber(u32::from_be_bytes([q0, q1, q2, q3])),
            ack: SeqNumber(u32::from_be_bytes([a0, a1, a2, a3])),
            flags,
            wnd: u16::from_be_bytes([w0, w1]),
            stamp,
            len,
        })
    }

    /// `seg`, if it is such a segment.
    pub fn of(seg: &Segment) -> Option<Self> {
        let others = Options {
            timestamps: None,
            ..seg.options
        };
        let plain = seg.flags.bits() & !IGNORED == PLAIN && others == Options::default();
        plain.then_some(Self {
            seq: seg.seq,
            ack: seg.ack,
            flags: seg.flags,
            wnd: seg.wnd,
            stamp: seg.options.timestamps,
            len: seg.len,
        })
    }

    /// The number behind its text.
    fn end(&self) -> SeqNumber {
        self.seq + self.len
    }
}

/// What a predicted segment means to those around: the few of [`Events`] that it can bring about.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Arrival {
    /// Bytes of text that the peer has now.
    pub acked: u32,
    /// Segments that are known to have arrived.
    pub delivered: u32,
    /// Text became readable.
    pub readable: bool,
    /// Its text was dropped.
    pub dropped: Option<Drop>,
}

impl Tcb {
    /// Whether `seg` is the next in turn, and nothing is going on but progress.
    #[inline]
    pub fn is_predicted(&self, seg: &Candidate) -> bool {
        self.state == State::Established
            && seg.seq == self.rcv_nxt
            && self.is_stamp_in_turn(seg)
            && seg.end().at_or_before(self.rcv_adv)
            && seg.len <= self.rcv_wnd()
            && self.is_progress(seg)
            && self.is_calm()
    }

    /// Nothing is lost, reordered, repeated, marked or closed.
    #[inline]
    fn is_calm(&self) -> bool {
        let quiet = self.recovery == Recovery::Open && matches!(self.ecn.mode, Mode::Off);
        let whole = self.scoreboard.is_calm() && self.dup_acks == 0 && !self.reneged;
        let open = self.peer_fin.is_none() && !self.is_orphan();
        quiet && whole && open && self.tlp == Probe::None && self.sack && !self.rules_itself()
    }

    /// A timestamp, if they are in use, that is not old (RFC 7323 5.3).
    #[inline]
    fn is_stamp_in_turn(&self, seg: &Candidate) -> bool {
        match (self.timestamps, seg.stamp) {
            (true, Some(ts)) => SeqNumber(ts.val).at_or_after(SeqNumber(self.ts_recent)),
            (used, _) => !used,
        }
    }

    /// It acknowledges something that was not, or says something else that is new (else it is a
    /// duplicate, RFC 5681 2).
    #[inline]
    fn is_progress(&self, seg: &Candidate) -> bool {
        if seg.ack == self.snd_una {
            return self.snd_nxt == self.snd_una
                || seg.len > 0
                || self.scaled(seg.wnd) != self.snd_wnd;
        }
        seg.ack.after(self.snd_una) && seg.ack.at_or_before(self.snd_nxt)
    }

    /// [`Tcb::on_segment`] for a segment that is predicted; `None`, and nothing done, when it is not.
    /// What else is to be counted is for [`Tcb::take_statistics`].
    #[inline(always)]
    pub fn on_candidate<Q: Queues>(
        &mut self,
        config: &Config,
        seg: &Candidate,
        queues: &mut Q,
        now: Instant,
    ) -> Option<Arrival> {
        if !self.is_predicted(seg) || queues.has_gaps() {
            return None;
        }
        let mut arrival = Arrival::default();
        self.totals.arrived(seg.len, 1);
        self.last_heard = now;
        self.probes = 0;
        let stamp = seg.stamp.filter(|_| self.timestamps);
        if let Some(ts) = stamp {
            if self.last_ack_sent == self.rcv_nxt {
                self.ts_recent = ts.val;
                self.ts_recent_at = now;
            }
        }
        if seg.ack == self.snd_una {
            self.take_window(config, (seg.seq, self.scaled(seg.wnd)), false);
        } else {
            let prior_una = self.snd_una;
            arrival.acked = seg.ack.min(self.write_seq).since(prior_una);
            self.totals.acknowledged(arrival.acked);
            let all = match queues.records() {
                [only] if only.end == seg.ack && !only.resent => Some(*only),
                _ => None,
            };
            arrival.delivered = match all {
                Some(only) => self.all_acknowledged(config, seg, &only, queues, now),
                None => self.advance_in_order(config, seg, queues, now),
            };
            self.totals.delivered = self.totals.delivered.wrapping_add(arrival.delivered);
        }
        if seg.len > 0 {
            self.take_text(config, seg, queues, now, &mut arrival);
        }
        Some(arrival)
    }

    /// What [`Tcb::on_candidate`] says, as [`Tcb::on_segment`] says it.
    pub(super) fn tell_arrival(&mut self, arrival: &Arrival, events: &mut Events) {
        self.statistics.add(Statistic::Delivered, arrival.delivered);
        self.tell(events);
        events.acked = arrival.acked;
        events.readable = arrival.readable;
        events.dropped = arrival.dropped;
    }

    /// The text of a segment, all of it next in turn, while none waits for what is before it.
    #[inline(always)]
    fn take_text<R: ReceiveQueue>(
        &mut self,
        config: &Config,
        seg: &Candidate,
        rx: &mut R,
        now: Instant,
        arrival: &mut Arrival,
    ) {
        // Of a segment that can neither be a full one nor make the window grow nothing is asked.
        let arrived = if self.acks.is_short(seg.len) {
            Arrived::default()
        } else {
            rx.arrived()
        };
        self.totals.merged(seg.len, arrived.segment);
        let memory = rx.memory();
        if memory.used > memory.size {
            self.overrun(config);
        }
        if rx.append(seg.seq, seg.len).is_err() {
            arrival.dropped = Some(Drop::NoRoom);
            // Who waits for more is to read what is there.
            arrival.readable = true;
            self.window.no_room = true;
            self.ack_due = AckDue::Now;
            return;
        }
        self.totals.received(seg.len);
        self.rcv_nxt = seg.end();
        arrival.readable = true;
        self.measure_segment(config, (seg.len, seg.flags), &arrived, rx);
        if !self.acks.on_text_soon(now) {
            let rto = self.rto(config);
            self.acks.on_text(self.last_offer(), rto, now);
        }
        if seg.len >= LEAST_TO_GROW {
            self.grow_window(config, seg.len, &arrived, rx, true);
            self.time_text((seg.len, seg.stamp), memory.used == 0, now);
        }
        self.schedule_ack(config, rx, false, now);
    }

    /// All that was sent is acknowledged, and was sent once and as one run, as requests and responses
    /// are. Returns how many segments that were.
    #[inline(always)]
    fn all_acknowledged<S: RecordStore>(
        &mut self,
        config: &Config,
        seg: &Candidate,
        only: &Record,
        store: &mut S,
        now: Instant,
    ) -> u32 {
        let (bytes, segments) = (only.len(), only.segments());
        let (cwnd, ssthresh) = (self.congestion.window(), self.congestion.ssthresh());
        let limited = self.usage.is_limited(cwnd, ssthresh);
        let prior_delivered = self.rate.delivered();
        let min_rtt = self.rtt.min();
        let rtt = now.since(only.sent);

        self.scoreboard.first_arrived(store, only);
        self.rate.on_whole(only);
        self.rack.arrived(only, min_rtt, now);
        let partial = seg.ack.since(self.snd_una) < self.mss32();
        self.advance_una(seg.ack, now);
        self.take_window(config, (seg.seq, self.scaled(seg.wnd)), true);

        let alone = only.delivered == prior_delivered && segments == 1 && partial;
        if !(alone && rtt > min_rtt) {
            self.rtt.note_least(rtt, config.min_rtt_window, now);
        }
        self.rtt
            .sample(rtt, self.snd_una, self.snd_nxt, config.rto_min);
        self.backoff = 0;
        self.rate.on_delivered(bytes);
        if !config.recovery.static_window {
            self.rack.adapt(only.delivered, self.rate.delivered());
        }
        self.retransmit_timer = RetransmitTimer::Off;

        self.rate.progress(prior_delivered, now);
        let idle = IdleAck {
            snd_una: self.snd_una,
            snd_nxt: self.snd_nxt,
            rtt: Some(rtt),
            now,
        };
        if limited || !self.on_idle_ack(&idle) {
            self.congestion_on_ack(bytes, limited, Some(rtt), None, now);
        }
        self.measure_capacity(now);
        self.update_pacing(config);
        segments
    }

    /// SND.UNA moves, with nothing lost. Returns how many segments arrived.
    #[inline(never)]
    fn advance_in_order<S: RecordStore>(
        &mut self,
        config: &Config,
        seg: &Candidate,
        store: &mut S,
        now: Instant,
    ) -> u32 {
        let bytes = seg.ack.since(self.snd_una);
        let (cwnd, ssthresh) = (self.congestion.window(), self.congestion.ssthresh());
        let limited = self.usage.is_limited(cwnd, ssthresh);
        let prior_delivered = self.rate.delivered();
        let min_rtt = self.rtt.min();

        let mut sampler = Sampler::default();
        let mut span: Option<(Instant, Instant)> = None;
        let mut repeated = false;
        let (mut delivered, mut segments) = (0u32, 0u32);
        let echo = seg.stamp.filter(|ts| ts.ecr != 0);
        let echo = echo.filter(|_| self.timestamps).map(|ts| ts.ecr);
        let (rack, rate, offset) = (&mut self.rack, &mut self.rate, self.ts_offset);
        self.scoreboard.advance(store, seg.ack, |record| {
            delivered = delivered.saturating_add(record.len());
            segments = segments.saturating_add(record.segments());
            if record.resent {
                repeated = true;
            } else {
                span = Some((span.map_or(record.sent, |(first, _)| first), record.sent));
            }
            rate.on_arrived(record, &mut sampler);
            if !(record.resent && is_older(echo, record.sent, offset)) {
                rack.arrived(record, min_rtt, now);
            }
        });
        self.advance_una(seg.ack, now);
        self.take_window(config, (seg.seq, self.scaled(seg.wnd)), true);

        let measured = span.filter(|_| !repeated);
        let prior = sampler.prior_delivered();
        let rtt = match measured {
            Some((first, last)) => Some((now.since(first), now.since(last))),
            None => echo
                .and_then(|ecr| self.stamp_age(ecr, now))
                .map(|age| (age, age)),
        };
        if let Some((rtt, least)) = rtt {
            let alone = prior == Some(prior_delivered) && segments == 1 && bytes < self.mss32();
            if !(alone && least > min_rtt) {
                self.rtt.note_least(least, config.min_rtt_window, now);
            }
            self.rtt
                .sample(rtt, self.snd_una, self.snd_nxt, config.rto_min);
            self.backoff = 0;
        }
        if let Some(prior) = prior.filter(|_| !config.recovery.static_window) {
            let now_delivered = prior_delivered.wrapping_add(delivered);
            self.rack.adapt(prior, now_delivered);
        }
        self.restart_timer(config, store, now);

        self.rate.on_delivered(delivered);
        self.rate.progress(prior_delivered, now);
        let rtt = measured.map(|(_, last)| now.since(last));
        self.congestion_on_ack(delivered, limited, rtt, None, now);
        self.measure_capacity(now);
        self.update_pacing(config);
        segments
    }
}

#[cfg(test)]
mod tests {
    use super::super::segment::{Transmit, MAX_HEADER_LEN};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// However a header looks, it is read as what a [`Segment`] of it says.
        #[test]
        fn a_candidate_is_read_as_any(
            numbers in any::<(u32, u32, u16)>(),
            bits in prop_oneof![Just(PLAIN), Just(PLAIN | IGNORED), 0u16..0x1000],
            stamp in proptest::option::of(any::<(u32, u32)>()),
            other in 0u8..4,
            len in 0u32..70_000,
        ) {
            let (seq, ack, wnd) = numbers;
            let flags = Flags::from_bits(bits);
            let mut out = Transmit::bare(SeqNumber(seq), SeqNumber(ack), flags, wnd);
            out.options.timestamps = stamp.map(|(val, ecr)| Timestamps { val, ecr });
            out.options.mss = (other == 1).then_some(1460);
            out.options.window_scale = (other == 2).then_some(7);
            let mut buf = [0; MAX_HEADER_LEN];
            let header_len = out.header(1, 2, &mut buf);
            let header = &buf[..header_len];
            let seg = Segment::parse(header, len).unwrap();
            prop_assert_eq!(Candidate::read(header, len), Candidate::of(&seg));
        }
    }
}
