// SPDX-License-Identifier: GPL-2.0

//! The user timeout option (RFC 5482): who tells whom, in which segments, and when a peer that is
//! gone is given up for it.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod harness;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use harness::*;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::events::Error;
use oxtcp_core::tcp::fast_open::{Cookie, Opening};
use oxtcp_core::tcp::options::Options;
use oxtcp_core::tcp::refused::Taken;
use oxtcp_core::tcp::segment::{Flags, Segment, Transmit, MAX_HEADER_LEN};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::syn_cookie::{self, Secret};
use oxtcp_core::tcp::syn_received::{SynReceived, TimerVerdict};
use oxtcp_core::tcp::time::{Duration, Instant};
use oxtcp_core::tcp::user_timeout::Advertised;
use oxtcp_core::tcp::{pack, Tcb};

const UNA: u32 = ISS + 1;

/// When Linux's 15 retransmissions of text, from 200 ms on, are over.
const ALL_RETRIES_MS: std::ops::Range<u64> = 924_600..924_610;

/// The namespace tells of so many seconds.
fn telling(seconds: u16) -> Config {
    Config {
        user_timeout_option: seconds,
        ..plain()
    }
}

/// The peer tells of so many seconds.
fn with_timeout(mut seg: Segment, seconds: u64) -> Segment {
    seg.options.user_timeout = Advertised::new(Duration::from_secs(seconds));
    seg
}

/// How many seconds `out` tells of, by its header.
fn told(out: &Transmit) -> Option<u64> {
    let mut header = [0; MAX_HEADER_LEN];
    let len = out.header(1, 2, &mut header);
    let read = Segment::parse(&header[..len], out.len).expect("a header");
    let told = read.options.user_timeout.map(Advertised::timeout);
    told.map(|timeout| timeout.us() / 1_000_000)
}

fn all_told(end: &mut End) -> Vec<Option<u64>> {
    end.out().iter().map(told).collect()
}

/// A connection that has told of its own timeout, and has heard of one of so many seconds.
fn heard(config: Config, seconds: u64) -> End {
    let mut end = End::established(config);
    end.send(10);
    end.sent();
    let ack = seg(ACK, IRS + 1, UNA + 10, 0);
    end.arrive(with_timeout(ack, seconds));
    assert_eq!(end.tcb.flight(), 0);
    end
}

/// When a connection is given up whose peer is gone from now on, ms.
fn given_up(mut end: End) -> u64 {
    let start = end.ms();
    end.send(10);
    end.until(100_000_000);
    assert_eq!(end.last.error, Some(Error::TimedOut));
    end.ended_at.expect("it is given up") - start
}

fn syn_ack() -> Segment {
    let mut seg = seg(SYN | ACK, IRS, ISS + 1, 0);
    seg.options.mss = Some(MSS);
    seg
}

fn entry(config: &Config) -> SynReceived {
    let mut syn = with_timeout(seg(SYN, IRS, 0, 0), 700);
    syn.options.mss = Some(MSS);
    SynReceived::new(config, &syn, ids(), Instant::default())
}

#[test]
fn by_default_nothing_is_told_or_heard() {
    for user_timeout in [Duration::ZERO, ms(5000)] {
        let config = Config {
            user_timeout,
            ..plain()
        };
        assert_eq!(config.user_timeout_option, 0);
        let mut end = End::connecting(config);
        assert_eq!(all_told(&mut end), [None]);
        end.arrive(with_timeout(syn_ack(), 700));
        assert_eq!(all_told(&mut end), [None]);
        let out = entry(&config).syn_ack(&config, Instant::default());
        assert_eq!(told(&out), None);
        let mut end = End::established(config);
        let before = end.config.advertised();
        end.config.user_timeout = ms(6000);
        end.tcb.on_user_timeout(&end.config, before);
        end.send(10);
        assert_eq!(all_told(&mut end), [None]);
    }
    assert!(ALL_RETRIES_MS.contains(&given_up(heard(plain(), 100))));
}

