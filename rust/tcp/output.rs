// SPDX-License-Identifier: GPL-2.0

//! What goes out: handshake, probes, retransmissions, new text, acknowledgments, in this order.

use super::chrono::Activity;
use super::config::Config;
use super::mtu_probe::Next;
use super::options::{Options, SackBlocks, SeqRange, SACK_LEN, TIMESTAMPS_LEN};
use super::receive::{Queues, ReceiveQueue};
use super::records::{Record, RecordStore};
use super::segment::{Flags, Transmit};
use super::seq::SeqNumber;
use super::state::State;
use super::statistics::Statistic;
use super::tcb::{AckDue, Control, Recovery, RetransmitTimer, Tcb, TxLimits};
use super::time::Instant;
use super::tlp::Probe;
use super::undo::Frto;
use super::user_timeout::USER_TIMEOUT_LEN;

/// Least segment size that a peer may ask for (`tcp_min_snd_mss`): smaller ones would cost us more
/// than they cost the peer.
pub(super) const LEAST_MSS: u16 = 48;

/// Least bytes of text in a full segment: what the longest options leave of the least segment.
const LEAST_TEXT: u16 = LEAST_MSS - 40;

impl Tcb {
    /// The next segment, or run of segments, to send; call until there is none.
    pub fn poll_transmit<Q: Queues>(
        &mut self,
        config: &Config,
        queues: &mut Q,
        limits: &TxLimits,
        now: Instant,
    ) -> Option<Transmit> {
        self.set_mss(limits.mss);
        self.eff_mss = self.eff_mss.saturating_sub(self.ecn_option_len(now));
        if !self.has_output() {
            return None;
        }
        match self.state {
            State::Closed | State::Listen | State::TimeWait => return None,
            State::SynSent | State::SynReceived if self.control == Control::Syn => {
                return Some(self.send_syn(config, now));
            }
            State::SynReceived if self.is_passive_fast_open() => {}
            State::SynSent | State::SynReceived => return None,
            _ => {}
        }
        // What only some segments carry is taken off of these alone: the path has room for more.
        let usual = self.eff_mss;
        let blocks_len = self.blocks_len(queues);
        let tells = self.tells_user_timeout(blocks_len, now);
        let timeout_len = if tells { USER_TIMEOUT_LEN } else { 0 };
        let own = blocks_len.saturating_add(timeout_len);
        // Options that would leave nothing leave each other no room either.
        self.eff_mss = usual.saturating_sub(own).max(LEAST_TEXT);
        let mut out = self.poll_synchronized(config, queues, limits, now);
        self.eff_mss = usual;
        if let Some(out) = out.as_mut().filter(|_| tells) {
            self.tell_user_timeout(config, out);
        }
        out
    }

    /// Whether [`Tcb::poll_transmit`] may have something: else it need not be called.
    pub fn has_output(&self) -> bool {
        self.has_more_to_send()
            || self.ack_due == AckDue::Now
            || !matches!(self.control, Control::None | Control::Tell)
            || self.tlp == Probe::Due
            || self.is_probing()
    }

    fn poll_synchronized<Q: Queues>(
        &mut self,
        config: &Config,
        queues: &mut Q,
        limits: &TxLimits,
        now: Instant,
    ) -> Option<Transmit> {
        match self.control {
            Control::Probe => {
                self.control = Control::None;
                return Some(self.probe(queues, now));
            }
            Control::ProbeAndTell => {
                self.control = Control::Tell;
                return Some(self.probe(queues, now));
            }
            Control::None | Control::Tell | Control::Syn => {}
        }
        if self.state.may_transmit() || self.is_passive_fast_open() {
            let limits = &self.limits_while_urgent(limits);
            if let Some(part) = self.next_part(config, queues, limits, now) {
                let out = self.send(config, &part, queues, now);
                if !self.has_more_to_send() {
                    self.validate_window(now);
                }
                return Some(out);
            }
            self.validate_window(now);
        }
        (self.ack_due == AckDue::Now).then(|| self.send_ack(config, queues, now))
    }

