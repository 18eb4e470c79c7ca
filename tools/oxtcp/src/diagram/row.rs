// SPDX-License-Identifier: GPL-2.0
//! Rows of the sequence diagram: what stands in them, and how they are drawn.

use std::time::Duration;

use super::{Queues, Side};
use crate::state::State;

/// Width of everything, in columns.
pub const WIDTH: usize = 100;
/// Width of the time, in s with ms.
const TIME: usize = 6;
/// Width of the client's column.
const LEFT: usize = 16;
/// Width between the two lifelines.
const MIDDLE: usize = 49;

/// One line of the diagram.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    pub(super) at: Option<Duration>,
    pub(super) what: Content,
}

/// What stands in a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Content {
    State(Side, State),
    Listener(State),
    Call(Side, String),
    Trouble(Side, String),
    Queues(Queues),
    Arrow { to: Side, text: String },
    Ellipsis,
}

impl Row {
    /// An end enters a state.
    pub fn state(side: Side, state: State) -> Row {
        Content::State(side, state).into()
    }

    /// The listener enters a state.
    pub fn listener(state: State) -> Row {
        Content::Listener(state).into()
    }

    /// A program calls the kernel.
    pub fn call(side: Side, text: &str) -> Row {
        Content::Call(side, text.to_owned()).into()
    }

    /// An end drops a segment, or sends one again.
    pub fn trouble(side: Side, text: String) -> Row {
        Content::Trouble(side, text).into()
    }

    /// The listener's queues have changed.
    pub fn queues(queues: Queues) -> Row {
        Content::Queues(queues).into()
    }

    /// A segment arrives.
    pub fn arrow(to: Side, text: String) -> Row {
        Content::Arrow { to, text }.into()
    }

    /// Segments are left out.
    pub fn ellipsis() -> Row {
        Content::Ellipsis.into()
    }

    /// When it happened.
    pub fn at(self, at: Duration) -> Row {
        Row {
            at: Some(at),
            ..self
        }
    }

    /// Its words only.
    #[cfg(test)]
    pub fn plain(&self) -> String {
        match &self.what {
            Content::State(side, state) => format!("{} {}", side.name(), state.rfc_name()),
            Content::Listener(state) => listener_text(*state),
            Content::Call(side, text) | Content::Trouble(side, text) => {
                format!("{} {text}", side.name())
            }
            Content::Queues(queues) => queues_text(*queues),
            Content::Arrow {
                to: Side::Server,
                text,
            } => format!("{text} >"),
            Content::Arrow {
                to: Side::Client,
                text,
            } => format!("< {text}"),
            Content::Ellipsis => "...".into(),
        }
    }
}

impl From<Content> for Row {
    fn from(what: Content) -> Row {
        Row { at: None, what }
    }
}

pub(super) fn listener_text(state: State) -> String {
    format!("{} (listener)", state.rfc_name())
}

pub(super) fn queues_text(queues: Queues) -> String {
    format!(
        "SYN queue {}, accept {}/{}",
        queues.syn, queues.accept, queues.limit
    )
}

/// A number of bytes in at most five characters, exact below 100,000.
pub fn human_bytes(bytes: u64) -> String {
    match bytes {
        0..=99_999 => bytes.to_string(),
        100_000..=1_048_575 => format!("{}K", bytes >> 10),
        1_048_576..=104_805_171 => format!("{:.1}M", bytes as f64 / f64::from(1 << 20)),
        _ => format!("{}M", bytes >> 20),
    }
}

/// What a piece of text is, for its colour.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ink {
    /// Ordinary text.
    Plain,
    /// Times, lines.
    Faint,
    /// States.
    State,
    /// System calls.
    Call,
    /// Lengths of queues.
    Queue,
    /// Segments to the server.
    ToServer,
    /// Segments to the client.
    ToClient,
    /// Headings.
    Heading,
    /// What is as it should be.
    Good,
    /// What is not.
    Bad,
}

/// Draws rows, with or without colour and Unicode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pen {
    /// Colours, and characters beyond ASCII.
    pub rich: bool,
}

