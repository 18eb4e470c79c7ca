// SPDX-License-Identifier: GPL-2.0

//! What must hold at one end at every moment, whatever the network does.

use oxtcp_core::tcp::config::{Config, Identity};
use oxtcp_core::tcp::congestion::CongestionControl;
use oxtcp_core::tcp::events::Events;
use oxtcp_core::tcp::pack::{pack, unpack};
use oxtcp_core::tcp::segment::{Flags, Segment, Transmit};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::time::{Duration, Instant};
use oxtcp_core::tcp::{RecordStore, Tcb};

/// Bare acknowledgments beyond one for each segment received, read and timer.
const SPARE_ACKS: u64 = 4;
/// What an idle connection may be packed into, bytes: the kernel has 512 for it and its settings.
const ROOM_WHEN_IDLE: usize = 400;
/// Timers that may fire in silence beyond one for each second.
const SPARE_TIMERS: u64 = 40;

/// What one end has shown so far.
#[derive(Default)]
pub struct Oracle {
    /// Right edge of the window that we offered.
    offered: Option<SeqNumber>,
    /// Right edge of the window that the peer offered, as far as it has arrived.
    granted: Option<SeqNumber>,
    /// The widest congestion window so far.
    peak: u32,
    /// What the end knew before the event that it processes.
    after_timeout: bool,
    snd_una: Option<SeqNumber>,
    rcv_nxt: Option<SeqNumber>,
    /// Bare ACKs that we sent right upon a segment that took no sequence number.
    pub idle_answers: u64,
    /// The segment that we are about to answer took none.
    idle: bool,
    pub segments: u64,
    pub retransmissions: u64,
    pub fast_retransmits: u64,
    /// Loss probes, which need no loss to be sent.
    pub probes: u64,
    /// There is so little room for records that what has arrived may be forgotten again.
    forgetful: bool,
    /// Bare ACKs sent, and what may bring one about: segments received, reads, timers.
    bare_acks: u64,
    causes: u64,
    /// Since when nothing has arrived, and what was done since: timers, text sent for the first time
    /// and again, bytes.
    silent_since: Instant,
    timers: u64,
    /// Text sent by a control that rules its rate: each may have had a timer of its own.
    paced: u64,
    new_text: u64,
    old_text: u64,
}

/// Whatever happened to a connection, packing forgets nothing of it.
fn survives_packing(tcb: &Tcb) {
    let mut bytes = [0; 1024];
    let len = pack(&mut tcb.clone(), &mut bytes).expect("there is room");
    let ids = Identity {
        iss: SeqNumber(0),
        ts_offset: 0,
    };
    let mut back = Tcb::connect(&Config::default(), ids, Instant::default());
    assert!(unpack(&mut back, &bytes[..len]));
    assert_eq!(back, *tcb);
    if tcb.idle_since().is_some() {
        assert!(len <= ROOM_WHEN_IDLE, "idle, and {len} bytes");
    }
}

