// SPDX-License-Identifier: GPL-2.0

//! The table of sockets, for `/proc/net/oxtcp` and sock_diag: listeners with their half-open
//! connections, connections, TIME-WAIT.
//!
//! A position names a section, a place in it, and where in that place to go on: by a key, not by a
//! count, so that what is shown costs the same wherever it stands.

use super::info::tcp_info;
use super::namespace::Net;
use super::sock_state::{Conn, Life};
use super::time_wait_table::{Key, SHARDS};
use super::{listener, now, Oxtcp};
use crate::net::family::Whose;
use crate::net::{addr, Entry, EntryTimer, FourTuple, Sock};
use crate::tcp::state::State;
use crate::tcp::time::Instant;
use crate::tcp::timer::TimerKind;
use core::net::SocketAddrV4;

/// Where a dump goes on.
#[derive(Clone, Copy)]
struct Position {
    section: u64,
    place: u64,
    /// Of the first entry that is still to be shown.
    key: u128,
}

const LISTENERS: u64 = 0;
const CONNECTIONS: u64 = 1;
const TIME_WAIT: u64 = 2;
const SECTION_BITS: u32 = 8;
const PLACE_BITS: u32 = 24;

/// Entries that are looked up under a lock at a time.
const BATCH: usize = 16;

impl Position {
    /// 96 bits of key at most, and the rest in 32.
    fn new(from: [u64; 2]) -> Self {
        let [high, low] = from;
        Self {
            section: high >> (u64::BITS - SECTION_BITS),
            place: (high >> 32) & ((1 << PLACE_BITS) - 1),
            key: u128::from(high & 0xffff_ffff) << 64 | u128::from(low),
        }
    }

    fn words(self) -> [u64; 2] {
        let section = self.section << (u64::BITS - SECTION_BITS);
        let high = (self.key >> 64) as u64 & 0xffff_ffff;
        [section | self.place << 32 | high, self.key as u64]
    }

    fn of(section: u64, place: u64, key: u128) -> [u64; 2] {
        Self {
            section,
            place,
            key,
        }
        .words()
    }
}

type Emit<'a> = dyn FnMut(&Entry<'_, Oxtcp>, [u64; 2]) -> bool + 'a;

/// Shows the sockets from position `from` on, until `emit` says that it has enough.
pub fn dump(net: &Net, from: [u64; 2], emit: &mut Emit<'_>) {
    let at = Position::new(from);
    let start = |section| {
        if at.section == section {
            (at.place, at.key)
        } else {
            (0, 0)
        }
    };
    if at.section == LISTENERS {
        let (place, key) = start(LISTENERS);
        if !listeners(net, place, key, emit) {
            return;
        }
    }
    if at.section <= CONNECTIONS {
        let (place, key) = start(CONNECTIONS);
        if !connections(net, place, key, emit) {
            return;
        }
    }
    let (place, key) = start(TIME_WAIT);
    ending(net, place, key, emit);
}

fn ms_until(at: Instant, now: Instant) -> u32 {
    u32::try_from(at.since(now).ms()).unwrap_or(u32::MAX)
}

/// Key 0 is the listener itself, `n + 1` its half-open connection `n`.
fn listeners(net: &Net, mut place: u64, mut key: u128, emit: &mut Emit<'_>) -> bool {
    loop {
        let listener = net.bind_table.lock().nth_listener(place as usize);
        let Some(sock) = listener else { return true };
        if key == 0 {
            if !socket(&sock, Position::of(LISTENERS, place, 1), emit) {
                return false;
            }
            key = 1;
        }
        if !half_open(&sock, place, key, emit) {
            return false;
        }
        place = place.saturating_add(1);
        key = 0;
    }
}

/// Shows the half-open connections of a listener.
fn half_open(sock: &Sock<Oxtcp>, place: u64, key: u128, emit: &mut Emit<'_>) -> bool {
    let mut from = Some(listener::Key::from_number(key.saturating_sub(1)));
    while let Some(first) = from {
        let mut batch = [None; BATCH];
        from = match &sock.lock().conn {
            Conn::Listening(listener) => listener.show(&first, &mut batch),
            _ => None,
        };
        for (key, half) in batch.iter().flatten() {
            let tuple = key.tuple(sock.local().port());
            let entry = small_entry(State::SynReceived, tuple, half.retries(), |now| {
                EntryTimer::Keepalive(ms_until(half.deadline(), now))
            });
            let next = Position::of(LISTENERS, place, key.number() + 2);
            if !emit(&entry, next) {
                return false;
            }
        }
    }
    true
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

fn connections(net: &Net, place: u64, key: u128, emit: &mut Emit<'_>) -> bool {
    let table = net.ehash();
    let mut next = place as usize;
    while let Some(bucket) = table.next_used(next) {
        let skip = if bucket == place as usize {
            key as usize
        } else {
            0
        };
        let mut show = |sock: &Sock<Oxtcp>, index: usize| {
            socket(
                sock,
                Position::of(
                    CONNECTIONS,
                    bucket as u64,
                    (index as u128).saturating_add(1),
                ),
                emit,
            )
        };
        if !table.for_each_in(bucket, skip, &mut show) {
            return false;
        }
        next = bucket.saturating_add(1);
    }
    true
}

/// Shows one socket.
fn socket(sock: &Sock<Oxtcp>, next: [u64; 2], emit: &mut Emit<'_>) -> bool {
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
        Conn::Closed | Conn::Tcb(Life::Ended, _) => return true,
        Conn::Listening(listener) => {
            entry.tuple.remote = addr::ANY;
            entry.rx_queue = listener.accept_queue.len() as u32;
            entry.tx_queue = listener.backlog;
            entry.syn_queue = listener.syn_queue_len();
        }
        Conn::Tcb(Life::Open, tcb) => {
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
    locked.release_idle();
    emit(&entry, next)
}

fn ending(net: &Net, place: u64, mut key: u128, emit: &mut Emit<'_>) {
    for shelf in place as usize..SHARDS {
        let mut from = Some(Key::from_number(core::mem::take(&mut key)));
        while let Some(first) = from {
            let mut batch = [None; BATCH];
            from = match net.time_wait.nth(shelf) {
                Some(shelf) => shelf.show(&first, &mut batch),
                None => None,
            };
            for (key, deadline) in batch.iter().flatten() {
                let entry = small_entry(State::TimeWait, key.tuple(), 0, |now| {
                    EntryTimer::TimeWait(ms_until(*deadline, now))
                });
                let next = Position::of(TIME_WAIT, shelf as u64, key.number() + 1);
                if !emit(&entry, next) {
                    return;
                }
            }
        }
    }
}

/// getsockname(2), getpeername(2), the address of accept(2). Errors: `ENOTCONN`.
pub fn name(sock: &Sock<Oxtcp>, whose: Whose) -> kernel::error::Result<SocketAddrV4> {
    if whose == Whose::Ours {
        return Ok(sock.shown_local());
    }
    let locked = sock.lock();
    // A connection that was reset before it was accepted still had a peer.
    let connected = whose == Whose::Accepted
        || !matches!(
            locked.state(),
            State::Closed | State::SynSent | State::Listen
        );
    if connected && sock.remote().port() != 0 {
        Ok(sock.remote())
    } else {
        Err(kernel::error::code::ENOTCONN)
    }
}
