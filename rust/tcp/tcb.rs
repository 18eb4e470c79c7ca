// SPDX-License-Identifier: GPL-2.0

//! The transmission control block (RFC 9293 3.3.1).

use super::chrono::{Activity, Chrono, Times};
use super::config::{Config, Identity};
use super::congestion::validation::Usage;
use super::congestion::{Algorithm, Congestion};
use super::delayed_ack::DelayedAck;
use super::ecn::EcnState;
use super::events::Events;
use super::fast_open::FastOpen;
use super::mtu_probe::MtuProbe;
use super::options::{Options, SeqRange, Timestamps};
use super::pacing::Pacer;
use super::pack::packed;
use super::prr::Prr;
use super::rack::Rack;
use super::rate::Rate;
use super::receive_window::ReceiveWindow;
use super::receiver_rtt::ReceiverRtt;
use super::rtt::RttEstimator;
use super::scoreboard::{Count, Scoreboard};
use super::segment::{Flags, Transmit};
use super::seq::SeqNumber;
use super::small_queue::DeviceQueue;
use super::state::State;
use super::statistics::{Statistic, Statistics};
use super::time::{Duration, Instant};
use super::tlp::Probe;
use super::totals::Totals;
use super::undo::Undo;
use super::urgent::Mark;
use super::user_timeout::Advertised;

pub(super) use super::recovery::Recovery;

/// MSS of a peer that names none (RFC 9293 3.7.1, MUST-15).
pub const DEFAULT_MSS: u16 = 536;

/// Timestamps older than this say nothing (RFC 7323 5.5).
pub(super) const PAWS_IDLE: Duration = Duration::from_secs(24 * 24 * 3600);

/// What of the path the sender has to respect, at this moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TxLimits {
    /// Path MTU less the fixed headers of IPv4 and TCP, bytes.
    pub mss: u16,
    /// Most bytes of text in one [`Transmit`].
    pub max_run: u32,
    /// What the connection has in the queues below.
    pub queue: DeviceQueue,
}

/// Whether a segment with an acknowledgment is owed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum AckDue {
    /// Nothing to acknowledge.
    No,
    /// By then, unless something is sent anyway (RFC 9293 3.8.6.3).
    By(Instant),
    /// At once.
    Now,
}

packed!(enum AckDue { 0 => No, 1 => By(at), 2 => Now });

/// What the retransmission timer waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RetransmitTimer {
    /// It does not run.
    Off,
    /// An acknowledgment of what is in flight (RFC 6298).
    Rto(Instant),
    /// A loss probe (RFC 8985 7).
    Probe(Instant),
    /// What may only be reordered (RFC 8985 6.3).
    Reorder(Instant),
    /// A window to send into (RFC 9293 3.8.6.1).
    Persist(Instant),
    /// Room in our own host's queues, for what is to be sent first.
    Retry(Instant),
}

packed!(enum RetransmitTimer {
    0 => Off, 1 => Rto(at), 2 => Probe(at), 3 => Reorder(at), 4 => Persist(at), 5 => Retry(at),
});

/// What the idle timer waits for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum IdleTimer {
    /// It does not run.
    Off,
    /// Any sign of life from the peer (RFC 9293 3.8.4).
    Keepalive(Instant),
    /// The peer's FIN, for an orphan in FIN-WAIT-2.
    FinWait2(Instant),
}

packed!(enum IdleTimer { 0 => Off, 1 => Keepalive(at), 2 => FinWait2(at) });

/// What is known of a handshake whose SYN, or SYN-ACK, had to be sent again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct SynAgain {
    /// How often.
    pub(super) times: u8,
    /// The timestamp of the first.
    pub(super) first: u32,
}

packed!(struct SynAgain { times, first });

impl SynAgain {
    /// Whether `echo` is of the first. When that was sent may be known only roughly, as of a
    /// listener's entry; but the second came a second later.
    pub(super) fn is_first(&self, echo: u32) -> bool {
        self.first.wrapping_sub(echo) < 1000
    }
}

/// A control that has to go out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Control {
    None,
    /// The SYN, or the SYN-ACK of a simultaneous open.
    Syn,
    /// A probe of a closed window or of an idle peer.
    Probe,
    /// None, but what goes out next tells of our user timeout (RFC 5482 3).
    Tell,
    /// The probe, and then that.
    ProbeAndTell,
}