    /// What of the queue is to be sent now: a loss probe, what was lost, new text. While F-RTO waits
    /// for an answer new text goes first, and nothing else if there is any.
    fn next_part<Q: Queues>(
        &mut self,
        config: &Config,
        store: &mut Q,
        limits: &TxLimits,
        now: Instant,
    ) -> Option<Part> {
        if self.tlp == Probe::Due {
            self.tlp = Probe::None;
            let part = self
                .new_text(config, store, limits, true, now)
                .or_else(|| self.last_segment(store, now));
            if part.is_some() {
                return part;
            }
        }
        if self.is_paced_out(config, now) || self.is_throttled(config, limits, true) {
            return None;
        }
        if let (true, Recovery::Loss { recover }) = (self.is_probing(), self.recovery) {
            let part = self.new_text(config, store, limits, false, now);
            if part.is_some() || self.snd_nxt.after(recover) {
                return part;
            }
            self.undo.frto = Frto::Off;
        }
        if self.scoreboard.waiting() > 0 {
            if let Some(part) = self.retransmission(config, store, limits, now) {
                return Some(part);
            }
        }
        if self.is_throttled(config, limits, false) {
            return None;
        }
        match self.next_probe(config, store, now) {
            Next::Text if self.defers_run(config, store, limits, now) => None,
            Next::Text => self.new_text(config, store, limits, false, now),
            Next::Wait => None,
            Next::Probe(len) => {
                if self.flight() == 0 {
                    self.restart_from_idle(config, now);
                    if len > self.cwnd() {
                        self.mtu_probe.give_up();
                        return self.new_text_now(config, store, limits, false, now);
                    }
                }
                Some(Part {
                    seq: self.snd_nxt,
                    len,
                    fin: false,
                    kind: Kind::MtuProbe,
                })
            }
        }
    }

    /// Text bytes of a full segment: what the peer and the path allow, less the options that every
    /// segment has (RFC 6691).
    pub(super) fn set_mss(&mut self, path_mss: u16) {
        let options = if self.timestamps { TIMESTAMPS_LEN } else { 0 };
        let mss = self.mtu_probe.limit(self.peer_mss.min(path_mss));
        let mss = mss.max(LEAST_MSS);
        self.eff_mss = mss.saturating_sub(options);
    }

    pub(super) fn send_syn(&mut self, config: &Config, now: Instant) -> Transmit {
        let again = self.snd_nxt.after(self.iss);
        let wnd = config.initial_window.min(65535);
        let (flags, ack) = match self.state {
            State::SynReceived => (Flags::SYN | Flags::ACK, self.rcv_nxt),
            _ => (Flags::SYN, SeqNumber(0)),
        };
        self.control = Control::behind_syn(config);
        self.snd_nxt = self.snd_nxt.max(self.iss + 1);
        if self.state == State::SynReceived {
            self.last_ack_sent = self.rcv_nxt;
            self.offered(self.rcv_adv.max(self.rcv_nxt + wnd));
            self.ack_due = AckDue::No;
        }
        self.syn_sent = (!again).then_some(now);
        let mut wait = self.rto(config);
        if again {
            wait = self.until_user_timeout(config, wait, now);
        }
        self.retransmit_timer = RetransmitTimer::Rto(now + wait);
        if again {
            self.syn_again.times = self.syn_again.times.saturating_add(1);
            self.totals.resent(0, 1);
            self.statistics.note(Statistic::SynRetrans);
        } else {
            self.stalled_since = now;
            self.syn_again.first = now.ms_wrapped().wrapping_add(self.ts_offset);
        }
        self.totals.sent(0, 1);
        let mut syn = Transmit::bare(self.iss, ack, flags, wnd as u16);
        syn.options = Options {
            mss: Some(config.mss),
            window_scale: self.scaling.then_some(self.rcv_scale),
            sack_permitted: self.sack,
            timestamps: self.timestamp(now),
            ..Options::default()
        };
        syn.retransmission = again;
        self.mark_syn(config, &mut syn);
        if !again {
            syn.options.add_user_timeout(config.advertised());
        }
        syn
    }

