// SPDX-License-Identifier: GPL-2.0

//! One end of a connection in a script: what the peer sends is written down, and what the core
//! answers, and when, is compared. Our first byte of text is number 1001, the peer's 5001.

use crate::support::rx::Rx;
use oxtcp_core::tcp::config::{Config, Identity};
use oxtcp_core::tcp::congestion::Algorithm;
use oxtcp_core::tcp::events::Events;
use oxtcp_core::tcp::options::{Options, SeqRange, Timestamps};
use oxtcp_core::tcp::pacing::Runs;
use oxtcp_core::tcp::segment::{Flags, Segment, Transmit};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::small_queue::DeviceQueue;
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::syn_received::{SynReceived, Verdict};
use oxtcp_core::tcp::tcb::TxLimits;
use oxtcp_core::tcp::time::{Duration, Instant};
use oxtcp_core::tcp::Tcb;

pub const ISS: u32 = 1000;
pub const IRS: u32 = 5000;
/// The MSS of both ends.
pub const MSS: u16 = 1000;
/// The peer's window.
pub const WND: u16 = 50_000;

pub const ACK: Flags = Flags::ACK;
pub const SYN: Flags = Flags::SYN;
pub const FIN: Flags = Flags::FIN;
pub const RST: Flags = Flags::RST;

/// Neither timestamps nor SACK nor scaling, and NewReno: plain numbers.
pub fn plain() -> Config {
    Config {
        syn_linear_timeouts: 0,
        timestamps: false,
        sack: false,
        window_scaling: false,
        mss: MSS,
        initial_window: 20_000,
        slow_start_after_idle: false,
        congestion: Algorithm::Reno,
        // Runs as long as the limit says, whatever the rate.
        runs: Runs {
            min_segments: 255,
            ..Runs::default()
        },
        ..Config::default()
    }
}

/// With SACK.
pub fn with_sack() -> Config {
    Config {
        sack: true,
        ..plain()
    }
}

/// With timestamps.
pub fn with_timestamps() -> Config {
    Config {
        timestamps: true,
        ..plain()
    }
}

pub fn ids() -> Identity {
    Identity {
        iss: SeqNumber(ISS),
        ts_offset: 0,
    }
}

/// A segment of the peer, without options.
pub fn seg(flags: Flags, seq: u32, ack: u32, len: u32) -> Segment {
    Segment {
        src_port: 80,
        dst_port: 40_000,
        seq: SeqNumber(seq),
        ack: SeqNumber(ack),
        flags,
        wnd: WND,
        len,
        ..Segment::default()
    }
}

pub fn with_window(mut seg: Segment, wnd: u16) -> Segment {
    seg.wnd = wnd;
    seg
}

pub fn with_stamp(mut seg: Segment, val: u32) -> Segment {
    seg.options.timestamps = Some(Timestamps { val, ecr: 0 });
    seg
}

pub fn with_blocks(mut seg: Segment, blocks: &[(u32, u32)]) -> Segment {
    for &(start, end) in blocks {
        seg.options.sack.push(SeqRange {
            start: SeqNumber(start),
            end: SeqNumber(end),
        });
    }
    seg
}

/// The options of the peer's SYN: all that `config` knows.
pub fn syn_options(config: &Config) -> Options {
    Options {
        mss: Some(MSS),
        window_scale: config.window_scaling.then_some(0),
        sack_permitted: config.sack,
        timestamps: config.timestamps.then_some(Timestamps { val: 100, ecr: 0 }),
        ..Options::default()
    }
}

/// A sent segment in short: when (ms), sequence number, length, flags.
pub type Sent = (u64, u32, u32, Flags);

/// Our end.
pub struct End {
    pub config: Config,
    pub tcb: Tcb,
    pub rx: Rx,
    pub limits: TxLimits,
    pub now: Instant,
    /// All events since the beginning that ended or opened something.
    pub last: Events,
    /// When the connection ended by a timer, ms.
    pub ended_at: Option<u64>,
}

impl End {
    fn with(config: Config, tcb: Tcb) -> Self {
        Self {
            config,
            tcb,
            rx: Rx::new(20_000, 0),
            limits: TxLimits {
                mss: MSS,
                max_run: u32::from(MSS),
                queue: DeviceQueue::default(),
            },
            now: Instant::default(),
            last: Events::default(),
            ended_at: None,
        }
    }

    /// An active open; the SYN is not yet fetched.
    pub fn connecting(config: Config) -> Self {
        Self::with(config, Tcb::connect(&config, ids(), Instant::default()))
    }

    /// A connection that a listener accepted, a moment ago.
    pub fn established(config: Config) -> Self {
        Self::established_in(config, 0)
    }

    /// A connection that a listener accepted; the handshake took so many milliseconds.
    pub fn established_in(config: Config, ms: u64) -> Self {
        Self::established_with(config, ms, 100)
    }

    /// A connection with timestamps, of which the peer's are `stamp` in its handshake.
    pub fn established_with_stamp(config: Config, stamp: u32) -> Self {
        Self::established_with(config, 0, stamp)
    }

    fn established_with(config: Config, ms: u64, stamp: u32) -> Self {
        let mut syn = seg(SYN, IRS, 0, 0);
        syn.options = syn_options(&config);
        let mut ack = seg(ACK, IRS + 1, ISS + 1, 0);
        if config.timestamps {
            syn = with_stamp(syn, stamp);
            ack = with_stamp(ack, stamp);
        }
        let half = SynReceived::new(&config, &syn, ids(), Instant::default());
        let now = Instant::from_us(ms * 1000);
        assert_eq!(half.on_segment(&config, &ack, now), Verdict::Complete);
        let mut end = Self::with(config, half.into_tcb(&config, &ack, now));
        end.now = now;
        end.arrive(ack);
        assert!(end.sent().is_empty());
        assert_eq!(end.tcb.state(), State::Established);
        end.tcb.set_quick_ack(&end.config, false);
        end
    }

