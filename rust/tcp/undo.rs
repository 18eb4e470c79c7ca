// SPDX-License-Identifier: GPL-2.0

//! Whether a reduction of the congestion window was a mistake: nothing was lost, only late. Three
//! witnesses: a timestamp echoed from before the first retransmission (Eifel, RFC 3522), as many
//! duplicates reported as were retransmitted (D-SACK, RFC 3708), and, after a timeout, the arrival
//! of what was sent once only (F-RTO, RFC 5682).

use super::config::Config;
use super::congestion::CongestionControl;
use super::news::News;
use super::pack::packed;
use super::records::RecordStore;
use super::recovery::Recovery;
use super::seq::SeqNumber;
use super::statistics::Statistic;
use super::tcb::Tcb;
use super::time::Instant;

/// Where F-RTO stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Frto {
    /// It is not at work.
    #[default]
    Off,
    /// The first segment was sent again after a timeout: step 1.
    Armed,
    /// It was acknowledged: new text goes out and nothing more is sent again, until the next
    /// acknowledgment tells which it was: step 2b.
    Probing,
}

packed!(enum Frto { 0 => Off, 1 => Armed, 2 => Probing });

/// What is remembered of a recovery, for its undoing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Undo {
    /// SND.UNA when the window was reduced, unless there is nothing to undo.
    marker: Option<SeqNumber>,
    /// Segments sent again since that were not reported as duplicates; `None` while there was none.
    repeated: Option<u32>,
    /// The timestamp of the first segment that was sent again.
    first: Option<u32>,
    /// The window may be restored: what reduced it was a loss, not a mark.
    restorable: bool,
    pub(super) frto: Frto,
}

packed!(struct Undo { marker, repeated, first, restorable, frto });

impl Undo {
    /// The window was reduced. `in_flight`: segments sent again before that may still be reported.
    pub(super) fn begin(&mut self, una: SeqNumber, in_flight: u32) {
        self.marker = Some(una);
        self.repeated = (in_flight > 0).then_some(in_flight);
        self.restorable = false;
    }

    /// What reduced the window was a loss, if it was one.
    pub(super) fn may_restore(&mut self) {
        self.restorable = true;
    }

    /// There is nothing to undo: the path was marked.
    pub(super) fn forbid(&mut self) {
        self.restorable = false;
    }

    /// Nothing that was sent again is outstanding.
    pub(super) fn forget_first(&mut self) {
        self.first = None;
    }

    /// `segments` were sent again with the timestamp `stamp`.
    pub(super) fn on_resent(&mut self, segments: u32, stamp: u32) {
        self.repeated = Some(self.repeated.unwrap_or(0).saturating_add(segments));
        self.first = self.first.or(Some(stamp));
    }

    /// The peer reported a duplicate of `segments` that ends with `end`.
    pub(super) fn on_duplicate(&mut self, segments: u32, end: SeqNumber) {
        let ours = self.marker.is_some_and(|marker| end.after(marker));
        if let Some(repeated) = self.repeated.filter(|_| ours) {
            self.repeated = Some(repeated.saturating_sub(segments));
        }
    }

    /// Whether a recovery can be undone at all.
    pub(super) fn is_open(&self) -> bool {
        self.marker.is_some()
    }

    /// All that was sent again was needless.
    pub(super) fn all_duplicates(&self) -> bool {
        self.is_open() && self.repeated == Some(0)
    }

    /// What was just acknowledged was late, not lost: it carries a timestamp from before anything
    /// was sent again, or nothing was yet. `echo` is the timestamp; `unsure`: the connection has no
    /// SACK, and what came may be of a recovery that is over.
    pub(super) fn was_late(&self, echo: Option<u32>, unsure: bool) -> bool {
        match self.first {
            Some(first) => echo.is_some_and(|echo| SeqNumber(echo).before(SeqNumber(first))),
            None => !unsure,
        }
    }

    /// It is undone, or can no more be; returns whether the window may be restored.
    pub(super) fn end(&mut self) -> bool {
        self.marker = None;
        self.frto = Frto::Off;
        core::mem::take(&mut self.restorable)
    }
}

