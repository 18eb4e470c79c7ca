// SPDX-License-Identifier: GPL-2.0
//! The `--family` option, and errors that name what is missing.

use std::io;
use std::net::TcpListener;

use anyhow::{anyhow, Result};
use nix::errno::Errno;
use oxtcp::Family;

/// `EAFNOSUPPORT`, which `std::io` has no kind for.
const NO_SUCH_FAMILY: i32 = Errno::EAFNOSUPPORT as i32;

/// Which family's sockets.
#[derive(clap::Args, Clone, Debug)]
pub struct FamilyArg {
    /// Socket family: oxtcp, inet (the kernel's own TCP, for comparison) or a number
    #[arg(long, value_name = "FAMILY", default_value = "oxtcp", value_parser = parse)]
    family: Family,
}

impl FamilyArg {
    /// The family chosen.
    pub fn get(&self) -> Family {
        self.family
    }
}

fn parse(text: &str) -> Result<Family, String> {
    match text {
        "oxtcp" => Ok(Family::running()),
        "inet" => Ok(Family::INET),
        number => number
            .parse()
            .map(Family::new)
            .map_err(|_| "expected oxtcp, inet or a number below 256".to_owned()),
    }
}

/// Adds what to do to an error of a call that made a socket.
pub fn explain(error: io::Error, family: Family, what: &str) -> anyhow::Error {
    if error.raw_os_error() == Some(NO_SUCH_FAMILY) {
        not_loaded(family)
    } else {
        anyhow!(error).context(what.to_owned())
    }
}

fn not_loaded(family: Family) -> anyhow::Error {
    anyhow!(
        "the kernel has no socket family {}: the module is not loaded (insmod oxtcp.ko); \
         where it was loaded with another number (family=N), set OXTCP_FAMILY=N",
        family.number()
    )
}

/// Fails with what to do when no socket of `family` can be made.
pub fn require(family: Family) -> Result<()> {
    // Port 0 of loopback can be bound whenever the family is there at all.
    match oxtcp::TcpListener::bind_in(family, "127.0.0.1:0", 1)
        .map(|l| -> TcpListener { l.into_std() })
    {
        Err(e) if e.raw_os_error() == Some(NO_SUCH_FAMILY) => Err(not_loaded(family)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(parse("inet"), Ok(Family::INET));
        assert_eq!(parse("31"), Ok(Family::new(31)));
        assert!(parse("256").is_err());
        assert!(parse("").is_err());
    }

    #[test]
    fn a_missing_module_is_named() {
        let missing = require(Family::new(255)).unwrap_err().to_string();
        assert!(missing.contains("not loaded"), "{missing}");
        assert!(require(Family::INET).is_ok());
    }
}
