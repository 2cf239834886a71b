//! How many bytes a process may hold at once for what is under way: bodies that come in and answers that wait to be sent.
//! Why one budget: a limit of each message bounds nothing, since anybody may send any number of them at once. Nobody waits
//! for it: who finds it spent is told when to come back. Small messages have a part that large ones can't take, so that
//! ordinary calls go on while somebody sends as much as they may.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

/// The bytes of a process that says nothing else.
pub const BUDGET_BYTES: usize = 128 * 1024 * 1024;
/// Up to this size a message may take from the part that is kept for small ones.
pub const SMALL_BYTES: usize = 64 * 1024;
/// The part that is kept for small messages: one of so many.
const SMALL_PART: usize = 8;

/// The budget of a process. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Budget {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bytes: usize,
    used: AtomicUsize,
}

/// Bytes that were taken, until this is dropped.
#[derive(Debug)]
pub struct Taken {
    budget: Budget,
    bytes: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(BUDGET_BYTES)
    }
}

impl Budget {
    /// A budget of so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self { inner: Arc::new(Inner { bytes, used: AtomicUsize::new(0) }) }
    }

    /// A budget of its own, of one in so many bytes of this one: calls and streams don't take from each other.
    #[must_use]
    pub fn part(&self, of: NonZeroUsize) -> Self {
        Self::new(self.inner.bytes / of)
    }

    /// Bytes that are taken now.
    pub fn used(&self) -> usize {
        self.inner.used.load(Ordering::Acquire)
    }

    /// Takes bytes; None when there are not so many left for what is as large as this.
    pub fn take(&self, bytes: usize) -> Option<Taken> {
        let mut taken = self.nothing();
        taken.grow(bytes).then_some(taken)
    }

    /// Nothing yet, to be grown.
    pub fn nothing(&self) -> Taken {
        Taken { budget: self.clone(), bytes: 0 }
    }
}

impl Taken {
    /// Takes more; false, and nothing is taken, when there is not so much left.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let most = self.budget.inner.bytes;
        let most = if bytes > SMALL_BYTES { most - most / SMALL_PART } else { most };
        let grown = self.budget.inner.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, |used| {
            used.checked_add(bytes).filter(|used| *used <= most)
        });
        if grown.is_ok() {
            self.bytes += bytes;
        }
        grown.is_ok()
    }

    /// Gives some of it back.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.budget.inner.used.fetch_sub(bytes, Ordering::AcqRel);
    }

    /// Gives everything back.
    pub fn give_back(&mut self) {
        self.shrink(self.bytes);
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_messages_leave_room_for_small_ones() {
        let budget = Budget::new(8 * 1024 * 1024);
        let mut large = Vec::new();
        while let Some(taken) = budget.take(1024 * 1024) {
            large.push(taken);
        }
        assert_eq!(large.len(), 7);
        let mut small = budget.take(SMALL_BYTES).unwrap();
        assert!(small.grow(SMALL_BYTES));
        assert_eq!(budget.used(), 7 * 1024 * 1024 + 2 * SMALL_BYTES);
        drop(large);
        small.give_back();
        assert_eq!(budget.used(), 0);
        assert!(budget.take(usize::MAX).is_none());
        assert_eq!(budget.used(), 0);
    }
}
