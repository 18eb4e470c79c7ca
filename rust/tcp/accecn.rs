// SPDX-License-Identifier: GPL-2.0

//! Accurate ECN (RFC 9768): how many segments came marked, told by a counter of three bits in every
//! header and by an option with counters of bytes.

use super::accecn_option::{AccEcnOption, EcnBytes, SinceOption};
use super::ecn::{Delivered, Ecn, EcnConfig, EcnInfo, Feedback, OptionUse};
use super::ecn_handshake::{ecn_of_ace, is_possible, is_reflection, reflection};
use super::options::SackBlocks;
use super::pack::packed;
use super::segment::{Flags, Segment, Transmit};
use super::seq::SeqNumber;
use super::time::{Duration, Instant};

/// What the counter of marked segments starts from (RFC 9768 3.2.1), so that a header whose bits
/// were cleared is told from one without marks.
const INITIAL_CEP: u32 = 5;
/// The counter's three bits.
const ACE_MASK: u32 = 7;
/// Marks that are acknowledged at once while text waits for an acknowledgment (RFC 9768
/// 3.2.2.5.1).
const MARKS_WITH_TEXT: u8 = 2;
/// The same while none does: with any less the acknowledgments of acknowledgments would not die
/// out.
const MARKS_WITHOUT: u8 = 3;
/// The option is sent at least once while a counter of bytes grows by so much (RFC 9768 3.2.3.3).
const COUNTER_STEP_BITS: u32 = 22;
/// Without an option of the peer in so many bytes there will be none: its counters may have
/// wrapped.
const LAST_FOR_OPTION: u32 = (1 << 23) - 1;
/// Segments for each acknowledgment, on average, above which the network thins them out.
const THINNED: u16 = 4;
/// Binary places of the average.
const AVERAGE_PLACES: u32 = 6;
/// Segments that may have been this much smaller than a full one (RFC 9768 A.2.1).
const SAFETY_SHIFT: u32 = 1;
/// Acknowledgments that carry the option once something changed, so that the change is told
/// without doubt.
const OPTIONS_AFTER_CHANGE: u8 = 2;

/// Our SYN or SYN-ACK with these bits does not arrive (`TCP_ACCECN_ACE_FAIL_SEND`).
pub(super) const ACE_FAIL_SEND: u8 = 1;
/// The bits of ACE arrive changed (`TCP_ACCECN_ACE_FAIL_RECV`).
pub(super) const ACE_FAIL_RECV: u8 = 2;
/// Segments with our option do not arrive (`TCP_ACCECN_OPT_FAIL_SEND`).
pub(super) const OPT_FAIL_SEND: u8 = 4;
/// The peer's option arrives changed, or not at all (`TCP_ACCECN_OPT_FAIL_RECV`).
pub(super) const OPT_FAIL_RECV: u8 = 8;

/// Which option of the peer was seen; Linux's numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
#[repr(u8)]
enum Seen {
    /// None.
    #[default]
    Not = 0,
    /// One without counters.
    Empty = 1,
    /// One with counters.
    Counters = 2,
    /// One that was changed on its way.
    Failed = 3,
}

packed!(enum Seen { 0 => Not, 1 => Empty, 2 => Counters, 3 => Failed });

