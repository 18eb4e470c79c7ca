// SPDX-License-Identifier: GPL-2.0

//! What a connection starts from and nobody may guess: its ISS and its timestamp offset, from
//! keyed hashes of its ends (RFC 6528, RFC 7323 5.4).

use crate::net::{random, FourTuple};
use crate::tcp::config::{initial_sequence, Identity};
use crate::tcp::time::Instant;

/// Another than that of the ports: which are chosen says nothing of the ISS.
const ISS_SALT: u32 = 2;
/// Salt of the hash that ephemeral ports are chosen by (RFC 6056).
pub(super) const PORT_SALT: u32 = 1;
/// Salt of the hash by which one of the listeners that share a port is chosen.
pub(super) const GROUP_SALT: u32 = 3;

/// What the identity of a connection is made of, whenever it begins.
#[derive(Clone, Copy)]
pub(super) struct Seed {
    /// What the clock is added to for the ISS.
    pub(super) number: u32,
    pub(super) ts_offset: u32,
}

impl Seed {
    /// That of connections between the ends of `tuple`.
    pub(super) fn of(tuple: &FourTuple) -> Self {
        let hash = random::tuple_hash(tuple, ISS_SALT);
        Self {
            number: hash as u32,
            ts_offset: (hash >> 32) as u32,
        }
    }

    /// The identity of one that begins now.
    pub(super) fn at(self, now: Instant) -> Identity {
        Identity {
            iss: initial_sequence(self.number, now),
            ts_offset: self.ts_offset,
        }
    }
}

/// The identity of a connection between the ends of `tuple` that begins now.
pub(super) fn of(tuple: &FourTuple, now: Instant) -> Identity {
    Seed::of(tuple).at(now)
}
