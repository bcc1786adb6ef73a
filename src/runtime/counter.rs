//! A count that one thread raises and another reads.
//!
//! This and the totals of mended input (`crate::json`) are the only memory cells that threads share outside
//! the stack capture. It is not a lock: nobody can wait for it, nothing is guarded by it, and no decision
//! depends on its exact value. It exists because a sender that found a queue full has, by definition, no queue to say so through.
#![expect(clippy::disallowed_types, reason = "a count that nobody waits for")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A monotonic count, cheap to raise from any thread.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Raises the count by `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Raises the count by one and returns what it was: for handing out numbers.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// The count so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