packed!(enum Control { 0 => None, 1 => Syn, 2 => Probe, 3 => Tell, 4 => ProbeAndTell });

/// Whether the user reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reader {
    /// It may.
    Here,
    /// It reads no more, but is there.
    Shut,
    /// It has closed.
    Gone,
}

packed!(enum Reader { 0 => Here, 1 => Shut, 2 => Gone });

/// A connection, from SYN-SENT or ESTABLISHED on.
///
/// Sequence numbers of what we send: text not acknowledged begins at `snd_una`, text queued ends
/// before `write_seq`, and our FIN, once the user has closed, is `write_seq` itself.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Tcb {
    pub(super) state: State,
    pub(super) recovery: Recovery,
    pub(super) ack_due: AckDue,
    pub(super) control: Control,
    pub(super) fast_open: FastOpen,

    /// Oldest number not acknowledged.
    pub(super) snd_una: SeqNumber,
    /// Next number never sent.
    pub(super) snd_nxt: SeqNumber,
    /// The number behind the last byte queued.
    pub(super) write_seq: SeqNumber,
    /// The number behind the last byte that the user pushed: not followed by more at once.
    pub(super) pushed: SeqNumber,
    /// The number behind the last message that the user ended: nothing that follows goes into the
    /// same segment.
    pub(super) last_end: SeqNumber,
    /// Peer's window, bytes from SND.UNA.
    pub(super) snd_wnd: u32,
    /// Largest window the peer ever offered, bytes.
    pub(super) max_snd_wnd: u32,
    /// SEG.SEQ of the last window update.
    pub(super) snd_wl1: SeqNumber,
    /// End of the last segment sent that was not full (Minshall's rule).
    pub(super) snd_sml: SeqNumber,
    pub(super) iss: SeqNumber,
    /// Peer's MSS, bytes.
    pub(super) peer_mss: u16,
    /// The timeout that the peer has last told (REMOTE_UTO, RFC 5482 3.1).
    pub(super) peer_timeout: Option<Advertised>,
    /// Text bytes in a full segment at present, options taken off.
    pub(super) eff_mss: u16,

    /// Next number expected.
    pub(super) rcv_nxt: SeqNumber,
    /// The right edge of the window that was last offered.
    pub(super) rcv_adv: SeqNumber,
    /// The number of the peer's FIN, once it was seen ahead of its turn.
    pub(super) peer_fin: Option<SeqNumber>,
    /// RCV.NXT as last acknowledged.
    pub(super) last_ack_sent: SeqNumber,
    /// What came twice, to be reported in the next acknowledgment (RFC 2883).
    pub(super) dsack: Option<SeqRange>,
    pub(super) acks: DelayedAck,
    pub(super) chrono: Chrono,
    pub(super) window: ReceiveWindow,
    pub(super) receiver_rtt: ReceiverRtt,

    pub(super) snd_scale: u8,
    pub(super) rcv_scale: u8,
    pub(super) timestamps: bool,
    pub(super) sack: bool,
    /// The peer is told of what comes twice.
    pub(super) reports: bool,
    /// Both ends scale their windows.
    pub(super) scaling: bool,
    pub(super) fin_queued: bool,
    /// More text is on its way from the user: a segment that is not full waits for it.
    pub(super) more_to_come: bool,
    /// A segment may go out although the peer's window is smaller than it should be for that.
    pub(super) override_sws: bool,
    /// Who reads what comes.
    pub(super) reader: Reader,

    pub(super) ts_recent: u32,
    pub(super) ts_recent_at: Instant,
    pub(super) ts_offset: u32,

    pub(super) retransmit_timer: RetransmitTimer,
    pub(super) idle_timer: IdleTimer,
    /// Expiries of the retransmission timer since the peer last acknowledged something new.
    pub(super) retries: u8,
    /// How often the timeout is doubled. It outlives progress until there is a measurement
    /// (Karn's algorithm): a timeout that is too short for the path would else never be corrected.
    pub(super) backoff: u8,
    /// Probes of an idle peer, of a closed window or of a full queue of our own since the peer last
    /// answered.
    pub(super) probes: u8,
    /// Without SACK: segments that duplicate acknowledgments tell have arrived.
    pub(super) dup_acks: u16,
    /// Challenge ACKs sent in the second that began at `challenge_since` (RFC 5961 7).
    pub(super) challenges: u8,
    pub(super) challenge_since: Instant,
    /// When we last heard of the peer.
    pub(super) last_heard: Instant,
    /// When we last sent text.
    pub(super) last_sent: Instant,
    /// When what is in flight was first sent, or first tried to be, without progress since; or when
    /// a peer made room that had none, unless the user's timeout runs.
    pub(super) stalled_since: Instant,
    /// When our SYN was sent, if that was once (Karn).
    pub(super) syn_sent: Option<Instant>,
    /// The SYN, or SYN-ACK, was sent again.
    pub(super) syn_again: SynAgain,
    pub(super) rtt: RttEstimator,
    pub(super) congestion: Congestion,
    pub(super) usage: Usage,
    pub(super) pacer: Pacer,
    pub(super) mtu_probe: MtuProbe,
    pub(super) scoreboard: Scoreboard,
    pub(super) rack: Rack,
    pub(super) tlp: Probe,
    pub(super) prr: Prr,
    pub(super) undo: Undo,
    pub(super) rate: Rate,
    /// The peer has dropped what it had selectively acknowledged, and that is not yet repaired.
    pub(super) reneged: bool,
    pub(super) totals: Totals,
    pub(super) ecn: EcnState,
    /// The number behind the last urgent byte of ours; SND.UNA or less when there is none.
    pub(super) snd_up: SeqNumber,
    /// The peer's urgent byte, until reading passes it.
    pub(super) mark: Option<Mark>,
    /// What has to be counted, and was not told yet.
    pub(super) statistics: Statistics,
}

