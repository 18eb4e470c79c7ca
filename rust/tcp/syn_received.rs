// SPDX-License-Identifier: GPL-2.0

//! A passive open: from the SYN at a listener to the ACK that makes a connection. Until then it is
//! a small entry in the listener's SYN queue, not a control block.

use super::config::{Config, Identity, Terms};
use super::ecn_handshake::PassiveEcn;
use super::events::Events;
use super::options::Options;
use super::rate_limit::RateLimit;
use super::rtt::INITIAL_RTO;
use super::segment::{Flags, Segment, Transmit};
use super::seq::SeqNumber;
use super::state::State;
use super::tcb::{SynAgain, Tcb, DEFAULT_MSS};
use super::time::Instant;

/// What a listener does with a segment that belongs to no connection (RFC 9293 3.10.7.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ListenVerdict {
    /// Drop it.
    Ignore,
    /// Answer with this RST.
    Reset(Transmit),
    /// A SYN: a connection may be begun by [`SynReceived::new`].
    Open,
}

/// Judges a segment at a listener.
pub fn on_listen(seg: &Segment) -> ListenVerdict {
    if seg.has_rst() {
        return ListenVerdict::Ignore;
    }
    if seg.has_ack() {
        return Transmit::reset_for(seg).map_or(ListenVerdict::Ignore, ListenVerdict::Reset);
    }
    if seg.has_syn() && !seg.has_fin() {
        ListenVerdict::Open
    } else {
        ListenVerdict::Ignore
    }
}

/// What is known of when the SYN-ACK was sent that an acknowledgment answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sent {
    /// At its time, and again at those of the timer.
    ByTimer,
    /// At others too, since the SYN came again: the peer's stamp alone can tell (RFC 6298 3).
    Also,
    /// Not even by that: it was a cookie.
    Unknown,
}

/// A connection in SYN-RECEIVED that a listener began.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SynReceived {
    /// When the SYN-ACK is to be sent again.
    deadline: Instant,
    iss: SeqNumber,
    irs: SeqNumber,
    ts_recent: u32,
    ts_offset: u32,
    peer_mss: u16,
    /// MSS that we announced: the path's.
    mss: u16,
    peer_scale: Option<u8>,
    /// The scale of our windows that we announced, if the peer has one.
    scale: u8,
    timestamps: bool,
    sack: bool,
    /// SYN-ACKs sent again.
    retries: u8,
    sent: Sent,
    /// The peer has acknowledged the SYN-ACK, but had nothing to say yet.
    acked: bool,
    answered: RateLimit,
    ecn: PassiveEcn,
}

/// What to do with a segment for an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Drop it.
    Ignore,
    /// The SYN came again: so does the SYN-ACK, after [`SynReceived::on_syn_again`].
    SynAck,
    /// Send this acknowledgment or RST; the entry stays.
    Reply(Transmit),
    /// The peer gave up: remove the entry.
    Remove,
    /// The handshake is complete: [`SynReceived::into_tcb`].
    Complete,
}

/// What the passing of time means to an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimerVerdict {
    /// It is not time yet.
    NotYet,
    /// Send the SYN-ACK again.
    SynAck,
    /// Nobody answers: remove the entry.
    GiveUp,
}

impl SynReceived {
    /// Begins a connection by a SYN; `config.mss` is what we announce on this path.
    pub fn new(config: &Config, syn: &Segment, ids: Identity, now: Instant) -> Self {
        Self::on(config, &config.terms(), syn, ids, now)
    }

    /// The same on a path with these `terms` instead of those of `config`.
    #[inline]
    pub fn on(config: &Config, terms: &Terms, syn: &Segment, ids: Identity, now: Instant) -> Self {
        let options = &syn.options;
        let timestamps = options.timestamps.filter(|_| config.timestamps);
        Self {
            deadline: now + INITIAL_RTO,
            iss: ids.iss,
            irs: syn.seq,
            ts_recent: timestamps.map_or(0, |ts| ts.val),
            ts_offset: ids.ts_offset,
            peer_mss: options.mss.unwrap_or(DEFAULT_MSS),
            mss: terms.mss,
            peer_scale: options.window_scale.filter(|_| config.window_scaling),
            scale: config.window_scale,
            timestamps: timestamps.is_some(),
            sack: options.sack_permitted && config.sack,
            retries: 0,
            sent: Sent::ByTimer,
            acked: false,
            answered: RateLimit::default(),
            ecn: PassiveEcn::new(&terms.ecn, syn),
        }
    }

