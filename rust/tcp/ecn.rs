// SPDX-License-Identifier: GPL-2.0

//! Explicit congestion notification: what a connection has negotiated, classic feedback (RFC 3168),
//! and the answer to marks. Accurate feedback (RFC 9768) is in [`super::accecn`], the negotiation
//! in [`super::ecn_handshake`].

use super::accecn::AccEcn;
use super::accecn_option::EcnBytes;
use super::news::News;
use super::pack::packed;
use super::recovery::Recovery;
use super::segment::{Flags, Segment, Transmit};
use super::seq::SeqNumber;
use super::tcb::{AckDue, Tcb};
use super::time::Instant;

/// Acknowledgments that are not delayed once a mark, or a retransmission, was seen: the sender may
/// have a window of one segment.
const QUICK_ACKS_AFTER_MARK: u8 = 2;

/// The ECN field of an IP header (RFC 3168 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Ecn {
    /// The sender's transport is not capable of ECN.
    #[default]
    NotEct = 0,
    /// Capable: ECT(1).
    Ect1 = 1,
    /// Capable: ECT(0).
    Ect0 = 2,
    /// Congestion experienced.
    Ce = 3,
}

packed!(enum Ecn { 0 => NotEct, 1 => Ect1, 2 => Ect0, 3 => Ce });

impl Ecn {
    /// The field of an IPv4 TOS byte.
    pub const fn from_tos(tos: u8) -> Self {
        match tos & 3 {
            0 => Self::NotEct,
            1 => Self::Ect1,
            2 => Self::Ect0,
            _ => Self::Ce,
        }
    }

    /// As bits of a TOS byte.
    pub const fn bits(self) -> u8 {
        self as u8
    }
}

/// How much feedback of marks an end asks for or grants.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Feedback {
    /// None: no ECN.
    #[default]
    None,
    /// Once a window (RFC 3168).
    Classic,
    /// How many marks there were (RFC 9768).
    Accurate,
}

packed!(enum Feedback { 0 => None, 1 => Classic, 2 => Accurate });

/// When the Accurate ECN option is sent (`tcp_ecn_option`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum OptionUse {
    /// Never.
    Never,
    /// Where RFC 9768 demands it.
    Least,
    /// Always, until there is a sign that a middlebox minds.
    #[default]
    Always,
    /// Always.
    Persistent,
}

packed!(enum OptionUse { 0 => Never, 1 => Least, 2 => Always, 3 => Persistent });

impl OptionUse {
    /// By Linux's number.
    pub const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Never,
            1 => Self::Least,
            2 => Self::Always,
            _ => Self::Persistent,
        }
    }
}

/// What the user set for ECN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EcnConfig {
    /// The most we ask for when we connect.
    pub request: Feedback,
    /// The most we grant to who connects to us.
    pub accept: Feedback,
    /// Try without ECN where it seems to be what is lost or mangled (`tcp_ecn_fallback`).
    pub fallback: bool,
    /// When the Accurate ECN option is sent.
    pub option: OptionUse,
    /// How often for each round trip the option is sent at least, 0 for no such rule
    /// (`tcp_ecn_option_beacon`).
    pub beacon: u8,
}

packed!(struct EcnConfig { request, accept, fallback, option, beacon });

impl EcnConfig {
    /// By Linux's number of the mode (`tcp_ecn`).
    pub fn with_mode(self, mode: u8) -> Self {
        let (accept, request) = match mode {
            0 => (Feedback::None, Feedback::None),
            1 => (Feedback::Classic, Feedback::Classic),
            2 => (Feedback::Classic, Feedback::None),
            3 => (Feedback::Accurate, Feedback::Accurate),
            4 => (Feedback::Accurate, Feedback::Classic),
            _ => (Feedback::Accurate, Feedback::None),
        };
        Self {
            request,
            accept,
            ..self
        }
    }

    /// For a path whose route says that ECN works there (`ip route ... features ecn`).
    pub fn with_capable_path(self) -> Self {
        Self {
            request: self.request.max(Feedback::Classic),
            accept: self.accept.max(Feedback::Classic),
            ..self
        }
    }
}

impl Default for EcnConfig {
    fn default() -> Self {
        Self {
            request: Feedback::None,
            accept: Feedback::Classic,
            fallback: true,
            option: OptionUse::default(),
            beacon: 3,
        }
    }
}

/// Classic feedback.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Classic {
    /// A mark came: ECE is set until the peer says CWR.
    pub(super) echo: bool,
    /// We have reduced the window: CWR is set on the next new text.
    pub(super) reduced: bool,
    /// A SYN or SYN-ACK of either end said nothing of ECN, and may be the one that the other end goes
    /// by: no text of ours is ECN-capable (RFC 3168 6.1.1).
    pub(super) doubtful: bool,
}

packed!(struct Classic { echo, reduced, doubtful });

