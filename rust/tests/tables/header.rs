// SPDX-License-Identifier: GPL-2.0

//! Headers: each field by itself, what is no header, and the RST that answers for no connection.

use crate::harness::{seg, ACK, FIN, RST, SYN};
use oxtcp_core::tcp::segment::{Flags, ParseError, Segment, Transmit, MAX_HEADER_LEN};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::syn_received::{on_listen, ListenVerdict};

/// A header of zeros with these bytes in it.
fn read(at: usize, bytes: &[u8]) -> Segment {
    let mut header = [0; 20];
    header[12] = 5 << 4;
    header[at..at + bytes.len()].copy_from_slice(bytes);
    Segment::parse(&header, 0).expect("a header")
}

fn parsed(len: usize, words: u8) -> Result<Segment, ParseError> {
    let mut header = [1; MAX_HEADER_LEN];
    header[12] = words << 4;
    Segment::parse(&header[..len], 0)
}

fn wire(out: &Transmit) -> Vec<u8> {
    let mut buf = [0xee; MAX_HEADER_LEN];
    let len = out.header(0x0102, 0x0304, &mut buf);
    buf[..len].to_vec()
}

fn bare(flags: Flags) -> Transmit {
    Transmit::bare(
        SeqNumber(0x1112_1314),
        SeqNumber(0x2122_2324),
        flags,
        0x3132,
    )
}

/// Sequence numbers that flags and text take.
fn takes(flags: Flags, len: u32) -> u32 {
    seg(flags, 100, 0, len).seq_len()
}

fn reset(flags: Flags, len: u32) -> Option<(Flags, u32, u32)> {
    Transmit::reset_for(&seg(flags, 100, 77, len)).map(|r| (r.flags, r.seq.0, r.ack.0))
}

fn listen(flags: Flags) -> &'static str {
    match on_listen(&seg(flags, 100, 77, 0)) {
        ListenVerdict::Ignore => "",
        ListenVerdict::Reset(_) => "rst",
        ListenVerdict::Open => "open",
    }
}

const RST_ACK: Flags = Flags::from_bits(0x14);

