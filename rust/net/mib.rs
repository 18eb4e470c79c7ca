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
    fn mib(self) -> Option<u32> {
        Some(match self {
            Self::Timeouts => b::LINUX_MIB_TCPTIMEOUTS,
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
            Self::DelayedAcks => b::LINUX_MIB_DELAYEDACKS,
            Self::KeepAlive => b::LINUX_MIB_TCPKEEPALIVE,
            Self::ZeroWindowProbes => b::LINUX_MIB_TCPWINPROBE,
            Self::OfoQueue => b::LINUX_MIB_TCPOFOQUEUE,
            Self::OutOfWindowIcmps => b::LINUX_MIB_OUTOFWINDOWICMPS,
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
