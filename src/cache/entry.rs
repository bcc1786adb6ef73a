//! One key of a cache: its value, its flight, and who waits for it. Pure.

use std::time::{Duration, Instant};

use crate::runtime::clock::millis;

use super::action::Action;
use super::limits::QueueConfig;
use super::{AskId, Freshness, Reply, Served, Value};
use crate::resilience::Jitter;
use crate::resilience::{FetchError, Need};

/// A refresh waits this long for room in the budget; beyond, its askers get what there is at once.
const BUDGET_PATIENCE: Duration = Duration::from_secs(2);

/// Until when a key is not fetched, and why.
#[derive(Clone, Debug)]
pub(super) struct Hold {
    pub(super) until: Instant,
    pub(super) why: FetchError,
}

impl Hold {
    /// Whether it is over so soon that a refresh waits for it as for an answer.
    pub(super) fn is_brief(&self, now: Instant) -> bool {
        matches!(self.why, FetchError::Budget { .. }) && self.until <= now + BUDGET_PATIENCE
    }
}

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
    Running(Call),
}

/// A call that is out for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// When it was made.
    pub(super) made: Instant,
    /// Whether the key was failing then.
    pub(super) sick: bool,
    /// Whether the call is this key's; else it goes with another's, whose fetcher it is.
    pub(super) leads: bool,
}

#[derive(Debug)]
pub(super) struct Flight {
    pub(super) id: u64,
    pub(super) attempt: u32,
    /// By when its calls have answered; set by the first.
    pub(super) deadline: Option<Instant>,
    pub(super) stage: Stage,
    /// Whether it must be asked for by itself.
    pub(super) alone: bool,
    pub(super) begun: Instant,
}

/// What went wrong last.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) failure: FetchError,
    /// The key is left alone until then.
    pub(super) next_try: Instant,
}

#[derive(Debug)]
pub(super) struct Entry<V, R> {
    pub(super) value: Option<(V, Instant)>,
    pub(super) failed: Option<Failed>,
    /// Flights that failed in a row, and since when.
    pub(super) failures: u32,
    pub(super) failing_since: Instant,
    /// The value must be fetched anew, however fresh it is.
    pub(super) outdated: bool,
    /// The upstream may know the value better.
    pub(super) unconfirmed: bool,
    /// Not asked for that again before then.
    pub(super) confirm_after: Instant,
    /// Nobody has had the value yet.
    pub(super) unread: bool,
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
            failures: 0,
            failing_since: now,
            outdated: false,
            unconfirmed: false,
            confirm_after: now,
            unread: false,
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
    pub(super) fn take_off(&mut self, now: Instant, id: u64) {
        self.refresh_since.get_or_insert(now);
        self.flight = Some(Flight {
            id,
            attempt: 1,
            deadline: None,
            stage: Stage::Pending,
            alone: false,
            begun: now,
        });
    }

    /// The upstream said this, or that there is nothing.
    pub(super) fn refreshed(&mut self, mut value: Option<(V, Instant)>) {
        self.unread = value.is_some() && self.waiters.is_empty();
        let old = self.value.take();
        if let (Some((new, _)), Some((old, _))) = (&mut value, old) {
            new.succeed(old);
        }
        self.value = value;
        self.failed = None;
        self.failures = 0;
        self.refresh_since = None;
        self.outdated = false;
        self.unconfirmed = false;
    }

    /// Whether the value may still be shown.
    pub(super) fn usable(&self, limits: &QueueConfig, now: Instant) -> bool {
        self.value.as_ref().is_some_and(|(_, as_of)| {
            let age = now.saturating_duration_since(*as_of);
            limits.stale_max.is_none_or(|max| age < max)
        })
    }

    /// For whom a call would be made.
    pub(super) fn need(&self, limits: &QueueConfig, now: Instant) -> Need {
        if self.usable(limits, now) {
            Need::Refresh
        } else {
            Need::Waited
        }
    }

    /// What can be answered without the upstream: a fresh value, or, while the key is left alone, what
    /// there is. `waits`: who has nothing waits for the next try of what may pass.
    pub(super) fn settled(
        &mut self,
        limits: &QueueConfig,
        waits: bool,
        now: Instant,
    ) -> Option<Reply<V::Out>> {
        // What the upstream did not confirm may have been learnt otherwise since: then it is fresh all the same.
        if self.is_fresh(limits, now) {
            self.unread = false;
            return self.served(limits).map(Ok);
        }
        if let Some(Failed { failure, next_try }) = &self.failed
            && now < *next_try
        {
            let waits = waits && failure.may_pass() && !self.usable(limits, now);
            let failure = failure.clone();
            return (!waits).then(|| self.instead(&failure, limits, now));
        }
        None
    }

