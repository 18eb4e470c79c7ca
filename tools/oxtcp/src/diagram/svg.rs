// SPDX-License-Identifier: GPL-2.0
//! Sequence diagrams as an SVG file.

use std::fmt::Write;
use std::time::Duration;

use super::row::{listener_text, queues_text, Content};
use super::{Row, Side};

/// Size of the page and its parts, in px.
const WIDTH: u32 = 900;
const LINE: u32 = 22;
const MARGIN: u32 = 20;
/// Where the lifelines of the two ends stand.
const LEFT: u32 = 240;
const RIGHT: u32 = 680;

/// Diagrams, one under the other.
#[derive(Default)]
pub struct Drawing {
    parts: Vec<Part>,
}

/// One connection's.
struct Part {
    client: String,
    server: String,
    rows: Vec<Row>,
}

impl Drawing {
    /// Adds the diagram of a connection, under the names of its ends.
    pub fn add(&mut self, client: &str, server: &str, rows: Vec<Row>) {
        self.parts.push(Part {
            client: client.to_owned(),
            server: server.to_owned(),
            rows,
        });
    }

    /// The file, with times since `start`.
    pub fn render(&self, start: Duration) -> String {
        let mut body = String::new();
        let mut y = MARGIN;
        for part in &self.parts {
            part.draw(&mut body, &mut y, start);
            y += LINE;
        }
        let height = y.max(2 * MARGIN);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
             viewBox=\"0 0 {WIDTH} {height}\">\n{STYLE}\
             <rect width=\"100%\" height=\"100%\" class=\"page\"/>\n{body}</svg>\n"
        )
    }
}

