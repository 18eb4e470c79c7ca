// SPDX-License-Identifier: GPL-2.0

//! What an acknowledgment does, in order: what has arrived, the window, round-trip time, recovery,
//! the timer, congestion control (RFC 9293 3.10.7.4, 5681, 6298).

use super::config::Config;
use super::congestion::validation::Usage;
use super::congestion::{Ack, Algorithm, Congestion, CongestionControl, IdleAck, RateSample};
use super::events::Events;
use super::news::{News, Span};
use super::options::SeqRange;
use super::records::{find, Fate, RecordStore};
use super::recovery::Recovery;
use super::segment::Segment;
use super::seq::SeqNumber;
use super::state::State;
use super::statistics::Statistic;
use super::tcb::{IdleTimer, RetransmitTimer, Tcb};
use super::time::{Duration, Instant};
use super::tlp::ProbeNews;

impl Tcb {
    /// Fifth step of RFC 9293 3.10.7.4, for an acknowledgment within bounds.
    pub(super) fn acknowledge<S: RecordStore>(
        &mut self,
        config: &Config,
        seg: &Segment,
        store: &mut S,
        now: Instant,
        events: &mut Events,
    ) {
        let flight = self.flight();
        let fack = self.scoreboard.fack(self.snd_una);
        let (cwnd, ssthresh) = (self.congestion.window(), self.congestion.ssthresh());
        let limited = self.usage.is_limited(cwnd, ssthresh);
        let (delivered, lost) = (self.rate.delivered(), self.rate.lost());
        let old = seg.ack.before(self.snd_una);
        let mut news = News::new(self.snd_una);
        news.advanced = seg.ack.after(self.snd_una);
        news.echo = self.echo_of(seg);
        if self.sack {
            self.take_sack(seg, store, now, &mut news);
        }
        news.duplicate = self.is_duplicate(seg, flight, &news);
        if news.advanced {
            self.advance(config, seg, store, now, &mut news, events);
        }
        let updated = !old && self.update_window(config, seg, news.advanced);
        if flight > 0 {
            self.measure(config, store, &mut news, now);
            if let Some(prior) = news.sampler.prior_delivered() {
                let now_delivered = self.rate.delivered().wrapping_add(news.delivered);
                if !config.recovery.static_window {
                    self.rack.adapt(prior, now_delivered);
                }
            }
            self.note_reordering_of(config, &news, fack);
        }
        let probe = ProbeNews {
            ack: seg.ack,
            reported: news.probe_reported,
            bare: !(news.advanced || updated || news.sacked || seg.seq_len() > 0),
        };
        self.probe_acknowledged(&probe, flight, now);
        let dubious = self.is_dubious(&news);
        if dubious && (flight > 0 || news.reported) {
            self.recover(config, store, &mut news, now);
        }
        if !old && self.ecn_on_ack(seg, &news) && flight > 0 {
            self.enter_cwr(flight, news.delivered, now);
        }
        if news.set_timer {
            self.restart_timer(config, store, now);
        }
        if flight > 0 {
            self.rate.on_delivered(news.delivered);
            self.totals.delivered = self.totals.delivered.wrapping_add(news.delivered_segments);
            self.statistics
                .add(Statistic::Delivered, news.delivered_segments);
            self.control(config, &news, limited, (delivered, lost), now);
            if news.advanced {
                self.validate_capacity(now);
            }
            if news.advanced || dubious {
                self.update_pacing(config);
            }
        }
        self.after_fin_acked(config, now, events);
    }

    /// The timestamp of ours that a segment echoes.
    fn echo_of(&self, seg: &Segment) -> Option<u32> {
        let ts = seg.options.timestamps.filter(|_| self.timestamps)?;
        Some(ts.ecr).filter(|ecr| *ecr != 0)
    }

