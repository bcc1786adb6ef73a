//! Set-ups by known values.

use jiff::civil::date;
use serde_json::{Value, json};

use super::*;

/// A Wednesday, 09:30 in New York.
fn open_ms() -> i64 {
    Session::new().at_ms(date(2026, 2, 4), 9, 30)
}

/// A rise from 4.00 to 4.79 in eighty minutes up to ten minutes after the open.
fn rise() -> Vec<Candle> {
    (0..80_i32)
        .map(|n| {
            let p = 4.0 + 0.01 * f64::from(n);
            Candle {
                at_ms: open_ms() + i64::from(n - 69) * 60_000,
                open: p - 0.01,
                high: p + 0.005,
                low: p - 0.015,
                close: p,
                volume: 10_000,
            }
        })
        .collect()
}

struct Given {
    entry: Value,
    quote: Option<Value>,
    candles: Option<Vec<Candle>>,
    vwap: Option<f64>,
    runner: Option<Value>,
    minutes: i64,
}

impl Given {
    fn of(entry: Value) -> Self {
        Self {
            entry,
            quote: None,
            candles: None,
            vwap: None,
            runner: None,
            minutes: 10,
        }
    }

    fn setup(&self) -> Setup {
        Setup::of(&SetupInputs {
            symbol: &"TOYO".parse().unwrap(),
            entry: self.entry.as_object().unwrap(),
            quote: self.quote.as_ref().and_then(Value::as_object),
            candles: self.candles.as_deref(),
            vwap: self.vwap,
            runner: self.runner.as_ref().and_then(Value::as_object),
            now_ms: open_ms() + self.minutes * 60_000,
        })
    }
}

fn about(got: Option<f64>, want: f64) {
    let got = got.expect("it can be had");
    assert!((got - want).abs() < 1e-6, "{got}, not {want}");
}

#[test]
fn of_nothing_nothing_is_known_and_nothing_is_made_up() {
    let setup = Given::of(json!({"symbol": "TOYO"})).setup();
    let json = serde_json::to_value(&setup).unwrap();
    for (key, value) in json.as_object().unwrap() {
        let known = [
            "symbol", "at_ms", "timing", "pillars", "biases", "catalyst", "health", "exits",
        ];
        assert!(known.contains(&&**key) || value.is_null(), "{key}: {value}");
    }
    assert_eq!(setup.pillars.score, 0.0);
    assert_eq!(setup.biases.alignment.known, 0);
    assert_eq!(setup.exits.overall, None);
    assert_eq!(setup.health.warning(), "");
}

#[test]
fn everything_is_computed_from_a_quote_and_a_series() {
    let setup = Given {
        quote: Some(json!({"lastPrice": 4.8, "highPrice": 5.0, "openPrice": 4.7, "closePrice": 3.7, "totalVolume": 6_000_000})),
        candles: Some(rise()),
        ..Given::of(json!({"gap_percent": 27.0, "volume_ratio": 12.5, "float": 3_000_000, "price": 1.0,
            "llm_analysis": {"catalyst_type": "contract", "catalyst_strength": 6}}))
    }
    .setup();
    about(setup.price, 4.8);
    about(setup.day_high, 5.0);
    about(setup.health.from_high_percent, -4.0);
    about(setup.health.gap_fade_percent, 0.0);
    about(setup.float_rotation_percent, 200.0);
    let vwap = setup.vwap.unwrap();
    assert_eq!(vwap.source, "candles");
    // The mean of typical prices (p + p + 0.005 + p - 0.015) / 3 for p from 4.00 to 4.79.
    about(Some(vwap.price), 4.395 - 0.01 / 3.0);
    assert_eq!(vwap.zone, Some(VwapZone::Red));
    assert_eq!(setup.health.is_chasing, Some(true));
    assert_eq!(setup.health.in_entry_zone, Some(false));
    // On a straight line an average of n closes trails by (n - 1) / 2 steps.
    about(setup.ema9, 4.79 - 0.04);
    about(setup.ema20, 4.79 - 0.095);
    assert_eq!(setup.volume_trend, Some(VolumeTrend::Steady));
    let biases = setup.biases;
    assert_eq!((biases.alignment.bullish, biases.alignment.known), (4, 4));
    let pillars = setup.pillars;
    assert_eq!(pillars.score, 5.0, "{pillars:?}");
    assert_eq!(setup.exits.volume.unwrap().words(), "OK: volume holds");
    let plan = setup.plan.unwrap();
    about(Some(plan.entry), vwap.price);
    assert!(plan.stop < plan.entry && plan.stop <= 4.8 * 0.95);
    about(Some(plan.target_2r), plan.entry + 2.0 * plan.risk);
    about(Some(plan.target_3r), plan.entry + 3.0 * plan.risk);
    about(Some(plan.risk_percent), plan.risk / plan.entry * 100.0);
    assert_eq!(setup.timing.minutes_since_open, 10);
    assert_eq!(setup.timing.time, "09:40 AM");
    assert_eq!(setup.timing.window, "PRIME_TIME");
}

