// SPDX-License-Identifier: GPL-2.0

//! Who holds which local port: the bind table of one network namespace.
//!
//! A port may have many owners: a listener, the connections accepted from it, clients that share
//! an ephemeral port towards different peers, entries in TIME-WAIT. What a bind may share is
//! decided as Linux decides it (`inet_csk_bind_conflict`). Owners that look alike are one entry
//! with a count, so a server with ten thousand connections costs one entry for each of its local
//! addresses.

use super::few::Few;
use super::holders::Holders;
use super::port_map::PortMap;
use crate::tcp::pack::packed;
use kernel::prelude::*;
use kernel::sync::Arc;

/// Why an owner holds its port.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Role {
    /// bind() gave it the port.
    #[default]
    Bound,
    /// It listens on the port.
    Listening,
    /// It was accepted from a listener on the port, or connected from a bound port.
    Connected,
    /// connect() chose the port: others may share it towards another peer.
    Ephemeral,
    /// It is in TIME-WAIT.
    TimeWait,
}

packed!(enum Role {
    0 => Bound, 1 => Listening, 2 => Connected, 3 => Ephemeral, 4 => TimeWait,
});

/// Which port is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// The one that was asked for: also shared with others, where both agree.
    This,
    /// The same for a socket with a program of its own to share it by (`SO_ATTACH_REUSEPORT_EBPF`):
    /// a group has one, so that it begins the group or has no part in it.
    Grouped,
    /// One that nobody has.
    Free,
    /// One that others have, with whom it is shared for connections alone (`ip_autobind_reuse`).
    Reused,
}

/// What the bind table knows of an owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Owner {
    /// Local address in host order, 0 for the wildcard.
    pub addr: u32,
    /// Interface index that the socket is bound to, 0 for any.
    pub dev: i32,
    /// `SO_REUSEADDR`.
    pub reuse: bool,
    /// `SO_REUSEPORT`: the user with whose other sockets the port is shared.
    pub shared_by: Option<u32>,
    /// Why it holds the port.
    pub role: Role,
}

packed!(struct Owner { addr, dev, reuse, shared_by, role });

impl Owner {
    fn overlaps(&self, other: &Owner) -> bool {
        meet((self.addr, self.dev), (other.addr, other.dev))
    }

    /// Whether `self`, which asks for the port, may not have it because of `other`
    /// (`inet_bind_conflict`).
    fn conflicts(&self, other: &Owner) -> bool {
        let reuses = self.reuse && other.reuse && other.role != Role::Listening;
        self.overlaps(other) && !reuses && !self.shares(other)
    }

    /// The same of a port that was not asked for by number: none that another user's socket could
    /// listen on, but to connect to other peers by.
    fn conflicts_when_chosen(&self, other: &Owner) -> bool {
        let reuses = self.reuse && other.reuse && other.role != Role::Listening;
        self.overlaps(other) && (!reuses || self.shares(other))
    }

    /// The same without `SO_REUSEPORT`.
    fn unshared(self) -> Self {
        Self {
            shared_by: None,
            ..self
        }
    }

    /// Whether both have `SO_REUSEPORT`, of one user.
    fn shares(&self, other: &Owner) -> bool {
        match (self.shared_by, other.shared_by) {
            (Some(mine), Some(theirs)) => mine == theirs || other.role == Role::TimeWait,
            _ => false,
        }
    }
}

/// What keeps a port away from `AF_INET`, and where: an owner may have another address by then, as
/// one in TIME-WAIT that was bound to all of them.
pub struct Reserved<R> {
    /// Local address in host order, 0 for all.
    pub addr: u32,
    /// Interface index, 0 for all.
    pub dev: i32,
    /// What reserves it.
    pub by: R,
}

impl<R> Reserved<R> {
    fn overlaps(&self, addr: u32, dev: i32) -> bool {
        meet((self.addr, self.dev), (addr, dev))
    }
}

/// Whether two addresses, each at an interface, have something in common: 0 is all of them.
fn meet((addr, dev): (u32, i32), (other_addr, other_dev): (u32, i32)) -> bool {
    (addr == 0 || other_addr == 0 || addr == other_addr)
        && (dev == 0 || other_dev == 0 || dev == other_dev)
}

/// The same owners, counted; `R` is what keeps the port away from `AF_INET` meanwhile.
struct Share<R> {
    owner: Owner,
    count: u32,
    reservation: Option<Arc<Reserved<R>>>,
}

struct Listener<L> {
    owner: Owner,
    socket: L,
}

