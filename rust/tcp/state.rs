// SPDX-License-Identifier: GPL-2.0

//! Connection states (RFC 9293 3.3.2).

use super::pack::packed;

/// The state of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// No connection.
    Closed,
    /// Waiting for a connection request.
    Listen,
    /// Waiting for a matching request after having sent one.
    SynSent,
    /// Waiting for the acknowledgment of our request after having received and sent one.
    SynReceived,
    /// Open.
    Established,
    /// Our FIN is sent, neither acknowledged nor answered by one.
    FinWait1,
    /// Our FIN is acknowledged; the peer may still send.
    FinWait2,
    /// The peer's FIN is here; we may still send.
    CloseWait,
    /// Both FINs are out, ours is not acknowledged.
    Closing,
    /// The peer closed first and has our FIN yet to acknowledge.
    LastAck,
    /// Both closed; old duplicates are given the time to die.
    TimeWait,
}

packed!(enum State {
    0 => Closed, 1 => Listen, 2 => SynSent, 3 => SynReceived, 4 => Established, 5 => FinWait1,
    6 => FinWait2, 7 => CloseWait, 8 => Closing, 9 => LastAck, 10 => TimeWait,
});

impl State {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Closed,
        Self::Listen,
        Self::SynSent,
        Self::SynReceived,
        Self::Established,
        Self::FinWait1,
        Self::FinWait2,
        Self::CloseWait,
        Self::Closing,
        Self::LastAck,
        Self::TimeWait,
    ];

    /// Linux's number of the state (`TCP_ESTABLISHED` is 1, and so on).
    pub const fn number(self) -> u8 {
        match self {
            Self::Established => 1,
            Self::SynSent => 2,
            Self::SynReceived => 3,
            Self::FinWait1 => 4,
            Self::FinWait2 => 5,
            Self::TimeWait => 6,
            Self::Closed => 7,
            Self::CloseWait => 8,
            Self::LastAck => 9,
            Self::Listen => 10,
            Self::Closing => 11,
        }
    }

    /// Both ends have agreed on sequence numbers (RFC 9293 3.5.2).
    pub const fn is_synchronized(self) -> bool {
        !matches!(
            self,
            Self::Closed | Self::Listen | Self::SynSent | Self::SynReceived
        )
    }

    /// The user may queue text for sending.
    pub const fn may_send(self) -> bool {
        matches!(self, Self::Established | Self::CloseWait)
    }

    /// The peer may still send text.
    pub const fn may_receive(self) -> bool {
        matches!(self, Self::Established | Self::FinWait1 | Self::FinWait2)
    }

    /// Queued text, or our FIN, may be on its way.
    pub const fn may_transmit(self) -> bool {
        matches!(
            self,
            Self::Established | Self::CloseWait | Self::FinWait1 | Self::Closing | Self::LastAck
        )
    }
}

#[cfg_attr(MODULE, kernel::prelude::kunit_tests(oxtcp_state))]
#[cfg_attr(not(MODULE), cfg(test))]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_linux_s_and_unique() {
        let mut seen = 0u32;
        for state in State::ALL {
            seen |= 1 << state.number();
        }
        assert!(seen == 0b1111_1111_1110);
    }
}
