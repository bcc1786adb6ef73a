// What the trader app says. Derived from `src/upstream/trader_app/shapes` by its tests: change it there, then run
// `TAPEWARDEN_WRITE_SHAPES=1 cargo test --lib shapes`.

/** A row of `/api/watchlist`: a stock that the trader app looks at. */
export type WatchlistEntry = {
  /** Upper case. */
  symbol: string,
  /** Last price, in dollars. */
  price: number,
  /** Highest price of the day so far, in dollars. */
  high?: number | null,
  /** How far it stands or opened above the close before: 62.4 is 62.4 %. */
  gap_percent: number,
  /** Volume so far against what is usual by this time of day: 5.0 is five times as much. */
  volume_ratio: number,
  /** Shares that can be traded. */
  float: number,
  /** Where its move stands, if it has gone on for days. */
  runner_status?: RunnerStatus | null,
  /** How good the set-up is, 0 to 10. */
  quality_score?: number | null,
  /** Whether there is a known reason for its move. */
  has_definitive_catalyst?: boolean | null,
  /** What a language model made of the news. */
  llm_analysis?: LlmAnalysis | null,
  /** Whether it is traded as a move of several days rather than a fresh gap. */
  continuation_play?: boolean | null,
  /** As the runner's `quality_score`, 0 to 100. */
  runner_quality_score?: number | null,
  /** As the runner's `pullback_percent`. */
  runner_pullback_pct?: number | null,
  /** As the runner's `day1_high`, in dollars. */
  runner_day1_high?: number | null,
  /** How the move of several days began. */
  continuation_data?: ContinuationData | null,
};

/** What a language model made of a stock's news. */
export type LlmAnalysis = {
  /** Such as `CONTRACT`, `EARNINGS`, `FDA_APPROVAL`, `SEC_8K_OTHER`, `UNKNOWN`. */
  catalyst_type?: string | null,
  /** Such as `positive`. */
  sentiment?: string | null,
  /** 1 to 10. */
  catalyst_strength?: number | null,
  /** A sentence. */
  recommendation?: string | null,
};

/** How a move of several days began, as the watchlist tells it. */
export type ContinuationData = {
  /** Gap of the first day, in percent. */
  original_gap_percent?: number | null,
  /** As `catalyst_type`. */
  original_catalyst?: string | null,
  /** Shares traded on the first day. */
  day1_volume?: number | null,
  /** Where the move stands. */
  status?: RunnerStatus | null,
};

/** The file `runners.json`, and `/api/runners`. */
export type Runners = {
  /** Of the file's format. */
  version: string,
  /** ISO time. */
  last_updated: string,
  /** Moves that have gone on since an earlier day, or began today. */
  active_runners: Array<Runner>,
  /** Counts over them. */
  statistics: RunnerStatistics,
};

/** Counts over all runners. */
export type RunnerStatistics = {
  /** How many there are. */
  total_runners: number,
  /** How many of them stand still. */
  consolidating: number,
  /** Trades made in moves of several days. */
  continuation_trade_count: number,
};

/** A stock whose move goes on for days. */
export type Runner = {
  /** Upper case. */
  symbol: string,
  /** ISO date of the first day. */
  first_gap_date: string,
  /** Trading days since then; 0 on the first. */
  gap_age_days: number,
  /** Gap of the first day, in percent. */
  original_gap_percent: number,
  /** As `catalyst_type`. */
  original_catalyst: string,
  /** A sentence. */
  original_catalyst_details: string,
  /** The first day's highest price, in dollars. */
  day1_high: number,
  /** Its lowest. */
  day1_low: number,
  /** Its last, so far while it lasts. */
  day1_close: number,
  /** Shares traded on it. */
  day1_volume: number,
  /** Highest price since, in dollars. */
  high_of_move: number,
  /** From the close before the first day to the current price, in percent. */
  cumulative_move_percent: number,
  /** In dollars. */
  current_price: number,
  /** How far today's first trades stood above the close before, in percent. */
  premarket_gap_percent: number,
  /** How far the price lies below `day1_high`, in percent; negative above it. */
  pullback_percent: number,
  /** Where the move stands. */
  status: RunnerStatus,
  /** 0 to 100. */
  quality_score: number,
  /** Prices at which to buy. */
  entry_zones: Array<EntryZone>,
  /** Where the move would be over. */
  stop_zone: StopZone,
};

/** Where a move of several days stands. */
export type RunnerStatus = "EXTENDED" | "CONSOLIDATING" | "PULLING_BACK" | "BROKEN_DOWN";

/** A price at which to buy a runner. */
export type EntryZone = {
  /** Such as `prior_day_high`, `pullback_support`. */
  type: string,
  /** In dollars. */
  price: number,
  /** What must happen there. */
  trigger: string,
  /** A sentence. */
  description: string,
};

