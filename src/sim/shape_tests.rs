//! What the embedded market says in the trader app's place, held against the shapes of what a trader app
//! says: no field is missing, and none is there that the shapes do not have.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::date;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::PACES;
use super::listings::LISTINGS;
use super::market::Market;
use super::tests::{Client, World, until, world, world_at};
use crate::market::Session;
use crate::upstream::trader_app::shapes::{
    Position, Rotation, Runners, Signal, StreamHealth, StreamQuote, Trade, VolumeSpike, Vwap,
    WatchlistEntry,
};

/// Every place of a value: `[].entry.price`.
fn places(value: &Value, at: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(name, inner)| {
            into.insert(format!("{at}.{name}"));
            places(inner, &format!("{at}.{name}"), into);
        }),
        Value::Array(list) => list
            .iter()
            .for_each(|inner| places(inner, &format!("{at}[]"), into)),
        _ => {}
    }
}

/// Reads a shape that must have all that the value has, and nothing beyond.
fn exactly<T: Serialize + DeserializeOwned>(value: &Value) -> T {
    let read: T =
        serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("{e}: {value:#}"));
    let (mut said, mut known) = (BTreeSet::new(), BTreeSet::new());
    places(value, "", &mut said);
    places(&serde_json::to_value(&read).unwrap(), "", &mut known);
    assert_eq!(said, known, "{}", std::any::type_name::<T>());
    read
}

fn get<T: Serialize + DeserializeOwned>(w: &World, path: &str) -> T {
    let (status, body) = w.trader(path);
    assert_eq!(status, 200, "{path}");
    exactly(&body)
}

fn file(w: &World, name: &str) -> String {
    let path = w.sim.data_dir.join(name);
    until(name, || path.exists());
    std::fs::read_to_string(path).unwrap()
}

/// The file once something runs; the first one says that nothing does.
fn runners(w: &World) -> Runners {
    let mut last = None;
    until("a runner", || {
        let now: Value = serde_json::from_str(&file(w, "runners.json")).unwrap();
        last = Some(exactly::<Runners>(&now));
        last.as_ref().is_some_and(|r| !r.active_runners.is_empty())
    });
    last.unwrap()
}

/// Before the opening, in the morning, at noon, in the evening.
fn times() -> [World; 4] {
    [(8, 0), (9, 45), (12, 30), (17, 0)].map(|(hour, minute)| world(hour, minute, None, PACES))
}

#[test]
fn every_polled_answer_has_the_trader_apps_shape() {
    for w in times() {
        let watchlist: Vec<WatchlistEntry> = get(&w, "/api/watchlist");
        assert!(watchlist.iter().any(|e| e.llm_analysis.is_some()));
        assert!(watchlist.iter().any(|e| e.continuation_data.is_some()));
        assert!(watchlist.iter().any(|e| e.volume_ratio > 1.0));
        for e in &watchlist {
            assert!((0.0..=10.0).contains(&e.quality_score.unwrap()), "{e:?}");
            assert!(e.price > 0.0 && e.volume_ratio >= 0.0 && e.float > 1_000_000);
            let strength = e.llm_analysis.as_ref().and_then(|a| a.catalyst_strength);
            assert_eq!(
                e.has_definitive_catalyst,
                Some(strength.is_some_and(|s| s >= 7.0))
            );
        }
        // Who reads of a runner finds it in the watchlist as well.
        for r in runners(&w).active_runners {
            let entry = watchlist.iter().find(|e| e.symbol == r.symbol).unwrap();
            let begun = entry.continuation_data.as_ref().unwrap();
            assert_eq!(begun.original_catalyst, Some(r.original_catalyst));
            assert_eq!(entry.continuation_play, Some(r.gap_age_days > 0));
            assert!(entry.runner_status.is_some() && entry.runner_quality_score.is_some());
        }
        for s in get::<Vec<Signal>>(&w, "/api/signals") {
            assert!(s.stop_loss < s.entry_price && s.entry_price < s.profit_target);
            assert!(s.timestamp < s.expires_at && s.pattern.is_some());
        }
        let positions: Vec<Position> = get(&w, "/api/positions");
        let symbols: BTreeSet<&str> = positions.iter().map(|p| p.symbol.as_str()).collect();
        assert_eq!(
            symbols.len(),
            positions.len(),
            "a symbol stands there twice"
        );
        for p in &positions {
            assert!(p.stop_loss < p.entry_price && p.unrealized_pnl.is_some());
        }
        let rotation: Rotation = get(&w, "/api/streaming/rotation");
        let promoted = rotation.priority_symbols.unwrap();
        assert_eq!(rotation.priority_count, Some(promoted.len() as u64));
        assert!(rotation.current_chunk_idx < rotation.chunk_count);
        let health: StreamHealth = get(&w, "/api/streaming/health");
        assert!(health.connected && health.last_message_seconds_ago.is_some());
        assert!(health.stats.is_some() && health.watchdog_kills.is_some());
        for listing in LISTINGS {
            let path = format!("/api/vwap/{}", listing.symbol.replace('/', "%2F"));
            assert_eq!(get::<Vwap>(&w, &path).symbol, listing.symbol);
        }
        assert!(get::<BTreeMap<String, Vwap>>(&w, "/api/vwap").len() > 10);
    }
}

