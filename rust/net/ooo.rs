// SPDX-License-Identifier: GPL-2.0

//! Text that came before its turn: skbs in a red-black tree by sequence number, without overlap.
//!
//! Many tiny segments are no burden (CVE-2018-5390, "SegmentSmack"). The skbs are charged to the
//! socket, so there are no more than `SO_RCVBUF` pays for; each is an arrival's, and removed once. An
//! arrival costs one way down the tree, at most 2 log2(n + 1) steps for n skbs, and at most
//! [`MAX_WALK`] to either side. Nothing is ever copied together.

use super::bindings as b;
use super::recv_buffer::before;
use core::ptr::null_mut;

/// How many ranges a SACK option can show.
const RANGES: usize = 4;
/// How many skbs are followed to find the ends of forgotten ranges: a SACK block may be a part.
const MAX_WALK: usize = 64;

/// The tree; zero is empty.
#[repr(C)]
pub(super) struct Tree {
    root: b::rb_root,
    /// Contiguous ranges `[start, end)` that changed lately, the last one first; empty ones behind.
    recent: [(u32, u32); RANGES],
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            root: b::rb_root {
                rb_node: null_mut(),
            },
            recent: [(0, 0); RANGES],
        }
    }
}

/// # Safety
///
/// `skb` is valid and noted.
unsafe fn note(skb: *mut b::sk_buff) -> b::ox_text_cb {
    // SAFETY: By the function's contract.
    unsafe { *b::ox_text_cb(skb) }
}

/// # Safety
///
/// `skb` is valid and noted.
unsafe fn end(skb: *mut b::sk_buff) -> u32 {
    // SAFETY: By the function's contract.
    let note = unsafe { note(skb) };
    note.seq.wrapping_add(note.len)
}

/// # Safety
///
/// `node` is null or that of an skb of the tree.
unsafe fn skb_of(node: *mut b::rb_node) -> Option<*mut b::sk_buff> {
    // SAFETY: By the function's contract.
    (!node.is_null()).then(|| unsafe { b::ox_rb_to_skb(node) })
}

impl Tree {
    fn first(&self) -> Option<*mut b::sk_buff> {
        // SAFETY: The tree holds skbs.
        unsafe { skb_of(b::ox_rb_first(&self.root)) }
    }

    /// # Safety
    ///
    /// `skb` is in the tree.
    unsafe fn next(skb: *mut b::sk_buff) -> Option<*mut b::sk_buff> {
        // SAFETY: By the function's contract.
        unsafe { skb_of(b::rb_next(b::ox_skb_rbnode(skb))) }
    }

    /// # Safety
    ///
    /// As [`Tree::next`].
    unsafe fn prev(skb: *mut b::sk_buff) -> Option<*mut b::sk_buff> {
        // SAFETY: By the function's contract.
        unsafe { skb_of(b::rb_prev(b::ox_skb_rbnode(skb))) }
    }

    /// # Safety
    ///
    /// `skb` is in the tree, and gone after this.
    unsafe fn free(&mut self, skb: *mut b::sk_buff) {
        // SAFETY: By the function's contract.
        unsafe {
            b::ox_skb_rb_erase(skb, &mut self.root);
            b::consume_skb(skb);
        }
    }

    /// Puts an skb in, or frees it when all of it is there. Overlap is cut from either.
    ///
    /// # Safety
    ///
    /// `skb` is the caller's to give, noted, and not empty.
    pub(super) unsafe fn insert(&mut self, skb: *mut b::sk_buff) {
        let mut link: *mut *mut b::rb_node = &mut self.root.rb_node;
        let mut parent = null_mut();
        // SAFETY: By the function's contract, and since the tree holds noted skbs.
        unsafe {
            while let Some(other) = skb_of(*link) {
                parent = *link;
                let (new, old) = (b::ox_text_cb(skb), note(other));
                if before((*new).seq, old.seq) {
                    link = &raw mut (*parent).rb_left;
                    continue;
                }
                if before((*new).seq, end(other)) {
                    if !before(end(other), end(skb)) {
                        self.note_change(other);
                        b::consume_skb(skb);
                        return;
                    }
                    let cut = end(other).wrapping_sub((*new).seq);
                    (*new).seq = end(other);
                    (*new).off += cut;
                    (*new).len -= cut;
                }
                link = &raw mut (*parent).rb_right;
            }
            b::ox_rb_link(b::ox_skb_rbnode(skb), parent, link);
            b::rb_insert_color(b::ox_skb_rbnode(skb), &mut self.root);
            while let Some(next) = Self::next(skb) {
                let (seq, limit) = (note(next).seq, end(skb));
                if !before(seq, limit) {
                    break;
                }
                if before(limit, end(next)) {
                    let new = b::ox_text_cb(skb);
                    (*new).len = seq.wrapping_sub((*new).seq);
                    if (*new).len == 0 {
                        self.note_change(next);
                        self.free(skb);
                        return;
                    }
                    break;
                }
                self.free(next);
            }
            self.note_change(skb);
        }
    }

