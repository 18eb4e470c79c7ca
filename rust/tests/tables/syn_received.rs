// SPDX-License-Identifier: GPL-2.0

//! An entry in a listener's SYN queue: what it takes over, what it answers, when it gives up.

use crate::harness::*;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::options::Options;
use oxtcp_core::tcp::segment::{Flags, Segment, Transmit};
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::syn_received::{SynReceived, TimerVerdict, Verdict};
use oxtcp_core::tcp::time::{Duration, Instant};

const NEXT: u32 = IRS + 1;
const OURS: u32 = ISS + 1;

fn all_on() -> Config {
    Config {
        timestamps: true,
        sack: true,
        window_scaling: true,
        window_scale: 5,
        ..plain()
    }
}

fn entry(config: &Config, options: Options) -> SynReceived {
    let mut syn = seg(SYN, IRS, 0, 0);
    syn.options = options;
    SynReceived::new(config, &syn, ids(), Instant::default())
}

fn syn_ack(config: Config, options: Options) -> Transmit {
    entry(&config, options).syn_ack(&config, Instant::default())
}

/// What becomes of a segment without options.
fn verdict(seg: Segment) -> &'static str {
    let config = plain();
    let entry = entry(&config, syn_options(&config));
    match entry.on_segment(&config, &seg, Instant::default()) {
        Verdict::Ignore => "",
        Verdict::SynAck => "again",
        Verdict::Reply(out) if out.flags == RST => "rst",
        Verdict::Reply(out) => {
            assert_eq!((out.flags, out.seq.0, out.ack.0), (ACK, OURS, NEXT));
            "ack"
        }
        Verdict::Remove => "remove",
        Verdict::Complete => "complete",
    }
}

fn stamped(flags: Flags, stamp: u32) -> Verdict {
    let config = with_timestamps();
    let entry = entry(&config, syn_options(&config));
    let seg = with_stamp(seg(flags, NEXT, OURS, 0), stamp);
    entry.on_segment(&config, &seg, Instant::default())
}

/// Seconds at which the SYN-ACK is sent again, the last for giving up.
fn times(retries: u8) -> Vec<u64> {
    let config = Config {
        synack_retries: retries,
        ..plain()
    };
    let mut entry = entry(&config, syn_options(&config));
    let mut at = Vec::new();
    loop {
        let now = entry.deadline();
        at.push(now.us() / 1_000_000);
        match entry.on_timer(&config, now) {
            TimerVerdict::SynAck => assert_eq!(usize::from(entry.retries()), at.len()),
            TimerVerdict::GiveUp => return at,
            TimerVerdict::NotYet => panic!("not late enough"),
        }
    }
}

/// The connection that an ACK makes.
fn completed(config: Config, options: Options) -> End {
    let entry = entry(&config, options);
    let mut ack = seg(ACK, NEXT, OURS, 0);
    if config.timestamps && options.timestamps.is_some() {
        ack = with_stamp(ack, 100);
    }
    let mut end = End::established(plain());
    end.tcb = entry.into_tcb(&config, &ack, Instant::from_us(20_000));
    end.config = config;
    end
}

