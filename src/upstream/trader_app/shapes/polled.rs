//! What is polled: watchlist, signals, positions, VWAP, the stream's health and the rotation.

use serde::{Deserialize, Serialize};

use super::RunnerStatus;

/// A row of `/api/watchlist`: a stock that the trader app looks at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields = nullable))]
pub struct WatchlistEntry {
    /// Upper case.
    pub symbol: String,
    /// Last price, in dollars.
    pub price: f64,
    /// Highest price of the day so far, in dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// How far it stands or opened above the close before: 62.4 is 62.4 %.
    pub gap_percent: f64,
    /// Volume so far against what is usual by this time of day: 5.0 is five times as much.
    pub volume_ratio: f64,
    /// Shares that can be traded.
    pub float: u64,
    /// Where its move stands, if it has gone on for days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runner_status: Option<RunnerStatus>,
    /// How good the set-up is, 0 to 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality_score: Option<f64>,
    /// Whether there is a known reason for its move.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub has_definitive_catalyst: Option<bool>,
    /// What a language model made of the news.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub llm_analysis: Option<LlmAnalysis>,
    /// Whether it is traded as a move of several days rather than a fresh gap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continuation_play: Option<bool>,
    /// As the runner's `quality_score`, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runner_quality_score: Option<f64>,
    /// As the runner's `pullback_percent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runner_pullback_pct: Option<f64>,
    /// As the runner's `day1_high`, in dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runner_day1_high: Option<f64>,
    /// How the move of several days began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continuation_data: Option<ContinuationData>,
}

/// What a language model made of a stock's news.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields = nullable))]
pub struct LlmAnalysis {
    /// Such as `CONTRACT`, `EARNINGS`, `FDA_APPROVAL`, `SEC_8K_OTHER`, `UNKNOWN`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catalyst_type: Option<String>,
    /// Such as `positive`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentiment: Option<String>,
    /// 1 to 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catalyst_strength: Option<f64>,
    /// A sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recommendation: Option<String>,
}

/// How a move of several days began, as the watchlist tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields = nullable))]
pub struct ContinuationData {
    /// Gap of the first day, in percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_gap_percent: Option<f64>,
    /// As `catalyst_type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original_catalyst: Option<String>,
    /// Shares traded on the first day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day1_volume: Option<u64>,
    /// Where the move stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<RunnerStatus>,
}

/// A row of `/api/signals`: a set-up that the trader app would trade.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields = nullable))]
pub struct Signal {
    /// Upper case.
    pub symbol: String,
    /// Such as `first_pullback`, `vwap_bounce`, `opening_range_breakout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Such as `BUY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal_type: Option<String>,
    /// In dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_price: Option<f64>,
    /// In dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_loss: Option<f64>,
    /// In dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profit_target: Option<f64>,
    /// Dollars to win for each one at risk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk_reward_ratio: Option<f64>,
    /// As in the watchlist.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap_percent: Option<f64>,
    /// As the watchlist's `volume_ratio`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relative_volume: Option<f64>,
    /// ISO time at which it came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<String>,
    /// ISO time from which on it is void.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Shares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<u64>,
    /// Dollars at risk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk_amount: Option<f64>,
}

/// A row of `/api/positions`: shares that the trader app holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields = nullable))]
pub struct Position {
    /// Upper case.
    pub symbol: String,
    /// How many; negative for a short position.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares: Option<i64>,
    /// Dollars paid for each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avg_price: Option<f64>,
    /// In dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_price: Option<f64>,
    /// Of the first purchase, in dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_price: Option<f64>,
    /// In dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_loss: Option<f64>,
    /// In dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profit_target: Option<f64>,
    /// Dollars won or lost so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unrealized_pnl: Option<f64>,
    /// The same, in percent of what was paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unrealized_pnl_percent: Option<f64>,
    /// In dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub market_value: Option<f64>,
    /// `healthy`, or another word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning_level: Option<String>,
    /// ISO time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_time: Option<String>,
}

/// `/api/vwap/{symbol}`, and a value of `/api/vwap`: the volume-weighted average price since 04:00.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields = nullable))]
pub struct Vwap {
    /// Upper case.
    pub symbol: String,
    /// In dollars; null where there is none.
    #[cfg_attr(test, ts(type = "number | null"))]
    pub vwap: Option<f64>,
    /// Where it comes from, or why there is none.
    pub source: VwapSource,
    /// Whether it is old.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale: Option<bool>,
}

/// Where a VWAP comes from, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum VwapSource {
    /// Computed from the stream.
    Stream,
    /// Asked for.
    Rest,
    /// There is none, or the trader app is away.
    Unavailable,
    /// The trader app is too slow.
    Timeout,
    /// The trader app's answer is an error or unusable.
    Error,
}

/// `/api/streaming/health`: whether quotes reach the trader app. Where it gives nothing, `connected`
/// is false and `error` says why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields = nullable))]
pub struct StreamHealth {
    /// Whether its own stream is up.
    pub connected: bool,
    /// Age of the newest quote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_message_seconds_ago: Option<f64>,
    /// How often it ended a stream that was silent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watchdog_kills: Option<u64>,
    /// Counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stats: Option<StreamStats>,
    /// `trader_app_unavailable`, `trader_app_error`, `timeout` or `fetch_error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Counts of the trader app's stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct StreamStats {
    /// Quotes so far.
    pub quotes: u64,
}

/// `/api/streaming/rotation`: which symbols are streamed always, and how the others take turns. Where
/// the trader app gives nothing, `enabled` is false and `error` says why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields = nullable))]
pub struct Rotation {
    /// Whether symbols take turns.
    pub enabled: bool,
    /// Symbols that are streamed always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_count: Option<u64>,
    /// Those that were promoted because something happened in them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_symbols: Option<Vec<Promoted>>,
    /// Symbols streamed in one turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discovery_slots: Option<u64>,
    /// All symbols.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub universe_size: Option<u64>,
    /// Promotions so far.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_promotions: Option<u64>,
    /// Which turn it is, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_chunk_idx: Option<u64>,
    /// Turns in a round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk_count: Option<u64>,
    /// `trader_app_unavailable`, `trader_app_error`, `timeout` or `fetch_error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A symbol that is streamed always because something happened in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Promoted {
    /// Upper case.
    pub symbol: String,
    /// Such as `volume+price_range`.
    pub reason: String,
    /// Since its promotion.
    pub seconds_in_priority: f64,
    /// What happened.
    pub stats_at_promotion: PromotionStats,
}

/// What a symbol did in the turn in which it was promoted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct PromotionStats {
    /// Quotes.
    pub tick_count: u64,
    /// Shares traded.
    pub volume_sum: u64,
    /// From the lowest to the highest price, in percent of the lowest.
    pub price_range_pct: f64,
}