#[test]
fn a_client_tells_in_its_syn_and_in_the_first_segment_behind() {
    let mut end = End::connecting(telling(300));
    assert_eq!(all_told(&mut end), [Some(300)]);
    assert!(!end.tcb.has_output());
    end.arrive(syn_ack());
    assert_eq!(all_told(&mut end), [Some(300)]);
    end.send(1000);
    assert_eq!(all_told(&mut end), [None]);
}

#[test]
fn a_server_tells_in_its_syn_ack_and_in_the_first_segment_behind() {
    let config = telling(300);
    let out = entry(&config).syn_ack(&config, Instant::default());
    assert_eq!(told(&out), Some(300));
    let mut end = End::established(config);
    assert!(!end.tcb.has_output(), "nothing goes out for it alone");
    end.send(10);
    assert_eq!(all_told(&mut end), [Some(300)]);
    end.send(10);
    end.acked(UNA + 10);
    assert_eq!(all_told(&mut end), [None]);
}

#[test]
fn the_first_segment_may_be_an_acknowledgment_or_a_fin() {
    let mut end = End::established(telling(300));
    // Out of order, and so acknowledged at once.
    end.arrive(seg(ACK, IRS + 501, UNA, 100));
    let out = end.out();
    assert_eq!((out.len(), out[0].len), (1, 0));
    assert_eq!(told(&out[0]), Some(300));

    let mut end = End::established(telling(300));
    end.tcb.shutdown_write();
    let out = end.out();
    assert_eq!(out[0].flags, FIN | ACK);
    assert_eq!(told(&out[0]), Some(300));
}

/// A host on the path that drops segments for the option must not keep the connection from opening.
#[test]
fn a_syn_or_syn_ack_that_is_sent_again_does_not_tell() {
    let config = telling(300);
    let mut end = End::connecting(config);
    end.out();
    end.expire();
    assert_eq!(all_told(&mut end), [None]);
    end.arrive(syn_ack());
    assert_eq!(all_told(&mut end), [Some(300)]);

    let mut entry = entry(&config);
    let later = entry.deadline();
    assert_eq!(entry.on_timer(&config, later), TimerVerdict::SynAck);
    assert_eq!(told(&entry.syn_ack(&config, later)), None);
}

#[test]
fn what_is_sent_again_does_not_tell() {
    let mut end = End::established(telling(300));
    end.send(1000);
    // One segment tells, so that no more is lost where such are dropped.
    let out = end.out();
    let sizes: Vec<_> = out.iter().map(|out| (out.len, told(out))).collect();
    assert_eq!(sizes, [(996, Some(300)), (4, None)]);
    let before = end.config.advertised();
    end.config.user_timeout = ms(5000);
    end.tcb.on_user_timeout(&end.config, before);
    end.expire();
    let again = end.out();
    assert!(again.iter().all(|out| out.retransmission));
    assert!(again.iter().all(|out| told(out).is_none()));
    end.acked(UNA + 1000);
    end.send(10);
    assert_eq!(all_told(&mut end), [Some(5)]);
}

#[test]
fn a_syn_cookie_needs_no_memory_of_it() {
    let config = telling(300);
    let hash =
        |secret: Secret, count: u32| count.wrapping_mul(77) ^ (secret == Secret::Inner) as u32;
    let now = Instant::from_us(600_000_000);
    let mut syn = with_timeout(seg(SYN, IRS, 0, 0), 700);
    syn.options.mss = Some(MSS);
    let out = syn_cookie::syn_ack(&config, &config.terms(), &syn, 0, now, &hash);
    assert_eq!(
        told(&out),
        None,
        "a path that drops it is not to keep clients out"
    );
    let ack = with_timeout(seg(ACK, IRS + 1, out.seq.0 + 1, 0), 700);
    let half = syn_cookie::accept(&config, &ack, ids(), now, &hash).expect("a cookie");
    let mut end = End::established(config);
    end.now = now;
    end.tcb = half.into_tcb(&config, &ack, now);
    end.arrive(ack);
    end.send(10);
    assert_eq!(all_told(&mut end), [Some(300)]);
    let iss = out.seq.0;
    end.arrive(seg(ACK, IRS + 1, iss + 11, 0));
    assert_eq!(given_up(end), 700_000);
}

