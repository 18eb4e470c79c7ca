// SPDX-License-Identifier: GPL-2.0

//! The recovery from loss: when it begins, what counts as lost, when it ends, when it was a
//! mistake (RFC 5681, 6582, 6675, 8985, 5682; the states and their order are Linux's).

use super::config::{Config, LossDetection};
use super::congestion::{Congested, CongestionControl, Lost, Signal};
use super::is_lost;
use super::news::News;
use super::pack::packed;
use super::prr::Prr;
use super::rack::Judge;
use super::records::{Fate, Record, RecordStore};
use super::seq::SeqNumber;
use super::statistics::Statistic;
use super::tcb::{RetransmitTimer, Tcb};
use super::time::{Duration, Instant};
use super::tlp::{Probe, TIMER_SLACK};
use super::undo::Frto;

/// Least time given to a peer whose selective acknowledgments contradict each other.
const RENEGING_DELAY: Duration = Duration::from_ms(10);

/// Why text is being sent again, and the window being reduced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Recovery {
    /// It is not.
    Open,
    /// The path was marked: the window comes down, nothing is sent again.
    Cwr { recover: SeqNumber },
    /// Fast recovery: until `recover` is acknowledged.
    Fast { recover: SeqNumber },
    /// The retransmission timer expired: what was on its way then is taken for lost, up to
    /// `recover`.
    Loss { recover: SeqNumber },
}

packed!(enum Recovery {
    0 => Open, 1 => Cwr { recover }, 2 => Fast { recover }, 3 => Loss { recover },
});

/// What tells that something was lost, where the peer gives SACK.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Detectors {
    /// RACK (RFC 8985).
    Time,
    /// The number of segments that arrived (RFC 6675).
    Number,
    /// Either.
    Both,
}

impl Tcb {
    /// The congestion control rules its window during a recovery too.
    pub(super) fn rules_itself(&self) -> bool {
        self.congestion.rules_rate()
    }

    /// The congestion window: never less than a segment, whatever the segment size has become since
    /// the window was set, else nothing could ever be sent.
    pub fn cwnd(&self) -> u32 {
        let window = if self.is_reducing() {
            self.prr.window()
        } else {
            self.congestion.window()
        };
        window.max(self.mss32())
    }

    /// The window is being reduced in proportion to what is delivered. No more when all has arrived
    /// that was to, though the state is held: it has come to its end, or was a mistake.
    pub(super) fn is_reducing(&self) -> bool {
        let reducing = match self.recovery {
            Recovery::Cwr { .. } => true,
            Recovery::Fast { recover } => !self.is_held(recover),
            Recovery::Open | Recovery::Loss { .. } => false,
        };
        reducing && !self.rules_itself()
    }

    /// Nothing is to be sent again until the next acknowledgment tells whether the timeout was
    /// spurious.
    pub(super) fn is_probing(&self) -> bool {
        self.undo.frto == Frto::Probing && matches!(self.recovery, Recovery::Loss { .. })
    }

    /// Text has arrived out of order, or something was sent again of late.
    pub(super) fn is_disordered(&self) -> bool {
        self.dup_acks > 0
            || self.scoreboard.sacked().bytes > 0
            || self.scoreboard.lost().bytes > 0
            || self.scoreboard.resent().bytes > 0
    }

    /// Bytes that are taken to be in the network (RFC 6675's pipe).
    pub(super) fn pipe(&self) -> u32 {
        let board = &self.scoreboard;
        let out = board.out();
        if self.sack && board.is_calm() {
            return out.bytes;
        }
        (out.bytes.saturating_sub(self.arrived_bytes()))
            .saturating_add(board.resent().bytes)
            .saturating_sub(board.lost().bytes)
    }

    /// Bytes outstanding that have arrived: without SACK as many segments of the average length as
    /// there were duplicate acknowledgments.
    fn arrived_bytes(&self) -> u32 {
        let out = self.scoreboard.out();
        if self.sack {
            return self.scoreboard.sacked().bytes;
        }
        let share = u64::from(out.bytes) * u64::from(self.dup_acks);
        u32::try_from(share / u64::from(out.segments.max(1))).unwrap_or(u32::MAX)
    }

