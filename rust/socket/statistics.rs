// SPDX-License-Identifier: GPL-2.0

//! What the core notes, in the namespace's counters.

use super::namespace::Net;
use crate::net::Counter;
use crate::tcp::statistics::{Statistic, Statistics};

/// Counts all of it.
#[inline]
pub(super) fn count(net: &Net, all: Statistics) {
    match all.only_delivered() {
        Some(segments) => net.count_by(Counter::Delivered, segments.into()),
        None => count_each(net, all),
    }
}

#[inline(never)]
fn count_each(net: &Net, all: Statistics) {
    for (what, n) in all.iter() {
        let counter = match what {
            Statistic::LossProbes => Counter::LossProbes,
            Statistic::LossProbeRecovery => Counter::LossProbeRecovery,
            Statistic::DsackOldSent => Counter::DsackOldSent,
            Statistic::DsackOfoSent => Counter::DsackOfoSent,
            Statistic::DsackRecv => Counter::DsackRecv,
            Statistic::DsackOfoRecv => Counter::DsackOfoRecv,
            Statistic::DsackRecvSegs => Counter::DsackRecvSegs,
            Statistic::DsackIgnoredDubious => Counter::DsackIgnoredDubious,
            Statistic::DsackIgnoredOld => Counter::DsackIgnoredOld,
            Statistic::DsackIgnoredNoUndo => Counter::DsackIgnoredNoUndo,
            Statistic::SackDiscard => Counter::SackDiscard,
            Statistic::SackReneging => Counter::SackReneging,
            Statistic::SackReorder => Counter::SackReorder,
            Statistic::RenoReorder => Counter::RenoReorder,
            Statistic::TsReorder => Counter::TsReorder,
            Statistic::FullUndo => Counter::FullUndo,
            Statistic::PartialUndo => Counter::PartialUndo,
            Statistic::DsackUndo => Counter::DsackUndo,
            Statistic::LossUndo => Counter::LossUndo,
            Statistic::SpuriousRtos => Counter::SpuriousRtos,
            Statistic::SackRecovery => Counter::SackRecovery,
            Statistic::RenoRecovery => Counter::RenoRecovery,
            Statistic::SackRecoveryFail => Counter::SackRecoveryFail,
            Statistic::RenoRecoveryFail => Counter::RenoRecoveryFail,
            Statistic::LossFailures => Counter::LossFailures,
            Statistic::SackFailures => Counter::SackFailures,
            Statistic::RenoFailures => Counter::RenoFailures,
            Statistic::LostRetransmit => Counter::LostRetransmit,
            Statistic::FastRetrans => Counter::FastRetrans,
            Statistic::SlowStartRetrans => Counter::SlowStartRetrans,
            Statistic::RetransFail => Counter::RetransFail,
            Statistic::SynRetrans => Counter::SynRetrans,
            Statistic::HystartDelayDetect => Counter::HystartDelayDetect,
            Statistic::Delivered => Counter::Delivered,
            Statistic::AckSkippedSeq => Counter::AckSkippedSeq,
            Statistic::AckSkippedPaws => Counter::AckSkippedPaws,
            Statistic::AckSkippedChallenge => Counter::AckSkippedChallenge,
            Statistic::SynChallenge => Counter::SynChallenge,
            Statistic::DelayedAcks => Counter::DelayedAcks,
            Statistic::KeepAlive => Counter::KeepAlive,
            Statistic::WinProbe => Counter::ZeroWindowProbes,
        };
        net.count_by(counter, n.into());
    }
}
