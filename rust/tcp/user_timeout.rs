// SPDX-License-Identifier: GPL-2.0

//! The user timeout option (RFC 5482): each end tells the other for how long it means to keep text
//! that nobody acknowledges, so that the other does not give up long before it.
//!
//! It is off unless a setting of the namespace says otherwise (ENABLED). The timeout that is told
//! (ADV_UTO) is the user's, or else the namespace's. The peer's is heeded (CHANGEABLE) as long as
//! the user has none: a peer must not overrule what a program asked for. There is no call that would
//! tell the program what the peer said (3.1).
//!
//! Nothing is kept of the option of a SYN at a listener, and a SYN cookie carries none: the first
//! segment without SYN has it again (RFC 5482 3). What is sent again never has it. It is advice, and
//! where a host on the path drops segments for it no more than the first of them are lost (4.1).

use super::config::Config;
use super::options::Options;
use super::pack::{Pack, Packer};
use super::segment::{Segment, Transmit};
use super::tcb::{Control, Tcb};
use super::time::{Duration, Instant};
use super::tlp::Probe;
use core::num::NonZeroU16;

/// Bytes of the option space of a header.
const SPACE: u16 = 40;
/// Bytes that the option takes of a segment.
pub(super) const USER_TIMEOUT_LEN: u16 = 4;

/// Longest timeout that is adopted, s (U_LIMIT), and so that is worth telling as the namespace's. With
/// Linux's settings text is given up after a quarter of an hour to half an hour without an answer: a
/// peer may have its connections' memory held for some times that, so that it can be away, but not
/// for the weeks that the option can say (RFC 5482 6). A user may ask for any.
pub const MOST_SECONDS: u32 = 3600;
const MOST: Duration = Duration::from_secs(MOST_SECONDS as u64);

/// Shortest timeout that is adopted (L_LIMIT): what RFC 1122 4.2.3.5 recommends at least.
const LEAST: Duration = Duration::from_secs(100);
/// By so much it is longer than the retransmission timeout, and keepalive waits longer than it.
const MARGIN: Duration = Duration::from_secs(1);

/// The timeout is in minutes, not in seconds.
const MINUTES: u16 = 1 << 15;
/// Largest number of either.
const MOST_UNITS: u16 = MINUTES - 1;

/// A timeout as the option has it: seconds up to 9 hours, or minutes up to 22 days; never none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Advertised(NonZeroU16);

impl Advertised {
    /// What says `timeout`, rounded up; `None` for none, which must not be sent (RFC 5482 3.4).
    pub fn new(timeout: Duration) -> Option<Self> {
        let seconds = timeout.us().div_ceil(1_000_000);
        let wire = match u16::try_from(seconds) {
            Ok(seconds @ 0..=MOST_UNITS) => seconds,
            _ => {
                let minutes = seconds.div_ceil(60).min(MOST_UNITS.into());
                MINUTES | minutes as u16
            }
        };
        Self::from_wire(wire)
    }

    /// The body of the option; `None` when it says no time at all, in either unit (RFC 5482 3.4).
    pub fn from_wire(wire: u16) -> Option<Self> {
        let wire = NonZeroU16::new(wire)?;
        (wire.get() & MOST_UNITS != 0).then_some(Self(wire))
    }

    /// The same as on the wire.
    pub fn wire(self) -> u16 {
        self.0.get()
    }

    /// The time that it says.
    pub fn timeout(self) -> Duration {
        let units = u64::from(self.wire() & MOST_UNITS);
        let seconds = if self.wire() & MINUTES == 0 { 1 } else { 60 };
        Duration::from_secs(units.saturating_mul(seconds))
    }
}

/// A second: there is no timeout of none.
impl Default for Advertised {
    fn default() -> Self {
        Self(NonZeroU16::MIN)
    }
}

impl Pack for Advertised {
    fn pack<P: Packer>(&mut self, by: &mut P) {
        let mut wire = self.wire();
        wire.pack(by);
        match Self::from_wire(wire) {
            Some(read) => *self = read,
            None => by.fail(),
        }
    }
}

