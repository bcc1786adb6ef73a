//! What time does to a cache: flights and waits that run out, fetchers that are lost, room that
//! is made. Pure; the other half of [`Cache`].

use std::time::{Duration, Instant};

use crate::runtime::clock::millis;

use super::action::Action;
use super::core::{Cache, LOST_GRACE};
use super::entry::{Call, Stage};
use super::{Key, Value};
use crate::resilience::FetchError;
use crate::resilience::Permit;

impl<K: Key, V: Value, R> Cache<K, V, R> {
    /// The time has come that [`Self::next_timeout`] named.
    pub fn tick(&mut self, now: Instant, out: &mut Vec<Action<K, V::Out, R>>) {
        let busy: Vec<K> = self.busy.iter().cloned().collect();
        for key in &busy {
            self.tick_flight(now, key, out);
            self.tick_waiters(now, key, out);
            self.drop_unwanted(key);
        }
        self.tick_stragglers(now, out);
        let idle_max = self.config.idle_max;
        self.entries.retain(|_, e| {
            e.flight.is_some() || !e.waiters.is_empty() || now.duration_since(e.asked) < idle_max
        });
        self.dispatch(now, out);
    }

    /// When [`Self::tick`] is to be called next; none while nothing waits for the time.
    #[must_use]
    pub fn next_timeout(&self, now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        let mut sooner = |at: Instant| next = Some(next.map_or(at, |n| n.min(at)));
        for key in &self.busy {
            let Some(entry) = self.entries.get(key) else {
                continue;
            };
            let limits = &self.queues[key.queue()].config;
            match entry.flight.as_ref().map(|f| (f.stage, f.deadline)) {
                Some((Stage::Retry { at }, _)) => sooner(at),
                Some((Stage::Running(_), Some(deadline))) => sooner(deadline + LOST_GRACE),
                _ => {}
            }
            if let Some(at) = self.late_at(now, key) {
                sooner(at);
            }
            for waiter in &entry.waiters {
                sooner(entry.gives_up(waiter, limits, now));
            }
        }
        for late in self.stragglers.values() {
            sooner(late.deadline + LOST_GRACE);
        }
        for (n, queue) in self.queues.iter().enumerate() {
            if queue.running >= queue.capacity {
                continue;
            }
            // What held it is over, and it was not looked at since.
            if self.next_to_start(now, n).is_some() {
                sooner(now);
            }
            for key in &queue.pending {
                let gathers = self.gathers_until(now, key);
                let held = self.hold(now, key).map(|hold| hold.until);
                [gathers, held].into_iter().flatten().for_each(&mut sooner);
            }
        }
        next
    }

    /// When this key is tried anew beside a call that is out: it or others of its kind have failed,
    /// somebody waits and sees nothing, and there is a fetcher, a permit and room for it.
    fn late_at(&self, now: Instant, key: &K) -> Option<Instant> {
        let entry = self.entries.get(key)?;
        let queue = &self.queues[key.queue()];
        let breaker = self.breaker.as_ref()?;
        let open_for = breaker.open_for();
        let Stage::Running(call) = entry.flight.as_ref()?.stage else {
            return None;
        };
        let wanted = self.waits()
            && (call.sick || breaker.doubts(key.queue(), call.made))
            && !entry.waiters.is_empty()
            && !entry.usable(&queue.config, now)
            && queue.running < queue.capacity
            && queue.takes_sick();
        if !wanted {
            return None;
        }
        let mut at = call.made + open_for;
        if let Permit::Open { until, .. } = breaker.look(now, key.queue()) {
            at = at.max(until);
        }
        if let Some(budget) = &self.budget {
            at = at.max(budget.room_at(now, entry.need(&queue.config, now)));
        }
        Some(at)
    }

