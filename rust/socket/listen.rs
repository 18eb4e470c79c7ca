// SPDX-License-Identifier: GPL-2.0

//! listen(2), accept(2), and segments at a listener: from the SYN to the accept queue.

use super::apply::{apply, publish_readable};
use super::bind::{autobind, change_role, join, owner, wish};
use super::flush::{flush_at, reply_by, reply_to};
use super::input::on_candidate;
use super::listener::{HalfOpen, Key, Listener};
use super::namespace::Net;
use super::ports::Role;
use super::receive_queue::Queues;
use super::sock_state::{Conn, Life, Phase, SockState};
use super::syn::{open, terms};
use super::{buffers, cookies, fast_open, now, time_wait, Oxtcp};
use crate::net::route::{BackRoute, Route};
use crate::net::{trace, Counter, DropReason, Ends, FourTuple, Locked, RxSkb, Sock, Way};
use crate::tcp::config::{Config, Terms};
use crate::tcp::events::Events;
use crate::tcp::predict::Candidate;
use crate::tcp::segment::{Segment, Transmit};
use crate::tcp::seq::SeqNumber;
use crate::tcp::state::State;
use crate::tcp::syn_received::{on_listen, ListenVerdict, SynReceived, TimerVerdict, Verdict};
use crate::tcp::time::Instant;
use kernel::prelude::*;
use kernel::sync::aref::ARef;

/// Longest accept queue, whatever `somaxconn` allows: its places are allocated in advance.
const MAX_BACKLOG: u32 = 65_535;

/// Makes the socket a listener, or changes the backlog of one.
///
/// Errors as listen(2): `EINVAL` when it is connected, `EADDRINUSE`.
pub fn listen(sock: &Sock<Oxtcp>, backlog: u32) -> Result {
    let backlog = backlog.min(MAX_BACKLOG);
    let mut locked = sock.lock();
    if locked.phase != Phase::Unconnected {
        return Err(EINVAL);
    }
    match &mut locked.conn {
        Conn::Tcb(Life::Open, _) => return Err(EINVAL),
        Conn::Listening(listener) => {
            listener.accept_queue.resize(backlog)?;
            listener.backlog = backlog;
            return Ok(());
        }
        Conn::Closed | Conn::Tcb(Life::Ended, _) => {}
    }
    let mut listener = KBox::new(Listener::new(backlog)?, GFP_KERNEL)?;
    fast_open::on_listen(&mut locked, backlog)?;
    autobind(&mut locked)?;
    let net = locked.net();
    let old = locked.owner.ok_or(EINVAL)?;
    let new = owner(sock, *sock.local().ip(), Role::Listening);
    {
        let port = sock.local().port();
        let mut table = net.bind_table.lock();
        let wish = wish(sock);
        table.may_listen(port, &old, (&new, wish))?;
        let was_in_group = sock.has_group();
        if new.shared_by.is_some() {
            let is_any = sock.local().ip().is_unspecified();
            sock.join_group(table.group_of(port, &new).as_deref(), is_any)?;
        }
        let listens = table.listen(port, &old, new, sock.into());
        if listens.is_err() && !was_in_group {
            sock.leave_group();
        }
        listens?;
    }
    locked.owner = Some(new);
    listener.grouped = new.shared_by.is_some();
    let keepalive = locked.keepopen();
    locked.read_settings(net);
    locked.config.keepalive = keepalive;
    locked.conn = Conn::Listening(listener);
    locked.set_state(State::Listen.number());
    Ok(())
}

/// Ends listening: new segments find no listener any more. What was queued is given back, to be
/// ended by [`abandon`] once no lock is held.
pub(super) fn stop(locked: &mut Locked<'_, Oxtcp>) -> Option<KBox<Listener>> {
    if !matches!(locked.conn, Conn::Listening(_)) {
        return None;
    }
    let sock = locked.sock();
    let handle = locked
        .net()
        .bind_table
        .lock()
        .unlisten(sock.local().port(), |l| l.same(sock));
    drop(handle);
    sock.leave_group();
    // Without memory the table keeps calling it a listener until the port is released.
    let _ = change_role(locked, Role::Bound);
    locked.set_deadline(None);
    sock.shared().set_readable(0, false);
    match core::mem::replace(&mut locked.conn, Conn::Closed) {
        Conn::Listening(listener) => {
            for key in listener.keys() {
                let tuple = key.tuple(sock.local().port());
                forget_holder(locked.net(), listener.grouped, sock, &tuple);
            }
            Some(listener)
        }
        _ => None,
    }
}

