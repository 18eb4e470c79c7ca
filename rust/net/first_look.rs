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

/// How long after its start a connection is looked at, µs.
const PATIENCE_US: u64 = 200_000;
/// How long after a look the next one is, when there was too much for one, µs.
const AGAIN_US: u64 = 1_000;
/// About how many buckets are looked through at a time.
const MOST: u32 = 128;

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
    pub(super) fn add(&self, bucket: u32) -> bool {
        if let Some(word) = self.words.get((bucket / BITS) as usize) {
            word.fetch_or(1 << (bucket % BITS), SeqCst);
        }
        !self.due.load(SeqCst) && !self.due.swap(true, SeqCst)
    }

    /// Takes the mark of a bucket away: nobody is there any more.
    #[inline]
    pub(super) fn clear(&self, bucket: u32) {
        let mark = 1 << (bucket % BITS);
        match self.words.get((bucket / BITS) as usize) {
            Some(word) if word.load(SeqCst) & mark != 0 => word.fetch_and(!mark, SeqCst),
            _ => 0,
        };
    }

    /// Takes marks away, about `most`, and calls `look` for each; returns whether there are more.
    pub(super) fn take(&self, most: u32, mut look: impl FnMut(u32)) -> bool {
        // Before the marks are: who marks a bucket after that has it looked at once more.
        self.due.store(false, SeqCst);
        let mut left = most;
        for (n, word) in (0..).zip(self.words.iter()) {
            if word.load(SeqCst) == 0 {
                continue;
            }
            if left == 0 {
                self.due.store(true, SeqCst);
                return true;
            }
            let mut bits = word.swap(0, SeqCst);
            left = left.saturating_sub(bits.count_ones());
            while bits != 0 {
                look(n * BITS + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
        false
    }
}

impl<F: Family> NetNs<F> {
    /// Has the connections of a bucket looked at in a while.
    #[inline]
    pub(super) fn look_soon(&self, bucket: u32) {
        if self.ehash().marks().add(bucket) {
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
        let more = net.ehash().marks().take(MOST, |bucket| {
            net.ehash().for_each_in(bucket as usize, 0, &mut |sock, _| {
                if !timer::first_look(sock) {
                    net.look_soon(bucket);
                }
                true
            });
        });
        if more {
            // SAFETY: As in `look_soon`.
            unsafe { b::ox_timer_reduce(net.look_timer(), AGAIN_US) }
        }
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
        let more = marks.take(3, |bucket| {
            // One that comes meanwhile is for the next time.
            assert!(!seen.is_empty() || marks.add(2));
            assert!(seen.push(bucket, GFP_KERNEL).is_ok());
        });
        assert!(!more);
        assert_eq!(seen.as_slice(), [3, 64, 129]);
        assert!(!marks.add(5));
        seen.clear();
        assert!(!marks.take(3, |bucket| assert!(seen.push(bucket, GFP_KERNEL).is_ok())));
        assert_eq!(seen.as_slice(), [2, 5]);
        Ok(())
    }

    #[test]
    fn a_mark_that_was_cleared_is_not_taken() -> Result {
        let marks = Marks::new(128)?;
        for bucket in [1, 2, 70] {
            let _ = marks.add(bucket);
        }
        marks.clear(2);
        marks.clear(3);
        marks.clear(70);
        let mut seen = KVec::new();
        assert!(!marks.take(9, |bucket| assert!(seen.push(bucket, GFP_KERNEL).is_ok())));
        assert_eq!(seen.as_slice(), [1]);
        Ok(())
    }

    #[test]
    fn too_many_marks_are_taken_by_turns() -> Result {
        let marks = Marks::new(192)?;
        for bucket in [1, 2, 70, 150] {
            let _ = marks.add(bucket);
        }
        let mut seen = KVec::new();
        assert!(marks.take(3, |bucket| assert!(seen.push(bucket, GFP_KERNEL).is_ok())));
        assert_eq!(seen.as_slice(), [1, 2, 70]);
        // The next look is on its way.
        assert!(!marks.add(3));
        seen.clear();
        assert!(!marks.take(3, |bucket| assert!(seen.push(bucket, GFP_KERNEL).is_ok())));
        assert_eq!(seen.as_slice(), [3, 150]);
        Ok(())
    }
}
