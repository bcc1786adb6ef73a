//! Minutes that were heard of a symbol of which the provider has no candle, by whatever clock.

use std::time::Duration;

use crate::kit::upstream::now_ms;
use crate::kit::{Fault, Quotes, Server, Upstreams, at_once, eventually};
use serde_json::Value;

/// The symbol's price history is placeholders, all zeros.
const OTC: &str = "ZEROX";

/// What is heard from here on within a few seconds is of one minute.
fn not_at_a_minute_s_end() {
    let left_ms = 60_000 - now_ms() % 60_000;
    if left_ms < 15_000 {
        std::thread::sleep(Duration::from_millis(left_ms.unsigned_abs()));
    }
}

fn say(up: &Upstreams, price: f64, total: u64, size: u64) {
    say_at(up, now_ms(), price, total, size);
}

fn say_at(up: &Upstreams, at_ms: i64, price: f64, total: u64, size: u64) {
    up.trader.stream.say(&format!(
        r#"42["quote_update",{{"symbol":"{OTC}","last_price":{price},"total_volume":{total},"last_size":{size},"trade_time_ms":{at_ms},"quote_time_ms":{at_ms}}}]"#
    ));
}

fn last(server: &Server) -> Option<Value> {
    let got = server.get(&format!("/api/candles/{OTC}"));
    assert_eq!(got.status, 200, "{}", got.text());
    got.json().as_array().unwrap().last().cloned()
}

fn closes_at(server: &Server, price: f64) {
    eventually("the minute that was heard", || {
        let close = last(server)?["close"].as_f64()?;
        ((close - price).abs() < 1e-9).then_some(())
    });
}

#[test]
fn they_are_its_candles_and_neither_a_lost_source_nor_another_fetch_takes_them_away() {
    let up = Upstreams::start();
    let server = up.server(&["stream.backoff_min=50ms", "schwab.nodata_hold=200ms"]);
    let mut client = Quotes::connect(&server.address);
    client.until_status(true);
    client.subscribe(&[OTC]);
    let subscribed = || up.trader.stream.subscribed().contains(OTC).then_some(());
    eventually("the subscription", subscribed);
    not_at_a_minute_s_end();
    // Before the first trade there is none, and it is no error.
    assert_eq!(last(&server), None);
    say(&up, 0.05, 1_000, 100);
    say(&up, 0.052, 1_200, 100);
    say(&up, 9.0, 1_210, 10);
    closes_at(&server, 0.052);
    let heard = last(&server).unwrap();
    assert_eq!(
        (&heard["high"], &heard["volume"]),
        (&Value::from(0.052), &Value::from(210))
    );

    // A trade after the source was lost outdates the series: it is fetched anew.
    let calls = || up.schwab.0.count("/pricehistory");
    let before = calls();
    up.trader.stream.drop_clients();
    client.until_status(false);
    client.until_status(true);
    let mut total = 1_210;
    eventually("a trade after that", || {
        total += 100;
        say(&up, 0.06, total, 100);
        let close = last(&server)?["close"].as_f64()?;
        ((close - 0.06).abs() < 1e-9 && calls() > before).then_some(())
    });
    let first = server.get(&format!("/api/candles/{OTC}")).json()[0].clone();
    assert_eq!(first["timestamp"], heard["timestamp"]);
    assert_eq!(
        (&first["open"], &first["low"]),
        (&Value::from(0.05), &Value::from(0.05))
    );
}

/// Zeros, answered by a clock that is so much ahead.
fn its_clock_says(up: &Upstreams, off_ms: i64) {
    let theirs = jiff::Timestamp::from_millisecond(now_ms() + off_ms).unwrap();
    let date = jiff::fmt::rfc2822::DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&theirs)
        .unwrap();
    let zeros = r#"{"candles":[{"open":0,"high":0,"low":0,"close":0,"volume":0,"datetime":4102444800000}]}"#;
    let answer = Fault::Status(200, Some(("Date", date.leak())), zeros);
    up.schwab.0.fault("/pricehistory", answer);
}

#[test]
fn a_clock_that_is_minutes_off_is_told_and_costs_no_minute() {
    at_once([300_000_i64, -300_000], |off_ms| {
        let up = Upstreams::start();
        let server = up.server(&["schwab.nodata_hold=200ms"]);
        let mut client = Quotes::connect(&server.address);
        client.until_status(true);
        client.subscribe(&[OTC]);
        let subscribed = || up.trader.stream.subscribed().contains(OTC).then_some(());
        eventually("the subscription", subscribed);
        its_clock_says(&up, off_ms);
        assert_eq!(last(&server), None);
        let mut total = 1_000;
        eventually("a trade of now", || {
            total += 100;
            its_clock_says(&up, off_ms);
            say_at(&up, now_ms() + off_ms, 0.05, total, 100);
            let minute = last(&server)?["timestamp"].as_i64()?;
            ((minute - now_ms() - off_ms).abs() < 70_000).then_some(())
        });
        eventually("the skew in the health", || {
            let behind = server.get("/api/health").json()["clock_behind_seconds"].as_i64()?;
            ((behind - off_ms / 1_000).abs() <= 15).then_some(())
        });
        let words = if off_ms > 0 {
            "s behind the provider's"
        } else {
            "s ahead of the provider's"
        };
        server.log_has("backend.log", words);
    });
}
