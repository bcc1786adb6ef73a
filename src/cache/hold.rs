//! Why a key is not fetched now, and who waits for it all the same. Pure; a part of [`Cache`].
//!
//! A key may be held by itself (it failed), by its kind or the whole upstream (the breaker, a 429), or by
//! the budget. Who has an older value gets that at once. Who has none waits for the next try while that
//! may come before its deadline, and at most so many do: the others are told why, the longest-waiting
//! first, so that waiting for a dead upstream takes nobody's place.

use std::time::{Duration, Instant};

use super::action::Action;
use super::core::Cache;
use super::entry::{Call, Failed, Hold, Stage};
use super::{Key, Reply, Value};
use crate::resilience::{Failing, Permit, Turn, Why};
use crate::resilience::{FetchError, Need};

/// Failures in a row after which the log hears of a single key.
const UPDATES_AFTER: u32 = 3;

impl<K: Key, V: Value, R> Cache<K, V, R> {
    /// Whether who has nothing waits for another try.
    pub(super) fn waits(&self) -> bool {
        self.config.patient_max > 0
    }

    /// What keeps this key from being fetched now; of several the longest.
    pub(super) fn hold(&self, now: Instant, key: &K) -> Option<Hold> {
        let queue = key.queue();
        let limits = &self.queues[queue].config;
        let entry = self.entries.get(key);
        let by_itself = entry.and_then(|e| e.failed.as_ref()).map(|failed| Hold {
            until: failed.next_try,
            why: failed.failure.clone(),
        });
        let by_breaker = self.held_by_breaker(now, queue);
        let need = entry.map_or(Need::Waited, |e| e.need(limits, now));
        let by_budget = self.budget.as_ref().map(|budget| {
            let until = budget.room_at(now, need);
            Hold {
                until,
                why: FetchError::Budget {
                    upstream: self.config.upstream,
                    per_minute: budget.per_minute(),
                    retry_in: until.saturating_duration_since(now),
                },
            }
        });
        [by_itself, by_breaker, by_budget]
            .into_iter()
            .flatten()
            .filter(|hold| hold.until > now)
            .max_by_key(|hold| hold.until)
    }

    fn held_by_breaker(&self, now: Instant, queue: usize) -> Option<Hold> {
        let Permit::Open { until, why } = self.breaker.as_ref()?.look(now, queue) else {
            return None;
        };
        let upstream = self.config.upstream;
        let retry_in = until.saturating_duration_since(now);
        let open = |what, Failing { keys, last }| FetchError::BreakerOpen {
            upstream,
            what,
            keys,
            last: Box::new(last),
            retry_in,
        };
        let why = match why {
            Why::Kind(failing) => open(self.queues[queue].config.name, failing),
            Why::Whole(failing) => open("requests", failing),
            Why::Asked(asked) => FetchError::Paused {
                upstream,
                asked,
                retry_in,
            },
        };
        Some(Hold { until, why })
    }

    /// What an asker is told instead of waiting; none if it waits. `deadline`: none for who only looks.
    pub(super) fn told_at_once(
        &mut self,
        now: Instant,
        key: &K,
        deadline: Option<Instant>,
    ) -> Option<Reply<V::Out>> {
        let refreshing = self.entries.get(key).and_then(|entry| {
            let limits = &self.queues[key.queue()].config;
            entry.refreshing_since(limits, now)
        });
        if let Some(since) = refreshing {
            let why = self.why_not(now, key, since);
            let limits = &self.queues[key.queue()].config;
            return Some(self.entries.get_mut(key)?.instead(&why, limits, now));
        }
        let hold = self.hold(now, key)?;
        let waits = self.waits();
        let limits = &self.queues[key.queue()].config;
        let Some(entry) = self.entries.get_mut(key) else {
            let worth = waits && hold.why.may_pass();
            let waits = worth && deadline.is_none_or(|by| hold.until < by);
            return (!waits).then_some(Err(hold.why));
        };
        if matches!(&entry.flight, Some(f) if matches!(f.stage, Stage::Running(_))) {
            return None;
        }
        let waits = if entry.usable(limits, now) {
            hold.is_brief(now)
        } else {
            waits && hold.why.may_pass() && deadline.is_none_or(|by| hold.until < by)
        };
        (!waits).then(|| entry.instead(&hold.why, limits, now))
    }

