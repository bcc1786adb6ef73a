//! A cache's limits, as its owner sets them. Plain values.

use std::time::Duration;

use crate::resilience::Backoff;
use crate::resilience::BreakerConfig;
use crate::runtime::ThreadKind;

/// One kind of work of a cache.
#[derive(Clone, Debug)]
pub struct QueueConfig {
    /// As errors name it: "candles".
    pub name: &'static str,
    /// Its fetchers, by the thread table.
    pub fetcher: ThreadKind,
    /// Flights that may run at once.
    pub fetchers: usize,
    /// Flights that may wait for a fetcher.
    pub pending_max: usize,
    /// How long a value is served without asking again.
    pub fresh_for: Duration,
    /// How long a value that nobody has had yet is kept for the next asker, however old: its askers left
    /// before it came.
    pub unread_for: Duration,
    /// How long "there is nothing" is served without asking again.
    pub nodata_hold: Duration,
    /// How long a key that failed is left alone; doubles with each failure in a row, up to
    /// [`BreakerConfig::open_for`].
    pub failure_hold: Duration,
    /// An older value is not served in place of an error; none: any is.
    pub stale_max: Option<Duration>,
    /// How long an asker waits for a refresh when there is an old value.
    pub stale_patience: Duration,
    /// How long a flight may take, retries included.
    pub deadline: Duration,
    /// Keys that one call may ask for: those that wait for a fetcher go with the one that gets it. 1: each
    /// is asked for by itself.
    pub together_max: usize,
    /// How long a flight waits for others to go with it. Zero: those alone do that find no fetcher.
    pub gather_for: Duration,
    /// Calls that one flight may make.
    pub attempts_max: u32,
    /// Between them.
    pub backoff: Backoff,
}

impl QueueConfig {
    /// A queue whose flights are one call for one key, and whose values are shown at any age in place of an
    /// error. What its owner sets is zero here.
    #[must_use]
    pub fn one_call(name: &'static str, fetcher: ThreadKind) -> Self {
        Self {
            name,
            fetcher,
            fetchers: 0,
            pending_max: 0,
            fresh_for: Duration::ZERO,
            unread_for: Duration::ZERO,
            nodata_hold: Duration::ZERO,
            failure_hold: Duration::ZERO,
            stale_max: None,
            stale_patience: Duration::ZERO,
            deadline: Duration::ZERO,
            together_max: 1,
            gather_for: Duration::ZERO,
            attempts_max: 1,
            backoff: Backoff {
                min: Duration::ZERO,
                max: Duration::ZERO,
            },
        }
    }
}

/// A cache's limits.
#[derive(Clone, Debug)]
pub struct CacheConfig {
    /// Whom it asks, as errors name it: "Schwab market data".
    pub upstream: &'static str,
    /// The tag of its log lines.
    pub tag: &'static str,
    /// Its kinds of work, by [`Key::queue`](super::Key::queue).
    pub queues: Vec<QueueConfig>,
    /// Keys kept.
    pub entries_max: usize,
    /// A key that nobody asked for in this long is dropped.
    pub idle_max: Duration,
    /// Requests that may wait, over all keys.
    pub waiters_max: usize,
    /// Of those, requests that wait for another try of what has failed, or for room in the budget, because
    /// there is no older value. 0: nobody does, a failure is told at once.
    pub patient_max: usize,
    /// None: every call is made however many failed.
    pub breaker: Option<BreakerConfig>,
    /// None: no limit of calls a minute.
    pub per_minute: Option<u32>,
    /// Of the jitter.
    pub seed: u64,
}
