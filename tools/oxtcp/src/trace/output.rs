// SPDX-License-Identifier: GPL-2.0
//! Events as lines, as JSON, as diagrams.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Result;
use serde_json::{json, Value};

use super::flow::Flows;
use super::watch::Event;
use super::Args;
use crate::diagram::{Drawing, Pen};
use crate::observe::{Segment, Told, Trace, Tracepoint};
use crate::ss::write_out;

/// In which form events are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    Lines,
    Json,
    Diagram(Pen),
}

/// Where events are shown.
pub struct Output {
    form: Form,
    /// Whether segments have a line each.
    segments: bool,
    /// Whether diagrams are wanted, at once or in the end.
    draws: bool,
    start: Duration,
    flows: Flows,
    /// The connection that the diagram's last row was of.
    last: Option<usize>,
    shown: u64,
}

impl Output {
    /// As the options ask, with times since `start`.
    pub fn new(args: &Args, start: Duration) -> Output {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let rich = args.color || (std::io::stdout().is_terminal() && !no_color);
        let form = match (args.json, args.diagram) {
            (true, _) => Form::Json,
            (false, true) => Form::Diagram(Pen { rich }),
            (false, false) => Form::Lines,
        };
        Output {
            form,
            segments: args.segments,
            draws: args.diagram || args.svg.is_some(),
            start,
            flows: Flows::default(),
            last: None,
            shown: 0,
        }
    }

    /// Whether segments are to be observed.
    pub fn wants_segments(&self) -> bool {
        self.segments || self.draws
    }

    /// How many events were shown.
    pub fn shown(&self) -> u64 {
        self.shown
    }

    /// Shows an event.
    pub fn show(&mut self, event: &Event) -> Result<()> {
        let drawn = if self.draws {
            self.flows.apply(event)
        } else {
            None
        };
        let silent = matches!(event, Event::Segment(_)) && !self.segments;
        match self.form {
            Form::Diagram(pen) => match drawn {
                Some((place, new)) if new > 0 => self.draw(pen, place, new)?,
                _ => return Ok(()),
            },
            _ if silent => return Ok(()),
            Form::Lines => write_out(&line(event, self.start))?,
            Form::Json => write_out(&format!("{}\n", object(event)))?,
        }
        self.shown += 1;
        Ok(())
    }

    fn draw(&mut self, pen: Pen, place: usize, new: usize) -> Result<()> {
        let flow = self.flows.get(place);
        if self.last.replace(place) != Some(place) {
            let title = format!("{}  <->  {}", flow.client, flow.server);
            write_out(&format!("\n{}\n", pen.rule(&title)))?;
        }
        let first = flow.rows.len() - new;
        for row in &flow.rows[first..] {
            write_out(&format!("{}\n", pen.draw(row, self.start)))?;
        }
        Ok(())
    }

    /// All connections' diagrams.
    pub fn svg(&self) -> String {
        let mut drawing = Drawing::default();
        for flow in self.flows.iter().filter(|flow| !flow.rows.is_empty()) {
            drawing.add(
                &flow.client.to_string(),
                &flow.server.to_string(),
                flow.rows.clone(),
            );
        }
        drawing.render(self.start)
    }
}

fn line(event: &Event, start: Duration) -> String {
    let (from, to) = event.ends();
    let what = match event {
        Event::Segment(seen) => segment_text(&seen.segment),
        Event::Trace(trace) => match &trace.what {
            Told::State { old, new, .. } => {
                format!("{} -> {}", old.rfc_name(), new.rfc_name())
            }
            Told::Retransmit { seq, len } => {
                let number = |name: &str, value: &Option<u32>| {
                    value.map_or(String::new(), |value| format!(" {name}={value}"))
                };
                format!("retransmits{}{}", number("seq", seq), number("len", len))
            }
            Told::Drop { reason } => format!("drops: {reason}"),
        },
    };
    let time = event.at().saturating_sub(start).as_secs_f64();
    // A tracepoint is of one end, a segment goes from one to the other.
    let arrow = match event {
        Event::Segment(_) => ">",
        Event::Trace(_) => "-",
    };
    format!("{time:>11.6} {from:>21} {arrow} {to:<21} {what}\n")
}

fn segment_text(segment: &Segment) -> String {
    let names = segment.flags.names().join(",");
    let Segment {
        seq,
        ack,
        len,
        window,
        ..
    } = segment;
    format!("{names} seq={seq} ack={ack} len={len} win={window}")
}

fn object(event: &Event) -> Value {
    let time = event.at().as_secs_f64();
    match event {
        Event::Segment(seen) => {
            let segment = &seen.segment;
            json!({
                "time": time,
                "event": "segment",
                "source": segment.source.to_string(),
                "destination": segment.destination.to_string(),
                "flags": segment.flags.names(),
                "seq": segment.seq,
                "ack": segment.ack,
                "len": segment.len,
                "window": segment.window,
                "mss": segment.mss,
                "wscale": segment.wscale,
            })
        }
        Event::Trace(trace) => trace_object(trace, time),
    }
}

fn trace_object(trace: &Trace, time: f64) -> Value {
    let mut object = json!({
        "time": time,
        "local": trace.local.to_string(),
        "peer": trace.peer.to_string(),
        "netns": trace.netns,
    });
    let more = match &trace.what {
        Told::State { by, old, new } => json!({
            "event": "state",
            "of": match by {
                Tracepoint::Socket => "socket",
                Tracepoint::Entry => "entry",
            },
            "old": old.rfc_name(),
            "new": new.rfc_name(),
        }),
        Told::Retransmit { seq, len } => json!({
            "event": "retransmit",
            "seq": seq,
            "len": len,
        }),
        Told::Drop { reason } => json!({
            "event": "drop",
            "reason": reason,
        }),
    };
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;

    fn told(what: Told) -> Event {
        Event::Trace(Trace {
            at: Duration::from_millis(12_500),
            local: "10.0.0.1:61000".parse().unwrap(),
            peer: "10.0.0.2:80".parse().unwrap(),
            netns: Some(7),
            what,
        })
    }

    fn closing() -> Event {
        told(Told::State {
            by: Tracepoint::Entry,
            old: State::FinWait2,
            new: State::TimeWait,
        })
    }

    #[test]
    fn lines_stand_under_each_other() {
        let start = Duration::from_secs(12);
        assert_eq!(
            line(&closing(), start),
            "   0.500000        10.0.0.1:61000 - 10.0.0.2:80           FIN-WAIT-2 -> TIME-WAIT\n"
        );
        let drop = told(Told::Drop {
            reason: "Paws".into(),
        });
        assert!(line(&drop, start).ends_with(" drops: Paws\n"));
        let again = told(Told::Retransmit {
            seq: Some(5),
            len: None,
        });
        assert!(line(&again, start).ends_with(" retransmits seq=5\n"));
    }

    #[test]
    fn objects_have_the_same_fields_first() {
        assert_eq!(
            object(&closing()),
            json!({
                "time": 12.5,
                "event": "state",
                "of": "entry",
                "local": "10.0.0.1:61000",
                "peer": "10.0.0.2:80",
                "netns": 7,
                "old": "FIN-WAIT-2",
                "new": "TIME-WAIT",
            })
        );
    }
}
