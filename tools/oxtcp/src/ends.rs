// SPDX-License-Identifier: GPL-2.0
//! `oxtcp listen` and `oxtcp connect`: netcat-like ends of a connection.

use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, ToSocketAddrs};
use std::process;
use std::thread;

use anyhow::{bail, Context, Result};
use oxtcp::{Family, TcpListener, TcpStream};

use crate::family::{explain, FamilyArg};

/// Bytes moved at a time.
const CHUNK: usize = 128 << 10;

/// Options of `oxtcp listen`.
#[derive(clap::Args)]
pub struct ListenArgs {
    /// [ADDR] PORT, or ADDR:PORT; all addresses when there is no ADDR
    #[arg(value_names = ["ADDR", "PORT"], num_args = 1..=2, required = true)]
    place: Vec<String>,
    /// Keep on: accept one connection after the other (standard input is not read)
    #[arg(short, long)]
    keep: bool,
    /// Send back what comes, for any number of connections at once with -k
    #[arg(short, long)]
    echo: bool,
    /// Length of the accept queue, in connections
    #[arg(short, long, default_value_t = TcpListener::BACKLOG)]
    backlog: u32,
    /// Tell on standard error what happens
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    family: FamilyArg,
}

/// Options of `oxtcp connect`.
#[derive(clap::Args)]
pub struct ConnectArgs {
    /// ADDR PORT, or ADDR:PORT
    #[arg(value_names = ["ADDR", "PORT"], num_args = 1..=2, required = true)]
    place: Vec<String>,
    /// Send back what comes instead of joining standard input and output
    #[arg(short, long)]
    echo: bool,
    /// Tell on standard error what happens
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    family: FamilyArg,
}

/// Accepts one connection, or with `-k` all that come.
pub fn listen(args: &ListenArgs) -> Result<()> {
    let family = args.family.get();
    let addr = resolve(&args.place, Some(Ipv4Addr::UNSPECIFIED))?;
    let listener = TcpListener::bind_in(family, addr, args.backlog)
        .map_err(|e| explain(e, family, &format!("cannot listen on {addr}")))?;
    let local = listener.local_addr()?;
    let tell = |what: &str| {
        if args.verbose {
            eprintln!("oxtcp: {what}");
        }
    };
    tell(&format!("listening on {local} ({family})"));
    loop {
        let (stream, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            // The peer gave up before it was accepted.
            Err(e) if e.kind() == ErrorKind::ConnectionAborted => continue,
            Err(e) => return Err(e).context("cannot accept"),
        };
        tell(&format!("connection from {peer}"));
        match (args.keep, args.echo) {
            (false, false) => return join_standard_streams(&stream),
            (false, true) => return echo(&stream).context("the connection broke"),
            // What goes wrong on one connection must not end the others.
            (true, false) => {
                if let Err(e) = copy(&mut &stream, &mut io::stdout().lock()) {
                    tell(&format!("{peer}: {e}"));
                }
            }
            (true, true) => {
                let verbose = args.verbose;
                thread::Builder::new()
                    .spawn(move || match echo(&stream) {
                        Err(e) if verbose => eprintln!("oxtcp: {peer}: {e}"),
                        _ => {}
                    })
                    .context("cannot start a thread")?;
            }
        }
    }
}

/// Makes one connection.
pub fn connect(args: &ConnectArgs) -> Result<()> {
    let family = args.family.get();
    let addr = resolve(&args.place, None)?;
    let stream = connect_to(family, addr)?;
    if args.verbose {
        eprintln!(
            "oxtcp: connected to {addr} from {} ({family})",
            stream.local_addr()?
        );
    }
    if args.echo {
        return echo(&stream).context("the connection broke");
    }
    join_standard_streams(&stream)
}

fn connect_to(family: Family, addr: SocketAddrV4) -> Result<TcpStream> {
    TcpStream::connect_in(family, addr)
        .map_err(|e| explain(e, family, &format!("cannot connect to {addr}")))
}

/// Reads `[ADDR] PORT` or `ADDR:PORT`.
fn resolve(place: &[String], default: Option<Ipv4Addr>) -> Result<SocketAddrV4> {
    let text = match (place, default) {
        ([host, port], _) => format!("{host}:{port}"),
        ([both], _) if both.contains(':') => both.clone(),
        ([port], Some(default)) => format!("{default}:{port}"),
        _ => bail!("ADDR and PORT are needed"),
    };
    let addrs = text
        .to_socket_addrs()
        .with_context(|| format!("{text} is no address"))?;
    let mut v4 = addrs.filter_map(|addr| match addr {
        SocketAddr::V4(addr) => Some(addr),
        SocketAddr::V6(_) => None,
    });
    v4.next()
        .with_context(|| format!("{text} has no IPv4 address"))
}

fn echo(stream: &TcpStream) -> io::Result<()> {
    let (mut from, mut to) = (stream, stream);
    copy(&mut from, &mut to)?;
    stream.shutdown(Shutdown::Write)
}

/// Copies both ways until both directions have ended. Standard input's end becomes a FIN; the
/// peer's FIN ends standard output. A person at a terminal, unlike a file or pipe, is not waited
/// for once the peer has ended.
fn join_standard_streams(stream: &TcpStream) -> Result<()> {
    let sender = stream.try_clone()?;
    let sending = thread::Builder::new().spawn(move || send_standard_input(&sender))?;
    copy(&mut &*stream, &mut io::stdout().lock()).context("the connection broke")?;
    if io::stdin().is_terminal() && !sending.is_finished() {
        process::exit(0);
    }
    sending
        .join()
        .expect("the sending thread does not panic")
        .context("cannot send")
}

fn send_standard_input(stream: &TcpStream) -> io::Result<()> {
    copy(&mut io::stdin().lock(), &mut &*stream)?;
    match stream.shutdown(Shutdown::Write) {
        // Already gone: nothing is left to end.
        Err(e) if e.kind() == ErrorKind::NotConnected => Ok(()),
        outcome => outcome,
    }
}

/// As `io::copy`, but what came is passed on at once.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buf = vec![0; CHUNK];
    loop {
        match from.read(&mut buf) {
            Ok(0) => return Ok(()),
            Ok(n) => {
                to.write_all(&buf[..n])?;
                to.flush()?;
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| w.to_string()).collect()
    }

    #[test]
    fn places_are_read_in_each_form() {
        let any = Some(Ipv4Addr::UNSPECIFIED);
        for (words, expected) in [
            (&["7000"][..], "0.0.0.0:7000"),
            (&["127.0.0.1", "7000"], "127.0.0.1:7000"),
            (&["127.0.0.1:7000"], "127.0.0.1:7000"),
        ] {
            assert_eq!(resolve(&place(words), any).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn wrong_places_are_errors() {
        assert!(resolve(&place(&["7000"]), None).is_err());
        assert!(resolve(&place(&["127.0.0.1", "70000"]), None).is_err());
        assert!(resolve(&place(&["127.0.0.1", "http?"]), None).is_err());
        assert!(resolve(&place(&["[::1]:80"]), None).is_err());
    }

    #[test]
    fn echo_sends_back_and_ends() {
        let listener = TcpListener::bind_in(Family::INET, "127.0.0.1:0", 1).unwrap();
        let mut client =
            TcpStream::connect_in(Family::INET, listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        let echoing = thread::spawn(move || echo(&server));
        client.write_all(b"there and back").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut back = String::new();
        client.read_to_string(&mut back).unwrap();
        assert_eq!(back, "there and back");
        echoing.join().unwrap().unwrap();
    }
}
