// SPDX-License-Identifier: GPL-2.0

//! Values that mean something to a connection, drawn from bytes.

use crate::support::endpoint::Packet;
use arbitrary::Unstructured;
use oxtcp_core::tcp::accecn_option::AccEcnOption;
use oxtcp_core::tcp::config::{Config, LossDetection};
use oxtcp_core::tcp::congestion::Algorithm;
use oxtcp_core::tcp::ecn::{Ecn, EcnConfig, OptionUse};
use oxtcp_core::tcp::fast_open::{Cookie, Policy};
use oxtcp_core::tcp::mtu_probe::{self, When};
use oxtcp_core::tcp::options::{SeqRange, Timestamps};
use oxtcp_core::tcp::segment::{Flags, Segment};
use oxtcp_core::tcp::seq::SeqNumber;
use oxtcp_core::tcp::time::Duration;
use oxtcp_core::tcp::user_timeout::Advertised;
use oxtcp_core::tcp::Tcb;

/// The cookie that a listener knows.
pub const COOKIE: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

/// Bytes, read one value at a time; zeros behind their end.
pub struct Draw<'a>(pub Unstructured<'a>);

/// What an attacker is taken to know of a connection.
#[derive(Clone, Copy)]
pub struct Known {
    pub rcv_nxt: SeqNumber,
    pub rcv_wnd: u32,
    pub snd_una: SeqNumber,
    pub snd_nxt: SeqNumber,
}

impl Known {
    pub fn of(tcb: &Tcb) -> Self {
        Self {
            rcv_nxt: tcb.rcv_nxt(),
            rcv_wnd: tcb.rcv_wnd(),
            snd_una: tcb.snd_una(),
            snd_nxt: tcb.snd_nxt(),
        }
    }
}

