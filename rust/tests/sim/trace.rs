// SPDX-License-Identifier: GPL-2.0

//! A run as lines to read, in the manner of tcpdump.

use oxtcp_core::tcp::segment::{Flags, Segment};
use std::fmt::Write;

/// Lines that are kept, when no more are asked for by `OXTCP_SIM_TRACE`.
const LINES: usize = 400;

/// The last lines of a run.
pub struct Trace {
    lines: std::collections::VecDeque<String>,
    on: bool,
    most: usize,
}

impl Trace {
    pub fn new(on: bool) -> Self {
        let most = std::env::var("OXTCP_SIM_TRACE")
            .ok()
            .and_then(|n| n.parse().ok());
        Self {
            lines: std::collections::VecDeque::new(),
            on,
            most: most.unwrap_or(LINES),
        }
    }

    pub fn is_on(&self) -> bool {
        self.on
    }

    pub fn line(&mut self, now: u64, line: impl FnOnce() -> String) {
        if !self.on {
            return;
        }
        if self.lines.len() == self.most {
            self.lines.pop_front();
        }
        let text = format!("{:>5}.{:06} {}", now / 1_000_000, now % 1_000_000, line());
        self.lines.push_back(text);
    }

    pub fn text(&self) -> String {
        self.lines
            .iter()
            .fold(String::new(), |all, line| all + line + "\n")
    }
}

/// A segment in a line.
pub fn show(seg: &Segment) -> String {
    let mut s = String::new();
    for (flag, letter) in [
        (Flags::SYN, 'S'),
        (Flags::FIN, 'F'),
        (Flags::RST, 'R'),
        (Flags::PSH, 'P'),
        (Flags::ACK, '.'),
    ] {
        if seg.flags.has(flag) {
            s.push(letter);
        }
    }
    let _ = write!(s, " seq {}:{}", seg.seq.0, seg.seq_end().0);
    if seg.has_ack() {
        let _ = write!(s, " ack {}", seg.ack.0);
    }
    let _ = write!(s, " win {} len {}", seg.wnd, seg.len);
    let o = &seg.options;
    if let Some(ts) = o.timestamps {
        let _ = write!(s, " ts {}/{}", ts.val, ts.ecr);
    }
    if let Some(mss) = o.mss {
        let _ = write!(s, " mss {mss}");
    }
    if let Some(scale) = o.window_scale {
        let _ = write!(s, " wscale {scale}");
    }
    for block in o.sack.as_slice() {
        let _ = write!(s, " sack {}:{}", block.start.0, block.end.0);
    }
    s
}