#[test]
fn in_the_morning_every_list_has_something() {
    let w = world(9, 45, None, PACES);
    assert!(!get::<Vec<Signal>>(&w, "/api/signals").is_empty());
    assert!(!get::<Vec<Position>>(&w, "/api/positions").is_empty());
    let rotation: Rotation = get(&w, "/api/streaming/rotation");
    assert!(!rotation.priority_symbols.unwrap().is_empty());
}

#[test]
fn both_files_have_the_trader_apps_shape() {
    for w in times() {
        let first: Value = serde_json::from_str(&file(&w, "runners.json")).unwrap();
        exactly::<Runners>(&first);
        let then = runners(&w);
        assert_eq!(
            then.statistics.total_runners,
            then.active_runners.len() as u64
        );
        let text = file(&w, "paper_trading/trade_outcomes.jsonl");
        let trades: Vec<Trade> = text
            .lines()
            .map(|line| exactly(&serde_json::from_str(line).unwrap()))
            .collect();
        assert!(trades.len() > 100);
        assert!(trades.iter().any(|t| t.ai_analysis.is_some()));
        assert!(trades.iter().any(|t| t.ai_analysis.is_none()));
        let reasons: BTreeSet<String> = trades
            .iter()
            .map(|t| format!("{:?}", t.exit.reason))
            .collect();
        assert_eq!(reasons.len(), 4, "{reasons:?}");
    }
}

#[test]
fn events_of_the_stream_have_the_trader_apps_shape() {
    /// What Schwab's stream has as well.
    const BESIDE: [&str; 3] = ["bid_size", "ask_size", "close_price"];
    let w = world_at(before_a_spike(), None, PACES);
    let mut client = Client::open(&w.sim.stream_url);
    let symbols: Vec<&str> = LISTINGS.iter().map(|l| l.symbol).collect();
    client.subscribe(&symbols);
    let mut merged: BTreeMap<String, Value> = BTreeMap::new();
    let (mut quotes, mut spikes) = (0, 0);
    while quotes < 200 || spikes == 0 {
        assert!(quotes < 4_000, "no volume spike");
        let text = client.next();
        let Some(event) = text.strip_prefix("42") else {
            continue;
        };
        let event: Value = serde_json::from_str(event).unwrap();
        let said = event[1].as_object().unwrap().clone();
        let symbol = said["symbol"].as_str().unwrap().to_owned();
        if event[0] == "volume_spike" {
            let spike: VolumeSpike = exactly(&event[1]);
            assert!(spike.timestamp > 1e9 && spike.spike_ratio >= spike.threshold);
            spikes += 1;
        } else {
            let whole = merged
                .entry(symbol)
                .or_insert_with(|| Value::Object(Default::default()));
            whole.as_object_mut().unwrap().extend(said);
            let mut plain = whole.clone();
            for name in BESIDE {
                assert!(plain.as_object_mut().unwrap().remove(name).is_some());
            }
            exactly::<StreamQuote>(&plain);
            quotes += 1;
        }
    }
}

/// A moment in the regular session of the tests' day, some seconds before a spike.
fn before_a_spike() -> i64 {
    let session = Session::new();
    let day = date(2026, 3, 10);
    let (from, to) = (session.at_ms(day, 10, 0), session.at_ms(day, 15, 0));
    Market::new(1).spikes(from, to)[0].at_ms - 8_000
}

#[test]
fn a_provider_quote_has_the_names_that_clients_read() {
    let w = world(9, 45, None, PACES);
    for listing in LISTINGS {
        let (_, body) = w.schwab(&format!("/{}/quotes", listing.symbol.replace('/', "%2F")));
        let quote = &body[listing.symbol]["quote"];
        for name in [
            "lastPrice",
            "bidPrice",
            "askPrice",
            "totalVolume",
            "highPrice",
            "lowPrice",
            "openPrice",
            "closePrice",
            "netChange",
            "quoteTime",
            "tradeTime",
        ] {
            assert!(quote[name].is_number(), "{name} of {}", listing.symbol);
        }
    }
}