/// The bind table is to know of the half-open connection between the ends of `tuple`, of a listener
/// that is `grouped`.
///
/// # Errors
///
/// `EEXIST` when another of the group has begun it; `ENOMEM`.
pub(super) fn note_holder(
    net: &Net,
    grouped: bool,
    sock: &Sock<Oxtcp>,
    tuple: &FourTuple,
) -> Result {
    // Apart, so that who listens alone pays for the question and no more.
    #[cold]
    #[inline(never)]
    fn note(net: &Net, sock: &Sock<Oxtcp>, tuple: &FourTuple) -> Result {
        net.bind_table.lock().holders.add(tuple, sock.id())
    }
    if grouped {
        return note(net, sock, tuple);
    }
    Ok(())
}

/// The end of [`note_holder`].
pub(super) fn forget_holder(net: &Net, grouped: bool, sock: &Sock<Oxtcp>, tuple: &FourTuple) {
    #[cold]
    #[inline(never)]
    fn forget(net: &Net, sock: &Sock<Oxtcp>, tuple: &FourTuple) {
        net.bind_table.lock().holders.remove(tuple, sock.id());
    }
    if grouped {
        forget(net, sock, tuple);
    }
}

/// Resets the connections that nobody has accepted (RFC 9293 3.10.4 for a LISTEN that is closed).
pub(super) fn abandon(mut listener: KBox<Listener>) {
    while let Some(child) = listener.accept_queue.pop() {
        let mut locked = child.lock();
        super::close::abort(&mut locked);
        locked.orphan();
    }
}

/// The oldest connection in the accept queue.
///
/// Errors as accept(2): `EINVAL` when it does not listen, `EAGAIN`, `EINTR`.
pub fn accept(sock: &Sock<Oxtcp>, nonblock: bool) -> Result<ARef<Sock<Oxtcp>>> {
    let mut locked = sock.lock();
    let mut timeout = locked.rcv_timeout(nonblock);
    loop {
        let Conn::Listening(listener) = &mut locked.conn else {
            return Err(EINVAL);
        };
        if let Some(child) = listener.accept_queue.pop() {
            publish_readable(&mut locked);
            return Ok(child);
        }
        locked.wait_exclusive(&mut timeout)?;
    }
}

/// What a listener did with a segment.
pub(super) enum Outcome {
    /// It is dealt with.
    Taken,
    /// It belongs to a connection that came to be while the segment waited for the lock.
    Elsewhere(RxSkb),
    /// It belongs to a connection of `AF_INET`, which had the port before.
    Inet(RxSkb),
}

/// A segment at a listener. `floor`: the ISS of a new connection must come after this number, since
/// it takes the place of one in TIME-WAIT, which ends here and not before: until then the number is
/// known there alone.
pub(super) fn on_segment(
    locked: &mut Locked<'_, Oxtcp>,
    skb: RxSkb,
    seg: &Segment,
    floor: Option<SeqNumber>,
    ends: &Ends,
) -> Outcome {
    let net = locked.net();
    let tuple = ends.tuple();
    let key = Key::new(&tuple);
    let Conn::Listening(listener) = &mut locked.conn else {
        skb.discard(net, DropReason::NoSocket);
        return Outcome::Taken;
    };
    let Some(entry) = listener.get(&key).copied() else {
        if net.ehash().contains(ends) {
            return Outcome::Elsewhere(skb);
        }
        return on_first(locked, skb, seg, floor, ends);
    };

    let now = now();
    let state: &mut SockState = locked;
    let Conn::Listening(listener) = &state.conn else {
        return Outcome::Taken;
    };
    let usual = entry.is_completed_by(seg)
        && !entry.is_deferred(&state.config, seg)
        && !listener.accept_queue.is_full();
    if usual {
        let terms = terms(&state.config, entry.mss(), entry.timestamps());
        if complete(locked, skb, seg, (&entry, None), ends, &terms, now).is_err() {
            net.count(Counter::ListenDrops);
        }
    } else {
        if floor.is_some() {
            // The entry is older than what is in TIME-WAIT, and would get nothing beside it.
            time_wait::forget(net, ends);
        }
        on_entry(locked, skb, seg, entry, ends, now);
    }
    Outcome::Taken
}

