// SPDX-License-Identifier: GPL-2.0
//! sock_diag's messages for TCP sockets (`linux/inet_diag.h`), whatever the family's number is.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use netlink_packet_core::{
    DecodeError, NetlinkDeserializable, NetlinkHeader, NetlinkPayload, NetlinkSerializable,
    NlasIterator,
};

use super::tcp_info::TcpInfo;
use crate::state::State;

/// `SOCK_DIAG_BY_FAMILY`
const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// `SOCK_DESTROY`
const SOCK_DESTROY: u16 = 21;

/// `INET_DIAG_INFO`: struct tcp_info
const INET_DIAG_INFO: u16 = 2;
/// `INET_DIAG_CONG`: name of the congestion control
const INET_DIAG_CONG: u16 = 4;
/// `INET_DIAG_TOS`: u8
const INET_DIAG_TOS: u16 = 5;
/// `INET_DIAG_SKMEMINFO`: nine u32
const INET_DIAG_SKMEMINFO: u16 = 7;
/// `INET_DIAG_SHUTDOWN`: u8, 1 receiving, 2 sending
const INET_DIAG_SHUTDOWN: u16 = 8;
/// `INET_DIAG_MARK`: u32
const INET_DIAG_MARK: u16 = 15;
/// `INET_DIAG_CGROUP_ID`: u64
const INET_DIAG_CGROUP_ID: u16 = 21;
/// oxtcp's own: length of a listener's SYN queue, in connections (u32)
const OXTCP_DIAG_SYN_QUEUE: u16 = 200;

/// Length of struct inet_diag_req_v2.
const REQUEST_LEN: usize = 56;
/// Length of struct inet_diag_msg, before the attributes.
const REPLY_LEN: usize = 72;
/// Bytes of struct inet_diag_sockid.
const SOCKET_ID_LEN: usize = 48;

/// A message of ours or the kernel's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// To the kernel: list sockets.
    Dump {
        /// Family's number.
        family: u8,
        /// `State::bit`s of the states wanted.
        states: u32,
    },
    /// To the kernel: abort one connection.
    Destroy {
        /// Family's number.
        family: u8,
        /// Which.
        id: SocketId,
    },
    /// From the kernel: one socket.
    Socket(Box<Socket>),
}

/// struct inet_diag_sockid as it came, to name the socket in a later request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SocketId([u8; SOCKET_ID_LEN]);

impl SocketId {
    /// Names no socket.
    #[cfg(test)]
    pub const NONE: SocketId = SocketId([0; SOCKET_ID_LEN]);

    /// Index of the interface that the socket is bound to; 0: none.
    pub fn interface(&self) -> u32 {
        u32_of(&self.0[36..]).unwrap_or(0)
    }

    /// The socket's cookie (`SO_COOKIE`); `None` for what is no socket.
    pub fn cookie(&self) -> Option<u64> {
        let word = |at: usize| u64::from(u32_of(&self.0[at..]).unwrap_or(0));
        Some(word(44) << 32 | word(40)).filter(|&cookie| cookie != u64::MAX)
    }
}

/// One socket, SYN queue entry or TIME-WAIT entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Socket {
    /// Its state.
    pub state: State,
    /// This end.
    pub local: SocketAddrV4,
    /// The other end; all zero for a listener.
    pub peer: SocketAddrV4,
    /// Bytes to be read; for a listener: connections in its accept queue.
    pub recv_q: u32,
    /// Bytes not yet acknowledged; for a listener: limit of its accept queue.
    pub send_q: u32,
    /// The timer that runs, if one does.
    pub timer: Option<Timer>,
    /// Its owner.
    pub uid: u32,
    /// Its inode; 0 when no process holds it.
    pub inode: u32,
    /// Names it in requests.
    pub id: SocketId,
    /// Connections in a listener's SYN queue, where the kernel tells.
    pub syn_queue: Option<u32>,
    /// What `getsockopt(TCP_INFO)` gives.
    pub info: Option<TcpInfo>,
    /// Name of the congestion control.
    pub congestion: Option<String>,
    /// Memory in use (`SK_MEMINFO_*`).
    pub memory: Option<[u32; 9]>,
    /// What was shut down: 1 receiving, 2 sending (`RCV_SHUTDOWN`, `SEND_SHUTDOWN`).
    pub shutdown: Option<u8>,
    /// `SO_MARK`; told to administrators only.
    pub mark: u32,
    /// `IP_TOS`
    pub tos: Option<u8>,
    /// Inode of its cgroup.
    pub cgroup: Option<u64>,
}

/// A running timer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timer {
    /// What for.
    pub kind: TimerKind,
    /// Time until it fires.
    pub left: Duration,
    /// How often it fired in a row.
    pub retransmits: u8,
}

/// What a timer is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TimerKind {
    /// Retransmission.
    Retransmit,
    /// Keepalive, FIN-WAIT-2 and the like.
    Keepalive,
    /// TIME-WAIT.
    TimeWait,
    /// Zero-window probe.
    Persist,
    /// A number that is not known here.
    Other(u8),
}

