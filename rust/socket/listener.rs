// SPDX-License-Identifier: GPL-2.0

//! What a listening socket has: its SYN queue and its accept queue.

use super::accept_queue::AcceptQueue;
use super::saved_syn::Headers;
use super::Oxtcp;
use crate::net::route::BackRoute;
use crate::net::{FourTuple, RxSkb, Sock, SparePacket};
use crate::tcp::syn_cookie;
use crate::tcp::syn_received::SynReceived;
use crate::tcp::time::{Duration, Instant};
use core::net::SocketAddrV4;
use kernel::prelude::*;
use kernel::rbtree::{RBTree, RBTreeNode, RBTreeNodeReservation};
use kernel::sync::aref::ARef;

/// How many half-open connections are looked at in one go, so that the lock is never held for long
/// and no burst of SYN-ACKs is sent.
const SWEEP_BATCH: u32 = 128;
/// The least time between two sweeps.
const SWEEP_PAUSE: Duration = Duration::from_ms(20);

fn earlier(a: Option<Instant>, b: Instant) -> Option<Instant> {
    Some(a.map_or(b, |a| a.min(b)))
}

/// The ends of a half-open connection; the local port is the listener's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// Address and port of the peer, as one number: a look-up compares little else.
    peer: u64,
    local: u32,
}

impl Key {
    /// Before all others.
    pub(super) const FIRST: Self = Self { peer: 0, local: 0 };

    /// It as a number, in the same order.
    pub(super) fn number(&self) -> u128 {
        u128::from(self.peer) << 32 | u128::from(self.local)
    }

    /// The key with this number.
    pub(super) fn from_number(number: u128) -> Self {
        Self {
            peer: (number >> 32) as u64,
            local: number as u32,
        }
    }

    /// The key of the connection between the ends of `tuple`.
    pub(super) fn new(tuple: &FourTuple) -> Self {
        let (addr, port) = (tuple.remote.ip().to_bits(), tuple.remote.port());
        Self {
            peer: u64::from(addr) << 16 | u64::from(port),
            local: tuple.local.ip().to_bits(),
        }
    }

    /// Its place in [`Presence`].
    fn place(&self) -> usize {
        let mixed = self.peer ^ self.peer >> 16 ^ self.peer >> 40;
        mixed as usize % PLACES
    }

    /// The ends, at a listener on `port`.
    pub(super) fn tuple(&self, port: u16) -> FourTuple {
        FourTuple {
            local: SocketAddrV4::new(self.local.into(), port),
            remote: SocketAddrV4::new(((self.peer >> 16) as u32).into(), self.peer as u16),
        }
    }
}

/// Places of a [`Presence`].
const PLACES: usize = 256;

/// How many half-open connections there are of each of some kinds: that there is none of its kind
/// tells of a SYN without a look into the tree, which a flood would else pay for.
struct Presence([u8; PLACES]);

impl Presence {
    fn add(&mut self, key: &Key) {
        if let Some(count) = self.0.get_mut(key.place()) {
            *count = count.saturating_add(1);
        }
    }

    /// A count that may have been too large to keep stays.
    fn take(&mut self, key: &Key) {
        if let Some(count) = self.0.get_mut(key.place()).filter(|c| **c < u8::MAX) {
            *count = count.saturating_sub(1);
        }
    }

    fn may_have(&self, key: &Key) -> bool {
        self.0.get(key.place()).is_none_or(|count| *count > 0)
    }
}

/// A half-open connection, and the route of its SYN-ACK.
pub(super) struct HalfOpen {
    pub(super) entry: SynReceived,
    pub(super) route: Option<BackRoute>,
}

/// The memory that a half-open connection needs.
pub(super) type Memory = RBTreeNodeReservation<Key, HalfOpen>;

