// SPDX-License-Identifier: GPL-2.0

//! An endpoint: whatever a connection is at present (a listener, an entry in SYN-RECEIVED, a control
//! block, an entry in TIME-WAIT) with its buffers; what its user calls is in `user`, what it sends
//! in `output`, what must hold of it after every event in `invariants`.
//!
//! It asserts nothing: what went wrong first is in [`Endpoint::fault`], so that a model check, a
//! fuzz target and a test can each tell of it in their own way.

pub mod invariants;
mod output;
mod user;

use super::bytes;
use super::rx::Rx;
use invariants::{Cause, Mark};
use oxtcp_core::tcp::config::{Config, Identity};
use oxtcp_core::tcp::congestion::Algorithm;
use oxtcp_core::tcp::events::{Drop, Error, Events};
use oxtcp_core::tcp::fast_open::{judge, Policy};
use oxtcp_core::tcp::segment::{Flags, Segment, Transmit};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::syn_received::{self, on_listen, ListenVerdict, SynReceived, TimerVerdict};
use oxtcp_core::tcp::tcb::TxLimits;
use oxtcp_core::tcp::time::{Duration, Instant};
use oxtcp_core::tcp::time_wait::{self, TimeWait};
use oxtcp_core::tcp::Tcb;
use std::collections::VecDeque;

/// Least time between answers of an entry (`tcp_invalid_ratelimit`).
const ANSWER_INTERVAL: Duration = Duration::from_ms(500);

/// What the endpoint knows of its connection.
#[derive(Clone, Debug)]
pub enum Conn {
    Closed,
    Listen,
    Half(SynReceived),
    Open(Box<Tcb>),
    TimeWait(TimeWait),
}

/// A segment on its way, with its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    pub seg: Segment,
    pub text: Vec<u8>,
}

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// By the exchange of FINs.
    Orderly,
    /// Our user gave it up, or it was not worth waiting for.
    Aborted,
    /// For a reason that the user is told.
    Error(Error),
}

/// An endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub config: Config,
    pub limits: TxLimits,
    pub conn: Conn,
    /// A listener stays when a connection is over.
    pub listening: bool,
    /// What a listener takes of text in a SYN (RFC 7413).
    pub fast_open: Option<Policy>,
    pub iss: SeqNumber,
    /// How far the next connection's ISS is from that of this one (RFC 6528).
    pub iss_step: u32,
    pub ts_offset: u32,
    pub rx: Rx,
    /// The host's own queue has no room for what is sent.
    pub full: bool,
    /// Text that is not acknowledged.
    send: VecDeque<u8>,
    /// All text that the user of this connection wrote.
    pub written: Vec<u8>,
    /// All text that the user of this connection read.
    pub got: Vec<u8>,
    /// The peer's FIN is here.
    pub eof: bool,
    /// The connection was open.
    pub opened: bool,
    /// It went through TIME-WAIT.
    pub waited: bool,
    /// It went through CLOSE-WAIT.
    pub passive: bool,
    /// A connection was begun by a SYN in TIME-WAIT.
    pub reopened: bool,
    pub ended: Option<End>,
    /// Something happened here by which a connection may break off: the user gave it up, or waiting
    /// for the peer did.
    pub excused: bool,
    /// The user writes no more.
    shut: bool,
    /// The user has closed.
    gone: bool,
    /// The user reads no more.
    deaf: bool,
    /// Our own queue was full: what it cannot take is not tried for as long as a path is.
    crowded: bool,
    /// When a segment last came.
    heard: Instant,
    /// When something was last acknowledged, or nothing was left to be.
    moved: Instant,
    /// The right edge of the window that the peer was last offered.
    edge: Option<SeqNumber>,
    /// Our window scale, 0 where the peer has none.
    scale: u8,
    /// Text in order was dropped for want of memory: the window may close, whatever was offered.
    starved: bool,
    /// Segments to be sent.
    pub outbox: Vec<Packet>,
    /// When an entry last answered what should not be.
    answered: Option<Instant>,
    /// What went wrong first.
    pub fault: Option<&'static str>,
    room: u32,
}

impl Endpoint {
    /// With a receive buffer of `room` bytes.
    pub fn new(config: Config, limits: TxLimits, iss: u32, room: u32) -> Self {
        Self {
            config,
            limits,
            conn: Conn::Closed,
            listening: false,
            fast_open: None,
            iss: SeqNumber(iss),
            iss_step: 1 << 16,
            ts_offset: 0,
            rx: Rx::new(room, 0),
            full: false,
            send: VecDeque::new(),
            written: Vec::new(),
            got: Vec::new(),
            eof: false,
            opened: false,
            waited: false,
            passive: false,
            reopened: false,
            ended: None,
            excused: false,
            shut: false,
            gone: false,
            deaf: false,
            crowded: false,
            heard: Instant::default(),
            moved: Instant::default(),
            edge: None,
            scale: 0,
            starved: false,
            outbox: Vec::new(),
            answered: None,
            fault: None,
            room,
        }
    }

