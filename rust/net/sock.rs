// SPDX-License-Identifier: GPL-2.0

//! A socket of the family: `struct sock`, and behind it what the family keeps of a socket.

use super::bindings as b;
use super::held::Held;
use super::state_box::StateBox;
use super::*;
use core::cell::UnsafeCell;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::net::SocketAddrV4;
use core::ptr::NonNull;
use kernel::error::to_result;
use kernel::prelude::*;
use kernel::sync::aref::{ARef, AlwaysRefCounted};
use kernel::sync::Arc;

/// What an object of the family's slab holds. `sk_alloc` zeroes it; [`init`] fills in the rest.
#[repr(C)]
pub(super) struct Layout<F: Family> {
    head: b::ox_sock,
    pub(super) timer: timer::State,
    pub(super) send: send_buffer::State,
    pub(super) recv: recv_buffer::State,
    net: ManuallyDrop<Arc<NetNs<F>>>,
    shared: ManuallyDrop<F::Shared>,
    pub(super) state: ManuallyDrop<StateBox<F>>,
}

/// A socket, shared. `ARef<Sock<F>>` is the counted handle; [`Sock::lock`] and [`Sock::lock_bh`]
/// give what needs the lock.
#[repr(transparent)]
pub struct Sock<F: Family>(UnsafeCell<MaybeUninit<Layout<F>>>);

// SAFETY: A `struct sock` belongs to no thread; what is not protected by its lock is read and
// written with atomic accesses, and `F::Shared` is `Sync`, `F::Sock` is `Send`.
unsafe impl<F: Family> Send for Sock<F> {}
// SAFETY: As above.
unsafe impl<F: Family> Sync for Sock<F> {}

// SAFETY: `sock_hold` and `sock_put` count `sk_refcnt`, which keeps the object alive; every `Sock`
// lives in an object made by `sk_alloc`.
unsafe impl<F: Family> AlwaysRefCounted for Sock<F> {
    fn inc_ref(&self) {
        // SAFETY: `self` is alive, so its count is not zero.
        unsafe { b::ox_sock_hold(self.sk()) }
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference it holds.
        unsafe { b::ox_sock_put(obj.cast().as_ptr()) }
    }
}

impl<F: Family> Sock<F> {
    /// A new, closed socket of `net` without a file: a connection made in softirq by `listener`,
    /// from whom it inherits buffer sizes, socket options, the filter and the IP options TOS, TTL,
    /// PMTU discovery, mark and device. Nobody else can see it yet.
    ///
    /// Errors: `ENOMEM`; `ENETDOWN` when the namespace is dying.
    pub fn new_child(listener: &Locked<'_, F>) -> Result<ARef<Self>> {
        let net = listener.net();
        if net.is_dying() {
            return Err(ENETDOWN);
        }
        let parent = listener.sock().sk();
        let state = StateBox::new(b::GFP_ATOMIC, F::new_child(listener))?;
        let family = family::number();
        // SAFETY: The protocol is registered as long as a socket of it exists.
        let sk = unsafe { b::sk_alloc(net.raw(), family, b::GFP_ATOMIC, family::proto(), 0) };
        if sk.is_null() {
            return Err(ENOMEM);
        }
        // SAFETY: `sk` is a fresh object; `parent` is a live socket, locked.
        unsafe {
            b::ox_sock_init_child(sk, parent);
            Self::init(sk, net.handle(), state);
            b::ox_sock_inherit(sk, parent);
        }
        // SAFETY: A fresh socket has one reference, which becomes ours.
        let child: ARef<Self> = unsafe { ARef::from_raw(NonNull::new_unchecked(sk.cast())) };
        // SAFETY: As above.
        if !unsafe { b::ox_sock_inherit_filter(sk, parent) } {
            return Err(ENOMEM);
        }
        Ok(child)
    }

