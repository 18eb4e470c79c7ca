// SPDX-License-Identifier: GPL-2.0

//! The established table: connections by 4-tuple, looked up under RCU without a lock.

use super::bindings as b;
use super::first_look::Marks;
use super::*;
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use kernel::alloc::KVVec;
use kernel::error::to_result;
use kernel::prelude::*;
use kernel::sync::aref::ARef;
use kernel::sync::atomic::{Atomic, Relaxed};
use kernel::sync::rcu;

/// So many that chains stay short with a hundred thousand connections.
pub(super) const BUCKETS: u32 = 16_384;
const _: () = assert!(BUCKETS.is_power_of_two());
const LOCKS: u32 = 256;
/// How many sockets are taken out under the lock at a time to be shown or ended.
const BATCH: usize = 16;

type Slot<T> = UnsafeCell<MaybeUninit<T>>;

/// The connections of a namespace. Each bucket is a nulls list; a lock serves many buckets.
pub struct Ehash<F> {
    net: *mut b::net,
    /// Of the hash, so that nobody can choose ends that meet in a bucket.
    secret: u32,
    /// What ends the first bucket's list; each table has its own, as an object that is used anew
    /// may lead a reader into the list of another.
    first_end: u32,
    heads: KVVec<Slot<b::hlist_nulls_head>>,
    locks: KVVec<Slot<b::spinlock_t>>,
    marks: Marks,
    _family: PhantomData<fn() -> F>,
}

// SAFETY: Lists are changed under their lock only, and read under RCU.
unsafe impl<F> Send for Ehash<F> {}
// SAFETY: As above.
unsafe impl<F> Sync for Ehash<F> {}

/// `jhash_3words` of the kernel.
#[inline]
pub(super) fn hash_words(a: u32, b: u32, c: u32, secret: u32) -> u32 {
    let start = secret.wrapping_add(0xdead_beef + (3 << 2));
    let (mut a, mut b) = (a.wrapping_add(start), b.wrapping_add(start));
    let mut c = c.wrapping_add(start);
    let mix = |to: &mut u32, from: u32, by| {
        *to = (*to ^ from).wrapping_sub(from.rotate_left(by));
    };
    mix(&mut c, b, 14);
    mix(&mut a, c, 11);
    mix(&mut b, a, 25);
    mix(&mut c, b, 16);
    mix(&mut a, c, 4);
    mix(&mut b, a, 14);
    mix(&mut c, b, 24);
    c
}

/// The two ends of a connection with their hash in a table of connections, so that it is made once.
#[derive(Clone, Copy)]
pub struct Ends {
    wire: b::ox_tuple,
    hash: u32,
}

impl Ends {
    /// The ends.
    #[inline]
    pub fn tuple(&self) -> FourTuple {
        FourTuple::from_wire(&self.wire)
    }

    /// The hash, for tables beside that of connections: under a secret of the namespace.
    pub fn hash(&self) -> u32 {
        self.hash
    }
}

/// A bucket's lock, held.
struct Bucket {
    lock: *mut b::spinlock_t,
    head: *mut b::hlist_nulls_head,
}

impl Drop for Bucket {
    fn drop(&mut self) {
        // SAFETY: Taken by `Ehash::bucket`.
        unsafe { b::ox_spin_unlock_bh(self.lock) }
    }
}

impl<F> Ehash<F> {
    pub(super) fn new(net: *mut b::net) -> Result<Self> {
        static NEXT_END: Atomic<u32> = Atomic::new(0);
        let first_end = NEXT_END.fetch_add(BUCKETS, Relaxed);
        let mut heads = KVVec::with_capacity(BUCKETS as usize, GFP_KERNEL)?;
        for i in 0..BUCKETS {
            heads.push(Slot::new(MaybeUninit::zeroed()), GFP_KERNEL)?;
            // SAFETY: Just pushed; the vector does not grow, so it stays where it is.
            unsafe { b::ox_ehash_init(heads[i as usize].get().cast(), first_end.wrapping_add(i)) };
        }
        let mut locks = KVVec::with_capacity(LOCKS as usize, GFP_KERNEL)?;
        for i in 0..LOCKS {
            locks.push(Slot::new(MaybeUninit::zeroed()), GFP_KERNEL)?;
            // SAFETY: As above.
            unsafe { b::ox_spin_lock_init(locks[i as usize].get().cast()) };
        }
        Ok(Self {
            net,
            secret: random::random_u32(),
            first_end,
            heads,
            locks,
            marks: Marks::new(BUCKETS)?,
            _family: PhantomData,
        })
    }

    /// Number of buckets.
    pub fn buckets(&self) -> usize {
        self.heads.len()
    }

