// SPDX-License-Identifier: GPL-2.0

//! What an acknowledgment does: SND.UNA, the window, round-trip time, and the detection of loss
//! (RFC 5681, 6582, 6675).

use super::config::Config;
use super::congestion::{Ack, Congested, Congestion, CongestionControl, Signal};
use super::events::Events;
use super::scoreboard::DUP_THRESH;
use super::segment::Segment;
use super::seq::SeqNumber;
use super::state::State;
use super::tcb::{IdleTimer, Recovery, RetransmitTimer, Tcb};
use super::time::{Duration, Instant};

impl Tcb {
    /// Fifth step of RFC 9293 3.10.7.4, for an acknowledgment within bounds.
    pub(super) fn acknowledge(
        &mut self,
        config: &Config,
        seg: &Segment,
        now: Instant,
        events: &mut Events,
    ) {
        let news = self.take_sack(seg);
        let advances = seg.ack.after(self.snd_una);
        if advances {
            self.advance(config, seg, now, events);
        } else if seg.ack == self.snd_una && self.is_duplicate(seg, news) {
            self.dup_acks = self.dup_acks.saturating_add(1);
        }
        self.detect_loss(now, events);
        self.update_window(seg, advances);
        self.after_fin_acked(config, now, events);
    }

    fn take_sack(&mut self, seg: &Segment) -> bool {
        let mut news = false;
        for block in seg.options.sack.as_slice() {
            let in_flight = block.start.at_or_after(self.snd_una.max(seg.ack))
                && block.end.at_or_before(self.snd_nxt);
            if self.sack && in_flight {
                news |= self.scoreboard.add(*block);
            }
        }
        news
    }

    /// RFC 5681 2: nothing new in it, and text is outstanding; with SACK, one that tells of more.
    fn is_duplicate(&self, seg: &Segment, news: bool) -> bool {
        if self.flight() == 0 {
            return false;
        }
        if self.sack {
            return news;
        }
        seg.seq_len() == 0 && self.window_of(seg) == self.snd_wnd
    }

    /// SND.UNA moves.
    fn advance(&mut self, config: &Config, seg: &Segment, now: Instant, events: &mut Events) {
        let bytes = seg.ack.since(self.snd_una);
        let limited = self.is_cwnd_limited();
        events.acked = seg.ack.min(self.write_seq).since(self.snd_una);
        if self.measure(seg, now) {
            self.backoff = 0;
        }

        self.snd_una = seg.ack;
        self.scoreboard.advance(self.snd_una);
        self.rtx_next = self.rtx_next.max(self.snd_una);
        self.snd_sml = self.snd_sml.max(self.snd_una);
        self.retries = 0;
        self.stalled_since = now;
        let mss = self.mss32();
        match self.recovery {
            Recovery::Open => {
                self.dup_acks = 0;
                let ack = self.congestion_ack(bytes, limited, now);
                self.congestion.on_ack(&ack);
            }
            Recovery::Fast { recover } | Recovery::Loss { recover }
                if self.is_recovered(recover) =>
            {
                if let Recovery::Fast { .. } = self.recovery {
                    self.congestion.on_recovered(mss, now);
                }
                self.recovery = Recovery::Open;
                self.dup_acks = 0;
            }
            Recovery::Fast { .. } => {
                // A partial acknowledgment: without SACK it says that the next segment is lost too
                // (RFC 6582 3.2).
                if !self.sack {
                    let segments = u16::try_from(bytes / mss).unwrap_or(u16::MAX).max(1);
                    self.dup_acks = self.dup_acks.saturating_sub(segments);
                    self.rtx_next = self.snd_una;
                }
            }
            Recovery::Loss { .. } => {
                let ack = self.congestion_ack(bytes, true, now);
                self.congestion.on_ack(&ack);
            }
        }

        self.retransmit_timer = if self.flight() == 0 {
            RetransmitTimer::Off
        } else {
            RetransmitTimer::Rto(now + self.rto(config))
        };
    }

    fn congestion_ack(&self, acked: u32, limited: bool, now: Instant) -> Ack {
        Ack {
            acked,
            mss: self.mss32(),
            limited,
            flight: self.flight(),
            snd_una: self.snd_una,
            snd_nxt: self.snd_nxt,
            rtt: None,
            srtt: self.rtt.srtt().unwrap_or(Duration::ZERO),
            delivered: 0,
            rate: None,
            now,
        }
    }

    /// Whether recovery is over. Without SACK something sent after `recover` must be acknowledged,
    /// else the duplicates that the retransmissions themselves bring about would begin another
    /// (RFC 6582 3.2).
    fn is_recovered(&self, recover: SeqNumber) -> bool {
        if self.sack || self.flight() == 0 {
            self.snd_una.at_or_after(recover)
        } else {
            self.snd_una.after(recover)
        }
    }

