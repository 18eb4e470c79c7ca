// SPDX-License-Identifier: GPL-2.0

//! Options: what is read of bytes, well formed or not, and the bytes that are written.

use oxtcp_core::tcp::options::{Options, SackBlocks, SeqRange, Timestamps};
use oxtcp_core::tcp::seq::SeqNumber;

fn mss(bytes: &[u8]) -> Option<u16> {
    Options::parse(bytes).mss
}

fn scale(bytes: &[u8]) -> Option<u8> {
    Options::parse(bytes).window_scale
}

fn stamps(bytes: &[u8]) -> Option<(u32, u32)> {
    Options::parse(bytes).timestamps.map(|ts| (ts.val, ts.ecr))
}

fn sack_permitted(bytes: &[u8]) -> bool {
    Options::parse(bytes).sack_permitted
}

/// The blocks, as pairs.
fn blocks(bytes: &[u8]) -> Vec<(u32, u32)> {
    let options = Options::parse(bytes);
    let pair = |r: &SeqRange| (r.start.0, r.end.0);
    options.sack.as_slice().iter().map(pair).collect()
}

/// A SACK option of `n` blocks: (1, 2), (3, 4), ...
fn sack_option(n: u8) -> Vec<u8> {
    let mut bytes = vec![5, 2 + 8 * n];
    for number in 1..=u32::from(n) * 2 {
        bytes.extend(number.to_be_bytes());
    }
    bytes
}

fn some_blocks(n: u32) -> SackBlocks {
    let mut sack = SackBlocks::NONE;
    for i in 0..n {
        sack.push(SeqRange {
            start: SeqNumber(2 * i + 1),
            end: SeqNumber(2 * i + 2),
        });
    }
    sack
}

fn written(options: Options) -> Vec<u8> {
    let mut buf = [0xee; 40];
    let len = options.write(&mut buf);
    buf[..len].to_vec()
}

const NONE: Options = Options {
    mss: None,
    window_scale: None,
    sack_permitted: false,
    timestamps: None,
    sack: SackBlocks::NONE,
    accecn: None,
    fast_open: None,
    user_timeout: None,
};

const STAMPS: Option<Timestamps> = Some(Timestamps {
    val: 0x0102_0304,
    ecr: 0x0506_0708,
});

