// SPDX-License-Identifier: GPL-2.0
//! The kernel's list of sockets, over sock_diag netlink.

pub mod message;
pub mod tcp_info;
pub mod units;

use anyhow::{bail, Context, Result};
use netlink_packet_core::{NetlinkMessage, NetlinkPayload, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST};
use netlink_sys::{protocols::NETLINK_SOCK_DIAG, SocketAddr};
use nix::errno::Errno;
use oxtcp::Family;

use message::Message;
pub use message::{Socket, SocketId, Timer};

/// A line to the kernel. It belongs to the network namespace of the thread that opened it.
pub struct SockDiag {
    socket: netlink_sys::Socket,
}

impl SockDiag {
    /// Opens one.
    pub fn open() -> Result<SockDiag> {
        let mut socket =
            netlink_sys::Socket::new(NETLINK_SOCK_DIAG).context("cannot open sock_diag netlink")?;
        socket.bind_auto().context("cannot bind a netlink socket")?;
        socket
            .connect(&SocketAddr::new(0, 0))
            .context("cannot reach sock_diag")?;
        Ok(SockDiag { socket })
    }

    /// The sockets of `family` whose state is in `states` (`State::bit`s). SYN queue and TIME-WAIT
    /// entries are sockets here.
    pub fn dump(&self, family: Family, states: u32) -> Result<Vec<Socket>> {
        self.request(
            Message::Dump {
                family: family.number(),
                states,
            },
            NLM_F_DUMP,
        )
        .map_err(|errno| match errno.downcast_ref::<Errno>() {
            Some(Errno::ENOENT | Errno::EINVAL) => anyhow::anyhow!(
                "the kernel has no table of {family} sockets (family {}): \
                     is the module loaded?",
                family.number()
            ),
            _ => errno.context("cannot read the table of sockets"),
        })
    }

    /// Aborts a connection or listener, as an administrator. `false` when it is gone by now.
    pub fn destroy(&self, family: Family, id: SocketId) -> Result<bool> {
        let family = family.number();
        match self.request(Message::Destroy { family, id }, NLM_F_ACK) {
            Err(e) if e.downcast_ref() == Some(&Errno::ENOENT) => Ok(false),
            outcome => outcome.map(|_| true).context("cannot end the socket"),
        }
    }

    /// Sends a request and collects the sockets of the answer.
    fn request(&self, message: Message, flags: u16) -> Result<Vec<Socket>> {
        let mut packet = NetlinkMessage::from(message);
        packet.header.flags = NLM_F_REQUEST | flags;
        packet.finalize();
        let mut bytes = vec![0; packet.buffer_len()];
        packet.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;

        let mut sockets = Vec::new();
        loop {
            let (answer, _) = self.socket.recv_from_full()?;
            let mut rest = &answer[..];
            while !rest.is_empty() {
                let reply = NetlinkMessage::<Message>::deserialize(rest)?;
                match reply.payload {
                    NetlinkPayload::InnerMessage(Message::Socket(socket)) => sockets.push(*socket),
                    NetlinkPayload::Done(done) if done.code == 0 => return Ok(sockets),
                    NetlinkPayload::Done(done) => return Err(Errno::from_raw(-done.code).into()),
                    NetlinkPayload::Error(error) => match error.code {
                        None => return Ok(sockets),
                        Some(code) => return Err(Errno::from_raw(-code.get()).into()),
                    },
                    NetlinkPayload::Overrun(_) => bail!("the kernel lost messages"),
                    _ => {}
                }
                let len = (reply.header.length as usize).next_multiple_of(4);
                rest = rest.get(len..).unwrap_or_default();
            }
        }
    }
}
