// SPDX-License-Identifier: GPL-2.0

//! Text and FIN of an arriving segment (RFC 9293 3.10.7.4, seventh and eighth), and when they are
//! acknowledged (RFC 9293 3.8.6.3, RFC 5681 4.2).

use super::config::Config;
use super::events::{Drop, Error, Events};
use super::options::SeqRange;
use super::receive::ReceiveQueue;
use super::segment::{Flags, Segment};
use super::seq::SeqNumber;
use super::state::State;
use super::statistics::Statistic;
use super::tcb::{AckDue, Reader, Tcb};
use super::time::{Duration, Instant};

/// How long an acknowledgment may wait for company (`TCP_DELACK_MIN`).
pub(super) const DELAYED_ACK: Duration = Duration::from_ms(40);

impl Tcb {
    /// Whether nobody will read what comes: the user is gone, or has shut down both directions (RFC
    /// 1122 4.2.2.13).
    fn refuses_text(&self) -> bool {
        let closing = matches!(self.state, State::FinWait1 | State::FinWait2);
        self.is_orphan() || (self.reader == Reader::Shut && closing)
    }

    /// Seventh, the text: what is new and within the window goes to the receive buffer.
    pub(super) fn text<R: ReceiveQueue>(
        &mut self,
        config: &Config,
        seg: &Segment,
        rx: &mut R,
        now: Instant,
        events: &mut Events,
    ) {
        if !self.state.may_receive() && !self.is_passive_fast_open() {
            return;
        }
        let start = seg.text_start();
        let end = start + seg.len;
        if seg.has_fin() && end.at_or_before(self.rcv_adv) && end.at_or_after(self.rcv_nxt) {
            self.peer_fin = Some(end);
        }
        if seg.len == 0 {
            return;
        }
        if self.refuses_text() && end.after(self.rcv_nxt) {
            // Nobody will ever read it: the peer must know (RFC 9293 3.6.1, RFC 2525 2.17).
            events.reply = Some(self.reset(now));
            events.dropped = Some(Drop::Closed);
            self.end((!self.is_orphan()).then_some(Error::Reset), events);
            return;
        }

        self.note_duplicate(start, end);
        let first = start.max(self.rcv_nxt);
        let len = end.min(self.rcv_adv).since(first);
        if len == 0 {
            let old = end.at_or_before(self.rcv_nxt);
            events.dropped = Some(if old {
                Drop::OldText
            } else {
                Drop::OutOfWindow
            });
            if old {
                self.ecn_on_old_text(seg);
            }
            self.ack_due = AckDue::Now;
            return;
        }
        self.note_waiting(rx, first, first + len);
        self.ecn_on_text(seg);
        self.store(
            config,
            (first, first.since(start), len),
            seg.len,
            rx,
            now,
            events,
        );
    }

    /// Puts `len` bytes with the number `first`, the segment's from its byte `skip` on, into the
    /// receive buffer.
    pub(super) fn store<R: ReceiveQueue>(
        &mut self,
        config: &Config,
        (first, skip, len): (SeqNumber, u32, u32),
        seg_len: u32,
        rx: &mut R,
        now: Instant,
        events: &mut Events,
    ) {
        match rx.store(self.rcv_nxt, first, skip, len) {
            Err(_) => events.dropped = Some(Drop::NoRoom),
            Ok(nxt) if nxt == self.rcv_nxt => self.ack_due = AckDue::Now,
            Ok(nxt) => {
                // RFC 5681 4.2: at once when all or a part of a gap was filled.
                let filled_gap = nxt != first + len || rx.has_gaps();
                self.totals.received(nxt.since(self.rcv_nxt));
                self.rcv_nxt = nxt;
                self.rcv_adv = self.rcv_adv.max(nxt);
                events.readable = true;
                self.schedule_ack(config, seg_len, filled_gap, now);
            }
        }
    }

    /// What of `[start, end)` is before RCV.NXT came again: the peer is told (RFC 2883).
    pub(super) fn note_duplicate(&mut self, start: SeqNumber, end: SeqNumber) {
        let twice = start.before(self.rcv_nxt) && start.before(end);
        if self.sack && self.reports && twice {
            self.statistics.note(Statistic::DsackOldSent);
            self.dsack = Some(SeqRange {
                start,
                end: end.min(self.rcv_nxt),
            });
        }
    }

    /// The same of what waits already, as far as the blocks show it that the peer is told of.
    fn note_waiting<R: ReceiveQueue>(&mut self, rx: &R, start: SeqNumber, end: SeqNumber) {
        if !self.sack || !self.reports || start == self.rcv_nxt {
            return;
        }
        for block in rx.sack_blocks().as_slice() {
            let common = SeqRange {
                start: start.max(block.start),
                end: end.min(block.end),
            };
            if common.start.before(common.end) {
                self.statistics.note(Statistic::DsackOfoSent);
                self.dsack = Some(common);
                return;
            }
        }
    }

    fn schedule_ack(&mut self, config: &Config, len: u32, filled_gap: bool, now: Instant) {
        let len = u16::try_from(len).unwrap_or(u16::MAX).min(config.mss);
        self.rcv_mss = self.rcv_mss.max(len);
        let unacked = self.rcv_nxt.since(self.last_ack_sent);
        if filled_gap || unacked > u32::from(self.rcv_mss) || self.quick_acks > 0 {
            self.quick_acks = self.quick_acks.saturating_sub(1);
            self.ack_due = AckDue::Now;
        } else if self.ack_due == AckDue::No {
            self.ack_due = AckDue::By(now + DELAYED_ACK);
        }
    }

    /// Eighth, the peer's FIN, once all text before it is here.
    pub(super) fn fin(&mut self, config: &Config, now: Instant, events: &mut Events) {
        if self.peer_fin != Some(self.rcv_nxt) {
            return;
        }
        let next = match self.state {
            State::Established => State::CloseWait,
            State::FinWait1 => State::Closing,
            State::FinWait2 => State::TimeWait,
            _ => return,
        };
        self.rcv_nxt += 1;
        self.rcv_adv = self.rcv_adv.max(self.rcv_nxt);
        self.ack_due = AckDue::Now;
        events.peer_closed = true;
        if next == State::TimeWait {
            let mut ack = self.bare_ack(now);
            if self.is_orphan() {
                // Linux keeps no more of an orphan here than TIME-WAIT needs: no counters.
                ack.flags = ack.flags.without(Flags::ACE);
                ack.options.accecn = None;
            }
            events.reply = Some(ack);
            self.enter_time_wait(config, now, events);
        } else {
            self.state = next;
        }
    }
}
