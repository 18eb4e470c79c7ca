// SPDX-License-Identifier: GPL-2.0

//! setsockopt and getsockopt: the family answers its own level; `SOL_SOCKET` and `SOL_IP` are here.

use super::bindings as b;
use super::*;
use core::marker::PhantomData;
use core::mem::size_of;
use core::slice;
use kernel::error::to_result;
use kernel::ffi::{c_char, c_int, c_uint, c_ulong, c_void};
use kernel::prelude::*;

/// The value given to setsockopt(2).
pub struct OptValue {
    from: b::sockptr_t,
    len: usize,
}

impl OptValue {
    /// Its length, bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// It as an `int`.
    ///
    /// Errors: `EINVAL` when shorter than an `int`, `EFAULT`.
    pub fn int(&self) -> Result<i32> {
        let mut value = [0; size_of::<c_int>()];
        if self.len < value.len() {
            return Err(EINVAL);
        }
        self.bytes(&mut value)?;
        Ok(c_int::from_ne_bytes(value))
    }

    /// Copies up to `out.len()` bytes; returns how many there were.
    ///
    /// Errors: `EFAULT`.
    pub fn bytes(&self, out: &mut [u8]) -> Result<usize> {
        let n = self.len.min(out.len());
        let to: *mut c_void = out.as_mut_ptr().cast();
        // SAFETY: `to` has room for `n` bytes; the helper checks the user's memory.
        if unsafe { b::ox_copy_from_sockptr(to, self.from, n) } != 0 {
            return Err(EFAULT);
        }
        Ok(n)
    }
}

/// Where getsockopt(2)'s value goes.
pub struct OptWriter<'a> {
    value: UserPtr,
    len: *mut c_int,
    room: usize,
    _call: PhantomData<&'a mut ()>,
}

type UserPtr = *mut c_char;

impl OptWriter<'_> {
    /// Errors: `EFAULT`, `EINVAL` for a length below 0.
    fn new(value: UserPtr, len: *mut c_int) -> Result<Self> {
        let mut room = 0;
        // SAFETY: A user's pointer, which the helper treats as such.
        to_result(unsafe { b::ox_get_user_int(&mut room, len) })?;
        Ok(Self {
            value,
            len,
            room: usize::try_from(room).map_err(|_| EINVAL)?,
            _call: PhantomData,
        })
    }

    /// Room the user gave, bytes.
    pub fn room(&self) -> usize {
        self.room
    }

    /// Says how long the value is, bytes.
    ///
    /// Errors: `EFAULT`.
    pub fn tell_len(&mut self, bytes: usize) -> Result {
        let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX);
        // SAFETY: As above.
        to_result(unsafe { b::ox_put_user_int(bytes, self.len as c_ulong) })
    }

    /// Answers with an `int`, cut to the room.
    ///
    /// Errors: `EFAULT`.
    pub fn int(self, value: i32) -> Result {
        self.bytes(&value.to_ne_bytes())
    }

    /// Answers with bytes, cut to the room.
    ///
    /// Errors: `EFAULT`.
    pub fn bytes(mut self, value: &[u8]) -> Result {
        let value = &value[..value.len().min(self.room)];
        self.tell_len(value.len())?;
        self.put(value)
    }

    /// Errors: `EFAULT`.
    fn put(&mut self, value: &[u8]) -> Result {
        // SAFETY: A user's pointer, which the helper treats as such; the bytes are ours.
        to_result(unsafe {
            b::ox_copy_to_user(self.value.cast(), value.as_ptr().cast(), value.len())
        })
    }

    /// What the user put where the answer goes: as much of a `struct tcp_zerocopy_receive` as is
    /// known to them, and zero for the rest. There is room for no more than is known to us then.
    ///
    /// Errors: `EINVAL` when that is too little, or more than is known to us and not zero; `EFAULT`.
    pub fn map_request(&mut self) -> Result<MapRequest> {
        const SIZE: usize = size_of::<MapRequest>();
        let mut request = MapRequest::default();
        if self.room < MapRequest::END_OF_LENGTH {
            return Err(EINVAL);
        }
        // SAFETY: Any bytes are a request; a user's pointer, which the helper treats as such.
        let read = unsafe {
            let to: *mut MapRequest = &mut request;
            b::ox_get_user_struct(to.cast(), SIZE, self.value.cast(), self.room)
        };
        to_result(read).map_err(|e| if e == E2BIG { EINVAL } else { e })?;
        if self.room > SIZE {
            self.tell_len(SIZE)?;
            self.room = SIZE;
        }
        Ok(request)
    }

    /// Answers a [`OptWriter::map_request`], as far as there is room. The length stays.
    ///
    /// Errors: `EFAULT`.
    pub fn mapped(mut self, answer: &MapRequest) -> Result {
        // SAFETY: Any bytes of it can be read: it has no padding.
        let bytes =
            unsafe { slice::from_raw_parts((&raw const *answer).cast(), size_of::<MapRequest>()) };
        let len = bytes.len().min(self.room);
        self.put(&bytes[..len])
    }

    /// Answers with a `struct tcp_info`, cut to the room.
    ///
    /// Errors: `EFAULT`.
    pub fn tcp_info(self, value: &TcpInfo) -> Result {
        // SAFETY: Any bytes of it can be read: it comes zeroed, padding included.
        let bytes =
            unsafe { slice::from_raw_parts((&raw const *value).cast(), size_of::<TcpInfo>()) };
        self.bytes(bytes)
    }
}