    /// Which buckets have a connection that nobody has looked at.
    pub(super) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// The table as the early demux looks at it, with those of a namespace's ports.
    pub(super) fn demux(&self, ports: &Ports) -> b::ox_demux {
        b::ox_demux {
            net: self.net,
            users: ports.users(),
            heads: self.heads.as_ptr().cast_mut().cast(),
            mask: BUCKETS - 1,
            first_end: self.first_end,
            secret: self.secret,
        }
    }

    fn head(&self, hash: u32) -> *mut b::hlist_nulls_head {
        self.heads[(hash % BUCKETS) as usize].get().cast()
    }

    fn bucket(&self, hash: u32) -> Bucket {
        let lock = self.locks[(hash % LOCKS) as usize].get().cast();
        // SAFETY: Initialised by `new`.
        unsafe { b::ox_spin_lock_bh(lock) };
        Bucket {
            lock,
            head: self.head(hash),
        }
    }

    #[inline]
    fn hash(&self, tuple: &b::ox_tuple) -> u32 {
        let ports = u32::from(tuple.sport) << 16 | u32::from(tuple.dport);
        hash_words(tuple.saddr, tuple.daddr, ports, self.secret)
    }

    /// # Safety
    ///
    /// `sk` is alive and locked, and its ends are set, of which `hash` is the hash.
    unsafe fn insert_sk(&self, sk: *mut b::sock, hash: u32) -> Result {
        let bucket = self.bucket(hash);
        // SAFETY: We hold the bucket's lock; by the function's contract.
        to_result(unsafe { b::ox_ehash_insert(sk, bucket.head, hash) })
    }

    /// # Safety
    ///
    /// `sk` is locked, and the caller has a reference that is not the table's.
    unsafe fn remove_sk(&self, sk: *mut b::sock) -> bool {
        // SAFETY: By the function's contract; only a hashed one has a meaningful hash.
        unsafe {
            if !b::ox_sk_hashed(sk) {
                return false;
            }
            let hash = b::ox_sk_hash(sk);
            let bucket = self.bucket(hash);
            let was_in = b::ox_ehash_del(sk);
            // With the lock, so that a mark for who comes next is not taken away.
            if self.is_empty(hash) {
                self.marks.clear(hash % BUCKETS);
            }
            drop(bucket);
            if was_in {
                b::ox_sock_put(sk);
            }
            was_in
        }
    }

    /// The socket of a 4-tuple, or null; the reference found is the caller's.
    fn find(&self, tuple: &b::ox_tuple) -> *mut b::sock {
        self.find_at(tuple, self.hash(tuple))
    }

    fn find_at(&self, tuple: &b::ox_tuple, hash: u32) -> *mut b::sock {
        let _rcu = rcu::read_lock();
        // SAFETY: We are under RCU; the namespace is only compared.
        unsafe { b::ox_ehash_lookup(self.net, self.head(hash), self.end(hash), tuple) }
    }

    /// What ends the list of a bucket.
    fn end(&self, hash: u32) -> u32 {
        self.first_end.wrapping_add(hash % BUCKETS)
    }

    #[inline]
    fn is_empty(&self, bucket: u32) -> bool {
        // SAFETY: The head is valid; the read is that of `READ_ONCE`.
        let first = unsafe { (&raw const (*self.head(bucket)).first).read_volatile() };
        // The mark of a list's end.
        first.addr() & 1 != 0
    }

    /// The first bucket from `from` on that has a socket.
    pub fn next_used(&self, from: usize) -> Option<usize> {
        (from..self.buckets()).find(|bucket| !self.is_empty(*bucket as u32))
    }

    /// References of up to [`BATCH`] sockets of a bucket, behind the first `skip`; null behind.
    fn collect_sk(&self, bucket: u32, skip: usize) -> [*mut b::sock; BATCH] {
        let mut raw = [core::ptr::null_mut(); BATCH];
        let bucket = self.bucket(bucket);
        // SAFETY: We hold the bucket's lock; there is room for as many as we say.
        unsafe { b::ox_ehash_collect(bucket.head, skip as u32, raw.as_mut_ptr(), BATCH as u32) };
        raw
    }
}

impl<F: Family> Ehash<F> {
    /// Puts the socket in under its present 4-tuple, which is `ends`, with a reference.
    ///
    /// Errors: `EADDRNOTAVAIL` when another socket has this 4-tuple; `EALREADY` when it is in.
    pub fn insert(&self, sock: &Locked<'_, F>, ends: &Ends) -> Result {
        debug_assert!(sock.sock().tuple() == ends.tuple());
        // SAFETY: The socket is locked.
        unsafe { self.insert_sk(sock.sock().sk(), ends.hash) }
    }

    /// The ends of a socket that is in.
    pub fn ends_of_member(&self, sock: &Locked<'_, F>) -> Ends {
        let sk = sock.sock().sk();
        Ends {
            wire: sock.sock().tuple().wire(),
            // SAFETY: The socket is locked, and in the table since its hash was set.
            hash: unsafe { b::ox_sk_hash(sk) },
        }
    }

