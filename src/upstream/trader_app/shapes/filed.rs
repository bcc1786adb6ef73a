//! What lies in the trader app's files: runners and the trade history.

use serde::{Deserialize, Serialize};

/// The file `runners.json`, and `/api/runners`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Runners {
    /// Of the file's format.
    pub version: String,
    /// ISO time.
    pub last_updated: String,
    /// Moves that have gone on since an earlier day, or began today.
    pub active_runners: Vec<Runner>,
    /// Counts over them.
    pub statistics: RunnerStatistics,
}

/// Counts over all runners.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct RunnerStatistics {
    /// How many there are.
    pub total_runners: u64,
    /// How many of them stand still.
    pub consolidating: u64,
    /// Trades made in moves of several days.
    pub continuation_trade_count: u64,
}

/// A stock whose move goes on for days.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct Runner {
    /// Upper case.
    pub symbol: String,
    /// ISO date of the first day.
    pub first_gap_date: String,
    /// Trading days since then; 0 on the first.
    pub gap_age_days: u64,
    /// Gap of the first day, in percent.
    pub original_gap_percent: f64,
    /// As `catalyst_type`.
    pub original_catalyst: String,
    /// A sentence.
    pub original_catalyst_details: String,
    /// The first day's highest price, in dollars.
    pub day1_high: f64,
    /// Its lowest.
    pub day1_low: f64,
    /// Its last, so far while it lasts.
    pub day1_close: f64,
    /// Shares traded on it.
    pub day1_volume: u64,
    /// Highest price since, in dollars.
    pub high_of_move: f64,
    /// From the close before the first day to the current price, in percent.
    pub cumulative_move_percent: f64,
    /// In dollars.
    pub current_price: f64,
    /// How far today's first trades stood above the close before, in percent.
    pub premarket_gap_percent: f64,
    /// How far the price lies below `day1_high`, in percent; negative above it.
    pub pullback_percent: f64,
    /// Where the move stands.
    pub status: RunnerStatus,
    /// 0 to 100.
    pub quality_score: f64,
    /// Prices at which to buy.
    pub entry_zones: Vec<EntryZone>,
    /// Where the move would be over.
    pub stop_zone: StopZone,
}

/// Where a move of several days stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RunnerStatus {
    /// Above the first day's high.
    Extended,
    /// A little below it.
    Consolidating,
    /// Well below it.
    PullingBack,
    /// Where the move is over.
    BrokenDown,
}

/// A price at which to buy a runner.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct EntryZone {
    /// Such as `prior_day_high`, `pullback_support`.
    #[serde(rename = "type")]
    pub kind: String,
    /// In dollars.
    pub price: f64,
    /// What must happen there.
    pub trigger: String,
    /// A sentence.
    pub description: String,
}

/// The price at which a runner's move would be over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct StopZone {
    /// In dollars.
    pub price: f64,
    /// Why there.
    pub reason: String,
}

/// A line of `paper_trading/trade_outcomes.jsonl`, and an entry of `/api/trade-history`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields = nullable))]
pub struct Trade {
    /// ISO time at which it was written.
    pub timestamp: String,
    /// Upper case.
    pub symbol: String,
    /// Minutes of the candles on which it was decided.
    pub timeframe: u64,
    /// As a signal's.
    pub pattern: String,
    /// What a language model thought of it beforehand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ai_analysis: Option<AiAnalysis>,
    /// How the stock stood at the entry.
    pub market_context: MarketContext,
    /// The purchase.
    pub entry: TradeEntry,
    /// The sale.
    pub exit: TradeExit,
    /// What came of it.
    pub outcome: TradeOutcome,
    /// What it did to the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<TradeMetadata>,
}

/// What a language model thought of a trade beforehand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct AiAnalysis {
    /// 0 to 10.
    pub quality_score: f64,
    /// A word.
    pub assessment: String,
    /// 0 to 100.
    pub confidence: f64,
    /// A sentence.
    pub context: String,
}

/// How the stock stood when a trade was entered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct MarketContext {
    /// As in the watchlist.
    pub gap_percent: f64,
    /// As the watchlist's `volume_ratio`.
    pub relative_volume: f64,
    /// Shares that can be traded.
    pub float: u64,
    /// As in the watchlist's analysis.
    pub catalyst_type: String,
    /// As in the watchlist's analysis.
    pub sentiment: String,
    /// How many pieces of news there were.
    pub news_count: u64,
}

/// A trade's purchase, as it was planned and made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TradeEntry {
    /// In dollars.
    pub price: f64,
    /// ISO time.
    pub time: String,
    /// Why.
    pub reason: String,
    /// In dollars.
    pub stop_loss: f64,
    /// In dollars.
    pub profit_target: f64,
    /// Dollars to win for each one at risk.
    pub risk_reward_ratio: f64,
    /// Shares.
    pub quantity: u64,
    /// Dollars at risk.
    pub risk_amount: f64,
    /// Dollars to win.
    pub potential_profit: f64,
}

/// A trade's sale.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TradeExit {
    /// In dollars.
    pub price: f64,
    /// ISO time.
    pub time: String,
    /// Why.
    pub reason: ExitReason,
    /// Since the purchase.
    pub hold_time_seconds: f64,
}

/// Why a trade was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum ExitReason {
    /// The price fell to the stop.
    StopLoss,
    /// It reached the target.
    ProfitTarget,
    /// The day ended, or the time for it.
    EodExit,
    /// Somebody sold.
    Manual,
}

/// What came of a trade.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TradeOutcome {
    /// Dollars won or lost.
    pub realized_pnl: f64,
    /// The same, in percent of what was paid.
    pub realized_pnl_percent: f64,
    /// Dollars won for each one that was at risk; negative for a loss.
    pub actual_risk_reward: f64,
    /// Whether it won.
    pub winner: bool,
    /// Whether it went as the language model thought.
    pub met_ai_expectations: bool,
}

/// What a trade did to the account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
pub struct TradeMetadata {
    /// In dollars.
    pub account_balance_before: f64,
    /// In dollars.
    pub account_balance_after: f64,
    /// Of the account, in percent.
    pub position_size_percent: f64,
    /// Counted from 1.
    pub trade_number: u64,
}
