// SPDX-License-Identifier: GPL-2.0

//! A host: one connection of the real core, its buffers and its application.

use super::app::{stream_byte, App, Call};
use super::oracle::Oracle;
use super::params::Host as Params;
use crate::support::bytes;
use crate::support::rng::Rng;
use crate::support::rx::Rx;
use oxtcp_core::tcp::config::{Config, Identity};
use oxtcp_core::tcp::events::{Error, Events};
use oxtcp_core::tcp::segment::{Flags, Segment, Transmit};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::syn_received::{self, on_listen, ListenVerdict, SynReceived, TimerVerdict};
use oxtcp_core::tcp::tcb::TxLimits;
use oxtcp_core::tcp::time::{Duration, Instant};
use oxtcp_core::tcp::time_wait::{self, TimeWait};
use oxtcp_core::tcp::{ReceiveQueue, Tcb};
use std::collections::VecDeque;

/// More segments than this at one moment are an endless loop.
const MOST_AT_ONCE: usize = 100_000;

/// What the ends of the connection know of it.
pub enum Conn {
    Listen,
    Half(SynReceived),
    Open(Box<Tcb>),
    TimeWait(TimeWait),
    Closed,
}

/// A host. What it sends waits in `outbox`.
pub struct Host {
    pub id: usize,
    pub params: Params,
    pub conn: Conn,
    pub limits: TxLimits,
    pub app: App,
    pub rx: Rx,
    pub oracle: Oracle,
    pub outbox: Vec<(Transmit, Vec<u8>)>,
    pub error: Option<Error>,
    /// It had a connection, and has none any more.
    pub over: bool,
    seed: u64,
    accept_full: u32,
    send: VecDeque<u8>,
    rng: Rng,
    /// The peer's FIN is here.
    eof: bool,
}

impl Host {
    pub fn new(id: usize, p: &super::params::Params, mut rng: Rng) -> Self {
        let params = p.hosts[id];
        let mut rx = Rx::new(params.receive_buffer, params.overhead);
        rx.most_records = params.most_records;
        let app = App::new(params.app, p.hosts[1 - id].app.bytes, rng.fork());
        Self {
            id,
            params,
            conn: Conn::Closed,
            limits: TxLimits {
                mss: p.mss_at_first,
                max_run: params.max_run,
            },
            app,
            rx,
            oracle: Oracle::new(params.most_records < 1024),
            outbox: Vec::new(),
            error: None,
            over: false,
            seed: p.seed,
            accept_full: p.accept_full,
            send: VecDeque::new(),
            rng,
            eof: false,
        }
    }

    fn config(&self) -> Config {
        self.params.config
    }

    fn identity(&self) -> Identity {
        Identity {
            iss: SeqNumber(self.params.iss),
            ts_offset: self.params.ts_offset,
        }
    }

    pub fn listen(&mut self) {
        self.conn = Conn::Listen;
    }

    pub fn connect(&mut self, now: Instant) {
        let tcb = Tcb::connect(&self.config(), self.identity(), now);
        self.conn = Conn::Open(Box::new(tcb));
        self.flush(now);
    }