impl Draw<'_> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or(0)
    }

    pub fn bit(&mut self) -> bool {
        self.byte() & 1 != 0
    }

    pub fn word(&mut self) -> u32 {
        self.0.arbitrary().unwrap_or(0)
    }

    /// Less than `n`.
    pub fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n.max(1)
    }

    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// A few bytes more or less, or far off.
    fn offset(&mut self) -> u32 {
        match self.byte() {
            b @ 0..=127 => 0u32.wrapping_add_signed(i32::from(b) - 64),
            b @ 128..=191 => u32::from(b - 128) * 1000,
            192..=223 => self.word() & 0xffff,
            _ => self.word(),
        }
    }

    fn near(&mut self, bases: &[SeqNumber]) -> SeqNumber {
        let base = self.pick(bases);
        if self.bit() {
            base
        } else {
            base + self.offset()
        }
    }

    /// A segment for a connection of which so much is known.
    pub fn segment(&mut self, known: Known) -> Packet {
        let flags = match self.byte() {
            0..=99 => Flags::ACK,
            100..=139 => Flags::ACK | Flags::FIN,
            140..=159 => Flags::RST,
            160..=179 => Flags::SYN,
            180..=199 => Flags::SYN | Flags::ACK,
            _ => Flags::from_bits(self.byte().into()),
        };
        let edge = known.rcv_nxt + known.rcv_wnd;
        let mut seg = Segment {
            seq: self.near(&[known.rcv_nxt, known.rcv_nxt, known.rcv_nxt - 1, edge]),
            ack: self.near(&[known.snd_nxt, known.snd_una]),
            flags,
            wnd: self.pick(&[0, 1, 100, 1000, 8000, 65535]),
            len: match self.byte() {
                0..=99 => 0,
                b @ 100..=199 => u32::from(b - 99),
                b => u32::from(b) * 8,
            },
            ..Segment::default()
        };
        if self.bit() {
            let val = self.pick(&[0, 99, 100, 101, 5000, u32::MAX]);
            let ecr = self.pick(&[0, 1000, 1001, 2000, u32::MAX]);
            seg.options.timestamps = Some(Timestamps { val, ecr });
        }
        for _ in 0..self.below(4) {
            let start = self.near(&[known.snd_una, known.snd_nxt]);
            let end = start + self.offset();
            seg.options.sack.push(SeqRange { start, end });
        }
        if seg.has_syn() {
            seg.options.mss = Some(self.pick(&[1, 48, 536, 1000, 1460, 65535]));
            seg.options.window_scale = self.bit().then_some(self.pick(&[0, 1, 7, 14]));
            seg.options.sack_permitted = self.bit();
        }
        let rare = self.byte();
        if rare & 1 != 0 {
            seg.ecn = self.ip_ecn();
            seg.flags = seg.flags | Flags::from_ace(self.byte());
        }
        if rare & 2 != 0 {
            let bytes: [u8; 9] = self.0.arbitrary().unwrap_or_default();
            let len = self.below(bytes.len() + 1);
            seg.options.accecn = Some(AccEcnOption::parse(&bytes[..len], self.bit()));
        }
        if rare & 4 != 0 {
            seg.flags = seg.flags | Flags::URG;
            seg.urg = self.pick(&[0, 1, 2, 100, 65535]);
        }
        if rare & 8 != 0 && seg.has_syn() {
            seg.options.fast_open = self.pick(&[Some(Cookie::REQUEST), Cookie::new(&COOKIE)]);
        }
        if rare & 16 != 0 {
            let wire = self.pick(&[1, 300, 0x7fff, 0x8001, 0xffff]);
            seg.options.user_timeout = Advertised::from_wire(wire);
        }
        let text = vec![7; seg.len as usize];
        Packet { seg, text }
    }

    pub fn config(&mut self) -> Config {
        let bits = self.byte();
        let on = |bit: u8| bits & (1 << bit) != 0;
        Config {
            timestamps: on(0),
            sack: on(1),
            window_scaling: on(2),
            nodelay: on(3),
            cork: on(4),
            keepalive: on(5),
            slow_start_after_idle: on(6),
            rfc1337: on(7),
            window_scale: self.pick(&[0, 1, 7, 14]),
            mss: self.pick(&[48, 100, 536, 1000, 1460]),
            initial_window: self.pick(&[1, 100, 4000, 65535]),
            user_timeout: self.pick(&[Duration::ZERO, Duration::from_secs(30)]),
            ecn: self.ecn(),
            congestion: self.pick(&Algorithm::ALL),
            mtu: mtu_probe::Settings {
                when: self.pick(&[When::Never, When::BlackHole, When::Always]),
                ..mtu_probe::Settings::default()
            },
            recovery: LossDetection::from_bits(self.pick(&[1, 0, 2, 4])),
            user_timeout_option: self.pick(&[0, 1, 300, 3600]),
            ..Config::default()
        }
    }

    fn ecn(&mut self) -> EcnConfig {
        let config = EcnConfig {
            option: self.pick(&[
                OptionUse::Always,
                OptionUse::Never,
                OptionUse::Least,
                OptionUse::Persistent,
            ]),
            ..EcnConfig::default()
        };
        // The first is Linux's default.
        config.with_mode(self.pick(&[2, 0, 1, 3, 4, 5]))
    }

    /// The field of an IP header, mostly a mark.
    pub fn ip_ecn(&mut self) -> Ecn {
        self.pick(&[Ecn::Ce, Ecn::NotEct, Ecn::Ect0, Ecn::Ect1])
    }

    /// A listener's policy for text in a SYN, with [`COOKIE`] for a good cookie.
    pub fn fast_open(&mut self) -> Option<Policy> {
        let cookieless = self.bit();
        let policy = Policy {
            cookieless,
            cookies: [Cookie::new(&COOKIE), None],
        };
        self.bit().then_some(policy)
    }

    pub fn duration(&mut self) -> Duration {
        match self.byte() {
            b @ 0..=63 => Duration::from_us(u64::from(b) * 100),
            b @ 64..=191 => Duration::from_ms(u64::from(b)),
            b => Duration::from_secs(u64::from(b)),
        }
    }

    /// An initial sequence number, mostly near the wrap.
    pub fn iss(&mut self) -> u32 {
        let back = u32::from(self.byte());
        match self.below(3) {
            0 => 0u32.wrapping_sub(back),
            1 => 0x8000_0000u32.wrapping_sub(back),
            _ => self.word(),
        }
    }
}
