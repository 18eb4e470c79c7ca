// SPDX-License-Identifier: GPL-2.0
//! Numbers as ss(8) and nstat(8) print them.

/// At most `digits` significant digits, without trailing zeros (C's `%.*g`, without exponents).
pub fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 || !value.is_finite() {
        return "0".to_owned();
    }
    let whole = value.abs().log10().floor() as i64 + 1;
    let decimals = usize::try_from(digits as i64 - whole).unwrap_or(0);
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Bits per second with a unit: `218Mbps`.
pub fn rate(bits: f64) -> String {
    let units = ["", "K", "M", "G", "T"];
    let mut value = bits;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{}{}bps", significant(value, 3), units[unit])
}

/// A time in ms as `ss -o` prints it: `7.396ms` is 7 s and 396 ms.
pub fn timer(ms: u128) -> String {
    let (minutes, mut secs, mut rest) = (ms / 60_000, ms / 1000 % 60, ms % 1000);
    let mut text = String::new();
    if minutes > 0 {
        rest = 0;
        text += &format!("{minutes}min");
        if minutes > 9 {
            secs = 0;
        }
    }
    if secs > 0 {
        if secs > 9 {
            rest = 0;
        }
        text += &format!("{secs}{}", if rest > 0 { "." } else { "sec" });
    }
    if rest > 0 {
        text += &format!("{rest:03}ms");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_counted_as_by_printf() {
        for (value, digits, text) in [
            (0.0, 6, "0"),
            (204.0, 6, "204"),
            (0.017, 6, "0.017"),
            (1234.5678, 6, "1234.57"),
            (1_234_567.0, 6, "1234567"),
            (1.25, 3, "1.25"),
            (99.96, 3, "100"),
        ] {
            assert_eq!(significant(value, digits), text);
        }
    }

    #[test]
    fn rates_have_units() {
        for (bits, text) in [
            (0.0, "0bps"),
            (999.0, "999bps"),
            (217_858_160.0, "218Mbps"),
            (4_542_456_592.0, "4.54Gbps"),
            (1_503_367_888.0, "1.5Gbps"),
            (9e15, "9000Tbps"),
        ] {
            assert_eq!(rate(bits), text);
        }
    }

    #[test]
    fn times_are_those_of_ss() {
        for (ms, text) in [
            (0, ""),
            (5, "005ms"),
            (204, "204ms"),
            (7_396, "7.396ms"),
            (9_000, "9sec"),
            (23_456, "23sec"),
            (90_500, "1min30sec"),
            (601_000, "10min"),
        ] {
            assert_eq!(timer(ms), text);
        }
    }
}
