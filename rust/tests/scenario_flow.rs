// SPDX-License-Identifier: GPL-2.0

//! Windows, probes, acknowledgments and their delay, Nagle's algorithm, keepalive.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::events::Error;
use oxtcp_core::tcp::segment::Flags;
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::time::Duration;
use oxtcp_core::tcp::timer::TimerKind;

fn lens(sent: &[Sent]) -> Vec<u32> {
    sent.iter().map(|s| s.2).collect()
}

fn times(sent: &[Sent]) -> Vec<u64> {
    sent.iter().map(|s| s.0).collect()
}

/// An end whose peer has closed its window.
fn shut(config: Config) -> End {
    let mut end = End::established(config);
    end.arrive(with_window(seg(ACK, IRS + 1, ISS + 1, 0), 0));
    end
}

#[test]
fn a_closed_window_is_probed_with_doubled_times() {
    let mut end = shut(plain());
    end.send(100);
    let sent = end.until(3100);
    assert_eq!(times(&sent), [200, 600, 1400, 3000]);
    assert!(sent.iter().all(|s| s.1 == ISS && s.2 == 0 && s.3 == ACK));
    assert_eq!(end.tcb.timer().map(|t| t.0), Some(TimerKind::Persist));
}

/// How many timers expire for an orphan, whose peer has no room and answers, until it ends.
fn expiries_of_orphan(mut end: End) -> usize {
    end.send(100);
    end.sent();
    end.tcb.close(&end.config.clone(), false, end.now);
    for expiries in 1..20 {
        let next = end.tcb.deadline().map_or(0, |at| at.us().div_ceil(1000));
        end.until(next);
        if end.ended_at.is_some() {
            assert_eq!(end.last.error, Some(Error::TimedOut));
            return expiries;
        }
        end.arrive(with_window(seg(ACK, IRS + 1, ISS + 1, 0), 0));
    }
    panic!("it goes on");
}

/// As `tcp_probe_timer`: who has closed is not held by a peer that takes nothing, answers as it may.
#[test]
fn an_orphan_does_not_wait_for_ever_for_a_window() {
    let end = shut(Config {
        orphan_retries: 8,
        rto_max: Duration::from_secs(120),
        ..plain()
    });
    // 0.2 s doubled is 120 s and more with the tenth.
    assert_eq!(expiries_of_orphan(end), 11);
}

/// The same when the window was closed over text in flight.
#[test]
fn an_orphan_does_not_wait_for_ever_for_room() {
    let end = End::established(Config {
        orphan_retries: 4,
        ..plain()
    });
    assert_eq!(expiries_of_orphan(end), 5);
}

#[test]
fn probes_go_on_while_the_peer_answers() {
    let mut end = shut(Config {
        retries: 3,
        ..plain()
    });
    end.send(100);
    assert!(end.sent().is_empty());
    for _ in 0..20 {
        let next = end.tcb.deadline().map_or(0, |at| at.us().div_ceil(1000));
        assert_eq!(end.until(next).len(), 1);
        end.arrive(with_window(seg(ACK, IRS + 1, ISS + 1, 0), 0));
    }
    assert_eq!(end.ended_at, None);
    end.acked(ISS + 1);
    assert_eq!(lens(&end.sent()), [100]);
    assert_eq!(end.tcb.timer().map(|t| t.0), Some(TimerKind::Retransmit));
}

#[test]
fn probes_without_an_answer_end() {
    let mut end = shut(Config {
        retries: 3,
        ..plain()
    });
    end.send(100);
    assert_eq!(times(&end.until(1_000_000)), [200, 600, 1400]);
    assert_eq!(end.ended_at, Some(3000));
    assert_eq!(end.last.error, Some(Error::TimedOut));
}

#[test]
fn an_opened_window_lets_text_out_with_a_fresh_timeout() {
    let mut end = shut(plain());
    end.send(100);
    end.until(3100);
    end.acked(ISS + 1);
    let sent = end.wait(350);
    assert_eq!(lens(&sent), [100, 100]);
    assert_eq!(sent[1].0 - sent[0].0, 200);
}