/// A segment for a half-open connection, of which `entry` is a copy.
#[inline(never)]
fn on_entry(
    locked: &mut Locked<'_, Oxtcp>,
    skb: RxSkb,
    seg: &Segment,
    entry: SynReceived,
    ends: &Ends,
    now: Instant,
) {
    let net = locked.net();
    let tuple = &ends.tuple();
    let key = Key::new(tuple);
    let sock = locked.sock();
    let way = Way::of(sock);
    let state: &mut SockState = locked;
    let terms = terms(&state.config, entry.mss(), entry.timestamps());
    let config = state.config.on(&terms);
    let verdict = entry.on_segment(&config, seg, now);
    let Conn::Listening(listener) = &mut state.conn else {
        return;
    };
    if let Verdict::SynAck | Verdict::Reply(_) = verdict {
        let entry = listener.get_mut(&key);
        if !entry.is_some_and(|entry| entry.may_answer(&config, &verdict, now)) {
            net.count(Counter::AckSkippedSynRecv);
            return skb.discard(net, DropReason::BadFlags);
        }
    }
    match verdict {
        Verdict::Ignore => skb.discard(net, DropReason::BadFlags),
        Verdict::SynAck => {
            if let Some(entry) = listener.get_mut(&key) {
                entry.on_syn_again(seg);
                let out = entry.syn_ack(&config, now);
                reply_to(net, tuple, way, None, &out, Some(skb));
            }
        }
        Verdict::Reply(out) => reply_by(net, &skb, way, &out),
        Verdict::Remove => {
            net.count(Counter::EmbryonicRsts);
            give_up(sock, listener, &key, tuple);
        }
        Verdict::Complete if entry.is_deferred(&config, seg) => {
            if let Some(entry) = listener.get_mut(&key) {
                entry.note_acked();
            }
            net.count(Counter::DeferAcceptDrop);
            skb.discard(net, DropReason::AcceptQueueFull);
        }
        Verdict::Complete if listener.accept_queue.is_full() => {
            net.count(Counter::ListenOverflows);
            if net.settings().abort_on_overflow() {
                give_up(sock, listener, &key, tuple);
                if let Some(reset) = Transmit::reset_for(seg) {
                    reply_by(net, &skb, way, &reset);
                }
            }
            skb.discard(net, DropReason::AcceptQueueFull);
        }
        Verdict::Complete => {
            if complete(locked, skb, seg, (&entry, None), ends, &terms, now).is_err() {
                net.count(Counter::ListenDrops);
            }
        }
    }
}

/// A half-open connection ends.
fn give_up(sock: &Sock<Oxtcp>, listener: &mut Listener, key: &Key, tuple: &FourTuple) {
    let net = sock.net();
    listener.remove(key);
    forget_holder(net, listener.grouped, sock, tuple);
    opening_failed(net, tuple);
}

fn opening_failed(net: &Net, tuple: &FourTuple) {
    net.count(Counter::AttemptFails);
    trace::set_state(
        net,
        tuple,
        State::SynReceived.number(),
        State::Closed.number(),
    );
}

/// An ICMP error quotes the SYN-ACK, with the number `seq`, of a half-open connection that `locked`
/// listens for. A fatal one ends it without a word: nobody has asked for it yet (`tcp_req_err`).
pub(super) fn on_icmp(
    locked: &mut Locked<'_, Oxtcp>,
    tuple: &FourTuple,
    seq: SeqNumber,
    fatal: bool,
) {
    let (net, sock) = (locked.net(), locked.sock());
    let key = Key::new(tuple);
    let Conn::Listening(listener) = &mut locked.conn else {
        return;
    };
    match listener.get(&key) {
        None => {}
        Some(entry) if entry.iss() != seq => net.count(Counter::OutOfWindowIcmps),
        Some(_) if fatal => {
            give_up(sock, listener, &key, tuple);
            net.count(Counter::ListenDrops);
        }
        Some(_) => {}
    }
}

