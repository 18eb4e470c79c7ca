// SPDX-License-Identifier: GPL-2.0

//! A capture as tcpdump and Wireshark read it: the classic pcap format, raw IPv4.

use std::io;
use std::path::{Path, PathBuf};

/// The file's magic number: times in microseconds.
const MAGIC: u32 = 0xa1b2_c3d4;
/// LINKTYPE_RAW: the packets begin with their IP header.
const LINKTYPE_RAW: u32 = 101;
const MOST_BYTES: u32 = 0x4_0000;

/// What one host's interface saw, both ways.
pub struct Pcap {
    bytes: Vec<u8>,
}

impl Pcap {
    pub fn new() -> Self {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&MAGIC.to_le_bytes());
        bytes.extend_from_slice(&2u16.to_le_bytes());
        bytes.extend_from_slice(&4u16.to_le_bytes());
        for field in [0, 0, MOST_BYTES, LINKTYPE_RAW] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        Self { bytes }
    }

    /// A packet at `now`, µs.
    pub fn record(&mut self, now: u64, packet: &[u8]) {
        let len = packet.len() as u32;
        for field in [(now / 1_000_000) as u32, (now % 1_000_000) as u32, len, len] {
            self.bytes.extend_from_slice(&field.to_le_bytes());
        }
        self.bytes.extend_from_slice(packet);
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Writes it as `name`.pcap where tests keep their files, or into `OXTCP_SIM_PCAP`.
    pub fn save(&self, name: &str) -> io::Result<PathBuf> {
        let dir = std::env::var("OXTCP_SIM_PCAP");
        let dir = dir.unwrap_or_else(|_| env!("CARGO_TARGET_TMPDIR").into());
        std::fs::create_dir_all(&dir)?;
        let path = Path::new(&dir).join(format!("{name}.pcap"));
        std::fs::write(&path, &self.bytes)?;
        Ok(path)
    }
}
