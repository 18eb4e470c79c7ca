// SPDX-License-Identifier: GPL-2.0

//! The rate at which a window is sent where the control names none, as Linux has it: a multiple of
//! a window for each round-trip time, so that pacing never holds the window back.

use super::CongestionControl;
use crate::tcp::pack::packed;
use crate::tcp::time::Duration;

/// Multiples of a window for each round-trip time, percent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ratios {
    /// In slow start (`tcp_pacing_ss_ratio`).
    pub slow_start: u16,
    /// In congestion avoidance (`tcp_pacing_ca_ratio`).
    pub avoidance: u16,
}

packed!(struct Ratios { slow_start, avoidance });

impl Default for Ratios {
    fn default() -> Self {
        Self {
            slow_start: 200,
            avoidance: 120,
        }
    }
}

/// The rate to send at, bytes a second, with `outstanding` bytes sent and not acknowledged:
/// `control`'s own, or one that follows from its window. `None` before a round-trip time was
/// measured: there is nothing to spread a window over.
pub fn pacing_rate(
    control: &impl CongestionControl,
    outstanding: u32,
    srtt: Duration,
    ratios: Ratios,
) -> Option<u64> {
    if let Some(rate) = control.pacing_rate() {
        return Some(rate);
    }
    let us = srtt.us();
    if us == 0 {
        return None;
    }
    let cwnd = control.window();
    // Near its end slow start slows down already.
    let ratio = if cwnd < control.ssthresh() / 2 {
        ratios.slow_start
    } else {
        ratios.avoidance
    };
    let bytes = u64::from(cwnd.max(outstanding)).saturating_mul(u64::from(ratio));
    Some(bytes.saturating_mul(10_000) / us)
}

#[cfg(test)]
mod tests {
    use super::super::{Algorithm, Congested, Congestion, Signal};
    use super::*;
    use crate::tcp::time::Instant;

    const RTT: Duration = Duration::from_ms(100);

    fn rate(cc: &Congestion, outstanding: u32) -> Option<u64> {
        pacing_rate(cc, outstanding, RTT, Ratios::default())
    }

    #[test]
    fn slow_start_is_sent_at_twice_the_windows_rate() {
        let cc = Congestion::new(Algorithm::Reno, 1000);
        assert_eq!(rate(&cc, 0), Some(200_000));
    }

    #[test]
    fn congestion_avoidance_at_a_fifth_more_than_the_windows_rate() {
        let mut cc = Congestion::new(Algorithm::Reno, 1000);
        cc.on_congestion(&Congested {
            signal: Signal::Loss,
            flight: 10_000,
            used: None,
            mss: 1000,
            now: Instant::default(),
        });
        assert_eq!(rate(&cc, 0), Some(60_000));
        assert_eq!(rate(&cc, 10_000), Some(120_000));
    }

    #[test]
    fn there_is_none_before_the_first_measurement() {
        let cc = Congestion::new(Algorithm::Cubic, 1000);
        assert_eq!(pacing_rate(&cc, 0, Duration::ZERO, Ratios::default()), None);
    }

    #[test]
    fn the_settings_are_followed() {
        let cc = Congestion::new(Algorithm::Reno, 1000);
        let ratios = Ratios {
            slow_start: 300,
            avoidance: 100,
        };
        assert_eq!(pacing_rate(&cc, 0, RTT, ratios), Some(300_000));
    }

    #[test]
    fn a_control_that_rules_the_rate_is_asked() {
        let cc = Congestion::new(Algorithm::Bbr, 1000);
        assert_eq!(rate(&cc, 1 << 30), cc.pacing_rate());
        assert!(cc.pacing_rate().is_some());
    }
}
