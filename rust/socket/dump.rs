// SPDX-License-Identifier: GPL-2.0

//! The table of sockets, for `/proc/net/oxtcp` and sock_diag: listeners with their half-open
//! connections, connections, TIME-WAIT.
//!
//! A position names a section, a place in it, and a place within that.

use super::info::tcp_info;
use super::namespace::Net;
use super::sock_state::Conn;
use super::{now, Oxtcp};
use crate::net::{addr, Entry, EntryTimer, FourTuple, Sock};
use crate::tcp::state::State;
use crate::tcp::time::Instant;
use crate::tcp::timer::TimerKind;
use core::net::SocketAddrV4;
use kernel::sync::aref::ARef;

#[derive(Clone, Copy)]
struct Position {
    section: u8,
    place: u64,
    sub: u64,
}

const LISTENERS: u8 = 0;
const CONNECTIONS: u8 = 1;
const TIME_WAIT: u8 = 2;
const SUB_BITS: u32 = 24;
const PLACE_BITS: u32 = 32;

impl Position {
    fn new(from: u64) -> Self {
        Self {
            section: (from >> (SUB_BITS + PLACE_BITS)) as u8,
            place: (from >> SUB_BITS) & ((1 << PLACE_BITS) - 1),
            sub: from & ((1 << SUB_BITS) - 1),
        }
    }

    fn number(section: u8, place: u64, sub: u64) -> u64 {
        (u64::from(section) << (SUB_BITS + PLACE_BITS)) | (place << SUB_BITS) | sub
    }
}

type Emit<'a> = dyn FnMut(&Entry<'_, Oxtcp>, u64) -> bool + 'a;

/// Shows the sockets from position `from` on, until `emit` says that it has enough.
pub fn dump(net: &Net, from: u64, emit: &mut Emit<'_>) {
    let at = Position::new(from);
    let start = |section| {
        if at.section == section {
            (at.place, at.sub)
        } else {
            (0, 0)
        }
    };
    if at.section == LISTENERS {
        let (place, sub) = start(LISTENERS);
        if !listeners(net, place, sub, emit) {
            return;
        }
    }
    if at.section <= CONNECTIONS {
        let (place, sub) = start(CONNECTIONS);
        if !connections(net, place, sub, emit) {
            return;
        }
    }
    let (place, _) = start(TIME_WAIT);
    time_wait(net, place, emit);
}

fn ms_until(at: Instant, now: Instant) -> u32 {
    u32::try_from(at.since(now).ms()).unwrap_or(u32::MAX)
}

/// Sub-position 0 is the listener itself, n its n-th half-open connection.
fn listeners(net: &Net, mut place: u64, mut sub: u64, emit: &mut Emit<'_>) -> bool {
    loop {
        let listener = net.bind_table.lock().nth_listener(place as usize);
        let Some(sock) = listener else { return true };
        if sub == 0 {
            let next = Position::number(LISTENERS, place, 1);
            if !socket(&sock, next, emit) {
                return false;
            }
            sub = 1;
        }
        while let Some((tuple, retries, deadline)) = half_open(&sock, sub as usize - 1) {
            sub = sub.saturating_add(1);
            let entry = small_entry(State::SynReceived, tuple, retries, |now| {
                EntryTimer::Keepalive(ms_until(deadline, now))
            });
            if !emit(&entry, Position::number(LISTENERS, place, sub)) {
                return false;
            }
        }
        place = place.saturating_add(1);
        sub = 0;
    }
}

fn half_open(sock: &ARef<Sock<Oxtcp>>, n: usize) -> Option<(FourTuple, u8, Instant)> {
    let locked = sock.lock();
    let Conn::Listening(listener) = &locked.conn else {
        return None;
    };
    let (key, entry) = listener.nth(n)?;
    Some((
        key.tuple(sock.local().port()),
        entry.retries(),
        entry.deadline(),
    ))
}

