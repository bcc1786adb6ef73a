//! Input as the world writes it: what is well is kept, what cannot be is null or U+FFFD, and the answer, the
//! log and the metrics say how much.

use std::fs;

use crate::kit::{Fault, Quotes, Upstreams, eventually};
use serde_json::{Value, json};

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn ok(body: &'static str) -> Fault {
    Fault::Status(200, None, body)
}

#[test]
fn an_odd_value_in_an_answer_costs_that_value_alone_and_is_told() {
    let up = Upstreams::start();
    up.trader.http.fault(
        "/api/watchlist",
        ok("\u{feff}[{\"symbol\":\"TOYO\",\"gap_percent\":NaN,\"news\":\"up \\ud83d\"},{\"symbol\":\"ELPW\"}]\0"),
    );
    up.trader.http.fault(
        "/api/signals",
        ok("[{\"symbol\":\"TOYO\",\"entry_price\":1e400}]"),
    );
    up.trader
        .http
        .fault("/api/positions", ok("[{\"note\":\"one\ntwo\"}]"));
    up.schwab.0.fault(
        "/pricehistory",
        ok("{\"symbol\":\"TOYO\",\"empty\":null,\"candles\":[\
            {\"open\":1,\"high\":1,\"low\":1,\"close\":1,\"volume\":NaN,\"datetime\":4102444800000},\
            {\"open\":1,\"high\":1,\"low\":1,\"close\":NaN,\"volume\":1,\"datetime\":4102444860000}]}"),
    );
    up.schwab.0.fault(
        "/quotes?symbols=TOYO",
        ok("{\"TOYO\":{\"quote\":{\"lastPrice\":3.1,\"bidPrice\":-Infinity},\"reference\":{\"description\":\"Co \\ud83d\"}}}"),
    );
    let server = up.server(&[]);
    for (path, want, mended) in [
        (
            "/api/watchlist",
            json!([{"symbol":"TOYO","gap_percent":null,"news":"up \u{fffd}"},{"symbol":"ELPW"}]),
            Some("numbers=1, surrogates=1"),
        ),
        (
            "/api/signals",
            json!([{"symbol":"TOYO","entry_price":null}]),
            Some("numbers=1"),
        ),
        ("/api/positions", json!([{"note":"one\ntwo"}]), None),
        (
            "/api/candles/TOYO?timeframe=D",
            json!([{"timestamp":4_102_444_800_000_i64,"open":1.0,"high":1.0,"low":1.0,"close":1.0,"volume":0}]),
            Some("numbers=2, records=1"),
        ),
        (
            "/api/quote/TOYO",
            json!({"lastPrice":3.1,"bidPrice":null}),
            Some("numbers=1, surrogates=1"),
        ),
    ] {
        let got = server.get(path);
        assert_eq!((got.status, got.json()), (200, want), "{path}");
        assert_eq!(got.header("X-Data-Mended"), mended, "{path}");
    }
    eventually("the counts", || {
        let metrics = server.get("/metrics").text();
        let lines = [
            r#"tapewarden_input_mended_total{source="schwab",kind="records"} 1"#,
            r#"tapewarden_input_mended_total{source="schwab",kind="numbers"} 3"#,
        ];
        lines.iter().all(|l| metrics.contains(l)).then_some(())
    });
    server.log_has(
        "backend.log",
        "watchlist of the trader app could not be used as written: 1 numbers that JSON does not have",
    );
    server.log_has("backend.log", "records of no use (left out)");
}

#[test]
fn no_price_of_a_share_is_zero_and_what_was_mended_is_told() {
    let up = Upstreams::start();
    up.schwab.0.fault(
        "/pricehistory",
        ok("{\"symbol\":\"ACYX\",\"empty\":false,\"candles\":[\
            {\"open\":0,\"high\":0,\"low\":0,\"close\":7.26,\"volume\":98,\"datetime\":4102444800000},\
            {\"open\":7.3,\"high\":7.31,\"low\":0,\"close\":0,\"volume\":1,\"datetime\":4102444860000}]}"),
    );
    let server = up.server(&[]);
    let got = server.get("/api/candles/ACYX?timeframe=D");
    let want = json!([{"timestamp":4_102_444_800_000_i64,"open":7.26,"high":7.26,"low":7.26,"close":7.26,"volume":98}]);
    assert_eq!((got.status, got.json()), (200, want));
    let mended = got.header("X-Data-Mended");
    assert_eq!(mended, Some("prices=3, records=1"));
    server.log_has(
        "backend.log",
        "3 prices of 0 or none (now another of their candle), 1 records of no use (left out)",
    );
}

