// SPDX-License-Identifier: GPL-2.0

//! SEGMENT ARRIVES (RFC 9293 3.10.7), step by step in its order.

use super::config::Config;
use super::events::{Drop, Error, Events};
use super::predict::Candidate;
use super::receive::{Queues, ReceiveQueue};
use super::segment::{Segment, Transmit};
use super::state::State;
use super::statistics::Statistic;
use super::tcb::{AckDue, Control, IdleTimer, RetransmitTimer, Tcb, DEFAULT_MSS, PAWS_IDLE};
use super::time::{Duration, Instant};
use super::time_wait::{Last, TimeWait};

/// Challenge ACKs for each connection and second (RFC 5961 7): so many, and up to as many more as
/// chance has it. The count is the connection's own: one that is shared tells an attacker of others'
/// connections, and one that is known helps to do so (CVE-2016-5696).
const LEAST_CHALLENGES: u8 = 5;

/// Whether processing of a segment goes on.
pub(super) enum Step {
    Next,
    Done,
}

impl Tcb {
    /// A segment arrived. `queues` holds the receive buffer with the text of this segment, and the
    /// records of what was sent.
    pub fn on_segment<Q: Queues>(
        &mut self,
        config: &Config,
        seg: &Segment,
        queues: &mut Q,
        now: Instant,
    ) -> Events {
        let mut events = Events::default();
        let predicted =
            Candidate::of(seg).and_then(|seg| self.on_candidate(config, &seg, queues, now));
        match predicted {
            Some(arrival) => self.tell_arrival(&arrival, &mut events),
            None => self.on_segment_by_steps(config, seg, queues, now, &mut events),
        }
        events
    }

    /// [`Tcb::on_segment`] without a short cut for what is expected, into `events`, which are large:
    /// they are filled where they will be looked at.
    #[inline(never)]
    pub fn on_segment_by_steps<Q: Queues>(
        &mut self,
        config: &Config,
        seg: &Segment,
        queues: &mut Q,
        now: Instant,
        events: &mut Events,
    ) {
        self.totals.arrived(seg.len, seg.merged);
        match self.state {
            State::Closed | State::Listen => events.reply = Transmit::reset_for(seg),
            // The connection lives on in its `TimeWait`.
            State::TimeWait => events.dropped = Some(Drop::Closed),
            State::SynSent => self.in_syn_sent(config, seg, queues, now, events),
            _ => self.in_other_states(config, seg, queues, now, events),
        }
        self.tell(events);
    }

    /// RFC 9293 3.10.7.3.
    fn in_syn_sent<R: ReceiveQueue>(
        &mut self,
        config: &Config,
        seg: &Segment,
        rx: &mut R,
        now: Instant,
        events: &mut Events,
    ) {
        let acks_syn =
            seg.has_ack() && seg.ack.after(self.iss) && seg.ack.at_or_before(self.snd_nxt);
        if seg.has_ack() && !acks_syn {
            events.reply = Transmit::reset_for(seg);
            events.dropped = Some(Drop::BadAck);
            return;
        }
        if seg.has_rst() {
            if acks_syn {
                self.end(Some(Error::Refused), events);
            } else {
                events.dropped = Some(Drop::Challenge);
            }
            return;
        }
        if !seg.has_syn() {
            events.dropped = Some(Drop::BadFlags);
            return;
        }

        self.last_heard = now;
        self.learn_syn(config, seg, now);
        if acks_syn {
            self.ecn_on_syn_ack(config, seg);
            self.establish(config, seg, now, events);
            self.ack_due = AckDue::Now;
            self.receive(config, seg, rx, now, events);
        } else {
            // Simultaneous open (RFC 9293 3.5).
            self.ecn_on_crossing_syn(config, seg);
            self.state = State::SynReceived;
            self.control = Control::Syn;
        }
    }

    /// Takes over what the peer's SYN says.
    pub(super) fn learn_syn(&mut self, config: &Config, seg: &Segment, now: Instant) {
        let options = &seg.options;
        self.rcv_nxt = seg.seq + 1;
        self.last_ack_sent = self.rcv_nxt;
        self.offered(self.rcv_nxt + config.initial_window);
        self.window.furthest = self.rcv_adv;
        self.scaling = self.scaling && options.window_scale.is_some();
        if self.scaling {
            self.snd_scale = options.window_scale.unwrap_or(0);
        } else {
            self.rcv_scale = 0;
        }
        self.sack = self.sack && options.sack_permitted;
        self.timestamps = self.timestamps && options.timestamps.is_some();
        if let Some(ts) = options.timestamps {
            self.ts_recent = ts.val;
            self.ts_recent_at = now;
        }
        self.peer_mss = options.mss.unwrap_or(DEFAULT_MSS);
        self.set_mss(config.mss);
        self.hear_user_timeout(config, seg);
    }

