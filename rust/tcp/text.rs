// SPDX-License-Identifier: GPL-2.0

//! Text and FIN of an arriving segment (RFC 9293 3.10.7.4, seventh and eighth), and when they are
//! acknowledged (RFC 9293 3.8.6.3, RFC 5681 4.2).

use super::config::Config;
use super::delayed_ack::QUICK_ACKS;
use super::events::{Drop, Error, Events};
use super::options::SeqRange;
use super::receive::{Arrived, ReceiveQueue};
use super::segment::{Flags, Segment, Transmit};
use super::seq::SeqNumber;
use super::state::State;
use super::statistics::Statistic;
use super::tcb::{AckDue, Reader, Tcb};
use super::time::{Duration, Instant};

/// Bytes of text from which on a segment may make the window grow: no segment that is short
/// ([`DelayedAck::is_short`](super::delayed_ack::DelayedAck::is_short)) has as much.
pub(super) const LEAST_TO_GROW: u32 = 128;

/// What is to be said of text that came in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Progress {
    /// Nothing: there was none.
    None,
    /// That it came, some time.
    Text,
    /// That it came, at once: it filled a gap, or a part of one (RFC 5681 4.2).
    Gap,
}

impl Tcb {
    /// Whether nobody will read what comes: the user is gone, or has shut down both directions (RFC
    /// 1122 4.2.2.13).
    fn refuses_text(&self) -> bool {
        let closing = matches!(self.state, State::FinWait1 | State::FinWait2);
        self.is_orphan() || (self.reader == Reader::Shut && closing)
    }

    /// Text and FIN of a segment, and when to acknowledge them.
    pub(super) fn receive<R: ReceiveQueue>(
        &mut self,
        config: &Config,
        seg: &Segment,
        rx: &mut R,
        now: Instant,
        events: &mut Events,
    ) {
        let progress = self.text(config, seg, rx, now, events);
        self.fin(config, now, events);
        let alive = !matches!(self.state, State::Closed | State::TimeWait);
        if alive && (progress != Progress::None || events.peer_closed) {
            self.schedule_ack(config, rx, progress == Progress::Gap, now);
        }
    }

    /// Seventh, the text: what is new and within the window goes to the receive buffer.
    pub(super) fn text<R: ReceiveQueue>(
        &mut self,
        config: &Config,
        seg: &Segment,
        rx: &mut R,
        now: Instant,
        events: &mut Events,
    ) -> Progress {
        if !self.state.may_receive() && !self.is_passive_fast_open() {
            return Progress::None;
        }
        let start = seg.text_start();
        let end = start + seg.len;
        if seg.len == 0 {
            // Beyond a window that is closed for text a FIN may come: it takes no memory.
            if seg.has_fin() && end.at_or_before(self.rcv_edge()) && end.at_or_after(self.rcv_nxt) {
                self.peer_fin = Some(end);
                let memory = rx.memory();
                if end != self.rcv_nxt || memory.used > memory.size {
                    self.ack_due = AckDue::Now;
                }
            }
            return Progress::None;
        }
        if self.refuses_text() && end.after(self.rcv_nxt) {
            // Nobody will ever read it: the peer must know (RFC 9293 3.6.1, RFC 2525 2.17).
            events.reply = Transmit::reset_for(seg);
            events.dropped = Some(Drop::Closed);
            self.end((!self.is_orphan()).then_some(Error::Reset), events);
            return Progress::None;
        }

        self.note_duplicate(start, end);
        let first = start.max(self.rcv_nxt);
        if let Some(why) = self.refusal(first, end) {
            if why == Drop::OldText {
                self.ecn_on_old_text(seg);
                if seg.has_fin() && end == self.rcv_nxt {
                    self.peer_fin = Some(end);
                }
            }
            events.dropped = Some(why);
            self.acks.hurry(self.last_offer(), QUICK_ACKS);
            self.ack_due = AckDue::Now;
            return Progress::None;
        }
        let len = end.since(first);
        self.note_waiting(rx, first, end);
        self.ecn_on_text(seg);
        let text = (first, first.since(start), len);
        let progress = self.store(config, seg, text, rx, now, events);
        if events.dropped.is_none() && seg.has_fin() {
            self.peer_fin = Some(end);
        }
        progress
    }

    /// Puts `len` bytes with the number `first`, the segment's from its byte `skip` on, into the
    /// receive buffer.
    pub(super) fn store<R: ReceiveQueue>(
        &mut self,
        config: &Config,
        seg: &Segment,
        (first, skip, len): (SeqNumber, u32, u32),
        rx: &mut R,
        now: Instant,
        events: &mut Events,
    ) -> Progress {
        let end = first + len;
        let arrived = rx.arrived();
        let memory = rx.memory();
        if memory.used > memory.size {
            self.overrun(config);
        }
        match rx.store(self.rcv_nxt, first, skip, len) {
            Err(_) => {
                events.dropped = Some(Drop::NoRoom);
                if first == self.rcv_nxt {
                    // Who waits for more is to read what is there.
                    events.readable = true;
                    self.window.no_room = true;
                    self.ack_due = AckDue::Now;
                }
                Progress::None
            }
            Ok(nxt) if nxt == self.rcv_nxt => {
                self.measure_segment(config, (seg.len, seg.flags), &arrived, rx);
                self.ack_due = AckDue::Now;
                if self.sack {
                    self.grow_window(config, len, &arrived, rx, false);
                }
                events.early = Some(end.since(self.rcv_nxt));
                Progress::None
            }
            Ok(nxt) => {
                // RFC 5681 4.2: at once when all or a part of a gap was filled.
                let filled_gap = nxt != end || rx.has_gaps() || self.early_fin().is_some();
                self.totals.received(nxt.since(self.rcv_nxt));
                self.rcv_nxt = nxt;
                self.rcv_adv = self.rcv_adv.max(nxt);
                events.readable = true;
                self.measure_segment(config, (seg.len, seg.flags), &arrived, rx);
                let rto = self.rto(config);
                self.acks.on_text(self.last_offer(), rto, now);
                if len >= LEAST_TO_GROW {
                    self.grow_window(config, len, &arrived, rx, true);
                    let stamp = seg.options.timestamps;
                    self.time_text((len, stamp), memory.used == 0, now);
                }
                if filled_gap {
                    Progress::Gap
                } else {
                    Progress::Text
                }
            }
        }
    }