#[test]
fn an_idle_time_before_does_not_count_for_the_user_timeout() {
    let mut end = shut(Config {
        user_timeout: ms(5000),
        ..plain()
    });
    end.wait(100_000);
    end.send(100);
    assert_eq!(times(&end.until(101_500)), [100_200, 100_600, 101_400]);
    assert_eq!(end.ended_at, None);
}

#[test]
fn a_fin_waits_for_the_window_too() {
    let mut end = shut(plain());
    end.tcb.shutdown_write();
    assert_eq!(end.until(250).len(), 1);
    end.acked(ISS + 1);
    assert_eq!(end.sent(), [(end.ms(), ISS + 1, 0, FIN | ACK)]);
}

#[test]
fn a_full_peer_that_answers_is_not_given_up() {
    let mut end = End::established(Config {
        retries: 3,
        ..plain()
    });
    end.send(1000);
    end.sent();
    for _ in 0..10 {
        end.arrive(with_window(seg(ACK, IRS + 1, ISS + 1, 0), 0));
        assert!(!end.wait(121_000).is_empty());
    }
    assert_eq!(end.ended_at, None);
}

#[test]
fn a_window_smaller_than_a_segment_is_used_when_half_of_the_largest() {
    let mut end = End::established(plain());
    end.arrive(with_window(seg(ACK, IRS + 1, ISS + 1, 10), 500));
    end.arrive(with_window(seg(ACK, IRS + 11, ISS + 1, 0), 500));
    assert_eq!(lens(&end.wait(40)), [0]);
    end.send(5000);
    assert_eq!(lens(&end.sent()), [0; 0], "silly: 500 of 50000");
    let sent = end.until(240);
    assert_eq!(lens(&sent), [500], "waiting was in vain");
}

#[test]
fn an_old_segment_does_not_change_the_window() {
    let mut end = End::established(plain());
    end.send(2000);
    end.sent();
    end.arrive(with_window(seg(ACK, IRS + 1, ISS + 2001, 10), 30_000));
    end.arrive(with_window(seg(ACK, IRS + 1, ISS + 1001, 0), 40_000));
    assert_eq!(end.tcb.snd_wnd(), 30_000);
}

#[test]
fn an_acknowledgment_takes_its_window_with_it_whatever_its_number() {
    let mut end = End::established(plain());
    end.send(2000);
    end.sent();
    end.arrive(with_window(seg(ACK, IRS + 101, ISS + 1, 100), 3000));
    end.arrive(with_window(seg(ACK, IRS + 1, ISS + 2001, 100), 1000));
    assert_eq!(end.tcb.snd_wnd(), 1000);
}

#[test]
fn the_second_full_segment_is_acknowledged_at_once() {
    let mut end = End::established(plain());
    end.arrive(seg(ACK, IRS + 1, ISS + 1, 1000));
    assert_eq!(end.wait(50).len(), 1);
    end.tcb.set_quick_ack(&end.config, false);
    end.rx.read(1000);
    end.arrive(seg(ACK, IRS + 1001, ISS + 1, 1000));
    assert!(end.sent().is_empty());
    end.rx.read(1000);
    end.arrive(seg(ACK, IRS + 2001, ISS + 1, 1000));
    let out = end.out();
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].ack.0, IRS + 3001);
}

#[test]
fn the_second_full_segment_waits_for_a_reader_who_does_not_keep_up() {
    let mut end = End::established(plain());
    end.arrive(seg(ACK, IRS + 1, ISS + 1, 1000));
    end.wait(50);
    end.tcb.set_quick_ack(&end.config, false);
    end.arrive(seg(ACK, IRS + 1001, ISS + 1, 1000));
    end.arrive(seg(ACK, IRS + 2001, ISS + 1, 1000));
    assert!(end.sent().is_empty());
    end.rx.read(3000);
    end.tcb.on_receive(&end.config.clone(), &end.rx);
    assert_eq!(end.out().first().map(|o| o.ack.0), Some(IRS + 3001));
}

#[test]
fn one_segment_is_acknowledged_after_forty_milliseconds() {
    let mut end = End::established(plain());
    end.wait(1000);
    end.arrive(seg(ACK, IRS + 1, ISS + 1, 1000));
    assert_eq!(end.until(2000), [(1040, ISS + 1, 0, ACK)]);
}

