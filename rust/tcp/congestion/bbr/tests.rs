// SPDX-License-Identifier: GPL-2.0

use super::*;

const MSS: u32 = 1000;

#[test]
fn it_is_small() {
    let size = core::mem::size_of::<Bbr>();
    assert!(size <= 184, "{size}");
}

/// A path that acknowledges whole rounds, of `flight` bytes each, at a rate of its own.
struct Feeder {
    bbr: Bbr,
    now_us: u64,
    delivered: u32,
    rtt_us: u64,
    /// Time between acknowledgments, if it is not the round-trip time's share.
    step_us: Option<u64>,
    app_limited: bool,
    sack: bool,
}

impl Feeder {
    fn new() -> Self {
        Self {
            bbr: Bbr::new(MSS),
            now_us: 1_000_000,
            delivered: 0,
            rtt_us: 100_000,
            step_us: None,
            app_limited: false,
            sack: true,
        }
    }

    /// A round in which `segments` arrive in a round-trip time, `lost` more are lost, and `flight`
    /// segments are in flight after it. Loss is told by as many acknowledgments.
    fn round(&mut self, segments: u32, lost: u32, flight: u32) {
        let prior = self.delivered;
        let step = self.step_us.unwrap_or(self.rtt_us / u64::from(segments));
        for n in 1..=segments {
            self.delivered += MSS;
            self.now_us += step;
            let rtt = Some(Duration::from_us(self.rtt_us));
            // What arrives was sent one by one in the round before.
            let prior_delivered = (prior + n * MSS).saturating_sub(segments * MSS);
            if n <= lost {
                self.bbr.on_lost(&Lost {
                    delivered: prior_delivered,
                    tx_in_flight: Some(segments * MSS),
                    ..self.lost()
                });
            }
            self.bbr.on_ack(&Ack {
                acked: MSS,
                mss: MSS,
                limited: true,
                flight: flight * MSS,
                snd_una: SeqNumber(self.delivered),
                snd_nxt: SeqNumber(self.delivered + flight * MSS),
                rtt,
                srtt: Duration::from_us(self.rtt_us),
                delivered: self.delivered,
                rate: Some(RateSample {
                    delivered: segments * MSS,
                    interval: Duration::from_us(self.rtt_us),
                    prior_delivered,
                    app_limited: self.app_limited,
                    tx_in_flight: segments * MSS,
                }),
                now: Instant::from_us(self.now_us),
            });
        }
    }

    /// A segment that was sent now and is lost.
    fn lost(&self) -> Lost {
        Lost {
            bytes: MSS,
            apart: true,
            delivered: self.delivered,
            tx_in_flight: Some(100 * MSS),
            app_limited: self.app_limited,
            sack: self.sack,
            mss: MSS,
            now: Instant::from_us(self.now_us),
        }
    }

    fn rounds(&mut self, count: u32, segments: u32, flight: u32) {
        for _ in 0..count {
            self.round(segments, 0, flight);
        }
    }

    /// Full at 100 segments each 100 ms, with an empty queue.
    fn settled() -> Self {
        let mut feeder = Self::new();
        for segments in [10, 20, 40, 80] {
            feeder.round(segments, 0, segments);
        }
        feeder.rounds(6, 100, 150);
        feeder.rounds(1, 100, 90);
        feeder
    }

    /// Settled, and in `mode`.
    fn in_mode(mode: Mode) -> Self {
        let mut feeder = Self::settled();
        for _ in 0..200 {
            if feeder.bbr.mode == mode {
                return feeder;
            }
            feeder.round(100, 0, 80);
        }
        panic!("never {mode:?}");
    }
}

fn loss() -> Congested {
    Congested {
        signal: Signal::Loss,
        flight: 100 * MSS,
        used: None,
        mss: MSS,
        now: Instant::default(),
    }
}

fn mark() -> Congested {
    Congested {
        signal: Signal::Ecn,
        ..loss()
    }
}

