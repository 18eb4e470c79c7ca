// SPDX-License-Identifier: GPL-2.0

//! A list of which most have one item: the first needs no memory of its own.

use kernel::prelude::*;

/// Some items, in no order.
pub(super) struct Few<T> {
    first: Option<T>,
    rest: Option<KVec<T>>,
}

impl<T> Few<T> {
    /// None.
    pub(super) const fn new() -> Self {
        Self {
            first: None,
            rest: None,
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The items.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        let rest = self.rest.as_ref().map_or(&[][..], |rest| rest.as_slice());
        Iterator::chain(self.first.iter(), rest)
    }

    /// The items, to be changed.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let rest = self.rest.as_mut();
        let rest = rest.map_or(&mut [][..], |rest| rest.as_mut_slice());
        Iterator::chain(self.first.iter_mut(), rest)
    }

    /// Adds one. Softirq too.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(super) fn push(&mut self, item: T) -> Result {
        if self.first.is_none() {
            self.first = Some(item);
            return Ok(());
        }
        let rest = self.rest.get_or_insert_with(KVec::new);
        Ok(rest.push(item, GFP_ATOMIC)?)
    }

    /// Takes out the first one that `which` picks.
    pub(super) fn take(&mut self, which: impl Fn(&T) -> bool) -> Option<T> {
        if self.first.as_ref().is_some_and(&which) {
            let next = self.rest.as_mut().and_then(KVec::pop);
            return core::mem::replace(&mut self.first, next);
        }
        let rest = self.rest.as_mut()?;
        let at = rest.as_slice().iter().position(which)?;
        rest.remove(at).ok()
    }
}

#[kunit_tests(oxtcp_few)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pushed_is_there_until_it_is_taken() -> Result {
        let mut few = Few::new();
        assert!(few.is_empty());
        for i in 0..4 {
            few.push(i)?;
        }
        assert!(few.iter().sum::<i32>() == 6);
        assert!(few.take(|i| *i == 0) == Some(0));
        assert!(few.take(|i| *i == 0).is_none());
        assert!(few.take(|i| *i == 2) == Some(2));
        for i in few.iter_mut() {
            *i *= 10;
        }
        assert!(few.iter().sum::<i32>() == 40);
        assert!(few.take(|_| true).is_some() && few.take(|_| true).is_some());
        assert!(few.is_empty() && few.iter().next().is_none());
        Ok(())
    }
}
