// SPDX-License-Identifier: GPL-2.0

//! Whatever comes in whatever order, a congestion control keeps its bounds.

use oxtcp_core::tcp::congestion::pacing::{pacing_rate, Ratios};
use oxtcp_core::tcp::congestion::{
    Ack, Algorithm, Congested, Congestion, CongestionControl, Lost, RateSample, Signal,
};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::time::{Duration, Instant};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Event {
    Ack {
        acked: u32,
        limited: bool,
        flight: u32,
        seqs: (u32, u32),
        rtt: Option<u64>,
        rate: Option<RateSample>,
    },
    Lost(Lost),
    Congestion(Signal, u32, Option<u32>),
    Recovered(Option<u32>),
    Timeout(u32, bool),
    Undo,
    Idle(u64, u64),
    Disuse(u32),
    Change(Algorithm),
}

fn bytes() -> impl Strategy<Value = u32> {
    prop_oneof![0u32..5, 0u32..100_000, any::<u32>()]
}

fn micros() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..3, 0u64..10_000_000, any::<u64>()]
}

fn algorithm() -> impl Strategy<Value = Algorithm> {
    prop::sample::select(Algorithm::ALL.to_vec())
}

fn signal() -> impl Strategy<Value = Signal> {
    prop_oneof![Just(Signal::Loss), Just(Signal::Ecn)]
}

prop_compose! {
    fn rate_sample()(
        delivered in bytes(),
        interval in micros(),
        prior_delivered in bytes(),
        app_limited: bool,
        tx_in_flight in bytes(),
    ) -> RateSample {
        RateSample {
            delivered,
            interval: Duration::from_us(interval),
            prior_delivered,
            app_limited,
            tx_in_flight,
        }
    }
}

