// SPDX-License-Identifier: GPL-2.0

//! Counters of a namespace, shown in `/proc/net/oxtcp_stat`. Names are the SNMP ones where there is
//! one.

use super::drop_reason;
use super::DropReason;
// The kernel's `Atomic` has a call for each addition.
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What is counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Counter {
            $($(#[$doc])* $name,)*
        }

        /// Name of each counter, in order.
        pub(super) const NAMES: &[&str] = &[$(stringify!($name),)*];
    };
}

counters! {
    /// Connections opened actively.
    ActiveOpens,
    /// Connections opened passively.
    PassiveOpens,
    /// Openings that failed.
    AttemptFails,
    /// Connections reset from ESTABLISHED or CLOSE-WAIT.
    EstabResets,
    /// Segments received, bad ones included.
    InSegs,
    /// Segments sent, retransmissions and RSTs not included.
    OutSegs,
    /// Segments retransmitted.
    RetransSegs,
    /// Segments received in error.
    InErrs,
    /// Segments received with a wrong checksum.
    InCsumErrors,
    /// RSTs sent.
    OutRsts,
    /// SYN-ACKs retransmitted.
    SynAckRetrans,
    /// Retransmission timeouts.
    Timeouts,
    /// Those after which what hashes choose on the way was chosen anew.
    TimeoutRehash,
    /// Segments retransmitted in fast recovery.
    FastRetrans,
    /// Segments retransmitted after a timeout.
    SlowStartRetrans,
    /// Segments that would have been retransmitted, had there been room below.
    RetransFail,
    /// SYNs and SYN-ACKs retransmitted by connections.
    SynRetrans,
    /// Retransmitted segments lost once more.
    LostRetransmit,
    /// Loss probes sent.
    LossProbes,
    /// Losses that a loss probe repaired.
    LossProbeRecovery,
    /// Fast recoveries with SACK.
    SackRecovery,
    /// Fast recoveries without.
    RenoRecovery,
    /// Timeouts in a fast recovery with SACK.
    SackRecoveryFail,
    /// Timeouts in one without.
    RenoRecoveryFail,
    /// Timeouts in slow start after a timeout.
    LossFailures,
    /// Timeouts after something was selectively acknowledged.
    SackFailures,
    /// Timeouts after duplicate acknowledgments.
    RenoFailures,
    /// Timeouts that found selective acknowledgments taken back.
    SackReneging,
    /// Selective acknowledgments of what cannot be of our sending.
    SackDiscard,
    /// Reordering seen by selective acknowledgments.
    SackReorder,
    /// Reordering seen by duplicate acknowledgments.
    RenoReorder,
    /// Reordering seen by timestamps.
    TsReorder,
    /// Reductions of the congestion window undone at their end.
    FullUndo,
    /// Reductions undone before it.
    PartialUndo,
    /// Reductions undone by D-SACK.
    DsackUndo,
    /// Timeouts undone.
    LossUndo,
    /// Timeouts found spurious by F-RTO.
    SpuriousRtos,
    /// D-SACKs sent for text that was in order.
    DsackOldSent,
    /// D-SACKs sent for text that waits.
    DsackOfoSent,
    /// D-SACKs received, below the cumulative acknowledgment.
    DsackRecv,
    /// D-SACKs received, above it.
    DsackOfoRecv,
    /// Segments in D-SACKs received.
    DsackRecvSegs,
    /// D-SACKs of more than was retransmitted.
    DsackIgnoredDubious,
    /// D-SACKs of what cannot be of our sending, after a recovery began.
    DsackIgnoredOld,
    /// The same without a recovery.
    DsackIgnoredNoUndo,
    /// Slow starts ended by HyStart++.
    HystartDelayDetect,
    /// Segments delivered.
    Delivered,
    /// Answers to unacceptable segments that a limit kept back.
    AckSkippedSeq,
    /// Answers to old timestamps that a limit kept back.
    AckSkippedPaws,
    /// Challenge ACKs that a limit kept back.
    AckSkippedChallenge,
    /// SYNs in a synchronized state.
    SynChallenge,
    /// Connections given up after too many retransmissions.
    AbortOnTimeout,
    /// Connections aborted at close because text was unread.
    AbortOnClose,
    /// Connections aborted because text came after close, or by SO_LINGER with time 0.
    AbortOnData,
    /// Connections aborted by TCP_LINGER2 below 0.
    AbortOnLinger,
    /// Handshakes whose last ACK met a full accept queue.
    ListenOverflows,
    /// SYNs and last ACKs dropped by a listener, for any reason.
    ListenDrops,
    /// SYNs dropped because the SYN queue was full (`TCPReqQFullDrop`).
    SynQueueFull,
    /// SYNs answered with a cookie (`TCPReqQFullDoCookies`).
    ReqQFullDoCookies,
    /// SYN-ACKs sent with a cookie.
    SyncookiesSent,
    /// Cookies that came back.
    SyncookiesRecv,
    /// Acknowledgments without a good cookie while some were out.
    SyncookiesFailed,
    /// Answers not sent to what came again in SYN-RECEIVED (`tcp_invalid_ratelimit`).
    AckSkippedSynRecv,
    /// Half-open connections ended by a RST.
    EmbryonicRsts,
    /// Connections aborted at close because there were too many without a user.
    AbortOnMemory,
    /// SYNs that opened a connection for text at once (`TCPFastOpenPassive`).
    FastOpenPassive,
    /// SYNs with a cookie that is not good, or for which there was no memory.
    FastOpenPassiveFail,
    /// The same, with a cookie under the former key.
    FastOpenPassiveAltKey,
    /// SYNs that would have opened a connection at once, but for TCP_FASTOPEN's limit.
    FastOpenListenOverflow,
    /// SYNs that asked for a cookie.
    FastOpenCookieReqd,
    /// SYNs of ours whose text was taken.
    FastOpenActive,
    /// SYNs of ours whose text was not.
    FastOpenActiveFail,
    /// Times that Fast Open was given up for a while, as somebody on the way does not let it pass.
    FastOpenBlackhole,
    /// Bare last ACKs passed over because of TCP_DEFER_ACCEPT.
    DeferAcceptDrop,
    /// Challenge ACKs sent (RFC 5961).
    ChallengeAck,
    /// Segments dropped by PAWS (RFC 7323).
    PawsEstab,
    /// Connections that entered TIME-WAIT.
    TimeWait,
    /// SYNs that ended a TIME-WAIT (RFC 6191).
    TimeWaitRecycled,
    /// Writes that waited for the device, and for more (`tcp_autocorking`).
    AutoCorking,
    /// Delayed ACKs sent by the timer.
    DelayedAcks,
    /// Keepalive probes sent.
    KeepAlive,
    /// Zero-window probes sent.
    ZeroWindowProbes,
    /// Segments queued out of order.
    OfoQueue,
    /// Segments put on a backlog.
    Backlog,
    /// ICMP errors about a connection of ours.
    IcmpErrors,
    /// ICMP errors whose quoted sequence number is not in flight (RFC 5927).
    OutOfWindowIcmps,
    /// ICMP errors lost because a process had the socket.
    LockDroppedIcmps,
    /// Segments taken by the early demux.
    EarlyDemux,
    /// States of idle sockets packed.
    IdlePacked,
    /// States of idle sockets unpacked again.
    IdleUnpacked,
}