/// Accurate ECN of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct AccEcn {
    /// Segments that came marked: r.cep, counted from zero.
    received_ce: u32,
    received: EcnBytes,
    delivered: EcnBytes,
    /// When the option was last sent, or never.
    option_sent: Instant,
    /// What the last segment with our option said to have come twice, if it did.
    repeated: Option<SeqNumber>,
    /// The next acknowledgment tells with which field the peer's SYN or SYN-ACK came.
    reflect: Option<Ecn>,
    /// With which field a delivered byte counts that no option tells of.
    estimate: Option<Ecn>,
    /// The field of the segment that came last.
    last: Ecn,
    /// Marks that were not told yet.
    untold: u8,
    /// What is due acknowledges acknowledgments alone.
    bare: bool,
    /// The field has changed, and nothing was sent since.
    changed: bool,
    /// Acknowledgments that have to carry the option.
    options_due: u8,
    /// Counters that the next option must have.
    needed: u8,
    /// The last segment of the handshake was not processed yet: its ACE is no counter.
    handshake: bool,
    /// A SYN-ACK of the peer came marked.
    syn_ack_marked: bool,
    /// The peer's counters are none: it is perhaps not aware of ECN.
    deaf: bool,
    failures: u8,
    seen: Seen,
    pub(super) option: OptionUse,
    beacon: u8,
    fallback: bool,
    /// Segments for each acknowledgment, a moving average with [`AVERAGE_PLACES`].
    thinning: u16,
    since: SinceOption,
}

packed!(struct AccEcn {
    received_ce, received, delivered, option_sent, repeated, reflect, estimate, last, untold, bare,
    changed, options_due, needed, handshake, syn_ack_marked, deaf, failures, seen, option, beacon,
    fallback, thinning, since,
});

impl AccEcn {
    /// At the moment that it is negotiated; `peer` is the field that the peer's SYN or SYN-ACK came
    /// with.
    pub(super) fn new(config: &EcnConfig, last: Ecn) -> Self {
        Self {
            received_ce: 0,
            received: EcnBytes::default(),
            delivered: EcnBytes::default(),
            option_sent: Instant::NEVER,
            repeated: None,
            reflect: None,
            estimate: None,
            last,
            untold: 0,
            bare: false,
            changed: false,
            options_due: 0,
            needed: 0,
            handshake: false,
            syn_ack_marked: false,
            deaf: false,
            failures: 0,
            seen: Seen::Not,
            option: config.option,
            beacon: config.beacon,
            fallback: config.fallback,
            thinning: 0,
            since: SinceOption::default(),
        }
    }

    /// Notes failures, as `*_FAIL_*`.
    pub(super) fn fail(&mut self, failures: u8) {
        self.failures |= failures;
    }

    /// The next acknowledgment without text tells that the peer's SYN or SYN-ACK came with `ecn`
    /// (RFC 9768 3.2.2.1).
    pub(super) fn reflect(&mut self, ecn: Option<Ecn>) {
        self.reflect = ecn;
    }

    /// The SYN-ACK that negotiated it.
    pub(super) fn on_syn_ack(&mut self, seg: &Segment) {
        self.reflect = Some(seg.ecn);
        self.see_option(seg, OPTIONS_AFTER_CHANGE);
        if seg.ecn == Ecn::Ce {
            self.check_feedback(seg.flags.ace());
        }
        self.count_syn_ack(seg.ecn);
    }

    /// A SYN-ACK came with `ecn`, perhaps again: of all of them one mark counts, as the peer counts
    /// what it is told of it (RFC 9768 3.2.2.2).
    pub(super) fn count_syn_ack(&mut self, ecn: Ecn) {
        if ecn == Ecn::Ce && !core::mem::replace(&mut self.syn_ack_marked, true) {
            self.count_mark(1);
        }
    }

    /// The field that the peer's SYN came with; before any other segment.
    pub(super) fn syn_ecn(&self) -> Ecn {
        self.last
    }

    /// The SYN came again, with `ecn`, which is what is told from now on (RFC 9768 3.1.5).
    pub(super) fn on_syn_again(&mut self, ecn: Ecn) {
        self.last = ecn;
    }

    /// The server's handshake is completed by `seg`. Returns whether it tells that our SYN-ACK was
    /// marked (RFC 9768 3.2.2.1, table 4).
    pub(super) fn on_last_ack(&mut self, seg: &Segment) -> bool {
        self.handshake = true;
        self.options_due = 1;
        let ace = seg.flags.ace();
        let has_sack = !seg.options.sack.is_empty();
        match ace {
            0 if !has_sack => {
                self.fail(ACE_FAIL_RECV | OPT_FAIL_RECV);
                self.deaf = true;
                false
            }
            ace if is_reflection(ace) && seg.seq_len() == 0 && !has_sack => {
                self.check_feedback(ace);
                ecn_of_ace(ace) == Ecn::Ce
            }
            _ => false,
        }
    }

