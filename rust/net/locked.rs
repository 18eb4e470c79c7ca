// SPDX-License-Identifier: GPL-2.0

//! The socket lock, as a guard: `&mut` to a socket's state exists only through it.

use super::bindings as b;
use super::held::Held;
use super::*;
use core::net::SocketAddrV4;
use core::ops::{Deref, DerefMut};
use kernel::error::to_result;
use kernel::prelude::*;

/// Directions of a connection that are closed on this side (`sk_shutdown`), and what shutdown(2)
/// asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Shutdown {
    /// Nothing more will be received (`RCV_SHUTDOWN`).
    pub read: bool,
    /// Nothing more will be sent (`SEND_SHUTDOWN`).
    pub write: bool,
}

impl Shutdown {
    /// Both directions.
    pub const BOTH: Self = Self {
        read: true,
        write: true,
    };

    pub(super) fn from_bits(bits: i32) -> Self {
        Self {
            read: bits & 1 != 0,
            write: bits & 2 != 0,
        }
    }

    fn bits(self) -> i32 {
        i32::from(self.read) | i32::from(self.write) << 1
    }
}

/// How fast a socket may send, and who sees to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pacing {
    /// `SO_MAX_PACING_RATE`, bytes a second; `u64::MAX` for no limit.
    pub max_rate: u64,
    /// The queueing discipline does: sch_fq, which has seen a segment of the socket.
    pub below: bool,
    /// A burst is what goes in 1/2^shift s (`sk_pacing_shift`).
    pub shift: u8,
}

/// What [`Sock::lock_bh`] gave.
pub enum BhLock<'a, F: Family> {
    /// The lock, and the segment back.
    Free(Locked<'a, F>, RxSkb),
    /// The segment is gone: to the backlog, as a process has the socket, or dropped and counted.
    Busy,
}

/// A locked socket. Derefs to the family's state; dropping it releases the lock.
///
/// # Invariants
///
/// The state is not packed.
#[repr(transparent)]
pub struct Locked<'a, F: Family>(Held<'a, F>);

impl<'a, F: Family> Locked<'a, F> {
    /// # Safety
    ///
    /// The state is not packed.
    #[inline(always)]
    pub(super) unsafe fn new(held: Held<'a, F>) -> Self {
        Self(held)
    }

    /// # Safety
    ///
    /// The state is not packed.
    pub(super) unsafe fn from_mut<'b>(held: &'b mut Held<'a, F>) -> &'b mut Self {
        // SAFETY: The layout is that of `Held`, and what this adds is promised by the caller.
        unsafe { &mut *core::ptr::from_mut(held).cast() }
    }

    fn sk(&self) -> *mut b::sock {
        self.0.sock().sk()
    }

    pub(super) fn timer_state(&mut self) -> &mut timer::State {
        self.0.timer_state()
    }

