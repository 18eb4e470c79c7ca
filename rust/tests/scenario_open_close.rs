// SPDX-License-Identifier: GPL-2.0

//! Opening and closing: options, simultaneous open and close, half-open entries, TIME-WAIT.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::events::Error;
use oxtcp_core::tcp::segment::{Segment, Transmit};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::syn_received::{on_listen, ListenVerdict, SynReceived, TimerVerdict, Verdict};
use oxtcp_core::tcp::time::{Duration, Instant};
use oxtcp_core::tcp::time_wait::{self, TimeWait};
use oxtcp_core::tcp::user::IcmpVerdict;

/// A peer's segment that is what we sent, with the ends swapped.
fn as_peer(out: &Transmit) -> Segment {
    Segment {
        seq: out.seq,
        ack: out.ack,
        flags: out.flags,
        wnd: out.wnd,
        options: out.options,
        len: out.len,
        ..Segment::default()
    }
}

fn all_on() -> Config {
    Config {
        timestamps: true,
        sack: true,
        window_scaling: true,
        window_scale: 7,
        ..plain()
    }
}

#[test]
fn options_are_in_use_when_both_want_them() {
    for bits in 0..64u8 {
        let config = |bits: u8| Config {
            timestamps: bits & 1 != 0,
            sack: bits & 2 != 0,
            window_scaling: bits & 4 != 0,
            ..all_on()
        };
        let (ours, theirs) = (config(bits), config(bits >> 3));
        let both = bits & (bits >> 3);
        let expected = (both & 1 != 0, both & 2 != 0, both & 4 != 0);

        // We open, they accept.
        let mut end = End::connecting(ours);
        let syn = as_peer(&end.out()[0]);
        assert_eq!(syn.options.timestamps.is_some(), ours.timestamps);
        let half = SynReceived::new(&theirs, &syn, ids(), end.now);
        let syn_ack = half.syn_ack(&theirs, end.now);
        let options = &syn_ack.options;
        assert_eq!(options.timestamps.is_some(), expected.0);
        assert_eq!(options.sack_permitted, expected.1);
        assert_eq!(options.window_scale.is_some(), expected.2);
        let events = end.arrive(as_peer(&syn_ack));
        assert!(events.connected && events.reply.is_none());
        assert_eq!(end.tcb.features(), expected, "{bits:#b}");

        let ack = as_peer(&end.out()[0]);
        assert_eq!(half.on_segment(&theirs, &ack, end.now), Verdict::Complete);
        let tcb = half.into_tcb(&theirs, &ack, end.now);
        assert_eq!(tcb.features(), expected, "{bits:#b}");
        assert_eq!(tcb.state(), State::Established);
    }
}

#[test]
fn a_peer_without_an_mss_gets_536_bytes() {
    let mut end = End::connecting(plain());
    end.sent();
    end.arrive(seg(SYN | ACK, IRS, ISS + 1, 0));
    assert_eq!(end.tcb.mss(), 536);
}

/// RFC 9293 3.7.1: that of the settings is announced, in SYNs alone (MUST-65), and the peer's is
/// heeded.
#[test]
fn each_end_announces_its_mss_and_heeds_the_others() {
    for (ours, theirs, segment) in [
        (1000, Some(1460), 1460),
        (1460, Some(1000), 1000),
        (536, Some(537), 537),
        (8960, Some(9000), 9000),
        (1220, None, 536),
    ] {
        let config = Config {
            mss: ours,
            ..plain()
        };
        let opened = |flags, acks| {
            let mut end = End::connecting(config);
            end.limits.mss = u16::MAX;
            end.limits.max_run = 0;
            let syn = end.out()[0];
            assert_eq!((syn.flags, syn.options.mss), (SYN, Some(ours)));
            let mut answer = seg(flags, IRS, acks, 0);
            answer.options.mss = theirs;
            end.arrive(answer);
            end
        };
        let mut crossed = opened(SYN, 0);
        let both = crossed.out()[0];
        assert_eq!((both.flags, both.options.mss), (SYN | ACK, Some(ours)));
        crossed.acked(ISS + 1);
        for mut end in [crossed, opened(SYN | ACK, ISS + 1)] {
            end.send(40_000);
            let sent = end.out();
            assert!(sent.iter().all(|o| o.options.mss.is_none()));
            let longest = sent.iter().map(|o| o.len).max();
            assert_eq!(longest, Some(segment), "{ours} {theirs:?}");
        }
    }
}

