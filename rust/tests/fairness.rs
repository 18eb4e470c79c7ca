// SPDX-License-Identifier: GPL-2.0

//! How fast a connection is on a path that loses, beside what is published, and whether several
//! share a bottleneck fairly. `cargo test --test fairness -- --nocapture` shows the tables.

#[allow(
    dead_code,
    unused_imports,
    reason = "each test program uses a part of it"
)]
mod sim;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::congestion::Algorithm;
use sim::link::Params as Link;
use sim::loss::Loss;
use sim::params::{Flow, Start};
use sim::plan::{bulk, Dumbbell};
use sim::world::World;

/// Bytes of text in a full segment, with timestamps.
const MSS: f64 = 1448.0;
/// Bytes more than any run can send.
const ENDLESS: u64 = 1 << 50;
const SECOND: u64 = 1_000_000;
/// The line whose loss is varied: 100 Mbit/s, in bytes per millisecond.
const LINE: u64 = 12_500;
/// Shares of a response function that count as following it: no less than the one that knows
/// timeouts, no more than the one that does not.
const LEAST: f64 = 0.8;
const MOST: f64 = 1.4;

/// Senders of endless streams over one bottleneck, each from its start (µs) on.
fn endless(algorithm: Algorithm, bottleneck: Link, rtt: u64, starts: &[u64]) -> World {
    let config = Config {
        congestion: algorithm,
        ..Config::default()
    };
    let n = starts.len();
    let flow = |(i, start): (usize, &u64)| Flow {
        hosts: [i, n + i],
        sides: [bulk(config, ENDLESS), bulk(config, 0)],
        start: Start::At(*start),
        simultaneous: false,
    };
    let plan = Dumbbell {
        seed: 7,
        bottleneck,
        round_trips: vec![rtt; n],
        flows: starts.iter().enumerate().map(flow).collect(),
        mss: 1460,
    }
    .plan();
    World::new(plan, false)
}

/// What each of `n` flows delivers in `us` from now on, bytes per second.
fn rates(world: &mut World, n: usize, us: u64) -> Vec<f64> {
    let read = |w: &World| (0..n).map(|f| w.read_by(f, 1)).collect::<Vec<_>>();
    let before = read(world);
    world.run_for(us);
    let after = read(world);
    let per_second = |(b, a): (&u64, &u64)| (a - b) as f64 * SECOND as f64 / us as f64;
    before.iter().zip(&after).map(per_second).collect()
}

/// Jain's index: 1 when all have the same, 1/n when one has all.
fn jain(rates: &[f64]) -> f64 {
    let sum: f64 = rates.iter().sum();
    let squares: f64 = rates.iter().map(|r| r * r).sum();
    sum * sum / (rates.len() as f64 * squares)
}

fn mbits(bytes_per_second: f64) -> f64 {
    bytes_per_second * 8.0 / 1e6
}

/// The response function of Reno (Mathis and others, 1997), bytes per second.
fn mathis(p: f64, rtt: f64) -> f64 {
    1.22 * MSS / (rtt * p.sqrt())
}

/// The same with timeouts (Padhye and others, 1998): at high loss those decide.
fn padhye(p: f64, rtt: f64, rto: f64) -> f64 {
    let fast = rtt * (2.0 * p / 3.0).sqrt();
    let timeouts = rto * (3.0 * (3.0 * p / 8.0).sqrt()).min(1.0) * p * (1.0 + 32.0 * p * p);
    MSS / (fast + timeouts)
}

/// A line that loses at random.
fn lossy(rtt: u64, permille: u32) -> Link {
    Link {
        loss: Loss::Random(permille),
        ..Link::perfect(rtt / 2, LINE, 400_000)
    }
}

/// Goodput in every cell of the table, bytes per second, with loss and round-trip time (s).
fn table(algorithm: Algorithm) -> Vec<(f64, f64, f64)> {
    let mut cells = Vec::new();
    for rtt in [1_000, 20_000, 100_000] {
        for permille in [1, 10, 30, 50] {
            let mut world = endless(algorithm, lossy(rtt, permille), rtt, &[0]);
            world.run_for(3 * SECOND);
            let time = if rtt == 1_000 { 10 } else { 60 };
            let rate = rates(&mut world, 1, time * SECOND)[0];
            cells.push((f64::from(permille) / 1000.0, rtt as f64 / 1e6, rate));
        }
    }
    cells
}

