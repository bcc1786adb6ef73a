// One series of candles: what the API said, moved on by quotes.

import { DAY_MS, dayOf, offsetMs, phase } from "./newyork";
import type { Candle, Quote, Timeframe } from "./types";

const STEP_MS: Record<Exclude<Timeframe, "D">, number> = {
  "1m": 60_000,
  "5m": 300_000,
  "15m": 900_000,
};

/** More candles than this are never kept; the oldest go, some at a time. */
export const CANDLES_MAX = 3_000;
const DROPPED_AT_ONCE = 500;

/** What a quote did to the series. */
export type Change = "none" | "moved" | "appended" | "trimmed";

export class CandleSeries {
  private list: Candle[] = [];
  /** The first candle that quotes have made or moved. */
  private liveFrom = Number.POSITIVE_INFINITY;
  private lastTotal: number | null = null;

  constructor(readonly timeframe: Timeframe) {}

  get candles(): readonly Candle[] {
    return this.list;
  }

  get last(): Candle | undefined {
    return this.list[this.list.length - 1];
  }

  /**
   * Takes an answer of the API. What quotes have made meanwhile stays: the answer can be a minute old.
   */
  replace(fresh: readonly Candle[]): void {
    const newest = fresh[fresh.length - 1];
    if (newest === undefined) return;
    const live = this.list.filter((c) => c.ms >= newest.ms && c.ms >= this.liveFrom);
    const list = fresh.slice(-(CANDLES_MAX - DROPPED_AT_ONCE));
    const same = live[0]?.ms === newest.ms ? live.shift() : undefined;
    if (same !== undefined) {
      list[list.length - 1] = {
        ...newest,
        high: Math.max(newest.high, same.high),
        low: Math.min(newest.low, same.low),
        close: same.close,
        volume: Math.max(newest.volume, same.volume),
      };
    }
    list.push(...live);
    this.list = list;
  }

  /** Takes a quote. One without a trade (a snapshot before the market) changes nothing. */
  apply(quote: Quote): Change {
    if (quote.last <= 0 || quote.tradeMs <= 0) return "none";
    const last = this.last;
    const begin = this.beginOf(quote.tradeMs, last);
    // Older than the last candle: the API has it, or will.
    if (begin === null || (last !== undefined && begin < last.ms)) return "none";
    const traded = this.traded(quote.volume);
    this.liveFrom = Math.min(this.liveFrom, begin);
    if (last !== undefined && begin === last.ms) {
      const moved: Candle = {
        ms: last.ms,
        open: last.open,
        high: Math.max(last.high, quote.last),
        low: Math.min(last.low, quote.last),
        close: quote.last,
        volume: this.timeframe === "D" ? Math.max(last.volume, quote.volume) : last.volume + traded,
      };
      const same =
        moved.close === last.close &&
        moved.high === last.high &&
        moved.low === last.low &&
        moved.volume === last.volume;
      if (same) return "none";
      this.list[this.list.length - 1] = moved;
      return "moved";
    }
    const p = quote.last;
    const volume = this.timeframe === "D" ? quote.volume : traded;
    this.list.push({ ms: begin, open: p, high: p, low: p, close: p, volume });
    if (this.list.length <= CANDLES_MAX) return "appended";
    this.list.splice(0, DROPPED_AT_ONCE);
    return "trimmed";
  }

  /** A day's candle begins where the provider says, and has the regular session only. */
  private beginOf(tradeMs: number, last: Candle | undefined): number | null {
    if (this.timeframe !== "D") {
      const step = STEP_MS[this.timeframe];
      return Math.floor(tradeMs / step) * step;
    }
    if (last === undefined || phase(tradeMs) !== "regular") return null;
    const begin = last.ms + (dayOf(tradeMs) - dayOf(last.ms)) * DAY_MS;
    // At the same time in New York, also where its clocks were changed between the two.
    return begin + offsetMs(last.ms) - offsetMs(begin);
  }

  /** Shares traded since the last quote; the first one tells nothing, nor does a total that fell. */
  private traded(total: number): number {
    const before = this.lastTotal;
    if (total <= 0) return 0;
    this.lastTotal = total;
    return before === null || total < before ? 0 : total - before;
  }
}
