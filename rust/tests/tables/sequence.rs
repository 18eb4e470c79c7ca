// SPDX-License-Identifier: GPL-2.0

//! Sequence numbers on their circle, and time.

use oxtcp_core::tcp::config::initial_sequence;
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::time::{Duration, Instant};

const TOP: u32 = u32::MAX;
const HALF: u32 = 1 << 31;

fn n(number: u32) -> SeqNumber {
    SeqNumber(number)
}

/// `a` comes before `b`, and all that follows from it.
fn ordered(a: u32, b: u32) {
    let (a, b) = (n(a), n(b));
    assert!(a.before(b) && b.after(a));
    assert!(a.at_or_before(b) && b.at_or_after(a));
    assert!(!b.before(a) && !a.after(b) && !b.at_or_before(a) && !a.at_or_after(b));
    assert_eq!((a.max(b), b.max(a)), (b, b));
    assert_eq!((a.min(b), b.min(a)), (a, a));
    assert_eq!(a.since(b), 0);
    assert_eq!(b.since(a), b.0.wrapping_sub(a.0));
    assert_eq!(b - a, -(a - b));
}

/// Whether `x` is in `[start, end)`.
fn inside(x: u32, start: u32, end: u32) -> bool {
    n(x).in_range(n(start), n(end))
}

cases! {
    zero_is_before_one: ordered(0, 1);
    the_top_is_before_zero: ordered(TOP, 0);
    the_top_is_before_a_number_behind_the_wrap: ordered(TOP - 10, 10);
    the_signed_border_is_no_border: ordered(HALF - 1, HALF);
    a_number_is_before_what_is_almost_half_a_circle_ahead: ordered(7, 7 + HALF - 1);
    almost_half_a_circle_may_wrap: ordered(TOP, HALF - 2);
    one_before_the_top_is_before_it: ordered(TOP - 1, TOP);
    a_number_is_not_before_itself: assert!(!n(5).before(n(5)) && n(5).at_or_before(n(5)));
    a_number_is_no_distance_from_itself: assert_eq!((n(TOP).since(n(TOP)), n(9) - n(9)), (0, 0));
    adding_wraps: assert_eq!(n(TOP) + 2, n(1));
    subtracting_wraps: assert_eq!(n(1) - 2u32, n(TOP));
    adding_in_place_wraps: { let mut a = n(TOP - 1); a += 5; assert_eq!(a, n(3)) };
    distance_ahead_over_the_wrap_is_positive: assert_eq!(n(4) - n(TOP), 5);
    distance_back_over_the_wrap_is_negative: assert_eq!(n(TOP) - n(4), -5);
    a_range_has_its_start: assert!(inside(10, 10, 20));
    a_range_has_its_last: assert!(inside(19, 10, 20));
    a_range_has_not_its_end: assert!(!inside(20, 10, 20));
    a_range_has_nothing_before_its_start: assert!(!inside(9, 10, 20));
    an_empty_range_has_nothing: assert!(!inside(10, 10, 10));
    a_range_over_the_wrap_has_the_top: assert!(inside(TOP, TOP - 1, 3));
    a_range_over_the_wrap_has_zero: assert!(inside(0, TOP - 1, 3));
    a_range_over_the_wrap_ends_where_it_ends: assert!(!inside(3, TOP - 1, 3));
    a_range_may_be_longer_than_half_a_circle: assert!(inside(HALF + 5, 0, TOP));
    numbers_are_shown_plainly: assert_eq!(format!("{:?}", n(77)), "77");

    time_since_a_later_point_is_zero:
        assert_eq!(Instant::from_us(5).since(Instant::from_us(9)), Duration::ZERO);
    time_does_not_overflow:
        assert_eq!(Instant::from_us(u64::MAX) + Duration::from_secs(1), Instant::from_us(u64::MAX));
    time_does_not_underflow:
        assert_eq!(Instant::from_us(1) - Duration::from_secs(1), Instant::from_us(0));
    spans_do_not_overflow:
        assert_eq!(Duration::from_us(u64::MAX) + Duration::from_us(1), Duration::from_us(u64::MAX));
    seconds_do_not_overflow: assert_eq!(Duration::from_secs(u64::MAX).us(), u64::MAX);
    milliseconds_are_rounded_down: assert_eq!(Duration::from_us(1999).ms(), 1);
    the_clock_of_timestamps_wraps:
        assert_eq!(Instant::from_us(((1 << 32) + 7) * 1000).ms_wrapped(), 7);
    a_timeout_doubles:
        assert_eq!(Duration::from_ms(3).backed_off(4, Duration::from_secs(9)), Duration::from_ms(48));
    a_timeout_doubles_to_its_limit:
        assert_eq!(Duration::from_ms(3).backed_off(14, Duration::from_secs(9)), Duration::from_secs(9));
    a_timeout_doubled_too_often_is_its_limit:
        assert_eq!(Duration::from_ms(3).backed_off(255, Duration::from_secs(9)), Duration::from_secs(9));

    // RFC 9293 3.4.1, MUST-8: the clock ticks every 4 µs.
    an_initial_number_moves_with_the_clock:
        assert_eq!(initial_sequence(5, Instant::from_us(400)) - initial_sequence(5, Instant::from_us(0)), 100);
    an_initial_number_begins_at_the_hash_of_its_connection:
        assert_eq!(initial_sequence(0xfeed, Instant::from_us(3)), n(0xfeed));
    an_initial_number_wraps: assert_eq!(initial_sequence(TOP, Instant::from_us(8)), n(1));
}
