// SPDX-License-Identifier: GPL-2.0

//! A segment's way from the hook to its connection: the table of connections first, then
//! TIME-WAIT, then a listener (RFC 9293 3.10.7.1 where there is none of them).

use super::apply::{apply, apply_arrival};
use super::flush::{flush, flush_answering, flush_at, path_mss, reply};
use super::listen;
use super::namespace::Net;
use super::receive_queue::Queues;
use super::sock_state::{Conn, Life};
use super::{buffers, fast_connect, identity, now, orphans, statistics, time_wait, Oxtcp};
use crate::net::{
    random, BhLock, Counter, DropReason, Ends, FourTuple, IcmpError, Locked, RxSkb, Sock, Verdict,
};
use crate::tcp::ecn::Ecn;
use crate::tcp::events::{Drop as TcpDrop, Events};
use crate::tcp::predict::Candidate;
use crate::tcp::segment::{ParseError, Segment, Transmit};
use crate::tcp::seq::SeqNumber;
use crate::tcp::state::State;
use crate::tcp::time::Instant;
use crate::tcp::timer::TimerKind;
use crate::tcp::user::IcmpVerdict;
use kernel::sync::aref::ARef;

/// Reads the segment in `skb`.
fn parse(skb: &RxSkb) -> Result<Segment, ParseError> {
    Segment::parse(skb.header(), skb.payload_len())
}

/// What IP and the merging of segments know of the segment in `skb`. It is changed where it lies: to
/// move it would be to copy it.
fn complete(seg: &mut Segment, skb: &RxSkb) {
    seg.ecn = Ecn::from_tos(skb.tos());
    seg.merged = skb.segments();
}

/// A segment to one of our ports.
pub fn segment(net: &Net, mut skb: RxSkb) -> Verdict {
    if let Some(sock) = skb.take_sock() {
        segment_of(net, &sock, skb);
        return Verdict::Taken;
    }
    let ends = net.ehash().ends_of(&skb);
    match net.ehash().lookup_ends(&ends) {
        Some(sock) => {
            segment_of(net, &sock, skb);
            Verdict::Taken
        }
        None => without_connection(net, skb, &ends),
    }
}

/// A segment to the connection `sock`.
pub fn segment_of(net: &Net, sock: &Sock<Oxtcp>, skb: RxSkb) {
    net.count(Counter::InSegs);
    to_connection(sock, skb);
}

fn without_connection(net: &Net, mut skb: RxSkb, ends: &Ends) -> Verdict {
    net.count(Counter::InSegs);
    let mut parsed = parse(&skb);
    let Ok(seg) = &mut parsed else {
        net.count(Counter::InErrs);
        skb.discard(net, DropReason::BadHeader);
        return Verdict::Taken;
    };
    complete(seg, &skb);
    let floor;
    (skb, floor) = match time_wait::on_segment(net, skb, seg, ends) {
        time_wait::Outcome::Taken => return Verdict::Taken,
        time_wait::Outcome::NotHere(skb) => (skb, None),
        time_wait::Outcome::Reopen(skb, iss) => (skb, Some(iss)),
    };
    to_listener(net, skb, seg, floor, ends)
}

fn to_connection(sock: &Sock<Oxtcp>, skb: RxSkb) {
    if let BhLock::Free(mut locked, skb) = sock.lock_bh(skb) {
        on_connection(&mut locked, skb);
    }
}

fn to_listener(
    net: &Net,
    skb: RxSkb,
    seg: &Segment,
    floor: Option<SeqNumber>,
    ends: &Ends,
) -> Verdict {
    let tuple = ends.tuple();
    let (port, addr) = (tuple.local.port(), tuple.local.ip().to_bits());
    let (listener, ours) = {
        let table = net.bind_table.lock();
        let choose = |l: &ARef<Sock<Oxtcp>>| match table.holders.get(&tuple) {
            None => {
                let hash = random::tuple_hash(&tuple, identity::GROUP_SALT) as u32;
                l.choose_of_group(&skb, hash)
            }
            holder => holder,
        };
        let listener = table.chosen_listener(port, addr, skb.iif(), choose, |l| l.id());
        let ours = listener.is_some() || table.is_reserved(port, addr, skb.iif());
        (listener, ours)
    };
    let Some(listener) = listener else {
        // A port that only connections have is not kept from `AF_INET`, which may listen there.
        if floor.is_some() {
            if ours || !net.inet_listens(&tuple, skb.iif()) {
                time_wait::decline(net, skb, ends);
                return Verdict::Taken;
            }
            time_wait::forget(net, ends);
        }
        // Nor is one that `AF_INET` had before us kept from the connections that it has there.
        if !ours || net.inet_connects(&tuple, skb.iif()) {
            return Verdict::Pass(skb);
        }
        no_socket(net, skb, seg);
        return Verdict::Taken;
    };
    let outcome = match listener.lock_bh(skb) {
        BhLock::Free(mut locked, skb) => listen::on_segment(&mut locked, skb, seg, floor, ends),
        BhLock::Busy => return Verdict::Taken,
    };
    match outcome {
        listen::Outcome::Taken => {}
        listen::Outcome::Elsewhere(skb) => elsewhere(net, skb, ends),
        listen::Outcome::Inet(skb) => return Verdict::Pass(skb),
    }
    Verdict::Taken
}

