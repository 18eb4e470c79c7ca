// SPDX-License-Identifier: GPL-2.0

//! Random numbers and keyed hashes.

use super::bindings as b;
use super::*;

/// A number nobody can guess.
pub fn random_u32() -> u32 {
    // SAFETY: Callable in any context.
    unsafe { b::get_random_u32() }
}

/// SipHash of a 4-tuple under a key that is made once per boot: for ISNs (RFC 6528), timestamp
/// offsets and port choice (RFC 6056). `salt` gives independent values of the same tuple; 0 is that
/// of the established table, so choose another.
pub fn tuple_hash(tuple: &FourTuple, salt: u32) -> u64 {
    // SAFETY: The tuple is valid.
    unsafe { b::ox_tuple_siphash(&tuple.wire(), salt) }
}

/// A hash of a 4-tuple and a number for SYN cookies, under one of two keys that are made once per
/// boot, which the inner and the outer hash have.
pub fn cookie_hash(tuple: &FourTuple, count: u32, inner: bool) -> u32 {
    // SAFETY: The tuple is valid.
    unsafe { b::ox_cookie_hash(&tuple.wire(), count, inner) }
}
