// SPDX-License-Identifier: GPL-2.0
//! Connections, from events in the order of time.

use std::collections::HashMap;
use std::net::SocketAddrV4;

use super::watch::Event;
use crate::diagram::{End, Row, Side};
use crate::observe::{Segment, Told, Trace};
use crate::state::State;

/// What is known of a connection.
pub struct Flow {
    /// The end that connects.
    pub client: SocketAddrV4,
    /// The end that listens.
    pub server: SocketAddrV4,
    at_client: End,
    at_server: End,
    /// What happened so far.
    pub rows: Vec<Row>,
}

/// All connections, in the order of their beginnings.
#[derive(Default)]
pub struct Flows {
    flows: Vec<Flow>,
    /// The place of the last connection between two ends, the lesser address first.
    last: HashMap<(SocketAddrV4, SocketAddrV4), usize>,
}

impl Flows {
    /// Takes in an event; gives the connection's place and how many rows are new. `None` for what
    /// is of no connection.
    pub fn apply(&mut self, event: &Event) -> Option<(usize, usize)> {
        let (a, b) = event.ends();
        if a.port() == 0 || b.port() == 0 {
            return None;
        }
        let ends = (a.min(b), a.max(b));
        // The same ends may have another connection, when the last one is over.
        let known = self.last.get(&ends).copied();
        let place = match known.filter(|&place| !self.flows[place].ends_before(event)) {
            Some(place) => place,
            None => {
                self.flows.push(Flow::begin(event));
                self.flows.len() - 1
            }
        };
        self.last.insert(ends, place);
        let flow = &mut self.flows[place];
        let rows = flow.apply(event);
        let new = rows.len();
        flow.rows
            .extend(rows.into_iter().map(|row| row.at(event.at())));
        Some((place, new))
    }

    /// A connection by its place.
    pub fn get(&self, place: usize) -> &Flow {
        &self.flows[place]
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Flow> {
        self.flows.iter()
    }
}

impl Flow {
    fn begin(event: &Event) -> Flow {
        let (a, b) = event.ends();
        let a_is_client = match event {
            Event::Segment(seen) if seen.segment.flags.syn => !seen.segment.flags.ack,
            Event::Trace(trace) => match trace.change().map(|change| change.new) {
                Some(State::SynSent) => true,
                Some(State::SynReceived) => false,
                _ => a.port() > b.port(),
            },
            // A service mostly has the lower port.
            Event::Segment(_) => a.port() > b.port(),
        };
        let (client, server) = if a_is_client { (a, b) } else { (b, a) };
        Flow {
            client,
            server,
            at_client: End::default(),
            at_server: End::default(),
            rows: Vec::new(),
        }
    }

    /// Whether the event begins another connection between the same ends.
    fn ends_before(&self, event: &Event) -> bool {
        let over = |end: &End| matches!(end.state, Some(State::Closed | State::TimeWait));
        let begins = match event {
            Event::Segment(seen) => seen.segment.flags.syn && !seen.segment.flags.ack,
            Event::Trace(trace) => trace.change().is_some_and(|c| c.new == State::SynSent),
        };
        begins && (over(&self.at_client) || over(&self.at_server))
    }

    fn side_of(&self, address: SocketAddrV4) -> Side {
        if address == self.client {
            Side::Client
        } else {
            Side::Server
        }
    }

    fn end_mut(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.at_client,
            Side::Server => &mut self.at_server,
        }
    }

    fn end(&self, side: Side) -> &End {
        match side {
            Side::Client => &self.at_client,
            Side::Server => &self.at_server,
        }
    }

    fn apply(&mut self, event: &Event) -> Vec<Row> {
        match event {
            Event::Trace(trace) => self.on_trace(trace),
            Event::Segment(seen) => vec![self.on_segment(&seen.segment)],
        }
    }

    fn on_trace(&mut self, trace: &Trace) -> Vec<Row> {
        let side = self.side_of(trace.local);
        match &trace.what {
            Told::State { by, new, .. } => match self.end_mut(side).is_told(*by, *new) {
                true => vec![Row::state(side, *new)],
                false => Vec::new(),
            },
            Told::Retransmit { seq, .. } => {
                let end = self.end(side);
                let of = seq.map_or(String::new(), |seq| format!(" {}", end.relative(seq)));
                vec![Row::trouble(side, format!("resends{of}"))]
            }
            Told::Drop { reason } => vec![Row::trouble(side, format!("drops: {reason}"))],
        }
    }