    pub fn ms(&self) -> u64 {
        self.now.us() / 1000
    }

    /// A segment arrives now.
    pub fn arrive(&mut self, seg: Segment) -> Events {
        self.rx.segment = vec![7; seg.len as usize];
        let events = self
            .tcb
            .on_segment(&self.config, &seg, &mut self.rx, self.now);
        self.note(events);
        self.check();
        events
    }

    /// Whether the counts agree with the records.
    fn check(&self) {
        let (una, nxt) = (self.tcb.snd_una(), self.tcb.snd_nxt());
        if self.tcb.state().is_synchronized() {
            let board = self.tcb.scoreboard();
            assert!(
                board.agrees(&self.rx, una, nxt),
                "{board:?} {:?}",
                self.rx.records
            );
        }
    }

    /// An acknowledgment of all up to `ack` arrives, at the peer's SND.NXT.
    pub fn acked(&mut self, ack: u32) -> Events {
        let next = self.tcb.rcv_nxt().0;
        self.arrive(seg(ACK, next, ack, 0))
    }

    /// Up to `ms` the peer says each second that it has no room, and acknowledges nothing.
    pub fn peer_is_full_until(&mut self, ms: u64) {
        while self.ms() < ms {
            self.peer_is_full();
            self.wait(1000);
        }
    }

    /// The peer says that it has no room, and acknowledges nothing.
    pub fn peer_is_full(&mut self) {
        let (next, una) = (self.tcb.rcv_nxt().0, self.tcb.snd_una().0);
        self.arrive(with_window(seg(ACK, next, una, 0), 0));
    }

    /// The peer has room again, and acknowledges nothing.
    pub fn peer_makes_room(&mut self) {
        self.acked(self.tcb.snd_una().0);
    }

    fn note(&mut self, events: Events) {
        if events.closed || events.time_wait.is_some() || events.connected {
            self.last = events;
        }
    }

    /// The user sends.
    pub fn send(&mut self, bytes: u32) {
        self.tcb.on_send(bytes, false);
    }

    /// All that goes out now, whole.
    pub fn out(&mut self) -> Vec<Transmit> {
        let mut all = Vec::new();
        while let Some(out) =
            self.tcb
                .poll_transmit(&self.config, &mut self.rx, &self.limits, self.now)
        {
            assert!(all.len() < 1000, "no end of segments");
            all.push(out);
            self.check();
        }
        all
    }

    /// All that goes out now, in short.
    pub fn sent(&mut self) -> Vec<Sent> {
        let ms = self.ms();
        let short = |o: Transmit| (ms, o.seq.0, o.len, o.flags);
        self.out().into_iter().map(short).collect()
    }

    /// Lets time pass up to `ms`, with the timers firing when they want to. (The handshake took
    /// 1 µs, the least that is measured: timers are late by that and its multiples.)
    pub fn until(&mut self, ms: u64) -> Vec<Sent> {
        let end = Instant::from_us(ms * 1000 + 999);
        let mut all = self.sent();
        while let Some(at) = self.tcb.deadline().filter(|at| *at <= end) {
            assert!(all.len() < 1000, "no end of segments");
            assert!(at >= self.now, "a deadline in the past");
            self.now = at;
            let events = self.tcb.on_timer(&self.config, &mut self.rx, self.now);
            self.note(events);
            if events.closed {
                self.ended_at = Some(self.ms());
                break;
            }
            let sent = self.sent();
            assert!(
                !sent.is_empty() || self.tcb.deadline() > Some(at),
                "a timer for nothing"
            );
            all.extend(sent);
        }
        if self.ended_at.is_none() {
            self.now = self.now.max(Instant::from_us(ms * 1000));
        }
        all
    }

    /// Lets time pass up to the next deadline; what goes out then is not yet fetched.
    pub fn expire(&mut self) {
        self.now = self.tcb.deadline().expect("a deadline");
        let events = self.tcb.on_timer(&self.config, &mut self.rx, self.now);
        self.note(events);
    }

    pub fn wait(&mut self, ms: u64) -> Vec<Sent> {
        self.until(self.ms() + ms)
    }

    /// The state, with our FIN sent, or the peer's received, as it takes to get there.
    pub fn in_state(config: Config, state: State) -> Self {
        if state == State::SynSent || state == State::SynReceived {
            let mut end = Self::connecting(config);
            end.sent();
            if state == State::SynReceived {
                let mut syn = seg(SYN, IRS, 0, 0);
                syn.options = syn_options(&config);
                end.arrive(syn);
                end.sent();
            }
            assert_eq!(end.tcb.state(), state);
            return end;
        }
        let mut end = Self::established(config);
        let stamp = |seg| {
            if config.timestamps {
                with_stamp(seg, 100)
            } else {
                seg
            }
        };
        let fin = stamp(seg(FIN | ACK, IRS + 1, ISS + 1, 0));
        match state {
            State::CloseWait | State::LastAck => {
                end.arrive(fin);
            }
            _ => {}
        }
        if state != State::Established && state != State::CloseWait {
            end.tcb.shutdown_write();
        }
        end.sent();
        match state {
            State::Closing => {
                end.arrive(fin);
            }
            State::FinWait2 => {
                end.arrive(stamp(seg(ACK, IRS + 1, ISS + 2, 0)));
            }
            _ => {}
        }
        end.sent();
        assert_eq!(end.tcb.state(), state);
        end
    }
}

/// Milliseconds as a duration.
pub fn ms(ms: u64) -> Duration {
    Duration::from_ms(ms)
}
