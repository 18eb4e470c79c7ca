// SPDX-License-Identifier: GPL-2.0

//! sock_diag: what `ss` asks, in `inet_diag`'s format, under the family's own number.

use super::bindings as b;
use super::*;
use core::mem::size_of;
use kernel::error::to_result;
use kernel::ffi::{c_int, c_long, c_void};
use kernel::prelude::*;

/// An attribute of our own: length of a listener's SYN queue, `u32`.
const OXTCP_DIAG_SYN_QUEUE: c_int = 200;

static HANDLER: family::Table<b::sock_diag_handler> = family::Table::new();

/// Answers the family's requests from now on.
///
/// Errors: `EBUSY` when somebody does already.
pub(super) fn register<F: Family>(family: u32, owner: *mut b::module) -> Result {
    let handler = HANDLER.get();
    // SAFETY: The table is ours until it is registered, and static.
    to_result(unsafe {
        handler.write(b::sock_diag_handler {
            owner,
            family: family as u8,
            dump: Some(dump::<F>),
            get_info: None,
            destroy: Some(destroy::<F>),
        });
        b::sock_diag_register(handler)
    })
}

pub(super) fn unregister() {
    // SAFETY: Registered by `register`.
    unsafe { b::sock_diag_unregister(HANDLER.get()) }
}

/// The request in a message; `None` when it is too short.
///
/// # Safety
///
/// `nlh` is a whole netlink message.
unsafe fn request(nlh: *const b::nlmsghdr) -> Option<b::inet_diag_req_v2> {
    // SAFETY: By the function's contract.
    unsafe {
        let len = usize::try_from(b::ox_nlmsg_len(nlh)).unwrap_or(0);
        (len >= size_of::<b::inet_diag_req_v2>()).then(|| {
            b::ox_nlmsg_data(nlh)
                .cast::<b::inet_diag_req_v2>()
                .read_unaligned()
        })
    }
}

/// # Safety
///
/// Called by sock_diag only.
unsafe extern "C" fn dump<F: Family>(skb: *mut b::sk_buff, nlh: *mut b::nlmsghdr) -> c_int {
    // SAFETY: By the function's contract.
    unsafe {
        if request(nlh).is_none() {
            return EINVAL.to_errno();
        }
        b::ox_netlink_dump_start(skb, nlh, Some(fill::<F>))
    }
}

/// Fills one buffer with as many sockets as it holds; `args[0]` and `args[1]` are where to go on,
/// `args[2]` says that all were shown.
///
/// # Safety
///
/// Called by netlink only, for a dump that [`dump`] began.
unsafe extern "C" fn fill<F: Family>(skb: *mut b::sk_buff, cb: *mut b::netlink_callback) -> c_int {
    // SAFETY: By the function's contract.
    unsafe {
        let args = &mut (*cb).__bindgen_anon_1.args;
        let request = match request((*cb).nlh) {
            Some(request) if args[2] == 0 => request,
            _ => return 0,
        };
        let Some(net) = netns::of_net::<F>(b::ox_skb_net(skb)) else {
            return 0;
        };
        let mut full = false;
        let from = [args[0] as u64, args[1] as u64];
        F::dump(&net, from, &mut |entry, next| {
            let wanted = 1u32.checked_shl(entry.state.into()).unwrap_or(0);
            if request.idiag_states & wanted != 0 {
                full = put(skb, cb, &request, entry).is_err();
            }
            if !full {
                [args[0], args[1]] = next.map(|word| word as c_long);
            }
            !full
        });
        if !full {
            args[2] = 1;
        }
        (*skb).len as c_int
    }
}

/// Adds one socket.
///
/// Errors: `EMSGSIZE` when the buffer is full; then nothing was added.
///
/// # Safety
///
/// `skb` is the answer of the dump `cb`.
unsafe fn put<F: Family>(
    skb: *mut b::sk_buff,
    cb: *mut b::netlink_callback,
    request: &b::inet_diag_req_v2,
    entry: &Entry<'_, F>,
) -> Result {
    // SAFETY: By the function's contract.
    unsafe {
        let nlh = b::ox_diag_put(skb, cb);
        if nlh.is_null() {
            return Err(EMSGSIZE);
        }
        let message = b::ox_nlmsg_data(nlh).cast::<b::inet_diag_msg>();
        describe(&mut *message, entry);
        let result = attributes(skb, cb, nlh, request, entry);
        match result {
            Ok(()) => b::ox_nlmsg_end(skb, nlh),
            Err(_) => b::ox_nlmsg_cancel(skb, nlh),
        }
        result
    }
}

