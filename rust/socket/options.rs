// SPDX-License-Identifier: GPL-2.0

//! Options of the level `IPPROTO_TCP` (tcp(7)), and the ioctls of a stream socket.

use super::flush::flush;
use super::info::tcp_info;
use super::sock_state::{Conn, Life, SockState};
use super::{fast_open, map_received, now, saved_syn, send, timing, urgent, window, Oxtcp};
use crate::net::family::Ioctl;
use crate::net::{Locked, OptValue, OptWriter, Sock};
use crate::tcp::congestion::Algorithm;
use crate::tcp::defer_accept;
use crate::tcp::state::State;
use crate::tcp::time::Duration;
use kernel::prelude::*;

/// Their level.
pub const SOL_TCP: i32 = 6;

const TCP_NODELAY: i32 = 1;
const TCP_MAXSEG: i32 = 2;
const TCP_CORK: i32 = 3;
const TCP_KEEPIDLE: i32 = 4;
const TCP_KEEPINTVL: i32 = 5;
const TCP_KEEPCNT: i32 = 6;
const TCP_SYNCNT: i32 = 7;
const TCP_LINGER2: i32 = 8;
const TCP_DEFER_ACCEPT: i32 = 9;
const TCP_WINDOW_CLAMP: i32 = 10;
const TCP_INFO: i32 = 11;
const TCP_QUICKACK: i32 = 12;
const TCP_CONGESTION: i32 = 13;
const TCP_THIN_LINEAR_TIMEOUTS: i32 = 16;
const TCP_THIN_DUPACK: i32 = 17;
const TCP_USER_TIMEOUT: i32 = 18;
const TCP_FASTOPEN: i32 = 23;
const TCP_NOTSENT_LOWAT: i32 = 25;
const TCP_CC_INFO: i32 = 26;
const TCP_SAVE_SYN: i32 = 27;
const TCP_SAVED_SYN: i32 = 28;
const TCP_FASTOPEN_CONNECT: i32 = 30;
const TCP_FASTOPEN_KEY: i32 = 33;
const TCP_FASTOPEN_NO_COOKIE: i32 = 34;
const TCP_ZEROCOPY_RECEIVE: i32 = 35;
const TCP_INQ: i32 = 36;
const TCP_TX_DELAY: i32 = 37;
const TCP_IS_MPTCP: i32 = 43;

/// Room for the name of a congestion control (`TCP_CA_NAME_MAX`).
const CA_NAME_MAX: usize = 16;

/// Bytes of a key of Fast Open cookies.
const FAST_OPEN_KEY_LEN: usize = 16;

const MAX_KEEPALIVE: i32 = 32767;

/// Longest `TCP_TX_DELAY`, µs.
const MAX_TX_DELAY: i32 = (1 << 28) - 1;