/// A segment of no connection yet.
fn on_first(
    locked: &mut Locked<'_, Oxtcp>,
    skb: RxSkb,
    seg: &Segment,
    floor: Option<SeqNumber>,
    ends: &Ends,
) -> Outcome {
    let net = locked.net();
    // Asked last: hardly anything comes to a listener that is not for it.
    let is_inets = |skb: &RxSkb| net.inet_connects(&ends.tuple(), skb.iif());
    match on_listen(seg) {
        ListenVerdict::Ignore if is_inets(&skb) => return Outcome::Inet(skb),
        ListenVerdict::Ignore => skb.discard(net, DropReason::BadFlags),
        ListenVerdict::Reset(out) => match cookies::check(locked, &skb, seg) {
            Some(cookie) => from_cookie(locked, skb, seg, cookie, ends),
            None if is_inets(&skb) => return Outcome::Inet(skb),
            None => reply_by(net, &skb, Way::of(locked.sock()), &out),
        },
        ListenVerdict::Open if !skb.to_this_host() => skb.discard(net, DropReason::BadFlags),
        ListenVerdict::Open => open(locked, skb, seg, floor, ends),
    }
    Outcome::Taken
}

/// Puts a connection at the end of the accept queue, which has room.
pub(super) fn queue(locked: &mut Locked<'_, Oxtcp>, child: ARef<Sock<Oxtcp>>) {
    locked.net().count(Counter::PassiveOpens);
    if let Conn::Listening(listener) = &mut locked.conn {
        // It was not full when the segment came, and the lock is held since.
        let _ = listener.accept_queue.push(child);
    }
    publish_readable(locked);
    locked.wake_readable();
}

/// A cookie has come back: the connection that nothing was kept of is there at once.
fn from_cookie(
    locked: &mut Locked<'_, Oxtcp>,
    skb: RxSkb,
    seg: &Segment,
    (entry, route, terms): (SynReceived, BackRoute, Terms),
    ends: &Ends,
) {
    let net = locked.net();
    let is_full = match &locked.conn {
        Conn::Listening(listener) => listener.accept_queue.is_full(),
        _ => true,
    };
    if is_full {
        net.count(Counter::ListenOverflows);
        net.count(Counter::ListenDrops);
        return skb.discard(net, DropReason::AcceptQueueFull);
    }
    let begun = (&entry, Some(route));
    if complete(locked, skb, seg, begun, ends, &terms, now()).is_err() {
        net.count(Counter::ListenDrops);
    }
}

/// The handshake is complete: `entry`, which is in the SYN queue or was in a `cookie` of that route,
/// becomes a socket at the end of the accept queue.
fn complete(
    locked: &mut Locked<'_, Oxtcp>,
    skb: RxSkb,
    seg: &Segment,
    (entry, cookie): (&SynReceived, Option<BackRoute>),
    ends: &Ends,
    terms: &Terms,
    now: Instant,
) -> Result {
    let child = Sock::new_child(locked)?;
    let key = &Key::new(&ends.tuple());
    let Conn::Listening(listener) = &mut locked.conn else {
        return Err(EINVAL);
    };
    let grouped = listener.grouped;
    let saved_syn = listener.take_saved_syn(key);
    let was_cookie = cookie.is_some();
    let route = match cookie {
        Some(route) => Some(route),
        None => listener.remove(key).ok_or(EINVAL)?.route,
    };
    let done_with;
    {
        let mut new = child.lock_child();
        if let Err(error) = attach(&mut new, ends, terms, route) {
            super::apply::finish(&mut new);
            new.orphan();
            drop(new);
            if !was_cookie {
                keep(locked, *key, *entry);
            }
            return Err(error);
        }
        if grouped && !was_cookie {
            forget_holder(locked.net(), grouped, locked.sock(), &ends.tuple());
        }
        inherit(locked, &mut new);
        new.saved_syn = saved_syn;
        // That of now, not that of when the listener began.
        new.config.congestion = new.chosen.congestion_or(&locked.net().congestion());
        establish(&mut new, entry, seg, now);
        done_with = deliver(&mut new, skb, seg, now);
    }
    if let (Conn::Listening(listener), Some(skb)) = (&mut locked.conn, done_with) {
        listener.keep_packet(skb);
    }
    queue(locked, child);
    Ok(())
}

/// Puts a half-open connection back whose socket could not be made: there may be memory when the
/// peer tries again.
#[cold]
fn keep(locked: &mut Locked<'_, Oxtcp>, key: Key, entry: SynReceived) {
    let sock = locked.sock();
    let Conn::Listening(listener) = &mut locked.conn else {
        return;
    };
    match listener.memory() {
        Ok(memory) => listener.insert(key, HalfOpen { entry, route: None }, memory),
        Err(_) => {
            let tuple = key.tuple(sock.local().port());
            forget_holder(sock.net(), listener.grouped, sock, &tuple);
        }
    }
    let deadline = listener.deadline();
    locked.set_deadline(deadline.map(|at| at.us()));
}

