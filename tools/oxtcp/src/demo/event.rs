// SPDX-License-Identifier: GPL-2.0
//! What the observers report, and when it happened.

use std::time::Duration;

use crate::diag::Socket;
use crate::diagram::Side;
use crate::observe::{Change, Segment};

/// Something that happened, at a time of `CLOCK_MONOTONIC`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// When.
    pub at: Duration,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// A program called the kernel, or learnt something from it.
    Call(Side, String),
    /// A tracepoint told of a new state.
    Change(Change),
    /// The list of sockets changed.
    Sockets(Side, Vec<Socket>),
    /// A segment arrived.
    Segment(Segment),
}
