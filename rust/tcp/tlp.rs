// SPDX-License-Identifier: GPL-2.0

//! Tail loss probe (RFC 8985 7): when the last segments of a flight stay unacknowledged, one more is
//! sent after two round trips, so that its acknowledgment tells what was lost long before the
//! retransmission timer would expire.

use super::config::Config;
use super::congestion::Signal;
use super::pack::packed;
use super::records::{Fate, Record, RecordStore};
use super::seq::SeqNumber;
use super::statistics::Statistic;
use super::tcb::{Recovery, RetransmitTimer, Tcb};
use super::time::{Duration, Instant};

/// What a probe waits beyond two round trips (`TCP_TIMEOUT_MIN`), as a timer that fires too soon is
/// worse than one that is late.
pub(super) const TIMER_SLACK: Duration = Duration::from_ms(2);

/// The probe.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Probe {
    /// There is none.
    #[default]
    None,
    /// It is to be sent.
    Due,
    /// It was sent, and ended with `high`.
    Sent {
        high: SeqNumber,
        /// It was a segment that had been sent before.
        again: bool,
    },
}

packed!(enum Probe { 0 => None, 1 => Due, 2 => Sent { high, again } });

/// What an acknowledgment says to a probe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ProbeNews {
    pub(super) ack: SeqNumber,
    /// The peer reports the probe as a duplicate.
    pub(super) reported: bool,
    /// It says nothing at all: no new acknowledgment, no window, no text.
    pub(super) bare: bool,
}

impl Probe {
    /// Whether a probe is outstanding that repeated a segment.
    pub(super) fn is_repetition(self) -> bool {
        matches!(self, Self::Sent { again: true, .. })
    }

    /// The end of the probe that is outstanding.
    pub(super) fn high(self) -> Option<SeqNumber> {
        match self {
            Self::Sent { high, .. } => Some(high),
            Self::None | Self::Due => None,
        }
    }

    /// RFC 8985 7.4.2: an acknowledgment ends the episode. Returns whether the probe repaired a
    /// loss, to which congestion control has to respond.
    pub(super) fn on_ack(&mut self, news: &ProbeNews) -> bool {
        let Self::Sent { high, again } = *self else {
            return false;
        };
        if news.ack.before(high) {
            return false;
        }
        if !again || news.reported {
            *self = Self::None;
            return false;
        }
        if news.ack.after(high) {
            *self = Self::None;
            return true;
        }
        if news.bare {
            // Both the original and the probe arrived.
            *self = Self::None;
        }
        false
    }
}

impl Tcb {
    /// Arms the probe's timer if a probe makes sense now. `fresh`: the retransmission timer would
    /// be started anew now; else it counts from when the first segment was sent.
    pub(super) fn arm_probe<S: RecordStore>(
        &mut self,
        config: &Config,
        store: &S,
        fresh: bool,
        now: Instant,
    ) -> bool {
        let calm = match self.recovery {
            Recovery::Open => !self.is_disordered(),
            Recovery::Cwr { .. } => true,
            Recovery::Fast { .. } | Recovery::Loss { .. } => false,
        };
        let opened = self.sack && self.state.is_synchronized();
        if !config.loss_probes || !opened || !calm || self.flight() == 0 {
            return false;
        }
        self.time_probe(config, store, (self.rto(config), fresh), now);
        true
    }

    /// Sets the probe's timer, with what [`Tcb::rto`] says.
    #[inline]
    pub(super) fn time_probe<S: RecordStore>(
        &mut self,
        config: &Config,
        store: &S,
        (rto, fresh): (Duration, bool),
        now: Instant,
    ) {
        let wait = match self.rtt.srtt() {
            Some(srtt) if self.scoreboard.out().segments == 1 => srtt + srtt + config.rto_min,
            Some(srtt) => srtt + srtt + TIMER_SLACK,
            None => super::rtt::INITIAL_RTO,
        };
        let rto = if fresh {
            rto
        } else {
            Self::left_of(rto, store, now)
        };
        let wait = if rto > Duration::ZERO {
            wait.min(rto)
        } else {
            wait
        };
        self.retransmit_timer = RetransmitTimer::Probe(now + wait);
    }

