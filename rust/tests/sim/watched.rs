// SPDX-License-Identifier: GPL-2.0

//! An end with its oracle and nothing around it, to show the oracle what never happens.

use super::oracle::Oracle;
use crate::support::rx::Rx;
use oxtcp_core::tcp::config::{Config, Identity};
use oxtcp_core::tcp::congestion::Algorithm;
use oxtcp_core::tcp::ecn::EcnConfig;
use oxtcp_core::tcp::events::Events;
use oxtcp_core::tcp::options::{Options, SackBlocks, SeqRange};
use oxtcp_core::tcp::segment::{Flags, Segment, Transmit};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::small_queue::DeviceQueue;
use oxtcp_core::tcp::tcb::TxLimits;
use oxtcp_core::tcp::time::{Duration, Instant};
use oxtcp_core::tcp::Tcb;

/// Text bytes of a full segment.
pub const MSS: u32 = 1000;

/// An end that an oracle watches: a client, its SYN answered. What the other end sends is made up.
pub struct Watched {
    config: Config,
    pub tcb: Tcb,
    rx: Rx,
    pub oracle: Oracle,
    pub now: Instant,
    /// What was sent last.
    pub last: Transmit,
}

impl Watched {
    /// `mss`: that of the other end.
    pub fn with_mss(mss: u16) -> Self {
        let config = Config {
            congestion: Algorithm::Reno,
            timestamps: false,
            mss: MSS as u16,
            ecn: EcnConfig::default().with_mode(1),
            ..Config::default()
        };
        let ids = Identity {
            iss: SeqNumber(0),
            ts_offset: 0,
        };
        let now = Instant::from_us(1_000_000);
        let mut end = Self {
            tcb: Tcb::connect(&config, ids, now),
            rx: Rx::new(100_000, 0),
            oracle: Oracle::new(false),
            last: Transmit::bare(SeqNumber(0), SeqNumber(0), Flags::ACK, 0),
            config,
            now,
        };
        end.send();
        let options = Options {
            mss: Some(mss),
            sack_permitted: true,
            ..Options::default()
        };
        end.arrives(&Segment {
            seq: SeqNumber(0),
            flags: Flags::SYN | Flags::ACK | Flags::ECE,
            options,
            ..ack(1, 60_000)
        });
        end.send();
        end
    }

    pub fn open() -> Self {
        Self::with_mss(MSS as u16)
    }

    /// With a full window in flight.
    pub fn busy() -> Self {
        let mut end = Self::open();
        end.tcb.on_send(20 * MSS, false);
        end.send();
        end
    }

    pub fn send(&mut self) {
        let limits = TxLimits {
            mss: MSS as u16,
            max_run: MSS,
            queue: DeviceQueue::default(),
        };
        loop {
            self.oracle.fetches(&self.tcb);
            let Some(out) = (self.tcb).poll_transmit(&self.config, &mut self.rx, &limits, self.now)
            else {
                return;
            };
            self.sent(&out);
            self.last = out;
        }
    }

    pub fn sent(&mut self, out: &Transmit) {
        self.oracle
            .transmitted(&self.config, &self.tcb, &self.rx, out);
    }

    /// The next segment arrives, 10 ms later.
    pub fn arrives(&mut self, seg: &Segment) {
        self.now = self.now + Duration::from_ms(10);
        self.oracle.before(&self.tcb);
        let events = self
            .tcb
            .on_segment(&self.config, seg, &mut self.rx, self.now);
        self.oracle.arrived(&self.tcb, seg, &events, self.now);
    }

    /// The oracle is told that what was sent last was just sent.
    pub fn claims_last(&mut self) {
        let last = self.last;
        self.sent(&last);
    }

    /// The same of the first segment, once more.
    pub fn claims_first_again(&mut self) {
        let again = Transmit {
            seq: SeqNumber(1),
            retransmission: true,
            ..self.last
        };
        self.sent(&again);
    }

    /// The oracle is told that `seg` has made this of `old`.
    pub fn turned(&mut self, old: &Tcb, seg: &Segment, events: &Events) {
        self.oracle.before(old);
        self.oracle.arrived(&self.tcb, seg, events, self.now);
    }
}

/// An acknowledgment up to `ack` with a window of `wnd` bytes.
pub fn ack(ack: u32, wnd: u16) -> Segment {
    Segment {
        seq: SeqNumber(1),
        ack: SeqNumber(ack),
        flags: Flags::ACK,
        wnd,
        ..Segment::default()
    }
}

/// One that says that segment `n`, counted from 0, has arrived, and not the first.
pub fn sack(n: u32) -> Segment {
    let mut seg = ack(1, 60_000);
    let mut blocks = SackBlocks::NONE;
    blocks.push(SeqRange {
        start: SeqNumber(1 + n * MSS),
        end: SeqNumber(1 + (n + 1) * MSS),
    });
    seg.options.sack = blocks;
    seg
}

pub fn bare(wnd: u16) -> Transmit {
    Transmit::bare(SeqNumber(1), SeqNumber(1), Flags::ACK, wnd)
}
