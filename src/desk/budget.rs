//! A limit of requests a minute: none is allowed while that many were made in the last 60 seconds. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The window that the limit is for.
const WINDOW: Duration = Duration::from_secs(60);

/// Remembers when the requests of the last minute were made.
#[derive(Clone, Debug)]
pub struct Budget {
    per_minute: usize,
    made: VecDeque<Instant>,
    paused_until: Option<Instant>,
}

impl Budget {
    /// A whole budget.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        Self {
            per_minute: per_minute as usize,
            made: VecDeque::with_capacity(per_minute as usize),
            paused_until: None,
        }
    }

    /// The limit.
    #[must_use]
    pub fn per_minute(&self) -> u32 {
        u32::try_from(self.per_minute).unwrap_or(u32::MAX)
    }

    /// When a request may be made: now, or later.
    #[must_use]
    pub fn room_at(&self, now: Instant) -> Instant {
        let mut at = now;
        if let Some(paused) = self.paused_until {
            at = at.max(paused);
        }
        let live = self.made.iter().filter(|m| **m + WINDOW > at).count();
        if live >= self.per_minute {
            // The oldest that still counts and must leave the window first.
            let leaves = self.made.len() - self.per_minute;
            if let Some(oldest) = self.made.get(leaves) {
                at = at.max(*oldest + WINDOW);
            }
        }
        at
    }

    /// Makes a request now, if there is room.
    pub fn take(&mut self, now: Instant) -> bool {
        while self.made.front().is_some_and(|m| *m + WINDOW <= now) {
            self.made.pop_front();
        }
        let room = self.room_at(now) <= now && self.made.len() < self.per_minute;
        if room {
            self.made.push_back(now);
        }
        room
    }

    /// A request was made that nobody asked room for: a later one waits for it.
    pub fn charge(&mut self, now: Instant) {
        self.made.push_back(now);
    }

    /// The upstream asked to be left alone until then.
    pub fn pause_until(&mut self, until: Instant) {
        self.paused_until = Some(self.paused_until.map_or(until, |p| p.max(until)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pause_stops_everything_until_it_is_over() {
        let mut budget = Budget::new(10);
        let now = Instant::now();
        budget.pause_until(now + Duration::from_secs(7));
        assert!(!budget.take(now));
        assert_eq!(budget.room_at(now), now + Duration::from_secs(7));
        assert!(budget.take(now + Duration::from_secs(7)));
    }

    proptest! {
        #[test]
        fn no_minute_holds_more_than_the_limit_and_room_is_where_it_is_said_to_be(
            limit in 1_u32..8, steps in prop::collection::vec((0_u64..30_000, 0..4), 1..120)
        ) {
            let mut budget = Budget::new(limit);
            let mut now = Instant::now();
            let mut made: Vec<Instant> = Vec::new();
            for (wait, kind) in steps {
                now += Duration::from_millis(wait);
                if kind == 0 {
                    budget.charge(now);
                    made.push(now);
                    continue;
                }
                let room_at = budget.room_at(now);
                let took = budget.take(now);
                prop_assert_eq!(took, room_at <= now);
                if took {
                    made.push(now);
                } else {
                    now = room_at;
                    prop_assert!(budget.take(now));
                    made.push(now);
                }
                let recent = made.iter().filter(|m| **m + WINDOW > now).count();
                prop_assert!(recent <= limit as usize);
            }
        }
    }
}
