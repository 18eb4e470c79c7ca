// SPDX-License-Identifier: GPL-2.0

//! Whether a run of new text that the window cuts short had better wait, as an acknowledgment is
//! near that lets more go at once (as Linux's `tcp_tso_should_defer` has it). Else each
//! acknowledgment would be answered by the little that it lets go.

use super::config::Config;
use super::records::RecordStore;
use super::tcb::{Recovery, Tcb, TxLimits};
use super::time::{Duration, Instant};

/// No run waits for longer, and none waits when the last was sent longer ago.
const LONGEST: Duration = Duration::from_ms(1);

/// Segments for which there must be room where no part of the window is asked for.
const SEGMENTS: u32 = 3;

impl Tcb {
    /// Whether new text waits. A congestion window that keeps it back counts as full.
    pub(super) fn defers_run<S: RecordStore>(
        &mut self,
        config: &Config,
        store: &S,
        limits: &TxLimits,
        now: Instant,
    ) -> bool {
        let (mss, waiting) = (self.mss32(), self.unsent());
        let orderly = matches!(self.recovery, Recovery::Open | Recovery::Cwr { .. });
        if waiting <= mss || limits.max_run <= mss || !orderly {
            return false;
        }
        let window = (self.snd_una + self.snd_wnd).since(self.snd_nxt);
        let room = self.cwnd().saturating_sub(self.pipe());
        let free = window.min(room);
        let run = self.run_at_rate(config, limits.max_run);
        let worth = match config.runs.win_divisor {
            0 => mss.saturating_mul(SEGMENTS).saturating_add(1),
            n => self.snd_wnd.min(self.cwnd()) / u32::from(n),
        };
        if free >= run.min(worth) || (self.fin_queued && waiting <= free) {
            return false;
        }
        let defers = self.expects_ack(store, now);
        if defers && room < window && room <= waiting {
            self.usage.hold_back();
        }
        defers
    }

    /// Whether what is in flight will be acknowledged soon, as far as the round-trip time tells.
    fn expects_ack<S: RecordStore>(&self, store: &S, now: Instant) -> bool {
        if now.since(self.last_sent) > LONGEST {
            return false;
        }
        let (Some(oldest), Some(srtt)) = (store.records().first(), self.rtt.srtt()) else {
            return false;
        };
        let soon = Duration::from_us(srtt.us() / 2).min(LONGEST);
        oldest.sent + srtt <= now + soon
    }
}
