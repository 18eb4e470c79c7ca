// SPDX-License-Identifier: GPL-2.0
//! Sockets as lines of text.

use std::fmt::Write;
use std::net::SocketAddrV4;
use std::time::Duration;

use super::processes::Processes;
use super::services::Services;
use crate::diag::{Socket, Timer};
use crate::state::State;

/// Names of `SK_MEMINFO_*`, in the words of `ss`.
const MEMORY: [&str; 9] = ["r", "rb", "t", "tb", "f", "w", "o", "bl", "d"];

/// What is shown of each socket.
#[derive(Default)]
pub struct Table {
    /// A line of headings.
    pub header: bool,
    /// The column with the length of a listener's SYN queue.
    pub syn_queue: bool,
    /// A second line with what TCP knows.
    pub info: bool,
    /// Memory in use, on the second line.
    pub memory: bool,
    /// Names for ports, or numbers.
    pub services: Option<Services>,
    /// The column with the sockets' holders.
    pub processes: Option<Processes>,
}

/// A column: heading, and whether it is flush right.
type Column = (&'static str, bool);

impl Table {
    /// The whole table, each line ended.
    pub fn render(&self, sockets: &[Socket]) -> String {
        let mut columns: Vec<Column> = vec![("State", false), ("Recv-Q", true), ("Send-Q", true)];
        if self.syn_queue {
            columns.push(("Syn-Q", true));
        }
        columns.extend([("Local Address:Port", true), ("Peer Address:Port", true)]);
        columns.push(("Timer", false));
        if self.processes.is_some() {
            columns.push(("Process", false));
        }
        let rows: Vec<Vec<String>> = sockets.iter().map(|socket| self.cells(socket)).collect();
        let widths: Vec<usize> = columns
            .iter()
            .enumerate()
            .map(|(i, (heading, _))| {
                let cells = rows.iter().map(|row| row[i].chars().count());
                cells.chain([heading.len()]).max().unwrap_or(0)
            })
            .collect();

        let line = |cells: &[&str]| {
            let padded = cells
                .iter()
                .zip(&columns)
                .zip(&widths)
                .map(|((cell, column), &width)| {
                    if column.1 {
                        format!("{cell:>width$}")
                    } else {
                        format!("{cell:<width$}")
                    }
                });
            let joined = padded.collect::<Vec<_>>().join("  ");
            format!("{}\n", joined.trim_end())
        };

        let mut out = String::new();
        if self.header {
            out += &line(
                &columns
                    .iter()
                    .map(|(heading, _)| *heading)
                    .collect::<Vec<_>>(),
            );
        }
        for (socket, row) in sockets.iter().zip(&rows) {
            out += &line(&row.iter().map(String::as_str).collect::<Vec<_>>());
            let details = self.details(socket);
            if !details.is_empty() {
                let _ = writeln!(out, "\t {details}");
            }
        }
        out
    }

    fn cells(&self, socket: &Socket) -> Vec<String> {
        let mut cells = vec![
            socket.state.ss_name().to_owned(),
            socket.recv_q.to_string(),
            socket.send_q.to_string(),
        ];
        if self.syn_queue {
            cells.push(match (socket.state, socket.syn_queue) {
                (State::Listen, Some(length)) => length.to_string(),
                (State::Listen, None) => "-".to_owned(),
                _ => String::new(),
            });
        }
        cells.extend([self.address(socket.local), self.address(socket.peer)]);
        cells.push(socket.timer.map_or(String::new(), timer_text));
        if let Some(processes) = &self.processes {
            cells.push(processes.describe(socket.inode));
        }
        cells
    }

    fn address(&self, address: SocketAddrV4) -> String {
        let port = address.port();
        let name = self
            .services
            .as_ref()
            .and_then(|services| services.name(port));
        match (port, name) {
            (0, _) => format!("{}:*", address.ip()),
            (_, Some(name)) => format!("{}:{name}", address.ip()),
            (_, None) => address.to_string(),
        }
    }

    fn details(&self, socket: &Socket) -> String {
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
            parts.extend(socket.info.map(|info| info.describe(congestion)));
        }
        parts.retain(|part| !part.is_empty());
        parts.join(" ")
    }
}

/// As in `ss -o`: what runs, how long still, how often it fired in a row.
fn timer_text(timer: Timer) -> String {
    format!(
        "({},{},{})",
        timer.kind.name(),
        duration_text(timer.left),
        timer.retransmits
    )
}

fn duration_text(left: Duration) -> String {
    let ms = left.as_millis();
    match ms {
        0..=999 => format!("{ms}ms"),
        1_000..=9_999 => format!("{}.{}s", ms / 1000, ms % 1000 / 100),
        10_000..=59_999 => format!("{}s", ms / 1000),
        _ => format!("{}m{}s", ms / 60_000, ms % 60_000 / 1000),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::diag::message::{SocketId, TimerKind};
    use crate::diag::tcp_info::TcpInfo;

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
    fn columns_line_up() {
        let mut waiting = listener();
        waiting.syn_queue = Some(3);
        let table = Table {
            header: true,
            syn_queue: true,
            ..Table::default()
        };
        let text = table.render(&[waiting, connection()]);
        assert_eq!(
            text,
            "State   Recv-Q  Send-Q  Syn-Q  Local Address:Port  Peer Address:Port  Timer\n\
             LISTEN       2       4      3       10.0.0.2:7000          0.0.0.0:*\n\
             ESTAB        0    1448              10.0.0.2:7000     10.0.0.1:61000  (on,204ms,1)\n"
        );
    }

    #[test]
    fn an_untold_syn_queue_is_a_dash() {
        let table = Table {
            syn_queue: true,
            ..Table::default()
        };
        assert!(table.render(&[listener()]).contains("  -  "));
        assert!(!table.render(&[connection()]).contains("  -  "));
    }

    #[test]
    fn details_are_a_second_line() {
        let mut socket = connection();
        socket.info = Some(TcpInfo {
            snd_cwnd: 10,
            ..TcpInfo::default()
        });
        socket.congestion = Some("reno".into());
        socket.memory = Some([0, 131072, 0, 16384, 0, 0, 0, 0, 7]);
        let table = Table {
            info: true,
            memory: true,
            ..Table::default()
        };
        let text = table.render(&[socket.clone()]);
        assert_eq!(
            text.lines().nth(1).unwrap(),
            "\t skmem:(r0,rb131072,t0,tb16384,f0,w0,o0,bl0,d7) reno cwnd:10"
        );
        assert_eq!(Table::default().render(&[socket]).lines().count(), 1);
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

    #[test]
    fn durations_are_short() {
        for (ms, text) in [
            (0, "0ms"),
            (999, "999ms"),
            (1204, "1.2s"),
            (59_999, "59s"),
            (61_000, "1m1s"),
        ] {
            assert_eq!(duration_text(Duration::from_millis(ms)), text);
        }
    }
}