const STYLE: &str = "<style>
text { font: 13px ui-monospace, 'DejaVu Sans Mono', monospace; fill: #222 }
.page { fill: #fff }
.end { font-weight: bold; text-anchor: middle }
.time { fill: #888; font-size: 11px }
.life { stroke: #bbb; stroke-width: 2 }
.state { font-weight: bold; fill: #187a2f }
.call { fill: #0b6a8a }
.queue { fill: #8a3a9c }
.trouble { fill: #c01818; font-weight: bold }
.arrow text { text-anchor: middle; font-size: 12px }
.arrow line { stroke-width: 1.5 }
.server line { stroke: #a36a00 } .server path { fill: #a36a00 }
.client line { stroke: #2a55c0 } .client path { fill: #2a55c0 }
.left { text-anchor: end }
.dots { text-anchor: middle; fill: #888 }
</style>
";

impl Part {
    fn draw(&self, out: &mut String, y: &mut u32, start: Duration) {
        *y += LINE;
        for (x, name) in [(LEFT, &self.client), (RIGHT, &self.server)] {
            let name = escape(name);
            line(
                out,
                &format!("<text class=\"end\" x=\"{x}\" y=\"{y}\">{name}</text>"),
            );
        }
        let top = *y + LINE / 2;
        let bottom = top + LINE * (self.rows.len() as u32 + 1);
        for x in [LEFT, RIGHT] {
            line(
                out,
                &format!(
                    "<line class=\"life\" x1=\"{x}\" y1=\"{top}\" x2=\"{x}\" y2=\"{bottom}\"/>"
                ),
            );
        }
        *y = top;
        for row in &self.rows {
            *y += LINE;
            draw_row(out, *y, row, start);
        }
        *y = bottom;
    }
}

fn draw_row(out: &mut String, y: u32, row: &Row, start: Duration) {
    if let Some(at) = row.at {
        let seconds = at.saturating_sub(start).as_secs_f64();
        line(
            out,
            &format!("<text class=\"time\" x=\"8\" y=\"{y}\">{seconds:.3}</text>"),
        );
    }
    match &row.what {
        Content::State(side, state) => beside(out, y, *side, "state", state.rfc_name()),
        Content::Listener(state) => beside(out, y, Side::Server, "state", &listener_text(*state)),
        Content::Call(side, text) => beside(out, y, *side, "call", text),
        Content::Trouble(side, text) => beside(out, y, *side, "trouble", text),
        Content::Queues(queues) => beside(out, y, Side::Server, "queue", &queues_text(*queues)),
        Content::Arrow { to, text } => arrow(out, y, *to, text),
        Content::Ellipsis => {
            let x = (LEFT + RIGHT) / 2;
            line(
                out,
                &format!("<text class=\"dots\" x=\"{x}\" y=\"{y}\">⋮</text>"),
            );
        }
    }
}

/// A text outside of the lifelines.
fn beside(out: &mut String, y: u32, side: Side, class: &str, text: &str) {
    let text = escape(text);
    line(
        out,
        &match side {
            Side::Client => {
                let x = LEFT - 10;
                format!("<text class=\"{class} left\" x=\"{x}\" y=\"{y}\">{text}</text>")
            }
            Side::Server => {
                let x = RIGHT + 10;
                format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>")
            }
        },
    );
}

fn arrow(out: &mut String, y: u32, to: Side, text: &str) {
    const HEAD: u32 = 8;
    let middle = (LEFT + RIGHT) / 2;
    let (class, from, tip, back) = match to {
        Side::Server => ("server", LEFT, RIGHT, RIGHT - HEAD),
        Side::Client => ("client", RIGHT, LEFT, LEFT + HEAD),
    };
    let (above, below) = (y - 4, y + 4);
    let label = y - 3;
    let text = escape(text);
    line(
        out,
        &format!(
            "<g class=\"arrow {class}\"><text x=\"{middle}\" y=\"{label}\">{text}</text>\
             <line x1=\"{from}\" y1=\"{y}\" x2=\"{back}\" y2=\"{y}\"/>\
             <path d=\"M{tip} {y}L{back} {above}V{below}Z\"/></g>"
        ),
    );
}

fn line(out: &mut String, text: &str) {
    let _ = writeln!(out, "{text}");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::State;

    fn drawing() -> String {
        let at = Duration::from_millis(1250);
        let mut drawing = Drawing::default();
        drawing.add(
            "10.0.0.1:61000",
            "10.0.0.2:7000",
            vec![
                Row::state(Side::Client, State::SynSent).at(at),
                Row::arrow(Side::Server, "SYN seq=0".into()).at(at),
                Row::arrow(Side::Client, "SYN,ACK seq=0".into()).at(at),
                Row::trouble(Side::Server, "drops <it> & more".into()).at(at),
                Row::ellipsis(),
            ],
        );
        drawing.render(Duration::from_secs(1))
    }

    #[test]
    fn all_rows_are_in_it() {
        let svg = drawing();
        for part in [
            "10.0.0.1:61000</text>",
            ">SYN-SENT</text>",
            ">0.250</text>",
            "arrow server\"><text x=\"460\"",
            "arrow client\"",
            "drops &lt;it&gt; &amp; more",
            "⋮",
        ] {
            assert!(svg.contains(part), "{part}");
        }
    }

    #[test]
    fn every_element_is_closed() {
        let svg = drawing();
        for name in ["svg", "g", "text", "style"] {
            let opened = svg.matches(&format!("<{name}")).count();
            let closed = svg.matches(&format!("</{name}>")).count();
            assert_eq!(opened, closed, "{name}");
        }
        assert_eq!(
            Drawing::default()
                .render(Duration::ZERO)
                .matches("<text")
                .count(),
            0
        );
    }

    #[test]
    fn the_page_holds_all_rows() {
        let svg = drawing();
        let number = |text: &str| text.split('"').next().unwrap().parse::<u32>().unwrap();
        let height = number(svg.split("height=\"").nth(1).unwrap());
        for y in svg.split(" y=\"").skip(1).map(number) {
            assert!(y < height);
        }
    }
}
