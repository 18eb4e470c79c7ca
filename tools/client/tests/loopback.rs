// SPDX-License-Identifier: GPL-2.0
//! The types over loopback. With `OXTCP_FAMILY` set they run on that family, else on `AF_INET`, so
//! that they also run where the module is not loaded.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

use oxtcp::{Family, TcpListener, TcpStream};

fn family() -> Family {
    match std::env::var("OXTCP_FAMILY") {
        Ok(_) => Family::running(),
        Err(_) => Family::INET,
    }
}

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind_in(family(), "127.0.0.1:0", 16).unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

fn pair() -> (TcpStream, TcpStream) {
    let (listener, addr) = listen();
    let client = TcpStream::connect_in(family(), addr).unwrap();
    let (server, _) = listener.accept().unwrap();
    (client, server)
}

#[test]
fn both_ends_agree_on_addresses() {
    let (listener, addr) = listen();
    assert_eq!(addr.ip(), Ipv4Addr::LOCALHOST);
    assert_ne!(addr.port(), 0);

    let client = TcpStream::connect_in(family(), addr).unwrap();
    let (server, peer) = listener.accept().unwrap();
    assert_eq!(peer, client.local_addr().unwrap());
    assert_eq!(client.peer_addr().unwrap(), addr);
    assert_eq!(server.local_addr().unwrap(), addr);
    assert_eq!(server.peer_addr().unwrap(), peer);
}

#[test]
fn a_mebibyte_each_way_at_once() {
    const LEN: usize = 1 << 20;
    let sent: Vec<u8> = (0..LEN).map(|i| (i * 7 + i / 251) as u8).collect();
    let (client, server) = pair();

    let exchange = |stream: TcpStream| {
        thread::scope(|scope| {
            scope.spawn(|| {
                (&stream).write_all(&sent).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
            });
            let mut got = Vec::new();
            (&stream).read_to_end(&mut got).unwrap();
            got
        })
    };
    let (at_client, at_server) = thread::scope(|scope| {
        let server = scope.spawn(|| exchange(server));
        (exchange(client), server.join().unwrap())
    });
    assert!(at_client == sent && at_server == sent);
}

#[test]
fn half_close_leaves_the_other_direction_open() {
    let (mut client, mut server) = pair();
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();

    let mut text = String::new();
    server.read_to_string(&mut text).unwrap();
    assert_eq!(text, "question");

    server.write_all(b"answer").unwrap();
    drop(server);
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    assert_eq!(text, "answer");
}

#[test]
fn peek_leaves_the_bytes() {
    let (mut client, mut server) = pair();
    client.write_all(b"abc").unwrap();
    let mut buf = [0; 3];
    server.peek(&mut buf[..1]).unwrap();
    server.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"abc");
}

#[test]
fn nonblocking_calls_say_would_block() {
    let (listener, addr) = listen();
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    listener.set_nonblocking(false).unwrap();

    let mut client = TcpStream::connect_in(family(), addr).unwrap();
    client.set_nonblocking(true).unwrap();
    assert_eq!(
        client.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
}

#[test]
fn read_timeout_ends_a_read() {
    let (mut client, _server) = pair();
    let timeout = Some(Duration::from_millis(20));
    client.set_read_timeout(timeout).unwrap();
    assert_eq!(client.read_timeout().unwrap(), timeout);
    assert_eq!(
        client.read(&mut [0]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
}

#[test]
fn nodelay_is_kept() {
    let (client, _server) = pair();
    assert!(!client.nodelay().unwrap());
    client.set_nodelay(true).unwrap();
    assert!(client.nodelay().unwrap());
}

#[test]
fn options_are_kept() {
    let (listener, addr) = listen();
    listener.set_ttl(33).unwrap();
    assert_eq!(listener.ttl().unwrap(), 33);
    let client = TcpStream::connect_in(family(), addr).unwrap();
    client.set_ttl(44).unwrap();
    assert_eq!(client.ttl().unwrap(), 44);
    assert_eq!(
        client.set_ttl(0).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert_eq!(client.linger().unwrap(), None);
    let linger = Some(Duration::from_secs(3));
    client.set_linger(linger).unwrap();
    assert_eq!(client.linger().unwrap(), linger);
    client.set_quickack(true).unwrap();
    assert!(client.quickack().unwrap());
    client.set_write_timeout(linger).unwrap();
    assert_eq!(client.write_timeout().unwrap(), linger);
    assert!(client.take_error().unwrap().is_none());
    assert!(listener.take_error().unwrap().is_none());
}

#[test]
fn connect_timeout_connects() {
    let (_listener, addr) = listen();
    let limit = Duration::from_secs(20);
    let client = TcpStream::connect_timeout_in(family(), &addr, limit).unwrap();
    assert_eq!(client.peer_addr().unwrap(), addr);
    let nothing = TcpStream::connect_timeout_in(family(), &addr, Duration::ZERO);
    assert_eq!(nothing.unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_bare_descriptor_is_taken() {
    let (client, mut server) = pair();
    let fd = client.into_raw_fd();
    // SAFETY: Just given out, and nobody else's.
    let mut client = unsafe { TcpStream::from_raw_fd(fd) };
    client.write_all(b"x").unwrap();
    drop(client);
    let mut got = Vec::new();
    server.read_to_end(&mut got).unwrap();
    assert_eq!(got, b"x");
}

#[test]
fn a_closed_port_refuses() {
    let (listener, addr) = listen();
    drop(listener);
    let refused = TcpStream::connect_in(family(), addr).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_bound_port_is_in_use() {
    let (_listener, addr) = listen();
    let taken = TcpListener::bind_in(family(), addr, 1).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AddrInUse);
}

#[test]
fn incoming_gives_connections_in_order() {
    let (listener, addr) = listen();
    let clients: Vec<_> = (0..3)
        .map(|_| TcpStream::connect_in(family(), addr).unwrap())
        .collect();
    let accepted: Vec<_> = listener.incoming().take(3).map(Result::unwrap).collect();
    for (client, server) in clients.iter().zip(&accepted) {
        assert_eq!(client.local_addr().unwrap(), server.peer_addr().unwrap());
    }
}

#[test]
fn the_descriptor_moves_to_std_and_back() {
    let (client, mut server) = pair();
    let fd = client.as_raw_fd();
    let mut std = client.into_std();
    assert_eq!(std.as_raw_fd(), fd);
    std.write_all(b"x").unwrap();

    let client = TcpStream::from(OwnedFd::from(std));
    assert_eq!(client.as_raw_fd(), fd);
    drop(client);
    let mut got = Vec::new();
    server.read_to_end(&mut got).unwrap();
    assert_eq!(got, b"x");
}

#[test]
fn an_unknown_family_is_refused() {
    let no_family = Family::new(255);
    let refused = TcpStream::connect_in(no_family, "127.0.0.1:1").unwrap_err();
    const EAFNOSUPPORT: i32 = 97;
    assert_eq!(refused.raw_os_error(), Some(EAFNOSUPPORT));
}