    /// Selective acknowledgments: what is after SND.UNA and was sent. The first block may report a
    /// duplicate instead.
    fn take_sack<S: RecordStore>(
        &mut self,
        seg: &Segment,
        store: &mut S,
        now: Instant,
        news: &mut News,
    ) {
        let blocks = seg.options.sack.as_slice();
        let reports = self.take_report(seg, blocks, store, news);
        let prior_una = self.snd_una;
        let una = self.snd_una.max(seg.ack);
        let recover = self.recover_point();
        let min_rtt = self.rtt.min();
        let doubtful = self.are_copies_doubtful();
        for (i, block) in blocks.iter().enumerate() {
            let sane = block.start.before(block.end);
            if !sane || !block.start.after(una) || block.end.after(self.snd_nxt) {
                // What is old may have been overtaken by another acknowledgment.
                let overtaken = seg.ack != prior_una && block.end.at_or_before(prior_una);
                let mine = sane && block.end.at_or_before(self.snd_nxt);
                let fresh = block.start.at_or_after(prior_una);
                let report = i == 0 && reports;
                let known = mine && fresh;
                if !(report || known || overtaken) {
                    self.statistics.note(Statistic::SackDiscard);
                }
                continue;
            }
            let (rack, rate) = (&mut self.rack, &mut self.rate);
            self.scoreboard.sack(store, *block, |record| {
                if !(record.resent && doubtful) {
                    rack.arrived(record, min_rtt, now);
                }
                rate.on_arrived(record, &mut news.sampler);
                news.delivered(record.len(), record.segments());
                news.sacked = true;
                if !record.resent {
                    news.original |= record.end.at_or_before(recover);
                    Span::add(&mut news.late, record.sent);
                    note_low(&mut news.low_sacked, record.start);
                }
            });
        }
    }

    /// The end of the recovery, or SND.UNA.
    fn recover_point(&self) -> SeqNumber {
        match self.recovery {
            Recovery::Open => self.snd_una,
            Recovery::Cwr { recover } | Recovery::Fast { recover } | Recovery::Loss { recover } => {
                recover
            }
        }
    }

    /// RFC 2883 4: the first block reports a duplicate when it is below the cumulative
    /// acknowledgment or within the second block; returns whether it does. One that cannot be of our
    /// sending is ignored.
    fn take_report<S: RecordStore>(
        &mut self,
        seg: &Segment,
        blocks: &[SeqRange],
        store: &S,
        news: &mut News,
    ) -> bool {
        let Some(first) = blocks.first() else {
            return false;
        };
        let within = blocks.get(1).is_some_and(|second| {
            first.start.at_or_after(second.start) && first.end.at_or_before(second.end)
        });
        let below = first.start.before(seg.ack);
        if !first.start.before(first.end) || !(below || within) {
            return false;
        }
        self.statistics.note(if below {
            Statistic::DsackRecv
        } else {
            Statistic::DsackOfoRecv
        });
        let len = first.end.since(first.start);
        if len > self.max_snd_wnd || first.end.after(self.snd_nxt) {
            self.statistics.note(if self.undo.is_open() {
                Statistic::DsackIgnoredOld
            } else {
                Statistic::DsackIgnoredNoUndo
            });
            return true;
        }
        let segments = len.div_ceil(self.mss32());
        news.probe_reported = segments == 1 && self.tlp.high() == Some(first.end);
        self.totals.duplicates = self.totals.duplicates.saturating_add(segments);
        if self.totals.duplicates > self.totals.resent {
            self.statistics.note(Statistic::DsackIgnoredDubious);
            return true;
        }
        self.statistics.add(Statistic::DsackRecvSegs, segments);
        news.reported = true;
        if !news.probe_reported {
            self.rack.duplicate_reported();
        }
        if self.may_be_repetition(store, first.end) {
            self.undo.on_duplicate(segments, first.end);
        }
        true
    }