    /// The SYN-ACK was sent at a time that is not known, so that no round trip can be measured.
    pub(super) fn forget_when_sent(&mut self) {
        self.sent = Sent::Unknown;
    }

    /// The peer has acknowledged the SYN-ACK, but there is no room, or no text, for a connection.
    pub fn note_acked(&mut self) {
        self.acked = true;
    }

    /// Our initial sequence number.
    pub fn iss(&self) -> SeqNumber {
        self.iss
    }

    /// When [`SynReceived::on_timer`] wants to be called.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// SYN-ACKs sent again so far.
    pub fn retries(&self) -> u8 {
        self.retries
    }

    /// MSS that we announced, bytes.
    pub fn mss(&self) -> u16 {
        self.mss
    }

    /// Whether timestamps are in use.
    pub fn timestamps(&self) -> bool {
        self.timestamps
    }

    fn window(config: &Config) -> u16 {
        config.initial_window.min(65535) as u16
    }

    /// The SYN-ACK.
    pub fn syn_ack(&self, config: &Config, now: Instant) -> Transmit {
        self.syn_ack_on(config, &config.terms(), now)
    }

    /// The same on a path with these `terms` instead of those of `config`.
    pub fn syn_ack_on(&self, config: &Config, terms: &Terms, now: Instant) -> Transmit {
        let flags = Flags::SYN | Flags::ACK;
        let window = terms.window.min(65535) as u16;
        let mut out = Transmit::bare(self.iss, self.irs + 1, flags, window);
        out.options = Options {
            mss: Some(self.mss),
            window_scale: self.peer_scale.map(|_| self.scale),
            sack_permitted: self.sack,
            timestamps: self.timestamp(now),
            ..Options::default()
        };
        out.retransmission = self.retries > 0;
        self.ecn.mark(&terms.ecn, &mut out);
        if !out.retransmission && self.sent == Sent::ByTimer {
            out.options.add_user_timeout(config.advertised());
        }
        out
    }

    fn timestamp(&self, now: Instant) -> Option<super::options::Timestamps> {
        self.timestamps.then(|| super::options::Timestamps {
            val: now.ms_wrapped().wrapping_add(self.ts_offset),
            ecr: self.ts_recent,
        })
    }

    fn ack(&self, config: &Config, now: Instant) -> Transmit {
        // Scaled, as that of every segment without SYN (RFC 7323 2.3); rounded up, or it would shrink.
        let scale = self.peer_scale.map_or(0, |_| self.scale);
        let wnd = Self::window(config).div_ceil(1 << scale);
        let mut ack = Transmit::bare(self.iss + 1, self.irs + 1, Flags::ACK, wnd);
        ack.options.timestamps = self.timestamp(now);
        ack
    }

    /// Whether a segment that should not be, and so a SYN that comes again, may be answered now;
    /// a RST always may.
    pub fn may_answer(&mut self, config: &Config, verdict: &Verdict, now: Instant) -> bool {
        match verdict {
            Verdict::Reply(out) if out.flags.has(Flags::RST) => true,
            _ => self.answered.allows(config.invalid_ratelimit, now),
        }
    }

    /// Whether `seg` is what nearly every handshake ends with: the acknowledgment of the SYN-ACK,
    /// with the first number of the peer. [`SynReceived::on_segment`] would say the same of it.
    #[inline]
    pub fn is_completed_by(&self, seg: &Segment) -> bool {
        let plain = seg.flags.without(Flags::PSH) == Flags::ACK;
        let stamp = seg.options.timestamps.filter(|_| self.timestamps);
        let paws = stamp.is_some_and(|ts| ts.is_older_than(self.ts_recent));
        plain && seg.seq == self.irs + 1 && seg.ack == self.iss + 1 && !paws
    }

