// SPDX-License-Identifier: GPL-2.0

//! ProbeRTT: when no round trip has been as quick as the quickest for a while, little is kept in
//! flight for a moment, so that the path shows its round-trip time without a queue.

use super::{min_pipe, reached, Bbr, Mode};
use crate::tcp::congestion::Ack;
use crate::tcp::pack::packed;
use crate::tcp::time::Instant;

/// What is kept in flight, percent of what the path holds.
pub(super) const CWND_GAIN: u64 = 50;
/// How long, ms.
const DURATION: u32 = 200;

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum ProbeRtt {
    /// The flight is not low yet.
    #[default]
    High,
    /// It is low since `since`, ms (wraps); `round_done`: for a whole round.
    Low { since: u32, round_done: bool },
    /// It is over, but what was sent with `until` bytes delivered or less may still arrive (wraps).
    Over { until: u32 },
}

packed!(enum ProbeRtt { 0 => High, 1 => Low { since, round_done }, 2 => Over { until } });

impl Bbr {
    pub(super) fn probe_rtt_cwnd(&self, mss: u32) -> u32 {
        self.bdp(self.bw(), CWND_GAIN, mss).max(min_pipe(mss))
    }

    pub(super) fn check_probe_rtt(&mut self, ack: &Ack) {
        if self.mode != Mode::ProbeRtt && self.path.probe_rtt_due && !self.idle_restart {
            self.save_cwnd();
            self.mode = Mode::ProbeRtt;
            self.probe_rtt = ProbeRtt::High;
            self.probing.stop_feedback();
            self.path.start_round();
        }
        if self.mode == Mode::ProbeRtt {
            self.probe_rtt_step(ack);
        }
        if ack.acked > 0 {
            self.idle_restart = false;
        }
    }

    fn probe_rtt_step(&mut self, ack: &Ack) {
        let now = ack.now.ms_wrapped();
        match self.probe_rtt {
            ProbeRtt::High if ack.flight <= self.probe_rtt_cwnd(ack.mss) => {
                self.probe_rtt = ProbeRtt::Low {
                    since: now,
                    round_done: false,
                };
                self.path.start_round();
            }
            ProbeRtt::Low { since, round_done } => {
                let round_done = round_done || self.path.round_start;
                self.probe_rtt = ProbeRtt::Low { since, round_done };
                if round_done {
                    self.end_probe_rtt_if_long(ack.now, ack.flight);
                }
            }
            ProbeRtt::High | ProbeRtt::Over { .. } => {}
        }
    }

    /// The end, if the flight was low for long enough; `flight` bytes are left of it.
    pub(super) fn end_probe_rtt_if_long(&mut self, now: Instant, flight: u32) {
        let ProbeRtt::Low { since, .. } = self.probe_rtt else {
            return;
        };
        if now.ms_wrapped().wrapping_sub(since) < DURATION {
            return;
        }
        self.probe_rtt = ProbeRtt::Over {
            until: self.path.delivered.wrapping_add(flight),
        };
        self.leave_probe_rtt(now);
    }

    /// Whether something that was sent with `delivered` bytes delivered was sent at a rate that
    /// ProbeRTT held back, as a user can: such rates say little.
    pub(super) fn is_held_back(&mut self, delivered: u32) -> bool {
        match self.probe_rtt {
            ProbeRtt::Over { until } if !reached(until, delivered) => {
                self.probe_rtt = ProbeRtt::High;
                false
            }
            ProbeRtt::Over { .. } => true,
            _ => self.mode == Mode::ProbeRtt,
        }
    }

    fn leave_probe_rtt(&mut self, now: Instant) {
        self.path.min_rtt_is_fresh(now);
        self.restore_cwnd();
        self.path.reset_lower_bounds();
        if self.full_bw.reached {
            self.start_down(now);
            self.start_cruise();
        } else {
            self.enter_startup();
        }
    }
}
