//! Candles from quotes: the odd cases one by one, and random trades against a plain reckoning.

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

fn minutes(build: &mut CandleBuilder, now_ms: i64) -> Vec<Candle> {
    let news = build.updates(now_ms, true);
    news.first()
        .map(|(_, live)| [live.earlier.to_vec(), live.minutes.to_vec()].concat())
        .unwrap_or_default()
}

#[test]
fn trades_become_candles_with_the_volume_between_two_quotes() {
    let mut build = CandleBuilder::default();
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
    assert!(build.updates(T0, false).is_empty(), "told once");
}

#[test]
fn a_late_trade_widens_its_own_minute_and_moves_no_close() {
    let mut build = CandleBuilder::default();
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
    let mut build = CandleBuilder::default();
    for (at, total) in [(0, 5_000.0), (1_000, 0.0), (2_000, 30.0)] {
        build.quote(&quote(T0 + at, 2.0, total), T0 + at);
    }
    assert_eq!(minutes(&mut build, T0)[0].volume, 30);
}

#[test]
fn snapshots_nonsense_and_what_is_to_come_make_no_candle() {
    let mut build = CandleBuilder::default();
    let to_come = T0 + 11 * 3_600_000;
    for (at, price) in [
        (0, 2.0),
        (T0, 0.0),
        (T0 + 120_000, 2.0),
        (to_come, 2.0),
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
    let mut build = CandleBuilder::default();
    build.quote(&quote(T0, 2.0, 1.0), T0);
    build.lost();
    assert!(build.updates(T0, true).is_empty());
    build.quote(&quote(T0 + 65_000, 3.0, 9.0), T0 + 66_000);
    assert_eq!(build.updates(T0 + 67_000, true)[0].1.since_ms, T0 + 66_000);
    let closes: Vec<f64> = minutes(&mut build, T0 + 67_000)
        .iter()
        .map(|c| c.close)
        .collect();
    assert_eq!(closes, [2.0, 3.0], "what was heard before stays");
    build.keep(&Wanted::default());
    assert!(build.updates(T0, true).is_empty());
}

#[test]
fn what_is_heard_at_night_and_at_the_weekend_is_a_candle_too() {
    for later in [11 * 3_600_000, 30 * 3_600_000] {
        let mut build = CandleBuilder::default();
        let at = T0 + later;
        build.quote(&quote(at, 2.0, 9.0), at);
        assert_eq!(minutes(&mut build, at).len(), 1, "{later}");
    }
}

fn sized(symbol: &str, trade_ms: i64, price: f64, total: f64, size: u32) -> Quote {
    let mut quote = quote(trade_ms, price, total);
    quote.symbol = symbol.parse().unwrap();
    quote.fields.insert("last_size".into(), json!(size));
    quote
}

#[test]
fn an_odd_lot_moves_the_volume_alone() {
    let mut build = CandleBuilder::default();
    for (at, price, total, size) in [
        (0, 5.0, 1_000.0, 100),
        (1_000, 9.99, 1_005.0, 5),
        (2_000, 0.5, 1_104.0, 99),
        // A minute of odd lots alone stands where the one before closed.
        (60_000, 9.0, 1_114.0, 10),
        (61_000, 8.0, 1_124.0, 10),
        // Until there is a round lot.
        (120_000, 7.0, 1_125.0, 1),
        (121_000, 6.0, 1_325.0, 200),
        (122_000, 6.5, 1_425.0, 100),
    ] {
        build.quote(&sized("TOYO", T0 + at, price, total, size), T0 + at);
    }
    let got: Vec<_> = minutes(&mut build, T0)
        .iter()
        .map(|c| ([c.open, c.high, c.low, c.close], c.volume))
        .collect();
    let want = [([5.0; 4], 104), ([5.0; 4], 20), ([6.0, 6.5, 6.0, 6.5], 301)];
    assert_eq!(got, want);
}

#[test]
fn what_is_an_odd_lot_goes_by_the_price_and_by_what_is_traded() {
    for (symbol, price, size, moves) in [
        ("TOYO", 250.0, 40, false),
        ("TOYO", 300.0, 40, true),
        ("TOYO", 300.0, 39, false),
        ("TOYO", 5_000.0, 10, true),
        ("TOYO", 700_000.0, 1, true),
        ("/ES", 100.0, 1, true),
        ("TOYO", 250.0, 0, true),
    ] {
        let mut build = CandleBuilder::default();
        build.quote(&sized(symbol, T0, price - 1.0, 1_000.0, 100), T0);
        build.quote(&sized(symbol, T0 + 1, price, 1_001.0, size), T0 + 1);
        let high = minutes(&mut build, T0)[0].high;
        assert_eq!(high > price - 1.0, moves, "{symbol} {price} {size}");
    }
}

#[test]
fn an_index_has_minutes_at_and_below_zero() {
    let mut build = CandleBuilder::default();
    for (at, price) in [(0, -412.0), (1_000, 0.0)] {
        let mut quote = quote(T0 + at, price, 0.0);
        quote.symbol = "$TICK".parse().unwrap();
        build.quote(&quote, T0 + at);
    }
    let got = minutes(&mut build, T0)[0];
    assert_eq!((got.low, got.high, got.close), (-412.0, 0.0, 0.0));
}

#[test]
fn the_day_s_close_is_no_odd_lot_s_price() {
    let mut build = CandleBuilder::default();
    for (size, price) in [(100, 2.0), (5, 2.9)] {
        let mut q = sized("TOYO", T0, price, 77.0, size);
        for (field, value) in [("open_price", 1.0), ("high_price", 3.0), ("low_price", 0.5)] {
            q.fields.insert(field.into(), json!(value));
        }
        build.quote(&q, T0);
    }
    assert_eq!(build.updates(T0, true)[0].1.day.unwrap().close, 2.0);
}

#[test]
fn the_whole_day_is_told_and_the_part_that_is_over_is_shared() {
    let mut build = CandleBuilder::default();
    let at = |m: i64| T0 + m * 60_000;
    for m in 0..100 {
        build.quote(&quote(at(m), 2.0, m as f64), at(m));
    }
    let told = |build: &mut CandleBuilder| build.updates(at(99), true).remove(0).1;
    let first = told(&mut build);
    assert_eq!((first.earlier.len(), first.minutes.len()), (80, 20));
    build.quote(&quote(at(99) + 1, 3.0, 101.0), at(99) + 1);
    let second = told(&mut build);
    assert!(Arc::ptr_eq(&first.earlier, &second.earlier));
    assert_eq!(second.minutes[19].close, 3.0);
    // A late trade in the part that is over.
    build.quote(&quote(at(10), 9.0, 100.0), at(99) + 2);
    assert_eq!(told(&mut build).earlier[10].high, 9.0);
    // The next day.
    let next = T0 + 3 * 86_400_000;
    build.quote(&quote(next, 2.0, 1.0), next);
    assert_eq!(minutes(&mut build, next).len(), 1);
}

#[test]
fn the_day_follows_the_quotes_own_fields() {
    let mut build = CandleBuilder::default();
    let mut q = quote(T0, 2.0, 77.0);
    for (field, value) in [("open_price", 1.0), ("high_price", 3.0), ("low_price", 0.5)] {
        q.fields.insert(field.into(), json!(value));
    }
    build.quote(&q, T0);
    let day = build.updates(T0, true)[0].1.day.unwrap();
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
        let mut build = CandleBuilder::default();
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
        prop_assert_eq!(&minutes(&mut build, at)[..], &want[..]);
    }

    #[test]
    fn no_order_of_quotes_breaks_a_candle(
        quotes in prop::collection::vec((-100_000_i64..400_000, -5.0_f64..50.0, -5.0_f64..1e19), 0..80)
    ) {
        let mut build = CandleBuilder::default();
        for (at, price, total) in quotes {
            build.quote(&quote(T0 + at, price, total), T0 + at.max(0));
        }
        let got = minutes(&mut build, T0);
        prop_assert!(got.is_sorted_by(|a, b| a.at_ms < b.at_ms) && got.len() <= MINUTES_MAX);
        for c in got {
            prop_assert!(c.low <= c.open && c.open <= c.high && c.low <= c.close && c.close <= c.high);
        }
    }
}
