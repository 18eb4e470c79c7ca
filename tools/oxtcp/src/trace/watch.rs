// SPDX-License-Identifier: GPL-2.0
//! The observers of a trace, and their events in order.

use std::net::SocketAddrV4;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;
use oxtcp::Family;

use crate::observe::{now, Buffer, Capture, Captured, Line, Order, Record, Trace};
use crate::ss::filter::{Filter, Subject};

/// How far the clock that stamps segments may be behind that of tracepoints. By so much a segment
/// goes before the change of state that follows from it.
const CLOCK_ERROR: Duration = Duration::from_micros(200);

/// Something that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A tracepoint told of it.
    Trace(Trace),
    /// A segment was seen.
    Segment(Captured),
}

impl Event {
    /// When, of `CLOCK_MONOTONIC`.
    pub fn at(&self) -> Duration {
        match self {
            Event::Trace(trace) => trace.at,
            Event::Segment(seen) => seen.at,
        }
    }

    /// Its two ends; for a tracepoint the first is that of the socket.
    pub fn ends(&self) -> (SocketAddrV4, SocketAddrV4) {
        match self {
            Event::Trace(trace) => (trace.local, trace.peer),
            Event::Segment(seen) => (seen.segment.source, seen.segment.destination),
        }
    }

    /// Whether a filter admits it. Which end of a segment is the local one is not known: it passes
    /// when it would either way.
    pub fn passes(&self, filter: &Filter) -> bool {
        let (a, b) = self.ends();
        let admits = |local, peer| filter.admits(&Subject::of_ends(local, peer));
        admits(a, b) || matches!(self, Event::Segment(_)) && admits(b, a)
    }
}

/// What an observer reports.
enum Report {
    Event(Event),
    Lost(u64),
}

/// The observers.
pub struct Watch {
    reports: Receiver<Report>,
    pending: Order<Event>,
    lost: u64,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    // Removed when the threads have ended.
    _buffer: Buffer,
}

impl Watch {
    /// Starts them.
    pub fn start(family: Family, segments: bool) -> Result<Watch> {
        let (sender, reports) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let buffer = Buffer::set_up(&records(family))?;
        let tracing = buffer.start(stop.clone(), line_to(sender.clone()))?;
        let mut watch = Watch {
            reports,
            pending: Order::new(),
            lost: 0,
            stop: stop.clone(),
            threads: vec![tracing],
            _buffer: buffer,
        };
        if segments {
            let capture = Capture::open()?;
            let capturing = capture.start(stop, move |seen| {
                sender.send(Report::Event(Event::Segment(seen))).is_ok()
            });
            watch.threads.push(capturing);
        }
        Ok(watch)
    }

    /// The next event in the order of time; `None` when there is none within `patience`.
    pub fn next(&mut self, patience: Duration) -> Option<Event> {
        if let Ok(report) = self.reports.recv_timeout(patience) {
            self.take_in(report);
        }
        while let Ok(report) = self.reports.try_recv() {
            self.take_in(report);
        }
        self.pending.settled(now())
    }

    /// How many events found no room in the kernel's buffer.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    fn take_in(&mut self, report: Report) {
        match report {
            Report::Lost(count) => self.lost += count,
            Report::Event(event) => {
                let at = match event {
                    Event::Segment(seen) => seen.at.saturating_sub(CLOCK_ERROR),
                    Event::Trace(_) => event.at(),
                };
                self.pending.insert(at, event);
            }
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                eprintln!("oxtcp: an observer panicked");
            }
        }
    }
}

fn line_to(sender: Sender<Report>) -> impl FnMut(Line) -> bool + Send {
    move |line| {
        let report = match line {
            Line::Trace(trace) => Report::Event(Event::Trace(trace)),
            Line::Lost(count) => Report::Lost(count),
        };
        sender.send(report).is_ok()
    }
}

/// The tracepoints of a family. The kernel's own TCP has none for drops that names a connection.
fn records(family: Family) -> Vec<Record> {
    let record = |event, filter: String| Record {
        event,
        filter,
        optional: false,
    };
    let number = family.number();
    let mut records = vec![record(
        "sock/inet_sock_set_state",
        format!("family == {number} && protocol == 6"),
    )];
    if family == Family::INET {
        records.push(record(
            "tcp/tcp_retransmit_skb",
            format!("family == {number}"),
        ));
    } else {
        for event in [
            "oxtcp/oxtcp_set_state",
            "oxtcp/oxtcp_retransmit",
            "oxtcp/oxtcp_drop",
        ] {
            records.push(record(event, "0".to_owned()));
        }
    }
    records
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{Flags, Segment, Told};

    #[test]
    fn a_segment_passes_whichever_end_is_ours() {
        let (a, b) = ("10.0.0.1:61000", "10.0.0.2:80");
        let segment = Event::Segment(Captured {
            at: Duration::ZERO,
            segment: Segment {
                source: a.parse().unwrap(),
                destination: b.parse().unwrap(),
                seq: 0,
                ack: 0,
                len: 0,
                window: 0,
                flags: Flags::default(),
                mss: None,
                wscale: None,
            },
        });
        let trace = Event::Trace(Trace {
            at: Duration::ZERO,
            local: a.parse().unwrap(),
            peer: b.parse().unwrap(),
            netns: None,
            what: Told::Drop {
                reason: "Paws".into(),
            },
        });
        let passes =
            |event: &Event, text: &str| event.passes(&Filter::parse(&[text.to_owned()]).unwrap());
        assert!(passes(&segment, "sport = :80"));
        assert!(passes(&segment, "dport = :80"));
        assert!(!passes(&segment, "dport = :81"));
        assert!(passes(&trace, "dport = :80"));
        assert!(!passes(&trace, "sport = :80"));
        assert!(passes(&trace, ""));
    }
}
