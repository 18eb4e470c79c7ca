// SPDX-License-Identifier: GPL-2.0

//! Finding the path's MTU without ICMP (RFC 4821, 8899), as Linux does it: one segment of new text
//! that is larger than the others tells whether the path carries it. When it is lost that says
//! nothing of congestion.
//!
//! Sizes are bytes of options and text, which is an MTU less the fixed headers of IPv4 and TCP.

use super::config::Config;
use super::options::TIMESTAMPS_LEN;
use super::pack::packed;
use super::receive::Queues;
use super::records::{Fate, RecordStore};
use super::seq::SeqNumber;
use super::tcb::{Recovery, Tcb};
use super::time::{Duration, Instant};
use super::undo::Frto;

/// The congestion window must have so many segments, so that the loss of one is found by the
/// acknowledgments of others.
const MIN_WINDOW: u32 = 11;

/// When the path is probed (`tcp_mtu_probing`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum When {
    /// Never.
    #[default]
    Never,
    /// Once nothing gets through for a while: large segments may vanish in a black hole.
    BlackHole,
    /// Always.
    Always,
}

packed!(enum When { 0 => Never, 1 => BlackHole, 2 => Always });

/// Settings of probing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// When.
    pub when: When,
    /// Text of a segment to begin with, bytes (`tcp_base_mss`).
    pub base_mss: u16,
    /// The least that it comes down to, bytes (`tcp_mtu_probe_floor`).
    pub floor: u16,
    /// The search is over when the range is smaller than so many bytes (`tcp_probe_threshold`).
    pub threshold: u16,
    /// Seconds from the end of a search to the next one (`tcp_probe_interval`).
    pub interval: u32,
}

packed!(struct Settings { when, base_mss, floor, threshold, interval });

impl Default for Settings {
    fn default() -> Self {
        Self {
            when: When::Never,
            base_mss: 1024,
            floor: super::output::LEAST_MSS,
            threshold: 8,
            interval: 600,
        }
    }
}

/// The search.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct MtuProbe {
    /// The size is being searched for, and segments are no larger than `low` meanwhile.
    on: bool,
    /// What the path carries.
    low: u16,
    /// What it may carry.
    high: u16,
    /// The probe that is outstanding: its size, and its numbers.
    outstanding: Option<(u16, SeqNumber, SeqNumber)>,
    /// When the search began.
    since: Instant,
}

packed!(struct MtuProbe { on, low, high, outstanding, since });

impl MtuProbe {
    /// Between the size to begin with and what the peer takes.
    pub(super) fn new(settings: &Settings, options: u16, peer_mss: u16, now: Instant) -> Self {
        Self {
            on: settings.when == When::Always,
            low: settings.base_mss.saturating_add(options),
            high: peer_mss,
            outstanding: None,
            since: now,
        }
    }

    /// Whether the size is being searched for.
    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    /// What is known to get through, of `size` that the path is said to carry.
    pub(super) fn limit(&mut self, size: u16) -> u16 {
        self.high = self.high.min(size);
        if self.on {
            size.min(self.low)
        } else {
            size
        }
    }

    /// Nothing gets through any more: smaller segments may.
    fn black_hole(&mut self, settings: &Settings, options: u16, now: Instant) {
        if settings.when == When::Never {
            return;
        }
        if !self.on {
            self.on = true;
            self.since = now;
            return;
        }
        let half = self.low.saturating_sub(options) / 2;
        let least = settings.floor.max(super::output::LEAST_MSS);
        let mss = half.min(settings.base_mss).max(least);
        self.low = mss.saturating_add(options);
    }

    /// The size to try, when that of segments is `current` now.
    fn size(
        &mut self,
        settings: &Settings,
        current: u16,
        peer_mss: u16,
        now: Instant,
    ) -> Option<u16> {
        let range = self.high.saturating_sub(self.low);
        if range < settings.threshold.max(2) {
            if now.since(self.since) >= Duration::from_secs(settings.interval.into()) {
                self.low = current;
                self.high = peer_mss;
                self.since = now;
            }
            return None;
        }
        let size = self.low.saturating_add(range / 2);
        (size > current).then_some(size)
    }

    /// All before `una` has arrived.
    pub(super) fn on_ack(&mut self, una: SeqNumber) {
        if let Some((size, _, end)) = self.outstanding {
            if end.at_or_before(una) {
                self.low = size;
                self.outstanding = None;
            }
        }
    }

    /// What begins with `una` is lost. Returns whether that is the probe.
    fn on_loss(&mut self, una: SeqNumber) -> bool {
        match self.outstanding {
            Some((size, start, _)) if start == una => {
                self.high = size.saturating_sub(1);
                self.outstanding = None;
                true
            }
            _ => false,
        }
    }

