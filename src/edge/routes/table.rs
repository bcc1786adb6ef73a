//! Every route, once: its methods, its path, and the kind of work that it may have to wait for. The
//! router finds a request's row here, the gate its lane; a path without a row is unknown. Pure.

use super::bulkhead::Lane;

/// The methods of a route that reads.
pub const GET: &str = "GET, HEAD, OPTIONS";
/// The methods of a route that does something.
pub const POST: &str = "POST, OPTIONS";
/// The methods of all routes together.
pub const ANY: &str = "GET, HEAD, POST, OPTIONS";

/// The path that a fresh connection is tried with; the workers answer 204.
pub const LANE_PING_PATH: &str = "/__lane";

/// Stands for a symbol, at the end of a path.
const SYMBOL: &str = "{symbol}";

/// One route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// [`GET`] or [`POST`].
    pub allow: &'static str,
    /// Its path's segments; one in braces stands for any, `{symbol}` for all that follow: its slash may come
    /// without an escape.
    pub path: &'static [&'static str],
    /// What it may have to wait for.
    pub lane: Lane,
}

impl Row {
    /// The method that a client uses: "GET" or "POST".
    #[must_use]
    pub fn method(&self) -> &'static str {
        if self.allow == POST { "POST" } else { "GET" }
    }

    /// "/api/candles/{symbol}"
    #[must_use]
    pub fn template(&self) -> String {
        format!("/{}", self.path.join("/"))
    }

    fn is_of(&self, segments: &[&str]) -> bool {
        let has_room = if self.path.last() == Some(&SYMBOL) {
            self.path.len() <= segments.len()
        } else {
            self.path.len() == segments.len()
        };
        has_room
            && self
                .path
                .iter()
                .zip(segments)
                .all(|(want, got)| want.starts_with('{') || want == got)
    }
}

const fn get(path: &'static [&'static str], lane: Lane) -> Row {
    let allow = GET;
    Row { allow, path, lane }
}

const fn post(path: &'static [&'static str], lane: Lane) -> Row {
    let allow = POST;
    Row { allow, path, lane }
}

/// All routes but the page's files. Of two that fit a path the first counts. Those that are polled most
/// stand first.
pub const ROUTES: &[Row] = &[
    get(&["api", "candles", SYMBOL], Lane::Candles),
    get(&["api", "vwap", SYMBOL], Lane::Vwap),
    get(&["api", "quote", SYMBOL], Lane::Quotes),
    get(&["api", "watchlist"], Lane::Watchlist),
    get(&["api", "health"], Lane::Instant),
    get(&["api", "signals"], Lane::Lists),
    get(&["api", "positions"], Lane::Lists),
    get(&["api", "runners"], Lane::Files),
    get(&["api", "trade-history"], Lane::Files),
    get(&["api", "vwap"], Lane::Vwap),
    get(&["api", "streaming", "status"], Lane::Instant),
    get(&["api", "streaming", "health"], Lane::Feed),
    get(&["api", "streaming", "rotation"], Lane::Feed),
    get(&["api", "volume-spikes", "active"], Lane::Instant),
    get(&["api", "validate", "status"], Lane::ModelStatus),
    post(&["api", "validate", SYMBOL], Lane::Validation),
    get(&["api", "threads"], Lane::Instant),
    get(&["api", "threads", "dump"], Lane::Dump),
    get(&["api", "stalls"], Lane::Reports),
    get(&["api", "stalls", "{name}"], Lane::Reports),
    post(&["api", "drill"], Lane::Dump),
    post(&["api", "shutdown"], Lane::Instant),
    get(&["api", "ws", "quotes"], Lane::Instant),
    get(&["metrics"], Lane::Instant),
];

/// The route of a path.
#[must_use]
pub fn find(segments: &[&str]) -> Option<&'static Row> {
    ROUTES.iter().find(|row| row.is_of(segments))
}