    /// `ace` tells with which field the peer saw our SYN or SYN-ACK, which was not ECN-capable: if
    /// it cannot have, nothing of ours is from now on (RFC 9768 3.2.2.3). Marks still count, for
    /// what is made capable on the way may be marked there as well.
    fn check_feedback(&mut self, ace: u8) {
        let sane = is_possible(Ecn::NotEct, ecn_of_ace(ace));
        if self.fallback && is_reflection(ace) && !sane {
            self.fail(ACE_FAIL_RECV);
        }
    }

    /// The peer's option, while it may be the first with counters: none of them starts from zero
    /// (RFC 9768 3.2.3.2.4). It is answered by so many of ours.
    pub(super) fn see_option(&mut self, seg: &Segment, answers: u8) {
        let Some(option) = seg.options.accecn.filter(|_| self.seen < Seen::Counters) else {
            return;
        };
        let zeroed = option.raw(0) == Some(0) || option.raw(2) == Some(0);
        self.seen = match option.is_empty() {
            true => Seen::Empty,
            false if zeroed => Seen::Failed,
            false => Seen::Counters,
        };
        if zeroed {
            self.fail(OPT_FAIL_RECV);
        }
        self.options_due = self.options_due.max(answers);
    }

    fn count_mark(&mut self, segments: u16) {
        self.received_ce = self.received_ce.wrapping_add(u32::from(segments));
        let segments = u8::try_from(segments).unwrap_or(u8::MAX);
        self.untold = self.untold.saturating_add(segments).min(15);
    }

    /// A segment arrived. Returns whether it is to be acknowledged at once (RFC 9768 3.2.2.5.1): it
    /// has text and the field has changed, or too many marks are not told. `waiting` says whether
    /// text waits for an acknowledgment already.
    pub(super) fn receive(&mut self, seg: &Segment, waiting: bool) -> bool {
        let ecn = seg.ecn;
        let text = seg.seq_len() > 0;
        if ecn == Ecn::Ce {
            self.count_mark(seg.merged.max(1));
        }
        if let Some(count) = self.received.of(ecn).filter(|_| seg.len > 0) {
            let old = *count;
            *count = old.wrapping_add(seg.len);
            if (*count ^ old) >> COUNTER_STEP_BITS != 0 {
                self.options_due = self.options_due.max(1);
            }
            self.needed = self.needed.max(AccEcnOption::needed(ecn));
        }
        let changed = self.last != ecn;
        if changed || ecn == Ecn::Ce {
            self.last = ecn;
            self.options_due = OPTIONS_AFTER_CHANGE;
        }
        self.changed |= changed;
        self.bare &= !text;
        let most = if text || waiting {
            MARKS_WITH_TEXT
        } else {
            MARKS_WITHOUT
        };
        (text && self.changed) || self.untold >= most
    }

    /// The acknowledgment that is due would not be but for acknowledgments that came marked.
    pub(super) fn acknowledge_bare(&mut self) {
        self.bare = true;
    }

    /// All text of a segment that begins at `seq` was here before, and we had said so with an
    /// option: it is the option that does not arrive.
    pub(super) fn on_repeated_text(&mut self, seq: SeqNumber) {
        if self.repeated == Some(seq) {
            self.fail(OPT_FAIL_SEND);
        }
    }

    fn option_due(&self, srtt: Option<Duration>, now: Instant) -> bool {
        let failed = self.failures & OPT_FAIL_SEND != 0 && self.option < OptionUse::Persistent;
        if self.option == OptionUse::Never || self.seen == Seen::Not || failed {
            return false;
        }
        self.option >= OptionUse::Always || self.options_due > 0 || self.is_beacon_due(srtt, now)
    }

