// SPDX-License-Identifier: GPL-2.0

//! What the users do, and how much may go wrong meanwhile.

use crate::support::endpoint::End;
use crate::support::pair::Pair;
use crate::world::Bounds;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::state::State;

/// A call of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Connect,
    Send(usize),
    Shutdown,
    Close,
    Abort,
    /// Lets so many milliseconds pass, once the connection is over.
    Wait(u64),
}

/// A scenario: two users with their scripts. Who does not connect listens.
#[derive(Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    pub scripts: [&'static [Call]; 2],
    pub bounds: Bounds,
    /// Where `bounds` have no timer: explored also with one that fires early instead.
    pub timer_too: bool,
    /// Receive buffer of both, bytes.
    pub room: u32,
    /// Reading is an event of its own, a byte at a time; else users read at once.
    pub reads_late: bool,
    pub sack: bool,
    pub timestamps: bool,
    pub rfc1337: bool,
    /// How far the ISS of a connection is from that of the one before, at each end.
    ///
    /// A listener's is at least the numbers that a connection uses there, as the clock of RFC 9293
    /// 3.4.1 has it. Nothing else could keep apart two connections between the same ends: an old SYN
    /// finds the listener after LAST-ACK, while its peer is in TIME-WAIT; the SYN-ACK is old to
    /// TIME-WAIT, so is acknowledged (RFC 9293 3.10.7.4, first), and by the newest timestamp: no PAWS
    /// (RFC 7323 5.3) is against it. If the SYN-ACK had the number of the last FIN, this would complete
    /// a handshake that nobody began. Else a RST answers it, which TIME-WAIT may ignore (RFC 1337), and
    /// the listener tries until it gives up.
    ///
    /// Who connects may take any: a SYN with a newer timestamp ends TIME-WAIT (RFC 6191 2).
    pub iss_steps: [u32; 2],
    /// What has to be reachable, else the scenario shows nothing.
    pub goal: fn(&Pair) -> bool,
}

impl Scenario {
    pub fn config(&self) -> Config {
        Config {
            sack: self.sack,
            timestamps: self.timestamps,
            window_scaling: false,
            nodelay: true,
            mss: 1000,
            initial_window: self.room,
            slow_start_after_idle: false,
            rfc1337: self.rfc1337,
            ..Config::default()
        }
    }

    /// The same, where instead of anything else a timer fires early.
    pub fn with_timer(mut self) -> Self {
        self.bounds = bounds(0, 1, 0);
        self
    }

    /// With more of everything that can go wrong.
    pub fn widened(mut self, by: u8) -> Self {
        self.bounds.failures += by;
        self.bounds.timers += by;
        self
    }
}

const fn bounds(failures: u8, timers: u8, forgeries: u8) -> Bounds {
    Bounds {
        failures,
        timers,
        forgeries,
    }
}

const PLAIN: Scenario = Scenario {
    name: "",
    scripts: [&[], &[]],
    bounds: bounds(0, 0, 0),
    timer_too: true,
    room: 4,
    reads_late: false,
    sack: false,
    timestamps: false,
    rfc1337: false,
    iss_steps: [1 << 16; 2],
    goal: |_| true,
};

fn both(pair: &Pair, state: State) -> bool {
    pair.states() == [state, state]
}

fn any(pair: &Pair, state: State) -> bool {
    pair.states().contains(&state)
}

/// The second connection of the first end is open, with what its peer had in TIME-WAIT.
fn again_beside_time_wait(pair: &Pair) -> bool {
    pair.ends[1].reopened && pair.ends.iter().all(|end| end.opened)
}

use Call::{Abort, Close, Connect, Send, Shutdown, Wait};

