// SPDX-License-Identifier: GPL-2.0

//! The connections of a namespace that are in TIME-WAIT: small entries, without a socket.

use super::bind::{give_back, hand_over, join};
use super::flush::reply;
use super::namespace::{setting, Net, Setting};
use super::ports::{Owner, Role};
use super::time_wait_table::{Entry, Key, Node, Shelf, SHARDS};
use super::{now, Oxtcp};
use crate::net::{trace, Counter, DropReason, Ends, FourTuple, Locked, RxSkb};
use crate::tcp::segment::Segment;
use crate::tcp::seq::SeqNumber;
use crate::tcp::state::State;
use crate::tcp::time::{Duration, Instant};
use crate::tcp::time_wait::{TimeWait, Verdict};
use kernel::prelude::*;

/// How many entries are ended in one go, so that the lock is never held for long.
const BATCH: usize = 64;

/// How often at most the entries are looked through in the time that one lasts.
const LOOKS_PER_LENGTH: u64 = 32;

fn length(net: &Net) -> Duration {
    Duration::from_ms(u64::from(setting(net, Setting::TimeWaitMs)))
}

/// Whether a new connection may have these `ends`: no entry has them, or one that timestamps
/// protect may be replaced (`tcp_tw_reuse`: 1 always, 2 for loopback alone). In that case the new
/// connection's ISS has to come after the number that is returned (`tcp_twsk_unique`).
///
/// Errors: `EADDRNOTAVAIL`.
pub(super) fn may_use(net: &Net, ends: &Ends) -> Result<Option<SeqNumber>> {
    let Some(shelf) = net.time_wait.find(ends) else {
        return Ok(None);
    };
    let tuple = ends.tuple();
    let Some(entry) = shelf.get(&Key::new(&tuple)) else {
        return Ok(None);
    };
    let allowed = match net.settings().tw_reuse() {
        1 => true,
        2 => tuple.remote.ip().is_loopback(),
        _ => false,
    };
    if !allowed || !entry.time_wait.may_reuse(length(net), now()) {
        return Err(EADDRNOTAVAIL);
    }
    Ok(Some(entry.time_wait.floor()))
}

/// Puts a connection into TIME-WAIT; the port goes with it, but for one that bind() gave to a user
/// who still has the socket. Without memory, or beyond `tcp_max_tw_buckets`, the connection goes to
/// CLOSED at once, as in Linux.
pub(super) fn enter(locked: &mut Locked<'_, Oxtcp>, time_wait: TimeWait) {
    let net = locked.net();
    let Some(old) = locked.owner else { return };
    if net.is_dying() || net.time_wait.len() >= net.settings().max_tw_buckets() {
        return;
    }
    let tuple = locked.sock().tuple();
    let port = tuple.local.port();
    let owner = Owner {
        addr: tuple.local.ip().to_bits(),
        role: Role::TimeWait,
        ..old
    };
    let Ok(node) = Node::new(Key::new(&tuple), Entry { time_wait, owner }, GFP_ATOMIC) else {
        return;
    };
    if old.role == Role::Bound && !locked.is_orphan() {
        if join(net, port, owner).is_err() {
            return;
        }
    } else {
        if hand_over(net, port, &old, owner).is_err() {
            return;
        }
        locked.owner = None;
    }
    let before = {
        let shelf = net.time_wait.place(&net.ehash().ends_of_member(locked));
        shelf.and_then(|mut shelf| shelf.insert(node))
    };
    if let Some(before) = before {
        give_back(net, port, &before.owner);
    }
    net.count(Counter::TimeWait);
    trace::set_state(
        net,
        &tuple,
        State::FinWait2.number(),
        State::TimeWait.number(),
    );
    net.arm_timer(time_wait.deadline().us());
}

fn remove(net: &Net, ends: &Ends) -> Option<Entry> {
    let mut shelf = net.time_wait.find(ends)?;
    shelf.remove(&Key::new(&ends.tuple()))
}

/// Ends the entry of `ends`, if there is one: a new connection takes its place.
pub(super) fn forget(net: &Net, ends: &Ends) {
    if let Some(entry) = remove(net, ends) {
        ended(net, &ends.tuple(), &entry);
        net.count(Counter::TimeWaitRecycled);
    }
}

