// SPDX-License-Identifier: GPL-2.0

//! The receive window: what was offered stays offered (RFC 9293 3.8.6, SHLD-14), small advances are
//! not offered (3.8.6.2.2), and what is beyond is not taken.

use crate::harness::*;
use crate::support::rx::Rx;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::events::{Drop, Error};
use oxtcp_core::tcp::segment::Flags;
use oxtcp_core::tcp::state::State;
use proptest::prelude::*;

/// An end with a buffer of so many bytes, all of it offered. It acknowledges at once.
fn end_with(room: u32) -> End {
    let config = Config {
        initial_window: room,
        ..plain()
    };
    let mut end = End::established(config);
    end.rx = Rx::new(room, 0);
    end.tcb.set_quick_ack(&end.config, true);
    end
}

/// Text in turn arrives.
fn text(end: &mut End, len: u32) {
    let next = end.tcb.rcv_nxt().0;
    let una = end.tcb.snd_una().0;
    end.arrive(seg(ACK, next, una, len));
}

/// The window of the acknowledgment that goes out now.
fn offered(end: &mut End) -> Option<u16> {
    end.out().last().map(|out| out.wnd)
}

fn read(end: &mut End, n: usize) {
    end.rx.read(n);
    end.tcb.on_receive(&end.config, &end.rx);
}

/// Text so far behind RCV.NXT, so long; what of it is kept.
fn kept(ahead: u32, len: u32) -> usize {
    let mut end = end_with(5000);
    end.arrive(seg(ACK, IRS + 1 + ahead, ISS + 1, len));
    end.rx.readable() + end.rx.early()
}

