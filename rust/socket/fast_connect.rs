// SPDX-License-Identifier: GPL-2.0

//! TCP Fast Open at a client (RFC 7413): the cookies of servers, and connections that begin with
//! text, by `MSG_FASTOPEN` or by `TCP_FASTOPEN_CONNECT`.

use super::connect::{prepare, wait_opened};
use super::fast_open::{state, CLIENT, CLIENT_COOKIELESS};
use super::flush::{flush, send_opening, tx_limits};
use super::namespace::Net;
use super::sock_state::{Conn, Life, Phase, SockState};
use super::{now, Oxtcp};
use crate::net::{random, Counter, Destination, FourTuple, Locked, Msg, Timeout};
use crate::tcp::fast_open::{Cookie, Opening};
use crate::tcp::segment::Segment;
use crate::tcp::state::State;
use core::net::{Ipv4Addr, SocketAddrV4};
use kernel::alloc::KVVec;
use kernel::prelude::*;
use kernel::sync::atomic::Relaxed;

/// Servers whose cookies are remembered at most.
const SERVERS: usize = 512;
/// A cookie is for a pair of addresses, whose ports do not matter.
const CACHE_SALT: u32 = 3;
/// Bytes that options may take of a SYN with text.
const OPTION_SPACE: u16 = 40;

/// What a server said in its last SYN-ACK.
#[derive(Clone, Copy)]
struct Known {
    ends: (Ipv4Addr, Ipv4Addr),
    cookie: Cookie,
    mss: u16,
}

/// The cookies of a namespace: each pair of addresses has one place, which it may lose to another.
/// Who lost it asks for a cookie again.
pub struct Cookies {
    places: KVVec<Option<Known>>,
}

impl Cookies {
    /// Without memory until the first connection that could use a cookie.
    pub(super) const fn new() -> Self {
        Self {
            places: KVVec::new(),
        }
    }
}

fn ends(tuple: &FourTuple) -> (Ipv4Addr, Ipv4Addr) {
    (*tuple.local.ip(), *tuple.remote.ip())
}

fn place(tuple: &FourTuple) -> usize {
    let (local, remote) = ends(tuple);
    let pair = FourTuple {
        local: SocketAddrV4::new(local, 0),
        remote: SocketAddrV4::new(remote, 0),
    };
    (random::tuple_hash(&pair, CACHE_SALT) % SERVERS as u64) as usize
}

fn known(net: &Net, tuple: &FourTuple) -> Option<Known> {
    let cookies = net.cookies.lock();
    let known = (*cookies.places.as_slice().get(place(tuple))?)?;
    (known.ends == ends(tuple)).then_some(known)
}

/// Makes room for cookies. Process context. Without memory none is known, and none remembered: the
/// connection that asks is prepared, and must not stay without a SYN.
fn make_room(net: &Net) {
    if !net.cookies.lock().places.is_empty() {
        return;
    }
    let Ok(mut places) = no_cookies() else {
        return;
    };
    let mut cookies = net.cookies.lock();
    if cookies.places.is_empty() {
        core::mem::swap(&mut cookies.places, &mut places);
    }
    drop(cookies);
    // What was there before, if another was faster, is freed without the lock.
    drop(places);
}

/// Errors: `ENOMEM`.
fn no_cookies() -> Result<KVVec<Option<Known>>> {
    let mut places = KVVec::with_capacity(SERVERS, GFP_KERNEL)?;
    for _ in 0..SERVERS {
        places.push(None, GFP_KERNEL)?;
    }
    Ok(places)
}

/// The SYN-ACK `seg` has opened the connection between the ends of `tuple`, which tried Fast Open.
pub(super) fn learn(net: &Net, tuple: &FourTuple, seg: &Segment) {
    let Some(cookie) = seg.options.fast_open.filter(|c| !c.is_request()) else {
        return;
    };
    let new = Known {
        ends: ends(tuple),
        cookie,
        mss: seg.options.mss.unwrap_or(536),
    };
    if let Some(slot) = net
        .cookies
        .lock()
        .places
        .as_mut_slice()
        .get_mut(place(tuple))
    {
        *slot = Some(new);
    }
}

