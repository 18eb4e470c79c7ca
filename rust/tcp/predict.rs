// SPDX-License-Identifier: GPL-2.0

//! Header prediction (Van Jacobson's, as in Linux's `tcp_rcv_established`): almost every segment of
//! an open connection is the next in turn, with nothing but an acknowledgment and timestamps, while
//! nothing is lost. Of all the steps of RFC 9293 3.10.7.4 few do anything then.
//!
//! Whatever is done here has to leave the connection as [`Tcb::on_segment_by_steps`] would.

use super::ack::is_older;
use super::config::Config;
use super::congestion::{Ack, CongestionControl};
use super::ecn::Mode;
use super::events::Events;
use super::rate::Sampler;
use super::receive::Queues;
use super::records::RecordStore;
use super::segment::{Flags, Segment};
use super::seq::SeqNumber;
use super::state::State;
use super::statistics::Statistic;
use super::tcb::{AckDue, Recovery, Tcb};
use super::text::Progress;
use super::time::{Duration, Instant};
use super::tlp::Probe;

/// Flags of a segment that is nothing special.
const PLAIN: u16 = Flags::ACK.bits();
/// Flags that make no difference.
const IGNORED: u16 = Flags::PSH.bits();

impl Tcb {
    /// Whether `seg` is the next in turn, and nothing is going on but progress.
    pub fn is_predicted(&self, seg: &Segment) -> bool {
        self.state == State::Established
            && seg.flags.bits() & !IGNORED == PLAIN
            && seg.seq == self.rcv_nxt
            && seg.options.sack.is_empty()
            && self.is_stamp_in_turn(seg)
            && self.is_text_in_window(seg)
            && self.is_progress(seg)
            && self.is_calm()
    }

    /// Nothing is lost, reordered, repeated, marked or closed.
    fn is_calm(&self) -> bool {
        let quiet = self.recovery == Recovery::Open && matches!(self.ecn.mode, Mode::Off);
        let whole = self.scoreboard.is_calm() && self.dup_acks == 0 && !self.reneged;
        let open = self.peer_fin.is_none() && !self.is_orphan();
        quiet && whole && open && self.tlp == Probe::None && self.sack && !self.rules_itself()
    }

    /// A timestamp, if they are in use, that is not old (RFC 7323 5.3).
    fn is_stamp_in_turn(&self, seg: &Segment) -> bool {
        match (self.timestamps, seg.options.timestamps) {
            (true, Some(ts)) => SeqNumber(ts.val).at_or_after(SeqNumber(self.ts_recent)),
            (used, _) => !used,
        }
    }

    fn is_text_in_window(&self, seg: &Segment) -> bool {
        (seg.seq + seg.len).at_or_before(self.rcv_adv) && seg.len <= self.rcv_wnd()
    }

    /// It acknowledges something that was not, or says something else that is new (else it is a
    /// duplicate, RFC 5681 2).
    fn is_progress(&self, seg: &Segment) -> bool {
        if seg.ack == self.snd_una {
            return self.snd_nxt == self.snd_una
                || seg.len > 0
                || self.window_of(seg) != self.snd_wnd;
        }
        seg.ack.after(self.snd_una) && seg.ack.at_or_before(self.snd_nxt)
    }

    /// What [`Tcb::is_predicted`] has arrived.
    pub(super) fn on_predicted<Q: Queues>(
        &mut self,
        config: &Config,
        seg: &Segment,
        queues: &mut Q,
        now: Instant,
        events: &mut Events,
    ) {
        self.totals.arrived(seg.len);
        self.last_heard = now;
        self.probes = 0;
        if let Some(ts) = seg.options.timestamps.filter(|_| self.timestamps) {
            if self.last_ack_sent == self.rcv_nxt {
                self.ts_recent = ts.val;
                self.ts_recent_at = now;
            }
        }
        if seg.ack == self.snd_una {
            self.update_window(seg, false);
        } else {
            self.advance_in_order(config, seg, queues, now, events);
        }
        if seg.len > 0 {
            if queues.has_gaps() {
                self.note_waiting(queues, seg.seq, seg.seq + seg.len);
            }
            let text = (seg.seq, 0, seg.len);
            match self.store(config, seg, text, queues, now, events) {
                Progress::None => self.ack_due = AckDue::Now,
                progress => self.schedule_ack(config, queues, progress == Progress::Gap, now),
            }
        }
        if !self.statistics.is_empty() {
            self.tell(events);
        }
    }

    /// SND.UNA moves, with nothing lost.
    fn advance_in_order<S: RecordStore>(
        &mut self,
        config: &Config,
        seg: &Segment,
        store: &mut S,
        now: Instant,
        events: &mut Events,
    ) {
        let prior_una = self.snd_una;
        let bytes = seg.ack.since(prior_una);
        let (cwnd, ssthresh) = (self.congestion.window(), self.congestion.ssthresh());
        let limited = self.usage.is_limited(cwnd, ssthresh);
        let prior_delivered = self.rate.delivered();
        let min_rtt = self.rtt.min();

        events.acked = seg.ack.min(self.write_seq).since(prior_una);
        self.totals.acknowledged(events.acked);
        let mut sampler = Sampler::default();
        let mut span: Option<(Instant, Instant)> = None;
        let mut repeated = false;
        let (mut delivered, mut segments) = (0u32, 0u32);
        let echo = seg.options.timestamps.filter(|ts| ts.ecr != 0);
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
        self.update_window(seg, true);

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
        self.totals.delivered = self.totals.delivered.wrapping_add(segments);
        self.statistics.add(Statistic::Delivered, segments);
        self.congestion_on_ack(&Ack {
            acked: delivered,
            mss: self.mss32(),
            limited,
            flight: self.pipe(),
            snd_una: self.snd_una,
            snd_nxt: self.snd_nxt,
            rtt: measured.map(|(_, last)| now.since(last)),
            srtt: self.rtt.srtt().unwrap_or(Duration::ZERO),
            delivered: self.rate.delivered(),
            rate: None,
            now,
        });
        self.update_pacing(config);
    }
}
