// SPDX-License-Identifier: GPL-2.0

//! What the fuzz targets do with a string of bytes. Each is total: it panics when something does
//! not hold, and libFuzzer, or the replay of the corpus in `cargo test`, tells of it.

#[path = "../../tests/support/mod.rs"]
#[allow(dead_code, reason = "each of those that share it uses a part of it")]
mod support;

mod draw;
mod options;
mod pair;
mod segment;
mod storm;

pub use options::options;
pub use pair::pair;
pub use segment::segment;
pub use storm::storm;
