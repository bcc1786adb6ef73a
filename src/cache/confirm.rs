//! Values that are current and that the upstream may know better are asked for where nobody waits for
//! anything. Pure; a part of [`Cache`].
//!
//! Such a call is made only at once or not at all: with a fetcher free, nothing held, nobody queued and more
//! room in the budget than others may want. What was asked for last, and so is likely looked at, goes first.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use super::action::Action;
use super::core::Cache;
use super::{Key, Value};
use crate::resilience::Need;
use crate::resilience::Permit;

/// A key is not asked for again sooner, however that call ends.
const CONFIRM_EVERY: Duration = Duration::from_secs(10);

impl<K: Key, V: Value, R> Cache<K, V, R> {
    /// Starts what may start now. To be called whenever something was learnt; what has no room now has
    /// another chance then.
    pub fn confirm(&mut self, now: Instant, out: &mut Vec<Action<K, V::Out, R>>) {
        let wants = self.entries.iter().filter(|(_, e)| {
            e.unconfirmed && e.flight.is_none() && e.confirm_after <= now && !e.is_held(now)
        });
        let mut wants: Vec<(Instant, K)> = wants.map(|(k, e)| (e.asked, k.clone())).collect();
        wants.sort_by_key(|(asked, _)| Reverse(*asked));
        for (_, key) in wants {
            let queue = key.queue();
            if !self.has_spare_room(now, queue) {
                continue;
            }
            self.flights += 1;
            let id = self.flights;
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.take_off(now, id);
                entry.confirm_after = now + CONFIRM_EVERY;
                self.busy.insert(key.clone());
                self.start(now, queue, key, out);
            }
        }
    }

    fn has_spare_room(&self, now: Instant, queue: usize) -> bool {
        let state = &self.queues[queue];
        let closed = |b: &crate::resilience::Breaker<K>| b.look(now, queue) == Permit::Closed;
        let room = |b: &crate::resilience::Budget| b.room_at(now, Need::Spare) <= now;
        state.running < state.capacity
            && state.pending.is_empty()
            && self.breaker.as_ref().is_none_or(closed)
            && self.budget.as_ref().is_none_or(room)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{K, config};
    use super::super::{AskId, CacheConfig, Freshness, Job, Reply};
    use super::*;
    use crate::resilience::FetchError;

    /// A value that makes of an update what that says.
    #[derive(Debug)]
    struct Said(u32);

    impl Value for Said {
        type Update = Freshness;
        type Out = u32;

        fn apply(&mut self, update: &Freshness) -> Freshness {
            *update
        }

        fn out(&mut self) -> u32 {
            self.0
        }
    }

    struct World {
        cache: Cache<K, Said, u64>,
        now: Instant,
    }

    impl World {
        fn new(per_minute: u32) -> Self {
            let config = CacheConfig {
                per_minute: Some(per_minute),
                ..config()
            };
            Self {
                cache: Cache::new(config),
                now: Instant::now(),
            }
        }

        fn ask(&mut self, key: u16) -> (Vec<Job<K>>, Option<Reply<u32>>) {
            let mut out = Vec::new();
            let by = self.now + Duration::from_secs(9);
            self.cache.ask(self.now, AskId(1), &K(key), by, 1, &mut out);
            split(out)
        }

        fn fetched(
            &mut self,
            job: &Job<K>,
            result: Result<u32, FetchError>,
        ) -> (Vec<Job<K>>, Option<Reply<u32>>) {
            let mut out = Vec::new();
            let result = result.map(Said);
            self.cache
                .fetched(self.now, &job.key, job.flight, result, &mut out);
            split(out)
        }

        fn shown(&mut self, key: u16) {
            self.now += Duration::from_millis(1);
            let (jobs, _) = self.ask(key);
            self.fetched(&jobs[0], Ok(1));
        }

        fn updated(&mut self, keys: &[u16], freshness: Freshness) -> Vec<Job<K>> {
            for key in keys {
                self.cache.update(self.now, &K(*key), &freshness);
            }
            let mut out = Vec::new();
            self.cache.confirm(self.now, &mut out);
            split(out).0
        }
    }

    fn split(out: Vec<Action<K, u32, u64>>) -> (Vec<Job<K>>, Option<Reply<u32>>) {
        let (mut jobs, mut said) = (Vec::new(), None);
        for action in out {
            match action {
                Action::Fetch { job, .. } => jobs.push(job),
                Action::Reply { reply, .. } => said = Some(reply),
                _ => {}
            }
        }
        (jobs, said)
    }

    fn down() -> FetchError {
        FetchError::Status {
            upstream: "the upstream",
            code: 500,
            detail: String::new(),
            retry_after: None,
        }
    }

    #[test]
    fn what_was_asked_for_last_is_confirmed_first_and_as_many_as_there_is_room_for() {
        let mut world = World::new(120);
        for key in [1, 2, 3] {
            world.shown(key);
        }
        let all = [1, 2, 3];
        assert!(world.updated(&all, Freshness::Current).is_empty());
        let jobs = world.updated(&all, Freshness::Unconfirmed);
        let keys: Vec<u16> = jobs.iter().map(|j| j.key.0).collect();
        assert_eq!(keys, [3, 2], "there are two fetchers");
        let (_, said) = world.ask(3);
        assert_eq!(said.unwrap().unwrap().value, 1, "nobody waits for it");
        world.fetched(&jobs[0], Ok(7));
        assert_eq!(world.ask(3).1.unwrap().unwrap().value, 7);
        let jobs = world.updated(&all, Freshness::Unconfirmed);
        assert_eq!(jobs[0].key, K(1));
        assert_eq!(jobs.len(), 1, "none is asked for again so soon");
        world.fetched(&jobs[0], Ok(7));
        world.now += CONFIRM_EVERY;
        assert_eq!(world.updated(&[3], Freshness::Unconfirmed)[0].key, K(3));
    }

    #[test]
    fn a_confirmation_that_fails_makes_nothing_stale_and_is_not_repeated_at_once() {
        let mut world = World::new(120);
        world.shown(1);
        let jobs = world.updated(&[1], Freshness::Unconfirmed);
        world.fetched(&jobs[0], Err(down()));
        let timeout = FetchError::Timeout {
            upstream: "the upstream",
            after_ms: 1,
        };
        for failure in [down(), timeout] {
            world.cache.tick(world.now, &mut Vec::new());
            let served = world.ask(1).1.unwrap().unwrap();
            assert!(served.stale_because.is_none());
            assert!(world.updated(&[1], Freshness::Unconfirmed).is_empty());
            world.now += CONFIRM_EVERY;
            let jobs = world.updated(&[1], Freshness::Unconfirmed);
            assert_eq!(jobs.len(), 1);
            world.fetched(&jobs[0], Err(failure));
        }
        world.updated(&[1], Freshness::Outdated);
        let served = world.ask(1).1.unwrap().unwrap();
        assert!(served.stale_because.is_some(), "what is missing is told");
    }

    #[test]
    fn the_room_of_those_who_ask_is_left_to_them() {
        let mut world = World::new(40);
        world.shown(1);
        let mut made = 0;
        while let Some(job) = world.updated(&[1], Freshness::Unconfirmed).pop() {
            made += 1;
            world.fetched(&job, Ok(1));
            if let Some(entry) = world.cache.entries.get_mut(&K(1)) {
                entry.confirm_after = world.now;
            }
        }
        assert_eq!(made, 3, "a third of the ten that may be made at once");
        let waited = (2..7).filter(|key| !world.ask(*key).0.is_empty()).count();
        assert_eq!(waited, 2, "as many as there are fetchers");
        world.now += Duration::from_secs(60);
        assert!(
            world.updated(&[1], Freshness::Unconfirmed).is_empty(),
            "others wait"
        );
    }
}
