// SPDX-License-Identifier: GPL-2.0
//! Events of several observers, in the order of time.

use std::collections::BTreeMap;
use std::time::Duration;

/// An event is given out when it is this old: by then the other observers have told of what came
/// before it.
const SETTLE: Duration = Duration::from_millis(30);

/// Events that are not old enough.
#[derive(Debug)]
pub struct Order<T> {
    /// By time and then in the order of their coming.
    pending: BTreeMap<(Duration, u64), T>,
    arrived: u64,
}

impl<T> Order<T> {
    /// None yet.
    pub fn new() -> Order<T> {
        Order {
            pending: BTreeMap::new(),
            arrived: 0,
        }
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Takes in an event that stands at a time of `CLOCK_MONOTONIC`.
    pub fn insert(&mut self, at: Duration, event: T) {
        self.arrived += 1;
        self.pending.insert((at, self.arrived), event);
    }

    /// The next event that is old enough at `now`.
    pub fn settled(&mut self, now: Duration) -> Option<T> {
        let settled = now.saturating_sub(SETTLE);
        let entry = self.pending.first_entry()?;
        (entry.key().0 <= settled).then(|| entry.remove())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_when_they_are_old() {
        let at = Duration::from_millis;
        let mut order = Order::new();
        for (ms, event) in [(120, "c"), (100, "a"), (100, "b"), (300, "d")] {
            order.insert(at(ms), event);
        }
        assert_eq!(order.settled(at(129)), None);
        assert_eq!(order.settled(at(130)), Some("a"));
        assert_eq!(order.settled(at(200)), Some("b"));
        assert_eq!(order.settled(at(200)), Some("c"));
        assert_eq!(order.settled(at(200)), None);
        assert!(!order.is_empty());
        assert_eq!(order.settled(at(400)), Some("d"));
        assert!(order.is_empty());
    }
}