    /// All that tells what the endpoint will do, and what is asked of it, for `Debug`: what never
    /// changes is left out, and so are the times since when a connection may be given up, which a few
    /// timers do not come to.
    pub fn variable(&self) -> impl std::fmt::Debug + '_ {
        let text = (&self.rx, &self.send, &self.written, &self.got);
        let flags = (
            self.eof,
            self.opened,
            self.waited,
            self.passive,
            self.reopened,
        );
        let window = (self.edge, self.scale, self.starved);
        (
            &self.conn,
            self.listening,
            self.iss,
            (text, window),
            (flags, self.excused, self.gone, self.deaf, self.crowded),
            (self.ended, self.answered),
        )
    }

    pub fn state(&self) -> State {
        match &self.conn {
            Conn::Closed => State::Closed,
            Conn::Listen => State::Listen,
            Conn::Half(_) => State::SynReceived,
            Conn::Open(tcb) => tcb.state(),
            Conn::TimeWait(_) => State::TimeWait,
        }
    }

    pub fn tcb(&self) -> Option<&Tcb> {
        match &self.conn {
            Conn::Open(tcb) => Some(tcb),
            _ => None,
        }
    }

    /// Text that was written and is not acknowledged, bytes.
    pub fn queued(&self) -> usize {
        self.send.len()
    }

    pub fn deadline(&self) -> Option<Instant> {
        match &self.conn {
            Conn::Half(half) => Some(half.deadline()),
            Conn::Open(tcb) => tcb.deadline(),
            Conn::TimeWait(tw) => Some(tw.deadline()),
            Conn::Listen | Conn::Closed => None,
        }
    }

    /// An ICMP error quotes a segment of ours.
    pub fn icmp(&mut self, seq: SeqNumber, now: Instant) {
        let Conn::Open(tcb) = &mut self.conn else {
            return;
        };
        let before = Mark::of(tcb);
        let (_, events) = tcb.on_icmp(seq, false);
        self.apply(before, Cause::Icmp, events, now);
        self.flush(now);
    }

    /// The path has become one for segments of `mss`, or was found to be (RFC 1191).
    pub fn path_changes(&mut self, mss: u16, now: Instant) {
        let smaller = mss < self.limits.mss;
        self.limits.mss = mss;
        if let Conn::Open(tcb) = &mut self.conn {
            if smaller {
                tcb.on_mtu_reduced(&mut self.rx, mss);
            }
        }
        self.flush(now);
    }

    pub fn set_congestion(&mut self, algorithm: Algorithm) {
        self.config.congestion = algorithm;
        if let Conn::Open(tcb) = &mut self.conn {
            tcb.set_congestion(algorithm);
        }
    }

    /// A segment arrives; what happened to it, where there is a control block to say so.
    pub fn arrive(&mut self, packet: &Packet, now: Instant) -> Events {
        let seg = &packet.seg;
        self.rx.segment = packet.text.clone();
        let mut events = Events::default();
        match &mut self.conn {
            Conn::Closed => {
                // Who has not connected yet knows nothing of the connection that is begun.
                self.excused |= self.ended.is_none();
                self.reply(Transmit::reset_for(seg));
            }
            Conn::Listen => self.at_listener(seg, now),
            Conn::Half(half) => {
                let half = *half;
                events = self.at_entry(half, seg, now);
            }
            Conn::Open(_) => events = self.at_connection(seg, now),
            Conn::TimeWait(tw) => {
                let (length, rfc1337) = (self.config.time_wait, self.config.rfc1337);
                match tw.on_segment(seg, length, rfc1337, now) {
                    time_wait::Verdict::Ignore => {}
                    time_wait::Verdict::Ack(out) => {
                        let text = seg.seq_len() > 0 && !seg.has_syn();
                        if text || self.may_answer(now) {
                            self.reply(Some(out));
                        }
                    }
                    time_wait::Verdict::End => self.finish(End::Error(Error::Reset)),
                    time_wait::Verdict::Reopen(floor) if self.listening => {
                        self.finish(End::Orderly);
                        self.reopened = true;
                        self.iss = self.iss.max(floor + 1);
                        self.at_listener(seg, now);
                    }
                    // Nobody is there to open another: this one is not over.
                    time_wait::Verdict::Reopen(_) => {
                        let ack = tw.ack(now);
                        if self.may_answer(now) {
                            self.reply(Some(ack));
                        }
                    }
                }
            }
        }
        // What is not acceptable is no sign of life.
        if events.dropped.is_none() {
            self.heard = now;
        }
        self.rx.segment.clear();
        self.flush(now);
        events
    }

    fn at_listener(&mut self, seg: &Segment, now: Instant) {
        match on_listen(seg) {
            ListenVerdict::Ignore => {}
            ListenVerdict::Reset(out) => self.reply(Some(out)),
            ListenVerdict::Open => {
                // The text of the SYN is with the new connection.
                let text = std::mem::take(&mut self.rx.segment);
                self.begin(now);
                self.rx.segment = text;
                let ids = self.identity();
                let answer = self.fast_open.map(|policy| judge(seg, &policy));
                if answer.is_some_and(|answer| answer.accept) {
                    let rx = &mut self.rx;
                    let (tcb, _) = Tcb::accept_fast(&self.config, seg, ids, rx, now);
                    self.conn = Conn::Open(Box::new(tcb));
                    return;
                }
                let half = SynReceived::new(&self.config, seg, ids, now);
                self.conn = Conn::Half(half);
                let mut out = half.syn_ack(&self.config, now);
                if let Some(cookie) = answer.and_then(|answer| answer.offer) {
                    out.options.add_fast_open(cookie);
                }
                self.reply(Some(out));
            }
        }
    }

    fn at_entry(&mut self, half: SynReceived, seg: &Segment, now: Instant) -> Events {
        match half.on_segment(&self.config, seg, now) {
            syn_received::Verdict::Ignore => {}
            syn_received::Verdict::SynAck => {
                if self.may_answer(now) {
                    self.reply(Some(half.syn_ack(&self.config, now)));
                }
            }
            syn_received::Verdict::Reply(out) => {
                if out.flags.has(Flags::RST) || self.may_answer(now) {
                    self.reply(Some(out));
                }
            }
            syn_received::Verdict::Remove => self.finish(End::Error(Error::Reset)),
            syn_received::Verdict::Complete => {
                let tcb = half.into_tcb(&self.config, seg, now);
                self.expect(
                    tcb.state() == State::Established,
                    "the third segment made no connection",
                );
                self.conn = Conn::Open(Box::new(tcb));
                self.opened = true;
                return self.at_connection(seg, now);
            }
        }
        Events::default()
    }

    /// Whether an entry may answer a segment that should not be: an entry in SYN-RECEIVED and one in
    /// TIME-WAIT would else answer each other for ever.
    fn may_answer(&mut self, now: Instant) -> bool {
        let may = self
            .answered
            .is_none_or(|at| now.since(at) >= ANSWER_INTERVAL);
        if may {
            self.answered = Some(now);
        }
        may
    }

    fn at_connection(&mut self, seg: &Segment, now: Instant) -> Events {
        let Conn::Open(tcb) = &mut self.conn else {
            return Events::default();
        };
        let before = Mark::of(tcb);
        let events = tcb.on_segment(&self.config, seg, &mut self.rx, now);
        self.apply(before, Cause::Segment(seg), events, now);
        events
    }

    /// Time has passed.
    pub fn timer(&mut self, now: Instant) {
        match &mut self.conn {
            Conn::Half(half) => match half.on_timer(&self.config, now) {
                TimerVerdict::NotYet => {}
                TimerVerdict::SynAck => {
                    let out = half.syn_ack(&self.config, now);
                    self.reply(Some(out));
                }
                TimerVerdict::GiveUp => {
                    self.excused = true;
                    self.finish(End::Error(Error::TimedOut));
                }
            },
            Conn::Open(tcb) => {
                let before = Mark::of(tcb);
                let events = tcb.on_timer(&self.config, &mut self.rx, now);
                self.apply(before, Cause::Timer, events, now);
            }
            Conn::TimeWait(tw) if tw.deadline() <= now => self.finish(End::Orderly),
            _ => {}
        }
        self.flush(now);
    }

    fn identity(&self) -> Identity {
        Identity {
            iss: self.iss,
            ts_offset: self.ts_offset,
        }
    }

    /// Buffers of a new connection.
    fn begin(&mut self, now: Instant) {
        self.rx = Rx::new(self.room, 0);
        self.send.clear();
        self.written.clear();
        self.got.clear();
        self.eof = false;
        self.opened = false;
        self.waited = false;
        self.passive = false;
        self.ended = None;
        self.shut = false;
        self.gone = false;
        self.deaf = false;
        self.crowded = false;
        self.heard = now;
        self.moved = now;
        self.edge = None;
        self.scale = 0;
        self.starved = false;
        self.answered = None;
    }

    fn finish(&mut self, end: End) {
        self.ended = Some(end);
        self.iss += self.iss_step;
        self.conn = if self.listening {
            Conn::Listen
        } else {
            Conn::Closed
        };
    }

    fn apply(&mut self, before: Mark, cause: Cause<'_>, events: Events, now: Instant) {
        let Conn::Open(tcb) = &self.conn else { return };
        let after = Mark::of(tcb);
        self.scale = tcb.scales().1;
        self.opened |= events.connected;
        self.check_step(&before, &after, cause, &events, now);
        if after.snd_una != before.snd_una {
            self.moved = now;
        }
        if let (Cause::Segment(seg), Some(Drop::NoRoom)) = (cause, events.dropped) {
            self.starved |= seg.text_start().at_or_before(before.rcv_nxt);
        }
        self.passive |= after.state == State::CloseWait;
        let acked = self.send.len().min(events.acked as usize);
        self.send.drain(..acked);
        self.eof |= events.peer_closed;
        self.reply(events.reply);
        if let Some(tw) = events.time_wait {
            self.waited = true;
            self.conn = Conn::TimeWait(tw);
        } else if events.closed {
            let acknowledged = before.state == State::LastAck && matches!(cause, Cause::Segment(_));
            self.finish(match events.error {
                Some(error) => End::Error(error),
                None if acknowledged && events.reply.is_none() => End::Orderly,
                None => End::Aborted,
            });
        }
    }
}
