// SPDX-License-Identifier: GPL-2.0

//! Every scenario, exhaustively within its bounds. `OXTCP_MODEL_BOUND=N` lets the network lose and
//! repeat, and timers fire, N times more.

use oxtcp_model::{Scenario, World, SCENARIOS};
use stateright::{Checker, Model};
use std::time::Instant;

fn check(index: usize) {
    let more = std::env::var("OXTCP_MODEL_BOUND").map_or(0, |n| n.parse().expect("a number"));
    let scenario = SCENARIOS[index];
    explore(scenario.widened(more));
    if scenario.timer_too {
        explore(scenario.with_timer().widened(more));
    }
}

fn explore(scenario: Scenario) {
    let start = Instant::now();
    let checker = scenario.checker().spawn_bfs().join();
    println!(
        "{}: {} states, {} transitions, {} deep, {} ms; {:?}",
        scenario.name,
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        start.elapsed().as_millis(),
        scenario.bounds,
    );
    for (name, path) in checker.discoveries() {
        let held = checker.discovery_classification(name).to_string() == "example";
        if !held {
            let fault = World::fault(path.last_state());
            for (state, action) in path.into_vec() {
                println!("{}\n    {action:?}", state.line());
            }
            panic!("{}: {name}: {fault:?}", scenario.name);
        }
    }
    assert!(
        checker.discoveries().len() == 1,
        "the scenario never comes to what it is for"
    );
    assert!(checker.is_done());
}

macro_rules! scenarios {
    ($($name:ident $index:literal)*) => {
        $(#[test] fn $name() { check($index); })*

        #[test]
        fn all_scenarios_are_checked() {
            assert_eq!(SCENARIOS.len(), [$($index),*].len());
        }
    };
}

scenarios! {
    passive_open_and_text_both_ways 0
    simultaneous_open 1
    simultaneous_open_and_old_duplicates 2
    simultaneous_close 3
    half_close 4
    close_while_opening 5
    one_end_aborts 6
    forged_segments 7
    forged_segments_and_time_wait_that_no_rst_ends 8
    old_duplicates_meet_the_next_connection 9
    a_window_of_two_bytes_and_a_slow_reader 10
    selective_acknowledgments 11
    timestamps 12
    a_new_connection_by_its_number 13
    a_new_connection_by_its_timestamp 14
}
