// SPDX-License-Identifier: GPL-2.0

//! Whether the congestion window is what holds the sender back (RFC 7661), as Linux tells: a window
//! that was full once is taken for full until what was sent then is acknowledged.

use crate::tcp::pack::packed;
use crate::tcp::seq::SeqNumber;
use crate::tcp::time::{Duration, Instant};

/// How the window was used of late.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Usage {
    /// It was full.
    full: bool,
    /// Most bytes outstanding.
    most: u32,
    /// Until this is acknowledged, `full` and `most` hold.
    edge: SeqNumber,
    /// Most bytes outstanding since `since`.
    used: u32,
    /// When the window was last seen to be needed.
    since: Instant,
    /// Something was sent that was not yet looked at.
    touched: bool,
    /// Text waits for more room in the window, though there is some.
    held_back: bool,
}

packed!(struct Usage { full, most, edge, used, since, touched, held_back });

impl Usage {
    /// Nothing was sent.
    pub fn new(iss: SeqNumber, now: Instant) -> Self {
        Self {
            full: false,
            most: 0,
            edge: iss,
            used: 0,
            since: now,
            touched: false,
            held_back: false,
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

    /// The window was made smaller since nothing was sent: its use is counted anew.
    pub fn restart(&mut self, now: Instant) {
        self.used = 0;
        self.since = now;
    }

    /// Something was sent, or could not be since the window was `full`; `outstanding` bytes are sent
    /// and not acknowledged, between `snd_una` and `snd_nxt`.
    pub fn sent(
        &mut self,
        full: bool,
        outstanding: u32,
        (snd_una, snd_nxt): (SeqNumber, SeqNumber),
        now: Instant,
    ) {
        let over = snd_una.at_or_after(self.edge);
        if over || full || (!self.full && outstanding > self.most) {
            self.full = full;
            self.most = outstanding;
            self.edge = snd_nxt;
        }
        if full {
            self.used = 0;
            self.since = now;
        } else {
            self.used = self.used.max(outstanding);
        }
    }

    /// Whether a window of `cwnd` bytes may grow: it was full, or in slow start half full.
    pub fn is_limited(&self, cwnd: u32, ssthresh: u32) -> bool {
        self.full || (cwnd < ssthresh && cwnd < self.most.saturating_mul(2))
    }

    /// How many bytes of the window were used, when it was not needed for `rto`; the time begins
    /// anew then. `cwnd` and `ssthresh` as for [`Usage::is_limited`].
    pub fn disused(
        &mut self,
        (cwnd, ssthresh): (u32, u32),
        rto: Duration,
        now: Instant,
    ) -> Option<u32> {
        if self.is_limited(cwnd, ssthresh) {
            self.used = 0;
            self.since = now;
            return None;
        }
        if now.since(self.since) < rto {
            return None;
        }
        self.since = now;
        Some(core::mem::take(&mut self.used))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u32 = 1000;
    const RTO: Duration = Duration::from_ms(200);
    const AVOIDANCE: (u32, u32) = (10 * MSS, 5 * MSS);
    const SLOW_START: (u32, u32) = (10 * MSS, u32::MAX);

    fn at(ms: u64) -> Instant {
        Instant::from_us(ms * 1000)
    }

    fn seqs(una: u32, nxt: u32) -> (SeqNumber, SeqNumber) {
        (SeqNumber(una * MSS), SeqNumber(nxt * MSS))
    }

    fn new() -> Usage {
        Usage::new(SeqNumber(0), at(0))
    }

    #[test]
    fn a_full_window_is_limited_until_its_end_is_acknowledged() {
        let mut usage = new();
        usage.sent(true, 10 * MSS, seqs(0, 10), at(0));
        usage.sent(false, 4 * MSS, seqs(7, 11), at(1));
        assert!(usage.is_limited(10 * MSS, 5 * MSS));
        usage.sent(false, 2 * MSS, seqs(10, 12), at(2));
        assert!(!usage.is_limited(10 * MSS, 5 * MSS));
    }

    #[test]
    fn in_slow_start_more_than_half_suffices() {
        for (used, limited) in [(4, false), (5, false), (6, true), (10, true)] {
            let mut usage = new();
            usage.sent(false, used * MSS, seqs(0, used), at(0));
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
        usage.sent(false, 8 * MSS, seqs(0, 8), at(0));
        usage.sent(false, 3 * MSS, seqs(6, 9), at(1));
        assert!(usage.is_limited(SLOW_START.0, SLOW_START.1));
        usage.sent(false, 3 * MSS, seqs(9, 12), at(2));
        assert!(!usage.is_limited(SLOW_START.0, SLOW_START.1));
    }

    #[test]
    fn a_window_not_needed_for_a_timeout_is_told_once() {
        let mut usage = new();
        usage.sent(false, 3 * MSS, seqs(0, 3), at(10));
        assert_eq!(usage.disused(AVOIDANCE, RTO, at(199)), None);
        assert_eq!(usage.disused(AVOIDANCE, RTO, at(200)), Some(3 * MSS));
        assert_eq!(usage.disused(AVOIDANCE, RTO, at(201)), None);
        assert_eq!(usage.disused(AVOIDANCE, RTO, at(400)), Some(0));
    }

    #[test]
    fn a_window_that_was_full_in_between_is_needed() {
        let mut usage = new();
        usage.sent(false, 3 * MSS, seqs(0, 3), at(0));
        usage.sent(true, 10 * MSS, seqs(0, 10), at(150));
        usage.sent(false, MSS, seqs(10, 11), at(300));
        assert_eq!(usage.disused(AVOIDANCE, RTO, at(349)), None);
        assert_eq!(usage.disused(AVOIDANCE, RTO, at(350)), Some(MSS));
    }

    #[test]
    fn numbers_may_wrap() {
        let start = SeqNumber(u32::MAX - 5 * MSS);
        let mut usage = Usage::new(start, at(0));
        usage.sent(true, 10 * MSS, (start, start + 10 * MSS), at(0));
        usage.sent(false, MSS, (start + 9 * MSS, start + 11 * MSS), at(1));
        assert!(usage.is_limited(AVOIDANCE.0, AVOIDANCE.1));
        usage.sent(false, MSS, (start + 10 * MSS, start + 11 * MSS), at(2));
        assert!(!usage.is_limited(AVOIDANCE.0, AVOIDANCE.1));
    }
}
