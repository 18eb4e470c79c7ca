// SPDX-License-Identifier: GPL-2.0

//! What an endpoint sends.

use super::{bytes, Conn, Endpoint, Packet};
use oxtcp_core::tcp::refused::Taken;
use oxtcp_core::tcp::segment::{Segment, Transmit};
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::time::Instant;

/// More segments than this for one event are an endless loop.
const MOST_AT_ONCE: usize = 5_000;

impl Endpoint {
    pub(super) fn reply(&mut self, out: Option<Transmit>) {
        if let Some(out) = out {
            self.note_offer(&out);
            self.expect(out.len == 0, "text outside of the stream");
            self.post(&out, Vec::new());
        }
    }

    pub(super) fn post(&mut self, out: &Transmit, text: Vec<u8>) {
        for (part, text) in bytes::split(out, &text) {
            let seg = Segment {
                src_port: 0,
                dst_port: 0,
                seq: part.seq,
                ack: part.ack,
                flags: part.flags,
                wnd: part.wnd,
                urg: part.urg,
                options: part.options,
                len: part.len,
                ecn: part.ecn,
                ..Segment::default()
            };
            self.outbox.push(Packet { seg, text });
        }
    }

    /// Sends what can be sent.
    pub(super) fn flush(&mut self, now: Instant) {
        for _ in 0..MOST_AT_ONCE {
            let Conn::Open(tcb) = &mut self.conn else {
                return;
            };
            let next = tcb.poll_transmit(&self.config, &mut self.rx, &self.limits, now);
            let offset = next.map_or(0, |out| tcb.text_offset(out.seq));
            self.scale = tcb.scales().1;
            // A FIN may wait for the peer's window.
            let closing = matches!(
                tcb.state(),
                State::FinWait1 | State::Closing | State::LastAck
            );
            if tcb.flight() == 0 && tcb.unsent() == 0 && !closing {
                self.moved = now;
            }
            if let Some(out) = next.filter(|_| self.full) {
                let refused = (&out, Taken::Part(0));
                self.crowded = true;
                tcb.on_taken(&self.config, &mut self.rx, refused, now);
                self.note_offer(&out);
                return;
            }
            let Some(out) = next else {
                return self.check_rest();
            };
            self.note_offer(&out);
            self.check_sent(&out, offset);
            let mut text = Vec::new();
            if out.len > 0 {
                let at = offset as usize;
                let end = (at + out.len as usize).min(self.send.len());
                text.extend(self.send.range(at.min(end)..end));
                text.resize(out.len as usize, 0);
            }
            self.post(&out, text);
        }
        self.expect(false, "no end of segments");
    }
}