/// What a connection takes over from its listener, beside what the socket core knows of.
pub(super) fn inherit(listener: &Locked<'_, Oxtcp>, child: &mut Locked<'_, Oxtcp>) {
    child.bound.addr = listener.bound.addr;
    let lowat = listener.sock().shared().notsent_lowat();
    child.sock().shared().set_notsent_lowat(lowat);
}

/// Gives a new socket its ends, its route and its place in the tables; it has no control block yet.
/// `route` is that of the segments before it, if one is known.
pub(super) fn attach(
    child: &mut Locked<'_, Oxtcp>,
    ends: &Ends,
    terms: &Terms,
    route: Option<BackRoute>,
) -> Result {
    let net = child.net();
    let tuple = ends.tuple();
    child.set_local(tuple.local);
    child.set_remote(tuple.remote);
    child.config.take(terms);
    match route.filter(BackRoute::holds) {
        Some(route) => child.route_back(route),
        None => {
            let route = Route::to(child, tuple.local, tuple.remote)?;
            child.route(route);
        }
    }
    let owner = owner(child.sock(), *tuple.local.ip(), Role::Connected);
    join(net, tuple.local.port(), owner)?;
    child.owner = Some(owner);
    child.phase = Phase::Connected;
    child.set_connected(true);
    child.set_state(State::SynReceived.number());
    net.ehash().insert(child, ends)
}

fn establish(child: &mut Locked<'_, Oxtcp>, entry: &SynReceived, seg: &Segment, now: Instant) {
    let state: &mut SockState = child;
    state.conn = Conn::Tcb(Life::Open, entry.tcb(&state.config, now));
    if let Conn::Tcb(Life::Open, tcb) = &mut state.conn {
        entry.complete(tcb, &state.config, seg, now);
    }
    child.set_state(State::Established.number());
    buffers::expand_send(child);
    buffers::start(child);
}

/// Gives the segment that completed the handshake to the new connection, for its text; gives it back
/// if that was the usual one, without any.
fn deliver(
    child: &mut Locked<'_, Oxtcp>,
    skb: RxSkb,
    seg: &Segment,
    now: Instant,
) -> Option<RxSkb> {
    child.note_receive(&skb);
    let skb = match Candidate::read(skb.header(), skb.payload_len()) {
        Some(candidate) => {
            let mut left = None;
            match on_candidate(child, skb, &candidate, now, |skb| left = skb) {
                Some(skb) => skb,
                None => return left,
            }
        }
        None => skb,
    };
    let (state, send, recv) = child.parts_with(skb);
    let records = &mut state.records;
    let mut queues = Queues { recv, records };
    let mut events = Events::default();
    match &mut state.conn {
        Conn::Tcb(Life::Open, tcb) => {
            tcb.on_segment_by_steps(&state.config, seg, &mut queues, now, &mut events);
        }
        _ => return None,
    }
    drop((send, queues));
    apply(child, &events);
    flush_at(child, now);
    None
}

/// The timer of a listener: SYN-ACKs that are to be sent again, entries to be given up.
pub(super) fn on_timer(locked: &mut Locked<'_, Oxtcp>) {
    let net: &Net = locked.net();
    let sock = locked.sock();
    let port = sock.local().port();
    let way = Way::of(sock);
    let now = now();
    let state: &mut SockState = locked;
    let Conn::Listening(listener) = &mut state.conn else {
        return;
    };
    let config = Config {
        synack_retries: listener.patience(state.config.synack_retries),
        ..state.config
    };
    let grouped = listener.grouped;
    listener.sweep(now, |key, entry| match entry.on_timer(&config, now) {
        TimerVerdict::NotYet => false,
        TimerVerdict::GiveUp => {
            forget_holder(net, grouped, sock, &key.tuple(port));
            opening_failed(net, &key.tuple(port));
            true
        }
        TimerVerdict::SynAck => {
            let config = config.on(&terms(&config, entry.mss(), entry.timestamps()));
            let out = entry.syn_ack(&config, now);
            reply_to(net, &key.tuple(port), way, None, &out, None);
            false
        }
    });
    let deadline = listener.deadline();
    locked.set_deadline(deadline.map(|at| at.us()));
}
