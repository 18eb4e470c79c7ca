// SPDX-License-Identifier: GPL-2.0

//! The user's calls in every state (RFC 9293 3.10.1 to 3.10.8), and ICMP errors.

use crate::harness::*;
use oxtcp_core::tcp::events::Error;
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::user::IcmpVerdict;

/// The state after a CLOSE of the sending side, and the flags of what goes out.
fn shutdown(from: State) -> (State, Vec<u16>) {
    let mut end = End::in_state(plain(), from);
    end.tcb.shutdown_write();
    (end.tcb.state(), flags(&mut end))
}

fn flags(end: &mut End) -> Vec<u16> {
    end.out().iter().map(|out| out.flags.bits()).collect()
}

/// The state after a CLOSE of both sides, with text unread or not, and whether a RST goes out.
fn close(from: State, unread: bool) -> (State, bool) {
    let mut end = End::in_state(plain(), from);
    let events = end.tcb.close(&end.config, unread, end.now);
    (
        end.tcb.state(),
        events.reply.is_some_and(|r| r.flags.has(RST)),
    )
}

/// Whether an ABORT sends a RST, with the number that the peer expects.
fn abort(from: State) -> bool {
    let mut end = End::in_state(plain(), from);
    let next = end.tcb.snd_nxt();
    let events = end.tcb.abort(end.now);
    assert!(events.closed && events.error.is_none());
    assert_eq!((end.tcb.state(), end.tcb.deadline()), (State::Closed, None));
    assert!(end.sent().is_empty());
    events.reply.is_some_and(|r| {
        assert!(r.flags.has(RST) && r.seq == next);
        true
    })
}

/// Text that comes when the user has closed both sides.
fn text_for_nobody(from: State) -> (State, bool) {
    let mut end = End::in_state(plain(), from);
    end.tcb.orphan(&end.config, end.now);
    let una = end.tcb.snd_una().0;
    let events = end.arrive(seg(ACK, IRS + 1, una, 10));
    (
        end.tcb.state(),
        events.reply.is_some_and(|r| r.flags.has(RST)),
    )
}

fn icmp(from: State, ahead: u32) -> (IcmpVerdict, Option<Error>) {
    let mut end = End::in_state(plain(), from);
    end.send(100);
    end.out();
    let (verdict, events) = end
        .tcb
        .on_icmp(SeqNumber(end.tcb.snd_una().0.wrapping_add(ahead)), true);
    (verdict, events.error)
}

/// States in which a segment comes for no TCB any more.
fn ended(how: fn(&mut End)) -> End {
    let mut end = End::established(plain());
    how(&mut end);
    end
}

use State::*;

