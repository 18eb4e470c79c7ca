// SPDX-License-Identifier: GPL-2.0

//! Whether the connection uses its congestion window, and what becomes of one that it does not use
//! (RFC 7661; RFC 5681 4.1).
//!
//! A burst of a window that is not validated (RFC 7661 4.4.2) is fq's to spread, which is told the
//! rate; where there is none the device's queue bounds it ([`super::small_queue`]), as in Linux.

use super::config::Config;
use super::congestion::pipe_ack::PipeAck;
use super::congestion::{initial_window, CongestionControl};
use super::recovery::Recovery;
use super::tcb::{RetransmitTimer, Tcb};
use super::time::{Duration, Instant};

impl Tcb {
    /// All is sent that may be sent now: takes note of how full the window is.
    pub(super) fn validate_window(&mut self, now: Instant) {
        let (pipe, cwnd) = (self.pipe(), self.cwnd());
        self.validate_use((pipe, cwnd), now);
    }

    /// The same, of what is known to be in the network and of the window.
    #[inline]
    pub(super) fn validate_use(&mut self, (pipe, cwnd): (u32, u32), now: Instant) {
        let held_back = self.usage.take_held_back();
        let full = held_back || pipe.saturating_add(self.mss32()) > cwnd;
        if !self.usage.take_touched() && !full {
            return;
        }
        let range = (self.snd_una, self.snd_nxt);
        self.usage.sent(full, self.flight(), range);
        if self.recovery == Recovery::Open && !self.rules_itself() {
            // Of a full window the part of a segment is missing, or a run that is held back for now.
            let most = if full { cwnd } else { 0 };
            let edge = self.snd_nxt.max(self.snd_una + most);
            self.usage.pipe_ack.sent(self.snd_una, edge);
            self.give_up_excess(full);
        }
        if self.chrono.full {
            self.note_unlimited(now);
        }
        self.give_up_window(now);
    }

    /// What slow start has opened the window by beyond twice what was used, unless it was needed for
    /// what has been sent since.
    #[inline]
    fn give_up_excess(&mut self, full: bool) {
        let excess = self.usage.pipe_ack.take_excess();
        let rest = self.congestion.window().saturating_sub(excess);
        if excess > 0 && !full && self.flight() <= rest {
            self.congestion.on_unused(excess);
        }
    }

    /// Half of the window for each five minutes in which half of it was not used (RFC 7661 4.4.3).
    #[inline]
    fn give_up_window(&mut self, now: Instant) {
        if self.recovery != Recovery::Open {
            return;
        }
        let periods = self.usage.pipe_ack.take_periods(now);
        if periods > 0 {
            self.congestion.on_disuse(periods, self.mss32());
        }
    }

    /// SND.UNA has moved, and the congestion control has heard of it: takes note of how much the path
    /// carries, unless a recovery is under way (RFC 7661 4.2).
    pub(super) fn validate_capacity(&mut self, now: Instant) {
        if self.recovery == Recovery::Open && !self.rules_itself() {
            self.measure_capacity(now);
        }
    }

    /// The same, where no recovery is, nor a control that rules its rate.
    #[inline]
    pub(super) fn measure_capacity(&mut self, now: Instant) {
        let range = (self.snd_una, self.snd_nxt);
        let srtt = self.rtt.srtt().unwrap_or(Duration::ZERO);
        let cwnd = self.congestion.window();
        self.usage.pipe_ack.acknowledged(range, cwnd, srtt, now);
    }

    /// The window has become another for a reason that is none any more, or that says all there is to
    /// say of the path: what was known of it is void.
    pub(super) fn forget_capacity(&mut self) {
        self.usage.pipe_ack = PipeAck::new(self.snd_una);
    }

    /// A reduction of the window that ran its course is over.
    pub(super) fn end_reduction(&mut self, now: Instant) {
        let most = self.usage.pipe_ack.recovered(self.snd_una);
        self.congestion.on_recovered(most, self.mss32(), now);
    }

    /// The user waits for room in the send buffer: it is that which holds us back, unless it is the
    /// window.
    #[cold]
    fn note_unlimited(&mut self, now: Instant) {
        let (cwnd, ssthresh) = (self.congestion.window(), self.congestion.ssthresh());
        if !self.usage.is_limited(cwnd, ssthresh) {
            self.note_buffer_limited(now);
        }
    }

    /// Text is sent with none outstanding. A control that rules its rate hears of it if that is the
    /// user's doing; one that rules a window if the acknowledgments that clock it are long gone, and
    /// its window is to begin anew then: else it is as any that is not used.
    pub(super) fn restart_from_idle(&mut self, config: &Config, now: Instant) {
        let (idle, rto) = (now.since(self.last_sent), self.rto(config));
        if idle > rto && !matches!(self.retransmit_timer, RetransmitTimer::Retry(_)) {
            // Of what was marked last all has been acknowledged, so that nothing would end it. What
            // our own device refuses again and again reduces the window once.
            self.end_cwr(now);
        }
        let heard = if self.rules_itself() {
            self.rate.is_app_limited()
        } else {
            config.slow_start_after_idle && idle > rto
        };
        if heard {
            self.congestion.on_idle(idle, rto, self.mss32(), now);
            self.usage.pipe_ack.take_excess();
        } else {
            self.congestion.on_start(now);
        }
        if idle <= rto {
            return;
        }
        if self.congestion.window() <= initial_window(self.mss32()) {
            // It is as safe as a start's.
            self.forget_capacity();
        } else {
            let srtt = self.rtt.srtt().unwrap_or(Duration::ZERO);
            self.usage.pipe_ack.rested(srtt, now);
            self.give_up_window(now);
        }
    }
}
