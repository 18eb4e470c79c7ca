// SPDX-License-Identifier: GPL-2.0

//! SYN cookies, as Linux has them: a listener whose SYN queue is full keeps nothing of a SYN, but
//! puts what it must know of it into the numbers of its SYN-ACK. The ISS carries the peer's MSS, of
//! a table of four, and the minute, under a keyed hash; our timestamp carries the options, if the
//! peer has timestamps. The ACK brings both back.
//!
//! A cookie is good for two minutes at most. Who does not know the keys guesses one with a chance
//! of 2^-29 for each try: of the 2^32 numbers one for each MSS and each of two minutes is good.

use super::config::{Config, Identity, Terms};
use super::ecn::{EcnConfig, Feedback};
use super::ecn_handshake::PassiveEcn;
use super::options::{Options, Timestamps};
use super::segment::{Flags, Segment, Transmit};
use super::seq::SeqNumber;
use super::syn_received::SynReceived;
use super::tcb::DEFAULT_MSS;
use super::time::{Duration, Instant};

/// How long a cookie may be good, and so for how long after the last one sent they are looked for.
pub const LIFETIME: Duration = Duration::from_secs(120);

/// A minute of the counter, µs.
const PERIOD_US: u64 = 60_000_000;
/// Minutes that a cookie may be old.
const MAX_AGE: u32 = 2;
/// The counter is above these bits.
const HASH_BITS: u32 = 24;
const HASH_MASK: u32 = (1 << HASH_BITS) - 1;

/// The peer's MSS is rounded down to one of these, the most frequent ones (1440: PPPoE).
const MSS_TABLE: [u16; 4] = [536, 1300, 1440, 1460];

/// Bits of the timestamp that carry options.
const STAMP_BITS: u32 = 6;
const STAMP_MASK: u32 = (1 << STAMP_BITS) - 1;
const SCALE_MASK: u32 = 0xf;
/// A window scale that cannot be: there is none.
const NO_SCALE: u32 = 0xf;
const SACK: u32 = 1 << 4;
const ECN: u32 = 1 << 5;

/// Which of the two secrets a hash is made under.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Secret {
    /// Hides the counter.
    Outer,
    /// Vouches for it and for the MSS.
    Inner,
}

/// A keyed hash of the connection's ends and a number: Linux's is SipHash.
pub trait CookieHash {
    /// The hash under `secret` of the ends and `count`.
    fn hash(&self, secret: Secret, count: u32) -> u32;
}

impl<F: Fn(Secret, u32) -> u32> CookieHash for F {
    fn hash(&self, secret: Secret, count: u32) -> u32 {
        self(secret, count)
    }
}

fn minute(now: Instant) -> u32 {
    (now.us() / PERIOD_US) as u32
}

/// The cookie for a SYN with the number `irs` from a peer with `mss`: our ISS, and the MSS that it
/// carries, which is not larger (but at least 536).
pub fn encode(irs: SeqNumber, mss: u16, now: Instant, hash: &impl CookieHash) -> (SeqNumber, u16) {
    let (index, known) = match mss {
        0..=1299 => (0, 536),
        1300..=1439 => (1, 1300),
        1440..=1459 => (2, 1440),
        1460.. => (3, 1460),
    };
    let count = minute(now);
    let inner = hash.hash(Secret::Inner, count).wrapping_add(index) & HASH_MASK;
    let cookie = hash
        .hash(Secret::Outer, 0)
        .wrapping_add(irs.0)
        .wrapping_add(count << HASH_BITS)
        .wrapping_add(inner);
    (SeqNumber(cookie), known)
}

/// The MSS that the cookie `iss` carries for a peer with `irs`; `None` when it is none of ours, or
/// too old.
pub fn decode(iss: SeqNumber, irs: SeqNumber, now: Instant, hash: &impl CookieHash) -> Option<u16> {
    let bare = iss
        .0
        .wrapping_sub(hash.hash(Secret::Outer, 0))
        .wrapping_sub(irs.0);
    let count = minute(now);
    let age = count.wrapping_sub(bare >> HASH_BITS) & (u32::MAX >> HASH_BITS);
    if age >= MAX_AGE {
        return None;
    }
    let inner = hash.hash(Secret::Inner, count.wrapping_sub(age));
    let index = bare.wrapping_sub(inner) & HASH_MASK;
    MSS_TABLE.get(usize::try_from(index).ok()?).copied()
}

