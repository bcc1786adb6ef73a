//! One key of a desk's cache: its value, its flight, and who waits for it. Pure.

use std::time::Instant;

use super::backoff::Jitter;
use super::limits::LaneConfig;
use super::{AskId, Failure, Reply, Served};

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
    pub(super) flight: Option<Flight>,
    pub(super) waiters: Vec<Waiter<R>>,
    pub(super) asked: Instant,
}

impl<V: Clone, R> Entry<V, R> {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            value: None,
            failed: None,
            flight: None,
            waiters: Vec::new(),
            asked: now,
        }
    }

    /// What can be answered without the upstream: a fresh value, or a recent failure's answer.
    pub(super) fn settled(&self, limits: &LaneConfig, now: Instant) -> Option<Reply<V>> {
        if let Some((failure, at)) = &self.failed {
            let hold = if matches!(failure, Failure::NoData { .. }) {
                limits.nodata_hold
            } else {
                limits.failure_hold
            };
            if now < *at + hold {
                return Some(self.instead(failure));
            }
        }
        let served = self.served()?;
        let age = now.saturating_duration_since(served.as_of);
        (age < limits.fresh_for).then_some(Ok(served))
    }

    /// The value, if there is one.
    pub(super) fn served(&self) -> Option<Served<V>> {
        self.value.as_ref().map(|(value, at)| Served {
            value: value.clone(),
            as_of: *at,
            stale_because: None,
        })
    }

    /// The old value with the reason, or the reason.
    pub(super) fn instead(&self, failure: &Failure) -> Reply<V> {
        match self.served() {
            Some(served) => Ok(Served {
                stale_because: Some(failure.clone()),
                ..served
            }),
            None => Err(failure.clone()),
        }
    }

    pub(super) fn gives_up(&self, waiter: &Waiter<R>, limits: &LaneConfig) -> Instant {
        if self.value.is_some() {
            waiter.deadline.min(waiter.asked + limits.stale_patience)
        } else {
            waiter.deadline
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
