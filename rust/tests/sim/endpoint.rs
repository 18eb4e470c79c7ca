// SPDX-License-Identifier: GPL-2.0

//! One end of a connection: the real core, its buffers and its application. All calls of the core's
//! control block are here.

use super::app::{App, Call};
use super::oracle::Oracle;
use super::packet::{self, Ends, Packet};
use super::params::{Flow, Side};
use super::stream::Stream;
use crate::support::rng::Rng;
use crate::support::rx::Rx;
use oxtcp_core::tcp::config::{Config, Identity};
use oxtcp_core::tcp::events::{Error, Events};
use oxtcp_core::tcp::refused::Taken;
use oxtcp_core::tcp::segment::{Flags, Segment, Transmit};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::small_queue::DeviceQueue;
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::syn_received::SynReceived;
use oxtcp_core::tcp::tcb::TxLimits;
use oxtcp_core::tcp::time::{Duration, Instant};
use oxtcp_core::tcp::time_wait::{self, TimeWait};
use oxtcp_core::tcp::user::IcmpVerdict;
use oxtcp_core::tcp::{ReceiveQueue, Tcb};
use std::collections::VecDeque;

/// More segments than this at one moment are an endless loop.
const MOST_AT_ONCE: usize = 100_000;
/// Records of what was sent that always suffice.
const MOST_RECORDS: usize = 1024;
/// Wake-ups at one moment that are one.
const MOST_WAKES: u32 = 20;

/// What the end knows of the connection.
pub enum Conn {
    Open(Box<Tcb>),
    TimeWait(TimeWait),
    Closed,
}

/// Where an end is in the network.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub ends: Ends,
    /// The line takes runs.
    pub runs: bool,
    /// Path MTU less fixed headers.
    pub mss: u16,
}

/// What a segment did to a connection that has ended.
pub enum Outcome {
    Taken,
    /// It is the SYN of a new connection, whose ISS must come after this number.
    Reopen(SeqNumber),
}

/// An end. What it sends waits in `outbox`.
pub struct Endpoint {
    /// Which end of which connection of the plan.
    pub flow: usize,
    pub side: usize,
    pub place: Place,
    pub conn: Conn,
    pub app: App,
    pub oracle: Oracle,
    pub outbox: Vec<Packet>,
    pub error: Option<Error>,
    /// It had a connection, and has none any more.
    pub over: bool,
    /// The application has the socket.
    pub accepted: bool,
    /// The wake-up that is on its way, µs.
    pub scheduled: Option<u64>,
    /// SND.NXT, last it was seen.
    pub last_sent: Option<SeqNumber>,
    /// It has been counted as finished.
    pub counted: bool,
    params: Side,
    limits: TxLimits,
    rx: Rx,
    send: VecDeque<u8>,
    streams: [Stream; 2],
    rng: Rng,
    id: u16,
    /// The peer's FIN is here.
    eof: bool,
    /// Wake-ups at the moment `.0`.
    wakes: (u64, u32),
}

impl Endpoint {
    fn new(seed: u64, flow: (usize, &Flow), side: usize, place: Place) -> Self {
        let (flow, plan) = flow;
        let params = plan.sides[side];
        let streams = [0, 1].map(|s| Stream::new(seed, flow, s));
        let mut rng = Rng::new(seed ^ ((flow * 2 + side) as u64) << 20);
        let app = App::new(params.app, plan.sides[1 - side].app.bytes, rng.fork());
        let mut rx = Rx::new(params.receive_buffer, params.overhead);
        rx.most_records = params.most_records;
        Self {
            flow,
            side,
            place,
            conn: Conn::Closed,
            app,
            oracle: Oracle::new(params.most_records < MOST_RECORDS),
            outbox: Vec::new(),
            error: None,
            over: false,
            accepted: true,
            scheduled: None,
            last_sent: None,
            counted: false,
            params,
            limits: TxLimits {
                mss: place.mss,
                max_run: params.max_run,
                queue: DeviceQueue::default(),
            },
            rx,
            send: VecDeque::new(),
            streams,
            rng,
            id: 0,
            eof: false,
            wakes: (0, 0),
        }
    }

    /// An active open.
    pub fn connect(
        seed: u64,
        flow: (usize, &Flow),
        side: usize,
        place: Place,
        ids: Identity,
        now: Instant,
    ) -> Self {
        let mut end = Self::new(seed, flow, side, place);
        let tcb = Tcb::connect(&end.params.config, ids, now);
        end.conn = Conn::Open(Box::new(tcb));
        end.flush(now);
        end
    }