impl Pen {
    /// Text in a colour.
    pub fn ink(self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Plain => return text.to_owned(),
            _ if !self.rich || text.is_empty() => return text.to_owned(),
            Ink::Faint => "2",
            Ink::State => "1;32",
            Ink::Call => "36",
            Ink::Queue => "35",
            Ink::ToServer => "33",
            Ink::ToClient => "94",
            Ink::Heading => "1",
            Ink::Good => "32",
            Ink::Bad => "1;31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// A row, with times since `start`.
    pub fn draw(self, row: &Row, start: Duration) -> String {
        let time = row.at.map_or(String::new(), |at| {
            format!("{:.3}", at.saturating_sub(start).as_secs_f64())
        });
        let (mut left, mut middle, mut right) = (
            (Ink::Plain, String::new()),
            (Ink::Plain, String::new()),
            (Ink::Plain, String::new()),
        );
        match &row.what {
            Content::State(side, state) => {
                let cell = (Ink::State, state.rfc_name().to_owned());
                *side_cell(*side, &mut left, &mut right) = cell;
            }
            Content::Call(side, text) => {
                *side_cell(*side, &mut left, &mut right) = (Ink::Call, text.clone());
            }
            Content::Trouble(side, text) => {
                *side_cell(*side, &mut left, &mut right) = (Ink::Bad, text.clone());
            }
            Content::Listener(state) => right = (Ink::State, listener_text(*state)),
            Content::Queues(queues) => right = (Ink::Queue, queues_text(*queues)),
            Content::Arrow { to, text } => {
                let ink = if *to == Side::Server {
                    Ink::ToServer
                } else {
                    Ink::ToClient
                };
                middle = (ink, self.arrow(*to, text));
            }
            Content::Ellipsis => {
                let dots = if self.rich { "⋮" } else { ":" };
                middle = (Ink::Faint, format!("{dots:^MIDDLE$}"));
            }
        }
        let line = self.ink(Ink::Faint, if self.rich { "│" } else { "|" });
        let cells = [
            self.ink(Ink::Faint, &format!("{time:>TIME$}")),
            format!(" {}", self.ink(left.0, &format!("{:>LEFT$}", left.1))),
            format!(
                " {line}{}{line} ",
                self.ink(middle.0, &format!("{:MIDDLE$}", middle.1))
            ),
            self.ink(right.0, &right.1),
        ];
        cells.concat().trim_end().to_owned()
    }

    /// An arrow over the whole middle, with a text in it.
    fn arrow(self, to: Side, text: &str) -> String {
        let (dash, right, left, cut) = if self.rich {
            ("─", "▶", "◀", "…")
        } else {
            ("-", ">", "<", "~")
        };
        // Head, a dash, blanks around the text.
        let room = MIDDLE - 4;
        let mut text = text.to_owned();
        if text.chars().count() > room {
            text = text.chars().take(room - 1).collect::<String>() + cut;
        }
        let filled = dash.repeat(room - text.chars().count());
        match to {
            Side::Server => format!("{dash} {text} {filled}{right}"),
            Side::Client => format!("{left}{dash} {text} {filled}"),
        }
    }

    /// A line across, with a title in it.
    pub fn rule(self, title: &str) -> String {
        let dash = if self.rich { "━" } else { "=" };
        let rest = WIDTH.saturating_sub(title.chars().count() + 4);
        self.ink(
            Ink::Heading,
            &format!("{} {title} {}", dash.repeat(2), dash.repeat(rest)),
        )
    }
}

fn side_cell<'a, T>(side: Side, left: &'a mut T, right: &'a mut T) -> &'a mut T {
    match side {
        Side::Client => left,
        Side::Server => right,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Pen = Pen { rich: false };

    #[test]
    fn rows_stand_under_each_other() {
        let at = Duration::from_millis(2_053);
        let start = Duration::from_secs(1);
        let draw = |row: Row| PLAIN.draw(&row.at(at), start);
        assert_eq!(
            draw(Row::state(Side::Client, State::SynSent)),
            format!(" 1.053         SYN-SENT |{:49}|", "")
        );
        assert_eq!(
            draw(Row::state(Side::Server, State::SynReceived)),
            format!(" 1.053 {:16} |{:49}| SYN-RECEIVED", "", "")
        );
        assert_eq!(
            draw(Row::arrow(Side::Server, "SYN seq=0".into())),
            format!(" 1.053 {:16} |- SYN seq=0 {}>|", "", "-".repeat(36))
        );
        assert_eq!(
            draw(Row::arrow(Side::Client, "ACK seq=0".into())),
            format!(" 1.053 {:16} |<- ACK seq=0 {}|", "", "-".repeat(36))
        );
    }

    #[test]
    fn nothing_is_wider_than_the_page() {
        let queues = Queues {
            syn: 128,
            accept: 4096,
            limit: 4096,
        };
        for row in [
            Row::arrow(Side::Client, "x".repeat(200)),
            Row::queues(Queues {
                syn: 3,
                accept: 3,
                limit: 4,
            }),
            Row::state(Side::Server, State::SynReceived),
            Row::ellipsis(),
        ] {
            for rich in [false, true] {
                let drawn = Pen { rich }.draw(&row, Duration::ZERO);
                assert!(visible(&drawn) <= WIDTH, "{drawn}");
            }
        }
        assert_eq!(queues_text(queues), "SYN queue 128, accept 4096/4096");
        assert_eq!(visible(&PLAIN.rule("title")), WIDTH);
    }

    /// Characters without escape sequences.
    fn visible(text: &str) -> usize {
        let mut count = 0;
        let mut escape = false;
        for c in text.chars() {
            match (c, escape) {
                ('\x1b', _) => escape = true,
                ('m', true) => escape = false,
                (_, false) => count += 1,
                _ => {}
            }
        }
        count
    }

    #[test]
    fn no_escape_sequence_without_colour() {
        let row = Row::state(Side::Client, State::Closed);
        assert!(PLAIN.draw(&row, Duration::ZERO).is_ascii());
        assert!(!PLAIN.draw(&row, Duration::ZERO).contains('\x1b'));
        assert!(Pen { rich: true }
            .draw(&row, Duration::ZERO)
            .contains('\x1b'));
    }

    #[test]
    fn bytes_are_short() {
        for (bytes, text) in [
            (0, "0"),
            (65_535, "65535"),
            (300 << 10, "300K"),
            (4_203_520, "4.0M"),
            (1 << 30, "1024M"),
        ] {
            assert_eq!(human_bytes(bytes), text);
        }
    }
}