cases! {
    the_source_port_is_first: assert_eq!(read(0, &[1, 2]).src_port, 0x0102);
    the_destination_port_is_second: assert_eq!(read(2, &[1, 2]).dst_port, 0x0102);
    the_sequence_number_is_big_endian: assert_eq!(read(4, &[1, 2, 3, 4]).seq, SeqNumber(0x0102_0304));
    the_acknowledgment_is_big_endian: assert_eq!(read(8, &[1, 2, 3, 4]).ack, SeqNumber(0x0102_0304));
    the_window_is_big_endian: assert_eq!(read(14, &[1, 2]).wnd, 0x0102);
    the_urgent_pointer_is_last: assert_eq!(read(18, &[1, 2]).urg, 0x0102);
    fin_is_bit_0: assert!(read(13, &[0x01]).has_fin());
    syn_is_bit_1: assert!(read(13, &[0x02]).has_syn());
    rst_is_bit_2: assert!(read(13, &[0x04]).has_rst());
    psh_is_bit_3: assert!(read(13, &[0x08]).flags.has(Flags::PSH));
    ack_is_bit_4: assert!(read(13, &[0x10]).has_ack());
    urg_is_bit_5: assert!(read(13, &[0x20]).flags.has(Flags::URG));
    no_flag_is_none: {
        let seg = read(13, &[0]);
        assert!(!seg.has_fin() && !seg.has_syn() && !seg.has_rst() && !seg.has_ack())
    };
    no_bytes_are_no_header: assert_eq!(parsed(0, 5), Err(ParseError::Truncated));
    nineteen_bytes_are_no_header: assert_eq!(parsed(19, 5), Err(ParseError::Truncated));
    twenty_bytes_are_a_header: assert!(parsed(20, 5).is_ok());
    an_offset_of_zero_is_no_header: assert_eq!(parsed(60, 0), Err(ParseError::BadDataOffset));
    an_offset_into_the_fixed_part_is_no_header: assert_eq!(parsed(60, 4), Err(ParseError::BadDataOffset));
    an_offset_beyond_the_end_is_no_header: assert_eq!(parsed(59, 15), Err(ParseError::Truncated));
    the_longest_header_is_one: assert!(parsed(60, 15).is_ok());
    the_length_of_the_text_is_the_callers: {
        let mut header = [0; 20];
        header[12] = 5 << 4;
        assert_eq!(Segment::parse(&header, 1460).map(|s| s.len), Ok(1460))
    };

    a_header_is_written_field_by_field:
        assert_eq!(
            wire(&bare(ACK)),
            [1, 2, 3, 4, 0x11, 0x12, 0x13, 0x14, 0x21, 0x22, 0x23, 0x24, 0x50, 0x10, 0x31, 0x32, 0, 0, 0, 0]
        );
    without_ack_the_acknowledgment_is_zero: assert_eq!(wire(&bare(SYN))[8..12], [0; 4]);
    the_offset_counts_the_options: {
        let mut out = bare(SYN);
        out.options.mss = Some(1);
        assert_eq!((wire(&out).len(), wire(&out)[12]), (24, 6 << 4))
    };

    text_takes_its_length: assert_eq!(takes(ACK, 7), 7);
    an_ack_takes_nothing: assert_eq!(takes(ACK, 0), 0);
    a_syn_takes_one: assert_eq!(takes(SYN, 0), 1);
    a_fin_takes_one: assert_eq!(takes(FIN, 0), 1);
    a_rst_takes_nothing: assert_eq!(takes(RST, 0), 0);
    a_syn_with_text_takes_both: assert_eq!(takes(SYN, 5), 6);
    a_syn_with_text_and_fin_takes_all: assert_eq!(takes(SYN | FIN, 5), 7);
    text_begins_behind_a_syn: assert_eq!(seg(SYN, 9, 0, 5).text_start(), SeqNumber(10));
    text_begins_at_the_number_else: assert_eq!(seg(ACK, 9, 0, 5).text_start(), SeqNumber(9));
    the_end_wraps: assert_eq!(seg(FIN, u32::MAX, 0, 5).seq_end(), SeqNumber(5));

    // RFC 9293 3.10.7.1.
    a_reset_has_the_number_that_was_acknowledged: assert_eq!(reset(ACK, 9), Some((RST, 77, 0)));
    a_reset_of_a_syn_acknowledges_it: assert_eq!(reset(SYN, 0), Some((RST_ACK, 0, 101)));
    a_reset_of_text_acknowledges_it: assert_eq!(reset(Flags::PSH, 9), Some((RST_ACK, 0, 109)));
    a_reset_of_a_fin_acknowledges_it: assert_eq!(reset(FIN, 9), Some((RST_ACK, 0, 110)));
    a_reset_of_a_syn_ack_has_its_number: assert_eq!(reset(SYN | ACK, 0), Some((RST, 77, 0)));
    no_reset_answers_a_reset: assert_eq!(reset(RST, 0), None);
    no_reset_answers_a_reset_with_ack: assert_eq!(reset(RST_ACK, 0), None);

    // RFC 9293 3.10.7.2.
    a_listener_opens_for_a_syn: assert_eq!(listen(SYN), "open");
    a_listener_resets_an_ack: assert_eq!(listen(ACK), "rst");
    a_listener_resets_a_syn_ack: assert_eq!(listen(SYN | ACK), "rst");
    a_listener_resets_a_fin_with_ack: assert_eq!(listen(FIN | ACK), "rst");
    a_listener_ignores_a_rst: assert_eq!(listen(RST), "");
    a_listener_ignores_a_rst_with_ack: assert_eq!(listen(RST_ACK), "");
    a_listener_ignores_a_rst_with_syn: assert_eq!(listen(RST | SYN), "");
    a_listener_ignores_a_fin: assert_eq!(listen(FIN), "");
    a_listener_ignores_a_syn_with_fin: assert_eq!(listen(SYN | FIN), "");
    a_listener_ignores_no_flags: assert_eq!(listen(Flags::from_bits(0)), "");
}
