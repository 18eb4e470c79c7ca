// SPDX-License-Identifier: GPL-2.0
//! `oxtcp demo`: connections from socket() to CLOSED, shown as they happen.
//!
//! Observers (`observe`, `watch`) report what the kernel does, each with its time. `stage` puts the
//! reports in order, `world` makes sense of them, `diagram` draws. `act` plays: it makes the calls,
//! and knows what must follow from them.

mod act;
mod data;
mod event;
mod network;
mod stage;
mod tally;
mod verdict;
mod watch;
mod world;

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{bail, Result};
use oxtcp::Family;

use crate::diagram::{Ink, Pen, Side};
use crate::family::{require, FamilyArg};
use act::Act;
use network::Network;
use stage::print_line;

/// Time for reading a line.
const PACE: Duration = Duration::from_millis(150);
/// The acts' first port.
const FIRST_PORT: u16 = 7001;

/// Options of `oxtcp demo`.
#[derive(clap::Args)]
pub struct Args {
    /// No pauses for reading
    #[arg(long)]
    fast: bool,
    /// Colours and Unicode, also when standard output is no terminal
    #[arg(long, overrides_with = "no_color")]
    color: bool,
    /// Neither colours nor Unicode
    #[arg(long)]
    no_color: bool,
    /// MiB sent each way
    #[arg(long, default_value_t = 16, value_name = "MIB")]
    mib: u64,
    /// Only this act
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=3))]
    act: Option<u8>,
    #[command(flatten)]
    family: FamilyArg,
}

/// Plays the acts; fails when anything was not as it should be.
pub fn main(args: &Args) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("network namespaces and tracepoints are root's: run this as root");
    }
    let ours = args.family.get();
    require(ours)?;
    let no_color = args.no_color || std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    let terminal = std::io::stdout().is_terminal();
    let pen = Pen {
        rich: args.color || (terminal && !no_color),
    };
    let pace = if args.fast { Duration::ZERO } else { PACE };

    let plays = [
        (ours, Family::INET, Side::Server),
        (Family::INET, ours, Side::Client),
        (ours, ours, Side::Client),
    ];
    let acts = plays
        .iter()
        .zip(1u8..)
        .filter(|&(_, number)| args.act.is_none_or(|only| only == number));
    let mut failed = Vec::new();
    for (&(server, client, closes_first), number) in acts {
        let act = Act {
            client,
            server,
            closes_first,
            port: FIRST_PORT + u16::from(number) - 1,
            bytes: args.mib << 20,
            time_wait: Duration::from_millis(if args.fast { 500 } else { 2000 }),
        };
        print_line("");
        print_line(&pen.rule(&format!("Act {number}: {server} server, {client} client")));
        print_line("");
        let network = Network::set_up()?;
        if let Err(e) = act.play(&network, pen, pace) {
            print_line("");
            print_line(&pen.ink(Ink::Bad, &format!("Not as it should be: {e:#}")));
            failed.push(number.to_string());
        }
    }
    if !failed.is_empty() {
        bail!("the demo failed (act {})", failed.join(", "));
    }
    print_line("");
    print_line(&pen.rule("What to try next"));
    print_line(NEXT);
    Ok(())
}

const NEXT: &str = "
  make test                                  every test
  tools/vm/run -- bash -c 'COMMANDS'         your own commands in the same machine, for example:
    oxtcp listen -k --echo 7000 &            an echo server on oxtcp
    date | oxtcp connect 127.0.0.1 7000      a client of it
    oxtcp run python3 -m http.server 8000 &  an unmodified program on oxtcp
    oxtcp ss -anpi                           what their sockets do
    tcpdump -ni lo tcp                       what is on the wire: it is plain TCP
  README.md                                  oxtcp from your own program, in C or Rust
";