// Numbers of what we send, then of what the peer sends: each is near the one before.
packed!(struct Tcb {
    iss, snd_una, snd_nxt, write_seq, pushed, last_end, snd_sml, snd_up, rtt, undo, usage,
    scoreboard, rack, tlp, recovery, congestion, mtu_probe, rcv_nxt, rcv_adv, last_ack_sent,
    snd_wl1, window, peer_fin, dsack, mark, ecn, state, ack_due, control, fast_open, snd_wnd,
    max_snd_wnd, peer_mss, peer_timeout, eff_mss, acks, chrono, snd_scale, rcv_scale, timestamps,
    sack, reports,
    scaling, fin_queued, more_to_come, override_sws, reader, ts_recent, ts_recent_at, ts_offset,
    retransmit_timer, idle_timer, retries, backoff, probes, dup_acks, challenges, challenge_since,
    receiver_rtt, last_heard, last_sent, stalled_since, syn_sent, syn_again, pacer, prr, rate,
    reneged, totals, statistics,
});

impl Tcb {
    /// Active open (RFC 9293 3.10.1): SYN-SENT; the SYN is there to be fetched.
    #[inline]
    pub fn connect(config: &Config, ids: Identity, now: Instant) -> Self {
        let mut tcb = Self::new(State::SynSent, config, ids, now);
        tcb.control = Control::Syn;
        tcb
    }

