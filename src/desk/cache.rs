//! The decisions of a desk. Pure: events and the time in, [`Action`]s out.
//!
//! - A fresh value is answered at once.
//! - There is one flight for each key; everybody who asks meanwhile waits for it.
//! - A value past its freshness is refreshed, but its askers wait only `stale_patience` for that; then,
//!   or when the flight fails, they get the old value with the reason.
//! - After a failure, the same answer is given for `failure_hold` without another call.
//! - Flights beyond a lane's fetchers wait, the newest-asked first; beyond `pending_max` the oldest is
//!   shed. A waiting flight that nobody wants any more is dropped; a running one is let finish.
//! - A retryable failure is tried again after a jittered backoff (or what the upstream asked for) while
//!   attempts and the flight's deadline allow; waiting for that holds no fetcher.
//! - While the breaker is open nothing is fetched but one probe at a time, for at most
//!   a few seconds.
//! - A fetcher that has not answered [`LOST_GRACE`] after its flight's deadline is lost: it is replaced,
//!   at most once for each fetcher of the lane, and what it says later is discarded.
//!
//! `cargo bench --bench cores`: a fresh value of one of 100 series in 0.18 µs.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::action::Action;
use super::backoff::Jitter;
use super::breaker::{Breaker, Permit};
use super::budget::Budget;
use super::entry::{Entry, Flight, Stage, Waiter, retry_at};
use super::limits::{CacheConfig, LaneConfig};
use super::{AskId, Failure, Job, Key, Reply, Value};

/// How much longer than its deadline a fetcher may take before it is given up.
pub const LOST_GRACE: Duration = Duration::from_secs(2);

/// A breaker's probe may take no longer: while it is out nobody else may try, and an upstream that
/// works again is to be back within 10 s, the time that the breaker is open included.
const PROBE_DEADLINE: Duration = Duration::from_secs(4);

/// A flight waits this long for room in the budget; beyond, its askers are told at once.
const BUDGET_PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Lane<K> {
    pub(super) config: LaneConfig,
    pub(super) running: usize,
    pub(super) capacity: usize,
    pub(super) replaced: usize,
    /// The newest-asked last.
    pub(super) pending: Vec<K>,
}

/// The state of a desk. `R` is where a reply goes.
#[derive(Debug)]
pub struct Cache<K: Key, V: Value, R> {
    pub(super) config: CacheConfig,
    pub(super) lanes: Vec<Lane<K>>,
    pub(super) entries: HashMap<K, Entry<V, R>>,
    /// Keys with a flight or waiters: what a tick looks at.
    pub(super) busy: BTreeSet<K>,
    /// Flights given up whose fetchers still run, and whether each was replaced.
    pub(super) lost: HashMap<u64, (usize, bool)>,
    pub(super) waiters: usize,
    pub(super) flights: u64,
    pub(super) breaker: Option<Breaker>,
    pub(super) last_failure: Option<Failure>,
    pub(super) budget: Option<Budget>,
    pub(super) jitter: Jitter,
}

impl<K: Key, V: Value, R> Cache<K, V, R> {
    /// An empty cache.
    #[must_use]
    pub fn new(config: CacheConfig) -> Self {
        Self {
            lanes: config
                .lanes
                .iter()
                .map(|lane| Lane {
                    running: 0,
                    capacity: lane.fetchers,
                    replaced: 0,
                    pending: Vec::new(),
                    config: lane.clone(),
                })
                .collect(),
            entries: HashMap::new(),
            busy: BTreeSet::new(),
            lost: HashMap::new(),
            waiters: 0,
            flights: 0,
            breaker: config.breaker.map(Breaker::new),
            last_failure: None,
            budget: config.per_minute.map(Budget::new),
            jitter: Jitter::new(config.seed),
            config,
        }
    }