/** The price at which a runner's move would be over. */
export type StopZone = {
  /** In dollars. */
  price: number,
  /** Why there. */
  reason: string,
};

/** A row of `/api/signals`: a set-up that the trader app would trade. */
export type Signal = {
  /** Upper case. */
  symbol: string,
  /** Such as `first_pullback`, `vwap_bounce`, `opening_range_breakout`. */
  pattern?: string | null,
  /** Such as `BUY`. */
  signal_type?: string | null,
  /** In dollars. */
  entry_price?: number | null,
  /** In dollars. */
  stop_loss?: number | null,
  /** In dollars. */
  profit_target?: number | null,
  /** Dollars to win for each one at risk. */
  risk_reward_ratio?: number | null,
  /** As in the watchlist. */
  gap_percent?: number | null,
  /** As the watchlist's `volume_ratio`. */
  relative_volume?: number | null,
  /** ISO time at which it came. */
  timestamp?: string | null,
  /** ISO time from which on it is void. */
  expires_at?: string | null,
  /** Shares. */
  quantity?: number | null,
  /** Dollars at risk. */
  risk_amount?: number | null,
};

/** A row of `/api/positions`: shares that the trader app holds. */
export type Position = {
  /** Upper case. */
  symbol: string,
  /** How many; negative for a short position. */
  shares?: number | null,
  /** Dollars paid for each. */
  avg_price?: number | null,
  /** In dollars. */
  current_price?: number | null,
  /** Of the first purchase, in dollars. */
  entry_price?: number | null,
  /** In dollars. */
  stop_loss?: number | null,
  /** In dollars. */
  profit_target?: number | null,
  /** Dollars won or lost so far. */
  unrealized_pnl?: number | null,
  /** The same, in percent of what was paid. */
  unrealized_pnl_percent?: number | null,
  /** In dollars. */
  market_value?: number | null,
  /** `healthy`, or another word. */
  warning_level?: string | null,
  /** ISO time. */
  entry_time?: string | null,
};

/** A line of `paper_trading/trade_outcomes.jsonl`, and an entry of `/api/trade-history`. */
export type Trade = {
  /** ISO time at which it was written. */
  timestamp: string,
  /** Upper case. */
  symbol: string,
  /** Minutes of the candles on which it was decided. */
  timeframe: number,
  /** As a signal's. */
  pattern: string,
  /** What a language model thought of it beforehand. */
  ai_analysis?: AiAnalysis | null,
  /** How the stock stood at the entry. */
  market_context: MarketContext,
  /** The purchase. */
  entry: TradeEntry,
  /** The sale. */
  exit: TradeExit,
  /** What came of it. */
  outcome: TradeOutcome,
  /** What it did to the account. */
  metadata?: TradeMetadata | null,
};

/** What a language model thought of a trade beforehand. */
export type AiAnalysis = {
  /** 0 to 10. */
  quality_score: number,
  /** A word. */
  assessment: string,
  /** 0 to 100. */
  confidence: number,
  /** A sentence. */
  context: string,
};

/** How the stock stood when a trade was entered. */
export type MarketContext = {
  /** As in the watchlist. */
  gap_percent: number,
  /** As the watchlist's `volume_ratio`. */
  relative_volume: number,
  /** Shares that can be traded. */
  float: number,
  /** As in the watchlist's analysis. */
  catalyst_type: string,
  /** As in the watchlist's analysis. */
  sentiment: string,
  /** How many pieces of news there were. */
  news_count: number,
};

/** A trade's purchase, as it was planned and made. */
export type TradeEntry = {
  /** In dollars. */
  price: number,
  /** ISO time. */
  time: string,
  /** Why. */
  reason: string,
  /** In dollars. */
  stop_loss: number,
  /** In dollars. */
  profit_target: number,
  /** Dollars to win for each one at risk. */
  risk_reward_ratio: number,
  /** Shares. */
  quantity: number,
  /** Dollars at risk. */
  risk_amount: number,
  /** Dollars to win. */
  potential_profit: number,
};

/** A trade's sale. */
export type TradeExit = {
  /** In dollars. */
  price: number,
  /** ISO time. */
  time: string,
  /** Why. */
  reason: ExitReason,
  /** Since the purchase. */
  hold_time_seconds: number,
};

/** Why a trade was ended. */
export type ExitReason = "stop_loss" | "profit_target" | "eod_exit" | "manual";

