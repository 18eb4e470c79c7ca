// SPDX-License-Identifier: GPL-2.0

//! Prediction against the long way: what is predicted of an arriving segment leaves the connection
//! as the steps of RFC 9293 3.10.7.4 would, and answers what they would; and what is sent plainly is
//! what all the questions to the sender would have sent, and leaves the connection as they would.

#[allow(dead_code, reason = "each test program uses a part of it")]
mod support;

use oxtcp_core::tcp::config::{Config, Identity, LossDetection};
use oxtcp_core::tcp::congestion::Algorithm;
use oxtcp_core::tcp::events::Events;
use oxtcp_core::tcp::mtu_probe::When;
use oxtcp_core::tcp::plain::{Plain, MAX_PLAIN_HEADER_LEN};
use oxtcp_core::tcp::predict::Candidate;
use oxtcp_core::tcp::segment::{Segment, Transmit, MAX_HEADER_LEN};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::small_queue::DeviceQueue;
use oxtcp_core::tcp::syn_received::SynReceived;
use oxtcp_core::tcp::tcb::TxLimits;
use oxtcp_core::tcp::time::{Duration, Instant};
use oxtcp_core::tcp::Tcb;
use proptest::collection::vec;
use proptest::prelude::*;
use support::rx::Rx;

fn limits() -> TxLimits {
    TxLimits {
        mss: 1460,
        max_run: 65_536,
        queue: DeviceQueue::default(),
    }
}

/// An end, twice: one that predicts and sends plainly, and one that takes every step.
struct Twins {
    config: Config,
    tcbs: [Tcb; 2],
    rxs: [Rx; 2],
    room: u32,
    limits: TxLimits,
    predicted: usize,
    plain: usize,
}

impl Twins {
    fn new(config: Config, tcb: Tcb, room: u32) -> Self {
        Self {
            config,
            tcbs: [tcb, tcb],
            rxs: [Rx::new(room, 0), Rx::new(room, 0)],
            room,
            limits: limits(),
            predicted: 0,
            plain: 0,
        }
    }

    fn check(&self) {
        assert_eq!(self.tcbs[0], self.tcbs[1]);
        assert_eq!(self.rxs[0].records, self.rxs[1].records);
    }

    fn arrive(&mut self, seg: &Segment, now: Instant) {
        for rx in &mut self.rxs {
            rx.segment = vec![0; seg.len as usize];
        }
        let predicted = Candidate::of(seg).is_some_and(|seg| self.tcbs[0].is_predicted(&seg));
        self.predicted += usize::from(predicted);
        let (config, rxs) = (&self.config, &mut self.rxs);
        let predicted: Events = self.tcbs[0].on_segment(config, seg, &mut rxs[0], now);
        let mut by_steps = Events::default();
        self.tcbs[1].on_segment_by_steps(config, seg, &mut rxs[1], now, &mut by_steps);
        assert_eq!(predicted, by_steps);
        self.check();
    }

    fn read(&mut self, bytes: usize) {
        for (tcb, rx) in self.tcbs.iter_mut().zip(&mut self.rxs) {
            let taken = rx.read(bytes);
            if !taken.is_empty() {
                tcb.on_receive(&self.config, rx);
            }
        }
        self.check();
    }

    fn send(&mut self, bytes: u32, more: bool) {
        if !self.tcbs[0].state().may_send() {
            return;
        }
        let held = self.tcbs[0].unacked();
        let bytes = bytes.min(self.room.saturating_sub(held));
        for tcb in &mut self.tcbs {
            tcb.on_send(bytes, more);
        }
        self.check();
    }

    fn mark(&mut self, what: Mark) {
        let config = &mut self.config;
        for (tcb, rx) in self.tcbs.iter_mut().zip(&mut self.rxs) {
            match what {
                Mark::MessageEnd => rx.ends.push(tcb.on_message_end()),
                Mark::Urgent if tcb.unacked() > 0 => tcb.on_send_urgent(),
                Mark::Urgent => {}
                Mark::Cork(on) => config.cork = on,
                Mark::Paced(rate) => config.max_pacing_rate = rate,
                Mark::Path(mss) => self.limits.mss = mss,
                Mark::Held(bytes) => self.limits.queue.held = bytes,
                Mark::Shut => {
                    tcb.shutdown_write();
                }
            }
        }
        self.check();
    }

