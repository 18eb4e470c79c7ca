// SPDX-License-Identifier: GPL-2.0

//! IPv4 socket addresses: `struct sockaddr_in` in and out, and the 4-tuple of a connection.

use super::bindings as b;
use core::net::{Ipv4Addr, SocketAddrV4};
use kernel::prelude::*;

/// `0.0.0.0:0`.
pub const ANY: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);

/// The two ends of a connection, seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FourTuple {
    /// Our address and port.
    pub local: SocketAddrV4,
    /// The peer's address and port.
    pub remote: SocketAddrV4,
}

/// What the user passed to connect(2).
#[derive(Clone, Copy, Debug)]
pub enum Destination {
    /// An IPv4 address and port.
    Addr(SocketAddrV4),
    /// `AF_UNSPEC`: dissolve the association.
    Disconnect,
    /// Not an address of ours: the error to return once the socket's state permits a connect
    /// (`EINVAL` when too short, else `EAFNOSUPPORT`), as Linux checks the state first.
    Bad(Error),
}

/// An IPv4 address as Linux keeps it: the four bytes of the wire in a `__be32`.
pub(super) fn to_be32(addr: Ipv4Addr) -> u32 {
    u32::from_ne_bytes(addr.octets())
}

/// The inverse of [`to_be32`].
pub(super) fn from_be32(addr: u32) -> Ipv4Addr {
    Ipv4Addr::from(addr.to_ne_bytes())
}

/// The address of bind(2): `AF_INET` or the family's own number; `AF_UNSPEC` only with
/// `INADDR_ANY`, as Linux maps it.
///
/// Errors: `EINVAL` when too short, `EAFNOSUPPORT`.
///
/// # Safety
///
/// `len` bytes can be read at `addr`.
pub(super) unsafe fn for_bind(addr: *const u8, len: i32) -> Result<SocketAddrV4> {
    // SAFETY: By the function's contract.
    let (family, name) = unsafe { read(addr, len) }?;
    match family {
        AF_UNSPEC if name.ip().is_unspecified() => Ok(name),
        family if is_ours(family) => Ok(name),
        _ => Err(EAFNOSUPPORT),
    }
}

/// The address of connect(2).
///
/// Errors: `EINVAL` when not even a family is there.
///
/// # Safety
///
/// `len` bytes can be read at `addr`.
pub(super) unsafe fn for_connect(addr: *const u8, len: i32) -> Result<Destination> {
    if len < 2 {
        return Err(EINVAL);
    }
    // SAFETY: By the function's contract, two bytes are there.
    if unsafe { addr.cast::<u16>().read_unaligned() } == AF_UNSPEC {
        return Ok(Destination::Disconnect);
    }
    // SAFETY: By the function's contract.
    Ok(match unsafe { read(addr, len) } {
        Ok((family, name)) if is_ours(family) => Destination::Addr(name),
        Ok(_) => Destination::Bad(EAFNOSUPPORT),
        Err(e) => Destination::Bad(e),
    })
}

const AF_UNSPEC: u16 = 0;
const AF_INET: u16 = 2;

fn is_ours(family: u16) -> bool {
    family == AF_INET || i32::from(family) == super::family::number()
}

/// # Safety
///
/// `len` bytes can be read at `addr`.
unsafe fn read(addr: *const u8, len: i32) -> Result<(u16, SocketAddrV4)> {
    if usize::try_from(len).map_or(true, |len| len < core::mem::size_of::<b::sockaddr_in>()) {
        return Err(EINVAL);
    }
    // SAFETY: By the function's contract, and it is long enough.
    let sin = unsafe { addr.cast::<b::sockaddr_in>().read_unaligned() };
    let name = SocketAddrV4::new(from_be32(sin.sin_addr.s_addr), u16::from_be(sin.sin_port));
    Ok((sin.sin_family, name))
}

/// Writes `name` as a `sockaddr_in` of `AF_INET`.
///
/// # Safety
///
/// `to` has room for a `sockaddr_in`, aligned.
pub(super) unsafe fn write(to: *mut b::sockaddr_in, name: SocketAddrV4) {
    // SAFETY: By the function's contract; all zero is a valid `sockaddr_in`.
    unsafe {
        to.write_bytes(0, 1);
        (*to).sin_family = AF_INET;
        (*to).sin_port = name.port().to_be();
        (*to).sin_addr.s_addr = to_be32(*name.ip());
    }
}

impl FourTuple {
    /// As the wire has it.
    pub(super) fn wire(&self) -> b::ox_tuple {
        b::ox_tuple {
            saddr: to_be32(*self.local.ip()),
            daddr: to_be32(*self.remote.ip()),
            sport: self.local.port().to_be(),
            dport: self.remote.port().to_be(),
        }
    }

    /// The inverse of [`FourTuple::wire`].
    pub(super) fn from_wire(wire: &b::ox_tuple) -> Self {
        let port = u16::from_be;
        Self {
            local: SocketAddrV4::new(from_be32(wire.saddr), port(wire.sport)),
            remote: SocketAddrV4::new(from_be32(wire.daddr), port(wire.dport)),
        }
    }
}
