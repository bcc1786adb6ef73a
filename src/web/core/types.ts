// The data that everything on the chart page speaks of.

/** How long a candle is, as the API names it. */
export const TIMEFRAMES = ["1m", "5m", "15m", "D"] as const;
export type Timeframe = (typeof TIMEFRAMES)[number];

/** One candle. `ms` is its beginning, in milliseconds since the Unix epoch. */
export interface Candle {
  readonly ms: number;
  readonly open: number;
  readonly high: number;
  readonly low: number;
  readonly close: number;
  readonly volume: number;
}

/** One quote of the stream. 0 where the source gave nothing. */
export interface Quote {
  readonly symbol: string;
  readonly last: number;
  readonly bid: number;
  readonly ask: number;
  /** Shares traded so far that day. */
  readonly volume: number;
  readonly tradeMs: number;
  readonly quoteMs: number;
  /** The close before; null where the source does not say. */
  readonly previousClose: number | null;
}