    /// Something is sent again: what becomes of the probe would say nothing.
    pub(super) fn give_up(&mut self) {
        self.outstanding = None;
    }
}

/// Whether the next segment is a probe.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// It is not.
    Text,
    /// It is, but has to wait for room in the windows; and all other text with it.
    Wait,
    /// With so many bytes of text.
    Probe(u32),
}

impl Tcb {
    pub(super) fn options_len(&self) -> u16 {
        if self.timestamps {
            TIMESTAMPS_LEN
        } else {
            0
        }
    }

    /// The connection is open: the search may begin.
    pub(super) fn start_mtu_search(&mut self, config: &Config, now: Instant) {
        self.mtu_probe = MtuProbe::new(&config.mtu, self.options_len(), self.peer_mss, now);
    }

    /// The retransmission timer expires once more.
    pub(super) fn suspect_black_hole(&mut self, config: &Config, now: Instant) {
        if self.retries >= config.retries1 {
            let options = self.options_len();
            self.mtu_probe.black_hole(&config.mtu, options, now);
        }
    }

    /// Whether a probe is to be sent next.
    pub(super) fn next_probe<Q: Queues>(
        &mut self,
        config: &Config,
        queues: &Q,
        now: Instant,
    ) -> Next {
        let marked = self.is_urgent() || self.tells_user_timeout(0, now);
        if !self.mtu_probe.on || self.mtu_probe.outstanding.is_some() || marked {
            return Next::Text;
        }
        let mss = self.mss32();
        let cwnd = self.cwnd();
        let calm = self.recovery == Recovery::Open && !self.is_disordered();
        // Selective acknowledgments take their place from the text.
        let gaps = self.has_blocks(queues);
        if !calm || gaps || cwnd < mss.saturating_mul(MIN_WINDOW) {
            return Next::Text;
        }
        let options = self.options_len().saturating_add(self.ecn_option_len(now));
        let current = self.eff_mss.saturating_add(options);
        let peer_mss = self.peer_mss;
        let Some(size) = self.mtu_probe.size(&config.mtu, current, peer_mss, now) else {
            return Next::Text;
        };
        let len = u32::from(size.saturating_sub(options));
        // So much must follow that the loss is found by duplicates.
        let behind = u32::from(self.rack.reordering()).saturating_add(1);
        let needed = len.saturating_add(mss.saturating_mul(behind));
        if self.unsent() < needed || self.snd_wnd < needed {
            return Next::Text;
        }
        let flight = self.flight();
        if flight.saturating_add(needed) > self.snd_wnd {
            return Next::Wait;
        }
        if self.pipe().saturating_add(len).saturating_add(mss) > cwnd {
            return if self.pipe() == 0 {
                Next::Text
            } else {
                Next::Wait
            };
        }
        self.mtu_probe.outstanding = Some((size, self.snd_nxt, self.snd_nxt + len));
        Next::Probe(len)
    }

    /// Something is lost. Returns whether that is the probe alone, as far as can be told: then it is
    /// sent again in smaller segments, and the window stays as it is.
    pub(super) fn is_probe_lost(&mut self) -> bool {
        if self.recovery != Recovery::Open || !self.mtu_probe.on_loss(self.snd_una) {
            return false;
        }
        self.repair_without_reduction();
        true
    }

    /// The path carries segments of `size` now. [`Tcb::poll_transmit`] is told of it too; but a timer
    /// may have to know before.
    pub fn on_path(&mut self, size: u16) {
        self.set_mss(size);
    }

    /// The path's MTU has become smaller, to one that `size` fits: segments that are larger are
    /// gone, which is no sign of congestion (RFC 1191 6.4). They are sent again.
    pub fn on_mtu_reduced<S: RecordStore>(&mut self, store: &mut S, size: u16) {
        if !self.state.may_transmit() || self.flight() == 0 {
            return;
        }
        self.set_mss(size);
        let mss = self.eff_mss;
        let mut lost = false;
        for i in 0..store.records().len() {
            let Some(record) = store.records().get(i) else {
                break;
            };
            let large = record.mss > mss && record.len() > u32::from(mss);
            if large && record.fate != Fate::Sacked {
                lost |= self.scoreboard.mark_lost(store, i).is_some();
            }
        }
        if lost {
            self.mtu_probe.give_up();
            self.repair_without_reduction();
        }
    }

