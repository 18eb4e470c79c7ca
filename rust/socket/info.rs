// SPDX-License-Identifier: GPL-2.0

//! `TCP_INFO`: what is known of a connection, in the kernel's own struct.

use super::now;
use super::sock_state::{Conn, Life, SockState};
use crate::net::TcpInfo;
use crate::tcp::congestion::CongestionControl;
use crate::tcp::ecn::{EcnInfo, Feedback};
use crate::tcp::time::{Duration, Instant};

const OPT_TIMESTAMPS: u8 = 1;
const OPT_SACK: u8 = 2;
const OPT_WSCALE: u8 = 4;
const OPT_ECN: u8 = 8;
const OPT_ECN_SEEN: u8 = 16;
const OPT_SYN_DATA: u8 = 32;

/// The struct for a socket. A listener shows its accept queue as in Linux: its length as
/// `tcpi_unacked`, its limit as `tcpi_sacked`.
pub(super) fn tcp_info(state: &SockState) -> TcpInfo {
    let mut info = TcpInfo {
        tcpi_state: state.state().number(),
        ..TcpInfo::default()
    };
    let tcb = match &state.conn {
        Conn::Tcb(_, tcb) => tcb,
        Conn::Listening(listener) => {
            info.tcpi_unacked = listener.accept_queue.len() as u32;
            info.tcpi_sacked = listener.backlog;
            return info;
        }
        Conn::Closed => return info,
    };
    let now = now();
    let us = |d: Duration| u32::try_from(d.us()).unwrap_or(u32::MAX);
    let ms_since = |at: Instant| u32::try_from(now.since(at).ms()).unwrap_or(u32::MAX);
    let mss = u32::from(tcb.mss()).max(1);
    let (timestamps, sack, scaling) = tcb.features();
    let (snd_scale, rcv_scale) = tcb.scales();
    let (heard, sent) = tcb.last_times();

    info.tcpi_ca_state = tcb.recovery_number();
    info.tcpi_retransmits = tcb.retransmits();
    info.tcpi_probes = tcb.probes();
    info.tcpi_backoff = match state.conn {
        Conn::Tcb(Life::Open, _) => tcb.backoff(),
        _ => 0,
    };
    info.tcpi_options = if timestamps { OPT_TIMESTAMPS } else { 0 }
        | if sack { OPT_SACK } else { 0 }
        | if scaling { OPT_WSCALE } else { 0 }
        | if tcb.is_syn_text_taken() {
            OPT_SYN_DATA
        } else {
            0
        };
    ecn_info(&mut info, &tcb.ecn());
    info.set_tcpi_snd_wscale(snd_scale);
    info.set_tcpi_rcv_wscale(rcv_scale);
    info.tcpi_rto = us(tcb.rto(&state.config));
    info.tcpi_snd_mss = mss;
    info.tcpi_rcv_mss = tcb.rcv_mss().into();
    info.tcpi_ato = us(tcb.ack_wait().min(state.config.delayed_ack_max));
    info.tcpi_rcv_ssthresh = tcb.window_threshold();
    info.tcpi_rcv_space = state.receive_space.space();
    info.tcpi_advmss = state.config.mss.into();
    let board = tcb.scoreboard();
    info.tcpi_unacked = board.out().segments;
    info.tcpi_sacked = tcb.arrived().segments;
    info.tcpi_lost = board.lost().segments;
    info.tcpi_retrans = board.resent().segments;
    info.tcpi_last_data_sent = ms_since(sent);
    info.tcpi_last_data_recv = ms_since(tcb.last_text());
    info.tcpi_last_ack_recv = ms_since(heard);
    info.tcpi_pmtu = u32::from(state.config.mss) + 40;
    info.tcpi_rtt = tcb.rtt().srtt().map_or(0, us);
    info.tcpi_rcv_rtt = tcb.receiver_rtt().map_or(0, us);
    info.tcpi_rttvar = us(tcb.rtt().rttvar());
    info.tcpi_min_rtt = us(tcb.rtt().min());
    info.tcpi_snd_cwnd = tcb.cwnd() / mss;
    info.tcpi_snd_ssthresh = match tcb.congestion().ssthresh() {
        u32::MAX => i32::MAX as u32,
        bytes => bytes / mss,
    };
    let times = tcb.chrono(now);
    info.tcpi_busy_time = times.busy.us();
    info.tcpi_rwnd_limited = times.window_limited.us();
    info.tcpi_sndbuf_limited = times.buffer_limited.us();
    info.tcpi_reordering = tcb.rack().reordering().into();
    info.tcpi_reord_seen = tcb.rack().times_reordered();
    let totals = tcb.totals();
    info.tcpi_total_retrans = totals.resent;
    info.tcpi_bytes_sent = totals.bytes_sent;
    info.tcpi_bytes_retrans = totals.bytes_resent;
    info.tcpi_bytes_acked = totals.bytes_acked;
    info.tcpi_bytes_received = totals.bytes_received;
    info.tcpi_segs_out = totals.segments_out;
    info.tcpi_segs_in = totals.segments_in;
    info.tcpi_data_segs_out = totals.text_segments_out;
    info.tcpi_data_segs_in = totals.text_segments_in;
    info.tcpi_delivered = totals.delivered;
    info.tcpi_dsack_dups = totals.duplicates;
    info.tcpi_pacing_rate = tcb.pacing_rate(&state.config);
    info.tcpi_max_pacing_rate = state.config.max_pacing_rate;
    info.tcpi_notsent_bytes = tcb.unsent();
    info.tcpi_snd_wnd = tcb.snd_wnd();
    info.tcpi_rcv_wnd = tcb.rcv_wnd();
    info
}

fn ecn_info(info: &mut TcpInfo, ecn: &EcnInfo) {
    let mode = match ecn.feedback {
        _ if ecn.pending => 3,
        Feedback::None => 0,
        Feedback::Classic => 1,
        Feedback::Accurate => 2,
    };
    if mode != 0 {
        info.tcpi_options |= OPT_ECN;
    }
    if ecn.seen {
        info.tcpi_options |= OPT_ECN_SEEN;
    }
    info.tcpi_delivered_ce = ecn.delivered_ce;
    info.tcpi_received_ce = ecn.received_ce;
    info.tcpi_delivered_e1_bytes = ecn.delivered.ect1;
    info.tcpi_delivered_e0_bytes = ecn.delivered.ect0;
    info.tcpi_delivered_ce_bytes = ecn.delivered.ce;
    info.tcpi_received_e1_bytes = ecn.received.ect1;
    info.tcpi_received_e0_bytes = ecn.received.ect0;
    info.tcpi_received_ce_bytes = ecn.received.ce;
    info.set_tcpi_ecn_mode(mode);
    info.set_tcpi_accecn_opt_seen(ecn.option_seen.into());
    info.set_tcpi_accecn_fail_mode(ecn.failures.into());
}