    /// Answers who waits for a flight that is held and has no reason to.
    pub(super) fn settle(&mut self, now: Instant, out: &mut Vec<Action<K, V::Out, R>>) {
        let pending: Vec<K> = self
            .queues
            .iter()
            .flat_map(|queue| queue.pending.iter().cloned())
            .collect();
        for key in pending {
            let Some(hold) = self.hold(now, &key) else {
                continue;
            };
            if matches!(hold.why, FetchError::Budget { .. }) {
                self.tell_of_budget(now, out);
            }
            self.dismiss(now, &key, &hold, out);
            self.drop_unwanted(&key);
        }
        if self.waits() {
            self.dismiss_patient(now, out);
        }
    }

    /// Answers those who wait for this key and have no reason to.
    pub(super) fn dismiss(
        &mut self,
        now: Instant,
        key: &K,
        hold: &Hold,
        out: &mut Vec<Action<K, V::Out, R>>,
    ) {
        let waits = self.waits() && hold.why.may_pass();
        let limits = &self.queues[key.queue()].config;
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        let usable = entry.usable(limits, now);
        let stays = |deadline| {
            if usable {
                hold.is_brief(now)
            } else {
                waits && hold.until < deadline
            }
        };
        let mut i = 0;
        while i < entry.waiters.len() {
            if stays(entry.waiters[i].deadline) {
                i += 1;
                continue;
            }
            self.waiters -= 1;
            out.push(entry.give_up(i, &hold.why, limits, now));
        }
    }

    /// No more than so many wait for another try of what has failed, or for what is held.
    fn dismiss_patient(&mut self, now: Instant, out: &mut Vec<Action<K, V::Out, R>>) {
        let mut patient: Vec<(Instant, &K)> = Vec::new();
        for key in &self.busy {
            let Some(entry) = self.entries.get(key) else {
                continue;
            };
            let limits = &self.queues[key.queue()].config;
            let running = |stage| matches!(stage, Stage::Running(_));
            let flies = entry.flight.as_ref().is_some_and(|f| running(f.stage));
            let held = || !flies && self.hold(now, key).is_some();
            if !entry.usable(limits, now) && (entry.failed.is_some() || held()) {
                patient.extend(entry.waiters.iter().map(|w| (w.asked, key)));
            }
        }
        let excess = patient.len().saturating_sub(self.config.patient_max);
        if excess == 0 {
            return;
        }
        patient.sort();
        let dismissed: Vec<(Instant, K)> = patient
            .into_iter()
            .take(excess)
            .map(|(asked, key)| (asked, key.clone()))
            .collect();
        for (asked, key) in dismissed {
            let why = self.why_not(now, &key, asked);
            let limits = &self.queues[key.queue()].config;
            let Some(entry) = self.entries.get_mut(&key) else {
                continue;
            };
            if let Some(i) = entry.waiters.iter().position(|w| w.asked == asked) {
                self.waiters -= 1;
                out.push(entry.give_up(i, &why, limits, now));
            }
            self.drop_unwanted(&key);
        }
    }

    /// Why there is nothing for who asked then: the key's own failure before what holds it now.
    pub(super) fn why_not(&self, now: Instant, key: &K, asked: Instant) -> FetchError {
        let waited = now.saturating_duration_since(asked);
        let failed = |entry: &super::entry::Entry<V, R>| entry.failed.is_some();
        match self.entries.get(key) {
            Some(entry) if failed(entry) => entry.why_not_fresh(self.config.upstream, waited),
            entry => match (self.hold(now, key), entry) {
                (Some(hold), _) => hold.why,
                (None, Some(entry)) => entry.why_not_fresh(self.config.upstream, waited),
                (None, None) => FetchError::Cancelled,
            },
        }
    }