impl<L> Listener<L> {
    /// How closely it is bound to what a segment to `addr` by interface `dev` is; `None` when the
    /// segment is not for it.
    fn score(&self, addr: u32, dev: i32) -> Option<u32> {
        let own = &self.owner;
        let fits = (own.addr == 0 || own.addr == addr) && (own.dev == 0 || own.dev == dev);
        fits.then(|| 2 * u32::from(own.addr != 0) + u32::from(own.dev != 0))
    }

    /// Whether both listen for the same segments, and share them.
    fn is_in_group(&self, owner: &Owner) -> bool {
        let same = self.owner.addr == owner.addr && self.owner.dev == owner.dev;
        same && owner.shares(&self.owner)
    }
}

struct Bucket<L, R: 'static> {
    shares: Few<Share<R>>,
    /// None of them need no memory, nor a call to say so.
    listeners: Option<KVec<Listener<L>>>,
}

impl<L, R> Bucket<L, R> {
    const fn new() -> Self {
        Self {
            shares: Few::new(),
            listeners: None,
        }
    }

    fn is_empty(&self) -> bool {
        self.shares.is_empty() && self.listeners().is_empty()
    }

    fn listeners(&self) -> &[Listener<L>] {
        self.listeners.as_ref().map_or(&[], |l| l.as_slice())
    }

    fn add(&mut self, owner: Owner) -> Result {
        if let Some(share) = self.share(&owner) {
            share.count = share.count.saturating_add(1);
            return Ok(());
        }
        let share = Share {
            owner,
            count: 1,
            reservation: None,
        };
        self.shares.push(share)
    }

    fn share(&mut self, owner: &Owner) -> Option<&mut Share<R>> {
        self.shares.iter_mut().find(|s| s.owner == *owner)
    }

    /// Takes one owner away; gives back the reservation that nobody needs any more, for the caller
    /// to drop outside of the lock.
    fn remove(&mut self, owner: &Owner) -> Option<Arc<Reserved<R>>> {
        let share = self.share(owner)?;
        share.count = share.count.saturating_sub(1);
        if share.count > 0 {
            return None;
        }
        self.shares.take(|s| s.count == 0)?.reservation
    }

    /// What was `old` is `new` from now on. The reservation goes with it, and stays with those who
    /// are `old` still.
    fn change(&mut self, old: &Owner, new: Owner) -> Result {
        let others = self.shares.iter().any(|s| s.owner == new);
        if let Some(share) = self.share(old).filter(|s| s.count == 1 && !others) {
            share.owner = new;
            return Ok(());
        }
        self.add(new)?;
        let reservation = self.share(old).and_then(|s| s.reservation.clone());
        self.remove(old);
        if let (Some(share), Some(reservation)) = (self.share(&new), reservation) {
            share.reservation.get_or_insert(reservation);
        }
        Ok(())
    }

    /// Whether anyone but `but`, itself in its former role, objects to `wish` of `owner`.
    fn refuses(&self, owner: &Owner, wish: Wish, but: Option<&Owner>) -> bool {
        let mut others = self
            .shares
            .iter()
            .filter(|s| s.count > u32::from(but == Some(&s.owner)));
        others.any(|s| match wish {
            Wish::This => owner.conflicts(&s.owner),
            Wish::Grouped => owner.unshared().conflicts(&s.owner),
            Wish::Free => owner.overlaps(&s.owner),
            Wish::Reused => owner.conflicts_when_chosen(&s.owner),
        })
    }
}

/// The bind table of a namespace. `L` is a listener's handle, `R` a reservation in `AF_INET`.
pub struct PortTable<L, R: 'static> {
    buckets: PortMap<Bucket<L, R>>,
    /// Half-open connections of the listeners that share their segments, by [`Owner::shared_by`].
    pub(super) holders: Holders,
}