#[test]
fn it_starts_with_ten_segments_at_startups_gain() {
    let mut feeder = Feeder::new();
    assert_eq!(feeder.bbr.window(), 10 * MSS);
    feeder.round(1, 0, 10);
    // 10 segments each 100 ms, times 2.77.
    let rate = feeder.bbr.pacing_rate().unwrap();
    assert!((276_000..=277_100).contains(&rate), "{rate}");
    assert_eq!(feeder.bbr.mode, Mode::Startup);
}

#[test]
fn startup_goes_on_while_the_rate_grows_by_a_quarter() {
    let mut feeder = Feeder::new();
    let mut segments = 10;
    for _ in 0..12 {
        feeder.round(segments, 0, segments);
        assert_eq!(feeder.bbr.mode, Mode::Startup);
        segments = segments * 13 / 10;
    }
}

#[test]
fn three_rounds_without_growth_end_startup() {
    let mut feeder = Feeder::new();
    for segments in [10, 20, 40, 80] {
        feeder.round(segments, 0, segments);
    }
    feeder.round(85, 0, 200);
    assert_eq!(feeder.bbr.mode, Mode::Startup);
    feeder.rounds(4, 85, 200);
    assert_eq!(feeder.bbr.mode, Mode::Drain);
    assert!(feeder.bbr.full_bw.reached);
}

#[test]
fn a_user_with_little_to_send_does_not_end_startup() {
    let mut feeder = Feeder::new();
    feeder.app_limited = true;
    feeder.rounds(20, 10, 10);
    assert_eq!(feeder.bbr.mode, Mode::Startup);
}

#[test]
fn much_loss_in_recovery_ends_startup_and_bounds_the_flight() {
    let mut feeder = Feeder::new();
    for segments in [10, 20, 40] {
        feeder.round(segments, 0, segments);
    }
    feeder.bbr.on_congestion(&loss());
    feeder.round(80, 10, 120);
    feeder.round(120, 10, 120);
    feeder.round(160, 10, 120);
    assert!(feeder.bbr.full_bw.reached);
    assert!(feeder.bbr.path.inflight_hi < NONE);
}

/// Six holes are many, however much is missing in each; without SACK one is.
#[test]
fn loss_in_few_places_does_not_end_startup() {
    for (apart, sack, ends) in [
        (true, true, true),
        (false, true, false),
        (false, false, true),
    ] {
        let mut feeder = Feeder::new();
        for segments in [10, 20, 40] {
            feeder.round(segments, 0, segments);
        }
        let delivered = feeder.delivered - 40 * MSS;
        for _ in 0..6 {
            let lost = feeder.lost();
            feeder.bbr.on_lost(&Lost {
                delivered,
                apart,
                sack,
                ..lost
            });
        }
        feeder.bbr.on_congestion(&loss());
        feeder.round(80, 0, 120);
        feeder.round(160, 0, 120);
        assert_eq!(feeder.bbr.full_bw.reached, ends, "{apart} {sack}");
    }
}

#[test]
fn a_little_loss_does_not_end_startup() {
    let mut feeder = Feeder::new();
    for segments in [10, 20, 40] {
        feeder.round(segments, 0, segments);
    }
    feeder.bbr.on_congestion(&loss());
    for segments in [80, 160, 320] {
        feeder.round(segments, 1, segments);
    }
    assert_eq!(feeder.bbr.mode, Mode::Startup);
}

#[test]
fn drain_ends_when_no_more_is_in_flight_than_the_path_holds() {
    let mut feeder = Feeder::new();
    for segments in [10, 20, 40, 80] {
        feeder.round(segments, 0, segments);
    }
    feeder.rounds(6, 100, 200);
    assert_eq!(feeder.bbr.mode, Mode::Drain);
    let rate = feeder.bbr.pacing_rate().unwrap();
    assert!(rate.abs_diff(1_000_000 / 2 * 99 / 100) < 100, "{rate}");
    feeder.round(100, 0, 100);
    assert!(feeder.bbr.mode.is_probe_bw());
}

