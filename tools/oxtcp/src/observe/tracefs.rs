// SPDX-License-Identifier: GPL-2.0
//! What the kernel's tracepoints tell of connections.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::fcntl::OFlag;
use nix::mount::{mount, MsFlags};
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};

use super::{Told, Trace, Tracepoint};
use crate::state::State;

const TRACEFS: &str = "/sys/kernel/tracing";
/// How long, in ms, a wait for an event lasts before the observer looks whether it is to stop.
const STOP_INTERVAL: u8 = 100;

/// A tracepoint of which the buffer tells.
#[derive(Clone, Debug)]
pub struct Record {
    /// `GROUP/NAME`
    pub event: &'static str,
    /// In the kernel's words; 0: none.
    pub filter: String,
    /// Whether a kernel without it, because the module is not loaded, is no error.
    pub optional: bool,
}

/// A line of the buffer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    /// A tracepoint.
    Trace(Trace),
    /// So many events found no room in the buffer.
    Lost(u64),
}

/// A trace buffer of our own. It goes when this is dropped.
pub struct Buffer {
    dir: PathBuf,
}

impl Buffer {
    /// Makes one that records some tracepoints.
    pub fn set_up(records: &[Record]) -> Result<Buffer> {
        let tracefs = Path::new(TRACEFS);
        if !tracefs.join("instances").exists() {
            mount(
                Some("tracefs"),
                tracefs,
                Some("tracefs"),
                MsFlags::empty(),
                None::<&str>,
            )
            .context("cannot mount tracefs: the kernel needs CONFIG_FTRACE")?;
        }
        let dir = tracefs
            .join("instances")
            .join(format!("oxtcp-{}", std::process::id()));
        fs::create_dir(&dir).context("cannot make a trace buffer")?;
        let buffer = Buffer { dir };
        // Times that can be compared with those of the other observers.
        buffer.write("trace_clock", "mono")?;
        // Wake the reader at each event.
        buffer.write("buffer_percent", "0")?;
        for record in records {
            let there = buffer.dir.join("events").join(record.event).exists();
            if there || !record.optional {
                buffer.enable(record)?;
            }
        }
        Ok(buffer)
    }