    fn timer(&mut self, now: Instant) {
        for (tcb, rx) in self.tcbs.iter_mut().zip(&mut self.rxs) {
            if tcb.deadline().is_some_and(|at| at <= now) {
                tcb.on_timer(&self.config, rx, now);
            }
        }
        self.check();
    }

    /// What both want to send, as it arrives.
    fn transmit(&mut self, now: Instant) -> Vec<Segment> {
        let (config, limits) = (&self.config, &self.limits);
        let (tcb, rx) = (&mut self.tcbs[0], &mut self.rxs[0]);
        let ack = tcb.poll_plain_ack(config, rx, now);
        let plain = ack.or_else(|| tcb.poll_plain(config, rx, limits, now));
        self.plain += usize::from(plain.is_some());
        let mut out = [Vec::from_iter(plain.as_ref().map(as_any)), Vec::new()];
        for (i, sent) in out.iter_mut().enumerate() {
            while let Some(one) = self.tcbs[i].poll_transmit(config, &mut self.rxs[i], limits, now)
            {
                sent.push(one);
            }
        }
        let [first, second] = out;
        assert_eq!(first, second);
        assert!(plain.is_none() || first.len() == 1);
        self.check();
        first.iter().map(on_the_wire).collect()
    }
}

/// As what it would be without prediction, with the same header.
fn as_any(plain: &Plain) -> Transmit {
    let any = Transmit::from(plain);
    let (mut short, mut long) = ([0xff; MAX_PLAIN_HEADER_LEN], [0; MAX_HEADER_LEN]);
    let len = plain.header(80, 0x1234, &mut short);
    assert_eq!(any.header(80, 0x1234, &mut long), len);
    assert_eq!(short[..len], long[..len]);
    any
}

fn on_the_wire(out: &Transmit) -> Segment {
    let mut buf = [0; MAX_HEADER_LEN];
    let len = out.header(1, 2, &mut buf);
    let mut seg = Segment::parse(&buf[..len], out.len).expect("a header of ours");
    seg.ecn = out.ecn;
    seg
}

/// Two ends with an open connection, both twins.
fn open(config: Config, wraps: bool) -> ([Twins; 2], Instant) {
    let now = Instant::from_us(5_000_000);
    let ids = |iss| Identity {
        iss: SeqNumber(if wraps { u32::MAX - iss } else { iss }),
        ts_offset: iss,
    };
    let mut client = Tcb::connect(&config, ids(7000), now);
    let mut rx = Rx::new(1, 0);
    let syn = client.poll_transmit(&config, &mut rx, &limits(), now);
    let syn = on_the_wire(&syn.expect("a SYN"));
    let half = SynReceived::new(&config, &syn, ids(3000), now);
    let now = now + Duration::from_ms(3);
    let answer = on_the_wire(&half.syn_ack(&config, now));
    client.on_segment(&config, &answer, &mut rx, now);
    let ack = client.poll_transmit(&config, &mut rx, &limits(), now);
    let ack = on_the_wire(&ack.expect("the last of three"));
    let server = half.into_tcb(&config, &ack, now + Duration::from_ms(3));
    let ends = [client, server].map(|tcb| Twins::new(config, tcb, 60_000));
    (ends, now + Duration::from_ms(3))
}

/// What the user, or the path, has to say.
#[derive(Clone, Copy, Debug)]
enum Mark {
    MessageEnd,
    Urgent,
    Cork(bool),
    Paced(u64),
    Path(u16),
    Held(u32),
    Shut,
}

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    Send(usize, u32, bool),
    Mark(usize, Mark),
    Read(usize, usize),
    /// The oldest segment on its way to an end arrives.
    Arrive(usize),
    /// Another does, or it is lost, or arrives twice.
    Overtake(usize, usize),
    Lose(usize, usize),
    Repeat(usize),
    Pass(u64),
}

fn any_more() -> impl Strategy<Value = bool> {
    prop_oneof![4 => Just(false), 1 => Just(true)]
}

