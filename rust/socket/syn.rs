// SPDX-License-Identifier: GPL-2.0

//! A SYN at a listener: whether there is room for it, and where.

use super::apply::apply;
use super::flush::{flush_offering, reply_in, reply_to};
use super::listen::{attach, inherit, note_holder, queue};
use super::listener::{HalfOpen, Key, Listener};
use super::namespace::Net;
use super::receive_queue::Queues;
use super::sock_state::{BufferSize, Conn, Life, SockState};
use super::{buffers, cookies, fast_open, identity, now, saved_syn, time_wait, Oxtcp};
use crate::net::route::BackRoute;
use crate::net::{trace, Counter, DropReason, Ends, Locked, RxSkb, Sock, Way};
use crate::tcp::config::{Config, Identity, Terms};
use crate::tcp::ecn::Feedback;
use crate::tcp::fast_open::Cookie;
use crate::tcp::options::TIMESTAMPS_LEN;
use crate::tcp::receive_window::whole_segments;
use crate::tcp::segment::Segment;
use crate::tcp::seq::SeqNumber;
use crate::tcp::state::State;
use crate::tcp::syn_received::SynReceived;
use crate::tcp::Tcb;
use kernel::prelude::*;

/// A SYN: a new entry in the SYN queue, and a SYN-ACK.
pub(super) fn open(
    locked: &mut Locked<'_, Oxtcp>,
    skb: RxSkb,
    seg: &Segment,
    floor: Option<SeqNumber>,
    ends: &Ends,
) {
    let net = locked.net();
    let tuple = &ends.tuple();
    let now = now();
    let way = Way::of(locked.sock());
    let port = locked.sock().local().port();
    let place = match &mut locked.conn {
        Conn::Listening(listener) => place(net, listener, port, floor.is_some()),
        _ => return,
    };
    let want_cookie = match place {
        Place::Entry => false,
        Place::Cookie => true,
        Place::None(reason) => {
            net.count(Counter::ListenDrops);
            return skb.discard(net, reason);
        }
    };
    let Ok(route) = BackRoute::to(net, tuple, &way) else {
        net.count(Counter::ListenDrops);
        return skb.discard(net, DropReason::NoSocket);
    };
    let mut terms = terms_for(locked, &route, seg.options.timestamps.is_some());
    if seg.flags.ace() != 0 && terms.ecn.accept == Feedback::None && route.has_ecn() {
        terms.ecn = terms.ecn.with_capable_path();
    }
    if want_cookie {
        let out = cookies::syn_ack(locked, &terms, tuple, seg, now);
        return reply_to(net, tuple, way, Some(&route), &out, Some(skb));
    }
    let mut ids = identity::of(tuple, now);
    if let Some(floor) = floor.filter(|floor| ids.iss.before(*floor)) {
        ids.iss = floor;
    }
    let judgement = fast_open::on_syn(locked, tuple, seg);
    let skb = if judgement.accept {
        end_time_wait(net, ends, floor);
        match open_fast(locked, skb, seg, ids, ends, &terms, judgement.offer) {
            None => return,
            Some(skb) => {
                net.count(Counter::FastOpenPassiveFail);
                skb
            }
        }
    } else {
        skb
    };
    let headers = saved_syn::of(locked, &skb);
    let sock = locked.sock();
    let state: &mut SockState = locked;
    let Conn::Listening(listener) = &mut state.conn else {
        return;
    };
    let Ok(memory) = listener.memory() else {
        net.count(Counter::ListenDrops);
        return skb.discard(net, DropReason::NoMemory);
    };
    // It waited for the lock, and meanwhile the SYN came again, and went to another listener.
    if note_holder(net, listener.grouped, sock, tuple).is_err() {
        net.count(Counter::ListenDrops);
        return skb.discard(net, DropReason::NoMemory);
    }
    end_time_wait(net, ends, floor);
    let entry = SynReceived::on(&state.config, &terms, seg, ids, now);
    let mut out = entry.syn_ack_on(&state.config, &terms, now);
    if let Some(cookie) = judgement.offer {
        out.options.add_fast_open(cookie);
    }
    let packets = (Some(skb), listener.spare_packet());
    reply_in(net, tuple, way, Some(&route), &out, packets);
    let half = HalfOpen {
        entry,
        route: Some(route),
    };
    listener.insert(Key::new(tuple), half, memory);
    if let Some(headers) = headers {
        listener.save_syn(Key::new(tuple), headers);
    }
    let deadline = listener.deadline();
    trace::set_state(
        net,
        tuple,
        State::Listen.number(),
        State::SynReceived.number(),
    );
    locked.set_deadline(deadline.map(|at| at.us()));
}