    /// To ESTABLISHED: `seg` acknowledges our SYN.
    pub(super) fn establish(
        &mut self,
        config: &Config,
        seg: &Segment,
        now: Instant,
        events: &mut Events,
    ) {
        let echo = seg.options.timestamps.filter(|ts| ts.ecr != 0);
        let rtt = match self.syn_sent.take() {
            Some(sent) => Some(now.since(sent)),
            // The SYN was repeated: the echo tells which of them this answers.
            None => echo
                .filter(|_| self.timestamps)
                .and_then(|ts| self.stamp_age(ts.ecr, now)),
        };
        if let Some(rtt) = rtt {
            self.rtt.sample(rtt, seg.ack, self.snd_nxt, config.rto_min);
            self.rtt.note_least(rtt, config.min_rtt_window, now);
        } else {
            self.rtt.fall_back();
        }
        if self.is_passive_fast_open() {
            self.complete_fast_open();
        } else {
            let spurious =
                self.timestamps && echo.is_some_and(|ts| self.syn_again.is_first(ts.ecr));
            self.start_congestion(config, spurious, now);
        }
        self.retries = 0;
        self.snd_una = self.iss + 1;
        self.urgent_acked();
        self.snd_wnd = self.window_of(seg);
        self.max_snd_wnd = self.snd_wnd;
        self.snd_wl1 = seg.seq;
        self.snd_sml = self.snd_sml.max(self.snd_una);
        self.backoff = 0;
        self.retransmit_timer = if self.flight() == 0 {
            RetransmitTimer::Off
        } else {
            RetransmitTimer::Rto(now + self.rto(config))
        };
        self.stalled_since = now;
        self.acks.last_text = now;
        if config.keepalive {
            self.idle_timer = IdleTimer::Keepalive(now + config.keepalive_time);
        }
        self.state = if self.fin_queued {
            State::FinWait1
        } else {
            State::Established
        };
        events.connected = true;
        self.after_fast_open(seg, events);
    }

    /// SEG.WND in bytes: the window of a SYN is never scaled (RFC 7323 2.2).
    pub(super) fn window_of(&self, seg: &Segment) -> u32 {
        if seg.has_syn() {
            seg.wnd.into()
        } else {
            self.scaled(seg.wnd)
        }
    }

    /// A window of a segment without SYN, in bytes.
    #[inline]
    pub(super) fn scaled(&self, wnd: u16) -> u32 {
        u32::from(wnd).wrapping_shl(self.snd_scale.into())
    }

    /// RFC 9293 3.10.7.4.
    fn in_other_states<Q: Queues>(
        &mut self,
        config: &Config,
        seg: &Segment,
        queues: &mut Q,
        now: Instant,
        events: &mut Events,
    ) {
        if self.is_fast_open_syn_again(seg) {
            if self.is_ecn_contradicted(config, seg) {
                // The peer's own RST ends it, when it hears of us again.
                events.reply = Transmit::reset_for(seg);
                return;
            }
            self.ecn_on_syn_again(seg);
            if self.may_challenge(Statistic::AckSkippedSeq, now) {
                self.control = Control::Syn;
            }
            return;
        }
        if let Step::Done = self.check_paws(seg, now, events) {
            return;
        }
        if let Step::Done = self.check_sequence(seg, queues, now, events) {
            return;
        }
        for check in [Self::check_rst, Self::check_syn] {
            if let Step::Done = check(self, seg, now, events) {
                return;
            }
        }
        if !seg.has_ack() {
            events.dropped = Some(Drop::BadFlags);
            return;
        }
        if let Step::Done = self.check_ack(config, seg, now, events) {
            return;
        }
        self.last_heard = now;
        self.probes = 0;
        self.ecn_on_arrival(seg);
        self.note_timestamp(seg, now);
        self.hear_user_timeout(config, seg);
        self.acknowledge(config, seg, queues, now, events);
        if matches!(self.state, State::Closed | State::TimeWait) {
            return;
        }
        let expected = self.rcv_nxt;
        self.urgent(config, seg, events);
        self.receive(config, seg, queues, now, events);
        let alive = !matches!(self.state, State::Closed | State::TimeWait);
        if alive && seg.seq_len() > 0 && self.rcv_nxt == expected {
            // Nothing of it was next in turn: the peer has to hear what is (RFC 5681 4.2).
            self.ack_due = AckDue::Now;
        }
    }