prop_compose! {
    fn lost()(
        bytes in bytes(),
        apart: bool,
        delivered in bytes(),
        tx_in_flight in proptest::option::of(bytes()),
        app_limited: bool,
        sack: bool,
    ) -> Lost {
        Lost {
            bytes,
            apart,
            delivered,
            tx_in_flight,
            app_limited,
            sack,
            mss: 0,
            now: Instant::default(),
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    let ack = (
        bytes(),
        any::<bool>(),
        bytes(),
        any::<(u32, u32)>(),
        proptest::option::of(micros()),
        proptest::option::of(rate_sample()),
    )
        .prop_map(|(acked, limited, flight, seqs, rtt, rate)| Event::Ack {
            acked,
            limited,
            flight,
            seqs,
            rtt,
            rate,
        });
    prop_oneof![
        8 => ack,
        2 => lost().prop_map(Event::Lost),
        1 => (signal(), bytes(), of(bytes())).prop_map(|(s, n, used)| Event::Congestion(s, n, used)),
        1 => of(bytes()).prop_map(Event::Recovered),
        1 => (bytes(), any::<bool>()).prop_map(|(n, first)| Event::Timeout(n, first)),
        1 => Just(Event::Undo),
        1 => (micros(), micros()).prop_map(|(idle, rto)| Event::Idle(idle, rto)),
        1 => (0u32..40).prop_map(Event::Disuse),
        1 => algorithm().prop_map(Event::Change),
    ]
}

struct Run {
    cc: Congestion,
    mss: u32,
    now: Instant,
    delivered: u32,
}

impl Run {
    fn apply(&mut self, event: &Event) {
        let (mss, now) = (self.mss, self.now);
        match *event {
            Event::Ack {
                acked,
                limited,
                flight,
                seqs,
                rtt,
                rate,
            } => {
                self.delivered = self.delivered.wrapping_add(acked);
                let rtt = rtt.map(Duration::from_us);
                self.cc.on_ack(&Ack {
                    acked,
                    mss,
                    limited,
                    flight,
                    snd_una: SeqNumber(seqs.0),
                    snd_nxt: SeqNumber(seqs.1),
                    rtt,
                    srtt: rtt.unwrap_or(Duration::ZERO),
                    delivered: self.delivered,
                    rate,
                    now,
                });
            }
            Event::Lost(lost) => self.cc.on_lost(&Lost { mss, now, ..lost }),
            Event::Congestion(signal, flight, used) => self.cc.on_congestion(&Congested {
                signal,
                flight,
                used,
                mss,
                now,
            }),
            Event::Recovered(most) => self.cc.on_recovered(most, mss, now),
            Event::Timeout(flight, first) => self.cc.on_timeout(flight, mss, first, now),
            Event::Undo => self.cc.on_undo(now),
            Event::Idle(idle, rto) => {
                self.cc
                    .on_idle(Duration::from_us(idle), Duration::from_us(rto), mss, now);
            }
            Event::Disuse(periods) => self.cc.on_disuse(periods, mss),
            Event::Change(algorithm) => self.cc.change(algorithm, mss),
        }
    }
}

/// What congestion leaves of the window, in whole segments of 1000 bytes, two at least: half of the
/// flight (RFC 5681 3.1), seven tenths of the window (RFC 9438 4.6), all of it for BBR; half of what
/// was `used` where that was less (RFC 7661 4.4.1).
fn left(cc: &Congestion, flight: u32, used: Option<u32>) -> std::ops::RangeInclusive<u32> {
    let window = u64::from(cc.window());
    let flight = u64::from(flight).next_multiple_of(1000).min(window);
    let (low, high) = match cc.algorithm() {
        Algorithm::Bbr => return cc.window()..=cc.window(),
        _ if used.is_some() => {
            let used = window.min(u64::from(used.unwrap_or(0)));
            (used / 2, used / 2)
        }
        Algorithm::Reno => (flight / 2, flight / 2),
        Algorithm::Cubic => (window * 699 / 1000, window * 701 / 1000),
    };
    let bound = |bytes: u64| bytes.max(2000) as u32;
    bound(low.saturating_sub(1000))..=bound(high)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_window_is_never_nothing_and_no_arithmetic_fails(
        first in algorithm(),
        mss in prop_oneof![1u32..=9000, Just(65_535)],
        events in vec((event(), micros()), 0..200),
    ) {
        let mut run = Run {
            cc: Congestion::new(first, mss),
            mss,
            now: Instant::from_us(1_000_000),
            delivered: 0,
        };
        for (event, wait) in &events {
            run.now = run.now + Duration::from_us(*wait);
            run.apply(event);
            prop_assert!(run.cc.window() > 0, "{event:?}");
            pacing_rate(&run.cc, 1, Duration::from_us(*wait), Ratios::default());
        }
    }

    /// Appropriate byte counting: neither splitting nor merging acknowledgments opens the window by
    /// more than was acknowledged.
    #[test]
    fn the_window_grows_by_what_arrived_at_most(
        algorithm in algorithm(),
        reduced: bool,
        acks in vec((0u32..100_000, 0u64..100_000), 1..100),
    ) {
        let mss = 1000;
        let mut run = Run {
            cc: Congestion::new(algorithm, mss),
            mss,
            now: Instant::from_us(1_000_000),
            delivered: 0,
        };
        if reduced {
            run.apply(&Event::Congestion(Signal::Loss, 10_000, None));
            run.apply(&Event::Recovered(None));
        }
        for (acked, wait) in acks {
            run.now = run.now + Duration::from_us(wait);
            let before = run.cc.window();
            run.apply(&Event::Ack {
                acked,
                limited: true,
                flight: before,
                seqs: (0, 1),
                rtt: None,
                rate: None,
            });
            // A segment more where credit was saved up before.
            prop_assert!(run.cc.window() <= before + acked + mss);
        }
    }

    /// Nor does anything else that tells of congestion: it leaves what [`left`] says.
    #[test]
    fn loss_never_opens_the_window(
        algorithm in algorithm(),
        events in vec((event(), 0u64..10_000_000), 0..50),
        signal in signal(),
        flight in bytes(),
        used in of(bytes()),
    ) {
        let mut run = Run {
            cc: Congestion::new(algorithm, 1000),
            mss: 1000,
            now: Instant::from_us(1_000_000),
            delivered: 0,
        };
        for (event, wait) in &events {
            run.now = run.now + Duration::from_us(*wait);
            run.apply(event);
        }
        let expected = left(&run.cc, flight, used);
        run.apply(&Event::Congestion(signal, flight, used));
        prop_assert!(expected.contains(&run.cc.window()), "{} {expected:?}", run.cc.window());
        let expected = left(&run.cc, flight, None);
        run.apply(&Event::Timeout(flight, true));
        if run.cc.algorithm() == Algorithm::Bbr {
            // What is still in flight does not count.
            prop_assert_eq!(run.cc.window(), flight.saturating_add(1000));
        } else {
            prop_assert_eq!(run.cc.window(), 1000);
            prop_assert!(expected.contains(&run.cc.ssthresh()), "{expected:?}");
        }
    }

    #[test]
    fn a_mistaken_reduction_leaves_the_window_as_it_was(
        algorithm in algorithm(),
        events in vec((event(), 0u64..10_000_000), 0..50),
        timeout: bool,
    ) {
        let mut run = Run {
            cc: Congestion::new(algorithm, 1000),
            mss: 1000,
            now: Instant::from_us(1_000_000),
            delivered: 0,
        };
        let mut most = run.cc.window();
        for (event, wait) in &events {
            run.now = run.now + Duration::from_us(*wait);
            run.apply(event);
            most = most.max(run.cc.window());
        }
        run.apply(&Event::Recovered(None));
        let before = (run.cc.window(), run.cc.ssthresh());
        most = most.max(before.0);
        run.apply(&if timeout {
            most = most.max(before.0.saturating_add(1000));
            Event::Timeout(before.0, true)
        } else {
            Event::Congestion(Signal::Loss, before.0, None)
        });
        let reduced = run.cc.window();
        run.apply(&Event::Undo);
        let window = run.cc.window();
        if run.cc.algorithm() == Algorithm::Bbr {
            // Or the one before it looked for the round-trip time with a small one.
            prop_assert!((before.0..=most).contains(&window), "{window} {most}");
        } else {
            prop_assert_eq!(window, before.0.max(reduced));
        }
        prop_assert_eq!(run.cc.ssthresh(), before.1);
    }
}

#[test]
fn names_are_linuxs_and_lead_back() {
    for (algorithm, name) in [
        (Algorithm::Cubic, "cubic"),
        (Algorithm::Reno, "reno"),
        (Algorithm::Bbr, "bbr"),
    ] {
        assert_eq!(algorithm.name(), name);
        assert_eq!(Algorithm::from_name(name.as_bytes()), Some(algorithm));
    }
}

#[test]
fn other_names_are_nobodys() {
    for name in ["", "cub", "cubic ", "CUBIC", "dctcp", "bbr\0", "reno2"] {
        assert_eq!(Algorithm::from_name(name.as_bytes()), None, "{name:?}");
    }
}

#[test]
fn cubic_is_the_default_as_in_linux() {
    assert_eq!(Algorithm::default(), Algorithm::Cubic);
}

#[test]
fn changing_the_control_keeps_the_window() {
    for from in Algorithm::ALL {
        for to in Algorithm::ALL {
            let mut cc = Congestion::new(from, 1000);
            cc.on_congestion(&Congested {
                signal: Signal::Loss,
                flight: 10_000,
                used: None,
                mss: 1000,
                now: Instant::default(),
            });
            let window = cc.window();
            cc.change(to, 1000);
            assert_eq!(cc.algorithm(), to);
            assert_eq!(cc.window(), window, "{from:?} {to:?}");
        }
    }
}