#[test]
fn the_window_of_a_syn_is_not_scaled() {
    let mut end = End::connecting(all_on());
    end.sent();
    let mut syn_ack = seg(SYN | ACK, IRS, ISS + 1, 0);
    syn_ack.options.window_scale = Some(3);
    end.arrive(syn_ack);
    assert_eq!(end.tcb.snd_wnd(), u32::from(WND));
    end.arrive(seg(ACK, IRS + 1, ISS + 1, 0));
    assert_eq!(end.tcb.snd_wnd(), u32::from(WND) << 3);
}

#[test]
fn both_may_open_at_once() {
    let mut end = End::connecting(plain());
    end.sent();
    end.arrive(seg(SYN, IRS, 0, 0));
    assert_eq!(end.tcb.state(), State::SynReceived);
    let out = end.out();
    assert_eq!((out[0].seq.0, out[0].ack.0), (ISS, IRS + 1));
    assert_eq!(out[0].flags, SYN | ACK);
    let events = end.arrive(seg(SYN | ACK, IRS, ISS + 1, 0));
    assert!(events.connected);
    assert_eq!(end.tcb.state(), State::Established);
    assert_eq!(end.tcb.rcv_nxt().0, IRS + 1);
}

#[test]
fn a_simultaneous_open_repeats_its_syn_ack() {
    let mut end = End::connecting(Config {
        synack_retries: 2,
        ..plain()
    });
    end.sent();
    end.arrive(seg(SYN, IRS, 0, 0));
    let sent = end.until(100_000);
    assert!(sent.iter().all(|s| s.3 == SYN | ACK && s.1 == ISS));
    assert_eq!(
        sent.iter().map(|s| s.0).collect::<Vec<_>>(),
        [0, 1000, 3000]
    );
    assert_eq!(end.ended_at, Some(7000));
}

#[test]
fn both_may_close_at_once() {
    let mut end = End::in_state(plain(), State::FinWait1);
    end.arrive(seg(FIN | ACK, IRS + 1, ISS + 1, 0));
    assert_eq!(end.tcb.state(), State::Closing);
    assert_eq!(end.out()[0].ack.0, IRS + 2);
    let events = end.arrive(seg(ACK, IRS + 2, ISS + 2, 0));
    assert_eq!(end.tcb.state(), State::TimeWait);
    assert!(events.time_wait.is_some() && !events.closed);
}

#[test]
fn a_fin_with_the_ack_of_ours_goes_to_time_wait_at_once() {
    let mut end = End::in_state(plain(), State::FinWait1);
    let events = end.arrive(seg(FIN | ACK, IRS + 1, ISS + 2, 0));
    assert_eq!(end.tcb.state(), State::TimeWait);
    assert!(events.peer_closed && events.time_wait.is_some());
    assert_eq!(events.reply.map(|r| r.ack.0), Some(IRS + 2));
}

#[test]
fn a_fin_ahead_of_its_text_waits_for_it() {
    let mut end = End::established(plain());
    let events = end.arrive(seg(FIN | ACK, IRS + 101, ISS + 1, 50));
    assert!(!events.peer_closed);
    assert_eq!(end.tcb.state(), State::Established);
    let events = end.arrive(seg(ACK, IRS + 1, ISS + 1, 100));
    assert!(events.peer_closed && events.readable);
    assert_eq!(end.tcb.state(), State::CloseWait);
    assert_eq!(end.rx.readable(), 150);
    assert_eq!(end.out()[0].ack.0, IRS + 152);
}

