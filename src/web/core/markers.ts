// Trades of the history as marks on a chart.

import { money } from "./format";
import { fields, list, moment, number, symbol, text } from "./parse";
import type { Candle } from "./types";

export interface Trade {
  readonly symbol: string;
  readonly long: boolean;
  readonly entryMs: number | null;
  readonly entryPrice: number | null;
  readonly exitMs: number | null;
  readonly exitPrice: number | null;
  readonly gain: number | null;
}

export function readTrades(body: unknown): Trade[] {
  return list(body).flatMap((entry) => {
    const f = fields(entry);
    const name = symbol(f["symbol"]);
    if (name === null) return [];
    const side = text(f, "side", "direction") ?? "long";
    return [
      {
        symbol: name,
        long: !/^(short|sell)/i.test(side),
        entryMs: moment(f, "entry_time_ms", "entry_time", "entry_timestamp"),
        entryPrice: number(f, "entry_price"),
        exitMs: moment(f, "exit_time_ms", "exit_time", "exit_timestamp"),
        exitPrice: number(f, "exit_price"),
        gain: number(f, "pnl", "profit"),
      },
    ];
  });
}

export interface Mark {
  /** Beginning of the candle in which it was. */
  readonly ms: number;
  readonly kind: "entry" | "exit";
  /** Whether shares were bought. */
  readonly buys: boolean;
  readonly text: string;
  /** For an exit: whether it won. */
  readonly won: boolean;
}

/** Marks of these trades within these candles, in order of time. */
export function marks(trades: readonly Trade[], candles: readonly Candle[]): Mark[] {
  const found: Mark[] = [];
  for (const t of trades) {
    const entry = candleAt(candles, t.entryMs);
    if (entry !== null) {
      found.push({ ms: entry, kind: "entry", buys: t.long, text: t.long ? "buy" : "short", won: false });
    }
    const exit = candleAt(candles, t.exitMs);
    if (exit !== null) {
      found.push({ ms: exit, kind: "exit", buys: !t.long, text: money(t.gain), won: (t.gain ?? 0) > 0 });
    }
  }
  return found.sort((a, b) => a.ms - b.ms);
}

/** The candle in which a moment lies; null before the first one and well after the last. */
function candleAt(candles: readonly Candle[], ms: number | null): number | null {
  const first = candles[0];
  const last = candles[candles.length - 1];
  if (ms === null || first === undefined || last === undefined || ms < first.ms) return null;
  let [low, high] = [0, candles.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((candles[middle]?.ms ?? Infinity) <= ms) low = middle;
    else high = middle - 1;
  }
  const hit = candles[low];
  if (hit === undefined) return null;
  // In the last candle, or in a gap between two: not where nothing was traded for long after.
  const step = candles.length > 1 ? last.ms - (candles[candles.length - 2]?.ms ?? last.ms) : 60_000;
  return low === candles.length - 1 && ms > hit.ms + Math.max(step, 60_000) ? null : hit.ms;
}
