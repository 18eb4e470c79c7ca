// SPDX-License-Identifier: GPL-2.0
//! The segments that leave an end.
//!
//! The link's delay is in the sender's queue, which a segment leaves at the moment that it arrives
//! at the other end. A segment that is taken where it arrives often has no time of its own: in the
//! place of it is the time at which the sender's TCP wanted it sent.

use std::io::IoSliceMut;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use etherparse::{Ipv4HeaderSlice, TcpHeaderSlice, TcpOptionElement};
use nix::errno::Errno;
use nix::sys::socket::{
    recvmsg, setsockopt, sockopt, ControlMessageOwned, MsgFlags, SockaddrStorage,
};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, Socket, Type};

use super::event::{now, realtime_offset, Event, Flags, Segment, Side, What};
use super::network::Namespace;

/// `ETH_P_ALL`. Unlike a socket of one protocol, such a one sees what leaves.
const ETH_P_ALL: u16 = 0x0003;
/// Enough for all headers.
const SNAP: usize = 192;
/// What may wait for us, in bytes of the kernel's memory: the whole of the data.
const BUFFER: usize = 128 << 20;
/// How often the observer looks whether it is to stop.
const STOP_INTERVAL: Duration = Duration::from_millis(100);

/// Reports each TCP segment of server port `port` that an end sends, until `stop`.
pub fn start(
    side: Side,
    namespace: &Namespace,
    port: u16,
    events: Sender<Event>,
    stop: Arc<AtomicBool>,
) -> Result<thread::JoinHandle<()>> {
    let socket = namespace.run(|| {
        let protocol = Protocol::from(i32::from(ETH_P_ALL.to_be()));
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol))
            .context("cannot open a packet socket")?;
        socket.set_read_timeout(Some(STOP_INTERVAL))?;
        setsockopt(&socket, sockopt::RcvBufForce, &BUFFER)?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        Ok(socket)
    })?;
    let offset = realtime_offset();
    Ok(thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            let Some((at, packet)) = receive(&socket, offset) else {
                continue;
            };
            let segment = parse(&packet, port);
            // The end sees what it gets too; of that the time is not sure.
            let leaves = |s: &Segment| s.from_client == (side == Side::Client);
            let Some(segment) = segment.filter(leaves) else {
                continue;
            };
            if events
                .send(Event {
                    at,
                    what: What::Segment(segment),
                })
                .is_err()
            {
                return;
            }
        }
    }))
}

/// The next packet's head and time; `None` when there was none for a while.
fn receive(socket: &Socket, offset: Duration) -> Option<(Duration, Vec<u8>)> {
    let mut packet = vec![0; SNAP];
    let mut control = nix::cmsg_space!(TimeSpec);
    let mut slices = [IoSliceMut::new(&mut packet)];
    let received = recvmsg::<SockaddrStorage>(
        socket.as_raw_fd(),
        &mut slices,
        Some(&mut control),
        MsgFlags::empty(),
    );
    let (len, at) = match received {
        Ok(message) => {
            let stamp = message.cmsgs().ok()?.find_map(|cmsg| match cmsg {
                ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
                _ => None,
            });
            (
                message.bytes,
                stamp.map_or_else(now, |stamp| stamp.saturating_sub(offset)),
            )
        }
        Err(Errno::EAGAIN | Errno::EINTR) => return None,
        Err(_) => {
            thread::sleep(STOP_INTERVAL);
            return None;
        }
    };
    packet.truncate(len);
    Some((at, packet))
}

/// Reads IPv4 and TCP headers; `None` for what is not between client and server at `port`.
fn parse(packet: &[u8], port: u16) -> Option<Segment> {
    let ip = Ipv4HeaderSlice::from_slice(packet).ok()?;
    let tcp = TcpHeaderSlice::from_slice(packet.get(ip.slice().len()..)?).ok()?;
    let (client, server) = (Side::Client.address(), Side::Server.address());
    let ends = (ip.source_addr(), ip.destination_addr());
    let from_client = ends == (client, server) && tcp.destination_port() == port;
    let from_server = ends == (server, client) && tcp.source_port() == port;
    if !from_client && !from_server {
        return None;
    }
    let headers = ip.slice().len() + tcp.slice().len();
    let mut segment = Segment {
        from_client,
        client_port: if from_client {
            tcp.source_port()
        } else {
            tcp.destination_port()
        },
        seq: tcp.sequence_number(),
        ack: tcp.acknowledgment_number(),
        len: u32::from(ip.total_len()).checked_sub(headers as u32)?,
        window: tcp.window_size(),
        flags: Flags {
            syn: tcp.syn(),
            ack: tcp.ack(),
            fin: tcp.fin(),
            rst: tcp.rst(),
            psh: tcp.psh(),
        },
        mss: None,
        wscale: None,
    };
    for option in tcp.options_iterator().flatten() {
        match option {
            TcpOptionElement::MaximumSegmentSize(mss) => segment.mss = Some(mss),
            TcpOptionElement::WindowScale(shift) => segment.wscale = Some(shift.min(14)),
            _ => {}
        }
    }
    Some(segment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{PacketBuilder, TcpOptionElement::*};

    fn packet(from: Side, source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
        let builder =
            PacketBuilder::ipv4(from.address().octets(), from.other().address().octets(), 64)
                .tcp(source, destination, 1000, 64240)
                .syn()
                .ack(77)
                .options(&[MaximumSegmentSize(1460), Noop, WindowScale(7)])
                .unwrap();
        let mut bytes = Vec::new();
        builder.write(&mut bytes, payload).unwrap();
        bytes
    }

    #[test]
    fn a_segment_is_read() {
        let segment = parse(&packet(Side::Server, 7000, 61000, b"hello"), 7000).unwrap();
        assert!(!segment.from_client);
        assert_eq!(segment.client_port, 61000);
        assert_eq!((segment.seq, segment.ack, segment.len), (1000, 77, 5));
        assert_eq!((segment.mss, segment.wscale), (Some(1460), Some(7)));
        assert!(segment.flags.syn && segment.flags.ack && !segment.flags.fin);
    }

    #[test]
    fn the_length_is_the_packets_not_the_captures() {
        let whole = packet(Side::Client, 61000, 7000, &[0; 1000]);
        let segment = parse(&whole[..SNAP], 7000).unwrap();
        assert!(segment.from_client);
        assert_eq!(segment.len, 1000);
    }

    #[test]
    fn other_ports_are_not_ours() {
        assert_eq!(parse(&packet(Side::Client, 61000, 7001, b""), 7000), None);
        assert_eq!(parse(&packet(Side::Server, 7001, 7000, b""), 7000), None);
    }

    #[test]
    fn any_head_is_read_without_panic() {
        let whole = packet(Side::Client, 61000, 7000, b"payload");
        for len in 0..40 {
            assert_eq!(parse(&whole[..len], 7000), None);
        }
    }
}
