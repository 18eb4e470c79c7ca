// SPDX-License-Identifier: GPL-2.0

//! What waits in the queues below a connection: how much text may be there, and what waits for it.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::small_queue::DeviceQueue;

/// More is there than is to be.
const FULL: DeviceQueue = DeviceQueue {
    held: 1 << 30,
    most: 1 << 20,
};

/// A connection that has much to send and a window for it, with segments in flight.
fn busy() -> End {
    let mut end = End::established(plain());
    end.limits.max_run = 4 * u32::from(MSS);
    end.send(100_000);
    assert!(!end.sent().is_empty());
    end
}

/// How many runs it sends when an acknowledgment comes while `held` bytes wait below, where no more
/// than 20,000 are to be.
fn sent_with(held: u32) -> usize {
    let mut end = busy();
    end.limits.queue = DeviceQueue { held, most: 20_000 };
    end.acked(ISS + 1 + u32::from(MSS));
    end.sent().len()
}

#[test]
fn text_waits_while_enough_is_below() {
    assert!(sent_with(0) > 0);
    assert!(sent_with(20_000) > 0);
    assert_eq!(sent_with(20_001), 0);
}

#[test]
fn what_waits_goes_when_the_device_has_sent() {
    let mut end = busy();
    end.limits.queue = DeviceQueue {
        held: 3_000,
        most: 2_000,
    };
    end.acked(ISS + 1 + u32::from(MSS));
    assert!(end.sent().is_empty());
    assert!(end.tcb.waits_for_device(&end.config, &end.limits));
    end.limits.queue.held = 2_000;
    assert!(!end.tcb.waits_for_device(&end.config, &end.limits));
    assert!(!end.sent().is_empty());
}

#[test]
fn what_waits_for_nothing_does_not_wait_for_the_device() {
    let mut end = End::established(plain());
    end.limits.queue = FULL;
    assert!(!end.tcb.waits_for_device(&end.config, &end.limits));
}

#[test]
fn the_first_run_goes_whatever_is_below() {
    let mut end = End::established(plain());
    end.limits.queue = FULL;
    end.send(100);
    assert_eq!(end.sent().len(), 1);
}

#[test]
fn an_acknowledgment_does_not_wait() {
    let mut end = busy();
    end.limits.queue = FULL;
    for _ in 0..2 {
        let next = end.tcb.rcv_nxt().0;
        end.arrive(seg(ACK, next, ISS + 1, u32::from(MSS)));
    }
    let sent = end.wait(300);
    assert!(sent.iter().any(|(_, _, len, _)| *len == 0), "{sent:?}");
}

#[test]
fn small_writes_gather_while_more_is_below() {
    let mut end = End::established(plain());
    end.limits.max_run = 4 * u32::from(MSS);
    end.send(100);
    end.limits.queue.held = 10_000;
    assert!(!end.tcb.gathers(&end.limits), "nothing is in flight");
    end.sent();
    end.send(100);
    assert!(end.tcb.gathers(&end.limits));
    end.limits.queue.held = 500;
    assert!(!end.tcb.gathers(&end.limits), "little is below");
    end.limits.queue.held = 10_000;
    end.send(end.limits.max_run);
    assert!(!end.tcb.gathers(&end.limits), "it is a run");
}
