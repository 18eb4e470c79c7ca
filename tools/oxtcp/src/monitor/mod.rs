// SPDX-License-Identifier: GPL-2.0
//! `oxtcp monitor`: a full-screen view of connections.

mod board;
mod view;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::Terminal;

use crate::diag::SockDiag;
use crate::family::FamilyArg;
use crate::netns::NetnsArg;
use crate::ss::filter::Filter;
use crate::ss::{self, write_out};
use crate::state::{State, ALL_BITS};
use board::{Board, SortKey};
use view::View;

/// Options of `oxtcp monitor`.
#[derive(clap::Args)]
#[command(after_help = KEYS)]
pub struct Args {
    /// Seconds from one look at the connections to the next
    #[arg(short, long, value_name = "SECONDS", default_value_t = 1.0, value_parser = seconds)]
    interval: f64,
    /// In which order
    #[arg(short, long, value_enum, default_value_t = SortKey::Rate)]
    sort: SortKey,
    /// Print one view, as wide as the terminal would be, and end
    #[arg(long)]
    once: bool,
    /// With --once: columns and lines
    #[arg(long, value_name = "COLUMNSxLINES", default_value = "120x24", value_parser = size)]
    size: (u16, u16),
    /// Which connections: as in `oxtcp ss`
    #[arg(value_name = "FILTER")]
    filter: Vec<String>,
    #[command(flatten)]
    netns: NetnsArg,
    #[command(flatten)]
    family: FamilyArg,
}

const KEYS: &str = "\
Keys: q quit, p pause, R reverse the order; Up, Down, PgUp, PgDn, Home, End
      order by: r rate, t round-trip time, c congestion window, x retransmissions, u unsent and
      unacknowledged, s state, a address";

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("expected 0.01 to 3600".to_owned()),
    }
}

fn size(text: &str) -> Result<(u16, u16), String> {
    let parse = || {
        let (columns, lines) = text.split_once('x')?;
        Some((columns.parse().ok()?, lines.parse().ok()?))
    };
    match parse() {
        Some((columns, lines)) if (20..=500).contains(&columns) && (5..=500).contains(&lines) => {
            Ok((columns, lines))
        }
        _ => Err("expected COLUMNSxLINES, such as 120x24".to_owned()),
    }
}

/// Reads the connections into the board.
struct Source<'a> {
    args: &'a Args,
    diag: SockDiag,
    filter: Filter,
    states: u32,
}

impl Source<'_> {
    fn read(&self, board: &mut Board) -> Result<()> {
        let family = self.args.family.get();
        let mut sockets = ss::list(&self.diag, family, self.states)?;
        sockets.retain(|socket| self.filter.admits(&ss::subject(socket)));
        board.update(&sockets, Instant::now());
        Ok(())
    }
}

/// Shows the connections as `args` ask.
pub fn main(args: &Args) -> Result<()> {
    let filter = Filter::parse(&args.filter)?;
    args.netns.enter()?;
    let quiet = State::Listen.bit() | State::Closed.bit();
    let source = Source {
        args,
        diag: SockDiag::open()?,
        states: filter.states.unwrap_or(ALL_BITS & !quiet),
        filter,
    };
    let interval = Duration::from_secs_f64(args.interval);
    let mut board = Board::default();
    let mut view = View::new(args.family.get(), args.sort);
    source.read(&mut board)?;
    if args.once {
        thread::sleep(interval);
        source.read(&mut board)?;
        return write_out(&one_frame(&board, &mut view, args.size)?);
    }
    let mut terminal = ratatui::try_init().context("cannot use the terminal")?;
    let outcome = run(&mut terminal, &source, &mut board, &mut view, interval);
    ratatui::restore();
    outcome
}

fn run(
    terminal: &mut ratatui::DefaultTerminal,
    source: &Source<'_>,
    board: &mut Board,
    view: &mut View,
    interval: Duration,
) -> Result<()> {
    let mut next = Instant::now() + interval;
    loop {
        terminal.draw(|frame| view.draw(frame, board))?;
        if event::poll(next.saturating_duration_since(Instant::now()))? {
            match event::read()? {
                Event::Key(key) if key.kind == KeyEventKind::Press && !press(view, key) => {
                    return Ok(());
                }
                _ => {}
            }
        }
        if Instant::now() >= next {
            next = Instant::now() + interval;
            if !view.paused {
                source.read(board)?;
            }
        }
    }
}