impl Config {
    /// The timeout that the peer is told (ADV_UTO): the user's, or else the namespace's; `None` when
    /// the option is not in use.
    pub fn advertised(&self) -> Option<Advertised> {
        match (self.user_timeout_option, self.user_timeout) {
            (0, _) => None,
            (seconds, Duration::ZERO) => Advertised::new(Duration::from_secs(seconds.into())),
            (_, user) => Advertised::new(user),
        }
    }
}

impl Options {
    /// Adds the option, if there is room for it behind all the others: none gives way to it. Returns
    /// whether there was.
    #[inline]
    pub(super) fn add_user_timeout(&mut self, ours: Option<Advertised>) -> bool {
        ours.is_none_or(|ours| self.fit_user_timeout(ours))
    }

    #[cold]
    fn fit_user_timeout(&mut self, ours: Advertised) -> bool {
        let mut space = [0; SPACE as usize];
        let used = self.write(&mut space);
        let fits = used.saturating_add(USER_TIMEOUT_LEN.into()) <= space.len();
        if fits {
            self.user_timeout = Some(ours);
        }
        fits
    }
}

/// RFC 5482 3.1: `USER_TIMEOUT = min(U_LIMIT, max(ADV_UTO, REMOTE_UTO, L_LIMIT))`, where L_LIMIT is
/// longer than the retransmission timeout, its backoff included.
fn adopted(ours: Advertised, theirs: Advertised, rto: Duration) -> Duration {
    let least = LEAST.max(rto + MARGIN);
    ours.timeout().max(theirs.timeout()).max(least).min(MOST)
}

impl Control {
    /// What goes out, and the peer is told of our timeout as soon as may be.
    pub(super) fn telling(self) -> Self {
        match self {
            Self::None => Self::Tell,
            Self::Probe => Self::ProbeAndTell,
            // After the SYN it is told anyway.
            Self::Syn | Self::Tell | Self::ProbeAndTell => self,
        }
    }

    /// A probe goes out, too.
    pub(super) fn probing(self) -> Self {
        match self {
            Self::Tell | Self::ProbeAndTell => Self::ProbeAndTell,
            Self::None | Self::Syn | Self::Probe => Self::Probe,
        }
    }

    /// What is left when the SYN has gone: the first segment without SYN tells of our timeout.
    pub(super) fn behind_syn(config: &Config) -> Self {
        match config.advertised() {
            Some(_) => Self::Tell,
            None => Self::None,
        }
    }
}

impl Tcb {
    /// `TCP_USER_TIMEOUT` was set, and what the peer was told before that is `told`: the next
    /// segment says what it is now.
    pub fn on_user_timeout(&mut self, config: &Config, told: Option<Advertised>) {
        if config.advertised() != told {
            self.control = self.control.telling();
        }
    }

    /// An acceptable segment, or a SYN: the last of the peer's options counts.
    pub(super) fn hear_user_timeout(&mut self, config: &Config, seg: &Segment) {
        if config.user_timeout_option != 0 {
            self.peer_timeout = seg.options.user_timeout.or(self.peer_timeout);
        }
    }

    /// Whether the segment that goes out next tells of our timeout, beside `blocks_len` bytes of
    /// selective acknowledgments. Not a probe, which is out of the window and so is not heard, nor
    /// anything that is sent again.
    #[inline]
    pub(super) fn tells_user_timeout(&self, blocks_len: u16, now: Instant) -> bool {
        let due = self.control == Control::Tell;
        due && self.scoreboard.waiting() == 0
            && self.tlp != Probe::Due
            && self.has_room_to_tell(blocks_len, now)
    }

    #[cold]
    fn has_room_to_tell(&self, blocks_len: u16, now: Instant) -> bool {
        let fixed = self.options_len().saturating_add(self.ecn_option_len(now));
        let others = fixed.saturating_add(blocks_len);
        others.saturating_add(USER_TIMEOUT_LEN) <= SPACE
    }

    /// `out` is such a segment.
    pub(super) fn tell_user_timeout(&mut self, config: &Config, out: &mut Transmit) {
        if out.options.add_user_timeout(config.advertised()) {
            self.control = Control::None;
        }
    }

