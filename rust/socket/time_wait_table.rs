// SPDX-License-Identifier: GPL-2.0

//! The table of connections in TIME-WAIT: trees by the ends, of which a keyed hash picks one. Each
//! has its own lock, and that there is nothing in one is seen without.

use super::ports::Owner;
use crate::net::{BhSpinLock, BhSpinLockGuard, Ends, FourTuple};
use crate::new_bh_spinlock;
use crate::tcp::time::Instant;
use crate::tcp::time_wait::TimeWait;
use core::net::SocketAddrV4;
use kernel::prelude::*;
use kernel::rbtree::{RBTree, RBTreeNode};
use kernel::sync::atomic::{Atomic, Relaxed};
use kernel::sync::barrier::{smp_mb, Read};
use pin_init::pin_init_array_from_fn;

/// Trees; a power of two.
pub(super) const SHARDS: usize = 512;

/// The ends of a connection, ordered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    remote: (u32, u16),
    local: (u32, u16),
}

impl Key {
    /// Before all others.
    pub(super) const FIRST: Self = Self {
        remote: (0, 0),
        local: (0, 0),
    };

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

    pub(super) fn new(tuple: &FourTuple) -> Self {
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

/// A connection in TIME-WAIT.
pub(super) struct Entry {
    pub(super) time_wait: TimeWait,
    /// How the bind table knows it.
    pub(super) owner: Owner,
}

/// An entry with the memory that it needs in the table.
pub(super) type Node = RBTreeNode<Key, Entry>;

#[pin_data]
struct Shard {
    #[pin]
    entries: BhSpinLock<RBTree<Key, Entry>>,
    /// How many there are; written under the lock.
    len: Atomic<u32>,
}

impl Shard {
    fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            entries <- new_bh_spinlock!(RBTree::new(), c"oxtcp_time_wait"),
            len: Atomic::new(0),
        })
    }
}

/// The entries of a namespace.
pub struct TimeWaitTable {
    shards: Pin<KBox<[Shard; SHARDS]>>,
    len: Atomic<u32>,
}

/// A tree of the table, locked.
pub(super) struct Shelf<'a> {
    table: &'a TimeWaitTable,
    shard: &'a Shard,
    entries: BhSpinLockGuard<'a, RBTree<Key, Entry>>,
}

impl TimeWaitTable {
    /// An empty table.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            shards: KBox::pin_init(pin_init_array_from_fn(|_| Shard::new()), GFP_KERNEL)?,
            len: Atomic::new(0),
        })
    }

    /// Entries in the table.
    pub(super) fn len(&self) -> u32 {
        self.len.load(Relaxed)
    }

    fn shard(&self, index: usize) -> Option<&Shard> {
        self.shards.get(index % SHARDS)
    }

    /// Where an entry for `ends` would be; `None` when there is nothing. A connection goes here
    /// before it leaves the table of connections: who has not found it there finds it here.
    pub(super) fn find(&self, ends: &Ends) -> Option<Shelf<'_>> {
        smp_mb(Read);
        let shard = self.shard(ends.hash() as usize)?;
        if shard.len.load(Relaxed) == 0 {
            return None;
        }
        Some(self.open(shard))
    }

    /// Where an entry for `ends` is to be put.
    pub(super) fn place(&self, ends: &Ends) -> Option<Shelf<'_>> {
        let shard = self.shard(ends.hash() as usize)?;
        Some(self.open(shard))
    }

    /// A tree by its number below [`SHARDS`]; `None` when there is nothing in it.
    pub(super) fn nth(&self, index: usize) -> Option<Shelf<'_>> {
        let shard = self.shard(index)?;
        (shard.len.load(Relaxed) > 0).then(|| self.open(shard))
    }

    fn open<'a>(&'a self, shard: &'a Shard) -> Shelf<'a> {
        Shelf {
            table: self,
            shard,
            entries: shard.entries.lock(),
        }
    }
}

impl Shelf<'_> {
    pub(super) fn get(&self, key: &Key) -> Option<&Entry> {
        self.entries.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &Key) -> Option<&mut Entry> {
        self.entries.get_mut(key)
    }

    /// Puts an entry in; gives back the one that had its ends.
    pub(super) fn insert(&mut self, node: Node) -> Option<Entry> {
        let old = self.entries.insert(node).map(|old| old.to_key_value().1);
        if old.is_none() {
            self.shard.len.add(1, Relaxed);
            self.table.len.add(1, Relaxed);
        }
        old
    }

    /// Takes an entry out.
    pub(super) fn remove(&mut self, key: &Key) -> Option<Entry> {
        let entry = self.entries.remove(key)?;
        self.shard.len.fetch_sub(1, Relaxed);
        self.table.len.fetch_sub(1, Relaxed);
        Some(entry)
    }

    /// The ends and the deadlines of the entries from `from` on, as many as `out` has room for;
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