#[test]
fn drain_ends_after_three_rounds_whatever_is_in_flight() {
    let mut feeder = Feeder::new();
    while feeder.bbr.mode == Mode::Startup {
        feeder.round(100, 0, 300);
    }
    for n in 0..4 {
        assert_eq!(feeder.bbr.mode, Mode::Drain, "{n}");
        feeder.round(100, 0, 300);
    }
    assert_eq!(feeder.bbr.mode, Mode::Down);
}

#[test]
fn the_model_is_the_paths_rate_and_round_trip_time() {
    let feeder = Feeder::settled();
    let path = &feeder.bbr.path;
    assert_eq!(path.max_bw().bytes(), 1_000_000);
    assert_eq!(path.bdp(path.max_bw(), 100), Some(100 * MSS));
}

#[test]
fn the_cycle_goes_round() {
    let mut feeder = Feeder::settled();
    let mut seen: Vec<Mode> = Vec::new();
    for _ in 0..120 {
        feeder.round(100, 0, 40);
        // ProbeRTT has its own time.
        let mode = feeder.bbr.mode;
        if mode != Mode::ProbeRtt && seen.last() != Some(&mode) {
            seen.push(mode);
        }
    }
    let cycle = [Mode::Cruise, Mode::Refill, Mode::Up];
    let found = seen.windows(3).filter(|window| *window == cycle).count();
    assert!(found >= 2, "{seen:?}");
    assert!(!seen.contains(&Mode::Startup) && !seen.contains(&Mode::Drain));
}

#[test]
fn rates_are_those_of_the_phases() {
    for (mode, percent) in [(Mode::Down, 90), (Mode::Cruise, 100), (Mode::Up, 125)] {
        let mut feeder = Feeder::settled();
        feeder.bbr.mode = mode;
        feeder.bbr.set_pacing_rate(mode.pacing_gain());
        let rate = feeder.bbr.pacing_rate().unwrap();
        let wanted = 1_000_000 * percent / 100 * 99 / 100;
        assert!(rate.abs_diff(wanted) < 100, "{mode:?}: {rate}");
    }
}

#[test]
fn loss_while_cruising_lowers_the_short_term_bounds() {
    let mut feeder = Feeder::in_mode(Mode::Cruise);
    feeder.round(70, 5, 70);
    feeder.round(70, 5, 70);
    let path = &feeder.bbr.path;
    assert!(path.bw_lo < path.max_bw());
    assert!(path.inflight_lo < NONE);
    assert!(feeder.bbr.pacing_rate().unwrap() < 990_000);
}

#[test]
fn probing_again_lifts_the_short_term_bounds() {
    let mut feeder = Feeder::in_mode(Mode::Cruise);
    feeder.round(70, 5, 70);
    feeder.round(70, 5, 70);
    feeder.bbr.path.reset_lower_bounds();
    assert_eq!(feeder.bbr.bw(), feeder.bbr.path.max_bw());
}

#[test]
fn too_much_loss_while_probing_lowers_the_long_term_bound() {
    let mut feeder = Feeder::in_mode(Mode::Up);
    feeder.round(100, 5, 100);
    assert!(feeder.bbr.path.inflight_hi <= 100 * MSS);
    assert_ne!(feeder.bbr.mode, Mode::Up);
}

