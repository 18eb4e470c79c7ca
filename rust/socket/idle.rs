// SPDX-License-Identifier: GPL-2.0

//! What becomes of a connection to which nothing happens: its state is packed, so that a server can
//! keep many.

use super::namespace::{setting, Setting};
use super::sent_records::SentRecords;
use super::sock_state::{Bound, Chosen, Conn, Life, Phase, SaveSyn, SockState};
use super::Oxtcp;
use super::{now, options};
use crate::net::{Idle, Locked};
use crate::tcp::config::{Config, Identity};
use crate::tcp::pack::{self, packed, Pack, Packer};
use crate::tcp::seq::SeqNumber;
use crate::tcp::time::{Duration, Instant};
use crate::tcp::Tcb;
use kernel::prelude::*;

packed!(enum Phase { 0 => Unconnected, 1 => Connecting, 2 => Connected, 3 => Released });
packed!(enum SaveSyn { 0 => No, 1 => Network, 2 => Link });
packed!(struct Bound { addr, port });
packed!(struct Chosen {
    syn_retries, linger2, keepidle, keepintvl, keepcnt, maxseg, congestion, timing, inq, delays_acks,
    thin_linear, save_syn, notsent_lowat, tx_delay,
});

/// How soon a connection is looked at again that would be packed but for what its program has not read.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A connection's state, with nothing in it that is not plain: no other memory hangs on it.
struct Plain<'a> {
    state: &'a mut SockState,
}

impl Pack for Plain<'_> {
    fn pack<P: Packer>(&mut self, by: &mut P) {
        let SockState {
            phase,
            conn,
            records: _,
            owner,
            bound,
            config,
            chosen,
            done,
            receive_space,
            counted,
            fast_open: _,
            saved_syn: _,
            last_mss,
        } = &mut *self.state;
        if let Conn::Tcb(Life::Open, tcb) = conn {
            tcb.pack(by);
        }
        phase.pack(by);
        owner.pack(by);
        bound.pack(by);
        config.pack(by);
        chosen.pack(by);
        done.pack(by);
        receive_space.pack(by);
        counted.pack(by);
        last_mss.pack(by);
    }
}

/// Whether the socket is a connection to which nothing has happened for long. What it has only for
/// what was sent, or for its handshake, it has no more then.
pub(super) fn idle(locked: &mut Locked<'_, Oxtcp>) -> Idle {
    let patience = setting(locked.net(), Setting::IdlePackMs);
    let state = &mut **locked;
    let Conn::Tcb(Life::Open, tcb) = &state.conn else {
        return Idle::No;
    };
    let (Some(since), false) = (tcb.idle_since(), patience == 0) else {
        return Idle::No;
    };
    let now = now();
    let patience = Duration::from_ms(patience.into());
    if now < since + patience {
        return Idle::LookAt((since + patience).us());
    }
    // The program has not asked for the SYN yet, or has said something of Fast Open.
    let wanted = state.fast_open.as_ref().is_some_and(|f| !f.is_over());
    if state.saved_syn.is_some() || wanted {
        return Idle::LookAt((now + patience.max(LOOK_AGAIN)).us());
    }
    state.fast_open = None;
    state.records = SentRecords::new();
    Idle::Long
}

/// Packs the state of a connection that is [`idle`].
pub(super) fn pack(state: &mut SockState, room: &mut [u8]) -> Option<usize> {
    pack::pack(&mut Plain { state }, room)
}

/// Sets the state, which is that of a new socket, to what [`pack`] made `bytes` of.
pub(super) fn unpack(locked: &mut Locked<'_, Oxtcp>, bytes: &[u8]) {
    let state = &mut **locked;
    let nobody = Identity {
        iss: SeqNumber(0),
        ts_offset: 0,
    };
    state.conn = Conn::Tcb(
        Life::Open,
        Tcb::connect(&Config::default(), nobody, Instant::default()),
    );
    if !pack::unpack(&mut Plain { state }, bytes) {
        pr_err!("the state of an idle connection cannot be read\n");
    }
    // A BPF program may have set it while there was no memory to unpack the state.
    let keepalive = locked.keepopen();
    if keepalive != locked.config.keepalive {
        options::keepalive(locked, keepalive);
    }
}
