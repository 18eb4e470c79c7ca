// SPDX-License-Identifier: GPL-2.0
//! Whether an act was as it should be.

use anyhow::{bail, Result};

use super::stage::Stage;
use crate::diagram::{Ink, Pen, Side};
use crate::state::State;

/// Whether each end went through the states of RFC 9293, figure 5, and none was left out; and
/// whether the queues were seen to fill, with `guests` connections at least. Tells it.
///
/// # Errors
///
/// What was not as it should be.
pub fn check(
    stage: &Stage<'_>,
    closes_first: Side,
    time_wait_ends: bool,
    guests: u32,
) -> Result<()> {
    for side in [Side::Client, Side::Server] {
        let expected = expected_states(side, closes_first, time_wait_ends);
        let seen = stage.world.history(side);
        if seen != expected {
            bail!(
                "the {} went through {}, not through {}",
                side.name(),
                path(stage.pen, seen),
                path(stage.pen, &expected)
            );
        }
    }
    let peak = stage.world.peak();
    if peak.syn == 0 || peak.accept < guests {
        bail!("the queues were not seen to fill: at most {peak:?}");
    }
    stage.gap();
    stage.line(&stage.pen.ink(Ink::Good, "As it should be:"));
    for side in [Side::Client, Side::Server] {
        let states = path(stage.pen, stage.world.history(side));
        stage.line(&format!("   {} {states}", side.name()));
    }
    Ok(())
}

fn expected_states(side: Side, closes_first: Side, time_wait_ends: bool) -> Vec<State> {
    let opening = match side {
        Side::Client => State::SynSent,
        Side::Server => State::SynReceived,
    };
    let mut states = vec![opening, State::Established];
    if side == closes_first {
        states.extend([State::FinWait1, State::FinWait2, State::TimeWait]);
        states.extend(time_wait_ends.then_some(State::Closed));
    } else {
        states.extend([State::CloseWait, State::LastAck, State::Closed]);
    }
    states
}

fn path(pen: Pen, states: &[State]) -> String {
    let arrow = if pen.rich { " → " } else { " > " };
    let names: Vec<&str> = states.iter().map(|state| state.rfc_name()).collect();
    names.join(arrow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_its_way_through_the_states() {
        let way = |side, closes_first, time_wait_ends| {
            let states = expected_states(side, closes_first, time_wait_ends);
            path(Pen { rich: false }, &states)
        };
        assert_eq!(
            way(Side::Server, Side::Server, true),
            "SYN-RECEIVED > ESTABLISHED > FIN-WAIT-1 > FIN-WAIT-2 > TIME-WAIT > CLOSED"
        );
        assert_eq!(
            way(Side::Server, Side::Client, true),
            "SYN-RECEIVED > ESTABLISHED > CLOSE-WAIT > LAST-ACK > CLOSED"
        );
        assert_eq!(
            way(Side::Client, Side::Client, false),
            "SYN-SENT > ESTABLISHED > FIN-WAIT-1 > FIN-WAIT-2 > TIME-WAIT"
        );
    }
}
