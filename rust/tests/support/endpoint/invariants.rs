// SPDX-License-Identifier: GPL-2.0

//! What must hold of an endpoint after every event.

use super::{Conn, Endpoint};
use oxtcp_core::tcp::events::{Drop, Events};
use oxtcp_core::tcp::segment::{Flags, Segment, Transmit};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::time::{Duration, Instant};
use oxtcp_core::tcp::timer::TimerKind;
use oxtcp_core::tcp::Tcb;

/// R2 at least (RFC 9293 3.8.3), for as long as nothing that was sent is acknowledged.
const LEAST_PATIENCE: Duration = Duration::from_secs(100);

/// Whether a timer runs that sends again what is in flight, and is not keepalive's.
pub fn is_sent_again(tcb: &Tcb) -> bool {
    matches!(tcb.timer(), Some((TimerKind::Retransmit, _)))
}

/// What made the state change.
#[derive(Clone, Copy)]
pub(super) enum Cause<'a> {
    Segment(&'a Segment),
    User,
    /// The user, who gives the connection up: by ABORT, or by CLOSE with text unread (RFC 2525 2.17).
    Abort,
    /// An ICMP error.
    Icmp,
    Timer,
}

/// What is compared before and after an event.
#[derive(Clone, Copy)]
pub(super) struct Mark {
    pub(super) state: State,
    pub(super) snd_una: SeqNumber,
    pub(super) snd_nxt: SeqNumber,
    pub(super) rcv_nxt: SeqNumber,
    /// The text of the peer's SYN is taken, and the handshake is not complete.
    pub(super) fast: bool,
}

impl Mark {
    pub(super) fn of(tcb: &Tcb) -> Self {
        Self {
            state: tcb.state(),
            snd_una: tcb.snd_una(),
            snd_nxt: tcb.snd_nxt(),
            rcv_nxt: tcb.rcv_nxt(),
            fast: tcb.is_passive_fast_open(),
        }
    }
}

impl Endpoint {
    /// Remembers the first thing that does not hold.
    pub fn expect(&mut self, holds: bool, what: &'static str) {
        if !holds && self.fault.is_none() {
            self.fault = Some(what);
        }
    }

    /// What an event may make of a connection.
    pub(super) fn check_step(
        &mut self,
        before: &Mark,
        after: &Mark,
        cause: Cause<'_>,
        events: &Events,
        now: Instant,
    ) {
        self.expect(
            may_follow(cause, before, after.state),
            "a change of state that RFC 9293 does not have",
        );
        if after.state == State::Closed {
            let may = self.may_end(before, cause, events, now);
            self.expect(may, "the connection broke off for no reason");
        }
        self.expect(
            after.snd_una.at_or_after(before.snd_una),
            "SND.UNA went back",
        );
        self.expect(
            after.snd_una.at_or_before(after.snd_nxt),
            "SND.UNA is beyond SND.NXT",
        );
        if before.state.is_synchronized() {
            self.expect(
                after.rcv_nxt.at_or_after(before.rcv_nxt),
                "RCV.NXT went back",
            );
        }
        let no_room = events.dropped == Some(Drop::NoRoom);
        if no_room && matches!(cause, Cause::Segment(_)) {
            self.expect(self.rx.fail, "text is dropped although there is memory");
        }
        self.expect(
            events.acked as usize <= self.send.len(),
            "more was acknowledged than was written",
        );
        self.expect(!(self.eof && events.readable), "text behind the peer's FIN");
        let reset = events.reply.is_some_and(|out| out.flags.has(Flags::RST));
        self.expect(
            !reset || after.state == State::Closed || !before.state.is_synchronized(),
            "a RST for a connection that goes on",
        );
    }

