// SPDX-License-Identifier: GPL-2.0

//! TCP Fast Open (RFC 7413): text in the SYN. A server gives a cookie, a keyed hash of the client's
//! address, to a client that asks for one; with it the client's next SYN carries text, which the
//! server's user may read, and answer, before the handshake is complete.

use super::config::{Config, Identity};
use super::delayed_ack::DelayedAck;
use super::ecn::{Feedback, Mode};
use super::events::Events;
use super::pack::packed;
use super::receive::ReceiveQueue;
use super::segment::{Segment, Transmit};
use super::seq::SeqNumber;
use super::state::State;
use super::tcb::{AckDue, Control, RetransmitTimer, Tcb, TxLimits};
use super::time::Instant;

/// Bytes of the longest cookie (RFC 7413 4.1.1).
pub const COOKIE_MAX: usize = 16;
/// Bytes of the shortest one.
const COOKIE_MIN: usize = 4;
/// What options may take of a SYN with text at most; text leaves that room, whatever is used of it,
/// for those who add options on the way.
const OPTION_SPACE: u16 = 40;

/// A cookie as the option carries it; without a byte it asks for one.
#[derive(Clone, Copy, Eq, Debug)]
pub struct Cookie {
    bytes: [u8; COOKIE_MAX],
    len: u8,
    /// It is in the option that Fast Open had while it was an experiment. It is the same cookie.
    experimental: bool,
}

impl PartialEq for Cookie {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Cookie {
    /// "Give me one."
    pub const REQUEST: Self = Self {
        bytes: [0; COOKIE_MAX],
        len: 0,
        experimental: false,
    };

    /// The cookie of these bytes: an even number of them, 4 to 16, or none for a request; `None`
    /// when they cannot be one.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let fits = (COOKIE_MIN..=COOKIE_MAX).contains(&bytes.len()) && bytes.len() % 2 == 0;
        if !fits && !bytes.is_empty() {
            return None;
        }
        let mut cookie = Self::REQUEST;
        for (to, from) in cookie.bytes.iter_mut().zip(bytes) {
            *to = *from;
        }
        cookie.len = bytes.len() as u8;
        Some(cookie)
    }

    /// A cookie of eight bytes, as Linux has it: a SipHash in little endian.
    pub fn from_hash(hash: u64) -> Self {
        Self::new(&hash.to_le_bytes()).unwrap_or(Self::REQUEST)
    }

    /// The same in the option that Fast Open had while it was an experiment.
    pub fn experimental(mut self) -> Self {
        self.experimental = true;
        self
    }

    /// Whether it comes, or goes, in the option of the experiment.
    pub fn is_experimental(&self) -> bool {
        self.experimental
    }

    /// The same, in the option in which `asked` came.
    fn answering(self, asked: &Self) -> Self {
        Self {
            experimental: asked.experimental,
            ..self
        }
    }

    /// Its bytes.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }

    /// Bytes of its option.
    pub(super) fn unpadded_len(&self) -> usize {
        let head = if self.experimental { 4 } else { 2 };
        usize::from(self.len).saturating_add(head)
    }

    /// Bytes of its option with the padding.
    pub(super) fn option_len(&self) -> usize {
        self.unpadded_len().next_multiple_of(4)
    }

    /// Whether it asks for one.
    pub fn is_request(&self) -> bool {
        self.len == 0
    }
}

/// What a listener allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Text in a SYN is taken without a cookie.
    pub cookieless: bool,
    /// The cookies that are good for the client: under the present key, and under the one before.
    pub cookies: [Option<Cookie>; 2],
}

/// What becomes of a SYN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Judgement {
    /// The connection is open for text at once.
    pub accept: bool,
    /// The SYN-ACK brings this cookie.
    pub offer: Option<Cookie>,
}

/// Judges a SYN at a listener that has room for a connection before its handshake is complete.
pub fn judge(syn: &Segment, policy: &Policy) -> Judgement {
    let [present, former] = policy.cookies;
    let (accept, offer) = match syn.options.fast_open {
        None if syn.len == 0 => (false, None),
        _ if policy.cookieless => (true, None),
        None => (false, None),
        Some(cookie) if cookie.is_request() => (false, present),
        Some(cookie) if Some(cookie) == present => (true, None),
        Some(cookie) if Some(cookie) == former => (true, present),
        Some(_) => (false, present),
    };
    let offer = match &syn.options.fast_open {
        Some(asked) => offer.map(|cookie| cookie.answering(asked)),
        None => offer,
    };
    Judgement { accept, offer }
}

