// SPDX-License-Identifier: GPL-2.0

//! TCP options (RFC 9293 3.1, 7323, 2018): parsed once, totally, into a value, and written in the
//! order and with the padding that Linux uses.

use super::accecn_option::AccEcnOption;
use super::fast_open::Cookie;
use super::pack::packed;
use super::seq::SeqNumber;
use super::user_timeout::Advertised;

const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;
const USER_TIMEOUT: u8 = 28;
const ACCECN_E0_FIRST: u8 = 172;
const ACCECN_E1_FIRST: u8 = 174;
const FAST_OPEN: u8 = 34;
/// RFC 6994's experiments, and the one that was Fast Open before it had a kind of its own.
const EXPERIMENT: u8 = 254;
const FAST_OPEN_EXPERIMENT: [u8; 2] = [0xf9, 0x89];

/// Largest window scale that counts (RFC 7323 2.3): a larger one is taken for this.
pub const MAX_WINDOW_SCALE: u8 = 14;

/// Bytes that the timestamps option takes of every segment, with its padding.
pub const TIMESTAMPS_LEN: u16 = 12;

/// Bytes that the SACK option takes with its padding, besides eight for each block.
pub const SACK_LEN: u16 = 4;

/// The timestamps option (RFC 7323 3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timestamps {
    /// TSval: the sender's clock.
    pub val: u32,
    /// TSecr: what it has of the receiver's clock.
    pub ecr: u32,
}

impl Timestamps {
    /// Whether it is older than `recent`, TS.Recent (RFC 7323 5.2). Some send 0 in their SYN and
    /// only then what their clock says: that is behind nothing.
    pub fn is_older_than(&self, recent: u32) -> bool {
        recent != 0 && SeqNumber(self.val).before(SeqNumber(recent))
    }

    /// What is before them when they are the only option: padding, kind and length (RFC 7323,
    /// appendix A).
    pub(super) const ALIGNED: u32 = u32::from_be_bytes([NOP, NOP, TIMESTAMPS, 10]);
}

/// A range of sequence numbers `[start, end)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SeqRange {
    /// First number.
    pub start: SeqNumber,
    /// The number behind the last.
    pub end: SeqNumber,
}

packed!(struct SeqRange { start, end });

/// Up to four SACK blocks (RFC 2018).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SackBlocks {
    blocks: [SeqRange; 4],
    count: u8,
}

impl SackBlocks {
    /// No block.
    pub const NONE: Self = Self {
        blocks: [SeqRange {
            start: SeqNumber(0),
            end: SeqNumber(0),
        }; 4],
        count: 0,
    };

    /// Adds a block; a fifth is ignored.
    pub fn push(&mut self, block: SeqRange) {
        if let Some(slot) = self.blocks.get_mut(usize::from(self.count)) {
            *slot = block;
            self.count = self.count.saturating_add(1);
        }
    }

    /// With what follows one of them added to it, else as one more block.
    pub fn with(mut self, next: SeqRange) -> Self {
        let mut blocks = self.blocks.iter_mut().take(self.count.into());
        match blocks.find(|block| block.end == next.start) {
            Some(block) => block.end = next.end,
            None => self.push(next),
        }
        self
    }

    /// The blocks, in their order.
    pub fn as_slice(&self) -> &[SeqRange] {
        self.blocks.get(..usize::from(self.count)).unwrap_or(&[])
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many there are.
    pub fn len(&self) -> u8 {
        self.count
    }

    /// The first `n` blocks.
    pub fn truncated(mut self, n: u8) -> Self {
        self.count = self.count.min(n);
        self
    }
}

/// The options of a segment that we know; others are passed over (RFC 9293 3.1, MUST-6).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Maximum segment size, bytes; only meaningful in a SYN.
    pub mss: Option<u16>,
    /// Window scale, 0 to 14; only meaningful in a SYN.
    pub window_scale: Option<u8>,
    /// SACK is permitted; only meaningful in a SYN.
    pub sack_permitted: bool,
    /// Timestamps.
    pub timestamps: Option<Timestamps>,
    /// Selective acknowledgments.
    pub sack: SackBlocks,
    /// Accurate ECN (RFC 9768 3.2.3).
    pub accecn: Option<AccEcnOption>,
    /// A Fast Open cookie, or the request for one (RFC 7413); only meaningful in a SYN.
    pub fast_open: Option<Cookie>,
    /// For how long the sender keeps text that is not acknowledged (RFC 5482).
    pub user_timeout: Option<Advertised>,
}