cases! {
    shutdown_in_syn_sent_ends_it: assert_eq!(shutdown(SynSent), (Closed, vec![]));
    shutdown_in_syn_received_waits_for_the_ack: assert_eq!(shutdown(SynReceived), (SynReceived, vec![]));
    shutdown_in_established_sends_a_fin: assert_eq!(shutdown(Established), (FinWait1, vec![0x11]));
    shutdown_in_close_wait_sends_a_fin: assert_eq!(shutdown(CloseWait), (LastAck, vec![0x11]));
    shutdown_in_fin_wait_1_changes_nothing: assert_eq!(shutdown(FinWait1), (FinWait1, vec![]));
    shutdown_in_fin_wait_2_changes_nothing: assert_eq!(shutdown(FinWait2), (FinWait2, vec![]));
    shutdown_in_closing_changes_nothing: assert_eq!(shutdown(Closing), (Closing, vec![]));
    shutdown_in_last_ack_changes_nothing: assert_eq!(shutdown(LastAck), (LastAck, vec![]));
    a_fin_goes_behind_what_is_queued: {
        let mut end = End::established(plain());
        end.send(1500);
        end.tcb.shutdown_write();
        let sent = end.out();
        assert_eq!((sent[0].len, sent[1].len), (1000, 500));
        assert!(!sent[0].flags.has(FIN) && sent[1].flags.has(FIN))
    };
    a_shutdown_while_opening_is_kept_until_it_is_open: {
        let mut end = End::in_state(plain(), SynReceived);
        end.tcb.shutdown_write();
        end.arrive(seg(ACK, IRS + 1, ISS + 1, 0));
        assert_eq!((end.tcb.state(), flags(&mut end)), (FinWait1, vec![0x11]))
    };

    close_in_established_sends_a_fin: assert_eq!(close(Established, false), (FinWait1, false));
    close_in_close_wait_sends_a_fin: assert_eq!(close(CloseWait, false), (LastAck, false));
    close_in_syn_sent_ends_it: assert_eq!(close(SynSent, false), (Closed, false));
    // RFC 9293 3.6.1, MUST-13, RFC 2525 2.17.
    close_with_text_unread_resets: assert_eq!(close(Established, true), (Closed, true));
    close_with_text_unread_resets_in_close_wait: assert_eq!(close(CloseWait, true), (Closed, true));
    close_with_text_unread_resets_in_fin_wait_2: assert_eq!(close(FinWait2, true), (Closed, true));
    close_in_fin_wait_2_waits_a_minute: {
        let mut end = End::in_state(plain(), FinWait2);
        end.tcb.close(&end.config, false, end.now);
        end.until(100_000);
        assert_eq!((end.ended_at, end.last.error), (Some(60_000), None))
    };
    fin_wait_2_of_a_user_who_still_reads_has_no_end: {
        let mut end = End::in_state(plain(), FinWait2);
        end.until(10_000_000);
        assert_eq!(end.tcb.state(), FinWait2)
    };
    fin_wait_2_of_nobody_ends_in_a_minute_from_its_begin: {
        let mut end = End::in_state(plain(), FinWait1);
        end.tcb.close(&end.config, false, end.now);
        end.wait(100);
        end.arrive(seg(ACK, IRS + 1, ISS + 2, 0));
        assert_eq!(end.tcb.state(), FinWait2);
        end.until(100_000);
        assert_eq!(end.ended_at, Some(60_100))
    };

    abort_in_syn_sent_is_silent: assert!(!abort(SynSent));
    abort_in_syn_received_resets: assert!(abort(SynReceived));
    abort_in_established_resets: assert!(abort(Established));
    abort_in_fin_wait_1_resets: assert!(abort(FinWait1));
    abort_in_fin_wait_2_resets: assert!(abort(FinWait2));
    abort_in_close_wait_resets: assert!(abort(CloseWait));
    abort_in_closing_is_silent: assert!(!abort(Closing));
    abort_in_last_ack_is_silent: assert!(!abort(LastAck));

    text_for_nobody_is_reset_in_fin_wait_1: assert_eq!(text_for_nobody(FinWait1), (Closed, true));
    text_for_nobody_is_reset_in_fin_wait_2: assert_eq!(text_for_nobody(FinWait2), (Closed, true));

    icmp_ends_what_is_being_opened:
        assert_eq!(icmp(SynSent, 0), (IcmpVerdict::Abort, Some(Error::Refused)));
    icmp_is_remembered_when_it_is_open: assert_eq!(icmp(Established, 0), (IcmpVerdict::Remember, None));
    icmp_of_what_was_just_sent_is_believed: assert_eq!(icmp(Established, 99).0, IcmpVerdict::Remember);
    icmp_of_what_was_never_sent_is_not: assert_eq!(icmp(Established, 101).0, IcmpVerdict::Ignore);
    icmp_of_what_was_acknowledged_is_not: assert_eq!(icmp(Established, u32::MAX).0, IcmpVerdict::Ignore);
    icmp_while_opening_needs_the_number_too: assert_eq!(icmp(SynSent, 5).0, IcmpVerdict::Ignore);
    icmp_for_nothing_is_ignored: {
        let mut end = ended(|end| { end.tcb.abort(end.now); });
        assert_eq!(end.tcb.on_icmp(end.tcb.snd_una(), true).0, IcmpVerdict::Ignore)
    };

    a_segment_for_an_ended_connection_is_reset: {
        let mut end = ended(|end| { end.tcb.abort(end.now); });
        let events = end.arrive(seg(ACK, IRS + 1, ISS + 1, 5));
        assert!(events.reply.is_some_and(|r| r.flags == RST && r.seq.0 == ISS + 1))
    };
    a_rst_for_an_ended_connection_is_not_answered: {
        let mut end = ended(|end| { end.tcb.abort(end.now); });
        assert!(end.arrive(seg(RST, IRS + 1, 0, 0)).reply.is_none())
    };
    a_timer_of_an_ended_connection_does_nothing: {
        let mut end = ended(|end| { end.tcb.abort(end.now); });
        assert_eq!(end.until(1_000_000), [])
    };
    a_segment_for_the_block_left_behind_by_time_wait_is_dropped: {
        let mut end = End::in_state(plain(), FinWait2);
        end.arrive(seg(FIN | ACK, IRS + 1, ISS + 2, 0));
        let events = end.arrive(seg(FIN | ACK, IRS + 1, ISS + 2, 0));
        assert!(events.reply.is_none() && events.dropped.is_some() && end.sent().is_empty())
    };

    quick_ack_acknowledges_what_is_owed: {
        let mut end = End::established(plain());
        end.arrive(seg(ACK, IRS + 1, ISS + 1, 10));
        assert!(end.sent().is_empty());
        end.tcb.set_quick_ack(&end.config, true);
        assert!(end.tcb.is_quick_ack(&end.config));
        assert_eq!(flags(&mut end), [0x10])
    };
    without_quick_ack_it_waits_for_40_ms: {
        let mut end = End::established(plain());
        assert!(!end.tcb.is_quick_ack(&end.config));
        end.arrive(seg(ACK, IRS + 1, ISS + 1, 10));
        let sent = end.until(1000);
        assert_eq!((sent.len(), sent[0].0), (1, 40))
    };
    what_was_too_large_for_the_path_is_sent_again: {
        let mut end = End::established(plain());
        end.send(2000);
        assert_eq!(end.sent().len(), 2);
        end.limits.mss = 500;
        end.tcb.on_mtu_reduced(&mut end.rx, 500);
        let sent = end.out();
        assert!(!sent.is_empty() && sent.iter().all(|out| out.retransmission && out.mss == 500))
    };
    a_smaller_mtu_with_nothing_in_flight_sends_nothing: {
        let mut end = End::established(plain());
        end.tcb.on_mtu_reduced(&mut end.rx, 500);
        assert_eq!(end.sent(), [])
    };
    what_is_asked_of_a_connection_is_told: {
        let mut end = End::established(with_sack());
        end.send(3500);
        end.out();
        assert_eq!((end.tcb.unacked(), end.tcb.unsent(), end.tcb.flight()), (3500, 0, 3500));
        end.arrive(with_blocks(seg(ACK, IRS + 1, ISS + 1, 0), &[(ISS + 1001, ISS + 2001)]));
        assert_eq!(end.tcb.sacked(), 1000);
        assert_eq!((end.tcb.total_retransmits(), end.tcb.retransmits(), end.tcb.backoff()), (0, 0, 0))
    };
    text_queued_before_it_is_open_counts_as_unsent: {
        let mut end = End::in_state(plain(), SynSent);
        end.send(700);
        assert_eq!((end.tcb.unacked(), end.tcb.unsent()), (700, 700))
    };
    a_timeout_is_shown: {
        let mut end = End::established(plain());
        end.send(100);
        let sent = end.until(250);
        assert_eq!(sent.len(), 2);
        assert_eq!((end.tcb.retransmits(), end.tcb.backoff(), end.tcb.recovery_number()), (1, 1, 4))
    };
}