impl<L: Clone, R> PortTable<L, R> {
    /// An empty table.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            buckets: PortMap::new()?,
            holders: Holders::new(),
        })
    }

    fn bucket(&mut self, port: u16) -> Result<&mut Bucket<L, R>> {
        self.buckets.get_or(port, Bucket::new)
    }

    fn drop_if_empty(&mut self, port: u16) {
        self.buckets.remove_if(port, Bucket::is_empty);
    }

    /// Gives `port` to `owner` if nobody objects.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` where another owner objects, `ENOMEM`.
    pub fn claim(&mut self, port: u16, owner: Owner, wish: Wish) -> Result {
        let bucket = self.buckets.get(&port);
        if bucket.is_some_and(|b| b.refuses(&owner, wish, None)) {
            return Err(EADDRINUSE);
        }
        self.join(port, owner)
    }

    /// Adds `owner` to `port` without asking: it comes from an owner that was there (an accepted
    /// connection, one that goes to TIME-WAIT).
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn join(&mut self, port: u16, owner: Owner) -> Result {
        let added = self.bucket(port)?.add(owner);
        if added.is_err() {
            self.drop_if_empty(port);
        }
        added
    }

    /// Gives `port` to `owner` if connect() may choose it: it is free, or held by other ephemeral
    /// connections alone (the 4-tuple is then what must be unique). Whether it was given.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn claim_ephemeral(&mut self, port: u16, owner: Owner) -> Result<bool> {
        let bucket = self.bucket(port)?;
        let shares = |s: &Share<R>| matches!(s.owner.role, Role::Ephemeral | Role::TimeWait);
        if !bucket.listeners().is_empty() || !bucket.shares.iter().all(shares) {
            return Ok(false);
        }
        self.join(port, owner)?;
        Ok(true)
    }

    /// Takes one `owner` off `port`. What is given back is to be dropped outside of the lock.
    #[must_use]
    pub fn release(&mut self, port: u16, owner: &Owner) -> Option<Arc<Reserved<R>>> {
        let bucket = self.buckets.get_mut(&port)?;
        let freed = bucket.remove(owner);
        if bucket.is_empty() {
            self.drop_if_empty(port);
        }
        freed
    }

    /// Changes what `old` is to the table, without a check. The reservation stays with the port.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; nothing has changed then.
    pub fn change(&mut self, port: u16, old: &Owner, new: Owner) -> Result {
        self.bucket(port)?.change(old, new)
    }

    /// Whether `old` may listen on its port, as `new`.
    ///
    /// # Errors
    ///
    /// `EADDRINUSE` where another listener has the port.
    pub fn may_listen(&self, port: u16, old: &Owner, (new, wish): (&Owner, Wish)) -> Result {
        match self.buckets.get(&port) {
            Some(bucket) if bucket.refuses(new, wish, Some(old)) => Err(EADDRINUSE),
            _ => Ok(()),
        }
    }

    /// Makes `old`, which [may](PortTable::may_listen), a listener on its port; `socket` is found by
    /// [`PortTable::listener`] from now on.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn listen(&mut self, port: u16, old: &Owner, new: Owner, socket: L) -> Result {
        let bucket = self.bucket(port)?;
        let listeners = bucket.listeners.get_or_insert_with(KVec::new);
        listeners.reserve(1, GFP_ATOMIC)?;
        self.change(port, old, new)?;
        let listeners = &mut self.bucket(port)?.listeners;
        let entry = Listener { owner: new, socket };
        let listeners = listeners.get_or_insert_with(KVec::new);
        Ok(listeners.push(entry, GFP_ATOMIC)?)
    }

    /// The end of listening on `port` for the listener that `which` picks. Its handle is given
    /// back to be dropped outside of the lock; the port stays with its owner.
    #[must_use]
    pub fn unlisten(&mut self, port: u16, which: impl Fn(&L) -> bool) -> Option<L> {
        let listeners = self.buckets.get_mut(&port)?.listeners.as_mut()?;
        let mut all = listeners.as_slice().iter();
        let at = all.position(|l| which(&l.socket))?;
        listeners.remove(at).ok().map(|l| l.socket)
    }

    /// The listener for a segment to `addr` (host order) and `port` that came in by interface
    /// `dev`: the one bound most closely, an address before an interface before the wildcard
    /// (`__inet_lookup_listener`). Of a group it is one of the members.
    pub fn listener(&self, port: u16, addr: u32, dev: i32) -> Option<L> {
        self.best(port, addr, dev).map(|l| l.socket.clone())
    }

    /// As [`PortTable::listener`]; of a group it is the one that `choose`, which is given a member,
    /// says by a number that is its `id`.
    pub fn chosen_listener(
        &self,
        port: u16,
        addr: u32,
        dev: i32,
        choose: impl FnOnce(&L) -> Option<usize>,
        id: impl Fn(&L) -> usize,
    ) -> Option<L> {
        let listeners = self.buckets.get(&port)?.listeners();
        let best = Self::best_of(listeners, addr, dev)?;
        let chosen = match best.owner.shared_by {
            Some(_) => choose(&best.socket),
            None => None,
        };
        let chosen = chosen.and_then(|c| listeners.iter().find(|l| id(&l.socket) == c));
        Some(chosen.unwrap_or(best).socket.clone())
    }

    fn best(&self, port: u16, addr: u32, dev: i32) -> Option<&Listener<L>> {
        Self::best_of(self.buckets.get(&port)?.listeners(), addr, dev)
    }

    fn best_of(listeners: &[Listener<L>], addr: u32, dev: i32) -> Option<&Listener<L>> {
        let scored = listeners
            .iter()
            .filter_map(|l| Some((l, l.score(addr, dev)?)));
        scored.max_by_key(|(_, score)| *score).map(|(l, _)| l)
    }

    /// A listener on `port` with which `owner` is to share its segments.
    pub fn group_of(&self, port: u16, owner: &Owner) -> Option<L> {
        let listeners = self.buckets.get(&port)?.listeners();
        let member = listeners.iter().find(|l| l.is_in_group(owner))?;
        Some(member.socket.clone())
    }

    /// The `n`-th listener of all, in the order of ports.
    pub fn nth_listener(&self, n: usize) -> Option<L> {
        let mut all = self.buckets.values().flat_map(|b| b.listeners());
        all.nth(n).map(|l| l.socket.clone())
    }

    fn reserved(&self, port: u16) -> impl Iterator<Item = &Arc<Reserved<R>>> {
        let bucket = self.buckets.get(&port).into_iter();
        bucket.flat_map(|b| b.shares.iter().filter_map(|s| s.reservation.as_ref()))
    }

    /// The reservation that there is of `port` already for just what `owner` has of it.
    pub fn reservation(&self, port: u16, owner: &Owner) -> Option<Arc<Reserved<R>>> {
        let mut all = self.reserved(port);
        let same = |r: &&Arc<Reserved<R>>| r.addr == owner.addr && r.dev == owner.dev;
        all.find(same).cloned()
    }

    /// Whether any of `port` at `addr` (host order, 0 for all) and the interface `dev` (0 for all) is
    /// reserved.
    pub fn is_reserved(&self, port: u16, addr: u32, dev: i32) -> bool {
        self.reserved(port).any(|r| r.overlaps(addr, dev))
    }

    /// Ties `reservation` to the owners that are as `owner`.
    pub fn reserve(&mut self, port: u16, owner: &Owner, reservation: Arc<Reserved<R>>) {
        if let Some(share) = self.buckets.get_mut(&port).and_then(|b| b.share(owner)) {
            share.reservation = Some(reservation);
        }
    }
}

