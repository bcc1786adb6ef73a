//! Tells the candle cache what the stream says of candles. Run by the `quote-reader` thread; never waits.

use std::time::{Duration, Instant};

use crate::cache::ToCache;
use crate::market::{Quote, Skew, SkewBounds, Timeframe};
use crate::runtime::Tx;
use crate::runtime::clock::Clock;
use crate::upstream::schwab::candles::{MarketData, MarketKey};

use super::candle_builder::CandleBuilder;
use super::messages::Wanted;

/// Between two tellings of what changed: a poll is so never older than a second.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// Between two tellings of everything, well below the time that candles are fresh: a symbol without
/// trades needs no call of the provider either, as long as its source is heard.
const TELL_ALL_EVERY: Duration = Duration::from_secs(15);

/// A clock that turns out to be wrong by so much more has what is heard begin anew.
const SKEW_STEP_MS: i64 = 2_000;

/// Symbols in one message, so that a large watch does not keep the cache from its askers.
const SYMBOLS_AT_ONCE: usize = 128;

/// Candles from quotes, and who is told of them.
pub struct CandleFeed {
    build: CandleBuilder,
    cache: Tx<ToCache<MarketKey, MarketData>>,
    clock: Clock,
    skew: Skew,
    tell_at: Instant,
    tell_all_at: Instant,
    /// Whether the source said anything since everything was told.
    heard: bool,
}

impl CandleFeed {
    /// Nothing is followed yet.
    pub fn new(cache: Tx<ToCache<MarketKey, MarketData>>, clock: Clock) -> Self {
        let now = Instant::now();
        Self {
            build: CandleBuilder::default(),
            cache,
            clock,
            skew: Skew::default(),
            tell_at: now,
            tell_all_at: now,
            heard: false,
        }
    }

    /// The source said something.
    pub fn source_spoke(&mut self) {
        self.heard = true;
    }

    /// A merged quote came.
    pub fn quote(&mut self, quote: &Quote) {
        let now_ms = self.clock.wall_ms();
        let stamp = quote.number("quote_time_ms");
        let stamp = stamp.or_else(|| quote.number("trade_time_ms"));
        if let Some(stamp) = stamp.filter(|s| *s > 0.0) {
            #[expect(clippy::cast_possible_truncation, reason = "beyond i64 it saturates")]
            self.skew.stamped(stamp as i64, now_ms);
        }
        self.build.quote(quote, self.now_ms());
    }

    /// An answer of the provider said this of this machine's clock.
    pub fn answered(&mut self, bounds: SkewBounds) {
        let before = self.skew.ms().unwrap_or(0);
        self.skew.answered(bounds);
        let now = self.skew.ms().unwrap_or(0);
        if (now - before).abs() >= SKEW_STEP_MS {
            // Since when is followed was told by another clock.
            self.build.lost();
        }
    }

    /// By how many milliseconds this machine's clock is behind; none where nothing told it yet.
    pub fn skew_ms(&self) -> Option<i64> {
        self.skew.ms()
    }

    /// The session clock, by as much ahead of this machine's as that is behind the provider's.
    fn now_ms(&self) -> i64 {
        self.skew.corrected(self.clock.wall_ms())
    }

    /// Forgets what nobody wants.
    pub fn keep(&mut self, wanted: &Wanted) {
        self.build.keep(wanted);
    }

    /// The source is gone.
    pub fn lost(&mut self) {
        self.build.lost();
    }

    /// Tells the cache, if it is time. What it has no room for is told next time.
    pub fn tell(&mut self, now: Instant) {
        if now < self.tell_at {
            return;
        }
        self.tell_at = now + TELL_EVERY;
        let all = now >= self.tell_all_at && self.heard;
        if all {
            self.tell_all_at = now + TELL_ALL_EVERY;
            self.heard = false;
        }
        let news = self.build.updates(self.now_ms(), all);
        for some in news.chunks(SYMBOLS_AT_ONCE) {
            let every_timeframe = some.iter().flat_map(|(symbol, live)| {
                let key = |timeframe| MarketKey::Candles(symbol.clone(), timeframe);
                Timeframe::ALL.map(|t| (key(t), live.clone()))
            });
            let message = ToCache::Updates(every_timeframe.collect());
            if self.cache.offer(message).is_err() {
                for (symbol, _) in some {
                    self.build.not_sent(symbol);
                }
            }
        }
    }
}
