// SPDX-License-Identifier: GPL-2.0

//! `TCP_ZEROCOPY_RECEIVE`: a read that maps whole pages of received text into an area that mmap(2) of
//! a socket made, and copies what is no page, if the user has room for that.

use super::{recv, urgent, Oxtcp};
use crate::net::{
    Locked, MapRequest, Mapped, Mapping, Msg, MsgFlags, OptWriter, Sock, Stamp, PAGE_SIZE,
};
use crate::tcp::state::State;
use kernel::prelude::*;

/// `TCP_RECEIVE_ZEROCOPY_FLAG_TLB_CLEAN_HINT`: the user has taken away the pages of the former call.
const CLEAN: u32 = 0x1;

/// `TCP_CMSG_TS`: all that may be asked for by `msg_flags`.
const STAMP: u32 = 0x2;

/// getsockopt(2) of `TCP_ZEROCOPY_RECEIVE`, whose value is a `struct tcp_zerocopy_receive` of now or
/// of former times. It never waits.
///
/// Errors: `EINVAL` for a wrong length, `reserved` or `msg_flags`, and for an address that is not the
/// beginning of a page, or, with a page or more to read, not of a socket; `EFAULT`; `ENOTCONN` of a
/// listener; `EIO` at the end of the stream.
pub(super) fn get(sock: &Sock<Oxtcp>, mut out: OptWriter<'_>) -> Result {
    let mut request = out.map_request()?;
    if request.reserved != 0 || request.msg_flags & !STAMP != 0 {
        return Err(EINVAL);
    }
    let len = out.room();
    // What is no length of any time has neither.
    let has_err = len >= MapRequest::END_OF_MSG_FLAGS || MapRequest::WITH_ERR.contains(&len);
    let has_inq = has_err || len == MapRequest::END_OF_INQ;
    let mut stamp = Stamp::default();
    let mut locked = sock.lock();
    receive(&mut locked, &mut request, &mut stamp)?;
    if has_err {
        request.err = locked.take_error().map_or_else(|e| e.to_errno(), |()| 0);
    }
    if has_inq {
        request.inq = recv::unread(&mut locked);
    }
    drop(locked);
    if len >= MapRequest::END_OF_MSG_FLAGS && stamp.is_known() {
        request.tell_stamp(sock, &stamp);
    }
    out.mapped(&request)
}

/// Reads what `request` asks for, and makes it the answer.
fn receive(locked: &mut Locked<'_, Oxtcp>, request: &mut MapRequest, stamp: &mut Stamp) -> Result {
    let room = request.copybuf_len;
    request.copybuf_len = 0;
    request.msg_flags = 0;
    let address = usize::try_from(request.address).map_err(|_| EINVAL)?;
    if address % PAGE_SIZE as usize != 0 {
        return Err(EINVAL);
    }
    if locked.state() == State::Listen {
        return Err(ENOTCONN);
    }
    let unread = urgent::readable(locked);
    if unread > 0 && i64::from(unread) <= i64::from(room) {
        return copy_all(locked, request, unread, stamp);
    }
    if unread < PAGE_SIZE {
        request.length = 0;
        request.recv_skip_hint = unread;
        return something_or_end(locked, unread);
    }
    let mapped = map(locked, request, address, unread, stamp)?;
    // Signed below 0 is as much as there is, as in Linux.
    let most = mapped
        .skip
        .min(room.cast_unsigned())
        .min(unread - mapped.bytes);
    let copied = match mapped.failed {
        None if most > 0 => copy_rest(locked, request, mapped.bytes, most, stamp),
        _ => 0,
    };
    let all = mapped.bytes == request.length;
    request.length = mapped.bytes;
    request.recv_skip_hint = mapped.skip - copied;
    let done = mapped.bytes + copied;
    if done == 0 {
        return match mapped.failed {
            Some(e) => Err(e),
            None => something_or_end(locked, mapped.skip),
        };
    }
    if all {
        request.recv_skip_hint = 0;
    }
    locked.recv_buffer().consume(done);
    locked.move_peek_offset(done, false);
    recv::was_read(locked, done as usize);
    Ok(())
}

/// Nothing was read: that is an error if no byte is left to be read, nor will come.
fn something_or_end(locked: &Locked<'_, Oxtcp>, left: u32) -> Result {
    if left == 0 && locked.done {
        return Err(EIO);
    }
    Ok(())
}

/// Maps what can be of `unread` bytes; `request.length` becomes how many could be at most.
fn map(
    locked: &mut Locked<'_, Oxtcp>,
    request: &mut MapRequest,
    address: usize,
    unread: u32,
    stamp: &mut Stamp,
) -> Result<Mapped> {
    let mut mapping = Mapping::at(address).ok_or(EINVAL)?;
    let room = u32::try_from(mapping.room()).unwrap_or(u32::MAX);
    let most = request.length.min(room).min(unread);
    let whole = most / PAGE_SIZE * PAGE_SIZE;
    if whole == 0 {
        request.length = most;
        return Ok(Mapped {
            skip: most,
            ..Mapped::default()
        });
    }
    request.length = whole;
    mapping.confine(whole, request.flags & CLEAN != 0);
    Ok(locked.recv_buffer().map_to(&mut mapping, stamp))
}

/// All that is unread fits where the user wants copies.
fn copy_all(
    locked: &mut Locked<'_, Oxtcp>,
    request: &mut MapRequest,
    unread: u32,
    stamp: &mut Stamp,
) -> Result {
    request.length = 0;
    request.recv_skip_hint = 0;
    let address = usize::try_from(request.copybuf_address).map_err(|_| EINVAL)?;
    let len = unread as usize;
    let copied = Msg::to_user(address, len, |msg| {
        msg.ask_stamp();
        let copied = recv::receive(locked, msg, len, MsgFlags::DONTWAIT);
        *stamp = msg.stamp();
        copied
    })??;
    request.copybuf_len = i32::try_from(copied).unwrap_or(i32::MAX);
    if copied > 0 {
        request.recv_skip_hint = locked.recv_buffer().bytes_before_page();
    }
    Ok(())
}

/// Copies up to `most` bytes from behind the first `offset`; nothing is consumed. Returns how many;
/// `request.copybuf_len` is as many, or an error.
fn copy_rest(
    locked: &mut Locked<'_, Oxtcp>,
    request: &mut MapRequest,
    offset: u32,
    most: u32,
    stamp: &mut Stamp,
) -> u32 {
    let address = usize::try_from(request.copybuf_address).map_err(|_| EINVAL);
    let copied = address.and_then(|address| {
        Msg::to_user(address, most as usize, |msg| {
            msg.ask_stamp();
            let copied = locked.recv_buffer().copy_to(msg, offset, most as usize);
            if msg.stamp().is_known() {
                *stamp = msg.stamp();
            }
            copied
        })?
    });
    match copied {
        Ok(n) => {
            request.copybuf_len = i32::try_from(n).unwrap_or(i32::MAX);
            n as u32
        }
        Err(e) => {
            request.copybuf_len = e.to_errno();
            0
        }
    }
}