    // Made where it is to be: it is large.
    #[inline(always)]
    pub(super) fn new(state: State, config: &Config, ids: Identity, now: Instant) -> Self {
        let iss = ids.iss;
        Self {
            state,
            recovery: Recovery::Open,
            ack_due: AckDue::No,
            control: Control::behind_syn(config),
            fast_open: FastOpen::Off,
            snd_una: iss,
            snd_nxt: iss,
            write_seq: iss + 1,
            pushed: iss,
            last_end: iss,
            snd_wnd: 0,
            max_snd_wnd: 0,
            snd_wl1: iss,
            snd_sml: iss,
            iss,
            peer_mss: DEFAULT_MSS,
            peer_timeout: None,
            eff_mss: DEFAULT_MSS,
            rcv_nxt: SeqNumber(0),
            rcv_adv: SeqNumber(0),
            peer_fin: None,
            last_ack_sent: SeqNumber(0),
            dsack: None,
            acks: DelayedAck::new(config.mss, now),
            chrono: Chrono::default(),
            window: ReceiveWindow::new(config),
            receiver_rtt: ReceiverRtt::new(now),
            snd_scale: 0,
            rcv_scale: if config.window_scaling {
                config.window_scale
            } else {
                0
            },
            timestamps: config.timestamps,
            sack: config.sack,
            reports: config.dsack,
            scaling: config.window_scaling,
            fin_queued: false,
            more_to_come: false,
            override_sws: false,
            reader: Reader::Here,
            ts_recent: 0,
            ts_recent_at: now,
            ts_offset: ids.ts_offset,
            retransmit_timer: RetransmitTimer::Off,
            idle_timer: IdleTimer::Off,
            retries: 0,
            backoff: 0,
            probes: 0,
            dup_acks: 0,
            challenges: 0,
            challenge_since: now,
            last_heard: now,
            last_sent: now,
            stalled_since: now,
            syn_sent: None,
            syn_again: SynAgain::default(),
            rtt: RttEstimator::default(),
            congestion: Congestion::new(config.congestion, u32::from(DEFAULT_MSS)),
            usage: Usage::new(iss),
            pacer: Pacer::default(),
            mtu_probe: MtuProbe::new(&config.mtu, 0, u16::MAX, now),
            scoreboard: Scoreboard::default(),
            rack: Rack::new(config.reordering),
            tlp: Probe::None,
            prr: Prr::default(),
            undo: Undo::default(),
            rate: Rate::default(),
            reneged: false,
            totals: Totals::default(),
            ecn: EcnState::new(),
            snd_up: iss,
            mark: None,
            statistics: Statistics::default(),
        }
    }

    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// SND.UNA.
    pub fn snd_una(&self) -> SeqNumber {
        self.snd_una
    }

    /// SND.NXT.
    pub fn snd_nxt(&self) -> SeqNumber {
        self.snd_nxt
    }

    /// RCV.NXT.
    pub fn rcv_nxt(&self) -> SeqNumber {
        self.rcv_nxt
    }

    /// RCV.WND: what remains of the window offered, bytes.
    pub fn rcv_wnd(&self) -> u32 {
        self.rcv_adv.since(self.rcv_nxt)
    }

    /// Whether the peer may send no more than a segment until the user reads, or could not have sent
    /// what it did for want of memory.
    pub fn is_window_spent(&self) -> bool {
        self.window.no_room || self.rcv_wnd() <= self.acks.rcv_mss.into()
    }

    /// The window as last offered, bytes: before text took of it.
    pub(super) fn last_offer(&self) -> u32 {
        self.rcv_adv.since(self.last_ack_sent)
    }

    /// The furthest right edge of a window that was ever offered: no text is to come beyond it.
    pub fn rcv_edge(&self) -> SeqNumber {
        self.window.furthest.max(self.rcv_nxt)
    }

    /// How long there was something to send, and what held it back.
    pub fn chrono(&self, now: Instant) -> Times {
        self.chrono.times(now)
    }

    /// The user waits for room in the send buffer, until [`Tcb::on_buffer_room`].
    pub fn on_buffer_full(&mut self, now: Instant) {
        self.chrono.full = true;
        self.note_buffer_limited(now);
    }

    /// There is room in the send buffer.
    pub fn on_buffer_room(&mut self, now: Instant) {
        self.chrono.full = false;
        self.chrono.stop(Activity::BufferLimited, now);
    }

    /// It is the send buffer that holds us back, if all that is in it has been sent.
    pub(super) fn note_buffer_limited(&mut self, now: Instant) {
        if self.unsent() == 0 && self.state.may_send() {
            self.chrono.start(Activity::BufferLimited, now);
        }
    }

    /// Bytes of text in a run of segments when there is enough: as many as `max_run` and half of the
    /// peer's window let, whole segments.
    pub fn size_goal(&self, max_run: u32) -> u32 {
        let mss = self.mss32();
        let half = if self.max_snd_wnd > u32::from(DEFAULT_MSS) {
            self.max_snd_wnd / 2
        } else {
            self.max_snd_wnd
        };
        let most = if half > 0 { max_run.min(half) } else { max_run };
        most.saturating_sub(most % mss).max(mss)
    }

    /// When text last came.
    pub fn last_text(&self) -> Instant {
        self.acks.last_text
    }

    /// How long an acknowledgment waits (`tcpi_ato`).
    pub fn ack_wait(&self) -> Duration {
        self.acks.usual_wait()
    }