    /// Answers one who waits no longer, with what there is instead.
    pub(super) fn give_up<K>(
        &mut self,
        waiter: usize,
        why: &FetchError,
        limits: &QueueConfig,
        now: Instant,
    ) -> Action<K, V::Out, R> {
        let to = self.waiters.remove(waiter).to;
        let reply = self.instead(why, limits, now);
        Action::Reply { to, reply }
    }

    /// Whether it has failed and is left alone still.
    pub(super) fn is_held(&self, now: Instant) -> bool {
        self.failed.as_ref().is_some_and(|f| f.next_try > now)
    }

    fn is_fresh(&self, limits: &QueueConfig, now: Instant) -> bool {
        let Some((value, as_of)) = &self.value else {
            return false;
        };
        let fresh_for = if value.is_nothing() {
            limits.nodata_hold.min(limits.fresh_for)
        } else {
            limits.fresh_for
        };
        let age = now.saturating_duration_since(*as_of);
        let is_fresh = age < fresh_for && !self.outdated;
        let is_kept = self.unread && age < limits.unread_for;
        is_fresh || is_kept
    }

    /// The value, if there is one.
    pub(super) fn served(&mut self, limits: &QueueConfig) -> Option<Served<V::Out>> {
        self.value.as_mut().map(|(value, as_of)| Served {
            value: value.out(),
            as_of: *as_of,
            until: limits.stale_max.map(|max| *as_of + max),
            stale_because: None,
        })
    }

    /// The old value with the reason, or the reason.
    pub(super) fn instead(
        &mut self,
        failure: &FetchError,
        limits: &QueueConfig,
        now: Instant,
    ) -> Reply<V::Out> {
        let usable = self.usable(limits, now);
        match self.served(limits) {
            Some(served) if usable => Ok(Served {
                stale_because: Some(failure.clone()),
                ..served
            }),
            Some(served) => Err(FetchError::Outdated {
                age: now.saturating_duration_since(served.as_of),
                last: Box::new(failure.clone()),
            }),
            None => Err(failure.clone()),
        }
    }

    /// Since when a refresh is under way that is no longer worth waiting for, as there is an older value.
    pub(super) fn refreshing_since(&self, limits: &QueueConfig, now: Instant) -> Option<Instant> {
        self.flight.as_ref()?;
        let late = |since: &Instant| now >= self.patient_until(*since, limits);
        self.refresh_since
            .filter(late)
            .filter(|_| self.usable(limits, now))
    }

    /// Why there is nothing fresh after waiting so long.
    pub(super) fn why_not_fresh(&self, upstream: &'static str, waited: Duration) -> FetchError {
        match &self.failed {
            Some(failed) => failed.failure.clone(),
            None => FetchError::Timeout {
                upstream,
                after_ms: millis(waited),
            },
        }
    }

    /// Until when an asker waits.
    pub(super) fn gives_up(
        &self,
        waiter: &Waiter<R>,
        limits: &QueueConfig,
        now: Instant,
    ) -> Instant {
        match (self.usable(limits, now), self.refresh_since) {
            (false, _) => waiter.deadline,
            (true, None) => waiter.deadline.min(waiter.asked),
            (true, Some(since)) => {
                let until = self.patient_until(since, limits);
                waiter.deadline.min(until.max(waiter.asked))
            }
        }
    }

    /// An old value is held back for a refresh until then; not at all when the last one failed: an
    /// upstream in trouble must not make every poll slow.
    fn patient_until(&self, since: Instant, limits: &QueueConfig) -> Instant {
        match &self.failed {
            Some(_) => since,
            None => since + limits.stale_patience,
        }
    }

    /// Something was learnt of the value.
    pub(super) fn apply(&mut self, now: Instant, update: &V::Update) {
        let Some((value, as_of)) = &mut self.value else {
            return;
        };
        let freshness = value.apply(update);
        match freshness {
            Freshness::Unchanged => {}
            Freshness::Current | Freshness::Unconfirmed => {
                *as_of = now;
                self.unconfirmed = freshness == Freshness::Unconfirmed;
            }
            Freshness::Outdated => self.outdated = true,
        }
    }
}

/// When the same call is made again; none when the flight ends with this failure.
pub(super) fn retry_at(
    now: Instant,
    flight: &Flight,
    failure: &FetchError,
    limits: &QueueConfig,
    jitter: &mut Jitter,
) -> Option<Instant> {
    if !failure.is_retryable() || flight.attempt >= limits.attempts_max {
        return None;
    }
    let backoff = limits.backoff.delay(flight.attempt, jitter.draw());
    let wait = match failure {
        FetchError::Status {
            retry_after: Some(wait),
            ..
        } => *wait,
        _ => backoff,
    };
    // What no clock can hold is beyond every deadline.
    let at = now.checked_add(wait)?;
    flight.deadline.is_some_and(|by| at < by).then_some(at)
}
