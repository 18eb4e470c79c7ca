// SPDX-License-Identifier: GPL-2.0

//! Memory that is short for all connections together: no window grows, and one whose buffer fills up
//! is not offered anew; and a send buffer that holds back nothing has no need to grow.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::config::Config;
use support::rx::Rx;

/// A connection with a window of `window` bytes, and memory for `room` bytes of text.
fn receiver(window: u32, room: u32, pressure: bool) -> End {
    let config = Config {
        initial_window: window,
        ..plain()
    };
    let mut end = End::established(config);
    end.rx = Rx::new(room, 0);
    end.rx.under_pressure = pressure;
    end.tcb.begin_receiving(&config, room * 2);
    end.tcb.set_quick_ack(&config, true);
    end
}

/// Text of `segments` comes, `read` of which the user takes at once.
fn text(end: &mut End, segments: u32, read: usize) {
    for _ in 0..segments {
        let next = end.tcb.rcv_nxt().0;
        end.arrive(seg(ACK, next, ISS + 1, MSS.into()));
        end.out();
        end.rx.read(read);
        end.tcb.on_receive(&end.config, &end.rx);
        end.out();
    }
}

#[test]
fn no_window_grows_while_memory_is_short() {
    // The window at first, and after 20 segments, without pressure and with it.
    for (window, plenty, short) in [(3_000, 43_000, 3_000), (10_000, 50_000, 4_000)] {
        for (pressure, after) in [(false, plenty), (true, short)] {
            let mut end = receiver(window, 60_000, pressure);
            text(&mut end, 20, MSS.into());
            assert_eq!(end.tcb.window_threshold(), after, "{window} {pressure}");
            end.rx.under_pressure = false;
            text(&mut end, 1, MSS.into());
            assert_eq!(end.tcb.window_threshold(), after + 2_000);
        }
    }
}

#[test]
fn what_was_offered_stays_offered() {
    let mut end = receiver(10_000, 60_000, true);
    let edge = end.tcb.rcv_edge();
    text(&mut end, 6, MSS.into());
    assert_eq!(end.tcb.rcv_edge(), edge);
    assert_eq!(end.tcb.rcv_wnd(), 4_000);
    text(&mut end, 1, MSS.into());
    assert_eq!(end.tcb.rcv_wnd(), 4_000);
}

#[test]
fn a_buffer_that_fills_up_gives_way() {
    // Bytes left unread, and the window from then on.
    for (unread, pressure, after) in [(12, false, 19_000), (12, true, 4_000), (10, true, 19_000)] {
        let mut end = receiver(20_000, 20_000, pressure);
        assert_eq!(end.tcb.window_threshold(), 19_000);
        text(&mut end, unread, 0);
        assert_eq!(end.tcb.window_threshold(), after, "{unread} {pressure}");
    }
}

#[test]
fn a_full_congestion_window_needs_no_larger_send_buffer() {
    let mut end = End::established_in(with_sack(), 40);
    assert!(!end.tcb.fills_window());
    end.send(9_999);
    assert!(!end.tcb.fills_window());
    end.send(1);
    assert!(end.tcb.fills_window(), "once it is sent");
    assert_eq!(end.sent().len(), 10);
    assert!(end.tcb.fills_window());
    end.until(80);
    end.acked(ISS + 1 + 10_000);
    assert!(!end.tcb.fills_window());
    end.send(20_000);
    assert!(end.tcb.fills_window());
}
