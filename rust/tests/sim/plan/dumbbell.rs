// SPDX-License-Identifier: GPL-2.0

//! Senders on the left, receivers on the right, one bottleneck between two routers.

use super::draw::{sides, spice};
use crate::sim::link::Params as Link;
use crate::sim::loss::Loss;
use crate::sim::params::{App, Ending, Flow, Listener, Pace, Plan, Side, Start};
use crate::support::rng::Rng;
use oxtcp_core::tcp::config::Config;

/// A dumbbell; the senders are hosts 0 to n - 1, their receivers follow in the same order.
pub struct Dumbbell {
    pub seed: u64,
    /// The line between the routers, and round-trip times of the paths, µs.
    pub bottleneck: Link,
    pub round_trips: Vec<u64>,
    pub flows: Vec<Flow>,
    pub mss: u16,
}

impl Dumbbell {
    pub fn plan(self) -> Plan {
        let n = self.round_trips.len();
        let (left, right) = (2 * n, 2 * n + 1);
        let mut plan = Plan {
            seed: self.seed,
            start: 0,
            hosts: 2 * n,
            routers: 2,
            lines: Vec::new(),
            flows: self.flows,
            listener: Listener::default(),
            mss: self.mss,
            mss_changes: Vec::new(),
            perfect: false,
        };
        let back = Link {
            loss: Loss::None,
            ..self.bottleneck
        };
        plan.connect(left, right, self.bottleneck, back);
        for (i, rtt) in self.round_trips.iter().enumerate() {
            let rest = (rtt / 2).saturating_sub(self.bottleneck.delay) / 2;
            // Ten times the bottleneck's rate, and as irregular as a host is.
            let rate = self.bottleneck.rate * 10;
            let access = Link {
                dither: 100,
                ..Link::perfect(rest, rate, 10_000_000)
            };
            plan.connect(i, left, access, access);
            plan.connect(n + i, right, access, access);
        }
        plan
    }
}

/// An end that sends `bytes` as fast as it goes, or reads as fast as they come.
pub fn bulk(config: Config, bytes: u64) -> Side {
    Side {
        config: Config {
            window_scale: 10,
            ..config
        },
        send_buffer: 8_000_000,
        receive_buffer: 16_000_000,
        overhead: 0,
        no_room: 0,
        renege: 0,
        refuse: 0,
        attack: 0,
        urgent: 0,
        iss: 1,
        ts_offset: 0,
        max_run: 65_160,
        most_records: 1024,
        slack: 0,
        app: App {
            bytes,
            write_size: 256_000,
            read_size: 1_000_000,
            write_pause: 0,
            read_pause: 0,
            pace: Pace::Free,
            ending: Ending::ReadThenClose,
        },
    }
}

/// Connections of every kind that share a bottleneck.
pub fn dumbbell(seed: u64) -> Plan {
    let mut rng = Rng::new(seed ^ 0xd0bb);
    let rng = &mut rng;
    let n = rng.range(2, 10) as usize;
    let mss = rng.pick(&[1460, 1460, 536]);
    let queue = rng.pick(&[15_000, 60_000, 250_000]);
    let bottleneck = Link {
        mark_above: rng.chance(300).then_some(queue / 3),
        loss: rng.pick(&[
            Loss::None,
            Loss::None,
            Loss::Random(10),
            Loss::Periodic(50),
            Loss::Burst {
                to_bad: 5,
                to_good: 200,
                good: 0,
                bad: 500,
            },
        ]),
        reorder: rng.pick(&[0, 0, 20]),
        jitter: 5_000,
        ..Link::perfect(rng.magnitude(100, 50_000), rng.pick(&[125, 1250]), queue)
    };
    let round_trips = (0..n).map(|_| rng.magnitude(500, 300_000)).collect();
    let flows = (0..n).map(|i| Flow {
        hosts: [i, n + i],
        sides: sides(rng, true, mss, 100_000),
        start: Start::At(rng.range(0, 1_000_000)),
        simultaneous: false,
    });
    let flows = flows.collect();
    let mut plan = Dumbbell {
        seed,
        bottleneck,
        round_trips,
        flows,
        mss,
    }
    .plan();
    spice(rng, &mut plan);
    plan
}