    /// Whether what happened ends a connection that was as `before`: nothing but a RST that is exact,
    /// the last acknowledgment, our user, or long silence does.
    fn may_end(&mut self, before: &Mark, cause: Cause<'_>, events: &Events, now: Instant) -> bool {
        use State::{CloseWait, Closing, FinWait1, FinWait2, LastAck, SynReceived, SynSent};
        match cause {
            Cause::Abort => true,
            Cause::User => before.state == SynSent,
            Cause::Icmp => !before.state.is_synchronized(),
            Cause::Segment(seg) if seg.has_rst() => match before.state {
                SynSent => {
                    let acks = seg.ack.after(before.snd_una) && !seg.ack.after(before.snd_nxt);
                    seg.has_ack() && acks
                }
                // Where the FIN was taken its number will do.
                CloseWait | Closing | LastAck if seg.seq + 1 == before.rcv_nxt => true,
                _ => seg.seq == before.rcv_nxt,
            },
            Cause::Segment(seg) => match before.state {
                LastAck => seg.has_ack() && seg.ack == before.snd_nxt,
                SynReceived | FinWait1 | FinWait2 => (self.gone || self.deaf) && seg.len > 0,
                _ => false,
            },
            Cause::Timer if events.error.is_none() => self.gone && before.state == FinWait2,
            Cause::Timer => {
                self.excused = true;
                let least = match self.config.user_timeout {
                    Duration::ZERO => LEAST_PATIENCE,
                    timeout => timeout.min(LEAST_PATIENCE),
                };
                let silent = now.since(self.heard) >= least || now.since(self.moved) >= least;
                silent || self.crowded || !before.state.is_synchronized()
            }
        }
    }

    /// What the peer is offered: its right edge does not move left (RFC 9293 3.8.6), but for a window
    /// that closes because there was no memory for what came.
    pub(super) fn note_offer(&mut self, out: &Transmit) {
        if out.flags.has(Flags::RST) || !out.flags.has(Flags::ACK) {
            return;
        }
        let syn = out.flags.has(Flags::SYN);
        if syn {
            self.scale = out.options.window_scale.unwrap_or(0);
        } else if matches!(self.conn, Conn::Half(_)) {
            return;
        }
        let scale = if syn { 0 } else { self.scale };
        let edge = out.ack + (u32::from(out.wnd) << scale);
        // A SYN-ACK that is sent again says what it said, and not in the units of the others.
        if !syn && self.edge.is_some_and(|last| edge.before(last)) {
            let closes = self.starved && out.wnd == 0;
            self.expect(closes, "the window that was offered shrank");
        }
        self.starved &= out.wnd > 0;
        let last = self.edge.filter(|_| syn).unwrap_or(edge);
        self.edge = Some(edge.max(last));
    }

    /// What is sent is what was written; `offset` is where its text begins in that which is not
    /// acknowledged.
    pub(super) fn check_sent(&mut self, out: &Transmit, offset: u32) {
        let Conn::Open(tcb) = &self.conn else { return };
        let (una, nxt) = (tcb.snd_una(), tcb.snd_nxt());
        self.expect(
            (out.seq + out.len).at_or_before(nxt),
            "a segment that ends beyond SND.NXT",
        );
        let end = offset as usize + out.len as usize;
        let written = out.seq.at_or_after(una) && end <= self.send.len();
        self.expect(
            out.len == 0 || written,
            "text that was never written is sent",
        );
    }

    /// When there is nothing more to send, what is in flight has a timer.
    pub(super) fn check_rest(&mut self) {
        let Conn::Open(tcb) = &self.conn else { return };
        let holds = tcb.flight() == 0 || is_sent_again(tcb);
        self.expect(holds, "something in flight and no timer");
    }
}

/// Whether RFC 9293 (figure 5, and 3.10.7 where one segment does two things at once) lets a
/// connection go from one state to the other. What ends one is another question.
fn may_follow(cause: Cause<'_>, before: &Mark, to: State) -> bool {
    use State::*;
    let from = before.state;
    if from == to || to == Closed {
        return true;
    }
    match cause {
        Cause::Segment(_) => match from {
            SynSent => matches!(to, SynReceived | Established | CloseWait),
            // Its FIN may have gone before the handshake was complete (RFC 7413).
            SynReceived if before.fast && matches!(to, FinWait2 | TimeWait) => true,
            SynReceived => matches!(
                to,
                // With the user's CLOSE pending the ACK leads to FIN-WAIT-1, a FIN on it further.
                Established | CloseWait | FinWait1 | Closing
            ),
            Established => to == CloseWait,
            FinWait1 => matches!(to, FinWait2 | Closing | TimeWait),
            FinWait2 | Closing => to == TimeWait,
            _ => false,
        },
        Cause::User => matches!((from, to), (Established, FinWait1) | (CloseWait, LastAck)),
        Cause::Abort | Cause::Icmp | Cause::Timer => false,
    }
}
