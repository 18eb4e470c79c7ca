// SPDX-License-Identifier: GPL-2.0

//! The option of Accurate ECN (RFC 9768 3.2.3): counters of bytes by the ECN field they came with,
//! as far as there is room for them.

use super::ecn::Ecn;
use super::fast_open::Cookie;
use super::options::Options;
use super::pack::packed;
use super::segment::{Segment, Transmit};
use super::seq::SeqNumber;

/// Bytes of the option space of a header.
const SPACE: usize = 40;
/// Bits of a counter on the wire.
const COUNTER: u32 = 0xff_ffff;
/// Marked segments after which their counter, of three bits, is what it was.
const WRAP: u8 = 8;
/// SACK blocks that do not give way to the option.
const BLOCKS_KEPT: u8 = 2;

/// Payload bytes by the ECN field of the packets that brought them, without headers (RFC 9768 2.2).
/// They wrap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EcnBytes {
    /// ECT(1).
    pub ect1: u32,
    /// ECT(0).
    pub ect0: u32,
    /// CE.
    pub ce: u32,
}

packed!(struct EcnBytes { ect1, ect0, ce });

impl EcnBytes {
    /// The counter of `ecn`; packets that are not ECN-capable have none.
    pub(super) fn of(&mut self, ecn: Ecn) -> Option<&mut u32> {
        match ecn {
            Ecn::NotEct => None,
            Ecn::Ect1 => Some(&mut self.ect1),
            Ecn::Ect0 => Some(&mut self.ect0),
            Ecn::Ce => Some(&mut self.ce),
        }
    }
}

/// What a counter starts from on the wire, so that a middlebox that clears the option is found out
/// (RFC 9768 3.2.1).
const fn initial(ecn: Ecn) -> u32 {
    match ecn {
        Ecn::Ect0 | Ecn::Ect1 => 1,
        Ecn::NotEct | Ecn::Ce => 0,
    }
}

/// The option: up to three counters of 24 bits, in one of two orders.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccEcnOption {
    fields: [u32; 3],
    len: u8,
    e1_first: bool,
}

impl AccEcnOption {
    /// All three counters, ECT(1) first: Linux's form.
    pub fn new(bytes: &EcnBytes) -> Self {
        let mut bytes = *bytes;
        let order = Self::order(true);
        Self {
            fields: order.map(|ecn| {
                let count = bytes.of(ecn).map_or(0, |count| *count);
                count.wrapping_add(initial(ecn)) & COUNTER
            }),
            len: 3,
            e1_first: true,
        }
    }

    /// Reads the body of an option of kind 172, or, `e1_first`, 174. What is no whole counter is
    /// ignored.
    pub fn parse(body: &[u8], e1_first: bool) -> Self {
        let mut option = Self {
            fields: [0; 3],
            len: (body.len() / 3).min(3) as u8,
            e1_first,
        };
        for (slot, field) in option.fields.iter_mut().zip(body.chunks_exact(3)) {
            if let &[a, b, c] = field {
                *slot = u32::from_be_bytes([0, a, b, c]);
            }
        }
        option
    }

    const fn order(e1_first: bool) -> [Ecn; 3] {
        if e1_first {
            [Ecn::Ect1, Ecn::Ce, Ecn::Ect0]
        } else {
            [Ecn::Ect0, Ecn::Ce, Ecn::Ect1]
        }
    }

    /// Whether the order is ECT(1), CE, ECT(0) (kind 174) and not the reverse (172).
    pub fn e1_first(&self) -> bool {
        self.e1_first
    }

    /// Number of counters, 0 to 3.
    pub fn len(&self) -> u8 {
        self.len
    }

    /// Whether it has no counter.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The first `n` counters.
    pub fn truncated(mut self, n: u8) -> Self {
        self.len = self.len.min(n);
        for field in self.fields.iter_mut().skip(usize::from(self.len)) {
            *field = 0;
        }
        self
    }

