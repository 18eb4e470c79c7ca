// SPDX-License-Identifier: GPL-2.0

//! What the family keeps for a network namespace, and its life (`pernet_operations`).

use super::bindings as b;
use super::*;
use core::cell::UnsafeCell;
use core::mem::{offset_of, size_of, MaybeUninit};
use kernel::error::to_result;
use kernel::ffi::{c_int, c_uint, c_void};
use kernel::prelude::*;
use kernel::sync::aref::ARef;
use kernel::sync::atomic::{Acquire, Atomic, Release};
use kernel::sync::{new_mutex, Arc, ArcBorrow, Mutex};

/// `OX_CARRIED`.
const CARRIED: usize = 1;

/// What [`NetNs::early`] has done with a packet.
pub(super) enum Early<F: Family> {
    /// Nothing.
    No,
    /// It has its connection's route and carries the socket.
    Carried,
    /// It is a segment for this connection, to be taken now.
    Taken(ARef<Sock<F>>, RxSkb),
}

/// A network namespace, with the family's state (it derefs to it). It outlives the namespace as
/// long as a socket refers to it.
#[pin_data]
pub struct NetNs<F: Family> {
    net: *mut b::net,
    inode: u32,
    ehash: Ehash<F>,
    ports: Ports,
    // Points into `ehash` and `ports`, which stay where they are.
    demux: b::ox_demux,
    stats: stats::Stats,
    tunables: sysctl::Values,
    timer: UnsafeCell<MaybeUninit<b::timer_list>>,
    pub(super) look_timer: UnsafeCell<MaybeUninit<b::timer_list>>,
    #[pin]
    data: F::Net,
}

// SAFETY: `net` is used as the kernel's functions allow from any context; the timers are the
// kernel's own to lock; the rest is `Send` and `Sync`.
unsafe impl<F: Family> Send for NetNs<F> {}
// SAFETY: As above.
unsafe impl<F: Family> Sync for NetNs<F> {}

impl<F: Family> NetNs<F> {
    fn new(net: *mut b::net) -> Result<Arc<Self>> {
        // SAFETY: The namespace is alive.
        let inode = unsafe { b::ox_net_ino(net) };
        let ehash = Ehash::new(net)?;
        let ports = Ports::new()?;
        let demux = ehash.demux(&ports);
        let tunables = sysctl::Values::new(F::TUNABLES)?;
        let this = Arc::pin_init(
            try_pin_init!(Self {
                net,
                inode,
                ehash,
                ports,
                demux,
                stats: stats::Stats::new(),
                tunables,
                timer: UnsafeCell::new(MaybeUninit::zeroed()),
                look_timer: UnsafeCell::new(MaybeUninit::zeroed()),
                data <- F::new_net(),
            }),
            GFP_KERNEL,
        )?;
        // SAFETY: The timers are ours, and stay where they are until `exit` has shut them down.
        unsafe {
            b::ox_timer_setup(this.timer(), Some(Self::fire));
            b::ox_timer_setup(this.look_timer(), Some(Self::look));
        }
        Ok(this)
    }

    fn timer(&self) -> *mut b::timer_list {
        self.timer.get().cast()
    }

    pub(super) fn look_timer(&self) -> *mut b::timer_list {
        self.look_timer.get().cast()
    }

    /// # Safety
    ///
    /// `timer` is that of a namespace; `exit` waits for this function.
    unsafe extern "C" fn fire(timer: *mut b::timer_list) {
        // SAFETY: By the function's contract.
        let net = unsafe { &*timer.byte_sub(offset_of!(Self, timer)).cast::<Self>() };
        F::net_timer(net);
    }

    /// The connections, by 4-tuple.
    pub fn ehash(&self) -> &Ehash<F> {
        &self.ehash
    }

    /// Which ports are ours: segments to others pass.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// What becomes of a packet at PRE_ROUTING, where our hooks are registered with `hooks`.
    ///
    /// # Safety
    ///
    /// `skb` is an IPv4 packet of the namespace, at PRE_ROUTING; the caller is under RCU.
    #[inline]
    pub(super) unsafe fn early(&self, skb: *mut b::sk_buff, hooks: *const c_void) -> Early<F> {
        // SAFETY: By the function's contract.
        let sk = unsafe { b::ox_skb_early(skb, &self.demux, hooks) };
        if sk.addr() == CARRIED {
            return Early::Carried;
        }
        // SAFETY: The table has sockets of `F`; where one was found the reference is ours, and the
        // packet a segment.
        match unsafe { Sock::from_sk_owned(sk) } {
            // SAFETY: As above.
            Some(sock) => Early::Taken(sock, unsafe { RxSkb::from_raw(skb) }),
            None => Early::No,
        }
    }

