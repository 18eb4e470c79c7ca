// SPDX-License-Identifier: GPL-2.0

//! Segments with ECN, and ends that negotiate it, in the notation of ECN's standards.

pub mod accurate;

use crate::harness::*;
use crate::support::rx::Rx;
use oxtcp_core::tcp::accecn_option::AccEcnOption;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::ecn::{Ecn, EcnConfig};
use oxtcp_core::tcp::events::Events;
use oxtcp_core::tcp::segment::{Flags, Segment, Transmit};
use oxtcp_core::tcp::small_queue::DeviceQueue;
use oxtcp_core::tcp::syn_received::{SynReceived, Verdict};
use oxtcp_core::tcp::tcb::TxLimits;
use oxtcp_core::tcp::time::{Duration, Instant};
use oxtcp_core::tcp::Tcb;

/// What a segment looks like to ECN: the field of IP, ACE, and the option's counters as on the
/// wire.
pub type Look = (Ecn, u8, Vec<u32>);

/// SACK, and ECN by Linux's number of the mode.
pub fn mode(number: u8) -> Config {
    Config {
        ecn: EcnConfig::default().with_mode(number),
        ..with_sack()
    }
}

pub fn with_ace(mut seg: Segment, ace: u8) -> Segment {
    seg.flags = seg.flags.without(Flags::ACE) | Flags::from_ace(ace);
    seg
}

pub fn with_ecn(mut seg: Segment, ecn: Ecn) -> Segment {
    seg.ecn = ecn;
    seg
}

/// With an Accurate ECN option whose counters are, as on the wire, ECT(0), CE, ECT(1).
pub fn with_counters(mut seg: Segment, counters: &[u32]) -> Segment {
    let body: Vec<u8> = counters
        .iter()
        .flat_map(|c| c.to_be_bytes()[1..].to_vec())
        .collect();
    seg.options.accecn = Some(AccEcnOption::parse(&body, false));
    seg
}

pub fn look(out: &Transmit) -> Look {
    let option = out.options.accecn;
    let counters = (0..3).filter_map(|at| option.and_then(|o| o.raw(at)));
    (out.ecn, out.flags.ace(), counters.collect())
}

pub fn looks(sent: &[Transmit]) -> Vec<Look> {
    sent.iter().map(look).collect()
}

/// A listener's entry by a SYN with such bits and such a field.
pub fn entry(config: &Config, ace: u8, ecn: Ecn) -> SynReceived {
    let syn = syn(config, ace, ecn);
    SynReceived::new(config, &syn, ids(), Instant::default())
}

pub fn syn(config: &Config, ace: u8, ecn: Ecn) -> Segment {
    let mut syn = seg(SYN, IRS, 0, 0);
    syn.options = syn_options(config);
    with_ecn(with_ace(syn, ace), ecn)
}

/// The peer's last acknowledgment of the handshake, without text.
pub fn last_ack(ace: u8, ecn: Ecn) -> Segment {
    with_ecn(with_ace(seg(ACK, IRS + 1, ISS + 1, 0), ace), ecn)
}

/// The end that `last` makes of an entry.
pub fn accept(config: Config, entry: SynReceived, last: Segment) -> End {
    let now = Instant::default();
    assert_eq!(entry.on_segment(&config, &last, now), Verdict::Complete);
    let mut end = whole(config, entry.into_tcb(&config, &last, now));
    end.arrive(last);
    end.tcb.set_quick_ack(&end.config, false);
    end
}

/// An end of its control block.
pub fn whole(config: Config, tcb: Tcb) -> End {
    End {
        config,
        tcb,
        rx: Rx::new(20_000, 0),
        limits: TxLimits {
            mss: MSS,
            max_run: 100 * u32::from(MSS),
            queue: DeviceQueue::default(),
        },
        now: Instant::default(),
        last: Events::default(),
        ended_at: None,
    }
}

/// A server with Accurate ECN whose client sends the option, or not.
pub fn accurate_server(config: Config, option: bool) -> End {
    let mut last = last_ack(2, Ecn::Ect0);
    if option {
        last = with_counters(last, &[1, 0, 1]);
    }
    accept(config, entry(&config, 7, Ecn::NotEct), last)
}

/// The SYN-ACK that answers our SYN.
pub fn syn_ack(config: &Config, ace: u8, ecn: Ecn) -> Segment {
    let mut seg = seg(SYN | ACK, IRS, ISS + 1, 0);
    seg.options = syn_options(config);
    with_ecn(with_ace(seg, ace), ecn)
}

/// A client whose SYN is answered by such bits and such a field; what it sends then is not yet
/// fetched.
pub fn client(config: Config, ace: u8, ecn: Ecn) -> End {
    let mut end = End::connecting(config);
    end.limits.max_run = 100 * u32::from(MSS);
    end.out();
    end.now = end.now + Duration::from_ms(10);
    end.arrive(syn_ack(&config, ace, ecn));
    end
}
