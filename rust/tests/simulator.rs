// SPDX-License-Identifier: GPL-2.0

//! The simulator itself: lines do what they say, runs repeat to the byte, captures can be read, and
//! the oracles notice what is wrong.

#[allow(
    dead_code,
    unused_imports,
    reason = "each test program uses a part of it"
)]
mod sim;
#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use oxtcp_core::tcp::events::Events;
use oxtcp_core::tcp::options::Timestamps;
use oxtcp_core::tcp::segment::{Flags, Segment, Transmit};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::time::Instant;
use oxtcp_core::tcp::timer::TimerKind;
use sim::app::{App, Call};
use sim::link::{Dropped, Link, MtuChange, Params};
use sim::loss::{Loss, Losses};
use sim::oracle::{check_timer, Oracle};
use sim::packet::{self, Arrival, Ends, Packet};
use sim::params::{App as AppParams, Ending, Pace, Plan};
use sim::plan;
use sim::stream::Stream;
use sim::watched::{ack, bare, sack, Watched, MSS};
use sim::world::World;
use std::net::Ipv4Addr;
use std::panic::{catch_unwind, AssertUnwindSafe};
use support::rng::Rng;

const ENDS: Ends = Ends {
    local: (Ipv4Addr::new(10, 0, 0, 1), 20_000),
    peer: (Ipv4Addr::new(10, 0, 0, 2), 80),
};
const ECT0: u8 = 2;

/// Packets of a run with `text`, in segments of 100 bytes.
fn packets(text: &[u8], runs: bool) -> Vec<Packet> {
    let flags = Flags::ACK | Flags::PSH;
    let mut out = Transmit::bare(SeqNumber(1000), SeqNumber(7), flags, 500);
    out.options.timestamps = Some(Timestamps { val: 1, ecr: 2 });
    out.len = text.len() as u32;
    out.mss = 100;
    let mut to = Vec::new();
    // As a ring buffer has it, in two parts.
    let (first, second) = text.split_at(text.len() / 3);
    packet::emit(&ENDS, &out, [first, second], runs, &mut 0, &mut to);
    to
}

fn one(len: usize) -> Packet {
    packets(&vec![1; len], true).remove(0)
}

fn link(params: Params) -> Link {
    Link::new(params, 0, Rng::new(1))
}

/// What becomes of a packet sent at `now`: the times at which it arrives, µs.
fn send(link: &mut Link, packet: Packet, now: u64) -> Result<Vec<u64>, Dropped> {
    let mut arrivals = Vec::new();
    link.send(packet, now, &mut arrivals)?;
    Ok(arrivals.iter().map(|(at, _)| *at).collect())
}

#[test]
fn a_packet_is_read_as_it_was_written() {
    let text: Vec<_> = (0..250).map(|b| b as u8).collect();
    for runs in [false, true] {
        let mut got = Vec::new();
        for packet in packets(&text, runs) {
            let Some(Arrival::Segment { ends, seg, text }) = packet::read(&packet) else {
                panic!()
            };
            assert_eq!(ends, ENDS.reversed());
            assert_eq!(seg.seq, SeqNumber(1000 + got.len() as u32));
            assert_eq!(seg.options.timestamps, Some(Timestamps { val: 1, ecr: 2 }));
            got.extend_from_slice(text);
            assert_eq!(seg.flags.has(Flags::PSH), got.len() == 250);
        }
        assert_eq!(got, text);
    }
}

#[test]
fn a_run_is_split_at_the_segment_size() {
    let packets = packets(&[0; 250], false);
    let lens: Vec<_> = packets.iter().map(|p| p.bytes.len() - 52).collect();
    assert_eq!(lens, [100, 100, 50]);
}

#[test]
fn a_run_in_one_piece_is_as_large_as_its_segments() {
    assert_eq!(one(250).bytes.len(), 302);
    assert_eq!(one(250).largest, 152);
}

#[test]
fn every_corruption_is_noticed() {
    let mut line = link(Params {
        corrupt: 1000,
        ..Params::perfect(0, 0, 0)
    });
    for i in 0..20_000 {
        let mut arrivals = Vec::new();
        let sent = one(i % 50);
        line.send(sent.clone(), 0, &mut arrivals).unwrap();
        let (_, packet) = arrivals.remove(0);
        assert!(packet.bytes != sent.bytes);
        assert!(packet::read(&packet).is_none());
    }
}

#[test]
fn a_router_says_that_a_packet_is_too_big() {
    let error = packet::too_big(Ipv4Addr::new(10, 0, 9, 9), &one(250), 99);
    let Some(Arrival::TooBig { ends, seq, mtu }) = packet::read(&error) else {
        panic!()
    };
    assert_eq!((ends, seq, mtu), (ENDS, 1000, 99));
    assert_eq!(error.dst(), ENDS.local.0);
}

