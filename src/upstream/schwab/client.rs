//! One fetcher's client of Schwab, as the cache of market data asks it.

use std::io;
use std::time::Instant;

use crate::cache::{Answers, CacheConfig, Job, Source};
use crate::config::Settings;
use crate::market::{Session, SkewBounds, Symbol, Timeframe};
use crate::payload::Body;
use crate::resilience::FetchError;
use crate::runtime::clock::system_ms;
use crate::runtime::{LatestTx, ThreadKind};
use crate::upstream::{Upstream, Wiring};

use super::candles::{MarketData, MarketKey, Series};
use super::limits;
use super::rest::{Schwab, SchwabConfig};

/// One fetcher's client.
#[derive(Debug)]
pub struct Client {
    session: Session,
    schwab: Schwab,
    /// Takes what answers say of this machine's clock.
    skew: LatestTx<SkewBounds>,
}

impl Upstream for Client {
    type Config = (SchwabConfig, LatestTx<SkewBounds>);

    const CACHE: ThreadKind = ThreadKind::CandleCache;

    fn limits(settings: &Settings) -> CacheConfig {
        limits::limits(settings, system_ms().unsigned_abs())
    }

    fn config(wiring: &Wiring<'_>) -> io::Result<Self::Config> {
        let schwab = SchwabConfig {
            base_url: wiring.endpoints.schwab_url.clone(),
            token_file: wiring.endpoints.token_file.clone(),
            clock: wiring.clock,
            roots: wiring.endpoints.schwab_roots.clone(),
            lookups: wiring.endpoints.lookups.clone(),
        };
        Ok((schwab, wiring.skew.clone()))
    }

    fn new((config, skew): &Self::Config) -> Self {
        Self {
            session: Session::new(),
            schwab: Schwab::new(config),
            skew: skew.clone(),
        }
    }
}

impl Source for Client {
    type Key = MarketKey;
    type Value = MarketData;

    /// For candles a second call, a look at the quote, is made where there is nothing of a symbol of which nobody
    /// has heard yet. A symbol that is known has an empty series then.
    ///
    /// # Errors
    /// Those of [`Schwab::candles`] and [`Schwab::quotes`]; [`FetchError::Unverified`] when the look failed.
    fn call(&mut self, job: &Job<MarketKey>) -> Answers<MarketData> {
        let mut answers = match &job.key {
            MarketKey::Candles(symbol, timeframe) => self.candles(symbol, *timeframe, job).into(),
            MarketKey::Quote(_) => self.quotes(job),
        };
        answers.further_calls = self.schwab.further_calls();
        if let Some(bounds) = self.schwab.skew_bounds() {
            self.skew.publish(bounds);
        }
        answers
    }
}

impl Client {
    fn candles(
        &mut self,
        symbol: &Symbol,
        timeframe: Timeframe,
        job: &Job<MarketKey>,
    ) -> Result<MarketData, FetchError> {
        let schwab = &mut self.schwab;
        let asked = Instant::now();
        let candles = match schwab.candles(symbol, timeframe, job.deadline) {
            Err(FetchError::NoData { what }) => {
                let known = job.known || knows(schwab, symbol, job, &what)?;
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
    fn quotes(&mut self, job: &Job<MarketKey>) -> Answers<MarketData> {
        let others = job.others.iter().map(|other| &other.key);
        let symbols: Vec<Symbol> = std::iter::once(&job.key)
            .chain(others)
            .map(|(MarketKey::Candles(symbol, _) | MarketKey::Quote(symbol))| symbol.clone())
            .collect();
        let said = match self.schwab.quotes(&symbols, job.deadline) {
            Ok(said) => said,
            Err(failure) => {
                let each = job.others.iter().map(|_| Some(Err(failure.clone())));
                return Answers {
                    others: each.collect(),
                    ..Err(failure).into()
                };
            }
        };
        let mended = self.schwab.mended();
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
            others: said.collect(),
            ..own.into()
        }
    }
}

/// Whether there is such a symbol.
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
