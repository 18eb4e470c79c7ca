// SPDX-License-Identifier: GPL-2.0

//! Two hosts and a poor network between them: the byte stream is exact, and both ends reach CLOSED.
//!
//! `OXTCP_SIM_CONNECTIONS` is how many connections are simulated, `OXTCP_SIM_SEED` the one seed to
//! run, with a trace of at most `OXTCP_SIM_TRACE` lines.

mod sim;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use sim::params::Params;
use sim::world::{Outcome, World};
use std::panic::{catch_unwind, AssertUnwindSafe};

/// Connections that `cargo test` simulates.
const CONNECTIONS: u64 = 30_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Runs one seed; a failure is told with the trace of a second, identical run.
fn run(seed: u64) -> Result<Outcome, String> {
    let params = Params::new(seed);
    let first = catch_unwind(AssertUnwindSafe(|| World::new(params, false).run()));
    first.map_err(|_| {
        let mut world = World::new(params, true);
        let second = catch_unwind(AssertUnwindSafe(|| world.run()));
        let same = if second.is_err() {
            ""
        } else {
            "NOT REPRODUCED\n"
        };
        format!("{}{params:?}\n{same}seed {seed}", world.report())
    })
}

#[test]
fn streams_are_exact_and_both_ends_close() {
    if let Some(seed) = number("OXTCP_SIM_SEED") {
        match run(seed) {
            Ok(outcome) => println!("{outcome:#?}"),
            Err(report) => panic!("{report}"),
        }
        return;
    }
    let count = number("OXTCP_SIM_CONNECTIONS").unwrap_or(CONNECTIONS);
    let mut sum = Outcome::default();
    let mut failed = Vec::new();
    for seed in 0..count {
        match run(seed) {
            Ok(one) => {
                sum.segments += one.segments;
                sum.retransmissions += one.retransmissions;
                sum.fast_retransmits += one.fast_retransmits;
                sum.bytes += one.bytes;
                sum.took += one.took;
            }
            Err(report) => {
                if failed.is_empty() {
                    eprintln!("{report}");
                }
                failed.push(seed);
            }
        }
        if failed.len() >= 20 {
            break;
        }
    }
    println!("{count} connections: {sum:?}");
    assert!(failed.is_empty(), "seeds that fail: {failed:?}");
}
