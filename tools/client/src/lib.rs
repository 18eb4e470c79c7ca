// SPDX-License-Identifier: GPL-2.0
//! TCP over `AF_OXTCP` sockets, shaped like [`std::net`].
//!
//! A program moves to oxtcp by changing its imports:
//!
//! ```no_run
//! use oxtcp::{TcpListener, TcpStream}; // was: use std::net::{TcpListener, TcpStream};
//! use std::io::{Read, Write};
//!
//! # fn main() -> std::io::Result<()> {
//! let listener = TcpListener::bind("127.0.0.1:7000")?;
//! let mut client = TcpStream::connect("127.0.0.1:7000")?;
//! let (mut server, peer) = listener.accept()?;
//! assert_eq!(peer, client.local_addr()?);
//!
//! client.write_all(b"hello")?;
//! client.shutdown(std::net::Shutdown::Write)?;
//! let mut text = String::new();
//! server.read_to_string(&mut text)?;
//! assert_eq!(text, "hello");
//! # Ok(())
//! # }
//! ```
//!
//! Addresses are ordinary IPv4 socket addresses. An IPv6 address is refused with
//! [`InvalidInput`](std::io::ErrorKind::InvalidInput). While the module is not loaded, every call
//! that makes a socket fails with `EAFNOSUPPORT`.
//!
//! For what is not wrapped here there is `into_std`: the descriptor answers the same system calls
//! as that of an `AF_INET` socket, so the types of [`std::net`] work on it, and those of runtimes
//! that are made from them (`tokio::net::TcpStream::from_std`, `mio::net::TcpStream::from_std`; the
//! examples `tokio_echo` and `mio_echo` show it).

#![deny(unsafe_code)]

mod address;
mod family;
mod listener;
mod raw;
mod stream;

pub use family::Family;
pub use listener::{Incoming, TcpListener};
pub use stream::TcpStream;
