// SPDX-License-Identifier: GPL-2.0

//! One host asks many at once, and all answer at once, into a shallow queue.

use super::draw::side;
use crate::sim::link::Params as Link;
use crate::sim::params::{Ending, Flow, Listener, Pace, Plan, Start};
use crate::support::rng::Rng;

/// Most servers.
const SERVERS: u64 = 40;

/// The client is host 0.
pub fn incast(seed: u64) -> Plan {
    let mut rng = Rng::new(seed ^ 0x1ca5);
    let rng = &mut rng;
    let servers = rng.range(4, SERVERS) as usize;
    let mss = 1460;
    let router = servers + 1;
    let mut plan = Plan {
        seed,
        start: 0,
        hosts: servers + 1,
        routers: 1,
        lines: Vec::new(),
        flows: Vec::new(),
        listener: Listener::default(),
        mss,
        mss_changes: Vec::new(),
        perfect: false,
    };
    let rate = rng.pick(&[1_250, 12_500, 125_000]);
    let delay = rng.pick(&[20, 100, 1_000]);
    let queue = rng.pick(&[16_000, 64_000, 128_000]);
    let port = Link {
        mark_above: rng.chance(300).then_some(queue / 4),
        ..Link::perfect(delay, rate, queue)
    };
    plan.connect(0, router, Link::perfect(delay, rate, 1_000_000), port);
    let request = rng.range(1, 200);
    let response = rng.magnitude(1_000, 64_000);
    let rounds = rng.range(1, 4);
    for server in 1..=servers {
        let line = Link {
            dither: rng.pick(&[0, 0, 50]),
            ..Link::perfect(delay, rate, 1_000_000)
        };
        plan.connect(server, router, line, line);
        let paces = [
            Pace::Ask { request, response },
            Pace::Answer { request, response },
        ];
        let ends = [Ending::HalfClose, Ending::ReadThenClose];
        let mut sides = [0, 1].map(|_| side(rng, true, mss, 1));
        for i in 0..2 {
            let size = [request, response][i];
            let app = &mut sides[i].app;
            app.bytes = rounds * size;
            app.pace = paces[i];
            app.ending = ends[i];
            app.write_size = size;
            app.read_size = 64_000;
            app.write_pause = 0;
            app.read_pause = 0;
        }
        plan.flows.push(Flow {
            hosts: [0, server],
            sides,
            start: Start::At(0),
            simultaneous: false,
        });
    }
    plan
}
