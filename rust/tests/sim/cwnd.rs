// SPDX-License-Identifier: GPL-2.0

//! What must hold of the congestion window at every moment: it comes down when it must, grows by
//! what arrives alone, and what is in the network stays within it, in a recovery too. Of a control
//! that rules its rate only the latter.

use oxtcp_core::tcp::congestion::{Algorithm, CongestionControl};
use oxtcp_core::tcp::ecn::Feedback;
use oxtcp_core::tcp::events::Events;
use oxtcp_core::tcp::segment::{Flags, Segment, Transmit};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::statistics::Statistic;
use oxtcp_core::tcp::Tcb;

/// [`Tcb::recovery_number`] while the window is being reduced: the path was marked, or text lost.
const CWR: u8 = 2;
const FAST: u8 = 3;
/// After a timeout.
const LOSS: u8 = 4;

/// The part of the window that a reduction leaves, in 1024ths (RFC 5681 3.1, RFC 9438 4.6).
fn left_by(algorithm: Algorithm) -> u64 {
    match algorithm {
        Algorithm::Reno => 512,
        _ => 717,
    }
}

/// Bytes outstanding that have not arrived: without SACK, duplicates tell how many segments have. At
/// a reduction's begin it is in proportion to this, and to what was delivered just then.
fn in_flight(tcb: &Tcb) -> u32 {
    let board = tcb.scoreboard();
    let (_, sack, _) = tcb.features();
    let out = board.out();
    let arrived = if sack {
        board.sacked().bytes
    } else {
        let share = u64::from(out.bytes) * u64::from(tcb.arrived().segments);
        (share / u64::from(out.segments.max(1))) as u32
    };
    out.bytes.saturating_sub(arrived)
}

/// Bytes in the network (RFC 6675's pipe).
fn pipe(tcb: &Tcb) -> u32 {
    let board = tcb.scoreboard();
    (in_flight(tcb) + board.resent().bytes).saturating_sub(board.lost().bytes)
}

/// Whether what was done to the window for an earlier loss was taken back.
fn is_undone(events: &Events) -> bool {
    [
        Statistic::FullUndo,
        Statistic::PartialUndo,
        Statistic::DsackUndo,
        Statistic::LossUndo,
    ]
    .iter()
    .any(|undo| events.statistics.has(*undo))
}

/// What the end knew before the event that it processes.
#[derive(Default)]
struct Before {
    open: bool,
    recovery: u8,
    /// The control's window, and that which holds.
    window: u32,
    cwnd: u32,
    ssthresh: u32,
    una: SeqNumber,
    flight: u32,
    sacked: u32,
    marks: u32,
    mss: u32,
    /// Before a segment is fetched for sending.
    pipe: u32,
}

/// A proportional rate reduction (RFC 9937) as it should go.
struct Reduction {
    /// What it began with: text up to this number, and so much in flight, 0 for unknown.
    recover: SeqNumber,
    recover_fs: u32,
    delivered: u64,
    out: u64,
}

/// The oracle.
#[derive(Default)]
pub struct CwndOracle {
    /// The widest window and the largest segment so far.
    peak: u32,
    most_mss: u32,
    before: Before,
    reduction: Option<Reduction>,
    /// There is so little room for records that what has arrived may be forgotten again.
    forgetful: bool,
}

impl CwndOracle {
    pub fn new(forgetful: bool) -> Self {
        Self {
            forgetful,
            ..Self::default()
        }
    }

    /// An event comes, or a segment is to be fetched for sending.
    pub fn before(&mut self, tcb: &Tcb) {
        let control = tcb.congestion();
        self.before = Before {
            open: tcb.state().is_synchronized(),
            recovery: tcb.recovery_number(),
            window: control.window(),
            cwnd: tcb.cwnd(),
            ssthresh: control.ssthresh(),
            una: tcb.snd_una(),
            flight: tcb.flight(),
            sacked: tcb.sacked(),
            marks: tcb.ecn().delivered_ce,
            mss: u32::from(tcb.mss()),
            pipe: pipe(tcb),
        };
        self.peak = self.peak.max(self.before.window);
        self.most_mss = self.most_mss.max(self.before.mss);
    }

    /// Most that a reduction leaves of the window there was, or of one that it was set back to.
    fn most_left(&self, tcb: &Tcb, undone: bool) -> u32 {
        let window = if undone {
            self.peak
        } else {
            self.before.window
        };
        let left = u64::from(window) * left_by(tcb.congestion().algorithm()) / 1024;
        let mss = self.before.mss.max(u32::from(tcb.mss()));
        (left as u32).max(2 * mss)
    }