#[test]
fn a_half_closed_connection_still_receives() {
    let mut end = End::in_state(plain(), State::FinWait2);
    end.arrive(seg(ACK, IRS + 1, ISS + 2, 300));
    assert_eq!(end.rx.readable(), 300);
    end.arrive(seg(FIN | ACK, IRS + 301, ISS + 2, 0));
    assert_eq!(end.tcb.state(), State::TimeWait);
}

#[test]
fn a_connection_closed_by_the_peer_still_sends() {
    let mut end = End::in_state(plain(), State::CloseWait);
    end.send(500);
    assert_eq!(end.sent().len(), 1);
    assert_eq!(end.acked(ISS + 501).acked, 500);
    end.tcb.shutdown_write();
    assert_eq!(end.tcb.state(), State::LastAck);
    end.sent();
    assert!(end.acked(ISS + 502).closed);
}

#[test]
fn closing_with_text_unread_resets() {
    let mut end = End::established(plain());
    end.arrive(seg(ACK, IRS + 1, ISS + 1, 10));
    let events = end.tcb.close(&end.config.clone(), true, end.now);
    assert!(events.closed && events.error.is_none());
    let reset = events.reply.expect("a RST");
    assert_eq!((reset.flags, reset.seq.0), (RST | ACK, ISS + 1));
}

#[test]
fn an_abort_resets_where_the_peer_knows_of_the_connection() {
    for state in State::ALL {
        if matches!(state, State::Closed | State::Listen | State::TimeWait) {
            continue;
        }
        let mut end = End::in_state(plain(), state);
        let events = end.tcb.abort(end.now);
        let quiet = matches!(state, State::SynSent | State::Closing | State::LastAck);
        assert_eq!(events.reply.is_none(), quiet, "{state:?}");
        assert!(events.closed);
        assert_eq!(end.tcb.deadline(), None);
    }
}

#[test]
fn a_refused_connection_is_refused() {
    let mut end = End::connecting(plain());
    end.sent();
    let events = end.arrive(seg(RST | ACK, 0, ISS + 1, 0));
    assert_eq!(events.error, Some(Error::Refused));
    assert!(events.closed && events.reply.is_none());
}

#[test]
fn a_syn_lost_twice_begins_with_one_segment() {
    for (until, first_flight) in [(0, 10_000), (1000, 10_000), (3000, 1000), (7000, 1000)] {
        let mut end = End::connecting(plain());
        end.until(until);
        let mut syn_ack = seg(SYN | ACK, IRS, ISS + 1, 0);
        syn_ack.options.mss = Some(MSS);
        end.arrive(syn_ack);
        end.send(10_000);
        let sent: u32 = end.sent().iter().map(|s| s.2).sum();
        assert_eq!(sent, first_flight, "{until} ms");
    }
}

/// RFC 6298 5.7: a SYN's timer that expired may have been too short for the path.
#[test]
fn without_a_measurement_the_first_timeout_is_three_seconds() {
    // Answered before it is sent again there is a measurement of 800 ms, and thrice that the timeout.
    for (sent_until, answered, timeout) in [(0, 800, 2400), (1000, 1000, 3000)] {
        let mut end = End::connecting(plain());
        end.until(sent_until);
        end.now = Instant::from_us(answered * 1000);
        let mut syn_ack = seg(SYN | ACK, IRS, ISS + 1, 0);
        syn_ack.options.mss = Some(MSS);
        end.arrive(syn_ack);
        end.send(100);
        end.sent();
        let again = end.until(100_000);
        assert_eq!(again[0].0 - answered, timeout, "{answered} ms");
    }
}

