// SPDX-License-Identifier: GPL-2.0
//! Changes of state, from the kernel's tracepoints.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::fcntl::OFlag;
use nix::mount::{mount, MsFlags};
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};

use super::event::{Event, Trace, Tracepoint, What};
use crate::state::State;

const TRACEFS: &str = "/sys/kernel/tracing";
/// How long, in ms, a wait for an event lasts before the observer looks whether it is to stop.
const STOP_INTERVAL: u8 = 100;

/// A trace buffer of our own. It goes when this is dropped.
pub struct Buffer {
    dir: PathBuf,
}

impl Buffer {
    /// Makes one that records the changes of state of sockets with `port` at either end.
    pub fn set_up(port: u16) -> Result<Buffer> {
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
            .join(format!("oxtcp-demo-{}", std::process::id()));
        fs::create_dir(&dir).context("cannot make a trace buffer")?;
        let buffer = Buffer { dir };
        // Times that can be compared with those of the other observers.
        buffer.write("trace_clock", "mono")?;
        // Wake the reader at each event.
        buffer.write("buffer_percent", "0")?;
        let filter = format!("sport == {port} || dport == {port}");
        buffer.enable("sock/inet_sock_set_state", &filter)?;
        // The module's own; it is not there while only AF_INET is shown.
        if buffer.dir.join("events/oxtcp/oxtcp_set_state").exists() {
            buffer.enable("oxtcp/oxtcp_set_state", &filter)?;
        }
        Ok(buffer)
    }

    fn enable(&self, event: &str, filter: &str) -> Result<()> {
        self.write(&format!("events/{event}/filter"), filter)?;
        self.write(&format!("events/{event}/enable"), "1")
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.dir.join(file);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Reports what is recorded, until `stop`.
    pub fn start(
        &self,
        events: Sender<Event>,
        stop: Arc<AtomicBool>,
    ) -> Result<thread::JoinHandle<()>> {
        let pipe = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(self.dir.join("trace_pipe"))
            .context("cannot read the trace buffer")?;
        Ok(thread::spawn(move || follow(pipe, &events, &stop)))
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
fn follow(mut pipe: File, events: &Sender<Event>, stop: &AtomicBool) {
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
            let event = parse(&String::from_utf8_lossy(&line));
            if event.is_some_and(|event| events.send(event).is_err()) {
                return;
            }
        }
    }
}

/// Reads a line of `trace_pipe`; `None` for what is no change of state.
///
/// `task-1 [000] ..s2. 12.345678: inet_sock_set_state: family=AF_INET protocol=IPPROTO_TCP
/// sport=7000 dport=0 saddr=10.0.0.2 daddr=0.0.0.0 ... oldstate=TCP_CLOSE newstate=TCP_LISTEN`
fn parse(line: &str) -> Option<Event> {
    const NAMES: [(&str, Tracepoint); 2] = [
        (": inet_sock_set_state: ", Tracepoint::Socket),
        (": oxtcp_set_state: ", Tracepoint::Entry),
    ];
    let (by, (head, fields)) = NAMES
        .iter()
        .find_map(|(name, by)| Some((*by, line.split_once(name)?)))?;
    let field = |name: &str| {
        fields
            .split_whitespace()
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    };
    let address = |ip: &str, port: &str| {
        let ip: Ipv4Addr = field(ip)?.parse().ok()?;
        Some(SocketAddrV4::new(ip, field(port)?.parse().ok()?))
    };
    let (seconds, micros) = head.split_whitespace().last()?.split_once('.')?;
    let at = Duration::from_secs(seconds.parse().ok()?)
        + Duration::from_micros(format!("{micros:0<6}").parse().ok()?);
    let trace = Trace {
        by,
        local: address("saddr", "sport")?,
        peer: address("daddr", "dport")?,
        new: state(field("newstate")?)?,
    };
    Some(Event {
        at,
        what: What::Trace(trace),
    })
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

    #[test]
    fn a_line_is_read() {
        let event = parse(LISTEN).unwrap();
        assert_eq!(event.at, Duration::from_micros(12_000_345));
        assert_eq!(
            event.what,
            What::Trace(Trace {
                by: Tracepoint::Socket,
                local: "10.0.0.2:7000".parse().unwrap(),
                peer: "0.0.0.0:0".parse().unwrap(),
                new: State::Listen,
            })
        );
    }

    #[test]
    fn the_modules_tracepoint_is_told_from_the_sockets() {
        let line = "<idle>-0 [000] ..s2. 12.000345: oxtcp_set_state: netns=4026532 sport=7000 \
            dport=61000 saddr=10.0.0.2 daddr=10.0.0.1 oldstate=5 newstate=6\n";
        let What::Trace(trace) = parse(line).unwrap().what else {
            panic!("not a trace")
        };
        assert_eq!((trace.by, trace.new), (Tracepoint::Entry, State::TimeWait));
        assert_eq!(trace.peer, "10.0.0.1:61000".parse().unwrap());
    }

    #[test]
    fn other_lines_are_passed_over() {
        assert_eq!(parse("CPU:1 [LOST 3 EVENTS]\n"), None);
        assert_eq!(parse(&LISTEN.replace("sport=7000", "sport=x")), None);
        assert_eq!(parse(&LISTEN.replace("TCP_LISTEN", "0xd")), None);
        for len in 0..LISTEN.len() - 12 {
            assert_eq!(parse(&LISTEN[..len]), None);
        }
    }
}
