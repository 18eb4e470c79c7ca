// SPDX-License-Identifier: GPL-2.0

//! A segment: its header read into a value, and a value written as a header (RFC 9293 3.1).

use super::ecn::Ecn;
use super::options::Options;
use super::seq::SeqNumber;
use core::ops::BitOr;

/// Bytes of a header without options.
pub const HEADER_LEN: usize = 20;
/// Bytes of the longest header.
pub const MAX_HEADER_LEN: usize = 60;

/// Control bits: the twelve bits behind the data offset, those that are reserved included.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags(u16);

impl Flags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronize sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgment field is significant.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer is significant.
    pub const URG: Self = Self(0x20);
    /// ECN-Echo (RFC 3168), or the lowest bit of ACE (RFC 9768).
    pub const ECE: Self = Self(0x40);
    /// Congestion window reduced (RFC 3168), or the middle bit of ACE.
    pub const CWR: Self = Self(0x80);
    /// The highest bit of ACE (RFC 9768).
    pub const AE: Self = Self(0x100);
    /// The three bits of ACE.
    pub const ACE: Self = Self(0x1c0);

    /// The bits as on the wire.
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Bits of the wire, of which there are twelve.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & 0xfff)
    }

    /// Without those of `other`.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// AE, CWR and ECE as a number (RFC 9768 3.2.1).
    pub const fn ace(self) -> u8 {
        (self.0 >> 6 & 7) as u8
    }

    /// AE, CWR and ECE for the low three bits of a number.
    pub const fn from_ace(ace: u8) -> Self {
        Self((ace as u16 & 7) << 6)
    }

    /// Whether bits are set that no standard has given a meaning.
    pub const fn has_reserved(self) -> bool {
        self.0 & 0xe00 != 0
    }

    /// Whether all of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Flags {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Why bytes are no header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ParseError {
    /// Fewer bytes than the header says it has.
    Truncated,
    /// A data offset below 5.
    BadDataOffset,
}

/// A segment that arrived. The text stays with the caller.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Segment {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// SEG.SEQ.
    pub seq: SeqNumber,
    /// SEG.ACK, significant when [`Segment::has_ack`].
    pub ack: SeqNumber,
    /// Control bits.
    pub flags: Flags,
    /// SEG.WND as on the wire, unscaled.
    pub wnd: u16,
    /// SEG.UP.
    pub urg: u16,
    /// Options.
    pub options: Options,
    /// Bytes of text.
    pub len: u32,
    /// The ECN field of the IP header it came in.
    pub ecn: Ecn,
    /// How many segments of the wire were merged into it, 0 meaning 1.
    pub merged: u16,
}

impl Segment {
    /// Reads a header with its options; `len` is the text behind it, bytes.
    pub fn parse(header: &[u8], len: u32) -> Result<Self, ParseError> {
        let &[s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, offset, flags, w0, w1, _, _, u0, u1] =
            header
                .first_chunk::<HEADER_LEN>()
                .ok_or(ParseError::Truncated)?;
        let header_len = usize::from(offset >> 4) * 4;
        if header_len < HEADER_LEN {
            return Err(ParseError::BadDataOffset);
        }
        let options = header
            .get(HEADER_LEN..header_len)
            .ok_or(ParseError::Truncated)?;
        Ok(Self {
            src_port: u16::from_be_bytes([s0, s1]),
            dst_port: u16::from_be_bytes([d0, d1]),
            seq: SeqNumber(u32::from_be_bytes([q0, q1, q2, q3])),
            ack: SeqNumber(u32::from_be_bytes([a0, a1, a2, a3])),
            flags: Flags::from_bits(u16::from_be_bytes([offset, flags])),
            wnd: u16::from_be_bytes([w0, w1]),
            urg: u16::from_be_bytes([u0, u1]),
            options: Options::parse(options),
            len,
            ..Self::default()
        })
    }

    /// SYN is set.
    pub const fn has_syn(&self) -> bool {
        self.flags.has(Flags::SYN)
    }

    /// ACK is set.
    pub const fn has_ack(&self) -> bool {
        self.flags.has(Flags::ACK)
    }

    /// FIN is set.
    pub const fn has_fin(&self) -> bool {
        self.flags.has(Flags::FIN)
    }

    /// RST is set.
    pub const fn has_rst(&self) -> bool {
        self.flags.has(Flags::RST)
    }

