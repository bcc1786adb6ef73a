//! The built program as its users meet it: started with an embedded market, polled, streamed from,
//! ended.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// For hangs only.
const PATIENCE: Duration = Duration::from_secs(30);

struct Server {
    child: Child,
    address: String,
    logs: tempfile::TempDir,
}

impl Server {
    fn start(args: &[&str]) -> Self {
        let logs = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tapewarden"))
            .args(["--listen", "127.0.0.1:0", "--log-dir"])
            .arg(logs.path())
            .args(args)
            .current_dir(logs.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line
            .trim()
            .rsplit("http://")
            .next()
            .expect("an address")
            .to_owned();
        Self {
            child,
            address,
            logs,
        }
    }

    /// Status and body.
    fn ask(&self, method: &str, path: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").expect("a whole answer");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    fn get(&self, path: &str) -> (u16, Value) {
        self.ask("GET", path)
    }

    fn eventually(&self, path: &str, holds: impl Fn(u16, &Value) -> bool) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let (status, body) = self.get(path);
            if holds(status, &body) {
                return body;
            }
            assert!(Instant::now() < until, "{path} stayed {status} {body}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn exit_code(&mut self) -> i32 {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().expect("an exit code");
            }
            assert!(Instant::now() < until, "it did not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[test]
fn every_route_answers_with_the_embedded_market() {
    let server = Server::start(&[]);
    let health = server.eventually("/api/health", |s, b| s == 200 && b["threads"].is_object());
    assert_eq!(health["service"], "charting-backend");
    for timeframe in ["1m", "5m", "15m", "D"] {
        let (status, body) = server.get(&format!("/api/candles/toyo?timeframe={timeframe}"));
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
    assert!(server.get("/api/quote/TOYO").1["lastPrice"].is_number());
    assert_eq!(server.get("/api/quote/ZQX%2FA").0, 200);
    assert_eq!(server.get("/api/quote/NOPE").0, 404);
    assert_eq!(server.get("/api/candles/NOPE").0, 404);
    assert_eq!(server.get("/api/candles/TOYO?timeframe=2m").0, 400);
    assert!(server.get("/api/watchlist").1.as_array().unwrap().len() > 10);
    assert!(server.get("/api/vwap/TOYO").1["vwap"].is_number());
    assert!(server.get("/api/vwap").1.is_object());
    for list in ["/api/signals", "/api/positions"] {
        assert!(server.get(list).1.is_array(), "{list}");
    }
    for object in [
        "/api/streaming/health",
        "/api/streaming/rotation",
        "/api/streaming/status",
    ] {
        let (status, body) = server.get(object);
        assert!(
            status == 200 && body.get("error").is_none(),
            "{object} {body}"
        );
    }
    server.eventually("/api/runners", |s, b| {
        s == 200 && b["active_runners"].is_array()
    });
    server.eventually("/api/trade-history", |s, b| {
        s == 200 && b.as_array().is_some_and(|a| a.len() > 50)
    });
    assert!(server.get("/api/volume-spikes/active").1["spikes"].is_object());
    assert_eq!(server.ask("POST", "/api/validate/NOPE").0, 400);
    let verdict = server.ask("POST", "/api/validate/TOYO").1;
    assert!(verdict["signal"].is_string() && verdict["reasoning"].is_array());
    let threads = server.eventually("/api/threads", |s, _| s == 200);
    assert!(threads["threads"].as_array().unwrap().len() > 20);
    assert!(threads["channels"].as_array().unwrap().len() > 10);
    let (status, unknown) = server.get("/api/nope");
    assert!(status == 404 && unknown["detail"].is_string());
    assert_eq!(server.ask("DELETE", "/api/health").0, 405);
}

#[test]
fn a_stream_tells_its_status_and_then_the_wanted_quotes_only() {
    let server = Server::start(&[]);
    server.eventually("/api/streaming/status", |_, b| b["connected"] == true);
    let stream = TcpStream::connect(&server.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let url = format!("ws://{}/api/ws/quotes", server.address);
    let (mut socket, _) = tungstenite::client(url, stream).unwrap();
    let mut next = |send: Option<&str>| -> Value {
        if let Some(text) = send {
            socket.send(tungstenite::Message::text(text)).unwrap();
        }
        loop {
            if let tungstenite::Message::Text(text) = socket.read().unwrap() {
                return serde_json::from_str(text.as_str()).unwrap();
            }
        }
    };
    let status = next(None);
    assert_eq!(
        (&status["type"], &status["connected"]),
        (&"status".into(), &true.into())
    );
    assert_eq!(next(Some("nonsense"))["type"], "error");
    let mut quote = next(Some(r#"{"action":"subscribe","symbols":["toyo"]}"#));
    for _ in 0..20 {
        assert_eq!(
            (&quote["type"], &quote["symbol"]),
            (&"quote".into(), &"TOYO".into())
        );
        assert!(quote["last_price"].is_number() && quote["total_volume"].is_number());
        quote = next(None);
    }
}

#[test]
fn it_ends_when_asked_and_says_so_in_its_log() {
    let mut server = Server::start(&[]);
    let (status, body) = server.ask("POST", "/api/shutdown");
    assert_eq!((status, &body["status"]), (200, &"shutting_down".into()));
    assert_eq!(server.exit_code(), 0);
    let log = std::fs::read_to_string(server.logs.path().join("backend.log")).unwrap();
    assert!(log.contains("[INFO] [MAIN] ended in"), "{log}");
}

#[test]
fn upstreams_that_are_not_there_are_told_as_such_and_the_rest_goes_on() {
    let server = Server::start(&[
        "--schwab-url",
        "http://127.0.0.1:9",
        "--trader-url",
        "http://127.0.0.1:9",
        "--model-url",
        "http://127.0.0.1:9",
        "--data-dir",
        "nowhere",
        "--token-file",
        "none.json",
    ]);
    let (status, body) = server.get("/api/candles/TOYO");
    assert!(
        status == 503 && body["detail"].as_str().unwrap().contains("none.json"),
        "{status} {body}"
    );
    assert_eq!(server.get("/api/watchlist").0, 503);
    let (status, vwap) = server.get("/api/vwap/TOYO");
    assert_eq!((status, &vwap["source"]), (200, &"unavailable".into()));
    let health = server.get("/api/streaming/health").1;
    assert_eq!(health["error"], "trader_app_unavailable");
    assert_eq!(server.get("/api/signals").1, serde_json::json!([]));
    assert_eq!(
        server.eventually("/api/trade-history", |s, _| s == 200),
        serde_json::json!([])
    );
    assert_eq!(server.get("/api/runners").0, 503);
    assert_eq!(server.get("/api/validate/status").1["available"], false);
    assert_eq!(server.get("/api/health").0, 200);
}

#[test]
fn a_taken_port_and_wrong_settings_end_it_with_their_own_codes() {
    let first = Server::start(&[]);
    let run = |args: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_tapewarden"))
            .args(args)
            .current_dir(first.logs.path())
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
    let (status, body) = server.get("/api/candles/TOYO");
    assert_eq!(status, 504, "{body}");
    assert!(
        body["detail"]
            .as_str()
            .unwrap()
            .contains("Schwab market data did not answer")
    );
    assert_eq!(server.get("/api/vwap/TOYO").1["source"], "timeout");
    assert_eq!(server.get("/api/streaming/health").1["error"], "timeout");
    assert_eq!(server.get("/api/health").0, 200);
    assert_eq!(server.get("/api/streaming/status").1["connected"], false);
    // A client that asks and waits for a hung answer while the server is told to end.
    let mut waiting = TcpStream::connect(&server.address).unwrap();
    write!(waiting, "GET /api/candles/ELPW HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(server.ask("POST", "/api/shutdown").0, 200);
    assert_eq!(server.exit_code(), 0);
    let log = std::fs::read_to_string(server.logs.path().join("backend.log")).unwrap();
    assert!(!log.contains("hush"), "a token in the log");
}
