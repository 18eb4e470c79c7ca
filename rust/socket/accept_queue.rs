// SPDX-License-Identifier: GPL-2.0

//! The accept queue of a listener: established connections that accept() has not taken yet, first
//! in, first out.

use kernel::alloc::KVVec;
use kernel::prelude::*;

/// A bounded queue. As in Linux (`sk_acceptq_is_full`) it holds one more than the backlog.
pub struct AcceptQueue<T> {
    slots: KVVec<Option<T>>,
    head: usize,
    len: usize,
}

impl<T> AcceptQueue<T> {
    /// An empty queue for `backlog` connections and one.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(backlog: u32) -> Result<Self> {
        let size = (backlog as usize).saturating_add(1);
        let mut slots = KVVec::with_capacity(size, GFP_KERNEL)?;
        for _ in 0..size {
            slots.push(None, GFP_KERNEL)?;
        }
        Ok(Self {
            slots,
            head: 0,
            len: 0,
        })
    }

    /// Changes the bound, keeping what is queued in its order. A bound below the present length
    /// takes effect as accept() empties the queue.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; nothing has changed then.
    pub fn resize(&mut self, backlog: u32) -> Result {
        let mut new = Self::new(backlog.max(self.len.saturating_sub(1) as u32))?;
        while let Some(item) = self.pop() {
            // The new queue has room for all that the old one held.
            let _ = new.push(item);
        }
        *self = new;
        Ok(())
    }

    /// Connections in the queue.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no connection waits.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether the next connection has to wait.
    pub fn is_full(&self) -> bool {
        self.len >= self.slots.len()
    }

    /// Appends a connection; gives it back when the queue is full.
    pub fn push(&mut self, item: T) -> Result<(), T> {
        if self.is_full() {
            return Err(item);
        }
        let at = self.wrap(self.head.wrapping_add(self.len));
        match self.slots.as_mut_slice().get_mut(at) {
            Some(slot) => {
                *slot = Some(item);
                self.len += 1;
                Ok(())
            }
            None => Err(item),
        }
    }

    /// Takes the oldest connection.
    pub fn pop(&mut self) -> Option<T> {
        let item = self.slots.as_mut_slice().get_mut(self.head)?.take()?;
        self.head = self.wrap(self.head.wrapping_add(1));
        self.len = self.len.saturating_sub(1);
        Some(item)
    }

    fn wrap(&self, at: usize) -> usize {
        if at >= self.slots.len() {
            at - self.slots.len()
        } else {
            at
        }
    }
}

#[kunit_tests(oxtcp_accept_queue)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_is_fifo_and_holds_the_backlog_and_one() -> Result {
        let mut queue = AcceptQueue::new(2)?;
        for round in 0..10 {
            for i in 0..3 {
                assert!(queue.push(round * 3 + i) == Ok(()));
            }
            assert!(queue.is_full());
            assert!(queue.push(99) == Err(99));
            for i in 0..3 {
                assert!(queue.pop() == Some(round * 3 + i));
            }
            assert!(queue.pop().is_none());
        }
        Ok(())
    }

    #[test]
    fn a_new_bound_keeps_what_is_queued() -> Result {
        let mut queue = AcceptQueue::new(3)?;
        for i in 0..4 {
            assert!(queue.push(i) == Ok(()));
        }
        queue.resize(1)?;
        assert!(queue.len() == 4 && queue.is_full());
        assert!(queue.pop() == Some(0));
        queue.resize(7)?;
        for i in 4..9 {
            assert!(queue.push(i) == Ok(()));
        }
        for i in 1..9 {
            assert!(queue.pop() == Some(i));
        }
        Ok(())
    }
}
