// SPDX-License-Identifier: GPL-2.0

//! Ends with Accurate ECN (RFC 9768), and what their peers say.

use super::{accurate_server, mode, with_ace, with_ecn};
use crate::harness::*;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::ecn::{Ecn, Feedback, OptionUse};
use oxtcp_core::tcp::segment::Segment;

pub const ACE_FAIL_SEND: u8 = 1;
pub const ACE_FAIL_RECV: u8 = 2;
pub const OPT_FAIL_SEND: u8 = 4;
pub const OPT_FAIL_RECV: u8 = 8;

pub fn accurate() -> Config {
    mode(3)
}

/// With the option used in such a way.
pub fn option(use_: OptionUse) -> Config {
    let mut config = accurate();
    config.ecn.option = use_;
    config
}

pub fn feedback(end: &End) -> Feedback {
    end.tcb.ecn().feedback
}

pub fn delivered_ce(end: &End) -> u32 {
    end.tcb.ecn().delivered_ce
}

/// A segment without text that acknowledges up to `ack`.
pub fn ack(ack: u32, ace: u8) -> Segment {
    with_ecn(
        with_ace(seg(ACK, IRS + 1, ISS + 1 + ack, 0), ace),
        Ecn::Ect0,
    )
}

/// A thousand bytes from `at`, that come with `ecn`.
pub fn text(at: u32, ecn: Ecn) -> Segment {
    with_ecn(with_ace(seg(ACK, IRS + 1 + at, ISS + 1, 1000), 5), ecn)
}

/// Ten segments of a thousand bytes in flight.
pub fn ten(config: Config, with_option: bool) -> End {
    let mut end = accurate_server(config, with_option);
    end.send(10_000);
    end.out();
    end
}
