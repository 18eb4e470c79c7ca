// SPDX-License-Identifier: GPL-2.0

//! What goes out: handshake, probes, retransmissions, new text, acknowledgments, in this order.

use super::config::Config;
use super::congestion::CongestionControl;
use super::options::{Options, TIMESTAMPS_LEN};
use super::receive::ReceiveQueue;
use super::segment::{Flags, Transmit};
use super::seq::SeqNumber;
use super::state::State;
use super::tcb::{AckDue, Control, Recovery, RetransmitTimer, Tcb, Timing, TxLimits};
use super::text::DELAYED_ACK;
use super::time::Instant;

/// Least segment size that a peer may ask for (`tcp_min_snd_mss`): smaller ones would cost us more
/// than they cost the peer.
const LEAST_MSS: u16 = 48;

impl Tcb {
    /// The next segment, or run of segments, to send; call until there is none.
    pub fn poll_transmit<R: ReceiveQueue>(
        &mut self,
        config: &Config,
        rx: &R,
        limits: &TxLimits,
        now: Instant,
    ) -> Option<Transmit> {
        self.set_mss(limits.mss);
        match self.state {
            State::Closed | State::Listen | State::TimeWait => return None,
            State::SynSent | State::SynReceived => {
                return (self.control == Control::Syn).then(|| self.send_syn(config, now));
            }
            _ => {}
        }
        if self.control == Control::Probe {
            self.control = Control::None;
            return Some(self.probe(now));
        }
        if self.state.may_transmit() {
            let text = match self.retransmission(limits) {
                Some(part) => Some(self.send(config, part, rx, now)),
                None => self
                    .new_text(config, limits, now)
                    .map(|p| self.send(config, p, rx, now)),
            };
            if text.is_some() {
                return text;
            }
        }
        (self.ack_due == AckDue::Now).then(|| self.send_ack(config, rx, now))
    }

    /// Text bytes of a full segment: what the peer and the path allow, less the options that every
    /// segment has (RFC 6691).
    pub(super) fn set_mss(&mut self, path_mss: u16) {
        let options = if self.timestamps { TIMESTAMPS_LEN } else { 0 };
        let mss = self.peer_mss.min(path_mss).max(LEAST_MSS);
        self.eff_mss = mss.saturating_sub(options);
    }

    fn send_syn(&mut self, config: &Config, now: Instant) -> Transmit {
        let again = self.snd_nxt.after(self.iss);
        let wnd = config.initial_window.min(65535);
        let (flags, ack) = match self.state {
            State::SynReceived => (Flags::SYN | Flags::ACK, self.rcv_nxt),
            _ => (Flags::SYN, SeqNumber(0)),
        };
        self.control = Control::None;
        self.snd_nxt = self.iss + 1;
        self.timing = (!again).then_some(Timing {
            end: self.snd_nxt,
            sent: now,
        });
        self.retransmit_timer = RetransmitTimer::Rto(now + self.rto(config));
        if again {
            self.total_retransmits = self.total_retransmits.wrapping_add(1);
        } else {
            self.stalled_since = now;
        }
        let mut syn = Transmit::bare(self.iss, ack, flags, wnd as u16);
        syn.options = Options {
            mss: Some(config.mss),
            window_scale: self.scaling.then_some(self.rcv_scale),
            sack_permitted: self.sack,
            timestamps: self.timestamp(now),
            ..Options::default()
        };
        syn.retransmission = again;
        syn
    }

    /// A segment out of the window, which the peer has to answer with an acknowledgment.
    fn probe(&mut self, now: Instant) -> Transmit {
        let mut probe = self.bare_ack(now);
        probe.seq = self.snd_una - 1;
        probe
    }

    /// What is to be sent again: the first hole before the edge of loss, as far as the congestion
    /// window lets; the very first segment of a recovery regardless of it.
    fn retransmission(&self, limits: &TxLimits) -> Option<Part> {
        if self.recovery == Recovery::Open {
            return None;
        }
        let from = self.rtx_next.max(self.snd_una);
        let hole = self.scoreboard.next_hole(from, self.lost_edge())?;
        let first = hole.start == self.snd_una;
        let mss = self.mss32();
        let room = match self.cwnd().saturating_sub(self.pipe()) {
            room if first => room.max(mss),
            room => room,
        };
        let window = self.snd_wnd.saturating_sub(hole.start.since(self.snd_una));
        let window = if first { window.max(mss) } else { window };
        let text_end = hole.end.min(self.write_seq);
        let wanted = text_end.since(hole.start);
        let len = whole_segments(wanted, room.min(window).min(limits.max_run.max(mss)), mss);
        let fin = len == wanted && self.fin_seq().is_some_and(|f| f.before(hole.end));
        (len > 0 || (fin && room > 0)).then_some(Part {
            seq: hole.start,
            len,
            fin,
            again: true,
        })
    }