#[test]
fn a_line_takes_its_rate_and_delay() {
    // 52 bytes of headers and 48 of text at 100 bytes each ms.
    let mut line = link(Params::perfect(5_000, 100, 1_000_000));
    assert_eq!(send(&mut line, one(48), 0), Ok(vec![6_000]));
    assert_eq!(send(&mut line, one(48), 0), Ok(vec![7_000]));
    assert_eq!(send(&mut line, one(48), 10_000), Ok(vec![16_000]));
}

#[test]
fn a_full_queue_drops_the_tail() {
    let mut line = link(Params::perfect(0, 100, 200));
    assert!(send(&mut line, one(48), 0).is_ok());
    assert!(send(&mut line, one(48), 0).is_ok());
    assert_eq!(send(&mut line, one(48), 0), Err(Dropped::QueueFull));
    assert!(send(&mut line, one(48), 1_000).is_ok());
}

#[test]
fn a_queue_marks_what_is_capable_of_ecn_from_its_threshold_on() {
    let mut line = link(Params {
        mark_above: Some(150),
        ..Params::perfect(0, 100, 1_000_000)
    });
    let mut sent = |ecn| {
        let mut arrivals = Vec::new();
        let mut packet = one(48);
        packet.mark(ecn);
        line.send(packet, 0, &mut arrivals).unwrap();
        let (_, packet) = arrivals.remove(0);
        assert!(packet::read(&packet).is_some());
        packet.ecn()
    };
    assert_eq!([sent(ECT0), sent(ECT0), sent(0)], [ECT0, ECT0, 0]);
    assert_eq!(
        [sent(ECT0), sent(0), sent(1)],
        [packet::ecn::CE, 0, packet::ecn::CE]
    );
    assert_eq!(line.marked, 2);
}

#[test]
fn a_line_whose_mtu_has_shrunk_says_so_or_is_a_black_hole() {
    let change = MtuChange {
        at: 100,
        mtu: 151,
        silent_until: 200,
    };
    let mut line = link(Params {
        mtu_changes: [Some(change), None, None, None],
        ..Params::perfect(0, 0, 0)
    });
    assert!(send(&mut line, one(250), 99).is_ok());
    assert_eq!(send(&mut line, one(250), 100), Err(Dropped::BlackHole));
    assert_eq!(send(&mut line, one(250), 200), Err(Dropped::TooBig(151)));
    assert!(send(&mut line, one(99), 200).is_ok());
}

#[test]
fn order_is_kept_but_for_what_is_reordered() {
    let dither = Params {
        dither: 1_000,
        ..Params::perfect(10, 0, 0)
    };
    let at = |params| -> Vec<u64> {
        let mut line = link(params);
        let times = (0..1000).map(|now| send(&mut line, one(1), now).unwrap()[0]);
        times.collect()
    };
    assert!(at(dither).is_sorted());
    let reorder = Params {
        reorder: 500,
        jitter: 100,
        ..dither
    };
    assert!(!at(reorder).is_sorted());
}

#[test]
fn a_line_duplicates() {
    let mut line = link(Params {
        duplicate: 1000,
        ..Params::perfect(0, 0, 0)
    });
    let copies = send(&mut line, one(1), 0).unwrap().len();
    assert!((2..=3).contains(&copies));
}

fn lost(model: Loss, n: usize) -> Vec<bool> {
    let mut losses = Losses::new(model);
    let mut rng = Rng::new(1);
    (0..n).map(|_| losses.next(&mut rng)).collect()
}

#[test]
fn periodic_loss_takes_every_nth() {
    let lost = lost(Loss::Periodic(3), 7);
    assert_eq!(lost, [false, false, true, false, false, true, false]);
}

#[test]
fn periodic_loss_slips_lest_it_fall_in_step() {
    let lost = lost(Loss::Periodic(2), 40);
    let odd = lost.iter().skip(1).step_by(2).filter(|l| **l).count();
    let even = lost.iter().step_by(2).filter(|l| **l).count();
    assert_eq!((odd, even), (16, 3));
}

#[test]
fn random_loss_has_its_rate() {
    let lost = lost(Loss::Random(100), 100_000);
    let count = lost.iter().filter(|l| **l).count();
    assert!((9_500..10_500).contains(&count), "{count}");
}

#[test]
fn bursts_have_their_rate_and_length() {
    let model = Loss::Burst {
        to_bad: 10,
        to_good: 100,
        good: 0,
        bad: 1000,
    };
    let lost = lost(model, 200_000);
    let count = lost.iter().filter(|l| **l).count();
    let bursts = lost.windows(2).filter(|w| !w[0] && w[1]).count();
    // A share of 10 / (10 + 100), ten in a row on the average.
    assert!((16_500..20_000).contains(&count), "{count}");
    let length = count as f64 / bursts as f64;
    assert!((9.0..11.0).contains(&length), "{length}");
}

