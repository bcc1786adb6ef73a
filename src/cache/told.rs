//! What was told of keys last, for the values that come after it. Pure.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// Who tells repeats it more often than this; older news may miss what followed.
const TOLD_FOR: Duration = Duration::from_secs(20);

/// Of more keys it is not kept.
const TOLD_MAX: usize = 8_192;

/// A bounded map.
#[derive(Clone, Debug)]
pub(super) struct Told<K, N>(HashMap<K, (Instant, N)>);

impl<K: Clone + Eq + Hash, N: Clone> Told<K, N> {
    /// Nothing was.
    pub(super) fn new() -> Self {
        Self(HashMap::new())
    }

    /// This was told.
    pub(super) fn heard(&mut self, now: Instant, key: &K, news: &N) {
        if self.0.len() >= TOLD_MAX && !self.0.contains_key(key) {
            self.0.retain(|_, (at, _)| *at + TOLD_FOR > now);
        }
        if self.0.len() < TOLD_MAX || self.0.contains_key(key) {
            self.0.insert(key.clone(), (now, news.clone()));
        }
    }

    /// What was told lately.
    pub(super) fn of(&self, now: Instant, key: &K) -> Option<&N> {
        let (at, news) = self.0.get(key)?;
        (*at + TOLD_FOR > now).then_some(news)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_news_are_had_for_a_while_and_of_so_many_keys() {
        let mut told = Told::new();
        let t0 = Instant::now();
        told.heard(t0, &0, &"old");
        told.heard(t0, &0, &"new");
        assert_eq!(told.of(t0, &0), Some(&"new"));
        for key in 1..TOLD_MAX + 9 {
            told.heard(t0, &key, &"x");
        }
        assert_eq!((told.0.len(), told.of(t0, &TOLD_MAX)), (TOLD_MAX, None));
        let later = t0 + TOLD_FOR;
        assert_eq!(told.of(later, &0), None);
        told.heard(later, &TOLD_MAX, &"y");
        assert_eq!((told.0.len(), told.of(later, &TOLD_MAX)), (1, Some(&"y")));
    }
}
