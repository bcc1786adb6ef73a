//! The wire contract, route by route, against upstreams over real sockets: well, and with every fault.

mod kit;

use std::time::Duration;

use kit::upstream::{BROKEN, now_ms};
use kit::{Fault, Server, Upstreams, eventually};
use serde_json::{Value, json};

const FAST: &[&str] = &[
    "schwab.deadline=1s",
    "schwab.failure_hold=1ms",
    "trader.failure_hold=1ms",
    "trader.deadline=1s",
];

/// The settings of `FAST` and more.
fn fast<'a>(more: &[&'a str]) -> Vec<&'a str> {
    FAST.iter().chain(more).copied().collect()
}

#[test]
fn with_good_upstreams_every_route_answers_in_its_shape() {
    let up = Upstreams::start();
    let server = up.server(&[]);
    let candles = server.get("/api/candles/toyo?timeframe=1m").json();
    let first = candles[0].as_object().unwrap();
    let fields: Vec<&str> = first.keys().map(String::as_str).collect();
    assert_eq!(
        fields,
        ["timestamp", "open", "high", "low", "close", "volume"]
    );
    let times: Vec<i64> = candles
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["timestamp"].as_i64().unwrap())
        .collect();
    assert!(times.is_sorted() && !times.is_empty());
    assert_eq!(
        server.get("/api/candles/TOYO").json(),
        candles,
        "1m is the default"
    );
    assert_eq!(server.get("/api/quote/brk%2fb").json()["lastPrice"], 2.5);
    assert_eq!(
        server.get("/api/watchlist").json(),
        json!([{"symbol": "TOYO", "gap_percent": 40.5, "odd": {"kept": 1}}, {"symbol": "ELPW"}])
    );
    assert_eq!(
        server.get("/api/vwap/BRK%2FB").json()["symbol"],
        "BRK%2FB",
        "passed on as one segment"
    );
    assert_eq!(
        server.get("/api/vwap").json(),
        json!({"TOYO": {"vwap": 2.4}})
    );
    assert_eq!(
        server.get("/api/streaming/health").json()["stats"]["quotes"],
        7
    );
    assert_eq!(
        server.get("/api/streaming/rotation").json()["priority_symbols"],
        json!(["TOYO"])
    );
    assert_eq!(server.get("/api/signals").json()[0]["kind"], "gap");
    assert_eq!(server.get("/api/positions").json()[0]["shares"], 100);
    let status = server.eventually("/api/streaming/status", |g| g.json()["connected"] == true);
    assert_eq!(status["trader_url"], up.trader.http.fake.url());
    assert!(
        status["symbols"].is_array()
            && status["quotes_relayed"].is_u64()
            && status["uptime_seconds"].is_u64()
    );
    assert_eq!(
        server.get("/api/volume-spikes/active").json(),
        json!({"spikes": {}})
    );
    assert_eq!(
        server.eventually("/api/runners", |g| g.status == 200)["version"],
        1
    );
    assert_eq!(
        server.eventually("/api/trade-history", |g| g.status == 200),
        json!([{"n": 1}, {"n": 2}])
    );
    assert_eq!(
        server.get("/api/validate/status").json(),
        json!({"available": true, "cache_ttl_seconds": 60})
    );
    let verdict = server.ask("POST", "/api/validate/toyo").json();
    assert_eq!(
        (&verdict["signal"], &verdict["symbol"], &verdict["cached"]),
        (&json!("buy"), &json!("TOYO"), &json!(false))
    );
    assert_eq!(
        server.ask("POST", "/api/validate/TOYO").json()["cached"],
        true
    );
    assert_eq!(server.ask("POST", "/api/validate/AAAA").status, 400);
    let asked = up.schwab.0.fake.asked();
    assert!(
        asked
            .iter()
            .all(|a| a.header("authorization") == Some("Bearer first-token"))
    );
    let minute = asked
        .iter()
        .find(|a| a.target.starts_with("/pricehistory"))
        .unwrap();
    for part in [
        "symbol=TOYO",
        "frequencyType=minute",
        "frequency=1",
        "startDate=",
        "endDate=",
        "needExtendedHoursData=true",
    ] {
        assert!(minute.target.contains(part), "{part} in {}", minute.target);
    }
}