fn app(pace: Pace) -> App {
    let params = AppParams {
        bytes: 30,
        write_size: 1000,
        read_size: 1000,
        write_pause: 0,
        read_pause: 0,
        pace,
        ending: Ending::ReadThenClose,
    };
    App::new(params, 60, Rng::new(1))
}

/// What an application writes until it has to wait.
fn writes(app: &mut App) -> u64 {
    let mut sum = 0;
    while let Call::Send(n) = app.next_call(1000, 0) {
        app.wrote(n, 0);
        sum += n as u64;
    }
    sum
}

#[test]
fn who_asks_waits_for_the_answer() {
    let (request, response) = (10, 20);
    let mut asks = app(Pace::Ask { request, response });
    assert_eq!(writes(&mut asks), 10);
    asks.took(19, 0);
    assert_eq!(writes(&mut asks), 0);
    asks.took(1, 0);
    assert_eq!(writes(&mut asks), 10);
}

#[test]
fn who_answers_waits_for_the_question() {
    let (request, response) = (20, 10);
    let mut answers = app(Pace::Answer { request, response });
    assert_eq!(writes(&mut answers), 0);
    answers.took(59, 0);
    assert_eq!(writes(&mut answers), 20);
}

#[test]
fn a_stream_is_itself_from_any_place_on_and_no_other() {
    let stream = Stream::new(1, 0, 0);
    let mut all = Vec::new();
    stream.write(0, 100, &mut all);
    for at in 0..20 {
        assert!(stream.is(at, &all[at as usize..]));
        assert!(!stream.is(at + 1, &all[at as usize..]));
        assert!(!Stream::new(1, 0, 1).is(at, &all[at as usize..]));
    }
    all[50] ^= 1;
    assert!(!stream.is(0, &all));
}

/// The captures of a run.
fn captures(plan: fn(u64) -> Plan, seed: u64) -> Vec<Vec<u8>> {
    let mut world = World::new(plan(seed), true);
    world.run();
    world.captures().map(|(_, c)| c.bytes().to_vec()).collect()
}

#[test]
fn a_seed_gives_the_same_run_to_the_byte() {
    for plan in [plan::pair, plan::clients, plan::dumbbell, plan::incast] {
        for seed in 0..4 {
            let first = captures(plan, seed);
            assert!(first.iter().all(|c| c.len() > 24));
            assert!(first == captures(plan, seed));
        }
        assert!(captures(plan, 0) != captures(plan, 1));
    }
}

fn le(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

#[test]
fn a_capture_is_a_pcap_file_of_ipv4_packets_in_order() {
    let capture = captures(plan::pair, 1).remove(0);
    assert_eq!(le(&capture, 0), 0xa1b2_c3d4);
    assert_eq!(capture[4..8], [2, 0, 4, 0]);
    assert_eq!(le(&capture, 20), 101);
    let mut rest = &capture[24..];
    let mut last = (0, 0);
    let mut sound = 0;
    while !rest.is_empty() {
        let time = (le(rest, 0), le(rest, 4));
        assert!(time >= last && time.1 < 1_000_000);
        last = time;
        let len = le(rest, 8) as usize;
        assert_eq!(le(rest, 12) as usize, len);
        let bytes = rest[16..16 + len].to_vec();
        let packet = Packet { bytes, largest: 0 };
        sound += usize::from(packet::read(&packet).is_some());
        rest = &rest[16 + len..];
    }
    assert!(sound > 5);
}

#[test]
fn a_capture_is_saved_where_it_is_said_to_be() {
    let mut world = World::new(plan::pair(0), true);
    world.run();
    let (_, capture) = world.captures().next().unwrap();
    let path = capture.save("saved-by-a-test").unwrap();
    assert_eq!(std::fs::read(path).unwrap(), capture.bytes());
}

/// What a run complains of.
fn complaint(plan: Plan) -> String {
    complaint_of(|| {
        World::new(plan, false).run();
    })
}

fn complaint_of(run: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("nothing was noticed");
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => (*other.downcast_ref::<&str>().unwrap()).into(),
    }
}

/// A plan of one clean connection without faults, with text and with windows that do not shrink.
fn clean() -> Plan {
    let fits = |p: &Plan| {
        let mut sides = p.flows[0].sides.iter();
        p.perfect && sides.all(|s| s.app.bytes > 1000 && !s.config.shrink_window)
    };
    (0..).map(plan::pair).find(fits).unwrap()
}

