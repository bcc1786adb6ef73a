//! The built program as its users meet it: started with an embedded market, polled, streamed from,
//! ended.

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;

use crate::kit::routes::{NEW, ROUTES, Route};
use crate::kit::{NOBODY_THERE, Quotes, Server, eventually};

/// Routes that are asked again and again by pages; a symbol that is another each time is none of the market's.
fn polled() -> impl Iterator<Item = &'static Route> {
    let routes = ROUTES.iter().filter(|route| route.not_polled.is_none());
    routes.filter(|route| !route.path.contains(NEW))
}

#[test]
fn every_route_answers_with_the_embedded_market() {
    let server = Server::start(&[]);
    assert!(polled().count() > 15);
    for route in polled() {
        eventually(route.path, || {
            (server.ask(route.method, route.path).status == 200).then_some(())
        });
    }
}

#[test]
fn health_names_the_service_and_counts_its_threads() {
    let server = Server::start(&[]);
    let health = server.eventually("/api/health", |g| {
        g.status == 200 && g.json()["threads"].is_object()
    });
    assert_eq!(health["service"], "charting-backend");
}

#[test]
fn candles_of_each_timeframe_are_whole_and_in_order_of_time() {
    let server = Server::start(&[]);
    for timeframe in ["1m", "5m", "15m", "D"] {
        let got = server.get(&format!("/api/candles/toyo?timeframe={timeframe}"));
        let (status, body) = (got.status, got.json());
        let candles = body.as_array().unwrap();
        assert!(
            status == 200 && !candles.is_empty(),
            "{timeframe}: {status}"
        );
        for candle in candles {
            let n = |f: &str| candle[f].as_f64().unwrap();
            assert!(n("low") > 0.0 && n("low") <= n("open") && n("close") <= n("high"));
        }
        let times: Vec<i64> = candles
            .iter()
            .map(|c| c["timestamp"].as_i64().unwrap())
            .collect();
        assert!(times.is_sorted(), "{timeframe}");
    }
}

#[test]
fn a_symbol_that_the_market_does_not_have_is_404_and_a_share_class_is_found() {
    let server = Server::start(&[]);
    for path in ["/api/quote/NOPE", "/api/candles/NOPE"] {
        assert_eq!(server.get(path).status, 404, "{path}");
    }
    assert_eq!(server.get("/api/quote/ZQX%2FA").status, 200);
    let quote = server.get("/api/quote/TOYO").json();
    assert!(quote["lastPrice"].is_number(), "{quote}");
}

#[test]
fn what_the_markets_trader_app_knows_has_its_shapes() {
    let server = Server::start(&[]);
    let watchlist = server.get("/api/watchlist").json();
    assert!(watchlist.as_array().unwrap().len() > 10, "{watchlist}");
    assert!(server.get("/api/vwap/TOYO").json()["vwap"].is_number());
    assert!(server.get("/api/vwap").json().is_object());
    for list in ["/api/signals", "/api/positions"] {
        assert!(server.get(list).json().is_array(), "{list}");
    }
    for object in [
        "/api/streaming/health",
        "/api/streaming/rotation",
        "/api/streaming/status",
    ] {
        let got = server.get(object);
        let (status, body) = (got.status, got.json());
        assert!(
            status == 200 && body.get("error").is_none(),
            "{object} {body}"
        );
    }
    assert!(server.get("/api/volume-spikes/active").json()["spikes"].is_object());
}

#[test]
fn the_markets_files_are_read() {
    let server = Server::start(&[]);
    server.eventually("/api/runners", |g| {
        g.status == 200 && g.json()["active_runners"].is_array()
    });
    server.eventually("/api/trade-history", |g| {
        g.status == 200 && g.json().as_array().is_some_and(|a| a.len() > 50)
    });
}

#[test]
fn the_markets_model_gives_a_signal_with_its_reasons_for_what_is_watched() {
    let server = Server::start(&[]);
    assert_eq!(server.ask("POST", "/api/validate/NOPE").status, 400);
    let verdict = server.ask("POST", "/api/validate/TOYO").json();
    assert!(
        verdict["signal"].is_string() && verdict["reasoning"].is_array(),
        "{verdict}"
    );
}

#[test]
fn threads_and_channels_are_all_listed() {
    let server = Server::start(&[]);
    let listed = server.eventually("/api/threads", |g| g.status == 200);
    assert!(listed["threads"].as_array().unwrap().len() > 20);
    assert!(listed["channels"].as_array().unwrap().len() > 10);
}

