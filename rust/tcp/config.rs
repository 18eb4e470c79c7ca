// SPDX-License-Identifier: GPL-2.0

//! Settings of a connection: what sysctls and socket options say, as plain values.

use super::congestion::pacing::Ratios;
use super::congestion::Algorithm;
use super::ecn::EcnConfig;
use super::mtu_probe;
use super::pacing::Runs;
use super::pack::packed;
use super::time::Duration;

/// How losses are detected where the peer tells what it has (SACK): by RACK (RFC 8985), and where it
/// gives no timestamps by the number that arrived too (RFC 6675), but for what is changed of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LossDetection {
    /// The reordering window stays as wide as it is.
    pub static_window: bool,
    /// The number of segments that arrived means nothing.
    pub no_threshold: bool,
    /// Where the peer gives no timestamps, it is by number alone.
    pub no_time: bool,
}

packed!(struct LossDetection { static_window, no_threshold, no_time });

impl LossDetection {
    /// As the bits of `tcp_recovery` say.
    pub fn from_bits(bits: u8) -> Self {
        Self {
            static_window: bits & 2 != 0,
            no_threshold: bits & 4 != 0,
            no_time: bits & 1 == 0,
        }
    }
}

/// What the user set for a connection. Defaults are Linux's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// SYN retransmissions before giving up (`tcp_syn_retries`).
    pub syn_retries: u8,
    /// SYN retransmissions at even intervals before those (`tcp_syn_linear_timeouts`).
    pub syn_linear_timeouts: u8,
    /// SYN-ACK retransmissions before giving up (`tcp_synack_retries`).
    pub synack_retries: u8,
    /// Retransmissions of text before the path is suspected (`tcp_retries1`, RFC 9293 3.8.3 R1).
    pub retries1: u8,
    /// Retransmissions of text before giving up (`tcp_retries2`, RFC 9293 3.8.3 R2).
    pub retries: u8,
    /// The same once the user has closed (`tcp_orphan_retries`).
    pub orphan_retries: u8,
    /// How long an orphan stays in FIN-WAIT-2 (`tcp_fin_timeout`); zero for not at all: it is reset
    /// (`TCP_LINGER2` below 0).
    pub fin_timeout: Duration,
    /// How long TIME-WAIT lasts: 2 MSL.
    pub time_wait: Duration,
    /// `SO_KEEPALIVE`.
    pub keepalive: bool,
    /// Idle time before the first keepalive probe.
    pub keepalive_time: Duration,
    /// Time between probes.
    pub keepalive_interval: Duration,
    /// Unanswered probes before giving up.
    pub keepalive_probes: u8,
    /// Give up when text stays unacknowledged for so long (`TCP_USER_TIMEOUT`); zero for
    /// no such limit.
    pub user_timeout: Duration,
    /// The peer is told for how long text is kept, and heard about it (RFC 5482): what it is told
    /// unless the user has set a timeout, s; zero for neither.
    pub user_timeout_option: u16,
    /// Least retransmission timeout.
    pub rto_min: Duration,
    /// Largest retransmission timeout.
    pub rto_max: Duration,
    /// How long the least round-trip time counts (`tcp_min_rtt_wlen`).
    pub min_rtt_window: Duration,
    /// How losses are detected (`tcp_recovery`).
    pub recovery: LossDetection,
    /// A stream with little in flight is retransmitted at even intervals at first
    /// (`TCP_THIN_LINEAR_TIMEOUTS`).
    pub thin_linear: bool,
    /// Tail loss probes (`tcp_early_retrans`).
    pub loss_probes: bool,
    /// F-RTO after a timeout (`tcp_frto`).
    pub frto: bool,
    /// Report duplicates to the peer (`tcp_dsack`).
    pub dsack: bool,
    /// Segments of later text that must have arrived before earlier text is taken for lost, at the
    /// start (`tcp_reordering`).
    pub reordering: u16,
    /// Most of that (`tcp_max_reordering`).
    pub max_reordering: u16,
    /// No Nagle algorithm (`TCP_NODELAY`).
    pub nodelay: bool,
    /// Send full segments alone (`TCP_CORK`).
    pub cork: bool,
    /// Offer and accept window scaling.
    pub window_scaling: bool,
    /// Offer and accept timestamps.
    pub timestamps: bool,
    /// Offer and accept selective acknowledgments.
    pub sack: bool,
    /// Our window scale, 0 to 14.
    pub window_scale: u8,
    /// MSS that we announce, bytes.
    pub mss: u16,
    /// Receive space at the start, bytes: the window of the SYN, as far as that can tell.
    pub initial_window: u32,
    /// Largest window to offer, bytes (`TCP_WINDOW_CLAMP`); `u32::MAX` for no limit.
    pub window_clamp: u32,
    /// Memory that the receive buffer may grow to, bytes (`tcp_rmem`).
    pub receive_memory: u32,
    /// The window may shrink when memory is short (`tcp_shrink_window`).
    pub shrink_window: bool,
    /// Answers of the user, soon after text came, from which on acknowledgments wait for another
    /// (`tcp_pingpong_thresh`).
    pub pingpong_threshold: u8,
    /// Longest wait of an acknowledgment (`TCP_DELACK_MAX_US`).
    pub delayed_ack_max: Duration,
    /// Congestion control (`tcp_congestion_control`, `TCP_CONGESTION`).
    pub congestion: Algorithm,
    /// Rates of sending (`tcp_pacing_ss_ratio`, `tcp_pacing_ca_ratio`).
    pub pacing: Ratios,
    /// Largest rate of sending, bytes a second (`SO_MAX_PACING_RATE`); `u64::MAX` for no limit.
    pub max_pacing_rate: u64,
    /// The queueing discipline keeps the rate (sch_fq does).
    pub paced_below: bool,
    /// How late a timer may be.
    pub timer_tick: Duration,
    /// How long runs of segments may be.
    pub runs: Runs,
    /// Probing for the path's MTU.
    pub mtu: mtu_probe::Settings,
    /// Restart from the initial window after idling (`tcp_slow_start_after_idle`).
    pub slow_start_after_idle: bool,
    /// Ignore RSTs in TIME-WAIT (`tcp_rfc1337`).
    pub rfc1337: bool,
    /// Expiries of the SYN-ACK's timer for which a listener waits for text (`TCP_DEFER_ACCEPT`).
    pub defer_accept: u8,
    /// Least time between two answers to segments that should not be (`tcp_invalid_ratelimit`).
    pub invalid_ratelimit: Duration,
    /// The peer's urgent pointer is that of the last urgent byte, as RFC 1122 4.2.2.4 had it, and
    /// not of the byte behind (`tcp_stdurg`).
    pub urgent_is_last: bool,
    /// Explicit congestion notification.
    pub ecn: EcnConfig,
}

