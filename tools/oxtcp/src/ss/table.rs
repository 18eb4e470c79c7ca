// SPDX-License-Identifier: GPL-2.0
//! Sockets as lines of text, as ss(8) prints them.

use std::fmt::Write;
use std::net::SocketAddrV4;

use super::cgroups::Cgroups;
use super::processes::Processes;
use super::services::Services;
use crate::diag::units;
use crate::diag::{Socket, Timer};
use crate::state::State;

/// Names of `SK_MEMINFO_*`, in the words of `ss`.
const MEMORY: [&str; 9] = ["r", "rb", "t", "tb", "f", "w", "o", "bl", "d"];

/// What is shown of each socket.
#[derive(Default)]
pub struct Table {
    /// A line of headings.
    pub header: bool,
    /// No column with the state.
    pub hide_state: bool,
    /// A column with the length of a listener's SYN queue, which ss does not have.
    pub syn_queue: bool,
    /// The timer that runs.
    pub timers: bool,
    /// Owner, inode, cookie, mark, cgroup, what was shut down.
    pub extended: Option<Cgroups>,
    /// What TCP knows.
    pub info: bool,
    /// Memory in use.
    pub memory: bool,
    /// Type of service.
    pub tos: bool,
    /// All of a socket on one line.
    pub one_line: bool,
    /// Rates without units.
    pub numeric: bool,
    /// Names for ports, or numbers.
    pub services: Option<Services>,
    /// The sockets' holders.
    pub processes: Option<Processes>,
}

/// How a column's cells stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Align {
    Left,
    /// At the colon before the port.
    Port,
}

impl Table {
    /// The whole table, each line ended.
    pub fn render(&self, sockets: &[Socket]) -> String {
        use Align::{Left, Port};
        let mut columns = vec![("Recv-Q", Left), ("Send-Q", Left)];
        if !self.hide_state {
            columns.insert(0, ("State", Left));
        }
        if self.syn_queue {
            columns.push(("Syn-Q", Left));
        }
        columns.extend([("Local Address:Port", Port), ("Peer Address:Port", Port)]);
        let rows: Vec<Vec<String>> = sockets.iter().map(|socket| self.cells(socket)).collect();
        let widths: Vec<Widths> = columns
            .iter()
            .enumerate()
            .map(|(i, (heading, align))| {
                let cells = rows.iter().map(|row| row[i].as_str());
                Widths::of(*align, cells.chain(self.header.then_some(*heading)))
            })
            .collect();
        let line = |cells: &[&str], rest: &str| {
            let padded: Vec<String> = cells
                .iter()
                .zip(&widths)
                .map(|(cell, widths)| widths.pad(cell))
                .collect();
            let joined = format!("{} {rest}", padded.join(" "));
            format!("{}\n", joined.trim_end())
        };

        let mut out = String::new();
        if self.header {
            let headings: Vec<&str> = columns.iter().map(|(heading, _)| *heading).collect();
            out += &line(&headings, "Process");
        }
        for (socket, row) in sockets.iter().zip(&rows) {
            let cells: Vec<&str> = row.iter().map(String::as_str).collect();
            let (mut first, second) = (self.beside(socket), self.below(socket));
            if self.one_line && !second.is_empty() {
                let gap = if first.is_empty() { "" } else { " " };
                first += &format!("{gap}{second}");
            }
            out += &line(&cells, &first);
            if !self.one_line && !second.is_empty() {
                let _ = writeln!(out, "\t {second}");
            }
        }
        out
    }

    fn cells(&self, socket: &Socket) -> Vec<String> {
        let mut cells = Vec::new();
        if !self.hide_state {
            cells.push(socket.state.ss_name().to_owned());
        }
        cells.extend([socket.recv_q.to_string(), socket.send_q.to_string()]);
        if self.syn_queue {
            cells.push(match (socket.state, socket.syn_queue) {
                (State::Listen, Some(length)) => length.to_string(),
                (State::Listen, None) => "-".to_owned(),
                _ => String::new(),
            });
        }
        cells.push(self.address(socket.local, socket.id.interface()));
        cells.push(self.address(socket.peer, 0));
        cells
    }

