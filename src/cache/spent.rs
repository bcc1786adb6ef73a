//! On what the requests of the last minute were spent, for the log. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;
use std::time::{Duration, Instant};

/// How far back it looks, and how often it is told.
const WINDOW: Duration = Duration::from_secs(60);

/// Keys named.
const NAMED_MAX: usize = 3;

/// The last minute's requests.
#[derive(Clone, Debug)]
pub(super) struct Spent<K> {
    made: VecDeque<(Instant, usize, K)>,
    told: Option<Instant>,
}

impl<K: Ord + Clone + Display> Spent<K> {
    pub(super) fn new() -> Self {
        Self {
            made: VecDeque::new(),
            told: None,
        }
    }

    /// A request of this queue for this key is made. As many are kept as the budget lets through in a minute.
    pub(super) fn made(&mut self, now: Instant, queue: usize, key: &K) {
        self.forget(now);
        self.made.push_back((now, queue, key.clone()));
    }

    fn forget(&mut self, now: Instant) {
        while self.made.front().is_some_and(|m| m.0 + WINDOW <= now) {
            self.made.pop_front();
        }
    }

    /// "45 candles, 12 quotes; most for candles TOYO 1m (9), …"; none if it was told within the minute.
    pub(super) fn told(&mut self, now: Instant, queues: &[&'static str]) -> Option<String> {
        self.forget(now);
        if self.told.is_some_and(|at| now < at + WINDOW) {
            return None;
        }
        self.told = Some(now);
        let (mut by_queue, mut by_key) = (BTreeMap::new(), BTreeMap::new());
        for (_, queue, key) in &self.made {
            *by_queue.entry(*queue).or_insert(0_u32) += 1;
            *by_key.entry(key).or_insert(0_u32) += 1;
        }
        let kinds: Vec<String> = by_queue
            .iter()
            .map(|(queue, count)| format!("{count} {}", queues[*queue]))
            .collect();
        let mut keys: Vec<_> = by_key.into_iter().collect();
        keys.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let most: Vec<String> = keys
            .iter()
            .take(NAMED_MAX)
            .map(|(key, count)| format!("{key} ({count})"))
            .collect();
        Some(format!(
            "{}; most for {}",
            kinds.join(", "),
            most.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_who_took_most_once_a_minute() {
        let mut spent = Spent::new();
        let t0 = Instant::now();
        spent.made(t0, 0, &"old");
        let now = t0 + WINDOW;
        for (queue, key) in [(0, "A"), (0, "A"), (1, "B"), (0, "C")] {
            spent.made(now, queue, &key);
        }
        let words = spent.told(now, &["candles", "quotes"]).unwrap();
        assert_eq!(words, "3 candles, 1 quotes; most for A (2), B (1), C (1)");
        assert_eq!(spent.told(now, &["candles", "quotes"]), None);
    }
}
