//! One fetcher's client of the trader app's REST routes.

use std::io;

use crate::cache::{Answers, CacheConfig, Job, Source};
use crate::config::Settings;
use crate::json::{self, Account, Kind};
use crate::payload::Body;
use crate::resilience::FetchError;
use crate::runtime::ThreadKind;
use crate::upstream::http::{HttpClient, Response};
use crate::upstream::{Lookups, Roots, SymbolsMet, Upstream, Wiring};

use super::{TRADER, TraderKey, limits, watchlist_symbols};

/// One fetcher's client.
#[derive(Debug)]
pub struct Client {
    http: HttpClient,
    account: Account,
    /// Hears of the symbols on the watchlist.
    symbols_met: SymbolsMet,
}

/// What clients are made from.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The trader app's base URL.
    pub url: String,
    /// Whose certificates are believed.
    pub roots: Roots,
    /// Makes its look-ups.
    pub lookups: Lookups,
    /// Hears of the symbols on the watchlist.
    pub symbols_met: SymbolsMet,
}

impl Upstream for Client {
    type Config = ClientConfig;

    const CACHE: ThreadKind = ThreadKind::TraderCache;

    fn limits(settings: &Settings) -> CacheConfig {
        limits::limits(settings)
    }

    fn config(wiring: &Wiring<'_>) -> io::Result<ClientConfig> {
        Ok(ClientConfig {
            url: wiring.endpoints.trader_url.clone(),
            roots: wiring.endpoints.trader_roots.clone(),
            lookups: wiring.endpoints.lookups.clone(),
            symbols_met: wiring.symbols_met.clone(),
        })
    }

    fn new(config: &ClientConfig) -> Self {
        Self {
            http: HttpClient::new(TRADER, &config.url, &config.roots, &config.lookups),
            account: Account::new(json::Source::Trader, TRADER),
            symbols_met: config.symbols_met.clone(),
        }
    }
}

impl Source for Client {
    type Key = TraderKey;
    type Value = Body;

    /// The body is passed through as it came once it is known to be JSON of the right kind that every client
    /// can read; what cannot be read is mended.
    fn call(&mut self, job: &Job<TraderKey>) -> Answers<Body> {
        let got = self.http.get(&job.key.path(), &[], job.deadline);
        let body = got.and_then(|response| body(&job.key, &response));
        if let Ok(body) = &body {
            self.account.tell(&job.key.to_string(), body.mended());
            if job.key == TraderKey::Watchlist {
                self.symbols_met.tell(watchlist_symbols(body.plain()));
            }
        }
        body.into()
    }
}

/// What an answer to this question says.
fn body(key: &TraderKey, response: &Response) -> Result<Body, FetchError> {
    let upstream = TRADER;
    match response.status {
        200 => {}
        404 if matches!(key, TraderKey::Vwap(_)) => {
            return Err(FetchError::NoData {
                what: key.to_string(),
            });
        }
        code => {
            return Err(FetchError::Status {
                upstream,
                code,
                detail: String::new(),
                retry_after: response.retry_after,
            });
        }
    }
    let (kind, word) = if key.is_array() {
        (Kind::Array, "array")
    } else {
        (Kind::Object, "object")
    };
    let malformed = |why| FetchError::Malformed { upstream, why };
    let document = json::pass(&response.body)
        .map_err(|e| malformed(format!("its {key} is not JSON ({e})")))?;
    if document.kind != kind {
        return Err(malformed(format!("its {key} is no {word}")));
    }
    Ok(Body::passed(document))
}