/// The connection came to be while the segment waited for the listener.
fn elsewhere(net: &Net, skb: RxSkb, ends: &Ends) {
    match net.ehash().lookup_ends(ends) {
        Some(sock) => to_connection(&sock, skb),
        None => skb.discard(net, DropReason::NoSocket),
    }
}

/// RFC 9293 3.10.7.1: nobody is there.
fn no_socket(net: &Net, skb: RxSkb, seg: &Segment) {
    if let Some(reset) = Transmit::reset_for(seg).filter(|_| skb.to_this_host()) {
        reply(net, &skb, &reset);
    }
    skb.discard(net, DropReason::NoSocket);
}

/// A segment whose connection ended while it waited for the socket: TIME-WAIT may have it now.
fn ended(net: &Net, skb: RxSkb, seg: &Segment) {
    let ends = net.ehash().ends_of(&skb);
    match time_wait::on_segment(net, skb, seg, &ends) {
        time_wait::Outcome::Taken => {}
        time_wait::Outcome::NotHere(skb) => no_socket(net, skb, seg),
        // The SYN comes again, and then meets the listener, if there is one.
        time_wait::Outcome::Reopen(skb, _) => skb.discard(net, DropReason::Closed),
    }
}

/// A segment that waited while a process had the socket.
pub fn backlog(locked: &mut Locked<'_, Oxtcp>, skb: RxSkb) {
    if !matches!(locked.conn, Conn::Listening(_)) {
        return on_connection(locked, skb);
    }
    let net = locked.net();
    let mut parsed = parse(&skb);
    let Ok(seg) = &mut parsed else {
        return;
    };
    complete(seg, &skb);
    let ends = net.ehash().ends_of(&skb);
    // A SYN that ends a TIME-WAIT has left it there until now: it alone knows where the new
    // connection may begin.
    let (skb, floor) = match time_wait::on_segment(net, skb, seg, &ends) {
        time_wait::Outcome::Taken => return,
        time_wait::Outcome::NotHere(skb) => (skb, None),
        time_wait::Outcome::Reopen(skb, iss) => (skb, Some(iss)),
    };
    match listen::on_segment(locked, skb, seg, floor, &ends) {
        listen::Outcome::Taken => {}
        // The listener is ours still, but nobody who has a connection waits for its listener.
        listen::Outcome::Elsewhere(skb) => elsewhere(net, skb, &ends),
        // Too late to pass it on. Text comes again, and after a reset that is lost the next one.
        listen::Outcome::Inet(skb) => skb.discard(net, DropReason::NoSocket),
    }
}

fn on_connection(locked: &mut Locked<'_, Oxtcp>, skb: RxSkb) {
    let now = now();
    let Some(candidate) = Candidate::read(skb.header(), skb.payload_len()) else {
        return on_any(locked, skb, now);
    };
    if let Some(skb) = on_candidate(locked, skb, &candidate, now, drop) {
        on_any(locked, skb, now);
    }
}

/// A segment that may be predicted; it is given back if it is not. If it is, `done` is called with
/// what is left: nothing, if its text was kept.
// Inlined it would make the frame of `on_any`'s caller its own: 60 instructions a segment.
#[inline(never)]
pub(super) fn on_candidate(
    locked: &mut Locked<'_, Oxtcp>,
    skb: RxSkb,
    seg: &Candidate,
    now: Instant,
    done: impl FnOnce(Option<RxSkb>),
) -> Option<RxSkb> {
    let net = locked.net();
    let (state, send, recv) = locked.parts_with(skb);
    let records = &mut state.records;
    let mut queues = Queues { recv, records };
    let Conn::Tcb(Life::Open, tcb) = &mut state.conn else {
        return queues.take_segment();
    };
    let Some(arrival) = tcb.on_candidate(&state.config, seg, &mut queues, now) else {
        return queues.take_segment();
    };
    if tcb.has_statistics() {
        statistics::count(net, tcb.take_statistics());
    }
    let mark = tcb.has_mark();
    done(queues.take_segment());
    drop((send, queues));
    apply_arrival(locked, &arrival, mark);
    flush_at(locked, now);
    None
}