    /// A segment between the ends of the entry (RFC 9293 3.10.7.4 in SYN-RECEIVED).
    pub fn on_segment(&self, config: &Config, seg: &Segment, now: Instant) -> Verdict {
        let rcv_nxt = self.irs + 1;
        let ack = Verdict::Reply(self.ack(config, now));
        let old = seg
            .options
            .timestamps
            .filter(|_| self.timestamps && !seg.has_rst());
        let paws = old.is_some_and(|ts| ts.is_older_than(self.ts_recent));
        if seg.has_syn() && !seg.has_ack() && !seg.has_rst() && seg.seq == self.irs && !paws {
            return if self.ecn.is_contradicted(&config.ecn, seg) {
                let mut reset = self.ack(config, now);
                reset.flags = reset.flags | Flags::RST;
                // The peer's own RST removes the entry, when it hears of us again.
                Verdict::Reply(reset)
            } else {
                Verdict::SynAck
            };
        }
        let edge = rcv_nxt + config.initial_window.min(65535);
        let acceptable = seg.seq.at_or_before(edge) && seg.seq_end().at_or_after(rcv_nxt);
        if paws || !acceptable {
            return if seg.has_rst() { Verdict::Ignore } else { ack };
        }
        if seg.has_rst() {
            return if seg.seq == rcv_nxt {
                Verdict::Remove
            } else {
                // RFC 5961 3.2.
                ack
            };
        }
        if seg.has_syn() {
            return ack;
        }
        if !seg.has_ack() {
            return Verdict::Ignore;
        }
        if seg.ack != self.iss + 1 {
            return Transmit::reset_for(seg).map_or(Verdict::Ignore, Verdict::Reply);
        }
        Verdict::Complete
    }

    /// Notes that the SYN came again, and that the SYN-ACK therefore does: to be called on
    /// [`Verdict::SynAck`], before [`SynReceived::syn_ack`].
    pub fn on_syn_again(&mut self, syn: &Segment) {
        self.ecn.on_syn(syn, self.retries);
        if self.sent == Sent::ByTimer {
            self.sent = Sent::Also;
        }
    }

    /// Time has passed; the SYN-ACK goes out at most `config.synack_retries` times again.
    pub fn on_timer(&mut self, config: &Config, now: Instant) -> TimerVerdict {
        if now < self.deadline {
            return TimerVerdict::NotYet;
        }
        let waits = self.acked && self.retries < config.defer_accept;
        if self.retries >= config.synack_retries && !waits {
            return TimerVerdict::GiveUp;
        }
        // At the end of the wait the peer has a last chance to say that it is there.
        let silent = waits && self.retries + 1 < config.defer_accept;
        self.ecn.on_again(self.retries);
        self.retries = self.retries.saturating_add(1);
        self.deadline = now + INITIAL_RTO.backed_off(self.retries, config.rto_max);
        if silent {
            TimerVerdict::NotYet
        } else {
            TimerVerdict::SynAck
        }
    }

    /// The control block of the connection that `seg` completes, in ESTABLISHED. The segment is
    /// then to be given to [`Tcb::on_segment`] for its text and FIN.
    pub fn into_tcb(self, config: &Config, seg: &Segment, now: Instant) -> Tcb {
        let mut tcb = self.tcb(config, now);
        self.complete(&mut tcb, config, seg, now);
        tcb
    }

    /// A control block for [`SynReceived::complete`]. They are apart so that the block, which is
    /// large, can be made where it is to be.
    #[inline(always)]
    pub fn tcb(&self, config: &Config, now: Instant) -> Tcb {
        let ids = Identity {
            iss: self.iss,
            ts_offset: self.ts_offset,
        };
        Tcb::new(State::SynReceived, config, ids, now)
    }

