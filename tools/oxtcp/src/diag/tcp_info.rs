// SPDX-License-Identifier: GPL-2.0
//! `struct tcp_info` as sock_diag carries it.

use super::units::{rate, significant};

/// `TCPI_OPT_TIMESTAMPS`
const OPT_TIMESTAMPS: u8 = 1;
/// `TCPI_OPT_SACK`
const OPT_SACK: u8 = 2;
/// `TCPI_OPT_WSCALE`
const OPT_WSCALE: u8 = 4;
/// `TCPI_OPT_ECN`
const OPT_ECN: u8 = 8;
/// `TCPI_OPT_ECN_SEEN`
const OPT_ECN_SEEN: u8 = 16;
/// `TCPI_OPT_SYN_DATA`
const OPT_SYN_DATA: u8 = 32;
/// `TCP_INFINITE_SSTHRESH`
const INFINITE_SSTHRESH: u32 = 0x7fff_ffff;
/// What is expected before any reordering was seen, in segments (RFC 5681's three duplicates).
const USUAL_REORDERING: u32 = 3;

/// Reads a number of a type at an offset of the struct.
trait Field: Sized {
    fn at(bytes: &[u8], at: usize) -> Option<Self>;
}

macro_rules! number {
    ($($number:ty)*) => {$(
        impl Field for $number {
            fn at(bytes: &[u8], at: usize) -> Option<Self> {
                let bytes = bytes.get(at..at + size_of::<Self>())?;
                Some(Self::from_ne_bytes(bytes.try_into().ok()?))
            }
        }
    )*};
}
number!(u8 u32 u64);

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident: $number:ty = $at:literal,)*) => {
        /// `struct tcp_info`. A field that the kernel did not send (an older or shorter struct) is
        /// 0.
        #[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
        pub struct TcpInfo {
            $($(#[$doc])* pub $name: $number,)*
        }

        impl TcpInfo {
            /// Reads the struct (host byte order), of any length.
            pub fn parse(bytes: &[u8]) -> TcpInfo {
                TcpInfo {
                    $($name: <$number>::at(bytes, $at).unwrap_or(0),)*
                }
            }
        }
    };
}

fields! {
    /// `TCP_CA_*`: 0 open, 1 disorder, 2 CWR, 3 recovery, 4 loss.
    ca_state: u8 = 1,
    /// Doublings of the timeout since the last progress.
    backoff: u8 = 4,
    /// `TCPI_OPT_*` bits: what was negotiated.
    options: u8 = 5,
    /// Shifts of the windows: the peer's in the low half, ours in the high one.
    scales: u8 = 6,
    /// Bit 0: the delivery rate was limited by the program.
    limits: u8 = 7,
    /// Retransmission timeout, in µs.
    rto: u32 = 8,
    /// Delayed-ACK timeout, in µs.
    ato: u32 = 12,
    /// Payload of a full segment, in bytes.
    snd_mss: u32 = 16,
    /// Payload of the peer's full segments, in bytes.
    rcv_mss: u32 = 20,
    /// Segments in flight.
    unacked: u32 = 24,
    /// Segments selectively acknowledged.
    sacked: u32 = 28,
    /// Segments known to be lost.
    lost: u32 = 32,
    /// Segments retransmitted and in flight.
    retrans: u32 = 36,
    /// Since payload was sent, in ms.
    last_data_sent: u32 = 44,
    /// Since payload came, in ms.
    last_data_recv: u32 = 52,
    /// Since an acknowledgment came, in ms.
    last_ack_recv: u32 = 56,
    /// Path MTU, in bytes.
    pmtu: u32 = 60,
    /// Most that is announced as window at present, in bytes.
    rcv_ssthresh: u32 = 64,
    /// Smoothed round-trip time, in µs.
    rtt: u32 = 68,
    /// Its variation, in µs.
    rttvar: u32 = 72,
    /// Slow start threshold, in segments.
    snd_ssthresh: u32 = 76,
    /// Congestion window, in segments.
    snd_cwnd: u32 = 80,
    /// MSS that we announced, in bytes.
    advmss: u32 = 84,
    /// Reordering expected of the path, in segments.
    reordering: u32 = 88,
    /// Round-trip time as the receiver sees it, in µs.
    rcv_rtt: u32 = 92,
    /// What the program reads in a round-trip time, in bytes.
    rcv_space: u32 = 96,
    /// Segments retransmitted over the connection's life.
    total_retrans: u32 = 100,
    /// Rate of sending, in bytes/s; all ones for none.
    pacing_rate: u64 = 104,
    /// `SO_MAX_PACING_RATE`, in bytes/s; all ones for none.
    max_pacing_rate: u64 = 112,
    /// Bytes that the peer acknowledged.
    bytes_acked: u64 = 120,
    /// Bytes received in order.
    bytes_received: u64 = 128,
    /// Segments sent.
    segs_out: u32 = 136,
    /// Segments received.
    segs_in: u32 = 140,
    /// Bytes in the send queue that were never sent.
    notsent_bytes: u32 = 144,
    /// Least round-trip time, in µs; all ones when there was none.
    min_rtt: u32 = 148,
    /// Segments with payload received.
    data_segs_in: u32 = 152,
    /// Segments with payload sent.
    data_segs_out: u32 = 156,
    /// Rate of delivery, in bytes/s.
    delivery_rate: u64 = 160,
    /// Time with payload in flight, in µs.
    busy_time: u64 = 168,
    /// Of it, limited by the peer's window, in µs.
    rwnd_limited: u64 = 176,
    /// Of it, limited by the send buffer, in µs.
    sndbuf_limited: u64 = 184,
    /// Segments delivered.
    delivered: u32 = 192,
    /// Of them, with a congestion mark.
    delivered_ce: u32 = 196,
    /// Bytes sent, retransmissions included.
    bytes_sent: u64 = 200,
    /// Bytes retransmitted.
    bytes_retrans: u64 = 208,
    /// Segments that the peer reported to have come twice.
    dsack_dups: u32 = 216,
    /// Times that reordering was seen.
    reord_seen: u32 = 220,
    /// Segments that came out of order.
    rcv_ooopack: u32 = 224,
    /// Window that the peer announces, in bytes.
    snd_wnd: u32 = 228,
    /// Window that we announce, in bytes.
    rcv_wnd: u32 = 232,
    /// Times that another path was tried.
    rehash: u32 = 236,
}

impl TcpInfo {
    /// Shift of the windows that the peer announces.
    pub fn snd_wscale(&self) -> u8 {
        self.scales & 0xf
    }

    /// Shift of the windows that we announce.
    pub fn rcv_wscale(&self) -> u8 {
        self.scales >> 4
    }

    /// What the window lets through in a round-trip time, in bits/s.
    fn send_rate(&self) -> Option<f64> {
        let bits = 8.0 * f64::from(self.snd_cwnd) * f64::from(self.snd_mss);
        (self.rtt != 0 && bits > 0.0).then(|| bits * 1e6 / f64::from(self.rtt))
    }

    /// One line in the words of `ss -i`; `numeric`: rates without units.
    pub fn describe(&self, congestion: Option<&str>, numeric: bool) -> String {
        let mut words = Words::default();
        let options = [
            (OPT_TIMESTAMPS, "ts"),
            (OPT_SACK, "sack"),
            (OPT_ECN, "ecn"),
            (OPT_ECN_SEEN, "ecnseen"),
            (OPT_SYN_DATA, "fastopen"),
        ];
        for (bit, word) in options {
            words.flag(self.options & bit != 0, word);
        }
        words.0.extend(congestion.map(str::to_owned));
        if self.options & OPT_WSCALE != 0 {
            let scales = (self.snd_wscale(), self.rcv_wscale());
            words.0.push(format!("wscale:{},{}", scales.0, scales.1));
        }
        // A listener's numbers mean other things.
        if self.rto == 0 {
            return words.0.join(" ");
        }
        self.describe_path(&mut words);
        self.describe_totals(&mut words);
        self.describe_rates(&mut words, numeric);
        self.describe_trouble(&mut words);
        words.0.join(" ")
    }

    fn describe_path(&self, words: &mut Words) {
        words.ms("rto", self.rto);
        words.number("backoff", self.backoff);
        if self.rtt != 0 {
            let times = (ms(self.rtt), ms(self.rttvar));
            words.0.push(format!("rtt:{}/{}", times.0, times.1));
        }
        words.ms("ato", self.ato);
        words.number("mss", self.snd_mss);
        words.number("pmtu", self.pmtu);
        words.number("rcvmss", self.rcv_mss);
        words.number("advmss", self.advmss);
        words.number("cwnd", self.snd_cwnd);
        if self.snd_ssthresh < INFINITE_SSTHRESH {
            words.number("ssthresh", self.snd_ssthresh);
        }
    }

    fn describe_totals(&self, words: &mut Words) {
        words.number("bytes_sent", self.bytes_sent);
        words.number("bytes_retrans", self.bytes_retrans);
        words.number("bytes_acked", self.bytes_acked);
        words.number("bytes_received", self.bytes_received);
        words.number("segs_out", self.segs_out);
        words.number("segs_in", self.segs_in);
        words.number("data_segs_out", self.data_segs_out);
        words.number("data_segs_in", self.data_segs_in);
    }

    fn describe_rates(&self, words: &mut Words, numeric: bool) {
        let text = |bits: f64| match numeric {
            true => format!("{bits:.0}bps"),
            false => rate(bits),
        };
        let bits = |bytes: u64| 8.0 * bytes as f64;
        if let Some(rate) = self.send_rate() {
            words.0.push(format!("send {}", text(rate)));
        }
        words.number("lastsnd", self.last_data_sent);
        words.number("lastrcv", self.last_data_recv);
        words.number("lastack", self.last_ack_recv);
        if self.pacing_rate != 0 && self.pacing_rate != u64::MAX {
            let mut word = format!("pacing_rate {}", text(bits(self.pacing_rate)));
            if self.max_pacing_rate != 0 && self.max_pacing_rate != u64::MAX {
                word += &format!("/{}", text(bits(self.max_pacing_rate)));
            }
            words.0.push(word);
        }
        if self.delivery_rate != 0 {
            let rate = text(bits(self.delivery_rate));
            words.0.push(format!("delivery_rate {rate}"));
        }
        words.number("delivered", self.delivered);
        words.number("delivered_ce", self.delivered_ce);
        words.flag(self.limits & 1 != 0, "app_limited");
        if self.busy_time != 0 {
            words.0.push(format!("busy:{}ms", self.busy_time / 1000));
            for (name, part) in [
                ("rwnd_limited", self.rwnd_limited),
                ("sndbuf_limited", self.sndbuf_limited),
            ] {
                if part != 0 {
                    let percent = 100.0 * part as f64 / self.busy_time as f64;
                    words
                        .0
                        .push(format!("{name}:{}ms({percent:.1}%)", part / 1000));
                }
            }
        }
    }

    fn describe_trouble(&self, words: &mut Words) {
        words.number("unacked", self.unacked);
        if self.retrans != 0 || self.total_retrans != 0 {
            let counts = (self.retrans, self.total_retrans);
            words.0.push(format!("retrans:{}/{}", counts.0, counts.1));
        }
        words.number("lost", self.lost);
        words.number("sacked", self.sacked);
        words.number("dsack_dups", self.dsack_dups);
        if self.reordering != USUAL_REORDERING {
            words.number("reordering", self.reordering);
        }
        words.number("reord_seen", self.reord_seen);
        words.ms("rcv_rtt", self.rcv_rtt);
        words.number("rcv_space", self.rcv_space);
        words.number("rcv_ssthresh", self.rcv_ssthresh);
        words.number("notsent", self.notsent_bytes);
        if self.min_rtt != u32::MAX {
            words.ms("minrtt", self.min_rtt);
        }
        words.number("rcv_ooopack", self.rcv_ooopack);
        words.number("snd_wnd", self.snd_wnd);
        words.number("rcv_wnd", self.rcv_wnd);
        words.number("rehash", self.rehash);
    }
}

/// µs as ms.
fn ms(us: u32) -> String {
    significant(f64::from(us) / 1000.0, 6)
}

/// The words of a line; what is zero is left out.
#[derive(Default)]
struct Words(Vec<String>);

impl Words {
    fn flag(&mut self, set: bool, word: &str) {
        self.0.extend(set.then(|| word.to_owned()));
    }

    fn number(&mut self, name: &str, value: impl Into<u64>) {
        let value = value.into();
        if value != 0 {
            self.0.push(format!("{name}:{value}"));
        }
    }

    fn ms(&mut self, name: &str, us: u32) {
        if us != 0 {
            self.0.push(format!("{name}:{}", ms(us)));
        }
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
        assert_eq!(TcpInfo::parse(&with(6, &[0xa7])).snd_wscale(), 7);
        assert_eq!(TcpInfo::parse(&with(6, &[0xa7])).rcv_wscale(), 10);
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
            scales: 0x87,
            rto: 204_000,
            rtt: 1_250,
            rttvar: 500,
            snd_ssthresh: INFINITE_SSTHRESH,
            reordering: USUAL_REORDERING,
            min_rtt: u32::MAX,
            pacing_rate: u64::MAX,
            ..TcpInfo::default()
        };
        assert_eq!(
            info.describe(Some("cubic"), true),
            "ts sack cubic wscale:7,8 rto:204 rtt:1.25/0.5"
        );
    }

    #[test]
    fn rates_have_units_unless_numbers_are_asked_for() {
        let info = TcpInfo {
            rto: 204_000,
            rtt: 1_000,
            snd_mss: 1_000,
            snd_cwnd: 10,
            pacing_rate: 2_500_000,
            max_pacing_rate: 5_000_000,
            delivery_rate: 125_000,
            busy_time: 4_000,
            rwnd_limited: 1_000,
            limits: 1,
            ..TcpInfo::default()
        };
        assert_eq!(
            info.describe(None, false),
            "rto:204 rtt:1/0 mss:1000 cwnd:10 send 80Mbps pacing_rate 20Mbps/40Mbps \
             delivery_rate 1Mbps app_limited busy:4ms rwnd_limited:1ms(25.0%)"
        );
        assert!(info.describe(None, true).contains("send 80000000bps"));
    }

    #[test]
    fn a_listener_has_no_path() {
        let info = TcpInfo {
            unacked: 3,
            sacked: 128,
            ..TcpInfo::default()
        };
        assert_eq!(info.describe(Some("cubic"), false), "cubic");
    }
}