cases! {
    text_takes_of_the_window: {
        let mut end = end_with(5000);
        text(&mut end, 1000);
        assert_eq!((offered(&mut end), end.tcb.rcv_wnd()), (Some(4000), 4000))
    };
    text_read_at_once_keeps_the_window: {
        let mut end = end_with(5000);
        text(&mut end, 1000);
        end.rx.read(1000);
        assert_eq!(offered(&mut end), Some(5000))
    };
    a_small_space_is_not_offered: {
        let mut end = end_with(5000);
        text(&mut end, 1000);
        end.rx.read(999);
        assert_eq!(offered(&mut end), Some(4000))
    };
    a_full_buffer_closes_the_window: {
        let mut end = end_with(3000);
        for _ in 0..3 { text(&mut end, 1000); }
        assert_eq!(offered(&mut end), Some(0))
    };
    a_closed_window_stays_closed_for_a_small_space: {
        let mut end = end_with(3000);
        for _ in 0..3 { text(&mut end, 1000); }
        offered(&mut end);
        read(&mut end, 900);
        assert_eq!(offered(&mut end), None)
    };
    a_closed_window_opens_for_a_segment: {
        let mut end = end_with(3000);
        for _ in 0..3 { text(&mut end, 1000); }
        offered(&mut end);
        read(&mut end, 1000);
        assert_eq!(offered(&mut end), Some(1000))
    };
    a_closed_window_of_a_small_buffer_opens_for_half_of_it: {
        let mut end = end_with(500);
        text(&mut end, 500);
        offered(&mut end);
        read(&mut end, 250);
        assert_eq!(offered(&mut end), None);
        read(&mut end, 1);
        assert_eq!(offered(&mut end), Some(251))
    };
    a_window_that_has_not_doubled_is_not_told: {
        let mut end = end_with(10_000);
        for _ in 0..3 { text(&mut end, 1000); }
        offered(&mut end);
        read(&mut end, 3000);
        assert_eq!(offered(&mut end), None)
    };
    a_buffer_that_shrinks_does_not_shrink_the_window: {
        let mut end = end_with(5000);
        end.rx = Rx::new(100, 0);
        end.arrive(seg(ACK, IRS, ISS + 1, 0));
        assert_eq!(end.tcb.rcv_wnd(), 5000)
    };
    text_within_the_window_is_taken_though_the_buffer_shrank: {
        let mut end = end_with(5000);
        end.rx = Rx::new(100, 0);
        text(&mut end, 1000);
        assert_eq!((end.rx.readable(), offered(&mut end)), (1000, Some(4000)))
    };
    a_window_is_cut_to_16_bits_without_scaling: {
        let mut end = end_with(100_000);
        text(&mut end, 1000);
        end.rx.read(1000);
        assert_eq!(offered(&mut end), Some(65535))
    };
    a_scaled_window_is_rounded_up: {
        let config = Config { window_scaling: true, window_scale: 4, ..plain() };
        let mut end = End::established(config);
        end.tcb.set_quick_ack(&end.config, true);
        let edge = end.tcb.rcv_nxt() + end.tcb.rcv_wnd();
        text(&mut end, 1);
        let out = end.out()[0];
        let told = out.ack + (u32::from(out.wnd) << 4);
        assert!(told.at_or_after(edge) && told.since(edge) < 16)
    };
    a_fin_takes_of_the_window: {
        let mut end = end_with(5000);
        end.arrive(seg(FIN | ACK, IRS + 1, ISS + 1, 0));
        assert_eq!(end.tcb.rcv_wnd(), 4999)
    };
    a_fin_at_a_closed_window_is_taken: {
        let mut end = end_with(1000);
        text(&mut end, 1000);
        end.arrive(seg(FIN | ACK, IRS + 1001, ISS + 1, 0));
        assert_eq!(end.tcb.state(), State::CloseWait)
    };
    a_fin_beyond_a_closed_window_is_not: {
        let mut end = end_with(1000);
        text(&mut end, 1000);
        end.arrive(seg(FIN | ACK, IRS + 1001, ISS + 1, 10));
        assert_eq!((end.tcb.state(), end.rx.readable()), (State::Established, 1000))
    };
    an_ack_at_a_closed_window_counts: {
        let mut end = end_with(1000);
        text(&mut end, 1000);
        end.send(100);
        end.out();
        end.arrive(seg(ACK, IRS + 1001, ISS + 101, 0));
        assert_eq!(end.tcb.flight(), 0)
    };
    a_rst_at_a_closed_window_counts: {
        let mut end = end_with(1000);
        text(&mut end, 1000);
        offered(&mut end);
        assert_eq!(end.tcb.rcv_wnd(), 0);
        let events = end.arrive(seg(RST, IRS + 1001, 0, 0));
        assert_eq!((events.error, end.tcb.state()), (Some(Error::Reset), State::Closed))
    };
    an_urgent_pointer_at_a_closed_window_counts: {
        let mut end = end_with(1000);
        text(&mut end, 1000);
        offered(&mut end);
        let mut urgent = seg(ACK | Flags::URG, IRS + 1001, ISS + 1, 0);
        urgent.urg = 10;
        assert!(end.arrive(urgent).urgent.is_some())
    };
    a_probe_of_a_closed_window_is_answered: {
        let mut end = end_with(1000);
        text(&mut end, 1000);
        offered(&mut end);
        let events = end.arrive(seg(ACK, IRS + 1001, ISS + 1, 1));
        assert!(events.reply.is_some() || offered(&mut end) == Some(0));
        assert_eq!(end.rx.readable(), 1000)
    };

    text_in_the_window_is_kept: assert_eq!(kept(0, 1000), 1000);
    text_to_the_edge_is_kept: assert_eq!(kept(4000, 1000), 1000);
    text_that_passes_the_edge_is_kept_when_nothing_waits: assert_eq!(kept(4500, 1000), 1000);
    text_at_the_edge_is_not_kept: assert_eq!(kept(5000, 1000), 0);
    text_longer_than_the_window_is_kept_when_nothing_waits: assert_eq!(kept(0, 9000), 9000);
    text_that_passes_the_edge_is_refused_when_text_waits: {
        let mut end = end_with(5000);
        text(&mut end, 1000);
        let events = end.arrive(seg(ACK, IRS + 1001, ISS + 1, 9000));
        assert_eq!((events.dropped, end.rx.readable()), (Some(Drop::BeyondWindow), 1000))
    };
    text_at_a_closed_window_is_refused: {
        let mut end = end_with(1000);
        text(&mut end, 1000);
        offered(&mut end);
        end.rx.read(1000);
        let events = end.arrive(seg(ACK, IRS + 1001, ISS + 1, 100));
        assert_eq!(events.dropped, Some(Drop::ZeroWindow))
    };
    text_that_finds_no_memory_closes_the_window: {
        let mut end = end_with(5000);
        end.rx.fail = true;
        text(&mut end, 1000);
        assert_eq!((offered(&mut end), end.tcb.rcv_wnd()), (Some(0), 0))
    };
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever comes in and whenever it is read: the right edge that the peer was told, counted
    /// from what the segments say, never moves left.
    #[test]
    fn what_was_offered_is_never_taken_back(
        room in 500u32..60_000,
        scale in proptest::option::of(0u8..=14),
        steps in proptest::collection::vec((0u32..4000, 0u32..1500, 0usize..3000), 1..40),
    ) {
        let config = Config {
            window_scaling: scale.is_some(),
            window_scale: scale.unwrap_or(0),
            initial_window: room,
            ..plain()
        };
        let mut end = End::established(config);
        end.rx = Rx::new(room, 0);
        let shift = end.tcb.scales().1;
        let mut edge = end.tcb.rcv_nxt() + room.min(65535);
        for (ahead, len, taken) in steps {
            end.tcb.set_quick_ack(&end.config, true);
            let at = end.tcb.rcv_nxt() + ahead % 3 * 500;
            end.arrive(seg(ACK, at.0, ISS + 1, len));
            for out in end.out() {
                let told = out.ack + (u32::from(out.wnd) << shift);
                prop_assert!(told.at_or_after(edge), "{told:?} is before {edge:?}");
                edge = told;
            }
            read(&mut end, taken);
            prop_assert!((end.tcb.rcv_nxt() + end.tcb.rcv_wnd()).at_or_after(edge));
        }
    }
}
