// SPDX-License-Identifier: GPL-2.0

//! The serving end: a smoltcp socket behind a TUN device, turned by hand.

use anyhow::{bail, Result};
use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Medium, TunTapInterface};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpCidr, Ipv4Address};

/// Its address; the machine's is another of the same network.
pub const ADDRESS: Ipv4Address = Ipv4Address::new(10, 9, 0, 2);

/// Bytes of each buffer: Linux's `tcp_rmem[1]`.
const BUFFER: usize = 131_072;

/// How often the stack is turned for what has to come, before something must be wrong.
const PATIENCE: usize = 1_000_000;

/// One listener or connection.
pub struct Server {
    device: TunTapInterface,
    interface: Interface,
    sockets: SocketSet<'static>,
    handle: SocketHandle,
}

impl Server {
    /// Behind the TUN device `name`, which is there and up.
    pub fn new(name: &str) -> Result<Self> {
        let mut device = TunTapInterface::new(name, Medium::Ip)?;
        let config = Config::new(HardwareAddress::Ip);
        let mut interface = Interface::new(config, &mut device, Instant::now());
        interface.update_ip_addrs(|addrs| {
            // There is room for one.
            let _ = addrs.push(IpCidr::new(ADDRESS.into(), 24));
        });
        let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER]);
        let mut socket = tcp::Socket::new(buffer(), buffer());
        // As the benchmark gives it to all.
        socket.set_nagle_enabled(false);
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let handle = sockets.add(socket);
        Ok(Self {
            device,
            interface,
            sockets,
            handle,
        })
    }

    /// Takes what has come, and sends what may be sent.
    pub fn turn(&mut self) -> &mut tcp::Socket<'static> {
        self.interface
            .poll(Instant::now(), &mut self.device, &mut self.sockets);
        self.sockets.get_mut(self.handle)
    }

    /// Turns until the socket is as `wanted`.
    pub fn turn_until(&mut self, wanted: impl Fn(&tcp::Socket<'_>) -> bool) -> Result<()> {
        for _ in 0..PATIENCE {
            if wanted(self.turn()) {
                return Ok(());
            }
        }
        bail!("smoltcp does not come on from {}", self.turn().state())
    }

    /// Waits for a connection on `port`.
    pub fn listen(&mut self, port: u16) -> Result<()> {
        self.turn_until(|socket| !socket.is_open())?;
        Ok(self.turn().listen(port)?)
    }

    /// Reads what is there, up to the size of `into`.
    pub fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        let socket = self.turn();
        if !socket.can_recv() {
            return Ok(0);
        }
        Ok(socket.recv_slice(into)?)
    }

    /// Reads one byte and answers with another.
    pub fn echo(&mut self) -> Result<()> {
        let mut byte = [0];
        while self.read(&mut byte)? == 0 {}
        self.turn().send_slice(&byte)?;
        self.turn();
        Ok(())
    }

    /// Closes the connection, whose peer has closed it before.
    pub fn close(&mut self) -> Result<()> {
        self.turn_until(|socket| !socket.may_recv())?;
        self.turn().close();
        self.turn_until(|socket| !socket.is_open())
    }
}
