//! Which route a request means. Pure.
//!
//! `cargo bench --bench cores`: a poll of candles in 0.21 µs.

use crate::runtime::{DRILL_MAX, Drill};
use std::time::Duration;

use crate::market::{BadSymbol, Symbol, Timeframe, UnknownTimeframe};

use super::bulkhead::Lane;
use super::table::{self, GET, LANE_PING_PATH, POST};
use crate::edge::answer::page::{self, Asset};
use crate::edge::request::path::{query_value, segments};

/// Every route, with what its path and query say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `GET /api/health`
    Health,
    /// `GET /api/threads`
    Threads,
    /// `GET /api/threads/dump?format=text|json|folded`
    Dump(Form),
    /// `GET /api/stalls`
    Stalls,
    /// `GET /api/stalls/{name}?format=json|text|folded`
    Stall(String, Form),
    /// `POST /api/drill?stall=THREAD&how=HOW&for=20s`
    Drill {
        /// The thread's name.
        thread: String,
        /// The stall.
        drill: Drill,
    },
    /// `GET` of `/`, `/threads` or a file that they name
    Page(&'static Asset),
    /// `GET /metrics`
    Metrics,
    /// `GET /api/candles/{symbol}?timeframe=1m`
    Candles(Symbol, Timeframe),
    /// `GET /api/quote/{symbol}`
    Quote(Symbol),
    /// `GET /api/watchlist`
    Watchlist,
    /// `GET /api/runners`
    Runners,
    /// `GET /api/trade-history?since=1000&limit=100`
    TradeHistory(Trades),
    /// `GET /api/vwap/{symbol}`
    Vwap(Symbol),
    /// `GET /api/vwap`
    VwapAll,
    /// `GET /api/ws/quotes` without a handshake: the gate serves those with one.
    QuoteStream,
    /// `GET /api/streaming/status`
    StreamStatus,
    /// `GET /api/streaming/health`
    StreamHealth,
    /// `GET /api/streaming/rotation`
    Rotation,
    /// `GET /api/signals`
    Signals,
    /// `GET /api/positions`
    Positions,
    /// `GET /api/volume-spikes/active`
    VolumeSpikes,
    /// `POST /api/validate/{symbol}`
    Validate(Symbol),
    /// `GET /api/validate/status`
    ValidateStatus,
    /// `POST /api/shutdown`
    Shutdown,
    /// `GET` of the path that the gate tries its own connections with.
    LanePing,
    /// `OPTIONS` of any of these.
    Options {
        /// The methods that the route takes.
        allow: &'static str,
    },
}

/// Which trades of the history are wanted; all by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trades {
    /// Those after the first so many: what a client has already.
    pub since: usize,
    /// The last so many of them.
    pub limit: Option<usize>,
}

/// A form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// For flame-graph tools.
    Folded,
}

impl Form {
    /// `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text | Self::Folded => "text/plain; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
        }
    }
}

