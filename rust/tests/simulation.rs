// SPDX-License-Identifier: GPL-2.0

//! Hosts and poor networks between them: every byte stream is exact, and both ends of every
//! connection reach CLOSED.
//!
//! `OXTCP_SIM_CONNECTIONS` is how many connections are simulated in all, `OXTCP_SIM_SEED` the one
//! seed to run (of the test that is named), with a trace of at most `OXTCP_SIM_TRACE` lines,
//! `OXTCP_SIM_FIRST` the seed to begin with, that a long run may go on where another ended. A seed
//! that fails leaves a capture of each of its hosts in `OXTCP_SIM_PCAP`, else where the tests are
//! built.

#[allow(
    dead_code,
    unused_imports,
    reason = "each test program uses a part of it"
)]
mod sim;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use sim::params::Plan;
use sim::plan;
use sim::verdict::Outcome;
use sim::world::World;
use std::panic::{catch_unwind, AssertUnwindSafe};

/// Connections that `cargo test` simulates.
const CONNECTIONS: u64 = 120_000;
/// Failures after which a test gives up.
const MOST_FAILURES: usize = 20;
/// Connections of a shape after which a long run says how far it is.
const REPORT: u64 = 100_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// A shape of network: its name, and the plan of a seed.
struct Shape {
    name: &'static str,
    plan: fn(u64) -> Plan,
}

impl Shape {
    /// Runs one seed; a failure is told with the trace and the captures of a second, identical run.
    fn run(&self, seed: u64) -> Result<Outcome, String> {
        let run = || World::new((self.plan)(seed), false).run();
        catch_unwind(run).map_err(|_| self.explain(seed))
    }

    fn explain(&self, seed: u64) -> String {
        let plan = (self.plan)(seed);
        let mut world = World::new(plan.clone(), true);
        let again = catch_unwind(AssertUnwindSafe(|| world.run()));
        let mut text = world.report();
        if plan.flows.len() == 1 {
            text += &format!("{plan:#?}\n");
        }
        if again.is_ok() {
            text += "NOT REPRODUCED\n";
        }
        for (host, capture) in world.captures() {
            let name = format!("{}-{seed}-host{host}", self.name);
            text += &match capture.save(&name) {
                Ok(path) => format!("capture: {}\n", path.display()),
                Err(error) => format!("no capture: {error}\n"),
            };
        }
        format!("{text}{} seed {seed}", self.name)
    }

    /// Runs seeds until there were `share` of 1000 of all connections.
    fn run_all(&self, share: u64) {
        if let Some(seed) = number("OXTCP_SIM_SEED") {
            match self.run(seed) {
                Ok(outcome) => println!("{outcome:#?}"),
                Err(report) => panic!("{report}"),
            }
            return;
        }
        let count = number("OXTCP_SIM_CONNECTIONS").unwrap_or(CONNECTIONS) * share / 1000;
        let mut sum = Outcome::default();
        let mut failed = Vec::new();
        for seed in number("OXTCP_SIM_FIRST").unwrap_or(0).. {
            let before = sum.connections / REPORT;
            match self.run(seed) {
                Ok(one) => sum += one,
                Err(report) => {
                    if failed.is_empty() {
                        eprintln!("{report}");
                    }
                    failed.push(seed);
                }
            }
            if sum.connections / REPORT > before {
                eprintln!("{}: {} connections", self.name, sum.connections);
            }
            if sum.connections >= count || failed.len() >= MOST_FAILURES {
                break;
            }
        }
        println!("{}: {sum:?}", self.name);
        assert!(failed.is_empty(), "seeds that fail: {failed:?}");
    }
}

const PAIR: Shape = Shape {
    name: "pair",
    plan: plan::pair,
};
const CLIENTS: Shape = Shape {
    name: "clients",
    plan: plan::clients,
};
const DUMBBELL: Shape = Shape {
    name: "dumbbell",
    plan: plan::dumbbell,
};
const INCAST: Shape = Shape {
    name: "incast",
    plan: plan::incast,
};

#[test]
fn streams_are_exact_and_both_ends_close() {
    PAIR.run_all(500);
}

#[test]
fn clients_that_come_and_go_are_all_served() {
    CLIENTS.run_all(350);
}

#[test]
fn dumbbell_flows_share_a_bottleneck_and_all_end() {
    DUMBBELL.run_all(75);
}

#[test]
fn incast_answers_all_arrive() {
    INCAST.run_all(75);
}
