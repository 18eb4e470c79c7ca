// SPDX-License-Identifier: GPL-2.0

//! Lines and ends of connections, drawn by chance.

use crate::sim::link::Params as Link;
use crate::sim::loss::Loss;
use crate::sim::params::{App, Ending, Pace, Plan, Side};
use crate::support::rng::Rng;
use oxtcp_core::tcp::config::{Config, LossDetection};
use oxtcp_core::tcp::congestion::Algorithm;
use oxtcp_core::tcp::ecn::EcnConfig;
use oxtcp_core::tcp::mtu_probe::{Settings, When};
use oxtcp_core::tcp::time::Duration;

/// A line without faults but, sometimes, a rate.
pub fn perfect(rng: &mut Rng, delay: u64) -> Link {
    Link {
        runs: rng.chance(300),
        ..Link::perfect(delay, rng.pick(&[0, 0, 100, 1250]), 100_000)
    }
}

fn loss(rng: &mut Rng) -> Loss {
    match rng.range(0, 9) {
        0..=2 => Loss::None,
        3..=7 => Loss::Random(rng.pick(&[1, 10, 20, 50, 150, 300])),
        8 => Loss::Burst {
            to_bad: rng.pick(&[2, 10]),
            to_good: rng.pick(&[200, 500]),
            good: rng.pick(&[0, 0, 10]),
            bad: rng.pick(&[300, 1000]),
        },
        _ => Loss::Periodic(rng.pick(&[3, 7, 20, 100, 1000])),
    }
}

/// A line with faults of every kind.
pub fn poor(rng: &mut Rng) -> Link {
    let queue = rng.pick(&[8_000, 50_000, 1_000_000]);
    Link {
        mark_above: rng.chance(300).then_some(queue / 4),
        loss: loss(rng),
        duplicate: rng.pick(&[0, 0, 10, 100, 500]),
        corrupt: rng.pick(&[0, 0, 10, 50]),
        reorder: rng.pick(&[0, 0, 10, 100, 500]),
        jitter: rng.magnitude(1, 300_000),
        dither: rng.pick(&[0, 0, 50, 2_000]),
        runs: rng.chance(200),
        ..Link::perfect(
            rng.magnitude(1, 300_000),
            rng.pick(&[0, 0, 100, 1250]),
            queue,
        )
    }
}

/// An end whose application sends at most `most` bytes over a path of `mss`. `clean`: it reads all
/// that comes.
pub fn side(rng: &mut Rng, clean: bool, mss: u16, most: u64) -> Side {
    let receive_buffer = rng
        .pick(&[500, 3000, 16_000, 65_535, 1_000_000])
        .max(2 * u32::from(mss.min(9000)));
    let config = Config {
        // Nobody gives up: that has its own tests.
        syn_retries: 100,
        synack_retries: 100,
        retries: 200,
        orphan_retries: 200,
        keepalive: !clean,
        keepalive_time: Duration::from_secs(30),
        keepalive_interval: Duration::from_secs(5),
        keepalive_probes: 200,
        nodelay: rng.chance(300),
        cork: rng.chance(50),
        window_scaling: rng.chance(800),
        timestamps: rng.chance(700),
        sack: rng.chance(600),
        window_scale: rng.pick(&[0, 1, 2, 7, 14]),
        mss: rng.pick(&[mss, mss, mss.min(536)]),
        initial_window: receive_buffer.min(65_535),
        slow_start_after_idle: rng.chance(700),
        ecn: EcnConfig::default().with_mode(rng.pick(&[0, 1, 2, 3, 3, 4, 5])),
        congestion: rng.pick(&[Algorithm::Cubic, Algorithm::Reno, Algorithm::Bbr]),
        recovery: LossDetection::from_bits(rng.pick(&[1, 1, 1, 0, 0, 2, 4])),
        // An adopted one must outlast all that is lost.
        user_timeout_option: rng.pick(&[0, 0, 3600]),
        ..Config::default()
    };
    Side {
        config,
        send_buffer: rng.pick(&[2_000, 16_000, 87_380, 1_000_000]),
        receive_buffer,
        overhead: rng.pick(&[0, 0, 100, 700]),
        no_room: rng.pick(&[0, 0, 0, 20]),
        renege: rng.pick(&[0, 0, 0, 20]),
        refuse: rng.pick(&[0, 0, 0, 30]),
        attack: rng.pick(&[0, 0, 0, 100]),
        urgent: 0,
        iss: rng.pick(&[
            0,
            0x7fff_ff00,
            u32::MAX,
            u32::MAX - 2_000,
            u32::MAX - 60_000,
            12_345,
        ]),
        ts_offset: rng.pick(&[0, u32::MAX - 100, 0x7fff_ffff, 77]),
        max_run: rng.pick(&[1, 4_000, 16_000, 65_483]),
        most_records: rng.pick(&[1, 2, 3, 5, 20, 1024, 1024, 1024]),
        slack: rng.pick(&[0, 0, 1_000, 4_000]),
        app: app(rng, clean, most),
    }
}

