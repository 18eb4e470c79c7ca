// SPDX-License-Identifier: GPL-2.0

//! oxtcp: a socket family with a TCP of its own.
//!
//! [`tcp`] is the protocol, [`socket`] what the system calls do, [`net`] the way to the kernel.

use kernel::prelude::*;

pub mod net;
pub mod socket;
pub mod tcp;

module! {
    type: Module,
    name: "oxtcp",
    authors: ["The oxtcp authors"],
    description: "A socket family with a TCP of its own",
    license: "GPL",
    alias: ["net-pf-25"],
}

/// The loaded module. All that it starts is in the registration, which ends it in reverse.
struct Module {
    _family: net::Registration<socket::Oxtcp>,
}

impl kernel::Module for Module {
    fn init(module: &'static ThisModule) -> Result<Self> {
        let family = net::family::parameter();
        let registration = net::Registration::new(family, module)?;
        pr_info!("socket family {}\n", family);
        Ok(Self {
            _family: registration,
        })
    }
}