#[test]
fn an_acknowledgment_rides_on_text() {
    let mut end = End::established(plain());
    end.arrive(seg(ACK, IRS + 1, ISS + 1, 100));
    end.send(10);
    let out = end.out();
    assert_eq!((out[0].len, out[0].ack.0), (10, IRS + 101));
    end.acked(ISS + 11);
    assert!(end.until(1000).is_empty());
}

#[test]
fn text_out_of_order_old_or_beyond_the_window_is_answered_at_once() {
    for (seq, len) in [
        (IRS + 101, 100),
        (IRS - 99, 100),
        (IRS + 1 + 20_000, 100),
        (IRS + 30_000, 1),
    ] {
        let mut end = End::established(plain());
        end.arrive(seg(ACK, seq, ISS + 1, len));
        let acks: Vec<_> = end.out().iter().map(|o| o.ack.0).collect();
        assert_eq!(acks, [IRS + 1], "{seq}");
    }
}

#[test]
fn filling_a_part_of_a_gap_is_answered_at_once() {
    let mut end = End::established(plain());
    end.arrive(seg(ACK, IRS + 301, ISS + 1, 100));
    end.sent();
    end.arrive(seg(ACK, IRS + 1, ISS + 1, 100));
    assert_eq!(end.out().first().map(|o| o.ack.0), Some(IRS + 101));
    end.arrive(seg(ACK, IRS + 101, ISS + 1, 200));
    assert_eq!(end.out().first().map(|o| o.ack.0), Some(IRS + 401));
}

#[test]
fn what_could_not_be_kept_is_not_acknowledged_but_answered() {
    let mut end = End::established(plain());
    end.rx.fail = true;
    end.arrive(seg(ACK, IRS + 1, ISS + 1, 100));
    assert_eq!(end.out().first().map(|o| o.ack.0), Some(IRS + 1));
}

#[test]
fn sack_blocks_tell_what_waits_the_latest_first() {
    let mut end = End::established(with_sack());
    end.arrive(seg(ACK, IRS + 101, ISS + 1, 100));
    end.sent();
    end.arrive(seg(ACK, IRS + 301, ISS + 1, 100));
    let out = end.out();
    let blocks: Vec<_> = out[0]
        .options
        .sack
        .as_slice()
        .iter()
        .map(|b| b.start.0)
        .collect();
    assert_eq!(blocks, [IRS + 301, IRS + 101]);
}

#[test]
fn nagle_holds_a_second_small_segment() {
    let mut end = End::established(plain());
    end.send(10);
    assert_eq!(lens(&end.sent()), [10]);
    end.send(20);
    end.send(30);
    assert!(end.sent().is_empty());
    end.acked(ISS + 11);
    assert_eq!(lens(&end.sent()), [50]);
}

#[test]
fn nagle_does_not_hold_full_segments_nor_the_first_small_one_behind_them() {
    let mut end = End::established(plain());
    end.send(2500);
    assert_eq!(lens(&end.sent()), [1000, 1000, 500]);
    end.send(1200);
    assert_eq!(lens(&end.sent()), [1000]);
}

#[test]
fn nagle_does_not_hold_the_last_text_before_a_fin() {
    let mut end = End::established(plain());
    end.send(10);
    end.sent();
    end.send(10);
    end.tcb.shutdown_write();
    let sent = end.sent();
    assert_eq!(lens(&sent), [10]);
    assert!(sent[0].3.has(FIN));
}

#[test]
fn nodelay_holds_nothing() {
    let mut end = End::established(Config {
        nodelay: true,
        ..plain()
    });
    for _ in 0..3 {
        end.send(10);
        assert_eq!(lens(&end.sent()), [10]);
    }
}

#[test]
fn a_window_update_is_sent_when_it_is_worth_it() {
    let mut end = End::established(plain());
    for n in 0..20 {
        end.arrive(seg(ACK, IRS + 1 + n * 1000, ISS + 1, 1000));
        end.sent();
    }
    end.wait(500);
    assert_eq!(end.tcb.rcv_wnd(), 0);
    end.rx.read(1000);
    end.tcb.on_receive(&end.config.clone(), &end.rx);
    assert!(end.sent().is_empty(), "a twentieth of the buffer is silly");
    end.rx.read(500);
    end.tcb.on_receive(&end.config.clone(), &end.rx);
    assert_eq!(end.out().first().map(|o| o.wnd), Some(1000));
}

