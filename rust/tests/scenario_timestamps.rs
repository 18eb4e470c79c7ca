// SPDX-License-Identifier: GPL-2.0

//! Timestamps (RFC 7323): on every segment, what they echo, what they measure, what they protect.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::events::Drop;
use oxtcp_core::tcp::options::Timestamps;
use oxtcp_core::tcp::segment::Transmit;
use oxtcp_core::tcp::state::State;

const DAY: u64 = 24 * 3600 * 1000;

fn stamps(out: &[Transmit]) -> Vec<Timestamps> {
    out.iter().filter_map(|o| o.options.timestamps).collect()
}

#[test]
fn every_segment_has_one_and_room_for_it() {
    let mut end = End::established(with_timestamps());
    end.wait(5);
    end.send(3000);
    let out = end.out();
    assert_eq!(stamps(&out), [Timestamps { val: 5, ecr: 100 }; 4]);
    assert_eq!(
        out.iter().map(|o| o.len).collect::<Vec<_>>(),
        [988, 988, 988, 36]
    );
    let events = end.arrive(with_stamp(seg(SYN, IRS + 9, 0, 0), 100));
    let challenge: Vec<_> = events.reply.into_iter().collect();
    assert_eq!(stamps(&challenge).len(), 1);
    let reset: Vec<_> = end.tcb.abort(end.now).reply.into_iter().collect();
    assert_eq!(stamps(&reset).len(), 1);
}

#[test]
fn a_peer_without_them_gets_none() {
    let mut end = End::connecting(with_timestamps());
    assert_eq!(stamps(&end.out()).len(), 1);
    end.arrive(seg(SYN | ACK, IRS, ISS + 1, 0));
    end.send(10);
    let out = end.out();
    assert!(!out.is_empty() && stamps(&out).is_empty());
}

#[test]
fn a_delayed_acknowledgment_echoes_the_first_of_what_it_acknowledges() {
    let mut end = End::established(with_timestamps());
    end.arrive(with_stamp(seg(ACK, IRS + 1, ISS + 1, 10), 200));
    end.arrive(with_stamp(seg(ACK, IRS + 11, ISS + 1, 10), 210));
    end.now = end.now + ms(40);
    end.tcb.on_timer(&end.config.clone(), &mut end.rx, end.now);
    let out = end.out();
    assert_eq!(
        stamps(&out).iter().map(|t| t.ecr).collect::<Vec<_>>(),
        [200]
    );
}

#[test]
fn what_came_early_does_not_outdate_what_fills_the_gap() {
    let mut end = End::established(with_timestamps());
    end.arrive(with_stamp(seg(ACK, IRS + 101, ISS + 1, 100), 200));
    assert_eq!(stamps(&end.out())[0].ecr, 100);
    let events = end.arrive(with_stamp(seg(ACK, IRS + 1, ISS + 1, 100), 150));
    assert_eq!(events.dropped, None);
    assert_eq!(end.rx.readable(), 200);
    assert_eq!(stamps(&end.out())[0].ecr, 150);
}

#[test]
fn an_old_one_is_dropped_and_answered() {
    let mut end = End::established(with_timestamps());
    let events = end.arrive(with_stamp(seg(ACK, IRS + 1, ISS + 1, 100), 99));
    assert_eq!(events.dropped, Some(Drop::Paws));
    assert_eq!(end.rx.readable(), 0);
    assert_eq!(end.out().first().map(|o| o.ack.0), Some(IRS + 1));
}

/// Some send 0 in their SYN and SYN-ACK, whatever their clock says (`tcp_paws_check`).
#[test]
fn zero_in_a_syn_outdates_nothing() {
    for val in [1, 0x7fff_ffff, 0x8000_0001, u32::MAX] {
        let mut end = End::established_with_stamp(with_timestamps(), 0);
        end.arrive(with_stamp(seg(ACK, IRS + 1, ISS + 1, 100), val));
        assert_eq!(end.rx.readable(), 100, "{val:#x}");
        // From then on it counts.
        let old = end.arrive(with_stamp(seg(ACK, IRS + 101, ISS + 1, 100), val - 1));
        assert_eq!(old.dropped, Some(Drop::Paws), "{val:#x}");
    }
}

#[test]
fn order_is_that_of_a_circle() {
    for (val, kept) in [
        (100, true),
        (101, true),
        (0x8000_0063, true),
        (0x8000_0070, false),
    ] {
        let mut end = End::established(with_timestamps());
        end.arrive(with_stamp(seg(ACK, IRS + 1, ISS + 1, 100), val));
        assert_eq!(end.rx.readable() == 100, kept, "{val}");
    }
}

#[test]
fn after_24_days_an_old_one_says_nothing() {
    for (days, kept) in [(23, false), (25, true)] {
        let mut end = End::established(with_timestamps());
        end.wait(days * DAY);
        end.arrive(with_stamp(seg(ACK, IRS + 1, ISS + 1, 100), 50));
        assert_eq!(end.rx.readable() == 100, kept, "{days} days");
    }
}

#[test]
fn an_old_rst_still_resets() {
    let mut end = End::established(with_timestamps());
    assert!(end.arrive(with_stamp(seg(RST, IRS + 1, 0, 0), 1)).closed);
    assert_eq!(end.tcb.state(), State::Closed);
}

/// Karn's ambiguity does not exist for what is echoed.
#[test]
fn what_was_sent_again_is_measured_by_its_echo() {
    let mut end = End::established(with_timestamps());
    end.wait(1000);
    end.send(10);
    assert_eq!(end.until(1300).len(), 2);
    end.until(1320);
    let before = end.tcb.rtt().srtt();
    let mut ack = with_stamp(seg(ACK, IRS + 1, ISS + 11, 0), 101);
    ack.options.timestamps = Some(Timestamps {
        val: 101,
        ecr: 1200,
    });
    end.arrive(ack);
    assert_eq!(end.tcb.backoff(), 0);
    let srtt = end.tcb.rtt().srtt();
    assert!(srtt > before && srtt < Some(ms(120)), "{srtt:?}");
}
