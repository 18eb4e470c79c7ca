// SPDX-License-Identifier: GPL-2.0
//! The passive end.

use std::io;
use std::net::{self, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};

use crate::address::first_that_works;
use crate::{Family, TcpStream};

/// A listening socket.
///
/// ```no_run
/// # fn main() -> std::io::Result<()> {
/// let listener = oxtcp::TcpListener::bind("0.0.0.0:7000")?;
/// for stream in listener.incoming() {
///     let mut stream = stream?;
///     std::io::copy(&mut stream.try_clone()?, &mut stream)?; // echo
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TcpListener(net::TcpListener);

impl TcpListener {
    /// Accept queue length asked for by [`bind`](Self::bind), in connections. The kernel takes
    /// `net.core.somaxconn` where that is less.
    pub const BACKLOG: u32 = 4096;

    /// Binds to the first of `addrs` that can be bound, and listens. `SO_REUSEADDR` is set, as
    /// [`std::net::TcpListener::bind`] does.
    ///
    /// # Errors
    ///
    /// `EAFNOSUPPORT`: the module is not loaded. `EADDRINUSE`: the port is another socket's, also
    /// one of `AF_INET`. `EADDRNOTAVAIL`: not an address of this machine. `EACCES`: a privileged
    /// port. `InvalidInput`: no IPv4 address.
    pub fn bind(addrs: impl ToSocketAddrs) -> io::Result<Self> {
        Self::bind_in(Family::running(), addrs, Self::BACKLOG)
    }

    /// As [`bind`](Self::bind), for a chosen family and accept queue length (in connections).
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn bind_in(family: Family, addrs: impl ToSocketAddrs, backlog: u32) -> io::Result<Self> {
        let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
        first_that_works(addrs, |addr| {
            let socket = family.socket()?;
            socket.set_reuse_address(true)?;
            socket.bind(&addr.into())?;
            socket.listen(backlog)?;
            Ok(Self(OwnedFd::from(socket).into()))
        })
    }

    /// Takes the oldest connection of the accept queue, waiting for one. Gives it and its peer.
    ///
    /// # Errors
    ///
    /// As `accept(2)`; `WouldBlock` when the listener is non-blocking and the queue is empty.
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = self.0.accept()?;
        Ok((stream.into(), peer))
    }

    /// The connections as they come, without end.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming(self)
    }

    /// The address it is bound to, with the port that was given when port 0 was asked for.
    ///
    /// # Errors
    ///
    /// As `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Whether [`accept`](Self::accept) returns `WouldBlock` instead of waiting.
    ///
    /// # Errors
    ///
    /// As `fcntl(2)`.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.0.set_nonblocking(nonblocking)
    }

    /// Sets the time to live of packets sent (`IP_TTL`), in hops.
    ///
    /// # Errors
    ///
    /// As `setsockopt(2)`: `EINVAL` unless it is 1 to 255.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.0.set_ttl(ttl)
    }

    /// The time to live of packets sent, in hops.
    ///
    /// # Errors
    ///
    /// As `getsockopt(2)`.
    pub fn ttl(&self) -> io::Result<u32> {
        self.0.ttl()
    }

    /// Takes the socket's pending error (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// As `getsockopt(2)`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.0.take_error()
    }

    /// Another handle of the same socket.
    ///
    /// # Errors
    ///
    /// As `fcntl(2)`.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// The same descriptor as the standard library's type. It stays an oxtcp socket.
    pub fn into_std(self) -> net::TcpListener {
        self.0
    }
}

/// What [`TcpListener::incoming`] gives.
#[derive(Debug)]
pub struct Incoming<'a>(&'a TcpListener);

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.accept().map(|(stream, _)| stream))
    }
}

impl std::iter::FusedIterator for Incoming<'_> {}

/// The same descriptor; whose family it is of is not checked.
impl From<net::TcpListener> for TcpListener {
    fn from(listener: net::TcpListener) -> Self {
        Self(listener)
    }
}

/// As [`TcpListener::into_std`].
impl From<TcpListener> for net::TcpListener {
    fn from(listener: TcpListener) -> net::TcpListener {
        listener.0
    }
}

/// Takes a descriptor that is a listening socket; nothing is checked.
impl From<OwnedFd> for TcpListener {
    fn from(fd: OwnedFd) -> Self {
        Self(fd.into())
    }
}

impl From<TcpListener> for OwnedFd {
    fn from(listener: TcpListener) -> OwnedFd {
        listener.0.into()
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl IntoRawFd for TcpListener {
    fn into_raw_fd(self) -> RawFd {
        self.0.into_raw_fd()
    }
}
