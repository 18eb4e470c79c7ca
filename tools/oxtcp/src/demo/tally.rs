// SPDX-License-Identifier: GPL-2.0
//! What went over the link while segments were not drawn one by one.

use crate::diagram::Side;
use crate::observe::Segment;

/// What went over the link while segments were only counted.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Data {
    /// Segments of any kind.
    pub seen: u32,
    /// From client to server.
    pub to_server: Tally,
    /// From server to client.
    pub to_client: Tally,
}

/// Segments of one direction.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tally {
    /// With payload.
    pub segments: u32,
    /// Their payload, in bytes.
    pub bytes: u64,
    /// Of them, sent again.
    pub retransmitted: u32,
    /// Without payload.
    pub acks: u32,
}

impl Data {
    /// Adds a segment; `again` if it was sent before.
    pub fn count(&mut self, from: Side, segment: &Segment, again: bool) {
        let tally = match from {
            Side::Client => &mut self.to_server,
            Side::Server => &mut self.to_client,
        };
        self.seen += 1;
        if segment.len == 0 {
            tally.acks += 1;
            return;
        }
        tally.segments += 1;
        tally.bytes += u64::from(segment.len);
        tally.retransmitted += u32::from(again);
    }
}
