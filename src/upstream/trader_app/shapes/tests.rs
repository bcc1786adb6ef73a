//! The contract's names, the page's types and the owner's data, held against the shapes.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ts_rs::TS;

use super::*;

/// What a real trader app says, and in what the page's own tests look as well.
macro_rules! owners {
    ($file:literal) => {
        include_str!(concat!("../../../web/tests/trader/", $file))
    };
}

/// The file that is derived, and what it begins with.
const PAGES_TYPES: &str = "src/web/core/shapes.ts";
const PAGES_HEAD: &str = "// What the trader app says. Derived from `src/upstream/trader_app/shapes` by its tests: change it there, then run\n// `TAPEWARDEN_WRITE_SHAPES=1 cargo test --lib shapes`.\n";

/// Names of a shape as the contract lists them, those that may be missing marked by `?`. An example with all
/// of them reads, has no other, and reads without one if and only if that is optional.
fn holds<T: Serialize + DeserializeOwned>(listed: &str, full: &Value) {
    let what = std::any::type_name::<T>();
    let read = serde_json::from_value::<T>(full.clone()).expect(what);
    let said = serde_json::to_value(&read).unwrap();
    let mut names: Vec<&str> = said
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    let mut wanted: Vec<&str> = listed
        .split(", ")
        .map(|n| n.trim_end_matches('?'))
        .collect();
    names.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(names, wanted, "{what}");
    for name in listed.split(", ") {
        let (plain, optional) = (name.trim_end_matches('?'), name.ends_with('?'));
        let mut without = said.clone();
        without.as_object_mut().unwrap().remove(plain);
        assert_eq!(
            serde_json::from_value::<T>(without).is_ok(),
            optional,
            "{what} without {plain}"
        );
        let mut empty = said.clone();
        empty[plain] = Value::Null;
        let read = serde_json::from_value::<T>(empty);
        assert_eq!(read.is_ok(), optional, "{what} with {plain}: null");
        if let Ok(read) = read {
            let said = serde_json::to_value(&read).unwrap();
            assert!(said.get(plain).is_none(), "{what} says {plain}: null");
        }
    }
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn names_of_what_is_polled_are_the_contracts() {
    let watchlist = value(owners!("watchlist.json"));
    holds::<WatchlistEntry>(
        "symbol, price, high?, gap_percent, volume_ratio, float, runner_status?, quality_score?, has_definitive_catalyst?, llm_analysis?, continuation_play?, runner_quality_score?, runner_pullback_pct?, runner_day1_high?, continuation_data?",
        &watchlist[0],
    );
    holds::<LlmAnalysis>(
        "catalyst_type?, sentiment?, catalyst_strength?, recommendation?",
        &watchlist[0]["llm_analysis"],
    );
    holds::<ContinuationData>(
        "original_gap_percent?, original_catalyst?, day1_volume?, status?",
        &watchlist[0]["continuation_data"],
    );
    holds::<Signal>(
        "symbol, pattern?, signal_type?, entry_price?, stop_loss?, profit_target?, risk_reward_ratio?, gap_percent?, relative_volume?, timestamp?, expires_at?, quantity?, risk_amount?",
        &value(owners!("signals.json"))[0],
    );
    holds::<Position>(
        "symbol, shares?, avg_price?, current_price?, entry_price?, stop_loss?, profit_target?, unrealized_pnl?, unrealized_pnl_percent?, market_value?, warning_level?, entry_time?",
        &value(owners!("positions.json"))[0],
    );
    let mut rotation = value(owners!("rotation.json"));
    rotation["priority_symbols"]
        .as_array_mut()
        .unwrap()
        .truncate(1);
    rotation["error"] = "timeout".into();
    holds::<Rotation>(
        "enabled, priority_count?, priority_symbols?, discovery_slots?, universe_size?, total_promotions?, current_chunk_idx?, chunk_count?, error?",
        &rotation,
    );
    let promoted = &rotation["priority_symbols"][0];
    holds::<Promoted>(
        "symbol, reason, seconds_in_priority, stats_at_promotion",
        promoted,
    );
    holds::<PromotionStats>(
        "tick_count, volume_sum, price_range_pct",
        &promoted["stats_at_promotion"],
    );
    let health = json!({"connected": true, "last_message_seconds_ago": 0.4, "watchdog_kills": 0, "stats": {"quotes": 7}, "error": "timeout"});
    holds::<StreamHealth>(
        "connected, last_message_seconds_ago?, watchdog_kills?, stats?, error?",
        &health,
    );
    holds::<StreamStats>("quotes", &health["stats"]);
}

#[test]
fn names_of_what_lies_in_files_are_the_contracts() {
    let mut runners = value(owners!("runners.json"));
    // The last one is there for the page's sake: it lacks what it must not.
    runners["active_runners"]
        .as_array_mut()
        .unwrap()
        .truncate(2);
    holds::<Runners>(
        "version, last_updated, active_runners, statistics",
        &runners,
    );
    holds::<RunnerStatistics>(
        "total_runners, consolidating, continuation_trade_count",
        &runners["statistics"],
    );
    let runner = &runners["active_runners"][0];
    holds::<Runner>(
        "symbol, first_gap_date, gap_age_days, original_gap_percent, original_catalyst, original_catalyst_details, day1_high, day1_low, day1_close, day1_volume, high_of_move, cumulative_move_percent, current_price, premarket_gap_percent, pullback_percent, status, quality_score, entry_zones, stop_zone",
        runner,
    );
    holds::<EntryZone>(
        "type, price, trigger, description",
        &runner["entry_zones"][0],
    );
    holds::<StopZone>("price, reason", &runner["stop_zone"]);
    let trade = value(owners!("trade_outcomes.jsonl").lines().next().unwrap());
    holds::<Trade>(
        "timestamp, symbol, timeframe, pattern, ai_analysis?, market_context, entry, exit, outcome, metadata?",
        &trade,
    );
    holds::<AiAnalysis>(
        "quality_score, assessment, confidence, context",
        &trade["ai_analysis"],
    );
    holds::<MarketContext>(
        "gap_percent, relative_volume, float, catalyst_type, sentiment, news_count",
        &trade["market_context"],
    );
    holds::<TradeEntry>(
        "price, time, reason, stop_loss, profit_target, risk_reward_ratio, quantity, risk_amount, potential_profit",
        &trade["entry"],
    );
    holds::<TradeExit>("price, time, reason, hold_time_seconds", &trade["exit"]);
    holds::<TradeOutcome>(
        "realized_pnl, realized_pnl_percent, actual_risk_reward, winner, met_ai_expectations",
        &trade["outcome"],
    );
    holds::<TradeMetadata>(
        "account_balance_before, account_balance_after, position_size_percent, trade_number",
        &trade["metadata"],
    );
}

#[test]
fn names_of_what_is_streamed_are_the_contracts() {
    holds::<StreamQuote>(
        "symbol, last_price, bid_price, ask_price, total_volume, last_size, high_price, low_price, open_price, net_change, quote_time_ms, trade_time_ms",
        &json!({"symbol": "VERO", "last_price": 4.87, "bid_price": 4.86, "ask_price": 4.88, "total_volume": 9, "last_size": 1,
            "high_price": 5.62, "low_price": 4.1, "open_price": 4.2, "net_change": 1.87, "quote_time_ms": 2, "trade_time_ms": 1}),
    );
    holds::<VolumeSpike>(
        "symbol, spike_ratio, current_rate_per_min, average_rate_per_min, threshold, first_hour, timestamp",
        &json!({"symbol": "VERO", "spike_ratio": 4.5, "current_rate_per_min": 9e4, "average_rate_per_min": 2e4, "threshold": 3,
            "first_hour": true, "timestamp": 1_773_150_240.5}),
    );
}

#[test]
fn words_are_the_contracts() {
    for (status, word) in [
        (RunnerStatus::Extended, "EXTENDED"),
        (RunnerStatus::Consolidating, "CONSOLIDATING"),
        (RunnerStatus::PullingBack, "PULLING_BACK"),
        (RunnerStatus::BrokenDown, "BROKEN_DOWN"),
    ] {
        assert_eq!(serde_json::to_value(status).unwrap(), word);
    }
    for (reason, word) in [
        (ExitReason::StopLoss, "stop_loss"),
        (ExitReason::ProfitTarget, "profit_target"),
        (ExitReason::EodExit, "eod_exit"),
        (ExitReason::Manual, "manual"),
    ] {
        assert_eq!(serde_json::to_value(reason).unwrap(), word);
    }
    for source in ["stream", "rest", "unavailable", "timeout", "error"] {
        let said = json!({"symbol": "VERO", "vwap": null, "source": source});
        let read: Vwap = serde_json::from_value(said.clone()).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), said);
    }
}

