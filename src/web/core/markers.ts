// Trades of the history as marks on a chart.

import { money, price } from "./format";
import { fields, list, moment, number, symbol } from "./parse";
import type { Trade as Said, TradeEntry, TradeExit, TradeOutcome } from "./shapes";
import type { Candle } from "./types";

/** A purchase and its sale. */
export interface Trade {
  readonly symbol: string;
  readonly entryMs: number | null;
  readonly entryPrice: number | null;
  readonly exitMs: number | null;
  readonly exitPrice: number | null;
  readonly gain: number | null;
}

export function readTrades(body: unknown): Trade[] {
  return list(body).flatMap((line) => {
    const f = fields<Said>(line);
    const name = symbol(f.symbol);
    if (name === null) return [];
    const [entry, exit] = [fields<TradeEntry>(f.entry), fields<TradeExit>(f.exit)];
    return [
      {
        symbol: name,
        entryMs: moment(entry, "time"),
        entryPrice: number(entry, "price"),
        exitMs: moment(exit, "time"),
        exitPrice: number(exit, "price"),
        gain: number(fields<TradeOutcome>(f.outcome), "realized_pnl"),
      },
    ];
  });
}

export interface Mark {
  /** Beginning of the candle in which it was. */
  readonly ms: number;
  readonly kind: "entry" | "exit";
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
      const at = t.entryPrice === null ? "" : ` ${price(t.entryPrice)}`;
      found.push({ ms: entry, kind: "entry", text: `buy${at}`, won: false });
    }
    const exit = candleAt(candles, t.exitMs);
    if (exit !== null) {
      const at = t.exitPrice === null ? "" : ` ${price(t.exitPrice)}`;
      found.push({ ms: exit, kind: "exit", text: `${money(t.gain)}${at}`, won: (t.gain ?? 0) > 0 });
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
