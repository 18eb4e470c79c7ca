// SPDX-License-Identifier: GPL-2.0

//! What a Rust program sees of the sockets: std's types over a socket of the
//! family under test. Speaks KTAP like the C programs, and takes their options.

mod runner;
mod sockets;
mod tests;

use std::process::ExitCode;

fn main() -> ExitCode {
    runner::run(tests::TESTS)
}
