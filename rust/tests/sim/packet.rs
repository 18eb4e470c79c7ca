// SPDX-License-Identifier: GPL-2.0

//! IPv4 packets as the bytes that go over the wire, with headers and checksums as they are there.

use oxtcp_core::tcp::ecn::Ecn;
use oxtcp_core::tcp::segment::{Flags, Segment, Transmit, MAX_HEADER_LEN};
use std::net::Ipv4Addr;

/// Bytes of an IPv4 header; ours have no options.
pub const IP_HEADER: usize = 20;
/// Bytes of the fixed headers of IPv4 and TCP: MTU less MSS.
pub const HEADERS: u16 = 40;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const ICMP_HEADER: usize = 8;
/// Where the checksums are in their headers.
const IP_CHECKSUM: usize = 10;
const TCP_CHECKSUM: usize = 16;

/// The ECN field (RFC 3168 5).
pub mod ecn {
    pub const NOT_ECT: u8 = 0;
    pub const CE: u8 = 3;
}

/// The ends of a connection, as one of them sees them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Ends {
    pub local: (Ipv4Addr, u16),
    pub peer: (Ipv4Addr, u16),
}

impl Ends {
    pub fn reversed(self) -> Self {
        Self {
            local: self.peer,
            peer: self.local,
        }
    }
}

/// A packet under way, or a run of them that travels as one.
#[derive(Clone)]
pub struct Packet {
    pub bytes: Vec<u8>,
    /// Bytes that the largest packet of a run has on a line that takes no runs.
    pub largest: u16,
}

impl Packet {
    pub fn dst(&self) -> Ipv4Addr {
        address(&self.bytes, 16)
    }

    pub fn ecn(&self) -> u8 {
        self.bytes[1] & 3
    }

    /// Sets the ECN field, as a router does it.
    pub fn mark(&mut self, ecn: u8) {
        self.bytes[1] = (self.bytes[1] & !3) | ecn;
        seal_ip(&mut self.bytes);
    }
}

/// What a packet turns out to be.
pub enum Arrival<'a> {
    Segment {
        ends: Ends,
        seg: Segment,
        text: &'a [u8],
    },
    /// A router had to drop a segment of ours: it is larger than `mtu` (RFC 1191).
    TooBig { ends: Ends, seq: u32, mtu: u16 },
}

fn address(bytes: &[u8], at: usize) -> Ipv4Addr {
    Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3])
}