    fn on_segment(&mut self, segment: &Segment) -> Row {
        let from = self.side_of(segment.source);
        let again = self.end_mut(from).sends(segment);
        let text = self
            .end(from)
            .describe(self.end(from.other()), segment, again);
        Row::arrow(from.other(), text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{Captured, Flags, Tracepoint};
    use std::time::Duration;

    const A: &str = "10.0.0.1:5000";
    const B: &str = "10.0.0.2:7000";

    fn segment(from: &str, to: &str, syn: bool, ack: bool, seq: u32) -> Event {
        Event::Segment(Captured {
            at: Duration::ZERO,
            segment: Segment {
                source: from.parse().unwrap(),
                destination: to.parse().unwrap(),
                seq,
                ack: 0,
                len: 0,
                window: 500,
                flags: Flags {
                    syn,
                    ack,
                    ..Flags::default()
                },
                mss: None,
                wscale: None,
            },
        })
    }

    fn told(local: &str, peer: &str, what: Told) -> Event {
        Event::Trace(Trace {
            at: Duration::ZERO,
            local: local.parse().unwrap(),
            peer: peer.parse().unwrap(),
            netns: None,
            what,
        })
    }

    fn state(local: &str, peer: &str, new: State) -> Event {
        let (by, old) = (Tracepoint::Socket, State::Closed);
        told(local, peer, Told::State { by, old, new })
    }

    fn plain(flows: &Flows, place: usize) -> Vec<String> {
        flows.get(place).rows.iter().map(Row::plain).collect()
    }

    #[test]
    fn a_connection_is_put_together_from_both_ends() {
        let mut flows = Flows::default();
        for event in [
            state(A, B, State::SynSent),
            segment(A, B, true, false, 100),
            segment(B, A, true, true, 500),
            state(A, B, State::Established),
            state(B, A, State::Established),
            told(
                B,
                A,
                Told::Retransmit {
                    seq: Some(501),
                    len: Some(10),
                },
            ),
            told(
                A,
                B,
                Told::Drop {
                    reason: "OldData".into(),
                },
            ),
        ] {
            assert_eq!(flows.apply(&event), Some((0, 1)));
        }
        let flow = flows.get(0);
        assert_eq!(
            (flow.client.to_string(), flow.server.to_string()),
            (A.into(), B.into())
        );
        assert_eq!(
            plain(&flows, 0),
            [
                "client SYN-SENT",
                "SYN seq=0 win=500 >",
                "< SYN,ACK seq=0 ack=4294967196 win=500",
                "client ESTABLISHED",
                "server ESTABLISHED",
                "server resends 1",
                "client drops: OldData",
            ]
        );
    }

    #[test]
    fn the_listening_end_is_the_server_however_it_begins() {
        for (event, server) in [
            (segment(B, A, true, true, 1), B),
            (segment(A, B, true, false, 1), B),
            (state(B, A, State::SynReceived), B),
            (segment(B, A, false, true, 1), A),
            (state(A, B, State::Established), A),
        ] {
            let mut flows = Flows::default();
            flows.apply(&event);
            assert_eq!(flows.get(0).server.to_string(), server);
        }
    }

    #[test]
    fn the_same_ends_can_have_two_connections() {
        let mut flows = Flows::default();
        flows.apply(&state(A, B, State::SynSent));
        flows.apply(&segment(A, B, true, false, 1));
        assert_eq!(flows.apply(&segment(A, B, true, false, 1)), Some((0, 1)));
        flows.apply(&state(A, B, State::Closed));
        assert_eq!(flows.apply(&segment(A, B, true, false, 9)), Some((1, 1)));
        assert_eq!(flows.iter().count(), 2);
    }

    #[test]
    fn a_listener_is_no_connection() {
        let mut flows = Flows::default();
        assert_eq!(flows.apply(&state(B, "0.0.0.0:0", State::Listen)), None);
    }
}
