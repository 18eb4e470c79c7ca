// SPDX-License-Identifier: GPL-2.0
//! The screen.

use std::collections::VecDeque;

use oxtcp::Family;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Cell, Paragraph, Row, Sparkline, Table};
use ratatui::Frame;

use super::board::{Board, Connection, SortKey};
use crate::diag::units::{rate, significant};
use crate::state::State;

/// Lines of the plot of all connections together, with its border.
const PLOT: u16 = 5;
/// Below so many lines there is no plot.
const LINES_FOR_PLOT: u16 = 14;
/// Columns of a connection's own plot.
const SMALL_PLOT: usize = 16;
/// Eighths of a line.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What is shown, and how.
pub struct View {
    family: Family,
    /// By what the connections are ordered.
    pub sort: SortKey,
    /// Whether the other way round.
    pub reverse: bool,
    /// Whether the connections are not looked at.
    pub paused: bool,
    /// The first connection shown.
    first: usize,
}

impl View {
    /// From the first connection on.
    pub fn new(family: Family, sort: SortKey) -> View {
        View {
            family,
            sort,
            reverse: false,
            paused: false,
            first: 0,
        }
    }

    /// Moves over the connections.
    pub fn scroll(&mut self, by: isize) {
        self.first = self.first.saturating_add_signed(by);
    }

    /// Draws the board.
    pub fn draw(&mut self, frame: &mut Frame<'_>, board: &Board) {
        let connections = board.sorted(self.sort, self.reverse);
        let plot = if frame.area().height < LINES_FOR_PLOT {
            0
        } else {
            PLOT
        };
        let [head, middle, table] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(plot),
            Constraint::Min(1),
        ])
        .areas(frame.area());
        frame.render_widget(self.head(board, connections.len()), head);
        draw_plot(frame, middle, board);
        let room = usize::from(table.height.saturating_sub(1));
        self.first = self.first.min(connections.len().saturating_sub(room));
        let shown = connections.iter().skip(self.first).take(room);
        frame.render_widget(table_of(shown.map(|c| row(c)).collect()), table);
    }

    fn head(&self, board: &Board, count: usize) -> Paragraph<'static> {
        let (out, into) = board.totals();
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let order = if self.reverse { ", reversed" } else { "" };
        let paused = if self.paused { "  PAUSED" } else { "" };
        Paragraph::new(Line::from(vec![
            Span::styled(format!("{}  ", self.family), bold),
            Span::raw(format!(
                "{count} connections  out {}  in {}  ",
                rate(out),
                rate(into)
            )),
            Span::raw(format!("by {}{order}", self.sort.name())),
            Span::styled(paused, bold),
            Span::styled(
                "  q:quit p:pause R:reverse r/t/c/x/u/s/a:order",
                Style::new().fg(Color::DarkGray),
            ),
        ]))
    }
}

fn draw_plot(frame: &mut Frame<'_>, area: Rect, board: &Board) {
    let width = usize::from(area.width.saturating_sub(2));
    let skipped = board.rates.len().saturating_sub(width);
    let rates: Vec<u64> = board.rates.iter().skip(skipped).copied().collect();
    let most = rates.iter().max().copied().unwrap_or(0);
    let title = format!(" all together, at most {} ", rate(most as f64));
    let plot = Sparkline::default()
        .block(Block::new().borders(Borders::ALL).title(title))
        .style(Style::new().fg(Color::Cyan))
        .data(&rates);
    frame.render_widget(plot, area);
}

fn table_of(rows: Vec<Row<'_>>) -> Table<'_> {
    let header = Row::new([
        "State", "Local", "Peer", "Out", "In", "RTT", "Cwnd", "Retr", "Queued", "CC", "Rate",
    ])
    .style(Style::new().add_modifier(Modifier::BOLD | Modifier::UNDERLINED));
    let widths = [
        Constraint::Length(10),
        Constraint::Length(21),
        Constraint::Length(21),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(8),
        Constraint::Length(5),
        Constraint::Length(5),
        Constraint::Length(7),
        Constraint::Length(6),
        Constraint::Fill(1),
    ];
    Table::new(rows, widths).header(header).column_spacing(1)
}

fn row(connection: &Connection) -> Row<'static> {
    let state = match connection.state {
        State::Established => Style::new().fg(Color::Green),
        State::TimeWait => Style::new().fg(Color::DarkGray),
        _ => Style::new().fg(Color::Yellow),
    };
    let troubled = if connection.retransmissions > 0 {
        Style::new().fg(Color::Red)
    } else {
        Style::new()
    };
    let rtt = match connection.rtt {
        0 => "-".to_owned(),
        us => format!("{}ms", significant(f64::from(us) / 1000.0, 3)),
    };
    Row::new([
        Cell::from(connection.state.ss_name()).style(state),
        Cell::from(connection.local.to_string()),
        Cell::from(connection.peer.to_string()),
        Cell::from(rate(connection.rate_out)),
        Cell::from(rate(connection.rate_in)),
        Cell::from(rtt),
        Cell::from(connection.cwnd.to_string()),
        Cell::from(connection.retransmissions.to_string()).style(troubled),
        Cell::from(connection.queued.to_string()),
        Cell::from(connection.congestion.clone()),
        Cell::from(small_plot(&connection.rates)).style(Style::new().fg(Color::Cyan)),
    ])
}

/// The last rates as bars in one line.
fn small_plot(rates: &VecDeque<u64>) -> String {
    let skipped = rates.len().saturating_sub(SMALL_PLOT);
    let rates = || rates.iter().skip(skipped);
    let most = rates().max().copied().unwrap_or(0).max(1);
    rates()
        .map(|&rate| {
            let eighth = u128::from(rate) * (BARS.len() as u128 - 1) / u128::from(most);
            BARS[eighth as usize]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_relative_to_the_highest() {
        assert_eq!(small_plot(&VecDeque::new()), "");
        assert_eq!(small_plot(&[0, 0].into()), "▁▁");
        assert_eq!(small_plot(&[0, 50, 100].into()), "▁▄█");
        assert_eq!(small_plot(&[u64::MAX].into()), "█");
        assert_eq!(small_plot(&[7; 50].into()).chars().count(), SMALL_PLOT);
    }
}