    fn is_beacon_due(&self, srtt: Option<Duration>, now: Instant) -> bool {
        let silence = match self.option_sent {
            Instant::NEVER => u64::MAX,
            at => now.since(at).us(),
        };
        let srtt = srtt.map_or(0, |srtt| srtt.us());
        self.beacon > 0 && silence.saturating_mul(u64::from(self.beacon)) >= srtt
    }

    /// Bytes that the option takes of a segment of text.
    pub(super) fn option_len(&self, srtt: Option<Duration>, now: Instant) -> u16 {
        if self.option_due(srtt, now) {
            12
        } else {
            0
        }
    }

    /// Marks a segment that goes out; `sent` is SND.NXT, and `first` says that nothing of ours was
    /// delivered but the SYN.
    pub(super) fn mark(
        &mut self,
        out: &mut Transmit,
        (sent, first): (SeqNumber, bool),
        srtt: Option<Duration>,
        now: Instant,
    ) {
        out.accurate_ecn = true;
        self.changed = false;
        self.since.on_sent(out, sent);
        let repeated = repeated_text(out);
        if core::mem::take(&mut self.bare) && out.len == 0 && repeated.is_none() {
            // RFC 9768 3.2.2.5.1: or it would look like a duplicate acknowledgment.
            out.options.sack = SackBlocks::NONE;
        }
        if self.failures & (ACE_FAIL_SEND | ACE_FAIL_RECV) == 0 {
            out.ecn = Ecn::Ect0;
        }
        let reflect = self.reflect.take().filter(|_| out.len == 0);
        let ace = match reflect {
            Some(ecn) => reflection(ecn),
            None => {
                self.untold = 0;
                (self.received_ce.wrapping_add(INITIAL_CEP) & ACE_MASK) as u8
            }
        };
        out.flags = out.flags | Flags::from_ace(ace);

        self.repeated = None;
        let full = AccEcnOption::new(&self.received);
        // RFC 9768 3.2.3.2.2: it may be for the option that the first text was lost.
        let suspect = out.retransmission && first && self.option < OptionUse::Persistent;
        let due = !suspect && self.option_due(srtt, now);
        if due && out.options.fit_accecn(full, self.needed) {
            self.needed = 0;
            self.option_sent = now;
            self.options_due = self.options_due.saturating_sub(1);
            self.repeated = repeated;
        }
    }

    /// An acknowledgment that delivered `delivered`, and made some progress or not; `known` is the
    /// number of our segments that are known to have been delivered with a mark, and `sent` that
    /// of bytes sent since the beginning. Returns how many more such segments there are (RFC 9768
    /// 3.2.2.5 and A.2).
    pub(super) fn on_ack(
        &mut self,
        seg: &Segment,
        delivered: &Delivered,
        known: u32,
        sent: u32,
        progress: bool,
    ) -> u32 {
        if core::mem::take(&mut self.handshake) {
            self.see_option(seg, 1);
            return 0;
        }
        if !progress {
            // Perhaps out of its order: its counters may be older than what is known.
            return 0;
        }
        let ce_before = self.delivered.ce;
        let bytes_valid = self.read_option(seg, delivered.bytes, sent);
        self.average(delivered.segments);
        if self.deaf {
            return 0;
        }
        let ace = u32::from(seg.flags.ace());
        let moved = ace.wrapping_sub(INITIAL_CEP).wrapping_sub(known) & ACE_MASK;
        let ce = self.delivered.ce.wrapping_sub(ce_before);
        let usable = self.failures & OPT_FAIL_RECV == 0;
        self.since.on_delivered(delivered.segments, moved > 0);
        if usable && self.since.contradicts(seg, ce as i32 > 0) {
            self.fail(ACE_FAIL_RECV);
        }
        self.marks(delivered, moved, ce, bytes_valid)
    }