    /// The socket.
    pub fn sock(&self) -> &'a Sock<F> {
        self.0.sock()
    }

    /// The namespace.
    pub fn net(&self) -> &'a NetNs<F> {
        self.0.sock().net()
    }

    /// Lends the family's state and both buffers at once.
    pub fn parts(&mut self) -> (&mut F::Sock, SendBuffer<'_, F>, RecvBuffer<'_, F>) {
        self.split(None)
    }

    /// As [`Locked::parts`], with `skb` as the segment being processed, from which
    /// [`RecvBuffer::store`] keeps text. What is left of it is freed with the [`RecvBuffer`].
    pub fn parts_with(
        &mut self,
        skb: RxSkb,
    ) -> (&mut F::Sock, SendBuffer<'_, F>, RecvBuffer<'_, F>) {
        self.split(Some(skb))
    }

    fn split(
        &mut self,
        skb: Option<RxSkb>,
    ) -> (&mut F::Sock, SendBuffer<'_, F>, RecvBuffer<'_, F>) {
        // SAFETY: We hold the lock, `self` is borrowed for as long as the reference lives, the buffers
        // are not of what it points to; by the type's invariant there is an object.
        let state = unsafe { &mut *(*self.0.sock().raw()).state.object() };
        let (send, recv) = self.0.buffers(skb);
        (state, send, recv)
    }

    /// The send buffer.
    pub fn send_buffer(&mut self) -> SendBuffer<'_, F> {
        self.0.buffers(None).0
    }

    /// The receive buffer.
    pub fn recv_buffer(&mut self) -> RecvBuffer<'_, F> {
        self.0.buffers(None).1
    }

    /// Gives the lock back, and has the state packed again if it was unpacked for a look alone.
    pub fn release_idle(mut self) {
        self.0.pack_if_idle();
    }

    /// Whether this is process context (may sleep, `GFP_KERNEL`).
    pub fn is_process(&self) -> bool {
        self.0.is_process()
    }

    /// Sets our address and port: `inet_rcv_saddr`, `inet_saddr`, `inet_num`, `inet_sport`.
    /// A multicast or broadcast address is not taken as source.
    pub fn set_local(&mut self, addr: SocketAddrV4) {
        // SAFETY: We hold the lock.
        unsafe { b::ox_inet_set_local(self.sk(), addr::to_be32(*addr.ip()), addr.port()) }
    }

    /// Sets only the address segments are sent from (`inet_saddr`), as a multicast or unbound
    /// socket has it.
    pub fn set_source(&mut self, addr: core::net::Ipv4Addr) {
        // SAFETY: We hold the lock.
        unsafe { b::ox_inet_set_saddr(self.sk(), addr::to_be32(addr)) }
    }

    /// Sets the peer's address and port: `inet_daddr`, `inet_dport`. [`addr::ANY`] dissolves.
    pub fn set_remote(&mut self, addr: SocketAddrV4) {
        // SAFETY: We hold the lock.
        unsafe { b::ox_inet_set_remote(self.sk(), addr::to_be32(*addr.ip()), addr.port()) }
    }

    /// Sets `sk_state` to Linux's `TCP_*` number, firing `sock:inet_sock_set_state`. In
    /// `TCP_CLOSE` (7) no timer runs.
    pub fn set_state(&mut self, state: u8) {
        if state == self.0.sock().state() {
            return;
        }
        // SAFETY: We hold the lock.
        unsafe { b::inet_sk_set_state(self.sk(), state.into()) }
        let sock = self.0.sock();
        match u32::from(state) {
            b::TCP_CLOSE => self.timer_state().stop(sock),
            b::TCP_ESTABLISHED => self.timer_state().look_soon(sock),
            _ => {}
        }
    }

    /// Sets the state of the file (`SS_CONNECTED` or `SS_UNCONNECTED`), which fdinfo shows.
    pub fn set_connected(&mut self, connected: bool) {
        let state = if connected {
            b::socket_state_SS_CONNECTED
        } else {
            b::socket_state_SS_UNCONNECTED
        };
        // SAFETY: We hold the lock.
        unsafe { b::ox_sk_set_socket_state(self.sk(), state as i32) }
    }

    /// Makes `error` pending (`sk_err`); [`Locked::wake_error`] tells who waits.
    pub fn set_error(&mut self, error: Error) {
        // SAFETY: We hold the lock; readers without it use `READ_ONCE`.
        unsafe { (&raw mut (*self.sk()).sk_err).write_volatile(-error.to_errno()) }
    }

    /// Remembers an error that is told only if the connection fails (`sk_err_soft`).
    #[inline(never)]
    pub fn set_soft_error(&mut self, error: Option<Error>) {
        let errno = error.map_or(0, |e| -e.to_errno());
        // SAFETY: We hold the lock; readers without it use `READ_ONCE`.
        unsafe { (&raw mut (*self.sk()).sk_err_soft).write_volatile(errno) }
    }

    /// `IP_RECVERR`: the user wants to hear of each ICMP error, not only of what ends the connection.
    pub fn wants_soft_errors(&self) -> bool {
        // SAFETY: The socket is alive.
        unsafe { b::ox_inet_recverr(self.sk()) }
    }

    /// Forgets the remembered soft error, if there is one.
    #[inline]
    pub fn forget_soft_error(&mut self) {
        if self.has_soft_error() {
            self.set_soft_error(None);
        }
    }

    /// Whether a soft error is remembered.
    #[inline]
    pub fn has_soft_error(&self) -> bool {
        // SAFETY: We hold the lock.
        unsafe { (*self.sk()).sk_err_soft != 0 }
    }

    /// The remembered soft error.
    pub fn soft_error(&self) -> Option<Error> {
        // SAFETY: We hold the lock.
        match unsafe { (*self.sk()).sk_err_soft } {
            0 => None,
            errno => Some(Error::from_errno(-errno)),
        }
    }

    /// Takes the pending error: `Err` once, as `sock_error` does.
    pub fn take_error(&mut self) -> Result {
        // SAFETY: We hold the lock.
        to_result(unsafe { b::ox_sock_error(self.sk()) })
    }

    /// Whether nothing is to be told to who writes, and nothing reported of what is written: no
    /// pending error, no end of writing, no time stamps.
    pub fn may_write_plainly(&self) -> bool {
        // SAFETY: We hold the lock; read as `READ_ONCE` does, as others may write some of it.
        unsafe {
            let sk = self.sk();
            b::ox_sk_err(sk) == 0
                && (&raw const (*sk).sk_tsflags).read_volatile() == 0
                && !Shutdown::from_bits(b::ox_sk_shutdown(sk)).write
        }
    }

    /// Closes directions, in addition to those closed (`sk_shutdown |=`).
    pub fn add_shutdown(&mut self, how: Shutdown) {
        // SAFETY: We hold the lock.
        unsafe {
            let bits = b::ox_sk_shutdown(self.sk()) | how.bits();
            b::ox_sk_set_shutdown(self.sk(), bits)
        }
    }

    /// Reopens both directions (a disconnected socket can be used again).
    pub fn clear_shutdown(&mut self) {
        // SAFETY: We hold the lock.
        unsafe { b::ox_sk_set_shutdown(self.sk(), 0) }
    }

    /// Tells readers that there is something (`sk_data_ready`).
    pub fn wake_readable(&self) {
        // SAFETY: `sock_init_data` set the callback; the socket is alive.
        unsafe {
            if let Some(f) = (*self.sk()).sk_data_ready {
                f(self.sk())
            }
        }
    }

    /// Tells writers that there is room, if there is enough (the stream `sk_write_space`).
    pub fn wake_writable(&self) {
        // SAFETY: The socket is alive.
        unsafe { b::ox_sk_stream_write_space(self.sk()) }
    }

    /// Whether somebody waits for [`Locked::wake_writable`].
    pub fn is_room_wanted(&self) -> bool {
        // SAFETY: The socket is alive.
        unsafe { b::ox_sk_wants_room(self.sk()) }
    }

    /// Tells everybody that the state changed (`sk_state_change`), and SIGIO takers with `POLL_OUT`
    /// when `connected`.
    pub fn wake_state_change(&self, connected: bool) {
        // SAFETY: `sock_init_data` set the callback; the socket is alive.
        unsafe {
            if let Some(f) = (*self.sk()).sk_state_change {
                f(self.sk())
            }
            if connected {
                b::ox_sk_wake_async(self.sk(), b::SOCK_WAKE_IO as i32, b::POLL_OUT as i32);
            }
        }
    }

    /// Tells everybody of an error (`sk_error_report`).
    pub fn wake_error(&self) {
        // SAFETY: The socket is alive.
        unsafe { b::sk_error_report(self.sk()) }
    }

    /// Sends `SIGIO` / `POLL_HUP` or `POLL_IN` to the file's owner as the peer's FIN does
    /// (`sk_wake_async`), `hup` when both directions are closed.
    pub fn wake_fin(&self, hup: bool) {
        let band = if hup { b::POLL_HUP } else { b::POLL_IN };
        // SAFETY: The socket is alive.
        unsafe { b::ox_sk_wake_async(self.sk(), b::SOCK_WAKE_WAITD as i32, band as i32) }
    }

    /// Sends `SIGURG` to the file's owner, and `SIGIO` with `POLL_PRI` to who takes that.
    pub fn send_sigurg(&self) {
        // SAFETY: We hold the lock, under which a socket loses its file.
        unsafe { b::sk_send_sigurg(self.sk()) }
    }

    fn flag(&self, flag: b::sock_flags) -> bool {
        // SAFETY: The socket is alive.
        unsafe { b::ox_sock_flag(self.sk(), flag) }
    }

    /// Whether a user has it: not when nobody has accepted it, or it was closed.
    pub fn has_file(&self) -> bool {
        // SAFETY: The socket is alive, and we hold the lock.
        unsafe { !(*self.sk()).sk_socket.is_null() }
    }

    /// No file any more (`SOCK_DEAD`).
    pub fn is_orphan(&self) -> bool {
        self.flag(b::sock_flags_SOCK_DEAD)
    }

    /// Takes the file away from the socket (`sock_orphan`).
    pub fn orphan(&mut self) {
        // SAFETY: We hold the lock.
        unsafe { b::ox_sock_orphan(self.sk()) }
    }

    /// `SO_LINGER`: `Some(0)` means abort at close, `Some(t)` wait up to `t` jiffies.
    pub fn linger(&self) -> Option<Timeout> {
        if !self.flag(b::sock_flags_SOCK_LINGER) {
            return None;
        }
        // SAFETY: We hold the lock.
        let jiffies = unsafe { (*self.sk()).sk_lingertime };
        Some(Timeout(jiffies.try_into().unwrap_or(Timeout::FOREVER.0)))
    }

    /// `SO_KEEPALIVE`.
    pub fn keepopen(&self) -> bool {
        self.flag(b::sock_flags_SOCK_KEEPOPEN)
    }

    /// `SO_OOBINLINE`.
    pub fn urginline(&self) -> bool {
        self.flag(b::sock_flags_SOCK_URGINLINE)
    }

    /// Time limit of a read or an accept (`SO_RCVTIMEO`; none at all when `nonblock`).
    pub fn rcv_timeout(&self, nonblock: bool) -> Timeout {
        // SAFETY: The socket is alive.
        Timeout(unsafe { b::ox_sock_rcvtimeo(self.sk(), nonblock) })
    }

    /// Time limit of a write or a connect (`SO_SNDTIMEO`; none at all when `nonblock`).
    pub fn snd_timeout(&self, nonblock: bool) -> Timeout {
        // SAFETY: The socket is alive.
        Timeout(unsafe { b::ox_sock_sndtimeo(self.sk(), nonblock) })
    }

    /// Bytes a read waits for: `min(SO_RCVLOWAT or len when waitall, len)`, at least 1.
    pub fn rcv_target(&self, waitall: bool, len: usize) -> usize {
        let len = i32::try_from(len).unwrap_or(i32::MAX);
        // SAFETY: The socket is alive.
        let target = unsafe { b::ox_sock_rcvlowat(self.sk(), waitall, len) };
        target.unsigned_abs() as usize
    }

    /// `SO_RCVBUF`, bytes of memory (`sk_rcvbuf`).
    pub fn rcvbuf(&self) -> u32 {
        // SAFETY: The socket is alive; setsockopt writes it under the lock.
        unsafe { (*self.sk()).sk_rcvbuf }.unsigned_abs()
    }

    /// Whether the user chose the size of the receive buffer.
    pub fn is_rcvbuf_chosen(&self) -> bool {
        // SAFETY: We hold the lock.
        unsafe { u32::from((*self.sk()).sk_userlocks) & b::SOCK_RCVBUF_LOCK != 0 }
    }

    /// Sets `sk_rcvbuf` unless the user locked it (initial size, autotuning).
    pub fn set_rcvbuf(&mut self, bytes: u32) {
        let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
        // SAFETY: We hold the lock; readers without it use `READ_ONCE`.
        unsafe {
            if u32::from((*self.sk()).sk_userlocks) & b::SOCK_RCVBUF_LOCK == 0 {
                (&raw mut (*self.sk()).sk_rcvbuf).write_volatile(bytes)
            }
        }
    }

    /// Sets `sk_rcvlowat`, bytes.
    pub fn set_rcvlowat(&mut self, bytes: u32) {
        let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
        // SAFETY: We hold the lock; readers without it use `READ_ONCE`.
        unsafe { (&raw mut (*self.sk()).sk_rcvlowat).write_volatile(bytes) }
    }

    /// `SO_PEEK_OFF`: where a read with `MSG_PEEK` begins, bytes behind the first unread one.
    pub fn peek_offset(&self) -> u32 {
        // SAFETY: The socket is alive; written as the core's `WRITE_ONCE` does.
        unsafe { (&raw const (*self.sk()).sk_peek_off).read_volatile() }
            .max(0)
            .unsigned_abs()
    }

    /// Bytes were peeked at, or read: `SO_PEEK_OFF` moves, if it is set.
    pub fn move_peek_offset(&mut self, bytes: u32, peeked: bool) {
        // SAFETY: The socket is alive; written as the core's `WRITE_ONCE` does.
        if unsafe { (&raw const (*self.sk()).sk_peek_off).read_volatile() } < 0 {
            return;
        }
        let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
        // SAFETY: As above.
        unsafe { b::ox_sk_move_peek_offset(self.sk(), if peeked { bytes } else { -bytes }) }
    }

    /// `SO_PEEK_OFF` is off.
    pub fn forget_peek_offset(&mut self) {
        // SAFETY: The socket is alive; written as the core's `WRITE_ONCE` does.
        unsafe { (&raw mut (*self.sk()).sk_peek_off).write_volatile(-1) }
    }

    /// `SO_SNDBUF`, bytes of memory (`sk_sndbuf`).
    pub fn sndbuf(&self) -> u32 {
        // SAFETY: The socket is alive; setsockopt writes it under the lock.
        unsafe { (*self.sk()).sk_sndbuf }.unsigned_abs()
    }

    /// Whether the family's sockets hold so little memory that each may want more.
    pub fn has_plenty(&self) -> bool {
        // SAFETY: The socket is alive.
        unsafe { b::ox_sk_has_plenty(self.sk()) }
    }

    /// Sets `sk_sndbuf` unless the user locked it.
    pub fn set_sndbuf(&mut self, bytes: u32) {
        let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
        // SAFETY: We hold the lock; readers without it use `READ_ONCE`.
        unsafe {
            if u32::from((*self.sk()).sk_userlocks) & b::SOCK_SNDBUF_LOCK == 0 {
                (&raw mut (*self.sk()).sk_sndbuf).write_volatile(bytes)
            }
        }
    }

    /// Releases the lock, sleeps until something wakes the socket, `timeout` passes or a signal
    /// comes, and takes the lock again. The caller then looks at its condition again. What wakes
    /// between the release and the sleep is not lost. Process context.
    ///
    /// Errors: `EAGAIN` when `timeout` is used up (and outside process context); `ERESTARTSYS` or
    /// `EINTR` on a signal, as `sock_intr_errno` decides; `EPIPE` when the connection was dissolved
    /// meanwhile ([`Locked::count_disconnect`]): what the socket is now is not the caller's.
    pub fn wait(&mut self, timeout: &mut Timeout) -> Result {
        self.sleep(timeout, false, false)
    }

    /// As [`Locked::wait`], but of several waiters only one is woken, and none minds what the socket
    /// was meanwhile: for accept.
    pub fn wait_exclusive(&mut self, timeout: &mut Timeout) -> Result {
        self.sleep(timeout, true, false)
    }

    /// As [`Locked::wait`], woken also by room in the send buffer: sets `SOCK_NOSPACE` so that
    /// [`Locked::wake_writable`] tells us.
    pub fn wait_writable(&mut self, timeout: &mut Timeout) -> Result {
        self.sleep(timeout, false, true)
    }

    /// The connection is dissolved: ends the calls that wait for something of it.
    pub fn count_disconnect(&mut self) {
        // SAFETY: We hold the lock.
        unsafe {
            let count = &raw mut (*self.sk()).sk_disconnects;
            *count = (*count).wrapping_add(1);
        }
    }

    fn sleep(&mut self, timeout: &mut Timeout, exclusive: bool, write: bool) -> Result {
        if !self.is_process() {
            return Err(EAGAIN);
        }
        // SAFETY: We hold the lock by `lock_sock`, and the caller's `&mut` says that nobody looks
        // at what it protects meanwhile.
        let result = unsafe { b::ox_sk_wait(self.sk(), &mut timeout.0, exclusive, write) };
        // SAFETY: This is process context.
        unsafe { self.0.wait_unpacked() };
        to_result(result)
    }

    /// When [`Family::timer`] is to be called: µs of [`now`], `None` for never. Cheap to call after
    /// every segment: the timer is moved only when the new deadline is earlier, and looks again
    /// when it fires too early. A pending timer holds a reference on the socket; with `None` it
    /// goes on until it fires, but not in `TCP_CLOSE`.
    pub fn set_deadline(&mut self, at: Option<u64>) {
        let sock = self.0.sock();
        if self.timer_state().keep(at) {
            return;
        }
        if u32::from(sock.state()) == b::TCP_CLOSE {
            self.timer_state().stop(sock);
        } else {
            self.timer_state().set(sock, at);
        }
    }

    /// Sends over `route` from now on. Call it when [`Locked::set_local`] and
    /// [`Locked::set_remote`] have said what the ends are. A socket without a route (a fresh
    /// child) finds its own at its first [`SendBuffer::transmit`].
    pub fn route(&mut self, route: route::Route) {
        // SAFETY: We hold the lock; the route's reference becomes the socket's.
        unsafe { b::ox_sk_set_route(self.sk(), route.into_raw()) }
    }

    /// As [`Locked::route`], by the route of the segments that went before the socket.
    pub fn route_back(&mut self, route: route::BackRoute) {
        // SAFETY: We hold the lock; the route's reference becomes the socket's.
        unsafe { b::ox_sk_set_route(self.sk(), route.into_raw()) }
    }

    /// Path MTU to the peer, bytes, read afresh (routes learn it in place); 1500 without a route.
    pub fn path_mtu(&self) -> u32 {
        // SAFETY: We hold the lock.
        unsafe { b::ox_sk_path_mtu(self.sk()) }
    }

    /// Whether the route to the peer, if there is one, is by a loopback device.
    pub fn is_by_loopback(&self) -> bool {
        // SAFETY: We hold the lock.
        unsafe { b::ox_sk_is_by_loopback(self.sk()) }
    }

    /// Teaches the route to the peer that the path carries `mtu` bytes and no more, or a router does
    /// not say how many (0): [`Locked::path_mtu`] has it then, but none below
    /// `net.ipv4.route.min_pmtu`.
    pub fn learn_path_mtu(&mut self, mtu: u16) {
        // SAFETY: We hold the lock.
        unsafe { b::ox_sk_update_pmtu(self.sk(), mtu.into()) }
    }

    /// Largest MSS to announce to the peer: the route's advmss, or the device's MTU less 40.
    pub fn advmss(&self) -> u16 {
        // SAFETY: We hold the lock.
        u16::try_from(unsafe { b::ox_sk_advmss(self.sk()) }).unwrap_or(u16::MAX)
    }

    /// Takes note that a segment came in over this path: keeps its route for the early demux of
    /// those that follow.
    pub fn note_receive(&mut self, skb: &RxSkb) {
        // SAFETY: We hold the lock.
        unsafe { b::ox_sk_note_rx_dst(self.sk(), skb.raw()) }
    }

    /// A retransmission timer expired: what hashes of the socket choose below us is chosen anew
    /// (`sk_rethink_txhash`). Returns whether it is.
    pub fn rehash(&mut self) -> bool {
        // SAFETY: We hold the lock.
        unsafe { b::ox_sk_rethink_txhash(self.sk()) }
    }

    /// The route may be bad (retransmissions go unanswered): look for a new one at the next send.
    pub fn route_suspect(&mut self) {
        // SAFETY: We hold the lock.
        unsafe { b::ox_sk_route_suspect(self.sk()) }
    }

    /// There is no peer any more: neither is the route to it.
    pub fn forget_route(&mut self) {
        // SAFETY: We hold the lock.
        unsafe { b::ox_sk_forget_route(self.sk()) }
    }

    /// How fast the socket may send, and who sees to that.
    pub fn pacing(&self) -> Pacing {
        let sk = self.sk();
        // SAFETY: The socket is alive; the fields are read as the core's `READ_ONCE` does.
        unsafe {
            Pacing {
                max_rate: (&raw const (*sk).sk_max_pacing_rate).read_volatile() as u64,
                below: (&raw const (*sk).sk_pacing_status).read_volatile() == b::OX_SK_PACING_FQ,
                shift: (&raw const (*sk).sk_pacing_shift).read_volatile(),
            }
        }
    }

    /// Shows sch_fq the rate to send at, bytes a second; `u64::MAX` for as fast as it goes.
    pub fn set_pacing_rate(&mut self, rate: u64) {
        // SAFETY: We hold the lock; sch_fq reads it by `READ_ONCE`.
        unsafe { (&raw mut (*self.sk()).sk_pacing_rate).write_volatile(rate as usize) }
    }

    /// Most bytes of text in one super-segment over the present route; 0 when it cannot be cut
    /// into segments below us.
    pub fn max_gso_bytes(&self, mss: u16) -> u32 {
        // SAFETY: The socket is alive.
        unsafe { b::ox_sk_gso_max(self.sk(), mss.into()) }
    }
}

impl<F: Family> Deref for Locked<'_, F> {
    type Target = F::Sock;

    fn deref(&self) -> &F::Sock {
        // SAFETY: We hold the lock; by the type's invariant there is an object.
        unsafe { &*(*self.0.sock().raw()).state.object() }
    }
}

impl<F: Family> DerefMut for Locked<'_, F> {
    fn deref_mut(&mut self) -> &mut F::Sock {
        // SAFETY: We hold the lock, and `self` is borrowed as mutable; by the type's invariant there is
        // an object.
        unsafe { &mut *(*self.0.sock().raw()).state.object() }
    }
}