/// It stops where the last one went too high. If there was no loss the next comes at once and stays,
/// else in its time.
#[test]
fn a_probe_after_one_that_went_too_high_is_a_careful_one() {
    for again in [false, true] {
        let mut feeder = Feeder::in_mode(Mode::Up);
        let lost = feeder.lost();
        (0..3).for_each(|_| feeder.bbr.on_lost(&lost));
        assert_eq!(feeder.bbr.mode, Mode::Down);
        while feeder.bbr.mode != Mode::Up {
            feeder.round(80, 0, 40);
        }
        let most = feeder.bbr.path.inflight_hi / MSS;
        feeder.round(1, 0, most - 10);
        assert_eq!(feeder.bbr.mode, Mode::Up);
        feeder.round(1, 0, most - 1);
        assert_eq!(feeder.bbr.mode, Mode::Down);
        if again {
            let lost = feeder.lost();
            (0..3).for_each(|_| feeder.bbr.on_lost(&lost));
        }
        feeder.round(80, 0, 95);
        assert_eq!(feeder.bbr.mode == Mode::Refill, !again, "{again}");
        if !again {
            feeder.round(80, 0, 95);
            feeder.round(1, 0, most - 1);
            assert_eq!(feeder.bbr.mode, Mode::Up);
        }
    }
}

/// Whether an acknowledgment told of it or a timer.
#[test]
fn loss_without_an_acknowledgment_counts() {
    let mut feeder = Feeder::in_mode(Mode::Up);
    let lost = feeder.lost();
    for _ in 0..3 {
        assert_eq!(feeder.bbr.mode, Mode::Up);
        feeder.bbr.on_lost(&lost);
    }
    assert_eq!(feeder.bbr.mode, Mode::Down);
}

/// Not what was in flight when that was sent which the loss is found by.
#[test]
fn the_bound_is_the_flight_in_which_the_loss_was_too_much() {
    let mut feeder = Feeder::in_mode(Mode::Up);
    feeder.bbr.on_lost(&Lost {
        bytes: 10 * MSS,
        tx_in_flight: Some(200 * MSS),
        ..feeder.lost()
    });
    // 2 % of 190 segments, and as much of what goes beyond them.
    let wanted = 190 * MSS + 3_800 * 100 / 98;
    assert_eq!(feeder.bbr.path.inflight_hi, wanted);
}

#[test]
fn a_probe_that_repairs_the_last_segment_tells_of_loss() {
    let mut feeder = Feeder::in_mode(Mode::Cruise);
    feeder.bbr.on_lost(&Lost {
        tx_in_flight: None,
        ..feeder.lost()
    });
    feeder.rounds(1, 60, 60);
    assert!(feeder.bbr.path.inflight_lo < NONE);
}

/// Where one loss in a round trip is all that shows, one is too much.
#[test]
fn without_sack_one_loss_while_probing_is_too_much() {
    for (sack, mode) in [(true, Mode::Up), (false, Mode::Down)] {
        let mut feeder = Feeder::in_mode(Mode::Up);
        feeder.sack = sack;
        let lost = feeder.lost();
        feeder.bbr.on_lost(&lost);
        assert_eq!(feeder.bbr.mode, mode, "{sack}");
    }
}

#[test]
fn a_little_loss_while_probing_does_not() {
    let mut feeder = Feeder::in_mode(Mode::Up);
    feeder.round(100, 1, 100);
    assert_eq!(feeder.bbr.path.inflight_hi, NONE);
    assert_eq!(feeder.bbr.mode, Mode::Up);
}

#[test]
fn probe_rtt_keeps_half_of_what_the_path_holds_for_200_ms() {
    let mut feeder = Feeder::in_mode(Mode::ProbeRtt);
    assert!(feeder.bbr.window() <= 50 * MSS);
    let before = feeder.now_us;
    while feeder.bbr.mode == Mode::ProbeRtt {
        feeder.round(40, 0, 40);
    }
    let took = (feeder.now_us - before) / 1000;
    assert!((100..=600).contains(&took), "{took} ms");
    feeder.rounds(1, 100, 80);
    assert!(feeder.bbr.window() > 100 * MSS);
}