/// The options of a SYN that the timestamp of a cookie carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Carried {
    /// The peer's window scale, if windows are scaled.
    pub window_scale: Option<u8>,
    /// Selective acknowledgments are permitted.
    pub sack: bool,
    /// Explicit congestion notification was agreed on.
    pub ecn: bool,
}

impl Carried {
    /// The clock `now_ms` with the options in its last bits; never ahead of it.
    pub fn encode(self, now_ms: u32) -> u32 {
        let scale = self.window_scale.map_or(NO_SCALE, |s| u32::from(s.min(14)));
        let sack = if self.sack { SACK } else { 0 };
        let ecn = if self.ecn { ECN } else { 0 };
        let bits = scale | sack | ecn;
        let base = now_ms & !STAMP_MASK;
        if bits > now_ms & STAMP_MASK {
            (base | bits).wrapping_sub(1 << STAMP_BITS)
        } else {
            base | bits
        }
    }

    /// What the timestamp carries.
    pub fn decode(stamp: u32) -> Self {
        let scale = stamp & SCALE_MASK;
        Self {
            window_scale: (scale != NO_SCALE).then_some(scale as u8),
            sack: stamp & SACK != 0,
            ecn: stamp & ECN != 0,
        }
    }
}

/// The SYN-ACK with a cookie that answers `syn`, after which nothing of it is kept. `ts_offset` is
/// what the connection would have without a cookie, and must be the same when the ACK comes.
pub fn syn_ack(
    config: &Config,
    terms: &Terms,
    syn: &Segment,
    ts_offset: u32,
    now: Instant,
    hash: &impl CookieHash,
) -> Transmit {
    let (iss, _) = encode(syn.seq, syn.options.mss.unwrap_or(DEFAULT_MSS), now, hash);
    // Without timestamps nothing will bring the other options back.
    let peer = syn.options.timestamps.filter(|_| config.timestamps);
    let ecn = peer.map_or(Flags::default(), |_| granted(terms, syn));
    let scale = syn.options.window_scale.filter(|_| config.window_scaling);
    let carried = Carried {
        window_scale: scale,
        sack: syn.options.sack_permitted && config.sack,
        ecn: ecn.has(Flags::ECE),
    };
    Transmit {
        options: Options {
            mss: Some(terms.mss),
            window_scale: peer.and(scale).map(|_| config.window_scale),
            sack_permitted: peer.is_some() && carried.sack,
            timestamps: peer.map(|ts| Timestamps {
                val: carried.encode(now.ms_wrapped()).wrapping_add(ts_offset),
                ecr: ts.val,
            }),
            ..Options::default()
        },
        ..Transmit::bare(
            iss,
            syn.seq + 1,
            Flags::SYN | Flags::ACK | ecn,
            terms.window.min(65535) as u16,
        )
    }
}

/// What is granted of what the SYN asks for of ECN. There is one bit for it: that of RFC 3168, to
/// which accurate ECN falls back. What has no meaning yet asks for accurate ECN alone.
fn granted(terms: &Terms, syn: &Segment) -> Flags {
    if syn.flags.ace() == 0 {
        return Flags::default();
    }
    let ecn = EcnConfig {
        accept: terms.ecn.accept.min(Feedback::Classic),
        ..terms.ecn
    };
    let mut out = Transmit::bare(SeqNumber(0), SeqNumber(0), Flags::default(), 0);
    PassiveEcn::new(&ecn, syn).mark(&ecn, &mut out);
    out.flags
}

