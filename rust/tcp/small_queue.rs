// SPDX-License-Identifier: GPL-2.0

//! How much of a connection waits in the queues below it, of the queueing discipline and the device
//! (as Linux's TCP small queues and autocorking have it): enough that the device never lacks work,
//! and no more, so that others get their turn, and small writes grow to full segments meanwhile.

use super::config::Config;
use super::tcb::{Tcb, TxLimits};

/// What a segment takes in memory besides its text, bytes.
const OVERHEAD: u32 = 1024;

/// A connection's share of the queues below.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeviceQueue {
    /// Memory of the segments with text that wait there, bytes.
    pub held: u32,
    /// The most that is to wait there, bytes (`tcp_limit_output_bytes`).
    pub most: u32,
}

impl Default for DeviceQueue {
    /// Nothing waits, and everything may.
    fn default() -> Self {
        Self {
            held: 0,
            most: u32::MAX,
        }
    }
}

impl Tcb {
    /// Whether text, new or not, has to wait until the device has sent some. Two runs, or what goes
    /// in the time of one, may be there; `lost` text twice that. A single run in flight is no
    /// reason, as a device may be late to say that it was sent.
    #[inline]
    pub(super) fn is_throttled(&self, config: &Config, limits: &TxLimits, lost: bool) -> bool {
        limits.queue.held > OVERHEAD && self.is_queue_full(config, limits, lost)
    }

    fn is_queue_full(&self, config: &Config, limits: &TxLimits, lost: bool) -> bool {
        let run = self.run_at_rate(config, limits.max_run);
        let runs = run.saturating_add(OVERHEAD).saturating_mul(2);
        let rate = self.pacing_rate(config);
        let in_time = rate.checked_shr(config.runs.shift.into()).unwrap_or(0);
        let in_time = u32::try_from(in_time).unwrap_or(u32::MAX);
        let most = runs.max(in_time).min(limits.queue.most);
        let most = if lost { most.saturating_mul(2) } else { most };
        limits.queue.held > most && self.flight() > run
    }

    /// Whether there is text that waits for the device.
    pub fn waits_for_device(&self, config: &Config, limits: &TxLimits) -> bool {
        self.has_more_to_send() && self.is_throttled(config, limits, false)
    }

    /// Whether what was written had better wait for more, as the device is busy with more than
    /// that: it is less than a run, and what is in flight will be acknowledged.
    pub fn gathers(&self, limits: &TxLimits) -> bool {
        let unsent = self.unsent();
        let half_window = (self.max_snd_wnd / 2).max(self.mss32());
        unsent < limits.max_run.min(half_window)
            && self.flight() > 0
            && limits.queue.held > unsent.saturating_add(OVERHEAD)
    }
}
