//! One key of a desk's cache: its value, its flight, and who waits for it. Pure.

use std::time::{Duration, Instant};

use crate::clock::millis;

use super::backoff::Jitter;
use super::limits::LaneConfig;
use super::{AskId, Failure, Heard, Reply, Served, Value};

#[derive(Debug)]
pub(super) struct Waiter<R> {
    pub(super) id: AskId,
    pub(super) to: R,
    pub(super) asked: Instant,
    pub(super) deadline: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Pending,
    Retry { at: Instant },
    Running { probe: bool },
}

#[derive(Debug)]
pub(super) struct Flight {
    pub(super) id: u64,
    pub(super) attempt: u32,
    pub(super) deadline: Instant,
    pub(super) stage: Stage,
}

#[derive(Debug)]
pub(super) struct Entry<V, R> {
    pub(super) value: Option<(V, Instant)>,
    pub(super) failed: Option<(Failure, Instant)>,
    /// The value must be fetched anew, however fresh it is.
    pub(super) outdated: bool,
    pub(super) flight: Option<Flight>,
    pub(super) waiters: Vec<Waiter<R>>,
    pub(super) asked: Instant,
    /// Since when a refresh is waited for, over all flights that were begun for it.
    refresh_since: Option<Instant>,
}

/// Nobody asked for so long: the next asker has patience again.
const PATIENCE_AGAIN: Duration = Duration::from_secs(30);

impl<V: Value, R> Entry<V, R> {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            value: None,
            failed: None,
            outdated: false,
            flight: None,
            waiters: Vec::new(),
            asked: now,
            refresh_since: None,
        }
    }

    /// Somebody asks.
    pub(super) fn ask(&mut self, now: Instant) {
        if now.saturating_duration_since(self.asked) > PATIENCE_AGAIN {
            self.refresh_since = None;
        }
        self.asked = now;
    }

    /// A flight begins.
    pub(super) fn take_off(&mut self, now: Instant, flight: Flight) {
        self.refresh_since.get_or_insert(now);
        self.flight = Some(flight);
    }

    /// The upstream said something.
    pub(super) fn refreshed(&mut self) {
        self.refresh_since = None;
        self.outdated = false;
    }

    /// What can be answered without the upstream: a fresh value, or a recent failure's answer.
    pub(super) fn settled(&mut self, limits: &LaneConfig, now: Instant) -> Option<Reply<V::Out>> {
        if let Some((failure, at)) = &self.failed {
            let hold = if matches!(failure, Failure::NoData { .. }) {
                limits.nodata_hold
            } else {
                limits.failure_hold
            };
            if now < *at + hold {
                let failure = failure.clone();
                return Some(self.instead(&failure));
            }
        }
        let served = self.served()?;
        let age = now.saturating_duration_since(served.as_of);
        (age < limits.fresh_for && !self.outdated).then_some(Ok(served))
    }

    /// The value, if there is one.
    pub(super) fn served(&mut self) -> Option<Served<V::Out>> {
        self.value.as_mut().map(|(value, at)| Served {
            value: value.out(),
            as_of: *at,
            stale_because: None,
        })
    }

    /// The old value with the reason, or the reason.
    pub(super) fn instead(&mut self, failure: &Failure) -> Reply<V::Out> {
        match self.served() {
            Some(served) => Ok(Served {
                stale_because: Some(failure.clone()),
                ..served
            }),
            None => Err(failure.clone()),
        }
    }

    /// What can be answered without waiting: as [`Self::settled`], or an old value while a refresh that
    /// is not worth waiting for is under way.
    pub(super) fn at_hand(
        &mut self,
        upstream: &'static str,
        limits: &LaneConfig,
        now: Instant,
    ) -> Option<Reply<V::Out>> {
        if let Some(reply) = self.settled(limits, now) {
            return Some(reply);
        }
        self.flight.as_ref()?;
        self.value.as_ref()?;
        let since = self.refresh_since?;
        if now < self.patient_until(since, limits) {
            return None;
        }
        let failure = self.why_not_fresh(upstream, now.saturating_duration_since(since));
        Some(self.instead(&failure))
    }

    /// Why there is nothing fresh after waiting so long.
    pub(super) fn why_not_fresh(&self, upstream: &'static str, waited: Duration) -> Failure {
        match &self.failed {
            Some((failure, _)) if self.value.is_some() => failure.clone(),
            _ => Failure::Timeout {
                upstream,
                after_ms: millis(waited),
            },
        }
    }

    /// Until when an asker waits.
    pub(super) fn gives_up(&self, waiter: &Waiter<R>, limits: &LaneConfig) -> Instant {
        match (&self.value, self.refresh_since) {
            (None, _) => waiter.deadline,
            (Some(_), None) => waiter.deadline.min(waiter.asked),
            (Some(_), Some(since)) => {
                let until = self.patient_until(since, limits);
                waiter.deadline.min(until.max(waiter.asked))
            }
        }
    }

    /// An old value is held back for a refresh until then; not at all when the last one failed: an
    /// upstream in trouble must not make every poll slow.
    fn patient_until(&self, since: Instant, limits: &LaneConfig) -> Instant {
        match &self.failed {
            Some(_) => since,
            None => since + limits.stale_patience,
        }
    }

    /// Something was learnt of the value.
    pub(super) fn hear(&mut self, now: Instant, news: &V::News) {
        let Some((value, as_of)) = &mut self.value else {
            return;
        };
        match value.hear(news) {
            Heard::Nothing => {}
            Heard::Current => *as_of = now,
            Heard::Outdated => self.outdated = true,
        }
    }
}

/// When the same call is made again; none when the flight ends with this failure.
pub(super) fn retry_at(
    now: Instant,
    flight: &Flight,
    failure: &Failure,
    limits: &LaneConfig,
    jitter: &mut Jitter,
) -> Option<Instant> {
    if !failure.is_retryable() || flight.attempt >= limits.attempts_max {
        return None;
    }
    let backoff = limits.backoff.delay(flight.attempt, jitter.draw());
    let wait = failure.retry_after().unwrap_or(backoff);
    let at = now + wait;
    (at < flight.deadline).then_some(at)
}