/// A segment that is not predicted.
#[inline(never)]
fn on_any(locked: &mut Locked<'_, Oxtcp>, skb: RxSkb, now: Instant) {
    let net = locked.net();
    let mut parsed = parse(&skb);
    let Ok(seg) = &mut parsed else {
        net.count(Counter::InErrs);
        return skb.discard(net, DropReason::BadHeader);
    };
    complete(seg, &skb);
    let seg = &*seg;
    if !matches!(locked.conn, Conn::Tcb(Life::Open, _)) {
        return ended(net, skb, seg);
    }
    let sock = locked.sock();
    let (state, send, recv) = locked.parts_with(skb);
    let records = &mut state.records;
    let mut queues = Queues { recv, records };
    let Conn::Tcb(Life::Open, tcb) = &mut state.conn else {
        return;
    };
    let fast = tcb.state() == State::SynSent && tcb.is_active_fast_open();
    let mut events = Events::default();
    tcb.on_segment_by_steps(&state.config, seg, &mut queues, now, &mut events);
    if fast && events.connected {
        fast_connect::learn(net, &sock.tuple(), seg);
        match tcb.fast_open_result() {
            Some(true) => net.count(Counter::FastOpenActive),
            Some(false) => net.count(Counter::FastOpenActiveFail),
            None => {}
        }
    }
    let mut answered = queues.take_segment();
    if let Some((drop, skb)) = events
        .dropped
        .and_then(|drop| Some((drop, answered.take()?)))
    {
        if drop == TcpDrop::Paws {
            net.count(Counter::PawsEstab);
        }
        if matches!(drop, TcpDrop::Challenge | TcpDrop::BadAck) && events.reply.is_some() {
            net.count(Counter::ChallengeAck);
        }
        skb.discard(net, reason(drop));
    }
    drop((send, queues));
    apply(locked, &events);
    if locked.has_soft_error() {
        forget_if_answered(locked, seg, &events);
    }
    if let Some(bytes) = events.early {
        buffers::grow_for_early(locked, bytes);
    }
    match answered {
        Some(skb) => flush_answering(locked, now, skb),
        None => flush_at(locked, now),
    }
}

/// The peer acknowledges what it has: segments get through, and what an ICMP error said of one of them
/// is no reason any more if the connection fails later (`tcp_ack`).
#[inline(never)]
fn forget_if_answered(locked: &mut Locked<'_, Oxtcp>, seg: &Segment, events: &Events) {
    let Conn::Tcb(Life::Open, tcb) = &locked.conn else {
        return;
    };
    let valid = events.dropped.is_none() && seg.has_ack();
    if valid && seg.ack == tcb.snd_una() {
        locked.set_soft_error(None);
    }
}

fn reason(drop: TcpDrop) -> DropReason {
    match drop {
        TcpDrop::Paws => DropReason::Paws,
        TcpDrop::OutOfWindow => DropReason::OutOfWindow,
        TcpDrop::BeyondWindow => DropReason::BeyondWindow,
        TcpDrop::ZeroWindow => DropReason::ZeroWindow,
        TcpDrop::Challenge => DropReason::UnexpectedSyn,
        TcpDrop::BadAck => DropReason::BadAck,
        TcpDrop::BadFlags => DropReason::BadFlags,
        TcpDrop::OldText => DropReason::OldData,
        TcpDrop::NoRoom => DropReason::RcvbufFull,
        TcpDrop::Closed => DropReason::Closed,
    }
}

/// The socket's deadline has come.
pub fn timer(locked: &mut Locked<'_, Oxtcp>) {
    if let Conn::Listening(_) = locked.conn {
        return listen::on_timer(locked);
    }
    let mss = path_mss(locked);
    let state: &mut super::sock_state::SockState = locked;
    let Conn::Tcb(Life::Open, tcb) = &mut state.conn else {
        return;
    };
    let now = now();
    tcb.on_path(mss);
    let events = tcb.on_timer(&state.config, &mut state.records, now);
    let probes = matches!(tcb.timer(), Some((TimerKind::Persist, _)));
    apply(locked, &events);
    if events.timed_out {
        fast_connect::on_timeout(locked);
    }
    if events.timed_out || probes {
        orphans::end_if_too_many(locked);
    }
    flush_at(locked, now);
}

