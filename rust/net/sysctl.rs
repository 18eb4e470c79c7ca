// SPDX-License-Identifier: GPL-2.0

//! Settings: the kernel's `net.ipv4.*`, and the few that only oxtcp has, as `net.oxtcp.*`.

use super::bindings as b;
use core::mem::{size_of, MaybeUninit};
use kernel::alloc::KVec;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};

/// An integer of `net.oxtcp.*`.
pub struct Tunable {
    /// File name.
    pub name: &'static CStr,
    /// Value of a new namespace.
    pub default: u32,
    /// Least value that can be written.
    pub min: u32,
    /// Largest value that can be written, at most `i32::MAX`.
    pub max: u32,
}

/// A namespace's `net.ipv4.*` settings that matter to a TCP, as they are at the time of reading.
/// Units are the kernel's own: seconds where `ip-sysctl.rst` says seconds, here in ms.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ipv4Sysctls {
    /// `tcp_syn_retries`.
    pub syn_retries: u8,
    /// `tcp_syn_linear_timeouts`.
    pub syn_linear_timeouts: u8,
    /// `tcp_thin_linear_timeouts`.
    pub thin_linear_timeouts: bool,
    /// `tcp_synack_retries`.
    pub synack_retries: u8,
    /// `tcp_retries1`.
    pub retries1: u8,
    /// `tcp_retries2`.
    pub retries2: u8,
    /// `tcp_orphan_retries`, 0 meaning 8.
    pub orphan_retries: u8,
    /// `tcp_fin_timeout`, ms.
    pub fin_timeout_ms: u32,
    /// `tcp_keepalive_time`, ms.
    pub keepalive_time_ms: u32,
    /// `tcp_keepalive_intvl`, ms.
    pub keepalive_intvl_ms: u32,
    /// `tcp_keepalive_probes`.
    pub keepalive_probes: u8,
    /// `tcp_window_scaling`.
    pub window_scaling: bool,
    /// `tcp_timestamps` (0 off, 1 with random offset, 2 without).
    pub timestamps: u8,
    /// `tcp_sack`.
    pub sack: bool,
    /// `tcp_rfc1337`.
    pub rfc1337: bool,
    /// `tcp_pacing_ss_ratio`, percent.
    pub pacing_ss_ratio: u16,
    /// `tcp_pacing_ca_ratio`, percent.
    pub pacing_ca_ratio: u16,
    /// `tcp_min_tso_segs`.
    pub min_tso_segs: u8,
    /// `tcp_tso_rtt_log`.
    pub tso_rtt_log: u8,
    /// `tcp_tso_win_divisor`.
    pub tso_win_divisor: u8,
    /// `tcp_mtu_probing` (0, 1, 2).
    pub mtu_probing: u8,
    /// `tcp_mtu_probe_floor`.
    pub mtu_probe_floor: u16,
    /// `tcp_probe_threshold`, bytes.
    pub probe_threshold: u16,
    /// `tcp_probe_interval`, s.
    pub probe_interval: u32,
    /// `tcp_slow_start_after_idle`.
    pub slow_start_after_idle: bool,
    /// `tcp_shrink_window`.
    pub shrink_window: bool,
    /// `tcp_pingpong_thresh`.
    pub pingpong_thresh: u8,
    /// `net.core.rmem_max`, bytes.
    pub core_rmem_max: u32,
    /// `tcp_invalid_ratelimit`, ms.
    pub invalid_ratelimit_ms: u32,
    /// `tcp_base_mss`.
    pub base_mss: u16,
    /// `tcp_rto_min_us`, µs.
    pub rto_min_us: u32,
    /// `tcp_rto_max_ms`, ms.
    pub rto_max_ms: u32,
    /// `tcp_recovery`, its bits.
    pub recovery: u8,
    /// `tcp_early_retrans` (0 to 4).
    pub early_retrans: u8,
    /// `tcp_frto` (0, 1, 2).
    pub frto: u8,
    /// `tcp_dsack`.
    pub dsack: bool,
    /// `tcp_reordering`, segments.
    pub reordering: u16,
    /// `tcp_max_reordering`, segments.
    pub max_reordering: u16,
    /// `tcp_min_rtt_wlen`, seconds.
    pub min_rtt_wlen: u32,
    /// `tcp_rmem`: least, default, most, bytes.
    pub rmem: [u32; 3],
    /// `tcp_congestion_control`, filled up with NUL.
    pub congestion: [u8; 16],
    /// `tcp_stdurg`.
    pub stdurg: bool,
    /// `tcp_ecn` (0 to 5).
    pub ecn: u8,
    /// `tcp_ecn_fallback`.
    pub ecn_fallback: bool,
    /// `tcp_ecn_option` (0 to 3).
    pub ecn_option: u8,
    /// `tcp_ecn_option_beacon`, for each round trip.
    pub ecn_option_beacon: u8,
}

fn segments(value: i32) -> u16 {
    value.clamp(0, u16::MAX.into()) as u16
}

fn port(value: i32) -> u16 {
    value.clamp(0, u16::MAX.into()) as u16
}

