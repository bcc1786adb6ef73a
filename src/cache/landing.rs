//! How a flight ends: its call is answered, fails, or is given up. Pure; a part of [`Cache`].

use std::time::Instant;

use super::action::Action;
use super::core::{Cache, Straggler};
use super::entry::{Call, Failed, Hold, Stage, retry_at};
use super::{Key, Value};
use crate::resilience::{Evidence, FetchError};

impl<K: Key, V: Value, R> Cache<K, V, R> {
    /// A fetcher made one call more for this key than was allowed.
    pub fn called_again(&mut self, now: Instant, key: &K) {
        if let Some(budget) = &mut self.budget {
            budget.charge(now);
            self.spent.made(now, key.queue(), key);
        }
    }

    /// A fetcher is done.
    pub fn fetched(
        &mut self,
        now: Instant,
        key: &K,
        flight: u64,
        result: Result<V, FetchError>,
        out: &mut Vec<Action<K, V::Out, R>>,
    ) {
        if let Some((queue, was_replaced)) = self.lost.remove(&flight) {
            self.found(queue, was_replaced, out);
            self.dispatch(now, out);
            return;
        }
        if let Some(late) = self.stragglers.remove(&flight) {
            self.late_answer(now, key, late.call, result, out);
        } else if let Some(call) = self.call_of(key, flight) {
            self.queues[key.queue()].ends(call);
            match result {
                Ok(value) => self.learnt(now, key, call.made, value, out),
                Err(failure @ FetchError::NoData { .. }) => {
                    self.nothing(now, key, call.made, failure, out);
                }
                Err(failure) => self.failed(now, key, call, failure, out),
            }
        } else {
            return;
        }
        self.dispatch(now, out);
    }

    /// The call that is out for this key under this number; no fetcher is out with it any more.
    fn call_of(&mut self, key: &K, flight: u64) -> Option<Call> {
        let entry = self.entries.get_mut(key)?;
        let mine = entry.flight.as_mut().filter(|f| f.id == flight)?;
        let Stage::Running(call) = mine.stage else {
            return None;
        };
        mine.stage = Stage::Pending;
        Some(call)
    }

    /// A call was answered beside which its key is tried anew.
    fn late_answer(
        &mut self,
        now: Instant,
        key: &K,
        call: Call,
        result: Result<V, FetchError>,
        out: &mut Vec<Action<K, V::Out, R>>,
    ) {
        self.queues[key.queue()].ends(call);
        match result {
            Ok(value) => self.learnt(now, key, call.made, value, out),
            // The try beside it says how it is now.
            Err(failure) => drop(self.judged(now, key, call, failure, out)),
        }
    }

    /// The upstream said that there is nothing.
    fn nothing(
        &mut self,
        now: Instant,
        key: &K,
        called: Instant,
        failure: FetchError,
        out: &mut Vec<Action<K, V::Out, R>>,
    ) {
        let hold = self.queues[key.queue()].config.nodata_hold;
        if let Some(entry) = self.entries.get_mut(key) {
            entry.refreshed(None);
            entry.failed = Some(Failed {
                failure,
                next_try: now + hold,
            });
        }
        self.upstream_works(now, key, called, out);
        self.land(now, key, out);
    }

    /// The call failed: it is made again after a while, or its flight ends.
    fn failed(
        &mut self,
        now: Instant,
        key: &K,
        call: Call,
        failure: FetchError,
        out: &mut Vec<Action<K, V::Out, R>>,
    ) {
        let limits = &self.queues[key.queue()].config;
        let mine = self.entries.get(key).and_then(|e| e.flight.as_ref());
        let retry = mine.and_then(|mine| retry_at(now, mine, &failure, limits, &mut self.jitter));
        let failure = self.judged(now, key, call, failure, out);
        let paused = matches!(failure, FetchError::Paused { .. });
        let mine = self.entries.get_mut(key).and_then(|e| e.flight.as_mut());
        match (retry.filter(|_| !paused), mine) {
            (Some(at), Some(mine)) => {
                mine.attempt += 1;
                mine.stage = Stage::Retry { at };
            }
            _ => self.fail(now, key, Some(call.made), failure, out),
        }
    }

