// SPDX-License-Identifier: GPL-2.0

//! The socket lock as it is taken. The state may be packed then ([`StateBox`]): a [`Locked`], through
//! which it is reached, is had from here once it is not.

use super::bindings as b;
use super::state_box::StateBox;
use super::*;
use kernel::types::NotThreadSafe;

/// How long until a timer looks again at a socket that was unpacked, or for which there was no memory,
/// µs.
pub(super) const LOOK_AGAIN_US: u64 = 1_000_000;

/// Room for what a state is packed into, bytes: what takes more stays as it is.
const ROOM: usize = 512;

/// Whether a socket is idle, as [`Family::idle`] says.
pub enum Idle {
    /// For so long that its state may be packed.
    Long,
    /// Not for long: look again then, µs of [`now`].
    LookAt(u64),
    /// Not while things are as they are.
    No,
}

/// How the lock is held, and so how it is given back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// `lock_sock`: may sleep.
    Process,
    /// The spin lock, BH off.
    SoftIrq,
    /// Somebody below us holds it and gives it back.
    Caller,
}

/// A locked socket, of which nobody looks at the family's state. Dropping it releases the lock.
pub(super) struct Held<'a, F: Family> {
    sock: &'a Sock<F>,
    by: By,
    _not_send: NotThreadSafe,
}

impl<'a, F: Family> Held<'a, F> {
    fn new(sock: &'a Sock<F>, by: By) -> Self {
        Self {
            sock,
            by,
            _not_send: NotThreadSafe,
        }
    }

    /// # Safety
    ///
    /// The caller has just taken the lock by `lock_sock`.
    pub(super) unsafe fn by_process(sock: &'a Sock<F>) -> Self {
        Self::new(sock, By::Process)
    }

    /// # Safety
    ///
    /// The caller has just taken the spin lock, and may use what it protects until it drops this.
    pub(super) unsafe fn by_softirq(sock: &'a Sock<F>) -> Self {
        Self::new(sock, By::SoftIrq)
    }

    /// # Safety
    ///
    /// The lock is held by the caller's caller longer than this lives, and who else holds a guard does
    /// not use it meanwhile.
    pub(super) unsafe fn by_caller(sock: &'a Sock<F>) -> Self {
        Self::new(sock, By::Caller)
    }

