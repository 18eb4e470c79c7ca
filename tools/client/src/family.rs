// SPDX-License-Identifier: GPL-2.0
//! The number of the socket family.

use std::fmt;
use std::io;

use socket2::{Domain, Protocol, Socket, Type};

/// A socket family whose `SOCK_STREAM` is TCP over IPv4: oxtcp's, or the kernel's own for
/// comparison.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Family(u8);

impl Family {
    /// `AF_OXTCP`'s number unless the module was loaded with another (`family=`).
    pub const DEFAULT: Family = Family(25);
    /// `AF_INET`: the kernel's own TCP.
    pub const INET: Family = Family(2);

    /// A family by its number, which is not checked: making a socket fails with `EAFNOSUPPORT` when
    /// it is no family.
    pub const fn new(number: u8) -> Family {
        Family(number)
    }

    /// The number as `socket()` takes it.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// The number that the loaded module has: from the environment variable `OXTCP_FAMILY` if it is
    /// set, else as the module publishes it, else [`Family::DEFAULT`].
    pub fn running() -> Family {
        let set = std::env::var("OXTCP_FAMILY").ok();
        let published = || std::fs::read_to_string("/sys/module/oxtcp/parameters/family").ok();
        let number = |text: String| text.trim().parse().ok();
        set.and_then(number)
            .or_else(|| published().and_then(number))
            .map_or(Family::DEFAULT, Family)
    }

    /// A new TCP socket of this family, close-on-exec.
    pub(crate) fn socket(self) -> io::Result<Socket> {
        Socket::new(
            Domain::from(i32::from(self.0)),
            Type::STREAM,
            Some(Protocol::TCP),
        )
    }
}

/// `AF_INET` for number 2, `AF_OXTCP` for any other.
impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if *self == Family::INET {
            "AF_INET"
        } else {
            "AF_OXTCP"
        })
    }
}