/// The queues of a listener, under its socket's lock.
pub struct Listener {
    /// Half-open connections.
    syn_queue: RBTree<Key, HalfOpen>,
    /// Memory for one: mostly few are under way, and one ends before the next begins.
    spare: Option<Memory>,
    /// A packet to answer the next SYN with, if that itself does not serve: a sender on this host
    /// keeps its SYN to send it again.
    packet: Option<SparePacket>,
    presence: Presence,
    /// Headers of their SYNs, of those that came while `TCP_SAVE_SYN` was set.
    saved_syns: RBTree<Key, Headers>,
    syn_queue_len: u32,
    /// Those of them whose SYN-ACK was sent once.
    young: u32,
    /// When to look through the SYN queue.
    deadline: Option<Instant>,
    /// Where the sweep under way goes on.
    sweep: Option<Key>,
    /// The earliest deadline that the sweep under way has seen.
    earliest: Option<Instant>,
    /// When a cookie was last sent.
    cookie_sent: Option<Instant>,
    /// The log has been told that the SYN queue was full.
    pub(super) warned: bool,
    /// It shares its segments with others, or may (`SO_REUSEPORT` when it began): its half-open
    /// connections are among the bind table's [`super::holders::Holders`].
    pub(super) grouped: bool,
    /// Connections that wait for accept().
    pub(super) accept_queue: AcceptQueue<ARef<Sock<Oxtcp>>>,
    /// What listen() was told.
    pub(super) backlog: u32,
}