/// RFC 5482 3.1: min(U_LIMIT, max(ADV_UTO, REMOTE_UTO, L_LIMIT)), at a timeout, whatever the number
/// of retransmissions.
#[test]
fn the_longer_of_both_decides_within_limits() {
    for (ours, theirs, seconds) in [
        (1, 1, 100),
        (300, 1, 300),
        (1, 300, 300),
        (200, 300, 300),
        (3600, 300, 3600),
        (300, 2000, 2000),
        (300, 1_000_000, 3600),
    ] {
        let end = heard(telling(ours), theirs);
        assert_eq!(given_up(end), seconds * 1000, "{ours} {theirs}");
    }
}

#[test]
fn a_peer_that_does_not_tell_is_given_up_as_without() {
    for config in [plain(), telling(300)] {
        let mut end = End::established(config);
        end.send(10);
        end.sent();
        end.acked(UNA + 10);
        assert!(ALL_RETRIES_MS.contains(&given_up(end)));
    }
}

#[test]
fn the_last_that_was_heard_counts() {
    let mut end = heard(telling(1), 2000);
    let at = |end: &End| (end.tcb.rcv_nxt().0, end.tcb.snd_una().0);
    let (seq, ack) = at(&end);
    end.arrive(with_timeout(seg(ACK, seq, ack, 100), 150));
    let (seq, ack) = at(&end);
    end.arrive(seg(ACK, seq, ack, 100));
    // Out of the window: not heard.
    end.arrive(with_timeout(seg(ACK, seq + 100_000, ack, 0), 3000));
    end.sent();
    assert_eq!(given_up(end), 150_000);
}

#[test]
fn a_client_hears_it_in_the_syn_ack() {
    let mut end = End::connecting(telling(1));
    end.sent();
    end.arrive(with_timeout(syn_ack(), 250));
    end.sent();
    assert_eq!(given_up(end), 250_000);
}

/// L_LIMIT is longer than the retransmission timeout, which is 120 s here.
#[test]
fn nobody_is_given_up_before_a_retransmission() {
    let mut end = End::established_in(telling(1), 60_000);
    assert_eq!(end.tcb.rto(&end.config), Duration::from_secs(120));
    let next = end.tcb.rcv_nxt().0;
    end.arrive(with_timeout(seg(ACK, next, UNA, 0), 1));
    let start = end.ms();
    end.send(10);
    let sent = end.until(10_000_000);
    let times: Vec<_> = sent.iter().map(|s| s.0 - start).collect();
    assert_eq!(times, [0, 120_000]);
    assert_eq!(end.ended_at, Some(start + 121_000));
}

#[test]
fn the_peer_does_not_overrule_the_user() {
    let config = Config {
        user_timeout: ms(50_500),
        ..telling(300)
    };
    let mut end = End::connecting(config);
    assert_eq!(all_told(&mut end), [Some(51)], "rounded up");
    assert_eq!(given_up(heard(config, 2000)), 50_500);
    // Nor does keepalive wait for the peer's.
    let mut end = heard(
        Config {
            keepalive: true,
            keepalive_time: Duration::from_secs(10),
            ..config
        },
        2000,
    );
    assert_eq!(end.until(10_001).len(), 1);
    // It may again, once the user has none.
    let mut end = heard(config, 2000);
    end.config.user_timeout = Duration::ZERO;
    assert_eq!(given_up(end), 2_000_000);
}

#[test]
fn another_timeout_of_the_user_is_told_with_the_next_segment() {
    let mut end = heard(telling(300), 300);
    let set = |end: &mut End, timeout: Duration| {
        let before = end.config.advertised();
        end.config.user_timeout = timeout;
        end.tcb.on_user_timeout(&end.config, before);
        assert!(!end.tcb.has_output());
        end.send(1);
        let told = all_told(end);
        let next = end.tcb.snd_nxt().0;
        end.acked(next);
        told
    };
    assert_eq!(set(&mut end, ms(5000)), [Some(5)]);
    assert_eq!(set(&mut end, ms(4500)), [None], "as told before");
    assert_eq!(set(&mut end, ms(40_000_000)), [Some(667 * 60)]);
    assert_eq!(set(&mut end, Duration::ZERO), [Some(300)]);
    assert_eq!(set(&mut end, ms(300_000)), [None]);
}

