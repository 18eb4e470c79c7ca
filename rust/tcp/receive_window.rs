// SPDX-License-Identifier: GPL-2.0

//! The receive window: how much of the receive buffer's memory is offered to the peer, as text. As
//! in Linux (`tcp_select_window` and around it): what the memory of a segment costs beside its text
//! is measured, and the window grows no faster than the text that comes shows it to be worth.

use super::config::Config;
use super::pack::packed;
use super::receive::{Arrived, Memory, ReceiveQueue};
use super::seq::SeqNumber;
use super::tcb::Tcb;

/// Largest window scale (RFC 7323 2.3).
const MAX_SCALE: u32 = 14;

/// Largest window without scaling.
const MAX_UNSCALED: u32 = 65535;

/// The share of memory that is text before anything was measured, in 256ths.
const RATIO: u8 = 128;

/// Text that `memory` bytes hold before anything was measured.
pub fn text_in(memory: u32) -> u32 {
    memory / 2
}

/// `space` as a window for a SYN or SYN-ACK: a multiple of `mss`, the text bytes of a segment.
pub fn whole_segments(space: u32, mss: u16) -> u32 {
    let mss = u32::from(mss).max(1);
    if space > mss {
        space.saturating_sub(space % mss)
    } else {
        space
    }
}

/// The scale for windows of up to `largest` bytes, as Linux has it: where that is text, or the memory
/// that a buffer may grow to.
pub fn select_scale(largest: u32) -> u8 {
    let scale = largest.max(1).ilog2().saturating_sub(15).min(MAX_SCALE);
    scale as u8
}

/// Largest window that can ever be offered.
const UNCLAMPED: u32 = MAX_UNSCALED << MAX_SCALE;

/// Largest window that can be told with this scale.
fn largest(scale: u8) -> u32 {
    MAX_UNSCALED << u32::from(scale).min(MAX_SCALE)
}

/// `bytes`, rounded up to a multiple of the unit of a window scaled by `scale`.
fn round_up(bytes: u32, scale: u8) -> u32 {
    let unit = 1u32.wrapping_shl(scale.into());
    let mask = unit.wrapping_sub(1);
    bytes.saturating_add(mask) & !mask
}

/// The same, rounded down.
fn round_down(bytes: u32, scale: u8) -> u32 {
    let unit = 1u32.wrapping_shl(scale.into());
    bytes.saturating_sub(bytes % unit.max(1))
}

/// What is offered, and what may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ReceiveWindow {
    /// The furthest right edge that was ever offered: text up to it may be under way.
    pub(super) furthest: SeqNumber,
    /// Largest window to offer, bytes (`window_clamp`).
    clamp: u32,
    /// Largest window to offer as yet, bytes (`rcv_ssthresh`).
    threshold: u32,
    /// The share of memory that is text, in 256ths (`scaling_ratio`).
    ratio: u8,
    /// Text in order could not be kept for want of memory: no window until that was told.
    pub(super) no_room: bool,
}

packed!(struct ReceiveWindow { furthest, clamp, threshold, ratio, no_room });

/// What is to be offered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Selected {
    /// Bytes.
    pub(super) window: u32,
    /// Less than half of the buffer is free.
    pub(super) tight: bool,
}

/// What of the connection decides on the window beside the memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    /// The peer's segment size as estimated, bytes.
    pub(super) rcv_mss: u16,
    /// The window last offered, bytes, counted from what was acknowledged then.
    pub(super) last: u32,
    /// Our window scale.
    pub(super) scale: u8,
}

