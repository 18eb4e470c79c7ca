// SPDX-License-Identifier: GPL-2.0

//! The connections of a namespace that are in TIME-WAIT: small entries, without a socket.

use super::bind::{give_back, join};
use super::flush::reply;
use super::namespace::{setting, Net, Setting};
use super::now;
use super::ports::Owner;
use crate::net::{trace, Counter, DropReason, FourTuple, RxSkb};
use crate::tcp::segment::Segment;
use crate::tcp::seq::SeqNumber;
use crate::tcp::state::State;
use crate::tcp::time::{Duration, Instant};
use crate::tcp::time_wait::{TimeWait, Verdict};
use core::net::SocketAddrV4;
use kernel::prelude::*;
use kernel::rbtree::{RBTree, RBTreeNode};

/// How many entries are ended in one go, so that the lock is never held for long.
const BATCH: usize = 64;

/// How often at most the entries are looked through in the time that one lasts.
const LOOKS_PER_LENGTH: u64 = 32;

/// The ends of a connection, ordered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    remote: (u32, u16),
    local: (u32, u16),
}

impl Key {
    /// It as a number, in the same order.
    pub(super) fn number(&self) -> u128 {
        let end = |(addr, port): (u32, u16)| u128::from(addr) << 16 | u128::from(port);
        end(self.remote) << 48 | end(self.local)
    }

    /// The key with this number.
    pub(super) fn from_number(number: u128) -> Self {
        let end = |n: u128| ((n >> 16) as u32, n as u16);
        Self {
            remote: end(number >> 48),
            local: end(number),
        }
    }

    fn new(tuple: &FourTuple) -> Self {
        let end = |a: &SocketAddrV4| (a.ip().to_bits(), a.port());
        Self {
            remote: end(&tuple.remote),
            local: end(&tuple.local),
        }
    }

    /// The ends.
    pub(super) fn tuple(&self) -> FourTuple {
        let end = |(addr, port): (u32, u16)| SocketAddrV4::new(addr.into(), port);
        FourTuple {
            local: end(self.local),
            remote: end(self.remote),
        }
    }
}

struct Entry {
    time_wait: TimeWait,
    owner: Owner,
}

/// The entries, by their ends.
pub struct TimeWaitTable {
    entries: RBTree<Key, Entry>,
    len: u32,
}

impl TimeWaitTable {
    /// An empty table.
    pub(super) fn new() -> Self {
        Self {
            entries: RBTree::new(),
            len: 0,
        }
    }

    /// Whether a new connection may have `tuple`: no entry has it, or one that timestamps protect
    /// may be replaced. `policy` is `tcp_tw_reuse`: 1 always, 2 for loopback alone.
    pub(super) fn may_reuse(
        &self,
        tuple: &FourTuple,
        policy: u8,
        loopback: bool,
        length: Duration,
        now: Instant,
    ) -> bool {
        match self.entries.get(&Key::new(tuple)) {
            None => true,
            Some(entry) => {
                let allowed = policy == 1 || (policy == 2 && loopback);
                allowed && entry.time_wait.may_reuse(length, now)
            }
        }
    }

    fn remove(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.len = self.len.saturating_sub(1);
        Some(entry)
    }

    /// The ends and the deadline of the entries from `from` on, as many as `out` has room for;
    /// returns where to go on.
    pub(super) fn show(&self, from: &Key, out: &mut [Option<(Key, Instant)>]) -> Option<Key> {
        let mut next = Some(*from);
        for slot in out {
            let cursor = self.entries.cursor_lower_bound(&next?)?;
            let (key, entry) = cursor.current();
            *slot = Some((*key, entry.time_wait.deadline()));
            next = cursor.peek_next().map(|(key, _)| *key);
        }
        next
    }
}

fn length(net: &Net) -> Duration {
    Duration::from_ms(u64::from(setting(net, Setting::TimeWaitMs)))
}

/// Whether `tuple` is free of a TIME-WAIT that must be respected.
pub(super) fn may_use(net: &Net, tuple: &FourTuple) -> bool {
    let loopback = tuple.remote.ip().is_loopback();
    let policy = net.ipv4().tw_reuse;
    net.time_wait
        .lock()
        .may_reuse(tuple, policy, loopback, length(net), now())
}

/// Puts a connection into TIME-WAIT. Without memory, or beyond `tcp_max_tw_buckets`, it goes to
/// CLOSED at once, as in Linux.
pub(super) fn enter(net: &Net, tuple: &FourTuple, time_wait: TimeWait, owner: Owner) {
    if net.is_dying() || net.time_wait.lock().len >= net.ipv4().max_tw_buckets {
        return;
    }
    let key = Key::new(tuple);
    let Ok(node) = RBTreeNode::new(key, Entry { time_wait, owner }, GFP_ATOMIC) else {
        return;
    };
    if join(net, tuple.local.port(), owner).is_err() {
        return;
    }
    let old = {
        let mut table = net.time_wait.lock();
        let old = table.remove(&key);
        table.entries.insert(node);
        table.len = table.len.saturating_add(1);
        old
    };
    if let Some(old) = old {
        give_back(net, tuple.local.port(), &old.owner);
    }
    net.count(Counter::TimeWait);
    trace::set_state(
        net,
        tuple,
        State::FinWait2.number(),
        State::TimeWait.number(),
    );
    net.arm_timer(time_wait.deadline().us());
}

