// SPDX-License-Identifier: GPL-2.0

//! Whether the connection uses its congestion window, and what becomes of one that it does not use
//! (RFC 7661, RFC 2861; RFC 5681 4.1).

use super::config::Config;
use super::congestion::CongestionControl;
use super::tcb::{Recovery, Tcb};
use super::time::{Duration, Instant};

impl Tcb {
    /// All is sent that may be sent now: takes note of how full the window is, and gives back what
    /// was not used for a whole retransmission timeout.
    pub(super) fn validate_window(&mut self, config: &Config, now: Instant) {
        let (pipe, cwnd) = (self.pipe(), self.cwnd());
        self.validate_use(config, (pipe, cwnd), |tcb| tcb.rto(config), now);
    }

    /// The same, of what is known to be in the network and of the window, and with what
    /// [`Tcb::rto`] says.
    #[inline]
    pub(super) fn validate_use(
        &mut self,
        config: &Config,
        (pipe, cwnd): (u32, u32),
        rto: impl FnOnce(&Self) -> Duration,
        now: Instant,
    ) {
        let held_back = self.usage.take_held_back();
        let full = held_back || pipe.saturating_add(self.mss32()) > cwnd;
        if !self.usage.take_touched() && !full {
            return;
        }
        let range = (self.snd_una, self.snd_nxt);
        self.usage.sent(full, self.flight(), range, now);
        if self.chrono.full {
            self.note_unlimited(now);
        }
        if !config.slow_start_after_idle || self.rules_itself() || self.recovery != Recovery::Open {
            return;
        }
        let window = (self.congestion.window(), self.congestion.ssthresh());
        if let Some(used) = self.usage.disused(window, rto(self), now) {
            self.congestion.on_disuse(used, self.mss32());
        }
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

    /// Text is to be sent with none outstanding. A control that rules its rate hears of it if that
    /// is the user's doing; one that rules a window if the acknowledgments that clock it are long
    /// gone.
    pub(super) fn restart_from_idle(&mut self, config: &Config, now: Instant) {
        let (idle, rto) = (now.since(self.last_sent), self.rto(config));
        let heard = if self.rules_itself() {
            self.rate.is_app_limited()
        } else {
            config.slow_start_after_idle && idle > rto
        };
        if heard {
            self.congestion.on_idle(idle, rto, self.mss32(), now);
            self.usage.restart(now);
        }
    }
}
