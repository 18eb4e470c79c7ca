// SPDX-License-Identifier: GPL-2.0

//! The trampolines of `struct proto_ops`: from C's calls to the family's functions.

use super::bindings as b;
use super::held::Held;
use super::state_box::StateBox;
use super::*;
use crate::net::family::{Ioctl, Whose};
use core::mem::size_of;
use kernel::ffi::{c_int, c_uint, c_ulong};
use kernel::prelude::*;

/// `SIOCINQ`, `SIOCOUTQ`, `SIOCOUTQNSD`, `SIOCATMARK` (`linux/sockios.h`, `asm-generic`).
const IOCTLS: [(c_uint, Ioctl); 4] = [
    (0x541b, Ioctl::InQ),
    (0x5411, Ioctl::OutQ),
    (0x894b, Ioctl::OutQNsd),
    (0x8905, Ioctl::AtMark),
];

/// Fills in the table.
///
/// # Safety
///
/// `ops` is static memory that nobody else uses yet.
pub(super) unsafe fn fill<F: Family>(ops: *mut b::proto_ops, family: u32, owner: *mut b::module) {
    // SAFETY: By the function's contract; all zero is a valid `proto_ops`.
    unsafe {
        ops.write_bytes(0, 1);
        (*ops).family = family as c_int;
        (*ops).owner = owner;
        (*ops).release = Some(release::<F>);
        (*ops).bind = Some(bind::<F>);
        (*ops).connect = Some(connect::<F>);
        (*ops).socketpair = Some(b::sock_no_socketpair);
        (*ops).accept = Some(accept::<F>);
        (*ops).getname = Some(getname::<F>);
        (*ops).poll = Some(poll::<F>);
        (*ops).ioctl = Some(ioctl::<F>);
        (*ops).gettstamp = Some(b::sock_gettstamp);
        (*ops).listen = Some(listen::<F>);
        (*ops).shutdown = Some(shutdown::<F>);
        (*ops).setsockopt = Some(sockopt::set::<F>);
        (*ops).getsockopt = Some(sockopt::get::<F>);
        (*ops).sendmsg = Some(sendmsg::<F>);
        (*ops).recvmsg = Some(recvmsg::<F>);
        (*ops).splice_eof = Some(splice_eof::<F>);
        (*ops).splice_read = Some(splice::read::<F>);
        (*ops).mmap = Some(b::ox_sock_mmap);
        (*ops).set_peek_off = Some(b::sk_set_peek_off);
        (*ops).set_rcvlowat = Some(set_rcvlowat::<F>);
        (*ops).set_rcvbuf = Some(set_rcvbuf::<F>);
    }
}

fn errno(result: Result) -> c_int {
    result.map_or_else(|e| e.to_errno(), |()| 0)
}

/// The socket of a file's call.
///
/// # Safety
///
/// `sock` is a socket of the family, in use by a call, which keeps it for `'a`.
pub(super) unsafe fn of<'a, F: Family>(sock: *mut b::socket) -> &'a Sock<F> {
    // SAFETY: By the function's contract `sock->sk` is there and a socket of `F`.
    unsafe { Sock::from_sk((*sock).sk) }
}

/// socket(2).
///
/// # Safety
///
/// Called by the core only, with `sock` fresh.
pub(super) unsafe extern "C" fn create<F: Family>(
    net: *mut b::net,
    sock: *mut b::socket,
    protocol: c_int,
    kern: c_int,
) -> c_int {
    let protocols = 0..b::IPPROTO_MAX as c_int;
    if !protocols.contains(&protocol) {
        return EINVAL.to_errno();
    }
    // SAFETY: `sock` is valid.
    if u32::from(unsafe { (*sock).type_ }.unsigned_abs()) != b::sock_type_SOCK_STREAM {
        return ESOCKTNOSUPPORT.to_errno();
    }
    if protocol != 0 && protocol != b::IPPROTO_TCP as c_int {
        return EPROTONOSUPPORT.to_errno();
    }
    // SAFETY: `net` is a live namespace, for which `netns::init` has run.
    let netns = match unsafe { netns::enter::<F>(net) } {
        Ok(netns) => netns,
        Err(e) => return e.to_errno(),
    };
    let state = match StateBox::new(b::GFP_KERNEL, F::new_sock()) {
        Ok(state) => state,
        Err(e) => return e.to_errno(),
    };
    // SAFETY: The protocol is registered.
    let sk = unsafe { b::sk_alloc(net, family::number(), b::GFP_KERNEL, family::proto(), kern) };
    if sk.is_null() {
        return ENOMEM.to_errno();
    }
    // SAFETY: Both are fresh.
    unsafe {
        (*sock).state = b::socket_state_SS_UNCONNECTED;
        (*sock).ops = family::proto_ops();
        b::ox_sock_accept_flags(sock);
        b::sock_init_data(sock, sk);
        Sock::<F>::init(sk, netns, state);
    }
    0
}