#[test]
fn a_run_is_a_multiple_of_segments() {
    let mut end = End::established(plain());
    end.limits.max_run = 3500;
    end.send(8200);
    assert_eq!(lens(&end.sent()), [3000, 3000, 2200]);
}

#[test]
fn keepalive_probes_and_gives_up() {
    let config = Config {
        keepalive: true,
        keepalive_time: ms(10_000),
        keepalive_interval: ms(1000),
        keepalive_probes: 3,
        ..plain()
    };
    let mut end = End::established(config);
    let sent = end.until(100_000);
    assert_eq!(times(&sent), [10_000, 11_000, 12_000]);
    assert!(sent.iter().all(|s| s.1 == ISS && s.2 == 0));
    assert_eq!(end.ended_at, Some(13_000));
    assert_eq!(end.last.error, Some(Error::TimedOut));
    assert!(end.last.reply.is_some_and(|r| r.flags.has(RST)));
}

#[test]
fn an_answer_to_a_keepalive_probe_starts_it_anew() {
    let config = Config {
        keepalive: true,
        keepalive_time: ms(10_000),
        keepalive_interval: ms(7000),
        ..plain()
    };
    let mut end = End::established(config);
    assert_eq!(times(&end.until(10_000)), [10_000]);
    end.wait(100);
    end.acked(ISS + 1);
    assert_eq!(times(&end.until(20_200)), [20_100]);
}

#[test]
fn unacceptable_acknowledgments_are_no_sign_of_life() {
    let mut end = End::established(Config {
        keepalive: true,
        keepalive_time: Duration::from_secs(10),
        keepalive_interval: Duration::from_secs(1),
        keepalive_probes: 3,
        ..plain()
    });
    while end.ended_at.is_none() {
        assert!(end.ms() < 20_000, "it lives on");
        end.arrive(seg(ACK, IRS + 1, ISS + 9000, 0));
        end.wait(500);
    }
    assert_eq!(end.ended_at, Some(13_000));
}

#[test]
fn keepalive_of_an_orphan_is_off_and_fin_wait_2_ends() {
    let mut end = End::in_state(plain(), State::FinWait2);
    end.tcb.orphan(&end.config.clone(), end.now);
    assert!(end.until(1_000_000).is_empty());
    assert_eq!(end.ended_at, Some(60_000));
    assert_eq!(end.last.error, None);
}

#[test]
fn fin_wait_2_with_a_user_lasts() {
    let mut end = End::in_state(plain(), State::FinWait2);
    assert!(end.until(10_000_000).is_empty());
    assert_eq!(end.ended_at, None);
    end.arrive(seg(ACK, IRS + 1, ISS + 2, 100));
    assert_eq!(end.rx.readable(), 100);
}

#[test]
fn text_for_an_orphan_is_reset() {
    for state in [State::Established, State::FinWait2] {
        let mut end = End::in_state(plain(), state);
        end.tcb.close(&end.config.clone(), false, end.now);
        end.sent();
        let events = end.arrive(seg(ACK, IRS + 1, end.tcb.snd_nxt().0, 10));
        assert!(
            events.closed && events.reply.is_some_and(|r| r.flags.has(RST)),
            "{state:?}"
        );
    }
}

/// Sequence numbers wrap, and more than 2^32 of them are used.
#[test]
fn more_than_four_gibibytes_go_through() {
    let mut end = End::established(Config {
        window_scaling: true,
        ..plain()
    });
    end.limits.mss = 1000;
    let step = 40_000u32;
    let mut una = ISS + 1;
    let mut total = 0u64;
    end.limits.max_run = 65_000;
    while total < (1 << 32) + (1 << 31) {
        end.send(step);
        assert_eq!(end.tcb.unsent(), step);
        let mut sent = 0;
        while sent < step {
            let now = end.sent();
            assert!(!now.is_empty(), "stuck after {total}");
            sent += lens(&now).iter().sum::<u32>();
            una = now.last().map_or(una, |s| s.1.wrapping_add(s.2));
            let events = end.acked(una);
            assert_eq!(
                events.acked,
                lens(&now).iter().sum::<u32>(),
                "after {total}"
            );
        }
        total += u64::from(step);
        assert_eq!((end.tcb.unacked(), end.tcb.unsent()), (0, 0));
    }
}

