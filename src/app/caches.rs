//! The three caches with their limits, as the settings say.

use std::io;
use std::path::Path;
use std::time::Duration;

use crossbeam::channel::Receiver;

use crate::cache::{CacheConfig, CacheThreads, Job, QueueConfig, ToCache, start_cache};
use crate::config::Settings;
use crate::market::SkewBounds;
use crate::payload::Body;
use crate::resilience::{Backoff, BreakerConfig};
use crate::runtime::clock::{Clock, system_ms};
use crate::runtime::{LatestTx, Supervisor, ThreadKind, Tx, channels};
use crate::upstream::Roots;
use crate::upstream::ollama::{self, OLLAMA, OllamaConfig, ValidationAnswer, ValidationKey};
use crate::upstream::schwab::candles::{MarketData, MarketKey, make_fetch};
use crate::upstream::schwab::{QUOTES_MAX, SCHWAB, SchwabConfig};
use crate::upstream::trader_app::{self, TRADER, TraderKey};

use super::sources::Sources;

/// Requests that may wait for a cache's upstream: more than the gate lets through at once.
const WAITERS_MAX: usize = 1_024;

/// A quote waits this long for others that are wanted at the same moment: not to be noticed in a call over
/// the internet, and long enough for requests that came together.
const GATHER_QUOTES_FOR: Duration = Duration::from_millis(5);

/// Candles and quotes. `skew` hears what answers say of this machine's clock.
pub fn start_market(
    supervisor: &Supervisor,
    settings: &Settings,
    sources: &Sources,
    clock: Clock,
    skew: LatestTx<SkewBounds>,
    inbox_tx: &Tx<ToCache<MarketKey, MarketData>>,
    inbox: Receiver<ToCache<MarketKey, MarketData>>,
) -> io::Result<()> {
    let s = &settings.schwab;
    let queue = |name, fetchers, fresh_for, stale_max| QueueConfig {
        name,
        fetchers,
        pending_max: s.pending_max,
        fresh_for,
        unread_for: Duration::ZERO,
        nodata_hold: s.nodata_hold,
        failure_hold: s.failure_hold,
        stale_max,
        stale_patience: s.stale_patience,
        deadline: s.deadline,
        together_max: 1,
        gather_for: Duration::ZERO,
        attempts_max: count(s.attempts_max),
        backoff: Backoff {
            min: s.backoff_min,
            max: s.backoff_max,
        },
    };
    let config = CacheConfig {
        upstream: SCHWAB,
        queues: vec![
            // A candle says itself of when it is; the last price of a quote is taken for today's.
            queue("candles", s.candle_fetchers, s.fresh_candles, None),
            QueueConfig {
                together_max: QUOTES_MAX,
                gather_for: GATHER_QUOTES_FOR,
                ..queue(
                    "quotes",
                    s.quote_fetchers,
                    s.fresh_quote,
                    Some(s.stale_quote),
                )
            },
        ],
        entries_max: s.cache_max,
        idle_max: s.cache_idle,
        waiters_max: WAITERS_MAX,
        // Who waits for a provider in trouble has a place of the gate meanwhile: the other half is for who
        // can be answered.
        patient_max: settings.http.slots_market.div_ceil(2),
        breaker: Some(BreakerConfig {
            keys: s.breaker_failures,
            open_for: s.breaker_open,
        }),
        per_minute: Some(count(s.requests_per_minute)),
        seed: system_ms().unsigned_abs(),
    };
    let threads = CacheThreads {
        kind: ThreadKind::CandleCache,
        fetchers: vec![
            (ThreadKind::CandleFetch, channels::CANDLE_JOBS),
            (ThreadKind::QuoteFetch, channels::QUOTE_JOBS),
        ],
        tag: "CANDLES",
    };
    let client = make_fetch(SchwabConfig {
        base_url: sources.schwab_url.clone(),
        token_file: sources.token_file.clone(),
        clock,
        roots: sources.schwab_roots.clone(),
    });
    let cache = inbox_tx.clone();
    let make = move || {
        let (fetch, cache, skew) = (client(), cache.clone(), skew.clone());
        move |job: &Job<MarketKey>| {
            let answers = fetch.run(job);
            if let Some(bounds) = fetch.skew_bounds() {
                skew.publish(bounds);
            }
            for _ in 0..fetch.further_calls() {
                // A cache whose inbox is full has worse to care for.
                drop(cache.offer(ToCache::CalledAgain(job.key.clone())));
            }
            answers
        }
    };
    start_cache(supervisor, threads, config, inbox_tx, inbox, make)
}

