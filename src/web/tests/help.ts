// What several tests use.

import type { Candle, Quote } from "../core/types";

/** Chance that a seed determines, so that a failing history can be run again. */
export function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    // A linear congruential step; its high bits are the better ones.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 8) / 2 ** 24;
  };
}

export function candle(ms: number, price: number, volume = 100): Candle {
  return { ms, open: price, high: price, low: price, close: price, volume };
}

export function quote(tradeMs: number, last: number, volume: number): Quote {
  return { symbol: "TOYO", last, bid: last, ask: last, volume, tradeMs, quoteMs: tradeMs, previousClose: null };
}

/** 2026-11-25, a Wednesday, at this time in New York (UTC−5). */
export function at(hour: number, minute: number, second = 0): number {
  return Date.UTC(2026, 10, 25, hour + 5, minute, second);
}
