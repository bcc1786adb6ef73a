// What the lists show: watchlist, runners, signals, positions, rotation, read from what the trader app says.

import { fields, list, moment, number, symbol, text } from "./parse";
import type {
  ContinuationData,
  EntryZone,
  LlmAnalysis,
  Position,
  Promoted,
  Rotation,
  Runner,
  Runners,
  Signal,
  StopZone,
  VolumeSpike,
  WatchlistEntry,
} from "./shapes";
import type { Sortable } from "./sort";

/** "CLINICAL_TRIAL" as a trader says it; null where nothing is known. */
function plain(word: string | null): string | null {
  if (word === null || /^unknown$/i.test(word)) return null;
  const words = word.replaceAll("_", " ").toLowerCase();
  return words.replace(/\b(sec|fda|vwap|8k)\b/g, (w) => w.toUpperCase());
}

export interface WatchRow {
  readonly symbol: string;
  readonly price: number | null;
  readonly gap: number | null;
  readonly volumeRatio: number | null;
  readonly float: number | null;
  /** 0 to 10. */
  readonly quality: number | null;
  /** Why it moves, in a word or two. */
  readonly catalyst: string | null;
  /** 1 to 10. */
  readonly strength: number | null;
  readonly definitive: boolean;
  /** What a language model says of it. */
  readonly words: string | null;
  /** Where its move of several days stands. */
  readonly status: string | null;
}

/** One row for each symbol; an entry may be an object or the bare symbol. */
export function watchRows(body: unknown): WatchRow[] {
  const rows: WatchRow[] = [];
  const seen = new Set<string>();
  for (const entry of list(body)) {
    const f = fields<WatchlistEntry>(entry);
    const name = symbol(typeof entry === "string" ? entry : f.symbol);
    if (name === null || seen.has(name)) continue;
    seen.add(name);
    const analysis = fields<LlmAnalysis>(f.llm_analysis);
    const before = fields<ContinuationData>(f.continuation_data);
    rows.push({
      symbol: name,
      price: number(f, "price"),
      gap: number(f, "gap_percent"),
      volumeRatio: number(f, "volume_ratio"),
      float: number(f, "float"),
      quality: number(f, "quality_score"),
      catalyst: plain(text(analysis, "catalyst_type")) ?? plain(text(before, "original_catalyst")),
      strength: number(analysis, "catalyst_strength"),
      definitive: f.has_definitive_catalyst === true,
      words: text(analysis, "recommendation"),
      status: plain(text(f, "runner_status")),
    });
  }
  return rows;
}

/** What is known of a row besides its figures: "clinical trial 8/10, definitive; pulling back: Phase 2 …" */
export function describe(row: WatchRow): string {
  const strength = row.strength === null ? "" : ` ${row.strength}/10`;
  const reason = row.catalyst === null ? null : `${row.catalyst}${strength}${row.definitive ? ", definitive" : ""}`;
  const head = [reason, row.status].filter((w) => w !== null).join("; ");
  return [head, row.words ?? ""].filter((w) => w !== "").join(": ");
}

/** Change over the close before, in percent. */
export function change(price: number | null, previousClose: number | null): number | null {
  if (price === null || previousClose === null || previousClose <= 0) return null;
  return (price / previousClose - 1) * 100;
}

/** A watchlist column's value of a row, at this last price and close before. */
export function watchValue(row: WatchRow, by: string, last: number | null, previousClose: number | null): Sortable {
  switch (by) {
    case "symbol":
      return row.symbol;
    case "last":
      return last ?? row.price;
    case "change":
      return change(last ?? row.price, previousClose);
    case "gap":
      return row.gap;
    case "rvol":
      return row.volumeRatio;
    case "float":
      return row.float;
    case "catalyst":
      return row.strength ?? (row.definitive ? 7 : row.catalyst === null ? null : 0);
    default:
      return row.quality;
  }
}

/** A price that a plan names. */
export interface PlanPrice {
  readonly price: number;
  readonly words: string;
}

export interface RunnerRow {
  readonly symbol: string;
  readonly status: string | null;
  /** 0 to 100. */
  readonly quality: number | null;
  /** Which day of its move it is, from 1. */
  readonly day: number | null;
  readonly gap: number | null;
  readonly catalyst: string | null;
  readonly details: string | null;
  readonly price: number | null;
  readonly dayOneHigh: number | null;
  readonly dayOneLow: number | null;
  readonly highOfMove: number | null;
  readonly entries: readonly PlanPrice[];
  readonly stop: PlanPrice | null;
}

export function runnerRows(body: unknown): RunnerRow[] {
  return list(fields<Runners>(body).active_runners).flatMap((entry) => {
    const f = fields<Runner>(entry);
    const name = symbol(f.symbol);
    if (name === null) return [];
    const age = number(f, "gap_age_days");
    const stop = fields<StopZone>(f.stop_zone);
    return [
      {
        symbol: name,
        status: plain(text(f, "status")),
        quality: number(f, "quality_score"),
        day: age === null ? null : age + 1,
        gap: number(f, "original_gap_percent"),
        catalyst: plain(text(f, "original_catalyst")),
        details: text(f, "original_catalyst_details"),
        price: number(f, "current_price"),
        dayOneHigh: number(f, "day1_high"),
        dayOneLow: number(f, "day1_low"),
        highOfMove: number(f, "high_of_move"),
        entries: list(f.entry_zones).flatMap((zone) => {
          const z = fields<EntryZone>(zone);
          return planPrice(number(z, "price"), plain(text(z, "type")) ?? plain(text(z, "trigger")));
        }),
        stop: planPrice(number(stop, "price"), text(stop, "reason"))[0] ?? null,
      },
    ];
  });
}