    fn enable(&self, record: &Record) -> Result<()> {
        let event = record.event;
        self.write(&format!("events/{event}/filter"), &record.filter)?;
        self.write(&format!("events/{event}/enable"), "1")
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.dir.join(file);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Reports what is recorded, until `stop` or until `report` says `false`.
    pub fn start(
        &self,
        stop: Arc<AtomicBool>,
        report: impl FnMut(Line) -> bool + Send + 'static,
    ) -> Result<thread::JoinHandle<()>> {
        let pipe = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(self.dir.join("trace_pipe"))
            .context("cannot read the trace buffer")?;
        Ok(thread::spawn(move || follow(pipe, report, &stop)))
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Err(e) = fs::remove_dir(&self.dir) {
            eprintln!("oxtcp: cannot remove {}: {e}", self.dir.display());
        }
    }
}

/// Passes on lines until `stop`.
fn follow(mut pipe: File, mut report: impl FnMut(Line) -> bool, stop: &AtomicBool) {
    let mut text = Vec::new();
    let mut chunk = [0; 4096];
    while !stop.load(Ordering::Relaxed) {
        match pipe.read(&mut chunk) {
            Ok(n) => text.extend_from_slice(&chunk[..n]),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
                // An error here only means that the read is tried at once.
                let _ = poll(&mut fds, PollTimeout::from(STOP_INTERVAL));
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
        while let Some(end) = text.iter().position(|&b| b == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            let line = parse(&String::from_utf8_lossy(&line));
            if line.is_some_and(|line| !report(line)) {
                return;
            }
        }
    }
}

/// Reads a line of `trace_pipe`; `None` for what says nothing of a connection.
///
/// `task-1 [000] ..s2. 12.345678: inet_sock_set_state: family=AF_INET protocol=IPPROTO_TCP
/// sport=7000 dport=0 saddr=10.0.0.2 daddr=0.0.0.0 ... oldstate=TCP_CLOSE newstate=TCP_LISTEN`
fn parse(line: &str) -> Option<Line> {
    if let Some((_, lost)) = line.split_once("[LOST ") {
        return Some(Line::Lost(lost.split(' ').next()?.parse().ok()?));
    }
    const NAMES: [&str; 5] = [
        ": inet_sock_set_state: ",
        ": oxtcp_set_state: ",
        ": oxtcp_retransmit: ",
        ": oxtcp_drop: ",
        ": tcp_retransmit_skb: ",
    ];
    let (name, (head, fields)) = NAMES
        .iter()
        .find_map(|name| Some((*name, line.split_once(name)?)))?;
    let field = |name: &str| {
        fields
            .split_whitespace()
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    };
    let address = |ip: &str, port: &str| {
        let ip: Ipv4Addr = field(ip)?.parse().ok()?;
        Some(SocketAddrV4::new(ip, field(port)?.parse().ok()?))
    };
    let states = |by| {
        Some(Told::State {
            by,
            old: state(field("oldstate")?)?,
            new: state(field("newstate")?)?,
        })
    };
    let what = match name.trim_matches([':', ' ']) {
        "inet_sock_set_state" => states(Tracepoint::Socket)?,
        "oxtcp_set_state" => states(Tracepoint::Entry)?,
        "oxtcp_drop" => Told::Drop {
            reason: field("reason")?.to_owned(),
        },
        _ => Told::Retransmit {
            seq: field("seq").and_then(|seq| seq.parse().ok()),
            len: field("len").and_then(|len| len.parse().ok()),
        },
    };
    let (seconds, micros) = head.split_whitespace().last()?.split_once('.')?;
    let at = Duration::from_secs(seconds.parse().ok()?)
        + Duration::from_micros(format!("{micros:0<6}").parse().ok()?);
    Some(Line::Trace(Trace {
        at,
        local: address("saddr", "sport")?,
        peer: address("daddr", "dport")?,
        netns: field("netns").and_then(|netns| netns.parse().ok()),
        what,
    }))
}

/// A state by its name, as the kernel's tracepoint prints it, or by its number, as the module's.
fn state(text: &str) -> Option<State> {
    State::from_kernel_name(text).or_else(|| State::from_number(text.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTEN: &str = "  oxtcp-demo-91  [001] .....    12.000345: inet_sock_set_state: \
        family=AF_INET protocol=IPPROTO_TCP sport=7000 dport=0 saddr=10.0.0.2 daddr=0.0.0.0 \
        saddrv6=::ffff:10.0.0.2 daddrv6=::ffff:0.0.0.0 oldstate=TCP_CLOSE newstate=TCP_LISTEN\n";

    fn trace(line: &str) -> Trace {
        match parse(line) {
            Some(Line::Trace(trace)) => trace,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_line_is_read() {
        assert_eq!(
            trace(LISTEN),
            Trace {
                at: Duration::from_micros(12_000_345),
                local: "10.0.0.2:7000".parse().unwrap(),
                peer: "0.0.0.0:0".parse().unwrap(),
                netns: None,
                what: Told::State {
                    by: Tracepoint::Socket,
                    old: State::Closed,
                    new: State::Listen,
                },
            }
        );
    }

    #[test]
    fn the_modules_tracepoint_is_told_from_the_sockets() {
        let line = "<idle>-0 [000] ..s2. 12.000345: oxtcp_set_state: netns=4026532 sport=7000 \
            dport=61000 saddr=10.0.0.2 daddr=10.0.0.1 oldstate=5 newstate=6\n";
        let trace = trace(line);
        let change = trace.change().unwrap();
        assert_eq!(
            (change.by, change.new),
            (Tracepoint::Entry, State::TimeWait)
        );
        assert_eq!(trace.peer, "10.0.0.1:61000".parse().unwrap());
        assert_eq!(trace.netns, Some(4026532));
    }

    #[test]
    fn retransmissions_and_drops_are_read() {
        let ends = "sport=7000 dport=61000 saddr=10.0.0.2 daddr=10.0.0.1";
        let line = |rest: String| trace(&format!("a-1 [000] ..s2. 1.5: {rest}\n")).what;
        assert_eq!(
            line(format!(
                "oxtcp_retransmit: netns=1 {ends} state=1 seq=99 len=1448"
            )),
            Told::Retransmit {
                seq: Some(99),
                len: Some(1448)
            }
        );
        assert_eq!(
            line(format!("oxtcp_drop: netns=1 {ends} reason=OldAck")),
            Told::Drop {
                reason: "OldAck".into()
            }
        );
        assert_eq!(
            line(format!(
                "tcp_retransmit_skb: skbaddr=1 family=AF_INET {ends} state=TCP_SYN_SENT"
            )),
            Told::Retransmit {
                seq: None,
                len: None
            }
        );
    }

    #[test]
    fn other_lines_are_passed_over() {
        assert_eq!(parse("CPU:1 [LOST 3 EVENTS]\n"), Some(Line::Lost(3)));
        assert_eq!(parse(&LISTEN.replace("sport=7000", "sport=x")), None);
        assert_eq!(parse(&LISTEN.replace("TCP_LISTEN", "0xd")), None);
        for len in 0..LISTEN.len() - 12 {
            assert_eq!(parse(&LISTEN[..len]), None);
        }
    }
}