/// The SYN with text was not answered in time: perhaps somebody on the way drops such. The next
/// connection to the server asks for a cookie first, and if there are more timeouts, all of the
/// namespace go without Fast Open for a while (`tcp_fastopen_blackhole_timeout_sec`).
pub(super) fn on_timeout(locked: &mut Locked<'_, Oxtcp>) {
    let net = locked.net();
    let Conn::Tcb(Life::Open, tcb) = &locked.conn else {
        return;
    };
    if !tcb.is_active_fast_open() {
        return;
    }
    let tuple = locked.sock().tuple();
    if tcb.state() == State::SynSent {
        if let Some(slot) = net
            .cookies
            .lock()
            .places
            .as_mut_slice()
            .get_mut(place(&tuple))
        {
            slot.take_if(|known| known.ends == ends(&tuple));
        }
    }
    // The third: it was counted already.
    if tcb.retransmits() != 3 || net.settings().fastopen_blackhole_timeout() == 0 {
        return;
    }
    net.count(Counter::FastOpenBlackhole);
    net.blackholes.fetch_add(1, Relaxed);
    net.blackhole_at.store(now().us(), Relaxed);
}

/// Whether Fast Open was given up for a while, and that is over or not.
enum Pause {
    None,
    Over,
    Lasts,
}

/// A pause is longer each time, up to 64 times the setting.
fn pause(net: &Net) -> Pause {
    let times = net.blackholes.load(Relaxed);
    let timeout = u64::from(net.settings().fastopen_blackhole_timeout());
    if times == 0 || timeout == 0 {
        return Pause::None;
    }
    let length = timeout.saturating_mul(1_000_000 << (times - 1).min(6));
    if now().us().saturating_sub(net.blackhole_at.load(Relaxed)) < length {
        Pause::Lasts
    } else {
        Pause::Over
    }
}

/// The connection ends. If it was the first to try Fast Open again, and the server's text came, then
/// nobody on the way drops such: the next pause is as short as the first
/// (`tcp_fastopen_active_disable_ofo_check`). What stays on this host shows nothing.
pub(super) fn on_end(locked: &mut Locked<'_, Oxtcp>) {
    let tried = match &mut locked.fast_open {
        Some(fast_open) => core::mem::take(&mut fast_open.after_pause),
        None => return,
    };
    let heard = match &locked.conn {
        Conn::Tcb(_, tcb) => tcb.totals().text_segments_in > 0,
        _ => false,
    };
    if tried && heard && !locked.is_by_loopback() {
        locked.net().blackholes.store(0, Relaxed);
    }
}

/// How the connection between the ends of `tuple` is to be opened, and the MSS of the server if that
/// is known.
fn opening(locked: &mut Locked<'_, Oxtcp>, tuple: &FourTuple) -> (Opening, u16) {
    let net = locked.net();
    match pause(net) {
        Pause::Lasts => return (Opening::Ask, u16::MAX),
        Pause::Over => {
            // Without memory another connection will tell.
            if let Ok(fast_open) = state(locked) {
                fast_open.after_pause = true;
            }
        }
        Pause::None => {}
    }
    let known = known(net, tuple);
    let mss = known.map_or(u16::MAX, |k| k.mss);
    let cookieless = locked.fast_open.as_ref().is_some_and(|f| f.cookieless)
        || net.settings().fastopen() & CLIENT_COOKIELESS != 0;
    match known {
        _ if cookieless => (Opening::Cookieless, mss),
        Some(known) => (Opening::Cookie(known.cookie), mss),
        None => (Opening::Ask, mss),
    }
}

fn is_client(net: &Net) -> bool {
    net.settings().fastopen() & CLIENT != 0
}

