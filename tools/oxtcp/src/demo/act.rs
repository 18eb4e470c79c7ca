// SPDX-License-Identifier: GPL-2.0
//! One act: a connection from socket() to CLOSED.

use std::fs;
use std::io::Read;
use std::net::{Shutdown, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{bail, Context, Result};
use oxtcp::Family;
use socket2::{Domain, Socket, Type};

use super::data::{exchange, Delivery};
use super::network::{Network, Place};
use super::stage::{Stage, PATIENCE};
use super::tally::{Data, Tally};
use super::verdict;
use crate::diagram::{human_bytes, Ink, Pen, Queues, Side};
use crate::state::State;

/// Length of the listener's accept queue, in connections.
const BACKLOG: u32 = 4;
/// Connections that fill the queues, beside the one shown.
const GUESTS: u32 = 3;
/// Time between their starts.
const GUEST_INTERVAL: Duration = Duration::from_millis(12);
/// How long the data may take.
const DATA_PATIENCE: Duration = Duration::from_secs(180);

/// Who plays.
#[derive(Clone, Copy)]
pub struct Act {
    /// The end that connects.
    pub client: Family,
    /// The end that listens.
    pub server: Family,
    /// The end that closes first, and goes through TIME-WAIT.
    pub closes_first: Side,
    /// The server's port.
    pub port: u16,
    /// Bytes sent each way.
    pub bytes: u64,
    /// How long oxtcp's TIME-WAIT lasts here.
    pub time_wait: Duration,
}

impl Act {
    /// Plays it.
    ///
    /// # Errors
    ///
    /// When anything was not as it should be.
    pub fn play(&self, network: &Network, pen: Pen, pace: Duration) -> Result<()> {
        let families = [(Side::Client, self.client), (Side::Server, self.server)];
        let time_wait_ends = self.shorten_time_wait(network);
        let mut stage = Stage::open(network, families, self.port, pen, pace)?;
        stage.line(&format!(
            "       {:>16} {:^51} {}",
            format!("{} {}", self.client, Side::Client.name()),
            format!(
                "{}  <->  {}",
                Side::Client.address(),
                Side::Server.address()
            ),
            format_args!("{} {}", self.server, Side::Server.name()),
        ));

        let listener = self.listen(network, &mut stage)?;
        let (client, server) = self.shake_hands(network, &mut stage, &listener)?;
        self.fill_queues(network, &mut stage, &listener)?;
        self.send_data(network, &mut stage, &client, &server)?;
        self.close(&mut stage, client, server, time_wait_ends)?;

        self.title(&mut stage, "The listener goes", "");
        stage.call(Side::Server, "close(listener)");
        drop(listener);
        stage.until("the listener is CLOSED", PATIENCE, |world| {
            world.listener_history() == [State::Listen, State::Closed]
        })?;
        verdict::check(&stage, self.closes_first, time_wait_ends, GUESTS)
    }

    fn family(&self, side: Side) -> Family {
        match side {
            Side::Client => self.client,
            Side::Server => self.server,
        }
    }

    /// Whether TIME-WAIT's end can be waited for: oxtcp's length of it can be set, AF_INET's is a
    /// minute.
    fn shorten_time_wait(&self, network: &Network) -> bool {
        let side = self.closes_first;
        let set = network.namespace(side).run(|| {
            let ms = self.time_wait.as_millis().to_string();
            Ok(fs::write("/proc/sys/net/oxtcp/time_wait_ms", ms)?)
        });
        self.family(side) != Family::INET && set.is_ok()
    }

    fn address(&self) -> SocketAddrV4 {
        SocketAddrV4::new(Side::Server.address(), self.port)
    }

    fn title(&self, stage: &mut Stage<'_>, title: &str, text: &str) {
        stage.gap();
        stage.line(&stage.pen.ink(Ink::Heading, title));
        if !text.is_empty() {
            stage.line(text);
        }
        stage.gap();
    }

    fn socket(&self, network: &Network, stage: &mut Stage<'_>, side: Side) -> Result<Socket> {
        let family = self.family(side);
        stage.call(side, &format!("socket({family})"));
        network.namespace(side).run(|| {
            let domain = Domain::from(i32::from(family.number()));
            Socket::new(domain, Type::STREAM, None)
                .with_context(|| format!("socket({family}) failed: is the module loaded?"))
        })
    }

    fn listen(&self, network: &Network, stage: &mut Stage<'_>) -> Result<TcpListener> {
        self.title(
            stage,
            "1. A listening socket",
            "   The server opens a socket, gives it a port, and listens.",
        );
        let socket = self.socket(network, stage, Side::Server)?;
        stage.call(Side::Server, &format!("bind({})", self.address()));
        socket.bind(&self.address().into()).context("bind")?;
        stage.call(Side::Server, &format!("listen(backlog {BACKLOG})"));
        socket.listen(BACKLOG as i32).context("listen")?;
        stage.until(
            "the listener is in LISTEN with empty queues",
            PATIENCE,
            |world| {
                world.listener_history() == [State::Listen]
                    && world.queues()
                        == Some(Queues {
                            syn: 0,
                            accept: 0,
                            limit: BACKLOG,
                        })
            },
        )?;
        stage.show_sockets(Side::Server, "-lno --syn-queue", State::Listen.bit())?;
        stage.pause()?;
        Ok(OwnedFd::from(socket).into())
    }

    fn shake_hands(
        &self,
        network: &Network,
        stage: &mut Stage<'_>,
        listener: &TcpListener,
    ) -> Result<(TcpStream, TcpStream)> {
        self.title(
            stage,
            "2. Three-way handshake",
            "   The SYN puts an entry into the listener's SYN queue. The third segment makes a socket of it,\n   \
             which waits in the accept queue until the program takes it.",
        );
        let socket = self.socket(network, stage, Side::Client)?;
        let address = self.address();
        stage.call(Side::Client, "connect()");
        let connecting = thread::spawn(move || socket.connect(&address.into()).map(|()| socket));
        stage.until(
            "both ends are ESTABLISHED, one connection to accept",
            PATIENCE,
            |world| {
                let established = Some(State::Established);
                world.state(Side::Client) == established
                    && world.state(Side::Server) == established
                    && world.queues().is_some_and(|q| (q.syn, q.accept) == (0, 1))
            },
        )?;
        let socket = connecting
            .join()
            .expect("connect does not panic")
            .context("connect")?;
        let client = TcpStream::from(OwnedFd::from(socket));

        stage.call(Side::Server, "accept()");
        let (server, peer) = listener.accept().context("accept")?;
        if peer != client.local_addr()? {
            bail!(
                "accept() says {peer}, the client is {}",
                client.local_addr()?
            );
        }
        stage.until("the accept queue is empty", PATIENCE, |world| {
            world.queues().is_some_and(|q| (q.syn, q.accept) == (0, 0))
        })?;
        let all = u32::MAX;
        stage.show_sockets(Side::Client, "-ano --syn-queue", all)?;
        stage.show_sockets(Side::Server, "-ano --syn-queue", all)?;
        stage.pause()?;
        Ok((client, server))
    }

    /// Some connections more, that nobody accepts at first.
    fn fill_queues(
        &self,
        network: &Network,
        stage: &mut Stage<'_>,
        listener: &TcpListener,
    ) -> Result<()> {
        self.title(
            stage,
            "   Both queues at work",
            "   Three more clients come, and the server is busy. (Their segments are not drawn.)",
        );
        let family = self.client;
        let address = self.address();
        let mut connecting = Vec::new();
        for guest in 0..GUESTS {
            let socket = network.namespace(Side::Client).run(|| {
                let domain = Domain::from(i32::from(family.number()));
                Ok(Socket::new(domain, Type::STREAM, None)?)
            })?;
            connecting.push(thread::spawn(move || {
                thread::sleep(GUEST_INTERVAL * guest);
                socket.connect(&address.into()).map(|()| socket)
            }));
        }
        stage.until("three connections to accept", PATIENCE, |world| {
            world
                .queues()
                .is_some_and(|q| (q.syn, q.accept) == (0, GUESTS))
        })?;
        stage.show_sockets(Side::Server, "-lno --syn-queue", State::Listen.bit())?;

        let mut taken = Vec::new();
        for left in (0..GUESTS).rev() {
            stage.call(Side::Server, "accept()");
            taken.push(listener.accept().context("accept")?.0);
            stage.until("one connection less to accept", PATIENCE, |world| {
                world.queues().is_some_and(|q| q.accept == left)
            })?;
        }
        for guest in connecting {
            let socket = guest
                .join()
                .expect("connect does not panic")
                .context("connect")?;
            drop(socket);
        }
        for mut guest in taken {
            // Its client has gone: the end of the data, then nothing is left to do.
            guest.read(&mut [0]).context("a guest's connection")?;
        }
        stage.pause()
    }

    fn send_data(
        &self,
        network: &Network,
        stage: &mut Stage<'_>,
        client: &TcpStream,
        server: &TcpStream,
    ) -> Result<()> {
        let amount = human_mib(self.bytes);
        self.title(
            stage,
            "3. Data both ways",
            &format!(
                "   {amount} each way at once, on the link without its delay. The first segments\n   are drawn, the rest counted."
            ),
        );
        network.be_fast()?;
        stage.world.begin_data();
        stage.call(Side::Client, "write(), read()");
        stage.call(Side::Server, "write(), read()");
        let began = Instant::now();
        let (there, back) = thread::scope(|scope| {
            let moving = scope.spawn(|| exchange(client, server, self.bytes));
            let in_time = stage.until("all data arrives", DATA_PATIENCE, |_| moving.is_finished());
            if in_time.is_err() {
                // Their error is that of the wait; only their threads must end.
                let _ = client.shutdown(Shutdown::Both);
                let _ = server.shutdown(Shutdown::Both);
            }
            let moved = moving.join().expect("the exchange does not panic");
            in_time.and(moved.context("the data did not arrive"))
        })?;
        let took = began.elapsed();
        // The last acknowledgements are still on their way.
        stage.linger(Duration::from_millis(200))?;
        let data = stage.world.end_data();
        network.be_slow()?;
        self.show_data(stage, data, took);
        self.compare(stage, Side::Client, &there)?;
        self.compare(stage, Side::Server, &back)?;
        stage.pause()
    }

    fn show_data(&self, stage: &Stage<'_>, data: Data, took: Duration) {
        stage.gap();
        for (from, tally, acks) in [
            (Side::Client, data.to_server, data.to_client.acks),
            (Side::Server, data.to_client, data.to_server.acks),
        ] {
            stage.line(&tally_text(from, tally, acks));
        }
        let rate = 2.0 * self.bytes as f64 / took.as_secs_f64() / f64::from(1 << 20);
        stage.line(&format!(
            "   in {:.1} s: {rate:.1} MiB/s both ways together",
            took.as_secs_f64()
        ));
        stage.gap();
    }

    fn compare(&self, stage: &Stage<'_>, from: Side, delivery: &Delivery) -> Result<()> {
        let to = from.other().name();
        let from = from.name();
        stage.line(&format!("   {from} sent      SHA-256 {}", delivery.sent));
        let same = delivery.sent == delivery.received;
        let (ink, verdict) = if same {
            (Ink::Good, "equal")
        } else {
            (Ink::Bad, "DIFFERENT")
        };
        let verdict = stage.pen.ink(ink, verdict);
        stage.line(&format!(
            "   {to} received  SHA-256 {} {verdict}",
            delivery.received
        ));
        if !same {
            bail!("what {to} received is not what {from} sent");
        }
        Ok(())
    }

    fn close(
        &self,
        stage: &mut Stage<'_>,
        client: TcpStream,
        server: TcpStream,
        time_wait_ends: bool,
    ) -> Result<()> {
        let active = self.closes_first;
        let passive = active.other();
        let text = format!(
            "   Each direction is closed by a FIN and its ACK. The {} closes first, so the last ACK is\n   \
             its own, and it keeps the connection in TIME-WAIT in case that ACK is lost.",
            active.name()
        );
        self.title(stage, "4. Four-way close", &text);
        let (first, mut second) = match active {
            Side::Client => (client, server),
            Side::Server => (server, client),
        };
        stage.call(active, "shutdown(WR)");
        first.shutdown(Shutdown::Write).context("shutdown")?;
        stage.until("FIN-WAIT-2 and CLOSE-WAIT", PATIENCE, |world| {
            world.state(active) == Some(State::FinWait2)
                && world.state(passive) == Some(State::CloseWait)
        })?;
        let end = second.read(&mut [0]).context("read")?;
        if end != 0 {
            bail!("there was data after the FIN");
        }
        stage.call(passive, "read() = 0");
        stage.pause()?;

        stage.call(passive, "close()");
        drop(second);
        stage.until("TIME-WAIT and CLOSED", PATIENCE, |world| {
            world.state(active) >= Some(State::TimeWait)
                && world.state(passive) == Some(State::Closed)
        })?;
        stage.call(active, "close()");
        drop(first);
        stage.linger(Duration::from_millis(50))?;
        if !time_wait_ends {
            stage.show_sockets(active, "-ano --syn-queue", State::TimeWait.bit())?;
            stage.line("   TIME-WAIT lasts a minute here; this is not waited for.");
            return Ok(());
        }
        stage.show_sockets(active, "-ano --syn-queue", State::TimeWait.bit())?;
        stage.until(
            "TIME-WAIT ends in CLOSED",
            PATIENCE + self.time_wait,
            |world| world.state(active) == Some(State::Closed),
        )
    }
}

fn human_mib(bytes: u64) -> String {
    if bytes % (1 << 20) == 0 {
        format!("{} MiB", bytes >> 20)
    } else {
        human_bytes(bytes)
    }
}

fn tally_text(from: Side, tally: Tally, acks: u32) -> String {
    format!(
        "   from {} {:>6} segments, {:>6.1} MiB, {} sent again; {acks:>6} ACKs without data came back",
        from.name(),
        tally.segments,
        tally.bytes as f64 / f64::from(1 << 20),
        tally.retransmitted,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_fit_the_page() {
        let tally = Tally {
            segments: 999_999,
            bytes: 1 << 30,
            retransmitted: 99,
            acks: 0,
        };
        assert!(tally_text(Side::Client, tally, 999_999).len() <= crate::diagram::WIDTH);
    }
}