cases! {
    a_syn_ack_acknowledges_the_syn: {
        let out = syn_ack(plain(), syn_options(&plain()));
        assert_eq!((out.seq.0, out.ack.0, out.flags), (ISS, NEXT, SYN | ACK))
    };
    a_syn_ack_names_our_mss: assert_eq!(syn_ack(plain(), Options::default()).options.mss, Some(MSS));
    a_syn_ack_has_what_both_know: {
        let options = syn_ack(all_on(), syn_options(&all_on())).options;
        assert_eq!(options.window_scale, Some(5));
        assert!(options.sack_permitted && options.timestamps.is_some())
    };
    a_syn_ack_has_nothing_that_the_peer_does_not_know: {
        let options = syn_ack(all_on(), syn_options(&plain())).options;
        assert_eq!(options.window_scale, None);
        assert!(!options.sack_permitted && options.timestamps.is_none())
    };
    a_syn_ack_has_nothing_that_is_switched_off: {
        let options = syn_ack(plain(), syn_options(&all_on())).options;
        assert_eq!(options.window_scale, None);
        assert!(!options.sack_permitted && options.timestamps.is_none())
    };
    a_syn_ack_echoes_the_stamp:
        assert_eq!(syn_ack(all_on(), syn_options(&all_on())).options.timestamps.map(|t| t.ecr), Some(100));
    the_window_of_a_syn_ack_is_cut_to_16_bits: {
        let config = Config { initial_window: 1 << 20, ..plain() };
        assert_eq!(syn_ack(config, syn_options(&config)).wnd, 65535)
    };
    a_syn_ack_is_first_no_retransmission: assert!(!syn_ack(plain(), Options::default()).retransmission);

    the_syn_again_brings_the_syn_ack_again: assert_eq!(verdict(seg(SYN, IRS, 0, 0)), "again");
    the_ack_completes: assert_eq!(verdict(seg(ACK, NEXT, OURS, 0)), "complete");
    the_ack_with_text_completes: assert_eq!(verdict(seg(ACK, NEXT, OURS, 100)), "complete");
    the_ack_with_a_fin_completes: assert_eq!(verdict(seg(ACK | FIN, NEXT, OURS, 0)), "complete");
    text_behind_a_gap_completes: assert_eq!(verdict(seg(ACK, NEXT + 500, OURS, 100)), "complete");
    an_ack_at_the_windows_edge_completes: assert_eq!(verdict(seg(ACK, NEXT + 20_000, OURS, 0)), "complete");
    an_ack_beyond_the_window_is_answered: assert_eq!(verdict(seg(ACK, NEXT + 20_001, OURS, 0)), "ack");
    an_old_ack_is_answered: assert_eq!(verdict(seg(ACK, NEXT - 1, OURS, 0)), "ack");
    text_that_was_sent_with_the_syn_is_new: assert_eq!(verdict(seg(ACK, NEXT - 1, OURS, 2)), "complete");
    an_ack_of_nothing_is_reset: assert_eq!(verdict(seg(ACK, NEXT, OURS - 1, 0)), "rst");
    an_ack_of_too_much_is_reset: assert_eq!(verdict(seg(ACK, NEXT, OURS + 1, 0)), "rst");
    a_segment_without_ack_is_dropped: assert_eq!(verdict(seg(Flags::PSH, NEXT, 0, 100)), "");
    a_fin_without_ack_is_dropped: assert_eq!(verdict(seg(FIN, NEXT, 0, 0)), "");
    an_exact_rst_removes: assert_eq!(verdict(seg(RST, NEXT, 0, 0)), "remove");
    an_old_rst_does_nothing: assert_eq!(verdict(seg(RST, NEXT - 1, 0, 0)), "");
    a_rst_beyond_the_window_does_nothing: assert_eq!(verdict(seg(RST, NEXT + 30_000, 0, 0)), "");
    another_syn_is_challenged: assert_eq!(verdict(seg(SYN, NEXT, 0, 0)), "ack");
    a_syn_ack_is_challenged: assert_eq!(verdict(seg(SYN | ACK, NEXT, OURS, 0)), "ack");
    an_older_stamp_does_not_complete: assert!(matches!(stamped(ACK, 99), Verdict::Reply(out) if out.flags == ACK));
    the_same_stamp_completes: assert_eq!(stamped(ACK, 100), Verdict::Complete);
    a_newer_stamp_completes: assert_eq!(stamped(ACK, 101), Verdict::Complete);
    an_older_stamp_does_not_save_from_a_rst: assert_eq!(stamped(RST, 99), Verdict::Remove);

    without_retries_it_gives_up_after_a_second: assert_eq!(times(0), [1]);
    the_times_double: assert_eq!(times(3), [1, 3, 7, 15]);
    the_times_double_to_two_minutes: assert_eq!(times(8), [1, 3, 7, 15, 31, 63, 127, 247, 367]);
    before_its_time_nothing_happens: {
        let config = plain();
        let mut entry = entry(&config, syn_options(&config));
        assert_eq!(entry.on_timer(&config, Instant::from_us(999_999)), TimerVerdict::NotYet);
        assert_eq!(entry.retries(), 0)
    };
    a_syn_ack_sent_again_is_a_retransmission: {
        let config = plain();
        let mut entry = entry(&config, syn_options(&config));
        entry.on_timer(&config, entry.deadline());
        assert!(entry.syn_ack(&config, entry.deadline()).retransmission)
    };

    the_connection_is_established: {
        let end = completed(plain(), syn_options(&plain()));
        assert_eq!(end.tcb.state(), State::Established);
        assert_eq!((end.tcb.snd_una().0, end.tcb.snd_nxt().0, end.tcb.rcv_nxt().0), (OURS, OURS, NEXT))
    };
    the_handshake_measures_the_round_trip: {
        let end = completed(plain(), syn_options(&plain()));
        assert_eq!(end.tcb.rtt().srtt(), Some(Duration::from_ms(20)))
    };
    the_connection_has_the_peers_window:
        assert_eq!(completed(plain(), syn_options(&plain())).tcb.snd_wnd(), u32::from(WND));
    the_connection_scales_the_peers_window: {
        let options = Options { window_scale: Some(2), ..syn_options(&all_on()) };
        let end = completed(all_on(), options);
        assert_eq!((end.tcb.snd_wnd(), end.tcb.scales()), (u32::from(WND) << 2, (2, 5)))
    };
    the_connection_does_not_scale_where_the_peer_does_not:
        assert_eq!(completed(all_on(), syn_options(&plain())).tcb.scales(), (0, 0));
    a_peer_that_names_no_mss_gets_536_bytes:
        assert_eq!(completed(plain(), Options::default()).tcb.mss(), 536);
    the_stamps_take_12_bytes_of_a_segment:
        assert_eq!(completed(with_timestamps(), syn_options(&with_timestamps())).tcb.mss(), MSS - 12);
    what_is_asked_of_an_entry_is_told: {
        let config = with_timestamps();
        let entry = entry(&config, syn_options(&config));
        assert_eq!((entry.mss(), entry.timestamps(), entry.retries()), (MSS, true, 0))
    };
}
