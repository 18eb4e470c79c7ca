// SPDX-License-Identifier: GPL-2.0
//! `oxtcp`: look at `AF_OXTCP` sockets, use them from a shell, see how TCP works.

#![forbid(unsafe_code)]

mod demo;
mod diag;
mod diagram;
mod ends;
mod family;
mod generate;
mod monitor;
mod netns;
mod observe;
mod run;
mod ss;
mod stat;
mod state;
mod trace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Look at and use the sockets of oxtcp, a TCP in a loadable kernel module
#[derive(Parser)]
#[command(name = "oxtcp", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List sockets, in the columns of ss(8)
    Ss(ss::Args),
    /// Show counters, in the way of nstat(8)
    Stat(stat::Args),
    /// Show what happens to connections, while it happens (as root)
    Trace(trace::Args),
    /// Watch connections on a full screen: rates, round-trip times, windows
    Monitor(monitor::Args),
    /// Accept a connection and join it to standard input and output
    Listen(ends::ListenArgs),
    /// Connect, and join the connection to standard input and output
    Connect(ends::ConnectArgs),
    /// Run a program with its TCP sockets moved to oxtcp
    Run(run::Args),
    #[command(hide = true)]
    Generate(generate::Args),
    #[command(hide = true)]
    Supervise(run::supervisor::Args),
    /// Show connections from socket() to CLOSED, segment by segment (as root)
    Demo(demo::Args),
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Ss(args) => ss::main(&args),
        Command::Stat(args) => stat::main(&args),
        Command::Trace(args) => trace::main(&args),
        Command::Monitor(args) => monitor::main(&args),
        Command::Listen(args) => ends::listen(&args),
        Command::Connect(args) => ends::connect(&args),
        Command::Run(args) => run::main(&args),
        Command::Generate(args) => generate::main(&args),
        Command::Supervise(args) => run::supervisor::main(&args),
        Command::Demo(args) => demo::main(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has seen enough.
        Err(e) if is_broken_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("oxtcp: {e:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether standard output's reader went away.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<ss::OutputError>()
        .is_some_and(|e| e.is_broken_pipe())
}
