// SPDX-License-Identifier: GPL-2.0

//! A received segment.

use super::bindings as b;
use super::*;
use core::mem::ManuallyDrop;
use core::net::SocketAddrV4;
use core::ptr::NonNull;
use core::slice;
use kernel::prelude::*;
use kernel::sync::aref::ARef;

/// A received segment: an skb of our own whose data begins with the TCP header, which is in the
/// linear part whole; its checksum is right. Dropping it frees it without a trace;
/// [`RxSkb::discard`] counts and traces.
pub struct RxSkb {
    ptr: NonNull<b::sk_buff>,
}

// SAFETY: We are the only owner of the skb.
unsafe impl Send for RxSkb {}

/// A packet of which only the memory is of use any more ([`RxSkb::into_spare`]).
pub struct SparePacket(RxSkb);

impl SparePacket {
    pub(super) fn packet(&self) -> &RxSkb {
        &self.0
    }

    pub(super) fn into_inner(self) -> RxSkb {
        self.0
    }
}

impl RxSkb {
    /// # Safety
    ///
    /// `skb` is ours alone; its data begins with a TCP header that is whole in the linear part, its
    /// network and transport headers are set.
    pub(super) unsafe fn from_raw(skb: *mut b::sk_buff) -> Self {
        Self {
            // SAFETY: By the function's contract it is not null.
            ptr: unsafe { NonNull::new_unchecked(skb) },
        }
    }

    pub(super) fn into_raw(self) -> *mut b::sk_buff {
        ManuallyDrop::new(self).ptr.as_ptr()
    }

    pub(super) fn raw(&self) -> *mut b::sk_buff {
        self.ptr.as_ptr()
    }

    /// Gives up what must not be held by something that waits in a queue: route, conntrack entry.
    pub(super) fn detach(&self) {
        // SAFETY: The skb is ours.
        unsafe { b::ox_skb_detach(self.raw()) }
    }

    /// The packet's memory, to be kept for a segment to come: nothing, if others have some of it too
    /// or it is of a pool, or more than a segment without text needs.
    pub fn into_spare(self) -> Option<SparePacket> {
        // SAFETY: The skb is ours.
        unsafe { b::ox_skb_keep(self.raw()) }.then_some(SparePacket(self))
    }

    fn skb(&self) -> &b::sk_buff {
        // SAFETY: The skb is ours, and not changed while borrowed.
        unsafe { self.ptr.as_ref() }
    }

    fn byte(&self, at: usize) -> u8 {
        // SAFETY: The first 20 bytes are in the linear part, and `at` is below.
        unsafe { *self.skb().data.add(at) }
    }