    /// What is marked as lost is sent again as after a timeout, but congestion control hears
    /// nothing.
    fn repair_without_reduction(&mut self) {
        self.undo.end();
        if !matches!(self.recovery, Recovery::Fast { .. }) {
            self.undo.frto = Frto::Off;
            self.recovery = Recovery::Loss {
                recover: self.snd_nxt,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: Settings = Settings {
        when: When::Always,
        base_mss: 1000,
        floor: 48,
        threshold: 8,
        interval: 600,
    };
    const OPTIONS: u16 = 12;

    fn at(s: u64) -> Instant {
        Instant::default() + Duration::from_secs(s)
    }

    fn new(settings: &Settings) -> MtuProbe {
        MtuProbe::new(settings, OPTIONS, 1460, at(0))
    }

    fn sizes(probe: &mut MtuProbe, carries: u16) -> Vec<u16> {
        let mut all = Vec::new();
        while let Some(size) = probe.size(&SETTINGS, probe.low, 1460, at(1)) {
            let (start, end) = (SeqNumber(5), SeqNumber(9));
            probe.outstanding = Some((size, start, end));
            if size <= carries {
                probe.on_ack(end);
            } else {
                assert!(probe.on_loss(start));
            }
            all.push(size);
        }
        all
    }

    #[test]
    fn the_search_ends_a_threshold_below_what_the_path_carries() {
        for carries in [1012, 1100, 1211, 1233, 1300, 1459, 1460] {
            let mut probe = new(&SETTINGS);
            let all = sizes(&mut probe, carries);
            assert!(all.len() <= 8, "{all:?}");
            assert!(probe.low <= carries && carries - probe.low < 8 + 1);
        }
    }

    #[test]
    fn segments_are_no_larger_than_what_got_through() {
        let mut probe = new(&SETTINGS);
        assert_eq!(probe.limit(1460), 1012);
        sizes(&mut probe, 1460);
        assert!(probe.limit(1460) > 1450);
        assert_eq!(probe.limit(500), 500, "the path is known to be narrower");
    }

    #[test]
    fn without_probing_the_path_is_believed() {
        for when in [When::Never, When::BlackHole] {
            let mut probe = new(&Settings { when, ..SETTINGS });
            assert_eq!(probe.limit(1460), 1460);
        }
    }

    #[test]
    fn a_black_hole_turns_probing_on_and_then_halves() {
        let settings = Settings {
            when: When::BlackHole,
            ..SETTINGS
        };
        let mut probe = new(&settings);
        for mss in [1000, 500, 250, 125, 62, 48, 48] {
            probe.black_hole(&settings, OPTIONS, at(3));
            assert_eq!(probe.limit(1460), mss + OPTIONS);
        }
    }

    #[test]
    fn a_black_hole_is_not_looked_for_when_probing_is_off() {
        let settings = Settings {
            when: When::Never,
            ..SETTINGS
        };
        let mut probe = new(&settings);
        probe.black_hole(&settings, OPTIONS, at(3));
        assert_eq!(probe.limit(1460), 1460);
    }

    #[test]
    fn the_floor_is_kept() {
        let settings = Settings {
            floor: 400,
            ..SETTINGS
        };
        let mut probe = new(&settings);
        for _ in 0..9 {
            probe.black_hole(&settings, OPTIONS, at(3));
        }
        assert_eq!(probe.limit(1460), 412);
    }

    #[test]
    fn the_search_begins_again_after_the_interval() {
        let mut probe = new(&SETTINGS);
        sizes(&mut probe, 1100);
        let low = probe.low;
        assert_eq!(probe.size(&SETTINGS, low, 1460, at(599)), None);
        assert_eq!(probe.size(&SETTINGS, low, 1460, at(600)), None);
        let size = probe.size(&SETTINGS, low, 1460, at(601));
        assert_eq!(size, Some(low + (1460 - low) / 2));
    }

    #[test]
    fn a_peer_that_takes_less_than_the_base_is_not_probed() {
        let mut probe = MtuProbe::new(&SETTINGS, OPTIONS, 536, at(0));
        assert_eq!(probe.size(&SETTINGS, 536, 536, at(1)), None);
    }

    #[test]
    fn the_loss_of_something_else_says_nothing() {
        let mut probe = new(&SETTINGS);
        probe.outstanding = Some((1200, SeqNumber(5), SeqNumber(9)));
        assert!(!probe.on_loss(SeqNumber(4)));
        assert_eq!(probe.high, 1460);
        probe.on_ack(SeqNumber(8));
        assert_eq!(probe.low, 1012);
        probe.give_up();
        probe.on_ack(SeqNumber(9));
        assert_eq!(probe.low, 1012);
    }
}