    /// SND.WND, bytes.
    pub fn snd_wnd(&self) -> u32 {
        self.snd_wnd
    }

    /// Bytes sent and not acknowledged, our SYN and FIN included.
    pub fn flight(&self) -> u32 {
        self.snd_nxt.since(self.snd_una)
    }

    /// Bytes of text queued and not acknowledged (`SIOCOUTQ`).
    pub fn unacked(&self) -> u32 {
        self.write_seq.since(self.text_from(self.snd_una))
    }

    /// Where in the send buffer, which begins with what is not acknowledged, the text of a segment
    /// begins whose number is `seq`.
    pub fn text_offset(&self, seq: SeqNumber) -> u32 {
        self.text_from(seq).since(self.text_from(self.snd_una))
    }

    /// Bytes of text never sent (`SIOCOUTQNSD`).
    pub fn unsent(&self) -> u32 {
        self.write_seq.since(self.text_from(self.snd_nxt))
    }

    /// `seq`, or the first number of text while that is our SYN. The state tells: the ISS means
    /// nothing any more once 2^31 bytes were sent.
    fn text_from(&self, seq: SeqNumber) -> SeqNumber {
        match self.state {
            State::SynSent | State::SynReceived => seq.max(self.iss + 1),
            _ => seq,
        }
    }

    /// The round-trip estimator.
    pub fn rtt(&self) -> &RttEstimator {
        &self.rtt
    }

    /// Congestion control.
    pub fn congestion(&self) -> &Congestion {
        &self.congestion
    }

    /// Another congestion control takes the window over; before there is one, nothing changes, as
    /// the connection's settings name it when it opens.
    pub fn set_congestion(&mut self, algorithm: Algorithm) {
        if self.state.is_synchronized() && algorithm != self.congestion.algorithm() {
            let mss = self.mss32();
            self.congestion.change(algorithm, mss);
            self.forget_capacity();
        }
    }

    /// Retransmitted segments in all.
    pub fn total_retransmits(&self) -> u32 {
        self.totals.resent
    }

    /// What was sent and received in all.
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Whether [`Tcb::take_statistics`] has something.
    pub fn has_statistics(&self) -> bool {
        !self.statistics.is_empty()
    }

    /// What is to be counted of what was sent since this was last called. What happened at a segment
    /// or a timer is in their events.
    pub fn take_statistics(&mut self) -> Statistics {
        core::mem::take(&mut self.statistics)
    }

    /// Puts what is to be counted into the events.
    pub(super) fn tell(&mut self, events: &mut Events) {
        let all = self.take_statistics();
        events.fast_retransmit =
            all.has(Statistic::SackRecovery) || all.has(Statistic::RenoRecovery);
        events.statistics = all;
    }

    /// What became of what is outstanding.
    pub fn scoreboard(&self) -> &Scoreboard {
        &self.scoreboard
    }

    /// Loss detection by time.
    pub fn rack(&self) -> &Rack {
        &self.rack
    }

    /// Delivery as measured for the congestion control.
    pub fn rate(&self) -> &Rate {
        &self.rate
    }

    /// What has arrived of what is outstanding: selectively acknowledged, or, without SACK, told of
    /// by duplicate acknowledgments.
    pub fn arrived(&self) -> Count {
        if self.sack {
            return self.scoreboard.sacked();
        }
        Count {
            bytes: u32::from(self.dup_acks).saturating_mul(self.mss32()),
            segments: self.dup_acks.into(),
        }
    }

    /// Expiries of the retransmission timer since the peer last acknowledged something new.
    pub fn retransmits(&self) -> u8 {
        self.retries
    }

    /// How often the timeout has been doubled.
    pub fn backoff(&self) -> u8 {
        self.backoff
    }

    /// Linux's number of the recovery's state: 0 for none, 1 when text arrives out of order, 2 when
    /// the path was marked, 3 for fast recovery, 4 after a timeout.
    pub fn recovery_number(&self) -> u8 {
        match self.recovery {
            Recovery::Open => self.is_disordered().into(),
            Recovery::Cwr { .. } => 2,
            Recovery::Fast { .. } => 3,
            Recovery::Loss { .. } => 4,
        }
    }

