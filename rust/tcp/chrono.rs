// SPDX-License-Identifier: GPL-2.0

//! How long the connection had something to send, and what kept it from sending faster, as
//! `TCP_INFO` tells it (`tcpi_busy_time` and the two behind it).

use super::pack::packed;
use super::time::{Duration, Instant};

/// What the connection is at, the later the more telling.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) enum Activity {
    /// Everything is acknowledged.
    #[default]
    Idle,
    /// Something is to be sent or acknowledged.
    Busy,
    /// The peer's window holds it back.
    WindowLimited,
    /// The send buffer does: the user has more to say.
    BufferLimited,
}

packed!(enum Activity { 0 => Idle, 1 => Busy, 2 => WindowLimited, 3 => BufferLimited });

/// Times, in ms.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Chrono {
    since: Instant,
    busy: u32,
    window: u32,
    buffer: u32,
    activity: Activity,
    /// The user waits for room in the send buffer.
    pub(super) full: bool,
}

packed!(struct Chrono { since, busy, window, buffer, activity, full });

/// What [`Tcb::chrono`](super::Tcb::chrono) tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Times {
    /// Something was to be sent or acknowledged.
    pub busy: Duration,
    /// Of that, the peer's window held it back.
    pub window_limited: Duration,
    /// The send buffer did.
    pub buffer_limited: Duration,
}

impl Chrono {
    fn set(&mut self, activity: Activity, now: Instant) {
        if self.activity == Activity::Idle {
            (self.since, self.activity) = (now, activity);
            return;
        }
        let past = now.since(self.since);
        self.since = now;
        if let Some(sum) = self.sum(self.activity) {
            let ms = past.ms();
            *sum = sum.saturating_add(u32::try_from(ms).unwrap_or(u32::MAX));
            // What was rounded off is counted with what follows.
            self.since = now - past.saturating_sub(Duration::from_ms(ms));
        }
        self.activity = activity;
    }

    fn sum(&mut self, activity: Activity) -> Option<&mut u32> {
        match activity {
            Activity::Idle => None,
            Activity::Busy => Some(&mut self.busy),
            Activity::WindowLimited => Some(&mut self.window),
            Activity::BufferLimited => Some(&mut self.buffer),
        }
    }

    /// `activity` begins, unless something more telling is at work.
    pub(super) fn start(&mut self, activity: Activity, now: Instant) {
        if activity > self.activity {
            self.set(activity, now);
        }
    }

    /// `activity` ends, with something still to be sent or acknowledged.
    pub(super) fn stop(&mut self, activity: Activity, now: Instant) {
        if activity == self.activity {
            self.set(Activity::Busy, now);
        }
    }

    /// Whether everything is acknowledged.
    pub(super) fn rests(&self) -> bool {
        self.activity == Activity::Idle
    }

    /// Everything is acknowledged.
    pub(super) fn rest(&mut self, now: Instant) {
        if !self.rests() {
            self.set(Activity::Idle, now);
        }
    }

    pub(super) fn times(&self, now: Instant) -> Times {
        let mut all = *self;
        all.set(Activity::Idle, now);
        let ms = |ms: u32| Duration::from_ms(ms.into());
        let (window_limited, buffer_limited) = (ms(all.window), ms(all.buffer));
        Times {
            busy: ms(all.busy) + window_limited + buffer_limited,
            window_limited,
            buffer_limited,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_us(ms * 1000)
    }

    #[test]
    fn the_most_telling_activity_is_counted_and_all_are_busy() {
        let mut chrono = Chrono::default();
        chrono.start(Activity::Busy, at(10));
        chrono.start(Activity::BufferLimited, at(20));
        chrono.start(Activity::WindowLimited, at(25));
        chrono.stop(Activity::WindowLimited, at(30));
        chrono.stop(Activity::BufferLimited, at(50));
        chrono.start(Activity::WindowLimited, at(60));
        chrono.rest(at(100));
        chrono.rest(at(150));
        let times = chrono.times(at(200));
        assert_eq!(times.busy.ms(), 90);
        assert_eq!(times.window_limited.ms(), 40);
        assert_eq!(times.buffer_limited.ms(), 30);
    }

    #[test]
    fn what_goes_on_is_counted_too() {
        let mut chrono = Chrono::default();
        assert_eq!(chrono.times(at(500)), Times::default());
        chrono.start(Activity::Busy, at(500));
        assert_eq!(chrono.times(at(507)).busy.ms(), 7);
    }

    #[test]
    fn fractions_of_a_millisecond_add_up() {
        let mut chrono = Chrono::default();
        for i in 0..1000 {
            let now = Instant::from_us(i * 500);
            if i % 2 == 0 {
                chrono.start(Activity::Busy, now);
                chrono.start(Activity::WindowLimited, now);
            } else {
                chrono.stop(Activity::WindowLimited, now);
            }
        }
        let times = chrono.times(Instant::from_us(500_000));
        assert!((495..=500).contains(&times.busy.ms()), "{times:?}");
    }
}