/// Why a request means none of them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// 404
    #[error("There is no route {path}; the routes are listed in the README, /api/health is one")]
    Unknown {
        /// What was asked for, cut.
        path: String,
    },
    /// 405
    #[error("{method} is not a method of {path}; use {allow}")]
    Method {
        /// What was used.
        method: String,
        /// On which path, cut.
        path: String,
        /// What the route takes.
        allow: &'static str,
    },
    /// 400
    #[error(transparent)]
    Symbol(#[from] BadSymbol),
    /// 400
    #[error(transparent)]
    Timeframe(#[from] UnknownTimeframe),
    /// 400
    #[error("{0}")]
    Query(String),
    /// 400
    #[error("The path has a broken %-escape; write a slash in a symbol as / or %2F")]
    Escape,
}

/// How much of a path is repeated in an error.
const ECHO_CHARS_MAX: usize = 80;

/// Finds the route of a request.
///
/// # Errors
/// The status and sentence that the client gets.
pub fn route(method: &str, path: &str, query: &str) -> Result<Route, RouteError> {
    let is_whole_server = path == "*" && method == "OPTIONS";
    let of_path = if is_whole_server { "/" } else { path };
    let segments = segments(of_path).ok_or(RouteError::Escape)?;
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    let allow = if is_whole_server {
        table::ANY
    } else if path == LANE_PING_PATH || page::find(path).is_some() {
        GET
    } else {
        let unknown = || RouteError::Unknown { path: echo(path) };
        table::find(&segments).ok_or_else(unknown)?.allow
    };
    match method {
        "OPTIONS" => return Ok(Route::Options { allow }),
        "GET" | "HEAD" if allow == GET => {}
        "POST" if allow == POST => {}
        _ => {
            return Err(RouteError::Method {
                method: method.chars().take(16).collect(),
                path: echo(path),
                allow,
            });
        }
    }
    if let Some(asset) = page::find(path) {
        return Ok(Route::Page(asset));
    }
    Ok(match segments.as_slice() {
        ["metrics"] => Route::Metrics,
        _ if path == LANE_PING_PATH => Route::LanePing,
        ["api", "health"] => Route::Health,
        ["api", "threads"] => Route::Threads,
        ["api", "threads", "dump"] => Route::Dump(form(query, Form::Text)?),
        ["api", "stalls"] => Route::Stalls,
        ["api", "stalls", name] => Route::Stall((*name).to_owned(), form(query, Form::Json)?),
        ["api", "drill"] => drill(query)?,
        ["api", "candles", symbol @ ..] => {
            let symbol = whole(symbol)?;
            let timeframe =
                query_value(query, "timeframe").map_or(Ok(Timeframe::default()), |t| t.parse())?;
            Route::Candles(symbol, timeframe)
        }
        ["api", "quote", symbol @ ..] => Route::Quote(whole(symbol)?),
        ["api", "watchlist"] => Route::Watchlist,
        ["api", "runners"] => Route::Runners,
        ["api", "trade-history"] => Route::TradeHistory(Trades {
            since: count(query, "since")?.unwrap_or(0),
            limit: count(query, "limit")?,
        }),
        ["api", "vwap"] => Route::VwapAll,
        ["api", "vwap", symbol @ ..] => Route::Vwap(whole(symbol)?),
        ["api", "ws", "quotes"] => Route::QuoteStream,
        ["api", "streaming", "status"] => Route::StreamStatus,
        ["api", "streaming", "health"] => Route::StreamHealth,
        ["api", "streaming", "rotation"] => Route::Rotation,
        ["api", "signals"] => Route::Signals,
        ["api", "positions"] => Route::Positions,
        ["api", "volume-spikes", "active"] => Route::VolumeSpikes,
        ["api", "validate", "status"] => Route::ValidateStatus,
        ["api", "validate", symbol @ ..] => Route::Validate(whole(symbol)?),
        ["api", "shutdown"] => Route::Shutdown,
        _ => {
            return Err(RouteError::Unknown { path: echo(path) });
        }
    })
}

/// Which lane a request takes through the gate: the kind of work that it may have to wait for. A
/// request that is refused anyway waits for nothing.
#[must_use]
pub fn lane_of(method: &str, path: &str) -> Lane {
    let Some(segments) = segments(path).filter(|_| method != "OPTIONS") else {
        return Lane::Instant;
    };
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    table::find(&segments).map_or(Lane::Instant, |row| row.lane)
}

/// Whether a request may be handed to a second worker while the first is silent: nothing happens twice.
#[must_use]
pub fn may_repeat(method: &str, path: &str) -> bool {
    match method {
        "GET" | "HEAD" | "OPTIONS" => true,
        // The end is told once, however often; verdicts of one symbol are made once for all who ask.
        _ => path == "/api/shutdown" || path.starts_with("/api/validate/"),
    }
}

/// A symbol, whose slash may have been a segment's end: `BRK/B` is two segments, `/ES` an empty one and
/// another.
fn whole(segments: &[&str]) -> Result<Symbol, BadSymbol> {
    segments.join("/").parse()
}

/// A whole number from the query.
fn count(query: &str, name: &str) -> Result<Option<usize>, RouteError> {
    let Some(text) = query_value(query, name) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        let text: String = text.chars().take(24).collect();
        RouteError::Query(format!("{name}={text}: write a whole number of trades"))
    })
}

