// SPDX-License-Identifier: GPL-2.0

//! The tests.

use std::io::{BufRead, BufReader, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::time::{clock_gettime, ClockId};
use sha2::{Digest, Sha256};
use socket2::SockRef;

use crate::runner::{slowness, Test};
use crate::sockets::{connect, listen, pair, socket, Stack, COMBINATIONS};

/// All tests, by name.
pub const TESTS: &[Test] = &[
    ("names_of_both_ends_agree", names_of_both_ends_agree),
    ("read_and_write_both_ways", read_and_write_both_ways),
    ("vectored_read_and_write", vectored_read_and_write),
    ("peek_leaves_the_data", peek_leaves_the_data),
    (
        "lines_through_a_buffered_reader",
        lines_through_a_buffered_reader,
    ),
    ("shutdown_is_end_of_file", shutdown_is_end_of_file),
    ("drop_is_end_of_file", drop_is_end_of_file),
    ("nonblocking_would_block", nonblocking_would_block),
    ("read_timeout_would_block", read_timeout_would_block),
    ("nodelay_is_kept", nodelay_is_kept),
    ("connect_is_refused", connect_is_refused),
    ("bound_address_is_in_use", bound_address_is_in_use),
    ("connect_timeout_connects", connect_timeout_connects),
    ("zero_linger_resets", zero_linger_resets),
    ("error_is_taken_once", error_is_taken_once),
    (
        "cloned_stream_reads_and_writes_on_two_threads",
        cloned_stream_on_two_threads,
    ),
    ("incoming_serves_many_threads", incoming_serves_many_threads),
    ("copy_is_byte_identical", copy_is_byte_identical),
    (
        "one_socket_read_by_many_threads_loses_nothing",
        one_socket_read_by_many_threads,
    ),
];

fn names_of_both_ends_agree() {
    for (server, client) in COMBINATIONS {
        let (server, client) = pair(server, client);
        assert_eq!(server.local_addr().unwrap(), client.peer_addr().unwrap());
        assert_eq!(client.local_addr().unwrap(), server.peer_addr().unwrap());
        assert!(client.local_addr().unwrap().is_ipv4());
    }
}

fn read_and_write_both_ways() {
    for (server, client) in COMBINATIONS {
        let (mut server, mut client) = pair(server, client);
        let mut got = [0; 4];
        client.write_all(b"ping").unwrap();
        server.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"ping");
        server.write_all(b"pong").unwrap();
        client.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"pong");
    }
}

fn vectored_read_and_write() {
    for (server, client) in COMBINATIONS {
        let (mut server, mut client) = pair(server, client);
        let sent = client
            .write_vectored(&[IoSlice::new(b"ab"), IoSlice::new(b"cde")])
            .unwrap();
        assert_eq!(sent, 5);
        let mut whole = [0; 5];
        assert!(server.peek(&mut whole).unwrap() > 0);
        let (mut first, mut second) = ([0; 1], [0; 4]);
        let mut slices = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(server.read_vectored(&mut slices).unwrap(), 5);
        assert_eq!((&first, &second), (b"a", b"bcde"));
    }
}

fn peek_leaves_the_data() {
    for (server, client) in COMBINATIONS {
        let (mut server, mut client) = pair(server, client);
        let mut got = [0; 4];
        client.write_all(b"peek").unwrap();
        assert_eq!(server.peek(&mut got).unwrap(), 4);
        got.fill(0);
        server.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"peek");
    }
}

fn lines_through_a_buffered_reader() {
    for (server, client) in COMBINATIONS {
        let (server, mut client) = pair(server, client);
        for i in 0..100 {
            writeln!(client, "line {i}").unwrap();
        }
        drop(client);
        let lines: Vec<String> = BufReader::new(server).lines().map(Result::unwrap).collect();
        assert_eq!(lines.len(), 100);
        assert_eq!(lines[99], "line 99");
    }
}