    /// Protection against wrapped sequence numbers (RFC 7323 5.3 R1).
    fn check_paws(&mut self, seg: &Segment, now: Instant, events: &mut Events) -> Step {
        let Some(ts) = seg
            .options
            .timestamps
            .filter(|_| self.timestamps && !seg.has_rst())
        else {
            return Step::Next;
        };
        let old = ts.is_older_than(self.ts_recent);
        if !old || now.since(self.ts_recent_at) >= PAWS_IDLE {
            return Step::Next;
        }
        self.owe_ack(seg, Statistic::AckSkippedPaws, now, events);
        events.dropped = Some(Drop::Paws);
        Step::Done
    }

    /// First, the sequence number (RFC 9293 3.10.7.4). As in Linux what ends between the last
    /// acknowledgment sent and RCV.NXT is let pass for the sake of its acknowledgment; and text that
    /// begins within the window but ends beyond only while there is no other to be read.
    fn check_sequence<R: ReceiveQueue>(
        &mut self,
        seg: &Segment,
        rx: &R,
        now: Instant,
        events: &mut Events,
    ) -> Step {
        let edge = self.rcv_edge();
        let old = seg.seq_end().before(self.last_ack_sent);
        let fits = (seg.seq_end() - u32::from(seg.has_fin())).at_or_before(edge);
        let begins = seg.seq.at_or_before(edge);
        if !old && (fits || (begins && rx.is_empty())) || self.is_rst_at_fin(seg) {
            return Step::Next;
        }
        if !seg.has_rst() {
            self.owe_ack(seg, Statistic::AckSkippedSeq, now, events);
        }
        events.dropped = Some(if old {
            Drop::OutOfWindow
        } else {
            Drop::BeyondWindow
        });
        Step::Done
    }

    /// Some stacks reset what they have closed with the number of their FIN. As in Linux it counts
    /// where the FIN has been taken, else a writer would fill its buffer for a peer that is gone.
    fn is_rst_at_fin(&self, seg: &Segment) -> bool {
        let taken = matches!(
            self.state,
            State::CloseWait | State::Closing | State::LastAck
        );
        taken && seg.has_rst() && seg.seq + 1 == self.rcv_nxt
    }

    /// Second, RST: only an exact one resets, another in the window is challenged (RFC 5961 3.2).
    fn check_rst(&mut self, seg: &Segment, now: Instant, events: &mut Events) -> Step {
        if !seg.has_rst() {
            return Step::Next;
        }
        if seg.seq != self.rcv_nxt && !self.is_rst_at_fin(seg) {
            if seg
                .seq
                .in_range(self.rcv_nxt, self.rcv_nxt + self.rcv_wnd())
            {
                events.reply = self.challenge(Statistic::AckSkippedChallenge, now);
            }
            events.dropped = Some(Drop::Challenge);
            return Step::Done;
        }
        let error = match self.state {
            State::SynReceived if !self.is_passive_fast_open() => Error::Refused,
            State::CloseWait => Error::BrokenPipe,
            _ => Error::Reset,
        };
        self.end(Some(error), events);
        Step::Done
    }

    /// Fourth, SYN: challenged (RFC 5961 4.2), but for the two that belong to a simultaneous open.
    fn check_syn(&mut self, seg: &Segment, now: Instant, events: &mut Events) -> Step {
        if !seg.has_syn() {
            return Step::Next;
        }
        if self.state == State::SynReceived && seg.seq + 1 == self.rcv_nxt {
            if seg.has_ack() {
                return Step::Next;
            }
            self.ecn_on_syn_again(seg);
            self.control = Control::Syn;
            return Step::Done;
        }
        self.statistics.note(Statistic::SynChallenge);
        self.ecn_on_late_syn(Some(seg));
        events.reply = self.challenge(Statistic::AckSkippedChallenge, now);
        self.ecn_on_late_syn(None);
        events.dropped = Some(Drop::Challenge);
        Step::Done
    }