    /// A segment out of the window, which the peer has to answer with an acknowledgment.
    fn probe<R: ReceiveQueue>(&mut self, rx: &R, now: Instant) -> Transmit {
        let mut probe = self.bare_ack(now);
        probe.seq = self.snd_una - 1;
        probe.options.sack = self.blocks(rx);
        self.mark_urgent(&mut probe);
        probe
    }

    /// What is to be sent again: the first of what is lost, as far as the congestion window lets;
    /// the very first segment regardless of it.
    fn retransmission<S: RecordStore>(
        &mut self,
        config: &Config,
        store: &mut S,
        limits: &TxLimits,
        now: Instant,
    ) -> Option<Part> {
        let (i, run) = self.scoreboard.next_lost(store)?;
        let first = run.start == self.snd_una;
        let mss = self.mss32();
        let room = match self.cwnd().saturating_sub(self.pipe()) {
            room if first => room.max(mss),
            room => room,
        };
        let window = self.snd_wnd.saturating_sub(run.start.since(self.snd_una));
        let window = if first { window.max(mss) } else { window };
        let message_end = self.message_end(store, run.start);
        let run_end = if run.end.at_or_before(self.write_seq) {
            run.end.min(message_end)
        } else {
            // The FIN goes along, unless a message ends before.
            message_end + u32::from(message_end == self.write_seq)
        };
        let text_end = run_end.min(self.write_seq);
        let wanted = text_end.since(run.start);
        let most = self.run_at_rate(config, limits.max_run);
        let len = whole_segments(wanted, room.min(window).min(most), mss);
        let fin = len == wanted && self.fin_seq().is_some_and(|f| f.before(run_end));
        if len == 0 && !(fin && room > 0) {
            return None;
        }
        let part = Part {
            seq: run.start,
            len,
            fin,
            kind: Kind::Again,
        };
        let again = self.repetition(part.seq_len(), now);
        self.scoreboard.resend(store, i, part.end(), &again);
        Some(part)
    }

    /// The last segment, as a loss probe.
    fn last_segment<S: RecordStore>(&mut self, store: &mut S, now: Instant) -> Option<Part> {
        let probe = self.probe_again(store, now)?;
        let text_end = probe.end.min(self.write_seq);
        Some(Part {
            seq: probe.start,
            len: text_end.since(probe.start),
            fin: self.fin_seq().is_some_and(|f| f.before(probe.end)),
            kind: Kind::ProbeAgain,
        })
    }

    /// What of the queue may go out for the first time (RFC 9293 3.7.4, 3.8.6.2.1).
    /// A loss probe is one segment, whatever the congestion window.
    fn new_text<S: RecordStore>(
        &mut self,
        config: &Config,
        store: &S,
        limits: &TxLimits,
        probe: bool,
        now: Instant,
    ) -> Option<Part> {
        let mut part = self.new_text_now(config, store, limits, probe, now)?;
        if self.flight() == 0 {
            // Only now, as time is counted once: it may have been asked for before, and held.
            let cwnd = self.cwnd();
            self.restart_from_idle(config, now);
            if self.cwnd() != cwnd {
                part = self.new_text_now(config, store, limits, probe, now)?;
            }
        }
        self.override_sws = false;
        Some(part)
    }

