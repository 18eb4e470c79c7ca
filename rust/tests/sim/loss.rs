// SPDX-License-Identifier: GPL-2.0

//! Which packets a line loses.

use crate::support::rng::Rng;

/// Losses after which a periodic one slips.
const SLIP: u64 = 16;

/// A model of loss; chances are of 1000.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    None,
    /// Each for itself.
    Random(u32),
    /// In bursts, as Gilbert and Elliott have it: the line changes between a good and a bad state
    /// with the chances `to_bad` and `to_good` for each packet, and loses with the chance of its
    /// state.
    Burst {
        to_bad: u32,
        to_good: u32,
        good: u32,
        bad: u32,
    },
    /// Every so manieth; one later after each [`SLIP`] losses, lest it fall in step with timers and
    /// take the same segment for ever.
    Periodic(u64),
}

/// A model with its state.
pub struct Losses {
    model: Loss,
    bad: bool,
    /// Packets since the last loss, and losses.
    count: u64,
    lost: u64,
}

impl Losses {
    pub fn new(model: Loss) -> Self {
        Self {
            model,
            bad: false,
            count: 0,
            lost: 0,
        }
    }

    /// Whether the next packet is lost.
    pub fn next(&mut self, rng: &mut Rng) -> bool {
        self.count += 1;
        match self.model {
            Loss::None => false,
            Loss::Random(chance) => rng.chance(chance),
            Loss::Burst {
                to_bad,
                to_good,
                good,
                bad,
            } => {
                let flips = rng.chance(if self.bad { to_good } else { to_bad });
                self.bad ^= flips;
                rng.chance(if self.bad { bad } else { good })
            }
            Loss::Periodic(every) => {
                let late = self.lost > 0 && self.lost % SLIP == 0;
                let lost = self.count >= every + u64::from(late);
                if lost {
                    self.lost += 1;
                    self.count = 0;
                }
                lost
            }
        }
    }
}
