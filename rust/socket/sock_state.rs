// SPDX-License-Identifier: GPL-2.0

//! What oxtcp keeps in a socket, under the socket's lock.

use super::fast_open::FastOpen;
use super::listener::Listener;
use super::namespace::{setting, Net, Setting};
use super::ports::Owner;
use super::sent_records::SentRecords;
use super::timing::Timing;
use super::Oxtcp;
use crate::net::{Locked, Pacing, TICK_US};
use crate::tcp::buffer_space::ReceiveSpace;
use crate::tcp::config::{Config, LossDetection};
use crate::tcp::congestion::pacing::Ratios;
use crate::tcp::congestion::Algorithm;
use crate::tcp::ecn::{EcnConfig, OptionUse};
use crate::tcp::mtu_probe;
use crate::tcp::pacing::Runs;
use crate::tcp::receive_window::{select_scale, text_in, whole_segments};
use crate::tcp::state::State;
use crate::tcp::tcb::DEFAULT_MSS;
use crate::tcp::time::{Duration, Instant};
use crate::tcp::Tcb;
use kernel::prelude::*;

/// What connect(2) thinks of the socket (`SS_UNCONNECTED` and so on).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// It may connect or listen.
    Unconnected,
    /// A connection is being opened, and nobody was told how that ended.
    Connecting,
    /// It was connected, whatever became of it.
    Connected,
    /// Its last file was closed: nobody will ask for anything.
    Released,
}

/// What the socket is. A connection's block lies here, not behind a pointer: most sockets are
/// connections, and one allocation serves them.
#[allow(clippy::large_enum_variant)]
pub enum Conn {
    /// Nothing yet, or no more.
    Closed,
    /// A listener.
    Listening(KBox<Listener>),
    /// A connection, or what is left of one.
    Tcb(Life, Tcb),
}

/// What a control block is of. Apart from [`Conn`]'s variants, so that a connection ends where it lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    /// A connection.
    Open,
    /// A connection that has ended, of which `TCP_INFO` tells on until the socket is used anew.
    Ended,
}

/// Which settings the user made, to be kept when the namespace's are read again.
#[derive(Clone, Copy, Default)]
pub struct Chosen {
    /// `TCP_SYNCNT`.
    pub syn_retries: Option<u8>,
    /// `TCP_LINGER2`, in seconds.
    pub linger2: Option<i32>,
    /// `TCP_KEEPIDLE`, in seconds.
    pub keepidle: Option<u16>,
    /// `TCP_KEEPINTVL`, in seconds.
    pub keepintvl: Option<u16>,
    /// `TCP_KEEPCNT`.
    pub keepcnt: Option<u8>,
    /// `TCP_MAXSEG`, bytes.
    pub maxseg: Option<u16>,
    /// `TCP_CONGESTION`.
    pub congestion: Option<Algorithm>,
    /// Bounds of timers.
    pub timing: Timing,
    /// `TCP_INQ`: a read tells how much is left.
    pub inq: bool,
    /// `TCP_QUICKACK` was taken away before there was a connection.
    pub delays_acks: bool,
    /// `TCP_THIN_LINEAR_TIMEOUTS`.
    pub thin_linear: bool,
    /// `TCP_SAVE_SYN`: which headers of a SYN a listener keeps.
    pub save_syn: SaveSyn,
    /// `TCP_NOTSENT_LOWAT`, bytes; 0 for that of the namespace.
    pub notsent_lowat: u32,
    /// `TCP_TX_DELAY`, µs.
    pub tx_delay: u32,
}

/// What of its own end the user named in bind(2), and a socket keeps until it is closed
/// (`SOCK_BINDADDR_LOCK`, `SOCK_BINDPORT_LOCK`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Bound {
    /// The address.
    pub addr: bool,
    /// The port.
    pub port: bool,
}

/// Which headers of a SYN are kept for `TCP_SAVED_SYN`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SaveSyn {
    /// None.
    #[default]
    No,
    /// From that of IP on.
    Network,
    /// From that of the link on.
    Link,
}

impl Chosen {
    /// The congestion control that the user chose, or that of the namespace, by its `name`.
    pub(super) fn congestion_or(&self, name: &[u8; 16]) -> Algorithm {
        self.congestion
            .or_else(|| Algorithm::from_padded(name))
            .unwrap_or_default()
    }

    /// How long an orphan stays in FIN-WAIT-2; `sysctl_ms` (`tcp_fin_timeout`) unless the user says.
    fn fin_timeout(&self, sysctl_ms: u32) -> Duration {
        match self.linger2 {
            Some(s) if s > 0 => Duration::from_secs(s.unsigned_abs().into()),
            Some(s) if s < 0 => Duration::ZERO,
            _ => ms(sysctl_ms).max(Duration::from_ms(1)),
        }
    }
}

