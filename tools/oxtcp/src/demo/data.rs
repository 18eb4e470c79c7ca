// SPDX-License-Identifier: GPL-2.0
//! Data both ways at once, and whether it arrived as it was sent.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;

use sha2::{Digest, Sha256};

const CHUNK: usize = 64 << 10;

/// SHA-256 of what was sent and of what came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// Of the bytes given to the sender's socket.
    pub sent: String,
    /// Of the bytes read from the receiver's socket.
    pub received: String,
}

type Digesting<'a> = thread::ScopedJoinHandle<'a, io::Result<String>>;

/// Sends `bytes` bytes from each of two ends to the other at once; the connection stays open.
/// Gives what went from `client` to `server`, and back.
pub fn exchange(
    client: &TcpStream,
    server: &TcpStream,
    bytes: u64,
) -> io::Result<(Delivery, Delivery)> {
    thread::scope(|scope| {
        let to_server = scope.spawn(|| send(client, bytes, 0x9e37_79b9_7f4a_7c15));
        let to_client = scope.spawn(|| send(server, bytes, 0xd1b5_4a32_d192_ed03));
        let at_server = scope.spawn(|| receive(server, bytes));
        let at_client = scope.spawn(|| receive(client, bytes));
        let delivery = |sent: Digesting<'_>, received: Digesting<'_>| {
            let sent = sent.join().expect("the sender does not panic");
            let received = received.join().expect("the receiver does not panic");
            io::Result::Ok(Delivery {
                sent: sent?,
                received: received?,
            })
        };
        let (there, back) = (
            delivery(to_server, at_server),
            delivery(to_client, at_client),
        );
        Ok((there?, back?))
    })
}

/// Sends bytes that look random but are the same each time.
fn send(mut stream: &TcpStream, bytes: u64, mut seed: u64) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut chunk = Vec::with_capacity(CHUNK);
    let mut left = bytes;
    while left > 0 {
        chunk.clear();
        while chunk.len() < CHUNK {
            // xorshift64
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            chunk.extend_from_slice(&seed.to_le_bytes());
        }
        chunk.truncate(usize::try_from(left).unwrap_or(CHUNK).min(CHUNK));
        hash.update(&chunk);
        stream.write_all(&chunk)?;
        left -= chunk.len() as u64;
    }
    Ok(hex(hash))
}

fn receive(stream: &TcpStream, bytes: u64) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    let mut limited = stream.take(bytes);
    loop {
        match limited.read(&mut chunk) {
            Ok(0) if limited.limit() == 0 => return Ok(hex(hash)),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => hash.update(&chunk[..n]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

fn hex(hash: Sha256) -> String {
    hash.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn both_directions_arrive_and_differ() {
        let (client, server) = pair();
        let (there, back) = exchange(&client, &server, 1_000_001).unwrap();
        assert_eq!(there.sent, there.received);
        assert_eq!(back.sent, back.received);
        assert_ne!(there.sent, back.sent);
        assert_eq!(there.sent.len(), 64);
    }

    #[test]
    fn a_missing_byte_is_noticed() {
        let (mut client, server) = pair();
        client.write_all(&[0; 9]).unwrap();
        drop(client);
        assert_eq!(
            receive(&server, 10).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }
}