    fn address(&self, address: SocketAddrV4, interface: u32) -> String {
        let mut text = address.ip().to_string();
        if interface != 0 {
            let name = nix::net::if_::if_indextoname(interface);
            let name = name.map_or_else(
                |_| interface.to_string(),
                |name| name.to_string_lossy().into_owned(),
            );
            text += &format!("%{name}");
        }
        let port = address.port();
        let services = self.services.as_ref();
        match (port, services.and_then(|services| services.name(port))) {
            (0, _) => text + ":*",
            (_, Some(name)) => format!("{text}:{name}"),
            (_, None) => format!("{text}:{port}"),
        }
    }

    /// What stands on the socket's own line, after the addresses.
    fn beside(&self, socket: &Socket) -> String {
        let mut parts = Vec::new();
        if let Some(processes) = &self.processes {
            parts.push(processes.describe(socket.inode));
        }
        if let (true, Some(timer)) = (self.timers, socket.timer) {
            parts.push(timer_text(timer));
        }
        if let Some(cgroups) = &self.extended {
            parts.push(extended_text(socket, cgroups));
        }
        if let (true, Some(tos)) = (self.tos, socket.tos) {
            parts.push(format!("tos:{tos:#x}"));
        }
        parts.retain(|part| !part.is_empty());
        parts.join(" ")
    }

    /// What stands on a line of its own, or behind all else.
    fn below(&self, socket: &Socket) -> String {
        let mut parts = Vec::new();
        if let (true, Some(memory)) = (self.memory, socket.memory) {
            let words: Vec<String> = MEMORY
                .iter()
                .zip(memory)
                .map(|(name, bytes)| format!("{name}{bytes}"))
                .collect();
            parts.push(format!("skmem:({})", words.join(",")));
        }
        if self.info {
            let congestion = socket.congestion.as_deref();
            let info = socket.info.as_ref();
            parts.extend(info.map(|info| info.describe(congestion, self.numeric)));
        }
        parts.retain(|part| !part.is_empty());
        parts.join(" ")
    }
}

/// Room that a column needs before its port, and in all.
enum Widths {
    Left(usize),
    Port { before: usize, from: usize },
}

impl Widths {
    fn of<'a>(align: Align, cells: impl Iterator<Item = &'a str>) -> Widths {
        let length = |text: &str| text.chars().count();
        match align {
            Align::Left => Widths::Left(cells.map(length).max().unwrap_or(0)),
            Align::Port => {
                let (mut before, mut from) = (0, 0);
                for (host, port) in cells.filter_map(|cell| cell.rsplit_once(':')) {
                    before = before.max(length(host));
                    from = from.max(length(port) + 1);
                }
                Widths::Port { before, from }
            }
        }
    }

    fn pad(&self, cell: &str) -> String {
        match *self {
            Widths::Left(width) => format!("{cell:<width$}"),
            Widths::Port { before, from } => {
                let (host, port) = cell.rsplit_once(':').unwrap_or((cell, ""));
                format!("{host:>before$}{:<from$}", format!(":{port}"))
            }
        }
    }
}

/// As in `ss -o`: what runs, how long still, how often it fired in a row.
fn timer_text(timer: Timer) -> String {
    format!(
        "timer:({},{},{})",
        timer.kind.name(),
        units::timer(timer.left.as_millis()),
        timer.retransmits
    )
}