#[test]
fn a_connection_that_fails_is_noticed() {
    let mut plan = clean();
    plan.lines[0].link.loss = Loss::Random(1000);
    assert!(complaint(plan).contains("failed: Some(TimedOut)"));
}

#[test]
fn a_black_hole_without_end_is_noticed() {
    let mut plan = clean();
    plan.lines[0].link.mtu_changes[0] = Some(MtuChange {
        at: 0,
        mtu: 61,
        silent_until: u64::MAX,
    });
    assert!(complaint(plan).contains("failed: Some(TimedOut)"));
}

#[test]
fn a_retransmission_on_a_perfect_network_is_noticed() {
    let mut plan = clean();
    plan.lines[0].link.loss = Loss::Periodic(3);
    assert!(complaint(plan).contains("retransmissions on a perfect network"));
}

#[test]
fn an_application_that_waits_for_ever_is_noticed() {
    let mut plan = clean();
    for side in &mut plan.flows[0].sides {
        side.config.keepalive = false;
    }
    plan.flows[0].sides[0].app.pace = Pace::Answer {
        request: u64::MAX,
        response: 1,
    };
    assert!(complaint(plan).contains("is stuck in"));
}

/// What an oracle says to an end that does what none should.
#[test]
fn the_oracle_of_an_end_notices() {
    let lost = Events {
        fast_retransmit: true,
        ..Events::default()
    };
    let late = Events {
        timed_out: true,
        ..Events::default()
    };
    let none = Events::default();
    let says = |what: &str, case: &dyn Fn(&mut Watched)| {
        let mut end = Watched::busy();
        let said = complaint_of(|| case(&mut end));
        assert!(said.contains(what), "{what}: {said}");
    };

    // The congestion window.
    says("a loss or a mark has left a threshold", &|end| {
        let old = end.tcb;
        end.turned(&old, &sack(4), &lost);
    });
    says("a timeout has left a window", &|end| {
        end.oracle.before(&end.tcb);
        end.oracle.expired(&end.tcb, &late);
    });
    says("a mark was not answered", &|end| {
        let old = end.tcb;
        let seg = ack(1 + MSS, 60_000);
        end.arrives(&seg);
        let flags = Flags::ACK | Flags::ECE;
        end.turned(&old, &Segment { flags, ..seg }, &none);
    });
    says("bytes have opened the window", &|end| {
        let old = Watched::with_mss(536).tcb;
        end.turned(&old, &ack(1, 60_000), &none);
    });
    says(
        "a window of 6000 in a reduction, 5000 are the most",
        &|end| {
            for n in 1..=3 {
                end.arrives(&sack(n));
            }
            // What the end does not know of: it holds what is to come first for owed.
            end.claims_first_again();
            end.arrives(&sack(4));
        },
    );
    says("bytes sent with 10000 in the network", &|end| {
        end.oracle.fetches(&end.tcb);
        end.claims_last();
    });

    // The windows.
    says("sent 10001 beyond the window 5001", &|end| {
        end.oracle = Oracle::new(false);
        let old = end.tcb;
        end.turned(&old, &ack(1, 5_000), &none);
        end.claims_last();
    });
    says("new text up to 10001 beyond the window 7001", &|end| {
        end.arrives(&ack(1 + MSS, 6_000));
        end.claims_last();
    });
    says("is what was offered", &|end| {
        let old = end.tcb;
        let seg = ack(1 + MSS, 60_000);
        end.arrives(&seg);
        end.turned(&old, &Segment { wnd: 6_000, ..seg }, &none);
    });
    for wnd in [0, 10] {
        says("window shrunk", &|end| end.sent(&bare(wnd)));
    }

    // What is sent in vain, or not at all.
    says("an acknowledgment of an acknowledgment", &|end| {
        end.arrives(&ack(1 + MSS, 60_000));
        end.oracle.replied(&bare(60_000));
    });
    says("acknowledgments for", &|end| {
        for _ in 0..10 {
            end.oracle.replied(&bare(60_000));
        }
    });
    says("timers in 0 s of silence", &|end| {
        for _ in 0..100 {
            end.oracle.timer(end.now);
        }
    });
    says("bytes again in silence", &|end| {
        for _ in 0..30 {
            end.claims_first_again();
        }
    });
    says("in flight without a timer", &|_| {
        check_timer(1, Some((TimerKind::Idle, Instant::default())));
    });
    says("SND.UNA went back", &|end| {
        let old = end.tcb;
        end.arrives(&ack(1 + MSS, 60_000));
        end.oracle.before(&end.tcb);
        end.tcb = old;
        end.oracle
            .arrived(&end.tcb, &ack(1, 60_000), &none, end.now);
    });
}

#[test]
fn a_window_may_close_when_memory_has_run_out() {
    let mut end = Watched::busy();
    end.oracle.ran_out();
    end.sent(&bare(0));
}
