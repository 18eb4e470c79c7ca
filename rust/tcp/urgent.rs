// SPDX-License-Identifier: GPL-2.0

//! Urgent data (RFC 9293 3.8.5): a pointer into the stream, which as RFC 6093 found all systems take
//! for a mark behind one byte. New programs should not use it; old ones do.

use super::config::Config;
use super::events::Events;
use super::pack::packed;
use super::segment::{Flags, Segment, Transmit};
use super::seq::SeqNumber;
use super::tcb::{Tcb, TxLimits};

/// How far a pointer reaches.
const REACH: u32 = u16::MAX as u32;

/// The peer's urgent byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Mark {
    seq: SeqNumber,
    read: bool,
}

packed!(struct Mark { seq, read });

/// A new urgent byte was announced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UrgentNews {
    /// The byte before that was urgent, if it is here: it lies in the stream, and was not meant to
    /// be read there.
    pub replaced: Option<SeqNumber>,
}

/// What there is to know of the peer's urgent byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Urgent {
    /// It was announced and is not here.
    Awaited,
    /// It is in the stream, at its offset.
    Here,
    /// It is in the stream still, but was read apart from it.
    Read,
}

impl Tcb {
    /// SEND with the urgent flag: what was queued last ends with an urgent byte.
    pub fn on_send_urgent(&mut self) {
        self.snd_up = self.write_seq;
    }

    /// Whether an urgent byte of ours is not acknowledged (RFC 9293 3.9.1.2, SND.UP).
    pub(super) fn is_urgent(&self) -> bool {
        self.snd_up.after(self.snd_una)
    }

    /// SND.UNA has moved.
    pub(super) fn urgent_acked(&mut self) {
        self.snd_up = self.snd_up.max(self.snd_una);
    }

    /// Each segment has a pointer of its own: there are no runs while one is urgent.
    pub(super) fn limits_while_urgent(&self, limits: &TxLimits) -> TxLimits {
        TxLimits {
            max_run: if self.is_urgent() { 0 } else { limits.max_run },
            ..*limits
        }
    }

    /// Sets the pointer of an outgoing segment, as far as it reaches.
    pub(super) fn mark_urgent(&self, out: &mut Transmit) {
        if !self.is_urgent() || !out.seq.before(self.snd_up) {
            return;
        }
        let ahead = self.snd_up.since(out.seq);
        if ahead <= REACH || (out.seq + REACH).after(self.snd_nxt) {
            out.urg = u16::try_from(ahead).unwrap_or(u16::MAX);
            out.flags = out.flags | Flags::URG;
        }
    }

    /// Sixth, the urgent pointer (RFC 9293 3.10.7.4).
    pub(super) fn urgent(&mut self, config: &Config, seg: &Segment, events: &mut Events) {
        if !seg.flags.has(Flags::URG) || !self.state.may_receive() {
            return;
        }
        let before = u16::from(!config.urgent_is_last);
        let at = seg.seq + u32::from(seg.urg.saturating_sub(before));
        let newer = self.mark.is_none_or(|mark| at.after(mark.seq));
        if at.before(self.rcv_nxt) || !newer {
            return;
        }
        let replaced = self.mark.map(|mark| mark.seq);
        events.urgent = Some(UrgentNews {
            replaced: replaced.filter(|seq| seq.before(self.rcv_nxt)),
        });
        self.mark = Some(Mark {
            seq: at,
            read: false,
        });
    }

    /// The number of the first of `readable` bytes that were not read.
    fn unread_from(&self, readable: u32) -> SeqNumber {
        let fin = self.peer_fin.is_some_and(|fin| self.rcv_nxt.after(fin));
        self.rcv_nxt - u32::from(fin) - readable
    }

    /// How many bytes are before `seq`, of `readable` that were not read; `None` when it was read.
    pub fn offset_of(&self, seq: SeqNumber, readable: u32) -> Option<u32> {
        let first = self.unread_from(readable);
        seq.at_or_after(first).then(|| seq.since(first))
    }

    /// The peer's urgent byte and how many bytes are before it, of `readable` that were not read;
    /// `None` when there is none, or when reading has passed it.
    pub fn peer_urgent(&self, readable: u32) -> Option<(u32, Urgent)> {
        let mark = self.mark?;
        let offset = self.offset_of(mark.seq, readable)?;
        let what = match mark.read {
            true => Urgent::Read,
            false if offset < readable => Urgent::Here,
            false => Urgent::Awaited,
        };
        Some((offset, what))
    }

    /// Whether the peer has announced an urgent byte that reading has not passed.
    #[inline]
    pub fn has_mark(&self) -> bool {
        self.mark.is_some()
    }

    /// The urgent byte was read, apart from the stream.
    pub fn on_read_urgent(&mut self) {
        if let Some(mark) = &mut self.mark {
            mark.read = true;
        }
    }

    /// The stream was read, with `readable` bytes left: the mark may be passed.
    pub fn forget_passed_urgent(&mut self, readable: u32) {
        if self.peer_urgent(readable).is_none() {
            self.mark = None;
        }
    }
}