/// connect(2) of a socket with `TCP_FASTOPEN_CONNECT`, which is prepared: with a cookie the SYN
/// waits for text, and true is the answer; else it goes out with the request for one.
pub(super) fn defer(locked: &mut Locked<'_, Oxtcp>) -> Result<bool> {
    let wanted = locked.fast_open.as_ref().is_some_and(|f| f.connect);
    if !wanted || !is_client(locked.net()) {
        return Ok(false);
    }
    make_room(locked.net());
    let tuple = locked.sock().tuple();
    if let (Opening::Ask, _) = opening(locked, &tuple) {
        send(locked, Opening::Ask, 0);
        return Ok(false);
    }
    state(locked)?.deferred = true;
    locked.sock().shared().set_early(true);
    Ok(true)
}

/// Whether connect(2) has returned, but the SYN waits for text.
pub(super) fn is_deferred(locked: &Locked<'_, Oxtcp>) -> bool {
    locked.fast_open.as_ref().is_some_and(|f| f.deferred)
}

/// The SYN waits no longer, or there will be none.
pub(super) fn forget(locked: &mut Locked<'_, Oxtcp>) {
    if let Some(fast_open) = locked.fast_open.as_mut().filter(|f| f.deferred) {
        fast_open.deferred = false;
        locked.sock().shared().set_early(false);
    }
}

/// Sends the SYN, with up to `most` bytes of the text that is queued.
fn send(locked: &mut Locked<'_, Oxtcp>, opening: Opening, most: u32) {
    let limits = tx_limits(locked);
    let state: &mut SockState = locked;
    let Conn::Tcb(Life::Open, tcb) = &mut state.conn else {
        return;
    };
    let syn = tcb.open_fast(&state.config, opening, most, &limits, now());
    send_opening(locked, syn);
}

/// sendmsg(2) that opens the connection: `MSG_FASTOPEN`, or the first of a socket whose SYN waits.
/// Takes as much of the text as the SYN carries, and waits for the answer as long as `timeout` says.
/// `done` is how much was taken.
///
/// Errors: as connect(2); `EOPNOTSUPP` when `tcp_fastopen` says no.
pub(super) fn sendmsg(
    locked: &mut Locked<'_, Oxtcp>,
    msg: &mut Msg<'_>,
    timeout: &mut Timeout,
    done: &mut usize,
) -> Result {
    let net = locked.net();
    if !is_client(net) {
        return Err(EOPNOTSUPP);
    }
    if is_deferred(locked) {
        forget(locked);
    } else {
        match locked.phase {
            Phase::Connected | Phase::Released => return Err(EISCONN),
            // As connect(2) does it: a signal may have ended the first call.
            Phase::Connecting => return wait_opened(locked, timeout, EALREADY),
            Phase::Unconnected if locked.state() != State::Closed => return Err(EISCONN),
            Phase::Unconnected => {}
        }
        match msg.destination()? {
            Destination::Addr(remote) => prepare(locked, remote)?,
            Destination::Bad(error) => return Err(error),
            Destination::Disconnect => return Err(EOPNOTSUPP),
        }
        locked.phase = Phase::Connecting;
    }
    make_room(net);
    let tuple = locked.sock().tuple();
    let (opening, mss) = opening(locked, &tuple);
    let mut most = 0;
    if opening != Opening::Ask {
        let limits = tx_limits(locked);
        let room = locked.config.mss.min(limits.mss).min(mss);
        let room = room.saturating_sub(OPTION_SPACE);
        // Without memory the SYN goes without text, and says why when the text comes.
        if let Ok(taken) = locked.send_buffer().append(msg, room.into()) {
            *done = taken;
            let bytes = u32::try_from(taken).unwrap_or(u32::MAX);
            most = locked.send_buffer().coverable(0, bytes, room);
            if let Conn::Tcb(Life::Open, tcb) = &mut locked.conn {
                tcb.on_send(bytes, msg.remaining() > 0 || msg.flags().more());
            }
        }
    }
    send(locked, opening, most);
    wait_opened(locked, timeout, EINPROGRESS)?;
    flush(locked);
    Ok(())
}
