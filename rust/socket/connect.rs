// SPDX-License-Identifier: GPL-2.0

//! connect(2), and how an ephemeral port is chosen for it.

use super::apply::dissolve;
use super::bind::{autobind, give_back, owner};
use super::close::disconnect;
use super::flush::flush;
use super::listen::abandon;
use super::namespace::{local_ports, Net};
use super::ports::Role;
use super::sock_state::{BufferSize, Conn, Life, Phase, SockState};
use super::{fast_connect, identity, now, time_wait, Oxtcp};
use crate::net::route::Route;
use crate::net::{addr, random, Counter, Destination, FourTuple, Locked, Sock, Timeout};
use crate::tcp::seq::SeqNumber;
use crate::tcp::state::State;
use crate::tcp::Tcb;
use core::net::{Ipv4Addr, SocketAddrV4};
use kernel::prelude::*;
use kernel::sync::atomic::Relaxed;

/// Opens a connection, or goes on waiting for one that is being opened; `AF_UNSPEC` dissolves it.
///
/// Errors as connect(2) and tcp(7): `EISCONN`, `EALREADY`, `EINPROGRESS`, `EINTR`, `EINVAL`,
/// `EAFNOSUPPORT`, `EADDRNOTAVAIL`, `ENETUNREACH`, `ECONNREFUSED`, `ETIMEDOUT`, ...
pub fn connect(sock: &Sock<Oxtcp>, to: Destination, nonblock: bool) -> Result {
    let mut locked = sock.lock();
    if let Destination::Disconnect = to {
        locked.count_disconnect();
        let listener = disconnect(&mut locked);
        locked.wake_state_change(false);
        drop(locked);
        if let Some(listener) = listener {
            abandon(listener);
        }
        return Ok(());
    }
    let waiting = match locked.phase {
        Phase::Connected | Phase::Released => return Err(EISCONN),
        Phase::Connecting if fast_connect::is_deferred(&locked) => return Err(EISCONN),
        Phase::Connecting => EALREADY,
        Phase::Unconnected => {
            if locked.state() != State::Closed {
                return Err(EISCONN);
            }
            match to {
                Destination::Addr(remote) => prepare(&mut locked, remote)?,
                Destination::Bad(error) => return Err(error),
                Destination::Disconnect => {}
            }
            locked.phase = Phase::Connecting;
            if fast_connect::defer(&mut locked)? {
                return Ok(());
            }
            flush(&mut locked);
            EINPROGRESS
        }
    };

    let mut timeout = locked.snd_timeout(nonblock);
    wait_opened(&mut locked, &mut timeout, waiting)
}

/// Waits until the connection is open, or cannot be. Errors: `waiting` when it is still being opened
/// as the time is over; why it was not opened; `EPIPE` when another thread has dissolved it.
pub(super) fn wait_opened(
    locked: &mut Locked<'_, Oxtcp>,
    timeout: &mut Timeout,
    waiting: Error,
) -> Result {
    while matches!(locked.state(), State::SynSent | State::SynReceived) {
        if timeout.is_over() {
            return Err(waiting);
        }
        match locked.wait(timeout) {
            Err(e) if e == EAGAIN => return Err(waiting),
            other => other?,
        }
    }
    if locked.state() == State::Closed {
        locked.phase = Phase::Unconnected;
        let error = locked.take_error();
        locked.count_disconnect();
        dissolve(locked);
        return error.and(Err(ECONNABORTED));
    }
    locked.phase = Phase::Connected;
    Ok(())
}

/// CLOSED to SYN-SENT; the SYN is there to be sent.
pub(super) fn prepare(locked: &mut Locked<'_, Oxtcp>, remote: SocketAddrV4) -> Result {
    let sock = locked.sock();
    if sock.local().port() == 0 && sock.port_range() != (0, 0) {
        // A port of the user's own range is not one that `AF_INET` leaves to us: it is reserved.
        autobind(locked)?;
    }
    let bound = sock.local();
    // A port left from an earlier connection is not ours any more.
    let local = if locked.owner.is_some() {
        bound
    } else {
        SocketAddrV4::new(*bound.ip(), 0)
    };
    let route = Route::to(locked, local, remote)?;
    let source = route.source();
    let remote = SocketAddrV4::new(route.destination(), remote.port());

    locked.set_remote(remote);
    let floor = if local.port() == 0 {
        choose_port(locked, source, remote)
    } else {
        locked.set_source(source);
        take_tuple(locked, local.port(), source, remote)
    };
    let floor = floor.inspect_err(|_| {
        locked.set_remote(addr::ANY);
        locked.set_local(bound);
    })?;

    locked.clear_shutdown();
    let _ = locked.take_error();
    locked.forget_soft_error();
    let (advmss, ecn) = (route.advmss(), route.has_ecn());
    locked.route(route);
    begin(locked, floor, advmss, ecn);
    Ok(())
}