    /// Takes the socket out and drops the table's reference; false when it was not in.
    pub fn remove(&self, sock: &Locked<'_, F>) -> bool {
        // SAFETY: The socket is locked; who has locked it has a reference.
        unsafe { self.remove_sk(sock.sock().sk()) }
    }

    pub(super) fn lookup_wire(&self, tuple: &b::ox_tuple) -> Option<ARef<Sock<F>>> {
        // SAFETY: The table has sockets of `F`; the reference found is ours.
        unsafe { Sock::from_sk_owned(self.find(tuple)) }
    }

    /// The connection of a 4-tuple.
    pub fn lookup(&self, tuple: &FourTuple) -> Option<ARef<Sock<F>>> {
        self.lookup_wire(&tuple.wire())
    }

    /// The ends of the segment in `skb`.
    pub fn ends_of(&self, skb: &RxSkb) -> Ends {
        let wire = skb.wire_tuple();
        Ends {
            hash: self.hash(&wire),
            wire,
        }
    }

    /// The ends `tuple`.
    pub fn ends(&self, tuple: &FourTuple) -> Ends {
        let wire = tuple.wire();
        Ends {
            hash: self.hash(&wire),
            wire,
        }
    }

    /// The connection between these ends.
    pub fn lookup_ends(&self, ends: &Ends) -> Option<ARef<Sock<F>>> {
        // SAFETY: The table has sockets of `F`; the reference found is ours.
        unsafe { Sock::from_sk_owned(self.find_at(&ends.wire, ends.hash)) }
    }

    /// Whether there is a connection between these ends.
    pub fn contains(&self, ends: &Ends) -> bool {
        let hash = ends.hash;
        let _rcu = rcu::read_lock();
        // SAFETY: We are under RCU; the namespace is only compared.
        unsafe { b::ox_ehash_contains(self.net, self.head(hash), self.end(hash), &ends.wire) }
    }

    fn collect(&self, bucket: u32, skip: usize) -> [Option<ARef<Sock<F>>>; BATCH] {
        // SAFETY: Each is null or comes with a reference.
        self.collect_sk(bucket, skip)
            .map(|sk| unsafe { Sock::from_sk_owned(sk) })
    }

    /// Calls `f(sock, index)` for each socket of bucket `bucket` from the `skip`-th on, until it
    /// returns false; returns whether all were shown. No lock is held during the call: it may lock
    /// the socket, or sleep in process context. A concurrent change may hide or repeat a socket.
    pub fn for_each_in(
        &self,
        bucket: usize,
        skip: usize,
        f: &mut dyn FnMut(&Sock<F>, usize) -> bool,
    ) -> bool {
        if self.is_empty(bucket as u32 % BUCKETS) {
            return true;
        }
        let mut index = skip;
        loop {
            let batch = self.collect(bucket as u32 % BUCKETS, index);
            let before = index;
            for sock in batch.iter().flatten() {
                if !f(sock, index) {
                    return false;
                }
                index += 1;
            }
            if index - before < BATCH {
                return true;
            }
        }
    }

    /// Ends every connection: its namespace dies.
    pub(super) fn abort_all(&self) {
        // Each is asked when its turn comes.
        for bucket in (0..BUCKETS).filter(|bucket| !self.is_empty(*bucket)) {
            loop {
                let batch = self.collect(bucket, 0);
                if batch[0].is_none() {
                    break;
                }
                for sock in batch.iter().flatten() {
                    let mut locked = sock.lock();
                    F::abort(&mut locked, ENETDOWN);
                    self.remove(&locked);
                    locked.set_deadline(None);
                    locked.set_state(b::TCP_CLOSE as u8);
                }
            }
        }
    }
}

#[kunit_tests(oxtcp_ehash)]
mod tests {
    use super::*;
    use crate::net::testing::KernelSocket;

    fn tuple(sport: u16, dport: u16) -> b::ox_tuple {
        b::ox_tuple {
            saddr: 1,
            daddr: 2,
            sport: sport.to_be(),
            dport: dport.to_be(),
        }
    }

    /// A socket with ends; it has none again when dropped, as its own family expects.
    struct Ends(KernelSocket);

    impl Ends {
        fn new(sport: u16, dport: u16) -> Result<Self> {
            let socket = KernelSocket::new()?;
            // SAFETY: The socket is ours alone.
            unsafe {
                b::ox_inet_set_local(socket.sk(), 1, sport);
                b::ox_inet_set_remote(socket.sk(), 2, dport);
            }
            Ok(Self(socket))
        }
    }

    impl Drop for Ends {
        fn drop(&mut self) {
            // SAFETY: The socket is ours alone.
            unsafe {
                b::ox_inet_set_local(self.0.sk(), 0, 0);
                b::ox_inet_set_remote(self.0.sk(), 0, 0);
            }
        }
    }