fn app(rng: &mut Rng, clean: bool, most: u64) -> App {
    let bytes = if rng.chance(100) {
        0
    } else {
        rng.magnitude(1, most)
    };
    let pause = if rng.chance(500) {
        0
    } else {
        rng.magnitude(1, 2_000_000)
    };
    let least = (bytes / 200).max(1);
    let ending = match rng.range(0, 3) {
        _ if clean => rng.pick(&[Ending::HalfClose, Ending::ReadThenClose]),
        0 => Ending::HalfClose,
        1 => Ending::CloseEarly,
        2 => Ending::ReadThenClose,
        _ => Ending::Abort(rng.range(0, bytes)),
    };
    App {
        bytes,
        write_size: rng.magnitude(least, 100_000),
        read_size: rng.magnitude(least, 100_000),
        write_pause: pause,
        read_pause: if rng.chance(700) { 0 } else { pause },
        pace: Pace::Free,
        ending,
    }
}

/// Both ends of a connection.
pub fn sides(rng: &mut Rng, clean: bool, mss: u16, most: u64) -> [Side; 2] {
    let mut sides = [0, 1].map(|_| side(rng, clean, mss, most));
    if rng.chance(200) {
        converse(rng, &mut sides, most);
    }
    let bytes = sides.map(|s| s.app.bytes);
    for (side, expected) in sides.iter_mut().zip([bytes[1], bytes[0]]) {
        // So that a run has an end: who pauses does not read byte by byte.
        side.app.read_size = side.app.read_size.max(expected / 200);
    }
    sides
}

/// What a few ends do: search the path's MTU, shrink their windows, send urgent bytes.
pub fn spice(rng: &mut Rng, plan: &mut Plan) {
    for side in plan.flows.iter_mut().flat_map(|f| &mut f.sides) {
        if rng.chance(200) {
            side.config.mtu = Settings {
                when: rng.pick(&[When::BlackHole, When::Always, When::Always]),
                base_mss: rng.pick(&[512, 1024]),
                floor: 256,
                threshold: rng.pick(&[8, 100]),
                interval: rng.pick(&[1, 600]),
            };
        }
        // A unit of the window that is near the buffer would keep it closed for ever.
        let fine = side.receive_buffer >> side.config.window_scale >= 16;
        side.config.shrink_window = rng.chance(250) && fine;
        side.urgent = rng.pick(&[0, 0, 0, 0, 0, 20, 300]);
    }
}

/// Questions and answers, instead of text as it comes.
fn converse(rng: &mut Rng, sides: &mut [Side; 2], most: u64) {
    let rounds = rng.range(1, 20);
    let request = rng.magnitude(1, (most / rounds).clamp(1, 4_000));
    let response = rng.magnitude(1, (most / rounds).max(1));
    let paces = [
        Pace::Ask { request, response },
        Pace::Answer { request, response },
    ];
    for ((side, pace), size) in sides.iter_mut().zip(paces).zip([request, response]) {
        side.app.bytes = rounds * size;
        side.app.pace = pace;
        side.app.write_size = side.app.write_size.max(size / 20);
        if let Ending::Abort(after) = &mut side.app.ending {
            *after = (*after).min(side.app.bytes);
        }
    }
}
