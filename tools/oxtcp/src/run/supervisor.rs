// SPDX-License-Identifier: GPL-2.0
//! The process that answers a program's `socket` calls, for `oxtcp run --seccomp`.
//!
//! The program must stay the process that the user started, with the same parent, signals and exit
//! status, and must not get a child that it does not know of. So the supervisor is a grandchild,
//! started before the filter is there, whose parent ends at once.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{bail, Context, Result};
use nix::errno::Errno;
use nix::sched::{setns, CloneFlags};
use oxtcp::Family;
use oxtcp_door::{Door, Request};
use socket2::{Domain, Protocol, Socket, Type};

use crate::family::FamilyArg;

/// Options of the hidden command that the supervisor is.
#[derive(clap::Args)]
pub struct Args {
    /// Start the supervisor and end
    #[arg(long)]
    detach: bool,
    #[command(flatten)]
    family: FamilyArg,
}

/// Starts a supervisor and puts this process behind its door.
pub fn enter(family: Family, ipv4_only: bool) -> Result<()> {
    let (ours, theirs) = UnixStream::pair().context("cannot make a pair of sockets")?;
    let started = command(family, theirs.into())?
        .arg("--detach")
        .status()
        .context("cannot start the supervisor")?;
    if !started.success() {
        bail!("the supervisor did not start");
    }
    Door::install(ipv4_only)
        .and_then(|door| door.send(&ours))
        .context("cannot put a seccomp filter on the program")?;
    // Until the supervisor is there, nobody would answer.
    let mut ready = [0];
    (&ours)
        .read_exact(&mut ready)
        .context("the supervisor has ended")
}

/// This program as a supervisor, with its line to the program as standard input.
fn command(family: Family, line: OwnedFd) -> Result<Command> {
    let exe = std::env::current_exe().context("cannot tell where this program is")?;
    let mut command = Command::new(exe);
    command
        .arg("supervise")
        .args(["--family", &family.number().to_string()])
        .stdin(Stdio::from(line))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Ok(command)
}

/// The supervisor.
pub fn main(args: &Args) -> Result<()> {
    let family = args.family.get();
    let line = io::stdin().as_fd().try_clone_to_owned()?;
    if args.detach {
        command(family, line)?.spawn()?;
        return Ok(());
    }
    // Signals of the program's terminal are not for us, nor is its folder ours to hold.
    nix::unistd::setsid().context("cannot leave the session")?;
    std::env::set_current_dir("/")?;
    let mut line = UnixStream::from(line);
    let Some(door) = Door::take(&line)? else {
        return Ok(());
    };
    line.write_all(&[1])?;
    drop(line);
    while let Some(request) = door.receive()? {
        let answered = match socket_for(family, &request) {
            Ok(socket) => door.give(&request, socket.as_fd()),
            Err(e) => door.refuse(&request, e.raw_os_error().unwrap_or(Errno::EIO as i32)),
        };
        // As when the caller has no room for a file more.
        if let Err(e) = answered {
            door.refuse(&request, e.raw_os_error().unwrap_or(Errno::EIO as i32))?;
        }
    }
    Ok(())
}

/// The socket that a call asked for, in the network namespace of its caller.
fn socket_for(family: Family, request: &Request) -> io::Result<OwnedFd> {
    let path = format!("/proc/{}/ns/net", request.pid);
    let same = fs::metadata(&path)?.ino() == fs::metadata("/proc/thread-self/ns/net")?.ino();
    if same {
        return make(family, request);
    }
    let namespace = File::open(&path)?;
    // A namespace is a thread's; ours must stay where it is.
    thread::scope(|scope| {
        let inside = scope.spawn(|| {
            setns(namespace, CloneFlags::CLONE_NEWNET)?;
            make(family, request)
        });
        inside.join().unwrap_or_else(|_| Err(Errno::EIO.into()))
    })
}

fn make(family: Family, request: &Request) -> io::Result<OwnedFd> {
    // Close-on-exec is of the descriptor, which the caller gets anew; non-blocking of the file.
    let socket = Socket::new(
        Domain::from(i32::from(family.number())),
        Type::from(request.kind).cloexec(),
        Some(Protocol::from(request.protocol)),
    )?;
    Ok(socket.into())
}