    /// The socket.
    #[inline(always)]
    pub(super) fn sock(&self) -> &'a Sock<F> {
        self.sock
    }

    /// Whether a process took it by [`Sock::lock`].
    pub(super) fn is_process(&self) -> bool {
        self.by == By::Process
    }

    pub(super) fn timer_state(&mut self) -> &mut timer::State {
        // SAFETY: We hold the lock, and `self` is borrowed for as long as the reference lives.
        unsafe { &mut (*self.sock.raw()).timer }
    }

    /// Both buffers, with `skb` as the segment being processed.
    pub(super) fn buffers(&mut self, skb: Option<RxSkb>) -> (SendBuffer<'_, F>, RecvBuffer<'_, F>) {
        let gfp = if self.is_process() {
            b::GFP_KERNEL
        } else {
            b::GFP_ATOMIC
        };
        let raw = self.sock.raw();
        // SAFETY: We hold the lock, `self` is borrowed for as long as the two live, and they touch
        // disjoint parts of the object.
        unsafe {
            (
                SendBuffer::new(self.sock.sk(), &raw mut (*raw).send, gfp),
                RecvBuffer::new(self.sock, &raw mut (*raw).recv, skb),
            )
        }
    }

    fn state_box(&mut self) -> &mut StateBox<F> {
        // SAFETY: We hold the lock, and `self` is borrowed for as long as the reference lives.
        unsafe { &mut (*self.sock.raw()).state }
    }

    #[inline(always)]
    pub(super) fn is_packed(&self) -> bool {
        // SAFETY: We hold the lock.
        unsafe { (*self.sock.raw()).state.is_packed() }
    }

    #[cold]
    #[inline(never)]
    fn unpack(&mut self, gfp: b::gfp_t) {
        let sock = self.sock;
        let Some(packed) = self.state_box().begin_unpacking(sock.sk(), gfp) else {
            return;
        };
        if let Some(locked) = self.if_unpacked() {
            F::unpack(locked, packed.as_slice());
        }
        self.timer_state()
            .look_by(sock, now().saturating_add(LOOK_AGAIN_US));
        sock.net().count(Counter::IdleUnpacked);
    }

    /// Has the state unpacked, however long that takes.
    ///
    /// # Safety
    ///
    /// The caller may sleep.
    #[inline(always)]
    pub(super) unsafe fn wait_unpacked(&mut self) {
        while self.is_packed() {
            self.unpack(b::OX_GFP_MUST);
        }
    }

    /// As [`Held::wait_unpacked`], with the guard that lends the state.
    ///
    /// # Safety
    ///
    /// The caller may sleep.
    #[inline(always)]
    pub(super) unsafe fn into_unpacked(mut self) -> Locked<'a, F> {
        // SAFETY: As the caller says.
        unsafe { self.wait_unpacked() };
        // SAFETY: The state is unpacked.
        unsafe { Locked::new(self) }
    }

    /// The guard that lends the state, if that is unpacked or there is memory for it at hand.
    #[inline(always)]
    pub(super) fn try_into_unpacked(mut self) -> Result<Locked<'a, F>, Self> {
        if self.is_packed() {
            self.unpack(b::GFP_ATOMIC);
        }
        if self.is_packed() {
            return Err(self);
        }
        // SAFETY: The state is unpacked.
        Ok(unsafe { Locked::new(self) })
    }

    /// As [`Held::try_into_unpacked`], lent.
    pub(super) fn try_unpacked(&mut self) -> Option<&mut Locked<'a, F>> {
        if self.is_packed() {
            self.unpack(b::GFP_ATOMIC);
        }
        self.if_unpacked()
    }

    /// There was no memory to unpack the state: has the timer try until there is.
    #[cold]
    pub(super) fn unpack_later(mut self) {
        let sock = self.sock;
        self.timer_state().set(sock, Some(now()));
    }

    /// The guard that lends the state, if it is not packed.
    pub(super) fn if_unpacked(&mut self) -> Option<&mut Locked<'a, F>> {
        // SAFETY: The state is unpacked, and stays so while `self` is borrowed.
        (!self.is_packed()).then(|| unsafe { Locked::from_mut(self) })
    }

    /// Packs the state, if nothing has happened to the socket for long, or has a timer look again.
    #[inline(never)]
    pub(super) fn pack_if_idle(&mut self) {
        let sock = self.sock;
        let idle = self.if_unpacked().map_or(Idle::No, F::idle);
        let look_at = match idle {
            Idle::Long => {
                if self.pack() {
                    return sock.net().count(Counter::IdlePacked);
                }
                now().saturating_add(LOOK_AGAIN_US)
            }
            Idle::LookAt(at) => at,
            Idle::No => return,
        };
        self.timer_state().look_by(sock, look_at);
    }

    /// Packs the state. Returns whether there was memory and room for that.
    #[inline(never)]
    fn pack(&mut self) -> bool {
        let mut room = [0; ROOM];
        let state = self.if_unpacked().map(|locked| &mut **locked);
        let len = state.and_then(|state| F::pack(state, &mut room));
        let sk = self.sock.sk();
        if let Some(bytes) = len.and_then(|len| room.get(..len)) {
            self.state_box().pack(sk, bytes);
        }
        self.is_packed()
    }
}

impl<F: Family> Drop for Held<'_, F> {
    fn drop(&mut self) {
        let sk = self.sock.sk();
        // SAFETY: Taken by whoever made the guard, in this way.
        unsafe {
            match self.by {
                By::Process => b::ox_release_sock(sk),
                By::SoftIrq => b::ox_bh_unlock_sock(sk),
                By::Caller => (),
            }
        }
    }
}
