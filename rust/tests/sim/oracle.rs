// SPDX-License-Identifier: GPL-2.0

//! What must hold at one end at every moment, whatever the network does.

use oxtcp_core::tcp::congestion::CongestionControl;
use oxtcp_core::tcp::events::Events;
use oxtcp_core::tcp::segment::{Flags, Segment, Transmit};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::time::{Duration, Instant};
use oxtcp_core::tcp::{RecordStore, Tcb};

/// What one end has shown so far.
#[derive(Default)]
pub struct Oracle {
    /// Right edge of the window that we offered.
    offered: Option<SeqNumber>,
    /// Right edge of the window that the peer offered, as far as it has arrived.
    granted: Option<SeqNumber>,
    snd_una: Option<SeqNumber>,
    rcv_nxt: Option<SeqNumber>,
    /// Bare ACKs that we sent right upon a segment that took no sequence number.
    pub idle_answers: u64,
    /// The segment that we are about to answer took none.
    idle: bool,
    pub segments: u64,
    pub retransmissions: u64,
    pub fast_retransmits: u64,
    /// There is so little room for records that what has arrived may be forgotten again.
    forgetful: bool,
    /// Loss probes, which need no loss to be sent.
    pub probes: u64,
}

impl Oracle {
    pub fn new(forgetful: bool) -> Self {
        Self {
            forgetful,
            ..Self::default()
        }
    }

    pub fn before(&mut self, tcb: &Tcb) {
        if tcb.state().is_synchronized() {
            self.snd_una = Some(tcb.snd_una());
            self.rcv_nxt = Some(tcb.rcv_nxt());
        }
        self.idle = false;
    }

    /// After a segment was processed.
    pub fn arrived(&mut self, tcb: &Tcb, seg: &Segment, events: &Events) {
        self.fast_retransmits += u64::from(events.fast_retransmit);
        if seg.has_ack() && !seg.has_rst() {
            let scale = if seg.has_syn() { 0 } else { tcb.scales().0 };
            let edge = seg.ack + (u32::from(seg.wnd) << scale);
            self.granted = Some(self.granted.map_or(edge, |g| g.max(edge)));
        }
        self.idle = seg.seq_len() == 0;
        if tcb.state() == State::Closed {
            return;
        }
        if let Some(una) = self.snd_una {
            assert!(tcb.snd_una().at_or_after(una), "SND.UNA went back");
        }
        if let Some(nxt) = self.rcv_nxt {
            assert!(tcb.rcv_nxt().at_or_after(nxt), "RCV.NXT went back");
        }
    }

    pub fn replied(&mut self, out: &Transmit) {
        self.segments += 1;
        self.answered(out);
        self.offers(out, None);
    }

    fn answered(&mut self, out: &Transmit) {
        if self.idle && out.len == 0 && out.flags == Flags::ACK {
            self.idle_answers += 1;
        }
    }

    /// The window must not shrink (RFC 9293 3.8.6, SHLD-14).
    fn offers(&mut self, out: &Transmit, scale: Option<u8>) {
        let Some(scale) = scale else { return };
        if !out.flags.has(Flags::ACK) || out.flags.has(Flags::RST) {
            return;
        }
        let edge = out.ack + (u32::from(out.wnd) << scale);
        if let Some(old) = self.offered {
            assert!(
                edge.at_or_after(old),
                "window shrunk from {} to {}",
                old.0,
                edge.0
            );
        }
        self.offered = Some(edge);
    }

    /// After a segment was fetched for sending.
    pub fn transmitted<S: RecordStore>(&mut self, tcb: &Tcb, store: &S, out: &Transmit) {
        if tcb.state().is_synchronized() {
            let (una, nxt) = (tcb.snd_una(), tcb.snd_nxt());
            assert!(
                tcb.scoreboard().agrees(store, una, nxt),
                "the counts do not agree with the records"
            );
        }
        self.segments += u64::from(out.len.div_ceil(u32::from(out.mss.max(1))).max(1));
        self.answered(out);
        let scale = if out.flags.has(Flags::SYN) {
            0
        } else {
            tcb.scales().1
        };
        self.offers(out, Some(scale));
        let end = out.seq + out.len;
        if out.retransmission {
            self.retransmissions += 1;
        }
        self.probes = tcb.totals().probes.into();
        if out.len == 0 {
            return;
        }
        assert!(
            out.seq.at_or_after(tcb.snd_una()),
            "sent what is acknowledged"
        );
        assert!(end.at_or_before(tcb.snd_nxt()), "sent beyond SND.NXT");
        let granted = self.granted.expect("text before any window");
        assert!(
            end.at_or_before(granted),
            "sent {} beyond the window {}",
            end.0,
            granted.0
        );
        let blocks = match out.options.sack.as_slice().len() as u16 {
            0 => 0,
            n => 4 + 8 * n,
        };
        let text = out.mss + blocks;
        match out.options.accecn {
            // It may take the place of a block.
            Some(_) => assert!(text <= tcb.mss()),
            None => assert_eq!(text, tcb.mss()),
        }
        if !out.retransmission && tcb.flight() > 0 {
            let used = tcb.flight().saturating_sub(tcb.sacked());
            let most = tcb
                .congestion()
                .window()
                .saturating_add(3 * u32::from(out.mss));
            assert!(
                used <= most || self.retransmissions > 0 || self.forgetful,
                "{used} in flight with a congestion window of {most}"
            );
        }
    }

    /// When there is nothing more to send at this moment.
    pub fn settled(&mut self, tcb: &Tcb, slack: Duration, now: Instant) {
        self.idle = false;
        if tcb.state() == State::Closed || tcb.state() == State::TimeWait {
            return;
        }
        assert!(tcb.snd_una().at_or_before(tcb.snd_nxt()));
        let most = now + Duration::from_secs(7200);
        if let Some(at) = tcb.deadline() {
            assert!(
                at <= most,
                "a deadline in {} s",
                at.since(now).us() / 1_000_000
            );
            assert!(at + slack >= now, "a deadline was missed");
        }
        if tcb.flight() > 0 {
            assert!(tcb.timer().is_some(), "in flight without a timer");
        }
    }
}
