// SPDX-License-Identifier: GPL-2.0

//! A state as a number, by what `Debug` shows of it: whatever the core adds to its state counts,
//! without being named here.

use oxtcp_core::tcp::time::Instant;
use std::fmt::{self, Debug, Write};

/// What of a point of time was written so far.
enum At {
    Elsewhere,
    Name,
    Bracket,
}

/// Takes what `Debug` writes, piece by piece, without keeping it.
struct Canon {
    hash: u64,
    now: u64,
    at: At,
}

impl Canon {
    fn mix(&mut self, word: u64) {
        // FNV's way, by words instead of bytes, with the high half folded in.
        let product = u128::from(self.hash ^ word) * 0x9e37_79b9_7f4a_7c15;
        self.hash = (product >> 64) as u64 ^ product as u64;
    }
}

impl Write for Canon {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.at = match (&self.at, text) {
            (_, "Instant") => At::Name,
            (At::Name, "(") => At::Bracket,
            (At::Bracket, digits) => {
                let us: u64 = digits.parse().map_err(|_| fmt::Error)?;
                self.mix(us.wrapping_sub(self.now));
                self.at = At::Elsewhere;
                return Ok(());
            }
            _ => At::Elsewhere,
        };
        for part in text.as_bytes().chunks(8) {
            let word = part
                .iter()
                .fold(part.len() as u64, |w, b| w << 8 ^ u64::from(*b));
            self.mix(word);
        }
        Ok(())
    }
}

/// A number for `value`, with points of time in it relative to `now`.
pub fn number(value: &impl Debug, now: Instant) -> u64 {
    let mut canon = Canon {
        hash: 0,
        now: now.us(),
        at: At::Elsewhere,
    };
    write!(canon, "{value:?}").expect("a point of time is Instant(microseconds)");
    canon.hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_count_by_their_distance_from_now() {
        let at = |a: u64, now: u64| number(&Some(Instant::from_us(a)), Instant::from_us(now));
        assert_eq!(at(5, 1), at(1004, 1000));
        assert_ne!(at(5, 1), at(5, 2));
        assert_ne!(
            number(&1, Instant::default()),
            number(&2, Instant::default())
        );
    }
}