    /// A round-trip time: of a timed segment, else, while text is being sent again, from the
    /// timestamp echoed (RFC 7323 4.1; its clock is too coarse for other times). Returns whether
    /// there was one.
    fn measure(&mut self, seg: &Segment, now: Instant) -> bool {
        if let Some(timing) = self.timing {
            let timed = seg.ack.at_or_after(timing.end);
            if timed {
                self.rtt.sample(now.since(timing.sent));
                self.timing = None;
            }
            return timed;
        }
        if self.recovery == Recovery::Open {
            return false;
        }
        let Some(ts) = seg
            .options
            .timestamps
            .filter(|ts| self.timestamps && ts.ecr != 0)
        else {
            return false;
        };
        let ms = now
            .ms_wrapped()
            .wrapping_add(self.ts_offset)
            .wrapping_sub(ts.ecr);
        let sane = ms < 1 << 20;
        if sane {
            self.rtt.sample(Duration::from_ms(u64::from(ms.max(1))));
        }
        sane
    }

    /// Whether the congestion window was what held the sender back (RFC 7661 4.2; in slow start, as
    /// in Linux, a window half used counts).
    fn is_cwnd_limited(&self) -> bool {
        let used = self.flight().saturating_add(self.mss32());
        let cwnd = self.congestion.window();
        if cwnd < self.congestion.ssthresh() {
            used.saturating_mul(2) > cwnd
        } else {
            used > cwnd
        }
    }

    /// Begins fast retransmit when enough has arrived behind a gap.
    fn detect_loss(&mut self, now: Instant, events: &mut Events) {
        if self.recovery != Recovery::Open || self.flight() == 0 {
            return;
        }
        let lost = u32::from(self.dup_acks) >= DUP_THRESH
            || self.scoreboard.lost_before(self.mss32()).is_some();
        if lost {
            self.congestion.on_congestion(&Congested {
                signal: Signal::Loss,
                flight: self.flight(),
                mss: self.mss32(),
                now,
            });
            self.recovery = Recovery::Fast {
                recover: self.snd_nxt,
            };
            self.rtx_next = self.snd_una;
            self.timing = None;
            events.fast_retransmit = true;
        }
    }

    /// Text before this number that is not acknowledged is taken for lost.
    pub(super) fn lost_edge(&self) -> SeqNumber {
        let first = self.snd_una + self.mss32();
        match self.recovery {
            Recovery::Open => self.snd_una,
            Recovery::Loss { recover } => recover,
            Recovery::Fast { recover } => {
                let lost = self.scoreboard.lost_before(self.mss32()).unwrap_or(first);
                lost.max(first).min(recover)
            }
        }
    }

    /// The congestion window: never less than a segment, whatever the segment size has become since
    /// the window was set, else nothing could ever be sent.
    pub(super) fn cwnd(&self) -> u32 {
        self.congestion.window().max(self.mss32())
    }

    /// Bytes that are taken to be in the network (RFC 6675's pipe).
    pub(super) fn pipe(&self) -> u32 {
        let arrived = match self.recovery {
            _ if self.sack => self.scoreboard.sacked(),
            // What arrives now may be what is counted as lost below.
            Recovery::Loss { .. } => 0,
            _ => u32::from(self.dup_acks).saturating_mul(self.mss32()),
        };
        let lost = self
            .scoreboard
            .unsacked(self.rtx_next.max(self.snd_una), self.lost_edge());
        self.flight().saturating_sub(arrived).saturating_sub(lost)
    }

    /// SND.WND, from a segment newer than the last that set it. As in Linux one that acknowledges
    /// more is newer, whatever its sequence number: else a window counted from the old SND.UNA would
    /// move with SND.UNA beyond what the peer ever offered. Of two with the same numbers the one
    /// with the larger window is the newer, for windows do not shrink.
    fn update_window(&mut self, seg: &Segment, advances: bool) {
        if seg.ack.before(self.snd_una) {
            return;
        }
        let wnd = self.window_of(seg);
        let newer = advances
            || self.snd_wl1.before(seg.seq)
            || (self.snd_wl1 == seg.seq && (wnd > self.snd_wnd || wnd == 0));
        if !newer {
            return;
        }
        self.snd_wl1 = seg.seq;
        if wnd != self.snd_wnd {
            self.snd_wnd = wnd;
            self.max_snd_wnd = self.max_snd_wnd.max(wnd);
            if let RetransmitTimer::Persist(_) = self.retransmit_timer {
                self.retransmit_timer = RetransmitTimer::Off;
                self.backoff = 0;
            }
        }
    }

    /// Our FIN may be acknowledged now.
    fn after_fin_acked(&mut self, config: &Config, now: Instant, events: &mut Events) {
        let Some(fin) = self.fin_seq() else { return };
        if !self.snd_una.after(fin) {
            return;
        }
        match self.state {
            State::FinWait1 => {
                self.state = State::FinWait2;
                if self.orphan {
                    self.idle_timer = IdleTimer::FinWait2(now + config.fin_timeout);
                }
            }
            State::Closing => self.enter_time_wait(config, now, events),
            State::LastAck => self.end(None, events),
            _ => {}
        }
    }

    /// Congestion control as the connection opens. When the SYN had to be repeated it starts from
    /// one segment (RFC 5681 3.1).
    pub(super) fn start_congestion(&mut self, config: &Config, now: Instant) {
        let mss = self.mss32();
        self.congestion = Congestion::new(config.congestion, mss);
        if self.backoff > 0 {
            self.congestion.on_timeout(0, mss, false, now);
        }
    }
}
