// SPDX-License-Identifier: GPL-2.0

//! The state of a connection in few bytes.
//!
//! Most of what a connection knows says nothing while nobody sends: counters that are zero, times
//! that are one and the same, sequence numbers that stand where SND.UNA or RCV.NXT does. What is
//! packed is each field's difference from what it usually is, in a form that takes one bit if there
//! is none. Nothing is left out: what is unpacked is equal to what was packed.

use super::seq::SeqNumber;
use super::time::{Duration, Instant};

/// Something that can be packed. The same walk over the fields packs and unpacks them: a [`Packer`]
/// that packs leaves each as it is, one that unpacks sets it.
pub trait Pack {
    /// Hands each field to `by`.
    fn pack<P: Packer>(&mut self, by: &mut P);
}

/// Packs `value` into `room`; the bytes that took, or `None` if they are more than there is room for.
pub fn pack(value: &mut impl Pack, room: &mut [u8]) -> Option<usize> {
    let mut by = Writer {
        room,
        at: 0,
        flags_at: 0,
        next_flag: 0,
        last: Last::default(),
        failed: false,
    };
    value.pack(&mut by);
    (!by.failed).then_some(by.at)
}

/// Sets `value` to what [`pack`] made `bytes` of; returns whether they could be read.
pub fn unpack(value: &mut impl Pack, bytes: &[u8]) -> bool {
    let mut by = Reader {
        bytes,
        flags: 0,
        flags_left: 0,
        last: Last::default(),
        failed: false,
    };
    value.pack(&mut by);
    !by.failed
}

/// The last point of time, and the last sequence number: the next is usually the same.
#[derive(Default)]
pub struct Last {
    instant: Instant,
    seq: SeqNumber,
}

/// What packs or unpacks.
pub trait Packer: Sized {
    /// Fields are being set.
    const UNPACKS: bool;

    /// One bit: `value` itself, or what is read.
    fn flag(&mut self, value: bool) -> bool;

    /// One byte: `value` itself, or what is read.
    fn byte(&mut self, value: u8) -> u8;

    /// What the next values are near to.
    fn last(&mut self) -> &mut Last;

    /// What is read cannot have been packed.
    fn fail(&mut self);

    /// A field that usually equals `usual`.
    #[inline]
    fn like<T: Pack + PartialEq + Copy>(&mut self, field: &mut T, usual: &T) {
        if self.flag(*field != *usual) {
            field.pack(self);
        } else {
            *field = *usual;
        }
    }

    /// A number that is not zero: `value` itself, or what is read. Seven bits to a byte, the lowest
    /// first.
    #[inline(never)]
    fn number(&mut self, value: u64) -> u64 {
        let mut rest = value;
        let mut read = 0u64;
        for shift in (0..u64::BITS).step_by(7) {
            let low = (rest & 0x7f) as u8;
            rest >>= 7;
            let byte = self.byte(if rest == 0 { low } else { low | 0x80 });
            read |= u64::from(byte & 0x7f).wrapping_shl(shift);
            if byte & 0x80 == 0 {
                break;
            }
        }
        read
    }

    /// A difference that is usually zero, and else small, either way.
    #[inline]
    fn difference(&mut self, value: i64) -> i64 {
        if !self.flag(value != 0) {
            return 0;
        }
        let folded = (value.wrapping_shl(1) ^ (value >> 63)) as u64;
        let read = self.number(folded);
        (read >> 1) as i64 ^ ((read & 1) as i64).wrapping_neg()
    }
}

struct Writer<'a> {
    room: &'a mut [u8],
    /// Where the next byte is.
    at: usize,
    /// Where the byte is of which each bit says whether a field is as usual, and which bit is next.
    flags_at: usize,
    next_flag: u8,
    last: Last,
    failed: bool,
}

impl Packer for Writer<'_> {
    const UNPACKS: bool = false;

    #[inline]
    fn flag(&mut self, value: bool) -> bool {
        if self.next_flag == 0 {
            self.next_flag = 1;
            self.flags_at = self.at;
            self.byte(0);
        }
        if let (Some(flags), true) = (self.room.get_mut(self.flags_at), value) {
            *flags |= self.next_flag;
        }
        self.next_flag <<= 1;
        value
    }

    fn byte(&mut self, value: u8) -> u8 {
        match self.room.get_mut(self.at) {
            Some(byte) => *byte = value,
            None => self.failed = true,
        }
        self.at = self.at.saturating_add(1);
        value
    }

    #[inline]
    fn last(&mut self) -> &mut Last {
        &mut self.last
    }

    fn fail(&mut self) {
        self.failed = true;
    }
}

