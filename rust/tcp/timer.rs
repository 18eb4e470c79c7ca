// SPDX-License-Identifier: GPL-2.0

//! Deadlines: retransmission (RFC 6298), zero-window probes, delayed acknowledgments, keepalive,
//! FIN-WAIT-2.

use super::config::Config;
use super::congestion::CongestionControl;
use super::events::{Error, Events};
use super::records::RecordStore;
use super::seq::SeqNumber;
use super::state::State;
use super::statistics::Statistic;
use super::tcb::{AckDue, Control, IdleTimer, RetransmitTimer, Tcb};
use super::time::{Duration, Instant};

/// Fewer segments in flight than this are a thin stream.
const THIN_SEGMENTS: u32 = 4;
/// The first timeout that the patience with a silent peer reckons with at least, though the shortest
/// be set shorter (`TCP_RTO_MIN`): with Linux's 15 retransmissions it is a quarter of an hour.
const PATIENT_TIMEOUT: Duration = Duration::from_ms(200);
/// How often a thin stream is retransmitted at even intervals.
const THIN_LINEAR_RETRIES: u8 = 6;

/// The timer that a table of sockets shows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimerKind {
    /// Retransmission, or another try where our own host had no room for one, a loss probe, or the
    /// reordering window.
    Retransmit,
    /// Zero-window probe, or another try to send at all where our own host had no room.
    Persist,
    /// Keepalive or FIN-WAIT-2.
    Idle,
}

impl Tcb {
    /// When [`Tcb::on_timer`] wants to be called.
    #[inline]
    pub fn deadline(&self) -> Option<Instant> {
        let ack = match self.ack_due {
            AckDue::By(at) => at,
            AckDue::No | AckDue::Now => Instant::NEVER,
        };
        let timer = match self.retransmit_timer {
            RetransmitTimer::Rto(at)
            | RetransmitTimer::Probe(at)
            | RetransmitTimer::Reorder(at)
            | RetransmitTimer::Persist(at)
            | RetransmitTimer::Retry(at) => at,
            RetransmitTimer::Off => Instant::NEVER,
        };
        let idle = match self.idle_timer {
            IdleTimer::Keepalive(at) | IdleTimer::FinWait2(at) => at,
            IdleTimer::Off => Instant::NEVER,
        };
        let pace = self.pacing_deadline().unwrap_or(Instant::NEVER);
        let first = ack.min(timer).min(idle).min(pace);
        (first != Instant::NEVER).then_some(first)
    }

    /// Since when nothing has come and gone, if nothing is to be done either: nothing is queued, in
    /// flight or owed. To be kept alive is not to do anything.
    pub fn idle_since(&self) -> Option<Instant> {
        let open = matches!(self.state, State::Established | State::CloseWait);
        let still = self.retransmit_timer == RetransmitTimer::Off
            && self.ack_due == AckDue::No
            && self.unacked() == 0
            && !self.has_output()
            && !self.has_statistics();
        (open && still).then(|| self.last_heard.max(self.last_sent))
    }

    /// The timer that runs for the connection, as a table of sockets shows it.
    pub fn timer(&self) -> Option<(TimerKind, Instant)> {
        match self.retransmit_timer {
            RetransmitTimer::Rto(at)
            | RetransmitTimer::Probe(at)
            | RetransmitTimer::Reorder(at) => Some((TimerKind::Retransmit, at)),
            RetransmitTimer::Retry(at) if self.flight() > 0 => Some((TimerKind::Retransmit, at)),
            RetransmitTimer::Persist(at) | RetransmitTimer::Retry(at) => {
                Some((TimerKind::Persist, at))
            }
            RetransmitTimer::Off => match self.idle_timer {
                IdleTimer::Keepalive(at) | IdleTimer::FinWait2(at) => Some((TimerKind::Idle, at)),
                IdleTimer::Off => None,
            },
        }
    }

    /// Time has passed. Whatever is due is done; an early call does nothing.
    pub fn on_timer<S: RecordStore>(
        &mut self,
        config: &Config,
        store: &mut S,
        now: Instant,
    ) -> Events {
        let mut events = Events::default();
        if matches!(self.state, State::Closed | State::Listen | State::TimeWait) {
            return events;
        }
        self.pacer.on_timer(now);
        if matches!(self.ack_due, AckDue::By(at) if at <= now) {
            // The user had no answer for it to ride on.
            let rto = self.rto(config);
            self.acks.on_timer(config, rto);
            self.ack_due = AckDue::Now;
            self.statistics.note(Statistic::DelayedAcks);
        }
        match self.retransmit_timer {
            RetransmitTimer::Rto(at) if at <= now => self.on_rto(config, store, now, &mut events),
            RetransmitTimer::Probe(at) if at <= now => self.on_probe_timer(config, store, now),
            RetransmitTimer::Reorder(at) if at <= now => {
                self.on_reorder_timer(config, store, now);
            }
            RetransmitTimer::Persist(at) if at <= now => self.on_persist(config, now, &mut events),
            RetransmitTimer::Retry(at) if at <= now => {
                self.on_retry(config, store, now, &mut events)
            }
            _ => {}
        }
        match self.idle_timer {
            IdleTimer::FinWait2(at) if at <= now && !events.closed => self.end(None, &mut events),
            IdleTimer::Keepalive(at) if at <= now && !events.closed => {
                self.on_keepalive(config, now, &mut events)
            }
            _ => {}
        }
        self.tell(&mut events);
        events
    }

