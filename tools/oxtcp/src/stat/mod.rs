// SPDX-License-Identifier: GPL-2.0
//! `oxtcp stat`: the counters, as nstat(8) shows those of `AF_INET`.

mod history;
mod output;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use glob::{MatchOptions, Pattern};

use crate::netns::NetnsArg;
use crate::ss::write_out;
use history::History;
use output::Format;

/// The counters of a namespace: `NAME VALUE` on each line.
const COUNTERS: &str = "/proc/net/oxtcp_stat";
/// Before the name of a reason for which segments are dropped.
const DROP: &str = "Drop";

/// Options of `oxtcp stat`.
#[derive(clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// The counters themselves, not what came to them since the last time
    #[arg(short, long = "ignore")]
    absolute: bool,
    /// Also those that are zero
    #[arg(short, long)]
    zeros: bool,
    /// Forget the last time first
    #[arg(short, long)]
    reset: bool,
    /// Do not remember this time
    #[arg(short = 's', long)]
    noupdate: bool,
    /// Remember this time, show nothing
    #[arg(short, long)]
    nooutput: bool,
    /// Show as JSON
    #[arg(short, long)]
    json: bool,
    /// With -j: in lines
    #[arg(short, long, requires = "json")]
    pretty: bool,
    /// Only segments dropped, by reason
    #[arg(short, long)]
    drops: bool,
    /// Show it again and again, what came to the counters in the last SECONDS
    #[arg(short, long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    interval: Option<u64>,
    /// With -i: so many times, then end
    #[arg(short, long, value_name = "TIMES", requires = "interval")]
    count: Option<u64>,
    /// Only counters with a matching name (* and ?, in either case)
    #[arg(value_name = "PATTERN", value_parser = pattern)]
    patterns: Vec<Pattern>,
    #[command(flatten)]
    netns: NetnsArg,
}

const HELP: &str = "\
Shows by how much each counter has grown since the last time, and how fast (1/s). The
first time, and with -a, it is the count since the module was loaded.";

fn pattern(text: &str) -> Result<Pattern, String> {
    Pattern::new(text).map_err(|e| e.to_string())
}

/// The counters in the order in which the kernel tells them, and when.
#[derive(Clone, PartialEq, Debug)]
pub struct Reading {
    /// Since 1970.
    at: Duration,
    counters: Vec<(String, u64)>,
}

impl Reading {
    fn take() -> Result<Reading> {
        let text = fs::read_to_string(COUNTERS)
            .with_context(|| format!("cannot read {COUNTERS}: is the module loaded?"))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Ok(Reading::parse(&text, now.unwrap_or_default()))
    }

    fn parse(text: &str, at: Duration) -> Reading {
        let counter = |line: &str| {
            let (name, value) = line.split_once(' ')?;
            Some((name.to_owned(), value.trim().parse().ok()?))
        };
        Reading {
            at,
            counters: text.lines().filter_map(counter).collect(),
        }
    }

    /// What came to each counter since `before`, and how many a second. Counters that have fallen
    /// are those of a module loaded anew: all began at zero then.
    fn since(&self, before: Option<&Reading>) -> Vec<Growth> {
        let old: BTreeMap<&str, u64> = before
            .iter()
            .flat_map(|reading| &reading.counters)
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        let value_of = |name: &str| old.get(name).copied().unwrap_or(0);
        let anew = self
            .counters
            .iter()
            .any(|(name, now)| *now < value_of(name));
        let seconds = before
            .filter(|_| !anew)
            .and_then(|reading| self.at.checked_sub(reading.at))
            .map(|time| time.as_secs_f64())
            .filter(|&seconds| seconds > 0.0);
        self.counters
            .iter()
            .map(|(name, now)| {
                let grown = now - if anew { 0 } else { value_of(name) };
                Growth {
                    name: name.clone(),
                    value: grown,
                    rate: seconds.map_or(0.0, |seconds| grown as f64 / seconds),
                }
            })
            .collect()
    }
}

/// What came to a counter.
#[derive(Clone, PartialEq, Debug)]
pub struct Growth {
    name: String,
    value: u64,
    /// In 1/s; 0 where there is no time to divide by.
    rate: f64,
}

/// Shows the counters as `args` ask.
pub fn main(args: &Args) -> Result<()> {
    args.netns.enter()?;
    match args.interval {
        Some(seconds) => repeat(args, Duration::from_secs(seconds)),
        None => once(args),
    }
}

