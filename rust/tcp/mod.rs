// SPDX-License-Identifier: GPL-2.0

//! The protocol: TCP (RFC 9293) as a pure state machine.
//!
//! Nothing here does input or output, allocates, knows a clock or a kernel type. A [`tcb::Tcb`] is
//! told of events (a segment, a call of the user, the passing of time), changes, and says in
//! [`events::Events`] what that means to others. What it wants to send is fetched from
//! [`tcb::Tcb::poll_transmit`] until there is no more, and [`tcb::Tcb::deadline`] says when it
//! wants to be called for its timers. Text stays with the caller: sent text is named by its
//! sequence numbers, and received text goes through the [`ReceiveQueue`] that the caller lends,
//! together with the [`RecordStore`] that keeps what is remembered of sent text.
//!
//! Arithmetic is modular or saturating by type, work for a segment is bounded, and nothing panics:
//! a segment is an attacker's.

#![forbid(unsafe_code)]

mod accecn;
pub mod accecn_option;
mod ack;
pub mod buffer_space;
pub mod chrono;
pub mod config;
pub mod congestion;
mod cwnd_usage;
pub mod defer_accept;
mod delayed_ack;
pub mod ecn;
mod ecn_handshake;
pub mod events;
pub mod fast_open;
mod input;
mod is_lost;
pub mod mtu_probe;
mod news;
pub mod options;
mod output;
pub mod pacing;
pub mod pack;
pub mod plain;
pub mod predict;
mod prr;
mod rack;
mod rate;
pub mod rate_limit;
pub mod receive;
pub mod receive_window;
mod receiver_rtt;
mod records;
mod recovery;
pub mod refused;
pub mod rtt;
mod run_defer;
pub mod scoreboard;
pub mod segment;
pub mod seq;
pub mod small_queue;
pub mod state;
pub mod statistics;
pub mod syn_cookie;
pub mod syn_received;
pub mod tcb;
mod text;
pub mod time;
pub mod time_wait;
pub mod timer;
mod tlp;
mod totals;
mod undo;
pub mod urgent;
pub mod user;
pub mod user_timeout;
mod windowed_min;

pub use receive::{Arrived, Memory, NoRoom, Queues, ReceiveQueue};
pub use records::{Record, RecordStore};
pub use tcb::Tcb;