    /// The counter at a place, as on the wire.
    pub fn raw(&self, at: usize) -> Option<u32> {
        self.fields
            .get(..usize::from(self.len))
            .and_then(|fields| fields.get(at))
            .copied()
    }

    /// The counters in their order, each with what it counts; 24 bits, without what they start
    /// from.
    pub fn counters(&self) -> impl Iterator<Item = (Ecn, u32)> {
        let fields = self.fields.into_iter().take(usize::from(self.len));
        let counted = |(ecn, raw): (Ecn, u32)| (ecn, raw.wrapping_sub(initial(ecn)) & COUNTER);
        Self::order(self.e1_first)
            .into_iter()
            .zip(fields)
            .map(counted)
    }

    /// How far a 24-bit counter has moved from what is known of it: half of its range at most, in
    /// either direction (RFC 9768 A.1).
    pub fn movement(known: u32, counted: u32) -> i32 {
        let delta = counted.wrapping_sub(known) & COUNTER;
        (delta << 8) as i32 >> 8
    }

    /// How many counters the option must have to tell of `ecn` in Linux's order.
    pub(super) const fn needed(ecn: Ecn) -> u8 {
        match ecn {
            Ecn::NotEct => 0,
            Ecn::Ect1 => 1,
            Ecn::Ce => 2,
            Ecn::Ect0 => 3,
        }
    }
}

/// What may explain how the peer's counter of marked segments moved since its last option.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct SinceOption {
    /// There was one that told of marked bytes.
    any: bool,
    /// The counter moved.
    marked: bool,
    /// Segments delivered.
    segments: u8,
    /// Others that may have come since: acknowledgments, and what was sent again.
    others: u8,
    /// SND.NXT when the last of these was sent.
    others_sent: SeqNumber,
}

packed!(struct SinceOption { any, marked, segments, others, others_sent });

impl SinceOption {
    /// A segment goes out; `sent` is SND.NXT.
    pub(super) fn on_sent(&mut self, out: &Transmit, sent: SeqNumber) {
        if out.retransmission {
            // It may come twice, and in how many segments nobody knows.
            self.others = u8::MAX;
        } else if out.len == 0 {
            self.others = self.others.saturating_add(1);
        } else {
            return;
        }
        self.others_sent = sent;
    }

    /// An acknowledgment has delivered so many segments, and the counter of marked ones has moved
    /// or not.
    pub(super) fn on_delivered(&mut self, segments: u32, moved: bool) {
        self.marked |= moved;
        let segments = u8::try_from(segments).unwrap_or(u8::MAX);
        self.segments = self.segments.saturating_add(segments);
    }

    /// Whether an option, if `seg` has one, shows that the peer's feedback does not arrive as it was
    /// sent: there are more marked bytes, but no more marked segments, whose counter cannot have
    /// wrapped (RFC 9768 3.2.3.2.5).
    pub(super) fn contradicts(&mut self, seg: &Segment, more: bool) -> bool {
        if seg.options.accecn.is_none_or(|option| option.len() < 2) {
            return false;
        }
        // What has come behind a gap need not all be told of.
        let exact = self.any && seg.options.sack.is_empty();
        let certain = exact && self.segments.saturating_add(self.others) < WRAP;
        let contradicts = certain && more && !self.marked;
        // What was sent behind the others has come, and so have they.
        let past = seg.ack.after(self.others_sent);
        *self = Self {
            any: true,
            others: if past { 0 } else { self.others },
            others_sent: self.others_sent,
            ..Self::default()
        };
        contradicts
    }
}

impl Options {
    /// Bytes that all but the Accurate ECN option take.
    fn len_without_accecn(&self) -> usize {
        let fixed = self.len_without_sack();
        match self.sack.len() {
            0 => fixed,
            blocks => fixed.saturating_add(4 + 8 * usize::from(blocks)),
        }
    }

