// SPDX-License-Identifier: GPL-2.0

//! Route look-ups.

use super::bindings as b;
use super::*;
use core::mem::ManuallyDrop;
use core::net::{Ipv4Addr, SocketAddrV4};
use core::ptr::NonNull;
use kernel::error::to_result;
use kernel::prelude::*;

/// A route to a peer, with the source address that IP chose.
pub struct Route {
    dst: NonNull<b::dst_entry>,
    source: Ipv4Addr,
    destination: Ipv4Addr,
}

impl Route {
    /// Looks up the route of `sock` to `remote`, from `local` (the wildcard address: IP chooses),
    /// honouring the socket's device, mark, TOS and options.
    ///
    /// Errors: `ENETUNREACH` (no route, broadcast or multicast destination), `EHOSTUNREACH`,
    /// `EACCES` (prohibited), `EINVAL` (source address not ours).
    pub fn to<F: Family>(
        sock: &Locked<'_, F>,
        local: SocketAddrV4,
        remote: SocketAddrV4,
    ) -> Result<Self> {
        let mut source = addr::to_be32(*local.ip());
        let mut destination = addr::to_be32(*remote.ip());
        let mut dst = core::ptr::null_mut();
        // SAFETY: The socket is locked; the pointers are valid.
        to_result(unsafe {
            b::ox_route_connect(
                sock.sock().sk(),
                &mut source,
                &mut destination,
                local.port().to_be(),
                remote.port().to_be(),
                &mut dst,
            )
        })?;
        Ok(Self {
            dst: NonNull::new(dst).ok_or(EHOSTUNREACH)?,
            source: addr::from_be32(source),
            destination: addr::from_be32(destination),
        })
    }

    /// The source address.
    pub fn source(&self) -> Ipv4Addr {
        self.source
    }

    /// The destination: the one asked for, or loopback for `0.0.0.0`, as Linux connects.
    pub fn destination(&self) -> Ipv4Addr {
        self.destination
    }

    /// Path MTU, bytes.
    pub fn mtu(&self) -> u32 {
        // SAFETY: We hold a reference.
        unsafe { b::ox_dst_mtu(self.dst.as_ptr()) }
    }

    /// MSS to announce.
    pub fn advmss(&self) -> u16 {
        // SAFETY: We hold a reference.
        u16::try_from(unsafe { b::ox_dst_advmss(self.dst.as_ptr()) }).unwrap_or(u16::MAX)
    }

    /// Whether the administrator says that ECN works there (`features ecn`).
    pub fn has_ecn(&self) -> bool {
        // SAFETY: We hold a reference.
        unsafe { b::ox_dst_ecn(self.dst.as_ptr()) }
    }

    pub(super) fn into_raw(self) -> *mut b::dst_entry {
        ManuallyDrop::new(self).dst.as_ptr()
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        // SAFETY: We hold a reference, which ends here.
        unsafe { b::dst_release(self.dst.as_ptr()) }
    }
}

/// The route of segments that have no socket yet, back to a peer.
pub struct BackRoute(NonNull<b::dst_entry>);

// SAFETY: A counted reference of something that belongs to no thread.
unsafe impl Send for BackRoute {}

impl BackRoute {
    /// The route by `way` from the local to the remote end of `tuple`.
    ///
    /// Errors: `EHOSTUNREACH`.
    pub fn to<F: Family>(net: &NetNs<F>, tuple: &FourTuple, way: &Way) -> Result<Self> {
        let path = way.path(tuple);
        // SAFETY: The namespace is alive while a segment of it is processed; the path is valid.
        let dst = unsafe { b::ox_route_back(net.raw(), &path) };
        NonNull::new(dst).map(Self).ok_or(EHOSTUNREACH)
    }

    /// MSS to announce.
    pub fn advmss(&self) -> u16 {
        // SAFETY: We hold a reference.
        u16::try_from(unsafe { b::ox_dst_advmss(self.raw()) }).unwrap_or(u16::MAX)
    }

    /// Whether the administrator says that ECN works there (`features ecn`).
    pub fn has_ecn(&self) -> bool {
        // SAFETY: We hold a reference.
        unsafe { b::ox_dst_ecn(self.raw()) }
    }

    /// Whether it is still the route that a look-up would give.
    pub fn holds(&self) -> bool {
        // SAFETY: We hold a reference.
        unsafe { b::ox_dst_holds(self.raw()) }
    }

    pub(super) fn raw(&self) -> *mut b::dst_entry {
        self.0.as_ptr()
    }

    pub(super) fn into_raw(self) -> *mut b::dst_entry {
        ManuallyDrop::new(self).raw()
    }
}

impl Drop for BackRoute {
    fn drop(&mut self) {
        // SAFETY: We hold a reference, which ends here.
        unsafe { b::dst_release(self.raw()) }
    }
}

/// `RTN_LOCAL`, `RTN_BROADCAST`, `RTN_MULTICAST` (`linux/rtnetlink.h`).
const BINDABLE: [u32; 3] = [2, 3, 5];

/// Whether bind to `addr` is right: an address of this host, or of the VRF that the socket is bound
/// to, or the wildcard; broadcast and multicast too, as Linux has it; others only with
/// `ip_nonlocal_bind`, `IP_FREEBIND` or `IP_TRANSPARENT`.
///
/// Errors: `EADDRNOTAVAIL`.
pub fn check_bind<F: Family>(sock: &Locked<'_, F>, addr: Ipv4Addr) -> Result {
    if addr.is_unspecified() {
        return Ok(());
    }
    // SAFETY: The socket is alive and keeps the namespace.
    unsafe {
        let kind = b::ox_inet_addr_type(sock.sock().sk(), addr::to_be32(addr));
        if BINDABLE.contains(&kind) || b::ox_inet_nonlocal_ok(sock.sock().sk()) {
            return Ok(());
        }
    }
    Err(EADDRNOTAVAIL)
}
