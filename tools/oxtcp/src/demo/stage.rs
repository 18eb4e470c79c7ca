// SPDX-License-Identifier: GPL-2.0
//! Where the observers' events become lines on the terminal, in the order of time.

use std::cell::Cell;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{channel, Receiver, RecvTimeoutError};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{bail, Result};
use oxtcp::Family;

use super::event::{Event, What};
use super::network::{Network, Place};
use super::watch;
use super::world::World;
use crate::diag::SockDiag;
use crate::diagram::{Ink, Pen, Row, Side};
use crate::observe::{now, Buffer, Capture, Line, Order, Record};
use crate::ss;

/// How far apart the clocks read by different observers may be. By so much a call or a segment goes
/// before the change of state that follows from it; the link's delay is far longer.
const CLOCK_ERROR: Duration = Duration::from_millis(5);
/// How long anything may take that the link's delay alone decides.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// One act's terminal, observers and state of knowledge.
pub struct Stage<'a> {
    /// What is known.
    pub world: World,
    /// How it is drawn.
    pub pen: Pen,
    network: &'a Network,
    families: [(Side, Family); 2],
    port: u16,
    pace: Duration,
    start: Duration,
    /// Whether the last line is blank.
    blank: Cell<bool>,
    events: Receiver<Event>,
    /// Events that are not old enough.
    pending: Order<Event>,
    /// The last event's time.
    shown: Duration,
    _observers: Observers,
}

struct Observers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    // Removed when the threads have ended.
    trace: Buffer,
}

/// Changes of state with `port` at either end.
fn records(port: u16) -> [Record; 2] {
    let record = |event, optional| Record {
        event,
        filter: format!("sport == {port} || dport == {port}"),
        optional,
    };
    // The module's own is not there while only AF_INET is shown.
    [
        record("sock/inet_sock_set_state", false),
        record("oxtcp/oxtcp_set_state", true),
    ]
}

impl<'a> Stage<'a> {
    /// Starts to observe the server's port `port`. A line is shown for at least `pace`.
    pub fn open(
        network: &'a Network,
        families: [(Side, Family); 2],
        port: u16,
        pen: Pen,
        pace: Duration,
    ) -> Result<Stage<'a>> {
        let (sender, events) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let buffer = Buffer::set_up(&records(port))?;
        let mut observers = Observers {
            stop: stop.clone(),
            threads: Vec::new(),
            trace: buffer,
        };
        let sink = sender.clone();
        let tracing = observers.trace.start(stop.clone(), move |line| {
            let Line::Trace(trace) = line else {
                return true;
            };
            let what = trace.change().map(What::Change);
            what.is_none_or(|what| sink.send(Event { at: trace.at, what }).is_ok())
        })?;
        observers.threads.push(tracing);
        for (side, family) in families {
            let namespace = network.namespace(side);
            let capture = namespace.run(Capture::open)?;
            let sink = sender.clone();
            let capturing = capture.start(stop.clone(), move |seen| {
                let (source, destination) = (seen.segment.source, seen.segment.destination);
                let ours = source.port() == port || destination.port() == port;
                // The end sees what it gets too; of that the time is not sure.
                let leaves = *source.ip() == side.address();
                let event = Event {
                    at: seen.at,
                    what: What::Segment(seen.segment),
                };
                !(ours && leaves) || sink.send(event).is_ok()
            });
            observers.threads.push(capturing);
            let watching =
                watch::start(side, namespace, family, port, sender.clone(), stop.clone())?;
            observers.threads.push(watching);
        }
        Ok(Stage {
            world: World::new(port),
            pen,
            network,
            families,
            port,
            pace,
            start: now(),
            blank: Cell::new(true),
            events,
            pending: Order::new(),
            shown: Duration::ZERO,
            _observers: observers,
        })
    }

    /// Notes that a program calls the kernel now.
    pub fn call(&mut self, side: Side, text: &str) {
        self.take_in(Event {
            at: now(),
            what: What::Call(side, text.to_owned()),
        });
    }

    /// Shows what happens until `done`.
    ///
    /// # Errors
    ///
    /// When it takes longer than `patience`; `what` names what did not happen.
    pub fn until(
        &mut self,
        what: &str,
        patience: Duration,
        mut done: impl FnMut(&World) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + patience;
        // What was asked for may be known already, and older events still wait to be shown.
        while !(self.pending.is_empty() && done(&self.world)) {
            match self.events.recv_timeout(Duration::from_millis(5)) {
                Ok(event) => {
                    self.take_in(event);
                    while let Ok(event) = self.events.try_recv() {
                        self.take_in(event);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => bail!("the observers have ended"),
            }
            self.show_settled();
            if Instant::now() > deadline {
                bail!(
                    "this did not happen within {} s: {what}",
                    patience.as_secs()
                );
            }
        }
        Ok(())
    }

    /// Shows what happens for a while.
    pub fn linger(&mut self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        self.until("nothing", time + PATIENCE, |_| Instant::now() >= end)
    }

    /// Shows what the list of sockets says at an end.
    pub fn show_sockets(&mut self, side: Side, options: &str, states: u32) -> Result<()> {
        let family = self.family(side);
        let mut sockets = self.network.namespace(side).run(|| {
            let diag = SockDiag::open()?;
            ss::list(&diag, family, states)
        })?;
        sockets.retain(|s| s.local.port() == self.port || s.peer.port() == self.port);
        let table = ss::Table {
            header: true,
            syn_queue: true,
            timers: true,
            ..ss::Table::default()
        };
        let inet = if family == Family::INET {
            " --family inet"
        } else {
            ""
        };
        let prompt = format!("{}# oxtcp ss {options}{inet}", side.name());
        self.gap();
        self.line(&self.pen.ink(Ink::Heading, &format!("  {prompt}")));
        for line in table.render(&sockets).lines() {
            self.line(&format!("  {line}"));
        }
        self.gap();
        Ok(())
    }

    /// The family of an end.
    pub fn family(&self, side: Side) -> Family {
        self.families[usize::from(self.families[0].0 != side)].1
    }

    /// A blank line, unless there is one.
    pub fn gap(&self) {
        if !self.blank.get() {
            self.line("");
        }
    }

    /// A line of text.
    pub fn line(&self, text: &str) {
        self.blank.set(text.is_empty());
        print_line(text);
    }

    /// Leaves time to read.
    pub fn pause(&mut self) -> Result<()> {
        self.linger(self.pace * 6)
    }

    fn take_in(&mut self, event: Event) {
        let order = match event.what {
            What::Call(..) | What::Segment(_) => event.at.saturating_sub(CLOCK_ERROR),
            What::Change(_) | What::Sockets(..) => event.at,
        };
        self.pending.insert(order, event);
    }

    fn show_settled(&mut self) {
        while let Some(mut event) = self.pending.settled(now()) {
            event.at = event.at.max(self.shown);
            self.shown = event.at;
            for row in self.world.apply(&event) {
                self.draw(&row);
            }
        }
    }

    fn draw(&self, row: &Row) {
        self.line(&self.pen.draw(row, self.start));
        thread::sleep(self.pace);
    }
}

/// A line on standard output. Where nobody reads it the outcome still counts.
pub fn print_line(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

impl Drop for Observers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                eprintln!("oxtcp: an observer panicked");
            }
        }
    }
}
