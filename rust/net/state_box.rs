// SPDX-License-Identifier: GPL-2.0

//! Where the family's state of a socket lies: in an object of its own, or, once nothing has
//! happened to the socket for a while, packed into few bytes.

use super::bindings as b;
use super::*;
use core::marker::PhantomData;
use core::ptr::{null_mut, NonNull};
use core::slice;
use kernel::prelude::*;

/// A box for the state of a socket.
pub(super) struct StateBox<F: Family> {
    /// An object of the cache that holds the state; null while it is packed.
    object: *mut F::Sock,
    packed: Packed,
}

/// Bytes that a state was packed into; none while it is not.
pub(super) struct Packed {
    bytes: *mut u8,
    len: usize,
}

impl Packed {
    const NONE: Self = Self {
        bytes: null_mut(),
        len: 0,
    };

    /// A copy of `bytes`, charged as `sk` is, if it is. Takes no memory that others need more.
    fn new(sk: *mut b::sock, bytes: &[u8]) -> Option<Self> {
        let len = bytes.len();
        // SAFETY: The socket is alive.
        let copy: *mut u8 = unsafe { b::ox_packed_alloc(sk, len) }.cast();
        NonNull::new(copy)?;
        // SAFETY: Just allocated, and as long.
        unsafe { copy.copy_from_nonoverlapping(bytes.as_ptr(), len) };
        Some(Self { bytes: copy, len })
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        if self.bytes.is_null() {
            return &[];
        }
        // SAFETY: `new` has filled them.
        unsafe { slice::from_raw_parts(self.bytes, self.len) }
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        // SAFETY: Null, or allocated by `new`.
        unsafe { b::ox_packed_free(self.bytes.cast()) }
    }
}

/// An object of the cache that holds nothing yet, or no more.
struct Empty<F: Family>(NonNull<F::Sock>, PhantomData<F>);

impl<F: Family> Empty<F> {
    /// Charged as `sk` is, or to the caller when that is not, or null.
    fn new(sk: *mut b::sock, gfp: b::gfp_t) -> Option<Self> {
        // What the cache aligns its objects to.
        const { assert!(align_of::<F::Sock>() <= align_of::<u64>()) };
        // SAFETY: The cache lives as long as the family is registered.
        let object = unsafe { b::ox_state_alloc(sk, gfp) };
        Some(Self(NonNull::new(object.cast())?, PhantomData))
    }

    /// Puts what `init` makes into it.
    fn fill(self, init: impl Init<F::Sock>) -> *mut F::Sock {
        let object = self.0.as_ptr();
        core::mem::forget(self);
        // SAFETY: The object has the size and the alignment of `F::Sock`, and nobody else knows it.
        let Ok(()) = unsafe { init.__init(object) };
        object
    }
}

impl<F: Family> Drop for Empty<F> {
    fn drop(&mut self) {
        // SAFETY: Allocated from the cache, and holds nothing.
        unsafe { b::ox_state_free(self.0.as_ptr().cast()) }
    }
}

impl<F: Family> StateBox<F> {
    /// A box with what `init` makes.
    ///
    /// Errors: `ENOMEM`.
    pub(super) fn new(gfp: b::gfp_t, init: impl Init<F::Sock>) -> Result<Self> {
        Ok(Self {
            object: Empty::<F>::new(null_mut(), gfp).ok_or(ENOMEM)?.fill(init),
            packed: Packed::NONE,
        })
    }

    /// The state; null while it is packed.
    #[inline(always)]
    pub(super) fn object(&self) -> *mut F::Sock {
        self.object
    }

    /// Whether the state is packed.
    #[inline(always)]
    pub(super) fn is_packed(&self) -> bool {
        self.object.is_null()
    }

    /// Holds the state of a new socket from now on, if there is memory for that. Returns what the state
    /// was packed into.
    pub(super) fn begin_unpacking(&mut self, sk: *mut b::sock, gfp: b::gfp_t) -> Option<Packed> {
        self.object = Empty::<F>::new(sk, gfp)?.fill(F::new_sock());
        Some(core::mem::replace(&mut self.packed, Packed::NONE))
    }

    /// Keeps `bytes` in place of the state that they were made of, if there is memory for them.
    pub(super) fn pack(&mut self, sk: *mut b::sock, bytes: &[u8]) {
        if let Some(packed) = Packed::new(sk, bytes) {
            self.clear();
            self.packed = packed;
        }
    }

    /// Drops the state, if it is not packed.
    fn clear(&mut self) {
        if let Some(object) = NonNull::new(core::mem::replace(&mut self.object, null_mut())) {
            let _empty = Empty::<F>(object, PhantomData);
            // SAFETY: It holds a state, which nobody uses after this; `_empty` is freed after it.
            unsafe { object.drop_in_place() };
        }
    }
}

impl<F: Family> Drop for StateBox<F> {
    fn drop(&mut self) {
        self.clear();
    }
}