    /// Fills in a fresh object, of which `state` is the family's.
    ///
    /// # Safety
    ///
    /// `sk` was just made by `sk_alloc` of the family's protocol and `sock_init_data`.
    pub(super) unsafe fn init(sk: *mut b::sock, net: Arc<NetNs<F>>, state: StateBox<F>) {
        let shared = F::new_shared(&net);
        let raw: *mut Layout<F> = sk.cast();
        // SAFETY: The object is as large as `Layout<F>`, and nobody else knows it.
        unsafe {
            (&raw mut (*raw).timer).write(timer::State::default());
            (&raw mut (*raw).send).write(send_buffer::State::default());
            (&raw mut (*raw).recv).write(recv_buffer::State::default());
            (&raw mut (*raw).net).write(ManuallyDrop::new(net));
            (&raw mut (*raw).shared).write(ManuallyDrop::new(shared));
            (&raw mut (*raw).state).write(ManuallyDrop::new(state));
            b::ox_sock_init_inet(sk);
            b::ox_sk_timer_setup(sk, Some(timer::fire::<F>));
            (*sk).sk_destruct = Some(Self::destruct);
            (*sk).sk_backlog_rcv = Some(ops::backlog_rcv::<F>);
            (*sk).sk_write_space = Some(b::ox_sk_stream_write_space);
            b::ox_sock_account(sk, 1);
        }
    }

    /// A process lets go of the socket: what had to wait for that is done now.
    ///
    /// # Safety
    ///
    /// `sk` is a socket of `F`, locked by the caller, who has a reference.
    pub(super) unsafe extern "C" fn release_cb(sk: *mut b::sock) {
        // SAFETY: By the function's contract the lock is held for the length of this call, and who has
        // it is about to give it back.
        let mut held = unsafe { Held::by_caller(Self::from_sk(sk)) };
        // SAFETY: The socket is alive.
        if unsafe { (&raw const (*sk).sk_tsq_flags).read_volatile() } != 0 {
            // First: what is sent then fits.
            icmp::release(&mut held);
            small_queue::release(&mut held);
        }
        timer::release(&mut held);
    }

    /// The last reference is gone, and the last segment in flight.
    ///
    /// # Safety
    ///
    /// Called by the core only, once.
    unsafe extern "C" fn destruct(sk: *mut b::sock) {
        // SAFETY: Nobody else has the socket any more, so we are as good as its lock.
        let mut held = unsafe { Held::by_caller(Self::from_sk(sk)) };
        let (mut send, mut recv) = held.buffers(None);
        send.purge();
        recv.purge();
        drop((send, recv));
        let raw: *mut Layout<F> = sk.cast();
        // SAFETY: `init` wrote them, and they are not used after this.
        unsafe {
            ManuallyDrop::drop(&mut (*raw).state);
            ManuallyDrop::drop(&mut (*raw).shared);
            ManuallyDrop::drop(&mut (*raw).net);
            b::ox_sock_destruct(sk);
        }
    }

    /// A socket of the family by its C pointer.
    ///
    /// # Safety
    ///
    /// `sk` is a socket of `F` and stays alive for `'a`.
    pub(super) unsafe fn from_sk<'a>(sk: *mut b::sock) -> &'a Self {
        // SAFETY: `Sock` is transparent over the object; by the function's contract.
        unsafe { &*sk.cast::<Self>() }
    }

    /// As [`Sock::from_sk`], with the counted reference that comes with it.
    ///
    /// # Safety
    ///
    /// `sk` is null or a socket of `F`, a reference of which is the caller's to give.
    pub(super) unsafe fn from_sk_owned(sk: *mut b::sock) -> Option<ARef<Self>> {
        // SAFETY: By the function's contract.
        NonNull::new(sk.cast()).map(|sock| unsafe { ARef::from_raw(sock) })
    }

