//! The wire contract, route by route, against upstreams over real sockets with every fault; `wire.rs` has what
//! is answered while all is well.

use std::time::Duration;

use crate::kit::upstream::{BROKEN, now_ms};
use crate::kit::{self, Fault, Server, Upstreams, at_once, eventually};
use serde_json::{Value, json};

/// Failures are told soon: who has no older value waits for the next try until its deadline.
const FAST: &[&str] = &[
    "http.answer_deadline=1500ms",
    "schwab.deadline=1s",
    "schwab.failure_hold=100ms",
    "trader.failure_hold=1ms",
    "trader.deadline=1s",
];

/// The settings of `FAST` and more.
fn fast<'a>(more: &[&'a str]) -> Vec<&'a str> {
    FAST.iter().chain(more).copied().collect()
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
    at_once(BROKEN, |fault| {
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
            false,
            "{fault:?}: only its own name says that it is there"
        );
        own_routes_are_well(&server);
        up.heal();
        server.eventually("/api/candles/TOYO", |got| got.status == 200);
        server.eventually("/api/watchlist", |got| got.status == 200);
        server.eventually("/api/vwap/TOYO", |got| got.json()["vwap"] == 2.4);
    });
}

#[test]
fn silent_dripping_and_endless_upstreams_are_told_as_too_slow() {
    at_once([Fault::Hang, Fault::Drip, Fault::Huge], |fault| {
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
    });
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
    at_once(cases, |(code, header, body, status, words)| {
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
        if code >= 500 {
            let calls = up.schwab.0.count("/pricehistory");
            assert!(calls >= 3, "{calls}: tried again while somebody waits");
        }
        if code == 401 || code == 403 || code == 404 {
            let calls = up.schwab.0.count("/pricehistory");
            assert!(calls <= 2, "{calls}: it will not pass by itself");
        }
        if code == 404 {
            assert_eq!(server.get("/api/vwap/TOYO").json()["source"], "unavailable");
        } else {
            trader_routes_are_degraded(&server, "error", "trader_app_error");
        }
        own_routes_are_well(&server);
    });
}

#[test]
fn an_empty_series_is_told_from_a_symbol_that_nobody_knows() {
    let up = Upstreams::start();
    let server = up.server(&fast(&["schwab.nodata_hold=200ms"]));
    for path in ["/api/candles/NOPE", "/api/quote/NOPE"] {
        let got = server.get(path);
        assert_eq!(got.status, 404, "{path} {}", got.text());
        assert!(got.detail().starts_with("No data for"), "{}", got.detail());
    }
    for timeframe in ["1m", "15m", "D"] {
        for symbol in ["EMPTY", "ZERO"] {
            let path = format!("/api/candles/{symbol}?timeframe={timeframe}");
            let got = server.get(&path);
            assert_eq!((got.status, got.text()), (200, "[]".into()), "{path}");
        }
    }
    assert_eq!(up.schwab.quotes_of("EMPTY"), 1, "one look is enough");
    assert_eq!(up.schwab.quotes_of("ZERO"), 0, "it has placeholders");
    // A look that fails says neither.
    up.schwab
        .0
        .fault("/quotes?symbols=EMPTY2", Fault::Status(500, None, "{}"));
    let got = server.get("/api/candles/EMPTY2");
    assert_eq!(got.status, 502, "{}", got.text());
    assert!(
        got.detail().contains("whether it is known"),
        "{}",
        got.detail()
    );
    up.schwab.0.heal();
    server.eventually("/api/candles/EMPTY2", |got| got.text() == "[]");
}

#[test]
fn a_symbol_of_the_watchlist_and_one_that_is_heard_are_known_though_the_provider_knows_nothing() {
    let up = Upstreams::start();
    let server = up.server(&fast(&["trader.fresh_watchlist=100ms"]));
    for symbol in ["NOLIST", "NOHEARD"] {
        assert_eq!(server.get(&format!("/api/candles/{symbol}")).status, 404);
    }
    let list = r#"[{"symbol":"nolist"}]"#;
    up.trader
        .http
        .fault("/api/watchlist", Fault::Status(200, None, list));
    server.eventually("/api/watchlist", |got| got.text().contains("nolist"));
    server.eventually("/api/candles/NOLIST", |got| got.text() == "[]");
    let mut client = kit::Quotes::connect(&server.address);
    client.until_status(true);
    client.subscribe(&["NOHEARD"]);
    eventually("it is subscribed", || {
        (up.trader.stream.subscribed().len() == 1).then_some(())
    });
    let mut volume = 100;
    eventually("its candles are what was heard", || {
        volume += 10;
        up.trader.stream.quote(
            &json!({"symbol": "NOHEARD", "last_price": 2.5, "total_volume": volume,
            "trade_time_ms": now_ms(), "quote_time_ms": now_ms()}),
        );
        std::thread::sleep(Duration::from_millis(100));
        let got = server.get("/api/candles/NOHEARD");
        let known = got.status == 200;
        // Outside the hours of trading a trade makes no candle.
        let candle = got.text() == "[]" || got.json()[0]["close"] == 2.5;
        (known && candle).then_some(())
    });
}