fn shutdown_is_end_of_file() {
    for (server, client) in COMBINATIONS {
        let (mut server, mut client) = pair(server, client);
        client.write_all(b"last").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut got = Vec::new();
        server.read_to_end(&mut got).unwrap();
        assert_eq!(got, b"last");
        assert_eq!(
            client.write(b"x").unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
        server.write_all(b"answer").unwrap();
        drop(server);
        got.clear();
        client.read_to_end(&mut got).unwrap();
        assert_eq!(got, b"answer");
    }
}

fn drop_is_end_of_file() {
    for (server, client) in COMBINATIONS {
        let (mut server, client) = pair(server, client);
        drop(client);
        assert_eq!(server.read(&mut [0; 1]).unwrap(), 0);
    }
}

fn nonblocking_would_block() {
    let listener = listen(Stack::Own);
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    for (server, client) in COMBINATIONS {
        let (mut server, mut client) = pair(server, client);
        server.set_nonblocking(true).unwrap();
        assert_eq!(
            server.read(&mut [0; 1]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        client.set_nonblocking(true).unwrap();
        let block = vec![0; 1 << 20];
        let full = loop {
            if let Err(error) = client.write(&block) {
                break error.kind();
            }
        };
        assert_eq!(full, ErrorKind::WouldBlock);
    }
}

/// By how much a limit may seem to end early: the last ticks may not have been counted when it starts.
const TICKS: Duration = Duration::from_millis(20);

/// The clock that moves with the tick, in which time limits of sockets are counted.
fn ticked() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE)
        .unwrap()
        .into()
}

fn read_timeout_would_block() {
    for (server, client) in COMBINATIONS {
        let (mut server, _client) = pair(server, client);
        let limit = Duration::from_millis(60);
        server.set_read_timeout(Some(limit)).unwrap();
        assert_eq!(server.read_timeout().unwrap(), Some(limit));
        let start = ticked();
        assert_eq!(
            server.read(&mut [0; 1]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        assert!(ticked() - start >= limit - TICKS);
    }
}

fn nodelay_is_kept() {
    for (server, client) in COMBINATIONS {
        let (_server, client) = pair(server, client);
        assert!(!client.nodelay().unwrap());
        client.set_nodelay(true).unwrap();
        assert!(client.nodelay().unwrap());
    }
}

fn connect_is_refused() {
    for (server, client) in COMBINATIONS {
        let closed = listen(server).local_addr().unwrap();
        assert_eq!(
            connect(client, closed).unwrap_err().kind(),
            ErrorKind::ConnectionRefused
        );
    }
}

fn bound_address_is_in_use() {
    for (first, second) in COMBINATIONS {
        let taken = listen(first).local_addr().unwrap();
        let holder = socket(first);
        holder.bind(&taken.into()).unwrap();
        let error = socket(second).bind(&taken.into()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
    }
}

fn connect_timeout_connects() {
    for (server, client) in COMBINATIONS {
        let listener = listen(server);
        let socket = socket(client);
        let to = listener.local_addr().unwrap();
        socket
            .connect_timeout(&to.into(), Duration::from_secs(10) * slowness())
            .unwrap();
        assert_eq!(TcpStream::from(socket).peer_addr().unwrap(), to);
    }
}

fn zero_linger_resets() {
    for (server, client) in COMBINATIONS {
        let (mut server, client) = pair(server, client);
        SockRef::from(&client)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(client);
        let error = server.read(&mut [0; 1]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
}

fn error_is_taken_once() {
    let fresh = socket(Stack::Own);
    let unused = listen(Stack::Own).local_addr().unwrap();
    fresh.set_nonblocking(true).unwrap();
    // Refused at once or told later by SO_ERROR: never both.
    let told = match fresh.connect(&unused.into()) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Some(error),
        _ => loop {
            if let Some(error) = fresh.take_error().unwrap() {
                break Some(error);
            }
            thread::yield_now();
        },
    };
    assert_eq!(told.unwrap().kind(), ErrorKind::ConnectionRefused);
    assert!(fresh.take_error().unwrap().is_none());
}

fn cloned_stream_on_two_threads() {
    for (server, client) in COMBINATIONS {
        let (mut server, client) = pair(server, client);
        let mut writing = client.try_clone().unwrap();
        let echo = thread::spawn(move || {
            let mut all = Vec::new();
            server.read_to_end(&mut all).unwrap();
            server.write_all(&all).unwrap();
        });
        let writer = thread::spawn(move || {
            for i in 0..=255u8 {
                writing.write_all(&[i]).unwrap();
            }
            writing.shutdown(Shutdown::Write).unwrap();
        });
        let mut got = Vec::new();
        (&client).read_to_end(&mut got).unwrap();
        assert_eq!(got, (0..=255).collect::<Vec<u8>>());
        writer.join().unwrap();
        echo.join().unwrap();
    }
}

fn incoming_serves_many_threads() {
    for (server, client) in COMBINATIONS {
        let count = if slowness() > 1 { 8 } else { 64 };
        let listener = listen(server);
        let to = listener.local_addr().unwrap();
        // Made here: a new thread is in the namespace of the one that makes it.
        let clients: Vec<_> = (0..count)
            .map(|i: u32| {
                thread::spawn(move || {
                    let mut stream = connect(client, to).unwrap();
                    stream.write_all(&i.to_be_bytes()).unwrap();
                    let mut got = [0; 4];
                    stream.read_exact(&mut got).unwrap();
                    assert_eq!(u32::from_be_bytes(got), i + 1);
                })
            })
            .collect();
        for stream in listener.incoming().take(count as usize) {
            let mut stream = stream.unwrap();
            let mut got = [0; 4];
            stream.read_exact(&mut got).unwrap();
            stream
                .write_all(&(u32::from_be_bytes(got) + 1).to_be_bytes())
                .unwrap();
        }
        for client in clients {
            client.join().unwrap();
        }
    }
}

fn copy_is_byte_identical() {
    for (server, client) in COMBINATIONS {
        let len = if slowness() > 1 { 256 << 10 } else { 8 << 20 };
        let data: Vec<u8> = (0..len as u32)
            .map(|i| (i.wrapping_mul(2654435761) >> 13) as u8)
            .collect();
        let expected = Sha256::digest(&data);
        let (mut server, mut client) = pair(server, client);
        let sender = thread::spawn(move || {
            client.write_all(&data).unwrap();
        });
        let mut got = Vec::new();
        server.read_to_end(&mut got).unwrap();
        sender.join().unwrap();
        assert_eq!(got.len(), len);
        assert_eq!(Sha256::digest(&got), expected);
    }
}

fn one_socket_read_by_many_threads() {
    for (server, client) in COMBINATIONS {
        let (server, mut client) = pair(server, client);
        let server = Arc::new(server);
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let server = Arc::clone(&server);
                thread::spawn(move || {
                    let (mut total, mut buffer) = (0, [0; 1000]);
                    loop {
                        match (&*server).read(&mut buffer).unwrap() {
                            0 => return total,
                            n => total += n,
                        }
                    }
                })
            })
            .collect();
        client.write_all(&vec![7; 300_000]).unwrap();
        drop(client);
        let total: usize = readers.into_iter().map(|r| r.join().unwrap()).sum();
        assert_eq!(total, 300_000);
    }
}