    /// What the records of a repetition of `len` bytes that is sent now have in common.
    pub(super) fn repetition(&mut self, len: u32, now: Instant) -> Record {
        let mut again = Record {
            fate: Fate::Resent,
            resent: true,
            mss: self.eff_mss,
            in_flight: self.pipe().saturating_add(len),
            ..Record::default()
        };
        self.rate.on_sent(&mut again, false, now);
        again
    }

    /// Tells congestion control that the window must come down, of which `flight` bytes were used;
    /// the acknowledgment that says so has delivered `delivered` bytes.
    pub(super) fn congested(&mut self, signal: Signal, flight: u32, delivered: u32, now: Instant) {
        self.tlp = Probe::None;
        self.ecn.on_reduction();
        // RFC 9937 5: what had arrived before does not count.
        let out = self.scoreboard.out().bytes;
        let out = out.saturating_sub(self.arrived_bytes());
        let window = self.cwnd();
        let lost = self.scoreboard.lost().bytes;
        self.congestion.on_congestion(&Congested {
            signal,
            flight,
            used: self.usage.pipe_ack.congested(flight, lost),
            mss: self.mss32(),
            now,
        });
        // Little may be in flight where our own device drops: never more is sent than is delivered.
        let least = self.congestion.ssthresh();
        self.prr = Prr::new(window, out.saturating_add(delivered).max(least));
    }

    /// The last segment was lost, and a probe has repaired that before it was found out.
    pub(super) fn note_repaired(&mut self, now: Instant) {
        let mss = self.mss32();
        self.congestion.on_lost(&Lost {
            bytes: mss,
            apart: true,
            delivered: self.rate.delivered(),
            tx_in_flight: None,
            app_limited: self.rate.is_app_limited(),
            sack: self.sack,
            mss,
            now,
        });
    }

    fn judge(&self, config: &Config) -> Judge {
        Judge {
            recovering: matches!(self.recovery, Recovery::Fast { .. } | Recovery::Loss { .. }),
            by_number: !config.recovery.no_threshold,
            sacked: self.scoreboard.sacked().segments,
            min_rtt: self.rtt.min(),
            srtt: self.rtt.srtt().unwrap_or(Duration::ZERO),
        }
    }

    /// Looks for losses by time; returns how long to wait for those that may yet be, and whether
    /// something was lost once more.
    fn look_for_losses<S: RecordStore>(
        &mut self,
        config: &Config,
        store: &mut S,
        now: Instant,
    ) -> (Option<Duration>, bool) {
        let judge = self.judge(config);
        let rack = self.rack;
        let (mut again, mut last) = (false, None);
        let wait = rack.detect(store, &judge, now, |store, i| {
            if let Some(was) = self.scoreboard.mark_lost(store, i) {
                again |= was.fate == Fate::Resent;
                self.note_lost(&was, &mut last, now);
            }
        });
        (wait, again)
    }

    /// By what losses are found where the peer gives SACK. Without timestamps it is uncertain which
    /// copy of a segment arrived, and with it what RACK knows of time: the number that arrived is
    /// heard too. Not while the peer reports that what was sent again had arrived: the number does not
    /// learn of that, as the reordering window does.
    fn detectors(&self, config: &Config) -> Detectors {
        let LossDetection {
            no_time,
            no_threshold,
            ..
        } = config.recovery;
        match self.timestamps {
            true => Detectors::Time,
            false if no_time => Detectors::Number,
            false if no_threshold || self.rack.saw_needless_repetitions() => Detectors::Time,
            false => Detectors::Both,
        }
    }

    fn look_by_number<S: RecordStore>(&mut self, store: &mut S, now: Instant) {
        let sacked = self.scoreboard.sacked().segments;
        let mut last = None;
        is_lost::detect(store, sacked, self.rack.reordering(), |store, i| {
            if let Some(was) = self.scoreboard.mark_lost(store, i) {
                self.note_lost(&was, &mut last, now);
            }
        });
    }

    /// What `was` on its way is taken for lost; `last` is where that ends which was before it.
    fn note_lost(&mut self, was: &Record, last: &mut Option<SeqNumber>, now: Instant) {
        self.rate.on_lost(was.len());
        let apart = last.replace(was.end) != Some(was.start);
        self.congestion.on_lost(&Lost {
            bytes: was.len(),
            apart,
            delivered: was.delivered,
            tx_in_flight: Some(was.in_flight),
            app_limited: was.app_limited,
            sack: self.sack,
            mss: self.mss32(),
            now,
        });
        if was.fate == Fate::Resent {
            self.statistics
                .add(Statistic::LostRetransmit, was.segments());
        } else {
            self.usage.pipe_ack.lost(was.len());
        }
    }