fn form(query: &str, otherwise: Form) -> Result<Form, RouteError> {
    match query_value(query, "format").as_deref() {
        None => Ok(otherwise),
        Some("text") => Ok(Form::Text),
        Some("json") => Ok(Form::Json),
        Some("folded") => Ok(Form::Folded),
        Some(other) => Err(RouteError::Query(format!(
            "{other:?} is no format; use text, json or folded"
        ))),
    }
}

fn drill(query: &str) -> Result<Route, RouteError> {
    let value = |name: &str| {
        query_value(query, name).ok_or_else(|| {
            RouteError::Query(format!(
                "{name} is missing; use /api/drill?stall=candle-cache&how=mutex&for=20s"
            ))
        })
    };
    let time = value("for")?;
    let time = time
        .strip_suffix('s')
        .and_then(|s| s.parse().ok())
        .map(Duration::from_secs)
        .filter(|t| *t <= DRILL_MAX)
        .ok_or_else(|| {
            RouteError::Query(format!(
                "for={time}: write whole seconds, at most {}s",
                DRILL_MAX.as_secs()
            ))
        })?;
    Ok(Route::Drill {
        thread: value("stall")?.to_string(),
        drill: Drill {
            how: value("how")?.parse().map_err(RouteError::Query)?,
            time,
        },
    })
}