    /// The timeout that decides, in place of a number of retransmissions, when the peer is given up
    /// (USER_TIMEOUT), once both ends have said theirs. Until the peer has, nothing was agreed on, and
    /// a peer that does not know the option must fare as without. Where the user has set one, that
    /// decides. A connection that nobody reads or writes any more holds memory for no one, and ends by
    /// `tcp_orphan_retries` whatever the peer wishes.
    pub(super) fn adopted_timeout(&self, config: &Config) -> Option<Duration> {
        let theirs = self.peer_timeout?;
        let ours = config.advertised()?;
        let changeable = config.user_timeout == Duration::ZERO;
        let counts = changeable && self.state.is_synchronized() && !self.is_orphan();
        counts.then(|| adopted(ours, theirs, self.rto(config)))
    }

    /// Since when the user's timeout, or an adopted one, runs, and how long it is.
    pub(super) fn running_user_timeout(&self, config: &Config) -> Option<(Instant, Duration)> {
        if config.user_timeout != Duration::ZERO {
            return Some((self.stalled_since, config.user_timeout));
        }
        let adopted = self.adopted_timeout(config)?;
        // A peer that keeps its window closed but answers is not away (RFC 9293 3.8.6.1, MUST-37).
        let since = match self.snd_wnd {
            0 => self.stalled_since.max(self.last_heard),
            _ => self.stalled_since,
        };
        Some((since, adopted))
    }