    /// Somebody asks.
    pub fn ask(
        &mut self,
        now: Instant,
        id: AskId,
        key: &K,
        deadline: Instant,
        to: R,
        out: &mut Vec<Action<K, V::Out, R>>,
    ) {
        let lane = key.lane();
        if !self.entries.contains_key(key) {
            self.make_room();
        }
        let entry = self
            .entries
            .entry(key.clone())
            .or_insert_with(|| Entry::new(now));
        entry.ask(now);
        let limits = &self.lanes[lane].config;
        if let Some(reply) = entry.at_hand(self.config.upstream, limits, now) {
            out.push(Action::Reply { to, reply });
            return;
        }
        if entry.flight.is_none()
            && let Some(failure) = self.refused(now)
        {
            if let Some(entry) = self.entries.get_mut(key) {
                let reply = entry.instead(&failure);
                out.push(Action::Reply { to, reply });
            }
            return;
        }
        if self.waiters >= self.config.waiters_max {
            self.shed_oldest_waiter(out);
        }
        let flights = &mut self.flights;
        let lane = &mut self.lanes[lane];
        let entry = self
            .entries
            .entry(key.clone())
            .or_insert_with(|| Entry::new(now));
        entry.waiters.push(Waiter {
            id,
            to,
            asked: now,
            deadline,
        });
        self.waiters += 1;
        self.busy.insert(key.clone());
        match &entry.flight {
            None => {
                *flights += 1;
                let flight = Flight {
                    id: *flights,
                    attempt: 1,
                    deadline: now + lane.config.deadline,
                    stage: Stage::Pending,
                };
                entry.take_off(now, flight);
                lane.pending.push(key.clone());
            }
            Some(flight) if flight.stage == Stage::Pending => {
                lane.pending.retain(|k| k != key);
                lane.pending.push(key.clone());
            }
            Some(_) => {}
        }
        self.dispatch(now, out);
    }

    /// Somebody takes what can be had without waiting.
    pub fn look(&mut self, now: Instant, key: &K) -> Option<Reply<V::Out>> {
        let refused = self.refused(now);
        let entry = self.entries.get_mut(key)?;
        entry.ask(now);
        let limits = &self.lanes[key.lane()].config;
        if let Some(reply) = entry.at_hand(self.config.upstream, limits, now) {
            return Some(reply);
        }
        let refused = refused.filter(|_| entry.flight.is_none())?;
        Some(entry.instead(&refused))
    }

