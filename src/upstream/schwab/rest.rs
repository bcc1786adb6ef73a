//! The two calls of Schwab's market data API that the server makes, price history and quotes, and the 401
//! rule.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Map, Value};

use crate::json::{Account, Mended, Source};
use crate::market::{Candle, Session, Skew, SkewBounds, Symbol, Timeframe};
use crate::resilience::FetchError;
use crate::runtime::clock::Clock;
use crate::runtime::log_throttle::LogThrottle;
use crate::upstream::{Lookups, Roots};

use super::super::http::{HttpClient, Response};
use super::parse;
use super::quotes::{self, ListForm, NO_LISTS_FOR, Said};
use super::request;
use super::token::TokenFile;

/// As errors name it.
pub const SCHWAB: &str = "Schwab market data";

/// Symbols in one question for quotes, at most: Schwab takes 500. The question has less than 4 kB then,
/// which every server and proxy takes.
pub const QUOTES_MAX: usize = 50;

/// One symbol's quote object, or why there is none.
pub type QuoteOrWhyNot = Result<Map<String, Value>, FetchError>;

/// Where and as whom Schwab is asked.
#[derive(Clone, Debug)]
pub struct SchwabConfig {
    /// Up to and including `/marketdata/v1`.
    pub base_url: String,
    /// Written by another program.
    pub token_file: PathBuf,
    /// The session clock.
    pub clock: Clock,
    /// Whose certificates are believed.
    pub roots: Roots,
    /// Makes its look-ups.
    pub lookups: Lookups,
}

/// One fetcher's client.
#[derive(Debug)]
pub struct Schwab {
    upstream: HttpClient,
    tokens: TokenFile,
    clock: Clock,
    session: Session,
    /// Calls made since the last was told of, beyond the first of each question.
    further_calls: u32,
    skew: Skew,
    /// What the last answer says of it.
    bounds: Option<SkewBounds>,
    list_form: ListForm,
    /// What was mended in the last answer.
    mended: Mended,
    account: Account,
    /// While a token is refused every call meets it.
    refusals: LogThrottle,
}

impl Schwab {
    /// Connects when it is first asked.
    #[must_use]
    pub fn new(config: &SchwabConfig) -> Self {
        Self {
            upstream: HttpClient::new(SCHWAB, &config.base_url, &config.roots, &config.lookups),
            tokens: TokenFile::new(config.token_file.clone()),
            clock: config.clock,
            session: Session::new(),
            further_calls: 0,
            skew: Skew::default(),
            bounds: None,
            list_form: ListForm::default(),
            mended: Mended::default(),
            account: Account::new(Source::Schwab, SCHWAB),
            refusals: LogThrottle::default(),
        }
    }

    /// Calls that were made since this was asked last, beyond the one that each job stands for.
    pub fn further_calls(&mut self) -> u32 {
        std::mem::take(&mut self.further_calls)
    }

    /// The newest session's minute candles, from 04:00 New York on, or a year of daily ones: none where
    /// Schwab has placeholders only.
    ///
    /// # Errors
    /// [`FetchError::NoData`] where it has nothing at all, of an unknown symbol or one without a trade; else
    /// what went wrong.
    pub fn candles(
        &mut self,
        symbol: &Symbol,
        timeframe: Timeframe,
        deadline: Instant,
    ) -> Result<Vec<Candle>, FetchError> {
        let now_ms = self.now_ms();
        let from_ms = match timeframe.minutes() {
            Some(_) => self.session.open_ms(self.session.trading_day(now_ms)),
            None => i64::MIN,
        };
        let path = request::candles(symbol, timeframe, from_ms, now_ms);
        let what = format!("candles {symbol} {timeframe}");
        let response = self.call(&path, &what, deadline)?;
        let (candles, mended) =
            parse::candles(&response.body, symbol).map_err(|why| malformed(&response, why))?;
        self.account.tell(&what, &mended);
        self.mended = mended;
        let candles = candles.ok_or(FetchError::NoData { what })?;
        Ok(parse::newest_session(candles, from_ms, &self.session))
    }