/// A line for each field, what is said of it above it.
fn laid_out(text: &str) -> String {
    let folded = text
        .replace("/**\n * ", "/** ")
        .replace("\n */", " */")
        .replace("= { \n", "= {\n")
        .replace(", };", ",\n};");
    let mut out = String::new();
    let mut inside = false;
    for line in folded.lines().map(str::trim_end) {
        inside &= line != "};";
        if inside {
            out.push_str("  ");
        }
        out.push_str(line);
        out.push('\n');
        inside |= line.ends_with("= {");
    }
    out
}

#[test]
fn the_pages_types_are_derived_from_these() {
    let config = ts_rs::Config::new().with_large_int("number");
    let mut text = PAGES_HEAD.to_owned();
    macro_rules! write_all {
        ($($shape:ty),* $(,)?) => {
            $(
                text.push('\n');
                text.push_str(&<$shape as TS>::docs().unwrap_or_default());
                text.push_str("export ");
                text.push_str(&<$shape as TS>::decl(&config));
                text.push('\n');
            )*
        };
    }
    write_all!(
        WatchlistEntry,
        LlmAnalysis,
        ContinuationData,
        Runners,
        RunnerStatistics,
        Runner,
        RunnerStatus,
        EntryZone,
        StopZone,
        Signal,
        Position,
        Trade,
        AiAnalysis,
        MarketContext,
        TradeEntry,
        TradeExit,
        ExitReason,
        TradeOutcome,
        TradeMetadata,
        Rotation,
        Promoted,
        PromotionStats,
        Vwap,
        VwapSource,
        StreamHealth,
        StreamStats,
        StreamQuote,
        VolumeSpike,
    );
    let text = laid_out(&text);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGES_TYPES);
    if std::env::var_os("TAPEWARDEN_WRITE_SHAPES").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        there == text,
        "{PAGES_TYPES} is not what src/upstream/trader_app/shapes says: run TAPEWARDEN_WRITE_SHAPES=1 cargo test --lib shapes"
    );
}
