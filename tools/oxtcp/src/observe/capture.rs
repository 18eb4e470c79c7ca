// SPDX-License-Identifier: GPL-2.0
//! The segments that leave this machine or come to it.
//!
//! A link's delay may be in the sender's queue (netem), which a segment leaves at the moment that it arrives
//! at the other end. A segment that is taken where it arrives often has no time of its own: in the
//! place of it is the time at which the sender's TCP wanted it sent.

use std::io::IoSliceMut;
use std::net::SocketAddrV4;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use etherparse::{Ipv4HeaderSlice, TcpHeaderSlice, TcpOptionElement};
use nix::errno::Errno;
use nix::sys::socket::{recvmsg, setsockopt, sockopt, ControlMessageOwned, LinkAddr, MsgFlags};
use nix::sys::time::TimeSpec;
use socket2::{Domain, Protocol, Socket, Type};

use super::{now, realtime_offset, Flags, Segment};

/// `ETH_P_ALL`. Unlike a socket of one protocol, such a one sees what leaves.
const ETH_P_ALL: u16 = 0x0003;
/// `PACKET_OUTGOING`
const PACKET_OUTGOING: u8 = 4;
/// `ARPHRD_LOOPBACK`
const ARPHRD_LOOPBACK: u16 = 772;
/// Enough for all headers.
const SNAP: usize = 192;
/// What may wait for us, in bytes of the kernel's memory.
const BUFFER: usize = 128 << 20;
/// How often the observer looks whether it is to stop.
const STOP_INTERVAL: Duration = Duration::from_millis(100);

/// A packet socket. It belongs to the network namespace of the thread that opened it.
pub struct Capture {
    socket: Socket,
    offset: Duration,
}

/// A segment seen, at a time of `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Captured {
    /// When.
    pub at: Duration,
    /// The segment.
    pub segment: Segment,
}

impl Capture {
    /// Opens one, on all interfaces.
    pub fn open() -> Result<Capture> {
        let protocol = Protocol::from(i32::from(ETH_P_ALL.to_be()));
        let socket = Socket::new(Domain::PACKET, Type::DGRAM, Some(protocol))
            .context("cannot open a packet socket")?;
        socket.set_read_timeout(Some(STOP_INTERVAL))?;
        setsockopt(&socket, sockopt::RcvBufForce, &BUFFER)?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        Ok(Capture {
            socket,
            offset: realtime_offset(),
        })
    }

    /// Reports each TCP segment, until `stop` or until `report` says `false`.
    pub fn start(
        self,
        stop: Arc<AtomicBool>,
        mut report: impl FnMut(Captured) -> bool + Send + 'static,
    ) -> thread::JoinHandle<()> {
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let Some((at, packet)) = self.receive() else {
                    continue;
                };
                let segment = parse(&packet);
                if segment.is_some_and(|segment| !report(Captured { at, segment })) {
                    return;
                }
            }
        })
    }

    /// The next packet's head and time; `None` when there was none for a while.
    fn receive(&self) -> Option<(Duration, Vec<u8>)> {
        let mut packet = vec![0; SNAP];
        let mut control = nix::cmsg_space!(TimeSpec);
        let mut slices = [IoSliceMut::new(&mut packet)];
        let received = recvmsg::<LinkAddr>(
            self.socket.as_raw_fd(),
            &mut slices,
            Some(&mut control),
            MsgFlags::empty(),
        );
        let (len, at) = match received {
            Ok(message) => {
                // What leaves by the loopback device comes in by it again.
                let again = message.address.is_some_and(|link| {
                    link.hatype() == ARPHRD_LOOPBACK && link.pkttype() != PACKET_OUTGOING
                });
                if again {
                    return None;
                }
                let stamp = message.cmsgs().ok()?.find_map(|cmsg| match cmsg {
                    ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
                    _ => None,
                });
                (
                    message.bytes,
                    stamp.map_or_else(now, |stamp| stamp.saturating_sub(self.offset)),
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
}

/// Reads IPv4 and TCP headers; `None` for what is something else.
fn parse(packet: &[u8]) -> Option<Segment> {
    const TCP: u8 = 6;
    let ip = Ipv4HeaderSlice::from_slice(packet).ok()?;
    if ip.protocol().0 != TCP || ip.fragments_offset().value() != 0 {
        return None;
    }
    let tcp = TcpHeaderSlice::from_slice(packet.get(ip.slice().len()..)?).ok()?;
    let headers = ip.slice().len() + tcp.slice().len();
    let mut segment = Segment {
        source: SocketAddrV4::new(ip.source_addr(), tcp.source_port()),
        destination: SocketAddrV4::new(ip.destination_addr(), tcp.destination_port()),
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

    fn packet(payload: &[u8]) -> Vec<u8> {
        let builder = PacketBuilder::ipv4([10, 0, 0, 2], [10, 0, 0, 1], 64)
            .tcp(7000, 61000, 1000, 64240)
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
        let segment = parse(&packet(b"hello")).unwrap();
        assert_eq!(segment.source, "10.0.0.2:7000".parse().unwrap());
        assert_eq!(segment.destination, "10.0.0.1:61000".parse().unwrap());
        assert_eq!((segment.seq, segment.ack, segment.len), (1000, 77, 5));
        assert_eq!((segment.mss, segment.wscale), (Some(1460), Some(7)));
        assert!(segment.flags.syn && segment.flags.ack && !segment.flags.fin);
    }

    #[test]
    fn the_length_is_the_packets_not_the_captures() {
        let whole = packet(&[0; 1000]);
        assert_eq!(parse(&whole[..SNAP]).unwrap().len, 1000);
    }

    #[test]
    fn another_protocol_is_no_segment() {
        let mut bytes = packet(b"");
        bytes[9] = 17;
        assert_eq!(parse(&bytes), None);
    }

    #[test]
    fn any_head_is_read_without_panic() {
        let whole = packet(b"payload");
        for len in 0..40 {
            assert_eq!(parse(&whole[..len]), None);
        }
    }
}