impl Classic {
    pub(super) fn new(doubtful: bool) -> Self {
        Self {
            doubtful,
            ..Self::default()
        }
    }
}

/// What was negotiated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// No ECN.
    Off,
    /// We asked for it in our SYN.
    Requested(Feedback),
    /// RFC 3168.
    Classic(Classic),
    /// RFC 9768.
    Accurate(AccEcn),
}

packed!(enum Mode { 0 => Off, 1 => Requested(asked), 2 => Classic(bits), 3 => Accurate(counters) });

/// ECN on a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct EcnState {
    pub(super) mode: Mode,
    /// The peer has sent something ECN-capable.
    pub(super) seen: bool,
    /// Timestamps moved with the segment that is being processed.
    ts_progress: bool,
    /// Segments of ours that were delivered with a mark, as far as the peer tells (wraps).
    delivered_ce: u32,
}

packed!(struct EcnState { mode, seen, ts_progress, delivered_ce });

impl EcnState {
    pub(super) const fn new() -> Self {
        Self {
            mode: Mode::Off,
            seen: false,
            ts_progress: false,
            delivered_ce: 0,
        }
    }

    /// The congestion window is being, or was, reduced: the peer may stop its echo (RFC 3168
    /// 6.1.2).
    pub(super) fn on_reduction(&mut self) {
        if let Mode::Classic(classic) = &mut self.mode {
            classic.reduced = true;
        }
    }

    /// The reduction was a mistake and is undone.
    pub(super) fn withdraw_reduction(&mut self) {
        if let Mode::Classic(classic) = &mut self.mode {
            classic.reduced = false;
        }
    }

    pub(super) fn count_delivered_ce(&mut self, segments: u32) {
        self.delivered_ce = self.delivered_ce.wrapping_add(segments);
    }
}

/// What of ECN on a connection others may want to know (`TCP_INFO`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EcnInfo {
    /// What is in use.
    pub feedback: Feedback,
    /// Accurate feedback was asked for, and there is no answer yet.
    pub pending: bool,
    /// The peer has sent something ECN-capable.
    pub seen: bool,
    /// Segments of ours that were delivered with a mark.
    pub delivered_ce: u32,
    /// Segments that came with a mark (accurate feedback alone).
    pub received_ce: u32,
    /// Bytes of ours that were delivered, as far as the peer tells.
    pub delivered: EcnBytes,
    /// Bytes that came.
    pub received: EcnBytes,
    /// What went wrong with Accurate ECN, as Linux's `TCP_ACCECN_*_FAIL_*` bits.
    pub failures: u8,
    /// Which Accurate ECN option was seen, as Linux's `TCP_ACCECN_OPT_*_SEEN`.
    pub option_seen: u8,
}

/// What an acknowledgment has delivered, for feedback.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Delivered {
    /// Bytes newly acknowledged, cumulatively or selectively.
    pub(super) bytes: u32,
    /// Segments that these were, as far as is known.
    pub(super) segments: u32,
    /// Bytes of a full segment.
    pub(super) mss: u32,
    /// What the peer selectively acknowledges is known, or there was no loss.
    pub(super) reliable: bool,
}

impl Tcb {
    /// ECN on this connection.
    pub fn ecn(&self) -> EcnInfo {
        let ecn = &self.ecn;
        let info = EcnInfo {
            seen: ecn.seen,
            delivered_ce: ecn.delivered_ce,
            ..EcnInfo::default()
        };
        match &ecn.mode {
            Mode::Off => info,
            Mode::Requested(feedback) => EcnInfo {
                feedback: (*feedback).min(Feedback::Classic),
                pending: *feedback == Feedback::Accurate,
                ..info
            },
            Mode::Classic(_) => EcnInfo {
                feedback: Feedback::Classic,
                ..info
            },
            Mode::Accurate(accecn) => accecn.info(info),
        }
    }

    /// Marks an outgoing segment, but for a SYN: its IP header's field, ECE, CWR and the Accurate
    /// ECN option. Every segment comes here last.
    pub(super) fn mark_ecn(&mut self, out: &mut Transmit, now: Instant) {
        match &mut self.ecn.mode {
            Mode::Off | Mode::Requested(_) => {}
            Mode::Classic(classic) => {
                // RFC 3168 6.1.4, 6.1.5: neither acknowledgments nor retransmissions nor probes.
                if out.len > 0 && !out.retransmission {
                    if !classic.doubtful {
                        out.ecn = Ecn::Ect0;
                    }
                    if core::mem::take(&mut classic.reduced) {
                        out.flags = out.flags | Flags::CWR;
                    }
                }
                if classic.echo {
                    out.flags = out.flags | Flags::ECE;
                }
            }
            Mode::Accurate(accecn) => {
                let una = self.snd_una;
                let first = una == self.iss + 1 && self.scoreboard.fack(una) == una;
                accecn.mark(out, (self.snd_nxt, first), self.rtt.srtt(), now);
            }
        }
    }

