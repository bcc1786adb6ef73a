//! Candles and quotes of the provider: what the candle desk keeps and how its fetchers get it.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use crate::body::Body;
use crate::desk::{Failure, Heard, Job, Key, Value};
use crate::market::{Candle, Symbol, Timeframe};
use crate::providers::schwab::{Schwab, SchwabConfig};

/// The number of the lane that fetches candles.
pub const LANE_CANDLES: usize = 0;
/// The number of the lane that fetches quotes.
pub const LANE_QUOTES: usize = 1;

/// What the candle desk keeps.
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
    fn lane(&self) -> usize {
        match self {
            Self::Candles(..) => LANE_CANDLES,
            Self::Quote(_) => LANE_QUOTES,
        }
    }
}

/// A fetched value in the form in which clients get it.
#[derive(Clone, Debug)]
pub struct MarketData {
    /// An array of candles, or the quote object.
    pub body: Body,
    /// The candles themselves, for a series.
    pub candles: Option<Arc<[Candle]>>,
}

impl Value for MarketData {
    type News = std::convert::Infallible;
    fn hear(&mut self, news: &Self::News) -> Heard {
        match *news {}
    }
}

/// What each fetcher thread makes its client with.
pub fn make_fetch(config: SchwabConfig) -> impl Fn() -> Fetch + Clone + Send + 'static {
    move || Fetch {
        schwab: RefCell::new(Schwab::new(&config)),
    }
}

/// One fetcher's client.
#[derive(Debug)]
pub struct Fetch {
    schwab: RefCell<Schwab>,
}

impl Fetch {
    /// Makes one call, by the job's deadline.
    ///
    /// # Errors
    /// As [`Schwab::candles`] and [`Schwab::quote`].
    pub fn run(&self, job: &Job<MarketKey>) -> Result<MarketData, Failure> {
        let mut schwab = self.schwab.borrow_mut();
        match &job.key {
            MarketKey::Candles(symbol, timeframe) => {
                let candles = schwab.candles(symbol, *timeframe, job.deadline)?;
                Ok(MarketData {
                    body: built(&candles),
                    candles: Some(candles.into()),
                })
            }
            MarketKey::Quote(symbol) => {
                let quote = schwab.quote(symbol, job.deadline)?;
                Ok(MarketData {
                    body: built(&quote),
                    candles: None,
                })
            }
        }
    }
}

/// Numbers, strings and maps by string always have a JSON form.
fn built(value: &impl serde::Serialize) -> Body {
    Body::built(serde_json::to_vec(value).unwrap_or_default())
}