/// From `IP_ADD_MEMBERSHIP` to `MCAST_MSFILTER` (`linux/in.h`): a stream has no use for groups, and
/// only `AF_INET`'s own release can leave them again.
const MULTICAST: core::ops::RangeInclusive<c_int> = 35..=48;

/// `proto_ops.setsockopt`; `SOL_SOCKET` comes here because of `SOCK_CUSTOM_SOCKOPT`.
///
/// # Safety
///
/// Called by the core only, for a socket of `F`.
pub(super) unsafe extern "C" fn set<F: Family>(
    sock: *mut b::socket,
    level: c_int,
    name: c_int,
    from: b::sockptr_t,
    len: c_uint,
) -> c_int {
    // SAFETY: The call holds the file.
    let this: &Sock<F> = unsafe { ops::of(sock) };
    let value = OptValue {
        from,
        len: len as usize,
    };
    if level == b::SOL_SOCKET as c_int {
        // What the core refuses to a family that is not AF_INET.
        let result = match name.cast_unsigned() {
            b::SO_REUSEPORT => value.int().map(|on| {
                // SAFETY: The socket is alive, and not locked.
                unsafe { b::ox_sk_set_reuseport(this.sk(), on != 0) }
            }),
            b::SO_ZEROCOPY => value.int().and_then(|on| {
                // SAFETY: As above.
                to_result(unsafe { b::ox_sk_set_zerocopy(this.sk(), on) })
            }),
            b::SO_TXREHASH => value.int().and_then(|on| {
                // SAFETY: The socket is alive.
                to_result(unsafe { b::ox_sk_set_txrehash(this.sk(), on) })
            }),
            b::SO_TIMESTAMPING_OLD | b::SO_TIMESTAMPING_NEW => {
                // SAFETY: The call holds the file; `from` and `len` are the caller's.
                set_timestamping(this, &value, || unsafe {
                    b::sock_setsockopt(sock, level, name, from, len)
                })
            }
            // SAFETY: As above.
            _ => to_result(unsafe { b::sock_setsockopt(sock, level, name, from, len) }),
        };
        if STAMPS.contains(&name.cast_unsigned()) {
            // SAFETY: The socket is alive.
            unsafe { b::ox_sk_expect_stamps(this.sk()) }
        }
        return result.map_or_else(|e| e.to_errno(), |()| 0);
    }
    if level != F::OPTIONS {
        if level == b::SOL_IP as c_int && MULTICAST.contains(&name) {
            return EPROTO.to_errno();
        }
        // SAFETY: The socket begins with an `inet_sock`; `from` and `len` are the caller's.
        return unsafe { b::ip_setsockopt(this.sk(), level, name, from, len) };
    }
    F::setsockopt(this, name, value).map_or_else(|e| e.to_errno(), |()| 0)
}

/// The options by which a user hears when something came or went.
const STAMPS: [u32; 6] = [
    b::SO_TIMESTAMP_OLD,
    b::SO_TIMESTAMP_NEW,
    b::SO_TIMESTAMPNS_OLD,
    b::SO_TIMESTAMPNS_NEW,
    b::SO_TIMESTAMPING_OLD,
    b::SO_TIMESTAMPING_NEW,
];

/// `SOF_TIMESTAMPING_OPT_ID`: reports of `SO_TIMESTAMPING` are numbered.
const OPT_ID: i32 = 1 << 7;
/// `SOF_TIMESTAMPING_OPT_ID_TCP`: from the next byte written on.
const OPT_ID_TCP: i32 = 1 << 16;

/// `SO_TIMESTAMPING`: `set` does what the core does for any socket; but in a stream reports are
/// numbered by bytes, which the core knows of `AF_INET` alone.
fn set_timestamping<F: Family>(
    sock: &Sock<F>,
    value: &OptValue,
    set: impl FnOnce() -> c_int,
) -> Result {
    let flags = value.int()?;
    // SAFETY: The socket is alive.
    let begins = flags & OPT_ID != 0 && !unsafe { b::ox_sk_numbers_stamps(sock.sk()) };
    let state = u32::from(sock.state());
    if begins && (state == b::TCP_CLOSE || state == b::TCP_LISTEN) {
        return Err(EINVAL);
    }
    to_result(set())?;
    if begins {
        sock.lock()
            .send_buffer()
            .number_stamps(flags & OPT_ID_TCP != 0);
    }
    Ok(())
}

/// `proto_ops.getsockopt`; `SOL_SOCKET` is the core's. What is not the family's own is answered by
/// IP, which knows its own level alone.
///
/// # Safety
///
/// Called by the core only, for a socket of `F`.
pub(super) unsafe extern "C" fn get<F: Family>(
    sock: *mut b::socket,
    level: c_int,
    name: c_int,
    value: UserPtr,
    len: *mut c_int,
) -> c_int {
    // SAFETY: The call holds the file.
    let this: &Sock<F> = unsafe { ops::of(sock) };
    if level != F::OPTIONS {
        // SAFETY: The socket begins with an `inet_sock`; the pointers are the user's.
        return unsafe { b::ip_getsockopt(this.sk(), level, name, value, len) };
    }
    let result = OptWriter::new(value, len).and_then(|out| F::getsockopt(this, name, out));
    result.map_or_else(|e| e.to_errno(), |()| 0)
}
