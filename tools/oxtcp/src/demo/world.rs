// SPDX-License-Identifier: GPL-2.0
//! What is known of the connection shown, from events in the order of time.

use super::event::{Event, What};
use super::tally::Data;
use crate::diag::Socket;
use crate::diagram::{End, Queues, Row, Side};
use crate::observe::{Change, Segment};
use crate::state::State;

/// Segments of the data phase that are drawn, before they are only counted.
const DRAWN: u32 = 6;

/// One connection between client and server, and the listener it came from.
pub struct World {
    port: u16,
    client_port: Option<u16>,
    client: End,
    server: End,
    listener: End,
    queues: Option<Queues>,
    /// Most connections that were seen in the queues.
    peak: Queues,
    data: Option<Data>,
}

impl World {
    /// Nothing yet, on the server's port `port`.
    pub fn new(port: u16) -> World {
        World {
            port,
            client_port: None,
            client: End::default(),
            server: End::default(),
            listener: End::default(),
            queues: None,
            peak: Queues::default(),
            data: None,
        }
    }

    /// The state of an end of the connection.
    pub fn state(&self, side: Side) -> Option<State> {
        self.end(side).state
    }

    /// The states that an end of the connection has gone through.
    pub fn history(&self, side: Side) -> &[State] {
        &self.end(side).history
    }

    /// The states that the listener has gone through.
    pub fn listener_history(&self) -> &[State] {
        &self.listener.history
    }

    /// The listener's queues.
    pub fn queues(&self) -> Option<Queues> {
        self.queues
    }

    /// The most connections that each queue has held.
    pub fn peak(&self) -> Queues {
        self.peak
    }

    /// From now on only the first segments are drawn, the others counted.
    pub fn begin_data(&mut self) {
        self.data = Some(Data::default());
    }

    /// What was counted since `begin_data`; from now on every segment is drawn.
    pub fn end_data(&mut self) -> Data {
        self.data.take().unwrap_or_default()
    }

    /// Takes in an event. The rows tell what is new.
    pub fn apply(&mut self, event: &Event) -> Vec<Row> {
        let rows = match &event.what {
            What::Call(side, text) => vec![Row::call(*side, text)],
            What::Change(change) => self.on_change(change),
            What::Sockets(side, sockets) => self.on_sockets(*side, sockets),
            What::Segment(segment) => self.on_segment(segment),
        };
        rows.into_iter().map(|row| row.at(event.at)).collect()
    }

