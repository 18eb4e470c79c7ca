// SPDX-License-Identifier: GPL-2.0
//! Which sockets: the filter of ss(8), `[state STATE | exclude STATE]... [EXPRESSION]`.

use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, ToSocketAddrs};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{bail, Context, Result};

use super::services::Services;
use crate::state::{self, State};

/// What is asked of a socket.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// This end.
    pub local: SocketAddrV4,
    /// The other end.
    pub peer: SocketAddrV4,
    /// Index of the interface that it is bound to; 0: none.
    pub interface: u32,
    /// `SO_MARK`
    pub mark: u32,
    /// Inode of its cgroup.
    pub cgroup: Option<u64>,
}

impl Subject {
    /// Where nothing but the two ends is known.
    pub fn of_ends(local: SocketAddrV4, peer: SocketAddrV4) -> Subject {
        Subject {
            local,
            peer,
            interface: 0,
            mark: 0,
            cgroup: None,
        }
    }
}

/// A filter.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Filter {
    /// `State::bit`s, where states are named.
    pub states: Option<u32>,
    expression: Option<Expression>,
}

impl Filter {
    /// Reads a filter's words, each of which may be several.
    pub fn parse(words: &[String]) -> Result<Filter> {
        let text = words.join(" ");
        let tokens = tokens(&text);
        let mut parser = Parser {
            tokens: &tokens,
            services: Services::load(),
        };
        let states = parser.states()?;
        let expression = match parser.tokens {
            [] => None,
            _ => Some(parser.alternatives()?),
        };
        match parser.tokens {
            [] => Ok(Filter { states, expression }),
            [extra, ..] => bail!("filter: '{extra}' is not expected here"),
        }
    }

