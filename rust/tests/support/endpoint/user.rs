// SPDX-License-Identifier: GPL-2.0

//! What the user of an endpoint calls.

use super::invariants::{Cause, Mark};
use super::{Conn, Endpoint, Rx};
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::events::Events;
use oxtcp_core::tcp::fast_open::Opening;
use oxtcp_core::tcp::time::Instant;
use oxtcp_core::tcp::Tcb;

impl Endpoint {
    pub fn listen(&mut self) {
        self.listening = true;
        self.conn = Conn::Listen;
    }

    pub fn connect(&mut self, now: Instant) {
        self.begin(now);
        let ids = self.identity();
        self.conn = Conn::Open(Box::new(Tcb::connect(&self.config, ids, now)));
        self.flush(now);
    }

    /// The same with a SYN that may have text (RFC 7413).
    pub fn connect_fast(&mut self, opening: Opening, text: &[u8], now: Instant) {
        self.begin(now);
        let mut tcb = Tcb::connect(&self.config, self.identity(), now);
        self.send.extend(text);
        self.written.extend(text);
        tcb.on_send(text.len() as u32, false);
        let mut syn = tcb.open_fast(&self.config, opening, u32::MAX, &self.limits, now);
        syn.mss = syn.len as u16;
        let text = self.send.range(..syn.len as usize).copied().collect();
        self.conn = Conn::Open(Box::new(tcb));
        self.post(&syn, text);
        self.flush(now);
    }

    /// The user writes; nothing happens where that is not allowed.
    pub fn write(&mut self, text: &[u8], more: bool, now: Instant) {
        let Conn::Open(tcb) = &mut self.conn else {
            return;
        };
        let early = tcb.is_passive_fast_open() && !self.shut;
        if tcb.state().may_send() || early {
            self.send.extend(text);
            self.written.extend(text);
            tcb.on_send(text.len() as u32, more);
            self.flush(now);
        }
    }

    /// The same, with the last byte urgent.
    pub fn write_urgent(&mut self, text: &[u8], now: Instant) {
        let Conn::Open(tcb) = &mut self.conn else {
            return;
        };
        if tcb.state().may_send() && !text.is_empty() {
            self.send.extend(text);
            self.written.extend(text);
            tcb.on_send(text.len() as u32, false);
            tcb.on_send_urgent();
            self.flush(now);
        }
    }

    /// The user reads no more, though it may write.
    pub fn stop_reading(&mut self) {
        if let Conn::Open(tcb) = &mut self.conn {
            self.excused = true;
            self.deaf = true;
            tcb.shutdown_read();
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
        self.shut = true;
        self.on_user(Cause::User, now, |tcb, _, _, _| tcb.shutdown_write());
    }

    /// The user closes, and what the peer may still say is refused.
    pub fn close(&mut self, now: Instant) {
        self.excused = true;
        self.let_go(now);
    }

    /// The user closes when nothing is to come any more.
    pub fn let_go(&mut self, now: Instant) {
        if matches!(self.conn, Conn::Listen) {
            self.listening = false;
            self.conn = Conn::Closed;
        }
        self.shut = true;
        self.gone = true;
        let unread = self.rx.readable() > 0;
        let cause = if unread { Cause::Abort } else { Cause::User };
        self.on_user(cause, now, |tcb, config, _, now| {
            tcb.close(config, unread, now)
        });
    }

    pub fn abort(&mut self, now: Instant) {
        self.excused = true;
        self.on_user(Cause::Abort, now, |tcb, _, _, now| tcb.abort(now));
    }

    fn on_user(
        &mut self,
        cause: Cause<'_>,
        now: Instant,
        call: impl FnOnce(&mut Tcb, &Config, &Rx, Instant) -> Events,
    ) {
        let Conn::Open(tcb) = &mut self.conn else {
            return;
        };
        let before = Mark::of(tcb);
        let events = call(tcb, &self.config, &self.rx, now);
        self.apply(before, cause, events, now);
        self.flush(now);
    }
}