#[test]
fn a_timeout_that_is_set_before_the_syn_ack_is_told_behind_it() {
    let mut end = End::connecting(telling(300));
    end.out();
    let before = end.config.advertised();
    end.config.user_timeout = ms(5000);
    end.tcb.on_user_timeout(&end.config, before);
    end.arrive(syn_ack());
    assert_eq!(all_told(&mut end), [Some(5)]);
}

#[test]
fn it_takes_its_room_from_the_text() {
    for timestamps in [false, true] {
        let mut end = End::established(Config {
            timestamps,
            ..telling(300)
        });
        let usual = if timestamps { 988 } else { 1000 };
        end.limits.max_run = usual;
        end.send(3 * usual);
        let out = end.out();
        let lens: Vec<_> = out.iter().map(|out| out.len).collect();
        assert_eq!(lens, [usual - 4, usual, usual, 4]);
        assert_eq!(told(&out[0]), Some(300));
        for out in &out {
            let header = out.header(1, 2, &mut [0; MAX_HEADER_LEN]);
            assert!(header + out.len as usize <= 20 + usize::from(MSS));
        }
        assert_eq!(end.tcb.mss(), usual as u16);
    }
}

#[test]
fn it_waits_for_room_beside_three_blocks_and_timestamps() {
    let mut end = End::established(Config {
        timestamps: true,
        sack: true,
        ..telling(300)
    });
    let text = |at: u32| with_stamp(seg(ACK, IRS + 1 + at, UNA, 100), 100);
    for at in [200, 400, 600] {
        end.arrive(text(at));
    }
    let out = end.out();
    let full = out.last().expect("an acknowledgment");
    assert_eq!((full.options.sack.len(), told(full)), (3, None));
    assert_eq!(full.header(1, 2, &mut [0; MAX_HEADER_LEN]), 60);
    end.limits.max_run = 988;
    end.send(988);
    let out = end.out();
    assert_eq!(
        (out[0].mss, told(&out[0])),
        (988 - 28, None),
        "as if there were nothing to tell"
    );
    let next = end.tcb.snd_nxt().0;
    let text = |at: u32| with_stamp(seg(ACK, IRS + 1 + at, next, 100), 100);
    end.arrive(text(0));
    end.arrive(text(100));
    let out = end.out();
    let last = out.last().expect("an acknowledgment");
    assert_eq!((last.options.sack.len(), told(last)), (2, Some(300)));
}

#[test]
fn a_long_cookie_leaves_no_room_and_a_usual_one_does() {
    for (len, fits) in [(8, true), (12, true), (16, false)] {
        let config = Config {
            timestamps: true,
            sack: true,
            window_scaling: true,
            ..telling(300)
        };
        let cookie = Cookie::new(&[7; 16][..len]);
        let opening = Opening::Cookie(cookie.expect("a cookie"));
        let mut end = End::connecting(config);
        end.send(100);
        let limits = end.limits;
        let now = end.now;
        let syn = end.tcb.open_fast(&config, opening, 100, &limits, now);
        let mut header = [0; MAX_HEADER_LEN];
        let header_len = syn.header(1, 2, &mut header);
        let read = Options::parse(&header[20..header_len]);
        assert_eq!(read.fast_open, cookie, "{len}");
        assert_eq!(told(&syn), fits.then_some(300), "{len}");
    }
}

/// The text of a server by Fast Open may be the first segment without SYN.
#[test]
fn an_answer_before_the_handshake_is_complete_tells_too() {
    let config = telling(300);
    let mut end = End::connecting(config);
    let mut syn = with_timeout(seg(SYN, IRS, 0, 100), 700);
    syn.options = syn_options(&config);
    syn.options.user_timeout = Advertised::new(Duration::from_secs(700));
    end.rx.segment = vec![7; 100];
    let (tcb, _) = Tcb::accept_fast(&config, &syn, ids(), &mut end.rx, end.now);
    end.tcb = tcb;
    end.send(10);
    assert_eq!(all_told(&mut end), [Some(300), Some(300)]);
    end.arrive(seg(ACK, IRS + 101, UNA + 10, 0));
    assert_eq!(end.tcb.state(), State::Established);
    assert_eq!(given_up(end), 700_000);
}