/// The end of an option that takes the place of padding before the next.
#[derive(Clone, Copy)]
enum Rest {
    None,
    One(u8),
    Two(u8, u8),
}

/// A writer over the option space of a header: what does not fit is left out.
struct Writer<'a> {
    buf: &'a mut [u8],
    at: usize,
    rest: Rest,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        let end = self.at.saturating_add(bytes.len());
        if let Some(space) = self.buf.get_mut(self.at..end) {
            // Not `copy_from_slice`: it has a panic path, which the compiler does not see is dead.
            for (to, from) in space.iter_mut().zip(bytes) {
                *to = *from;
            }
            self.at = end;
        }
    }

    fn timestamps(&mut self, ts: Timestamps) {
        self.put(&[TIMESTAMPS, 10]);
        self.put(&ts.val.to_be_bytes());
        self.put(&ts.ecr.to_be_bytes());
    }

    fn fast_open(&mut self, cookie: &Cookie) {
        let bytes = cookie.as_slice();
        let free = self.buf.len().saturating_sub(self.at);
        let len = cookie.unpadded_len();
        if free < cookie.option_len() {
            return;
        }
        if cookie.is_experimental() {
            self.put(&[EXPERIMENT, len as u8]);
            self.put(&FAST_OPEN_EXPERIMENT);
        } else {
            self.put(&[FAST_OPEN, len as u8]);
        }
        self.put(bytes);
        if len % 4 == 2 {
            self.put(&[NOP, NOP]);
        }
    }

    /// Two bytes of padding, or what is left of an option.
    fn pad(&mut self) {
        match core::mem::replace(&mut self.rest, Rest::None) {
            Rest::None => self.put(&[NOP, NOP]),
            Rest::One(last) => self.put(&[last, NOP]),
            Rest::Two(kind, len) => self.put(&[kind, len]),
        }
    }

    /// One byte of padding, or what is left of an option if that is one byte: an option's kind and
    /// length are not parted.
    fn pad_one(&mut self) {
        match self.rest {
            Rest::One(last) => {
                self.rest = Rest::None;
                self.put(&[last]);
            }
            Rest::None | Rest::Two(..) => self.put(&[NOP]),
        }
    }

    /// Kind and length, then the fields; what does not fill four bytes is left for the next
    /// option's padding.
    fn accecn(&mut self, option: &AccEcnOption) {
        let kind = if option.e1_first() {
            ACCECN_E1_FIRST
        } else {
            ACCECN_E0_FIRST
        };
        let field = |at| {
            let [_, a, b, c] = option.raw(at).unwrap_or(0).to_be_bytes();
            [a, b, c]
        };
        let ([a, b, c], [d, e, f], [g, h, i]) = (field(0), field(1), field(2));
        match option.len() {
            0 => self.rest = Rest::Two(kind, 2),
            1 => {
                self.put(&[kind, 5, a, b]);
                self.rest = Rest::One(c);
            }
            2 => self.put(&[kind, 8, a, b, c, d, e, f]),
            _ => self.put(&[kind, 11, a, b, c, d, e, f, g, h, i, NOP]),
        }
    }
}