/// A connection that pauses with little in flight has done what ProbeRTT is for.
#[test]
fn idleness_ends_probe_rtt_when_its_time_is_over() {
    for (ms, ends) in [(150, false), (200, true)] {
        let mut feeder = Feeder::in_mode(Mode::Cruise);
        let window = feeder.bbr.window();
        while feeder.bbr.mode != Mode::ProbeRtt {
            feeder.round(100, 0, 80);
        }
        feeder.step_us = Some(0);
        feeder.round(1, 0, 0);
        let now = Instant::from_us(feeder.now_us) + Duration::from_ms(ms);
        let idle = Duration::from_ms(ms);
        feeder.bbr.on_idle(idle, idle, MSS, now);
        assert_eq!(feeder.bbr.mode == Mode::Cruise, ends, "{ms} ms");
        assert_eq!(feeder.bbr.window() >= window, ends, "{ms} ms");
    }
}

/// What was sent in ProbeRTT and arrives after it is no sign of a full path, nor a rate.
#[test]
fn rates_of_what_probe_rtt_held_back_do_not_count() {
    let mut feeder = Feeder::in_mode(Mode::ProbeRtt);
    feeder.round(40, 0, 40);
    let now = Instant::from_us(feeder.now_us) + Duration::from_ms(200);
    feeder.bbr.end_probe_rtt_if_long(now, 40 * MSS);
    assert_eq!(feeder.bbr.mode, Mode::Cruise);
    let delivered = feeder.bbr.path.delivered;
    for (behind, held) in [
        (0, true),
        (40 * MSS, true),
        (40 * MSS + 1, false),
        (0, false),
    ] {
        assert_eq!(
            feeder.bbr.is_held_back(delivered + behind),
            held,
            "{behind}"
        );
    }
}

#[test]
fn a_quicker_round_trip_puts_probe_rtt_off() {
    let mut feeder = Feeder::settled();
    for n in 0..100 {
        feeder.rtt_us -= 100;
        feeder.round(100, 0, 80);
        assert_ne!(feeder.bbr.mode, Mode::ProbeRtt, "{n}");
    }
}

#[test]
fn the_rate_of_two_cycles_ago_is_forgotten() {
    let mut path = model::Path::new();
    let sample = |rate| Sample {
        rate: Rate::new(rate, 1_000_000),
        sample: RateSample {
            delivered: 0,
            interval: Duration::ZERO,
            prior_delivered: 0,
            app_limited: false,
            tx_in_flight: 0,
        },
    };
    path.learn_rate(&sample(8000));
    path.next_cycle();
    path.learn_rate(&sample(800));
    assert_eq!(path.max_bw().bytes(), 8000);
    path.next_cycle();
    assert_eq!(path.max_bw().bytes(), 800);
    // A cycle that learned nothing does not leave us without a rate.
    path.next_cycle();
    path.next_cycle();
    assert_eq!(path.max_bw().bytes(), 800);
}

#[test]
fn a_rate_that_the_user_held_back_counts_if_it_is_the_highest() {
    let mut feeder = Feeder::settled();
    feeder.app_limited = true;
    feeder.rounds(3, 10, 10);
    assert_eq!(feeder.bbr.path.max_bw().bytes(), 1_000_000);
    feeder.rounds(1, 200, 80);
    assert_eq!(feeder.bbr.path.max_bw().bytes(), 2_000_000);
}

#[test]
fn a_mark_in_startup_ends_it_and_bounds_the_flight() {
    let mut feeder = Feeder::new();
    for segments in [10, 20, 40] {
        feeder.round(segments, 0, segments);
    }
    feeder.bbr.on_congestion(&mark());
    feeder.round(80, 0, 200);
    assert_eq!(feeder.bbr.mode, Mode::Drain);
    assert!(feeder.bbr.path.inflight_hi <= 80 * MSS);
}

/// In Refill too: what it fills the path with is what the mark was for.
#[test]
fn a_mark_while_probing_lowers_the_long_term_bound() {
    for mode in [Mode::Refill, Mode::Up] {
        let mut feeder = Feeder::in_mode(mode);
        feeder.bbr.on_congestion(&mark());
        feeder.round(1, 0, 100);
        assert_eq!(feeder.bbr.mode, Mode::Down, "{mode:?}");
        assert!(feeder.bbr.path.inflight_hi <= 100 * MSS, "{mode:?}");
    }
}