/// The connection that the ACK `seg` at a listener completes, if it brings a cookie of ours back.
///
/// # Errors
///
/// [`NoCookie`].
pub fn accept(
    config: &Config,
    seg: &Segment,
    ids: Identity,
    now: Instant,
    hash: &impl CookieHash,
) -> Result<SynReceived, NoCookie> {
    if !seg.has_ack() || seg.has_rst() || seg.has_syn() {
        return Err(NoCookie::Other);
    }
    let (iss, irs) = (seg.ack - 1, seg.seq - 1);
    let mss = decode(iss, irs, now, hash).ok_or(NoCookie::Forged)?;
    let (options, ecn) =
        options_of(config, seg.options.timestamps, ids.ts_offset).ok_or(NoCookie::Withdrawn)?;
    let syn = Segment {
        seq: irs,
        flags: if ecn {
            Flags::SYN | Flags::ECE | Flags::CWR
        } else {
            Flags::SYN
        },
        options: Options {
            mss: Some(mss),
            ..options
        },
        ..Segment::default()
    };
    let mut entry = SynReceived::new(config, &syn, Identity { iss, ..ids }, now);
    entry.forget_when_sent();
    Ok(entry)
}

/// Why an acknowledgment opens no connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoCookie {
    /// It is not even meant to: not an ACK alone.
    Other,
    /// The number that it acknowledges was never ours, or is too old.
    Forged,
    /// The cookie is right, but promises options that are not allowed any more.
    Withdrawn,
}