/// The flags of what goes out now.
fn flags(end: &mut End) -> Vec<(u32, Flags)> {
    end.out().iter().map(|o| (o.len, o.flags)).collect()
}

const PUSHED: Flags = Flags::from_bits(0x18);

#[test]
fn what_the_user_does_not_follow_up_is_pushed() {
    let mut end = End::established(Config {
        nodelay: true,
        ..plain()
    });
    end.send(10);
    assert_eq!(flags(&mut end), [(10, PUSHED)]);
    end.tcb.on_send(2000, true);
    assert_eq!(flags(&mut end), [(1000, ACK), (1000, ACK)]);
    end.send(1500);
    assert_eq!(flags(&mut end), [(1000, ACK), (500, PUSHED)]);
}

#[test]
fn a_run_of_segments_is_pushed_at_its_end() {
    let mut end = End::established(plain());
    end.limits.max_run = 4000;
    end.tcb.on_send(4000, true);
    assert_eq!(flags(&mut end), [(4000, PUSHED)]);
}

/// RFC 9293 3.9.1.2, SHLD-27.
#[test]
fn pushes_in_a_row_become_one() {
    let mut end = shut(plain());
    for _ in 0..5 {
        end.send(500);
        assert!(end.sent().is_empty());
    }
    end.acked(ISS + 1);
    assert_eq!(flags(&mut end), [(1000, ACK), (1000, ACK), (500, PUSHED)]);
}

#[test]
fn nodelay_sends_what_a_cork_holds() {
    let mut end = End::established(Config {
        cork: true,
        ..plain()
    });
    end.send(10);
    assert!(end.sent().is_empty());
    end.config.nodelay = true;
    end.tcb.push_pending();
    assert_eq!(flags(&mut end), [(10, PUSHED)]);
}

#[test]
fn a_segment_ends_with_a_message() {
    let mut end = End::established(Config {
        nodelay: true,
        ..plain()
    });
    end.limits.max_run = 4000;
    for bytes in [400, 300, 5000] {
        end.send(bytes);
        if bytes < 500 {
            let number = end.tcb.on_message_end();
            end.rx.ends.push(number);
        }
    }
    let sent: Vec<_> = flags(&mut end);
    assert_eq!(sent[..2], [(400, PUSHED), (300, PUSHED)]);
    assert!(sent[2].0 > 1000);
    // Neither does what is sent again go on behind it.
    end.expire();
    end.expire();
    assert_eq!(end.out().first().map(|o| o.len), Some(400));
}

#[test]
fn a_fin_is_acknowledged_with_ours_or_a_little_later() {
    let mut end = End::established(plain());
    end.arrive(seg(ACK, IRS + 1, ISS + 1, 100));
    end.wait(50);
    end.arrive(seg(FIN | ACK, IRS + 101, ISS + 1, 0));
    assert!(end.sent().is_empty());
    end.tcb.shutdown_write();
    let out = end.out();
    assert_eq!(out.len(), 1);
    assert_eq!((out[0].ack.0, out[0].flags), (IRS + 102, FIN | ACK));
}

#[test]
fn how_long_the_peers_window_holds_us_back_is_known() {
    let mut end = End::established(plain());
    end.arrive(with_window(seg(ACK, IRS + 1, ISS + 1, 0), 0));
    end.send(100);
    end.wait(100);
    let times = end.tcb.chrono(end.now);
    assert_eq!((times.busy.ms(), times.window_limited.ms()), (100, 100));
    end.acked(ISS + 1);
    assert_eq!(end.sent().len(), 1);
    end.wait(50);
    end.acked(ISS + 101);
    end.wait(50);
    let times = end.tcb.chrono(end.now);
    assert_eq!((times.busy.ms(), times.window_limited.ms()), (150, 100));
}

