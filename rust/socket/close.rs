// SPDX-License-Identifier: GPL-2.0

//! shutdown(2), close(2), and the ends that others bring about.

use super::apply::{apply, dissolve, finish, mirror_state, BOTH};
use super::bind::release_port;
use super::flush::flush;
use super::listen;
use super::listener::Listener;
use super::namespace::Net;
use super::sock_state::{Conn, Life, Phase};
use super::{now, orphans, Oxtcp};
use crate::net::{Counter, Locked, Shutdown, Sock, Timeout};
use crate::tcp::state::State;
use kernel::prelude::*;

/// shutdown(2). Errors: `ENOTCONN`.
pub fn shutdown(sock: &Sock<Oxtcp>, how: Shutdown) -> Result {
    let mut locked = sock.lock();
    let result = match locked.state() {
        State::Closed => {
            // Those who poll shall see it all the same, as in Linux.
            locked.add_shutdown(how);
            Err(ENOTCONN)
        }
        State::Listen if !how.read => return Ok(()),
        State::Listen | State::SynSent => {
            let listener = disconnect(&mut locked);
            locked.wake_state_change(false);
            drop(locked);
            if let Some(listener) = listener {
                listen::abandon(listener);
            }
            return Ok(());
        }
        _ => {
            locked.add_shutdown(how);
            if let (true, Conn::Tcb(Life::Open, tcb)) = (how.read, &mut locked.conn) {
                tcb.shutdown_read();
            }
            if how.write {
                shutdown_write(&mut locked);
            }
            Ok(())
        }
    };
    locked.wake_state_change(false);
    result
}

fn shutdown_write(locked: &mut Locked<'_, Oxtcp>) {
    if let Conn::Tcb(Life::Open, tcb) = &mut locked.conn {
        let events = tcb.shutdown_write();
        apply(locked, &events);
        flush(locked);
    }
}

/// Whatever the socket was, it is closed and may be used again: `connect(AF_UNSPEC)`, and
/// shutdown(2) of a socket that listens or connects. A listener's queues are given back, to be
/// ended by [`listen::abandon`] once the lock is released.
pub(super) fn disconnect(locked: &mut Locked<'_, Oxtcp>) -> Option<KBox<Listener>> {
    let listener = listen::stop(locked);
    if listener.is_some() {
        locked.set_state(State::Closed.number());
        if !locked.bound.port {
            release_port(locked);
        }
    } else if matches!(locked.conn, Conn::Tcb(Life::Open, _)) {
        abort(locked);
        locked.set_error(ECONNRESET);
    }
    dissolve(locked);
    locked.phase = Phase::Unconnected;
    listener
}

/// Ends the connection with a RST where the peer knows of it.
pub(super) fn abort(locked: &mut Locked<'_, Oxtcp>) {
    if let Conn::Tcb(Life::Open, tcb) = &mut locked.conn {
        let events = tcb.abort(now());
        apply(locked, &events);
    }
}

/// The namespace dies, or an administrator ends the connection.
pub fn destroy(locked: &mut Locked<'_, Oxtcp>, error: Error) {
    locked.set_error(error);
    abort(locked);
    if locked.is_closed() {
        finish(locked);
    }
    locked.wake_error();
}

/// An administrator ends the socket, whatever it is.
pub fn end(sock: &Sock<Oxtcp>, error: Error) {
    let mut locked = sock.lock();
    let listener = listen::stop(&mut locked);
    destroy(&mut locked, error);
    drop(locked);
    if let Some(listener) = listener {
        listen::abandon(listener);
    }
}

/// The last file of the socket was closed (RFC 9293 3.10.4): text unread means a RST, `SO_LINGER`
/// with time 0 too; else a FIN, and the connection goes on without a user until it ends.
pub fn release(sock: &Sock<Oxtcp>) {
    let mut locked = sock.lock();
    let net = locked.net();
    locked.phase = Phase::Released;
    locked.add_shutdown(BOTH);
    let listener = listen::stop(&mut locked);

    let unread = locked.recv_buffer().readable() > 0;
    locked.recv_buffer().purge();
    let linger = locked.linger();
    let open = matches!(locked.conn, Conn::Tcb(Life::Open, _));
    if unread && open {
        net.count(Counter::AbortOnClose);
        abort(&mut locked);
    } else if linger.is_some_and(Timeout::is_over) {
        if open {
            net.count(Counter::AbortOnData);
        }
        abort(&mut locked);
    } else {
        close(&mut locked, net);
        if let Some(timeout) = linger {
            wait_closed(&mut locked, timeout);
        }
    }

    locked.orphan();
    orphans::begin(&mut locked);
    if locked.is_closed() {
        // Its connection, if it had one, has ended before.
        locked.set_state(State::Closed.number());
        release_port(&mut locked);
    }
    drop(locked);
    if let Some(listener) = listener {
        listen::abandon(listener);
    }
}

/// CLOSE.
fn close(locked: &mut Locked<'_, Oxtcp>, net: &Net) {
    locked.read_closing_settings(net);
    let state: &mut super::sock_state::SockState = locked;
    if let Conn::Tcb(Life::Open, tcb) = &mut state.conn {
        let events = tcb.close(&state.config, false, now());
        if events.closed && events.reply.is_some() {
            net.count(Counter::AbortOnLinger);
        }
        mirror_state(locked);
        apply(locked, &events);
        flush(locked);
    }
}

/// `SO_LINGER`: waits until the peer has everything.
fn wait_closed(locked: &mut Locked<'_, Oxtcp>, mut timeout: Timeout) {
    while matches!(
        locked.state(),
        State::FinWait1 | State::Closing | State::LastAck
    ) {
        if locked.wait(&mut timeout).is_err() {
            return;
        }
    }
}