    /// What of the queue may go out for the first time (RFC 9293 3.7.4, 3.8.6.2.1).
    fn new_text(&mut self, config: &Config, limits: &TxLimits, now: Instant) -> Option<Part> {
        let seq = self.snd_nxt;
        let waiting = self.write_seq.since(seq);
        let fin_waiting = self.fin_queued && seq.at_or_before(self.write_seq);
        if waiting == 0 && !fin_waiting {
            return None;
        }
        if self.flight() == 0 && config.slow_start_after_idle {
            let (idle, rto) = (now.since(self.last_sent), self.rto(config));
            if idle > rto {
                self.congestion.on_idle(idle, rto, self.mss32());
            }
        }
        let mss = self.mss32();
        let window = (self.snd_una + self.snd_wnd).since(seq);
        let room = self.cwnd().saturating_sub(self.pipe());
        let allowed = window.min(room).min(limits.max_run.max(mss));
        let mut len = whole_segments(waiting, allowed, mss);

        let tail = waiting % mss;
        if len == waiting && tail != 0 && !fin_waiting && self.holds_tail(config) {
            len -= tail;
        }
        if len == 0 && window < waiting.min(mss) {
            len = self.silly_window(window.min(waiting), room);
        }
        let fin = fin_waiting && len == waiting && window > len;
        if len == 0 && !fin {
            self.wait_for_window(config, now);
            return None;
        }
        self.override_sws = false;
        Some(Part {
            seq,
            len,
            fin,
            again: false,
        })
    }

    /// Whether a segment that is not full has to wait: for what the user still has to say, or by
    /// Nagle's algorithm with Minshall's rule as long as another such is not acknowledged
    /// (RFC 9293 3.7.4, RFC 896).
    fn holds_tail(&self, config: &Config) -> bool {
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

    fn send<R: ReceiveQueue>(
        &mut self,
        config: &Config,
        part: Part,
        rx: &R,
        now: Instant,
    ) -> Transmit {
        let mss = self.mss32();
        let text_end = part.seq + part.len;
        let end = text_end + u32::from(part.fin);
        let mut flags = Flags::ACK;
        if part.len > 0 && text_end == self.write_seq {
            flags = flags | Flags::PSH;
        }
        if part.fin {
            flags = flags | Flags::FIN;
        }
        if part.again {
            self.rtx_next = self.rtx_next.max(end);
            self.timing = None;
            let segments = part.len.div_ceil(mss).max(1);
            self.total_retransmits = self.total_retransmits.wrapping_add(segments);
        } else {
            if self.flight() == 0 {
                self.stalled_since = now;
            }
            self.snd_nxt = end;
            if part.len % mss != 0 {
                self.snd_sml = end;
            }
            if self.timing.is_none() && self.recovery == Recovery::Open {
                self.timing = Some(Timing { end, sent: now });
            }
        }
        let again = part.again && part.seq == self.snd_una;
        match self.retransmit_timer {
            // The first segment, sent again by fast retransmit, has its whole time to arrive.
            RetransmitTimer::Rto(_) if !again => {}
            RetransmitTimer::Persist(_) => {
                self.backoff = 0;
                self.retransmit_timer = RetransmitTimer::Rto(now + self.rto(config));
            }
            _ => self.retransmit_timer = RetransmitTimer::Rto(now + self.rto(config)),
        }
        if now.since(self.last_heard) <= DELAYED_ACK {
            self.interactive = true;
            self.quick_acks = 0;
        }
        self.last_sent = now;

        let wnd = self.offer_window(config, rx);
        let mut out = Transmit::bare(part.seq, self.rcv_nxt, flags, wnd);
        out.options.timestamps = self.timestamp(now);
        out.len = part.len;
        out.mss = self.eff_mss;
        out.retransmission = part.again;
        self.acknowledged();
        out
    }

    fn send_ack<R: ReceiveQueue>(&mut self, config: &Config, rx: &R, now: Instant) -> Transmit {
        let wnd = self.offer_window(config, rx);
        let mut ack = Transmit::bare(self.snd_nxt, self.rcv_nxt, Flags::ACK, wnd);
        ack.options.timestamps = self.timestamp(now);
        if self.sack {
            ack.options.sack = rx.sack_blocks();
        }
        self.acknowledged();
        ack
    }

    fn acknowledged(&mut self) {
        self.last_ack_sent = self.rcv_nxt;
        self.ack_due = AckDue::No;
    }

    /// The window to offer, as on the wire. Its right edge never moves left (RFC 9293 3.8.6), and
    /// moves right only by what is worth a segment (3.8.6.2.2).
    fn offer_window<R: ReceiveQueue>(&mut self, config: &Config, rx: &R) -> u16 {
        let offered = self.rcv_wnd();
        let step = u32::from(config.mss).min(rx.capacity() / 2);
        let space = rx.space();
        let unit = 1u32 << self.rcv_scale;
        let kept = offered.div_ceil(unit);
        let wire = if space >= offered.saturating_add(step) {
            // Rounded up, as in Linux: else a space smaller than the unit could never be offered.
            space.div_ceil(unit)
        } else {
            kept
        };
        let wire = u16::try_from(wire).unwrap_or(u16::MAX);
        self.rcv_adv = self
            .rcv_adv
            .max(self.rcv_nxt + (u32::from(wire) << self.rcv_scale));
        wire
    }

    /// Whether a window update is worth a segment of its own: the window has at least doubled and
    /// grown by a segment, as in Linux.
    pub(super) fn window_update_due<R: ReceiveQueue>(&self, config: &Config, rx: &R) -> bool {
        let offered = self.rcv_wnd();
        let max = u32::from(u16::MAX) << self.rcv_scale;
        let space = rx.space().min(max);
        let step = u32::from(config.mss).min(rx.capacity() / 2);
        space >= offered.saturating_mul(2) && space >= offered.saturating_add(step)
    }
}

/// A part of the queue that is to be sent.
struct Part {
    seq: SeqNumber,
    len: u32,
    fin: bool,
    again: bool,
}

/// As much of `wanted` as is allowed: all of it, or a multiple of the segment size.
fn whole_segments(wanted: u32, allowed: u32, mss: u32) -> u32 {
    if wanted <= allowed {
        wanted
    } else {
        allowed - allowed % mss
    }
}