    /// RFC 6298 5.4 to 5.7, and the limits of RFC 9293 3.8.3.
    fn on_rto<S: RecordStore>(
        &mut self,
        config: &Config,
        store: &mut S,
        now: Instant,
        events: &mut Events,
    ) {
        let limit = match self.state {
            State::SynSent => config
                .syn_retries
                .saturating_add(config.syn_linear_timeouts),
            State::SynReceived => config.synack_retries,
            _ => self.most_retries(config),
        };
        events.timed_out = true;
        let opening = matches!(self.state, State::SynSent | State::SynReceived);
        // Their number alone would end it soon where they are not doubled (RFC 6069).
        let patient = !opening && !self.is_out_of_patience(config, now);
        let counts = opening || self.counts_retries(config);
        let tried = self.retries >= limit && counts && !patient;
        let over = tried && !self.is_peer_full(config, now);
        if over || self.is_over_user_timeout(config, now) {
            self.end(Some(Error::TimedOut), events);
            return;
        }
        if !opening {
            self.suspect_black_hole(config, now);
            self.enter_loss(config, store, now);
        }
        self.retries = self.retries.saturating_add(1);
        if self.retries <= self.linear_timeouts(config) {
            self.backoff = 0;
        } else {
            self.backoff = self.backoff.saturating_add(1);
        }
        if opening {
            self.control = Control::Syn;
            return;
        }
        let wait = self.until_user_timeout(config, self.rto(config), now);
        self.retransmit_timer = RetransmitTimer::Rto(now + wait);
    }

    /// A router says of the segment `seq` that it knows no way to the peer: what expired was not for
    /// congestion, so the timer is doubled once less (RFC 6069). The segment goes out the sooner.
    pub fn on_unreachable<S: RecordStore>(
        &mut self,
        config: &Config,
        seq: SeqNumber,
        store: &S,
        now: Instant,
    ) {
        let waits = matches!(self.retransmit_timer, RetransmitTimer::Rto(_));
        let first = seq == self.snd_una && self.state.is_synchronized();
        if waits && first && self.retries > 0 && self.backoff > 0 {
            self.backoff = self.backoff.saturating_sub(1);
            let left = self.rto_left(config, store, now);
            self.retransmit_timer = RetransmitTimer::Rto(now + left);
        }
    }

    /// Whether so many timeouts have come, one after the other, that the route may be to blame: R1 of
    /// RFC 9293 3.8.3 (SHLD-10), and the second one while the connection is being opened. To be asked
    /// after [`Tcb::on_timer`].
    pub fn is_route_suspect(&self, config: &Config) -> bool {
        let patience = match self.state {
            State::SynSent | State::SynReceived => 1,
            _ => config.retries1.max(1),
        };
        self.retries > patience
    }

    /// After how many timeouts the next one begins to double.
    fn linear_timeouts(&self, config: &Config) -> u8 {
        match self.state {
            State::SynSent => config.syn_linear_timeouts,
            _ if config.thin_linear && self.is_thin() => THIN_LINEAR_RETRIES,
            _ => 0,
        }
    }

    /// Whether so little is in flight that a loss can hardly be seen by what arrives behind it
    /// (`tcp_stream_is_thin`).
    fn is_thin(&self) -> bool {
        self.state == State::Established
            && self.scoreboard.out().segments < THIN_SEGMENTS
            && self.congestion.ssthresh() != u32::MAX
    }

    /// The window stays closed, or too small: probe it, less and less often, for as long as the
    /// peer answers (RFC 9293 3.8.6.1, RFC 6429).
    pub(super) fn on_persist(&mut self, config: &Config, now: Instant, events: &mut Events) {
        if self.is_probed_out(config, now) {
            self.end(Some(Error::TimedOut), events);
            return;
        }
        self.backoff = self.backoff.saturating_add(1);
        let wait = self.until_user_timeout(config, self.rto(config), now);
        self.retransmit_timer = RetransmitTimer::Persist(now + wait);
        if self.snd_wnd > 0 {
            self.override_sws = true;
            self.pushed = self.write_seq;
        } else {
            self.probes = self.probes.saturating_add(1);
            self.control = self.control.probing();
            self.statistics.note(Statistic::WinProbe);
        }
    }

    /// How often text is sent again, or a probe sent, without an answer.
    pub(super) fn most_retries(&self, config: &Config) -> u8 {
        if self.is_orphan() {
            config.orphan_retries
        } else {
            config.retries
        }
    }

