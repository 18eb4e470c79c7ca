// SPDX-License-Identifier: GPL-2.0

//! Segments that belong to no socket: RST, SYN-ACK, the ACK of TIME-WAIT.

use super::bindings as b;
use super::*;
use kernel::error::to_result;
use kernel::prelude::*;

/// How a segment without a socket travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// IPv4 TOS byte.
    pub tos: u8,
    /// IPv4 TTL, 0 for the route's.
    pub ttl: u8,
    /// Interface to send by, 0 for the route's.
    pub oif: i32,
    /// Firewall mark for routing and the packet.
    pub mark: u32,
    /// The user by whom rules of routing choose, in the kernel's own numbers; none: root.
    pub uid: Option<u32>,
    /// Only to hosts on the link (`SO_DONTROUTE`).
    pub on_link: bool,
}

impl Way {
    /// As the options of `sock` have it: `SO_BINDTODEVICE`, `SO_MARK`, `SO_DONTROUTE`, `IP_TOS`,
    /// `IP_TTL`.
    pub fn of<F: Family>(sock: &Sock<F>) -> Self {
        let mut path = b::ox_path::default();
        // SAFETY: The socket is alive.
        unsafe { b::ox_sk_way(sock.sk(), &mut path) };
        Self {
            tos: path.tos,
            ttl: path.ttl,
            oif: path.oif,
            mark: path.mark,
            uid: Some(path.uid),
            on_link: path.on_link,
        }
    }
}

impl Way {
    pub(super) fn path(&self, tuple: &FourTuple) -> b::ox_path {
        let wire = tuple.wire();
        b::ox_path {
            saddr: wire.saddr,
            daddr: wire.daddr,
            sport: wire.sport,
            dport: wire.dport,
            oif: self.oif,
            mark: self.mark,
            uid: self.uid.unwrap_or(u32::MAX),
            on_link: self.on_link,
            tos: self.tos,
            ttl: self.ttl,
        }
    }
}

/// A segment without a socket.
#[derive(Clone, Copy)]
pub struct Reply<'h> {
    /// The ends; `local` is the source.
    pub tuple: FourTuple,
    /// The TCP header with options, ports included, checksum zero; 20 to 60 bytes.
    pub header: &'h [u8],
    /// How it travels.
    pub way: Way,
    /// By which route, if that is known.
    pub route: Option<&'h route::BackRoute>,
}

impl Reply<'_> {
    /// Sends it in `net`, in the memory of the packet `answered` if there is one that serves, and
    /// nobody else has it; or else of `spare`, which is taken if it serves. Softirq or process context.
    ///
    /// Errors: `EINVAL` (not a header), `ENOMEM`, or the route's (`ENETUNREACH`, `EHOSTUNREACH`).
    pub fn send<F: Family>(
        &self,
        net: &NetNs<F>,
        answered: Option<RxSkb>,
        spare: &mut Option<SparePacket>,
    ) -> Result {
        if !transmit::HEADER_LEN.contains(&self.header.len()) {
            return Err(EINVAL);
        }
        let path = self.way.path(&self.tuple);
        let dst = self
            .route
            .map_or(core::ptr::null_mut(), route::BackRoute::raw);
        // SAFETY: The segment is ours until it is sent; the header fits its headroom. A packet, or
        // the namespace's timer, keeps the namespace alive.
        unsafe {
            let len = self.header.len() as u32;
            let serves = |skb: &RxSkb| b::ox_skb_renew(skb.raw(), dst, len);
            let spare = || {
                let taken = spare.take_if(|spare| serves(spare.packet()));
                taken.map(SparePacket::into_inner)
            };
            let segment = match answered.filter(serves).or_else(spare) {
                Some(skb) => skb.into_raw(),
                None => b::ox_alloc_segment(b::GFP_ATOMIC),
            };
            if segment.is_null() {
                return Err(ENOMEM);
            }
            b::ox_segment_push_header(segment, self.header.as_ptr().cast(), len, 0);
            to_result(b::ox_segment_reply(net.raw(), segment, &path, dst))
        }
    }
}
