//! The built program as its users meet it: started with an embedded market, polled, streamed from,
//! ended.

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;

use crate::kit::{NOBODY_THERE, Quotes, Server};

#[test]
fn every_route_answers_with_the_embedded_market() {
    let server = Server::start(&[]);
    let health = server.eventually("/api/health", |g| {
        g.status == 200 && g.json()["threads"].is_object()
    });
    assert_eq!(health["service"], "charting-backend");
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
        assert!(times.is_sorted());
    }
    assert!(server.get("/api/quote/TOYO").json()["lastPrice"].is_number());
    assert_eq!(server.get("/api/quote/ZQX%2FA").status, 200);
    assert_eq!(server.get("/api/quote/NOPE").status, 404);
    assert_eq!(server.get("/api/candles/NOPE").status, 404);
    assert_eq!(server.get("/api/candles/TOYO?timeframe=2m").status, 400);
    assert!(
        server
            .get("/api/watchlist")
            .json()
            .as_array()
            .unwrap()
            .len()
            > 10
    );
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
    server.eventually("/api/runners", |g| {
        g.status == 200 && g.json()["active_runners"].is_array()
    });
    server.eventually("/api/trade-history", |g| {
        g.status == 200 && g.json().as_array().is_some_and(|a| a.len() > 50)
    });
    assert!(server.get("/api/volume-spikes/active").json()["spikes"].is_object());
    assert_eq!(server.ask("POST", "/api/validate/NOPE").status, 400);
    let verdict = server.ask("POST", "/api/validate/TOYO").json();
    assert!(verdict["signal"].is_string() && verdict["reasoning"].is_array());
    let threads = server.eventually("/api/threads", |g| g.status == 200);
    assert!(threads["threads"].as_array().unwrap().len() > 20);
    assert!(threads["channels"].as_array().unwrap().len() > 10);
    let got = server.get("/api/nope");
    let (status, unknown) = (got.status, got.json());
    assert!(status == 404 && unknown["detail"].is_string());
    assert_eq!(server.ask("DELETE", "/api/health").status, 405);
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
fn upstreams_that_are_not_there_are_told_as_such_and_the_rest_goes_on() {
    let server = Server::start(&NOBODY_THERE);
    let got = server.get("/api/candles/TOYO");
    let (status, body) = (got.status, got.json());
    assert!(
        status == 503 && body["detail"].as_str().unwrap().contains("none.json"),
        "{status} {body}"
    );
    assert_eq!(server.get("/api/watchlist").status, 503);
    let got = server.get("/api/vwap/TOYO");
    let (status, vwap) = (got.status, got.json());
    assert_eq!((status, &vwap["source"]), (200, &"unavailable".into()));
    let health = server.get("/api/streaming/health").json();
    assert_eq!(health["error"], "trader_app_unavailable");
    assert_eq!(server.get("/api/signals").json(), serde_json::json!([]));
    assert_eq!(
        server.eventually("/api/trade-history", |g| g.status == 200),
        serde_json::json!([])
    );
    assert_eq!(server.get("/api/runners").status, 503);
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