    /// How long until the first segment has been on its way for a timeout.
    pub(super) fn rto_left<S: RecordStore>(
        &self,
        config: &Config,
        store: &S,
        now: Instant,
    ) -> Duration {
        Self::left_of(self.rto(config), store, now)
    }

    /// What is left of `rto` since the first segment was sent.
    fn left_of<S: RecordStore>(rto: Duration, store: &S, now: Instant) -> Duration {
        match store.records().first() {
            Some(first) => (first.sent + rto).since(now),
            None => rto,
        }
    }

    /// The probe's timer expired: a probe is due, unless one is outstanding.
    pub(super) fn on_probe_timer<S: RecordStore>(
        &mut self,
        config: &Config,
        store: &S,
        now: Instant,
    ) {
        if self.tlp.high().is_some() || self.flight() == 0 {
            self.rearm_rto(config, store, now);
        } else {
            self.tlp = Probe::Due;
            self.retransmit_timer = RetransmitTimer::Rto(now + self.rto(config));
        }
    }

    /// The probe that repeats the last segment, as a range that has been noted as sent again.
    pub(super) fn probe_again<S: RecordStore>(
        &mut self,
        store: &mut S,
        now: Instant,
    ) -> Option<Record> {
        let (i, run) = self.scoreboard.last_segment(store)?;
        let fits = run.end.at_or_before(self.snd_una + self.snd_wnd);
        if !fits && run.start != self.snd_una {
            return None;
        }
        let again = Record {
            fate: Fate::Sent,
            start: run.start,
            end: run.end,
            ..self.repetition(run.end.since(run.start), now)
        };
        self.scoreboard.resend(store, i, run.end, &again);
        Some(again)
    }

    /// What an acknowledgment says to the probe that is outstanding; before it `flight` bytes were
    /// in flight.
    pub(super) fn probe_acknowledged(&mut self, news: &ProbeNews, flight: u32, now: Instant) {
        if !self.tlp.on_ack(news) {
            return;
        }
        self.statistics.note(Statistic::LossProbeRecovery);
        // One loss, repaired within the round trip: the window is reduced at once.
        let mss = self.mss32();
        if self.rules_itself() {
            self.note_repaired(now);
            return;
        }
        self.congested(Signal::Loss, flight, 0, now);
        self.usage.pipe_ack.lost(mss);
        self.end_reduction(now);
        if let Recovery::Cwr { .. } = self.recovery {
            self.recovery = Recovery::Open;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIGH: SeqNumber = SeqNumber(100);

    fn news(ack: u32, reported: bool, bare: bool) -> ProbeNews {
        ProbeNews {
            ack: SeqNumber(ack),
            reported,
            bare,
        }
    }

    fn sent(again: bool) -> Probe {
        Probe::Sent { high: HIGH, again }
    }

    /// RFC 8985 7.4.2, case by case: what is acknowledged, whether that was a loss, whether the
    /// episode is over.
    #[test]
    fn an_episode_ends_as_it_should() {
        for (again, news, loss, over) in [
            (true, news(99, false, true), false, false),
            (true, news(99, true, true), false, false),
            (true, news(100, true, false), false, true),
            (true, news(100, false, false), false, false),
            (true, news(100, false, true), false, true),
            (true, news(101, false, false), true, true),
            (true, news(101, true, false), false, true),
            (false, news(99, false, false), false, false),
            (false, news(100, false, false), false, true),
            (false, news(101, false, false), false, true),
        ] {
            let mut probe = sent(again);
            assert_eq!(probe.on_ack(&news), loss, "{again} {news:?}");
            assert_eq!(probe == Probe::None, over, "{again} {news:?}");
        }
    }

    #[test]
    fn without_a_probe_nothing_is_said() {
        for mut probe in [Probe::None, Probe::Due] {
            assert!(!probe.on_ack(&news(200, true, true)));
            assert_eq!(probe.high(), None);
            assert!(!probe.is_repetition());
        }
    }
}