impl ReceiveWindow {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            furthest: SeqNumber(0),
            clamp: UNCLAMPED.min(config.window_clamp),
            threshold: config.initial_window,
            ratio: RATIO,
            no_room: false,
        }
    }

    /// The connection is open, with a buffer of `size` bytes of memory (`tcp_init_buffer_space`) and
    /// a window scale.
    pub(super) fn begin(&mut self, config: &Config, size: u32, scale: u8) {
        let most = self.text_in(size);
        let mss = u32::from(config.mss);
        let two = mss.saturating_mul(2);
        self.clamp = most.min(largest(scale));
        // Room for one segment is kept back.
        if self.clamp > two && self.clamp.saturating_add(mss) > most {
            self.clamp = most.saturating_sub(mss).max(two);
        }
        self.clamp = self.clamp.min(config.window_clamp);
        self.threshold = self.threshold.min(self.clamp);
    }

    /// Text that so much memory holds.
    pub(super) fn text_in(&self, memory: u32) -> u32 {
        let text = u64::from(memory) * u64::from(self.ratio) / 256;
        u32::try_from(text).unwrap_or(u32::MAX)
    }

    /// Memory that so much text takes.
    pub(super) fn memory_for(&self, text: u32) -> u32 {
        let memory = u64::from(text) * 256 / u64::from(self.ratio.max(1));
        u32::try_from(memory).unwrap_or(u32::MAX)
    }

    /// Largest window to offer as yet.
    pub(super) fn threshold(&self) -> u32 {
        self.threshold
    }

    /// Largest window to offer.
    pub(super) fn clamp(&self) -> u32 {
        self.clamp
    }

    /// The buffer has grown to `size` bytes of memory.
    pub(super) fn follow(&mut self, config: &Config, size: u32) {
        self.clamp = self.text_in(size).min(config.window_clamp);
    }

    /// The user bounds the window to what `config` says; `offered` bytes are offered now, with a
    /// buffer of `size` bytes of memory (`tcp_set_window_clamp`).
    pub(super) fn limit(&mut self, config: &Config, offered: u32, size: u32) {
        let before = self.clamp;
        self.follow(config, size);
        if self.clamp < before {
            self.threshold = self.threshold.min(self.clamp);
        } else {
            self.threshold = self.threshold.max(offered.min(self.clamp));
        }
    }

    fn free(&self, memory: &Memory) -> u32 {
        self.text_in(memory.free())
    }

    /// The share of memory that is text, from a segment with text that is not of the usual size.
    pub(super) fn measure(
        &mut self,
        config: &Config,
        len: u32,
        arrived: &Arrived,
        memory: &Memory,
    ) {
        let ratio = u64::from(len) * 256 / u64::from(arrived.memory.max(1));
        let ratio = u8::try_from(ratio).unwrap_or(u8::MAX).max(1);
        if ratio != self.ratio {
            self.ratio = ratio;
            self.follow(config, memory.size);
        }
    }

    /// Text of `len` bytes has come, and is kept: more of the buffer may be offered if it is worth
    /// its memory. `merged`: its memory is shared with what was there. Returns whether it is.
    pub(super) fn grow(
        &mut self,
        config: &Config,
        (len, rcv_mss): (u32, u16),
        arrived: &Arrived,
        memory: &Memory,
        merged: bool,
    ) -> bool {
        let most = self.clamp.min(self.free(memory));
        let room = most.saturating_sub(self.threshold);
        if room == 0 {
            return false;
        }
        let cost = if merged {
            arrived.added
        } else {
            arrived.memory
        };
        let step = if self.text_in(cost) <= len {
            2 * u32::from(config.mss)
        } else if self.is_worth(config, len, cost) {
            2 * u32::from(rcv_mss)
        } else {
            return false;
        };
        let step = step.max(len.saturating_mul(2));
        self.threshold = self.threshold.saturating_add(step.min(room));
        true
    }

    /// Whether segments that cost so much may fill a buffer: the smaller the window, the more they
    /// may cost.
    fn is_worth(&self, config: &Config, len: u32, cost: u32) -> bool {
        let mut cost = self.text_in(cost) / 2;
        let mut window = self.text_in(config.receive_memory) / 2;
        while self.threshold <= window && window > 0 {
            if cost <= len {
                return true;
            }
            cost /= 2;
            window /= 2;
        }
        false
    }

    /// Whether [`ReceiveWindow::grow`] may do anything.
    pub(super) fn may_grow(&self, memory: &Memory) -> bool {
        self.clamp.min(self.free(memory)) > self.threshold
    }

    /// Memory is short for all connections (`tcp_adjust_rcv_ssthresh`).
    pub(super) fn yield_memory(&mut self, mss: u16) {
        self.threshold = self.threshold.min(4 * u32::from(mss));
    }

    /// More memory is used than the buffer has.
    pub(super) fn overrun(&mut self, mss: u16) {
        self.threshold = self.clamp.min(2 * u32::from(mss));
    }

    /// What [`ReceiveWindow::select`] gives where so much memory is free that only the threshold
    /// bounds the window; `None` says nothing. Most windows that are offered are such.
    #[inline(always)]
    fn ample(&self, config: &Config, memory: &Memory, (scale, mss): (u8, u16)) -> Option<u32> {
        let free = self.free(memory);
        let scaled = scale > 0 && !config.shrink_window && mss > 0;
        let most = self.threshold.min(largest(scale));
        let ample = free >= self.threshold && free > self.clamp / 2 && self.clamp > 0;
        (scaled && ample).then(|| round_up(most, scale))
    }

    /// The window that the memory allows, bytes: at most what can be told with this scale.
    #[inline(never)]
    pub(super) fn select(&self, config: &Config, memory: &Memory, offer: &Offer) -> Selected {
        let allowed = self.text_in(memory.size);
        let full = self.clamp.min(allowed);
        // A segment larger than all that may be offered would keep a closed window closed.
        let most = full.min(self.threshold.max(1));
        let mss = u32::from(offer.rcv_mss).min(most);
        let mut free = self.free(memory);
        let tight = free < full / 2;
        let closed = Selected { window: 0, tight };
        if mss == 0 {
            return closed;
        }
        let shrinks = config.shrink_window && offer.scale > 0;
        if tight || shrinks {
            free = round_down(free, offer.scale);
        }
        // Closed before the memory is: with a large window a segment's size would say so too late.
        let unit = 1u32.wrapping_shl(offer.scale.into());
        let little = free < allowed / 16 || free < mss || (shrinks && free < unit);
        if tight && little {
            return closed;
        }
        let free = free.min(self.threshold).min(largest(offer.scale));
        let window = if offer.scale > 0 {
            // Rounded up: else a window smaller than the unit could never be offered.
            round_up(free, offer.scale)
        } else if offer.last.saturating_add(mss) <= free || offer.last > free {
            free.saturating_sub(free % mss)
        } else if mss == full && free > offer.last.saturating_add(full / 2) {
            free
        } else {
            offer.last
        };
        Selected { window, tight }
    }
}