impl Options {
    /// Reads the option space of a header. Total: what is malformed ends the reading, and what was
    /// read before it counts, as in Linux.
    pub fn parse(bytes: &[u8]) -> Self {
        match (bytes, Self::read_stamp_alone(bytes)) {
            ([], _) => Self::default(),
            (_, None) => Self::parse_any(bytes),
            (_, timestamps) => Self {
                timestamps,
                ..Self::default()
            },
        }
    }

    /// What almost every segment has: timestamps and nothing else, in the usual order.
    #[inline]
    pub(super) fn read_stamp_alone(bytes: &[u8]) -> Option<Timestamps> {
        match *bytes {
            [NOP, NOP, TIMESTAMPS, 10, a, b, c, d, e, f, g, h] => Some(Timestamps {
                val: u32::from_be_bytes([a, b, c, d]),
                ecr: u32::from_be_bytes([e, f, g, h]),
            }),
            _ => None,
        }
    }

    #[cold]
    fn parse_any(mut bytes: &[u8]) -> Self {
        // What Linux's SYNs have, and its SYN-ACKs.
        if let &[MSS, 4, m, n, SACK_PERMITTED, 2, TIMESTAMPS, 10, a, b, c, d, e, f, g, h, NOP, WINDOW_SCALE, 3, scale] =
            bytes
        {
            let mss = u16::from_be_bytes([m, n]);
            return Self {
                mss: (mss != 0).then_some(mss),
                window_scale: Some(scale.min(MAX_WINDOW_SCALE)),
                sack_permitted: true,
                timestamps: Some(Timestamps {
                    val: u32::from_be_bytes([a, b, c, d]),
                    ecr: u32::from_be_bytes([e, f, g, h]),
                }),
                ..Self::default()
            };
        }
        let mut options = Self::default();
        while let Some((&kind, rest)) = bytes.split_first() {
            match kind {
                END => break,
                NOP => {
                    bytes = rest;
                    continue;
                }
                _ => {}
            }
            let Some(&len) = rest.first() else { break };
            let Some(body) = bytes.get(2..usize::from(len)) else {
                break;
            };
            options.read(kind, body);
            let Some(next) = bytes.get(usize::from(len)..) else {
                break;
            };
            bytes = next;
        }
        options
    }

    fn read(&mut self, kind: u8, body: &[u8]) {
        match (kind, body) {
            (MSS, &[a, b]) => {
                let mss = u16::from_be_bytes([a, b]);
                self.mss = (mss != 0).then_some(mss);
            }
            (WINDOW_SCALE, &[scale]) => self.window_scale = Some(scale.min(MAX_WINDOW_SCALE)),
            (SACK_PERMITTED, &[]) => self.sack_permitted = true,
            (TIMESTAMPS, &[a, b, c, d, e, f, g, h]) => {
                self.timestamps = Some(Timestamps {
                    val: u32::from_be_bytes([a, b, c, d]),
                    ecr: u32::from_be_bytes([e, f, g, h]),
                });
            }
            (USER_TIMEOUT, &[a, b]) => {
                let read = Advertised::from_wire(u16::from_be_bytes([a, b]));
                self.user_timeout = read.or(self.user_timeout);
            }
            (FAST_OPEN, cookie) => self.fast_open = Cookie::new(cookie),
            (EXPERIMENT, [0xf9, 0x89, cookie @ ..]) if self.fast_open.is_none() => {
                self.fast_open = Cookie::new(cookie).map(Cookie::experimental);
            }
            (SACK, blocks) if blocks.len() % 8 == 0 => {
                for block in blocks.chunks_exact(8) {
                    if let &[a, b, c, d, e, f, g, h] = block {
                        self.sack.push(SeqRange {
                            start: SeqNumber(u32::from_be_bytes([a, b, c, d])),
                            end: SeqNumber(u32::from_be_bytes([e, f, g, h])),
                        });
                    }
                }
            }
            (ACCECN_E0_FIRST, body) => self.accecn = Some(AccEcnOption::parse(body, false)),
            (ACCECN_E1_FIRST, body) => self.accecn = Some(AccEcnOption::parse(body, true)),
            _ => {}
        }
    }