fn ms(ms: u32) -> Duration {
    Duration::from_ms(u64::from(ms))
}

/// `tcp_orphan_retries`, of which 0 means 8.
fn orphan_retries(sysctl: u8) -> u8 {
    match sysctl {
        0 => 8,
        n => n,
    }
}

/// The state of a socket.
pub struct SockState {
    pub(super) phase: Phase,
    pub(super) conn: Conn,
    /// What the connection remembers of sent text.
    pub(super) records: SentRecords,
    /// How the bind table knows us; the port is in the socket's local address.
    pub(super) owner: Option<Owner>,
    pub(super) bound: Bound,
    pub(super) config: Config,
    pub(super) chosen: Chosen,
    /// The peer's FIN was seen: reads end, whatever error there is besides (`SOCK_DONE`).
    pub(super) done: bool,
    pub(super) receive_space: ReceiveSpace,
    /// It counts as a connection without a user.
    pub(super) counted: bool,
    pub(super) fast_open: Option<KBox<FastOpen>>,
    /// The headers of the SYN that opened the connection, until they are read.
    pub(super) saved_syn: Option<KBox<KVec<u8>>>,
    /// The MSS of the last connection, which `TCP_MAXSEG` tells on.
    pub(super) last_mss: u16,
}

impl SockState {
    /// A new socket. It takes the namespace's settings when it connects, listens, or is asked.
    pub fn new() -> impl Init<Self> {
        Self::with(Config::default, Chosen::default())
    }