/// close(2) of the last descriptor.
///
/// # Safety
///
/// Called by the core only, for a socket of `F`.
unsafe extern "C" fn release<F: Family>(sock: *mut b::socket) -> c_int {
    // SAFETY: `sock` is valid; `sk` is null when `create` failed or `accept` found nothing.
    let sk = unsafe { (*sock).sk };
    if sk.is_null() {
        return 0;
    }
    // SAFETY: The file's reference keeps it until the end.
    let this = unsafe { Sock::<F>::from_sk(sk) };
    F::release(this);
    if !this.is_orphan() {
        this.lock().orphan();
    }
    // SAFETY: The file is going; its reference ends here. Nothing is done with the socket after its
    // namespace may have died.
    unsafe {
        (*sock).sk = core::ptr::null_mut();
        b::ox_sock_net_downgrade(sk);
        b::ox_sock_put(sk);
    }
    0
}

/// bind(2).
///
/// # Safety
///
/// Called by the core only, for a socket of `F`.
unsafe extern "C" fn bind<F: Family>(
    sock: *mut b::socket,
    addr: *mut b::sockaddr_unsized,
    len: c_int,
) -> c_int {
    // SAFETY: The call holds the file; the core copied `len` bytes of address.
    unsafe {
        let addr = match addr::for_bind(addr.cast(), len) {
            Ok(addr) => addr,
            Err(e) => return e.to_errno(),
        };
        errno(F::bind(of(sock), addr))
    }
}

/// connect(2).
///
/// # Safety
///
/// Called by the core only, for a socket of `F`.
unsafe extern "C" fn connect<F: Family>(
    sock: *mut b::socket,
    addr: *mut b::sockaddr_unsized,
    len: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: The call holds the file; the core copied `len` bytes of address.
    unsafe {
        let to = match addr::for_connect(addr.cast(), len) {
            Ok(to) => to,
            Err(e) => return e.to_errno(),
        };
        errno(F::connect(of(sock), to, is_nonblock(flags)))
    }
}

fn is_nonblock(flags: c_int) -> bool {
    flags.unsigned_abs() & kernel::fs::file::flags::O_NONBLOCK != 0
}

/// accept(2).
///
/// # Safety
///
/// Called by the core only, for a socket of `F`.
unsafe extern "C" fn accept<F: Family>(
    sock: *mut b::socket,
    newsock: *mut b::socket,
    arg: *mut b::proto_accept_arg,
) -> c_int {
    // SAFETY: The call holds the file; `arg` is valid.
    let accepted = unsafe { F::accept(of(sock), is_nonblock((*arg).flags)) };
    match accepted {
        Ok(child) => {
            let locked = child.lock();
            let sk = child.sk();
            // SAFETY: `newsock` is fresh; the child has no file. The reference goes to the file.
            unsafe {
                b::ox_sock_accept_flags(newsock);
                b::ox_sock_graft(sk, newsock);
            }
            drop(locked);
            core::mem::forget(child);
            0
        }
        Err(e) => e.to_errno(),
    }
}

/// getsockname(2) and getpeername(2).
///
/// # Safety
///
/// Called by the core only, for a socket of `F`.
unsafe extern "C" fn getname<F: Family>(
    sock: *mut b::socket,
    to: *mut b::sockaddr,
    peer: c_int,
) -> c_int {
    let whose = match peer {
        0 => Whose::Ours,
        1 => Whose::Peers,
        _ => Whose::Accepted,
    };
    // SAFETY: The call holds the file.
    match F::getname(unsafe { of(sock) }, whose) {
        Ok(name) => {
            // SAFETY: The core's buffer is a `sockaddr_storage`.
            unsafe { addr::write(to.cast(), name) };
            size_of::<b::sockaddr_in>() as c_int
        }
        Err(e) => e.to_errno(),
    }
}