/// The text that goes out first, when the SYN was sent thrice, at 0, 1000 and 3000 ms, and the
/// answer echoes the timestamp given.
fn first_flight_after_echo(ecr: u32) -> u32 {
    let mut end = End::connecting(with_timestamps());
    // A timestamp of zero would be none.
    end.now = Instant::from_us(5000);
    end.sent();
    end.until(3100);
    let mut syn_ack = seg(SYN | ACK, IRS, ISS + 1, 0);
    syn_ack.options = syn_options(&end.config);
    syn_ack.options.timestamps = syn_ack.options.timestamps.map(|mut ts| {
        ts.ecr = ecr;
        ts
    });
    end.arrive(syn_ack);
    end.send(20_000);
    end.sent().iter().map(|s| s.2).sum()
}

#[test]
fn a_syn_that_was_repeated_needlessly_costs_nothing() {
    assert_eq!(first_flight_after_echo(5), 9880);
    assert_eq!(first_flight_after_echo(1005), 988);
    assert_eq!(first_flight_after_echo(3005), 988);
}

#[test]
fn a_syn_ack_that_was_repeated_needlessly_costs_nothing() {
    use oxtcp_core::tcp::congestion::CongestionControl;
    let config = with_timestamps();
    let mut syn = seg(SYN, IRS, 0, 0);
    syn.options = syn_options(&config);
    let at = |ms: u64| Instant::from_us(ms * 1000);
    let mut half = SynReceived::new(&config, &syn, ids(), at(5));
    // The timer is late.
    assert_eq!(half.on_timer(&config, at(1010)), TimerVerdict::SynAck);
    assert_eq!(half.on_timer(&config, at(3020)), TimerVerdict::SynAck);
    for (ecr, window, srtt) in [(5, 9880, 3095), (1010, 988, 2090), (3020, 988, 80)] {
        let mut ack = with_stamp(seg(ACK, IRS + 1, ISS + 1, 0), 101);
        ack.options.timestamps = ack.options.timestamps.map(|mut ts| {
            ts.ecr = ecr;
            ts
        });
        let tcb = half.into_tcb(&config, &ack, at(3100));
        assert_eq!(tcb.congestion().window(), window, "{ecr}");
        assert_eq!(tcb.rtt().srtt(), Some(ms(srtt)), "{ecr}");
    }
}

/// Karn (RFC 6298 3): the acknowledgment may answer either, unless a stamp tells.
#[test]
fn a_syn_ack_that_the_syn_brought_again_measures_by_its_stamp_alone() {
    let at = |ms: u64| Instant::from_us(ms * 1000);
    for (config, ecr, srtt) in [
        (plain(), 0, None),
        (with_timestamps(), 5950, Some(ms(10))),
        (with_timestamps(), 5000, Some(ms(960))),
    ] {
        let mut syn = seg(SYN, IRS, 0, 0);
        syn.options = syn_options(&config);
        let mut half = SynReceived::new(&config, &syn, ids(), at(5000));
        half.on_syn_again(&syn);
        let mut ack = seg(ACK, IRS + 1, ISS + 1, 0);
        if config.timestamps {
            ack = with_stamp(ack, 101);
            ack.options.timestamps = ack.options.timestamps.map(|mut ts| {
                ts.ecr = ecr;
                ts
            });
        }
        let tcb = half.into_tcb(&config, &ack, at(5960));
        assert_eq!(tcb.rtt().srtt(), srtt, "{ecr}");
    }
}

/// A listener's options may be set while handshakes are under way.
#[test]
fn what_the_syn_ack_said_holds_whatever_the_listener_s_settings_are_by_now() {
    let mut syn = seg(SYN, IRS, 0, 0);
    syn.options = syn_options(&all_on());
    let before = Config {
        window_scale: 1,
        ..all_on()
    };
    let half = SynReceived::new(&before, &syn, ids(), Instant::default());
    for after in [all_on(), plain()] {
        let again = half.syn_ack(&after, Instant::default()).options;
        assert_eq!(again.window_scale, Some(1));
        let ack = with_stamp(seg(ACK, IRS + 1, ISS + 1, 0), 100);
        let tcb = half.into_tcb(&after, &ack, Instant::default() + ms(1));
        assert_eq!(tcb.scales(), (0, 1));
        assert_eq!(tcb.features(), (true, true, true));
    }
}