#[test]
fn what_the_trader_app_says_counts_before_what_is_computed() {
    let setup = Given {
        vwap: Some(4.75),
        candles: Some(rise()),
        ..Given::of(json!({"health_status": "cooling", "high": 4.9,
            "health_metrics": {"gap_fade_pct": 12.5, "in_entry_zone": false, "is_chasing": true}}))
    }
    .setup();
    let vwap = setup.vwap.unwrap();
    assert_eq!((vwap.price, vwap.source), (4.75, "trader app"));
    assert_eq!(vwap.zone, Some(VwapZone::Green));
    about(setup.day_high, 4.9);
    about(setup.health.gap_fade_percent, 12.5);
    assert_eq!(setup.health.in_entry_zone, Some(false));
    assert_eq!(setup.health.is_chasing, Some(true));
    assert!(setup.health.warning().contains("COOLING"));
    assert_eq!(
        setup.exits.overall,
        Some("CAUTION"),
        "a cooling one is no hold"
    );
}

#[test]
fn pillars_stand_in_part_and_a_runners_are_of_its_first_day() {
    let of = |entry: Value| Given::of(entry).setup().pillars;
    let part = of(
        json!({"price": 1.5, "volume_ratio": 4, "float": 30e6, "gap_percent": 9,
        "llm_analysis": {"catalyst_strength": 5}}),
    );
    assert_eq!(part.gap, Some(Pass::Fail));
    for one in [part.volume, part.float, part.price, part.catalyst] {
        assert_eq!(one, Some(Pass::Partial));
    }
    assert_eq!(part.score, 2.0);
    let runner = Given {
        runner: Some(json!({"original_gap_percent": 60, "original_catalyst": "FDA_APPROVAL", "gap_age_days": 2,
            "status": "PULLING_BACK", "pullback_percent": 18.25,
            "entry_zones": [{"type": "ema", "price": 4.4, "trigger": "holds the EMA"}, {"price": 4.2}, {"price": 4.0}],
            "stop_zone": {"price": 4.0, "reason": "below day 1"}})),
        ..Given::of(json!({"price": 4.6, "gap_percent": 1}))
    }
    .setup();
    assert_eq!(runner.pillars.gap, Some(Pass::Pass));
    assert_eq!(runner.pillars.catalyst, Some(Pass::Pass));
    assert_eq!(runner.timing.gap_age_days, 2.0);
    let zones = &runner.runner.as_ref().unwrap().entry_zones;
    assert_eq!(zones.len(), 2);
    let plan = runner.plan.unwrap();
    assert_eq!((plan.entry, plan.stop), (4.4, 4.0));
    about(Some(plan.target_2r), 5.2);
}

#[test]
fn a_first_pullback_needs_all_of_its_signs() {
    let given = || Given {
        vwap: Some(5.0),
        candles: Some(rise()),
        minutes: 40,
        ..Given::of(json!({"volume_ratio": 80, "news": [{"title": "x"}]}))
    };
    let found = given().setup().first_pullback.unwrap();
    about(Some(found.vwap_distance_percent), -4.2);
    assert_eq!(found.green_candles, 10);
    let not = |change: fn(&mut Given)| {
        let mut given = given();
        change(&mut given);
        assert_eq!(given.setup().first_pullback, None);
    };
    not(|g| g.minutes = 121);
    not(|g| g.vwap = Some(4.7));
    not(|g| g.vwap = Some(6.0));
    not(|g| g.entry = json!({"volume_ratio": 49, "news": [{}]}));
    not(|g| g.entry = json!({"volume_ratio": 80}));
    not(|g| g.candles = None);
}

#[test]
fn news_count_for_half_an_hour() {
    let at = |minutes: i64| {
        let at = jiff::Timestamp::from_millisecond(open_ms() + minutes * 60_000).unwrap();
        let entry = json!({"realtime_regrade": {"timestamp": at.to_string(), "headline": "h", "previous_score": 5, "new_score": 8}});
        Given::of(entry).setup().catalyst.boost
    };
    let fresh = at(-5).unwrap();
    assert!(fresh.is_upgrade());
    assert_eq!(fresh.minutes_ago, 15);
    assert_eq!(at(-21), None);
}

#[test]
fn only_the_last_trading_day_counts() {
    let mut candles = rise();
    let mut before = candles[0];
    before.at_ms -= 86_400_000;
    before.low = 0.5;
    candles.insert(0, before);
    let setup = Given {
        candles: Some(candles),
        ..Given::of(json!({}))
    }
    .setup();
    let near = setup.support.unwrap();
    assert!(near.price > 3.9, "{near:?}");
}

#[test]
fn the_day_has_its_windows_and_its_freshness() {
    let at = |minutes| {
        let mut given = Given::of(json!({}));
        given.minutes = minutes;
        let timing = given.setup().timing;
        (timing.window, timing.freshness, timing.minutes_since_open)
    };
    use Freshness::{Aging, Expired, Fresh, Stale};
    assert_eq!(at(-60), ("PREMARKET", Fresh, 0));
    assert_eq!(at(59), ("PRIME_TIME", Fresh, 59));
    assert_eq!(at(60), ("MORNING", Aging, 60));
    assert_eq!(at(150), ("LUNCH", Stale, 150));
    assert_eq!(at(300), ("AFTERNOON", Expired, 300));
    assert_eq!(at(389), ("POWER_HOUR", Expired, 389));
    assert_eq!(at(390), ("AFTER_HOURS", Expired, 390));
}
