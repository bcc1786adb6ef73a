//! Which waiting flight is started when, and for how long. Pure; a part of [`Cache`].

use std::time::{Duration, Instant};

use super::action::Action;
use super::core::Cache;
use super::entry::{Call, Stage};
use super::{Job, Key, Value};
use crate::resilience::Budget;
use crate::resilience::Permit;
use crate::resilience::{FetchError, Need};

impl<K: Key, V: Value, R> Cache<K, V, R> {
    /// Starts what may start, and sheds what is too much.
    pub(super) fn dispatch(&mut self, now: Instant, out: &mut Vec<Action<K, V::Out, R>>) {
        for queue in 0..self.queues.len() {
            while let Some(key) = self.next_to_start(now, queue) {
                self.start(now, queue, key, out);
            }
            while self.queues[queue].pending.len() > self.queues[queue].config.pending_max {
                let key = self.queues[queue].pending[0].clone();
                let failure = FetchError::Busy {
                    what: self.queues[queue].config.name.to_owned(),
                    retry_in: Duration::from_secs(1),
                };
                self.fail(now, &key, None, failure, out);
            }
        }
        self.settle(now, out);
    }

    /// Of the waiting flights of a queue the one to start now: for a trial a key that is not known to fail
    /// if there is one; what somebody sees nothing without before a refresh; the newest-asked.
    pub(super) fn next_to_start(&self, now: Instant, queue: usize) -> Option<K> {
        let state = &self.queues[queue];
        if state.running >= state.capacity {
            return None;
        }
        let permit = match &self.breaker {
            Some(breaker) => breaker.look(now, queue),
            None => Permit::Closed,
        };
        if matches!(permit, Permit::Open { .. }) {
            return None;
        }
        let mut best: Option<((bool, bool), &K)> = None;
        for key in state.pending.iter().rev() {
            let Some(entry) = self.entries.get(key) else {
                continue;
            };
            let sick = self.is_sick(key);
            let need = entry.need(&state.config, now);
            let room = |budget: &Budget| budget.room_at(now, need) <= now;
            let gathers = self.gathers_until(now, key).is_some();
            if entry.is_held(now)
                || gathers
                || (sick && !state.takes_sick())
                || !self.budget.as_ref().is_none_or(room)
            {
                continue;
            }
            let rank = (permit == Permit::Trial && sick, need == Need::Refresh);
            if best.is_none_or(|(other, _)| rank < other) {
                best = Some((rank, key));
            }
        }
        best.map(|(_, key)| key.clone())
    }

    pub(super) fn start(
        &mut self,
        now: Instant,
        queue: usize,
        key: K,
        out: &mut Vec<Action<K, V::Out, R>>,
    ) {
        let sick = self.is_sick(&key);
        let state = &mut self.queues[queue];
        state.pending.retain(|k| *k != key);
        let subject = key.subject();
        let known = subject.is_some_and(|subject| self.known.has(&subject));
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        let need = entry.need(&state.config, now);
        if let Some(budget) = &mut self.budget {
            // There is room: it was looked for.
            budget.take(now, need);
            self.spent.made(now, queue, &key);
        }
        let trial = self
            .breaker
            .as_mut()
            .is_some_and(|b| b.enter(now, queue) == Permit::Trial);
        let within = self.call_deadline(queue, sick, trial);
        let state = &mut self.queues[queue];
        let Some(flight) = self.entries.get_mut(&key).and_then(|e| e.flight.as_mut()) else {
            return;
        };
        let call = Call {
            made: now,
            sick,
            leads: true,
        };
        state.begins(call);
        flight.stage = Stage::Running(call);
        let deadline = *flight.deadline.get_or_insert(now + within);
        let (id, attempt) = (flight.id, flight.attempt);
        let others = if flight.may_go_along() && !sick && !trial {
            self.take_along(now, queue, deadline)
        } else {
            Vec::new()
        };
        out.push(Action::Fetch {
            queue,
            job: Job {
                flight: id,
                attempt,
                known,
                deadline,
                key,
                others,
            },
        });
    }

    /// Whether its flights fail, or a call for it is late.
    pub(super) fn is_sick(&self, key: &K) -> bool {
        let late = || self.stragglers.values().any(|late| late.key == *key);
        self.entries.get(key).is_some_and(|e| e.failures > 0) || late()
    }

    /// How long a call may take. Keys that are failing share the fetchers that they may have, each with a
    /// call every `open_for`: none may be out for longer than leaves a fetcher for the next.
    fn call_deadline(&self, queue: usize, sick: bool, trial: bool) -> Duration {
        let state = &self.queues[queue];
        let Some(breaker) = self.breaker.as_ref().filter(|_| sick && self.waits()) else {
            return state.config.deadline;
        };
        let sharing = self.busy.iter().filter(|key| {
            let flies = || self.entries.get(key).is_some_and(|e| e.flight.is_some());
            key.queue() == queue && flies() && self.is_sick(key)
        });
        let sharing = if trial { 1 } else { sharing.count().max(1) };
        let each = u32::try_from((state.sick_max() / sharing).max(1)).unwrap_or(u32::MAX);
        let within = breaker.open_for().saturating_mul(each);
        within.min(state.config.deadline)
    }
}