#[test]
fn an_odd_value_in_an_event_costs_that_value_alone() {
    let up = Upstreams::start();
    let server = up.server(&["stream.backoff_min=50ms"]);
    let mut client = Quotes::connect(&server.address);
    client.until_status(true);
    client.subscribe(&["TOYO"]);
    eventually("the subscription", || {
        up.trader.stream.subscribed().contains("TOYO").then_some(())
    });
    up.trader.stream.say(
        r#"42["quote_update",{"symbol":"TOYO","last_price":7.9,"bid_price":NaN,"news":"up \ud83d","last_size":1e400}]"#,
    );
    let quote = client.until("the quote", |m| m["last_price"] == 7.9);
    assert_eq!(
        (&quote["news"], &quote["bid_price"]),
        (&json!("up \u{fffd}"), &Value::Null)
    );
    up.trader.stream.say("42{\"half\":");
    eventually("the counts", || {
        let metrics = server.get("/metrics").text();
        let told = |kind: &str, n: u64| {
            metrics.contains(&format!("source=\"stream\",kind=\"{kind}\"}} {n}"))
        };
        (told("numbers", 2) && told("surrogates", 1) && told("records", 1)).then_some(())
    });
}

#[test]
fn a_history_of_many_hands_is_given_and_what_is_not_is_counted_in_the_answer() {
    let up = Upstreams::start();
    let pretty = "{\n  \"n\": 6\n}\n";
    let parts: [&[u8]; 7] = [
        b"\xef\xbb\xbf{\"n\":1}{\"n\":2}\n",
        b"{\"n\":3},\r\n\xef\xbb\xbf{\"n\":NaN}\n",
        b"half a line {\n",
        &utf16("{\"n\":5}\r\n"),
        pretty.as_bytes(),
        b"[{\"n\":7}]\r{\"n\":8,\"torn\":\n",
        b"{\"n\":9}",
    ];
    fs::write(up.trades(), parts.concat()).unwrap();
    let server = up.server(&[]);
    let got = eventually("the history", || {
        let got = server.get("/api/trade-history");
        (got.status == 200 && got.body.len() > 2).then_some(got)
    });
    let numbers: Vec<Value> = got
        .json()
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["n"].clone())
        .collect();
    assert_eq!(Value::from(numbers), json!([1, 2, 3, null, 5, 6, 7, 9]));
    assert_eq!(got.header("X-Lines-Left-Out"), Some("2"));
    assert_eq!(got.header("X-Data-Mended"), Some("numbers=1"));
    assert_eq!(got.header("X-Total-Count"), Some("8"));
    server.log_has(
        "backend.log",
        "lines of trade_outcomes.jsonl could not be used as written",
    );
    let last = server.get("/api/trade-history?limit=1");
    assert_eq!(
        (last.json(), last.header("X-Lines-Left-Out")),
        (json!([{"n": 9}]), Some("2"))
    );
}

#[test]
fn a_token_file_of_a_windows_tool_is_used_and_an_unknown_expiry_is_said_to_be() {
    let up = Upstreams::start();
    let token = up.file("token.json");
    let text = fs::read_to_string(&token).unwrap();
    let held: Value = serde_json::from_str(&text).unwrap();
    let access = held["token"]["access_token"].as_str().unwrap().to_owned();
    fs::write(
        &token,
        utf16(&format!("\u{feff}{}", json!({ "access": access }))),
    )
    .unwrap();
    let server = up.server(&[]);
    assert_eq!(server.get("/api/candles/TOYO").status, 200);
    server.eventually("/api/health", |g| {
        g.json()["token"] == json!({"remaining_seconds": null, "expiry": "unknown"})
    });
}