/// "Fragmentation needed" of a path that carries `mtu` bytes quotes a segment of ours with the number
/// `seq`: believed only if that is in flight (RFC 5927 4.1).
///
/// Only who has the socket knows what is in flight: one that has to wait for a process to let go is
/// judged then. That is no weaker, as a guess still has to hit what was sent and not acknowledged; and
/// nothing that matters is lost, as what did not fit is in flight still, or else its text got through
/// without. Of several that come in that time the last is judged: a forged one can displace the true
/// one, which comes again with the next segment that does not fit.
pub fn too_big(locked: &mut Locked<'_, Oxtcp>, seq: SeqNumber, mtu: u16) {
    let Conn::Tcb(Life::Open, tcb) = &locked.conn else {
        return;
    };
    if !tcb.is_in_flight(seq) {
        return locked.net().count(Counter::OutOfWindowIcmps);
    }
    locked.learn_path_mtu(mtu);
    let size = path_mss(locked);
    let state: &mut super::sock_state::SockState = locked;
    if let Conn::Tcb(Life::Open, tcb) = &mut state.conn {
        tcb.on_mtu_reduced(&mut state.records, size);
    }
    flush(locked);
}

/// An ICMP error that quotes a segment of ours (RFC 5927).
pub fn icmp_error(net: &Net, error: &IcmpError) {
    let Some(sock) = net.ehash().lookup(&error.tuple) else {
        return half_open_error(net, error);
    };
    net.count(Counter::IcmpErrors);
    if error.mtu.is_none() && error.errno == 0 {
        return;
    }
    let Some(mut locked) = sock.try_lock_for(error) else {
        return;
    };
    let seq = SeqNumber(error.seq);
    if let Some(mtu) = error.mtu {
        return too_big(&mut locked, seq, mtu);
    }
    let accepted = locked.has_file();
    let state: &mut super::sock_state::SockState = &mut locked;
    let Conn::Tcb(Life::Open, tcb) = &mut state.conn else {
        return;
    };
    // No way to the network, or to the host.
    if matches!((error.icmp_type, error.code), (3, 0 | 1)) {
        tcb.on_unreachable(&state.config, seq, &state.records, now());
    }
    let (verdict, mut events) = tcb.on_icmp(seq, accepted);
    let errno = kernel::error::Error::from_errno(error.errno.saturating_neg());
    match verdict {
        IcmpVerdict::Ignore => net.count(Counter::OutOfWindowIcmps),
        IcmpVerdict::Remember if locked.wants_soft_errors() => {
            locked.set_error(errno);
            locked.wake_error();
        }
        IcmpVerdict::Remember => locked.set_soft_error(Some(errno)),
        IcmpVerdict::Abort => {
            if accepted {
                locked.report(error);
            }
            locked.set_error(errno);
            locked.wake_error();
            events.error = None;
        }
    }
    apply(&mut locked, &events);
    flush(&mut locked);
}

/// The listener that has the half-open connection between the ends of `tuple`, if any has, whose
/// segments come in by interface `dev`.
pub(super) fn opener(net: &Net, tuple: &FourTuple, dev: i32) -> Option<ARef<Sock<Oxtcp>>> {
    let (port, addr) = (tuple.local.port(), tuple.local.ip().to_bits());
    let table = net.bind_table.lock();
    let holder = |_: &ARef<Sock<Oxtcp>>| table.holders.get(tuple);
    table.chosen_listener(port, addr, dev, holder, |l| l.id())
}

/// An ICMP error for which there is no connection: perhaps about a SYN-ACK.
fn half_open_error(net: &Net, error: &IcmpError) {
    let listener = opener(net, &error.tuple, error.iif());
    // Unreachable network or host, time exceeded, parameter problem (`tcp_v4_err`).
    let fatal = matches!((error.icmp_type, error.code), (3, 0 | 1) | (11 | 12, _));
    let locked = listener.as_ref().and_then(|l| match fatal {
        true => l.try_lock_for(error),
        false => l.try_lock_bh(),
    });
    let Some(mut locked) = locked else {
        return;
    };
    listen::on_icmp(&mut locked, &error.tuple, SeqNumber(error.seq), fatal);
}