    /// The same by the congestion window as it is.
    fn new_text_now<S: RecordStore>(
        &mut self,
        config: &Config,
        store: &S,
        limits: &TxLimits,
        probe: bool,
        now: Instant,
    ) -> Option<Part> {
        let seq = self.snd_nxt;
        let end = self.message_end(store, seq);
        let last = end == self.write_seq;
        let waiting = end.since(seq);
        let fin_waiting = self.fin_queued && last && seq.at_or_before(self.write_seq);
        if waiting == 0 && !fin_waiting {
            return None;
        }
        let mss = self.mss32();
        let window = (self.snd_una + self.snd_wnd).since(seq);
        let cwnd = self.cwnd();
        let room = if probe {
            mss
        } else {
            cwnd.saturating_sub(self.pipe())
        };
        let most = if probe || waiting <= mss || self.control == Control::Tell {
            mss
        } else {
            let half = (cwnd / 2).max(mss);
            self.run_at_rate(config, limits.max_run).min(half)
        };
        self.chrono.start(Activity::Busy, now);
        if room >= mss && window < waiting.min(mss) {
            self.chrono.start(Activity::WindowLimited, now);
        } else {
            self.chrono.stop(Activity::WindowLimited, now);
        }
        let allowed = window.min(room).min(most);
        let mut len = whole_segments(waiting, allowed, mss);

        let tail = waiting % mss;
        let hold = !probe && last && len == waiting && tail != 0 && !fin_waiting;
        if hold && self.holds_tail(config) {
            len = len.saturating_sub(tail);
        }
        if len == 0 && window < waiting.min(mss) {
            len = self.silly_window(window.min(waiting), room);
        }
        let fin = fin_waiting && len == waiting && window > len;
        if len == 0 && !fin {
            self.wait_for_window(config, now);
            return None;
        }
        Some(Part {
            seq,
            len,
            fin,
            kind: if probe { Kind::Probe } else { Kind::New },
        })
    }

    /// Where text from `seq` on ends that may go together: with a message of the user, or the queue.
    fn message_end<S: RecordStore>(&self, store: &S, seq: SeqNumber) -> SeqNumber {
        if !self.last_end.after(seq) {
            return self.write_seq;
        }
        store
            .message_end(seq)
            .map_or(self.write_seq, |end| end.min(self.write_seq))
    }

    fn ends_message<S: RecordStore>(&self, store: &S, end: SeqNumber) -> bool {
        self.last_end.at_or_after(end) && self.message_end(store, end - 1) == end
    }

    /// Whether a segment that is not full has to wait: for what the user still has to say, or by
    /// Nagle's algorithm with Minshall's rule as long as another such is not acknowledged
    /// (RFC 9293 3.7.4, RFC 896).
    pub(super) fn holds_tail(&self, config: &Config) -> bool {
        if self.is_urgent() {
            return false;
        }
        let more = (self.more_to_come || config.cork) && !self.override_sws;
        more || (!config.nodelay && self.snd_sml.after(self.snd_una))
    }

    /// The window is smaller than a segment: use it only if it is half of the largest we saw, or if
    /// waiting was in vain (RFC 9293 3.8.6.2.1).
    fn silly_window(&mut self, usable: u32, room: u32) -> u32 {
        let worth = usable >= self.max_snd_wnd / 2 || self.override_sws;
        if usable > 0 && usable <= room && worth {
            usable
        } else {
            0
        }
    }

    /// Nothing is in flight whose acknowledgment could open the window: look after it ourselves.
    fn wait_for_window(&mut self, config: &Config, now: Instant) {
        if self.flight() == 0 && self.retransmit_timer == RetransmitTimer::Off {
            self.backoff = 0;
            self.stalled_since = now;
            self.retransmit_timer = RetransmitTimer::Persist(now + self.rto(config));
        }
    }

    fn send<Q: Queues>(
        &mut self,
        config: &Config,
        part: &Part,
        queues: &mut Q,
        now: Instant,
    ) -> Transmit {
        let again = matches!(part.kind, Kind::Again | Kind::ProbeAgain);
        let mut flags = Flags::ACK;
        // Of several segments the last has it, which helps a peer that merges them, as in Linux.
        let end = part.text_end();
        let pushed = end == self.pushed || part.len > self.mss32();
        if part.len > 0 && (pushed || self.ends_message(queues, end)) {
            flags = flags | Flags::PSH;
        }
        if part.fin {
            flags = flags | Flags::FIN;
        }
        if again {
            self.note_resent(config, part, now);
        } else {
            self.note_sent(config, part, queues, now);
        }
        if self.is_reducing() {
            self.prr.on_sent(part.seq_len());
        }
        self.acks.on_sent(now);
        self.pace(config, part.len, now);
        self.last_sent = now;

        let wnd = self.offer_window(config, queues);
        let mut out = Transmit::bare(part.seq, self.rcv_nxt, flags, wnd);
        out.options.timestamps = self.timestamp(now);
        out.len = part.len;
        out.mss = self.segment_len(part);
        out.retransmission = again;
        out.options.sack = self.blocks(queues);
        self.mark_ecn(&mut out, now);
        self.mark_urgent(&mut out);
        self.acknowledged();
        out
    }

