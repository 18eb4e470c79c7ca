// SPDX-License-Identifier: GPL-2.0

//! What must hold at one end at every moment, whatever the network does.

use super::cwnd::CwndOracle;
use oxtcp_core::tcp::config::{Config, Identity};
use oxtcp_core::tcp::congestion::CongestionControl;
use oxtcp_core::tcp::ecn::Ecn;
use oxtcp_core::tcp::events::Events;
use oxtcp_core::tcp::mtu_probe::When;
use oxtcp_core::tcp::pack::{pack, unpack};
use oxtcp_core::tcp::segment::{Flags, Segment, Transmit};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::time::{Duration, Instant};
use oxtcp_core::tcp::timer::TimerKind;
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
    /// Text in order has found no memory since then.
    ran_out: bool,
    /// Right edge of the widest window that the peer offered, as far as it has arrived.
    granted: Option<SeqNumber>,
    cwnd: CwndOracle,
    /// What the end knew before the event that it processes.
    snd_una: Option<SeqNumber>,
    snd_wnd: u32,
    rcv_nxt: Option<SeqNumber>,
    /// Bare ACKs that we sent right upon a segment that took no sequence number.
    pub idle_answers: u64,
    /// The segment that we are about to answer took none, and moreover was in order and acceptable.
    idle: bool,
    plain: bool,
    pub segments: u64,
    pub retransmissions: u64,
    pub fast_retransmits: u64,
    /// Loss probes, which need no loss to be sent.
    pub probes: u64,
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

/// The timer that runs while `flight` bytes are not acknowledged is theirs, and not keepalive's.
pub fn check_timer(flight: u32, timer: Option<(TimerKind, Instant)>) {
    let runs = matches!(timer, Some((TimerKind::Retransmit, _)));
    assert!(flight == 0 || runs, "in flight without a timer");
}

impl Oracle {
    /// `forgetful`: there may be fewer records than it takes.
    pub fn new(forgetful: bool) -> Self {
        Self {
            cwnd: CwndOracle::new(forgetful),
            ..Self::default()
        }
    }

    pub fn before(&mut self, tcb: &Tcb) {
        if tcb.state().is_synchronized() {
            self.snd_una = Some(tcb.snd_una());
            self.rcv_nxt = Some(tcb.rcv_nxt());
        }
        self.snd_wnd = tcb.snd_wnd();
        self.cwnd.before(tcb);
        self.idle = false;
        self.plain = false;
    }

    /// After a deadline was processed.
    pub fn expired(&mut self, tcb: &Tcb, events: &Events) {
        self.cwnd.expired(tcb, events);
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
        let in_turn = self.rcv_nxt == Some(seg.seq);
        // Marks are acknowledged whatever bears them (RFC 9768 3.2.2.5.1).
        let marked = seg.ecn == Ecn::Ce;
        let whole = events.dropped.is_none() && !seg.has_rst() && !marked;
        self.plain = self.idle && in_turn && ours && whole;
        if tcb.state() == State::Closed {
            return;
        }
        self.cwnd.arrived(tcb, seg, events);
        self.check_update(tcb, seg);
        if let Some(una) = self.snd_una {
            assert!(tcb.snd_una().at_or_after(una), "SND.UNA went back");
        }
        if let Some(nxt) = self.rcv_nxt {
            assert!(tcb.rcv_nxt().at_or_after(nxt), "RCV.NXT went back");
        }
    }

    /// The window to send into moves as the segment says that moves it, to the left too (RFC 9293
    /// 3.10.7.4).
    fn check_update(&self, tcb: &Tcb, seg: &Segment) {
        let (una, wnd) = (tcb.snd_una(), tcb.snd_wnd());
        if seg.has_syn()
            || self
                .snd_una
                .is_none_or(|was| (was, self.snd_wnd) == (una, wnd))
        {
            return;
        }
        let offered = u32::from(seg.wnd) << tcb.scales().0;
        assert!(
            (una, wnd) == (seg.ack, offered),
            "a window of {wnd} from {}, {offered} from {} is what was offered",
            una.0,
            seg.ack.0
        );
    }