fn echo(path: &str) -> String {
    path.chars().take(ECHO_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn symbol(s: &str) -> Symbol {
        s.parse().unwrap()
    }

    #[test]
    fn every_route_of_the_contract_is_found() {
        let cases = [
            ("GET", "/api/health", Route::Health),
            ("HEAD", "/api/health", Route::Health),
            ("GET", "/api/threads", Route::Threads),
            ("GET", "/api/stalls", Route::Stalls),
            ("GET", "/api/stalls/1", Route::Stall("1".into(), Form::Json)),
            ("GET", "/", Route::Page(page::find("/").unwrap())),
            ("GET", "/metrics", Route::Metrics),
            (
                "GET",
                "/api/candles/toyo",
                Route::Candles(symbol("TOYO"), Timeframe::M1),
            ),
            ("GET", "/api/quote/BRK%2fB", Route::Quote(symbol("BRK/B"))),
            ("GET", "/api/watchlist", Route::Watchlist),
            ("GET", "/api/runners", Route::Runners),
            (
                "GET",
                "/api/trade-history",
                Route::TradeHistory(Trades::default()),
            ),
            ("GET", "/api/vwap/elpw", Route::Vwap(symbol("ELPW"))),
            ("GET", "/api/vwap", Route::VwapAll),
            ("GET", "/api/streaming/status", Route::StreamStatus),
            ("GET", "/api/streaming/health", Route::StreamHealth),
            ("GET", "/api/streaming/rotation", Route::Rotation),
            ("GET", "/api/signals", Route::Signals),
            ("GET", "/api/positions", Route::Positions),
            ("GET", "/api/volume-spikes/active", Route::VolumeSpikes),
            (
                "POST",
                "/api/validate/TOYO",
                Route::Validate(symbol("TOYO")),
            ),
            ("GET", "/api/validate/status", Route::ValidateStatus),
            ("POST", "/api/shutdown", Route::Shutdown),
        ];
        for (method, path, want) in cases {
            assert_eq!(route(method, path, "").unwrap(), want, "{method} {path}");
        }
    }

    #[test]
    fn every_row_of_the_table_is_a_route() {
        for row in table::ROUTES {
            let path = row
                .template()
                .replace("{symbol}", "A")
                .replace("{name}", "1");
            let query = "stall=main&how=sleep&for=1s";
            assert!(route(row.method(), &path, query).is_ok(), "{path}");
            let other = if row.allow == GET { "POST" } else { "GET" };
            let wrong = route(other, &path, query);
            assert!(matches!(wrong, Err(RouteError::Method { .. })), "{path}");
        }
    }

    #[test]
    fn a_symbol_is_the_same_on_every_route_however_its_path_is_escaped() {
        for (paths, want) in [
            (
                &["BRK/B", "BRK%2FB", "brk%2fb", "BRK/B/", "%20BRK/B%20"][..],
                "BRK/B",
            ),
            (&["/ES", "%2FES", "%2fes"], "/ES"),
            (
                &["./ADUF23C0.55", ".%2FADUF23C0.55", "%2E%2FADUF23C0.55"],
                "./ADUF23C0.55",
            ),
            (&["AUD/CAD"], "AUD/CAD"),
            (&["XYZ/WS/A", "XYZ%2FWS/A"], "XYZ/WS/A"),
            (
                &["AMZN%20%20230317C01360000", "AMZN++230317C01360000"],
                "AMZN  230317C01360000",
            ),
        ] {
            for path in paths {
                let at = |method, route_name: &str| {
                    let path = format!("/api/{route_name}/{path}");
                    assert_ne!(lane_of(method, &path), Lane::Instant, "{path}");
                    route(method, &path, "").unwrap()
                };
                let m1 = Timeframe::M1;
                assert_eq!(at("GET", "candles"), Route::Candles(symbol(want), m1));
                assert_eq!(at("GET", "quote"), Route::Quote(symbol(want)));
                assert_eq!(at("GET", "vwap"), Route::Vwap(symbol(want)));
                assert_eq!(at("POST", "validate"), Route::Validate(symbol(want)));
            }
        }
        for bad in ["A%20B", "A//B", "../x", "BRK%252FB", "ACAQ+", "%20"] {
            let e = route("GET", &format!("/api/quote/{bad}"), "").unwrap_err();
            assert!(matches!(e, RouteError::Symbol(_)), "{bad}: {e}");
        }
        for none in ["/api/candles", "/api/quote/", "/api/candles//"] {
            let e = route("GET", none, "").unwrap_err();
            assert!(matches!(e, RouteError::Unknown { .. }), "{none}: {e}");
        }
    }

    #[test]
    fn a_timeframe_is_read_from_the_query_and_checked() {
        let got = route("GET", "/api/candles/A", "x=1&timeframe=15m").unwrap();
        assert_eq!(got, Route::Candles(symbol("A"), Timeframe::M15));
        let e = route("GET", "/api/candles/A", "timeframe=2m").unwrap_err();
        assert!(e.to_string().contains("1m, 5m, 15m, D"), "{e}");
    }

    #[test]
    fn trades_are_cut_by_whole_numbers() {
        let got = route("GET", "/api/trade-history", "since=7&limit=2").unwrap();
        let (since, limit) = (7, Some(2));
        assert_eq!(got, Route::TradeHistory(Trades { since, limit }));
        for bad in ["since=-1", "limit=x", "limit="] {
            assert!(route("GET", "/api/trade-history", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_wrong_method_is_told_the_right_ones() {
        let e = route("DELETE", "/api/health", "").unwrap_err();
        assert!(matches!(e, RouteError::Method { allow: GET, .. }));
        let e = route("GET", "/api/shutdown", "").unwrap_err();
        assert!(matches!(e, RouteError::Method { allow: POST, .. }));
    }

    #[test]
    fn each_kind_of_work_has_its_own_lane() {
        assert_eq!(lane_of("GET", "/api/health"), Lane::Instant);
        assert_eq!(lane_of("GET", "/api/streaming/status"), Lane::Instant);
        assert_eq!(lane_of("GET", "/api/streaming/health/"), Lane::Feed);
        assert_eq!(lane_of("GET", "/api/candles/BRK%2FB"), Lane::Candles);
        assert_eq!(lane_of("GET", "/api/quote/X"), Lane::Quotes);
        assert_eq!(lane_of("POST", "/api/validate/X"), Lane::Validation);
        assert_eq!(lane_of("GET", "/api/validate/status"), Lane::ModelStatus);
        assert_eq!(lane_of("GET", "/api/threads"), Lane::Instant);
        assert_eq!(lane_of("GET", "/api/threads/dump"), Lane::Dump);
        assert_eq!(lane_of("GET", "/api/stalls/1"), Lane::Reports);
        assert_eq!(lane_of("OPTIONS", "/api/candles/X"), Lane::Instant);
    }

    proptest! {
        #[test]
        fn nothing_panics(method in "[A-Z]{0,8}", path in "/?[ -~é]{0,60}", query in ".{0,40}") {
            let _ = route(&method, &path, &query);
            let _ = lane_of(&method, &path);
        }
    }
}
