// SPDX-License-Identifier: GPL-2.0

//! std's listeners and streams over sockets of a given family.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;

use socket2::{Domain, Protocol, Socket, Type};

use crate::runner::number;

/// Whose TCP an end has.
#[derive(Clone, Copy, Debug)]
pub enum Stack {
    /// The family under test.
    Own,
    /// `AF_INET`.
    Inet,
}

/// Each combination of server and client that has the family under test in it.
pub const COMBINATIONS: [(Stack, Stack); 3] = [
    (Stack::Own, Stack::Inet),
    (Stack::Inet, Stack::Own),
    (Stack::Own, Stack::Own),
];

/// Makes the loopback device of the current namespace usable.
pub fn loopback_up() {
    let done = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status();
    assert!(done.expect("ip").success());
}

fn domain(stack: Stack) -> Domain {
    match stack {
        Stack::Own => Domain::from(number("SELFTEST_FAMILY").unwrap_or(25) as i32),
        Stack::Inet => Domain::IPV4,
    }
}

/// An unbound socket.
pub fn socket(stack: Stack) -> Socket {
    Socket::new(domain(stack), Type::STREAM, Some(Protocol::TCP)).expect("socket")
}

/// A loopback address; port 0 stands for one that the kernel chooses.
pub fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// A listener on a port of the kernel's choice.
pub fn listen(stack: Stack) -> TcpListener {
    let socket = socket(stack);
    socket.bind(&loopback(0).into()).expect("bind");
    socket.listen(128).expect("listen");
    socket.into()
}

/// A connection to `to`.
pub fn connect(stack: Stack, to: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = socket(stack);
    socket.connect(&to.into())?;
    Ok(socket.into())
}

/// Both ends of a new connection: server, client.
pub fn pair(server: Stack, client: Stack) -> (TcpStream, TcpStream) {
    let listener = listen(server);
    let client = connect(client, listener.local_addr().expect("local_addr")).expect("connect");
    (listener.accept().expect("accept").0, client)
}