/// As in `ss -e`.
fn extended_text(socket: &Socket, cgroups: &Cgroups) -> String {
    let mut words = Vec::new();
    if socket.uid != 0 {
        words.push(format!("uid:{}", socket.uid));
    }
    words.push(format!("ino:{}", socket.inode));
    if let Some(cookie) = socket.id.cookie() {
        words.push(format!("sk:{cookie:x}"));
    }
    if socket.mark != 0 {
        words.push(format!("fwmark:{:#x}", socket.mark));
    }
    if let Some(inode) = socket.cgroup {
        words.push(format!("cgroup:{}", cgroups.name(inode)));
    }
    if let Some(shutdown) = socket.shutdown {
        let receiving = if shutdown & 1 == 0 { '<' } else { '-' };
        let sending = if shutdown & 2 == 0 { '>' } else { '-' };
        words.push(format!("{receiving}-{sending}"));
    }
    words.join(" ")
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::diag::message::{SocketId, TimerKind};
    use crate::diag::tcp_info::TcpInfo;
    use std::time::Duration;

    /// A listener on 10.0.0.2:7000 with two of four places taken.
    pub fn listener() -> Socket {
        Socket {
            state: State::Listen,
            local: "10.0.0.2:7000".parse().unwrap(),
            peer: "0.0.0.0:0".parse().unwrap(),
            recv_q: 2,
            send_q: 4,
            timer: None,
            uid: 0,
            inode: 0,
            id: SocketId::NONE,
            syn_queue: None,
            info: None,
            congestion: None,
            memory: None,
            shutdown: None,
            mark: 0,
            tos: None,
            cgroup: None,
        }
    }

    /// A connection to the same port.
    pub fn connection() -> Socket {
        Socket {
            state: State::Established,
            peer: "10.0.0.1:61000".parse().unwrap(),
            recv_q: 0,
            send_q: 1448,
            timer: Some(Timer {
                kind: TimerKind::Retransmit,
                left: Duration::from_millis(204),
                retransmits: 1,
            }),
            ..listener()
        }
    }

    #[test]
    fn columns_line_up_at_the_ports() {
        let mut waiting = listener();
        waiting.local = "0.0.0.0:80".parse().unwrap();
        let table = Table {
            header: true,
            timers: true,
            ..Table::default()
        };
        let text = table.render(&[waiting.clone(), connection()]);
        assert_eq!(
            text,
            "State  Recv-Q Send-Q Local Address:Port Peer Address:Port  Process\n\
             LISTEN 2      4            0.0.0.0:80        0.0.0.0:*\n\
             ESTAB  0      1448        10.0.0.2:7000     10.0.0.1:61000 timer:(on,204ms,1)\n"
        );
        let stateless = Table {
            hide_state: true,
            ..Table::default()
        };
        assert_eq!(stateless.render(&[waiting]), "2 4 0.0.0.0:80 0.0.0.0:*\n");
    }

    #[test]
    fn an_untold_syn_queue_is_a_dash() {
        let mut told = listener();
        told.syn_queue = Some(3);
        let table = Table {
            syn_queue: true,
            ..Table::default()
        };
        let cell = |socket: Socket| {
            let line = table.render(&[socket]);
            line.split_whitespace().nth(3).unwrap().to_owned()
        };
        assert_eq!(cell(told), "3");
        assert_eq!(cell(listener()), "-");
        assert_eq!(cell(connection()), "10.0.0.2:7000");
    }

    #[test]
    fn details_are_a_second_line_or_on_the_first() {
        let mut socket = connection();
        socket.info = Some(TcpInfo {
            rto: 204_000,
            snd_cwnd: 10,
            ..TcpInfo::default()
        });
        socket.congestion = Some("reno".into());
        socket.memory = Some([0, 131072, 0, 16384, 0, 0, 0, 0, 7]);
        let mut table = Table {
            info: true,
            memory: true,
            ..Table::default()
        };
        let details = "skmem:(r0,rb131072,t0,tb16384,f0,w0,o0,bl0,d7) reno rto:204 cwnd:10";
        let text = table.render(&[socket.clone()]);
        assert_eq!(text.lines().nth(1).unwrap(), format!("\t {details}"));
        table.one_line = true;
        let text = table.render(&[socket.clone()]);
        assert_eq!(text.lines().count(), 1);
        assert!(text.ends_with(&format!("10.0.0.1:61000 {details}\n")));
        assert_eq!(Table::default().render(&[socket]).lines().count(), 1);
    }

    #[test]
    fn extended_tells_owner_and_directions() {
        let mut socket = connection();
        (socket.uid, socket.inode, socket.mark) = (1000, 4711, 0x20);
        socket.shutdown = Some(2);
        socket.cgroup = Some(0);
        let table = Table {
            extended: Some(Cgroups::scan()),
            ..Table::default()
        };
        let text = table.render(&[socket]);
        assert!(
            text.ends_with(" uid:1000 ino:4711 sk:0 fwmark:0x20 cgroup:unreachable:0 <--\n"),
            "{text}"
        );
    }

    #[test]
    fn an_empty_table_is_its_headings() {
        let table = Table {
            header: true,
            ..Table::default()
        };
        assert_eq!(table.render(&[]).lines().count(), 1);
        assert_eq!(Table::default().render(&[]), "");
    }
}