    /// A passive open that `seg` completes. The application does not have it yet.
    pub fn accept(
        seed: u64,
        flow: (usize, &Flow),
        place: Place,
        half: SynReceived,
        seg: &Segment,
        text: &[u8],
        now: Instant,
    ) -> Self {
        let mut end = Self::new(seed, flow, 1, place);
        end.accepted = false;
        end.conn = Conn::Open(Box::new(half.into_tcb(&end.params.config, seg, now)));
        end.rx.segment = text.to_vec();
        end.on_open(seg, now);
        end.work(now);
        end
    }

    fn config(&self) -> Config {
        self.params.config
    }

    /// The state, as a table of sockets would show it.
    pub fn state(&self) -> State {
        match &self.conn {
            Conn::Open(tcb) => tcb.state(),
            Conn::TimeWait(_) => State::TimeWait,
            Conn::Closed => State::Closed,
        }
    }

    /// All that the core knows, for a report.
    pub fn dump(&self) -> String {
        let tcb = match &self.conn {
            Conn::Open(tcb) => format!("{tcb:?}"),
            _ => format!("{:?}", self.state()),
        };
        let (readable, early) = (self.rx.readable(), self.rx.early());
        format!(
            "readable {readable} early {early} room {} {tcb}",
            self.rx.space()
        )
    }

    /// Nothing will come of it any more.
    pub fn is_finished(&self) -> bool {
        self.over && self.app.closed
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.conn {
            Conn::Open(tcb) => tcb.deadline(),
            Conn::TimeWait(tw) => Some(tw.deadline()),
            Conn::Closed => None,
        }
    }

    /// When it wants to be called next, µs.
    pub fn wakes_at(&self) -> Option<u64> {
        let timer = self.deadline().map(|at| at.us() + self.params.slack);
        let app = self.app.wakes_at().filter(|_| self.accepted);
        timer.into_iter().chain(app).min()
    }

    /// The moment that [`Endpoint::wakes_at`] named has come.
    pub fn wake(&mut self, now: Instant) {
        self.wakes = match self.wakes {
            (at, n) if at == now.us() => (at, n + 1),
            _ => (now.us(), 0),
        };
        assert!(self.wakes.1 < MOST_WAKES, "timers fire without end");
        if self.deadline().is_some_and(|at| at <= now) {
            self.on_timer(now);
        } else {
            self.work(now);
        }
    }

    fn on_timer(&mut self, now: Instant) {
        let config = self.config();
        match &mut self.conn {
            Conn::Open(tcb) => {
                self.oracle.before(tcb);
                self.oracle.timer(now);
                let events = tcb.on_timer(&config, &mut self.rx, now);
                self.oracle.expired(tcb, &events);
                self.apply(events);
            }
            Conn::TimeWait(tw) if tw.deadline() <= now => self.finish(),
            _ => {}
        }
        self.work(now);
    }

    /// A segment arrived.
    pub fn on_segment(&mut self, seg: &Segment, text: &[u8], now: Instant) -> Outcome {
        self.rx.segment.clear();
        self.rx.segment.extend_from_slice(text);
        self.rx.fail = self.rng.chance(self.params.no_room);
        if self.rng.chance(self.params.renege) {
            self.rx.renege();
        }
        let config = self.config();
        match &mut self.conn {
            Conn::Open(_) => self.on_open(seg, now),
            Conn::TimeWait(tw) => {
                self.oracle.arrived_late(seg);
                match tw.on_segment(seg, config.time_wait, config.rfc1337, now) {
                    time_wait::Verdict::Ignore => {}
                    time_wait::Verdict::Ack(out) => self.reply(out),
                    time_wait::Verdict::End => self.finish(),
                    time_wait::Verdict::Reopen(floor) => return Outcome::Reopen(floor),
                }
            }
            Conn::Closed => {}
        }
        self.work(now);
        Outcome::Taken
    }

    fn on_open(&mut self, seg: &Segment, now: Instant) {
        let config = self.config();
        let Conn::Open(tcb) = &mut self.conn else {
            return;
        };
        self.oracle.before(tcb);
        let events = tcb.on_segment(&config, seg, &mut self.rx, now);
        self.oracle.arrived(tcb, seg, &events, now);
        if self.rx.fail && seg.len > 0 {
            self.oracle.ran_out();
        }
        self.apply(events);
    }

