//! What the candle cache is told of candles that the stream makes, and when. Pure.

use std::time::{Duration, Instant};

use crate::market::{LiveCandles, Quote, Skew, SkewBounds, Symbol, Timeframe};
use crate::runtime::clock::Now;
use crate::upstream::schwab::candles::MarketKey;

use super::candle_builder::CandleBuilder;
use super::messages::Wanted;

/// Between two updates of what changed: a poll is so never older than a second.
const UPDATE_EVERY: Duration = Duration::from_millis(500);

/// Between two updates of everything, well below the time that candles are fresh: a symbol without
/// trades needs no call of the provider either, as long as its source is heard.
const UPDATE_ALL_EVERY: Duration = Duration::from_secs(15);

/// A clock that turns out to be wrong by so much more has what is heard begin anew.
const SKEW_STEP_MS: i64 = 2_000;

/// The log hears of a clock that is off by so much, or changed by it.
const SKEW_SAID_FROM_S: i64 = 5;

/// Symbols in one message, so that a large watch does not keep the cache from its askers.
const SYMBOLS_AT_ONCE: usize = 128;

/// Updates of some symbols, in every timeframe: one message to the cache.
pub(super) type CandleUpdates = Vec<(MarketKey, LiveCandles)>;

/// Words for the log about this machine's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ClockWords {
    /// It is right again.
    Right(&'static str),
    /// It is off.
    Off(String),
}

/// Candles from quotes, and what the cache knows of them.
#[derive(Debug)]
pub(super) struct CandleFeed {
    builder: CandleBuilder,
    skew: Skew,
    /// As the log was told, in seconds.
    skew_said: i64,
    update_at: Instant,
    update_all_at: Instant,
    /// Whether the source said anything since everything was told.
    heard: bool,
}