/** What came of a trade. */
export type TradeOutcome = {
  /** Dollars won or lost. */
  realized_pnl: number,
  /** The same, in percent of what was paid. */
  realized_pnl_percent: number,
  /** Dollars won for each one that was at risk; negative for a loss. */
  actual_risk_reward: number,
  /** Whether it won. */
  winner: boolean,
  /** Whether it went as the language model thought. */
  met_ai_expectations: boolean,
};

/** What a trade did to the account. */
export type TradeMetadata = {
  /** In dollars. */
  account_balance_before: number,
  /** In dollars. */
  account_balance_after: number,
  /** Of the account, in percent. */
  position_size_percent: number,
  /** Counted from 1. */
  trade_number: number,
};

/** `/api/streaming/rotation`: which symbols are streamed always, and how the others take turns. Where
 * the trader app gives nothing, `enabled` is false and `error` says why. */
export type Rotation = {
  /** Whether symbols take turns. */
  enabled: boolean,
  /** Symbols that are streamed always. */
  priority_count?: number | null,
  /** Those that were promoted because something happened in them. */
  priority_symbols?: Array<Promoted> | null,
  /** Symbols streamed in one turn. */
  discovery_slots?: number | null,
  /** All symbols. */
  universe_size?: number | null,
  /** Promotions so far. */
  total_promotions?: number | null,
  /** Which turn it is, from 0. */
  current_chunk_idx?: number | null,
  /** Turns in a round. */
  chunk_count?: number | null,
  /** `trader_app_unavailable`, `trader_app_error`, `timeout` or `fetch_error`. */
  error?: string | null,
};

/** A symbol that is streamed always because something happened in it. */
export type Promoted = {
  /** Upper case. */
  symbol: string,
  /** Such as `volume+price_range`. */
  reason: string,
  /** Since its promotion. */
  seconds_in_priority: number,
  /** What happened. */
  stats_at_promotion: PromotionStats,
};

/** What a symbol did in the turn in which it was promoted. */
export type PromotionStats = {
  /** Quotes. */
  tick_count: number,
  /** Shares traded. */
  volume_sum: number,
  /** From the lowest to the highest price, in percent of the lowest. */
  price_range_pct: number,
};

/** `/api/vwap/{symbol}`, and a value of `/api/vwap`: the volume-weighted average price since 04:00. */
export type Vwap = {
  /** Upper case. */
  symbol: string,
  /** In dollars; null where there is none. */
  vwap: number | null,
  /** Where it comes from, or why there is none. */
  source: VwapSource,
  /** Whether it is old. */
  stale?: boolean | null,
};

/** Where a VWAP comes from, or why there is none. */
export type VwapSource = "stream" | "rest" | "unavailable" | "timeout" | "error";

/** `/api/streaming/health`: whether quotes reach the trader app. Where it gives nothing, `connected`
 * is false and `error` says why. */
export type StreamHealth = {
  /** Whether its own stream is up. */
  connected: boolean,
  /** Age of the newest quote. */
  last_message_seconds_ago?: number | null,
  /** How often it ended a stream that was silent. */
  watchdog_kills?: number | null,
  /** Counts. */
  stats?: StreamStats | null,
  /** `trader_app_unavailable`, `trader_app_error`, `timeout` or `fetch_error`. */
  error?: string | null,
};

/** Counts of the trader app's stream. */
export type StreamStats = {
  /** Quotes so far. */
  quotes: number,
};

/** The stream's event `quote_update`, merged: after a symbol's first one only changed fields come. A
 * `trade_time_ms` or `last_price` of 0 is a snapshot from before the first trade. */
export type StreamQuote = {
  /** Upper case. */
  symbol: string,
  /** In dollars. */
  last_price: number,
  /** In dollars. */
  bid_price: number,
  /** In dollars. */
  ask_price: number,
  /** Shares traded so far today. */
  total_volume: number,
  /** Shares of the last trade. */
  last_size: number,
  /** The day's highest price, in dollars. */
  high_price: number,
  /** Its lowest. */
  low_price: number,
  /** Its first. */
  open_price: number,
  /** The last price less the close before, in dollars. */
  net_change: number,
  /** When bid or ask were last set, in milliseconds since the Unix epoch. */
  quote_time_ms: number,
  /** When it was last traded. */
  trade_time_ms: number,
};

/** The stream's event `volume_spike`: more volume than usual. */
export type VolumeSpike = {
  /** Upper case. */
  symbol: string,
  /** The current rate against the average. */
  spike_ratio: number,
  /** Shares a minute now. */
  current_rate_per_min: number,
  /** Shares a minute before. */
  average_rate_per_min: number,
  /** The ratio from which on it counts as a spike. */
  threshold: number,
  /** Whether it is the first hour of the regular session, which has its own threshold. */
  first_hour: boolean,
  /** Seconds since the Unix epoch. */
  timestamp: number,
};