    /// A connection that a listener accepts.
    pub fn child_of(listener: &Self) -> impl Init<Self> + '_ {
        Self::with(|| listener.config, listener.chosen)
    }

    /// Made where it is to be, as it is large.
    fn with(config: impl FnOnce() -> Config, chosen: Chosen) -> impl Init<Self> {
        init!(Self {
            phase: Phase::Unconnected,
            conn: Conn::Closed,
            records: SentRecords::new(),
            owner: None,
            bound: Bound::default(),
            config: config(),
            chosen,
            done: false,
            receive_space: ReceiveSpace::new(0, Instant::default()),
            counted: false,
            fast_open: None,
            saved_syn: None,
            last_mss: DEFAULT_MSS,
        })
    }

    /// The state of RFC 9293 3.3.2. TIME-WAIT is an entry of its own; the socket is CLOSED then.
    pub fn state(&self) -> State {
        match &self.conn {
            Conn::Closed | Conn::Tcb(Life::Ended, _) => State::Closed,
            Conn::Listening(_) => State::Listen,
            Conn::Tcb(Life::Open, tcb) => tcb.state(),
        }
    }

    /// Whether there is neither a connection nor a listener.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.conn, Conn::Closed | Conn::Tcb(Life::Ended, _))
    }

    /// Whether nothing but the connection itself has a say in how a segment goes out.
    #[inline(always)]
    pub(super) fn sends_plainly(&self) -> bool {
        self.fast_open.is_none() && self.chosen.tx_delay == 0
    }

    /// The congestion control of the connection, or of the one to come.
    pub(super) fn congestion(&self) -> Algorithm {
        match &self.conn {
            Conn::Tcb(Life::Open, tcb) if tcb.state().is_synchronized() => {
                tcb.congestion().algorithm()
            }
            _ => self.config.congestion,
        }
    }

    /// Takes the namespace's settings as they are now, as long as there is no connection that has
    /// its own.
    pub(super) fn refresh(&mut self, net: &Net) {
        if self.is_closed() {
            self.read_settings(net);
        }
    }

    /// Takes those of the namespace's settings that matter to a connection that is being closed.
    pub(super) fn read_closing_settings(&mut self, net: &Net) {
        let settings = net.settings();
        self.config.fin_timeout = self.chosen.fin_timeout(settings.fin_timeout_ms());
        self.config.orphan_retries = orphan_retries(settings.orphan_retries());
        self.config.time_wait = ms(setting(net, Setting::TimeWaitMs));
    }

    /// Takes the namespace's settings as they are now; what the user chose stays.
    pub(super) fn read_settings(&mut self, net: &Net) {
        let ipv4 = net.ipv4();
        let seconds = |s: u16| Duration::from_secs(u64::from(s));
        let chosen = self.chosen;
        let user_timeout_option = setting(net, Setting::UserTimeoutOption);
        self.config = Config {
            syn_retries: chosen.syn_retries.unwrap_or(ipv4.syn_retries),
            syn_linear_timeouts: ipv4.syn_linear_timeouts,
            thin_linear: chosen.thin_linear || ipv4.thin_linear_timeouts,
            synack_retries: chosen.syn_retries.unwrap_or(ipv4.synack_retries),
            retries1: ipv4.retries1,
            retries: ipv4.retries2,
            orphan_retries: orphan_retries(ipv4.orphan_retries),
            fin_timeout: chosen.fin_timeout(ipv4.fin_timeout_ms),
            time_wait: ms(setting(net, Setting::TimeWaitMs)),
            keepalive_time: chosen.keepidle.map_or(ms(ipv4.keepalive_time_ms), seconds),
            keepalive_interval: chosen
                .keepintvl
                .map_or(ms(ipv4.keepalive_intvl_ms), seconds),
            keepalive_probes: chosen.keepcnt.unwrap_or(ipv4.keepalive_probes),
            user_timeout_option: u16::try_from(user_timeout_option).unwrap_or(u16::MAX),
            rto_min: chosen
                .timing
                .rto_min(Duration::from_us(u64::from(ipv4.rto_min_us))),
            rto_max: chosen.timing.rto_max(ms(ipv4.rto_max_ms)),
            delayed_ack_max: chosen.timing.delayed_ack_max(),
            min_rtt_window: Duration::from_secs(ipv4.min_rtt_wlen.into()),
            recovery: LossDetection::from_bits(ipv4.recovery),
            loss_probes: matches!(ipv4.early_retrans, 3 | 4),
            frto: ipv4.frto != 0,
            dsack: ipv4.dsack,
            reordering: ipv4.reordering.max(1),
            max_reordering: ipv4.max_reordering,
            window_scaling: ipv4.window_scaling,
            timestamps: ipv4.timestamps != 0,
            sack: ipv4.sack,
            window_scale: select_scale(ipv4.rmem[2].max(ipv4.core_rmem_max)),
            receive_memory: ipv4.rmem[2],
            shrink_window: ipv4.shrink_window,
            pingpong_threshold: ipv4.pingpong_thresh,
            congestion: chosen.congestion_or(&ipv4.congestion),
            pacing: Ratios {
                slow_start: ipv4.pacing_ss_ratio,
                avoidance: ipv4.pacing_ca_ratio,
            },
            timer_tick: Duration::from_us(TICK_US),
            runs: Runs {
                min_segments: ipv4.min_tso_segs,
                rtt_log: ipv4.tso_rtt_log,
                win_divisor: ipv4.tso_win_divisor,
                ..self.config.runs
            },
            mtu: mtu_probe::Settings {
                when: match ipv4.mtu_probing {
                    0 => mtu_probe::When::Never,
                    1 => mtu_probe::When::BlackHole,
                    _ => mtu_probe::When::Always,
                },
                base_mss: ipv4.base_mss,
                floor: ipv4.mtu_probe_floor,
                threshold: ipv4.probe_threshold,
                interval: ipv4.probe_interval,
            },
            slow_start_after_idle: ipv4.slow_start_after_idle,
            rfc1337: ipv4.rfc1337,
            invalid_ratelimit: ms(ipv4.invalid_ratelimit_ms),
            urgent_is_last: ipv4.stdurg,
            ecn: EcnConfig {
                fallback: ipv4.ecn_fallback,
                option: OptionUse::from_number(ipv4.ecn_option),
                beacon: ipv4.ecn_option_beacon,
                ..self.config.ecn
            }
            .with_mode(ipv4.ecn),
            ..self.config
        };
    }

    /// Sets what depends on the path and the receive buffer: the MSS to announce (`advmss`, bytes),
    /// the window of the SYN, and its scale.
    pub(super) fn set_path(&mut self, advmss: u16, buffer: &BufferSize) {
        let mss = self.chosen.maxseg.map_or(advmss, |m| m.min(advmss));
        buffer.apply(&mut self.config);
        self.config.mss = mss;
        self.config.initial_window = whole_segments(self.config.initial_window, mss);
    }
}

/// The size of a receive buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct BufferSize {
    /// Bytes of memory.
    size: u32,
    /// The user chose it: it will not grow.
    chosen: bool,
}

impl BufferSize {
    /// Of a socket.
    pub(super) fn of(locked: &Locked<'_, Oxtcp>) -> Self {
        Self {
            size: locked.rcvbuf(),
            chosen: locked.is_rcvbuf_chosen(),
        }
    }

    /// Sets the window of a SYN, not yet whole segments, and its scale, which is that of the largest
    /// buffer that there may be unless the user chose another.
    pub(super) fn apply(&self, config: &mut Config) {
        let most = config.window_clamp;
        let space = text_in(self.size).min(most);
        let scale = select_scale(space);
        config.initial_window = space;
        config.window_scale = if self.chosen {
            scale
        } else {
            config.window_scale.max(scale).min(select_scale(most))
        };
    }
}

impl Pacing {
    /// Has a connection keep to it.
    pub(super) fn apply(&self, config: &mut Config) {
        config.max_pacing_rate = self.max_rate;
        config.paced_below = self.below;
        config.runs.shift = self.shift;
    }
}
