// SPDX-License-Identifier: GPL-2.0

//! Which local ports are ours: the hook's first test, one bit each.

use super::BhSpinLock;
use crate::new_bh_spinlock;
use kernel::alloc::KVVec;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};

const PORTS: usize = 1 << 16;
const WORD: usize = u64::BITS as usize;

/// The own ports of a namespace, each with a count of users.
#[pin_data]
pub struct Ports {
    /// Read without a lock; written under that of `users`.
    bits: KVVec<Atomic<u64>>,
    #[pin]
    users: BhSpinLock<KVVec<u32>>,
}

impl Ports {
    pub(super) fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            bits: Self::no_bits()?,
            users <- new_bh_spinlock!(
                KVVec::from_elem(0u32, PORTS, GFP_KERNEL)?, c"oxtcp_ports"),
        })
    }

    fn no_bits() -> Result<KVVec<Atomic<u64>>> {
        let mut bits = KVVec::with_capacity(PORTS / WORD, GFP_KERNEL)?;
        for _ in 0..PORTS / WORD {
            bits.push(Atomic::new(0), GFP_KERNEL)?;
        }
        Ok(bits)
    }

    /// Adds a user of `port`: its segments come to us from now on.
    pub fn get(&self, port: u16) {
        let mut users = self.users.lock();
        let count = &mut users[usize::from(port)];
        *count = count.saturating_add(1);
        self.set(port, true);
    }

    /// Takes a user of `port` away.
    pub fn put(&self, port: u16) {
        let mut users = self.users.lock();
        let count = &mut users[usize::from(port)];
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.set(port, false);
        }
    }

    fn set(&self, port: u16, on: bool) {
        let word = &self.bits[usize::from(port) / WORD];
        let bit = 1u64 << (usize::from(port) % WORD);
        let old = word.load(Relaxed);
        word.store(if on { old | bit } else { old & !bit }, Relaxed);
    }

    /// Whether `port` has a user.
    pub fn contains(&self, port: u16) -> bool {
        let word = self.bits[usize::from(port) / WORD].load(Relaxed);
        word >> (usize::from(port) % WORD) & 1 != 0
    }
}

#[kunit_tests(oxtcp_own_ports)]
mod tests {
    use super::*;

    fn ports() -> Result<Pin<KBox<Ports>>> {
        KBox::pin_init(Ports::new(), GFP_KERNEL)
    }

    #[test]
    fn fresh_has_none() -> Result {
        let ports = ports()?;
        assert!((0..=u16::MAX).all(|port| !ports.contains(port)));
        Ok(())
    }

    #[test]
    fn last_user_frees() -> Result {
        let ports = ports()?;
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
        let ports = ports()?;
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