#[test]
fn methods_origins_and_bad_input_are_answered_before_any_upstream_is_asked() {
    let up = Upstreams::start();
    let server = up.server(&["http.origins=localhost"]);
    for path in [
        "/api/candles/TOYO?timeframe=2m",
        "/api/candles/TOO%20LONG%20A%20SYMBOL",
        "/api/quote/A%00B",
        "/api/candles/ABCDEFGHIJKLMNOPQ",
        "/api/vwap/%FF",
        "/api/quote/..%2F..%2Fetc",
    ] {
        let got = server.get(path);
        assert!(
            got.status == 400 || got.status == 404,
            "{path} {}",
            got.status
        );
        assert!(!got.detail().is_empty());
    }
    let asked = up.schwab.0.fake.asked().len() + up.trader.http.count("/api/vwap");
    assert_eq!(asked, 0, "bad input reached an upstream");
    let wrong = server.ask("DELETE", "/api/health");
    assert_eq!(
        (wrong.status, wrong.header("allow")),
        (405, Some("GET, HEAD, OPTIONS"))
    );
    assert!(!wrong.detail().is_empty());
    assert_eq!(server.get("/api/nope").status, 404);
    assert!(server.get("/api/nope").detail().contains("/api/nope"));
    let whole = server.get("/api/watchlist");
    let head = server.ask("HEAD", "/api/watchlist");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(
        head.header("content-length"),
        whole.header("content-length")
    );
    let page = [("Origin", "http://localhost:3000")];
    let allowed = server.ask_with("GET", "/api/health", &page);
    assert_eq!(
        allowed.header("access-control-allow-origin"),
        Some("http://localhost:3000")
    );
    let failed = server.ask_with("GET", "/api/nope", &page);
    assert_eq!(
        failed.header("access-control-allow-origin"),
        Some("http://localhost:3000"),
        "errors too"
    );
    let preflight = server.ask_with(
        "OPTIONS",
        "/api/validate/TOYO",
        &[page[0], ("Access-Control-Request-Method", "POST")],
    );
    assert_eq!(preflight.status, 204);
    assert!(
        preflight
            .header("access-control-allow-methods")
            .unwrap()
            .contains("POST")
    );
    for origin in ["https://evil.example", "null"] {
        let refused = server.ask_with("GET", "/api/health", &[("Origin", origin)]);
        assert_eq!(
            refused.header("access-control-allow-origin"),
            None,
            "{origin}"
        );
    }
    server.log_has("backend.log", "null");
}

/// What every trader route answers when the trader app gives nothing, with these words for the cause.
fn trader_routes_are_degraded(server: &Server, source: &str, error: &str) {
    let watchlist = server.get("/api/watchlist");
    assert_eq!(watchlist.status, 503);
    assert!(
        watchlist.detail().contains("trader app"),
        "{}",
        watchlist.detail()
    );
    assert_eq!(
        server.get("/api/vwap/TOYO").json(),
        json!({"symbol": "TOYO", "vwap": null, "source": source})
    );
    assert_eq!(server.get("/api/vwap").json(), json!({}));
    assert_eq!(
        server.get("/api/streaming/health").json(),
        json!({"connected": false, "error": error})
    );
    assert_eq!(
        server.get("/api/streaming/rotation").json(),
        json!({"enabled": false, "error": error})
    );
    assert_eq!(server.get("/api/signals").json(), json!([]));
    assert_eq!(server.get("/api/positions").json(), json!([]));
}

/// What depends on nothing that an upstream says.
fn own_routes_are_well(server: &Server) {
    for path in [
        "/api/health",
        "/api/streaming/status",
        "/api/volume-spikes/active",
        "/api/trade-history",
        "/api/runners",
        "/api/threads",
    ] {
        server.eventually(path, |got| got.status == 200);
    }
}