/// setsockopt(2). Errors: `ENOPROTOOPT`, `EINVAL` for a value out of Linux's range, `ENOENT` for a
/// congestion control that is not there.
pub fn set(sock: &Sock<Oxtcp>, name: i32, value: OptValue) -> Result {
    if name == TCP_CONGESTION {
        return set_congestion(sock, &value);
    }
    if name == TCP_FASTOPEN_KEY {
        return set_fast_open_key(sock, &value);
    }
    let value = value.int()?;
    let mut locked = sock.lock();
    match name {
        TCP_FASTOPEN | TCP_FASTOPEN_CONNECT | TCP_FASTOPEN_NO_COOKIE => {
            return set_fast_open(&mut locked, name, value);
        }
        TCP_NODELAY => {
            locked.config.nodelay = value != 0;
            if let (Conn::Tcb(Life::Open, tcb), true) = (&mut locked.conn, value != 0) {
                tcb.push_pending();
            }
            flush(&mut locked);
        }
        TCP_CORK => {
            locked.config.cork = value != 0;
            flush(&mut locked);
        }
        TCP_MAXSEG => {
            let mss = u16::try_from(value).map_err(|_| EINVAL)?;
            if mss != 0 && !(88..=32767).contains(&mss) {
                return Err(EINVAL);
            }
            locked.chosen.maxseg = (mss != 0).then_some(mss);
        }
        TCP_KEEPIDLE => {
            let seconds = in_range(value, 1, MAX_KEEPALIVE)? as u16;
            locked.chosen.keepidle = Some(seconds);
            locked.config.keepalive_time = Duration::from_secs(seconds.into());
            keepalive_changed(&mut locked);
        }
        TCP_KEEPINTVL => {
            let seconds = in_range(value, 1, MAX_KEEPALIVE)? as u16;
            locked.chosen.keepintvl = Some(seconds);
            locked.config.keepalive_interval = Duration::from_secs(seconds.into());
        }
        TCP_KEEPCNT => {
            let count = in_range(value, 1, 127)? as u8;
            locked.chosen.keepcnt = Some(count);
            locked.config.keepalive_probes = count;
        }
        TCP_SYNCNT => {
            let count = in_range(value, 1, 127)? as u8;
            locked.chosen.syn_retries = Some(count);
            locked.config.syn_retries = count;
        }
        TCP_DEFER_ACCEPT => {
            let seconds = u64::try_from(value).unwrap_or(0);
            let net = locked.net();
            locked.refresh(net);
            locked.config.defer_accept = defer_accept::expiries(seconds, locked.config.rto_max);
        }
        TCP_LINGER2 => locked.chosen.linger2 = Some(value.clamp(-1, 120)),
        TCP_USER_TIMEOUT => {
            let ms = u64::try_from(value).map_err(|_| EINVAL)?;
            set_user_timeout(&mut locked, Duration::from_ms(ms));
        }
        TCP_INQ => locked.chosen.inq = in_range(value, 0, 1)? != 0,
        TCP_THIN_LINEAR_TIMEOUTS => {
            locked.chosen.thin_linear = in_range(value, 0, 1)? != 0;
            let net = locked.net();
            locked.read_settings(net);
        }
        // Nothing is left of it in Linux but the range.
        TCP_THIN_DUPACK => return in_range(value, 0, 1).map(|_| ()),
        TCP_WINDOW_CLAMP => return window::set_clamp(&mut locked, value),
        TCP_NOTSENT_LOWAT => {
            send::set_notsent_lowat(&mut locked, value.cast_unsigned());
        }
        TCP_SAVE_SYN => locked.chosen.save_syn = saved_syn::choice(value)?,
        TCP_TX_DELAY => {
            locked.chosen.tx_delay = in_range(value, 0, MAX_TX_DELAY)?.cast_unsigned();
        }
        TCP_QUICKACK => {
            locked.chosen.delays_acks = value == 0;
            let config = locked.config;
            if let Conn::Tcb(Life::Open, tcb) = &mut locked.conn {
                tcb.set_quick_ack(&config, value != 0);
                flush(&mut locked);
            }
        }
        name if timing::is_option(name) => return timing::set(&mut locked, name, value),
        _ => return Err(ENOPROTOOPT),
    }
    Ok(())
}

fn set_fast_open(locked: &mut Locked<'_, Oxtcp>, name: i32, value: i32) -> Result {
    let state = locked.state();
    if name == TCP_FASTOPEN {
        let limit = u32::try_from(value).map_err(|_| EINVAL)?;
        if !matches!(state, State::Closed | State::Listen) {
            return Err(EINVAL);
        }
        let most = locked.net().settings().somaxconn();
        return fast_open::set_limit(locked, limit.min(most));
    }
    let on = in_range(value, 0, 1)? != 0;
    if name == TCP_FASTOPEN_CONNECT {
        if locked.net().settings().fastopen() & fast_open::CLIENT == 0 {
            return Err(EOPNOTSUPP);
        }
        if state != State::Closed {
            return Err(EINVAL);
        }
        fast_open::state(locked)?.connect = on;
    } else {
        if !matches!(state, State::Closed | State::Listen) {
            return Err(EINVAL);
        }
        fast_open::state(locked)?.cookieless = on;
    }
    Ok(())
}