/// RFC 5482 3.3: it is for synchronized states alone.
#[test]
fn an_open_fails_as_without() {
    let both = [None, Some(3000)].map(|timeout| {
        let mut end = End::connecting(telling(100));
        end.sent();
        let syn = seg(SYN, IRS, 0, 0);
        end.arrive(timeout.map_or(syn, |seconds| with_timeout(syn, seconds)));
        assert_eq!(end.tcb.state(), State::SynReceived);
        end.until(100_000_000);
        end.ended_at.expect("it is given up")
    });
    assert_eq!(both[0], both[1]);
}

/// RFC 9293 3.8.6.1, MUST-37: the peer is not away.
#[test]
fn a_window_may_stay_closed_for_longer() {
    let mut end = heard(telling(1), 100);
    let closed = |end: &End| with_window(seg(ACK, IRS + 1, end.tcb.snd_una().0, 0), 0);
    end.arrive(closed(&end));
    end.send(10);
    end.sent();
    while end.ms() < 2_000_000 {
        let before = end.ms();
        end.expire();
        assert!(end.ms() > before + 100, "no hurry");
        assert_eq!(end.ended_at, None);
        assert_ne!(end.tcb.state(), State::Closed);
        assert_eq!(end.out().len(), 1);
        end.arrive(closed(&end));
    }
    // But when it does not answer, it is. Probes are 120 s apart by then.
    let start = end.ms();
    end.until(100_000_000);
    assert_eq!(end.ended_at, Some(start + 121_000));
}

/// The same of what is in flight when the window closes.
#[test]
fn a_peer_that_is_full_is_not_given_up() {
    let mut end = heard(telling(1), 100);
    end.send(10);
    end.sent();
    let full = |end: &End| with_window(seg(ACK, IRS + 1, end.tcb.snd_una().0, 0), 0);
    while end.ms() < 2_000_000 {
        end.arrive(full(&end));
        let before = end.ms();
        end.expire();
        assert!(end.ms() > before + 100, "no hurry");
        assert_ne!(end.tcb.state(), State::Closed);
        end.out();
    }
    // Nor when it makes room, unless it is silent from then on.
    end.arrive(seg(ACK, IRS + 1, end.tcb.snd_una().0, 0));
    let start = end.ms();
    end.expire();
    assert_ne!(end.tcb.state(), State::Closed);
    assert_eq!(end.out().len(), 1);
    end.until(100_000_000);
    let ended = end.ended_at.expect("it is given up") - start;
    assert!((121_000..=241_000).contains(&ended), "{ended}");
}

/// Nobody waits for it: `tcp_orphan_retries` decides.
#[test]
fn a_connection_without_a_user_is_not_kept_for_the_peer() {
    let both = [None, Some(3000)].map(|timeout| {
        let mut end = match timeout {
            Some(seconds) => heard(telling(1), seconds),
            None => heard(plain(), 1),
        };
        end.send(10);
        end.sent();
        end.tcb.close(&end.config, false, end.now);
        end.until(100_000_000);
        end.ended_at.expect("it is given up")
    });
    assert_eq!(both[0], both[1]);
}

/// RFC 5482 4.2: or it would end what the timeout is to let live.
#[test]
fn keepalive_waits_for_longer_than_the_timeout() {
    for (theirs, first) in [(1, 101_000), (300, 301_000), (600, 600_000 + 1000)] {
        let config = Config {
            keepalive: true,
            keepalive_time: Duration::from_secs(50),
            ..telling(100)
        };
        let mut end = heard(config, theirs);
        let sent = end.until(first);
        let times: Vec<_> = sent.iter().map(|s| s.0).collect();
        assert_eq!(times, [first], "{theirs}");
    }
    let config = Config {
        keepalive: true,
        keepalive_time: Duration::from_secs(500),
        ..telling(100)
    };
    let mut end = heard(config, 300);
    assert_eq!(end.until(499_999), []);
    assert_eq!(end.until(500_001).len(), 1, "its own time, if longer");
    let mut end = heard(config, 900);
    end.tcb.set_keepalive(&end.config, end.now);
    assert_eq!(end.until(900_999), []);
}

