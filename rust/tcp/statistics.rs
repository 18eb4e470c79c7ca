// SPDX-License-Identifier: GPL-2.0

//! What happens at a connection that a host counts (`TcpExt` of `/proc/net/netstat`): noted here
//! where it happens, taken by the caller after each event.

use super::pack::packed;

macro_rules! statistics {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Something that is counted, by Linux's name for it without `TCP`.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        pub enum Statistic {
            $($(#[$doc])* $name,)*
        }

        impl Statistic {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];
        }
    };
}

statistics! {
    /// Loss probes sent.
    LossProbes,
    /// Losses that a loss probe repaired.
    LossProbeRecovery,
    /// Duplicates reported to the peer, of text that was in order.
    DsackOldSent,
    /// The same of text that waits.
    DsackOfoSent,
    /// Reports of duplicates received, below the cumulative acknowledgment.
    DsackRecv,
    /// The same within what is selectively acknowledged.
    DsackOfoRecv,
    /// Segments in these reports.
    DsackRecvSegs,
    /// Reports of more duplicates than were sent again.
    DsackIgnoredDubious,
    /// Reports of what cannot be of our sending, after a recovery began.
    DsackIgnoredOld,
    /// The same without a recovery.
    DsackIgnoredNoUndo,
    /// Selective acknowledgments of what cannot be of our sending.
    SackDiscard,
    /// Timeouts that found selective acknowledgments taken back.
    SackReneging,
    /// Reordering seen by selective acknowledgments.
    SackReorder,
    /// By the number of duplicate acknowledgments.
    RenoReorder,
    /// By timestamps.
    TsReorder,
    /// Reductions undone when all was acknowledged.
    FullUndo,
    /// When a part was.
    PartialUndo,
    /// Because all that was sent again was reported as duplicate.
    DsackUndo,
    /// Timeouts undone.
    LossUndo,
    /// Timeouts that F-RTO found spurious.
    SpuriousRtos,
    /// Fast recoveries begun by selective acknowledgments.
    SackRecovery,
    /// By duplicate acknowledgments.
    RenoRecovery,
    /// Timeouts during the former.
    SackRecoveryFail,
    /// During the latter.
    RenoRecoveryFail,
    /// Timeouts in slow start after a timeout.
    LossFailures,
    /// Timeouts when something had been selectively acknowledged.
    SackFailures,
    /// When duplicate acknowledgments had come.
    RenoFailures,
    /// Segments lost once more.
    LostRetransmit,
    /// Segments sent again in fast recovery.
    FastRetrans,
    /// After a timeout.
    SlowStartRetrans,
    /// Segments to be sent again for which our own host had no room.
    RetransFail,
    /// SYNs and SYN-ACKs sent again.
    SynRetrans,
    /// Slow starts that ended because the round-trip time grew.
    HystartDelayDetect,
    /// Segments delivered.
    Delivered,
    /// Answers to unacceptable segments that the limit kept back.
    AckSkippedSeq,
    /// To segments with an old timestamp.
    AckSkippedPaws,
    /// Challenge ACKs that the limit kept back.
    AckSkippedChallenge,
    /// SYNs in a synchronized state.
    SynChallenge,
    /// Acknowledgments that waited in vain for company.
    DelayedAcks,
    /// Keepalive probes.
    KeepAlive,
    /// Probes of a closed window.
    WinProbe,
}

/// What happened since it was last taken: each thing once, but for those with a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    set: u64,
    delivered: u32,
    duplicates: u16,
    lost_again: u16,
    resent: u16,
    refused: u16,
}

packed!(struct Statistics { set, delivered, duplicates, lost_again, resent, refused });

impl Statistics {
    pub(super) fn note(&mut self, what: Statistic) {
        self.set |= 1 << (what as u8 % 64);
    }