    /// The threshold came down to what a reduction leaves; `or`: or was down already.
    fn check_threshold(&self, tcb: &Tcb, most: u32, what: &str) {
        let ssthresh = tcb.congestion().ssthresh();
        assert!(
            ssthresh <= most,
            "{what} has left a threshold of {ssthresh}, {most} are the most"
        );
    }

    /// After a deadline was processed.
    pub fn expired(&mut self, tcb: &Tcb, events: &Events) {
        if tcb.congestion().rules_rate() || !tcb.state().is_synchronized() {
            return;
        }
        let most = self.most_left(tcb, false);
        if events.timed_out {
            // RFC 5681 3.1, RFC 9438 4.8.
            let (window, mss) = (tcb.congestion().window(), u32::from(tcb.mss()));
            assert!(
                window <= mss,
                "a timeout has left a window of {window}, more than a segment of {mss}"
            );
            // What has just been reduced is not once more, nor by a second timeout.
            let most = match self.before.recovery {
                CWR | FAST | LOSS => most.max(self.before.ssthresh),
                _ => most,
            };
            self.check_threshold(tcb, most, "a timeout");
        }
        self.check_entry(tcb, events.fast_retransmit, most);
        // That nothing came in time, which shows a loss, counts as a segment.
        let delivered = if events.fast_retransmit {
            self.before.mss
        } else {
            0
        };
        self.reduce(tcb, events, delivered);
    }

    /// A recovery that begins reduces the window, unless it goes on from another.
    fn check_entry(&self, tcb: &Tcb, begins: bool, most: u32) {
        let was = self.before.recovery;
        let going_on = was == CWR || (begins && was == FAST);
        let most = if going_on {
            most.max(self.before.ssthresh)
        } else {
            most
        };
        if begins || tcb.recovery_number() == CWR {
            self.check_threshold(tcb, most, "a loss or a mark");
            let window = tcb.congestion().window();
            assert!(
                window <= most.max(self.before.ssthresh),
                "a loss or a mark has left a window of {window}, {most} are the most"
            );
        }
    }

    /// After a segment was processed.
    pub fn arrived(&mut self, tcb: &Tcb, seg: &Segment, events: &Events) {
        let over = matches!(tcb.state(), State::Closed | State::TimeWait);
        if over || !self.before.open {
            return;
        }
        self.check_marks(tcb, seg);
        if tcb.congestion().rules_rate() {
            return;
        }
        let undone = is_undone(events);
        let most = self.most_left(tcb, undone);
        self.check_entry(tcb, events.fast_retransmit, most);
        if events.statistics.has(Statistic::LossProbeRecovery) {
            self.check_threshold(tcb, most, "a loss that a probe repaired");
        }
        let delivered = self.delivered(tcb);
        self.check_growth(tcb, delivered, undone);
        self.reduce(tcb, events, delivered);
    }

    /// Bytes that the segment says have arrived, at most.
    fn delivered(&self, tcb: &Tcb) -> u32 {
        let (_, sack, _) = tcb.features();
        let acked = tcb.snd_una().since(self.before.una);
        match sack {
            true if self.forgetful => acked.max(self.before.flight),
            true => (acked + tcb.sacked()).saturating_sub(self.before.sacked),
            // A duplicate is for one segment.
            false => acked.max(self.most_mss),
        }
    }

    /// The peer tells of a mark: the window comes down (RFC 3168 6.1.2), unless it just did.
    fn check_marks(&self, tcb: &Tcb, seg: &Segment) {
        let ecn = tcb.ecn();
        // It was taken for what it is.
        let taken = seg.ack.after(self.before.una) && seg.ack == tcb.snd_una();
        let echo = seg.flags.has(Flags::ECE) && !seg.has_syn();
        let classic = ecn.feedback == Feedback::Classic && echo && taken;
        let marked = classic || ecn.delivered_ce != self.before.marks;
        if marked && self.before.flight > 0 {
            assert!(tcb.recovery_number() >= CWR, "a mark was not answered");
        }
    }

    /// The window grows by no more than what has arrived (RFC 5681 3.1) and, for what was saved up,
    /// a segment.
    fn check_growth(&self, tcb: &Tcb, delivered: u32, undone: bool) {
        let window = tcb.congestion().window();
        let old = if undone {
            self.peak
        } else {
            self.before.window
        };
        let most = old.saturating_add(delivered) + 2 * u32::from(tcb.mss());
        assert!(
            window <= most,
            "{delivered} bytes have opened the window from {old} to {window}"
        );
    }

