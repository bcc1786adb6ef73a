//! The limits of the cache of what the trader app says, as the settings say. Pure.

use crate::cache::{CacheConfig, QueueConfig};
use crate::config::Settings;
use crate::resilience::BreakerConfig;
use crate::runtime::ThreadKind;

use super::super::limits::WAITERS_MAX;
use super::TRADER;

/// Of the cache.
pub(super) fn limits(settings: &Settings) -> CacheConfig {
    let s = &settings.trader;
    // The trader app is polled every few seconds: the next poll is the retry.
    let queue = |name, fetcher, fresh_for, stale_max| QueueConfig {
        fetchers: s.fetchers,
        pending_max: s.pending_max,
        fresh_for,
        nodata_hold: s.failure_hold,
        failure_hold: s.failure_hold,
        stale_max,
        stale_patience: s.stale_patience,
        deadline: s.deadline,
        ..QueueConfig::one_call(name, fetcher)
    };
    let old = Some(s.stale_max);
    CacheConfig {
        upstream: TRADER,
        tag: "TRADER",
        // In the order of their numbers, [`QUEUE_WATCHLIST`](super::QUEUE_WATCHLIST) first.
        queues: vec![
            queue(
                "watchlists",
                ThreadKind::WatchlistFetch,
                s.fresh_watchlist,
                None,
            ),
            queue("VWAPs", ThreadKind::VwapFetch, s.fresh_vwap, old),
            queue("stream states", ThreadKind::FeedFetch, s.fresh_feed, None),
            queue(
                "signals and positions",
                ThreadKind::ListsFetch,
                s.fresh_lists,
                old,
            ),
        ],
        entries_max: s.cache_max,
        idle_max: s.cache_idle,
        waiters_max: WAITERS_MAX,
        // Its routes have answers for when it is away, and are polled every few seconds.
        patient_max: 0,
        breaker: Some(BreakerConfig {
            keys: s.breaker_failures,
            open_for: s.breaker_open,
        }),
        per_minute: None,
        seed: 0,
    }
}
