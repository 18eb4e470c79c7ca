// SPDX-License-Identifier: GPL-2.0
//! `struct tcp_info` as sock_diag carries it.

/// The fields of `struct tcp_info` that are shown. A field that the kernel did not send (an older
/// or shorter struct) is 0.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct TcpInfo {
    /// `TCPI_OPT_*` bits: what was negotiated.
    pub options: u8,
    /// Shift of the windows that the peer announces.
    pub snd_wscale: u8,
    /// Shift of the windows that we announce.
    pub rcv_wscale: u8,
    /// Doublings of the timeout since the last progress.
    pub backoff: u8,
    /// Retransmission timeout, in µs.
    pub rto: u32,
    /// Delayed-ACK timeout, in µs.
    pub ato: u32,
    /// Payload of a full segment, in bytes.
    pub snd_mss: u32,
    /// Payload of the peer's full segments, in bytes.
    pub rcv_mss: u32,
    /// Segments in flight.
    pub unacked: u32,
    /// Segments known to be lost.
    pub lost: u32,
    /// Segments retransmitted and in flight.
    pub retrans: u32,
    /// Path MTU, in bytes.
    pub pmtu: u32,
    /// Smoothed round-trip time, in µs.
    pub rtt: u32,
    /// Its variation, in µs.
    pub rttvar: u32,
    /// Slow start threshold, in segments.
    pub snd_ssthresh: u32,
    /// Congestion window, in segments.
    pub snd_cwnd: u32,
    /// MSS that we announced, in bytes.
    pub advmss: u32,
    /// Segments retransmitted over the connection's life.
    pub total_retrans: u32,
    /// Bytes that the peer acknowledged.
    pub bytes_acked: u64,
    /// Bytes received in order.
    pub bytes_received: u64,
    /// Segments sent.
    pub segs_out: u32,
    /// Segments received.
    pub segs_in: u32,
    /// Bytes in the send queue that were never sent.
    pub notsent_bytes: u32,
    /// Least round-trip time, in µs; all ones when there was none.
    pub min_rtt: u32,
    /// Bytes sent, retransmissions included.
    pub bytes_sent: u64,
    /// Bytes retransmitted.
    pub bytes_retrans: u64,
    /// Window that the peer announces, in bytes.
    pub snd_wnd: u32,
    /// Window that we announce, in bytes.
    pub rcv_wnd: u32,
}

/// `TCPI_OPT_TIMESTAMPS`
const OPT_TIMESTAMPS: u8 = 1;
/// `TCPI_OPT_SACK`
const OPT_SACK: u8 = 2;
/// `TCPI_OPT_WSCALE`
const OPT_WSCALE: u8 = 4;
/// `TCPI_OPT_ECN`
const OPT_ECN: u8 = 8;
/// `TCP_INFINITE_SSTHRESH`
const INFINITE_SSTHRESH: u32 = 0x7fff_ffff;