impl Listener {
    /// Empty queues for `backlog`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new(backlog: u32) -> Result<Self> {
        Ok(Self {
            syn_queue: RBTree::new(),
            spare: None,
            packet: None,
            presence: Presence([0; PLACES]),
            saved_syns: RBTree::new(),
            syn_queue_len: 0,
            young: 0,
            deadline: None,
            sweep: None,
            earliest: None,
            cookie_sent: None,
            warned: false,
            grouped: false,
            accept_queue: AcceptQueue::new(backlog)?,
            backlog,
        })
    }

    /// Half-open connections.
    pub(super) fn syn_queue_len(&self) -> u32 {
        self.syn_queue_len
    }

    /// Whether the SYN queue takes no more: as in Linux it holds as many as the accept queue.
    pub(super) fn is_syn_queue_full(&self) -> bool {
        self.syn_queue_len >= self.backlog.max(1)
    }

    /// Whether the last quarter of `max` (`tcp_max_syn_backlog`) is all that is left: without
    /// cookies it is kept from hosts of which nothing is known, and of none is anything known here.
    pub(super) fn is_reserve_left(&self, max: u32) -> bool {
        max.saturating_sub(self.syn_queue_len) < max >> 2
    }

    /// How often a SYN-ACK is repeated, of `most` times: less often the more of a queue that is
    /// half full has waited for long, so that there is room for those who do answer
    /// (`reqsk_timer_handler`).
    pub(super) fn patience(&self, most: u8) -> u8 {
        if self.syn_queue_len.saturating_mul(2) <= self.backlog.max(8) {
            return most;
        }
        let mut young = self.young.saturating_mul(2);
        let mut retries = most;
        while retries > 2 && self.syn_queue_len >= young {
            retries -= 1;
            young = young.saturating_mul(2);
        }
        retries
    }

    /// A cookie was sent.
    pub(super) fn note_cookie(&mut self, now: Instant) {
        self.cookie_sent = Some(now);
    }

    /// Whether a cookie may come back.
    pub(super) fn expects_cookies(&self, now: Instant) -> bool {
        self.cookie_sent
            .is_some_and(|at| now.since(at) <= syn_cookie::LIFETIME)
    }

    /// The half-open connection of `key`.
    pub(super) fn get(&self, key: &Key) -> Option<&SynReceived> {
        if !self.presence.may_have(key) {
            return None;
        }
        self.syn_queue.get(key).map(|half| &half.entry)
    }

    /// The half-open connection of `key`, to be changed in all but its deadline.
    pub(super) fn get_mut(&mut self, key: &Key) -> Option<&mut SynReceived> {
        self.syn_queue.get_mut(key).map(|half| &mut half.entry)
    }

    /// Memory for one more half-open connection. Softirq too.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn memory(&mut self) -> Result<Memory> {
        match self.spare.take() {
            Some(memory) => Ok(memory),
            None => Ok(Memory::new(GFP_ATOMIC)?),
        }
    }

    /// Keeps the memory of a packet that is done with, if it has none.
    pub(super) fn keep_packet(&mut self, skb: RxSkb) {
        if self.packet.is_none() {
            self.packet = skb.into_spare();
        }
    }

    /// The memory that was kept, if any; what is taken is not had again.
    pub(super) fn spare_packet(&mut self) -> &mut Option<SparePacket> {
        &mut self.packet
    }

    /// Adds a half-open connection, in its memory.
    pub(super) fn insert(&mut self, key: Key, half: HalfOpen, memory: Memory) {
        let deadline = half.entry.deadline();
        let node = memory.into_node(key, half);
        self.deadline = earlier(self.deadline, deadline);
        self.earliest = earlier(self.earliest, deadline);
        self.presence.add(&key);
        if let Some(old) = self.syn_queue.insert(node) {
            self.forget(&key, &old.to_key_value().1.entry);
        }
        self.syn_queue_len = self.syn_queue_len.saturating_add(1);
        self.young = self.young.saturating_add(1);
    }

    /// Takes a half-open connection out.
    pub(super) fn remove(&mut self, key: &Key) -> Option<HalfOpen> {
        let mut found = self.syn_queue.find_mut(key)?;
        let half = HalfOpen {
            entry: found.get().entry,
            route: found.get_mut().route.take(),
        };
        let memory = found.remove_node().into_reservation();
        self.spare.get_or_insert(memory);
        self.saved_syns.remove(key);
        self.forget(key, &half.entry);
        Some(half)
    }

    /// The keys of all half-open connections.
    pub(super) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.syn_queue.keys()
    }

    /// Keeps the headers of a SYN with its half-open connection, if there is memory.
    pub(super) fn save_syn(&mut self, key: Key, headers: Headers) {
        if let Ok(node) = RBTreeNode::new(key, headers, GFP_ATOMIC) {
            self.saved_syns.insert(node);
        }
    }

    /// Takes out the headers of the SYN of a half-open connection.
    pub(super) fn take_saved_syn(&mut self, key: &Key) -> Option<Headers> {
        self.saved_syns.remove(key)
    }

    fn forget(&mut self, key: &Key, entry: &SynReceived) {
        self.presence.take(key);
        self.syn_queue_len = self.syn_queue_len.saturating_sub(1);
        if entry.retries() == 0 {
            self.young = self.young.saturating_sub(1);
        }
    }

    /// When [`Listener::sweep`] is to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Shows some of the half-open connections to `look`, which says which of them to give up;
    /// those that it was not shown come in the next calls. Sets the next deadline.
    pub(super) fn sweep(
        &mut self,
        now: Instant,
        mut look: impl FnMut(&Key, &mut SynReceived) -> bool,
    ) {
        let from = match self.sweep.take() {
            Some(key) => key,
            None => {
                self.earliest = None;
                Key::FIRST
            }
        };
        let mut next = Some(from);
        for _ in 0..SWEEP_BATCH {
            let Some(key) = next else { break };
            next = self.step(&key, &mut look);
        }
        self.sweep = next;
        self.deadline = match next {
            Some(_) => Some(now),
            None => self.earliest.map(|at| at.max(now + SWEEP_PAUSE)),
        };
    }

    /// Shows the first connection from `from` on; returns where to go on.
    fn step(
        &mut self,
        from: &Key,
        look: &mut impl FnMut(&Key, &mut SynReceived) -> bool,
    ) -> Option<Key> {
        let mut cursor = self.syn_queue.cursor_lower_bound_mut(from)?;
        let next = cursor.peek_next().map(|(key, _)| *key);
        let (key, half) = cursor.current_mut();
        let entry = &mut half.entry;
        let was_young = entry.retries() == 0;
        let gone = look(key, entry);
        let is_young = entry.retries() == 0;
        let deadline = entry.deadline();
        if gone {
            let (_, node) = cursor.remove_current();
            let (key, _) = node.to_key_value();
            self.presence.take(&key);
            self.saved_syns.remove(&key);
            self.syn_queue_len = self.syn_queue_len.saturating_sub(1);
        } else {
            self.earliest = earlier(self.earliest, deadline);
        }
        if was_young && (gone || !is_young) {
            self.young = self.young.saturating_sub(1);
        }
        next
    }

    /// The half-open connections from `from` on, as many as `out` has room for; returns where to
    /// go on.
    pub(super) fn show(&self, from: &Key, out: &mut [Option<(Key, SynReceived)>]) -> Option<Key> {
        let mut next = Some(*from);
        for slot in out {
            let cursor = self.syn_queue.cursor_lower_bound(&next?)?;
            let (key, half) = cursor.current();
            *slot = Some((*key, half.entry));
            next = cursor.peek_next().map(|(key, _)| *key);
        }
        next
    }
}