/// poll(2) and its like.
///
/// # Safety
///
/// Called by the core only, for a socket of `F`.
unsafe extern "C" fn poll<F: Family>(
    file: *mut b::file,
    sock: *mut b::socket,
    wait: *mut b::poll_table_struct,
) -> u32 {
    // SAFETY: The call holds the file; the helper is `sock_poll_wait`, with its barrier.
    unsafe {
        b::ox_sock_poll_wait(file, sock, wait);
        F::poll(of(sock))
    }
}

/// ioctl(2).
///
/// # Safety
///
/// Called by the core only, for a socket of `F`.
unsafe extern "C" fn ioctl<F: Family>(sock: *mut b::socket, cmd: c_uint, arg: c_ulong) -> c_int {
    let Some((_, what)) = IOCTLS.iter().find(|(number, _)| *number == cmd) else {
        // SAFETY: The socket begins with an `inet_sock`. Routes, devices and ARP: of the socket it
        // uses the namespace alone.
        return unsafe { b::inet_ioctl(sock, cmd, arg) };
    };
    // SAFETY: The call holds the file; `arg` is a user pointer, which the helper treats as such.
    unsafe {
        match F::ioctl(of(sock), *what) {
            Ok(value) => b::ox_put_user_int(value, arg),
            Err(e) => e.to_errno(),
        }
    }
}

/// The same as io_uring asks it (`SOCKET_URING_OP_SIOCINQ`, `SOCKET_URING_OP_SIOCOUTQ`).
///
/// # Safety
///
/// `sk` is a socket of `F` whose file the caller holds; `value` is valid.
pub(super) unsafe extern "C" fn proto_ioctl<F: Family>(
    sk: *mut b::sock,
    cmd: c_int,
    value: *mut c_int,
) -> c_int {
    let cmd = cmd.cast_unsigned();
    let Some((_, what)) = IOCTLS.iter().find(|(number, _)| *number == cmd) else {
        return ENOIOCTLCMD.to_errno();
    };
    // SAFETY: By the function's contract.
    unsafe {
        match F::ioctl(Sock::from_sk(sk), *what) {
            Ok(answer) => value.write(answer),
            Err(e) => return e.to_errno(),
        }
    }
    0
}

/// listen(2).
///
/// # Safety
///
/// Called by the core only, for a socket of `F`.
unsafe extern "C" fn listen<F: Family>(sock: *mut b::socket, backlog: c_int) -> c_int {
    // SAFETY: The call holds the file.
    let this: &Sock<F> = unsafe { of(sock) };
    // A negative backlog is a huge one: the core has compared it as unsigned with somaxconn.
    let backlog = backlog
        .cast_unsigned()
        .min(this.net().settings().somaxconn());
    errno(F::listen(this, backlog))
}

/// shutdown(2).
///
/// # Safety
///
/// Called by the core only, for a socket of `F`.
unsafe extern "C" fn shutdown<F: Family>(sock: *mut b::socket, how: c_int) -> c_int {
    let how = match how {
        0 => Shutdown {
            read: true,
            write: false,
        },
        1 => Shutdown {
            read: false,
            write: true,
        },
        2 => Shutdown::BOTH,
        _ => return EINVAL.to_errno(),
    };
    // SAFETY: The call holds the file.
    errno(F::shutdown(unsafe { of(sock) }, how))
}

/// sendmsg(2) and its like.
///
/// # Safety
///
/// Called by the core only, for a socket of `F`.
unsafe extern "C" fn sendmsg<F: Family>(
    sock: *mut b::socket,
    msg: *mut b::msghdr,
    _len: usize,
) -> c_int {
    // SAFETY: The call holds the file; `msg` is valid for its length.
    unsafe { length(F::sendmsg(of(sock), &mut Msg::from_raw(msg))) }
}

/// sendfile(2) found no more to send.
///
/// # Safety
///
/// Called by the core only, for a socket of `F`.
unsafe extern "C" fn splice_eof<F: Family>(sock: *mut b::socket) {
    // SAFETY: The call holds the file.
    F::splice_eof(unsafe { of(sock) });
}

