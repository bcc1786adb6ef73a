//! What was told of keys last, for the values that come after it. Pure.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Who tells repeats it more often than this; an older update may miss what followed.
const UPDATES_FOR: Duration = Duration::from_secs(20);

/// Of more keys it is not kept.
const UPDATES_MAX: usize = 8_192;

/// A bounded map.
#[derive(Clone, Debug)]
pub(super) struct LastUpdates<K, N>(HashMap<K, (Instant, N)>);

impl<K: Clone + Eq + Hash, N: Clone> LastUpdates<K, N> {
    /// Nothing was.
    pub(super) fn new() -> Self {
        Self(HashMap::new())
    }

    /// This was told.
    pub(super) fn insert(&mut self, now: Instant, key: &K, update: &N) {
        if self.0.len() >= UPDATES_MAX && !self.0.contains_key(key) {
            self.0.retain(|_, (at, _)| *at + UPDATES_FOR > now);
        }
        if self.0.len() < UPDATES_MAX || self.0.contains_key(key) {
            self.0.insert(key.clone(), (now, update.clone()));
        }
    }

    /// What was told lately.
    pub(super) fn of(&self, now: Instant, key: &K) -> Option<&N> {
        let (at, update) = self.0.get(key)?;
        (*at + UPDATES_FOR > now).then_some(update)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_news_are_had_for_a_while_and_of_so_many_keys() {
        let mut told = LastUpdates::new();
        let t0 = Instant::now();
        told.insert(t0, &0, &"old");
        told.insert(t0, &0, &"new");
        assert_eq!(told.of(t0, &0), Some(&"new"));
        for key in 1..UPDATES_MAX + 9 {
            told.insert(t0, &key, &"x");
        }
        assert_eq!(
            (told.0.len(), told.of(t0, &UPDATES_MAX)),
            (UPDATES_MAX, None)
        );
        let later = t0 + UPDATES_FOR;
        assert_eq!(told.of(later, &0), None);
        told.insert(later, &UPDATES_MAX, &"y");
        assert_eq!(
            (told.0.len(), told.of(later, &UPDATES_MAX)),
            (1, Some(&"y"))
        );
    }
}