/// The response function of CUBIC (RFC 9438 5.1), bytes per second; where Reno is faster CUBIC
/// follows that (4.3).
fn cubic(p: f64, rtt: f64) -> f64 {
    (MSS / rtt * 1.054 * (rtt / p).powf(0.75)).max(mathis(p, rtt))
}

fn check_table(algorithm: Algorithm, response: fn(f64, f64) -> f64) {
    println!("{}", algorithm.name());
    println!("loss %   RTT ms   Mbit/s  response    Padhye");
    for (p, rtt, rate) in table(algorithm) {
        let (response, padhye) = (response(p, rtt), padhye(p, rtt, 0.2 + rtt));
        let line = LINE as f64 * 1000.0;
        println!(
            "{:6.1} {:8.0} {:8.2} {:9.2} {:9.2}",
            p * 100.0,
            rtt * 1000.0,
            mbits(rate),
            mbits(response),
            mbits(padhye)
        );
        let least = LEAST * padhye.min(line);
        assert!(rate >= least, "{rate} bytes/s, {least} are the least");
        let most = MOST * response.min(line);
        assert!(rate <= most, "{rate} bytes/s, {most} are fair");
    }
}

#[test]
fn reno_is_as_fast_as_its_response_function_says() {
    check_table(Algorithm::Reno, mathis);
}

#[test]
fn cubic_is_as_fast_as_its_response_function_says() {
    check_table(Algorithm::Cubic, cubic);
}

/// One loss in so many segments, on a path long enough that CUBIC is not Reno any more.
#[test]
fn cubic_is_faster_than_reno_on_long_paths() {
    let (every, rtt) = (10_000, 100_000);
    let line = Link {
        loss: Loss::Periodic(every),
        ..Link::perfect(rtt / 2, LINE, 4_000_000)
    };
    let mut world = endless(Algorithm::Cubic, line, rtt, &[0]);
    world.run_for(60 * SECOND);
    let rate = rates(&mut world, 1, 240 * SECOND)[0];
    let (p, rtt) = (1.0 / every as f64, rtt as f64 / 1e6);
    let (cubic, reno) = (cubic(p, rtt), mathis(p, rtt));
    println!(
        "cubic: {:.1} Mbit/s, {:.1} by RFC 9438, Reno {:.1}",
        mbits(rate),
        mbits(cubic),
        mbits(reno)
    );
    assert!(rate > LEAST * cubic && rate < MOST * cubic && rate > reno);
}

fn share(algorithm: Algorithm, bottleneck: Link, rtt: u64, starts: &[u64]) {
    let mut world = endless(algorithm, bottleneck, rtt, starts);
    world.run_for(60 * SECOND);
    let rates = rates(&mut world, starts.len(), 120 * SECOND);
    let used = rates.iter().sum::<f64>() / (bottleneck.rate as f64 * 1000.0);
    let index = jain(&rates);
    println!(
        "{} flows of {}: Jain {index:.3}, {:.1} % of the line, {:.2?} Mbit/s",
        starts.len(),
        algorithm.name(),
        used * 100.0,
        rates.iter().map(|r| mbits(*r)).collect::<Vec<_>>()
    );
    assert!(index >= 0.95, "Jain's index is {index}");
    assert!(used >= 0.85, "{used} of the line is used");
}

#[test]
fn two_flows_of_reno_converge() {
    let line = Link::perfect(10_000, 1_250, 60_000);
    share(Algorithm::Reno, line, 40_000, &[0, 10 * SECOND]);
}

#[test]
fn eight_flows_of_reno_converge() {
    let line = Link::perfect(10_000, 2_500, 120_000);
    let starts: Vec<_> = (0..8).map(|i| i * SECOND).collect();
    share(Algorithm::Reno, line, 40_000, &starts);
}

#[test]
fn two_flows_of_cubic_converge() {
    let line = Link::perfect(10_000, 1_250, 60_000);
    share(Algorithm::Cubic, line, 40_000, &[0, 10 * SECOND]);
}

#[test]
fn eight_flows_of_cubic_converge() {
    let line = Link::perfect(10_000, 2_500, 120_000);
    let starts: Vec<_> = (0..8).map(|i| i * SECOND).collect();
    share(Algorithm::Cubic, line, 40_000, &starts);
}
