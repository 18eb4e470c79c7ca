// SPDX-License-Identifier: GPL-2.0

//! Safe wrappers of kernel networking: the only home of `unsafe`.
//!
//! Everything here is generic over a [`Family`], which supplies what a socket of the family does.
//! `net` knows no TCP beyond where ports and the data offset sit in a header; it owns the
//! trampolines between the kernel's C tables and the family's safe functions.
//!
//! The way of a segment: [`hook`] takes it from netfilter and hands an [`RxSkb`] to
//! [`Family::segment`]; that finds a [`Sock`] and locks it with [`Sock::lock_bh`], which gives a
//! [`Locked`] or puts the segment on the backlog, from where it comes back through
//! [`Family::backlog`]. [`Locked::parts`] lends the family's own state, the [`SendBuffer`] and the
//! [`RecvBuffer`] at the same time, disjoint.
//!
//! Lock order: a listener's socket lock, then a child's ([`Sock::lock_child`]); a socket lock, then
//! any [`BhSpinLock`] (tables), or a [`Mapping`] of the calling process, never the other way round; two
//! [`BhSpinLock`]s only where one of them documents it.

#[path = "../bindings/mod.rs"]
mod bindings;

pub mod addr;
mod diag;
pub mod drop_reason;
pub mod dump;
pub mod ehash;
pub mod family;
mod first_look;
pub mod held;
pub mod hook;
pub mod icmp;
pub mod lock;
pub mod locked;
pub mod map;
mod mib;
pub mod msg;
pub mod netns;
mod ooo;
mod ops;
pub mod poll;
pub mod ports;
mod proc;
pub mod random;
pub mod recv_buffer;
pub mod reply;
pub mod reserve;
pub mod route;
pub mod rx_skb;
pub mod send_buffer;
pub mod settings;
pub mod shown;
mod small_queue;
pub mod sock;
pub mod sockopt;
pub mod splice;
mod state_box;
pub mod stats;
pub mod sysctl;
#[cfg(CONFIG_KUNIT = "y")]
mod testing;
pub mod time;
mod timer;
pub mod trace;
pub mod transmit;
pub mod wait;

pub use addr::{Destination, FourTuple};
pub use drop_reason::DropReason;
pub use dump::{Entry, EntryTimer, TcpInfo};
pub use ehash::{Ehash, Ends};
pub use family::{Family, Registration, Verdict};
pub use held::Idle;
pub use icmp::IcmpError;
pub use lock::{BhSpinLock, BhSpinLockGuard};
pub use locked::{BhLock, Locked, Pacing, Shutdown};
pub use map::{MapRequest, Mapped, Mapping, PAGE_SIZE};
pub use msg::{Msg, MsgFlags, Stamp};
pub use netns::NetNs;
pub use ports::Ports;
pub use recv_buffer::{RecvBuffer, Unstored, MIN_RCVBUF};
pub use reply::{Reply, Way};
pub use reserve::Reservation;
pub use rx_skb::{RxSkb, SparePacket};
pub use send_buffer::SendBuffer;
pub use settings::Settings;
pub use shown::Shown;
pub use sock::Sock;
pub use sockopt::{OptValue, OptWriter};
pub use splice::Pipe;
pub use stats::Counter;
pub use sysctl::{Ipv4Sysctls, Tunable};
pub use time::{now, TICK_US};
pub use transmit::{Queued, Segments};
pub use wait::Timeout;