    /// Bytes of text in each of its segments but the last.
    fn segment_len(&self, part: &Part) -> u16 {
        match part.kind {
            Kind::MtuProbe => u16::try_from(part.len).unwrap_or(u16::MAX),
            _ => self.eff_mss,
        }
    }

    fn count_sent(&mut self, part: &Part) -> u32 {
        let mss = u32::from(self.segment_len(part)).max(1);
        let segments = part.len.saturating_sub(1) / mss;
        let segments = segments.saturating_add(1);
        self.totals.sent(part.len, segments);
        segments
    }

    /// New text goes out.
    fn note_sent<S: RecordStore>(
        &mut self,
        config: &Config,
        part: &Part,
        store: &mut S,
        now: Instant,
    ) {
        let segments = self.count_sent(part);
        let idle = self.flight() == 0;
        if idle && !matches!(self.retransmit_timer, RetransmitTimer::Retry(_)) {
            self.stalled_since = now;
        }
        let mut record = Record {
            start: part.seq,
            end: part.end(),
            mss: self.segment_len(part),
            segments: u16::try_from(segments).unwrap_or(u16::MAX),
            in_flight: self.pipe().saturating_add(part.seq_len()),
            ..Record::default()
        };
        self.rate.on_sent(&mut record, idle, now);
        self.scoreboard.push(store, record);
        self.snd_nxt = part.end();
        self.usage.touch();
        if part.kind != Kind::MtuProbe && part.len % self.mss32() != 0 {
            self.snd_sml = part.end();
        }
        if let RetransmitTimer::Persist(_) = self.retransmit_timer {
            self.backoff = 0;
        }
        if part.kind == Kind::Probe {
            self.totals.probes = self.totals.probes.wrapping_add(1);
            self.statistics.note(Statistic::LossProbes);
            self.tlp = Probe::Sent {
                high: self.snd_nxt,
                again: false,
            };
            self.retransmit_timer = RetransmitTimer::Rto(now + self.rto(config));
        } else if !self.arm_probe(config, store, false, now) {
            match self.retransmit_timer {
                RetransmitTimer::Rto(_) | RetransmitTimer::Reorder(_) => {}
                _ => self.rearm_rto(config, store, now),
            }
        }
    }

    /// Text goes out again.
    fn note_resent(&mut self, config: &Config, part: &Part, now: Instant) {
        let segments = self.count_sent(part);
        self.totals.resent(part.len, segments);
        self.mtu_probe.give_up();
        let wait = self.until_user_timeout(config, self.rto(config), now);
        let rto = RetransmitTimer::Rto(now + wait);
        if part.kind == Kind::ProbeAgain {
            self.totals.probes = self.totals.probes.wrapping_add(1);
            self.statistics.note(Statistic::LossProbes);
            self.tlp = Probe::Sent {
                high: self.snd_nxt,
                again: true,
            };
            self.retransmit_timer = rto;
            return;
        }
        self.statistics.add(self.kind_of_resent(), segments);
        let stamp = now.ms_wrapped().wrapping_add(self.ts_offset);
        self.undo.on_resent(segments, stamp);
        let reordering = matches!(self.retransmit_timer, RetransmitTimer::Reorder(_));
        // The first segment, sent again, has its whole time to arrive.
        if part.seq == self.snd_una && !reordering {
            self.retransmit_timer = rto;
        }
    }

