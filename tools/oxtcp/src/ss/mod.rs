// SPDX-License-Identifier: GPL-2.0
//! `oxtcp ss`: the table of sockets.

mod processes;
mod services;
pub mod table;

use std::fmt;
use std::io::{self, Write};

use anyhow::Result;
use oxtcp::Family;

use crate::diag::{SockDiag, Socket};
use crate::family::FamilyArg;
use crate::state::State;
use processes::Processes;
use services::Services;
pub use table::Table;

/// Options of `oxtcp ss`.
///
/// As in ss(8), a listener's Recv-Q is the length of its accept queue and Send-Q that queue's
/// limit; Syn-Q is the length of its SYN queue.
#[derive(clap::Args)]
pub struct Args {
    /// Only listening sockets
    #[arg(short, long)]
    listening: bool,
    /// All: also listening, SYN-RECV and TIME-WAIT
    #[arg(short, long)]
    all: bool,
    /// Numbers, not the names of services
    #[arg(short, long)]
    numeric: bool,
    /// The processes that hold the sockets
    #[arg(short, long)]
    processes: bool,
    /// What TCP knows of the connection
    #[arg(short, long)]
    info: bool,
    /// Memory in use
    #[arg(short, long)]
    memory: bool,
    /// No line of headings
    #[arg(short = 'H', long)]
    no_header: bool,
    /// End (abort) the sockets listed, and list them
    #[arg(short = 'K', long)]
    kill: bool,
    /// Accepted for ss's sake: the timer is always shown
    #[arg(short, long, hide = true)]
    options: bool,
    /// Accepted for ss's sake: there is nothing but TCP
    #[arg(short, long, hide = true)]
    tcp: bool,
    /// Accepted for ss's sake: there is nothing but IPv4
    #[arg(short = '4', long, hide = true)]
    ipv4: bool,
    #[command(flatten)]
    family: FamilyArg,
}

impl Args {
    /// The states to list, as `ss` chooses them.
    fn states(&self) -> u32 {
        let all = State::ALL.iter().fold(0, |mask, state| mask | state.bit());
        let not_connections = State::Listen.bit() | State::Closed.bit();
        let small = State::TimeWait.bit() | State::SynReceived.bit();
        match (self.all, self.listening) {
            (true, _) => all,
            (false, true) => State::Listen.bit(),
            (false, false) => all & !not_connections & !small,
        }
    }
}

/// Lists the sockets as `args` ask.
pub fn main(args: &Args) -> Result<()> {
    let family = args.family.get();
    let diag = SockDiag::open()?;
    let sockets = list(&diag, family, args.states())?;
    let table = Table {
        header: !args.no_header,
        syn_queue: args.all || args.listening,
        info: args.info,
        memory: args.memory,
        services: (!args.numeric).then(Services::load),
        processes: args.processes.then(Processes::scan),
    };
    io::stdout()
        .write_all(table.render(&sockets).as_bytes())
        .map_err(OutputError)?;
    if args.kill {
        for socket in &sockets {
            diag.destroy(family, socket.id)?;
        }
    }
    Ok(())
}

/// The sockets in `states`, the length of the SYN queue filled in for each listener.
pub fn list(diag: &SockDiag, family: Family, states: u32) -> Result<Vec<Socket>> {
    let listen = states & State::Listen.bit();
    let mut sockets = diag.dump(
        family,
        states
            | if listen != 0 {
                State::SynReceived.bit()
            } else {
                0
            },
    )?;
    count_syn_queues(&mut sockets);
    sockets.retain(|socket| states & socket.state.bit() != 0);
    Ok(sockets)
}

/// AF_INET does not tell the length of a SYN queue; but its entries are in the list.
fn count_syn_queues(sockets: &mut [Socket]) {
    let half_open: Vec<_> = sockets
        .iter()
        .filter(|s| s.state == State::SynReceived)
        .map(|s| s.local)
        .collect();
    for listener in sockets.iter_mut().filter(|s| s.state == State::Listen) {
        let ours = |local: &&std::net::SocketAddrV4| {
            local.port() == listener.local.port()
                && (listener.local.ip().is_unspecified() || local.ip() == listener.local.ip())
        };
        let counted = half_open.iter().filter(ours).count() as u32;
        listener.syn_queue.get_or_insert(counted);
    }
}

/// Standard output could not be written.
#[derive(Debug)]
pub struct OutputError(io::Error);

impl OutputError {
    /// Because its reader is gone, as in `oxtcp ss | head -1`.
    pub fn is_broken_pipe(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write: {}", self.0)
    }
}

impl std::error::Error for OutputError {}

#[cfg(test)]
mod tests {
    use super::table::tests::{connection, listener};
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Wrapper {
        #[command(flatten)]
        args: Args,
    }

    fn states(options: &[&str]) -> u32 {
        Wrapper::parse_from([&["ss"], options].concat())
            .args
            .states()
    }

    #[test]
    fn states_are_chosen_as_by_ss() {
        assert_eq!(states(&["-l"]), State::Listen.bit());
        assert_eq!(states(&["-lntp4"]), State::Listen.bit());
        assert_eq!(
            states(&[]) & State::Established.bit(),
            State::Established.bit()
        );
        for hidden in [
            State::Listen,
            State::Closed,
            State::TimeWait,
            State::SynReceived,
        ] {
            assert_eq!(states(&["-n"]) & hidden.bit(), 0);
            assert_eq!(states(&["-a"]) & hidden.bit(), hidden.bit());
        }
    }

    #[test]
    fn syn_queues_are_counted_where_the_kernel_does_not_tell() {
        let mut half_open = connection();
        half_open.state = State::SynReceived;
        let mut elsewhere = half_open.clone();
        elsewhere.local.set_port(1);
        let mut told = listener();
        told.syn_queue = Some(9);
        let mut sockets = vec![
            listener(),
            half_open.clone(),
            half_open,
            elsewhere,
            connection(),
            told,
        ];
        count_syn_queues(&mut sockets);
        assert_eq!(sockets[0].syn_queue, Some(2));
        assert_eq!(sockets[5].syn_queue, Some(9));
    }
}