    fn identify_losses<S: RecordStore>(
        &mut self,
        config: &Config,
        store: &mut S,
        news: &mut News,
        now: Instant,
    ) {
        if self.flight() == 0 {
            return;
        }
        if !self.sack {
            let due = match self.recovery {
                Recovery::Open | Recovery::Cwr { .. } => self.dup_acks >= self.rack.reordering(),
                Recovery::Fast { .. } => news.advanced,
                Recovery::Loss { .. } => false,
            };
            if due {
                if let Some(was) = self.scoreboard.mark_first_lost(store) {
                    self.note_lost(&was, &mut None, now);
                }
            }
            return;
        }
        let detectors = self.detectors(config);
        if detectors != Detectors::Time {
            self.look_by_number(store, now);
        }
        if detectors == Detectors::Number || !self.rack.take_advanced() {
            return;
        }
        let (wait, again) = self.look_for_losses(config, store, now);
        news.lost_again |= again;
        if let Some(wait) = wait {
            self.retransmit_timer = RetransmitTimer::Reorder(now + wait + TIMER_SLACK);
            news.set_timer = false;
        }
    }

    /// The reordering window has passed for something.
    pub(super) fn on_reorder_timer<S: RecordStore>(
        &mut self,
        config: &Config,
        store: &mut S,
        now: Instant,
    ) {
        let before = self.rate.lost();
        self.look_for_losses(config, store, now);
        let recovering = matches!(self.recovery, Recovery::Fast { .. });
        if self.rate.lost() != before && !recovering && !self.is_probe_lost() {
            self.enter_fast(store, 0, now);
            let mss = self.mss32();
            self.reduce(mss, false);
        }
        self.rearm_rto(config, store, now);
    }

    /// An acknowledgment of `delivered` bytes comes while the window is being reduced.
    pub(super) fn reduce(&mut self, delivered: u32, safe: bool) {
        let progress = super::prr::Progress {
            delivered,
            safe,
            pipe: self.pipe(),
            ssthresh: self.congestion.ssthresh(),
            mss: self.mss32(),
        };
        self.prr.on_ack(&progress);
    }

    /// Whether anything outstanding was ever sent again.
    pub(super) fn was_anything_resent<S: RecordStore>(&self, store: &S) -> bool {
        self.scoreboard.resent().bytes > 0 || store.records().first().is_some_and(|r| r.resent)
    }

    /// Fast recovery begins.
    fn enter_fast<S: RecordStore>(&mut self, store: &S, delivered: u32, now: Instant) {
        if !self.was_anything_resent(store) {
            self.undo.forget_first();
        }
        // What a probe would show is part of what the recovery reduces the window for.
        self.tlp = Probe::None;
        self.begin_undo();
        if !self.is_in_reduction() {
            self.undo.may_restore();
            self.congested(Signal::Loss, self.flight(), delivered, now);
        }
        self.recovery = Recovery::Fast {
            recover: self.snd_nxt,
        };
        self.statistics.note(if self.sack {
            Statistic::SackRecovery
        } else {
            Statistic::RenoRecovery
        });
    }

    /// The path was marked, or our own device drops, with `flight` bytes on their way or to be: the
    /// window comes down as after a loss, nothing is sent again, and the reduction is no mistake
    /// whatever arrives (RFC 3168 6.1.2). Once in a round trip.
    pub fn enter_cwr(&mut self, flight: u32, delivered: u32, now: Instant) {
        self.undo.forbid();
        match self.recovery {
            Recovery::Open => {
                self.undo.end();
                self.congested(Signal::Ecn, flight, delivered, now);
                self.recovery = Recovery::Cwr {
                    recover: self.snd_nxt,
                };
            }
            // Where loss alone reduces nothing.
            Recovery::Fast { .. } | Recovery::Loss { .. } if self.rules_itself() => {
                self.congestion.on_congestion(&Congested {
                    signal: Signal::Ecn,
                    flight,
                    used: None,
                    mss: self.mss32(),
                    now,
                });
            }
            _ => {}
        }
    }

