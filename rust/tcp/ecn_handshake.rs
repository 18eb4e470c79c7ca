// SPDX-License-Identifier: GPL-2.0

//! How two ends agree on ECN, by bits of SYN, SYN-ACK and the first acknowledgment (RFC 3168 6.1.1,
//! RFC 9768 3.1 and 3.2.2).

use super::accecn::{AccEcn, ACE_FAIL_RECV, ACE_FAIL_SEND};
use super::accecn_option::{AccEcnOption, EcnBytes};
use super::config::Config;
use super::ecn::{Classic, Ecn, EcnConfig, Feedback, Mode, OptionUse};
use super::segment::{Flags, Segment, Transmit};
use super::state::State;
use super::tcb::Tcb;

/// ECE and CWR: a SYN that asks for classic feedback.
const CLASSIC_SYN: u8 = 3;
/// ECE alone: a SYN-ACK that grants it.
const CLASSIC_SYN_ACK: u8 = 1;
/// A SYN that asks for accurate feedback.
const ACCURATE_SYN: u8 = 7;
/// A SYN-ACK of an end that gives the SYN's bits back: it knows nothing of ECN.
const BROKEN_SYN_ACK: u8 = 7;

/// ACE that tells with which field a SYN or SYN-ACK came (RFC 9768 table 3).
pub(super) const fn reflection(ecn: Ecn) -> u8 {
    match ecn {
        Ecn::NotEct => 2,
        Ecn::Ect1 => 3,
        Ecn::Ect0 => 4,
        Ecn::Ce => 6,
    }
}

/// Whether ACE is something that [`reflection`] says.
pub(super) const fn is_reflection(ace: u8) -> bool {
    matches!(ace, 2 | 3 | 4 | 6)
}

/// The field that [`reflection`] tells of. What it never says is taken as Linux takes it.
pub(super) const fn ecn_of_ace(ace: u8) -> Ecn {
    match ace & 7 {
        0 | 4 => Ecn::Ect0,
        2 => Ecn::NotEct,
        6 => Ecn::Ce,
        _ => Ecn::Ect1,
    }
}

/// Whether a packet sent with one field may arrive with another (RFC 3168 5, RFC 9768 3.2.2.3).
pub(super) const fn is_possible(sent: Ecn, came: Ecn) -> bool {
    match (sent, came) {
        (Ecn::NotEct, Ecn::NotEct) | (Ecn::Ce, Ecn::Ce) => true,
        (Ecn::NotEct | Ecn::Ce, _) | (_, Ecn::NotEct) => false,
        _ => true,
    }
}

/// What a SYN that asks for feedback gets of what we would grant.
///
/// A SYN must not be ECN-capable in the eyes of RFC 3168 6.1.1: the network plays with that field.
/// RFC 8311 4.3 lets extensions do so, which set other bits of the header too.
fn granted(accept: Feedback, syn: &Segment) -> Feedback {
    let ace = syn.flags.ace();
    match ace {
        0 => Feedback::None,
        CLASSIC_SYN | ACCURATE_SYN => {
            let asked = if ace == CLASSIC_SYN {
                Feedback::Classic
            } else {
                Feedback::Accurate
            };
            let extended = syn.flags.has_reserved() || syn.flags.has(Flags::AE);
            match accept.min(asked) {
                Feedback::Classic if syn.ecn != Ecn::NotEct && !extended => Feedback::None,
                feedback => feedback,
            }
        }
        // RFC 9768 3.1.3: bits that have no meaning yet ask for accurate feedback, of who has it.
        _ if accept == Feedback::Accurate => Feedback::Accurate,
        _ => Feedback::None,
    }
}

/// What a SYN-ACK grants of what our SYN asked for (RFC 9768 table 2, RFC 3168 6.1.1).
fn obtained(request: Feedback, ace: u8) -> Feedback {
    match request {
        Feedback::None => Feedback::None,
        // An end that knows no more than RFC 3168 looks at ECE and CWR alone.
        Feedback::Classic if ace & 3 == CLASSIC_SYN_ACK => Feedback::Classic,
        Feedback::Classic => Feedback::None,
        Feedback::Accurate => match ace {
            0 | BROKEN_SYN_ACK => Feedback::None,
            CLASSIC_SYN_ACK => Feedback::Classic,
            _ => Feedback::Accurate,
        },
    }
}

/// Whether a SYN asks for another feedback than that which an earlier one was granted, by an end
/// that grants no more than `accept`.
fn contradicts(feedback: Feedback, accept: Feedback, syn: &Segment) -> bool {
    let ace = syn.flags.ace();
    match feedback {
        Feedback::None => false,
        Feedback::Classic => accept == Feedback::Accurate && ace != 0 && ace != CLASSIC_SYN,
        Feedback::Accurate => ace == CLASSIC_SYN,
    }
}

