// SPDX-License-Identifier: GPL-2.0

//! Accurate ECN (RFC 9768) where acknowledgments without text are marked: they count, and are
//! acknowledged now and then themselves.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod ecn_support;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use ecn_support::accurate::*;
use ecn_support::*;
use harness::*;
use oxtcp_core::tcp::accecn_option::EcnBytes;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::ecn::{Ecn, OptionUse};
use oxtcp_core::tcp::segment::Segment;

#[test]
fn marks_on_acknowledgments_count_but_have_no_bytes() {
    let mut end = accurate_server(accurate(), false);
    end.arrive(with_ecn(ack(0, 5), Ecn::Ce));
    assert_eq!(end.tcb.ecn().received_ce, 1);
    assert_eq!(end.tcb.ecn().received, EcnBytes::default());
    assert!(
        end.out().is_empty(),
        "no acknowledgment of an acknowledgment"
    );
}

#[test]
fn a_change_that_came_without_text_speeds_the_next_acknowledgment_up() {
    let mut end = client(accurate(), 0b010, Ecn::Ect0);
    end.out();
    end.send(100);
    end.out();
    end.arrive(ack(100, 5));
    assert!(
        end.out().is_empty(),
        "no acknowledgment of an acknowledgment"
    );
    end.arrive(with_ace(seg(ACK, IRS + 1, ISS + 101, 100), 5));
    assert_eq!(end.out().len(), 1, "another change");
    let mut end = client(accurate(), 0b010, Ecn::Ect0);
    end.out();
    end.send(100);
    end.out();
    end.arrive(ack(100, 5));
    let text = with_ace(seg(ACK, IRS + 1, ISS + 101, 100), 5);
    end.arrive(with_ecn(text, Ecn::Ect0));
    assert_eq!(looks(&end.out()), [(Ecn::Ect0, 5, vec![])]);
}

/// A segment of `len` bytes from `at`, that comes with a mark.
fn marked(at: u32, len: u32) -> Segment {
    with_ecn(with_ace(seg(ACK, IRS + 1 + at, ISS + 1, len), 5), Ecn::Ce)
}

/// How many segments go out after each of `segments`.
fn answers(end: &mut End, segments: &[Segment]) -> Vec<usize> {
    let answer = |seg: &Segment| {
        end.arrive(*seg);
        end.out().len()
    };
    segments.iter().map(answer).collect()
}

/// RFC 9768 3.2.2.5.1: n is 2 while text waits for its acknowledgment.
#[test]
fn two_marks_are_not_left_untold_while_text_waits() {
    let mut end = accurate_server(option(OptionUse::Never), false);
    let texts = [0, 1, 2, 3, 4].map(|at| marked(at, 1));
    // The first is a change.
    assert_eq!(answers(&mut end, &texts), [1, 0, 1, 0, 1]);
    let waiting = [text(5, Ecn::Ect0), text(1005, Ecn::Ect0)];
    assert_eq!(answers(&mut end, &waiting), [1, 0]);
    let acks = [marked(2005, 0); 4];
    assert_eq!(answers(&mut end, &acks), [0, 1, 0, 0]);
}

/// The same: n is 3 while none does, so that the acknowledgments of acknowledgments are damped.
#[test]
fn every_third_marked_acknowledgment_is_acknowledged() {
    let mut end = accurate_server(option(OptionUse::Never), false);
    for ace in [0, 3, 6] {
        assert_eq!(answers(&mut end, &[marked(0, 0); 2]), [0, 0]);
        end.arrive(marked(0, 0));
        assert_eq!(looks(&end.out()), [(Ecn::Ect0, ace, vec![])]);
    }
    let plain = [with_ecn(marked(0, 0), Ecn::Ect0); 9];
    assert_eq!(answers(&mut end, &plain), [0; 9]);
}

/// The same: the peer must be able to tell it from a duplicate acknowledgment, by its having no SACK
/// block.
#[test]
fn the_acknowledgment_of_acknowledgments_is_no_duplicate() {
    let config = Config {
        sack: false,
        ..accurate()
    };
    let mut end = accurate_server(config, false);
    assert_eq!(answers(&mut end, &[marked(0, 0); 7]), [0; 7]);
    assert_eq!(answers(&mut end, &[marked(0, 1)]), [1]);

    let mut end = accurate_server(accurate(), false);
    end.arrive(text(2000, Ecn::Ect0));
    let blocks = |end: &mut End| end.out()[0].options.sack.len();
    assert_eq!(blocks(&mut end), 1);
    for _ in 0..3 {
        end.arrive(marked(0, 0));
    }
    assert_eq!(blocks(&mut end), 0);
    for _ in 0..3 {
        end.arrive(marked(0, 0));
    }
    end.arrive(text(2000, Ecn::Ect0));
    assert_eq!(blocks(&mut end), 2, "what came twice is told");
    for _ in 0..3 {
        end.arrive(marked(0, 0));
    }
    end.arrive(text(4000, Ecn::Ect0));
    assert_eq!(blocks(&mut end), 2, "text out of order is told of");
    end.arrive(text(6000, Ecn::Ect0));
    for _ in 0..3 {
        end.arrive(marked(0, 0));
    }
    assert_eq!(blocks(&mut end), 3);

    let mut end = accurate_server(accurate(), false);
    end.arrive(text(0, Ecn::Ect0));
    end.arrive(text(1000, Ecn::Ect0));
    assert_eq!(blocks(&mut end), 0);
    for _ in 0..3 {
        end.arrive(marked(2000, 0));
    }
    end.arrive(text(0, Ecn::Ect0));
    assert_eq!(blocks(&mut end), 1, "old text came twice");
}