packed!(struct Config like Config::default(), {
    syn_retries, syn_linear_timeouts, synack_retries, retries1, retries, orphan_retries,
    fin_timeout, time_wait, keepalive, keepalive_time, keepalive_interval, keepalive_probes,
    user_timeout, user_timeout_option, rto_min, rto_max, min_rtt_window, recovery, thin_linear,
    loss_probes, frto,
    dsack, reordering, max_reordering, nodelay, cork, window_scaling, timestamps, sack,
    window_scale, mss, initial_window, window_clamp, receive_memory, shrink_window,
    pingpong_threshold, delayed_ack_max, congestion, pacing, max_pacing_rate, paced_below,
    timer_tick, runs, mtu, slow_start_after_idle, rfc1337, defer_accept, invalid_ratelimit,
    urgent_is_last, ecn,
});

impl Default for Config {
    fn default() -> Self {
        Self {
            syn_retries: 6,
            syn_linear_timeouts: 4,
            synack_retries: 5,
            retries1: 3,
            retries: 15,
            orphan_retries: 8,
            fin_timeout: Duration::from_secs(60),
            time_wait: Duration::from_secs(60),
            keepalive: false,
            keepalive_time: Duration::from_secs(7200),
            keepalive_interval: Duration::from_secs(75),
            keepalive_probes: 9,
            user_timeout: Duration::ZERO,
            user_timeout_option: 0,
            rto_min: Duration::from_ms(200),
            rto_max: Duration::from_secs(120),
            min_rtt_window: Duration::from_secs(300),
            recovery: LossDetection::default(),
            thin_linear: false,
            loss_probes: true,
            frto: true,
            dsack: true,
            reordering: 3,
            max_reordering: 300,
            nodelay: false,
            cork: false,
            window_scaling: true,
            timestamps: true,
            sack: true,
            window_scale: 7,
            mss: 1460,
            initial_window: 65535,
            window_clamp: u32::MAX,
            receive_memory: 6 << 20,
            shrink_window: false,
            pingpong_threshold: 1,
            delayed_ack_max: Duration::from_ms(200),
            congestion: Algorithm::default(),
            pacing: Ratios::default(),
            max_pacing_rate: u64::MAX,
            paced_below: false,
            timer_tick: Duration::from_ms(1),
            runs: Runs::default(),
            mtu: mtu_probe::Settings::default(),
            slow_start_after_idle: true,
            rfc1337: false,
            defer_accept: 0,
            invalid_ratelimit: Duration::from_ms(500),
            urgent_is_last: false,
            ecn: EcnConfig::default(),
        }
    }
}

/// What of the settings depends on the path of a connection that is being opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// MSS that we announce, bytes.
    pub mss: u16,
    /// The window of the SYN-ACK, bytes.
    pub window: u32,
    /// Explicit congestion notification.
    pub ecn: EcnConfig,
}

impl Config {
    /// Those of the settings that depend on the path.
    #[inline]
    pub fn terms(&self) -> Terms {
        Terms {
            mss: self.mss,
            window: self.initial_window,
            ecn: self.ecn,
        }
    }

    /// The same settings on a path.
    #[inline]
    pub fn on(&self, terms: &Terms) -> Self {
        let mut config = *self;
        config.take(terms);
        config
    }

    /// They are for a path from now on.
    #[inline]
    pub fn take(&mut self, terms: &Terms) {
        self.mss = terms.mss;
        self.initial_window = terms.window;
        self.ecn = terms.ecn;
    }
}

/// What a connection starts from and nobody else may guess.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Initial send sequence number (RFC 6528).
    pub iss: super::seq::SeqNumber,
    /// Added to the clock in our timestamps (RFC 7323 5.4), ms.
    pub ts_offset: u32,
}

/// The initial sequence number of RFC 6528: a clock that ticks every 4 µs plus `hash`, a keyed
/// hash of the connection's ends.
pub fn initial_sequence(hash: u32, now: super::time::Instant) -> super::seq::SeqNumber {
    super::seq::SeqNumber(hash.wrapping_add((now.us() >> 2) as u32))
}