    /// The timestamps, if there is no other option.
    fn only_timestamps(&self) -> Option<Timestamps> {
        let others = self.mss.is_some()
            || self.window_scale.is_some()
            || self.sack_permitted
            || !self.sack.is_empty()
            || self.accecn.is_some()
            || self.fast_open.is_some()
            || self.user_timeout.is_some();
        self.timestamps.filter(|_| !others)
    }

    /// Writes the options of a SYN that has all but the rare ones; `None` when it is another.
    fn write_usual_syn(&self, buf: &mut [u8]) -> Option<usize> {
        let (mss, scale, ts) = (self.mss?, self.window_scale?, self.timestamps?);
        let rare = !self.sack.is_empty()
            || self.accecn.is_some()
            || self.fast_open.is_some()
            || self.user_timeout.is_some();
        let (head, rest) = buf.split_first_chunk_mut()?;
        let rest = rest.first_chunk_mut()?;
        if rare || !self.sack_permitted {
            return None;
        }
        let [m, n] = mss.to_be_bytes();
        let ([a, b, c, d], [e, f, g, h]) = (ts.val.to_be_bytes(), ts.ecr.to_be_bytes());
        *head = [MSS, 4, m, n, SACK_PERMITTED, 2, TIMESTAMPS, 10];
        *rest = [a, b, c, d, e, f, g, h, NOP, WINDOW_SCALE, 3, scale];
        Some(head.len() + rest.len())
    }

    /// Writes the options into `buf`; returns the bytes used, a multiple of four. Four SACK blocks,
    /// or three beside timestamps, are what fits.
    pub fn write(&self, buf: &mut [u8]) -> usize {
        match (self.only_timestamps(), buf.first_chunk_mut()) {
            (Some(ts), Some(space)) => {
                let ([a, b, c, d], [e, f, g, h]) = (ts.val.to_be_bytes(), ts.ecr.to_be_bytes());
                *space = [NOP, NOP, TIMESTAMPS, 10, a, b, c, d, e, f, g, h];
                space.len()
            }
            _ => self
                .write_usual_syn(buf)
                .unwrap_or_else(|| self.write_any(buf)),
        }
    }

    #[cold]
    fn write_any(&self, buf: &mut [u8]) -> usize {
        let mut w = Writer {
            buf,
            at: 0,
            rest: Rest::None,
        };
        if let Some(mss) = self.mss {
            let [a, b] = mss.to_be_bytes();
            w.put(&[MSS, 4, a, b]);
        }
        match (self.timestamps, self.sack_permitted) {
            (Some(ts), true) => {
                w.put(&[SACK_PERMITTED, 2]);
                w.timestamps(ts);
            }
            (Some(ts), false) => {
                w.put(&[NOP, NOP]);
                w.timestamps(ts);
            }
            (None, _) => {}
        }
        if let Some(option) = &self.accecn {
            w.accecn(option);
        }
        if self.timestamps.is_none() && self.sack_permitted {
            w.pad();
            w.put(&[SACK_PERMITTED, 2]);
        }
        if let Some(scale) = self.window_scale {
            w.pad_one();
            w.put(&[WINDOW_SCALE, 3, scale]);
        }
        let room = w.buf.len().saturating_sub(w.at).saturating_sub(4) / 8;
        let blocks = self.sack.truncated(room.min(4) as u8);
        if !blocks.is_empty() {
            w.pad();
            w.put(&[SACK, 2 + 8 * blocks.count]);
            for block in blocks.as_slice() {
                w.put(&block.start.0.to_be_bytes());
                w.put(&block.end.0.to_be_bytes());
            }
        } else if !matches!(w.rest, Rest::None) {
            w.pad();
            w.pad();
        }
        if let Some(cookie) = &self.fast_open {
            w.fast_open(cookie);
        }
        if let Some(timeout) = self.user_timeout {
            let [a, b] = timeout.wire().to_be_bytes();
            w.put(&[USER_TIMEOUT, 4, a, b]);
        }
        w.at
    }
}

