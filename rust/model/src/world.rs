// SPDX-License-Identifier: GPL-2.0

//! The model: a pair of endpoints, what may still go wrong, and what happens next.

use crate::canonical;
use crate::scenario::{Call, Scenario};
use crate::support::endpoint::{Conn, Endpoint, Packet};
use crate::support::pair::Pair;
use oxtcp_core::tcp::segment::{Flags, Segment};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::small_queue::DeviceQueue;
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::tcb::TxLimits;
use oxtcp_core::tcp::time::Duration;
use stateright::{Model, Property};
use std::hash::{Hash, Hasher};

/// How often what may happen, happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// Segments that are lost, or delivered and kept for later.
    pub failures: u8,
    pub timers: u8,
    pub forgeries: u8,
}

/// What an attacker sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgery {
    ExactRst,
    RstInWindow,
    RstBeyondWindow,
    SynInWindow,
    SynBeyondWindow,
    AckOfUnsent,
}

const FORGERIES: [Forgery; 6] = [
    Forgery::ExactRst,
    Forgery::RstInWindow,
    Forgery::RstBeyondWindow,
    Forgery::SynInWindow,
    Forgery::SynBeyondWindow,
    Forgery::AckOfUnsent,
];

/// A number that is not near those of a connection that is being opened.
const ELSEWHERE: SeqNumber = SeqNumber(0x4000_0000);

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Deliver(usize),
    Duplicate(usize),
    Lose(usize),
    Timer,
    Call(usize),
    Read(usize),
    Forge(usize, Forgery),
}

/// A state.
#[derive(Clone, Debug)]
pub struct World {
    pub pair: Pair,
    left: Bounds,
    /// Calls that each user has made.
    made: [usize; 2],
}

impl World {
    /// What tells states apart.
    fn key(&self) -> (Option<&'static str>, Bounds, [usize; 2], u64, u64) {
        let now = self.pair.now;
        let [a, b] = &self.pair.ends;
        let ends = canonical::number(&(a.variable(), b.variable()), now);
        // The bag has no order.
        let each = self.pair.net.iter().map(|one| canonical::number(one, now));
        let net = each.fold(0, u64::wrapping_add);
        (self.pair.fault(), self.left, self.made, ends, net)
    }
}

impl Hash for World {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.key().hash(hasher);
    }
}

impl PartialEq for World {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl World {
    /// The end of the story, were the network good from now on.
    fn settled(&self) -> Pair {
        let mut pair = self.pair.clone();
        pair.settle();
        pair
    }

    fn call(&mut self, scenario: &Scenario, who: usize) -> bool {
        let Some(call) = scenario.scripts[who].get(self.made[who]) else {
            return false;
        };
        let now = self.pair.now;
        let end = &mut self.pair.ends[who];
        if let Call::Wait(ms) = *call {
            let over = matches!(end.conn, Conn::Closed);
            if over {
                self.pair.pass(Duration::from_ms(ms));
                self.made[who] += 1;
            }
            return over;
        }
        let open = matches!(end.conn, Conn::Open(_));
        match *call {
            Call::Connect if matches!(end.conn, Conn::Closed) => {
                // No timestamp tells that a RST is an old one (RFC 7323 5.2).
                end.excused |= self.pair.net.iter().any(|(_, old)| old.seg.has_rst());
                end.connect(now);
            }
            Call::Send(n) if open && end.state().may_send() => {
                // Other text for each call: that of one connection is not that of the next.
                let at = 100 * who + 10 * self.made[who];
                let text: Vec<u8> = (at..at + n).map(|i| i as u8).collect();
                end.write(&text, false, now);
            }
            Call::Shutdown if open => end.shutdown(now),
            Call::Close if open => end.close(now),
            Call::Abort if open => end.abort(now),
            _ => return false,
        }
        self.made[who] += 1;
        self.pair.collect();
        true
    }