    /// The namespace's TCP settings, `net.ipv4.tcp_*` and others, read now.
    #[inline]
    pub fn ipv4(&self) -> Ipv4Sysctls {
        Ipv4Sysctls::read(self.net)
    }

    /// `tcp_congestion_control`, filled up with NUL: what alone changes for a connection between the
    /// listener's reading of [`NetNs::ipv4`] and its own beginning.
    pub fn congestion(&self) -> [u8; 16] {
        let mut name = [0; 16];
        // SAFETY: The namespace is alive, and the array as long as a name may be.
        unsafe { b::ox_read_congestion(self.net, name.as_mut_ptr()) };
        name
    }

    /// `tcp_notsent_lowat`, bytes; `u32::MAX` for no limit.
    pub fn notsent_lowat(&self) -> u32 {
        // SAFETY: The namespace is alive.
        unsafe { b::ox_read_notsent_lowat(self.net) }
    }

    /// `ip_autobind_reuse`: whether a port that is chosen may be one that others have, if none is
    /// free.
    pub fn autobind_reuses(&self) -> bool {
        // SAFETY: The namespace is alive.
        unsafe { b::ox_read_autobind_reuse(self.net) }
    }

    /// The value of `F::TUNABLES[index]`; 0 when there is no such.
    pub fn tunable(&self, index: usize) -> u32 {
        self.tunables.get(index)
    }

    /// Adds one to a counter.
    #[inline]
    pub fn count(&self, counter: Counter) {
        self.count_by(counter, 1)
    }

    /// Adds to a counter.
    #[inline]
    pub fn count_by(&self, counter: Counter, n: u64) {
        self.stats.add(counter, n);
        self.count_mib(counter, n);
    }

    pub(super) fn count_drop(&self, reason: DropReason) {
        self.stats.add_drop(reason);
        self.count_mib(reason, 1);
    }

    #[inline]
    fn count_mib(&self, what: impl mib::Mib, n: u64) {
        if let Some(field) = what.mib() {
            // SAFETY: A socket or a packet keeps the `struct net`, and that its counters.
            unsafe { b::ox_net_mib_add(self.net, field, n) }
        }
    }

    pub(super) fn stats(&self) -> &stats::Stats {
        &self.stats
    }

    /// When [`Family::net_timer`] is to be called: µs of [`now`]. An earlier one set stays.
    pub fn arm_timer(&self, at: u64) {
        // SAFETY: The timer was set up; one that was shut down ignores this.
        unsafe { b::ox_timer_reduce(self.timer(), at.saturating_sub(now())) }
    }

    /// Inode number of the namespace: tells namespaces apart in traces.
    pub fn inode(&self) -> u32 {
        self.inode
    }

    /// Whether the namespace is on its way out: make nothing new.
    pub fn is_dying(&self) -> bool {
        // SAFETY: A socket or a packet keeps the `struct net` itself, if only passively.
        unsafe { b::ox_net_dying(self.net) }
    }

    pub(super) fn raw(&self) -> *mut b::net {
        self.net
    }

    pub(super) fn handle(&self) -> Arc<Self> {
        // SAFETY: Every `NetNs` is in an `Arc`, of which somebody has a reference while `self` is
        // borrowed.
        unsafe { ArcBorrow::from_raw(self) }.into()
    }
}

impl<F: Family> core::ops::Deref for NetNs<F> {
    type Target = F::Net;

    fn deref(&self) -> &F::Net {
        &self.data
    }
}

/// What is registered for a namespace, in the order in which it is taken away.
struct PerNet<F: Family> {
    hooks: Pin<KBox<Mutex<Option<hook::Hooks<F>>>>>,
    /// The hooks are there.
    hooked: Atomic<bool>,
    _proc: proc::Files,
    _sysctl: sysctl::Table,
    netns: Arc<NetNs<F>>,
}

static OPS: family::Table<b::pernet_operations> = family::Table::new();
static ID: family::Table<c_uint> = family::Table::new();

/// Makes the state of all namespaces, present and coming.
pub(super) fn register<F: Family>() -> Result {
    let ops = OPS.get();
    // SAFETY: The table is ours until it is registered, and static; all zero is valid.
    to_result(unsafe {
        ops.write_bytes(0, 1);
        (*ops).init = Some(init::<F>);
        (*ops).pre_exit = Some(pre_exit::<F>);
        (*ops).exit = Some(exit::<F>);
        (*ops).id = ID.get();
        (&raw mut (*ops).size).write(size_of::<*mut PerNet<F>>());
        b::register_pernet_subsys(ops)
    })
}

