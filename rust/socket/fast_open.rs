// SPDX-License-Identifier: GPL-2.0

//! TCP Fast Open at a listener (RFC 7413): which SYNs open a connection at once, and how many may
//! be open so.

use super::namespace::Net;
use super::{now, Oxtcp};
use crate::net::random::{fast_open_hash, fast_open_keys, FastOpenKey};
use crate::net::{BhSpinLock, Counter, FourTuple, Locked};
use crate::new_bh_spinlock;
use crate::tcp::fast_open::{judge, Cookie, Judgement, Policy, Resets};
use crate::tcp::segment::Segment;
use kernel::prelude::*;
use kernel::sync::atomic::{Atomic, Relaxed};
use kernel::sync::Arc;

/// Bits of `tcp_fastopen`.
pub(super) const CLIENT: u32 = 1;
const SERVER: u32 = 2;
/// A client sends text without a cookie.
pub(super) const CLIENT_COOKIELESS: u32 = 4;
const SERVER_COOKIELESS: u32 = 0x200;
/// Every listener has it, as if `TCP_FASTOPEN` was set to its backlog.
const SERVER_ALWAYS: u32 = 0x400;

/// What the user set, and what becomes of it; few sockets have any of it.
#[derive(Default)]
pub struct FastOpen {
    /// `TCP_FASTOPEN`: most connections whose handshake is not complete.
    pub(super) limit: u32,
    /// `TCP_FASTOPEN_NO_COOKIE`.
    pub(super) cookieless: bool,
    /// `TCP_FASTOPEN_CONNECT`.
    pub(super) connect: bool,
    /// connect() has returned, but the SYN waits for text.
    pub(super) deferred: bool,
    /// `TCP_FASTOPEN_KEY`: the present key, and the one before.
    pub(super) keys: Option<[Option<FastOpenKey>; 2]>,
    /// connect() has seen that a time without Fast Open was over: if the connection is a success,
    /// that is forgotten.
    pub(super) after_pause: bool,
    /// A listener's connections that are pending.
    queue: Option<Arc<Pending>>,
    /// Where a connection counts that is pending.
    pending: Option<Arc<Pending>>,
}

impl FastOpen {
    /// Whether it was there for the handshake alone, and nothing is to be remembered.
    pub(super) fn is_over(&self) -> bool {
        let user = self.limit != 0 || self.cookieless || self.connect || self.keys.is_some();
        let ours = self.deferred || self.after_pause;
        !user && !ours && self.queue.is_none() && self.pending.is_none()
    }
}

/// The connections of a listener whose handshake is not complete.
#[pin_data]
struct Pending {
    /// With those that were reset, as long as they count.
    count: Atomic<u32>,
    #[pin]
    resets: BhSpinLock<Resets>,
}

impl Pending {
    fn new() -> Result<Arc<Self>> {
        let pending = try_pin_init!(Self {
            count: Atomic::new(0),
            resets <- new_bh_spinlock!(Resets::default(), c"oxtcp_fast_open"),
        });
        Arc::pin_init(pending, GFP_KERNEL)
    }

    fn is_full(&self, limit: u32) -> bool {
        if self.count.load(Relaxed) < limit {
            return false;
        }
        let expired = self.resets.lock().expire(now());
        self.count.fetch_sub(expired, Relaxed);
        self.count.load(Relaxed) >= limit
    }
}

/// The part of the socket's state, made when it is needed.
///
/// Errors: `ENOMEM`.
pub(super) fn state<'a>(locked: &'a mut Locked<'_, Oxtcp>) -> Result<&'a mut FastOpen> {
    let gfp = if locked.is_process() {
        GFP_KERNEL
    } else {
        GFP_ATOMIC
    };
    let slot = &mut locked.fast_open;
    if slot.is_none() {
        *slot = Some(KBox::new(FastOpen::default(), gfp)?);
    }
    slot.as_deref_mut().ok_or(ENOMEM)
}