    fn len_without_sack(&self) -> usize {
        let mss = self.mss.map_or(0usize, |_| 4);
        let scale = self.window_scale.map_or(0, |_| 4);
        let rest = match (self.timestamps, self.sack_permitted) {
            (Some(_), _) => 12,
            (None, true) => 4,
            (None, false) => 0,
        };
        let cookie = self.fast_open.map_or(0, |cookie| cookie.option_len());
        mss.saturating_add(scale)
            .saturating_add(rest)
            .saturating_add(cookie)
    }

    /// Adds a Fast Open cookie. An Accurate ECN option that is there gives way as far as it must, as
    /// in Linux.
    pub fn add_fast_open(&mut self, cookie: Cookie) {
        let full = self.accecn.take();
        let room = SPACE.saturating_sub(self.len_without_accecn());
        if cookie.option_len() <= room {
            self.fast_open = Some(cookie);
        }
        if let Some(full) = full {
            self.fit_accecn(full, 0);
        }
    }

    /// Adds `full`, an Accurate ECN option, with as many of its counters as fit beside the other
    /// options, if at least `required` do; for these a third or fourth SACK block gives way. What
    /// pads another option may serve for a part of it. Returns whether it was added.
    ///
    /// The choice is Linux's, so that a segment looks like one of its.
    pub(super) fn fit_accecn(&mut self, full: AccEcnOption, required: u8) -> bool {
        let mut fitting = *self;
        let room_for_sack = SPACE.saturating_sub(self.len_without_sack().saturating_add(4)) / 8;
        fitting.sack = self.sack.truncated(room_for_sack.min(4) as u8);
        let padding = match (self.timestamps, self.sack_permitted, self.window_scale) {
            _ if !fitting.sack.is_empty() => 2,
            (None, true, _) => 2,
            (_, _, Some(_)) => 1,
            _ => 0,
        };
        loop {
            let room = SPACE.saturating_sub(fitting.len_without_accecn());
            let mut fields = [3u8, 2, 1, 0].into_iter().filter(|n| *n >= required);
            let fields = fields.find(|n| size(*n, padding) <= room);
            if let Some(fields) = fields {
                fitting.accecn = Some(full.truncated(fields));
                *self = fitting;
                return true;
            }
            let blocks = fitting.sack.len();
            if required == 0 || blocks <= BLOCKS_KEPT {
                return false;
            }
            fitting.sack = fitting.sack.truncated(blocks - 1);
        }
    }
}

