// SPDX-License-Identifier: GPL-2.0

//! The namespace's own TCP counters (`TcpExt` of `/proc/net/netstat`): what befalls a segment is
//! counted there too, whichever TCP it befalls, so that `nstat` tells of all of them.

use super::bindings as b;
use super::{Counter, DropReason};

/// The `LINUX_MIB_*` counter that means the same, if there is one.
pub(super) trait Mib {
    fn mib(self) -> Option<u32>;
}

impl Mib for Counter {
    // Nearly always of a constant.
    #[inline(always)]
    fn mib(self) -> Option<u32> {
        Some(match self {
            Self::Timeouts => b::LINUX_MIB_TCPTIMEOUTS,
            Self::TimeoutRehash => b::LINUX_MIB_TCPTIMEOUTREHASH,
            Self::FastRetrans => b::LINUX_MIB_TCPFASTRETRANS,
            Self::AbortOnTimeout => b::LINUX_MIB_TCPABORTONTIMEOUT,
            Self::AbortOnClose => b::LINUX_MIB_TCPABORTONCLOSE,
            Self::AbortOnData => b::LINUX_MIB_TCPABORTONDATA,
            Self::AbortOnLinger => b::LINUX_MIB_TCPABORTONLINGER,
            Self::ListenOverflows => b::LINUX_MIB_LISTENOVERFLOWS,
            Self::ListenDrops => b::LINUX_MIB_LISTENDROPS,
            Self::ChallengeAck => b::LINUX_MIB_TCPCHALLENGEACK,
            Self::TimeWait => b::LINUX_MIB_TIMEWAITED,
            Self::TimeWaitRecycled => b::LINUX_MIB_TIMEWAITRECYCLED,
            Self::AutoCorking => b::LINUX_MIB_TCPAUTOCORKING,
            Self::DelayedAcks => b::LINUX_MIB_DELAYEDACKS,
            Self::KeepAlive => b::LINUX_MIB_TCPKEEPALIVE,
            Self::ZeroWindowProbes => b::LINUX_MIB_TCPWINPROBE,
            Self::OfoQueue => b::LINUX_MIB_TCPOFOQUEUE,
            Self::OutOfWindowIcmps => b::LINUX_MIB_OUTOFWINDOWICMPS,
            Self::LockDroppedIcmps => b::LINUX_MIB_LOCKDROPPEDICMPS,
            Self::SynQueueFull => b::LINUX_MIB_TCPREQQFULLDROP,
            Self::ReqQFullDoCookies => b::LINUX_MIB_TCPREQQFULLDOCOOKIES,
            Self::AckSkippedSynRecv => b::LINUX_MIB_TCPACKSKIPPEDSYNRECV,
            Self::EmbryonicRsts => b::LINUX_MIB_EMBRYONICRSTS,
            Self::AbortOnMemory => b::LINUX_MIB_TCPABORTONMEMORY,
            Self::DeferAcceptDrop => b::LINUX_MIB_TCPDEFERACCEPTDROP,
            Self::SyncookiesSent => b::LINUX_MIB_SYNCOOKIESSENT,
            Self::SyncookiesRecv => b::LINUX_MIB_SYNCOOKIESRECV,
            Self::SyncookiesFailed => b::LINUX_MIB_SYNCOOKIESFAILED,
            Self::FastOpenPassive => b::LINUX_MIB_TCPFASTOPENPASSIVE,
            Self::FastOpenPassiveFail => b::LINUX_MIB_TCPFASTOPENPASSIVEFAIL,
            Self::FastOpenPassiveAltKey => b::LINUX_MIB_TCPFASTOPENPASSIVEALTKEY,
            Self::FastOpenListenOverflow => b::LINUX_MIB_TCPFASTOPENLISTENOVERFLOW,
            Self::FastOpenCookieReqd => b::LINUX_MIB_TCPFASTOPENCOOKIEREQD,
            Self::FastOpenActive => b::LINUX_MIB_TCPFASTOPENACTIVE,
            Self::FastOpenActiveFail => b::LINUX_MIB_TCPFASTOPENACTIVEFAIL,
            Self::FastOpenBlackhole => b::LINUX_MIB_TCPFASTOPENBLACKHOLE,
            Self::SlowStartRetrans => b::LINUX_MIB_TCPSLOWSTARTRETRANS,
            Self::RetransFail => b::LINUX_MIB_TCPRETRANSFAIL,
            Self::SynRetrans => b::LINUX_MIB_TCPSYNRETRANS,
            Self::LostRetransmit => b::LINUX_MIB_TCPLOSTRETRANSMIT,
            Self::LossProbes => b::LINUX_MIB_TCPLOSSPROBES,
            Self::LossProbeRecovery => b::LINUX_MIB_TCPLOSSPROBERECOVERY,
            Self::SackRecovery => b::LINUX_MIB_TCPSACKRECOVERY,
            Self::RenoRecovery => b::LINUX_MIB_TCPRENORECOVERY,
            Self::SackRecoveryFail => b::LINUX_MIB_TCPSACKRECOVERYFAIL,
            Self::RenoRecoveryFail => b::LINUX_MIB_TCPRENORECOVERYFAIL,
            Self::LossFailures => b::LINUX_MIB_TCPLOSSFAILURES,
            Self::SackFailures => b::LINUX_MIB_TCPSACKFAILURES,
            Self::RenoFailures => b::LINUX_MIB_TCPRENOFAILURES,
            Self::SackReneging => b::LINUX_MIB_TCPSACKRENEGING,
            Self::SackDiscard => b::LINUX_MIB_TCPSACKDISCARD,
            Self::SackReorder => b::LINUX_MIB_TCPSACKREORDER,
            Self::RenoReorder => b::LINUX_MIB_TCPRENOREORDER,
            Self::TsReorder => b::LINUX_MIB_TCPTSREORDER,
            Self::FullUndo => b::LINUX_MIB_TCPFULLUNDO,
            Self::PartialUndo => b::LINUX_MIB_TCPPARTIALUNDO,
            Self::DsackUndo => b::LINUX_MIB_TCPDSACKUNDO,
            Self::LossUndo => b::LINUX_MIB_TCPLOSSUNDO,
            Self::SpuriousRtos => b::LINUX_MIB_TCPSPURIOUSRTOS,
            Self::DsackOldSent => b::LINUX_MIB_TCPDSACKOLDSENT,
            Self::DsackOfoSent => b::LINUX_MIB_TCPDSACKOFOSENT,
            Self::DsackRecv => b::LINUX_MIB_TCPDSACKRECV,
            Self::DsackOfoRecv => b::LINUX_MIB_TCPDSACKOFORECV,
            Self::DsackRecvSegs => b::LINUX_MIB_TCPDSACKRECVSEGS,
            Self::DsackIgnoredDubious => b::LINUX_MIB_TCPDSACKIGNOREDDUBIOUS,
            Self::DsackIgnoredOld => b::LINUX_MIB_TCPDSACKIGNOREDOLD,
            Self::DsackIgnoredNoUndo => b::LINUX_MIB_TCPDSACKIGNOREDNOUNDO,
            Self::HystartDelayDetect => b::LINUX_MIB_TCPHYSTARTDELAYDETECT,
            Self::Delivered => b::LINUX_MIB_TCPDELIVERED,
            Self::AckSkippedSeq => b::LINUX_MIB_TCPACKSKIPPEDSEQ,
            Self::AckSkippedPaws => b::LINUX_MIB_TCPACKSKIPPEDPAWS,
            Self::AckSkippedChallenge => b::LINUX_MIB_TCPACKSKIPPEDCHALLENGE,
            Self::SynChallenge => b::LINUX_MIB_TCPSYNCHALLENGE,
            _ => return None,
        })
    }
}

impl Mib for DropReason {
    fn mib(self) -> Option<u32> {
        Some(match self {
            Self::BeyondWindow => b::LINUX_MIB_BEYOND_WINDOW,
            Self::ZeroWindow => b::LINUX_MIB_TCPZEROWINDOWDROP,
            Self::RcvbufFull => b::LINUX_MIB_TCPRCVQDROP,
            Self::OfoFull => b::LINUX_MIB_TCPOFODROP,
            Self::OfoPrune => b::LINUX_MIB_OFOPRUNED,
            Self::OldData => b::LINUX_MIB_DELAYEDACKLOST,
            Self::Paws => b::LINUX_MIB_PAWSESTABREJECTED,
            Self::BacklogFull => b::LINUX_MIB_TCPBACKLOGDROP,
            _ => return None,
        })
    }
}
