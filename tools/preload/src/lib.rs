// SPDX-License-Identifier: GPL-2.0
//! `liboxtcp_preload.so`: with `LD_PRELOAD` an unmodified program's TCP sockets become oxtcp's.
//!
//! Only `socket(AF_INET, SOCK_STREAM, 0 or IPPROTO_TCP)` is changed, and of it only the family;
//! every other call goes to the kernel as it is. There is no silent way back to `AF_INET`: while
//! the module is not loaded, the program sees `EAFNOSUPPORT`.
//!
//! With `OXTCP_IPV4_ONLY` in the environment, `socket(AF_INET6, SOCK_STREAM, ...)` fails with
//! `EAFNOSUPPORT`, as on a machine without IPv6: programs that would take such a socket for IPv4
//! too (Java, Node) then take one of `AF_INET`.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::OnceLock;

use libc::{c_int, c_long};
use oxtcp::Family;

/// A family that no kernel has: `socket` fails with `EAFNOSUPPORT`.
const NO_FAMILY: c_int = 255;

/// The family asked of the kernel in place of `domain`.
fn rewritten(
    domain: c_int,
    kind: c_int,
    protocol: c_int,
    oxtcp: impl Fn() -> c_int,
    ipv4_only: impl Fn() -> bool,
) -> c_int {
    let kind = kind & !(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC);
    let tcp = kind == libc::SOCK_STREAM && (protocol == 0 || protocol == libc::IPPROTO_TCP);
    match domain {
        libc::AF_INET if tcp => oxtcp(),
        libc::AF_INET6 if tcp && ipv4_only() => NO_FAMILY,
        _ => domain,
    }
}

/// Whether the environment, as it was at the first such call, asks for IPv4 alone.
fn ipv4_only() -> bool {
    static ASKED: OnceLock<bool> = OnceLock::new();
    *ASKED.get_or_init(|| std::env::var_os("OXTCP_IPV4_ONLY").is_some_and(|v| !v.is_empty()))
}

/// The loaded module's number, looked up once: the module cannot change it while sockets are open.
fn running_family() -> c_int {
    static FAMILY: AtomicI32 = AtomicI32::new(0);
    match FAMILY.load(Ordering::Relaxed) {
        0 => {
            let family = Family::running().number().into();
            FAMILY.store(family, Ordering::Relaxed);
            family
        }
        family => family,
    }
}

/// As `socket(2)`, with the family of a TCP socket changed.
#[no_mangle]
pub extern "C" fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int {
    let domain = rewritten(domain, kind, protocol, running_family, ipv4_only);
    // SAFETY: socket(2) takes three integers and touches no memory of ours. libc's wrapper sets
    // errno as the C library's `socket` does.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_socket,
            c_long::from(domain),
            c_long::from(kind),
            c_long::from(protocol),
        )
    };
    // A descriptor and -1 both fit.
    fd as c_int
}

#[cfg(test)]
mod tests {
    use super::*;
    use libc::{
        AF_INET, AF_INET6, AF_UNIX, IPPROTO_SCTP, IPPROTO_TCP, IPPROTO_UDP, SOCK_CLOEXEC,
        SOCK_DGRAM, SOCK_NONBLOCK, SOCK_RAW, SOCK_STREAM,
    };

    const IPPROTO_MPTCP: c_int = 262;

    #[test]
    fn tcp_sockets_change_their_family() {
        for kind in [
            SOCK_STREAM,
            SOCK_STREAM | SOCK_NONBLOCK,
            SOCK_STREAM | SOCK_CLOEXEC,
            SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
        ] {
            for protocol in [0, IPPROTO_TCP] {
                assert_eq!(rewritten(AF_INET, kind, protocol, || 77, || true), 77);
            }
        }
    }

    #[test]
    fn everything_else_stays() {
        for (domain, kind, protocol) in [
            (AF_INET, SOCK_DGRAM, 0),
            (AF_INET, SOCK_DGRAM, IPPROTO_UDP),
            (AF_INET, SOCK_STREAM, IPPROTO_SCTP),
            (AF_INET, SOCK_STREAM, IPPROTO_MPTCP),
            (AF_INET, SOCK_RAW, IPPROTO_TCP),
            (AF_INET6, SOCK_STREAM, 0),
            (AF_UNIX, SOCK_STREAM, 0),
            (AF_INET, 0, 0),
            (AF_INET, SOCK_STREAM | 0x100, 0),
        ] {
            let asked = rewritten(domain, kind, protocol, || 77, || false);
            assert_eq!(asked, domain);
        }
    }

    #[test]
    fn ipv6_is_refused_when_ipv4_alone_is_asked_for() {
        let asked = |domain, kind| rewritten(domain, kind, 0, || 77, || true);
        assert_eq!(asked(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC), NO_FAMILY);
        assert_eq!(asked(AF_INET6, SOCK_DGRAM), AF_INET6);
        assert_eq!(asked(AF_UNIX, SOCK_STREAM), AF_UNIX);
    }
}
