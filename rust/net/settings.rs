// SPDX-License-Identifier: GPL-2.0

//! Single settings of `net.ipv4`, for those who need one or two: [`Ipv4Sysctls`] reads them all.

use super::bindings as b;
use super::*;
use core::marker::PhantomData;

/// The settings of a namespace; each is read when it is asked for.
#[derive(Clone, Copy)]
pub struct Settings<'a> {
    net: *mut b::net,
    _namespace: PhantomData<&'a ()>,
}

macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $($field:ident).+ $([$index:literal])? $(, $map:expr)?;)*) => {
        impl Settings<'_> {
            $(
                $(#[$doc])*
                #[inline]
                pub fn $name(self) -> $type {
                    // SAFETY: The namespace is alive; the read is that of `READ_ONCE`.
                    let value = unsafe {
                        (&raw const (*self.net).$($field).+ $([$index])?).read_volatile()
                    };
                    $(let value = $map(value);)?
                    value
                }
            )*
        }
    };
}

fn count(value: i32) -> u32 {
    value.max(0).unsigned_abs()
}

fn ms(jiffies: i32) -> u32 {
    let ms = u64::from(jiffies.unsigned_abs()).saturating_mul(TICK_US) / 1000;
    u32::try_from(ms).unwrap_or(u32::MAX)
}

settings! {
    /// `tcp_syncookies` (0, 1, 2).
    syncookies: u8 = ipv4.sysctl_tcp_syncookies;
    /// `tcp_max_syn_backlog`.
    max_syn_backlog: u32 = ipv4.sysctl_max_syn_backlog, count;
    /// `tcp_abort_on_overflow`.
    abort_on_overflow: bool = ipv4.sysctl_tcp_abort_on_overflow, |v| v != 0;
    /// `tcp_rfc1337`.
    rfc1337: bool = ipv4.sysctl_tcp_rfc1337, |v| v != 0;
    /// `tcp_tw_reuse` (0, 1, 2).
    tw_reuse: u8 = ipv4.sysctl_tcp_tw_reuse;
    /// `tcp_max_tw_buckets`.
    max_tw_buckets: u32 = ipv4.tcp_death_row.sysctl_max_tw_buckets, count;
    /// `tcp_fin_timeout`, ms.
    fin_timeout_ms: u32 = ipv4.sysctl_tcp_fin_timeout, ms;
    /// `tcp_orphan_retries`, 0 meaning 8.
    orphan_retries: u8 = ipv4.sysctl_tcp_orphan_retries;
    /// `tcp_moderate_rcvbuf`.
    moderate_rcvbuf: bool = ipv4.sysctl_tcp_moderate_rcvbuf, |v| v != 0;
    /// The most of `tcp_rmem`, bytes.
    rmem_max: u32 = ipv4.sysctl_tcp_rmem[2], i32::unsigned_abs;
    /// `tcp_ecn_option` (0 to 3).
    ecn_option: u8 = ipv4.sysctl_tcp_ecn_option;
    /// The most of `tcp_wmem`, bytes.
    wmem_max: u32 = ipv4.sysctl_tcp_wmem[2], i32::unsigned_abs;
    /// `somaxconn`.
    somaxconn: u32 = core.sysctl_somaxconn, count;
    /// `tcp_fastopen_blackhole_timeout_sec`.
    fastopen_blackhole_timeout: u32 = ipv4.sysctl_tcp_fastopen_blackhole_timeout;
    /// `tcp_fastopen`, its bits.
    fastopen: u32 = ipv4.sysctl_tcp_fastopen, i32::unsigned_abs;
}

impl<F: Family> NetNs<F> {
    /// The settings, to ask for single ones.
    #[inline]
    pub fn settings(&self) -> Settings<'_> {
        Settings {
            net: self.raw(),
            _namespace: PhantomData,
        }
    }
}