fn any_mark() -> impl Strategy<Value = Mark> {
    prop_oneof![
        3 => Just(Mark::MessageEnd),
        3 => Just(Mark::Urgent),
        3 => any::<bool>().prop_map(Mark::Cork),
        3 => prop_oneof![Just(u64::MAX), Just(1_000_000)].prop_map(Mark::Paced),
        3 => (500u16..3000).prop_map(Mark::Path),
        3 => prop_oneof![Just(0u32), 500u32..200_000].prop_map(Mark::Held),
        1 => Just(Mark::Shut),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let end = 0usize..2;
    prop_oneof![
        4 => (end.clone(), 1u32..9000, any_more()).prop_map(|(e, n, more)| Step::Send(e, n, more)),
        4 => (end.clone(), 1u32..900, any_more()).prop_map(|(e, n, more)| Step::Send(e, n, more)),
        1 => (end.clone(), any_mark()).prop_map(|(e, mark)| Step::Mark(e, mark)),
        8 => (end.clone(), 1usize..20_000).prop_map(|(e, n)| Step::Read(e, n)),
        30 => end.clone().prop_map(Step::Arrive),
        1 => (end.clone(), 0usize..8).prop_map(|(e, i)| Step::Overtake(e, i)),
        1 => (end.clone(), 0usize..8).prop_map(|(e, i)| Step::Lose(e, i)),
        1 => end.prop_map(Step::Repeat),
        10 => prop_oneof![1u64..3000, 1u64..300_000].prop_map(Step::Pass),
    ]
}

prop_compose! {
    fn any_config()(
        sack in prop_oneof![4 => Just(true), 1 => Just(false)],
        timestamps in prop_oneof![4 => Just(true), 1 => Just(false)],
        nodelay: bool,
        congestion in prop_oneof![
            Just(Algorithm::Cubic), Just(Algorithm::Reno), Just(Algorithm::Bbr)
        ],
        recovery in prop_oneof![4 => Just(1u8), 1 => 0u8..8],
        accurate in prop_oneof![4 => Just(0u8), 1 => Just(3)],
        loss_probes in prop_oneof![4 => Just(true), 1 => Just(false)],
        slow_start_after_idle: bool,
        probes_mtu in prop_oneof![9 => Just(false), 1 => Just(true)],
        user_timeout_option in prop_oneof![4 => Just(0u16), 1 => 1u16..=3600],
    ) -> Config {
        let mut config = Config {
            sack, timestamps, nodelay, congestion, loss_probes, slow_start_after_idle,
            user_timeout_option, initial_window: 60_000, ..Config::default()
        };
        if probes_mtu {
            config.mtu.when = When::Always;
        }
        config.recovery = LossDetection::from_bits(recovery);
        config.ecn = config.ecn.with_mode(accurate);
        config
    }
}

/// Returns how many segments were predicted, and how many sent plainly.
fn run(config: Config, wraps: bool, steps: &[Step]) -> (usize, usize) {
    let (mut ends, mut now) = open(config, wraps);
    let mut nets: [Vec<Segment>; 2] = Default::default();
    for step in steps {
        match *step {
            Step::Send(end, bytes, more) => ends[end].send(bytes, more),
            Step::Mark(end, mark) => ends[end].mark(mark),
            Step::Read(end, bytes) => ends[end].read(bytes),
            Step::Arrive(end) if !nets[end].is_empty() => {
                let seg = nets[end].remove(0);
                ends[end].arrive(&seg, now);
            }
            Step::Overtake(end, i) if i < nets[end].len() => {
                let seg = nets[end].remove(i);
                ends[end].arrive(&seg, now);
            }
            Step::Lose(end, i) if i < nets[end].len() => {
                nets[end].remove(i);
            }
            Step::Repeat(end) if !nets[end].is_empty() => {
                let seg = nets[end][0];
                ends[end].arrive(&seg, now);
            }
            Step::Pass(us) => {
                now = now + Duration::from_us(us);
                ends.iter_mut().for_each(|end| end.timer(now));
            }
            _ => {}
        }
        for end in 0..2 {
            let sent = ends[end].transmit(now);
            nets[1 - end].extend(sent);
        }
    }
    let sum = |count: fn(&Twins) -> usize| ends.iter().map(count).sum();
    (sum(|end| end.predicted), sum(|end| end.plain))
}

#[test]
fn requests_and_responses_are_predicted() {
    let turn = |from: usize| {
        let to = 1 - from;
        let [send, pass] = [Step::Send(from, 100, false), Step::Pass(700)];
        [send, pass, Step::Arrive(to), Step::Read(to, 100)]
    };
    let steps: Vec<_> = (0..100).flat_map(|i| turn(i % 2)).collect();
    let config = Config {
        nodelay: true,
        ..Config::default()
    };
    // The first two acknowledgments do not wait.
    assert_eq!(run(config, false, &steps), (100, 102));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_predicted_is_what_the_steps_do(
        config in any_config(),
        wraps: bool,
        steps in vec(any_step(), 1..300),
    ) {
        run(config, wraps, &steps);
    }
}