    /// A call for this key failed: what the breaker makes of it. Returns the failure as its askers are told
    /// it. One call is one piece of evidence: the key's that leads it.
    pub(super) fn judged(
        &mut self,
        now: Instant,
        key: &K,
        call: Call,
        failure: FetchError,
        out: &mut Vec<Action<K, V::Out, R>>,
    ) -> FetchError {
        let upstream = self.config.upstream;
        let failing = self.entries.get(key).filter(|e| e.failures > 0);
        let since = failing.map_or(call.made, |e| e.failing_since.min(call.made));
        let Some(breaker) = &mut self.breaker else {
            return failure;
        };
        if let FetchError::Status {
            code: 429,
            retry_after: asked,
            ..
        } = failure
            && self.budget.is_some()
        {
            let retry_in = breaker.pause(now, asked);
            let failure = FetchError::Paused {
                upstream,
                asked,
                retry_in,
            };
            if call.leads {
                out.push(Action::Say(failure.to_string()));
            }
            return failure;
        }
        if !call.leads {
            return failure;
        }
        let turn = breaker.failure(now, key.queue(), key, since, &failure);
        let kind = match turn {
            Turn::KindOpened => Some(self.queues[key.queue()].config.name),
            Turn::WholeOpened => Some("all requests"),
            _ => None,
        };
        if let Some(kind) = kind {
            out.push(Action::Say(format!(
                "{upstream} is left alone for {kind} and tried each {} ms, after {} different ones failed; the last, {key}: {failure}",
                breaker.open_for().as_millis(),
                self.config.breaker.map_or(0, |b| b.keys),
            )));
        }
        failure
    }

    /// How long a key that failed with this is left alone, counted from the call.
    pub(super) fn left_alone_for(
        &mut self,
        key: &K,
        failure: &FetchError,
        out: &mut Vec<Action<K, V::Out, R>>,
    ) -> Duration {
        let limits = &self.queues[key.queue()].config;
        let first = limits.failure_hold;
        let failures = self.entries.get(key).map_or(1, |e| e.failures);
        let Some(config) = self.config.breaker.filter(|_| failure.may_pass()) else {
            return first;
        };
        if failures == UPDATES_AFTER {
            out.push(Action::Say(format!(
                "{key} of {} failed {failures} times in a row and is tried each {} ms, others as ever: {failure}",
                self.config.upstream,
                config.open_for.max(first).as_millis()
            )));
        }
        let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(16));
        let wish = match failure {
            FetchError::Status {
                code: 429,
                retry_after: Some(wish),
                ..
            } => *wish,
            _ => Duration::ZERO,
        };
        doubled.max(wish).min(config.open_for.max(first))
    }

    /// A call for this key, made at `called`, was answered.
    pub(super) fn upstream_works(
        &mut self,
        now: Instant,
        key: &K,
        called: Instant,
        out: &mut Vec<Action<K, V::Out, R>>,
    ) {
        let queue = key.queue();
        let Some(breaker) = &mut self.breaker else {
            return;
        };
        let turn = breaker.success(now, queue, called);
        let what = match turn {
            Turn::KindClosed => self.queues[queue].config.name,
            Turn::WholeClosed => "all requests",
            _ => return,
        };
        out.push(Action::Say(format!(
            "{} works again for {what}: the breaker is closed",
            self.config.upstream
        )));
        // What kept them is over.
        for (key, entry) in &mut self.entries {
            if let Some(Failed { failure, next_try }) = &mut entry.failed
                && failure.may_pass()
                && (turn == Turn::WholeClosed || key.queue() == queue)
            {
                *next_try = (*next_try).min(now);
            }
        }
    }

    fn tell_of_budget(&mut self, now: Instant, out: &mut Vec<Action<K, V::Out, R>>) {
        let queues: Vec<&'static str> = self.queues.iter().map(|l| l.config.name).collect();
        if let (Some(budget), Some(on)) = (&self.budget, self.spent.told(now, &queues)) {
            out.push(Action::Say(format!(
                "the budget of {} requests a minute to {} has no room now; in the last minute: {on}",
                budget.per_minute(),
                self.config.upstream
            )));
        }
    }
}
