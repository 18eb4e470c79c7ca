// SPDX-License-Identifier: GPL-2.0
//! What is known of each connection, over time.

use std::cmp::Ordering;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use crate::diag::Socket;
use crate::state::State;

/// Looks of which the rate is remembered.
pub const HISTORY: usize = 120;

/// All connections.
#[derive(Default)]
pub struct Board {
    connections: HashMap<(SocketAddrV4, SocketAddrV4), Connection>,
    last: Option<Instant>,
    /// Of all connections together, in bits/s, the oldest first.
    pub rates: VecDeque<u64>,
}

/// A connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// This end.
    pub local: SocketAddrV4,
    /// The other end.
    pub peer: SocketAddrV4,
    /// Its state.
    pub state: State,
    /// Bytes acknowledged by the peer.
    sent: u64,
    /// Bytes that came in order.
    received: u64,
    /// What the peer acknowledged in the last interval, in bits/s.
    pub rate_out: f64,
    /// What came in the last interval, in bits/s.
    pub rate_in: f64,
    /// Smoothed round-trip time, in µs; 0: none yet.
    pub rtt: u32,
    /// Congestion window, in segments.
    pub cwnd: u32,
    /// Segments sent again, over its life.
    pub retransmissions: u32,
    /// Bytes to be acknowledged or sent.
    pub queued: u32,
    /// Name of the congestion control.
    pub congestion: String,
    /// Rates of both directions together, in bits/s, the oldest first.
    pub rates: VecDeque<u64>,
}

/// By what the connections are ordered.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum SortKey {
    /// Both directions together, the fastest first
    Rate,
    /// The longest round-trip time first
    Rtt,
    /// The largest congestion window first
    Cwnd,
    /// The most retransmissions first
    Retransmissions,
    /// The most bytes unsent or unacknowledged first
    Unsent,
    /// By state
    State,
    /// By address
    Address,
}

impl SortKey {
    /// The order that a key asks for.
    pub fn of_letter(letter: char) -> Option<SortKey> {
        Some(match letter {
            'r' => SortKey::Rate,
            't' => SortKey::Rtt,
            'c' => SortKey::Cwnd,
            'x' => SortKey::Retransmissions,
            'u' => SortKey::Unsent,
            's' => SortKey::State,
            'a' => SortKey::Address,
            _ => return None,
        })
    }

    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            SortKey::Rate => "rate",
            SortKey::Rtt => "rtt",
            SortKey::Cwnd => "cwnd",
            SortKey::Retransmissions => "retransmissions",
            SortKey::Unsent => "unsent",
            SortKey::State => "state",
            SortKey::Address => "address",
        }
    }

    fn compare(self, a: &Connection, b: &Connection) -> Ordering {
        let chosen = match self {
            SortKey::Rate => b.rate().total_cmp(&a.rate()),
            SortKey::Rtt => b.rtt.cmp(&a.rtt),
            SortKey::Cwnd => b.cwnd.cmp(&a.cwnd),
            SortKey::Retransmissions => b.retransmissions.cmp(&a.retransmissions),
            SortKey::Unsent => b.queued.cmp(&a.queued),
            SortKey::State => a.state.cmp(&b.state),
            SortKey::Address => Ordering::Equal,
        };
        chosen.then_with(|| (a.local, a.peer).cmp(&(b.local, b.peer)))
    }
}

impl Connection {
    fn new(socket: &Socket) -> Connection {
        let info = socket.info.unwrap_or_default();
        Connection {
            local: socket.local,
            peer: socket.peer,
            state: socket.state,
            sent: info.bytes_acked,
            received: info.bytes_received,
            rate_out: 0.0,
            rate_in: 0.0,
            rtt: info.rtt,
            cwnd: info.snd_cwnd,
            retransmissions: info.total_retrans,
            queued: socket.send_q,
            congestion: socket.congestion.clone().unwrap_or_default(),
            rates: VecDeque::new(),
        }
    }

    /// Both directions together, in bits/s.
    pub fn rate(&self) -> f64 {
        self.rate_out + self.rate_in
    }

