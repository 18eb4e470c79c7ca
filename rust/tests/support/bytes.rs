// SPDX-License-Identifier: GPL-2.0

//! Segments as the bytes that go over the wire, with the Internet checksum (without the
//! pseudo-header: there is no IP here).

use oxtcp_core::tcp::segment::{Flags, Segment, Transmit, MAX_HEADER_LEN};

/// Where the checksum is in a header.
const CHECKSUM: usize = 16;

fn sum(bytes: &[u8]) -> u16 {
    let mut sum = 0u64;
    let mut words = bytes.chunks_exact(2);
    for word in &mut words {
        sum += u64::from(u16::from_be_bytes([word[0], word[1]]));
    }
    if let [last] = words.remainder() {
        sum += u64::from(*last) << 8;
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// One segment with its text.
pub fn emit(out: &Transmit, ports: (u16, u16), text: &[u8]) -> Vec<u8> {
    assert_eq!(out.len as usize, text.len());
    let mut header = [0; MAX_HEADER_LEN];
    let len = out.header(ports.0, ports.1, &mut header);
    let mut bytes = Vec::with_capacity(len + text.len());
    bytes.extend_from_slice(&header[..len]);
    bytes.extend_from_slice(text);
    let check = !sum(&bytes);
    bytes[CHECKSUM..CHECKSUM + 2].copy_from_slice(&check.to_be_bytes());
    bytes
}

/// A run as the segments that a device makes of it, each with its text; `text` is the run's.
pub fn split(out: &Transmit, text: &[u8]) -> Vec<(Transmit, Vec<u8>)> {
    let mss = usize::from(out.mss).max(1);
    if text.len() <= mss {
        return vec![(*out, text.to_vec())];
    }
    let parts = text.chunks(mss);
    let last = parts.len() - 1;
    parts
        .enumerate()
        .map(|(i, part)| {
            let mut one = *out;
            one.seq = out.seq + (i * mss) as u32;
            one.len = part.len() as u32;
            if i != last {
                let tail = (Flags::FIN | Flags::PSH).bits();
                one.flags = Flags::from_bits(out.flags.bits() & !tail);
            }
            if i != 0 && !out.accurate_ecn {
                one.flags = one.flags.without(Flags::CWR);
            }
            (one, part.to_vec())
        })
        .collect()
}

/// Reads a segment: `None` when its checksum is wrong or it has no header.
pub fn read(bytes: &[u8]) -> Option<(Segment, Vec<u8>)> {
    if sum(bytes) != 0xffff {
        return None;
    }
    let header_len = usize::from(bytes.get(12)? >> 4) * 4;
    let text = bytes.get(header_len..)?;
    let seg = Segment::parse(bytes, text.len() as u32).ok()?;
    Some((seg, text.to_vec()))
}