fn small_entry<'a>(
    state: State,
    tuple: FourTuple,
    retransmits: u8,
    timer: impl FnOnce(Instant) -> EntryTimer,
) -> Entry<'a, Oxtcp> {
    Entry {
        state: state.number(),
        tuple,
        rx_queue: 0,
        tx_queue: 0,
        syn_queue: 0,
        timer: timer(now()),
        retransmits,
        sock: None,
        info: None,
        congestion: None,
    }
}

fn connections(net: &Net, place: u64, sub: u64, emit: &mut Emit<'_>) -> bool {
    let table = net.ehash();
    let mut skip = sub as usize;
    for bucket in place as usize..table.buckets() {
        let mut show = |sock: &Sock<Oxtcp>, index: usize| {
            socket(
                sock,
                Position::number(CONNECTIONS, bucket as u64, (index as u64).saturating_add(1)),
                emit,
            )
        };
        if !table.for_each_in(bucket, skip, &mut show) {
            return false;
        }
        skip = 0;
    }
    true
}

/// Shows one socket.
fn socket(sock: &Sock<Oxtcp>, next: u64, emit: &mut Emit<'_>) -> bool {
    let now = now();
    let mut locked = sock.lock();
    let info = tcp_info(&locked);
    let readable = locked.recv_buffer().readable();
    let tuple = sock.tuple();
    let mut entry = Entry {
        state: locked.state().number(),
        tuple,
        rx_queue: readable,
        tx_queue: 0,
        syn_queue: 0,
        timer: EntryTimer::None,
        retransmits: 0,
        sock: Some(sock),
        info: Some(&info),
        congestion: Some(locked.congestion().name()),
    };
    match &locked.conn {
        Conn::Closed => return true,
        Conn::Listening(listener) => {
            entry.tuple.remote = addr::ANY;
            entry.rx_queue = listener.accept_queue.len() as u32;
            entry.tx_queue = listener.backlog;
            entry.syn_queue = listener.syn_queue_len();
        }
        Conn::Open(tcb) => {
            entry.tx_queue = tcb.unacked();
            entry.retransmits = tcb.retransmits().max(tcb.probes());
            if let Some((kind, at)) = tcb.timer() {
                let ms = ms_until(at, now);
                entry.timer = match kind {
                    TimerKind::Retransmit => EntryTimer::Retransmit(ms),
                    TimerKind::Persist => EntryTimer::Probe(ms),
                    TimerKind::Idle => EntryTimer::Keepalive(ms),
                };
            }
        }
    }
    drop(locked);
    emit(&entry, next)
}

fn time_wait(net: &Net, mut place: u64, emit: &mut Emit<'_>) {
    const NOBODY: FourTuple = FourTuple {
        local: addr::ANY,
        remote: addr::ANY,
    };
    loop {
        let mut batch: [(FourTuple, Instant); 16] = [(NOBODY, Instant::from_us(0)); 16];
        let mut free = batch.iter_mut();
        let count = net
            .time_wait
            .lock()
            .show(place as usize, &mut |_, tuple, deadline| {
                free.next().map(|slot| *slot = (tuple, deadline)).is_some()
            });
        for (tuple, deadline) in batch.iter().take(count) {
            place = place.saturating_add(1);
            let entry = small_entry(State::TimeWait, *tuple, 0, |now| {
                EntryTimer::TimeWait(ms_until(*deadline, now))
            });
            if !emit(&entry, Position::number(TIME_WAIT, place, 0)) {
                return;
            }
        }
        if count == 0 {
            return;
        }
    }
}

/// getsockname(2), getpeername(2). Errors: `ENOTCONN`.
pub fn name(sock: &Sock<Oxtcp>, peer: bool) -> kernel::error::Result<SocketAddrV4> {
    if !peer {
        return Ok(sock.local());
    }
    let locked = sock.lock();
    let connected = !matches!(
        locked.state(),
        State::Closed | State::SynSent | State::Listen
    );
    if connected && sock.remote().port() != 0 {
        Ok(sock.remote())
    } else {
        Err(kernel::error::code::ENOTCONN)
    }
}
