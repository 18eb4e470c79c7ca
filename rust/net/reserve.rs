// SPDX-License-Identifier: GPL-2.0

//! A port reserved in `AF_INET`'s tables, so that neither family gets the other's segments.

use super::bindings as b;
use super::*;
use core::net::SocketAddrV4;
use core::ptr::NonNull;
use kernel::error::from_err_ptr;
use kernel::prelude::*;

/// A reserved address and port: `AF_INET`'s bind says `EADDRINUSE` as long as this lives.
/// Dropping it frees the port: at once in process context without a [`BhSpinLock`], else a little
/// later, by a worker.
pub struct Reservation(NonNull<b::ox_port_reservation>);

// SAFETY: Belongs to no thread; it can only be dropped.
unsafe impl Send for Reservation {}
// SAFETY: As above.
unsafe impl Sync for Reservation {}

impl Reservation {
    /// Reserves `addr` (the wildcard address: for all). `reuse` is the socket's `SO_REUSEADDR`:
    /// then connections of `AF_INET` in TIME-WAIT do not hinder. Other reservations never do.
    /// Whether the address is one of this host is not looked at. Process context.
    ///
    /// Errors: `EADDRINUSE` when `AF_INET` uses it, `EACCES` when the port needs a capability the
    /// caller has not, `ENOMEM`.
    pub fn new<F: Family>(
        net: &NetNs<F>,
        addr: SocketAddrV4,
        reuse: bool,
        bound_dev: i32,
    ) -> Result<Self> {
        // SAFETY: The caller's socket keeps the namespace alive.
        let raw = from_err_ptr(unsafe {
            b::ox_reserve(
                net.raw(),
                addr::to_be32(*addr.ip()),
                addr.port(),
                reuse,
                bound_dev,
            )
        })?;
        NonNull::new(raw).map(Self).ok_or(ENOMEM)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        // SAFETY: Made by `ox_reserve`, and gone after this.
        unsafe { b::ox_unreserve(self.0.as_ptr()) }
    }
}
