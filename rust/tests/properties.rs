// SPDX-License-Identifier: GPL-2.0

//! Properties over all inputs: sequence arithmetic against integers, parsers that are total, the
//! tests' own reassembly against a set of bytes, the estimator's bounds.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use oxtcp_core::tcp::config::{Config, Identity};
use oxtcp_core::tcp::fast_open::Cookie;
use oxtcp_core::tcp::options::{Options, SackBlocks, SeqRange, Timestamps};
use oxtcp_core::tcp::rtt::RttEstimator;
use oxtcp_core::tcp::segment::{Flags, Segment, Transmit, MAX_HEADER_LEN};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::small_queue::DeviceQueue;
use oxtcp_core::tcp::tcb::TxLimits;
use oxtcp_core::tcp::time::{Duration, Instant};
use oxtcp_core::tcp::user_timeout::Advertised;
use oxtcp_core::tcp::{ReceiveQueue, Tcb};
use proptest::collection::vec;
use proptest::prelude::*;
use support::endpoint::invariants::is_sent_again;
use support::rx::Rx;

/// Distances for which the order on the circle is defined.
const REACH: i64 = (1 << 31) - 1;

prop_compose! {
    fn any_options()(
        mss in proptest::option::of(1u16..),
        window_scale in proptest::option::of(0u8..=14),
        sack_permitted: bool,
        stamps in proptest::option::of(any::<(u32, u32)>()),
        blocks in vec(any::<(u32, u32)>(), 0..=4),
        cookie in proptest::option::of((prop_oneof![Just(0usize), 2usize..=8], any::<[u8; 16]>(), any::<bool>())),
        timeout in proptest::option::of(1u16..0x8000),
    ) -> Options {
        let timestamps = stamps.map(|(val, ecr)| Timestamps { val, ecr });
        let is_syn = mss.is_some() || window_scale.is_some() || sack_permitted;
        let mut sack = SackBlocks::NONE;
        let most = match timestamps {
            _ if is_syn => 0,
            Some(_) => 3,
            None => 4,
        };
        for (start, end) in blocks.into_iter().take(most) {
            sack.push(SeqRange { start: SeqNumber(start), end: SeqNumber(end) });
        }
        let fast_open = cookie.filter(|_| is_syn).and_then(|(words, bytes, experimental)| {
            let cookie = Cookie::new(&bytes[..2 * words])?;
            Some(if experimental { cookie.experimental() } else { cookie })
        });
        // Where all else leaves room for it.
        let room = fast_open.is_none() && sack.len() < 3;
        let user_timeout = timeout.filter(|_| room).and_then(Advertised::from_wire);
        Options {
            mss, window_scale, sack_permitted, timestamps, sack, fast_open, user_timeout,
            ..Options::default()
        }
    }
}

prop_compose! {
    /// A segment near the numbers that the end below uses, or anywhere.
    fn any_segment()(
        flags in prop_oneof![Just(0x10u16), Just(0x11), Just(0x02), Just(0x04), 0u16..0x200],
        seq in prop_oneof![4000u32..8000, any::<u32>()],
        ack in prop_oneof![900u32..3000, any::<u32>()],
        wnd: u16,
        len in 0u32..3000,
        mut options in any_options(),
        stamp in 90u32..120,
    ) -> Segment {
        if let Some(ts) = &mut options.timestamps {
            ts.val = stamp;
        }
        Segment {
            flags: Flags::from_bits(flags),
            seq: SeqNumber(seq),
            ack: SeqNumber(ack),
            wnd,
            len,
            options,
            ..Segment::default()
        }
    }
}