/// The options that were agreed on, and whether ECN was, by the timestamp that comes back; `None`
/// when the settings no longer allow them.
fn options_of(
    config: &Config,
    stamp: Option<Timestamps>,
    ts_offset: u32,
) -> Option<(Options, bool)> {
    let Some(ts) = stamp else {
        return Some((Options::default(), false));
    };
    let clock = match ts.ecr {
        0 => 0,
        ecr => ecr.wrapping_sub(ts_offset),
    };
    let carried = Carried::decode(clock);
    let allowed = config.timestamps
        && (config.sack || !carried.sack)
        && (config.window_scaling || carried.window_scale.is_none());
    let options = Options {
        window_scale: carried.window_scale,
        sack_permitted: carried.sack,
        timestamps: Some(Timestamps {
            val: ts.val,
            ecr: 0,
        }),
        ..Options::default()
    };
    allowed.then_some((options, carried.ecn))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A hash that is good enough for tests, and under another key for each `key`.
    fn keyed(key: u64) -> impl Fn(Secret, u32) -> u32 {
        move |secret, count| {
            let mut x = key ^ (u64::from(count) << 1) ^ (secret == Secret::Inner) as u64;
            for _ in 0..3 {
                x = (x ^ (x >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            }
            (x >> 32) as u32
        }
    }

    fn at(secs: u64) -> Instant {
        Instant::from_us(secs * 1_000_000)
    }

    fn syn(options: Options) -> Segment {
        Segment {
            seq: SeqNumber(5000),
            flags: Flags::SYN,
            options,
            ..Segment::default()
        }
    }

    const IDS: Identity = Identity {
        iss: SeqNumber(1),
        ts_offset: 0xdead_beef,
    };

    fn answered(config: &Config, syn: &Segment, hash: &impl CookieHash) -> Transmit {
        syn_ack(config, &config.terms(), syn, IDS.ts_offset, at(600), hash)
    }

    fn full() -> Options {
        Options {
            mss: Some(1460),
            window_scale: Some(9),
            sack_permitted: true,
            timestamps: Some(Timestamps { val: 77, ecr: 0 }),
            ..Options::default()
        }
    }

    /// The ACK of the peer for `out`.
    fn answer(out: &Transmit) -> Segment {
        let timestamps = out.options.timestamps.map(|ts| Timestamps {
            val: 99,
            ecr: ts.val,
        });
        Segment {
            seq: out.ack,
            ack: out.seq + 1,
            flags: Flags::ACK,
            options: Options {
                timestamps,
                ..Options::default()
            },
            ..Segment::default()
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(irs: u32, key: u64, mss: u16, secs in 0u64..10_000_000, late in 0u64..60) {
            let hash = keyed(key);
            let (iss, known) = encode(SeqNumber(irs), mss, at(secs), &hash);
            prop_assert!(known <= mss.max(536));
            prop_assert_eq!(decode(iss, SeqNumber(irs), at(secs + late), &hash), Some(known));
        }

        #[test]
        fn options_survive_in_the_timestamp(now: u32, scale in proptest::option::of(0u8..=14), sack: bool, ecn: bool) {
            let carried = Carried { window_scale: scale, sack, ecn };
            let stamp = carried.encode(now);
            prop_assert_eq!(Carried::decode(stamp), carried);
            prop_assert!(now.wrapping_sub(stamp) < 64, "ahead of the clock, or far behind");
        }

        #[test]
        fn under_another_key_a_cookie_is_as_good_as_chance(irs: u32, key: u64) {
            let (iss, _) = encode(SeqNumber(irs), 1460, at(600), &keyed(key));
            prop_assert_eq!(decode(iss, SeqNumber(irs), at(600), &keyed(!key)), None);
        }
    }

    #[test]
    fn the_mss_is_rounded_down_to_the_table() {
        let hash = keyed(1);
        for (mss, known) in [
            (0, 536),
            (535, 536),
            (536, 536),
            (1299, 536),
            (1300, 1300),
            (1439, 1300),
            (1440, 1440),
            (1459, 1440),
            (1460, 1460),
            (u16::MAX, 1460),
        ] {
            assert_eq!(encode(SeqNumber(9), mss, at(1), &hash).1, known, "{mss}");
        }
    }

    #[test]
    fn a_cookie_ends_with_the_second_minute() {
        let hash = keyed(2);
        let (iss, mss) = encode(SeqNumber(7), 1460, at(600), &hash);
        assert_eq!(decode(iss, SeqNumber(7), at(719), &hash), Some(mss));
        assert_eq!(decode(iss, SeqNumber(7), at(720), &hash), None);
        assert_eq!(decode(iss, SeqNumber(7), at(600 + 3600), &hash), None);
    }

    #[test]
    fn a_cookie_of_the_future_is_forged() {
        let hash = keyed(2);
        let (iss, _) = encode(SeqNumber(7), 1460, at(600), &hash);
        assert_eq!(decode(iss, SeqNumber(7), at(599), &hash), None);
    }

    #[test]
    fn a_number_off_by_one_is_forged() {
        let hash = keyed(3);
        // 1460 is the last of the table: the next value means nothing.
        let (iss, _) = encode(SeqNumber(7), 1460, at(600), &hash);
        assert_eq!(decode(iss + 1, SeqNumber(7), at(600), &hash), None);
        assert_eq!(decode(iss, SeqNumber(6), at(600), &hash), None);
    }

    #[test]
    fn guesses_are_refused() {
        let hash = keyed(4);
        let tries = if cfg!(miri) { 1u32 << 8 } else { 1 << 20 };
        let good = (0..tries)
            .filter(|guess| {
                let iss = SeqNumber(guess.wrapping_mul(0x9e37_79b9));
                decode(iss, SeqNumber(7), at(600), &hash).is_some()
            })
            .count();
        // 2^20 tries at 2^-29 (8 good numbers of 2^32).
        assert_eq!(good, 0);
    }

    #[test]
    fn the_syn_ack_has_all_options_when_the_peer_has_timestamps() {
        let config = Config::default();
        let out = answered(&config, &syn(full()), &keyed(5));
        assert_eq!(out.flags, Flags::SYN | Flags::ACK);
        assert_eq!(out.ack, SeqNumber(5001));
        assert_eq!(out.options.window_scale, Some(config.window_scale));
        assert!(out.options.sack_permitted);
        let ts = out.options.timestamps.expect("timestamps");
        assert_eq!(ts.ecr, 77);
        let carried = Carried::decode(ts.val.wrapping_sub(IDS.ts_offset));
        assert_eq!((carried.window_scale, carried.sack), (Some(9), true));
    }

    #[test]
    fn without_timestamps_only_the_mss_is_kept() {
        let options = Options {
            timestamps: None,
            ..full()
        };
        let out = answered(&Config::default(), &syn(options), &keyed(5));
        assert_eq!(out.options.window_scale, None);
        assert!(!out.options.sack_permitted);
        assert_eq!(out.options.timestamps, None);
        assert_eq!(out.options.mss, Some(Config::default().mss));
    }

    #[test]
    fn the_ack_of_a_cookie_opens_a_connection_with_the_options_of_the_syn() {
        let (config, hash) = (Config::default(), keyed(6));
        let out = answered(&config, &syn(full()), &hash);
        let ack = answer(&out);
        let entry = accept(&config, &ack, IDS, at(601), &hash).expect("a cookie");
        let tcb = entry.into_tcb(&config, &ack, at(601));
        assert_eq!(tcb.features(), (true, true, true));
        assert_eq!(tcb.scales(), (9, config.window_scale));
        assert_eq!(tcb.snd_una(), out.seq + 1);
        assert_eq!(tcb.rcv_nxt(), SeqNumber(5001));
        // When the SYN-ACK was sent is not known: no measurement comes of it.
        assert_eq!(tcb.rtt().srtt(), None);
    }

    #[test]
    fn the_ack_without_timestamps_opens_a_plain_connection() {
        let (config, hash) = (Config::default(), keyed(6));
        let options = Options {
            mss: Some(1000),
            ..Options::default()
        };
        let out = answered(&config, &syn(options), &hash);
        let ack = answer(&out);
        let entry = accept(&config, &ack, IDS, at(601), &hash).expect("a cookie");
        let tcb = entry.into_tcb(&config, &ack, at(601));
        assert_eq!(tcb.features(), (false, false, false));
        assert_eq!(tcb.mss(), 536);
    }

    #[test]
    fn classic_ecn_is_agreed_on_and_comes_back_with_timestamps_alone() {
        let (config, hash) = (Config::default(), keyed(9));
        let bits = Flags::ECE | Flags::CWR;
        for asked in [bits, bits | Flags::AE] {
            let mut syn = syn(full());
            syn.flags = syn.flags | asked;
            let out = answered(&config, &syn, &hash);
            assert_eq!(out.flags, Flags::SYN | Flags::ACK | Flags::ECE);
            let ack = answer(&out);
            let entry = accept(&config, &ack, IDS, at(600), &hash).expect("a cookie");
            assert_eq!(entry.syn_ack(&config, at(600)).flags, out.flags);

            syn.options.timestamps = None;
            let out = answered(&config, &syn, &hash);
            assert_eq!(out.flags, Flags::SYN | Flags::ACK);
        }
    }

    /// What the SYN-ACK grants is what the connection has.
    #[test]
    fn accurate_ecn_is_never_granted() {
        let hash = keyed(9);
        let config = Config {
            ecn: EcnConfig::default().with_mode(3),
            ..Config::default()
        };
        for ace in 1..=7 {
            let mut syn = syn(full());
            syn.flags = syn.flags | Flags::from_ace(ace);
            let out = answered(&config, &syn, &hash);
            let classic = matches!(ace, 3 | 7);
            assert_eq!(out.flags.ace(), u8::from(classic), "{ace:03b}");
            let entry = accept(&config, &answer(&out), IDS, at(600), &hash).expect("a cookie");
            assert_eq!(entry.syn_ack(&config, at(600)).flags, out.flags);
        }
    }

    #[test]
    fn an_ack_that_no_cookie_asked_for_is_refused() {
        let (config, hash) = (Config::default(), keyed(7));
        let out = answered(&config, &syn(full()), &hash);
        let good = answer(&out);
        let refused = |ack: &Segment| accept(&config, ack, IDS, at(600), &hash).err();
        let with = |flags| Segment { flags, ..good };
        assert_eq!(refused(&good), None);
        assert_eq!(
            refused(&with(Flags::RST | Flags::ACK)),
            Some(NoCookie::Other)
        );
        assert_eq!(
            refused(&with(Flags::SYN | Flags::ACK)),
            Some(NoCookie::Other)
        );
        assert_eq!(refused(&with(Flags::FIN)), Some(NoCookie::Other));
        let mut other = good;
        other.ack += 5;
        assert_eq!(refused(&other), Some(NoCookie::Forged));
        other = good;
        other.seq += 5;
        assert_eq!(refused(&other), Some(NoCookie::Forged));
    }

    #[test]
    fn options_that_were_switched_off_since_refuse_the_ack() {
        let (config, hash) = (Config::default(), keyed(8));
        let out = answered(&config, &syn(full()), &hash);
        for off in [
            Config {
                timestamps: false,
                ..config
            },
            Config {
                sack: false,
                ..config
            },
            Config {
                window_scaling: false,
                ..config
            },
        ] {
            let verdict = accept(&off, &answer(&out), IDS, at(600), &hash);
            assert_eq!(verdict.err(), Some(NoCookie::Withdrawn));
        }
    }
}