    /// When the Accurate ECN option is sent, from now on. `option` is asked for where it matters.
    pub fn set_ecn_option(&mut self, option: impl FnOnce() -> OptionUse) {
        if let Mode::Accurate(accecn) = &mut self.ecn.mode {
            accecn.option = option();
        }
    }

    /// Bytes that the Accurate ECN option takes of a segment of text now.
    pub(super) fn ecn_option_len(&self, now: Instant) -> u16 {
        match &self.ecn.mode {
            Mode::Accurate(accecn) => accecn.option_len(self.rtt.srtt(), now),
            _ => 0,
        }
    }

    /// An acceptable segment arrived in a synchronized state; before TS.Recent takes its stamp.
    pub(super) fn ecn_on_arrival(&mut self, seg: &Segment) {
        if let Mode::Off | Mode::Requested(_) = self.ecn.mode {
            return;
        }
        let stamp = seg.options.timestamps.filter(|_| self.timestamps);
        self.ecn.ts_progress = stamp.is_some_and(|ts| {
            let in_turn = seg.seq.at_or_before(self.last_ack_sent);
            in_turn && SeqNumber(ts.val).after(SeqNumber(self.ts_recent))
        });
        match &mut self.ecn.mode {
            Mode::Off | Mode::Requested(_) => {}
            Mode::Classic(classic) => {
                // As in Linux on any segment: some stacks set it on bare acknowledgments.
                if seg.flags.has(Flags::CWR) {
                    classic.echo = false;
                    if seg.seq_len() > 0 {
                        self.ack_due = AckDue::Now;
                    }
                }
            }
            Mode::Accurate(accecn) => {
                self.ecn.seen |= seg.ecn != Ecn::NotEct;
                let waiting = self.rcv_nxt != self.last_ack_sent;
                let due = accecn.receive(seg, waiting);
                let bare = seg.seq_len() == 0 && !waiting;
                // RFC 9768 3.2.2.5.1: without SACK the peer would take the acknowledgment of an
                // acknowledgment for a duplicate.
                if !due || (bare && (!self.sack || self.ack_due == AckDue::Now)) {
                    return;
                }
                if bare {
                    accecn.acknowledge_bare();
                }
                self.ack_due = AckDue::Now;
            }
        }
    }

    /// Text of the segment is new and about to be stored.
    pub(super) fn ecn_on_text(&mut self, seg: &Segment) {
        let quick = match &mut self.ecn.mode {
            Mode::Off | Mode::Requested(_) => return,
            // Its sender is capable, but this was sent without: probably again.
            _ if seg.ecn == Ecn::NotEct => self.ecn.seen,
            Mode::Classic(classic) => {
                self.ecn.seen = true;
                let first = seg.ecn == Ecn::Ce && !classic.echo;
                classic.echo |= first;
                first
            }
            Mode::Accurate(_) => false,
        };
        if quick {
            self.acks.hurry(self.last_offer(), QUICK_ACKS_AFTER_MARK);
        }
    }

    /// All text of the segment was here before. If that has happened to it again although our
    /// answer said so, the answer was lost, and perhaps for its option (RFC 9768 3.2.3.2.5).
    pub(super) fn ecn_on_old_text(&mut self, seg: &Segment) {
        if let Mode::Accurate(accecn) = &mut self.ecn.mode {
            accecn.on_repeated_text(seg.seq);
        }
    }

    /// An acknowledgment within bounds and not older than SND.UNA was processed. Returns whether it
    /// tells of marks.
    pub(super) fn ecn_on_ack(&mut self, seg: &Segment, news: &News) -> bool {
        if let Mode::Off | Mode::Requested(_) = self.ecn.mode {
            return false;
        }
        let loss = matches!(self.recovery, Recovery::Fast { .. } | Recovery::Loss { .. });
        let delivered = Delivered {
            bytes: news.delivered,
            segments: news.delivered_segments,
            mss: self.mss32(),
            reliable: self.sack || !loss,
        };
        let progress = news.advanced || news.sacked || self.ecn.ts_progress;
        let sent = self.snd_nxt.since(self.iss);
        match &mut self.ecn.mode {
            Mode::Off | Mode::Requested(_) => false,
            Mode::Classic(_) => {
                let echo = seg.flags.has(Flags::ECE) && !seg.has_syn();
                let segments = if echo { delivered.segments } else { 0 };
                self.ecn.count_delivered_ce(segments);
                echo
            }
            Mode::Accurate(accecn) => {
                let known = self.ecn.delivered_ce;
                let marks = accecn.on_ack(seg, &delivered, known, sent, progress);
                self.ecn.count_delivered_ce(marks);
                marks > 0
            }
        }
    }
}
