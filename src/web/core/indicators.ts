// VWAP and EMAs of a series, each new candle at constant cost; the day's levels.

import { dayOf, phase } from "./newyork";
import type { Candle } from "./types";

export const EMA_FAST = 9;
export const EMA_SLOW = 20;

/** Values of one candle; null where there are too few candles before it, or no volume yet. */
export interface Row {
  readonly vwap: number | null;
  readonly fast: number | null;
  readonly slow: number | null;
}

/** An EMA that begins with the mean of its first `length` closes. */
class Ema {
  private count = 0;
  private value = 0;

  constructor(private readonly length: number) {}

  /** What the value is with this close; kept only if `keep`. */
  next(close: number, keep: boolean): number | null {
    const count = this.count + 1;
    const value =
      count <= this.length
        ? this.value + (close - this.value) / count
        : this.value + ((close - this.value) * 2) / (this.length + 1);
    if (keep) [this.count, this.value] = [count, value];
    return count >= this.length ? value : null;
  }
}

/** The volume-weighted price since the beginning of New York's day, from typical prices. */
class Vwap {
  private day = Number.NaN;
  private paid = 0;
  private volume = 0;

  next(candle: Candle, keep: boolean): number | null {
    const day = dayOf(candle.ms);
    const begun = day === this.day;
    const typical = (candle.high + candle.low + candle.close) / 3;
    const paid = (begun ? this.paid : 0) + typical * candle.volume;
    const volume = (begun ? this.volume : 0) + candle.volume;
    if (keep) [this.day, this.paid, this.volume] = [day, paid, volume];
    return volume > 0 ? paid / volume : null;
  }
}

export class Indicators {
  private settled = 0;
  private fast = new Ema(EMA_FAST);
  private slow = new Ema(EMA_SLOW);
  private vwap = new Vwap();

  /** All values anew. */
  rebuild(candles: readonly Candle[]): Row[] {
    this.settled = 0;
    this.fast = new Ema(EMA_FAST);
    this.slow = new Ema(EMA_SLOW);
    this.vwap = new Vwap();
    return this.advance(candles).rows;
  }

  /** Values from the first candle that may have moved since the last call on, after some moved or came. */
  advance(candles: readonly Candle[]): { readonly from: number; readonly rows: Row[] } {
    const from = this.settled;
    const rows: Row[] = [];
    for (let i = from; i < candles.length; i += 1) {
      const candle = candles[i];
      if (candle === undefined) break;
      const keep = i < candles.length - 1;
      rows.push(this.row(candle, keep));
      if (keep) this.settled += 1;
    }
    return { from, rows };
  }

  private row(candle: Candle, keep: boolean): Row {
    return {
      vwap: this.vwap.next(candle, keep),
      fast: this.fast.next(candle.close, keep),
      slow: this.slow.next(candle.close, keep),
    };
  }
}

/** The highest price before the opening of the last candle's day; null where there was none. */
export function premarketHigh(candles: readonly Candle[]): number | null {
  const last = candles[candles.length - 1];
  if (last === undefined) return null;
  const day = dayOf(last.ms);
  let high: number | null = null;
  for (let i = candles.length - 1; i >= 0; i -= 1) {
    const candle = candles[i];
    if (candle === undefined || dayOf(candle.ms) !== day) break;
    if (phase(candle.ms) === "pre") high = Math.max(high ?? 0, candle.high);
  }
  return high;
}

/** Stretches of candles before and after the regular session, for shading: indexes of first and last. */
export interface Stretch {
  readonly phase: "pre" | "after";
  readonly from: number;
  readonly to: number;
}

export function stretches(candles: readonly Candle[]): Stretch[] {
  const found: Stretch[] = [];
  let open: { phase: "pre" | "after"; from: number; day: number } | null = null;
  const close = (to: number): void => {
    if (open !== null) found.push({ phase: open.phase, from: open.from, to });
    open = null;
  };
  candles.forEach((candle, i) => {
    const now = phase(candle.ms);
    const day = dayOf(candle.ms);
    const current = open as { phase: string; day: number } | null;
    if (current !== null && (current.phase !== now || current.day !== day)) close(i - 1);
    if (open === null && (now === "pre" || now === "after")) open = { phase: now, from: i, day };
  });
  close(candles.length - 1);
  return found;
}