function planPrice(price: number | null, words: string | null): PlanPrice[] {
  return price === null || price <= 0 ? [] : [{ price, words: words ?? "" }];
}

/** How far this price lies above the first day's high, in percent; negative below it. */
export function fromHigh(row: RunnerRow, last: number | null): number | null {
  return change(last, row.dayOneHigh);
}

/** Where a price stands between the first day's low, or the stop, and the highest of the move: 0 to 1. */
export function place(row: RunnerRow, last: number | null): number | null {
  if (last === null || row.dayOneHigh === null) return null;
  const floor = row.dayOneLow ?? row.stop?.price;
  if (floor === undefined) return null;
  const top = Math.max(row.highOfMove ?? 0, row.dayOneHigh, last);
  const bottom = Math.min(floor, last);
  return top > bottom ? (last - bottom) / (top - bottom) : 1;
}

export interface SignalRow {
  readonly symbol: string;
  readonly atMs: number | null;
  readonly expiresMs: number | null;
  readonly pattern: string;
  readonly entry: number | null;
  readonly stop: number | null;
  readonly target: number | null;
  readonly riskReward: number | null;
  readonly gap: number | null;
  readonly volumeRatio: number | null;
  readonly shares: number | null;
}

export function signalRows(body: unknown): SignalRow[] {
  return list(body).flatMap((entry) => {
    const f = fields<Signal>(entry);
    const name = symbol(f.symbol);
    if (name === null) return [];
    const words = [plain(text(f, "signal_type")), plain(text(f, "pattern"))];
    return [
      {
        symbol: name,
        atMs: moment(f, "timestamp"),
        expiresMs: moment(f, "expires_at"),
        pattern: words.filter((w) => w !== null).join(", "),
        entry: number(f, "entry_price"),
        stop: number(f, "stop_loss"),
        target: number(f, "profit_target"),
        riskReward: number(f, "risk_reward_ratio"),
        gap: number(f, "gap_percent"),
        volumeRatio: number(f, "relative_volume"),
        shares: number(f, "quantity"),
      },
    ];
  });
}

export interface PositionRow {
  readonly symbol: string;
  readonly shares: number | null;
  /** What was paid for each. */
  readonly entry: number | null;
  readonly price: number | null;
  readonly stop: number | null;
  readonly target: number | null;
  readonly gain: number | null;
  readonly gainPercent: number | null;
  /** Null while it is healthy. */
  readonly warning: string | null;
  readonly sinceMs: number | null;
}

export function positionRows(body: unknown): PositionRow[] {
  return list(body).flatMap((entry) => {
    const f = fields<Position>(entry);
    const name = symbol(f.symbol);
    if (name === null) return [];
    const warning = plain(text(f, "warning_level"));
    return [
      {
        symbol: name,
        shares: number(f, "shares"),
        entry: number(f, "avg_price") ?? number(f, "entry_price"),
        price: number(f, "current_price"),
        stop: number(f, "stop_loss"),
        target: number(f, "profit_target"),
        gain: number(f, "unrealized_pnl"),
        gainPercent: number(f, "unrealized_pnl_percent"),
        warning: warning === "healthy" ? null : warning,
        sinceMs: moment(f, "entry_time"),
      },
    ];
  });
}

export interface PromotedRow {
  readonly symbol: string;
  readonly reason: string | null;
  readonly seconds: number | null;
  readonly volume: number | null;
  readonly rangePercent: number | null;
}

export interface RotationRow {
  readonly enabled: boolean;
  /** Why there is nothing. */
  readonly error: string | null;
  /** Which turn it is, from 1. */
  readonly turn: number | null;
  readonly turns: number | null;
  readonly slots: number | null;
  readonly universe: number | null;
  readonly promotions: number | null;
  readonly promoted: readonly PromotedRow[];
}

export function rotationRow(body: unknown): RotationRow {
  const f = fields<Rotation>(body);
  const chunk = number(f, "current_chunk_idx");
  return {
    enabled: f.enabled === true,
    error: text(f, "error"),
    turn: chunk === null ? null : chunk + 1,
    turns: number(f, "chunk_count"),
    slots: number(f, "discovery_slots"),
    universe: number(f, "universe_size"),
    promotions: number(f, "total_promotions"),
    promoted: list(f.priority_symbols).flatMap((entry) => {
      const p = fields<Promoted>(entry);
      const name = symbol(p.symbol);
      if (name === null) return [];
      const stats = fields<Promoted["stats_at_promotion"]>(p.stats_at_promotion);
      return [
        {
          symbol: name,
          reason: plain(text(p, "reason")),
          seconds: number(p, "seconds_in_priority"),
          volume: number(stats, "volume_sum"),
          rangePercent: number(stats, "price_range_pct"),
        },
      ];
    }),
  };
}

/** A volume spike as `/api/volume-spikes/active` tells it. */
type ActiveSpike = VolumeSpike & { received_at: number };

/** When each symbol's volume spike came, and how strong it is. */
export function spikes(body: unknown): Map<string, { ratio: number | null; atMs: number | null }> {
  const found = new Map<string, { ratio: number | null; atMs: number | null }>();
  for (const [name, event] of Object.entries(fields(fields(body)["spikes"]))) {
    const f = fields<ActiveSpike>(event);
    found.set(name, { ratio: number(f, "spike_ratio"), atMs: moment(f, "received_at") });
  }
  return found;
}