impl CandleFeed {
    /// Nothing is followed yet.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            builder: CandleBuilder::default(),
            skew: Skew::default(),
            skew_said: 0,
            update_at: now,
            update_all_at: now,
            heard: false,
        }
    }

    /// The source said something.
    pub(super) fn source_spoke(&mut self) {
        self.heard = true;
    }

    /// A merged quote came at this moment of the session clock.
    pub(super) fn quote(&mut self, quote: &Quote, wall_ms: i64) {
        let stamp = quote.number("quote_time_ms");
        let stamp = stamp.or_else(|| quote.number("trade_time_ms"));
        if let Some(stamp) = stamp.filter(|s| *s > 0.0) {
            #[expect(clippy::cast_possible_truncation, reason = "beyond i64 it saturates")]
            self.skew.stamped(stamp as i64, wall_ms);
        }
        self.builder.quote(quote, self.skew.corrected(wall_ms));
    }

    /// An answer of the provider said this of this machine's clock.
    pub(super) fn answered(&mut self, bounds: SkewBounds) {
        let before = self.skew.ms().unwrap_or(0);
        self.skew.answered(bounds);
        let now = self.skew.ms().unwrap_or(0);
        if (now - before).abs() >= SKEW_STEP_MS {
            // Since when is followed was told by another clock.
            self.builder.lost();
        }
    }

    /// By how many seconds this machine's clock is behind; none where nothing told it yet.
    pub(super) fn skew_seconds(&self) -> Option<i64> {
        Some(self.skew.ms()? / 1_000)
    }

    /// What the log is to hear of the clock now: once it is off by more than a few seconds, or no longer.
    pub(super) fn clock_words(&mut self) -> Option<ClockWords> {
        let seconds = self.skew_seconds()?;
        if (seconds - self.skew_said).abs() < SKEW_SAID_FROM_S {
            return None;
        }
        self.skew_said = seconds;
        let by = seconds.abs();
        if by < SKEW_SAID_FROM_S {
            return Some(ClockWords::Right(
                "this machine's clock is right again, by the provider's",
            ));
        }
        let way = if seconds > 0 { "behind" } else { "ahead of" };
        Some(ClockWords::Off(format!(
            "this machine's clock is {by} s {way} the provider's: candles go by the provider's; set the clock, for example by NTP"
        )))
    }

    /// Forgets what nobody wants.
    pub(super) fn keep(&mut self, wanted: &Wanted) {
        self.builder.keep(wanted);
    }

    /// The source is gone.
    pub(super) fn lost(&mut self) {
        self.builder.lost();
    }

    /// The messages that are due now.
    pub(super) fn due(&mut self, now: Now) -> Vec<CandleUpdates> {
        if now.mono < self.update_at {
            return Vec::new();
        }
        self.update_at = now.mono + UPDATE_EVERY;
        let all = now.mono >= self.update_all_at && self.heard;
        if all {
            self.update_all_at = now.mono + UPDATE_ALL_EVERY;
            self.heard = false;
        }
        let now_ms = self.skew.corrected(now.wall_ms);
        let updates = self.builder.updates(now_ms, all);
        let message = |some: &[(Symbol, LiveCandles)]| {
            let keyed = some.iter().flat_map(|(symbol, live)| {
                let key = |timeframe| MarketKey::Candles(symbol.clone(), timeframe);
                Timeframe::ALL.map(|t| (key(t), live.clone()))
            });
            keyed.collect()
        };
        updates.chunks(SYMBOLS_AT_ONCE).map(message).collect()
    }

    /// The cache had no room for this: it is in the next update.
    pub(super) fn not_taken(&mut self, updates: &CandleUpdates) {
        for (MarketKey::Candles(symbol, _) | MarketKey::Quote(symbol), _) in updates {
            self.builder.not_sent(symbol);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// 2026-03-06, 10:00 New York.
    const T0: i64 = 1_772_809_200_000;

    fn quote(symbol: u8, at_ms: i64, price: f64) -> Quote {
        let fields = json!({"last_price": price, "trade_time_ms": at_ms, "total_volume": 100.0});
        Quote {
            symbol: format!("S{symbol}").parse().unwrap(),
            fields: fields.as_object().unwrap().clone(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn the_cache_knows_every_last_price_within_one_update_however_often_it_had_no_room(
            steps in prop::collection::vec((0_u8..5, 1_u64..900, any::<bool>()), 1..60)
        ) {
            let began = Instant::now();
            let mut now = Now { mono: began, wall_ms: T0 };
            let mut feed = CandleFeed::new(began);
            let mut prices = std::collections::HashMap::new();
            let mut cached = std::collections::HashMap::new();
            let mut last_update: Option<Instant> = None;
            let rest = (0..1).map(|_| (9, 600, true));
            for (symbol, wait_ms, has_room) in steps.into_iter().chain(rest) {
                if symbol < 5 {
                    let price = 1.0 + wait_ms as f64;
                    feed.quote(&quote(symbol, now.wall_ms, price), now.wall_ms);
                    feed.source_spoke();
                    prices.insert(format!("S{symbol}"), price);
                }
                now = now.plus(Duration::from_millis(wait_ms));
                let due = feed.due(now);
                if !due.is_empty() {
                    prop_assert!(last_update.is_none_or(|at| now.mono >= at + UPDATE_EVERY));
                    last_update = Some(now.mono);
                }
                for updates in due {
                    if !has_room {
                        feed.not_taken(&updates);
                        continue;
                    }
                    for (key, live) in updates {
                        let MarketKey::Candles(symbol, Timeframe::M1) = key else { continue };
                        if let Some(minute) = live.minutes.last() {
                            cached.insert(symbol.to_string(), minute.close);
                        }
                    }
                }
            }
            prop_assert_eq!(cached, prices);
        }
    }

    #[test]
    fn a_clock_that_is_off_is_told_once_and_again_when_it_is_right() {
        let mut feed = CandleFeed::new(Instant::now());
        assert_eq!(feed.clock_words(), None);
        feed.answered(SkewBounds::of(T0, T0, T0 + 60_000));
        let Some(ClockWords::Off(words)) = feed.clock_words() else {
            panic!("it is a minute behind");
        };
        assert!(words.contains("60 s behind"), "{words}");
        assert_eq!(feed.clock_words(), None, "said once");
        feed.answered(SkewBounds::of(T0, T0, T0));
        assert!(matches!(feed.clock_words(), Some(ClockWords::Right(_))));
    }
}
