// SPDX-License-Identifier: GPL-2.0

//! One end of a connection that sends over a bottleneck with a buffer, to a receiver that does
//! nothing but acknowledge, with SACK (RFC 2018), every so many segments.

use crate::harness::*;
use oxtcp_core::tcp::time::Instant;
use std::collections::{BTreeMap, VecDeque};

/// The way of a segment, and of its acknowledgment.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// Round-trip time without a queue, µs.
    pub rtt: u64,
    /// What a segment takes at the bottleneck, µs.
    pub each: u64,
    /// Segments that may wait there.
    pub buffer: u64,
    /// Segments for each acknowledgment.
    pub every: u32,
}

/// What the peer has.
#[derive(Debug)]
struct Receiver {
    next: u32,
    /// Ranges after that, by their starts.
    early: BTreeMap<u32, u32>,
    /// Segments since the last acknowledgment.
    owed: u32,
}

type Blocks = Vec<(u32, u32)>;

impl Receiver {
    /// Text arrives. Returns whether it is to be acknowledged at once: out of order, or something
    /// is still missing (RFC 5681 4.2).
    fn receive(&mut self, mut start: u32, mut end: u32) -> bool {
        self.owed += 1;
        let at_once = start != self.next || !self.early.is_empty();
        let near = self.early.range(..=end).filter(|r| *r.1 >= start);
        let near: Blocks = near.map(|(s, e)| (*s, *e)).collect();
        for (s, e) in near {
            self.early.remove(&s);
            (start, end) = (start.min(s), end.max(e));
        }
        if start > self.next {
            self.early.insert(start, end);
        } else {
            self.next = self.next.max(end);
        }
        at_once
    }

    /// What is said of all that arrived, `start` last.
    fn acknowledge(&mut self, start: u32) -> (u32, Blocks) {
        self.owed = 0;
        let early = self.early.iter().rev().map(|(s, e)| (*s, *e));
        let (last, others): (Blocks, Blocks) = early.partition(|r| r.0 <= start && start < r.1);
        (self.next, last.into_iter().chain(others).take(4).collect())
    }
}

pub struct Flow {
    pub end: End,
    pub path: Path,
    receiver: Receiver,
    /// When the bottleneck has sent all that waits there.
    free_at: u64,
    /// What arrives when.
    text: VecDeque<(u64, (u32, u32))>,
    acks: VecDeque<(u64, (u32, Blocks))>,
}

impl Flow {
    pub fn new(end: End, path: Path) -> Self {
        let next = end.tcb.snd_nxt().0;
        Self {
            end,
            path,
            receiver: Receiver {
                next,
                early: BTreeMap::new(),
                owed: 0,
            },
            free_at: 0,
            text: VecDeque::new(),
            acks: VecDeque::new(),
        }
    }

    /// What may be sent goes to the bottleneck, segment by segment.
    pub fn transmit(&mut self) {
        let now = self.end.now.us();
        let mss = usize::from(self.end.limits.mss);
        for out in self.end.out() {
            let end = out.seq.0 + out.len;
            for start in (out.seq.0..end).step_by(mss) {
                let from = self.free_at.max(now);
                if (from - now) / self.path.each > self.path.buffer {
                    continue;
                }
                self.free_at = from + self.path.each;
                let range = (start, end.min(start + mss as u32));
                self.text
                    .push_back((self.free_at + self.path.rtt / 2, range));
            }
        }
    }

    /// Lets time pass until `stop`, or until nothing happens any more. Returns whether it stopped.
    pub fn run(&mut self, mut stop: impl FnMut(&End) -> bool) -> bool {
        self.transmit();
        while !stop(&self.end) {
            let text = self.text.front().map_or(u64::MAX, |t| t.0);
            let ack = self.acks.front().map_or(u64::MAX, |a| a.0);
            let timer = self.end.tcb.deadline().map_or(u64::MAX, |at| at.us());
            let next = timer.min(text).min(ack);
            if next == u64::MAX {
                return false;
            }
            self.end.now = self.end.now.max(Instant::from_us(next));
            if next == timer {
                self.end.expire();
            } else if next == text {
                self.deliver_text();
                continue;
            } else {
                self.deliver_ack();
            }
            self.transmit();
        }
        true
    }

    fn deliver_text(&mut self) {
        let Some((at, (start, end))) = self.text.pop_front() else {
            return;
        };
        let at_once = self.receiver.receive(start, end);
        // Nothing else is on its way: the receiver's timer, in short.
        if at_once || self.receiver.owed >= self.path.every || self.text.is_empty() {
            let ack = self.receiver.acknowledge(start);
            self.acks.push_back((at + self.path.rtt / 2, ack));
        }
    }

    fn deliver_ack(&mut self) {
        let Some((_, (ack, blocks))) = self.acks.pop_front() else {
            return;
        };
        let next = self.end.tcb.rcv_nxt().0;
        let seg = with_window(seg(ACK, next, ack, 0), u16::MAX);
        self.end.arrive(with_blocks(seg, &blocks));
    }
}