/// A stack that resets what it has closed may use the number of its FIN, which is not in the window.
#[test]
fn a_rst_at_the_number_of_a_fin_that_was_taken_resets() {
    for state in [State::CloseWait, State::LastAck, State::Closing] {
        for (back, resets) in [(0, true), (1, true), (2, false)] {
            let mut end = End::in_state(plain(), state);
            end.sent();
            let next = end.tcb.rcv_nxt().0;
            let events = end.arrive(seg(RST, next - back, 0, 0));
            assert_eq!(events.closed, resets, "{state:?} {back}");
        }
    }
    for state in [State::Established, State::FinWait1, State::FinWait2] {
        let mut end = End::in_state(plain(), state);
        let next = end.tcb.rcv_nxt().0;
        let events = end.arrive(seg(RST, next - 1, 0, 0));
        assert!(!events.closed && events.reply.is_none(), "{state:?}");
    }
}

#[test]
fn an_icmp_error_must_quote_what_is_in_flight() {
    let mut end = End::connecting(plain());
    end.sent();
    assert_eq!(
        end.tcb.on_icmp(SeqNumber(ISS - 1), true).0,
        IcmpVerdict::Ignore
    );
    let (verdict, events) = end.tcb.on_icmp(SeqNumber(ISS), true);
    assert_eq!(verdict, IcmpVerdict::Abort);
    assert!(events.closed);
    let mut end = End::established(plain());
    end.send(10);
    end.sent();
    assert_eq!(
        end.tcb.on_icmp(SeqNumber(ISS + 1), true).0,
        IcmpVerdict::Remember
    );
    assert_eq!(
        end.tcb.on_icmp(SeqNumber(ISS + 100), true).0,
        IcmpVerdict::Ignore
    );
    assert_eq!(end.tcb.state(), State::Established);
}

fn half(config: &Config) -> SynReceived {
    let mut syn = seg(SYN, IRS, 0, 0);
    syn.options = syn_options(config);
    SynReceived::new(config, &syn, ids(), Instant::default())
}

#[test]
fn a_listener_judges_segments() {
    let judged = |flags| on_listen(&seg(flags, IRS, ISS, 0));
    assert_eq!(judged(RST), ListenVerdict::Ignore);
    assert_eq!(judged(RST | ACK), ListenVerdict::Ignore);
    assert_eq!(judged(SYN), ListenVerdict::Open);
    assert_eq!(judged(FIN), ListenVerdict::Ignore);
    for flags in [ACK, SYN | ACK, FIN | ACK] {
        let ListenVerdict::Reset(reset) = judged(flags) else {
            panic!("{flags:?}")
        };
        assert_eq!((reset.flags, reset.seq.0), (RST, ISS));
    }
}

#[test]
fn a_syn_ack_is_repeated_with_doubled_times_and_given_up() {
    let config = plain();
    let mut half = half(&config);
    let mut at = Vec::new();
    let end = loop {
        let now = half.deadline();
        match half.on_timer(&config, now) {
            TimerVerdict::SynAck => at.push(now.us() / 1_000_000),
            TimerVerdict::GiveUp => break now,
            TimerVerdict::NotYet => panic!("late"),
        }
    };
    assert_eq!(at, [1, 3, 7, 15, 31]);
    assert_eq!(end, Instant::from_us(63_000_000));
}

