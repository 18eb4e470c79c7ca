// SPDX-License-Identifier: GPL-2.0

//! ProbeRTT: when no round trip has been as quick as the quickest for a while, little is kept in
//! flight for a moment, so that the path shows its round-trip time without a queue.

use super::{min_pipe, Bbr, Mode};
use crate::tcp::congestion::Ack;
use crate::tcp::pack::packed;

/// What is kept in flight, percent of what the path holds.
pub(super) const CWND_GAIN: u64 = 50;
/// How long, ms.
const DURATION: u32 = 200;

/// How far it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct ProbeRtt {
    /// Since when the flight is low, ms (wraps); `None` while it is not.
    since: Option<u32>,
    /// A whole round has passed since the flight is low.
    round_done: bool,
}

packed!(struct ProbeRtt { since, round_done });

impl Bbr {
    pub(super) fn probe_rtt_cwnd(&self, mss: u32) -> u32 {
        self.bdp(self.bw(), CWND_GAIN, mss).max(min_pipe(mss))
    }

    pub(super) fn check_probe_rtt(&mut self, ack: &Ack) {
        if self.mode != Mode::ProbeRtt && self.path.probe_rtt_due && !self.idle_restart {
            self.save_cwnd();
            self.mode = Mode::ProbeRtt;
            self.probe_rtt = ProbeRtt::default();
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
        match self.probe_rtt.since {
            None if ack.flight <= self.probe_rtt_cwnd(ack.mss) => {
                self.probe_rtt.since = Some(now);
                self.probe_rtt.round_done = false;
                self.path.start_round();
            }
            None => {}
            Some(since) => {
                self.probe_rtt.round_done |= self.path.round_start;
                if self.probe_rtt.round_done && now.wrapping_sub(since) >= DURATION {
                    self.leave_probe_rtt(ack);
                }
            }
        }
    }

    fn leave_probe_rtt(&mut self, ack: &Ack) {
        self.path.min_rtt_is_fresh(ack.now);
        self.restore_cwnd();
        self.path.reset_lower_bounds();
        if self.full_bw.reached {
            self.start_down(ack);
            self.start_cruise();
        } else {
            self.enter_startup();
        }
    }
}