    fn tick_stragglers(&mut self, now: Instant, out: &mut Vec<Action<K, V::Out, R>>) {
        let lost: Vec<u64> = self
            .stragglers
            .iter()
            .filter(|(_, late)| late.deadline + LOST_GRACE <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in lost {
            if let Some(late) = self.stragglers.remove(&id) {
                self.give_up_fetcher(late.key.queue(), id, late.call, &late.key, out);
            }
        }
    }

    pub(super) fn tick_flight(
        &mut self,
        now: Instant,
        key: &K,
        out: &mut Vec<Action<K, V::Out, R>>,
    ) {
        let queue = key.queue();
        if self.late_at(now, key).is_some_and(|at| at <= now) {
            self.flights += 1;
            let id = self.flights;
            self.end_flight(now, key);
            if let Some(entry) = self.entries.get_mut(key) {
                entry.take_off(now, id);
                self.queues[queue].pending.push(key.clone());
            }
            return;
        }
        let Some(flight) = self.entries.get_mut(key).and_then(|e| e.flight.as_mut()) else {
            return;
        };
        let timeout = FetchError::Timeout {
            upstream: self.config.upstream,
            after_ms: millis(self.queues[queue].config.deadline),
        };
        match flight.stage {
            Stage::Retry { at } if at <= now => {
                flight.stage = Stage::Pending;
                self.queues[queue].pending.push(key.clone());
            }
            Stage::Running(call) if flight.deadline.is_some_and(|by| by + LOST_GRACE <= now) => {
                let id = flight.id;
                flight.stage = Stage::Pending;
                self.give_up_fetcher(queue, id, call, key, out);
                let timeout = self.judged(now, key, call, timeout, out);
                self.fail(now, key, Some(call.made), timeout, out);
            }
            Stage::Retry { .. } | Stage::Pending | Stage::Running(_) => {}
        }
    }

    pub(super) fn tick_waiters(
        &mut self,
        now: Instant,
        key: &K,
        out: &mut Vec<Action<K, V::Out, R>>,
    ) {
        let limits = &self.queues[key.queue()].config;
        let gives_up = |entry: &super::entry::Entry<V, R>| {
            let mut waiters = entry.waiters.iter();
            waiters.position(|w| entry.gives_up(w, limits, now) <= now)
        };
        while let Some(i) = self.entries.get(key).and_then(gives_up) {
            let asked = self.entries[key].waiters[i].asked;
            let why = self.why_not(now, key, asked);
            if let Some(entry) = self.entries.get_mut(key) {
                self.waiters -= 1;
                out.push(entry.give_up(i, &why, limits, now));
            }
        }
    }

    /// Forgets a flight that has not started and that nobody waits for, and a key that is not busy.
    pub(super) fn drop_unwanted(&mut self, key: &K) {
        let Some(entry) = self.entries.get_mut(key) else {
            self.busy.remove(key);
            return;
        };
        if entry.waiters.is_empty()
            && entry
                .flight
                .as_ref()
                .is_some_and(|f| !matches!(f.stage, Stage::Running(_)))
        {
            entry.flight = None;
            self.queues[key.queue()].pending.retain(|k| k != key);
        }
        if entry.flight.is_none() && entry.waiters.is_empty() {
            self.busy.remove(key);
        }
    }

    pub(super) fn give_up_fetcher(
        &mut self,
        queue: usize,
        flight: u64,
        call: Call,
        key: &K,
        out: &mut Vec<Action<K, V::Out, R>>,
    ) {
        if !call.leads {
            return;
        }
        let state = &mut self.queues[queue];
        state.ends(call);
        let replace = state.replaced < state.config.fetchers;
        if replace {
            state.replaced += 1;
            out.push(Action::Replace { queue });
        } else {
            state.capacity -= 1;
        }
        self.lost.insert(flight, (queue, replace));
        out.push(Action::Say(format!(
            "a fetcher has not come back from {key} {} s after its deadline; {}; it is stuck outside every timeout, see its stack in the next report",
            LOST_GRACE.as_secs(),
            if replace { "another takes its place" } else { "there are no more replacements" }
        )));
    }

    /// The longest-waiting request gives its place to a newer one.
    pub(super) fn shed_oldest_waiter(&mut self, now: Instant, out: &mut Vec<Action<K, V::Out, R>>) {
        let oldest = self
            .busy
            .iter()
            .filter_map(|k| {
                let first = self.entries.get(k)?.waiters.iter().map(|w| w.asked).min()?;
                Some((first, k.clone()))
            })
            .min();
        let Some((asked, key)) = oldest else { return };
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        if let Some(i) = entry.waiters.iter().position(|w| w.asked == asked) {
            self.waiters -= 1;
            let busy = FetchError::Busy {
                what: self.queues[key.queue()].config.name.to_owned(),
                retry_in: Duration::from_secs(1),
            };
            let limits = &self.queues[key.queue()].config;
            out.push(entry.give_up(i, &busy, limits, now));
        }
        self.drop_unwanted(&key);
    }

    /// Drops the key that was asked for longest ago and is not busy, while there are too many.
    pub(super) fn make_room(&mut self) {
        while self.entries.len() >= self.config.entries_max {
            let oldest = self
                .entries
                .iter()
                .filter(|(_, e)| e.flight.is_none() && e.waiters.is_empty())
                .min_by_key(|(_, e)| e.asked)
                .map(|(k, _)| k.clone());
            match oldest {
                Some(key) => self.entries.remove(&key),
                None => return,
            };
        }
    }

    pub(super) fn found(
        &mut self,
        queue: usize,
        was_replaced: bool,
        out: &mut Vec<Action<K, V::Out, R>>,
    ) {
        let state = &mut self.queues[queue];
        if was_replaced {
            state.replaced -= 1;
            out.push(Action::Retire { queue });
        } else {
            state.capacity += 1;
        }
        out.push(Action::Say(format!(
            "a lost fetcher of {} came back; its answer is discarded",
            state.config.name
        )));
    }
}
