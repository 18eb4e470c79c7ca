// SPDX-License-Identifier: GPL-2.0

//! A map from ports: an array of arrays, so that a look-up is two loads however many there are.

use core::mem::MaybeUninit;
use kernel::alloc::KVVec;
use kernel::prelude::*;

/// Ports in one of the inner arrays, which is made when the first of them has something and stays
/// then: ports come again.
const GROUP: usize = 64;
const GROUPS: usize = (u16::MAX as usize + 1) / GROUP;

type Group<T> = [Option<KBox<T>>; GROUP];

/// What some ports have.
pub(super) struct PortMap<T> {
    groups: KVVec<Option<KBox<Group<T>>>>,
    /// Memory for one: ports of connections come and go, often one at a time.
    spare: Option<KBox<MaybeUninit<T>>>,
}

fn place(port: u16) -> (usize, usize) {
    let port = usize::from(port);
    (port / GROUP, port % GROUP)
}

impl<T> PortMap<T> {
    /// An empty map.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new() -> Result<Self> {
        let mut groups = KVVec::with_capacity(GROUPS, GFP_KERNEL)?;
        for _ in 0..GROUPS {
            groups.push(None, GFP_KERNEL)?;
        }
        Ok(Self {
            groups,
            spare: None,
        })
    }

    /// What `port` has.
    pub(super) fn get(&self, port: &u16) -> Option<&T> {
        let (group, at) = place(*port);
        let group = self.groups.as_slice().get(group)?.as_deref()?;
        group.get(at)?.as_deref()
    }

    /// What `port` has, to be changed.
    pub(super) fn get_mut(&mut self, port: &u16) -> Option<&mut T> {
        self.slot(*port)?.as_deref_mut()
    }

    fn slot(&mut self, port: u16) -> Option<&mut Option<KBox<T>>> {
        let (group, at) = place(port);
        let group = self.groups.as_mut_slice().get_mut(group)?.as_deref_mut()?;
        group.get_mut(at)
    }

    /// What `port` has: `new` if it has nothing yet. Softirq too.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn get_or(&mut self, port: u16, new: impl FnOnce() -> T) -> Result<&mut T> {
        let (group, at) = place(port);
        let group = self.groups.as_mut_slice().get_mut(group).ok_or(ENOMEM)?;
        if group.is_none() {
            *group = Some(KBox::new([const { None }; GROUP], GFP_ATOMIC)?);
        }
        let slot = group.as_deref_mut().and_then(|g| g.get_mut(at));
        let slot = slot.ok_or(ENOMEM)?;
        if slot.is_none() {
            let memory = match self.spare.take() {
                Some(spare) => spare,
                None => KBox::new_uninit(GFP_ATOMIC)?,
            };
            *slot = Some(KBox::write(memory, new()));
        }
        slot.as_deref_mut().ok_or(ENOMEM)
    }

    /// `port` has nothing any more if `which` says so of what it has.
    pub(super) fn remove_if(&mut self, port: u16, which: impl Fn(&T) -> bool) {
        let Some(slot) = self.slot(port) else {
            return;
        };
        if !slot.as_deref().is_some_and(which) {
            return;
        }
        let spare = slot.take().map(KBox::drop_contents);
        if self.spare.is_none() {
            self.spare = spare;
        }
    }

    /// What the ports have, in their order.
    pub(super) fn values(&self) -> impl Iterator<Item = &T> {
        let groups = self.groups.as_slice().iter().flatten();
        groups.flat_map(|g| g.iter().flatten().map(|value| &**value))
    }
}

#[kunit_tests(oxtcp_port_map)]
mod tests {
    use super::*;

    const PORTS: [u16; 7] = [0, 1, 63, 64, 1000, 61000, u16::MAX];

    #[test]
    fn a_port_has_what_it_was_given() -> Result {
        let mut map = PortMap::new()?;
        for port in PORTS {
            assert!(map.get(&port).is_none());
            assert!(*map.get_or(port, || u32::from(port))? == u32::from(port));
            assert!(*map.get_or(port, || 7)? == u32::from(port));
        }
        assert!(map.get(&2).is_none() && map.get_mut(&2).is_none());
        assert!(map.values().copied().eq(PORTS.map(u32::from)));
        Ok(())
    }

    #[test]
    fn what_is_removed_is_gone() -> Result {
        let mut map = PortMap::new()?;
        for port in PORTS {
            map.get_or(port, || port)?;
        }
        for port in PORTS {
            map.remove_if(port, |_| false);
            assert!(map.get(&port) == Some(&port));
            map.remove_if(port, |p| *p == port);
            assert!(map.get(&port).is_none());
        }
        assert!(map.values().next().is_none());
        Ok(())
    }
}