    /// SEG.LEN: sequence numbers taken, SYN and FIN included.
    pub fn seq_len(&self) -> u32 {
        self.len
            .wrapping_add(u32::from(self.has_syn()))
            .wrapping_add(u32::from(self.has_fin()))
    }

    /// The number behind the last one taken.
    pub fn seq_end(&self) -> SeqNumber {
        self.seq + self.seq_len()
    }

    /// The number of the first byte of text.
    pub fn text_start(&self) -> SeqNumber {
        self.seq + u32::from(self.has_syn())
    }
}

/// A segment, or a run of them (GSO), to be sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// Sequence number of the first segment.
    pub seq: SeqNumber,
    /// Acknowledgment number, significant with [`Flags::ACK`].
    pub ack: SeqNumber,
    /// Control bits; FIN and PSH belong to the last segment of a run.
    pub flags: Flags,
    /// Window as on the wire.
    pub wnd: u16,
    /// Options.
    pub options: Options,
    /// Bytes of text, found at offset `seq - SND.UNA` of the send buffer.
    pub len: u32,
    /// Bytes of text for each segment of a run.
    pub mss: u16,
    /// Whether some of its sequence numbers were sent before.
    pub retransmission: bool,
    /// Urgent pointer, significant with [`Flags::URG`].
    pub urg: u16,
    /// The ECN field for the IP header.
    pub ecn: Ecn,
    /// The bits of ACE are a counter (RFC 9768), which each segment of a run carries; else CWR
    /// belongs to the first alone (RFC 3168 6.1.2).
    pub accurate_ecn: bool,
}

impl Transmit {
    /// A segment without text and options.
    pub const fn bare(seq: SeqNumber, ack: SeqNumber, flags: Flags, wnd: u16) -> Self {
        Self {
            seq,
            ack,
            flags,
            wnd,
            options: Options {
                mss: None,
                window_scale: None,
                sack_permitted: false,
                timestamps: None,
                sack: super::options::SackBlocks::NONE,
                accecn: None,
                fast_open: None,
                user_timeout: None,
            },
            len: 0,
            mss: 0,
            retransmission: false,
            urg: 0,
            ecn: Ecn::NotEct,
            accurate_ecn: false,
        }
    }

    /// How many segments of the wire it is.
    pub fn segments(&self) -> u32 {
        self.len.div_ceil(u32::from(self.mss).max(1)).max(1)
    }

    /// Writes the header with its options, the checksum zero; returns its length, bytes.
    pub fn header(&self, src_port: u16, dst_port: u16, buf: &mut [u8; MAX_HEADER_LEN]) -> usize {
        let (fixed, space) = buf.split_at_mut(HEADER_LEN);
        let len = HEADER_LEN.saturating_add(self.options.write(space));
        let [s0, s1] = src_port.to_be_bytes();
        let [d0, d1] = dst_port.to_be_bytes();
        let [q0, q1, q2, q3] = self.seq.0.to_be_bytes();
        let ack = if self.flags.has(Flags::ACK) {
            self.ack.0
        } else {
            0
        };
        let [a0, a1, a2, a3] = ack.to_be_bytes();
        let [w0, w1] = self.wnd.to_be_bytes();
        let [high, low] = self.flags.bits().to_be_bytes();
        let offset = ((len / 4) as u8) << 4 | high;
        let urg = if self.flags.has(Flags::URG) {
            self.urg
        } else {
            0
        };
        let [u0, u1] = urg.to_be_bytes();
        fixed.copy_from_slice(&[
            s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, offset, low, w0, w1, 0, 0, u0, u1,
        ]);
        len
    }

    /// The RST that answers a segment for which there is no connection (RFC 9293 3.10.7.1): none
    /// for a RST.
    pub fn reset_for(seg: &Segment) -> Option<Self> {
        if seg.has_rst() {
            return None;
        }
        Some(if seg.has_ack() {
            Self::bare(seg.ack, SeqNumber(0), Flags::RST, 0)
        } else {
            Self::bare(SeqNumber(0), seg.seq_end(), Flags::RST | Flags::ACK, 0)
        })
    }
}

#[cfg_attr(MODULE, kernel::prelude::kunit_tests(oxtcp_segment))]
#[cfg_attr(not(MODULE), cfg(test))]
mod tests {
    use super::super::options::Timestamps;
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written() {
        let mut out = Transmit::bare(
            SeqNumber(7),
            SeqNumber(0xffff_ffff),
            Flags::ACK | Flags::PSH,
            512,
        );
        out.options.timestamps = Some(Timestamps { val: 3, ecr: 4 });
        let mut buf = [0xff; MAX_HEADER_LEN];
        let len = out.header(1000, 80, &mut buf);
        assert!(len == 32);
        let read = Segment::parse(&buf[..len], 100);
        let expected = Segment {
            src_port: 1000,
            dst_port: 80,
            seq: out.seq,
            ack: out.ack,
            flags: out.flags,
            wnd: 512,
            urg: 0,
            options: out.options,
            len: 100,
            ..Segment::default()
        };
        assert!(read == Ok(expected));
    }