    /// Something was learnt of a key.
    pub fn news(&mut self, now: Instant, key: &K, news: &V::News) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.hear(now, news);
        }
    }

    /// The client of this request left.
    pub fn cancel(&mut self, now: Instant, id: AskId, out: &mut Vec<Action<K, V::Out, R>>) {
        let busy: Vec<K> = self.busy.iter().cloned().collect();
        for key in busy {
            let Some(entry) = self.entries.get_mut(&key) else {
                continue;
            };
            while let Some(i) = entry.waiters.iter().position(|w| w.id == id) {
                let waiter = entry.waiters.swap_remove(i);
                self.waiters -= 1;
                out.push(Action::Reply {
                    to: waiter.to,
                    reply: Err(Failure::Cancelled),
                });
            }
            self.drop_unwanted(&key);
        }
        self.dispatch(now, out);
    }

    /// A fetcher made one call more than was allowed.
    pub fn called_again(&mut self, now: Instant) {
        if let Some(budget) = &mut self.budget {
            budget.charge(now);
        }
    }

    /// A fetcher is done.
    pub fn fetched(
        &mut self,
        now: Instant,
        key: &K,
        flight: u64,
        result: Result<V, Failure>,
        out: &mut Vec<Action<K, V::Out, R>>,
    ) {
        if let Some((lane, was_replaced)) = self.lost.remove(&flight) {
            self.found(lane, was_replaced, out);
            self.dispatch(now, out);
            return;
        }
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        let Some(mine) = entry.flight.as_mut().filter(|f| f.id == flight) else {
            return;
        };
        let Stage::Running { probe } = mine.stage else {
            return;
        };
        let lane = &mut self.lanes[key.lane()];
        lane.running -= 1;
        match result {
            Ok(value) => {
                entry.value = Some((value, now));
                entry.failed = None;
                entry.refreshed();
                self.upstream_works(out);
                self.land(key, out);
            }
            Err(failure @ Failure::NoData { .. }) => {
                entry.value = None;
                entry.failed = Some((failure, now));
                entry.refreshed();
                self.upstream_works(out);
                self.land(key, out);
            }
            Err(failure) => {
                let retry = retry_at(now, mine, &failure, &lane.config, &mut self.jitter);
                if let Some(at) = retry {
                    mine.attempt += 1;
                    mine.stage = Stage::Retry { at };
                }
                if let (
                    Failure::Status {
                        code: 429,
                        retry_after: Some(wait),
                        ..
                    },
                    Some(budget),
                ) = (&failure, self.budget.as_mut())
                {
                    budget.pause_until(now + *wait);
                }
                if failure.counts_for_breaker() {
                    self.upstream_failed(now, &failure, out);
                } else if probe && let Some(breaker) = &mut self.breaker {
                    // It said nothing of the upstream. Only the probe itself makes room for another.
                    breaker.abandon();
                }
                if retry.is_none() {
                    self.fail(now, key, failure, out);
                }
            }
        }
        self.dispatch(now, out);
    }

    /// The time has come that [`Self::next_timeout`] named.
    pub fn tick(&mut self, now: Instant, out: &mut Vec<Action<K, V::Out, R>>) {
        let busy: Vec<K> = self.busy.iter().cloned().collect();
        for key in &busy {
            self.tick_flight(now, key, out);
            self.tick_waiters(now, key, out);
            self.drop_unwanted(key);
        }
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
            let limits = &self.lanes[key.lane()].config;
            if let Some(flight) = &entry.flight {
                sooner(match flight.stage {
                    Stage::Pending => flight.deadline,
                    Stage::Retry { at } => at,
                    Stage::Running { .. } => flight.deadline + LOST_GRACE,
                });
            }
            for waiter in &entry.waiters {
                sooner(entry.gives_up(waiter, limits));
            }
        }
        if let Some(budget) = &self.budget
            && self
                .lanes
                .iter()
                .any(|l| !l.pending.is_empty() && l.running < l.capacity)
        {
            sooner(budget.room_at(now));
        }
        next
    }

    /// Requests that wait.
    #[must_use]
    pub fn waiters(&self) -> usize {
        self.waiters
    }

    /// Why no new flight may start now.
    fn refused(&self, now: Instant) -> Option<Failure> {
        if let Some(breaker) = &self.breaker
            && let Permit::Open { retry_in } = breaker.look(now)
        {
            return Some(Failure::BreakerOpen {
                upstream: self.config.upstream,
                failures: breaker.failures(),
                // An open breaker has seen a failure.
                last: Box::new(self.last_failure.clone().unwrap_or(Failure::Cancelled)),
                retry_in,
            });
        }
        let budget = self.budget.as_ref()?;
        let retry_in = budget.room_at(now).saturating_duration_since(now);
        (retry_in > BUDGET_PATIENCE).then(|| Failure::Budget {
            upstream: self.config.upstream,
            per_minute: budget.per_minute(),
            retry_in,
        })
    }

    /// Starts what may start, the newest-asked first, and sheds what is too much.
    fn dispatch(&mut self, now: Instant, out: &mut Vec<Action<K, V::Out, R>>) {
        for lane in 0..self.lanes.len() {
            while let Some(key) = self.next_pending(lane) {
                if let Some(failure) = self.refused(now) {
                    self.fail(now, &key, failure, out);
                    continue;
                }
                if self.budget.as_mut().is_some_and(|b| !b.take(now)) {
                    break;
                }
                let probe = self
                    .breaker
                    .as_mut()
                    .is_some_and(|b| b.enter(now) == Permit::Probe);
                self.lanes[lane].pending.pop();
                self.lanes[lane].running += 1;
                if let Some(flight) = self.entries.get_mut(&key).and_then(|e| e.flight.as_mut()) {
                    if probe {
                        flight.deadline = flight.deadline.min(now + PROBE_DEADLINE);
                    }
                    flight.stage = Stage::Running { probe };
                    out.push(Action::Fetch {
                        lane,
                        job: Job {
                            key,
                            flight: flight.id,
                            attempt: flight.attempt,
                            deadline: flight.deadline,
                        },
                    });
                }
            }
            while self.lanes[lane].pending.len() > self.lanes[lane].config.pending_max {
                let key = self.lanes[lane].pending[0].clone();
                let failure = Failure::Busy {
                    what: self.lanes[lane].config.name.to_owned(),
                    retry_in: Duration::from_secs(1),
                };
                self.fail(now, &key, failure, out);
            }
        }
    }

    /// The newest-asked waiting flight of a lane, if a fetcher is free for it.
    fn next_pending(&self, lane: usize) -> Option<K> {
        let lane = &self.lanes[lane];
        (lane.running < lane.capacity)
            .then(|| lane.pending.last().cloned())
            .flatten()
    }

    /// The flight ended with a value or with "there is nothing": everybody is answered.
    fn land(&mut self, key: &K, out: &mut Vec<Action<K, V::Out, R>>) {
        self.end_flight(key, out, |entry| match (entry.served(), &entry.failed) {
            (Some(served), _) => Ok(served),
            (None, Some((failure, _))) => Err(failure.clone()),
            (None, None) => Err(Failure::Cancelled),
        });
    }

    /// The flight ended with a failure: everybody gets the old value, or the failure.
    pub(super) fn fail(
        &mut self,
        now: Instant,
        key: &K,
        failure: Failure,
        out: &mut Vec<Action<K, V::Out, R>>,
    ) {
        self.lanes[key.lane()].pending.retain(|k| k != key);
        self.end_flight(key, out, |entry| entry.instead(&failure));
        // Being shed or refused says nothing about the key: the next asker may try.
        let says_nothing = matches!(
            failure,
            Failure::Busy { .. } | Failure::BreakerOpen { .. } | Failure::Budget { .. }
        );
        if !says_nothing && let Some(entry) = self.entries.get_mut(key) {
            entry.failed = Some((failure, now));
        }
    }

    /// Everybody who waits for the key is answered, and it is no longer busy.
    fn end_flight(
        &mut self,
        key: &K,
        out: &mut Vec<Action<K, V::Out, R>>,
        reply: impl Fn(&mut Entry<V, R>) -> Reply<V::Out>,
    ) {
        self.busy.remove(key);
        let Some(entry) = self.entries.get_mut(key) else {
            return;
        };
        entry.flight = None;
        let waiters = std::mem::take(&mut entry.waiters);
        self.waiters -= waiters.len();
        out.extend(waiters.into_iter().map(|waiter| Action::Reply {
            to: waiter.to,
            reply: reply(entry),
        }));
    }

    fn upstream_works(&mut self, out: &mut Vec<Action<K, V::Out, R>>) {
        if self.breaker.as_mut().is_some_and(Breaker::success) {
            out.push(Action::Say(format!(
                "{} works again: the breaker is closed",
                self.config.upstream
            )));
        }
    }

    pub(super) fn upstream_failed(
        &mut self,
        now: Instant,
        failure: &Failure,
        out: &mut Vec<Action<K, V::Out, R>>,
    ) {
        self.last_failure = Some(failure.clone());
        let Some(breaker) = &mut self.breaker else {
            return;
        };
        if breaker.failure(now)
            && let Permit::Open { retry_in } = breaker.look(now)
        {
            out.push(Action::Say(format!(
                "{} is left alone for {} s after {} failures in a row; the last: {failure}",
                self.config.upstream,
                retry_in.as_secs(),
                breaker.failures(),
            )));
        }
    }
}