    /// So many segments. They add up where [`Statistics::iter`] gives a number.
    pub(super) fn add(&mut self, what: Statistic, segments: u32) {
        if segments == 0 {
            return;
        }
        self.note(what);
        let small = u16::try_from(segments).unwrap_or(u16::MAX);
        match what {
            Statistic::Delivered => self.delivered = self.delivered.saturating_add(segments),
            Statistic::DsackRecvSegs => self.duplicates = self.duplicates.saturating_add(small),
            Statistic::LostRetransmit => self.lost_again = self.lost_again.saturating_add(small),
            Statistic::FastRetrans | Statistic::SlowStartRetrans => {
                self.resent = self.resent.saturating_add(small);
            }
            Statistic::RetransFail => self.refused = self.refused.saturating_add(small),
            _ => {}
        }
    }

    /// So many segments of [`Statistics::add`], or the one of [`Statistics::note`], were not sent
    /// after all.
    pub(super) fn take_back(&mut self, what: Statistic, segments: u32) {
        if let Statistic::FastRetrans | Statistic::SlowStartRetrans = what {
            let small = u16::try_from(segments).unwrap_or(u16::MAX);
            self.resent = self.resent.saturating_sub(small);
            if self.resent > 0 {
                return;
            }
        }
        self.set &= !(1 << (what as u8 % 64));
    }

    /// Whether it happened.
    pub fn has(&self, what: Statistic) -> bool {
        self.set & (1 << (what as u8 % 64)) != 0
    }

    /// Whether nothing happened.
    pub fn is_empty(&self) -> bool {
        self.set == 0
    }

    /// How many segments were delivered, if that is all that happened.
    pub fn only_delivered(&self) -> Option<u32> {
        (self.set == 1 << (Statistic::Delivered as u8)).then_some(self.delivered)
    }

    /// What happened, and how often.
    pub fn iter(self) -> impl Iterator<Item = (Statistic, u32)> {
        let mut left = self.set;
        core::iter::from_fn(move || {
            let what = *Statistic::ALL.get(left.trailing_zeros() as usize)?;
            left &= left.wrapping_sub(1);
            let n = match what {
                Statistic::Delivered => self.delivered,
                Statistic::DsackRecvSegs => self.duplicates.into(),
                Statistic::LostRetransmit => self.lost_again.into(),
                Statistic::FastRetrans | Statistic::SlowStartRetrans => self.resent.into(),
                Statistic::RetransFail => self.refused.into(),
                _ => 1,
            };
            Some((what, n))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_a_bit_of_its_own() {
        assert!(Statistic::ALL.len() <= 64);
        for (i, what) in Statistic::ALL.iter().enumerate() {
            assert_eq!(*what as usize, i);
        }
    }

    #[test]
    fn what_was_noted_is_told_once_and_in_order() {
        let mut all = Statistics::default();
        assert!(all.is_empty());
        all.note(Statistic::WinProbe);
        all.note(Statistic::LossProbes);
        all.note(Statistic::WinProbe);
        assert!(!all.is_empty());
        assert!(all.has(Statistic::WinProbe));
        assert!(!all.has(Statistic::KeepAlive));
        let told: Vec<_> = all.iter().collect();
        assert_eq!(told, [(Statistic::LossProbes, 1), (Statistic::WinProbe, 1)]);
    }

    #[test]
    fn what_is_taken_back_did_not_happen() {
        let mut all = Statistics::default();
        all.add(Statistic::FastRetrans, 3);
        all.note(Statistic::LossProbes);
        all.take_back(Statistic::FastRetrans, 1);
        all.take_back(Statistic::LossProbes, 1);
        let told: Vec<_> = all.iter().collect();
        assert_eq!(told, [(Statistic::FastRetrans, 2)]);
        all.take_back(Statistic::FastRetrans, 2);
        assert!(all.is_empty());
    }

    #[test]
    fn segments_add_up() {
        let mut all = Statistics::default();
        all.add(Statistic::Delivered, 70_000);
        all.add(Statistic::Delivered, 1);
        all.add(Statistic::LostRetransmit, 0);
        assert_eq!(all.only_delivered(), Some(70_001));
        all.add(Statistic::FastRetrans, 2);
        assert_eq!(all.only_delivered(), None);
        let told: Vec<_> = all.iter().collect();
        assert_eq!(
            told,
            [(Statistic::FastRetrans, 2), (Statistic::Delivered, 70_001)]
        );
    }
}