impl Tcb {
    /// The connection is open, or as good as open, with a receive buffer of `size` bytes of memory.
    /// Returns the bytes of text that the user is expected to read in a round trip at first.
    pub fn begin_receiving(&mut self, config: &Config, size: u32) -> u32 {
        self.window.begin(config, size, self.rcv_scale);
        let first = u32::from(config.mss).saturating_mul(10);
        self.window.threshold().min(self.last_offer()).min(first)
    }

    /// The receive buffer's memory that a window of `text` bytes takes.
    pub fn memory_for(&self, text: u32) -> u32 {
        self.window.memory_for(text)
    }

    /// The receive buffer has grown to `size` bytes of memory.
    pub fn on_buffer_grown(&mut self, config: &Config, size: u32) {
        self.window.follow(config, size);
    }

    /// The user bounds the window to what `config` says; the receive buffer has `size` bytes of
    /// memory.
    pub fn on_window_clamp(&mut self, config: &Config, size: u32) {
        let offered = self.last_offer();
        self.window.limit(config, offered, size);
    }

    /// Largest window to offer, bytes (`window_clamp`).
    pub fn window_clamp(&self) -> u32 {
        self.window.clamp()
    }

    /// Largest window to offer as yet, bytes (`rcv_ssthresh`).
    pub fn window_threshold(&self) -> u32 {
        self.window.threshold()
    }

    /// The window to offer, as on the wire. Its right edge never moves left (RFC 9293 3.8.6) but when
    /// memory ran out, or by `tcp_shrink_window`.
    #[inline(always)]
    pub(super) fn offer_window<R: ReceiveQueue>(&mut self, config: &Config, rx: &R) -> u16 {
        let current = self.rcv_wnd();
        let mut window = if self.window.no_room {
            self.window.no_room = false;
            self.rcv_adv = self.rcv_nxt;
            0
        } else {
            let selected = self.selected_window(config, rx).window;
            let shrinks = config.shrink_window && self.rcv_scale > 0;
            if selected < current && !shrinks {
                round_up(current, self.rcv_scale)
            } else {
                selected
            }
        };
        let wire = u16::try_from(window.wrapping_shr(self.rcv_scale.into())).unwrap_or(u16::MAX);
        window = u32::from(wire).wrapping_shl(self.rcv_scale.into());
        self.offered(self.rcv_nxt + window);
        wire
    }

    /// The window that the memory allows now, bytes.
    #[inline(always)]
    pub(super) fn selected_window<R: ReceiveQueue>(&mut self, config: &Config, rx: &R) -> Selected {
        let memory = rx.memory();
        let sizes = (self.rcv_scale, self.acks.rcv_mss);
        if let Some(window) = self.window.ample(config, &memory, sizes) {
            return Selected {
                window,
                tight: false,
            };
        }
        self.window_by_memory(config, rx)
    }

