// SPDX-License-Identifier: GPL-2.0

//! What a connection's events mean to its socket: queues, errors, wake-ups, tables.

use super::bind::{release_port, return_port};
use super::flush::send_bare;
use super::send::wake_writer;
use super::sock_state::{Conn, Life, Phase, SockState};
use super::{buffers, fast_connect, fast_open, now, orphans, statistics, time_wait, urgent, Oxtcp};
use crate::net::{addr, Counter, Locked, Shutdown};
use crate::tcp::events::{Error as TcpError, Events};
use crate::tcp::predict::Arrival;
use crate::tcp::state::State;
use crate::tcp::urgent::Urgent;
use core::net::{Ipv4Addr, SocketAddrV4};
use kernel::prelude::*;

/// Both directions.
pub(super) const BOTH: Shutdown = Shutdown {
    read: true,
    write: true,
};

/// Publishes for those without the lock how much there is to read or to accept.
pub(super) fn publish_readable(locked: &mut Locked<'_, Oxtcp>) {
    let count = match &locked.conn {
        Conn::Listening(listener) => listener.accept_queue.len() as u32,
        _ => locked.recv_buffer().readable(),
    };
    let mark = urgent::mark(locked);
    let urgent = matches!(mark, Some((_, Urgent::Here)));
    // An urgent byte that is not read in the stream is nothing that a read would give.
    let passed_over = matches!(mark, Some((0, Urgent::Here | Urgent::Read)));
    let hole = u32::from(passed_over && !locked.urginline());
    show_readable(locked, count.saturating_sub(hole));
    locked.sock().shared().set_urgent(urgent);
}

/// Publishes that `count` bytes, or connections, can be had.
#[inline]
pub(super) fn show_readable(locked: &Locked<'_, Oxtcp>, count: u32) {
    // As in Linux (`tcp_epollin_ready`) who waits for more is not to wait for what cannot come.
    let spent = locked.sock().rcvlowat() > 1
        && matches!(&locked.conn, Conn::Tcb(Life::Open, tcb) if tcb.is_window_spent());
    locked.sock().shared().set_readable(count, spent);
}

fn errno(error: TcpError) -> Error {
    match error {
        TcpError::Refused => ECONNREFUSED,
        TcpError::Reset => ECONNRESET,
        TcpError::BrokenPipe => EPIPE,
        TcpError::TimedOut => ETIMEDOUT,
    }
}

/// Acts on what happened at the connection.
pub(super) fn apply(locked: &mut Locked<'_, Oxtcp>, events: &Events) {
    if !events.is_plain() {
        return apply_all(locked, events);
    }
    if !events.statistics.is_empty() {
        statistics::count(locked.net(), events.statistics);
    }
    if events.acked > 0 {
        locked.send_buffer().release(events.acked);
        make_room(locked);
    }
    mirror_state(locked);
    if events.readable {
        publish_readable(locked);
        locked.wake_readable();
    }
}

/// Acts on what a predicted segment brought; `mark`: the peer has announced an urgent byte.
#[inline]
pub(super) fn apply_arrival(locked: &mut Locked<'_, Oxtcp>, arrival: &Arrival, mark: bool) {
    if arrival.delivered > 0 {
        locked
            .net()
            .count_by(Counter::Delivered, arrival.delivered.into());
    }
    if arrival.acked > 0 {
        locked.forget_soft_error();
        locked.send_buffer().release(arrival.acked);
        make_room(locked);
    }
    if arrival.readable {
        if mark {
            publish_readable(locked);
        } else {
            let readable = locked.recv_buffer().readable();
            show_readable(locked, readable);
        }
        locked.wake_readable();
    }
}

/// The peer has some of the text: a writer who waits for room hears of it.
fn make_room(locked: &mut Locked<'_, Oxtcp>) {
    if locked.is_room_wanted() {
        buffers::adjust_send(locked);
        wake_writer(locked);
    }
}

fn apply_all(locked: &mut Locked<'_, Oxtcp>, events: &Events) {
    let net = locked.net();
    if let Some(out) = &events.reply {
        send_bare(locked, out);
    }
    if events.timed_out {
        timed_out(locked);
    }
    statistics::count(net, events.statistics);
    if events.acked > 0 {
        locked.send_buffer().release(events.acked);
    }
    if events.connected {
        buffers::expand_send(locked);
        fast_open::settle(locked, false);
        buffers::start(locked);
    }
    mirror_state(locked);
    if events.connected {
        locked.set_connected(true);
        locked.wake_state_change(true);
    } else if events.acked > 0 {
        make_room(locked);
    }
    if let Some(news) = events.urgent {
        urgent::announced(locked, news);
    }
    if events.readable {
        publish_readable(locked);
        locked.wake_readable();
    }
    if events.peer_closed {
        locked.done = true;
        locked.add_shutdown(Shutdown {
            read: true,
            write: false,
        });
        if !locked.is_orphan() {
            locked.wake_state_change(false);
            locked.wake_fin(events.time_wait.is_some());
        }
    }
    if let Some(error) = events.error {
        fail(locked, error);
    }
    if let Some(entry) = events.time_wait {
        time_wait::enter(locked, entry);
    }
    if events.closed || events.time_wait.is_some() {
        finish(locked);
    }
}

