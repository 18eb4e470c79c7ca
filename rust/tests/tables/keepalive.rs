// SPDX-License-Identifier: GPL-2.0

//! Keepalive (RFC 9293 3.8.4, MUST-24 to MUST-29) and the user timeout.

use crate::harness::*;
use oxtcp_core::tcp::config::Config;
use oxtcp_core::tcp::events::Error;
use oxtcp_core::tcp::state::State;

fn config() -> Config {
    Config {
        keepalive: true,
        keepalive_time: ms(10_000),
        keepalive_interval: ms(1000),
        keepalive_probes: 3,
        ..plain()
    }
}

/// When what was sent, until so many ms.
fn times(end: &mut End, until: u64) -> Vec<u64> {
    end.until(until).iter().map(|sent| sent.0).collect()
}

cases! {
    it_is_off_by_default: assert!(!Config::default().keepalive);
    its_time_is_two_hours_by_default: assert_eq!(Config::default().keepalive_time, ms(7_200_000));
    without_it_nothing_is_sent: assert_eq!(times(&mut End::established(plain()), 100_000_000), []);
    an_idle_peer_is_probed: assert_eq!(times(&mut End::established(config()), 10_500), [10_000]);
    a_probe_has_no_text_and_is_out_of_the_window: {
        let sent = End::established(config()).until(10_500);
        assert_eq!((sent[0].1, sent[0].2, sent[0].3), (ISS, 0, ACK))
    };
    a_peer_that_does_not_answer_is_given_up: {
        let mut end = End::established(config());
        assert_eq!(times(&mut end, 60_000), [10_000, 11_000, 12_000]);
        assert_eq!((end.ended_at, end.last.error), (Some(13_000), Some(Error::TimedOut)))
    };
    giving_up_tells_the_peer: {
        let mut end = End::established(config());
        end.until(60_000);
        assert!(end.last.reply.is_some_and(|r| r.flags.has(RST)))
    };
    one_probe_without_an_answer_does_not_end_it: {
        let mut end = End::established(config());
        end.until(11_500);
        assert_eq!((end.tcb.state(), end.tcb.probes()), (State::Established, 2))
    };
    an_answer_starts_the_time_anew: {
        let mut end = End::established(config());
        end.until(11_500);
        end.acked(ISS + 1);
        assert_eq!(end.tcb.probes(), 0);
        assert_eq!(times(&mut end, 21_400), []);
        assert_eq!(times(&mut end, 22_000), [21_500])
    };
    text_of_the_peer_puts_the_probe_off: {
        let mut end = End::established(config());
        end.until(9000);
        end.arrive(seg(ACK, IRS + 1, ISS + 1, 10));
        end.until(10_500);
        assert_eq!(times(&mut end, 18_900), []);
        assert_eq!(times(&mut end, 19_500), [19_000])
    };
    the_user_timeout_rules_the_probes: {
        let mut end = End::established(Config { user_timeout: ms(11_500), ..config() });
        assert_eq!(times(&mut end, 60_000), [10_000, 11_000]);
        assert_eq!(end.ended_at, Some(12_000))
    };
    it_may_be_switched_on_later: {
        let mut end = End::established(plain());
        end.until(5000);
        end.config = config();
        end.tcb.set_keepalive(&end.config, end.now);
        assert_eq!(times(&mut end, 10_500), [10_000])
    };
    switched_on_after_long_idling_it_probes_at_once: {
        let mut end = End::established(plain());
        end.until(50_000);
        end.config = config();
        end.tcb.set_keepalive(&end.config, end.now);
        assert_eq!(times(&mut end, 50_500), [50_000])
    };
    it_may_be_switched_off: {
        let mut end = End::established(config());
        end.config.keepalive = false;
        end.tcb.set_keepalive(&end.config, end.now);
        assert_eq!(times(&mut end, 60_000), [])
    };
    switched_off_between_probes_it_stops: {
        let mut end = End::established(config());
        end.until(10_500);
        end.config.keepalive = false;
        end.now = end.tcb.deadline().expect("the next probe");
        end.tcb.on_timer(&end.config, &mut end.rx, end.now);
        assert_eq!((end.sent(), end.tcb.deadline()), (vec![], None));
        assert_eq!(end.tcb.state(), State::Established)
    };
    before_the_connection_is_open_it_does_not_run: {
        let mut end = End::in_state(plain(), State::SynSent);
        end.tcb.set_keepalive(&config(), end.now);
        assert!(end.tcb.timer().is_some_and(|(kind, _)| kind == oxtcp_core::tcp::timer::TimerKind::Retransmit))
    };
    text_in_flight_needs_no_probe: {
        let mut end = End::established(config());
        end.until(9900);
        end.send(100);
        let sent = end.until(10_050);
        assert!(sent.iter().all(|s| s.1 == ISS + 1 && s.2 == 100))
    };
}
