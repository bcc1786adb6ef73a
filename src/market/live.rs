//! What the quote stream says of a symbol's candles between two fetches. Plain values.

use std::sync::Arc;

use crate::market::Candle;

/// The last minutes of a symbol that is streamed. Moments are in milliseconds since the Unix epoch, on
/// the session clock.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveCandles {
    /// Every trade since then was heard.
    pub since_ms: i64,
    /// When this was said.
    pub as_of_ms: i64,
    /// When the trading day began.
    pub day_open_ms: i64,
    /// The trading day's minutes that were heard, oldest first, but for the last ones; those before
    /// `since_ms` may miss trades. The same allocation as long as it is the same.
    pub earlier: Arc<[Candle]>,
    /// The last minutes that were heard, oldest first: enough for the longest candle that is made of
    /// minutes.
    pub minutes: Arc<[Candle]>,
    /// The trading day's candle, by the quote's own fields; none before the regular session.
    pub day: Option<Candle>,
}