/// What happens to an end.
#[derive(Clone, Debug)]
enum Step {
    Arrive(Segment),
    Pass(u64),
    Send(u32),
    Read(usize),
    Shutdown,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => any_segment().prop_map(Step::Arrive),
        2 => (0u64..3_000_000).prop_map(Step::Pass),
        2 => (1u32..5000).prop_map(Step::Send),
        1 => (1usize..5000).prop_map(Step::Read),
        1 => Just(Step::Shutdown),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn order_is_that_of_integers(base: u32, distance in -REACH..=REACH) {
        let a = SeqNumber(base);
        let b = SeqNumber((i64::from(base) + distance) as u32);
        prop_assert_eq!(a.before(b), distance > 0);
        prop_assert_eq!(a.after(b), distance < 0);
        prop_assert_eq!(a.at_or_before(b), distance >= 0);
        prop_assert_eq!(a.at_or_after(b), distance <= 0);
        prop_assert_eq!(i64::from(b - a), distance);
        prop_assert_eq!(i64::from(b.since(a)), distance.max(0));
        prop_assert_eq!(a.max(b), if distance > 0 { b } else { a });
        prop_assert_eq!(a.min(b), if distance > 0 { a } else { b });
    }

    #[test]
    fn ranges_are_those_of_integers(start: u32, len: u32, offset: u32) {
        let (s, x) = (SeqNumber(start), SeqNumber(start) + offset);
        prop_assert_eq!(x.in_range(s, s + len), offset < len);
        prop_assert_eq!((s + offset) - offset, s);
    }

    #[test]
    fn any_bytes_are_parsed(bytes in vec(any::<u8>(), 0..80), len: u32) {
        if let Ok(seg) = Segment::parse(&bytes, len) {
            prop_assert!(bytes.len() >= 20);
            prop_assert_eq!(seg.src_port, u16::from_be_bytes([bytes[0], bytes[1]]));
            prop_assert_eq!(seg.flags.bits(), u16::from_be_bytes([bytes[12] & 0xf, bytes[13]]));
            prop_assert!(seg.options.sack.as_slice().len() <= 4);
            prop_assert!(seg.options.window_scale.unwrap_or(0) <= 14);
        }
    }

    #[test]
    fn any_options_are_parsed(bytes in vec(prop_oneof![0u8..12, any::<u8>()], 0..41)) {
        let read = Options::parse(&bytes);
        let mut buf = [0; 40];
        let len = read.write(&mut buf);
        prop_assert!(len <= 40 && len % 4 == 0);
    }

    #[test]
    fn what_is_written_is_read(
        ports: (u16, u16), seq: u32, ack: u32, flags in 0u16..0x1000, wnd: u16, options in any_options(),
    ) {
        let flags = Flags::from_bits(flags);
        let mut out = Transmit::bare(SeqNumber(seq), SeqNumber(ack), flags, wnd);
        out.options = options;
        let mut buf = [0; MAX_HEADER_LEN];
        let len = out.header(ports.0, ports.1, &mut buf);
        let seg = Segment::parse(&buf[..len], 9).expect("a header");
        prop_assert_eq!((seg.src_port, seg.dst_port), ports);
        prop_assert_eq!((seg.seq, seg.flags, seg.wnd, seg.len), (out.seq, flags, wnd, 9));
        prop_assert_eq!(seg.ack.0, if flags.has(Flags::ACK) { ack } else { 0 });
        prop_assert_eq!(seg.options, options);
    }

    #[test]
    fn a_timeout_stays_in_its_bounds(samples in vec(any::<u64>(), 0..50), shift: u8) {
        let mut rtt = RttEstimator::default();
        let (min, max) = (Duration::from_ms(200), Duration::from_secs(120));
        for (us, seq) in samples.into_iter().zip((0..).step_by(2)) {
            let (una, nxt) = (SeqNumber(seq), SeqNumber(seq + 1));
            rtt.sample(Duration::from_us(us), una, nxt, min);
            let rto = rtt.rto(min, max);
            prop_assert!(rto >= min && rto <= max);
            prop_assert!(rto.backed_off(shift, max) >= rto);
            prop_assert!(rto.backed_off(shift, max) <= max);
        }
    }

