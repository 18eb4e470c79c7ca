// SPDX-License-Identifier: GPL-2.0

//! Sending predicted, the mirror of header prediction: most of what goes out is one segment, with
//! all the text that waits or with none, on an open connection where nothing is lost, marked or
//! held back. Of all that [`Tcb::poll_transmit`] asks for each segment little does anything then.
//!
//! Whatever is done here has to leave the connection as [`Tcb::poll_transmit`] would, and to send
//! what that would send.

use super::chrono::Activity;
use super::config::Config;
use super::congestion::CongestionControl;
use super::ecn::Mode;
use super::options::Timestamps;
use super::receive::{Queues, ReceiveQueue};
use super::records::Record;
use super::segment::{Flags, Transmit, HEADER_LEN};
use super::seq::SeqNumber;
use super::small_queue::DeviceQueue;
use super::state::State;
use super::tcb::{AckDue, Control, Recovery, RetransmitTimer, Tcb, TxLimits};
use super::time::Instant;
use super::tlp::Probe;

/// Bytes of the longest header of a [`Plain`] segment.
pub const MAX_PLAIN_HEADER_LEN: usize = HEADER_LEN + 12;

/// A segment with nothing but an acknowledgment, timestamps, and perhaps text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plain {
    /// Sequence number.
    pub seq: SeqNumber,
    /// Acknowledgment number.
    pub ack: SeqNumber,
    /// Window as on the wire.
    pub wnd: u16,
    /// PSH is set.
    pub push: bool,
    /// Timestamps, if they are in use.
    pub timestamps: Option<Timestamps>,
    /// Where in the send buffer the text begins.
    pub offset: u32,
    /// Bytes of text.
    pub len: u32,
    /// Bytes of text that a segment may have.
    pub mss: u16,
}

impl Plain {
    fn flags(&self) -> Flags {
        if self.push {
            Flags::ACK | Flags::PSH
        } else {
            Flags::ACK
        }
    }

    /// Writes the header, the checksum zero; returns its length, bytes.
    #[inline]
    pub fn header(
        &self,
        src_port: u16,
        dst_port: u16,
        buf: &mut [u8; MAX_PLAIN_HEADER_LEN],
    ) -> usize {
        let len = match self.timestamps {
            Some(_) => MAX_PLAIN_HEADER_LEN,
            None => HEADER_LEN,
        };
        let ts = self.timestamps.unwrap_or(Timestamps { val: 0, ecr: 0 });
        let ports = u32::from(src_port) << 16 | u32::from(dst_port);
        let offset = ((len / 4) as u32) << 28;
        let control = offset | u32::from(self.flags().bits()) << 16 | u32::from(self.wnd);
        let words = [
            ports,
            self.seq.0,
            self.ack.0,
            control,
            0,
            Timestamps::ALIGNED,
            ts.val,
            ts.ecr,
        ];
        for (bytes, word) in buf.chunks_exact_mut(4).zip(words) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        len
    }
}

impl From<&Plain> for Transmit {
    fn from(plain: &Plain) -> Self {
        let mut out = Self::bare(plain.seq, plain.ack, plain.flags(), plain.wnd);
        out.options.timestamps = plain.timestamps;
        out.len = plain.len;
        out.mss = plain.mss;
        out
    }
}

impl Tcb {
    /// All that [`Tcb::poll_transmit`] would send until it has nothing more, if that is one plain
    /// segment; `None` says nothing.
    #[inline]
    pub fn poll_plain<Q: Queues>(
        &mut self,
        config: &Config,
        queues: &mut Q,
        limits: &TxLimits,
        now: Instant,
    ) -> Option<Plain> {
        if !self.sends_plainly(config, queues, limits) {
            return None;
        }
        self.set_mss(limits.mss);
        if self.write_seq == self.snd_nxt {
            self.plain_ack(config, queues, now)
        } else {
            self.plain_text(config, queues, now)
        }
    }

    /// As [`Tcb::poll_plain`], when no text waits: for a bare acknowledgment nothing is asked of the
    /// path, nor of the device.
    #[inline]
    pub fn poll_plain_ack<Q: Queues>(
        &mut self,
        config: &Config,
        queues: &mut Q,
        now: Instant,
    ) -> Option<Plain> {
        let limits = TxLimits {
            mss: 0,
            max_run: 0,
            queue: DeviceQueue::default(),
        };
        if self.write_seq != self.snd_nxt || !self.sends_plainly(config, queues, &limits) {
            return None;
        }
        self.plain_ack(config, queues, now)
    }