    /// Text came for which there was no memory.
    pub fn ran_out(&mut self) {
        self.ran_out = true;
    }

    /// A segment came in TIME-WAIT.
    pub fn arrived_late(&mut self, seg: &Segment) {
        self.causes += 1;
        self.idle = seg.seq_len() == 0;
        self.plain = false;
    }

    /// The application has read.
    pub fn read(&mut self) {
        self.causes += 1;
        // What is sent now tells of the room that this has made.
        self.idle = false;
        self.plain = false;
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
        assert!(!self.plain, "an acknowledgment of an acknowledgment");
        self.bare_acks += 1;
        assert!(
            self.bare_acks <= self.causes + SPARE_ACKS,
            "{} acknowledgments for {} reasons",
            self.bare_acks,
            self.causes
        );
    }

    /// The window must not shrink (RFC 9293 3.8.6, SHLD-14), but to nothing when memory runs out, and
    /// where that is wanted.
    fn offers(&mut self, config: &Config, out: &Transmit, scale: u8) {
        if !out.flags.has(Flags::ACK) || out.flags.has(Flags::RST) {
            return;
        }
        let edge = out.ack + (u32::from(out.wnd) << scale);
        let ran_out = std::mem::take(&mut self.ran_out) && out.wnd == 0;
        let may_shrink = ran_out || (config.shrink_window && scale > 0);
        if let Some(old) = self.offered.filter(|_| !may_shrink) {
            assert!(
                edge.at_or_after(old),
                "window shrunk from {} to {}",
                old.0,
                edge.0
            );
        }
        self.offered = Some(edge);
    }

    /// A segment is to be fetched for sending.
    pub fn fetches(&mut self, tcb: &Tcb) {
        self.cwnd.before(tcb);
    }

    /// After it was.
    pub fn transmitted<S: RecordStore>(
        &mut self,
        config: &Config,
        tcb: &Tcb,
        store: &S,
        out: &Transmit,
    ) {
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
        self.offers(config, out, scale);
        self.retransmissions += u64::from(out.retransmission);
        if out.len > 0 {
            if tcb.congestion().pacing_rate().is_some() {
                // It is its clock that let this go.
                self.paced += 1;
            }
            self.sent_text(config, tcb, out, probe);
        }
    }

    /// `probe`: it is a loss probe.
    fn sent_text(&mut self, config: &Config, tcb: &Tcb, out: &Transmit, probe: bool) {
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
        // Only what was within it once may go beyond a window that has shrunk (3.8.6, SHLD-15).
        let edge = tcb.snd_una() + tcb.snd_wnd();
        assert!(
            out.retransmission || end.at_or_before(edge),
            "new text up to {} beyond the window {}",
            end.0,
            edge.0
        );
        let blocks = match out.options.sack.as_slice().len() as u16 {
            0 => 0,
            n => 4 + 8 * n,
        };
        let timeout = out.options.user_timeout.map_or(0, |_| 4);
        let text = out.mss + blocks + timeout;
        let searched = config.mtu.when != When::Never && !out.retransmission;
        match out.options.accecn {
            // A probe of the path's MTU is a large segment.
            _ if searched && out.len == u32::from(out.mss) && text > tcb.mss() => {}
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
        }
        self.cwnd.sent(tcb, out, probe);
        // In silence only a timer can be a reason to send anything again.
        let most = u64::from(cwnd.max(tcb.flight())) * (2 + self.timers);
        assert!(
            self.old_text <= most,
            "{} bytes again in silence",
            self.old_text
        );
    }

    /// So many bytes of the text that was fetched for sending, and a FIN behind it, had no room, as
    /// the connection knows by now.
    pub fn refused(&mut self, tcb: &Tcb, out: &Transmit, bytes: u32) {
        let fin = u32::from(out.flags.has(Flags::FIN));
        self.cwnd.refused(tcb, bytes + fin);
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
        self.plain = false;
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
        check_timer(tcb.flight(), tcb.timer());
        // All fields are walked through twice: every eighth step is enough.
        if now.us() % 8 == 0 {
            survives_packing(tcb);
        }
    }
}
