// SPDX-License-Identifier: GPL-2.0

//! The least value of those of the last while, without keeping them all (Kathleen Nichols'
//! algorithm, as in Linux's `win_minmax`): the least, the least since, and the least since that,
//! each to take over when the one before it becomes too old.

use super::pack::packed;
use super::time::{Duration, Instant};

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Sample {
    /// When, ms (wraps).
    at: u32,
    value: u32,
}

packed!(struct Sample { at, value });

/// The filter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct WindowedMin {
    best: [Sample; 3],
    begun: bool,
}

packed!(struct WindowedMin { best, begun });

impl WindowedMin {
    /// The least value, if there was one.
    pub(super) fn get(&self) -> Option<u32> {
        let [first, ..] = self.best;
        self.begun.then_some(first.value)
    }

    /// Takes a value; those older than `window` count no more.
    pub(super) fn update(&mut self, value: u32, window: Duration, now: Instant) {
        let new = Sample {
            at: now.ms_wrapped(),
            value,
        };
        let window = u32::try_from(window.ms()).unwrap_or(u32::MAX);
        let age = |s: Sample| new.at.wrapping_sub(s.at);
        let [first, second, third] = self.best;
        if !self.begun || value <= first.value || age(third) > window {
            self.best = [new; 3];
            self.begun = true;
            return;
        }
        let (second, third) = match value {
            v if v <= second.value => (new, new),
            v if v <= third.value => (second, new),
            _ => (second, third),
        };
        self.best = if age(first) > window {
            if age(second) > window {
                [third, new, new]
            } else {
                [second, third, new]
            }
        } else if second.at == first.at && age(first) > window / 4 {
            [first, new, new]
        } else if third.at == second.at && age(first) > window / 2 {
            [first, second, new]
        } else {
            [first, second, third]
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WINDOW: Duration = Duration::from_ms(1000);

    /// The least after each of the values, given with its time in ms.
    fn after(values: &[(u64, u32)]) -> Vec<u32> {
        let mut filter = WindowedMin::default();
        let mut all = Vec::new();
        for &(ms, value) in values {
            filter.update(value, WINDOW, Instant::from_us(ms * 1000));
            all.push(filter.get().unwrap());
        }
        all
    }

    #[test]
    fn before_a_value_there_is_none() {
        assert_eq!(WindowedMin::default().get(), None);
    }

    #[test]
    fn the_least_counts() {
        assert_eq!(after(&[(0, 5), (1, 7), (2, 3), (3, 9)]), [5, 5, 3, 3]);
    }

    #[test]
    fn the_least_is_forgotten_when_it_is_too_old() {
        let values = [(0, 5), (300, 7), (600, 8), (1000, 9), (1001, 9)];
        assert_eq!(after(&values), [5, 5, 5, 5, 7]);
    }

    #[test]
    fn after_a_long_silence_the_new_value_counts() {
        assert_eq!(after(&[(0, 5), (300, 6), (5000, 9)]), [5, 5, 9]);
    }

    #[test]
    fn the_clock_may_wrap() {
        let wrap = u64::from(u32::MAX);
        let values = [(wrap - 300, 5), (wrap, 7), (wrap + 300, 8), (wrap + 701, 9)];
        assert_eq!(after(&values), [5, 5, 5, 7]);
    }

    #[test]
    fn a_window_of_nothing_keeps_the_last_of_later_values() {
        let mut filter = WindowedMin::default();
        for (ms, value) in [(0, 5), (1, 7), (2, 9)] {
            filter.update(value, Duration::ZERO, Instant::from_us(ms * 1000));
            assert_eq!(filter.get(), Some(value));
        }
    }

    proptest! {
        /// It may be of a part of the window only, but never of before it, and never above the
        /// latest value.
        #[test]
        fn it_is_a_value_of_the_window(steps in prop::collection::vec((0u64..400, 1u32..50), 1..80)) {
            let mut filter = WindowedMin::default();
            let mut seen: Vec<(u64, u32)> = Vec::new();
            let mut now = 0;
            for (gap, value) in steps {
                now += gap;
                seen.push((now, value));
                filter.update(value, WINDOW, Instant::from_us(now * 1000));
                let least = filter.get().unwrap();
                prop_assert!(least <= value);
                prop_assert!(seen.iter().any(|&(at, v)| v == least && now - at <= 1000));
            }
        }
    }
}
