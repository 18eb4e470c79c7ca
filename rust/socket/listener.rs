// SPDX-License-Identifier: GPL-2.0

//! What a listening socket has: its SYN queue and its accept queue.

use super::accept_queue::AcceptQueue;
use super::Oxtcp;
use crate::net::{FourTuple, Sock};
use crate::tcp::syn_received::SynReceived;
use crate::tcp::time::Instant;
use core::net::SocketAddrV4;
use kernel::prelude::*;
use kernel::rbtree::{RBTree, RBTreeNode};
use kernel::sync::aref::ARef;

/// How many half-open connections are given up in one sweep; the rest waits for the next.
pub(super) const GIVE_UP_BATCH: usize = 32;

fn earlier(a: Option<Instant>, b: Instant) -> Option<Instant> {
    Some(a.map_or(b, |a| a.min(b)))
}

/// The ends of a half-open connection; the local port is the listener's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    addr: u32,
    port: u16,
    local: u32,
}

impl Key {
    /// The key of the connection between the ends of `tuple`.
    pub(super) fn new(tuple: &FourTuple) -> Self {
        Self {
            addr: tuple.remote.ip().to_bits(),
            port: tuple.remote.port(),
            local: tuple.local.ip().to_bits(),
        }
    }

    /// The ends, at a listener on `port`.
    pub(super) fn tuple(&self, port: u16) -> FourTuple {
        FourTuple {
            local: SocketAddrV4::new(self.local.into(), port),
            remote: SocketAddrV4::new(self.addr.into(), self.port),
        }
    }
}

/// The queues of a listener, under its socket's lock.
pub struct Listener {
    /// Half-open connections.
    syn_queue: RBTree<Key, SynReceived>,
    syn_queue_len: u32,
    deadline: Option<Instant>,
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
            syn_queue_len: 0,
            deadline: None,
            accept_queue: AcceptQueue::new(backlog)?,
            backlog,
        })
    }

    /// Half-open connections.
    pub(super) fn syn_queue_len(&self) -> u32 {
        self.syn_queue_len
    }

    /// Whether the SYN queue takes no more: as in Linux it holds as many as the accept queue, and
    /// at most `max` (`tcp_max_syn_backlog`).
    pub(super) fn is_syn_queue_full(&self, max: u32) -> bool {
        self.syn_queue_len >= self.backlog.min(max).max(1)
    }

    /// The half-open connection of `key`.
    pub(super) fn get(&self, key: &Key) -> Option<&SynReceived> {
        self.syn_queue.get(key)
    }

    /// The half-open connection of `key`, to be changed in all but its deadline.
    pub(super) fn get_mut(&mut self, key: &Key) -> Option<&mut SynReceived> {
        self.syn_queue.get_mut(key)
    }

    /// Adds a half-open connection.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn insert(&mut self, key: Key, entry: SynReceived) -> Result {
        let node = RBTreeNode::new(key, entry, GFP_ATOMIC)?;
        self.deadline = earlier(self.deadline, entry.deadline());
        if self.syn_queue.insert(node).is_none() {
            self.syn_queue_len = self.syn_queue_len.saturating_add(1);
        }
        Ok(())
    }

    /// Takes a half-open connection out.
    pub(super) fn remove(&mut self, key: &Key) -> Option<SynReceived> {
        let entry = self.syn_queue.remove(key)?;
        self.syn_queue_len = self.syn_queue_len.saturating_sub(1);
        Some(entry)
    }

    /// When the first SYN-ACK is to be sent again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Shows all half-open connections to `look`, which says which of them to give up, and sets
    /// the next deadline. Up to [`GIVE_UP_BATCH`] of the ends given up are returned.
    pub(super) fn sweep(
        &mut self,
        mut look: impl FnMut(&Key, &mut SynReceived) -> bool,
    ) -> [Option<Key>; GIVE_UP_BATCH] {
        let mut gone = [None; GIVE_UP_BATCH];
        let mut free = gone.iter_mut();
        self.deadline = None;
        for (key, entry) in self.syn_queue.iter_mut() {
            if look(key, entry) {
                if let Some(slot) = free.next() {
                    *slot = Some(*key);
                    continue;
                }
            }
            self.deadline = earlier(self.deadline, entry.deadline());
        }
        for key in gone.iter().flatten() {
            self.remove(key);
        }
        gone
    }

    /// The `n`-th half-open connection.
    pub(super) fn nth(&self, n: usize) -> Option<(Key, SynReceived)> {
        self.syn_queue.iter().nth(n).map(|(k, e)| (*k, *e))
    }
}