/// All scenarios.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "passive open, text both ways, either ends first",
        scripts: [&[Connect, Send(2), Shutdown], &[Shutdown]],
        bounds: bounds(1, 0, 0),
        goal: |pair| pair.ends.iter().all(|end| end.waited),
        ..PLAIN
    },
    Scenario {
        name: "simultaneous open",
        scripts: [&[Connect, Send(1)], &[Connect]],
        bounds: bounds(1, 0, 0),
        goal: |pair| both(pair, State::SynReceived),
        ..PLAIN
    },
    Scenario {
        name: "simultaneous open and old duplicates",
        scripts: [&[Connect, Shutdown], &[Connect, Shutdown]],
        bounds: bounds(1, 0, 0),
        goal: |pair| both(pair, State::TimeWait),
        ..PLAIN
    },
    Scenario {
        name: "simultaneous close",
        scripts: [&[Connect, Shutdown], &[Shutdown]],
        bounds: bounds(1, 1, 0),
        timer_too: false,
        goal: |pair| both(pair, State::Closing),
        ..PLAIN
    },
    Scenario {
        name: "half close",
        scripts: [&[Connect, Shutdown], &[Send(2), Shutdown]],
        bounds: bounds(1, 0, 0),
        goal: |pair| any(pair, State::TimeWait) && any(pair, State::LastAck),
        ..PLAIN
    },
    Scenario {
        name: "close while opening",
        scripts: [&[Connect, Close], &[Connect, Close]],
        bounds: bounds(1, 0, 0),
        goal: |pair| any(pair, State::SynReceived) && any(pair, State::Closed),
        ..PLAIN
    },
    Scenario {
        name: "one end aborts",
        scripts: [&[Connect, Send(1), Abort], &[Send(1), Close]],
        bounds: bounds(1, 0, 0),
        goal: |pair| {
            pair.ends
                .iter()
                .any(|end| matches!(end.ended, Some(End::Error(_))))
        },
        ..PLAIN
    },
    Scenario {
        name: "forged segments",
        scripts: [&[Connect, Send(1), Shutdown], &[Shutdown]],
        bounds: bounds(0, 0, 1),
        goal: |pair| any(pair, State::TimeWait),
        ..PLAIN
    },
    Scenario {
        name: "forged segments, and TIME-WAIT that no RST ends",
        scripts: [&[Connect, Shutdown], &[Shutdown]],
        bounds: bounds(0, 0, 1),
        rfc1337: true,
        goal: |pair| any(pair, State::TimeWait),
        ..PLAIN
    },
    Scenario {
        name: "old duplicates meet the next connection",
        scripts: [&[Connect, Abort, Connect, Shutdown], &[Shutdown]],
        bounds: bounds(1, 0, 0),
        goal: |pair| any(pair, State::LastAck),
        ..PLAIN
    },
    Scenario {
        name: "a window of two bytes and a slow reader",
        scripts: [&[Connect, Send(3)], &[]],
        bounds: bounds(1, 1, 0),
        timer_too: false,
        room: 2,
        reads_late: true,
        goal: |pair| pair.ends[1].got.len() == 3,
        ..PLAIN
    },
    Scenario {
        name: "selective acknowledgments",
        scripts: [&[Connect, Send(1), Send(1)], &[Shutdown]],
        bounds: bounds(1, 0, 0),
        sack: true,
        goal: |pair| pair.ends[1].rx.early() > 0,
        ..PLAIN
    },
    Scenario {
        name: "timestamps",
        scripts: [&[Connect, Send(1), Shutdown], &[Shutdown]],
        bounds: bounds(1, 0, 0),
        timestamps: true,
        goal: |pair| any(pair, State::TimeWait),
        ..PLAIN
    },
    // Its SYN has the first number that TIME-WAIT lets pass (RFC 9293 3.6.1, RFC 1122 4.2.2.13).
    Scenario {
        name: "a new connection from TIME-WAIT, by its number",
        scripts: [&[Connect, Shutdown, Connect], &[Shutdown]],
        bounds: bounds(1, 0, 0),
        timer_too: false,
        iss_steps: [3; 2],
        goal: again_beside_time_wait,
        ..PLAIN
    },
    // Its SYN has a number that the last connection used (RFC 6191 2), and so is text of that one in
    // its window: PAWS, or an acknowledgment that is too old (RFC 5961 5.2), keeps it out. The listener's
    // next number is the first that it has not used.
    Scenario {
        name: "a new connection from TIME-WAIT, by its timestamp",
        scripts: [
            &[Connect, Send(2), Shutdown, Wait(1000), Connect],
            &[Shutdown],
        ],
        bounds: bounds(1, 0, 0),
        timer_too: false,
        timestamps: true,
        rfc1337: true,
        iss_steps: [1, 2],
        goal: again_beside_time_wait,
        ..PLAIN
    },
];