fn once(args: &Args) -> Result<()> {
    let history = History::of_this_user()?;
    let before = match args.reset {
        true => None,
        false => history.load(),
    };
    let now = Reading::take()?;
    if !args.nooutput {
        let base = before.as_ref().filter(|_| !args.absolute);
        write_out(&args.show(now.since(base)))?;
    }
    if !args.noupdate {
        history.save(&now)?;
    }
    Ok(())
}

fn repeat(args: &Args, interval: Duration) -> Result<()> {
    let mut before = Reading::take()?;
    let mut left = args.count;
    while left != Some(0) {
        thread::sleep(interval);
        let now = Reading::take()?;
        let base = Some(&before).filter(|_| !args.absolute);
        write_out(&args.show(now.since(base)))?;
        before = now;
        left = left.map(|left| left - 1);
    }
    Ok(())
}

impl Args {
    fn show(&self, mut growths: Vec<Growth>) -> String {
        growths.retain(|growth| self.wants(growth));
        let format = match (self.json, self.pretty) {
            (false, _) => Format::Lines,
            (true, false) => Format::Json,
            (true, true) => Format::PrettyJson,
        };
        output::render(&growths, format)
    }

    fn wants(&self, growth: &Growth) -> bool {
        let options = MatchOptions {
            case_sensitive: false,
            ..MatchOptions::default()
        };
        let named = |pattern: &Pattern| pattern.matches_with(&growth.name, options);
        (self.zeros || growth.value != 0)
            && (!self.drops || growth.name.starts_with(DROP))
            && (self.patterns.is_empty() || self.patterns.iter().any(named))
    }
}

/// Where the history of a user is kept.
fn history_path(uid: u32) -> PathBuf {
    match std::env::var_os("OXTCP_STAT_HISTORY") {
        Some(path) => path.into(),
        None => std::env::temp_dir().join(format!(".oxtcp_stat.u{uid}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Wrapper {
        #[command(flatten)]
        args: Args,
    }

    fn reading(text: &str, seconds: u64) -> Reading {
        Reading::parse(text, Duration::from_secs(seconds))
    }

    fn values(growths: &[Growth]) -> Vec<(&str, u64, f64)> {
        growths
            .iter()
            .map(|g| (g.name.as_str(), g.value, g.rate))
            .collect()
    }

    #[test]
    fn only_what_came_since_is_told() {
        let before = reading("InSegs 10\nOutSegs 5\n", 100);
        let now = reading("InSegs 30\nOutSegs 5\nDropPaws 1\n", 110);
        assert_eq!(
            values(&now.since(Some(&before))),
            [
                ("InSegs", 20, 2.0),
                ("OutSegs", 0, 0.0),
                ("DropPaws", 1, 0.1)
            ]
        );
        assert_eq!(
            values(&now.since(None)),
            [
                ("InSegs", 30, 0.0),
                ("OutSegs", 5, 0.0),
                ("DropPaws", 1, 0.0)
            ]
        );
    }

    #[test]
    fn a_module_loaded_anew_begins_at_zero() {
        let before = reading("InSegs 10\nOutSegs 5\n", 100);
        let now = reading("InSegs 12\nOutSegs 3\n", 110);
        assert_eq!(
            values(&now.since(Some(&before))),
            [("InSegs", 12, 0.0), ("OutSegs", 3, 0.0)]
        );
    }

    #[test]
    fn a_clock_set_back_gives_no_rate() {
        let before = reading("InSegs 10\n", 100);
        let now = reading("InSegs 12\n", 90);
        assert_eq!(values(&now.since(Some(&before))), [("InSegs", 2, 0.0)]);
    }

    #[test]
    fn strange_lines_are_passed_over() {
        assert_eq!(
            reading("\nInSegs\nOutSegs x\nInErrs 3\n", 1).counters,
            [("InErrs".to_owned(), 3)]
        );
    }

    #[test]
    fn counters_are_chosen_by_pattern_value_and_kind() {
        let all = reading("InSegs 1\nOutSegs 0\nDropPaws 2\nDropBadAck 0\n", 1).since(None);
        let chosen = |options: &[&str]| {
            let args = Wrapper::parse_from([&["stat"], options].concat()).args;
            let names = all.iter().filter(|growth| args.wants(growth));
            names.map(|g| g.name.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(chosen(&[]), ["InSegs", "DropPaws"]);
        assert_eq!(chosen(&["-z", "*segs"]), ["InSegs", "OutSegs"]);
        assert_eq!(chosen(&["-z", "-d"]), ["DropPaws", "DropBadAck"]);
        assert_eq!(chosen(&["inseg?", "drop*"]), ["InSegs", "DropPaws"]);
        assert!(chosen(&["nothing"]).is_empty());
    }
}
