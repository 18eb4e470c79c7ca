// SPDX-License-Identifier: GPL-2.0

//! What the tests share: random numbers, a receive buffer, segments as bytes.

pub mod bytes;
pub mod endpoint;
pub mod pair;
pub mod rng;
pub mod rx;