#[test]
fn half_a_window_of_text_is_pushed_though_more_follows() {
    let mut end = End::connecting(plain());
    let mut answer = with_window(seg(SYN | ACK, IRS, ISS + 1, 0), 2000);
    answer.options = syn_options(&plain());
    end.out();
    end.arrive(answer);
    end.out();
    let mut pushed = Vec::new();
    for more in [true, true, false] {
        end.tcb.on_send(600, more);
        end.tcb.push_pending();
        pushed.extend(end.out().iter().map(|o| o.flags.has(Flags::PSH)));
        let next = end.tcb.snd_nxt().0;
        end.arrive(with_window(seg(ACK, IRS + 1, next, 0), 2000));
    }
    assert_eq!(pushed, [false, true, true]);
}

#[test]
fn how_long_the_send_buffer_holds_us_back_is_known() {
    let mut end = End::established(plain());
    let mss = end.tcb.mss() as u32;
    end.send(15 * mss);
    assert_eq!(end.out().iter().map(|o| o.len).sum::<u32>(), 10 * mss);
    // The user has more to say, but what it has said is held back by the congestion window still.
    end.tcb.on_buffer_full(end.now);
    end.wait(10);
    end.acked(ISS + 1 + 10 * mss);
    assert_eq!(end.out().iter().map(|o| o.len).sum::<u32>(), 5 * mss);
    end.wait(20);
    let times = end.tcb.chrono(end.now);
    assert_eq!((times.busy.ms(), times.buffer_limited.ms()), (30, 20));
    end.tcb.on_buffer_room(end.now);
    end.wait(5);
    let times = end.tcb.chrono(end.now);
    assert_eq!((times.busy.ms(), times.buffer_limited.ms()), (35, 20));
}

#[test]
fn text_that_waits_for_more_goes_out_with_the_next_acknowledgment() {
    let mut end = End::established(Config {
        nodelay: true,
        ..plain()
    });
    end.tcb.on_send(3100, true);
    assert_eq!(flags(&mut end), [(1000, ACK); 3]);
    end.acked(ISS + 2001);
    assert_eq!(flags(&mut end), [(100, ACK)]);
}

#[test]
fn text_that_waits_for_more_goes_out_in_the_end() {
    let mut end = End::established(plain());
    end.tcb.on_send(10, true);
    assert!(end.sent().is_empty());
    let sent = end.wait(500);
    assert_eq!(sent.first().map(|s| (s.2, s.3)), Some((10, PUSHED)));
}

#[test]
fn a_fin_at_an_overrun_buffer_is_acknowledged_at_once() {
    let fin_after = |capacity: u32| {
        let mut end = End::established(plain());
        end.arrive(seg(ACK, IRS + 1, ISS + 1, 1000));
        end.until(1000);
        end.rx.capacity = capacity;
        end.arrive(seg(FIN | ACK, IRS + 1001, ISS + 1, 0));
        assert_eq!(end.tcb.state(), State::CloseWait);
        flags(&mut end).len()
    };
    assert_eq!(fin_after(100_000), 0);
    assert_eq!(fin_after(500), 1);
}

/// RFC 9293 3.8.6.1: with the window of now, or the peer would probe for ever. Of text there may be
/// none in a probe.
#[test]
fn a_probe_is_answered_with_the_window_of_now() {
    for len in [0, 1] {
        let mut end = End::established_in(plain(), 20);
        while end.tcb.rcv_wnd() > 0 {
            let len = end.tcb.rcv_wnd().min(1000);
            end.arrive(seg(ACK, end.tcb.rcv_nxt().0, ISS + 1, len));
            end.out();
            end.wait(300);
            end.out();
        }
        // The user has set SO_RCVLOWAT, and waits for more than is here.
        end.rx.capacity = 100_000;
        end.tcb.on_buffer_grown(&end.config, 200_000);
        let before = u32::from(len == 0);
        let events = end.arrive(seg(ACK, end.tcb.rcv_nxt().0 - before, ISS + 1, len));
        let mut answers: Vec<_> = events.reply.into_iter().collect();
        answers.extend(end.out());
        assert_eq!(answers.len(), 1, "{len}");
        assert!(answers[0].wnd > 0, "{len}");
    }
}
