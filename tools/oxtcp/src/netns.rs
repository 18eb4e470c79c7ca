// SPDX-License-Identifier: GPL-2.0
//! The `--net` option: another network namespace than the caller's.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use nix::sched::{setns, CloneFlags};

/// Where `ip netns` keeps namespaces.
pub const NAMESPACES: &str = "/run/netns";

/// Which network namespace.
#[derive(clap::Args, Clone, Debug)]
pub struct NetnsArg {
    /// In the network namespace NAME, as ip-netns(8) calls it
    #[arg(short = 'N', long = "net", value_name = "NAME")]
    name: Option<String>,
}

impl NetnsArg {
    /// Moves the calling thread there; threads that it makes later come along.
    pub fn enter(&self) -> Result<()> {
        let Some(name) = &self.name else {
            return Ok(());
        };
        let path = Path::new(NAMESPACES).join(name);
        let file = File::open(&path).with_context(|| {
            format!("there is no network namespace {name} ({})", path.display())
        })?;
        setns(file, CloneFlags::CLONE_NEWNET)
            .with_context(|| format!("cannot enter the network namespace {name}"))
    }
}
