//! What is known to exist, as told by whoever has met it. Pure.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Instant;

/// More are not kept; the one that was heard of longest ago goes. A market has some ten thousand symbols,
/// a day's watch some hundred.
const KNOWN_MAX: usize = 4_096;

/// A bounded set.
#[derive(Clone, Debug)]
pub(super) struct Known<K>(HashMap<K, Instant>);

impl<K: Clone + Eq + Hash> Known<K> {
    /// Nothing is.
    pub(super) fn new() -> Self {
        Self(HashMap::new())
    }

    /// Somebody met it. True if nobody had before.
    pub(super) fn insert(&mut self, now: Instant, subject: K) -> bool {
        if let Some(at) = self.0.get_mut(&subject) {
            *at = now;
            return false;
        }
        if self.0.len() >= KNOWN_MAX
            && let Some(oldest) = self.0.iter().min_by_key(|(_, at)| **at)
        {
            let oldest = oldest.0.clone();
            self.0.remove(&oldest);
        }
        self.0.insert(subject, now);
        true
    }

    /// Whether somebody did.
    pub(super) fn has(&self, subject: &K) -> bool {
        self.0.contains_key(subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn it_is_bounded_and_keeps_what_was_heard_of_last() {
        let mut known = Known::new();
        let t0 = Instant::now();
        for n in 0..KNOWN_MAX + 10 {
            let now = t0 + Duration::from_millis(n as u64);
            assert!(known.insert(now, n));
            known.insert(now, 0);
        }
        assert_eq!(known.0.len(), KNOWN_MAX);
        assert!(known.has(&0) && !known.has(&5) && known.has(&(KNOWN_MAX + 9)));
    }
}