/// Ends the entry of `tuple`, if there is one: a new connection takes its place.
pub(super) fn forget(net: &Net, tuple: &FourTuple) {
    let entry = net.time_wait.lock().remove(&Key::new(tuple));
    if let Some(entry) = entry {
        ended(net, tuple, &entry);
        net.count(Counter::TimeWaitRecycled);
    }
}

/// Ends the entry of `tuple` because an administrator wants it; whether there was one.
pub(super) fn end(net: &Net, tuple: &FourTuple) -> bool {
    let entry = net.time_wait.lock().remove(&Key::new(tuple));
    if let Some(entry) = &entry {
        ended(net, tuple, entry);
    }
    entry.is_some()
}

fn ended(net: &Net, tuple: &FourTuple, entry: &Entry) {
    give_back(net, tuple.local.port(), &entry.owner);
    trace::set_state(net, tuple, State::TimeWait.number(), State::Closed.number());
}

/// What became of a segment that TIME-WAIT was asked about.
pub(super) enum Outcome {
    /// There is no such entry.
    NotHere(RxSkb),
    /// It is dealt with.
    Taken,
    /// It opens a new connection, whose ISS must come after this number.
    Reopen(RxSkb, SeqNumber),
}

/// A segment that belongs to no connection in the table: perhaps to one in TIME-WAIT.
pub(super) fn on_segment(net: &Net, skb: RxSkb, seg: &Segment) -> Outcome {
    let tuple = skb.tuple();
    let key = Key::new(&tuple);
    let now = now();
    let rfc1337 = net.ipv4().rfc1337;
    let verdict = {
        let mut table = net.time_wait.lock();
        let Some(entry) = table.entries.get_mut(&key) else {
            return Outcome::NotHere(skb);
        };
        entry.time_wait.on_segment(seg, length(net), rfc1337, now)
    };
    match verdict {
        Verdict::Ignore => skb.discard(net, DropReason::Closed),
        Verdict::Ack(ack) => reply(net, &skb, &ack),
        Verdict::End => {
            let entry = net.time_wait.lock().remove(&key);
            if let Some(entry) = entry {
                ended(net, &tuple, &entry);
            }
        }
        Verdict::Reopen(iss) => {
            forget(net, &tuple);
            return Outcome::Reopen(skb, iss);
        }
    }
    Outcome::Taken
}

/// Ends what has waited long enough (all of it when `all`), and says when to look again.
pub(super) fn expire(net: &Net, all: bool) {
    let now = now();
    let mut from = Key {
        remote: (0, 0),
        local: (0, 0),
    };
    let mut next: Option<Instant> = None;
    loop {
        let mut due = [None; BATCH];
        let end = {
            let mut table = net.time_wait.lock();
            find_due(
                &mut table,
                from,
                all.then_some(now),
                now,
                &mut due,
                &mut next,
            )
        };
        for key in due.iter().flatten() {
            let entry = net.time_wait.lock().remove(key);
            if let Some(entry) = entry {
                ended(net, &key.tuple(), &entry);
            }
        }
        match end {
            Some(key) => from = key,
            None => break,
        }
    }
    if let Some(at) = next.filter(|_| !all) {
        // Every look costs as much as there are entries: not more than some in a TIME-WAIT.
        let pause = Duration::from_us(length(net).us() / LOOKS_PER_LENGTH);
        net.arm_timer(at.max(now + pause).us());
    }
}

/// Looks at up to `BATCH` entries from `from` on: notes those that are due and the earliest
/// deadline of the others. Returns where to go on.
fn find_due(
    table: &mut TimeWaitTable,
    from: Key,
    all: Option<Instant>,
    now: Instant,
    due: &mut [Option<Key>; BATCH],
    next: &mut Option<Instant>,
) -> Option<Key> {
    let mut cursor = table.entries.cursor_lower_bound_mut(&from);
    for slot in due.iter_mut() {
        let (key, entry) = cursor.as_ref()?.current();
        let deadline = entry.time_wait.deadline();
        if all.is_some() || deadline <= now {
            *slot = Some(*key);
        } else {
            *next = Some(next.map_or(deadline, |n| n.min(deadline)));
        }
        cursor = cursor.and_then(|c| c.move_next());
    }
    cursor.map(|c| *c.current().0)
}