    /// The state, as a table of sockets would show it.
    pub fn state(&self) -> State {
        match &self.conn {
            Conn::Listen => State::Listen,
            Conn::Half(_) => State::SynReceived,
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

    pub fn deadline(&self) -> Option<Instant> {
        match &self.conn {
            Conn::Half(half) => Some(half.deadline()),
            Conn::Open(tcb) => tcb.deadline(),
            Conn::TimeWait(tw) => Some(tw.deadline()),
            Conn::Listen | Conn::Closed => None,
        }
    }

    pub fn on_segment(&mut self, seg: &Segment, text: Vec<u8>, now: Instant) {
        self.rx.segment = text;
        self.rx.fail = self.rng.chance(self.params.no_room);
        if self.rng.chance(self.params.renege) {
            self.rx.renege();
        }
        let config = self.config();
        match &mut self.conn {
            Conn::Listen => match on_listen(seg) {
                ListenVerdict::Ignore => {}
                ListenVerdict::Reset(out) => self.reply(out),
                ListenVerdict::Open => {
                    let half = SynReceived::new(&config, seg, self.identity(), now);
                    let out = half.syn_ack(&config, now);
                    self.conn = Conn::Half(half);
                    self.reply(out);
                }
            },
            Conn::Half(half) => {
                let half = *half;
                self.on_half(half, seg, now);
            }
            Conn::Open(_) => self.on_open(seg, now),
            Conn::TimeWait(tw) => match tw.on_segment(seg, config.time_wait, config.rfc1337, now) {
                time_wait::Verdict::Ignore => {}
                time_wait::Verdict::Ack(out) => self.reply(out),
                time_wait::Verdict::End => self.finish(),
                time_wait::Verdict::Reopen(_) => panic!("an old SYN reopened the connection"),
            },
            Conn::Closed => {
                if let Some(out) = Transmit::reset_for(seg) {
                    self.reply(out);
                }
            }
        }
        self.work(now);
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

    fn on_half(&mut self, mut half: SynReceived, seg: &Segment, now: Instant) {
        let config = self.config();
        match half.on_segment(&config, seg, now) {
            syn_received::Verdict::Ignore => {}
            syn_received::Verdict::SynAck => {
                half.on_syn_again(seg);
                self.conn = Conn::Half(half);
                let out = half.syn_ack(&config, now);
                self.reply(out);
            }
            syn_received::Verdict::Reply(out) => self.reply(out),
            syn_received::Verdict::Remove => self.finish(),
            syn_received::Verdict::Complete => {
                if self.rng.chance(self.accept_full) {
                    return;
                }
                self.conn = Conn::Open(Box::new(half.into_tcb(&config, seg, now)));
                self.on_open(seg, now);
            }
        }
    }

    fn on_open(&mut self, seg: &Segment, now: Instant) {
        let config = self.config();
        let Conn::Open(tcb) = &mut self.conn else {
            return;
        };
        self.oracle.before(tcb);
        let events = tcb.on_segment(&config, seg, &mut self.rx, now);
        self.oracle.arrived(tcb, seg, &events);
        self.apply(events);
    }

    pub fn on_timer(&mut self, now: Instant) {
        let config = self.config();
        match &mut self.conn {
            Conn::Half(half) => match half.on_timer(&config, now) {
                TimerVerdict::NotYet => {}
                TimerVerdict::SynAck => {
                    let out = half.syn_ack(&config, now);
                    self.reply(out);
                }
                TimerVerdict::GiveUp => self.finish(),
            },
            Conn::Open(tcb) => {
                self.oracle.before(tcb);
                let events = tcb.on_timer(&config, &mut self.rx, now);
                self.apply(events);
            }
            Conn::TimeWait(tw) if tw.deadline() <= now => self.finish(),
            _ => {}
        }
        self.work(now);
    }

    /// Lets the application do what it can, and sends what that brings about.
    pub fn work(&mut self, now: Instant) {
        self.flush(now);
        while self.app_step(now) {
            self.flush(now);
        }
    }

    fn app_step(&mut self, now: Instant) -> bool {
        let config = self.config();
        let us = now.us();
        self.app.asked_at = us;
        if self.rx.readable() > 0 || self.eof || self.error.is_some() {
            let wanted = self.app.wants_to_read(us);
            if wanted > 0 && self.rx.readable() > 0 {
                self.read(wanted, us);
                if let Conn::Open(tcb) = &mut self.conn {
                    let emptied = self.rx.readable() == 0;
                    tcb.on_receive(&config, &self.rx, emptied);
                }
                return true;
            }
            self.app.at_end |= self.rx.readable() == 0 && self.eof;
        }
        if self.error.is_some() && self.rx.readable() == 0 {
            self.app.closed = true;
        }
        let Conn::Open(tcb) = &mut self.conn else {
            // TIME-WAIT, or no connection: closing is all that is left.
            self.app.closed |= self.rx.readable() == 0 && self.over;
            if matches!(self.conn, Conn::TimeWait(_)) {
                self.app.closed |= self.app.next_call(0, us) == Call::Close;
            }
            return false;
        };
        if !tcb.state().is_synchronized() {
            return false;
        }
        let room = self.params.send_buffer.saturating_sub(self.send.len());
        let events = match self.app.next_call(room, us) {
            Call::Wait => return false,
            Call::Send(n) => {
                let at = self.app.written;
                let bytes = (at..at + n as u64).map(|i| stream_byte(self.seed, self.id, i));
                self.send.extend(bytes);
                self.app.wrote(n, us);
                tcb.on_send(n as u32, self.rng.chance(100));
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
        for (i, byte) in got.iter().enumerate() {
            let at = from + i as u64;
            let expected = stream_byte(self.seed, 1 - self.id, at);
            assert!(
                *byte == expected,
                "host {} read a wrong byte at {at}",
                self.id
            );
        }
        assert!(
            from + got.len() as u64 <= self.app.expected,
            "more text than was ever written"
        );
        self.app.took(got.len(), us);
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
        self.outbox.push((out, Vec::new()));
    }

    fn flush(&mut self, now: Instant) {
        let config = self.config();
        let Conn::Open(tcb) = &mut self.conn else {
            return;
        };
        let mut count = 0;
        while let Some(out) = tcb.poll_transmit(&config, &mut self.rx, &self.limits, now) {
            count += 1;
            assert!(
                count < MOST_AT_ONCE,
                "poll_transmit goes on for ever: {out:?}"
            );
            let text = if out.len > 0 {
                let from = out.seq.since(tcb.snd_una()) as usize;
                self.send
                    .range(from..from + out.len as usize)
                    .copied()
                    .collect()
            } else {
                Vec::new()
            };
            self.oracle.transmitted(tcb, &self.rx, &out);
            self.outbox.push((out, text));
        }
        let slack = Duration::from_us(self.params.slack);
        self.oracle.settled(tcb, slack, now);
    }

    /// Segments of the outbox, as bytes; a run in one piece if the path takes it so.
    pub fn take_outbox(&mut self, runs: bool) -> Vec<Vec<u8>> {
        let ports = if self.id == 0 {
            (40_000, 80)
        } else {
            (80, 40_000)
        };
        let mut all = Vec::new();
        for (out, text) in self.outbox.drain(..) {
            if runs {
                all.push(bytes::emit(&out, ports, &text));
                continue;
            }
            for (out, text) in bytes::split(&out, &text) {
                all.push(bytes::emit(&out, ports, &text));
            }
        }
        all
    }
}