    /// Probes that the peer has not answered.
    pub fn probes(&self) -> u8 {
        self.probes
    }

    /// Text bytes in a full segment, options taken off.
    pub fn mss(&self) -> u16 {
        self.eff_mss
    }

    /// Estimate of the peer's segment size, bytes.
    pub fn rcv_mss(&self) -> u16 {
        self.acks.rcv_mss
    }

    /// Whether timestamps, SACK and window scaling are in use.
    pub fn features(&self) -> (bool, bool, bool) {
        (
            self.timestamps,
            self.sack,
            self.snd_scale != 0 || self.rcv_scale != 0,
        )
    }

    /// Window scales: the peer's and ours.
    pub fn scales(&self) -> (u8, u8) {
        (self.snd_scale, self.rcv_scale)
    }

    /// Bytes selectively acknowledged.
    pub fn sacked(&self) -> u32 {
        self.scoreboard.sacked().bytes
    }

    /// When we last heard of the peer, and last sent text.
    pub fn last_times(&self) -> (Instant, Instant) {
        (self.last_heard, self.last_sent)
    }

    /// Retransmission timeout with its backoff.
    pub fn rto(&self, config: &Config) -> Duration {
        let rto = self.rtt.rto(config.rto_min, config.rto_max);
        match self.backoff {
            0 => rto,
            times => rto.backed_off(times, config.rto_max),
        }
    }

    /// Our FIN's number, once the user has closed.
    pub(super) fn fin_seq(&self) -> Option<SeqNumber> {
        self.fin_queued.then_some(self.write_seq)
    }

    pub(super) fn mss32(&self) -> u32 {
        u32::from(self.eff_mss).max(1)
    }

    pub(super) fn timestamp(&self, now: Instant) -> Option<Timestamps> {
        self.timestamps.then(|| Timestamps {
            val: now.ms_wrapped().wrapping_add(self.ts_offset),
            ecr: self.ts_recent,
        })
    }

    /// The window last offered, as on the wire: rounded up, so that its right edge does not move
    /// left (RFC 7323 2.4).
    pub(super) fn offer_again(&mut self) -> u16 {
        let wire = self
            .rcv_wnd()
            .div_ceil(1u32.wrapping_shl(self.rcv_scale.into()));
        let wire = u16::try_from(wire).unwrap_or(u16::MAX);
        let edge = self.rcv_nxt + u32::from(wire).wrapping_shl(self.rcv_scale.into());
        self.offered(edge);
        wire
    }

    /// The right edge of the window that is offered is `edge` now.
    pub(super) fn offered(&mut self, edge: SeqNumber) {
        self.rcv_adv = edge;
        self.window.furthest = self.window.furthest.max(edge);
    }

    /// SEG.SEQ of what has no text: SND.NXT, or where the window ends that the peer has taken back
    /// since, as what lies beyond would not be acceptable to it (RFC 9293 3.8.6, MUST-34). Not for
    /// less than the unit of its windows, which may be how it rounds them.
    #[inline]
    pub(super) fn acceptable_seq(&self) -> SeqNumber {
        let edge = self.snd_una + self.snd_wnd;
        let rounded = self.snd_nxt.since(edge).wrapping_shr(self.snd_scale.into()) == 0;
        // Until our SYN is acknowledged the peer's window is not known.
        if rounded || self.snd_una == self.iss {
            self.snd_nxt
        } else {
            edge
        }
    }

    /// An acknowledgment outside of the stream, with the window last offered.
    pub(super) fn bare_ack(&mut self, now: Instant) -> Transmit {
        let wnd = self.offer_again();
        let mut ack = Transmit::bare(self.acceptable_seq(), self.rcv_nxt, Flags::ACK, wnd);
        ack.options = Options {
            timestamps: self.timestamp(now),
            ..Options::default()
        };
        self.mark_ecn(&mut ack, now);
        self.totals.sent(0, 1);
        ack
    }

    /// The RST that ends the connection from our side.
    pub(super) fn reset(&mut self, now: Instant) -> Transmit {
        let mut reset = self.bare_ack(now);
        reset.flags = reset.flags | Flags::RST;
        reset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_small() {
        assert!(
            core::mem::size_of::<Tcb>() <= 960,
            "{}",
            core::mem::size_of::<Tcb>()
        );
    }
}
