// SPDX-License-Identifier: GPL-2.0

//! Which local ports are ours: the hook's first test, one load.

use super::bindings as b;
use super::*;
use kernel::alloc::KVVec;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};

const PORTS: usize = 1 << 16;

/// The own ports of a namespace: for each a count of users.
pub struct Ports {
    users: KVVec<Atomic<u32>>,
}

impl Ports {
    pub(super) fn new() -> Result<Self> {
        let mut users = KVVec::with_capacity(PORTS, GFP_KERNEL)?;
        for _ in 0..PORTS {
            users.push(Atomic::new(0), GFP_KERNEL)?;
        }
        Ok(Self { users })
    }

    /// Adds a user of `port`: its segments come to us from now on.
    pub fn get(&self, port: u16) {
        self.users[usize::from(port)].add(1, Relaxed);
    }

    /// Takes a user of `port` away, of which [`Ports::get`] has told.
    pub fn put(&self, port: u16) {
        self.users[usize::from(port)].fetch_sub(1, Relaxed);
    }

    /// The counts, one for each port.
    pub(super) fn users(&self) -> *const u32 {
        self.users.as_ptr().cast()
    }

    /// Whether `port` has a user.
    #[inline]
    pub fn contains(&self, port: u16) -> bool {
        let count = self.users[usize::from(port)].as_ptr();
        // SAFETY: The pointer is valid; the read is that of `READ_ONCE`.
        unsafe { count.read_volatile() != 0 }
    }
}

impl<F: Family> NetNs<F> {
    /// Whether a socket of `AF_INET` listens for what comes from the far end of `tuple` by the
    /// interface with this index.
    pub fn inet_listens(&self, tuple: &FourTuple, iif: i32) -> bool {
        // SAFETY: The namespace is alive.
        unsafe { b::ox_inet_listens(self.raw(), &tuple.wire(), iif) }
    }

    /// Whether `AF_INET` has a connection between the ends of `tuple`, if only in TIME-WAIT, for
    /// what comes in by the interface with this index.
    pub fn inet_connects(&self, tuple: &FourTuple, iif: i32) -> bool {
        // SAFETY: The namespace is alive.
        unsafe { b::ox_inet_connects(self.raw(), &tuple.wire(), iif) }
    }
}

#[kunit_tests(oxtcp_own_ports)]
mod tests {
    use super::*;

    #[test]
    fn fresh_has_none() -> Result {
        let ports = Ports::new()?;
        assert!((0..=u16::MAX).all(|port| !ports.contains(port)));
        Ok(())
    }

    #[test]
    fn last_user_frees() -> Result {
        let ports = Ports::new()?;
        ports.get(80);
        ports.get(80);
        ports.put(80);
        assert!(ports.contains(80));
        ports.put(80);
        assert!(!ports.contains(80));
        Ok(())
    }

    #[test]
    fn neighbours_are_apart() -> Result {
        let ports = Ports::new()?;
        for port in [0, 63, 64, 65, 127, 128, u16::MAX] {
            ports.get(port);
            assert!(ports.contains(port));
            assert!(!ports.contains(port ^ 1));
            ports.put(port);
            assert!(!ports.contains(port));
        }
        Ok(())
    }
}