    /// Fifth, ACK: what is acknowledged must have been sent, and not too long ago (RFC 5961 5.2).
    fn check_ack(
        &mut self,
        config: &Config,
        seg: &Segment,
        now: Instant,
        events: &mut Events,
    ) -> Step {
        if self.state == State::SynReceived {
            if seg.ack.after(self.snd_una) && seg.ack.at_or_before(self.snd_nxt) {
                self.establish(config, seg, now, events);
                self.ecn_on_crossing_ack(seg);
                return Step::Next;
            }
            events.reply = Transmit::reset_for(seg);
            events.dropped = Some(Drop::BadAck);
            return Step::Done;
        }
        // As in Linux nothing is acceptable that is older than the connection.
        let oldest = self.snd_una - self.totals.acknowledged_before(self.max_snd_wnd);
        if seg.ack.after(self.snd_nxt) || seg.ack.before(oldest) {
            events.reply = self.challenge(Statistic::AckSkippedChallenge, now);
            events.dropped = Some(Drop::BadAck);
            return Step::Done;
        }
        Step::Next
    }

    /// TS.Recent (RFC 7323 4.3): only from a segment that begins at or before what was last
    /// acknowledged.
    fn note_timestamp(&mut self, seg: &Segment, now: Instant) {
        let Some(ts) = seg.options.timestamps.filter(|_| self.timestamps) else {
            return;
        };
        let newer = !ts.is_older_than(self.ts_recent);
        let stale = now.since(self.ts_recent_at) >= PAWS_IDLE;
        if (newer || stale) && seg.seq.at_or_before(self.last_ack_sent) {
            self.ts_recent = ts.val;
            self.ts_recent_at = now;
        }
    }

    /// An unacceptable segment is answered with an acknowledgment: at once when it has text, else,
    /// and before the connection is open, within the limit, so that two confused ends do not answer
    /// each other for ever.
    fn owe_ack(&mut self, seg: &Segment, skipped: Statistic, now: Instant, events: &mut Events) {
        if seg.len > 0 && !seg.has_syn() && self.state.is_synchronized() {
            self.note_duplicate(seg.text_start(), seg.text_start() + seg.len);
            self.ack_due = AckDue::Now;
        } else if self.state.is_synchronized() && !seg.has_syn() {
            // It may be a probe of a closed window, which asks for what it is now.
            if self.may_challenge(skipped, now) {
                self.ack_due = AckDue::Now;
            }
        } else {
            events.reply = self.challenge(skipped, now);
        }
    }

    /// A challenge ACK, if the limit allows one; else `skipped` is counted.
    fn challenge(&mut self, skipped: Statistic, now: Instant) -> Option<Transmit> {
        self.may_challenge(skipped, now).then(|| self.bare_ack(now))
    }

    fn may_challenge(&mut self, skipped: Statistic, now: Instant) -> bool {
        if now.since(self.challenge_since) >= Duration::from_secs(1) {
            self.challenge_since = now;
            self.challenges = 0;
        }
        if self.challenges >= self.most_challenges() {
            self.statistics.note(skipped);
            return false;
        }
        self.challenges += 1;
        true
    }

    /// How many challenge ACKs there may be in the second that has begun, drawn from its begin and
    /// from the ISS, which nobody off the path knows.
    fn most_challenges(&self) -> u8 {
        let second = (self.challenge_since.us() >> 16) as u32;
        // Fibonacci hashing: the high bits depend on all of both.
        let drawn = (self.iss.0 ^ second).wrapping_mul(0x9e37_79b1) >> 24;
        LEAST_CHALLENGES + drawn as u8 % (LEAST_CHALLENGES + 1)
    }

    /// To CLOSED.
    pub(super) fn end(&mut self, error: Option<Error>, events: &mut Events) {
        self.state = State::Closed;
        self.retransmit_timer = RetransmitTimer::Off;
        self.idle_timer = IdleTimer::Off;
        self.ack_due = AckDue::No;
        self.control = Control::None;
        events.error = error;
        events.closed = true;
    }

    /// To TIME-WAIT.
    pub(super) fn enter_time_wait(&mut self, config: &Config, now: Instant, events: &mut Events) {
        let wnd = self.offer_again();
        let last = Last {
            snd_nxt: self.snd_nxt,
            rcv_nxt: self.rcv_nxt,
            wnd,
            ts_recent: self.timestamps.then_some(self.ts_recent),
            ts_offset: self.ts_offset,
        };
        self.state = State::TimeWait;
        self.retransmit_timer = RetransmitTimer::Off;
        self.idle_timer = IdleTimer::Off;
        self.ack_due = AckDue::No;
        self.control = Control::None;
        events.time_wait = Some(TimeWait::new(last, config, now));
    }
}
