//! The wire contract while all is well: the shape of each answer, and what is answered before any upstream is
//! asked: bad input, methods, preflights, origins.

use crate::kit::{Got, Server, Upstreams};
use serde_json::json;

/// A page of an origin that is allowed.
const PAGE: (&str, &str) = ("Origin", "http://localhost:3000");

/// The origin whose scripts may read an answer.
fn readable_by(got: &Got) -> Option<&str> {
    got.header("access-control-allow-origin")
}

#[test]
fn candles_have_their_six_fields_in_order_of_time_and_one_minute_is_the_default() {
    let up = Upstreams::start();
    let server = up.server(&[]);
    let candles = server.get("/api/candles/toyo?timeframe=1m").json();
    let first = candles[0].as_object().unwrap();
    let fields: Vec<&str> = first.keys().map(String::as_str).collect();
    assert_eq!(
        fields,
        ["timestamp", "open", "high", "low", "close", "volume"]
    );
    let list = candles.as_array().unwrap().iter();
    let times: Vec<i64> = list.map(|c| c["timestamp"].as_i64().unwrap()).collect();
    assert!(times.is_sorted() && !times.is_empty(), "{times:?}");
    assert_eq!(server.get("/api/candles/TOYO").json(), candles);
}

#[test]
fn a_symbol_with_a_slash_is_one_segment_of_the_path_here_and_at_the_trader_app() {
    let up = Upstreams::start();
    let server = up.server(&[]);
    assert_eq!(server.get("/api/quote/brk%2fb").json()["lastPrice"], 2.5);
    let vwap = server.get("/api/vwap/BRK%2FB").json();
    assert_eq!(vwap["symbol"], "BRK%2FB", "as it stood in the path");
}

#[test]
fn what_the_trader_app_says_is_passed_on_as_it_is() {
    let up = Upstreams::start();
    let server = up.server(&[]);
    for (path, want) in [
        (
            "/api/watchlist",
            json!([{"symbol": "TOYO", "gap_percent": 40.5, "odd": {"kept": 1}}, {"symbol": "ELPW"}]),
        ),
        (
            "/api/vwap",
            json!({"TOYO": {"symbol": "TOYO", "vwap": 2.4, "source": "stream"}}),
        ),
        (
            "/api/signals",
            json!([{"symbol": "TOYO", "pattern": "vwap_bounce"}]),
        ),
        ("/api/positions", json!([{"symbol": "TOYO", "shares": 100}])),
    ] {
        assert_eq!(server.get(path).json(), want, "{path}");
    }
    let health = server.get("/api/streaming/health").json();
    assert_eq!(health["stats"]["quotes"], 7, "{health}");
    let rotation = server.get("/api/streaming/rotation").json();
    assert_eq!(rotation["priority_symbols"][0]["symbol"], "TOYO");
}

#[test]
fn the_streams_status_names_its_source_and_counts() {
    let up = Upstreams::start();
    let server = up.server(&[]);
    let status = server.eventually("/api/streaming/status", |g| g.json()["connected"] == true);
    assert_eq!(status["trader_url"], up.trader.http.fake.url());
    assert!(status["symbols"].is_array(), "{status}");
    for count in ["quotes_relayed", "uptime_seconds"] {
        assert!(status[count].is_u64(), "{count} in {status}");
    }
    let spikes = server.get("/api/volume-spikes/active").json();
    assert_eq!(spikes, json!({"spikes": {}}));
}

#[test]
fn runners_and_the_trade_history_are_what_stands_in_their_files() {
    let up = Upstreams::start();
    let server = up.server(&[]);
    let runners = server.eventually("/api/runners", |g| g.status == 200);
    assert_eq!(runners["version"], 1);
    let history = server.eventually("/api/trade-history", |g| g.status == 200);
    assert_eq!(history, json!([{"n": 1}, {"n": 2}]));
}

#[test]
fn a_verdict_is_for_a_symbol_of_the_watchlist_and_kept_for_a_while() {
    let up = Upstreams::start();
    let server = up.server(&[]);
    let status = server.get("/api/validate/status").json();
    assert_eq!(status, json!({"available": true, "cache_ttl_seconds": 60}));
    let validate = |symbol: &str| server.ask("POST", &format!("/api/validate/{symbol}"));
    let verdict = validate("toyo").json();
    assert_eq!(
        (&verdict["signal"], &verdict["symbol"], &verdict["cached"]),
        (&json!("buy"), &json!("TOYO"), &json!(false))
    );
    assert_eq!(validate("TOYO").json()["cached"], true);
    assert_eq!(validate("AAAA").status, 400, "not of the watchlist");
}