    /// The receive buffer that the simulation uses, against a set of bytes.
    #[test]
    fn reassembly_agrees_with_a_set(
        base: u32, parts in vec((0u32..300, 1u32..60), 1..60),
    ) {
        let mut rx = Rx::new(1000, 0);
        let mut have = [false; 400];
        let byte = |at: u32| (at * 7 % 251) as u8;
        let mut next = 0u32;
        for (start, len) in parts {
            let (first, end) = (start.max(next), start + len);
            if first >= end {
                continue;
            }
            rx.segment = (start..end).map(byte).collect();
            let at = |n: u32| SeqNumber(base) + n;
            let stored = rx.store(at(next), at(first), first - start, end - first);
            have[start as usize..end as usize].fill(true);
            next = have.iter().position(|h| !h).map_or(400, |n| n as u32);
            prop_assert_eq!(stored, Ok(at(next)));
            let early = have[next as usize..].iter().filter(|h| **h).count();
            prop_assert_eq!(rx.early(), early);
        }
        let expected: Vec<u8> = (0..next).map(byte).collect();
        prop_assert_eq!(rx.read(1000), expected);
    }

    /// Whatever a peer, or an attacker, sends: no panic, no endless output, and the window that was
    /// offered never shrinks.
    #[test]
    fn any_segments_leave_the_end_sane(steps in vec(any_step(), 1..60), plain: bool) {
        let config = Config {
            timestamps: !plain,
            sack: !plain,
            window_scaling: !plain,
            initial_window: 4000,
            ..Config::default()
        };
        let ids = Identity { iss: SeqNumber(1000), ts_offset: 0 };
        let limits = TxLimits { mss: 1000, max_run: 64_000, queue: DeviceQueue::default() };
        let mut now = Instant::default();
        let mut tcb = Tcb::connect(&config, ids, now);
        let mut rx = Rx::new(4000, 0);
        let _ = tcb.poll_transmit(&config, &mut rx, &limits, now);
        let mut syn_ack = Segment {
            flags: Flags::SYN | Flags::ACK,
            seq: SeqNumber(5000),
            ack: SeqNumber(1001),
            wnd: 8000,
            ..Segment::default()
        };
        syn_ack.options.timestamps = Some(Timestamps { val: 100, ecr: 0 });
        syn_ack.options.sack_permitted = true;
        syn_ack.options.window_scale = Some(2);
        tcb.on_segment(&config, &syn_ack, &mut rx, now);
        let mut edge = tcb.rcv_nxt() + tcb.rcv_wnd();
        let mut queued = 0u32;
        for step in steps {
            let mut events = match step {
                Step::Arrive(seg) => {
                    rx.segment = vec![1; seg.len as usize];
                    tcb.on_segment(&config, &seg, &mut rx, now)
                }
                Step::Pass(us) => {
                    now = now + Duration::from_us(us);
                    tcb.on_timer(&config, &mut rx, now)
                }
                Step::Send(n) if tcb.state().may_send() => {
                    tcb.on_send(n, false);
                    queued += n;
                    Default::default()
                }
                Step::Send(_) => Default::default(),
                Step::Read(n) => {
                    rx.read(n);
                    tcb.on_receive(&config, &rx);
                    Default::default()
                }
                Step::Shutdown => tcb.shutdown_write(),
            };
            prop_assert!(events.acked <= queued, "acknowledged more than was queued");
            queued -= events.acked;
            let mut count = 0;
            while let Some(out) = tcb.poll_transmit(&config, &mut rx, &limits, now) {
                count += 1;
                prop_assert!(count < 1000, "no end of segments: {:?}", out);
                let offset = out.seq.since(tcb.snd_una());
                prop_assert!(out.len == 0 || offset + out.len <= queued);
            }
            if events.closed || events.time_wait.take().is_some() {
                break;
            }
            let new_edge = tcb.rcv_nxt() + tcb.rcv_wnd();
            prop_assert!(new_edge.at_or_after(edge));
            edge = new_edge;
            prop_assert!(tcb.snd_una().at_or_before(tcb.snd_nxt()));
            prop_assert!(tcb.flight() == 0 || is_sent_again(&tcb));
        }
    }
}