#[test]
fn a_half_open_entry_judges_segments() {
    let config = with_timestamps();
    let now = Instant::default();
    let entry = half(&config);
    let verdict = |s| entry.on_segment(&config, &s, now);
    let next = IRS + 1;
    assert_eq!(verdict(seg(SYN, IRS, 0, 0)), Verdict::SynAck);
    assert_eq!(verdict(seg(RST, next, 0, 0)), Verdict::Remove);
    assert_eq!(verdict(seg(RST, next - 5, 0, 0)), Verdict::Ignore);
    assert_eq!(verdict(seg(FIN, next, 0, 0)), Verdict::Ignore);
    let replies = |s, flags| matches!(verdict(s), Verdict::Reply(r) if r.flags == flags);
    assert!(replies(seg(RST, next + 5, 0, 0), ACK));
    assert!(replies(seg(ACK, next, ISS, 0), RST));
    assert!(replies(seg(ACK, next, ISS + 2, 0), RST));
    assert!(replies(seg(ACK, next + 30_000, ISS + 1, 0), ACK));
    assert!(replies(seg(SYN, next + 3, 0, 0), ACK));
    assert!(replies(with_stamp(seg(ACK, next, ISS + 1, 0), 99), ACK));
    for (flags, len) in [(ACK, 0), (ACK, 10), (FIN | ACK, 0)] {
        let done = with_stamp(seg(flags, next, ISS + 1, len), 100);
        assert_eq!(verdict(done), Verdict::Complete);
    }
}

/// RFC 7323 2.3: the window of each segment without SYN is scaled.
#[test]
fn a_half_open_entry_scales_its_window() {
    for scaling in [false, true] {
        let config = Config {
            window_scaling: scaling,
            window_scale: 7,
            ..plain()
        };
        let verdict =
            half(&config).on_segment(&config, &seg(ACK, IRS - 9, ISS + 1, 0), Instant::default());
        let Verdict::Reply(ack) = verdict else {
            panic!("{verdict:?}");
        };
        let most = if scaling {
            20_000_u16.div_ceil(128)
        } else {
            20_000
        };
        assert_eq!(ack.wnd, most);
    }
}

#[test]
fn the_third_segment_may_have_text_and_a_fin() {
    let config = plain();
    let now = Instant::default();
    let last = seg(FIN | ACK, IRS + 1, ISS + 1, 10);
    let tcb = half(&config).into_tcb(&config, &last, now);
    let mut end = End::established(config);
    end.tcb = tcb;
    let events = end.arrive(last);
    assert!(events.readable && events.peer_closed);
    assert_eq!(end.tcb.state(), State::CloseWait);
    assert_eq!(end.rx.readable(), 10);
}

/// An entry in TIME-WAIT: our SND.NXT is ISS + 2, RCV.NXT is IRS + 2.
fn time_wait(config: Config) -> (TimeWait, Instant) {
    let mut end = End::in_state(config, State::FinWait2);
    let mut fin = seg(FIN | ACK, IRS + 1, ISS + 2, 0);
    if config.timestamps {
        fin = with_stamp(fin, 100);
    }
    let events = end.arrive(fin);
    (events.time_wait.expect("TIME-WAIT"), end.now)
}

#[test]
fn time_wait_lasts_and_a_fin_again_restarts_it() {
    let config = plain();
    let (mut tw, now) = time_wait(config);
    assert_eq!(tw.deadline(), now + config.time_wait);
    let later = now + ms(30_000);
    let again = seg(FIN | ACK, IRS + 1, ISS + 2, 0);
    let verdict = tw.on_segment(&again, config.time_wait, false, later);
    assert!(matches!(verdict, time_wait::Verdict::Ack(a) if a.ack.0 == IRS + 2));
    assert_eq!(tw.deadline(), later + config.time_wait);
}

#[test]
fn time_wait_is_reopened_by_a_newer_syn_only() {
    let config = with_timestamps();
    let reopens = |syn: Segment| {
        let (mut tw, now) = time_wait(config);
        let verdict = tw.on_segment(&syn, config.time_wait, false, now);
        matches!(verdict, time_wait::Verdict::Reopen(floor) if floor.after(SeqNumber(ISS + 2)))
    };
    assert!(reopens(with_stamp(seg(SYN, IRS + 3, 0, 0), 100)));
    assert!(reopens(with_stamp(seg(SYN, IRS - 50, 0, 0), 101)));
    assert!(!reopens(with_stamp(seg(SYN, IRS - 50, 0, 0), 100)));
    assert!(!reopens(with_stamp(seg(SYN, IRS + 3, 0, 0), 99)));
    assert!(!reopens(with_stamp(
        seg(SYN | ACK, IRS + 3, ISS + 2, 0),
        101
    )));
}