impl Tcb {
    pub(super) fn begin_undo(&mut self) {
        let probe = u32::from(self.tlp.is_repetition());
        let in_flight = self.scoreboard.resent().segments.saturating_add(probe);
        self.undo.begin(self.snd_una, in_flight);
    }

    fn was_late(&self, news: &News) -> bool {
        let over = match self.recovery {
            Recovery::Open => true,
            Recovery::Cwr { recover } | Recovery::Fast { recover } | Recovery::Loss { recover } => {
                self.snd_una.at_or_after(recover)
            }
        };
        self.undo.was_late(news.echo, !self.sack && over)
    }

    fn undo_reduction(&mut self, now: Instant) {
        self.usage.pipe_ack.withdrawn(self.snd_una);
        if self.undo.end() {
            self.congestion.on_undo(now);
            self.ecn.withdraw_reduction();
        } else {
            self.repaired(now);
        }
        self.rack.look_again();
    }

    /// A recovery is over that the control may have a window to restore after: one that rules its
    /// rate, for else the window is what grew since.
    fn repaired(&mut self, now: Instant) {
        if self.rules_itself() {
            self.congestion.on_recovered(None, self.mss32(), now);
        }
    }

    /// Undoes the reduction if what was acknowledged was only late.
    pub(super) fn undo_if_late(&mut self, news: &News, now: Instant) -> bool {
        let may = self.undo.all_duplicates() || (self.undo.is_open() && self.was_late(news));
        if may {
            self.undo_reduction(now);
            self.statistics.note(match self.recovery {
                Recovery::Loss { .. } => Statistic::LossUndo,
                _ => Statistic::FullUndo,
            });
        }
        may
    }

    /// Undoes the reduction if all that was sent again was reported as duplicate.
    pub(super) fn undo_by_reports<S: RecordStore>(&mut self, store: &mut S, now: Instant) {
        if !self.undo.all_duplicates() {
            return;
        }
        self.rack.recovered(true);
        self.undo_reduction(now);
        self.statistics.note(Statistic::DsackUndo);
        if let Recovery::Fast { .. } = self.recovery {
            self.recovery = Recovery::Open;
            if !self.was_anything_resent(store) {
                self.undo.forget_first();
            }
        }
    }

    /// A part of what was outstanding is acknowledged during fast recovery, and was only late:
    /// nothing more is to be taken for lost. Returns whether to wait for what was sent again.
    pub(super) fn undo_partly<S: RecordStore>(
        &mut self,
        config: &Config,
        store: &mut S,
        news: &News,
        now: Instant,
    ) -> bool {
        if !self.undo.is_open() || !self.was_late(news) {
            return false;
        }
        self.note_reordering(config, news.prior_una, Statistic::TsReorder);
        if self.scoreboard.resent().bytes > 0 {
            return true;
        }
        if !self.was_anything_resent(store) {
            self.undo.forget_first();
        }
        self.scoreboard.forget_lost(store);
        self.undo_reduction(now);
        self.statistics.note(Statistic::PartialUndo);
        self.recovery = Recovery::Open;
        false
    }

    /// A timeout was followed by this acknowledgment (RFC 5682 3.1).
    pub(super) fn proceed_after_loss<S: RecordStore>(
        &mut self,
        config: &Config,
        store: &mut S,
        news: &mut News,
        now: Instant,
    ) {
        let Recovery::Loss { recover } = self.recovery else {
            return;
        };
        let recovered = self.snd_una.at_or_after(recover);
        if news.advanced && self.undo_loss(store, news, false, now) {
            return;
        }
        if self.undo.frto == Frto::Probing {
            self.undo.frto = Frto::Armed;
        }
        if self.undo.frto != Frto::Off {
            if news.original && self.undo_loss(store, news, true, now) {
                return;
            }
            if self.snd_nxt.after(recover) {
                if news.sacked || news.duplicate {
                    // Step 3a: what was sent after the timeout arrives, what was lost does not.
                    self.undo.frto = Frto::Off;
                }
            } else if news.advanced && !recovered {
                self.recovery = Recovery::Loss {
                    recover: self.snd_nxt,
                };
                // Whether there is new text to send shows when it is asked for.
                self.undo.frto = Frto::Probing;
                return;
            }
        }
        if recovered {
            let undone = self.undo_if_late(news, now);
            if !undone {
                self.rack.recovered(false);
            }
            if !self.is_held(recover) {
                self.recovery = Recovery::Open;
                self.reneged = false;
                self.usage.pipe_ack.repaired(self.snd_una);
                self.repaired(now);
                self.undo.frto = Frto::Off;
            }
            return;
        }
        if !self.sack {
            if self.snd_nxt.after(recover) && news.duplicate {
                self.count_duplicate(config, news);
            } else if news.advanced {
                self.dup_acks = 0;
            }
        }
    }

