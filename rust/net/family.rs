// SPDX-License-Identifier: GPL-2.0

//! What a socket family supplies, and its registration.

use super::bindings as b;
use super::*;
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::net::SocketAddrV4;
use kernel::error::to_result;
use kernel::prelude::*;
use kernel::sync::aref::ARef;
use kernel::sync::atomic::{Atomic, Relaxed};

/// What became of a segment handed to [`Family::segment`].
pub enum Verdict {
    /// It was ours, and is taken.
    Taken,
    /// Not ours: it goes on to the kernel's own TCP.
    Pass(RxSkb),
}

/// Whose name is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Our own end's.
    Ours,
    /// The peer's.
    Peers,
    /// The peer's of a connection that accept(2) has just given, whatever became of it.
    Accepted,
}

/// What an ioctl(2) asks of a stream socket. The value answered goes to the user as an `int`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ioctl {
    /// `SIOCINQ` / `FIONREAD`: bytes that can be read.
    InQ,
    /// `SIOCOUTQ` / `TIOCOUTQ`: bytes not yet acknowledged.
    OutQ,
    /// `SIOCOUTQNSD`: bytes not yet sent.
    OutQNsd,
    /// `SIOCATMARK`: whether the reader is at the urgent mark.
    AtMark,
}

/// The operations of a socket family.
///
/// Functions that take a [`Sock`] run in process context without the socket's lock and may sleep;
/// functions that take a [`Locked`] run with it, possibly in softirq, and may not. `Err` is the
/// errno that the system call returns.
pub trait Family: Sized + Send + Sync + 'static {
    /// State of one socket, protected by the socket's lock.
    type Sock: Send;
    /// State of one socket that can be used without its lock: atomics.
    type Shared: Send + Sync;
    /// State of one network namespace.
    type Net: Send + Sync;

    /// Name in `/proc/net/protocols`, at most 31 bytes.
    const NAME: &'static CStr;
    /// The level of the family's own socket options.
    const OPTIONS: i32;
    /// Integers offered as `net.oxtcp.*`, per namespace; read by [`NetNs::tunable`] by index.
    const TUNABLES: &'static [Tunable];

    /// Makes the state of a namespace.
    fn new_net() -> impl PinInit<Self::Net, Error>;
    /// The namespace ends (or the module is unloaded): no segment arrives any more, and its
    /// connections were aborted, through [`Family::abort`].
    fn net_exit(net: &NetNs<Self>);
    /// The timer armed by [`NetNs::arm_timer`] came due. Softirq.
    fn net_timer(net: &NetNs<Self>);

    /// Makes the state of a new, closed socket.
    fn new_sock() -> impl Init<Self::Sock>;
    /// Makes the state of a connection that `listener` accepts.
    fn new_child(listener: &Locked<'_, Self>) -> impl Init<Self::Sock>;
    /// Makes the state of a new socket that can be used without its lock.
    fn new_shared(net: &NetNs<Self>) -> Self::Shared;

    /// The last file of the socket was closed. Must leave the socket orphaned
    /// ([`Locked::orphan`]); whatever must live on has its own reference (table, timer).
    fn release(sock: &Sock<Self>);
    /// bind(2); `AF_UNSPEC` with `INADDR_ANY` was taken for `AF_INET`, as Linux does.
    fn bind(sock: &Sock<Self>, addr: SocketAddrV4) -> Result;
    /// connect(2).
    fn connect(sock: &Sock<Self>, to: Destination, nonblock: bool) -> Result;
    /// accept(2): a connection, which is then attached to the new file.
    fn accept(sock: &Sock<Self>, nonblock: bool) -> Result<ARef<Sock<Self>>>;
    /// getsockname(2), or getpeername(2), or the peer for accept(2).
    fn getname(sock: &Sock<Self>, whose: Whose) -> Result<SocketAddrV4>;
    /// The `EPOLL*` mask of the socket's present state (constants in [`poll`]). The caller was put
    /// on the wait queue already, with the barrier, so a change after the look is not lost.
    fn poll(sock: &Sock<Self>) -> u32;
    /// ioctl(2).
    fn ioctl(sock: &Sock<Self>, what: Ioctl) -> Result<i32>;
    /// listen(2); `backlog` is already limited by `somaxconn`.
    fn listen(sock: &Sock<Self>, backlog: u32) -> Result;
    /// shutdown(2).
    fn shutdown(sock: &Sock<Self>, how: Shutdown) -> Result;
    /// setsockopt(2) at the level [`Family::OPTIONS`].
    fn setsockopt(sock: &Sock<Self>, name: i32, value: OptValue) -> Result;
    /// getsockopt(2) at the level [`Family::OPTIONS`].
    fn getsockopt(sock: &Sock<Self>, name: i32, out: OptWriter<'_>) -> Result;
    /// sendmsg(2): up to [`Msg::remaining`] bytes.
    fn sendmsg(sock: &Sock<Self>, msg: &mut Msg<'_>) -> Result<usize>;
    /// sendfile(2) has come to the end of its file before it had sent as much as it was asked for:
    /// what was sent with `MSG_MORE` is not to wait any longer.
    fn splice_eof(sock: &Sock<Self>);
    /// recvmsg(2): up to `len` bytes; `MSG_ERRQUEUE` was answered already.
    fn recvmsg(sock: &Sock<Self>, msg: &mut Msg<'_>, len: usize, flags: MsgFlags) -> Result<usize>;
    /// splice(2) from the socket into `pipe`: up to `len` bytes.
    fn splice_read(
        sock: &Sock<Self>,
        pipe: &mut Pipe<'_>,
        len: usize,
        nonblock: bool,
    ) -> Result<usize>;
    /// `SO_RCVLOWAT` is set, bytes.
    fn set_rcvlowat(sock: &mut Locked<'_, Self>, bytes: u32);
    /// `SO_RCVBUF` was set, `bytes` of memory.
    fn set_rcvbuf(sock: &mut Locked<'_, Self>, bytes: u32);
    /// `SO_KEEPALIVE` was set to `on`.
    fn keepalive(sock: &mut Locked<'_, Self>, on: bool);

    /// A segment to one of our ports arrived; its checksum is right. Softirq (BH off, RCU read).
    fn segment(net: &NetNs<Self>, skb: RxSkb) -> Verdict;
    /// The same, of the connection `sock`.
    fn segment_of(net: &NetNs<Self>, sock: &Sock<Self>, skb: RxSkb);
    /// An ICMP error arrived that quotes a segment of one of our ports. Softirq.
    fn icmp_error(net: &NetNs<Self>, error: &IcmpError);
    /// "Fragmentation needed" came while the socket was in use ([`Sock::try_lock_for`]): it quotes
    /// the sequence number `seq`, and says `mtu`, as [`IcmpError`] has them.
    fn too_big(sock: &mut Locked<'_, Self>, seq: u32, mtu: u16);
    /// A segment that arrived while the socket was in use ([`BhLock::Busy`]).
    fn backlog(sock: &mut Locked<'_, Self>, skb: RxSkb);
    /// The device has sent some of what [`SendBuffer::throttle`] waits for.
    fn drained(sock: &mut Locked<'_, Self>);
    /// The deadline set by [`Locked::set_deadline`] has come. The deadline is cleared.
    fn timer(sock: &mut Locked<'_, Self>);
    /// Whether nothing happens to the socket, so that its state may be packed; asked now and then. When
    /// it may, there is nothing in it that [`Family::pack`] leaves out.
    fn idle(sock: &mut Locked<'_, Self>) -> Idle;
    /// Packs the state of an idle socket into `room`; returns how many bytes that took, or `None` if
    /// there is not room for all.
    fn pack(sock: &mut Self::Sock, room: &mut [u8]) -> Option<usize>;
    /// Sets the state, which is that of a new socket, to what [`Family::pack`] made `bytes` of.
    fn unpack(sock: &mut Locked<'_, Self>, bytes: &[u8]);
    /// The connection has to end at once, without a word to the user but `error`: its namespace
    /// dies, or an administrator destroys it. Must remove it from every table.
    fn abort(sock: &mut Locked<'_, Self>, error: Error);

    /// As [`Family::abort`], of any socket, a listener with its queues too: an administrator ends
    /// it. Process context.
    fn destroy(sock: &Sock<Self>, error: Error);
    /// The listener for segments to the local end of `tuple`, if no connection has it.
    fn listener(net: &NetNs<Self>, tuple: &FourTuple) -> Option<ARef<Sock<Self>>>;
    /// `SOCK_DESTROY` for what is no socket (SYN queue, TIME-WAIT): ends it; whether there was one.
    /// Process context.
    fn end_entry(net: &NetNs<Self>, tuple: &FourTuple) -> bool;

    /// Shows the sockets of a namespace from position `from` on (zero is the first): calls
    /// `emit(entry, position)` for each, with the position at which a later call resumes AFTER this
    /// entry; stops when `emit` returns false. Process context.
    fn dump(
        net: &NetNs<Self>,
        from: [u64; 2],
        emit: &mut dyn FnMut(&Entry<'_, Self>, [u64; 2]) -> bool,
    );
}

/// A C table that the kernel wants in static memory, zero until it is filled.
pub(super) struct Table<T>(UnsafeCell<MaybeUninit<T>>);

// SAFETY: Only written by `Registration::new`, of which there is one at a time, before the kernel
// knows it; from then on it is the kernel's.
unsafe impl<T> Sync for Table<T> {}

impl<T> Table<T> {
    pub(super) const fn new() -> Self {
        Self(UnsafeCell::new(MaybeUninit::zeroed()))
    }

    pub(super) fn get(&self) -> *mut T {
        self.0.get().cast()
    }
}

static PROTO: Table<b::proto> = Table::new();
static OPS: Table<b::proto_ops> = Table::new();
static FAMILY: Table<b::net_proto_family> = Table::new();
static NUMBER: Atomic<i32> = Atomic::new(0);
static REGISTERED: Atomic<bool> = Atomic::new(false);

/// The number that `family=` asks for, 25 by default.
pub fn parameter() -> u32 {
    // SAFETY: Reads what was set before the module was started.
    unsafe { b::ox_param_family() }
}

/// The registered family's number.
pub(super) fn number() -> i32 {
    NUMBER.load(Relaxed)
}

/// The registered family's `struct proto`.
pub(super) fn proto() -> *mut b::proto {
    PROTO.get()
}

/// The registered family's `struct proto_ops`.
pub(super) fn proto_ops() -> *mut b::proto_ops {
    OPS.get()
}

/// A step of the registration, undone when dropped.
struct Step(fn());

impl Drop for Step {
    fn drop(&mut self) {
        (self.0)()
    }
}

/// A registered family. Dropping it unregisters, in the order that leaves nothing dangling: no new
/// sockets, no dumps, no namespaces (which ends what is left), then the protocol.
pub struct Registration<F: Family> {
    // In the order in which they are undone.
    _socket: Step,
    _diag: Step,
    _netns: Step,
    _proto: Step,
    _reserve: Step,
    _small_queue: Step,
    _memory: Step,
    _claim: Step,
    _family: PhantomData<F>,
}

impl<F: Family> Registration<F> {
    /// Registers the family under number `family`, for `module`.
    ///
    /// Errors: `EEXIST` when the number is taken (said in the log), `ENOBUFS` when it is not a
    /// family number, `EBUSY` when a family was registered already, `ENOMEM`.
    pub fn new(family: u32, module: &'static ThisModule) -> Result<Self> {
        if family == 0 || family >= b::AF_MAX {
            pr_err!(
                "{} is not a number of a socket family (1 to {})\n",
                family,
                b::AF_MAX - 1
            );
            return Err(ENOBUFS);
        }
        if REGISTERED.cmpxchg(false, true, Relaxed).is_err() {
            return Err(EBUSY);
        }
        let claim = Step(|| REGISTERED.store(false, Relaxed));
        let owner: *mut b::module = module.as_ptr();
        NUMBER.store(family as i32, Relaxed);

        // SAFETY: Called once, undone by the step.
        to_result(unsafe { b::ox_memory_init(core::mem::size_of::<F::Sock>() as u32) })?;
        // SAFETY: As above; no socket is left by then.
        let memory = Step(|| unsafe { b::ox_memory_exit() });
        // SAFETY: Called once, before there is a socket.
        unsafe { b::ox_direct_init() };
        // SAFETY: Called once, undone by the step.
        unsafe { b::ox_tsq_init(Some(small_queue::serve::<F>)) };
        // SAFETY: As above; no socket is left by then.
        let small_queue = Step(|| unsafe { b::ox_tsq_exit() });
        // SAFETY: Called once, undone by the step.
        to_result(unsafe { b::ox_reserve_init() })?;
        // SAFETY: As above; no reservation is left by then.
        let reserve = Step(|| unsafe { b::ox_reserve_exit() });

        // SAFETY: The tables are ours alone until they are registered below.
        unsafe {
            Self::fill_proto(owner);
            ops::fill::<F>(OPS.get(), family, owner);
            FAMILY.get().write(b::net_proto_family {
                family: family as i32,
                create: Some(ops::create::<F>),
                owner,
            });
        }

        // SAFETY: The table is filled, and static.
        to_result(unsafe { b::proto_register(PROTO.get(), 1) })?;
        let proto = Step(|| {
            // SAFETY: Registered above; sockets pin the module, so there are none. Those freed
            // lately are waited for, as their memory goes back to the protocol's slab.
            unsafe {
                b::rcu_barrier();
                b::proto_unregister(PROTO.get());
            }
        });
        netns::register::<F>()?;
        let netns = Step(netns::unregister);
        diag::register::<F>(family, owner)?;
        let diag = Step(diag::unregister);
        // SAFETY: The table is filled, and static.
        let taken = to_result(unsafe { b::sock_register(FAMILY.get()) });
        if let Err(e) = taken {
            if e == EEXIST {
                pr_err!(
                    "socket family {} is taken; choose another by family=\n",
                    family
                );
            }
            return Err(e);
        }
        let socket = Step(|| {
            // SAFETY: Registered above.
            unsafe { b::sock_unregister(number()) }
        });
        Ok(Self {
            _socket: socket,
            _diag: diag,
            _netns: netns,
            _proto: proto,
            _reserve: reserve,
            _small_queue: small_queue,
            _memory: memory,
            _claim: claim,
            _family: PhantomData,
        })
    }

    /// # Safety
    ///
    /// Nobody else uses the table.
    unsafe fn fill_proto(owner: *mut b::module) {
        let proto = PROTO.get();
        // SAFETY: By the function's contract; all zero is a valid `proto`.
        unsafe {
            proto.write_bytes(0, 1);
            b::ox_memory_fill(proto);
            let name = F::NAME.to_bytes();
            for (to, from) in (*proto).name.iter_mut().take(31).zip(name) {
                *to = *from;
            }
            (*proto).owner = owner;
            (*proto).obj_size = core::mem::size_of::<sock::Layout<F>>() as u32;
            (*proto).slab_flags = b::SLAB_TYPESAFE_BY_RCU;
            (*proto).freeptr_offset = b::OX_FREEPTR_OFFSET as u32;
            (*proto).backlog_rcv = Some(ops::backlog_rcv::<F>);
            (*proto).release_cb = Some(sock::Sock::<F>::release_cb);
            (*proto).ioctl = Some(ops::proto_ioctl::<F>);
            (*proto).keepalive = Some(ops::keepalive::<F>);
            (*proto).diag_destroy = Some(ops::diag_destroy::<F>);
        }
    }
}