fn describe<F: Family>(message: &mut b::inet_diag_msg, entry: &Entry<'_, F>) {
    let wire = entry.tuple.wire();
    let (timer, ms) = entry.timer.parts();
    message.idiag_family = family::number() as u8;
    message.idiag_state = entry.state;
    message.idiag_timer = timer;
    message.idiag_retrans = entry.retransmits;
    message.idiag_expires = ms;
    message.idiag_rqueue = entry.rx_queue;
    message.idiag_wqueue = entry.tx_queue;
    message.id.idiag_sport = wire.sport;
    message.id.idiag_dport = wire.dport;
    message.id.idiag_src[0] = wire.saddr;
    message.id.idiag_dst[0] = wire.daddr;
    // INET_DIAG_NOCOOKIE, for what is no socket.
    message.id.idiag_cookie = [u32::MAX; 2];
}

/// # Safety
///
/// As [`put`]; `nlh` is the message being written.
unsafe fn attributes<F: Family>(
    skb: *mut b::sk_buff,
    cb: *mut b::netlink_callback,
    nlh: *mut b::nlmsghdr,
    request: &b::inet_diag_req_v2,
    entry: &Entry<'_, F>,
) -> Result {
    let ext = request.idiag_ext;
    let wants = |attribute: u32| u32::from(ext) >> (attribute - 1) & 1 != 0;
    let add = |attribute: c_int, value: *const c_void, len: usize| {
        // SAFETY: By the function's contract; `len` bytes are at `value`.
        to_result(unsafe { b::nla_put(skb, attribute, len as c_int, value) })
    };
    if let Some(sock) = entry.sock {
        // SAFETY: By the function's contract; the entry keeps the socket.
        to_result(unsafe { b::ox_diag_sk_attrs(skb, nlh, cb, sock.sk(), ext.into()) })?;
    }
    if let Some(info) = entry.info.filter(|_| wants(b::INET_DIAG_INFO)) {
        add(
            b::INET_DIAG_INFO as c_int,
            (&raw const *info).cast(),
            size_of::<TcpInfo>(),
        )?;
    }
    if let Some(name) = entry.congestion.filter(|_| wants(b::INET_DIAG_CONG)) {
        let mut buffer = [0u8; 16];
        let len = name.len().min(buffer.len() - 1);
        buffer[..len].copy_from_slice(&name.as_bytes()[..len]);
        add(b::INET_DIAG_CONG as c_int, buffer.as_ptr().cast(), len + 1)?;
    }
    if u32::from(entry.state) == b::TCP_LISTEN {
        add(
            OXTCP_DIAG_SYN_QUEUE,
            (&raw const entry.syn_queue).cast(),
            size_of::<u32>(),
        )?;
    }
    Ok(())
}

/// `SOCK_DESTROY`: an administrator ends a connection. `ENOENT` when there is none such, `EPERM` for
/// anybody else.
///
/// # Safety
///
/// Called by sock_diag only.
unsafe extern "C" fn destroy<F: Family>(skb: *mut b::sk_buff, nlh: *mut b::nlmsghdr) -> c_int {
    // SAFETY: By the function's contract.
    unsafe {
        let Some(request) = request(nlh) else {
            return EINVAL.to_errno();
        };
        let Some(net) = netns::of_net::<F>(b::ox_skb_net(skb)) else {
            return ENOENT.to_errno();
        };
        let tuple = b::ox_tuple {
            saddr: request.id.idiag_src[0],
            daddr: request.id.idiag_dst[0],
            sport: request.id.idiag_sport,
            dport: request.id.idiag_dport,
        };
        let found = match net.ehash().lookup_wire(&tuple) {
            None if tuple.dport == 0 => F::listener(&net, &FourTuple::from_wire(&tuple)),
            found => found,
        };
        match found {
            Some(sock) if is_cookie_of(&request, &sock) => {
                b::sock_diag_destroy(sock.sk(), ECONNABORTED.to_errno().abs())
            }
            None if !b::ox_skb_net_admin(skb) => EPERM.to_errno(),
            // Such an entry has no cookie.
            None if cookie(&request) == u64::MAX
                && F::end_entry(&net, &FourTuple::from_wire(&tuple)) =>
            {
                0
            }
            _ => ENOENT.to_errno(),
        }
    }
}

/// All ones: whichever has these ends.
fn cookie(request: &b::inet_diag_req_v2) -> u64 {
    let [low, high] = request.id.idiag_cookie;
    u64::from(high) << 32 | u64::from(low)
}

/// Whether the request means this socket, and not one that had its ends before.
fn is_cookie_of<F: Family>(request: &b::inet_diag_req_v2, sock: &Sock<F>) -> bool {
    let cookie = cookie(request);
    cookie == u64::MAX || cookie == sock.cookie()
}
