// SPDX-License-Identifier: GPL-2.0

//! The benchmark's rows with smoltcp at the serving end: what somebody might use instead of a socket
//! of the kernel. Its road is a TUN device, its client AF_INET's, and both ends are in one thread, as
//! in the other rows.
//!
//! With `-icount shift=0` a nanosecond is an instruction, as long as nobody sleeps.

mod server;

use anyhow::{Context, Result};
use server::{Server, ADDRESS};
use socket2::{Domain, Socket, Type};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::time::{Duration, Instant};

const PORT: u16 = 20_000;
const LARGE: usize = 65_536;
const SMALL: usize = 1_024;
/// Longer than Linux's TIME-WAIT.
const TIME_WAIT: Duration = Duration::from_secs(61);

/// An AF_INET connection to the server, which listens.
fn connect(server: &mut Server) -> Result<TcpStream> {
    server.listen(PORT)?;
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    let address = SocketAddrV4::new(ADDRESS, PORT);
    // It is under way, no more: nobody has turned the server yet.
    let _ = socket.connect(&address.into());
    server.turn_until(|socket| socket.may_send())?;
    Ok(socket.into())
}

fn transaction(client: &mut TcpStream, server: &mut Server) -> Result<()> {
    client.write_all(&[1])?;
    server.echo()?;
    Ok(client.read_exact(&mut [0])?)
}

/// A connection that lasts for one transaction.
fn connection(server: &mut Server) -> Result<()> {
    let mut client = connect(server)?;
    transaction(&mut client, server)?;
    drop(client);
    server.close()
}

/// Writes `piece` and reads it at the other end.
fn through(
    client: &mut TcpStream,
    server: &mut Server,
    piece: &[u8],
    sink: &mut [u8],
) -> Result<()> {
    let (mut sent, mut got) = (0, 0);
    while got < piece.len() {
        if sent < piece.len() {
            match client.write(&piece[sent..]) {
                Ok(n) => sent += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        got += server.read(sink)?;
    }
    Ok(())
}

/// Prints what `rounds` times `times` of it cost, after some that do not count.
fn row(
    name: &str,
    unit: &str,
    (rounds, times, units): (usize, usize, usize),
    rest: Duration,
    mut once: impl FnMut() -> Result<()>,
) -> Result<()> {
    for round in 0..=rounds {
        std::thread::sleep(rest);
        let start = Instant::now();
        for _ in 0..times {
            once()?;
        }
        let took = start.elapsed().as_nanos();
        if round > 0 {
            println!("sample veth/{name} smoltcp {took} {} {unit}", times * units);
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let device = words.next().context("DEVICE ROUNDS")?;
    let rounds = words.next().context("DEVICE ROUNDS")?.parse()?;
    let mut server = Server::new(&device)?;
    let (piece, mut sink) = (vec![7; LARGE], vec![0; LARGE]);
    let none = Duration::ZERO;

    row(
        "connect-request-close",
        "connection",
        (rounds, 500, 1),
        TIME_WAIT,
        || connection(&mut server),
    )?;
    let mut client = connect(&mut server)?;
    row(
        "request-response",
        "transaction",
        (rounds, 2000, 1),
        none,
        || transaction(&mut client, &mut server),
    )?;
    row(
        "stream-1k",
        "KiB",
        (rounds, 4000, SMALL / 1024),
        none,
        || through(&mut client, &mut server, &piece[..SMALL], &mut sink),
    )?;
    row(
        "stream-64k",
        "KiB",
        (rounds, 500, LARGE / 1024),
        none,
        || through(&mut client, &mut server, &piece, &mut sink),
    )
}
