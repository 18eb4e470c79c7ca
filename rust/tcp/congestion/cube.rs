// SPDX-License-Identifier: GPL-2.0

//! The curve of CUBIC (RFC 9438 4.2), in integers: `W_cubic(t) = C (t - K)^3 + W_max`.

use crate::tcp::pack::packed;
use crate::tcp::time::Duration;

/// Units of time of the curve in a second.
#[cfg(test)]
const TICKS: u64 = 4096;

/// Beyond 512 s of its middle the curve is taken to be flat: its cube would not fit, and there it
/// is 53 million segments away from any window.
const MAX_TICKS: u64 = (1 << 21) - 1;

/// `d` in units of the curve.
fn ticks(d: Duration) -> u64 {
    // 4096 / 1,000,000.
    d.us().min(1 << 40).saturating_mul(64) / 15_625
}

/// The greatest whole number whose cube is at most `x`.
fn cube_root(x: u64) -> u32 {
    // Bit by bit from the top, as by hand: what is left of `x` against (2y + 1)^3 - (2y)^3.
    let mut rest = x;
    let mut root = 0u64;
    let mut shift = 63u32;
    loop {
        root = root.wrapping_mul(2);
        let step = root
            .wrapping_mul(root.wrapping_add(1))
            .wrapping_mul(3)
            .wrapping_add(1);
        if rest.wrapping_shr(shift) >= step {
            rest = rest.wrapping_sub(step.wrapping_shl(shift));
            root = root.wrapping_add(1);
        }
        match shift.checked_sub(3) {
            Some(next) => shift = next,
            None => return root as u32,
        }
    }
}

/// A curve of CUBIC: C is 0.4 segments a second cubed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Curve {
    /// Where it is flat, bytes: W_max.
    origin: u32,
    /// When it is flat, ticks: K.
    k: u32,
}

packed!(struct Curve { origin, k });

impl Curve {
    /// The curve that begins at `cwnd` and is flat at `w_max`; one that is flat at its beginning,
    /// if that is not above it.
    pub(super) fn new(cwnd: u32, w_max: u32, mss: u32) -> Self {
        if w_max <= cwnd {
            return Self { origin: cwnd, k: 0 };
        }
        // K^3 = (W_max - cwnd) / C, by segments; ticks cubed are 2^36 to the second cubed.
        let gap = u64::from(w_max - cwnd).saturating_mul(5 << 24);
        let cubed = (gap / u64::from(mss.max(1)).saturating_mul(2)).saturating_mul(1 << 12);
        Self {
            origin: w_max,
            k: cube_root(cubed),
        }
    }

    /// Its height `t` after its beginning, bytes.
    pub(super) fn at(&self, t: Duration, mss: u32) -> u32 {
        let t = ticks(t);
        let k = u64::from(self.k);
        let far = t.abs_diff(k).min(MAX_TICKS);
        // Seconds cubed, with ten bits behind the point.
        let cubed = far.saturating_mul(far).saturating_mul(far) >> 26;
        let height = (cubed.saturating_mul(u64::from(mss).saturating_mul(2)) / 5) >> 10;
        let height = u32::try_from(height).unwrap_or(u32::MAX);
        if t < k {
            self.origin.saturating_sub(height)
        } else {
            self.origin.saturating_add(height)
        }
    }

    /// K: when it is flat.
    #[cfg(test)]
    pub(super) fn flat_at(&self) -> Duration {
        Duration::from_us(u64::from(self.k) * 1_000_000 / TICKS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MSS: u32 = 1000;

    #[test]
    fn cube_roots_of_small_numbers_and_of_the_largest() {
        for (x, root) in [
            (0, 0),
            (1, 1),
            (7, 1),
            (8, 2),
            (26, 2),
            (27, 3),
            (999_999, 99),
            (1_000_000, 100),
            (u64::MAX, 2_642_245),
        ] {
            assert_eq!(cube_root(x), root, "{x}");
        }
    }

    #[test]
    fn cubes_have_their_roots_and_what_is_below_has_not() {
        for root in 1..=5000u64 {
            let cube = root * root * root;
            assert_eq!(u64::from(cube_root(cube)), root);
            assert_eq!(u64::from(cube_root(cube - 1)), root - 1);
        }
    }

    #[test]
    fn ticks_are_a_4096th_of_a_second() {
        assert_eq!(ticks(Duration::from_secs(1)), TICKS);
        assert_eq!(ticks(Duration::from_us(245)), 1);
        assert_eq!(ticks(Duration::ZERO), 0);
        assert!(ticks(Duration::from_us(u64::MAX)) > MAX_TICKS);
    }

    #[test]
    fn k_is_that_of_the_rfc() {
        // K = cbrt((W_max - cwnd) / 0.4).
        for (cwnd, w_max, k) in [(70, 100, 4.217), (700, 1000, 9.086), (7, 10, 1.957)] {
            let curve = Curve::new(cwnd * MSS, w_max * MSS, MSS);
            let got = curve.flat_at().us() as f64 / 1e6;
            assert!((got - k).abs() < 0.002, "{cwnd} {w_max}: {got}");
        }
    }

    #[test]
    fn it_begins_at_the_window_and_is_flat_at_the_old_one() {
        let curve = Curve::new(700 * MSS, 1000 * MSS, MSS);
        let start = curve.at(Duration::ZERO, MSS);
        assert!(start.abs_diff(700 * MSS) < MSS, "{start}");
        assert_eq!(curve.at(curve.flat_at(), MSS), 1000 * MSS);
    }

    #[test]
    fn a_window_above_the_old_one_begins_flat() {
        let curve = Curve::new(50 * MSS, 40 * MSS, MSS);
        assert_eq!(curve.at(Duration::ZERO, MSS), 50 * MSS);
        // 0.4 * 10^3.
        assert_eq!(curve.at(Duration::from_secs(10), MSS), 450 * MSS);
    }

    #[test]
    fn it_is_the_curve_of_the_rfc_within_a_segment() {
        for (cwnd, w_max) in [(7u32, 10u32), (70, 100), (700, 1000), (7000, 10_000)] {
            for mss in [536u32, 1000, 1460, 9000] {
                let curve = Curve::new(cwnd * mss, w_max * mss, mss);
                let k = (f64::from(w_max - cwnd) / 0.4).cbrt();
                for ms in (0..30_000u32).step_by(37) {
                    let t = f64::from(ms) / 1000.0;
                    let exact = 0.4 * (t - k).powi(3) + f64::from(w_max);
                    let got = f64::from(curve.at(Duration::from_ms(ms.into()), mss));
                    let off = (got / f64::from(mss) - exact).abs();
                    assert!(off < 1.0, "{cwnd} {w_max} {mss} at {ms}: {got} {exact}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn a_root_is_the_greatest_whole_number(x: u64) {
            let root = u128::from(cube_root(x));
            prop_assert!(root.pow(3) <= u128::from(x));
            prop_assert!((root + 1).pow(3) > u128::from(x));
        }

        #[test]
        fn a_curve_never_falls(
            cwnd: u32, w_max: u32, mss in 1u32..65_536, a in 0u64..1 << 34, b in 0u64..1 << 34,
        ) {
            let curve = Curve::new(cwnd, w_max, mss);
            let early = curve.at(Duration::from_us(a.min(b)), mss);
            let late = curve.at(Duration::from_us(a.max(b)), mss);
            prop_assert!(early <= late);
        }

        #[test]
        fn no_numbers_are_too_large(cwnd: u32, w_max: u32, mss: u32, t: u64) {
            Curve::new(cwnd, w_max, mss).at(Duration::from_us(t), mss);
        }
    }
}
