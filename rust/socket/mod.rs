// SPDX-License-Identifier: GPL-2.0

//! The socket family: what socket(2), bind(2), listen(2) and the other calls do.
//!
//! A call comes from [`crate::net`], takes the socket's lock, asks the protocol
//! ([`crate::tcp`]), acts on its answer ([`apply`]) and sends what it wants to send ([`flush`]).
//! A segment comes the same way, by [`input`].
//!
//! Lock order: a listener's socket lock, then that of a child nobody knows yet; a socket lock, then
//! the `binding` mutex (process context alone), then the bind table; a socket lock, then the
//! TIME-WAIT table; a socket lock, then a bucket of the table of connections; a socket lock, then the
//! reader's memory (process context alone). No two of the tables are locked at once.

#![forbid(unsafe_code)]

pub mod accept_queue;
pub mod apply;
pub mod bind;
pub mod buffers;
pub mod close;
pub mod connect;
pub mod cookies;
pub mod destroy;
pub mod dump;
pub mod fast_connect;
pub mod fast_open;
mod few;
pub mod flush;
pub mod holders;
pub mod identity;
mod idle;
pub mod info;
pub mod input;
pub mod listen;
pub mod listener;
mod map_received;
pub mod namespace;
pub mod options;
pub mod orphans;
pub mod poll;
mod port_map;
pub mod ports;
pub mod receive_queue;
pub mod recv;
mod saved_syn;
pub mod send;
pub mod sent_records;
mod small_send;
pub mod sock_state;
mod statistics;
pub mod syn;
pub mod time_wait;
pub mod time_wait_table;
pub mod timing;
pub mod urgent;
mod window;

use crate::net::family::{Ioctl, Whose};
use crate::net::{
    Destination, Entry, Family, FourTuple, IcmpError, Idle, Locked, Msg, MsgFlags, NetNs, OptValue,
    OptWriter, Pipe, RxSkb, Shutdown, Sock, Tunable, Verdict,
};
use crate::tcp::seq::SeqNumber;
use crate::tcp::time::Instant;
use core::net::SocketAddrV4;
use kernel::prelude::*;
use kernel::sync::aref::ARef;

/// The family `AF_OXTCP`.
pub struct Oxtcp;

/// The core's time.
fn now() -> Instant {
    Instant::from_us(crate::net::now())
}

impl Family for Oxtcp {
    type Sock = sock_state::SockState;
    type Shared = poll::Shared;
    type Net = namespace::Namespace;

    const NAME: &'static CStr = c"OXTCP";
    const OPTIONS: i32 = options::SOL_TCP;
    const TUNABLES: &'static [Tunable] = namespace::TUNABLES;

    fn new_net() -> impl PinInit<Self::Net, Error> {
        namespace::Namespace::new()
    }

    fn net_exit(net: &NetNs<Self>) {
        time_wait::expire(net, true);
    }

    fn net_timer(net: &NetNs<Self>) {
        time_wait::expire(net, false);
    }

    fn new_sock() -> impl Init<Self::Sock> {
        sock_state::SockState::new()
    }

    fn new_child(listener: &Locked<'_, Self>) -> impl Init<Self::Sock> {
        sock_state::SockState::child_of(listener)
    }

    fn new_shared(net: &NetNs<Self>) -> Self::Shared {
        poll::Shared::new(net.notsent_lowat())
    }

    fn release(sock: &Sock<Self>) {
        close::release(sock);
    }

    fn bind(sock: &Sock<Self>, addr: SocketAddrV4) -> Result {
        bind::bind(sock, addr)
    }

    fn connect(sock: &Sock<Self>, to: Destination, nonblock: bool) -> Result {
        connect::connect(sock, to, nonblock)
    }

    fn accept(sock: &Sock<Self>, nonblock: bool) -> Result<ARef<Sock<Self>>> {
        listen::accept(sock, nonblock)
    }

    fn getname(sock: &Sock<Self>, whose: Whose) -> Result<SocketAddrV4> {
        dump::name(sock, whose)
    }