    /// Why new text `[first, end)` is not taken: text in the window is, all of it, though it may end
    /// beyond.
    fn refusal(&self, first: SeqNumber, end: SeqNumber) -> Option<Drop> {
        if !end.after(first) {
            Some(Drop::OldText)
        } else if self.rcv_wnd() == 0 && first == self.rcv_nxt {
            Some(Drop::ZeroWindow)
        } else if first.at_or_after(self.rcv_nxt + self.rcv_wnd()) {
            Some(Drop::BeyondWindow)
        } else {
            None
        }
    }

    /// More memory is used than the buffer has.
    #[cold]
    pub(super) fn overrun(&mut self, config: &Config) {
        self.acks.quick = 0;
        self.window.overrun(config.mss);
    }

    #[inline(always)]
    pub(super) fn measure_segment<R: ReceiveQueue>(
        &mut self,
        config: &Config,
        (len, flags): (u32, Flags),
        arrived: &Arrived,
        rx: &R,
    ) {
        if self.acks.measure(config, (len, flags), arrived) {
            self.window.measure(config, len, arrived, &rx.memory());
        }
    }

    pub(super) fn grow_window<R: ReceiveQueue>(
        &mut self,
        config: &Config,
        len: u32,
        arrived: &Arrived,
        rx: &R,
        merged: bool,
    ) {
        let sizes = (len, self.acks.rcv_mss);
        let memory = rx.memory();
        if !self.window.may_grow(&memory) {
            return;
        }
        if rx.is_under_pressure() {
            self.window.yield_memory(config.mss);
        } else if self.window.grow(config, sizes, arrived, &memory, merged) {
            self.acks.at_least_one();
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
    pub(super) fn note_waiting<R: ReceiveQueue>(
        &mut self,
        rx: &R,
        start: SeqNumber,
        end: SeqNumber,
    ) {
        if !self.sack || !self.reports {
            return;
        }
        let blocks = rx.sack_blocks();
        let common = blocks.as_slice().iter().map(|block| SeqRange {
            start: start.max(block.start),
            end: end.min(block.end),
        });
        let twice = common.filter(|both| both.start.before(both.end));
        if let Some(first) = twice.min_by_key(|both| both.start.since(start)) {
            self.statistics.note(Statistic::DsackOfoSent);
            self.dsack = Some(first);
        }
    }

    /// Text in order is to be acknowledged, now or later (`__tcp_ack_snd_check`).
    #[inline(always)]
    pub(super) fn schedule_ack<R: ReceiveQueue>(
        &mut self,
        config: &Config,
        rx: &R,
        filled_gap: bool,
        now: Instant,
    ) {
        let unacked = self.rcv_nxt.since(self.last_ack_sent);
        // Where the window does not grow with it, reading will acknowledge it. (Where little of the
        // buffer is left, to ask for the window ends quick acknowledgments.)
        let full = unacked > u32::from(self.acks.rcv_mss)
            && self.selected_window(config, rx).window >= self.last_offer();
        if full || filled_gap || self.acks.is_quick(config) {
            self.ack_due = AckDue::Now;
        } else {
            self.delay_ack(config, now);
        }
    }

    #[inline(always)]
    fn delay_ack(&mut self, config: &Config, now: Instant) {
        let wait = self.acks.wait(config, self.rtt.srtt());
        if wait == Duration::ZERO {
            self.ack_due = AckDue::Now;
            return;
        }
        let at = now + wait;
        self.ack_due = match self.ack_due {
            AckDue::Now => AckDue::Now,
            // It would go out soon anyway.
            AckDue::By(by) if by <= now + Duration::from_us(wait.us() / 4) => AckDue::Now,
            AckDue::By(by) => AckDue::By(by.min(at)),
            AckDue::No => AckDue::By(at),
        };
    }

    /// The number of the peer's FIN that came before the text that is to come before it.
    pub(super) fn early_fin(&self) -> Option<SeqNumber> {
        self.peer_fin.filter(|fin| fin.at_or_after(self.rcv_nxt))
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
        // Nothing more will come, so nothing is better sent otherwise for knowing what came twice.
        self.dsack = None;
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
        match next {
            // The user is likely to close too, and the acknowledgment to ride on our FIN.
            State::CloseWait => self.acks.expect_answers(config),
            _ => self.ack_due = AckDue::Now,
        }
    }
}
