// SPDX-License-Identifier: GPL-2.0
//! A connection.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{self, Shutdown, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, IntoRawFd, OwnedFd, RawFd};
use std::time::Duration;

use socket2::{SockRef, Socket};

use crate::address::first_that_works;
use crate::Family;

/// A connected socket. Dropping it closes both directions.
///
/// ```no_run
/// use std::io::{Read, Write};
/// # fn main() -> std::io::Result<()> {
/// let mut stream = oxtcp::TcpStream::connect("10.0.0.2:7000")?;
/// stream.set_nodelay(true)?;
/// stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
/// let mut answer = Vec::new();
/// stream.read_to_end(&mut answer)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TcpStream(net::TcpStream);

impl TcpStream {
    /// Connects to the first of `addrs` that answers.
    ///
    /// # Errors
    ///
    /// `EAFNOSUPPORT`: the module is not loaded. `ECONNREFUSED`: nobody listens there.
    /// `ETIMEDOUT`: no answer. `ENETUNREACH`: no route. `InvalidInput`: no IPv4 address.
    pub fn connect(addrs: impl ToSocketAddrs) -> io::Result<Self> {
        Self::connect_in(Family::running(), addrs)
    }

    /// As [`connect`](Self::connect), for a chosen family.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_in(family: Family, addrs: impl ToSocketAddrs) -> io::Result<Self> {
        first_that_works(addrs, |addr| {
            let socket = family.socket()?;
            connect_through_signals(&socket, addr.into())?;
            Ok(Self::from(OwnedFd::from(socket)))
        })
    }

    /// Connects to `addr`, giving up after `timeout`.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect); `TimedOut` after `timeout`, `InvalidInput` when it is zero.
    pub fn connect_timeout(addr: &SocketAddr, timeout: Duration) -> io::Result<Self> {
        Self::connect_timeout_in(Family::running(), addr, timeout)
    }

    /// As [`connect_timeout`](Self::connect_timeout), for a chosen family.
    ///
    /// # Errors
    ///
    /// As [`connect_timeout`](Self::connect_timeout).
    pub fn connect_timeout_in(
        family: Family,
        addr: &SocketAddr,
        timeout: Duration,
    ) -> io::Result<Self> {
        if timeout.is_zero() {
            let what = "cannot connect within no time at all";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
        }
        first_that_works(addr, |addr| {
            let socket = family.socket()?;
            socket.connect_timeout(&addr.into(), timeout)?;
            Ok(Self::from(OwnedFd::from(socket)))
        })
    }

    /// The other end.
    ///
    /// # Errors
    ///
    /// As `getpeername(2)`; `NotConnected` when the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }

    /// This end.
    ///
    /// # Errors
    ///
    /// As `getsockname(2)`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Ends one direction or both. `Shutdown::Write` sends FIN after what was written.
    ///
    /// # Errors
    ///
    /// `NotConnected` when the connection is gone.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }

    /// Sends small segments at once (`true`) or collects them, Nagle's way (`false`).
    ///
    /// # Errors
    ///
    /// As `setsockopt(2)`.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.0.set_nodelay(nodelay)
    }

    /// What [`set_nodelay`](Self::set_nodelay) last set.
    ///
    /// # Errors
    ///
    /// As `getsockopt(2)`.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.0.nodelay()
    }

    /// Acknowledges at once what comes (`true`), or lets acknowledgments wait for company. The
    /// kernel goes back to its own choice by itself, see `TCP_QUICKACK` in tcp(7).
    ///
    /// # Errors
    ///
    /// As `setsockopt(2)`.
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        SockRef::from(self).set_tcp_quickack(quickack)
    }

    /// Whether acknowledgments are sent at once at present.
    ///
    /// # Errors
    ///
    /// As `getsockopt(2)`.
    pub fn quickack(&self) -> io::Result<bool> {
        SockRef::from(self).tcp_quickack()
    }

    /// What closing does while data is unsent (`SO_LINGER`): go on in the background (`None`), or
    /// wait so long for it; a duration of zero resets the connection.
    ///
    /// # Errors
    ///
    /// As `setsockopt(2)`.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        SockRef::from(self).set_linger(linger)
    }

    /// What [`set_linger`](Self::set_linger) last set.
    ///
    /// # Errors
    ///
    /// As `getsockopt(2)`.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self).linger()
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

    /// Whether reading and writing return `WouldBlock` instead of waiting.
    ///
    /// # Errors
    ///
    /// As `fcntl(2)`.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.0.set_nonblocking(nonblocking)
    }

    /// How long a read waits; `None` for without end.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a zero duration, else as `setsockopt(2)`.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_read_timeout(timeout)
    }

    /// How long a write waits; `None` for without end.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a zero duration, else as `setsockopt(2)`.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_write_timeout(timeout)
    }

    /// What [`set_read_timeout`](Self::set_read_timeout) last set.
    ///
    /// # Errors
    ///
    /// As `getsockopt(2)`.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        self.0.read_timeout()
    }

    /// What [`set_write_timeout`](Self::set_write_timeout) last set.
    ///
    /// # Errors
    ///
    /// As `getsockopt(2)`.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        self.0.write_timeout()
    }

    /// Reads without taking the bytes from the receive queue.
    ///
    /// # Errors
    ///
    /// As `recv(2)`.
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.peek(buf)
    }

    /// Takes the socket's pending error (`SO_ERROR`).
    ///
    /// # Errors
    ///
    /// As `getsockopt(2)`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.0.take_error()
    }

    /// Another handle of the same connection.
    ///
    /// # Errors
    ///
    /// As `fcntl(2)`.
    pub fn try_clone(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// The same descriptor as the standard library's type. It stays an oxtcp socket.
    pub fn into_std(self) -> net::TcpStream {
        self.0
    }
}

/// A signal ends `connect` but not the attempt: calling again waits for its outcome.
fn connect_through_signals(socket: &Socket, addr: socket2::SockAddr) -> io::Result<()> {
    const EISCONN: i32 = 106;
    let mut interrupted = false;
    loop {
        match socket.connect(&addr) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => interrupted = true,
            Err(e) if interrupted && e.raw_os_error() == Some(EISCONN) => return Ok(()),
            outcome => return outcome,
        }
    }
}

impl Read for TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.0.read_vectored(bufs)
    }
}

impl Read for &TcpStream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&self.0).read(buf)
    }

    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&self.0).read_vectored(bufs)
    }
}

impl Write for TcpStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Write for &TcpStream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&self.0).write(buf)
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&self.0).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The same descriptor; whose family it is of is not checked.
impl From<net::TcpStream> for TcpStream {
    fn from(stream: net::TcpStream) -> Self {
        Self(stream)
    }
}

/// As [`TcpStream::into_std`].
impl From<TcpStream> for net::TcpStream {
    fn from(stream: TcpStream) -> net::TcpStream {
        stream.0
    }
}

/// Takes a descriptor that is a TCP socket; nothing is checked.
impl From<OwnedFd> for TcpStream {
    fn from(fd: OwnedFd) -> Self {
        Self(fd.into())
    }
}

impl From<TcpStream> for OwnedFd {
    fn from(stream: TcpStream) -> OwnedFd {
        stream.0.into()
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for TcpStream {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl IntoRawFd for TcpStream {
    fn into_raw_fd(self) -> RawFd {
        self.0.into_raw_fd()
    }
}
