// SPDX-License-Identifier: GPL-2.0

//! What our own host had no room for: the queue of the device was full. Nothing was lost on the path,
//! so that nothing is to be detected, nor the timeout to be doubled: the segment counts as never
//! sent, or as still to be sent again, the window comes down once, and the next acknowledgment, or a
//! short timer, tries again (as Linux's TCP takes `NET_XMIT_DROP`).

use super::config::Config;
use super::events::{Error, Events};
use super::records::{Fate, RecordStore};
use super::segment::{Flags, Transmit};
use super::seq::SeqNumber;
use super::statistics::Statistic;
use super::tcb::{IdleTimer, RetransmitTimer, Tcb};
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
    #[cold]
    #[inline(never)]
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
        let text_end = out.seq + out.len;
        let end = text_end + u32::from(out.flags.has(Flags::FIN));
        let flight = self.flight();
        if taken == Taken::Part(0) && out.options.user_timeout.is_some() {
            self.control = self.control.telling();
        }
        if let Taken::Part(bytes) = taken {
            let from = out.seq + bytes;
            if from.before(end) {
                // A FIN behind text is no segment of its own.
                let again = out
                    .retransmission
                    .then(|| text_end.since(from).div_ceil(self.mss32()).max(1));
                self.take_back(config, store, (from, end), again, now);
            } else if out.seq.before(self.snd_una) {
                self.take_probe_back(config, now);
            }
        }
        // Else nothing is there that a smaller window would keep back.
        if flight > 0 {
            self.enter_cwr(flight, 0, now);
        }
    }

    /// What is from `from` to `end` was not sent, or not again in so many segments.
    fn take_back<S: RecordStore>(
        &mut self,
        config: &Config,
        store: &mut S,
        (from, end): (SeqNumber, SeqNumber),
        again: Option<u32>,
        now: Instant,
    ) {
        let bytes = end.since(from);
        let probe = self.tlp.high() == Some(end);
        if probe {
            self.tlp = Probe::None;
            self.statistics.take_back(Statistic::LossProbes, 1);
        }
        if self.is_reducing() {
            self.prr.on_refused(bytes);
        }
        self.unpace(config, bytes);
        if let Some(segments) = again {
            self.statistics.add(Statistic::RetransFail, segments);
            if !probe {
                self.statistics.take_back(self.kind_of_resent(), segments);
            }
            self.scoreboard.take_back(store, from, end);
            // The path was not asked: no timeout is to come of it.
            let timed = matches!(self.retransmit_timer, RetransmitTimer::Rto(_));
            if from == self.snd_una && timed {
                self.retry_later(config, now);
            }
            return;
        }
        self.scoreboard.retract(store, from);
        self.snd_nxt = from;
        if self.snd_sml.after(from) {
            self.snd_sml = self.snd_una;
        }
        self.mtu_probe.give_up();
        if self.flight() == 0 {
            self.retry_later(config, now);
        }
    }

    /// A segment that asks the peer to answer was not sent.
    fn take_probe_back(&mut self, config: &Config, now: Instant) {
        let wait = self.until_user_timeout(config, RETRY_INTERVAL, now);
        if let RetransmitTimer::Persist(_) = self.retransmit_timer {
            self.backoff = self.backoff.saturating_sub(1);
            self.retransmit_timer = RetransmitTimer::Persist(now + wait);
        } else if let IdleTimer::Keepalive(_) = self.idle_timer {
            self.probes = self.probes.saturating_sub(1);
            self.idle_timer = IdleTimer::Keepalive(now + RETRY_INTERVAL);
        }
    }

    /// With nothing on its way, the first time no longer than a timeout would take, and without the
    /// user's, which counts from then.
    fn retry_later(&mut self, config: &Config, now: Instant) {
        let wait = if self.probes == 0 && self.flight() == 0 {
            self.rto(config).min(RETRY_INTERVAL)
        } else {
            self.until_user_timeout(config, RETRY_INTERVAL, now)
        };
        self.retransmit_timer = RetransmitTimer::Retry(now + wait);
    }

    /// What had no room is tried again: with nothing on its way as often as a closed window is
    /// probed, else for as long as it would be retransmitted.
    pub(super) fn on_retry<S: RecordStore>(
        &mut self,
        config: &Config,
        store: &S,
        now: Instant,
        events: &mut Events,
    ) {
        let first = store.records().first();
        if first.is_some_and(|r| r.fate != Fate::Lost) {
            // It is on its way after all, and its acknowledgment is what is waited for.
            self.retransmit_timer = RetransmitTimer::Rto(now + self.rto(config));
            return;
        }
        let over = if self.flight() > 0 {
            self.is_over_retries(config, now)
        } else if self.snd_wnd == 0 {
            return self.on_persist(config, now, events);
        } else {
            if self.probes == 0 {
                self.stalled_since = now;
            }
            self.is_probed_out(config, now)
        };
        if over {
            self.end(Some(Error::TimedOut), events);
            return;
        }
        if self.flight() == 0 {
            self.probes = self.probes.saturating_add(1);
            self.override_sws = true;
        }
        self.retry_later(config, now);
    }

    /// Whether there was no progress for as long as the retransmissions that are allowed would
    /// take, though the peer had room, or the user waits.
    fn is_over_retries(&self, config: &Config, now: Instant) -> bool {
        let tried = self.is_out_of_patience(config, now) && self.counts_retries(config);
        (tried && !self.is_peer_full(config, now)) || self.is_over_user_timeout(config, now)
    }
}