impl Oracle {
    /// `forgetful`: there may be fewer records than it takes.
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
        self.peak = self.peak.max(tcb.congestion().window());
        self.after_timeout = tcb.recovery_number() == 4;
        self.idle = false;
    }

    /// Loss never opens the window (RFC 5681 3.1, 3.2) wider than it was before, though the same
    /// acknowledgment may tell that an earlier reduction was a mistake (RFC 4015). A control that
    /// rules its rate has other rules.
    fn check_reduction(&self, tcb: &Tcb) {
        let control = tcb.congestion();
        if control.pacing_rate().is_some() {
            return;
        }
        let most = self.peak.max(2 * u32::from(tcb.mss()));
        let (cwnd, ssthresh) = (control.window(), control.ssthresh());
        assert!(
            cwnd <= most,
            "loss has opened the window to {cwnd}, it never was above {most}"
        );
        assert!(
            ssthresh <= most,
            "loss has set the threshold to {ssthresh}, the window never was above {most}"
        );
    }

    /// After a deadline was processed.
    pub fn expired(&self, tcb: &Tcb, events: &Events) {
        // A second timeout leaves the threshold of the first as it is.
        if events.timed_out && !self.after_timeout && tcb.state().is_synchronized() {
            self.check_reduction(tcb);
        }
    }

    /// After a segment was processed.
    pub fn arrived(&mut self, tcb: &Tcb, seg: &Segment, events: &Events, now: Instant) {
        self.fast_retransmits += u64::from(events.fast_retransmit);
        self.causes += 1;
        self.silent_since = now;
        self.timers = 0;
        self.paced = 0;
        self.new_text = 0;
        self.old_text = 0;
        // Of an older connection between the same ports it says nothing.
        let una = self.snd_una.unwrap_or(tcb.snd_una());
        let ours = seg.ack.at_or_after(una) && seg.ack.at_or_before(tcb.snd_nxt());
        if seg.has_ack() && !seg.has_rst() && ours {
            let scale = if seg.has_syn() { 0 } else { tcb.scales().0 };
            let edge = seg.ack + (u32::from(seg.wnd) << scale);
            self.granted = Some(self.granted.map_or(edge, |g| g.max(edge)));
        }
        self.idle = seg.seq_len() == 0;
        if tcb.state() == State::Closed {
            return;
        }
        if events.fast_retransmit {
            self.check_reduction(tcb);
        }
        if let Some(una) = self.snd_una {
            assert!(tcb.snd_una().at_or_after(una), "SND.UNA went back");
        }
        if let Some(nxt) = self.rcv_nxt {
            assert!(tcb.rcv_nxt().at_or_after(nxt), "RCV.NXT went back");
        }
    }

    /// A segment came in TIME-WAIT.
    pub fn arrived_late(&mut self, seg: &Segment) {
        self.causes += 1;
        self.idle = seg.seq_len() == 0;
    }

    /// The application has read.
    pub fn read(&mut self) {
        self.causes += 1;
    }

    /// A deadline has passed.
    pub fn timer(&mut self, now: Instant) {
        self.causes += 1;
        self.timers += 1;
        let silence = now.since(self.silent_since).us() / 1_000_000;
        assert!(
            self.timers <= SPARE_TIMERS + silence + self.paced,
            "{} timers in {silence} s of silence",
            self.timers
        );
    }

    /// A reply outside of the stream. A RST is not counted: it answers a segment of another
    /// connection, of which there may be many.
    pub fn replied(&mut self, out: &Transmit) {
        self.segments += u64::from(!out.flags.has(Flags::RST));
        self.answered(out);
    }

    fn answered(&mut self, out: &Transmit) {
        if out.len > 0 || out.flags != Flags::ACK {
            return;
        }
        self.idle_answers += u64::from(self.idle);
        self.bare_acks += 1;
        assert!(
            self.bare_acks <= self.causes + SPARE_ACKS,
            "{} acknowledgments for {} reasons",
            self.bare_acks,
            self.causes
        );
    }

    /// The window must not shrink (RFC 9293 3.8.6, SHLD-14), but to nothing when memory runs out.
    fn offers(&mut self, out: &Transmit, scale: u8) {
        if !out.flags.has(Flags::ACK) || out.flags.has(Flags::RST) {
            return;
        }
        let edge = out.ack + (u32::from(out.wnd) << scale);
        if let Some(old) = self.offered.filter(|_| out.wnd != 0) {
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
        let probes = u64::from(tcb.totals().probes);
        let probe = probes > self.probes;
        self.probes = probes;
        self.segments += u64::from(out.len.div_ceil(u32::from(out.mss.max(1))).max(1));
        self.answered(out);
        let scale = if out.flags.has(Flags::SYN) {
            0
        } else {
            tcb.scales().1
        };
        self.offers(out, scale);
        self.retransmissions += u64::from(out.retransmission);
        if out.len > 0 {
            if tcb.congestion().pacing_rate().is_some() {
                // It is its clock that let this go.
                self.paced += 1;
            }
            self.sent_text(tcb, out, probe);
        }
    }

    /// `probe`: it is a loss probe.
    fn sent_text(&mut self, tcb: &Tcb, out: &Transmit, probe: bool) {
        let end = out.seq + out.len;
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
        let mss = u32::from(tcb.mss());
        let cwnd = tcb.congestion().window().max(mss);
        if out.retransmission {
            self.old_text += u64::from(out.len);
        } else {
            self.new_text += u64::from(out.len);
            let used = tcb.flight().saturating_sub(tcb.sacked());
            let (_, sack, _) = tcb.features();
            // Without SACK duplicates say what has left the network (RFC 3042).
            let beyond = if sack { mss } else { 3 * mss };
            // A loss probe goes whatever the window is (RFC 8985 7.3), which a recovery that has
            // just ended may have left smaller than what is in flight.
            assert!(
                used <= cwnd.saturating_add(beyond)
                    || probe
                    || tcb.recovery_number() != 0
                    || self.forgetful,
                "{used} in flight with a congestion window of {cwnd}"
            );
        }
        // In silence only a timer can be a reason to send anything again.
        let most = u64::from(cwnd.max(tcb.flight())) * (2 + self.timers);
        assert!(
            self.old_text <= most,
            "{} bytes again in silence",
            self.old_text
        );
    }

    /// So many bytes of what was fetched for sending had no room.
    pub fn refused(&mut self, out: &Transmit, bytes: u32) {
        let sent = if out.retransmission {
            &mut self.old_text
        } else {
            &mut self.new_text
        };
        *sent -= u64::from(bytes);
    }

    /// When there is nothing more to send at this moment.
    pub fn settled(&mut self, tcb: &Tcb, config: &Config, slack: Duration, now: Instant) {
        self.idle = false;
        if tcb.state() == State::Closed || tcb.state() == State::TimeWait {
            return;
        }
        assert!(tcb.snd_una().at_or_before(tcb.snd_nxt()));
        let rto = tcb.rto(config);
        assert!(
            rto >= config.rto_min && rto <= config.rto_max,
            "a timeout of {} µs",
            rto.us()
        );
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
        // All fields are walked through twice: every eighth step is enough.
        if now.us() % 8 == 0 {
            survives_packing(tcb);
        }
    }
}
