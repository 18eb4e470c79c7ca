// SPDX-License-Identifier: GPL-2.0

//! ICMP errors about our segments.

use super::bindings as b;
use super::held::Held;
use super::*;
use core::net::SocketAddrV4;
use core::slice;

/// An ICMP error with what it quotes of our segment.
#[derive(Debug)]
pub struct IcmpError {
    /// The ends of the quoted segment: `local` is ours.
    pub tuple: FourTuple,
    /// Sequence number of the quoted segment: believe only what is in flight (RFC 5927 4.1).
    pub seq: u32,
    /// ICMP type: 3 unreachable, 11 time exceeded, 12 parameter problem, 4 source quench, 5
    /// redirect.
    pub icmp_type: u8,
    /// ICMP code.
    pub code: u8,
    /// Next-hop MTU of "fragmentation needed" (3/4), bytes; 0 from a router that does not say it
    /// (RFC 1191 5).
    pub mtu: Option<u16>,
    /// The errno that Linux's table gives (positive), 0 when it is no error.
    pub errno: i32,
    /// Whether the table calls it fatal.
    pub fatal: bool,
    skb: *mut b::sk_buff,
    /// Where in the skb the quoted segment is.
    at: u32,
}

impl IcmpError {
    /// Index of the interface it came in by.
    pub fn iif(&self) -> i32 {
        // SAFETY: The hook has the skb as long as anybody can have this.
        unsafe { b::ox_skb_iif(self.skb) }
    }
}

impl<F: Family> Sock<F> {
    /// As [`Sock::try_lock_bh`], for `error`. When a process has the socket, "fragmentation needed"
    /// waits until it lets go, and comes by [`Family::too_big`]: where the next hop is on this machine
    /// it always comes while the socket sends. Other errors may be lost, and are counted
    /// (`tcp_v4_err`).
    pub fn try_lock_for(&self, error: &IcmpError) -> Option<Locked<'_, F>> {
        self.try_lock_bh_or(|| match error.mtu {
            // SAFETY: The socket is alive, and we have the spin lock.
            Some(mtu) => unsafe { b::ox_icmp_defer(self.sk(), error.seq, mtu) },
            None => self.net().count(Counter::LockDroppedIcmps),
        })
    }
}

impl<F: Family> Locked<'_, F> {
    /// Puts `error` into the error queue (`MSG_ERRQUEUE`), and tells who polls. Without memory it is
    /// not told.
    pub fn report(&mut self, error: &IcmpError) {
        // SAFETY: The socket is alive; the hook has the skb as long as anybody can have `error`, with
        // the ports and the number of the quoted segment at that place, as they were read there.
        unsafe { b::ox_icmp_report(self.sock().sk(), error.skb, error.errno, error.at) }
    }
}

/// A process lets go of the socket: tells the family of what had to wait for that. A connection whose
/// state cannot be unpacked has nothing in flight.
pub(super) fn release<F: Family>(held: &mut Held<'_, F>) {
    let (mut seq, mut mtu) = (0, 0);
    // SAFETY: The socket is alive, who releases it has the spin lock; the pointers are valid.
    if unsafe { b::ox_icmp_deferred(held.sock().sk(), &mut seq, &mut mtu) } {
        if let Some(locked) = held.try_unpacked() {
            F::too_big(locked, seq, mtu);
        }
    }
}

const ICMP_HEADER: usize = 8;
const MIN_IP_HEADER: usize = 20;
/// Ports and sequence number: all of a TCP header that must be quoted (RFC 792).
const QUOTED: usize = 8;
/// Unreachable, source quench, redirect, time exceeded, parameter problem.
const ERRORS: [u8; 5] = [3, 4, 5, 11, 12];

/// An ICMP message arrived, `ihl` bytes behind the skb's data: tells the family if it is an error
/// about a segment of one of our ports.
///
/// # Safety
///
/// `skb` is a packet at LOCAL_IN, ours to look at.
pub(super) unsafe fn receive<F: Family>(net: &NetNs<F>, skb: *mut b::sk_buff, ihl: usize) {
    let inner = ihl + ICMP_HEADER;
    // SAFETY: By the function's contract; the slice is as long as what was pulled, and nothing
    // pulls while it lives.
    let bytes = |len: usize| unsafe {
        b::ox_pskb_may_pull(skb, len as u32)
            .then(|| slice::from_raw_parts((*skb).data.cast_const(), len))
    };
    let Some(outer) = bytes(inner) else { return };
    let (icmp_type, code) = (outer[ihl], outer[ihl + 1]);
    if !ERRORS.contains(&icmp_type) {
        return;
    }
    let mtu = u16::from_be_bytes([outer[ihl + 6], outer[ihl + 7]]);
    let Some(header) = bytes(inner + MIN_IP_HEADER) else {
        return;
    };
    let ip = &header[inner..];
    let inner_len = usize::from(ip[0] & 0xf) * 4;
    let is_first = u16::from_be_bytes([ip[6], ip[7]]) & 0x1fff == 0;
    if ip[0] >> 4 != 4 || inner_len < MIN_IP_HEADER || u32::from(ip[9]) != b::IPPROTO_TCP {
        return;
    }
    if !is_first {
        return;
    }
    let at = inner + inner_len;
    let Some(all) = bytes(at + QUOTED) else {
        return;
    };
    let ip = &all[inner..];
    let tcp = &all[at..];
    let local = SocketAddrV4::new(
        [ip[12], ip[13], ip[14], ip[15]].into(),
        u16::from_be_bytes([tcp[0], tcp[1]]),
    );
    if !net.ports().contains(local.port()) {
        return;
    }
    let remote = SocketAddrV4::new(
        [ip[16], ip[17], ip[18], ip[19]].into(),
        u16::from_be_bytes([tcp[2], tcp[3]]),
    );
    let seq = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
    // SAFETY: By the function's contract.
    if !unsafe { b::ox_skb_icmp_csum_ok(skb, ihl as u32) } {
        return;
    }
    let mut fatal = false;
    // SAFETY: The pointer is valid.
    let errno = unsafe { b::ox_icmp_errno(icmp_type, code, &mut fatal) }.abs();
    F::icmp_error(
        net,
        &IcmpError {
            tuple: FourTuple { local, remote },
            seq,
            icmp_type,
            code,
            mtu: ((icmp_type, code) == (3, 4)).then_some(mtu),
            errno,
            fatal,
            skb,
            at: at as u32,
        },
    );
}
