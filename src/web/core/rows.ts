// What the lists show: watchlist, runners, signals, positions, read from whatever the upstreams send.

import { type Fields, fields, list, moment, number, symbol, text } from "./parse";
import type { Sortable } from "./sort";

export interface WatchRow {
  readonly symbol: string;
  readonly name: string | null;
  readonly price: number | null;
  readonly previousClose: number | null;
  readonly gap: number | null;
  readonly relativeVolume: number | null;
  readonly float: number | null;
  readonly quality: number | null;
  readonly halted: boolean;
  readonly headline: string | null;
}

/** One row for each symbol; an entry may be an object or the bare symbol. */
export function watchRows(body: unknown): WatchRow[] {
  const rows: WatchRow[] = [];
  const seen = new Set<string>();
  for (const entry of list(body)) {
    const f = fields(entry);
    const name = symbol(typeof entry === "string" ? entry : f["symbol"]);
    if (name === null || seen.has(name)) continue;
    seen.add(name);
    const news = fields(list(f["news"])[0]);
    rows.push({
      symbol: name,
      name: text(f, "name", "company", "description"),
      price: number(f, "price", "last_price", "last"),
      previousClose: number(f, "previous_close", "prev_close", "close_price"),
      gap: number(f, "gap_percent", "gap_pct", "gap"),
      relativeVolume: number(f, "relative_volume", "rel_volume", "rvol"),
      float: number(f, "float_shares", "float"),
      quality: number(f, "quality_score", "quality", "score"),
      halted: f["halted"] === true,
      headline: text(news, "headline", "title") ?? text(f, "headline", "catalyst"),
    });
  }
  return rows;
}

/** Change over the close before, in percent. */
export function change(price: number | null, previousClose: number | null): number | null {
  if (price === null || previousClose === null || previousClose <= 0) return null;
  return (price / previousClose - 1) * 100;
}

/** A watchlist column's value of a row, at this last price. */
export function watchValue(row: WatchRow, by: string, last: number | null): Sortable {
  switch (by) {
    case "symbol":
      return row.symbol;
    case "last":
      return last ?? row.price;
    case "change":
      return change(last ?? row.price, row.previousClose);
    case "gap":
      return row.gap;
    case "rvol":
      return row.relativeVolume;
    case "float":
      return row.float;
    default:
      return row.quality;
  }
}

/** Where a runner's price stands in its day. */
export type Zone = "breakout" | "upper" | "lower" | "faded";

/** Within this share of the day's range below the high is a breakout. */
const BREAKOUT_SHARE = 0.95;

/**
 * Breakout: the top twentieth of the day's range or above it. Upper and lower: the halves of the rest.
 * Faded: below the previous close.
 */
export function zone(
  last: number,
  low: number,
  high: number,
  previousClose: number | null,
): { zone: Zone; share: number } {
  const top = Math.max(high, last);
  const bottom = Math.min(low, last);
  const share = top > bottom ? (last - bottom) / (top - bottom) : 1;
  if (previousClose !== null && last < previousClose) return { zone: "faded", share };
  if (share >= BREAKOUT_SHARE) return { zone: "breakout", share };
  return { zone: share >= 0.5 ? "upper" : "lower", share };
}

export interface RunnerRow {
  readonly symbol: string;
  readonly day: number | null;
  readonly previousClose: number | null;
  readonly low: number | null;
  readonly high: number | null;
  readonly last: number | null;
  readonly gain: number | null;
  /** What the file itself says of its zone. */
  readonly told: string | null;
}

export function runnerRows(body: unknown): RunnerRow[] {
  return list(fields(body)["active_runners"]).flatMap((entry) => {
    const f = fields(entry);
    const name = symbol(f["symbol"]);
    if (name === null) return [];
    return [
      {
        symbol: name,
        day: number(f, "day", "day_count", "days"),
        previousClose: number(f, "previous_close", "prev_close"),
        low: number(f, "day_low", "low"),
        high: number(f, "day_high", "high"),
        last: number(f, "last_price", "price", "current_price"),
        gain: number(f, "gain_percent", "gain_pct", "change_percent"),
        told: text(f, "zone", "current_zone"),
      },
    ];
  });
}

export interface SignalRow {
  readonly symbol: string;
  readonly atMs: number | null;
  readonly what: string;
  readonly price: number | null;
  readonly stop: number | null;
  readonly target: number | null;
  readonly confidence: number | null;
}

export function signalRows(body: unknown): SignalRow[] {
  return list(body).flatMap((entry) => {
    const f = fields(entry);
    const name = symbol(f["symbol"]);
    if (name === null) return [];
    const words = [text(f, "type", "signal", "side", "kind"), text(f, "setup", "strategy", "reason")];
    return [
      {
        symbol: name,
        atMs: moment(f, "timestamp", "time", "created_at"),
        what: words.filter((w) => w !== null).join(" ").replaceAll("_", " "),
        price: number(f, "price", "entry_price"),
        stop: number(f, "stop_price", "stop"),
        target: number(f, "target_price", "target"),
        confidence: number(f, "confidence"),
      },
    ];
  });
}

export interface PositionRow {
  readonly symbol: string;
  readonly side: string;
  readonly shares: number | null;
  readonly entry: number | null;
  readonly stop: number | null;
  readonly target: number | null;
  readonly gain: number | null;
  readonly gainPercent: number | null;
}

export function positionRows(body: unknown): PositionRow[] {
  return list(body).flatMap((entry) => {
    const f = fields(entry);
    const name = symbol(f["symbol"]);
    if (name === null) return [];
    return [
      {
        symbol: name,
        side: text(f, "side", "direction") ?? "long",
        shares: number(f, "shares", "quantity", "qty"),
        entry: number(f, "entry_price", "average_price"),
        stop: number(f, "stop_price", "stop"),
        target: number(f, "target_price", "target"),
        gain: number(f, "unrealized_pnl", "pnl"),
        gainPercent: number(f, "unrealized_pnl_percent", "pnl_percent"),
      },
    ];
  });
}

/** When each symbol's volume spike came, and how strong it is. */
export function spikes(body: unknown): Map<string, { ratio: number | null; atMs: number | null }> {
  const found = new Map<string, { ratio: number | null; atMs: number | null }>();
  for (const [name, event] of Object.entries(fields(fields(body)["spikes"]))) {
    const f: Fields = fields(event);
    found.set(name, { ratio: number(f, "spike_ratio", "ratio"), atMs: moment(f, "received_at") });
  }
  return found;
}
