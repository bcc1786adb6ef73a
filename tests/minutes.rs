//! Minutes that were heard of a symbol of which the provider has no candle.

mod kit;

use std::time::Duration;

use kit::upstream::now_ms;
use kit::{Quotes, Server, Upstreams, eventually};
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
    let now = now_ms();
    up.trader.stream.say(&format!(
        r#"42["quote_update",{{"symbol":"{OTC}","last_price":{price},"total_volume":{total},"last_size":{size},"trade_time_ms":{now},"quote_time_ms":{now}}}]"#
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