impl TcpInfo {
    /// Reads the struct (host byte order), of any length.
    pub fn parse(bytes: &[u8]) -> TcpInfo {
        let u8_at = |at: usize| bytes.get(at).copied().unwrap_or(0);
        let u32_at = |at: usize| {
            bytes
                .get(at..at + 4)
                .map_or(0, |b| u32::from_ne_bytes([b[0], b[1], b[2], b[3]]))
        };
        let u64_at = |at: usize| {
            bytes.get(at..at + 8).map_or(0, |b| {
                u64::from_ne_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]])
            })
        };
        TcpInfo {
            backoff: u8_at(4),
            options: u8_at(5),
            snd_wscale: u8_at(6) & 0xf,
            rcv_wscale: u8_at(6) >> 4,
            rto: u32_at(8),
            ato: u32_at(12),
            snd_mss: u32_at(16),
            rcv_mss: u32_at(20),
            unacked: u32_at(24),
            lost: u32_at(32),
            retrans: u32_at(36),
            pmtu: u32_at(60),
            rtt: u32_at(68),
            rttvar: u32_at(72),
            snd_ssthresh: u32_at(76),
            snd_cwnd: u32_at(80),
            advmss: u32_at(84),
            total_retrans: u32_at(100),
            bytes_acked: u64_at(120),
            bytes_received: u64_at(128),
            segs_out: u32_at(136),
            segs_in: u32_at(140),
            notsent_bytes: u32_at(144),
            min_rtt: u32_at(148),
            bytes_sent: u64_at(200),
            bytes_retrans: u64_at(208),
            snd_wnd: u32_at(228),
            rcv_wnd: u32_at(232),
        }
    }

    /// One line in the words of `ss -i`.
    pub fn describe(&self, congestion: Option<&str>) -> String {
        let ms = |us: u32| f64::from(us) / 1000.0;
        let mut words = Vec::new();
        for (bit, word) in [(OPT_TIMESTAMPS, "ts"), (OPT_SACK, "sack"), (OPT_ECN, "ecn")] {
            if self.options & bit != 0 {
                words.push(word.to_owned());
            }
        }
        words.extend(congestion.map(str::to_owned));
        if self.options & OPT_WSCALE != 0 {
            words.push(format!("wscale:{},{}", self.snd_wscale, self.rcv_wscale));
        }
        let mut add = |present: bool, word: String| {
            if present {
                words.push(word);
            }
        };
        add(self.rto != 0, format!("rto:{}", ms(self.rto)));
        add(self.backoff != 0, format!("backoff:{}", self.backoff));
        add(
            self.rtt != 0,
            format!("rtt:{}/{}", ms(self.rtt), ms(self.rttvar)),
        );
        add(self.ato != 0, format!("ato:{}", ms(self.ato)));
        add(self.snd_mss != 0, format!("mss:{}", self.snd_mss));
        add(self.pmtu != 0, format!("pmtu:{}", self.pmtu));
        add(self.rcv_mss != 0, format!("rcvmss:{}", self.rcv_mss));
        add(self.advmss != 0, format!("advmss:{}", self.advmss));
        add(self.snd_cwnd != 0, format!("cwnd:{}", self.snd_cwnd));
        let finite = self.snd_ssthresh != 0 && self.snd_ssthresh < INFINITE_SSTHRESH;
        add(finite, format!("ssthresh:{}", self.snd_ssthresh));
        add(
            self.bytes_sent != 0,
            format!("bytes_sent:{}", self.bytes_sent),
        );
        add(
            self.bytes_retrans != 0,
            format!("bytes_retrans:{}", self.bytes_retrans),
        );
        add(
            self.bytes_acked != 0,
            format!("bytes_acked:{}", self.bytes_acked),
        );
        add(
            self.bytes_received != 0,
            format!("bytes_received:{}", self.bytes_received),
        );
        add(self.segs_out != 0, format!("segs_out:{}", self.segs_out));
        add(self.segs_in != 0, format!("segs_in:{}", self.segs_in));
        add(self.unacked != 0, format!("unacked:{}", self.unacked));
        let retransmitted = self.retrans != 0 || self.total_retrans != 0;
        add(
            retransmitted,
            format!("retrans:{}/{}", self.retrans, self.total_retrans),
        );
        add(self.lost != 0, format!("lost:{}", self.lost));
        add(
            self.notsent_bytes != 0,
            format!("notsent:{}", self.notsent_bytes),
        );
        let measured = self.min_rtt != 0 && self.min_rtt != u32::MAX;
        add(measured, format!("minrtt:{}", ms(self.min_rtt)));
        add(self.snd_wnd != 0, format!("snd_wnd:{}", self.snd_wnd));
        add(self.rcv_wnd != 0, format!("rcv_wnd:{}", self.rcv_wnd));
        words.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A struct tcp_info with one field set.
    fn with(at: usize, value: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 280];
        bytes[at..at + value.len()].copy_from_slice(value);
        bytes
    }

    #[test]
    fn fields_are_where_the_kernel_puts_them() {
        assert_eq!(TcpInfo::parse(&with(6, &[0xa7])).snd_wscale, 7);
        assert_eq!(TcpInfo::parse(&with(6, &[0xa7])).rcv_wscale, 10);
        assert_eq!(TcpInfo::parse(&with(68, &1500u32.to_ne_bytes())).rtt, 1500);
        assert_eq!(TcpInfo::parse(&with(80, &10u32.to_ne_bytes())).snd_cwnd, 10);
        assert_eq!(
            TcpInfo::parse(&with(120, &9u64.to_ne_bytes())).bytes_acked,
            9
        );
        assert_eq!(
            TcpInfo::parse(&with(200, &1u64.to_ne_bytes())).bytes_sent,
            1
        );
        assert_eq!(TcpInfo::parse(&with(228, &4u32.to_ne_bytes())).snd_wnd, 4);
    }

    #[test]
    fn a_struct_of_any_length_is_read() {
        let whole: Vec<u8> = (0..=255).cycle().take(400).collect();
        for len in 0..whole.len() {
            TcpInfo::parse(&whole[..len]);
        }
        assert_eq!(TcpInfo::parse(&[]), TcpInfo::default());
    }

    #[test]
    fn only_what_is_known_is_told() {
        let info = TcpInfo {
            options: OPT_TIMESTAMPS | OPT_SACK | OPT_WSCALE,
            snd_wscale: 7,
            rcv_wscale: 8,
            rto: 204_000,
            rtt: 1_250,
            rttvar: 500,
            snd_ssthresh: INFINITE_SSTHRESH,
            min_rtt: u32::MAX,
            ..TcpInfo::default()
        };
        assert_eq!(
            info.describe(Some("cubic")),
            "ts sack cubic wscale:7,8 rto:204 rtt:1.25/0.5"
        );
    }
}