    fn port(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.byte(at), self.byte(at + 1)])
    }

    fn header_len(&self) -> usize {
        usize::from(self.byte(12) >> 4) * 4
    }

    /// The TCP header with its options, 20 to 60 bytes.
    pub fn header(&self) -> &[u8] {
        // SAFETY: The header is whole in the linear part.
        unsafe { slice::from_raw_parts(self.skb().data, self.header_len()) }
    }

    /// A copy of all headers, from that of IP on or, with `link`, from that of the link on.
    ///
    /// Errors: `ENOMEM`.
    pub fn headers(&self, link: bool) -> Result<KVec<u8>> {
        let mut begin = core::ptr::null();
        // SAFETY: The skb is ours, its headers are set; `begin` then has `len` bytes.
        let bytes = unsafe {
            let len = b::ox_skb_headers(self.raw(), link, &mut begin);
            slice::from_raw_parts(begin, len as usize)
        };
        let mut headers = KVec::new();
        headers.extend_from_slice(bytes, GFP_ATOMIC)?;
        Ok(headers)
    }

    /// Bytes of text behind the header (up to 64 KiB: segments may arrive merged).
    pub fn payload_len(&self) -> u32 {
        self.skb().len - self.header_len() as u32
    }

    /// Number of segments on the wire that were merged into this one, at least 1.
    pub fn segments(&self) -> u16 {
        // SAFETY: The skb is ours.
        u16::try_from(unsafe { b::ox_skb_segs(self.raw()) }).unwrap_or(u16::MAX)
    }

    /// Never to be made a reference: a card may put the header at an odd multiple of two bytes.
    fn ip(&self) -> *const b::iphdr {
        // SAFETY: The skb is ours, and its network header is set.
        unsafe { b::ox_ip_hdr(self.raw()) }
    }

    pub(super) fn wire_tuple(&self) -> b::ox_tuple {
        let (mut remote, mut local) = (0, 0);
        // SAFETY: The pointers are valid.
        unsafe { b::ox_iph_addrs(self.ip(), &mut remote, &mut local) };
        b::ox_tuple {
            saddr: local,
            daddr: remote,
            sport: self.port(2).to_be(),
            dport: self.port(0).to_be(),
        }
    }

    /// The ends: `local` is the segment's destination.
    pub fn tuple(&self) -> FourTuple {
        let wire = self.wire_tuple();
        FourTuple {
            local: SocketAddrV4::new(addr::from_be32(wire.saddr), self.port(2)),
            remote: SocketAddrV4::new(addr::from_be32(wire.daddr), self.port(0)),
        }
    }

    /// Index of the interface it came in by.
    pub fn iif(&self) -> i32 {
        // SAFETY: The skb is ours.
        unsafe { b::ox_skb_iif(self.raw()) }
    }

    /// The IPv4 TOS byte (DSCP and ECN).
    pub fn tos(&self) -> u8 {
        // SAFETY: The header was whole when IP looked at it. One byte needs no alignment.
        unsafe { (&raw const (*self.ip()).tos).read() }
    }

    /// The IPv4 TTL.
    pub fn ttl(&self) -> u8 {
        // SAFETY: As above.
        unsafe { (&raw const (*self.ip()).ttl).read() }
    }

    /// The firewall's mark.
    pub fn mark(&self) -> u32 {
        // SAFETY: The skb is ours.
        unsafe { b::ox_skb_mark(self.raw()) }
    }

    /// Whether the destination is an address of this host: not broadcast, not multicast. A SYN to
    /// anything else must be ignored (RFC 1122 4.2.3.10). Only before the segment was queued.
    pub fn to_this_host(&self) -> bool {
        // SAFETY: The skb is ours.
        unsafe { b::ox_skb_to_host(self.raw()) }
    }

    /// The socket that the early demux found, once.
    pub fn take_sock<F: Family>(&mut self) -> Option<ARef<Sock<F>>> {
        // SAFETY: Only the early demux of this family attaches sockets of it; the helper says no
        // to others. The reference is ours then.
        unsafe { Sock::from_sk_owned(b::ox_skb_carried_sock(self.raw(), family::number())) }
    }

    /// Ends the segment for `reason`: counted in `net`, traced, freed as a drop.
    pub fn discard<F: Family>(self, net: &NetNs<F>, reason: DropReason) {
        net.count_drop(reason);
        trace::drop_wire(net, &self.wire_tuple(), reason);
        // SAFETY: The skb is ours, and gone after this.
        unsafe { b::ox_kfree_skb_reason(self.into_raw(), reason.kernel()) }
    }
}

impl Drop for RxSkb {
    fn drop(&mut self) {
        // SAFETY: The skb is ours, and gone after this.
        unsafe { b::ox_skb_consume(self.raw()) }
    }
}

#[kernel::macros::kunit_tests(oxtcp_spare_packet)]
mod tests {
    use super::*;

    fn packet() -> Result<RxSkb> {
        let header = [0u8; 20];
        // SAFETY: The skb is ours, its headroom more than a TCP header.
        unsafe {
            let skb = b::ox_alloc_segment(b::GFP_KERNEL);
            if skb.is_null() {
                return Err(ENOMEM);
            }
            b::ox_segment_push_header(skb, header.as_ptr().cast(), header.len() as u32, 0);
            Ok(RxSkb::from_raw(skb))
        }
    }

    #[test]
    fn is_made_of_a_packet_of_ones_own() -> Result {
        assert!(packet()?.into_spare().is_some());
        Ok(())
    }

    #[test]
    fn is_not_made_of_what_somebody_else_has() -> Result {
        let packet = packet()?;
        // SAFETY: The skb is ours, and so is its clone.
        let clone = unsafe { b::ox_text_clone(packet.raw(), b::GFP_KERNEL) };
        if clone.is_null() {
            return Err(ENOMEM);
        }
        // SAFETY: As above.
        let clone = unsafe { RxSkb::from_raw(clone) };
        assert!(packet.into_spare().is_none());
        assert!(clone.into_spare().is_some());
        Ok(())
    }

    #[test]
    fn is_not_made_of_a_pool_s_page() -> Result {
        let packet = packet()?;
        // SAFETY: The skb is ours; it is as it was before it is freed.
        let kept = unsafe {
            (*packet.raw()).set_pp_recycle(1);
            let kept = b::ox_skb_keep(packet.raw());
            (*packet.raw()).set_pp_recycle(0);
            kept
        };
        assert!(!kept);
        Ok(())
    }
}
