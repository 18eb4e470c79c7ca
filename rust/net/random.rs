// SPDX-License-Identifier: GPL-2.0

//! Random numbers and keyed hashes.

use super::bindings as b;
use super::*;
use core::net::Ipv4Addr;

/// A number nobody can guess.
pub fn random_u32() -> u32 {
    // SAFETY: Callable in any context.
    unsafe { b::get_random_u32() }
}

/// SipHash of a 4-tuple under a key that is made once per boot: for ISNs (RFC 6528), timestamp
/// offsets and port choice (RFC 6056). `salt` gives independent values of the same tuple.
pub fn tuple_hash(tuple: &FourTuple, salt: u32) -> u64 {
    // SAFETY: The tuple is valid.
    unsafe { b::ox_tuple_siphash(&tuple.wire(), salt) }
}

/// A hash of a 4-tuple and a number for SYN cookies, under a key of their own that is made once per
/// boot.
pub fn cookie_hash(tuple: &FourTuple, count: u32) -> u32 {
    // SAFETY: The tuple is valid.
    unsafe { b::ox_cookie_hash(&tuple.wire(), count) }
}

/// A key of Fast Open cookies.
pub type FastOpenKey = [u64; 2];

/// The Fast Open cookie of `client` at `server` under `key`: `AF_INET` gives the same.
pub fn fast_open_hash(client: Ipv4Addr, server: Ipv4Addr, key: &FastOpenKey) -> u64 {
    let (client, server) = (addr::to_be32(client), addr::to_be32(server));
    // SAFETY: The key has two words.
    unsafe { b::ox_fastopen_hash(client, server, key.as_ptr()) }
}

/// The keys of `net` (`tcp_fastopen_key`), the present one first; one that is made once per boot
/// while nobody has set any.
pub fn fast_open_keys<F: Family>(net: &NetNs<F>) -> [Option<FastOpenKey>; 2] {
    let mut raw = [0; 4];
    // SAFETY: There is room for two keys; the namespace is alive.
    let count = unsafe { b::ox_fastopen_keys(net.raw(), raw.as_mut_ptr()) };
    let [a, b, c, d] = raw;
    [Some([a, b]), (count > 1).then_some([c, d])]
}