    /// A router says that a segment of ours with the number `seq` is larger than its MTU; `mss` is
    /// what fits. Returns whether it is believed.
    pub fn on_too_big(&mut self, seq: SeqNumber, mss: u16, now: Instant) -> bool {
        let Conn::Open(tcb) = &mut self.conn else {
            return false;
        };
        if !tcb.is_in_flight(seq) || mss >= self.limits.mss {
            return false;
        }
        self.limits.mss = mss;
        tcb.on_mtu_reduced(&mut self.rx, mss);
        self.work(now);
        true
    }

    /// An ICMP error that quotes what is not in flight must do nothing (RFC 5927 4.1).
    pub fn check_blind_icmp(&mut self) {
        let Conn::Open(tcb) = &mut self.conn else {
            return;
        };
        let seq = tcb.snd_nxt() + 1;
        let (verdict, events) = tcb.on_icmp(seq, true);
        assert!(verdict == IcmpVerdict::Ignore && events == Events::default());
    }

    /// The interface's MTU has changed.
    pub fn set_mss(&mut self, mss: u16) {
        self.limits.mss = mss;
    }

    /// A RST or SYN of an attacker who knows the window, but not RCV.NXT: it must do no harm
    /// (RFC 5961).
    pub fn forged(&mut self) -> Option<Segment> {
        let Conn::Open(tcb) = &self.conn else {
            return None;
        };
        let wnd = u64::from(tcb.rcv_wnd());
        if !tcb.state().is_synchronized() || !self.rng.chance(self.params.attack) {
            return None;
        }
        let flags = self
            .rng
            .pick(&[Flags::RST, Flags::SYN, Flags::SYN | Flags::ACK]);
        let ahead = self.rng.range(1, wnd + 1) as u32;
        Some(Segment {
            seq: tcb.rcv_nxt() + ahead,
            ack: tcb.snd_una(),
            flags,
            ..Segment::default()
        })
    }

    /// Whether a new connection may take the ports of this one, when it is opened from here.
    pub fn may_reuse(&self, now: Instant) -> bool {
        match &self.conn {
            Conn::Open(_) => false,
            Conn::TimeWait(tw) => tw.may_reuse(self.params.config.time_wait, now),
            Conn::Closed => true,
        }
    }

    /// Another connection takes its ports.
    pub fn replace(&mut self, now: Instant) {
        self.finish();
        self.work(now);
    }

    /// Lets the application do what it can, and sends what that brings about.
    pub fn work(&mut self, now: Instant) {
        self.flush(now);
        while self.accepted && self.app_step(now) {
            self.flush(now);
        }
    }

    fn app_step(&mut self, now: Instant) -> bool {
        let us = now.us();
        self.app.asked_at = us;
        if self.rx.readable() > 0 || self.eof || self.error.is_some() {
            let wanted = self.app.wants_to_read(us);
            if wanted > 0 && self.rx.readable() > 0 {
                self.read(wanted, us);
                return true;
            }
            self.app.at_end |= self.rx.readable() == 0 && self.eof;
        }
        if self.error.is_some() && self.rx.readable() == 0 {
            self.app.closed = true;
        }
        match &self.conn {
            Conn::Open(tcb) if tcb.state().is_synchronized() => self.app_write(now),
            Conn::Open(_) => false,
            // TIME-WAIT, or no connection: closing is all that is left.
            Conn::TimeWait(_) => {
                self.app.closed |= self.rx.readable() == 0 && self.over;
                self.app.closed |= self.app.next_call(0, us) == Call::Close;
                false
            }
            Conn::Closed => {
                self.app.closed |= self.rx.readable() == 0 && self.over;
                false
            }
        }
    }