    /// The window while it is being reduced is that of RFC 9937.
    fn reduce(&mut self, tcb: &Tcb, events: &Events, delivered: u32) {
        let is = tcb.recovery_number();
        let (_, sack, _) = tcb.features();
        // Without SACK the state of a recovery that has ended may be held (RFC 6582 3.2).
        let held = |r: &Reduction| is == FAST && !sack && tcb.snd_una() == r.recover;
        if !matches!(is, CWR | FAST) || self.forgetful || self.reduction.as_ref().is_some_and(held)
        {
            self.reduction = None;
            return;
        }
        if self.has_begun(tcb, events, is) {
            let known = matches!(self.before.recovery, 0 | 1 | LOSS)
                && !is_undone(events)
                && !events.statistics.has(Statistic::LossProbeRecovery);
            self.reduction = Some(Reduction {
                recover: tcb.snd_nxt(),
                recover_fs: if known {
                    in_flight(tcb).max(tcb.congestion().ssthresh())
                } else {
                    0
                },
                delivered: 0,
                out: 0,
            });
        } else if let Some(reduction) = self.reduction.as_mut() {
            if is == FAST && events.fast_retransmit {
                reduction.recover = tcb.snd_nxt();
            }
        }
        let old = if is_undone(events) {
            self.peak
        } else {
            // The end of one reduction leaves its threshold to the next.
            let left = match self.before.recovery {
                CWR | FAST => self.before.ssthresh,
                _ => 0,
            };
            self.before.cwnd.max(left)
        };
        self.check_reduction(tcb, delivered, old);
    }

    /// Whether a reduction begins, instead of one that goes on.
    fn has_begun(&self, tcb: &Tcb, events: &Events, is: u8) -> bool {
        let over = self
            .reduction
            .as_ref()
            .is_some_and(|r| tcb.snd_una().after(r.recover));
        match (self.before.recovery, is) {
            (CWR, _) => over,
            (FAST, FAST) => events.fast_retransmit,
            _ => true,
        }
    }

    /// `old`: the window that stays where nothing has arrived, of which without SACK nobody is sure.
    fn check_reduction(&mut self, tcb: &Tcb, delivered: u32, old: u32) {
        let Some(reduction) = self.reduction.as_mut() else {
            return;
        };
        reduction.delivered += u64::from(delivered);
        let mss = u64::from(tcb.mss());
        let whole = |bytes: u64| bytes.div_ceil(mss) * mss;
        let pipe = u64::from(pipe(tcb));
        let ssthresh = u64::from(tcb.congestion().ssthresh());
        let all = reduction.delivered;
        let send = if pipe > ssthresh && reduction.recover_fs > 0 {
            whole((ssthresh * all).div_ceil(u64::from(reduction.recover_fs)))
                .saturating_sub(reduction.out)
        } else {
            let kept = whole(all).saturating_sub(reduction.out);
            kept.max(u64::from(delivered)) + mss
        };
        let send = if pipe > ssthresh {
            send
        } else {
            send.min(ssthresh - pipe)
        };
        let least = if reduction.out == 0 { mss } else { 0 };
        let most = (pipe + send.max(least)).max(mss);
        let cwnd = u64::from(tcb.cwnd());
        let (_, sack, _) = tcb.features();
        let kept = delivered == 0 || !sack;
        assert!(
            cwnd <= most || (kept && cwnd <= u64::from(old)),
            "a window of {cwnd} in a reduction, {most} are the most with {pipe} in the network"
        );
    }

    /// After text was fetched for sending. `probe`: it is a loss probe, which goes whatever the
    /// window is (RFC 8985 7.3).
    pub fn sent(&mut self, tcb: &Tcb, out: &Transmit, probe: bool) {
        self.most_mss = self.most_mss.max(out.mss.into());
        let fin = u32::from(out.flags.has(Flags::FIN));
        if let Some(reduction) = self.reduction.as_mut() {
            reduction.out += u64::from(out.len + fin);
        }
        // The first to be sent again goes out whatever is in the network: one segment.
        let first = out.retransmission && out.seq == tcb.snd_una();
        if probe || out.len == 0 || (first && out.len <= u32::from(tcb.mss())) {
            return;
        }
        let (pipe, cwnd) = (self.before.pipe, tcb.cwnd());
        assert!(
            pipe.saturating_add(out.len) <= cwnd,
            "{} bytes sent with {pipe} in the network and a congestion window of {cwnd}",
            out.len
        );
    }

    /// So many bytes of what was fetched for sending, its FIN among them, had no room in our own
    /// host, which reduces the window as a mark does.
    pub fn refused(&mut self, tcb: &Tcb, bytes: u32) {
        if let Some(reduction) = self.reduction.as_mut() {
            reduction.out = reduction.out.saturating_sub(bytes.into());
        }
        if tcb.congestion().rules_rate() {
            return;
        }
        self.check_entry(tcb, false, self.most_left(tcb, false));
        self.reduce(tcb, &Events::default(), 0);
    }
}