/// ECN of a connection in SYN-RECEIVED that a listener began.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PassiveEcn {
    feedback: Feedback,
    /// The field that the SYN came with.
    syn: Ecn,
    /// SYN-ACKs sent again, for whatever reason.
    again: u8,
    /// The last SYN-ACK was given up on: the next says nothing of ECN.
    silent: bool,
    /// A SYN said nothing of ECN, after the first one that did.
    unasked: bool,
    failures: u8,
}

impl PassiveEcn {
    /// By the first SYN.
    pub(super) fn new(config: &EcnConfig, syn: &Segment) -> Self {
        Self {
            feedback: granted(config.accept, syn),
            syn: syn.ecn,
            again: 0,
            silent: false,
            unasked: false,
            failures: 0,
        }
    }

    /// Whether a SYN that comes again asks for classic feedback where the first asked for accurate,
    /// or the reverse: nobody could know which of them the ends agree on (RFC 9768 3.1.5).
    pub(super) fn is_contradicted(&self, config: &EcnConfig, syn: &Segment) -> bool {
        contradicts(self.feedback, config.accept, syn)
    }

    /// The SYN came again, and the SYN-ACK goes out again; `timeouts` times it did for want of an
    /// answer.
    pub(super) fn on_syn(&mut self, syn: &Segment, timeouts: u8) {
        self.syn = syn.ecn;
        self.unasked |= syn.flags.ace() & CLASSIC_SYN != CLASSIC_SYN;
        if self.feedback == Feedback::Accurate && syn.flags.ace() == 0 {
            self.failures |= ACE_FAIL_RECV;
        }
        self.on_again(timeouts);
    }

    /// The SYN-ACK goes out again for want of an answer, which it did `timeouts` times before
    /// (RFC 9768 3.1.4.2).
    pub(super) fn on_again(&mut self, timeouts: u8) {
        self.silent = timeouts > 0;
        self.again = self.again.saturating_add(1);
        if self.again > 1 && self.feedback == Feedback::Accurate {
            self.failures |= ACE_FAIL_SEND;
        }
    }

    /// Marks a SYN-ACK.
    pub(super) fn mark(&self, config: &EcnConfig, syn_ack: &mut Transmit) {
        let ace = match self.feedback {
            _ if self.silent => 0,
            Feedback::None => 0,
            Feedback::Classic => CLASSIC_SYN_ACK,
            Feedback::Accurate => reflection(self.syn),
        };
        syn_ack.flags = syn_ack.flags | Flags::from_ace(ace);
        let option = self.feedback == Feedback::Accurate
            && config.option != OptionUse::Never
            && self.again == 0;
        if option {
            add_first_option(syn_ack);
        }
    }

    /// What the connection begins with, that `seg` completes; and whether our SYN-ACK was marked.
    pub(super) fn into_mode(self, config: &EcnConfig, seg: &Segment) -> (Mode, bool) {
        match self.feedback {
            Feedback::None => (Mode::Off, false),
            Feedback::Classic => {
                let doubtful = self.silent || self.unasked;
                (Mode::Classic(Classic::new(doubtful)), false)
            }
            Feedback::Accurate => {
                let mut accecn = AccEcn::new(config, self.syn);
                let marked = accecn.on_last_ack(seg);
                accecn.fail(self.failures);
                accecn.see_option(seg, 1);
                (Mode::Accurate(accecn), marked)
            }
        }
    }
}

/// The option with which a SYN-ACK finds out whether options of its kind arrive.
fn add_first_option(syn_ack: &mut Transmit) {
    let option = AccEcnOption::new(&EcnBytes::default());
    syn_ack.options.fit_accecn(option, 0);
}

