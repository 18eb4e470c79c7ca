// SPDX-License-Identifier: GPL-2.0

//! The receive buffer of skbs, as the protocol core sees it.

use super::Oxtcp;
use crate::net::{RecvBuffer, RxSkb};
use crate::tcp::options::{SackBlocks, SeqRange};
use crate::tcp::seq::SeqNumber;
use crate::tcp::{NoRoom, ReceiveQueue};

/// A socket's receive buffer, with the segment that is being processed.
pub(super) struct Rx<'a>(pub(super) RecvBuffer<'a, Oxtcp>);

impl Rx<'_> {
    /// The segment, if none of its text was kept.
    pub(super) fn take_segment(&mut self) -> Option<RxSkb> {
        self.0.take_segment()
    }
}

impl ReceiveQueue for Rx<'_> {
    fn store(
        &mut self,
        rcv_nxt: SeqNumber,
        seq: SeqNumber,
        skip: u32,
        len: u32,
    ) -> Result<SeqNumber, NoRoom> {
        self.0
            .store(rcv_nxt.0, seq.0, skip, len)
            .map(SeqNumber)
            .map_err(|_| NoRoom)
    }

    fn space(&self) -> u32 {
        self.0.space()
    }

    fn capacity(&self) -> u32 {
        self.0.capacity()
    }

    fn sack_blocks(&self) -> SackBlocks {
        let mut ranges = [(0, 0); 4];
        let count = self.0.sack_ranges(&mut ranges);
        let mut blocks = SackBlocks::NONE;
        for &(start, end) in ranges.iter().take(count) {
            blocks.push(SeqRange {
                start: SeqNumber(start),
                end: SeqNumber(end),
            });
        }
        blocks
    }
}
