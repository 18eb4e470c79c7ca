// SPDX-License-Identifier: GPL-2.0

//! Runs tests, each on a thread in a network namespace of its own and for a
//! limited time, and prints KTAP.

use std::panic;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sched::{unshare, CloneFlags};

use crate::sockets;

/// A named test: a panic is its failure.
pub type Test = (&'static str, fn());

/// Time limit of a test on an ordinary kernel.
const LIMIT: Duration = Duration::from_secs(30);

/// How much slower than usual the kernel is: `SELFTEST_SLOW` of the environment.
pub fn slowness() -> u32 {
    number("SELFTEST_SLOW").unwrap_or(1)
}

/// A number of the environment.
pub fn number(name: &str) -> Option<u32> {
    std::env::var(name).ok()?.parse().ok()
}

/// Handles the options of the C programs (`--list`, `-r NAME`...) and runs.
pub fn run(tests: &[Test]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["--list"] {
        for (name, _) in tests {
            println!("rust.{name}");
        }
        return ExitCode::SUCCESS;
    }
    let wanted = |name: &str| {
        arguments.is_empty()
            || arguments
                .iter()
                .any(|a| a.strip_prefix("rust.") == Some(name))
    };
    let tests: Vec<&Test> = tests.iter().filter(|(name, _)| wanted(name)).collect();
    println!("TAP version 13\n1..{}", tests.len());
    // A failure's message goes where the runner collects diagnostics.
    panic::set_hook(Box::new(|info| {
        println!("# {}", info.to_string().replace('\n', " "));
    }));
    let mut failed = false;
    for (number, (name, test)) in tests.iter().enumerate() {
        let passed = passes(*test);
        failed |= !passed;
        let verdict = if passed { "ok" } else { "not ok" };
        println!("{verdict} {} rust.{name}", number + 1);
    }
    ExitCode::from(u8::from(failed))
}

fn passes(test: fn()) -> bool {
    let (done, outcome) = mpsc::channel();
    let worker = thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
        sockets::loopback_up();
        test();
        // The receiver is gone only when the time was up.
        let _ = done.send(());
    });
    match outcome.recv_timeout(LIMIT * slowness()) {
        Ok(()) => worker.join().is_ok(),
        Err(mpsc::RecvTimeoutError::Disconnected) => false,
        Err(mpsc::RecvTimeoutError::Timeout) => {
            println!("# the time limit was reached");
            false
        }
    }
}
