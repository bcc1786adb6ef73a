//! Candles and quotes of the provider: what the candle cache keeps and how its fetchers get it.

#[cfg(test)]
mod cache_tests;
mod series;

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::cache::{Answers, Freshness, Job, Key, Value};
use crate::market::{Candle, LiveCandles, Session, SkewBounds, Symbol, Timeframe};
use crate::payload::Body;
use crate::resilience::FetchError;
use crate::upstream::schwab::{Schwab, SchwabConfig};

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

/// What each fetcher thread makes its client with.
pub fn make_fetch(config: SchwabConfig) -> impl Fn() -> Fetch + Clone + Send + 'static {
    move || Fetch {
        session: Session::new(),
        schwab: RefCell::new(Schwab::new(&config)),
    }
}

fn knows(
    schwab: &mut Schwab,
    symbol: &Symbol,
    job: &Job<MarketKey>,
    what: &str,
) -> Result<bool, FetchError> {
    schwab
        .knows(symbol, job.deadline)
        .map_err(|last| FetchError::Unverified {
            what: what.to_owned(),
            last: Box::new(last),
        })
}

/// One fetcher's client.
#[derive(Debug)]
pub struct Fetch {
    session: Session,
    schwab: RefCell<Schwab>,
}

impl Fetch {
    /// Calls that were made since this was asked last, beyond the one that each job stands for.
    #[must_use]
    pub fn further_calls(&self) -> u32 {
        self.schwab.borrow_mut().further_calls()
    }

    /// What an answer said of this machine's clock since this was asked last.
    #[must_use]
    pub fn skew_bounds(&self) -> Option<SkewBounds> {
        self.schwab.borrow_mut().skew_bounds()
    }

    /// Makes one call, by the job's deadline; for candles a second, a look at the quote, where there is nothing of a
    /// symbol of which nobody has heard yet. A symbol that is known has an empty series then.
    ///
    /// The failures are those of [`Schwab::candles`] and [`Schwab::quotes`]; [`FetchError::Unverified`] when the
    /// look failed.
    pub fn run(&self, job: &Job<MarketKey>) -> Answers<MarketData> {
        match &job.key {
            MarketKey::Candles(symbol, timeframe) => self.candles(symbol, *timeframe, job).into(),
            MarketKey::Quote(_) => self.quotes(job),
        }
    }

    fn candles(
        &self,
        symbol: &Symbol,
        timeframe: Timeframe,
        job: &Job<MarketKey>,
    ) -> Result<MarketData, FetchError> {
        let mut schwab = self.schwab.borrow_mut();
        let asked = Instant::now();
        let candles = match schwab.candles(symbol, timeframe, job.deadline) {
            Err(FetchError::NoData { what }) => {
                let known = job.known || knows(&mut schwab, symbol, job, &what)?;
                known.then(Vec::new).ok_or(FetchError::NoData { what })?
            }
            other => other?,
        };
        // By the provider's clock, as its answer tells it.
        let took = i64::try_from(asked.elapsed().as_millis()).unwrap_or(i64::MAX);
        let asked_ms = schwab.now_ms().saturating_sub(took);
        let open_ms = self.session.open_ms(self.session.trading_day(asked_ms));
        let series = Series::new(timeframe, candles, asked_ms)
            .of_day(open_ms)
            .with_mended(schwab.mended());
        Ok(MarketData::Series(Box::new(series)))
    }

    /// The job's quote and, by the same call, those that go with it.
    fn quotes(&self, job: &Job<MarketKey>) -> Answers<MarketData> {
        let mut schwab = self.schwab.borrow_mut();
        let others = job.others.iter().map(|other| &other.key);
        let symbols: Vec<Symbol> = std::iter::once(&job.key)
            .chain(others)
            .map(|(MarketKey::Candles(symbol, _) | MarketKey::Quote(symbol))| symbol.clone())
            .collect();
        let said = match schwab.quotes(&symbols, job.deadline) {
            Ok(said) => said,
            Err(failure) => {
                let each = job.others.iter().map(|_| Some(Err(failure.clone())));
                return Answers {
                    others: each.collect(),
                    own: Err(failure),
                };
            }
        };
        let mended = schwab.mended();
        let mut said = said.into_iter().map(|quote| {
            quote.map(|quote| {
                // A map by string always has a JSON form.
                let json = serde_json::to_vec(&quote?).unwrap_or_default();
                Ok(MarketData::Quote(Body::built(json).with_mended(mended)))
            })
        });
        // The first of those asked for always has an answer.
        let own = said.next().flatten().unwrap_or(Err(FetchError::NoData {
            what: job.key.to_string(),
        }));
        Answers {
            own,
            others: said.collect(),
        }
    }
}
