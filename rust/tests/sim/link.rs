// SPDX-License-Identifier: GPL-2.0

//! One direction of a line between two nodes.

use super::loss::{Loss, Losses};
use super::packet::{ecn, Packet};
use crate::support::rng::Rng;

/// Most changes of a line's MTU.
pub const MOST_CHANGES: usize = 4;

/// A change of a line's MTU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MtuChange {
    /// When, µs from the start, and to what.
    pub at: u64,
    pub mtu: u16,
    /// Until then, µs from the start, nobody is told of packets that do not fit: a black hole.
    pub silent_until: u64,
}

/// What a line is like; chances are of 1000.
#[derive(Clone, Copy, Debug)]
pub struct Params {
    /// Least time on the way, µs.
    pub delay: u64,
    /// Bytes for each millisecond; 0 for as many as you like.
    pub rate: u64,
    /// Bytes that may wait for the rate; what comes more is dropped.
    pub queue: u64,
    /// Bytes that wait from which on packets are marked, if their transport is capable of ECN.
    pub mark_above: Option<u64>,
    pub loss: Loss,
    pub duplicate: u32,
    pub corrupt: u32,
    pub reorder: u32,
    /// Most that a reordered one is late, µs.
    pub jitter: u64,
    /// Most that any is late, staying in order, µs: machines are not as regular as a simulation.
    pub dither: u64,
    /// A run travels as one packet, as over veth.
    pub runs: bool,
    pub mtu: u16,
    /// In order of time.
    pub mtu_changes: [Option<MtuChange>; MOST_CHANGES],
}

impl Params {
    /// A line without faults.
    pub fn perfect(delay: u64, rate: u64, queue: u64) -> Self {
        Self {
            delay,
            rate,
            queue,
            mark_above: None,
            loss: Loss::None,
            duplicate: 0,
            corrupt: 0,
            reorder: 0,
            jitter: 0,
            dither: 0,
            runs: false,
            mtu: u16::MAX,
            mtu_changes: [None; MOST_CHANGES],
        }
    }

    /// The least MTU that it ever has.
    pub fn least_mtu(&self) -> u16 {
        let changed = self.mtu_changes.iter().flatten().map(|c| c.mtu);
        changed.fold(self.mtu, u16::min)
    }
}

/// What became of a packet, when it does not arrive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dropped {
    Lost,
    QueueFull,
    /// It is larger than this MTU, and the sender is to be told.
    TooBig(u16),
    /// It is too large, and nobody says so.
    BlackHole,
}

/// A line's state.
pub struct Link {
    params: Params,
    /// The clock when the line was laid, µs.
    start: u64,
    rng: Rng,
    losses: Losses,
    /// When the line is free again, ns.
    free_at: u64,
    /// Arrival of the last that was not reordered, µs: those stay in order.
    last: u64,
    pub marked: u64,
}

impl Link {
    pub fn new(params: Params, start: u64, rng: Rng) -> Self {
        Self {
            params,
            start,
            rng,
            losses: Losses::new(params.loss),
            free_at: 0,
            last: 0,
            marked: 0,
        }
    }

    pub fn carries_runs(&self) -> bool {
        self.params.runs
    }

    fn check_mtu(&self, packet: &Packet, now: u64) -> Result<(), Dropped> {
        let since = now - self.start;
        let mut changes = self.params.mtu_changes.iter().flatten();
        let change = changes.rfind(|c| c.at <= since);
        let mtu = change.map_or(self.params.mtu, |c| c.mtu);
        if packet.largest <= mtu {
            return Ok(());
        }
        match change {
            Some(change) if change.silent_until > since => Err(Dropped::BlackHole),
            _ => Err(Dropped::TooBig(mtu)),
        }
    }

    /// Waits for the line to be free, if there is room to wait; returns when all of it is sent, µs.
    fn enqueue(&mut self, packet: &mut Packet, now: u64) -> Result<u64, Dropped> {
        let p = self.params;
        if p.rate == 0 {
            return Ok(now);
        }
        let now = now * 1000;
        let len = packet.bytes.len() as u64;
        let begin = self.free_at.max(now);
        let waiting = (begin - now) * p.rate / 1_000_000;
        if waiting > 0 && waiting + len > p.queue {
            return Err(Dropped::QueueFull);
        }
        if p.mark_above.is_some_and(|most| waiting > most) && packet.ecn() != ecn::NOT_ECT {
            packet.mark(ecn::CE);
            self.marked += 1;
        }
        self.free_at = begin + len * 1_000_000 / p.rate;
        Ok(self.free_at / 1000)
    }

    /// Sends a packet at `now`; it arrives as `arrivals` say, times in µs.
    pub fn send(
        &mut self,
        mut packet: Packet,
        now: u64,
        arrivals: &mut Vec<(u64, Packet)>,
    ) -> Result<(), Dropped> {
        self.check_mtu(&packet, now)?;
        let sent = self.enqueue(&mut packet, now)?;
        let p = self.params;
        let rng = &mut self.rng;
        if self.losses.next(rng) {
            return Err(Dropped::Lost);
        }
        let more = if rng.chance(p.duplicate) {
            rng.range(1, 2)
        } else {
            0
        };
        for _ in 0..more {
            let copy = packet.clone();
            self.arrive(copy, sent, arrivals);
        }
        self.arrive(packet, sent, arrivals);
        Ok(())
    }

    fn arrive(&mut self, mut packet: Packet, sent: u64, arrivals: &mut Vec<(u64, Packet)>) {
        let p = self.params;
        let rng = &mut self.rng;
        let mut at = sent + p.delay;
        if p.dither > 0 {
            at += rng.range(0, p.dither);
        }
        if rng.chance(p.reorder) {
            at += rng.range(0, p.jitter);
        } else {
            at = at.max(self.last);
            self.last = at;
        }
        if rng.chance(p.corrupt) {
            flip(&mut packet.bytes, rng);
        }
        arrivals.push((at, packet));
    }
}

/// A burst of wrong bits, up to fifteen in a row: every checksum of 16 bits finds it.
fn flip(bytes: &mut [u8], rng: &mut Rng) {
    let at = rng.range(0, bytes.len() as u64 - 1) as usize;
    let wrong = (rng.range(1, 0x7fff) as u16) << rng.range(0, 1);
    let [first, second] = wrong.to_be_bytes();
    bytes[at] ^= first;
    match bytes.get_mut(at + 1) {
        Some(next) => *next ^= second,
        None => bytes[at] ^= u8::from(first == 0),
    }
}