impl TimerKind {
    /// The word that `ss` prints.
    pub fn name(self) -> &'static str {
        match self {
            TimerKind::Retransmit => "on",
            TimerKind::Keepalive => "keepalive",
            TimerKind::TimeWait => "timewait",
            TimerKind::Persist => "persist",
            TimerKind::Other(_) => "unknown",
        }
    }
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        match self {
            Message::Destroy { .. } => SOCK_DESTROY,
            Message::Dump { .. } | Message::Socket(_) => SOCK_DIAG_BY_FAMILY,
        }
    }

    fn buffer_len(&self) -> usize {
        REQUEST_LEN
    }

    fn serialize(&self, buffer: &mut [u8]) {
        const IPPROTO_TCP: u8 = 6;
        let extensions = [
            INET_DIAG_INFO,
            INET_DIAG_CONG,
            INET_DIAG_TOS,
            INET_DIAG_SKMEMINFO,
            INET_DIAG_SHUTDOWN,
        ]
        .iter()
        .fold(0, |bits, extension| bits | 1u8 << (extension - 1));
        let (family, extensions, states, id) = match self {
            Message::Dump { family, states } => (*family, extensions, *states, None),
            Message::Destroy { family, id } => (*family, 0, u32::MAX, Some(id)),
            Message::Socket(_) => unreachable!("only the kernel sends this"),
        };
        buffer[..4].copy_from_slice(&[family, IPPROTO_TCP, extensions, 0]);
        buffer[4..8].copy_from_slice(&states.to_ne_bytes());
        match id {
            Some(id) => buffer[8..].copy_from_slice(&id.0),
            None => buffer[8..].fill(0),
        }
    }
}

impl NetlinkDeserializable for Message {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        if header.message_type != SOCK_DIAG_BY_FAMILY {
            return Err(format!("message type {} is not sock_diag's", header.message_type).into());
        }
        Socket::parse(payload).map(|socket| Message::Socket(Box::new(socket)))
    }
}

impl From<Message> for NetlinkPayload<Message> {
    fn from(message: Message) -> Self {
        NetlinkPayload::InnerMessage(message)
    }
}

impl Socket {
    /// Reads struct inet_diag_msg and its attributes.
    fn parse(payload: &[u8]) -> Result<Socket, DecodeError> {
        if payload.len() < REPLY_LEN {
            return Err(DecodeError::invalid_buffer(
                "inet_diag_msg",
                payload.len(),
                REPLY_LEN,
            ));
        }
        let (fixed, attributes) = payload.split_at(REPLY_LEN);
        let u32_at = |at: usize| u32_of(&fixed[at..]).unwrap_or(0);
        let address = |port: usize, ip: usize| {
            SocketAddrV4::new(
                Ipv4Addr::new(fixed[ip], fixed[ip + 1], fixed[ip + 2], fixed[ip + 3]),
                u16::from_be_bytes([fixed[port], fixed[port + 1]]),
            )
        };
        let mut id = [0; SOCKET_ID_LEN];
        id.copy_from_slice(&fixed[4..4 + SOCKET_ID_LEN]);
        let kind = match fixed[2] {
            0 => None,
            1 => Some(TimerKind::Retransmit),
            2 => Some(TimerKind::Keepalive),
            3 => Some(TimerKind::TimeWait),
            4 => Some(TimerKind::Persist),
            other => Some(TimerKind::Other(other)),
        };
        let mut socket = Socket {
            state: State::from_number(fixed[1])
                .ok_or_else(|| DecodeError::from(format!("no such state: {}", fixed[1])))?,
            local: address(4, 8),
            peer: address(6, 24),
            id: SocketId(id),
            timer: kind.map(|kind| Timer {
                kind,
                left: Duration::from_millis(u64::from(u32_at(52))),
                retransmits: fixed[3],
            }),
            recv_q: u32_at(56),
            send_q: u32_at(60),
            uid: u32_at(64),
            inode: u32_at(68),
            syn_queue: None,
            info: None,
            congestion: None,
            memory: None,
            shutdown: None,
            mark: 0,
            tos: None,
            cgroup: None,
        };
        for attribute in NlasIterator::new(attributes) {
            let attribute = attribute?;
            let value = attribute.value();
            match attribute.kind() {
                INET_DIAG_INFO => socket.info = Some(TcpInfo::parse(value)),
                INET_DIAG_CONG => {
                    let name = value.split(|&b| b == 0).next().unwrap_or_default();
                    socket.congestion = Some(String::from_utf8_lossy(name).into_owned());
                }
                INET_DIAG_SKMEMINFO => {
                    let mut memory = [0; 9];
                    for (word, bytes) in memory.iter_mut().zip(value.chunks_exact(4)) {
                        *word = u32_of(bytes).unwrap_or(0);
                    }
                    socket.memory = Some(memory);
                }
                INET_DIAG_TOS => socket.tos = value.first().copied(),
                INET_DIAG_SHUTDOWN => socket.shutdown = value.first().copied(),
                INET_DIAG_MARK => socket.mark = u32_of(value).unwrap_or(0),
                INET_DIAG_CGROUP_ID => {
                    let bytes = value.get(..8).and_then(|bytes| bytes.try_into().ok());
                    socket.cgroup = bytes.map(u64::from_ne_bytes);
                }
                OXTCP_DIAG_SYN_QUEUE => socket.syn_queue = u32_of(value),
                _ => {}
            }
        }
        Ok(socket)
    }
}

