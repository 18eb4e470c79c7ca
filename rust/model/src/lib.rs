// SPDX-License-Identifier: GPL-2.0

//! An exhaustive check of how connections open, carry a little text, and end.
//!
//! Two endpoints of the real core, and a network between them that is a bag of segments. In every
//! reachable state each thing that can happen next does: a segment is delivered (any of them:
//! reordering is free), lost, or delivered and kept for later (an old duplicate), the earliest timer
//! fires, a user makes the next call of its script or reads, a forged segment comes. How often the
//! network fails, timers fire and forgers try is bounded by [`Bounds`]; within these bounds no order
//! of events is left out. Initial sequence numbers are near 2^32 and windows are small, so that
//! numbers wrap and windows close.
//!
//! # Invariants
//!
//! In every state (`endpoint/invariants.rs` and `pair.rs` in `rust/tests/support` look after each
//! event):
//!
//! 1. SND.UNA <= SND.NXT, and neither SND.UNA nor RCV.NXT goes back.
//! 2. The right edge of the window that a segment offers does not move left, but for a window that
//!    closes where there was no memory for text.
//! 3. No text is sent that was not written, and no more is acknowledged.
//! 4. What a user read is a prefix of what the peer's user wrote.
//! 5. Nothing is readable behind the peer's FIN.
//! 6. The state changes as RFC 9293 figure 5 says, or by two of its steps at once where one segment
//!    does both; a timer only ever ends a connection. It ends for a reason: an exact RST, the last
//!    acknowledgment, its user, text that nobody will read, a silence of 100 s or the user timeout.
//! 7. What is in flight has a timer that sends it again.
//! 8. A RST that is not exact, and a SYN, change no synchronized state; an exact RST ends it
//!    (RFC 5961), and where the FIN was taken one with its number too. Forgeries come in LISTEN,
//!    SYN-SENT, SYN-RECEIVED and TIME-WAIT too.
//!
//! From every state, when from then on the network is good and both users read all, end, and at last
//! let go:
//!
//! 9. Both ends reach CLOSED (or LISTEN): no state is a dead end.
//! 10. Without a timer, and without progress, only a bounded number of segments is exchanged: there
//!     are no ACK wars.
//! 11. Unless the script, a forger or a silence broke the connection off, all text arrived, each end
//!     went through exactly one of TIME-WAIT and LAST-ACK, and at least one through TIME-WAIT.
//!
//! # States that are one
//!
//! A state is what `Debug` shows of both ends and the bag, without order, and with each point of
//! time relative to now: two histories that differ only in when they happened are one.

#[path = "../../tests/support/mod.rs"]
#[allow(dead_code, reason = "each of those that share it uses a part of it")]
mod support;

mod canonical;
mod scenario;
mod world;

pub use scenario::{Scenario, SCENARIOS};
pub use world::{Bounds, World};