    /// Whether a duplicate that ends with `end` may be of our making. Of what is outstanding that is
    /// known, of what is acknowledged no more; else the network has duplicated it.
    fn may_be_repetition<S: RecordStore>(&self, store: &S, end: SeqNumber) -> bool {
        let record = store.records().get(find(store, end - 1));
        end.at_or_before(self.snd_una) || record.is_some_and(|r| r.resent)
    }

    /// Whether of what was sent more than once it cannot be told which copy has arrived: there are no
    /// timestamps, and duplicates were reported, so that repetitions overtake what they repeat in
    /// the time that RFC 8985 6.2 step 2 thinks too short for it. What was sent once tells of losses
    /// even then, as in RFC 6675.
    fn are_copies_doubtful(&self) -> bool {
        !self.timestamps && self.rack.saw_needless_repetitions()
    }

    /// RFC 5681 2: nothing new in it, and text was outstanding.
    fn is_duplicate(&self, seg: &Segment, flight: u32, news: &News) -> bool {
        flight > 0
            && seg.ack == self.snd_una
            && seg.seq_len() == 0
            && self.window_of(seg) == self.snd_wnd
            && !news.reported
    }

    /// SND.UNA moves.
    fn advance<S: RecordStore>(
        &mut self,
        config: &Config,
        seg: &Segment,
        store: &mut S,
        now: Instant,
        news: &mut News,
        events: &mut Events,
    ) {
        let bytes = seg.ack.since(self.snd_una);
        events.acked = seg.ack.min(self.write_seq).since(self.snd_una);
        self.totals.acknowledged(events.acked);
        let recover = self.recover_point();
        let min_rtt = self.rtt.min();
        let (sack, offset, echo) = (self.sack, self.ts_offset, news.echo);
        let doubtful = self.are_copies_doubtful();
        let (rack, rate) = (&mut self.rack, &mut self.rate);
        self.scoreboard.advance(store, seg.ack, |record| {
            news.segments = news.segments.saturating_add(record.segments());
            if record.resent {
                news.resent = true;
            } else if record.fate != Fate::Sacked {
                news.original |= record.end.at_or_before(recover);
                Span::add(&mut news.acked, record.sent);
                note_low(&mut news.low_acked, record.start);
            }
            if record.fate == Fate::Sacked {
                return;
            }
            rate.on_arrived(record, &mut news.sampler);
            if sack {
                news.delivered(record.len(), record.segments());
                let older = doubtful || is_older(echo, record.sent, offset);
                if !(record.resent && older) {
                    rack.arrived(record, min_rtt, now);
                }
            }
        });
        self.advance_una(seg.ack, now);
        news.set_timer = true;
        news.reneging = store
            .records()
            .first()
            .is_some_and(|r| r.fate == Fate::Sacked);
        if !sack {
            self.duplicates_acknowledged(config, bytes, news);
        }
    }

    /// SND.UNA moves to `ack`: the peer is there, and got something.
    #[inline]
    pub(super) fn advance_una(&mut self, ack: SeqNumber, now: Instant) {
        self.snd_una = ack;
        self.urgent_acked();
        self.mtu_probe.on_ack(ack);
        self.snd_sml = self.snd_sml.max(ack);
        self.retries = 0;
        self.stalled_since = now;
        // `MSG_MORE` holds for its own call, a cork until it is pulled.
        self.more_to_come = false;
        if self.unacked() == 0 && self.flight() == 0 {
            self.chrono.rest(now);
        }
    }

    /// Without SACK: one of the segments acknowledged was missing, the others are those that
    /// duplicate acknowledgments told of.
    fn duplicates_acknowledged(&mut self, config: &Config, bytes: u32, news: &mut News) {
        let segments = news.segments.max(1);
        let known = u32::from(self.dup_acks).min(segments.saturating_sub(1));
        let share = u64::from(bytes) * u64::from(known) / u64::from(segments);
        let share = u32::try_from(share).unwrap_or(u32::MAX);
        news.delivered(bytes.saturating_sub(share), segments.saturating_sub(known));
        let known = u16::try_from(known).unwrap_or(u16::MAX);
        self.dup_acks = self.dup_acks.saturating_sub(known);
        self.limit_duplicates(config, news.segments);
        if news.resent {
            // Which of them were sent once and which were not cannot be told.
            news.original = false;
        }
    }