    fn is_in_reduction(&self) -> bool {
        matches!(self.recovery, Recovery::Cwr { .. } | Recovery::Fast { .. })
    }

    /// The retransmission timer expired: what is outstanding is lost, but for what may still
    /// arrive. Whether the peer has dropped what it had selectively acknowledged shows in the first
    /// segment (RFC 2018 8).
    pub(super) fn enter_loss<S: RecordStore>(
        &mut self,
        config: &Config,
        store: &mut S,
        now: Instant,
    ) {
        if self.retries == 0 {
            self.count_failure();
        }
        if !self.was_anything_resent(store) {
            // Else what comes of this timeout would be judged by a recovery that is over.
            self.undo.forget_first();
        }
        let early = matches!(self.recovery, Recovery::Open | Recovery::Cwr { .. });
        let repeated = self.retries > 0;
        let reneged = store
            .records()
            .first()
            .is_some_and(|r| r.fate == Fate::Sacked);
        if reneged {
            self.scoreboard.forget_sacked(store);
            self.reneged = true;
            self.statistics.note(Statistic::SackReneging);
        }
        if self.scoreboard.sacked().segments >= u32::from(config.reordering)
            && self.recovery == Recovery::Open
        {
            self.rack.doubt_reordering(config.reordering);
        }
        self.dup_acks = 0;
        let flight = self.flight();
        let rack = self.rack;
        let mut last = None;
        for i in 0..store.records().len() {
            let Some(&record) = store.records().get(i) else {
                break;
            };
            if !reneged && i > 0 && rack.may_arrive(&record, now) {
                continue;
            }
            if let Some(was) = self.scoreboard.mark_lost(store, i) {
                self.note_lost(&was, &mut last, now);
            }
        }
        let fresh = match self.recovery {
            Recovery::Open => true,
            Recovery::Cwr { recover } | Recovery::Fast { recover } => {
                recover.at_or_before(self.snd_una)
            }
            Recovery::Loss { recover } => recover.at_or_before(self.snd_una) || !repeated,
        };
        if fresh {
            self.begin_undo();
            self.undo.may_restore();
        }
        let flight = if self.rules_itself() {
            self.pipe()
        } else {
            flight
        };
        self.congestion.on_timeout(flight, self.mss32(), fresh, now);
        self.ecn.on_reduction();
        self.forget_capacity();
        self.recovery = Recovery::Loss {
            recover: self.snd_nxt,
        };
        self.tlp = Probe::None;
        self.undo.frto = if config.frto && (early || repeated) {
            Frto::Armed
        } else {
            Frto::Off
        };
    }

    /// A timeout: what was at work did not help.
    fn count_failure(&mut self) {
        let disorder = self.recovery == Recovery::Open && self.is_disordered();
        let what = match (self.recovery, self.sack) {
            (Recovery::Fast { .. }, true) => Statistic::SackRecoveryFail,
            (Recovery::Fast { .. }, false) => Statistic::RenoRecoveryFail,
            (Recovery::Loss { .. }, _) => Statistic::LossFailures,
            _ if !disorder && self.arrived().segments == 0 => return,
            (_, true) => Statistic::SackFailures,
            (_, false) => Statistic::RenoFailures,
        };
        self.statistics.note(what);
    }

    /// What an acknowledgment means to the recovery.
    pub(super) fn recover<S: RecordStore>(
        &mut self,
        config: &Config,
        store: &mut S,
        news: &mut News,
        now: Instant,
    ) {
        if news.reneging && news.advanced {
            let half = self.rtt.srtt().map_or(0, |srtt| srtt.us() / 2);
            let delay = Duration::from_us(half).max(RENEGING_DELAY);
            self.retransmit_timer = RetransmitTimer::Rto(now + delay);
            news.set_timer = false;
            return;
        }
        if self.recovery == Recovery::Open && !self.was_anything_resent(store) {
            self.undo.forget_first();
        }
        if self.leave(news, now) {
            return;
        }
        match self.recovery {
            Recovery::Fast { .. } => {
                if !news.advanced {
                    self.count_duplicate(config, news);
                } else if self.undo_partly(config, store, news, now) {
                    return;
                }
                self.undo_by_reports(store, now);
                self.identify_losses(config, store, news, now);
                if matches!(self.recovery, Recovery::Fast { .. }) {
                    return;
                }
            }
            Recovery::Loss { .. } => {
                self.proceed_after_loss(config, store, news, now);
                self.identify_losses(config, store, news, now);
                if self.recovery != Recovery::Open && !news.lost_again {
                    return;
                }
                if self.recovery == Recovery::Open {
                    self.in_order_or_not(config, store, news, now);
                }
            }
            Recovery::Open | Recovery::Cwr { .. } => self.in_order_or_not(config, store, news, now),
        }
        if self.scoreboard.lost().bytes > 0 && !self.is_probe_lost() {
            self.enter_fast(store, news.delivered, now);
        }
    }