/// Ends the state of all namespaces.
pub(super) fn unregister() {
    // SAFETY: Registered by `register`.
    unsafe { b::unregister_pernet_subsys(OPS.get()) }
}

/// The place where the core keeps our pointer.
///
/// # Safety
///
/// The family is registered for `net`, or on its way in or out.
unsafe fn slot<F: Family>(net: *mut b::net) -> *mut *mut PerNet<F> {
    // SAFETY: By the function's contract.
    unsafe { b::ox_net_generic(net, *ID.get()).cast() }
}

/// The family's state of a namespace; `None` when it has none (any more).
///
/// # Safety
///
/// `net` is alive.
pub(super) unsafe fn of_net<F: Family>(net: *mut b::net) -> Option<Arc<NetNs<F>>> {
    // SAFETY: By the function's contract; the pointer is set while the namespace lives.
    unsafe {
        let slot = slot::<F>(net);
        if slot.is_null() {
            return None;
        }
        (*slot).as_ref().map(|per_net| per_net.netns.clone())
    }
}

impl<F: Family> PerNet<F> {
    /// Takes in segments from now on. Where no socket was ever made nothing passes through us.
    fn hook(&self) -> Result {
        if self.hooked.load(Acquire) {
            return Ok(());
        }
        let mut hooks = self.hooks.lock();
        if hooks.is_none() {
            *hooks = Some(hook::Hooks::register(self.netns.net, &self.netns)?);
            self.hooked.store(true, Release);
        }
        Ok(())
    }
}

/// The family's state of a namespace in which a socket is to be made. Process context.
///
/// Errors: `ENETDOWN` when there is none (any more), `ENOMEM`.
///
/// # Safety
///
/// `net` is alive.
pub(super) unsafe fn enter<F: Family>(net: *mut b::net) -> Result<Arc<NetNs<F>>> {
    // SAFETY: By the function's contract; the pointer is set while the namespace lives.
    let per_net = unsafe {
        let slot = slot::<F>(net);
        if slot.is_null() {
            return Err(ENETDOWN);
        }
        (*slot).as_ref().ok_or(ENETDOWN)?
    };
    per_net.hook()?;
    Ok(per_net.netns.clone())
}

/// A namespace begins.
///
/// # Safety
///
/// Called by the core only, once for `net`.
unsafe extern "C" fn init<F: Family>(net: *mut b::net) -> c_int {
    let make = || -> Result<KBox<PerNet<F>>> {
        let netns = NetNs::<F>::new(net)?;
        let sysctl = sysctl::Table::register(net, F::TUNABLES, &netns.tunables)?;
        let proc = proc::Files::create::<F>(net)?;
        let hooks = KBox::pin_init(new_mutex!(None, "PerNet::hooks"), GFP_KERNEL)?;
        Ok(KBox::new(
            PerNet {
                hooks,
                hooked: Atomic::new(false),
                _proc: proc,
                _sysctl: sysctl,
                netns,
            },
            GFP_KERNEL,
        )?)
    };
    match make() {
        Ok(per_net) => {
            // SAFETY: The core made the slot.
            unsafe { *slot::<F>(net) = KBox::into_raw(per_net) };
            0
        }
        Err(e) => e.to_errno(),
    }
}

/// No segment comes in any more; the core waits for those under way before `exit`.
///
/// # Safety
///
/// Called by the core only, once for `net`.
unsafe extern "C" fn pre_exit<F: Family>(net: *mut b::net) {
    // SAFETY: `init` has run, and nobody else changes what it made.
    unsafe {
        if let Some(per_net) = (*slot::<F>(net)).as_ref() {
            if let Some(hooks) = &*per_net.hooks.lock() {
                hooks.unregister();
            }
        }
    }
}

/// A namespace ends, and all that is in it.
///
/// # Safety
///
/// Called by the core only, once for `net`, when nobody asks for its state any more.
unsafe extern "C" fn exit<F: Family>(net: *mut b::net) {
    // SAFETY: `init` has run; this ends what it made.
    let per_net = unsafe {
        let slot = slot::<F>(net);
        if (*slot).is_null() {
            return;
        }
        KBox::from_raw(core::mem::replace(&mut *slot, core::ptr::null_mut()))
    };
    let netns = per_net.netns.clone();
    drop(per_net);
    // SAFETY: The timers were set up in `new`.
    unsafe {
        b::timer_shutdown_sync(netns.timer());
        b::timer_shutdown_sync(netns.look_timer());
    }
    // A connection that ends by itself meanwhile leaves its table when it has left to the family
    // what remains of it.
    netns.ehash.abort_all();
    F::net_exit(&netns);
    // SAFETY: Nothing; waits for the ports given up just now, while `AF_INET` is still there.
    unsafe { b::ox_reserve_flush() };
}
