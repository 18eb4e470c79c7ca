// SPDX-License-Identifier: GPL-2.0

//! SYN cookies at a listener: sent when the SYN queue is full, looked for as long as one may come
//! back.

use super::sock_state::Conn;
use super::syn::config_for;
use super::{identity, now, Oxtcp};
use crate::net::route::BackRoute;
use crate::net::{random, Counter, FourTuple, Locked, RxSkb, Way};
use crate::tcp::config::Config;
use crate::tcp::segment::{Segment, Transmit};
use crate::tcp::syn_cookie::{self, CookieHash, NoCookie, Secret};
use crate::tcp::syn_received::SynReceived;

/// The hash of the ends.
struct Ends<'a>(&'a FourTuple);

impl CookieHash for Ends<'_> {
    fn hash(&self, secret: Secret, count: u32) -> u32 {
        random::cookie_hash(self.0, count, secret == Secret::Inner)
    }
}

/// The SYN-ACK with a cookie.
pub(super) fn syn_ack(
    locked: &mut Locked<'_, Oxtcp>,
    config: &Config,
    tuple: &FourTuple,
    syn: &Segment,
) -> Transmit {
    let now = now();
    if let Conn::Listening(listener) = &mut locked.conn {
        listener.note_cookie(now);
    }
    locked.net().count(Counter::SyncookiesSent);
    syn_cookie::syn_ack(config, syn, identity::of(tuple, now), now, &Ends(tuple))
}

/// The connection that an acknowledgment of no connection completes, if it brings a cookie back,
/// its route and its settings.
pub(super) fn check(
    locked: &mut Locked<'_, Oxtcp>,
    skb: &RxSkb,
    seg: &Segment,
) -> Option<(SynReceived, BackRoute, Config)> {
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
    let ids = identity::of(&tuple, now);
    let accepted = syn_cookie::accept(&locked.config, seg, ids, now, &Ends(&tuple));
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
    let config = config_for(locked, &route, seg.options.timestamps.is_some());
    let entry = syn_cookie::accept(&config, seg, ids, now, &Ends(&tuple)).ok()?;
    Some((entry, route, config))
}