/// Sets how many connections may be pending; 0 for no Fast Open.
///
/// Errors: `ENOMEM`.
pub(super) fn set_limit(locked: &mut Locked<'_, Oxtcp>, limit: u32) -> Result {
    let fast_open = state(locked)?;
    if fast_open.queue.is_none() {
        fast_open.queue = Some(Pending::new()?);
    }
    fast_open.limit = limit;
    Ok(())
}

/// The socket begins to listen: `tcp_fastopen` may ask for Fast Open although the user does not.
///
/// Errors: `ENOMEM`.
pub(super) fn on_listen(locked: &mut Locked<'_, Oxtcp>, backlog: u32) -> Result {
    let wanted = SERVER | SERVER_ALWAYS;
    let unset = locked.fast_open.as_ref().is_none_or(|f| f.limit == 0);
    if unset && locked.net().settings().fastopen() & wanted == wanted {
        set_limit(locked, backlog)?;
    }
    Ok(())
}

/// The keys of the listener, or else of its namespace.
pub(super) fn keys(net: &Net, fast_open: Option<&FastOpen>) -> [Option<FastOpenKey>; 2] {
    let own = fast_open.and_then(|f| f.keys);
    own.unwrap_or_else(|| fast_open_keys(net))
}

/// Judges a SYN between the ends of `tuple` for which there is room at the listener.
pub(super) fn on_syn(locked: &Locked<'_, Oxtcp>, tuple: &FourTuple, syn: &Segment) -> Judgement {
    let ordinary = Judgement {
        accept: false,
        offer: None,
    };
    let net = locked.net();
    let option = syn.options.fast_open;
    if option.is_some_and(|cookie| cookie.is_request()) {
        net.count(Counter::FastOpenCookieReqd);
    }
    if option.is_none() && syn.len == 0 {
        return ordinary;
    }
    let Some(fast_open) = locked.fast_open.as_deref().filter(|f| f.limit > 0) else {
        return ordinary;
    };
    let sysctl = net.settings().fastopen();
    if sysctl & SERVER == 0 {
        return ordinary;
    }
    if fast_open
        .queue
        .as_ref()
        .is_none_or(|p| p.is_full(fast_open.limit))
    {
        net.count(Counter::FastOpenListenOverflow);
        return ordinary;
    }
    let (client, server) = (*tuple.remote.ip(), *tuple.local.ip());
    let cookies = keys(net, Some(fast_open))
        .map(|key| key.map(|key| Cookie::from_hash(fast_open_hash(client, server, &key))));
    let policy = Policy {
        cookieless: fast_open.cookieless || sysctl & SERVER_COOKIELESS != 0,
        cookies,
    };
    let judgement = judge(syn, &policy);
    match option {
        Some(cookie) if !judgement.accept && !cookie.is_request() => {
            net.count(Counter::FastOpenPassiveFail);
        }
        _ if judgement.accept && judgement.offer.is_some() => {
            net.count(Counter::FastOpenPassiveAltKey);
        }
        _ => {}
    }
    judgement
}

/// `child` is a connection of the listener whose handshake is not complete.
///
/// Errors: `ENOMEM`.
pub(super) fn begin(listener: &Locked<'_, Oxtcp>, child: &mut Locked<'_, Oxtcp>) -> Result {
    let pending = listener.fast_open.as_ref().and_then(|f| f.queue.clone());
    let fast_open = state(child)?;
    if let Some(pending) = &pending {
        pending.count.fetch_add(1, Relaxed);
    }
    fast_open.pending = pending;
    child.sock().shared().set_early(true);
    Ok(())
}

/// The handshake is complete, or the connection has ended, by a RST or otherwise.
pub(super) fn settle(locked: &mut Locked<'_, Oxtcp>, by_reset: bool) {
    let Some(pending) = locked.fast_open.as_mut().and_then(|f| f.pending.take()) else {
        return;
    };
    if by_reset {
        pending.resets.lock().add(now());
    } else {
        pending.count.fetch_sub(1, Relaxed);
    }
    locked.sock().shared().set_early(false);
}
