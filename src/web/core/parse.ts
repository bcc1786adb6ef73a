// From what the API says to what the page needs. Whatever is missing or odd becomes null or is left
// out: the upstreams add, drop and rename fields as they like.

import type { Candle, Quote } from "./types";

export type Fields = Readonly<Record<string, unknown>>;

/** An object's fields; none of anything else. */
export function fields(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Fields)
    : {};
}

/** The elements of an array; none of anything else. */
export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** The first of these fields that is a finite number, or text that reads as one. */
export function number(from: Fields, ...names: string[]): number | null {
  for (const name of names) {
    const value = from[name];
    const read = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
    if (typeof read === "number" && Number.isFinite(read)) return read;
  }
  return null;
}

/** The first of these fields that is text and not empty. */
export function text(from: Fields, ...names: string[]): string | null {
  for (const name of names) {
    const value = from[name];
    if (typeof value === "string" && value !== "") return value;
  }
  return null;
}

/** A moment in milliseconds: a number (seconds or milliseconds) or an ISO date. */
export function moment(from: Fields, ...names: string[]): number | null {
  for (const name of names) {
    const value = from[name];
    if (typeof value === "number" && value > 0) return value < 1e11 ? value * 1000 : value;
    if (typeof value === "string") {
      const read = Date.parse(value);
      if (Number.isFinite(read)) return read;
    }
  }
  return null;
}

/** A symbol in upper case, if it is one. */
export function symbol(value: unknown): string | null {
  if (typeof value !== "string") return null;
  const upper = value.trim().toUpperCase();
  return /^[A-Z0-9.$/^-]{1,16}$/.test(upper) ? upper : null;
}

/** The candles of an answer, oldest first, each moment once, without placeholders of zeros. */
export function candles(body: unknown): Candle[] {
  const read: Candle[] = [];
  for (const entry of list(body)) {
    const f = fields(entry);
    const [ms, open, high, low, close] = [
      number(f, "timestamp"),
      number(f, "open"),
      number(f, "high"),
      number(f, "low"),
      number(f, "close"),
    ];
    if (ms === null || open === null || high === null || low === null || close === null) continue;
    if (Math.min(open, high, low, close) <= 0) continue;
    read.push({ ms, open, high, low, close, volume: number(f, "volume") ?? 0 });
  }
  read.sort((a, b) => a.ms - b.ms);
  return read.filter((c, i) => c.ms !== read[i + 1]?.ms);
}

/** A quote message of the stream. */
export function streamQuote(message: Fields): Quote | null {
  const name = symbol(message["symbol"]);
  if (name === null) return null;
  const get = (field: string): number => number(message, field) ?? 0;
  return {
    symbol: name,
    last: get("last_price"),
    bid: get("bid_price"),
    ask: get("ask_price"),
    volume: get("total_volume"),
    tradeMs: get("trade_time_ms"),
    quoteMs: get("quote_time_ms"),
  };
}

/** The provider's quote object, as `/api/quote` gives it. */
export function providerQuote(name: string, body: unknown): Quote {
  const f = fields(body);
  const get = (field: string): number => number(f, field) ?? 0;
  return {
    symbol: name,
    last: get("lastPrice"),
    bid: get("bidPrice"),
    ask: get("askPrice"),
    volume: get("totalVolume"),
    tradeMs: get("tradeTime"),
    quoteMs: get("quoteTime"),
  };
}