    /// The upstream said this of a key.
    fn learnt(
        &mut self,
        now: Instant,
        key: &K,
        called: Instant,
        value: V,
        out: &mut Vec<Action<K, V::Out, R>>,
    ) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.refreshed(Some((value, now)));
            if let Some(update) = self.updates.of(now, key) {
                entry.apply(now, update);
            }
        }
        if let Some(subject) = key.subject() {
            self.known(now, subject);
        }
        self.upstream_works(now, key, called, out);
        self.land(now, key, out);
    }

    /// The flight ended with a value or with "there is nothing": everybody is answered.
    fn land(&mut self, now: Instant, key: &K, out: &mut Vec<Action<K, V::Out, R>>) {
        self.end_flight(now, key);
        let limits = &self.queues[key.queue()].config;
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        let waiters = std::mem::take(&mut entry.waiters);
        self.waiters -= waiters.len();
        self.busy.remove(key);
        out.extend(waiters.into_iter().map(|waiter| Action::Reply {
            to: waiter.to,
            reply: match (entry.served(limits), &entry.failed) {
                (Some(served), _) => Ok(served),
                (None, Some(failed)) => Err(failed.failure.clone()),
                (None, None) => Err(FetchError::Cancelled),
            },
        }));
    }

    /// The flight, whose call was made at `called`, ended with a failure: who has an older value or no
    /// reason to wait for the next try is answered, and the others get another flight.
    pub(super) fn fail(
        &mut self,
        now: Instant,
        key: &K,
        called: Option<Instant>,
        failure: FetchError,
        out: &mut Vec<Action<K, V::Out, R>>,
    ) {
        self.end_flight(now, key);
        let until = match &failure {
            // Being shed or refused says nothing about the key: the next asker may try.
            FetchError::Busy { .. } => now,
            FetchError::Paused { retry_in, .. } => now + *retry_in,
            _ => {
                if let Some(entry) = self.entries.get_mut(key) {
                    if entry.failures == 0 {
                        entry.failing_since = called.unwrap_or(now);
                    }
                    let counts = failure.may_pass() || failure.evidence() != Evidence::Nothing;
                    entry.failures += u32::from(counts);
                }
                let alone = self.left_alone_for(key, &failure, out);
                // A call that took as long has left it alone meanwhile, for who waits for the next. Where
                // nobody waits, all who ask in that time are told of this one.
                let from = called
                    .filter(|_| self.config.patient_max > 0)
                    .unwrap_or(now);
                let next_try = (from + alone).max(now);
                if let Some(entry) = self.entries.get_mut(key) {
                    entry.failed = Some(Failed {
                        failure: failure.clone(),
                        next_try,
                    });
                }
                next_try
            }
        };
        let hold = Hold {
            until,
            why: failure,
        };
        self.dismiss(now, key, &hold, out);
        if let Some(entry) = self.entries.get_mut(key)
            && !entry.waiters.is_empty()
        {
            self.flights += 1;
            entry.take_off(now, self.flights);
            self.queues[key.queue()].pending.push(key.clone());
        } else {
            self.busy.remove(key);
        }
    }

    /// The key has no flight any more. A call that is still out becomes a straggler.
    pub(super) fn end_flight(&mut self, now: Instant, key: &K) {
        self.queues[key.queue()].pending.retain(|k| k != key);
        let entry = self.entries.get_mut(key);
        if let Some(flight) = entry.and_then(|e| e.flight.take())
            && let Stage::Running(call) = flight.stage
        {
            let late = Straggler {
                key: key.clone(),
                call,
                deadline: flight.deadline.unwrap_or(now),
            };
            self.stragglers.insert(flight.id, late);
        }
    }
}