/// CLOSED to SYN-SENT, on a path where ECN is said to work or not. The ISS comes after `floor`.
fn begin(locked: &mut Locked<'_, Oxtcp>, floor: Option<SeqNumber>, advmss: u16, ecn: bool) {
    let net = locked.net();
    let now = now();
    let mut ids = identity::of(&locked.sock().tuple(), now);
    if let Some(floor) = floor.filter(|f| ids.iss.before(*f)) {
        ids.iss = floor;
    }
    let keepalive = locked.keepopen();
    let buffer = BufferSize::of(locked);
    let state: &mut SockState = locked;
    state.read_settings(net);
    state.config.keepalive = keepalive;
    state.set_path(advmss, &buffer);
    if ecn {
        state.config.ecn = state.config.ecn.with_capable_path();
    }
    state.done = false;
    let mut tcb = Tcb::connect(&state.config, ids, now);
    if state.chosen.delays_acks {
        tcb.set_quick_ack(&state.config, false);
    }
    state.conn = Conn::Tcb(Life::Open, tcb);
    locked.set_state(State::SynSent.number());
    net.count(Counter::ActiveOpens);
}

/// Enters the socket in the table of connections under the tuple it will have. If it takes that from
/// one in TIME-WAIT, its ISS has to come after the number that is returned.
fn take_tuple(
    locked: &mut Locked<'_, Oxtcp>,
    port: u16,
    source: Ipv4Addr,
    remote: SocketAddrV4,
) -> Result<Option<SeqNumber>> {
    let net = locked.net();
    let local = SocketAddrV4::new(source, port);
    let ends = net.ehash().ends(&FourTuple { local, remote });
    let floor = time_wait::may_use(net, &ends)?;
    locked.set_local(local);
    net.ehash().insert(locked, &ends)?;
    time_wait::forget(net, &ends);
    Ok(floor)
}

/// An ephemeral port that gives a tuple nobody has: from a start that only we can foresee for this
/// destination, and moves on with each connection (RFC 6056 3.3.3).
/// Returns what [`take_tuple`] does.
fn choose_port(
    locked: &mut Locked<'_, Oxtcp>,
    source: Ipv4Addr,
    remote: SocketAddrV4,
) -> Result<Option<SeqNumber>> {
    let net = locked.net();
    let (min, max) = local_ports(net);
    let count = u32::from(max - min) + 1;
    let tuple = FourTuple {
        local: SocketAddrV4::new(source, 0),
        remote,
    };
    let hash = random::tuple_hash(&tuple, identity::PORT_SALT) as u32;
    let start = hash.wrapping_add(net.next_port.fetch_add(1, Relaxed)) % count;
    let owner = owner(locked.sock(), source, Role::Ephemeral);

    for i in 0..count {
        let port = min.wrapping_add((start.wrapping_add(i) % count) as u16);
        if !claim_ephemeral(net, port, owner)? {
            continue;
        }
        match take_tuple(locked, port, source, remote) {
            Ok(floor) => {
                locked.owner = Some(owner);
                return Ok(floor);
            }
            Err(e) if e == EADDRNOTAVAIL => give_back(net, port, &owner),
            Err(e) => {
                give_back(net, port, &owner);
                return Err(e);
            }
        }
    }
    Err(EADDRNOTAVAIL)
}

fn claim_ephemeral(net: &Net, port: u16, owner: super::ports::Owner) -> Result<bool> {
    let claimed = net.bind_table.lock().claim_ephemeral(port, owner)?;
    if claimed {
        net.ports().get(port);
    }
    Ok(claimed)
}
