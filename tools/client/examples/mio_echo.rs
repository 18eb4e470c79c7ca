// SPDX-License-Identifier: GPL-2.0
//! An echo server under mio, over oxtcp's sockets, and a client of it.
//!
//! `cargo run --example mio_echo`; with `OXTCP_FAMILY=2` over the kernel's own TCP.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::thread;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

const LISTENER: Token = Token(0);
const CONNECTION: Token = Token(1);

/// Serves one connection to its end.
fn serve(mut listener: TcpListener) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut events = Events::with_capacity(16);
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut connection: Option<TcpStream> = None;
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            match (event.token(), &mut connection) {
                (LISTENER, None) => {
                    let (mut stream, _peer) = listener.accept()?;
                    let both = Interest::READABLE | Interest::WRITABLE;
                    poll.registry().register(&mut stream, CONNECTION, both)?;
                    connection = Some(stream);
                }
                (CONNECTION, Some(stream)) => {
                    let ended = event.is_readable() && !echo(stream)?;
                    if ended {
                        return Ok(());
                    }
                }
                _ => {}
            }
        }
    }
}

/// Sends back what there is; `false` at the end of it.
fn echo(stream: &mut TcpStream) -> io::Result<bool> {
    let mut buf = [0; 4096];
    loop {
        match stream.read(&mut buf) {
            Ok(0) => return Ok(false),
            // Little enough that the send buffer has room for it.
            Ok(n) => stream.write_all(&buf[..n])?,
            Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(true),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

fn ask(addr: SocketAddr) -> io::Result<String> {
    let mut client = oxtcp::TcpStream::connect(addr)?;
    client.write_all(b"there and back")?;
    client.shutdown(Shutdown::Write)?;
    let mut text = String::new();
    client.read_to_string(&mut text)?;
    Ok(text)
}

fn main() -> io::Result<()> {
    let listener = oxtcp::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let addr = listener.local_addr()?;
    let listener = TcpListener::from_std(listener.into_std());
    let serving = thread::spawn(move || serve(listener));
    let text = ask(addr)?;
    serving
        .join()
        .map_err(|_| io::Error::other("the server panicked"))??;
    println!("{addr}: {text}");
    Ok(())
}