    fn forge(&mut self, who: usize, forgery: Forgery) -> bool {
        let end = &self.pair.ends[who];
        let now = self.pair.now;
        let opening = matches!(end.state(), State::Listen | State::SynSent);
        // What comes next, the window for it, and what was sent.
        let (next, wnd, sent) = match &end.conn {
            Conn::Closed => return false,
            Conn::Listen => (ELSEWHERE, 0, ELSEWHERE),
            Conn::Half(half) => {
                let out = half.syn_ack(&end.config, now);
                (out.ack, out.wnd.into(), out.seq + 1)
            }
            Conn::Open(tcb) if opening => (ELSEWHERE, 0, tcb.snd_nxt()),
            Conn::Open(tcb) => (tcb.rcv_nxt(), tcb.rcv_wnd(), tcb.snd_nxt()),
            Conn::TimeWait(tw) => {
                let out = tw.ack(now);
                (out.ack, out.wnd.into(), out.seq)
            }
        };
        let (seq, flags) = match forgery {
            // In SYN-SENT it is the acknowledgment that has to be exact (RFC 9293 3.10.7.3).
            Forgery::ExactRst if opening => (next, Flags::RST | Flags::ACK),
            Forgery::ExactRst => (next, Flags::RST),
            Forgery::RstInWindow if wnd > 1 => (next + 1, Flags::RST),
            Forgery::RstInWindow => return false,
            Forgery::RstBeyondWindow => (next + wnd + 1, Flags::RST),
            Forgery::SynInWindow => (next, Flags::SYN),
            Forgery::SynBeyondWindow => (next + wnd + 1, Flags::SYN),
            Forgery::AckOfUnsent => (next, Flags::ACK),
        };
        let exact = forgery == Forgery::ExactRst;
        let seg = Segment {
            seq,
            ack: if exact { sent } else { sent + 1 },
            flags,
            ..Segment::default()
        };
        let before = end.state();
        let listening = end.listening;
        let text = Vec::new();
        self.pair.ends[who].arrive(&Packet { seg, text }, now);
        let after = self.pair.ends[who].state();
        let gone = if listening {
            State::Listen
        } else {
            State::Closed
        };
        let syn = matches!(forgery, Forgery::SynInWindow | Forgery::SynBeyondWindow);
        let expected = match before {
            State::TimeWait if exact && self.pair.ends[who].config.rfc1337 => before,
            _ if exact => gone,
            // Whose number is new begins a connection, but for that of a SYN there is no other.
            State::Listen | State::SynSent if syn => State::SynReceived,
            State::TimeWait if forgery == Forgery::SynBeyondWindow && listening => {
                State::SynReceived
            }
            _ => before,
        };
        let expected = after == expected;
        // Before numbers are agreed on, an end believes it, or answers by a RST that its peer believes;
        // and where TIME-WAIT ends, the peer may not have the last acknowledgment yet.
        let replaced = before == State::TimeWait && after != before;
        let believed = exact || !before.is_synchronized() || replaced;
        self.pair.ends[who].excused |= believed;
        self.pair.ends[who].expect(expected, "RFC 5961: a forgery did what it must not");
        self.pair.collect();
        true
    }

    /// Users who read at once need no action for it.
    fn read_at_once(&mut self) {
        let now = self.pair.now;
        for end in &mut self.pair.ends {
            if end.rx.readable() > 0 {
                end.read(usize::MAX, now);
            }
        }
        self.pair.collect();
    }
}

impl Model for Scenario {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let limits = TxLimits {
            mss: 1000,
            max_run: 1000,
            queue: DeviceQueue::default(),
        };
        // Wraps within the first bytes of one direction, and within the handshake of the other.
        let ends = [0xffff_fffe, 0xffff_ffff]
            .map(|iss| Endpoint::new(self.config(), limits, iss, self.room));
        let mut pair = Pair::new(ends);
        for (end, step) in pair.ends.iter_mut().zip(self.iss_steps) {
            end.iss_step = step;
        }
        if !self.scripts[1].contains(&Call::Connect) {
            pair.ends[1].listen();
        }
        vec![World {
            pair,
            left: self.bounds,
            made: [0, 0],
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let net = &world.pair.net;
        for index in 0..net.len() {
            // Of equal segments one is enough.
            if net[..index].contains(&net[index]) {
                continue;
            }
            actions.push(Action::Deliver(index));
            if world.left.failures > 0 {
                actions.push(Action::Duplicate(index));
                actions.push(Action::Lose(index));
            }
        }
        if world.left.timers > 0 {
            actions.push(Action::Timer);
        }
        for who in 0..2 {
            actions.push(Action::Call(who));
            if self.reads_late && world.pair.ends[who].rx.readable() > 0 {
                actions.push(Action::Read(who));
            }
            if world.left.forgeries > 0 {
                actions.extend(FORGERIES.map(|forgery| Action::Forge(who, forgery)));
            }
        }
    }

    fn next_state(&self, last: &World, action: Action) -> Option<World> {
        let mut world = last.clone();
        let happened = match action {
            Action::Deliver(index) => {
                world.pair.deliver(index, false);
                true
            }
            Action::Duplicate(index) => {
                world.left.failures -= 1;
                world.pair.deliver(index, true);
                true
            }
            Action::Lose(index) => {
                world.left.failures -= 1;
                world.pair.lose(index);
                true
            }
            Action::Timer => {
                world.left.timers -= 1;
                world.pair.fire()
            }
            Action::Call(who) => world.call(self, who),
            Action::Read(who) => {
                let now = world.pair.now;
                world.pair.ends[who].read(1, now);
                world.pair.collect();
                true
            }
            Action::Forge(who, forgery) => {
                world.left.forgeries -= 1;
                world.forge(who, forgery)
            }
        };
        if !self.reads_late {
            world.read_at_once();
        }
        happened.then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("every event leaves the ends sane", |_, world: &World| {
                world.pair.fault().is_none()
            }),
            Property::always("both ends come to an end", |_, world: &World| {
                world.pair.fault().is_some() || world.settled().fault().is_none()
            }),
            Property::sometimes(
                "the scenario shows what it is for",
                |scenario: &Self, world: &World| (scenario.goal)(&world.pair),
            ),
        ]
    }
}

impl World {
    /// The state in a line: both ends, and what is on its way.
    pub fn line(&self) -> String {
        let mut line = format!("{:?}", self.pair.states());
        for (to, packet) in &self.pair.net {
            let seg = &packet.seg;
            let numbers = (seg.seq, seg.ack, seg.len);
            let flags = seg.flags.bits();
            line += &format!(" to {to}: {flags:#04x} {numbers:?}");
        }
        line
    }

    /// What does not hold, here or when it is led to its end.
    pub fn fault(&self) -> Option<&'static str> {
        self.pair.fault().or_else(|| self.settled().fault())
    }
}