    /// A round-trip time: of the first that was sent once and is acknowledged, else of what is
    /// selectively acknowledged, else from the timestamp echoed (RFC 7323 4.1; its clock is coarse).
    /// Only with one the timeout is no longer backed off (Karn's algorithm).
    fn measure<S: RecordStore>(
        &mut self,
        config: &Config,
        store: &S,
        news: &mut News,
        now: Instant,
    ) {
        let acked = news.acked.filter(|_| !news.resent);
        let whole = acked.or(news.late).map(|span| now.since(span.first));
        let last = news.late.or(acked).map(|span| now.since(span.last));
        let stamped = || news.echo.filter(|_| news.advanced);
        let whole = whole.or_else(|| stamped().and_then(|ecr| self.stamp_age(ecr, now)));
        let Some(rtt) = whole else { return };
        let least = last.unwrap_or(rtt);
        if !(self.is_delayed_alone(news) && least > self.rtt.min()) {
            self.rtt.note_least(least, config.min_rtt_window, now);
        }
        self.rtt
            .sample(rtt, self.snd_una, self.snd_nxt, config.rto_min);
        self.backoff = 0;
        let first = store.records().first();
        if let (false, None, Some(late), Some(first)) = (news.advanced, acked, news.late, first) {
            // What arrived was sent after the first outstanding was: the timeout must not be put
            // off further, only counted from then.
            news.set_timer = late.first < first.sent;
        }
    }

    /// A short segment, with nothing else delivered since it was sent: the peer may have delayed its
    /// acknowledgment, which were to be taken for the path's delay once the least is forgotten.
    fn is_delayed_alone(&self, news: &News) -> bool {
        let alone = news.sampler.prior_delivered() == Some(self.rate.delivered());
        let bytes = self.snd_una.since(news.prior_una);
        news.segments == 1 && alone && !news.sacked && bytes < self.mss32()
    }

    /// How long ago a timestamp of ours was sent, unless that makes no sense.
    pub(super) fn stamp_age(&self, stamp: u32, now: Instant) -> Option<Duration> {
        let ms = now
            .ms_wrapped()
            .wrapping_add(self.ts_offset)
            .wrapping_sub(stamp);
        (ms < 1 << 20).then(|| Duration::from_ms(u64::from(ms.max(1))))
    }

    /// Something that was sent once arrived after what was sent later.
    fn note_reordering_of(&mut self, config: &Config, news: &News, fack: SeqNumber) {
        if !self.sack {
            return;
        }
        let may_sack = !matches!(self.recovery, Recovery::Loss { .. }) || self.undo.is_open();
        for low in [news.low_sacked.filter(|_| may_sack), news.low_acked] {
            if let Some(low) = low.filter(|low| low.before(fack)) {
                self.note_reordering(config, low, Statistic::SackReorder);
            }
        }
    }

    /// Whether an acknowledgment is more than progress.
    fn is_dubious(&self, news: &News) -> bool {
        news.duplicate
            || news.sacked
            || news.reported
            || self.recovery != Recovery::Open
            || self.is_disordered()
    }

    /// The timer for what is outstanding, anew.
    pub(super) fn restart_timer<S: RecordStore>(
        &mut self,
        config: &Config,
        store: &S,
        now: Instant,
    ) {
        if !self.arm_probe(config, store, true, now) {
            self.rearm_rto(config, store, now);
        }
    }

