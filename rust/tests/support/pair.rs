// SPDX-License-Identifier: GPL-2.0

//! Two endpoints, and a network between them that is a bag of segments: whoever drives it takes
//! them out in any order, once, never or often.

use super::endpoint::{Conn, End, Endpoint, Packet};
use oxtcp_core::tcp::state::State;
use oxtcp_core::tcp::time::{Duration, Instant};

/// Segments delivered in turn, with neither progress nor a timer between them: more are an endless
/// conversation.
const LONGEST_CONVERSATION: usize = 3_000;

/// Timers that fire without progress: R2 is 15 tries, at both ends, with delayed acknowledgments,
/// probes and keepalives between them.
const MOST_TIMERS: usize = 150;

/// Text of the smallest segments: each that waits may have a timer of its own, where they are paced.
const LEAST_TEXT: usize = 36;

/// Both ends and what is on its way between them.
#[derive(Clone, Debug)]
pub struct Pair {
    pub ends: [Endpoint; 2],
    /// To which end, and what.
    pub net: Vec<(usize, Packet)>,
    pub now: Instant,
}

impl Pair {
    pub fn new(ends: [Endpoint; 2]) -> Self {
        Self {
            ends,
            net: Vec::new(),
            now: Instant::from_us(1_000_000),
        }
    }

    pub fn end(&mut self, who: usize) -> &mut Endpoint {
        &mut self.ends[who & 1]
    }

    /// Puts what the ends sent into the network.
    pub fn collect(&mut self) {
        for (who, end) in self.ends.iter_mut().enumerate() {
            let sent = end.outbox.drain(..).map(|packet| (1 - who, packet));
            self.net.extend(sent);
        }
        self.check();
    }

    /// Delivers the segment at `index` of the bag; `keep`: and leaves another of it there.
    pub fn deliver(&mut self, index: usize, keep: bool) {
        if index >= self.net.len() {
            return;
        }
        let (to, packet) = if keep {
            self.net[index].clone()
        } else {
            self.net.remove(index)
        };
        let now = self.now;
        self.end(to).arrive(&packet, now);
        self.collect();
    }

    pub fn lose(&mut self, index: usize) {
        if index < self.net.len() {
            self.net.remove(index);
        }
    }

    /// The earliest deadline, and whose it is.
    pub fn next_timer(&self) -> Option<(Instant, usize)> {
        let at = |who: usize| self.ends[who].deadline().map(|at| (at, who));
        [at(0), at(1)].into_iter().flatten().min()
    }

    /// Waits for the earliest deadline; false when there is none.
    pub fn fire(&mut self) -> bool {
        let Some((at, who)) = self.next_timer() else {
            return false;
        };
        self.now = self.now.max(at);
        let now = self.now;
        self.end(who).timer(now);
        self.collect();
        true
    }

    pub fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// What must hold of both ends together.
    fn check(&mut self) {
        for who in 0..2 {
            let (a, b) = (&self.ends[who], &self.ends[1 - who]);
            let same = a.opened && b.opened;
            // A connection that only one of them still knows compares with nothing.
            let exact = !same || b.written.starts_with(&a.got);
            self.ends[who].expect(
                exact,
                "text that the peer did not write, or not in this order",
            );
        }
    }

    pub fn fault(&self) -> Option<&'static str> {
        self.ends[0].fault.or(self.ends[1].fault)
    }

    /// From here on the network is good and the users want to end: both must reach CLOSED, in
    /// bounded time and with a bounded number of segments, and if nobody broke the connection off,
    /// with all text where it belongs.
    pub fn settle(&mut self) {
        let mut timers = 0;
        let mut left = 0;
        let mut delivered = 0;
        let mut progress = self.progress();
        loop {
            self.users_end();
            if progress != self.progress() {
                progress = self.progress();
                timers = 0;
                delivered = 0;
            }
            if !self.net.is_empty() {
                self.deliver(0, false);
                delivered += 1;
                if delivered > LONGEST_CONVERSATION {
                    return self.ends[0].expect(false, "segments go back and forth without end");
                }
                continue;
            }
            delivered = 0;
            if self.fire() {
                timers += 1;
                let waiting: usize = self.ends.iter().map(Endpoint::queued).sum();
                if timers > MOST_TIMERS + waiting / LEAST_TEXT {
                    return self.ends[0].expect(false, "timers go on without end");
                }
                continue;
            }
            left += 1;
            if left > 4 || !self.users_leave() {
                break;
            }
        }
        let over = |end: &Endpoint| matches!(end.conn, Conn::Closed | Conn::Listen);
        let both = self.ends.iter().all(over);
        self.ends[0].expect(both, "a connection that never ends");
        self.judge();
    }

    /// What changes when something was achieved.
    fn progress(&self) -> [(State, usize, usize); 2] {
        let here = |end: &Endpoint| end.got.len() + end.rx.early();
        let of = |end: &Endpoint| (end.state(), here(end), end.queued());
        [of(&self.ends[0]), of(&self.ends[1])]
    }

    fn users_end(&mut self) {
        let now = self.now;
        for end in &mut self.ends {
            end.rx.fail = false;
            end.full = false;
            let open = |end: &Endpoint| end.state().is_synchronized();
            if end.rx.readable() > 0 {
                end.read(usize::MAX, now);
            }
            if open(end) {
                end.shutdown(now);
            }
        }
        self.collect();
    }

    /// Nothing will happen any more by itself: the users let go of what is left. False when there
    /// is nothing left.
    fn users_leave(&mut self) -> bool {
        let now = self.now;
        let mut any = false;
        for end in &mut self.ends {
            if matches!(end.conn, Conn::Open(_)) && end.deadline().is_none() {
                end.let_go(now);
                any = true;
            }
        }
        self.collect();
        // A user who lets go of a connection that waits for its peer starts a timer, or ends it.
        any
    }

    /// How it ended. Whose connection was open, and went neither through TIME-WAIT nor to its end by
    /// the exchange of FINs, needs an excuse; unless both FINs were there, and the peer has waited
    /// long enough for the last acknowledgment to be asked for again (RFC 9293 3.6.1).
    fn judge(&mut self) {
        let orderly = |end: &Endpoint| {
            end.opened && (end.waited || matches!(end.ended, Some(End::Orderly) | None))
        };
        let excused = self.ends.iter().any(|end| end.excused);
        for who in 0..2 {
            let (end, peer) = (&self.ends[who], &self.ends[1 - who]);
            let broken = end.opened && !orderly(end) && !(end.eof && peer.waited);
            self.ends[who].expect(excused || !broken, "a connection that nobody broke off did");
        }
        if !self.ends.iter().all(orderly) {
            return;
        }
        for who in 0..2 {
            let whole = self.ends[who].got == self.ends[1 - who].written;
            self.ends[who].expect(whole, "an orderly end that lost text");
            let one = self.ends[who].waited != self.ends[who].passive;
            self.ends[who].expect(one, "an end by neither, or both, of TIME-WAIT and LAST-ACK");
        }
        let some = self.ends.iter().any(|end| end.waited);
        self.ends[0].expect(some, "nobody went through TIME-WAIT");
    }

    /// States of both.
    pub fn states(&self) -> [State; 2] {
        [self.ends[0].state(), self.ends[1].state()]
    }
}
