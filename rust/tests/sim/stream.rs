// SPDX-License-Identifier: GPL-2.0

//! What an application writes: bytes that anybody can reckon from their place.

/// A stream.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    key: u64,
}

impl Stream {
    /// That of side `side` of connection `flow`.
    pub fn new(seed: u64, flow: usize, side: usize) -> Self {
        let id = (flow as u64) * 2 + side as u64 + 1;
        Self {
            key: seed.wrapping_add(id.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        }
    }

    fn word(self, n: u64) -> [u8; 8] {
        let mixed = (n + 1).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ self.key;
        let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 29)).to_le_bytes()
    }

    /// `len` bytes from `at` on, in pieces.
    fn pieces(self, at: u64, len: usize, mut piece: impl FnMut(&[u8])) {
        let mut skip = (at % 8) as usize;
        let mut left = len;
        let mut n = at / 8;
        while left > 0 {
            let end = (skip + left).min(8);
            piece(&self.word(n)[skip..end]);
            left -= end - skip;
            skip = 0;
            n += 1;
        }
    }

    /// `len` bytes from `at` on, put behind what is in `to`.
    pub fn write<T: for<'a> Extend<&'a u8>>(self, at: u64, len: usize, to: &mut T) {
        self.pieces(at, len, |piece| to.extend(piece));
    }

    /// Whether `bytes` are the stream's from `at` on.
    pub fn is(self, at: u64, mut bytes: &[u8]) -> bool {
        let mut same = true;
        self.pieces(at, bytes.len(), |piece| {
            let (first, rest) = bytes.split_at(piece.len());
            same &= first == piece;
            bytes = rest;
        });
        same
    }
}
