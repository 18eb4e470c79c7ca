// SPDX-License-Identifier: GPL-2.0
//! Two network namespaces joined by a link.

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{bail, Context, Result};
use nix::sched::{setns, CloneFlags};

use crate::diagram::Side;
use crate::netns::NAMESPACES;

/// One way's delay of the link: enough that a state between two segments is seen, little enough
/// that no retransmission timer (200 ms at least) fires.
const DELAY_MS: u32 = 40;
/// Segments that may wait for a processor at the end of the link. Linux's own limit drops some when
/// the delay lets many go at once.
const BACKLOG: &str = "100000";
const BACKLOG_LIMIT: &str = "/proc/sys/net/core/netdev_max_backlog";

/// The namespaces `client` and `server`. They go when this is dropped.
pub struct Network {
    client: Namespace,
    server: Namespace,
    _backlog: BacklogLimit,
}

/// An end's place on the link.
pub trait Place {
    /// Its address.
    fn address(self) -> Ipv4Addr;
}

impl Place for Side {
    fn address(self) -> Ipv4Addr {
        match self {
            Side::Client => Ipv4Addr::new(10, 0, 0, 1),
            Side::Server => Ipv4Addr::new(10, 0, 0, 2),
        }
    }
}

/// The limit that was there, set again when this is dropped.
struct BacklogLimit(Option<String>);

/// A network namespace that `ip netns` knows too.
pub struct Namespace {
    name: &'static str,
    file: File,
}

impl Network {
    /// Makes both and joins them. Segmentation offload is off, so that a segment seen is one that
    /// would be on a wire. The ends know each other's hardware address: no ARP is needed.
    pub fn set_up() -> Result<Network> {
        let client = Namespace::add(Side::Client)?;
        let server = Namespace::add(Side::Server)?;
        let network = Network {
            client,
            server,
            _backlog: BacklogLimit::raise(),
        };
        run(
            "ip -n client link add eth0 address 02:00:00:00:00:01 type veth \
             peer name eth0 address 02:00:00:00:00:02 netns server",
        )?;
        for side in [Side::Client, Side::Server] {
            let (name, address, other) = (side.name(), side.address(), side.other().address());
            let neighbour = other.octets()[3];
            run(&format!("ip -n {name} addr add {address}/24 dev eth0"))?;
            run(&format!("ip -n {name} link set lo up"))?;
            run(&format!("ip -n {name} link set eth0 up"))?;
            run(&format!(
                "ip -n {name} neigh replace {other} lladdr 02:00:00:00:00:0{neighbour} \
                 dev eth0 nud permanent"
            ))?;
            run(&format!(
                "ip netns exec {name} ethtool -K eth0 tso off gso off gro off"
            ))?;
            run(&format!(
                "tc -n {name} qdisc add dev eth0 root {}",
                netem(DELAY_MS)
            ))?;
        }
        Ok(network)
    }

    /// Takes the link's delay away, so that data moves at the speed of the ends.
    pub fn be_fast(&self) -> Result<()> {
        self.set_delay(0)
    }

    /// Gives the link its delay again.
    pub fn be_slow(&self) -> Result<()> {
        self.set_delay(DELAY_MS)
    }

    fn set_delay(&self, ms: u32) -> Result<()> {
        for side in [Side::Client, Side::Server] {
            let name = side.name();
            run(&format!(
                "tc -n {name} qdisc change dev eth0 root {}",
                netem(ms)
            ))?;
        }
        Ok(())
    }

    /// One end's namespace.
    pub fn namespace(&self, side: Side) -> &Namespace {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }
}

impl Namespace {
    fn add(side: Side) -> Result<Namespace> {
        let name = side.name();
        let path = Path::new(NAMESPACES).join(name);
        if path.exists() {
            bail!("there is already a network namespace {name}: remove it (ip netns del {name})");
        }
        run(&format!("ip netns add {name}"))?;
        let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Namespace { name, file })
    }

    /// Runs `work` in the namespace. A socket that it makes stays in the namespace.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(&self.file, CloneFlags::CLONE_NEWNET)
                    .with_context(|| format!("cannot enter namespace {}", self.name))?;
                work()
            });
            inside.join().expect("the work does not panic")
        })
    }
}

impl BacklogLimit {
    /// Where it cannot be raised some segments are lost, and sent again: no harm.
    fn raise() -> BacklogLimit {
        let old = fs::read_to_string(BACKLOG_LIMIT).ok();
        BacklogLimit(old.filter(|_| fs::write(BACKLOG_LIMIT, BACKLOG).is_ok()))
    }
}

impl Drop for BacklogLimit {
    fn drop(&mut self) {
        if let Some(old) = &self.0 {
            // It could be written before.
            let _ = fs::write(BACKLOG_LIMIT, old.trim());
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(e) = run(&format!("ip netns del {}", self.name)) {
            eprintln!("oxtcp: {e:#}");
        }
    }
}

/// A queue that keeps each segment for a time.
fn netem(ms: u32) -> String {
    format!("netem delay {ms}ms limit 100000")
}

/// Runs a command of words without spaces.
fn run(command: &str) -> Result<()> {
    let mut words = command.split_whitespace();
    let program = words.next().context("no command")?;
    let output = Command::new(program)
        .args(words)
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        bail!(
            "{command}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}