struct Reader<'a> {
    /// What is not read yet.
    bytes: &'a [u8],
    /// The flags of the next fields, and how many they are.
    flags: u8,
    flags_left: u8,
    last: Last,
    failed: bool,
}

impl Packer for Reader<'_> {
    const UNPACKS: bool = true;

    #[inline]
    fn flag(&mut self, _: bool) -> bool {
        if self.flags_left == 0 {
            self.flags_left = 8;
            self.flags = self.byte(0);
        }
        self.flags_left = self.flags_left.saturating_sub(1);
        let value = self.flags & 1 != 0;
        self.flags >>= 1;
        value
    }

    fn byte(&mut self, _: u8) -> u8 {
        let Some((byte, rest)) = self.bytes.split_first() else {
            self.failed = true;
            return 0;
        };
        self.bytes = rest;
        *byte
    }

    #[inline]
    fn last(&mut self) -> &mut Last {
        &mut self.last
    }

    fn fail(&mut self) {
        self.failed = true;
    }
}

impl Pack for bool {
    #[inline]
    fn pack<P: Packer>(&mut self, by: &mut P) {
        *self = by.flag(*self);
    }
}

/// Numbers are small, or close below the largest of their type.
macro_rules! pack_number {
    ($($unsigned:ty as $signed:ty),*) => {
        $(impl Pack for $unsigned {
            #[inline]
            fn pack<P: Packer>(&mut self, by: &mut P) {
                let value = i64::from(*self as $signed);
                *self = by.difference(value) as $unsigned;
            }
        })*
    };
}

pack_number!(u8 as i8, u16 as i16, u32 as i32, u64 as i64);

impl Pack for i32 {
    #[inline]
    fn pack<P: Packer>(&mut self, by: &mut P) {
        let mut bits = *self as u32;
        bits.pack(by);
        *self = bits as i32;
    }
}

impl Pack for SeqNumber {
    #[inline]
    fn pack<P: Packer>(&mut self, by: &mut P) {
        let near = by.last().seq.0;
        let mut far = self.0.wrapping_sub(near);
        far.pack(by);
        *self = SeqNumber(near.wrapping_add(far));
        by.last().seq = *self;
    }
}

impl Pack for Instant {
    #[inline]
    fn pack<P: Packer>(&mut self, by: &mut P) {
        let near = by.last().instant.us();
        let mut far = self.us().wrapping_sub(near);
        far.pack(by);
        *self = Self::from_us(near.wrapping_add(far));
        by.last().instant = *self;
    }
}

impl Pack for Duration {
    #[inline]
    fn pack<P: Packer>(&mut self, by: &mut P) {
        let mut us = self.us();
        us.pack(by);
        *self = Self::from_us(us);
    }
}

impl<T: Pack + Default> Pack for Option<T> {
    #[inline]
    fn pack<P: Packer>(&mut self, by: &mut P) {
        if !by.flag(self.is_some()) {
            *self = None;
            return;
        }
        self.get_or_insert_default().pack(by);
    }
}

impl<T: Pack, const N: usize> Pack for [T; N] {
    #[inline]
    fn pack<P: Packer>(&mut self, by: &mut P) {
        for item in self {
            item.pack(by);
        }
    }
}

impl<A: Pack, B: Pack> Pack for (A, B) {
    #[inline]
    fn pack<P: Packer>(&mut self, by: &mut P) {
        self.0.pack(by);
        self.1.pack(by);
    }
}

impl<A: Pack, B: Pack, C: Pack> Pack for (A, B, C) {
    #[inline]
    fn pack<P: Packer>(&mut self, by: &mut P) {
        self.0.pack(by);
        self.1.pack(by);
        self.2.pack(by);
    }
}

/// Packs a structure field by field, in the order given, and none forgotten, as they are or `like`
/// those of another that they usually equal; or an enum by the number of its variant, and that one's
/// fields, which need a default to be made from.
macro_rules! packed {
    (struct $name:ident like $usual:expr, { $($field:ident),* $(,)? }) => {
        impl $crate::tcp::pack::Pack for $name {
            fn pack<P: $crate::tcp::pack::Packer>(&mut self, by: &mut P) {
                let Self { $($field),* } = self;
                let usual = $usual;
                $(by.like($field, &usual.$field);)*
            }
        }
    };
    (struct $name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::tcp::pack::Pack for $name {
            fn pack<P: $crate::tcp::pack::Packer>(&mut self, by: &mut P) {
                let Self { $($field),* } = self;
                $($crate::tcp::pack::Pack::pack($field, by);)*
            }
        }
    };
    (enum $name:ident {
        $($number:literal => $variant:ident $({ $($field:ident),* })? $(($inner:ident))?),* $(,)?
    }) => {
        impl $crate::tcp::pack::Pack for $name {
            fn pack<P: $crate::tcp::pack::Packer>(&mut self, by: &mut P) {
                let mut number: u8 = match self {
                    $(Self::$variant { .. } => $number,)*
                };
                $crate::tcp::pack::Pack::pack(&mut number, by);
                if P::UNPACKS {
                    *self = match number {
                        $($number => Self::$variant
                            $({ $($field: Default::default()),* })?
                            $(({ let $inner = Default::default(); $inner }))?,)*
                        _ => return by.fail(),
                    };
                }
                match self {
                    $(Self::$variant $({ $($field),* })? $(($inner))? => {
                        $($($crate::tcp::pack::Pack::pack($field, by);)*)?
                        $($crate::tcp::pack::Pack::pack($inner, by);)?
                    })*
                }
            }
        }
    };
}