    #[inline(never)]
    fn window_by_memory<R: ReceiveQueue>(&mut self, config: &Config, rx: &R) -> Selected {
        let memory = rx.memory();
        let offer = Offer {
            rcv_mss: self.acks.rcv_mss,
            last: self.last_offer(),
            scale: self.rcv_scale,
        };
        let selected = self.window.select(config, &memory, &offer);
        if selected.tight {
            self.acks.quick = 0;
            if rx.is_under_pressure() {
                self.window.yield_memory(config.mss);
                return self.window.select(config, &memory, &offer);
            }
        }
        selected
    }

    /// Whether a window update is worth a segment of its own, as in Linux: the window has at least
    /// doubled.
    pub(super) fn window_update_due<R: ReceiveQueue>(&mut self, config: &Config, rx: &R) -> bool {
        let offered = self.rcv_wnd();
        if offered.saturating_mul(2) > self.window.clamp() {
            return false;
        }
        let window = self.selected_window(config, rx).window;
        window > 0 && window >= offered.saturating_mul(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            mss: 1000,
            initial_window: 20_000,
            ..Config::default()
        }
    }

    fn memory(used: u32) -> Memory {
        Memory {
            size: 40_000,
            used,
            backlog: 0,
        }
    }

    fn begun() -> ReceiveWindow {
        let mut window = ReceiveWindow::new(&config());
        window.begin(&config(), 40_000, 7);
        window
    }

    fn selected(window: &ReceiveWindow, used: u32, last: u32, scale: u8) -> u32 {
        let offer = Offer {
            rcv_mss: 1000,
            last,
            scale,
        };
        window.select(&config(), &memory(used), &offer).window
    }

    #[test]
    fn the_scale_tells_the_largest_buffer() {
        let scales = [0, 10_000, 1_000_000, 15 << 20, u32::MAX].map(select_scale);
        assert_eq!(scales, [0, 0, 4, 8, 14]);
    }

    #[test]
    fn a_syn_offers_whole_segments() {
        assert_eq!(whole_segments(20_000, 1460), 18_980);
        assert_eq!(whole_segments(1000, 1460), 1000);
    }

    #[test]
    fn room_for_a_segment_is_kept_back() {
        assert_eq!((begun().clamp(), begun().threshold()), (19_000, 19_000));
        let mut tiny = ReceiveWindow::new(&config());
        tiny.begin(&config(), 4_000, 7);
        assert_eq!(tiny.clamp(), 2_000);
    }

    #[test]
    fn a_window_smaller_than_a_segment_opens_again() {
        let small = Config {
            initial_window: 100,
            ..config()
        };
        let mut window = ReceiveWindow::new(&small);
        window.begin(&small, 40_000, 0);
        window.threshold = 100;
        assert_eq!(selected(&window, 0, 0, 0), 100);
    }

    #[test]
    fn no_more_is_offered_than_the_scale_can_tell() {
        let mut window = ReceiveWindow::new(&Config {
            initial_window: 300_000,
            ..config()
        });
        window.begin(&config(), 600_000, 0);
        assert_eq!(window.clamp(), 65_535);
        let offer = Offer {
            rcv_mss: 1000,
            last: 65_535,
            scale: 0,
        };
        let memory = Memory {
            size: 600_000,
            ..Memory::default()
        };
        assert!(window.select(&config(), &memory, &offer).window <= 65_535);
    }

    #[test]
    fn the_user_bounds_the_window_whatever_the_buffer() {
        let big = Memory {
            size: 400_000,
            ..Memory::default()
        };
        let clamped = Config {
            window_clamp: 5_000,
            ..config()
        };
        let mut window = ReceiveWindow::new(&clamped);
        window.begin(&clamped, 40_000, 7);
        assert_eq!((window.clamp(), window.threshold()), (5_000, 5_000));
        window.follow(&clamped, 400_000);
        let arrived = Arrived {
            memory: 2_000,
            added: 2_000,
            segment: 0,
        };
        assert!(!window.grow(&clamped, (1000, 1000), &arrived, &big, true));
        let offer = Offer {
            rcv_mss: 1000,
            last: 0,
            scale: 0,
        };
        assert_eq!(window.select(&clamped, &big, &offer).window, 5_000);
        let costly = Arrived {
            memory: 4_000,
            ..arrived
        };
        window.measure(&clamped, 1000, &costly, &big);
        assert_eq!((window.text_in(4_000), window.clamp()), (1_000, 5_000));
    }