    /// Nothing is going on but progress, and no option is owed but timestamps.
    #[inline(always)]
    fn sends_plainly<R: ReceiveQueue>(&self, config: &Config, rx: &R, limits: &TxLimits) -> bool {
        let open = self.state == State::Established && !self.fin_queued;
        let calm = self.recovery == Recovery::Open && self.dup_acks == 0 && self.sack;
        let asked = self.control == Control::None && self.tlp == Probe::None;
        let usual = matches!(self.ecn.mode, Mode::Off) && !self.is_urgent();
        open && calm
            && asked
            && usual
            && self.scoreboard.is_calm()
            && self.dsack.is_none()
            && self.peer_fin.is_none()
            && !self.last_end.after(self.snd_nxt)
            && !self.mtu_probe.is_on()
            && !self.is_throttled(config, limits, false)
            && !self.paces(config)
            && !self.rules_itself()
            && !rx.has_gaps()
    }

    /// All the text that waits, if it is one segment's and nothing keeps it back.
    fn plain_text<Q: Queues>(
        &mut self,
        config: &Config,
        queues: &mut Q,
        now: Instant,
    ) -> Option<Plain> {
        let seq = self.snd_nxt;
        let end = self.write_seq;
        let len = end.since(seq);
        let mss = self.mss32();
        let pipe = self.scoreboard.out().bytes;
        let cwnd = self.congestion.window().max(mss);
        let window = (self.snd_una + self.snd_wnd).since(seq);
        if len > mss || len > window || len > cwnd.saturating_sub(pipe) {
            return None;
        }
        let whole = len == mss;
        if !whole && self.holds_tail(config) {
            return None;
        }
        let rto = self.rto(config);
        let idle = seq == self.snd_una;
        let rested = idle && now.since(self.last_sent) > rto;
        let stalled = matches!(
            self.retransmit_timer,
            RetransmitTimer::Persist(_) | RetransmitTimer::Retry(_)
        );
        if rested || stalled || !config.loss_probes {
            return None;
        }

        self.pacer.rest();
        self.chrono.start(Activity::Busy, now);
        self.chrono.stop(Activity::WindowLimited, now);
        self.override_sws = false;
        self.totals.sent(len, 1);
        if idle {
            self.stalled_since = now;
            self.congestion.on_start(now);
        }
        let pipe = pipe.saturating_add(len);
        let mut record = Record {
            start: seq,
            end,
            mss: self.eff_mss,
            segments: 1,
            in_flight: pipe,
            ..Record::default()
        };
        self.rate.on_sent(&mut record, idle, now);
        self.scoreboard.push(queues, record);
        self.snd_nxt = end;
        if !whole {
            self.snd_sml = end;
        }
        // With none outstanding before, a timeout would begin now.
        self.time_probe(config, queues, (rto, idle), now);
        self.acks.on_sent(now);
        self.last_sent = now;
        let out = Plain {
            seq,
            ack: self.rcv_nxt,
            wnd: self.offer_window(config, queues),
            push: end == self.pushed,
            timestamps: self.timestamp(now),
            offset: seq.since(self.snd_una),
            len,
            mss: self.eff_mss,
        };
        self.acknowledged();
        self.usage.touch();
        self.validate_use((pipe, cwnd), now);
        Some(out)
    }

    /// The acknowledgment that is due, when no text waits.
    fn plain_ack<Q: Queues>(
        &mut self,
        config: &Config,
        queues: &mut Q,
        now: Instant,
    ) -> Option<Plain> {
        if self.ack_due != AckDue::Now {
            return None;
        }
        self.pacer.rest();
        let cwnd = self.congestion.window().max(self.mss32());
        let pipe = self.scoreboard.out().bytes;
        self.validate_use((pipe, cwnd), now);
        self.totals.sent(0, 1);
        let out = Plain {
            seq: self.acceptable_seq(),
            ack: self.rcv_nxt,
            wnd: self.offer_window(config, queues),
            push: false,
            timestamps: self.timestamp(now),
            offset: 0,
            len: 0,
            mss: 0,
        };
        self.acknowledged();
        Some(out)
    }
}