/// The first four bytes, in host order.
fn u32_of(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(state: u8, timer: u8) -> Vec<u8> {
        let mut bytes = vec![25, state, timer, 2];
        bytes.extend(8080u16.to_be_bytes());
        bytes.extend(40000u16.to_be_bytes());
        bytes.extend([10, 0, 0, 2]);
        bytes.extend([0; 12]);
        bytes.extend([10, 0, 0, 1]);
        bytes.extend([0; 12]);
        bytes.extend([0; 4]); // interface
        bytes.extend([1, 2, 3, 4, 5, 6, 7, 8]); // cookie
        for word in [1500u32, 11, 22, 1000, 4711] {
            bytes.extend(word.to_ne_bytes());
        }
        assert_eq!(bytes.len(), REPLY_LEN);
        bytes
    }

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((4 + value.len() as u16).to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    #[test]
    fn a_connection_is_read() {
        let mut bytes = reply(5, 1);
        bytes.extend(attribute(INET_DIAG_CONG, b"cubic\0"));
        bytes.extend(attribute(INET_DIAG_INFO, &[5; 240]));
        bytes.extend(attribute(INET_DIAG_SHUTDOWN, &[2]));
        bytes.extend(attribute(INET_DIAG_MARK, &7u32.to_ne_bytes()));
        bytes.extend(attribute(INET_DIAG_CGROUP_ID, &99u64.to_ne_bytes()));
        bytes.extend(attribute(999, b"unknown"));
        let socket = Socket::parse(&bytes).unwrap();
        assert_eq!(socket.state, State::FinWait2);
        assert_eq!(socket.local, "10.0.0.2:8080".parse().unwrap());
        assert_eq!(socket.peer, "10.0.0.1:40000".parse().unwrap());
        assert_eq!((socket.recv_q, socket.send_q), (11, 22));
        assert_eq!((socket.uid, socket.inode), (1000, 4711));
        assert_eq!(
            socket.timer,
            Some(Timer {
                kind: TimerKind::Retransmit,
                left: Duration::from_millis(1500),
                retransmits: 2
            })
        );
        assert_eq!(socket.congestion.as_deref(), Some("cubic"));
        assert_eq!(socket.info.unwrap().backoff, 5);
        assert_eq!(socket.syn_queue, None);
        assert_eq!(
            (socket.shutdown, socket.mark, socket.cgroup),
            (Some(2), 7, Some(99))
        );
        assert_eq!(socket.id.interface(), 0);
        assert_eq!(socket.id.cookie(), Some(0x0807_0605_0403_0201));
    }

    #[test]
    fn what_is_no_socket_has_no_cookie() {
        let mut bytes = reply(6, 3);
        bytes[44..52].fill(0xff);
        assert_eq!(Socket::parse(&bytes).unwrap().id.cookie(), None);
    }

    #[test]
    fn a_listener_tells_its_syn_queue() {
        let mut bytes = reply(10, 0);
        bytes.extend(attribute(OXTCP_DIAG_SYN_QUEUE, &7u32.to_ne_bytes()));
        let socket = Socket::parse(&bytes).unwrap();
        assert_eq!(socket.state, State::Listen);
        assert_eq!(socket.timer, None);
        assert_eq!(socket.syn_queue, Some(7));
    }

    #[test]
    fn short_or_strange_messages_are_errors() {
        let bytes = reply(1, 0);
        for len in 0..REPLY_LEN {
            assert!(Socket::parse(&bytes[..len]).is_err());
        }
        assert!(Socket::parse(&reply(13, 0)).is_err());
        let mut truncated = reply(1, 0);
        truncated.extend([200, 0, 2, 0]);
        assert!(Socket::parse(&truncated).is_err());
    }

    #[test]
    fn a_dump_request_has_the_kernels_layout() {
        let request = Message::Dump {
            family: 25,
            states: State::Listen.bit(),
        };
        let mut bytes = vec![0xff; request.buffer_len()];
        request.serialize(&mut bytes);
        assert_eq!(&bytes[..4], [25, 6, 0b1101_1010, 0]);
        assert_eq!(&bytes[4..8], (1u32 << 10).to_ne_bytes());
        assert!(bytes[8..].iter().all(|&b| b == 0));
    }

    #[test]
    fn a_destroy_request_carries_the_socket_as_it_was_told() {
        let bytes = reply(1, 0);
        let id = Socket::parse(&bytes).unwrap().id;
        let request = Message::Destroy { family: 25, id };
        let mut sent = vec![0; request.buffer_len()];
        request.serialize(&mut sent);
        assert_eq!(sent[8..], bytes[4..52]);
    }
}