#[test]
fn a_symbol_that_fails_leaves_all_others_as_they_are() {
    at_once([Fault::Status(500, None, "{}"), Fault::Hang], |fault| {
        let up = Upstreams::start();
        let server = up.server(&[
            "http.answer_deadline=3s",
            "schwab.fresh_candles=1ms",
            "schwab.requests_per_minute=100000",
        ]);
        up.schwab.0.fault("/quotes?symbols=BAD", fault.clone());
        up.schwab.0.fault("/pricehistory?symbol=BAD", fault.clone());
        let address = server.address.clone();
        let bad = std::thread::spawn(move || {
            let paths = ["/api/quote/BAD", "/api/candles/BAD", "/api/quote/BAD"];
            paths.map(|path| kit::get(&address, path).status)
        });
        for round in 0..10 {
            for n in 0..12 {
                let got = server.get(&format!("/api/candles/GOOD{n}"));
                assert_eq!(got.status, 200, "{fault:?} {round} {}", got.text());
                assert_eq!(got.header("x-data-stale"), None, "{fault:?} {round}");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        let bad = bad.join().unwrap();
        assert!(
            bad.iter().all(|s| matches!(s, 502 | 504)),
            "{fault:?} {bad:?}"
        );
    });
}

#[test]
fn a_vwap_that_fails_leaves_what_else_the_trader_app_says_as_it_is() {
    at_once([Fault::Status(500, None, "{}"), Fault::Hang], |fault| {
        let up = Upstreams::start();
        let server = up.server(&["trader.fresh_watchlist=1ms", "trader.fresh_lists=1ms"]);
        up.trader.http.fault("/api/vwap/BAD", fault.clone());
        for round in 0..12 {
            let address = server.address.clone();
            std::thread::spawn(move || kit::get(&address, "/api/vwap/BAD"));
            for path in [
                "/api/watchlist",
                "/api/signals",
                "/api/positions",
                "/api/streaming/health",
                "/api/vwap/TOYO",
            ] {
                let got = server.get(path);
                assert_eq!(got.status, 200, "{fault:?} {path}");
                assert_eq!(got.header("x-data-stale"), None, "{fault:?} {path} {round}");
                let json = got.json();
                let well = match path {
                    "/api/streaming/health" => json["connected"] == true,
                    "/api/vwap/TOYO" => json["vwap"] == 2.4 && json.get("stale").is_none(),
                    _ => json.as_array().is_some_and(|list| !list.is_empty()),
                };
                assert!(well, "{fault:?} {path} {round}: {json}");
            }
            std::thread::sleep(Duration::from_millis(150));
        }
    });
}

#[test]
fn what_the_trader_app_said_is_shown_for_so_long_and_then_no_more() {
    let up = Upstreams::start();
    let server = up.server(&[
        "trader.stale_max=3s",
        "trader.fresh_vwap=1ms",
        "trader.deadline=500ms",
    ]);
    let paths = [
        "/api/vwap/TOYO",
        "/api/vwap",
        "/api/signals",
        "/api/positions",
    ];
    for path in paths.iter().chain(&["/api/watchlist"]) {
        assert_eq!(server.get(path).status, 200);
    }
    up.trader.http.fault("/api", Fault::Hang);
    let lost = std::time::Instant::now();
    let mut stale_seen = 0;
    while lost.elapsed() < Duration::from_millis(2_500) {
        let asked = lost.elapsed();
        let vwap = server.get("/api/vwap/TOYO").json();
        let still = vwap["vwap"] == 2.4;
        assert!(
            still || lost.elapsed() > Duration::from_secs(2),
            "{asked:?} {vwap}"
        );
        stale_seen += usize::from(vwap["stale"] == true);
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(stale_seen > 0);
    std::thread::sleep(Duration::from_secs(3).saturating_sub(lost.elapsed()));
    // The cache may be in the middle of a try: each answer from here on is one of absence.
    for _ in 0..20 {
        assert_eq!(
            server.get("/api/vwap/TOYO").json(),
            json!({"symbol": "TOYO", "vwap": null, "source": "unavailable"})
        );
        for (path, empty) in [
            ("/api/signals", "[]"),
            ("/api/positions", "[]"),
            ("/api/vwap", "{}"),
        ] {
            let got = server.get(path);
            assert_eq!((got.status, got.text()), (200, empty.into()), "{path}");
            assert!(got.header("x-data-stale").is_some(), "{path}: {}", got.head);
        }
        let watchlist = server.get("/api/watchlist");
        assert_eq!(watchlist.json()[0]["symbol"], "TOYO");
        std::thread::sleep(Duration::from_millis(50));
    }
    server.eventually("/api/watchlist", |got| {
        got.header("x-data-stale").is_some() && got.header("age").is_some()
    });
    up.trader.http.heal();
    up.trader.http.fake.close_connections();
    for path in paths {
        server.eventually(path, |got| {
            got.header("x-data-stale").is_none() && got.text().len() > 2
        });
    }
    server.eventually("/api/vwap/TOYO", |got| got.json()["vwap"] == 2.4);
}

#[test]
fn a_quote_is_not_shown_for_ever() {
    let up = Upstreams::start();
    let server = up.server(&fast(&["schwab.stale_quote=2s", "schwab.fresh_quote=1ms"]));
    assert_eq!(server.get("/api/quote/TOYO").status, 200);
    assert_eq!(server.get("/api/candles/TOYO").status, 200);
    up.schwab.0.fault("/", Fault::Drop);
    let got = server.get("/api/quote/TOYO");
    assert!(got.status == 200 && got.header("x-data-stale").is_some());
    server.eventually("/api/quote/TOYO", |got| {
        got.status == 502 && got.detail().contains("too old to be shown")
    });
    assert_eq!(
        server.get("/api/candles/TOYO").status,
        200,
        "its candles say when they are of"
    );
}

#[test]
fn who_has_nothing_yet_waits_for_the_provider_and_others_for_nobody() {
    let up = Upstreams::start();
    let server = up.server(&["schwab.fresh_candles=1ms"]);
    assert_eq!(server.get("/api/candles/TOYO").status, 200);
    up.schwab.0.fault("/", Fault::Drop);
    let askers: Vec<_> = (0..60)
        .map(|n| {
            let address = server.address.clone();
            std::thread::spawn(move || kit::get(&address, &format!("/api/candles/W{n}")).status)
        })
        .collect();
    for _ in 0..20 {
        let got = server.get("/api/candles/TOYO");
        assert_eq!(got.status, 200, "{}", got.text());
        std::thread::sleep(Duration::from_millis(100));
    }
    let waits = askers.iter().filter(|a| !a.is_finished()).count();
    assert!((6..=12).contains(&waits), "{waits} of 60 still wait");
    up.schwab.0.heal();
    let got: Vec<u16> = askers.into_iter().map(|a| a.join().unwrap()).collect();
    let well = got.iter().filter(|status| **status == 200).count();
    assert_eq!(well, waits, "who waited has it: {got:?}");
    assert!(got.iter().all(|s| matches!(s, 200 | 502 | 503)), "{got:?}");
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
                && got.header("warning").is_none()
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
fn three_symbols_that_fail_open_the_breaker_of_their_kind_and_one_good_answer_closes_it() {
    let up = Upstreams::start();
    up.schwab.0.fault("/", Fault::Status(500, None, "{}"));
    let server = up.server(&fast(&["schwab.breaker_open=4s", "schwab.attempts_max=1"]));
    for symbol in ["AAA", "BBB", "CCC"] {
        let got = server.get(&format!("/api/quote/{symbol}"));
        assert!(matches!(got.status, 502 | 503), "{}", got.text());
    }
    let before = up.schwab.0.count("/");
    let open = server.get("/api/quote/DDD");
    assert_eq!(open.status, 503);
    assert!(
        open.detail()
            .contains("failed for 3 different quotes in a row"),
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
    assert_eq!(
        server.get("/api/candles/DDD").status,
        200,
        "candles are another kind"
    );
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
fn a_history_that_cannot_be_read_to_its_end_holds_up_no_other_file() {
    let up = Upstreams::start();
    let server = up.server(&["watchdog.allow_drills=true"]);
    server.eventually("/api/runners", |got| got.json()["version"] == 1);
    let order = "/api/drill?stall=history-reader&how=read&for=25s";
    assert_eq!(server.ask("POST", order).status, 200);
    let is_stuck = |got: &kit::Got| {
        let threads = got.json()["threads"].clone();
        let list = threads.as_array().cloned().unwrap_or_default();
        let mut it = list.iter().filter(|t| t["name"] == "history-reader");
        it.any(|t| t.to_string().contains("a drill"))
    };
    server.eventually("/api/threads", is_stuck);
    std::fs::write(up.file("runners.json"), r#"{"version": 2}"#).unwrap();
    server.eventually("/api/runners", |got| got.json()["version"] == 2);
    assert_eq!(server.get("/api/trade-history").status, 200, "the last one");
    assert!(is_stuck(&server.get("/api/threads")), "all that meanwhile");
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