    #[test]
    fn all_twelve_bits_of_control_are_read_as_they_were_written() {
        for bits in 0..=0xfffu16 {
            let flags = Flags::from_bits(bits);
            let out = Transmit::bare(SeqNumber(1), SeqNumber(2), flags, 3);
            let mut buf = [0; MAX_HEADER_LEN];
            let len = out.header(1, 2, &mut buf);
            assert!(Segment::parse(&buf[..len], 0).is_ok_and(|seg| seg.flags == flags));
        }
    }

    #[test]
    fn ace_is_a_number_of_three_bits() {
        for ace in 0..8 {
            let flags = Flags::from_ace(ace);
            assert!(flags.ace() == ace && (flags | Flags::ACK).ace() == ace);
            assert!(flags.has(Flags::AE) == (ace & 4 != 0));
            assert!(flags.has(Flags::CWR) == (ace & 2 != 0));
            assert!(flags.has(Flags::ECE) == (ace & 1 != 0));
            assert!(flags.without(Flags::ACE) == Flags::default());
            assert!(!flags.has_reserved());
        }
        assert!(Flags::from_bits(0x200).has_reserved());
    }

    #[test]
    fn the_urgent_pointer_is_written_with_its_flag_alone() {
        let mut out = Transmit::bare(SeqNumber(1), SeqNumber(2), Flags::ACK, 3);
        out.urg = 0x1234;
        let mut buf = [0; MAX_HEADER_LEN];
        out.header(1, 2, &mut buf);
        assert!(buf[18..20] == [0, 0]);
        out.flags = out.flags | Flags::URG;
        out.header(1, 2, &mut buf);
        assert!(buf[18..20] == [0x12, 0x34]);
    }

    #[test]
    fn a_run_is_as_many_segments_as_its_text_takes() {
        for (len, mss, segments) in [
            (0, 0, 1),
            (0, 1000, 1),
            (1, 1000, 1),
            (1000, 1000, 1),
            (1001, 1000, 2),
            (64_000, 1000, 64),
        ] {
            let mut out = Transmit::bare(SeqNumber(1), SeqNumber(2), Flags::ACK, 3);
            (out.len, out.mss) = (len, mss);
            assert!(out.segments() == segments);
        }
    }

    #[test]
    fn a_short_header_or_a_wrong_offset_is_an_error() {
        let mut header = [0u8; MAX_HEADER_LEN];
        assert!(Segment::parse(&header[..19], 0) == Err(ParseError::Truncated));
        for words in 0..5u8 {
            header[12] = words << 4;
            assert!(Segment::parse(&header, 0) == Err(ParseError::BadDataOffset));
        }
        header[12] = 6 << 4;
        assert!(Segment::parse(&header[..20], 0) == Err(ParseError::Truncated));
        assert!(Segment::parse(&header[..24], 0).is_ok());
    }

    #[test]
    fn syn_and_fin_take_a_number_each() {
        let seg = Segment {
            flags: Flags::SYN | Flags::FIN,
            seq: SeqNumber(0xffff_ffff),
            len: 10,
            ..Segment::default()
        };
        assert!(seg.seq_len() == 12);
        assert!(seg.seq_end() == SeqNumber(11));
        assert!(seg.text_start() == SeqNumber(0));
    }

    #[test]
    fn a_reset_answers_all_but_a_reset() {
        let mut seg = Segment {
            flags: Flags::SYN,
            seq: SeqNumber(5),
            ..Segment::default()
        };
        let reset = Transmit::reset_for(&seg);
        assert!(reset.is_some_and(|r| r.ack == SeqNumber(6) && r.flags == Flags::RST | Flags::ACK));
        seg.flags = Flags::ACK;
        seg.ack = SeqNumber(9);
        let reset = Transmit::reset_for(&seg);
        assert!(reset.is_some_and(|r| r.seq == SeqNumber(9) && r.flags == Flags::RST));
        seg.flags = Flags::RST | Flags::ACK;
        assert!(Transmit::reset_for(&seg).is_none());
    }
}
