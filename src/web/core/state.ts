// What the address says: which symbol, which timeframe, which small charts, how lists are sorted.

import { symbol as readSymbol } from "./parse";
import { readOrder, type Order, writeOrder } from "./sort";
import { TIMEFRAMES, type Timeframe } from "./types";

/** Small charts beside the primary one. */
export const SMALLS = 4;

export interface PageState {
  /** Null until the watchlist tells the first. */
  readonly symbol: string | null;
  readonly timeframe: Timeframe;
  /** Those that were chosen; the watchlist fills the rest. */
  readonly smalls: readonly string[];
  readonly order: Order;
}

export const WATCHLIST_ORDER: Order = { by: "quality", down: true };

/** Reads a query; what is odd is as if it were not there. */
export function readState(query: string): PageState {
  const params = new URLSearchParams(query);
  const timeframe = TIMEFRAMES.find((t) => t === params.get("tf")) ?? "1m";
  const smalls: string[] = [];
  for (const word of (params.get("small") ?? "").split(",")) {
    const name = readSymbol(word);
    if (name !== null && !smalls.includes(name) && smalls.length < SMALLS) smalls.push(name);
  }
  return {
    symbol: readSymbol(params.get("s")),
    timeframe,
    smalls,
    order: readOrder(params.get("sort"), WATCHLIST_ORDER),
  };
}

/** The query that reads back as this state; defaults are left out. */
export function writeState(state: PageState): string {
  const parts: string[] = [];
  const add = (name: string, value: string): void => {
    // A comma and a colon are allowed in a query and readable.
    parts.push(`${name}=${encodeURIComponent(value).replaceAll("%2C", ",").replaceAll("%3A", ":")}`);
  };
  if (state.symbol !== null) add("s", state.symbol);
  if (state.timeframe !== "1m") add("tf", state.timeframe);
  if (state.smalls.length > 0) add("small", state.smalls.join(","));
  const order = writeOrder(state.order);
  if (order !== writeOrder(WATCHLIST_ORDER)) add("sort", order);
  return parts.length === 0 ? "" : `?${parts.join("&")}`;
}

/** The small charts' symbols: the chosen ones, then the watchlist's first others. */
export function smallSymbols(state: PageState, watchlist: readonly string[]): string[] {
  const shown = state.smalls.filter((s) => s !== state.symbol);
  for (const name of watchlist) {
    if (shown.length >= SMALLS) break;
    if (name !== state.symbol && !shown.includes(name)) shown.push(name);
  }
  return shown.slice(0, SMALLS);
}
