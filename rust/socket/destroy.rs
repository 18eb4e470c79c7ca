// SPDX-License-Identifier: GPL-2.0

//! What an administrator ends that is no socket: half-open connections and those in TIME-WAIT, as
//! `tcp_abort` does. Their peers are not told.

use super::input::opener;
use super::listen::forget_holder;
use super::listener::Key;
use super::namespace::Net;
use super::sock_state::Conn;
use super::time_wait;
use crate::net::{trace, FourTuple};
use crate::tcp::state::State;

/// Ends the entry of `tuple`; whether there was one. Process context.
pub fn end_entry(net: &Net, tuple: &FourTuple) -> bool {
    time_wait::destroy(net, tuple) || end_half_open(net, tuple)
}

fn end_half_open(net: &Net, tuple: &FourTuple) -> bool {
    let Some(sock) = opener(net, tuple, 0) else {
        return false;
    };
    let ended = match &mut sock.lock().conn {
        Conn::Listening(listener) => {
            let ended = listener.remove(&Key::new(tuple)).is_some();
            forget_holder(net, listener.grouped, &sock, tuple);
            ended
        }
        _ => false,
    };
    if ended {
        let (old, new) = (State::SynReceived, State::Closed);
        trace::set_state(net, tuple, old.number(), new.number());
    }
    ended
}