#[kunit_tests(oxtcp_ports)]
mod tests {
    use super::*;

    fn owner(addr: u32, reuse: bool, role: Role) -> Owner {
        Owner {
            addr,
            dev: 0,
            reuse,
            shared_by: None,
            role,
        }
    }

    fn sharing(uid: u32, role: Role) -> Owner {
        Owner {
            shared_by: Some(uid),
            ..owner(0, false, role)
        }
    }

    fn reserved(addr: u32, by: u8) -> Result<Arc<Reserved<u8>>> {
        Ok(Arc::new(Reserved { addr, dev: 0, by }, GFP_KERNEL)?)
    }

    #[test]
    fn a_port_has_one_owner_unless_both_may_share() -> Result {
        let mut table = PortTable::<u32, ()>::new()?;
        let plain = owner(0, false, Role::Bound);
        let shared = owner(0, true, Role::Bound);

        table.claim(80, plain, Wish::This)?;
        assert!(table.claim(80, plain, Wish::This) == Err(EADDRINUSE));
        assert!(table.claim(80, shared, Wish::This) == Err(EADDRINUSE));
        assert!(table.release(80, &plain).is_none());

        table.claim(80, shared, Wish::This)?;
        table.claim(80, shared, Wish::This)?;
        assert!(table.claim(80, plain, Wish::This) == Err(EADDRINUSE));
        Ok(())
    }

    #[test]
    fn different_addresses_share_a_port_and_the_wildcard_does_not() -> Result {
        let mut table = PortTable::<u32, ()>::new()?;

        table.claim(80, owner(1, false, Role::Bound), Wish::This)?;
        table.claim(80, owner(2, false, Role::Bound), Wish::This)?;
        assert!(table.claim(80, owner(0, false, Role::Bound), Wish::This) == Err(EADDRINUSE));
        Ok(())
    }

