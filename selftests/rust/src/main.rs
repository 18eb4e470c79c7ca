// SPDX-License-Identifier: GPL-2.0

//! What a Rust program sees of the sockets: std's types over a socket of the
//! family under test; and what the command-line tool shows of them. Speaks
//! KTAP like the C programs, and takes their options.

mod runner;
mod sockets;
mod tests;
mod tools;

use std::process::ExitCode;

const AF_INET: u32 = 2;

fn main() -> ExitCode {
    // The tool knows of AF_INET's sockets less than the tests ask.
    let tools = match runner::number("SELFTEST_FAMILY") {
        Some(AF_INET) => &[],
        _ => tools::TESTS,
    };
    runner::run(&[tests::TESTS, tools].concat())
}
