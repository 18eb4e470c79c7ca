// SPDX-License-Identifier: GPL-2.0
//! Changes of the list of sockets: lengths of the queues, and the states of what is no socket.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use oxtcp::Family;

use super::event::{Event, What};
use super::network::Namespace;
use crate::diag::{SockDiag, Socket};
use crate::diagram::Side;
use crate::observe::now;
use crate::ss;

/// How often the list is looked at: some times for each one-way delay of the link.
const INTERVAL: Duration = Duration::from_millis(4);

/// Reports the sockets of `family` with `port` at either end whenever they change in what is shown
/// of them, until `stop`.
pub fn start(
    side: Side,
    namespace: &Namespace,
    family: Family,
    port: u16,
    events: Sender<Event>,
    stop: Arc<AtomicBool>,
) -> Result<thread::JoinHandle<()>> {
    let diag = namespace.run(SockDiag::open)?;
    // Said once here, where it can be told; later it only means that nothing is reported.
    diag.dump(family, 0)?;
    Ok(thread::spawn(move || {
        let list = || -> Option<Vec<Socket>> {
            let mut sockets = ss::list(&diag, family, u32::MAX).ok()?;
            sockets.retain(|s| s.local.port() == port || s.peer.port() == port);
            sockets.sort_by_key(|s| (s.local, s.peer));
            Some(sockets)
        };
        let mut last = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let mut sockets = list();
            // One that turns from a socket into an entry, or back, may be missed while it does.
            if sockets
                .as_ref()
                .is_some_and(|sockets| sockets.len() < last.len())
            {
                sockets = list();
            }
            // Reading takes a while: all that is seen in the list has happened by now.
            let at = now();
            if let Some(sockets) = sockets {
                if !same(&last, &sockets) {
                    last = sockets.clone();
                    if events
                        .send(Event {
                            at,
                            what: What::Sockets(side, sockets),
                        })
                        .is_err()
                    {
                        return;
                    }
                }
            }
            thread::sleep(INTERVAL);
        }
    }))
}

/// Whether two lists show the same: all but timers, and the queues of connections.
fn same(a: &[Socket], b: &[Socket]) -> bool {
    let shown = |s: &Socket| {
        let listening = s.syn_queue.is_some();
        let queues = listening.then_some((s.recv_q, s.send_q, s.syn_queue));
        (s.state, s.local, s.peer, queues)
    };
    a.iter().map(shown).eq(b.iter().map(shown))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ss::table::tests::{connection, listener};

    #[test]
    fn a_change_of_queues_counts_for_listeners_only() {
        let mut before = listener();
        before.syn_queue = Some(0);
        let mut after = before.clone();
        after.recv_q += 1;
        assert!(!same(&[before.clone()], &[after]));

        let mut busy = connection();
        busy.send_q += 1000;
        busy.timer = None;
        assert!(same(
            &[before.clone(), connection()],
            &[before.clone(), busy]
        ));
        assert!(!same(&[before.clone(), connection()], &[before]));
    }
}
