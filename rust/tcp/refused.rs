// SPDX-License-Identifier: GPL-2.0

//! What our own host had no room for: the queue of the device was full. Nothing was lost on the path,
//! so that nothing is to be detected, nor the timeout to be doubled: the segment counts as never
//! sent, the window comes down once, and the next acknowledgment, or a short timer, tries again
//! (as Linux's TCP takes `NET_XMIT_DROP`).

use super::config::Config;
use super::events::{Error, Events};
use super::records::RecordStore;
use super::recovery::Recovery;
use super::segment::{Flags, Transmit};
use super::seq::SeqNumber;
use super::statistics::Statistic;
use super::tcb::{RetransmitTimer, Tcb};
use super::time::{Duration, Instant};
use super::tlp::Probe;

/// How long until what had no room is tried again (`TCP_RESOURCE_PROBE_INTERVAL`).
const RETRY_INTERVAL: Duration = Duration::from_ms(500);

/// What the queues of our own host did with a [`Transmit`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// They took it.
    All,
    /// They took it, and had to drop something for that (`NET_XMIT_CN`).
    Crowded,
    /// They took so many bytes of its text, and had no room for the rest (`NET_XMIT_DROP`).
    Part(u32),
}

impl Tcb {
    /// What became of `out`, which [`Tcb::poll_transmit`] has just given; to be told unless it is
    /// [`Taken::All`]. After [`Taken::Part`] nothing more is to be fetched until the next event.
    pub fn on_taken<S: RecordStore>(
        &mut self,
        config: &Config,
        store: &mut S,
        (out, taken): (&Transmit, Taken),
        now: Instant,
    ) {
        // A handshake has its own pace.
        if taken == Taken::All || !self.state.is_synchronized() {
            return;
        }
        let end = out.seq + out.len + u32::from(out.flags.has(Flags::FIN));
        if let Taken::Part(bytes) = taken {
            let from = out.seq + bytes;
            if from.before(end) {
                self.take_back(config, store, (from, end), out.retransmission, now);
            }
        }
        self.enter_cwr(now);
    }

    /// What is from `from` to `end` was not sent, or not again.
    fn take_back<S: RecordStore>(
        &mut self,
        config: &Config,
        store: &mut S,
        (from, end): (SeqNumber, SeqNumber),
        again: bool,
        now: Instant,
    ) {
        if self.tlp.high() == Some(end) {
            self.tlp = Probe::None;
        }
        if again {
            let segments = end.since(from).div_ceil(self.mss32());
            self.statistics.add(Statistic::RetransFail, segments);
            self.scoreboard.take_back(store, from, end);
            if from == self.snd_una && matches!(self.recovery, Recovery::Loss { .. }) {
                self.backoff = self.backoff.saturating_sub(1);
                let wait = self.until_user_timeout(config, RETRY_INTERVAL, now);
                self.retransmit_timer = RetransmitTimer::Rto(now + wait);
            }
            return;
        }
        self.scoreboard.retract(store, from);
        self.snd_nxt = from;
        self.snd_sml = self.snd_sml.min(from);
        self.mtu_probe.give_up();
        if self.flight() == 0 {
            self.retransmit_timer = RetransmitTimer::Retry(now + self.retry_wait(config, now));
        }
    }

    /// The first time no longer than a timeout would take, and without the user's, which counts from
    /// then.
    fn retry_wait(&self, config: &Config, now: Instant) -> Duration {
        if self.probes == 0 {
            self.rto(config).min(RETRY_INTERVAL)
        } else {
            self.until_user_timeout(config, RETRY_INTERVAL, now)
        }
    }

    /// What had no room is tried again, as often as a closed window is probed.
    pub(super) fn on_retry(&mut self, config: &Config, now: Instant, events: &mut Events) {
        if self.snd_wnd == 0 {
            self.on_persist(config, now, events);
            return;
        }
        if self.probes == 0 {
            self.stalled_since = now;
        }
        if self.is_probed_out(config, now) {
            self.end(Some(Error::TimedOut), events);
            return;
        }
        self.probes = self.probes.saturating_add(1);
        self.override_sws = true;
        self.retransmit_timer = RetransmitTimer::Retry(now + self.retry_wait(config, now));
    }
}
