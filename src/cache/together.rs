//! Keys that one call asks for. Pure; a part of [`Cache`].
//!
//! A flight waits for a moment where its queue says so, so that what many ask for at once is one call. When
//! it gets a fetcher, others of its queue that wait go with it, as many as the queue allows. It is
//! one call: of the budget, for the breaker, and of a fetcher. Each key has its own flight and its own answer
//! all the same. What is failing, or is tried again, goes by itself, so that what is wrong with one key is
//! found with that one and costs the others one call; so does what the answer says nothing of.

use std::iter;
use std::time::Instant;

use super::action::Action;
use super::core::Cache;
use super::entry::{Call, Flight, Stage};
use super::{Fetched, Key, Other, Value};

impl Flight {
    /// Whether its call may ask for other keys as well.
    pub(super) fn may_go_along(&self) -> bool {
        self.attempt == 1 && !self.alone
    }
}

impl<K: Key, V: Value, R> Cache<K, V, R> {
    /// Of the waiting flights of a queue those that go with a call that is made now, the newest-asked first.
    pub(super) fn take_along(
        &mut self,
        now: Instant,
        queue: usize,
        deadline: Instant,
    ) -> Vec<Other<K>> {
        let state = &self.queues[queue];
        let room = state.config.together_max.saturating_sub(1);
        let waiting = state.pending.iter().rev();
        let keys: Vec<K> = waiting
            .filter(|key| self.goes_along(now, key))
            .take(room)
            .cloned()
            .collect();
        let mut others = Vec::with_capacity(keys.len());
        for key in keys {
            self.queues[queue].pending.retain(|k| *k != key);
            let entry = self.entries.get_mut(&key);
            if let Some(flight) = entry.and_then(|e| e.flight.as_mut()) {
                flight.stage = Stage::Running(Call {
                    made: now,
                    sick: false,
                    leads: false,
                });
                flight.deadline = Some(deadline);
                let flight = flight.id;
                others.push(Other { key, flight });
            }
        }
        others
    }

    fn goes_along(&self, now: Instant, key: &K) -> bool {
        let Some(entry) = self.entries.get(key) else {
            return false;
        };
        let free = entry.flight.as_ref().is_some_and(Flight::may_go_along);
        free && !entry.is_held(now) && !self.is_sick(key)
    }

    /// Until when a waiting flight waits for others to go with it; none where it is failing, or somebody's
    /// patience ends before: nobody would be left to want it.
    pub(super) fn gathers_until(&self, now: Instant, key: &K) -> Option<Instant> {
        let limits = &self.queues[key.queue()].config;
        if limits.gather_for.is_zero() || self.is_sick(key) {
            return None;
        }
        let entry = self.entries.get(key)?;
        let flight = entry.flight.as_ref()?;
        let until = flight.begun + limits.gather_for;
        let mut waiters = entry.waiters.iter();
        let patient = waiters.all(|waiter| entry.gives_up(waiter, limits, now) > until);
        (flight.may_go_along() && patient && now < until).then_some(until)
    }

    /// A fetcher is done with a job and what went with it.
    pub fn done(
        &mut self,
        now: Instant,
        fetched: Fetched<K, V>,
        out: &mut Vec<Action<K, V::Out, R>>,
    ) {
        let Fetched { job, answers } = fetched;
        for _ in 0..answers.further_calls {
            self.called_again(now, &job.key);
        }
        self.fetched(now, &job.key, job.flight, answers.own, out);
        let results = answers.others.into_iter().chain(iter::repeat_with(|| None));
        for (other, result) in job.others.iter().zip(results) {
            match result {
                Some(result) => self.fetched(now, &other.key, other.flight, result, out),
                None => self.not_asked(now, other, out),
            }
        }
    }

    /// The call said nothing of this key: it is asked for by itself.
    fn not_asked(&mut self, now: Instant, other: &Other<K>, out: &mut Vec<Action<K, V::Out, R>>) {
        self.stragglers.remove(&other.flight);
        let entry = self.entries.get_mut(&other.key);
        let mine = entry.and_then(|e| e.flight.as_mut());
        let Some(mine) = mine.filter(|f| f.id == other.flight) else {
            return;
        };
        if !matches!(mine.stage, Stage::Running(Call { leads: false, .. })) {
            return;
        }
        mine.stage = Stage::Pending;
        mine.deadline = None;
        mine.alone = true;
        self.queues[other.key.queue()]
            .pending
            .push(other.key.clone());
        self.drop_unwanted(&other.key);
        self.dispatch(now, out);
    }
}
