// SPDX-License-Identifier: GPL-2.0

//! The eleven states of a connection (RFC 9293 section 3.3.2).

/// State of a connection. The numbers are Linux's (`include/net/tcp_states.h`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum State {
    /// Both ends have agreed: text flows both ways.
    Established = 1,
    /// Our SYN is out, nothing has come back.
    SynSent = 2,
    /// Both SYNs are seen, ours is not acknowledged.
    SynReceived = 3,
    /// We have closed, our FIN is not acknowledged.
    FinWait1 = 4,
    /// We have closed and the peer knows, it has not closed.
    FinWait2 = 5,
    /// Both have closed; the connection waits for old segments to die.
    TimeWait = 6,
    /// No connection.
    Closed = 7,
    /// The peer has closed, we have not.
    CloseWait = 8,
    /// The peer closed first, then we did; our FIN is not acknowledged.
    LastAck = 9,
    /// Waiting for a SYN.
    Listen = 10,
    /// Both closed at once; our FIN is not acknowledged.
    Closing = 11,
}

impl State {
    /// Every state, in the order of Linux's numbers.
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

    /// Linux's number of the state (`TCP_ESTABLISHED` is 1).
    pub const fn linux(self) -> u8 {
        self as u8
    }

    /// Whether both ends know each other's ISN (RFC 9293: a synchronized state).
    pub const fn is_synchronized(self) -> bool {
        !matches!(self, State::Closed | State::Listen | State::SynSent | State::SynReceived)
    }

    /// Whether the peer may still send text.
    pub const fn peer_may_send(self) -> bool {
        matches!(self, State::Established | State::FinWait1 | State::FinWait2)
    }

    /// Whether the user may still hand over text.
    pub const fn user_may_send(self) -> bool {
        matches!(self, State::Established | State::CloseWait)
    }

    /// Whether text or a FIN of ours may have to be (re)transmitted.
    pub const fn may_transmit_text(self) -> bool {
        matches!(
            self,
            State::Established
                | State::CloseWait
                | State::FinWait1
                | State::Closing
                | State::LastAck
        )
    }

    /// Whether the state diagram of RFC 9293 (figure 5), with aborts and time-outs added, has an
    /// edge from this state to `next`.
    pub const fn may_become(self, next: State) -> bool {
        use State::*;
        if matches!(next, Closed) {
            return !matches!(self, Closed);
        }
        matches!(
            (self, next),
            (Closed, Listen | SynSent)
                | (Listen, SynReceived | SynSent)
                | (SynSent, SynReceived | Established)
                | (SynReceived, Established | FinWait1 | Listen)
                | (Established, FinWait1 | CloseWait)
                | (FinWait1, FinWait2 | Closing | TimeWait)
                | (FinWait2, TimeWait)
                | (Closing, TimeWait)
                | (CloseWait, LastAck)
        )
    }
}

#[cfg(all(test, not(MODULE)))]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_linux() {
        let numbers: [u8; 11] = core::array::from_fn(|i| State::ALL[i].linux());
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        assert_eq!(State::CloseWait.linux(), 8);
        assert_eq!(State::Closing.linux(), 11);
    }

    #[test]
    fn every_state_but_closed_may_close() {
        for s in State::ALL {
            assert_eq!(s.may_become(State::Closed), s != State::Closed);
        }
    }

    #[test]
    fn no_state_becomes_itself() {
        for s in State::ALL {
            assert!(!s.may_become(s), "{s:?}");
        }
    }

    #[test]
    fn the_diagram_has_no_edge_too_many() {
        let mut edges = 0;
        for from in State::ALL {
            for to in State::ALL {
                edges += usize::from(to != State::Closed && from.may_become(to));
            }
        }
        assert_eq!(edges, 17);
    }
}
