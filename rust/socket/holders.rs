// SPDX-License-Identifier: GPL-2.0

//! Which member of a group of listeners has which half-open connection.
//!
//! A segment's ends do not tell: the group's program need not be a function of them, and the group
//! may have changed since the SYN. So what a member begins is written down here, under the lock
//! that a segment without a connection takes anyway to find its listener. That look-up is all it
//! costs, however many members there are.
//!
//! The lock is taken inside that of a member's socket. An entry is made before the SYN-ACK goes
//! out, and goes when the member gives up the handshake or ends, or, when that is complete, after
//! the connection is in its table: who finds neither has looked before it was begun, or finds the
//! connection when it looks again.

use super::listener::Key;
use crate::net::FourTuple;
use kernel::prelude::*;
use kernel::rbtree::{RBTree, RBTreeNodeReservation};

/// The ends of a connection as one number.
fn number(tuple: &FourTuple) -> u128 {
    Key::new(tuple).number() << 16 | u128::from(tuple.local.port())
}

/// Half-open connections, each with the number of the socket that has it.
pub struct Holders {
    entries: RBTree<u128, usize>,
    /// Memory for one: mostly few are under way.
    spare: Option<RBTreeNodeReservation<u128, usize>>,
}

impl Holders {
    pub(super) fn new() -> Self {
        Self {
            entries: RBTree::new(),
            spare: None,
        }
    }

    /// Who has the half-open connection between the ends of `tuple`.
    pub(super) fn get(&self, tuple: &FourTuple) -> Option<usize> {
        self.entries.get(&number(tuple)).copied()
    }

    /// `holder` begins the connection between the ends of `tuple`. Softirq too.
    ///
    /// # Errors
    ///
    /// `EEXIST` when another has begun it; `ENOMEM`.
    pub(super) fn add(&mut self, tuple: &FourTuple, holder: usize) -> Result {
        match self.get(tuple) {
            Some(other) if other != holder => return Err(EEXIST),
            Some(_) => return Ok(()),
            None => {}
        }
        let memory = match self.spare.take() {
            Some(memory) => memory,
            None => RBTreeNodeReservation::new(GFP_ATOMIC)?,
        };
        self.entries.insert(memory.into_node(number(tuple), holder));
        Ok(())
    }

    /// `holder` has the connection between the ends of `tuple` no longer.
    pub(super) fn remove(&mut self, tuple: &FourTuple, holder: usize) {
        if self.get(tuple) == Some(holder) {
            let node = self.entries.remove_node(&number(tuple));
            let memory = node.map(|node| node.into_reservation());
            self.spare = self.spare.take().or(memory);
        }
    }
}

#[kunit_tests(oxtcp_holders)]
mod tests {
    use super::*;
    use core::net::{Ipv4Addr, SocketAddrV4};

    fn tuple(local: u16, remote: u16) -> FourTuple {
        FourTuple {
            local: SocketAddrV4::new(Ipv4Addr::LOCALHOST, local),
            remote: SocketAddrV4::new(Ipv4Addr::LOCALHOST, remote),
        }
    }

    #[test]
    fn a_connection_has_the_holder_that_began_it_until_that_gives_it_up() -> Result {
        let mut holders = Holders::new();
        let (one, other) = (tuple(80, 1000), tuple(81, 1000));

        holders.add(&one, 1)?;
        holders.add(&one, 1)?;
        holders.add(&other, 2)?;
        assert!(holders.add(&one, 2) == Err(EEXIST));
        assert!(holders.get(&one) == Some(1));
        assert!(holders.get(&other) == Some(2));
        assert!(holders.get(&tuple(80, 1001)).is_none());

        holders.remove(&one, 2);
        assert!(holders.get(&one) == Some(1));
        holders.remove(&one, 1);
        holders.remove(&one, 1);
        assert!(holders.get(&one).is_none());
        holders.add(&one, 2)?;
        assert!(holders.get(&one) == Some(2));
        Ok(())
    }
}