/// A probe is out of the window: the peer would not hear it.
#[test]
fn a_probe_does_not_tell_but_what_goes_behind_it() {
    let config = Config {
        keepalive: true,
        keepalive_time: Duration::from_secs(50),
        ..telling(300)
    };
    let mut end = End::established(config);
    end.expire();
    let out = end.out();
    assert_eq!((out.len(), out[0].seq), (1, SeqNumber(ISS)));
    assert_eq!(told(&out[0]), None);
    end.acked(UNA);
    end.send(10);
    assert_eq!(all_told(&mut end), [Some(300)]);

    // It is due already when there is something to tell.
    end.acked(UNA + 10);
    end.expire();
    let before = end.config.advertised();
    end.config.user_timeout = ms(5000);
    end.tcb.on_user_timeout(&end.config, before);
    assert_eq!(all_told(&mut end), [None]);
    end.send(10);
    assert_eq!(all_told(&mut end), [Some(5)]);
}

#[test]
fn what_our_own_host_had_no_room_for_was_not_told() {
    let mut end = End::established(telling(300));
    end.send(10);
    let out = end.out();
    let refused = (&out[0], Taken::Part(0));
    end.tcb.on_taken(&end.config, &mut end.rx, refused, end.now);
    assert_eq!(all_told(&mut end), [Some(300)]);
}

/// No short cut is taken for a segment with the option, either way, and then again there is.
#[test]
fn only_segments_with_it_go_the_long_way() {
    let mut end = End::established(Config {
        sack: true,
        nodelay: true,
        ..telling(300)
    });
    let plainly = |end: &mut End| {
        let (config, limits, now) = (end.config, end.limits, end.now);
        end.send(10);
        end.tcb.poll_plain(&config, &mut end.rx, &limits, now)
    };
    assert_eq!(plainly(&mut end), None);
    assert_eq!(all_told(&mut end), [Some(300)]);
    end.acked(UNA + 10);
    assert!(plainly(&mut end).is_some());
}

#[test]
fn what_was_told_and_heard_survives_packing() {
    let mut end = heard(telling(300), 700);
    let before = end.config.advertised();
    end.config.user_timeout = ms(5000);
    end.tcb.on_user_timeout(&end.config, before);
    let mut bytes = [0; 1024];
    let mut tcb = end.tcb;
    let len = pack::pack(&mut tcb, &mut bytes).expect("room");
    let mut back = Tcb::connect(&plain(), ids(), Instant::default());
    assert!(pack::unpack(&mut back, &bytes[..len]));
    assert_eq!(back, end.tcb);
    end.tcb = back;
    let mut config = end.config;
    let len = pack::pack(&mut config, &mut bytes).expect("room");
    let mut back = plain();
    assert!(pack::unpack(&mut back, &bytes[..len]));
    assert_eq!(back, end.config);
    end.send(10);
    assert_eq!(all_told(&mut end), [Some(5)]);
    end.acked(UNA + 20);
    end.config.user_timeout = Duration::ZERO;
    assert_eq!(given_up(end), 700_000);
}

#[test]
fn flags_of_a_segment_that_tells_are_the_usual() {
    let mut end = End::established(telling(300));
    end.send(10);
    assert_eq!(end.sent(), [(0, UNA, 10, ACK | Flags::PSH)]);
}

#[test]
fn a_loss_probe_does_not_tell() {
    let config = Config {
        sack: true,
        ..telling(300)
    };
    let mut end = End::established_in(config, 40);
    end.send(10);
    end.sent();
    let before = end.config.advertised();
    end.config.user_timeout = ms(5000);
    end.tcb.on_user_timeout(&end.config, before);
    end.expire();
    let out = end.out();
    assert_eq!((out.len(), out[0].retransmission), (1, true));
    assert_eq!(end.tcb.retransmits(), 0, "a probe, no timeout");
    assert_eq!(told(&out[0]), None);
}
