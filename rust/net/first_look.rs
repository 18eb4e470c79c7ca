// SPDX-License-Identifier: GPL-2.0

//! The first look at a connection, whether it is idle. One that is used has a timer of its own, which
//! looks; to one to which nothing ever happens a timer of the namespace comes, so that those that end
//! before that, as most do, need none.

use super::bindings as b;
use super::*;
use core::mem::offset_of;
// The kernel's `Atomic` has a call for each access.
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use kernel::prelude::*;

/// How long after its start a connection is looked at, at the latest, µs.
const PATIENCE_US: u64 = 200_000;

const BITS: u32 = u64::BITS;

/// In which buckets of the table of connections there is one that nobody has looked at.
pub(super) struct Marks {
    words: KVec<AtomicU64>,
    /// A look is on its way.
    due: AtomicBool,
}

impl Marks {
    /// None, in so many buckets.
    pub(super) fn new(buckets: u32) -> Result<Self> {
        let mut words = KVec::new();
        for _ in 0..buckets.div_ceil(BITS) {
            words.push(AtomicU64::new(0), GFP_KERNEL)?;
        }
        Ok(Self {
            words,
            due: AtomicBool::new(false),
        })
    }

    /// Marks a bucket; returns whether a look has to be set on its way for that.
    #[inline]
    fn add(&self, bucket: u32) -> bool {
        if let Some(word) = self.words.get((bucket / BITS) as usize) {
            word.fetch_or(1 << (bucket % BITS), SeqCst);
        }
        !self.due.load(SeqCst) && !self.due.swap(true, SeqCst)
    }

    /// Takes all marks away, and calls `look` for each.
    fn take(&self, mut look: impl FnMut(u32)) {
        // Before the marks are: who marks a bucket after that has it looked at once more.
        self.due.store(false, SeqCst);
        for (n, word) in (0..).zip(self.words.iter()) {
            if word.load(SeqCst) == 0 {
                continue;
            }
            let bits = word.swap(0, SeqCst);
            (0..BITS)
                .filter(|bit| bits >> bit & 1 != 0)
                .for_each(|bit| look(n * BITS + bit));
        }
    }
}

impl<F: Family> NetNs<F> {
    /// Has the connections of a bucket looked at in a while.
    #[inline]
    pub(super) fn look_soon(&self, bucket: u32) {
        if self.marks().add(bucket) {
            // SAFETY: The timer was set up; one that was shut down ignores this.
            unsafe { b::ox_timer_reduce(self.look_timer(), PATIENCE_US) }
        }
    }

    /// # Safety
    ///
    /// `timer` is that for looks of a namespace, whose exit waits for this function.
    pub(super) unsafe extern "C" fn look(timer: *mut b::timer_list) {
        // SAFETY: By the function's contract.
        let net = unsafe { &*timer.byte_sub(offset_of!(Self, look_timer)).cast::<Self>() };
        net.marks().take(|bucket| {
            net.ehash().for_each_in(bucket as usize, 0, &mut |sock, _| {
                if !timer::first_look(sock) {
                    net.look_soon(bucket);
                }
                true
            });
        });
    }
}

#[kunit_tests(oxtcp_first_look)]
mod tests {
    use super::*;

    #[test]
    fn each_mark_is_taken_once() -> Result {
        let marks = Marks::new(130)?;
        assert!(marks.add(3));
        assert!(!marks.add(64) && !marks.add(129) && !marks.add(3));
        let mut seen = KVec::new();
        marks.take(|bucket| {
            // One that comes meanwhile is for the next time.
            assert!(!seen.is_empty() || marks.add(2));
            assert!(seen.push(bucket, GFP_KERNEL).is_ok());
        });
        assert_eq!(seen.as_slice(), [3, 64, 129]);
        assert!(!marks.add(5));
        seen.clear();
        marks.take(|bucket| assert!(seen.push(bucket, GFP_KERNEL).is_ok()));
        assert_eq!(seen.as_slice(), [2, 5]);
        Ok(())
    }
}