/// One key of 16 bytes, or two: the present one, and the one before.
fn set_fast_open_key(sock: &Sock<Oxtcp>, value: &OptValue) -> Result {
    let mut bytes = [0; 2 * FAST_OPEN_KEY_LEN];
    if value.len() != FAST_OPEN_KEY_LEN && value.len() != bytes.len() {
        return Err(EINVAL);
    }
    value.bytes(&mut bytes)?;
    let mut words = [0; 4];
    for (word, eight) in words.iter_mut().zip(bytes.chunks_exact(8)) {
        *word = u64::from_le_bytes(eight.try_into().unwrap_or([0; 8]));
    }
    let [a, b, c, d] = words;
    let former = (value.len() == bytes.len()).then_some([c, d]);
    let mut locked = sock.lock();
    fast_open::state(&mut locked)?.keys = Some([Some([a, b]), former]);
    Ok(())
}

fn get_fast_open_key(locked: Locked<'_, Oxtcp>, out: OptWriter<'_>) -> Result {
    // As in Linux, the keys of the namespace are not the socket's.
    let keys = locked.fast_open.as_ref().and_then(|f| f.keys);
    drop(locked);
    let keys = keys.unwrap_or_default();
    let mut bytes = [0; 2 * FAST_OPEN_KEY_LEN];
    let words = keys.iter().flatten().flatten();
    for (eight, word) in bytes.chunks_exact_mut(8).zip(words) {
        for (to, from) in eight.iter_mut().zip(word.to_le_bytes()) {
            *to = from;
        }
    }
    let len = FAST_OPEN_KEY_LEN * keys.iter().flatten().count();
    out.bytes(bytes.get(..len).unwrap_or(&[]))
}

fn in_range(value: i32, min: i32, max: i32) -> Result<i32> {
    if (min..=max).contains(&value) {
        Ok(value)
    } else {
        Err(EINVAL)
    }
}

/// `TCP_CONGESTION`: an open connection goes on with the other control's window.
fn set_congestion(sock: &Sock<Oxtcp>, value: &OptValue) -> Result {
    if value.is_empty() {
        return Err(EINVAL);
    }
    // As in Linux the last byte is always the NUL's: what is longer is cut.
    let mut name = [0; CA_NAME_MAX - 1];
    value.bytes(&mut name)?;
    let algorithm = Algorithm::from_name(until_nul(&name)).ok_or(ENOENT)?;
    let mut locked = sock.lock();
    locked.chosen.congestion = Some(algorithm);
    locked.config.congestion = algorithm;
    if let Conn::Tcb(Life::Open, tcb) = &mut locked.conn {
        tcb.set_congestion(algorithm);
        flush(&mut locked);
    }
    Ok(())
}

/// `bytes` up to the first NUL.
fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|b| *b == 0).next().unwrap_or(bytes)
}

/// `SO_KEEPALIVE` was set.
pub fn keepalive(locked: &mut Locked<'_, Oxtcp>, on: bool) {
    let net = locked.net();
    locked.read_settings(net);
    locked.config.keepalive = on;
    keepalive_changed(locked);
}

/// A connection has its peer know, where that is asked for.
fn set_user_timeout(state: &mut SockState, timeout: Duration) {
    let told = state.config.advertised();
    state.config.user_timeout = timeout;
    if let Conn::Tcb(Life::Open, tcb) = &mut state.conn {
        tcb.on_user_timeout(&state.config, told);
    }
}

fn keepalive_changed(locked: &mut Locked<'_, Oxtcp>) {
    let state: &mut SockState = locked;
    if let Conn::Tcb(Life::Open, tcb) = &mut state.conn {
        tcb.set_keepalive(&state.config, now());
        flush(locked);
    }
}