/// What a connection has to do with Fast Open.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum FastOpen {
    /// Nothing.
    #[default]
    Off,
    /// A server's, before the third segment of the handshake.
    Passive {
        /// The SYN had text, which was taken.
        text: bool,
    },
    /// A client's whose SYN asked for a cookie, or brought one without text.
    Asked,
    /// A client's whose SYN had text, of which nothing is known yet.
    Offered,
    /// The text of the SYN, of either end, was taken.
    Taken,
    /// The peer did not take the text of our SYN.
    Refused,
}

packed!(enum FastOpen {
    0 => Off, 1 => Passive { text }, 2 => Asked, 3 => Offered, 4 => Taken, 5 => Refused,
});

/// How long a connection that was reset before its handshake was complete counts as pending, s: who
/// forges a client's address must not make the client's RSTs clear the way for more (RFC 7413 5.1).
const RESET_COUNTS_S: u64 = 60;

/// Those seconds, and the one that is not over.
const RESET_SECONDS: usize = RESET_COUNTS_S as usize + 1;

/// A server's connections that were reset lately, by the second, so that each counts for a time of
/// its own: a client that resets one now and then must not keep those of long ago.
#[derive(Clone, Copy, Debug)]
pub struct Resets {
    /// Of the last seconds, each at its remainder.
    seconds: [u32; RESET_SECONDS],
    /// The last of them.
    last: u64,
    /// Those that count no longer, of which nobody has been told.
    expired: u32,
}

impl Default for Resets {
    fn default() -> Self {
        Self {
            seconds: [0; RESET_SECONDS],
            last: 0,
            expired: 0,
        }
    }
}

impl Resets {
    /// A connection was reset.
    pub fn add(&mut self, now: Instant) {
        self.advance(now);
        if let Some(count) = self.slot(self.last) {
            *count = count.saturating_add(1);
        }
    }

    /// How many have come to count no longer since the last call.
    pub fn expire(&mut self, now: Instant) -> u32 {
        self.advance(now);
        core::mem::take(&mut self.expired)
    }

    fn slot(&mut self, second: u64) -> Option<&mut u32> {
        self.seconds
            .get_mut((second % RESET_SECONDS as u64) as usize)
    }

    fn advance(&mut self, now: Instant) {
        let second = now.us() / 1_000_000;
        let passed = second.saturating_sub(self.last);
        for n in 0..passed.min(RESET_SECONDS as u64) {
            // Where a second begins, that of a minute before ends.
            let ended = self.slot(second - n).map_or(0, core::mem::take);
            self.expired = self.expired.saturating_add(ended);
        }
        self.last = self.last.max(second);
    }
}

/// What a client puts into its SYN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Opening {
    /// The request for a cookie, without text.
    Ask,
    /// A cookie and text.
    Cookie(Cookie),
    /// Text alone: the server is known to want no cookie.
    Cookieless,
}

impl Tcb {
    /// A passive open by a SYN that is judged good: in SYN-RECEIVED, but text may go both ways. The
    /// SYN-ACK is there to be fetched. `rx` has the text of the SYN.
    pub fn accept_fast<R: ReceiveQueue>(
        config: &Config,
        syn: &Segment,
        ids: Identity,
        rx: &mut R,
        now: Instant,
    ) -> (Self, Events) {
        let mut tcb = Self::new(State::SynReceived, config, ids, now);
        let mut events = Events::default();
        tcb.learn_syn(config, syn, now);
        tcb.start_congestion(config, false, now);
        if config.ecn.accept != Feedback::None {
            tcb.ecn.mode = Mode::Requested(config.ecn.accept);
            tcb.ecn_on_crossing_syn(config, syn);
        }
        tcb.snd_wnd = u32::from(syn.wnd);
        tcb.max_snd_wnd = tcb.snd_wnd;
        tcb.snd_wl1 = syn.seq;
        tcb.fast_open = FastOpen::Passive { text: false };
        tcb.text(config, syn, rx, now, &mut events);
        // It says nothing of how segments are spaced.
        tcb.acks = DelayedAck::new(config.mss, now);
        tcb.fast_open = FastOpen::Passive {
            text: events.readable,
        };
        // The SYN-ACK acknowledges it.
        tcb.control = Control::Syn;
        tcb.ack_due = AckDue::No;
        (tcb, events)
    }

    /// Whether text may go both ways although the handshake is not complete.
    pub fn is_passive_fast_open(&self) -> bool {
        let passive = matches!(self.fast_open, FastOpen::Passive { .. });
        passive && self.state == State::SynReceived
    }

    /// Whether the SYN, ours or the peer's, had text that was taken.
    pub fn is_syn_text_taken(&self) -> bool {
        matches!(
            self.fast_open,
            FastOpen::Taken | FastOpen::Passive { text: true }
        )
    }

    /// Whether the text of our SYN was taken; `None` when it had none.
    pub fn fast_open_result(&self) -> Option<bool> {
        match self.fast_open {
            FastOpen::Taken => Some(true),
            FastOpen::Refused => Some(false),
            _ => None,
        }
    }

