//! The limits of the cache of market data, as the settings say. Pure.

use std::time::Duration;

use crate::cache::{CacheConfig, QueueConfig};
use crate::config::Settings;
use crate::resilience::{Backoff, BreakerConfig};
use crate::runtime::ThreadKind;

use super::super::limits::{WAITERS_MAX, count};
use super::{QUOTES_MAX, SCHWAB};

/// A quote waits this long for others that are wanted at the same moment: not to be noticed in a call over
/// the internet, and long enough for requests that came together.
const GATHER_QUOTES_FOR: Duration = Duration::from_millis(5);

/// Of the cache; `seed` is of its jitter.
pub(super) fn limits(settings: &Settings, seed: u64) -> CacheConfig {
    let s = &settings.schwab;
    let queue = |name, fetcher| QueueConfig {
        pending_max: s.pending_max,
        nodata_hold: s.nodata_hold,
        failure_hold: s.failure_hold,
        stale_patience: s.stale_patience,
        deadline: s.deadline,
        attempts_max: count(s.attempts_max),
        backoff: Backoff {
            min: s.backoff_min,
            max: s.backoff_max,
        },
        ..QueueConfig::one_call(name, fetcher)
    };
    CacheConfig {
        upstream: SCHWAB,
        tag: "CANDLES",
        // In the order of their numbers, [`QUEUE_CANDLES`](super::candles::QUEUE_CANDLES) first.
        queues: vec![
            // A candle says itself of when it is; the last price of a quote is taken for today's.
            QueueConfig {
                fetchers: s.candle_fetchers,
                fresh_for: s.fresh_candles,
                ..queue("candles", ThreadKind::CandleFetch)
            },
            QueueConfig {
                fetchers: s.quote_fetchers,
                fresh_for: s.fresh_quote,
                stale_max: Some(s.stale_quote),
                together_max: QUOTES_MAX,
                gather_for: GATHER_QUOTES_FOR,
                ..queue("quotes", ThreadKind::QuoteFetch)
            },
        ],
        entries_max: s.cache_max,
        idle_max: s.cache_idle,
        waiters_max: WAITERS_MAX,
        // Who waits for a provider in trouble has a place of the port meanwhile: the other half is for who
        // can be answered.
        patient_max: settings.http.slots_market.div_ceil(2),
        breaker: Some(BreakerConfig {
            keys: s.breaker_failures,
            open_for: s.breaker_open,
        }),
        per_minute: Some(count(s.requests_per_minute)),
        seed,
    }
}