    /// Whether there was no progress for as long as the retransmissions that are allowed would take
    /// if each waited twice as long as the one before (R2 as a time, RFC 9293 3.8.3;
    /// `tcp_model_timeout`).
    pub(super) fn is_out_of_patience(&self, config: &Config, now: Instant) -> bool {
        let mut patience = Duration::ZERO;
        let mut timeout = config.rto_min.max(PATIENT_TIMEOUT).min(config.rto_max);
        for _ in 0..=self.most_retries(config) {
            patience = patience + timeout;
            timeout = (timeout + timeout).min(config.rto_max);
        }
        now.since(self.stalled_since) >= patience
    }

    /// Whether a number of retransmissions decides when the peer is given up. Where a user timeout is
    /// set or adopted that does, be it shorter or longer (tcp(7)).
    pub(super) fn counts_retries(&self, config: &Config) -> bool {
        config.user_timeout == Duration::ZERO && self.adopted_timeout(config).is_none()
    }

    /// Whether there were probes enough without an answer.
    pub(super) fn is_probed_out(&self, config: &Config, now: Instant) -> bool {
        let tried = self.probes >= self.most_retries(config);
        (tried && self.adopted_timeout(config).is_none())
            || self.is_over_user_timeout(config, now)
            || self.is_orphan_waited_out(config)
    }

    /// Whether nobody but the peer has an interest in the connection, which keeps its window closed
    /// for as long as probes can be put off (`tcp_orphan_retries`): it must not hold memory for ever.
    fn is_orphan_waited_out(&self, config: &Config) -> bool {
        self.is_orphan()
            && self.rto(config) >= config.rto_max
            && self.backoff >= config.orphan_retries
    }

    /// Whether the peer is alive but has no room for what is in flight: that may last.
    pub(super) fn is_peer_full(&self, config: &Config, now: Instant) -> bool {
        let patience = config.rto_max + config.rto_max;
        let answers = now.since(self.last_heard) < patience;
        self.snd_wnd == 0 && self.state.is_synchronized() && answers && !self.is_orphan()
    }

    pub(super) fn is_over_user_timeout(&self, config: &Config, now: Instant) -> bool {
        self.running_user_timeout(config)
            .is_some_and(|(since, timeout)| now.since(since) >= timeout)
    }

    /// `wait`, or what is left of the user timeout, so that the user hears of it when it is over
    /// (`tcp_clamp_rto_to_user_timeout`).
    pub(super) fn until_user_timeout(
        &self,
        config: &Config,
        wait: Duration,
        now: Instant,
    ) -> Duration {
        let Some((since, timeout)) = self.running_user_timeout(config) else {
            return wait;
        };
        let left = (since + timeout).since(now);
        wait.min(left.max(Duration::from_ms(1)))
    }

    /// RFC 9293 3.8.4: only when nothing is under way that would find out by itself.
    fn on_keepalive(&mut self, config: &Config, now: Instant, events: &mut Events) {
        if !config.keepalive || !self.state.is_synchronized() {
            self.idle_timer = IdleTimer::Off;
            return;
        }
        let time = self.keepalive_time(config);
        let due = self.last_heard + time;
        if due > now {
            self.idle_timer = IdleTimer::Keepalive(due);
            return;
        }
        if self.retransmit_timer != RetransmitTimer::Off {
            self.idle_timer = IdleTimer::Keepalive(now + time);
            return;
        }
        let over = if config.user_timeout == Duration::ZERO {
            self.probes >= config.keepalive_probes
        } else {
            self.probes > 0 && now.since(self.last_heard) >= config.user_timeout
        };
        if over {
            events.reply = Some(self.reset(now));
            self.end(Some(Error::TimedOut), events);
            return;
        }
        self.probes = self.probes.saturating_add(1);
        self.control = self.control.probing();
        self.statistics.note(Statistic::KeepAlive);
        self.idle_timer = IdleTimer::Keepalive(now + config.keepalive_interval);
    }

    /// `SO_KEEPALIVE` or its times were set.
    pub fn set_keepalive(&mut self, config: &Config, now: Instant) {
        if matches!(self.idle_timer, IdleTimer::FinWait2(_)) || !self.state.is_synchronized() {
            return;
        }
        self.idle_timer = if config.keepalive {
            IdleTimer::Keepalive((self.last_heard + self.keepalive_time(config)).max(now))
        } else {
            IdleTimer::Off
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::Identity;
    use super::super::seq::SeqNumber;
    use super::*;

    #[test]
    fn the_route_is_suspected_after_as_many_timeouts_as_are_set() {
        let ids = Identity {
            iss: SeqNumber(1),
            ts_offset: 0,
        };
        for (state, retries1, first) in [
            (State::SynSent, 3, 2),
            (State::SynReceived, 3, 2),
            (State::Established, 3, 4),
            (State::FinWait1, 3, 4),
            (State::LastAck, 5, 6),
            (State::Established, 0, 2),
        ] {
            let config = Config {
                retries1,
                ..Config::default()
            };
            let mut tcb = Tcb::new(state, &config, ids, Instant::default());
            let suspected = (0..=9).find(|retries| {
                tcb.retries = *retries;
                tcb.is_route_suspect(&config)
            });
            assert_eq!(suspected, Some(first), "{state:?}, {retries1}");
        }
    }
}