    /// Whether Fast Open was tried, or is.
    pub fn is_active_fast_open(&self) -> bool {
        matches!(
            self.fast_open,
            FastOpen::Asked | FastOpen::Offered | FastOpen::Refused
        )
    }

    /// The SYN that opens a connection with `opening`; to be called once, in place of the first
    /// [`Tcb::poll_transmit`] after [`Tcb::connect`], when text is queued already or none is to come
    /// before the SYN. Of the text as much goes along as a segment holds, and as `most` says, bytes.
    /// A SYN that is sent again has neither cookie nor text (RFC 7413 4.2.1).
    pub fn open_fast(
        &mut self,
        config: &Config,
        opening: Opening,
        most: u32,
        limits: &TxLimits,
        now: Instant,
    ) -> Transmit {
        let mut syn = self.send_syn(config, now);
        let room = self.peer_mss.max(config.mss).min(limits.mss);
        let text = self
            .write_seq
            .since(self.snd_nxt)
            .min(most)
            .min(u32::from(room.saturating_sub(OPTION_SPACE)));
        let (cookie, text) = match opening {
            Opening::Ask => (Some(Cookie::REQUEST), 0),
            Opening::Cookie(cookie) => (Some(cookie), text),
            Opening::Cookieless => (None, text),
        };
        self.fast_open = if text == 0 {
            FastOpen::Asked
        } else {
            FastOpen::Offered
        };
        self.snd_nxt += text;
        syn.options.fast_open = cookie;
        syn.len = text;
        syn
    }

    /// `seg` has opened the connection: what of the SYN's text did it acknowledge? The
    /// rest was never sent, so to say: it goes out at once, and says nothing of congestion.
    pub(super) fn after_fast_open(&mut self, seg: &Segment, events: &mut Events) {
        if self.fast_open != FastOpen::Offered {
            return;
        }
        let taken = seg.ack.since(self.snd_una);
        self.fast_open = if taken > 0 {
            FastOpen::Taken
        } else {
            FastOpen::Refused
        };
        events.acked = taken;
        self.snd_una = seg.ack;
        self.urgent_acked();
        self.snd_nxt = seg.ack;
        self.snd_sml = seg.ack;
        self.retransmit_timer = RetransmitTimer::Off;
    }

    /// The third segment of the handshake has come at a server's end.
    pub(super) fn complete_fast_open(&mut self) {
        if let FastOpen::Passive { text } = self.fast_open {
            self.fast_open = if text { FastOpen::Taken } else { FastOpen::Off };
        }
    }

    /// Whether `seg` is the SYN of this half-open connection once more, its text with it.
    pub(super) fn is_fast_open_syn_again(&self, seg: &Segment) -> bool {
        self.is_passive_fast_open()
            && seg.has_syn()
            && !seg.has_ack()
            && !seg.has_rst()
            && seg.text_start().at_or_before(self.rcv_nxt)
            && seg.seq_end().at_or_after(self.text_of_syn())
    }

    /// The number of the first byte that the peer sent: before it is its SYN.
    fn text_of_syn(&self) -> SeqNumber {
        self.snd_wl1 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_us(ms * 1000)
    }

    #[test]
    fn each_reset_counts_for_a_minute_of_its_own() {
        let mut resets = Resets::default();
        let mut counting = 0u32;
        for n in 0..100 {
            counting += 1;
            resets.add(at(1500 + n * 50_000));
            counting -= resets.expire(at(1600 + n * 50_000));
            assert!(counting <= 2, "{counting} count after {n}");
        }
        assert_eq!(counting, 2);
    }

    #[test]
    fn a_reset_counts_for_no_less_than_a_minute_and_hardly_more() {
        for ms in [0, 1, 500, 999] {
            let mut resets = Resets::default();
            resets.add(at(7_000_000 + ms));
            resets.add(at(7_000_000 + ms));
            assert_eq!(resets.expire(at(7_060_000 + ms)), 0);
            assert_eq!(resets.expire(at(7_061_000 + ms)), 2);
            assert_eq!(resets.expire(at(7_062_000 + ms)), 0);
        }
    }

    #[test]
    fn what_expires_while_others_come_is_told_once() {
        let mut resets = Resets::default();
        for second in 0..1000 {
            resets.add(at(second * 1000));
        }
        assert_eq!(resets.expire(at(999_000)), 939);
        assert_eq!(resets.expire(at(999_999)), 0);
        assert_eq!(resets.expire(at(5_000_000)), 61);
    }

    #[test]
    fn a_clock_that_goes_back_changes_nothing() {
        let mut resets = Resets::default();
        resets.add(at(100_000));
        resets.add(at(50_000));
        assert_eq!(resets.expire(at(20_000)), 0);
        assert_eq!(resets.expire(at(161_000)), 2);
    }
}