    /// Remembers the contiguous range around `skb` as the one that changed last.
    ///
    /// # Safety
    ///
    /// `skb` is in the tree.
    unsafe fn note_change(&mut self, skb: *mut b::sk_buff) {
        // SAFETY: By the function's contract.
        let own = unsafe { (note(skb).seq, end(skb)) };
        let (mut start, mut stop) = own;
        for &(first, last) in self.recent.iter().filter(|range| range.0 != range.1) {
            if !before(last, own.0) && !before(own.1, first) {
                start = if before(first, start) { first } else { start };
                stop = if before(stop, last) { last } else { stop };
            }
        }
        // SAFETY: As above.
        unsafe {
            if start == own.0 {
                let mut at = skb;
                for _ in 0..MAX_WALK {
                    match Self::prev(at) {
                        Some(prev) if end(prev) == note(at).seq => at = prev,
                        _ => break,
                    }
                }
                start = note(at).seq;
            }
            if stop == own.1 {
                let mut at = skb;
                for _ in 0..MAX_WALK {
                    match Self::next(at) {
                        Some(next) if note(next).seq == end(at) => at = next,
                        _ => break,
                    }
                }
                stop = end(at);
            }
        }
        self.remember((start, stop));
    }

    /// Puts `range` first, in place of those it covers.
    fn remember(&mut self, range: (u32, u32)) {
        let mut kept = [(0, 0); RANGES];
        kept[0] = range;
        let others = self.recent.iter().filter(|other| {
            let covered = !before(other.0, range.0) && !before(range.1, other.1);
            other.0 != other.1 && !covered
        });
        for (slot, other) in kept[1..].iter_mut().zip(others) {
            *slot = *other;
        }
        self.recent = kept;
    }

    /// Takes out the first skb if it begins at `rcv_nxt` or before.
    pub(super) fn pop_until(&mut self, rcv_nxt: u32) -> Option<*mut b::sk_buff> {
        let skb = self.first()?;
        // SAFETY: It is in the tree.
        unsafe {
            if before(rcv_nxt, note(skb).seq) {
                return None;
            }
            b::ox_skb_rb_erase(skb, &mut self.root);
        }
        Some(skb)
    }

    /// Forgets ranges up to `rcv_nxt`, which are early no more.
    pub(super) fn forget_until(&mut self, rcv_nxt: u32) {
        if self.recent[0].0 == self.recent[0].1 {
            return;
        }
        let mut kept = [(0, 0); RANGES];
        let others = self.recent.iter().filter(|range| before(rcv_nxt, range.1));
        for (slot, other) in kept
            .iter_mut()
            .zip(others.filter(|range| range.0 != range.1))
        {
            *slot = *other;
        }
        self.recent = kept;
        if kept[0].0 == kept[0].1 {
            self.recall();
        }
    }

    /// No range is remembered: of those that were forgotten, which the peer may have heard of once
    /// only, it is told again (RFC 2018 4), the first ones first.
    fn recall(&mut self) {
        let mut next = self.first();
        let mut free = self.recent.iter_mut();
        let mut last: Option<&mut (u32, u32)> = None;
        for _ in 0..MAX_WALK {
            let Some(skb) = next else { return };
            // SAFETY: It is in the tree.
            let (start, stop) = unsafe { (note(skb).seq, end(skb)) };
            match &mut last {
                Some(range) if range.1 == start => range.1 = stop,
                _ => match free.next() {
                    Some(slot) => {
                        *slot = (start, stop);
                        last = Some(slot);
                    }
                    None => return,
                },
            }
            // SAFETY: As above.
            next = unsafe { Self::next(skb) };
        }
    }

    /// Whether nothing waits; then there are no [`Tree::ranges`] either.
    pub(super) fn is_empty(&self) -> bool {
        self.root.rb_node.is_null()
    }

    /// Copies the ranges, the one that changed last first; returns how many there are.
    pub(super) fn ranges(&self, out: &mut [(u32, u32); RANGES]) -> usize {
        *out = self.recent;
        self.recent
            .iter()
            .take_while(|range| range.0 != range.1)
            .count()
    }