#[test]
fn a_stream_tells_its_status_and_then_the_wanted_quotes_only() {
    let server = Server::start(&[]);
    server.eventually("/api/streaming/status", |g| g.json()["connected"] == true);
    let mut client = Quotes::connect(&server.address);
    client.until_status(true);
    client.say("nonsense");
    assert_eq!(client.next().unwrap()["type"], "error");
    client.subscribe(&["toyo"]);
    for _ in 0..20 {
        let quote = client.next().unwrap();
        assert_eq!(
            (&quote["type"], &quote["symbol"]),
            (&"quote".into(), &"TOYO".into())
        );
        assert!(quote["last_price"].is_number() && quote["total_volume"].is_number());
    }
}

#[test]
fn it_ends_when_asked_and_says_so_in_its_log() {
    let mut server = Server::start(&[]);
    let got = server.ask("POST", "/api/shutdown");
    let (status, body) = (got.status, got.json());
    assert_eq!((status, &body["status"]), (200, &"shutting_down".into()));
    assert_eq!(server.exit_code(), 0);
    let log = server.log("backend.log");
    assert!(log.contains("[INFO] [MAIN] ended in"), "{log}");
}

#[test]
fn a_provider_that_is_not_there_is_told_with_its_token_file() {
    let server = Server::start(&NOBODY_THERE);
    let got = server.get("/api/candles/TOYO");
    assert_eq!(got.status, 503, "{}", got.text());
    assert!(got.detail().contains("none.json"), "{}", got.detail());
}

#[test]
fn a_trader_app_that_is_not_there_is_told_on_each_of_its_routes() {
    let server = Server::start(&NOBODY_THERE);
    assert_eq!(server.get("/api/watchlist").status, 503);
    let vwap = server.get("/api/vwap/TOYO");
    assert_eq!(
        (vwap.status, &vwap.json()["source"]),
        (200, &"unavailable".into())
    );
    let health = server.get("/api/streaming/health").json();
    assert_eq!(health["error"], "trader_app_unavailable");
    assert_eq!(server.get("/api/signals").json(), serde_json::json!([]));
}

#[test]
fn upstreams_that_are_not_there_leave_files_the_models_status_and_health_as_they_are() {
    let server = Server::start(&NOBODY_THERE);
    assert_eq!(
        server.eventually("/api/trade-history", |g| g.status == 200),
        serde_json::json!([])
    );
    assert_eq!(server.get("/api/runners").status, 503, "there is no file");
    assert_eq!(
        server.get("/api/validate/status").json()["available"],
        false
    );
    assert_eq!(server.get("/api/health").status, 200);
}

#[test]
fn a_taken_port_and_wrong_settings_end_it_with_their_own_codes() {
    let first = Server::start(&[]);
    let run = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_tapewarden"))
            .args(args)
            .current_dir(first.home.path())
            .output()
            .unwrap()
    };
    let taken = run(&["--listen", &first.address]);
    let words = String::from_utf8_lossy(&taken.stderr);
    assert_eq!(taken.status.code(), Some(3), "{words}");
    if cfg!(target_os = "linux") {
        assert!(
            words.contains(&format!("by process {}", first.child.id())),
            "{words}"
        );
    }
    let wrong = run(&["--set", "gate.keep_alive=30"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("gate.keep_alive"));
}

#[test]
fn upstreams_that_accept_and_never_answer_hold_up_neither_the_rest_nor_the_end() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), r#"{"token":{"access_token":"hush"}}"#).unwrap();
    let mut server = Server::start(&[
        "--schwab-url",
        &url,
        "--trader-url",
        &url,
        "--model-url",
        &url,
        "--data-dir",
        "nowhere",
        "--token-file",
        token.path().to_str().unwrap(),
        "--set",
        "schwab.deadline=1s",
    ]);
    let got = server.get("/api/candles/TOYO");
    let (status, body) = (got.status, got.json());
    assert_eq!(status, 504, "{body}");
    assert!(
        body["detail"]
            .as_str()
            .unwrap()
            .contains("Schwab market data did not answer")
    );
    assert_eq!(server.get("/api/vwap/TOYO").json()["source"], "timeout");
    assert_eq!(
        server.get("/api/streaming/health").json()["error"],
        "timeout"
    );
    assert_eq!(server.get("/api/health").status, 200);
    assert_eq!(
        server.get("/api/streaming/status").json()["connected"],
        false
    );
    // A client that asks and waits for a hung answer while the server is told to end.
    let mut waiting = TcpStream::connect(&server.address).unwrap();
    write!(
        waiting,
        "GET /api/candles/ELPW HTTP/1.1\r\nHost: localhost\r\n\r\n"
    )
    .unwrap();
    assert_eq!(server.ask("POST", "/api/shutdown").status, 200);
    assert_eq!(server.exit_code(), 0);
    let log = server.log("backend.log");
    assert!(!log.contains("hush"), "a token in the log");
}