    fn poll(sock: &Sock<Self>) -> u32 {
        poll::poll(sock)
    }

    fn ioctl(sock: &Sock<Self>, what: Ioctl) -> Result<i32> {
        options::ioctl(sock, what)
    }

    fn listen(sock: &Sock<Self>, backlog: u32) -> Result {
        listen::listen(sock, backlog)
    }

    fn shutdown(sock: &Sock<Self>, how: Shutdown) -> Result {
        close::shutdown(sock, how)
    }

    fn setsockopt(sock: &Sock<Self>, name: i32, value: OptValue) -> Result {
        options::set(sock, name, value)
    }

    fn getsockopt(sock: &Sock<Self>, name: i32, out: OptWriter<'_>) -> Result {
        options::get(sock, name, out)
    }

    fn sendmsg(sock: &Sock<Self>, msg: &mut Msg<'_>) -> Result<usize> {
        send::sendmsg(sock, msg)
    }

    fn splice_eof(sock: &Sock<Self>) {
        send::splice_eof(sock);
    }

    fn recvmsg(sock: &Sock<Self>, msg: &mut Msg<'_>, len: usize, flags: MsgFlags) -> Result<usize> {
        recv::recvmsg(sock, msg, len, flags)
    }

    fn splice_read(
        sock: &Sock<Self>,
        pipe: &mut Pipe<'_>,
        len: usize,
        nonblock: bool,
    ) -> Result<usize> {
        recv::splice_read(sock, pipe, len, nonblock)
    }

    fn set_rcvlowat(sock: &mut Locked<'_, Self>, bytes: u32) {
        buffers::set_rcvlowat(sock, bytes);
    }

    fn set_rcvbuf(sock: &mut Locked<'_, Self>, bytes: u32) {
        window::fit(sock, bytes);
    }

    fn keepalive(sock: &mut Locked<'_, Self>, on: bool) {
        options::keepalive(sock, on);
    }

    fn segment(net: &NetNs<Self>, skb: RxSkb) -> Verdict {
        input::segment(net, skb)
    }

    fn segment_of(net: &NetNs<Self>, sock: &Sock<Self>, skb: RxSkb) {
        input::segment_of(net, sock, skb);
    }

    fn icmp_error(net: &NetNs<Self>, error: &IcmpError) {
        input::icmp_error(net, error);
    }

    fn too_big(sock: &mut Locked<'_, Self>, seq: u32, mtu: u16) {
        input::too_big(sock, SeqNumber(seq), mtu);
    }

    fn backlog(sock: &mut Locked<'_, Self>, skb: RxSkb) {
        input::backlog(sock, skb);
    }

    fn drained(sock: &mut Locked<'_, Self>) {
        flush::flush(sock);
    }

    fn timer(sock: &mut Locked<'_, Self>) {
        input::timer(sock);
    }

    fn idle(sock: &mut Locked<'_, Self>) -> Idle {
        idle::idle(sock)
    }

    fn pack(sock: &mut Self::Sock, room: &mut [u8]) -> Option<usize> {
        idle::pack(sock, room)
    }

    fn unpack(sock: &mut Locked<'_, Self>, bytes: &[u8]) {
        idle::unpack(sock, bytes);
    }

    fn abort(sock: &mut Locked<'_, Self>, error: Error) {
        close::destroy(sock, error);
    }

    fn destroy(sock: &Sock<Self>, error: Error) {
        close::end(sock, error);
    }

    fn listener(net: &NetNs<Self>, tuple: &FourTuple) -> Option<ARef<Sock<Self>>> {
        let local = tuple.local;
        let table = net.bind_table.lock();
        table.listener(local.port(), local.ip().to_bits(), 0)
    }

    fn end_entry(net: &NetNs<Self>, tuple: &FourTuple) -> bool {
        destroy::end_entry(net, tuple)
    }

    fn dump(
        net: &NetNs<Self>,
        from: [u64; 2],
        emit: &mut dyn FnMut(&Entry<'_, Self>, [u64; 2]) -> bool,
    ) {
        dump::dump(net, from, emit);
    }
}