    /// # Safety
    ///
    /// The socket is the caller's alone, as good as locked.
    unsafe fn insert(table: &Ehash<()>, socket: &Ends) -> Result {
        let mut tuple = b::ox_tuple::default();
        // SAFETY: By the function's contract.
        unsafe {
            b::ox_sk_tuple(socket.0.sk(), &mut tuple);
            table.insert_sk(socket.0.sk(), table.hash(&tuple))
        }
    }

    fn is_found(table: &Ehash<()>, socket: &Ends, tuple: &b::ox_tuple) -> bool {
        let found = table.find(tuple);
        if !found.is_null() {
            // SAFETY: The reference is ours.
            unsafe { b::ox_sock_put(found) };
        }
        found == socket.0.sk()
    }

    #[test]
    fn what_is_in_is_found_until_it_is_out() -> Result {
        let table = Ehash::<()>::new(&raw mut b::init_net)?;
        let socket = Ends::new(1, 2)?;
        assert!(table.find(&tuple(1, 2)).is_null());
        // SAFETY: The socket is ours alone, as good as locked.
        unsafe {
            assert_eq!(insert(&table, &socket), Ok(()));
            assert!(is_found(&table, &socket, &tuple(1, 2)));
            assert!(table.find(&tuple(2, 1)).is_null());
            assert!(table.remove_sk(socket.0.sk()));
            assert!(!table.remove_sk(socket.0.sk()));
        }
        assert!(table.find(&tuple(1, 2)).is_null());
        Ok(())
    }

    #[test]
    fn a_tuple_is_taken_once() -> Result {
        let table = Ehash::<()>::new(&raw mut b::init_net)?;
        let (first, second) = (Ends::new(1, 2)?, Ends::new(1, 2)?);
        // SAFETY: The sockets are ours alone, as good as locked.
        unsafe {
            assert_eq!(insert(&table, &first), Ok(()));
            assert_eq!(insert(&table, &first), Err(EALREADY));
            assert_eq!(insert(&table, &second), Err(EADDRNOTAVAIL));
            assert!(table.remove_sk(first.0.sk()));
            assert_eq!(insert(&table, &second), Ok(()));
            assert!(is_found(&table, &second, &tuple(1, 2)));
            assert!(table.remove_sk(second.0.sk()));
        }
        Ok(())
    }

    #[test]
    fn a_bucket_loses_its_mark_with_its_last_socket() -> Result {
        let table = Ehash::<()>::new(&raw mut b::init_net)?;
        let bucket = |sport, dport| table.hash(&tuple(sport, dport)) % BUCKETS;
        let here = bucket(1, 2);
        let (sport, dport) = (3..6)
            .flat_map(|dport| (1..u16::MAX).map(move |sport| (sport, dport)))
            .find(|(sport, dport)| bucket(*sport, *dport) == here)
            .ok_or(ENOENT)?;
        let (first, second) = (Ends::new(1, 2)?, Ends::new(sport, dport)?);
        let marked = || {
            let mut n = 0;
            table.marks().take(1, |_| n += 1);
            n
        };
        // SAFETY: The sockets are ours alone, as good as locked.
        unsafe {
            assert_eq!(insert(&table, &first), Ok(()));
            assert_eq!(insert(&table, &second), Ok(()));
            let _ = table.marks().add(here);
            assert!(table.remove_sk(first.0.sk()));
            assert_eq!(marked(), 1);
            let _ = table.marks().add(here);
            assert!(table.remove_sk(second.0.sk()));
            assert_eq!(marked(), 0);
        }
        Ok(())
    }

    #[test]
    fn a_walk_sees_each_once() -> Result {
        let table = Ehash::<()>::new(&raw mut b::init_net)?;
        let mut sockets = KVVec::new();
        for port in 1..=40 {
            sockets.push(Ends::new(port, 9)?, GFP_KERNEL)?;
        }
        // SAFETY: The sockets are ours alone, as good as locked; references are given back.
        unsafe {
            for socket in &sockets {
                assert_eq!(insert(&table, socket), Ok(()));
            }
            let mut seen = 0;
            for bucket in 0..BUCKETS {
                let mut skip = 0;
                loop {
                    let batch = table.collect_sk(bucket, skip);
                    let n = batch.iter().filter(|sk| !sk.is_null()).count();
                    for sk in &batch[..n] {
                        b::ox_sock_put(*sk);
                    }
                    seen += n;
                    skip += n;
                    if n < BATCH {
                        break;
                    }
                }
            }
            assert_eq!(seen, sockets.len());
            for socket in &sockets {
                assert!(table.remove_sk(socket.0.sk()));
            }
        }
        Ok(())
    }
}
