//! Candles and quotes of the provider: what the candle cache keeps, and by what. Pure.

#[cfg(test)]
mod cache_tests;
mod series;

use std::fmt;
use std::sync::Arc;

use crate::cache::{Freshness, Key, Value};
use crate::market::{Candle, LiveCandles, Symbol, Timeframe};
use crate::payload::Body;

pub use series::{FinishedSeries, Series};

/// The number of the queue that fetches candles.
pub const QUEUE_CANDLES: usize = 0;
/// The number of the queue that fetches quotes.
pub const QUEUE_QUOTES: usize = 1;

/// What the candle cache keeps.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MarketKey {
    /// A series.
    Candles(Symbol, Timeframe),
    /// The provider's quote object.
    Quote(Symbol),
}

impl fmt::Display for MarketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Candles(symbol, timeframe) => write!(f, "candles {symbol} {timeframe}"),
            Self::Quote(symbol) => write!(f, "quote {symbol}"),
        }
    }
}

impl Key for MarketKey {
    fn queue(&self) -> usize {
        match self {
            Self::Candles(..) => QUEUE_CANDLES,
            Self::Quote(_) => QUEUE_QUOTES,
        }
    }

    /// A symbol is known by its quote.
    fn subject(&self) -> Option<Self> {
        let (Self::Candles(symbol, _) | Self::Quote(symbol)) = self;
        Some(Self::Quote(symbol.clone()))
    }
}

/// What was fetched, and what was heard of it since.
#[derive(Debug)]
pub enum MarketData {
    /// A series.
    Series(Box<Series>),
    /// The provider's quote object.
    Quote(Body),
}

/// Market data in the form in which clients get them.
#[derive(Clone, Debug)]
pub struct MarketOut {
    /// An array of candles, or the quote object.
    pub body: Body,
    /// The candles themselves, of a series.
    pub candles: Option<Arc<[Candle]>>,
}

impl AsRef<Body> for MarketOut {
    fn as_ref(&self) -> &Body {
        &self.body
    }
}

impl Value for MarketData {
    type Update = LiveCandles;
    type Out = MarketOut;

    fn apply(&mut self, update: &LiveCandles) -> Freshness {
        match self {
            Self::Series(series) => series.apply(update),
            Self::Quote(_) => Freshness::Unchanged,
        }
    }

    fn succeed(&mut self, old: Self) {
        if let (Self::Series(new), Self::Series(old)) = (self, old) {
            new.succeed(*old);
        }
    }

    fn is_nothing(&self) -> bool {
        matches!(self, Self::Series(series) if series.is_empty())
    }

    fn out(&mut self) -> MarketOut {
        match self {
            Self::Series(series) => {
                let finished = series.finish();
                MarketOut {
                    body: finished.body,
                    candles: Some(finished.candles),
                }
            }
            Self::Quote(body) => MarketOut {
                body: body.clone(),
                candles: None,
            },
        }
    }
}