fn number(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn put(bytes: &mut [u8], at: usize, n: u16) {
    bytes[at..at + 2].copy_from_slice(&n.to_be_bytes());
}

/// The sum of the Internet checksum (RFC 1071) over `bytes`, added to `sum`.
fn add(sum: u64, bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(2);
    let whole: u64 = words
        .by_ref()
        .map(|word| u64::from(u16::from_be_bytes([word[0], word[1]])))
        .sum();
    let last = words.remainder().first().map_or(0, |b| u64::from(*b) << 8);
    sum + whole + last
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// The sum over TCP's pseudo-header, taken from the IPv4 header.
fn pseudo(ip: &[u8], len: usize) -> u64 {
    add(u64::from(TCP) + len as u64, &ip[12..20])
}

fn seal_ip(bytes: &mut [u8]) {
    put(bytes, IP_CHECKSUM, 0);
    let check = !fold(add(0, &bytes[..IP_HEADER]));
    put(bytes, IP_CHECKSUM, check);
}

fn ip_header(bytes: &mut Vec<u8>, protocol: u8, total: usize, src: Ipv4Addr, dst: Ipv4Addr) {
    let total = u16::try_from(total).expect("a packet is at most 64 KiB");
    let mut header = [0; IP_HEADER];
    header[0] = 0x45;
    put(&mut header, 2, total);
    // Don't fragment.
    put(&mut header, 6, 0x4000);
    header[8] = 64;
    header[9] = protocol;
    header[12..16].copy_from_slice(&src.octets());
    header[16..20].copy_from_slice(&dst.octets());
    bytes.extend_from_slice(&header);
}

/// One segment; its text is in two parts, as a ring buffer has it.
fn segment(ends: &Ends, out: &Transmit, text: [&[u8]; 2], id: u16) -> Packet {
    let mut header = [0; MAX_HEADER_LEN];
    let len = out.header(ends.local.1, ends.peer.1, &mut header);
    let total = IP_HEADER + len + text[0].len() + text[1].len();
    let mut bytes = Vec::with_capacity(total);
    ip_header(&mut bytes, TCP, total, ends.local.0, ends.peer.0);
    bytes[1] = out.ecn.bits();
    put(&mut bytes, 4, id);
    seal_ip(&mut bytes);
    bytes.extend_from_slice(&header[..len]);
    bytes.extend_from_slice(text[0]);
    bytes.extend_from_slice(text[1]);
    let check = !fold(add(pseudo(&bytes, total - IP_HEADER), &bytes[IP_HEADER..]));
    put(&mut bytes, IP_HEADER + TCP_CHECKSUM, check);
    let text = out.len.min(u32::from(out.mss)) as usize;
    let largest = if out.len > 0 {
        IP_HEADER + len + text
    } else {
        total
    };
    Packet {
        bytes,
        largest: largest as u16,
    }
}

/// Bytes `from` to `to` of a ring buffer.
pub fn part<'a>(text: (&'a [u8], &'a [u8]), from: usize, to: usize) -> [&'a [u8]; 2] {
    let edge = text.0.len();
    let first = &text.0[from.min(edge)..to.min(edge)];
    let second = &text.1[from.max(edge) - edge..to.max(edge) - edge];
    [first, second]
}

/// What a host sends: a run in one piece if the line takes it so (as over veth), else as the
/// segments that a device makes of it. `id` numbers the packets.
pub fn emit(
    ends: &Ends,
    out: &Transmit,
    text: [&[u8]; 2],
    runs: bool,
    id: &mut u16,
    to: &mut Vec<Packet>,
) {
    let len = text[0].len() + text[1].len();
    assert_eq!(out.len as usize, len);
    let mss = usize::from(out.mss).max(1);
    let step = if runs { len.max(1) } else { mss };
    let mut at = 0;
    loop {
        let end = (at + step).min(len);
        let mut one = *out;
        one.seq = out.seq + at as u32;
        one.len = (end - at) as u32;
        if end < len {
            let tail = (Flags::FIN | Flags::PSH).bits();
            one.flags = Flags::from_bits(out.flags.bits() & !tail);
        }
        *id = id.wrapping_add(1);
        to.push(segment(ends, &one, part((text[0], text[1]), at, end), *id));
        at = end;
        if at >= len {
            return;
        }
    }
}

/// The ICMP error of a router that has to drop `packet` (RFC 1191 4).
pub fn too_big(router: Ipv4Addr, packet: &Packet, mtu: u16) -> Packet {
    let quoted = &packet.bytes[..packet.bytes.len().min(IP_HEADER + 8)];
    let total = IP_HEADER + ICMP_HEADER + quoted.len();
    let mut bytes = Vec::with_capacity(total);
    ip_header(&mut bytes, ICMP, total, router, address(&packet.bytes, 12));
    seal_ip(&mut bytes);
    let [high, low] = mtu.to_be_bytes();
    bytes.extend_from_slice(&[3, 4, 0, 0, 0, 0, high, low]);
    bytes.extend_from_slice(quoted);
    let check = !fold(add(0, &bytes[IP_HEADER..]));
    put(&mut bytes, IP_HEADER + 2, check);
    let largest = total as u16;
    Packet { bytes, largest }
}

/// Whether a router forwards it.
pub fn is_sound(packet: &Packet) -> bool {
    let header = packet.bytes.first_chunk::<IP_HEADER>();
    header.is_some_and(|h| fold(add(0, h)) == 0xffff)
}

/// Reads what arrived; `None` when a checksum is wrong or it is nothing that a host takes.
pub fn read(packet: &Packet) -> Option<Arrival<'_>> {
    let bytes = &packet.bytes;
    let (header, payload) = bytes.split_at_checked(IP_HEADER)?;
    if fold(add(0, header)) != 0xffff || usize::from(number(header, 2)) != bytes.len() {
        return None;
    }
    match header[9] {
        TCP => read_tcp(header, payload),
        ICMP => read_icmp(payload),
        _ => None,
    }
}

fn read_tcp<'a>(header: &[u8], payload: &'a [u8]) -> Option<Arrival<'a>> {
    if fold(add(pseudo(header, payload.len()), payload)) != 0xffff {
        return None;
    }
    let header_len = usize::from(payload.get(12)? >> 4) * 4;
    let text = payload.get(header_len..)?;
    let mut seg = Segment::parse(payload, text.len() as u32).ok()?;
    seg.ecn = Ecn::from_tos(header[1]);
    let ends = Ends {
        local: (address(header, 16), seg.dst_port),
        peer: (address(header, 12), seg.src_port),
    };
    Some(Arrival::Segment { ends, seg, text })
}

fn read_icmp<'a>(payload: &[u8]) -> Option<Arrival<'a>> {
    let (icmp, quoted) = payload.split_at_checked(ICMP_HEADER)?;
    if fold(add(0, payload)) != 0xffff || icmp[..2] != [3, 4] || quoted.len() < IP_HEADER + 8 {
        return None;
    }
    let tcp = &quoted[IP_HEADER..];
    Some(Arrival::TooBig {
        ends: Ends {
            local: (address(quoted, 12), number(tcp, 0)),
            peer: (address(quoted, 16), number(tcp, 2)),
        },
        seq: u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]),
        mtu: number(icmp, 6),
    })
}