    #[test]
    fn the_bound_may_change_while_the_connection_is_open() {
        let bound = |window_clamp| Config {
            window_clamp,
            ..config()
        };
        let mut window = begun();
        window.limit(&bound(3_000), 19_000, 40_000);
        assert_eq!((window.clamp(), window.threshold()), (3_000, 3_000));
        window.limit(&bound(8_000), 2_500, 40_000);
        assert_eq!((window.clamp(), window.threshold()), (8_000, 3_000));
        window.limit(&bound(u32::MAX), 6_000, 40_000);
        assert_eq!((window.clamp(), window.threshold()), (20_000, 6_000));
    }

    #[test]
    fn a_scaled_window_is_rounded_up_and_without_scale_it_is_whole_segments() {
        let window = begun();
        assert_eq!(selected(&window, 2_000, 0, 7), 19_072);
        assert_eq!(selected(&window, 3_000, 0, 0), 18_000);
        // What was offered is kept while it is within a segment of what is free.
        assert_eq!(selected(&window, 3_000, 18_100, 0), 18_100);
    }

    /// Whatever the buffer, where the short way answers it answers as the long one.
    #[test]
    fn ample_memory_is_answered_alike() {
        let mut answered = 0;
        for (shrink_window, scale) in [(false, 0), (false, 1), (false, 7), (false, 14), (true, 7)] {
            let config = Config {
                shrink_window,
                ..config()
            };
            for threshold in [0, 1, 1000, 15_000, 20_000, 1 << 31] {
                for clamp in [0, 1, 2, 999, 19_000, 40_000, UNCLAMPED] {
                    for used in (0..42_000).step_by(333) {
                        let mut window = begun();
                        (window.threshold, window.clamp) = (threshold, clamp);
                        let Some(short) = window.ample(&config, &memory(used), (scale, 1000))
                        else {
                            continue;
                        };
                        let offer = Offer {
                            rcv_mss: 1000,
                            last: 500,
                            scale,
                        };
                        let long = window.select(&config, &memory(used), &offer);
                        assert_eq!((short, false), (long.window, long.tight));
                        answered += 1;
                    }
                }
            }
        }
        assert!(answered > 1000);
    }

    #[test]
    fn a_buffer_that_is_nearly_full_closes_the_window() {
        let window = begun();
        assert_eq!(selected(&window, 38_000, 0, 7), 0);
        assert_eq!(selected(&window, 50_000, 0, 7), 0);
        // 1500 bytes, more than a sixteenth and a segment: rounded down to the unit.
        assert_eq!(selected(&window, 37_000, 0, 7), 1408);
    }

    #[test]
    fn the_window_grows_by_what_is_worth_its_memory() {
        let big = Memory {
            size: 400_000,
            used: 10_000,
            backlog: 0,
        };
        let arrived = |memory| Arrived {
            memory,
            added: memory,
            segment: 0,
        };
        let mut window = begun();
        window.follow(&config(), 400_000);
        // Costs no more than twice its text: two segments, or twice the text.
        assert!(window.grow(&config(), (1000, 1000), &arrived(2_000), &big, true));
        assert_eq!(window.threshold(), 21_000);
        assert!(window.grow(&config(), (5000, 1000), &arrived(9_000), &big, true));
        assert_eq!(window.threshold(), 31_000);
        // Costs more: only while the window is small beside what it may become.
        assert!(window.grow(&config(), (1000, 1000), &arrived(4_000), &big, true));
        assert!(!window.grow(&config(), (1, 1000), &arrived(1 << 20), &big, true));
        assert_eq!(window.threshold(), 33_000);
    }

    #[test]
    fn it_does_not_grow_beyond_what_is_free_and_shrinks_when_memory_is_overrun() {
        let mut window = begun();
        let arrived = Arrived {
            memory: 2_000,
            added: 2_000,
            segment: 0,
        };
        assert!(!window.grow(&config(), (1000, 1000), &arrived, &memory(4_000), true));
        window.overrun(1000);
        assert_eq!(window.threshold(), 2_000);
    }

    #[test]
    fn the_ratio_is_that_of_the_segments() {
        let mut window = begun();
        let arrived = Arrived {
            memory: 4_000,
            added: 4_000,
            segment: 0,
        };
        window.measure(&config(), 1000, &arrived, &memory(0));
        assert_eq!(window.text_in(40_000), 10_000);
        assert_eq!(window.memory_for(10_000), 40_000);
        assert_eq!(window.clamp(), 10_000);
        window.measure(&config(), 5000, &Arrived::default(), &memory(0));
        assert!(window.text_in(40_000) < 40_000);
    }
}
