// SPDX-License-Identifier: GPL-2.0

//! What a run is like, all of it drawn from its seed.

use crate::support::rng::Rng;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::time::Duration;

/// One direction of the path.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Least time on the way, µs.
    pub delay: u64,
    /// Bytes for each millisecond; 0 for as many as you like.
    pub rate: u64,
    /// Bytes that may wait for the rate; what comes more is dropped.
    pub queue: u64,
    /// Segments lost, duplicated, corrupted, delayed, each of 1000.
    pub loss: u32,
    pub duplicate: u32,
    pub corrupt: u32,
    pub reorder: u32,
    /// Most that a reordered one is late, µs.
    pub jitter: u64,
    /// Segments of 1000 that begin a burst of losses, and its longest length, segments.
    pub burst: u32,
    pub burst_len: u64,
    /// A run travels as one segment, as over veth.
    pub runs: bool,
}

/// How an application ends its connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ending {
    /// Closes its sending side, reads to the end, closes.
    HalfClose,
    /// Writes everything, reads to the end, closes.
    ReadThenClose,
    /// Closes as soon as it has written everything, without reading.
    CloseEarly,
    /// Aborts after so many bytes written.
    Abort(u64),
}

/// One application.
#[derive(Clone, Copy, Debug)]
pub struct App {
    /// Bytes that it sends in all, the most at once, and the most that it reads at once.
    pub bytes: u64,
    pub write_size: u64,
    pub read_size: u64,
    /// Longest pause between writes and between reads, µs.
    pub write_pause: u64,
    pub read_pause: u64,
    pub ending: Ending,
}

/// One host.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    pub config: Config,
    /// Bytes of send buffer.
    pub send_buffer: usize,
    pub receive_buffer: u32,
    /// Cost of a received segment beside its text, bytes.
    pub overhead: u32,
    /// Stores of 1000 that fail, and arrivals of 1000 at which early text is given up.
    pub no_room: u32,
    pub renege: u32,
    /// Segments of 1000 that are followed by a forged one.
    pub attack: u32,
    pub iss: u32,
    pub ts_offset: u32,
    /// Most text bytes in a run.
    pub max_run: u32,
    /// Most records of what was sent.
    pub most_records: usize,
    /// Timers fire so much late, µs.
    pub slack: u64,
    pub app: App,
}

/// The whole.
#[derive(Clone, Copy, Debug)]
pub struct Params {
    pub seed: u64,
    /// Client, server.
    pub hosts: [Host; 2],
    /// From the client, from the server.
    pub links: [Link; 2],
    pub simultaneous_open: bool,
    /// ACKs of 1000 that a full accept queue ignores.
    pub accept_full: u32,
    /// Least path MTU less fixed headers, and what it is at the start.
    pub mss: u16,
    pub mss_at_first: u16,
    pub mss_changes_at: u64,
    /// The clock at the start, µs.
    pub start: u64,
}

impl Params {
    /// Whether both applications read to the end: then every byte must arrive, without an error.
    pub fn is_clean(&self) -> bool {
        let reads = |h: &Host| matches!(h.app.ending, Ending::HalfClose | Ending::ReadThenClose);
        self.hosts.iter().all(reads)
    }

    /// Whether the network and the hosts' memory give no reason to send anything twice.
    pub fn is_perfect(&self) -> bool {
        let good = |l: &Link| {
            let faults = [l.loss, l.duplicate, l.corrupt, l.reorder, l.burst];
            faults == [0; 5] && l.rate == 0 && l.delay < 300_000
        };
        let roomy = |h: &Host| h.no_room == 0 && h.renege == 0 && h.attack == 0;
        self.is_clean()
            && self.accept_full == 0
            && !self.simultaneous_open
            && self.links.iter().all(good)
            && self.hosts.iter().all(roomy)
    }

    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let rng = &mut rng;
        let clean = rng.chance(750);
        let mss = rng.pick(&[1460, 1460, 1400, 1448, 536, 88, 8960, 65483]);
        let link = if rng.chance(300) {
            let delay = rng.magnitude(1, 200_000);
            Link {
                delay,
                ..perfect(rng)
            }
        } else {
            poor(rng)
        };
        let links = if rng.chance(700) {
            [link; 2]
        } else {
            [link, poor(rng)]
        };
        let slow = links.iter().any(|l| l.loss > 100 || l.burst > 0);
        let most = if slow || mss < 500 { 20_000 } else { 200_000 };
        let mut hosts = [0, 1].map(|_| host(rng, clean, mss, most));
        let bytes = hosts.map(|h| h.app.bytes);
        for (host, expected) in hosts.iter_mut().zip([bytes[1], bytes[0]]) {
            // So that a run has an end: who pauses does not read byte by byte.
            host.app.read_size = host.app.read_size.max(expected / 200);
        }
        let drops = rng.chance(100);
        Self {
            seed,
            hosts,
            links,
            simultaneous_open: rng.chance(80),
            accept_full: rng.pick(&[0, 0, 0, 300]),
            mss,
            mss_at_first: if drops { mss.saturating_mul(2) } else { mss },
            mss_changes_at: rng.range(0, 1_000_000),
            start: rng.pick(&[0, 1 << 40, 4_294_967_000 * 1000]),
        }
    }
}

fn perfect(rng: &mut Rng) -> Link {
    Link {
        delay: 0,
        rate: rng.pick(&[0, 0, 100, 1250]),
        queue: 100_000,
        loss: 0,
        duplicate: 0,
        corrupt: 0,
        reorder: 0,
        jitter: 0,
        burst: 0,
        burst_len: 1,
        runs: rng.chance(300),
    }
}

fn poor(rng: &mut Rng) -> Link {
    Link {
        delay: rng.magnitude(1, 300_000),
        rate: rng.pick(&[0, 0, 100, 1250]),
        queue: rng.pick(&[8_000, 50_000, 1_000_000]),
        loss: rng.pick(&[0, 0, 10, 20, 50, 150, 300]),
        duplicate: rng.pick(&[0, 0, 10, 100, 500]),
        corrupt: rng.pick(&[0, 0, 10, 50]),
        reorder: rng.pick(&[0, 0, 10, 100, 500]),
        jitter: rng.magnitude(1, 300_000),
        burst: rng.pick(&[0, 0, 0, 10]),
        burst_len: rng.range(1, 20),
        runs: rng.chance(200),
    }
}

fn host(rng: &mut Rng, clean: bool, mss: u16, most: u64) -> Host {
    let receive_buffer = rng
        .pick(&[500, 3000, 16_000, 65_535, 1_000_000])
        .max(2 * u32::from(mss.min(9000)));
    let scaling = rng.chance(800);
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
        window_scaling: scaling,
        timestamps: rng.chance(700),
        sack: rng.chance(600),
        window_scale: rng.pick(&[0, 1, 2, 7, 14]),
        mss: rng.pick(&[mss, mss, mss.min(536)]),
        initial_window: receive_buffer.min(65_535),
        slow_start_after_idle: rng.chance(700),
        ..Config::default()
    };
    Host {
        config,
        send_buffer: rng.pick(&[2_000, 16_000, 87_380, 1_000_000]),
        receive_buffer,
        overhead: rng.pick(&[0, 0, 100, 700]),
        no_room: rng.pick(&[0, 0, 0, 20]),
        renege: rng.pick(&[0, 0, 0, 20]),
        attack: rng.pick(&[0, 0, 0, 100]),
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
        ending,
    }
}
