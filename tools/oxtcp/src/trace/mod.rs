// SPDX-License-Identifier: GPL-2.0
//! `oxtcp trace`: what happens to connections, while it happens.

mod flow;
mod output;
mod watch;

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use oxtcp::Family;

use crate::family::{require, FamilyArg};
use crate::netns::NetnsArg;
use crate::observe::now;
use crate::ss::filter::Filter;
use output::Output;
use watch::Watch;

/// Options of `oxtcp trace`.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A JSON object on each line
    #[arg(short, long, conflicts_with = "diagram")]
    json: bool,
    /// A sequence diagram of each connection
    #[arg(short, long)]
    diagram: bool,
    /// At the end write the diagrams to FILE, as SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Also the segments (diagrams always have them)
    #[arg(short = 'S', long)]
    segments: bool,
    /// Colours and Unicode in the diagram, also when standard output is no terminal
    #[arg(long)]
    color: bool,
    /// End after so many events
    #[arg(short, long, value_name = "EVENTS")]
    count: Option<u64>,
    /// End after so many seconds
    #[arg(short, long, value_name = "SECONDS")]
    time: Option<u64>,
    /// Which connections: an expression as in `oxtcp ss`
    #[arg(value_name = "FILTER")]
    filter: Vec<String>,
    /// A program to run meanwhile
    #[arg(last = true, value_name = "CMD")]
    command: Vec<OsString>,
    #[command(flatten)]
    netns: NetnsArg,
    #[command(flatten)]
    family: FamilyArg,
}

const EXAMPLES: &str = "\
Shows changes of state, retransmissions, and segments dropped with the reason for it, until
Ctrl-C or until CMD has ended.
Examples:
  oxtcp trace -d sport = :7000 or dport = :7000
  oxtcp trace --json dst 10.0.0.0/8 | jq 'select(.event == \"drop\")'
  oxtcp trace -d --svg close.svg -- oxtcp run curl http://10.0.0.2/";

/// How long after the end of CMD events are waited for.
const AFTERWARDS: Duration = Duration::from_millis(300);
/// How long, at most, an event is waited for before other things are looked after.
const INTERVAL: Duration = Duration::from_millis(10);

/// Shows what happens.
pub fn main(args: &Args) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("tracepoints and packet sockets are root's: run this as root");
    }
    let family = args.family.get();
    if family != Family::INET {
        require(family)?;
    }
    let filter = Filter::parse(&args.filter)?;
    if filter.states.is_some() {
        bail!("filter: a trace is of all states");
    }
    args.netns.enter()?;
    let interrupted = Interrupted::catch()?;

    let start = now();
    let mut output = Output::new(args, start);
    // Before CMD, so that nothing of it is missed.
    let mut watch = Watch::start(family, output.wants_segments())?;
    let child = match args.command.split_first() {
        None => None,
        Some((program, rest)) => Some(
            interrupted
                .unblocked(|| Command::new(program).args(rest).spawn())?
                .with_context(|| format!("cannot run {}", program.to_string_lossy()))?,
        ),
    };
    let mut end = End::of(args, child);
    while !end.has_come(&interrupted)? && args.count.is_none_or(|count| output.shown() < count) {
        while let Some(event) = watch.next(INTERVAL) {
            if event.passes(&filter) {
                output.show(&event)?;
            }
            if args.count.is_some_and(|count| output.shown() >= count) {
                break;
            }
        }
    }
    if watch.lost() > 0 {
        eprintln!("oxtcp: {} events were lost", watch.lost());
    }
    drop(watch);
    if let Some(path) = &args.svg {
        fs::write(path, output.svg())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    end.outcome()
}

/// SIGINT and SIGTERM, which end the trace but must not leave the trace buffer behind.
struct Interrupted {
    signals: SigSet,
    pending: SignalFd,
}

impl Interrupted {
    /// To be called before threads are made: they inherit that the signals are blocked.
    fn catch() -> Result<Interrupted> {
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGINT);
        signals.add(Signal::SIGTERM);
        signals.add(Signal::SIGHUP);
        signals.thread_block().context("cannot block signals")?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        let pending = SignalFd::with_flags(&signals, flags).context("cannot wait for signals")?;
        Ok(Interrupted { signals, pending })
    }

    fn happened(&self) -> bool {
        matches!(self.pending.read_signal(), Ok(Some(_)))
    }

    /// Does something as if the signals were not blocked: a program that is started inherits it.
    fn unblocked<T>(&self, work: impl FnOnce() -> T) -> Result<T> {
        self.signals
            .thread_unblock()
            .context("cannot unblock signals")?;
        let done = work();
        self.signals
            .thread_block()
            .context("cannot block signals")?;
        Ok(done)
    }
}

/// When the trace is to end.
struct End {
    deadline: Option<Instant>,
    child: Option<Child>,
    /// What became of CMD.
    failure: Option<String>,
}

impl End {
    fn of(args: &Args, child: Option<Child>) -> End {
        let time = args.time.map(Duration::from_secs);
        End {
            deadline: time.map(|time| Instant::now() + time),
            child,
            failure: None,
        }
    }

    fn has_come(&mut self, interrupted: &Interrupted) -> Result<bool> {
        if let Some(status) = self.child.as_mut().and_then(|c| c.try_wait().transpose()) {
            let status = status.context("cannot wait for the program")?;
            self.child = None;
            self.failure = (!status.success()).then(|| status.to_string());
            let soon = Instant::now() + AFTERWARDS;
            self.deadline = Some(self.deadline.map_or(soon, |deadline| deadline.min(soon)));
        }
        let late = self.deadline.is_some_and(|end| Instant::now() >= end);
        Ok(late || interrupted.happened())
    }

    fn outcome(mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            // Ours to end: nobody else waits for it.
            let _ = child.kill();
            child.wait().context("cannot wait for the program")?;
        }
        match self.failure {
            Some(failure) => bail!("the program failed: {failure}"),
            None => Ok(()),
        }
    }
}