    /// Frees everything; calls `f(bytes)` for each skb.
    pub(super) fn clear(&mut self, mut f: impl FnMut(u32)) {
        while let Some(skb) = self.first() {
            // SAFETY: It is in the tree.
            unsafe {
                f(note(skb).len);
                self.free(skb);
            }
        }
        self.recent = [(0, 0); RANGES];
    }
}

#[kernel::macros::kunit_tests(oxtcp_early_text)]
mod tests {
    use super::*;
    use kernel::prelude::*;

    const SPACE: usize = 64;

    fn put(tree: &mut Tree, base: u32, at: usize, len: usize) -> Result {
        // SAFETY: The skb is ours, and the tree's after this.
        unsafe {
            let skb = b::ox_alloc_segment(b::GFP_KERNEL);
            if skb.is_null() {
                return Err(ENOMEM);
            }
            // The offset says what byte it is, so that a wrong cut shows.
            *b::ox_text_cb(skb) = b::ox_text_cb {
                seq: base.wrapping_add(at as u32),
                off: at as u32,
                len: len as u32,
                ..Default::default()
            };
            tree.insert(skb);
        }
        Ok(())
    }

    /// What the tree holds; no byte twice, each at its place.
    fn held(tree: &Tree, base: u32) -> Option<u64> {
        let mut bits = 0u64;
        let mut next = tree.first();
        while let Some(skb) = next {
            // SAFETY: It is in the tree.
            let note = unsafe { note(skb) };
            let at = note.seq.wrapping_sub(base);
            if note.off != at || note.len == 0 {
                return None;
            }
            for byte in at..at + note.len {
                if bits >> byte & 1 != 0 {
                    return None;
                }
                bits |= 1 << byte;
            }
            // SAFETY: As above.
            next = unsafe { Tree::next(skb) };
        }
        Some(bits)
    }

    /// Everything before `rcv_nxt` is there: takes out what follows on that; returns up to where.
    fn advance(tree: &mut Tree, mut rcv_nxt: u32) -> u32 {
        while let Some(skb) = tree.pop_until(rcv_nxt) {
            // SAFETY: The skb is ours.
            unsafe {
                if before(rcv_nxt, end(skb)) {
                    rcv_nxt = end(skb);
                }
                b::consume_skb(skb);
            }
        }
        tree.forget_until(rcv_nxt);
        rcv_nxt
    }

    fn shown(tree: &Tree) -> ([(u32, u32); RANGES], usize) {
        let mut out = [(0, 0); RANGES];
        let count = tree.ranges(&mut out);
        (out, count)
    }

    fn mask(at: usize, len: usize) -> u64 {
        (((1u128 << len) - 1) << at) as u64
    }