    /// Undoes what a timeout did, if it was spurious: `sure`, or by the witnesses. The timeout
    /// itself is set right by the measurement that comes with this (RFC 4015 3).
    fn undo_loss<S: RecordStore>(
        &mut self,
        store: &mut S,
        news: &News,
        sure: bool,
        now: Instant,
    ) -> bool {
        let may =
            sure || self.undo.all_duplicates() || (self.undo.is_open() && self.was_late(news));
        if !may {
            return false;
        }
        let Recovery::Loss { recover } = self.recovery else {
            return false;
        };
        self.scoreboard.forget_lost(store);
        self.undo_reduction(now);
        self.statistics.note(Statistic::LossUndo);
        if sure {
            self.statistics.note(Statistic::SpuriousRtos);
        }
        self.retries = 0;
        if !self.is_held(recover) && (sure || self.sack) {
            self.recovery = Recovery::Open;
            self.reneged = false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun() -> Undo {
        let mut undo = Undo::default();
        undo.begin(SeqNumber(100), 0);
        undo.may_restore();
        undo
    }

    #[test]
    fn as_many_duplicates_as_repetitions_are_proof() {
        let mut undo = begun();
        assert!(!undo.all_duplicates(), "nothing was repeated");
        undo.on_resent(3, 7);
        undo.on_duplicate(2, SeqNumber(120));
        assert!(!undo.all_duplicates());
        undo.on_duplicate(1, SeqNumber(130));
        assert!(undo.all_duplicates());
        assert!(undo.end());
        assert!(!undo.all_duplicates());
        assert!(!undo.end(), "once only");
    }

    #[test]
    fn duplicates_of_what_came_before_do_not_count() {
        let mut undo = begun();
        undo.on_resent(1, 7);
        undo.on_duplicate(1, SeqNumber(100));
        assert!(!undo.all_duplicates());
    }

    #[test]
    fn more_duplicates_than_repetitions_prove_no_more() {
        let mut undo = begun();
        undo.on_resent(1, 7);
        undo.on_duplicate(u32::MAX, SeqNumber(120));
        assert!(undo.all_duplicates());
        undo.on_resent(2, 9);
        assert!(!undo.all_duplicates());
    }

    #[test]
    fn repetitions_that_are_under_way_count_too() {
        let mut undo = Undo::default();
        undo.begin(SeqNumber(100), 2);
        undo.on_duplicate(1, SeqNumber(120));
        assert!(!undo.all_duplicates());
        undo.on_duplicate(1, SeqNumber(120));
        assert!(undo.all_duplicates());
    }

    #[test]
    fn an_echo_from_before_the_first_repetition_is_proof() {
        let mut undo = begun();
        undo.on_resent(1, 0xffff_ffff);
        undo.on_resent(1, 5);
        assert!(undo.was_late(Some(0xffff_fffe), true));
        assert!(!undo.was_late(Some(0xffff_ffff), true));
        assert!(!undo.was_late(Some(0), false));
        assert!(!undo.was_late(None, false));
    }

    #[test]
    fn what_was_acknowledged_before_any_repetition_was_late() {
        let undo = begun();
        assert!(undo.was_late(None, false));
        assert!(!undo.was_late(None, true));
    }

    #[test]
    fn a_mark_forbids_restoring() {
        let mut undo = begun();
        undo.forbid();
        assert!(!undo.end());
    }
}
