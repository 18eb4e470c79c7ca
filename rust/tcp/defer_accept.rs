// SPDX-License-Identifier: GPL-2.0

//! A connection that is given to the user only once there is something to read
//! (`TCP_DEFER_ACCEPT`): the bare ACK that completes the handshake is passed over, and so the
//! SYN-ACK's timer goes on to run, as a clock. As in Linux the time is counted in its expiries.

use super::config::Config;
use super::rtt::INITIAL_RTO;
use super::segment::Segment;
use super::syn_received::SynReceived;
use super::time::Duration;

/// Seconds that the timer has run when it expires for the `n`-th time, each at most `rto_max` after
/// the one before.
fn seconds_after(n: u8, rto_max: Duration) -> u64 {
    (0..n)
        .map(|i| INITIAL_RTO.backed_off(i, rto_max).ms() / 1000)
        .fold(0, u64::saturating_add)
}

/// How many expiries of the SYN-ACK's timer cover `seconds` (`secs_to_retrans`).
pub fn expiries(seconds: u64, rto_max: Duration) -> u8 {
    (0..u8::MAX)
        .find(|n| seconds_after(*n, rto_max) >= seconds)
        .unwrap_or(u8::MAX)
}

/// The seconds that so many expiries take (`retrans_to_secs`).
pub fn seconds(expiries: u8, rto_max: Duration) -> u64 {
    seconds_after(expiries, rto_max)
}

impl SynReceived {
    /// Whether the segment that would complete the handshake has to wait for one with text.
    pub fn is_deferred(&self, config: &Config, seg: &Segment) -> bool {
        self.retries() < config.defer_accept && seg.seq_len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::config::Identity;
    use crate::tcp::segment::Flags;
    use crate::tcp::seq::SeqNumber;
    use crate::tcp::syn_received::TimerVerdict;
    use crate::tcp::time::Instant;

    const MAX: Duration = Duration::from_secs(120);

    #[test]
    fn seconds_are_rounded_up_to_expiries_as_in_linux() {
        for (secs, n) in [
            (0, 0),
            (1, 1),
            (2, 2),
            (3, 2),
            (4, 3),
            (7, 3),
            (8, 4),
            (63, 6),
            (127, 7),
            (128, 8),
            (247, 8),
            (248, 9),
        ] {
            assert_eq!(expiries(secs, MAX), n, "{secs} s");
        }
    }

    #[test]
    fn expiries_give_their_seconds_back() {
        for (n, secs) in [(0, 0), (1, 1), (2, 3), (3, 7), (7, 127), (8, 247)] {
            assert_eq!(seconds(n, MAX), secs);
        }
    }

    #[test]
    fn a_time_beyond_all_expiries_is_the_longest() {
        assert_eq!(expiries(u64::MAX, MAX), u8::MAX);
    }

    fn entry(config: &Config) -> SynReceived {
        let syn = Segment {
            flags: Flags::SYN,
            ..Segment::default()
        };
        let ids = Identity {
            iss: SeqNumber(1000),
            ts_offset: 0,
        };
        SynReceived::new(config, &syn, ids, Instant::default())
    }

    fn ack(len: u32) -> Segment {
        Segment {
            flags: Flags::ACK,
            seq: SeqNumber(1),
            ack: SeqNumber(1001),
            len,
            ..Segment::default()
        }
    }

    #[test]
    fn a_bare_ack_waits_and_one_with_text_does_not() {
        let config = Config {
            defer_accept: 2,
            ..Config::default()
        };
        let entry = entry(&config);
        assert!(entry.is_deferred(&config, &ack(0)));
        assert!(!entry.is_deferred(&config, &ack(1)));
        assert!(!entry.is_deferred(&Config::default(), &ack(0)));
    }

    #[test]
    fn nothing_is_repeated_while_the_text_is_awaited_but_at_the_end() {
        let config = Config {
            defer_accept: 3,
            ..Config::default()
        };
        let mut entry = entry(&config);
        entry.note_acked();
        let mut sent = Vec::new();
        for _ in 0..3 {
            let at = entry.deadline();
            sent.push(entry.on_timer(&config, at));
        }
        let last = TimerVerdict::SynAck;
        assert_eq!(sent, [TimerVerdict::NotYet, TimerVerdict::NotYet, last]);
        assert!(!entry.is_deferred(&config, &ack(0)), "the last chance");
    }

    #[test]
    fn a_peer_that_has_not_answered_gets_the_syn_ack_again() {
        let config = Config {
            defer_accept: 3,
            ..Config::default()
        };
        let mut entry = entry(&config);
        let at = entry.deadline();
        assert_eq!(entry.on_timer(&config, at), TimerVerdict::SynAck);
    }

    #[test]
    fn who_waits_longer_than_the_syn_ack_lives_is_kept_for_so_long() {
        let config = Config {
            defer_accept: 4,
            synack_retries: 1,
            ..Config::default()
        };
        let mut waiting = entry(&config);
        waiting.note_acked();
        let mut silent = entry(&config);
        let lives = |entry: &mut SynReceived| {
            (0..10)
                .take_while(|_| {
                    let at = entry.deadline();
                    entry.on_timer(&config, at) != TimerVerdict::GiveUp
                })
                .count()
        };
        assert_eq!(lives(&mut waiting), 4);
        assert_eq!(lives(&mut silent), 1);
    }
}
