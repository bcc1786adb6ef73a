//! The limits of the cache of validations, as the settings say. Pure.

use std::time::Duration;

use crate::cache::{CacheConfig, QueueConfig};
use crate::config::Settings;
use crate::runtime::ThreadKind;

use super::super::limits::WAITERS_MAX;
use super::OLLAMA;

/// A symbol whose validation failed is left alone this long.
const FAILURE_HOLD: Duration = Duration::from_secs(2);

/// A verdict that came after its askers had left is kept this long for the next one.
const UNREAD_FOR: Duration = Duration::from_secs(300);

/// Of the cache.
pub(super) fn limits(settings: &Settings) -> CacheConfig {
    let s = &settings.model;
    // A malformed answer is asked for again by the client itself.
    let queue = |name, fetcher, fetchers, fresh_for, deadline| QueueConfig {
        fetchers,
        pending_max: s.pending_max,
        fresh_for,
        nodata_hold: FAILURE_HOLD,
        failure_hold: FAILURE_HOLD,
        stale_patience: deadline,
        deadline,
        ..QueueConfig::one_call(name, fetcher)
    };
    CacheConfig {
        upstream: OLLAMA,
        tag: "MODEL",
        // In the order of their numbers, [`QUEUE_VALIDATE`](super::QUEUE_VALIDATE) first.
        queues: vec![
            QueueConfig {
                unread_for: UNREAD_FOR,
                ..queue(
                    "validations",
                    ThreadKind::VerdictFetch,
                    s.fetchers,
                    s.cache_ttl,
                    s.deadline,
                )
            },
            // Of now, or of no use.
            queue(
                "model status",
                ThreadKind::PresenceFetch,
                1,
                s.status_ttl,
                s.status_deadline,
            ),
        ],
        entries_max: WAITERS_MAX,
        idle_max: s.cache_ttl.max(UNREAD_FOR) + s.deadline,
        waiters_max: WAITERS_MAX,
        patient_max: 0,
        breaker: None,
        per_minute: None,
        seed: 0,
    }
}
