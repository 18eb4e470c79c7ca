// SPDX-License-Identifier: GPL-2.0

//! An endpoint: whatever a connection is at present (a listener, an entry in SYN-RECEIVED, a control
//! block, an entry in TIME-WAIT) with its buffers, and what must hold of it after every event.
//!
//! It asserts nothing: what went wrong first is in [`Endpoint::fault`], so that a model check, a
//! fuzz target and a test can each tell of it in their own way.

use super::bytes;
use super::rx::Rx;
use oxtcp_core::tcp::config::{Config, Identity};
use oxtcp_core::tcp::events::{Error, Events};
use oxtcp_core::tcp::refused::Taken;
use oxtcp_core::tcp::segment::{Flags, Segment, Transmit};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::syn_received::{self, on_listen, ListenVerdict, SynReceived, TimerVerdict};
use oxtcp_core::tcp::tcb::TxLimits;
use oxtcp_core::tcp::time::{Duration, Instant};
use oxtcp_core::tcp::time_wait::{self, TimeWait};
use oxtcp_core::tcp::Tcb;
use std::collections::VecDeque;

/// More segments than this for one event are an endless loop.
const MOST_AT_ONCE: usize = 5_000;

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

/// What made the state change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    Segment,
    User,
    Timer,
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

/// What is compared before and after an event.
#[derive(Clone, Copy)]
struct Mark {
    state: State,
    snd_una: SeqNumber,
    rcv_nxt: SeqNumber,
    /// The right edge of the window that was offered.
    rcv_edge: SeqNumber,
}

impl Mark {
    fn of(tcb: &Tcb) -> Self {
        Self {
            state: tcb.state(),
            snd_una: tcb.snd_una(),
            rcv_nxt: tcb.rcv_nxt(),
            rcv_edge: tcb.rcv_nxt() + tcb.rcv_wnd(),
        }
    }
}