#[test]
fn the_provider_is_asked_with_the_token_and_for_minutes_of_all_hours() {
    let up = Upstreams::start();
    let server = up.server(&[]);
    for path in ["/api/candles/TOYO", "/api/quote/TOYO"] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    let asked = up.schwab.0.fake.asked();
    assert!(asked.len() >= 2, "{asked:?}");
    for call in &asked {
        let token = call.header("authorization");
        assert_eq!(token, Some("Bearer first-token"), "{}", call.target);
    }
    let mut targets = asked.iter().map(|call| &call.target);
    let minutes = targets.find(|target| target.starts_with("/pricehistory"));
    let target = minutes.unwrap();
    for part in [
        "symbol=TOYO",
        "frequencyType=minute",
        "frequency=1",
        "startDate=",
        "endDate=",
        "needExtendedHoursData=true",
    ] {
        assert!(target.contains(part), "{part} in {target}");
    }
}

#[test]
fn bad_input_is_refused_with_a_reason_before_any_upstream_is_asked() {
    let up = Upstreams::start();
    let server = up.server(&[]);
    for path in [
        "/api/candles/TOYO?timeframe=2m",
        "/api/candles/TOO%20LONG%20A%20SYMBOL",
        "/api/quote/A%00B",
        "/api/candles/ABCDEFGHIJKLMNOPQRSTUVWXY",
        "/api/vwap/%FF",
        "/api/quote/..%2F..%2Fetc",
    ] {
        let got = server.get(path);
        assert!(matches!(got.status, 400 | 404), "{path} {}", got.status);
        assert!(!got.detail().is_empty(), "{path}");
    }
    let asked = up.schwab.0.fake.asked().len() + up.trader.http.count("/api/vwap");
    assert_eq!(asked, 0, "bad input reached an upstream");
}

#[test]
fn a_method_that_a_route_does_not_have_is_told_those_that_it_has() {
    let server = Server::start(&[]);
    let wrong = server.ask("DELETE", "/api/health");
    assert_eq!(
        (wrong.status, wrong.header("allow")),
        (405, Some("GET, HEAD, OPTIONS"))
    );
    assert!(!wrong.detail().is_empty());
}

#[test]
fn an_unknown_path_is_404_and_named() {
    let server = Server::start(&[]);
    let got = server.get("/api/nope");
    assert_eq!(got.status, 404);
    assert!(got.detail().contains("/api/nope"), "{}", got.detail());
}

#[test]
fn a_head_has_the_length_of_the_answer_and_no_body() {
    let up = Upstreams::start();
    let server = up.server(&[]);
    let whole = server.get("/api/watchlist");
    let head = server.ask("HEAD", "/api/watchlist");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(
        head.header("content-length"),
        whole.header("content-length")
    );
}

#[test]
fn an_allowed_page_may_read_answers_and_errors() {
    let server = Server::start(&["--set", "http.origins=localhost"]);
    for (path, status) in [("/api/health", 200), ("/api/nope", 404)] {
        let got = server.ask_with("GET", path, &[PAGE]);
        assert_eq!(got.status, status, "{path}");
        assert_eq!(readable_by(&got), Some(PAGE.1), "{path}");
    }
}

#[test]
fn a_preflight_of_an_allowed_page_is_told_the_methods_of_the_route() {
    let server = Server::start(&["--set", "http.origins=localhost"]);
    let asking = [PAGE, ("Access-Control-Request-Method", "POST")];
    let may = server.ask_with("OPTIONS", "/api/validate/TOYO", &asking);
    assert_eq!(may.status, 204);
    let methods = may.header("access-control-allow-methods").unwrap();
    assert!(methods.contains("POST"), "{methods}");
}

#[test]
fn options_that_are_no_preflight_are_told_the_methods_as_allow_alone() {
    let server = Server::start(&["--set", "http.origins=localhost"]);
    for (headers, why) in [(&[][..], "nobody's page"), (&[PAGE], "no method to come")] {
        let plain = server.ask_with("OPTIONS", "/api/validate/TOYO", headers);
        assert_eq!(plain.header("allow"), Some("POST, OPTIONS"), "{why}");
        assert_eq!(plain.header("access-control-allow-methods"), None, "{why}");
        assert_eq!(plain.header("content-length"), None, "a 204 has none");
    }
}

#[test]
fn a_foreign_page_may_read_nothing_and_its_origin_is_told_in_the_log() {
    let server = Server::start(&["--set", "http.origins=localhost"]);
    for origin in ["https://evil.example", "null"] {
        let refused = server.ask_with("GET", "/api/health", &[("Origin", origin)]);
        assert_eq!(readable_by(&refused), None, "{origin}");
    }
    server.log_has("backend.log", "null");
}