    /// How many segments more came marked, as ACE `moved` by so much, and the counter of bytes by
    /// `ce`.
    fn marks(&self, delivered: &Delivered, moved: u32, ce: u32, bytes_valid: bool) -> u32 {
        let segments = delivered.segments;
        if segments <= ACE_MASK {
            return moved;
        }
        // The counter may have wrapped: the most that it can have moved (RFC 9768 A.2).
        let most = segments.wrapping_sub(segments.wrapping_sub(moved) & ACE_MASK);
        if !bytes_valid {
            let thinned = self.thinning > THINNED << AVERAGE_PLACES;
            return if thinned { moved } else { most };
        }
        if ce == 0 {
            return moved;
        }
        if segments >= (ACE_MASK + 1) * 2 && delivered.reliable {
            if delivered.bytes <= ce {
                return most;
            }
            let marked = u64::from(ce) * u64::from(segments);
            let estimate = marked.div_ceil(u64::from(delivered.bytes).max(1));
            let estimate = u32::try_from(estimate).unwrap_or(u32::MAX);
            return most.min(moved.saturating_add(estimate & !ACE_MASK));
        }
        if ce > moved.saturating_mul(delivered.mss) {
            return most;
        }
        if ce < most.saturating_mul(delivered.mss) >> SAFETY_SHIFT {
            return moved;
        }
        most
    }

    fn average(&mut self, segments: u32) {
        if segments == 0 {
            return;
        }
        let new = segments.saturating_mul(1 << AVERAGE_PLACES);
        let average = match u32::from(self.thinning) {
            0 => new,
            old => old.saturating_mul(63).saturating_add(new) >> 6,
        };
        self.thinning = u16::try_from(average).unwrap_or(u16::MAX);
    }

    /// Takes the peer's counters of bytes, or guesses where it sent none. Returns whether they can
    /// be relied on for what this acknowledgment delivered.
    fn read_option(&mut self, seg: &Segment, delivered: u32, sent: u32) -> bool {
        if self.failures & OPT_FAIL_RECV != 0 {
            return false;
        }
        let Some(option) = seg.options.accecn else {
            if self.seen == Seen::Not {
                if sent >= LAST_FOR_OPTION {
                    self.seen = Seen::Failed;
                    self.fail(OPT_FAIL_RECV);
                }
                return false;
            }
            let guess = self.estimate.and_then(|ecn| self.delivered.of(ecn));
            return match guess {
                Some(count) => {
                    *count = count.wrapping_add(delivered);
                    true
                }
                None => false,
            };
        };
        self.see_option(seg, 0);
        let estimate = self.estimate;
        let mut valid = estimate.is_some();
        let mut ambiguous = false;
        let mut changed = false;
        for (ecn, counted) in option.counters() {
            let Some(count) = self.delivered.of(ecn) else {
                continue;
            };
            let delta = AccEcnOption::movement(*count, counted);
            *count = count.wrapping_add(delta as u32);
            let other = delta != 0 && Some(ecn) != estimate;
            if delta < 0 || (other && changed) {
                valid = false;
                ambiguous = true;
            } else if other {
                self.estimate = Some(ecn);
            }
            changed |= other;
        }
        if ambiguous {
            self.estimate = None;
        }
        valid
    }

    pub(super) fn info(&self, info: EcnInfo) -> EcnInfo {
        EcnInfo {
            feedback: Feedback::Accurate,
            received_ce: self.received_ce,
            delivered: self.delivered,
            received: self.received,
            failures: self.failures,
            option_seen: self.seen as u8,
            ..info
        }
    }
}

/// The beginning of the text that a segment says to have come twice, if it says so (RFC 2883 4): its
/// first block is below what it acknowledges, or within the second.
fn repeated_text(out: &Transmit) -> Option<SeqNumber> {
    let mut blocks = out.options.sack.as_slice().iter();
    let first = blocks.next()?;
    let within = |outer: &super::options::SeqRange| {
        outer.start.at_or_before(first.start) && outer.end.at_or_after(first.end)
    };
    let repeated = first.start.before(out.ack) || blocks.next().is_some_and(within);
    repeated.then_some(first.start)
}
