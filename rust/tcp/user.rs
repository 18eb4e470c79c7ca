// SPDX-License-Identifier: GPL-2.0

//! The user's calls (RFC 9293 3.9.1) at a connection: SEND, RECEIVE, CLOSE, ABORT.

use super::config::Config;
use super::delayed_ack::{Pushed, QUICK_ACKS};
use super::events::{Error, Events};
use super::receive::ReceiveQueue;
use super::state::State;
use super::tcb::{AckDue, IdleTimer, Reader, Tcb};
use super::time::{Duration, Instant};

/// What an ICMP error means to a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IcmpVerdict {
    /// It does not speak of anything in flight: an attack, or too late.
    Ignore,
    /// Remember it, should the connection fail.
    Remember,
    /// The opening has failed.
    Abort,
}

impl Tcb {
    /// SEND: `bytes` of text were appended to the send buffer. `more`: the user said that more
    /// follows at once, so that a segment that is not full is better held back for it; if nothing
    /// comes it goes out when the retransmission timeout has passed.
    #[inline]
    pub fn on_send(&mut self, bytes: u32, more: bool) {
        if self.unsent() < self.mss32() && self.scoreboard.waiting() == 0 {
            let pipe = self.pipe();
            if pipe < self.cwnd() {
                self.rate.on_app_limited(pipe);
            }
        }
        self.write_seq += bytes;
        self.more_to_come = more;
        // As in Linux, also when half of the largest window goes without.
        if !more || self.write_seq.after(self.pushed + self.max_snd_wnd / 2) {
            self.pushed = self.write_seq;
        }
    }

    /// What was sent last is the end of a message (`MSG_EOR`): no segment, nor run of segments, goes
    /// on behind it. Returns its number, for [`RecordStore::message_end`] to know it.
    ///
    /// [`RecordStore::message_end`]: super::RecordStore::message_end
    pub fn on_message_end(&mut self) -> super::seq::SeqNumber {
        self.last_end = self.write_seq;
        self.write_seq
    }

    /// What is queued is to go now, although more may come (`TCP_NODELAY` was set).
    pub fn push_pending(&mut self) {
        self.override_sws = self.unsent() > 0;
    }

    /// RECEIVE: the user took text. A window update may be due, and an
    /// acknowledgment that no answer of the user will carry need not wait any longer. Returns whether
    /// something is to be sent now.
    #[inline(always)]
    pub fn on_receive<R: ReceiveQueue>(&mut self, config: &Config, rx: &R) -> bool {
        if !self.state.may_receive() {
            return false;
        }
        let unacked = self.rcv_nxt.since(self.last_ack_sent);
        let delayed = matches!(self.ack_due, AckDue::By(_));
        let emptied = rx.memory().used == 0;
        let pushed = match self.acks.pushed {
            Pushed::No => false,
            Pushed::Once => !self.acks.is_interactive(config),
            Pushed::Again => true,
        };
        let in_vain = unacked > u32::from(self.acks.rcv_mss) || (emptied && pushed);
        if (delayed && in_vain) || self.window_update_due(config, rx) {
            self.ack_due = AckDue::Now;
        }
        self.ack_due == AckDue::Now
    }

    /// CLOSE of the sending side: a FIN after all that is queued (RFC 9293 3.10.4).
    pub fn shutdown_write(&mut self) -> Events {
        let mut events = Events::default();
        match self.state {
            State::SynSent => self.end(None, &mut events),
            State::SynReceived => self.fin_queued = true,
            State::Established => self.queue_fin(State::FinWait1),
            State::CloseWait => self.queue_fin(State::LastAck),
            _ => {}
        }
        events
    }

    /// The user reads no more: once it has closed its own direction, text is refused by a RST.
    pub fn shutdown_read(&mut self) {
        if self.reader == Reader::Here {
            self.reader = Reader::Shut;
        }
    }

    /// Whether the user has closed.
    pub(super) fn is_orphan(&self) -> bool {
        self.reader == Reader::Gone
    }

    fn queue_fin(&mut self, next: State) {
        self.fin_queued = true;
        self.state = next;
    }

    /// CLOSE of both sides: nobody will read any more. With text unread it is a RST, so that the
    /// peer knows of the loss (RFC 2525 2.17).
    pub fn close(&mut self, config: &Config, unread: bool, now: Instant) -> Events {
        let lost = unread && self.state.is_synchronized();
        if lost || (self.state == State::FinWait2 && config.fin_timeout == Duration::ZERO) {
            return self.abort(now);
        }
        let events = self.shutdown_write();
        self.orphan(config, now);
        events
    }

    /// The user is gone: FIN-WAIT-2 must not last, and text that still comes is refused.
    pub fn orphan(&mut self, config: &Config, now: Instant) {
        self.reader = Reader::Gone;
        self.idle_timer = match self.state {
            State::FinWait2 => IdleTimer::FinWait2(now + config.fin_timeout),
            _ => IdleTimer::Off,
        };
    }

    /// ABORT (RFC 9293 3.10.5): a RST where the peer knows of the connection.
    pub fn abort(&mut self, now: Instant) -> Events {
        let mut events = Events::default();
        let known = matches!(
            self.state,
            State::SynReceived
                | State::Established
                | State::FinWait1
                | State::FinWait2
                | State::CloseWait
        );
        if known {
            events.reply = Some(self.reset(now));
        }
        self.end(None, &mut events);
        events
    }

    /// `TCP_QUICKACK`: acknowledge at once for a while (and what is owed now), or not.
    pub fn set_quick_ack(&mut self, config: &Config, on: bool) {
        if on {
            self.acks.hurry(self.last_offer(), QUICK_ACKS);
        } else {
            self.acks.expect_answers(config);
        }
        if on && matches!(self.ack_due, AckDue::By(_)) {
            self.ack_due = AckDue::Now;
        }
    }

    /// Whether acknowledgments are not delayed at present.
    pub fn is_quick_ack(&self, config: &Config) -> bool {
        !self.acks.is_interactive(config)
    }

    /// The text that was sent is dropped, as the connection has ended: nothing is in flight any
    /// more, and nothing is waited for.
    pub fn forget_sent(&mut self, now: impl FnOnce() -> Instant) {
        self.scoreboard.forget_outstanding();
        if !self.chrono.rests() {
            self.chrono.rest(now());
        }
    }

    /// Whether a segment with the number `seq` may be under way (RFC 5927 4.1).
    pub fn is_in_flight(&self, seq: super::seq::SeqNumber) -> bool {
        let sent = seq.at_or_after(self.snd_una) && seq.at_or_before(self.snd_nxt);
        sent && self.state != State::Closed
    }

    /// An ICMP error came that quotes a segment of ours with the number `seq`: believed only if it
    /// is in flight (RFC 5927 4.1), and fatal only while the connection is being opened. There, as
    /// in Linux and unlike RFC 9293's MUST-56, any is: nothing is lost yet, and the user need not
    /// wait for minutes. A connection by Fast Open counts as open once a user has it (`accepted`).
    pub fn on_icmp(&mut self, seq: super::seq::SeqNumber, accepted: bool) -> (IcmpVerdict, Events) {
        let mut events = Events::default();
        if !self.is_in_flight(seq) {
            return (IcmpVerdict::Ignore, events);
        }
        let opening = matches!(self.state, State::SynSent | State::SynReceived)
            && !(accepted && self.is_passive_fast_open());
        if opening {
            self.end(Some(Error::Refused), &mut events);
            return (IcmpVerdict::Abort, events);
        }
        (IcmpVerdict::Remember, events)
    }
}
