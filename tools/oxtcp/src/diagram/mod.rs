// SPDX-License-Identifier: GPL-2.0
//! Sequence diagrams of connections: what happens at two ends, and the segments between them.

mod end;
mod row;
mod svg;

pub use end::End;
#[cfg(test)]
pub use row::WIDTH;
pub use row::{human_bytes, Ink, Pen, Row};
pub use svg::Drawing;

/// One of the two ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The end that connects.
    Client,
    /// The end that listens.
    Server,
}

impl Side {
    /// The opposite end.
    pub fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Side::Client => "client",
            Side::Server => "server",
        }
    }
}

/// Lengths of a listener's queues, in connections.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Queues {
    /// SYN queue.
    pub syn: u32,
    /// Accept queue.
    pub accept: u32,
    /// Its limit.
    pub limit: u32,
}