/// An endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub config: Config,
    pub limits: TxLimits,
    pub conn: Conn,
    /// A listener stays when a connection is over.
    pub listening: bool,
    pub iss: SeqNumber,
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
    pub ended: Option<End>,
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
            iss: SeqNumber(iss),
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
            ended: None,
            outbox: Vec::new(),
            answered: None,
            fault: None,
            room,
        }
    }

    /// All that tells what the endpoint will do, for `Debug`: what never changes is left out.
    pub fn variable(&self) -> impl std::fmt::Debug + '_ {
        let text = (&self.rx, &self.send, &self.written, &self.got);
        let flags = (self.eof, self.opened, self.waited, self.passive);
        (
            &self.conn,
            self.listening,
            self.iss,
            text,
            flags,
            (self.ended, self.answered),
        )
    }

    /// Remembers the first thing that does not hold.
    pub fn expect(&mut self, holds: bool, what: &'static str) {
        if !holds && self.fault.is_none() {
            self.fault = Some(what);
        }
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

    pub fn listen(&mut self) {
        self.listening = true;
        self.conn = Conn::Listen;
    }

    pub fn connect(&mut self, now: Instant) {
        self.begin();
        let ids = self.identity();
        self.conn = Conn::Open(Box::new(Tcb::connect(&self.config, ids, now)));
        self.flush(now);
    }

    /// The user writes; nothing happens where that is not allowed.
    pub fn write(&mut self, text: &[u8], more: bool, now: Instant) {
        let Conn::Open(tcb) = &mut self.conn else {
            return;
        };
        if tcb.state().may_send() {
            self.send.extend(text);
            self.written.extend(text);
            tcb.on_send(text.len() as u32, more);
            self.flush(now);
        }
    }

    /// The user reads up to `n` bytes.
    pub fn read(&mut self, n: usize, now: Instant) {
        let text = self.rx.read(n);
        self.got.extend(&text);
        if let Conn::Open(tcb) = &mut self.conn {
            if !text.is_empty() {
                tcb.on_receive(&self.config, &self.rx);
            }
        }
        self.flush(now);
    }

    pub fn shutdown(&mut self, now: Instant) {
        self.on_user(now, |tcb, _, _, _| tcb.shutdown_write());
    }

    pub fn close(&mut self, now: Instant) {
        if matches!(self.conn, Conn::Listen) {
            self.listening = false;
            self.conn = Conn::Closed;
        }
        self.on_user(now, |tcb, config, rx, now| {
            tcb.close(config, rx.readable() > 0, now)
        });
    }

    pub fn abort(&mut self, now: Instant) {
        self.on_user(now, |tcb, _, _, now| tcb.abort(now));
    }

    fn on_user(
        &mut self,
        now: Instant,
        call: impl FnOnce(&mut Tcb, &Config, &Rx, Instant) -> Events,
    ) {
        let Conn::Open(tcb) = &mut self.conn else {
            return;
        };
        let before = Mark::of(tcb);
        let events = call(tcb, &self.config, &self.rx, now);
        self.apply(before, Cause::User, events);
        self.flush(now);
    }

    /// A segment arrives; what happened to it, where there is a control block to say so.
    pub fn arrive(&mut self, packet: &Packet, now: Instant) -> Events {
        let seg = &packet.seg;
        self.rx.segment = packet.text.clone();
        let mut events = Events::default();
        match &mut self.conn {
            Conn::Closed => self.reply(Transmit::reset_for(seg)),
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
                    time_wait::Verdict::Reopen(floor) => {
                        self.finish(End::Orderly);
                        if self.listening {
                            self.iss = self.iss.max(floor + 1);
                            self.at_listener(seg, now);
                        }
                    }
                }
            }
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
                self.begin();
                let half = SynReceived::new(&self.config, seg, self.identity(), now);
                self.conn = Conn::Half(half);
                self.reply(Some(half.syn_ack(&self.config, now)));
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
        self.apply(before, Cause::Segment, events);
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
                TimerVerdict::GiveUp => self.finish(End::Error(Error::TimedOut)),
            },
            Conn::Open(tcb) => {
                let before = Mark::of(tcb);
                let events = tcb.on_timer(&self.config, &mut self.rx, now);
                self.apply(before, Cause::Timer, events);
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
    fn begin(&mut self) {
        self.rx = Rx::new(self.room, 0);
        self.send.clear();
        self.written.clear();
        self.got.clear();
        self.eof = false;
        self.opened = false;
        self.waited = false;
        self.passive = false;
        self.ended = None;
        self.answered = None;
    }

    fn finish(&mut self, end: End) {
        self.ended = Some(end);
        // The next connection's numbers are others (RFC 6528).
        self.iss += 1 << 16;
        self.conn = if self.listening {
            Conn::Listen
        } else {
            Conn::Closed
        };
    }

    fn apply(&mut self, before: Mark, cause: Cause, events: Events) {
        let Conn::Open(tcb) = &self.conn else { return };
        let after = Mark::of(tcb);
        let snd_nxt = tcb.snd_nxt();
        self.opened |= events.connected;
        self.expect(
            may_follow(cause, before.state, after.state),
            "a change of state that RFC 9293 does not have",
        );
        self.expect(
            after.snd_una.at_or_after(before.snd_una),
            "SND.UNA went back",
        );
        self.expect(
            after.snd_una.at_or_before(snd_nxt),
            "SND.UNA is beyond SND.NXT",
        );
        if before.state.is_synchronized() {
            self.expect(
                after.rcv_edge.at_or_after(before.rcv_edge),
                "the window that was offered shrank",
            );
            self.expect(
                after.rcv_nxt.at_or_after(before.rcv_nxt),
                "RCV.NXT went back",
            );
        }
        self.passive |= after.state == State::CloseWait;
        self.expect(
            events.acked as usize <= self.send.len(),
            "more was acknowledged than was written",
        );
        let acked = self.send.len().min(events.acked as usize);
        self.send.drain(..acked);
        self.expect(!(self.eof && events.readable), "text behind the peer's FIN");
        self.eof |= events.peer_closed;
        self.reply(events.reply);
        if let Some(tw) = events.time_wait {
            self.waited = true;
            self.conn = Conn::TimeWait(tw);
        } else if events.closed {
            let acknowledged = before.state == State::LastAck && cause == Cause::Segment;
            self.finish(match events.error {
                Some(error) => End::Error(error),
                None if acknowledged && events.reply.is_none() => End::Orderly,
                None => End::Aborted,
            });
        }
    }

    fn reply(&mut self, out: Option<Transmit>) {
        if let Some(out) = out {
            self.expect(out.len == 0, "text outside of the stream");
            self.post(&out, Vec::new());
        }
    }

    fn post(&mut self, out: &Transmit, text: Vec<u8>) {
        for (part, text) in bytes::split(out, &text) {
            let seg = Segment {
                src_port: 0,
                dst_port: 0,
                seq: part.seq,
                ack: part.ack,
                flags: part.flags,
                wnd: part.wnd,
                options: part.options,
                len: part.len,
                ..Segment::default()
            };
            self.outbox.push(Packet { seg, text });
        }
    }

    /// Sends what can be sent.
    fn flush(&mut self, now: Instant) {
        for _ in 0..MOST_AT_ONCE {
            let Conn::Open(tcb) = &mut self.conn else {
                return;
            };
            let next = tcb.poll_transmit(&self.config, &mut self.rx, &self.limits, now);
            let (una, nxt) = (tcb.snd_una(), tcb.snd_nxt());
            let (flight, armed) = (tcb.flight(), tcb.timer().is_some());
            if let Some(out) = next.filter(|_| self.full) {
                let refused = (&out, Taken::Part(0));
                tcb.on_taken(&self.config, &mut self.rx, refused, now);
                return;
            }
            let Some(out) = next else {
                self.expect(flight == 0 || armed, "something in flight and no timer");
                return;
            };
            self.expect(
                (out.seq + out.len).at_or_before(nxt),
                "a segment that ends beyond SND.NXT",
            );
            let mut text = Vec::new();
            if out.len > 0 {
                let at = out.seq.since(una) as usize;
                let end = at + out.len as usize;
                self.expect(
                    out.seq.at_or_after(una) && end <= self.send.len(),
                    "text that was never written is sent",
                );
                let end = end.min(self.send.len());
                text.extend(self.send.range(at.min(end)..end));
                text.resize(out.len as usize, 0);
            }
            self.post(&out, text);
        }
        self.expect(false, "no end of segments");
    }
}

/// Whether RFC 9293 (figure 5, and 3.10.7 where one segment does two things at once) lets a
/// connection go from one state to the other. Every state may end by a RST, an ABORT or a timer.
fn may_follow(cause: Cause, from: State, to: State) -> bool {
    use State::*;
    if from == to || to == Closed {
        return true;
    }
    match cause {
        Cause::Segment => match from {
            SynSent => matches!(to, SynReceived | Established | CloseWait),
            SynReceived => matches!(
                to,
                // With the user's CLOSE pending the ACK leads to FIN-WAIT-1, a FIN on it further.
                Established | CloseWait | FinWait1 | Closing
            ),
            Established => to == CloseWait,
            FinWait1 => matches!(to, FinWait2 | Closing | TimeWait),
            FinWait2 | Closing => to == TimeWait,
            _ => false,
        },
        Cause::User => matches!((from, to), (Established, FinWait1) | (CloseWait, LastAck)),
        Cause::Timer => false,
    }
}