    /// Takes the lock as a process does: may sleep while another process or a softirq has it.
    pub fn lock(&self) -> Locked<'_, F> {
        // SAFETY: The socket is alive; the guard releases the lock. The caller may sleep.
        unsafe {
            b::ox_lock_sock(self.sk());
            Held::by_process(self).into_unpacked()
        }
    }

    /// Takes the lock in softirq for a segment. When a process has the socket, the segment goes to
    /// the backlog instead and comes back by [`Family::backlog`]; the backlog is limited to
    /// `SO_RCVBUF + SO_SNDBUF + 64 KiB`, beyond which the segment is dropped and counted, as is one
    /// that `SO_BINDTODEVICE`, `SO_ATTACH_FILTER` or `IP_MINTTL` refuses, and one for whose socket
    /// there is no memory to unpack its state.
    #[inline]
    pub fn lock_bh(&self, skb: RxSkb) -> BhLock<'_, F> {
        // SAFETY: The socket is alive, the skb ours; the spin lock is released by the guard or in
        // `keep_out`.
        let entry = unsafe { b::ox_sk_enter(self.sk(), skb.raw()) };
        if entry != b::ox_entry_OX_ENTRY_FREE {
            self.keep_out(entry, skb);
            return BhLock::Busy;
        }
        // SAFETY: We hold the spin lock, and no process has the socket.
        match unsafe { Held::by_softirq(self) }.try_into_unpacked() {
            Ok(locked) => BhLock::Free(locked, skb),
            Err(_packed) => {
                skb.discard(self.net(), DropReason::NoMemory);
                BhLock::Busy
            }
        }
    }

    /// What becomes of a segment that was not let in, for what `ox_sk_enter` says.
    #[cold]
    fn keep_out(&self, entry: b::ox_entry, skb: RxSkb) {
        if entry == b::ox_entry_OX_ENTRY_REFUSED {
            return skb.discard(self.net(), DropReason::SocketFilter);
        }
        let sk = self.sk();
        skb.detach();
        let raw = skb.into_raw();
        // SAFETY: We hold the spin lock; the skb is ours and becomes the backlog's on success.
        let full = unsafe { b::ox_sk_add_backlog(sk, raw) } != 0;
        // SAFETY: Taken by `ox_sk_enter`.
        unsafe { b::ox_bh_unlock_sock(sk) };
        if full {
            // SAFETY: It is still ours.
            unsafe { RxSkb::from_raw(raw) }.discard(self.net(), DropReason::BacklogFull);
        } else {
            self.net().count(Counter::Backlog);
        }
    }

    /// Takes the lock of a fresh child in softirq while the listener's is held. Nobody else has it.
    pub fn lock_child(&self) -> Locked<'_, F> {
        // SAFETY: The socket is alive; the guard releases the lock. No process owns it, since none
        // has seen it, and no timer has packed the state, since none runs yet.
        unsafe {
            b::ox_bh_lock_sock_nested(self.sk());
            Locked::new(Held::by_softirq(self))
        }
    }

    /// Takes the lock in softirq without a segment; `None` when a process has the socket, or there is
    /// no memory to unpack its state.
    pub fn try_lock_bh(&self) -> Option<Locked<'_, F>> {
        self.try_lock_bh_or(|| ())
    }

    /// As [`Sock::try_lock_bh`]; when a process has the socket, calls `busy` before it can let go.
    pub(super) fn try_lock_bh_or(&self, busy: impl FnOnce()) -> Option<Locked<'_, F>> {
        let sk = self.sk();
        // SAFETY: The socket is alive; the spin lock is released below or by the guard.
        unsafe { b::ox_bh_lock_sock(sk) };
        // SAFETY: We hold the spin lock.
        if unsafe { b::ox_sock_owned_by_user(sk) } {
            busy();
            // SAFETY: Taken above.
            unsafe { b::ox_bh_unlock_sock(sk) };
            return None;
        }
        // SAFETY: We hold the spin lock, and no process has the socket.
        unsafe { Held::by_softirq(self) }.try_into_unpacked().ok()
    }

    /// The namespace.
    pub fn net(&self) -> &NetNs<F> {
        // SAFETY: Written once by `init` before anybody saw the socket.
        unsafe { &(*self.raw()).net }
    }

    /// The state that needs no lock.
    pub fn shared(&self) -> &F::Shared {
        // SAFETY: Written once by `init` before anybody saw the socket.
        unsafe { &(*self.raw()).shared }
    }

    /// Linux's `TCP_*` number of the state, as last set by [`Locked::set_state`].
    #[inline]
    pub fn state(&self) -> u8 {
        // SAFETY: The socket is alive; the read is that of `READ_ONCE`.
        unsafe { (&raw const (*self.common()).skc_state).read_volatile() }
    }

    fn common(&self) -> *const b::sock_common {
        // SAFETY: The socket is alive.
        unsafe { &raw const (*self.sk()).__sk_common }
    }

    fn ports(&self) -> *const b::sock_common__bindgen_ty_3__bindgen_ty_1 {
        // SAFETY: The socket is alive.
        unsafe { &raw const (*self.common()).__bindgen_anon_3.__bindgen_anon_1 }
    }

    fn addrs(&self) -> *const b::sock_common__bindgen_ty_1__bindgen_ty_1 {
        // SAFETY: The socket is alive.
        unsafe { &raw const (*self.common()).__bindgen_anon_1.__bindgen_anon_1 }
    }

    /// Our address and port, as last set.
    #[inline]
    pub fn local(&self) -> SocketAddrV4 {
        // SAFETY: The socket is alive; the reads are those of `READ_ONCE`.
        let (addr, port) = unsafe {
            (
                (&raw const (*self.addrs()).skc_rcv_saddr).read_volatile(),
                (&raw const (*self.ports()).skc_num).read_volatile(),
            )
        };
        SocketAddrV4::new(addr::from_be32(addr), port)
    }

    /// Our address and port as getsockname(2) shows them: a port that was given back, too.
    pub fn shown_local(&self) -> SocketAddrV4 {
        // SAFETY: The socket is alive.
        SocketAddrV4::new(*self.local().ip(), unsafe { b::ox_inet_sport(self.sk()) })
    }

    /// `IP_BIND_ADDRESS_NO_PORT`: bind(2) without a port leaves the choice to connect(2).
    pub fn binds_address_only(&self) -> bool {
        // SAFETY: The socket is alive.
        unsafe { b::ox_inet_binds_address_only(self.sk()) }
    }

    /// `IP_LOCAL_PORT_RANGE`: the first and the last port to choose from; 0 where it says nothing.
    pub fn port_range(&self) -> (u16, u16) {
        // SAFETY: The socket is alive.
        let range = unsafe { b::ox_inet_port_range(self.sk()) };
        (range as u16, (range >> 16) as u16)
    }

    /// The peer's address and port, as last set.
    #[inline]
    pub fn remote(&self) -> SocketAddrV4 {
        // SAFETY: The socket is alive; the reads are those of `READ_ONCE`.
        let (addr, port) = unsafe {
            (
                (&raw const (*self.addrs()).skc_daddr).read_volatile(),
                (&raw const (*self.ports()).skc_dport).read_volatile(),
            )
        };
        SocketAddrV4::new(addr::from_be32(addr), u16::from_be(port))
    }

    /// Both ends.
    pub fn tuple(&self) -> FourTuple {
        FourTuple {
            local: self.local(),
            remote: self.remote(),
        }
    }

    /// The socket's cookie (`SO_COOKIE`): unique since boot.
    pub fn cookie(&self) -> u64 {
        // SAFETY: The socket is alive.
        unsafe { b::ox_sk_cookie(self.sk()) }
    }

    /// Inode number of the file, 0 without one.
    pub fn inode(&self) -> u64 {
        // SAFETY: The socket is alive.
        unsafe { b::ox_sk_ino(self.sk()) }
    }

    /// User that made the socket, in the initial user namespace.
    pub fn uid(&self) -> u32 {
        // SAFETY: The socket is alive.
        unsafe { b::ox_sk_uid(self.sk()) }
    }

    /// Interface the socket is bound to (`SO_BINDTODEVICE`), 0 when none.
    pub fn bound_dev(&self) -> i32 {
        // SAFETY: The socket is alive; the read is that of `READ_ONCE`.
        unsafe { (&raw const (*self.common()).skc_bound_dev_if).read_volatile() }
    }

    /// `SO_REUSEADDR`.
    pub fn reuse(&self) -> bool {
        // SAFETY: The socket is alive.
        unsafe { b::ox_sk_reuse(self.sk()) }
    }

    /// Whether the user may want to know when text came (`SO_TIMESTAMP`, `SO_TIMESTAMPING`).
    #[inline]
    pub fn wants_stamps(&self) -> bool {
        // SAFETY: The socket is alive.
        unsafe { b::ox_sk_wants_stamps(self.sk()) }
    }

    /// Whether it has a program that chooses (`SO_ATTACH_REUSEPORT_EBPF`), by which it begins a
    /// group of its own.
    pub fn has_group(&self) -> bool {
        // SAFETY: The socket is alive.
        unsafe { b::ox_sk_has_reuseport_cb(self.sk()) }
    }

    /// `SO_REUSEPORT`.
    pub fn reuseport(&self) -> bool {
        // SAFETY: The socket is alive.
        unsafe { b::ox_sk_reuseport(self.sk()) }
    }

    /// Shares what comes to its port with `other`, which has the same (`SO_REUSEPORT`); `is_any`
    /// when that is on every address.
    ///
    /// Errors: `ENOMEM`; `EBUSY` when it shares with somebody else.
    pub fn join_group(&self, other: Option<&Self>, is_any: bool) -> Result {
        // SAFETY: Both sockets are alive.
        to_result(unsafe {
            match other {
                Some(other) => b::reuseport_add_sock(self.sk(), other.sk(), is_any),
                None => b::reuseport_alloc(self.sk(), is_any),
            }
        })
    }

    /// The end of [`Sock::join_group`].
    pub fn leave_group(&self) {
        // SAFETY: The socket is alive.
        unsafe { b::ox_reuseport_leave(self.sk()) }
    }

    /// Which socket of the group is to have `skb`, as its [`Sock::id`]: the group's BPF program
    /// says it, or else `hash`. Softirq.
    pub fn choose_of_group(&self, skb: &RxSkb, hash: u32) -> Option<usize> {
        // SAFETY: The socket is alive, the skb ours; its data begins with the TCP header.
        let sk = unsafe { b::ox_reuseport_select(self.sk(), hash, skb.raw()) };
        (!sk.is_null()).then(|| sk.addr())
    }

    /// A number that no other socket has at the same time.
    pub fn id(&self) -> usize {
        self.sk().addr()
    }

    /// Pending error (positive errno), 0 when none, without clearing it.
    pub fn pending_error(&self) -> i32 {
        // SAFETY: The socket is alive.
        unsafe { (&raw const (*self.sk()).sk_err).read_volatile() }
    }

    /// Which directions are shut down.
    pub fn shutdown_state(&self) -> Shutdown {
        // SAFETY: The socket is alive.
        Shutdown::from_bits(unsafe { b::ox_sk_shutdown(self.sk()) })
    }

    /// `SO_RCVLOWAT`, bytes.
    pub fn rcvlowat(&self) -> u32 {
        // SAFETY: The socket is alive.
        unsafe { b::ox_sock_rcvlowat(self.sk(), false, i32::MAX) }.unsigned_abs()
    }

    /// Whether an entry waits for `MSG_ERRQUEUE`: then poll must say [`poll::ERR`].
    pub fn has_error_queue(&self) -> bool {
        // SAFETY: The socket is alive.
        unsafe { b::ox_sk_has_error_queue(self.sk()) }
    }

    /// Whether a writer would find room (at least a third of the send buffer free).
    pub fn is_writable(&self) -> bool {
        // SAFETY: The socket is alive.
        unsafe { b::ox_sk_stream_is_writeable(self.sk()) }
    }

    /// A poller wants to write and found no room: have [`Locked::wake_writable`] tell it. Look at
    /// [`Sock::is_writable`] once more afterwards.
    pub fn want_write(&self) {
        // SAFETY: The socket is alive; called from a call on its file, so it has one.
        unsafe { b::ox_sk_set_nospace(self.sk()) }
    }

    /// Whether two handles are the same socket.
    pub fn same(&self, other: &Self) -> bool {
        core::ptr::eq(self, other)
    }

    /// Whether the caller may bind `port`: those below `ip_unprivileged_port_start` need
    /// `CAP_NET_BIND_SERVICE`. Process context.
    pub fn may_bind_privileged(&self, port: u16) -> bool {
        // SAFETY: The socket is alive.
        unsafe { b::ox_sk_may_bind(self.sk(), port) }
    }

    /// No file any more (`SOCK_DEAD`), and there will be none.
    pub(super) fn is_orphan(&self) -> bool {
        // SAFETY: The socket is alive.
        unsafe { b::ox_sock_flag(self.sk(), b::sock_flags_SOCK_DEAD) }
    }

    /// Bytes of segments on the backlog.
    pub(super) fn backlog_len(&self) -> u32 {
        // SAFETY: The socket is alive.
        unsafe { b::ox_sk_backlog_len(self.sk()) }
    }

    pub(super) fn sk(&self) -> *mut b::sock {
        self.0.get().cast()
    }

    pub(super) fn raw(&self) -> *mut Layout<F> {
        self.0.get().cast()
    }
}
