// SPDX-License-Identifier: GPL-2.0
//! Which of the addresses a name stands for are tried.

use std::io;
use std::net::{SocketAddr, SocketAddrV4, ToSocketAddrs};

/// Calls `attempt` with each IPv4 address of `addrs` until one succeeds.
///
/// # Errors
///
/// The last attempt's error; `InvalidInput` when there is no IPv4 address at all.
pub(crate) fn first_that_works<T>(
    addrs: impl ToSocketAddrs,
    mut attempt: impl FnMut(SocketAddrV4) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = io::Error::new(io::ErrorKind::InvalidInput, "no IPv4 address");
    for addr in addrs.to_socket_addrs()? {
        let SocketAddr::V4(addr) = addr else { continue };
        match attempt(addr) {
            Ok(made) => return Ok(made),
            Err(e) => last = e,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addr(s: &str) -> SocketAddr {
        s.parse().unwrap()
    }

    #[test]
    fn skips_ipv6_and_stops_at_the_first_success() {
        let addrs = [
            addr("[::1]:1"),
            addr("10.0.0.1:1"),
            addr("10.0.0.2:1"),
            addr("10.0.0.3:1"),
        ];
        let mut tried = Vec::new();
        let got = first_that_works(&addrs[..], |a| {
            tried.push(a.ip().octets()[3]);
            if tried.len() == 2 {
                Ok("made")
            } else {
                Err(io::ErrorKind::ConnectionRefused.into())
            }
        });
        assert_eq!(got.unwrap(), "made");
        assert_eq!(tried, [1, 2]);
    }

    #[test]
    fn reports_the_last_error() {
        let addrs = [addr("10.0.0.1:1"), addr("10.0.0.2:1")];
        let mut kinds = [io::ErrorKind::AddrInUse, io::ErrorKind::ConnectionRefused].into_iter();
        let got = first_that_works(&addrs[..], |_| Err::<(), _>(kinds.next().unwrap().into()));
        assert_eq!(got.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn ipv6_alone_is_invalid_input() {
        let got = first_that_works(addr("[::1]:1"), |_| Ok(()));
        assert_eq!(got.unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}