    /// Outside of a recovery.
    fn in_order_or_not<S: RecordStore>(
        &mut self,
        config: &Config,
        store: &mut S,
        news: &mut News,
        now: Instant,
    ) {
        if news.advanced {
            self.dup_acks = 0;
        }
        self.count_duplicate(config, news);
        if self.recovery == Recovery::Open {
            self.undo_by_reports(store, now);
        }
        self.identify_losses(config, store, news, now);
    }

    /// The end of a reduction, when all that was outstanding at its beginning is acknowledged.
    /// Returns whether the state is to be held for a while: without SACK something sent after that
    /// must be acknowledged, else the duplicates that the retransmissions themselves bring about
    /// would begin another recovery (RFC 6582 3.2).
    fn leave(&mut self, news: &News, now: Instant) -> bool {
        match self.recovery {
            Recovery::Cwr { recover } if self.snd_una.after(recover) => self.end_cwr(now),
            Recovery::Fast { recover } if self.snd_una.at_or_after(recover) => {
                self.dup_acks = 0;
                // Then the reduction ended when the hold began, or was undone.
                let was_held = news.prior_una.at_or_after(recover);
                let undone = self.undo_if_late(news, now);
                if !undone && !was_held {
                    self.rack.recovered(false);
                    self.end_reduction(now);
                }
                if self.is_held(recover) {
                    return true;
                }
                self.recovery = Recovery::Open;
                self.reneged = false;
            }
            _ => {}
        }
        false
    }

    /// A reduction for a mark is over, if there is one.
    pub(super) fn end_cwr(&mut self, now: Instant) {
        if let Recovery::Cwr { .. } = self.recovery {
            self.recovery = Recovery::Open;
            if !self.rules_itself() {
                self.end_reduction(now);
            }
        }
    }

    pub(super) fn is_held(&self, recover: SeqNumber) -> bool {
        !self.sack && self.snd_una == recover && self.flight() > 0
    }

    /// A duplicate acknowledgment without SACK says that something has arrived (RFC 5681 3.2).
    pub(super) fn count_duplicate(&mut self, config: &Config, news: &mut News) {
        if self.sack || !news.duplicate {
            return;
        }
        let out = self.scoreboard.out();
        let before = self.dup_acks;
        self.dup_acks = self.dup_acks.saturating_add(1);
        self.limit_duplicates(config, 0);
        if self.dup_acks > before {
            news.delivered(out.bytes / out.segments.max(1), 1);
        }
    }

    /// No more can have arrived than is outstanding, less what is missing. More duplicates than that
    /// are a sign of reordering.
    pub(super) fn limit_duplicates(&mut self, config: &Config, acked: u32) {
        let out = self.scoreboard.out().segments;
        let holes = self.scoreboard.lost().segments.clamp(1, out.max(1));
        let most = u16::try_from(out.saturating_sub(holes)).unwrap_or(u16::MAX);
        if self.dup_acks > most {
            self.dup_acks = most;
            self.rack
                .reordered_segments(out.saturating_add(acked), config.max_reordering);
            self.statistics.note(Statistic::RenoReorder);
        }
    }

    /// What begins with `low` was never sent again and arrived after later text.
    /// `witness` is what that shows by.
    pub(super) fn note_reordering(&mut self, config: &Config, low: SeqNumber, witness: Statistic) {
        let fack = self.scoreboard.fack(self.snd_una);
        if low.before(fack) {
            let (distance, mss) = (fack.since(low), self.mss32());
            self.rack.reordered(distance, mss, config.max_reordering);
            self.statistics.note(witness);
        }
    }
}
