// SPDX-License-Identifier: GPL-2.0

//! What an acknowledgment says, as it is found out step by step.

use super::rate::Sampler;
use super::seq::SeqNumber;
use super::time::Instant;

/// When the first and the last of several runs were sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) first: Instant,
    pub(super) last: Instant,
}

impl Span {
    pub(super) fn add(span: &mut Option<Self>, sent: Instant) {
        *span = Some(Self {
            first: span.map_or(sent, |s| s.first),
            last: sent,
        });
    }
}

/// What an acknowledgment says.
#[derive(Clone, Copy, Debug)]
pub(super) struct News {
    /// SND.UNA before it.
    pub(super) prior_una: SeqNumber,
    /// It moves SND.UNA.
    pub(super) advanced: bool,
    /// It selectively acknowledges something new.
    pub(super) sacked: bool,
    /// It is a duplicate (RFC 5681 2).
    pub(super) duplicate: bool,
    /// It reports a duplicate of ours (RFC 2883).
    pub(super) reported: bool,
    /// The duplicate is the loss probe.
    pub(super) probe_reported: bool,
    /// Something arrived that was sent once, before the timeout (F-RTO).
    pub(super) original: bool,
    /// Something is acknowledged that was sent again.
    pub(super) resent: bool,
    /// What now is the first outstanding was selectively acknowledged.
    pub(super) reneging: bool,
    /// A repetition was lost.
    pub(super) lost_again: bool,
    /// The retransmission timer is to be started anew.
    pub(super) set_timer: bool,
    /// The timestamp that it echoes.
    pub(super) echo: Option<u32>,
    /// Bytes and segments delivered.
    pub(super) delivered: u32,
    pub(super) delivered_segments: u32,
    /// Segments acknowledged cumulatively.
    pub(super) segments: u32,
    /// Times of sending of what was sent once and is now acknowledged.
    pub(super) acked: Option<Span>,
    /// The same of what is now selectively acknowledged.
    pub(super) late: Option<Span>,
    /// The first number of what was sent once and is now acknowledged, or selectively so.
    pub(super) low_acked: Option<SeqNumber>,
    pub(super) low_sacked: Option<SeqNumber>,
    pub(super) sampler: Sampler,
}

impl News {
    pub(super) fn new(prior_una: SeqNumber) -> Self {
        Self {
            prior_una,
            advanced: false,
            sacked: false,
            duplicate: false,
            reported: false,
            probe_reported: false,
            original: false,
            resent: false,
            reneging: false,
            lost_again: false,
            set_timer: false,
            echo: None,
            delivered: 0,
            delivered_segments: 0,
            segments: 0,
            acked: None,
            late: None,
            low_acked: None,
            low_sacked: None,
            sampler: Sampler::default(),
        }
    }

    /// So much has arrived.
    pub(super) fn delivered(&mut self, bytes: u32, segments: u32) {
        self.delivered = self.delivered.saturating_add(bytes);
        self.delivered_segments = self.delivered_segments.saturating_add(segments);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_the_first_and_the_last() {
        let mut span = None;
        for us in [5, 7, 9] {
            Span::add(&mut span, Instant::from_us(us));
        }
        let span = span.map(|s: Span| (s.first.us(), s.last.us()));
        assert_eq!(span, Some((5, 9)));
    }
}