/// Ends the entry of `tuple` because an administrator wants it; whether there was one.
pub(super) fn destroy(net: &Net, tuple: &FourTuple) -> bool {
    let Some(entry) = remove(net, &net.ehash().ends(tuple)) else {
        return false;
    };
    ended(net, tuple, &entry);
    true
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
    /// It opens a new connection, whose ISS must come after this number, if anybody listens: then
    /// the entry is to be forgotten once the listener has a place for it, else [`decline`] is to be
    /// called.
    Reopen(RxSkb, SeqNumber),
}

/// A segment that belongs to no connection in the table: perhaps to one in TIME-WAIT.
#[inline]
pub(super) fn on_segment(net: &Net, skb: RxSkb, seg: &Segment, ends: &Ends) -> Outcome {
    match net.time_wait.find(ends) {
        Some(shelf) => on_shelf(net, shelf, skb, seg, ends),
        None => Outcome::NotHere(skb),
    }
}

#[inline(never)]
fn on_shelf(net: &Net, mut shelf: Shelf<'_>, skb: RxSkb, seg: &Segment, ends: &Ends) -> Outcome {
    let tuple = ends.tuple();
    let verdict = {
        let Some(entry) = shelf.get_mut(&Key::new(&tuple)) else {
            return Outcome::NotHere(skb);
        };
        let rfc1337 = net.settings().rfc1337();
        entry.time_wait.on_segment(seg, length(net), rfc1337, now())
    };
    drop(shelf);
    match verdict {
        Verdict::Ignore => skb.discard(net, DropReason::Closed),
        Verdict::Ack(ack) => reply(net, &skb, &ack),
        Verdict::End => {
            if let Some(entry) = remove(net, ends) {
                ended(net, &tuple, &entry);
            }
        }
        Verdict::Reopen(iss) => return Outcome::Reopen(skb, iss),
    }
    Outcome::Taken
}

/// A SYN would open a new connection, but nobody listens: the old one lasts, and says so to the peer
/// (TCP_TW_SYN in `tcp_v4_rcv`).
pub(super) fn decline(net: &Net, skb: RxSkb, ends: &Ends) {
    let ack = net.time_wait.find(ends).and_then(|shelf| {
        let entry = shelf.get(&Key::new(&ends.tuple()))?;
        Some(entry.time_wait.ack(now()))
    });
    if let Some(ack) = ack {
        reply(net, &skb, &ack);
    }
    skb.discard(net, DropReason::NoSocket);
}

/// Ends what has waited long enough (all of it when `all`), and says when to look again.
pub(super) fn expire(net: &Net, all: bool) {
    let now = now();
    let mut next: Option<Instant> = None;
    for shelf in 0..SHARDS {
        let mut from = Some(Key::FIRST);
        while let Some(first) = from {
            let mut entries = [None; BATCH];
            from = match net.time_wait.nth(shelf) {
                Some(shelf) => shelf.show(&first, &mut entries),
                None => None,
            };
            for (key, deadline) in entries.iter().flatten() {
                if all || *deadline <= now {
                    end(net, shelf, key, (!all).then_some(now));
                } else {
                    next = Some(next.map_or(*deadline, |n| n.min(*deadline)));
                }
            }
        }
    }
    if let Some(at) = next.filter(|_| !all) {
        // Every look costs as much as there are entries: not more than some in a TIME-WAIT.
        let pause = Duration::from_us(length(net).us() / LOOKS_PER_LENGTH);
        net.arm_timer(at.max(now + pause).us());
    }
}

/// Ends the entry of `key`, if it is still there and, when `now` is told, still due.
fn end(net: &Net, shelf: usize, key: &Key, now: Option<Instant>) {
    let entry = net.time_wait.nth(shelf).and_then(|mut shelf| {
        let deadline = shelf.get(key)?.time_wait.deadline();
        if now.is_some_and(|now| deadline > now) {
            return None;
        }
        shelf.remove(key)
    });
    if let Some(entry) = entry {
        ended(net, &key.tuple(), &entry);
    }
}