/// RFC 5961 5.2 lets pass what is up to a window old; of a new connection as in Linux no more than
/// there was to acknowledge.
#[test]
fn what_is_older_than_the_connection_was_never_sent() {
    for (sent, ack, taken) in [
        (0, ISS - 1, false),
        (0, ISS + 1, true),
        (1000, ISS - 1, false),
        (1000, ISS + 1, true),
        (60_000, ISS + 9_999, false),
        (60_000, ISS + 10_001, true),
    ] {
        let mut end = End::established(plain());
        for n in 1..=sent / 1000 {
            end.send(1000);
            end.sent();
            end.acked(ISS + 1 + n * 1000);
        }
        let events = end.arrive(seg(ACK, IRS + 1, ack, 10));
        assert_eq!(events.dropped.is_none(), taken, "{sent} {ack}");
        assert_eq!(end.rx.readable(), if taken { 10 } else { 0 });
    }
}

#[test]
fn challenges_are_limited_in_each_second() {
    let mut end = End::established(plain());
    let count = |end: &mut End| {
        (0..50)
            .filter(|_| end.arrive(seg(SYN, IRS + 1, 0, 0)).reply.is_some())
            .count()
    };
    let mut limits = Vec::new();
    for _ in 0..100 {
        limits.push(count(&mut end));
        end.wait(999);
        assert_eq!(count(&mut end), 0);
        end.wait(1);
    }
    // Each from 5 to 10, whichever an attacker may expect (RFC 5961 7, CVE-2016-5696).
    for limit in 5..=10 {
        assert!(limits.contains(&limit), "never {limit}: {limits:?}");
    }
    assert!(limits.iter().all(|limit| (5..=10).contains(limit)));
    assert_eq!(end.tcb.state(), State::Established);
}

#[test]
fn text_to_a_user_who_has_shut_down_both_directions_is_reset() {
    for read_first in [true, false] {
        let mut end = End::established(plain());
        if read_first {
            end.tcb.shutdown_read();
        }
        end.tcb.shutdown_write();
        end.tcb.shutdown_read();
        assert_eq!(end.sent().len(), 1);
        let events = end.arrive(seg(ACK, IRS + 1, ISS + 2, 10));
        assert_eq!(events.error, Some(Error::Reset));
        assert!(events.reply.is_some_and(|out| out.flags.has(RST)));
        assert_eq!(end.tcb.state(), State::Closed);
    }
}

#[test]
fn text_to_a_user_who_reads_no_more_is_taken_as_long_as_it_writes() {
    let mut end = End::established(plain());
    end.tcb.shutdown_read();
    let events = end.arrive(seg(ACK, IRS + 1, ISS + 1, 10));
    assert_eq!(events.error, None);
    assert_eq!(end.tcb.state(), State::Established);
}

/// `TCP_LINGER2` below 0: who closes does not wait for the peer's FIN (`tcp_close`).
#[test]
fn without_time_for_fin_wait_2_an_orphan_resets() {
    let config = Config {
        fin_timeout: Duration::ZERO,
        ..plain()
    };
    for late in [false, true] {
        let from = if late {
            State::FinWait2
        } else {
            State::Established
        };
        let mut end = End::in_state(config, from);
        let mut events = end.tcb.close(&config, false, end.now);
        if !late {
            assert!(!events.closed && events.reply.is_none());
            assert!(end.sent()[0].3.has(FIN));
            let nxt = end.tcb.snd_nxt().0;
            events = end.acked(nxt);
        }
        assert!(events.closed, "late: {late}");
        let reset = events.reply.expect("a RST");
        assert!(reset.flags.has(RST));
        assert_eq!(reset.seq, end.tcb.snd_nxt());
    }
}
