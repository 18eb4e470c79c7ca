// SPDX-License-Identifier: GPL-2.0

//! Proportional rate reduction (RFC 9937): the congestion window while it is being reduced. What is
//! sent is in proportion to what is delivered, so that the window is at the threshold when the
//! recovery ends, neither sending nothing for half a round trip nor a burst.

use super::pack::packed;

/// The reduction under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Prr {
    /// Bytes delivered since it began.
    delivered: u32,
    /// Bytes sent since it began.
    out: u32,
    /// Bytes in flight when it began (RFC 9937's RecoverFS).
    recover_fs: u32,
    /// The congestion window now.
    window: u32,
}

packed!(struct Prr { delivered, out, recover_fs, window });

/// What an acknowledgment says to a reduction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    /// Bytes it delivered.
    pub(super) delivered: u32,
    /// SND.UNA moved, and nothing more was found lost.
    pub(super) safe: bool,
    /// Bytes in the network.
    pub(super) pipe: u32,
    /// The threshold to come down to.
    pub(super) ssthresh: u32,
    pub(super) mss: u32,
}

impl Prr {
    /// A reduction begins, from the congestion window `window` with `recover_fs` bytes in flight,
    /// those that the acknowledgment delivered which begins it among them.
    pub(super) fn new(window: u32, recover_fs: u32) -> Self {
        Self {
            delivered: 0,
            out: 0,
            recover_fs: recover_fs.max(1),
            window,
        }
    }

    /// The congestion window, bytes.
    pub(super) fn window(&self) -> u32 {
        self.window
    }

    /// `bytes` were sent.
    pub(super) fn on_sent(&mut self, bytes: u32) {
        self.out = self.out.saturating_add(bytes);
    }

    /// `bytes` were not sent after all.
    pub(super) fn on_refused(&mut self, bytes: u32) {
        self.out = self.out.saturating_sub(bytes);
    }

    /// Something was acknowledged.
    pub(super) fn on_ack(&mut self, progress: &Progress) {
        let Progress {
            delivered,
            safe,
            pipe,
            ssthresh,
            mss,
        } = *progress;
        if delivered == 0 {
            return;
        }
        self.delivered = self.delivered.saturating_add(delivered);
        let send = if pipe > ssthresh {
            let share = u64::from(ssthresh) * u64::from(self.delivered);
            let share = share.div_ceil(u64::from(self.recover_fs.max(1)));
            let share = u32::try_from(share).unwrap_or(u32::MAX);
            whole_segments(share, mss).saturating_sub(self.out)
        } else {
            let all = whole_segments(self.delivered, mss);
            let conserve = all.saturating_sub(self.out).max(delivered);
            let grow = if safe { mss } else { 0 };
            conserve.saturating_add(grow).min(ssthresh - pipe)
        };
        // The first retransmission goes out whatever is in the network.
        let least = if self.out == 0 { mss } else { 0 };
        self.window = pipe.saturating_add(send.max(least));
    }
}

/// Segments are sent whole, so that of a part of one nothing would be: a part counts for one, as in
/// Linux, which counts segments. Since all of a reduction is counted at once, it is never more than
/// one segment too many.
fn whole_segments(bytes: u32, mss: u32) -> u32 {
    bytes.div_ceil(mss.max(1)).saturating_mul(mss)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MSS: u32 = 1000;

    fn progress(delivered: u32, pipe: u32, safe: bool) -> Progress {
        Progress {
            delivered,
            safe,
            pipe,
            ssthresh: 10 * MSS,
            mss: MSS,
        }
    }

    /// What counts is what was in flight, not the window: of 14 segments in one of 20, ten are to be
    /// left, and so five are sent for seven delivered.
    #[test]
    fn the_proportion_is_to_what_was_in_flight() {
        let mut prr = Prr::new(20 * MSS, 14 * MSS);
        prr.on_sent(MSS);
        prr.on_ack(&progress(7 * MSS, 12 * MSS, false));
        assert_eq!(prr.window(), (12 + 5 - 1) * MSS);
    }

    /// RFC 9937's first example: one loss of a window of 20, each of the others acknowledged.
    #[test]
    fn one_loss_sends_for_every_second_acknowledgment() {
        let mut prr = Prr::new(20 * MSS, 20 * MSS);
        let mut pipe = 20 * MSS - MSS;
        let mut sent = 0;
        for _ in 0..19 {
            pipe -= MSS;
            prr.on_ack(&progress(MSS, pipe, false));
            let room = prr.window().saturating_sub(pipe) / MSS * MSS;
            prr.on_sent(room);
            pipe += room;
            sent += room;
        }
        assert_eq!(sent / MSS, 10);
        assert_eq!(pipe, 10 * MSS);
    }

    #[test]
    fn the_first_segment_goes_out_at_once() {
        let mut prr = Prr::new(20 * MSS, 20 * MSS);
        prr.on_ack(&progress(1, 19 * MSS, false));
        assert_eq!(prr.window(), 20 * MSS);
        prr.on_sent(MSS);
        prr.on_ack(&progress(1, 19 * MSS, false));
        assert_eq!(prr.window(), 19 * MSS);
    }

    #[test]
    fn below_the_threshold_bytes_are_conserved_and_with_progress_the_window_grows() {
        let mut prr = Prr::new(20 * MSS, 20 * MSS);
        prr.on_sent(5 * MSS);
        prr.on_ack(&progress(2 * MSS, 4 * MSS, false));
        assert_eq!(prr.window(), 6 * MSS);
        prr.on_ack(&progress(2 * MSS, 4 * MSS, true));
        assert_eq!(prr.window(), 7 * MSS);
    }

    #[test]
    fn it_never_goes_beyond_the_threshold_from_below() {
        let mut prr = Prr::new(20 * MSS, 20 * MSS);
        prr.on_sent(MSS);
        prr.on_ack(&progress(15 * MSS, 3 * MSS, true));
        assert_eq!(prr.window(), 10 * MSS);
    }

    #[test]
    fn a_part_of_a_segment_counts_for_one_once() {
        let mut prr = Prr::new(20 * MSS, 20 * MSS);
        prr.on_ack(&progress(MSS + 1, 0, false));
        assert_eq!(prr.window(), 2 * MSS);
        prr.on_sent(2 * MSS);
        for _ in 0..9 {
            prr.on_ack(&progress(1, 2 * MSS, false));
            assert_eq!(prr.window(), 2 * MSS + 1);
        }
        let mut above = Prr::new(20 * MSS, 20 * MSS);
        above.on_sent(MSS);
        above.on_ack(&progress(2 * MSS + 1, 15 * MSS, false));
        assert_eq!(above.window(), 16 * MSS);
    }

    #[test]
    fn what_delivers_nothing_changes_nothing() {
        let mut prr = Prr::new(20 * MSS, 20 * MSS);
        prr.on_ack(&progress(0, 5 * MSS, true));
        assert_eq!(prr.window(), 20 * MSS);
    }

    #[test]
    fn nothing_overflows() {
        for prior in [0, 1, u32::MAX] {
            let mut prr = Prr::new(prior, prior);
            for pipe in [0, u32::MAX] {
                for delivered in [u32::MAX, u32::MAX] {
                    prr.on_ack(&Progress {
                        ssthresh: u32::MAX - 1,
                        mss: u32::MAX,
                        ..progress(delivered, pipe, true)
                    });
                    prr.on_sent(u32::MAX);
                }
            }
        }
    }
}