    fn end(&self, side: Side) -> &End {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    fn end_mut(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    fn on_change(&mut self, change: &Change) -> Vec<Row> {
        if change.local.port() == self.port && change.peer.port() == 0 {
            return match change.new {
                State::Listen | State::Closed => self.listener_enters(change.new),
                _ => Vec::new(),
            };
        }
        // AF_INET chooses the port after it has entered SYN-SENT.
        let connects = change.new == State::SynSent && change.peer.port() == self.port;
        if connects && self.client_port.is_none() && change.local.port() != 0 {
            self.client_port = Some(change.local.port());
        }
        let Some(side) = self.side_of(change) else {
            return Vec::new();
        };
        if self.end_mut(side).is_told(change.by, change.new) {
            vec![Row::state(side, change.new)]
        } else {
            Vec::new()
        }
    }

    /// Whose change it is, if it is of the connection shown.
    fn side_of(&self, change: &Change) -> Option<Side> {
        let (local, peer) = (change.local.port(), change.peer.port());
        if local == self.port {
            return self.is_client_port(peer).then_some(Side::Server);
        }
        let unbound = local == 0 && change.new == State::SynSent && self.client_port.is_none();
        (peer == self.port && (unbound || self.is_client_port(local))).then_some(Side::Client)
    }

    fn is_client_port(&self, port: u16) -> bool {
        self.client_port.is_some_and(|ours| ours == port)
    }

    fn on_sockets(&mut self, side: Side, sockets: &[Socket]) -> Vec<Row> {
        let mut rows = Vec::new();
        if self.client_port.is_none() {
            self.client_port = sockets
                .iter()
                .find_map(|socket| match (side, socket.state) {
                    (Side::Client, State::SynSent) => Some(socket.local.port()),
                    (Side::Server, State::SynReceived) => Some(socket.peer.port()),
                    _ => None,
                });
        }
        let mut connection = None;
        let mut listener = None;
        for socket in sockets {
            let (local, peer) = (socket.local.port(), socket.peer.port());
            match side {
                Side::Server if socket.state == State::Listen => listener = Some(socket),
                Side::Server if self.is_client_port(peer) => connection = Some(socket.state),
                Side::Client if self.is_client_port(local) => connection = Some(socket.state),
                _ => {}
            }
        }
        match connection {
            Some(State::Closed) => {}
            Some(state) => rows.extend(self.enters(side, state)),
            // Both leave the list only from these two.
            None => {
                if matches!(self.state(side), Some(State::TimeWait | State::LastAck)) {
                    rows.extend(self.enters(side, State::Closed));
                }
            }
        }
        if side == Side::Server && listener.is_none() && self.queues.take().is_some() {
            rows.extend(self.listener_enters(State::Closed));
        }
        if let Some(listener) = listener {
            rows.extend(self.listener_enters(State::Listen));
            let queues = Queues {
                syn: listener.syn_queue.unwrap_or(0),
                accept: listener.recv_q,
                limit: listener.send_q,
            };
            self.peak.syn = self.peak.syn.max(queues.syn);
            self.peak.accept = self.peak.accept.max(queues.accept);
            self.peak.limit = queues.limit;
            if self.queues.replace(queues) != Some(queues) {
                rows.push(Row::queues(queues));
            }
        }
        rows
    }

    fn enters(&mut self, side: Side, state: State) -> Vec<Row> {
        if self.end_mut(side).enter(state) {
            vec![Row::state(side, state)]
        } else {
            Vec::new()
        }
    }

    fn listener_enters(&mut self, state: State) -> Vec<Row> {
        if self.listener.state == Some(state) {
            return Vec::new();
        }
        self.listener.state = Some(state);
        self.listener.history.push(state);
        vec![Row::listener(state)]
    }

    fn on_segment(&mut self, segment: &Segment) -> Vec<Row> {
        let (from, client_port) = if segment.destination.port() == self.port {
            (Side::Client, segment.source.port())
        } else {
            (Side::Server, segment.destination.port())
        };
        let first = segment.flags.syn && !segment.flags.ack && from == Side::Client;
        if self.client_port.is_none() && first {
            self.client_port = Some(client_port);
        }
        if !self.is_client_port(client_port) {
            return Vec::new();
        }
        let again = self.end_mut(from).sends(segment);
        if let Some(data) = &mut self.data {
            data.count(from, segment, again);
            if data.seen == DRAWN + 1 {
                return vec![Row::ellipsis()];
            }
            if data.seen > DRAWN {
                return Vec::new();
            }
        }
        let text = self
            .end(from)
            .describe(self.end(from.other()), segment, again);
        vec![Row::arrow(from.other(), text)]
    }
}

#[cfg(test)]
mod tests {
    use super::super::network::Place;
    use super::super::tally::Tally;
    use super::*;
    use crate::observe::{Flags, Tracepoint};
    use crate::ss::table::tests::{connection, listener};
    use std::net::SocketAddrV4;
    use std::time::Duration;

    fn apply(world: &mut World, what: What) -> Vec<String> {
        let event = Event {
            at: Duration::ZERO,
            what,
        };
        world.apply(&event).iter().map(Row::plain).collect()
    }

    fn trace(side: Side, by: Tracepoint, new: State) -> What {
        let (local, peer) = ends(side);
        What::Change(Change {
            by,
            local,
            peer,
            new,
        })
    }

    /// The address of a side, and of the other.
    fn ends(side: Side) -> (SocketAddrV4, SocketAddrV4) {
        let client = SocketAddrV4::new(Side::Client.address(), 61000);
        let server = SocketAddrV4::new(Side::Server.address(), 7000);
        match side {
            Side::Client => (client, server),
            Side::Server => (server, client),
        }
    }

    fn segment(from: Side, flags: Flags, seq: u32, ack: u32, len: u32) -> What {
        let (source, destination) = ends(from);
        What::Segment(Segment {
            source,
            destination,
            seq,
            ack,
            len,
            window: 500,
            flags,
            mss: flags.syn.then_some(1460),
            wscale: flags.syn.then_some(7),
        })
    }

    const SYN: Flags = Flags {
        syn: true,
        ack: false,
        fin: false,
        rst: false,
        psh: false,
    };
    const ACK: Flags = Flags {
        syn: false,
        ack: true,
        fin: false,
        rst: false,
        psh: false,
    };
    const SYN_ACK: Flags = Flags { syn: true, ..ACK };

    /// A world after the three segments of a handshake.
    fn shaken() -> World {
        let mut world = World::new(7000);
        apply(&mut world, segment(Side::Client, SYN, 1000, 0, 0));
        apply(
            &mut world,
            segment(Side::Server, SYN_ACK, u32::MAX, 1001, 0),
        );
        apply(&mut world, segment(Side::Client, ACK, 1001, 0, 0));
        world
    }

    #[test]
    fn numbers_are_relative_and_windows_scaled() {
        let mut world = World::new(7000);
        let rows = apply(&mut world, segment(Side::Client, SYN, 1000, 0, 0));
        assert_eq!(rows, ["SYN seq=0 win=500 mss=1460 >"]);
        let rows = apply(
            &mut world,
            segment(Side::Server, SYN_ACK, u32::MAX, 1001, 0),
        );
        assert_eq!(rows, ["< SYN,ACK seq=0 ack=1 win=500 mss=1460"]);
        let rows = apply(&mut world, segment(Side::Client, ACK, 1001, 0, 10));
        assert_eq!(rows, ["ACK seq=1 ack=1 len=10 win=64000 >"]);
        let rows = apply(&mut world, segment(Side::Client, ACK, 1001, 0, 10));
        assert_eq!(rows, ["ACK again seq=1 ack=1 len=10 win=64000 >"]);
    }

    #[test]
    fn states_told_twice_or_late_are_one_step() {
        let mut world = shaken();
        let established = || trace(Side::Client, Tracepoint::Socket, State::Established);
        assert_eq!(apply(&mut world, established()), ["client ESTABLISHED"]);
        assert!(apply(&mut world, established()).is_empty());
        let late = trace(Side::Client, Tracepoint::Socket, State::SynSent);
        assert!(apply(&mut world, late).is_empty());
        assert_eq!(world.history(Side::Client), [State::Established]);
    }

    #[test]
    fn a_socket_that_leaves_for_time_wait_is_not_closed() {
        for by in [Tracepoint::Socket, Tracepoint::Entry] {
            let mut world = shaken();
            apply(
                &mut world,
                trace(Side::Client, Tracepoint::Socket, State::FinWait2),
            );
            assert!(apply(&mut world, trace(Side::Client, by, State::Closed)).is_empty());
        }
        let mut world = shaken();
        apply(
            &mut world,
            trace(Side::Client, Tracepoint::Entry, State::TimeWait),
        );
        let closed = trace(Side::Client, Tracepoint::Socket, State::Closed);
        assert!(apply(&mut world, closed).is_empty());
        let closed = trace(Side::Client, Tracepoint::Entry, State::Closed);
        assert_eq!(apply(&mut world, closed), ["client CLOSED"]);
    }

    #[test]
    fn the_list_tells_what_no_tracepoint_does() {
        let mut world = shaken();
        let mut entry = connection();
        entry.state = State::SynReceived;
        let mut listening = listener();
        (listening.recv_q, listening.syn_queue) = (0, Some(1));
        let rows = apply(
            &mut world,
            What::Sockets(Side::Server, vec![listening.clone(), entry]),
        );
        assert_eq!(
            rows,
            [
                "server SYN-RECEIVED",
                "LISTEN (listener)",
                "SYN queue 1, accept 0/4"
            ]
        );

        (listening.recv_q, listening.syn_queue) = (1, Some(0));
        let mut waiting = connection();
        waiting.state = State::TimeWait;
        let sockets = vec![listening.clone(), waiting];
        let rows = apply(&mut world, What::Sockets(Side::Server, sockets));
        assert_eq!(rows, ["server TIME-WAIT", "SYN queue 0, accept 1/4"]);
        assert_eq!(
            world.peak(),
            Queues {
                syn: 1,
                accept: 1,
                limit: 4
            }
        );

        let rows = apply(&mut world, What::Sockets(Side::Server, vec![listening]));
        assert_eq!(rows, ["server CLOSED"]);
        let rows = apply(&mut world, What::Sockets(Side::Server, vec![]));
        assert_eq!(rows, ["CLOSED (listener)"]);
    }

    #[test]
    fn a_connection_not_yet_listed_is_not_closed() {
        let mut world = shaken();
        apply(
            &mut world,
            trace(Side::Client, Tracepoint::Socket, State::SynSent),
        );
        assert!(apply(&mut world, What::Sockets(Side::Client, vec![])).is_empty());
        assert_eq!(world.state(Side::Client), Some(State::SynSent));
    }

    #[test]
    fn other_connections_are_not_shown() {
        let mut world = shaken();
        let What::Segment(mut other) = segment(Side::Client, SYN, 5, 0, 0) else {
            unreachable!()
        };
        other.source.set_port(61001);
        assert!(apply(&mut world, What::Segment(other)).is_empty());
    }

    #[test]
    fn data_is_drawn_first_and_then_counted() {
        let mut world = shaken();
        world.begin_data();
        let mut drawn = 0;
        for i in 0..20 {
            let sent = segment(Side::Client, ACK, 1001 + i * 100, 0, 100);
            drawn += apply(&mut world, sent).len();
        }
        apply(&mut world, segment(Side::Client, ACK, 1001, 0, 100));
        apply(&mut world, segment(Side::Server, ACK, 0, 3001, 0));
        let data = world.end_data();
        assert_eq!(drawn, DRAWN as usize + 1);
        assert_eq!(
            data.to_server,
            Tally {
                segments: 21,
                bytes: 2100,
                retransmitted: 1,
                acks: 0
            }
        );
        assert_eq!(data.to_client.acks, 1);
        assert_eq!(
            apply(&mut world, segment(Side::Server, ACK, 0, 3001, 0)).len(),
            1
        );
    }
}
