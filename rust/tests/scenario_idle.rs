// SPDX-License-Identifier: GPL-2.0

//! Connections to which nothing happens, and what they are packed into.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::congestion::Algorithm;
use oxtcp_core::tcp::pack::{pack, unpack};
use oxtcp_core::tcp::segment::Flags;
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::time::Instant;
use oxtcp_core::tcp::Tcb;

const UNA: u32 = ISS + 1;
const NXT: u32 = IRS + 1;

/// What the connection is packed into, bytes, which gives it back as it was.
fn packed(end: &End) -> usize {
    let mut bytes = [0; 1024];
    let len = pack(&mut end.tcb.clone(), &mut bytes).expect("there is room");
    let mut back = Tcb::connect(&Config::default(), ids(), Instant::default());
    assert!(unpack(&mut back, &bytes[..len]));
    assert_eq!(back, end.tcb);
    len
}

/// A request of one byte, its answer, and what has to be said of both.
fn transaction(end: &mut End, n: u32) {
    end.arrive(seg(Flags::ACK, NXT + n, UNA + n, 1));
    end.send(1);
    end.sent();
    end.wait(20);
    end.arrive(seg(Flags::ACK, NXT + n + 1, UNA + n + 1, 0));
    end.sent();
}

#[test]
fn it_is_idle_while_nothing_is_queued_in_flight_or_owed() {
    let mut end = End::established_in(plain(), 20);
    let start = end.now;
    assert_eq!(end.tcb.idle_since(), Some(start));

    end.wait(50);
    end.send(100);
    assert_eq!(end.tcb.idle_since(), None, "queued");
    end.sent();
    assert_eq!(end.tcb.idle_since(), None, "in flight");
    end.wait(20);
    end.acked(UNA + 100);
    assert_eq!(end.tcb.idle_since(), Some(end.now));

    end.wait(1000);
    for n in 0..40 {
        end.arrive(seg(Flags::ACK, NXT + n, UNA + 100, 1));
        end.sent();
    }
    let last = end.now;
    end.arrive(seg(Flags::ACK, NXT + 40, UNA + 100, 1));
    if end.sent().is_empty() {
        assert_eq!(end.tcb.idle_since(), None, "an acknowledgment is owed");
        end.wait(300);
    }
    assert!(end.tcb.idle_since() >= Some(last));
}

#[test]
fn to_be_kept_alive_is_to_be_idle() {
    let config = Config {
        keepalive: true,
        ..plain()
    };
    let end = End::established_in(config, 20);
    assert!(end.tcb.deadline().is_some());
    assert!(end.tcb.idle_since().is_some());
}

#[test]
fn a_connection_that_opens_or_ends_is_not_idle() {
    let idle = [State::Established, State::CloseWait];
    for state in State::ALL {
        let none = [
            State::Closed,
            State::Listen,
            State::TimeWait,
            State::SynReceived,
        ];
        if none.contains(&state) {
            continue;
        }
        let end = End::in_state(plain(), state);
        assert_eq!(
            end.tcb.idle_since().is_some(),
            idle.contains(&state),
            "{state:?}"
        );
    }
}

#[test]
fn an_idle_connection_takes_few_bytes() {
    for algorithm in Algorithm::ALL {
        let config = Config {
            congestion: algorithm,
            ..Config::default()
        };
        let mut end = End::established_in(config, 20);
        assert!(packed(&end) <= 144, "{algorithm:?} {}", packed(&end));
        for n in 0..20 {
            transaction(&mut end, n);
        }
        assert!(packed(&end) <= 200, "{algorithm:?} {}", packed(&end));
    }
}