/// getsockopt(2). Errors: `ENOPROTOOPT`, `EFAULT`, those of `TCP_ZEROCOPY_RECEIVE`.
pub fn get(sock: &Sock<Oxtcp>, name: i32, out: OptWriter<'_>) -> Result {
    if name == TCP_ZEROCOPY_RECEIVE {
        return map_received::get(sock, out);
    }
    let mut locked = sock.lock();
    let net = locked.net();
    locked.refresh(net);
    let config = &locked.config;
    let seconds = |d: Duration| i32::try_from(d.ms() / 1000).unwrap_or(i32::MAX);
    let value = match name {
        TCP_NODELAY => i32::from(config.nodelay),
        TCP_CORK => i32::from(config.cork),
        TCP_MAXSEG => match &locked.conn {
            Conn::Tcb(Life::Open, tcb) => tcb.mss().into(),
            Conn::Tcb(Life::Ended, tcb) => locked.chosen.maxseg.unwrap_or(tcb.mss()).into(),
            _ => locked.chosen.maxseg.unwrap_or(locked.last_mss).into(),
        },
        TCP_KEEPIDLE => seconds(config.keepalive_time),
        TCP_KEEPINTVL => seconds(config.keepalive_interval),
        TCP_KEEPCNT => i32::from(config.keepalive_probes),
        TCP_SYNCNT => i32::from(config.syn_retries),
        TCP_DEFER_ACCEPT => {
            let seconds = defer_accept::seconds(config.defer_accept, config.rto_max);
            i32::try_from(seconds).unwrap_or(i32::MAX)
        }
        TCP_LINGER2 => match locked.chosen.linger2 {
            Some(s) if s != 0 => s,
            _ => seconds(config.fin_timeout),
        },
        TCP_USER_TIMEOUT => i32::try_from(config.user_timeout.ms()).unwrap_or(i32::MAX),
        TCP_QUICKACK => match &locked.conn {
            Conn::Tcb(Life::Open, tcb) => i32::from(tcb.is_quick_ack(config)),
            _ => i32::from(!locked.chosen.delays_acks),
        },
        TCP_FASTOPEN => {
            let limit = locked.fast_open.as_ref().map_or(0, |f| f.limit);
            i32::try_from(limit).unwrap_or(i32::MAX)
        }
        TCP_FASTOPEN_CONNECT => locked.fast_open.as_ref().is_some_and(|f| f.connect).into(),
        TCP_FASTOPEN_NO_COOKIE => locked
            .fast_open
            .as_ref()
            .is_some_and(|f| f.cookieless)
            .into(),
        TCP_FASTOPEN_KEY => return get_fast_open_key(locked, out),
        TCP_INQ => i32::from(locked.chosen.inq),
        TCP_THIN_LINEAR_TIMEOUTS => locked.chosen.thin_linear.into(),
        TCP_THIN_DUPACK | TCP_IS_MPTCP => 0,
        TCP_WINDOW_CLAMP => window::clamp(&locked),
        TCP_NOTSENT_LOWAT => locked.chosen.notsent_lowat.cast_signed(),
        TCP_SAVE_SYN => locked.chosen.save_syn as i32,
        TCP_SAVED_SYN => return saved_syn::get(locked, out),
        TCP_TX_DELAY => locked.chosen.tx_delay.cast_signed(),
        TCP_INFO => {
            let info = tcp_info(&locked);
            drop(locked);
            return out.tcp_info(&info);
        }
        // As in Linux, loss-based congestion controls have nothing to tell.
        TCP_CC_INFO => {
            drop(locked);
            return out.bytes(&[]);
        }
        TCP_CONGESTION => {
            let algorithm = locked.congestion();
            drop(locked);
            let mut name = [0; CA_NAME_MAX];
            for (to, from) in name.iter_mut().zip(algorithm.name().bytes()) {
                *to = from;
            }
            return out.bytes(&name);
        }
        name if timing::is_option(name) => timing::get(&locked, name),
        _ => return Err(ENOPROTOOPT),
    };
    drop(locked);
    out.int(value)
}

/// ioctl(2). Errors: `EINVAL` for a listener.
pub fn ioctl(sock: &Sock<Oxtcp>, what: Ioctl) -> Result<i32> {
    let mut locked = sock.lock();
    if locked.state() == State::Listen && what != Ioctl::AtMark {
        return Err(EINVAL);
    }
    if what == Ioctl::AtMark {
        return Ok(i32::from(matches!(urgent::mark(&mut locked), Some((0, _)))));
    }
    let readable = urgent::readable(&mut locked);
    let bytes = match (what, &locked.conn) {
        (Ioctl::InQ, _) => readable,
        (Ioctl::OutQ, Conn::Tcb(Life::Open, tcb)) => tcb.unacked(),
        (Ioctl::OutQNsd, Conn::Tcb(Life::Open, tcb)) => tcb.unsent(),
        _ => 0,
    };
    Ok(i32::try_from(bytes).unwrap_or(i32::MAX))
}