    /// Whether the expression is true of a socket. The states are not looked at.
    pub fn admits(&self, subject: &Subject) -> bool {
        self.expression
            .as_ref()
            .is_none_or(|expression| expression.admits(subject))
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Expression {
    Any(Vec<Expression>),
    All(Vec<Expression>),
    Not(Box<Expression>),
    Host(End, Vec<Host>),
    Port(End, Comparison, u16),
    Interface(u32),
    Mark { value: u32, mask: u32 },
    Cgroup(u64),
    Autobound(u16, u16),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    Local,
    Peer,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// `10.0.0.0/8`, `10.0.0.1:80`, `:80`
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Host {
    network: u32,
    mask: u32,
    port: Option<u16>,
}

impl Expression {
    fn admits(&self, subject: &Subject) -> bool {
        match self {
            Expression::Any(parts) => parts.iter().any(|part| part.admits(subject)),
            Expression::All(parts) => parts.iter().all(|part| part.admits(subject)),
            Expression::Not(part) => !part.admits(subject),
            Expression::Host(end, hosts) => {
                let address = end.of(subject);
                hosts.iter().any(|host| host.admits(address))
            }
            Expression::Port(end, comparison, port) => {
                comparison.holds(end.of(subject).port(), *port)
            }
            Expression::Interface(index) => subject.interface == *index,
            Expression::Mark { value, mask } => subject.mark & mask == *value,
            Expression::Cgroup(inode) => subject.cgroup == Some(*inode),
            Expression::Autobound(first, last) => (*first..=*last).contains(&subject.local.port()),
        }
    }
}

impl End {
    fn of(self, subject: &Subject) -> SocketAddrV4 {
        match self {
            End::Local => subject.local,
            End::Peer => subject.peer,
        }
    }
}

impl Comparison {
    fn holds(self, left: u16, right: u16) -> bool {
        match self {
            Comparison::Equal => left == right,
            Comparison::NotEqual => left != right,
            Comparison::Less => left < right,
            Comparison::LessOrEqual => left <= right,
            Comparison::Greater => left > right,
            Comparison::GreaterOrEqual => left >= right,
        }
    }

    fn parse(word: &str) -> Option<Comparison> {
        Some(match word {
            "=" | "==" | "eq" => Comparison::Equal,
            "!=" | "ne" | "neq" => Comparison::NotEqual,
            "<" | "lt" => Comparison::Less,
            "<=" | "le" | "leq" => Comparison::LessOrEqual,
            ">" | "gt" => Comparison::Greater,
            ">=" | "ge" | "geq" => Comparison::GreaterOrEqual,
            _ => return None,
        })
    }
}

impl Host {
    fn admits(&self, address: SocketAddrV4) -> bool {
        u32::from(*address.ip()) & self.mask == self.network
            && self.port.is_none_or(|port| port == address.port())
    }
}

/// Words and operators. An operator needs no blank around it.
fn tokens(text: &str) -> Vec<&str> {
    let single = |c: char| "()".contains(c);
    let operator = |c: char| "!=<>&|".contains(c);
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = if single(first) {
            1
        } else if operator(first) {
            let two = ["!=", "==", "<=", ">=", "&&", "||"];
            if two.iter().any(|pair| rest.starts_with(pair)) {
                2
            } else {
                1
            }
        } else {
            rest.find(|c: char| c.is_whitespace() || single(c) || operator(c))
                .unwrap_or(rest.len())
        };
        let (token, more) = rest.split_at(end);
        tokens.push(token);
        rest = more.trim_start();
    }
    tokens
}

struct Parser<'a> {
    tokens: &'a [&'a str],
    services: Services,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.tokens.first().copied()
    }

    fn next(&mut self, wanted: impl Display) -> Result<&'a str> {
        let (first, rest) = self
            .tokens
            .split_first()
            .with_context(|| format!("filter: {wanted} is missing at its end"))?;
        self.tokens = rest;
        Ok(first)
    }

    fn take(&mut self, words: &[&str]) -> bool {
        let found = self
            .peek()
            .is_some_and(|token| words.iter().any(|word| word.eq_ignore_ascii_case(token)));
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }

    fn states(&mut self) -> Result<Option<u32>> {
        let mut states = None;
        loop {
            if self.take(&["state"]) {
                let named = state_set(self.next("a state")?)?;
                states = Some(states.unwrap_or(0) | named);
            } else if self.take(&["exclude", "excl"]) {
                let named = state_set(self.next("a state")?)?;
                states = Some(states.unwrap_or(state::ALL_BITS) & !named);
            } else {
                return Ok(states);
            }
        }
    }

    fn alternatives(&mut self) -> Result<Expression> {
        let mut parts = vec![self.conjunction()?];
        while self.take(&["or", "|", "||"]) {
            parts.push(self.conjunction()?);
        }
        Ok(one_or(parts, Expression::Any))
    }

    /// Conditions one after the other must all hold, with or without `and` between them.
    fn conjunction(&mut self) -> Result<Expression> {
        let mut parts = vec![self.condition()?];
        loop {
            let joined = self.take(&["and", "&", "&&"]);
            let ends = matches!(self.peek(), None | Some(")" | "or" | "|" | "||"));
            if ends && !joined {
                return Ok(one_or(parts, Expression::All));
            }
            parts.push(self.condition()?);
        }
    }

    fn condition(&mut self) -> Result<Expression> {
        let word = self.next("a condition")?;
        match word.to_ascii_lowercase().as_str() {
            "not" | "!" => Ok(Expression::Not(Box::new(self.condition()?))),
            "(" => {
                let inner = self.alternatives()?;
                match self.next("')'")? {
                    ")" => Ok(inner),
                    other => bail!("filter: ')' expected, not '{other}'"),
                }
            }
            "sport" => self.port(End::Local),
            "dport" => self.port(End::Peer),
            "src" => self.host(End::Local),
            "dst" => self.host(End::Peer),
            "dev" => self.with_equality(|parser| parser.interface()),
            "fwmark" => self.with_equality(|parser| parser.mark()),
            "cgroup" => self.with_equality(|parser| parser.cgroup()),
            "autobound" => {
                let (first, last) = ephemeral_ports();
                Ok(Expression::Autobound(first, last))
            }
            _ => bail!(
                "filter: '{word}' is none of state, exclude, src, dst, sport, dport, dev, \
                 fwmark, cgroup, autobound, not, ("
            ),
        }
    }

    fn port(&mut self, end: End) -> Result<Expression> {
        let comparison = match self.peek().and_then(Comparison::parse) {
            Some(comparison) => {
                self.tokens = &self.tokens[1..];
                comparison
            }
            None => Comparison::Equal,
        };
        let word = self.next("a port")?;
        let port = self.port_number(word.strip_prefix(':').unwrap_or(word))?;
        Ok(Expression::Port(end, comparison, port))
    }

    fn port_number(&self, word: &str) -> Result<u16> {
        match word.parse() {
            Ok(port) => Ok(port),
            Err(_) => self
                .services
                .port(word)
                .with_context(|| format!("filter: '{word}' is no port and no service")),
        }
    }

    fn host(&mut self, end: End) -> Result<Expression> {
        self.with_equality(|parser| {
            let word = parser.next("an address")?;
            Ok(Expression::Host(end, parser.hosts(word)?))
        })
    }

    fn hosts(&self, word: &str) -> Result<Vec<Host>> {
        let (rest, port) = match word.split_once(':') {
            None => (word, None),
            Some((rest, "" | "*")) => (rest, None),
            Some((rest, port)) => (rest, Some(self.port_number(port)?)),
        };
        let any = Host {
            network: 0,
            mask: 0,
            port,
        };
        if matches!(rest, "" | "*") {
            return Ok(vec![any]);
        }
        let (name, bits) = match rest.split_once('/') {
            None => (rest, 32),
            Some((name, bits)) => match bits.parse::<u32>() {
                Ok(bits) if bits <= 32 => (name, bits),
                _ => bail!("filter: '{bits}' is no length of a prefix"),
            },
        };
        let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        let addresses: Vec<Ipv4Addr> = match name.parse() {
            Ok(address) => vec![address],
            Err(_) => (name, 0)
                .to_socket_addrs()
                .with_context(|| format!("filter: '{name}' is no address"))?
                .filter_map(|address| match address {
                    SocketAddr::V4(v4) => Some(*v4.ip()),
                    SocketAddr::V6(_) => None,
                })
                .collect(),
        };
        if addresses.is_empty() {
            bail!("filter: '{name}' has no IPv4 address");
        }
        let host = |address: &Ipv4Addr| Host {
            network: u32::from(*address) & mask,
            mask,
            ..any
        };
        Ok(addresses.iter().map(host).collect())
    }

    /// `=` and `!=` before the condition that `read` reads; neither is `=`.
    fn with_equality(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Expression>,
    ) -> Result<Expression> {
        let comparison = self.peek().and_then(Comparison::parse);
        if comparison.is_some() {
            self.tokens = &self.tokens[1..];
        }
        let condition = read(self)?;
        match comparison {
            None | Some(Comparison::Equal) => Ok(condition),
            Some(Comparison::NotEqual) => Ok(Expression::Not(Box::new(condition))),
            Some(_) => bail!("filter: only ports can be less or greater"),
        }
    }

    fn interface(&mut self) -> Result<Expression> {
        let name = self.next("an interface")?;
        if let Ok(index) = name.parse() {
            return Ok(Expression::Interface(index));
        }
        nix::net::if_::if_nametoindex(name)
            .map(Expression::Interface)
            .with_context(|| format!("filter: no interface '{name}'"))
    }

    fn mark(&mut self) -> Result<Expression> {
        let word = self.next("a mark")?;
        let (value, mask) = match word.split_once('/') {
            None => (number(word)?, u32::MAX),
            Some((value, mask)) => (number(value)?, number(mask)?),
        };
        Ok(Expression::Mark { value, mask })
    }

    fn cgroup(&mut self) -> Result<Expression> {
        let path = self.next("a path")?;
        let metadata = Path::new(path)
            .metadata()
            .with_context(|| format!("filter: no cgroup {path}"))?;
        Ok(Expression::Cgroup(metadata.ino()))
    }
}