#[test]
fn a_mark_while_cruising_lowers_the_short_term_bounds_once() {
    let mut feeder = Feeder::in_mode(Mode::Cruise);
    let window = feeder.bbr.window();
    for _ in 0..3 {
        feeder.bbr.on_congestion(&mark());
    }
    feeder.rounds(4, 60, 60);
    let path = feeder.bbr.path;
    assert_eq!(path.inflight_lo, percent(window, BETA));
    assert_eq!(feeder.bbr.window(), path.inflight_lo);
    feeder.bbr.on_congestion(&mark());
    feeder.rounds(4, 60, 60);
    assert!(feeder.bbr.path.bw_lo < path.bw_lo);
}

#[test]
fn a_mark_is_no_mistake() {
    let mut feeder = Feeder::in_mode(Mode::Up);
    feeder.bbr.on_congestion(&loss());
    feeder.bbr.on_congestion(&mark());
    feeder.round(1, 0, 100);
    feeder.bbr.on_undo(Instant::default());
    assert!(feeder.bbr.path.inflight_hi < NONE);
}

#[test]
fn loss_alone_does_not_shrink_the_window() {
    let mut feeder = Feeder::settled();
    let before = feeder.bbr.window();
    feeder.bbr.on_congestion(&loss());
    assert_eq!(feeder.bbr.window(), before);
}

#[test]
fn a_timeout_leaves_one_segment_and_the_first_acknowledgment_four() {
    let mut feeder = Feeder::settled();
    feeder.bbr.on_timeout(0, MSS, true, Instant::default());
    assert_eq!(feeder.bbr.window(), MSS);
    feeder.round(1, 0, 0);
    assert!(feeder.bbr.window() >= 4 * MSS);
    assert!(feeder.bbr.path.inflight_lo >= 100 * MSS);
}

/// Of what may still arrive the window must not be the bound.
#[test]
fn after_a_timeout_one_segment_may_be_sent_beside_what_is_in_flight() {
    let mut feeder = Feeder::settled();
    feeder
        .bbr
        .on_timeout(7 * MSS, MSS, true, Instant::default());
    assert_eq!(feeder.bbr.window(), 8 * MSS);
}

/// And not only if it was one: another loss on the way does not make it forgotten.
#[test]
fn the_window_before_a_timeout_comes_back_when_it_is_over() {
    for again in [false, true] {
        let mut feeder = Feeder::settled();
        let window = feeder.bbr.window();
        feeder.bbr.on_timeout(0, MSS, true, Instant::default());
        feeder.round(1, 0, 0);
        if again {
            feeder.bbr.on_congestion(&loss());
        }
        assert!(feeder.bbr.window() < window);
        feeder.bbr.on_recovered(None, MSS, Instant::default());
        assert_eq!(feeder.bbr.window(), window, "{again}");
    }
}

/// It is much loss that is found at once, and not by a round trip of recovery.
#[test]
fn a_timeout_does_not_end_startup() {
    let mut feeder = Feeder::new();
    for segments in [10, 20, 40] {
        feeder.round(segments, 0, segments);
    }
    for _ in 0..6 {
        let lost = feeder.lost();
        feeder.bbr.on_lost(&lost);
    }
    feeder.bbr.on_timeout(0, MSS, true, Instant::default());
    feeder.round(1, 0, 0);
    assert_eq!(feeder.bbr.mode, Mode::Startup);
}

#[test]
fn a_mistake_lifts_the_bounds_that_it_set() {
    let mut feeder = Feeder::in_mode(Mode::Cruise);
    let window = feeder.bbr.window();
    feeder.bbr.on_congestion(&loss());
    feeder.round(70, 5, 70);
    feeder.round(70, 5, 70);
    assert!(feeder.bbr.path.inflight_lo < NONE);
    feeder.bbr.on_undo(Instant::default());
    assert_eq!(feeder.bbr.path.inflight_lo, NONE);
    assert_eq!(feeder.bbr.path.bw_lo, Rate::NONE);
    assert!(feeder.bbr.window() >= window);
}