#[test]
fn broken_answers_of_the_upstreams_are_told_as_what_they_are_and_end_with_the_fault() {
    for fault in BROKEN {
        let up = Upstreams::start();
        up.fault(&fault);
        let server = up.server(&fast(&[
            "schwab.breaker_failures=100",
            "trader.breaker_failures=100",
        ]));
        for path in ["/api/candles/TOYO", "/api/quote/TOYO"] {
            let got = server.get(path);
            assert_eq!(got.status, 502, "{fault:?} {path} {}", got.text());
            assert!(
                got.detail().contains("Schwab market data"),
                "{}",
                got.detail()
            );
        }
        let unreachable = matches!(fault, Fault::Drop | Fault::Truncated);
        let words = if unreachable {
            ("unavailable", "trader_app_unavailable")
        } else {
            ("error", "fetch_error")
        };
        trader_routes_are_degraded(&server, words.0, words.1);
        assert_eq!(
            server.get("/api/validate/status").json()["available"],
            matches!(fault, Fault::Html | Fault::HalfJson),
            "{fault:?}: any 200 says that it is there"
        );
        own_routes_are_well(&server);
        up.heal();
        server.eventually("/api/candles/TOYO", |got| got.status == 200);
        server.eventually("/api/watchlist", |got| got.status == 200);
        server.eventually("/api/vwap/TOYO", |got| got.json()["vwap"] == 2.4);
    }
}

#[test]
fn silent_dripping_and_endless_upstreams_are_told_as_too_slow() {
    for fault in [Fault::Hang, Fault::Drip, Fault::Huge] {
        let up = Upstreams::start();
        up.fault(&fault);
        let server = up.server(&fast(&[]));
        let got = server.get("/api/candles/TOYO");
        let expected = if fault == Fault::Huge { 502 } else { 504 };
        assert_eq!(got.status, expected, "{fault:?} {}", got.text());
        if fault == Fault::Huge {
            assert!(got.detail().contains("unusable"), "{}", got.detail());
            trader_routes_are_degraded(&server, "error", "fetch_error");
        } else {
            assert!(
                got.detail().contains("did not answer within"),
                "{}",
                got.detail()
            );
            trader_routes_are_degraded(&server, "timeout", "timeout");
        }
        own_routes_are_well(&server);
        up.heal();
        server.eventually("/api/watchlist", |got| got.status == 200);
    }
}

/// Status, header and body of the provider; status and words of ours.
type Case = (
    u16,
    Option<(&'static str, &'static str)>,
    &'static str,
    u16,
    &'static str,
);

#[test]
fn each_status_of_the_provider_is_told_as_its_own_cause() {
    let cases: [Case; 6] = [
        (401, None, "{}", 503, "token.json"),
        (403, None, "<html>Access Denied</html>", 502, "answered 403"),
        (404, None, "{}", 404, "No data for candles"),
        (429, Some(("Retry-After", "7")), "", 503, "answered 429"),
        (500, None, "boom", 502, "answered 500"),
        (
            503,
            None,
            r#"{"errors":[{"title":"Down for today"}]}"#,
            502,
            "Down for today",
        ),
    ];
    for (code, header, body, status, words) in cases {
        let up = Upstreams::start();
        up.schwab.0.fault("/", Fault::Status(code, header, body));
        up.trader
            .http
            .fault("/api/", Fault::Status(code, header, body));
        let server = up.server(&fast(&["schwab.backoff_min=1ms", "schwab.backoff_max=1ms"]));
        let got = server.get("/api/candles/TOYO");
        assert_eq!(got.status, status, "{code}: {}", got.text());
        assert!(got.detail().contains(words), "{code}: {}", got.detail());
        if code == 429 {
            assert!(got.header("retry-after").is_some(), "{}", got.head);
            assert_eq!(
                up.schwab.0.count("/pricehistory"),
                1,
                "it said to come back in 7 s"
            );
        }
        if code == 500 {
            assert_eq!(
                up.schwab.0.count("/pricehistory"),
                3,
                "tried again with backoff"
            );
        }
        if code == 404 {
            assert_eq!(server.get("/api/vwap/TOYO").json()["source"], "unavailable");
        } else {
            trader_routes_are_degraded(&server, "error", "trader_app_error");
        }
        own_routes_are_well(&server);
    }
}

#[test]
fn an_unknown_symbol_and_a_series_of_zeros_are_no_data() {
    let up = Upstreams::start();
    let server = up.server(&[]);
    for path in ["/api/candles/NOPE", "/api/quote/NOPE", "/api/candles/ZERO"] {
        let got = server.get(path);
        assert_eq!(got.status, 404, "{path} {}", got.text());
        assert!(got.detail().starts_with("No data for"), "{}", got.detail());
    }
}