/// The connection in TIME-WAIT whose number the new one begins behind ends when that is certain: a SYN
/// for which there is no room leaves it there, for when it comes again.
fn end_time_wait(net: &Net, ends: &Ends, floor: Option<SeqNumber>) {
    if floor.is_some() {
        time_wait::forget(net, ends);
    }
}

/// A SYN whose text is taken: the connection is there at once, at the end of the accept queue. Gives
/// the segment back when there is no memory for it.
fn open_fast(
    locked: &mut Locked<'_, Oxtcp>,
    skb: RxSkb,
    seg: &Segment,
    ids: Identity,
    ends: &Ends,
    terms: &Terms,
    offer: Option<Cookie>,
) -> Option<RxSkb> {
    let net = locked.net();
    let Ok(child) = Sock::new_child(locked) else {
        return Some(skb);
    };
    {
        let mut new = child.lock_child();
        let made =
            attach(&mut new, ends, terms, None).and_then(|()| fast_open::begin(locked, &mut new));
        if made.is_err() {
            super::apply::finish(&mut new);
            new.orphan();
            return Some(skb);
        }
        inherit(locked, &mut new);
        new.saved_syn = saved_syn::of(locked, &skb);
        new.note_receive(&skb);
        let (state, send, recv) = new.parts_with(skb);
        let records = &mut state.records;
        let mut queues = Queues { recv, records };
        let (tcb, events) = Tcb::accept_fast(&state.config, seg, ids, &mut queues, now());
        drop((send, queues));
        new.conn = Conn::Tcb(Life::Open, tcb);
        buffers::start(&mut new);
        apply(&mut new, &events);
        flush_offering(&mut new, offer);
    }
    net.count(Counter::FastOpenPassive);
    queue(locked, child);
    None
}

/// Where a SYN finds its place.
enum Place {
    /// In the SYN queue.
    Entry,
    /// On the wire alone.
    Cookie,
    /// Nowhere.
    None(DropReason),
}

/// Whether there is room for one more connection, as `tcp_conn_request` has it. One that takes the
/// place of a TIME-WAIT (`reopens`) always finds room in the SYN queue.
fn place(net: &Net, listener: &mut Listener, port: u16, reopens: bool) -> Place {
    let settings = net.settings();
    let syncookies = settings.syncookies();
    let full = listener.is_syn_queue_full();
    let mut want_cookie = false;
    if !reopens && (full || syncookies == 2) {
        want_cookie = syncookies != 0;
        if syncookies != 2 && !listener.warned {
            listener.warned = true;
            pr_info!(
                "possible SYN flooding on port {}, {}\n",
                port,
                if want_cookie {
                    "sending cookies"
                } else {
                    "dropping requests"
                }
            );
        }
        if !want_cookie {
            net.count(Counter::SynQueueFull);
            return Place::None(DropReason::SynQueueFull);
        }
        net.count(Counter::ReqQFullDoCookies);
    }
    if listener.accept_queue.is_full() {
        net.count(Counter::ListenOverflows);
        return Place::None(DropReason::AcceptQueueFull);
    }
    if want_cookie {
        return Place::Cookie;
    }
    if !reopens && syncookies == 0 && listener.is_reserve_left(settings.max_syn_backlog()) {
        return Place::None(DropReason::SynQueueFull);
    }
    Place::Entry
}

/// What the settings of a connection that comes by `route` have of it.
pub(super) fn terms_for(
    locked: &mut Locked<'_, Oxtcp>,
    route: &BackRoute,
    timestamps: bool,
) -> Terms {
    let advmss = route.advmss();
    let buffer = BufferSize::of(locked);
    let state: &mut SockState = locked;
    let mss = state.chosen.maxseg.map_or(advmss, |m| m.min(advmss));
    buffer.apply(&mut state.config);
    let timestamps = state.config.timestamps && timestamps;
    terms(&state.config, mss, timestamps)
}

/// What the settings of a connection have of a path whose MSS is `mss`; `timestamps` take room in
/// each of its segments, of which the window is to be a multiple.
pub(super) fn terms(config: &Config, mss: u16, timestamps: bool) -> Terms {
    let text = if timestamps {
        mss.saturating_sub(TIMESTAMPS_LEN)
    } else {
        mss
    };
    Terms {
        mss,
        window: whole_segments(config.initial_window, text),
        ecn: config.ecn,
    }
}