    /// The session clock, by as much ahead of this machine's as that is behind Schwab's.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.skew.corrected(self.clock.wall_ms())
    }

    /// What an answer said of this machine's clock since this was asked last.
    pub fn skew_bounds(&mut self) -> Option<SkewBounds> {
        self.bounds.take()
    }

    /// What was mended in the answer that was read last.
    #[must_use]
    pub fn mended(&self) -> Mended {
        self.mended
    }

    /// Whether there is such a symbol: a look at its quote, beyond the job's own call.
    ///
    /// # Errors
    /// As [`Self::quote`].
    pub fn knows(&mut self, symbol: &Symbol, deadline: Instant) -> Result<bool, FetchError> {
        self.further_calls += 1;
        match self.quote(symbol, deadline) {
            Ok(_) => Ok(true),
            Err(FetchError::NoData { .. }) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// The quote object, every field kept.
    ///
    /// # Errors
    /// [`FetchError::NoData`] for an unknown symbol; else what went wrong.
    pub fn quote(
        &mut self,
        symbol: &Symbol,
        deadline: Instant,
    ) -> Result<Map<String, Value>, FetchError> {
        let mut said = self.quotes(std::slice::from_ref(symbol), deadline)?;
        // One symbol always has an answer.
        said.pop().flatten().unwrap_or_else(|| {
            Err(FetchError::NoData {
                what: format!("quote {symbol}"),
            })
        })
    }

    /// The quote objects of up to [`QUOTES_MAX`] symbols, in their order, by one call: by the list, which
    /// takes every symbol, or, of the first alone, by the form for one where the list is not known. None
    /// for a symbol that must be asked for by itself. What was mended is of the whole answer.
    ///
    /// # Errors
    /// What went wrong with the call, for all of them; and with one of them as of [`Self::quote`].
    pub fn quotes(
        &mut self,
        symbols: &[Symbol],
        deadline: Instant,
    ) -> Result<Vec<Option<QuoteOrWhyNot>>, FetchError> {
        let now = Instant::now();
        let Some(first) = symbols.first().map(std::slice::from_ref) else {
            return Ok(Vec::new());
        };
        let by_list = self.list_form.is_tried(now);
        let said = if by_list {
            match self.quotes_at(&request::list(symbols), symbols, deadline) {
                // The symbol, or the list itself is not known: the other form says which.
                Err(FetchError::NoData { .. }) => {
                    self.further_calls += 1;
                    let said = self.quotes_at(&request::single(&first[0]), first, deadline);
                    if said.is_ok() {
                        self.list_form.is_missing(now);
                        log::info!(
                            target: "SCHWAB",
                            "/quotes?symbols= is not known there; for {} min /SYMBOL/quotes is asked instead, for one symbol at a time",
                            NO_LISTS_FOR.as_secs() / 60
                        );
                    }
                    said
                }
                // One of them may be what it cannot read.
                Err(failure) if symbols.len() > 1 && request::is_about_the_request(&failure) => {
                    self.further_calls += 1;
                    self.quotes_at(&request::list(first), first, deadline)
                }
                said => said,
            }
        } else {
            self.quotes_at(&request::single(&first[0]), first, deadline)
        };
        let mut said = match said {
            // It was asked for by itself, or is the only one.
            Err(failure) if request::is_about_the_request(&failure) => vec![Some(Err(failure))],
            said => said?,
        };
        said.resize_with(symbols.len(), || None);
        Ok(said)
    }

    fn quotes_at(
        &mut self,
        path: &str,
        symbols: &[Symbol],
        deadline: Instant,
    ) -> Result<Vec<Option<QuoteOrWhyNot>>, FetchError> {
        let names: Vec<&str> = symbols.iter().map(Symbol::as_str).collect();
        let what = format!("quote {}", names.join(", "));
        let response = self.call(path, &what, deadline)?;
        let (said, mended) =
            quotes::quotes(&response.body, symbols).map_err(|why| malformed(&response, why))?;
        self.account.tell(&what, &mended);
        self.mended = mended;
        let said = said.into_iter().zip(symbols);
        Ok(said
            .map(|(said, symbol)| match said {
                Said::Quote(quote) => Some(Ok(quote)),
                Said::Unknown => Some(Err(FetchError::NoData {
                    what: format!("quote {symbol}"),
                })),
                Said::Unusable(why) => Some(Err(malformed(&response, why))),
                Said::Nothing => None,
            })
            .collect())
    }

    /// One call; after a 401 the token file is read again and the call made once more.
    fn call(&mut self, path: &str, what: &str, deadline: Instant) -> Result<Response, FetchError> {
        let mut response = self.call_once(path, deadline)?;
        if response.status == 401 {
            self.tokens.doubt();
            self.further_calls += 1;
            response = self.call_once(path, deadline)?;
        }
        match response.status {
            200 => return Ok(response),
            // For a symbol that it cannot know.
            404 => {
                return Err(FetchError::NoData {
                    what: what.to_owned(),
                });
            }
            _ => {}
        }
        let detail = self.tokens.hidden_in(parse::detail(&response.body));
        let failure = request::refused(&response, detail.clone(), self.tokens.description());
        let form = response.status.to_string();
        if let Some(untold) = self.refusals.happened_as(Instant::now(), &form) {
            log::warn!(
                target: "SCHWAB",
                "{what}: answered {}{detail}, correlation id {}{untold}",
                response.status,
                response.correlation.as_deref().unwrap_or("none")
            );
        }
        Err(failure)
    }

    fn call_once(&mut self, path: &str, deadline: Instant) -> Result<Response, FetchError> {
        let token = self.tokens.token().map_err(|e| FetchError::Token {
            upstream: SCHWAB,
            why: e.to_string(),
        })?;
        let bearer = token.bearer();
        let response = self
            .upstream
            .get(path, &[("Authorization", &bearer)], deadline)?;
        if let Some(bounds) = response.skew {
            self.skew.answered(bounds);
            self.bounds = Some(bounds);
        }
        Ok(response)
    }
}

fn malformed(response: &Response, why: String) -> FetchError {
    log::warn!(
        target: "SCHWAB",
        "an answer of {} bytes is unusable: {why}; correlation id {}",
        response.body.len(),
        response.correlation.as_deref().unwrap_or("none")
    );
    FetchError::Malformed {
        upstream: SCHWAB,
        why,
    }
}
