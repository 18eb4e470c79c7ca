// SPDX-License-Identifier: GPL-2.0

//! SYN cookies at a listener: sent when the SYN queue is full, looked for as long as one may come
//! back.

use super::identity::Seed;
use super::sock_state::Conn;
use super::syn::terms_for;
use super::{now, Oxtcp};
use crate::net::route::BackRoute;
use crate::net::{random, Counter, FourTuple, Locked, RxSkb, Way};
use crate::tcp::config::Terms;
use crate::tcp::ecn::Feedback;
use crate::tcp::segment::{Segment, Transmit};
use crate::tcp::syn_cookie::{self, CookieHash, NoCookie, Secret};
use crate::tcp::syn_received::SynReceived;
use crate::tcp::time::Instant;

/// The hashes of the ends. The outer one, which need not depend on the minute, is that of which the
/// ISS would be made without a cookie: one hash for it and the timestamp offset. Who has had a
/// connection between the same ends may know it, as he would from a cookie; what vouches for a
/// cookie is the inner one.
struct Hashes<'a> {
    tuple: &'a FourTuple,
    seed: Seed,
}

impl<'a> Hashes<'a> {
    fn of(tuple: &'a FourTuple) -> Self {
        Self {
            tuple,
            seed: Seed::of(tuple),
        }
    }
}

impl CookieHash for Hashes<'_> {
    fn hash(&self, secret: Secret, count: u32) -> u32 {
        match secret {
            Secret::Outer => self.seed.number,
            Secret::Inner => random::cookie_hash(self.tuple, count),
        }
    }
}

/// The SYN-ACK with a cookie, on a path with these `terms`.
pub(super) fn syn_ack(
    locked: &mut Locked<'_, Oxtcp>,
    terms: &Terms,
    tuple: &FourTuple,
    syn: &Segment,
    now: Instant,
) -> Transmit {
    if let Conn::Listening(listener) = &mut locked.conn {
        listener.note_cookie(now);
    }
    locked.net().count(Counter::SyncookiesSent);
    let hashes = Hashes::of(tuple);
    let ts_offset = hashes.seed.ts_offset;
    syn_cookie::syn_ack(&locked.config, terms, syn, ts_offset, now, &hashes)
}

/// The connection that an acknowledgment of no connection completes, if it brings a cookie back,
/// its route and its settings.
pub(super) fn check(
    locked: &mut Locked<'_, Oxtcp>,
    skb: &RxSkb,
    seg: &Segment,
) -> Option<(SynReceived, BackRoute, Terms)> {
    let net = locked.net();
    let now = now();
    let expected = match &locked.conn {
        Conn::Listening(listener) => listener.expects_cookies(now),
        _ => false,
    };
    if !expected || net.settings().syncookies() == 0 || !skb.to_this_host() {
        return None;
    }
    let tuple = skb.tuple();
    let way = Way::of(locked.sock());
    let hashes = Hashes::of(&tuple);
    let ids = hashes.seed.at(now);
    let accepted = syn_cookie::accept(&locked.config, seg, ids, now, &hashes);
    match accepted {
        Err(NoCookie::Other) => return None,
        Err(NoCookie::Forged) => {
            net.count(Counter::SyncookiesFailed);
            return None;
        }
        Ok(_) | Err(NoCookie::Withdrawn) => net.count(Counter::SyncookiesRecv),
    }
    accepted.ok()?;
    // The MSS that was announced is not in the cookie: it is that of the route, as it was then.
    let route = BackRoute::to(net, &tuple, &way).ok()?;
    let mut terms = terms_for(locked, &route, seg.options.timestamps.is_some());
    if terms.ecn.accept == Feedback::None && route.has_ecn() {
        // As for the SYN: what was granted then is to be kept.
        terms.ecn = terms.ecn.with_capable_path();
    }
    let config = locked.config.on(&terms);
    let entry = syn_cookie::accept(&config, seg, ids, now, &hashes).ok()?;
    Some((entry, route, terms))
}
