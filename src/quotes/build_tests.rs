//! Candles from quotes: the odd cases one by one, and random tapes against a plain reckoning.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

/// 2026-03-06, 10:00 New York, and a little.
const T0: i64 = 1_772_809_200_000;

fn quote(trade_ms: i64, price: f64, total: f64) -> Quote {
    let fields: Map<String, Value> = [
        ("last_price", json!(price)),
        ("trade_time_ms", json!(trade_ms)),
        ("total_volume", json!(total)),
    ]
    .into_iter()
    .map(|(k, v)| (k.to_owned(), v))
    .collect();
    Quote {
        symbol: "TOYO".parse().unwrap(),
        fields,
    }
}

fn minutes(build: &mut Build, now_ms: i64) -> Vec<Candle> {
    let news = build.news(now_ms, true);
    news.first()
        .map(|(_, live)| live.minutes.to_vec())
        .unwrap_or_default()
}

#[test]
fn trades_become_candles_with_the_volume_between_two_quotes() {
    let mut build = Build::default();
    build.quote(&quote(T0 - 120_000, 1.0, 100.0), T0 + 1_000);
    assert!(
        minutes(&mut build, T0).is_empty(),
        "traded before we listened"
    );
    build.quote(&quote(T0 + 2_000, 2.0, 150.0), T0 + 2_000);
    build.quote(&quote(T0 + 3_000, 1.5, 170.0), T0 + 3_000);
    build.quote(&quote(T0 + 61_000, 3.0, 175.0), T0 + 61_000);
    let got = minutes(&mut build, T0);
    let first = Candle {
        at_ms: T0,
        open: 2.0,
        high: 2.0,
        low: 1.5,
        close: 1.5,
        volume: 70,
    };
    assert_eq!(got[0], first);
    assert_eq!((got[1].at_ms, got[1].volume), (T0 + 60_000, 5));
    assert!(build.news(T0, false).is_empty(), "told once");
}

#[test]
fn a_late_trade_widens_its_own_minute_and_moves_no_close() {
    let mut build = Build::default();
    for (at, price, total) in [(0, 2.0, 10.0), (61_000, 3.0, 20.0), (59_000, 9.0, 15.0)] {
        build.quote(&quote(T0 + at, price, total), T0 + at);
    }
    let got = minutes(&mut build, T0);
    assert_eq!((got[0].high, got[0].close, got[0].volume), (9.0, 2.0, 0));
    assert_eq!((got[1].close, got[1].volume), (3.0, 10));
    build.quote(&quote(T0 + 62_000, 3.0, 22.0), T0 + 62_000);
    assert_eq!(minutes(&mut build, T0)[1].volume, 12, "counted once");
}

#[test]
fn a_volume_that_falls_was_reset_and_counts_from_there() {
    let mut build = Build::default();
    for (at, total) in [(0, 5_000.0), (1_000, 0.0), (2_000, 30.0)] {
        build.quote(&quote(T0 + at, 2.0, total), T0 + at);
    }
    assert_eq!(minutes(&mut build, T0)[0].volume, 30);
}

#[test]
fn snapshots_nonsense_and_closed_hours_make_no_candle() {
    let mut build = Build::default();
    let night = T0 + 11 * 3_600_000;
    for (at, price) in [
        (0, 2.0),
        (T0, 0.0),
        (T0 + 120_000, 2.0),
        (night, 2.0),
        (T0, -1.0),
    ] {
        build.quote(&quote(at, price, 1.0), T0 + 1_000);
    }
    build.quote(&quote(T0, 2.0, f64::NAN), T0 + 1_000);
    assert_eq!(
        minutes(&mut build, T0).len(),
        1,
        "only the last has a trade"
    );
}

#[test]
fn a_lost_source_begins_anew_and_the_unwanted_is_forgotten() {
    let mut build = Build::default();
    build.quote(&quote(T0, 2.0, 1.0), T0);
    build.lost();
    assert!(build.news(T0, true).is_empty());
    build.quote(&quote(T0 + 5_000, 2.0, 9.0), T0 + 6_000);
    assert_eq!(build.news(T0 + 7_000, true)[0].1.since_ms, T0 + 6_000);
    build.keep(&Wanted::default());
    assert!(build.news(T0, true).is_empty());
}

#[test]
fn the_day_follows_the_quotes_own_fields() {
    let mut build = Build::default();
    let mut q = quote(T0, 2.0, 77.0);
    for (field, value) in [("open_price", 1.0), ("high_price", 3.0), ("low_price", 0.5)] {
        q.fields.insert(field.into(), json!(value));
    }
    build.quote(&q, T0);
    let day = build.news(T0, true)[0].1.day.unwrap();
    assert_eq!((day.open, day.high, day.low), (1.0, 3.0, 0.5));
    assert_eq!((day.close, day.volume), (2.0, 77));
    // Midnight in Chicago.
    assert_eq!((T0 - day.at_ms) / 3_600_000, 9);
}

proptest! {
    #[test]
    fn in_order_a_candle_is_what_its_trades_say(
        trades in prop::collection::vec((0_i64..40_000, 1_u32..1_000, 0_u32..500), 1..80)
    ) {
        let mut build = Build::default();
        build.quote(&quote(T0 - 120_000, 1.0, 0.0), T0 - 1);
        let (mut at, mut total) = (T0, 0.0);
        let mut want: Vec<Candle> = Vec::new();
        for (later, price, size) in trades {
            at += later;
            total += f64::from(size);
            let price = f64::from(price) / 100.0;
            build.quote(&quote(at, price, total), at);
            let minute = at - at % 60_000;
            match want.last_mut() {
                Some(c) if c.at_ms == minute => {
                    c.high = c.high.max(price);
                    c.low = c.low.min(price);
                    c.close = price;
                    c.volume += u64::from(size);
                }
                _ => want.push(Candle {
                    at_ms: minute, open: price, high: price, low: price, close: price,
                    volume: u64::from(size),
                }),
            }
        }
        let told = want.len().saturating_sub(MINUTES_TOLD);
        let got = minutes(&mut build, at);
        prop_assert_eq!(&got[..], &want[told..]);
    }

    #[test]
    fn no_order_of_quotes_breaks_a_candle(
        quotes in prop::collection::vec((-100_000_i64..400_000, -5.0_f64..50.0, -5.0_f64..1e19), 0..80)
    ) {
        let mut build = Build::default();
        for (at, price, total) in quotes {
            build.quote(&quote(T0 + at, price, total), T0 + at.max(0));
        }
        let got = minutes(&mut build, T0);
        prop_assert!(got.is_sorted_by(|a, b| a.at_ms < b.at_ms) && got.len() <= MINUTES_TOLD);
        for c in got {
            prop_assert!(c.low <= c.open && c.open <= c.high && c.low <= c.close && c.close <= c.high);
        }
    }
}
