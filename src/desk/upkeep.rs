//! What time does to a desk's cache: flights and waits that run out, fetchers that are lost, room that
//! is made. Pure; the other half of [`Cache`].

use std::time::{Duration, Instant};

use crate::clock::millis;

use super::action::Action;
use super::cache::{Cache, LOST_GRACE};
use super::entry::Stage;
use super::{Failure, Key, Value};

impl<K: Key, V: Value, R> Cache<K, V, R> {
    pub(super) fn tick_flight(
        &mut self,
        now: Instant,
        key: &K,
        out: &mut Vec<Action<K, V::Out, R>>,
    ) {
        let lane = key.lane();
        let Some(flight) = self.entries.get_mut(key).and_then(|e| e.flight.as_mut()) else {
            return;
        };
        let timeout = Failure::Timeout {
            upstream: self.config.upstream,
            after_ms: millis(self.lanes[lane].config.deadline),
        };
        match flight.stage {
            Stage::Retry { at } if at <= now => {
                flight.stage = Stage::Pending;
                self.lanes[lane].pending.push(key.clone());
            }
            Stage::Pending if flight.deadline <= now => self.fail(now, key, timeout, out),
            Stage::Running { .. } if flight.deadline + LOST_GRACE <= now => {
                let id = flight.id;
                self.give_up_fetcher(lane, id, key, out);
                self.upstream_failed(now, &timeout, out);
                self.fail(now, key, timeout, out);
            }
            Stage::Retry { .. } | Stage::Pending | Stage::Running { .. } => {}
        }
    }

    pub(super) fn tick_waiters(
        &mut self,
        now: Instant,
        key: &K,
        out: &mut Vec<Action<K, V::Out, R>>,
    ) {
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        let limits = &self.lanes[key.lane()].config;
        let mut i = 0;
        while i < entry.waiters.len() {
            if entry.gives_up(&entry.waiters[i], limits) > now {
                i += 1;
                continue;
            }
            let waiter = entry.waiters.remove(i);
            self.waiters -= 1;
            let waited = now.saturating_duration_since(waiter.asked);
            let why = entry.why_not_fresh(self.config.upstream, waited);
            let reply = entry.instead(&why);
            out.push(Action::Reply {
                to: waiter.to,
                reply,
            });
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
                .is_some_and(|f| !matches!(f.stage, Stage::Running { .. }))
        {
            entry.flight = None;
            self.lanes[key.lane()].pending.retain(|k| k != key);
        }
        if entry.flight.is_none() && entry.waiters.is_empty() {
            self.busy.remove(key);
        }
    }

    pub(super) fn give_up_fetcher(
        &mut self,
        lane: usize,
        flight: u64,
        key: &K,
        out: &mut Vec<Action<K, V::Out, R>>,
    ) {
        let state = &mut self.lanes[lane];
        state.running -= 1;
        let replace = state.replaced < state.config.fetchers;
        if replace {
            state.replaced += 1;
            out.push(Action::Replace { lane });
        } else {
            state.capacity -= 1;
        }
        self.lost.insert(flight, (lane, replace));
        out.push(Action::Say(format!(
            "a fetcher has not come back from {key} {} s after its deadline; {}; it is stuck outside every timeout, see its stack in the next report",
            LOST_GRACE.as_secs(),
            if replace { "another takes its place" } else { "there are no more replacements" }
        )));
    }

    /// The longest-waiting request gives its place to a newer one.
    pub(super) fn shed_oldest_waiter(&mut self, out: &mut Vec<Action<K, V::Out, R>>) {
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
            let waiter = entry.waiters.remove(i);
            self.waiters -= 1;
            let busy = Failure::Busy {
                what: self.lanes[key.lane()].config.name.to_owned(),
                retry_in: Duration::from_secs(1),
            };
            let reply = entry.instead(&busy);
            out.push(Action::Reply {
                to: waiter.to,
                reply,
            });
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
        lane: usize,
        was_replaced: bool,
        out: &mut Vec<Action<K, V::Out, R>>,
    ) {
        let state = &mut self.lanes[lane];
        if was_replaced {
            state.replaced -= 1;
            out.push(Action::Retire { lane });
        } else {
            state.capacity += 1;
        }
        out.push(Action::Say(format!(
            "a lost fetcher of {} came back; its answer is discarded",
            state.config.name
        )));
    }
}