#[cfg_attr(MODULE, kernel::prelude::kunit_tests(oxtcp_options))]
#[cfg_attr(not(MODULE), cfg(test))]
mod tests {
    use super::super::accecn_option::EcnBytes;
    use super::*;

    fn round_trip(options: Options) {
        let mut buf = [0; 40];
        let len = options.write(&mut buf);
        assert!(len % 4 == 0);
        assert!(Options::parse(&buf[..len]) == options);
    }

    #[test]
    fn a_cookie_of_the_experiment_is_read_and_answered_alike() {
        let bytes = [254, 12, 0xf9, 0x89, 1, 2, 3, 4, 5, 6, 7, 8];
        let options = Options::parse(&bytes);
        let cookie = options.fast_open.expect("a cookie");
        assert!(cookie.is_experimental());
        assert_eq!(Some(cookie), Cookie::new(&[1, 2, 3, 4, 5, 6, 7, 8]));
        let mut buf = [0; 40];
        let len = Options {
            fast_open: Some(cookie),
            ..Options::default()
        }
        .write(&mut buf);
        assert_eq!(buf.get(..len), Some(&bytes[..]));
        assert_eq!(
            Options::parse(&[254, 12, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]).fast_open,
            None
        );
    }

    #[test]
    fn what_is_written_is_read() {
        let timestamps = Some(Timestamps {
            val: 1,
            ecr: 0xffff_fffe,
        });
        for ts in [None, timestamps] {
            for sack_permitted in [false, true] {
                for window_scale in [None, Some(0), Some(14)] {
                    round_trip(Options {
                        mss: Some(1460),
                        window_scale,
                        sack_permitted,
                        timestamps: ts,
                        ..Options::default()
                    });
                }
            }
        }
        let mut sack = SackBlocks::NONE;
        for i in 0..3 {
            sack.push(SeqRange {
                start: SeqNumber(i * 10),
                end: SeqNumber(i * 10 + 5),
            });
        }
        round_trip(Options {
            timestamps,
            sack,
            ..Options::default()
        });
    }

    /// A counter may end in the byte that is also NOP.
    #[test]
    fn a_counter_that_ends_like_padding_is_written_whole() {
        let bytes = EcnBytes::default();
        for fields in 0..=3 {
            for window_scale in [None, Some(7)] {
                round_trip(Options {
                    accecn: Some(AccEcnOption::new(&bytes).truncated(fields)),
                    window_scale,
                    ..Options::default()
                });
            }
        }
    }

    #[test]
    fn a_syn_looks_as_linux_writes_it() {
        let mut buf = [0; 40];
        let options = Options {
            mss: Some(1460),
            window_scale: Some(7),
            sack_permitted: true,
            timestamps: Some(Timestamps {
                val: 0x0102_0304,
                ecr: 0,
            }),
            ..Options::default()
        };
        let len = options.write(&mut buf);
        let linux = [
            2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7,
        ];
        assert!(buf[..len] == linux);
    }

    #[test]
    fn a_usual_syn_is_read_as_its_options_say() {
        let mut syn = [
            2, 4, 5, 180, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 9, 1, 3, 3, 7,
        ];
        let options = Options::parse(&syn);
        let ts = Some(Timestamps {
            val: 0x0102_0304,
            ecr: 9,
        });
        assert!((options.mss, options.timestamps) == (Some(1460), ts));
        assert!(options.sack_permitted && options.window_scale == Some(7));
        // None may be 0, nor larger than this.
        syn[2..4].fill(0);
        syn[19] = 15;
        let options = Options::parse(&syn);
        assert!((options.mss, options.window_scale) == (None, Some(MAX_WINDOW_SCALE)));
        // The same in another order.
        syn.rotate_left(4);
        let rotated = Options::parse(&syn);
        assert!(rotated == options);
    }

