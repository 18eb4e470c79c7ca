// SPDX-License-Identifier: GPL-2.0

//! One server and many clients that come and go: most connections are short, ports are used again,
//! and the listener's queues overflow.

use super::draw::{perfect, poor, sides, spice};
use crate::sim::link::Params as Link;
use crate::sim::params::{Flow, Listener, Plan, Start};
use crate::support::rng::Rng;

/// Most clients, and most connections that one makes in turn.
const CLIENTS: u64 = 24;
const IN_TURN: u64 = 6;

/// A server, a router before it, and clients around that.
pub fn clients(seed: u64) -> Plan {
    let mut rng = Rng::new(seed ^ 0xc11e);
    let rng = &mut rng;
    let clients = rng.range(2, CLIENTS) as usize;
    let mss = rng.pick(&[1460, 1460, 1400, 536]);
    let router = clients + 1;
    let mut plan = Plan {
        seed,
        start: 0,
        hosts: clients + 1,
        routers: 1,
        lines: Vec::new(),
        flows: Vec::new(),
        listener: Listener {
            backlog: rng.pick(&[1, 4, 128]),
            syn_queue: rng.pick(&[2, 16, 128]),
            accept_pause: rng.pick(&[0, 1_000, 50_000]),
            accept_full: 0,
        },
        mss,
        mss_changes: Vec::new(),
        perfect: false,
    };
    let server_line = Link {
        dither: 20,
        ..Link::perfect(500, rng.pick(&[0, 1250, 12_500]), 60_000)
    };
    plan.connect(0, router, server_line, server_line);
    for client in 1..=clients {
        let line = if rng.chance(500) {
            poor(rng)
        } else {
            let delay = rng.magnitude(100, 100_000);
            perfect(rng, delay)
        };
        plan.connect(client, router, line, line);
        let spread = rng.magnitude(1, 5_000_000);
        let mut before = None;
        for _ in 0..rng.range(1, IN_TURN) {
            let clean = rng.chance(750);
            let pause = rng.magnitude(1, 3_000_000);
            let start = match before {
                Some(flow) if rng.chance(800) => Start::After { flow, pause },
                _ => Start::At(rng.range(0, spread)),
            };
            before = Some(plan.flows.len());
            let most = rng.pick(&[500, 5_000, 20_000]);
            plan.flows.push(Flow {
                hosts: [client, 0],
                sides: sides(rng, clean, mss, most),
                start,
                simultaneous: false,
            });
        }
    }
    spice(rng, &mut plan);
    plan
}