#[test]
fn a_token_that_is_replaced_is_used_at_once_and_a_dead_one_is_named() {
    let up = Upstreams::start();
    let server = up.server(&fast(&["schwab.breaker_failures=100"]));
    assert_eq!(server.get("/api/quote/TOYO").status, 200);
    up.write_token("second-token");
    up.schwab
        .0
        .fault("/ELPW", Fault::Slow(Duration::from_millis(1)));
    assert_eq!(server.get("/api/quote/ELPW").status, 200);
    assert_eq!(
        up.schwab
            .0
            .fake
            .asked()
            .last()
            .unwrap()
            .header("authorization"),
        Some("Bearer second-token")
    );
    std::fs::remove_file(up.file("token.json")).unwrap();
    up.schwab.0.fault("/", Fault::Status(401, None, "{}"));
    let got = server.get("/api/quote/BBBB");
    assert_eq!(got.status, 503);
    assert!(got.detail().contains("token.json"), "{}", got.detail());
    for log in ["backend.log", "watchdog.log"] {
        assert!(!server.log(log).contains("-token\""), "{log}");
        assert!(!server.log(log).contains("second-token"), "{log}");
    }
}

#[test]
fn the_second_call_after_a_refused_token_counts_for_the_budget() {
    let up = Upstreams::start();
    let server = up.server(&["schwab.requests_per_minute=6"]);
    up.schwab.0.fault("/", Fault::Status(401, None, "{}"));
    let details: Vec<String> = ["AAAA", "BBBB", "CCCC", "DDDD"]
        .iter()
        .map(|symbol| server.get(&format!("/api/quote/{symbol}")).detail())
        .collect();
    assert!(details[2].contains("token.json"), "{details:?}");
    assert!(details[3].contains("budget of 6"), "{details:?}");
    assert_eq!(up.schwab.0.count("/"), 6);
}

#[test]
fn a_stale_answer_stands_in_for_an_error_and_says_so() {
    let up = Upstreams::start();
    let server = up.server(&fast(&[
        "schwab.fresh_candles=1ms",
        "schwab.stale_patience=500ms",
        "trader.fresh_watchlist=1ms",
        "trader.fresh_vwap=1ms",
    ]));
    let fresh = server.get("/api/candles/TOYO");
    assert_eq!((fresh.status, fresh.header("x-data-stale")), (200, None));
    assert_eq!(server.get("/api/watchlist").status, 200);
    assert_eq!(server.get("/api/vwap/TOYO").status, 200);
    for fault in [Fault::Hang, Fault::Drop] {
        up.fault(&fault);
        let stale = server.eventually("/api/candles/TOYO", |got| {
            assert_eq!(got.status, 200);
            got.header("x-data-stale")
                .is_some_and(|w| w.contains("Schwab market data"))
                && got.header("warning").is_some_and(|w| w.starts_with("110"))
                && got.header("age").is_some()
        });
        assert_eq!(stale, fresh.json());
        server.eventually("/api/watchlist", |got| {
            got.status == 200 && got.header("x-data-stale").is_some()
        });
        server.eventually("/api/vwap/TOYO", |got| got.json()["stale"] == true);
    }
}

#[test]
fn the_same_series_asked_for_many_times_at_once_is_fetched_once() {
    let up = Upstreams::start();
    up.schwab
        .0
        .fault("/", Fault::Slow(Duration::from_millis(600)));
    let server = up.server(&[]);
    let askers: Vec<_> = (0..40)
        .map(|_| {
            let address = server.address.clone();
            std::thread::spawn(move || kit::get(&address, "/api/candles/TOYO").status)
        })
        .collect();
    assert!(askers.into_iter().all(|a| a.join().unwrap() == 200));
    assert_eq!(up.schwab.0.count("/pricehistory"), 1);
}

