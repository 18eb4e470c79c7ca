// SPDX-License-Identifier: GPL-2.0
//! `oxtcp run`: an unmodified program with its TCP sockets moved to oxtcp.

mod program;
pub mod supervisor;

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{anyhow, bail, Context, Result};

use crate::family::{require, FamilyArg};
use program::Obstacle;

const LIBRARY: &str = "liboxtcp_preload.so";

/// Options of `oxtcp run`.
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// By a seccomp filter and a supervisor instead of a preloaded library: for programs in Go, and
    /// those that are linked statically
    #[arg(short, long)]
    seccomp: bool,
    /// Refuse TCP sockets of IPv6, so that programs which would take them for both (Java, Node)
    /// take IPv4's
    #[arg(short = '4', long)]
    ipv4_only: bool,
    /// The program and its arguments
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        required = true,
        value_name = "CMD"
    )]
    command: Vec<OsString>,
    #[command(flatten)]
    family: FamilyArg,
}

const HELP: &str = "\
Only socket(AF_INET, SOCK_STREAM, 0 or IPPROTO_TCP) is changed. What CMD runs is moved too, unless
its environment is cleared.
Examples:
  oxtcp run curl http://10.0.0.2/
  oxtcp run -4 java Server.java
  oxtcp run --seccomp ./a-program-in-go";

/// Becomes the program; returns only when that fails.
pub fn main(args: &Args) -> Result<()> {
    let family = args.family.get();
    require(family)?;
    let (program, arguments) = args.command.split_first().context("no program is named")?;
    let file = program::find(program).map(|path| program::interpreter_of(&path));
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("OXTCP_FAMILY", family.number().to_string());
    if args.seccomp {
        if let Some(path) = file.filter(|path| program::gains_privileges(path)) {
            if !nix::unistd::geteuid().is_root() {
                bail!(
                    "{} gains privileges when it is run, which a filter forbids: run this as root",
                    path.display()
                );
            }
        }
        supervisor::enter(family, args.ipv4_only)?;
    } else {
        if let Some(path) = file {
            if let Some(obstacle) = program::obstacle(&path) {
                bail!("{}", explain(&path, obstacle));
            }
        }
        let mut preload = find_library()?.into_os_string();
        if let Some(others) = std::env::var_os("LD_PRELOAD").filter(|others| !others.is_empty()) {
            preload.push(":");
            preload.push(others);
        }
        command.env("LD_PRELOAD", preload);
        if args.ipv4_only {
            command.env("OXTCP_IPV4_ONLY", "1");
        }
    }
    let error = command.exec();
    Err(anyhow!(error).context(format!("cannot run {}", program.to_string_lossy())))
}

/// Why a program cannot be moved by a library, and what can be done.
fn explain(path: &Path, obstacle: Obstacle) -> String {
    let (why, what) = match obstacle {
        Obstacle::Static => (
            "is linked statically: no library can be put under it",
            "use oxtcp run --seccomp",
        ),
        Obstacle::Go => (
            "is a program in Go: it calls the kernel itself, past any library",
            "use oxtcp run --seccomp",
        ),
        Obstacle::Privileged => (
            "gains privileges when it is run (setuid, setgid or capabilities): the loader puts no \
             library under such a program",
            "run it as its owner, or as root with oxtcp run --seccomp",
        ),
    };
    format!("{} {why}; {what}", path.display())
}

/// The library beside this program, where it was built, or where it was installed.
fn find_library() -> Result<PathBuf> {
    let exe = std::env::current_exe().context("cannot tell where this program is")?;
    let dir = exe.parent().unwrap_or(Path::new("/"));
    let places = ["", "../release", "../lib", "../lib/oxtcp"];
    places
        .iter()
        .map(|place| dir.join(place).join(LIBRARY))
        .find(|path| path.exists())
        .and_then(|path| path.canonicalize().ok())
        .with_context(|| {
            format!(
                "{LIBRARY} is not beside {}: build it (cargo build --release -p oxtcp-preload)",
                exe.display()
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_obstacle_is_told_with_a_way_round_it() {
        for obstacle in [Obstacle::Static, Obstacle::Go, Obstacle::Privileged] {
            let text = explain(Path::new("/bin/x"), obstacle);
            assert!(text.starts_with("/bin/x "), "{text}");
            assert!(text.contains("oxtcp run --seccomp"), "{text}");
        }
    }
}