pub(crate) use packed;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Copy, PartialEq, Debug, Default)]
    enum Kind {
        #[default]
        Plain,
        At {
            when: Instant,
        },
        Of(u32),
    }

    packed!(enum Kind { 0 => Plain, 1 => At { when }, 2 => Of(number) });

    #[derive(Clone, Copy, PartialEq, Debug, Default)]
    struct All {
        flag: bool,
        small: u8,
        port: u16,
        bytes: u32,
        total: u64,
        seq: SeqNumber,
        then: Instant,
        span: Duration,
        maybe: Option<(SeqNumber, u16)>,
        kinds: [Kind; 3],
        more: [bool; 9],
    }

    packed!(struct All { flag, small, port, bytes, total, seq, then, span, maybe, kinds, more });

    fn round_trip(mut value: All, room: usize) -> Option<All> {
        let mut bytes = [0xff; 256];
        let len = pack(&mut value, bytes.get_mut(..room)?)?;
        let mut back = All::default();
        assert!(unpack(&mut back, &bytes[..len]));
        Some(back)
    }

    fn kind() -> impl Strategy<Value = Kind> {
        prop_oneof![
            Just(Kind::Plain),
            any::<u64>().prop_map(|us| Kind::At {
                when: Instant::from_us(us)
            }),
            any::<u32>().prop_map(Kind::Of),
        ]
    }

    proptest! {
        #[test]
        fn what_is_unpacked_is_what_was_packed(
            flag: bool, small: u8, port: u16, bytes: u32, total: u64, seq: u32, then: u64, span: u64,
            maybe: Option<(u32, u16)>, kinds in [kind(), kind(), kind()], more: [bool; 9],
        ) {
            let value = All {
                flag, small, port, bytes, total, kinds, more,
                seq: SeqNumber(seq),
                then: Instant::from_us(then),
                span: Duration::from_us(span),
                maybe: maybe.map(|(seq, n)| (SeqNumber(seq), n)),
            };
            prop_assert_eq!(round_trip(value, 256), Some(value));
        }

        #[test]
        fn anything_can_be_unpacked(bytes: Vec<u8>) {
            unpack(&mut All::default(), &bytes);
        }
    }

    #[test]
    fn what_is_as_usual_takes_a_bit() {
        let mut bytes = [0; 16];
        // 11 fields, of which the kinds are three and the last nine.
        assert_eq!(pack(&mut All::default(), &mut bytes), Some(3));
        let largest = All {
            small: u8::MAX,
            bytes: u32::MAX,
            total: u64::MAX,
            ..All::default()
        };
        assert_eq!(pack(&mut largest.clone(), &mut bytes), Some(3 + 3));
    }

    #[test]
    fn times_and_numbers_that_are_the_same_are_told_once() {
        let mut two = (
            (SeqNumber(0x1234_5678), SeqNumber(0x1234_5678)),
            (Instant::from_us(1 << 40), Instant::from_us(1 << 40)),
        );
        assert_eq!(pack(&mut two, &mut [0; 16]), Some(1 + 5 + 6));
    }

    #[test]
    fn too_little_room_is_said() {
        let value = All {
            bytes: 5000,
            ..All::default()
        };
        assert_eq!(round_trip(value, 4), None);
        assert_eq!(round_trip(value, 5), Some(value));
    }

    #[test]
    fn bytes_that_end_too_early_or_name_no_variant_are_refused() {
        let mut value = All {
            bytes: 5000,
            ..All::default()
        };
        let mut bytes = [0; 16];
        let len = pack(&mut value, &mut bytes).unwrap();
        for end in 0..len {
            assert!(!unpack(&mut All::default(), &bytes[..end]), "{end}");
        }
        let len = pack(&mut 3u8, &mut bytes).unwrap();
        assert!(!unpack(&mut Kind::default(), &bytes[..len]));
    }
}