/// recvmsg(2) and its like.
///
/// # Safety
///
/// Called by the core only, for a socket of `F`.
unsafe extern "C" fn recvmsg<F: Family>(
    sock: *mut b::socket,
    msg: *mut b::msghdr,
    len: usize,
    flags: c_int,
) -> c_int {
    if flags.unsigned_abs() & msg::MSG_ERRQUEUE != 0 {
        // SAFETY: The call holds the file; `msg` is valid.
        return unsafe { b::ox_recv_errqueue((*sock).sk, msg, len) };
    }
    let flags = MsgFlags(flags.cast_unsigned());
    // SAFETY: The call holds the file; `msg` is valid for its length.
    unsafe { length(F::recvmsg(of(sock), &mut Msg::from_raw(msg), len, flags)) }
}

fn length(result: Result<usize>) -> c_int {
    match result {
        Ok(n) => n.try_into().unwrap_or(c_int::MAX),
        Err(e) => e.to_errno(),
    }
}

/// What setsockopt(2) has locked below us, or a BPF program in its name, which may not sleep: then `None`
/// when there is no memory to unpack the state.
///
/// # Safety
///
/// `sk` is a socket of `F`, locked by the caller for longer than the result lives.
unsafe fn locked_by_setsockopt<'a, F: Family>(sk: *mut b::sock) -> Option<Locked<'a, F>> {
    // SAFETY: By the function's contract.
    let held = unsafe { Held::by_caller(Sock::from_sk(sk)) };
    // SAFETY: Callable in any context.
    if unsafe { b::ox_in_bpf() } {
        return held.try_into_unpacked().map_err(Held::unpack_later).ok();
    }
    // SAFETY: A system call, which has taken the lock by `lock_sock`.
    Some(unsafe { held.into_unpacked() })
}

/// A segment that waited on the backlog.
///
/// # Safety
///
/// `sk` is a socket of `F`, locked by the caller; the skb was put there by [`Sock::lock_bh`].
pub(super) unsafe extern "C" fn backlog_rcv<F: Family>(
    sk: *mut b::sock,
    skb: *mut b::sk_buff,
) -> c_int {
    // SAFETY: The process that releases the socket still has it, for the length of this call; it may
    // sleep.
    let mut locked = unsafe { Held::by_caller(Sock::from_sk(sk)).into_unpacked() };
    // SAFETY: It was an `RxSkb` before.
    let skb = unsafe { RxSkb::from_raw(skb) };
    F::backlog(&mut locked, skb);
    0
}

/// `SO_KEEPALIVE` was set.
///
/// # Safety
///
/// `sk` is a socket of `F`, locked by the caller.
pub(super) unsafe extern "C" fn keepalive<F: Family>(sk: *mut b::sock, on: c_int) {
    // SAFETY: setsockopt has the socket for the length of this call.
    if let Some(mut locked) = unsafe { locked_by_setsockopt::<F>(sk) } {
        F::keepalive(&mut locked, on != 0);
    }
}

/// `SO_RCVLOWAT` is set.
///
/// # Safety
///
/// `sk` is a socket of `F`, locked by the caller.
unsafe extern "C" fn set_rcvlowat<F: Family>(sk: *mut b::sock, bytes: c_int) -> c_int {
    // SAFETY: setsockopt has the socket for the length of this call.
    let Some(mut locked) = (unsafe { locked_by_setsockopt::<F>(sk) }) else {
        return ENOMEM.to_errno();
    };
    F::set_rcvlowat(&mut locked, bytes.max(0).unsigned_abs());
    0
}

/// `SO_RCVBUF` was set.
///
/// # Safety
///
/// `sk` is a socket of `F`, locked by the caller.
unsafe extern "C" fn set_rcvbuf<F: Family>(sk: *mut b::sock, bytes: c_int) {
    // SAFETY: setsockopt has the socket for the length of this call.
    if let Some(mut locked) = unsafe { locked_by_setsockopt::<F>(sk) } {
        F::set_rcvbuf(&mut locked, bytes.max(0).unsigned_abs());
    }
}

/// `SOCK_DESTROY`, allowed and found.
///
/// # Safety
///
/// `sk` is a socket of `F`, with a reference of the caller's.
pub(super) unsafe extern "C" fn diag_destroy<F: Family>(sk: *mut b::sock, error: c_int) -> c_int {
    // SAFETY: By the function's contract.
    let sock = unsafe { Sock::<F>::from_sk(sk) };
    F::destroy(sock, Error::from_errno(-error.abs()));
    0
}
