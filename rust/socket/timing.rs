// SPDX-License-Identifier: GPL-2.0

//! Options that bound a connection's timers: `TCP_RTO_MAX_MS`, `TCP_RTO_MIN_US` and
//! `TCP_DELACK_MAX_US`.

use super::sock_state::SockState;
use crate::net::TICK_US;
use crate::tcp::pack::{packed, Pack, Packer};
use crate::tcp::time::Duration;
use core::num::NonZeroU32;
use kernel::prelude::*;

const TCP_RTO_MAX_MS: i32 = 44;
const TCP_RTO_MIN_US: i32 = 45;
const TCP_DELACK_MAX_US: i32 = 46;

/// Least and largest value of the first, ms.
const RTO_MAX: (i32, i32) = (1000, 120_000);
/// Largest value of the other two, µs.
const MOST: u64 = 200_000;

/// A bound that the user chose, if so, µs. All are minutes at most.
#[derive(Clone, Copy, Default)]
struct Bound(Option<NonZeroU32>);

impl Bound {
    fn new(bound: Duration) -> Self {
        Self(u32::try_from(bound.us()).ok().and_then(NonZeroU32::new))
    }

    fn or(self, otherwise: Duration) -> Duration {
        match self.0 {
            Some(us) => Duration::from_us(us.get().into()),
            None => otherwise,
        }
    }
}

impl Pack for Bound {
    fn pack<P: Packer>(&mut self, by: &mut P) {
        let mut us = self.0.map_or(0, NonZeroU32::get);
        us.pack(by);
        self.0 = NonZeroU32::new(us);
    }
}

packed!(struct Timing { rto_max, rto_min, delayed_ack_max });

/// What the user chose.
#[derive(Clone, Copy, Default)]
pub struct Timing {
    rto_max: Bound,
    rto_min: Bound,
    delayed_ack_max: Bound,
}

impl Timing {
    /// Largest timeout, unless the namespace's is to be.
    pub(super) fn rto_max(&self, namespace: Duration) -> Duration {
        self.rto_max.or(namespace)
    }

    /// Least timeout, unless the namespace's is to be.
    pub(super) fn rto_min(&self, namespace: Duration) -> Duration {
        self.rto_min.or(namespace)
    }

    /// Longest wait of an acknowledgment.
    pub(super) fn delayed_ack_max(&self) -> Duration {
        self.delayed_ack_max.or(Duration::from_us(MOST))
    }
}

/// Whether `name` is one of these options.
pub(super) fn is_option(name: i32) -> bool {
    (TCP_RTO_MAX_MS..=TCP_DELACK_MAX_US).contains(&name)
}

/// As Linux counts: in ticks of the kernel's clock, two at least.
fn in_ticks(us: i32) -> Result<Duration> {
    let us = u64::try_from(us).map_err(|_| EINVAL)?;
    let ticks = us.div_ceil(TICK_US);
    let most = MOST.div_ceil(TICK_US);
    if (2..=most).contains(&ticks) {
        Ok(Duration::from_us(ticks.saturating_mul(TICK_US)))
    } else {
        Err(EINVAL)
    }
}

/// setsockopt(2). Errors: `EINVAL` for a value out of Linux's range.
pub(super) fn set(state: &mut SockState, name: i32, value: i32) -> Result {
    let (chosen, config) = (&mut state.chosen.timing, &mut state.config);
    match name {
        TCP_RTO_MAX_MS => {
            if !(RTO_MAX.0..=RTO_MAX.1).contains(&value) {
                return Err(EINVAL);
            }
            config.rto_max = Duration::from_ms(value.unsigned_abs().into());
            chosen.rto_max = Bound::new(config.rto_max);
        }
        TCP_RTO_MIN_US => {
            config.rto_min = in_ticks(value)?;
            chosen.rto_min = Bound::new(config.rto_min);
        }
        _ => {
            config.delayed_ack_max = in_ticks(value)?;
            chosen.delayed_ack_max = Bound::new(config.delayed_ack_max);
        }
    }
    Ok(())
}

/// getsockopt(2).
pub(super) fn get(state: &SockState, name: i32) -> i32 {
    let config = &state.config;
    let value = match name {
        TCP_RTO_MAX_MS => config.rto_max.ms(),
        TCP_RTO_MIN_US => config.rto_min.us(),
        _ => config.delayed_ack_max.us(),
    };
    i32::try_from(value).unwrap_or(i32::MAX)
}