#[test]
fn three_failures_open_the_breaker_and_one_good_answer_closes_it() {
    let up = Upstreams::start();
    up.schwab.0.fault("/", Fault::Drop);
    let server = up.server(&fast(&["schwab.breaker_open=2s", "schwab.attempts_max=1"]));
    for symbol in ["AAA", "BBB", "CCC"] {
        assert_eq!(server.get(&format!("/api/quote/{symbol}")).status, 502);
    }
    let before = up.schwab.0.count("/");
    let open = server.get("/api/quote/DDD");
    assert_eq!(open.status, 503);
    assert!(
        open.detail().contains("failed 3 times in a row"),
        "{}",
        open.detail()
    );
    assert!(open.header("retry-after").is_some());
    assert_eq!(
        up.schwab.0.count("/"),
        before,
        "an open breaker asks nobody"
    );
    up.schwab.0.heal();
    server.eventually("/api/quote/EEE", |got| got.status == 200);
    assert_eq!(server.get("/api/quote/FFF").status, 200);
}

#[test]
fn a_model_that_talks_nonsense_is_asked_three_times_and_then_replaced_by_wait() {
    let up = Upstreams::start();
    up.model.0.fault(
        "/api/generate",
        Fault::Status(200, None, r#"{"response":"I would rather not say"}"#),
    );
    let server = up.server(&[]);
    let verdict = server.ask("POST", "/api/validate/TOYO").json();
    assert_eq!(verdict["signal"], "wait");
    assert!(
        verdict["reasoning"][0]
            .as_str()
            .unwrap()
            .contains("no JSON object"),
        "{verdict}"
    );
    assert_eq!(up.model.0.count("/api/generate"), 3);
    up.model.0.fault("/api/generate", Fault::Hang);
    let hung = up.server(&["model.deadline=1s"]);
    let verdict = hung.ask("POST", "/api/validate/TOYO").json();
    assert!(
        verdict["signal"] == "wait"
            && verdict["reasoning"][0]
                .as_str()
                .unwrap()
                .contains("did not answer"),
        "{verdict}"
    );
    let prompt = &up
        .model
        .0
        .fake
        .asked()
        .iter()
        .find(|a| a.target == "/api/generate")
        .unwrap()
        .body
        .clone();
    let prompt: Value = serde_json::from_slice(prompt).unwrap();
    assert!(
        prompt["prompt"].as_str().unwrap().contains("gap_percent"),
        "the watchlist's entry is in the prompt"
    );
}

#[test]
fn a_broken_edit_of_the_runners_keeps_the_last_good_ones() {
    let up = Upstreams::start();
    let server = up.server(&[]);
    server.eventually("/api/runners", |got| got.json()["version"] == 1);
    std::fs::write(up.file("runners.json"), "{\"version\": 2, \"active_run").unwrap();
    server.log_has("backend.log", "runners.json");
    assert_eq!(server.get("/api/runners").json()["version"], 1);
    std::fs::write(
        up.file("runners.json"),
        r#"{"version":3,"active_runners":[]}"#,
    )
    .unwrap();
    server.eventually("/api/runners", |got| got.json()["version"] == 3);
}

#[test]
fn a_trade_history_that_grows_while_it_is_read_loses_and_repeats_nothing() {
    use std::io::Write;
    let up = Upstreams::start();
    let server = up.server(&[]);
    server.eventually("/api/trade-history", |got| {
        got.json() == json!([{"n": 1}, {"n": 2}])
    });
    let path = up.trades();
    let writer = std::thread::spawn(move || {
        let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
        for n in 3..=300 {
            // In two writes, so that a reader can meet half a line.
            let line = json!({"n": n, "at": now_ms()}).to_string() + "\n";
            let (a, b) = line.split_at(line.len() / 2);
            file.write_all(a.as_bytes()).unwrap();
            file.write_all(b.as_bytes()).unwrap();
            if n % 20 == 0 {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    });
    let whole = eventually("the whole history", || {
        let got = server.get("/api/trade-history");
        assert_eq!(got.status, 200);
        let list = got.json();
        let numbers: Vec<i64> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|t| t["n"].as_i64().unwrap())
            .collect();
        assert_eq!(numbers, (1..=numbers.len() as i64).collect::<Vec<_>>());
        (numbers.len() == 300).then_some(numbers)
    });
    writer.join().unwrap();
    assert_eq!(whole.len(), 300);
    std::fs::remove_file(up.trades()).unwrap();
    server.eventually("/api/trade-history", |got| got.json() == json!([]));
}
