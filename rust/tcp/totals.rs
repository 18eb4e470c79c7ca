// SPDX-License-Identifier: GPL-2.0

//! What a connection has sent and received in all, as `TCP_INFO` shows it (RFC 4898).

use super::pack::packed;

/// The counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Bytes of text sent, those sent again included (`tcpEStatsPerfHCDataOctetsOut`).
    pub bytes_sent: u64,
    /// Bytes of text sent again (`tcpEStatsPerfOctetsRetrans`).
    pub bytes_resent: u64,
    /// Bytes acknowledged (`tcpEStatsAppHCThruOctetsAcked`).
    pub bytes_acked: u64,
    /// Bytes received in order (`tcpEStatsAppHCThruOctetsReceived`).
    pub bytes_received: u64,
    /// Segments sent (`tcpEStatsPerfSegsOut`).
    pub segments_out: u32,
    /// Segments received (`tcpEStatsPerfSegsIn`).
    pub segments_in: u32,
    /// Segments with text sent (`tcpEStatsPerfDataSegsOut`).
    pub text_segments_out: u32,
    /// Segments with text received (`tcpEStatsPerfDataSegsIn`).
    pub text_segments_in: u32,
    /// Segments sent again.
    pub resent: u32,
    /// Loss probes sent (`TcpExtTCPLossProbes`).
    pub probes: u32,
    /// Segments delivered, cumulatively or selectively.
    pub delivered: u32,
    /// Segments that the peer reported as duplicates.
    pub duplicates: u32,
}

packed!(struct Totals {
    bytes_sent, bytes_resent, bytes_acked, bytes_received, segments_out, segments_in,
    text_segments_out, text_segments_in, resent, probes, delivered, duplicates,
});

impl Totals {
    /// `bytes` of text went out in `segments`, which may be one without text.
    pub(super) fn sent(&mut self, bytes: u32, segments: u32) {
        self.segments_out = self.segments_out.wrapping_add(segments);
        if bytes > 0 {
            self.text_segments_out = self.text_segments_out.wrapping_add(segments);
        }
        self.bytes_sent = self.bytes_sent.wrapping_add(bytes.into());
    }

    /// So much of it had been sent before.
    pub(super) fn resent(&mut self, bytes: u32, segments: u32) {
        self.resent = self.resent.wrapping_add(segments);
        self.bytes_resent = self.bytes_resent.wrapping_add(bytes.into());
    }

    /// A segment arrived, with so much text; `merged` is of how many of the wire it was made, 0
    /// meaning 1.
    pub(super) fn arrived(&mut self, bytes: u32, merged: u16) {
        let segments = u32::from(merged.max(1));
        self.segments_in = self.segments_in.wrapping_add(segments);
        if bytes > 0 {
            self.text_segments_in = self.text_segments_in.wrapping_add(segments);
        }
    }

    /// The text that arrived last, `bytes` of it, was merged from segments of `segment` bytes
    /// each, unless that is 0.
    #[inline]
    pub(super) fn merged(&mut self, bytes: u32, segment: u32) {
        let Some(others) = bytes.saturating_sub(1).checked_div(segment) else {
            return;
        };
        self.segments_in = self.segments_in.wrapping_add(others);
        self.text_segments_in = self.text_segments_in.wrapping_add(others);
    }

    /// `bytes` of text are in order now.
    pub(super) fn received(&mut self, bytes: u32) {
        self.bytes_received = self.bytes_received.wrapping_add(bytes.into());
    }

    /// How many numbers before SND.UNA the peer may have acknowledged once, a FIN among them, but
    /// no more than `most`.
    pub(super) fn acknowledged_before(&self, most: u32) -> u32 {
        let all = self.bytes_acked.saturating_add(1);
        u32::try_from(all).unwrap_or(u32::MAX).min(most)
    }

    /// `bytes` of text were acknowledged.
    pub(super) fn acknowledged(&mut self, bytes: u32) {
        self.bytes_acked = self.bytes_acked.wrapping_add(bytes.into());
    }
}
