// SPDX-License-Identifier: GPL-2.0

//! How large the buffers of a connection should be (dynamic right-sizing): enough that neither
//! holds back what the path could carry.

use super::pack::packed;
use super::tcb::Tcb;
use super::time::{Duration, Instant};

/// Memory that the kernel takes for a full segment of `mss` bytes of text, as Linux reckons
/// (`tcp_sndbuf_expand`), bytes.
fn segment_memory(mss: u32) -> u32 {
    mss.saturating_add(640)
        .checked_next_power_of_two()
        .unwrap_or(1 << 31)
        .saturating_add(256)
}

/// Send buffer for a congestion window of `cwnd` bytes: memory for two windows, so that the next
/// is there while one is in flight.
pub fn send_buffer(cwnd: u32, mss: u32) -> u32 {
    let segments = (cwnd / mss.max(1)).max(10);
    segments
        .saturating_mul(2)
        .saturating_mul(segment_memory(mss))
}

impl Tcb {
    /// Whether what the send buffer holds fills the congestion window: then a larger one would make
    /// nothing faster.
    pub fn fills_window(&self) -> bool {
        self.pipe().saturating_add(self.unsent()) >= self.cwnd()
    }
}

/// Watches how much the user reads in a round trip.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReceiveSpace {
    since: Instant,
    copied: u32,
    /// Most that was read in one round trip, bytes.
    space: u32,
}

packed!(struct ReceiveSpace { since, copied, space });

impl ReceiveSpace {
    /// A connection begins with a window of `window` bytes.
    pub fn new(window: u32, now: Instant) -> Self {
        Self {
            since: now,
            copied: 0,
            space: window,
        }
    }

    /// Most that was read in one round trip, bytes.
    pub fn space(&self) -> u32 {
        self.space
    }

    /// The user has read `bytes`. Once in a round trip of `rtt`: if more was read than ever before,
    /// the window (bytes) that would not hold the sender back, should it double its own, as in
    /// Linux (`tcp_rcv_space_adjust`).
    #[inline]
    pub fn on_read(&mut self, bytes: u32, mss: u32, rtt: Duration, now: Instant) -> Option<u32> {
        self.copied = self.copied.saturating_add(bytes);
        if now.since(self.since) < rtt.max(Duration::from_ms(1)) {
            return None;
        }
        self.on_round(mss, now)
    }

    /// A round trip is over.
    #[inline(never)]
    fn on_round(&mut self, mss: u32, now: Instant) -> Option<u32> {
        let copied = core::mem::take(&mut self.copied);
        self.since = now;
        if copied <= self.space {
            return None;
        }
        let grown = copied - self.space;
        let base = copied
            .saturating_mul(2)
            .saturating_add(mss.saturating_mul(16));
        let ratio = u64::from(base) * u64::from(grown) / u64::from(self.space.max(1));
        let boost = ratio.saturating_mul(2);
        self.space = copied;
        Some(base.saturating_add(u32::try_from(boost).unwrap_or(u32::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_send_buffer_follows_the_window() {
        assert_eq!(send_buffer(0, 1460), 87040);
        assert_eq!(send_buffer(14600, 1460), 87040);
        assert_eq!(send_buffer(146_000, 1460), 870_400);
        assert_eq!(send_buffer(u32::MAX, 0), u32::MAX);
    }

    #[test]
    fn the_window_grows_when_more_is_read_in_a_round_trip() {
        let rtt = Duration::from_ms(10);
        let mut space = ReceiveSpace::new(64000, Instant::from_us(0));
        assert_eq!(
            space.on_read(64000, 1460, rtt, Instant::from_us(5_000)),
            None
        );
        let wanted = space.on_read(64000, 1460, rtt, Instant::from_us(10_000));
        assert!(wanted.is_some_and(|w| w >= 2 * 128_000));
        assert_eq!(
            space.on_read(128_000, 1460, rtt, Instant::from_us(20_000)),
            None
        );
    }

    #[test]
    fn nothing_overflows() {
        let mut space = ReceiveSpace::new(0, Instant::from_us(0));
        let wanted = space.on_read(
            u32::MAX,
            u32::MAX,
            Duration::ZERO,
            Instant::from_us(u64::MAX),
        );
        assert_eq!(wanted, Some(u32::MAX));
    }
}