/// What the trader app says. `market` hears which symbols are on the watchlist, and so are known.
pub fn start_trader(
    supervisor: &Supervisor,
    settings: &Settings,
    sources: &Sources,
    market: &Tx<ToCache<MarketKey, MarketData>>,
    inbox_tx: &Tx<ToCache<TraderKey, Body>>,
    inbox: Receiver<ToCache<TraderKey, Body>>,
) -> io::Result<()> {
    let s = &settings.trader;
    let queue = |name, fresh_for, stale_max| QueueConfig {
        name,
        fetchers: s.fetchers,
        pending_max: s.pending_max,
        fresh_for,
        unread_for: Duration::ZERO,
        nodata_hold: s.failure_hold,
        failure_hold: s.failure_hold,
        stale_max,
        stale_patience: s.stale_patience,
        deadline: s.deadline,
        together_max: 1,
        gather_for: Duration::ZERO,
        // The trader app is polled every few seconds: the next poll is the retry.
        attempts_max: 1,
        backoff: NO_RETRIES,
    };
    let config = CacheConfig {
        upstream: TRADER,
        queues: vec![
            queue("watchlists", s.fresh_watchlist, None),
            queue("VWAPs", s.fresh_vwap, Some(s.stale_max)),
            queue("stream states", s.fresh_feed, None),
            queue("signals and positions", s.fresh_lists, Some(s.stale_max)),
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
    };
    let threads = CacheThreads {
        kind: ThreadKind::TraderCache,
        fetchers: vec![
            (ThreadKind::WatchlistFetch, channels::WATCHLIST_JOBS),
            (ThreadKind::VwapFetch, channels::VWAP_JOBS),
            (ThreadKind::FeedFetch, channels::FEED_JOBS),
            (ThreadKind::ListsFetch, channels::LISTS_JOBS),
        ],
        tag: "TRADER",
    };
    let url = sources.trader_url.clone();
    let roots = sources.trader_roots.clone();
    let market = market.clone();
    let make = move || {
        let (fetch, market) = (trader_app::Fetch::new(&url, &roots), market.clone());
        move |job: &Job<TraderKey>| {
            let result = fetch.run(job);
            if let (TraderKey::Watchlist, Ok(list)) = (&job.key, &result) {
                let symbols = trader_app::watchlist_symbols(list.plain());
                let known = symbols.into_iter().map(MarketKey::Quote).collect();
                // The next list says it again.
                drop(market.offer(ToCache::Known(known)));
            }
            result.into()
        }
    };
    start_cache(supervisor, threads, config, inbox_tx, inbox, make)
}

/// Validations.
pub fn start_model(
    supervisor: &Supervisor,
    settings: &Settings,
    clock: Clock,
    inbox_tx: &Tx<ToCache<ValidationKey, ValidationAnswer>>,
    inbox: Receiver<ToCache<ValidationKey, ValidationAnswer>>,
) -> io::Result<()> {
    let s = &settings.model;
    let queue = |name, fetchers, fresh_for, unread_for, deadline| QueueConfig {
        name,
        fetchers,
        pending_max: s.pending_max,
        fresh_for,
        unread_for,
        nodata_hold: MODEL_HOLD,
        failure_hold: MODEL_HOLD,
        stale_max: None,
        stale_patience: deadline,
        deadline,
        together_max: 1,
        gather_for: Duration::ZERO,
        // A malformed answer is asked for again by the fetcher itself.
        attempts_max: 1,
        backoff: NO_RETRIES,
    };
    let config = CacheConfig {
        upstream: OLLAMA,
        queues: vec![
            queue(
                "validations",
                s.fetchers,
                s.cache_ttl,
                UNREAD_FOR,
                s.deadline,
            ),
            // Of now, or of no use.
            queue(
                "model status",
                1,
                s.status_ttl,
                Duration::ZERO,
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
    };
    let threads = CacheThreads {
        kind: ThreadKind::ModelCache,
        fetchers: vec![
            (ThreadKind::ModelFetch, channels::MODEL_JOBS),
            (ThreadKind::ModelStatus, channels::MODEL_STATUS_JOBS),
        ],
        tag: "MODEL",
    };
    let model = OllamaConfig {
        url: s.url.0.clone(),
        name: s.name.clone(),
        attempts_max: count(s.attempts_max),
        temperature: s.temperature.0,
        tokens_max: s.tokens_max,
        clock,
        roots: Roots::read(&s.url.0, Path::new(""))?,
    };
    let make = move || {
        let fetch = ollama::Fetch::new(&model);
        move |job: &Job<ValidationKey>| fetch.run(job).into()
    };
    start_cache(supervisor, threads, config, inbox_tx, inbox, make)
}

/// A model that failed is left alone this long for the same symbol.
const MODEL_HOLD: Duration = Duration::from_secs(2);

/// A verdict that came after its askers had left is kept this long for the next one.
const UNREAD_FOR: Duration = Duration::from_secs(300);

/// For queues whose flights make one call.
const NO_RETRIES: Backoff = Backoff {
    min: Duration::from_millis(250),
    max: Duration::from_millis(250),
};

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