    /// Numbers that look random and are the same each time.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self
                .0
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (self.0 >> 33) as usize % limit
        }
    }

    #[test]
    fn is_a_set_of_bytes() -> Result {
        let mut dice = Dice(1);
        for base in [0, 1000, u32::MAX - 30, 0x7fff_fff0] {
            for _ in 0..50 {
                let (mut tree, mut model) = (Tree::default(), 0);
                for _ in 0..20 {
                    let at = dice.below(SPACE);
                    let len = 1 + dice.below(SPACE - at);
                    put(&mut tree, base, at, len)?;
                    model |= mask(at, len);
                    assert_eq!(held(&tree, base), Some(model));
                }
                tree.clear(|_| ());
                assert_eq!(held(&tree, base), Some(0));
            }
        }
        Ok(())
    }

    #[test]
    fn ranges_are_held_and_the_last_is_first() -> Result {
        let mut dice = Dice(2);
        let base = u32::MAX - 20;
        for _ in 0..200 {
            let (mut tree, mut model) = (Tree::default(), 0u64);
            for _ in 0..12 {
                let at = dice.below(SPACE);
                let len = 1 + dice.below((SPACE - at).min(6));
                put(&mut tree, base, at, len)?;
                model |= mask(at, len);
                let mut out = [(0, 0); RANGES];
                let n = tree.ranges(&mut out);
                assert!(n > 0);
                let mut seen = 0;
                for &(start, stop) in &out[..n] {
                    let first = start.wrapping_sub(base) as usize;
                    let range = mask(first, stop.wrapping_sub(start) as usize);
                    assert_eq!(model & range, range);
                    assert_eq!(seen & range, 0);
                    seen |= range;
                }
                let first = out[0].0.wrapping_sub(base) as usize;
                let latest = mask(first, out[0].1.wrapping_sub(out[0].0) as usize);
                assert_eq!(latest & mask(at, len), mask(at, len));
            }
            tree.clear(|_| ());
        }
        Ok(())
    }

    #[test]
    fn contiguous_text_comes_out() -> Result {
        let mut tree = Tree::default();
        put(&mut tree, 0, 10, 5)?;
        put(&mut tree, 0, 15, 5)?;
        put(&mut tree, 0, 30, 5)?;
        assert!(tree.pop_until(9).is_none());
        assert_eq!(advance(&mut tree, 12), 20);
        let (out, count) = shown(&tree);
        assert_eq!((count, out[0]), (1, (30, 35)));
        tree.clear(|_| ());
        assert_eq!(shown(&tree).1, 0);
        assert!(tree.is_empty());
        Ok(())
    }

    #[test]
    fn a_forgotten_range_waits_and_is_shown_again() -> Result {
        for base in [0, u32::MAX - 85] {
            let mut tree = Tree::default();
            for at in [90, 70, 50, 30, 10] {
                put(&mut tree, base, at, 10)?;
            }
            for at in [0, 20, 40, 60] {
                let filled = base.wrapping_add(at + 10);
                assert_eq!(advance(&mut tree, filled), filled.wrapping_add(10));
            }
            assert!(!tree.is_empty());
            let (out, count) = shown(&tree);
            let last = (base.wrapping_add(90), base.wrapping_add(100));
            assert_eq!((count, out[0]), (1, last));
            assert_eq!(advance(&mut tree, last.0), last.1);
            assert!(tree.is_empty());
            assert_eq!(shown(&tree).1, 0);
        }
        Ok(())
    }

    #[test]
    fn forgotten_ranges_are_shown_whole_and_the_first_ones_first() -> Result {
        let mut tree = Tree::default();
        for at in [80, 70, 60, 55, 50, 40, 30, 26, 23, 20] {
            put(&mut tree, 0, at, 5)?;
        }
        for at in [2, 4, 6, 8] {
            put(&mut tree, 0, at, 1)?;
        }
        assert_eq!(advance(&mut tree, 9), 9);
        let (out, count) = shown(&tree);
        assert_eq!(count, RANGES);
        assert_eq!(out, [(20, 35), (40, 45), (50, 65), (70, 75)]);
        tree.clear(|_| ());
        Ok(())
    }

    /// Steps from the root to the skb with `seq`.
    fn depth(tree: &Tree, seq: u32) -> u32 {
        let (mut node, mut steps) = (tree.root.rb_node, 0);
        // SAFETY: The tree holds noted skbs.
        while let Some(skb) = unsafe { skb_of(node) } {
            steps += 1;
            // SAFETY: As above.
            unsafe {
                node = match note(skb).seq {
                    at if at == seq => break,
                    at if before(seq, at) => (*node).rb_left,
                    _ => (*node).rb_right,
                };
            }
        }
        steps
    }

    #[test]
    fn segment_smack_costs_few_steps_for_a_tiny_segment() -> Result {
        const COUNT: u32 = 8192;
        let most = 2 * (COUNT + 1).ilog2();
        // Every second byte, upwards and downwards: no two of them are one range.
        for down in [false, true] {
            let mut tree = Tree::default();
            for i in 0..COUNT {
                let at = 2 * if down { COUNT - i } else { i };
                put(&mut tree, 0, at as usize, 1)?;
                assert!(depth(&tree, at) <= most);
                assert_eq!(shown(&tree).0[0], (at, at + 1));
            }
            tree.clear(|_| ());
        }
        // One range of single bytes, forgotten: its ends are looked for, but not for long.
        let mut tree = Tree::default();
        for at in 0..COUNT {
            put(&mut tree, 0, at as usize, 1)?;
        }
        for i in 1..=RANGES as u32 {
            put(&mut tree, 0, (COUNT + 2 * i) as usize, 1)?;
        }
        put(&mut tree, 0, COUNT as usize / 2, 1)?;
        let (start, stop) = shown(&tree).0[0];
        assert_eq!(stop - start, 2 * MAX_WALK as u32 + 1);
        // All that were remembered come into their own: the same when they are recalled.
        tree.recent = [(0, 0); RANGES];
        tree.recall();
        let (out, count) = shown(&tree);
        assert_eq!((count, out[0]), (1, (0, MAX_WALK as u32)));
        tree.clear(|_| ());
        Ok(())
    }
}