/// The retransmission timer has expired: another way may be better.
fn timed_out(locked: &mut Locked<'_, Oxtcp>) {
    let net = locked.net();
    net.count(Counter::Timeouts);
    let state: &SockState = locked;
    let suspect =
        matches!(&state.conn, Conn::Tcb(Life::Open, tcb) if tcb.is_route_suspect(&state.config));
    if suspect {
        locked.route_suspect();
    }
    if locked.rehash() {
        net.count(Counter::TimeoutRehash);
    }
}

/// Shows the state of the connection to the socket core. TIME-WAIT is not the socket's any more.
pub(super) fn mirror_state(locked: &mut Locked<'_, Oxtcp>) {
    let state = locked.state();
    let shown = locked.sock().state();
    if state != State::TimeWait && state != State::Closed && state.number() != shown {
        locked.set_state(state.number());
        if state == State::FinWait2 && !locked.is_orphan() {
            // A close() that lingers waits for it.
            locked.wake_state_change(false);
        }
    }
}

fn fail(locked: &mut Locked<'_, Oxtcp>, error: TcpError) {
    let net = locked.net();
    let shown = locked.sock().state();
    fast_open::settle(locked, error == TcpError::Reset);
    let open = shown == State::Established.number() || shown == State::CloseWait.number();
    match error {
        TcpError::Refused => net.count(Counter::AttemptFails),
        TcpError::Reset | TcpError::BrokenPipe if open => net.count(Counter::EstabResets),
        TcpError::Reset | TcpError::BrokenPipe => {}
        TcpError::TimedOut => net.count(Counter::AbortOnTimeout),
    }
    let soft = locked.soft_error().filter(|_| error == TcpError::TimedOut);
    locked.set_error(soft.unwrap_or(errno(error)));
    locked.wake_error();
}

/// The connection is over for its socket: out of every table, nothing more to send. What was
/// received can still be read.
pub(super) fn finish(locked: &mut Locked<'_, Oxtcp>) {
    let net = locked.net();
    if locked.fast_open.is_some() {
        fast_connect::on_end(locked);
    }
    if locked.phase == Phase::Released {
        locked.conn = Conn::Closed;
    } else if let Conn::Tcb(life @ Life::Open, tcb) = &mut locked.conn {
        tcb.forget_sent(now);
        *life = Life::Ended;
    }
    locked.records.clear();
    orphans::end(locked);
    fast_open::settle(locked, false);
    fast_connect::forget(locked);
    locked.set_deadline(None);
    locked.send_buffer().purge();
    locked.add_shutdown(BOTH);
    if locked.sock().state() != State::Closed.number() {
        locked.set_state(State::Closed.number());
    }
    // A port that the user named stays with the socket until it is closed.
    let keeps_port = locked.bound.port && !locked.is_orphan();
    if !keeps_port {
        // While a namespace that dies finds the socket, and waits for it.
        return_port(locked);
    }
    net.ehash().remove(locked);
    if !keeps_port {
        release_port(locked);
    }
    if locked.is_orphan() {
        locked.recv_buffer().purge();
        publish_readable(locked);
    } else {
        locked.wake_state_change(false);
    }
}

/// Forgets the peer and what IP chose for it, so that the socket may be used anew: of our own end
/// what bind() said stays.
pub(super) fn dissolve(locked: &mut Locked<'_, Oxtcp>) {
    locked.recv_buffer().purge();
    locked.send_buffer().purge();
    publish_readable(locked);
    locked.forget_peek_offset();
    let local = locked.sock().local();
    let addr = if locked.bound.addr {
        *local.ip()
    } else {
        Ipv4Addr::UNSPECIFIED
    };
    locked.set_local(SocketAddrV4::new(addr, local.port()));
    locked.set_remote(addr::ANY);
    locked.forget_route();
    locked.clear_shutdown();
    locked.done = false;
    if let Conn::Tcb(Life::Ended, tcb) = &locked.conn {
        locked.last_mss = tcb.mss();
        locked.conn = Conn::Closed;
    }
}
