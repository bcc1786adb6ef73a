//! The two calls of Schwab's market data API that the server makes, and the 401 rule.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Map, Value};

use crate::clock::Clock;
use crate::desk::Failure;
use crate::json::{Account, Mended, Source};
use crate::market::{Candle, Session, Symbol, Timeframe};
use crate::providers::Roots;

use super::super::http::{Response, Upstream, escaped};
use super::parse;
use super::token::TokenFile;

/// As errors name it.
pub const SCHWAB: &str = "Schwab market data";

/// Candles are asked for up to this much after now, so that a clock that is behind loses none: an end far
/// ahead costs nothing. Without an end Schwab's series would end at the close of the day before.
const END_SLACK_MS: i64 = 7 * 86_400_000;

/// The same error status is told to the log by each fetcher no more often than this: while a token is
/// refused every call meets it.
const SAY_AGAIN_EVERY: std::time::Duration = std::time::Duration::from_secs(60);

/// How daily candles are asked for: a year of them.
const DAILY: &str = "periodType=year&period=1&frequencyType=daily&frequency=1";

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
}

/// One fetcher's client.
#[derive(Debug)]
pub struct Schwab {
    upstream: Upstream,
    tokens: TokenFile,
    clock: Clock,
    session: Session,
    /// Calls made since the last was told of, beyond the first of each question.
    further_calls: u32,
    /// What was mended in the last answer.
    mended: Mended,
    account: Account,
    /// The error status last told to the log, and when.
    said: Option<(u16, Instant)>,
}

impl Schwab {
    /// Connects when it is first asked.
    #[must_use]
    pub fn new(config: &SchwabConfig) -> Self {
        Self {
            upstream: Upstream::with_roots(SCHWAB, &config.base_url, &config.roots),
            tokens: TokenFile::new(config.token_file.clone()),
            clock: config.clock,
            session: Session::new(),
            further_calls: 0,
            mended: Mended::default(),
            account: Account::new(Source::Schwab, SCHWAB),
            said: None,
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
    /// [`Failure::NoData`] where it has nothing at all, of an unknown symbol or one without a trade; else
    /// what went wrong.
    pub fn candles(
        &mut self,
        symbol: &Symbol,
        timeframe: Timeframe,
        deadline: Instant,
    ) -> Result<Vec<Candle>, Failure> {
        let now_ms = self.clock.wall_ms();
        let from_ms = match timeframe.minutes() {
            Some(_) => self.session.open_ms(self.session.trading_day(now_ms)),
            None => i64::MIN,
        };
        let range = match timeframe.minutes() {
            Some(minutes) => format!(
                "periodType=day&frequencyType=minute&frequency={minutes}&startDate={from_ms}"
            ),
            None => DAILY.to_owned(),
        };
        let path = format!(
            "/pricehistory?symbol={}&{range}&endDate={}&needExtendedHoursData=true",
            escaped(symbol.as_str()),
            now_ms + END_SLACK_MS
        );
        let what = format!("candles {symbol} {timeframe}");
        let response = self.call(&path, &what, deadline)?;
        let (candles, mended) =
            parse::candles(&response.body, symbol).map_err(|why| malformed(&response, why))?;
        self.account.tell(&what, &mended);
        self.mended = mended;
        let candles = candles.ok_or(Failure::NoData { what })?;
        Ok(parse::newest_session(candles, from_ms, &self.session))
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
    pub fn knows(&mut self, symbol: &Symbol, deadline: Instant) -> Result<bool, Failure> {
        self.further_calls += 1;
        match self.quote(symbol, deadline) {
            Ok(_) => Ok(true),
            Err(Failure::NoData { .. }) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// The quote object, every field kept.
    ///
    /// # Errors
    /// [`Failure::NoData`] for an unknown symbol; else what went wrong.
    pub fn quote(
        &mut self,
        symbol: &Symbol,
        deadline: Instant,
    ) -> Result<Map<String, Value>, Failure> {
        let what = format!("quote {symbol}");
        let path = format!("/{}/quotes", escaped(symbol.as_str()));
        let response = self.call(&path, &what, deadline)?;
        let (quote, mended) =
            parse::quote(&response.body, symbol).map_err(|why| malformed(&response, why))?;
        self.account.tell(&what, &mended);
        self.mended = mended;
        quote.ok_or(Failure::NoData { what })
    }

    /// One call; after a 401 the token file is read again and the call made once more.
    fn call(&mut self, path: &str, what: &str, deadline: Instant) -> Result<Response, Failure> {
        let mut response = self.call_once(path, deadline)?;
        if response.status == 401 {
            self.tokens.doubt();
            self.further_calls += 1;
            response = self.call_once(path, deadline)?;
        }
        let upstream = SCHWAB;
        match response.status {
            200 => return Ok(response),
            // For a symbol that it cannot know.
            404 => {
                return Err(Failure::NoData {
                    what: what.to_owned(),
                });
            }
            _ => {}
        }
        let detail = self.tokens.hidden_in(parse::detail(&response.body));
        let now = Instant::now();
        let again = |(status, at)| status == response.status && now < at + SAY_AGAIN_EVERY;
        let level = if self.said.is_some_and(again) {
            log::Level::Debug
        } else {
            self.said = Some((response.status, now));
            log::Level::Warn
        };
        log::log!(
            target: "SCHWAB",
            level,
            "{what}: answered {}{}, correlation id {}",
            response.status,
            detail,
            response.correlation.as_deref().unwrap_or("none")
        );
        Err(match response.status {
            401 => Failure::Token {
                upstream,
                why: format!(
                    "it refuses the token in {}; let your login program renew it",
                    self.tokens.description()
                ),
            },
            code => Failure::Status {
                upstream,
                code,
                detail,
                retry_after: response.retry_after,
            },
        })
    }

    fn call_once(&mut self, path: &str, deadline: Instant) -> Result<Response, Failure> {
        let token = self.tokens.token().map_err(|e| Failure::Token {
            upstream: SCHWAB,
            why: e.to_string(),
        })?;
        let bearer = token.bearer();
        self.upstream
            .get(path, &[("Authorization", &bearer)], deadline)
    }
}

fn malformed(response: &Response, why: String) -> Failure {
    log::warn!(
        target: "SCHWAB",
        "an answer of {} bytes is unusable: {why}; correlation id {}",
        response.body.len(),
        response.correlation.as_deref().unwrap_or("none")
    );
    Failure::Malformed {
        upstream: SCHWAB,
        why,
    }
}
