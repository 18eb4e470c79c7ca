// SPDX-License-Identifier: GPL-2.0

//! bind(2), and how a socket comes by its port and gives it back.

use super::namespace::{local_ports, Net};
use super::ports::{Owner, Reserved, Role, Wish};
use super::sock_state::Bound;
use super::Oxtcp;
use crate::net::{random::random_u32, route, Locked, Reservation, Sock};
use crate::tcp::state::State;
use core::net::SocketAddrV4;
use kernel::prelude::*;
use kernel::sync::Arc;

/// How `sock` looks to the bind table with the address `addr`.
pub(super) fn owner(sock: &Sock<Oxtcp>, addr: core::net::Ipv4Addr, role: Role) -> Owner {
    Owner {
        addr: addr.to_bits(),
        dev: sock.bound_dev(),
        reuse: sock.reuse(),
        shared_by: sock.reuseport().then(|| sock.uid()),
        role,
    }
}

/// What `sock` wants of a port that it names, or has.
pub(super) fn wish(sock: &Sock<Oxtcp>) -> Wish {
    if sock.has_group() {
        Wish::Grouped
    } else {
        Wish::This
    }
}

/// bind(2), by the rules and with the errors of ip(7) and tcp(7): `EADDRNOTAVAIL`, `EACCES`,
/// `EINVAL` when it has an address already, `EADDRINUSE`, also when `AF_INET` has the port.
pub fn bind(sock: &Sock<Oxtcp>, addr: SocketAddrV4) -> Result {
    let mut locked = sock.lock();
    route::check_bind(&locked, *addr.ip())?;
    if addr.port() != 0 && !sock.may_bind_privileged(addr.port()) {
        return Err(EACCES);
    }
    if locked.state() != State::Closed || sock.local().port() != 0 {
        return Err(EINVAL);
    }
    if addr.port() == 0 && sock.binds_address_only() {
        locked.set_local(addr);
    } else {
        take_port(&mut locked, addr)?;
    }
    locked.bound = Bound {
        addr: !addr.ip().is_unspecified(),
        port: addr.port() != 0,
    };
    Ok(())
}

/// Gives a socket that listens or is bound without a port one of the namespace's choice.
pub(super) fn autobind(locked: &mut Locked<'_, Oxtcp>) -> Result {
    if locked.sock().local().port() != 0 {
        return Ok(());
    }
    let addr = SocketAddrV4::new(*locked.sock().local().ip(), 0);
    take_port(locked, addr)
}

fn take_port(locked: &mut Locked<'_, Oxtcp>, addr: SocketAddrV4) -> Result {
    let net = locked.net();
    let owner = owner(locked.sock(), *addr.ip(), Role::Bound);
    let dev = locked.sock().bound_dev();
    let _one_at_a_time = net.binding.lock();

    let port = match addr.port() {
        0 => match choose(locked.sock(), owner, dev, Wish::Free) {
            Err(EADDRINUSE) if net.autobind_reuses() => {
                choose(locked.sock(), owner, dev, Wish::Reused)?
            }
            port => port?,
        },
        port => claim(net, port, owner, dev, wish(locked.sock())).map(|()| port)?,
    };
    locked.set_local(SocketAddrV4::new(*addr.ip(), port));
    locked.owner = Some(owner);
    Ok(())
}

/// Some port, from a random one on (RFC 6056 3.3.1).
fn choose(sock: &Sock<Oxtcp>, owner: Owner, dev: i32, wish: Wish) -> Result<u16> {
    let net = sock.net();
    let (min, max) = ports_of(sock);
    let count = u32::from(max - min) + 1;
    let start = random_u32() % count;
    for i in 0..count {
        let port = min.wrapping_add((start.wrapping_add(i) % count) as u16);
        match claim(net, port, owner, dev, wish) {
            Ok(()) => return Ok(port),
            Err(e) if e == EADDRINUSE => {}
            Err(e) => return Err(e),
        }
    }
    Err(EADDRINUSE)
}

/// The ports to choose from for `sock`: where `IP_LOCAL_PORT_RANGE` sets no bound, that of the
/// namespace.
fn ports_of(sock: &Sock<Oxtcp>) -> (u16, u16) {
    match (sock.port_range(), local_ports(sock.net())) {
        ((0, 0), namespace) => namespace,
        ((0, max), (min, _)) => (min.min(max), max),
        ((min, 0), (_, max)) => (min, max.max(min)),
        ((min, max), _) => (min, max.max(min)),
    }
}

/// Takes `port` in our table and in `AF_INET`'s.
fn claim(net: &Net, port: u16, owner: Owner, dev: i32, wish: Wish) -> Result {
    let shared = {
        let mut table = net.bind_table.lock();
        let shared = table.reservation(port, &owner);
        table.claim(port, owner, wish)?;
        shared
    };
    net.ports().get(port);

    let reserved = match shared {
        Some(reservation) => Ok(reservation),
        None => reserve(net, port, owner, dev),
    };
    match reserved {
        Ok(reservation) => net.bind_table.lock().reserve(port, &owner, reservation),
        Err(e) => {
            give_back(net, port, &owner);
            return Err(e);
        }
    }
    Ok(())
}

fn reserve(net: &Net, port: u16, owner: Owner, dev: i32) -> Result<Arc<Reserved<Reservation>>> {
    let addr = SocketAddrV4::new(owner.addr.into(), port);
    let by = Reservation::new(net, addr, owner.reuse, dev)?;
    let addr = owner.addr;
    Ok(Arc::new(Reserved { addr, dev, by }, GFP_KERNEL)?)
}

/// One more owner of a port that is ours already.
pub(super) fn join(net: &Net, port: u16, owner: Owner) -> Result {
    net.bind_table.lock().join(port, owner)?;
    net.ports().get(port);
    Ok(())
}

/// What `old` is to `port` is `new` from now on, who is another.
pub(super) fn hand_over(net: &Net, port: u16, old: &Owner, new: Owner) -> Result {
    net.bind_table.lock().change(port, old, new)
}

/// The end of one owner's hold on `port`.
pub(super) fn give_back(net: &Net, port: u16, owner: &Owner) {
    let freed = net.bind_table.lock().release(port, owner);
    net.ports().put(port);
    drop(freed);
}

/// Gives the socket's port back, if it has one. The address stays to be seen, as in Linux, until
/// the socket is used again.
pub(super) fn release_port(locked: &mut Locked<'_, Oxtcp>) {
    let local = locked.sock().local();
    if local.port() == 0 {
        return;
    }
    return_port(locked);
    locked.set_local(SocketAddrV4::new(*local.ip(), 0));
}

/// The same, while the socket is still to be found by the port.
pub(super) fn return_port(locked: &mut Locked<'_, Oxtcp>) {
    // TIME-WAIT may have it now.
    if let Some(owner) = locked.owner.take() {
        give_back(locked.net(), locked.sock().local().port(), &owner);
    }
}

/// `SO_REUSEADDR` or the device may have changed since the port was taken; and the role changes:
/// tells the table.
pub(super) fn change_role(locked: &mut Locked<'_, Oxtcp>, role: Role) -> Result {
    let Some(old) = locked.owner else {
        return Ok(());
    };
    let new = owner(locked.sock(), *locked.sock().local().ip(), role);
    if new != old {
        locked
            .net()
            .bind_table
            .lock()
            .change(locked.sock().local().port(), &old, new)?;
        locked.owner = Some(new);
    }
    Ok(())
}
