// SPDX-License-Identifier: GPL-2.0

//! Two hosts, one line each way, one connection.

use super::draw::{perfect, poor, sides, spice};
use crate::sim::link::{MtuChange, Params as Link, MOST_CHANGES};
use crate::sim::loss::Loss;
use crate::sim::packet::HEADERS;
use crate::sim::params::{Flow, Listener, Plan, Side, Start};
use crate::support::rng::Rng;

/// Whether the network and the hosts' memory give no reason to send anything twice.
fn is_perfect(flow: &Flow, links: &[Link; 2], accept_full: u32) -> bool {
    let good = |l: &Link| {
        let faults = [l.duplicate, l.corrupt, l.reorder];
        let whole = l.loss == Loss::None && l.mtu_changes[0].is_none();
        faults == [0; 3] && whole && l.rate == 0 && l.delay < 300_000
    };
    let roomy = |s: &Side| s.no_room == 0 && s.renege == 0 && s.refuse == 0 && s.attack == 0;
    flow.is_clean()
        && accept_full == 0
        && !flow.simultaneous
        && links.iter().all(good)
        && flow.sides.iter().all(roomy)
}

/// How the path's MTU may become smaller at first: at the hosts themselves, or on the way.
enum Change {
    Local,
    OnTheWay(MtuChange),
}

fn change(rng: &mut Rng, mss: u16) -> Option<Change> {
    let at = rng.range(0, 1_000_000);
    match rng.range(0, 9) {
        0 => Some(Change::Local),
        1 => {
            let silent = rng.pick(&[0, 0, 0, 10_000_000]);
            Some(Change::OnTheWay(MtuChange {
                at,
                mtu: mss + HEADERS,
                silent_until: at + silent,
            }))
        }
        _ => None,
    }
}

/// An MTU that has become smaller may become larger again, and smaller.
fn change_again(rng: &mut Rng, plan: &mut Plan) {
    let large = plan.mss;
    let times = rng.range(0, MOST_CHANGES as u64 - 1) as usize;
    let mut next = |(at, small): (u64, u16), n: usize| {
        let later = at + rng.magnitude(1, 2_000_000);
        let mss = if n % 2 == 0 {
            large
        } else {
            rng.pick(&[small, small, small / 2 + large / 2])
        };
        (later, mss)
    };
    if let Some(&(mut at, small)) = plan.mss_changes.first() {
        for n in 0..times {
            let (later, mss) = next((at, small), n);
            plan.mss_changes.push((later, mss));
            at = later;
        }
    }
    for line in &mut plan.lines {
        let Some(first) = line.link.mtu_changes[0] else {
            continue;
        };
        let mut at = first.at;
        for n in 0..times {
            let (later, mss) = next((at, first.mtu - HEADERS), n);
            line.link.mtu_changes[n + 1] = Some(MtuChange {
                at: later,
                mtu: mss + HEADERS,
                silent_until: later + (first.silent_until - first.at),
            });
            at = later;
        }
    }
}

/// One connection over whatever network.
pub fn pair(seed: u64) -> Plan {
    let mut rng = Rng::new(seed);
    let rng = &mut rng;
    let clean = rng.chance(750);
    let mss = rng.pick(&[1460, 1460, 1400, 1448, 536, 88, 8960, 65483]);
    let mut link = if rng.chance(300) {
        let delay = rng.magnitude(1, 200_000);
        perfect(rng, delay)
    } else {
        poor(rng)
    };
    let change = change(rng, mss);
    let first = match change {
        Some(_) => mss.saturating_mul(2).min(65_483),
        None => mss,
    };
    if let Some(Change::OnTheWay(change)) = change {
        link.mtu_changes[0] = Some(change);
    }
    let links = if rng.chance(700) {
        [link; 2]
    } else {
        [link, poor(rng)]
    };
    let slow = |l: &Link| match l.loss {
        Loss::Random(chance) => chance > 100,
        Loss::Burst { .. } => true,
        Loss::Periodic(every) => every < 10,
        Loss::None => false,
    };
    let slow = links.iter().any(slow);
    let most = if slow || mss < 500 { 20_000 } else { 200_000 };
    let flow = Flow {
        hosts: [0, 1],
        sides: sides(rng, clean, first, most),
        start: Start::At(0),
        simultaneous: rng.chance(80),
    };
    let accept_full = rng.pick(&[0, 0, 0, 300]);
    let mut plan = Plan {
        seed,
        start: rng.pick(&[0, 1 << 40, 4_294_967_000 * 1000]),
        hosts: 2,
        routers: 0,
        lines: Vec::new(),
        flows: vec![flow],
        listener: Listener {
            accept_full,
            ..Listener::default()
        },
        mss: first,
        mss_changes: match change {
            Some(Change::Local) => vec![(rng.range(0, 1_000_000), mss)],
            _ => Vec::new(),
        },
        perfect: is_perfect(&flow, &links, accept_full),
    };
    plan.connect(0, 1, links[0], links[1]);
    change_again(rng, &mut plan);
    spice(rng, &mut plan);
    plan
}