    /// The retransmission timer, instead of a shorter one that ran; from then it had not run.
    pub(super) fn rearm_rto<S: RecordStore>(&mut self, config: &Config, store: &S, now: Instant) {
        let wait = match self.retransmit_timer {
            RetransmitTimer::Probe(_) | RetransmitTimer::Reorder(_) => {
                self.rto_left(config, store, now).max(Duration::from_us(1))
            }
            _ => self.rto(config),
        };
        self.retransmit_timer = if self.flight() == 0 {
            RetransmitTimer::Off
        } else {
            RetransmitTimer::Rto(now + wait)
        };
    }

    /// Congestion control's turn. While the window is being reduced PRR rules it.
    /// `before` is what had been delivered and lost before this acknowledgment.
    fn control(
        &mut self,
        config: &Config,
        news: &News,
        limited: bool,
        before: (u32, u32),
        now: Instant,
    ) {
        let (delivered, lost) = before;
        let min_rtt = self.rtt.min();
        let rate = self
            .rate
            .sample(&news.sampler, delivered, min_rtt, now)
            .filter(|_| !self.reneged);
        if self.is_reducing() {
            let safe = news.advanced && self.rate.lost() == lost;
            self.reduce(news.delivered, safe);
            return;
        }
        let tolerant = self.rack.reordering() > config.reordering && news.sacked;
        if !news.advanced && !tolerant && !self.rules_itself() {
            return;
        }
        let last = news.late.or(news.acked.filter(|_| !news.resent));
        let limited = limited || self.is_slow_starting_anew();
        let rtt = last.map(|span| now.since(span.last));
        self.congestion_on_ack(news.delivered, limited, rtt, rate, now);
    }

    /// After a timeout the window grows whether it is full or not, for it was chosen to begin with
    /// little; not so after a lost MTU probe, for which it stays as it was.
    fn is_slow_starting_anew(&self) -> bool {
        matches!(self.recovery, Recovery::Loss { .. }) && self.usage.pipe_ack.is_validated()
    }

    /// Tells the congestion control of `acked` bytes that arrived; what it means is in [`Ack`].
    #[inline]
    pub(super) fn congestion_on_ack(
        &mut self,
        acked: u32,
        limited: bool,
        rtt: Option<Duration>,
        rate: Option<RateSample>,
        now: Instant,
    ) {
        let began = self.congestion.ssthresh() == u32::MAX;
        let (mss, cwnd) = (self.mss32(), self.congestion.window());
        let usual = limited && self.recovery == Recovery::Open && !self.rules_itself();
        let growth = usual.then(|| self.usage.growth(cwnd, mss)).flatten();
        let ack = Ack {
            acked,
            mss,
            limited: limited && growth != Some(0),
            flight: self.pipe(),
            snd_una: self.snd_una,
            snd_nxt: self.snd_nxt,
            rtt,
            srtt: self.rtt.srtt().unwrap_or(Duration::ZERO),
            delivered: self.rate.delivered(),
            rate,
            now,
        };
        self.congestion.on_ack(&ack);
        if let Some(growth) = growth {
            let beyond = self.congestion.window().saturating_sub(cwnd);
            self.usage
                .pipe_ack
                .grew_beyond(beyond.saturating_sub(growth));
        }
        let over = began && self.congestion.ssthresh() != u32::MAX;
        if over && self.congestion.algorithm() == Algorithm::Cubic {
            self.statistics.note(Statistic::HystartDelayDetect);
        }
    }

    /// [`Tcb::congestion_on_ack`] for an acknowledgment while the window is not what holds us back; false,
    /// and nothing done, where the control has no short way for it.
    #[inline]
    pub(super) fn on_idle_ack(&mut self, ack: &IdleAck) -> bool {
        let began = self.congestion.ssthresh() == u32::MAX;
        if !self.congestion.on_idle_ack(ack) {
            return false;
        }
        if began && self.congestion.ssthresh() != u32::MAX {
            self.statistics.note(Statistic::HystartDelayDetect);
        }
        true
    }

