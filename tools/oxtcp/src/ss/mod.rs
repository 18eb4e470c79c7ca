// SPDX-License-Identifier: GPL-2.0
//! `oxtcp ss`: the table of sockets.

mod cgroups;
pub mod filter;
mod processes;
mod services;
pub mod table;

use std::fmt;
use std::io::{self, Write};

use anyhow::{bail, Result};
use oxtcp::Family;

use crate::diag::{SockDiag, Socket};
use crate::family::FamilyArg;
use crate::netns::NetnsArg;
use crate::state::{State, ALL_BITS};
use cgroups::Cgroups;
use filter::{Filter, Subject};
use processes::Processes;
use services::Services;
pub use table::Table;

/// Options of `oxtcp ss`.
#[derive(clap::Args)]
#[command(after_help = FILTER_HELP)]
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
    /// Owner, inode, cookie, mark, cgroup, what was shut down
    #[arg(short, long)]
    extended: bool,
    /// The timer that runs
    #[arg(short, long)]
    options: bool,
    /// What TCP knows of the connection
    #[arg(short, long)]
    info: bool,
    /// Memory in use
    #[arg(short, long)]
    memory: bool,
    /// Type of service
    #[arg(long)]
    tos: bool,
    /// A column with the length of a listener's SYN queue
    #[arg(long)]
    syn_queue: bool,
    /// Each socket on a single line
    #[arg(short = 'O', long = "oneline")]
    one_line: bool,
    /// No line of headings
    #[arg(short = 'H', long)]
    no_header: bool,
    /// End (abort) the sockets that match, and list those that were ended
    #[arg(short = 'K', long)]
    kill: bool,
    /// Only how many there are
    #[arg(short, long, conflicts_with_all = ["kill", "info", "processes"])]
    summary: bool,
    /// Accepted for ss's sake: there is nothing but TCP
    #[arg(short, long, hide = true)]
    tcp: bool,
    /// Accepted for ss's sake: there is nothing but IPv4
    #[arg(short = '4', long, hide = true)]
    ipv4: bool,
    /// Which sockets: see below
    #[arg(value_name = "FILTER")]
    filter: Vec<String>,
    #[command(flatten)]
    netns: NetnsArg,
    #[command(flatten)]
    family: FamilyArg,
}

const FILTER_HELP: &str = "\
A listener's Recv-Q is the length of its accept queue, Send-Q that queue's limit.
FILTER: [state STATE | exclude STATE]... [EXPRESSION], as in ss(8)
  STATE: established syn-sent syn-recv fin-wait-1 fin-wait-2 time-wait closed close-wait
         last-ack listening closing all connected synchronized bucket big
  EXPRESSION, of conditions with and, or, not, ( ):
         src ADDRESS[/BITS][:PORT]   dst ADDRESS[/BITS][:PORT]
         sport OP :PORT   dport OP :PORT      OP: = != < <= > >= (eq ne lt le gt ge)
         dev = INTERFACE  fwmark = MARK[/MASK]  cgroup = PATH  autobound
  oxtcp ss -tn state established '( dport = :443 or sport = :8080 )' dst 10.0.0.0/8";

impl Args {
    /// The states to list, as `ss` chooses them.
    fn states(&self, filter: &Filter) -> u32 {
        let not_connections = State::Listen.bit() | State::Closed.bit();
        let small = State::TimeWait.bit() | State::SynReceived.bit();
        match (filter.states, self.all || self.summary, self.listening) {
            (Some(states), ..) => states,
            (None, true, _) => ALL_BITS,
            (None, false, true) => State::Listen.bit(),
            (None, false, false) => ALL_BITS & !not_connections & !small,
        }
    }
}

/// Lists the sockets as `args` ask.
pub fn main(args: &Args) -> Result<()> {
    let filter = Filter::parse(&args.filter)?;
    let family = args.family.get();
    args.netns.enter()?;
    let diag = SockDiag::open()?;
    let states = args.states(&filter);
    let mut sockets = list(&diag, family, states)?;
    sockets.retain(|socket| filter.admits(&subject(socket)));
    // Before they are gone.
    let processes = args.processes.then(Processes::scan);
    if args.kill {
        if sockets.is_empty() {
            bail!("no socket matches");
        }
        let mut ended = Vec::new();
        for socket in sockets {
            if diag.destroy(family, socket.id)? {
                ended.push(socket);
            }
        }
        sockets = ended;
    }
    let text = if args.summary {
        summary(&sockets)
    } else {
        let table = Table {
            header: !args.no_header,
            // Where there can be but one, ss does not repeat it.
            hide_state: filter.states.is_some_and(|states| states.count_ones() == 1),
            syn_queue: args.syn_queue,
            timers: args.options,
            extended: args.extended.then(Cgroups::scan),
            info: args.info,
            memory: args.memory,
            tos: args.tos,
            one_line: args.one_line,
            numeric: args.numeric,
            services: (!args.numeric).then(Services::load),
            processes,
        };
        table.render(&sockets)
    };
    write_out(&text)
}

/// Writes to standard output.
pub fn write_out(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    Ok(written.map_err(OutputError)?)
}

/// What a filter asks of a socket.
pub fn subject(socket: &Socket) -> Subject {
    Subject {
        local: socket.local,
        peer: socket.peer,
        interface: socket.id.interface(),
        mark: socket.mark,
        cgroup: socket.cgroup,
    }
}

/// How many sockets there are in each state.
fn summary(sockets: &[Socket]) -> String {
    let mut text = format!("Total: {}\n", sockets.len());
    for state in State::ALL {
        let count = sockets.iter().filter(|s| s.state == state).count();
        if count > 0 {
            text += &format!("{:<12} {count}\n", state.rfc_name());
        }
    }
    text
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
        let args = Wrapper::parse_from([&["ss"], options].concat()).args;
        args.states(&Filter::parse(&args.filter).unwrap())
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
        assert_eq!(states(&["-l", "state", "time-wait"]), State::TimeWait.bit());
        assert_eq!(states(&["-tanpieomOH"]), ALL_BITS);
    }

    #[test]
    fn a_summary_counts_states() {
        let text = summary(&[listener(), connection(), connection()]);
        assert_eq!(text, "Total: 3\nESTABLISHED  2\nLISTEN       1\n");
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