fn one_or(
    mut parts: Vec<Expression>,
    many: impl FnOnce(Vec<Expression>) -> Expression,
) -> Expression {
    match parts.len() {
        1 => parts.remove(0),
        _ => many(parts),
    }
}

/// A number, also in hexadecimal.
fn number(word: &str) -> Result<u32> {
    let parsed = match word.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => word.parse(),
    };
    parsed.with_context(|| format!("filter: '{word}' is no number"))
}

/// First and last of the ports that are given to sockets which ask for none.
fn ephemeral_ports() -> (u16, u16) {
    let read = |name: &str| -> Option<u16> {
        let text = std::fs::read_to_string(format!("/proc/sys/net/oxtcp/{name}")).ok()?;
        text.trim().parse().ok()
    };
    (
        read("local_port_min").unwrap_or(61_000),
        read("local_port_max").unwrap_or(u16::MAX),
    )
}

/// The states that ss calls by a name.
fn state_set(name: &str) -> Result<u32> {
    let connected = state::ALL_BITS & !State::Listen.bit() & !State::Closed.bit();
    let small = State::SynReceived.bit() | State::TimeWait.bit();
    Ok(match name.to_ascii_lowercase().as_str() {
        "all" => state::ALL_BITS,
        "connected" => connected,
        "synchronized" => connected & !State::SynSent.bit(),
        "bucket" => small,
        "big" => state::ALL_BITS & !small,
        "established" => State::Established.bit(),
        "syn-sent" => State::SynSent.bit(),
        "syn-recv" | "syn-rcv" | "syn-received" => State::SynReceived.bit(),
        "fin-wait-1" => State::FinWait1.bit(),
        "fin-wait-2" => State::FinWait2.bit(),
        "time-wait" => State::TimeWait.bit(),
        "closed" | "close" | "unconnected" => State::Closed.bit(),
        "close-wait" => State::CloseWait.bit(),
        "last-ack" => State::LastAck.bit(),
        "listening" | "listen" => State::Listen.bit(),
        "closing" => State::Closing.bit(),
        _ => bail!("filter: '{name}' is no state"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Filter> {
        Filter::parse(&[text.to_owned()])
    }

    /// Whether a connection from 10.0.0.2:7000 to 192.168.1.5:61000 passes.
    fn admits(text: &str) -> bool {
        let subject = Subject {
            mark: 0x13,
            interface: 2,
            ..Subject::of_ends(
                "10.0.0.2:7000".parse().unwrap(),
                "192.168.1.5:61000".parse().unwrap(),
            )
        };
        parse(text).unwrap().admits(&subject)
    }

    #[test]
    fn ports_are_compared() {
        for (text, expected) in [
            ("sport = :7000", true),
            ("sport = 7000", true),
            ("sport == :7000", true),
            ("sport eq 7000", true),
            ("sport :7000", true),
            ("sport != :7000", false),
            ("dport = :7000", false),
            ("dport > :1024", true),
            ("dport>=:61000", true),
            ("dport gt 61000", false),
            ("dport < 61000", false),
            ("dport le 61000", true),
            ("sport = :http", false),
        ] {
            assert_eq!(admits(text), expected, "{text}");
        }
    }

    #[test]
    fn addresses_and_prefixes() {
        for (text, expected) in [
            ("src 10.0.0.2", true),
            ("src 10.0.0.2:7000", true),
            ("src 10.0.0.2:7001", false),
            ("src :7000", true),
            ("src *:7000", true),
            ("dst 192.168.0.0/16", true),
            ("dst = 192.168.0.0/16", true),
            ("dst != 192.168.0.0/16", false),
            ("dst 192.168.2.0/24", false),
            ("dst 0.0.0.0/0", true),
            ("dst 192.168.1.5/32:61000", true),
        ] {
            assert_eq!(admits(text), expected, "{text}");
        }
    }

    #[test]
    fn and_binds_closer_than_or() {
        for (text, expected) in [
            ("sport = :1 and sport = :2 or sport = :7000", true),
            ("sport = :7000 or sport = :1 and sport = :2", true),
            ("( sport = :7000 or sport = :1 ) and sport = :2", false),
            ("(sport=:7000||sport=:1)&&dport=:61000", true),
            ("sport = :7000 dport = :61000", true),
            ("sport = :7000 dport = :1", false),
            ("not sport = :7000", false),
            ("! ( sport = :1 | sport = :2 )", true),
            ("not not src 10.0.0.2", true),
        ] {
            assert_eq!(admits(text), expected, "{text}");
        }
    }

    #[test]
    fn marks_interfaces_and_chosen_ports() {
        for (text, expected) in [
            ("fwmark = 0x13", true),
            ("fwmark = 0x03/0x0f", true),
            ("fwmark != 19", false),
            ("dev = 2", true),
            ("dev != 2", false),
            ("autobound", false),
        ] {
            assert_eq!(admits(text), expected, "{text}");
        }
    }

    #[test]
    fn states_come_first_and_add_up() {
        let states = |text: &str| parse(text).unwrap().states;
        assert_eq!(states("sport = :1"), None);
        assert_eq!(states("state ESTABLISHED"), Some(State::Established.bit()));
        assert_eq!(
            states("state listening state time-wait dport = :1"),
            Some(State::Listen.bit() | State::TimeWait.bit())
        );
        assert_eq!(
            states("exclude listening"),
            Some(state::ALL_BITS & !State::Listen.bit())
        );
        assert_eq!(
            states("state connected exclude time-wait").unwrap() & State::TimeWait.bit(),
            0
        );
        let union = states("state bucket state big").unwrap();
        assert_eq!(union, state::ALL_BITS);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, what) in [
            ("state nowhere", "no state"),
            ("state", "missing"),
            ("sport", "missing"),
            ("sport =", "missing"),
            ("sport = :nosuchservice", "no service"),
            ("sport = 70000", "no service"),
            ("( sport = :1", "missing"),
            ("sport = :1 )", "not expected"),
            ("dst 10.0.0.0/33", "prefix"),
            ("src < 10.0.0.1", "less or greater"),
            ("frob", "'frob' is none of"),
            ("sport = :1 or", "missing"),
            ("sport = :1 and", "missing"),
            ("dev = nosuchdevice", "no interface"),
            ("fwmark = z", "no number"),
        ] {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(what), "{text}: {error}");
        }
    }

    #[test]
    fn any_text_is_read_without_panic() {
        let pieces = [
            "(", ")", "!", "sport", "=", ":80", "or", "and", "state", "all",
        ];
        for a in pieces {
            for b in pieces {
                for c in pieces {
                    let _ = parse(&format!("{a} {b} {c}"));
                }
            }
        }
    }
}