    /// SND.WND, from a segment newer than the last that set it; returns whether it is. As in Linux
    /// one that acknowledges more is newer, whatever its sequence number: else a window counted from
    /// the old SND.UNA would move with SND.UNA beyond what the peer ever offered. Of two with the
    /// same numbers the one with the larger window is the newer, for windows do not shrink.
    fn update_window(&mut self, config: &Config, seg: &Segment, advances: bool) -> bool {
        self.take_window(config, (seg.seq, self.window_of(seg)), advances)
    }

    /// [`Tcb::update_window`] to `wnd` bytes from a segment with the number `seq`.
    #[inline]
    pub(super) fn take_window(
        &mut self,
        config: &Config,
        (seq, wnd): (SeqNumber, u32),
        advances: bool,
    ) -> bool {
        let newer = advances
            || self.snd_wl1.before(seq)
            || (self.snd_wl1 == seq && (wnd > self.snd_wnd || wnd == 0));
        if !newer {
            return false;
        }
        self.snd_wl1 = seq;
        if wnd != self.snd_wnd {
            if self.snd_wnd == 0 && !self.is_orphan() {
                // What was sent again meanwhile had no room: it is no sign that nobody is there.
                self.retries = 0;
                if config.user_timeout == Duration::ZERO {
                    self.stalled_since = self.last_heard;
                }
            }
            self.snd_wnd = wnd;
            self.max_snd_wnd = self.max_snd_wnd.max(wnd);
            if let RetransmitTimer::Persist(_) = self.retransmit_timer {
                self.retransmit_timer = RetransmitTimer::Off;
                self.backoff = 0;
            }
        }
        true
    }

    /// Our FIN may be acknowledged now.
    fn after_fin_acked(&mut self, config: &Config, now: Instant, events: &mut Events) {
        let Some(fin) = self.fin_seq() else { return };
        if !self.snd_una.after(fin) {
            return;
        }
        match self.state {
            State::FinWait1 => {
                self.state = State::FinWait2;
                if self.is_orphan() && config.fin_timeout == Duration::ZERO {
                    events.reply = Some(self.reset(now));
                    self.end(None, events);
                } else if self.is_orphan() {
                    self.idle_timer = IdleTimer::FinWait2(now + config.fin_timeout);
                }
            }
            State::Closing => self.enter_time_wait(config, now, events),
            State::LastAck => self.end(None, events),
            _ => {}
        }
    }

    /// Congestion control as the connection opens. When the SYN was lost more than once it starts
    /// from one segment (RFC 5681 3.1 as RFC 6298 5 amends it: the first timeout is short, and
    /// once it may be too short for the path). `spurious`: the first SYN was answered after all.
    pub(super) fn start_congestion(&mut self, config: &Config, spurious: bool, now: Instant) {
        let mss = self.mss32();
        self.congestion = Congestion::new(config.congestion, mss);
        if self.syn_again.times > 1 && !spurious {
            self.congestion.on_timeout(0, mss, false, now);
        }
        self.usage = Usage::new(self.snd_una);
        self.update_pacing(config);
        self.start_mtu_search(config, now);
    }
}

fn note_low(low: &mut Option<SeqNumber>, seq: SeqNumber) {
    *low = Some(low.map_or(seq, |low| low.min(seq)));
}

/// Whether the echo is of something sent before `sent`.
pub(super) fn is_older(echo: Option<u32>, sent: Instant, offset: u32) -> bool {
    let stamp = SeqNumber(sent.ms_wrapped().wrapping_add(offset));
    echo.is_some_and(|echo| SeqNumber(echo).before(stamp))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_is_older_than_what_was_sent_later() {
        let sent = Instant::from_us(5_000);
        assert!(is_older(Some(104), sent, 100));
        assert!(!is_older(Some(105), sent, 100));
        assert!(!is_older(None, sent, 100));
        assert!(is_older(Some(u32::MAX), sent, u32::MAX - 3));
    }
}