impl Tcb {
    /// Marks our SYN, or, when both ends open at once, our SYN-ACK. A SYN that was sent before in
    /// vain gives up ECN (RFC 3168 6.1.1.1), with accurate feedback only the second time
    /// (RFC 9768 3.1.4.1).
    pub(super) fn mark_syn(&mut self, config: &Config, syn: &mut Transmit) {
        let again = syn.retransmission;
        if !again && self.state == State::SynSent {
            self.ecn.mode = match config.ecn.request {
                Feedback::None => Mode::Off,
                feedback => Mode::Requested(feedback),
            };
        }
        // As [`PassiveEcn::on_again`].
        let silent = self.is_passive_fast_open() && self.retries > 1;
        match &mut self.ecn.mode {
            Mode::Classic(classic) => classic.doubtful |= silent,
            Mode::Accurate(accecn) if silent => accecn.fail(ACE_FAIL_SEND),
            _ => {}
        }
        let ace = match &self.ecn.mode {
            _ if silent => 0,
            Mode::Off => 0,
            Mode::Requested(feedback) if again && self.asks_no_more(config, *feedback) => 0,
            Mode::Requested(Feedback::Accurate) => ACCURATE_SYN,
            Mode::Requested(_) => CLASSIC_SYN,
            Mode::Classic(_) => CLASSIC_SYN_ACK,
            Mode::Accurate(accecn) => reflection(accecn.syn_ecn()),
        };
        syn.flags = syn.flags | Flags::from_ace(ace);
        let accurate = matches!(self.ecn.mode, Mode::Accurate(_));
        if accurate && self.retries < 2 && config.ecn.option != OptionUse::Never {
            add_first_option(syn);
        }
    }

    /// Whether a SYN that goes out now, again, says nothing of the `feedback` that was asked for.
    fn asks_no_more(&self, config: &Config, feedback: Feedback) -> bool {
        let patience = u8::from(feedback == Feedback::Accurate);
        config.ecn.fallback && self.retries > patience
    }

    /// The SYN came again to a connection that was begun by it: as [`PassiveEcn::on_syn`].
    pub(super) fn ecn_on_syn_again(&mut self, syn: &Segment) {
        let ace = syn.flags.ace();
        match &mut self.ecn.mode {
            Mode::Off | Mode::Requested(_) => {}
            Mode::Classic(classic) => classic.doubtful |= ace & CLASSIC_SYN != CLASSIC_SYN,
            Mode::Accurate(accecn) => {
                accecn.on_syn_again(syn.ecn);
                if ace == 0 {
                    accecn.fail(ACE_FAIL_RECV);
                }
            }
        }
    }

    /// As [`PassiveEcn::is_contradicted`], where a Fast Open has the connection open.
    pub(super) fn is_ecn_contradicted(&self, config: &Config, syn: &Segment) -> bool {
        contradicts(self.ecn().feedback, config.ecn.accept, syn)
    }

    /// The SYN-ACK that answers our SYN.
    pub(super) fn ecn_on_syn_ack(&mut self, config: &Config, seg: &Segment) {
        let Mode::Requested(request) = self.ecn.mode else {
            return;
        };
        self.ecn.mode = match obtained(request, seg.flags.ace()) {
            Feedback::None => Mode::Off,
            Feedback::Classic => Mode::Classic(Classic::new(self.asks_no_more(config, request))),
            Feedback::Accurate => {
                let mut accecn = AccEcn::new(&config.ecn, Ecn::NotEct);
                accecn.on_syn_ack(seg);
                Mode::Accurate(accecn)
            }
        };
    }

    /// A SYN without ACK while ours is on its way: both ends open at once.
    pub(super) fn ecn_on_crossing_syn(&mut self, config: &Config, seg: &Segment) {
        let Mode::Requested(request) = self.ecn.mode else {
            return;
        };
        let ace = seg.flags.ace();
        self.ecn.mode = match request {
            Feedback::Accurate if ace != 0 && ace != CLASSIC_SYN => {
                Mode::Accurate(AccEcn::new(&config.ecn, seg.ecn))
            }
            _ if ace & CLASSIC_SYN == CLASSIC_SYN => {
                Mode::Classic(Classic::new(self.asks_no_more(config, request)))
            }
            _ => Mode::Off,
        };
    }

    /// The acknowledgment of our SYN, when both ends opened at once.
    pub(super) fn ecn_on_crossing_ack(&mut self, seg: &Segment) {
        if let Mode::Accurate(accecn) = &mut self.ecn.mode {
            if accecn.on_last_ack(seg) {
                self.ecn.count_delivered_ce(1);
            }
        }
    }

    /// A SYN-ACK at an open connection: the challenge ACK that answers it tells the field it came
    /// with, as the acknowledgment of the handshake did, which may be what was lost. Not that of a
    /// SYN, which has no such answer (RFC 9768 3.2.2.1).
    pub(super) fn ecn_on_late_syn(&mut self, seg: Option<&Segment>) {
        if let Mode::Accurate(accecn) = &mut self.ecn.mode {
            let syn_ack = seg.filter(|seg| seg.has_ack());
            accecn.reflect(syn_ack.map(|seg| seg.ecn));
            if let Some(seg) = syn_ack {
                accecn.see_option(seg, 1);
                accecn.count_syn_ack(seg.ecn);
            }
        }
    }
}