    fn follow(&mut self, before: Option<&Connection>, time: Option<Duration>) {
        let Some(before) = before else { return };
        self.rates = before.rates.clone();
        let Some(seconds) = time.map(|time| time.as_secs_f64()).filter(|&s| s > 0.0) else {
            return;
        };
        // Fewer bytes than before: the same ends, but another connection.
        let grown = |now: u64, then: u64| now.saturating_sub(then) as f64 * 8.0 / seconds;
        self.rate_out = grown(self.sent, before.sent);
        self.rate_in = grown(self.received, before.received);
        let rate = self.rate();
        remember(&mut self.rates, rate);
    }
}

impl Board {
    /// Takes in what the sockets are at `now`. Connections that are gone are forgotten.
    pub fn update(&mut self, sockets: &[Socket], now: Instant) {
        let time = self.last.map(|last| now.saturating_duration_since(last));
        let mut connections = HashMap::new();
        for socket in sockets {
            let mut connection = Connection::new(socket);
            let key = (socket.local, socket.peer);
            connection.follow(self.connections.get(&key), time);
            connections.insert(key, connection);
        }
        self.connections = connections;
        if time.is_some() {
            let total = self.connections.values().map(Connection::rate).sum();
            remember(&mut self.rates, total);
        }
        self.last = Some(now);
    }

    /// The connections in an order.
    pub fn sorted(&self, sort: SortKey, reverse: bool) -> Vec<&Connection> {
        let mut connections: Vec<&Connection> = self.connections.values().collect();
        connections.sort_by(|a, b| sort.compare(a, b));
        if reverse {
            connections.reverse();
        }
        connections
    }

    /// Of all together: out and in, in bits/s.
    pub fn totals(&self) -> (f64, f64) {
        let sum = |of: fn(&Connection) -> f64| self.connections.values().map(of).sum();
        (sum(|c| c.rate_out), sum(|c| c.rate_in))
    }
}

fn remember(rates: &mut VecDeque<u64>, rate: f64) {
    if rates.len() == HISTORY {
        rates.pop_front();
    }
    rates.push_back(rate as u64);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::tcp_info::TcpInfo;
    use crate::ss::table::tests::connection;

    fn socket(port: u16, sent: u64, received: u64) -> Socket {
        let mut socket = connection();
        socket.peer.set_port(port);
        socket.info = Some(TcpInfo {
            bytes_acked: sent,
            bytes_received: received,
            ..TcpInfo::default()
        });
        socket
    }

    #[test]
    fn rates_are_what_came_in_the_time() {
        let mut board = Board::default();
        let start = Instant::now();
        board.update(&[socket(1, 1000, 0)], start);
        assert_eq!(board.totals(), (0.0, 0.0));
        let later = start + Duration::from_millis(500);
        board.update(&[socket(1, 2000, 50), socket(2, 9999, 0)], later);
        assert_eq!(board.totals(), (16_000.0, 800.0));
        assert_eq!(board.rates, [16_800]);
        // Anew between the same ends.
        board.update(&[socket(1, 10, 0)], later + Duration::from_secs(1));
        assert_eq!(board.totals(), (0.0, 0.0));
        assert_eq!(board.sorted(SortKey::Rate, false).len(), 1);
        assert_eq!(board.sorted(SortKey::Rate, false)[0].rates, [16_800, 0]);
    }

    #[test]
    fn the_past_is_not_remembered_for_ever() {
        let mut board = Board::default();
        let start = Instant::now();
        for second in 0..300 {
            board.update(&[socket(1, second, 0)], start + Duration::from_secs(second));
        }
        assert_eq!(board.rates.len(), HISTORY);
        assert_eq!(board.sorted(SortKey::Rtt, false)[0].rates.len(), HISTORY);
    }

    #[test]
    fn equal_connections_keep_their_order() {
        let mut board = Board::default();
        let sockets: Vec<Socket> = (1..50).map(|port| socket(port, 0, 0)).collect();
        board.update(&sockets, Instant::now());
        for sort in [
            SortKey::Rate,
            SortKey::State,
            SortKey::Address,
            SortKey::Unsent,
        ] {
            let ports: Vec<u16> = board
                .sorted(sort, false)
                .iter()
                .map(|c| c.peer.port())
                .collect();
            assert!(ports.is_sorted());
            let first = board.sorted(sort, true)[0];
            assert_eq!(first.peer.port(), 49);
        }
    }
}