#[test]
fn a_mistake_that_ended_startup_takes_it_up_again() {
    let mut feeder = Feeder::new();
    for segments in [10, 20, 40] {
        feeder.round(segments, 0, segments);
    }
    feeder.bbr.on_congestion(&loss());
    feeder.round(80, 10, 120);
    feeder.round(120, 10, 120);
    assert_ne!(feeder.bbr.mode, Mode::Startup);
    feeder.bbr.on_undo(Instant::default());
    assert_eq!(feeder.bbr.mode, Mode::Startup);
    assert!(!feeder.bbr.full_bw.reached);
    feeder.round(160, 0, 300);
    assert_eq!(feeder.bbr.mode, Mode::Startup);
}

/// By filling the path first, also if that shows when all is repaired; and once.
#[test]
fn a_mistake_that_ended_a_probe_takes_it_up_again() {
    for recovered in [false, true] {
        let mut feeder = Feeder::in_mode(Mode::Up);
        let lost = feeder.lost();
        (0..5).for_each(|_| feeder.bbr.on_lost(&lost));
        feeder.bbr.on_congestion(&loss());
        assert_eq!(feeder.bbr.mode, Mode::Down);
        if recovered {
            feeder.bbr.on_recovered(None, MSS, lost.now);
        }
        feeder.bbr.on_undo(lost.now);
        assert_eq!(feeder.bbr.mode, Mode::Refill, "{recovered}");
        feeder.bbr.start_down(lost.now);
        feeder.bbr.on_undo(lost.now);
        assert_eq!(feeder.bbr.mode, Mode::Down, "{recovered}");
    }
}

#[test]
fn it_can_begin_when_much_was_delivered_already() {
    for delivered in [0x7fff_0000, 0x8000_0001, 0xf000_0000] {
        let mut feeder = Feeder::new();
        feeder.delivered = delivered;
        for segments in [10, 20, 40, 80] {
            feeder.round(segments, 0, segments);
        }
        feeder.rounds(6, 100, 90);
        assert!(feeder.bbr.mode.is_probe_bw(), "{delivered:x}");
    }
}

#[test]
fn acknowledgments_in_bursts_widen_the_window() {
    let mut feeder = Feeder::settled();
    feeder.rounds(10, 100, 80);
    let even = feeder.bbr.path.extra_acked();
    assert!(even <= 5 * MSS, "{even}");
    // Nothing for a while, then much at once.
    feeder.now_us += 50_000;
    feeder.step_us = Some(2);
    feeder.round(50, 0, 80);
    let bursts = feeder.bbr.path.extra_acked();
    assert!(bursts >= 40 * MSS, "{bursts}");
}

#[test]
fn without_rates_it_keeps_its_first_window() {
    let mut bbr = Bbr::new(MSS);
    for n in 0..100u32 {
        bbr.on_ack(&Ack {
            acked: MSS,
            mss: MSS,
            limited: true,
            flight: 0,
            snd_una: SeqNumber(n),
            snd_nxt: SeqNumber(n + 1),
            rtt: None,
            srtt: Duration::from_ms(10),
            delivered: 0,
            rate: None,
            now: Instant::from_us(n.into()),
        });
    }
    assert!((10 * MSS..=20 * MSS).contains(&bbr.window()));
}

#[test]
fn the_send_quantum_follows_the_rate() {
    let mut bbr = Bbr::new(MSS);
    for (rate, quantum) in [
        (100_000, MSS),
        (1_000_000, 2 * MSS),
        (10_000_000, 10 * MSS),
        (1_000_000_000, 65_536),
    ] {
        bbr.pacing_rate = Rate::new(rate, 1_000_000);
        assert_eq!(bbr.send_quantum(MSS), quantum, "{rate}");
    }
}