    /// Makes of the block what [`SynReceived::into_tcb`] gives.
    pub fn complete(&self, tcb: &mut Tcb, config: &Config, seg: &Segment, now: Instant) {
        let syn = Segment {
            seq: self.irs,
            flags: Flags::SYN,
            options: Options {
                mss: Some(self.peer_mss),
                window_scale: self.peer_scale,
                sack_permitted: self.sack,
                timestamps: self.timestamps.then_some(super::options::Timestamps {
                    val: self.ts_recent,
                    ecr: 0,
                }),
                ..Options::default()
            },
            ..Segment::default()
        };
        // What was agreed on, whatever the listener's settings are by now.
        tcb.scaling = self.peer_scale.is_some();
        tcb.rcv_scale = self.scale;
        tcb.sack = self.sack;
        tcb.timestamps = self.timestamps;
        tcb.learn_syn(config, &syn, now);
        tcb.snd_nxt = self.iss + 1;
        let waited = INITIAL_RTO.backed_off(self.retries, config.rto_max);
        let last_sent = self.deadline - waited;
        if self.retries == 0 {
            tcb.syn_sent = (self.sent == Sent::ByTimer).then_some(last_sent);
        } else if self.sent != Sent::Unknown {
            // Each wait was twice the one before, up to a limit.
            let first_sent = (0..self.retries).fold(last_sent, |at, n| {
                at - INITIAL_RTO.backed_off(n, config.rto_max)
            });
            tcb.backoff = self.retries;
            tcb.syn_again = SynAgain {
                times: self.retries,
                first: first_sent.ms_wrapped().wrapping_add(self.ts_offset),
            };
        }
        let (mode, marked) = self.ecn.into_mode(&config.ecn, seg);
        tcb.ecn.mode = mode;
        tcb.ecn.count_delivered_ce(u32::from(marked));
        let mut events = Events::default();
        if self.sent != Sent::Unknown {
            return tcb.establish(config, seg, now, &mut events);
        }
        let mut ack = *seg;
        if let Some(ts) = &mut ack.options.timestamps {
            // A cookie's timestamp is none to measure by.
            ts.ecr = 0;
        }
        tcb.establish(config, &ack, now, &mut events);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_small() {
        assert!(core::mem::size_of::<SynReceived>() <= 48);
    }

    fn entry() -> SynReceived {
        let syn = Segment {
            flags: Flags::SYN,
            seq: SeqNumber(5000),
            ..Segment::default()
        };
        let ids = Identity {
            iss: SeqNumber(1000),
            ts_offset: 0,
        };
        SynReceived::new(&Config::default(), &syn, ids, Instant::default())
    }

    fn segment(flags: Flags, seq: u32, ack: u32) -> Segment {
        Segment {
            flags,
            seq: SeqNumber(seq),
            ack: SeqNumber(ack),
            ..Segment::default()
        }
    }

    #[test]
    fn a_syn_that_comes_again_is_answered_twice_a_second() {
        let (mut entry, config) = (entry(), Config::default());
        let syn = segment(Flags::SYN, 5000, 0);
        let answered = (0..2000u64).filter(|ms| {
            let now = Instant::from_us(1_000_000 + ms * 1000);
            let verdict = entry.on_segment(&config, &syn, now);
            assert_eq!(verdict, Verdict::SynAck);
            entry.may_answer(&config, &verdict, now)
        });
        assert_eq!(answered.count(), 4);
    }

    #[test]
    fn a_rst_is_sent_whatever_was_sent_before() {
        let (mut entry, config) = (entry(), Config::default());
        let now = Instant::from_us(1_000_000);
        let wrong = segment(Flags::ACK, 5001, 77);
        for _ in 0..10 {
            let verdict = entry.on_segment(&config, &wrong, now);
            assert!(matches!(verdict, Verdict::Reply(out) if out.flags == Flags::RST));
            assert!(entry.may_answer(&config, &verdict, now));
        }
    }

    #[test]
    fn a_rst_that_is_not_exact_is_challenged() {
        let (entry, config) = (entry(), Config::default());
        let verdict = entry.on_segment(&config, &segment(Flags::RST, 5002, 0), Instant::default());
        let Verdict::Reply(ack) = verdict else {
            panic!("{verdict:?}");
        };
        assert_eq!(
            (ack.flags, ack.seq, ack.ack),
            (Flags::ACK, SeqNumber(1001), SeqNumber(5001))
        );
    }

    #[test]
    fn an_exact_rst_ends_it_and_one_beyond_the_window_does_nothing() {
        let (entry, config) = (entry(), Config::default());
        let verdict =
            |seq| entry.on_segment(&config, &segment(Flags::RST, seq, 0), Instant::default());
        assert_eq!(verdict(5001), Verdict::Remove);
        assert_eq!(verdict(5001 + 70_000), Verdict::Ignore);
        assert_eq!(verdict(4000), Verdict::Ignore);
    }
}
