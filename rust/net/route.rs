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

/// MSS to announce in the SYN-ACK to the sender of `skb`: of the route back by `way`.
///
/// Errors: as [`Route::to`].
pub fn advmss_back<F: Family>(net: &NetNs<F>, skb: &RxSkb, way: &Way) -> Result<u16> {
    // SAFETY: The namespace is alive while a segment of it is processed.
    let mss = unsafe { b::ox_advmss_back(net.raw(), skb.raw(), way.oif, way.mark, way.tos) };
    to_result(mss.min(0))?;
    Ok(u16::try_from(mss).unwrap_or(u16::MAX))
}

/// Whether the administrator says that ECN works on the route back to the sender of `skb`.
pub fn ecn_back<F: Family>(net: &NetNs<F>, skb: &RxSkb) -> bool {
    // SAFETY: The namespace is alive while a segment of it is processed.
    unsafe { b::ox_ecn_back(net.raw(), skb.raw(), skb.mark()) }
}

/// `RTN_LOCAL`, `RTN_BROADCAST`, `RTN_MULTICAST` (`linux/rtnetlink.h`).
const BINDABLE: [u32; 3] = [2, 3, 5];

/// Whether bind to `addr` is right: an address of this host, or the wildcard; broadcast and
/// multicast too, as Linux has it; others only with `ip_nonlocal_bind`, `IP_FREEBIND` or
/// `IP_TRANSPARENT`.
///
/// Errors: `EADDRNOTAVAIL`.
pub fn check_bind<F: Family>(sock: &Locked<'_, F>, addr: Ipv4Addr) -> Result {
    if addr.is_unspecified() {
        return Ok(());
    }
    // SAFETY: The socket is alive and keeps the namespace.
    unsafe {
        let kind = b::inet_addr_type(sock.net().raw(), addr::to_be32(addr));
        if BINDABLE.contains(&kind) || b::ox_inet_nonlocal_ok(sock.sock().sk()) {
            return Ok(());
        }
    }
    Err(EADDRNOTAVAIL)
}
