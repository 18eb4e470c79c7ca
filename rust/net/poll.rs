// SPDX-License-Identifier: GPL-2.0

//! The `EPOLL*` bits of a poll mask (`include/uapi/linux/eventpoll.h`).

/// Data to read, or a connection to accept.
pub const IN: u32 = 0x001;
/// Urgent data.
pub const PRI: u32 = 0x002;
/// Room to write.
pub const OUT: u32 = 0x004;
/// An error is pending.
pub const ERR: u32 = 0x008;
/// Both directions are shut down.
pub const HUP: u32 = 0x010;
/// Normal data to read.
pub const RDNORM: u32 = 0x040;
/// Room for normal data.
pub const WRNORM: u32 = 0x100;
/// The peer has shut down its sending side.
pub const RDHUP: u32 = 0x2000;