    /// How a retransmission that is no probe is counted.
    pub(super) fn kind_of_resent(&self) -> Statistic {
        match self.recovery {
            Recovery::Loss { .. } => Statistic::SlowStartRetrans,
            _ => Statistic::FastRetrans,
        }
    }

    fn send_ack<R: ReceiveQueue>(&mut self, config: &Config, rx: &R, now: Instant) -> Transmit {
        let wnd = self.offer_window(config, rx);
        let mut ack = Transmit::bare(self.acceptable_seq(), self.rcv_nxt, Flags::ACK, wnd);
        ack.options.timestamps = self.timestamp(now);
        self.totals.sent(0, 1);
        ack.options.sack = self.blocks(rx);
        self.mark_ecn(&mut ack, now);
        self.mark_urgent(&mut ack);
        self.acknowledged();
        ack
    }

    /// What of the peer's text is here out of order, after what came twice (RFC 2883). Said of the
    /// latter once only.
    fn blocks<R: ReceiveQueue>(&mut self, rx: &R) -> SackBlocks {
        let mut blocks = SackBlocks::NONE;
        if !self.sack || !self.has_blocks(rx) {
            return blocks;
        }
        if let Some(twice) = self.dsack.take() {
            blocks.push(twice);
        }
        for block in self.waiting(rx).as_slice() {
            blocks.push(*block);
        }
        blocks.truncated(self.most_blocks())
    }

    /// Whether a segment is to carry blocks, if the peer takes them.
    pub(super) fn has_blocks<R: ReceiveQueue>(&self, rx: &R) -> bool {
        self.dsack.is_some() || self.early_fin().is_some() || rx.has_gaps()
    }

    /// The ranges that wait, a FIN among them: with the text before it, else last.
    fn waiting<R: ReceiveQueue>(&self, rx: &R) -> SackBlocks {
        let waiting = rx.sack_blocks();
        match self.early_fin() {
            Some(fin) => waiting.with(SeqRange {
                start: fin,
                end: fin + 1,
            }),
            None => waiting,
        }
    }

    /// As many blocks as an option space has room for.
    fn most_blocks(&self) -> u8 {
        if self.timestamps {
            3
        } else {
            4
        }
    }

    /// Bytes that the next segment's blocks take.
    fn blocks_len<R: ReceiveQueue>(&self, rx: &R) -> u16 {
        if !self.sack || !self.has_blocks(rx) {
            return 0;
        }
        let waiting = self.waiting(rx).as_slice().len() as u16;
        match waiting.saturating_add(self.dsack.is_some().into()) {
            0 => 0,
            n => SACK_LEN.saturating_add(n.min(self.most_blocks().into()).saturating_mul(8)),
        }
    }

    pub(super) fn acknowledged(&mut self) {
        self.acks.on_acknowledged(self.ack_due != AckDue::No);
        self.last_ack_sent = self.rcv_nxt;
        self.ack_due = AckDue::No;
    }
}

/// Why a part of the queue is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// For the first time.
    New,
    /// For the first time, as a loss probe.
    Probe,
    /// For the first time, as one segment that the path may be too narrow for.
    MtuProbe,
    /// Once more: it was lost.
    Again,
    /// Once more, as a loss probe.
    ProbeAgain,
}

/// A part of the queue that is to be sent.
struct Part {
    seq: SeqNumber,
    len: u32,
    fin: bool,
    kind: Kind,
}

impl Part {
    fn text_end(&self) -> SeqNumber {
        self.seq + self.len
    }

    fn end(&self) -> SeqNumber {
        self.text_end() + u32::from(self.fin)
    }

    fn seq_len(&self) -> u32 {
        self.len.saturating_add(u32::from(self.fin))
    }
}

/// As much of `wanted` as is allowed: all of it, or a multiple of the segment size.
fn whole_segments(wanted: u32, allowed: u32, mss: u32) -> u32 {
    if wanted <= allowed {
        wanted
    } else {
        allowed - allowed % mss
    }
}
