// SPDX-License-Identifier: GPL-2.0

//! Whether the congestion window is what holds the sender back (RFC 7661 4.5.3), as Linux tells: a
//! window that was full once is taken for full until what was sent then is acknowledged.

use super::pipe_ack::PipeAck;
use super::window::whole;
use crate::tcp::pack::packed;
use crate::tcp::seq::SeqNumber;

/// How the window was used of late.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usage {
    /// It was full.
    full: bool,
    /// Most bytes outstanding.
    most: u32,
    /// Until this is acknowledged, `full` and `most` hold.
    edge: SeqNumber,
    /// Something was sent that was not yet looked at.
    touched: bool,
    /// Text waits for more room in the window, though there is some.
    held_back: bool,
    /// How much of it the path is known to carry.
    pub pipe_ack: PipeAck,
}

packed!(struct Usage { full, most, edge, touched, held_back, pipe_ack });

impl Usage {
    /// Nothing was sent.
    pub fn new(iss: SeqNumber) -> Self {
        Self {
            full: false,
            most: 0,
            edge: iss,
            touched: false,
            held_back: false,
            pipe_ack: PipeAck::new(iss),
        }
    }

    /// Text waits for more room than the window has, which is as good as full for it.
    pub fn hold_back(&mut self) {
        self.held_back = true;
    }

    /// Whether that was so since this was last asked.
    pub fn take_held_back(&mut self) -> bool {
        core::mem::take(&mut self.held_back)
    }

    /// New text is sent; more may follow at once, and only then it shows how full the window is.
    pub fn touch(&mut self) {
        self.touched = true;
    }

    /// Whether anything was sent since this was last asked.
    pub fn take_touched(&mut self) -> bool {
        core::mem::take(&mut self.touched)
    }

    /// Something was sent, or could not be since the window was `full`; `outstanding` bytes are sent
    /// and not acknowledged, between `snd_una` and `snd_nxt`.
    pub fn sent(
        &mut self,
        full: bool,
        outstanding: u32,
        (snd_una, snd_nxt): (SeqNumber, SeqNumber),
    ) {
        let over = snd_una.at_or_after(self.edge);
        if over || full || (!self.full && outstanding > self.most) {
            self.full = full;
            self.most = outstanding;
            self.edge = snd_nxt;
        }
    }

    /// Whether a window of `cwnd` bytes may grow: it was full, or in slow start half full, and is
    /// known to be carried (RFC 7661 4.4).
    pub fn is_limited(&self, cwnd: u32, ssthresh: u32) -> bool {
        self.full
            || (cwnd < ssthresh
                && cwnd < self.most.saturating_mul(2)
                && self.pipe_ack.is_validated())
    }

    /// By how many bytes such a window can grow until it is twice what was used, if it was not full:
    /// wider it would not be validated (RFC 7661 4.3). Whole segments.
    pub fn growth(&self, cwnd: u32, mss: u32) -> Option<u32> {
        let most = self.most.saturating_mul(2).saturating_sub(cwnd);
        (!self.full).then_some(whole(most, mss))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::time::{Duration, Instant};

    const MSS: u32 = 1000;
    const AVOIDANCE: (u32, u32) = (10 * MSS, 5 * MSS);
    const SLOW_START: (u32, u32) = (10 * MSS, u32::MAX);

    fn at(ms: u64) -> Instant {
        Instant::from_us(ms * 1000)
    }

    fn seqs(una: u32, nxt: u32) -> (SeqNumber, SeqNumber) {
        (SeqNumber(una * MSS), SeqNumber(nxt * MSS))
    }

    fn new() -> Usage {
        Usage::new(SeqNumber(0))
    }

    #[test]
    fn a_full_window_is_limited_until_its_end_is_acknowledged() {
        let mut usage = new();
        usage.sent(true, 10 * MSS, seqs(0, 10));
        usage.sent(false, 4 * MSS, seqs(7, 11));
        assert!(usage.is_limited(10 * MSS, 5 * MSS));
        usage.sent(false, 2 * MSS, seqs(10, 12));
        assert!(!usage.is_limited(10 * MSS, 5 * MSS));
    }

    #[test]
    fn in_slow_start_more_than_half_suffices() {
        for (used, limited) in [(4, false), (5, false), (6, true), (10, true)] {
            let mut usage = new();
            usage.sent(false, used * MSS, seqs(0, used));
            assert_eq!(
                usage.is_limited(SLOW_START.0, SLOW_START.1),
                limited,
                "{used}"
            );
            assert!(!usage.is_limited(AVOIDANCE.0, AVOIDANCE.1));
        }
    }

    #[test]
    fn the_most_of_a_window_counts() {
        let mut usage = new();
        usage.sent(false, 8 * MSS, seqs(0, 8));
        usage.sent(false, 3 * MSS, seqs(6, 9));
        assert!(usage.is_limited(SLOW_START.0, SLOW_START.1));
        usage.sent(false, 3 * MSS, seqs(9, 12));
        assert!(!usage.is_limited(SLOW_START.0, SLOW_START.1));
    }

    #[test]
    fn a_window_that_was_not_full_can_grow_to_twice_what_was_used() {
        for (full, used, growth) in [
            (true, 10, None),
            (false, 9, Some(8)),
            (false, 6, Some(2)),
            (false, 5, Some(0)),
            (false, 4, Some(0)),
        ] {
            let mut usage = new();
            usage.sent(full, used * MSS + 1, seqs(0, used));
            let segments = usage.growth(SLOW_START.0, MSS).map(|bytes| bytes / MSS);
            assert_eq!(segments, growth, "{used}");
        }
    }

    #[test]
    fn a_window_that_the_path_is_not_known_to_carry_grows_only_when_it_is_full() {
        for (full, limited) in [(true, true), (false, false)] {
            let mut usage = new();
            usage.pipe_ack.sent(SeqNumber(0), SeqNumber(MSS));
            let srtt = Duration::from_ms(1);
            usage
                .pipe_ack
                .acknowledged(seqs(1, 1), SLOW_START.0, srtt, at(1));
            usage.sent(full, 8 * MSS, seqs(1, 9));
            assert_eq!(usage.is_limited(SLOW_START.0, SLOW_START.1), limited);
        }
    }

    #[test]
    fn numbers_may_wrap() {
        let start = SeqNumber(u32::MAX - 5 * MSS);
        let mut usage = Usage::new(start);
        usage.sent(true, 10 * MSS, (start, start + 10 * MSS));
        usage.sent(false, MSS, (start + 9 * MSS, start + 11 * MSS));
        assert!(usage.is_limited(AVOIDANCE.0, AVOIDANCE.1));
        usage.sent(false, MSS, (start + 10 * MSS, start + 11 * MSS));
        assert!(!usage.is_limited(AVOIDANCE.0, AVOIDANCE.1));
    }
}
