// SPDX-License-Identifier: GPL-2.0

//! Shapes of networks and what is done on them, drawn from a seed.

mod clients;
mod draw;
mod dumbbell;
mod incast;
mod pair;

pub use clients::clients;
pub use dumbbell::{bulk, dumbbell, Dumbbell};
pub use incast::incast;
pub use pair::pair;
