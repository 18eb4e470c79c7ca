// SPDX-License-Identifier: GPL-2.0
//! The states of a connection.

/// RFC 9293's eleven states, plus what Linux calls by its own numbers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum State {
    /// A connection.
    Established = 1,
    /// SYN sent by `connect`.
    SynSent = 2,
    /// In a listener's SYN queue, or after a simultaneous open.
    SynReceived = 3,
    /// FIN sent, its ACK outstanding.
    FinWait1 = 4,
    /// FIN sent and acknowledged.
    FinWait2 = 5,
    /// Both FINs seen; old segments die out.
    TimeWait = 6,
    /// No connection.
    Closed = 7,
    /// The peer's FIN seen.
    CloseWait = 8,
    /// The peer's FIN seen and FIN sent.
    LastAck = 9,
    /// Waiting for SYNs.
    Listen = 10,
    /// FINs crossed.
    Closing = 11,
}

/// The bits of all states.
pub const ALL_BITS: u32 = 0b1111_1111_1110;

impl State {
    /// All of them, in Linux's order.
    pub const ALL: [State; 11] = [
        State::Established,
        State::SynSent,
        State::SynReceived,
        State::FinWait1,
        State::FinWait2,
        State::TimeWait,
        State::Closed,
        State::CloseWait,
        State::LastAck,
        State::Listen,
        State::Closing,
    ];

    /// From Linux's number (`TCP_ESTABLISHED` = 1...). A request socket's own state (12,
    /// `TCP_NEW_SYN_RECV`) is SYN-RECEIVED to everybody outside the kernel.
    pub fn from_number(number: u8) -> Option<State> {
        match number {
            12 => Some(State::SynReceived),
            1..=11 => Some(State::ALL[usize::from(number) - 1]),
            _ => None,
        }
    }

    /// From Linux's name with or without `TCP_`, as tracepoints print it.
    pub fn from_kernel_name(name: &str) -> Option<State> {
        Some(match name.strip_prefix("TCP_").unwrap_or(name) {
            "ESTABLISHED" => State::Established,
            "SYN_SENT" => State::SynSent,
            "SYN_RECV" | "NEW_SYN_RECV" => State::SynReceived,
            "FIN_WAIT1" => State::FinWait1,
            "FIN_WAIT2" => State::FinWait2,
            "TIME_WAIT" => State::TimeWait,
            "CLOSE" => State::Closed,
            "CLOSE_WAIT" => State::CloseWait,
            "LAST_ACK" => State::LastAck,
            "LISTEN" => State::Listen,
            "CLOSING" => State::Closing,
            _ => return None,
        })
    }

    /// Its bit in a sock_diag request's mask.
    pub fn bit(self) -> u32 {
        1 << self as u32
    }

    /// RFC 9293's name.
    pub fn rfc_name(self) -> &'static str {
        match self {
            State::Established => "ESTABLISHED",
            State::SynSent => "SYN-SENT",
            State::SynReceived => "SYN-RECEIVED",
            State::FinWait1 => "FIN-WAIT-1",
            State::FinWait2 => "FIN-WAIT-2",
            State::TimeWait => "TIME-WAIT",
            State::Closed => "CLOSED",
            State::CloseWait => "CLOSE-WAIT",
            State::LastAck => "LAST-ACK",
            State::Listen => "LISTEN",
            State::Closing => "CLOSING",
        }
    }

    /// The name that `ss` prints.
    pub fn ss_name(self) -> &'static str {
        match self {
            State::Established => "ESTAB",
            State::SynReceived => "SYN-RECV",
            State::Closed => "UNCONN",
            other => other.rfc_name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_linux_ones() {
        for state in State::ALL {
            assert_eq!(State::from_number(state as u8), Some(state));
        }
        assert_eq!(State::from_number(12), Some(State::SynReceived));
        assert_eq!(State::from_number(0), None);
        assert_eq!(State::from_number(13), None);
        let bits = State::ALL.iter().fold(0, |bits, state| bits | state.bit());
        assert_eq!(bits, ALL_BITS);
    }

    #[test]
    fn kernel_names_are_known() {
        assert_eq!(
            State::from_kernel_name("TCP_FIN_WAIT2"),
            Some(State::FinWait2)
        );
        assert_eq!(State::from_kernel_name("TIME_WAIT"), Some(State::TimeWait));
        assert_eq!(State::from_kernel_name("TCP_CLOSE"), Some(State::Closed));
        assert_eq!(State::from_kernel_name("0xd"), None);
    }
}