    #[test]
    fn one_of_two_that_share_listens() -> Result {
        let mut table = PortTable::<u32, ()>::new()?;
        let bound = owner(0, true, Role::Bound);
        let listening = owner(0, true, Role::Listening);

        table.claim(80, bound, Wish::This)?;
        table.claim(80, bound, Wish::This)?;
        assert!(table.may_listen(80, &bound, (&listening, Wish::This)) == Ok(()));
        table.listen(80, &bound, listening, 7)?;
        let again = table.may_listen(80, &bound, (&listening, Wish::This));
        assert!(again == Err(EADDRINUSE));
        assert!(table.listener(80, 5, 0) == Some(7));
        assert!(table.unlisten(80, |l| *l == 7) == Some(7));
        assert!(table.listener(80, 5, 0).is_none());
        Ok(())
    }

    #[test]
    fn each_address_has_its_listener() -> Result {
        let mut table = PortTable::<u32, ()>::new()?;
        for (addr, socket) in [(5, 1), (6, 2)] {
            let bound = owner(addr, true, Role::Bound);
            table.claim(80, bound, Wish::This)?;
            table.listen(80, &bound, owner(addr, true, Role::Listening), socket)?;
        }

        assert!(table.listener(80, 5, 0) == Some(1));
        assert!(table.listener(80, 6, 0) == Some(2));
        assert!(table.listener(80, 7, 0).is_none());
        assert!(table.listener(81, 5, 0).is_none());
        Ok(())
    }

    #[test]
    fn an_address_is_closer_than_an_interface() -> Result {
        let mut table = PortTable::<u32, ()>::new()?;
        let any = sharing(7, Role::Bound);
        for (addr, dev, socket) in [(0, 0, 1), (0, 2, 2), (5, 0, 3), (5, 2, 4)] {
            let bound = Owner { addr, dev, ..any };
            let listening = Owner {
                role: Role::Listening,
                ..bound
            };
            table.claim(80, bound, Wish::This)?;
            table.listen(80, &bound, listening, socket)?;
        }
        assert!(table.listener(80, 5, 2) == Some(4));
        assert!(table.listener(80, 5, 3) == Some(3));
        assert!(table.listener(80, 6, 2) == Some(2));
        assert!(table.listener(80, 6, 3) == Some(1));
        Ok(())
    }

    #[test]
    fn sockets_of_one_user_share_a_port_and_its_segments() -> Result {
        let mut table = PortTable::<u32, ()>::new()?;
        let (bound, listening) = (sharing(7, Role::Bound), sharing(7, Role::Listening));
        for socket in [1, 2, 3] {
            table.claim(80, bound, Wish::This)?;
            table.may_listen(80, &bound, (&listening, Wish::This))?;
            table.listen(80, &bound, listening, socket)?;
        }
        assert!(table.claim(80, sharing(8, Role::Bound), Wish::This) == Err(EADDRINUSE));
        assert!(table.claim(80, owner(0, true, Role::Bound), Wish::This) == Err(EADDRINUSE));
        assert!(table.claim(80, bound, Wish::Free) == Err(EADDRINUSE));

        let id = |l: &u32| *l as usize;
        assert!(table.chosen_listener(80, 5, 0, |_| Some(2), id) == Some(2));
        assert!(table.chosen_listener(80, 5, 0, |_| Some(9), id).is_some());
        assert!(table.chosen_listener(80, 5, 0, |_| None, id).is_some());
        assert!(table.group_of(80, &listening).is_some());
        assert!(table.group_of(80, &sharing(8, Role::Listening)).is_none());
        Ok(())
    }

    #[test]
    fn a_port_that_is_chosen_is_shared_for_connections_alone() -> Result {
        let both = |user| Owner {
            reuse: true,
            ..sharing(user, Role::Bound)
        };
        for (first, second, reused) in [
            (
                owner(0, false, Role::Bound),
                owner(0, true, Role::Bound),
                false,
            ),
            (
                owner(0, true, Role::Bound),
                owner(0, true, Role::Bound),
                true,
            ),
            (
                owner(0, true, Role::Listening),
                owner(0, true, Role::Bound),
                false,
            ),
            (sharing(7, Role::Bound), sharing(7, Role::Bound), false),
            (both(7), both(7), false),
            (both(7), both(8), true),
            (both(7), owner(0, true, Role::Bound), true),
        ] {
            let mut table = PortTable::<u32, ()>::new()?;
            table.claim(80, first, Wish::Free)?;
            assert!(table.claim(80, second, Wish::Free) == Err(EADDRINUSE));
            assert!(table.claim(80, second, Wish::Reused).is_ok() == reused);
        }
        Ok(())
    }