/// Does what a key says; `false`: to end.
fn press(view: &mut View, key: KeyEvent) -> bool {
    const PAGE: isize = 10;
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return false,
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return false,
        KeyCode::Char('p') => view.paused = !view.paused,
        KeyCode::Char('R') => view.reverse = !view.reverse,
        KeyCode::Char(letter) => {
            if let Some(sort) = SortKey::of_letter(letter) {
                view.sort = sort;
            }
        }
        KeyCode::Up => view.scroll(-1),
        KeyCode::Down => view.scroll(1),
        KeyCode::PageUp => view.scroll(-PAGE),
        KeyCode::PageDown => view.scroll(PAGE),
        KeyCode::Home => view.scroll(isize::MIN),
        KeyCode::End => view.scroll(isize::MAX),
        _ => {}
    }
    true
}

/// The view as lines of text.
fn one_frame(board: &Board, view: &mut View, (columns, lines): (u16, u16)) -> Result<String> {
    let mut terminal = Terminal::new(TestBackend::new(columns, lines))?;
    terminal.draw(|frame| view.draw(frame, board))?;
    let cells = &terminal.backend().buffer().content;
    let mut text = String::new();
    for line in cells.chunks(usize::from(columns)) {
        let line: String = line.iter().map(|cell| cell.symbol()).collect();
        text += line.trim_end();
        text += "\n";
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::tcp_info::TcpInfo;
    use crate::ss::table::tests::connection;
    use oxtcp::Family;

    fn busy(port: u16, sent: u64, rtt: u32) -> crate::diag::Socket {
        let mut socket = connection();
        socket.peer.set_port(port);
        socket.congestion = Some("cubic".into());
        socket.info = Some(TcpInfo {
            rto: 204_000,
            bytes_acked: sent,
            rtt,
            snd_cwnd: 10,
            snd_mss: 1448,
            total_retrans: 3,
            ..TcpInfo::default()
        });
        socket
    }

    fn frame(view: &mut View) -> String {
        let mut board = Board::default();
        let start = Instant::now();
        board.update(&[busy(61000, 0, 500), busy(61001, 0, 90_000)], start);
        let later = start + Duration::from_secs(1);
        board.update(
            &[busy(61000, 125_000, 500), busy(61001, 1_250, 90_000)],
            later,
        );
        one_frame(&board, view, (120, 14)).unwrap()
    }

    #[test]
    fn a_frame_shows_rates_and_times() {
        let mut view = View::new(Family::DEFAULT, SortKey::Rate);
        let text = frame(&mut view);
        let line = |port: &str| text.lines().position(|line| line.contains(port)).unwrap();
        assert!(line(":61000") < line(":61001"), "{text}");
        let row = text.lines().nth(line(":61000")).unwrap();
        for cell in [
            "ESTAB",
            "10.0.0.2:7000",
            "1Mbps",
            "0.5ms",
            "10",
            "3",
            "cubic",
        ] {
            assert!(row.contains(cell), "{cell}: {row}");
        }
        assert!(text.contains("2 connections"), "{text}");
    }

    #[test]
    fn keys_choose_the_order_and_end() {
        let mut view = View::new(Family::DEFAULT, SortKey::Rate);
        let key = |code| KeyEvent::new(code, KeyModifiers::NONE);
        assert!(press(&mut view, key(KeyCode::Char('t'))));
        let text = frame(&mut view);
        let line = |port: &str| text.lines().position(|line| line.contains(port)).unwrap();
        assert!(line(":61001") < line(":61000"), "{text}");
        assert!(press(&mut view, key(KeyCode::Char('R'))));
        let text = frame(&mut view);
        let line = |port: &str| text.lines().position(|line| line.contains(port)).unwrap();
        assert!(line(":61000") < line(":61001"), "{text}");
        assert!(press(&mut view, key(KeyCode::Home)));
        assert!(press(&mut view, key(KeyCode::End)));
        frame(&mut view);
        assert!(!press(&mut view, key(KeyCode::Char('q'))));
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert!(!press(&mut view, interrupt));
    }

    #[test]
    fn any_size_can_be_drawn() {
        let mut view = View::new(Family::DEFAULT, SortKey::Rate);
        for size in [(20, 5), (40, 6), (500, 50)] {
            one_frame(&Board::default(), &mut view, size).unwrap();
        }
        assert_eq!(size("80x24"), Ok((80, 24)));
        assert!(size("80").is_err() && size("1x1").is_err() && size("axb").is_err());
        assert!(seconds("0").is_err() && seconds("0.5").is_ok());
    }
}