    /// Idle time before the first keepalive probe: longer than an adopted timeout, or keepalive would
    /// end what that is to let live (RFC 5482 4.2).
    pub(super) fn keepalive_time(&self, config: &Config) -> Duration {
        let usual = config.keepalive_time;
        self.adopted_timeout(config)
            .map_or(usual, |adopted| usual.max(adopted + MARGIN))
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::{SackBlocks, SeqRange, Timestamps};
    use super::super::pack;
    use super::super::seq::SeqNumber;
    use super::*;

    fn secs(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    fn told(timeout: Duration) -> Advertised {
        Advertised::new(timeout).expect("a timeout")
    }

    #[test]
    fn a_timeout_is_told_in_seconds_or_minutes_and_rounded_up() {
        for (timeout, wire, says) in [
            (Duration::from_us(1), 1, secs(1)),
            (Duration::from_ms(999), 1, secs(1)),
            (secs(1), 1, secs(1)),
            (Duration::from_ms(1001), 2, secs(2)),
            (secs(32_767), 32_767, secs(32_767)),
            (Duration::from_ms(32_767_001), 0x8000 | 547, secs(547 * 60)),
            (secs(32_768), 0x8000 | 547, secs(547 * 60)),
            (secs(547 * 60), 0x8000 | 547, secs(547 * 60)),
            (secs(547 * 60 + 1), 0x8000 | 548, secs(548 * 60)),
            (secs(65_536), 0x8000 | 1093, secs(1093 * 60)),
            (secs(32_767 * 60), 0xffff, secs(32_767 * 60)),
            (secs(32_767 * 60 + 1), 0xffff, secs(32_767 * 60)),
            (Duration::from_us(u64::MAX), 0xffff, secs(32_767 * 60)),
        ] {
            let told = told(timeout);
            assert_eq!((told.wire(), told.timeout()), (wire, says), "{timeout:?}");
        }
        assert_eq!(Advertised::new(Duration::ZERO), None);
    }

    #[test]
    fn no_time_at_all_is_no_timeout() {
        assert_eq!(Advertised::from_wire(0), None);
        assert_eq!(Advertised::from_wire(MINUTES), None);
        for wire in (1..MINUTES).chain(MINUTES + 1..=u16::MAX) {
            assert_eq!(
                Advertised::from_wire(wire).map(Advertised::wire),
                Some(wire)
            );
        }
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        for wire in [1, 300, 0x7fff, 0x8001, 0xffff] {
            let options = Options {
                user_timeout: Advertised::from_wire(wire),
                ..Options::default()
            };
            let mut buf = [0; 40];
            assert_eq!(options.write(&mut buf), 4);
            let [high, low] = wire.to_be_bytes();
            assert_eq!(buf[..4], [28, 4, high, low]);
            assert_eq!(Options::parse(&buf[..4]), options);
        }
    }

    #[test]
    fn what_is_malformed_or_says_nothing_is_passed_over() {
        const MSS: [u8; 4] = [2, 4, 5, 180];
        let cases: &[(&[u8], Option<u16>)] = &[
            (&[28, 4, 0, 0], None),
            (&[28, 4, 0x80, 0], None),
            (&[28, 3, 1], None),
            (&[28, 5, 0, 1, 0], None),
            (&[28, 2], None),
            (&[28, 4, 0, 9], Some(9)),
            (&[28, 4, 0, 9, 28, 4, 0, 0], Some(9)),
            (&[28, 4, 0, 9, 28, 4, 0, 7], Some(7)),
        ];
        for (bytes, wire) in cases {
            let read = Options::parse(&[bytes, &MSS[..]].concat());
            assert_eq!(read.user_timeout.map(Advertised::wire), *wire, "{bytes:?}");
            assert_eq!(read.mss, Some(1460));
        }
    }

    #[test]
    fn it_goes_behind_the_others_and_gives_way_to_them() {
        let stamps = Some(Timestamps { val: 1, ecr: 2 });
        for (blocks, timestamps, fits) in [
            (0, None, true),
            (4, None, true),
            (0, stamps, true),
            (2, stamps, true),
            (3, stamps, false),
        ] {
            let mut sack = SackBlocks::NONE;
            for i in 0..blocks {
                sack.push(SeqRange {
                    start: SeqNumber(i * 10),
                    end: SeqNumber(i * 10 + 5),
                });
            }
            let mut options = Options {
                sack,
                timestamps,
                ..Options::default()
            };
            let mut before = [0; 40];
            let len = options.write(&mut before);
            assert_eq!(options.add_user_timeout(Some(told(secs(5)))), fits);
            assert_eq!(options.user_timeout.is_some(), fits);
            let mut after = [0; 40];
            let all = options.write(&mut after);
            assert_eq!(all, len + if fits { 4 } else { 0 }, "{blocks}");
            assert_eq!(after[..len], before[..len]);
            // Whoever adds it without asking gets the same.
            options.user_timeout = Some(told(secs(5)));
            assert_eq!(options.write(&mut after), all);
        }
    }

    #[test]
    fn the_longer_of_both_is_adopted_within_limits() {
        for (ours, theirs, rto_ms, timeout) in [
            (1, 1, 200, secs(100)),
            (300, 1, 200, secs(300)),
            (1, 300, 200, secs(300)),
            (101, 100, 200, secs(101)),
            (3600, 1, 200, secs(3600)),
            (1, 3601, 200, secs(3600)),
            (1, 1_000_000, 200, secs(3600)),
            (1, 1, 99_001, Duration::from_ms(100_001)),
            (1, 1, 120_000, secs(121)),
            (300, 1, 120_000, secs(300)),
        ] {
            let (ours, theirs) = (told(secs(ours)), told(secs(theirs)));
            let rto = Duration::from_ms(rto_ms);
            assert_eq!(adopted(ours, theirs, rto), timeout, "{ours:?} {theirs:?}");
        }
    }

    #[test]
    fn the_users_timeout_goes_before_the_namespaces() {
        for (option, user_ms, wire) in [
            (0, 0, None),
            (0, 5000, None),
            (300, 0, Some(300)),
            (300, 1, Some(1)),
            (300, 40_000_000, Some(0x8000 | 667)),
        ] {
            let config = Config {
                user_timeout_option: option,
                user_timeout: Duration::from_ms(user_ms),
                ..Config::default()
            };
            assert_eq!(config.advertised().map(Advertised::wire), wire);
        }
    }

    #[test]
    fn it_is_unpacked_as_it_was_packed() {
        for wire in [1, 300, 0x7fff, 0x8001, 0xffff] {
            let mut heard = Advertised::from_wire(wire);
            let mut bytes = [0; 8];
            let len = pack::pack(&mut heard, &mut bytes).expect("room");
            let mut back = None;
            assert!(pack::unpack(&mut back, &bytes[..len]));
            assert_eq!(back, heard);
        }
        let mut bytes = [0; 8];
        let len = pack::pack(&mut 0u16, &mut bytes).expect("room");
        assert!(!pack::unpack(&mut Advertised::default(), &bytes[..len]));
    }
}