    #[test]
    fn three_blocks_fit_beside_timestamps_and_four_without() {
        let mut sack = SackBlocks::NONE;
        for i in 0..5 {
            sack.push(SeqRange {
                start: SeqNumber(i),
                end: SeqNumber(i + 1),
            });
        }
        let ts = Some(Timestamps { val: 1, ecr: 2 });
        let mut buf = [0; 40];
        assert!(
            Options {
                sack,
                ..Options::default()
            }
            .write(&mut buf)
                == 36
        );
        assert!(
            Options {
                sack,
                timestamps: ts,
                ..Options::default()
            }
            .write(&mut buf)
                == 40
        );
    }

    #[test]
    fn malformed_options_end_the_reading() {
        let cases: &[(&[u8], Option<u16>)] = &[
            (&[], None),
            (&[MSS], None),
            (&[MSS, 0], None),
            (&[MSS, 1], None),
            (&[MSS, 4, 5], None),
            (&[MSS, 4, 0, 0], None),
            (&[MSS, 3, 5], None),
            (&[NOP, NOP, MSS, 4, 5, 180], Some(1460)),
            (&[END, MSS, 4, 5, 180], None),
            (&[99, 3, 0, MSS, 4, 5, 180], Some(1460)),
            (&[99, 0, 0, MSS, 4, 5, 180], None),
            (&[MSS, 4, 5, 180, 99, 200, 1], Some(1460)),
        ];
        for (bytes, mss) in cases {
            assert!(Options::parse(bytes).mss == *mss);
        }
    }

    #[test]
    fn a_cookie_of_any_right_length_is_read_as_it_was_written() {
        for len in [0, 4, 6, 8, 10, 12, 14, 16] {
            round_trip(Options {
                mss: Some(1460),
                fast_open: Cookie::new(&[7; 16][..len]),
                ..Options::default()
            });
        }
    }

    #[test]
    fn a_cookie_is_written_as_linux_writes_it() {
        let mut buf = [0; 40];
        let mut options = Options {
            fast_open: Cookie::new(&[1, 2, 3, 4, 5, 6, 7, 8]),
            ..Options::default()
        };
        let len = options.write(&mut buf);
        assert!(buf[..len] == [34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1]);
        options.fast_open = Some(Cookie::REQUEST);
        let len = options.write(&mut buf);
        assert!(buf[..len] == [34, 2, 1, 1]);
        options.fast_open = Cookie::new(&[1, 2, 3, 4, 5, 6]);
        let len = options.write(&mut buf);
        assert!(buf[..len] == [34, 8, 1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_cookie_of_a_wrong_length_is_none() {
        let mut bytes = [0u8; 40];
        for len in [1, 2, 3, 5, 7, 17, 18, 20] {
            bytes[0] = FAST_OPEN;
            bytes[1] = 2 + len;
            assert!(Options::parse(&bytes[..2 + usize::from(len)])
                .fast_open
                .is_none());
        }
    }

    #[test]
    fn a_cookie_that_does_not_fit_is_left_out() {
        let mut buf = [0; 40];
        let mut sack = SackBlocks::NONE;
        for i in 0..4 {
            sack.push(SeqRange {
                start: SeqNumber(i),
                end: SeqNumber(i + 1),
            });
        }
        let options = Options {
            sack,
            fast_open: Cookie::new(&[7; 8]),
            ..Options::default()
        };
        assert!(options.write(&mut buf) == 36);
    }

    #[test]
    fn a_window_scale_above_14_is_taken_for_14() {
        assert!(Options::parse(&[WINDOW_SCALE, 3, 255]).window_scale == Some(14));
    }
}