/// The counters of a namespace.
pub(super) struct Stats {
    counters: [AtomicU64; NAMES.len()],
    drops: [AtomicU64; drop_reason::NAMES.len()],
}

impl Stats {
    pub(super) fn new() -> Self {
        Self {
            counters: [const { AtomicU64::new(0) }; NAMES.len()],
            drops: [const { AtomicU64::new(0) }; drop_reason::NAMES.len()],
        }
    }

    #[inline]
    pub(super) fn add(&self, counter: Counter, n: u64) {
        if let Some(slot) = self.counters.get(counter as usize) {
            slot.fetch_add(n, Relaxed);
        }
    }

    pub(super) fn add_drop(&self, reason: DropReason) {
        if let Some(slot) = self.drops.get(reason as usize) {
            slot.fetch_add(1, Relaxed);
        }
    }

    /// Calls `f(name, value)` for each counter.
    pub(super) fn counters(&self, mut f: impl FnMut(&str, u64)) {
        for (name, slot) in NAMES.iter().zip(&self.counters) {
            f(name, slot.load(Relaxed));
        }
    }

    /// Calls `f(name, value)` for each reason of drops.
    pub(super) fn drops(&self, mut f: impl FnMut(&str, u64)) {
        for (name, slot) in drop_reason::NAMES.iter().zip(&self.drops) {
            f(name, slot.load(Relaxed));
        }
    }
}
