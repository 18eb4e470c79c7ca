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

/// The identity of a connection between the ends of `tuple` that begins now.
pub(super) fn of(tuple: &FourTuple, now: Instant) -> Identity {
    let hash = random::tuple_hash(tuple, ISS_SALT);
    Identity {
        iss: initial_sequence(hash as u32, now),
        ts_offset: (hash >> 32) as u32,
    }
}