cases! {
    no_bytes_are_no_options: assert_eq!(Options::parse(&[]), NONE);
    an_mss_is_read: assert_eq!(mss(&[2, 4, 5, 180]), Some(1460));
    the_largest_mss_is_read: assert_eq!(mss(&[2, 4, 255, 255]), Some(65535));
    an_mss_of_zero_is_none: assert_eq!(mss(&[2, 4, 0, 0]), None);
    an_mss_that_is_too_short_is_none: assert_eq!(mss(&[2, 3, 5, 180]), None);
    an_mss_that_is_too_long_is_none: assert_eq!(mss(&[2, 5, 5, 180, 0]), None);
    an_mss_cut_off_is_none: assert_eq!(mss(&[2, 4, 5]), None);
    of_two_the_last_counts: assert_eq!(mss(&[2, 4, 0, 100, 2, 4, 0, 200]), Some(200));
    nothing_behind_the_end_of_the_list_is_read: assert_eq!(mss(&[0, 2, 4, 5, 180]), None);
    padding_is_passed_over: assert_eq!(mss(&[1, 1, 1, 2, 4, 5, 180]), Some(1460));
    an_unknown_option_is_passed_over: assert_eq!(mss(&[200, 5, 9, 9, 9, 2, 4, 5, 180]), Some(1460));
    an_empty_unknown_option_is_passed_over: assert_eq!(mss(&[200, 2, 2, 4, 5, 180]), Some(1460));
    a_length_of_zero_ends_the_reading: assert_eq!(mss(&[200, 0, 2, 4, 5, 180]), None);
    a_length_of_one_ends_the_reading: assert_eq!(mss(&[200, 1, 2, 4, 5, 180]), None);
    a_length_beyond_the_end_ends_the_reading: assert_eq!(mss(&[2, 4, 5, 180, 8, 200]), Some(1460));
    a_kind_without_a_length_ends_the_reading: assert_eq!(mss(&[2, 4, 5, 180, 8]), Some(1460));
    a_scale_is_read: assert_eq!(scale(&[3, 3, 7]), Some(7));
    a_scale_of_zero_is_one: assert_eq!(scale(&[3, 3, 0]), Some(0));
    a_scale_of_14_is_the_largest: assert_eq!(scale(&[3, 3, 14]), Some(14));
    a_scale_of_15_is_14: assert_eq!(scale(&[3, 3, 15]), Some(14));
    a_scale_that_is_too_long_is_none: assert_eq!(scale(&[3, 4, 7, 0]), None);
    a_scale_without_its_byte_is_none: assert_eq!(scale(&[3, 2]), None);
    permission_is_read: assert!(sack_permitted(&[4, 2]));
    permission_with_a_body_is_none: assert!(!sack_permitted(&[4, 3, 1]));
    timestamps_are_read: assert_eq!(stamps(&[8, 10, 0, 0, 0, 1, 0, 0, 0, 2]), Some((1, 2)));
    timestamps_are_32_bits:
        assert_eq!(stamps(&[8, 10, 255, 255, 255, 255, 128, 0, 0, 0]), Some((u32::MAX, 1 << 31)));
    timestamps_cut_off_are_none: assert_eq!(stamps(&[8, 10, 0, 0, 0, 1, 0, 0, 0]), None);
    timestamps_of_another_length_are_none: assert_eq!(stamps(&[8, 9, 0, 0, 0, 1, 0, 0, 0]), None);
    one_block_is_read: assert_eq!(blocks(&sack_option(1)), [(1, 2)]);
    four_blocks_are_read: assert_eq!(blocks(&sack_option(4)), [(1, 2), (3, 4), (5, 6), (7, 8)]);
    a_fifth_block_is_none: assert_eq!(blocks(&sack_option(5)).len(), 4);
    no_blocks_are_none: assert_eq!(blocks(&[5, 2]), []);
    blocks_of_a_broken_length_are_none: assert_eq!(blocks(&[5, 9, 0, 0, 0, 1, 0, 0, 0]), []);
    blocks_of_two_options_add_up:
        assert_eq!(blocks(&[sack_option(1), sack_option(1)].concat()).len(), 2);
    a_block_is_read_as_it_is_even_backwards:
        assert_eq!(blocks(&[5, 10, 0, 0, 0, 9, 0, 0, 0, 3]), [(9, 3)]);

    nothing_is_written_as_nothing: assert_eq!(written(NONE), []);
    an_mss_is_written:
        assert_eq!(written(Options { mss: Some(536), ..NONE }), [2, 4, 2, 24]);
    a_scale_is_written_behind_padding:
        assert_eq!(written(Options { window_scale: Some(9), ..NONE }), [1, 3, 3, 9]);
    permission_is_written_behind_padding:
        assert_eq!(written(Options { sack_permitted: true, ..NONE }), [1, 1, 4, 2]);
    timestamps_are_written_behind_padding:
        assert_eq!(
            written(Options { timestamps: STAMPS, ..NONE }),
            [1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8]
        );
    permission_takes_the_padding_of_timestamps:
        assert_eq!(
            written(Options { sack_permitted: true, timestamps: STAMPS, ..NONE }),
            [4, 2, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8]
        );
    a_block_is_written_behind_padding:
        assert_eq!(
            written(Options { sack: some_blocks(1), ..NONE }),
            [1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2]
        );
    blocks_that_do_not_fit_are_left_out:
        assert_eq!(
            blocks(&written(Options { sack: some_blocks(4), timestamps: STAMPS, ..NONE })),
            [(1, 2), (3, 4), (5, 6)]
        );
    no_room_is_no_options: {
        let options = Options { mss: Some(1460), sack: some_blocks(4), timestamps: STAMPS, ..NONE };
        assert_eq!(options.write(&mut []), 0)
    };
    what_does_not_fit_whole_is_left_out: {
        let mut buf = [0xee; 3];
        assert_eq!(Options { mss: Some(1460), ..NONE }.write(&mut buf), 0);
        assert_eq!(buf, [0xee; 3])
    };
    a_list_of_blocks_has_at_most_four: assert_eq!(some_blocks(9).as_slice().len(), 4);
    a_list_of_blocks_is_cut: {
        assert_eq!(some_blocks(4).truncated(2).as_slice().len(), 2);
        assert_eq!(some_blocks(1).truncated(2).as_slice().len(), 1);
        assert!(some_blocks(3).truncated(0).is_empty())
    };
}