    fn app_write(&mut self, now: Instant) -> bool {
        let config = self.config();
        let Conn::Open(tcb) = &mut self.conn else {
            return false;
        };
        let us = now.us();
        let free = self.params.send_buffer.saturating_sub(self.send.len());
        // A writer is woken when a third of the buffer is free (`sk_stream_is_writeable`): to write
        // into whatever room comes would be a silly window of the user's own.
        let room = if free < self.params.send_buffer / 3 {
            0
        } else {
            free
        };
        let events = match self.app.next_call(room, us) {
            Call::Wait => return false,
            Call::Send(n) => {
                let stream = self.streams[self.side];
                stream.write(self.app.written, n, &mut self.send);
                self.app.wrote(n, us);
                tcb.on_send(n as u32, self.rng.chance(100));
                if self.rng.chance(self.params.urgent) {
                    tcb.on_send_urgent();
                }
                return true;
            }
            Call::ShutdownWrite => {
                self.app.shut = true;
                tcb.shutdown_write()
            }
            Call::Close => {
                self.app.closed = true;
                tcb.close(&config, self.rx.readable() > 0, now)
            }
            Call::Abort => {
                self.app.closed = true;
                tcb.abort(now)
            }
        };
        self.apply(events);
        true
    }

    fn read(&mut self, wanted: usize, us: u64) {
        let from = self.app.read;
        let got = self.rx.read(wanted);
        let stream = self.streams[1 - self.side];
        assert!(
            stream.is(from, &got),
            "read a wrong byte between {from} and {}",
            from + got.len() as u64
        );
        assert!(
            from + got.len() as u64 <= self.app.expected,
            "more text than was ever written"
        );
        self.app.took(got.len(), us);
        self.oracle.read();
        let config = self.config();
        if let Conn::Open(tcb) = &mut self.conn {
            tcb.forget_passed_urgent(self.rx.readable() as u32);
            tcb.on_receive(&config, &self.rx);
        }
    }

    fn apply(&mut self, events: Events) {
        assert!(
            events.acked as usize <= self.send.len(),
            "acked what was not queued"
        );
        self.send.drain(..events.acked as usize);
        self.eof |= events.peer_closed;
        if let Some(out) = events.reply {
            self.reply(out);
        }
        self.error = self.error.or(events.error);
        if let Some(tw) = events.time_wait {
            assert!(self.send.is_empty(), "TIME-WAIT with text unacknowledged");
            self.conn = Conn::TimeWait(tw);
        }
        if events.closed {
            self.finish();
        }
    }

    fn finish(&mut self) {
        self.conn = Conn::Closed;
        self.over = true;
    }

    fn reply(&mut self, out: Transmit) {
        self.oracle.replied(&out);
        self.emit(&out);
    }

    fn emit(&mut self, out: &Transmit) {
        let Place { ends, runs, .. } = self.place;
        let text = match &self.conn {
            Conn::Open(tcb) if out.len > 0 => {
                let from = out.seq.since(tcb.snd_una()) as usize;
                let to = from + out.len as usize;
                assert!(to <= self.send.len(), "sent what was not queued");
                packet::part(self.send.as_slices(), from, to)
            }
            _ => [&[][..]; 2],
        };
        packet::emit(&ends, out, text, runs, &mut self.id, &mut self.outbox);
    }

    fn flush(&mut self, now: Instant) {
        let config = self.config();
        let mut count = 0;
        while let Conn::Open(tcb) = &mut self.conn {
            self.oracle.fetches(tcb);
            let Some(out) = tcb.poll_transmit(&config, &mut self.rx, &self.limits, now) else {
                let slack = Duration::from_us(self.params.slack);
                self.oracle.settled(tcb, &config, slack, now);
                return;
            };
            count += 1;
            assert!(
                count < MOST_AT_ONCE,
                "poll_transmit goes on for ever: {out:?}"
            );
            self.oracle.transmitted(&config, tcb, &self.rx, &out);
            let taken = if self.rng.chance(self.params.refuse) {
                Taken::Part(whole_part(&out, &mut self.rng))
            } else {
                Taken::All
            };
            self.oracle.fetches(tcb);
            tcb.on_taken(&config, &mut self.rx, (&out, taken), now);
            self.last_sent = Some(tcb.snd_nxt());
            let Taken::Part(len) = taken else {
                self.emit(&out);
                continue;
            };
            self.oracle.refused(tcb, &out, out.len - len);
            if len > 0 {
                let flags = out.flags.without(Flags::FIN);
                self.emit(&Transmit { len, flags, ..out });
            }
            return;
        }
    }
}

/// The text of some of the segments of a run, not of all, bytes.
fn whole_part(out: &Transmit, rng: &mut Rng) -> u32 {
    let mss = u32::from(out.mss).max(1);
    let segments = out.len.div_ceil(mss);
    rng.range(0, u64::from(segments.max(1)) - 1) as u32 * mss
}