/// Bytes that an option of so many counters takes of the option space, a multiple of four, when
/// `padding` bytes of it can take the place of another option's padding.
fn size(fields: u8, padding: usize) -> usize {
    let len = 2 + 3 * usize::from(fields);
    let beyond = len % 4;
    if beyond > padding {
        len.next_multiple_of(4)
    } else {
        len - beyond
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::{SackBlocks, SeqRange, Timestamps};
    use super::super::seq::SeqNumber;
    use super::*;

    const BYTES: EcnBytes = EcnBytes {
        ect1: 0x01_0203,
        ect0: 0x04_0506,
        ce: 0x07_0809,
    };
    const STAMPS: Option<Timestamps> = Some(Timestamps { val: 1, ecr: 2 });

    fn blocks(n: u32) -> SackBlocks {
        let mut sack = SackBlocks::NONE;
        for i in 0..n {
            sack.push(SeqRange {
                start: SeqNumber(i * 10),
                end: SeqNumber(i * 10 + 5),
            });
        }
        sack
    }

    fn written(options: &Options) -> Vec<u8> {
        let mut buf = [0xee; 40];
        let len = options.write(&mut buf);
        assert_eq!(len % 4, 0);
        buf[..len].to_vec()
    }

    #[test]
    fn counters_start_from_one_one_and_zero() {
        let option = AccEcnOption::new(&EcnBytes::default());
        assert_eq!(
            [0, 1, 2].map(|at| option.raw(at)),
            [Some(1), Some(0), Some(1)]
        );
        assert!(option.counters().all(|(_, count)| count == 0));
    }

    #[test]
    fn both_orders_are_read() {
        let body = [0, 0, 1, 0, 0, 2, 0, 0, 4];
        let e0_first: Vec<_> = AccEcnOption::parse(&body, false).counters().collect();
        assert_eq!(e0_first, [(Ecn::Ect0, 0), (Ecn::Ce, 2), (Ecn::Ect1, 3)]);
        let e1_first: Vec<_> = AccEcnOption::parse(&body, true).counters().collect();
        assert_eq!(e1_first, [(Ecn::Ect1, 0), (Ecn::Ce, 2), (Ecn::Ect0, 3)]);
    }

    #[test]
    fn a_body_of_any_length_is_read_as_far_as_it_has_whole_counters() {
        for len in 0..20 {
            let body = vec![9; len];
            let option = AccEcnOption::parse(&body, true);
            assert_eq!(usize::from(option.len()), (len / 3).min(3));
            assert_eq!(option.counters().count(), usize::from(option.len()));
            assert_eq!(option.raw(usize::from(option.len())), None);
        }
    }

    #[test]
    fn a_counter_moves_the_shorter_way_round() {
        for (known, counted, moved) in [
            (0, 0, 0),
            (0, 1, 1),
            (1, 0, -1),
            (0xff_ffff, 0, 1),
            (0, 0xff_ffff, -1),
            (0x1ff_fffe, 1, 3),
            (0, 0x7f_ffff, 0x7f_ffff),
            (0, 0x80_0000, -0x80_0000),
        ] {
            assert_eq!(
                AccEcnOption::movement(known, counted),
                moved,
                "{known:x} {counted:x}"
            );
        }
    }

    #[test]
    fn every_length_is_read_as_it_was_written_beside_any_other_options() {
        let full = AccEcnOption::new(&BYTES);
        for n in 0..=3 {
            for timestamps in [None, STAMPS] {
                for window_scale in [None, Some(7)] {
                    for sack_permitted in [false, true] {
                        for sack in [0, 1] {
                            let options = Options {
                                window_scale,
                                sack_permitted,
                                timestamps,
                                sack: blocks(sack),
                                accecn: Some(full.truncated(n)),
                                ..Options::default()
                            };
                            let bytes = written(&options);
                            let read = Options::parse(&bytes);
                            let option = read.accecn.map(|o| o.counters().collect::<Vec<_>>());
                            let wrote = full.truncated(n).counters().collect::<Vec<_>>();
                            assert_eq!(option, Some(wrote), "{options:?} {bytes:?}");
                            assert_eq!(read.sack, options.sack);
                            assert_eq!(read.timestamps, timestamps);
                            assert_eq!(read.window_scale, window_scale);
                            assert_eq!(read.sack_permitted, sack_permitted);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_syn_ack_looks_as_linux_writes_it() {
        let mut options = Options {
            mss: Some(1460),
            window_scale: Some(8),
            sack_permitted: true,
            ..Options::default()
        };
        assert!(options.fit_accecn(AccEcnOption::new(&EcnBytes::default()), 0));
        let linux = [
            2, 4, 5, 180, 174, 11, 0, 0, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 4, 2, 1, 3, 3, 8,
        ];
        assert_eq!(written(&options), linux);
    }

    #[test]
    fn a_syn_ack_with_timestamps_looks_as_linux_writes_it() {
        let mut options = Options {
            mss: Some(1460),
            window_scale: Some(8),
            sack_permitted: true,
            timestamps: STAMPS,
            ..Options::default()
        };
        assert!(options.fit_accecn(AccEcnOption::new(&EcnBytes::default()), 0));
        let linux = [
            2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 174, 11, 0, 0, 1, 0, 0, 0, 0, 0, 1,
            1, 1, 3, 3, 8,
        ];
        assert_eq!(written(&options), linux);
    }

    #[test]
    fn a_cookie_comes_before_the_option() {
        let mut options = Options {
            mss: Some(1460),
            window_scale: Some(8),
            sack_permitted: true,
            timestamps: STAMPS,
            ..Options::default()
        };
        assert!(options.fit_accecn(AccEcnOption::new(&EcnBytes::default()), 0));
        options.add_fast_open(Cookie::from_hash(0x0807_0605_0403_0201));
        let linux = [
            2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 174, 8, 0, 0, 1, 0, 0, 0, 1, 3, 3,
            8, 34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1,
        ];
        assert_eq!(written(&options), linux);
    }

    #[test]
    fn a_cookie_of_any_length_is_written_beside_what_is_left_of_the_option() {
        let full = AccEcnOption::new(&BYTES);
        for len in [0, 4, 6, 8, 10, 12, 14, 16] {
            let cookie = Cookie::new(&[7; 16][..len]).expect("a cookie");
            for cookie in [cookie, cookie.experimental()] {
                for timestamps in [None, STAMPS] {
                    for window_scale in [None, Some(7)] {
                        for sack_permitted in [false, true] {
                            let mut options = Options {
                                mss: Some(1460),
                                window_scale,
                                sack_permitted,
                                timestamps,
                                ..Options::default()
                            };
                            let without = options;
                            assert!(options.fit_accecn(full, 0));
                            options.add_fast_open(cookie);
                            let bytes = written(&options);
                            let read = Options::parse(&bytes);
                            assert_eq!(read, options, "{bytes:?}");
                            assert_eq!(read.fast_open, Some(cookie));
                            let mut before = without;
                            before.fast_open = Some(cookie);
                            before.fit_accecn(full, 0);
                            assert_eq!(options, before);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_rest_of_the_option_takes_the_place_of_padding() {
        let full = AccEcnOption::new(&BYTES);
        let one = Options {
            window_scale: Some(8),
            accecn: Some(full.truncated(1)),
            ..Options::default()
        };
        assert_eq!(written(&one), [174, 5, 1, 2, 4, 3, 3, 8]);
        let none = Options {
            sack_permitted: true,
            accecn: Some(full.truncated(0)),
            ..Options::default()
        };
        assert_eq!(written(&none), [174, 2, 4, 2]);
        let alone = Options {
            accecn: Some(full.truncated(0)),
            ..Options::default()
        };
        assert_eq!(written(&alone), [174, 2, 1, 1]);
    }

    /// What fits beside so many SACK blocks: blocks and counters that remain.
    fn fit(timestamps: bool, sack: u32, required: u8) -> (u8, Option<u8>) {
        let mut options = Options {
            timestamps: STAMPS.filter(|_| timestamps),
            sack: blocks(sack),
            ..Options::default()
        };
        let before = options;
        let added = options.fit_accecn(AccEcnOption::new(&BYTES), required);
        assert!(added || options == before);
        let bytes = written(&options);
        assert!(bytes.len() <= 40);
        let read = Options::parse(&bytes);
        (read.sack.len(), read.accecn.map(|o| o.len()))
    }

    #[test]
    fn beside_sack_blocks_fewer_counters_fit() {
        assert_eq!(fit(false, 0, 0), (0, Some(3)));
        assert_eq!(fit(false, 3, 0), (3, Some(3)));
        assert_eq!(fit(false, 4, 0), (4, Some(1)));
        assert_eq!(fit(true, 1, 0), (1, Some(3)));
        assert_eq!(fit(true, 2, 0), (2, Some(2)));
        assert_eq!(fit(true, 3, 0), (3, Some(0)));
    }

    #[test]
    fn a_third_block_gives_way_to_what_must_be_told() {
        assert_eq!(fit(true, 3, 1), (2, Some(2)));
        assert_eq!(fit(true, 3, 2), (2, Some(2)));
        assert_eq!(fit(false, 4, 2), (3, Some(3)));
    }

    #[test]
    fn two_blocks_stay_whatever_must_be_told() {
        assert_eq!(fit(true, 2, 3), (2, None));
        assert_eq!(fit(true, 3, 3), (3, None));
    }
}