    #[test]
    fn a_reservation_ends_with_its_last_owner() -> Result {
        let mut table = PortTable::<u32, u8>::new()?;
        let bound = owner(0, true, Role::Bound);
        table.claim(80, bound, Wish::This)?;
        table.claim(80, bound, Wish::This)?;
        table.reserve(80, &bound, reserved(0, 3)?);

        assert!(table.release(80, &bound).is_none());
        assert!(table.is_reserved(80, 5, 1));
        assert!(table.release(80, &bound).is_some_and(|r| r.by == 3));
        assert!(!table.is_reserved(80, 5, 1));
        Ok(())
    }

    #[test]
    fn who_listens_has_the_reservation_when_one_that_does_not_is_gone() -> Result {
        let mut table = PortTable::<u32, u8>::new()?;
        let (bound, listening) = (sharing(7, Role::Bound), sharing(7, Role::Listening));
        table.claim(80, bound, Wish::This)?;
        table.claim(80, bound, Wish::This)?;
        table.reserve(80, &bound, reserved(0, 3)?);

        table.listen(80, &bound, listening, 1)?;
        drop(table.release(80, &bound));
        assert!(table.is_reserved(80, 5, 1));
        assert!(table.release(80, &listening).is_some_and(|r| r.by == 3));
        Ok(())
    }

    #[test]
    fn an_address_is_reserved_by_itself_or_the_wildcard() -> Result {
        let mut table = PortTable::<u32, u8>::new()?;
        let (one, any) = (owner(5, true, Role::Bound), owner(0, true, Role::Bound));
        let of_card = Owner { dev: 2, ..one };
        table.claim(80, one, Wish::This)?;
        table.reserve(80, &one, reserved(5, 3)?);

        assert!(table.is_reserved(80, 5, 1) && table.is_reserved(80, 0, 0));
        assert!(!table.is_reserved(80, 6, 1) && !table.is_reserved(81, 5, 1));
        assert!(table.reservation(80, &one).is_some_and(|r| r.by == 3));
        assert!(table.reservation(80, &any).is_none());
        assert!(table.reservation(80, &of_card).is_none());
        // Its owner has one address later, and what was reserved is the same.
        table.claim(80, any, Wish::This)?;
        table.reserve(80, &any, reserved(0, 4)?);
        table.change(80, &any, owner(7, true, Role::TimeWait))?;
        assert!(table.is_reserved(80, 6, 1));
        Ok(())
    }

    #[test]
    fn what_is_reserved_at_an_interface_is_not_at_others() -> Result {
        let mut table = PortTable::<u32, u8>::new()?;
        let bound = Owner {
            dev: 2,
            ..owner(0, false, Role::Bound)
        };
        let by = Reserved {
            addr: 0,
            dev: 2,
            by: 3,
        };
        table.claim(80, bound, Wish::This)?;
        table.reserve(80, &bound, Arc::new(by, GFP_KERNEL)?);

        assert!(table.is_reserved(80, 5, 2) && table.is_reserved(80, 5, 0));
        assert!(!table.is_reserved(80, 5, 1));
        Ok(())
    }

    #[test]
    fn only_ephemeral_owners_share_with_connect() -> Result {
        let mut table = PortTable::<u32, ()>::new()?;
        let ephemeral = owner(1, false, Role::Ephemeral);
        assert!(table.claim_ephemeral(61000, ephemeral) == Ok(true));
        assert!(table.claim_ephemeral(61000, ephemeral) == Ok(true));
        table.claim(61001, owner(1, false, Role::Bound), Wish::This)?;
        assert!(table.claim_ephemeral(61001, ephemeral) == Ok(false));
        Ok(())
    }

    #[test]
    fn an_owner_changes_and_the_reservation_stays() -> Result {
        let mut table = PortTable::<u32, u8>::new()?;
        let (bound, connected) = (
            owner(0, false, Role::Bound),
            owner(5, false, Role::Connected),
        );
        table.claim(80, bound, Wish::This)?;
        table.reserve(80, &bound, reserved(0, 3)?);

        // The only one, then one of two, then one that there are others of.
        table.change(80, &bound, connected)?;
        table.join(80, connected)?;
        table.change(80, &connected, bound)?;
        table.change(80, &connected, bound)?;
        assert!(table.release(80, &connected).is_none());
        assert!(table.release(80, &bound).is_none());
        assert!(table.release(80, &bound).is_some_and(|r| r.by == 3));
        assert!(table.claim(80, bound, Wish::This) == Ok(()));
        Ok(())
    }
}