impl Ipv4Sysctls {
    // What the caller does not use is not even converted then.
    #[inline(always)]
    pub(super) fn read(net: *mut b::net) -> Self {
        let mut raw = MaybeUninit::<b::ox_ipv4_sysctls>::uninit();
        // SAFETY: The namespace is alive, and the pointer valid; the helper fills all in.
        let raw = unsafe {
            b::ox_read_ipv4_sysctls(net, raw.as_mut_ptr());
            raw.assume_init_ref()
        };
        Self {
            syn_retries: raw.syn_retries,
            syn_linear_timeouts: raw.syn_linear_timeouts,
            thin_linear_timeouts: raw.thin_linear_timeouts != 0,
            synack_retries: raw.synack_retries,
            retries1: raw.retries1,
            retries2: raw.retries2,
            orphan_retries: raw.orphan_retries,
            fin_timeout_ms: raw.fin_timeout_ms.unsigned_abs(),
            keepalive_time_ms: raw.keepalive_time_ms.unsigned_abs(),
            keepalive_intvl_ms: raw.keepalive_intvl_ms.unsigned_abs(),
            keepalive_probes: raw.keepalive_probes,
            window_scaling: raw.window_scaling != 0,
            timestamps: raw.timestamps,
            sack: raw.sack != 0,
            rfc1337: raw.rfc1337 != 0,
            pacing_ss_ratio: port(raw.pacing_ss_ratio),
            pacing_ca_ratio: port(raw.pacing_ca_ratio),
            min_tso_segs: raw.min_tso_segs,
            tso_rtt_log: raw.tso_rtt_log,
            tso_win_divisor: raw.tso_win_divisor,
            mtu_probing: raw.mtu_probing,
            mtu_probe_floor: port(raw.mtu_probe_floor),
            probe_threshold: port(raw.probe_threshold),
            probe_interval: raw.probe_interval_s.unsigned_abs(),
            slow_start_after_idle: raw.slow_start_after_idle != 0,
            shrink_window: raw.shrink_window != 0,
            pingpong_thresh: raw.pingpong_thresh,
            core_rmem_max: raw.rmem_max.max(0).unsigned_abs(),
            invalid_ratelimit_ms: raw.invalid_ratelimit_ms.unsigned_abs(),
            base_mss: port(raw.base_mss),
            rto_min_us: raw.rto_min_us.unsigned_abs(),
            rto_max_ms: raw.rto_max_ms.unsigned_abs(),
            recovery: raw.recovery,
            early_retrans: raw.early_retrans,
            frto: raw.frto,
            dsack: raw.dsack != 0,
            reordering: segments(raw.reordering),
            max_reordering: segments(raw.max_reordering),
            min_rtt_wlen: raw.min_rtt_wlen.unsigned_abs(),
            rmem: raw.rmem.map(i32::unsigned_abs),
            congestion: raw.congestion,
            stdurg: raw.stdurg != 0,
            ecn: raw.ecn,
            ecn_fallback: raw.ecn_fallback != 0,
            ecn_option: raw.ecn_option,
            ecn_option_beacon: raw.ecn_option_beacon,
        }
    }
}

/// The values of a namespace's own settings, in the order of the [`Tunable`]s. The sysctl's
/// handler writes them in place.
pub(super) struct Values(KVec<Atomic<u32>>);

impl Values {
    pub(super) fn new(tunables: &[Tunable]) -> Result<Self> {
        let mut values = KVec::with_capacity(tunables.len(), GFP_KERNEL)?;
        for tunable in tunables {
            values.push(Atomic::new(tunable.default), GFP_KERNEL)?;
        }
        Ok(Self(values))
    }

    pub(super) fn get(&self, index: usize) -> u32 {
        self.0.get(index).map_or(0, |value| value.load(Relaxed))
    }
}

/// `/proc/sys/net/oxtcp` of a namespace; gone when dropped.
pub(super) struct Table {
    header: *mut b::ctl_table_header,
    _entries: KVec<b::ctl_table>,
}

impl Table {
    /// Offers `values`, which must outlive this, as `tunables` say.
    pub(super) fn register(
        net: *mut b::net,
        tunables: &'static [Tunable],
        values: &Values,
    ) -> Result<Self> {
        let mut entries = KVec::with_capacity(tunables.len(), GFP_KERNEL)?;
        for (tunable, value) in tunables.iter().zip(&values.0) {
            entries.push(
                b::ctl_table {
                    procname: tunable.name.as_char_ptr(),
                    data: (&raw const *value).cast_mut().cast(),
                    maxlen: size_of::<u32>() as i32,
                    mode: 0o644,
                    proc_handler: Some(b::proc_douintvec_minmax),
                    extra1: (&raw const tunable.min).cast_mut().cast(),
                    extra2: (&raw const tunable.max).cast_mut().cast(),
                    ..pin_init::zeroed()
                },
                GFP_KERNEL,
            )?;
        }
        // SAFETY: The table and the values it points to live until it is unregistered.
        let header = unsafe {
            b::register_net_sysctl_sz(
                net,
                c"net/oxtcp".as_char_ptr(),
                entries.as_ptr(),
                entries.len(),
            )
        };
        if header.is_null() {
            return Err(ENOMEM);
        }
        Ok(Self {
            header,
            _entries: entries,
        })
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        // SAFETY: Registered by `register`.
        unsafe { b::unregister_net_sysctl_table(self.header) }
    }
}
