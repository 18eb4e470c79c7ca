// SPDX-License-Identifier: GPL-2.0

//! What a run is like: hosts, lines, and connections with an application at each end.

use super::link;
use oxtcp_core::tcp::config::Config;

/// How an application ends its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Closes its sending side, reads to the end, closes.
    HalfClose,
    /// Writes everything, reads to the end, closes.
    ReadThenClose,
    /// Closes as soon as it has written everything, without reading.
    CloseEarly,
    /// Aborts after so many bytes written.
    Abort(u64),
}

/// What an application waits for before it writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// Nothing.
    Free,
    /// It asks in `request` bytes, and asks again once it has the `response`.
    Ask { request: u64, response: u64 },
    /// It answers each `request` by a `response`.
    Answer { request: u64, response: u64 },
}

/// One application.
#[derive(Clone, Copy, Debug)]
pub struct App {
    /// Bytes that it sends in all, the most at once, and the most that it reads at once.
    pub bytes: u64,
    pub write_size: u64,
    pub read_size: u64,
    /// Longest pause between writes and between reads, µs.
    pub write_pause: u64,
    pub read_pause: u64,
    pub pace: Pace,
    pub ending: Ending,
}

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Side {
    pub config: Config,
    /// Bytes of send buffer.
    pub send_buffer: usize,
    pub receive_buffer: u32,
    /// Cost of a received segment beside its text, bytes.
    pub overhead: u32,
    /// Stores of 1000 that fail, and arrivals of 1000 at which early text is given up.
    pub no_room: u32,
    pub renege: u32,
    /// Runs of segments of 1000 that the host's own queue has no room for, or not for all of them.
    pub refuse: u32,
    /// Segments of 1000 that are followed by a forged one.
    pub attack: u32,
    pub iss: u32,
    pub ts_offset: u32,
    /// Writes of 1000 that end with an urgent byte.
    pub urgent: u32,
    /// Most text bytes in a run.
    pub max_run: u32,
    /// Most records of what was sent.
    pub most_records: usize,
    /// Timers fire so much late, µs.
    pub slack: u64,
    pub app: App,
}

/// When a connection begins, µs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// So long after the run's start.
    At(u64),
    /// So long after another connection has ended at the client, from the same port if that may be.
    After { flow: usize, pause: u64 },
}

/// One connection.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// The hosts of client and server.
    pub hosts: [usize; 2],
    pub sides: [Side; 2],
    pub start: Start,
    /// Both ends open it actively.
    pub simultaneous: bool,
}

impl Flow {
    /// Whether both applications read to the end: then every byte must arrive, without an error.
    pub fn is_clean(&self) -> bool {
        let reads = |s: &Side| matches!(s.app.ending, Ending::HalfClose | Ending::ReadThenClose);
        self.sides.iter().all(reads)
    }

    /// Writes and reads at both ends: each may make a segment.
    pub fn pieces(&self) -> u64 {
        let [a, b] = self.sides.map(|s| s.app);
        let of = |own: &App, expected: u64| {
            let step = match own.pace {
                Pace::Ask { request: n, .. } | Pace::Answer { response: n, .. } => n,
                Pace::Free => own.write_size,
            };
            let step = step.min(own.write_size);
            own.bytes / (step / 2).max(1) + expected / (own.read_size / 2).max(1)
        };
        of(&a, b.bytes) + of(&b, a.bytes)
    }
}

/// The listener of a host.
#[derive(Clone, Copy, Debug)]
pub struct Listener {
    /// Connections that may wait to be accepted, and SYNs to be answered.
    pub backlog: usize,
    pub syn_queue: usize,
    /// Longest pause between two calls of accept(), µs.
    pub accept_pause: u64,
    /// ACKs of 1000 that are ignored, as if the backlog were full.
    pub accept_full: u32,
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            backlog: 4096,
            syn_queue: 4096,
            accept_pause: 0,
            accept_full: 0,
        }
    }
}

/// A line from one node to another. The hosts are the first nodes, then come the routers.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    pub from: usize,
    pub to: usize,
    pub link: link::Params,
}

/// The whole.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    /// The clock at the start, µs.
    pub start: u64,
    pub hosts: usize,
    pub routers: usize,
    pub lines: Vec<Line>,
    pub flows: Vec<Flow>,
    pub listener: Listener,
    /// MTU of the hosts' interfaces less the fixed headers.
    pub mss: u16,
    /// When, µs, and what it becomes.
    pub mss_changes: Vec<(u64, u16)>,
    /// Nothing in it is a reason to send anything twice.
    pub perfect: bool,
}

impl Plan {
    /// Two nodes get a line each way.
    pub fn connect(&mut self, a: usize, b: usize, there: link::Params, back: link::Params) {
        self.lines.push(Line {
            from: a,
            to: b,
            link: there,
        });
        self.lines.push(Line {
            from: b,
            to: a,
            link: back,
        });
    }

    /// For each node and each host, the line that leads there by the fewest hops.
    pub fn routes(&self) -> Vec<Vec<Option<usize>>> {
        let nodes = self.hosts + self.routers;
        let to = (0..self.hosts).map(|host| self.lines_to(host));
        let columns: Vec<_> = to.collect();
        let row = |node| columns.iter().map(|c| c[node]).collect();
        (0..nodes).map(row).collect()
    }

    /// For each node the line that leads to `host`.
    fn lines_to(&self, host: usize) -> Vec<Option<usize>> {
        let mut lines = vec![None; self.hosts + self.routers];
        let mut near = vec![host];
        while !near.is_empty() {
            let mut next = Vec::new();
            for (i, line) in self.lines.iter().enumerate() {
                let known = line.from == host || lines[line.from].is_some();
                if near.contains(&line.to) && !known {
                    lines[line.from] = Some(i);
                    next.push(line.from);
                }
            }
            near = next;
        }
        lines
    }
}
