//! What many polls rely on: bodies built once, sent compressed to those who take that, and not again to
//! those who have them.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::kit::{Quotes, Server, Upstreams, eventually};
use serde_json::{Value, json};

fn unpacked(gzip: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(gzip);
    decoder.read_to_end(&mut out).unwrap();
    out
}

/// Routes with bodies that are worth packing.
const LARGE: [&str; 4] = [
    "/api/candles/TOYO?timeframe=D",
    "/api/trade-history",
    "/api/watchlist",
    "/api/runners",
];

/// The embedded market, once all of these are there.
fn market() -> Server {
    let server = Server::start(&[]);
    for path in LARGE {
        server.eventually(path, |got| got.status == 200 && got.body.len() > 1_024);
    }
    server
}

#[test]
fn a_poll_is_answered_compressed_where_the_client_takes_that() {
    let server = market();
    for path in LARGE {
        let plain = server.get(path);
        assert_eq!(plain.header("Content-Encoding"), None, "{path}");
        assert!(plain.header("Vary").unwrap().contains("Accept-Encoding"));
        let packed = server.ask_with("GET", path, &[("Accept-Encoding", "gzip, deflate, br")]);
        assert_eq!(packed.header("Content-Encoding"), Some("gzip"), "{path}");
        assert!(packed.body.len() * 2 < plain.body.len(), "{path}");
        let json: Value = serde_json::from_slice(&unpacked(&packed.body)).unwrap();
        assert!(json.is_array() || json.is_object(), "{path}");
    }
}

#[test]
fn a_poll_of_what_the_client_has_is_answered_in_short() {
    let server = market();
    for path in LARGE {
        // The embedded market moves: the same tag means the same bytes, and a poll soon finds them so.
        eventually("a poll of what is known", || {
            let known = server.get(path);
            assert_eq!(known.header("Cache-Control"), Some("no-cache"), "{path}");
            let tag = known.header("ETag").unwrap();
            assert!(tag.starts_with('"'), "strong: {tag}");
            let again = server.ask_with("GET", path, &[("If-None-Match", tag)]);
            if again.status == 200 {
                return None;
            }
            assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
            assert_eq!(again.header("ETag"), Some(tag), "{path}");
            Some(())
        });
    }
}

#[test]
fn a_head_of_what_is_polled_has_its_length_and_no_body() {
    let server = market();
    for path in LARGE {
        let head = server.ask("HEAD", path);
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        let length = head.header("Content-Length").unwrap();
        assert!(length.parse::<usize>().unwrap() > 1_024, "{path}: {length}");
    }
}

#[test]
fn an_error_is_kept_by_nobody_and_is_no_304() {
    let server = Server::start(&[]);
    let error = server.ask_with("GET", "/api/candles/NOPE", &[("If-None-Match", "*")]);
    assert_eq!(
        (error.status, error.header("Cache-Control")),
        (404, Some("no-store"))
    );
}

#[test]
fn a_growing_history_is_polled_by_what_is_new() {
    let up = Upstreams::start();
    let server = up.server(&[]);
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(up.trades())
        .unwrap();
    let before = eventually("the history as it is", || {
        let got = server.get("/api/trade-history");
        got.header("X-Total-Count").map(ToOwned::to_owned)
    });
    writeln!(file, "{{\"n\":1}}\n{{\"n\":2}}").unwrap();
    let since = format!("/api/trade-history?since={before}");
    server.eventually(&since, |g| g.json() == json!([{"n": 1}, {"n": 2}]));
    let got = server.get("/api/trade-history?limit=1");
    assert_eq!(got.json(), json!([{"n": 2}]));
    let total = got.header("X-Total-Count").unwrap().to_owned();
    let none = server.get(&format!("/api/trade-history?since={total}"));
    assert_eq!(none.json(), json!([]));
    writeln!(file, "{{\"n\":3}}").unwrap();
    let since = format!("/api/trade-history?since={total}");
    server.eventually(&since, |g| g.json() == json!([{"n": 3}]));
    assert_eq!(server.get("/api/trade-history?since=x").status, 400);
}

#[test]
fn a_client_that_sends_the_same_request_again_and_again_sees_what_changed() {
    let up = Upstreams::start();
    let server = up.server(&[]);
    let mut stream = TcpStream::connect(&server.address).unwrap();
    let request = format!(
        "GET /api/trade-history HTTP/1.1\r\nHost: {}\r\n\r\n",
        server.address
    );
    let mut poll = || {
        stream.write_all(request.as_bytes()).unwrap();
        let mut all = Vec::new();
        let mut buffer = [0; 4_096];
        loop {
            let n = stream.read(&mut buffer).unwrap();
            assert!(n > 0, "closed");
            all.extend_from_slice(&buffer[..n]);
            let text = String::from_utf8_lossy(&all);
            if text.contains("\r\n\r\n") && text.ends_with([']', '}']) {
                return text.into_owned();
            }
        }
    };
    eventually("the history", || {
        poll().starts_with("HTTP/1.1 200").then_some(())
    });
    let mut file = OpenOptions::new().append(true).open(up.trades()).unwrap();
    writeln!(file, "{{\"new\":77}}").unwrap();
    eventually("the new trade", || {
        poll().contains("{\"new\":77}]").then_some(())
    });
}

#[test]
fn a_streamed_series_moves_with_the_quotes_and_costs_the_provider_nothing() {
    // Fresh for a second, and three calls a minute: more could not be answered without a stale mark.
    let server = Server::start(&[
        "--set",
        "schwab.fresh_candles=1s",
        "--set",
        "schwab.requests_per_minute=3",
    ]);
    let mut quotes = Quotes::connect(&server.address);
    quotes.subscribe(&["TOYO"]);
    let mut price = || {
        let quote = quotes.until("a quote", |m| m["type"] == "quote");
        quote["last_price"].as_f64().unwrap()
    };
    price();
    eventually("the first candles", || {
        (server.get("/api/candles/TOYO").status == 200).then_some(())
    });
    let mut heard = Vec::new();
    let mut closes = 0;
    let until = Instant::now() + Duration::from_secs(6);
    while Instant::now() < until {
        heard.push((Instant::now(), price()));
        let got = server.get("/api/candles/TOYO");
        assert_eq!((got.status, got.header("X-Data-Stale")), (200, None));
        let candles = got.json();
        let last = candles.as_array().unwrap().last().unwrap();
        let n = |field: &str| last[field].as_f64().unwrap();
        assert!(n("low") <= n("close") && n("close") <= n("high"));
        let recent = |(at, price): &&(Instant, f64)| {
            at.elapsed() < Duration::from_secs(2) && (price - n("close")).abs() < 1e-9
        };
        closes += usize::from(heard.iter().any(|h| recent(&h)));
        let day = server.get("/api/candles/TOYO?timeframe=D");
        assert_eq!((day.status, day.header("X-Data-Stale")), (200, None));
    }
    assert!(
        closes * 2 > heard.len(),
        "{closes} of {} polls closed with a recent quote",
        heard.len()
    );
}
